package files

import (
	"context"
	"errors"
	"io"
	"iter"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/pqfile"
)

func decodeParquet(ctx context.Context, src io.ReaderAt, size int64, schema martsync.Schema) iter.Seq2[*martsync.Records, error] {
	o := pqfile.ReadOptions{Columns: schema.Columns}
	if schema.Deletes {
		o.Deleted, o.Tombstone = martsync.Deleted, tombstoneName(&schema)
	}
	return func(yield func(*martsync.Records, error) bool) {
		for r, err := range pqfile.Read(ctx, src, size, o) {
			if errors.Is(err, pqfile.ErrDamaged) {
				err = damaged(schema.Stream, err)
			}
			if err == nil {
				unmark(r)
			}
			if !yield(r, err) {
				return
			}
		}
	}
}

// unmark takes the flag Deleted from tombstones: files flag both, so that who knows no
// tombstones sees a deletion.
func unmark(r *martsync.Records) {
	if r.Tombstone == nil || r.Deleted == nil {
		return
	}
	left := false
	for i, t := range r.Tombstone {
		r.Deleted[i] = r.Deleted[i] && !t
		left = left || r.Deleted[i]
	}
	if !left {
		r.Deleted = nil
	}
}
