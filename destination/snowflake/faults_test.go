//go:build cgo && !lite

package snowflake

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/destination/snowflake/snowflakesim"
	"github.com/martsync/martsync/internal/crash"
	"github.com/martsync/martsync/internal/rows"
	"github.com/martsync/martsync/internal/sqlgen"
)

// contents are the rows of the table as the account has them, beside our own way of reading.
func contents(t testing.TB, d *destination) map[int64]string {
	t.Helper()
	s, batches, err := d.ReadTable(t.Context(), small.Stream)
	mustDo(t, "read", err)
	out := map[int64]string{}
	for r, err := range batches {
		mustDo(t, "read", err)
		for _, cells := range rows.Of(s.Columns, r) {
			id, ok := cells[0].(int64)
			if !ok || out[id] != "" {
				t.Errorf("key %v is there twice, or is no number", cells[0])
			}
			out[id] = fmt.Sprint(cells[1])
		}
	}
	return out
}

// windows are the jobs in the ledger.
func windows(t testing.TB, d *destination) (out []string) {
	t.Helper()
	for e, err := range d.Ledger(t.Context(), small.Stream) {
		mustDo(t, "ledger", err)
		out = append(out, e.Window.Job)
	}
	return out
}

// expected are the rows that leads makes.
func expected(from, to, version int64) map[int64]string {
	out := map[int64]string{}
	for i := from; i < to; i++ {
		out[i] = fmt.Sprintf("name %d of %d", i, version)
	}
	return out
}

// TestFaults lets something go wrong at each statement of a load in turn. Whatever it is, the load is repeated until it is
// there, as the pipeline does, and in the end every row is there once and so is its window.
func TestFaults(t *testing.T) {
	t.Parallel()
	for first, kind := range []snowflakesim.FaultKind{ // each begins elsewhere, so that together they have all statements
		snowflakesim.DropBefore, snowflakesim.DropAfter, snowflakesim.SessionExpired, snowflakesim.SessionGone, snowflakesim.AuthExpired,
		snowflakesim.Unavailable, snowflakesim.Async,
	} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			server := start(t, snowflakesim.Options{})
			c := connected(t, server)
			d := openOn(t, c)
			defer func() { mustDo(t, "close", d.Close()) }()
			loadOnce(t, d, "before", leads(0, 5, 1))
			server.ResetStatements()
			loadOnce(t, d, "sync 0", leads(0, 10, 2))
			statements := len(server.Statements())
			jobs := []string{"before", "sync 0"}
			step := 1
			switch {
			case crash.Nightly():
			case kind == snowflakesim.DropBefore, kind == snowflakesim.DropAfter, kind == snowflakesim.Unavailable:
				step = 7 // the driver waits a second or more before it tries again
			case slow:
				step = 3
			}
			for n := first % step; n < statements; n += step {
				version := int64(n + 3)
				sync := fmt.Sprint("sync ", n+1)
				server.Inject(snowflakesim.Fault{Kind: kind, Skip: n})
				repeat(t, d, sync, leads(version, version+10, version))
				server.ClearFaults()
				jobs = append(jobs, sync)
				want := expected(version, version+10, version)
				got := contents(t, d)
				for id, name := range want {
					if got[id] != name {
						t.Fatalf("fault at statement %d: row %d is %q, want %q", n, id, got[id], name)
					}
				}
				if diff := cmp.Diff(jobs, windows(t, d)); diff != "" {
					t.Fatalf("fault at statement %d: ledger (-want +got):\n%s", n, diff)
				}
			}
		})
	}
}

// repeat loads until the position says that the load is there.
func repeat(t testing.TB, d *destination, sync string, r *martsync.Records) {
	t.Helper()
	for attempt := range 5 {
		err := func() error {
			w, err := d.Open(t.Context(), small)
			if err != nil {
				return err
			}
			defer func() { mustDo(t, "close the writer", w.Close()) }()
			if w.Cursor() == martsync.Cursor(sync) {
				return nil
			}
			if err := w.Write(t.Context(), r); err != nil {
				return err
			}
			return w.Commit(t.Context(), aCommit(sync, martsync.Cursor(sync)))
		}()
		if err == nil {
			return
		}
		if kind := martsync.KindOf(err); kind != martsync.Transient && kind != martsync.Conflict && !strings.Contains(err.Error(), "390") {
			t.Fatalf("%s, attempt %d: %v is of kind %v", sync, attempt, err, kind)
		}
	}
	t.Fatalf("%s does not come through", sync)
}

