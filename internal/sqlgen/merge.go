package sqlgen

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/martsync/martsync"
)

// A Merge describes how staged rows go into a table. The source holds each key at most once.
type Merge struct {
	Target  string   // quoted name
	Source  string   // quoted name, or a query in parentheses
	Key     []string // columns that identify a row
	Version string   // column that orders versions; "": the source wins
	Columns []string // columns that the source has and that are taken over, keys included
	Set     []Assign // further columns
	Insert  []Assign // columns that only new rows get

	// Of these columns a NULL of the source does not replace the target's value.
	Sticky []string

	// Unless the row is new, take over only these of Columns. Nil: all that are not keys.
	Update []string
}

// An Assign gives a column a value.
type Assign struct {
	Column string
	Value  string // an expression; "s." is the source
}

// SQL is the statement. The target's rows are "t", the source's are "s".
//
// The SET list is explicit and leaves out the keys: in DuckDB an update that touches an
// indexed column becomes a delete and an insert, which takes an order of magnitude longer.
// Keys are compared so that NULL equals NULL; otherwise such a row would be inserted anew by
// every load. A NULL version is lower than any other, and of equal versions the source wins.
func (m Merge) SQL() string {
	var b strings.Builder
	b.WriteString("MERGE INTO " + m.Target + " AS t USING " + m.Source + " AS s ON ")
	b.WriteString(SameKey("t", "s", m.Key))

	update := m.Update
	if update == nil {
		for _, c := range m.Columns {
			if !slices.Contains(m.Key, c) {
				update = append(update, c)
			}
		}
	}
	var set []string
	for _, c := range update {
		value := "s." + Ident(c)
		if slices.Contains(m.Sticky, c) {
			value = "coalesce(" + value + ", t." + Ident(c) + ")"
		}
		set = append(set, Ident(c)+" = "+value)
	}
	names := slices.Clone(m.Columns)
	values := make([]string, 0, len(names)+len(m.Set))
	for _, c := range m.Columns {
		values = append(values, "s."+Ident(c))
	}
	for _, a := range m.Set {
		set = append(set, Ident(a.Column)+" = "+a.Value)
		names, values = append(names, a.Column), append(values, a.Value)
	}
	for _, a := range m.Insert {
		names, values = append(names, a.Column), append(values, a.Value)
	}
	b.WriteString("\nWHEN MATCHED")
	if m.Version != "" {
		v := Ident(m.Version)
		b.WriteString(" AND (t." + v + " IS NULL OR s." + v + " >= t." + v + ")")
	}
	b.WriteString(" THEN UPDATE SET " + strings.Join(set, ", "))
	b.WriteString("\nWHEN NOT MATCHED THEN INSERT (" + Idents("", names) + ") VALUES (" + strings.Join(values, ", ") + ")")
	return b.String()
}

// SameKey compares the keys of two aliases; NULL equals NULL.
func SameKey(a, b string, key []string) string {
	terms := make([]string, len(key))
	for i, k := range key {
		terms[i] = a + "." + Ident(k) + " IS NOT DISTINCT FROM " + b + "." + Ident(k)
	}
	return strings.Join(terms, " AND ")
}

// LatestOrder orders the versions of a record within a load, the one that wins first.
func LatestOrder(version, sequence string) string {
	order := Ident(sequence) + " DESC"
	if version != "" {
		order = Ident(version) + " DESC NULLS LAST, " + order
	}
	return order
}

// MarkAbsent is the statement that marks the rows of a scope that are not among the keys in
// present, a quoted name or a query in parentheses ("" for none). condition restricts it to
// the scope; at is the literal of the commit's time.
func MarkAbsent(table, present string, key []string, condition, at string) string {
	var b strings.Builder
	b.WriteString("UPDATE " + table + " AS t SET " + Ident(martsync.Deleted) + " = true, " + Ident(martsync.SyncedAt) + " = " + at)
	b.WriteString("\nWHERE t." + Ident(martsync.Deleted) + " IS NOT TRUE")
	if condition != "" {
		b.WriteString(" AND " + condition)
	}
	if present != "" {
		b.WriteString("\nAND NOT EXISTS (SELECT 1 FROM " + present + " AS s WHERE " + SameKey("t", "s", key) + ")")
	}
	return b.String()
}

// Count are the statements that mark rows as a census of the key column says: those that no
// longer exist, and those that exist after all. at is the literal of the commit's time.
func Count(table, key string, c martsync.Census, at string) []string {
	k, deleted := "t."+Ident(key), "t."+Ident(martsync.Deleted)
	set := func(value string) string {
		return "UPDATE " + table + " AS t SET " + Ident(martsync.Deleted) + " = " + value + ", " + Ident(martsync.SyncedAt) + " = " + at
	}
	within := fmt.Sprintf("%s > %d AND %s <= %d", k, c.After, k, c.UpTo)
	if len(c.Keys) == 0 {
		return []string{set("true") + "\nWHERE " + deleted + " IS NOT TRUE AND " + within}
	}
	var b strings.Builder
	for i, id := range c.Keys {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.FormatInt(id, 10))
	}
	keys := "(" + b.String() + ")"
	return []string{
		set("true") + "\nWHERE " + deleted + " IS NOT TRUE AND " + within + " AND " + k + " NOT IN " + keys,
		set("false") + "\nWHERE " + deleted + " AND " + within + " AND " + k + " IN " + keys,
	}
}
