package raw_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/martsync/martsync"
	memdest "github.com/martsync/martsync/destination/memory"
	"github.com/martsync/martsync/internal/blob"
	"github.com/martsync/martsync/internal/blob/blobtest"
	"github.com/martsync/martsync/internal/crash"
	"github.com/martsync/martsync/internal/rows"
	"github.com/martsync/martsync/pipeline"
	"github.com/martsync/martsync/raw"
	"github.com/martsync/martsync/simulate"
	"github.com/martsync/martsync/state"
)

// kept returns a history of some syncs.
func kept(t *testing.T, syncs int) *history {
	t.Helper()
	h := newHistory(t, 4)
	for range syncs {
		if err := h.sync(&crash.Process{At: -1}, pipeline.Sync{Parallel: 1}, true); err != nil {
			t.Fatal(err)
		}
		h.script.Change()
	}
	return h
}

// TestDamage damages each object of a zone in turn: by a bit, by its end, by its absence. No replay
// takes it for what was sent, or for less.
func TestDamage(t *testing.T) {
	h := kept(t, 1)
	whole := h.store.objects
	harmless, noticed := 0, 0
	for key, data := range whole {
		for name, damage := range map[string]func() []byte{
			"missing": func() []byte { return nil },
			"cut":     func() []byte { return data[:len(data)/2] },
			"flipped": func() []byte {
				d := bytes.Clone(data)
				d[len(d)/2] ^= 4
				return d
			},
		} {
			if !strings.HasSuffix(key, ".zst") && name == "flipped" {
				continue // an entry has no checksum of its own; what it says is checked against the bytes
			}
			h.store.objects = map[string][]byte{}
			for k, v := range whole {
				h.store.objects[k] = v
			}
			if d := damage(); d != nil {
				h.store.objects[key] = d
			} else {
				delete(h.store.objects, key)
			}
			into := memdest.NewStorage()
			err := h.replay(into, state.NewMemory(), &crash.Process{At: -1}, pipeline.Thresholds{})
			switch {
			case err == nil:
				// Bytes that led nowhere, such as those of a file that failed its check; and without the newest
				// entry a zone ends before it.
				harmless++
				if name != "missing" && strings.HasSuffix(key, ".json") && !strings.HasSuffix(key, "/head.json") { // a hint
					t.Errorf("%s of %s: got no error", name, key)
				}
				if strings.HasSuffix(key, ".zst") {
					h.equal(into)
				}
			case martsync.KindOf(err) != martsync.Data:
				t.Errorf("%s of %s: got %v, want an error of kind data", name, key, err)
			default:
				noticed++
			}
		}
	}
	if noticed <= harmless {
		t.Errorf("%d damages noticed, %d harmless", noticed, harmless)
	}
}

// TestMissingEntry: who has lost an entry can have it back; a backfill would cost a day's quota.
func TestMissingEntry(t *testing.T) {
	h := kept(t, 3)
	for key := range h.store.objects {
		if strings.HasSuffix(key, "people/entry-000000000002.json") {
			delete(h.store.objects, key)
		}
	}
	err := h.replay(memdest.NewStorage(), state.NewMemory(), &crash.Process{At: -1}, pipeline.Thresholds{})
	if martsync.KindOf(err) != martsync.Data || !strings.Contains(fmt.Sprint(err), "entry 2 is missing") || !strings.Contains(martsync.HintOf(err), "Restore") {
		t.Errorf("got %v, hint %q, want an error that names the entry and asks to restore it", err, martsync.HintOf(err))
	}
}

