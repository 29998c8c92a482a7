package pardot

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/martsync/martsync"
)

// errStop ends a read whose consumer has left.
var errStop = errors.New("the reader has left")

// A run is one Read under way.
type run struct {
	*stream

	ctx   context.Context //nolint:containedctx // a run lives as long as one call
	span  martsync.Span
	until second // where ranges end: fixed, or a long read would chase the present
	pos   position
	yield func(martsync.Batch, error) bool

	rows   *rowBuilder // of the version that was queried last
	rowsOf version

	raw    []martsync.Raw  // waiting for a batch
	notes  []martsync.Note // waiting for a batch
	noted  []martsync.Note // all so far: each is told once
	lost   map[string]bool // fields that the vendor refused to tell during this run
	listed bool            // everything was listed during this run
	ended  bool            // a series ended during this run
	quick  int             // pages in a row that were not too slow
}

// cursor is the position as it is now.
func (r *run) cursor() martsync.Cursor { return r.pos.cursor() }

// send yields a batch, and the notes with it. It returns errStop if the consumer has left and
// an error if the context is done.
func (r *run) send(b martsync.Batch) error {
	if !b.Discard { // what is discarded takes its notes along
		b.Notes = append(b.Notes, r.notes...)
		r.notes = nil
		if len(r.raw) > 0 {
			b.Raw = append(r.raw, b.Raw...)
		}
	}
	r.raw = nil
	if !r.yield(b, nil) {
		return errStop
	}
	if err := r.ctx.Err(); err != nil {
		return r.fail(martsync.Transient, "", err)
	}
	return nil
}

// remember yields the position alone.
func (r *run) remember() error { return r.send(martsync.Batch{Cursor: r.cursor()}) }

// discard takes back all rows since the last verified cursor.
func (r *run) discard() error { return r.send(martsync.Batch{Discard: true, Cursor: r.cursor()}) }

// note keeps something worth a row in the log, once.
func (r *run) note(operation, format string, args ...any) {
	n := martsync.Note{Operation: operation, Message: fmt.Sprintf(format, args...)}
	if !slices.Contains(r.noted, n) {
		r.noted = append(r.noted, n)
		r.notes = append(r.notes, n)
	}
}

// op names a call of this run, for errors: "query list memberships".
func (r *run) op(verb string) string { return verb + " " + strings.ReplaceAll(r.obj.stream, "_", " ") }

// fail makes an error of this run.
func (r *run) fail(kind martsync.Kind, hint string, err error) error {
	return &martsync.Error{Kind: kind, Op: "pardot: " + r.op("read"), Hint: hint, Err: err}
}

// read reads what is due.
func (r *run) read() error {
	r.until = secondOf(r.src.now().Add(-settled))
	if end := secondOf(r.span.End); end > 0 {
		r.until = min(r.until, end)
	}
	r.compareColumns()
	if w := r.pos.Window; w != nil {
		r.fit(w)
	}
	for {
		if r.pos.Window == nil {
			due, err := r.open()
			if err != nil {
				return err
			}
			if !due {
				break
			}
		}
		if err := r.readWindow(); err != nil {
			return err
		}
	}
	if err := r.sweep(); err != nil {
		return err
	}
	if len(r.notes) > 0 {
		return r.remember()
	}
	return nil
}

// compareColumns notices columns that have appeared since the last read. Records may have
// got values in them from when the fields were last described on, and have been read without:
// the next series begins there.
func (r *run) compareColumns() {
	hash := r.columnsHash()
	if r.pos.Columns != "" && r.pos.Columns != hash && r.since(r.plan.api) != "" {
		if r.pos.Again == 0 || r.pos.Described < r.pos.Again {
			r.pos.Again = r.pos.Described
		}
	}
	r.pos.Columns, r.pos.Described = hash, r.described
}

// fit begins a window anew if the configuration has since chosen another way to read it. What
// has been read of it stays, and counts.
func (r *run) fit(w *window) {
	w.Whole = w.Whole || r.since(r.plan.api) == ""
	if w.Way == byQuery && w.API != r.plan.api {
		w.API, w.Pass, w.After, w.Limit = r.plan.api, 0, 0, 0
	}
	if w.Way == byExport && (w.Whole || r.plan.read == byQuery || !r.obj.exports(r.plan.exports)) {
		r.query(w)
	}
}

// query makes queries read a window rather than export jobs.
func (r *run) query(w *window) {
	r.pos.Export = nil
	w.Way, w.API, w.Pass, w.After, w.Limit = byQuery, r.plan.api, 0, 0, 0
	if r.pos.Until > 0 { // it was cut for exports only
		w.To, r.pos.Step = r.pos.Until, 0
	}
}

// open decides which window comes next, and reports false if nothing is due.
func (r *run) open() (bool, error) {
	p, now := &r.pos, secondOf(r.src.now())
	if r.since(r.plan.api) == "" {
		if r.listed || p.Listed > 0 && now.sub(p.Listed) < r.plan.every {
			return false, nil
		}
		p.Listed = now
		p.Window = &window{Whole: true, Way: byQuery, API: r.plan.api}
		return true, nil
	}
	if p.Until > 0 { // the series goes on
		return true, r.begin(p.Next)
	}
	until := r.until
	from := max(p.At.add(-r.plan.overlap), 0)
	switch {
	case p.At == 0:
		from = r.start()
	case p.Again > 0:
		from = max(min(p.At, p.Again).add(-r.plan.overlap), 0)
		until = max(until, p.At)
	case until <= p.At || now.sub(p.At) < r.plan.every || r.ended && until.sub(p.At) < r.stale():
		return false, nil
	}
	if from >= until {
		return false, nil
	}
	p.Again = 0
	p.Next, p.Until, p.Step = from, until, 0
	return true, r.begin(from)
}

