//go:build cgo

// Command duckcopy is one measurement of the benchmark: DuckDB's own conversion of a CSV file
// to Parquet, in a process of its own.
package main

import (
	"context"
	"database/sql"
	"flag"
	"fmt"
	"os"
	"strings"

	_ "github.com/duckdb/duckdb-go/v2"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/bench/marketofile"
	"github.com/martsync/martsync/bench/measure"
)

func main() {
	threads := flag.Int("threads", 2, "threads of DuckDB")
	kind := flag.String("file", "leads", "leads or activities")
	flag.Parse()
	if err := run(*threads, *kind, flag.Arg(0), flag.Arg(1)); err != nil {
		fmt.Fprintln(os.Stderr, "duckcopy:", err)
		os.Exit(1)
	}
}

func run(threads int, kind, from, to string) error {
	db, err := sql.Open("duckdb", "")
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	ctx := context.Background()
	for _, s := range []string{
		"SET autoinstall_known_extensions=false", fmt.Sprintf("SET threads=%d", threads), "SET preserve_insertion_order=false", "SET TimeZone='UTC'",
	} {
		if _, err := db.ExecContext(ctx, s); err != nil {
			return err
		}
	}
	cols := marketofile.LeadColumns()
	if kind == "activities" {
		cols = marketofile.ActivityColumns()
	}
	types := map[martsync.Type]string{
		martsync.Bool: "BOOLEAN", martsync.Int64: "BIGINT", martsync.Float64: "DOUBLE", martsync.String: "VARCHAR",
		martsync.Date: "DATE", martsync.Timestamp: "TIMESTAMP", martsync.JSON: "JSON",
	}
	list := make([]string, len(cols))
	for i, c := range cols {
		list[i] = fmt.Sprintf("'%s': '%s'", c.Name, types[c.Type])
	}
	query := fmt.Sprintf(`COPY (SELECT * FROM read_csv('%s', header=true, delim=',', quote='"', escape='"', nullstr='null', auto_detect=false, columns={%s}))
		TO '%s' (FORMAT parquet, COMPRESSION zstd)`, from, strings.Join(list, ", "), to)
	m := measure.Start()
	if _, err := db.ExecContext(ctx, query); err != nil {
		return err
	}
	return m.Print(os.Stdout, 0)
}
