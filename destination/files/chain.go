package files

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/blob"
)

// Objects of a stream's chain, in the order in which a listing shows them: checkpoint-<n>, manifest-<n>,
// schema-<m>, settled-<n>, stage-<n>-<k>, swept-<n>. So two listings find out all there is to know, the second of
// which begins at the newest checkpoint.
const (
	checkpointName = "checkpoint-"
	manifestName   = "manifest-"
	schemaName     = "schema-"
	settledName    = "settled-"
	stageName      = "stage-"
)

// checkpointEvery is how many commits make a checkpoint.
const checkpointEvery = 50

// atOnce is how many requests of one kind are under way at once.
const atOnce = 8

// A chain is where the documents of a stream are.
type chain struct{ folder string }

func chainOf(stream string) chain { return chain{blob.SystemFolder + folderOf(stream) + "/"} }

func (c chain) checkpoint(n int64) string { return c.document(checkpointName, n) }
func (c chain) manifest(n int64) string   { return c.document(manifestName, n) }
func (c chain) schema(n int64) string     { return c.document(schemaName, n) }
func (c chain) settled(n int64) string    { return c.document(settledName, n) }

// stage is the stage k of those that build on commit n.
func (c chain) stage(n, k int64) string {
	return fmt.Sprintf("%s%s%012d-%06d.json", c.folder, stageName, n, k)
}

// document names a document. Twelve digits: a commit a second for 30,000 years.
func (c chain) document(kind string, n int64) string {
	return fmt.Sprintf("%s%s%012d.json", c.folder, kind, n)
}

// parse takes the name of a document apart. Whatever else lies there is nobody's.
func (c chain) parse(key string) (kind string, n, k int64, ok bool) {
	name, ok := strings.CutSuffix(strings.TrimPrefix(key, c.folder), ".json")
	if !ok {
		return "", 0, 0, false
	}
	for _, kind := range []string{checkpointName, manifestName, schemaName, settledName, stageName, sweptName} {
		numbers, ok := strings.CutPrefix(name, kind)
		if !ok {
			continue
		}
		if kind == stageName {
			var second string
			if numbers, second, ok = strings.Cut(numbers, "-"); !ok {
				return "", 0, 0, false
			}
			if k, ok = number(second, 6); !ok {
				return "", 0, 0, false
			}
		}
		if n, ok = number(numbers, 12); !ok {
			return "", 0, 0, false
		}
		return kind, n, k, true
	}
	return "", 0, 0, false
}