// TestLostCommit loses the answer to COMMIT: the commit took effect.
func TestLostCommit(t *testing.T) {
	server := start(t, snowflakesim.Options{})
	d := openOn(t, connected(t, server))
	defer func() { mustDo(t, "close", d.Close()) }()
	loadOnce(t, d, "before", leads(0, 5, 1))
	w := openWriter(t, d)
	mustDo(t, "write", w.Write(t.Context(), leads(0, 10, 2)))
	d.after = func(statement string) error {
		if statement == "COMMIT" {
			return io.ErrUnexpectedEOF
		}
		return nil
	}
	if err := w.Commit(t.Context(), aCommit("lost", "lost")); err == nil || martsync.KindOf(err) != martsync.Transient {
		t.Errorf("commit without an answer: got %v, want an error of kind transient", err)
	}
	mustDo(t, "close the writer", w.Close())
	d.after = nil
	again := openWriter(t, d)
	if again.Cursor() != "lost" {
		t.Errorf("cursor: got %q, want that of the commit whose answer was lost", again.Cursor())
	}
	mustDo(t, "close the writer", again.Close())
	if diff := cmp.Diff(expected(0, 10, 2), contents(t, d)); diff != "" {
		t.Errorf("table (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"before", "lost"}, windows(t, d)); diff != "" {
		t.Errorf("ledger (-want +got):\n%s", diff)
	}
}

// swallow is a line that takes the request to end a session and never answers, until it is opened again.
type swallow struct {
	http.RoundTripper
	arrived, open, answered chan struct{}
}

func (s *swallow) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Query().Get("delete") == "true" {
		close(s.arrived) // a second one would panic: there is one session
		<-s.open
		defer close(s.answered)
	}
	return s.RoundTripper.RoundTrip(r)
}

// TestSignOutIsBounded closes a destination on a line that swallows what is sent.
func TestSignOutIsBounded(t *testing.T) {
	c := connected(t, start(t, snowflakesim.Options{}))
	line := &swallow{RoundTripper: c.transporter, arrived: make(chan struct{}), open: make(chan struct{}), answered: make(chan struct{})}
	c.transporter = line
	d := openOn(t, c)
	d.endWait = 50 * time.Millisecond
	loadOnce(t, d, "first", leads(0, 3, 1))
	mustDo(t, "close", d.Close()) // or the test hangs
	<-line.arrived                // it may be sent later than somebody waits for it
	close(line.open)
	<-line.answered // so that the account is there for the answer
}

// TestRefusals has who must act on what the account refuses.
func TestRefusals(t *testing.T) {
	t.Parallel()
	const house = snowflakesim.DefaultWarehouse
	for name, tt := range map[string]struct {
		prepare func(*snowflakesim.Server)
		kind    martsync.Kind
	}{
		"no warehouse":          {func(s *snowflakesim.Server) { s.DropWarehouse(house) }, martsync.Config},
		"a suspended warehouse": {func(s *snowflakesim.Server) { s.Suspend(house, true) }, martsync.Config},
		"a spent quota":         {func(s *snowflakesim.Server) { s.SetQuota(house, true) }, martsync.Quota},
		"a broken file":         {func(s *snowflakesim.Server) { s.Inject(snowflakesim.Fault{Kind: snowflakesim.CopyFails, File: 1}) }, martsync.Data},
		"a cut upload": {func(s *snowflakesim.Server) {
			s.Inject(snowflakesim.Fault{Kind: snowflakesim.StageCut, Match: ".parquet", Times: 1000})
		}, martsync.Transient},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := start(t, snowflakesim.Options{})
			d := openOn(t, connected(t, server))
			defer func() { mustDo(t, "close", d.Close()) }()
			loadOnce(t, d, "before", leads(0, 5, 1))
			tt.prepare(server)
			w := openWriter(t, d)
			ctx := t.Context()
			if tt.kind == martsync.Transient { // it would be tried again for long
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, 3*time.Second)
				defer cancel()
			}
			err := w.Write(ctx, leads(0, 9, 2))
			if err == nil {
				err = w.Commit(ctx, aCommit("refused", "refused"))
			}
			if err == nil || martsync.KindOf(err) != tt.kind {
				t.Errorf("got %v of kind %v, want kind %v", err, martsync.KindOf(err), tt.kind)
			}
			if tt.kind != martsync.Transient && martsync.HintOf(err) == "" {
				t.Errorf("%v has no hint", err)
			}
			mustDo(t, "close the writer", w.Close())
			again := openWriter(t, d)
			if again.Cursor() != "before" {
				t.Errorf("cursor: got %q, want before", again.Cursor())
			}
			mustDo(t, "close the writer", again.Close())
		})
	}
}

