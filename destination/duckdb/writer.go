//go:build cgo && !lite

package duckdb

import (
	"context"
	"errors"
	"fmt"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/sqlgen"
)

// A writer loads one table.
//
// Its rows go to staging tables: whole records to one with the columns of the target, where
// _synced_at holds the order in which they were written; tombstones to another one with the
// key and the version. A load, and the two tables that belong to it, has a name.
//
// Rows are written in one transaction that Stage or Commit ends. What then happens in Commit
// is a second transaction, so that a load of hours is no transaction of hours and the merge
// reads a table whose data is on disk. Between the two the staging tables hold rows that no
// cursor covers: nobody reads them, and whoever opens the stream next drops them.
type writer struct {
	d       *destination
	c       *conn
	schema  martsync.Schema
	op      string
	table   *layout
	changes []martsync.Change
	cursor  martsync.Cursor
	staged  martsync.Cursor
	commits int64 // that the stream had when this writer was opened

	load     string // name of the load; "": nothing was written yet
	part     int64  // times it was staged
	sequence int64  // of the next row
	rows     bool   // the staging table for records exists
	gone     bool   // the one for tombstones exists
	claimed  bool   // the load is this writer's; before, it may have been staged by another
	inTx     bool
	failed   error // rows got lost on the way: nothing but Discard and Close is left
	feeding  *feeding
	closed   bool
}

// A feeding is an INSERT that runs while rows are written.
type feeding struct {
	feed *feed
	done chan struct{} // closed when the statement is over
	err  error         // read after done
	ctx  context.Context
	end  context.CancelFunc // of ctx, for those who wait for room
}

// streamRows is the size of a batch from which on rows are fed to a statement that stays open.
// Smaller batches, pages of an interface, come too slowly to keep a thread of DuckDB waiting for.
const streamRows = vectorSize

func (w *writer) Cursor() martsync.Cursor    { return w.cursor }
func (w *writer) Staged() martsync.Cursor    { return w.staged }
func (w *writer) Changes() []martsync.Change { return w.changes }

// rowsTable and goneTable are the qualified names of the staging tables of the load.
func (w *writer) rowsTable() string { return w.d.table(rowsPrefix + w.load) }
func (w *writer) goneTable() string { return w.d.table(gonePrefix + w.load) }

// Write copies the rows and returns; DuckDB takes them in the background.
func (w *writer) Write(ctx context.Context, r *martsync.Records) error {
	if r == nil || r.Len == 0 {
		return nil
	}
	if len(r.Columns) != len(w.schema.Columns) {
		return bug(w.op, "%d columns were written, the schema has %d", len(r.Columns), len(w.schema.Columns))
	}
	for i := range r.Columns {
		if r.Columns[i].Type != w.schema.Columns[i].Type {
			return bug(w.op, "column %s was written as %s, the schema says %s", w.schema.Columns[i].Name, r.Columns[i].Type, w.schema.Columns[i].Type)
		}
	}
	if err := w.write(ctx, r); err != nil {
		return wrap("write "+w.op, w.fail(err))
	}
	return nil
}

func (w *writer) write(ctx context.Context, r *martsync.Records) error {
	if err := w.begin(ctx); err != nil {
		return err
	}
	live, gone := split(r)
	if gone == nil {
		return w.writeRows(ctx, r.Columns, r.Deleted, nil, r.Len)
	}
	if !w.schema.Deletes {
		return bug(w.op, "a record was deleted in a stream without deletes")
	}
	first := w.sequence
	w.sequence += int64(r.Len)
	if len(live) > 0 {
		vectors, sequence := pick(r.Columns, live), offsets(first, live)
		var deleted []bool
		if r.Deleted != nil {
			for _, i := range live {
				deleted = append(deleted, r.Deleted[i])
			}
		}
		if err := w.writeRows(ctx, vectors, deleted, sequence, len(live)); err != nil {
			return err
		}
	}
	return w.writeGone(ctx, r, gone, offsets(first, gone))
}

