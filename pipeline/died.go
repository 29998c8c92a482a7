package pipeline

import (
	"context"
	"errors"
	"strings"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/runlog"
	"github.com/martsync/martsync/state"
)

// Died reports whether a run that is written down as running is not at work: its process has ended without a word. As
// long as its lease lasts nobody can know.
func Died(ctx context.Context, store state.Store, clock martsync.Clock, r *runlog.Run) (bool, error) {
	if r.Status != runlog.Running {
		return false, nil
	}
	owner, err := state.Holder(ctx, store, clock, r.Account)
	if err != nil || strings.Contains(owner, runInOwner(r.ID)) {
		return false, err
	}
	// It may have come to its end since it was read, and have given the account back.
	now, err := runlog.Load(ctx, store, r.Sync, r.ID)
	if errors.Is(err, runlog.ErrNotFound) {
		return true, nil
	}
	return err == nil && now.Status == runlog.Running, err
}

// runInOwner is how the owner of a lease names its run.
func runInOwner(id string) string { return ", run " + id + " (" }

// bury ends the runs of this sync that died: the one that is taken up again, or else the newest. Whoever holds the lease of
// their account knows that they are not at work. Not to know what they had done costs no record.
func (e *engine) bury(ctx context.Context, taken *runlog.Run) {
	r := taken
	if r == nil {
		runs, err := runlog.List(ctx, e.State, e.Name, 1)
		if err != nil || len(runs) == 0 || runs[0].Account != e.Source.Account() {
			return
		}
		r = &runs[0]
	}
	if r.Status != runlog.Running {
		return
	}
	if err := runlog.Bury(ctx, e.State, r); err != nil {
		e.Log.WarnContext(ctx, "what a run had done that died is not counted", "run", r.ID, "err", err)
		return
	}
	e.Log.InfoContext(ctx, "a run had ended without a word", "run", r.ID, "rows", r.Rows())
}