func number(text string, digits int) (int64, bool) {
	if len(text) < digits || strings.Trim(text, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseInt(text, 10, 64)
	return n, err == nil
}

// folderOf is the stream's folder: its name, but for the one that folders keep their uploads under.
func folderOf(stream string) string {
	if blob.SystemFolder+stream+"/" == blob.UploadFolder {
		return stream + "="
	}
	return stream
}

// streamOf is the stream of a folder.
func streamOf(folder string) string {
	if stream := strings.TrimSuffix(folder, "="); folderOf(stream) == folder {
		return stream
	}
	return folder
}

// checkStream refuses streams whose files could get in the way of another stream's, because their names
// cannot stand in keys as they are.
func checkStream(stream string) error {
	if clean(stream) != stream || strings.HasSuffix(stream, "=") {
		return fail(martsync.Config, "open "+stream, "Give the stream another name.", "the stream's name cannot be that of a folder")
	}
	return nil
}

// A head is what a listing tells of a chain.
type head struct {
	chain
	checkpoint int64          // the newest one; 0: none
	newest     int64          // commit; 0: none
	put        time.Time      // when the newest commit was put, by the clock of the store
	settled    map[int64]bool // commits whose files are known to be visible
	schemas    int64          // the newest one; 0: there is no table
	stage      int64          // the newest one that builds on the newest commit; 0: none
	stages     []stageKey     // all of them
	swept      int64          // files of commits before this one are gone; 0: none are
}

type stageKey struct{ base, number int64 }

// head lists the chain of a stream.
func (d *destination) head(ctx context.Context, stream string) (*head, error) {
	h := &head{chain: chainOf(stream), settled: map[int64]bool{}}
	for e, err := range d.store.List(ctx, h.folder+checkpointName, "") {
		if err != nil {
			return nil, err
		}
		if _, n, _, ok := h.parse(e.Key); ok {
			h.checkpoint = n
		}
	}
	return h, d.advance(ctx, h, h.checkpoint)
}

// advance lists what lies after commit n, which h knows or which a checkpoint proves.
func (d *destination) advance(ctx context.Context, h *head, n int64) error {
	h.stages, h.stage = nil, 0
	for e, err := range d.store.List(ctx, h.folder, h.manifest(max(0, n-1))) {
		if err != nil {
			return err
		}
		switch kind, n, k, ok := h.parse(e.Key); {
		case !ok:
		case kind == manifestName && n > h.newest, kind == manifestName && n == h.newest && h.put.IsZero():
			h.newest, h.put = n, e.Modified
		case kind == schemaName:
			h.schemas = max(h.schemas, n)
		case kind == settledName:
			h.settled[n] = true
		case kind == stageName:
			h.stages = append(h.stages, stageKey{n, k})
		case kind == sweptName:
			h.swept = max(h.swept, n)
		}
	}
	for _, s := range h.stages {
		if s.base == h.newest {
			h.stage = max(h.stage, s.number)
		}
	}
	return nil
}

// read gets a document. errNotFound stays what it is.
func (d *destination) read(ctx context.Context, key string, v any) error {
	data, err := d.store.Get(ctx, key, maxDocument)
	if err != nil {
		return err
	}
	return decodeDocument(key, data, v)
}

// manifest reads a commit.
func (d *destination) manifest(ctx context.Context, c chain, n int64) (*manifest, error) {
	m := &manifest{}
	err := d.read(ctx, c.manifest(n), m)
	if errors.Is(err, blob.ErrNotFound) {
		return nil, damagedDocument(c.manifest(n), errors.New("it is missing, though later ones exist"))
	}
	if err == nil && m.Number != n {
		err = damagedDocument(c.manifest(n), fmt.Errorf("it says that it is number %d", m.Number))
	}
	return m, err
}

// manifests yields the commits from to to, in order, reading some ahead.
func (d *destination) manifests(ctx context.Context, c chain, from, to int64) iter.Seq2[*manifest, error] {
	return func(yield func(*manifest, error) bool) {
		for from <= to {
			some := make([]*manifest, min(to-from+1, atOnce))
			group, ctx := errgroup.WithContext(ctx)
			for i := range some {
				group.Go(func() (err error) {
					some[i], err = d.manifest(ctx, c, from+int64(i))
					return err
				})
			}
			if err := group.Wait(); err != nil {
				yield(nil, err)
				return
			}
			for i, m := range some {
				some[i] = nil
				if !yield(m, nil) {
					return
				}
			}
			from += int64(len(some))
		}
	}
}

// tableSchema reads one state of a table's schema.
func (d *destination) tableSchema(ctx context.Context, c chain, n int64) (martsync.Schema, error) {
	var t tableSchema
	err := d.read(ctx, c.schema(n), &t)
	if errors.Is(err, blob.ErrNotFound) {
		return martsync.Schema{}, damagedDocument(c.schema(n), errors.New("it is missing, though later ones exist"))
	}
	if err != nil {
		return martsync.Schema{}, err
	}
	s, err := t.Schema.schema()
	if err != nil {
		return martsync.Schema{}, damagedDocument(c.schema(n), err)
	}
	return s, nil
}

// write puts a document that must not be there yet, or returns errExists.
func (d *destination) write(ctx context.Context, key string, v any) error {
	data, err := encodeDocument(v)
	if err != nil {
		return err
	}
	return d.store.Put(ctx, key, data, true)
}

// settle makes the files of the newest commit visible, which is all that may be left of it to
// do: whoever commits has settled the commit before. The marker that it was done lets consumers take files away
// later.
func (d *destination) settle(ctx context.Context, h *head, m *manifest) error {
	if h.settled[m.Number] || len(m.Files) == 0 {
		return nil
	}
	group, finishing := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for i := range m.Files {
		group.Go(func() error { return d.store.Finish(finishing, m.Files[i].Upload) })
	}
	if err := group.Wait(); err != nil {
		if !errors.Is(err, blob.ErrLost) {
			return err
		}
		return &martsync.Error{
			Kind: martsync.Data, Op: "files: finish commit " + strconv.FormatInt(m.Number, 10) + " of " + m.Stream, Err: err,
			Hint: "Something other than martsync has aborted an upload. Delete " + h.manifest(m.Number) +
				" and run again: its rows will be read again. Let rules that clean unfinished uploads wait for at least 7 days.",
		}
	}
	if err := d.store.Put(ctx, h.chain.settled(m.Number), []byte("{}\n"), false); err != nil {
		return err
	}
	var old []string
	for n := range h.settled {
		if n < m.Number {
			old = append(old, h.chain.settled(n))
		}
	}
	h.settled = map[int64]bool{m.Number: true}
	if len(old) == 0 {
		return nil
	}
	return d.store.Delete(ctx, old...)
}
