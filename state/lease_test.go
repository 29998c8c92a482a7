package state

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/simulate"
)

const account = "marketo:123-ABC-456"

func newClock() *simulate.Clock {
	return simulate.NewClock(time.Date(2025, 3, 1, 12, 0, 0, 0, time.UTC))
}

func acquire(t *testing.T, s Store, c martsync.Clock, owner string) *Lease {
	t.Helper()
	l, err := AcquireLease(t.Context(), s, c, account, owner, time.Minute)
	if err != nil {
		t.Fatalf("lease for %s: %v", owner, err)
	}
	return l
}

func TestLease(t *testing.T) {
	eachStore(t, func(t *testing.T, open func() Store) {
		s, clock := open(), newClock()
		first := acquire(t, s, clock, "first")
		if first.Epoch() != 1 {
			t.Errorf("epoch: got %d, want 1", first.Epoch())
		}
		clock.Advance(40 * time.Second)
		_, err := AcquireLease(t.Context(), open(), clock, account, "second", time.Minute)
		if martsync.KindOf(err) != martsync.Busy || err == nil || martsync.AfterOf(err) != 20*time.Second {
			t.Errorf("second: got %v after %v, want busy for 20s", err, martsync.AfterOf(err))
		}
		for _, word := range []string{"first", "2025-03-01T12:01:00Z"} {
			if !strings.Contains(martsync.HintOf(err), word) {
				t.Errorf("hint: %q does not mention %q", martsync.HintOf(err), word)
			}
		}
		if err := first.Renew(t.Context()); err != nil {
			t.Fatal(err)
		}
		clock.Advance(40 * time.Second) // beyond the first expiry
		if _, err := AcquireLease(t.Context(), s, clock, account, "second", time.Minute); martsync.KindOf(err) != martsync.Busy {
			t.Errorf("second after a renewal: got %v, want busy", err)
		}
		if err := first.Release(t.Context()); err != nil {
			t.Fatal(err)
		}
		if second := acquire(t, s, clock, "second"); second.Epoch() != 2 {
			t.Errorf("epoch after a release: got %d, want 2", second.Epoch())
		}
		if _, err := AcquireLease(t.Context(), s, clock, "another", "third", time.Minute); err != nil {
			t.Errorf("another account: %v", err)
		}
	})
}

func TestLeaseExpires(t *testing.T) {
	s, clock := NewMemory(), newClock()
	first := acquire(t, s, clock, "first")
	clock.Advance(time.Minute)
	if err := first.Renew(t.Context()); err != nil {
		t.Errorf("renew what expired and nobody took: %v", err)
	}
	clock.Advance(time.Minute)
	second := acquire(t, s, clock, "second")
	if second.Epoch() != 2 {
		t.Errorf("epoch: got %d, want 2", second.Epoch())
	}
	if err := first.Renew(t.Context()); martsync.KindOf(err) != martsync.Busy || err == nil {
		t.Errorf("renew what somebody took: got %v, want busy", err)
	}
	if err := first.Release(t.Context()); err != nil {
		t.Errorf("release what somebody took: %v", err)
	}
	if err := second.Renew(t.Context()); err != nil {
		t.Errorf("the second lost its lease by the first's release: %v", err)
	}
}

func TestTheOwnerMayTakeItsLeaseAgain(t *testing.T) {
	s, clock := NewMemory(), newClock()
	old := acquire(t, s, clock, "run-1")
	again := acquire(t, s, clock, "run-1")
	if again.Epoch() != 2 {
		t.Errorf("epoch: got %d, want 2", again.Epoch())
	}
	if err := old.Renew(t.Context()); martsync.KindOf(err) != martsync.Busy || err == nil {
		t.Errorf("renew the one before: got %v, want busy", err)
	}
}

func TestKeepRenewsWhenAThirdHasPassed(t *testing.T) {
	s, clock := NewMemory(), newClock()
	l := acquire(t, s, clock, "run-1")
	before := l.Expires()
	clock.Advance(19 * time.Second)
	if err := l.Keep(t.Context()); err != nil || !l.Expires().Equal(before) {
		t.Errorf("after 19s: got %v until %v, want no renewal", err, l.Expires())
	}
	clock.Advance(2 * time.Second)
	if err := l.Keep(t.Context()); err != nil || !l.Expires().Equal(clock.Now().Add(time.Minute)) {
		t.Errorf("after 21s: got %v until %v, want a renewal", err, l.Expires())
	}
}

