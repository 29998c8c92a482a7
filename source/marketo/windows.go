package marketo

import (
	"time"
)

// maxWindow is the longest range of one export job on our side, [from, to). On the wire its
// last second is to − 1 s, so the vendor sees 31 days minus one second and the question
// whether exactly 31 days are accepted never comes up.
// Marketo REST API, Bulk Extract: "the date range filter … maximum 31 days".
const maxWindow = 31 * 24 * time.Hour

// minWindow is where halving a window stops: an hour that cannot be exported is not too
// large, something else is wrong with it.
const minWindow = time.Hour

// visibleAfter is how far the newest window stays behind the present, so that what happened
// just before its end has become visible when the job runs. Activities that arrive later
// than this are caught by re-reading (see reread).
const visibleAfter = 5 * time.Minute

// A second is a moment in seconds since the epoch: the resolution of every filter and date
// of the vendor, and the shortest exact form in a cursor.
type second int64

func secondOf(t time.Time) second { return second(t.Unix()) }

func (s second) time() time.Time { return time.Unix(int64(s), 0).UTC() }

func (s second) add(d time.Duration) second { return s + second(d/time.Second) }

func (s second) sub(o second) time.Duration { return time.Duration(s-o) * time.Second }

// String is the vendor's form on the wire: whole seconds, never milliseconds.
func (s second) String() string { return s.time().Format("2006-01-02T15:04:05Z") }

// A window is the half-open range [From, To). It is never empty.
type window struct {
	From second `json:"from"`
	To   second `json:"to"`
}

func (w window) length() time.Duration { return w.To.sub(w.From) }

// A dateRange is a window on the wire, where both ends are inclusive. Ending one second
// early keeps neighbouring windows from sharing a second.
// Marketo REST API, Bulk Extract, "startAt"/"endAt".
type dateRange struct {
	StartAt string `json:"startAt"`
	EndAt   string `json:"endAt"`
}

func (w window) wire() dateRange {
	return dateRange{StartAt: w.From.String(), EndAt: (w.To - 1).String()}
}

// nextWindow is the window that follows after from: at most step long, never past until.
func nextWindow(from, until second, step time.Duration) window {
	step = min(max(step.Truncate(time.Second), time.Second), maxWindow)
	return window{From: from, To: min(from.add(step), until)}
}

// halves splits a window that was too large to export. A window of one second cannot be
// split and is returned alone.
func (w window) halves() []window {
	middle := w.From + (w.To-w.From)/2
	if middle == w.From {
		return []window{w}
	}
	return []window{{From: w.From, To: middle}, {From: middle, To: w.To}}
}

// rereadLeast is the shortest stretch that is read again.
const rereadLeast = time.Hour

// reread decides where a run that would go from prev to until starts, so that activities
// which became visible after their date had been read are caught: overlap before prev.
//
// Where that is too dear because the sync runs often (see dear), a run reads again as long a
// stretch as it reads new, an hour at least; and once every overlap, the whole of it. Whatever
// arrives less than overlap late is then delivered by the first full re-reading after it
// arrived, and usually by the next run; and however often the sync runs, at most three bytes
// are exported for each new one. Swept is the end of the last run that went back the whole
// overlap; the second result is its new value.
func reread(prev, swept, until second, overlap time.Duration, dear bool) (start, sweptNow second) {
	if overlap <= 0 || until <= prev {
		return prev, swept
	}
	if swept == 0 {
		swept = prev
	}
	if !dear || until.sub(swept) >= overlap {
		return max(min(prev, swept).add(-overlap), 0), until
	}
	back := min(max(until.sub(prev), rereadLeast), overlap)
	return max(prev.add(-back), 0), swept
}
