package destinationtest

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/martsync/martsync"
)

var commitLaws = []law{
	{"a new table is empty", func(b *bench) {
		w := b.open(keyed)
		if w.Cursor() != "" || w.Staged() != "" {
			b.Errorf("cursor and staged position: got %q and %q, want none", w.Cursor(), w.Staged())
		}
		b.close(w)
		b.want(keyed)
	}},
	{"nothing is visible before a commit", func(b *bench) {
		b.load(keyed, "1", alive{int64(1), "Ann", v(1)})
		w := b.open(keyed)
		b.write(w, keyed, alive{int64(1), "Anna", v(2)}, alive{int64(2), "Bob", v(2)}, tombstone{int64(1), nil, v(3)})
		b.want(keyed, alive{int64(1), "Ann", v(1)})
		b.close(w)
		b.want(keyed, alive{int64(1), "Ann", v(1)})
		b.restart()
		b.want(keyed, alive{int64(1), "Ann", v(1)})
		b.wantCursor(keyed, "1", "")
	}},
	{"a commit carries everything", func(b *bench) {
		w := b.open(keyed)
		b.write(w, keyed, alive{int64(1), "Ann", v(1)})
		c := full("c1", "job-1")
		b.commit(w, c)
		b.close(w)
		b.restart()
		b.want(keyed, alive{int64(1), "Ann", v(1)})
		b.wantCursor(keyed, "c1", "")
		b.wantHistory(c)
	}},
	{"the position is told without opening the table", func(b *bench) {
		p, ok := b.d.(martsync.Positioner)
		if !ok {
			b.Skip("it cannot tell positions")
		}
		want := func(stream string, want martsync.Cursor) {
			b.Helper()
			if got, err := p.Position(b.Context(), stream); err != nil || got != want {
				b.Errorf("position of %s: got %q and %v, want %q", stream, got, err, want)
			}
		}
		want(keyed.Stream, "")
		b.load(keyed, "1", alive{int64(1), "Ann", v(1)})
		want(keyed.Stream, "1")
		w := b.open(keyed)
		b.write(w, keyed, alive{int64(1), "Anna", v(2)})
		want(keyed.Stream, "1")
		b.commit(w, martsync.Commit{Next: "2"})
		want(keyed.Stream, "2")
		b.close(w)
		b.restart()
		p, _ = b.d.(martsync.Positioner)
		want(keyed.Stream, "2")
		want("other", "")
	}},
	{"commits add to the history, oldest first", func(b *bench) {
		w := b.open(keyed)
		first, second := full("c1", "job-1"), full("c2", "job-2")
		b.write(w, keyed, alive{int64(1), "Ann", v(1)})
		b.commit(w, first)
		b.write(w, keyed, alive{int64(1), "Anna", v(2)})
		b.commit(w, second)
		b.close(w)
		b.want(keyed, alive{int64(1), "Anna", v(2)})
		b.wantHistory(first, second)
	}},
	{"the history knows its stream", func(b *bench) {
		for _, s := range []martsync.Schema{keyed, appendOnly} {
			w := b.open(s)
			c := full("c1", s.Stream)
			for i := range c.Log {
				c.Log[i].Stream = s.Stream
			}
			b.commit(w, c)
			b.close(w)
		}
		for _, s := range []martsync.Schema{keyed, appendOnly} {
			for _, e := range b.ledger(s.Stream) {
				if e.Stream != s.Stream || e.Window.Job != s.Stream && e.Window.Job != "" {
					b.Errorf("ledger of %s: got an entry of %s, job %s", s.Stream, e.Stream, e.Window.Job)
				}
			}
		}
		if got := len(b.ledger("")); got != 4 {
			b.Errorf("ledger of all streams: got %d entries, want 4", got)
		}
	}},
	{"a commit is all or nothing, whichever step fails", func(b *bench) {
		if b.factory.Fault == nil {
			b.Skip("the destination has no faults to offer")
		}
		b.load(keyed, "c0", alive{int64(1), "Ann", v(1)})
		c := full("c1", "job-1")
		for step := 0; ; step++ {
			if step > 1000 {
				b.Fatal("a commit of 1000 steps")
			}
			w := b.open(keyed)
			b.write(w, keyed, alive{int64(1), "Anna", v(2)}, alive{int64(2), "Bob", v(2)})
			b.factory.Fault(step)
			err := w.Commit(b.Context(), c)
			b.factory.Fault(-1)
			b.close(w)
			cursor, _ := b.cursor(keyed)
			switch cursor {
			case "c0":
				if err == nil {
					b.Fatalf("step %d: the commit succeeds and the cursor stays", step)
				}
				b.want(keyed, alive{int64(1), "Ann", v(1)})
				b.wantHistory()
			case "c1":
				b.want(keyed, alive{int64(1), "Anna", v(2)}, alive{int64(2), "Bob", v(2)})
				b.wantHistory(c)
				if err == nil && step == 0 {
					b.Error("no step failed")
				}
				return
			default:
				b.Fatalf("step %d: the cursor is %q, want c0 or c1", step, cursor)
			}
			if b.Failed() {
				b.Fatalf("after step %d failed with %v", step, err)
			}
		}
	}},
	{"a cancelled commit is all or nothing", func(b *bench) {
		w := b.open(keyed)
		b.write(w, keyed, alive{int64(1), "Ann", v(1)})
		ctx, cancel := context.WithCancel(b.Context())
		cancel()
		err := w.Commit(ctx, martsync.Commit{Sync: "run-1", At: at, Next: "c1"})
		b.close(w)
		switch cursor, _ := b.cursor(keyed); {
		case cursor == "" && err != nil:
			b.want(keyed)
		case cursor == "c1":
			b.want(keyed, alive{int64(1), "Ann", v(1)})
		default:
			b.Errorf("error %v with cursor %q, want an error with none, or c1", err, cursor)
		}
	}},
	{"of two writers one commits", func(b *bench) {
		for i, next := range []martsync.Cursor{"a", "a", "b"} { // the fence is not the cursor's text
			s := keyed
			first, second := b.open(s), b.open(s)
			b.write(second, s, alive{int64(10 + i), "second", v(1)})
			b.write(first, s, alive{int64(i), "first", v(1)})
			b.commit(first, martsync.Commit{Next: next})
			b.wantConflict(second.Commit(b.Context(), full("second", "job")))
			b.close(second)
			b.close(first)
		}
		b.want(keyed, alive{int64(0), "first", v(1)}, alive{int64(1), "first", v(1)}, alive{int64(2), "first", v(1)})
		b.wantCursor(keyed, "b", "")
		b.wantHistory()
	}},
	{"a commit without rows fences too", func(b *bench) {
		first, second := b.open(appendOnly), b.open(appendOnly)
		b.commit(first, martsync.Commit{})
		b.write(second, appendOnly, alive{int64(1), "second"})
		b.wantConflict(second.Commit(b.Context(), martsync.Commit{Sync: "run-2", At: at, Next: "2"}))
		b.close(second)
		b.close(first)
		b.want(appendOnly)
	}},
	{"a writer that lost can be replaced", func(b *bench) {
		first, second := b.open(keyed), b.open(keyed)
		b.commit(first, martsync.Commit{Next: "1"})
		b.wantConflict(second.Commit(b.Context(), martsync.Commit{Sync: "run-2", At: at, Next: "2"}))
		b.close(second)
		third := b.open(keyed)
		if third.Cursor() != "1" {
			b.Errorf("cursor: got %q, want 1", third.Cursor())
		}
		b.write(third, keyed, alive{int64(3), "third", v(1)})
		b.commit(third, martsync.Commit{Next: "3"})
		b.close(third)
		b.close(first)
		b.want(keyed, alive{int64(3), "third", v(1)})
	}},
	{"a commit without rows moves the cursor", func(b *bench) {
		b.load(keyed, "1", alive{int64(1), "Ann", v(1)})
		b.load(keyed, "2")
		b.wantCursor(keyed, "2", "")
		b.want(keyed, alive{int64(1), "Ann", v(1)})
		b.restart()
		b.wantCursor(keyed, "2", "")
	}},
	{"cursors are any text", func(b *bench) {
		for _, c := range []martsync.Cursor{
			`{"a":"it's","b":"\"quoted\\"}`, "two\nlines\r\n\ttab", "emoji 🙂 漢字 ", "$1 ? % :name --", martsync.Cursor(strings.Repeat("long", 50_000)),
		} {
			b.load(keyed, c)
			b.wantCursor(keyed, c, "")
		}
	}},
	{"discarded rows are gone and the writer goes on", func(b *bench) {
		b.load(keyed, "1", alive{int64(1), "Ann", v(1)})
		w := b.open(keyed)
		b.write(w, keyed, alive{int64(1), "wrong", v(9)}, alive{int64(2), "wrong", v(9)})
		if err := w.Discard(b.Context()); err != nil {
			b.Fatalf("discard: %v", err)
		}
		b.write(w, keyed, alive{int64(3), "Cem", v(1)})
		b.commit(w, martsync.Commit{Next: "2"})
		b.close(w)
		b.want(keyed, alive{int64(1), "Ann", v(1)}, alive{int64(3), "Cem", v(1)})
	}},
	{"tables are loaded side by side", func(b *bench) {
		var group sync.WaitGroup
		const tables = 4
		schema := func(i int) martsync.Schema {
			s := keyed
			s.Stream = fmt.Sprintf("people_%d", i)
			return s
		}
		for i := range tables {
			group.Go(func() {
				w, err := b.d.Open(b.Context(), schema(i))
				if err != nil {
					b.Errorf("open table %d: %v", i, err)
					return
				}
				for n := range 3 {
					if err := w.Write(b.Context(), records(schema(i), alive{int64(n), fmt.Sprint(i), v(1)})); err != nil {
						b.Errorf("write table %d: %v", i, err)
					}
					if err := w.Commit(b.Context(), martsync.Commit{Sync: "run-1", At: at, Next: martsync.Cursor(fmt.Sprint(n))}); err != nil {
						b.Errorf("commit table %d: %v", i, err)
					}
				}
				if err := w.Close(); err != nil {
					b.Errorf("close table %d: %v", i, err)
				}
			})
		}
		group.Wait()
		for i := range tables {
			name := fmt.Sprint(i)
			b.want(schema(i), alive{int64(0), name, v(1)}, alive{int64(1), name, v(1)}, alive{int64(2), name, v(1)})
		}
	}},
	{"a table that is not there cannot be read", func(b *bench) {
		r, ok := b.d.(martsync.TableReader)
		if !ok {
			b.Fatal("the destination is not a martsync.TableReader")
		}
		_, batches, err := r.ReadTable(b.Context(), "nothing")
		if err != nil {
			return
		}
		for _, err := range batches {
			if err != nil {
				return
			}
		}
		b.Error("reading a table that does not exist: got no error")
	}},
	{"the newest time of a table is known, whatever the case of its names", func(b *bench) {
		r, ok := b.d.(martsync.TimeReader)
		if !ok {
			b.Skip("the destination is not a martsync.TimeReader")
		}
		want := func(what string, want time.Time) {
			b.Helper()
			got, err := r.NewestTime(b.Context(), "people", "updated_at")
			if err != nil || !got.Equal(want) {
				b.Errorf("%s: got %v and error %v, want %v", what, got, err, want)
			}
		}
		want("no table", time.Time{})
		b.load(keyed, "1")
		want("no rows", time.Time{})
		b.load(keyed, "2", alive{int64(1), "Ann", nil})
		want("no times", time.Time{})
		b.load(keyed, "3", alive{int64(1), "Ann", v(7)}, alive{int64(2), "Bob", v(9)}, alive{int64(3), "Cem", v(8)})
		want("three rows", time.Unix(9, 0))
		if _, err := r.NewestTime(b.Context(), "people", "nothing"); martsync.KindOf(err) != martsync.Config {
			b.Errorf("a column that is not there: got %v, want an error of kind config", err)
		}
		if got, err := r.NewestTime(b.Context(), "People", "UPDATED_AT"); err != nil || !got.Equal(time.Unix(9, 0)) {
			b.Errorf("names in capitals: got %v and error %v, want %v", got, err, time.Unix(9, 0))
		}
	}},
}

