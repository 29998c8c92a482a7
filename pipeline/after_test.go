package pipeline_test

import (
	"context"
	"testing"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/pipeline"
	"github.com/martsync/martsync/runlog"
	"github.com/martsync/martsync/state"
)

// What is to be done when all streams are done is done once they are, not before, while the account is still the run's; an error
// of it is the run's.
func TestAfter(t *testing.T) {
	waits := 1
	s := plainStream("s", nil)
	s.script = func(martsync.Cursor) []any {
		if waits--; waits >= 0 {
			return []any{failure(martsync.Pending, time.Minute)}
		}
		return []any{batch("1", 1)}
	}
	f := newFixture(t, s)
	called := 0
	var fails error
	f.sync.After = func(ctx context.Context, keep func(context.Context) error) ([]martsync.LogEntry, error) {
		called++
		f.want("s", 1)
		if _, err := state.AcquireLease(ctx, f.state, f.clock, "script:test", "somebody", time.Minute); martsync.KindOf(err) != martsync.Busy {
			t.Errorf("the account is free: %v", err)
		}
		if err := keep(ctx); err != nil {
			t.Error(err)
		}
		return []martsync.LogEntry{{Operation: "afterwards", Success: true}}, fails
	}
	if out, err := f.advance(); err != nil || out.Done || called != 0 {
		t.Fatalf("while the stream waits: done %t, %v, called %d times", out.Done, err, called)
	}
	f.clock.Advance(time.Hour)
	if out, err := f.advance(); err != nil || !out.Done || called != 1 {
		t.Fatalf("done %t, %v, called %d times, want once", out.Done, err, called)
	}
	run, err := runlog.Load(t.Context(), f.state, "test", f.sync.ID)
	if err != nil || len(run.Log) == 0 || run.Log[0].Operation != "afterwards" {
		t.Errorf("the run's log: %+v, %v", run.Log, err)
	}

	f.nextID()
	s.script = func(martsync.Cursor) []any { return []any{failure(martsync.Data, 0)} }
	if _, err := f.advance(); martsync.KindOf(err) != martsync.Data || called != 1 {
		t.Errorf("a stream failed: %v, called %d times, want no more", err, called)
	}

	f.nextID()
	s.script = func(martsync.Cursor) []any { return nil }
	fails = &martsync.Error{Kind: martsync.Auth, Op: "afterwards"}
	_, err = f.advance()
	f.wantKind(err, martsync.Auth)
	if run, err := runlog.Load(t.Context(), f.state, "test", f.sync.ID); err != nil || run.Status != runlog.Failed {
		t.Errorf("the run is %s, %v, want failed", run.Status, err)
	}

	f.nextID()
	stop := make(chan struct{})
	close(stop)
	stopped := f.sync
	stopped.Stop = stop
	if out, err := pipeline.Advance(t.Context(), &stopped); err != nil || out.Done || called != 2 {
		t.Errorf("stopped: done %t, %v, called %d times, want 2", out.Done, err, called)
	}
}
