package pardot

import (
	"cmp"
	"errors"
	"fmt"
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
		var err error
		if r.plan.api == v4 && p.Sweep.Calls == 0 {
			err = r.agree(p.Sweep)
		}
		if err == nil {
			err = r.sweepPage(p.Sweep)
		}
		if err != nil {
			if !errors.Is(err, errHidden) && (codeOf(err) == 0 || martsync.KindOf(err).Waits() || martsync.KindOf(err) == martsync.Auth) {
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

// errHidden says that version 5, which sweeps ask, does not show what version 4 does.
var errHidden = errors.New("versions 4 and 5 do not show the same records")

// agree makes sure that a sweep may take what version 5 does not show for gone, where rows come from version 4:
// whether version 5 lists visitors that nobody knows is not documented. The newest records of version 4 are looked
// for. A few may be missing, since they are deleted meanwhile or too new. Where that takes the vendor too long, fewer are.
func (r *run) agree(s *sweepState) error {
	for {
		limit := cmp.Or(s.Limit, page5)
		err := r.agreeOn(s, limit)
		switch {
		case err == nil || !tooSlow(err):
			return err
		case limit <= leastPage:
			return tooSlowError(r.op("sweep"), err)
		}
		s.Limit = max(limit/2, leastPage)
	}
}

// agreeOn is agree with so many records at most.
func (r *run) agreeOn(s *sweepState, most int) error {
	q := clone(r.obj.v4.params)
	for k, v := range (url.Values{"sort_by": {"id"}, "sort_order": {"descending"}, "limit": {strconv.Itoa(max(most*page4/page5, 1))}}) {
		q[k] = v
	}
	old, err := r.src.client.query4(r.ctx, r.op("sweep"), r.obj.v4, q)
	if err != nil {
		return err
	}
	s.Calls += old.calls
	missing := make(map[int64]bool, len(old.rows))
	first := int64(math.MaxInt64)
	for _, f := range facesOf(old.rows) {
		if f.id > 0 {
			missing[f.id], first = true, min(first, f.id)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	q = clone(r.obj.v5.params)
	for k, v := range (url.Values{"fields": {"id"}, "orderBy": {"id"}, "limit": {strconv.Itoa(most)}, "idGreaterThan": {formatID(first - 1)}}) {
		q[k] = v
	}
	shown, err := r.src.client.query5(r.ctx, r.op("sweep"), r.obj.v5.path, q)
	if err != nil {
		return err
	}
	s.Calls += shown.calls
	for _, f := range facesOf(shown.rows) {
		delete(missing, f.id)
	}
	if 2*len(missing) > len(old.rows) {
		return fmt.Errorf("%w: of the newest %d of version 4, version 5 lacks %d", errHidden, len(old.rows), len(missing))
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
	s.Calls += p.calls
	faces := facesOf(p.rows)
	if err := ordered(r.op("sweep"), s.After, faces, p.more); err != nil {
		return err
	}
	if r.src.keeps {
		r.keep(r.obj.bodyName(v5, "ids-after-"+formatID(s.After)), p.body, recipe{Kind: asideBody, API: v5})
	}
	b := martsync.Batch{Bytes: p.bytes}
	upTo := int64(math.MaxInt64)
	ids, sure := make([]int64, 0, len(faces)), p.warning == ""
	for _, f := range faces {
		if f.id == 0 {
			sure = false
			continue
		}
		ids = append(ids, f.id)
	}
	if p.more {
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
	if !p.more {
		r.note("sweep", "deleted %s were looked for in %d calls", strings.ReplaceAll(r.obj.stream, "_", " "), s.Calls)
		r.pos.SweptAt, r.pos.SweepCalls, r.pos.Sweep = s.Began, s.Calls, nil
	}
	b.Cursor = r.cursor()
	return r.send(b)
}