// full is a commit with everything but rows.
func full(next martsync.Cursor, job string) martsync.Commit {
	day := time.Date(2024, 2, 29, 0, 0, 0, 0, time.UTC)
	return martsync.Commit{
		Sync: "run-1", At: at, Next: next,
		Windows: []martsync.Window{
			{
				From: day, To: day.AddDate(0, 0, 1), Job: job, Filter: `{"updatedAt":{"startAt":"2024-02-29"}}`,
				Records: 3, Bytes: 1 << 40, SHA256: strings.Repeat("0f", 32), Parsed: 3, Quarantined: 1, Written: 2, Calls: 7,
			},
			{Filter: `"listing"`, Records: -1, Bytes: -1},
		},
		Quarantined: []martsync.Quarantined{
			{Job: job, Line: 2, Column: "name", Reason: "not a \"number\"", Raw: "a,'b'\n🙂"},
			{Job: job, Line: 3, Reason: "too few cells"},
		},
		Log: []martsync.LogEntry{
			{Time: at.Add(-time.Hour), Sync: "run-0", Stream: "people", Operation: "sync", Message: "connection 'lost'"},
			{Time: at, Sync: "run-1", Stream: "people", Operation: "commit", Success: true, Message: "2 rows", Rows: 2, Bytes: 1 << 40},
		},
	}
}

