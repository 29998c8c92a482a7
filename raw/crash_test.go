package raw_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/martsync/martsync"
	memdest "github.com/martsync/martsync/destination/memory"
	"github.com/martsync/martsync/internal/blob"
	"github.com/martsync/martsync/internal/blob/blobtest"
	"github.com/martsync/martsync/internal/crash"
	"github.com/martsync/martsync/internal/position"
	"github.com/martsync/martsync/internal/rows"
	"github.com/martsync/martsync/pipeline"
	"github.com/martsync/martsync/raw"
	"github.com/martsync/martsync/state"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// effect makes the calls of a store calls of a process.
type effect struct {
	state.Store
	do func() error
}

func (e effect) List(context.Context, string) ([]string, error) { return nil, e.do() }

func hooked(s blob.Store, p *crash.Process) blob.Store {
	return &blobtest.Hooked{Store: s, Call: func(name, key string, do func() error) error {
		_, err := p.Store(effect{do: do}).List(context.Background(), "raw "+name)
		return err
	}}
}

// A history is some syncs of a scripted account into one table, and the zone beside it.
type history struct {
	t       *testing.T
	script  *crash.Script
	vendor  *vendor
	storage *memdest.Storage
	state   state.Store
	store   *memory
	syncs   int
	story   []string
	running bool
}

func newHistory(t *testing.T, seed uint64) *history {
	h := &history{
		t: t, script: crash.NewScript(seed), vendor: newVendor(), storage: memdest.NewStorage(), state: state.NewMemory(), store: newMemory(),
	}
	// The first sync of this program would try the store, and hold others up meanwhile: also one that runs in the middle of it, for which
	// it waits. And a history would have other calls when it comes first.
	if err := blob.Probe(t.Context(), h.store); err != nil {
		t.Fatal(err)
	}
	return h
}

func (h *history) fail(format string, args ...any) {
	h.t.Helper()
	h.t.Errorf(format, args...)
	for i, line := range h.story {
		h.t.Logf("%2d. %s", i+1, line)
	}
}

func (h *history) env() martsync.Env {
	return martsync.Env{Clock: h.script.Clock, Log: slog.New(slog.DiscardHandler)}
}

func (h *history) zone(store blob.Store) *raw.Zone {
	z, err := raw.New(store, "script:1", "crash", h.env())
	if err != nil {
		h.t.Fatal(err)
	}
	return z
}

// sync runs a sync in the process. Without keeping, the zone is not told.
func (h *history) sync(p *crash.Process, s pipeline.Sync, keeping bool) error {
	h.syncs++
	src, err := h.script.Open()
	if err != nil {
		h.t.Fatal(err)
	}
	s.ID, s.Name, s.Clock = fmt.Sprintf("run-%d", h.syncs), "crash", h.script.Clock
	s.Limits = pipeline.Thresholds{Rows: 7, Staged: 1}
	s.Source, s.Destination, s.State = h.vendor.open(p.Source(src)), p.Destination(memdest.New(h.storage)), p.Store(h.state)
	if keeping {
		s.Raw = pipeline.KeepIn(h.zone(hooked(h.store, p)).Open)
	}
	_, err = pipeline.Run(context.Background(), &s)
	return err
}

// meanwhile lets another sync run at a call of p, as if the lease had been lost.
func (h *history) meanwhile(p, other *crash.Process, apart, change bool) {
	p.Meanwhile = func() {
		if h.running {
			return
		}
		h.running = true
		defer func() { h.running = false }()
		if change {
			h.script.Change()
		}
		shared := h.state
		if apart {
			h.state = state.NewMemory()
			defer func() { h.state = shared }()
		} else {
			h.dropLeases()
		}
		err := h.sync(other, pipeline.Sync{Parallel: 1}, true)
		call, _ := other.Failed()
		h.story = append(h.story, fmt.Sprintf("meanwhile, at call %d, another sync (own state: %v): %s at call %d: %q: %v", p.MeanwhileAt, apart, other.Mode, other.At, call, err))
	}
}

func (h *history) dropLeases() {
	ctx := context.Background()
	keys, err := h.state.List(ctx, "lease/")
	for _, k := range keys {
		d, e := h.state.Get(ctx, k)
		if e == nil {
			_, e = h.state.Put(ctx, k, nil, d.Revision)
		}
		err = errors.Join(err, e)
	}
	if err != nil {
		h.t.Fatal(err)
	}
}

// settle runs syncs without faults until what was interrupted has ended, and compares with the truth.
func (h *history) settle() {
	h.t.Helper()
	for tries, done := 0, 0; done < 2; tries++ {
		err := h.sync(&crash.Process{At: -1}, pipeline.Sync{Parallel: 2}, true)
		if err == nil {
			done++
			continue
		}
		if martsync.KindOf(err) != martsync.Busy || tries == 3 {
			h.fail("the last sync: %v", err)
			return
		}
		if err := h.script.Clock.Sleep(context.Background(), max(martsync.AfterOf(err), time.Second)); err != nil {
			h.t.Fatal(err)
		}
	}
	if err := h.script.Verify(context.Background(), memdest.New(h.storage)); err != nil {
		h.fail("%v", err)
	}
}

