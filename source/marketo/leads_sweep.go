package marketo

import (
	"context"
	"errors"
	"math"
	"slices"
	"time"

	"github.com/martsync/martsync"
)

const (
	// sweepSlices is in how many slices a sweep exports all leads at most, whatever the number of syncs: each
	// takes a job, and jobs take calls.
	sweepSlices = 100

	// sweepShare is the part of this API user's export bytes that a day of sweeping takes at most.
	sweepShare = 0.25
)

// A sweep is a round through all leads that an account without the filter updatedAt gets: slice by slice in the order of
// their creation, they are exported again, so that what no activity tells arrives as well.
//
// Files rather than reads by id: nothing lists the ids, most of them belong to nobody (anonymous visitors have ids, too),
// and a file of a month's leads costs eight calls.
type sweep struct {
	From  second `json:"from"`           // creation of the first lead
	To    second `json:"to"`             // likewise of the last one of this round; younger ones are the next round's
	Began second `json:"began"`          // when the round began
	Last  second `json:"last,omitempty"` // when the last slice was taken up
	End   second `json:"end,omitempty"`  // of the slice under way; 0: none is
}

func (s *sweep) check() error {
	if s == nil {
		return nil
	}
	if !s.From.sane() || !s.To.sane() || !s.Began.sane() || !s.Last.sane() || !s.End.sane() || s.From > s.To || s.End > s.To {
		return errors.New("its range is not possible")
	}
	return nil
}

// slice is up to where leads are to be exported by now: as much of all as has passed of the time that a round may take.
// No further than at if it is too early. Bytes is what the leads of a day have in a file; 0: not known.
func (s *sweep) slice(at, now second, every time.Duration, bytes float64, quota int64) second {
	all, passed := float64(s.To-s.From), float64(now-s.Began)/every.Seconds()
	end := s.To
	if passed < 1 {
		end = s.From + second(all*passed)
		if float64(end-at) < all/sweepSlices {
			return at
		}
	}
	if bytes > 0 {
		days := min(float64(now-max(s.Began, s.Last))/86_400, 1)
		longest := second(sweepShare * float64(quota) * days / bytes * 86_400)
		end = min(end, at+longest)
	}
	return end
}

// sweep exports the slice of leads whose turn it is.
func (r *run) sweep(ctx context.Context, spec *partSpec) error {
	p := r.pos.Parts[spec.name]
	if r.pos.Sweep == nil || p == nil {
		if !r.byCreation() {
			return nil
		}
		from, err := r.start(ctx)
		if err != nil {
			return err
		}
		p = &part{At: min(from, r.pos.Until), By: byCreation}
		r.pos.Parts[spec.name] = p
		r.pos.Sweep, r.dirty = &sweep{From: p.At, To: r.pos.Until, Began: r.now()}, true
	}
	s := r.pos.Sweep
	if s.End == 0 {
		if !r.byCreation() {
			// The account has the filter now. Should it lose it again, another round begins.
			delete(r.pos.Parts, spec.name)
			r.pos.Sweep, r.dirty = nil, true
			return nil
		}
		if !r.takeUp(p, s) {
			return nil
		}
	}
	r.bound = s.End
	err := r.export(ctx, spec, p)
	r.bound = 0
	if err != nil {
		return r.postpone(ctx, p, err)
	}
	s.End, r.dirty = 0, true
	if p.At >= s.To {
		r.src.env.Log.InfoContext(ctx, "all leads have been exported again", "stream", r.schema.Stream, "since", s.Began.String())
		r.note("sweep", "all leads that were created before %s have been exported again since %s", s.To, s.Began)
		p.At = s.From
		*s = sweep{From: s.From, To: r.pos.Until, Began: r.now()}
	}
	return r.remember()
}

// takeUp takes up the next slice, if it is time.
func (r *run) takeUp(p *part, s *sweep) bool {
	every := time.Duration(r.src.cfg.Leads.Sweep)
	if p.At >= s.To && r.now().sub(s.Began) >= every { // there was nothing in this round
		p.At, *s = s.From, sweep{From: s.From, To: r.pos.Until, Began: r.now()}
		r.dirty = true
	}
	leads := r.pos.Parts[leadPart]
	bytes := p.Pace.Bytes
	if bytes == 0 {
		bytes = leads.Pace.Bytes
	}
	end := s.slice(p.At, r.now(), every, bytes, r.src.cfg.Limits.exportBytes())
	if end <= p.At {
		return false
	}
	s.End, s.Last, r.dirty = end, r.now(), true
	p.Refused = slices.Clone(leads.Refused) // what exports refuse was found out by the first job of the run
	return true
}

// postpone lets the other parts go on where the day's export bytes leave nothing for the sweep. The next run takes
// it up where it is. A file that has begun to be delivered is never left: its rows are not verified yet.
func (r *run) postpone(ctx context.Context, p *part, err error) error {
	if martsync.KindOf(err) != martsync.Quota || r.delivered || len(p.Jobs) > 0 && p.Jobs[0].File != nil {
		return err
	}
	r.src.env.Log.InfoContext(ctx, "no quota is left to export leads again", "stream", r.schema.Stream, "err", err)
	return r.remember()
}

// sweepText is the time of a round as the configuration has it.
func (c Config) sweepText() string {
	text, err := c.Leads.Sweep.MarshalText()
	if err != nil {
		return time.Duration(c.Leads.Sweep).String()
	}
	return string(text)
}

// dearer is what a part will cost that only an account without the filter updatedAt needs, as its last runs tell. Of an
// account that has not been read yet nothing is known, and a first run needs hardly any of it.
func (r *run) dearer(spec *partSpec) (calls, bytes, jobs float64) {
	p, leads := r.pos.Parts[spec.name], r.pos.Parts[leadPart]
	if p == nil || leads == nil || leads.By != byCreation && leads.Was != byCreation {
		return 0, 0, 0
	}
	if !spec.sweeps {
		return p.Pace.Calls*max(r.limit().sub(p.At), 0).Hours()/24 + walkCalls, 0, 0
	}
	s := r.pos.Sweep
	if s == nil {
		return 0, 0, 0
	}
	end := s.End
	if end == 0 {
		end = s.slice(p.At, r.now(), time.Duration(r.src.cfg.Leads.Sweep), p.Pace.Bytes, r.src.cfg.Limits.exportBytes())
	}
	if end <= p.At {
		return 0, 0, 0
	}
	jobs = math.Ceil(end.sub(p.At).Hours() / maxWindow.Hours())
	return jobs * jobCalls, p.Pace.Bytes * end.sub(p.At).Hours() / 24, jobs
}
