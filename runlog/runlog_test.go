package runlog_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/runlog"
	"github.com/martsync/martsync/state"
)

var start = time.Date(2025, 3, 1, 12, 0, 0, 123e6, time.UTC)

// run is a run of a sync that began so many minutes after the start.
func run(sync, id string, minutes int) *runlog.Run {
	return &runlog.Run{
		ID: id, Sync: sync, Account: "marketo:1", Start: start.Add(time.Duration(minutes) * time.Minute), Status: runlog.Running,
	}
}

func save(t *testing.T, s state.Store, runs ...*runlog.Run) {
	t.Helper()
	for _, r := range runs {
		if err := runlog.Save(t.Context(), s, r); err != nil {
			t.Fatal(err)
		}
	}
}

func ids(runs []runlog.Run) (ids []string) {
	for _, r := range runs {
		ids = append(ids, r.ID)
	}
	return ids
}

func TestSaveAndLoad(t *testing.T) {
	folder, err := state.OpenFolder(filepath.Join(t.TempDir(), "state"))
	if err != nil {
		t.Fatal(err)
	}
	for name, s := range map[string]state.Store{"memory": state.NewMemory(), "folder": folder} {
		t.Run(name, func(t *testing.T) {
			want := run("nightly", "run-1", 0)
			save(t, s, want)
			want.Status, want.End, want.Error, want.Kind = runlog.Failed, start.Add(time.Hour), "it's broken", "data"
			want.Streams = []runlog.Stream{{Stream: "leads", Phase: runlog.PhaseFailed, Rows: 7, Took: time.Second, Wake: start}}
			want.Usage = []martsync.Usage{{Name: "API calls", Unit: "calls", Spent: 3, Today: -1}}
			want.AddLog(martsync.LogEntry{Time: start, Sync: "run-1", Stream: "leads", Operation: "sync", Message: "it's broken"})
			save(t, s, want)
			got, err := runlog.Load(t.Context(), s, "nightly", "run-1")
			if diff := cmp.Diff(want, got); err != nil || diff != "" {
				t.Errorf("load: %v (-want +got):\n%s", err, diff)
			}
			if got.Rows() != 7 || got.Find("leads") == nil || got.Find("emails") != nil {
				t.Errorf("rows %d, leads %v, emails %v", got.Rows(), got.Find("leads"), got.Find("emails"))
			}
			for _, id := range []string{"run-", "un-1", "run-11", ""} {
				if _, err := runlog.Load(t.Context(), s, "nightly", id); !errors.Is(err, runlog.ErrNotFound) {
					t.Errorf("load %q: got %v, want %v", id, err, runlog.ErrNotFound)
				}
			}
		})
	}
}

func TestListIsNewestFirst(t *testing.T) {
	s := state.NewMemory()
	save(t, s, run("b", "b1", 1), run("a", "a2", 2), run("a", "a0", 0), run("b", "b3", 3), run("a.b", "Z.x", 4))
	tests := []struct {
		sync string
		n    int
		want []string
	}{
		{"", 0, []string{"Z.x", "b3", "a2", "b1", "a0"}},
		{"", 2, []string{"Z.x", "b3"}},
		{"a", 0, []string{"a2", "a0"}},
		{"a", 1, []string{"a2"}},
		{"a.b", 0, []string{"Z.x"}},
		{"c", 0, nil},
	}
	for _, tt := range tests {
		got, err := runlog.List(t.Context(), s, tt.sync, tt.n)
		if diff := cmp.Diff(tt.want, ids(got)); err != nil || diff != "" {
			t.Errorf("list %q %d: %v (-want +got):\n%s", tt.sync, tt.n, err, diff)
		}
	}
	if _, err := s.Put(t.Context(), "run/a/20250301T130000.000Z.broken", []byte("{"), ""); err != nil {
		t.Fatal(err)
	}
	if got, err := runlog.List(t.Context(), s, "a", 2); err != nil || !cmp.Equal(ids(got), []string{"a2", "a0"}) {
		t.Errorf("list with an unreadable run: got %v, %v, want it left out", ids(got), err)
	}
	if _, err := runlog.Load(t.Context(), s, "a", "Z.x"); !errors.Is(err, runlog.ErrNotFound) {
		t.Errorf("load the run of another sync: got %v", err)
	}
	if r, err := runlog.Load(t.Context(), s, "a.b", "Z.x"); err != nil || r.ID != "Z.x" {
		t.Errorf("load a run with dots in its id: got %v, %v", r, err)
	}
}

func TestOldRunsAreRemoved(t *testing.T) {
	s := state.NewMemory()
	save(t, s, run("other", "other", -1))
	for i := range runlog.Keep + 5 {
		save(t, s, run("nightly", fmt.Sprint(i), i))
	}
	got, err := runlog.List(t.Context(), s, "nightly", 0)
	if err != nil || len(got) != runlog.Keep || got[0].ID != fmt.Sprint(runlog.Keep+4) || got[len(got)-1].ID != "5" {
		t.Errorf("kept: got %d runs from %s to %s (%v), want the newest %d", len(got), got[0].ID, got[len(got)-1].ID, err, runlog.Keep)
	}
	if got, err := runlog.List(t.Context(), s, "other", 0); err != nil || len(got) != 1 {
		t.Errorf("runs of another sync: got %d, %v, want 1", len(got), err)
	}
}

func TestTheLogOfARunIsBounded(t *testing.T) {
	r := run("nightly", "1", 0)
	for i := range runlog.MaxLog + 3 {
		r.AddLog(martsync.LogEntry{Rows: int64(i)})
	}
	if len(r.Log) != runlog.MaxLog || r.DroppedLogs != 3 || r.Log[0].Rows != 3 {
		t.Errorf("got %d entries from %d, %d dropped; want %d from 3, 3 dropped", len(r.Log), r.Log[0].Rows, r.DroppedLogs, runlog.MaxLog)
	}
}

