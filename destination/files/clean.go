package files

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/blob"
)

// Cleaning never fails a load: what is not cleaned now is cleaned later, and costs only space.

// cleanStages removes the stages that build on commits before m, the newest one, with the uploads of theirs
// that were not committed. Nobody can commit these anymore.
func (d *destination) cleanStages(ctx context.Context, h *head, m *manifest) {
	for _, s := range h.stages {
		if s.base >= m.Number {
			continue
		}
		if err := d.cleanStage(ctx, h, s, m); err != nil {
			d.env.Log.DebugContext(ctx, "files: clean up a stage", "stream", m.Stream, "err", err)
		}
	}
}

func (d *destination) cleanStage(ctx context.Context, h *head, s stageKey, m *manifest) error {
	key := h.chain.stage(s.base, s.number)
	var stage manifest
	switch err := d.read(ctx, key, &stage); {
	case errors.Is(err, blob.ErrNotFound):
		return nil
	case err != nil:
		return err
	}
	// Only the commit after its own can have taken files of the stage.
	if m.Number != s.base+1 {
		var err error
		if m, err = d.manifest(ctx, h.chain, s.base+1); err != nil {
			return err
		}
	}
	taken := map[string]bool{}
	for i := range m.Files {
		taken[m.Files[i].Upload.ID] = true
	}
	drop := stage.Dropped
	for i := range stage.Files {
		drop = append(drop, stage.Files[i].Upload)
	}
	for _, r := range drop {
		if taken[r.ID] {
			continue
		}
		if err := d.store.Abort(ctx, r); err != nil {
			return err
		}
	}
	return d.store.Delete(ctx, key)
}

// leftOverAge is how long before the newest commit an upload must have begun to be a left-over. Any
// span would do, were it not for clocks within the store that differ.
const leftOverAge = time.Hour

// cleanUploads aborts the uploads of the stream that writers left behind when they died: those that
// began before the newest commit was put, so that their writer builds on an older one, and that
// neither the commit nor a stage names. It looks once in the life of the destination.
func (d *destination) cleanUploads(ctx context.Context, h *head, w *writer) {
	stream := w.schema.Stream
	prefix := d.prefixOf(stream)
	d.mu.Lock()
	done := d.cleaned[stream]
	d.cleaned[stream] = true
	d.mu.Unlock()
	if done || prefix == "" || h.newest == 0 {
		return
	}
	named := map[string]bool{}
	if w.held != nil {
		for i := range w.held.Files {
			named[w.held.Files[i].Upload.ID] = true
		}
		for _, r := range w.held.Dropped {
			named[r.ID] = true
		}
	}
	count := 0
	for r, err := range d.store.Uploads(ctx, prefix) {
		if err != nil {
			d.env.Log.WarnContext(ctx, "files: look for unfinished uploads of dead syncs", "stream", stream, "err", err, "hint", martsync.HintOf(err))
			return
		}
		if named[r.ID] || r.Modified.IsZero() || h.put.Sub(r.Modified) < leftOverAge {
			continue
		}
		if err := d.store.Abort(ctx, r); err != nil {
			d.env.Log.WarnContext(ctx, "files: abort an unfinished upload of a dead sync", "stream", stream, "file", r.Key, "err", err, "hint", martsync.HintOf(err))
			return
		}
		count++
	}
	if count > 0 {
		d.env.Log.InfoContext(ctx, "files: aborted unfinished uploads of dead syncs", "stream", stream, "uploads", count)
	}
}

// prefixOf is the folder that only files of the stream go to; "" if the layout has none. Then
// nobody could tell whose an upload is, and left-overs are left to a rule of the bucket.
func (d *destination) prefixOf(stream string) string {
	if d.layout.uses("object") && !d.layout.uses("stream") {
		return "" // two streams may be of one object
	}
	var common string
	for i, v := range []layoutValues{
		d.values(stream, "a", 1, "a", time.Unix(0, 0)),
		d.values(stream, "b", 222222222222222, "b", time.Unix(2222222222, 0)),
	} {
		if key := d.layout.key(v); i == 0 {
			common = key
		} else {
			common = sharedPrefix(common, key)
		}
	}
	common = common[:strings.LastIndexByte(common, '/')+1]
	if strings.HasPrefix(d.layout.key(d.values(stream+"x", "a", 1, "a", time.Unix(0, 0))), common) {
		return ""
	}
	return common
}

func sharedPrefix(a, b string) string {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return a[:n]
}

// largeCensus is the number of keys from which a checkpoint leaves a census to the manifest.
const largeCensus = 10_000

// checkpoint puts the checkpoints that are due.
func (d *destination) checkpoint(ctx context.Context, h *head) {
	for h.newest-h.checkpoint >= checkpointEvery {
		c := checkpoint{Version: formatVersion, Number: h.checkpoint + checkpointEvery}
		for m, err := range d.manifests(ctx, h.chain, h.checkpoint+1, c.Number) {
			if err != nil {
				d.env.Log.DebugContext(ctx, "files: make a checkpoint", "err", err)
				return
			}
			c.Stream = m.Stream
			c.Commits = append(c.Commits, m.replayed())
		}
		if err := d.write(ctx, h.chain.checkpoint(c.Number), c); err != nil && !errors.Is(err, blob.ErrExists) {
			d.env.Log.DebugContext(ctx, "files: put a checkpoint", "stream", c.Stream, "err", err)
			return
		}
		h.checkpoint = c.Number
	}
}

// replayed is the part of a commit that makes the table.
func (m *manifest) replayed() manifest {
	out := *m
	out.Windows, out.Quarantined, out.Log = nil, nil, nil
	keys := 0
	for _, c := range m.Censuses {
		keys += len(c.Keys)
	}
	if keys > largeCensus {
		out.Censuses, out.Partial = nil, true
	}
	return out
}
