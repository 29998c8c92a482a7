package marketo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/csvfile"
)

// A gathered says what has come of the files of a part that is gathered, as far as they have been read: their windows
// are no longer among the part's jobs.
type gathered struct {
	From   second `json:"from"`             // where the part began
	Asked  second `json:"asked"`            // when the last of their jobs was seen to be completed
	Open   bool   `json:"open,omitempty"`   // rows of theirs wait for the rest: no cursor may be committed
	Stray  int64  `json:"stray,omitempty"`  // lines of theirs in quarantine
	Unsure bool   `json:"unsure,omitempty"` // a record may exist that is in none of them

	// Of what keys lead to.
	Parsed int64 `json:"n,omitempty"`     // records, good and bad
	Bad    int64 `json:"bad,omitempty"`   // of these, in quarantine
	Calls  int64 `json:"calls,omitempty"` // spent on them
	Commas int   `json:"commas,omitempty"`

	Shared []sharedJob `json:"shared,omitempty"` // their jobs, where another stream may need them and the files are still there
}

func (g *gathered) check() error {
	if g != nil && (!g.From.sane() || !g.Asked.sane() || min(g.Stray, g.Parsed, g.Bad, g.Calls, int64(g.Commas)) < 0 || g.Bad > g.Parsed) {
		return errors.New("what has been gathered is out of range")
	}
	return nil
}

// began is where the reading of a part began that is gathered.
func (p *part) began() second {
	if p.Got != nil {
		return p.Got.From
	}
	return p.At
}

// open reports whether rows have been yielded that must not be seen before others.
func (p *position) open() bool {
	for _, q := range p.Parts {
		if q.Got != nil && q.Got.Open {
			return true
		}
	}
	return false
}

// gather reads the windows of a part, up to p.To, in one piece, so that whoever calls it knows at the end that nothing else
// exists. Each file is read as soon as it is there and all before it have been, since the vendor keeps them for seven days, and quota for the
// next ones may take longer. The cursors between are unverified: what came so far can be put by, and is
// not to be seen.
//
// What moves from one window to another meanwhile, because it is updated, is found in the last one: with
// tail, a window that ends in the future is added when all others have been read; see conclusive.
//
// A file that turns out wrong takes back itself only. So there is no cursor in the middle of one, and the read ends in an error of kind
// Pending, which makes the engine forget what came after the last cursor.
//
// A nil error means that all files have been delivered and verified. What remains is the caller's: to
// forget the part, and to send a cursor.
func (r *run) gather(ctx context.Context, spec *partSpec, p *part, tail bool) error {
	r.cursorEvery = math.MaxInt64 // of the stream's copy in this run
	defer func() { r.bound = 0 }()
	if p.Got == nil {
		p.Got = &gathered{From: p.At}
	}
	for {
		if tail && (p.At >= p.To && (p.Whole == 0 || p.At == p.Whole) || r.stale(p)) {
			r.tail(p)
		}
		r.bound = p.To
		if p.At >= p.To {
			return nil
		}
		if err := r.collect(ctx, spec, p); err != nil {
			return err
		}
		j := p.Jobs[0]
		if tail && p.isLast(j) && !p.conclusive() {
			if p.Tails < tailsMost {
				r.tail(p)
				continue
			}
			p.Got.Unsure = true
		}
		if err := r.deliverWhole(ctx, spec, p, j); err != nil {
			return err
		}
	}
}

