package pipeline_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/pipeline"
	"github.com/martsync/martsync/runlog"
	"github.com/martsync/martsync/state"
)

func TestLeaseIsTakenBeforeTheFirstCall(t *testing.T) {
	f := newFixture(t, counting("s", 1))
	lease, err := state.AcquireLease(t.Context(), f.state, f.clock, "script:test", "somebody", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	out, err := f.advance()
	f.wantKind(err, martsync.Busy)
	if out.Done || !strings.Contains(martsync.HintOf(err), "somebody") {
		t.Errorf("got done %v and hint %q, want a hint that names the holder", out.Done, martsync.HintOf(err))
	}
	if n := f.calls("source:", "destination:"); n != 0 {
		t.Errorf("calls to source and destination: got %d, want none", n)
	}
	if err := lease.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.mustRun()
	f.mustRun() // it was released
}

func TestLeaseIsRenewedAndItsLossStopsTheSync(t *testing.T) {
	s := plainStream("s", nil)
	f := newFixture(t, s, counting("other", 1))
	items := []any{}
	for id := range int64(20) {
		items = append(items, func() {
			f.clock.Advance(2 * time.Minute) // much longer than the lease in all
			_, err := state.AcquireLease(t.Context(), f.state, f.clock, "script:test", "somebody", time.Minute)
			if id < 15 {
				f.wantKind(err, martsync.Busy)
			} else if id == 15 {
				f.clock.Advance(time.Hour)
				if _, err = state.AcquireLease(t.Context(), f.state, f.clock, "script:test", "somebody", time.Hour); err != nil {
					t.Error(err)
				}
			}
		}, batch(ones(id+1), id+1))
	}
	s.script = always(items...)
	f.sync.Limits.Age = time.Hour * 1000
	out, err := f.advance()
	f.wantKind(err, martsync.Busy)
	if out.Done {
		t.Error("done: got true, want false")
	}
	if n := f.calls("source: read s"); n > 17 {
		t.Errorf("steps after the lease was lost: got %d in all, want at most 17", n)
	}
	if n := f.calls("source: read other"); n != 0 {
		t.Errorf("other stream: got %d steps, want none", n)
	}
}

func TestParkedStreams(t *testing.T) {
	var f *fixture
	ready := false
	slow := plainStream("slow", func(from martsync.Cursor) []any {
		if !ready {
			return []any{failure(martsync.Pending, 10*time.Minute)}
		}
		return []any{batch("end", 7)}
	})
	quota := plainStream("quota", always(failure(martsync.Quota, 3*time.Hour)))
	f = newFixture(t, slow, quota, counting("fast", 2))
	out, err := f.advance()
	if err != nil || out.Done {
		t.Fatalf("advance: got done %v and error %v, want a wait", out.Done, err)
	}
	f.want("fast", 1, 2)
	if want := f.clock.Now().Add(10 * time.Minute); !out.WakeAt.Equal(want) {
		t.Errorf("wake: got %v, want the earliest, %v", out.WakeAt, want)
	}
	if _, err := f.advance(); err != nil { // too early: nobody's time has come
		t.Fatal(err)
	}
	if n := f.calls("source: read"); n != 0 {
		t.Errorf("steps before the wake-up time: got %d, want none", n)
	}
	ready = true
	f.clock.Set(out.WakeAt)
	out, err = f.advance()
	if err != nil || out.Done || phaseOf(out, "slow") != runlog.PhaseDone {
		t.Errorf("second advance: got %+v, %v, want slow done and quota waiting", out, err)
	}
	if n := f.calls("source: read fast"); n != 0 {
		t.Errorf("a stream that was done is read again in the same run: %d steps", n)
	}
	if n := f.calls("source: read quota"); n != 0 {
		t.Errorf("a parked stream is read before its time: %d steps", n)
	}
}

func TestAParkedStreamGoesOnWhileOthersWork(t *testing.T) {
	var f *fixture
	ready := false
	var order []string
	slow := plainStream("slow", func(martsync.Cursor) []any {
		if !ready {
			return []any{failure(martsync.Pending, time.Minute)}
		}
		return []any{func() { order = append(order, "slow") }, batch("end", 7)}
	})
	long := plainStream("long", func(martsync.Cursor) (items []any) {
		for id := range int64(5) {
			items = append(items, batch(ones(id+1), id+1))
			items = append(items, func() { ready = true; f.clock.Advance(time.Minute) })
		}
		return items
	})
	f = newFixture(t, slow, long)
	f.sync.Parallel = 1
	third := plainStream("third", always(func() { order = append(order, "third") }, batch("end", 1)))
	f.source.streams = append(f.source.streams, third)
	out, err := f.advance()
	if err != nil || !out.Done {
		t.Fatalf("advance: got done %v and error %v, want done in one", out.Done, err)
	}
	if diff := cmp.Diff([]string{"slow", "third"}, order); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
}

func TestStreamsRunSideBySideUpToTheLimit(t *testing.T) {
	const limit = 3
	synctest.Test(t, func(t *testing.T) { // so that streams that wait for each other in vain are a failure at once
		met := make(chan struct{})
		var arrived, now, most atomic.Int32
		var streams []*scriptedStream
		for _, name := range []string{"a", "b", "c", "d", "e"} {
			streams = append(streams, plainStream(name, func(from martsync.Cursor) []any {
				begin := func() {
					n := now.Add(1)
					for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
					}
					switch {
					case name > "c":
					case arrived.Add(1) < limit: // each of the first three waits for the other two
						<-met
					default:
						synctest.Wait() // and for whoever else would run beside them
						close(met)
					}
				}
				return []any{begin, batch("end", 1), func() { now.Add(-1) }}
			}))
		}
		f := newFixture(t, streams...)
		f.sync.Parallel = limit
		f.mustRun()
		for _, s := range streams {
			f.want(s.schema.Stream, 1)
		}
		if got := most.Load(); got != limit {
			t.Errorf("%d streams ran side by side, want %d", got, limit)
		}
	})
}

