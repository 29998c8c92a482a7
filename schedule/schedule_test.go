package schedule

import (
	"archive/zip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	z, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

// Times come when cron users expect them.
func TestNext(t *testing.T) {
	for _, test := range []struct {
		name, expression, zone, after string
		want                          []string // local times with their zone
	}{
		{"weekly", "0 9 * * WED", "America/Los_Angeles", "2026-11-20T00:00:00Z", []string{"2026-11-25 09:00 PST", "2026-12-02 09:00 PST"}},
		{"after itself", "0 9 * * *", "UTC", "2026-11-20T09:00:00Z", []string{"2026-11-21 09:00 UTC"}},
		{"skipped in spring", "30 2 * * *", "America/New_York", "2026-03-07T12:00:00Z", []string{"2026-03-08 03:00 EDT", "2026-03-09 02:30 EDT"}},
		{"twice in autumn", "30 1 * * *", "America/New_York", "2026-10-31T12:00:00Z", []string{"2026-11-01 01:30 EDT", "2026-11-02 01:30 EST"}},
		{"between the two in autumn", "30 1 * * *", "America/New_York", "2026-11-01T06:00:00Z", []string{"2026-11-02 01:30 EST"}},
		{"two times in the skipped hour", "0,30 2 * * *", "America/New_York", "2026-03-08T00:00:00Z", []string{"2026-03-08 03:00 EDT", "2026-03-09 02:00 EDT"}},
		{"hours in spring", "0 * * * *", "America/New_York", "2026-03-08T05:30:00Z", []string{"2026-03-08 01:00 EST", "2026-03-08 03:00 EDT"}},
		{"hours in autumn", "0 * * * *", "America/New_York", "2026-11-01T04:30:00Z", []string{"2026-11-01 01:00 EDT", "2026-11-01 01:00 EST", "2026-11-01 02:00 EST"}},
		{"half an hour of summer", "*/30 * * * *", "Australia/Lord_Howe", "2026-10-03T15:00:00Z", []string{"2026-10-04 02:30 +11"}},
		{"no midnight", "0 0 * * *", "America/Havana", "2026-03-07T12:00:00Z", []string{"2026-03-08 01:00 CDT", "2026-03-09 00:00 CDT"}},
		{"a date that was skipped", "0 9 * * *", "Pacific/Apia", "2011-12-29T00:00:00Z", []string{"2011-12-29 09:00 -10", "2011-12-31 09:00 +14"}},
		{"leap days", "0 0 29 2 *", "UTC", "2097-01-01T00:00:00Z", []string{"2104-02-29 00:00 UTC"}},
		{"leap days that are Sundays", "0 0 29 2 */7", "UTC", "2060-03-01T00:00:00Z", []string{"2088-02-29 00:00 UTC", "2128-02-29 00:00 UTC"}},
		{"intervals on them", "*/30 23 29 2 */7", "UTC", "2088-02-29T23:15:00Z", []string{"2088-02-29 23:30 UTC", "2128-02-29 23:00 UTC"}},
		{"day or weekday", "0 0 13 * FRI", "UTC", "2026-11-10T00:00:00Z", []string{"2026-11-13 00:00 UTC", "2026-11-20 00:00 UTC", "2026-11-27 00:00 UTC", "2026-12-04 00:00 UTC", "2026-12-11 00:00 UTC", "2026-12-13 00:00 UTC"}},
		{"a step of days and a weekday", "0 0 */2 * MON", "UTC", "2026-11-01T00:00:00Z", []string{"2026-11-09 00:00 UTC", "2026-11-23 00:00 UTC"}},
		{"Sunday is 7", "0 0 * * 6-7", "UTC", "2026-11-20T00:00:00Z", []string{"2026-11-21 00:00 UTC", "2026-11-22 00:00 UTC", "2026-11-28 00:00 UTC"}},
		{"lists, ranges, steps, names", "5,50-58/4 8-10 1 jan,Jul *", "UTC", "2026-07-01T09:55:00Z", []string{"2026-07-01 09:58 UTC", "2026-07-01 10:05 UTC"}},
		{"from a value on", "40/10 0 * * *", "UTC", "2026-07-01T00:00:00Z", []string{"2026-07-01 00:40 UTC", "2026-07-01 00:50 UTC", "2026-07-02 00:40 UTC"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, err := Parse(test.expression)
			if err != nil {
				t.Fatal(err)
			}
			z := zone(t, test.zone)
			at, err := time.Parse(time.RFC3339, test.after)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for range test.want {
				at = s.Next(at, z)
				got = append(got, at.In(z).Format("2006-01-02 15:04 MST"))
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("times of %q after %s:\n got %v\nwant %v", test.expression, test.after, got, test.want)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	for expression, want := range map[string]string{
		"":                "0 fields",
		"0 9 * *":         "4 fields",
		"0 9 * * * *":     "6 fields",
		"60 9 * * *":      `"60" is no minute`,
		"0 24 * * *":      `"24" is no hour`,
		"0 9 0 * *":       `"0" is no day of the month`,
		"0 9 * 13 *":      `"13" is no month`,
		"0 9 * * WEDS":    `"WEDS" is no weekday`,
		"0 9 * * 5-1":     `"5-1" is no weekday`,
		"*/0 * * * *":     `"*/0" is no minute`,
		"*/x * * * *":     `"*/x" is no minute`,
		"+5 * * * *":      `"+5" is no minute`,
		"-5 * * * *":      `"-5" is no minute`,
		"1, * * * *":      `"" is no minute`,
		"0 0 30 FEB *":    "never comes",
		"0 0 31 4,6,11 *": "never comes",
	} {
		if s, err := Parse(expression); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Parse(%q) = %v, %v, want an error with %q", expression, s, err, want)
		}
	}
}

// After a time without anybody who could have run it, something is due once.
func TestDueOnce(t *testing.T) {
	s, err := Parse("0 * * * *")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 20, 12, 30, 0, 0, time.UTC)
	for _, test := range []struct {
		name string
		last time.Time
		want bool
	}{
		{"ran this hour", now.Add(-20 * time.Minute), false},
		{"ran the hour before", now.Add(-40 * time.Minute), true},
		{"was off for a month", now.AddDate(0, -1, 0), true},
		{"ran just now", now, false},
	} {
		if got := s.Due(test.last, now, time.UTC); got != test.want {
			t.Errorf("%s: due = %v, want %v", test.name, got, test.want)
		}
	}
}

// zoneNames are all zones that the installation of Go has.
func zoneNames(t *testing.T) []string {
	t.Helper()
	root, err := exec.CommandContext(t.Context(), "go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	archive, err := zip.OpenReader(filepath.Join(strings.TrimSpace(string(root)), "lib", "time", "zoneinfo.zip"))
	if os.IsNotExist(err) {
		return []string{"UTC", "America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Pacific/Apia", "Asia/Kathmandu", "Africa/Casablanca", "America/Havana"}
	}
	if err != nil {
		t.Fatal(err)
	}
	defer archive.Close()
	var names []string
	for _, f := range archive.File {
		if !strings.HasSuffix(f.Name, "/") {
			names = append(names, f.Name)
		}
	}
	if len(names) < 400 {
		t.Fatalf("%d zones, want all", len(names))
	}
	return names
}

// In every zone and year a daily time comes once on each date that there is, when the clock first
// shows it or what follows it; and times with a star are those that the clock shows.
func TestEveryZone(t *testing.T) {
	names := zoneNames(t)
	rapid.Check(t, func(t *rapid.T) {
		z, err := time.LoadLocation(rapid.SampledFrom(names).Draw(t, "zone"))
		if err != nil {
			t.Fatal(err)
		}
		hour, minute := rapid.IntRange(0, 23).Draw(t, "hour"), rapid.IntRange(0, 59).Draw(t, "minute")
		// Until 1972 the clocks of one zone were not whole minutes away from UTC, and the model looks at minutes.
		begin := time.Date(rapid.IntRange(1973, 2060).Draw(t, "year"), time.Month(rapid.IntRange(1, 12).Draw(t, "month")), 1, 0, 0, 0, 0, time.UTC)
		const days = 40

		// The model looks at each minute of the clock. Readings are numbers: 202611010130.
		var daily, hourly []time.Time
		var dates []int // whose time has not come yet
		newest := 0
		for at := begin.Add(-48 * time.Hour); at.Before(begin.AddDate(0, 0, days)); at = at.Add(time.Minute) {
			local := at.In(z)
			year, month, day := local.Date()
			date := (year*100+int(month))*100 + day
			if date > newest { // one that comes back after the clock was set back is not new
				newest = date
				dates = append(dates, date)
			}
			reading := (date*100+local.Hour())*100 + local.Minute()
			came := false
			for len(dates) > 0 && reading >= (dates[0]*100+hour)*100+minute {
				dates, came = dates[1:], true
			}
			if at.Before(begin) {
				continue
			}
			if came {
				daily = append(daily, at)
			}
			if local.Minute() == minute {
				hourly = append(hourly, at)
			}
		}
		for _, want := range []struct {
			schedule Schedule
			times    []time.Time
		}{
			{Schedule{minute: 1 << minute, hour: 1 << hour, day: ^uint64(0), month: ^uint64(0), week: ^uint64(0), everyDay: true, everyWeekday: true}, daily},
			{Schedule{minute: 1 << minute, hour: ^uint64(0), day: ^uint64(0), month: ^uint64(0), week: ^uint64(0), everyDay: true, everyWeekday: true, interval: true}, hourly},
		} {
			at := begin.Add(-time.Minute)
			for i, w := range want.times {
				if at = want.schedule.Next(at, z); !at.Equal(w) {
					t.Fatalf("%s, %02d:%02d, interval %v: time %d is %s, want %s", z, hour, minute, want.schedule.interval, i, at.In(z), w.In(z))
				}
			}
		}
	})
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"0 9 * * WED", "*/15 * * * *", "5,50-58/4 8-10 1 jan,Jul *", "0 0 29 2 *", "x"} {
		f.Add(s)
	}
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, text string) {
		s, err := Parse(text)
		if err != nil {
			return
		}
		again, err := Parse(s.String())
		if err != nil || *again != *s {
			t.Errorf("Parse(%q) = %+v, %v, and of %q %+v", s, again, err, text, s)
		}
		if next := s.Next(start, time.UTC); !next.After(start) {
			t.Errorf("%q comes at %s, not after %s", text, next, start)
		}
	})
}
