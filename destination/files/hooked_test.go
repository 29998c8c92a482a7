package files

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/blob"
)

// A process is what one process does to a store. At call number at it dies, or the call fails.
type process struct {
	at    int
	mode  callMode
	mu    sync.Mutex // of what follows
	calls int
	dead  bool

	meanwhile func() // runs before call at
}

type callMode int

const (
	dieBefore  callMode = iota // the process dies, the call does nothing
	dieAfter                   // the call takes effect, then the process dies
	refuse                     // the call does nothing and fails
	unreported                 // the call takes effect and fails all the same
	callModes
)

func (m callMode) String() string {
	return [...]string{"die before", "die after", "refuse", "take effect unreported"}[m]
}

var errDied = &martsync.Error{Kind: martsync.Transient, Op: "test", Err: errors.New("the process is dead")}

func (p *process) call(_, _ string, effect func() error) error {
	p.mu.Lock()
	if p.dead {
		p.mu.Unlock()
		return errDied
	}
	p.calls++
	wrong := p.calls-1 == p.at
	p.dead = wrong && p.meanwhile == nil && p.mode == dieBefore
	p.mu.Unlock()
	if !wrong {
		return effect()
	}
	if p.meanwhile != nil {
		p.meanwhile()
		return effect()
	}
	if p.mode == dieBefore || p.mode == refuse {
		return errDied
	}
	if err := effect(); err != nil {
		return err
	}
	p.mu.Lock()
	p.dead = p.mode == dieAfter
	p.mu.Unlock()
	return errDied
}

// coreEnv is an environment whose time is that of the clock.
func coreEnv(t testing.TB, clock martsync.Clock) martsync.Env {
	t.Helper()
	if clock == nil {
		clock = martsync.SystemClock{}
	}
	return martsync.Env{Log: slog.New(slog.DiscardHandler), HTTP: http.DefaultClient, Clock: clock, TempDir: t.TempDir()}
}

// destinationOn opens a destination on a store, as another process would.
func destinationOn(t testing.TB, s blob.Store, c Config, env martsync.Env) *destination {
	t.Helper()
	d, err := newDestination(c, "mart", env)
	if err != nil {
		t.Fatal(err)
	}
	d.store = s
	return d
}

// visible lists the data files that anybody sees.
func visible(t testing.TB, s blob.Store) map[string]time.Time {
	t.Helper()
	keys := map[string]time.Time{}
	for e, err := range s.List(context.Background(), "", "") {
		if err != nil {
			t.Fatal(err)
		}
		if len(e.Key) < len(blob.SystemFolder) || e.Key[:len(blob.SystemFolder)] != blob.SystemFolder {
			keys[e.Key] = e.Modified
		}
	}
	return keys
}

// unfinished lists what is not finished.
func unfinished(t testing.TB, s blob.Store) (all []blob.Receipt) {
	t.Helper()
	for r, err := range s.Uploads(context.Background(), "") {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
	return all
}

// promised are the keys of all files of all commits of a stream.
func promised(t testing.TB, d *destination, stream string) map[string]file {
	t.Helper()
	keys := map[string]file{}
	for m, err := range d.history(context.Background(), stream) {
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range m.Files {
			if _, twice := keys[f.Key]; twice {
				t.Errorf("file %s is promised twice", f.Key)
			}
			keys[f.Key] = f
		}
	}
	return keys
}
