package config

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// ParseTime reads a point in time: a date (midnight in loc), a date and time with or without
// zone (without: in loc), or a duration, which means that long before now.
func ParseTime(s string, now time.Time, loc *time.Location) (time.Time, error) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02 15:04:05Z07:00"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), nil
		}
	}
	for _, layout := range []string{"2006-01-02", "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02T15:04", "2006-01-02 15:04"} {
		if t, err := time.ParseInLocation(layout, s, loc); err == nil {
			return t.UTC(), nil
		}
	}
	if d, err := ParseDuration(s); err == nil && !now.IsZero() {
		return now.Add(-d).UTC(), nil
	}
	example := "2024-01-31 or 2024-01-31T08:00:00Z"
	if !now.IsZero() {
		example = "2024-01-31, 2024-01-31T08:00:00Z or, for so long ago, 36h or 7d"
	}
	return time.Time{}, fmt.Errorf("%q is no time; write it like %s", s, example)
}

// ParseDuration reads what time.ParseDuration does, and days (d) and weeks (w) of 24 hours
// before that: "1w2d", "1d12h". It takes no negative durations.
func ParseDuration(s string) (time.Duration, error) {
	fail := fmt.Errorf("%q is no duration; write it like 90s, 15m, 36h or 7d", s)
	if s == "0" {
		return 0, nil
	}
	var total time.Duration
	rest := s
	for _, unit := range []struct {
		name byte
		size time.Duration
	}{{'w', 7 * 24 * time.Hour}, {'d', 24 * time.Hour}} {
		i := strings.IndexByte(rest, unit.name)
		if i < 0 {
			continue
		}
		n, err := strconv.ParseUint(rest[:i], 10, 31)
		if err != nil || n > uint64((1<<63-1)/int64(unit.size)) {
			return 0, fail
		}
		total += time.Duration(n) * unit.size
		rest = rest[i+1:]
	}
	if rest != "" {
		d, err := time.ParseDuration(rest)
		if err != nil || rest[0] == '-' || rest[0] == '+' {
			return 0, fail
		}
		total += d
	}
	if s == "" || total < 0 {
		return 0, fail
	}
	return total, nil
}
