package files

import (
	"iter"
	"slices"
	"time"

	"github.com/martsync/martsync"
)

// withSynced is a schema of rows that bring along when they were synced, in their first column.
func withSynced(s martsync.Schema) martsync.Schema {
	s.Columns = append([]martsync.Column{{Name: martsync.SyncedAt, Type: martsync.Timestamp}}, s.Columns...)
	return s
}

// hasSynced reports whether rows of the schema bring along when they were synced.
func hasSynced(s *martsync.Schema) bool {
	return len(s.Columns) > 0 && s.Columns[0].Name == martsync.SyncedAt
}

// stamped yields rows of a schema withSynced. Those of files that do not tell when they were synced are of the
// time of their commit.
func stamped(rows iter.Seq2[*martsync.Records, error], at time.Time) iter.Seq2[*martsync.Records, error] {
	return func(yield func(*martsync.Records, error) bool) {
		var columns []martsync.Vector
		for r, err := range rows {
			if err != nil {
				yield(nil, err)
				return
			}
			if r.Columns[0].Nulls != nil {
				columns = append(columns[:0], r.Columns...)
				out := *r
				out.Columns = columns
				synced := &columns[0]
				synced.Ints = slices.Clone(synced.Ints)
				for i, null := range synced.Nulls {
					if null {
						synced.Ints[i] = at.UnixMicro()
					}
				}
				synced.Nulls = nil
				r = &out
			}
			if !yield(r, nil) {
				return
			}
		}
	}
}
