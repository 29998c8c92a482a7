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

// compactReplay is what a compaction lets the resolver take. It runs beside other streams of a sync, so it takes less
// than a reader does, and more time on the disk for tables of many millions of rows.
var compactReplay = replayLimits{Memory: 16 << 20, Block: 32 << 10, Buckets: 64}

// A compaction writes one table anew.
type compaction struct {
	d    *destination
	head *head
	base *manifest // the newest commit, whose table it writes
	told bool      // its manifest may be there: others may count on its files
}

// run compacts the table. If that is not possible, or of no use, it changes nothing and says why.
func (c *compaction) run(ctx context.Context) (m *manifest, why string, err error) {
	// One at a time: each takes memory and room on the disk.
	select {
	case c.d.compacting <- struct{}{}:
		defer func() { <-c.d.compacting }()
	case <-ctx.Done():
		return nil, "", ctx.Err()
	}
	if why, err := c.obstacle(ctx); why != "" || err != nil {
		return nil, why, err
	}
	t, err := c.d.tableOf(ctx, c.head, c.base.Stream)
	if err != nil {
		return nil, "", err
	}
	steps, schema, why, err := c.plan(ctx, t)
	if why != "" || err != nil {
		return nil, why, err
	}
	began := c.d.env.Clock.Now()
	w := &writer{
		d: c.d, head: c.head, schema: schema, load: c.d.newLoad(), sequence: c.base.Sequence,
		open: map[string]*openFile{}, ranged: rangedColumns(&schema), rotation: c.d.rotation(schema.Stream), budget: heldOfFiles,
	}
	w.ctx, w.cancel = context.WithCancel(context.WithoutCancel(ctx))
	defer w.Close() //nolint:errcheck // it aborts what is of no use then, and says so itself
	if err := c.write(ctx, w, t, steps); err != nil {
		return nil, "", err
	}
	if why, err := c.obstacle(ctx); why != "" || err != nil {
		return nil, why, err
	}
	if m, err = c.commit(ctx, w, len(t.schemas)); m == nil {
		return nil, "another sync has committed", err
	}
	after := extentOf(m.Files)
	c.d.env.Log.InfoContext(ctx, "compacted", "stream", m.Stream, "rows", after.Rows, "bytes", after.Bytes, "took", c.d.env.Clock.Now().Sub(began))
	return m, "", err
}

// obstacle says what stands against a compaction now.
func (c *compaction) obstacle(ctx context.Context) (string, error) {
	if err := c.d.advance(ctx, c.head, c.base.Number); err != nil {
		return "", err
	}
	switch {
	case c.head.newest != c.base.Number:
		return "another sync has committed", nil
	case c.head.stage > 0: // it builds on this commit, and would be lost
		return "a sync has staged rows; it comes after their commit", nil
	}
	return "", nil
}

// plan reads what the table is made of, and the schema that its rows are written with.
func (c *compaction) plan(ctx context.Context, t *table) (steps []replayStep, schema martsync.Schema, why string, err error) {
	schema = t.schema()
	if len(schema.Key) == 0 {
		return nil, schema, "it has no key: no row replaces another", nil
	}
	for i := range t.schemas { // rows keep their flag, also if the stream tells no deletions anymore
		schema.Deletes = schema.Deletes || t.schemas[i].Deletes
	}
	var known schemaCache
	for m, err := range c.d.effective(ctx, t) {
		if err != nil {
			return nil, schema, "", err
		}
		s, err := c.d.step(t, m, &known, true)
		if err != nil {
			return nil, schema, "", err
		}
		schema.Deletes = schema.Deletes || len(s.Complete)+len(s.Censuses) > 0
		for i := range s.Files {
			f := &s.Files[i].Schema
			if !slices.Equal(f.Key, schema.Key) {
				// Rows of the one key and of the other are different records, which one file could not tell.
				return nil, schema, "its key was another one before", nil
			}
		}
		steps = append(steps, s)
	}
	return steps, schema, "", nil
}

// write resolves the table into new files, which nobody sees.
func (c *compaction) write(ctx context.Context, w *writer, t *table, steps []replayStep) error {
	defer context.AfterFunc(ctx, w.cancel)()
	tables := make([]martsync.Schema, len(t.schemas))
	for i := range tables {
		tables[i] = withSynced(t.schemas[i])
	}
	all := func(yield func(replayStep, error) bool) {
		for _, s := range steps {
			if !yield(s, nil) {
				return
			}
		}
	}
	var columns []martsync.Vector
	for r, err := range resolve(ctx, c.d.env.TempDir, c.d.replay, tables, all) {
		if err != nil {
			return err
		}
		columns = append(columns[:0], r.Columns[1:]...)
		columns = append(columns, r.Columns[0]) // where encoders want it
		rows := *r
		rows.Columns = columns
		if err := w.divide(&rows); err != nil {
			return err
		}
	}
	return w.endAll(ctx)
}

