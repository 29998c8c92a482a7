package pardot

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/martsync/martsync"
)

const (
	// exportLongest is the longest range of one job. The vendor takes a year at most; ours is
	// shorter since bounds are exclusive, and wider where clocks are set back. Account
	// Engagement API, Export.
	exportLongest = 364 * 24 * time.Hour

	// exportShortest is where halving stops: an hour that cannot be exported is not too large,
	// something else is wrong with it.
	exportShortest = time.Hour

	// exportTries is how many jobs for a range may come to nothing before it is halved.
	exportTries = 2

	// exportFailures is how many in a row may before exports are given up: as many as it takes
	// to halve a year down to an hour.
	exportFailures = 14

	// exportFieldsMost is how many fields a job can ask for. With more it asks for all there
	// are. Account Engagement API, Export.
	exportFieldsMost = 150

	// The waits between two looks at a job: a fifth of its age. Account Engagement API, Export:
	// minutes, not seconds.
	exportPollLeast, exportPollMost = time.Minute, 10 * time.Minute

	// Patience with a job. The vendor cancels what it has not worked on for a week; how long it
	// works on one is not documented.
	exportWorkMost = 24 * time.Hour
	exportWaitMost = 8 * 24 * time.Hour

	// exportWaitLong is when a wait is worth a hint.
	exportWaitLong = 3 * time.Hour
)

// errNoExport says that the account cannot export the object, or that its exports come to
// nothing again and again. Queries can read the range.
var errNoExport = errors.New("it cannot be exported")

// exportWindow reads r.pos.Window by export jobs, and counts into it. It may shorten the window.
// It returns nil when all of it has been read, errNoExport if queries have to read it, and an
// error of kind Pending to wait for the vendor.
func (r *run) exportWindow(ctx context.Context) error {
	w := r.pos.Window
	w.To = min(w.To, w.From.add(exportLongest))
	if r.pos.Export == nil {
		r.pos.Export = new(exportState)
	}
	t := &exportTask{
		src: r.src, stream: r.obj.stream, noun: r.obj.noun, object: r.obj.export, version: r.plan.exports,
		deletes: r.layout.schema.Deletes, types: r.plan.types, from: w.From, to: w.To, state: r.pos.Export,
		send: r.send, remember: r.remember, discard: r.discard, note: r.note,
		count: func(rows, bad, calls int64) {
			w.Rows += rows
			w.Bad += bad
			w.Calls += calls
		},
		halve: func(to second) { w.To, r.pos.Step = to, to-w.From },
	}
	t.fields, t.columns, t.bin = fileColumns(r.layout, t.version)
	if r.src.keeps {
		t.schema, t.keep = r.layout.schema.Columns, func(raw martsync.Raw) { r.raw = append(r.raw, raw) }
	}
	err := t.read(ctx)
	switch {
	case err == nil:
		w.Job = t.state.jobs()
		if r.pos.Step > 0 && !t.state.Halved { // it went well: dare more
			r.pos.Step *= 2
		}
		r.pos.Export = nil
	case errors.Is(err, errNoExport):
		r.pos.Export = nil
	}
	return err
}

// fileColumns returns what to ask a version's export for, the columns that the rows of its files
// have, and which of these tells whether a record is in the recycle bin, -1 if none does.
func fileColumns(l *layout, v version) (fields []exportField, cols []martsync.Column, bin int) {
	names := l.fileFields(v)
	cols, bin = slices.Clone(l.columnsFor(v)), -1
	for i, f := range l.fields {
		name := f.v4
		if v == v5 {
			name = f.v5
		}
		if f.v5 == "isDeleted" {
			bin = i
		}
		if name != "" && (names == nil || slices.Contains(names, name)) {
			fields = append(fields, exportField{name: name, wish: f.wish})
			continue
		}
		cols[i].Origin = noOrigin // what is not asked for is not taken from a file that has it
	}
	return fields, cols, bin
}

// noOrigin is a name that no file has: NUL bytes are not read.
const noOrigin = "\x00"

// An exportTask reads a time range of an object by export jobs: one for each pass, one after
// the other, since the vendor works on one at a time anyway. Where it stands is in the state,
// which its owner keeps in a cursor.
type exportTask struct {
	src     *source
	stream  string // part of the signature of a job
	noun    string // in errors: "visitor activity"
	object  *exportObject
	version version
	fields  []exportField
	schema  []martsync.Column // of the table
	columns []martsync.Column // of the rows; Origin is the name in the file
	bin     int               // of these, the one that tells what is in the recycle bin; -1: none
	deletes bool              // the table has deletions
	types   []string          // only rows of these kinds; empty: all

	from, to second // the range is [from, to)
	state    *exportState

	halve    func(to second)                 // called when the range has to end earlier
	count    func(rows, bad, calls int64)    // called before the cursor that it belongs to is made
	send     func(b martsync.Batch) error    // hands over rows; there is no cursor in b
	remember func() error                    // asks for the cursor to be stored
	discard  func() error                    // the same, and takes back the rows since the last one
	note     func(op, f string, args ...any) // for the log table
	keep     func(martsync.Raw)              // puts the rest of a file on what is sent or remembered next; nil: files are not kept

	api     exporter
	refs    []string // of the files of a complete job; nil: not asked for in this read
	fresh   bool     // the intention is of this read, so no job can be there that nobody knows
	rezoned bool     // the zone has been asked for again
	flags   []bool   // memory for Records.Deleted
}

// An exportField is a field that a job asks for.
type exportField struct {
	name string // the version's
	wish bool   // its refusal is no drift
}

// read takes the range as far as it gets.
func (t *exportTask) read(ctx context.Context) error {
	if t.object == nil || t.object.object(t.version) == "" || len(t.object.procedures) == 0 {
		return fmt.Errorf("%s by %s: %w", t.noun, t.version, errNoExport)
	}
	if t.api == nil {
		t.api = t.src.exporter(t.version)
	}
	s := t.state
	if s.Version != t.version || s.From != t.from || s.To != t.to || s.Procedure >= len(t.object.procedures) || s.check() != nil {
		*s = exportState{Version: t.version, From: t.from, To: t.to}
	}
	for s.Pass < len(t.passes()) {
		var err error
		switch {
		case s.ID == 0:
			err = t.create(ctx)
		case !s.Complete:
			err = t.look(ctx)
		default:
			err = t.deliver(ctx)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (t *exportTask) passes() []pass {
	if len(t.object.passes) == 0 {
		return []pass{{}}
	}
	return t.object.passes
}

func (t *exportTask) now() second { return secondOf(t.src.now()) }

// object is what a version calls the object, "" if it does not export it.
func (o *exportObject) object(v version) string {
	if v == v5 {
		return o.v5
	}
	return o.v4
}
