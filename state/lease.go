package state

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/martsync/martsync"
)

// A Lease says that its owner alone uses an account, until it expires. It keeps two syncs
// from spending the same limits twice; that they cannot corrupt anything is the business of
// the destination's fence. A Lease may be used from several goroutines.
type Lease struct {
	store   Store
	clock   martsync.Clock
	account string
	ttl     time.Duration

	mu       sync.Mutex
	document lease
	revision string
}

// lease is the document. A released lease stays there, without owner, so that the epoch
// goes on.
type lease struct {
	Account string    `json:"account"`
	Owner   string    `json:"owner"`
	Epoch   int64     `json:"epoch"` // how many times the account was taken
	Taken   time.Time `json:"taken"`
	Expires time.Time `json:"expires"`

	Lasts time.Duration `json:"lasts,omitzero"` // from each renewal on; 0: not known
}

// AcquireLease takes the account for owner, for ttl. If somebody else holds it the error is
// of kind Busy and says who and until when. An owner who asks again takes it again.
func AcquireLease(ctx context.Context, store Store, clock martsync.Clock, account, owner string, ttl time.Duration) (*Lease, error) {
	l := &Lease{store: store, clock: clock, account: account, ttl: ttl}
	for try := 1; ; try++ {
		err := l.acquire(ctx, owner)
		if err == nil {
			return l, nil
		}
		// Somebody was faster, and has given it back meanwhile.
		if again := martsync.KindOf(err) == martsync.Busy && martsync.AfterOf(err) == 0; !again || try == mostTries {
			return nil, err
		}
	}
}

const (
	// mostTries is how often an account is tried that others take and give back while we look.
	mostTries = 3

	// maxSkew is more than clocks differ. A lease whose end is further away than it lasts, and than that, was written by a
	// clock that was far ahead; it must not keep everybody out until its time comes.
	maxSkew = time.Hour
)

// Process names this process, for owners of leases: in containers many have the number 1, and who has a name may take again
// what it has.
func Process() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown host " + rand.Text()
	}
	return fmt.Sprintf("process %d on %s", os.Getpid(), host)
}

func (l *Lease) acquire(ctx context.Context, owner string) error {
	held, revision, err := l.read(ctx)
	if err != nil {
		return err
	}
	now := l.clock.Now()
	left, ahead := held.Expires.Sub(now), held.Lasts > 0 && held.Expires.Sub(now) > held.Lasts+maxSkew
	if held.Owner != "" && held.Owner != owner && left > 0 && !ahead {
		return busy(held, now)
	}
	l.document = lease{Account: l.account, Owner: owner, Epoch: held.Epoch + 1, Taken: now, Expires: now.Add(l.ttl), Lasts: l.ttl}
	l.revision = revision
	return l.write(ctx, l.document)
}

// Epoch counts how many times the account was taken, this time included.
func (l *Lease) Epoch() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.document.Epoch
}

// Expires is when the lease ends unless it is renewed.
func (l *Lease) Expires() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.document.Expires
}

// Renew makes the lease last for ttl from now. A lease that has expired can still be
// renewed as long as nobody took it; if somebody did, the error is of kind Busy.
func (l *Lease) Renew(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	d := l.document
	d.Expires = l.clock.Now().Add(l.ttl)
	return l.write(ctx, d)
}

// Keep renews the lease if more than a third of its time has passed. It is cheap enough to
// be called before every step of a sync. As long as the lease lasts, a store that does not answer is no reason to stop:
// the next step tries again.
func (l *Lease) Keep(ctx context.Context) error {
	if l.clock.Now().Before(l.Expires().Add(-l.ttl * 2 / 3)) {
		return nil
	}
	err := l.Renew(ctx)
	if err != nil && martsync.KindOf(err) != martsync.Busy && ctx.Err() == nil && l.clock.Now().Before(l.Expires()) {
		return nil
	}
	return err
}

// Release gives the account back. If somebody else has taken it since, nothing happens.
func (l *Lease) Release(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	d := l.document
	d.Owner, d.Expires = "", l.clock.Now()
	err := l.write(ctx, d)
	if martsync.KindOf(err) == martsync.Busy {
		return nil
	}
	return err
}

// write stores d over the revision we know. After an error of the store's the document may be
// either, so it is read again: what counts is whether we are still in it.
func (l *Lease) write(ctx context.Context, d lease) error {
	data, err := json.Marshal(d)
	if err != nil {
		return fmt.Errorf("lease of %s: %w", l.account, err)
	}
	revision, err := l.store.Put(ctx, leaseKey(l.account), data, l.revision)
	if err == nil {
		l.document, l.revision = d, revision
		return nil
	}
	if !errors.Is(err, ErrStale) {
		return fmt.Errorf("lease of %s: %w", l.account, err)
	}
	held, revision, err := l.read(ctx)
	if err != nil {
		return err
	}
	if held.Owner != l.document.Owner || held.Epoch != l.document.Epoch {
		return busy(held, l.clock.Now())
	}
	// Our own earlier write, which was not reported, took effect.
	if revision, err = l.store.Put(ctx, leaseKey(l.account), data, revision); err != nil {
		if errors.Is(err, ErrStale) {
			return busy(held, l.clock.Now())
		}
		return fmt.Errorf("lease of %s: %w", l.account, err)
	}
	l.document, l.revision = d, revision
	return nil
}

func (l *Lease) read(ctx context.Context) (held lease, revision string, err error) {
	d, err := l.store.Get(ctx, leaseKey(l.account))
	if errors.Is(err, ErrNotFound) {
		return lease{}, "", nil
	}
	if err != nil {
		return lease{}, "", fmt.Errorf("lease of %s: %w", l.account, err)
	}
	if err := json.Unmarshal(d.Data, &held); err != nil {
		return lease{}, d.Revision, nil //nolint:nilerr // an unreadable lease protects nobody; the fence protects the tables
	}
	return held, d.Revision, nil
}

func leaseKey(account string) string { return "lease/" + account }

func busy(held lease, now time.Time) error {
	until := held.Expires.UTC().Format(time.RFC3339)
	if held.Owner == "" { // it came and went while we looked
		held.Owner = "another sync"
	}
	return &martsync.Error{
		Kind:  martsync.Busy,
		Op:    "take " + held.Account,
		After: max(held.Expires.Sub(now), 0),
		Err:   fmt.Errorf("%s is at work on this account until %s", held.Owner, until),
		Hint:  fmt.Sprintf("Wait for %s to end; if it has died the account is free after %s.", held.Owner, until),
	}
}
