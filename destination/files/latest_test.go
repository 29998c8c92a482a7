package files

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/destination/destinationtest"
	"github.com/martsync/martsync/internal/blob"
	"github.com/martsync/martsync/internal/blob/blobtest"
	"github.com/martsync/martsync/internal/crash"
	"github.com/martsync/martsync/internal/rows"
	"github.com/martsync/martsync/internal/setting"

	"github.com/martsync/martsync/simulate"
)

// always compacts after every commit that brings a file.
var always = compactRule{Rows: 1, Bytes: 1, Share: 1 << 40, Files: 1}

// latestOn opens a destination that compacts after every commit, with limits that make small tables large.
func latestOn(t testing.TB, s blob.Store, env martsync.Env) *destination {
	t.Helper()
	d := destinationOn(t, s, Config{Mode: "latest", Rotate: Rotate{Rows: 2}}, env)
	d.rule, d.replay = always, tiny
	return d
}

func latestFactory(s blob.Store) destinationtest.Factory {
	f := factory(s, Config{Mode: "latest"})
	open := f.Open
	f.Open = func(t testing.TB) martsync.Destination {
		d := open(t).(*destination)
		d.rule = always
		return d
	}
	return f
}

func TestLatestLaws(t *testing.T) {
	for name, open := range blobtest.Stores {
		t.Run(name, func(t *testing.T) {
			if name == "S3" && !crash.Nightly() {
				t.Skip("at night: the folder's laws are the same, and TestLaws is on S3 too")
			}
			destinationtest.Run(t, func(t testing.TB) destinationtest.Factory { return latestFactory(open(t)) })
		})
	}
}

func TestLatestCrash(t *testing.T) {
	o := crash.Options{Backfill: true, Every: 41 * slowdown, Runs: 4}
	if crash.Nightly() {
		o.Every, o.Runs = 1, 1000
	}
	crash.Test(t, crash.Scripted, func(t testing.TB) destinationtest.Factory { return latestFactory(blobtest.Folder(t)) }, o)
}

// strideOf is how many calls lie between two that go wrong: a few hundred calls, each of which takes a whole story, are for the night.
func strideOf(store string) int {
	switch {
	case crash.Nightly():
		return 1
	case store == "S3":
		return 29 * slowdown
	}
	return 5 * slowdown
}

// TestEveryCallWithCompactions does what TestEveryStoreCall does, with a compaction after each commit.
func TestEveryCallWithCompactions(t *testing.T) {
	want := states(t)
	last := want[martsync.Cursor(strconv.Itoa(len(story)))]
	for name, open := range blobtest.Stores {
		for mode := range callModes {
			t.Run(name+"/"+mode.String(), func(t *testing.T) {
				stride := strideOf(name)
				for at := int(mode) % stride; ; at += stride {
					s := open(t)
					p := &process{at: at, mode: mode}
					err := tell(t.Context(), latestOn(t, &blobtest.Hooked{Store: s, Call: p.call}, coreEnv(t, nil)))
					if p.calls <= at {
						t.Logf("%d calls", p.calls)
						if err != nil {
							t.Errorf("without a fault: %v", err)
						}
						return
					}
					var watch watcher
					watch.look(t, s)
					d := latestOn(t, s, coreEnv(t, nil))
					w, err := d.Open(t.Context(), people)
					if err != nil {
						t.Fatalf("call %d, then open: %v", at, err)
					}
					watch.look(t, s)
					if diff := cmp.Diff(want[w.Cursor()], tableOf(t, d, "people")); diff != "" {
						t.Fatalf("call %d, cursor %q (-want +got):\n%s", at, w.Cursor(), diff)
					}
					if err := errors.Join(tellOn(t.Context(), w), w.Close()); err != nil {
						t.Fatalf("call %d, then: %v", at, err)
					}
					watch.look(t, s)
					wantEnd(t, d, s, last, fmt.Sprint("call ", at))
					if t.Failed() {
						return
					}
				}
			})
		}
	}
}

// TestEveryOverlapWithCompactions lets another sync, and then somebody who compacts, come in before each call.
func TestEveryOverlapWithCompactions(t *testing.T) {
	want := states(t)
	last := want[martsync.Cursor(strconv.Itoa(len(story)))]
	for name, other := range map[string]func(*destination) error{
		"sync": func(d *destination) error { return tell(t.Context(), d) },
		"compact": func(d *destination) error {
			for _, err := range d.Compact(t.Context(), "") {
				if err != nil {
					return err
				}
			}
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			for at := 0; ; at += strideOf(name) {
				s := blobtest.Folder(t)
				if err := blob.Probe(t.Context(), s); err != nil { // not a call of either
					t.Fatal(err)
				}
				d := latestOn(t, s, coreEnv(t, nil))
				p := &process{at: at}
				p.meanwhile = func() {
					if err := other(d); err != nil {
						t.Errorf("call %d: the other one: %v", at, err)
					}
				}
				err := tell(t.Context(), latestOn(t, &blobtest.Hooked{Store: s, Call: p.call}, coreEnv(t, nil)))
				if p.calls <= at {
					return
				}
				if err != nil && martsync.KindOf(err) != martsync.Conflict {
					t.Errorf("call %d: the sync that was overtaken: %v", at, err)
				}
				if err := tell(t.Context(), d); err != nil {
					t.Errorf("call %d: a third sync: %v", at, err)
				}
				wantEnd(t, d, s, last, fmt.Sprint("call ", at))
				if t.Failed() {
					return
				}
			}
		})
	}
}