func TestBudget(t *testing.T) {
	t.Run("deadline", func(t *testing.T) {
		s := plainStream("s", nil)
		f := newFixture(t, s, counting("later", 1))
		s.script = func(from martsync.Cursor) (items []any) {
			for id := int64(len(from)) + 1; id <= 10; id++ {
				items = append(items, func() { f.clock.Advance(time.Minute) }, batch(ones(id), id))
			}
			return items
		}
		f.sync.Deadline = f.clock.Now().Add(3 * time.Minute)
		out, err := f.run()
		if err != nil || out.Done || phaseOf(out, "s") != runlog.PhaseStopped || phaseOf(out, "later") != runlog.PhaseQueued {
			t.Fatalf("got %+v, %v, want s stopped and later queued", out, err)
		}
		f.want("s", 1, 2, 3)
		f.sync.Deadline = time.Time{}
		f.mustRun()
		f.want("s", 1, 2, 3, 4, 5, 6, 7, 8, 9, 10)
		f.want("later", 1)
	})
	t.Run("deadline before a wait", func(t *testing.T) {
		f := newFixture(t, plainStream("s", always(failure(martsync.Pending, time.Hour))))
		f.sync.Deadline = f.clock.Now().Add(time.Minute)
		began := f.clock.Now()
		out, err := f.run()
		if err != nil || out.Done || !f.clock.Now().Equal(began) {
			t.Errorf("got %+v, %v after %v, want a return at once", out, err, f.clock.Now().Sub(began))
		}
	})
	t.Run("patience", func(t *testing.T) {
		pauses := []time.Duration{time.Minute, 3 * time.Minute, time.Minute}
		s := plainStream("s", nil)
		s.script = func(martsync.Cursor) []any {
			if len(pauses) == 0 {
				return []any{batch("1", 1)}
			}
			pause := pauses[0]
			pauses = pauses[1:]
			return []any{failure(martsync.Pending, pause)}
		}
		f := newFixture(t, s)
		f.sync.Patience = 2 * time.Minute
		began := f.clock.Now()
		out, err := f.run()
		if slept := f.clock.Now().Sub(began); err != nil || out.Done || slept != time.Minute || !out.WakeAt.Equal(began.Add(4*time.Minute)) {
			t.Errorf("got %+v, %v after %v, want a return after the first wait and before the second", out, err, slept)
		}
		f.clock.Advance(3 * time.Minute)
		f.mustRun()
		f.want("s", 1)
	})
	t.Run("stop in the middle of a file stages, a destination that cannot goes on", func(t *testing.T) {
		for _, canStage := range []bool{true, false} {
			stop := make(chan struct{})
			s := plainStream("s", always(unverified(batch("1", 1)), func() { close(stop) }, batch("", 2), unverified(batch("3", 3)), batch("4", 4), batch("5", 5)))
			f := newFixture(t, s)
			f.next(-1, 0)
			f.sync.Stop = stop
			if !canStage {
				f.sync.Destination = noStage{f.sync.Destination}
			}
			run := f.sync
			out, err := pipeline.Run(t.Context(), &run)
			if err != nil || out.Done {
				t.Fatalf("got %+v, %v, want not done", out, err)
			}
			stages := f.calls("destination: stage")
			if canStage {
				f.want("s")
				if stages != 1 {
					t.Errorf("stages: got %d, want 1", stages)
				}
			} else {
				f.want("s", 1, 2, 3, 4)
			}
		}
	})
	t.Run("stopped before it began", func(t *testing.T) {
		stop := make(chan struct{})
		close(stop)
		f := newFixture(t, counting("s", 1))
		f.sync.Stop = stop
		out, err := f.run()
		if err != nil || out.Done || f.calls("source:", "destination:") != 0 {
			t.Errorf("got %+v, %v and calls %v, want nothing done", out, err, f.process.Calls())
		}
	})
	t.Run("stop interrupts a wait", func(t *testing.T) {
		stop := make(chan struct{})
		f := newFixture(t, plainStream("s", always(failure(martsync.Pending, time.Hour))))
		f.sync.Stop = stop
		f.sync.Clock = stuckClock{f.clock, func() { close(stop) }}
		f.next(-1, 0)
		run := f.sync
		out, err := pipeline.Run(t.Context(), &run)
		if err != nil || out.Done {
			t.Errorf("got %+v, %v, want a return without error", out, err)
		}
	})
	t.Run("a cancelled context ends without a commit", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		f := newFixture(t, plainStream("s", always(batch("1", 1), cancel, batch("2", 2))))
		f.source.streams[0].script = always(batch("1", 1), func() { cancel() }, batch("2", 2))
		run := f.sync
		out, err := pipeline.Run(ctx, &run)
		if !errors.Is(err, context.Canceled) || out.Done {
			t.Errorf("got %+v, %v, want the context's error", out, err)
		}
		f.want("s")
	})
}

