package destinationtest

import (
	"fmt"
	"math"
	"math/big"
	"slices"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/rows"
)

func column(name string, t martsync.Type) martsync.Column {
	return martsync.Column{Name: name, Type: t}
}

func decimal(name string, precision, scale int) martsync.Column {
	return martsync.Column{Name: name, Type: martsync.Decimal, Precision: precision, Scale: scale}
}

// table is a schema with an id and one more column.
func with(c martsync.Column) martsync.Schema {
	return martsync.Schema{Stream: "things", Key: []string{"id"}, Columns: []martsync.Column{column("id", martsync.Int64), c}}
}

// changes are the actions of a writer's changes, by column. Words for types differ.
func changes(w martsync.Writer) map[string]martsync.ChangeAction {
	actions := map[string]martsync.ChangeAction{}
	for _, c := range w.Changes() {
		actions[c.Column] = c.Action
	}
	return actions
}

func (b *bench) wantChanges(w martsync.Writer, want map[string]martsync.ChangeAction) {
	b.Helper()
	if diff := cmp.Diff(want, changes(w), cmpopts.EquateEmpty()); diff != "" {
		b.Errorf("changes (-want +got):\n%s", diff)
	}
	for _, c := range w.Changes() {
		if c.Action == martsync.ColumnWidened && (c.From == "" || c.To == "" || c.From == c.To) {
			b.Errorf("widened column %s: got %q to %q, want two types", c.Column, c.From, c.To)
		}
	}
}

