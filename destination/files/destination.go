package files

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/blob"
)

// destination is the tables below one prefix. Its methods may be called from several goroutines.
type destination struct {
	store  blob.Store
	env    martsync.Env
	wall   martsync.Clock // the machine's, which the store sees in requests; env.Clock may run faster
	config Config
	source string // {source} of layouts: the namespace
	layout *layout
	format fileFormat
	preset preset

	latest     bool          // tables are compacted
	keep       time.Duration // how long files stay that were replaced
	rule       compactRule
	replay     replayLimits  // of compactions
	compacting chan struct{} // holds one while a compaction runs

	mu      sync.Mutex
	cleaned map[string]bool // streams whose left-overs were looked for
}

// Close does nothing: connections are closed as they fall idle.
func (d *destination) Close() error { return nil }

// A table is what is known of a stream's table at one moment. All that its commits promised is
// visible: its files can be opened.
type table struct {
	chain
	stream     string
	schemas    []martsync.Schema // schemas[i] is number i+1; the last one is that of the table
	newest     int64             // the number of the last commit; 0: none
	checkpoint int64             // the newest one; 0: none
	swept      int64             // files of commits before this one are gone; 0: none are
}

// schema is that of the table.
func (t *table) schema() martsync.Schema { return t.schemas[len(t.schemas)-1] }

// table returns the table of a stream; an error of kind Config if there is none. It finishes what a
// dead writer has left to do for the last commit.
func (d *destination) table(ctx context.Context, stream string) (*table, error) {
	h, err := d.head(ctx, stream)
	if err != nil {
		return nil, err
	}
	if h.newest > 0 && !h.settled[h.newest] {
		m, err := d.manifest(ctx, h.chain, h.newest)
		if err == nil {
			err = d.settle(ctx, h, m)
		}
		if err != nil {
			return nil, err
		}
	}
	return d.tableOf(ctx, h, stream)
}

// tableOf is the table of a chain whose last commit has been settled.
func (d *destination) tableOf(ctx context.Context, h *head, stream string) (*table, error) {
	if h.schemas == 0 {
		return nil, noTable(stream)
	}
	t := &table{chain: h.chain, stream: stream, schemas: make([]martsync.Schema, h.schemas), newest: h.newest, checkpoint: h.checkpoint, swept: h.swept}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for i := range t.schemas {
		group.Go(func() (err error) {
			t.schemas[i], err = d.tableSchema(ctx, h.chain, int64(i)+1)
			return err
		})
	}
	return t, group.Wait()
}

// newest returns the last commit of a stream, settled; nil if there is none.
func (d *destination) newest(ctx context.Context, stream string) (*head, *manifest, error) {
	h, err := d.head(ctx, stream)
	if err != nil || h.newest == 0 {
		return h, nil, err
	}
	m, err := d.manifest(ctx, h.chain, h.newest)
	if err == nil {
		err = d.settle(ctx, h, m)
	}
	return h, m, err
}

func noTable(stream string) error {
	return &martsync.Error{
		Kind: martsync.Config, Op: "files: read table " + stream, Err: errors.New("there is no such table"),
		Hint: "Check the name, and that the schema of the sync is the one that it was loaded into.",
	}
}

// commits yields the commits from next, which is at least 1, to t.newest in order, maybe without their
// history. Each is borrowed.
func (d *destination) commits(ctx context.Context, t *table, next int64) iter.Seq2[*manifest, error] {
	return func(yield func(*manifest, error) bool) {
		next := next
		for e, err := range d.store.List(ctx, t.folder+checkpointName, "") {
			if err != nil {
				yield(nil, err)
				return
			}
			_, n, _, ok := t.parse(e.Key)
			if !ok || n > t.newest || n < next {
				continue
			}
			var c checkpoint
			if err := d.read(ctx, e.Key, &c); err != nil {
				yield(nil, err)
				return
			}
			if len(c.Commits) == 0 {
				continue
			}
			for m, err := range d.manifests(ctx, t.chain, next, c.Commits[0].Number-1) {
				if !yield(m, err) || err != nil {
					return
				}
			}
			for i := range c.Commits {
				m := &c.Commits[i]
				if m.Number < next {
					continue
				}
				if m.Partial {
					if m, err = d.manifest(ctx, t.chain, m.Number); err != nil {
						yield(nil, err)
						return
					}
				}
				if !yield(m, nil) {
					return
				}
			}
			next = c.Number + 1
		}
		for m, err := range d.manifests(ctx, t.chain, next, t.newest) {
			if !yield(m, err) || err != nil {
				return
			}
		}
	}
}

// history yields the commits of a stream in order, whole: with windows, log and quarantine. A stream
// without any yields nothing.
func (d *destination) history(ctx context.Context, stream string) iter.Seq2[*manifest, error] {
	return func(yield func(*manifest, error) bool) {
		h, err := d.head(ctx, stream)
		if err != nil {
			yield(nil, err)
			return
		}
		for m, err := range d.manifests(ctx, h.chain, 1, h.newest) {
			if !yield(m, err) || err != nil {
				return
			}
		}
	}
}

// streams lists the streams that have a table, in the order of their names.
func (d *destination) streams(ctx context.Context) ([]string, error) {
	var all []string
	for after := blob.SystemFolder; ; {
		folder := ""
		for e, err := range d.store.List(ctx, blob.SystemFolder, after) {
			if err != nil {
				return nil, err
			}
			if name, _, ok := strings.Cut(strings.TrimPrefix(e.Key, blob.SystemFolder), "/"); ok {
				folder = name
				break
			}
		}
		if folder == "" {
			slices.Sort(all)
			return all, nil
		}
		for _, err := range d.store.List(ctx, blob.SystemFolder+folder+"/"+schemaName, "") {
			if err != nil {
				return nil, err
			}
			all = append(all, streamOf(folder))
			break
		}
		after = blob.SystemFolder + folder + "0" // the first text after all that begin with folder/
	}
}

// fail makes an error of the destination's.
func fail(kind martsync.Kind, op, hint, format string, args ...any) error {
	return &martsync.Error{Kind: kind, Op: "files: " + op, Hint: hint, Err: fmt.Errorf(format, args...)}
}