// noStage is a destination that cannot stage.
type noStage struct{ martsync.Destination }

func (d noStage) Open(ctx context.Context, s martsync.Schema) (martsync.Writer, error) {
	w, err := d.Destination.Open(ctx, s)
	return noStageWriter{w}, err
}

type noStageWriter struct{ martsync.Writer }

func (noStageWriter) Stage(context.Context, martsync.Commit) error { return martsync.ErrUnsupported }

// stuckClock sleeps until its context is done, after it has told somebody.
type stuckClock struct {
	martsync.Clock
	asleep func()
}

func (c stuckClock) Sleep(ctx context.Context, _ time.Duration) error {
	c.asleep()
	<-ctx.Done()
	return ctx.Err()
}

func TestFailures(t *testing.T) {
	plain := errors.New("no kind")
	tests := []struct {
		name   string
		errs   map[string]error // by stream, of a, b and c
		kind   martsync.Kind
		ok     bool
		phases map[string]runlog.Phase
	}{
		{
			"unavailable is skipped",
			map[string]error{"a": failure(martsync.Unavailable, 0)},
			0, true,
			map[string]runlog.Phase{"a": "skipped", "b": "done", "c": "done"},
		},
		{
			"data stops one stream",
			map[string]error{"a": failure(martsync.Data, 0)},
			martsync.Data, false,
			map[string]runlog.Phase{"a": "failed", "b": "done", "c": "done"},
		},
		{
			"the worst kind counts",
			map[string]error{"a": failure(martsync.Conflict, 0), "b": failure(martsync.Data, 0)},
			martsync.Data, false,
			map[string]runlog.Phase{"a": "failed", "b": "failed", "c": "done"},
		},
		{
			"auth stops all",
			map[string]error{"a": failure(martsync.Data, 0), "b": failure(martsync.Auth, 0)},
			martsync.Auth, false,
			map[string]runlog.Phase{"a": "failed", "b": "failed", "c": "queued"},
		},
		{
			"config stops all",
			map[string]error{"a": failure(martsync.Config, 0)},
			martsync.Config, false,
			map[string]runlog.Phase{"a": "failed", "b": "queued", "c": "queued"},
		},
		{
			"a bug stops all",
			map[string]error{"b": plain},
			martsync.Internal, false,
			map[string]runlog.Phase{"a": "done", "b": "failed", "c": "queued"},
		},
		{
			"transient without end fails",
			map[string]error{"a": failure(martsync.Transient, 0)},
			martsync.Transient, false,
			map[string]runlog.Phase{"a": "failed", "b": "done", "c": "done"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var streams []*scriptedStream
			for _, name := range []string{"a", "b", "c"} {
				items := []any{batch("1", 1)}
				if err := tt.errs[name]; err != nil {
					items = []any{err}
				}
				streams = append(streams, plainStream(name, always(items...)))
			}
			f := newFixture(t, streams...)
			out, err := f.run()
			if (err == nil) != tt.ok {
				t.Fatalf("error: got %v, want success %v", err, tt.ok)
			}
			if err != nil && martsync.KindOf(err) != tt.kind {
				t.Errorf("kind of %v: got %v, want %v", err, martsync.KindOf(err), tt.kind)
			}
			if tt.ok && !out.Done {
				t.Error("done: got false, want true")
			}
			got := map[string]runlog.Phase{}
			for _, st := range out.Stats.Streams {
				got[st.Stream] = st.Phase
			}
			if diff := cmp.Diff(tt.phases, got); diff != "" {
				t.Errorf("phases (-want +got):\n%s", diff)
			}
			if kind := martsync.KindOf(err); err != nil && tt.name != "a bug stops all" && martsync.HintOf(err) != "hint of "+kind.String() {
				t.Errorf("hint: got %q", martsync.HintOf(err))
			}
			runs, err := runlog.List(t.Context(), f.state, "test", 0)
			if err != nil || len(runs) != 1 {
				t.Fatalf("runs: got %d, %v", len(runs), err)
			}
			if want := map[bool]runlog.Status{true: runlog.Done, false: runlog.Failed}[tt.ok]; runs[0].Status != want {
				t.Errorf("status: got %s, want %s", runs[0].Status, want)
			}
			if len(runs[0].Log) == 0 {
				t.Error("log of the run: got nothing, want the failures")
			}
		})
	}
}

