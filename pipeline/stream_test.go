package pipeline_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/crash"
	"github.com/martsync/martsync/internal/rows"
	"github.com/martsync/martsync/pipeline"
	"github.com/martsync/martsync/state"
)

func TestWindowsMustAddUp(t *testing.T) {
	bad := []martsync.Quarantined{{Line: 1, Reason: "bad"}}
	tests := []struct {
		name        string
		window      martsync.Window
		quarantined []martsync.Quarantined
		ok          bool
	}{
		{"as told", martsync.Window{Records: 2, Parsed: 2}, nil, true},
		{"nothing told", martsync.Window{Records: -1, Parsed: 2}, nil, true},
		{"with a bad row", martsync.Window{Records: 3, Parsed: 3, Quarantined: 1}, bad, true},
		{"a row too few", martsync.Window{Records: -1, Parsed: 3}, nil, false},
		{"a row too many", martsync.Window{Records: -1, Parsed: 1}, nil, false},
		{"the vendor promised more", martsync.Window{Records: 3, Parsed: 2}, nil, false},
		{"a bad row that was not handed over", martsync.Window{Records: -1, Parsed: 3, Quarantined: 1}, nil, false},
		{"a bad row that was not counted", martsync.Window{Records: -1, Parsed: 2}, bad, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			last := batch("2", 2)
			last.Window, last.Quarantined = &tt.window, tt.quarantined
			f := newFixture(t, plainStream("s", always(batch("1", 1), last)))
			_, err := f.run()
			if tt.ok {
				if err != nil {
					t.Fatal(err)
				}
				f.want("s", 1, 2)
				return
			}
			f.wantKind(err, martsync.Internal)
			if got := f.ledger("s"); got != nil {
				t.Errorf("ledger: got %v, want nothing", got)
			}
		})
	}
}

func TestAWindowSpansCommitsStagesAndProcesses(t *testing.T) {
	for _, lost := range []bool{false, true} {
		verified := true
		f := newFixture(t, plainStream("s", func(from martsync.Cursor) []any {
			if len(from) == 6 {
				return []any{window(batch("1111111", 7), "w", 7)}
			}
			b := batch(from+"1", int64(len(from))+1)
			b.Unverified = !verified
			return []any{b, failure(martsync.Pending, time.Minute)}
		}))
		for i := range 6 {
			verified = i < 3 // three commits, then three stages
			if _, err := f.advance(); err != nil {
				t.Fatal(err)
			}
			f.clock.Advance(time.Minute)
			if lost {
				f.state = state.NewMemory()
			}
		}
		if _, err := f.advance(); err != nil {
			t.Fatalf("state lost %v: %v", lost, err)
		}
		f.want("s", 1, 2, 3, 4, 5, 6, 7)
		if diff := cmp.Diff([]string{"w"}, f.ledger("s")); diff != "" {
			t.Errorf("ledger (-want +got):\n%s", diff)
		}
	}
}

func TestQuarantine(t *testing.T) {
	q := func(line int64) martsync.Quarantined {
		return martsync.Quarantined{Job: "j", Line: line, Reason: "bad", Raw: "raw"}
	}
	only := batch("3")
	only.Quarantined = []martsync.Quarantined{q(2), q(3)}
	first := batch("1", 1)
	first.Quarantined = []martsync.Quarantined{q(1)}
	f := newFixture(t, plainStream("s", func(from martsync.Cursor) []any {
		if from != "" {
			return nil
		}
		return []any{first, only}
	}))
	out := f.mustRun()
	f.mustRun()
	if diff := cmp.Diff([]martsync.Quarantined{q(1), q(2), q(3)}, f.storage.Quarantined("s")); diff != "" {
		t.Errorf("quarantine (-want +got):\n%s", diff)
	}
	if got := out.Stats.Streams[0].Quarantined; got != 3 {
		t.Errorf("quarantined rows in the stats: got %d, want 3", got)
	}
}

