//go:build cgo && !lite

package duckdb

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	bindings "github.com/duckdb/duckdb-go-bindings"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/rows"
	"github.com/martsync/martsync/internal/sqlgen"
)

// BenchmarkFeeding compares two ways of handing the same batches to DuckDB, from opening to closing
// the file: our table function, which all of its threads read, and the data chunk appender.
func BenchmarkFeeding(b *testing.B) {
	s := martsync.Schema{Stream: "things"}
	for i := range 60 {
		s.Columns = append(s.Columns, martsync.Column{Name: fmt.Sprintf("c%d", i), Type: []martsync.Type{martsync.String, martsync.Int64, martsync.String, martsync.Timestamp, martsync.Bool}[i%5]})
	}
	builder := rows.NewBuilder(s.Columns)
	for i := range 10_000 {
		row := make([]any, len(s.Columns))
		for j := range row {
			n := uint64(i*len(row)+j) * 0x9e3779b97f4a7c15 >> 40
			switch {
			case n%3 == 0:
			case j%5 == 0:
				row[j] = fmt.Sprintf("word %d", n%500)
			case j%5 == 2:
				row[j] = fmt.Sprintf("https://www.example.com/%x", n)
			case j%5 == 1:
				row[j] = int64(n % 10_000)
			case j%5 == 3:
				row[j] = rows.Micros(n * 1_000_000)
			default:
				row[j] = n%2 == 0
			}
		}
		builder.Append(row...)
	}
	r := builder.Records()
	const batches = 30
	ways := map[string]func(context.Context, *destination) error{
		"table function": func(ctx context.Context, d *destination) error {
			w, err := d.Open(ctx, s)
			if err != nil {
				return err
			}
			for range batches {
				if err := w.Write(ctx, r); err != nil {
					return err
				}
			}
			if err := w.Commit(ctx, martsync.Commit{Sync: "bench", At: noon, Next: "1"}); err != nil {
				return err
			}
			return w.Close()
		},
		"appender": func(ctx context.Context, d *destination) error {
			return d.with(ctx, "append", func(c *conn) error {
				if err := c.exec(ctx, "CREATE SCHEMA "+sqlgen.Name(catalog, d.schema)); err != nil {
					return err
				}
				return c.tx(ctx, func() error {
					if err := c.exec(ctx, sqlgen.DuckDB.CreateTable(d.table("things"), s.Columns)); err != nil {
						return err
					}
					return appendChunks(c, d, s, r, batches)
				})
			})
		},
	}
	for _, name := range []string{"table function", "appender"} {
		b.Run(name, func(b *testing.B) {
			dir := b.TempDir()
			b.SetBytes(int64(r.Size() * batches))
			for b.Loop() {
				path := filepath.Join(dir, "mart.duckdb")
				_ = os.Remove(path)
				d := openAt(b, path, "mart")
				if err := ways[name](context.Background(), d); err != nil {
					b.Fatal(err)
				}
				if err := d.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func appendChunks(c *conn, d *destination, s martsync.Schema, r *martsync.Records, batches int) error {
	var a bindings.Appender
	if bindings.AppenderCreateExt(c.c, catalog, d.schema, s.Stream, &a) == bindings.StateError {
		return &dbError{bindings.AppenderError(a)}
	}
	defer bindings.AppenderDestroy(&a)
	var types []bindings.LogicalType
	for _, col := range s.Columns {
		types = append(types, logicalType(col))
	}
	chunk := bindings.CreateDataChunk(types)
	defer bindings.DestroyDataChunk(&chunk)
	buf := make([]byte, size(r.Columns, r.Len))
	batch := &batch{vectors: copyTo(buf, r.Columns, r.Len)}
	batch.pin.Pin(&buf[0])
	defer batch.pin.Unpin()
	for range batches {
		for from := 0; from < r.Len; from += vectorSize {
			bindings.DataChunkReset(chunk)
			if err := fill(chunk, s.Columns, piece{batch, from, min(from+vectorSize, r.Len)}); err != nil {
				return err
			}
			if bindings.AppendDataChunk(a, chunk) == bindings.StateError {
				return &dbError{bindings.AppenderError(a)}
			}
		}
	}
	if bindings.AppenderClose(a) == bindings.StateError {
		return &dbError{bindings.AppenderError(a)}
	}
	return nil
}

// BenchmarkOpen opens and closes a table that is as it was, as each turn of a stream does, in files of few and of many tables.
func BenchmarkOpen(b *testing.B) {
	s := martsync.Schema{Key: []string{"c0"}}
	for i := range 60 {
		s.Columns = append(s.Columns, martsync.Column{Name: fmt.Sprintf("c%d", i), Type: martsync.String})
	}
	for _, tables := range []int{1, 33, 200} {
		b.Run(fmt.Sprintf("tables=%d", tables), func(b *testing.B) {
			d := openNew(b)
			for i := range tables {
				s.Stream = fmt.Sprintf("things_%d", i)
				openWriter(b, d, s).Close()
			}
			for b.Loop() {
				w, err := d.Open(b.Context(), s)
				if err != nil {
					b.Fatal(err)
				}
				_ = w.Close()
			}
		})
	}
}
