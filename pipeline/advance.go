package pipeline

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/retry"
	"github.com/martsync/martsync/runlog"
	"github.com/martsync/martsync/state"
)

const (
	// leaseTime is how long an account stays locked after its holder has died. A step that
	// takes longer can cost the lease, which the fence makes harmless.
	leaseTime = 5 * time.Minute

	// listingAge is for how long a Run believes the source's list of streams.
	listingAge = time.Hour
)

// Advance does what can be done now: it reads the streams side by side until each is done,
// has failed or must wait, or until the deadline has passed or Stop is closed. It can be
// called again with the same ID, also by another process, until the Outcome is Done; then
// the error is that of the streams that failed, of the worst Kind among them. An error
// before that means that nothing more can be done now: another sync holds the account
// (Busy), something is wrong that concerns all streams, or ctx is done.
func Advance(ctx context.Context, s *Sync) (Outcome, error) {
	return advance(ctx, s, &listing{})
}

// listing is what a Run keeps of a source from one Advance to the next.
type listing struct {
	streams []martsync.Stream
	at      time.Time
	taken   bool // the last Advance took the run up
}

// An engine is one Advance.
type engine struct {
	Sync
	lease   *state.Lease
	account string // whose records the tables hold
	began   time.Time
	meter   instruments

	stopped atomic.Bool // all streams are to stop: something failed that concerns all of them

	mu       sync.Mutex // guards what follows and the runlog.Stream of each task
	run      *runlog.Run
	tasks    []*task
	active   int
	fatal    []error
	group    sync.WaitGroup
	reported map[string]int64 // rows of each stream that the freshness already counts

	saving    sync.Mutex // serializes writes of the run
	observing sync.Mutex // serializes Observe
}

func advance(ctx context.Context, s *Sync, list *listing) (out Outcome, err error) {
	list.taken = false
	e := &engine{Sync: *s, began: s.Clock.Now()}
	defer func() {
		if e.Ended != nil {
			e.Ended(context.WithoutCancel(ctx), e.run, err)
		}
	}()
	if err := e.prepare(); err != nil {
		return Outcome{}, err
	}
	s.ID = e.ID
	lease, err := state.AcquireLease(ctx, e.State, e.Clock, e.Source.Account(), e.owner(), leaseTime)
	if err != nil {
		return Outcome{WakeAt: e.began.Add(martsync.AfterOf(err))}, e.wrap(err)
	}
	e.lease = lease
	defer func() {
		if err := lease.Release(context.WithoutCancel(ctx)); err != nil {
			e.Log.WarnContext(ctx, "lease was not released; it expires by itself", "source", e.Source.Account(), "err", err)
		}
	}()
	if err := e.begin(ctx); err != nil {
		return Outcome{}, e.wrap(err)
	}
	list.taken = true
	usage := e.usage()
	out, err = e.advance(ctx, list)
	e.finish(ctx, &out, err, usage)
	return out, err
}

// prepare checks the fields and fills in the defaults.
func (e *engine) prepare() error {
	config := func(format string, args ...any) error {
		return &martsync.Error{Kind: martsync.Config, Op: "sync " + e.Name, Err: fmt.Errorf(format, args...)}
	}
	switch {
	case e.Name == "" || strings.Contains(e.Name, "/"):
		return config("a sync needs a name without slashes, not %q", e.Name)
	case e.Source == nil || e.Destination == nil || e.State == nil || e.Clock == nil:
		return &martsync.Error{Kind: martsync.Internal, Op: "sync " + e.Name, Err: errors.New("source, destination, state and clock must be set")}
	case strings.Contains(e.ID, "/"):
		return config("a run's id must be without slashes, not %q", e.ID)
	}
	for _, p := range append(append([]string{}, e.Streams...), e.Exclude...) {
		if _, err := path.Match(p, ""); err != nil {
			return config("pattern %q: %w", p, err)
		}
	}
	if e.ID == "" {
		e.ID = e.began.UTC().Format("20060102-150405") + "-" + strings.ToLower(rand.Text()[:6])
	}
	if e.Parallel <= 0 {
		e.Parallel = 4
	}
	e.account = e.Source.Account()
	if r, ok := martsync.As[Replaying](e.Source); ok {
		e.account = r.Replays()
	}
	if e.Log == nil {
		e.Log = slog.New(slog.DiscardHandler)
	}
	e.Log = e.Log.With("sync", e.Name)
	e.Limits = e.Limits.withDefaults()
	var err error
	if e.meter, err = newInstruments(e.Meter); err != nil {
		return err
	}
	return e.keepRaw()
}

