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
	today := Today()
	a := Scaled(3600)
	for !today.Equal(Today()) { // midnight has come in between
		today, a = Today(), Scaled(3600)
	}
	b := ScaledFrom(today.In(time.FixedZone("", 3600)), 3600)
	first, between, last := a.Now(), b.Now(), a.Now()
	if between.Before(first) || between.After(last) {
		t.Errorf("of two clocks of the same speed and origin one shows %s between %s and %s of the other", between, first, last)
	}
	if between.Before(today) || between.Location() != time.UTC {
		t.Errorf("shows %s", between)
	}
	ahead := realNow().Add(time.Hour)
	if d := ahead.Sub(ScaledFrom(ahead, 3600).Now()); d < 3000*time.Hour || d > 3600*time.Hour { // it has ten minutes for that
		t.Errorf("an hour before its origin a clock shows %s before it, want 3600 times as much", d)
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
