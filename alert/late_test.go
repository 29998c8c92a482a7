package alert

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/martsync/martsync/config"
	"github.com/martsync/martsync/runlog"
	"github.com/martsync/martsync/schedule"
)

// A sync that did not run at its time is late some hours later, and no longer once it has run.
func TestLate(t *testing.T) {
	f := newFixture(t)
	f.ran(done("r0"), nil) // at 9:00 on a Wednesday, which is a time of the schedule
	look := func(after time.Duration, want ...string) []Message {
		t.Helper()
		f.clock.move(after)
		f.watcher().Look(t.Context())
		return f.want(want...)
	}
	look(0)
	look(7*24*time.Hour + mostGrace - time.Minute) // due a week later
	m := look(time.Minute, "late problem: marketing is late")[0]
	has(t, m, "It had to be complete by Wed 18 Mar 2026 09:00 UTC and is not.", "Nothing has run since Wed 11 Mar 2026 09:00 UTC.",
		"the next run reads everything since the last one", "martsync sync marketing", "Look: martsync status marketing")
	look(time.Hour)
	look(23*time.Hour, "late reminder: Reminder: marketing is late")
	f.ran(done("r1"), nil)
	m = f.want("recovery over: marketing is no longer late")[0]
	has(t, m, "The last run was complete")
	look(time.Hour)
	// A second sync, started by hand, is never late.
	if l, err := LateNow(t.Context(), f.store, f.syncs[1], f.clock.Now().AddDate(1, 0, 0)); l != nil || err != nil {
		t.Errorf("got %+v, %v", l, err)
	}
}

func TestLateNow(t *testing.T) {
	hourly, err := schedule.Parse("0 * * * *")
	if err != nil {
		t.Fatal(err)
	}
	weekly, err := schedule.Parse("0 9 * * WED")
	if err != nil {
		t.Fatal(err)
	}
	hour, day := time.Hour, 24*time.Hour
	for _, tc := range []struct {
		name    string
		sync    Sync
		success time.Duration // of the last success, after began; -1: never
		run     *runlog.Run   // the newest
		now     time.Duration
		due     time.Duration // -1: not late
	}{
		{"weekly, in time", Sync{Schedule: weekly}, hour, nil, 7*day + 6*hour - 1, -1},
		{"weekly, late", Sync{Schedule: weekly}, hour, nil, 7*day + 6*hour, 7 * day},
		{"hourly, an hour of grace", Sync{Schedule: hourly}, 10 * time.Minute, nil, 2*hour - 1, -1},
		{"hourly, late", Sync{Schedule: hourly}, 10 * time.Minute, nil, 2 * hour, hour},
		{"no schedule", Sync{}, 0, nil, 1000 * day, -1},
		{"late_after", Sync{LateAfter: 26 * hour}, 0, nil, 26*hour - 1, -1},
		{"late_after beats the schedule", Sync{LateAfter: 26 * hour, Schedule: weekly}, 0, nil, 26 * hour, 26 * hour},
		{"never run", Sync{LateAfter: 26 * hour}, -1, nil, 100 * day, -1}, // seen now for the first time
		{"never to its end", Sync{LateAfter: 26 * hour}, -1, &runlog.Run{Status: runlog.Failed, End: began.Add(hour)}, 26 * hour, 26 * hour},
		{"a first copy that waits", Sync{Schedule: weekly}, -1, &runlog.Run{Status: runlog.Waiting, End: began.Add(9 * day), Wake: began.Add(10 * day)}, 10*day + 6*hour - 1, -1},
		{"a first copy that has stopped", Sync{Schedule: weekly}, -1, &runlog.Run{Status: runlog.Waiting, End: began.Add(9 * day), Wake: began.Add(10 * day)}, 10*day + 6*hour, 7 * day},
		{"a run at work", Sync{Schedule: weekly}, 0, &runlog.Run{Status: runlog.Running, Streams: []runlog.Stream{{LastCommit: began.Add(9 * day)}}}, 9*day + hour, -1},
		{"a run that was killed", Sync{Schedule: weekly}, 0, &runlog.Run{Status: runlog.Running, Streams: []runlog.Stream{{LastCommit: began.Add(9 * day)}}}, 9*day + 6*hour, 7 * day},
		{"a run that failed", Sync{Schedule: weekly}, 0, &runlog.Run{Status: runlog.Failed, End: began.Add(7 * day)}, 7*day + 6*hour, 7 * day},
		{"late_after whatever is at work", Sync{LateAfter: hour}, 0, &runlog.Run{Status: runlog.Waiting, End: began.Add(hour), Wake: began.Add(day)}, hour, hour},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := newFixture(t)
			s := tc.sync
			s.Name = "marketing"
			save := func(r runlog.Run) {
				r.Sync = s.Name
				if err := runlog.Save(t.Context(), f.store, &r); err != nil {
					t.Fatal(err)
				}
			}
			if tc.success >= 0 {
				save(runlog.Run{ID: "r1", Status: runlog.Done, Start: began, End: began.Add(tc.success)})
			}
			if tc.run != nil {
				r := *tc.run
				r.ID, r.Start = "r2", began
				if tc.success >= 0 {
					r.Start = began.Add(time.Second)
				}
				save(r)
			}
			l, err := LateNow(t.Context(), f.store, s, began.Add(tc.now))
			switch {
			case err != nil:
				t.Fatal(err)
			case (l != nil) != (tc.due >= 0):
				t.Errorf("got %+v, want late: %v", l, tc.due >= 0)
			case l != nil && !l.Due.Equal(began.Add(tc.due)):
				t.Errorf("due %v, want %v", l.Due, began.Add(tc.due))
			}
		})
	}
}

