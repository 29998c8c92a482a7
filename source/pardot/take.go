package pardot

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/flatjson"
)

// A taker turns the records of a page into batches. Mostly that is one; a page of very large
// records is several. Each ends at a record, from where reading can resume.
type taker struct {
	*run
	picker

	w *window

	counting bool  // the pages tell which records exist
	last     int64 // greatest id so far

	// Since the last batch:
	keys      []int64 // records that exist
	nameless  bool    // there was one without an id
	rows, bad int64
	bytes     int64
}

// take hands over the rows of a page, and closes the window with those of the last page.
func (r *run) take(w *window, p *page) error {
	t := taker{run: r, w: w, last: w.After, bytes: p.bytes}
	var z *zone // version 5 tells offsets
	if w.API == v4 {
		var err error
		if z, err = r.zone(); err != nil {
			return err
		}
	}
	t.picker = r.picker(w.API, z)
	t.binned = w.Pass > 0
	faces := facesOf(p.rows)
	if err := ordered(r.op("query"), w.After, faces, p.more); err != nil {
		return err
	}
	rows := p.rows
	if r.join != nil && w.API == v5 && len(rows) > 0 {
		var err error
		if rows, err = r.join(r.ctx, r, rows); err != nil {
			return err
		}
		if len(rows) != len(faces) {
			return r.fail(martsync.Internal, "", fmt.Errorf("a page of %d rows has %d after the join", len(faces), len(rows)))
		}
	}
	t.counting = w.Whole && w.Pass == 0 && r.countable()
	if p.warning != "" {
		t.counting = false
		r.note("skip", "the vendor withholds some %s from this user: %s", strings.ReplaceAll(r.obj.stream, "_", " "), p.warning)
	}
	if r.src.keeps {
		r.keepPage(w, p, z)
	}
	t.b.from(r.pageJob(w.API), w.Rows)
	for i, row := range rows {
		if t.b.full(row) {
			if err := t.part(); err != nil {
				return err
			}
		}
		t.row(row, faces[i])
	}
	if p.more {
		return t.flush(t.last)
	}
	return t.end()
}

// row takes a record.
func (t *taker) row(row json.RawMessage, f face) {
	t.last = max(t.last, f.id)
	switch {
	case f.id == 0:
		t.nameless = true
	case t.counting && !f.deleted && !t.binned:
		t.keys = append(t.keys, f.id)
	}
	switch t.picker.take(row, f) {
	case appended:
		t.rows++
	case refused:
		t.rows, t.bad = t.rows+1, t.bad+1
	case passedOver:
	}
}

// part hands over what has been taken so far of a page of very large records. Where the page is
// kept, it is kept once, so that reading can resume only before it or after it.
func (t *taker) part() error {
	if !t.src.keeps {
		return t.flush(t.last)
	}
	return t.send(t.taken())
}

// flush hands over what has been taken: everything up to an id.
func (t *taker) flush(upTo int64) error {
	b := t.batch(upTo)
	t.w.After = upTo
	b.Cursor = t.cursor()
	return t.send(b)
}

// end hands over the last of a pass.
func (t *taker) end() error {
	b := t.batch(math.MaxInt64)
	if t.w.Pass == 0 && t.binPass(t.w.API) {
		t.w.Pass, t.w.After = 1, 0
		b.Cursor = t.cursor()
	} else {
		t.close(&b)
	}
	return t.send(b)
}

// batch is what has been taken since the last one: everything up to an id.
func (t *taker) batch(upTo int64) martsync.Batch {
	b := t.taken()
	if t.counting && !t.nameless {
		b.Census = censusOf(t.w.After, upTo, t.keys)
	}
	t.keys, t.nameless = nil, false
	return b
}

// taken is the rows that have been taken since the last batch.
func (t *taker) taken() martsync.Batch {
	b := t.b.batch()
	b.Bytes = t.bytes
	t.w.Rows += t.rows
	t.w.Bad += t.bad
	t.rows, t.bad, t.bytes = 0, 0, 0
	return b
}

// censusOf makes a census of the ids that a page told.
func censusOf(after, upTo int64, ids []int64) *martsync.Census {
	slices.Sort(ids)
	ids = slices.DeleteFunc(slices.Compact(ids), func(id int64) bool { return id <= after || id > upTo })
	return &martsync.Census{After: after, UpTo: upTo, Keys: ids}
}

// ordered makes sure that the vendor kept to the order and the bound it was asked for. Else
// the page after this one would leave out records, or be this one again for ever.
func ordered(op string, after int64, faces []face, more bool) error {
	if !more {
		return nil // nothing depends on it
	}
	fail := func(hint string, err error) error {
		return &martsync.Error{Kind: martsync.Data, Op: "pardot: " + op, Hint: hint, Err: err}
	}
	last := after
	for _, f := range faces {
		if f.id == 0 {
			continue
		}
		if f.id <= last {
			return fail("Report this: the next page cannot be asked for without leaving out records.",
				fmt.Errorf("the vendor was asked for records by id after %d and sends %d after %d", after, f.id, last))
		}
		last = f.id
	}
	if last == after {
		return fail("Report this: the next page cannot be asked for.", errors.New("a page of records without an id"))
	}
	return nil
}

// builder is the builder for rows of a version.
func (r *run) builder(v version) *rowBuilder {
	if r.rows == nil || r.rowsOf != v {
		r.rows = newRowBuilder(r.layout.columnsFor(v), r.src.decodes())
		r.rowsOf = v
	}
	return r.rows
}

// A face is what the paging needs to know of a record.
type face struct {
	id      int64 // 0: there is none
	deleted bool  // in the recycle bin
}

func facesOf(rows []json.RawMessage) []face {
	faces := make([]face, len(rows))
	for i, row := range rows {
		faces[i] = faceOf(row)
	}
	return faces
}

// faceOf reads the id of a record and, in version 5's words, whether it is in the recycle bin.
func faceOf(row json.RawMessage) face {
	var f face
	err := flatjson.Members(row, func(key, value []byte) error {
		switch string(key) {
		case "id":
			f.id = idOf(value)
		case "isDeleted":
			f.deleted = isTrue(value)
		}
		return nil
	})
	if err != nil {
		return face{}
	}
	return f
}

// kindOf is the type of an activity or of a tagged record, in version 5's words.
func kindOf(row json.RawMessage) (kind string) {
	_ = flatjson.Members(row, func(key, value []byte) error { // a broken row is found when it is appended
		switch string(key) {
		case "type", "objectType":
			kind = tagKind(strings.Trim(string(value), `"`))
		}
		return nil
	})
	return kind
}

// idOf reads a positive whole number, with or without quotes; 0: it is none.
func idOf(value []byte) int64 {
	if len(value) >= 2 && value[0] == '"' {
		value = value[1 : len(value)-1]
	}
	var id int64
	for _, c := range value {
		if c < '0' || c > '9' || id > (math.MaxInt64-int64(c-'0'))/10 {
			return 0
		}
		id = 10*id + int64(c-'0')
	}
	return id
}

func isTrue(value []byte) bool {
	switch strings.ToLower(strings.Trim(string(value), `"`)) {
	case "true", "1":
		return true
	default:
		return false
	}
}
