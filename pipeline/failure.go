package pipeline

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/runlog"
)

// maxAttempts is how often in a row a stream may fail with Transient errors without getting
// anywhere before it counts as failed.
const maxAttempts = 8

// fatalKind reports whether an error of one stream concerns all of them. Busy is among them:
// it means that the lease was lost.
func fatalKind(k martsync.Kind) bool {
	switch k {
	case martsync.Internal, martsync.Config, martsync.Auth, martsync.Busy:
		return true
	default:
		return false
	}
}

// parseKind is the inverse of Kind.String, for errors that an earlier process wrote down.
func parseKind(name string) martsync.Kind {
	for k := martsync.Internal; k <= martsync.Transient; k++ {
		if k.String() == name {
			return k
		}
	}
	return martsync.Internal
}

// outcome says what is left to do.
func (e *engine) outcome(ctx context.Context) (Outcome, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := e.Clock.Now()
	if len(e.fatal) > 0 {
		return Outcome{WakeAt: now}, e.wrap(joinWorst(e.fatal))
	}
	if err := ctx.Err(); err != nil {
		return Outcome{WakeAt: now}, e.wrap(err)
	}
	var wake time.Time
	var failed []error
	left := false
	for _, t := range e.tasks {
		st := &e.run.Streams[t.index]
		switch {
		case st.Phase == runlog.PhaseFailed && t.err != nil:
			failed = append(failed, t.err)
		case st.Phase == runlog.PhaseFailed: // in an earlier Advance
			failed = append(failed, &martsync.Error{
				Kind: parseKind(st.Kind), Op: st.Stream, Err: errors.New(st.Error), Hint: st.Hint,
			})
		case !st.Phase.Over():
			at := now
			if st.Phase == runlog.PhaseWait {
				at = st.Wake
			}
			if !left || at.Before(wake) {
				wake = at
			}
			left = true
		}
	}
	if left {
		return Outcome{WakeAt: wake}, nil
	}
	if len(failed) > 0 {
		return Outcome{Done: true}, e.wrap(joinWorst(failed))
	}
	return Outcome{Done: true}, nil
}

// joinWorst joins errors so that martsync.KindOf returns the worst kind among them, on which
// the exit code depends. The kinds are declared worst first.
func joinWorst(errs []error) error {
	slices.SortStableFunc(errs, func(a, b error) int { return cmp.Compare(martsync.KindOf(a), martsync.KindOf(b)) })
	if len(errs) == 1 {
		return errs[0]
	}
	worst := errs[0]
	return &martsync.Error{
		Kind: martsync.KindOf(worst),
		Op:   fmt.Sprintf("%d streams failed", len(errs)),
		Hint: martsync.HintOf(worst),
		Err:  errors.Join(errs...),
	}
}
