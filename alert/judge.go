package alert

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/runlog"
)

// judge puts what a run tells into the record and reports whether there was anything.
func (w *Watcher) judge(d *record, r Report, now time.Time) bool {
	changed := d.First.IsZero()
	if changed {
		d.First = now
	}
	failed, fails := failureOf(r, now)
	switch {
	case fails:
		changed = true
		d.fail(failed)
	case r.Err == nil && r.Run != nil && r.Run.Status == runlog.Done && !r.Partial:
		changed = true
		d.Success = r.Run.End
		d.end(r.Run.End, Failure, Credentials, Late)
	}
	if r.Run == nil {
		return changed
	}
	if d.Run != r.Run.ID {
		d.take(r.Run.ID)
	}
	changed = d.limits(r.Run, w.leastQuota(r.Sync), now) || changed
	return d.grow(r.Run, now) || changed
}

// take begins to look at another run than the last time. One that waits may take turns with one that somebody began beside it;
// what is known of it must not be news again.
func (d *record) take(run string) {
	known := map[string]seen{}
	if d.Other == run && d.OtherSeen != nil {
		known = d.OtherSeen
	}
	d.Other, d.OtherSeen = d.Run, d.Seen
	d.Run, d.Seen = run, known
}

// failureOf makes an entry of what failed: the run, or streams of one that is not over yet.
func failureOf(r Report, now time.Time) (entry, bool) {
	e := entry{Event: Failure, Since: now, Last: now, Times: 1}
	kind := martsync.Internal
	if r.Run != nil {
		e.Run, e.Of = r.Run.ID, len(r.Run.Streams)
		worst := martsync.Transient + 1
		for i := range r.Run.Streams {
			s := &r.Run.Streams[i]
			if s.Phase != runlog.PhaseFailed {
				continue
			}
			e.Streams = append(e.Streams, s.Stream)
			if k := kindNamed(s.Kind); k < worst { // kinds are declared worst first
				worst, kind = k, k
				e.Error, e.Hint = s.Stream+": "+s.Error, s.Hint
			}
		}
	}
	switch {
	case r.Err != nil:
		kind = martsync.KindOf(r.Err)
		if len(e.Streams) != 1 {
			e.Error, e.Hint = r.Err.Error(), martsync.HintOf(r.Err)
		}
		e.Hint = cmp.Or(e.Hint, martsync.HintOf(r.Err))
	case len(e.Streams) == 0:
		return e, false
	}
	if !needsPerson(kind) {
		return e, false
	}
	if kind == martsync.Auth {
		e.Event = Credentials
	}
	e.Kind = kind.String()
	e.Error = short(e.Error)
	return e, true
}

// maxText bounds texts of errors in messages, in bytes. The run has all of it.
const maxText = 1000

// short makes one line of a text.
func short(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > maxText {
		s = strings.ToValidUTF8(s[:maxText], "") + "…"
	}
	return s
}

// kindNamed is the inverse of Kind.String.
func kindNamed(name string) martsync.Kind {
	for k := martsync.Internal; k <= martsync.Transient; k++ {
		if k.String() == name {
			return k
		}
	}
	return martsync.Internal
}

// fail notes a failure. One of another kind takes the place of the one before, since other people may have to act; it
// is told anew, and it has lasted since the first.
func (d *record) fail(e entry) {
	name := "failure/" + e.Kind
	for k, old := range d.Open {
		if !strings.HasPrefix(k, "failure/") || k == name || !old.Over.IsZero() {
			continue
		}
		if old.Since.Before(e.Since) {
			e.Since = old.Since
		}
		e.Times += old.Times
		delete(d.Open, k)
	}
	old := d.Open[name]
	if old == nil || !old.Over.IsZero() {
		d.Open[name] = &e
		return
	}
	// A run that waits reports its failed streams with each piece.
	e.Since, e.Told, e.Times = old.Since, old.Told, old.Times
	if old.Run != e.Run || e.Run == "" {
		e.Times++
	}
	d.Open[name] = &e
}

// end notes that what is open of these events is over. What nobody was told of is forgotten.
func (d *record) end(at time.Time, events ...Event) {
	for k, e := range d.Open {
		if slices.Contains(events, e.Event) && e.Over.IsZero() {
			d.close(k, e, at)
		}
	}
}

func (d *record) close(key string, e *entry, at time.Time) {
	e.Over = at
	for _, t := range e.Told {
		if !t.At.IsZero() || !t.Claimed.IsZero() {
			t.Tries, t.Retry = 0, time.Time{}
			return
		}
	}
	delete(d.Open, key)
}

// limits looks how much of the vendor's limits is spent. It is seen at most once a percent, so that a run that waits a
// thousand times does not write a thousand records.
func (d *record) limits(run *runlog.Run, least int64, now time.Time) (changed bool) {
	for _, u := range run.Usage {
		spent := u.Today
		if spent < 0 && now.Sub(run.Start) < 24*time.Hour {
			spent = u.Spent // at least what the run has spent
		}
		if spent < 0 || u.Limit <= 0 {
			continue
		}
		name := "quota/" + u.Name
		percent := spent * 100 / u.Limit
		e := d.Open[name]
		switch {
		case percent < least && e != nil && e.Over.IsZero():
			e.Spent, e.Level = spent, percent
			d.close(name, e, now)
			changed = true
		case percent < least:
		case e == nil || !e.Over.IsZero():
			d.Open[name] = &entry{
				Event: Quota, About: u.Name, Since: now, Last: now, Times: 1, Level: percent, Spent: spent, Limit: u.Limit, Unit: u.Unit, Run: run.ID,
			}
			changed = true
		case e.Level != percent:
			e.Last, e.Level, e.Spent, e.Limit, e.Run = now, percent, spent, u.Limit, run.ID
			changed = true
		}
	}
	return changed
}

// leastQuota is the lowest percentage that anybody wants to know of.
func (w *Watcher) leastQuota(sync string) int64 {
	least := int64(1 << 62)
	for i := range w.o.Rules {
		if r := &w.o.Rules[i]; r.about(sync) && r.wants(Quota) {
			least = min(least, r.Quota)
		}
	}
	return least
}

// maxDetail bounds the lines that an entry keeps.
const maxDetail = 20

// grow looks what has come to the lists and counts of a run since it was last looked at.
func (d *record) grow(run *runlog.Run, now time.Time) (changed bool) {
	for i := range run.Streams {
		s := &run.Streams[i]
		before := d.Seen[s.Stream]
		if n := s.Quarantined - before.Quarantined; n > 0 {
			e := d.note("quarantine", Quarantine, run.ID, now)
			e.Level += n
			if !slices.Contains(e.Streams, s.Stream) {
				e.Streams = append(e.Streams, s.Stream)
			}
			changed = true
		}
		if len(s.Changes) > before.Changes {
			e := d.note("schema", Schema, run.ID, now)
			for _, c := range s.Changes[before.Changes:] {
				e.Level++
				e.Detail = append(e.Detail, s.Stream+": "+short(c))
			}
			e.Detail = e.Detail[max(0, len(e.Detail)-maxDetail):]
			changed = true
		}
		if after := (seen{len(s.Changes), s.Quarantined}); after != before {
			d.Seen[s.Stream] = after
		}
	}
	return changed
}

// note returns the entry of something that happens rather than lasts, and that it happened again.
func (d *record) note(key string, event Event, run string, now time.Time) *entry {
	e := d.Open[key]
	if e == nil {
		e = &entry{Event: event, Since: now}
		d.Open[key] = e
	}
	e.Last, e.Run = now, run
	e.Times++
	return e
}
