package files

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/blob"
)

// ReadTable yields the current rows of a table, as of the last commit when it was called. The
// records are borrowed. Rows beyond what memory may hold wait in temporary files, which are gone
// when the sequence ends.
func (d *destination) ReadTable(ctx context.Context, stream string) (martsync.Schema, iter.Seq2[*martsync.Records, error], error) {
	t, err := d.table(ctx, stream)
	if err != nil {
		return martsync.Schema{}, nil, err
	}
	schema := t.schema()
	schema.Columns = slices.Clone(schema.Columns) // what the caller does to it is nothing to the rows
	return schema, d.rows(ctx, t), nil
}

// rows yields the current rows of a table.
func (d *destination) rows(ctx context.Context, t *table) iter.Seq2[*martsync.Records, error] {
	return resolve(ctx, d.env.TempDir, defaultReplay, t.schemas, d.steps(ctx, t))
}

// steps are the commits of a table as the resolver takes them.
func (d *destination) steps(ctx context.Context, t *table) iter.Seq2[replayStep, error] {
	return func(yield func(replayStep, error) bool) {
		var known schemaCache
		for m, err := range d.effective(ctx, t) {
			if err != nil {
				yield(replayStep{}, err)
				return
			}
			s, err := d.step(t, m, &known, false)
			if !yield(s, err) || err != nil {
				return
			}
		}
	}
}

// effective yields the commits that the table is made of: from the last one that replaced what was there.
func (d *destination) effective(ctx context.Context, t *table) iter.Seq2[*manifest, error] {
	return func(yield func(*manifest, error) bool) {
		if t.newest == 0 {
			return
		}
		last, err := d.manifest(ctx, t.chain, t.newest)
		if err != nil || last.Snapshot {
			yield(last, err)
			return
		}
		for m, err := range d.commits(ctx, t, last.begin()) {
			if !yield(m, err) || err != nil {
				return
			}
		}
	}
}

// step is a commit as the resolver takes it, maybe of rows that bring along when they were synced.
func (d *destination) step(t *table, m *manifest, known *schemaCache, synced bool) (replayStep, error) {
	s := replayStep{At: m.At, Table: int(m.Table) - 1, Replace: m.Snapshot, Complete: m.scopes(), Censuses: m.censuses()}
	if s.Table < 0 || s.Table >= len(t.schemas) {
		return s, damagedDocument(t.manifest(m.Number), fmt.Errorf("it names state %d of the table's schema, of %d", m.Table, len(t.schemas)))
	}
	for i := range m.Files {
		f := m.Files[i]
		schema, err := known.schemaOf(m, &f)
		if err != nil {
			return s, damagedDocument(t.manifest(m.Number), err)
		}
		f.Upload, f.Ranges = blob.Receipt{}, nil // there may be many files, and these are most of what is known of one
		if synced {
			schema = withSynced(schema)
		}
		commit, at := m.Number, m.At
		s.Files = append(s.Files, replayFile{Schema: schema, Rows: func(ctx context.Context) iter.Seq2[*martsync.Records, error] {
			rows := d.readable(ctx, t.stream, commit, d.fileRows(ctx, f, schema))
			if synced {
				rows = stamped(rows, at)
			}
			return rows
		}})
	}
	return s, nil
}

// A schemaCache keeps the different schemas that files were written with: there are few of them,
// however many files there are.
type schemaCache struct {
	from []schema
	to   []martsync.Schema
}

func (c *schemaCache) schemaOf(m *manifest, f *file) (martsync.Schema, error) {
	if f.Schema >= 0 && f.Schema < len(m.Schemas) {
		want := &m.Schemas[f.Schema]
		i := slices.IndexFunc(c.from, func(s schema) bool {
			return s.Stream == want.Stream && s.Version == want.Version && s.Snapshot == want.Snapshot && s.Deletes == want.Deletes &&
				slices.Equal(s.Key, want.Key) && slices.Equal(s.Columns, want.Columns)
		})
		if i >= 0 {
			return c.to[i], nil
		}
	}
	s, err := m.schemaOf(f)
	if err == nil {
		c.from, c.to = append(c.from, m.Schemas[f.Schema]), append(c.to, s)
	}
	return s, err
}

// fileRows yields the rows of a data file as they were written.
func (d *destination) fileRows(ctx context.Context, f file, s martsync.Schema) iter.Seq2[*martsync.Records, error] {
	return func(yield func(*martsync.Records, error) bool) {
		src, err := d.store.Open(ctx, f.Key, f.Bytes)
		if err != nil {
			if errors.Is(err, blob.ErrNotFound) {
				err = lostFile(&f)
			}
			yield(nil, err)
			return
		}
		defer src.Close() //nolint:errcheck // nothing was written
		var rows int64
		for r, err := range decode(ctx, src, f.Bytes, f.Format, s) {
			if err != nil {
				yield(nil, fmt.Errorf("%s: %w", f.Key, err))
				return
			}
			rows += int64(r.Len)
			if !yield(r, nil) {
				return
			}
		}
		if rows != f.Rows {
			yield(nil, fmt.Errorf("%s: %w", f.Key, damaged(s.Stream, fmt.Errorf("it has %d rows; %d were written", rows, f.Rows))))
		}
	}
}

// readable yields the rows of a file of a commit, unless it is gone because the table was replaced meanwhile.
func (d *destination) readable(ctx context.Context, stream string, commit int64, rows iter.Seq2[*martsync.Records, error]) iter.Seq2[*martsync.Records, error] {
	return func(yield func(*martsync.Records, error) bool) {
		for r, err := range rows {
			if errors.Is(err, blob.ErrNotFound) && d.replaced(ctx, stream, commit) {
				err = fail(martsync.Transient, "read table "+stream, "Read it again. If that happens often, set keep to longer than reading takes.",
					"the table was replaced while it was read, and its old files are gone: %w", blob.ErrNotFound)
			}
			if !yield(r, err) {
				return
			}
		}
	}
}

// lostFile is about a data file that somebody took away.
func lostFile(f *file) error {
	return fail(martsync.Data, "read "+f.Key, "Restore the file from a version or a copy. Whoever consumes files should copy them, not move them, if the tables are to be read here.",
		"%w, though a commit promises it", blob.ErrNotFound)
}