// replay fills the tables of a storage from the zone, in the process.
func (h *history) replay(into *memdest.Storage, s state.Store, p *crash.Process, limits pipeline.Thresholds) error {
	h.syncs++
	_, err := pipeline.Run(context.Background(), &pipeline.Sync{
		ID: fmt.Sprintf("run-%d", h.syncs), Name: "replay", Clock: h.script.Clock, State: p.Store(s), Limits: limits,
		Source:      raw.Source(h.zone(hooked(h.store, p)), h.vendor.open(nil), "replay:1"),
		Destination: p.Destination(memdest.New(into)),
	})
	return err
}

// compare replays into an empty table and compares it with the one that the zone was kept for.
func (h *history) compare() {
	h.t.Helper()
	if h.t.Failed() {
		return
	}
	into := memdest.NewStorage()
	if err := h.replay(into, state.NewMemory(), &crash.Process{At: -1}, pipeline.Thresholds{}); err != nil {
		h.fail("replay: %v", err)
		return
	}
	h.equal(into)
}

func (h *history) equal(into *memdest.Storage) {
	h.t.Helper()
	for _, stream := range []string{"people", "events", "files", "catalog", "members", "programs"} {
		want, got := look(h.t, h.storage, stream), look(h.t, into, stream)
		if diff := cmp.Diff(want, got); diff != "" {
			h.fail("%s (-as synced +as replayed):\n%s", stream, diff)
		}
	}
}

// unmarked is a position without what tells a commit that the zone knows from others that led there.
func unmarked(at martsync.Cursor) martsync.Cursor {
	cursor, told := position.Decode(at)
	told.Mark = ""
	return position.Encode(cursor, told)
}

// A table is everything about one that a replay makes again.
type table struct {
	Cursor      martsync.Cursor
	Rows        []string
	Ledger      []martsync.Window
	Quarantined []martsync.Quarantined
}

func look(t *testing.T, s *memdest.Storage, stream string) (out table) {
	t.Helper()
	ctx := context.Background()
	d := memdest.New(s)
	schema, batches, err := d.ReadTable(ctx, stream)
	if err != nil {
		return out
	}
	synced := schema.Index(martsync.SyncedAt)
	for r, err := range batches {
		if err != nil {
			t.Fatal(err)
		}
		for i, row := range rows.Of(schema.Columns, r) {
			if synced >= 0 {
				row = slices.Delete(row, synced, synced+1)
			}
			out.Rows = append(out.Rows, fmt.Sprint(row, rows.Deleted(r, i)))
		}
	}
	slices.Sort(out.Rows)
	for e, err := range d.Ledger(ctx, stream) {
		if err != nil {
			t.Fatal(err)
		}
		out.Ledger = append(out.Ledger, e.Window)
	}
	out.Quarantined = s.Quarantined(stream)
	var open martsync.Schema
	for _, c := range schema.Columns {
		if c.Name != martsync.SyncedAt && c.Name != martsync.Deleted {
			open.Columns = append(open.Columns, c)
		}
	}
	open.Stream, open.Key, open.Version, open.Snapshot, open.Deletes = stream, schema.Key, schema.Version, schema.Snapshot, schema.Deletes
	w, err := d.Open(ctx, open)
	if err != nil {
		t.Fatal(err)
	}
	out.Cursor = unmarked(w.Cursor())
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out
}

// TestKilled kills a sync that keeps what is sent at each of its calls, to the zone too, and in each mode;
// once it is through, the zone makes the same tables.
func TestKilled(t *testing.T) {
	every := 29
	if testing.Short() {
		every *= 5
	}
	if crash.Nightly() {
		every = 1
	}
	for mode := crash.KillBefore; mode <= crash.Hush; mode++ {
		t.Run(mode.String(), func(t *testing.T) {
			for at := int(mode) % every; !t.Failed(); at += every {
				h := newHistory(t, 1)
				if err := h.sync(&crash.Process{At: -1}, pipeline.Sync{Parallel: 1}, true); err != nil {
					t.Fatal(err)
				}
				h.script.Change()
				p := &crash.Process{At: at, Mode: mode}
				err := h.sync(p, pipeline.Sync{Parallel: 1}, true)
				call, wrong := p.Failed()
				h.story = append(h.story, fmt.Sprintf("%s at call %d: %s: %v", mode, at, call, err))
				h.settle()
				h.compare()
				if !wrong {
					t.Logf("%d calls", len(p.Calls()))
					break
				}
			}
		})
	}
}