// flood is a batch of bad rows, each as large as they can be.
func flood(cursor martsync.Cursor) martsync.Batch {
	raw := strings.Repeat("x", martsync.MaxQuarantineRaw)
	b := batch(cursor)
	for i := range int64(200) {
		b.Quarantined = append(b.Quarantined, martsync.Quarantined{Line: i, Reason: "bad", Raw: raw})
	}
	return b
}

func TestAFloodOfBadRows(t *testing.T) {
	t.Run("without cursors stops the stream", func(t *testing.T) {
		f := newFixture(t, plainStream("s", always(flood(""), flood(""), flood(""), flood(""), flood(""), flood(""))))
		_, err := f.run()
		f.wantKind(err, martsync.Data)
	})
	t.Run("is staged where it is not verified", func(t *testing.T) {
		f := newFixture(t, plainStream("s", always(unverified(flood("1")), unverified(flood("2")), flood("3"))))
		out := f.mustRun()
		if n := f.calls("destination: stage"); n != 2 {
			t.Errorf("stages: got %d, want 2", n)
		}
		if n := len(f.storage.Quarantined("s")); n != 600 {
			t.Errorf("quarantine: got %d rows, want 600", n)
		}
		if n := out.Stats.Streams[0].Quarantined; n != 600 {
			t.Errorf("quarantined rows in the stats: got %d, want 600, the staged ones too", n)
		}
	})
}

