package columns

const (
	second = 1_000_000 // in microseconds
	day    = 86_400 * second
)

// parseTimestamp reads a point in time as microseconds since the epoch. It knows these forms:
//
//	2006-01-02T15:04:05Z07:00   (the zone is Z, +hh:mm or +hhmm)
//	2006-01-02T15:04:05Z+0000   (both, as the Asset API of Marketo writes)
//	2006-01-02 15:04:05         (UTC)
//	2006-01-02                  (midnight UTC)
//
// Seconds may have a fraction, of which only zeros may go beyond microseconds. Source of the
// forms: Marketo REST API, Bulk Extract; Assets; Lead Database.
func parseTimestamp(text []byte) (micros int64, ok bool) {
	if len(text) < 19 {
		d, ok := parseDate(text)
		return int64(d) * day, ok
	}
	d, ok := parseDate(text[:10])
	if !ok || text[13] != ':' || text[16] != ':' {
		return 0, false
	}
	hour, minute, sec := digits2(text[11:]), digits2(text[14:]), digits2(text[17:])
	if hour > 23 || minute > 59 || sec > 59 {
		return 0, false
	}
	micros = int64(d)*day + int64(hour*3600+minute*60+sec)*second
	rest := text[19:]
	if len(rest) > 0 && rest[0] == '.' {
		fraction, n := parseFraction(rest[1:])
		if n == 0 {
			return 0, false
		}
		micros += fraction
		rest = rest[1+n:]
	}
	switch text[10] {
	case ' ':
		return micros, len(rest) == 0
	case 'T':
		offset, ok := parseZone(rest)
		return micros - offset, ok
	}
	return 0, false
}

// parseFraction reads the n digits of a fraction of a second, or none if they do not fit.
func parseFraction(text []byte) (micros int64, n int) {
	unit := int64(second / 10)
	for n < len(text) && text[n]-'0' <= 9 {
		if unit == 0 && text[n] != '0' {
			return 0, 0
		}
		micros += int64(text[n]-'0') * unit
		unit /= 10
		n++
	}
	return micros, n
}

// parseZone reads a zone as its offset from UTC.
func parseZone(text []byte) (micros int64, ok bool) {
	if len(text) == 1 && text[0] == 'Z' || string(text) == "Z+0000" {
		return 0, true
	}
	if len(text) == 6 && text[3] == ':' { // +hh:mm
		text = []byte{text[0], text[1], text[2], text[4], text[5]}
	}
	if len(text) != 5 || text[0] != '+' && text[0] != '-' {
		return 0, false
	}
	hour, minute := digits2(text[1:]), digits2(text[3:])
	if hour > 23 || minute > 59 {
		return 0, false
	}
	micros = int64(hour*3600+minute*60) * second
	if text[0] == '-' {
		micros = -micros
	}
	return micros, true
}

// parseDate reads 2006-01-02 as days since the epoch, in the Gregorian calendar.
func parseDate(text []byte) (days int32, ok bool) {
	if len(text) != 10 || text[4] != '-' || text[7] != '-' {
		return 0, false
	}
	century, year := digits2(text), digits2(text[2:])
	month, d := digits2(text[5:]), digits2(text[8:])
	if century > 99 || year > 99 || month < 1 || month > 12 || d < 1 {
		return 0, false
	}
	year += century * 100
	if d > 28 && d > monthDays(year, month) {
		return 0, false
	}
	return daysOf(year, month, d), true
}

func monthDays(year, month int) int {
	switch month {
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	case 4, 6, 9, 11:
		return 30
	}
	return 31
}

// daysOf counts the days from the epoch to a date from year 0 on. Years are taken to begin
// in March, so that the leap day comes last and the lengths of months follow a line.
func daysOf(year, month, d int) int32 {
	if month <= 2 {
		year--
		month += 12
	}
	year += 400 // keeps the division below exact for January of year 0
	ofYear := (153*(month-3)+2)/5 + d - 1
	return int32(365*year + year/4 - year/100 + year/400 + ofYear - 719468 - 146097)
}

// digits2 reads two digits; the result is above 99 if they are not.
func digits2(text []byte) int {
	hi, lo := text[0]-'0', text[1]-'0'
	if hi > 9 || lo > 9 {
		return 1000
	}
	return int(hi)*10 + int(lo)
}
