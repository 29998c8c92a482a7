package pipeline_test

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/destination/memory"
	"github.com/martsync/martsync/internal/crash"
	"github.com/martsync/martsync/internal/rows"
	"github.com/martsync/martsync/pipeline"
	"github.com/martsync/martsync/runlog"
	"github.com/martsync/martsync/simulate"
	"github.com/martsync/martsync/state"
)

// fixture is a sync with everything in memory, over streams that a test scripts.
type fixture struct {
	*testing.T
	clock   *simulate.Clock
	state   state.Store
	storage *memory.Storage
	process *crash.Process // counts all calls; a test may let one go wrong
	source  *scripted
	sync    pipeline.Sync
	events  []pipeline.Event
}

func newFixture(t *testing.T, streams ...*scriptedStream) *fixture {
	f := &fixture{
		T: t, clock: simulate.NewClock(time.Date(2025, 3, 1, 0, 0, 0, 0, time.UTC)),
		state: state.NewMemory(), storage: memory.NewStorage(), source: &scripted{streams: streams},
	}
	f.sync = pipeline.Sync{ID: "run-1", Name: "test", Parallel: 1, Clock: f.clock}
	f.next(-1, 0)
	return f
}

// next makes the following syncs run in a new process.
func (f *fixture) next(at int, mode crash.Mode) {
	f.process = &crash.Process{At: at, Mode: mode}
	f.sync.Source = f.process.Source(f.source)
	f.sync.Destination = f.process.Destination(memory.New(f.storage))
	f.sync.State = f.process.Store(f.state)
	f.sync.Observe = func(e pipeline.Event) { f.events = append(f.events, e) }
}

// run starts a new run and returns what Run does.
func (f *fixture) run() (pipeline.Outcome, error) {
	f.next(-1, 0)
	s := f.sync
	out, err := pipeline.Run(f.Context(), &s)
	f.nextID()
	return out, err
}

func (f *fixture) nextID() {
	var n int
	_, _ = fmt.Sscanf(f.sync.ID, "run-%d", &n)
	f.sync.ID = fmt.Sprintf("run-%d", n+1)
}

// advance calls Advance once, in a new process, with the run's id as it is.
func (f *fixture) advance() (pipeline.Outcome, error) {
	f.next(-1, 0)
	s := f.sync
	return pipeline.Advance(f.Context(), &s)
}

func (f *fixture) mustRun() pipeline.Outcome {
	f.Helper()
	out, err := f.run()
	if err != nil || !out.Done {
		f.Fatalf("run: got done %v and error %v, want done", out.Done, err)
	}
	return out
}

// mustRunTo runs in a process that dies right after its first call of that name, whose lease
// then expires.
func (f *fixture) mustRunTo(call string) {
	f.Helper()
	f.next(-1, 0)
	f.process.Kill = call
	s := f.sync
	if _, err := pipeline.Run(f.Context(), &s); err == nil || !f.process.Dead() {
		f.Fatalf("run: got error %v, want a death after %q", err, call)
	}
	f.nextID()
	f.clock.Advance(time.Hour)
}

// calls counts the calls of the last process whose name starts with one of the prefixes.
func (f *fixture) calls(prefixes ...string) (n int) {
	for _, c := range f.process.Calls() {
		if slices.ContainsFunc(prefixes, func(p string) bool { return len(c) >= len(p) && c[:len(p)] == p }) {
			n++
		}
	}
	return n
}

// want compares the alive rows of a table.
func (f *fixture) want(stream string, ids ...int64) {
	f.Helper()
	got, err := crash.ReadAlive(context.Background(), memory.New(f.storage), stream, []string{"id"})
	if err != nil {
		f.Fatal(err)
	}
	var want []string
	for _, id := range ids {
		want = append(want, fmt.Sprint([]any{id}))
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		f.Errorf("table %s: got %v, want %v", stream, got, want)
	}
}

func (f *fixture) ledger(stream string) (windows []string) {
	f.Helper()
	for e, err := range memory.New(f.storage).Ledger(context.Background(), stream) {
		if err != nil {
			f.Fatal(err)
		}
		windows = append(windows, e.Window.Filter)
	}
	return windows
}

// log returns the operations in the log table, those of commits left out, and the messages.
func (f *fixture) log(stream string) (entries []string) {
	for _, e := range f.storage.Log(stream) {
		if e.Operation != "commit" {
			entries = append(entries, fmt.Sprintf("%s %v %s", e.Operation, e.Success, e.Message))
		}
	}
	return entries
}

func (f *fixture) wantKind(err error, want martsync.Kind) {
	f.Helper()
	if err == nil || martsync.KindOf(err) != want {
		f.Errorf("error: got %v (kind %v), want kind %v", err, martsync.KindOf(err), want)
	}
}