const (
	// tailAhead is how far into the future the last window reaches: longer than its job is given.
	tailAhead = queuedMost + processingMost + 6*time.Hour

	// tailsMost is how often it is exported. An account where that is not enough gets no deletions from this reading.
	tailsMost = 4

	// openedMost is how often reading a file may begin before its job is given up.
	openedMost = 8
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

// stale reports whether the last window was planned long ago and has not been asked for, since there was no quota: its end may be
// over before its job is. It is planned anew then, which is not one time more.
func (r *run) stale(p *part) bool {
	if len(p.Jobs) != 1 || p.Short || !p.isLast(p.Jobs[0]) {
		return false
	}
	if j := p.Jobs[0]; j.Since != 0 || j.To.sub(r.now()) > tailAhead-time.Hour {
		return false
	}
	p.Tails = max(p.Tails-1, 0)
	return true
}

// conclusive reports whether nothing can have slipped through the windows: a record that is updated leaves its window
// for a later one, until it is in the last, which therefore must have been exported after all others and
// before its own end. Source: Marketo REST API, Bulk Extract, date filters: a record is found by its latest change.
func (p *part) conclusive() bool {
	last := p.Jobs[0]
	return p.isLast(last) && last.State == completed && last.Asked < last.To && p.Got.Asked <= last.Since
}

// isLast reports whether a job is that of the last window, which tail has planned.
func (p *part) isLast(j *job) bool { return p.Whole != 0 && j.From == p.Whole }

// shorten gives up a window's end in the future, which the vendor does not take, and reports whether it had one.
func (r *run) shorten(p *part, j *job, err error) bool {
	e, ok := errors.AsType[*apiError](err)
	if !ok || !p.isLast(j) || p.Short || e.Code != "1001" && e.Code != "1003" && e.Code != "1006" {
		return false
	}
	j.To = max(r.now(), j.From+1)
	p.To, p.Tails, p.Short, r.dirty = j.To, tailsMost, true, true
	r.bound = p.To
	return true
}

// collect gets the job of the first window completed, and those of later ones on their way.
func (r *run) collect(ctx context.Context, spec *partSpec, p *part) error {
	parked, err := r.fill(ctx, spec, p)
	if err != nil {
		return err
	}
	if err := r.ask(ctx, spec, p); err != nil {
		return err
	}
	r.jobs.update(r.schema.Stream, r.pos)
	if len(p.Jobs) > 0 && p.Jobs[0].State == completed {
		return nil
	}
	if err := r.remember(); err != nil {
		return err
	}
	return r.wait(spec, p, parked)
}

// deliverWhole yields the file of the first window, with its row for the ledger, and forgets the window. If its job has
// come to nothing, the window is planned again.
func (r *run) deliverWhole(ctx context.Context, spec *partSpec, p *part, j *job) error {
	if j.Taken {
		if err := r.prove(ctx, spec, p, j); err != nil || j.ID == "" {
			return err
		}
	}
	o, err := spec.options(ctx, p, j) // see deliver
	if err != nil {
		return err
	}
	if j.Rows != nil && *j.Rows == 0 {
		return r.settle(ctx, spec, p, j, o, filePosition{}, "") // see deliver
	}
	if j.Opened >= openedMost {
		return r.retry(ctx, p, j, fmt.Sprintf("its file was not read to its end, %d times", j.Opened), false)
	}
	end, sum := filePosition{}, ""
	if j.Opened > 0 {
		// Reading it was interrupted, perhaps since it is wrong: that must be known before any of it is yielded.
		err = r.examine(ctx, spec, p, j)
	}
	if err == nil {
		j.Opened, r.dirty = j.Opened+1, true
		if err := r.remember(); err != nil {
			return err
		}
		r.delivered = spec.settle != nil // whoever takes its records holds some of them
		end, sum, err = r.wholeFile(ctx, spec, p, j)
	}
	bad, isBad := errors.AsType[*badFile](err)
	gone := errors.Is(err, errGone)
	switch {
	case (isBad || gone) && r.delivered:
		return &martsync.Error{
			Kind: martsync.Pending, Op: "marketo: export " + r.schema.Stream, After: statusEvery,
			Err: fmt.Errorf("the file of job %s is read again: %w", j.ID, err),
		}
	case isBad:
		return r.rejected(ctx, p, j, bad)
	case gone && j.blank():
		r.note("window", "no file for %s to %s, twice: taken for empty", j.From, j.To) // see gone
		p.Got.Unsure = true
		return r.settle(ctx, spec, p, j, o, filePosition{}, "")
	case gone:
		return r.retry(ctx, p, j, "its file is gone", false)
	case err != nil:
		return err
	}
	if err := r.settle(ctx, spec, p, j, o, end, sum); err != nil {
		return err
	}
	r.src.env.Log.InfoContext(ctx, "window delivered", "stream", r.schema.Stream, "job", j.ID, "rows", end.Out, "bytes", end.Offset)
	return nil
}

// settle takes down that a file has been yielded and verified.
func (r *run) settle(ctx context.Context, spec *partSpec, p *part, j *job, o exportOptions, end filePosition, sum string) error {
	g := p.Got
	g.Stray += end.Bad
	if spec.settle != nil {
		if err := spec.settle(ctx); err != nil {
			return err
		}
	}
	g.Asked = max(g.Asked, j.Asked)
	if spec.shared != "" {
		old := r.now().add(-sharedFor)
		g.Shared = append(g.Shared, j.shared())
		g.Shared = slices.DeleteFunc(g.Shared, func(k sharedJob) bool { return k.Since < old })
	}
	p.Pace.observe(j.past(), end.Rows, end.Offset, -1)
	p.At, p.Jobs, p.Fails = j.To, p.Jobs[1:], 0
	if p.Step += p.Step / 4; p.Step.sub(0) >= maxWindow {
		p.Step = 0
	}
	r.dirty = true
	if spec.kind == keyFile { // a snapshot, whose only verified cursor is its last; the ledger has a row for all of it
		g.Open = true
		return r.remember()
	}
	w := spec.window(j, o, end, sum)
	if g.Open = g.Open || end.Rows > 0; !g.Open {
		return r.send(martsync.Batch{Window: w, Cursor: r.pos.cursor()}) // nothing waits that could keep it
	}
	if err := r.send(martsync.Batch{Window: w}); err != nil {
		return err
	}
	return r.remember()
}

// wholeFile yields the file of a job from its beginning to its end, and verifies it.
func (r *run) wholeFile(ctx context.Context, spec *partSpec, p *part, j *job) (end filePosition, sum string, err error) {
	d, err := r.download(ctx, spec, j)
	if err != nil {
		return end, "", err
	}
	defer d.Close()
	if end, err = r.records(ctx, spec, p, j, d); err == nil {
		sum, err = j.verify(end, d)
	}
	return end, sum, err
}

// examine reads the file of a job and verifies it, without yielding any of it.
func (r *run) examine(ctx context.Context, spec *partSpec, p *part, j *job) error {
	d, err := r.download(ctx, spec, j)
	if err != nil {
		return err
	}
	defer d.Close()
	end, checked := filePosition{}, false
	for chunk, err := range csvfile.Read(ctx, d, spec.fileOptions(&r.schema)) {
		if err != nil {
			return readError(ctx, d, err)
		}
		if !checked && chunk.Header != nil {
			if err := checkHeader(j, chunk.Header, p.wanted(spec)); err != nil {
				return err
			}
			checked = true
		}
		end.Rows += chunk.Rows
		d.hash.mark(chunk.Offset)
	}
	if d.err != nil {
		return d.err
	}
	_, err = j.verify(end, d)
	return err
}

func (r *run) download(ctx context.Context, spec *partSpec, j *job) (*download, error) {
	d, err := newDownload(ctx, j, func(ctx context.Context, offset int64) (io.ReadCloser, error) {
		j.Calls++
		body, _, err := r.src.client.file(ctx, spec.object.path(j.ID, "file.json"), offset)
		return body, err
	})
	if err != nil {
		return nil, &martsync.Error{Kind: martsync.Data, Op: "marketo: resume " + r.schema.Stream, Err: err}
	}
	return d, nil
}

// due reports whether something that is done now and then is to be done again. Never before is due.
func (r *run) due(last second, every time.Duration) bool {
	return last == 0 || r.now().sub(last) >= every
}
