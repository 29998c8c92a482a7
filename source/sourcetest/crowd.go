package sourcetest

import (
	"context"
	"sync"
	"time"

	"github.com/martsync/martsync"
)

// A crowd is streams that are read side by side on a clock that jumps. Time moves only when
// all that are still being read wait, as it does under the engine: otherwise a stream that
// waits for another one would let days pass while that one is busy.
type crowd struct {
	clock martsync.Clock

	mu      sync.Mutex
	moved   sync.Cond
	readers int                 // still being read
	until   map[*byte]time.Time // when each that waits wants to go on
}

func newCrowd(clock martsync.Clock, readers int) *crowd {
	c := &crowd{clock: clock, readers: readers, until: map[*byte]time.Time{}}
	c.moved.L = &c.mu
	return c
}

// sleep waits until d has passed.
func (c *crowd) sleep(ctx context.Context, d time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	me, wake := new(byte), c.clock.Now().Add(d)
	c.until[me] = wake
	defer delete(c.until, me)
	for c.clock.Now().Before(wake) {
		if err := ctx.Err(); err != nil {
			return err
		}
		if !c.move(ctx) {
			c.moved.Wait()
		}
	}
	return ctx.Err()
}

// done takes a reader out of the crowd.
func (c *crowd) done(ctx context.Context) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.readers--
	c.move(ctx)
}

// move lets time pass to the earliest that somebody waits for, if everybody waits.
func (c *crowd) move(ctx context.Context) bool {
	if len(c.until) == 0 || len(c.until) < c.readers {
		return false
	}
	var next time.Time
	for _, t := range c.until {
		if !t.After(c.clock.Now()) {
			return false // its time has come: it is about to read
		}
		if next.IsZero() || t.Before(next) {
			next = t
		}
	}
	_ = c.clock.Sleep(ctx, next.Sub(c.clock.Now())) // a done context shows at the sleepers
	c.moved.Broadcast()
	return true
}
