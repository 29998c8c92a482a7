//go:build cgo

package pqfile

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	_ "github.com/duckdb/duckdb-go/v2"
	"github.com/google/go-cmp/cmp"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/columns"
)

// openDuckDB opens a database in memory that downloads nothing.
func openDuckDB(t *testing.T) *sql.DB {
	t.Helper()
	db, err := sql.Open("duckdb", "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	db.SetMaxOpenConns(1)
	for _, s := range []string{"SET autoinstall_known_extensions=false", "SET autoload_known_extensions=false", "SET TimeZone='UTC'"} {
		if _, err := db.ExecContext(context.Background(), s); err != nil {
			t.Fatal(err)
		}
	}
	return db
}

func strs(t *testing.T, db *sql.DB, query string) (rows []string) {
	t.Helper()
	r, err := db.QueryContext(context.Background(), query)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	defer func() { _ = r.Close() }()
	for r.Next() {
		var s sql.NullString
		if err := r.Scan(&s); err != nil {
			t.Fatal(err)
		}
		if !s.Valid {
			s.String = "␀"
		}
		rows = append(rows, s.String)
	}
	if err := r.Err(); err != nil {
		t.Fatal(err)
	}
	return rows
}

// canonical is how a column of all looks in SQL when written as columns.Format does.
func canonical(c martsync.Column) string {
	switch c.Type {
	case martsync.Timestamp:
		// strftime would round years before the first; the epoch says it exactly.
		return fmt.Sprintf(`epoch_us("%s")::VARCHAR`, c.Name)
	case martsync.Binary:
		return fmt.Sprintf(`base64("%s")`, c.Name)
	case martsync.Date:
		return fmt.Sprintf(`("%s" - DATE '1970-01-01')::VARCHAR`, c.Name)
	default:
		return fmt.Sprintf(`"%s"::VARCHAR`, c.Name)
	}
}

// TestDuckDB reads files with DuckDB: types, values, and what it makes of the statistics.
func TestDuckDB(t *testing.T) {
	db := openDuckDB(t)
	batches := []*martsync.Records{extremes(), random(4, 1000), random(13, 5000), random(9, 1000)}
	path := filepath.Join(t.TempDir(), "all.parquet")
	if err := os.WriteFile(path, write(t, Options{Columns: all, RowGroup: 1 << 20, Workers: 2}, batches...), 0o600); err != nil {
		t.Fatal(err)
	}
	from := fmt.Sprintf("FROM read_parquet('%s', file_row_number=true)", path)

	wantTypes := []string{
		"BIGINT", "VARCHAR", "BOOLEAN", "DOUBLE", "DECIMAL(9,2)", "DECIMAL(18,0)", "DECIMAL(38,10)", "DATE",
		"TIMESTAMP WITH TIME ZONE", "JSON", "BLOB", "VARCHAR",
	}
	types := strs(t, db, fmt.Sprintf("SELECT column_type FROM (DESCRIBE SELECT * EXCLUDE (file_row_number) %s)", from))
	if d := cmp.Diff(wantTypes, types); d != "" {
		t.Errorf("types: -want +got\n%s", d)
	}

	for i, c := range all {
		var want []string
		for _, r := range batches {
			for k := range r.Len {
				want = append(want, plainText(c, &r.Columns[i], k))
			}
		}
		expr := canonical(c)
		if c.Type == martsync.Float64 {
			expr = fmt.Sprintf(`CASE WHEN "%[1]s" IS NULL THEN NULL ELSE printf('%%.17g', "%[1]s") END`, c.Name)
		}
		got := strs(t, db, fmt.Sprintf("SELECT %s %s ORDER BY file_row_number", expr, from))
		if !slices.Equal(want, got) {
			t.Errorf("%s: -want +got\n%.1500s", c.Name, cmp.Diff(want, got))
		}
		// Each of some values must be found: wrong bounds would make DuckDB skip row groups.
		for k := 0; k < len(want); k += 997 {
			if want[k] == "␀" || c.Type == martsync.Float64 {
				continue
			}
			n := 0
			for _, w := range want {
				if w == want[k] {
					n++
				}
			}
			literal := "'" + strings.ReplaceAll(want[k], "'", "''") + "'"
			if strings.Contains(literal, "\x00") {
				continue
			}
			query := fmt.Sprintf(`SELECT count(*)::VARCHAR %s WHERE "%s" = %s::%s`, from, c.Name, literal, wantTypes[i])
			switch c.Type {
			case martsync.Timestamp:
				query = fmt.Sprintf(`SELECT count(*)::VARCHAR %s WHERE "%s" = make_timestamptz(%s)`, from, c.Name, want[k])
			case martsync.Date:
				query = fmt.Sprintf(`SELECT count(*)::VARCHAR %s WHERE "%s" = DATE '1970-01-01' + %s::INT`, from, c.Name, literal)
			case martsync.Binary:
				query = fmt.Sprintf(`SELECT count(*)::VARCHAR %s WHERE "%s" = from_base64(%s)`, from, c.Name, literal)
			default:
			}
			if got := strs(t, db, query); got[0] != fmt.Sprint(n) {
				t.Errorf("%s = %.40q finds %s rows, want %d", c.Name, want[k], got[0], n)
			}
		}
	}

	meta := strs(t, db, fmt.Sprintf("SELECT DISTINCT compression FROM parquet_metadata('%s')", path))
	if strings.Join(meta, ",") != "ZSTD" {
		t.Errorf("compression %v, want ZSTD", meta)
	}
}

// plainText is the value as the query above writes it.
func plainText(c martsync.Column, v *martsync.Vector, i int) string {
	switch {
	case v.Null(i):
		return "␀"
	case c.Type == martsync.Timestamp:
		return fmt.Sprint(v.Ints[i])
	case c.Type == martsync.Date:
		return fmt.Sprint(v.Days[i])
	case c.Type == martsync.Float64:
		return fmt.Sprintf("%.17g", v.Floats[i])
	}
	return columns.Format(c, v, i)
}
