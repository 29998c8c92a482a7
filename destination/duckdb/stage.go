//go:build cgo && !lite

package duckdb

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/sqlgen"
)

// Prefixes of the names of staging tables.
const (
	rowsPrefix = sqlgen.Prefix + "rows_"
	gonePrefix = sqlgen.Prefix + "gone_"
)

// A mark is a row of the table of staged loads.
type mark struct {
	load, next, commit   string
	part, base, sequence int64
}

func (w *writer) marks(ctx context.Context) ([]mark, error) {
	var out []mark
	err := w.c.each(ctx, `SELECT load, part, base, next, sequence, "commit" FROM `+w.d.table(stagedTable)+` WHERE stream = ? ORDER BY load, part`,
		[]any{w.schema.Stream}, func(r *martsync.Records) error {
			for i := range r.Len {
				out = append(out, mark{
					load: cell(&r.Columns[0], i), part: r.Columns[1].Ints[i], base: r.Columns[2].Ints[i],
					next: cell(&r.Columns[3], i), sequence: r.Columns[4].Ints[i], commit: cell(&r.Columns[5], i),
				})
			}
			return nil
		})
	return out, err
}

// resume looks for rows that an earlier writer staged. Those that build on the committed cursor
// are kept, and this writer goes on from there; what other writers left behind is dropped.
// f.ddl is held.
func (w *writer) resume(ctx context.Context, tables map[string]*layout) error {
	f := w.d.file
	marks, err := w.marks(ctx)
	if err != nil {
		return err
	}
	last := map[string]mark{}
	for _, m := range marks {
		last[m.load] = m
	}
	loads := map[string]bool{} // all that have tables or marks
	for name := range last {
		loads[name] = true
	}
	for name := range tables {
		for _, prefix := range []string{rowsPrefix, gonePrefix} {
			if load, ok := strings.CutPrefix(name, prefix); ok && streamOf(load) == fold(w.schema.Stream) {
				loads[load] = true
			}
		}
	}
	var drop []string
	for load := range loads {
		m, marked := last[load]
		switch {
		case marked && m.base == w.commits && w.fits(tables, load) && (w.load == "" || m.sequence > last[w.load].sequence):
			if w.load != "" && f.owner(w.d.schema, w.load) == nil {
				drop = append(drop, w.load)
			}
			w.load = load
		case f.owner(w.d.schema, load) == nil:
			drop = append(drop, load)
		}
	}
	if w.load != "" {
		m := last[w.load]
		w.staged, w.part, w.sequence = martsync.Cursor(m.next), m.part+1, m.sequence
		w.rows = tables[fold(rowsPrefix+w.load)] != nil
		w.gone = tables[fold(gonePrefix+w.load)] != nil
	}
	if len(drop) == 0 {
		return nil
	}
	return w.c.tx(ctx, func() error {
		for _, load := range drop {
			if err := w.dropLoad(ctx, load); err != nil {
				return err
			}
		}
		return nil
	})
}

// fits reports whether staged rows have the columns that the table has now. Rows staged before
// the vendor's schema changed are read again.
func (w *writer) fits(tables map[string]*layout, load string) bool {
	l := tables[fold(rowsPrefix+load)]
	if l == nil {
		return true
	}
	want := &layout{columns: slices.Clone(w.table.columns)}
	if i := want.find(martsync.SyncedAt); i >= 0 {
		want.columns[i].typ = orderType
	}
	return l.same(want)
}

// streamOf is the stream in the name of a load, folded.
func streamOf(load string) string {
	i := strings.LastIndexByte(load, '_')
	if i < 0 {
		return ""
	}
	if _, err := strconv.Atoi(load[i+1:]); err != nil {
		return ""
	}
	return fold(load[:i])
}

// claim makes the load this writer's. A writer that was opened earlier and staged the rows that
// this one goes on with cannot commit any more.
func (w *writer) claim(ctx context.Context) error {
	f := w.d.file
	if w.claimed {
		if f.owner(w.d.schema, w.load) != w {
			return w.conflict("another writer has taken over the staged rows")
		}
		return nil
	}
	f.ddl.Lock()
	defer f.ddl.Unlock()
	if w.load == "" {
		tables, err := w.d.layouts(ctx, w.c)
		if err != nil {
			return err
		}
		for n := 1; w.load == ""; n++ {
			load := loadName(w.schema.Stream, n)
			if tables[rowsPrefix+load] == nil && tables[gonePrefix+load] == nil && f.own(w, load, false) {
				w.load = load
			}
		}
		w.claimed = true
		return nil
	}
	there, err := w.c.exists(ctx, "SELECT 1 FROM "+w.d.table(stagedTable)+" WHERE load = ? AND base = ?", w.load, w.commits)
	if err != nil {
		return err
	}
	if !there {
		return w.conflict("another writer has committed or dropped the staged rows")
	}
	f.own(w, w.load, true)
	w.claimed = true
	// rows that were written after the last Stage, by a commit that came to nothing
	for _, t := range w.stagingTables() {
		if err := w.c.exec(ctx, "DELETE FROM "+t+" WHERE "+sqlgen.Ident(martsync.SyncedAt)+" >= "+strconv.FormatInt(w.sequence, 10)); err != nil {
			return err
		}
	}
	return nil
}

