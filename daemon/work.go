package daemon

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/state"
)

// statePause is how long a job rests while the state store does not answer: without it nobody knows what is due.
const statePause = 30 * time.Second

// work looks what the job has to do, does a piece of it and writes down what is left.
func (d *Daemon) work(ctx context.Context, j *job, stop <-chan struct{}) {
	if isClosed(stop) || ctx.Err() != nil {
		return
	}
	err := d.piece(ctx, j, stop)
	now := d.options.Clock.Now()
	stale := errors.Is(err, state.ErrStale)
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case ctx.Err() != nil:
	case stale:
		j.next = now // another daemon was faster: look again what it has left
	case err != nil:
		j.next, d.stateErr = now.Add(statePause), err
		d.log.WarnContext(ctx, "state cannot be used", "sync", j.Name, "err", err)
	default:
		j.next, d.stateErr = j.record.next(&j.Job, d.options.Jitter), nil
	}
}

// piece returns errors of the state store only; those of the job go into its record.
func (d *Daemon) piece(ctx context.Context, j *job, stop <-chan struct{}) error {
	r, err := d.load(ctx, j.Name)
	if err != nil {
		return err
	}
	d.set(j, r)
	now := d.options.Clock.Now()
	if r.Run != j.openID {
		d.close(ctx, j) // another daemon has brought it to its end
	}
	if r.next(&j.Job, d.options.Jitter).After(now) {
		return nil
	}
	if r.Run == "" {
		// Written before anything else happens: two daemons cannot begin the same run, and one that is killed
		// is followed by one that knows.
		if r, err = d.save(ctx, j.Name, r.begin(&j.Job, newID(now), now)); err != nil {
			return err
		}
		d.set(j, r)
		d.log.InfoContext(ctx, "sync is due", "sync", j.Name, "run", r.Run, "due", r.Due)
	}
	id := r.Run
	out, ran, err := d.advance(ctx, j, id, stop)
	if !ran {
		return nil // its account is at work; the record says that it is ready
	}
	now = d.options.Clock.Now()
	r = r.after(out, err, isClosed(stop) || ctx.Err() != nil, now)
	d.tell(ctx, j, r, err, now)
	if r.Run == "" || r.Wake.Sub(now) > d.options.Keep || err != nil {
		d.close(ctx, j)
	}
	d.set(j, r)
	if err != nil && martsync.KindOf(err) == martsync.Busy && !out.Done {
		return nil // nothing was done; whoever is at work writes the record
	}
	// Also when ctx is done: what was done is done.
	return d.finish(context.WithoutCancel(ctx), j, id, r)
}

// finish writes down what a piece of a run has come to. Another daemon may have touched the record since: what it
// knows of the same run is older than what we know, unless it has brought the run to its end.
func (d *Daemon) finish(ctx context.Context, j *job, run string, r record) error {
	for range 8 { // somebody else's write in between is rare; eight in a row is a broken store
		saved, err := d.save(ctx, j.Name, r)
		if err == nil {
			d.set(j, saved)
			return nil
		}
		if !errors.Is(err, state.ErrStale) {
			return err
		}
		theirs, err := d.load(ctx, j.Name)
		if err != nil {
			return err
		}
		if theirs.Run != run {
			d.set(j, theirs)
			return nil
		}
		r.revision = theirs.revision
	}
	return fmt.Errorf("remember when %s ran: %w", j.Name, state.ErrStale)
}

// advance opens the run, unless it is open, and does a piece of it. It has not run if another job is at work on
// its account, which is known only once it was opened for the first time.
func (d *Daemon) advance(ctx context.Context, j *job, id string, stop <-chan struct{}) (out Outcome, ran bool, err error) {
	defer func() {
		if p := recover(); p != nil {
			d.log.DebugContext(ctx, "panic", "sync", j.Name, "err", fmt.Sprint(p), "stack", string(debug.Stack()))
			out, ran = Outcome{Done: true}, true
			err = &martsync.Error{Kind: martsync.Internal, Op: "sync " + j.Name, Err: fmt.Errorf("panic: %v", p)}
		}
	}()
	if j.open == nil {
		run, err := j.Open(ctx, id)
		if err != nil {
			return Outcome{}, true, err
		}
		j.open, j.openID = run, id
		if !d.claim(j, run.Account()) {
			return Outcome{}, false, nil
		}
	}
	out, err = j.open.Advance(ctx, stop)
	return out, true, err
}

// claim makes the account busy for the job. It reports false if another one is at work on it; start waits for that
// one from then on, since the account is known.
func (d *Daemon) claim(j *job, account string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if j.holds && j.account == account {
		return true // start has taken it
	}
	d.release(j)
	j.account = account
	if d.accounts[account] {
		return false
	}
	d.take(j)
	return true
}

// tell logs how a piece of work ended, and counts.
func (d *Daemon) tell(ctx context.Context, j *job, r record, err error, now time.Time) {
	next := r.next(&j.Job, d.options.Jitter)
	switch {
	case err != nil && !r.Ended.Equal(now) && martsync.KindOf(err) == martsync.Busy:
		d.log.InfoContext(ctx, "sync waits for its account", "sync", j.Name, "wake", next, "err", err)
		return
	case err != nil && !r.Ended.Equal(now):
		d.log.InfoContext(ctx, "sync was interrupted", "sync", j.Name, "err", err)
		return
	case err != nil:
		d.log.ErrorContext(ctx, "sync failed", "sync", j.Name, "kind", r.Kind, "hint", r.Hint, "next", next, "err", err)
	case r.Run == "":
		d.log.InfoContext(ctx, "sync ran", "sync", j.Name, "next", next)
	default:
		return // the pipeline has said that it waits
	}
	d.metrics.ended(ctx, j.Name, r.Kind)
}

// set shows the record to Status.
func (d *Daemon) set(j *job, r record) {
	d.mu.Lock()
	defer d.mu.Unlock()
	j.record = r
}

// close closes the job's run if it is open.
func (d *Daemon) close(ctx context.Context, j *job) {
	if j.open == nil {
		j.openID = ""
		return
	}
	if err := j.open.Close(); err != nil {
		d.log.WarnContext(ctx, "run was not closed", "sync", j.Name, "err", err)
	}
	j.open, j.openID = nil, ""
}

// newID names a run. It begins with the time, as those of package pipeline do.
func newID(now time.Time) string {
	return now.UTC().Format("20060102-150405") + "-" + strings.ToLower(rand.Text()[:6])
}
