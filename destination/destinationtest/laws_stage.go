package destinationtest

import (
	"errors"
	"fmt"

	"github.com/martsync/martsync"
)

// stage stages what the writer has, or skips the test.
func (b *bench) stage(w martsync.Writer, c martsync.Commit) {
	b.Helper()
	if c.Sync == "" {
		c.Sync, c.At = "run-1", at
	}
	err := w.Stage(b.Context(), c)
	if errors.Is(err, martsync.ErrUnsupported) {
		b.Skip("the destination cannot stage")
	}
	if err != nil {
		b.Fatalf("stage: %v", err)
	}
}

// unstageable is a destination's right to refuse staging, without harm.
func unstageable(b *bench) {
	w := b.open(appendOnly)
	b.write(w, appendOnly, alive{int64(1), "a"})
	if err := w.Stage(b.Context(), martsync.Commit{Sync: "run-1", At: at, Next: "s1"}); err != nil && !errors.Is(err, martsync.ErrUnsupported) {
		b.Fatalf("stage: %v", err)
	}
	b.write(w, appendOnly, alive{int64(2), "b"})
	b.commit(w, martsync.Commit{Next: "c1"})
	b.close(w)
	b.want(appendOnly, alive{int64(1), "a"}, alive{int64(2), "b"})
}