func TestTransientErrors(t *testing.T) {
	t.Run("are retried with growing pauses", func(t *testing.T) {
		failures := 5
		f := newFixture(t, plainStream("s", func(martsync.Cursor) []any {
			if failures--; failures >= 0 {
				return []any{failure(martsync.Transient, 0)}
			}
			return []any{batch("1", 1)}
		}))
		began := f.clock.Now()
		f.mustRun()
		f.want("s", 1)
		if took := f.clock.Now().Sub(began); took < 20*time.Second || took > 40*time.Second {
			t.Errorf("five pauses from a second: got %v, want about 31 s", took)
		}
		if got := f.log("s"); len(got) != 5 {
			t.Errorf("log: got %q, want the five failures, with the commit after them", got)
		}
	})
	t.Run("count from the last progress", func(t *testing.T) {
		f := newFixture(t, plainStream("s", func(from martsync.Cursor) []any {
			if len(from) == 30 {
				return nil
			}
			return []any{batch(from+"1", int64(len(from))), failure(martsync.Transient, 0)}
		}))
		f.mustRun()
		if got := f.storage.Commits("s"); got != 30 {
			t.Errorf("commits: got %d, want 30", got)
		}
	})
	t.Run("of the listing of streams", func(t *testing.T) {
		f := newFixture(t, counting("s", 1))
		f.source.err = failure(martsync.Transient, 0)
		f.mustRun()
		f.want("s", 1)
		f.source.err = failure(martsync.Quota, time.Hour)
		out, err := f.advance()
		if want := f.clock.Now().Add(time.Hour); err != nil || out.Done || !out.WakeAt.Equal(want) {
			t.Errorf("quota: got %+v, %v, want a wait until %v", out, err, want)
		}
		f.source.err = failure(martsync.Auth, 0)
		_, err = f.advance()
		f.wantKind(err, martsync.Auth)
	})
}

func TestAFailedStreamIsReportedAtTheEnd(t *testing.T) {
	ready := false
	f := newFixture(t, plainStream("bad", always(failure(martsync.Data, 0))), plainStream("slow", func(martsync.Cursor) []any {
		if !ready {
			return []any{failure(martsync.Pending, time.Minute)}
		}
		return []any{batch("1", 1)}
	}))
	out, err := f.advance()
	if err != nil || out.Done {
		t.Fatalf("first advance: got %+v, %v, want a wait", out, err)
	}
	ready = true
	f.clock.Set(out.WakeAt)
	out, err = f.advance() // in another process
	f.wantKind(err, martsync.Data)
	if !out.Done || martsync.HintOf(err) != "hint of data" || !strings.Contains(err.Error(), "bad") {
		t.Errorf("got done %v, error %v, hint %q; want the failure of the first advance", out.Done, err, martsync.HintOf(err))
	}
	f.want("slow", 1)
	if n := f.calls("source: read bad"); n != 0 {
		t.Errorf("the failed stream was read again in the same run: %d steps", n)
	}
}

