package files

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/blob"
	"github.com/martsync/martsync/internal/blob/blobtest"
	"github.com/martsync/martsync/internal/blob/s3test"
	"github.com/martsync/martsync/internal/rows"
)

// load commits rows.
func load(t *testing.T, d *destination, s martsync.Schema, c martsync.Commit, add func(b *rows.Builder)) {
	t.Helper()
	w, err := d.Open(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	b := rows.NewBuilder(s.Columns)
	if add != nil {
		add(b)
	}
	if b.Len() > 0 {
		if err := w.Write(t.Context(), b.Records()); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Commit(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

// counting counts what is read of a store.
type counting struct {
	blob.Store
	documents, files atomic.Int64
}

func (c *counting) Get(ctx context.Context, key string, most int64) ([]byte, error) {
	c.documents.Add(1)
	return c.Store.Get(ctx, key, most)
}

func (c *counting) Open(ctx context.Context, key string, size int64) (blob.Reader, error) {
	c.files.Add(1)
	return c.Store.Open(ctx, key, size)
}

// TestReadIsOfOneMoment: rows are those of the last commit when the table was asked for, whatever
// comes before they are read. They can be read twice.
func TestReadIsOfOneMoment(t *testing.T) {
	d := destinationOn(t, blobtest.Folder(t), Config{}, coreEnv(t, nil))
	load(t, d, leads, martsync.Commit{Next: "1"}, func(b *rows.Builder) { b.Append(int64(1), "Ann", rows.Micros(1)) })
	s, records, err := d.ReadTable(t.Context(), "leads")
	if err != nil {
		t.Fatal(err)
	}
	wide := leads
	wide.Columns = append(slices.Clone(leads.Columns), martsync.Column{Name: "score", Type: martsync.Int64})
	load(t, d, wide, martsync.Commit{Next: "2"}, func(b *rows.Builder) { b.Append(int64(1), "Anna", rows.Micros(2), int64(5)) })
	want := []string{fmt.Sprintf("id: int64 1, name: string Ann, updated_at: rows.Micros %v, deleted: false", rows.Micros(1))}
	for range 2 {
		if diff := cmp.Diff(want, linesOf(t, s, records)); diff != "" {
			t.Errorf("table (-want +got):\n%s", diff)
		}
	}
}

// TestNullInAKey: a source that yields one breaks its word, but what it wrote stays readable. A null is a value like any other, so
// such rows replace each other, as they do in databases.
func TestNullInAKey(t *testing.T) {
	for _, config := range []Config{{}, {Format: "csv"}, {Format: "ndjson"}, {Mode: latestMode}} {
		d := destinationOn(t, blobtest.Folder(t), config, coreEnv(t, nil))
		load(t, d, leads, martsync.Commit{Next: "1"}, func(b *rows.Builder) {
			b.Append(nil, "nobody", rows.Micros(1))
			b.Append(int64(0), "zero", rows.Micros(1))
		})
		load(t, d, leads, martsync.Commit{Next: "2"}, func(b *rows.Builder) { b.Append(nil, "still nobody", rows.Micros(2)) })
		if config.Mode == latestMode {
			for c, err := range d.Compact(t.Context(), "leads") {
				if err != nil || !c.Done {
					t.Errorf("compact: got %+v and %v", c, err)
				}
			}
		}
		s, records, err := d.ReadTable(t.Context(), "leads")
		if err != nil {
			t.Fatal(err)
		}
		s.Key = nil // for linesOf, which does not take such rows
		want := []string{
			fmt.Sprintf("id: <nil> <nil>, name: string still nobody, updated_at: rows.Micros %v, deleted: false", rows.Micros(2)),
			fmt.Sprintf("id: int64 0, name: string zero, updated_at: rows.Micros %v, deleted: false", rows.Micros(1)),
		}
		if diff := cmp.Diff(want, linesOf(t, s, records)); diff != "" {
			t.Errorf("table with %+v (-want +got):\n%s", config, diff)
		}
	}
}

// TestSnapshotsNeedOneCommit: what older snapshots held is not read.
func TestSnapshotsNeedOneCommit(t *testing.T) {
	d := destinationOn(t, blobtest.Folder(t), Config{}, coreEnv(t, nil))
	s := martsync.Schema{Stream: "programs", Snapshot: true, Columns: leads.Columns}
	for i := range 5 {
		load(t, d, s, martsync.Commit{Next: martsync.Cursor(fmt.Sprint(i))}, func(b *rows.Builder) {
			b.Append(int64(i), "x", rows.Micros(1))
			b.Append(int64(i), "x", rows.Micros(1))
		})
	}
	calls := &counting{Store: d.store}
	d.store = calls
	_, records, err := d.ReadTable(t.Context(), "programs")
	if err != nil {
		t.Fatal(err)
	}
	row := fmt.Sprintf("id: int64 4, name: string x, updated_at: rows.Micros %v, deleted: false", rows.Micros(1))
	if diff := cmp.Diff([]string{row, row}, linesOf(t, s, records)); diff != "" {
		t.Errorf("table (-want +got):\n%s", diff)
	}
	if got, most := calls.documents.Load(), int64(3); got > most {
		t.Errorf("documents read: got %d, want at most %d", got, most)
	}
}

// TestFilesThatWereTouched: what somebody did to a data file is said, with the file's name.
func TestFilesThatWereTouched(t *testing.T) {
	for name, touch := range map[string]func(path string, data []byte) error{
		"deleted":   func(path string, _ []byte) error { return os.Remove(path) },
		"truncated": func(path string, data []byte) error { return os.WriteFile(path, data[:len(data)/2], 0o600) },
		"a row less": func(path string, data []byte) error {
			// of the same size, so that only the rows can tell
			lines := strings.SplitAfter(string(data), "\n")
			lines[1] = strings.Repeat(" ", len(lines[1]))
			return os.WriteFile(path, []byte(strings.Join(lines, "")), 0o600)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := blobtest.Folder(t)
			d := destinationOn(t, s, Config{Format: "ndjson"}, coreEnv(t, nil))
			load(t, d, leads, martsync.Commit{Next: "1"}, func(b *rows.Builder) {
				for i := range int64(3) {
					b.Append(i, "Ann", rows.Micros(1))
				}
			})
			var key string
			for key = range visible(t, s) {
			}
			path := filepath.Join(s.String(), filepath.FromSlash(key))
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := touch(path, data); err != nil {
				t.Fatal(err)
			}
			_, records, err := d.ReadTable(t.Context(), "leads")
			if err != nil {
				t.Fatal(err)
			}
			err = nil
			for _, err = range records {
			}
			if martsync.KindOf(err) != martsync.Data || martsync.HintOf(err) == "" || !strings.Contains(err.Error(), key) {
				t.Errorf("got %v of kind %v with hint %q, want an error of kind data with a hint about %s", err, martsync.KindOf(err), martsync.HintOf(err), key)
			}
		})
	}
}

func TestLedgerOfAllStreams(t *testing.T) {
	d := destinationOn(t, blobtest.Folder(t), Config{}, coreEnv(t, nil))
	other := leads
	other.Stream = "accounts"
	window := func(job string) martsync.Window {
		return martsync.Window{From: noon, To: noon.Add(time.Hour), Job: job, Records: -1, Bytes: -1, Parsed: 3, Quarantined: 1, Written: 2}
	}
	var want []martsync.LedgerEntry
	for i, s := range []martsync.Schema{leads, other, leads} {
		sync, job := fmt.Sprint("sync ", i), fmt.Sprint("job ", i)
		load(t, d, s, martsync.Commit{Sync: sync, Next: martsync.Cursor(job), Windows: []martsync.Window{window(job)}}, nil)
		want = append(want, martsync.LedgerEntry{Stream: s.Stream, Sync: sync, Window: window(job)})
	}
	read := func(stream string) (got []martsync.LedgerEntry) {
		for e, err := range d.Ledger(t.Context(), stream) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, e)
		}
		return got
	}
	if diff := cmp.Diff([]martsync.LedgerEntry{want[1], want[0], want[2]}, read("")); diff != "" {
		t.Errorf("ledger of all streams (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]martsync.LedgerEntry{want[0], want[2]}, read("leads")); diff != "" {
		t.Errorf("ledger of leads (-want +got):\n%s", diff)
	}
	if got := read("nothing"); got != nil {
		t.Errorf("ledger of a stream that does not exist: got %v", got)
	}
	for range d.Ledger(t.Context(), "") { // whoever stops early gets no second call
		break
	}
}

func TestNewestTime(t *testing.T) {
	day := int64(86_400_000_000)
	s := martsync.Schema{
		Stream: "Leads", Key: []string{"id"}, Version: "updated_at", Deletes: true,
		Columns: []martsync.Column{
			{Name: "id", Type: martsync.Int64},
			{Name: "updated_at", Type: martsync.Timestamp},
			{Name: "created_at", Type: martsync.Timestamp},
			{Name: "born", Type: martsync.Date},
			{Name: "text", Type: martsync.String},
			{Name: "n", Type: martsync.Int64},
		},
	}
	d := destinationOn(t, blobtest.Folder(t), Config{}, coreEnv(t, nil))
	load(t, d, s, martsync.Commit{Next: "1"}, func(b *rows.Builder) {
		b.Append(int64(1), rows.Micros(5), rows.Micros(70*day), rows.Date(70), "2030-01-01", int64(1))
		b.Append(int64(2), rows.Micros(6), rows.Micros(20*day), rows.Date(20), "2020-02-29T12:00:00.5+01:00", int64(1))
		b.Append(int64(3), rows.Micros(-7), nil, nil, "not yet", int64(1))
	})
	load(t, d, s, martsync.Commit{Next: "2"}, func(b *rows.Builder) {
		b.Append(int64(1), rows.Micros(9), rows.Micros(30*day), rows.Date(30), "2019-01-01 00:00:00", int64(1)) // replaces the newest of all
		b.AppendTombstone(int64(4), rows.Micros(12), nil, nil, nil, nil)
	})
	plain := s
	plain.Stream, plain.Key, plain.Version, plain.Deletes = "plain", nil, "", false
	plain.Columns = s.Columns[:3]
	load(t, d, plain, martsync.Commit{Next: "1"}, func(b *rows.Builder) {
		b.Append(int64(1), rows.Micros(-5), rows.Micros(3*day))
	})
	empty := plain
	empty.Stream = "empty"
	load(t, d, empty, martsync.Commit{Next: "1"}, nil)
	for _, c := range []struct {
		name, table, column string
		want                time.Time
		opened              int64 // data files, at most
	}{
		{"the version, which a tombstone has too", "leads", "updated_at", time.UnixMicro(12), 0},
		{"a column that is no version, of which the newest was replaced", "Leads", "CREATED_AT", time.UnixMicro(30 * day), 2},
		{"dates", "Leads", "born", time.UnixMicro(30 * day), 2},
		{"texts that are times", "LEADS", "text", time.Date(2020, 2, 29, 11, 0, 0, 5e8, time.UTC), 2},
		{"no times", "Leads", "n", time.Time{}, 0},
		{"a table without a key", "plain", "created_at", time.UnixMicro(3 * day), 0},
		{"before 1970", "plain", "updated_at", time.UnixMicro(-5), 0},
		{"no rows", "empty", "created_at", time.Time{}, 0},
		{"no table", "nothing", "created_at", time.Time{}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := d.store
			defer func() { d.store = before }()
			calls := &counting{Store: before}
			d.store = calls
			got, err := d.NewestTime(t.Context(), c.table, c.column)
			if err != nil || !got.Equal(c.want) || got.Location() != time.UTC {
				t.Errorf("got %v and error %v, want %v", got, err, c.want)
			}
			if n := calls.files.Load(); n > c.opened {
				t.Errorf("data files opened: got %d, want at most %d", n, c.opened)
			}
		})
	}
	if _, err := d.NewestTime(t.Context(), "Leads", "nothing"); martsync.KindOf(err) != martsync.Config {
		t.Errorf("a column that is not there: got %v, want an error of kind config", err)
	}
}

// findingsOf are the subjects of a check, and whether they are well.
func findingsOf(findings []martsync.Finding) (all []string) {
	for _, f := range findings {
		all = append(all, fmt.Sprintf("%s: %v", f.Subject, f.OK))
	}
	return all
}

func TestCheck(t *testing.T) {
	for name, c := range map[string]struct {
		open func(testing.TB) blob.Store
		want []string
	}{
		"folder": {blobtest.Folder, []string{"list files: true", "write files: true", "read files: true", "one writer at a time: true", "unfinished uploads: true", "delete files: true", "free space: true"}},
		"S3":     {blobtest.Bucket, []string{"list files: true", "write files: true", "read files: true", "one writer at a time: true", "clock: true", "unfinished uploads: true", "delete files: true"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := c.open(t)
			d := destinationOn(t, s, Config{}, coreEnv(t, nil))
			load(t, d, leads, martsync.Commit{Next: "1"}, nil)
			before := blobtest.Keys(t, s, "", "")
			findings := d.Check(t.Context())
			if diff := cmp.Diff(c.want, findingsOf(findings)); diff != "" {
				t.Errorf("findings (-want +got):\n%s\n%+v", diff, findings)
			}
			if !strings.Contains(findings[0].Detail, s.String()+", 1 table") {
				t.Errorf("detail of the place: got %q", findings[0].Detail)
			}
			if diff := cmp.Diff(before, blobtest.Keys(t, s, "", "")); diff != "" {
				t.Errorf("objects after the check (-before +after):\n%s", diff)
			}
			if left := unfinished(t, s); len(left) > 0 {
				t.Errorf("uploads after the check: %v", left)
			}
		})
	}
}

// TestCheckFails: each right that is missing is a finding of its own, and nothing is left behind that
// could have been removed.
func TestCheckFails(t *testing.T) {
	denied := func(method, query string) func(w http.ResponseWriter, r *http.Request, next http.Handler) bool {
		return func(w http.ResponseWriter, r *http.Request, _ http.Handler) bool {
			if r.Method != method || !strings.Contains(r.URL.RawQuery, query) {
				return false
			}
			_, _ = io.Copy(io.Discard, r.Body)
			s3test.Say(w, http.StatusForbidden, "AccessDenied", "Access Denied")
			return true
		}
	}
	for name, c := range map[string]struct {
		method, query string
		want          []string // findings that are not well
		action        string   // that the hint or detail names
	}{
		"no list":         {http.MethodGet, "list-type=2", []string{"list files", "clock"}, "s3:ListBucket"},
		"no put":          {http.MethodPut, "", []string{"write files"}, "s3:PutObject"},
		"no get":          {http.MethodGet, "x-id=GetObject", []string{"read files"}, "s3:GetObject"},
		"no list uploads": {http.MethodGet, "uploads", []string{"unfinished uploads"}, "s3:ListBucketMultipartUploads"},
		"no abort":        {http.MethodDelete, "uploadId", []string{"unfinished uploads"}, "s3:AbortMultipartUpload"},
	} {
		t.Run(name, func(t *testing.T) {
			f := blobtest.NewS3(t)
			s := f.Store("data")
			d := destinationOn(t, s, Config{}, coreEnv(t, nil))
			load(t, d, leads, martsync.Commit{Next: "1"}, nil)
			before := blobtest.Keys(t, s, "", "")
			f.During(denied(c.method, c.query))
			findings := d.Check(t.Context())
			f.During(nil)
			var got []string
			for _, finding := range findings {
				if finding.OK {
					continue
				}
				got = append(got, finding.Subject)
				if martsync.KindOf(finding.Err) != martsync.Auth || !strings.Contains(finding.Detail+finding.Hint, c.action) {
					t.Errorf("%s: got %q of kind %v with hint %q, want an error of kind auth that names %s", finding.Subject, finding.Detail, martsync.KindOf(finding.Err), finding.Hint, c.action)
				}
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("what is not well (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(before, blobtest.Keys(t, s, "", "")); diff != "" {
				t.Errorf("objects after the check (-before +after):\n%s", diff)
			}
		})
	}
}

// off is a clock that is wrong.
type off struct {
	martsync.SystemClock
	by time.Duration
}

func (o off) Now() time.Time { return o.SystemClock.Now().Add(o.by) }

func TestCheckClock(t *testing.T) {
	for by, want := range map[time.Duration]bool{0: true, 3 * time.Minute: true, -3 * time.Minute: true, 10 * time.Minute: false, -10 * time.Minute: false} {
		// Against a simulated vendor time runs faster; that is not the machine's clock.
		d := destinationOn(t, blobtest.Bucket(t), Config{}, coreEnv(t, off{by: 1000 * time.Hour}))
		d.wall = off{by: by}
		for _, f := range d.Check(t.Context()) {
			if f.OK != (f.Subject != "clock" || want) {
				t.Errorf("clock off by %v, %s: got %v (%s)", by, f.Subject, f.OK, f.Detail)
			}
		}
	}
}

// TestCheckStops: a store that is not there is said once.
func TestCheckStops(t *testing.T) {
	s := blobtest.Folder(t)
	d := destinationOn(t, &blobtest.Hooked{Store: s, Call: func(string, string, func() error) error {
		return &martsync.Error{Kind: martsync.Transient, Op: "test", Err: errors.New("no such host"), Hint: "find it"}
	}}, Config{}, coreEnv(t, nil))
	findings := d.Check(t.Context())
	if len(findings) != 1 || findings[0].OK || findings[0].Hint != "find it" {
		t.Errorf("got %+v, want one finding with its hint", findings)
	}
}
