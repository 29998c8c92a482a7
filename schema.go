package martsync

import (
	"fmt"
	"slices"
)

// A Schema describes the records of a stream and the table they go to.
//
// Destinations add the system columns themselves, after the columns of the schema:
// SyncedAt to every table and Deleted where Deletes is set.
type Schema struct {
	Stream   string   // "leads": plural, snake_case; also the name of the table
	Columns  []Column // in the vendor's order; columns that appear later come last
	Key      []string // names of the columns that identify a record; none: append only
	Version  string   // column that orders the versions of a record, the highest wins; "": the last one written wins
	Snapshot bool     // each read is complete: a commit replaces the table
	Deletes  bool     // the source tells deletions: the table has a column _deleted
}

// System columns that destinations append to the columns of a schema.
const (
	SyncedAt = "_synced_at" // timestamp of the sync that last wrote the row
	Deleted  = "_deleted"   // bool: the record no longer exists at the source
)

// A Column is one column of a stream.
type Column struct {
	Name        string // snake_case, unique in its schema
	Type        Type
	Precision   int    // decimals only: digits in all, 1 to 38
	Scale       int    // decimals only: digits after the point
	Origin      string // the vendor's name; "" if the column is ours
	Description string // for listings; may be empty

	// Sticky columns are told by some ways of reading a record and not by others: a null
	// does not replace the value that an earlier commit wrote.
	Sticky bool
}

// Type is the type of a column.
type Type uint8

// The nine column types. Every source maps the vendor's types to these and every
// destination stores all of them without loss.
const (
	Bool      Type = iota + 1
	Int64          // signed 64-bit
	Float64        // IEEE double
	Decimal        // 128-bit integer scaled by 10^Scale
	String         // UTF-8 text, any length
	Binary         // bytes, any length
	Date           // days since 1970-01-01, in 32 bits
	Timestamp      // microseconds since 1970-01-01T00:00:00Z
	JSON           // UTF-8 text that is one JSON value
)

var typeNames = [...]string{
	Bool: "bool", Int64: "int64", Float64: "float64", Decimal: "decimal", String: "string",
	Binary: "binary", Date: "date", Timestamp: "timestamp", JSON: "json",
}

func (t Type) String() string {
	if int(t) < len(typeNames) && typeNames[t] != "" {
		return typeNames[t]
	}
	return fmt.Sprintf("Type(%d)", uint8(t))
}

// TypeName describes the column's type for people, such as "decimal(38,6)".
func (c Column) TypeName() string {
	if c.Type == Decimal {
		return fmt.Sprintf("decimal(%d,%d)", c.Precision, c.Scale)
	}
	return c.Type.String()
}

// Index returns the position of the named column, or -1.
func (s *Schema) Index(name string) int {
	return slices.IndexFunc(s.Columns, func(c Column) bool { return c.Name == name })
}

// IsKey reports whether the named column is part of the key.
func (s *Schema) IsKey(name string) bool { return slices.Contains(s.Key, name) }

// Validate reports the first thing about s that would break a destination: a connector's
// bug, hence an error of kind Internal.
func (s *Schema) Validate() error {
	fail := func(format string, args ...any) error {
		return &Error{Kind: Internal, Op: "schema of " + s.Stream, Err: fmt.Errorf(format, args...)}
	}
	if s.Stream == "" {
		return fail("a stream needs a name")
	}
	if len(s.Columns) == 0 {
		return fail("a stream needs columns")
	}
	seen := make(map[string]bool, len(s.Columns))
	for _, c := range s.Columns {
		switch {
		case c.Name == "" || c.Name == SyncedAt || c.Name == Deleted:
			return fail("column name %q is not allowed", c.Name)
		case seen[c.Name]:
			return fail("column %q occurs twice", c.Name)
		case c.Type < Bool || c.Type > JSON:
			return fail("column %q has no type", c.Name)
		case c.Type == Decimal && (c.Precision < 1 || c.Precision > 38 || c.Scale < 0 || c.Scale > c.Precision):
			return fail("column %q: decimal(%d,%d) is out of range", c.Name, c.Precision, c.Scale)
		}
		seen[c.Name] = true
	}
	for _, k := range s.Key {
		if !seen[k] {
			return fail("key column %q does not exist", k)
		}
	}
	if s.Version != "" && !seen[s.Version] {
		return fail("version column %q does not exist", s.Version)
	}
	if s.Deletes && len(s.Key) == 0 {
		return fail("deletes need a key")
	}
	return nil
}
