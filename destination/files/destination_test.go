package files

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/destination/destinationtest"
	"github.com/martsync/martsync/internal/blob"
	"github.com/martsync/martsync/internal/blob/blobtest"
	"github.com/martsync/martsync/internal/crash"
)

var (
	_ martsync.TableReader   = (*destination)(nil)
	_ martsync.HistoryReader = (*destination)(nil)
	_ martsync.TimeReader    = (*destination)(nil)
	_ martsync.Checker       = (*destination)(nil)
)

// factory opens destinations on one store, of which the suite may let calls fail.
func factory(s blob.Store, c Config) destinationtest.Factory {
	h := &blobtest.Hooked{Store: s}
	return destinationtest.Factory{
		Open: func(t testing.TB) martsync.Destination { return destinationOn(t, h, c, coreEnv(t, nil)) },
		Quarantine: func(t testing.TB, d martsync.Destination, stream string) (all []martsync.Quarantined) {
			for m, err := range d.(*destination).history(t.Context(), stream) {
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, m.quarantine()...)
			}
			return all
		},
		Log: func(t testing.TB, d martsync.Destination, stream string) (all []martsync.LogEntry) {
			for m, err := range d.(*destination).history(t.Context(), stream) {
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, m.Log...)
			}
			return all
		},
		Fault: func(n int) {
			h.Call = nil
			if n < 0 {
				return
			}
			var left atomic.Int64
			left.Store(int64(n))
			h.Call = func(_, _ string, effect func() error) error {
				if left.Add(-1) == -1 {
					return &martsync.Error{Kind: martsync.Transient, Op: "test", Err: errors.New("a fault was asked for")}
				}
				return effect()
			}
		},
	}
}

func TestLaws(t *testing.T) {
	for name, c := range map[string]Config{
		"parquet": {}, "csv": {Format: "csv"}, "csv, zstd": {Format: "csv", Compression: "zstd"},
		"ndjson": {Format: "ndjson"}, "ndjson, gzip": {Format: "ndjson", Compression: "gzip"},
	} {
		t.Run("folder, "+name, func(t *testing.T) {
			if slower(1) > 1 && c != (Config{}) { // slower is 1 at night
				t.Skip("formats share no memory between goroutines that Parquet does not")
			}
			destinationtest.Run(t, func(t testing.TB) destinationtest.Factory { return factory(blobtest.Folder(t), c) })
		})
	}
	t.Run("folder, files of two rows", func(t *testing.T) {
		destinationtest.Run(t, func(t testing.TB) destinationtest.Factory {
			if strings.Contains(t.Name(), "10,001_rows") {
				t.Skip("ten thousand files")
			}
			return factory(blobtest.Folder(t), Config{Format: "ndjson", Rotate: Rotate{Rows: 2}})
		})
	})
	t.Run("S3", func(t *testing.T) {
		destinationtest.Run(t, func(t testing.TB) destinationtest.Factory { return factory(blobtest.Bucket(t), Config{}) })
	})
}

// slowdown makes crashes rarer under the race detector, which makes everything five times slower and
// sees most races in the first few.
var slowdown = 1

// slower is how many cases lie between two that are tried if stride is without the race detector. At night it is 1: all of them are.
func slower(stride int) int {
	if crash.Nightly() {
		return 1
	}
	return stride * slowdown
}

func TestCrash(t *testing.T) {
	for name, open := range blobtest.Stores {
		t.Run(name, func(t *testing.T) {
			o := crash.Options{Backfill: true, Every: 7 * slowdown, Runs: 20}
			switch {
			case crash.Nightly():
				o.Every, o.Runs = 1, 1000
			case name == "S3":
				o.Every, o.Runs = 41*slowdown*slowdown, 3/slowdown+1
			}
			crash.Test(t, crash.Scripted, func(t testing.TB) destinationtest.Factory {
				return factory(open(t), Config{Format: "ndjson"})
			}, o)
		})
	}
}

// A destination that was cancelled says so, and not that the store is to blame.
func TestCancelled(t *testing.T) {
	d := destinationOn(t, blobtest.Folder(t), Config{}, coreEnv(t, nil))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := d.Open(ctx, people); !errors.Is(err, context.Canceled) {
		t.Errorf("open: got %v", err)
	}
}
