//go:build cgo && !lite

package main

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"strings"
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

// readNewestByDuckDB reads the files that the newest manifests name: they hold each record of a table once.
func readNewestByDuckDB(t *testing.T, folder string, d martsync.Destination, source martsync.Source) {
	t.Helper()
	db, err := sql.Open("duckdb", "")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	streams, err := source.Streams(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	compactions := 0
	for _, s := range streams {
		schema := s.Schema()
		names, compacted := newestFiles(t, folder, schema.Stream)
		if len(names) == 0 {
			continue
		}
		var want, rows, records int64
		_, all, err := d.(martsync.TableReader).ReadTable(t.Context(), schema.Stream)
		if err != nil {
			t.Fatal(err)
		}
		for r, err := range all {
			if err != nil {
				t.Fatal(err)
			}
			want += int64(r.Len)
		}
		for i, name := range names {
			names[i] = sqlgen.Text(name)
		}
		count := "count(*)" // without a key each row is a record
		if len(schema.Key) > 0 {
			key := make([]string, len(schema.Key))
			for i, name := range schema.Key {
				key[i] = sqlgen.Ident(name)
			}
			count = "count(DISTINCT (" + strings.Join(key, ", ") + "))"
		}
		query := "SELECT count(*), " + count + " FROM read_parquet([" + strings.Join(names, ", ") + "], union_by_name = true)"
		if err := db.QueryRowContext(t.Context(), query).Scan(&rows, &records); err != nil || rows != want || records != want {
			t.Errorf("%s (compacted: %v): DuckDB reads %d rows of %d records, want %d; %v", schema.Stream, compacted, rows, records, want, err)
		}
		if compacted {
			compactions++
		}
	}
	if compactions == 0 {
		t.Error("no table was compacted")
	}
}
