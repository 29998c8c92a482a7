package marketo

import (
	"context"
	"errors"
	"io"
	"math"
	"slices"
	"time"

	"github.com/martsync/martsync"
)

// gather reads the windows of a part, up to p.To, in one piece: only when the files of all of them are
// there does it read any, and no cursor comes between their rows. So whoever calls it knows at the end
// that nothing else exists.
//
// What moves from one window to another meanwhile, because it is updated, is found in the last one: with
// tail, a window that ends in the future is added when all others have been exported; see conclusive.
//
// A nil error means that all files have been delivered and verified. What remains is the caller's: to
// forget the part, and to send a cursor.
func (r *run) gather(ctx context.Context, spec *partSpec, p *part, tail bool) error {
	r.cursorEvery = math.MaxInt64 // of the stream's copy in this run
	for {
		r.bound = p.To
		if err := r.collect(ctx, spec, p); err != nil {
			return err
		}
		if tail && !p.conclusive() && p.Tails < tailsMost {
			r.tail(p)
			continue
		}
		done, err := r.deliverAll(ctx, spec, p)
		if err != nil {
			return err
		}
		if done {
			r.unsure = r.unsure || tail && !p.conclusive()
			r.bound = 0
			return nil
		}
	}
}

const (
	// tailAhead is how far into the future the last window reaches: longer than its job is given.
	tailAhead = queuedMost + processingMost + 6*time.Hour

	// tailsMost is how often it is exported. An account where that is not enough gets no deletions from this reading.
	tailsMost = 4
)

// tail plans the last window, in place of one that was in vain.
func (r *run) tail(p *part) {
	if p.Whole == 0 {
		p.Whole = p.To
	}
	p.Jobs = slices.DeleteFunc(p.Jobs, func(j *job) bool { return j.From >= p.Whole })
	if present := r.now(); present.sub(p.Whole) > maxWindow-tailAhead {
		// It took so long that one more window does not reach from there to the future.
		p.Jobs = append(p.Jobs, &job{window: nextWindow(p.Whole, present, maxWindow-tailAhead)})
		p.Whole = p.end()
	} else {
		p.Tails++
		end := present.add(tailAhead)
		if p.Short {
			end = max(present, p.Whole+1)
		}
		p.Jobs = append(p.Jobs, &job{window: window{From: p.Whole, To: end}})
	}
	p.To, r.dirty = p.end(), true
}

// conclusive reports whether nothing can have slipped through the windows: a record that is updated leaves its window
// for a later one, until it is in the last, which therefore must have been exported after all others and
// before its own end. Source: Marketo REST API, Bulk Extract, date filters: a record is found by its latest change.
func (p *part) conclusive() bool {
	n := len(p.Jobs)
	if p.Whole == 0 || n == 0 || p.Jobs[n-1].From != p.Whole {
		return false
	}
	last := p.Jobs[n-1]
	return last.State == completed && last.Asked < last.To &&
		!slices.ContainsFunc(p.Jobs[:n-1], func(j *job) bool { return j.State != completed || j.Asked > last.Since })
}

// shorten gives up a window's end in the future, which the vendor does not take, and reports whether it had one.
func (r *run) shorten(p *part, j *job, err error) bool {
	e, ok := errors.AsType[*apiError](err)
	if !ok || p.Whole == 0 || j.From != p.Whole || p.Short || e.Code != "1001" && e.Code != "1003" && e.Code != "1006" {
		return false
	}
	j.To = max(r.now(), j.From+1)
	p.To, p.Tails, p.Short, r.dirty = j.To, tailsMost, true, true
	r.bound = p.To
	return true
}

// collect gets the jobs of all windows completed, without reading a file.
func (r *run) collect(ctx context.Context, spec *partSpec, p *part) error {
	parked, err := r.fill(ctx, spec, p)
	if err != nil {
		return err
	}
	if err := r.ask(ctx, spec, p); err != nil {
		return err
	}
	r.jobs.update(r.schema.Stream, r.pos)
	if err := r.remember(); err != nil {
		return err
	}
	done := p.end() >= p.To
	for _, j := range p.Jobs {
		done = done && j.State == completed
	}
	if done {
		return nil
	}
	return r.wait(spec, p, parked)
}

// deliverAll yields the files of all windows, each with its row for the ledger, and no cursor. It reports
// false if one of them has to be exported again; what has been yielded is taken back then.
func (r *run) deliverAll(ctx context.Context, spec *partSpec, p *part) (bool, error) {
	for _, j := range p.Jobs {
		o, err := spec.options(ctx, p, j)
		if err != nil {
			return false, err
		}
		end, sum, err := r.deliverWhole(ctx, spec, p, j)
		bad, isBad := errors.AsType[*badFile](err)
		switch {
		case isBad:
			return false, r.rejected(ctx, p, j, bad)
		case errors.Is(err, errGone) && end.Rows == 0 && j.blank():
			r.note("window", "no file for %s to %s, twice: taken for empty", j.From, j.To) // see gone
			r.unsure, end, sum = true, filePosition{}, ""
		case errors.Is(err, errGone):
			return false, r.retry(ctx, p, j, "its file is gone", false)
		case err != nil:
			return false, err
		}
		r.src.env.Log.InfoContext(ctx, "window delivered", "stream", r.schema.Stream, "job", j.ID, "rows", end.Out, "bytes", end.Offset)
		r.stray += end.Bad
		if spec.kind == keyFile {
			continue // no row comes of it
		}
		if err := r.send(martsync.Batch{Window: spec.window(j, o, end, sum)}); err != nil {
			return false, err
		}
	}
	return true, nil
}

func (r *run) deliverWhole(ctx context.Context, spec *partSpec, p *part, j *job) (end filePosition, sum string, err error) {
	none := j.Rows != nil && *j.Rows == 0
	if none {
		return end, "", nil // see deliver
	}
	d, err := newDownload(ctx, j, func(ctx context.Context, offset int64) (io.ReadCloser, error) {
		j.Calls++
		body, _, err := r.src.client.file(ctx, spec.object.path(j.ID, "file.json"), offset)
		return body, err
	})
	if err != nil {
		return end, "", &martsync.Error{Kind: martsync.Data, Op: "marketo: resume " + r.schema.Stream, Err: err}
	}
	defer d.Close()
	if end, err = r.records(ctx, spec, p, j, d); err == nil {
		sum, err = j.verify(end, d)
	}
	return end, sum, err
}

// due reports whether something that is done now and then is to be done again. Never before is due.
func (r *run) due(last second, every time.Duration) bool {
	return last == 0 || r.now().sub(last) >= every
}
