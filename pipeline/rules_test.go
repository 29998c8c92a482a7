package pipeline_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/crash"
	"github.com/martsync/martsync/pipeline"
	"github.com/martsync/martsync/runlog"
	"github.com/martsync/martsync/state"
)

// counting is a stream of ids 1 to n, one a batch, whose cursor is the last id.
func counting(name string, n int64) *scriptedStream {
	s := plainStream(name, nil)
	s.script = func(from martsync.Cursor) (items []any) {
		for id := int64(len(from)) + 1; id <= n; id++ {
			items = append(items, batch(ones(id), id))
		}
		return items
	}
	return s
}

// ones is a cursor: as many strokes as ids were read.
func ones(n int64) martsync.Cursor {
	return martsync.Cursor(slices.Repeat([]byte{'1'}, int(n)))
}

func TestRule1ReadsFromTheRightPosition(t *testing.T) {
	t.Run("beginning, then the committed cursor", func(t *testing.T) {
		s := counting("s", 3)
		f := newFixture(t, s)
		f.mustRun()
		f.mustRun()
		f.want("s", 1, 2, 3)
		if diff := cmp.Diff([]martsync.Cursor{"", "111"}, s.froms); diff != "" {
			t.Errorf("read from (-want +got):\n%s", diff)
		}
	})
	t.Run("progress that builds on the committed cursor", func(t *testing.T) {
		s := plainStream("s", func(from martsync.Cursor) []any {
			if from == "" {
				return []any{batch("1", 1)}
			}
			return []any{batch("remembered")}
		})
		f := newFixture(t, s)
		f.mustRun()
		f.mustRun()
		f.mustRun()
		if diff := cmp.Diff([]martsync.Cursor{"", "1", "remembered"}, s.froms); diff != "" {
			t.Errorf("read from (-want +got):\n%s", diff)
		}
	})
	t.Run("progress of another position is ignored", func(t *testing.T) {
		s := plainStream("s", func(from martsync.Cursor) []any {
			if from == "" {
				return []any{batch("remembered")}
			}
			return nil
		})
		f := newFixture(t, s)
		f.mustRun()
		// Somebody without our state commits.
		other := newFixture(t, counting("s", 2))
		other.storage, other.clock = f.storage, f.clock
		other.mustRun()
		f.mustRun()
		if diff := cmp.Diff([]martsync.Cursor{"", "11"}, s.froms); diff != "" {
			t.Errorf("read from (-want +got):\n%s", diff)
		}
	})
	t.Run("the staged position, with and without state", func(t *testing.T) {
		for _, lost := range []bool{false, true} {
			stop := make(chan struct{})
			s := plainStream("s", func(from martsync.Cursor) []any {
				if from == "half" {
					return []any{window(batch("end", 2), "w", 2)}
				}
				return []any{func() { close(stop) }, unverified(batch("half", 1))}
			})
			f := newFixture(t, s)
			f.sync.Stop = stop
			if out, err := f.run(); out.Done || err != nil {
				t.Fatalf("stopped run: got done %v and error %v, want neither", out.Done, err)
			}
			f.want("s")
			f.sync.Stop = nil
			if lost {
				f.state = state.NewMemory()
			}
			f.mustRun()
			f.want("s", 1, 2)
			if diff := cmp.Diff([]martsync.Cursor{"", "half"}, s.froms); diff != "" {
				t.Errorf("read from (-want +got):\n%s", diff)
			}
			if got := f.ledger("s"); !slices.Equal(got, []string{"w"}) {
				t.Errorf("ledger: got %v, want w", got)
			}
		}
	})
	t.Run("unreadable progress is ignored", func(t *testing.T) {
		s := counting("s", 2)
		f := newFixture(t, s)
		if _, err := f.state.Put(t.Context(), "progress/test/s", []byte("{"), ""); err != nil {
			t.Fatal(err)
		}
		f.mustRun()
		f.want("s", 1, 2)
	})
}

