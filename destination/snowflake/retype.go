package snowflake

import (
	"context"
	"fmt"
	"strings"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/sqlgen"
)

// Snowflake changes few types in place. For the others a column gets a successor: a new column takes
// over the values, converted, and then the name; the old column stays beside it under another
// name, with its values as they were.
//
//	1. ADD COLUMN x__martsync_new
//	2. UPDATE x__martsync_new = x
//	3. RENAME x TO x__was_number_19_0
//	4. RENAME x__martsync_new TO x
//
// Each step commits by itself, so a run may die between any two: whoever opens the table next finds the column
// x__martsync_new and goes on. Before step 2 the stream's number of commits is raised, so that no
// writer that was opened before can commit values that the copy misses (I2).

// passing ends the name of a column that is about to take over.
const passing = "__MARTSYNC_NEW"

func (d *destination) passingName(name string) string {
	if d.config.Identifiers == upperIdentifiers {
		return name + passing
	}
	return name + lower(passing)
}

// isPassing reports whether a column is about to take over from another one.
func (d *destination) isPassing(name string) bool { return strings.HasSuffix(upper(name), passing) }

// retiredName is what the old column is called from then on.
func (d *destination) retiredName(table *layout, c storedColumn) string {
	typ := strings.Trim(strings.Map(func(r rune) rune {
		if r == '(' || r == ',' || r == ')' {
			return '_'
		}
		return r
	}, c.typ), "_")
	name := retired + typ
	if d.config.Identifiers != upperIdentifiers {
		name = lower(name)
	}
	name = c.Name + name
	for n, free := 2, name; ; n++ {
		if table.find(free) < 0 {
			return free
		}
		free = fmt.Sprintf("%s_%d", name, n)
	}
}

// finish completes changes of type that an earlier run began and did not end: step 4 is left of those whose
// column has already given its name away. The others are done from the beginning.
func (s *session) finish(ctx context.Context, table *layout) (changed bool, err error) {
	for _, c := range table.columns {
		if !s.d.isPassing(c.Name) {
			continue
		}
		name := c.Name[:len(c.Name)-len(passing)]
		if table.find(name) >= 0 {
			continue
		}
		if _, err := s.exec(ctx, s.d.rename(table.name, c.Name, name)); err != nil {
			return true, err
		}
		changed = true
	}
	return changed, nil
}

func (d *destination) rename(table, from, to string) string {
	return "ALTER TABLE " + d.qualified(table) + " RENAME COLUMN " + ident(from) + " TO " + ident(to)
}

// retype gives columns another type. It reports whether it has raised the number of commits.
func (s *session) retype(ctx context.Context, table *layout, columns []retyping, stream string, commits int64) (raised bool, err error) {
	if len(columns) == 0 {
		return false, nil
	}
	d := s.d
	var set []string
	for _, r := range columns {
		to := d.passingName(r.from.Name)
		if table.find(to) >= 0 { // of a run that died; it may have another type
			if _, err := s.exec(ctx, "ALTER TABLE "+d.qualified(table.name)+" DROP COLUMN "+ident(to)); err != nil {
				return false, err
			}
		}
		if _, err := s.exec(ctx, "ALTER TABLE "+d.qualified(table.name)+" ADD COLUMN "+ident(to)+" "+declaration(r.to.Column)); err != nil {
			return false, err
		}
		set = append(set, ident(to)+" = "+converted(ident(r.from.Name), r.from.Column, r.to.Column))
	}
	if table.rows != 0 {
		if err := s.announce(ctx, stream, commits, "retype"); err != nil {
			return false, err
		}
		n, err := s.exec(ctx, d.bump(), stream, commits)
		if err != nil {
			return false, err
		}
		if n == 0 && commits > 0 {
			return false, conflict(stream)
		}
		raised = n > 0
		if _, err := s.exec(ctx, "UPDATE "+d.qualified(table.name)+" SET "+strings.Join(set, ", ")); err != nil {
			return raised, err
		}
	}
	for _, r := range columns {
		if err := s.execAll(ctx, []string{
			d.rename(table.name, r.from.Name, d.retiredName(table, r.from)),
			d.rename(table.name, d.passingName(r.from.Name), r.from.Name),
		}); err != nil {
			return raised, err
		}
	}
	return raised, nil
}

// bump raises the number of commits of a stream, so that writers that are open cannot commit.
func (d *destination) bump() string {
	return "UPDATE " + d.table(sqlgen.Cursors) + " SET " + d.name("commits") + " = " + d.name("commits") + " + 1 WHERE " +
		d.name("stream") + " = ? AND " + d.name("commits") + " = ?"
}

// converted is an expression of one column type as another one that holds its values.
func converted(expression string, from, to martsync.Column) string {
	switch {
	case to.Type == from.Type && sqlType(from) == sqlType(to):
		return expression
	case to.Type == martsync.String:
		switch from.Type {
		case martsync.Date:
			return "TO_VARCHAR(" + expression + ", 'YYYY-MM-DD')"
		case martsync.Timestamp:
			return "TO_VARCHAR(" + expression + `, 'YYYY-MM-DD"T"HH24:MI:SS.FF6"Z"')`
		case martsync.JSON:
			return "TO_JSON(" + expression + ")"
		case martsync.Binary:
			return "TO_VARCHAR(" + expression + ", 'HEX')"
		default:
			return "TO_VARCHAR(" + expression + ")"
		}
	}
	return "CAST(" + expression + " AS " + sqlType(to) + ")"
}
