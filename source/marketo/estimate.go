package marketo

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"

	"github.com/martsync/martsync"
)

// An extent is how much there is of something.
type extent struct {
	rows, bytes float64 // of the export files; negative: not known
	calls       float64 // it takes page by page
	basis       martsync.Basis
	detail      string
	shares      []martsync.Share
}

// estimates is what the estimates of a source have found out and may still spend. They are made one after the other.
type estimates struct {
	mu           sync.Mutex
	calls        *allowance      // nil: none has been made
	most, before int64           // of its calls; what had been spent when the first one was made
	limit        int64           // that was asked for, see LimitEstimates; 0: none was
	wanted       map[string]bool // streams that are going to be estimated; nil: all may be

	streams []martsync.Stream
	looked  map[string]bool              // streams that an estimate was asked of
	whole   map[string]martsync.Estimate // of streams that are read whole, whatever the range
	sizes   map[string]*size             // of listings, by stream
	leads   *leadSample
	newest  int64                   // about the greatest id of a lead; 0: not looked for
	hung    map[string]*hungRecords // by custom object, or stream
	exports map[string]string       // which stream pays for exports that several need
}

// Estimate tells what reading a stream takes. The vendor counts nothing, so extents come from a few pages of the
// log of activities spread over the range, from lookups of leads by ids spread over all ids, from jumps into listings, and from
// what a few leads, programs, lists and folders have. With sample the activities of a few short ranges are exported too, which
// takes minutes. All estimates together take few calls, see mostCalls; a stream for which none are left is not known.
func (s *source) Estimate(ctx context.Context, stream string, from martsync.Cursor, span martsync.Span, sample bool) (martsync.Estimate, error) {
	p := &s.estimates
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.streams == nil {
		streams, err := s.Streams(ctx)
		if err != nil {
			return martsync.Estimate{}, err
		}
		p.streams, p.whole, p.sizes = streams, map[string]martsync.Estimate{}, map[string]*size{}
		p.looked = map[string]bool{}
		p.hung, p.exports = map[string]*hungRecords{}, map[string]string{}
	}
	i := slices.IndexFunc(p.streams, func(st martsync.Stream) bool { return st.Schema().Stream == stream })
	if i < 0 {
		return martsync.Estimate{}, fmt.Errorf("marketo: estimate %s: %w", stream, martsync.ErrUnsupported)
	}
	if e, known := p.whole[stream]; known && from == "" {
		return e, nil
	}
	e := martsync.Estimate{Stream: stream}
	always, err := s.estimate(s.allow(p.streams[i], sample).allowed(ctx), p.streams[i], from, span, sample, &e)
	if spentUp(err) && ctx.Err() == nil {
		unknownAsSpent(&e, leastCalls(p.streams[i]))
		return e, nil
	}
	if err != nil {
		if martsync.KindOf(err) == martsync.Unavailable {
			return e, errors.Join(fmt.Errorf("marketo: estimate %s: %w", stream, martsync.ErrUnsupported), err)
		}
		return e, err
	}
	if always && from == "" {
		p.whole[stream] = e
	}
	return e, nil
}

// estimate tells also whether the estimate holds for every range.
func (s *source) estimate(ctx context.Context, stream martsync.Stream, from martsync.Cursor, span martsync.Span, sample bool, e *martsync.Estimate) (always bool, err error) {
	switch st := stream.(type) {
	case *rangeStream:
		return false, s.estimateRange(ctx, st, from, span, sample, e)
	case *customStream:
		return false, s.estimateRange(ctx, st.rangeStream, from, span, sample, e)
	case *assetStream:
		return true, s.estimateAsset(ctx, st, from, span, e)
	case *campaignStream:
		return true, s.estimateCampaigns(ctx, e)
	case *memberStream:
		return true, s.estimateMembers(ctx, st, from, e)
	case *programMembers:
		return true, s.estimateProgramMembers(ctx, st, e)
	case *keyedStream:
		return true, s.estimateKeyed(ctx, st, e)
	case *tokenStream:
		return true, s.estimateTokens(ctx, e)
	case *listingStream:
		return true, s.estimateListing(ctx, st, e)
	case *absentStream:
		return true, st.err
	}
	unknown(e, 1, "nothing tells how much there is")
	return true, nil
}

