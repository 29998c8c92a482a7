package alert

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/martsync/martsync/runlog"
	"github.com/martsync/martsync/state"
)

// mostGrace is how long after a time of its schedule a sync may end, if nothing else is configured: less than that if
// the schedule comes more often.
const mostGrace = 6 * time.Hour

// A Lateness says that a sync has not run to its end in time.
type Lateness struct {
	Sync    string    `json:"sync"`
	Due     time.Time `json:"due"`              // by when it had to
	Success time.Time `json:"success,omitzero"` // when it last did; zero: never, as far as is known

	run *runlog.Run // the newest; nil: none
}

// deadline is when a sync is late that was successful last at success, or first seen then.
func (s *Sync) deadline(success time.Time) (due, late time.Time, ok bool) {
	if s.LateAfter > 0 {
		due = success.Add(s.LateAfter)
		return due, due, true
	}
	if s.Schedule == nil {
		return time.Time{}, time.Time{}, false
	}
	due = s.Schedule.Next(success, s.Zone)
	if due.IsZero() {
		return time.Time{}, time.Time{}, false
	}
	grace := mostGrace
	if next := s.Schedule.Next(due, s.Zone); !next.IsZero() {
		grace = min(grace, next.Sub(due))
	}
	return due, due.Add(grace), true
}

// LateNow tells whether a sync is late now; nil: it is not. What is configured alone decides; there need be no rules.
func LateNow(ctx context.Context, store state.Store, s Sync, now time.Time) (*Lateness, error) {
	w := New(Options{State: store, Syncs: []Sync{s}})
	d, _, err := w.load(ctx, s.Name)
	if err != nil {
		return nil, err
	}
	if d.First.IsZero() {
		d.First = now
	}
	return late(ctx, store, w.o.Syncs[0], &d, now)
}

// late looks whether a sync is late. What it finds out about its last success goes into the record.
func late(ctx context.Context, store state.Store, s Sync, d *record, now time.Time) (*Lateness, error) {
	since := func() time.Time {
		if d.Success.IsZero() {
			return d.First
		}
		return d.Success
	}
	_, at, ok := s.deadline(since())
	if !ok || !d.Success.IsZero() && now.Before(at) {
		return nil, nil
	}
	// Before that is said, or if nothing is known: the record of runs may know of one that nobody told us of.
	const looked = 10
	runs, err := runlog.List(ctx, store, s.Name, looked)
	if err != nil {
		return nil, fmt.Errorf("look whether %s is late: %w", s.Name, err)
	}
	for i := range runs {
		if runs[i].Status == runlog.Done && runs[i].End.After(d.Success) {
			d.Success = runs[i].End
		}
		if d.Success.IsZero() && runs[i].Start.Before(d.First) {
			d.First = runs[i].Start
		}
	}
	due, at, ok := s.deadline(since())
	if !ok || now.Before(at) {
		return nil, nil
	}
	l := &Lateness{Sync: s.Name, Due: due, Success: d.Success}
	if len(runs) > 0 {
		l.run = &runs[0]
		// A first copy takes days under a vendor's limits. As long as it gets on, it is not late, unless somebody has
		// said how long it may take.
		if s.LateAfter == 0 && now.Sub(active(l.run)) < at.Sub(due) {
			return nil, nil
		}
	}
	return l, nil
}

// active is until when a run that is under way is known to be; zero if it is over.
func active(r *runlog.Run) time.Time {
	if r.Status == runlog.Done || r.Status == runlog.Failed {
		return time.Time{}
	}
	last := r.Start
	for _, t := range []time.Time{r.End, r.Wake} {
		if t.After(last) {
			last = t
		}
	}
	for i := range r.Streams {
		if c := r.Streams[i].LastCommit; c.After(last) {
			last = c
		}
	}
	return last
}

// lookAt looks whether a sync is late and puts it into its record. It reports whether anything is going on there.
func (w *Watcher) lookAt(ctx context.Context, s Sync) (open bool, err error) {
	now := w.o.Clock.Now()
	var failed error
	err = w.update(ctx, s.Name, func(d *record) (changed bool) {
		defer func() { open = len(d.Open) > 0 }()
		before := *d
		if d.First.IsZero() {
			d.First = now
		}
		l, err := late(ctx, w.o.State, s, d, now)
		if failed = err; err != nil {
			return false
		}
		changed = !d.First.Equal(before.First) || !d.Success.Equal(before.Success)
		e := d.Open["late"]
		switch {
		case l == nil && e != nil && e.Over.IsZero():
			d.close("late", e, now)
			return true
		case l == nil:
			return changed
		case e == nil || !e.Over.IsZero():
			e = &entry{Event: Late, Since: l.Due, Times: 1}
			d.Open["late"] = e
			changed = true
		}
		// What keeps it may change; that alone is not worth a write.
		e.Last, e.Due, e.Run, e.Kind, e.Error, e.Hint, e.Detail = now, when(l.Due, s.Zone), "", "", "", "", []string{keeps(l, s.Zone)}
		if l.run != nil {
			e.Run, e.Kind, e.Error, e.Hint = l.run.ID, l.run.Kind, short(l.run.Error), l.run.Hint
		}
		return changed
	})
	return open, errors.Join(err, failed)
}

// keeps says what keeps a late sync from its end, as far as that can be seen.
func keeps(l *Lateness, zone *time.Location) string {
	switch r := l.run; {
	case r == nil:
		return "It has never run."
	case r.Status == runlog.Failed:
		return fmt.Sprintf("Its last run, %s, failed: %s", r.ID, short(r.Error))
	case r.Status == runlog.Waiting:
		return fmt.Sprintf("Its run %s waits until %s.", r.ID, when(r.Wake, zone))
	case r.Status == runlog.Done:
		return fmt.Sprintf("Nothing has run since %s.", when(r.End, zone))
	case r.Status == runlog.Stopped:
		return fmt.Sprintf("Its run %s was stopped at %s and nobody has taken it up again.", r.ID, when(r.End, zone))
	default:
		return fmt.Sprintf("Its run %s began at %s and has not ended: it is at work, or was killed.", r.ID, when(r.Start, zone))
	}
}

// when writes a time for people.
func when(t time.Time, zone *time.Location) string {
	if t.IsZero() {
		return "never"
	}
	return t.In(zone).Format("Mon 2 Jan 2006 15:04 MST")
}
