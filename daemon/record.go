package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/state"
)

// A record is what outlives the process of one job. Times of the schedule after Since have not been served, however
// many there are: that makes one run of all that were missed. Losing it costs at most one run, and no record.
type record struct {
	Since time.Time `json:"since"`          // when the last run began, or when the job was first seen
	Run   string    `json:"run,omitzero"`   // that is not over; "": none
	Due   time.Time `json:"due,omitzero"`   // the time that Run or the one before it is for
	Wake  time.Time `json:"wake,omitzero"`  // when Run can go on; without Run: when a failed one is tried again
	Tries int       `json:"tries,omitzero"` // failures in a row that time may cure
	Ended time.Time `json:"ended,omitzero"` // when the last run was over
	Error string    `json:"error,omitzero"` // it ended with
	Kind  string    `json:"kind,omitzero"`  // of Error
	Hint  string    `json:"hint,omitzero"`

	revision string
}

// next is when there is something to do.
func (r *record) next(j *Job, jitter time.Duration) time.Time {
	if r.Run != "" {
		return r.Wake
	}
	due := j.Schedule.Next(r.Since, j.Zone)
	if due.IsZero() { // no time is far enough to be this one
		return time.Unix(1<<40, 0)
	}
	at := due.Add(late(j.Name, due, min(jitter, j.Schedule.Next(due, j.Zone).Sub(due)/2)))
	if !r.Wake.IsZero() && r.Wake.Before(at) {
		return r.Wake
	}
	return at
}

// late is by how much a run begins after its time: the same for all daemons of one state.
func late(name string, due time.Time, most time.Duration) time.Duration {
	if most <= 0 {
		return 0
	}
	h := fnv.New64a()
	fmt.Fprintf(h, "%s %d", name, due.Unix())
	return time.Duration(h.Sum64() % uint64(most)) //nolint:gosec // most is positive
}

// begin is the record of a run that begins.
func (r record) begin(j *Job, id string, now time.Time) record {
	if due := j.Schedule.Next(r.Since, j.Zone); !due.After(now) {
		r.Due = due // else a failed run is tried again, for the time that it was for
	}
	r.Since, r.Run, r.Wake = now, id, now
	return r
}

// Pauses of a run that failed in a way that time may cure. They double from try to try.
const (
	firstPause = 5 * time.Minute
	mostPause  = time.Hour
)

// busyPause is how long an account that another process holds is left alone: its lease tells when it runs out, but
// usually it is given back long before.
const busyPause = time.Minute

// after is the record after an Advance, or after an Open that failed.
func (r record) after(out Outcome, err error, stopped bool, now time.Time) record {
	kind := martsync.KindOf(err)
	switch {
	case err == nil && out.Done:
		r.Run, r.Wake, r.Tries = "", time.Time{}, 0
	case err == nil:
		r.Wake, r.Tries = out.WakeAt, 0
		return r
	case stopped && kind == martsync.Transient && !out.Done: // interrupted, not failed
		r.Wake = now
		return r
	case kind == martsync.Busy && !out.Done:
		r.Wake = now.Add(busyPause)
		if after := martsync.AfterOf(err); after > 0 && after < busyPause {
			r.Wake = now.Add(after)
		}
		return r
	case kind.Waits(), kind == martsync.Conflict, kind == martsync.Busy:
		if out.Done || kind == martsync.Conflict {
			r.Run = ""
		}
		r.Wake = now.Add(max(martsync.AfterOf(err), min(firstPause<<min(r.Tries, 10), mostPause)))
		r.Tries++
	default: // somebody has to do something; the next time of the schedule tries again
		r.Run, r.Wake, r.Tries = "", time.Time{}, 0
	}
	r.Ended, r.Error, r.Kind, r.Hint = now, "", "", ""
	if err != nil {
		r.Error, r.Kind, r.Hint = err.Error(), kind.String(), martsync.HintOf(err)
	}
	return r
}

// mostSkew is more than clocks differ. A record from beyond it was written by a clock that was far ahead; the job must not
// rest until that time comes.
const mostSkew = 24 * time.Hour

func recordKey(name string) string { return "serve/" + name }

// load reads a job's record. A job that nobody has seen before begins now: its first run is at the next time.
func (d *Daemon) load(ctx context.Context, name string) (record, error) {
	doc, err := d.options.State.Get(ctx, recordKey(name))
	if err != nil && !errors.Is(err, state.ErrNotFound) {
		return record{}, fmt.Errorf("read when %s ran: %w", name, err)
	}
	r := record{revision: doc.Revision}
	now := d.options.Clock.Now()
	if err == nil && json.Unmarshal(doc.Data, &r) == nil && !r.Since.IsZero() {
		if r.Since.Sub(now) <= mostSkew {
			return r, nil
		}
		r.Since = now
		return d.save(ctx, name, r)
	}
	return d.save(ctx, name, record{Since: now, revision: doc.Revision})
}

// save writes a job's record over the one it was made of. state.ErrStale means that another daemon was faster.
func (d *Daemon) save(ctx context.Context, name string, r record) (record, error) {
	data, err := json.Marshal(r)
	if err != nil {
		return r, fmt.Errorf("remember when %s ran: %w", name, err)
	}
	revision, err := d.options.State.Put(ctx, recordKey(name), data, r.revision)
	if err != nil {
		return r, fmt.Errorf("remember when %s ran: %w", name, err)
	}
	r.revision = revision
	return r, nil
}