var stageLaws = []law{
	{"a stage, done or refused, loses nothing", unstageable},
	{"staged rows survive, invisible, until a commit", func(b *bench) {
		b.load(appendOnly, "c1", alive{int64(1), "a"})
		w := b.open(appendOnly)
		b.write(w, appendOnly, alive{int64(2), "b"})
		b.stage(w, martsync.Commit{Next: "s1"})
		b.write(w, appendOnly, alive{int64(3), "lost"}) // not staged
		b.want(appendOnly, alive{int64(1), "a"})
		b.close(w)
		b.restart()
		b.want(appendOnly, alive{int64(1), "a"})
		b.wantCursor(appendOnly, "c1", "s1")
		b.restart()
		w = b.open(appendOnly)
		if w.Cursor() != "c1" || w.Staged() != "s1" {
			b.Fatalf("cursor and staged position: got %q and %q, want c1 and s1", w.Cursor(), w.Staged())
		}
		b.write(w, appendOnly, alive{int64(4), "d"})
		b.commit(w, martsync.Commit{Next: "c2"})
		b.close(w)
		b.restart()
		b.want(appendOnly, alive{int64(1), "a"}, alive{int64(2), "b"}, alive{int64(4), "d"})
		b.wantCursor(appendOnly, "c2", "")
	}},
	{"staged rows are committed by the writer that staged them", func(b *bench) {
		w := b.open(appendOnly)
		for i := range 3 {
			b.write(w, appendOnly, alive{int64(i), "x"})
			b.stage(w, martsync.Commit{Next: martsync.Cursor(fmt.Sprint("s", i))})
		}
		b.commit(w, martsync.Commit{Next: "c1"})
		b.write(w, appendOnly, alive{int64(3), "x"})
		b.commit(w, martsync.Commit{Next: "c2"})
		b.close(w)
		b.want(appendOnly, alive{int64(0), "x"}, alive{int64(1), "x"}, alive{int64(2), "x"}, alive{int64(3), "x"})
		b.wantCursor(appendOnly, "c2", "")
	}},
	{"stages add up over processes", func(b *bench) {
		for i := range 3 {
			w := b.open(appendOnly)
			b.write(w, appendOnly, alive{int64(i), "x"})
			b.stage(w, martsync.Commit{Next: martsync.Cursor(fmt.Sprint("s", i))})
			b.close(w)
			b.restart()
			b.wantCursor(appendOnly, "", martsync.Cursor(fmt.Sprint("s", i)))
		}
		b.want(appendOnly)
		b.load(appendOnly, "c1")
		b.want(appendOnly, alive{int64(0), "x"}, alive{int64(1), "x"}, alive{int64(2), "x"})
	}},
	{"a stage without rows moves the staged position", func(b *bench) {
		w := b.open(appendOnly)
		b.write(w, appendOnly, alive{int64(1), "x"})
		b.stage(w, martsync.Commit{Next: "s1"})
		b.stage(w, martsync.Commit{Next: "s2"})
		b.close(w)
		b.restart()
		b.wantCursor(appendOnly, "", "s2")
		b.load(appendOnly, "c1")
		b.want(appendOnly, alive{int64(1), "x"})
	}},
	{"what comes with a stage is committed once", func(b *bench) {
		staged, committed := full("s1", "job-1"), full("c1", "job-2")
		w := b.open(keyed)
		b.write(w, keyed, alive{int64(1), "Ann", v(1)})
		b.stage(w, staged)
		b.wantHistory()
		b.close(w)
		b.restart()
		b.wantHistory()
		w = b.open(keyed)
		b.commit(w, committed)
		b.close(w)
		b.restart()
		b.wantHistory(staged, committed)
	}},
	{"staged rows merge like others", func(b *bench) {
		b.load(keyed, "c1", alive{int64(1), "a", v(1)}, alive{int64(2), "a", v(1)}, alive{int64(3), "a", v(5)}, alive{int64(4), "a", v(1)})
		w := b.open(keyed)
		b.write(w, keyed, alive{int64(1), "b", v(2)}, tombstone{int64(2), nil, v(2)}, alive{int64(3), "b", v(2)})
		b.stage(w, martsync.Commit{Next: "s1"})
		b.close(w)
		b.restart()
		w = b.open(keyed)
		b.write(w, keyed, alive{int64(1), "c", v(2)}, alive{int64(5), "c", v(1)})
		b.commit(w, martsync.Commit{Next: "c2", Complete: []martsync.Scope{{}}})
		b.close(w)
		b.want(keyed,
			alive{int64(1), "c", v(2)}, flagged{int64(2), "a", v(2)}, alive{int64(3), "a", v(5)},
			flagged{int64(4), "a", v(1)}, alive{int64(5), "c", v(1)})
	}},
	{"staged rows of all types survive", func(b *bench) {
		s := martsync.Schema{Stream: "things", Columns: []martsync.Column{
			column("a", martsync.Bool), column("b", martsync.Int64), column("c", martsync.Float64), decimal("d", 38, 10), column("e", martsync.String),
			column("f", martsync.Binary), column("g", martsync.Date), column("h", martsync.Timestamp), column("i", martsync.JSON),
		}}
		full := alive{true, int64(-1), 0.1, nines(38, 10, -1), "🙂\n'\"", allBytes(), day(1, 1, 1), v(-1), normal(jsonCell)}
		empty := alive{nil, nil, nil, nil, nil, nil, nil, nil, nil}
		w := b.open(s)
		b.write(w, s, full, empty)
		b.stage(w, martsync.Commit{Next: "s1"})
		b.close(w)
		b.restart()
		b.load(s, "c1", full)
		b.want(s, full, empty, full)
	}},
	{"a discard drops staged rows and what came with them", func(b *bench) {
		b.load(keyed, "c1", alive{int64(1), "Ann", v(1)})
		w := b.open(keyed)
		b.write(w, keyed, alive{int64(2), "wrong", v(1)})
		b.stage(w, full("s1", "wrong"))
		b.close(w)
		b.restart()
		w = b.open(keyed)
		b.write(w, keyed, alive{int64(3), "wrong", v(1)})
		if err := w.Discard(b.Context()); err != nil {
			b.Fatalf("discard: %v", err)
		}
		b.write(w, keyed, alive{int64(4), "Dan", v(1)})
		b.commit(w, martsync.Commit{Next: "c2"})
		b.close(w)
		b.restart()
		b.wantCursor(keyed, "c2", "")
		b.want(keyed, alive{int64(1), "Ann", v(1)}, alive{int64(4), "Dan", v(1)})
		b.wantHistory()
	}},
	{"a discard is durable", func(b *bench) {
		w := b.open(appendOnly)
		b.write(w, appendOnly, alive{int64(1), "wrong"})
		b.stage(w, martsync.Commit{Next: "s1"})
		if err := w.Discard(b.Context()); err != nil {
			b.Fatalf("discard: %v", err)
		}
		b.close(w)
		b.restart()
		b.wantCursor(appendOnly, "", "")
	}},
	{"staged rows are dropped when somebody else has committed", func(b *bench) {
		other := b.open(appendOnly)
		w := b.open(appendOnly)
		b.write(w, appendOnly, alive{int64(1), "staged"})
		b.stage(w, martsync.Commit{Next: "s1"})
		b.write(other, appendOnly, alive{int64(2), "committed"})
		if err := other.Commit(b.Context(), martsync.Commit{Sync: "run-2", At: at, Next: "c1"}); err != nil {
			b.wantConflict(err) // a destination may fence stages too
			b.close(other)
			other = b.open(appendOnly)
			if err := other.Discard(b.Context()); err != nil {
				b.Fatalf("discard: %v", err)
			}
			b.write(other, appendOnly, alive{int64(2), "committed"})
			b.commit(other, martsync.Commit{Next: "c1"})
		}
		b.wantConflict(w.Commit(b.Context(), martsync.Commit{Sync: "run-1", At: at, Next: "c2"}))
		b.close(w)
		b.close(other)
		b.restart()
		b.wantCursor(appendOnly, "c1", "")
		b.load(appendOnly, "c3", alive{int64(3), "later"})
		b.want(appendOnly, alive{int64(2), "committed"}, alive{int64(3), "later"})
	}},
	{"of two writers that stage nobody mixes", func(b *bench) {
		first, second := b.open(appendOnly), b.open(appendOnly)
		b.write(first, appendOnly, alive{int64(1), "first"})
		b.stage(first, martsync.Commit{Next: "first"})
		b.write(second, appendOnly, alive{int64(2), "second"})
		if err := second.Stage(b.Context(), martsync.Commit{Sync: "run-2", At: at, Next: "second"}); err != nil {
			b.wantConflict(err)
		}
		b.close(second)
		b.close(first)
		b.restart()
		w := b.open(appendOnly)
		staged := w.Staged()
		b.commit(w, martsync.Commit{Next: "c1"})
		b.close(w)
		switch staged {
		case "first":
			b.want(appendOnly, alive{int64(1), "first"})
		case "second":
			b.want(appendOnly, alive{int64(2), "second"})
		default:
			b.Errorf("staged position: got %q, want that of one writer", staged)
		}
	}},
	{"a staged snapshot replaces its table", func(b *bench) {
		b.load(snapshot, "c1", alive{int64(1), "a"})
		w := b.open(snapshot)
		b.write(w, snapshot, alive{int64(2), "b"})
		b.stage(w, martsync.Commit{Next: "s1"})
		b.close(w)
		b.restart()
		b.want(snapshot, alive{int64(1), "a"})
		b.load(snapshot, "c2", alive{int64(3), "c"})
		b.want(snapshot, alive{int64(2), "b"}, alive{int64(3), "c"})
	}},
	{"staged rows survive a new column", func(b *bench) {
		w := b.open(appendOnly)
		b.write(w, appendOnly, alive{int64(1), "a"})
		b.stage(w, martsync.Commit{Next: "s1"})
		b.close(w)
		b.restart()
		s := appendOnly
		s.Columns = append(append([]martsync.Column(nil), s.Columns...), column("more", martsync.String))
		w = b.open(s)
		staged := w.Staged()
		b.write(w, s, alive{int64(2), "b", "x"})
		b.commit(w, martsync.Commit{Next: "c1"})
		b.close(w)
		switch staged {
		case "s1":
			b.want(s, alive{int64(1), "a", nil}, alive{int64(2), "b", "x"})
		case "": // dropped with its position: the row is read again
			b.want(s, alive{int64(2), "b", "x"})
		default:
			b.Errorf("staged position: got %q, want s1 or none", staged)
		}
	}},
}
