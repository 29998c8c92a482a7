package marketo

import (
	"cmp"
	"context"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"runtime"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/csvfile"
)

const (
	// cursorEvery is how many bytes of a file there are between two cursors to resume from.
	cursorEvery int64 = 4 << 20

	// emptyCell stands for "no value" in the vendor's files, whatever the type.
	// Marketo REST API, Bulk Extract.
	emptyCell = "null"

	// parsersMost is how many goroutines parse a file at most. Each takes about 16 MB, and two keep
	// up with any connection.
	parsersMost = 2

	// headerMost bounds the first line of a file: an account may have thousands of fields.
	headerMost = 4 << 20
)

// A badFile is a file that cannot be what the vendor meant to deliver.
type badFile struct {
	why      string
	download bool // downloading it again may help
}

func (b *badFile) Error() string { return b.why }

// deliver yields the file of the first window and, when the whole of it has been checked
// against what the vendor promised, its row for the ledger.
//
// Before the check the rows carry unverified cursors: the engine may put them by, but not
// show them. A file that fails the check is taken back and downloaded once more; if it fails
// again, its job is made anew.
func (r *run) deliver(ctx context.Context, spec *partSpec, p *part) error {
	j := p.Jobs[0]
	// Now, since they may take a call, and a download makes none while it is open: see records.
	o, err := spec.options(ctx, p, j)
	if err != nil {
		return err
	}
	if j.Rows != nil && *j.Rows == 0 && j.File == nil {
		// What the file of an empty job looks like, or whether there is one, is not documented.
		return r.finish(ctx, spec, p, j, o, filePosition{}, "")
	}
	d, err := newDownload(ctx, j, r.fileOf(spec, j))
	if err != nil {
		return &martsync.Error{Kind: martsync.Data, Op: "marketo: resume " + r.schema.Stream, Err: err}
	}
	defer d.Close()
	end, err := r.records(ctx, spec, p, j, d)
	sum := ""
	if err == nil {
		sum, err = j.verify(end, d)
	}
	bad, isBad := errors.AsType[*badFile](err)
	switch {
	case isBad:
		return r.rejected(ctx, p, j, bad)
	case errors.Is(err, errGone):
		return r.gone(ctx, spec, p, j, o)
	case err != nil:
		return err
	}
	if d.cuts > 0 {
		r.note("download", "the download of job %s broke off and was resumed, %d times", j.ID, d.cuts)
	}
	return r.finish(ctx, spec, p, j, o, end, sum)
}

// records yields the records of a file from where j.File says. It returns the position at the
// end of the file.
//
// An open file holds one of the places that the account has for calls. If each of them were held by a download
// that asks for something else, none would come to an end: so whoever has to ask hangs up first.
func (r *run) records(ctx context.Context, spec *partSpec, p *part, j *job, d *download) (filePosition, error) {
	at, o := filePosition{}, spec.fileOptions(&r.schema)
	o.Raw = r.src.keep
	if j.File != nil {
		at = *j.File
		header, err := r.header(ctx, spec, p, j)
		if err != nil {
			return at, err
		}
		o.Header, o.StartLine = header, at.Rows
	}
	r.hangUp = d.Close
	defer func() { r.hangUp = nil }()
	rows := newFileRows(r, spec, j.ID)
	raw := martsync.Raw{Body: "job-" + j.ID + ".csv", How: how{Kind: cmp.Or(spec.kind, exportFile), Part: spec.name, Job: j.ID, From: j.From, To: j.To}.text(), Offset: at.Offset}
	base, last, replaced := at.Offset, at.Offset, int64(0)
	count := r.newCounter(spec, p, at.Seen)
	if count != nil {
		at.Seen = count.into
	}
	checked := j.File != nil
	for chunk, err := range csvfile.Read(ctx, d, o) {
		if err != nil {
			return at, readError(ctx, d, err)
		}
		if !checked && chunk.Header != nil {
			if err := checkHeader(j, chunk.Header, p.wanted(spec)); err != nil {
				return at, err
			}
			checked = true
		}
		end := base + chunk.Offset
		count.records(chunk.Records)
		b, out, bad, err := rows.take(ctx, &chunk)
		if err != nil {
			return at, err
		}
		b.Bytes = end - at.Offset
		at.Offset = end
		at.Rows += chunk.Rows
		at.Out += out
		at.Bad += bad
		replaced += chunk.Replaced
		if raw.Data = chunk.Raw; len(raw.Data) > 0 {
			b.Raw = []martsync.Raw{raw}
			raw.Offset += int64(len(raw.Data))
		}
		m := d.hash.mark(end) // also where no row comes of it: what is before the mark is let go
		if b.Records == nil && len(b.Quarantined) == 0 && b.Raw == nil {
			continue
		}
		if end-last >= r.cursorEvery && b.Records != nil {
			at.Hashed, at.Hash, at.Tail, last = m.at, m.state, d.hash.tail(end), end
			f := at
			j.File = &f
			b.Cursor, b.Unverified = r.pos.cursor(), true
		}
		if err := r.send(b); err != nil {
			return at, err
		}
		rows.reset()
	}
	if d.err != nil {
		return at, d.err
	}
	if replaced > 0 {
		r.note("text", "job %s: %d invalid UTF-8 sequences replaced", j.ID, replaced)
	}
	return at, nil
}

