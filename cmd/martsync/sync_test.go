package main

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/config"
	"github.com/martsync/martsync/runlog"
	"github.com/martsync/martsync/state"
)

// TestASyncThatEndsWhileAllAreStopped is the last one that runs: its own end was good, and the code says
// that others have not begun.
func TestASyncThatEndsWhileAllAreStopped(t *testing.T) {
	plans := []plan{{sync: config.Sync{Name: "first"}}, {sync: config.Sync{Name: "second"}}, {sync: config.Sync{Name: "third"}}}
	stopped := false
	results, code := runInTurn(plans, func(plan) bool { return stopped }, func(p plan, stop bool) syncResult {
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

// TestABackfillThatWasInterruptedGoesOn as the run that it was; what else ran last is left alone.
func TestABackfillThatWasInterruptedGoesOn(t *testing.T) {
	for _, c := range []struct {
		name     string
		backfill bool
		status   runlog.Status
		want     string
	}{
		{"stopped", true, runlog.Stopped, "last"},
		{"waiting", true, runlog.Waiting, "last"},
		{"killed", true, runlog.Running, "last"},
		{"done", true, runlog.Done, ""},
		{"failed", true, runlog.Failed, ""},
		{"no backfill", false, runlog.Stopped, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			store, at := state.NewMemory(), time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
			for i, r := range []runlog.Run{
				{ID: "before", Backfill: true, Status: runlog.Stopped},
				{ID: "last", Backfill: c.backfill, Status: c.status},
			} {
				r.Sync, r.Start = "marketo", at.Add(time.Duration(i)*time.Hour)
				if err := runlog.Save(t.Context(), store, &r); err != nil {
					t.Fatal(err)
				}
			}
			if got, err := unfinishedBackfill(t.Context(), store, "marketo"); err != nil || got != c.want {
				t.Errorf("got %q and %v, want %q", got, err, c.want)
			}
			if got, err := unfinishedBackfill(t.Context(), store, "other"); err != nil || got != "" {
				t.Errorf("a sync that never ran: got %q and %v, want none", got, err)
			}
		})
	}
}

// TestThoseThatTheirTimeIsUpForAreStillToCome, as if a signal had stopped them.
func TestThoseThatTheirTimeIsUpForAreStillToCome(t *testing.T) {
	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		deadline time.Time
		want     bool
	}{{time.Time{}, false}, {now.Add(time.Second), false}, {now, true}, {now.Add(-time.Hour), true}} {
		if p := (plan{deadline: c.deadline}); p.timeUp(now) != c.want {
			t.Errorf("deadline %v at %v: got %v, want %v", c.deadline, now, !c.want, c.want)
		}
	}
}

// TestReplaysShareNoProgress with syncs, other syncs' replays or replays into other places.
func TestReplaysShareNoProgress(t *testing.T) {
	names := map[string]string{}
	for _, c := range [][3]string{
		{"a-b", "c", ""}, {"a", "b-c", ""}, {"a", "b", "c"}, {"a", "b", "default"}, {"a", "b", ""}, {"a", "b", "c/d"}, {"a", "b", "c-d"}, {"a", "b", "c%2Fd"},
	} {
		name := replayName(config.Sync{Name: c[0], Destination: config.Destination{Name: c[1]}, Schema: c[2]})
		if before, taken := names[name]; taken {
			t.Errorf("%v and %s are both %q", c, before, name)
		}
		if names[name] = fmt.Sprint(c); strings.Contains(name, "/") || !strings.Contains(name, ".") {
			t.Errorf("%v: %q has a slash, or may be the name of a sync", c, name)
		}
	}
}

// TestHoldersAreToldApart: two containers run processes of equal numbers.
func TestHoldersAreToldApart(t *testing.T) {
	host, err := os.Hostname()
	if err != nil {
		t.Skip(err)
	}
	if got := holder("compact marketo"); !strings.Contains(got, host) || !strings.Contains(got, "compact marketo") {
		t.Errorf("got %q, want one that names the command and %s", got, host)
	}
}

// TestStreamsThatWereTakenOutAreNotStale: monitoring would cry for ever.
func TestStreamsThatWereTakenOutAreNotStale(t *testing.T) {
	for _, c := range []struct {
		name             string
		streams, exclude []string
		want             string
	}{
		{"all", nil, nil, "[activities leads]"},
		{"excluded", nil, []string{"act*"}, "[leads]"},
		{"not among them", []string{"leads"}, nil, "[leads]"},
	} {
		var got []string
		for _, f := range configured(config.Sync{Streams: c.streams, Exclude: c.exclude}, []runlog.Freshness{{Stream: "activities"}, {Stream: "leads"}}) {
			got = append(got, f.Stream)
		}
		if fmt.Sprint(got) != c.want {
			t.Errorf("%s: got %v, want %s", c.name, got, c.want)
		}
	}
}

// TestWaits: what could go on long ago waits for nothing but somebody who takes it up.
func TestWaits(t *testing.T) {
	now := time.Date(2026, 3, 2, 12, 0, 0, 0, time.Local)
	for _, tc := range []struct {
		wake time.Time
		want string
	}{
		{now.Add(90 * time.Second), "waits until 12:01:30 " + now.Format("MST") + " (in 1m 30s)"},
		{now, "can go on now"},
		{now.Add(-24 * time.Hour), "can go on now"},
	} {
		if got := waits(tc.wake, now); got != tc.want {
			t.Errorf("%v: got %q, want %q", tc.wake, got, tc.want)
		}
	}
}
