//go:build cgo && !lite

package duckdb

import (
	"context"
	"errors"
	"strings"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/sqlgen"
)

// Open makes the table of a stream fit its schema and returns a writer.
func (d *destination) Open(ctx context.Context, s martsync.Schema) (martsync.Writer, error) {
	op := "open table " + s.Stream
	if err := validate(s); err != nil {
		return nil, err
	}
	c, err := d.file.connect(ctx)
	if err != nil {
		return nil, err
	}
	w := &writer{d: d, c: c, schema: s, op: s.Stream}
	if err := w.open(ctx); err != nil {
		c.close()
		return nil, wrap(op, err)
	}
	if err := d.file.reserve(ctx, c, len(w.table.columns)); err != nil {
		_ = w.Close()
		return nil, wrap(op, err)
	}
	return w, nil
}

// validate adds to Schema.Validate what DuckDB cannot tell apart.
func validate(s martsync.Schema) error {
	if err := s.Validate(); err != nil {
		return err
	}
	if strings.HasPrefix(fold(s.Stream), sqlgen.Prefix) {
		return bug("open table "+s.Stream, "names that start with %s are kept for system tables", sqlgen.Prefix)
	}
	seen := map[string]bool{}
	for _, c := range s.Columns {
		if seen[fold(c.Name)] {
			return bug("open table "+s.Stream, "column %s occurs twice: DuckDB does not tell upper from lower case", c.Name)
		}
		seen[fold(c.Name)] = true
		if strings.ContainsRune(c.Name, 0) {
			return bug("open table "+s.Stream, "column %q has a NUL in its name", c.Name)
		}
	}
	if strings.ContainsRune(s.Stream, 0) {
		return bug("open", "stream %q has a NUL in its name", s.Stream)
	}
	return nil
}

// open makes the table fit, reads the position, and looks after rows that were staged by
// earlier writers. Writers do this one after the other, because concurrent changes of the
// catalog are conflicts in DuckDB.
func (w *writer) open(ctx context.Context) error {
	f := w.d.file
	f.ddl.Lock()
	defer f.ddl.Unlock()
	system, err := w.upgradeSystem(ctx)
	if err != nil {
		return err
	}
	if err := w.fitTable(ctx, system); err != nil {
		return err
	}
	return w.resume(ctx)
}

// position reads the committed cursor and the number of commits, which fences writers: it moves
// also with a commit that leaves the cursor as it is. It is -1 if the stream is not registered.
func (w *writer) position(ctx context.Context) (martsync.Cursor, int64, error) {
	var cursor martsync.Cursor
	commits := int64(-1)
	err := w.c.each(ctx, "SELECT cursor, commits FROM "+w.d.table(sqlgen.Cursors)+" WHERE stream = ?", []any{w.schema.Stream}, func(r *martsync.Records) error {
		for i := range r.Len {
			cursor, commits = martsync.Cursor(cell(&r.Columns[0], i)), r.Columns[1].Ints[i]
		}
		return nil
	})
	return cursor, commits, err
}

// Position implements martsync.Positioner. Of a table that somebody has dropped there is none: Open would reset it.
func (d *destination) Position(ctx context.Context, stream string) (cursor martsync.Cursor, err error) {
	err = d.with(ctx, "read the position of "+stream, func(c *conn) error {
		for _, name := range []string{stream, sqlgen.Cursors} {
			if t, err := d.describe(ctx, c, name); err != nil || t == nil || t.isView {
				return err
			}
		}
		rows, err := c.strings(ctx, "SELECT cursor FROM "+d.table(sqlgen.Cursors)+" WHERE stream = ?", stream)
		if len(rows) > 0 {
			cursor = martsync.Cursor(rows[0][0])
		}
		return err
	})
	return cursor, err
}

// upgradeSystem adds columns to system tables of an older version of ours, and says which system tables there are.
func (w *writer) upgradeSystem(ctx context.Context) (map[string]bool, error) {
	there := map[string]bool{}
	for _, t := range systemTables() {
		l, err := w.d.describe(ctx, w.c, t.Name)
		if err != nil {
			return nil, err
		}
		if l == nil {
			continue // made with the table of the stream
		}
		there[t.Name] = true
		for _, col := range t.Columns {
			if l.has(col.Name) {
				continue
			}
			if err := w.c.exec(ctx, sqlgen.DuckDB.AddColumn(w.d.table(t.Name), col)); err != nil {
				return nil, err
			}
		}
	}
	return there, nil
}

// clash refuses a table that another stream has, whose name differs in case alone.
func (w *writer) clash(ctx context.Context) error {
	stream := w.schema.Stream
	rows, err := w.c.strings(ctx, "SELECT stream FROM "+w.d.table(sqlgen.Cursors))
	for _, r := range rows {
		if r[0] != stream && fold(r[0]) == fold(stream) {
			return configError("open table "+stream, "load them into different schemas", "the table is that of the stream %s", r[0])
		}
	}
	return err
}

// fitTable creates or alters the table, and reads the position in it. A table of this name that we did not make is not
// touched.
func (w *writer) fitTable(ctx context.Context, system map[string]bool) error {
	s := w.schema
	old, err := w.d.describe(ctx, w.c, s.Stream)
	if err != nil {
		return err
	}
	ours := false
	if system[sqlgen.Cursors] {
		if w.cursor, w.commits, err = w.position(ctx); err != nil {
			return err
		}
		if ours = w.commits >= 0; !ours {
			if err := w.clash(ctx); err != nil {
				return err
			}
		}
	}
	if old != nil && (!ours || old.isView) {
		return configError("open table "+s.Stream, "rename it or drop it, or let the sync use another schema",
			"%s.%s exists and was not made by martsync", w.d.schema, old.name)
	}
	if old != nil && len(system) == len(systemTables()) {
		now, changes, statements, err := w.d.fit(old, s)
		if err != nil {
			return err
		}
		w.table, w.changes = now, changes
		if len(statements) == 0 {
			return nil
		}
		return w.c.tx(ctx, func() error { return w.execAll(ctx, statements) })
	}
	err = w.c.tx(ctx, func() error {
		if err := w.execAll(ctx, w.d.statements(s, catalog)); err != nil {
			return err
		}
		if old == nil && ours {
			// somebody dropped the table: the position in it is gone with it
			if err := w.c.exec(ctx, "UPDATE "+w.d.table(sqlgen.Cursors)+" SET cursor = '', commits = commits + 1 WHERE stream = ?", s.Stream); err != nil {
				return err
			}
		}
		made, err := w.d.describe(ctx, w.c, s.Stream)
		if err != nil {
			return err
		}
		if made == nil {
			return errors.New("the table is not there after it was made")
		}
		now, changes, statements, err := w.d.fit(made, s)
		if err != nil {
			return err
		}
		w.table, w.changes = now, changes
		return w.execAll(ctx, statements)
	})
	if err != nil {
		return err
	}
	w.cursor, w.commits, err = w.position(ctx)
	return err
}

func (w *writer) execAll(ctx context.Context, statements []string) error {
	for _, s := range statements {
		if err := w.c.exec(ctx, s); err != nil {
			return err
		}
	}
	return nil
}