// commit puts the manifest; without one, somebody else was faster. With one and an error the compaction is there and must be
// finished by who opens the table next.
func (c *compaction) commit(ctx context.Context, w *writer, table int) (*manifest, error) {
	now := c.d.env.Clock.Now().UTC()
	m := &manifest{
		Version: formatVersion, Stream: c.base.Stream, Number: c.base.Number + 1, Writer: w.load, Sync: c.base.Sync,
		At: now, Put: now, Cursor: c.base.Cursor, Table: int64(table), Snapshot: true, Compacted: true, Sequence: w.sequence,
		Schemas: []schema{schemaOf(w.schema)}, Files: w.done,
	}
	m.grow(0, nil)
	data, err := encodeDocument(m)
	if err != nil {
		return nil, err
	}
	mine := w.done
	w.done, c.told = nil, true
	switch err := c.d.store.Put(ctx, c.head.manifest(m.Number), data, true); {
	case errors.Is(err, blob.ErrExists):
		w.done, c.told = mine, false
		return nil, nil //nolint:nilnil // it says so
	case err != nil:
		return nil, err
	}
	c.head.newest = m.Number
	if err := c.d.settle(ctx, c.head, m); err != nil {
		return m, err
	}
	c.d.checkpoint(ctx, c.head)
	return m, nil
}

// compact compacts the table after a commit, m, if it is time. That a compaction does not work out is no fault of the
// commit: it is tried again after a later one. An error says that it is not known whether it did.
func (w *writer) compact(ctx context.Context, m *manifest) error {
	if !w.d.latest || w.tired {
		return nil
	}
	log := w.d.env.Log.With("stream", m.Stream)
	size, err := w.d.measure(ctx, w.head.chain, m)
	if err == nil {
		if m.Size = size; !w.d.rule.due(size) {
			w.size = size
			return nil
		}
		c := &compaction{d: w.d, head: w.head, base: m}
		var why string
		m, why, err = c.run(ctx)
		switch {
		case m != nil:
			w.base, w.sequence, w.start, w.size = m.Number, m.Sequence, m.Start, m.Size
			return err
		case c.told:
			return err
		case err == nil:
			log.DebugContext(ctx, "files: not compacted", "reason", why)
			return nil
		}
	}
	w.tired = true // what went wrong once would hold up each commit of this load
	if ctx.Err() == nil {
		log.WarnContext(ctx, "files: compact the table; it is tried again by the next sync", "err", err, "hint", martsync.HintOf(err))
	}
	return nil
}

// Compact compacts the tables of the stream, or all, whether it is time or not. In mode append it is an error: whoever lists
// the files counts on them.
func (d *destination) Compact(ctx context.Context, stream string) iter.Seq2[martsync.Compaction, error] {
	return func(yield func(martsync.Compaction, error) bool) {
		if !d.latest {
			yield(martsync.Compaction{}, fail(martsync.Config, "compact", "set mode to latest, if nobody relies on files to stay", "in mode append files are never written anew"))
			return
		}
		streams, err := d.streamsNamed(ctx, stream)
		if err != nil {
			yield(martsync.Compaction{}, err)
			return
		}
		for _, s := range streams {
			c, err := d.compactNow(ctx, s)
			if !yield(c, err) || err != nil {
				return
			}
		}
	}
}

// compactNow compacts one table.
func (d *destination) compactNow(ctx context.Context, stream string) (martsync.Compaction, error) {
	out := martsync.Compaction{Stream: stream}
	h, m, err := d.newest(ctx, stream)
	if err != nil {
		return out, err
	}
	if m == nil {
		out.Detail = "nothing was committed yet"
		return out, nil
	}
	size, err := d.measure(ctx, h.chain, m)
	if err != nil {
		return out, err
	}
	out.Before, out.After = size.total(), size.total()
	d.sweep(ctx, h, m)
	if m.Compacted {
		out.Detail = "nothing came since it was compacted"
		return out, nil
	}
	done, why, err := (&compaction{d: d, head: h, base: m}).run(ctx)
	if err != nil {
		return out, fmt.Errorf("compact %s: %w", stream, err)
	}
	if out.Detail = why; done != nil {
		out.Done, out.After = true, done.Size.total()
	}
	return out, nil
}

var _ martsync.Compacter = (*destination)(nil)
