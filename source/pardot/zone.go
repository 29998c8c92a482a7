package pardot

import (
	"sort"
	"sync"
	"time"

	"github.com/martsync/martsync"
)

// naive is how version 4 and export files write times: of the API user's zone, and without
// saying so. Account Engagement API, Version 4, Date and Time.
const naive = time.DateTime

// A zone is the time zone of the API user, in which version 4 and export files tell times.
type zone struct {
	loc  *time.Location
	from string // who told it, for people; may be empty

	once   sync.Once
	shifts []timeShift // in order
}

// A timeShift is an instant at which the clocks of a zone are changed. All are in Unix seconds.
type timeShift struct {
	at            int64
	before, after int64 // offsets from UTC
}

// first is what clocks show at the shift that they show again later or never: from there the
// later offset holds. Clocks that are set back show an hour twice, and the earlier of the two
// instants counts; the hour that clocks skip counts by the offset before it, which moves it on.
func (s timeShift) first() int64 { return s.at + max(s.before, s.after) }

// The years in which the vendor can have had records, and then some.
var (
	firstShift = time.Date(1990, 1, 1, 0, 0, 0, 0, time.UTC)
	lastShift  = time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)
)

// table lists the shifts of the zone.
func (z *zone) table() []timeShift {
	z.once.Do(func() {
		for t := firstShift; ; {
			_, end := t.In(z.loc).ZoneBounds()
			if end.IsZero() || end.After(lastShift) {
				return
			}
			if !end.After(t) { // at the end of leap years after 2037 the bounds stand still
				t = t.AddDate(0, 0, 1)
				continue
			}
			_, before := end.Add(-time.Second).In(z.loc).Zone()
			_, after := end.In(z.loc).Zone()
			if before != after { // else only the zone's name changes
				z.shifts = append(z.shifts, timeShift{end.Unix(), int64(before), int64(after)})
			}
			t = end
		}
	})
	return z.shifts
}

// A span is a stretch of clock times with one offset from UTC. All are in seconds.
type span struct{ from, to, offset int64 }

// span finds the offset of a clock time, given in seconds as if it were UTC.
func (z *zone) span(wall int64) span {
	shifts := z.table()
	i := sort.Search(len(shifts), func(i int) bool { return wall < shifts[i].first() })
	s := span{from: -1 << 62, to: 1 << 62}
	switch {
	case i < len(shifts):
		s.to, s.offset = shifts[i].first(), shifts[i].before
	case i > 0:
		s.offset = shifts[i-1].after
	default:
		_, offset := firstShift.In(z.loc).Zone()
		s.offset = int64(offset)
	}
	if i > 0 {
		s.from = shifts[i-1].first()
	}
	return s
}

// repeated returns the hour that contains wall and that clocks show twice, if there is one:
// from its first second to the second after its last.
func (z *zone) repeated(wall int64) (from, to int64, ok bool) {
	for _, s := range z.table() {
		from, to = s.at+s.after, s.at+s.before
		if from <= wall && wall < to {
			return from, to, true
		}
	}
	return 0, 0, false
}

// wall is what clocks show at t, in seconds as if it were UTC.
func (z *zone) wall(t time.Time) int64 {
	_, offset := t.In(z.loc).Zone()
	return t.Unix() + int64(offset)
}

// after is the exclusive lower bound of version 4 for times from t on. In the hour that clocks
// show twice it comes before that hour: which of the two the vendor takes is not known.
func (z *zone) after(t time.Time) string {
	wall := z.wall(t.Truncate(time.Second).Add(-time.Second))
	if from, _, ok := z.repeated(wall); ok {
		wall = from - 1
	}
	return time.Unix(wall, 0).UTC().Format(naive)
}

// before is the exclusive upper bound of version 4 for times before t, and after the hour that
// clocks show twice.
func (z *zone) before(t time.Time) string {
	wall := z.wall(t.Add(time.Second - 1).Truncate(time.Second))
	if _, to, ok := z.repeated(wall); ok {
		wall = to
	}
	return time.Unix(wall, 0).UTC().Format(naive)
}

// instant returns the time at which clocks in the zone show what wall shows in UTC: the
// earlier one if there are two, and if there is none, the one as long after the clocks were
// set forward as wall is after the time they skipped from.
func (z *zone) instant(wall time.Time) time.Time {
	return wall.UTC().Add(-time.Duration(z.span(wall.Unix()).offset) * time.Second)
}

// midnight is the beginning of the day that is days after that of t.
func (z *zone) midnight(t time.Time, days int) time.Time {
	y, m, d := t.In(z.loc).Date()
	return z.instant(time.Date(y, m, d+days, 0, 0, 0, 0, time.UTC))
}

const micros = int64(time.Second / time.Microsecond)

// shift turns the naive times of records into instants: every timestamp there is.
func (z *zone) shift(r *martsync.Records, columns []martsync.Column) {
	for i := range columns {
		if columns[i].Type != martsync.Timestamp {
			continue
		}
		v := &r.Columns[i]
		var s span // times of neighbours are near each other
		for j, us := range v.Ints {
			if v.Null(j) {
				continue
			}
			wall := us / micros
			if us%micros < 0 {
				wall--
			}
			if wall < s.from || wall >= s.to {
				s = z.span(wall)
			}
			v.Ints[j] = us - s.offset*micros
		}
	}
}
