package marketo

import (
	"context"
	"strings"
	"time"
)

// again decides where a run that begins now starts to read a part, and takes down what the last one has found about lateness.
func (r *run) again(ctx context.Context, spec *partSpec, p *part, until second) {
	overlap, probe := spec.overlap, false
	quota := r.src.cfg.Limits.exportBytes()
	if spec.learns {
		overlap, probe = r.learn(ctx, p, until, quota)
	}
	costly := spec.thrifty || dear(p.Pace, until.sub(p.At), overlap, r.src.cfg.Limits)
	if probe {
		costly = false // it is seldom, and bounded by the quota
	}
	p.At, p.Swept = reread(p.At, p.Swept, until, overlap, costly)
	if p.Late != nil {
		if p.Late.From = p.At; probe {
			p.Late.Before, p.Late.Probed = p.Late.Probed, until
		}
	}
}

// learn returns how far a run goes back by what has been measured.
func (r *run) learn(ctx context.Context, p *part, until second, quota int64) (overlap time.Duration, probe bool) {
	if p.Late == nil { // an older version wrote the position
		p.Late = newLateness(p.At)
	}
	l, of := p.Late, r.countsOf(p)
	was, _ := l.overlap(p.At, 0)
	if l.Of != of {
		l.Of, l.Seen = of, nil
	}
	deeper := l.settle(p.At)
	overlap, probe = l.overlap(until, probeLength(p.Pace, quota))
	if back, _ := l.overlap(until, 0); back != was {
		r.note("lateness", "activities that appear late: %s; from now on each run reads %s again", l, back)
		r.src.env.Log.InfoContext(ctx, "overlap changed", "stream", r.schema.Stream, "overlap", back, "was", was, "late", l.String())
	}
	if deeper > 0 && 2*time.Duration(deeper)*time.Hour > was {
		// Runs since the last one that went as far back, and found nothing there, may have passed over some.
		since := l.Probed
		if since >= p.At { // that was the run which has found them
			since = l.Before
		}
		if p.Swept == 0 || p.Swept > since {
			p.Swept = since
		}
		r.note("lateness", "activities were up to %d h late, more than ever before: everything since %s is read again", deeper, max(since.add(-lateMost), 0))
		return lateMost, true
	}
	return overlap, probe
}

// probeLength is how far back a probe may go, so that it takes no more of the day's quota than reading again may.
func probeLength(p pace, quota int64) time.Duration {
	if p.Bytes <= 0 {
		return lateMost
	}
	return time.Duration(rereadShare * float64(quota) / p.Bytes * 24 * float64(time.Hour)).Truncate(time.Hour)
}

// countsOf says what a run has read and how, as far as that decides what it finds.
func (r *run) countsOf(p *part) string {
	return sign([]string{string(p.Way), strings.Join(r.src.cfg.Activities.Exclude, "\n")})
}
