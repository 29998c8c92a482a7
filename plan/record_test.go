package plan_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/plan"
	"github.com/martsync/martsync/runlog"
	"github.com/martsync/martsync/state"
)

func sums(calls, bytes int64, days int) plan.Sums {
	return plan.Sums{Days: days, Streams: []plan.StreamSum{
		{Stream: "leads", Rows: 100, Bytes: bytes, Costs: []martsync.Cost{{Name: "API calls", Unit: "calls", Amount: calls}, {Name: "export jobs", Unit: "jobs", Amount: 2}}},
		{Stream: "other", Rows: 1_000_000, Bytes: -1, Costs: []martsync.Cost{{Name: "API calls", Unit: "calls", Amount: 1_000_000}}},
	}}
}

// ran is a run that began so many hours after at and took so many.
func ran(id string, begin, hours int, calls int64) runlog.Run {
	start := at.Add(time.Duration(begin) * time.Hour)
	return runlog.Run{
		ID: id, Sync: "s", Start: start, End: start.Add(time.Duration(hours) * time.Hour), Status: runlog.Done,
		Streams: []runlog.Stream{{Stream: "leads", Rows: 90, Bytes: 5_000}},
		Usage:   []martsync.Usage{{Name: "API calls", Unit: "calls", Spent: calls}},
	}
}

func TestCompare(t *testing.T) {
	regular := sums(10, 500, 1)
	records := []plan.Record{{At: at.Add(-time.Hour), Next: sums(7, 7, 7)}, {At: at, Next: sums(200, 4_000, 3), Regular: &regular}}
	before, first, second := ran("0", -2, 1, 1), ran("1", 1, 49, 150), ran("2", 60, 1, 12)
	runs := []runlog.Run{second, first, before}
	tests := []struct {
		name    string
		run     runlog.Run
		regular bool
		lines   []plan.Line // nil: nothing was planned
	}{
		{"before any plan", before, false, nil},
		{"the first after it, without the stream that did not run", first, false, []plan.Line{
			{Name: "API calls", Unit: "calls", Planned: 200, Used: 150},
			{Name: "export jobs", Unit: "jobs", Planned: 2, Used: -1},
			{Name: "rows", Unit: "rows", Planned: 100, Used: 90},
			{Name: "read", Unit: "bytes", Planned: 4_000, Used: 5_000},
			{Name: "days", Unit: "days", Planned: 3, Used: 3},
		}},
		{"the next one", second, true, []plan.Line{
			{Name: "API calls", Unit: "calls", Planned: 10, Used: 12},
			{Name: "export jobs", Unit: "jobs", Planned: 2, Used: -1},
			{Name: "rows", Unit: "rows", Planned: 100, Used: 90},
			{Name: "read", Unit: "bytes", Planned: 500, Used: 5_000},
			{Name: "days", Unit: "days", Planned: 1, Used: 1},
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := plan.Compare(records, runs, &tt.run)
			if tt.lines == nil {
				if c != nil {
					t.Errorf("got %+v, want nothing", c)
				}
				return
			}
			if c == nil {
				t.Fatal("got nothing")
			}
			if diff := cmp.Diff(&plan.Compared{At: at, Regular: tt.regular, Lines: tt.lines}, c); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	if c := plan.Compare(records[:1], runs, &second); c != nil {
		t.Errorf("a plan without a regular sync: got %+v, want nothing for a later run", c)
	}
	waiting := first
	waiting.Status = runlog.Waiting
	if c := plan.Compare(records, runs, &waiting); c == nil || !c.Partial {
		t.Errorf("a run under way: got %+v, want a partial one", c)
	}
}

// TestCompareAfterManyRuns is about a plan whose first run is no longer known.
func TestCompareAfterManyRuns(t *testing.T) {
	regular := sums(10, 500, 1)
	records := []plan.Record{{At: at, Next: sums(200, 4_000, 3), Regular: &regular}}
	var runs []runlog.Run
	for i := range runlog.Keep {
		runs = append(runs, ran(fmt.Sprint(i), 100+i, 1, 10))
	}
	if c := plan.Compare(records, runs, &runs[0]); c == nil || !c.Regular {
		t.Errorf("the oldest run that is known: got %+v, want a regular one", c)
	}
}

func TestSaveKeepsTheNewest(t *testing.T) {
	store := state.NewMemory()
	for i := range plan.Keep + 3 {
		if err := plan.Save(t.Context(), store, "s", plan.Record{At: at.Add(time.Duration(i) * time.Hour), Next: sums(int64(i), 1, 1)}); err != nil {
			t.Fatal(err)
		}
	}
	got, err := plan.Load(t.Context(), store, "s")
	if err != nil || len(got) != plan.Keep || !got[0].At.Equal(at.Add(3*time.Hour)) {
		t.Fatalf("got %d records from %v, %v, want the newest %d", len(got), got[0].At, err, plan.Keep)
	}
	if diff := cmp.Diff(sums(3, 1, 1), got[0].Next); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if other, err := plan.Load(t.Context(), store, "other"); err != nil || other != nil {
		t.Errorf("another sync: got %v, %v", other, err)
	}
}

func TestSaveSideBySide(t *testing.T) {
	store := state.NewMemory()
	var all sync.WaitGroup
	for i := range 5 {
		all.Go(func() {
			if err := plan.Save(t.Context(), store, "s", plan.Record{At: at.Add(time.Duration(i) * time.Hour)}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if got, err := plan.Load(t.Context(), store, "s"); err != nil || len(got) != 5 {
		t.Errorf("got %d records, %v, want 5", len(got), err)
	}
}

func TestLoadOfWhatCannotBeRead(t *testing.T) {
	store := state.NewMemory()
	if _, err := store.Put(t.Context(), "plan/s", []byte("{"), ""); err != nil {
		t.Fatal(err)
	}
	if got, err := plan.Load(t.Context(), store, "s"); err != nil || got != nil {
		t.Errorf("got %v, %v, want nothing", got, err)
	}
	if err := plan.Save(t.Context(), store, "s", plan.Record{At: at}); err != nil {
		t.Errorf("it is not replaced: %v", err)
	}
}

// A brokenStore fails.
type brokenStore struct{ state.Store }

func (brokenStore) Get(context.Context, string) (state.Document, error) {
	return state.Document{}, errBroken
}

var errBroken = errors.New("broken")

func TestSaveTellsWhatIsWrong(t *testing.T) {
	if err := plan.Save(t.Context(), brokenStore{}, "s", plan.Record{}); !errors.Is(err, errBroken) {
		t.Errorf("got %v, want %v", err, errBroken)
	}
}
