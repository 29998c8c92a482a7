package files

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/blob/blobtest"
	"github.com/martsync/martsync/internal/rows"
)

// Columns may have the name that we give to ours.
func TestColumnNamedTombstone(t *testing.T) {
	schema := martsync.Schema{
		Stream: "graves", Key: []string{"id"}, Deletes: true,
		Columns: []martsync.Column{{Name: "id", Type: martsync.Int64}, {Name: tombstoneColumn, Type: martsync.Bool}, {Name: "_" + tombstoneColumn, Type: martsync.String}},
	}
	for _, format := range []string{"parquet", "csv", "ndjson"} {
		t.Run(format, func(t *testing.T) {
			d := destinationOn(t, blobtest.Folder(t), Config{Format: format}, coreEnv(t, nil))
			for round := range int64(2) {
				w, err := d.Open(t.Context(), schema)
				if err != nil {
					t.Fatal(err)
				}
				b := rows.NewBuilder(schema.Columns)
				if round == 0 {
					b.Append(int64(1), true, "a")
					b.Append(int64(2), false, "b")
				} else {
					b.AppendTombstone(int64(1), nil, nil)
				}
				if err := w.Write(t.Context(), b.Records()); err != nil {
					t.Fatal(err)
				}
				commitTo(t, w, "c")
			}
			want := []string{"id=1 _tombstone=true __tombstone=a true", "id=2 _tombstone=false __tombstone=b false"}
			if diff := cmp.Diff(want, tableOf(t, d, schema.Stream)); diff != "" {
				t.Errorf("table (-want +got):\n%s", diff)
			}
		})
	}
}
