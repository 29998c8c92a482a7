package files

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/blob"
	"github.com/martsync/martsync/internal/blob/blobtest"
	"github.com/martsync/martsync/internal/rows"
	"github.com/martsync/martsync/simulate"
)

var ndjson = Config{Format: "ndjson"}

// openOn opens a writer of people as another process would.
func openOn(t testing.TB, s blob.Store, env martsync.Env) *writer {
	t.Helper()
	w, err := destinationOn(t, s, ndjson, env).Open(t.Context(), people)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	return w.(*writer)
}

// put writes a row.
func put(t testing.TB, w martsync.Writer, id int64) {
	t.Helper()
	b := rows.NewBuilder(people.Columns)
	b.Append(id, fmt.Sprint("name ", id), id)
	if err := w.Write(t.Context(), b.Records()); err != nil {
		t.Fatalf("write: %v", err)
	}
}

func commitTo(t testing.TB, w martsync.Writer, next martsync.Cursor) {
	t.Helper()
	if err := w.Commit(t.Context(), martsync.Commit{Sync: "test", At: noon, Next: next}); err != nil {
		t.Fatalf("commit: %v", err)
	}
}

func stageTo(t testing.TB, w martsync.Writer, next martsync.Cursor) {
	t.Helper()
	if err := w.Stage(t.Context(), martsync.Commit{Sync: "test", At: noon, Next: next}); err != nil {
		t.Fatalf("stage: %v", err)
	}
}

// documents lists the names in a chain.
func documents(t testing.TB, s blob.Store, stream string) (names []string) {
	t.Helper()
	for e, err := range s.List(t.Context(), chainOf(stream).folder, "") {
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, path.Base(e.Key))
	}
	return names
}

func TestNothingIsLeftOver(t *testing.T) {
	for name, open := range blobtest.Stores {
		t.Run(name, func(t *testing.T) {
			s := open(t)
			if err := tell(t.Context(), destinationOn(t, s, Config{Format: "ndjson", Rotate: Rotate{Rows: 2}}, coreEnv(t, nil))); err != nil {
				t.Fatal(err)
			}
			if got := unfinished(t, s); len(got) > 0 {
				t.Errorf("unfinished uploads: %+v", got)
			}
			want := []string{
				"manifest-000000000001.json", "manifest-000000000002.json", "manifest-000000000003.json", "manifest-000000000004.json",
				"schema-000000000001.json", "settled-000000000004.json",
			}
			if diff := cmp.Diff(want, documents(t, s, "people")); diff != "" {
				t.Errorf("documents (-want +got):\n%s", diff)
			}
		})
	}
}

