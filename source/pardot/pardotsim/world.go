package pardotsim

import (
	"sort"
	"time"

	"github.com/martsync/martsync/simulate"
)

const (
	minute = int64(60)
	hour   = 60 * minute
	day    = 24 * hour

	// quiet is how long before the start nothing has happened: what is about to be read stands still.
	quiet = 15 * minute
)

// A world is the business unit as it was at the start: a pure function of the seed. None of its
// records are stored. What happened since is in a state.
type world struct {
	seed     uint64
	rows     int64 // prospects
	end      int64 // when the last record of the start was created or updated
	opened   int64 // when the business unit began
	autumn   int64 // begin of the last hour, first time round, that the API user's clocks showed twice
	tables   []*table
	byName   map[string]*table
	custom   []*CustomField
	apiUsers []User
}

func newWorld(s *Server) *world {
	w := &world{
		seed: s.cfg.Seed, rows: int64(s.cfg.Rows), end: s.now() - quiet, custom: defaultFields(), apiUsers: s.cfg.apiUsers(),
	}
	w.opened = w.end - 5*365*day
	w.autumn = lastAutumn(w.end, s.zone.Load())
	w.tables = w.makeTables(s.cfg)
	w.byName = make(map[string]*table, len(w.tables))
	for _, t := range w.tables {
		w.byName[t.name] = t
	}
	return w
}

// lastAutumn returns the begin of the last hour before end that clocks in the zone showed twice, the
// first time they showed it; 0 if there was none in two years.
func lastAutumn(end int64, zone *time.Location) int64 {
	offset := func(t int64) int {
		_, o := time.Unix(t, 0).In(zone).Zone()
		return o
	}
	for t := end - end%hour; t > end-2*365*day; t -= hour {
		if offset(t-hour) > offset(t) {
			return t - hour
		}
	}
	return 0
}

// shape says when the table's records were created and updated: over the days before the start, most
// of them evenly, many in one second as an import or a mail to a list has them, and some in the hour
// that the clocks of an autumn night show twice.
func (t *table) shape(w *world, days int64) *table {
	t.seed, t.salt, t.autumn = w.seed, saltOf(t.name), w.autumn
	t.step = max(t.step, 1)
	t.span = max(days*day/1024*1024, 1024)
	t.from = w.end - t.span
	size := int64(0)
	switch {
	case t.n >= 12_000:
		size = 1500
	case t.n >= 2000:
		size = 500
	case t.n >= 200:
		size = t.n / 10
	}
	if size > 0 {
		first := t.n * 3 / 10
		t.burst = block{first: first, n: size, at: t.spread(first)}
		if t.edited > 0 {
			t.mass = block{first: t.n / 5, n: size, at: w.end - t.span/7}
		}
	}
	if t.autumn <= t.from {
		return t
	}
	const some = 24
	first := search(t.n, func(i int64) bool { return t.spread(i) >= t.autumn })
	if first+some < t.n && t.spread(first+some) >= t.autumn+2*hour && !t.burst.has(first) && !t.burst.has(first+some) {
		t.fall = block{first: first, n: some, at: t.autumn}
	}
	return t
}

// spread is when the record would have been created if all were created evenly.
func (t *table) spread(i int64) int64 {
	frac := simulate.Hash(t.seed, t.salt, uint64(i), 1) >> 54
	return t.from + int64(float64(i*1024+int64(frac))*float64(t.span)/float64(t.n*1024))
}

// createdAt is when the record of the start with this index was created. It never decreases.
func (t *table) createdAt(i int64) int64 {
	if t.burst.has(i) {
		return t.burst.at
	}
	if t.fall.has(i) {
		return t.fall.at + (i-t.fall.first)*2*hour/t.fall.n
	}
	return t.spread(i)
}

func (t *table) updatedAt(i, created int64, h uint64) int64 {
	if t.edited == 0 {
		return created
	}
	h = simulate.Next(h ^ 0xed)
	end := t.from + t.span
	switch {
	case t.mass.has(i) && t.mass.at > created:
		return t.mass.at
	case simulate.Pick(h, 100) >= t.edited:
		return created
	}
	h = simulate.Next(h)
	if t.autumn > created && simulate.OneIn(h, 60) {
		return t.autumn + int64(simulate.Pick(simulate.Next(h), int(2*hour)))
	}
	return created + int64(simulate.Pick(h, int(max(end-created, 1))))
}

// firstCreated is the index of the first record of the start created at or after at.
func (t *table) firstCreated(at int64) int64 {
	return search(t.n, func(i int64) bool { return t.createdAt(i) >= at })
}

func search(n int64, f func(int64) bool) int64 {
	return int64(sort.Search(int(n), func(i int) bool { return f(int64(i)) }))
}

// older picks the index of a record of the start of t that was most likely created before at.
func (t *table) older(h uint64, at int64) int64 {
	n := t.n
	if at < t.from+t.span {
		n = int64(float64(at-t.from) / float64(t.span) * float64(t.n))
	}
	return int64(simulate.Pick(h, int(max(min(n, t.n), 1))))
}
