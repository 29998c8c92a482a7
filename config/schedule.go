package config

import (
	"fmt"
	"strconv"
	"strings"
)

// checkSchedule reports what is wrong with a cron expression: minute, hour, day of month,
// month, weekday. When it fires is the scheduler's affair.
func checkSchedule(s string) error {
	fields := strings.Fields(s)
	limits := []struct {
		name     string
		min, max int
		words    string
	}{
		{"minute", 0, 59, ""},
		{"hour", 0, 23, ""},
		{"day of the month", 1, 31, ""},
		{"month", 1, 12, "JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC"},
		{"weekday", 0, 7, "SUN MON TUE WED THU FRI SAT"},
	}
	if len(fields) != len(limits) {
		return fmt.Errorf("%q has %d fields, not five", s, len(fields))
	}
	for i, field := range fields {
		l := limits[i]
		for part := range strings.SplitSeq(field, ",") {
			if !validPart(part, l.min, l.max, strings.Fields(l.words)) {
				return fmt.Errorf("%q is no %s", part, l.name)
			}
		}
	}
	return nil
}

func validPart(part string, low, high int, words []string) bool {
	span, step, stepped := strings.Cut(part, "/")
	if n, err := strconv.Atoi(step); stepped && (err != nil || n < 1 || n > high) {
		return false
	}
	if span == "*" {
		return true
	}
	value := func(s string) (int, bool) {
		for i, w := range words {
			if strings.EqualFold(s, w) {
				return i + low, true
			}
		}
		n, err := strconv.Atoi(s)
		return n, err == nil && n >= low && n <= high && s[0] != '+'
	}
	from, to, ranged := strings.Cut(span, "-")
	a, ok := value(from)
	if !ok || !ranged {
		return ok
	}
	b, ok := value(to)
	return ok && a <= b
}