func phaseOf(out pipeline.Outcome, stream string) runlog.Phase {
	for _, st := range out.Stats.Streams {
		if st.Stream == stream {
			return st.Phase
		}
	}
	return "none"
}

// scripted is a source of scripted streams.
type scripted struct {
	account string // default "script:test"

	mu      sync.Mutex
	streams []*scriptedStream
	lists   int
	err     error // of Streams, once
}

func (s *scripted) Account() string { return cmp.Or(s.account, "script:test") }

func (s *scripted) Streams(context.Context) ([]martsync.Stream, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lists++
	if err := s.err; err != nil {
		s.err = nil
		return nil, err
	}
	var all []martsync.Stream
	for _, st := range s.streams {
		all = append(all, st)
	}
	return all, nil
}

// scriptedStream yields what its script says for a cursor, and records where it was read from.
type scriptedStream struct {
	schema martsync.Schema
	script func(from martsync.Cursor) []any // of martsync.Batch, error, func()
	froms  []martsync.Cursor
}

func (s *scriptedStream) Schema() martsync.Schema { return s.schema }

func (s *scriptedStream) Read(ctx context.Context, from martsync.Cursor, _ martsync.Span) iter.Seq2[martsync.Batch, error] {
	s.froms = append(s.froms, from)
	return func(yield func(martsync.Batch, error) bool) {
		for _, item := range s.script(from) {
			if err := ctx.Err(); err != nil {
				yield(martsync.Batch{}, err)
				return
			}
			switch item := item.(type) {
			case func():
				item()
			case error:
				yield(martsync.Batch{}, item)
				return
			case martsync.Batch:
				item.Records = lend(item.Records)
				more := yield(item, nil)
				rows.Poison(item.Records)
				if !more {
					return
				}
			default:
				panic(fmt.Sprintf("script has a %T", item))
			}
		}
	}
}

// lend copies records, so that what is destroyed afterwards is the copy.
func lend(r *martsync.Records) *martsync.Records {
	if r == nil {
		return nil
	}
	c := *r
	c.Columns = slices.Clone(r.Columns)
	for i := range c.Columns {
		c.Columns[i].Ints = slices.Clone(c.Columns[i].Ints)
	}
	return &c
}

// always is a script that does not depend on the cursor.
func always(items ...any) func(martsync.Cursor) []any {
	return func(martsync.Cursor) []any { return items }
}

// keyedStream is a stream of ids, with deletions.
func keyedStream(name string, script func(martsync.Cursor) []any) *scriptedStream {
	return &scriptedStream{script: script, schema: martsync.Schema{
		Stream: name, Key: []string{"id"}, Deletes: true, Columns: []martsync.Column{{Name: "id", Type: martsync.Int64}},
	}}
}

// versionedStream is of ids with the time of their version.
func versionedStream(name string, script func(martsync.Cursor) []any) *scriptedStream {
	s := keyedStream(name, script)
	s.schema.Columns = append(s.schema.Columns, martsync.Column{Name: "at", Type: martsync.Timestamp})
	s.schema.Version = "at"
	return s
}

// plainStream is an append-only stream of ids: what is read twice is there twice.
func plainStream(name string, script func(martsync.Cursor) []any) *scriptedStream {
	s := keyedStream(name, script)
	s.schema.Key, s.schema.Deletes = nil, false
	return s
}

func snapshotStream(name string, script func(martsync.Cursor) []any) *scriptedStream {
	s := keyedStream(name, script)
	s.schema.Snapshot, s.schema.Deletes = true, false
	return s
}

// batch has rows with these ids and a cursor.
func batch(cursor martsync.Cursor, ids ...int64) martsync.Batch {
	b := rows.NewBuilder([]martsync.Column{{Name: "id", Type: martsync.Int64}})
	for _, id := range ids {
		b.Append(id)
	}
	out := martsync.Batch{Cursor: cursor, Bytes: int64(8 * len(ids))}
	if len(ids) > 0 {
		out.Records = b.Records()
	}
	return out
}

func unverified(b martsync.Batch) martsync.Batch {
	b.Unverified = true
	return b
}

// window completes a window of so many parsed rows.
func window(b martsync.Batch, filter string, parsed int64) martsync.Batch {
	b.Window = &martsync.Window{Filter: filter, Records: -1, Bytes: -1, Parsed: parsed, Quarantined: 0}
	return b
}

func failure(k martsync.Kind, after time.Duration) error {
	return &martsync.Error{Kind: k, Op: "test", After: after, Hint: "hint of " + k.String()}
}
