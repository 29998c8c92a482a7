package files

import (
	"fmt"
	"testing"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/blob/blobtest"
	"github.com/martsync/martsync/internal/rows"
)

// TestTableSize: what is told of a table is what lies there, without reading it.
func TestTableSize(t *testing.T) {
	size := func(d *destination, stream string) martsync.Extent {
		t.Helper()
		e, err := d.TableSize(t.Context(), stream)
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	t.Run("append", func(t *testing.T) { // snapshots that were replaced stay
		s := blobtest.Folder(t)
		d := destinationOn(t, s, Config{Format: "ndjson"}, coreEnv(t, nil))
		snapshot := people
		snapshot.Stream, snapshot.Snapshot, snapshot.Deletes = "segments", true, false
		if got := size(d, "segments"); got != (martsync.Extent{}) {
			t.Errorf("before there is a table: got %+v", got)
		}
		for n := range 3 {
			load(t, d, snapshot, martsync.Commit{Next: martsync.Cursor(fmt.Sprint(n))}, func(b *rows.Builder) { b.Append(int64(n), "name", int64(n)) })
		}
		want := stored(t, d)
		if got := size(d, "segments"); got != want || got.Files != 3 {
			t.Errorf("got %+v, want %+v in 3 files", got, want)
		}
		if got := size(d, "other"); got != (martsync.Extent{}) {
			t.Errorf("of another table: got %+v", got)
		}
	})
	t.Run("latest", func(t *testing.T) { // what was compacted does not count
		d := lazy(t, blobtest.Folder(t), coreEnv(t, nil), 0)
		for n := range int64(4) {
			w, err := d.Open(t.Context(), people)
			if err != nil {
				t.Fatal(err)
			}
			put(t, w, 1)
			put(t, w, n)
			commitTo(t, w, martsync.Cursor(fmt.Sprint(n)))
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			before := size(d, "people")
			if n == 2 {
				if c := compacted(t, d); !c.Done || c.After != size(d, "people") || c.Before != before {
					t.Fatalf("got %+v, and sizes of %+v and %+v", c, before, size(d, "people"))
				}
			}
			if got, want := size(d, "people").Files, len(liveFiles(t, d)); got != want {
				t.Errorf("after commit %d: got %d files, want %d", n, got, want)
			}
		}
	})
}

// stored is what all visible files take.
func stored(t *testing.T, d *destination) (e martsync.Extent) {
	t.Helper()
	seen := visible(t, d.store)
	for o, err := range d.store.List(t.Context(), "", "") {
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := seen[o.Key]; ok {
			e.Files, e.Rows, e.Bytes = e.Files+1, e.Rows+1, e.Bytes+o.Size
		}
	}
	return e
}
