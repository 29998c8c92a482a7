package files

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/rows"
)

// leads is a table with a version.
var leads = martsync.Schema{
	Stream: "leads", Key: []string{"id"}, Version: "updated_at", Deletes: true,
	Columns: []martsync.Column{
		{Name: "id", Type: martsync.Int64}, {Name: "name", Type: martsync.String}, {Name: "updated_at", Type: martsync.Timestamp},
	},
}

// many is a file of n leads, whose names are that long.
func many(s martsync.Schema, n, size, version int) replayFile {
	return replayFile{Schema: s, Rows: func(context.Context) iter.Seq2[*martsync.Records, error] {
		return func(yield func(*martsync.Records, error) bool) {
			b := rows.NewBuilder(s.Columns)
			for i := range n {
				b.Append(int64(i), strings.Repeat("x", size), rows.Micros(version))
				if b.Len() == 1000 || i == n-1 {
					if !yield(b.Records(), nil) {
						return
					}
					b.Reset()
				}
			}
		}
	}}
}

// openTemporary are the temporary files of resolvers that this process has open, as far as the
// system tells.
func openTemporary(t *testing.T, dir string) (open []string) {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("this system does not list open files")
	}
	for _, fd := range fds {
		if name, err := os.Readlink("/proc/self/fd/" + fd.Name()); err == nil && strings.HasPrefix(name, dir) {
			open = append(open, name)
		}
	}
	return open
}

func wantNothingLeft(t *testing.T, dir string) {
	t.Helper()
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("temporary folder: got %v and error %v, want nothing in it", left, err)
	}
	if open := openTemporary(t, dir); len(open) > 0 {
		t.Errorf("open files: got %v, want none", open)
	}
}

func TestTemporaryFilesAreGone(t *testing.T) {
	broken := errors.New("the file is broken")
	last := many(leads, 25_000, 10, 2)
	for name, c := range map[string]struct {
		file replayFile
		stop int // after so many batches; 0: never
		want error
	}{
		"all is read":         {file: last},
		"the reader stops":    {file: last, stop: 1},
		"a file is broken":    {want: broken, file: replayFile{Schema: leads, Rows: failingRows(leads, broken)}},
		"a row is broken":     {want: fs.ErrInvalid, file: replayFile{Schema: leads, Rows: failingRows(leads, fs.ErrInvalid)}},
		"the call is stopped": {want: context.Canceled, file: replayFile{Schema: leads, Rows: failingRows(leads, nil)}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			file := c.file
			if errors.Is(c.want, context.Canceled) {
				file.Rows = func(ctx context.Context) iter.Seq2[*martsync.Records, error] {
					cancel()
					return c.file.Rows(ctx)
				}
			}
			steps := []replayStep{{Files: []replayFile{many(leads, 25_000, 10, 1)}}, {Files: []replayFile{file}}}
			var got error
			batches, spilled := 0, 0
			limits := replayLimits{Memory: 20_000, Block: 500, Buckets: 4}
			for _, err := range resolve(ctx, dir, limits, []martsync.Schema{leads}, sequence(steps)) {
				got = err
				spilled = max(spilled, len(openTemporary(t, dir)))
				if batches++; batches == c.stop {
					break
				}
			}
			if !errors.Is(got, c.want) {
				t.Errorf("got error %v, want %v", got, c.want)
			}
			if c.want == nil && spilled == 0 {
				t.Error("no temporary file was seen while rows were read, so this proves nothing")
			}
			wantNothingLeft(t, dir)
		})
	}
}

// failingRows yields a few rows and an error.
func failingRows(s martsync.Schema, err error) func(context.Context) iter.Seq2[*martsync.Records, error] {
	return func(ctx context.Context) iter.Seq2[*martsync.Records, error] {
		return func(yield func(*martsync.Records, error) bool) {
			for r := range many(s, 3000, 10, 3).Rows(ctx) {
				if !yield(r, nil) {
					return
				}
			}
			if err != nil {
				yield(nil, err)
			}
		}
	}
}

