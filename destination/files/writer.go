package files

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"
	"unicode/utf8"

	"golang.org/x/sync/errgroup"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/blob"
)

// A writer loads one stream. It writes its rows into uploads, which nobody sees.
type writer struct {
	d       *destination
	head    *head
	schema  martsync.Schema
	changes []martsync.Change

	load     string // who the writer is, for manifests and names of files
	rotation rotation
	budget   int   // of open files, see shrink
	ranged   []int // columns whose range is kept

	base   int64           // the commit that it builds on
	start  int64           // where the table begins at that, and
	size   *tableSize      // how large it is; nil: not known
	tired  bool            // a compaction went wrong
	cursor martsync.Cursor // of that
	stage  int64           // the stage that it continues; 0: none
	staged martsync.Cursor
	held   *manifest // what that stage holds; nil: nothing

	ctx      context.Context // of the uploads, which outlive the calls that begin them
	cancel   context.CancelFunc
	open     map[string]*openFile // by partition
	done     []file               // ended, told to nobody
	sequence int64                // of the last file
	at       time.Time            // of the rows since the last stage or commit, as files have it

	failed bool
}

// An openFile is a data file that rows are added to.
type openFile struct {
	seq     int64
	key     string
	begun   time.Time
	upload  blob.Upload
	encoder encoder
	raw     int // bytes of records
	ranges  map[string]valueRange
	deleted bool
}

func (w *writer) Cursor() martsync.Cursor    { return w.cursor }
func (w *writer) Staged() martsync.Cursor    { return w.staged }
func (w *writer) Changes() []martsync.Change { return w.changes }

func (w *writer) Write(ctx context.Context, r *martsync.Records) error {
	if err := w.usable(ctx); err != nil {
		return err
	}
	if err := matches(&w.schema, r); err != nil {
		return &martsync.Error{Kind: martsync.Internal, Op: "files: write " + w.schema.Stream, Err: err}
	}
	if r.Len == 0 {
		return nil
	}
	// The uploads go on after this call, so they have a context of their own, but who gives this
	// call up gives them up.
	defer context.AfterFunc(ctx, w.cancel)()
	if w.at.IsZero() {
		w.at = w.d.env.Clock.Now().UTC()
	}
	err := w.divide(r)
	if err != nil {
		w.failed = true
	}
	return err
}

// divide adds rows to the files they belong into.
func (w *writer) divide(r *martsync.Records) error {
	if !w.d.layout.partitioned(&w.schema) {
		return w.add("", r)
	}
	for part, some := range w.d.layout.partitions(&w.schema, r) {
		if err := w.add(part, some); err != nil {
			return err
		}
	}
	return nil
}

// add adds rows to the file of a partition.
func (w *writer) add(part string, r *martsync.Records) error {
	for r.Len > 0 {
		f, err := w.file(part)
		if err != nil {
			return err
		}
		some := r
		if n := w.rotation.room(f.encoder, r.Len); n < r.Len {
			some = slice(r, 0, n)
		}
		if err := f.encoder.Write(some, w.at); err != nil {
			return err
		}
		f.note(&w.schema, w.ranged, some)
		if w.rotation.due(f.encoder, f.begun, w.d.env.Clock.Now()) {
			if err := w.end(part); err != nil {
				return err
			}
		}
		if some.Len == r.Len {
			break
		}
		r = slice(r, some.Len, r.Len)
	}
	return w.shrink()
}

// file returns the open file of a partition, or begins one.
func (w *writer) file(part string) (*openFile, error) {
	if f := w.open[part]; f != nil {
		return f, nil
	}
	w.sequence++
	f := &openFile{seq: w.sequence, begun: w.d.env.Clock.Now().UTC(), ranges: map[string]valueRange{}}
	f.key = w.d.layout.key(w.d.values(w.schema.Stream, w.load, f.seq, part, f.begun))
	var err error
	if f.upload, err = w.d.store.Create(w.ctx, f.key, w.d.format.contentType()); err != nil {
		return nil, err
	}
	meta := [][2]string{{"martsync.stream", w.schema.Stream}, {"martsync.load", w.load}}
	if f.encoder, err = newEncoder(f.upload, w.d.format, w.schema, meta); err != nil {
		return nil, errors.Join(err, f.upload.Abort(w.ctx))
	}
	w.open[part] = f
	return f, nil
}

