// Package truth compares a table of a destination with what a simulator says a perfect copy
// of the account would hold. It is the judge of the demonstration and of end-to-end tests: it
// knows neither the source nor the destination and shares no code with them.
package truth

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/simulate"
)

// maxExamples bounds the examples kept of each kind of difference.
const maxExamples = 5

// A Report says how a table differs from the truth.
type Report struct {
	Table     string    `json:"table"`
	Truth     int64     `json:"truth"`     // rows a copy must have
	Rows      int64     `json:"rows"`      // rows of the table that are not marked deleted
	Deleted   int64     `json:"deleted"`   // rows of the table that are marked deleted
	Equal     int64     `json:"equal"`     // rows that agree in every column
	Missing   int64     `json:"missing"`   // the truth has them, the table does not
	Extra     int64     `json:"extra"`     // the table has them, the truth does not
	Different int64     `json:"different"` // both have them, with other values
	Doubled   int64     `json:"doubled"`   // rows whose key the table has already
	Examples  []Example `json:"examples,omitempty"`

	// Columns are fields that the truth knows and the schema has no column for.
	Columns []string `json:"columns,omitempty"`
}

// An Example is one difference, for people.
type Example struct {
	Kind   string `json:"kind"` // "missing", "extra", "different", "doubled"
	Key    string `json:"key"`
	Column string `json:"column,omitempty"`
	Got    string `json:"got,omitempty"`  // in the table
	Want   string `json:"want,omitempty"` // in truth
}

func (e Example) String() string {
	if e.Column == "" {
		return e.Kind + " " + e.Key
	}
	return fmt.Sprintf("%s %s: %s is %s, should be %s", e.Kind, e.Key, e.Column, e.Got, e.Want)
}

// OK reports whether the table is a perfect copy.
func (r *Report) OK() bool {
	return r.Missing == 0 && r.Extra == 0 && r.Different == 0 && r.Doubled == 0 && len(r.Columns) == 0
}

// String sums the report up in a line.
func (r *Report) String() string {
	if r.OK() {
		return fmt.Sprintf("%s: %d rows, equal to the truth", r.Table, r.Rows)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %d rows of %d: %d missing, %d extra, %d different, %d doubled",
		r.Table, r.Rows, r.Truth, r.Missing, r.Extra, r.Different, r.Doubled)
	for _, e := range r.Examples {
		b.WriteString("; " + e.String())
	}
	if len(r.Columns) > 0 {
		b.WriteString("; no columns for " + strings.Join(r.Columns, ", "))
	}
	return b.String()
}

// Compare reads the table of schema's stream once and compares each row with the truth. The
// truth's rows are held in memory, the table's are not. Rows are matched by the schema's key;
// without one they are compared as a multiset.
//
// A column that the truth has no value for must be null. A row that is Gone may be absent; if
// it is there and the table has _deleted, it must be marked.
func Compare(ctx context.Context, tables martsync.TableReader, schema martsync.Schema, truth iter.Seq[simulate.Row]) (Report, error) {
	c := newComparison(schema)
	for row := range truth {
		if err := c.expect(row); err != nil {
			return c.report, &martsync.Error{Kind: martsync.Internal, Op: "truth of " + schema.Stream, Err: err}
		}
	}
	stored, records, err := tables.ReadTable(ctx, schema.Stream)
	if err != nil {
		return c.report, err
	}
	if err := c.bind(stored); err != nil {
		return c.report, &martsync.Error{Kind: martsync.Data, Op: "compare table " + schema.Stream, Err: err}
	}
	for r, err := range records {
		if err != nil {
			return c.report, err
		}
		for i := range r.Len {
			c.row(r, i)
		}
	}
	c.finish()
	return c.report, nil
}

// A comparison is one run of Compare.
type comparison struct {
	schema  martsync.Schema
	keys    []martsync.Column // the columns that identify a row: those of the key, or all
	origins []string          // parallel to schema.Columns: the name in Row.Values
	stored  []martsync.Column // the table's columns
	place   []int             // parallel to schema.Columns: the column of the table
	deletes bool              // the table has _deleted
	rows    map[string][]*expected
	report  Report
}

// expected is a row of the truth.
type expected struct {
	values map[string]any
	gone   bool
	found  bool
}

func newComparison(schema martsync.Schema) *comparison {
	c := &comparison{schema: schema, rows: map[string][]*expected{}, report: Report{Table: schema.Stream}}
	for _, column := range schema.Columns {
		origin := column.Origin
		if origin == "" {
			origin = column.Name
		}
		c.origins = append(c.origins, origin)
		if schema.IsKey(column.Name) {
			c.keys = append(c.keys, column)
		}
	}
	return c
}