func TestDue(t *testing.T) {
	extent := func(files int, rows, bytes int64) martsync.Extent {
		return martsync.Extent{Files: files, Rows: rows, Bytes: bytes}
	}
	for _, tt := range []struct {
		name        string
		base, since martsync.Extent
		want        bool
	}{
		{"nothing", extent(0, 0, 0), extent(0, 0, 0), false},
		{"only a first load", extent(9, 1e7, 1<<32), extent(0, 0, 0), false},
		{"little", extent(1, 100, 1000), extent(1, 100, 1000), false},
		{"many rows of a small table", extent(1, 100, 1000), extent(1, 100_000, 1000), true},
		{"many bytes of a small table", extent(1, 100, 1000), extent(1, 10, 16<<20), true},
		{"many rows, but few of the table's", extent(1, 1e6, 1000), extent(1, 400_000, 1000), false},
		{"half of the table's rows", extent(1, 1e6, 1000), extent(1, 500_000, 1000), true},
		{"many bytes, but few of the table's", extent(1, 1e6, 1<<30), extent(1, 10, 1<<28), false},
		{"half of the table's bytes", extent(1, 1e6, 1<<30), extent(1, 10, 1<<29), true},
		{"many small files", extent(1, 100, 1000), extent(32, 32, 32), true},
		{"many small files beside a large table", extent(40, 1e8, 10<<30), extent(1000, 32, 32), false},
		{"too many small files beside a large table", extent(40, 1e8, 10<<30), extent(41*32, 32, 32), true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := defaultRule.due(&tableSize{Base: tt.base, Since: tt.since}); got != tt.want {
				t.Errorf("base %+v, since %+v: got %v, want %v", tt.base, tt.since, got, tt.want)
			}
		})
	}
}

func TestLatestConfig(t *testing.T) {
	for _, tt := range []struct {
		name string
		c    Config
		want string // in the error; "": none
	}{
		{"append", Config{Mode: "append", Format: "csv"}, ""},
		{"latest", Config{Mode: "latest", Keep: setting.Duration(time.Hour)}, ""},
		{"another mode", Config{Mode: "lastest"}, `no mode is named "lastest"`},
		{"csv", Config{Mode: "latest", Format: "csv"}, "writes parquet"},
		{"preset of csv", Config{Mode: "latest", Preset: pardotPreset}, "writes parquet"},
		{"preset, but parquet", Config{Mode: "latest", Preset: pardotPreset, Format: "parquet"}, ""},
		{"keep without latest", Config{Keep: setting.Duration(time.Hour)}, "stay forever"},
		{"negative keep", Config{Mode: "latest", Keep: setting.Duration(-time.Hour)}, "negative"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := newDestination(tt.c, "mart", coreEnv(t, nil))
			switch {
			case tt.want == "" && err != nil:
				t.Errorf("got %v", err)
			case tt.want == "":
			case err == nil || !strings.Contains(err.Error(), tt.want) || martsync.KindOf(err) != martsync.Config || martsync.HintOf(err) == "":
				t.Errorf("got %v with hint %q, want %q and a hint", err, martsync.HintOf(err), tt.want)
			}
		})
	}
	if d := destinationOn(t, blobtest.Folder(t), Config{Mode: "latest"}, coreEnv(t, nil)); d.keep != defaultKeep {
		t.Errorf("keep: got %v, want %v", d.keep, defaultKeep)
	}
	d := destinationOn(t, blobtest.Folder(t), Config{}, coreEnv(t, nil))
	for _, err := range d.Compact(t.Context(), "") {
		if martsync.KindOf(err) != martsync.Config || err == nil {
			t.Errorf("compact in mode append: got %v, want an error of kind config", err)
		}
	}
}

// compacted compacts the people and says what became of them.
func compacted(t testing.TB, d *destination) (out martsync.Compaction) {
	t.Helper()
	for c, err := range d.Compact(t.Context(), "people") {
		if err != nil {
			t.Fatal(err)
		}
		out = c
	}
	return out
}

// lazy opens a destination that compacts only when it is told to.
func lazy(t testing.TB, s blob.Store, env martsync.Env, keep time.Duration) *destination {
	t.Helper()
	d := destinationOn(t, s, Config{Mode: "latest", Keep: setting.Duration(keep)}, env)
	d.replay = tiny
	return d
}