func TestDiscard(t *testing.T) {
	discard := func(cursor martsync.Cursor) martsync.Batch {
		return martsync.Batch{Discard: true, Cursor: cursor, Notes: []martsync.Note{{Operation: "download", Message: "wrong checksum"}}}
	}
	t.Run("unverified rows, staged or not", func(t *testing.T) {
		for _, staged := range []int64{1, 1 << 40} {
			f := newFixture(t, plainStream("s", always(
				window(batch("1", 1), "first", 1),
				unverified(batch("2", 90)), unverified(batch("3", 91)), discard("1b"),
				unverified(batch("2", 2)), window(batch("3", 3), "second", 2))))
			f.sync.Limits.Staged = staged
			f.mustRun()
			f.want("s", 1, 2, 3)
			if diff := cmp.Diff([]string{"first", "second"}, f.ledger("s")); diff != "" {
				t.Errorf("ledger (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff([]string{"download false wrong checksum"}, f.log("s")); diff != "" {
				t.Errorf("log (-want +got):\n%s", diff)
			}
		}
	})
	t.Run("its cursor is remembered", func(t *testing.T) {
		s := plainStream("s", func(from martsync.Cursor) []any {
			switch from {
			case "":
				return []any{unverified(batch("1", 90)), discard("again"), failure(martsync.Pending, time.Minute)}
			default:
				return []any{batch("2", 1)}
			}
		})
		f := newFixture(t, s)
		f.mustRun()
		f.want("s", 1)
		if diff := cmp.Diff([]martsync.Cursor{"", "again"}, s.froms); diff != "" {
			t.Errorf("read from (-want +got):\n%s", diff)
		}
	})
	t.Run("verified rows that wait are not lost", func(t *testing.T) {
		s := plainStream("s", func(from martsync.Cursor) []any {
			switch from {
			case "": // rows without a cursor come after verified ones that no commit has taken
				return []any{batch("1", 1), batch("", 90), discard("1b"), batch("2", 2)}
			case "1":
				return []any{batch("", 90), discard("1b"), batch("2", 2)}
			default:
				return []any{batch("2", 2)}
			}
		})
		f := newFixture(t, s)
		f.mustRun()
		f.want("s", 1, 2)
	})
	t.Run("held windows stay", func(t *testing.T) {
		f := newFixture(t, plainStream("s", always(
			window(batch("1"), "empty", 0), unverified(batch("2", 90)), discard("1b"), window(batch("3", 3), "full", 1))))
		f.mustRun()
		if diff := cmp.Diff([]string{"empty", "full"}, f.ledger("s")); diff != "" {
			t.Errorf("ledger (-want +got):\n%s", diff)
		}
	})
}

func TestSnapshots(t *testing.T) {
	ids := []int64{1, 2}
	snap := snapshotStream("s", func(martsync.Cursor) []any {
		half := len(ids) / 2
		return []any{batch("", ids[:half]...), window(batch("whole", ids[half:]...), "all", int64(len(ids)))}
	})
	f := newFixture(t, snap)
	f.sync.Limits.Rows = 1
	f.mustRun()
	f.want("s", 1, 2)
	out := f.mustRun()
	if got := f.storage.Commits("s"); got != 1 || !out.Stats.Streams[0].Unchanged {
		t.Errorf("unchanged: got %d commits, want 1, and a mark in the stats", got)
	}
	f.state = state.NewMemory()
	f.mustRun()
	if got := f.storage.Commits("s"); got != 1 {
		t.Errorf("unchanged after the state was lost: got %d commits, want 1", got)
	}
	ids = []int64{2, 3}
	f.mustRun()
	f.want("s", 2, 3)
	ids = nil
	f.mustRun()
	f.want("s")
	ids = []int64{2, 3}
	f.mustRun()
	f.want("s", 2, 3)

	t.Run("a broken reading changes nothing", func(t *testing.T) {
		snap.script = always(batch("", 9), failure(martsync.Data, 0))
		_, err := f.run()
		f.wantKind(err, martsync.Data)
		f.want("s", 2, 3)
	})
	t.Run("a question to remember is not an empty table", func(t *testing.T) {
		snap.script = always(batch("intention"))
		f.mustRun()
		f.want("s", 2, 3)
		snap.script = always()
		f.mustRun()
		f.want("s", 2, 3)
	})
	t.Run("a stop waits for its end", func(t *testing.T) {
		stop := make(chan struct{})
		close(stop)
		snap.script = always(batch("", 4), batch("whole", 5))
		f.sync.Stop = nil
		f.sync.Deadline = f.clock.Now().Add(time.Second)
		snap.script = always(batch("", 4), func() { f.clock.Advance(time.Hour) }, batch("whole", 5))
		f.mustRun()
		f.want("s", 4, 5)
	})
	t.Run("in several processes", func(t *testing.T) {
		f.sync.Deadline = time.Time{}
		snap.script = func(from martsync.Cursor) []any {
			if from == "half" {
				return []any{batch("whole", 7)}
			}
			return []any{unverified(batch("half", 6)), failure(martsync.Pending, time.Minute)}
		}
		f.mustRun()
		f.want("s", 6, 7)
	})
}

func TestCompleteScopes(t *testing.T) {
	whole := func(b martsync.Batch) martsync.Batch {
		b.Complete = &martsync.Scope{}
		return b
	}
	tests := []struct {
		name  string
		first []any
		then  []any
		want  []int64
	}{
		{"in one batch after other rows", []any{batch("1", 1, 2)}, []any{batch("2", 2), whole(batch("3", 1))}, []int64{1}},
		{"in several batches after other rows", []any{batch("1", 1, 2)}, []any{batch("2", 2), batch("", 1), whole(batch("3", 3))}, []int64{1, 3}},
		{"twice", []any{batch("1", 1, 2)}, []any{whole(batch("2", 1, 2)), whole(batch("3", 1))}, []int64{1}},
		{"twice in several batches", []any{batch("1", 1, 2)}, []any{whole(batch("2", 1, 2)), batch("", 1), whole(batch("3", 3))}, []int64{1, 3}},
		{"empty", []any{batch("1", 1, 2)}, []any{whole(batch("2"))}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := keyedStream("s", always(tt.first...))
			f := newFixture(t, s)
			f.mustRun()
			s.script = func(from martsync.Cursor) []any { // resumes at cursors 1, 2 and 3
				for i, item := range tt.then {
					if b, ok := item.(martsync.Batch); ok && b.Cursor == from {
						return tt.then[i+1:]
					}
				}
				return tt.then
			}
			f.mustRun()
			f.want("s", tt.want...)
		})
	}
	t.Run("of one column share commits", func(t *testing.T) {
		s := keyedStream("s", nil)
		s.script = func(martsync.Cursor) (items []any) {
			for id := range int64(20) {
				b := batch(ones(id+1), id)
				b.Complete = &martsync.Scope{Column: "id", Value: fmt.Sprint(id)}
				items = append(items, b)
			}
			return items
		}
		f := newFixture(t, s)
		f.mustRun()
		if got := f.storage.Commits("s"); got != 1 {
			t.Errorf("commits: got %d, want 1", got)
		}
	})
}

