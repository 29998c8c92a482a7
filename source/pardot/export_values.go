package pardot

import (
	"bytes"
	"slices"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/flatjson"
)

// Files have no lists: several values of a field, such as a custom field of check boxes, stand in
// one cell with semicolons between them. Queries tell them apart, so their columns are of type
// JSON. Account Engagement, Importing and Exporting: "separate multiple values with semicolons".
const valueSeparator = ';'

// lists turns the cells of JSON columns, which the file reader takes for text, into lists.
type lists struct {
	columns []int // of type JSON
	vectors []martsync.Vector
	text    []martsync.Column // the columns as the file reader sees them
	records martsync.Records
	row     []martsync.Vector
}

func newLists(columns []martsync.Column) *lists {
	l := &lists{text: slices.Clone(columns)}
	for i, c := range columns {
		if c.Type == martsync.JSON {
			l.columns = append(l.columns, i)
			l.text[i].Type = martsync.String
		}
	}
	l.vectors = make([]martsync.Vector, len(l.columns))
	return l
}

// convert returns the records with their lists. They are borrowed as r is, and until the next call.
func (l *lists) convert(r *martsync.Records) *martsync.Records {
	if len(l.columns) == 0 {
		return r
	}
	l.row = append(l.row[:0], r.Columns...)
	for k, i := range l.columns {
		from, to := &r.Columns[i], &l.vectors[k]
		to.Type, to.Nulls = martsync.JSON, from.Nulls
		to.Data, to.Offsets = to.Data[:0], append(to.Offsets[:0], 0)
		for n := range r.Len {
			if !from.Null(n) {
				to.Data = appendList(to.Data, from.Bytes(n))
			}
			to.Offsets = append(to.Offsets, int32(len(to.Data))) //nolint:gosec // a batch is far smaller
		}
		l.row[i] = *to
	}
	l.records = *r
	l.records.Columns = l.row
	return &l.records
}

// appendList writes a cell as a JSON list of texts. A cell that is a JSON list already stays one.
func appendList(b, cell []byte) []byte {
	if len(cell) > 0 && cell[0] == '[' && flatjson.Valid(cell) {
		return flatjson.AppendCompact(b, cell)
	}
	b = append(b, '[')
	for i, value := range bytes.Split(cell, []byte{valueSeparator}) {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendQuoted(b, value)
	}
	return append(b, ']')
}
