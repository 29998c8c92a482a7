package files

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/blob"
)

// Stage puts a document that holds all since the last commit. The one before it is of no use then.
func (w *writer) Stage(ctx context.Context, c martsync.Commit) error {
	if err := w.usable(ctx); err != nil {
		return err
	}
	err := w.put(ctx, func() (*manifest, error) {
		if err := w.endAll(ctx); err != nil {
			return nil, err
		}
		return w.document(c)
	})
	if err != nil {
		w.failed = true
	}
	return err
}

// Discard forgets what nobody has heard of, and says in a document that what was staged no longer
// counts. The staged uploads stay until no other writer can count on them.
func (w *writer) Discard(ctx context.Context) error {
	if err := w.usable(ctx); err != nil {
		return err
	}
	w.forget(ctx)
	err := w.discard(ctx)
	if err != nil {
		w.failed = true
	}
	return err
}

func (w *writer) discard(ctx context.Context) error {
	if w.held == nil || w.held.empty() {
		return w.fence(ctx)
	}
	return w.put(ctx, func() (*manifest, error) {
		m, err := w.document(martsync.Commit{})
		if err != nil {
			return nil, err
		}
		for i := range m.Files {
			m.Dropped = append(slices.Clip(m.Dropped), m.Files[i].Upload)
		}
		m.Schemas, m.Files, m.Complete, m.Censuses, m.Windows, m.Quarantined, m.Log = nil, nil, nil, nil, nil, nil, nil
		return m, nil
	})
}

// empty reports whether a stage holds nothing: it is a discard.
func (m *manifest) empty() bool {
	return m.Cursor == "" && len(m.Files)+len(m.Complete)+len(m.Censuses)+len(m.Windows)+len(m.Quarantined)+len(m.Log) == 0
}

// put puts the next stage.
func (w *writer) put(ctx context.Context, document func() (*manifest, error)) error {
	if err := w.fence(ctx); err != nil {
		return err
	}
	m, err := document()
	if err != nil {
		return err
	}
	m.Stage = w.stage + 1
	data, err := encodeDocument(m)
	if err != nil {
		return err
	}
	mine := w.done
	w.done = nil // from here on others may know of them
	switch err := w.d.store.Put(ctx, w.head.chain.stage(w.base, m.Stage), data, true); {
	case errors.Is(err, blob.ErrExists):
		w.done = mine
		return w.conflict("staged or discarded")
	case err != nil:
		return err
	}
	old := w.head.stages
	w.stage, w.staged, w.held = m.Stage, m.Cursor, m
	w.head.stages = append(slices.Clip(old), stageKey{w.base, m.Stage})
	for _, s := range old {
		if s.base == w.base {
			if err := w.d.store.Delete(ctx, w.head.chain.stage(s.base, s.number)); err != nil {
				w.d.env.Log.DebugContext(ctx, "files: delete a stage", "stream", w.schema.Stream, "err", err)
			}
		}
	}
	return nil
}

// resume takes over the newest stage; false if somebody else was faster. A stage that has lost an
// upload, to a rule that cleans unfinished ones, is discarded: its rows are read again.
func (w *writer) resume(ctx context.Context) (bool, error) {
	m := &manifest{}
	key := w.head.chain.stage(w.base, w.stage)
	switch err := w.d.read(ctx, key, m); {
	case errors.Is(err, blob.ErrNotFound): // there is a later one by now, or a commit
		return false, nil
	case err != nil:
		return false, err
	case m.Number != w.base || m.Stage != w.stage:
		return false, damagedDocument(key, fmt.Errorf("it says that it is stage %d of commit %d", m.Stage, m.Number))
	}
	w.held, w.staged, w.sequence = m, m.Cursor, max(w.sequence, m.Sequence)
	lost, err := w.d.lost(ctx, m.Files)
	if err != nil || lost == "" {
		return err == nil, err
	}
	w.d.env.Log.WarnContext(ctx, "files: an upload of staged rows is gone; they will be read again", "stream", w.schema.Stream, "file", lost)
	err = w.discard(ctx)
	if martsync.KindOf(err) == martsync.Conflict {
		return false, nil
	}
	return err == nil, err
}

// lost returns the key of a file whose upload is gone; "" if there is none. Uploads are listed by their
// full key, the only prefix that all stores know.
func (d *destination) lost(ctx context.Context, files []file) (string, error) {
	gone := make([]bool, len(files))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for i := range files {
		group.Go(func() error {
			for r, err := range d.store.Uploads(ctx, files[i].Key) {
				if err != nil {
					return err
				}
				if r.Key == files[i].Key && r.ID == files[i].Upload.ID {
					return nil
				}
			}
			gone[i] = true
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return "", err
	}
	if i := slices.Index(gone, true); i >= 0 {
		return files[i].Key, nil
	}
	return "", nil
}

// verifyAfter is the age from which an upload may have fallen to a rule of the bucket that cleans
// unfinished ones: such rules count in days.
const verifyAfter = 12 * time.Hour

// verify makes sure that the files that a commit is about to promise can be finished.
func (w *writer) verify(ctx context.Context, files []file) error {
	now := w.d.env.Clock.Now()
	old := slices.DeleteFunc(slices.Clone(files), func(f file) bool { return now.Sub(f.Begun) < verifyAfter })
	gone, err := w.d.lost(ctx, old)
	if err != nil || gone == "" {
		return err
	}
	return fail(martsync.Transient, "commit "+w.schema.Stream,
		"Something other than martsync aborts uploads: let rules that clean unfinished uploads wait for at least 7 days.",
		"the upload of %s is gone; its rows will be read again", gone)
}
