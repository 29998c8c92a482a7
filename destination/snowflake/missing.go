package snowflake

import (
	"context"
	"fmt"
	"strconv"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/sqlgen"
)

var _ martsync.Matcher = (*destination)(nil)

// Missing compares two tables in the warehouse.
func (d *destination) Missing(ctx context.Context, m martsync.Match, most int) (values []int64, all int64, err error) {
	op := "compare tables " + m.Stream + " and " + m.In
	place := func(stream, column string) (table, name string, err error) {
		path, columns, err := d.find(ctx, stream)
		if err != nil {
			return "", "", err
		}
		if columns == nil {
			return "", "", configError(op, "Run a sync first.", "the schema %s.%s has no table %s", d.database, d.schema, stream)
		}
		c, ok := d.column(columns, column)
		if ok {
			as, _, known := columnOf(column, c.typ)
			ok = known && as.Type == martsync.Int64
		}
		if !ok {
			return "", "", configError(op, "", "column %s of table %s holds no whole numbers", column, stream)
		}
		return sqlgen.Name(path...), ident(c.name), nil
	}
	from, column, err := place(m.Stream, m.Column)
	if err != nil {
		return nil, 0, err
	}
	in, key, err := place(m.In, m.Key)
	if err != nil {
		return nil, 0, err
	}
	lacks := "SELECT DISTINCT a." + column + " AS V FROM " + from + " AS a WHERE a." + column +
		" > 0 AND NOT EXISTS (SELECT 1 FROM " + in + " AS b WHERE b." + key + " = a." + column + ")"
	// Usually there are none, and then that is all that is asked.
	err = d.with(ctx, op, func(s *session) error {
		r, err := s.query(ctx, "SELECT TO_VARCHAR(COUNT(*)) FROM ("+lacks+") AS l")
		if err != nil || len(r.rows) == 0 {
			return err
		}
		if all, err = strconv.ParseInt(r.rows[0][0], 10, 64); err != nil || all == 0 {
			return err
		}
		list := "SELECT TO_VARCHAR(l.V) FROM (" + lacks + ") AS l ORDER BY l.V"
		if most > 0 {
			list += " LIMIT " + strconv.Itoa(most)
		}
		if r, err = s.query(ctx, list); err != nil {
			return err
		}
		for _, row := range r.rows {
			v, err := strconv.ParseInt(row[0], 10, 64)
			if err != nil {
				return fmt.Errorf("%q is no whole number", row[0])
			}
			values = append(values, v)
		}
		return nil
	})
	return values, all, err
}