// TestOverlapping lets another sync run at each call of one, as if the lease had been lost.
func TestOverlapping(t *testing.T) {
	every := 41
	if testing.Short() {
		every *= 5
	}
	if crash.Nightly() {
		every = 1
	}
	for _, apart := range []bool{false, true} {
		for at := 0; !t.Failed(); at += every {
			h := newHistory(t, 2)
			if err := h.sync(&crash.Process{At: -1}, pipeline.Sync{Parallel: 1}, true); err != nil {
				t.Fatal(err)
			}
			h.script.Change()
			p := &crash.Process{At: -1, MeanwhileAt: at}
			h.meanwhile(p, &crash.Process{At: -1}, apart, at%3 == 0)
			_ = h.sync(p, pipeline.Sync{Parallel: 1}, true) // it may meet the other one
			h.settle()
			h.compare()
			if at >= len(p.Calls()) {
				break
			}
		}
	}
}

// TestHistories runs random histories: syncs that die, that stop, that read again from the beginning,
// that overlap, and state stores that are lost.
func TestHistories(t *testing.T) {
	n := uint64(12)
	if crash.Nightly() {
		n = 5000
	}
	first := uint64(0)
	if s := os.Getenv("MARTSYNC_SEED"); s != "" {
		if _, err := fmt.Sscan(s, &first); err != nil {
			t.Fatal(err)
		}
		n = 1
	}
	for seed := first; seed < first+n && !t.Failed(); seed++ {
		randomHistory(t, seed)
	}
}

func randomHistory(t *testing.T, seed uint64) {
	h := newHistory(t, seed)
	h.story = append(h.story, fmt.Sprintf("seed %d", seed))
	r := rand.New(rand.NewPCG(seed, 11)) //nolint:gosec // repeatable on purpose
	calls := 300
	for range 2 + r.IntN(4) {
		if r.IntN(5) > 0 {
			h.script.Change()
		}
		if r.IntN(6) == 0 {
			h.story = append(h.story, "state lost")
			h.state = state.NewMemory()
		}
		s := pipeline.Sync{Parallel: 1 + r.IntN(3), Backfill: r.IntN(5) == 0}
		p := &crash.Process{At: r.IntN(calls + calls/4), Mode: crash.Mode(r.IntN(4))} //nolint:gosec // small
		if r.IntN(6) == 0 {
			p.At = -1
		}
		switch r.IntN(4) {
		case 0:
			other := &crash.Process{At: -1}
			if r.IntN(2) == 0 {
				other = &crash.Process{At: r.IntN(calls), Mode: crash.Mode(r.IntN(4))} //nolint:gosec // small
			}
			p.MeanwhileAt = r.IntN(calls)
			h.meanwhile(p, other, r.IntN(2) == 0, r.IntN(2) == 0)
		case 1:
			stop := make(chan struct{})
			p.MeanwhileAt, p.Meanwhile, s.Stop = r.IntN(calls), func() { close(stop) }, stop
		}
		err := h.sync(p, s, true)
		call, _ := p.Failed()
		h.story = append(h.story, fmt.Sprintf("backfill %v: %s at call %d of %d: %q: %v", s.Backfill, p.Mode, p.At, len(p.Calls()), call, err))
		calls = max(len(p.Calls()), 20)
	}
	h.settle()
	h.compare()
}

// TestReplayKilled kills a replay at each of its calls and lets it go on.
func TestReplayKilled(t *testing.T) {
	h := newHistory(t, 3)
	for range 3 {
		h.settle()
		h.script.Change()
	}
	if err := h.sync(&crash.Process{At: -1}, pipeline.Sync{Backfill: true}, true); err != nil {
		t.Fatal(err)
	}
	every := 29
	if testing.Short() {
		every *= 5
	}
	if crash.Nightly() {
		every = 1
	}
	for mode := crash.KillBefore; mode <= crash.Hush; mode++ {
		for at := int(mode); !t.Failed(); at += every {
			into, s := memdest.NewStorage(), state.NewMemory()
			p := &crash.Process{At: at, Mode: mode}
			err := h.replay(into, s, p, pipeline.Thresholds{Rows: 5})
			call, wrong := p.Failed()
			h.story = []string{fmt.Sprintf("%s at call %d: %s: %v", mode, at, call, err)}
			if err := h.script.Clock.Sleep(t.Context(), time.Hour); err != nil { // the lease of the dead
				t.Fatal(err)
			}
			if err := h.replay(into, s, &crash.Process{At: -1}, pipeline.Thresholds{}); err != nil {
				h.fail("the second replay: %v", err)
			}
			h.equal(into)
			if !wrong {
				t.Logf("%s: %d calls", mode, len(p.Calls()))
				break
			}
		}
	}
}
