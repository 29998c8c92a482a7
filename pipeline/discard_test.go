package pipeline_test

import (
	"context"
	"errors"
	"iter"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/crash"
	"github.com/martsync/martsync/pipeline"
)

// replayable is a source whose bytes can be kept.
type replayable struct{ martsync.Source }

func (replayable) KeepRaw() {}

func (replayable) Replay(context.Context, martsync.Schema, iter.Seq2[martsync.RawBody, error]) iter.Seq2[martsync.Batch, error] {
	return nil
}

// refusing is a raw zone that keeps nothing and that does not answer once, when something is saved for the time-th time.
type refusing struct{ time int }

func (*refusing) Add(context.Context, *martsync.Batch) error { return nil }

func (r *refusing) Save(context.Context, martsync.Commit) (int64, error) {
	if r.time--; r.time == 0 {
		return 0, &martsync.Error{Kind: martsync.Transient, Op: "raw: put", Err: errors.New("no answer")}
	}
	return 1, nil
}

func (*refusing) Commit(context.Context, martsync.Commit, martsync.Cursor) error { return nil }
func (*refusing) Discard(context.Context, bool) error                            { return nil }
func (*refusing) Close() error                                                   { return nil }

// What was staged and discarded is read again although nobody could write down that it was discarded: not the raw zone, nor
// the state.
func TestADiscardThatCannotBeRemembered(t *testing.T) {
	file := func() (*scriptedStream, *fixture) {
		wrong := true
		s := plainStream("s", func(from martsync.Cursor) []any {
			switch from {
			case "end":
				return nil
			case "half": // of a file that is wrong
				return []any{martsync.Batch{Discard: true, Cursor: "again"}, window(batch("end", 1, 2), "w", 2)}
			case "again":
				return []any{window(batch("end", 1, 2), "w", 2)}
			}
			if wrong {
				wrong = false
				return []any{unverified(batch("half", 8, 9)), martsync.Batch{Discard: true, Cursor: "again"}, window(batch("end", 1, 2), "w", 2)}
			}
			return []any{window(batch("end", 1, 2), "w", 2)}
		})
		f := newFixture(t, s)
		f.sync.Limits.Staged = 1
		return s, f
	}
	check := func(t *testing.T, f *fixture, run pipeline.Sync) {
		t.Helper()
		out, err := pipeline.Run(t.Context(), &run)
		if err != nil || !out.Done {
			t.Fatalf("got done %v and error %v, want done", out.Done, err)
		}
		f.want("s", 1, 2)
		if diff := cmp.Diff([]string{"w"}, f.ledger("s")); diff != "" {
			t.Errorf("ledger (-want +got):\n%s", diff)
		}
	}
	t.Run("by the raw zone", func(t *testing.T) {
		s, f := file()
		zone := &refusing{time: 2} // after the stage
		run := f.sync
		run.Source = replayable{run.Source}
		run.Raw = pipeline.KeepIn(func(context.Context, martsync.Schema, martsync.Cursor, martsync.Cursor, int64) (*refusing, bool, error) {
			return zone, true, nil
		})
		check(t, f, run)
		if diff := cmp.Diff([]martsync.Cursor{"", ""}, s.froms); diff != "" || zone.time > 0 {
			t.Errorf("read from (-want +got), %d saves were not made:\n%s", zone.time, diff)
		}
	})
	for mode := crash.Refuse; mode <= crash.Hush; mode++ {
		t.Run("by any call that may "+mode.String(), func(t *testing.T) {
			for at := 0; ; at++ {
				_, f := file()
				f.next(at, mode)
				run := f.sync
				_, _ = pipeline.Run(t.Context(), &run) // it may fail
				if _, wrong := f.process.Failed(); !wrong {
					break
				}
				f.nextID()
				f.next(-1, 0)
				f.clock.Advance(time.Hour) // the lease may not have been given back
				check(t, f, f.sync)
				if t.Failed() {
					t.Fatalf("at call %d", at)
				}
			}
		})
	}
}

// A snapshot that is as it was is not read again before its time, though some of its rows were staged on the way.
func TestAnUnchangedSnapshotThatWasStagedIsRemembered(t *testing.T) {
	s := snapshotStream("s", func(from martsync.Cursor) []any {
		next := map[martsync.Cursor]martsync.Cursor{"": "first", "first": "second"}[from]
		if next == "" {
			return nil
		}
		return []any{unverified(batch("half", 1)), batch(next, 2)}
	})
	f := newFixture(t, s)
	f.sync.Limits.Staged = 1
	for range 4 {
		f.mustRun()
	}
	f.want("s", 1, 2)
	if got := f.storage.Commits("s"); got != 1 {
		t.Errorf("commits: got %d, want 1: the second reading brought nothing new", got)
	}
	if diff := cmp.Diff([]martsync.Cursor{"", "first", "second", "second"}, s.froms); diff != "" {
		t.Errorf("read from (-want +got):\n%s", diff)
	}
}