// TestCompleteRanges: ranges of versions that have nothing in common share a commit with each other, and with nothing else.
func TestCompleteRanges(t *testing.T) {
	at := func(seconds int64) rows.Micros { return rows.Micros(seconds * 1e6) }
	versioned := func(cursor martsync.Cursor, cells ...[2]int64) martsync.Batch {
		b := rows.NewBuilder(versionedStream("s", nil).schema.Columns)
		for _, c := range cells {
			b.Append(c[0], at(c[1]))
		}
		return martsync.Batch{Cursor: cursor, Records: b.Records()}
	}
	ranged := func(b martsync.Batch, from, to int64) martsync.Batch {
		b.Complete = &martsync.Scope{Column: "at", From: time.Unix(from, 0), To: time.Unix(to, 0)}
		return b
	}
	tests := []struct {
		name    string
		items   []any
		commits int64
		want    []int64
	}{
		{"one after the other", []any{
			ranged(versioned("2", [2]int64{1, 11}), 10, 20), ranged(versioned("3", [2]int64{3, 21}), 20, 30),
		}, 1, []int64{1, 3, 5}},
		{"one twice", []any{
			ranged(versioned("2", [2]int64{1, 11}, [2]int64{2, 12}), 10, 20), ranged(versioned("3", [2]int64{1, 11}), 10, 15),
		}, 2, []int64{1, 3, 4, 5}},
		{"after changes that are not committed yet", []any{
			versioned("2", [2]int64{2, 31}), ranged(versioned("3", [2]int64{1, 11}), 10, 20),
		}, 2, []int64{1, 2, 3, 4, 5}},
		{"of which nothing is left", []any{ranged(versioned("2"), 20, 30)}, 1, []int64{1, 2, 5}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			first := versioned("1", [2]int64{1, 11}, [2]int64{2, 12}, [2]int64{3, 21}, [2]int64{4, 22}, [2]int64{5, 31})
			s := versionedStream("s", always(first))
			f := newFixture(t, s)
			f.mustRun()
			before := f.storage.Commits("s")
			s.script = always(tt.items...)
			f.mustRun()
			f.want("s", tt.want...)
			if got := f.storage.Commits("s") - before; got != tt.commits {
				t.Errorf("commits: got %d, want %d", got, tt.commits)
			}
		})
	}
	for name, scope := range map[string]martsync.Scope{
		"a range of no column":    {To: time.Unix(1, 0)},
		"a range of a key":        {Column: "id", From: time.Unix(0, 0), To: time.Unix(1, 0)},
		"a range with a value":    {Column: "at", Value: "1", From: time.Unix(0, 0), To: time.Unix(1, 0)},
		"a range that is nothing": {Column: "at", From: time.Unix(1, 0), To: time.Unix(1, 0)},
	} {
		t.Run(name, func(t *testing.T) {
			b := versioned("1")
			b.Complete = &scope
			f := newFixture(t, versionedStream("s", always(b)))
			_, err := f.run()
			f.wantKind(err, martsync.Internal)
		})
	}
}

