package marketo

import (
	"context"
	"errors"
	"fmt"
	"sync"
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

// spare is how many calls may be taken now.
func (a *allowance) spare() int64 { return a.left.Load() - a.floor.Load() }

// keep leaves so many calls of the context's allowance for later, until they are released.
func keep(ctx context.Context, calls int64) (release func()) {
	a, ok := ctx.Value(allowanceKey{}).(*allowance)
	if !ok {
		return func() {}
	}
	a.floor.Add(calls)
	return sync.OnceFunc(func() { a.floor.Add(-calls) })
}

// lend takes one of the calls that the context's allowance keeps for others.
func lend(ctx context.Context) {
	if a, ok := ctx.Value(allowanceKey{}).(*allowance); ok && a.floor.Load() > 0 {
		a.floor.Add(-1)
	}
}

// spentUp reports whether calls could not be made because they are spent: those that estimates may take, or those of the day.
func spentUp(err error) bool { return err != nil && martsync.KindOf(err) == martsync.Quota }

// LimitEstimates says how many calls the source may make until everything has been estimated, and of which streams that will
// be asked. More than are left of the day are refused, and so few that none are left after the listing of streams.
func (s *source) LimitEstimates(calls int64, streams []string) error {
	p := &s.estimates
	p.mu.Lock()
	defer p.mu.Unlock()
	if calls != 0 {
		spent, left := s.client.meter.made(), s.client.meter.left()
		refused := func(hint, format string, args ...any) error {
			return &martsync.Error{Kind: martsync.Config, Op: "marketo: limit what planning takes", Hint: hint, Err: fmt.Errorf(format, args...)}
		}
		switch {
		case calls < 0:
			return refused("", "%d calls: it must be more than 0", calls)
		case calls > spent+left:
			return refused(
				fmt.Sprintf("Allow at most %d, or more to the source (limits.daily_calls, limits.daily_reserve).", spent+left),
				"%d calls are more than the %d that are left of what the source may make today", calls, spent+left)
		case calls <= spent:
			return refused(
				fmt.Sprintf("Allow more than %d.", spent),
				"%d calls leave none to estimate anything: listing the streams has taken %d", calls, spent)
		}
	}
	p.limit, p.wanted = calls, map[string]bool{}
	for _, name := range streams {
		p.wanted[name] = true
	}
	return nil
}

// made is how many calls there have been since the source was opened.
func (m *meter) made() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.spent
}

// mostCalls is how many calls estimates may take, the listing of streams included.
func (s *source) mostCalls(sample bool) int64 {
	if s.estimates.limit != 0 {
		return s.estimates.limit
	}
	day := float64(s.cfg.Limits.calls())
	if !sample {
		return max(1, min(estimateCalls, int64(estimatePart*day)))
	}
	return max(s.mostCalls(false), min(sampleCalls, int64(sampleShare*day)))
}

// allow makes out how many calls are left to estimates, after what the source has spent so far. Of a bound of its own, what the
// listing of streams took is at most half: something should be left to look at even if little is allowed.
//
// What other streams need is kept for them, see needs: where that and what this one needs is not there, half of what is left.
func (s *source) allow(stream martsync.Stream, sample bool) *allowance {
	p := &s.estimates
	most := s.mostCalls(sample)
	if p.calls == nil {
		p.calls = new(allowance)
		spent := s.client.meter.made()
		if p.limit == 0 {
			spent = min(spent, most/2)
		}
		p.most, p.before = most-spent, spent
	} else {
		p.most = max(p.most, most-p.before)
	}
	left := max(0, p.most-p.calls.taken.Load())
	p.calls.left.Store(left)
	p.looked[stream.Schema().Stream] = true
	own, others := s.needs(stream)
	p.calls.floor.Store(min(others, max(left-own, left/2)))
	return p.calls
}

// effort is how many times as closely something is looked at as with estimateCalls.
func (s *source) effort() int {
	const most = 5
	return int(min(max((s.estimates.most+s.estimates.before)/estimateCalls, 1), most))
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
