package pardot

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/martsync/martsync"
)

// Estimate tells what reading a stream takes. Version 4 counts what matches a query; what only version 5 has is read to its
// end if that is near, and else jumped through by id. A few records tell how large they are. No export job is
// made, with sample or without.
func (s *source) Estimate(ctx context.Context, stream string, from martsync.Cursor, span martsync.Span, sample bool) (martsync.Estimate, error) {
	o := objectOf(stream)
	if o == nil {
		return martsync.Estimate{}, fmt.Errorf("pardot: estimate %s: %w", stream, martsync.ErrUnsupported)
	}
	e := martsync.Estimate{Stream: stream}
	st, err := s.newStream(ctx, o)
	if err == nil {
		err = s.estimate(ctx, st, from, span, sample, &e)
	}
	if err != nil && (martsync.KindOf(err) == martsync.Unavailable || isRefused(err)) {
		err = errors.Join(fmt.Errorf("pardot: estimate %s: %w", stream, martsync.ErrUnsupported), err)
	}
	return e, err
}

func (s *source) estimate(ctx context.Context, st martsync.Stream, from martsync.Cursor, span martsync.Span, sample bool, e *martsync.Estimate) error {
	switch st := st.(type) {
	case *stream:
		return s.estimateStream(ctx, st, from, span, sample, e)
	case *freshStream:
		at, err := parseListEmailPosition(from)
		if err != nil {
			return unreadableCursor(e.Stream, err)
		}
		if err := s.estimateStream(ctx, st.stream, martsync.Cursor(at.List), span, sample, e); err != nil {
			return err
		}
		return s.estimateFresh(ctx, st, at, e)
	case *emails4Stream:
		return s.estimateEmails4(ctx, st, from, span, sample, e)
	case *opportunityProspectStream:
		return s.estimateLinks(ctx, from, e)
	case *accountStream:
		e.Rows, e.Bytes, e.Basis, e.Detail, e.Costs = 1, 2048, martsync.Counted, "there is one", costs(1, 0)
		return nil
	default:
		e.Rows, e.Bytes, e.Basis = -1, -1, martsync.Assumed
		e.Detail, e.Costs = fmt.Sprintf("not looked at: taken for %d pages", assumedPages), costs(assumedPages, 0)
		return nil
	}
}

// assumedPages is how long a stream is taken to be that cannot be looked at.
const assumedPages = 10

// Allowances are what the configuration lets the source take a day.
func (s *source) Allowances() []martsync.Allowance {
	m := s.client.meter
	m.mu.Lock()
	defer m.mu.Unlock()
	calls := int64(m.limits.DailyCalls)
	if m.limit > 0 {
		// Calls that would leave others less than the reserve are not made either.
		reserve := int64(m.limits.DailyReserve)
		if reserve == 0 {
			reserve = m.limit / 5
		}
		if rest := max(1, m.limit-reserve); calls == 0 || rest < calls {
			calls = rest
		}
	}
	if calls == 0 {
		return nil
	}
	return []martsync.Allowance{{Cost: martsync.Cost{Name: callsName, Unit: "calls", Amount: calls}, Taken: -1}}
}

// Names of what is spent. The vendor has no limit of jobs, so Usage does not have them.
const (
	callsName = "API calls"
	jobsName  = "export jobs"
)

// costs are what something takes. Each hundred calls take one more where no reply tells the usage, see usageEvery.
func costs(calls, jobs float64) []martsync.Cost {
	var c []martsync.Cost
	if calls += math.Floor(calls / usageEvery); calls > 0 {
		c = append(c, martsync.Cost{Name: callsName, Unit: "calls", Amount: whole(calls)})
	}
	if jobs > 0 {
		c = append(c, martsync.Cost{Name: jobsName, Unit: "jobs", Amount: whole(jobs)})
	}
	return c
}

// whole rounds up; -1: not known.
func whole(x float64) int64 {
	if x < 0 {
		return -1
	}
	return int64(min(math.Ceil(x-1e-6), 1e18))
}

