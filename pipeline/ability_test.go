package pipeline_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/destination/memory"
	"github.com/martsync/martsync/pipeline"
	"github.com/martsync/martsync/runlog"
)

// An able destination keeps backups and counts what it costs.
type able struct {
	*memory.Destination
	backups  []string
	measured int64
}

func (a *able) Backup(_ context.Context, stream, sync string) (string, error) {
	a.backups = append(a.backups, stream+" for "+sync)
	return stream + "_backup", nil
}

func (a *able) Measure(context.Context) error {
	a.measured += 7
	return nil
}

func (a *able) Usage() []martsync.Usage {
	return []martsync.Usage{{Name: "warehouse time", Unit: "seconds", Spent: a.measured, Today: -1}}
}

// A table is kept as it is before it is read again from the beginning: once, and not at other times.
func TestBackupBeforeABackfill(t *testing.T) {
	f := newFixture(t, keyedStream("s", always(batch("1", 1))))
	run := func() *able {
		t.Helper()
		d := &able{Destination: memory.New(f.storage)}
		f.next(-1, 0)
		f.sync.Destination = d
		s := f.sync
		if _, err := pipeline.Run(t.Context(), &s); err != nil {
			t.Fatal(err)
		}
		f.nextID()
		return d
	}
	for _, test := range []struct {
		name     string
		backfill bool
		want     []string
	}{
		{"the first sync has nothing to keep", true, nil},
		{"a sync as any other", false, nil},
		{"a backfill", true, []string{"s for run-3"}},
	} {
		f.sync.Backfill = test.backfill
		if diff := cmp.Diff(test.want, run().backups); diff != "" {
			t.Errorf("%s: backups (-want +got):\n%s", test.name, diff)
		}
	}
	if !slices.ContainsFunc(f.storage.Log("s"), func(e martsync.LogEntry) bool {
		return e.Operation == "backup" && e.Success && strings.Contains(e.Message, "s_backup")
	}) {
		t.Errorf("the log has no entry of the backup: %+v", f.storage.Log("s"))
	}
}

// What the destination has spent is asked for at the end, and stands in the run beside what the source has.
func TestDestinationIsMeasured(t *testing.T) {
	f := newFixture(t, plainStream("s", always(batch("1", 1))))
	f.sync.Source = &metered{Source: f.source, spent: 100}
	f.sync.Destination = &able{Destination: memory.New(f.storage)}
	s := f.sync
	if _, err := pipeline.Run(t.Context(), &s); err != nil {
		t.Fatal(err)
	}
	run, err := runlog.Load(t.Context(), f.state, "test", "run-1")
	if err != nil {
		t.Fatal(err)
	}
	want := []martsync.Usage{
		{Name: "API calls", Unit: "calls", Spent: 5, Today: -1, Limit: 50_000},
		{Name: "warehouse time", Unit: "seconds", Spent: 7, Today: -1},
	}
	if diff := cmp.Diff(want, run.Usage); diff != "" {
		t.Errorf("usage (-want +got):\n%s", diff)
	}
}