// leastCalls is what reading a stream takes that has nothing.
func leastCalls(stream martsync.Stream) float64 {
	switch stream.(type) {
	case *rangeStream, *customStream, *keyedStream, *programMembers:
		return jobCalls
	}
	return 2
}

// Allowances are what the configuration lets the source take a day.
func (s *source) Allowances() []martsync.Allowance {
	l := s.cfg.Limits
	exported, known := s.client.meter.exportedToday()
	if !known {
		exported = -1
	}
	return []martsync.Allowance{
		{Cost: martsync.Cost{Name: callsName, Unit: "calls", Amount: l.calls()}, Taken: s.client.meter.calledToday()},
		{Cost: martsync.Cost{Name: bytesName, Unit: "bytes", Amount: l.exportBytes()}, Taken: exported},
	}
}

// learnExported asks for what today's exports have taken, unless it is known, so that a plan knows what is left of the day.
func (s *source) learnExported(ctx context.Context) error {
	if _, known := s.client.meter.exportedToday(); known {
		return nil
	}
	sum, err := s.client.finishedToday(ctx)
	switch {
	case err != nil && martsync.KindOf(err).Waits() && ctx.Err() == nil:
		s.env.Log.DebugContext(ctx, "the day's exports are not known", "err", err)
	case err != nil:
		return err
	default:
		s.client.meter.learnExported(sum)
	}
	return nil
}

// Names of what is spent, as in Usage.
const (
	callsName = "API calls"
	bytesName = "export bytes"
	jobsName  = "export jobs"
)

// costs are what something takes of the limits. Each 250 calls take one more, see usageEvery.
func costs(calls, bytes, jobs float64) []martsync.Cost {
	calls += math.Floor(calls / usageEvery)
	var c []martsync.Cost
	for _, x := range []struct {
		name, unit string
		amount     float64
	}{{callsName, "calls", calls}, {bytesName, "bytes", bytes}, {jobsName, "jobs", jobs}} {
		if n := whole(x.amount); n > 0 {
			c = append(c, martsync.Cost{Name: x.name, Unit: x.unit, Amount: n})
		}
	}
	return c
}

// whole rounds up; -1: not known.
func whole(x float64) int64 {
	if x < 0 {
		return -1
	}
	return int64(min(x+0.999, 1e18))
}

// estimateRange goes through the parts of a stream as its next run would, and asks how much there is in the range of each.
func (s *source) estimateRange(ctx context.Context, st *rangeStream, from martsync.Cursor, span martsync.Span, sample bool, e *martsync.Estimate) error {
	r := &run{rangeStream: st, span: span, yield: func(martsync.Batch, error) bool { return true }}
	r.pos = &position{V: positionVersion, Parts: map[string]*part{}}
	if from != "" {
		var err error
		if r.pos, err = parsePosition(st.schema.Stream, from); err != nil {
			return err
		}
		if r.pos.Parts == nil {
			r.pos.Parts = map[string]*part{}
		}
	}
	if r.over() {
		if due, err := r.begin(ctx); err != nil || !due {
			e.Basis, e.Detail = martsync.Counted, "nothing new is due"
			return err
		}
	}
	var calls, bytes, jobs float64
	for i, spec := range st.parts {
		p := r.pos.Parts[spec.name]
		if spec.sweeps || spec.only != nil {
			c, b, j := r.dearer(spec)
			calls, bytes, jobs = calls+c, bytes+b, jobs+j
			continue
		}
		if p == nil || p.At >= r.limit() && p.Feed == nil {
			continue
		}
		w := window{From: p.At, To: r.limit()}
		if i > 0 && w.length() <= shortRange {
			calls += walkCalls // a few pages of what is gone
			continue
		}
		if err := r.choose(ctx, spec, p); err != nil {
			return err
		}
		x, err := s.extent(ctx, st, spec, p, w, sample)
		if err != nil {
			return err
		}
		if p.Way == byJob {
			n, header := float64(r.jobsFor(p, w, x)), 0
			for _, f := range p.wanted(spec) {
				header += len(f) + 1
			}
			jobs += n
			calls += n * jobCalls
			if x.bytes >= 0 {
				x.bytes += n * float64(header)
				bytes += x.bytes
			}
		} else {
			calls += max(x.calls, 0) + walkCalls
		}
		if i == 0 { // the rows of a stream are those of its first part; the others tell what is gone
			e.From, e.To = w.From.time(), w.To.time()
			e.Rows, e.Bytes, e.Basis, e.Detail, e.Shares = whole(x.rows), whole(x.bytes), x.basis, x.detail, x.shares
			e.Open = x.rows < 0
		}
	}
	e.Costs = costs(calls, bytes, jobs)
	if e.Basis == martsync.Sampled {
		mayErr(e)
	}
	if jobs > 0 {
		if err := s.learnExported(ctx); err != nil && !spentUp(err) {
			return err
		}
	}
	return nil
}