// fileOptions say how to read a file of the part, of a stream with this schema.
func (spec *partSpec) fileOptions(schema *martsync.Schema) csvfile.Options {
	o := csvfile.Options{
		Columns: spec.columns, Null: emptyCell, Workers: min(runtime.GOMAXPROCS(0), parsersMost), AllowExtra: true,
	}
	if o.Columns == nil {
		o.Columns = schema.Columns
	}
	return o
}

// fileRows makes batches of what the parser gives of a file.
type fileRows struct {
	job     string
	convert func(context.Context, *rowWriter, *martsync.Records) error
	w       *rowWriter // nil: the records of the file are the rows
}

func newFileRows(r *run, spec *partSpec, job string) *fileRows {
	f := &fileRows{job: job, convert: spec.convert}
	if spec.convert != nil {
		f.w = newRowWriter(r, job)
	}
	return f
}

// take returns the batch that a chunk makes, borrowed until reset, and how many rows came of it and
// how many did not become one. Batches that filled up on the way have been yielded.
func (f *fileRows) take(ctx context.Context, chunk *csvfile.Chunk) (b martsync.Batch, out, bad int64, err error) {
	for i := range chunk.Quarantined {
		chunk.Quarantined[i].Job = f.job
	}
	bad = int64(len(chunk.Quarantined))
	if f.w == nil {
		b = martsync.Batch{Records: chunk.Records, Quarantined: chunk.Quarantined}
		if chunk.Records.Len == 0 {
			b.Records = nil
		}
		return b, chunk.Rows - bad, bad, nil
	}
	w := f.w
	w.quarantined = append(w.quarantined, chunk.Quarantined...)
	if err := f.convert(ctx, w, chunk.Records); err != nil {
		return b, 0, 0, err
	}
	out, bad = w.rows, bad+w.bad
	w.rows, w.bad = 0, 0
	return w.batch(), out, bad, nil
}

func (f *fileRows) reset() {
	if f.w != nil {
		f.w.reset()
	}
}

// readError tells apart what can go wrong while a file is read.
func readError(ctx context.Context, d *download, err error) error {
	switch {
	case d.err != nil:
		return d.err
	case ctx.Err() != nil:
		return ctx.Err()
	case martsync.KindOf(err) == martsync.Data:
		return &badFile{why: err.Error(), download: true}
	}
	return err
}

// errNoHeader is a file whose first line cannot be read.
var errNoHeader = errors.New("there is no header")

// firstLine fetches the header of a job's file.
func (r *run) firstLine(ctx context.Context, spec *partSpec, j *job) ([]string, error) {
	j.Calls++
	body, _, err := r.src.client.file(ctx, spec.object.path(j.ID, "file.json"), 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = body.Close() }()
	h, err := csv.NewReader(io.LimitReader(body, headerMost)).Read()
	if martsync.KindOf(err) == martsync.Transient {
		return nil, err // the connection broke
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNoHeader, err)
	}
	return h, nil
}

// header is the header of a file that is resumed after it.
func (r *run) header(ctx context.Context, spec *partSpec, p *part, j *job) ([]string, error) {
	if h := p.wanted(spec); sign(h) == j.Sign {
		return h, nil
	}
	// The account's fields have changed since the job was created, so its header is not known.
	h, err := r.firstLine(ctx, spec, j)
	if err != nil && !errors.Is(err, errNoHeader) {
		return nil, err
	}
	if err != nil || sign(h) != j.Sign {
		return nil, &badFile{why: "its header has changed since the download began", download: true}
	}
	return h, nil
}

// checkHeader compares a header with what the job was created for.
func checkHeader(j *job, header, wanted []string) error {
	s := sign(header)
	switch {
	case s == j.Sign:
		return nil
	case sameFields(header, wanted):
		j.Sign = s // another order: columns are found by name
		return nil
	}
	return &badFile{why: "its columns are not the ones asked for", download: true}
}

