//go:build cgo && !lite

package main

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/destination/files"
	"github.com/martsync/martsync/internal/sqlgen"
)

// readByDuckDB reads the files of every stream with a program that knows nothing of ours: it finds
// as many rows as the ledger says were written.
func readByDuckDB(t *testing.T, folder string, c files.Config, d martsync.Destination) {
	t.Helper()
	db, err := sql.Open("duckdb", "")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	reader := map[string]string{
		"parquet": "read_parquet(%s, union_by_name = true)",
		"csv":     "read_csv(%s, union_by_name = true, all_varchar = true, strict_mode = true, max_line_size = 10000000)",
		"ndjson":  "read_ndjson_objects(%s)",
	}[c.Format]
	ending := map[string]string{"csv": ".csv.zst"}[c.Format]
	if ending == "" {
		ending = "." + c.Format
	}
	for stream, want := range writtenRows(t, d) {
		if want == 0 {
			continue
		}
		var got int64
		glob := sqlgen.Text(filepath.Join(folder, stream, "**", "*"+ending))
		if err := db.QueryRowContext(t.Context(), "SELECT count(*) FROM "+fmt.Sprintf(reader, glob)).Scan(&got); err != nil || got != want {
			t.Errorf("%s: DuckDB reads %d rows, the ledger has %d; %v", stream, got, want, err)
		}
	}
}
