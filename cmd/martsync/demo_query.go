//go:build cgo && !lite

package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	_ "github.com/duckdb/duckdb-go/v2" // the driver

	"github.com/martsync/martsync"
)

// replaceDemo removes the file of an earlier demo. Any other file stays, and is an error.
func replaceDemo(ctx context.Context, path string) error {
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	var n int
	err := withFile(ctx, path, func(db *sql.DB) error {
		return db.QueryRowContext(ctx, "SELECT count(*) FROM information_schema.tables WHERE table_name = '"+demoTable+"'").Scan(&n)
	})
	if err != nil || n == 0 {
		if err == nil {
			err = errors.New("there is a file of that name, and no demo has made it")
		}
		return &martsync.Error{
			Kind: martsync.Config, Op: "make " + filepath.ToSlash(path), Err: err,
			Hint: "Name another file with --path, or move this one away.",
		}
	}
	for _, file := range []string{path, path + ".wal"} {
		if err := os.Remove(file); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("remove the file of the last demo: %w", err)
		}
	}
	return nil
}

// withFile opens a DuckDB file for reading.
func withFile(ctx context.Context, path string, use func(*sql.DB) error) (err error) {
	db, err := sql.Open("duckdb", path+"?access_mode=read_only&autoinstall_known_extensions=false&autoload_known_extensions=false")
	if err != nil {
		return fmt.Errorf("open %s: %w", path, err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := db.PingContext(ctx); err != nil {
		return fmt.Errorf("open %s: %w", path, err)
	}
	return use(db)
}

// runQueries runs queries with the schema's tables in sight.
func runQueries(ctx context.Context, path, schema string, queries []demoQuery) (out []demoQuery, err error) {
	err = withFile(ctx, path, func(db *sql.DB) error {
		conn, err := db.Conn(ctx)
		if err != nil {
			return err
		}
		defer conn.Close() //nolint:errcheck // reading only
		if _, err := conn.ExecContext(ctx, "SET search_path = '"+schema+"'"); err != nil {
			return err
		}
		for _, q := range queries {
			if err := q.run(ctx, conn); err != nil {
				return fmt.Errorf("query %q: %w", q.Title, err)
			}
			out = append(out, q)
		}
		return nil
	})
	return out, err
}

func (q *demoQuery) run(ctx context.Context, conn *sql.Conn) error {
	rows, err := conn.QueryContext(ctx, q.SQL)
	if err != nil {
		return err
	}
	defer rows.Close() //nolint:errcheck // Err tells
	if q.Columns, err = rows.Columns(); err != nil {
		return err
	}
	for rows.Next() {
		cells := make([]any, len(q.Columns))
		pointers := make([]any, len(cells))
		for i := range cells {
			pointers[i] = &cells[i]
		}
		if err := rows.Scan(pointers...); err != nil {
			return err
		}
		row := make([]string, len(cells))
		for i, c := range cells {
			row[i] = showCell(c)
		}
		q.Rows = append(q.Rows, row)
	}
	return rows.Err()
}