// stagingTables are those that exist.
func (w *writer) stagingTables() []string {
	var out []string
	if w.rows {
		out = append(out, w.rowsTable())
	}
	if w.gone {
		out = append(out, w.goneTable())
	}
	return out
}

func (w *writer) conflict(why string) error {
	return &martsync.Error{Kind: martsync.Conflict, Op: "duckdb: commit " + w.op, Err: errors.New(why)}
}

// Stage makes the rows survive this writer: the load's transaction is committed together with a
// mark that says where reading resumes.
func (w *writer) Stage(ctx context.Context, c martsync.Commit) error {
	return wrap("stage "+w.op, w.stage(ctx, c))
}

func (w *writer) stage(ctx context.Context, c martsync.Commit) error {
	if err := w.begin(ctx); err != nil {
		return err
	}
	if err := w.endFeeding(nil); err != nil {
		return w.fail(err)
	}
	if w.d.file.owner(w.d.schema, w.load) != w {
		return w.fail(w.conflict("another writer has taken over the staged rows"))
	}
	next := c.Next
	c.Next = ""
	carried, err := json.Marshal(c)
	if err != nil {
		return bug(w.op, "%w", err)
	}
	err = w.appendRows(ctx, stagedTable, func(add func(...[]byte) error) error {
		return add(str(w.schema.Stream), str(w.load), num(w.part), num(w.commits), str(string(next)), num(w.sequence), carried, moment(c.At))
	})
	if err != nil {
		return w.fail(err)
	}
	if err := w.endTx(); err != nil {
		return err
	}
	w.part++
	w.staged = next
	return nil
}

// Discard drops every row since the last commit.
func (w *writer) Discard(ctx context.Context) error {
	w.abort()
	if w.load == "" {
		return nil
	}
	if !w.claimed {
		if err := w.claim(ctx); err != nil {
			return wrap("discard "+w.op, err)
		}
	} else if w.d.file.owner(w.d.schema, w.load) != w {
		return w.conflict("another writer has taken over the staged rows")
	}
	err := w.c.tx(ctx, func() error { return w.dropLoad(ctx, w.load) })
	if err != nil {
		return wrap("discard "+w.op, err)
	}
	w.forget()
	return nil
}

// forget makes the writer one that has written nothing.
func (w *writer) forget() {
	w.d.file.disown(w, w.load)
	w.load, w.part, w.sequence, w.staged = "", 0, 0, ""
	w.rows, w.gone, w.claimed, w.failed = false, false, false, nil
}

// leave gives the load up when the writer is closed: what was never staged is dropped.
func (w *writer) leave(ctx context.Context) error {
	if !w.claimed || w.d.file.owner(w.d.schema, w.load) != w {
		return nil
	}
	defer w.d.file.disown(w, w.load)
	if w.part > 0 || w.d.file.broken.Load() {
		return nil
	}
	found, err := w.c.exists(ctx, "SELECT 1 FROM duckdb_tables() WHERE database_name = ? AND table_name IN (?, ?)", catalog, rowsPrefix+w.load, gonePrefix+w.load)
	if err != nil || !found {
		return err
	}
	return w.c.tx(ctx, func() error { return w.dropLoad(ctx, w.load) })
}

// dropLoad drops the tables of a load and its marks.
func (w *writer) dropLoad(ctx context.Context, load string) error {
	for _, prefix := range []string{rowsPrefix, gonePrefix} {
		if err := w.c.exec(ctx, "DROP TABLE IF EXISTS "+w.d.table(prefix+load)); err != nil {
			return err
		}
	}
	err := w.c.exec(ctx, "DELETE FROM "+w.d.table(stagedTable)+" WHERE load = ?", load)
	return err
}

// carried adds what earlier calls of Stage left for this commit.
func (w *writer) carried(ctx context.Context, c martsync.Commit) (martsync.Commit, error) {
	if w.part == 0 {
		return c, nil
	}
	marks, err := w.marks(ctx)
	if err != nil {
		return c, err
	}
	var all martsync.Commit
	for _, m := range marks {
		if m.load != w.load {
			continue
		}
		var early martsync.Commit
		if err := json.Unmarshal([]byte(m.commit), &early); err != nil {
			return c, fmt.Errorf("read what was staged with %s: %w", m.load, err)
		}
		all.Windows = append(all.Windows, early.Windows...)
		all.Complete = append(all.Complete, early.Complete...)
		all.Censuses = append(all.Censuses, early.Censuses...)
		all.Quarantined = append(all.Quarantined, early.Quarantined...)
		all.Log = append(all.Log, early.Log...)
	}
	c.Windows = append(all.Windows, c.Windows...)
	c.Complete = append(all.Complete, c.Complete...)
	c.Censuses = append(all.Censuses, c.Censuses...)
	c.Quarantined = append(all.Quarantined, c.Quarantined...)
	c.Log = append(all.Log, c.Log...)
	return c, nil
}

// owner is the writer in this process whose load it is.
func (f *file) owner(schema, load string) *writer {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.owners[fold(schema)+"."+fold(load)]
}

// own makes a load the writer's; with force, also if it was another's.
func (f *file) own(w *writer, load string, force bool) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	key := fold(w.d.schema) + "." + fold(load)
	if f.owners[key] != nil && !force {
		return false
	}
	f.owners[key] = w
	return true
}

func (f *file) disown(w *writer, load string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	key := fold(w.d.schema) + "." + fold(load)
	if f.owners[key] == w {
		delete(f.owners, key)
	}
}
