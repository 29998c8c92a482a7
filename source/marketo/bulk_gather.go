package marketo

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/martsync/martsync"
)

// gather reads the windows of a part, up to p.To, in one piece: only when the files of all of them are
// there does it read any, and no cursor comes between their rows. So whoever calls it knows at the end
// that nothing else exists. Where that takes long, because there is no quota, putBy is called for the files that wait: the
// vendor keeps them for seven days.
//
// A nil error means that all files have been delivered and verified. What remains is the caller's: to
// forget the part, and to send a cursor.
func (r *run) gather(ctx context.Context, spec *partSpec, p *part, putBy func() error) error {
	r.cursorEvery = math.MaxInt64 // of the stream's copy in this run
	for {
		r.bound = p.To
		if err := r.collect(ctx, spec, p); err != nil {
			if _, oldest := p.made(); martsync.KindOf(err) == martsync.Quota || martsync.KindOf(err) == martsync.Pending && oldest != 0 && r.now().sub(oldest) >= filesWait {
				if e := putBy(); e != nil {
					return e
				}
			}
			return err
		}
		done, err := r.deliverAll(ctx, spec, p)
		if err != nil {
			return err
		}
		if done {
			r.bound = 0
			return nil
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

// made is when the last and the first of the files were complete that can be read next. 0: there is none.
func (p *part) made() (last, first second) {
	for i, j := range p.Jobs {
		if j.State != completed {
			break
		}
		if last = max(last, j.Made); i == 0 {
			first = j.Made
		}
	}
	return last, first
}

// deliverAll reads the files of all windows, of which no row comes by itself, and yields no cursor. It reports
// false if one of them has to be read or exported again; what has been yielded is taken back then.
func (r *run) deliverAll(ctx context.Context, spec *partSpec, p *part) (bool, error) {
	for _, j := range p.Jobs {
		end, err := r.deliverWhole(ctx, spec, p, j)
		if err != nil {
			if empty, err := r.settle(ctx, p, j, err, end.Rows > 0); !empty {
				return false, err
			}
			end = filePosition{}
		}
		r.src.env.Log.InfoContext(ctx, "window delivered", "stream", r.schema.Stream, "job", j.ID, "rows", end.Out, "bytes", end.Offset)
		r.stray += end.Bad
	}
	return true, nil
}

func (r *run) deliverWhole(ctx context.Context, spec *partSpec, p *part, j *job) (end filePosition, err error) {
	if j.Rows != nil && *j.Rows == 0 {
		return end, nil // see deliver
	}
	d, err := newDownload(ctx, j, r.fileOf(spec, j))
	if err != nil {
		return end, &martsync.Error{Kind: martsync.Data, Op: "marketo: resume " + r.schema.Stream, Err: err}
	}
	defer d.Close()
	if end, err = r.records(ctx, spec, p, j, d); err == nil {
		_, err = j.verify(end, d)
	}
	return end, err
}

// settle decides about a file that could not be read, begun says whether some of it was. It reports whether the file is taken for
// empty; else it is going to be downloaded or exported again, unless there is an error.
func (r *run) settle(ctx context.Context, p *part, j *job, err error, begun bool) (empty bool, _ error) {
	bad, isBad := errors.AsType[*badFile](err)
	switch {
	case isBad:
		return false, r.rejected(ctx, p, j, bad)
	case errors.Is(err, errGone) && !begun && j.blank():
		r.note("window", "no file for %s to %s, twice: taken for empty", j.From, j.To) // see gone
		return true, nil
	case errors.Is(err, errGone):
		return false, r.retry(ctx, p, j, "its file is gone", false)
	}
	return false, err
}

// due reports whether something that is done now and then is to be done again. Never before is due.
func (r *run) due(last second, every time.Duration) bool {
	return last == 0 || r.now().sub(last) >= every
}
