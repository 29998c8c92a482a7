package snowflake

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/martsync/martsync/internal/sqlgen"
)

// show runs a query with a small result and returns its rows by the names of its columns.
func (d *destination) show(ctx context.Context, op, query string) ([]map[string]string, error) {
	var rows []map[string]string
	err := d.with(ctx, op, func(s *session) error {
		r, err := s.query(ctx, query)
		if err != nil {
			return err
		}
		for i := range r.rows {
			row := make(map[string]string, len(r.columns))
			for j, c := range r.columns {
				row[c] = r.rows[i][j]
			}
			rows = append(rows, row)
		}
		return nil
	})
	return rows, err
}

// A described column is a column as the catalog has it.
type described struct{ name, typ string }

// describe returns the columns of a table or view; nil: the role sees none of that name. It needs no
// warehouse.
func (d *destination) describe(ctx context.Context, path []string) ([]described, error) {
	rows, err := d.show(ctx, "describe table "+path[len(path)-1], "DESCRIBE TABLE "+sqlgen.Name(path...))
	if missing(err) {
		return nil, nil
	}
	columns := make([]described, 0, len(rows))
	for _, r := range rows {
		columns = append(columns, described{r["name"], declared(r["type"], r["comment"])})
	}
	return columns, err
}

// objectPath is the database, the schema and the name of something that the configuration names, in the
// catalog's spelling. What is left out is the destination's.
func (d *destination) objectPath(name string) []string {
	var parts []string
	var b strings.Builder
	quoted := false
	for _, r := range name {
		if r == '"' {
			quoted = !quoted
		}
		if r == '.' && !quoted {
			parts = append(parts, object(b.String()))
			b.Reset()
			continue
		}
		b.WriteRune(r)
	}
	parts = append(parts, object(b.String()))
	return append([]string{d.database, d.schema, ""}[:max(0, 3-len(parts))], parts...)
}

// sorted returns the keys of a map in order.
func sorted[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