// owner names this run in the lease, for the operator who meets it.
func (e *engine) owner() string {
	return fmt.Sprintf("sync %s%s%s)", e.Name, runInOwner(e.ID), state.Process())
}

// begin takes up the run, or starts it.
func (e *engine) begin(ctx context.Context) error {
	run, err := runlog.Load(ctx, e.State, e.Name, e.ID)
	switch {
	case errors.Is(err, runlog.ErrNotFound), err != nil && martsync.KindOf(err) == martsync.Data:
		e.bury(ctx, nil)
		run = &runlog.Run{ID: e.ID, Sync: e.Name, Account: e.Source.Account(), Backfill: e.Backfill, Start: e.began}
	case err != nil:
		return err
	default:
		e.bury(ctx, run)
	}
	run.Status, run.Wake, run.Advances = runlog.Running, time.Time{}, run.Advances+1
	run.Error, run.Kind, run.Hint = "", "", ""
	e.run = run
	e.reported = map[string]int64{}
	for i := range run.Streams {
		st := &run.Streams[i]
		e.reported[st.Stream] = st.Rows
		// What stopped the whole run is tried again; what concerned the stream alone is over.
		if st.Phase == runlog.PhaseFailed && fatalKind(parseKind(st.Kind)) {
			st.Phase, st.Error, st.Kind, st.Hint = runlog.PhaseQueued, "", "", ""
		}
	}
	return runlog.Save(ctx, e.State, run)
}

func (e *engine) advance(ctx context.Context, list *listing) (Outcome, error) {
	if e.stopping() {
		return Outcome{WakeAt: e.Clock.Now()}, nil
	}
	if list.streams == nil || e.Clock.Now().Sub(list.at) > listingAge {
		streams, err := e.listStreams(ctx)
		if err != nil {
			return e.beginningFailed(ctx, "list streams", err)
		}
		if err := e.checkAccounts(ctx, streams); err != nil {
			return e.beginningFailed(ctx, "compare accounts", err)
		}
		e.run.Attempts = 0
		*list = listing{streams: streams, at: e.Clock.Now()}
	}
	e.addTasks(list.streams)
	e.work(ctx)
	out, err := e.outcome(ctx)
	if err != nil || !out.Done || e.After == nil {
		return out, err
	}
	return e.after(ctx, out)
}

// after does what remains when the streams are done.
func (e *engine) after(ctx context.Context, out Outcome) (Outcome, error) {
	if e.stopping() {
		return Outcome{WakeAt: e.Clock.Now()}, nil
	}
	entries, err := e.After(ctx, e.lease.Keep)
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, entry := range entries {
		e.run.AddLog(entry)
	}
	if err != nil {
		return out, e.wrap(err)
	}
	return out, nil
}

// beginningFailed decides about an error of what comes before the streams, which concerns all of them.
func (e *engine) beginningFailed(ctx context.Context, operation string, err error) (Outcome, error) {
	e.run.AddLog(martsync.LogEntry{Time: e.Clock.Now(), Sync: e.ID, Operation: operation, Message: err.Error()})
	kind := martsync.KindOf(err)
	if ctx.Err() != nil || !kind.Waits() {
		return Outcome{}, e.wrap(err)
	}
	if kind == martsync.Transient {
		e.run.Attempts++
		if e.run.Attempts >= maxAttempts {
			return Outcome{}, e.wrap(err)
		}
	}
	wake := e.Clock.Now().Add(e.pause(e.run.Attempts, err))
	e.Log.WarnContext(ctx, "the sync cannot begin yet", "source", e.Source.Account(), "wake", wake, "err", err)
	return Outcome{WakeAt: wake}, nil
}

// pause returns how long a stream, or the run, is parked after err.
func (e *engine) pause(failures int, err error) time.Duration {
	after := martsync.AfterOf(err)
	switch martsync.KindOf(err) {
	case martsync.Pending:
		return cmpOr(after, 30*time.Second)
	case martsync.Quota:
		return cmpOr(after, 5*time.Minute)
	default:
		return retry.Policy{Seed: e.Name}.Pause(max(failures, 1), err)
	}
}

func cmpOr(d, standard time.Duration) time.Duration {
	if d > 0 {
		return d
	}
	return standard
}

// stopping reports whether streams are to stop at the next cursor.
func (e *engine) stopping() bool {
	if e.stopped.Load() {
		return true
	}
	select {
	case <-e.Stop: // nil blocks: never
		return true
	default:
	}
	return !e.Deadline.IsZero() && !e.Clock.Now().Before(e.Deadline)
}

