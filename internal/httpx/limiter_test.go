package httpx

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// clock stands still until somebody sleeps.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Sleep(ctx context.Context, d time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if d > 0 {
		c.now = c.now.Add(d)
	}
	return ctx.Err()
}

func acquire(t testing.TB, l *Limiter) (release func()) {
	t.Helper()
	release, err := l.Acquire(t.Context())
	if err != nil {
		t.Fatalf("acquire: %v", err)
	}
	return release
}

func TestLimiterNeverStartsMoreThanTheWindowHolds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := newClock()
		limits := Limits{Calls: rapid.IntRange(1, 20).Draw(t, "calls"), Per: 20 * time.Second, Concurrent: 1}
		l := NewLimiter(c, limits)
		var starts []time.Time
		for range rapid.IntRange(1, 200).Draw(t, "n") {
			release, err := l.Acquire(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			starts = append(starts, c.Now())
			_ = c.Sleep(context.Background(), time.Duration(rapid.IntRange(0, 3000).Draw(t, "ms"))*time.Millisecond)
			release()
			if rapid.IntRange(0, 30).Draw(t, "refused") == 0 {
				l.Slow(20 * time.Second)
			}
		}
		for i := limits.Calls; i < len(starts); i++ {
			if d := starts[i].Sub(starts[i-limits.Calls]); d < limits.Per {
				t.Fatalf("calls %d and %d started %v apart, want at least %v with %d calls a window", i-limits.Calls, i, d, limits.Per, limits.Calls)
			}
		}
	})
}

func TestLimiterUsesTheWholeWindow(t *testing.T) {
	c := newClock()
	l := NewLimiter(c, Limits{Calls: 50, Per: 20 * time.Second, Concurrent: 5})
	start := c.Now()
	for range 500 {
		acquire(t, l)()
	}
	if got, want := c.Now().Sub(start), 9*20*time.Second; got != want {
		t.Errorf("500 calls took %v, want %v: the limit is 50 in 20 s", got, want)
	}
}

func TestLimiterBoundsCallsInFlight(t *testing.T) {
	l := NewLimiter(newClock(), Limits{Calls: 1000, Per: time.Second, Concurrent: 3})
	var mu sync.Mutex
	var flying, most int
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			release, err := l.Acquire(context.Background())
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			flying++
			most = max(most, flying)
			mu.Unlock()
			mu.Lock()
			flying--
			mu.Unlock()
			release()
		})
	}
	wg.Wait()
	if most > 3 || most < 1 {
		t.Errorf("%d calls were in flight at once, want at most 3", most)
	}
}

func TestLimiterGoesSlowerAndRecovers(t *testing.T) {
	c := newClock()
	l := NewLimiter(c, Limits{Calls: 40, Per: 20 * time.Second, Concurrent: 4})
	before := c.Now()
	l.Slow(20 * time.Second)
	l.Slow(20 * time.Second) // the same incident
	l.Narrow()
	if got := l.Now(); got.Calls != 30 || got.Concurrent != 3 {
		t.Errorf("after a refusal: %d calls, %d in flight, want 30 and 3", got.Calls, got.Concurrent)
	}
	acquire(t, l)()
	if got := c.Now().Sub(before); got != 20*time.Second {
		t.Errorf("the next call started after %v, want 20 s", got)
	}
	_ = c.Sleep(t.Context(), 10*time.Minute)
	if got := l.Now(); got.Calls != 40 || got.Concurrent != 4 {
		t.Errorf("after ten quiet minutes: %d calls, %d in flight, want 40 and 4", got.Calls, got.Concurrent)
	}
	for range 100 {
		_ = c.Sleep(t.Context(), 20*time.Second)
		l.Slow(20 * time.Second)
		l.Narrow()
	}
	if got := l.Now(); got.Calls < 1 || got.Concurrent < 1 {
		t.Errorf("after a hundred refusals: %d calls, %d in flight, want at least one", got.Calls, got.Concurrent)
	}
}

func TestAcquireObeysItsContext(t *testing.T) {
	l := NewLimiter(newClock(), Limits{Calls: 10, Per: time.Second, Concurrent: 1})
	release := acquire(t, l)
	defer release()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := l.Acquire(ctx)
		done <- err
	}()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("acquire while all slots are taken: %v, want context canceled", err)
	}
}

// A clock that was ahead and is put right must not stop all calls until it comes there again.
func TestLimiterOnAClockThatIsSetBack(t *testing.T) {
	c := newClock()
	l := NewLimiter(c, Limits{Calls: 2, Per: 20 * time.Second, Concurrent: 5})
	for range 2 {
		acquire(t, l)()
	}
	l.Slow(30 * time.Second)
	c.now = c.now.Add(-5 * time.Hour)
	began := c.Now()
	acquire(t, l)()
	if waited := c.Now().Sub(began); waited != 30*time.Second {
		t.Errorf("waited %v, want the 30s of the refusal", waited)
	}
	began = c.Now()
	acquire(t, l)()
	if waited := c.Now().Sub(began); waited != 20*time.Second {
		t.Errorf("then waited %v, want the 20s of the window", waited)
	}
}
