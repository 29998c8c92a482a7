// Package sqlgen writes the SQL that SQL destinations have in common: identifiers and
// literals, CREATE and ALTER TABLE, MERGE by key and version, views, and the system tables.
//
// It only makes text. It runs nothing, knows no driver and needs no cgo. What differs
// between warehouses is a Dialect; which statements are run, when and in which transaction,
// is the destination's business.
package sqlgen

import (
	"strings"

	"github.com/martsync/martsync"
)

// Ident quotes an identifier. Every string without NUL comes back from the database as it was.
func Ident(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// Name quotes a qualified name. Empty parts are left out.
func Name(parts ...string) string {
	var b strings.Builder
	for _, p := range parts {
		if p == "" {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte('.')
		}
		b.WriteString(Ident(p))
	}
	return b.String()
}

// Text quotes a string literal.
func Text(s string) string { return `'` + strings.ReplaceAll(s, `'`, `''`) + `'` }

// Idents quotes identifiers and joins them by commas, each behind the prefix ("s." or "").
func Idents(prefix string, names []string) string {
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = prefix + Ident(n)
	}
	return strings.Join(quoted, ", ")
}

// TableColumns is the columns of the table of s: its own, then the system columns.
func TableColumns(s martsync.Schema) []martsync.Column {
	columns := make([]martsync.Column, 0, len(s.Columns)+2)
	columns = append(columns, s.Columns...)
	columns = append(columns, martsync.Column{Name: martsync.SyncedAt, Type: martsync.Timestamp})
	if s.Deletes {
		columns = append(columns, martsync.Column{Name: martsync.Deleted, Type: martsync.Bool})
	}
	return columns
}
