// Package setting holds the types of values that the configurations of several connectors
// share: spans of time as people write them, and moments. What the settings mean is left to
// the connectors.
package setting

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// A Moment is a date or a time in a configuration. The zero Moment is none.
type Moment struct{ time.Time }

// UnmarshalText reads "2020-01-31" (midnight UTC) or an RFC 3339 time.
func (m *Moment) UnmarshalText(text []byte) error {
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(layout, string(text)); err == nil {
			m.Time = t.UTC()
			return nil
		}
	}
	return fmt.Errorf("%q is neither a date (2020-01-31) nor a time (2020-01-31T08:00:00Z)", text)
}

// UnmarshalJSON reads what UnmarshalText reads, in quotes; time.Time's own method, which
// would otherwise be promoted, knows no dates.
func (m *Moment) UnmarshalJSON(data []byte) error {
	s, err := strconv.Unquote(string(data))
	if err != nil {
		return fmt.Errorf("%s is not a date or time in quotes", data)
	}
	return m.UnmarshalText([]byte(s))
}

// A Duration is a span of time in a configuration: "90m", "36h", "7d".
type Duration time.Duration

// UnmarshalText reads a duration as time.ParseDuration does, or whole days such as "7d".
func (d *Duration) UnmarshalText(text []byte) error {
	s := string(text)
	if days, ok := strings.CutSuffix(s, "d"); ok {
		if n, err := strconv.Atoi(days); err == nil && n >= 0 && n < 100_000 {
			*d = Duration(time.Duration(n) * 24 * time.Hour)
			return nil
		}
	}
	v, err := time.ParseDuration(s)
	if err != nil {
		return fmt.Errorf("%q is not a duration such as 90m, 36h or 7d", text)
	}
	*d = Duration(v)
	return nil
}

// MarshalText writes whole days as days.
func (d Duration) MarshalText() ([]byte, error) {
	v := time.Duration(d)
	if v != 0 && v%(24*time.Hour) == 0 {
		return fmt.Appendf(nil, "%dd", v/(24*time.Hour)), nil
	}
	return []byte(v.String()), nil
}

// Or returns v, or fallback if v is the zero value.
func Or[T comparable](v, fallback T) T {
	var zero T
	if v == zero {
		return fallback
	}
	return v
}
