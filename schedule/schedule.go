// Package schedule says when something is due: cron expressions of five fields, in a time zone, with
// rules for the days on which clocks are changed.
//
// # Days on which clocks are changed
//
// An expression that names its hours and minutes, such as "30 2 * * *", is about dates: each of
// its times comes exactly once on each date that matches. A time that the clock skips comes when the
// clock goes on; one that the clock shows twice comes the first time.
//
// An expression with a star for hours or minutes, such as "*/15 * * * *", is about intervals: it comes
// whenever the clock shows a matching time, also the second time.
//
// It leaves to others: remembering what has run, and running it.
package schedule

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// A Schedule is a parsed expression. It does not change.
type Schedule struct {
	text                             string
	minute, hour, day, month, week   uint64 // bit n: n matches
	everyDay, everyWeekday, interval bool   // day or weekday is a star; hours or minutes are
}

// A field is one of the five.
type field struct {
	name     string
	min, max int
	words    []string // names of the values from min on
}

var fields = [5]field{
	{name: "minute", max: 59},
	{name: "hour", max: 23},
	{name: "day of the month", min: 1, max: 31},
	{name: "month", min: 1, max: 12, words: strings.Fields("JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC")},
	{name: "weekday", max: 7, words: strings.Fields("SUN MON TUE WED THU FRI SAT")},
}

// Parse reads an expression: minute, hour, day of the month, month, weekday. Each is a star, a value, a
// range "1-5", or a list of those, ranges and stars with a step: "*/15". Months and weekdays have
// names; 7 is Sunday too. As in cron, a day that is given both ways matches either way.
func Parse(text string) (*Schedule, error) {
	parts := strings.Fields(text)
	if len(parts) != len(fields) {
		return nil, fmt.Errorf("%q has %d fields, not five", text, len(parts))
	}
	var sets [5]uint64
	for i, f := range fields {
		for part := range strings.SplitSeq(parts[i], ",") {
			set, ok := f.set(part)
			if !ok {
				return nil, fmt.Errorf("%q is no %s", part, f.name)
			}
			sets[i] |= set
		}
	}
	if sets[4]&(1<<7) != 0 {
		sets[4] |= 1
	}
	star := func(i int) bool { return strings.HasPrefix(parts[i], "*") }
	s := &Schedule{
		text: strings.Join(parts, " "), minute: sets[0], hour: sets[1], day: sets[2], month: sets[3], week: sets[4],
		everyDay: star(2), everyWeekday: star(4), interval: star(0) || star(1),
	}
	if !s.possible() {
		return nil, fmt.Errorf("%q never comes: no such month has that day", text)
	}
	return s, nil
}

// set reads one element of a field's list.
func (f *field) set(part string) (set uint64, ok bool) {
	span, stepText, stepped := strings.Cut(part, "/")
	step := 1
	if stepped {
		n, ok := number(stepText, 1, f.max)
		if !ok {
			return 0, false
		}
		step = n
	}
	from, to := f.min, f.max
	if span != "*" {
		first, last, ranged := strings.Cut(span, "-")
		if from, ok = f.value(first); !ok {
			return 0, false
		}
		switch {
		case ranged:
			if to, ok = f.value(last); !ok || to < from {
				return 0, false
			}
		case !stepped:
			to = from
		}
	}
	for v := from; v <= to; v += step {
		set |= 1 << v
	}
	return set, true
}

// value reads a number or a name.
func (f *field) value(text string) (int, bool) {
	for i, w := range f.words {
		if strings.EqualFold(text, w) {
			return f.min + i, true
		}
	}
	return number(text, f.min, f.max)
}

func number(text string, low, high int) (int, bool) {
	n, err := strconv.Atoi(text)
	return n, err == nil && n >= low && n <= high && text[0] != '+' && text[0] != '-'
}

// longest is how many days each month has at most.
var longest = [13]int{0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31}

// possible reports whether there is a date that matches.
func (s *Schedule) possible() bool {
	if !s.everyWeekday {
		return true // either way counts
	}
	for m := 1; m <= 12; m++ {
		if s.month&(1<<m) != 0 && s.day&(1<<(longest[m]+1)-1) != 0 {
			return true
		}
	}
	return false
}

