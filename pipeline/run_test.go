package pipeline_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/pipeline"
	"github.com/martsync/martsync/runlog"
	"github.com/martsync/martsync/simulate"
	"github.com/martsync/martsync/state"
)

// pendingOnce is a stream that waits once.
func pendingOnce(after time.Duration) *scriptedStream {
	calls := 0
	return plainStream("s", func(martsync.Cursor) []any {
		if calls++; calls == 1 {
			return []any{failure(martsync.Pending, after)}
		}
		return []any{batch("1", 1)}
	})
}

// lidClock is that of a laptop that is closed during its first sleep: its timers stand still meanwhile.
type lidClock struct {
	*simulate.Clock
	closed time.Duration
}

func (c *lidClock) Sleep(ctx context.Context, d time.Duration) error {
	c.Advance(c.closed)
	c.closed = 0
	return c.Clock.Sleep(ctx, d)
}

func TestRunWakesInTimeOnAMachineThatWasAsleep(t *testing.T) {
	f := newFixture(t, pendingOnce(8*time.Hour))
	began := f.clock.Now()
	f.sync.Clock = &lidClock{f.clock, 6 * time.Hour}
	f.mustRun()
	if took := f.clock.Now().Sub(began); took < 8*time.Hour || took > 8*time.Hour+2*time.Minute {
		t.Errorf("took %v, want the 8h that the stream asked for", took)
	}
}

// deaf is a store that does not answer for some time once somebody has slept.
type deaf struct {
	state.Store
	tries int
	err   error
}

func (d *deaf) Get(ctx context.Context, key string) (state.Document, error) {
	if d.tries > 0 && strings.HasPrefix(key, "lease/") {
		d.tries--
		return state.Document{}, d.err
	}
	return d.Store.Get(ctx, key)
}

func TestRunOutlastsAStateThatDoesNotAnswer(t *testing.T) {
	for _, c := range []struct {
		name  string
		tries int
		kind  martsync.Kind
		done  bool
	}{
		{"for a while", 5, martsync.Transient, true},
		{"any more", 1000, martsync.Transient, false},
		{"since it may not", 1, martsync.Auth, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFixture(t, pendingOnce(time.Minute))
			d := &deaf{Store: f.state, err: failure(c.kind, 0)}
			f.sync.State = d
			f.sync.Clock = wakingClock{f.clock, func() {
				if d.tries == 0 && c.tries > 0 {
					d.tries, c.tries = c.tries, 0
				}
			}}
			s := f.sync
			out, err := pipeline.Run(t.Context(), &s)
			if c.done != (err == nil && out.Done) {
				t.Errorf("got done %v and error %v, want done %v", out.Done, err, c.done)
			}
			if !c.done {
				f.wantKind(err, c.kind)
			}
		})
	}
}

func TestAPanicIsAnErrorOfItsStream(t *testing.T) {
	bug := true
	f := newFixture(t, plainStream("s", func(martsync.Cursor) []any {
		return []any{batch("1", 1), func() {
			if bug {
				panic("index out of range")
			}
		}, batch("2", 2)}
	}))
	out, err := f.run()
	f.wantKind(err, martsync.Internal)
	if err == nil || !strings.Contains(err.Error(), "s: read: panic: index out of range") {
		t.Errorf("error: got %v, want one that tells of the panic", err)
	}
	if got := phaseOf(out, "s"); got != runlog.PhaseFailed {
		t.Errorf("phase: got %s, want failed", got)
	}
	bug = false
	f.mustRun() // the account was given back
	f.want("s", 1, 2)
}