// TestWrongHint has a position on the stage that is not the truth, as after a restore of the table of cursors: it costs one
// conflict.
func TestWrongHint(t *testing.T) {
	server := start(t, snowflakesim.Options{})
	d := openOn(t, connected(t, server))
	defer func() { mustDo(t, "close", d.Close()) }()
	loadOnce(t, d, "first", leads(0, 5, 1))
	mustDo(t, "hint", d.with(t.Context(), "hint", func(s *session) error {
		return s.settle(t.Context(), hint{Stream: small.Stream, Commits: 7, Cursor: "wrong"}, "w")
	}))
	w := openWriter(t, d)
	if w.Cursor() != "wrong" {
		t.Fatalf("cursor: got %q: the position on the stage is not read", w.Cursor())
	}
	mustDo(t, "write", w.Write(t.Context(), leads(0, 9, 2)))
	if err := w.Commit(t.Context(), aCommit("second", "second")); martsync.KindOf(err) != martsync.Conflict {
		t.Errorf("commit on a wrong position: got %v, want a conflict", err)
	}
	mustDo(t, "close the writer", w.Close())
	if diff := cmp.Diff(expected(0, 5, 1), contents(t, d)); diff != "" {
		t.Errorf("table (-want +got):\n%s", diff)
	}
	w = openWriter(t, d)
	if w.Cursor() != "first" {
		t.Errorf("cursor afterwards: got %q, want first", w.Cursor())
	}
	mustDo(t, "close the writer", w.Close())
	loadOnce(t, d, "third", leads(0, 9, 3))
	if diff := cmp.Diff(expected(0, 9, 3), contents(t, d)); diff != "" {
		t.Errorf("table (-want +got):\n%s", diff)
	}
}

// TestOlderPosition has somebody set a stream back, here to its beginning, while rows are on the stage that build on a later
// commit. When the table has as many commits again, they must not be taken for rows that build on that one.
func TestOlderPosition(t *testing.T) {
	server := start(t, snowflakesim.Options{})
	d := openOn(t, connected(t, server))
	defer func() { mustDo(t, "close", d.Close()) }()
	loadOnce(t, d, "first", leads(0, 5, 1))
	w := openWriter(t, d)
	mustDo(t, "write", w.Write(t.Context(), leads(100, 109, 1)))
	mustDo(t, "stage", w.Stage(t.Context(), aCommit("second", "second")))
	mustDo(t, "close the writer", w.Close())
	mustDo(t, "set back", d.Exec(t.Context(), []string{"DELETE FROM " + d.table(sqlgen.Cursors), "DELETE FROM " + d.table(small.Stream)}))

	w = openWriter(t, d) // the stage still says something else, which costs a conflict
	if err := w.Commit(t.Context(), aCommit("second", "second")); martsync.KindOf(err) != martsync.Conflict {
		t.Errorf("commit on a position that is no more: got %v, want a conflict", err)
	}
	mustDo(t, "close the writer", w.Close())
	for _, sync := range []string{"anew", "again"} {
		w = openWriter(t, d)
		if w.Staged() != "" {
			t.Fatalf("before %s: rows are staged up to %q, want none", sync, w.Staged())
		}
		mustDo(t, "write", w.Write(t.Context(), leads(0, 3, 2)))
		mustDo(t, "commit", w.Commit(t.Context(), aCommit(sync, martsync.Cursor(sync))))
		mustDo(t, "close the writer", w.Close())
	}
	if diff := cmp.Diff(expected(0, 3, 2), contents(t, d)); diff != "" {
		t.Errorf("table (-want +got):\n%s", diff)
	}
}