// extent finds how much of a part there is in a range.
func (s *source) extent(ctx context.Context, st *rangeStream, spec *partSpec, p *part, w window, sample bool) (extent, error) {
	days := w.length().Hours() / 24
	switch {
	case p.Way == byJob && p.Pace.Bytes > 0 && !sample:
		return extent{
			rows: p.Pace.Rows * days, bytes: p.Pace.Bytes * days, basis: martsync.Sampled,
			detail: "from what a day has taken so far",
		}, nil
	case p.Way == byPage && p.Pace.Calls > 0 && !sample:
		return extent{
			rows: p.Pace.Rows * days, bytes: -1, calls: p.Pace.Calls * days, basis: martsync.Sampled,
			detail: "from what a day has taken so far",
		}, nil
	case spec.object == leadObject:
		return s.leadExtent(ctx, st, p.filterNext(), w, sample)
	case spec.object != nil && strings.HasPrefix(spec.object.dir, "customobjects/"):
		x, err := s.customExtent(ctx, spec, w)
		if err != nil || x.rows >= 0 || !sample {
			return x, err
		}
		return s.exportExtent(ctx, st, spec, w, nil)
	case spec.pages == nil && sample:
		return s.exportExtent(ctx, st, spec, w, nil)
	case spec.pages == nil:
		return extent{rows: -1, bytes: -1, basis: martsync.Assumed, detail: "only an export tells: add --sample"}, nil
	}
	types, err := spec.pages.types(ctx)
	if err != nil {
		return extent{}, err
	}
	l, err := s.sampleLog(ctx, spec.pages.path, types, w, sample)
	if err != nil {
		return extent{}, err
	}
	if sample && p.Way == byJob {
		return s.exportExtent(ctx, st, spec, w, l)
	}
	x := l.extent(spec.fields)
	if p.Way == byPage {
		x.bytes = l.pageBytes
	}
	x.shares = s.typeShares(ctx, l.types)
	return x, nil
}

// jobsFor is how many windows a range is exported in: as stepFor cuts them while the pace becomes known.
func (r *run) jobsFor(p *part, w window, x extent) int {
	pc, n := p.Pace, 0
	perDay := 0.0
	if x.bytes > 0 {
		perDay = x.bytes / max(w.length().Hours()/24, 1.0/24)
	}
	for at := w.From; at < w.To && n < 1_000_000; n++ {
		step := stepFor(pc, r.src.cfg.Limits.exportBytes())
		if r.longest > 0 {
			step = min(step, r.longest)
		}
		if p.Step > 0 {
			step = min(step, p.Step.sub(0))
		}
		next := nextWindow(at, w.To, step)
		pc.observe(next.length(), -1, int64(perDay*next.length().Hours()/24), -1)
		at = next.To
	}
	return n
}
