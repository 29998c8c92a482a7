package simulate

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"
)

var start = time.Date(2026, 3, 16, 9, 30, 0, 0, time.UTC)

func TestClock(t *testing.T) {
	c := NewClock(start)
	ctx := t.Context()
	check := func(what string, want time.Duration) {
		t.Helper()
		if got := c.Now().Sub(start); got != want {
			t.Errorf("%s: the clock shows +%s, want +%s", what, got, want)
		}
	}
	check("new", 0)
	if err := c.Sleep(ctx, time.Hour); err != nil {
		t.Errorf("Sleep: %v", err)
	}
	check("after a sleep", time.Hour)
	c.Advance(-time.Hour)
	c.Set(start)
	check("after going backwards", time.Hour)
	c.Set(start.Add(2 * time.Hour))
	check("after Set", 2*time.Hour)
	done, cancel := context.WithCancel(ctx)
	cancel()
	if err := c.Sleep(done, time.Hour); !errors.Is(err, context.Canceled) {
		t.Errorf("Sleep with a context that is done: got %v", err)
	}
	check("after a sleep that did not happen", 2*time.Hour)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() { _ = c.Sleep(ctx, time.Second); _ = c.Now() })
	}
	wg.Wait()
	if got := c.Now().Sub(start); got < 2*time.Hour+time.Second {
		t.Errorf("after sleeps side by side: +%s", got)
	}
}

func TestScaled(t *testing.T) {
	a, b := Scaled(3600), Scaled(3600)
	midnight := a.Now().Truncate(24 * time.Hour)
	if d := b.Now().Sub(a.Now()); d < -time.Hour || d > time.Hour {
		t.Errorf("two clocks of the same speed are %s apart", d)
	}
	if a.Now().Before(midnight) || a.Now().Location() != time.UTC {
		t.Errorf("shows %s", a.Now())
	}
	before := a.Now()
	if err := a.Sleep(t.Context(), time.Minute); err != nil { // 17 ms
		t.Fatal(err)
	}
	if d := a.Now().Sub(before); d < time.Minute {
		t.Errorf("a sleep of a minute took %s", d)
	}
	done, cancel := context.WithCancel(t.Context())
	cancel()
	for _, d := range []time.Duration{0, time.Hour} {
		if err := a.Sleep(done, d); !errors.Is(err, context.Canceled) {
			t.Errorf("sleep of %s with a context that is done: got %v", d, err)
		}
	}
	if err := Scaled(0).Sleep(t.Context(), 0); err != nil {
		t.Errorf("no sleep: %v", err)
	}
}
