package pipeline

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/runlog"
)

// A task is a stream of this Advance. Its entry in the run is guarded by engine.mu.
type task struct {
	stream martsync.Stream
	schema martsync.Schema
	index  int // of its entry in run.Streams
	active bool
	err    error // why it failed, in this Advance

	// Used by the goroutine that works on the task alone.
	read  int64               // rows read in this Advance, for the progress display
	carry []martsync.LogEntry // failures that no progress document could take yet
	eager bool                // commit at every verified cursor; see errAgain
	ended martsync.Cursor     // where the last attempt that read to the end stood
	anew  bool                // the stream does not take up windows that are open; see Continued
}

// addTasks makes a task of each stream, with its entry in the run.
func (e *engine) addTasks(streams []martsync.Stream) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, s := range streams {
		t := &task{stream: s, schema: s.Schema()}
		for t.index = 0; t.index < len(e.run.Streams); t.index++ {
			if e.run.Streams[t.index].Stream == t.schema.Stream {
				break
			}
		}
		if t.index == len(e.run.Streams) {
			e.run.Streams = append(e.run.Streams, runlog.Stream{Stream: t.schema.Stream, Phase: runlog.PhaseQueued})
		}
		if st := &e.run.Streams[t.index]; !st.Phase.Over() && st.Phase != runlog.PhaseWait {
			st.Phase = runlog.PhaseQueued // whatever a process that was killed left there
		}
		e.tasks = append(e.tasks, t)
	}
}

// work runs the tasks until none can go on now.
func (e *engine) work(ctx context.Context) {
	e.fill(ctx)
	e.group.Wait()
}

// fill starts tasks that can go on, up to the limit: parked ones whose time has come before
// queued ones, since something at the vendor is ready for them. It is called at the
// beginning, whenever a task ends, and at each step of the others, so that a parked stream
// goes on while a long one is still at work.
func (e *engine) fill(ctx context.Context) {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := e.Clock.Now()
	for _, want := range []runlog.Phase{runlog.PhaseWait, runlog.PhaseQueued} {
		for _, t := range e.tasks {
			if e.active >= e.Parallel || ctx.Err() != nil || e.stopping() {
				return
			}
			st := &e.run.Streams[t.index]
			if t.active || st.Phase != want || want == runlog.PhaseWait && now.Before(st.Wake) {
				continue
			}
			t.active = true
			e.active++
			st.Phase, st.Wake = runlog.PhaseOpen, time.Time{}
			e.group.Go(func() { e.runTask(ctx, t) })
		}
	}
}

// errStopped ends an attempt whose stream stopped at a cursor because it was asked to.
var errStopped = errors.New("stopped")

// errAgain ends an attempt that must begin again from what is durable, committing at each
// verified cursor: rows that had been verified but not committed turned out to be entangled
// with rows that a commit must not contain.
var errAgain = errors.New("begin again")

func (e *engine) runTask(ctx context.Context, t *task) {
	began := e.Clock.Now()
	err := e.guarded(ctx, t)
	for {
		if errors.Is(err, errAgain) {
			t.eager = true
		} else if err != nil || !t.follow() {
			break
		}
		err = e.guarded(ctx, t)
	}
	e.update(t, func(st *runlog.Stream) { st.Took += e.Clock.Now().Sub(began) })
	e.decide(ctx, t, err)
	e.saveRun(ctx)

	e.mu.Lock()
	t.active = false
	e.active--
	e.mu.Unlock()
	e.fill(ctx)
}

// guarded is attempt, but a panic is an error: the streams beside this one, and the other syncs of the process, are to
// come to a good end whatever bug this one has met. What is durable is right at any point.
func (e *engine) guarded(ctx context.Context, t *task) (err error) {
	defer func() {
		if p := recover(); p != nil {
			e.Log.DebugContext(ctx, "panic", "stream", t.schema.Stream, "err", fmt.Sprint(p), "stack", string(debug.Stack()))
			err = &martsync.Error{Kind: martsync.Internal, Op: "read", Err: fmt.Errorf("panic: %v", p)}
		}
	}()
	return e.attempt(ctx, t)
}

// update changes the stream's entry in the run.
func (e *engine) update(t *task, change func(*runlog.Stream)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	change(&e.run.Streams[t.index])
}

// decide turns the end of an attempt into a phase. Only the Kind of the error counts.
func (e *engine) decide(ctx context.Context, t *task, err error) {
	now := e.Clock.Now()
	log := e.Log.With("source", e.Source.Account(), "stream", t.schema.Stream)
	end := Event{Phase: runlog.PhaseDone, Err: err}
	kind := martsync.KindOf(err)
	e.mu.Lock()
	st := &e.run.Streams[t.index]
	st.Error, st.Kind, st.Hint = "", "", ""
	if err != nil && !errors.Is(err, errStopped) && ctx.Err() == nil {
		st.Error, st.Kind, st.Hint = err.Error(), kind.String(), martsync.HintOf(err)
	}
	switch {
	case err == nil:
		st.Attempts, st.Finished = 0, now
		log.InfoContext(ctx, "stream done", "rows", st.Rows, "bytes", st.Bytes, "took", st.Took)
	case errors.Is(err, errStopped), ctx.Err() != nil:
		end.Phase, end.Err = runlog.PhaseStopped, nil
	case kind == martsync.Unavailable:
		end.Phase, st.Finished = runlog.PhaseSkipped, now
		log.WarnContext(ctx, "stream skipped: this account does not have it", "err", err)
	case kind == martsync.Transient && st.Attempts+1 < maxAttempts:
		st.Attempts++
		end.Phase, end.Wake = runlog.PhaseWait, now.Add(e.pause(st.Attempts, err))
		log.WarnContext(ctx, "stream will be tried again", "wake", end.Wake, "err", err)
	case kind == martsync.Pending || kind == martsync.Quota:
		st.Attempts = 0
		end.Phase, end.Wake = runlog.PhaseWait, now.Add(e.pause(1, err))
		log.InfoContext(ctx, "stream waits", "wake", end.Wake, "reason", err)
	default:
		t.err = fmt.Errorf("%s: %w", t.schema.Stream, err)
		end.Phase, st.Finished = runlog.PhaseFailed, now
		if fatalKind(kind) {
			e.fatal = append(e.fatal, t.err)
			e.stopped.Store(true)
		}
	}
	switch end.Phase {
	case runlog.PhaseWait:
		e.add(ctx, e.meter.waits, t, 1, ofKind(kind))
	case runlog.PhaseFailed:
		e.add(ctx, e.meter.failures, t, 1, ofKind(kind))
	default:
	}
	st.Phase, st.Wake = end.Phase, end.Wake
	end.Rows, end.Bytes = t.read, st.Bytes
	e.mu.Unlock()
	e.observe(t, end)
}

// observe tells the observer, if there is one.
func (e *engine) observe(t *task, event Event) {
	if e.Observe == nil {
		return
	}
	event.Time, event.Stream = e.Clock.Now(), t.schema.Stream
	e.observing.Lock()
	defer e.observing.Unlock()
	e.Observe(event)
}
