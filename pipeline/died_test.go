package pipeline_test

import (
	"testing"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/pipeline"
	"github.com/martsync/martsync/runlog"
	"github.com/martsync/martsync/state"
)

// A run that died is known as such when nobody holds its account for it, and what it had done is counted by the next one,
// whether that takes it up again or is another one.
func TestDied(t *testing.T) {
	for _, again := range []bool{true, false} {
		s := plainStream("s", nil)
		s.script = func(from martsync.Cursor) []any {
			if from == "" {
				return []any{batch("1", 1, 2), failure(martsync.Pending, time.Minute)}
			}
			return []any{batch("2", 3)}
		}
		f := newFixture(t, s)
		f.next(-1, 0)
		died := f.sync
		ticks := 0
		died.Observe = func(e pipeline.Event) {
			if ticks == 0 {
				ticks++
				run, err := runlog.Load(t.Context(), f.state, "test", died.ID)
				if err != nil {
					t.Fatal(err)
				}
				if dead, err := pipeline.Died(t.Context(), f.state, f.clock, run); dead || err != nil {
					t.Errorf("while it is at work: got died %v, %v", dead, err)
				}
			}
		}
		if out, err := pipeline.Advance(t.Context(), &died); err != nil || out.Done {
			t.Fatalf("advance: got done %v, %v, want a wait", out.Done, err)
		}
		if ticks == 0 {
			t.Fatal("nobody looked while it was at work")
		}
		stale, err := runlog.Load(t.Context(), f.state, "test", died.ID)
		if err != nil {
			t.Fatal(err)
		}
		running := *stale
		running.Status, running.End, running.Wake = runlog.Running, time.Time{}, time.Time{}
		// It ended while somebody looked.
		if dead, err := pipeline.Died(t.Context(), f.state, f.clock, &running); dead || err != nil {
			t.Errorf("of one that came to its wait in between: got died %v, %v", dead, err)
		}
		// It took up its work again, committed a row more than is reported, and was killed.
		running.Streams[0].Phase, running.Streams[0].Rows = runlog.PhaseRead, 3
		if err := runlog.Save(t.Context(), f.state, &running); err != nil {
			t.Fatal(err)
		}
		lease, err := state.AcquireLease(t.Context(), f.state, f.clock, "script:test", "sync test, run another (process 1 on h)", time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		if dead, err := pipeline.Died(t.Context(), f.state, f.clock, &running); !dead || err != nil {
			t.Errorf("while another run holds the account: got died %v, %v", dead, err)
		}
		if err := lease.Release(t.Context()); err != nil {
			t.Fatal(err)
		}
		f.clock.Advance(time.Hour)
		if !again {
			f.nextID()
		}
		f.mustRun()

		got, err := runlog.Load(t.Context(), f.state, "test", died.ID)
		want := runlog.Stopped
		if again {
			want = runlog.Done
		}
		if err != nil || got.Status != want {
			t.Errorf("taken up again %v: the run that died is %q, %v, want %q", again, got.Status, err, want)
		}
		fresh, err := runlog.FreshnessOf(t.Context(), f.state, "test")
		if err != nil || len(fresh) != 1 || fresh[0].TotalRows != 4 {
			t.Errorf("taken up again %v: got %+v, %v, want 4 rows: 2 reported, 1 not, and 1 of the next", again, fresh, err)
		}
	}
}
