package marketo

import "time"

// jobCalls is what an export job costs in calls: create, enqueue, about five times status,
// file.
const jobCalls = 8

// restMost is the most calls a run may spend on reading activities page by page. Under the
// default pace of 50 calls in 20 seconds that takes about three minutes, which is what an
// export job takes at the least. Where the configuration has another pace, so many calls as take that long.
const restMost = 9 * politeCallsPer20s

// A budget is what a run may take: of the day's calls and export bytes as much as is left of this source's shares,
// and no more pages than can be read in the time that an export job takes.
type budget struct{ calls, bytes, pages float64 }

// budget is what is left of today. Of export bytes that have not been asked for yet everything is.
func (s *source) budget() budget {
	m := s.client.meter
	spent, _ := m.exportedToday()
	return budget{
		calls: float64(m.left()), bytes: float64(m.limits.exportBytes() - spent),
		pages: float64(restMost * m.limits.CallsPer20s / politeCallsPer20s),
	}
}

// blindRest is the longest stretch read page by page while nothing is known about how busy
// the account is.
const blindRest = 2 * time.Hour

// A pace is what a day of a stream's history has amounted to so far. Zero: not known.
type pace struct {
	Rows  float64 `json:"rows,omitempty"`
	Bytes float64 `json:"bytes,omitempty"` // in export files
	Calls float64 `json:"calls,omitempty"` // read page by page, beside those that every walk takes
}

// leastPace is what a day is taken to have where it has had nothing.
const leastPace = 0.1

// A way of reading activities.
type way string

const (
	byJob  way = "bulk"
	byPage way = "rest"
)

// walkCalls is what every walk through the log takes: a token, and a page even if it is empty.
const walkCalls = 2

// cheaper chooses the way for a stretch of history: the one that takes the smaller share
// of what is left today, calls for pages, bytes (and a few calls) for an export job. Loops is how
// many times the log has to be walked, one for every ten activity types.
//
// Pages are only considered if there are few, see budget. Their number is taken from the last walk
// if there was one, because the server hands out its log in blocks and filters afterwards, so
// a rare type may cost as many calls as all of them; else it is estimated from the rows.
func cheaper(stretch time.Duration, loops int, p pace, left budget) way {
	calls, bytes := costOf(stretch, loops, p)
	switch {
	case calls < 0 && stretch <= blindRest:
		return byPage
	case calls < 0 || calls > min(left.pages, left.calls):
		return byJob
	case left.bytes <= 0:
		return byPage // a job would have to wait for tomorrow
	case calls/left.calls <= bytes/left.bytes+jobCalls/left.calls:
		return byPage
	}
	return byJob
}

// costOf is what a stretch is expected to take: calls page by page, or bytes in files. Negative: not known.
func costOf(stretch time.Duration, loops int, p pace) (calls, bytes float64) {
	days := stretch.Hours() / 24
	switch {
	case p.Calls > 0:
		calls = p.Calls*days + float64(walkCalls*loops)
	case p.Rows > 0:
		calls = float64(loops) * (p.Rows*days/leadPage + walkCalls)
	default:
		return -1, -1
	}
	const perRow = 250 // bytes of an activity in a file, when no file has been seen yet
	if bytes = p.Bytes * days; bytes == 0 {
		bytes = p.Rows * perRow * days
	}
	return calls, bytes
}

// quotaShare is the part of the day's bytes that one window should take at most, so that a
// failure never repeats more than that and other programs get their turn.
const quotaShare = 0.4

// stepFor is how long the next window should be, given the pace: the vendor's maximum unless that
// is expected to exceed its share of the day's bytes.
func stepFor(p pace, quota int64) time.Duration {
	if p.Bytes <= 0 {
		return maxWindow
	}
	days := quotaShare * float64(quota) / p.Bytes
	if days >= maxWindow.Hours()/24 {
		return maxWindow
	}
	return max(time.Duration(days*24*float64(time.Hour)), minWindow)
}

// rereadShare is the part of this source's share of the day, bytes or calls, that reading again may take.
const rereadShare = 0.2

// dear reports whether going back the whole overlap at every run would take too much of the
// day if the runs kept the distance between the last one and this one.
func dear(p pace, gap, overlap time.Duration, l Limits) bool {
	runs := min(float64(24*time.Hour)/float64(max(gap, time.Minute)), 24*60)
	days := runs * overlap.Hours() / 24
	return p.Bytes*days > rereadShare*float64(l.exportBytes()) || p.Calls*days > rereadShare*float64(l.calls())
}

// observe folds a finished stretch into the pace. Newer stretches weigh more, since accounts grow: one of a day or
// longer as much as all before it, a shorter one less. Stretches under minWindow say too little about a day.
func (p *pace) observe(stretch time.Duration, rows, bytes, calls int64) {
	if stretch < minWindow {
		return
	}
	days := stretch.Hours() / 24
	fold := func(old *float64, total int64) {
		now := float64(total) / days
		if *old > 0 {
			weight := min(days, 1) / 2
			now = weight*now + (1-weight)**old
		}
		*old = float64(int64(now*10)) / 10 // short in the cursor
	}
	if rows >= 0 {
		fold(&p.Rows, rows)
	}
	if bytes >= 0 {
		fold(&p.Bytes, bytes)
		p.Bytes = max(p.Bytes, leastPace) // nothing to speak of is not the same as not known
	}
	if calls >= 0 {
		fold(&p.Calls, calls)
		p.Calls = max(p.Calls, leastPace)
	}
}
