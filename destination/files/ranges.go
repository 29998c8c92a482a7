package files

import (
	"fmt"

	"github.com/martsync/martsync"
)

// rangedColumns are the columns whose range is kept for each file: a key that is one int64, and
// what tells times.
func rangedColumns(s *martsync.Schema) (columns []int) {
	for i, c := range s.Columns {
		switch c.Type {
		case martsync.Int64:
			if len(s.Key) != 1 || s.Key[0] != c.Name {
				continue
			}
		case martsync.Timestamp, martsync.Date:
		default:
			continue
		}
		columns = append(columns, i)
	}
	return columns
}

// note keeps what the manifest tells of rows that were added. Of a tombstone only its key and
// its version count.
func (f *openFile) note(s *martsync.Schema, ranged []int, r *martsync.Records) {
	f.raw += r.Size()
	for _, flags := range [][]bool{r.Tombstone, r.Deleted} {
		for _, set := range flags {
			f.deleted = f.deleted || set
		}
	}
	for _, i := range ranged {
		c, v := s.Columns[i], &r.Columns[i]
		known, found := f.ranges[c.Name]
		counts := s.IsKey(c.Name) || c.Name == s.Version
		for row := range r.Len {
			if v.Null(row) || r.Tombstone != nil && r.Tombstone[row] && !counts {
				continue
			}
			var value int64
			if c.Type == martsync.Date {
				value = int64(v.Days[row])
			} else {
				value = v.Ints[row]
			}
			if !found {
				known, found = valueRange{value, value}, true
			}
			known.Min, known.Max = min(known.Min, value), max(known.Max, value)
		}
		if found {
			f.ranges[c.Name] = known
		}
	}
}

// matches reports how r is not records of s. What is in the cells is the source's word.
func matches(s *martsync.Schema, r *martsync.Records) error {
	switch {
	case r.Len < 0 || r.Len > martsync.MaxRows:
		return fmt.Errorf("%d rows, want at most %d", r.Len, martsync.MaxRows)
	case len(r.Columns) != len(s.Columns):
		return fmt.Errorf("%d vectors for %d columns", len(r.Columns), len(s.Columns))
	case !s.Deletes && (r.Tombstone != nil || r.Deleted != nil):
		return fmt.Errorf("deletions in stream %s, whose schema says that it tells none", s.Stream)
	}
	for i, c := range s.Columns {
		if r.Columns[i].Type != c.Type {
			return fmt.Errorf("column %s: vector of type %v, want %v", c.Name, r.Columns[i].Type, c.Type)
		}
	}
	return nil
}
