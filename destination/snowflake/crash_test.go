//go:build cgo && !lite

package snowflake

import (
	"testing"

	"github.com/martsync/martsync/internal/crash"
)

// TestCrash kills whole syncs before, after and in the middle of calls, and lets two run at once. A sync takes seconds here,
// so that each call has its turn in the nightly run only; TestFaults has each statement of a load.
func TestCrash(t *testing.T) {
	t.Parallel()
	o := crash.Options{Backfill: true, Every: -1, Runs: 1}
	if crash.Nightly() {
		o.Every, o.Runs = 1, 300
	}
	crash.Test(t, crash.Scripted, factory, o)
}
