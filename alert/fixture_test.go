package alert

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/runlog"
	"github.com/martsync/martsync/schedule"
	"github.com/martsync/martsync/state"
)

// A handClock moves when it is told to. Sleeping moves it.
type handClock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *handClock) Now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.now }

func (c *handClock) Sleep(ctx context.Context, d time.Duration) error {
	c.move(d)
	return ctx.Err()
}

func (c *handClock) move(d time.Duration) { c.mu.Lock(); defer c.mu.Unlock(); c.now = c.now.Add(d) }

var discard = slog.New(slog.DiscardHandler)

// began is a Wednesday.
var began = time.Date(2026, 3, 11, 9, 0, 0, 0, time.UTC)

// A fixture is watchers of one store and a person who gets what they send.
type fixture struct {
	t      *testing.T
	store  *brokenStore
	clock  *handClock
	log    bytes.Buffer
	syncs  []Sync
	rules  []Rule
	people map[string]*person
}

// A person is a sender that keeps what it gets.
type person struct {
	mu    sync.Mutex
	got   []Message
	fails error
	opens atomic.Int64
}

func (p *person) Send(_ context.Context, m Message) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fails != nil {
		return p.fails
	}
	p.got = append(p.got, m)
	return nil
}

// A brokenStore fails if it is told to.
type brokenStore struct {
	state.Store
	fails error
	puts  atomic.Int64
}

func (s *brokenStore) Get(ctx context.Context, key string) (state.Document, error) {
	if s.fails != nil {
		return state.Document{}, s.fails
	}
	return s.Store.Get(ctx, key)
}

func (s *brokenStore) Put(ctx context.Context, key string, data []byte, revision string) (string, error) {
	if s.fails != nil {
		return "", s.fails
	}
	s.puts.Add(1)
	return s.Store.Put(ctx, key, data, revision)
}

func newFixture(t *testing.T, rules ...Rule) *fixture {
	t.Helper()
	f := &fixture{t: t, store: &brokenStore{Store: state.NewMemory()}, clock: &handClock{now: began}, people: map[string]*person{}}
	weekly, err := schedule.Parse("0 9 * * WED")
	if err != nil {
		t.Fatal(err)
	}
	f.syncs = []Sync{{Name: "marketing", Schedule: weekly, Zone: time.UTC}, {Name: "byhand", Zone: time.UTC}}
	if len(rules) == 0 {
		rules = []Rule{{Name: "oncall"}}
	}
	for _, r := range rules {
		p := &person{}
		f.people[r.Name] = p
		r.Open = func(context.Context) (Sender, error) { p.opens.Add(1); return p, nil }
		f.rules = append(f.rules, r)
	}
	return f
}

// watcher is a new one, as each process has it.
func (f *fixture) watcher() *Watcher {
	return New(Options{
		Rules: f.rules, Syncs: f.syncs, State: f.store, Clock: f.clock,
		Log: slog.New(slog.NewTextHandler(&f.log, nil)),
	})
}

// ran tells a new process's watcher of a run, which it also puts into the record of runs.
func (f *fixture) ran(run *runlog.Run, err error) {
	f.t.Helper()
	if run != nil {
		run.End = f.clock.Now()
		if run.Start.IsZero() {
			run.Start = run.End.Add(-time.Minute)
		}
		if err != nil {
			run.Status, run.Error, run.Kind, run.Hint = runlog.Failed, err.Error(), martsync.KindOf(err).String(), martsync.HintOf(err)
		}
		if f.store.fails == nil {
			if err := runlog.Save(f.t.Context(), f.store, run); err != nil {
				f.t.Fatal(err)
			}
		}
	}
	w := f.watcher()
	w.looked = f.clock.Now() // what is late has tests of its own
	w.Ran(f.t.Context(), Report{Sync: "marketing", Run: run, Err: err})
}

// take returns what a person has got since it was last asked: event, status and title of each message.
func (f *fixture) take(name string) (all []Message) {
	p := f.people[name]
	all, p.got = p.got, nil
	return all
}

// want compares what the person on call has got since the last time.
func (f *fixture) want(want ...string) []Message {
	f.t.Helper()
	return f.wantOf("oncall", want...)
}

func (f *fixture) wantOf(name string, want ...string) []Message {
	f.t.Helper()
	all := f.take(name)
	var got []string
	for _, m := range all {
		got = append(got, fmt.Sprintf("%s %s: %s", m.Event, m.Status, m.Title))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		f.t.Errorf("messages of %s (-want +got):\n%s\nlog:\n%s", name, diff, f.log.String())
	}
	return all
}

func done(id string, streams ...runlog.Stream) *runlog.Run {
	return &runlog.Run{ID: id, Sync: "marketing", Status: runlog.Done, Streams: streams}
}

func stream(name string) runlog.Stream { return runlog.Stream{Stream: name, Phase: runlog.PhaseDone} }

func failed(name string, kind martsync.Kind, hint string) runlog.Stream {
	return runlog.Stream{Stream: name, Phase: runlog.PhaseFailed, Error: "the file is broken", Kind: kind.String(), Hint: hint}
}

func broken(kind martsync.Kind, text, hint string) error {
	return &martsync.Error{Kind: kind, Op: "marketo: create export", Hint: hint, Err: errors.New(text)}
}

// text is all of a message.
func text(m Message) string { return m.Title + "\n" + m.Text() }

func has(t *testing.T, m Message, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(text(m), p) {
			t.Errorf("the message lacks %q:\n%s", p, text(m))
		}
	}
}
