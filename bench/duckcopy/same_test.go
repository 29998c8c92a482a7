//go:build cgo

package main

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/bench/marketofile"
	"github.com/martsync/martsync/internal/csvfile"
	"github.com/martsync/martsync/internal/pqfile"
)

// TestSameRows compares what the two sides of the benchmark read from the same file, value by
// value: a benchmark of different work would say nothing.
func TestSameRows(t *testing.T) {
	const rows = 5000
	for _, kind := range []string{"leads", "activities"} {
		t.Run(kind, func(t *testing.T) {
			var file bytes.Buffer
			cols := marketofile.LeadColumns()
			var err error
			if kind == "leads" {
				err = marketofile.Leads(&file, 7, rows)
			} else {
				cols = marketofile.ActivityColumns()
				err = marketofile.Activities(&file, 7, rows)
			}
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			from, ours, theirs := filepath.Join(dir, "in.csv"), filepath.Join(dir, "ours.parquet"), filepath.Join(dir, "theirs.parquet")
			if err := os.WriteFile(from, file.Bytes(), 0o600); err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			in := csvfile.Options{Columns: cols, Null: "null", Workers: 2}
			sum, err := pqfile.Convert(context.Background(), &out, &file, in, pqfile.Options{Workers: 2, RowGroup: 1 << 20},
				func(bad []martsync.Quarantined) error { return fmt.Errorf("quarantined: %+v", bad[0]) })
			if err != nil || sum.Rows != rows || sum.Bytes != int64(out.Len()) {
				t.Fatalf("Convert: %+v, %v, want %d rows in %d bytes", sum, err, rows, out.Len())
			}
			if err := os.WriteFile(ours, out.Bytes(), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := run(2, kind, from, theirs); err != nil {
				t.Fatal(err)
			}
			db, err := sql.Open("duckdb", "")
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = db.Close() }()
			if _, err := db.ExecContext(t.Context(), "SET TimeZone='UTC'"); err != nil {
				t.Fatal(err)
			}
			list := make([]string, len(cols))
			for i, c := range cols {
				if list[i] = c.Name; c.Type == martsync.Timestamp {
					list[i] += "::TIMESTAMPTZ" // DuckDB reads it without a zone
				}
			}
			for _, pair := range [][2]string{{ours, theirs}, {theirs, ours}} {
				query := fmt.Sprintf("SELECT count(*) FROM (SELECT %[1]s FROM '%[2]s' EXCEPT ALL SELECT %[1]s FROM '%[3]s')", strings.Join(list, ", "), pair[0], pair[1])
				var n int
				if err := db.QueryRowContext(t.Context(), query).Scan(&n); err != nil {
					t.Fatal(err)
				}
				if n != 0 {
					t.Errorf("%d rows of %s are not in %s", n, filepath.Base(pair[0]), filepath.Base(pair[1]))
				}
			}
		})
	}
}