func TestTemporaryFolderThatIsNotThere(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "gone")
	steps := []replayStep{{Files: []replayFile{many(leads, 5000, 10, 1)}}}
	for _, err := range resolve(t.Context(), dir, tiny, []martsync.Schema{leads}, sequence(steps)) {
		if !errors.Is(err, fs.ErrNotExist) || martsync.KindOf(err) != martsync.Transient {
			t.Errorf("got %v of kind %v, want fs.ErrNotExist of kind transient", err, martsync.KindOf(err))
		}
		return
	}
	t.Error("got nothing, want an error")
}

// TestResolverMemory: a table many times as large as what the resolver may take, in records of
// which each has several versions.
func TestResolverMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("writes 60 MB")
	}
	dir := t.TempDir()
	limits := replayLimits{Memory: 4 << 20, Block: 16 << 10, Buckets: 8}
	const n, size = 40_000, 500
	steps := []replayStep{
		{Files: []replayFile{many(leads, n, size, 1)}}, {Files: []replayFile{many(leads, n, size, 3)}}, {Files: []replayFile{many(leads, n, size, 2)}},
	}
	var before, m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	got, peak := 0, uint64(0)
	for r, err := range resolve(t.Context(), dir, limits, []martsync.Schema{leads}, sequence(steps)) {
		if err != nil {
			t.Fatal(err)
		}
		for i := range r.Len {
			if v := r.Columns[2].Ints[i]; v != 3 {
				t.Fatalf("version of %d: got %d, want 3", r.Columns[0].Ints[i], v)
			}
		}
		got += r.Len
		runtime.GC()
		runtime.ReadMemStats(&m)
		peak = max(peak, m.HeapAlloc-min(before.HeapAlloc, m.HeapAlloc))
	}
	if got != n {
		t.Errorf("got %d rows, want %d", got, n)
	}
	// What a bucket may take, a batch of rows, and blocks; the table has 20 MB, its versions 60.
	if most := uint64(limits.Memory + 2*martsync.MaxBytes); peak > most {
		t.Errorf("memory: got %d bytes, want at most %d", peak, most)
	}
	wantNothingLeft(t, dir)
}

// TestManyVersionsOfOneRecord: a bucket may be larger than memory if its records are not, and one
// record is never divided.
func TestManyVersionsOfOneRecord(t *testing.T) {
	var steps []replayStep
	for v := range 200 {
		steps = append(steps, replayStep{Files: []replayFile{many(leads, 1, 2000, v)}})
	}
	got := linesOf(t, leads, resolve(t.Context(), t.TempDir(), tiny, []martsync.Schema{leads}, sequence(steps)))
	want := []string{fmt.Sprintf("id: int64 0, name: string %s, updated_at: rows.Micros %v, deleted: false", strings.Repeat("x", 2000), rows.Micros(199))}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("table (-want +got):\n%s", diff)
	}
}

// TestKeysThatAreWidened: a key of another type is the same key. (In the destination in memory that
// depends on how both are written.)
func TestKeysThatAreWidened(t *testing.T) {
	table := func(c martsync.Column) martsync.Schema {
		c.Name = "id"
		return martsync.Schema{Stream: "things", Key: []string{"id"}, Columns: []martsync.Column{c, {Name: "n", Type: martsync.Int64}}}
	}
	file := func(s martsync.Schema, id any, n int64) replayFile {
		b := rows.NewBuilder(s.Columns)
		b.Append(id, n)
		return fileOf(s, b.Records())
	}
	day, moment := table(martsync.Column{Type: martsync.Date}), table(martsync.Column{Type: martsync.Timestamp})
	small, large := table(martsync.Column{Type: martsync.Decimal, Precision: 4, Scale: 1}), table(martsync.Column{Type: martsync.Decimal, Precision: 8, Scale: 3})
	text := table(martsync.Column{Type: martsync.String})
	decimal := func(s string, scale int) rows.Decimal {
		d, err := rows.ParseDecimal(s, scale)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	for name, c := range map[string]struct {
		tables []martsync.Schema
		steps  []replayStep
		want   []string
	}{
		"dates": {
			[]martsync.Schema{day, moment},
			[]replayStep{{Table: 0, Files: []replayFile{file(day, rows.Date(1), 1)}}, {Table: 1, Files: []replayFile{file(moment, rows.Micros(86_400e6), 2)}}, {Table: 1, Files: []replayFile{file(day, rows.Date(1), 3)}}},
			[]string{"id: rows.Micros 1970-01-02T00:00:00Z, n: int64 3, deleted: false"},
		},
		"decimals": {
			[]martsync.Schema{small, large},
			[]replayStep{{Table: 0, Files: []replayFile{file(small, decimal("1.5", 1), 1)}}, {Table: 1, Files: []replayFile{file(large, decimal("1.500", 3), 2)}}},
			[]string{"id: rows.Decimal 1.500, n: int64 2, deleted: false"},
		},
		"dates that became texts by way of times": {
			[]martsync.Schema{day, moment, text},
			[]replayStep{{Table: 0, Files: []replayFile{file(day, rows.Date(1), 1)}}, {Table: 2, Files: []replayFile{file(text, "1970-01-02T00:00:00Z", 2)}}},
			[]string{"id: string 1970-01-02T00:00:00Z, n: int64 2, deleted: false"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := linesOf(t, c.tables[len(c.tables)-1], resolve(t.Context(), t.TempDir(), tiny, c.tables, sequence(c.steps)))
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("table (-want +got):\n%s", diff)
			}
		})
	}
}

