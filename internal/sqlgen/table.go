package sqlgen

import (
	"strings"

	"github.com/martsync/martsync"
)

// CreateSchema is the statement that makes a database schema unless it exists.
func CreateSchema(schema string) string { return "CREATE SCHEMA IF NOT EXISTS " + Ident(schema) }

// CreateTable is the statement that makes a table unless it exists. name is quoted. There is no
// primary key: the destination keeps keys unique by the way it loads, which is cheaper than
// an index in every warehouse we know.
func (d Dialect) CreateTable(name string, columns []martsync.Column) string {
	var b strings.Builder
	b.WriteString("CREATE TABLE IF NOT EXISTS ")
	b.WriteString(name)
	b.WriteString(" (")
	for i, c := range columns {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString("\n  ")
		b.WriteString(Ident(c.Name))
		b.WriteByte(' ')
		b.WriteString(d.Type(c))
	}
	b.WriteString("\n)")
	return b.String()
}

// AddColumn is the statement that adds a column. Rows that exist get NULL, or false in the
// column that marks deletions. The default is text: of an expression, and false is one, DuckDB makes
// several statements, which cannot be prepared.
func (d Dialect) AddColumn(table string, c martsync.Column) string {
	s := "ALTER TABLE " + table + " ADD COLUMN " + Ident(c.Name) + " " + d.Type(c)
	if c.Name == martsync.Deleted {
		s += " DEFAULT 'false'"
	}
	return s
}

// WidenColumn is the statement that changes the type of a column and keeps its values.
func (d Dialect) WidenColumn(table string, c martsync.Column) string {
	return "ALTER TABLE " + table + " " + d.Alter(c.Name, d.Type(c))
}
