package memory

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/rows"
)

// A writer collects rows and applies them to its table in Commit.
type writer struct {
	storage *Storage
	table   *table
	schema  martsync.Schema
	changes []martsync.Change

	cursor, staged martsync.Cursor
	base           int64 // commits of the table when the writer was opened, or committed last
	stage          int64 // the stage that the writer continues; 0: none
	rows           []row // since the last stage
	failed         bool
}

// A row is one row of records that was written.
type row struct {
	schema             *martsync.Schema // when it was written: a staged row may be older than a column
	cells              rows.Row         // parallel to the schema's columns
	tombstone, deleted bool
}

func (w *writer) Cursor() martsync.Cursor    { return w.cursor }
func (w *writer) Staged() martsync.Cursor    { return w.staged }
func (w *writer) Changes() []martsync.Change { return w.changes }

func (w *writer) Write(ctx context.Context, r *martsync.Records) error {
	if err := w.usable(ctx); err != nil {
		return err
	}
	if err := rows.Check(&w.schema, r); err != nil {
		return &martsync.Error{Kind: martsync.Internal, Op: "write " + w.schema.Stream, Err: err}
	}
	for i, cells := range rows.Of(w.schema.Columns, r) {
		w.rows = append(w.rows, row{&w.schema, cells, rows.Tombstone(r, i), rows.Deleted(r, i)})
	}
	return nil
}

// staged is what a table keeps of its last stage.
type staged struct {
	base   int64 // the commit it builds on
	stage  int64 // its number
	rows   []row
	commit martsync.Commit
}

func (w *writer) Stage(ctx context.Context, c martsync.Commit) error {
	if err := w.usable(ctx); err != nil {
		return err
	}
	w.storage.mu.Lock()
	defer w.storage.mu.Unlock()
	before, err := w.held()
	if err != nil {
		return err
	}
	w.table.stages++
	w.table.staged = &staged{
		base: w.base, stage: w.table.stages,
		rows: slices.Concat(before.rows, w.rows), commit: with(before.commit, c),
	}
	w.stage, w.staged, w.rows = w.table.stages, c.Next, nil
	return nil
}

// held returns what the writer has staged. The caller holds the lock. That somebody else has
// staged in between is a conflict: a table keeps one stage, and only who knows what is in it
// may add to it or replace it.
func (w *writer) held() (staged, error) {
	t := w.table
	if t.commits != w.base {
		return staged{}, w.conflict("committed")
	}
	if t.staged == nil || t.staged.base != w.base {
		if w.stage != 0 {
			return staged{}, w.conflict("discarded")
		}
		return staged{}, nil
	}
	if t.staged.stage != w.stage {
		return staged{}, w.conflict("staged")
	}
	return *t.staged, nil
}

func (w *writer) conflict(what string) error {
	w.failed = true
	return &martsync.Error{
		Kind: martsync.Conflict, Op: "load " + w.schema.Stream,
		Err:  fmt.Errorf("another sync has %s rows of this table", what),
		Hint: "Let one sync at a time write to a table.",
	}
}

// with adds what c brings to a commit that it continues.
func with(before, c martsync.Commit) martsync.Commit {
	c.Windows = slices.Concat(before.Windows, c.Windows)
	c.Complete = slices.Concat(before.Complete, c.Complete)
	c.Censuses = slices.Concat(before.Censuses, c.Censuses)
	c.Quarantined = slices.Concat(before.Quarantined, c.Quarantined)
	c.Log = slices.Concat(before.Log, c.Log)
	return c
}

func (w *writer) Discard(ctx context.Context) error {
	if err := w.usable(ctx); err != nil {
		return err
	}
	w.storage.mu.Lock()
	defer w.storage.mu.Unlock()
	if _, err := w.held(); err != nil {
		return err
	}
	w.table.staged = nil
	w.stage, w.staged, w.rows = 0, "", nil
	return nil
}

func (w *writer) Commit(ctx context.Context, c martsync.Commit) error {
	if err := w.usable(ctx); err != nil {
		return err
	}
	w.storage.mu.Lock()
	defer w.storage.mu.Unlock()
	before, err := w.held()
	if err != nil {
		return err
	}
	// The transaction works on a copy, which replaces the table at its end.
	t := w.table.clone()
	c = with(before.commit, c)
	all := slices.Concat(before.rows, w.rows)
	for _, step := range []func(){
		func() { t.apply(w.schema.Snapshot, all, c) },
		func() { t.record(w.schema.Stream, c) },
		func() { t.cursor, t.staged = c.Next, nil; t.commits++ },
	} {
		if w.storage.fault--; w.storage.fault == -1 {
			w.failed = true
			return &martsync.Error{Kind: martsync.Transient, Op: "commit " + w.schema.Stream, Err: errors.New("a fault was asked for")}
		}
		step()
	}
	*w.table = *t
	w.cursor, w.staged, w.stage, w.rows = c.Next, "", 0, nil
	w.base = t.commits
	return nil
}

func (w *writer) Close() error {
	w.failed, w.rows = true, nil
	return nil
}

func (w *writer) usable(ctx context.Context) error {
	if w.failed {
		return &martsync.Error{Kind: martsync.Internal, Op: "load " + w.schema.Stream, Err: errors.New("the writer was closed or has failed")}
	}
	return ctx.Err()
}