// writeRows writes whole records. Without a sequence they are numbered from w.sequence on.
func (w *writer) writeRows(ctx context.Context, vectors []martsync.Vector, deleted []bool, sequence []int64, n int) error {
	if err := w.makeRows(ctx); err != nil {
		return err
	}
	if sequence == nil {
		sequence = make([]int64, n)
		for i := range sequence {
			sequence[i] = w.sequence + int64(i)
		}
		w.sequence += int64(n)
	}
	cols := w.schema.Columns
	all := append(append([]martsync.Vector(nil), vectors...), martsync.Vector{Type: martsync.Int64, Ints: sequence})
	cols = append(append([]martsync.Column(nil), cols...), martsync.Column{Name: martsync.SyncedAt, Type: martsync.Int64})
	if w.table.has(martsync.Deleted) {
		if deleted == nil {
			deleted = make([]bool, n)
		}
		all = append(all, martsync.Vector{Type: martsync.Bool, Bools: deleted})
		cols = append(cols, martsync.Column{Name: martsync.Deleted, Type: martsync.Bool})
	}
	if w.feeding == nil && n < streamRows {
		err := w.insert(ctx, w.rowsTable(), cols, nil, all, n)
		return err
	}
	if w.feeding == nil {
		w.startFeeding(cols)
	}
	return w.feed(ctx, all, n)
}

// startFeeding starts an INSERT whose rows are yet to come. It runs in a goroutine that
// endFeeding waits for; the writer's connection is not used for anything else until then.
func (w *writer) startFeeding(cols []martsync.Column) {
	f := &feeding{feed: newFeed(cols), done: make(chan struct{})}
	f.ctx, f.end = context.WithCancel(context.Background())
	w.feeding = f
	query := insertFrom(f.feed, w.rowsTable(), cols, nil)
	go func() {
		defer close(f.done)
		defer f.end()
		defer f.feed.end()
		f.err = w.c.exec(context.Background(), query)
	}()
}

// feed copies rows to the running INSERT. It waits while too many are on their way.
func (w *writer) feed(ctx context.Context, vectors []martsync.Vector, n int) error {
	f := w.feeding
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(f.ctx, func() { cancel(errStopped) })()
	bytes := size(vectors, n)
	weight := min(int64(bytes), inFlight)
	if err := w.d.file.budget.Acquire(ctx, weight); err != nil {
		if errors.Is(context.Cause(ctx), errStopped) {
			return w.endFeeding(nil) // the statement is over too early: its error says why
		}
		return err
	}
	buf := w.d.file.arenas.get(bytes)
	f.feed.put(buf, copyTo(buf, vectors, n), n, func() {
		w.d.file.arenas.put(buf)
		w.d.file.budget.Release(weight)
	})
	return nil
}

// endFeeding ends the INSERT and waits for it. With an error, nothing of it will stay.
func (w *writer) endFeeding(stop error) error {
	f := w.feeding
	if f == nil {
		return nil
	}
	w.feeding = nil
	f.feed.close(stop)
	<-f.done
	if f.err == nil && f.ctx.Err() == nil {
		return errors.New("the load ended too early")
	}
	return f.err
}

// writeGone writes tombstones.
func (w *writer) writeGone(ctx context.Context, r *martsync.Records, rows []int, sequence []int64) error {
	if err := w.endFeeding(nil); err != nil {
		return err
	}
	if err := w.makeGone(ctx); err != nil {
		return err
	}
	var cols []martsync.Column
	var vectors []martsync.Vector
	for _, name := range w.goneColumns() {
		i := w.schema.Index(name)
		cols = append(cols, w.schema.Columns[i])
		vectors = append(vectors, pick(r.Columns[i:i+1], rows)[0])
	}
	cols = append(cols, martsync.Column{Name: martsync.SyncedAt, Type: martsync.Int64})
	vectors = append(vectors, martsync.Vector{Type: martsync.Int64, Ints: sequence})
	err := w.insert(ctx, w.goneTable(), cols, nil, vectors, len(rows))
	return err
}

// goneColumns are the columns of a tombstone: the key and the version.
func (w *writer) goneColumns() []string {
	names := append([]string(nil), w.schema.Key...)
	if w.schema.Version != "" && !w.schema.IsKey(w.schema.Version) {
		names = append(names, w.schema.Version)
	}
	return names
}

// begin starts the transaction of the load unless it runs already.
func (w *writer) begin(ctx context.Context) error {
	if w.closed {
		return bug(w.op, "the writer is closed")
	}
	if w.failed != nil {
		return w.failed
	}
	if w.inTx {
		return nil
	}
	if err := w.claim(ctx); err != nil {
		return err
	}
	if err := w.c.exec(ctx, "BEGIN TRANSACTION"); err != nil {
		return err
	}
	w.inTx = true
	return nil
}