func TestSourcesThatBreakTheProtocol(t *testing.T) {
	wide := batch("1", 1)
	wide.Records.Columns = append(wide.Records.Columns, wide.Records.Columns[0])
	long := batch("1", make([]int64, martsync.MaxRows+1)...)
	discards := batch("1", 1)
	discards.Discard = true
	scope := func(b martsync.Batch, column string) martsync.Batch {
		b.Complete = &martsync.Scope{Column: column, Value: "1"}
		return b
	}
	tests := map[string][]any{
		"a column too many":            {wide},
		"too many rows":                {long},
		"rows in a discard":            {discards},
		"a discard without a cursor":   {martsync.Batch{Discard: true}},
		"a scope without a cursor":     {scope(batch("", 1), "id")},
		"a scope that is not verified": {scope(unverified(batch("1", 1)), "id")},
		"a scope of no column":         {scope(batch("1", 1), "nothing")},
		"an unverified window":         {unverified(window(batch("1", 1), "w", 1))},
		"rows without a cursor at end": {batch("1", 1), batch("", 2)},
		"an unverified end":            {unverified(batch("1", 1))},
		"a window without a cursor":    {window(batch(""), "w", 0)},
	}
	for name, items := range tests {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, keyedStream("s", always(items...)))
			_, err := f.run()
			f.wantKind(err, martsync.Internal)
		})
	}
	t.Run("a schema that is none", func(t *testing.T) {
		s := counting("s", 1)
		s.schema.Key = []string{"nothing"}
		_, err := newFixture(t, s).run()
		newFixture(t).wantKind(err, martsync.Internal)
	})
	t.Run("two streams of one name", func(t *testing.T) {
		_, err := newFixture(t, counting("s", 1), counting("s", 1)).run()
		newFixture(t).wantKind(err, martsync.Internal)
	})
}

func TestBackfill(t *testing.T) {
	t.Run("reads again from the beginning, once a run", func(t *testing.T) {
		pendings := 1
		s := keyedStream("s", func(from martsync.Cursor) (items []any) {
			for id := int64(len(from)) + 1; id <= 6; id++ {
				items = append(items, batch(ones(id), id))
				if id == 3 && pendings > 0 {
					pendings--
					return append(items, failure(martsync.Pending, time.Minute))
				}
			}
			return items
		})
		f := newFixture(t, s)
		f.mustRun()
		s.froms, pendings = nil, 1
		f.sync.Backfill = true
		f.mustRun()
		f.want("s", 1, 2, 3, 4, 5, 6)
		if diff := cmp.Diff([]martsync.Cursor{"", "111"}, s.froms); diff != "" {
			t.Errorf("read from (-want +got):\n%s", diff)
		}
		s.froms = nil
		f.sync.Backfill = false
		f.mustRun()
		if diff := cmp.Diff([]martsync.Cursor{"111111"}, s.froms); diff != "" {
			t.Errorf("afterwards read from (-want +got):\n%s", diff)
		}
	})
	t.Run("is continued by a later run", func(t *testing.T) {
		s := keyedStream("s", nil)
		f := newFixture(t, s)
		s.script = always(batch("end", 1))
		f.mustRun()
		// It is interrupted before its first commit, while a job is prepared.
		s.script = func(from martsync.Cursor) []any {
			if from == "" {
				return []any{batch("job"), failure(martsync.Data, 0)}
			}
			return []any{batch("end", 2)}
		}
		f.sync.Backfill = true
		_, err := f.run()
		f.wantKind(err, martsync.Data)
		s.froms = nil
		f.sync.Backfill = false
		f.mustRun()
		if diff := cmp.Diff([]martsync.Cursor{"job"}, s.froms); diff != "" {
			t.Errorf("read from (-want +got):\n%s", diff)
		}
		f.want("s", 1, 2)
	})
	t.Run("forgets held windows, which it reads again", func(t *testing.T) {
		s := keyedStream("s", always(window(batch("1"), "w", 0)))
		f := newFixture(t, s)
		f.mustRun()
		s.script = always(window(batch("1"), "w", 0), batch("2", 1))
		f.sync.Backfill = true
		f.mustRun()
		if diff := cmp.Diff([]string{"w"}, f.ledger("s")); diff != "" {
			t.Errorf("ledger (-want +got):\n%s", diff)
		}
	})
	t.Run("drops what was staged", func(t *testing.T) {
		s := keyedStream("s", always(unverified(batch("half", 9)), failure(martsync.Data, 0)))
		f := newFixture(t, s)
		_, err := f.run()
		f.wantKind(err, martsync.Data)
		s.froms = nil
		s.script = always(batch("end", 1))
		f.sync.Backfill = true
		f.mustRun()
		f.want("s", 1)
		if diff := cmp.Diff([]martsync.Cursor{""}, s.froms); diff != "" {
			t.Errorf("read from (-want +got):\n%s", diff)
		}
	})
	t.Run("ends at the cursor where it began", func(t *testing.T) {
		s := keyedStream("s", func(from martsync.Cursor) []any {
			if from == "" {
				return []any{batch("end", 1)}
			}
			return nil
		})
		f := newFixture(t, s)
		f.mustRun()
		f.sync.Backfill = true
		f.mustRun()
		f.sync.Backfill = false
		f.mustRun()
		if diff := cmp.Diff([]martsync.Cursor{"", "", "end"}, s.froms); diff != "" {
			t.Errorf("read from (-want +got):\n%s", diff)
		}
	})
	t.Run("does not double rows without a key", func(t *testing.T) {
		s := counting("s", 3)
		f := newFixture(t, s)
		f.mustRun()
		f.sync.Backfill = true
		f.mustRun()
		f.want("s", 1, 2, 3)
	})
}

