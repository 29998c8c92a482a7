package marketo

import (
	"testing"
	"time"
)

// wholeDay is what the default configuration leaves at midnight.
var wholeDay = budget{calls: vendorDailyCalls / 2, bytes: vendorExportMB / 2 * 1e6, pages: restMost}

func TestCheaper(t *testing.T) {
	const hour, day = time.Hour, 24 * time.Hour
	for _, c := range []struct {
		name    string
		stretch time.Duration
		loops   int
		pace    pace
		want    way
	}{
		{"nothing known, an hour", hour, 4, pace{}, byPage},
		{"nothing known, a day", day, 4, pace{}, byJob},
		{"small account, two days", 2 * day, 4, pace{Rows: 2_000, Bytes: 500_000}, byPage},
		{"small account, five years", 5 * 365 * day, 4, pace{Rows: 2_000, Bytes: 500_000}, byJob},
		{"a million a day, two hours", 2 * hour, 4, pace{Rows: 1e6, Bytes: 250e6}, byJob},
		{"a million a day, one type, two hours", 2 * hour, 1, pace{Rows: 1e6, Bytes: 250e6}, byPage},
		{"a million a day, a day", day, 4, pace{Rows: 1e6, Bytes: 250e6}, byJob},
		{"rare type in a busy log", 2 * day, 1, pace{Rows: 50, Bytes: 10_000, Calls: 3_300}, byJob},
		{"rare type in a quiet log", 2 * day, 1, pace{Rows: 50, Bytes: 10_000, Calls: 2}, byPage},
		{"rare type, calls dearer than the job", 10 * day, 1, pace{Rows: 5, Bytes: 1_000, Calls: 30}, byJob},
		{"no bytes known", 2 * day, 4, pace{Rows: 2_000}, byPage},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := cheaper(c.stretch, c.loops, c.pace, wholeDay); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestStepFor(t *testing.T) {
	const quota = 500_000_000
	for _, c := range []struct {
		name  string
		bytes float64 // a day
		want  time.Duration
	}{
		{"nothing known", 0, maxWindow},
		{"small", 1e6, maxWindow},
		{"40 MB a day", 40e6, 5 * 24 * time.Hour},
		{"a day is twice the share", 400e6, 12 * time.Hour},
		{"absurd", 1e12, minWindow},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := stepFor(pace{Bytes: c.bytes}, quota); got != c.want {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

func TestPaceObserve(t *testing.T) {
	var p pace
	p.observe(48*time.Hour, 2_000, 500_000, -1)
	if want := (pace{Rows: 1_000, Bytes: 250_000}); p != want {
		t.Errorf("after two days: got %+v, want %+v", p, want)
	}
	p.observe(time.Minute, 1e6, 1e9, 1e6) // too short to say anything
	p.observe(12*time.Hour, 1_500, -1, 12)
	if want := (pace{Rows: 1_500, Bytes: 250_000, Calls: 24}); p != want {
		t.Errorf("after half a day more: got %+v, want %+v", p, want)
	}
	p.observe(24*time.Hour, 0, 0, 0)
	if want := (pace{Rows: 750, Bytes: 125_000, Calls: 12}); p != want {
		t.Errorf("after a quiet day: got %+v, want %+v", p, want)
	}
}

func TestDear(t *testing.T) {
	usual := Limits{DailyQuota: vendorDailyCalls, DailyCalls: vendorDailyCalls / 2, DailyReserve: vendorDailyCalls / 5, ExportMegabytes: vendorExportMB}
	small, shared := usual, usual
	small.DailyCalls = 10_000
	shared.DailyQuota, shared.DailyCalls, shared.DailyReserve = 25_000, 25_000, 15_000
	for _, c := range []struct {
		name   string
		pace   pace
		gap    time.Duration
		limits Limits
		want   bool
	}{
		{"nothing known", pace{}, time.Minute, usual, false},
		{"small and hourly", pace{Rows: 5_000, Bytes: 1.2e6}, time.Hour, usual, false},
		{"medium and nightly", pace{Rows: 200_000, Bytes: 50e6}, 24 * time.Hour, usual, false},
		{"medium and hourly", pace{Rows: 200_000, Bytes: 50e6}, time.Hour, usual, true},
		{"a rare type in a busy log, nightly", pace{Calls: 3_000}, 24 * time.Hour, usual, false},
		{"a rare type in a busy log, hourly", pace{Calls: 3_000}, time.Hour, usual, true},
		{"the same, nightly, where few calls are allowed", pace{Calls: 3_000}, 24 * time.Hour, small, true},
		{"and where most are reserved for others", pace{Calls: 3_000}, 24 * time.Hour, shared, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := dear(c.pace, c.gap, 24*time.Hour, c.limits); got != c.want {
				t.Errorf("got %t, want %t", got, c.want)
			}
		})
	}
}
