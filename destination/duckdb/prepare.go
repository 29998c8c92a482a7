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
	tables, err := w.d.layouts(ctx, w.c)
	if err != nil {
		return err
	}
	if err := w.upgradeSystem(ctx, tables); err != nil {
		return err
	}
	if err := w.fitTable(ctx, tables); err != nil {
		return err
	}
	if w.cursor, w.commits, err = w.position(ctx); err != nil {
		return err
	}
	return w.resume(ctx, tables)
}

// position reads the committed cursor and the number of commits, which fences writers: it moves
// also with a commit that leaves the cursor as it is.
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
		found, err := c.strings(ctx, "SELECT table_name FROM duckdb_tables() WHERE database_name = ? AND lower(schema_name) = lower(?) AND lower(table_name) IN (lower(?), lower(?))",
			catalog, d.schema, stream, sqlgen.Cursors)
		if err != nil || len(found) < 2 {
			return err
		}
		rows, err := c.strings(ctx, "SELECT cursor FROM "+d.table(sqlgen.Cursors)+" WHERE stream = ?", stream)
		if len(rows) > 0 {
			cursor = martsync.Cursor(rows[0][0])
		}
		return err
	})
	return cursor, err
}

// upgradeSystem adds columns to system tables of an older version of ours.
func (w *writer) upgradeSystem(ctx context.Context, tables map[string]*layout) error {
	for _, t := range systemTables() {
		l := tables[t.Name]
		if l == nil {
			continue // made with the table of the stream
		}
		for _, col := range t.Columns {
			if l.has(col.Name) {
				continue
			}
			if err := w.c.exec(ctx, sqlgen.DuckDB.AddColumn(w.d.table(t.Name), col)); err != nil {
				return err
			}
		}
	}
	return nil
}

// fitTable creates or alters the table. A table of this name that we did not make is not touched.
func (w *writer) fitTable(ctx context.Context, tables map[string]*layout) error {
	s := w.schema
	old := tables[fold(s.Stream)]
	complete := true
	for _, t := range systemTables() {
		complete = complete && tables[t.Name] != nil
	}
	ours := false
	if tables[sqlgen.Cursors] != nil {
		rows, err := w.c.strings(ctx, "SELECT stream FROM "+w.d.table(sqlgen.Cursors))
		if err != nil {
			return err
		}
		for _, r := range rows {
			ours = ours || r[0] == s.Stream
			if r[0] != s.Stream && fold(r[0]) == fold(s.Stream) {
				return configError("open table "+s.Stream, "load them into different schemas", "the table is that of the stream %s", r[0])
			}
		}
	}
	if old != nil && (!ours || old.isView) {
		return configError("open table "+s.Stream, "rename it or drop it, or let the sync use another schema",
			"%s.%s exists and was not made by martsync", w.d.schema, old.name)
	}
	if old != nil && complete {
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
	return w.c.tx(ctx, func() error {
		if err := w.execAll(ctx, w.d.statements(s, catalog)); err != nil {
			return err
		}
		if old == nil && ours {
			// somebody dropped the table: the position in it is gone with it
			if err := w.c.exec(ctx, "UPDATE "+w.d.table(sqlgen.Cursors)+" SET cursor = '', commits = commits + 1 WHERE stream = ?", s.Stream); err != nil {
				return err
			}
		}
		tables, err := w.d.layouts(ctx, w.c)
		if err != nil {
			return err
		}
		made := tables[fold(s.Stream)]
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
}

func (w *writer) execAll(ctx context.Context, statements []string) error {
	for _, s := range statements {
		if err := w.c.exec(ctx, s); err != nil {
			return err
		}
	}
	return nil
}
