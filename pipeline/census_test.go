package pipeline_test

import (
	"testing"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/pipeline"
)

// counted is a batch that says which ids in (after, upTo] exist.
func counted(b martsync.Batch, after, upTo int64, ids ...int64) martsync.Batch {
	b.Census = &martsync.Census{After: after, UpTo: upTo, Keys: ids}
	return b
}

func TestCensus(t *testing.T) {
	script := always(batch("1", 1, 2, 3, 4, 5, 6))
	f := newFixture(t, keyedStream("people", func(from martsync.Cursor) []any {
		if from == "" {
			return script(from)
		}
		return []any{
			batch("2", 7), // rows that wait share a commit with what follows
			counted(batch("3"), 0, 3, 1, 3), counted(batch("4"), 3, 5, 5), counted(batch("5"), 5, 9, 6, 7),
		}
	}))
	f.mustRun()
	f.want("people", 1, 2, 3, 4, 5, 6)
	f.mustRun()
	f.want("people", 1, 3, 5, 6, 7)
	if n := f.calls("destination: commit"); n != 1 {
		t.Errorf("%d commits for three pages of a census, want 1; calls: %v", n, f.process.Calls())
	}
}

// TestCensusSurvivesADeath: what a census says is durable together with its cursor, or both are
// read again.
func TestCensusSurvivesADeath(t *testing.T) {
	for at := range 40 {
		f := newFixture(t, keyedStream("people", func(from martsync.Cursor) []any {
			switch from {
			case "":
				return []any{batch("1", 1, 2, 3, 4)}
			case "1":
				return []any{counted(batch("2"), 0, 2, 2), failure(martsync.Pending, 1)}
			case "2":
				return []any{counted(batch("3"), 2, 4, 3)}
			}
			return nil
		}))
		f.mustRun()
		f.next(at, 0)
		s := f.sync
		_, _ = pipeline.Run(t.Context(), &s)
		f.nextID()
		f.clock.Advance(time.Hour)
		f.mustRun()
		f.want("people", 2, 3)
	}
}

func TestCensusThatIsWrong(t *testing.T) {
	pair := keyedStream("pairs", nil)
	pair.schema.Key = nil
	pair.schema.Deletes = false
	for name, c := range map[string]struct {
		stream *scriptedStream
		batch  martsync.Batch
	}{
		"no cursor":         {keyedStream("a", nil), counted(batch(""), 0, 5, 1)},
		"unverified cursor": {keyedStream("a", nil), counted(unverified(batch("1")), 0, 5, 1)},
		"not ascending":     {keyedStream("a", nil), counted(batch("1"), 0, 5, 2, 1)},
		"twice the same":    {keyedStream("a", nil), counted(batch("1"), 0, 5, 2, 2)},
		"before the range":  {keyedStream("a", nil), counted(batch("1"), 2, 5, 2)},
		"after the range":   {keyedStream("a", nil), counted(batch("1"), 2, 5, 6)},
		"empty range":       {keyedStream("a", nil), counted(batch("1"), 5, 5)},
		"no key":            {pair, counted(batch("1"), 0, 5, 1)},
	} {
		t.Run(name, func(t *testing.T) {
			c.stream.script = always(c.batch)
			f := newFixture(t, c.stream)
			_, err := f.run()
			f.wantKind(err, martsync.Internal)
		})
	}
}
