package marketo

import (
	"context"
	"errors"
	"io"
	"math"
	"time"

	"github.com/martsync/martsync"
)

// gather reads the windows of a part, up to p.To, in one piece: only when the files of all of them are
// there does it read any, and no cursor comes between their rows. So whoever calls it knows at the end
// that nothing else exists.
//
// What moves from one window to another meanwhile, because it is updated, is found in the last one: with
// tail, a window up to the present is added when all others have been exported.
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
		if tail && !p.Tail {
			if now := r.now(); now > p.To {
				p.To = min(now, p.To.add(maxWindow))
			}
			p.Tail, r.dirty = true, true
			continue
		}
		done, err := r.deliverAll(ctx, spec, p)
		if err != nil || done {
			r.bound = 0
			return err
		}
	}
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
