//go:build cgo && !lite

package duckdb

import (
	"context"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/sqlgen"
)

var _ martsync.Matcher = (*destination)(nil)

// Missing compares two tables in the database.
func (d *destination) Missing(ctx context.Context, m martsync.Match, most int) (values []int64, all int64, err error) {
	op := "compare tables " + m.Stream + " and " + m.In
	err = d.with(ctx, op, func(c *conn) error {
		place := func(stream, column string) (table, name string, err error) {
			t, err := d.describe(ctx, c, stream)
			if err != nil {
				return "", "", err
			}
			if t == nil {
				return "", "", configError(op, "Run a sync first.", "%s has no table %s in the schema %s", d.file.path, stream, d.schema)
			}
			i := t.find(column)
			if i < 0 || !t.columns[i].known || t.columns[i].Type != martsync.Int64 {
				return "", "", configError(op, "", "column %s of table %s holds no whole numbers", column, stream)
			}
			return d.table(t.name), sqlgen.Ident(t.columns[i].Name), nil
		}
		from, column, err := place(m.Stream, m.Column)
		if err != nil {
			return err
		}
		in, key, err := place(m.In, m.Key)
		if err != nil {
			return err
		}
		lacks := "SELECT DISTINCT a." + column + " AS v FROM " + from + " AS a WHERE a." + column +
			" > 0 AND NOT EXISTS (SELECT 1 FROM " + in + " AS b WHERE b." + key + " = a." + column + ")"
		// $1 is the most, below zero for any number.
		query := "WITH lacks AS MATERIALIZED (" + lacks + ") SELECT v, (SELECT count(*) FROM lacks) FROM lacks ORDER BY v LIMIT CASE WHEN $1 > 0 THEN $1 END"
		return c.each(ctx, query, []any{int64(most)}, func(r *martsync.Records) error {
			for i := range r.Len {
				values = append(values, r.Columns[0].Ints[i])
				all = r.Columns[1].Ints[i]
			}
			return nil
		})
	})
	return values, all, err
}
