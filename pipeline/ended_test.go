package pipeline_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/pipeline"
	"github.com/martsync/martsync/runlog"
	"github.com/martsync/martsync/state"
)

// Whoever watches is told how every Advance has ended, when the account is free again and the run is saved.
func TestEnded(t *testing.T) {
	waits := 1
	s := plainStream("s", nil)
	s.script = func(martsync.Cursor) []any {
		if waits--; waits >= 0 {
			return []any{failure(martsync.Pending, time.Minute)}
		}
		return []any{batch("1", 1), failure(martsync.Data, 0)}
	}
	f := newFixture(t, s)
	var told []string
	f.sync.Ended = func(ctx context.Context, run *runlog.Run, err error) {
		if run == nil {
			told = append(told, fmt.Sprintf("no run, %v", martsync.KindOf(err)))
			return
		}
		saved, loadErr := runlog.Load(ctx, f.state, "test", run.ID)
		if loadErr != nil || saved.Status != run.Status {
			t.Errorf("saved %+v, %v, want %s", saved, loadErr, run.Status)
		}
		lease, leaseErr := state.AcquireLease(ctx, f.state, f.clock, "script:test", "a watcher", time.Minute)
		if leaseErr != nil {
			t.Errorf("the account is not free: %v", leaseErr)
		} else if err := lease.Release(ctx); err != nil {
			t.Error(err)
		}
		told = append(told, fmt.Sprintf("%s %d, %v", run.Status, run.Advances, err != nil))
	}
	_, err := f.run()
	f.wantKind(err, martsync.Data)
	lease, err := state.AcquireLease(t.Context(), f.state, f.clock, "script:test", "somebody", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.run()
	f.wantKind(err, martsync.Busy)
	if err := lease.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := []string{"waiting 1, false", "failed 2, true", "no run, busy"}
	if diff := cmp.Diff(want, told); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}

	// An interrupted sync can still be told of.
	ctx, cancel := context.WithCancel(t.Context())
	s.script = func(martsync.Cursor) []any { cancel(); return []any{failure(martsync.Transient, 0)} }
	f.next(-1, 0)
	interrupted := f.sync
	interrupted.Ended = func(ctx context.Context, run *runlog.Run, err error) {
		if ctx.Err() != nil || run == nil || !errors.Is(err, context.Canceled) {
			t.Errorf("told of %+v, %v with %v", run, err, ctx.Err())
		}
		if run != nil && (run.Status != runlog.Stopped || run.Error != "") {
			t.Errorf("status: got %s and %q, want stopped: to be interrupted is no failure", run.Status, run.Error)
		}
		told = nil
	}
	if _, err := pipeline.Advance(ctx, &interrupted); err == nil || told != nil {
		t.Errorf("got %v, told %v", err, told)
	}
}

// A run remembers what was changed about a table, once, also what the source says of the schema.
func TestRunsRememberSchemaChanges(t *testing.T) {
	s := keyedStream("s", always(batch("1", 1)))
	f := newFixture(t, s)
	f.mustRun()
	s.schema.Columns = append(slices.Clone(s.schema.Columns), martsync.Column{Name: "extra", Type: martsync.Int64})
	noted := batch("2")
	noted.Notes = []martsync.Note{{Operation: "schema", Message: "field x is not exported"}, {Operation: "skip", Message: "y"}}
	waits := 3
	s.script = func(martsync.Cursor) []any {
		if waits--; waits > 0 { // the table is opened anew after each wait
			return []any{failure(martsync.Pending, time.Minute)}
		}
		return []any{noted}
	}
	out := f.mustRun()
	want := []string{"column extra added as int64", "field x is not exported"}
	if diff := cmp.Diff(want, out.Stats.Streams[0].Changes); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
	var st runlog.Stream
	for i := range 3 * runlog.MaxChanges {
		st.AddChange(fmt.Sprint(i / 2))
	}
	if len(st.Changes) != runlog.MaxChanges || st.Changes[1] != "1" {
		t.Errorf("got %d changes, want the first %d, once each", len(st.Changes), runlog.MaxChanges)
	}
}