// end ends the file of a partition: all of it is up, and invisible.
func (w *writer) end(part string) error {
	f := w.open[part]
	delete(w.open, part)
	err := f.encoder.Close()
	if err == nil {
		var r blob.Receipt
		if r, err = f.upload.Close(w.ctx); err == nil {
			w.done = append(w.done, file{
				Key: f.key, Sequence: f.seq, Format: f.encoder.Format(), Rows: f.encoder.Rows(), Bytes: r.Size, SHA256: r.SHA256,
				Upload: r, Begun: f.begun, Ranges: f.ranges, Deleted: f.deleted,
			})
			return nil
		}
	}
	return errors.Join(err, f.upload.Abort(context.WithoutCancel(w.ctx)))
}

// endAll ends all files, in the order in which they were begun.
func (w *writer) endAll(ctx context.Context) error {
	defer context.AfterFunc(ctx, w.cancel)()
	parts := slices.SortedFunc(maps.Keys(w.open), func(a, b string) int { return cmp.Compare(w.open[a].seq, w.open[b].seq) })
	for _, part := range parts {
		if err := w.end(part); err != nil {
			return err
		}
	}
	w.at = time.Time{}
	return nil
}

// Several open files share what one may take: encoders and uploads keep the end of each in
// memory, at most heldOfFile of it.
const (
	heldOfFile  = 32 << 20 // bytes of records
	heldOfFiles = 64 << 20
)

// shrink ends the largest file while the open ones hold too much.
func (w *writer) shrink() error {
	for len(w.open) > 1 {
		sum, largest := 0, ""
		for part, f := range w.open {
			sum += min(f.raw, heldOfFile)
			if l := w.open[largest]; l == nil || f.raw > l.raw || f.raw == l.raw && f.seq < l.seq {
				largest = part
			}
		}
		if sum <= w.budget {
			return nil
		}
		if err := w.end(largest); err != nil {
			return err
		}
	}
	return nil
}

func (w *writer) Commit(ctx context.Context, c martsync.Commit) error {
	if err := w.usable(ctx); err != nil {
		return err
	}
	err := w.commit(ctx, c)
	if err != nil {
		w.failed = true
	}
	return err
}

func (w *writer) commit(ctx context.Context, c martsync.Commit) error {
	if err := w.endAll(ctx); err != nil {
		return err
	}
	if err := w.fence(ctx); err != nil {
		return err
	}
	m, err := w.document(c)
	if err != nil {
		return err
	}
	if err := w.verify(ctx, m.Files); err != nil {
		return err
	}
	m.Number, m.Put, m.Dropped = w.base+1, w.d.env.Clock.Now().UTC(), nil
	m.grow(w.start, w.size)
	data, err := encodeDocument(m)
	if err != nil {
		return err
	}
	mine := w.done
	w.done = nil // from here on others may know of them
	switch err := w.d.store.Put(ctx, w.head.manifest(m.Number), data, true); {
	case errors.Is(err, blob.ErrExists):
		w.done = mine
		return w.conflict("committed")
	case err != nil:
		return err
	}
	// It is committed. What follows is done by the next one who opens the stream if it fails here.
	w.head.newest = m.Number
	if err := w.d.settle(ctx, w.head, m); err != nil {
		return err
	}
	w.d.cleanStages(ctx, w.head, m)
	w.d.checkpoint(ctx, w.head)
	w.base, w.cursor, w.stage, w.staged, w.held = m.Number, m.Cursor, 0, "", nil
	w.start, w.size = m.Start, m.Size
	return w.compact(ctx, m)
}

// fence finds out whether the writer still builds on what is there. That a commit comes between this and its
// own is found by the put; that a stage or a discard does, is as if it came later, and then its writer
// has lost.
func (w *writer) fence(ctx context.Context) error {
	if err := w.d.advance(ctx, w.head, w.base); err != nil {
		return err
	}
	switch {
	case w.head.newest != w.base:
		return w.conflict("committed")
	case w.head.stage > w.stage:
		return w.conflict("staged or discarded")
	case w.head.stage < w.stage:
		return w.conflict("removed")
	}
	return nil
}