func TestSchemaChangesAreLogged(t *testing.T) {
	s := keyedStream("s", always(batch("1", 1)))
	f := newFixture(t, s)
	f.mustRun()
	old := s.schema.Columns
	s.schema.Columns = []martsync.Column{{Name: "id", Type: martsync.Int64}, {Name: "extra", Type: martsync.Int64}}
	two := func(cursor martsync.Cursor, id int64) martsync.Batch {
		b := batch(cursor, id)
		b.Records.Columns = append(b.Records.Columns, batch("", id).Records.Columns[0])
		return b
	}
	s.script = always(two("2", 2))
	f.mustRun()
	s.schema.Columns = old
	s.script = always(batch("3"))
	f.mustRun()
	f.mustRun()
	s.script = always(batch("4", 4))
	f.mustRun()
	f.mustRun()
	want := []string{"schema true column extra added as int64", "schema true column extra is no longer at the source; the table keeps it"}
	if diff := cmp.Diff(want, f.log("s")); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
}

func TestNotesAreLogged(t *testing.T) {
	b := batch("1")
	b.Notes = []martsync.Note{{Operation: "skip", Message: "noted"}}
	s := keyedStream("s", always(b))
	f := newFixture(t, s)
	f.mustRun()
	s.script = always(batch("2", 1))
	f.mustRun()
	if diff := cmp.Diff([]string{"skip true noted"}, f.log("s")); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
}

func TestFailuresGoWithTheNextCommit(t *testing.T) {
	s := keyedStream("s", always(failure(martsync.Data, 0)))
	f := newFixture(t, s)
	for range 2 {
		_, err := f.run()
		f.wantKind(err, martsync.Data)
	}
	s.script = always(batch("1", 1))
	f.mustRun()
	s.script = always(batch("2", 2))
	f.mustRun()
	if diff := cmp.Diff([]string{"sync false test", "sync false test"}, f.log("s")); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
}