// estimateStream goes through the windows that the next read would open, and asks how much there is in them.
func (s *source) estimateStream(ctx context.Context, st *stream, from martsync.Cursor, span martsync.Span, sample bool, e *martsync.Estimate) error {
	pos, err := parsePosition(st.obj.stream, from)
	if err != nil {
		return err
	}
	r := &run{stream: st, ctx: ctx, span: span, pos: pos, lost: map[string]bool{}, yield: func(martsync.Batch, error) bool { return true }}
	r.until = secondOf(s.now().Add(-settled))
	if end := secondOf(span.End); end > 0 {
		r.until = min(r.until, end)
	}
	r.compareColumns()
	windows, err := r.windows()
	if err != nil {
		return err
	}
	calls, jobs := 0.0, 0.0
	if r.sweeps() && r.sweepDue(secondOf(s.now())) {
		calls += float64(max(1, r.pos.SweepCalls))
	}
	e.Basis, e.Detail = martsync.Counted, "nothing new is due"
	for i, w := range windows {
		t, err := r.tally(&w, sample)
		if err != nil {
			return err
		}
		switch {
		case i == 0:
			e.From, e.Basis, e.Detail = w.From.time(), t.basis, t.detail
		case t.basis != martsync.Counted:
			e.Basis, e.Detail = t.basis, t.detail
		case e.Basis == martsync.Counted:
			e.Detail = t.detail
		}
		e.To = w.To.time()
		e.Rows += whole(t.rows)
		e.Bytes += whole(t.rows * t.perRow)
		e.Shares = mergeShares(e.Shares, t.shares)
		c, j := r.spends(&w, t)
		calls, jobs = calls+c, jobs+j
	}
	calls += float64(len(r.lost)) // each field that the vendor refuses takes another call
	e.Costs = costs(calls, jobs)
	return nil
}

// windows are what the next read would open, with export jobs for one another as one window.
func (r *run) windows() (ws []window, err error) {
	p := &r.pos
	if p.Window == nil {
		due, err := r.open()
		if err != nil || !due {
			return nil, err
		}
	}
	for {
		w := *p.Window
		if w.Way == byExport && p.Until > 0 {
			w.To = p.Until // the jobs are counted, not their ranges
		}
		ws = append(ws, w)
		if p.Until == 0 || w.Whole || w.To >= p.Until || len(ws) > 1000 {
			return ws, nil
		}
		if err := r.begin(w.To); err != nil {
			return nil, err
		}
	}
}

// exportCalls is what an export job takes beside its files: create, about three looks, the files' references.
const exportCalls = 5

// spends is what reading a window takes.
func (r *run) spends(w *window, t tally) (calls, jobs float64) {
	if w.Way == byExport {
		length := w.To.sub(max(w.From, founding))
		ranges := length / exportLongest
		switch rest := length % exportLongest; {
		case rest > longRange || rest > 0 && r.plan.read == byExport:
			ranges++
		case rest > 0:
			calls++ // the last bit is queried
		}
		jobs = float64(ranges) * float64(max(1, len(r.obj.export.passes)))
		files := math.Ceil(t.rows * t.perRow / exportFileBytes)
		return calls + jobs*exportCalls + files, jobs
	}
	page := float64(r.fullPage(w.API))
	pages := max(1, math.Ceil((t.rows-0.5)/page))
	if w.API == v4 {
		pages = math.Floor(t.rows/page) + 1
		if r.binPass(v4) {
			pages++
		}
	}
	if r.join == nil {
		return pages, 0
	}
	if r.obj.stream == prospectStream {
		return pages + math.Ceil(t.rows/valuePage), 0
	}
	each := 0.0
	if r.plan.messages {
		each++
	}
	if r.obj.stream == listEmailStream && r.plan.stats {
		each++
	}
	return pages + each*t.rows, 0
}

// exportFileBytes is how large a file of an export is at most. Account Engagement API, Export.
const exportFileBytes = 100_000_000

// estimateFresh adds the reading of statistics, if that is due.
func (s *source) estimateFresh(ctx context.Context, st *freshStream, at listEmailPosition, e *martsync.Estimate) error {
	now := secondOf(s.now())
	if st.statistics == nil || at.Fresh == 0 || at.Pass == nil && now.sub(at.Fresh) < max(freshEvery, st.plan.every) {
		return nil
	}
	r := &run{stream: st.stream, ctx: ctx, lost: map[string]bool{}}
	w := window{From: now.add(-st.plan.statsFor), To: now, Way: byQuery, API: v5}
	t, err := r.tally(&w, false)
	if err != nil {
		return err
	}
	e.Rows += whole(t.rows)
	e.Bytes += whole(t.rows * t.perRow)
	e.Costs = add(e.Costs, costs(t.rows+math.Ceil(t.rows/freshPage), 0))
	return nil
}

