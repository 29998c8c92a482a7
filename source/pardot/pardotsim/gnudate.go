package pardotsim

import (
	"strconv"
	"strings"
	"time"
)

// gnuDate reads a date as version 4 takes it: one of the vendor's keywords, or the syntax of GNU
// date, in the zone of the user unless the text names one. (Account Engagement API, Version 4,
// Using Prospects: date values; GNU coreutils, Date input formats)
//
// later says which moment a time of the hour that comes twice in autumn means.
func gnuDate(text string, now time.Time, zone *time.Location, later bool) (time.Time, bool) {
	p := dateParser{now: now.In(zone), zone: zone, later: later}
	switch text = strings.ToLower(strings.TrimSpace(text)); text {
	case "":
		return time.Time{}, false
	case "last_7_days":
		return p.midnight(0, -7), true
	case "this_month":
		return p.midnight(0, 1-p.now.Day()), true
	case "last_month":
		return p.midnight(-1, 1-p.now.Day()), true
	}
	return p.read(text)
}

// A dateParser collects the items of a date: a calendar date, a time of day, a zone and
// displacements, each of which may be missing.
type dateParser struct {
	now   time.Time
	zone  *time.Location
	later bool

	year, day            int
	month                time.Month
	dated, timed, zoned  bool
	hour, minute, second int
	shift                time.Duration
	years, months, days  int
	weekday              int // −1: none
	stamp                *int64
}

// midnight is the begin of a day so many months and days from today.
func (p *dateParser) midnight(months, days int) time.Time {
	return localTime(p.now.Year(), p.now.Month()+time.Month(months), p.now.Day()+days, 0, 0, 0, p.zone, p.later)
}

func (p *dateParser) read(text string) (time.Time, bool) {
	p.weekday = -1
	words := dateWords(text)
	for len(words) > 0 {
		n := p.item(words)
		if n == 0 {
			return time.Time{}, false
		}
		words = words[n:]
	}
	if p.stamp != nil {
		return time.Unix(*p.stamp, 0).UTC(), true
	}
	if !p.dated {
		p.year, p.month, p.day = p.now.Date()
	}
	if !p.timed && !p.dated && p.weekday < 0 && !p.zoned {
		p.hour, p.minute, p.second = p.now.Clock()
	}
	if p.weekday >= 0 {
		today := time.Date(p.year, p.month, p.day, 12, 0, 0, 0, time.UTC).Weekday()
		p.days += (p.weekday - int(today) + 7) % 7
	}
	if p.hour > 24 || p.minute > 59 || p.second > 60 || p.hour == 24 && p.minute+p.second > 0 {
		return time.Time{}, false
	}
	if last := time.Date(p.year, p.month+1, 0, 0, 0, 0, 0, time.UTC).Day(); p.month < 1 || p.month > 12 || p.day < 1 || p.day > last {
		return time.Time{}, false
	}
	t := localTime(p.year+p.years, p.month+time.Month(p.months), p.day+p.days, p.hour, p.minute, p.second, p.zone, p.later)
	return t.Add(p.shift).UTC(), true
}

var blanks = strings.NewReplacer(",", " ", "\t", " ")

// dateWords splits a date at spaces, before the T or zone of ISO 8601, and between a number and its
// unit.
func dateWords(text string) []string {
	text = blanks.Replace(text)
	var words []string
	for w := range strings.FieldsSeq(text) {
		words = append(words, splitISO(w)...)
	}
	return words
}

// splitISO splits "2024-05-01t10:00:00+02:00" and "10:00z".
func splitISO(w string) []string {
	if len(w) > 11 && w[10] == 't' && w[4] == '-' {
		return append([]string{w[:10]}, splitISO(w[11:])...)
	}
	if i := strings.IndexByte(w, ':'); i > 0 {
		if k := strings.IndexAny(w[i:], "+-z"); k > 0 {
			return []string{w[:i+k], w[i+k:]}
		}
		if k := strings.IndexAny(w[i:], "ap"); k > 0 {
			return []string{w[:i+k], w[i+k:]}
		}
	}
	if n := digits(w); n > 0 && n < len(w) && w[n] >= 'a' && w[n] <= 'z' && w[0] != '@' {
		return []string{w[:n], w[n:]}
	}
	return []string{w}
}