// TestDroppedTable begins anew where somebody dropped the table.
func TestDroppedTable(t *testing.T) {
	server := start(t, snowflakesim.Options{})
	d := openOn(t, connected(t, server))
	defer func() { mustDo(t, "close", d.Close()) }()
	loadOnce(t, d, "first", leads(0, 5, 1))
	open := openWriter(t, d)
	mustDo(t, "drop", d.Exec(t.Context(), []string{"DROP TABLE " + d.table(small.Stream)}))
	w := openWriter(t, d)
	if w.Cursor() != "" {
		t.Errorf("cursor: got %q, want none", w.Cursor())
	}
	mustDo(t, "write", w.Write(t.Context(), leads(0, 3, 2)))
	mustDo(t, "commit", w.Commit(t.Context(), aCommit("second", "second")))
	mustDo(t, "close the writer", w.Close())
	if err := open.Commit(t.Context(), aCommit("old", "old")); martsync.KindOf(err) != martsync.Conflict {
		t.Errorf("commit of a writer from before: got %v, want a conflict", err)
	}
	mustDo(t, "close the writer", open.Close())
	if diff := cmp.Diff(expected(0, 3, 2), contents(t, d)); diff != "" {
		t.Errorf("table (-want +got):\n%s", diff)
	}
}

// TestForeignTable leaves a table alone that we did not make.
func TestForeignTable(t *testing.T) {
	server := start(t, snowflakesim.Options{})
	d := openOn(t, connected(t, server))
	defer func() { mustDo(t, "close", d.Close()) }()
	mustDo(t, "make", d.Exec(t.Context(), []string{d.createSchema(), "CREATE TABLE " + d.table(small.Stream) + " (ID NUMBER(19,0))"}))
	if _, err := d.Open(t.Context(), small); martsync.KindOf(err) != martsync.Config || martsync.HintOf(err) == "" {
		t.Errorf("open: got %v, want an error of kind config with a hint", err)
	}
}

// TestRetypeIsResumed lets a change of a column's type die after each of its statements.
func TestRetypeIsResumed(t *testing.T) {
	t.Parallel()
	wide := small
	wide.Columns = append([]martsync.Column(nil), small.Columns...)
	wide.Columns[0].Type = martsync.String
	for n := 0; ; n++ {
		server := start(t, snowflakesim.Options{})
		d := openOn(t, connected(t, server))
		loadOnce(t, d, "first", leads(0, 3, 1))
		count, done := 0, false
		d.before = func(statement string) error {
			if strings.HasPrefix(statement, "ALTER TABLE") || strings.HasPrefix(statement, "UPDATE") {
				if count++; count > n {
					return context.Canceled
				}
			}
			return nil
		}
		w, err := d.Open(t.Context(), wide)
		if err == nil {
			done = true
			mustDo(t, "close the writer", w.Close())
		}
		d.before = nil
		w, err = d.Open(t.Context(), wide)
		mustDo(t, "open again", err)
		if w.Cursor() != "first" {
			t.Errorf("died after %d statements: cursor: got %q, want first", n, w.Cursor())
		}
		mustDo(t, "commit", w.Commit(t.Context(), aCommit("second", "second")))
		mustDo(t, "close the writer", w.Close())
		s, batches, err := d.ReadTable(t.Context(), small.Stream)
		mustDo(t, "read", err)
		got := map[any]any{}
		for r, err := range batches {
			mustDo(t, "read", err)
			for _, cells := range rows.Of(s.Columns, r) {
				got[cells[s.Index("id")]] = cells[s.Index("name")]
			}
		}
		want := map[any]any{"0": "name 0 of 1", "1": "name 1 of 1", "2": "name 2 of 1"}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("died after %d statements: table (-want +got):\n%s", n, diff)
		}
		mustDo(t, "close", d.Close())
		if done {
			if n < 4 {
				t.Errorf("the change took %d statements: which ones were tried?", n)
			}
			return
		}
	}
}
