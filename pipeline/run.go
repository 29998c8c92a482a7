package pipeline

import (
	"context"
	"time"

	"github.com/martsync/martsync"
)

// Run calls Advance until the sync is done, sleeping in between. It returns early, without
// an error and with what is left, when Stop is closed or the next wake-up is after the
// deadline or further away than its patience. It takes the account's lease only while it works, so that two syncs can use one
// account in turns; if the other one is at work when this one wakes, this one waits for it.
func Run(ctx context.Context, s *Sync) (Outcome, error) {
	var list listing
	var last Outcome
	for begun := false; ; {
		out, err := advance(ctx, s, &list)
		switch {
		case err != nil && begun && martsync.KindOf(err) == martsync.Busy && martsync.AfterOf(err) > 0:
			last.WakeAt = out.WakeAt
		case err != nil || out.Done:
			return out, err
		default:
			begun, last = true, out
		}
		wait := last.WakeAt.Sub(s.Clock.Now())
		if !s.Deadline.IsZero() && !last.WakeAt.Before(s.Deadline) || s.Patience > 0 && wait > s.Patience || stopped(s.Stop) {
			return last, nil
		}
		if err := sleep(ctx, s.Clock, wait, s.Stop); err != nil {
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

// sleep waits for d, or until stop is closed, which is no error.
func sleep(ctx context.Context, clock martsync.Clock, d time.Duration, stop <-chan struct{}) error {
	if stop == nil {
		return clock.Sleep(ctx, d)
	}
	waiting, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		select {
		case <-stop:
			cancel()
		case <-waiting.Done():
		}
	}()
	err := clock.Sleep(waiting, d)
	cancel()
	<-ended
	if stopped(stop) {
		return ctx.Err()
	}
	return err
}
