package rows

import (
	"encoding/json"
	"fmt"
	"unicode/utf8"

	"github.com/martsync/martsync"
)

// Check reports the first way in which r is not well-formed records of s.
func Check(s *martsync.Schema, r *martsync.Records) error {
	if r.Len < 0 || r.Len > martsync.MaxRows {
		return fmt.Errorf("%d rows, want at most %d", r.Len, martsync.MaxRows)
	}
	if len(r.Columns) != len(s.Columns) {
		return fmt.Errorf("%d vectors for %d columns", len(r.Columns), len(s.Columns))
	}
	if err := flags("tombstone", r.Tombstone, r.Len); err != nil {
		return err
	}
	if err := flags("deleted", r.Deleted, r.Len); err != nil {
		return err
	}
	if !s.Deletes && (r.Tombstone != nil || r.Deleted != nil) {
		return fmt.Errorf("deletions in stream %s, whose schema says that it tells none", s.Stream)
	}
	for i, c := range s.Columns {
		if err := checkVector(s, c, &r.Columns[i], r); err != nil {
			return fmt.Errorf("column %s: %w", c.Name, err)
		}
	}
	return nil
}

func flags(name string, f []bool, n int) error {
	if f != nil && len(f) != n {
		return fmt.Errorf("%d %s flags for %d rows", len(f), name, n)
	}
	return nil
}

func checkVector(s *martsync.Schema, c martsync.Column, v *martsync.Vector, r *martsync.Records) error {
	if v.Type != c.Type {
		return fmt.Errorf("vector of type %v, want %v", v.Type, c.Type)
	}
	if err := flags("null", v.Nulls, r.Len); err != nil {
		return err
	}
	var entries int
	switch c.Type {
	case martsync.Bool:
		entries = len(v.Bools)
	case martsync.Int64, martsync.Timestamp:
		entries = len(v.Ints)
	case martsync.Date:
		entries = len(v.Days)
	case martsync.Float64:
		entries = len(v.Floats)
	case martsync.Decimal:
		entries = len(v.Decimals)
	default:
		entries = len(v.Offsets) - 1
	}
	if entries != r.Len {
		return fmt.Errorf("%d entries for %d rows", entries, r.Len)
	}
	for i := range r.Len {
		if v.Null(i) {
			if s.IsKey(c.Name) {
				return fmt.Errorf("row %d: null in a key column", i)
			}
			continue
		}
		if Tombstone(r, i) && !s.IsKey(c.Name) && c.Name != s.Version {
			continue
		}
		if c.Type == martsync.String && !utf8.Valid(v.Bytes(i)) {
			return fmt.Errorf("row %d: %q is not UTF-8", i, v.Bytes(i))
		}
		if c.Type == martsync.JSON && (!json.Valid(v.Bytes(i)) || !utf8.Valid(v.Bytes(i))) {
			return fmt.Errorf("row %d: %q is not JSON", i, v.Bytes(i))
		}
	}
	return nil
}

// Poison overwrites the memory of r with nonsense, the way its owner may after lending it
// out. Whoever kept a slice of it then sees the nonsense.
func Poison(r *martsync.Records) {
	if r == nil {
		return
	}
	fill(r.Tombstone, true)
	fill(r.Deleted, true)
	for i := range r.Columns {
		v := &r.Columns[i]
		fill(v.Nulls, true)
		fill(v.Bools, true)
		fill(v.Ints, -6148914691236517206) // 0xAA…
		fill(v.Days, -1431655766)
		fill(v.Floats, -1e300)
		fill(v.Decimals, martsync.Int128{Hi: -1, Lo: 0xAAAAAAAA})
		fill(v.Data, 0xAA)
	}
}

func fill[T any](s []T, v T) {
	for i := range s {
		s[i] = v
	}
}
