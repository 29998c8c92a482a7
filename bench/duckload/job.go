//go:build cgo && !lite

package main

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"runtime/pprof"
	"strings"
	"time"

	duckdriver "github.com/duckdb/duckdb-go/v2"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/bench/marketofile"
	"github.com/martsync/martsync/bench/measure"
	"github.com/martsync/martsync/destination/duckdb"
	"github.com/martsync/martsync/internal/csvfile"
	"github.com/martsync/martsync/internal/pqfile"
	"github.com/martsync/martsync/internal/sqlgen"
)

func runJob(o options) error {
	if o.profile != "" {
		f, err := os.Create(o.profile)
		if err != nil {
			return err
		}
		defer func() { _ = f.Close() }()
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	jobs := map[string]func(context.Context, options, []martsync.Column) (int64, error){
		"ctas": ctas, "load": load, "rows": rowAppender, "parquet": parquetParts,
	}
	job, ok := jobs[o.job]
	if !ok {
		return fmt.Errorf("there is no way %q", o.job)
	}
	cols := marketofile.LeadColumns()
	if o.kind == "activities" {
		cols = marketofile.ActivityColumns()
	}
	m := measure.Start()
	rows, err := job(context.Background(), o, cols)
	if err != nil {
		return err
	}
	return report(o, m, rows)
}

// load is ours: parse, check, stage, commit.
func load(ctx context.Context, o options, cols []martsync.Column) (rows int64, err error) {
	env := martsync.Env{Log: slog.New(slog.DiscardHandler), HTTP: http.DefaultClient, Clock: martsync.SystemClock{}, TempDir: o.dir}
	d, err := duckdb.Open(ctx, duckdb.Config{Path: o.database(), Threads: o.threads, MemoryLimit: o.memory}, "", env)
	if err != nil {
		return 0, err
	}
	s := martsync.Schema{Stream: o.kind, Columns: cols, Key: []string{cols[0].Name}}
	if s.Index("updated_at") >= 0 {
		s.Version, s.Deletes = "updated_at", true
	}
	w, err := d.Open(ctx, s)
	if err != nil {
		return 0, err
	}
	var window martsync.Window
	var bad []martsync.Quarantined
	err = eachChunk(ctx, o, cols, func(c csvfile.Chunk) error {
		window.Parsed += c.Rows
		window.Written += int64(c.Records.Len)
		bad = append(bad, c.Quarantined...)
		return w.Write(ctx, c.Records)
	})
	if err != nil {
		return 0, err
	}
	err = w.Commit(ctx, martsync.Commit{Sync: "bench", At: martsync.SystemClock{}.Now(), Next: "1", Windows: []martsync.Window{window}, Quarantined: bad})
	if err != nil {
		return 0, err
	}
	return window.Written, errors.Join(w.Close(), d.Close())
}

func eachChunk(ctx context.Context, o options, cols []martsync.Column, f func(csvfile.Chunk) error) error {
	in, err := os.Open(o.csv())
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	for c, err := range csvfile.Read(ctx, in, csvfile.Options{Columns: cols, Null: "null", Workers: o.threads}) {
		if err != nil {
			return err
		}
		if err := f(c); err != nil {
			return err
		}
	}
	return nil
}

// openPeer opens the file as any program would, with DuckDB's defaults.
func openPeer(ctx context.Context, o options) (*sql.DB, error) {
	db, err := sql.Open("duckdb", o.database())
	if err != nil {
		return nil, err
	}
	settings := []string{"SET autoinstall_known_extensions=false", fmt.Sprintf("SET threads=%d", o.threads), "SET preserve_insertion_order=false"}
	if o.peer != "" {
		settings = append(settings, "SET memory_limit="+sqlgen.Text(o.peer))
	}
	for _, s := range settings {
		if _, err := db.ExecContext(ctx, s); err != nil {
			return nil, err
		}
	}
	return db, nil
}

// ctas is DuckDB's own load.
func ctas(ctx context.Context, o options, cols []martsync.Column) (rows int64, err error) {
	db, err := openPeer(ctx, o)
	if err != nil {
		return 0, err
	}
	list := make([]string, len(cols))
	for i, c := range cols {
		list[i] = sqlgen.Text(c.Name) + ": " + sqlgen.Text(sqlgen.DuckDB.Type(c))
	}
	query := fmt.Sprintf(`CREATE TABLE t AS SELECT * FROM read_csv(%s, header=true, delim=',', quote='"', escape='"', nullstr='null', auto_detect=false, columns={%s})`,
		sqlgen.Text(o.csv()), strings.Join(list, ", "))
	if _, err := db.ExecContext(ctx, query); err != nil {
		return 0, err
	}
	if err := db.QueryRowContext(ctx, "SELECT count(*) FROM t").Scan(&rows); err != nil {
		return 0, err
	}
	return rows, db.Close()
}

// rowAppender parses as we do and uses the driver's Appender, a row at a time.
func rowAppender(ctx context.Context, o options, cols []martsync.Column) (rows int64, err error) {
	db, err := openPeer(ctx, o)
	if err != nil {
		return 0, err
	}
	if _, err := db.ExecContext(ctx, sqlgen.DuckDB.CreateTable("t", cols)); err != nil {
		return 0, err
	}
	c, err := db.Conn(ctx)
	if err != nil {
		return 0, err
	}
	err = c.Raw(func(driverConn any) error {
		a, err := duckdriver.NewAppenderFromConn(driverConn.(driver.Conn), "", "t")
		if err != nil {
			return err
		}
		cells := make([]driver.Value, len(cols))
		err = eachChunk(ctx, o, cols, func(ch csvfile.Chunk) error {
			rows += int64(ch.Records.Len)
			for i := range ch.Records.Len {
				for j := range cols {
					cells[j] = value(&ch.Records.Columns[j], i)
				}
				if err := a.AppendRow(cells...); err != nil {
					return err
				}
			}
			return nil
		})
		return errors.Join(err, a.Close())
	})
	if err != nil {
		return 0, err
	}
	return rows, errors.Join(c.Close(), db.Close())
}

func value(v *martsync.Vector, i int) driver.Value {
	switch {
	case v.Null(i):
		return nil
	case v.Type == martsync.Bool:
		return v.Bools[i]
	case v.Type == martsync.Int64:
		return v.Ints[i]
	case v.Type == martsync.Timestamp:
		return time.UnixMicro(v.Ints[i]).UTC()
	case v.Type == martsync.Date:
		return time.Unix(int64(v.Days[i])*86400, 0).UTC()
	case v.Type == martsync.Float64:
		return v.Floats[i]
	}
	return string(v.Bytes(i))
}

// partRows is how many rows make a Parquet part: two of DuckDB's row groups.
const partRows = 2 * 122_880

// parquetParts writes Parquet parts and has DuckDB load each while the next one is written.
func parquetParts(ctx context.Context, o options, cols []martsync.Column) (rows int64, err error) {
	db, err := openPeer(ctx, o)
	if err != nil {
		return 0, err
	}
	if _, err := db.ExecContext(ctx, sqlgen.DuckDB.CreateTable("t", cols)); err != nil {
		return 0, err
	}
	parts := make(chan string, 1)
	loaded := make(chan error, 1)
	go func() {
		var failed error
		for p := range parts {
			if failed == nil {
				_, failed = db.ExecContext(ctx, "INSERT INTO t SELECT * FROM read_parquet("+sqlgen.Text(p)+")")
			}
			failed = errors.Join(failed, os.Remove(p))
		}
		loaded <- failed
	}()
	var f *os.File
	var w *pqfile.Writer
	end := func() error {
		if w == nil {
			return nil
		}
		err := errors.Join(w.Close(), f.Close())
		parts <- f.Name()
		w = nil
		return err
	}
	err = eachChunk(ctx, o, cols, func(c csvfile.Chunk) error {
		if w == nil {
			if f, err = os.Create(filepath.Join(o.dir, fmt.Sprintf("part-%d.parquet", rows))); err != nil {
				return err
			}
			if w, err = pqfile.NewWriter(f, pqfile.Options{Columns: cols, Workers: o.threads}); err != nil {
				return err
			}
		}
		rows += int64(c.Records.Len)
		if err := w.Write(c.Records); err != nil || w.Rows() < partRows {
			return err
		}
		return end()
	})
	err = errors.Join(err, end())
	close(parts)
	return rows, errors.Join(err, <-loaded, db.Close())
}
