package pardotsim

import (
	"testing"
	"time"
)

func TestS10DatesOfVersion4(t *testing.T) {
	zone, err := time.LoadLocation("America/New_York")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 3, 16, 14, 30, 20, 0, time.UTC) // Monday, 10:30:20 in New York
	tests := []struct{ text, want string }{
		{"2026-03-01 12:00:00", "2026-03-01T17:00:00Z"},
		{"2026-03-01T12:00:00", "2026-03-01T17:00:00Z"},
		{"2026-03-10 12:00:00", "2026-03-10T16:00:00Z"},
		{"2026-03-10", "2026-03-10T04:00:00Z"},
		{"2026-03-10 12:00", "2026-03-10T16:00:00Z"},
		{"2026-03-10 12:00:00 UTC", "2026-03-10T12:00:00Z"},
		{"2026-03-10 12:00:00 +0000", "2026-03-10T12:00:00Z"},
		{"2026-03-10T12:00:00-07:00", "2026-03-10T19:00:00Z"},
		{"2026-03-10T12:00:00Z", "2026-03-10T12:00:00Z"},
		{"2026-03-10T12:00:00.250Z", "2026-03-10T12:00:00Z"},
		{"2026-03-10 12:00:00+02", "2026-03-10T10:00:00Z"},
		{"20260310", "2026-03-10T04:00:00Z"},
		{"03/10/2026", "2026-03-10T04:00:00Z"},
		{"2026/03/10", "2026-03-10T04:00:00Z"},
		{"10 March 2026", "2026-03-10T04:00:00Z"},
		{"Mar 10, 2026 3:30 pm", "2026-03-10T19:30:00Z"},
		{"2026-03-10 12am", "2026-03-10T04:00:00Z"},
		{"today", "2026-03-16T04:00:00Z"},
		{"yesterday", "2026-03-15T04:00:00Z"},
		{"yesterday noon", "2026-03-15T16:00:00Z"},
		{"tomorrow", "2026-03-17T04:00:00Z"},
		{"last_7_days", "2026-03-09T04:00:00Z"},
		{"this_month", "2026-03-01T05:00:00Z"},
		{"last_month", "2026-02-01T05:00:00Z"},
		{"now", "2026-03-16T14:30:20Z"},
		{"2 days ago", "2026-03-14T14:30:20Z"},
		{"-1 week", "2026-03-09T14:30:20Z"},
		{"1 hour ago", "2026-03-16T13:30:20Z"},
		{"a month ago", "2026-02-16T15:30:20Z"},
		{"+90 minutes", "2026-03-16T16:00:20Z"},
		{"2026-03-10 + 2 days", ""}, // a sign apart from its number is no number
		{"2026-03-10 +2 days", "2026-03-12T04:00:00Z"},
		{"last monday", "2026-03-09T04:00:00Z"},
		{"next friday", "2026-03-20T04:00:00Z"},
		{"last week", "2026-03-09T14:30:20Z"},
		{"@1773671420", "2026-03-16T14:30:20Z"},
		{"2026-11-01 01:30:00", "2026-11-01T05:30:00Z"}, // shown twice: the first
		{"2026-11-01 00:59:59", "2026-11-01T04:59:59Z"},
		{"2026-11-01 02:00:00", "2026-11-01T07:00:00Z"},
		{"2026-03-08 03:00:00", "2026-03-08T07:00:00Z"},
		{"", ""},
		{"soon", ""},
		{"2026-02-30", ""},
		{"2026-13-01", ""},
		{"2026-03-10 25:00", ""},
		{"2026-03-10 10:61", ""},
		{"2026-03-10 2026-03-11", ""},
		{"12", ""},
		{"2026-03-10 00:00:00 0000", ""}, // a + that became a space
	}
	for _, tt := range tests {
		t.Run(tt.text, func(t *testing.T) {
			at, ok := gnuDate(tt.text, now, zone, false)
			got := ""
			if ok {
				got = at.Format(time.RFC3339)
			}
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
	if at, _ := gnuDate("2026-11-01 01:30:00", now, zone, true); at.Format(time.RFC3339) != "2026-11-01T06:30:00Z" {
		t.Errorf("the later hour: got %s, want 06:30 UTC", at)
	}
}

// What version 4 shows must lead back to the moment, save in the hour that comes twice.
func TestS10NaiveTimesLeadBack(t *testing.T) {
	for _, name := range []string{"America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kolkata", "UTC"} {
		zone, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		var step time.Duration
		for at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC); at.Year() < 2027; at = at.Add(step) {
			_, before := at.Add(-5 * time.Hour).In(zone).Zone()
			_, after := at.Add(5 * time.Hour).In(zone).Zone()
			if step = 5 * time.Minute; before == after {
				step = 5 * time.Hour
			}
			text := string(naive(nil, at.Unix(), zone))
			got, ok := gnuDate(text, at, zone, false)
			later, _ := gnuDate(text, at, zone, true)
			if !ok || !got.Equal(at) && !later.Equal(at) {
				t.Fatalf("%s: %s is shown as %s, which is read as %s or %s", name, at, text, got, later)
			}
			if got.After(later) {
				t.Fatalf("%s: %s is read as %s, and as %s where the later one is wanted", name, text, got, later)
			}
		}
	}
}

func FuzzGnuDate(f *testing.F) {
	for _, s := range []string{"2026-03-01 12:00:00", "2 days ago", "last monday", "@5", "Mar 10, 2026 3 pm", "2026-03-10T12:00:00-07:00", "a week ago", "+0 0-/:"} {
		f.Add(s)
	}
	zone, err := time.LoadLocation("America/New_York")
	if err != nil {
		f.Fatal(err)
	}
	now := time.Date(2026, 3, 16, 14, 30, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, s string) {
		a, okA := gnuDate(s, now, zone, false)
		b, okB := gnuDate(" "+s+" ", now, zone, false)
		if okA != okB || !a.Equal(b) {
			t.Errorf("%q is %v, %t, but %v, %t with spaces around it", s, a, okA, b, okB)
		}
	})
}
