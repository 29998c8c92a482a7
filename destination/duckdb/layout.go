//go:build cgo && !lite

package duckdb

import (
	"context"
	"strings"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/sqlgen"
)

// A layout is a table as it is in the file.
type layout struct {
	name    string // as the catalog spells it; names are equal regardless of ASCII case
	isView  bool
	columns []storedColumn
}

// A storedColumn is a column as it is in the file.
type storedColumn struct {
	martsync.Column
	typ   string // in DuckDB's words
	known bool   // we make columns of this type, or may widen it to one of those
	exact bool   // it is one of those
}

// find returns the position of a column, or -1.
func (l *layout) find(name string) int {
	for i := range l.columns {
		if fold(l.columns[i].Name) == fold(name) {
			return i
		}
	}
	return -1
}

func (l *layout) has(name string) bool { return l.find(name) >= 0 }

// names of the columns, in order.
func (l *layout) names() []string {
	names := make([]string, len(l.columns))
	for i, c := range l.columns {
		names[i] = c.Name
	}
	return names
}

// fold makes names comparable as DuckDB compares them: without the case of ASCII letters.
func fold(name string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, name)
}

// layouts reads what tables and views of the schema look like, by folded name.
func (d *destination) layouts(ctx context.Context, c *conn) (map[string]*layout, error) {
	rows, err := c.strings(ctx, `SELECT c.table_name, c.column_name, c.data_type, v.view_name
FROM duckdb_columns() c
LEFT JOIN duckdb_views() v ON v.database_name = c.database_name AND v.schema_name = c.schema_name AND v.view_name = c.table_name
WHERE c.database_name = ? AND lower(c.schema_name) = lower(?)
ORDER BY c.table_name, c.column_index`, catalog, d.schema)
	if err != nil {
		return nil, err
	}
	tables := map[string]*layout{}
	for _, r := range rows {
		l := tables[fold(r[0])]
		if l == nil {
			l = &layout{name: r[0], isView: r[3] != ""}
			tables[fold(r[0])] = l
		}
		col, exact, ok := sqlgen.DuckDBColumn(r[1], r[2])
		l.columns = append(l.columns, storedColumn{Column: col, typ: r[2], known: ok, exact: exact})
	}
	return tables, nil
}

// fit plans what has to be changed so that the table holds the schema's records, and says what
// the table looks like afterwards.
func (d *destination) fit(old *layout, s martsync.Schema) (now *layout, changes []martsync.Change, statements []string, err error) {
	now = &layout{name: old.name, columns: append([]storedColumn(nil), old.columns...)}
	table := d.table(old.name)
	wanted := sqlgen.TableColumns(s)
	for _, c := range wanted {
		typ := sqlgen.DuckDB.Type(c)
		i := now.find(c.Name)
		if i < 0 {
			statements = append(statements, sqlgen.DuckDB.AddColumn(table, c))
			now.columns = append(now.columns, storedColumn{Column: c, typ: typ, known: true, exact: true})
			changes = append(changes, martsync.Change{Column: c.Name, Action: martsync.ColumnAdded, To: typ})
			continue
		}
		have := &now.columns[i]
		if !have.known {
			return nil, nil, nil, configError("open table "+old.name, "rename the column, or change its type to "+typ+" or VARCHAR",
				"column %s has the type %s, to which values of %s are not written", have.Name, have.typ, c.TypeName())
		}
		wide := sqlgen.Widen(have.Column, c)
		if have.exact && sqlgen.SameType(wide, have.Column) {
			continue
		}
		if c.Name == martsync.SyncedAt || c.Name == martsync.Deleted {
			return nil, nil, nil, configError("open table "+old.name, "rename the column, or change its type to "+typ,
				"column %s has the type %s", have.Name, have.typ)
		}
		from := have.typ
		have.Column, have.typ, have.exact = wide, sqlgen.DuckDB.Type(wide), true
		statements = append(statements, sqlgen.DuckDB.WidenColumn(table, have.Column))
		changes = append(changes, martsync.Change{Column: have.Name, Action: martsync.ColumnWidened, From: from, To: have.typ})
	}
	in := layout{}
	for _, c := range wanted {
		in.columns = append(in.columns, storedColumn{Column: c})
	}
	for _, c := range old.columns {
		if !in.has(c.Name) && c.Name != martsync.Deleted {
			changes = append(changes, martsync.Change{Column: c.Name, Action: martsync.ColumnMissing, From: c.typ, To: c.typ})
		}
	}
	return now, changes, statements, nil
}

// same reports whether two layouts have equal columns in equal order.
func (l *layout) same(m *layout) bool {
	if m == nil || len(l.columns) != len(m.columns) {
		return false
	}
	for i := range l.columns {
		if l.columns[i].Name != m.columns[i].Name || l.columns[i].typ != m.columns[i].typ {
			return false
		}
	}
	return true
}
