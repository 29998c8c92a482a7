package daemon

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/schedule"
	"github.com/martsync/martsync/state"
)

// A fake is a job whose pieces of work a test decides. The tests run in bubbles of testing/synctest, where the
// system's clock is under control and begins at midnight.
type fake struct {
	name, account string
	advance       func(ctx context.Context, piece int, stop <-chan struct{}) (Outcome, error) // nil: done at once
	openErr       error

	mu             sync.Mutex
	pieces         []piece
	opened, closed int
}

// A piece is one call of Advance.
type piece struct {
	run        string
	begin, end time.Time
}

func (f *fake) job(t testing.TB, expression string) Job {
	s, err := schedule.Parse(expression)
	if err != nil {
		t.Fatal(err)
	}
	return Job{Name: f.name, Schedule: s, Zone: time.UTC, Open: func(_ context.Context, run string) (Run, error) {
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.openErr != nil {
			return nil, f.openErr
		}
		f.opened++
		return &fakeRun{f, run}, nil
	}}
}

type fakeRun struct {
	*fake
	run string
}

func (r *fakeRun) Account() string { return r.account }

func (r *fakeRun) Advance(ctx context.Context, stop <-chan struct{}) (Outcome, error) {
	r.mu.Lock()
	n := len(r.pieces)
	r.pieces = append(r.pieces, piece{run: r.run, begin: time.Now()})
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.pieces[n].end = time.Now()
	}()
	if r.advance == nil {
		return Outcome{Done: true}, nil
	}
	return r.advance(ctx, n, stop)
}

func (r *fakeRun) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed++
	return nil
}

// begins are the times of day at which pieces began.
func (f *fake) begins() (all []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, p := range f.pieces {
		all = append(all, p.begin.UTC().Format("15:04:05"))
	}
	return all
}

// runs are the distinct runs, in order.
func (f *fake) runIDs() (all []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, p := range f.pieces {
		all = append(all, p.run)
	}
	return slices.Compact(all)
}

// serveFor runs a daemon for a while and stops it.
func serveFor(t *testing.T, d time.Duration, o Options, jobs ...Job) {
	t.Helper()
	daemon, stop := start(t, o, jobs...)
	time.Sleep(d)
	stop()
	for _, s := range daemon.Status() {
		if s.Working {
			t.Errorf("%s is at work after the daemon has ended", s.Sync)
		}
	}
}

// start runs a daemon until stop is called, which waits for its end.
func start(t *testing.T, o Options, jobs ...Job) (d *Daemon, stop func()) {
	t.Helper()
	o.Clock = martsync.SystemClock{}
	d, err := New(jobs, o)
	if err != nil {
		t.Fatal(err)
	}
	closed, ended := make(chan struct{}), make(chan error)
	go func() { ended <- d.Run(t.Context(), closed) }()
	return d, func() {
		close(closed)
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

// brokenStore fails while it is broken.
type brokenStore struct {
	state.Store
	mu  sync.Mutex
	err error
}

func (b *brokenStore) set(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.err = err
}

func (b *brokenStore) fails() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err
}

func (b *brokenStore) Get(ctx context.Context, key string) (state.Document, error) {
	if err := b.fails(); err != nil {
		return state.Document{}, err
	}
	return b.Store.Get(ctx, key)
}

func (b *brokenStore) Put(ctx context.Context, key string, data []byte, revision string) (string, error) {
	if err := b.fails(); err != nil {
		return "", err
	}
	return b.Store.Put(ctx, key, data, revision)
}

func (b *brokenStore) List(ctx context.Context, prefix string) ([]string, error) {
	if err := b.fails(); err != nil {
		return nil, err
	}
	return b.Store.List(ctx, prefix)
}

// logTo collects log lines.
func logTo(b *strings.Builder) *slog.Logger { return slog.New(slog.NewTextHandler(b, nil)) }
