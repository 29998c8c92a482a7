//go:build cgo && !lite

package duckdb

import (
	"context"
	"math"
	"strconv"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/columns"
	"github.com/martsync/martsync/internal/sqlgen"
)

// stagedTable holds, for each time that rows were staged, where reading resumes and what comes
// along with the rows when they are committed.
const stagedTable = sqlgen.Prefix + "staged"

var stagedColumns = []martsync.Column{
	{Name: "stream", Type: martsync.String},
	{Name: "load", Type: martsync.String},    // names the staging tables
	{Name: "part", Type: martsync.Int64},     // counts the times that this load was staged
	{Name: "base", Type: martsync.Int64},     // the number of commits that the rows build on
	{Name: "next", Type: martsync.String},    // where reading resumes
	{Name: "sequence", Type: martsync.Int64}, // the next row's; rows from here on were never staged
	{Name: "commit", Type: martsync.String},  // what the next commit carries in addition, as JSON
	{Name: "staged_at", Type: martsync.Timestamp},
}

// systemTables are all that a schema has.
func systemTables() []sqlgen.Table {
	return append(sqlgen.SystemTables(), sqlgen.Table{Name: stagedTable, Columns: stagedColumns})
}

func systemColumns(name string) []martsync.Column {
	for _, t := range systemTables() {
		if t.Name == name {
			return t.Columns
		}
	}
	return nil
}

// appendRows appends rows to a system table. Each row has a text for each column of the
// table; nil is NULL.
func (w *writer) appendRows(ctx context.Context, table string, rows func(add func(cells ...[]byte) error) error) error {
	cols := systemColumns(table)
	b := columns.NewBuilder(cols)
	flush := func() error {
		if b.Len() == 0 {
			return nil
		}
		r := b.Records()
		err := w.insert(ctx, w.d.table(table), cols, nil, r.Columns, r.Len)
		b.Reset()
		return err
	}
	err := rows(func(cells ...[]byte) error {
		if err := b.AppendCells(cells); err != nil {
			return err
		}
		if b.Full() {
			return flush()
		}
		return nil
	})
	if err != nil {
		return err
	}
	return flush()
}

// str, num and moment write cells.
func str(s string) []byte { return []byte(s) }

func num(n int64) []byte { return strconv.AppendInt(nil, n, 10) }

// told is NULL for the -1 of numbers that the vendor does not tell.
func told(n int64) []byte {
	if n < 0 {
		return nil
	}
	return num(n)
}

func moment(t time.Time) []byte {
	if t.IsZero() {
		return nil
	}
	return t.UTC().Truncate(time.Microsecond).AppendFormat(nil, "2006-01-02T15:04:05.999999Z07:00")
}

// appendHistory writes the ledger, the log and the quarantine of a commit.
func (w *writer) appendHistory(ctx context.Context, c martsync.Commit) error {
	stream, sync, at := str(w.schema.Stream), str(c.Sync), moment(c.At)
	err := w.appendRows(ctx, sqlgen.Ledger, func(add func(...[]byte) error) error {
		for _, l := range c.Windows {
			if err := add(stream, sync, at, moment(l.From), moment(l.To), str(l.Job), str(l.Filter), told(l.Records), told(l.Bytes), str(l.SHA256),
				num(l.Parsed), num(l.Quarantined), num(l.Written), num(l.Calls)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	err = w.appendRows(ctx, sqlgen.Quarantine, func(add func(...[]byte) error) error {
		for _, q := range c.Quarantined {
			if err := add(stream, sync, at, str(q.Job), num(q.Line), str(q.Column), str(q.Reason), str(q.Raw)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return w.appendRows(ctx, sqlgen.Log, func(add func(...[]byte) error) error {
		for _, l := range c.Log {
			if err := add(str(l.Stream), str(l.Sync), at, moment(l.Time), str(l.Operation), strconv.AppendBool(nil, l.Success), str(l.Message),
				num(l.Rows), num(l.Bytes)); err != nil {
				return err
			}
		}
		return nil
	})
}

// insert feeds rows to one INSERT statement and waits for it. names are the columns of the
// table that they go to; nil: those of cols.
func (w *writer) insert(ctx context.Context, table string, cols []martsync.Column, names []string, vectors []martsync.Vector, rows int) error {
	n := size(vectors, rows)
	if err := w.d.file.budget.Acquire(ctx, min(int64(n), inFlight)); err != nil {
		return err
	}
	buf := w.d.file.arenas.get(n)
	done := func() {
		w.d.file.arenas.put(buf)
		w.d.file.budget.Release(min(int64(n), inFlight))
	}
	f := newFeed(cols)
	defer f.end()
	f.put(buf, copyTo(buf, vectors, rows), rows, done)
	f.close(nil)
	err := w.c.exec(ctx, insertFrom(f, table, cols, names))
	return err
}

// insertFrom is the statement that inserts what the feed gives.
func insertFrom(f *feed, table string, cols []martsync.Column, names []string) string {
	if names == nil {
		for _, c := range cols {
			names = append(names, c.Name)
		}
	}
	return "INSERT INTO " + table + " (" + sqlgen.Idents("", names) + ") SELECT * FROM martsync_feed(" + strconv.FormatInt(f.id, 10) + ")"
}

// readLedger reads rows of the ledger table.
const ledgerColumns = `stream, sync, "from", "to", job, filter, records, bytes, sha256, parsed, quarantined, written, calls`

func ledgerEntry(r *martsync.Records, i int) martsync.LedgerEntry {
	text := func(j int) string { return cell(&r.Columns[j], i) }
	number := func(j int) int64 {
		if r.Columns[j].Null(i) {
			return -1
		}
		return r.Columns[j].Ints[i]
	}
	at := func(j int) time.Time {
		if r.Columns[j].Null(i) || r.Columns[j].Ints[i] == math.MinInt64 {
			return time.Time{}
		}
		return time.UnixMicro(r.Columns[j].Ints[i]).UTC()
	}
	return martsync.LedgerEntry{
		Stream: text(0), Sync: text(1),
		Window: martsync.Window{
			From: at(2), To: at(3), Job: text(4), Filter: text(5), Records: number(6), Bytes: number(7), SHA256: text(8),
			Parsed: number(9), Quarantined: number(10), Written: number(11), Calls: number(12),
		},
	}
}