func TestAFatalErrorIsTriedAgainWhenTheRunIsTakenUp(t *testing.T) {
	wrong := true
	f := newFixture(t, plainStream("s", func(martsync.Cursor) []any {
		if wrong {
			return []any{failure(martsync.Auth, 0)}
		}
		return []any{batch("1", 1)}
	}))
	_, err := f.advance()
	f.wantKind(err, martsync.Auth)
	wrong = false
	if out, err := f.advance(); err != nil || !out.Done {
		t.Fatalf("got %+v, %v, want done", out, err)
	}
	f.want("s", 1)
}

func TestRunWaitsForAnAccountItHasBegunToUse(t *testing.T) {
	var f *fixture
	calls := 0
	s := plainStream("s", func(martsync.Cursor) []any {
		if calls++; calls == 1 {
			return []any{failure(martsync.Pending, time.Minute)}
		}
		return []any{batch("1", 1)}
	})
	f = newFixture(t, s)
	f.next(-1, 0)
	taken := false
	f.sync.Clock = wakingClock{f.clock, func() {
		if !taken {
			taken = true
			if _, err := state.AcquireLease(context.Background(), f.state, f.clock, "script:test", "other", 7*time.Minute); err != nil {
				t.Error(err)
			}
		}
	}}
	began := f.clock.Now()
	run := f.sync
	out, err := pipeline.Run(t.Context(), &run)
	if err != nil || !out.Done {
		t.Fatalf("got %+v, %v, want done", out, err)
	}
	f.want("s", 1)
	if took := f.clock.Now().Sub(began); took < 7*time.Minute {
		t.Errorf("took %v, want to wait for the other's lease of 7m", took)
	}
}

// wakingClock does something before it sleeps.
type wakingClock struct {
	martsync.Clock
	before func()
}

func (c wakingClock) Sleep(ctx context.Context, d time.Duration) error {
	c.before()
	return c.Clock.Sleep(ctx, d)
}

func TestChoice(t *testing.T) {
	tests := []struct {
		name             string
		streams, exclude []string
		want             []string
		kind             martsync.Kind
	}{
		{name: "all", want: []string{"leads", "lead_merges", "emails"}},
		{name: "one", streams: []string{"leads"}, want: []string{"leads"}},
		{name: "pattern", streams: []string{"lead*"}, want: []string{"leads", "lead_merges"}},
		{name: "but one", exclude: []string{"lead_*", "nothing"}, want: []string{"leads", "emails"}},
		{name: "pattern but one", streams: []string{"lead*", "e*"}, exclude: []string{"leads"}, want: []string{"lead_merges", "emails"}},
		{name: "unknown", streams: []string{"leads", "laeds"}, kind: martsync.Config},
		{name: "no pattern", streams: []string{"["}, kind: martsync.Config},
		{name: "no pattern to exclude", exclude: []string{"["}, kind: martsync.Config},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFixture(t, counting("leads", 1), counting("lead_merges", 1), counting("emails", 1))
			f.sync.Streams, f.sync.Exclude = tt.streams, tt.exclude
			out, err := f.run()
			if tt.want == nil {
				f.wantKind(err, tt.kind)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, st := range out.Stats.Streams {
				got = append(got, st.Stream)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("streams (-want +got):\n%s", diff)
			}
		})
	}
}

func TestWrongSyncs(t *testing.T) {
	for name, change := range map[string]func(*pipeline.Sync){
		"no name":             func(s *pipeline.Sync) { s.Name = "" },
		"a name with slashes": func(s *pipeline.Sync) { s.Name = "a/b" },
		"an id with slashes":  func(s *pipeline.Sync) { s.ID = "a/b" },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, counting("s", 1))
			change(&f.sync)
			_, err := pipeline.Advance(t.Context(), &f.sync)
			f.wantKind(err, martsync.Config)
		})
	}
	t.Run("no source", func(t *testing.T) {
		f := newFixture(t)
		f.sync.Source = nil
		_, err := pipeline.Advance(t.Context(), &f.sync)
		f.wantKind(err, martsync.Internal)
	})
	t.Run("an id is made if there is none", func(t *testing.T) {
		f := newFixture(t, counting("s", 1))
		f.sync.ID = ""
		if _, err := pipeline.Run(t.Context(), &f.sync); err != nil {
			t.Fatal(err)
		}
		if _, err := runlog.Load(t.Context(), f.state, "test", f.sync.ID); err != nil || f.sync.ID == "" {
			t.Errorf("id %q: %v", f.sync.ID, err)
		}
	})
}

