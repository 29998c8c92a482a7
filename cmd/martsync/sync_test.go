package main

import (
	"testing"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/config"
)

// TestASyncThatEndsWhileAllAreStopped is the last one that runs: its own end was good, and the code says
// that others have not begun.
func TestASyncThatEndsWhileAllAreStopped(t *testing.T) {
	plans := []plan{{sync: config.Sync{Name: "first"}}, {sync: config.Sync{Name: "second"}}, {sync: config.Sync{Name: "third"}}}
	stopped := false
	results, code := runInTurn(plans, func() bool { return stopped }, func(p plan, stop bool) syncResult {
		if stop {
			return notBegun(p)
		}
		stopped = p.sync.Name == "second"
		return syncResult{Sync: p.sync.Name, Run: "a", Done: true}
	})
	if code != martsync.ExitWaiting {
		t.Errorf("exit code %d, want %d", code, martsync.ExitWaiting)
	}
	if len(results) != 3 || !results[1].Done || results[2].Done || !results[2].Stopped {
		t.Errorf("results are %+v, want the third to be one that was stopped", results)
	}
}