// A store that does not answer costs the lease when its time is up, not before.
func TestKeepOutlastsAStoreThatDoesNotAnswer(t *testing.T) {
	s, clock := &silent{Store: NewMemory()}, newClock()
	l := acquire(t, s, clock, "run-1")
	s.on = true
	clock.Advance(59 * time.Second)
	if err := l.Keep(t.Context()); err != nil {
		t.Errorf("a second before its end: got %v, want to go on", err)
	}
	clock.Advance(time.Second)
	if err := l.Keep(t.Context()); martsync.KindOf(err) != martsync.Transient {
		t.Errorf("at its end: got %v, want the store's error", err)
	}
	s.on = false
	if err := l.Keep(t.Context()); err != nil || !l.Expires().Equal(clock.Now().Add(time.Minute)) {
		t.Errorf("when it answers again: got %v until %v, want a renewal", err, l.Expires())
	}
	clock.Advance(time.Minute)
	acquire(t, s, clock, "run-2")
	if err := l.Keep(t.Context()); martsync.KindOf(err) != martsync.Busy {
		t.Errorf("when somebody else has it: got %v, want busy", err)
	}
}

// silent is a store that takes nothing while it is on.
type silent struct {
	Store
	on bool
}

func (s *silent) Put(ctx context.Context, key string, data []byte, revision string) (string, error) {
	if s.on {
		return "", &martsync.Error{Kind: martsync.Transient, Op: "put", Err: errors.New("no answer")}
	}
	return s.Store.Put(ctx, key, data, revision)
}

// A machine whose clock was years ahead must not lock the account for years.
func TestALeaseOfAClockThatWasAhead(t *testing.T) {
	s, clock := NewMemory(), newClock()
	ahead := simulate.NewClock(clock.Now().AddDate(2, 0, 0))
	acquire(t, s, ahead, "run-1")
	acquire(t, s, clock, "run-2")

	s = NewMemory()
	if _, err := AcquireLease(t.Context(), s, clock, account, "run-1", 1000*time.Hour); err != nil {
		t.Fatal(err)
	}
	if _, err := AcquireLease(t.Context(), s, clock, account, "run-2", time.Minute); martsync.KindOf(err) != martsync.Busy {
		t.Errorf("a lease that lasts long: got %v, want busy", err)
	}

	s = NewMemory()
	ahead = simulate.NewClock(clock.Now().Add(50 * time.Minute)) // clocks differ
	acquire(t, s, ahead, "run-1")
	if _, err := AcquireLease(t.Context(), s, clock, account, "run-2", time.Minute); martsync.KindOf(err) != martsync.Busy {
		t.Errorf("got %v, want busy", err)
	}
}

// Who is beaten to an account that is free again by the time it looks gets it.
func TestAnAccountThatWasTakenAndGivenBackMeanwhile(t *testing.T) {
	s, clock := &beaten{Store: NewMemory()}, newClock()
	s.by = func() {
		if err := acquire(t, s.Store, clock, "other").Release(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if l := acquire(t, s, clock, "run-1"); l.Epoch() != 2 {
		t.Errorf("epoch: got %d, want 2", l.Epoch())
	}
}

// beaten is a store where somebody else is faster, once.
type beaten struct {
	Store
	by func()
}

func (b *beaten) Put(ctx context.Context, key string, data []byte, revision string) (string, error) {
	if by := b.by; by != nil {
		b.by = nil
		by()
	}
	return b.Store.Put(ctx, key, data, revision)
}

func TestOfManyOneGetsTheLease(t *testing.T) {
	eachStore(t, func(t *testing.T, open func() Store) {
		clock := newClock()
		var got, busy atomic.Int32
		var group sync.WaitGroup
		for _, owner := range strings.Split("abcdefgh", "") {
			s := open()
			group.Go(func() {
				_, err := AcquireLease(context.Background(), s, clock, account, owner, time.Minute)
				switch {
				case err == nil:
					got.Add(1)
				case martsync.KindOf(err) == martsync.Busy:
					busy.Add(1)
				default:
					t.Error(err)
				}
			})
		}
		group.Wait()
		if got.Load() != 1 || busy.Load() != 7 {
			t.Errorf("got %d leases and %d busy, want 1 and 7", got.Load(), busy.Load())
		}
	})
}

// mute is a store whose next put takes effect and fails all the same.
type mute struct {
	Store
	on bool
}

func (m *mute) Put(ctx context.Context, key string, data []byte, revision string) (string, error) {
	next, err := m.Store.Put(ctx, key, data, revision)
	if m.on {
		m.on = false
		return "", &martsync.Error{Kind: martsync.Transient, Op: "put", Err: errors.New("connection lost")}
	}
	return next, err
}

func TestARenewalThatWasNotReported(t *testing.T) {
	s, clock := &mute{Store: NewMemory()}, newClock()
	l := acquire(t, s, clock, "run-1")
	s.on = true
	if err := l.Renew(t.Context()); martsync.KindOf(err) != martsync.Transient {
		t.Errorf("renew: got %v, want the store's error", err)
	}
	if err := l.Renew(t.Context()); err != nil {
		t.Errorf("renew again: %v", err)
	}
	if err := l.Release(t.Context()); err != nil {
		t.Errorf("release: %v", err)
	}
}

func TestAnUnreadableLeaseProtectsNobody(t *testing.T) {
	s, clock := NewMemory(), newClock()
	put(t, s, "lease/"+account, "{", "")
	acquire(t, s, clock, "run-1")
}