// verify compares a file that has been read to its end with what the vendor said about it.
// It returns the checksum.
func (j *job) verify(end filePosition, d *download) (string, error) {
	n, raw := d.hash.total()
	sum := hex.EncodeToString(raw)
	switch {
	case j.Size != nil && *j.Size != n:
		return "", &badFile{why: fmt.Sprintf("%d bytes arrived, the vendor told %d", n, *j.Size), download: true}
	case j.Sum != "" && j.Sum != sum:
		return "", &badFile{why: fmt.Sprintf("the checksum is %s, the vendor told %s", sum, j.Sum), download: true}
	case j.Rows != nil && *j.Rows != end.Rows:
		// With the right checksum the same bytes would come again.
		return "", &badFile{why: fmt.Sprintf("%d records arrived, the vendor told %d", end.Rows, *j.Rows), download: j.Sum == ""}
	}
	return sum, nil
}

// rejected takes back what was delivered of a file.
func (r *run) rejected(ctx context.Context, p *part, j *job, bad *badFile) error {
	if !bad.download || j.Again > 0 {
		return r.retry(ctx, p, j, bad.why, false)
	}
	r.note("download", "the file of job %s is downloaded again: %s", j.ID, bad.why)
	staged := j.File != nil || r.delivered
	j.File, r.dirty = nil, true
	j.Again++
	if staged {
		return r.discard()
	}
	return r.remember()
}

// gone decides about a completed job without a file.
func (r *run) gone(ctx context.Context, spec *partSpec, p *part, j *job, o exportOptions) error {
	if j.File == nil && !r.delivered && j.blank() {
		r.note("window", "no file for %s to %s, twice: taken for empty", j.From, j.To)
		sure := *spec // a guess is no reason to take records for deleted
		if spec.listed {
			r.pos.Stray = r.now()
		} else {
			sure.complete = nil
		}
		return r.finish(ctx, &sure, p, j, o, filePosition{}, "")
	}
	return r.retry(ctx, p, j, "its file is gone", false)
}

// finish completes the first window: from here on its rows may be shown.
func (r *run) finish(ctx context.Context, spec *partSpec, p *part, j *job, o exportOptions, end filePosition, sum string) error {
	w := spec.window(j, o, end, sum)
	b := martsync.Batch{Window: w}
	if spec.listed && end.Bad > 0 {
		r.pos.Stray = r.now()
	}
	if spec.complete != nil {
		if b.Complete = spec.complete(j.window); end.Bad > 0 { // somebody is there and no row says so
			b.Complete = nil
		}
	}
	if spec.reach != nil && j.To >= r.pos.Until && (p.Shut || j.Made.add(reachLeast) <= j.Reach) {
		r.pos.Sure = j.Since.add(-visibleAfter)
	}
	p.Pace.observe(j.length(), end.Rows, end.Offset, -1)
	if p.Late != nil {
		p.Late.Now = p.Late.Now.merge(end.Seen)
	}
	p.At, p.Jobs, p.Fails = j.To, p.Jobs[1:], 0
	if p.Step += p.Step / 4; p.Step.sub(0) >= maxWindow {
		p.Step = 0
	}
	r.src.env.Log.InfoContext(ctx, "window delivered", "stream", r.schema.Stream, "job", j.ID, "rows", end.Out, "bytes", end.Offset)
	b.Cursor = r.pos.cursor()
	return r.send(b)
}

// window is the row of the ledger for a file that has been verified.
func (spec *partSpec) window(j *job, o exportOptions, end filePosition, sum string) *martsync.Window {
	from, to := j.From, min(j.To, j.Since) // what is going to be updated is not in it
	if spec.covers != nil {
		from, to = spec.covers(j.window)
	}
	w := &martsync.Window{
		Job: j.ID, Records: -1, Bytes: -1,
		Parsed: end.Rows, Quarantined: end.Bad, Calls: j.Calls,
	}
	if to != 0 {
		w.From, w.To = from.time(), to.time()
	}
	w.Filter = filterJSON(spec.object.filter(j.window, o))
	if j.Size != nil {
		w.Bytes = *j.Size
	}
	if j.Sum != "" {
		w.SHA256 = sum
	}
	switch {
	case spec.convert != nil:
		w.Parsed = end.Out + end.Bad // of rows; the vendor's count, of activities, has been checked
	case j.Rows != nil:
		w.Records = *j.Rows
	}
	return w
}
