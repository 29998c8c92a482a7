// Package evolve fits tables to schemas, for destinations that choose for themselves how a table
// keeps its values. What a database can do to a table that exists is in package sqlgen.
package evolve

import (
	"slices"

	"github.com/martsync/martsync"
)

// Fit returns the columns of a table once it fits s, and what has to change for it: columns are added
// and widened, never removed. A table without columns is new, so nothing changes.
func Fit(have []martsync.Column, s *martsync.Schema) ([]martsync.Column, []martsync.Change) {
	var changes []martsync.Change
	columns := slices.Clone(have)
	for _, c := range s.Columns {
		i := slices.IndexFunc(columns, func(have martsync.Column) bool { return have.Name == c.Name })
		if i < 0 {
			columns = append(columns, c)
			if len(have) > 0 {
				changes = append(changes, martsync.Change{Column: c.Name, Action: martsync.ColumnAdded, To: c.TypeName()})
			}
			continue
		}
		if wide := Common(columns[i], c); wide.TypeName() != columns[i].TypeName() {
			changes = append(changes, martsync.Change{
				Column: c.Name, Action: martsync.ColumnWidened, From: columns[i].TypeName(), To: wide.TypeName(),
			})
			columns[i] = wide
		}
	}
	for _, c := range columns {
		if s.Index(c.Name) < 0 {
			changes = append(changes, martsync.Change{Column: c.Name, Action: martsync.ColumnMissing, From: c.TypeName(), To: c.TypeName()})
		}
	}
	return columns, changes
}

// Common returns the column that holds the values of both without loss.
func Common(have, want martsync.Column) martsync.Column {
	wide := have
	switch {
	case have.Type == martsync.Decimal && want.Type == martsync.Decimal:
		wide.Scale = max(have.Scale, want.Scale)
		wide.Precision = max(have.Precision-have.Scale, want.Precision-want.Scale) + wide.Scale
		if wide.Precision > 38 {
			wide.Type, wide.Precision, wide.Scale = martsync.String, 0, 0
		}
	case have.Type == want.Type:
	case have.Type == martsync.Date && want.Type == martsync.Timestamp, have.Type == martsync.Timestamp && want.Type == martsync.Date:
		wide.Type = martsync.Timestamp
	case have.Type == martsync.Binary || want.Type == martsync.Binary:
		wide.Type, wide.Precision, wide.Scale = martsync.Binary, 0, 0
	default:
		wide.Type, wide.Precision, wide.Scale = martsync.String, 0, 0
	}
	return wide
}