// TestBegunBefore turns the zone on for tables that are there already: a replay says that it does not have their
// beginning, until a backfill has given it. What has no key cannot be read again.
func TestBegunBefore(t *testing.T) {
	h := newHistory(t, 6)
	run := func(keeping, backfill bool) {
		t.Helper()
		if err := h.sync(&crash.Process{At: -1}, pipeline.Sync{Parallel: 1, Backfill: backfill, Exclude: []string{"events", "files"}}, keeping); err != nil {
			t.Fatal(err)
		}
		h.script.Change()
	}
	run(false, false)
	run(true, false)
	err := h.replay(memdest.NewStorage(), state.NewMemory(), &crash.Process{At: -1}, pipeline.Thresholds{})
	if martsync.KindOf(err) != martsync.Data || !strings.Contains(martsync.HintOf(err), "--backfill") {
		t.Errorf("got %v, hint %q, want an error of kind data that asks for a backfill", err, martsync.HintOf(err))
	}
	run(true, true)
	run(true, false)
	into := memdest.NewStorage()
	if err := h.replay(into, state.NewMemory(), &crash.Process{At: -1}, pipeline.Thresholds{}); err != nil {
		t.Fatal(err)
	}
	for _, stream := range []string{"people", "programs", "catalog", "members"} {
		want, got := look(t, h.storage, stream), look(t, into, stream)
		if want.Cursor != got.Cursor {
			t.Errorf("%s: cursor %q, want %q", stream, got.Cursor, want.Cursor)
		}
	}
}

// TestWithoutAKeeper refuses a source that cannot keep.
func TestWithoutAKeeper(t *testing.T) {
	h := newHistory(t, 1)
	source, err := h.script.Open()
	if err != nil {
		t.Fatal(err)
	}
	_, err = pipeline.Run(t.Context(), &pipeline.Sync{
		Name: "x", Source: source, Destination: memdest.New(h.storage), State: h.state, Clock: h.script.Clock,
		Raw: pipeline.KeepIn(h.zone(h.store).Open),
	})
	if martsync.KindOf(err) != martsync.Config || !errors.Is(err, martsync.ErrUnsupported) {
		t.Errorf("got %v, want an error of kind config", err)
	}
}

// TestOtherAccount refuses a place that holds another account under the same name.
func TestOtherAccount(t *testing.T) {
	h := kept(t, 1)
	z, err := raw.New(h.store, "script-1", "crash", h.env())
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = z.Open(t.Context(), martsync.Schema{Stream: "people", Columns: []martsync.Column{{Name: "id", Type: martsync.Int64}}}, "", "", 0)
	if martsync.KindOf(err) != martsync.Config {
		t.Errorf("got %v, want an error of kind config", err)
	}
}

// TestForeignTable refuses to fill a table that stands where the zone never was.
func TestForeignTable(t *testing.T) {
	h := kept(t, 1)
	into := memdest.NewStorage()
	other := newHistory(t, 99)
	for range 3 {
		other.script.Change()
	}
	other.storage = into
	if err := other.sync(&crash.Process{At: -1}, pipeline.Sync{Streams: []string{"people"}}, false); err != nil {
		t.Fatal(err)
	}
	err := h.replay(into, state.NewMemory(), &crash.Process{At: -1}, pipeline.Thresholds{})
	if martsync.KindOf(err) != martsync.Config {
		t.Errorf("got %v, want an error of kind config", err)
	}
}

// TestHalfReplayed refuses to sync a table that a replay has left half-way, and says what to do.
func TestHalfReplayed(t *testing.T) {
	h := kept(t, 2)
	into, s := memdest.NewStorage(), state.NewMemory()
	err := h.replay(into, s, &crash.Process{At: -1, Kill: "destination: commit people"}, pipeline.Thresholds{Rows: 1})
	if err == nil {
		t.Fatal("the replay was not killed")
	}
	h.storage, h.state = into, state.NewMemory()
	err = h.sync(&crash.Process{At: -1}, pipeline.Sync{Streams: []string{"people"}}, false)
	if martsync.KindOf(err) != martsync.Config || !strings.Contains(martsync.HintOf(err), "replay again") {
		t.Errorf("got %v, hint %q, want an error that asks for the replay", err, martsync.HintOf(err))
	}
}

