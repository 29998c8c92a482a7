package simulate

import (
	"context"
	"sync"
	"time"
)

// A Time tells the time and waits.
type Time interface {
	Now() time.Time
	Sleep(ctx context.Context, d time.Duration) error
}

// A Clock is a Time that stands still until somebody moves it. Sleeping moves it: a program
// that is alone with its clock runs through years of waiting in no time, and a run can be
// repeated exactly. It never goes backwards.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// NewClock returns a clock that shows start.
func NewClock(start time.Time) *Clock { return &Clock{now: start.UTC()} }

// Now returns the time the clock shows, in UTC.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Sleep moves the clock to d after the moment of the call, unless it is already later, and
// returns. A sleep whose context is done moves nothing.
func (c *Clock) Sleep(ctx context.Context, d time.Duration) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if d > 0 {
		c.Advance(d)
	}
	return nil
}

// Advance moves the clock forward by d; a negative d moves nothing.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if d > 0 {
		c.now = c.now.Add(d)
	}
}

// Set moves the clock to t unless it is already later.
func (c *Clock) Set(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t.After(c.now) {
		c.now = t.UTC()
	}
}

// Scaled is ScaledFrom today's midnight UTC.
func Scaled(speed float64) Time { return ScaledFrom(Today(), speed) }

// Today is the last midnight UTC: the origin of Scaled.
func Today() time.Time { return realNow().Truncate(24 * time.Hour) }

// ScaledFrom returns a Time that runs speed times as fast as the real one and showed the same at
// the origin, which may also be still to come. Processes with the same origin and speed agree on it, whenever
// they were started, so a simulator and a program that waits for it can be apart. A speed of 0 or less is 1.
func ScaledFrom(origin time.Time, speed float64) Time {
	if speed <= 0 {
		speed = 1
	}
	return scaled{origin: origin.UTC().Round(0), speed: speed}
}

type scaled struct {
	origin time.Time
	speed  float64
}

// realNow has no monotonic part, which would differ from the wall clock of another process.
func realNow() time.Time {
	return time.Now().UTC().Round(0) //nolint:forbidigo // this clock follows the real one
}

func (s scaled) Now() time.Time {
	return s.origin.Add(time.Duration(float64(realNow().Sub(s.origin)) * s.speed))
}

func (s scaled) Sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(time.Duration(float64(d) / s.speed)) //nolint:forbidigo // this clock follows the real one
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
