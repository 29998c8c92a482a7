package files

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/martsync/martsync"
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
			s, err := d.step(t, m, &known)
			if !yield(s, err) || err != nil {
				return
			}
		}
	}
}

// effective yields the commits that have something to do with the current rows: of a stream of
// snapshots the last one says it all.
func (d *destination) effective(ctx context.Context, t *table) iter.Seq2[*manifest, error] {
	return func(yield func(*manifest, error) bool) {
		if t.schema().Snapshot && t.newest > 0 {
			m, err := d.manifest(ctx, t.chain, t.newest)
			if err != nil || m.Snapshot {
				yield(m, err)
				return
			}
		}
		for m, err := range d.commits(ctx, t) {
			if !yield(m, err) || err != nil {
				return
			}
		}
	}
}

// step is a commit as the resolver takes it.
func (d *destination) step(t *table, m *manifest, known *schemaCache) (replayStep, error) {
	s := replayStep{Table: int(m.Table) - 1, Replace: m.Snapshot, Complete: m.scopes(), Censuses: m.censuses()}
	if s.Table < 0 || s.Table >= len(t.schemas) {
		return s, damagedDocument(t.manifest(m.Number), fmt.Errorf("it names state %d of the table's schema, of %d", m.Table, len(t.schemas)))
	}
	for i := range m.Files {
		f := m.Files[i]
		schema, err := known.schemaOf(m, &f)
		if err != nil {
			return s, damagedDocument(t.manifest(m.Number), err)
		}
		f.Upload, f.Ranges = receipt{}, nil // there may be many files, and these are most of what is known of one
		s.Files = append(s.Files, replayFile{Schema: schema, Rows: func(ctx context.Context) iter.Seq2[*martsync.Records, error] {
			return d.fileRows(ctx, f, schema)
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
			if errors.Is(err, errNotFound) {
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

// lostFile is about a data file that somebody took away.
func lostFile(f *file) error {
	return fail(martsync.Data, "read "+f.Key, "Restore the file from a version or a copy. Whoever consumes files should copy them, not move them, if the tables are to be read here.",
		"%w, though a commit promises it", errNotFound)
}