// finish writes down how the Advance ended. It tries to even when ctx is done.
func (e *engine) finish(ctx context.Context, out *Outcome, err error, before []martsync.Usage) {
	e.measure(ctx)
	interrupted := ctx.Err()
	ctx = context.WithoutCancel(ctx)
	e.mu.Lock()
	run := e.run
	run.End, run.Wake = e.Clock.Now(), time.Time{}
	run.Usage = addUsage(run.Usage, before, e.usage())
	switch {
	case err != nil && interrupted != nil && errors.Is(err, interrupted): // which is no failure: it can go on at once
		run.Status = runlog.Stopped
	case err != nil:
		run.Status, run.Error, run.Kind, run.Hint = runlog.Failed, err.Error(), martsync.KindOf(err).String(), martsync.HintOf(err)
	case out.Done:
		run.Status = runlog.Done
	case out.WakeAt.After(run.End):
		run.Status, run.Wake = runlog.Waiting, out.WakeAt
	default:
		run.Status = runlog.Stopped
	}
	for _, u := range run.Usage {
		if run.Status == runlog.Waiting {
			break // a run may wait a thousand times
		}
		run.AddLog(martsync.LogEntry{
			Time: run.End, Sync: e.ID, Operation: "usage", Success: true,
			Message: fmt.Sprintf("spent on %s: %d %s", u.Name, u.Spent, u.Unit),
		})
	}
	rows := maps.Clone(e.reported)
	for i := range run.Streams {
		st := &run.Streams[i]
		rows[st.Stream] = st.Rows - rows[st.Stream]
	}
	out.Stats = e.stats()
	e.mu.Unlock()

	e.saveRun(ctx)
	if err := runlog.Report(ctx, e.State, run, rows); err != nil {
		e.Log.WarnContext(ctx, "status was not saved", "err", err)
	}
	attrs := []any{"source", e.Source.Account(), "run", e.ID, "status", run.Status, "rows", run.Rows(), "took", run.End.Sub(e.began)}
	var spent []any
	for _, u := range run.Usage {
		spent = append(spent, slog.Int64(strings.ToLower(strings.ReplaceAll(u.Name, " ", "_")), u.Spent))
	}
	attrs = append(attrs, slog.Group("spent", spent...))
	switch {
	case err != nil: // the caller reports it
	case out.Done:
		e.Log.InfoContext(ctx, "sync done", attrs...)
	default:
		e.Log.InfoContext(ctx, "sync waits", append(attrs, "wake", out.WakeAt)...)
	}
}

// saveRun writes the run as it is now. Losing it costs only time.
func (e *engine) saveRun(ctx context.Context) {
	e.saving.Lock()
	defer e.saving.Unlock()
	e.mu.Lock()
	run := *e.run
	run.Streams = append([]runlog.Stream(nil), e.run.Streams...)
	run.Log = append([]martsync.LogEntry(nil), e.run.Log...)
	e.mu.Unlock()
	if err := runlog.Save(ctx, e.State, &run); err != nil {
		e.Log.WarnContext(ctx, "run was not saved", "err", err)
	}
}

// stats copies the streams' entries. The caller holds e.mu.
func (e *engine) stats() Stats {
	return Stats{Streams: append([]runlog.Stream(nil), e.run.Streams...)}
}

// usage is what source and destination say that they have spent.
func (e *engine) usage() (all []martsync.Usage) {
	for _, v := range []any{e.Source, e.Destination} {
		if m, ok := martsync.As[martsync.Meter](v); ok {
			all = append(all, m.Usage()...)
		}
	}
	return all
}

// measure has the destination find out what it has spent. Not to know is no failure.
func (e *engine) measure(ctx context.Context) {
	m, ok := e.Destination.(martsync.Measurer)
	if !ok || ctx.Err() != nil {
		return
	}
	if err := m.Measure(ctx); err != nil {
		e.Log.DebugContext(ctx, "what the destination has spent is not known", "err", err)
	}
}

// addUsage adds what was spent between two readings of a meter to what the run had spent.
func addUsage(run, before, after []martsync.Usage) []martsync.Usage {
	spent := map[string]int64{}
	for _, u := range run {
		spent[u.Name] += u.Spent
	}
	for _, u := range before {
		spent[u.Name] -= u.Spent
	}
	if after == nil {
		return run
	}
	sum := append([]martsync.Usage(nil), after...)
	for i := range sum {
		sum[i].Spent += spent[sum[i].Name]
	}
	return sum
}

// wrap says of which sync an error is.
func (e *engine) wrap(err error) error { return fmt.Errorf("sync %s: %w", e.Name, err) }