// makeRows makes the staging table for records: all columns of the table, so that it can take
// the table's place.
func (w *writer) makeRows(ctx context.Context) error {
	if w.rows {
		return nil
	}
	err := w.c.exec(ctx, "CREATE TABLE "+w.rowsTable()+" AS SELECT * REPLACE ("+order+") FROM "+w.d.table(w.table.name)+" WITH NO DATA")
	w.rows = err == nil
	return err
}

// makeGone makes the staging table for tombstones.
func (w *writer) makeGone(ctx context.Context) error {
	if w.gone {
		return nil
	}
	err := w.c.exec(ctx, "CREATE TABLE "+w.goneTable()+" AS SELECT "+sqlgen.Idents("", w.goneColumns())+", "+order+
		" FROM "+w.d.table(w.table.name)+" WITH NO DATA")
	w.gone = err == nil
	return err
}

// order is what _synced_at is in staging tables, and orderType its type.
var order = "CAST(NULL AS " + orderType + ") AS " + sqlgen.Ident(martsync.SyncedAt)

const orderType = "BIGINT"

// endTx ends the load's transaction; its rows are in the staging tables then.
func (w *writer) endTx() error {
	if err := w.endFeeding(nil); err != nil {
		return w.fail(err)
	}
	if !w.inTx {
		return nil
	}
	if w.part > 0 {
		// nobody may take the staged rows over between the look at who owns them and the commit
		w.d.file.ddl.Lock()
		defer w.d.file.ddl.Unlock()
		if w.d.file.owner(w.d.schema, w.load) != w {
			return w.fail(w.conflict("another writer has taken over the staged rows"))
		}
	}
	w.inTx = false
	if err := w.c.commit(); err != nil {
		return w.fail(err)
	}
	return nil
}

// fail gives up the rows of this transaction. Whoever goes on writing or commits gets the
// error again.
func (w *writer) fail(err error) error {
	w.abort()
	w.failed = err
	return err
}

// abort drops what was written since the transaction began.
func (w *writer) abort() {
	_ = w.endFeeding(errStopped)
	if w.inTx {
		w.inTx = false
		w.c.rollback()
	}
}

// Close drops what is neither staged nor committed.
func (w *writer) Close() error {
	if w.closed {
		return nil
	}
	w.closed = true
	w.abort()
	err := w.leave(context.Background())
	_ = w.d.file.reserve(context.Background(), w.c, -len(w.table.columns))
	w.c.close()
	return wrap("close "+w.op, err)
}

// split tells records from tombstones; gone is nil if there are none of those.
func split(r *martsync.Records) (live, gone []int) {
	for i, t := range r.Tombstone {
		if t {
			gone = append(gone, i)
		} else {
			live = append(live, i)
		}
	}
	return live, gone
}

func offsets(first int64, rows []int) []int64 {
	out := make([]int64, len(rows))
	for i, r := range rows {
		out[i] = first + int64(r)
	}
	return out
}

// pick copies rows out of vectors.
func pick(vectors []martsync.Vector, rows []int) []martsync.Vector {
	out := make([]martsync.Vector, len(vectors))
	for i := range vectors {
		v, w := &vectors[i], &out[i]
		w.Type = v.Type
		if v.Nulls != nil {
			w.Nulls = choose(v.Nulls, rows)
		}
		switch v.Type {
		case martsync.Bool:
			w.Bools = choose(v.Bools, rows)
		case martsync.Int64, martsync.Timestamp:
			w.Ints = choose(v.Ints, rows)
		case martsync.Date:
			w.Days = choose(v.Days, rows)
		case martsync.Float64:
			w.Floats = choose(v.Floats, rows)
		case martsync.Decimal:
			w.Decimals = choose(v.Decimals, rows)
		default:
			w.Offsets = make([]int32, 1, len(rows)+1)
			for _, r := range rows {
				w.Data = append(w.Data, v.Bytes(r)...)
				w.Offsets = append(w.Offsets, int32(len(w.Data)))
			}
		}
	}
	return out
}

func choose[T any](values []T, rows []int) []T {
	out := make([]T, len(rows))
	for i, r := range rows {
		out[i] = values[r]
	}
	return out
}

// loadName makes the name of a load: the stream's and a number that no other load of it has.
func loadName(stream string, n int) string { return fmt.Sprintf("%s_%d", fold(stream), n) }
