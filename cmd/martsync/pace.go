package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/martsync/martsync/simulate"
)

// setPace makes the clock run as --speed says: "60", or "60@2026-03-01" where a process that was started on that day follows a
// clock of speed 60. Without the day a command that is started after midnight would follow another clock than the simulator does.
func (a *app) setPace(text string) error {
	factor, since, given := strings.Cut(text, "@")
	speed, err := strconv.ParseFloat(factor, 64)
	if err != nil || !(speed > 0) || math.IsInf(speed, 0) {
		return usageError(fmt.Errorf("--speed is %s", text), "Use a number above 0.")
	}
	a.speed, a.origin = speed, simulate.Today()
	if given {
		if a.origin, err = parseOrigin(since); err != nil {
			return usageError(fmt.Errorf("--speed is %s", text), "Use what martsync simulate tells, such as 60@2026-03-01.")
		}
	}
	if speed != 1 {
		a.clock = simulate.ScaledFrom(a.origin, speed)
	}
	return nil
}

// parseOrigin reads a day, or a moment.
func parseOrigin(text string) (time.Time, error) {
	if day, err := time.Parse(time.DateOnly, text); err == nil {
		return day, nil
	}
	return time.Parse(time.RFC3339Nano, text)
}

// tellPace is the --speed that other commands need to follow the clock of this one.
func (a *app) tellPace() string {
	since := a.origin.UTC().Format(time.RFC3339Nano)
	if midnight := a.origin.Truncate(24 * time.Hour); midnight.Equal(a.origin) {
		since = midnight.Format(time.DateOnly)
	}
	return fmt.Sprintf("%v@%s", a.speed, since)
}