func (w *writer) conflict(what string) error {
	w.failed = true
	return fail(martsync.Conflict, "load "+w.schema.Stream, "Let one sync at a time write to a table.", "another sync has %s rows of this table", what)
}

// document puts together what the writer holds and c brings.
func (w *writer) document(c martsync.Commit) (*manifest, error) {
	if !utf8.ValidString(string(c.Next)) {
		return nil, internalError("commit "+w.schema.Stream, fmt.Errorf("cursor %q is not UTF-8", c.Next))
	}
	m := &manifest{}
	if w.held != nil {
		*m = *w.held
	}
	m.Version, m.Stream, m.Number, m.Stage, m.Writer = formatVersion, w.schema.Stream, w.base, 0, w.load
	m.Sync, m.At, m.Cursor = c.Sync, c.At, c.Next
	m.Table, m.Snapshot, m.Sequence = w.head.schemas, w.schema.Snapshot, w.sequence
	if len(w.done) > 0 {
		files := slices.Clone(w.done)
		slices.SortFunc(files, func(a, b file) int { return cmp.Compare(a.Sequence, b.Sequence) })
		i, schemas, err := indexOf(m.Schemas, schemaOf(w.schema))
		if err != nil {
			return nil, err
		}
		m.Schemas = schemas
		for j := range files {
			files[j].Schema = i
		}
		m.Files = slices.Concat(m.Files, files)
	}
	m.Complete = slices.Concat(m.Complete, convert(c.Complete, func(s martsync.Scope) scope { return scope(s) }))
	m.Censuses = slices.Concat(m.Censuses, convert(c.Censuses, func(c martsync.Census) census { return census(c) }))
	m.Windows = slices.Concat(m.Windows, convert(c.Windows, func(w martsync.Window) window { return window(w) }))
	m.Quarantined = slices.Concat(m.Quarantined, convert(c.Quarantined, func(q martsync.Quarantined) quarantined { return quarantined(q) }))
	m.Log = slices.Concat(m.Log, c.Log)
	return m, nil
}

// indexOf finds a schema among others, or adds it.
func indexOf(all []schema, s schema) (int, []schema, error) {
	want, err := json.Marshal(s)
	if err != nil {
		return 0, nil, internalError("encode a schema", err)
	}
	for i := range all {
		if have, err := json.Marshal(all[i]); err == nil && bytes.Equal(have, want) {
			return i, all, nil
		}
	}
	return len(all), append(slices.Clip(all), s), nil
}

// Close aborts what nobody else can know of.
func (w *writer) Close() error {
	if w.cancel == nil {
		return nil
	}
	w.failed = true
	w.forget(context.WithoutCancel(w.ctx))
	w.cancel()
	w.cancel = nil
	return nil
}

// forget aborts the uploads that were told to nobody. What cannot be aborted is found later.
func (w *writer) forget(ctx context.Context) {
	var mu sync.Mutex
	var failures []error
	var group errgroup.Group
	group.SetLimit(atOnce)
	abort := func(f func(context.Context) error) {
		group.Go(func() error {
			if err := f(ctx); err != nil {
				mu.Lock()
				defer mu.Unlock()
				failures = append(failures, err)
			}
			return nil
		})
	}
	for _, f := range w.open {
		abort(f.upload.Abort)
	}
	for i := range w.done {
		r := w.done[i].Upload
		abort(func(ctx context.Context) error { return w.d.store.Abort(ctx, r) })
	}
	_ = group.Wait()
	w.open, w.done, w.at = map[string]*openFile{}, nil, time.Time{}
	if err := errors.Join(failures...); err != nil {
		w.d.env.Log.DebugContext(ctx, "files: abort uploads", "stream", w.schema.Stream, "err", err)
	}
}

func (w *writer) usable(ctx context.Context) error {
	if w.failed || w.cancel == nil {
		return internalError("load "+w.schema.Stream, errors.New("the writer was closed or has failed"))
	}
	return ctx.Err()
}
