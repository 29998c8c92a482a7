// Package crash tests that a sync loses nothing and doubles nothing, whatever dies when. It
// kills a sync at a call to its source, its destination or its state store (before the call,
// after it, or with the call failing or taking effect without saying so), starts it again
// and compares the tables with the source.
package crash

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/destination/destinationtest"
	"github.com/martsync/martsync/pipeline"
	"github.com/martsync/martsync/state"
)

// A World is an account at a vendor, with the truth about it.
type World struct {
	// Open opens a source on the account, as another process would.
	Open func() (martsync.Source, error)

	// Change changes the account's records. Nil: they stay as they are.
	Change func()

	// Verify compares the tables with the truth. A sync has just read everything.
	Verify func(ctx context.Context, d martsync.Destination) error

	// Clock is the clock that the source uses. It must be virtual: sleeping moves it.
	Clock martsync.Clock
}

// Options say how much to test. Zero fields mean the defaults.
type Options struct {
	Runs     int  // random histories; default 200, or 10,000 if MARTSYNC_NIGHTLY is set; negative: none
	Every    int  // of the calls of one sync every n-th goes wrong, in each mode; default 1; negative: none does
	Backfill bool // some syncs of the random histories read again from the beginning

	// Seed is that of the first random history. A failure names the seed to repeat.
	Seed uint64

	// Limits make commits and stages frequent. Default: a few rows.
	Limits pipeline.Thresholds
}

// shortOf is the part that go test -short leaves of the calls and of the histories: enough for the race
// detector, which looks at how goroutines meet and not at which call fails.
const shortOf = 11

// Nightly reports whether the long version of the tests was asked for.
func Nightly() bool { return os.Getenv("MARTSYNC_NIGHTLY") != "" }

// Test runs histories of syncs that die against a world and a destination: first one in which
// each call in turn goes wrong in each mode, then one in which another sync runs at each call
// in turn, as if the lease had been lost, then random ones. Each history has a new world and
// a new, empty destination, which must be able to hand out two writers of a table.
func Test(t *testing.T, world func(t testing.TB, seed uint64) *World, destination func(t testing.TB) destinationtest.Factory, o Options) {
	if o.Runs == 0 {
		o.Runs = 200
		if Nightly() {
			o.Runs = 10_000
		}
	}
	if o.Every == 0 {
		o.Every = 1
	}
	if testing.Short() {
		o.Every *= shortOf
		o.Runs = max(o.Runs/shortOf, min(o.Runs, 1))
	}
	if o.Limits == (pipeline.Thresholds{}) {
		o.Limits = pipeline.Thresholds{Rows: 7, Staged: 1}
	}
	if o.Every > 0 {
		t.Run("every call", func(t *testing.T) { everyCall(t, world, destination, o) })
		t.Run("every overlap", func(t *testing.T) { everyOverlap(t, world, destination, o) })
	}
	t.Run("random", func(t *testing.T) {
		for i := range o.Runs {
			if !randomHistory(t, world, destination, o, o.Seed+uint64(i)) { //nolint:gosec // a small count
				return
			}
		}
	})
}

// everyCall lets each call of the second sync of a history go wrong, until there is none left.
func everyCall(t *testing.T, world func(t testing.TB, seed uint64) *World, destination func(t testing.TB) destinationtest.Factory, o Options) {
	for mode := range modes {
		for at := 0; ; at += o.Every {
			h := newHistory(t, world, destination, o, 1)
			_ = h.sync(&Process{At: -1}, pipeline.Sync{Parallel: 1}) // without faults: it reports itself
			h.change()
			p := &Process{At: at, Mode: mode}
			_ = h.sync(p, pipeline.Sync{Parallel: 1}) // it may fail
			call, wrong := p.Failed()
			h.logf("%s at call %d: %s", mode, at, call)
			h.conclude()
			h.close()
			if t.Failed() {
				return
			}
			if !wrong {
				t.Logf("%s: %d calls", mode, len(p.Calls()))
				break
			}
		}
	}
}

