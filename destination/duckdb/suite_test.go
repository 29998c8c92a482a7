//go:build cgo && !lite

package duckdb

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/destination/destinationtest"
	"github.com/martsync/martsync/internal/sqlgen"
)

func TestLaws(t *testing.T) {
	destinationtest.Run(t, func(t testing.TB) destinationtest.Factory {
		path := filepath.Join(t.TempDir(), "mart.duckdb")
		var f *file
		return destinationtest.Factory{
			Open: func(t testing.TB) martsync.Destination {
				d := openAt(t, path, "mart")
				f = d.file
				return d
			},
			Quarantine: quarantine,
			Log:        logEntries,
			Fault:      func(n int) { f.before = destinationtest.FailStatement(n) },
		}
	})
}

func quarantine(t testing.TB, d martsync.Destination, stream string) (out []martsync.Quarantined) {
	t.Helper()
	err := d.(*destination).each(`SELECT job, line, "column", reason, raw FROM %s WHERE stream = ? ORDER BY rowid`, sqlgen.Quarantine, stream, func(r *martsync.Records, i int) {
		out = append(out, martsync.Quarantined{
			Job: cell(&r.Columns[0], i), Line: r.Columns[1].Ints[i], Column: cell(&r.Columns[2], i),
			Reason: cell(&r.Columns[3], i), Raw: cell(&r.Columns[4], i),
		})
	})
	if err != nil {
		t.Fatalf("read the quarantine: %v", err)
	}
	return out
}

func logEntries(t testing.TB, d martsync.Destination, stream string) (out []martsync.LogEntry) {
	t.Helper()
	err := d.(*destination).each(`SELECT time, sync, stream, operation, success, message, rows, bytes FROM %s WHERE stream = ? ORDER BY rowid`, sqlgen.Log, stream, func(r *martsync.Records, i int) {
		out = append(out, martsync.LogEntry{
			Time: time.UnixMicro(r.Columns[0].Ints[i]).UTC(), Sync: cell(&r.Columns[1], i), Stream: cell(&r.Columns[2], i), Operation: cell(&r.Columns[3], i),
			Success: r.Columns[4].Bools[i], Message: cell(&r.Columns[5], i), Rows: r.Columns[6].Ints[i], Bytes: r.Columns[7].Ints[i],
		})
	})
	if err != nil {
		t.Fatalf("read the log: %v", err)
	}
	return out
}

// each reads the rows of a system table that belong to a stream.
func (d *destination) each(format, table, stream string, f func(r *martsync.Records, i int)) error {
	return d.with(context.Background(), "read "+table, func(c *conn) error {
		query := strings.Replace(format, "%s", d.table(table), 1)
		return c.each(context.Background(), query, []any{stream}, func(r *martsync.Records) error {
			for i := range r.Len {
				f(r, i)
			}
			return nil
		})
	})
}
