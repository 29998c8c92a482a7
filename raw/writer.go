package raw

import (
	"context"
	"crypto/sha256"
	"encoding"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/blob"
)

// A Writer keeps what one stream reads. It belongs to one goroutine. After an error it can only be
// closed.
type Writer struct {
	zone   *Zone
	stream string
	schema string // its object
	number int64  // of the next entry, if nobody is faster

	base   martsync.Cursor // of the table
	prev   int64           // the entry that the next one goes on from
	from   martsync.Cursor // the position there
	safe   int64           // the same, at the last entry at which no unit was open
	safeAt martsync.Cursor
	within bool            // saved entries hold the beginning of the open unit
	anew   bool            // reading began at the beginning, and not at base
	lost   bool            // the table is empty, and was not
	cursor martsync.Cursor // the stream's, at the last cursor
	before *running        // at base

	units []unit // that ended since the last entry
	open  unit   // since then, up to the last cursor
	tail  unit   // since then

	body   *hashed // that the last piece belonged to
	marked *hashed // the same, at the last cursor
	closed *hashed // the same, at the last verified cursor

	file, pages *object
	frames      []byte
}

// closing is how long dropping an upload may take. What is left is dropped by a later writer.
const closing = 30 * time.Second

// nowhere is no position of anybody's.
const nowhere = martsync.Cursor("\x00")

// A hashed is a body that goes on.
type hashed struct {
	name, how  string
	since, end int64
	hash       hash.Hash
}

func (h *hashed) clone() *hashed {
	if h == nil {
		return nil
	}
	c := *h
	state, err := h.hash.(encoding.BinaryMarshaler).MarshalBinary() //nolint:forcetypeassert // SHA-256 of the standard library
	if err == nil {
		c.hash = sha256.New()
		err = c.hash.(encoding.BinaryUnmarshaler).UnmarshalBinary(state) //nolint:forcetypeassert // likewise
	}
	if err != nil {
		panic(err) // documented not to
	}
	return &c
}

func (h *hashed) save() *running {
	if h == nil {
		return nil
	}
	state, err := h.hash.(encoding.BinaryMarshaler).MarshalBinary() //nolint:forcetypeassert // SHA-256 of the standard library
	if err != nil {
		panic(err) // documented not to
	}
	return &running{Name: h.name, How: h.how, Since: h.since, End: h.end, State: state}
}

func (r *running) load() (*hashed, error) {
	if r == nil {
		return nil, nil //nolint:nilnil // there is none
	}
	h := &hashed{name: r.Name, how: r.How, since: r.Since, end: r.End, hash: sha256.New()}
	if err := h.hash.(encoding.BinaryUnmarshaler).UnmarshalBinary(r.State); err != nil { //nolint:forcetypeassert // SHA-256 of the standard library
		return nil, damaged("open", "the state of a hash: %w", err)
	}
	return h, nil
}

// Add takes what the vendor sent for a batch, and what the batch says about it.
func (w *Writer) Add(ctx context.Context, b *martsync.Batch) error {
	for i := range b.Raw {
		if err := w.piece(ctx, &b.Raw[i]); err != nil {
			return err
		}
	}
	t := &w.tail
	if b.Records != nil {
		t.Rows += int64(b.Records.Len)
	}
	t.Quarantined += int64(len(b.Quarantined))
	t.Notes = append(t.Notes, b.Notes...)
	if b.Window != nil {
		t.Windows = append(t.Windows, mark{Rows: t.Rows, Quarantined: t.Quarantined, Window: *b.Window})
	}
	if b.Cursor == "" {
		return nil
	}
	w.open.add(t)
	w.tail = unit{}
	w.cursor, w.marked = b.Cursor, w.body.clone()
	if b.Unverified {
		return nil
	}
	w.open.Continues = w.within
	w.open.Cursor = b.Cursor
	if b.Complete != nil {
		c := *b.Complete
		w.open.Complete = &c
	}
	if b.Census != nil {
		c := *b.Census
		c.Keys = slices.Clone(c.Keys)
		w.open.Census = &c
	}
	if n := len(w.units); n > 0 && w.open.empty() {
		w.units[n-1].Cursor = b.Cursor
	} else {
		w.units = append(w.units, w.open)
	}
	w.open, w.within = unit{}, false
	w.closed = w.marked
	return nil
}

// isFile reports whether a body is an export file, which has objects of its own so that people find
// it. Pages share one.
func isFile(body string) bool { return strings.EqualFold(path.Ext(body), ".csv") }

// piece writes a piece of a body.
func (w *Writer) piece(ctx context.Context, r *martsync.Raw) error {
	h := w.body
	if h == nil || r.Offset == 0 || h.name != r.Body || h.end != r.Offset {
		h = &hashed{name: r.Body, how: r.How, since: r.Offset, end: r.Offset, hash: sha256.New()}
		w.body = h
	}
	_, _ = h.hash.Write(r.Data)
	h.end += int64(len(r.Data))
	p := part{Name: r.Body, How: h.how, Offset: r.Offset, Bytes: int64(len(r.Data)), Since: h.since, SHA256: hex.EncodeToString(h.hash.Sum(nil))}
	if len(r.Data) > 0 {
		o, err := w.object(ctx, r.Body)
		if err != nil {
			return err
		}
		w.frames = w.zone.encoder.EncodeAll(r.Data, w.frames[:0])
		p.Object, p.At, p.Length = o.name, o.size, int64(len(w.frames))
		if err := o.write(ctx, w.frames); err != nil {
			return err
		}
	}
	w.tail.add(&unit{Bodies: []part{p}})
	return nil
}

