package marketo

import (
	"context"
	"errors"
	"time"

	"github.com/martsync/martsync"
)

// What is gone from a custom object shows in a listing of all of it alone, by windows of the last change. Each window says for itself
// what is gone, so a listing may take as many days of quota as it needs, while changes are read in between and no file waits until
// the vendor deletes it.
//
// A record that the table has in a window and the window's file has not is gone, unless it was updated before the file was
// made: then it is in a later window. So a file is read only when changes have been read that were exported after it, and what then
// still has its old version in the table is what no longer exists. One that was updated again before those changes were exported
// would lie behind their end; so the last window of changes reaches as far beyond it as the vendor allows. What came first is told by
// this machine's clock alone. A record whose newest version is in quarantine has its old one in the table for good; from such a one
// on, none is marked until a listing without any has gone by.

// changesWait is how long changes may wait for a listing that is under way. Else each look at its jobs would begin with an export
// of what changed since the last one.
const changesWait = 30 * time.Minute

// reachLeast is how far beyond the moment at which its file was there the last window of changes must have reached: the
// vendor's clock may be ahead.
const reachLeast = 24 * time.Hour

// read reads what has changed, and then goes on with a listing.
func (c *customStream) read(ctx context.Context, r *run, first bool) error {
	spec := *c.whole
	p := r.pos.Parts[spec.name]
	spec.complete = func(w window) (scope *martsync.Scope) {
		if r.pos.Stray == 0 && !c.shut(r) {
			scope = &martsync.Scope{Column: r.schema.Version, From: w.From.time(), To: w.To.time()}
		}
		if w.To >= p.To { // the commit of the last window says that it was the last
			c.end(r)
		}
		return scope
	}
	if p != nil && len(p.Jobs) > 0 && p.Jobs[0].File != nil {
		// Rows of this file may be waiting at the destination: nothing else until they are verified.
		if err := r.deliver(ctx, &spec, p); err != nil {
			return err
		}
	}
	goesOn := p != nil
	switch {
	case first:
		start, err := r.start(ctx)
		if err != nil {
			return err
		}
		r.pos.Full, r.pos.Begin, r.dirty = r.now(), start, true // the first read brings everything
	case p == nil:
		p = c.begin(r)
	}
	if p != nil && r.span.End.IsZero() {
		r.reachOut()
	}
	if r.once = goesOn; goesOn {
		// Jobs that are done give their places in the queue to those that follow.
		if err := r.ask(ctx, &spec, p); err != nil {
			return err
		}
		r.jobs.update(r.schema.Stream, r.pos)
	}
	if !goesOn || !r.over() || r.target().sub(r.pos.Until) >= changesWait {
		if err := r.advance(ctx); err != nil {
			return err
		}
	}
	if p == nil || !r.span.End.IsZero() {
		return nil
	}
	if err := c.list(ctx, r, &spec, p); err != nil {
		return err
	}
	c.end(r)
	return r.remember()
}

// begin begins a listing if it is time to; else it returns nil.
func (c *customStream) begin(r *run) *part {
	if !r.span.End.IsZero() || !r.over() || r.schema.Version == "" || !r.due(r.pos.Full, time.Duration(r.src.cfg.Custom.FullListingEvery)) {
		return nil
	}
	// What the table has is older than where changes have been read to, which lies in the vendor's past whatever this
	// machine's clock says: a window that did not would not have all that is in it.
	p := &part{At: r.pos.Begin, To: max(r.pos.Until, r.pos.Begin+1)}
	r.pos.Parts[c.whole.name], r.pos.Read, r.dirty = p, r.now(), true
	return p
}

// end ends a listing, unless that has been done.
func (c *customStream) end(r *run) {
	if r.pos.Parts[c.whole.name] == nil {
		return
	}
	what := "those that did not come no longer exist"
	switch {
	case c.shut(r):
		what = "which of them no longer exist cannot be told"
	case r.pos.Stray != 0:
		what = "as some are in quarantine, or were, not all are marked that no longer exist"
	}
	r.note("listing", "all records of %s have been read; %s", r.schema.Stream, what)
	if r.pos.Stray < r.pos.Read {
		r.pos.Stray = 0
	}
	if changes := r.pos.Parts[r.parts[0].name]; changes != nil {
		changes.Shut = false // the next listing finds out anew
	}
	delete(r.pos.Parts, c.whole.name)
	r.pos.Full, r.dirty = r.pos.Read, true
	r.jobs.update(r.schema.Stream, r.pos)
}

// reachOut makes the last window of a run of changes reach beyond its end. What lies there is read again by the next run.
func (r *run) reachOut() {
	changes := *r.parts[0]
	changes.reach = func(w window) second {
		if w.To < r.pos.Until {
			return 0
		}
		return w.From.add(maxWindow)
	}
	r.parts = []*partSpec{&changes}
}

// shut reports whether the vendor refuses windows that reach beyond the present. Then nothing tells a record that is gone from one that
// was updated twice while all were listed.
func (c *customStream) shut(r *run) bool {
	changes := r.pos.Parts[c.parts[0].name]
	return changes != nil && changes.Shut
}

// list exports all windows of a listing and reads their files.
func (c *customStream) list(ctx context.Context, r *run, spec *partSpec, p *part) error {
	for p.At < p.To {
		if len(p.Jobs) > 0 && p.Jobs[0].State == completed && p.Jobs[0].Made <= r.pos.Sure {
			if err := r.deliver(ctx, spec, p); err != nil {
				return err
			}
			continue
		}
		r.bound = p.To
		waits := r.collect(ctx, spec, p)
		r.bound = 0
		if kind := martsync.KindOf(waits); waits != nil && kind != martsync.Pending && kind != martsync.Quota {
			return waits
		}
		made, oldest := p.made()
		if made <= r.pos.Sure || martsync.KindOf(waits) == martsync.Pending && waits != nil && r.now().sub(oldest) < filesWait {
			if waits != nil {
				return waits
			}
			continue
		}
		if ahead := max(made.add(visibleAfter).sub(r.now()), (r.pos.Until + 1).sub(r.target())); ahead > 0 {
			return &martsync.Error{
				Kind: martsync.Pending, Op: "marketo: export " + r.schema.Stream, After: ahead,
				Err: errors.New("what was updated while all records were exported cannot be read yet"),
			}
		}
		if err := r.advance(ctx); err != nil {
			return err
		}
	}
	return nil
}
