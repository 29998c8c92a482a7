// Package retry tries again what passes with time. It decides by the Kind of an error alone:
// a Transient error is tried again after a growing pause, everything else is returned at
// once; also Quota and Pending, whose waits are longer than a call should last and belong to
// package pipeline.
package retry

import (
	"context"
	"encoding/binary"
	"hash/fnv"
	"time"

	"github.com/martsync/martsync"
)

// A Policy says how often and how patiently. The zero Policy means the defaults.
type Policy struct {
	Tries int           // calls in all; default 8
	First time.Duration // pause after the first failure, doubled after each further one; default 1 s
	Max   time.Duration // longest pause of our own making; default 60 s
	Total time.Duration // bound of all pauses together; default 5 min
	Seed  string        // makes the jitter of one caller differ from another's, and the same each time
}

func (p Policy) withDefaults() Policy {
	if p.Tries <= 0 {
		p.Tries = 8
	}
	if p.First <= 0 {
		p.First = time.Second
	}
	if p.Max <= 0 {
		p.Max = time.Minute
	}
	if p.Total <= 0 {
		p.Total = 5 * time.Minute
	}
	return p
}

// Pause returns how long to wait after the failure number failures (1, 2, …) that was err:
// twice as long each time, up to a quarter less or more, at most Max; but never less than
// err asks for.
func (p Policy) Pause(failures int, err error) time.Duration {
	p = p.withDefaults()
	d := p.First
	for i := 1; i < failures && d < p.Max; i++ {
		d *= 2
	}
	// The jitter keeps clients that failed together from coming back together. It is a hash
	// rather than chance so that tests can repeat themselves.
	h := fnv.New64a()
	_, _ = h.Write(binary.BigEndian.AppendUint32([]byte(p.Seed), uint32(failures))) //nolint:gosec // a small count
	d = d*3/4 + time.Duration(h.Sum64()%1024)*(d/2)/1024
	return max(min(d, p.Max), martsync.AfterOf(err))
}

// Do calls f until it succeeds, fails with an error that is not Transient, has had its
// tries, or the next pause would exceed what is left of the total. It returns f's last error,
// or ctx's while waiting.
func Do(ctx context.Context, clock martsync.Clock, p Policy, f func(context.Context) error) error {
	p = p.withDefaults()
	left := p.Total
	for failures := 1; ; failures++ {
		err := f(ctx)
		if err == nil || ctx.Err() != nil || martsync.KindOf(err) != martsync.Transient || failures >= p.Tries {
			return err
		}
		d := p.Pause(failures, err)
		if d > left {
			return err
		}
		left -= d
		if err := clock.Sleep(ctx, d); err != nil {
			return err
		}
	}
}
