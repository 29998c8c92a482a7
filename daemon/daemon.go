// Package daemon runs jobs when their schedules say so, side by side, for as long as the process lives.
//
// What is due follows from the state store and not from having been awake at the right minute: after a time
// without a daemon each job runs once, and a run that was killed in the middle is taken up again. A job is worked
// on in pieces: one that must wait gives its place back and is called again when going on is useful. Jobs of one
// account take turns, whichever has waited longest first.
//
// It leaves to others: when a schedule comes (package schedule), what a job does (the caller; usually
// pipeline.Advance), keeping processes off each other's accounts (the lease in package state), and pages for people.
package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel/metric"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/schedule"
	"github.com/martsync/martsync/state"
)

// A Job is something that runs again and again.
type Job struct {
	Name     string // of the sync: the state is kept under it, so it is stable
	Schedule *schedule.Schedule
	Zone     *time.Location // of the schedule

	// Open prepares a run, or the next piece of one. It is called from one goroutine at a time.
	Open func(ctx context.Context, run string) (Run, error)
}

// A Run is an opened run of a job. Its methods are called from one goroutine at a time.
type Run interface {
	// Account names what the run shares with other jobs: runs of equal accounts take turns.
	Account() string

	// Advance does what can be done now, and stops early, where it loses nothing, once stop is closed.
	Advance(ctx context.Context, stop <-chan struct{}) (Outcome, error)

	// Close gives back what Open took. The run can be opened again and goes on.
	Close() error
}

// An Outcome says what is left to do after an Advance.
type Outcome struct {
	Done   bool      // nothing: the run is over, with the error or without
	WakeAt time.Time // if not Done: when going on is useful
}

// Options are what a daemon needs of the world. State and Clock must be set.
type Options struct {
	State state.Store
	Clock martsync.Clock
	Log   *slog.Logger         // default: none
	Meter metric.MeterProvider // is told how the jobs and their runs stand; default: none

	// AtOnce bounds the jobs at work, and with them the memory; default 4.
	AtOnce int

	// Jitter is by how much a run may begin late, so that not everybody calls the vendor at nine sharp. How late
	// a run begins follows from its name and time. It is at most half the time to the next one; default none.
	Jitter time.Duration

	// Keep is how long a run that waits stays open. Opening costs calls; staying open keeps others from the
	// file of an embedded database. Default 5 min.
	Keep time.Duration
}

// A Daemon runs jobs. Status and Handler may be used from any goroutine.
type Daemon struct {
	options Options
	log     *slog.Logger

	mu       sync.Mutex // guards what follows and the jobs
	jobs     []*job
	accounts map[string]bool // those at work
	atWork   int
	serving  bool  // Run is at it and has not been asked to stop
	stateErr error // of the last use of the store

	workers sync.WaitGroup
	metrics metrics
}

// A job is a Job and what this process knows of it. The daemon's lock guards it; a job at work belongs to its
// worker but for what Status tells.
type job struct {
	Job
	working bool
	account string    // "" until it was opened once
	holds   bool      // it has made the account busy
	next    time.Time // when it is to be looked at
	record  record    // as last read or written

	open   Run    // of the worker; nil: not open
	openID string // whose run open is
}

// New checks the jobs. Run starts them.
func New(jobs []Job, o Options) (*Daemon, error) {
	internal := func(format string, args ...any) error {
		return &martsync.Error{Kind: martsync.Internal, Op: "serve", Err: fmt.Errorf(format, args...)}
	}
	if o.State == nil || o.Clock == nil {
		return nil, internal("state and clock must be set")
	}
	if o.AtOnce <= 0 {
		o.AtOnce = 4
	}
	if o.Keep <= 0 {
		o.Keep = 5 * time.Minute
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	d := &Daemon{options: o, log: o.Log, accounts: map[string]bool{}}
	seen := map[string]bool{}
	for _, j := range jobs {
		switch {
		case j.Name == "" || strings.Contains(j.Name, "/") || seen[j.Name]:
			return nil, internal("a job needs a name of its own without slashes, not %q", j.Name)
		case j.Schedule == nil || j.Zone == nil || j.Open == nil:
			return nil, internal("job %s: schedule, zone and open must be set", j.Name)
		}
		seen[j.Name] = true
		d.jobs = append(d.jobs, &job{Job: j})
	}
	if len(d.jobs) == 0 {
		return nil, &martsync.Error{
			Kind: martsync.Config, Op: "serve", Err: errors.New("no sync has a schedule"),
			Hint: `Give one of syncs a schedule, as in schedule: "0 9 * * WED".`,
		}
	}
	if err := d.measure(); err != nil {
		return nil, internal("%w", err)
	}
	return d, nil
}

// A JobStatus says where a job stands.
type JobStatus struct {
	Sync    string    `json:"sync"`
	Working bool      `json:"working"`
	Run     string    `json:"run,omitempty"` // that is not over
	Next    time.Time `json:"next,omitzero"` // when it runs, or goes on; zero: not known yet
	Due     time.Time `json:"due,omitzero"`  // the time of the schedule that the last run was for
	Ended   time.Time `json:"ended,omitzero"`
	Kind    string    `json:"kind,omitempty"`  // of the error that the last run ended with
	Error   string    `json:"error,omitempty"` // likewise
	Hint    string    `json:"hint,omitempty"`  // for the operator
}

// Status returns where all jobs stand, in the order in which New got them.
func (d *Daemon) Status() []JobStatus {
	d.mu.Lock()
	defer d.mu.Unlock()
	all := make([]JobStatus, len(d.jobs))
	for i, j := range d.jobs {
		r := &j.record
		all[i] = JobStatus{
			Sync: j.Name, Working: j.working, Run: r.Run, Due: r.Due, Ended: r.Ended, Kind: r.Kind, Error: r.Error, Hint: r.Hint,
		}
		if !r.Since.IsZero() {
			all[i].Next = r.next(&j.Job, d.options.Jitter)
		}
	}
	return all
}
