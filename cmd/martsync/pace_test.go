package main

import (
	"fmt"
	"testing"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/simulate"
)

// TestPace: what one process tells, another one takes for the same clock, on whatever day it is started.
func TestPace(t *testing.T) {
	for _, test := range []struct{ given, told string }{
		{"60@2026-03-01", "60@2026-03-01"},
		{"0.5@2026-03-01T00:00:00Z", "0.5@2026-03-01"},
		{"7200@2026-03-01T09:30:00.000000001+01:00", "7200@2026-03-01T08:30:00.000000001Z"},
	} {
		a, b := &app{}, &app{}
		if err := a.setPace(test.given); err != nil || a.tellPace() != test.told {
			t.Errorf("%s: told %s and %v, want %s", test.given, a.tellPace(), err, test.told)
			continue
		}
		if err := b.setPace(a.tellPace()); err != nil || a.clock != b.clock {
			t.Errorf("%s: the clocks are %v and %v, %v", test.given, a.clock, b.clock, err)
		}
	}
	a := &app{}
	if err := a.setPace("60"); err != nil || a.origin.After(simulate.Today()) || simulate.Today().Sub(a.origin) > 24*time.Hour || a.clock != simulate.ScaledFrom(a.origin, 60) {
		t.Errorf("60 alone: origin %s, %v; want today's midnight", a.origin, err)
	}
	a = &app{clock: martsync.SystemClock{}}
	if err := a.setPace("1"); err != nil || a.clock != (martsync.SystemClock{}) {
		t.Errorf("1: clock %v, %v; want that of the machine", a.clock, err)
	}
	for _, wrong := range []string{"", "fast", "0", "-1", "NaN", "+Inf", "60@", "60@yesterday", "@2026-03-01"} {
		if err := a.setPace(wrong); martsync.KindOf(err) != martsync.Config || martsync.HintOf(err) == "" {
			t.Errorf("%q: got %v, want an error of kind config with a hint", wrong, err)
		}
	}
}

// paced is a clock of that speed, and the --speed by which a program in another process follows it. It begins at eight in the
// morning: no test that runs for minutes comes to a midnight of its own by chance unless it runs through the days, nor
// follows another clock than its programs since midnight has come to where it runs.
func paced(speed float64) (clock simulate.Time, flag string) {
	now := martsync.SystemClock{}.Now().UTC().Round(0)
	morning := now.Truncate(24 * time.Hour).Add(8 * time.Hour)
	origin := now.Add(-time.Duration(float64(morning.Sub(now)) / (speed - 1)))
	return simulate.ScaledFrom(origin, speed), fmt.Sprintf("%v@%s", speed, origin.Format(time.RFC3339Nano))
}
