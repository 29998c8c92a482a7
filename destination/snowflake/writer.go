package snowflake

import (
	"context"
	"errors"
	"os"
	"slices"

	"github.com/martsync/martsync"
)

// A writer loads one table. Its rows become files on the stage, under the number of commits that it builds on and a
// name of its own, so no two writers touch each other's.
type writer struct {
	d       *destination
	schema  martsync.Schema
	table   *layout
	changes []martsync.Change
	id      string

	cursor  martsync.Cursor
	staged  martsync.Cursor
	commits int64 // that the stream had when this writer was opened, or committed last

	stage    int       // number of the stage that it continues; 0: none
	held     *stageDoc // what that holds; nil: nothing
	heldKey  string    // its key on the stage
	files    []file    // put since then
	sequence int64     // of the next row
	number   int       // of the next file

	dir    string // for files that are being written; "": none yet
	part   *part  // the file that rows are added to; nil: none
	failed error  // rows got lost on the way: nothing but Discard and Close is left
	closed bool
}

func (w *writer) Cursor() martsync.Cursor    { return w.cursor }
func (w *writer) Staged() martsync.Cursor    { return w.staged }
func (w *writer) Changes() []martsync.Change { return w.changes }

// Write adds the rows to a file in the temporary folder, and puts that on the stage when it is large enough.
func (w *writer) Write(ctx context.Context, r *martsync.Records) error {
	op := "write " + w.schema.Stream
	if r == nil || r.Len == 0 {
		return w.usable(op)
	}
	if err := w.usable(op); err != nil {
		return err
	}
	if err := w.matches(r); err != nil {
		return bug(op, "%w", err)
	}
	if err := w.write(ctx, r); err != nil {
		return w.fail(wrap(op, err))
	}
	return nil
}

func (w *writer) write(ctx context.Context, r *martsync.Records) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if w.part == nil {
		if err := w.begin(); err != nil {
			return err
		}
	}
	if err := w.part.write(w, r); err != nil {
		return err
	}
	if w.part.out.Size() >= w.partSize() {
		return w.putPart(ctx)
	}
	return nil
}

// putPart ends the file under way and puts it on the stage.
func (w *writer) putPart(ctx context.Context) error {
	if w.part == nil {
		return nil
	}
	return w.d.with(ctx, "put part of "+w.schema.Stream, func(s *session) error {
		s.label("", w.schema.Stream)
		return w.endPart(ctx, s)
	})
}

// endPart does it on a session that the caller has.
func (w *writer) endPart(ctx context.Context, s *session) error {
	if w.part == nil {
		return nil
	}
	p := w.part
	w.part = nil
	defer p.remove()
	if err := p.end(); err != nil {
		return err
	}
	if err := w.d.depot.put(ctx, s, w.folder(), p.path); err != nil {
		return err
	}
	w.files = append(w.files, p.file)
	return nil
}

// folder is where this writer's files go.
func (w *writer) folder() string { return commitFolder(w.schema.Stream, w.commits) + w.id + "/" }

// begin starts a file.
func (w *writer) begin() error {
	if w.dir == "" {
		dir, err := os.MkdirTemp(w.d.env.TempDir, "snowflake-*")
		if err != nil {
			return err
		}
		w.dir = dir
	}
	w.number++
	p, err := newPart(w)
	w.part = p
	return err
}

// Sizes of files on the stage, compressed. A thread of a warehouse loads a file, and the smallest warehouse has
// eight, so the first eight files are small: then a load of ten megabytes occupies all threads. Later ones
// are larger, since each file costs a call.
// https://docs.snowflake.com/en/user-guide/data-load-considerations-prepare
const (
	smallPart  = 1_300_000  // bytes
	middlePart = 16_000_000 // bytes
	largePart  = 64_000_000 // bytes
)

// partSize is the size at which the file under way is ended.
func (w *writer) partSize() int64 {
	if w.d.config.part > 0 {
		return w.d.config.part
	}
	size := int64(largePart)
	switch n := len(w.files); {
	case n < 8:
		size = smallPart
	case n < 16:
		size = middlePart
	}
	return size
}

// matches reports how the records differ from the schema.
func (w *writer) matches(r *martsync.Records) error {
	if len(r.Columns) != len(w.schema.Columns) {
		return errorf("%d columns were written, the schema has %d", len(r.Columns), len(w.schema.Columns))
	}
	for i, c := range w.schema.Columns {
		if r.Columns[i].Type != c.Type {
			return errorf("column %s was written as %s, the schema says %s", c.Name, r.Columns[i].Type, c.Type)
		}
	}
	if !w.schema.Deletes && (slices.Contains(r.Tombstone, true) || slices.Contains(r.Deleted, true)) {
		return errors.New("a record was deleted in a stream without deletes")
	}
	return nil
}

// usable reports why the writer cannot go on, if it cannot.
func (w *writer) usable(op string) error {
	if w.closed {
		return bug(op, "the writer is closed")
	}
	return w.failed
}

// fail gives the rows up. Whoever goes on writing or commits gets the error again.
func (w *writer) fail(err error) error {
	w.dropPart()
	w.failed = err
	return err
}

func (w *writer) dropPart() {
	if w.part != nil {
		w.part.abandon()
		w.part = nil
	}
}

// Close drops what is neither staged nor committed. Files that are on the stage stay until the next commit of the
// stream, or the next one who opens it after that: another writer may have taken them over.
func (w *writer) Close() error {
	if w.closed {
		return nil
	}
	w.closed = true
	w.dropPart()
	if w.dir != "" {
		return wrap("close "+w.schema.Stream, os.RemoveAll(w.dir))
	}
	return nil
}