// expect takes a row of the truth.
func (c *comparison) expect(row simulate.Row) error {
	e := &expected{values: row.Values, gone: row.Gone}
	for field := range row.Values {
		if !slices.Contains(c.origins, field) && !slices.Contains(c.report.Columns, field) {
			c.report.Columns = append(c.report.Columns, field)
			slices.Sort(c.report.Columns)
		}
	}
	var key strings.Builder
	for _, column := range c.keys {
		v := row.Values[originOf(column)]
		if _, several := v.(simulate.OneOf); several || v == nil {
			return fmt.Errorf("key %s is %v", column.Name, v)
		}
		key.WriteString(show(v))
		key.WriteByte(0)
	}
	if !row.Gone {
		c.report.Truth++
	}
	if len(c.keys) > 0 && c.rows[key.String()] != nil {
		return fmt.Errorf("key %s occurs twice", readable(key.String()))
	}
	c.rows[key.String()] = append(c.rows[key.String()], e)
	return nil
}

func originOf(column martsync.Column) string {
	if column.Origin != "" {
		return column.Origin
	}
	return column.Name
}

// bind finds the schema's columns in the stored table.
func (c *comparison) bind(stored martsync.Schema) error {
	c.stored = stored.Columns
	c.deletes = stored.Deletes
	for _, column := range c.schema.Columns {
		i := stored.Index(column.Name)
		if i < 0 {
			return fmt.Errorf("the table has no column %s", column.Name)
		}
		c.place = append(c.place, i)
	}
	return nil
}

// row compares row i of r, which is borrowed.
func (c *comparison) row(r *martsync.Records, i int) {
	deleted := r.Deleted != nil && r.Deleted[i]
	if deleted {
		c.report.Deleted++
	} else {
		c.report.Rows++
	}
	var key strings.Builder
	for _, column := range c.keys {
		at := c.place[c.schema.Index(column.Name)]
		key.WriteString(cellText(&r.Columns[at], c.stored[at], i))
		key.WriteByte(0)
	}
	candidates := c.rows[key.String()]
	if len(c.schema.Key) == 0 {
		c.anyOf(candidates, r, i)
		return
	}
	if len(candidates) == 0 {
		c.report.Extra++
		c.example(Example{Kind: "extra", Key: readable(key.String())})
		return
	}
	e := candidates[0]
	if e.found {
		c.report.Doubled++
		c.example(Example{Kind: "doubled", Key: readable(key.String())})
		return
	}
	e.found = true
	if c.deletes && deleted != e.gone {
		c.differ(Example{Key: readable(key.String()), Column: martsync.Deleted, Got: fmt.Sprint(deleted), Want: fmt.Sprint(e.gone)})
		return
	}
	if e.gone {
		return // the last values the vendor showed are kept; it shows none now
	}
	if column, ok := c.sameAs(e, r, i); !ok {
		at := c.place[column]
		c.differ(Example{
			Key: readable(key.String()), Column: c.schema.Columns[column].Name,
			Got: clip(cellText(&r.Columns[at], c.stored[at], i)), Want: clip(show(e.values[c.origins[column]])),
		})
		return
	}
	c.report.Equal++
}

// anyOf looks for a row of the truth that nobody has claimed yet, in a table without key.
func (c *comparison) anyOf(candidates []*expected, r *martsync.Records, i int) {
	for _, e := range candidates {
		if e.found {
			continue
		}
		if _, ok := c.sameAs(e, r, i); ok {
			e.found = true
			if !e.gone {
				c.report.Equal++
			}
			return
		}
	}
	var cells []string
	for column, at := range c.place {
		cells = append(cells, c.schema.Columns[column].Name+"="+clip(cellText(&r.Columns[at], c.stored[at], i)))
	}
	c.report.Extra++
	c.example(Example{Kind: "extra", Key: strings.Join(cells, " ")})
}

// sameAs reports whether every column agrees, or the first that does not.
func (c *comparison) sameAs(e *expected, r *martsync.Records, i int) (column int, ok bool) {
	for column, at := range c.place {
		if !cellIs(&r.Columns[at], c.stored[at], i, e.values[c.origins[column]]) {
			return column, false
		}
	}
	return 0, true
}

func (c *comparison) differ(e Example) {
	c.report.Different++
	e.Kind = "different"
	c.example(e)
}

// finish counts the rows of the truth that the table lacks.
func (c *comparison) finish() {
	var missing []string
	for key, rows := range c.rows {
		for _, e := range rows {
			if !e.found && !e.gone {
				c.report.Missing++
				if len(c.keys) == 0 {
					key = showRow(e.values)
				}
				missing = append(missing, key)
			}
		}
	}
	slices.Sort(missing)
	for _, key := range missing[:min(len(missing), maxExamples)] {
		c.example(Example{Kind: "missing", Key: readable(key)})
	}
}

func (c *comparison) example(e Example) {
	n := 0
	for _, o := range c.report.Examples {
		if o.Kind == e.Kind {
			n++
		}
	}
	if n < maxExamples {
		c.report.Examples = append(c.report.Examples, e)
	}
}

func readable(key string) string {
	return strings.ReplaceAll(strings.TrimSuffix(key, "\x00"), "\x00", "/")
}