// TestVersionsAreComparedAsWhatTheyWere: 9 and 10 were numbers when 10 won, and are texts now.
func TestVersionsAreComparedAsWhatTheyWere(t *testing.T) {
	number, text := leads, leads
	number.Columns, text.Columns = slices.Clone(leads.Columns), slices.Clone(leads.Columns)
	number.Columns[2].Type, text.Columns[2].Type = martsync.Int64, martsync.String
	row := func(s martsync.Schema, name string, version any) replayFile {
		b := rows.NewBuilder(s.Columns)
		b.Append(int64(1), name, version)
		return fileOf(s, b.Records())
	}
	steps := []replayStep{
		{Table: 0, Files: []replayFile{row(number, "ten", int64(10)), row(number, "nine", int64(9))}},
		{Table: 1, Files: []replayFile{row(text, "eleven", "0011")}}, // as texts it is lower
	}
	got := linesOf(t, text, resolve(t.Context(), t.TempDir(), tiny, []martsync.Schema{number, text}, sequence(steps)))
	want := []string{"id: int64 1, name: string ten, updated_at: string 10, deleted: false"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("table (-want +got):\n%s", diff)
	}
	// A number that comes when versions are texts is compared as a text, too.
	steps = append(steps, replayStep{Table: 1, Files: []replayFile{row(number, "nine again", int64(9))}})
	got = linesOf(t, text, resolve(t.Context(), t.TempDir(), tiny, []martsync.Schema{number, text}, sequence(steps)))
	want = []string{"id: int64 1, name: string nine again, updated_at: string 9, deleted: false"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("table (-want +got):\n%s", diff)
	}
}

// TestCensusesAtTheExtremes also makes the log of events spill.
func TestCensusesAtTheExtremes(t *testing.T) {
	var keys []int64
	for i := range int64(1_500_000) {
		keys = append(keys, i*1001-700_000_000)
	}
	b := rows.NewBuilder(leads.Columns)
	for _, id := range []int64{math.MinInt64, math.MinInt64 + 1, 0, 1001 - 700_000_000, math.MaxInt64} {
		b.Append(id, "x", rows.Micros(1))
	}
	all := fileOf(leads, b.Records())
	steps := []replayStep{
		{Files: []replayFile{all}},
		{Censuses: []martsync.Census{{After: math.MinInt64, UpTo: 0, Keys: append([]int64{math.MinInt64 + 1}, slices.DeleteFunc(slices.Clone(keys), func(k int64) bool { return k > 0 })...)}}},
		{Censuses: []martsync.Census{{After: 0, UpTo: math.MaxInt64, Keys: []int64{math.MaxInt64}}}},
		{Complete: []martsync.Scope{{Column: "id", Value: fmt.Sprint(math.MaxInt64)}}},
		{Censuses: []martsync.Census{{After: -10, UpTo: 10, Keys: []int64{5}}}},
	}
	dir := t.TempDir()
	got := linesOf(t, leads, resolve(t.Context(), dir, tiny, []martsync.Schema{leads}, sequence(steps)))
	row := func(id int64, deleted bool) string {
		return fmt.Sprintf("id: int64 %d, name: string x, updated_at: rows.Micros %v, deleted: %v", id, rows.Micros(1), deleted)
	}
	want := []string{row(math.MinInt64, false), row(math.MinInt64+1, false), row(0, true), row(1001-700_000_000, false), row(math.MaxInt64, true)}
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("table (-want +got):\n%s", diff)
	}
	wantNothingLeft(t, dir)
}