// String returns the expression.
func (s *Schedule) String() string { return s.text }

// horizon is how far ahead a time is looked for. Both the day and the weekday must match where one of them is a
// star with a step, and 40 years can lie between two 29ths of February that are Sundays ("0 0 29 2 */7").
const horizon = 41 * 366 // days

// Next returns the first time after t, to the minute, in UTC. There always is one.
func (s *Schedule) Next(t time.Time, zone *time.Location) time.Time {
	if s.interval {
		return s.nextInterval(t, zone)
	}
	y, m, d := t.In(zone).Date()
	for i := -2; i < horizon; i++ { // a time may come after the end of its date
		date := time.Date(y, m, d+i, 0, 0, 0, 0, time.UTC)
		if !s.matches(date) || !exists(date, zone) {
			continue
		}
		var next time.Time
		for h := range 24 {
			for minute := range 60 {
				if s.hour&(1<<h) == 0 || s.minute&(1<<minute) == 0 {
					continue
				}
				at := first(date.Add(time.Duration(h)*time.Hour+time.Duration(minute)*time.Minute), zone)
				if at.After(t) && (next.IsZero() || at.Before(next)) {
					next = at
				}
			}
		}
		if !next.IsZero() {
			return next
		}
	}
	return time.Time{} // Parse has made sure that there is one
}

// nextInterval looks at what the clock shows, hour by hour and where it matches minute by minute.
func (s *Schedule) nextInterval(t time.Time, zone *time.Location) time.Time {
	at := t.UTC().Truncate(time.Minute).Add(time.Minute)
	for end := at.AddDate(0, 0, horizon); at.Before(end); {
		local := shown(at, zone)
		if s.matches(local) && s.hour&(1<<local.Hour()) != 0 {
			if s.minute&(1<<local.Minute()) != 0 {
				return at
			}
			at = at.Add(time.Minute)
			continue
		}
		hour := at.Add(time.Duration(60-local.Minute()) * time.Minute)
		if shown(hour, zone).Sub(hour) != local.Sub(at) { // the clock is changed in between
			hour = at.Add(time.Minute)
		}
		at = hour
	}
	return time.Time{}
}

// Due reports whether something that ran last at a time should run now. However many times have
// passed since then, it is due once.
func (s *Schedule) Due(last, now time.Time, zone *time.Location) bool {
	return !s.Next(last, zone).After(now)
}

// matches reports whether a date does, which is given as midnight in UTC or any time after it.
func (s *Schedule) matches(date time.Time) bool {
	if s.month&(1<<int(date.Month())) == 0 {
		return false
	}
	day, weekday := s.day&(1<<date.Day()) != 0, s.week&(1<<int(date.Weekday())) != 0
	if s.everyDay || s.everyWeekday {
		return day && weekday
	}
	return day || weekday
}

// shown is what the clock of a zone shows at a time, as if that were UTC.
func shown(t time.Time, zone *time.Location) time.Time {
	_, offset := t.In(zone).Zone()
	return t.UTC().Add(time.Duration(offset) * time.Second)
}

// far is more than any zone is away from UTC, and than any change of clocks is long.
const far = 26 * time.Hour

// first is when the clock of a zone first shows a time, or a later one if it skips that.
func first(wanted time.Time, zone *time.Location) time.Time {
	before, after := shown(wanted.Add(-far), zone).Sub(wanted.Add(-far)), shown(wanted.Add(far), zone).Sub(wanted.Add(far))
	if at := wanted.Add(-before); before == after && shown(at, zone).Equal(wanted) {
		return at
	}
	// Clocks are changed nearby. The bounds of zones that package time tells are not right for all
	// years, so every minute is asked.
	at := wanted.Add(-far).Truncate(time.Minute)
	for shown(at, zone).Before(wanted) {
		at = at.Add(time.Minute)
	}
	return at
}

// exists reports whether a zone has a date: those that moved across the date line have skipped one.
func exists(date time.Time, zone *time.Location) bool {
	begin := shown(first(date, zone), zone)
	return begin.YearDay() == date.YearDay() && begin.Year() == date.Year()
}