// liveFiles are the keys that the table is made of.
func liveFiles(t testing.TB, d *destination) []string {
	t.Helper()
	table, err := d.table(t.Context(), "people")
	if err != nil {
		t.Fatal(err)
	}
	keys := []string{}
	for m, err := range d.effective(t.Context(), table) {
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range m.Files {
			keys = append(keys, f.Key)
		}
	}
	slices.Sort(keys)
	return keys
}

// TestStagedRowsOutliveACompaction: who has staged rows does not lose them.
func TestStagedRowsOutliveACompaction(t *testing.T) {
	for name, open := range blobtest.Stores {
		t.Run(name, func(t *testing.T) {
			s := open(t)
			d := lazy(t, s, coreEnv(t, nil), 0)
			w, err := d.Open(t.Context(), people)
			if err != nil {
				t.Fatal(err)
			}
			put(t, w, 1)
			commitTo(t, w, "1")
			put(t, w, 1)
			commitTo(t, w, "2")
			put(t, w, 2)
			stageTo(t, w, "2 and more")
			if c := compacted(t, d); c.Done || !strings.Contains(c.Detail, "staged") || c.Before != c.After || c.Before.Rows != 2 {
				t.Errorf("compaction beside staged rows: got %+v, want it not done", c)
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			if w, err = d.Open(t.Context(), people); err != nil {
				t.Fatal(err)
			}
			if got := w.Staged(); got != "2 and more" {
				t.Errorf("staged: got %q", got)
			}
			commitTo(t, w, "3")
			want := tableOf(t, d, "people")
			c := compacted(t, d)
			if !c.Done || c.Before.Rows != 3 || c.After.Rows != 2 || c.Before.Files != 3 || c.After.Files != 1 {
				t.Errorf("compaction after the commit: got %+v", c)
			}
			if diff := cmp.Diff(want, tableOf(t, d, "people")); diff != "" || len(want) != 2 {
				t.Errorf("table (-before +after):\n%s", diff)
			}
			if c := compacted(t, d); c.Done || c.After.Rows != 2 {
				t.Errorf("compaction of what is compact: got %+v, want it not done", c)
			}
			// The writer builds on the commit before the compaction.
			put(t, w, 3)
			err = w.Commit(t.Context(), martsync.Commit{Sync: "test", At: noon, Next: "4"})
			if martsync.KindOf(err) != martsync.Conflict {
				t.Errorf("commit of a writer that was overtaken by a compaction: got %v, want a conflict", err)
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			if w, err = d.Open(t.Context(), people); err != nil {
				t.Fatal(err)
			}
			if w.Cursor() != "3" {
				t.Errorf("cursor after the compaction: got %q, want that of the commit before", w.Cursor())
			}
			if left := unfinished(t, s); len(left) > 0 {
				t.Errorf("uploads are left: %+v", left)
			}
		})
	}
}

// TestCompactionWithdraws: a commit that comes in while a compaction runs wins, and nothing is left of the compaction.
func TestCompactionWithdraws(t *testing.T) {
	for name, at := range map[string]func(name, key string) bool{
		"while it writes":        func(name, _ string) bool { return name == "close" },
		"just before its commit": func(name, key string) bool { return name == "put" && strings.Contains(key, manifestName) },
	} {
		t.Run(name, func(t *testing.T) {
			s := blobtest.Folder(t)
			d := lazy(t, s, coreEnv(t, nil), 0)
			w, err := d.Open(t.Context(), people)
			if err != nil {
				t.Fatal(err)
			}
			put(t, w, 1)
			commitTo(t, w, "1")
			put(t, w, 1)
			commitTo(t, w, "2")
			before := visible(t, s)
			done := false
			h := &blobtest.Hooked{Store: s, Call: func(name, key string, effect func() error) error {
				if !done && at(name, key) {
					done = true
					put(t, w, 2)
					commitTo(t, w, "3")
				}
				return effect()
			}}
			c := compacted(t, lazy(t, h, coreEnv(t, nil), 0))
			if c.Done || !strings.Contains(c.Detail, "committed") || !done {
				t.Errorf("got %+v, want it not done because another sync has committed", c)
			}
			if left := unfinished(t, s); len(left) > 0 {
				t.Errorf("uploads of the compaction are left: %+v", left)
			}
			if got := visible(t, s); len(got) != len(before)+1 {
				t.Errorf("files: got %d, want %d", len(got), len(before)+1)
			}
			put(t, w, 3)
			commitTo(t, w, "4")
			if got := tableOf(t, d, "people"); len(got) != 3 {
				t.Errorf("table: got %q", got)
			}
		})
	}
}

// TestCompactionFailsAlone: what goes wrong in a compaction is no fault of the commit before it.
func TestCompactionFailsAlone(t *testing.T) {
	s := blobtest.Folder(t)
	env := coreEnv(t, nil)
	var log strings.Builder
	env.Log = slog.New(slog.NewTextHandler(&log, nil))
	d := latestOn(t, s, env)
	d.env.TempDir = t.TempDir() + "/missing" // tables that do not fit into memory cannot be resolved
	w, err := d.Open(t.Context(), people)
	if err != nil {
		t.Fatal(err)
	}
	for i := range int64(3) {
		b := rows.NewBuilder(people.Columns)
		for j := range int64(200) {
			b.Append(j, fmt.Sprint("name ", j), i)
		}
		if err := w.Write(t.Context(), b.Records()); err != nil {
			t.Fatal(err)
		}
		commitTo(t, w, martsync.Cursor(fmt.Sprint(i)))
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(log.String(), "compact the table"); got != 1 {
		t.Errorf("got %d warnings, want one for the whole load:\n%s", got, &log)
	}
	d = lazy(t, s, coreEnv(t, nil), 0)
	if got := tableOf(t, d, "people"); len(got) != 200 {
		t.Errorf("got %d rows, want 200", len(got))
	}
	if left := unfinished(t, s); len(left) > 0 {
		t.Errorf("uploads of compactions are left: %+v", left)
	}
	if c := compacted(t, d); !c.Done || c.Before.Rows != 600 || c.After.Rows != 200 {
		t.Errorf("a later compaction: got %+v", c)
	}
}

// TestNotCompacted are tables that stay as they are.
func TestNotCompacted(t *testing.T) {
	s := blobtest.Folder(t)
	d := lazy(t, s, coreEnv(t, nil), 0)
	load := func(schema martsync.Schema) {
		t.Helper()
		w, err := d.Open(t.Context(), schema)
		if err != nil {
			t.Fatal(err)
		}
		put(t, w, 1)
		commitTo(t, w, "x")
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	log := people
	log.Stream, log.Key, log.Version, log.Deletes = "log", nil, "", false
	load(log)
	load(log)
	load(people)
	other := people
	other.Key = []string{"id", "name"}
	load(other)
	empty := people
	empty.Stream = "empty"
	if w, err := d.Open(t.Context(), empty); err != nil || w.Close() != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for c, err := range d.Compact(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		if got[c.Stream] = c.Detail; c.Done || c.Before != c.After {
			t.Errorf("got %+v, want it not done", c)
		}
	}
	want := map[string]string{
		"log": "it has no key: no row replaces another", "people": "its key was another one before", "empty": "nothing was committed yet",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("reasons (-want +got):\n%s", diff)
	}
	for _, err := range d.Compact(t.Context(), "nothing") {
		if martsync.KindOf(err) != martsync.Config || err == nil {
			t.Errorf("a table that does not exist: got %v, want an error of kind config", err)
		}
	}
}

// TestSweep: files that were replaced stay for as long as they are kept, and those of the table forever.
func TestSweep(t *testing.T) {
	const keep = 6 * time.Hour
	for name, open := range blobtest.Stores {
		t.Run(name, func(t *testing.T) {
			s := open(t)
			clock := simulate.NewClock(noon)
			env := coreEnv(t, clock)
			load := func(next martsync.Cursor) {
				t.Helper()
				d := lazy(t, s, env, keep)
				w, err := d.Open(t.Context(), people)
				if err != nil {
					t.Fatal(err)
				}
				put(t, w, 1)
				if err := w.Commit(t.Context(), martsync.Commit{Sync: "test", At: clock.Now(), Next: next}); err != nil {
					t.Fatal(err)
				}
				if err := w.Close(); err != nil {
					t.Fatal(err)
				}
			}
			wantFiles := func(when string, want int) {
				t.Helper()
				got := visible(t, s)
				if len(got) != want {
					t.Errorf("%s: got %d files, want %d", when, len(got), want)
				}
				d := lazy(t, s, env, keep)
				for _, key := range liveFiles(t, d) {
					if _, ok := got[key]; !ok {
						t.Errorf("%s: file %s of the table is gone", when, key)
					}
				}
				if got := tableOf(t, d, "people"); len(got) != 1 {
					t.Errorf("%s: table: got %q", when, got)
				}
			}
			load("1")
			load("2")
			wantFiles("two loads", 2)
			if c := compacted(t, lazy(t, s, env, keep)); !c.Done {
				t.Fatalf("got %+v", c)
			}
			wantFiles("compacted", 3)
			clock.Set(noon.Add(keep - time.Minute))
			load("3") // opens, and may sweep
			wantFiles("nearly old enough", 4)
			clock.Set(noon.Add(keep + time.Minute))
			load("4")
			wantFiles("old enough", 3) // that of the compaction and two more
			if c := compacted(t, lazy(t, s, env, keep)); !c.Done {
				t.Fatalf("got %+v", c)
			}
			clock.Set(noon.Add(3 * keep))
			load("5")
			wantFiles("swept again", 2)
			load("6")
			wantFiles("nothing to sweep", 3)
			want := []string{"swept-000000000006.json"}
			got := slices.DeleteFunc(documents(t, s, "people"), func(name string) bool { return !strings.HasPrefix(name, sweptName) })
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("markers (-want +got):\n%s", diff)
			}
		})
	}
}

// TestSweepSnapshots: in mode latest a table of snapshots is what the last one says, and older ones go.
func TestSweepSnapshots(t *testing.T) {
	s := blobtest.Folder(t)
	clock := simulate.NewClock(noon)
	d := lazy(t, s, coreEnv(t, clock), time.Hour)
	snapshots := people
	snapshots.Snapshot, snapshots.Deletes = true, false
	for i := range 100 {
		w, err := d.Open(t.Context(), snapshots)
		if err != nil {
			t.Fatal(err)
		}
		put(t, w, int64(i))
		if err := w.Commit(t.Context(), martsync.Commit{Sync: "test", At: clock.Now(), Next: martsync.Cursor(fmt.Sprint(i))}); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if got, most := len(visible(t, s)), 8; got > most { // an hour's worth, one that replaced them, and the newest
			t.Fatalf("snapshot %d: %d files, want at most %d", i, got, most)
		}
		if got := tableOf(t, d, "people"); len(got) != 1 || !strings.Contains(got[0], fmt.Sprintf("name %d ", i)) {
			t.Fatalf("snapshot %d: got %q", i, got)
		}
		clock.Set(clock.Now().Add(10 * time.Minute))
	}
}

// TestEveryCallOfASweep lets each call of an opening that sweeps go wrong.
func TestEveryCallOfASweep(t *testing.T) {
	for mode := range callModes {
		t.Run(mode.String(), func(t *testing.T) {
			for at := int(mode) % slower(1); ; at += slower(1) {
				s := blobtest.Folder(t)
				clock := simulate.NewClock(noon)
				env := coreEnv(t, clock)
				if err := tell(t.Context(), latestOn(t, s, env)); err != nil {
					t.Fatal(err)
				}
				want := tableOf(t, latestOn(t, s, env), "people")
				clock.Set(noon.Add(1000 * 24 * time.Hour))
				p := &process{at: at, mode: mode}
				h := &blobtest.Hooked{Store: s, Call: p.call}
				w, err := latestOn(t, h, env).Open(t.Context(), people)
				if err == nil {
					err = w.Close()
				}
				if p.calls <= at {
					if err != nil {
						t.Errorf("without a fault: %v", err)
					}
					if got, want := slices.Sorted(maps.Keys(visible(t, s))), liveFiles(t, latestOn(t, s, env)); !slices.Equal(got, want) {
						t.Errorf("files: got %q, want %q", got, want)
					}
					return
				}
				d := latestOn(t, s, env)
				if diff := cmp.Diff(want, tableOf(t, d, "people")); diff != "" {
					t.Fatalf("call %d (-want +got):\n%s", at, diff)
				}
				if w, err = d.Open(t.Context(), people); err != nil || w.Close() != nil {
					t.Fatal(err)
				}
				if got, want := slices.Sorted(maps.Keys(visible(t, s))), liveFiles(t, d); !slices.Equal(got, want) {
					t.Errorf("call %d: files: got %q, want %q", at, got, want)
				}
				if diff := cmp.Diff(want, tableOf(t, d, "people")); diff != "" {
					t.Fatalf("call %d, swept (-want +got):\n%s", at, diff)
				}
			}
		})
	}
}

// TestReadingWhatIsSwept: a reader that is slower than files are kept learns that it must begin again.
func TestReadingWhatIsSwept(t *testing.T) {
	s := blobtest.Folder(t)
	clock := simulate.NewClock(noon)
	env := coreEnv(t, clock)
	d := lazy(t, s, env, time.Hour)
	w, err := d.Open(t.Context(), people)
	if err != nil {
		t.Fatal(err)
	}
	put(t, w, 1)
	commitTo(t, w, "1")
	put(t, w, 2)
	commitTo(t, w, "2")
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	_, slow, err := d.ReadTable(t.Context(), "people")
	if err != nil {
		t.Fatal(err)
	}
	if c := compacted(t, d); !c.Done {
		t.Fatalf("got %+v", c)
	}
	for r, err := range slow {
		if err != nil || r.Len != 2 {
			t.Errorf("a reader who began before the compaction: got %v", err)
		}
	}
	clock.Set(noon.Add(2 * 365 * 24 * time.Hour))
	if w, err = d.Open(t.Context(), people); err != nil || w.Close() != nil {
		t.Fatal(err)
	}
	if got := len(visible(t, s)); got != 1 {
		t.Errorf("got %d files, want 1", got)
	}
	for _, err := range slow {
		if martsync.KindOf(err) != martsync.Transient || !errors.Is(err, blob.ErrNotFound) || martsync.HintOf(err) == "" {
			t.Errorf("a reader whose files were swept: got %v with hint %q, want a transient error", err, martsync.HintOf(err))
		}
	}
	if got := tableOf(t, d, "people"); len(got) != 2 {
		t.Errorf("read again: got %q", got)
	}
}

// TestSyncedAtOutlivesACompaction: rows are of the time when they were loaded, or marked as deleted.
func TestSyncedAtOutlivesACompaction(t *testing.T) {
	s := blobtest.Folder(t)
	clock := simulate.NewClock(noon)
	d := lazy(t, s, coreEnv(t, clock), 0)
	commit := func(hour int, add func(b *rows.Builder), c martsync.Commit) {
		t.Helper()
		clock.Set(noon.Add(time.Duration(hour) * time.Hour))
		w, err := d.Open(t.Context(), people)
		if err != nil {
			t.Fatal(err)
		}
		b := rows.NewBuilder(people.Columns)
		add(b)
		if b.Len() > 0 {
			if err := w.Write(t.Context(), b.Records()); err != nil {
				t.Fatal(err)
			}
		}
		c.Sync, c.At, c.Next = "test", clock.Now(), martsync.Cursor(fmt.Sprint(hour))
		if err := errors.Join(w.Commit(t.Context(), c), w.Close()); err != nil {
			t.Fatal(err)
		}
	}
	commit(1, func(b *rows.Builder) {
		for i := range int64(8) {
			b.Append(i, "first", int64(5))
		}
	}, martsync.Commit{})
	commit(2, func(b *rows.Builder) {
		b.Append(int64(1), "second", int64(6))
		b.Append(int64(2), "late", int64(4))
		b.AppendTombstone(int64(3), nil, int64(6))
		b.AppendDeleted(int64(4), "gone", int64(6))
	}, martsync.Commit{})
	commit(3, func(*rows.Builder) {}, martsync.Commit{Censuses: []martsync.Census{{After: 2, UpTo: 6, Keys: []int64{4, 6}}}})
	commit(4, func(b *rows.Builder) { b.Append(int64(6), "first", int64(5)) }, martsync.Commit{Complete: []martsync.Scope{{Column: "name", Value: "first"}}})
	want := []string{
		"0 first 5 true 16", "1 second 6 false 14", "2 first 5 true 16", "3 first 6 true 14", "4 gone 6 false 15", "5 first 5 true 15",
		"6 first 5 false 16", "7 first 5 true 16",
	}
	for range 2 { // what was compacted keeps it as well
		if c := compacted(t, d); !c.Done {
			t.Fatalf("got %+v", c)
		}
		if diff := cmp.Diff(want, syncedRows(t, d)); diff != "" {
			t.Errorf("rows with deletions and hours (-want +got):\n%s", diff)
		}
		commit(9, func(b *rows.Builder) { b.Append(int64(1), "late", int64(1)) }, martsync.Commit{})
	}
}

// syncedRows are the rows of the files that make the table of people, each with the hour when it was synced.
func syncedRows(t *testing.T, d *destination) (all []string) {
	t.Helper()
	table, err := d.table(t.Context(), "people")
	if err != nil {
		t.Fatal(err)
	}
	for m, err := range d.effective(t.Context(), table) {
		if err != nil {
			t.Fatal(err)
		}
		for i := range m.Files {
			schema, err := m.schemaOf(&m.Files[i])
			if err != nil {
				t.Fatal(err)
			}
			schema = withSynced(schema)
			for r, err := range d.fileRows(t.Context(), m.Files[i], schema) {
				if err != nil {
					t.Fatal(err)
				}
				for j, row := range rows.Of(schema.Columns, r) {
					at := time.UnixMicro(int64(row[0].(rows.Micros))).UTC()
					all = append(all, fmt.Sprint(row[1], " ", row[2], " ", row[3], " ", rows.Deleted(r, j), " ", at.Hour()))
				}
			}
		}
	}
	slices.Sort(all)
	return all
}

// TestReadingStartsAtTheCompaction: of a long chain only what came since the last compaction is read.
func TestReadingStartsAtTheCompaction(t *testing.T) {
	s := blobtest.Folder(t)
	d := lazy(t, s, coreEnv(t, nil), 0)
	w, err := d.Open(t.Context(), people)
	if err != nil {
		t.Fatal(err)
	}
	load := func(n int64) {
		t.Helper()
		put(t, w, n%7)
		commitTo(t, w, martsync.Cursor(fmt.Sprint(n)))
	}
	for n := range int64(2*checkpointEvery + 20) {
		load(n)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if c := compacted(t, d); !c.Done || c.After.Rows != 7 {
		t.Fatalf("got %+v", c)
	}
	if w, err = d.Open(t.Context(), people); err != nil {
		t.Fatal(err)
	}
	for n := range int64(checkpointEvery) { // a checkpoint has commits before and after the compaction
		load(n)
	}
	var old, gets atomic.Int64 // manifests are fetched side by side
	h := &blobtest.Hooked{Store: s, Call: func(name, key string, effect func() error) error {
		if name == "get" {
			gets.Add(1)
			if _, n, _, ok := chainOf("people").parse(key); ok && strings.Contains(key, manifestName) && n <= 2*checkpointEvery+20 {
				old.Add(1)
			}
		}
		return effect()
	}}
	if got := tableOf(t, lazy(t, h, coreEnv(t, nil), 0), "people"); len(got) != 7 {
		t.Errorf("got %q", got)
	}
	if old.Load() > 0 || gets.Load() > 30 {
		t.Errorf("got %d requests, %d of them for commits before the compaction; want at most 30 and none", gets.Load(), old.Load())
	}
	table, err := d.table(t.Context(), "people")
	if err != nil {
		t.Fatal(err)
	}
	if m, err := first(d.effective(t.Context(), table)); err != nil || !m.Compacted {
		t.Errorf("the table begins with commit %d, %v, want the compaction", m.Number, err)
	}
	got, err := d.NewestTime(t.Context(), "people", "name")
	if err != nil || !got.IsZero() {
		t.Errorf("newest time of a column of names: got %v, %v", got, err)
	}
}

// TestSizeIsCounted: what manifests say of the table's size is what their files say, also where earlier ones say nothing.
func TestSizeIsCounted(t *testing.T) {
	s := blobtest.Folder(t)
	d := lazy(t, s, coreEnv(t, nil), 0)
	for n := range int64(6) {
		w, err := d.Open(t.Context(), people)
		if err != nil {
			t.Fatal(err)
		}
		put(t, w, 1)
		put(t, w, n)
		commitTo(t, w, martsync.Cursor(fmt.Sprint(n)))
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if n == 3 {
			if c := compacted(t, d); !c.Done {
				t.Fatalf("got %+v", c)
			}
		}
		h, m, err := d.newest(t.Context(), "people")
		if err != nil {
			t.Fatal(err)
		}
		told := *m.Size
		m.Size = nil
		counted, err := d.measure(t.Context(), h.chain, m)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(told, *counted); diff != "" {
			t.Errorf("after commit %d (-manifest +files):\n%s", m.Number, diff)
		}
		if want := len(liveFiles(t, d)); told.total().Files != want {
			t.Errorf("after commit %d: got %d files, want %d", m.Number, told.total().Files, want)
		}
	}
}

// TestModeComesAndGoes: a table that was appended to is compacted, and one that was compacted is appended to.
func TestModeComesAndGoes(t *testing.T) {
	s := blobtest.Folder(t)
	for n, c := range []Config{{Format: "csv"}, {Format: "ndjson"}, {}, {Mode: "latest"}, {Format: "csv"}, {Preset: pardotPreset}, {Mode: "latest"}, {}} {
		d := destinationOn(t, s, c, coreEnv(t, nil))
		d.rule, d.replay = always, tiny
		w, err := d.Open(t.Context(), people)
		if err != nil {
			t.Fatal(err)
		}
		b := rows.NewBuilder(people.Columns)
		b.Append(int64(n), fmt.Sprint("of ", n), int64(1))
		b.Append(int64(100), fmt.Sprint("last ", n), int64(n))
		b.Append(int64(101), fmt.Sprint("first ", n), int64(-n))
		if err := w.Write(t.Context(), b.Records()); err != nil {
			t.Fatal(err)
		}
		commitTo(t, w, martsync.Cursor(fmt.Sprint(n)))
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		got := tableOf(t, d, "people")
		want := []string{fmt.Sprintf("id=100 name=last %d version=%d false", n, n), "id=101 name=first 0 version=0 false"}
		for i := range n + 1 {
			want = append(want, fmt.Sprintf("id=%d name=of %d version=1 false", i, i))
		}
		slices.Sort(want)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("after load %d (-want +got):\n%s", n, diff)
		}
		if c.Mode == latestMode && len(liveFiles(t, d)) != 1 {
			t.Errorf("after load %d: the table is made of %q, want one file", n, liveFiles(t, d))
		}
	}
	var ledger int
	for range destinationOn(t, s, Config{}, coreEnv(t, nil)).history(context.Background(), "people") {
		ledger++
	}
	if want := 8 + 2; ledger != want {
		t.Errorf("got %d commits, want %d", ledger, want)
	}
}

// TestSweepTrustsNoClock: a compaction whose clock was ahead is not taken for an old one because of the commits around it.
func TestSweepTrustsNoClock(t *testing.T) {
	const keep = 6 * time.Hour
	s := blobtest.Folder(t)
	clock, ahead := simulate.NewClock(noon), simulate.NewClock(noon.Add(10*time.Hour))
	load := func() {
		t.Helper()
		w, err := lazy(t, s, coreEnv(t, clock), keep).Open(t.Context(), people)
		if err != nil {
			t.Fatal(err)
		}
		put(t, w, 1)
		commitTo(t, w, "x")
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	load()
	load()
	if c := compacted(t, lazy(t, s, coreEnv(t, ahead), keep)); !c.Done {
		t.Fatalf("got %+v", c)
	}
	load()
	clock.Set(noon.Add(keep + time.Hour))
	load()
	if got := len(visible(t, s)); got != 5 {
		t.Errorf("7 hours after noon, 3 before the compaction was made by its clock: got %d files, want 5", got)
	}
	clock.Set(noon.Add(keep + 11*time.Hour))
	load()
	if got := len(visible(t, s)); got != 4 {
		t.Errorf("when it is old by any clock: got %d files, want 4", got)
	}
}

// TestCompactionInDoubt: if nobody knows whether a compaction was put, the commit before it says so, and the next writer finds out.
func TestCompactionInDoubt(t *testing.T) {
	s := blobtest.Folder(t)
	puts := 0
	h := &blobtest.Hooked{Store: s, Call: func(name, key string, effect func() error) error {
		err := effect()
		if name == "put" && strings.Contains(key, manifestName) {
			if puts++; puts == 2 && err == nil { // the first one is the commit's
				err = errDied
			}
		}
		return err
	}}
	d := latestOn(t, h, coreEnv(t, nil))
	d.rule.Rows, d.rule.Files = 2, 2
	w, err := d.Open(t.Context(), people)
	if err != nil {
		t.Fatal(err)
	}
	put(t, w, 1)
	commitTo(t, w, "1")
	puts = 0
	put(t, w, 1)
	put(t, w, 1)
	if err = w.Commit(t.Context(), martsync.Commit{Sync: "test", At: noon, Next: "2"}); !errors.Is(err, errDied) {
		t.Errorf("commit: got %v, want the error of the compaction", err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if w, err = d.Open(t.Context(), people); err != nil {
		t.Fatal(err)
	}
	if w.Cursor() != "2" || len(tableOf(t, d, "people")) != 1 {
		t.Errorf("then: cursor %q, table %q", w.Cursor(), tableOf(t, d, "people"))
	}
	if got := liveFiles(t, d); len(got) != 1 || len(unfinished(t, s)) > 0 {
		t.Errorf("the table is made of %q, uploads left: %+v", got, unfinished(t, s))
	}
}

// TestFlagsOutliveTheirSchema: rows stay deleted, also if the stream tells no deletions anymore.
func TestFlagsOutliveTheirSchema(t *testing.T) {
	for _, told := range []bool{true, false} {
		t.Run(fmt.Sprint("told before: ", told), func(t *testing.T) {
			d := lazy(t, blobtest.Folder(t), coreEnv(t, nil), 0)
			for n, deletes := range []bool{told, false} {
				schema := people
				schema.Deletes = deletes
				w, err := d.Open(t.Context(), schema)
				if err != nil {
					t.Fatal(err)
				}
				c := martsync.Commit{Sync: "test", At: noon, Next: martsync.Cursor(fmt.Sprint(n))}
				if n == 0 {
					put(t, w, 1)
					put(t, w, 2)
				} else if !told {
					put(t, w, 1)
					c.Complete = []martsync.Scope{{}}
				}
				if n == 0 && told {
					b := rows.NewBuilder(people.Columns)
					b.AppendTombstone(int64(2), nil, int64(3))
					if err := w.Write(t.Context(), b.Records()); err != nil {
						t.Fatal(err)
					}
				}
				if err := errors.Join(w.Commit(t.Context(), c), w.Close()); err != nil {
					t.Fatal(err)
				}
			}
			want := tableOf(t, d, "people")
			if c := compacted(t, d); !c.Done {
				t.Fatalf("got %+v", c)
			}
			if diff := cmp.Diff(want, tableOf(t, d, "people")); diff != "" || !strings.HasSuffix(want[1], "true") {
				t.Errorf("table (-before +after), want the second row deleted:\n%s%q", diff, want)
			}
		})
	}
}

// TestCheckLatest: mode latest deletes data files, so the right to is checked too.
func TestCheckLatest(t *testing.T) {
	for _, allowed := range []bool{true, false} {
		t.Run(fmt.Sprint("allowed: ", allowed), func(t *testing.T) {
			s := blobtest.Folder(t)
			h := &blobtest.Hooked{Store: s, Call: func(name, key string, effect func() error) error {
				if name == "delete" && !allowed && !strings.HasPrefix(key, blob.SystemFolder) {
					return &martsync.Error{Kind: martsync.Auth, Op: "test", Err: errors.New("access denied"), Hint: "allow it"}
				}
				return effect()
			}}
			findings := lazy(t, h, coreEnv(t, nil), 0).Check(t.Context())
			i := slices.IndexFunc(findings, func(f martsync.Finding) bool { return f.Subject == "delete data files" })
			if i < 0 || findings[i].OK != allowed || (findings[i].Hint == "") != allowed {
				t.Errorf("got %+v, want a finding about deleting data files", findings)
			}
			if got := blobtest.Keys(t, s, "", ""); len(got) > 0 {
				t.Errorf("objects after the check: %q", got)
			}
		})
	}
}
