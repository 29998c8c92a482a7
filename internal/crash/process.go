package crash

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/state"
)

// A Mode says what happens at the call that goes wrong.
type Mode uint8

// The modes.
const (
	KillBefore Mode = iota // the process dies, the call does nothing
	KillAfter              // the call takes effect, then the process dies
	Refuse                 // the call does nothing and fails; the process lives
	Hush                   // the call takes effect and fails all the same; the process lives
	modes
)

func (m Mode) String() string {
	return [...]string{"kill before", "kill after", "refuse", "take effect unreported"}[m]
}

// A Process is what a sync does between its start and its death: it counts the calls to all
// that it was given and lets one of them go wrong. Dead, it does nothing any more: all its
// calls fail without effect. Its methods may be called from several goroutines.
type Process struct {
	// At is the call that goes wrong, from 0. Negative: none.
	At   int
	Mode Mode

	// Kill names a call after which the process dies. Empty: none.
	Kill string

	// Meanwhile, if set, is called before call MeanwhileAt: somebody else acts.
	MeanwhileAt int
	Meanwhile   func()

	mu    sync.Mutex
	calls []string
	dead  bool
}

var errDead = errors.New("the process is dead")

// Calls returns the names of the calls so far.
func (p *Process) Calls() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.calls...)
}

// Dead reports whether the process has died.
func (p *Process) Dead() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.dead
}

// Failed reports whether the call that goes wrong has been made, and its name.
func (p *Process) Failed() (string, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.At < 0 || p.At >= len(p.calls) {
		return "", false
	}
	return p.calls[p.At], true
}

// call makes a call, or not.
func (p *Process) call(name string, effect func() error) error {
	p.mu.Lock()
	if p.dead {
		p.mu.Unlock()
		return &martsync.Error{Kind: martsync.Internal, Op: name, Err: errDead}
	}
	n := len(p.calls)
	p.calls = append(p.calls, name)
	wrong := n == p.At
	if wrong && p.Mode == KillBefore {
		p.dead = true
	}
	p.mu.Unlock()

	if p.Meanwhile != nil && n == p.MeanwhileAt {
		p.Meanwhile()
	}
	if !wrong {
		err := effect()
		if p.Kill != "" && p.Kill == name {
			p.mu.Lock()
			p.dead = true
			p.mu.Unlock()
			return &martsync.Error{Kind: martsync.Internal, Op: name, Err: errDead}
		}
		return err
	}
	if p.Mode == KillBefore {
		return &martsync.Error{Kind: martsync.Internal, Op: name, Err: errDead}
	}
	if p.Mode == Refuse {
		return &martsync.Error{Kind: martsync.Transient, Op: name, Err: errors.New("refused")}
	}
	if err := effect(); err != nil {
		return err
	}
	if p.Mode == KillAfter {
		p.mu.Lock()
		p.dead = true
		p.mu.Unlock()
		return &martsync.Error{Kind: martsync.Internal, Op: name, Err: errDead}
	}
	return &martsync.Error{Kind: martsync.Transient, Op: name, Err: errors.New("took effect, and nobody was told")}
}

// Source returns s as the process sees it.
func (p *Process) Source(s martsync.Source) martsync.Source { return source{s, p} }

// Destination returns d as the process sees it. The caller keeps and closes d.
func (p *Process) Destination(d martsync.Destination) martsync.Destination { return destination{d, p} }

// Store returns s as the process sees it.
func (p *Process) Store(s state.Store) state.Store { return store{s, p} }

type source struct {
	martsync.Source
	p *Process
}

func (s source) Streams(ctx context.Context) (streams []martsync.Stream, err error) {
	err = s.p.call("source: list streams", func() (err error) {
		streams, err = s.Source.Streams(ctx)
		return err
	})
	if err != nil {
		return nil, err
	}
	for i := range streams {
		streams[i] = stream{streams[i], s.p}
	}
	return streams, nil
}

type stream struct {
	martsync.Stream
	p *Process
}

func (s stream) Read(ctx context.Context, from martsync.Cursor, span martsync.Span) iter.Seq2[martsync.Batch, error] {
	return func(yield func(martsync.Batch, error) bool) {
		next, stop := iter.Pull2(s.Stream.Read(ctx, from, span))
		defer stop()
		for {
			var b martsync.Batch
			var err error
			var ok bool
			callErr := s.p.call("source: read "+s.Schema().Stream, func() error {
				b, err, ok = next()
				return nil
			})
			if callErr != nil {
				yield(martsync.Batch{}, callErr)
				return
			}
			if !ok || !yield(b, err) || err != nil {
				return
			}
		}
	}
}

type destination struct {
	martsync.Destination
	p *Process
}

func (d destination) Open(ctx context.Context, s martsync.Schema) (martsync.Writer, error) {
	var w martsync.Writer
	err := d.p.call("destination: open "+s.Stream, func() (err error) {
		w, err = d.Destination.Open(ctx, s)
		return err
	})
	if err != nil {
		if w != nil { // nobody was told about it, so nobody closes it
			err = errors.Join(err, w.Close())
		}
		return nil, err
	}
	return writer{w, d.p, s.Stream}, nil
}

func (d destination) Close() error { return nil }

type writer struct {
	martsync.Writer
	p      *Process
	stream string
}

func (w writer) Write(ctx context.Context, r *martsync.Records) error {
	return w.p.call("destination: write "+w.stream, func() error { return w.Writer.Write(ctx, r) })
}

func (w writer) Stage(ctx context.Context, c martsync.Commit) error {
	return w.p.call("destination: stage "+w.stream, func() error { return w.Writer.Stage(ctx, c) })
}

func (w writer) Discard(ctx context.Context) error {
	return w.p.call("destination: discard "+w.stream, func() error { return w.Writer.Discard(ctx) })
}

func (w writer) Commit(ctx context.Context, c martsync.Commit) error {
	return w.p.call(fmt.Sprintf("destination: commit %s", w.stream), func() error { return w.Writer.Commit(ctx, c) })
}

type store struct {
	state.Store
	p *Process
}

func (s store) Get(ctx context.Context, key string) (d state.Document, err error) {
	err = s.p.call("state: get "+key, func() (err error) {
		d, err = s.Store.Get(ctx, key)
		return err
	})
	return d, err
}

func (s store) Put(ctx context.Context, key string, data []byte, revision string) (next string, err error) {
	err = s.p.call("state: put "+key, func() (err error) {
		next, err = s.Store.Put(ctx, key, data, revision)
		return err
	})
	if err != nil {
		return "", err
	}
	return next, nil
}

func (s store) List(ctx context.Context, prefix string) (keys []string, err error) {
	err = s.p.call("state: list "+prefix, func() (err error) {
		keys, err = s.Store.List(ctx, prefix)
		return err
	})
	return keys, err
}