// everyOverlap lets another sync run, from its beginning to its end, at each call of the second
// sync of a history: with the state store of the first, or with one of its own.
func everyOverlap(t *testing.T, world func(t testing.TB, seed uint64) *World, destination func(t testing.TB) destinationtest.Factory, o Options) {
	for _, apart := range []bool{false, true} {
		for at := 0; ; at += o.Every {
			h := newHistory(t, world, destination, o, 2)
			_ = h.sync(&Process{At: -1}, pipeline.Sync{Parallel: 1}) // without faults: it reports itself
			h.change()
			p := &Process{At: -1, MeanwhileAt: at}
			h.meanwhile(p, &Process{At: -1}, apart, at%3 == 0)
			_ = h.sync(p, pipeline.Sync{Parallel: 1}) // it may meet the other one
			h.conclude()
			h.close()
			if t.Failed() {
				return
			}
			if at >= len(p.Calls()) {
				t.Logf("own state %v: %d calls", apart, len(p.Calls()))
				break
			}
		}
	}
}

// randomHistory runs some syncs, of which each may go wrong, and reports whether all was well.
func randomHistory(t *testing.T, world func(t testing.TB, seed uint64) *World, destination func(t testing.TB) destinationtest.Factory, o Options, seed uint64) bool {
	h := newHistory(t, world, destination, o, seed)
	defer h.close()
	r := rand.New(rand.NewPCG(seed, 7)) //nolint:gosec // repeatable on purpose
	calls := 120                        // a guess at the calls of a sync, corrected by each
	for range 2 + r.IntN(4) {
		if r.IntN(5) > 0 {
			h.change()
		}
		if r.IntN(6) == 0 {
			h.logf("state lost")
			h.state = state.NewMemory()
		}
		s := pipeline.Sync{Parallel: 1 + r.IntN(3), Backfill: o.Backfill && r.IntN(5) == 0}
		p := &Process{At: r.IntN(calls + calls/4), Mode: Mode(r.IntN(int(modes)))} //nolint:gosec // small
		if r.IntN(6) == 0 {
			p.At = -1
		}
		if r.IntN(3) == 0 {
			other := &Process{At: -1}
			if r.IntN(2) == 0 {
				other = &Process{At: r.IntN(calls), Mode: Mode(r.IntN(int(modes)))} //nolint:gosec // small
			}
			p.MeanwhileAt = r.IntN(calls)
			h.meanwhile(p, other, r.IntN(2) == 0, r.IntN(2) == 0)
		}
		if r.IntN(3) == 0 {
			s.Stop = h.stopAt(p, r.IntN(calls))
		}
		_ = h.sync(p, s) // it may fail
		call, _ := p.Failed()
		h.logf("parallel %d, backfill %v: %s at call %d of %d: %q", s.Parallel, s.Backfill, p.Mode, p.At, len(p.Calls()), call)
		calls = max(len(p.Calls()), 20)
	}
	h.conclude()
	return !t.Failed()
}

// A history is some syncs of one world into one destination.
type history struct {
	t       *testing.T
	seed    uint64
	world   *World
	factory destinationtest.Factory
	dest    martsync.Destination
	state   state.Store
	limits  pipeline.Thresholds
	syncs   int
	story   []string
	running bool // a sync runs in the middle of another one
}

func newHistory(t *testing.T, world func(t testing.TB, seed uint64) *World, destination func(t testing.TB) destinationtest.Factory, o Options, seed uint64) *history {
	t.Helper()
	f := destination(t)
	return &history{
		t: t, seed: seed, world: world(t, seed), factory: f, dest: f.Open(t),
		state: state.NewMemory(), limits: o.Limits,
	}
}

func (h *history) close() {
	if err := h.dest.Close(); err != nil {
		h.t.Errorf("close destination: %v", err)
	}
}

func (h *history) logf(format string, args ...any) {
	h.story = append(h.story, fmt.Sprintf(format, args...))
}

func (h *history) fail(format string, args ...any) {
	h.t.Helper()
	h.t.Errorf("seed %d: %s", h.seed, fmt.Sprintf(format, args...))
	for i, line := range h.story {
		h.t.Logf("%2d. %s", i+1, line)
	}
}

func (h *history) change() {
	if h.world.Change != nil {
		h.world.Change()
	}
}

// sync runs a sync in the process until it is done, fails or dies. That it may fail is the
// point; conclude judges.
func (h *history) sync(p *Process, s pipeline.Sync) error {
	h.syncs++
	src, err := h.world.Open()
	if err != nil {
		h.t.Fatalf("open source: %v", err)
	}
	s.ID = fmt.Sprintf("run-%d", h.syncs)
	s.Name = "crash"
	s.Limits = h.limits
	s.Clock = h.world.Clock
	s.Source, s.Destination, s.State = p.Source(src), p.Destination(h.dest), p.Store(h.state)
	_, err = pipeline.Run(context.Background(), &s)
	if err != nil && errors.Is(err, errDead) && !p.Dead() {
		h.fail("sync %d fails as if dead, but it is not: %v", h.syncs, err)
	}
	// Only a process that was told something wrong, or that met another one, may see errors.
	if err != nil && p.At < 0 && p.Meanwhile == nil && !h.running && martsync.KindOf(err) != martsync.Busy {
		h.fail("sync %d: %v", h.syncs, err)
	}
	return err
}

