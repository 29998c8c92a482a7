package files

import (
	"context"
	"iter"

	"github.com/martsync/martsync"
)

// Ledger yields the ledger rows of a stream ("" for all), those of one stream oldest first. They, the
// log and the quarantine stand in the manifests, a few of which are in memory at a time.
func (d *destination) Ledger(ctx context.Context, stream string) iter.Seq2[martsync.LedgerEntry, error] {
	return func(yield func(martsync.LedgerEntry, error) bool) {
		streams := []string{stream}
		if stream == "" {
			var err error
			if streams, err = d.streams(ctx); err != nil {
				yield(martsync.LedgerEntry{}, err)
				return
			}
		}
		for _, s := range streams {
			for m, err := range d.history(ctx, s) {
				if err != nil {
					yield(martsync.LedgerEntry{}, err)
					return
				}
				for _, w := range m.windows() {
					if !yield(martsync.LedgerEntry{Stream: s, Sync: m.Sync, Window: w}, nil) {
						return
					}
				}
			}
		}
	}
}