// object is where the bytes of a body go.
func (w *Writer) object(ctx context.Context, body string) (*object, error) {
	o, what := &w.pages, "pages"
	if isFile(body) {
		o, what = &w.file, path.Base(plain(strings.ReplaceAll(body, "/", "-")))
		if w.file != nil && w.file.body != body {
			if err := w.file.finish(ctx); err != nil {
				return nil, err
			}
			w.file = nil
		}
	}
	if *o == nil {
		// The number is that of the entry if nobody else is faster; what tells objects apart is the rest.
		name := fmt.Sprintf("%s/%012d-%s-%s.zst", w.zone.clock.Now().UTC().Format("2006/01/02"), w.number, blob.NewID()[:8], what)
		*o = &object{store: w.zone.store, key: w.zone.folder(w.stream) + name, name: name}
		if o == &w.file {
			w.file.body = body
		}
	}
	return *o, nil
}

// finish makes the bytes durable that came so far.
func (w *Writer) finish(ctx context.Context) error {
	for _, o := range []**object{&w.file, &w.pages} {
		if *o == nil {
			continue
		}
		if err := (*o).finish(ctx); err != nil {
			return err
		}
		*o = nil
	}
	return nil
}

// Save makes durable what came up to the last cursor, of which c.Next is the position. It returns
// the number of the entry that holds it; 0: there is nothing beyond the table's position.
func (w *Writer) Save(ctx context.Context, c martsync.Commit) (int64, error) {
	ended := slices.ContainsFunc(w.units, func(u unit) bool { return !u.empty() })
	opened := !w.open.empty()
	if !ended && !opened && c.Next == w.from {
		w.units = nil
		return w.prev, nil
	}
	if err := w.finish(ctx); err != nil {
		return 0, err
	}
	if ended && opened { // so that discarding the open unit leaves the ended ones
		open, cursor := w.open, w.cursor
		w.open, w.cursor = unit{}, w.units[len(w.units)-1].Cursor
		if err := w.put(ctx, c, "", ""); err != nil {
			return 0, err
		}
		w.open, w.cursor = open, cursor
	}
	if err := w.put(ctx, c, c.Next, ""); err != nil {
		return 0, err
	}
	return w.prev, nil
}

// Commit makes durable what the commit is about to make visible.
//
// Its position, c.Next, is that of no other commit; plain is the same position in a table that was made from the zone.
func (w *Writer) Commit(ctx context.Context, c martsync.Commit, plain martsync.Cursor) error {
	if !w.open.empty() || w.within {
		return &martsync.Error{Kind: martsync.Internal, Op: "raw: commit", Err: errors.New("the last cursor is not verified")}
	}
	if err := w.finish(ctx); err != nil {
		return err
	}
	if err := w.put(ctx, c, c.Next, plain); err != nil {
		return err
	}
	w.base, w.from, w.safeAt = c.Next, c.Next, c.Next
	w.prev, w.safe, w.anew = 0, 0, false
	w.before = w.closed.save()
	return nil
}

// put writes an entry of what has ended and what is open: a commit if plain is not empty. It goes on
// from there.
func (w *Writer) put(ctx context.Context, c martsync.Commit, to, plain martsync.Cursor) error {
	commit := plain != ""

	e := &entry{
		Number: w.number, Stream: w.stream, Sync: c.Sync, At: c.At.UTC(),
		Prev: w.prev, Base: w.base, Anew: w.anew, From: w.from, To: to, Plain: plain, Commit: commit,
		Schema: w.schema, Units: w.units, Cursor: w.cursor, Before: w.before,
	}
	if len(e.Units) == 1 && e.Units[0].empty() && !commit {
		e.Units = nil
	}
	if !w.open.empty() {
		w.open.Continues = w.within
		open := w.open
		e.Open, w.within = &open, true
	}
	e.Within = w.within
	if e.From == nowhere {
		e.From = ""
	}
	for i := range e.Units {
		e.Bytes += e.Units[i].bytes()
	}
	if e.Open != nil {
		e.Bytes += e.Open.bytes()
	}
	e.Last = w.marked.save()
	e.Safe = w.safe
	if !w.within {
		e.Safe = w.number
	}
	if err := w.zone.putEntry(ctx, e); err != nil {
		return err
	}
	w.number = e.Number + 1
	w.prev, w.from = e.Number, to
	if to == "" {
		w.from = nowhere
	}
	if !w.within {
		w.safe, w.safeAt = w.prev, w.from
	}
	w.units, w.open = nil, unit{}
	return nil
}

func (u *unit) bytes() (n int64) {
	for _, p := range u.Bodies {
		n += p.Bytes
	}
	return n
}

// Discard drops what came since the last verified cursor, what was saved of it too; with whole all
// that was neither saved nor committed.
func (w *Writer) Discard(_ context.Context, whole bool) error {
	w.open, w.tail, w.body, w.marked = unit{}, unit{}, w.closed.clone(), w.closed
	back := w.within
	if whole {
		back = back || len(w.units) > 0 && w.units[0].Continues
		w.units = nil
	}
	if back {
		w.prev, w.from, w.within = w.safe, w.safeAt, false
	}
	return nil
}

// Close drops what was not kept.
func (w *Writer) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closing)
	defer cancel()
	return errors.Join(w.file.abort(ctx), w.pages.abort(ctx))
}