func TestEventsAndStatsTellTheStory(t *testing.T) {
	ready := false
	f := newFixture(t, plainStream("s", func(from martsync.Cursor) []any {
		if !ready {
			ready = true
			return []any{batch("1", 1, 2), failure(martsync.Pending, time.Minute)}
		}
		return []any{batch("2", 3)}
	}))
	out := f.mustRun()
	var phases []runlog.Phase
	for _, e := range f.events {
		if e.Stream != "s" || e.Time.IsZero() {
			t.Errorf("event %+v: want a stream and a time", e)
		}
		phases = append(phases, e.Phase)
		if e.Phase == runlog.PhaseWait && !e.Wake.Equal(e.Time.Add(time.Minute)) {
			t.Errorf("wake: got %v, want a minute after %v", e.Wake, e.Time)
		}
	}
	want := []runlog.Phase{"open", "read", "read", "commit", "wait", "open", "read", "read", "commit", "done"}
	if diff := cmp.Diff(want, phases); diff != "" {
		t.Errorf("phases (-want +got):\n%s", diff)
	}
	st := out.Stats.Streams[0]
	if st.Rows != 3 || st.Bytes != 24 || st.Commits != 2 || out.Stats.Rows() != 3 {
		t.Errorf("stats: got %+v, want 3 rows, 24 bytes, 2 commits", st)
	}
	fresh, err := runlog.FreshnessOf(t.Context(), f.state, "test")
	if err != nil || len(fresh) != 1 || fresh[0].TotalRows != 3 || !fresh[0].LastSuccess.Equal(f.clock.Now()) {
		t.Errorf("freshness: got %+v, %v, want 3 rows and success now", fresh, err)
	}
	var entries []string
	for _, e := range f.storage.Log("s") {
		entries = append(entries, e.Operation)
		if e.Sync != "run-1" || e.Stream != "s" || !e.Success {
			t.Errorf("log entry: got %+v", e)
		}
	}
	if !slices.Equal(entries, []string{"commit", "commit"}) {
		t.Errorf("log: got %v, want one entry a commit", entries)
	}
}

// metered is a source that counts calls.
type metered struct {
	martsync.Source
	spent int64
}

func (m *metered) Streams(ctx context.Context) ([]martsync.Stream, error) {
	m.spent += 5
	return m.Source.Streams(ctx)
}

func (m *metered) Usage() []martsync.Usage {
	return []martsync.Usage{{Name: "API calls", Unit: "calls", Spent: m.spent, Today: -1, Limit: 50_000}}
}

func TestUsageAddsUpOverTheRun(t *testing.T) {
	f := newFixture(t, plainStream("s", always(failure(martsync.Pending, time.Minute))))
	for range 3 {
		f.sync.Source = &metered{Source: f.source, spent: 100}
		s := f.sync
		if _, err := pipeline.Advance(t.Context(), &s); err != nil {
			t.Fatal(err)
		}
		f.clock.Advance(time.Minute)
	}
	run, err := runlog.Load(t.Context(), f.state, "test", "run-1")
	if err != nil {
		t.Fatal(err)
	}
	want := []martsync.Usage{{Name: "API calls", Unit: "calls", Spent: 15, Today: -1, Limit: 50_000}}
	if diff := cmp.Diff(want, run.Usage); diff != "" {
		t.Errorf("usage (-want +got):\n%s", diff)
	}
}

func TestUsageIsLogged(t *testing.T) {
	f := newFixture(t, plainStream("s", always(batch("1", 1))))
	f.sync.Source = &metered{Source: f.source, spent: 100}
	s := f.sync
	if _, err := pipeline.Run(t.Context(), &s); err != nil {
		t.Fatal(err)
	}
	run, err := runlog.Load(t.Context(), f.state, "test", "run-1")
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("spent on API calls: %d calls", run.Usage[0].Spent); !slices.ContainsFunc(run.Log, func(e martsync.LogEntry) bool {
		return e.Operation == "usage" && e.Message == want
	}) {
		t.Errorf("the run's log has no %q: %+v", want, run.Log)
	}
}
