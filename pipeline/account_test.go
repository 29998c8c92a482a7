package pipeline_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/destination/memory"
	"github.com/martsync/martsync/internal/position"
	"github.com/martsync/martsync/pipeline"
	"github.com/martsync/martsync/state"
)

// runAs runs with a source of this account. Told says whether the destination can tell its positions by itself.
func (f *fixture) runAs(account string, told bool, change func(*pipeline.Sync)) error {
	f.Helper()
	f.source.account = account
	f.next(-1, 0)
	s := f.sync
	if told {
		s.Destination = memory.New(f.storage)
	}
	if change != nil {
		change(&s)
	}
	_, err := pipeline.Run(f.Context(), &s)
	f.nextID()
	return err
}

// told is the account that the position of a table tells.
func (f *fixture) told(stream string) string {
	f.Helper()
	at, err := memory.New(f.storage).Position(f.Context(), stream)
	if err != nil {
		f.Fatal(err)
	}
	_, t := position.Decode(at)
	return t.Account
}

func (f *fixture) wantRefused(err error, tables string) {
	f.Helper()
	f.wantKind(err, martsync.Config)
	if err == nil {
		return
	}
	for _, want := range []string{"sync test", tables, "vendor:live", "vendor:sandbox"} {
		if !strings.Contains(err.Error(), want) {
			f.Errorf("error %q does not name %q", err, want)
		}
	}
	if !strings.Contains(martsync.HintOf(err), "--same-account") {
		f.Errorf("hint: got %q", martsync.HintOf(err))
	}
}

func TestAnotherAccountIsRefused(t *testing.T) {
	for _, told := range []bool{true, false} {
		name := map[bool]string{true: "before tables are opened", false: "when a table is opened"}[told]
		for _, backfill := range []bool{false, true} {
			t.Run(name+map[bool]string{true: ", backfill"}[backfill], func(t *testing.T) {
				s := counting("s", 3)
				f := newFixture(t, s)
				if err := f.runAs("vendor:sandbox", told, nil); err != nil {
					t.Fatal(err)
				}
				s.schema.Columns = append(slices.Clone(s.schema.Columns), martsync.Column{Name: "of_live", Type: martsync.Int64})
				err := f.runAs("vendor:live", told, func(s *pipeline.Sync) { s.Backfill, s.State = backfill, state.NewMemory() })
				f.wantRefused(err, "table s holds")
				if diff := cmp.Diff([]martsync.Cursor{""}, s.froms); diff != "" {
					t.Errorf("read from (-want +got):\n%s", diff)
				}
				f.want("s", 1, 2, 3)
				if got := f.told("s"); got != "vendor:sandbox" {
					t.Errorf("the table tells the account %q", got)
				}
				schema, _, err := memory.New(f.storage).ReadTable(t.Context(), "s")
				if err != nil {
					t.Fatal(err)
				}
				if told && schema.Index("of_live") >= 0 {
					t.Error("the table got a column of the other account")
				}
			})
		}
	}
	t.Run("no stream is read if one table is another's", func(t *testing.T) {
		old, young := counting("old", 1), counting("young", 1)
		f := newFixture(t, young, old)
		if err := f.runAs("vendor:sandbox", true, func(s *pipeline.Sync) { s.Streams = []string{"old"} }); err != nil {
			t.Fatal(err)
		}
		f.wantRefused(f.runAs("vendor:live", true, nil), "table old holds")
		if len(young.froms) > 0 {
			t.Errorf("the other stream was read from %q", young.froms)
		}
		// Another sync, with a state of its own, may have tables beside them.
		if err := f.runAs("vendor:live", true, func(s *pipeline.Sync) { s.Streams = []string{"young"} }); err != nil {
			t.Error(err)
		}
		f.want("young", 1)
	})
}

