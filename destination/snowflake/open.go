package snowflake

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"strings"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/sqlgen"
)

func open(ctx context.Context, c Config, namespace string, env martsync.Env) (*destination, error) {
	c, err := c.normal(namespace)
	if err != nil {
		return nil, err
	}
	if _, err := c.signIn(); err != nil {
		return nil, err
	}
	d := &destination{
		config: c, env: env, database: object(c.Database), schema: object(c.Schema),
		commitWait: commitTimeout, endWait: signOutTimeout, measureWait: measureTimeout,
	}
	d.depot = internalStage{d}
	if c.Stage.Name != "" {
		if d.depot, err = openBucket(ctx, d); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// Open makes the table of a stream fit its schema and returns a writer. If nothing has to be changed and
// nothing is in doubt, no warehouse is needed.
func (d *destination) Open(ctx context.Context, s martsync.Schema) (martsync.Writer, error) {
	if err := d.validate(s); err != nil {
		return nil, err
	}
	w := &writer{d: d, schema: s, id: newID()}
	if err := d.with(ctx, "open table "+s.Stream, func(session *session) error { return w.open(ctx, session) }); err != nil {
		return nil, err
	}
	return w, nil
}

// newID names what a writer puts on the stage, so that no two writers have the same names.
func newID() string {
	var b [6]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// validate adds to Schema.Validate what the names in the catalog demand.
func (d *destination) validate(s martsync.Schema) error {
	op := "open table " + s.Stream
	if err := s.Validate(); err != nil {
		return err
	}
	if strings.HasPrefix(lower(s.Stream), sqlgen.Prefix) {
		return bug(op, "names that start with %s are kept for system tables", sqlgen.Prefix)
	}
	if strings.ContainsRune(s.Stream, 0) {
		return bug("open", "stream %q has a NUL in its name", s.Stream)
	}
	seen := map[string]bool{d.synced(): true, d.deleted(): true}
	for _, c := range s.Columns {
		name := d.config.columnName(c)
		switch {
		case seen[name]:
			return bug(op, "column %s occurs twice: with identifiers %q its name is %s", c.Name, d.config.Identifiers, name)
		case strings.ContainsRune(name, 0):
			return bug(op, "column %q has a NUL in its name", c.Name)
		case strings.HasPrefix(lower(name), sqlgen.Prefix) || d.isPassing(name):
			return bug(op, "column %q has a name that is kept for ours", c.Name)
		}
		seen[name] = true
	}
	return nil
}

// open makes the table fit, finds the position, and looks after what earlier writers left on the stage.
func (w *writer) open(ctx context.Context, s *session) error {
	s.label("", w.schema.Stream)
	if err := s.setUp(ctx); err != nil {
		return err
	}
	table, err := w.existing(ctx, s)
	if err != nil {
		return err
	}
	shelf, err := s.readShelf(ctx, w.schema.Stream)
	if err != nil {
		return err
	}
	if err := w.locate(ctx, s, shelf, table != nil); err != nil {
		return err
	}
	if table == nil {
		if _, err := s.exec(ctx, w.d.createStream(w.schema)); err != nil {
			return err
		}
		if table, err = s.describeTable(ctx, w.d.config.tableName(w.schema.Stream)); err != nil {
			return err
		}
		table.rows = 0
	}
	if err := w.fit(ctx, s, table); err != nil {
		return err
	}
	if err := shelf.sweep(ctx, s, w.commits); err != nil {
		return err
	}
	return w.resume(ctx, s, shelf)
}

// existing describes the table if it exists. One of this name that we did not make is not touched.
func (w *writer) existing(ctx context.Context, s *session) (*layout, error) {
	stream, name := w.schema.Stream, w.d.config.tableName(w.schema.Stream)
	op := "open table " + stream
	t, err := s.showTable(ctx, name)
	if err != nil || t == nil {
		return nil, err
	}
	owner, ours := strings.CutPrefix(t.comment, tableComment)
	switch {
	case !ours:
		return nil, configError(op, "Rename it or drop it, or let the sync use another schema, or take it over with adopt. If it is one of martsync's that lost its comment: COMMENT ON TABLE "+
			w.d.qualified(name)+" IS "+text(tableComment+stream)+".", "%s.%s exists and was not made by martsync", w.d.schema, name)
	case owner != stream:
		return nil, configError(op, "Load them into different schemas.", "the table is that of the stream %s", owner)
	}
	l, err := s.describeTable(ctx, name)
	if err != nil {
		return nil, err
	}
	l.rows = t.rows
	changed, err := s.finish(ctx, l)
	if changed && err == nil {
		rows := l.rows
		if l, err = s.describeTable(ctx, name); err == nil {
			l.rows = rows
		}
	}
	return l, err
}

// locate finds the position. A table that somebody has dropped begins anew: the position in it is gone with it.
func (w *writer) locate(ctx context.Context, s *session, h *shelf, exists bool) error {
	stream := w.schema.Stream
	cursor, commits, certain, err := h.position(ctx, s)
	if err != nil {
		return err
	}
	if certain && exists {
		w.cursor, w.commits = cursor, commits
		return nil
	}
	var known bool
	if exists || !w.d.fresh || len(h.keys) > 0 { // else nobody can have committed
		if cursor, commits, known, err = s.truth(ctx, stream); err != nil {
			return err
		}
	}
	if err := h.unwind(ctx, s, commits); err != nil {
		return err
	}
	if known && !exists {
		n, err := s.exec(ctx, w.d.restart(), stream, commits)
		if err != nil {
			return err
		}
		if n != 1 {
			return conflict(stream)
		}
		cursor, commits = "", commits+1
	}
	w.cursor, w.commits = cursor, commits
	// so that the next one need not ask
	if err := h.forget(ctx, s); err != nil {
		return err
	}
	if err := s.settle(ctx, hint{Stream: stream, Commits: commits, Cursor: cursor}, w.id); err != nil {
		return err
	}
	for _, key := range h.files(commits, pendingPrefix) {
		if err := w.d.depot.remove(ctx, s, key); err != nil {
			return err
		}
	}
	return nil
}

// restart sets a stream back to its beginning.
func (d *destination) restart() string {
	return "UPDATE " + d.table(sqlgen.Cursors) + " SET " + d.name("cursor") + " = '', " + d.name("commits") + " = " + d.name("commits") + " + 1 WHERE " +
		d.name("stream") + " = ? AND " + d.name("commits") + " = ?"
}

// name is a column of a system table, quoted.
func (d *destination) name(column string) string {
	return ident(d.config.columnName(martsync.Column{Name: column}))
}

// fit makes the table fit the schema.
func (w *writer) fit(ctx context.Context, s *session, table *layout) error {
	now, plan, changes, err := w.d.fit(table, w.schema)
	if err != nil {
		return err
	}
	raised, err := s.alter(ctx, table, plan, w.schema.Stream, w.commits)
	if err != nil {
		return err
	}
	w.table, w.changes = now, changes
	if raised {
		w.commits++
		return s.settle(ctx, hint{Stream: w.schema.Stream, Commits: w.commits, Cursor: w.cursor}, w.id)
	}
	return nil
}

// conflict says that another writer has committed.
func conflict(stream string) error {
	return &martsync.Error{
		Kind: martsync.Conflict, Op: "snowflake: load " + stream,
		Err:  errors.New("another sync has committed rows of this table"),
		Hint: "Let one sync at a time write to a table.",
	}
}
