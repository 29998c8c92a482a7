package snowflake

import (
	"context"
	"strings"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/sqlgen"
)

var _ martsync.TimeReader = (*destination)(nil)

// NewestTime returns the greatest time in a column of a table, whoever made the table. The name may be
// qualified. For a column of timestamps Snowflake answers from what it knows of the table's files.
func (d *destination) NewestTime(ctx context.Context, table, column string) (time.Time, error) {
	op := "newest time of table " + table
	path, columns, err := d.find(ctx, table)
	if err != nil || columns == nil {
		return time.Time{}, err
	}
	c, ok := d.column(columns, column)
	if !ok {
		return time.Time{}, configError(op, "Name the column with its times in start_table.", "it has no column %s", column)
	}
	expression, ok := asTime(c, ident(c.name))
	if !ok {
		return time.Time{}, nil // holds no times
	}
	var newest time.Time
	err = d.with(ctx, op, func(s *session) error {
		r, err := s.query(ctx, "SELECT MAX("+expression+") FROM "+sqlgen.Name(path...))
		if err != nil || len(r.rows) == 0 || r.rows[0][0] == "" {
			return err
		}
		newest, err = time.Parse(time.RFC3339Nano, r.rows[0][0])
		newest = newest.UTC()
		return err
	})
	return newest, err
}

// column finds a column by our name or by the catalog's, without regard to case and underscores if need be.
func (d *destination) column(columns []described, name string) (described, bool) {
	fold := func(s string) string { return strings.ReplaceAll(strings.ToLower(s), "_", "") }
	for _, same := range []func(c string) bool{
		func(c string) bool { return c == name || d.ourName(c) == name },
		func(c string) bool { return strings.EqualFold(c, name) },
		func(c string) bool { return fold(c) == fold(name) },
	} {
		for _, c := range columns {
			if same(c.name) {
				return c, true
			}
		}
	}
	return described{}, false
}

// asTime is a column as a time in UTC, without time zone. Times without a zone count as UTC, and text that reads as no
// time as NULL. ok is false for a type that holds no times.
func asTime(c described, expression string) (_ string, ok bool) {
	base, _, _ := strings.Cut(upper(c.typ), "(")
	switch base {
	case "TIMESTAMP_NTZ", "DATETIME", "DATE":
		return expression, true
	case "TIMESTAMP_LTZ", "TIMESTAMP_TZ":
		return "CONVERT_TIMEZONE('UTC', " + expression + ")::TIMESTAMP_NTZ", true
	case "VARCHAR", "TEXT", "STRING":
		return dialect.Cast(expression, martsync.Column{Type: martsync.Timestamp}), true
	}
	return "", false
}
