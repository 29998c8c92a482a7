package files

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"net/http"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/martsync/martsync"
)

// A hooked store is a real one with somebody between it and the destination.
type hooked struct {
	store
	call func(name, key string, effect func() error) error // nil: the effect
}

func (h *hooked) do(name, key string, effect func() error) error {
	if h.call == nil {
		return effect()
	}
	return h.call(name, key, effect)
}

func (h *hooked) Put(ctx context.Context, key string, data []byte, ifAbsent bool) error {
	return h.do("put", key, func() error { return h.store.Put(ctx, key, data, ifAbsent) })
}

func (h *hooked) Get(ctx context.Context, key string, most int64) (data []byte, err error) {
	err = h.do("get", key, func() (err error) {
		data, err = h.store.Get(ctx, key, most)
		return err
	})
	if err != nil {
		return nil, err
	}
	return data, nil
}

func (h *hooked) Delete(ctx context.Context, keys ...string) error {
	return h.do("delete", keys[0], func() error { return h.store.Delete(ctx, keys...) })
}

func (h *hooked) Finish(ctx context.Context, r receipt) error {
	return h.do("finish", r.Key, func() error { return h.store.Finish(ctx, r) })
}

func (h *hooked) Abort(ctx context.Context, r receipt) error {
	return h.do("abort", r.Key, func() error { return h.store.Abort(ctx, r) })
}

func (h *hooked) List(ctx context.Context, prefix, after string) iter.Seq2[entry, error] {
	return hookedSeq(h, "list", prefix, h.store.List(ctx, prefix, after))
}

func (h *hooked) Uploads(ctx context.Context, prefix string) iter.Seq2[receipt, error] {
	return hookedSeq(h, "uploads", prefix, h.store.Uploads(ctx, prefix))
}

func hookedSeq[T any](h *hooked, name, prefix string, all iter.Seq2[T, error]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		if err := h.do(name, prefix, func() error { return nil }); err != nil {
			var zero T
			yield(zero, err)
			return
		}
		all(yield)
	}
}

func (h *hooked) Create(ctx context.Context, key, contentType string) (u upload, err error) {
	err = h.do("create", key, func() (err error) {
		u, err = h.store.Create(ctx, key, contentType)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &hookedUpload{h, key, u}, nil
}

type hookedUpload struct {
	h   *hooked
	key string
	upload
}

func (u *hookedUpload) Close(ctx context.Context) (r receipt, err error) {
	err = u.h.do("close", u.key, func() (err error) {
		r, err = u.upload.Close(ctx)
		return err
	})
	if err != nil {
		return receipt{}, err
	}
	return r, nil
}

func (u *hookedUpload) Abort(ctx context.Context) error {
	return u.h.do("drop", u.key, func() error { return u.upload.Abort(ctx) })
}

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

// testFolder is an empty folder.
func testFolder(t testing.TB) store {
	t.Helper()
	// In memory where there is such a place: these tests count calls, and syncing each takes long.
	dir, err := os.MkdirTemp("/dev/shm", "martsync")
	if err != nil {
		dir = t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	s, err := openFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// testBucket is an empty bucket of an S3 in this process.
func testBucket(t testing.TB) store { return newFakeS3(t).store("data") }

// stores are those that tests run on.
var stores = map[string]func(testing.TB) store{"folder": testFolder, "S3": testBucket}

// destinationOn opens a destination on a store, as another process would.
func destinationOn(t testing.TB, s store, c Config, env martsync.Env) *destination {
	t.Helper()
	d, err := newDestination(c, "mart", env)
	if err != nil {
		t.Fatal(err)
	}
	d.store = s
	return d
}

// visible lists the data files that anybody sees.
func visible(t testing.TB, s store) map[string]time.Time {
	t.Helper()
	keys := map[string]time.Time{}
	for e, err := range s.List(context.Background(), "", "") {
		if err != nil {
			t.Fatal(err)
		}
		if len(e.Key) < len(systemFolder) || e.Key[:len(systemFolder)] != systemFolder {
			keys[e.Key] = e.Modified
		}
	}
	return keys
}

// unfinished lists what is not finished.
func unfinished(t testing.TB, s store) (all []receipt) {
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
