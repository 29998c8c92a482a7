package httpx

import (
	"context"
	"sync"
	"time"

	"github.com/martsync/martsync"
)

// Limits bound the calls to one account.
type Limits struct {
	Calls      int           // most calls that start within any span of Per
	Per        time.Duration // the vendor's rolling window
	Concurrent int           // most calls in flight
}

// A Limiter paces the calls of everything that shares one account. Its methods may be
// called from several goroutines.
//
// Told of refusals, it becomes slower at once and recovers a little with every minute that
// passes without one: other programs share the vendor's limits, and how much of them they
// use changes through the day.
type Limiter struct {
	clock  martsync.Clock
	limits Limits

	mu       sync.Mutex
	calls    int           // calls per window at present, 1 … limits.Calls
	slots    int           // calls in flight at present, 1 … limits.Concurrent
	inFlight int           //
	starts   []time.Time   // of the last limits.Calls calls, oldest at next
	next     int           //
	until    time.Time     // no call starts before
	eased    time.Time     // when calls and slots last changed
	freed    chan struct{} // closed when a slot becomes free
}

// recovery is how long the limiter stays slow before it tries a little faster.
const recovery = time.Minute

// NewLimiter returns a limiter on clock. Limits of zero mean one call.
func NewLimiter(clock martsync.Clock, limits Limits) *Limiter {
	limits.Calls, limits.Concurrent = max(limits.Calls, 1), max(limits.Concurrent, 1)
	return &Limiter{
		clock: clock, limits: limits,
		calls: limits.Calls, slots: limits.Concurrent,
		starts: make([]time.Time, limits.Calls), freed: make(chan struct{}),
	}
}

// Acquire waits until a call may start. The caller calls release, once, when the call is
// over. The error is that of ctx.
func (l *Limiter) Acquire(ctx context.Context) (release func(), err error) {
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		wait, freed := l.try()
		switch {
		case freed != nil:
			select {
			case <-freed:
			case <-ctx.Done():
			}
		case wait > 0:
			if err := l.clock.Sleep(ctx, wait); err != nil {
				return nil, err
			}
		default:
			return l.release, nil
		}
	}
}

// try takes a slot, or says how long to wait, or which channel tells of a free slot.
func (l *Limiter) try() (wait time.Duration, freed <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.clock.Now()
	l.setBack(now)
	l.ease(now)
	if l.inFlight >= l.slots {
		return 0, l.freed
	}
	if d := l.until.Sub(now); d > 0 {
		return d, nil
	}
	// The call that must have left the window is the calls-th last one.
	before := l.starts[(l.next-l.calls+2*len(l.starts))%len(l.starts)]
	if !before.IsZero() {
		if d := before.Add(l.limits.Per).Sub(now); d > 0 {
			return d, nil
		}
	}
	l.starts[l.next] = now
	l.next = (l.next + 1) % len(l.starts)
	l.inFlight++
	return 0, nil
}

// setBack notices that the clock was set back since the last call, and moves what is remembered along with it: otherwise
// nothing would start until the clock comes there again.
func (l *Limiter) setBack(now time.Time) {
	back := now.Sub(l.starts[(l.next+len(l.starts)-1)%len(l.starts)])
	if back >= 0 {
		return
	}
	for i, t := range l.starts {
		if !t.IsZero() {
			l.starts[i] = t.Add(back)
		}
	}
	l.until, l.eased = l.until.Add(back), l.eased.Add(back)
}

func (l *Limiter) release() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.inFlight--
	close(l.freed)
	l.freed = make(chan struct{})
}

// ease gives back a tenth of what Slow and Narrow took for every minute without them.
func (l *Limiter) ease(now time.Time) {
	if l.calls == l.limits.Calls && l.slots == l.limits.Concurrent {
		return
	}
	for ; now.Sub(l.eased) >= recovery && (l.calls < l.limits.Calls || l.slots < l.limits.Concurrent); l.eased = l.eased.Add(recovery) {
		l.calls = min(l.limits.Calls, l.calls+max(1, l.limits.Calls/10))
		l.slots = min(l.limits.Concurrent, l.slots+1)
	}
}

// Slow answers a refusal for too many calls in the window: nothing starts for d, and then a
// quarter fewer calls fit into a window.
func (l *Limiter) Slow(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.clock.Now()
	if now.Before(l.until) {
		return // refusals of calls that were under way together count once
	}
	l.until, l.eased = now.Add(d), now.Add(d)
	l.calls = max(1, l.calls*3/4)
}

// Narrow answers a refusal for too many calls in flight: one fewer from now on.
func (l *Limiter) Narrow() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.eased = l.clock.Now()
	l.slots = max(1, l.slots-1)
}

// Now returns the limits in force at present.
func (l *Limiter) Now() Limits {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ease(l.clock.Now())
	return Limits{Calls: l.calls, Per: l.limits.Per, Concurrent: l.slots}
}