// digits is how many characters of the number, with its sign, w begins with; 0 if with none.
func digits(w string) int {
	n := 0
	if w != "" && (w[0] == '+' || w[0] == '-') {
		n = 1
	}
	start := n
	for n < len(w) && w[n] >= '0' && w[n] <= '9' {
		n++
	}
	if n == start {
		return 0
	}
	return n
}

var weekdays = []string{"sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"}

var monthNames = []string{"january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december"}

// named finds a name by its first three letters or all of them.
func named(list []string, w string) int {
	w = strings.TrimSuffix(w, ".")
	for i, name := range list {
		if w == name || w == name[:3] {
			return i
		}
	}
	return -1
}

// item reads the next item and returns how many words it has; 0 if it is none.
func (p *dateParser) item(words []string) int {
	w := words[0]
	switch w {
	case "now":
		return 1
	case "today":
		p.dated = true
		p.year, p.month, p.day = p.now.Date()
		return 1
	case "yesterday", "tomorrow":
		p.dated = true
		p.year, p.month, p.day = p.now.Date()
		p.days--
		if w == "tomorrow" {
			p.days += 2
		}
		return 1
	case "midnight", "noon":
		if w == "noon" {
			p.hour = 12
		}
		p.timed = true
		return 1
	case "last", "previous", "next", "this":
		return p.relativeWord(words)
	case "a", "an":
		if len(words) > 1 && p.unit(words[1], 1) {
			return p.ago(words, 2, words[1], 1)
		}
		return 0
	case "at", "on", "and", "of":
		return 1
	}
	if s, ok := strings.CutPrefix(w, "@"); ok {
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil || len(words) > 1 || p.dated || p.timed {
			return 0
		}
		p.stamp = &n
		return 1
	}
	if i := named(weekdays, w); i >= 0 {
		p.weekday = i
		return 1
	}
	if p.zoneItem(w) {
		return 1
	}
	if n := p.timeItem(words); n > 0 {
		return n
	}
	if n := p.dateItem(words); n > 0 {
		return n
	}
	if n := digits(w); n == len(w) && len(words) > 1 {
		k, err := strconv.Atoi(w)
		if err == nil && p.unit(words[1], 0) {
			return p.ago(words, 2, words[1], k)
		}
	}
	return 0
}

// relativeWord reads "last week", "next month", "last monday".
func (p *dateParser) relativeWord(words []string) int {
	if len(words) < 2 {
		return 0
	}
	n := map[string]int{"last": -1, "previous": -1, "next": 1, "this": 0}[words[0]]
	if i := named(weekdays, words[1]); i >= 0 {
		p.weekday = i
		today := int(p.now.Weekday())
		switch {
		case n < 0:
			p.days -= 7
		case n > 0 && i == today:
			p.days += 7
		}
		return 2
	}
	if !p.unit(words[1], n) {
		return 0
	}
	return 2
}

// ago takes back what unit was asked with 0, and adds n of it, backwards if "ago" follows.
func (p *dateParser) ago(words []string, used int, unit string, n int) int {
	if words[0] == "a" || words[0] == "an" {
		p.unit(unit, -1)
	}
	if len(words) > used && words[used] == "ago" {
		n = -n
		used++
	}
	p.unit(unit, n)
	return used
}

// unit adds n of a unit and reports whether it is one.
func (p *dateParser) unit(name string, n int) bool {
	switch strings.TrimSuffix(name, "s") {
	case "sec", "second":
		p.shift += time.Duration(n) * time.Second
	case "min", "minute":
		p.shift += time.Duration(n) * time.Minute
	case "hour":
		p.shift += time.Duration(n) * time.Hour
	case "day":
		p.days += n
	case "week":
		p.days += 7 * n
	case "fortnight":
		p.days += 14 * n
	case "month":
		p.months += n
	case "year":
		p.years += n
	default:
		return false
	}
	return true
}

var zoneNames = map[string]int{
	"utc": 0, "gmt": 0, "z": 0, "est": -5, "edt": -4, "cst": -6, "cdt": -5, "mst": -7, "mdt": -6, "pst": -8, "pdt": -7, "cet": 1, "cest": 2,
}

// zoneItem reads a zone: UTC, Z, EST or a numeric offset.
func (p *dateParser) zoneItem(w string) bool {
	if hours, ok := zoneNames[w]; ok {
		p.zone, p.zoned = time.FixedZone(w, hours*3600), true
		return true
	}
	if !p.timed || len(w) < 3 || w[0] != '+' && w[0] != '-' {
		return false
	}
	for _, layout := range []string{"-07:00", "-0700", "-07"} {
		if t, err := time.Parse(layout, w); err == nil {
			_, offset := t.Zone()
			p.zone, p.zoned = time.FixedZone(w, offset), true
			return true
		}
	}
	return false
}