var schemaLaws = []law{
	{"a table that fits is not changed", func(b *bench) {
		b.load(keyed, "1", alive{int64(1), "Ann", v(1)})
		b.restart()
		w := b.open(keyed)
		b.wantChanges(w, nil)
		b.close(w)
	}},
	{"new columns are added and null in old rows", func(b *bench) {
		b.load(keyed, "1", alive{int64(1), "Ann", v(1)})
		s := keyed
		s.Columns = append(slices.Clone(keyed.Columns), column("score", martsync.Float64), column("order", martsync.Bool))
		w := b.open(s)
		b.wantChanges(w, map[string]martsync.ChangeAction{"score": martsync.ColumnAdded, "order": martsync.ColumnAdded})
		b.write(w, s, alive{int64(2), "Bob", v(1), 1.5, true})
		b.commit(w, martsync.Commit{Next: "2"})
		b.close(w)
		b.want(s, alive{int64(1), "Ann", v(1), nil, nil}, alive{int64(2), "Bob", v(1), 1.5, true})
	}},
	{"columns may come in any order", func(b *bench) {
		b.load(keyed, "1", alive{int64(1), "Ann", v(1)})
		s := keyed
		s.Columns = []martsync.Column{column("new", martsync.String), keyed.Columns[2], keyed.Columns[1], keyed.Columns[0]}
		b.load(s, "2", alive{"x", v(2), "Anna", int64(1)}, alive{"y", v(1), "Bob", int64(2)})
		b.want(s, alive{"x", v(2), "Anna", int64(1)}, alive{"y", v(1), "Bob", int64(2)})
	}},
	{"columns that are missing are kept and reported", func(b *bench) {
		b.load(keyed, "1", alive{int64(1), "Ann", v(1)}, alive{int64(2), "Bob", v(1)})
		s := keyed
		s.Columns = []martsync.Column{keyed.Columns[0], keyed.Columns[2]}
		w := b.open(s)
		b.wantChanges(w, map[string]martsync.ChangeAction{"name": martsync.ColumnMissing})
		b.write(w, s, alive{int64(1), v(2)}, alive{int64(3), v(1)})
		b.commit(w, martsync.Commit{Next: "2"})
		b.close(w)
		b.want(s, alive{int64(1), v(2)}, alive{int64(2), v(1)}, alive{int64(3), v(1)})
		schema, all := b.table("people")
		if schema.Index("name") < 0 {
			b.Fatal("the table has lost the column name")
		}
		for _, row := range all {
			if row["id"] == int64(2) && row["name"] != "Bob" || row["id"] == int64(3) && row["name"] != nil {
				b.Errorf("column name of row %v: got %v", row["id"], row["name"])
			}
		}
		b.load(keyed, "3", alive{int64(3), "Cem", v(2)}) // it is back
		b.wantCell("people", int64(3), "name", "Cem")
	}},
	{"a stream that begins to tell deletions, and stops", func(b *bench) {
		silent := keyed
		silent.Deletes = false
		b.load(silent, "1", alive{int64(1), "Ann", v(1)}, alive{int64(2), "Bob", v(1)})
		b.restart()
		w := b.open(keyed)
		b.write(w, keyed, tombstone{int64(1), nil, v(2)}, alive{int64(3), "Cem", v(1)})
		b.commit(w, martsync.Commit{Next: "2"})
		b.close(w)
		b.want(keyed, flagged{int64(1), "Ann", v(2)}, alive{int64(2), "Bob", v(1)}, alive{int64(3), "Cem", v(1)})
		b.load(silent, "3", alive{int64(2), "Bobby", v(2)}, alive{int64(4), "Dan", v(1)})
		b.want(keyed, flagged{int64(1), "Ann", v(2)}, alive{int64(2), "Bobby", v(2)}, alive{int64(3), "Cem", v(1)}, alive{int64(4), "Dan", v(1)})
	}},
	{"int64 widens to string", func(b *bench) {
		b.load(with(column("x", martsync.Int64)), "1", alive{int64(1), int64(-42)}, alive{int64(2), nil})
		w := b.open(with(column("x", martsync.String)))
		b.wantChanges(w, map[string]martsync.ChangeAction{"x": martsync.ColumnWidened})
		b.write(w, with(column("x", martsync.String)), alive{int64(3), "n/a"})
		b.commit(w, martsync.Commit{Next: "2"})
		b.close(w)
		b.want(with(column("x", martsync.String)), alive{int64(1), "-42"}, alive{int64(2), nil}, alive{int64(3), "n/a"})
	}},
	{"a widened column still takes the narrow type", func(b *bench) {
		b.load(with(column("x", martsync.String)), "1", alive{int64(1), "n/a"})
		w := b.open(with(column("x", martsync.Int64)))
		b.wantChanges(w, nil)
		b.write(w, with(column("x", martsync.Int64)), alive{int64(2), int64(7)})
		b.commit(w, martsync.Commit{Next: "2"})
		b.close(w)
		b.want(with(column("x", martsync.String)), alive{int64(1), "n/a"}, alive{int64(2), "7"})
	}},
	{"decimals widen", func(b *bench) {
		small, large := with(decimal("x", 10, 2)), with(decimal("x", 20, 4))
		b.load(small, "1", alive{int64(1), mustDecimal("-12345678.90", 2)})
		w := b.open(large)
		b.wantChanges(w, map[string]martsync.ChangeAction{"x": martsync.ColumnWidened})
		b.write(w, large, alive{int64(2), mustDecimal("1234567890123456.7891", 4)})
		b.commit(w, martsync.Commit{Next: "2"})
		b.close(w)
		b.want(large, alive{int64(1), mustDecimal("-12345678.9000", 4)}, alive{int64(2), mustDecimal("1234567890123456.7891", 4)})
	}},
	{"dates widen to timestamps", func(b *bench) {
		b.load(with(column("x", martsync.Date)), "1", alive{int64(1), rows.Date(19_782)})
		w := b.open(with(column("x", martsync.Timestamp)))
		b.wantChanges(w, map[string]martsync.ChangeAction{"x": martsync.ColumnWidened})
		b.close(w)
		b.want(with(column("x", martsync.Timestamp)), alive{int64(1), v(19_782 * 86400)})
	}},
	{"a column of any type becomes one of any other", func(b *bench) {
		before := []struct {
			column martsync.Column
			cell   any
		}{
			{column("", martsync.Bool), true},
			{column("", martsync.Int64), int64(math.MinInt64)},
			{column("", martsync.Float64), 0.1},
			{decimal("", 5, 2), mustDecimal("-123.45", 2)},
			{decimal("", 38, 6), nines(38, 6, 1)},
			{column("", martsync.String), "it's text"},
			{column("", martsync.Binary), rows.Bytes("bytes")},
			{column("", martsync.Date), day(1969, 12, 31)},
			{column("", martsync.Timestamp), rows.Micros(-1)},
			{column("", martsync.JSON), rows.JSON(`{"a":[1,null]}`)},
		}
		was := martsync.Schema{Stream: "things", Key: []string{"id"}, Columns: []martsync.Column{column("id", martsync.Int64)}}
		is := was
		is.Columns = slices.Clone(was.Columns)
		old, same, new := alive{int64(1)}, alive{int64(2)}, alive{int64(3)}
		for i, from := range before {
			for j, to := range before {
				name := fmt.Sprintf("c%d_%d", i, j)
				from.column.Name, to.column.Name = name, name
				was.Columns, is.Columns = append(was.Columns, from.column), append(is.Columns, to.column)
				old, same, new = append(old, from.cell), append(same, from.cell), append(new, to.cell)
			}
		}
		b.load(was, "1", old, same)
		b.load(is, "2", new)
		b.load(was, "3", same) // the wider column takes it as it took the row before
		_, all := b.table(was.Stream)
		cells := map[any]map[string]any{}
		for _, row := range all {
			cells[row["id"]] = row
		}
		for i := range was.Columns[1:] {
			from, to := was.Columns[i+1], is.Columns[i+1]
			first, second, third := cells[int64(1)][from.Name], cells[int64(2)][from.Name], cells[int64(3)][from.Name]
			if first == nil || third == nil || first != second {
				b.Errorf("%s to %s: rows have %v, %v and %v, want values, the first two alike", from.TypeName(), to.TypeName(), first, second, third)
			}
		}
	}},
	{"a change of the table does not make rows visible or move the cursor", func(b *bench) {
		b.load(with(column("x", martsync.Int64)), "1", alive{int64(1), int64(1)})
		w := b.open(with(column("x", martsync.String)))
		b.write(w, with(column("x", martsync.String)), alive{int64(2), "b"})
		b.close(w)
		b.restart()
		b.wantCursor(with(column("x", martsync.String)), "1", "")
		b.want(with(column("x", martsync.String)), alive{int64(1), "1"})
	}},
	{"any snake_case word is a column", func(b *bench) {
		s := martsync.Schema{Stream: "select", Key: []string{"key"}, Columns: []martsync.Column{column("key", martsync.String)}}
		row := alive{"k"}
		for _, name := range []string{
			"order", "group", "table", "select", "from", "value", "user", "timestamp", "end", "_1st", "a__c",
			"rowid", "cursor", "rn", "src", "dst", "seq", "_row", "_tombstone", "version", "größe",
		} {
			s.Columns = append(s.Columns, column(name, martsync.String))
			row = append(row, "the "+name)
		}
		b.load(s, "1", row)
		b.load(s, "2", row)
		b.want(s, row)
	}},
	{"a table of 1,000 columns", func(b *bench) {
		s := martsync.Schema{Stream: "wide", Key: []string{"c0"}, Columns: []martsync.Column{column("c0", martsync.Int64)}}
		row := alive{int64(1)}
		for i := 1; i < 1000; i++ {
			s.Columns = append(s.Columns, column(fmt.Sprintf("c%d", i), martsync.String))
			row = append(row, fmt.Sprint(i))
		}
		b.load(s, "1", row)
		row = slices.Clone(row)
		row[999] = "changed"
		b.load(s, "2", row)
		b.want(s, row)
	}},
}

func (b *bench) wantCell(stream string, id any, column string, want any) {
	b.Helper()
	_, all := b.table(stream)
	for _, row := range all {
		if row["id"] == id {
			if row[column] != want {
				b.Errorf("%s of row %v: got %v, want %v", column, id, row[column], want)
			}
			return
		}
	}
	b.Errorf("row %v is not there", id)
}

func mustDecimal(text string, scale int) rows.Decimal {
	d, err := rows.ParseDecimal(text, scale)
	if err != nil {
		panic(err)
	}
	return d
}

// nines is a decimal of so many nines.
func nines(digits, scale int, sign int64) rows.Decimal {
	n := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(digits)), nil)
	n.Sub(n, big.NewInt(1))
	return rows.DecimalOf(n.Mul(n, big.NewInt(sign)), scale)
}
