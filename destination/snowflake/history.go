package snowflake

import (
	"context"
	"database/sql"
	"errors"
	"iter"
	"strconv"
	"strings"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/sqlgen"
)

var _ martsync.HistoryReader = (*destination)(nil)

// ledgerColumns are those of a martsync.LedgerEntry, in its order.
var ledgerColumns = []string{
	"stream", "sync", "from", "to", "job", "filter", "records", "bytes", "sha256", "parsed", "quarantined", "written", "calls",
}

// Ledger reads the ledger, oldest commit first. It uses a session of its own and runs on the warehouse.
func (d *destination) Ledger(ctx context.Context, stream string) iter.Seq2[martsync.LedgerEntry, error] {
	const op = "read the ledger"
	return func(yield func(martsync.LedgerEntry, error) bool) {
		path := []string{d.database, d.schema, d.config.tableName(sqlgen.Ledger)}
		table, err := d.describe(ctx, path)
		if err != nil {
			yield(martsync.LedgerEntry{}, err)
			return
		}
		if table == nil {
			return // nothing was ever committed
		}
		query := "SELECT " + d.list(ledgerColumns) + " FROM " + sqlgen.Name(path...)
		var args []any
		if stream != "" {
			query, args = query+" WHERE "+d.list([]string{"stream"})+" = ?", []any{stream}
		}
		// times of commits need not grow; the numbers of a stream's commits do
		order := []string{ledgerCommit, ledgerPlace}
		if stream == "" {
			order = append([]string{"committed_at", "stream"}, order...)
		}
		query += " ORDER BY " + d.list(order)
		err = d.apart(ctx, op, func(s *session) error {
			return s.each(ctx, query, args, func(_ []string, cells []sql.NullString) error {
				e, err := ledgerEntry(cells)
				if err != nil {
					return bug(op, "%w", err)
				}
				if !yield(e, nil) {
					return errEnough
				}
				return nil
			})
		})
		if err != nil && !errors.Is(err, errEnough) {
			yield(martsync.LedgerEntry{}, err)
		}
	}
}

// list names columns of a system table in a statement.
func (d *destination) list(names []string) string {
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = ident(d.config.columnName(martsync.Column{Name: n}))
	}
	return strings.Join(quoted, ", ")
}

func ledgerEntry(cells []sql.NullString) (martsync.LedgerEntry, error) {
	var failed error
	number := func(i int) int64 {
		if !cells[i].Valid {
			return -1 // nobody told
		}
		n, err := strconv.ParseInt(cells[i].String, 10, 64)
		failed = errors.Join(failed, err)
		return n
	}
	moment := func(i int) time.Time {
		if !cells[i].Valid {
			return time.Time{}
		}
		t, err := time.Parse(time.RFC3339Nano, cells[i].String)
		failed = errors.Join(failed, err)
		return t.UTC()
	}
	e := martsync.LedgerEntry{
		Stream: cells[0].String, Sync: cells[1].String,
		Window: martsync.Window{
			From: moment(2), To: moment(3), Job: cells[4].String, Filter: cells[5].String, Records: number(6), Bytes: number(7),
			SHA256: cells[8].String, Parsed: number(9), Quarantined: number(10), Written: number(11), Calls: number(12),
		},
	}
	return e, failed
}
