package pipeline

import (
	"context"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/retry"
)

// nap is the longest single sleep of a Run: whoever closes the lid of the machine stops its timers, but not the time
// that the vendor keeps.
const nap = time.Minute

// Run calls Advance until the sync is done, sleeping in between. It returns early, without
// an error and with what is left, when Stop is closed or the next wake-up is after the
// deadline or further away than its patience. It takes the account's lease only while it works, so that two syncs can use one
// account in turns; if the other one is at work when this one wakes, this one waits for it.
func Run(ctx context.Context, s *Sync) (Outcome, error) {
	var list listing
	var last Outcome
	unanswered := 0 // tries in a row to take the run up
	for begun := false; ; {
		out, err := advance(ctx, s, &list)
		if list.taken {
			unanswered = 0
		}
		switch {
		case err != nil && begun && martsync.KindOf(err) == martsync.Busy && martsync.AfterOf(err) > 0:
			last.WakeAt = out.WakeAt
		case err != nil && begun && !list.taken && martsync.KindOf(err) == martsync.Transient && ctx.Err() == nil && unanswered+1 < maxAttempts:
			unanswered++
			last.WakeAt = s.Clock.Now().Add(retry.Policy{Seed: s.Name}.Pause(unanswered, err))
			if s.Log != nil {
				s.Log.WarnContext(ctx, "the run cannot be taken up yet", "sync", s.Name, "wake", last.WakeAt, "err", err)
			}
		case err != nil || out.Done:
			return out, err
		default:
			begun, last = true, out
		}
		wait := last.WakeAt.Sub(s.Clock.Now())
		if !s.Deadline.IsZero() && !last.WakeAt.Before(s.Deadline) || s.Patience > 0 && wait > s.Patience || stopped(s.Stop) {
			return last, nil
		}
		if err := sleep(ctx, s.Clock, last.WakeAt, s.Stop); err != nil {
			return last, err
		}
		if stopped(s.Stop) {
			return last, nil
		}
	}
}

func stopped(stop <-chan struct{}) bool {
	select {
	case <-stop:
		return true
	default:
		return false
	}
}

// sleep waits until a time comes or stop is closed, which is no error.
func sleep(ctx context.Context, clock martsync.Clock, until time.Time, stop <-chan struct{}) error {
	waiting, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		select {
		case <-stop: // nil: never
			cancel()
		case <-waiting.Done():
		}
	}()
	var err error
	for left := nap + 1; err == nil && left > nap; {
		left = until.Sub(clock.Now())
		err = clock.Sleep(waiting, min(left, nap))
	}
	cancel()
	<-ended
	if stopped(stop) {
		return ctx.Err()
	}
	return err
}
