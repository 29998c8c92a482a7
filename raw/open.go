package raw

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/blob"
)

// farBack is how many entries are looked through for one that is not where it is expected.
const farBack = 1000

// Open returns the writer for what a stream reads from a position on: base is that of the table, from
// where reading begins and entry what Save returned for it, or 0. Known is false, and the
// writer nil, if the zone does not have what was read between the two.
func (z *Zone) Open(ctx context.Context, schema martsync.Schema, base, from martsync.Cursor, entry int64) (w *Writer, known bool, err error) {
	n, err := z.newest(ctx, schema.Stream)
	if err != nil {
		return nil, false, err
	}
	if n == 0 {
		if err := blob.Probe(ctx, z.store); err != nil {
			return nil, false, fmt.Errorf("try the raw zone: %w", err)
		}
	}
	if err := z.clean(ctx, schema.Stream, n); err != nil {
		return nil, false, err
	}
	tip := &tip{zone: z, stream: schema.Stream, number: n}
	at, err := tip.find(ctx, base, from, entry)
	if err != nil || at == nil && from != base && from != "" || at == nil && entry > 0 {
		return nil, false, err
	}
	w = &Writer{
		zone: z, stream: schema.Stream, number: n + 1, base: base, from: from, safeAt: base,
		anew: from == "" && base != "",
	}
	if w.anew {
		w.safeAt = ""
	}
	if err := w.goOn(ctx, tip, at); err != nil {
		return nil, false, err
	}
	if w.schema, err = z.putSchema(ctx, schema); err != nil {
		return nil, false, err
	}
	if base == "" && from == "" && !schema.Snapshot { // the last snapshot is all of such a table
		if w.lost, err = tip.stood(ctx); err != nil {
			return nil, false, err
		}
	}
	if w.lost { // the next commit says that the table has begun anew; until then the zone's chain stands
		return w, true, nil
	}
	return w, true, w.noteBase(ctx, tip)
}

// Lost reports whether the table is empty although the zone knows that it was not. What is read into it now
// begins a new chain, and nothing makes a table of the old one again.
func (w *Writer) Lost() bool { return w.lost }

// A tip is the newest entry of a stream, which is read once.
type tip struct {
	zone   *Zone
	stream string
	number int64 // 0: there is none
	entry  *entry
}

// at returns an entry.
func (t *tip) at(ctx context.Context, number int64) (e *entry, err error) {
	if number != t.number {
		return t.zone.readEntry(ctx, t.stream, number)
	}
	if t.entry == nil {
		t.entry, err = t.zone.readEntry(ctx, t.stream, number)
	}
	return t.entry, err
}

// find returns the entry that ends at from; nil: there is none, or none is needed.
func (t *tip) find(ctx context.Context, base, from martsync.Cursor, number int64) (*entry, error) {
	fits := func(e *entry) bool { return !e.Commit && e.Base == base && e.To == from }
	if number > 0 {
		if number > t.number {
			return nil, nil //nolint:nilnil // documented
		}
		e, err := t.at(ctx, number)
		if err != nil || !fits(e) {
			return nil, err
		}
		return e, nil
	}
	if from == base || from == "" {
		return nil, nil //nolint:nilnil // documented
	}
	return t.back(ctx, fits)
}

// stood reports whether the table was known to hold something. A first commit that came to nothing leaves an
// empty table, too, and no later entry that says otherwise.
func (t *tip) stood(ctx context.Context) (bool, error) {
	e, err := t.back(ctx, func(e *entry) bool { return e.Commit || e.Base != "" })
	return e != nil && e.Base != "", err
}

// back returns the newest entry that fits; nil: there is none near.
func (t *tip) back(ctx context.Context, fits func(*entry) bool) (*entry, error) {
	for n := t.number; n > max(0, t.number-farBack); n-- {
		e, err := t.at(ctx, n)
		if err != nil || fits(e) {
			return e, err
		}
	}
	return nil, nil //nolint:nilnil // documented
}

// goOn sets the writer to where an entry ends, or to its base if there is none.
func (w *Writer) goOn(ctx context.Context, tip *tip, at *entry) (err error) {
	if at == nil {
		if w.base == "" {
			return nil
		}
		e, err := tip.back(ctx, func(e *entry) bool {
			return e.Base == w.base || e.leads(w.base)
		})
		switch {
		case err != nil || e == nil:
			return err
		case e.leads(w.base):
			w.before, w.cursor = e.Last, e.Cursor
		default:
			w.before = e.Before
		}
		if w.from == w.base {
			if w.closed, err = w.before.load(); err != nil {
				return err
			}
			w.body, w.marked = w.closed.clone(), w.closed
		}
		return nil
	}
	w.anew = at.Anew
	w.prev, w.from, w.safe, w.within = at.Number, at.To, at.Safe, at.Within
	w.before, w.cursor, w.safeAt = at.Before, at.Cursor, at.To
	if w.body, err = at.Last.load(); err != nil {
		return err
	}
	w.marked = w.body.clone()
	if !w.within {
		w.closed = w.marked
		return nil
	}
	// Discarding leads back to where no unit was open.
	w.safeAt = nowhere
	if w.safe == 0 {
		w.closed, err = w.before.load()
		return err
	}
	e, err := tip.at(ctx, w.safe)
	if err != nil {
		return err
	}
	w.closed, err = e.Last.load()
	return err
}

// noteBase writes an entry that says where the table is, if the newest one tells something else:
// the commit that it was kept for came to nothing, or the table was written without the zone.
func (w *Writer) noteBase(ctx context.Context, tip *tip) error {
	var knows martsync.Cursor
	if tip.number > 0 {
		e, err := tip.at(ctx, tip.number)
		if err != nil {
			return err
		}
		knows = e.Base
		if e.Commit {
			knows = e.To
		}
		if e.leads(w.base) {
			knows = w.base
		}
	}
	if knows == w.base {
		return nil
	}
	e := &entry{
		Number: tip.number + 1, Stream: w.stream, At: w.zone.clock.Now().UTC(), Base: w.base, From: w.base, To: w.base,
		Schema: w.schema, Cursor: w.cursor, Before: w.before,
	}
	if err := w.zone.putEntry(ctx, e); err != nil {
		return err
	}
	w.number = e.Number + 1
	return nil
}

// clean drops uploads of writers that died, once in the life of a zone. One is of a dead writer if
// entries have been written since it began; if it is of one that lives all the same, that one has
// been overtaken, and reads again.
func (z *Zone) clean(ctx context.Context, stream string, newest int64) error {
	z.mu.Lock()
	done := z.cleaned[stream]
	z.cleaned[stream] = true
	z.mu.Unlock()
	if done {
		return nil
	}
	prefix := z.folder(stream)
	var dead []blob.Receipt
	for r, err := range z.store.Uploads(ctx, prefix) {
		if err != nil {
			return fmt.Errorf("list the uploads of the raw zone: %w", err)
		}
		name := r.Key[strings.LastIndexByte(r.Key, '/')+1:]
		digits, _, _ := strings.Cut(name, "-")
		if n, err := strconv.ParseInt(digits, 10, 64); err == nil && n <= newest {
			dead = append(dead, r)
		}
	}
	for _, r := range dead {
		if err := z.store.Abort(ctx, r); err != nil {
			return fmt.Errorf("drop an upload of the raw zone: %w", err)
		}
	}
	return nil
}
