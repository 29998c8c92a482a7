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
func (w *writer) resume(ctx context.Context) error {
	f := w.d.file
	if err := w.d.listLoads(ctx, w.c); err != nil {
		return err
	}
	loads := f.loadsOf(w.d.schema, w.schema.Stream)
	if len(loads) == 0 {
		return nil
	}
	marks, err := w.marks(ctx)
	if err != nil {
		return err
	}
	last := map[string]mark{}
	for _, m := range marks {
		last[m.load] = m
	}
	var drop []string
	for _, load := range loads {
		m, marked := last[load]
		rows, err := w.d.describe(ctx, w.c, rowsPrefix+load)
		if err != nil {
			return err
		}
		switch {
		case marked && m.base == w.commits && w.fits(rows) && (w.load == "" || m.sequence > last[w.load].sequence):
			if w.load != "" && f.owner(w.d.schema, w.load) == nil {
				drop = append(drop, w.load)
			}
			w.load, w.rows = load, rows != nil
		case f.owner(w.d.schema, load) == nil:
			drop = append(drop, load)
		}
	}
	if w.load != "" {
		m := last[w.load]
		w.staged, w.part, w.sequence = martsync.Cursor(m.next), m.part+1, m.sequence
		gone, err := w.d.describe(ctx, w.c, gonePrefix+w.load)
		if err != nil {
			return err
		}
		w.gone = gone != nil
	}
	if len(drop) == 0 {
		return nil
	}
	err = w.c.tx(ctx, func() error {
		for _, load := range drop {
			if err := w.dropLoad(ctx, load); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		f.dropped(w.d.schema, drop)
	}
	return err
}

// fits reports whether a staging table, nil if there is none, has the columns that the table has now. Rows staged before
// the vendor's schema changed are read again.
func (w *writer) fits(l *layout) bool {
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
		for n := 1; w.load == ""; n++ {
			if load := loadName(w.schema.Stream, n); f.own(w, load, false) {
				w.load = load
			}
		}
		w.claimed = true
		return nil
	}
	there, err := w.c.exists(ctx, "SELECT 1 FROM "+w.d.table(stagedTable)+" WHERE load = ? AND base = ? HAVING max(part) = ?", w.load, w.commits, w.part-1)
	if err != nil {
		return err
	}
	if !there {
		return w.conflict("another writer has committed or dropped the staged rows, or staged more")
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
	w.d.file.disown(w, w.load, true)
	w.load, w.part, w.sequence, w.staged = "", 0, 0, ""
	w.rows, w.gone, w.claimed, w.failed = false, false, false, nil
}

// leave gives the load up when the writer is closed: what was never staged is dropped.
func (w *writer) leave(ctx context.Context) error {
	if !w.claimed || w.d.file.owner(w.d.schema, w.load) != w {
		return nil
	}
	gone := false
	defer func() { w.d.file.disown(w, w.load, gone) }()
	if w.part > 0 || w.d.file.broken.Load() {
		return nil
	}
	found := false
	for _, prefix := range []string{rowsPrefix, gonePrefix} {
		l, err := w.d.describe(ctx, w.c, prefix+w.load)
		if err != nil {
			return err
		}
		found = found || l != nil
	}
	if found {
		if err := w.c.tx(ctx, func() error { return w.dropLoad(ctx, w.load) }); err != nil {
			return err
		}
	}
	gone = true
	return nil
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

// dropOwn drops the writer's load. Of one that was never staged nobody else can have made a part: it has no marks, and the
// tables that the writer knows of.
func (w *writer) dropOwn(ctx context.Context) error {
	if w.part > 0 {
		return w.dropLoad(ctx, w.load)
	}
	for _, t := range w.stagingTables() {
		if err := w.c.exec(ctx, "DROP TABLE IF EXISTS "+t); err != nil { // a swap has given it another name
			return err
		}
	}
	return nil
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