func TestEventLog(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := &eventLog{temp: &tempFiles{dir: os.TempDir()}}
		defer l.temp.close()
		type events struct {
			Scopes   []martsync.Scope
			Censuses []martsync.Census
		}
		var all []events
		var at []eventPos
		for range rapid.IntRange(1, 5).Draw(t, "steps") {
			var e events
			for range rapid.IntRange(0, 3).Draw(t, "scopes") {
				e.Scopes = append(e.Scopes, martsync.Scope{Column: rapid.String().Draw(t, "column"), Value: rapid.String().Draw(t, "value")})
			}
			for range rapid.IntRange(0, 3).Draw(t, "censuses") {
				keys := rapid.SliceOfDistinct(rapid.Int64(), rapid.ID[int64]).Draw(t, "keys")
				slices.Sort(keys)
				e.Censuses = append(e.Censuses, martsync.Census{After: rapid.Int64().Draw(t, "after"), UpTo: rapid.Int64().Draw(t, "up to"), Keys: keys})
			}
			pos, err := l.append(e.Scopes, e.Censuses)
			if err != nil {
				t.Fatal(err)
			}
			all, at = append(all, e), append(at, pos)
		}
		for i := range all {
			scopes, censuses, err := l.read(at[i])
			if err != nil {
				t.Fatal(err)
			}
			for j := range all[i].Censuses {
				if len(all[i].Censuses[j].Keys) == 0 {
					all[i].Censuses[j].Keys, censuses[j].Keys = nil, nil
				}
			}
			if diff := cmp.Diff(all[i], events{scopes, censuses}); diff != "" {
				t.Fatalf("events of step %d (-want +got):\n%s", i, diff)
			}
		}
	})
}

func TestSpans(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s spans
		var in [40]bool // k+1 for k from -1
		for range rapid.IntRange(0, 8).Draw(t, "spans") {
			after := rapid.Int64Range(0, 30).Draw(t, "after")
			upTo := after + rapid.Int64Range(-1, 8).Draw(t, "length")
			want := true
			for k := after + 1; k <= upTo; k++ {
				want = want && in[k]
			}
			if got := s.contain(span{after, upTo}); got != want {
				t.Fatalf("%v contain (%d, %d]: got %v, want %v", s, after, upTo, got, want)
			}
			s.add(span{after, upTo})
			for k := after + 1; k <= upTo; k++ {
				in[k] = true
			}
		}
		for i := 1; i < len(s); i++ {
			if s[i-1].upTo >= s[i].after {
				t.Fatalf("spans touch: %v", s)
			}
		}
	})
}

// TestBrokenBlocks: whatever a temporary file holds, it is an error and no panic.
func TestBrokenBlocks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := appendRecord(nil, rowHead{Step: 300, Version: 2, Tombstone: true}, []byte("key"), []byte("cells"))
		b = append(b, appendRecord(nil, rowHead{Version: -1}, nil, nil)...)
		cut := rapid.IntRange(0, len(b)-1).Draw(t, "cut")
		damaged := append([]byte{}, b[:cut]...)
		if i := rapid.IntRange(0, len(b)).Draw(t, "changed"); i < len(damaged) {
			damaged[i] = rapid.Byte().Draw(t, "to")
		}
		for n := 0; len(damaged) > 0; n++ {
			_, _, _, rest, err := cutRecord(damaged)
			if err != nil {
				return
			}
			if len(rest) >= len(damaged) {
				t.Fatal("a record of no length")
			}
			damaged = rest
		}
		_, _, _ = cutEvents(b[:cut])
	})
}