// TestHalfReplayedKeepsTheZone tries to sync a table that a replay has left half-way, as a timer does that fires in
// between, into the zone that it is made from. The zone still makes all of the table, there and elsewhere.
func TestHalfReplayedKeepsTheZone(t *testing.T) {
	for _, backfill := range []bool{false, true} {
		t.Run(fmt.Sprintf("backfill %v", backfill), func(t *testing.T) {
			h := kept(t, 2)
			synced := h.storage
			into := memdest.NewStorage()
			err := h.replay(into, state.NewMemory(), &crash.Process{At: -1, Kill: "destination: commit people"}, pipeline.Thresholds{Rows: 1})
			if err == nil {
				t.Fatal("the replay was not killed")
			}
			h.storage, h.state = into, state.NewMemory()
			p := &crash.Process{At: -1}
			if backfill {
				p.Kill = "destination: commit people"
			}
			if err = h.sync(p, pipeline.Sync{Streams: []string{"people"}, Backfill: backfill}, true); err == nil {
				t.Fatal("the sync was not refused")
			}
			h.storage = synced
			elsewhere := memdest.NewStorage()
			if err := h.replay(elsewhere, state.NewMemory(), &crash.Process{At: -1}, pipeline.Thresholds{}); err != nil {
				t.Fatalf("elsewhere: %v", err)
			}
			if backfill {
				return // what it read is in the zone, and not in the table
			}
			h.equal(elsewhere)
			if err := h.replay(into, state.NewMemory(), &crash.Process{At: -1}, pipeline.Thresholds{}); err != nil {
				t.Fatalf("again: %v", err)
			}
			h.equal(into)
		})
	}
}

