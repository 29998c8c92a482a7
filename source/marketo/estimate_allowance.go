package marketo

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/martsync/martsync"
)

const (
	// estimateCalls is how many calls the estimates of a source may take together, and estimatePart how many at most of
	// those that the source may make in a day. With a sample it is sampleCalls, and sampleShare of the day.
	estimateCalls, sampleCalls = 100, 500
	estimatePart               = 0.02
)

// errAllowance is what a call gets that estimates may not make any more.
var errAllowance = errors.New("planning has spent the calls that it may take")

// An allowance is how many calls somebody may still make, down to a floor that is kept for others.
type allowance struct{ left, taken, floor atomic.Int64 }

type allowanceKey struct{}

// allowed returns a context whose calls come out of an allowance.
func (a *allowance) allowed(ctx context.Context) context.Context {
	return context.WithValue(ctx, allowanceKey{}, a)
}

// takeCall takes one call of the context's allowance, if it has one.
func takeCall(ctx context.Context) error {
	a, ok := ctx.Value(allowanceKey{}).(*allowance)
	if !ok {
		return nil
	}
	if a.left.Add(-1) < a.floor.Load() {
		a.left.Add(1)
		return &martsync.Error{Kind: martsync.Quota, Err: errAllowance}
	}
	a.taken.Add(1)
	return nil
}

// spentUp reports whether calls could not be made because they are spent: those that estimates may take, or those of the day.
func spentUp(err error) bool { return err != nil && martsync.KindOf(err) == martsync.Quota }

// mostCalls is how many calls estimates may take, the listing of streams included.
func (s *source) mostCalls(sample bool) int64 {
	day := float64(s.cfg.Limits.calls())
	if !sample {
		return max(1, min(estimateCalls, int64(estimatePart*day)))
	}
	return max(s.mostCalls(false), min(sampleCalls, int64(sampleShare*day)))
}

// allow makes out how many calls are left to estimates, after what the source has spent so far. What the listing of streams
// took is at most half of it: something should be left to look at even if little is allowed.
//
// A call is kept for each stream of which nothing is known yet, up to half of what is left, but for this one.
func (s *source) allow(stream string, sample bool) *allowance {
	p := &s.estimates
	most := s.mostCalls(sample)
	if p.calls == nil {
		p.calls = new(allowance)
		m := s.client.meter
		m.mu.Lock()
		p.most = most - min(m.spent, most/2)
		p.before = most - p.most
		m.mu.Unlock()
	} else {
		p.most = max(p.most, most-p.before)
	}
	left := max(0, p.most-p.calls.taken.Load())
	p.calls.left.Store(left)
	p.looked[stream] = true
	p.calls.floor.Store(min(int64(len(p.streams)-len(p.looked)), left/2))
	return p.calls
}

// unknown says that an estimate could not be made, and at least how many calls the stream takes.
func unknown(e *martsync.Estimate, calls float64, why string) {
	e.Rows, e.Bytes, e.Basis, e.Open, e.Detail = -1, -1, martsync.Assumed, true, why
	e.Costs, e.Most = costs(calls, 0, 0), nil
}

func unknownAsSpent(e *martsync.Estimate, calls float64) {
	unknown(e, calls, fmt.Sprintf("not looked at: %s", errAllowance))
}

// sampleError is by what factor what was sampled may be too small, see docs/plan.md.
const sampleError = 2

// mayErr says what an estimate from a sample takes at most.
func mayErr(e *martsync.Estimate) {
	e.Most = nil
	for _, c := range e.Costs {
		if c.Name != jobsName { // those follow from the range, or from what was counted
			c.Amount = whole(float64(c.Amount) * sampleError)
		}
		e.Most = append(e.Most, c)
	}
}