func add(a, b []martsync.Cost) []martsync.Cost {
	for _, x := range b {
		if i := slices.IndexFunc(a, func(c martsync.Cost) bool { return c.Name == x.Name }); i >= 0 {
			a[i].Amount += x.Amount
		} else {
			a = append(a, x)
		}
	}
	return a
}

// estimateEmails4 counts the activities that lead to emails, and a call for each list email.
func (s *source) estimateEmails4(ctx context.Context, st *emails4Stream, from martsync.Cursor, span martsync.Span, sample bool, e *martsync.Estimate) error {
	at, err := parseEmailPosition(from)
	if err != nil {
		return unreadableCursor(e.Stream, err)
	}
	if err := s.estimateStream(ctx, st.sends, martsync.Cursor(at.Sends), span, sample, e); err != nil {
		return err
	}
	o := objectOf(listEmailStream)
	l, err := s.layout(ctx, o)
	if err != nil {
		return err
	}
	r := &run{stream: newStream(s, o, l), ctx: ctx, lost: map[string]bool{}}
	w := window{From: secondOf(e.From), To: secondOf(s.now()), Whole: e.From.IsZero(), Way: byQuery, API: v5}
	t, err := r.tally(&w, sample)
	if err != nil {
		return err
	}
	e.Costs = add(e.Costs, costs(t.rows, 0))
	e.Rows, e.Shares = whole(t.rows), nil
	e.Detail = "as many as list emails; the activities that lead to them: " + e.Detail
	return nil
}

// estimateLinks counts opportunities, and looks how many prospects a few have.
func (s *source) estimateLinks(ctx context.Context, from martsync.Cursor, e *martsync.Estimate) error {
	at, err := parseLinkPosition(from)
	if err != nil {
		return unreadableCursor(e.Stream, err)
	}
	if at.Pass == 0 && at.Read != 0 && s.now().Sub(at.Read.time()) < s.plan(opportunityProspectObject).every {
		e.Basis, e.Detail = martsync.Counted, "nothing new is due"
		return nil
	}
	q := url.Values{"limit": {"100"}, "sort_by": {"id"}, "sort_order": {"ascending"}, "output": {"full"}}
	p, err := s.client.query4(ctx, "look at opportunities", opportunityProspectObject.v4, q)
	if err != nil {
		return err
	}
	total := max(p.total, int64(len(p.rows)))
	pairs := 0
	for _, raw := range p.rows {
		if _, prospects, err := linksOf(raw); err == nil {
			pairs += len(prospects)
		}
	}
	n := max(1, float64(len(p.rows)))
	e.Rows, e.Bytes = whole(float64(pairs)/n*float64(total)), whole(float64(p.bytes)/n*float64(total))
	e.Basis, e.Detail = martsync.Counted, strconv.FormatInt(total, 10)+" opportunities"
	if total > int64(len(p.rows)) {
		e.Basis = martsync.Sampled
	}
	e.Costs = costs(float64(total/linkPage+1), 0)
	return nil
}

// mergeShares adds up shares of the same name, the largest first.
func mergeShares(a, b []martsync.Share) []martsync.Share {
	for _, x := range b {
		if i := slices.IndexFunc(a, func(s martsync.Share) bool { return s.Name == x.Name }); i >= 0 {
			a[i].Bytes += x.Bytes
		} else {
			a = append(a, x)
		}
	}
	slices.SortStableFunc(a, func(x, y martsync.Share) int {
		return cmp.Or(cmp.Compare(y.Bytes, x.Bytes), strings.Compare(x.Name, y.Name))
	})
	return a[:min(len(a), sharesMost)]
}

// sharesMost is how many shares are told.
const sharesMost = 10

// middle is half way between two moments.
func middle(from, to second) second { return from + (to-from)/2 }

// span is how long a window is. One without a beginning begins with the product.
func (w *window) span() time.Duration { return w.To.sub(max(w.From, founding)) }
