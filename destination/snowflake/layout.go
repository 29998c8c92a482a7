package snowflake

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/sqlgen"
)

// A layout is a table as it is in the account.
type layout struct {
	name    string // in the catalog's spelling
	rows    int64  // as SHOW TABLES counts them, which is exact for tables; -1: not told
	columns []storedColumn
}

// A storedColumn is a column as it is in the account. Its Name is the catalog's.
type storedColumn struct {
	martsync.Column
	typ   string // in Snowflake's words
	known bool   // we make columns of this type, or may widen it to one of those
	exact bool   // it is one of those
}

// find returns the position of a column by its name in the catalog, or -1.
func (l *layout) find(name string) int {
	return slices.IndexFunc(l.columns, func(c storedColumn) bool { return c.Name == name })
}

// retired is in the names of columns that keep the values from before a change of type.
const retired = "__WAS_"

// isRetired reports whether a column keeps the values from before a change of type.
func isRetired(name string) bool { return strings.Contains(upper(name), retired) }

// An alteration is what has to be done so that a table fits a schema.
type alteration struct {
	add    []storedColumn // columns that the table lacks
	widen  []storedColumn // columns whose type ALTER can change in place: what they become
	retype []retyping     // columns that get a successor of another type
}

// A retyping gives a column another type: its values move to a new column, which takes its name.
type retyping struct {
	from, to storedColumn
}

// fit plans what has to be changed so that the table holds the schema's records, and says what
// the table looks like afterwards.
func (d *destination) fit(old *layout, s martsync.Schema) (now *layout, plan alteration, changes []martsync.Change, err error) {
	now = &layout{name: old.name, rows: old.rows, columns: slices.Clone(old.columns)}
	wanted := map[string]bool{}
	for _, c := range sqlgen.TableColumns(s) {
		name, typ := d.config.columnName(c), sqlType(c)
		wanted[name] = true
		stored := storedColumn{Column: c, typ: typ, known: true, exact: true}
		stored.Name = name
		i := now.find(name)
		if i < 0 {
			plan.add = append(plan.add, stored)
			now.columns = append(now.columns, stored)
			changes = append(changes, martsync.Change{Column: c.Name, Action: martsync.ColumnAdded, To: typ})
			continue
		}
		have := &now.columns[i]
		if !have.known {
			return nil, plan, nil, configError("open table "+s.Stream, "Rename the column, or change its type to "+typ+" or VARCHAR.",
				"column %s has the type %s, to which values of %s are not written", have.Name, have.typ, c.TypeName())
		}
		wide := sqlgen.Widen(have.Column, c)
		if have.exact && sqlgen.SameType(wide, have.Column) {
			continue
		}
		if c.Name == martsync.SyncedAt || c.Name == martsync.Deleted {
			return nil, plan, nil, configError("open table "+s.Stream, "Rename the column, or change its type to "+typ+".",
				"column %s has the type %s", have.Name, have.typ)
		}
		before := *have
		have.Column, have.typ, have.exact = wide, sqlType(wide), true
		if before.typ == have.typ {
			continue
		}
		if inPlace(before, *have) {
			plan.widen = append(plan.widen, *have)
		} else {
			plan.retype = append(plan.retype, retyping{before, *have})
		}
		changes = append(changes, martsync.Change{Column: c.Name, Action: martsync.ColumnWidened, From: before.typ, To: have.typ})
	}
	for _, c := range old.columns {
		if !wanted[c.Name] && c.Name != d.deleted() && !isRetired(c.Name) && !d.isPassing(c.Name) {
			changes = append(changes, martsync.Change{Column: d.ourName(c.Name), Action: martsync.ColumnMissing, From: c.typ, To: c.typ})
		}
	}
	return now, plan, changes, nil
}

// inPlace reports whether ALTER TABLE can change the type of a column: more digits before the point, longer text.
// https://docs.snowflake.com/en/sql-reference/sql/alter-table-column
func inPlace(from, to storedColumn) bool {
	number := func(c storedColumn) bool { return c.Type == martsync.Int64 || c.Type == martsync.Decimal }
	switch {
	case number(from) && number(to):
		return from.Scale == to.Scale
	case from.Type == to.Type:
		return from.Type == martsync.String || from.Type == martsync.Binary
	}
	return false
}

// deleted and synced are the catalog's names of the system columns.
func (d *destination) deleted() string {
	return d.config.columnName(martsync.Column{Name: martsync.Deleted})
}

func (d *destination) synced() string {
	return d.config.columnName(martsync.Column{Name: martsync.SyncedAt})
}

// describeTable reads what a table looks like.
func (s *session) describeTable(ctx context.Context, name string) (*layout, error) {
	r, err := s.query(ctx, "DESCRIBE TABLE "+s.d.qualified(name))
	if err != nil {
		return nil, err
	}
	l := &layout{name: name, rows: -1}
	for i := range r.rows {
		typ := declared(r.cell(i, "type"), r.cell(i, "comment"))
		c, exact, known := columnOf(r.cell(i, "name"), typ)
		l.columns = append(l.columns, storedColumn{Column: c, typ: typ, known: known, exact: exact})
	}
	return l, nil
}

// A listed table is a row of SHOW TABLES.
type listed struct {
	name, comment string
	rows          int64
}

// showTables lists the tables of the schema whose names match a pattern of LIKE, in which _ and % are
// wild and case is not looked at.
func (s *session) showTables(ctx context.Context, pattern string) ([]listed, error) {
	r, err := s.query(ctx, "SHOW TABLES LIKE "+text(pattern)+" IN SCHEMA "+sqlgen.Name(s.d.database, s.d.schema))
	if err != nil {
		return nil, err
	}
	var out []listed
	for i := range r.rows {
		t := listed{name: r.cell(i, "name"), comment: r.cell(i, "comment"), rows: -1}
		if _, err := fmt.Sscan(r.cell(i, "rows"), &t.rows); err != nil {
			t.rows = -1
		}
		out = append(out, t)
	}
	return out, nil
}

// showTable finds the table of this very name, in the catalog's spelling; nil: there is none.
func (s *session) showTable(ctx context.Context, name string) (*listed, error) {
	tables, err := s.showTables(ctx, name)
	if i := slices.IndexFunc(tables, func(t listed) bool { return t.name == name }); i >= 0 {
		return &tables[i], err
	}
	return nil, err
}