// meanwhile lets another sync run in the middle of p, as if the lease had been lost: with the
// lease taken away, or apart, with a state store of its own. The account may change before.
func (h *history) meanwhile(p, other *Process, apart, change bool) {
	p.Meanwhile = func() {
		if h.running {
			return
		}
		h.running = true
		defer func() { h.running = false }()
		if change {
			h.change()
		}
		shared := h.state
		if apart {
			h.state = state.NewMemory()
			defer func() { h.state = shared }()
		} else {
			h.dropLeases()
		}
		err := h.sync(other, pipeline.Sync{Parallel: 1})
		call, _ := other.Failed()
		h.logf("meanwhile, at call %d, another sync (own state: %v): %s at call %d of %d: %q: %v",
			p.MeanwhileAt, apart, other.Mode, other.At, len(other.Calls()), call, err)
	}
}

func (h *history) dropLeases() {
	ctx := context.Background()
	keys, err := h.state.List(ctx, "lease/")
	if err != nil {
		h.t.Fatal(err)
	}
	for _, k := range keys {
		d, err := h.state.Get(ctx, k)
		if err == nil {
			_, err = h.state.Put(ctx, k, nil, d.Revision)
		}
		if err != nil {
			h.t.Fatal(err)
		}
	}
}

// stopAt returns a channel that is closed at the process's call n.
func (h *history) stopAt(p *Process, n int) <-chan struct{} {
	if p.Meanwhile != nil {
		return nil
	}
	stop := make(chan struct{})
	p.MeanwhileAt, p.Meanwhile = n, func() { close(stop) }
	h.logf("the next sync is asked to stop at call %d", n)
	return stop
}

// conclude lets syncs run without faults and compares: one to end what was interrupted, of
// which the source may have been half-way through its listings, and one from the beginning.
func (h *history) conclude() {
	h.t.Helper()
	ctx := context.Background()
	for tries, done := 0, 0; done < 2; tries++ {
		err := h.sync(&Process{At: -1}, pipeline.Sync{Parallel: 2})
		if err == nil {
			done++
			continue
		}
		if martsync.KindOf(err) != martsync.Busy || tries == 3 {
			h.fail("the last sync: %v", err)
			return
		}
		// The lease of a dead process expires.
		if err := h.world.Clock.Sleep(ctx, max(martsync.AfterOf(err), time.Second)); err != nil {
			h.t.Fatal(err)
		}
	}
	if err := h.world.Verify(ctx, h.dest); err != nil {
		h.fail("%v", err)
	}
	if err := h.verifyLedger(ctx); err != nil {
		h.fail("%v", err)
	}
}

// verifyLedger checks I4 and I5 in the ledger, and that the quarantine has what it counts.
func (h *history) verifyLedger(ctx context.Context) error {
	r, ok := h.dest.(martsync.HistoryReader)
	if !ok {
		return nil
	}
	jobs := map[string]string{}
	quarantined := map[string]int64{}
	for e, err := range r.Ledger(ctx, "") {
		if err != nil {
			return fmt.Errorf("read ledger: %w", err)
		}
		w := e.Window
		if w.Parsed != w.Quarantined+w.Written || w.Records >= 0 && w.Records != w.Parsed {
			return fmt.Errorf("ledger of %s: the numbers do not add up: %+v", e.Stream, w)
		}
		quarantined[e.Stream] += w.Quarantined
		if w.Job == "" {
			continue
		}
		key := e.Stream + " " + w.Job + " " + w.Filter
		if first, twice := jobs[key]; twice {
			return fmt.Errorf("ledger of %s: job %s is there twice, from %s and %s", e.Stream, w.Job, first, e.Sync)
		}
		jobs[key] = e.Sync
	}
	if h.factory.Quarantine == nil {
		return nil
	}
	for stream, want := range quarantined {
		if got := len(h.factory.Quarantine(h.t, h.dest, stream)); int64(got) != want {
			return fmt.Errorf("quarantine of %s: %d rows, and the ledger counts %d", stream, got, want)
		}
	}
	return nil
}
