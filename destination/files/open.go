package files

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/blob"
	"github.com/martsync/martsync/internal/evolve"
)

// Open makes the table fit the schema and returns the writer that loads it. It finishes what the last
// commit promised before it cleans up after writers that died.
func (d *destination) Open(ctx context.Context, s martsync.Schema) (martsync.Writer, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := s.Validate(); err != nil {
		return nil, err
	}
	if err := checkStream(s.Stream); err != nil {
		return nil, err
	}
	if err := blob.Probe(ctx, d.store); err != nil {
		return nil, err
	}
	var changes []martsync.Change // of all tries: what one has changed the next one finds done
	for range 10 {
		w, changed, err := d.open(ctx, s)
		if err != nil {
			return nil, err
		}
		for _, c := range changed {
			if !slices.Contains(changes, c) {
				changes = append(changes, c)
			}
		}
		if w != nil {
			w.changes = changes
			return w, nil
		}
	}
	return nil, fail(martsync.Conflict, "open "+s.Stream, "Let one sync at a time write to a table.", "the table does not stand still: other syncs write to it")
}

// open tries once. It returns no writer if somebody else was faster.
func (d *destination) open(ctx context.Context, s martsync.Schema) (*writer, []martsync.Change, error) {
	h, err := d.head(ctx, s.Stream)
	if err != nil {
		return nil, nil, err
	}
	changes, ok, err := d.fit(ctx, h, s)
	if err != nil || !ok {
		return nil, nil, err
	}
	w := &writer{
		d: d, head: h, schema: s, base: h.newest, stage: h.stage,
		load: d.newLoad(), size: &tableSize{},
		open: map[string]*openFile{}, ranged: rangedColumns(&s), rotation: d.rotation(s.Stream), budget: heldOfFiles,
	}
	if h.newest > 0 {
		m, err := d.manifest(ctx, h.chain, h.newest)
		if err != nil {
			return nil, nil, err
		}
		if err := d.settle(ctx, h, m); err != nil {
			return nil, nil, err
		}
		w.cursor, w.sequence, w.start, w.size = m.Cursor, m.Sequence, m.Start, m.Size
		d.cleanStages(ctx, h, m)
		d.sweep(ctx, h, m)
	}
	if h.stage > 0 {
		if ok, err := w.resume(ctx); err != nil || !ok {
			return nil, changes, err
		}
	}
	d.cleanUploads(ctx, h, w)
	w.ctx, w.cancel = context.WithCancel(context.WithoutCancel(ctx))
	return w, changes, nil
}

// newLoad names a writer as no other one.
func (d *destination) newLoad() string {
	return d.env.Clock.Now().UTC().Format("20060102T150405Z") + "-" + strings.ToLower(rand.Text()[:8])
}

// fit makes the table fit the schema and tells what had to change; false if somebody else
// was faster.
func (d *destination) fit(ctx context.Context, h *head, s martsync.Schema) ([]martsync.Change, bool, error) {
	var have martsync.Schema
	if h.schemas > 0 {
		var err error
		if have, err = d.tableSchema(ctx, h.chain, h.schemas); err != nil {
			return nil, false, err
		}
	}
	want := s
	var changes []martsync.Change
	want.Columns, changes = evolve.Fit(have.Columns, &s)
	if h.schemas > 0 && equal(have, want) {
		return changes, true, nil
	}
	err := d.write(ctx, h.schema(h.schemas+1), tableSchema{Version: formatVersion, Stream: s.Stream, Number: h.schemas + 1, Schema: schemaOf(want)})
	if errors.Is(err, blob.ErrExists) {
		return nil, false, nil
	}
	h.schemas++
	return changes, true, err
}

// equal reports whether two schemas are the same once they are written down.
func equal(a, b martsync.Schema) bool {
	x, errX := json.Marshal(schemaOf(a))
	y, errY := json.Marshal(schemaOf(b))
	return errX == nil && errY == nil && bytes.Equal(x, y)
}