// wantHistory compares ledger, quarantine and log of people with what the commits brought.
func (b *bench) wantHistory(commits ...martsync.Commit) {
	b.Helper()
	var ledger []martsync.LedgerEntry
	var quarantined []martsync.Quarantined
	var log []martsync.LogEntry
	for _, c := range commits {
		for _, w := range c.Windows {
			ledger = append(ledger, martsync.LedgerEntry{Stream: "people", Sync: c.Sync, Window: w})
		}
		quarantined = append(quarantined, c.Quarantined...)
		log = append(log, c.Log...)
	}
	if diff := cmp.Diff(ledger, b.ledger("people"), cmpopts.EquateEmpty()); diff != "" {
		b.Errorf("ledger (-want +got):\n%s", diff)
	}
	if b.factory.Quarantine != nil {
		if diff := cmp.Diff(quarantined, b.factory.Quarantine(b, b.d, "people"), cmpopts.EquateEmpty()); diff != "" {
			b.Errorf("quarantine (-want +got):\n%s", diff)
		}
	}
	if b.factory.Log != nil {
		if diff := cmp.Diff(log, b.factory.Log(b, b.d, "people"), cmpopts.EquateEmpty()); diff != "" {
			b.Errorf("log (-want +got):\n%s", diff)
		}
	}
}

func (b *bench) wantConflict(err error) {
	b.Helper()
	if martsync.KindOf(err) != martsync.Conflict || err == nil {
		b.Errorf("commit of a writer whose table has moved on: got %v, want an error of kind conflict", err)
	}
}