// TestLostTables syncs into tables that were lost, as a timer does before anybody has noticed. It is refused, however
// often, and the zone makes them again; a backfill is not refused.
func TestLostTables(t *testing.T) {
	h := kept(t, 3)
	synced := h.storage
	h.storage, h.state = memdest.NewStorage(), state.NewMemory()
	only := []string{"people", "events"}
	for range 2 {
		err := h.sync(&crash.Process{At: -1}, pipeline.Sync{Streams: only}, true)
		if martsync.KindOf(err) != martsync.Data || !strings.Contains(martsync.HintOf(err), "martsync replay") {
			t.Fatalf("got %v, hint %q, want an error of kind data that names the replay", err, martsync.HintOf(err))
		}
		if got := look(t, h.storage, "people"); got.Cursor != "" {
			t.Errorf("people stand at %q, want an empty table", got.Cursor)
		}
		h.dropLeases()
	}
	// Nor is anything forgotten while a new beginning has saved something and committed nothing.
	schema := martsync.Schema{Stream: "events", Key: []string{"id"}, Columns: []martsync.Column{{Name: "id", Type: martsync.Int64}}}
	w, _, err := h.zone(h.store).Open(t.Context(), schema, "", "", 0)
	if err != nil {
		t.Fatal(err)
	}
	b := page("new", "1")
	if err := w.Add(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	if n, err := w.Save(t.Context(), martsync.Commit{Next: "1"}); err != nil || n == 0 {
		t.Fatalf("save: entry %d, %v", n, err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	h.state = state.NewMemory()
	empty := h.storage
	h.storage = synced
	into := memdest.NewStorage()
	if err := h.replay(into, state.NewMemory(), &crash.Process{At: -1}, pipeline.Thresholds{}); err != nil {
		t.Fatal(err)
	}
	if got := look(t, into, "events"); !cmp.Equal(got, look(t, synced, "events")) {
		t.Errorf("events: %s", cmp.Diff(look(t, synced, "events"), got))
	}
	h.storage = empty
	if err := h.sync(&crash.Process{At: -1}, pipeline.Sync{Streams: only, Backfill: true}, true); err != nil {
		t.Fatal(err)
	}
	if err := h.sync(&crash.Process{At: -1}, pipeline.Sync{Streams: only}, true); err != nil {
		t.Fatal(err)
	}
}

// TestZoneThatWasToldOfAReplay reads a zone that says last that the table was in the middle of a replay.
func TestZoneThatWasToldOfAReplay(t *testing.T) {
	h := kept(t, 2)
	src, err := h.script.Open()
	if err != nil {
		t.Fatal(err)
	}
	streams, err := src.Streams(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range streams {
		base := martsync.Cursor(`{"replay":1,"units":1}`)
		if i%2 == 1 {
			base = "martsync:{\"rows\":1}\n" + base
		}
		w, _, err := h.zone(h.store).Open(t.Context(), s.Schema(), base, base, 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	h.compare()
}

// TestList finds files by stream, job and SHA-256, and their bytes where it says.
func TestList(t *testing.T) {
	h := kept(t, 2)
	z := h.zone(h.store)
	streams, err := z.Streams(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"catalog", "events", "files", "members", "people", "programs"}, streams); diff != "" {
		t.Errorf("streams (-want +got):\n%s", diff)
	}
	jobs := 0
	for k, err := range z.List(t.Context(), "events") {
		if err != nil {
			t.Fatal(err)
		}
		if k.Length > 0 && int64(len(h.store.objects[k.Object])) < k.Start+k.Length {
			t.Errorf("%+v: the object has %d bytes", k, len(h.store.objects[k.Object]))
		}
		if k.Job != "" && k.Bytes > 0 {
			jobs++
		}
		if k.Sync == "" || k.At.IsZero() || len(k.SHA256) != 64 {
			t.Errorf("incomplete: %+v", k)
		}
	}
	if jobs == 0 {
		t.Error("no file has a job")
	}
}

// A scripted source yields batches with bodies as a test says; Replay makes a row of each byte.
type scripted struct {
	schemas []martsync.Schema // of the syncs
	batches func(sync int, from martsync.Cursor) []martsync.Batch
	sync    int
}

func (s *scripted) Account() string { return "scripted:1" }
func (s *scripted) KeepRaw()        {}
func (s *scripted) Streams(context.Context) ([]martsync.Stream, error) {
	return []martsync.Stream{s}, nil
}
func (s *scripted) Schema() martsync.Schema { return s.schemas[min(s.sync, len(s.schemas)-1)] }

func (s *scripted) Read(_ context.Context, from martsync.Cursor, _ martsync.Span) iter.Seq2[martsync.Batch, error] {
	return func(yield func(martsync.Batch, error) bool) {
		schema := s.Schema()
		for _, b := range s.batches(s.sync, from) {
			for _, r := range b.Raw {
				if len(r.Data) > 0 {
					b.Records = bytesRows(schema, r.Data)
				}
			}
			if !yield(b, nil) {
				return
			}
		}
	}
}

func bytesRows(schema martsync.Schema, data []byte) *martsync.Records {
	b := rows.NewBuilder(schema.Columns)
	for _, c := range data {
		cells := []any{int64(c)}
		for range schema.Columns[1:] {
			cells = append(cells, fmt.Sprint("of ", len(schema.Columns)))
		}
		b.Append(cells...)
	}
	return b.Records()
}

func (s *scripted) Replay(_ context.Context, schema martsync.Schema, bodies iter.Seq2[martsync.RawBody, error]) iter.Seq2[martsync.Batch, error] {
	return func(yield func(martsync.Batch, error) bool) {
		var all bytes.Buffer
		for b, err := range bodies {
			if err == nil {
				_, err = all.ReadFrom(b.Data)
			}
			if err != nil {
				yield(martsync.Batch{}, err)
				return
			}
		}
		for chunk := range bytesOf(all.Bytes(), 4) {
			if !yield(martsync.Batch{Records: bytesRows(schema, chunk)}, nil) {
				return
			}
		}
	}
}

func bytesOf(data []byte, n int) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for len(data) > 0 {
			k := min(n, len(data))
			if !yield(data[:k]) {
				return
			}
			data = data[k:]
		}
	}
}

func page(text string, cursor martsync.Cursor) martsync.Batch {
	return martsync.Batch{Cursor: cursor, Raw: []martsync.Raw{{Body: "page.json", Data: []byte(text), How: "{}"}}}
}

func windowed(b martsync.Batch, filter string, parsed int64) martsync.Batch {
	b.Window = &martsync.Window{Filter: filter, Records: -1, Bytes: -1, Parsed: parsed}
	return b
}

// TestShapes replays what the account of package crash does not do: several windows in one unit, a schema that changes,
// snapshots that change and stay, a backfill from the middle of a window.
func TestShapes(t *testing.T) {
	id := martsync.Column{Name: "id", Type: martsync.Int64}
	one := martsync.Schema{Stream: "things", Key: []string{"id"}, Columns: []martsync.Column{id}}
	two := one
	two.Columns = []martsync.Column{id, {Name: "name", Type: martsync.String}}
	snapshot := one
	snapshot.Snapshot = true
	sticky := two
	sticky.Columns = []martsync.Column{id, {Name: "name", Type: martsync.String, Sticky: true}}
	for _, c := range []struct {
		name     string
		schemas  []martsync.Schema
		backfill int // the sync that is one
		batches  func(sync int, from martsync.Cursor) []martsync.Batch
	}{
		{"windows in one unit", []martsync.Schema{one}, -1, func(int, martsync.Cursor) []martsync.Batch {
			return []martsync.Batch{
				windowed(page("abcdef", ""), "a", 6), windowed(page("", ""), "b", 0), windowed(page("gh", ""), "c", 2), windowed(page("", ""), "d", 0),
				page("ij", ""), windowed(page("", "end"), "e", 2),
			}
		}},
		{"columns come and go", []martsync.Schema{one, two, one}, -1, func(sync int, _ martsync.Cursor) []martsync.Batch {
			return []martsync.Batch{windowed(page([]string{"abc", "bcd", "ade"}[sync], martsync.Cursor(fmt.Sprint(sync))), fmt.Sprint(sync), 3)}
		}},
		{"snapshots", []martsync.Schema{snapshot}, -1, func(sync int, _ martsync.Cursor) []martsync.Batch {
			return []martsync.Batch{page("", ""), windowed(page([]string{"abc", "abc", "bd"}[sync], "always"), fmt.Sprint(sync), int64(len([]string{"abc", "abc", "bd"}[sync])))}
		}},
		{"a backfill in the middle of a window", []martsync.Schema{sticky}, 1, func(sync int, _ martsync.Cursor) []martsync.Batch {
			if sync == 0 {
				return []martsync.Batch{page("abc", "open")}
			}
			return []martsync.Batch{page("ab", "half"), windowed(page("cd", martsync.Cursor(fmt.Sprint("done", sync))), fmt.Sprint(sync), 4)}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			clock := simulate.NewClock(time.Date(2025, 3, 1, 0, 0, 0, 0, time.UTC))
			env := martsync.Env{Clock: clock, Log: slog.New(slog.DiscardHandler)}
			store := blobtest.Folder(t)
			zone, err := raw.New(store, "scripted:1", "shapes", env)
			if err != nil {
				t.Fatal(err)
			}
			source := &scripted{schemas: c.schemas, batches: c.batches}
			first, memory := memdest.NewStorage(), state.NewMemory()
			for source.sync = range 3 {
				if _, err := pipeline.Run(t.Context(), &pipeline.Sync{
					ID: fmt.Sprintf("run-%d", source.sync), Name: "shapes", Source: source, Destination: memdest.New(first), State: memory, Clock: clock,
					Raw: pipeline.KeepIn(zone.Open), Backfill: source.sync == c.backfill,
				}); err != nil {
					t.Fatal(err)
				}
			}
			second := memdest.NewStorage()
			if _, err := pipeline.Run(t.Context(), &pipeline.Sync{
				Name: "replay", Source: raw.Source(zone, source, "replay:1"), Destination: memdest.New(second), State: state.NewMemory(), Clock: clock,
			}); err != nil {
				t.Fatal(err)
			}
			want, got := look(t, first, "things"), look(t, second, "things")
			if len(want.Rows) == 0 || len(want.Ledger) == 0 {
				t.Fatalf("the sync left %+v", want)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-as synced +as replayed):\n%s", diff)
			}
		})
	}
}

// TestReplayDiffers notices a source that makes fewer rows than it did.
func TestReplayDiffers(t *testing.T) {
	h := kept(t, 1)
	for key, data := range h.store.objects {
		if !strings.Contains(key, "/people/entry-") {
			continue
		}
		var e map[string]any
		if err := json.Unmarshal(data, &e); err != nil {
			t.Fatal(err)
		}
		for _, u := range e["units"].([]any) {
			u.(map[string]any)["rows"] = 100
		}
		changed, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		h.store.objects[key] = changed
	}
	err := h.replay(memdest.NewStorage(), state.NewMemory(), &crash.Process{At: -1}, pipeline.Thresholds{})
	if martsync.KindOf(err) != martsync.Internal || !strings.Contains(err.Error(), "rows") {
		t.Errorf("got %v, want an error about rows", err)
	}
}

// TestMemoryStore checks the store of these tests against what a zone relies on.
func TestMemoryStore(t *testing.T) {
	m := newMemory()
	ctx := t.Context()
	if err := m.Put(ctx, "a", []byte("1"), true); err != nil {
		t.Fatal(err)
	}
	if err := m.Put(ctx, "a", []byte("2"), true); !errors.Is(err, blob.ErrExists) {
		t.Errorf("a second put: got %v, want %v", err, blob.ErrExists)
	}
	if _, err := m.Get(ctx, "b", 10); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("get: got %v, want %v", err, blob.ErrNotFound)
	}
}

// TestSize: a zone takes what its objects take, and those of another sync are not its own.
func TestSize(t *testing.T) {
	store := blobtest.Folder(t)
	env := martsync.Env{Log: slog.New(slog.DiscardHandler), Clock: simulate.NewClock(time.Date(2025, 3, 1, 0, 0, 0, 0, time.UTC)), TempDir: t.TempDir()}
	zone, err := raw.New(store, "script:1", "nightly", env)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []int64{0, 5 + 7} {
		if got, err := zone.Size(t.Context()); got != want || err != nil {
			t.Errorf("got %d bytes, %v, want %d", got, err, want)
		}
		for key, n := range map[string]int{"script-1/nightly/leads/a": 5, "script-1/nightly/emails/b": 7, "script-1/nightly2/leads/a": 11, "script-2/nightly/leads/a": 13} {
			if err := store.Put(t.Context(), key, make([]byte, n), false); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestOlderZone replays entries that were written before positions told their account, and goes on from there: a sync
// takes over the table that was made from them, and the zone knows it.
func TestOlderZone(t *testing.T) {
	clock := simulate.NewClock(time.Date(2025, 3, 1, 0, 0, 0, 0, time.UTC))
	env := martsync.Env{Clock: clock, Log: slog.New(slog.DiscardHandler)}
	store := blobtest.Folder(t)
	zone, err := raw.New(store, "scripted:1", "older", env)
	if err != nil {
		t.Fatal(err)
	}
	source := &scripted{
		schemas: []martsync.Schema{{Stream: "things", Key: []string{"id"}, Columns: []martsync.Column{{Name: "id", Type: martsync.Int64}}}},
		batches: func(sync int, _ martsync.Cursor) []martsync.Batch {
			return []martsync.Batch{windowed(page([]string{"abc", "def", "ghi"}[sync], martsync.Cursor(fmt.Sprint(sync))), fmt.Sprint(sync), 3)}
		},
	}
	run := func(into *memdest.Storage) {
		t.Helper()
		if _, err := pipeline.Run(t.Context(), &pipeline.Sync{
			Name: "older", Source: source, Destination: memdest.New(into), State: state.NewMemory(), Clock: clock, Raw: pipeline.KeepIn(zone.Open),
		}); err != nil {
			t.Fatal(err)
		}
		source.sync++
	}
	replay := func() *memdest.Storage {
		t.Helper()
		into := memdest.NewStorage()
		if _, err := pipeline.Run(t.Context(), &pipeline.Sync{
			Name: "replay", Source: raw.Source(zone, source, "replay:1"), Destination: memdest.New(into), State: state.NewMemory(), Clock: clock,
		}); err != nil {
			t.Fatal(err)
		}
		return into
	}
	first := memdest.NewStorage()
	run(first)
	run(first)
	aged := 0
	for e, err := range store.List(t.Context(), "", "") {
		if err != nil {
			t.Fatal(err)
		}
		data, err := store.Get(t.Context(), e.Key, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		older := bytes.ReplaceAll(data, []byte(`,\"account\":\"scripted:1\"`), nil)
		older = bytes.ReplaceAll(older, []byte(`martsync:{\"account\":\"scripted:1\"}\n`), nil)
		if bytes.Equal(older, data) {
			continue
		}
		aged++
		if err := store.Put(t.Context(), e.Key, older, false); err != nil {
			t.Fatal(err)
		}
	}
	if aged < 2 {
		t.Fatalf("%d entries told an account, want those of two commits", aged)
	}
	second := replay()
	if diff := cmp.Diff(look(t, first, "things"), look(t, second, "things")); diff != "" {
		t.Fatalf("(-as synced +as replayed):\n%s", diff)
	}
	run(second)
	if diff := cmp.Diff(look(t, second, "things"), look(t, replay(), "things")); diff != "" {
		t.Errorf("after another sync (-as synced +as replayed):\n%s", diff)
	}
}