func TestRule2CommitsWhen(t *testing.T) {
	day := 24 * time.Hour
	tests := []struct {
		name    string
		limits  pipeline.Thresholds
		items   func(f *fixture) []any
		commits int64
		rows    []int64
	}{
		{"once at the end", pipeline.Thresholds{}, func(*fixture) []any {
			return []any{batch("1", 1), batch("2", 2), batch("3", 3)}
		}, 1, []int64{1, 2, 3}},
		{"enough rows", pipeline.Thresholds{Rows: 2}, func(*fixture) []any {
			return []any{batch("1", 1), batch("2", 2), batch("3", 3), batch("4", 4), batch("5", 5)}
		}, 3, []int64{1, 2, 3, 4, 5}},
		{"enough bytes", pipeline.Thresholds{Bytes: 8}, func(*fixture) []any {
			return []any{batch("1", 1), batch("2", 2)}
		}, 2, []int64{1, 2}},
		{"old enough", pipeline.Thresholds{Age: day}, func(f *fixture) []any {
			later := func() { f.clock.Advance(day) }
			return []any{batch("1", 1), later, batch("2", 2), batch("3", 3), batch("4", 4)}
		}, 2, []int64{1, 2, 3, 4}},
		{"not without a cursor", pipeline.Thresholds{Rows: 1}, func(*fixture) []any {
			return []any{batch("", 1), batch("", 2), batch("3", 3)}
		}, 1, []int64{1, 2, 3}},
		{"not at an unverified cursor", pipeline.Thresholds{Rows: 1}, func(*fixture) []any {
			return []any{unverified(batch("1", 1)), unverified(batch("2", 2)), batch("3", 3)}
		}, 1, []int64{1, 2, 3}},
		{"before unverified rows", pipeline.Thresholds{}, func(*fixture) []any {
			return []any{batch("1", 1), unverified(batch("2", 2)), batch("3", 3)}
		}, 2, []int64{1, 2, 3}},
		{"asked to remember", pipeline.Thresholds{}, func(*fixture) []any {
			return []any{batch("1", 1), batch("2"), batch("3", 3)}
		}, 2, []int64{1, 3}},
		{"not when nothing came", pipeline.Thresholds{}, func(*fixture) []any {
			return []any{batch("1"), batch("2")}
		}, 0, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := plainStream("s", nil)
			f := newFixture(t, s)
			s.script = func(martsync.Cursor) []any { return tt.items(f) }
			f.sync.Limits = tt.limits
			f.mustRun()
			f.want("s", tt.rows...)
			if got := f.storage.Commits("s"); got != tt.commits {
				t.Errorf("commits: got %d, want %d", got, tt.commits)
			}
		})
	}
}

func TestRule2CommitsBeforeAWait(t *testing.T) {
	for _, kind := range []martsync.Kind{martsync.Pending, martsync.Quota, martsync.Transient, martsync.Data} {
		t.Run(kind.String(), func(t *testing.T) {
			s := plainStream("s", always(batch("1", 1), batch("2", 2), failure(kind, time.Hour)))
			f := newFixture(t, s)
			out, _ := f.advance()
			f.want("s", 1, 2)
			if kind.Waits() && (out.Done || !out.WakeAt.After(f.clock.Now())) {
				t.Errorf("outcome: got %+v, want a wait", out)
			}
		})
	}
	t.Run("staged where it is not verified", func(t *testing.T) {
		s := plainStream("s", func(from martsync.Cursor) []any {
			if from == "half" {
				return []any{batch("end", 2)}
			}
			return []any{unverified(batch("half", 1)), failure(martsync.Pending, time.Hour)}
		})
		f := newFixture(t, s)
		out, err := f.advance()
		if err != nil || f.calls("destination: stage") != 1 {
			t.Fatalf("got error %v and %d stages, want one stage", err, f.calls("destination: stage"))
		}
		f.want("s")
		if want := f.clock.Now().Add(time.Hour); !out.WakeAt.Equal(want) {
			t.Errorf("wake: got %v, want %v", out.WakeAt, want)
		}
		f.clock.Advance(time.Hour)
		if out, err = f.advance(); err != nil || !out.Done {
			t.Fatalf("second advance: got %+v, %v", out, err)
		}
		f.want("s", 1, 2)
	})
}

