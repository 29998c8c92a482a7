package pardot

import (
	"cmp"
	"math"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/martsync/martsync"
)

// sweep looks for records that are gone without a trace, if that is due: it lists the ids of
// all that exist, page by page. What changes says is found by windows; this is for records that
// were deleted for good, or merged, or put into the recycle bin without a change of their time.
//
// A sweep may last longer than a read. Pages of it stand for themselves, so it goes on where
// it stopped.
func (r *run) sweep() error {
	p := &r.pos
	if !r.sweeps() {
		p.Sweep = nil
		return nil
	}
	now := secondOf(r.src.now())
	if p.Sweep == nil {
		if !r.sweepDue(now) {
			return nil
		}
		p.Sweep = &sweepState{Began: now}
	}
	for p.Sweep != nil {
		if err := r.sweepPage(p.Sweep); err != nil {
			if codeOf(err) == 0 || martsync.KindOf(err).Waits() || martsync.KindOf(err) == martsync.Auth {
				return err
			}
			// The rows are complete. That nobody can say which are gone must not fail the stream.
			r.note("sweep", "deleted %s cannot be looked for: %s", strings.ReplaceAll(r.obj.stream, "_", " "), err)
			p.SweptAt, p.Sweep = now, nil
			return nil
		}
	}
	return nil
}

// sweeps reports whether the stream is swept at all: what is listed whole each time needs none.
func (r *run) sweeps() bool {
	return r.obj.v5 != nil && r.plan.sweep >= 0 && r.countable() && r.since(r.plan.api) != ""
}

// sweepDue reports whether it is time for another sweep: one takes a call for a thousand
// records, and all of them together no more than a hundredth of the calls that the account
// has.
func (r *run) sweepDue(now second) bool {
	p := &r.pos
	if p.SweptAt == 0 { // nothing has been read
		return false
	}
	const share = 100
	days := float64(p.SweepCalls*share) / float64(max(r.src.client.dailyLimit(), 1))
	rest := max(r.plan.sweep, time.Duration(days*float64(24*time.Hour)))
	return now.sub(p.SweptAt) >= rest
}

// sweepPage reads a page of ids.
func (r *run) sweepPage(s *sweepState) error {
	limit := cmp.Or(s.Limit, page5)
	q := clone(r.obj.v5.params)
	for k, v := range (url.Values{"fields": {"id"}, "orderBy": {"id"}, "limit": {strconv.Itoa(limit)}}) {
		q[k] = v
	}
	if s.After > 0 {
		q.Set("idGreaterThan", strconv.FormatInt(s.After, 10))
	}
	p, err := r.src.client.query5(r.ctx, r.op("sweep"), r.obj.v5.path, q)
	switch {
	case err == nil:
	case !tooSlow(err):
		return err
	case limit > leastPage:
		s.Limit = max(limit/2, leastPage)
		return nil
	default:
		return tooSlowError(r.op("sweep"), err)
	}
	more := p.more && len(p.rows) > 0
	s.Calls += p.calls
	faces := facesOf(p.rows)
	if err := r.ordered(s.After, faces, more); err != nil {
		return err
	}
	if r.src.keeps {
		r.keep(r.obj.bodyName(v5, "ids-after-"+formatID(s.After)), p.body, recipe{Kind: asideBody, API: v5})
	}
	b := martsync.Batch{Bytes: p.bytes}
	upTo := int64(math.MaxInt64)
	ids, sure := make([]int64, 0, len(faces)), !withheld(p)
	for _, f := range faces {
		if f.id == 0 {
			sure = false
			continue
		}
		ids = append(ids, f.id)
	}
	if more {
		upTo = faces[len(faces)-1].id
		for i := len(faces) - 1; upTo == 0; i-- {
			upTo = faces[i].id // ordered has made sure that there is one
		}
	}
	if sure {
		b.Census = censusOf(s.After, upTo, ids)
	} else {
		r.note("sweep", "not every record has been told: %s", cmp.Or(p.warning, "some have no id"))
	}
	s.After = upTo
	if !more {
		r.note("sweep", "deleted %s were looked for in %d calls", strings.ReplaceAll(r.obj.stream, "_", " "), s.Calls)
		r.pos.SweptAt, r.pos.SweepCalls, r.pos.Sweep = s.Began, s.Calls, nil
	}
	b.Cursor = r.cursor()
	return r.send(b)
}