func TestHeldWindowsAreCommittedOnceThoughTheCursorStays(t *testing.T) {
	ids, filter := []int64{1}, "first"
	s := keyedStream("s", nil)
	s.script = func(martsync.Cursor) []any {
		return []any{window(batch("same", ids...), filter, int64(len(ids)))}
	}
	f := newFixture(t, s)
	f.mustRun()
	ids, filter = nil, "empty"
	f.mustRun()
	// The next process dies right after its commit.
	ids, filter = []int64{2}, "second"
	f.mustRunTo("destination: commit s")
	ids, filter = []int64{3}, "third"
	f.mustRun()
	if diff := cmp.Diff([]string{"first", "empty", "second", "third"}, f.ledger("s")); diff != "" {
		t.Errorf("ledger (-want +got):\n%s", diff)
	}
}

// Nor do they enter it a second time when two processes in a row die right after their commits.
func TestHeldWindowsAreCommittedOnceThoughTwoProcessesDie(t *testing.T) {
	ids, filter := []int64{1}, "first"
	s := keyedStream("s", nil)
	s.script = func(martsync.Cursor) []any {
		return []any{window(batch("same", ids...), filter, int64(len(ids)))}
	}
	f := newFixture(t, s)
	f.mustRun()
	ids, filter = nil, "empty"
	f.mustRun()
	for id, name := range []string{"second", "third"} {
		ids, filter = []int64{int64(id) + 2}, name
		f.mustRunTo("destination: commit s")
	}
	ids, filter = []int64{4}, "fourth"
	f.mustRun()
	if diff := cmp.Diff([]string{"first", "empty", "second", "third", "fourth"}, f.ledger("s")); diff != "" {
		t.Errorf("ledger (-want +got):\n%s", diff)
	}
}

// Wherever the process dies that commits them, windows that were held enter the ledger once.
func TestHeldWindowsOutliveAnyDeathThoughTheCursorStays(t *testing.T) {
	for _, mode := range []crash.Mode{crash.KillBefore, crash.KillAfter} {
		for at := 0; ; at++ {
			var ids []int64
			filter := "first"
			s := keyedStream("s", nil)
			s.script = func(martsync.Cursor) []any {
				if filter == "empty" {
					return []any{window(batch("job"), filter, 0)}
				}
				return []any{window(batch("same", ids...), filter, int64(len(ids)))}
			}
			ids = []int64{1}
			f := newFixture(t, s)
			f.mustRun()
			filter = "empty"
			f.mustRun() // holds a window, and a position that the table does not know
			ids, filter = []int64{2}, "second"
			f.next(at, mode)
			dying := f.sync
			_, err := pipeline.Run(f.Context(), &dying)
			if !f.process.Dead() {
				if err != nil {
					t.Fatal(err)
				}
				break
			}
			f.nextID()
			f.clock.Advance(time.Hour)
			ids, filter = []int64{3}, "third"
			f.mustRun()
			ids, filter = []int64{4}, "fourth"
			f.mustRun()
			n := 0
			for _, w := range f.ledger("s") {
				if w == "empty" {
					n++
				}
			}
			if n != 1 {
				t.Errorf("%v at call %d: the held window is in the ledger %d times, want once: %v", mode, at, n, f.ledger("s"))
			}
		}
	}
}

func TestADiscardForgetsTheWindowsAndBadRowsOfItsUnit(t *testing.T) {
	wrong := window(batch("", 90), "wrong", 2)
	wrong.Quarantined = []martsync.Quarantined{{Line: 1, Reason: "wrong"}}
	wrong.Window.Quarantined = 1
	f := newFixture(t, plainStream("s", always(
		wrong, unverified(batch("1", 91)), martsync.Batch{Discard: true, Cursor: "again"}, window(batch("2", 1), "right", 1))))
	f.mustRun()
	if diff := cmp.Diff([]string{"right"}, f.ledger("s")); diff != "" {
		t.Errorf("ledger (-want +got):\n%s", diff)
	}
	if got := f.storage.Quarantined("s"); len(got) != 0 {
		t.Errorf("quarantine: got %v, want nothing", got)
	}
}
