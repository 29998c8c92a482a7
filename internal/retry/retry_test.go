package retry

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/martsync/martsync"
)

// clock stands still but for sleeps, which it records.
type clock struct {
	now    time.Time
	sleeps []time.Duration
}

func (c *clock) Now() time.Time { return c.now }

func (c *clock) Sleep(ctx context.Context, d time.Duration) error {
	c.sleeps = append(c.sleeps, d)
	c.now = c.now.Add(d)
	return ctx.Err()
}

func fail(k martsync.Kind, after time.Duration) error {
	return &martsync.Error{Kind: k, Op: "test", After: after}
}

func TestDo(t *testing.T) {
	transient := fail(martsync.Transient, 0)
	tests := []struct {
		name   string
		policy Policy
		errs   []error // of the calls; then success
		calls  int
		kind   martsync.Kind
		ok     bool
	}{
		{name: "success", calls: 1, ok: true},
		{name: "one failure", errs: []error{transient}, calls: 2, ok: true},
		{name: "seven failures", errs: []error{transient, transient, transient, transient, transient, transient, transient}, calls: 8, ok: true},
		{name: "eight failures", errs: []error{transient, transient, transient, transient, transient, transient, transient, transient, transient}, calls: 8, kind: martsync.Transient},
		{name: "tries", policy: Policy{Tries: 2}, errs: []error{transient, transient}, calls: 2, kind: martsync.Transient},
		{name: "quota", errs: []error{fail(martsync.Quota, time.Second)}, calls: 1, kind: martsync.Quota},
		{name: "pending", errs: []error{fail(martsync.Pending, time.Second)}, calls: 1, kind: martsync.Pending},
		{name: "data after transient", errs: []error{transient, fail(martsync.Data, 0)}, calls: 2, kind: martsync.Data},
		{name: "no kind", errs: []error{errors.New("bug")}, calls: 1, kind: martsync.Internal},
		{name: "after beyond total", errs: []error{fail(martsync.Transient, time.Hour)}, calls: 1, kind: martsync.Transient},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := &clock{}
			calls := 0
			err := Do(t.Context(), c, tt.policy, func(context.Context) error {
				calls++
				if calls <= len(tt.errs) {
					return tt.errs[calls-1]
				}
				return nil
			})
			if calls != tt.calls {
				t.Errorf("calls: got %d, want %d", calls, tt.calls)
			}
			if (err == nil) != tt.ok {
				t.Fatalf("error: got %v, want success %v", err, tt.ok)
			}
			if err != nil && martsync.KindOf(err) != tt.kind {
				t.Errorf("kind: got %v, want %v", martsync.KindOf(err), tt.kind)
			}
		})
	}
}

func TestPausesGrow(t *testing.T) {
	for i, seconds := range []int{1, 2, 4, 8, 16, 32, 60, 60} {
		w := time.Duration(seconds) * time.Second
		got := Policy{}.Pause(i+1, nil)
		if got < w*3/4 || got > min(w*5/4, time.Minute) {
			t.Errorf("pause %d: got %v, want %v ± 1/4, at most 1 min", i+1, got, w)
		}
	}
	if got := (Policy{}).Pause(1, fail(martsync.Transient, 20*time.Second)); got != 20*time.Second {
		t.Errorf("pause with After: got %v, want 20s", got)
	}
}

func TestJitterIsRepeatableAndDiffers(t *testing.T) {
	pauses := func(seed string) (d []time.Duration) {
		for i := range 6 {
			d = append(d, Policy{Seed: seed}.Pause(i+1, nil))
		}
		return d
	}
	if diff := cmp.Diff(pauses("a"), pauses("a")); diff != "" {
		t.Errorf("same seed (-first +second):\n%s", diff)
	}
	if cmp.Equal(pauses("a"), pauses("b")) {
		t.Error("seeds a and b: got the same pauses, want different ones")
	}
}

func TestTotalBoundsTheWait(t *testing.T) {
	c := &clock{}
	err := Do(t.Context(), c, Policy{Tries: 1000, Total: 3 * time.Minute}, func(context.Context) error {
		return fail(martsync.Transient, 0)
	})
	if martsync.KindOf(err) != martsync.Transient {
		t.Errorf("error: got %v, want transient", err)
	}
	if got := c.now.Sub(time.Time{}); got > 3*time.Minute {
		t.Errorf("waited %v, want at most 3m", got)
	}
}

func TestCancelledWhileWaiting(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	calls := 0
	err := Do(ctx, &clock{}, Policy{}, func(context.Context) error {
		calls++
		cancel()
		return fail(martsync.Transient, 0)
	})
	if calls != 1 || err == nil {
		t.Errorf("got %d calls and error %v, want one call and an error", calls, err)
	}
}