func TestRule3AnIdleSyncWritesNothing(t *testing.T) {
	keyed := keyedStream("keyed", func(from martsync.Cursor) []any {
		if from == "" {
			return []any{window(batch("1", 1), "first", 1)}
		}
		return []any{window(batch("1"), "empty", 0)}
	})
	snap := snapshotStream("snap", always(window(batch("whole", 7), "all", 1)))
	quiet := plainStream("quiet", func(from martsync.Cursor) []any {
		if from == "" {
			return []any{batch("1", 1)}
		}
		return nil
	})
	f := newFixture(t, keyed, snap, quiet)
	f.mustRun()
	for range 3 {
		f.mustRun()
		if n := f.calls("destination: commit", "destination: stage"); n != 0 {
			t.Errorf("commits and stages of an idle sync: got %d, want 0", n)
		}
	}
	for _, stream := range []string{"keyed", "snap", "quiet"} {
		if got := f.storage.Commits(stream); got != 1 {
			t.Errorf("commits of %s: got %d, want 1", stream, got)
		}
	}
	if n := f.calls("state: put progress/test/quiet", "state: put progress/test/snap"); n != 0 {
		t.Errorf("progress written although nothing was found: got %d writes, want 0", n)
	}
}

func TestRule3HeldWindowsGoWithTheNextCommit(t *testing.T) {
	filter, ids := "empty 1", []int64(nil)
	cursor := martsync.Cursor("1")
	s := keyedStream("s", nil)
	s.script = func(martsync.Cursor) []any {
		return []any{window(batch(cursor, ids...), filter, int64(len(ids)))}
	}
	f := newFixture(t, s)
	f.mustRun()
	filter, cursor = "empty 2", "2"
	f.mustRun()
	if got := f.ledger("s"); got != nil {
		t.Errorf("ledger before a commit: got %v, want none", got)
	}
	filter, ids, cursor = "full", []int64{1}, "3"
	f.mustRun()
	f.mustRun() // the same row once more, and nothing held
	if diff := cmp.Diff([]string{"empty 1", "empty 2", "full", "full"}, f.ledger("s")); diff != "" {
		t.Errorf("ledger (-want +got):\n%s", diff)
	}
}

func TestRule3ManyHeldWindowsAreCommitted(t *testing.T) {
	s := keyedStream("s", func(martsync.Cursor) (items []any) {
		for i := range int64(1200) {
			items = append(items, window(batch(ones(i+1)), "empty", 0))
		}
		return items
	})
	f := newFixture(t, s)
	f.mustRun()
	if commits, n := f.storage.Commits("s"), len(f.ledger("s")); commits != 2 || n < 1000 || n > 1200 {
		t.Errorf("got %d commits of %d windows, want 2 of about 1,000", commits, n)
	}
}

func TestRule4AfterAnErrorOfCommitTheDestinationDecides(t *testing.T) {
	for _, mode := range []crash.Mode{crash.Refuse, crash.Hush} {
		t.Run(mode.String(), func(t *testing.T) {
			s := counting("s", 4)
			f := newFixture(t, s)
			f.sync.Limits.Rows = 2
			f.mustRun() // to find the number of the call
			at := slices.Index(f.process.Calls(), "destination: commit s")
			s.froms = nil
			f2 := newFixture(t, s)
			f2.sync.Limits.Rows = 2
			f2.next(at, mode)
			run := f2.sync
			out, err := pipeline.Run(t.Context(), &run)
			if err != nil || !out.Done {
				t.Fatalf("run: got done %v and error %v", out.Done, err)
			}
			f2.want("s", 1, 2, 3, 4)
			want := []martsync.Cursor{"", ""}
			if mode == crash.Hush {
				want = []martsync.Cursor{"", "11"}
			}
			if diff := cmp.Diff(want, s.froms); diff != "" {
				t.Errorf("read from (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRule5AConflictStopsTheStreamOnly(t *testing.T) {
	other := newFixture(t, counting("a", 1))
	a := counting("a", 3)
	script := a.script
	f := newFixture(t, a, counting("b", 2))
	other.storage, other.clock = f.storage, f.clock
	a.script = func(from martsync.Cursor) []any {
		return append([]any{func() { other.mustRun() }}, script(from)...)
	}
	out, err := f.run()
	f.wantKind(err, martsync.Conflict)
	f.want("a", 1)
	f.want("b", 1, 2)
	if a, b := phaseOf(out, "a"), phaseOf(out, "b"); a != runlog.PhaseFailed || b != runlog.PhaseDone {
		t.Errorf("phases: got %s and %s, want failed and done", a, b)
	}
	a.script = script
	f.mustRun()
	f.want("a", 1, 2, 3)
}