// The message says what keeps it, and what to do about that.
func TestLateBecause(t *testing.T) {
	for name, tc := range map[string]struct {
		run  *runlog.Run
		want []string
	}{
		"nothing ran":  {nil, []string{"Because: Nothing has run since Wed 11 Mar 2026 09:00 UTC."}},
		"it failed":    {&runlog.Run{Status: runlog.Failed, Error: "no such bucket", Hint: "create it"}, []string{"Because: Its last run, r1, failed: no such bucket", "Do: Create it."}},
		"it was ended": {&runlog.Run{Status: runlog.Stopped}, []string{"was stopped at Wed 18 Mar 2026 09:00 UTC and nobody has taken it up again"}},
		"it waited":    {&runlog.Run{Status: runlog.Waiting, Wake: began.AddDate(0, 0, 7).Add(time.Hour)}, []string{"waits until Wed 18 Mar 2026 10:00 UTC"}},
		"it was lost":  {&runlog.Run{Status: runlog.Running}, []string{"has not ended: it is at work, or was killed"}},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			f.ran(done("r0"), nil)
			if r := tc.run; r != nil {
				r.ID, r.Sync, r.Start, r.End = "r1", "marketing", began.AddDate(0, 0, 7), began.AddDate(0, 0, 7)
				if err := runlog.Save(t.Context(), f.store, r); err != nil {
					t.Fatal(err)
				}
			}
			f.clock.move(9 * 24 * time.Hour)
			f.watcher().Look(t.Context())
			if got := f.want("late problem: marketing is late"); len(got) == 1 {
				has(t, got[0], tc.want...)
			}
		})
	}
}

// A success that the watcher was not told of, as when the process was killed right after it, is found in the record
// of runs before anybody is told that there was none.
func TestLateFindsSuccess(t *testing.T) {
	f := newFixture(t)
	f.ran(done("r0"), nil)
	f.clock.move(8 * 24 * time.Hour)
	run := done("r1")
	run.Start, run.End = f.clock.Now(), f.clock.Now()
	if err := runlog.Save(t.Context(), f.store, run); err != nil {
		t.Fatal(err)
	}
	f.watcher().Look(t.Context())
	f.want()
	d, _, err := f.watcher().load(t.Context(), "marketing")
	if err != nil || !d.Success.Equal(run.End) {
		t.Errorf("remembered %v, %v, want %v", d.Success, err, run.End)
	}
}

// Runs of one sync look at the others now and then, so that without a daemon lateness is seen too.
func TestRunsLookAtOthers(t *testing.T) {
	f := newFixture(t)
	f.syncs[1].LateAfter = time.Hour
	w := f.watcher()
	tell := func(after time.Duration) {
		f.clock.move(after)
		w.Ran(t.Context(), Report{Sync: "marketing", Run: &runlog.Run{ID: "r", Sync: "marketing", Status: runlog.Waiting, Start: began}})
	}
	tell(0) // byhand is seen for the first time
	tell(time.Hour - time.Second)
	f.want()
	tell(time.Second) // it was looked at a second ago
	f.want()
	tell(lookEvery)
	f.want("late problem: byhand is late")
}

func TestLateWithoutState(t *testing.T) {
	f := newFixture(t)
	f.store.fails = errors.New("no bucket")
	if _, err := LateNow(t.Context(), f.store, f.syncs[0], began); err == nil {
		t.Error("want an error")
	}
	f.watcher().Look(t.Context())
	if f.log.Len() == 0 {
		t.Error("the log does not tell")
	}
}

// The configuration knows the same events.
func TestEventsOfConfig(t *testing.T) {
	var names []string
	for _, e := range Events {
		names = append(names, string(e))
	}
	if diff := cmp.Diff(names, config.AlertEvents); diff != "" {
		t.Errorf("events (-alert +config):\n%s", diff)
	}
}