// stale is how old the end of a series must be for another one to follow at once. A series that
// had to wait, for a day's limit or for export jobs, ends in the past. Another one by jobs would
// have to wait as well, and so on for ever: the next sync is for that.
func (r *run) stale() time.Duration {
	if r.plan.read == byExport {
		return longRange
	}
	return 12 * time.Hour
}

// start is where the first read begins; 0: at the beginning of everything, which is also what a
// start before any record asks for: nothing has to be waited for in years that have none.
func (r *run) start() second {
	start := secondOf(r.src.cfg.Start.Time)
	if !r.span.Start.IsZero() {
		start = secondOf(r.span.Start)
	}
	if start <= founding {
		return 0
	}
	return start
}

// begin opens the window of the series that begins at from.
func (r *run) begin(from second) error {
	p := &r.pos
	w := &window{From: from, To: p.Until, Way: byQuery, API: r.plan.api}
	if p.Step > 0 {
		w.To = min(w.To, max(from, founding)+p.Step)
	}
	p.Window = w
	export, err := r.exports(w)
	switch {
	case err != nil:
		p.Window = nil
		return err
	case export:
		w.Way, w.API = byExport, r.plan.exports
		w.To = min(w.To, w.From.add(exportLongest))
	default:
		// Without bounds come also records that have no time at all.
		w.Whole = w.From == 0 && r.span.End.IsZero() && w.To == p.Until
	}
	return nil
}

// exports decides whether a window is read by export jobs. Each year takes one, so a first window
// that begins before the business unit did ends there, and is queried. Mostly nothing is in it, but
// records that were brought along from another one may be older.
func (r *run) exports(w *window) (bool, error) {
	o := r.obj.export
	switch {
	case o == nil || r.plan.read == byQuery || !r.obj.exports(r.plan.exports):
		return false, nil
	case r.plan.read == byAuto && !o.auto:
		return false, nil
	}
	// A window that continues a series of jobs may be short: it is still a job's.
	series := r.pos.Until.sub(w.From)
	worth := func() bool { return r.plan.read == byExport || series > longRange }
	first := r.pos.At == 0 && w.From == r.start()
	if w.From != 0 && !first || !worth() {
		return worth(), nil
	}
	created, err := r.accountCreated()
	if err != nil {
		return false, err
	}
	if w.From >= created {
		return true, nil
	}
	series = r.pos.Until.sub(created)
	if worth() {
		w.To = min(w.To, created)
	}
	return false, nil
}

// accountCreated is a day before the business unit was.
func (r *run) accountCreated() (second, error) {
	const op = "read account"
	raw, err := r.src.client.read5(r.ctx, op, "/api/v5/objects/account", fieldsQuery("id", "createdAt"))
	switch {
	case skippable(err): // who may not see the account may see its records
		r.src.env.Log.Debug("the account does not tell when it was created", "stream", r.obj.stream, "err", err)
		return founding, nil
	case err != nil:
		return 0, err
	}
	var account struct {
		CreatedAt string `json:"createdAt"`
	}
	if err := json.Unmarshal(raw, &account); err != nil {
		return 0, r.fail(martsync.Data, "", fmt.Errorf("account: %w", err))
	}
	created, err := time.Parse(time.RFC3339, account.CreatedAt)
	if err != nil { // some accounts do not tell
		return founding, nil //nolint:nilerr // the product's beginning will do
	}
	return max(secondOf(created.Add(-24*time.Hour)), founding), nil
}

// readWindow reads what remains of the window and closes it.
func (r *run) readWindow() error {
	w := r.pos.Window
	if w.Way == byQuery {
		return r.queryWindow()
	}
	err := r.exportWindow(r.ctx)
	if errors.Is(err, errNoExport) {
		r.note("export", "%s: the range from %s is queried page by page", err, w.From.time().Format(time.DateTime))
		r.query(w)
		return r.remember()
	}
	if err != nil {
		return err
	}
	var b martsync.Batch
	r.close(&b)
	return r.send(b)
}

// close ends the window with a batch: its ledger row, and the position after it.
func (r *run) close(b *martsync.Batch) {
	p, w := &r.pos, r.pos.Window
	b.Window = &martsync.Window{
		From: w.From.time(), To: w.To.time(), Job: w.Job, Filter: r.filter(w),
		Records: -1, Bytes: -1, Parsed: w.Rows, Quarantined: w.Bad, Calls: w.Calls,
	}
	p.Window, p.Export = nil, nil
	began := p.Listed
	if p.Until > 0 {
		began = p.Until
		p.Next = w.To
		if p.Step > 0 && w.Way == byQuery { // it went well: dare more
			p.Step *= 2
		}
		if w.Whole || p.Next >= p.Until {
			p.At, p.Next, p.Until, p.Step = p.Until, 0, 0, 0
			r.ended = true
		}
	}
	if w.Whole {
		r.listed = true
	}
	if p.SweptAt == 0 || w.Whole && r.countable() { // each page has told which records exist
		p.SweptAt, p.SweepCalls = began, 0
		if w.Whole {
			p.SweepCalls, p.Sweep = w.Calls, nil
		}
	}
	b.Cursor = r.cursor()
}