func TestTheSameAccountByAnotherName(t *testing.T) {
	same := func(s *pipeline.Sync) { s.SameAccount = true }
	lost := func(s *pipeline.Sync) { s.State = state.NewMemory() }
	for name, stream := range map[string]*scriptedStream{
		"nothing new": counting("s", 3),
		"a snapshot as before": snapshotStream("s", func(martsync.Cursor) []any {
			return []any{batch("", 1, 2), batch("end", 3)}
		}),
	} {
		for _, told := range []bool{true, false} {
			t.Run(name, func(t *testing.T) {
				f := newFixture(t, stream)
				if err := f.runAs("vendor:sandbox", told, nil); err != nil {
					t.Fatal(err)
				}
				if err := f.runAs("vendor:live", told, same); err != nil {
					t.Fatal(err)
				}
				if got := f.told("s"); got != "vendor:live" {
					t.Errorf("the table tells the account %q", got)
				}
				if err := f.runAs("vendor:live", told, lost); err != nil {
					t.Errorf("the next sync: %v", err)
				}
				f.want("s", 1, 2, 3)
				f.wantRefused(f.runAs("vendor:sandbox", told, lost), "table s holds")
			})
		}
	}
	t.Run("a snapshot that is not due", func(t *testing.T) {
		f := newFixture(t, snapshotStream("s", func(from martsync.Cursor) []any {
			if from != "" {
				return nil
			}
			return []any{batch("end", 1)}
		}))
		if err := f.runAs("vendor:sandbox", true, nil); err != nil {
			t.Fatal(err)
		}
		for _, told := range []bool{true, false} {
			if err := f.runAs("vendor:live", told, same); err != nil {
				t.Fatal(err)
			}
			if err := f.runAs("vendor:live", told, nil); err != nil {
				t.Errorf("the next sync, positions told %v: %v", told, err)
			}
		}
		f.want("s", 1)
	})
}

// TestPositionsWithoutAnAccount are those that older versions wrote.
func TestPositionsWithoutAnAccount(t *testing.T) {
	n := int64(2)
	s := plainStream("s", nil)
	s.script = func(from martsync.Cursor) (items []any) { return counting("", n).script(from) }
	f := newFixture(t, s)
	d := memory.New(f.storage)
	w, err := d.Open(t.Context(), s.schema)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write(t.Context(), batch("", 1, 2).Records); err != nil {
		t.Fatal(err)
	}
	if err := w.Commit(t.Context(), martsync.Commit{Sync: "old", At: f.clock.Now(), Next: "11"}); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := f.runAs("vendor:live", true, nil); err != nil {
			t.Fatal(err)
		}
	}
	n = 3
	if err := f.runAs("vendor:live", true, nil); err != nil {
		t.Fatal(err)
	}
	f.want("s", 1, 2, 3)
	if got := f.told("s"); got != "vendor:live" {
		t.Errorf("after a commit the table tells the account %q", got)
	}
	f.wantRefused(f.runAs("vendor:sandbox", true, nil), "table s holds")
}

// TestAnEmptyTableBeginsWithAnyAccount although there was some progress, or rows were staged, of another one.
func TestAnEmptyTableBeginsWithAnyAccount(t *testing.T) {
	for name, first := range map[string]martsync.Batch{"progress": batch("halfway"), "staged rows": unverified(batch("halfway", 7, 8))} {
		t.Run(name, func(t *testing.T) {
			s := plainStream("s", nil)
			f := newFixture(t, s)
			f.sync.Limits.Staged = 1
			s.script = always(first, failure(martsync.Data, 0))
			f.wantKind(f.runAs("vendor:sandbox", true, nil), martsync.Data)
			s.script = always(batch("11", 1, 2))
			if err := f.runAs("vendor:live", true, nil); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]martsync.Cursor{"", ""}, s.froms); diff != "" {
				t.Errorf("read from (-want +got):\n%s", diff)
			}
			f.want("s", 1, 2)
		})
	}
}

// mute is a destination that for a while does not tell where its tables stand.
type mute struct {
	*memory.Destination
	err   error
	times int // that it fails; below zero: always
	asked int
}

func (m *mute) Position(ctx context.Context, stream string) (martsync.Cursor, error) {
	m.asked++
	if m.times != 0 {
		m.times--
		return "", m.err
	}
	return m.Destination.Position(ctx, stream)
}

// TestPositionsThatCannotBeAsked has a run wait for a destination as it waits for a source.
func TestPositionsThatCannotBeAsked(t *testing.T) {
	for _, tt := range []struct {
		name  string
		kind  martsync.Kind
		times int
		asked int // in all
		ok    bool
	}{
		{"a while", martsync.Transient, 3, 4, true},
		{"a quota", martsync.Quota, 20, 21, true},
		{"for good", martsync.Transient, -1, 8, false},
		{"a wrong password", martsync.Auth, -1, 1, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := counting("s", 3)
			f := newFixture(t, s)
			m := &mute{Destination: memory.New(f.storage), err: failure(tt.kind, 0), times: tt.times}
			began := f.clock.Now()
			err := f.runAs("vendor:live", true, func(s *pipeline.Sync) { s.Destination = m })
			if m.asked != tt.asked {
				t.Errorf("asked %d times, want %d", m.asked, tt.asked)
			}
			if !tt.ok {
				f.wantKind(err, tt.kind)
				if len(s.froms) > 0 {
					t.Errorf("the stream was read from %q", s.froms)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if !f.clock.Now().After(began) {
				t.Error("it did not wait")
			}
			f.want("s", 1, 2, 3)
		})
	}
}