func TestFreshness(t *testing.T) {
	s := state.NewMemory()
	if got, err := runlog.FreshnessOf(t.Context(), s, "nightly"); err != nil || got != nil {
		t.Errorf("before the first run: got %v, %v, want nothing", got, err)
	}
	report := func(r *runlog.Run, rows map[string]int64) {
		t.Helper()
		if err := runlog.Report(t.Context(), s, r, rows); err != nil {
			t.Fatal(err)
		}
	}
	first := run("nightly", "1", 0)
	first.Streams = []runlog.Stream{
		{Stream: "leads", Phase: runlog.PhaseDone, Rows: 5, LastCommit: start, Finished: start.Add(time.Minute)},
		{Stream: "activities", Phase: runlog.PhaseWait, Wake: start.Add(time.Hour), Rows: 2, LastCommit: start},
	}
	report(first, map[string]int64{"leads": 5, "activities": 2})
	second := run("nightly", "2", 60)
	second.Streams = []runlog.Stream{
		{Stream: "leads", Phase: runlog.PhaseFailed, Rows: 1, LastCommit: start.Add(time.Hour), Finished: start.Add(time.Hour), Error: "broken", Hint: "mend it"},
	}
	report(second, map[string]int64{"leads": 1})
	got, err := runlog.FreshnessOf(t.Context(), s, "nightly")
	want := []runlog.Freshness{
		{Stream: "activities", Phase: runlog.PhaseWait, Run: "1", LastCommit: start, Rows: 2, TotalRows: 2, Wake: start.Add(time.Hour)},
		{
			Stream: "leads", Phase: runlog.PhaseFailed, Run: "2", LastSuccess: start.Add(time.Minute), LastCommit: start.Add(time.Hour),
			Rows: 1, TotalRows: 6, Error: "broken", Hint: "mend it",
		},
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); err != nil || diff != "" {
		t.Errorf("freshness: %v (-want +got):\n%s", err, diff)
	}
	report(run("weekly", "1", 0), nil)
	if got, err := runlog.Syncs(t.Context(), s); err != nil || !cmp.Equal(got, []string{"nightly", "weekly"}) {
		t.Errorf("syncs: got %v, %v, want nightly and weekly", got, err)
	}
}

func TestARunThatEndsWithoutAWord(t *testing.T) {
	s := state.NewMemory()
	report := func(r *runlog.Run, rows map[string]int64) {
		t.Helper()
		save(t, s, r)
		if err := runlog.Report(t.Context(), s, r, rows); err != nil {
			t.Fatal(err)
		}
	}
	before := run("nightly", "before", 0)
	before.Status = runlog.Done
	before.Streams = []runlog.Stream{
		{Stream: "emails", Phase: runlog.PhaseFailed, Error: "broken"},
		{Stream: "leads", Phase: runlog.PhaseDone, Rows: 100, LastCommit: start, Finished: start},
		{Stream: "segments", Phase: runlog.PhaseSkipped},
	}
	report(before, map[string]int64{"leads": 100})

	// It waits, which is reported, goes on, and is killed.
	died := run("nightly", "died", 60)
	died.Streams = []runlog.Stream{{Stream: "leads", Phase: runlog.PhaseWait, Rows: 5, LastCommit: start.Add(time.Hour), Wake: start.Add(2 * time.Hour)}}
	report(died, map[string]int64{"leads": 5})
	last := start.Add(3 * time.Hour)
	died.Streams = []runlog.Stream{
		{Stream: "leads", Phase: runlog.PhaseRead, Rows: 12, LastCommit: start.Add(2 * time.Hour)},
		{Stream: "programs", Phase: runlog.PhaseDone, Rows: 3, LastCommit: last, Finished: last},
		{Stream: "emails", Phase: runlog.PhaseQueued},
		{Stream: "segments", Phase: runlog.PhaseRead},
	}
	save(t, s, died)

	want := func(leads runlog.Phase) []runlog.Freshness {
		return []runlog.Freshness{
			{Stream: "emails", Phase: runlog.PhaseFailed, Run: "before", Error: "broken"},
			{Stream: "leads", Phase: leads, Run: "died", Rows: 12, TotalRows: 112, LastSuccess: start, LastCommit: start.Add(2 * time.Hour)},
			{Stream: "programs", Phase: runlog.PhaseDone, Run: "died", Rows: 3, TotalRows: 3, LastSuccess: last, LastCommit: last},
			{Stream: "segments", Phase: runlog.PhaseSkipped, Run: "before"},
		}
	}
	for range 2 { // to look changes nothing
		got, err := runlog.FreshnessOf(t.Context(), s, "nightly")
		if diff := cmp.Diff(want(runlog.PhaseRead), got); err != nil || diff != "" {
			t.Errorf("freshness while it seems to run: %v (-want +got):\n%s", err, diff)
		}
	}
	for range 2 { // nor does it count twice
		if err := runlog.Bury(t.Context(), s, died); err != nil {
			t.Fatal(err)
		}
		got, err := runlog.FreshnessOf(t.Context(), s, "nightly")
		if diff := cmp.Diff(want(runlog.PhaseStopped), got); err != nil || diff != "" {
			t.Errorf("freshness afterwards: %v (-want +got):\n%s", err, diff)
		}
	}
	got, err := runlog.Load(t.Context(), s, "nightly", "died")
	if err != nil || got.Status != runlog.Stopped || !got.End.Equal(last) || got.Error == "" || got.Find("leads").Phase != runlog.PhaseStopped {
		t.Errorf("the run: got %+v, %v, want one that stopped at %v", got, err, last)
	}
}