// A writer that is closed takes away what it has uploaded, but for what somebody else may have read of.
func TestCloseAbortsItsOwn(t *testing.T) {
	for name, open := range blobtest.Stores {
		t.Run(name, func(t *testing.T) {
			s := open(t)
			w := openOn(t, s, coreEnv(t, nil))
			put(t, w, 1)
			stageTo(t, w, "s1")
			put(t, w, 2)
			if err := w.endAll(t.Context()); err != nil {
				t.Fatal(err)
			}
			put(t, w, 3)
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			got := unfinished(t, s)
			if len(got) != 1 || got[0].ID != w.held.Files[0].Upload.ID {
				t.Errorf("unfinished uploads: got %+v, want that of the stage", got)
			}
		})
	}
	t.Run("in doubt", func(t *testing.T) {
		s := blobtest.Folder(t)
		p := &process{at: -1, mode: unreported}
		w := openOn(t, &blobtest.Hooked{Store: s, Call: func(name, key string, effect func() error) error {
			if name == "put" && strings.Contains(key, manifestName) {
				p.at = p.calls
			}
			return p.call(name, key, effect)
		}}, coreEnv(t, nil))
		put(t, w, 1)
		if err := w.Commit(t.Context(), martsync.Commit{Next: "c1"}); err == nil {
			t.Fatal("the commit says that all is well")
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		again := openOn(t, s, coreEnv(t, nil))
		if again.Cursor() != "c1" {
			t.Errorf("cursor: got %q, want c1", again.Cursor())
		}
		if got := tableOf(t, again.d, "people"); len(got) != 1 {
			t.Errorf("table: got %q, want one row", got)
		}
	})
}

// Left-overs of dead writers are those that are older than the newest commit and that nobody names.
func TestLeftOversOfTheDead(t *testing.T) {
	s := blobtest.Folder(t)
	begin := func(key string) blob.Receipt {
		u, err := s.Create(t.Context(), key, "")
		if err != nil {
			t.Fatal(err)
		}
		r, err := u.Close(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	ids := func() (all []string) {
		for _, r := range unfinished(t, s) {
			all = append(all, path.Base(r.Key))
		}
		slices.Sort(all)
		return all
	}
	old, young, other := begin("people/dt=2025-01-01/old"), begin("people/dt=2025-01-01/young"), begin("peoples/dt=2025-01-01/other")
	blobtest.Age(t, s, old, 2*time.Hour)
	blobtest.Age(t, s, young, 50*time.Minute)
	blobtest.Age(t, s, other, 2*time.Hour)

	w := openOn(t, s, coreEnv(t, nil))
	if diff := cmp.Diff([]string{"old", "other", "young"}, ids()); diff != "" {
		t.Errorf("before any commit a writer of all uploads may live (-want +got):\n%s", diff)
	}
	put(t, w, 1)
	commitTo(t, w, "c1")
	put(t, w, 2)
	stageTo(t, w, "s1")
	staged := w.held.Files[0].Upload
	blobtest.Age(t, s, staged, 3*time.Hour) // clocks may differ: the name counts
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	w = openOn(t, s, coreEnv(t, nil))
	if diff := cmp.Diff([]string{"other", path.Base(staged.Key), "young"}, ids(), sorted); diff != "" {
		t.Errorf("left over (-want +got):\n%s", diff)
	}
	commitTo(t, w, "c2")
	if got := len(tableOf(t, w.d, "people")); got != 2 {
		t.Errorf("rows: got %d, want 2", got)
	}
}

var sorted = cmp.Transformer("sorted", func(in []string) []string { return slices.Sorted(slices.Values(in)) })

func TestPrefixOf(t *testing.T) {
	for layout, want := range map[string]string{
		"": "leads/", "a/{stream}/{seq}.{format}": "a/leads/", "{source}/v-{stream}/{date}/{seq}.{format}": "mart/v-leads/",
		"{date}/{stream}/{seq}.{format}": "", "{stream}-{seq}.{format}": "", "{object}/{seq}.{format}": "",
		"{activity_type}/{stream}/{seq}.{format}": "",
	} {
		d, err := newDestination(Config{Layout: layout}, "mart", coreEnv(t, nil))
		if err != nil {
			t.Fatal(err)
		}
		if got := d.prefixOf("leads"); got != want {
			t.Errorf("layout %q: got %q, want %q", layout, got, want)
		}
	}
}

// An upload that a rule of the bucket has aborted costs time, whoever had it staged.
func TestLostStage(t *testing.T) {
	for name, open := range blobtest.Stores {
		t.Run(name, func(t *testing.T) {
			s := open(t)
			w := openOn(t, s, coreEnv(t, nil))
			put(t, w, 1)
			commitTo(t, w, "c1")
			put(t, w, 2)
			stageTo(t, w, "s1")
			put(t, w, 3)
			stageTo(t, w, "s2")
			if err := s.Abort(t.Context(), w.held.Files[0].Upload); err != nil {
				t.Fatal(err)
			}
			again := openOn(t, s, coreEnv(t, nil))
			if again.Cursor() != "c1" || again.Staged() != "" {
				t.Fatalf("cursor and staged position: got %q and %q, want c1 and none", again.Cursor(), again.Staged())
			}
			put(t, again, 2)
			commitTo(t, again, "c2")
			if got := len(tableOf(t, again.d, "people")); got != 2 {
				t.Errorf("rows: got %d, want 2", got)
			}
			if err := w.Commit(t.Context(), martsync.Commit{Next: "c3"}); martsync.KindOf(err) != martsync.Conflict {
				t.Errorf("the writer whose stage was lost: got %v, want a conflict", err)
			}
			if got := unfinished(t, s); len(got) > 0 {
				t.Errorf("unfinished uploads: %+v", got)
			}
		})
	}
}

// A commit promises no file whose upload is gone.
func TestLostBeforeCommit(t *testing.T) {
	s := blobtest.Folder(t)
	clock := simulate.NewClock(noon)
	w := openOn(t, s, coreEnv(t, clock))
	put(t, w, 1)
	if err := w.endAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.Abort(t.Context(), w.done[0].Upload); err != nil {
		t.Fatal(err)
	}
	if err := clock.Sleep(t.Context(), 13*time.Hour); err != nil {
		t.Fatal(err)
	}
	err := w.Commit(t.Context(), martsync.Commit{Next: "c1"})
	if martsync.KindOf(err) != martsync.Transient || err == nil || !strings.Contains(martsync.HintOf(err), "7 days") {
		t.Errorf("commit: got %v with hint %q", err, martsync.HintOf(err))
	}
	if again := openOn(t, s, coreEnv(t, clock)); again.Cursor() != "" {
		t.Errorf("cursor: got %q, want none", again.Cursor())
	}
}

// A promise that nobody can keep is told, with the way back.
func TestLostAfterCommit(t *testing.T) {
	s := blobtest.Folder(t)
	w := openOn(t, &blobtest.Hooked{Store: s, Call: func(name, _ string, effect func() error) error {
		if name == "finish" {
			return errDied
		}
		return effect()
	}}, coreEnv(t, nil))
	put(t, w, 1)
	if err := w.Commit(t.Context(), martsync.Commit{Next: "c1"}); err == nil {
		t.Fatal("the commit says that all is well")
	}
	lost := unfinished(t, s)[0]
	if err := s.Abort(t.Context(), lost); err != nil {
		t.Fatal(err)
	}
	d := destinationOn(t, s, ndjson, coreEnv(t, nil))
	_, err := d.Open(t.Context(), people)
	key := chainOf("people").manifest(1)
	if martsync.KindOf(err) != martsync.Data || !strings.Contains(martsync.HintOf(err), key) {
		t.Fatalf("open: got %v with hint %q, want one that names %s", err, martsync.HintOf(err), key)
	}
	if err := s.Delete(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	again := openOn(t, s, coreEnv(t, nil))
	if again.Cursor() != "" {
		t.Errorf("cursor: got %q, want none", again.Cursor())
	}
	put(t, again, 1)
	commitTo(t, again, "c1")
	if got := len(tableOf(t, again.d, "people")); got != 1 {
		t.Errorf("rows: got %d, want 1", got)
	}
}

// Whoever loads the files elsewhere may take them away.
func TestFilesTakenAway(t *testing.T) {
	s := blobtest.Folder(t)
	w := openOn(t, s, coreEnv(t, nil))
	put(t, w, 1)
	commitTo(t, w, "c1")
	for key := range visible(t, s) {
		if err := s.Delete(t.Context(), key); err != nil {
			t.Fatal(err)
		}
	}
	again := openOn(t, s, coreEnv(t, nil))
	put(t, again, 2)
	commitTo(t, again, "c2")
	if got := len(visible(t, s)); got != 1 {
		t.Errorf("visible files: got %d, want 1", got)
	}
}

// Nobody can commit what another one has discarded, staged or committed in between.
func TestFences(t *testing.T) {
	acts := map[string]func(context.Context, martsync.Writer) error{
		"stage":   func(ctx context.Context, w martsync.Writer) error { return w.Stage(ctx, martsync.Commit{Next: "s2"}) },
		"discard": func(ctx context.Context, w martsync.Writer) error { return w.Discard(ctx) },
		"commit":  func(ctx context.Context, w martsync.Writer) error { return w.Commit(ctx, martsync.Commit{Next: "c2"}) },
	}
	for first, one := range acts {
		for second, two := range acts {
			t.Run(first+" before "+second, func(t *testing.T) {
				s := blobtest.Folder(t)
				w := openOn(t, s, coreEnv(t, nil))
				put(t, w, 1)
				stageTo(t, w, "s1")
				other := openOn(t, s, coreEnv(t, nil))
				put(t, other, 2)
				put(t, w, 3)
				if err := one(t.Context(), w); err != nil {
					t.Fatal(err)
				}
				if err := two(t.Context(), other); martsync.KindOf(err) != martsync.Conflict {
					t.Errorf("got %v, want a conflict", err)
				}
				for _, w := range []martsync.Writer{other, w} {
					if err := w.Close(); err != nil {
						t.Fatal(err)
					}
				}
				third := openOn(t, s, coreEnv(t, nil))
				commitTo(t, third, "c3")
				want := map[string]int{"stage": 2, "discard": 0, "commit": 2}[first]
				if got := len(tableOf(t, third.d, "people")); got != want {
					t.Errorf("rows: got %d, want %d", got, want)
				}
				if got := unfinished(t, s); len(got) > 0 {
					t.Errorf("unfinished uploads: %+v", got)
				}
			})
		}
	}
}
