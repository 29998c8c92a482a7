//go:build cgo && !lite

package duckdb

import (
	"context"
	"errors"
	"iter"
	"strings"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/sqlgen"
)

// ReadTable reads a table. Columns of types that we never make are read as text.
func (d *destination) ReadTable(ctx context.Context, stream string) (martsync.Schema, iter.Seq2[*martsync.Records, error], error) {
	var table *layout
	err := d.with(ctx, "read table "+stream, func(c *conn) (err error) {
		table, err = d.describe(ctx, c, stream)
		return err
	})
	if err != nil {
		return martsync.Schema{}, nil, err
	}
	if table == nil {
		return martsync.Schema{}, nil, configError("read table "+stream, "run a sync first", "%s has no such table in the schema %s", d.file.path, d.schema)
	}
	s := martsync.Schema{Stream: stream, Deletes: table.has(martsync.Deleted)}
	var expressions []string
	for _, c := range table.columns {
		if fold(c.Name) == martsync.SyncedAt || fold(c.Name) == martsync.Deleted {
			continue
		}
		e := sqlgen.Ident(c.Name)
		switch {
		case !c.known:
			c.Column = martsync.Column{Name: c.Name, Type: martsync.String}
			e = "CAST(" + e + " AS VARCHAR)"
		case !c.exact:
			e = "CAST(" + e + " AS " + sqlgen.DuckDB.Type(c.Column) + ")"
		}
		s.Columns = append(s.Columns, c.Column)
		expressions = append(expressions, e)
	}
	if s.Deletes {
		expressions = append(expressions, "coalesce("+sqlgen.Ident(martsync.Deleted)+", false)")
	}
	query := "SELECT " + strings.Join(expressions, ", ") + " FROM " + d.table(table.name)
	return s, func(yield func(*martsync.Records, error) bool) {
		err := d.with(ctx, "read table "+stream, func(c *conn) error {
			return c.each(ctx, query, nil, func(r *martsync.Records) error {
				if n := len(s.Columns); s.Deletes {
					r = &martsync.Records{Len: r.Len, Columns: r.Columns[:n], Deleted: r.Columns[n].Bools}
				}
				if !yield(r, nil) {
					return errEnough
				}
				return nil
			})
		})
		if err != nil && !errors.Is(err, errEnough) {
			yield(nil, err)
		}
	}, nil
}

// NewestTime returns the greatest time in a column of a table, whoever made the table.
func (d *destination) NewestTime(ctx context.Context, table, column string) (newest time.Time, err error) {
	op := "newest time of table " + table
	err = d.with(ctx, op, func(c *conn) error {
		t, err := d.describe(ctx, c, table)
		if err != nil || t == nil {
			return err
		}
		i := t.find(column)
		if i < 0 {
			return configError(op, "Name the column with its times in start_table.", "it has no column %s", column)
		}
		query := "SELECT epoch_us(max(TRY_CAST(" + sqlgen.Ident(t.columns[i].Name) + " AS TIMESTAMP))) FROM " + d.table(t.name)
		return c.each(ctx, query, nil, func(r *martsync.Records) error {
			if v := &r.Columns[0]; r.Len > 0 && !v.Null(0) {
				newest = time.UnixMicro(v.Ints[0]).UTC()
			}
			return nil
		})
	})
	return newest, err
}

// errEnough ends a query whose reader has seen enough.
var errEnough = errors.New("enough")

// Ledger reads the ledger, oldest first.
func (d *destination) Ledger(ctx context.Context, stream string) iter.Seq2[martsync.LedgerEntry, error] {
	return func(yield func(martsync.LedgerEntry, error) bool) {
		err := d.with(ctx, "read the ledger", func(c *conn) error {
			ledger, err := d.describe(ctx, c, sqlgen.Ledger)
			if err != nil || ledger == nil {
				return err
			}
			// row ids grow with every commit; times of commits need not
			query := "SELECT " + ledgerColumns + " FROM " + d.table(sqlgen.Ledger) + " WHERE $1 = '' OR stream = $1 ORDER BY rowid"
			return c.each(ctx, query, []any{stream}, func(r *martsync.Records) error {
				for i := range r.Len {
					if !yield(ledgerEntry(r, i), nil) {
						return errEnough
					}
				}
				return nil
			})
		})
		if err != nil && !errors.Is(err, errEnough) {
			yield(martsync.LedgerEntry{}, err)
		}
	}
}