// timeItem reads "10:30", "10:30:15", "10:30:15.250", and "3 pm" or "3:30 pm".
func (p *dateParser) timeItem(words []string) int {
	w, half := words[0], ""
	if len(words) > 1 {
		half = strings.ReplaceAll(words[1], ".", "")
	}
	if half != "am" && half != "pm" {
		half = ""
	}
	parts := strings.Split(w, ":")
	if p.timed || len(parts) > 3 || len(parts) == 1 && half == "" {
		return 0
	}
	var n [3]int
	for i, s := range parts {
		if i == 2 {
			s, _, _ = strings.Cut(s, ".")
		}
		v, err := strconv.Atoi(s)
		if err != nil || len(s) > 2 || s[0] == '+' || v < 0 {
			return 0
		}
		n[i] = v
	}
	used := 1
	if half != "" {
		if n[0] < 1 || n[0] > 12 {
			return 0
		}
		n[0] %= 12
		if half == "pm" {
			n[0] += 12
		}
		used = 2
	}
	p.hour, p.minute, p.second, p.timed = n[0], n[1], n[2], true
	return used
}

// dateItem reads "2024-05-01", "2024/05/01", "5/1/2024", "20240501", "1 May 2024" and
// "May 1 2024".
func (p *dateParser) dateItem(words []string) int {
	if p.dated {
		return 0
	}
	set := func(y, m, d string) bool {
		year, err1 := strconv.Atoi(y)
		month, err2 := strconv.Atoi(m)
		day, err3 := strconv.Atoi(d)
		if err1 != nil || err2 != nil || err3 != nil || len(y) != 4 || month < 1 || day < 1 {
			return false
		}
		p.year, p.month, p.day, p.dated = year, time.Month(month), day, true
		return true
	}
	w := words[0]
	used := 0
	switch parts := strings.FieldsFunc(w, func(r rune) bool { return r == '-' || r == '/' }); {
	case strings.Count(w, "-") == 2 && len(parts) == 3, strings.Count(w, "/") == 2 && len(parts) == 3 && len(parts[0]) == 4:
		if set(parts[0], parts[1], parts[2]) {
			used = 1
		}
	case strings.Count(w, "/") == 2 && len(parts) == 3:
		if set(parts[2], parts[0], parts[1]) {
			used = 1
		}
	case len(w) == 8 && digits(w) == 8 && w[0] != '+' && w[0] != '-':
		if set(w[:4], w[4:6], w[6:]) {
			used = 1
		}
	case len(words) >= 3 && named(monthNames, words[1]) >= 0:
		if set(words[2], strconv.Itoa(named(monthNames, words[1])+1), w) {
			used = 3
		}
	case len(words) >= 3 && named(monthNames, w) >= 0:
		if set(words[2], strconv.Itoa(named(monthNames, w)+1), words[1]) {
			used = 3
		}
	}
	return used
}

// localTime is a time of a zone's clocks. A time that the clocks show twice is the earlier moment,
// or the later one; a time that they leave out is as many minutes after the gap's begin.
func localTime(year int, month time.Month, day, hour, minute, second int, zone *time.Location, later bool) time.Time {
	t := time.Date(year, month, day, hour, minute, second, 0, zone)
	wall := func(t time.Time) time.Time {
		y, m, d := t.Date()
		return time.Date(y, m, d, t.Hour(), t.Minute(), t.Second(), 0, time.UTC)
	}
	_, before := t.Add(-3 * time.Hour).Zone()
	_, after := t.Add(3 * time.Hour).Zone()
	if before <= after {
		return t.UTC() // no hour comes twice
	}
	turn := time.Duration(before-after) * time.Second
	other := t.Add(turn)
	if !later {
		other = t.Add(-turn)
	}
	if wall(other).Equal(wall(t)) {
		return other.UTC()
	}
	return t.UTC()
}

// naive writes a moment as version 4 and its exports do: as the zone's clocks show it, without a
// zone.
func naive(b []byte, at int64, zone *time.Location) []byte {
	return time.Unix(at, 0).In(zone).AppendFormat(b, time.DateTime)
}
