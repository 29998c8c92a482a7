package simulate

import (
	"sync"
	"time"
)

// A Rate limits how many calls fall into a span of time. Refused calls count too, so a caller
// that hammers stays locked out.
type Rate struct {
	Limit int           // calls in one span; 0: no limit
	Span  time.Duration // length of the window
	Fixed bool          // windows begin at multiples of Span rather than rolling with the time

	mu    sync.Mutex
	times []time.Time // ring of the last Limit calls
	next  int
}

// Take counts a call at now and reports whether it was within the limit.
func (r *Rate) Take(now time.Time) bool {
	if r.Limit <= 0 {
		return true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.times) < r.Limit {
		r.times = append(r.times, now)
		return true
	}
	oldest := r.times[r.next]
	r.times[r.next] = now
	r.next = (r.next + 1) % r.Limit
	if r.Fixed {
		return oldest.Before(now.Truncate(r.Span))
	}
	return now.Sub(oldest) >= r.Span
}

// A Gate limits how many calls are in flight.
type Gate struct {
	Limit int // 0: no limit

	mu     sync.Mutex
	inside int
	most   int
}

// Enter takes a place and reports whether there was one. Only then the caller must Leave.
func (g *Gate) Enter() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.Limit > 0 && g.inside >= g.Limit {
		return false
	}
	g.inside++
	g.most = max(g.most, g.inside)
	return true
}

// Leave gives the place back.
func (g *Gate) Leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inside--
}

// Most returns the highest number of calls that were in flight at once.
func (g *Gate) Most() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.most
}

// A Daily counts something by the days of a time zone.
type Daily struct {
	Zone *time.Location // nil: UTC

	mu   sync.Mutex
	days map[string]int64
}

// Day names the day that now belongs to: "2026-03-08".
func (d *Daily) Day(now time.Time) string {
	if d.Zone != nil {
		return now.In(d.Zone).Format(time.DateOnly)
	}
	return now.UTC().Format(time.DateOnly)
}

// Add counts n at now and returns the day's sum.
func (d *Daily) Add(now time.Time, n int64) int64 {
	day := d.Day(now)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.days == nil {
		d.days = make(map[string]int64)
	}
	d.days[day] += n
	return d.days[day]
}

// Sum returns what was counted on the day of now.
func (d *Daily) Sum(now time.Time) int64 {
	day := d.Day(now)
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.days[day]
}
