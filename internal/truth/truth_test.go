package truth

import (
	"context"
	"encoding/json"
	"iter"
	"math/big"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/simulate"
)

// A table is a TableReader of one table, given as rows of Go values.
type table struct {
	schema  martsync.Schema
	rows    [][]any
	deleted []bool
}

func (t table) ReadTable(context.Context, string) (martsync.Schema, iter.Seq2[*martsync.Records, error], error) {
	return t.schema, func(yield func(*martsync.Records, error) bool) {
		for i := 0; i < len(t.rows); i += 2 { // two rows a batch
			end := min(i+2, len(t.rows))
			if !yield(records(t.schema, t.rows[i:end], t.deleted, i), nil) {
				return
			}
		}
	}, nil
}

func records(schema martsync.Schema, rows [][]any, deleted []bool, from int) *martsync.Records {
	r := &martsync.Records{Len: len(rows), Columns: make([]martsync.Vector, len(schema.Columns))}
	if schema.Deletes {
		r.Deleted = make([]bool, len(rows))
		for i := range rows {
			r.Deleted[i] = len(deleted) > from+i && deleted[from+i]
		}
	}
	for c, column := range schema.Columns {
		v := &r.Columns[c]
		v.Type, v.Nulls, v.Offsets = column.Type, make([]bool, len(rows)), []int32{0}
		for i, row := range rows {
			appendCell(v, column, i, row[c])
		}
	}
	return r
}

func appendCell(v *martsync.Vector, column martsync.Column, i int, cell any) {
	v.Nulls[i] = cell == nil
	v.Bools, v.Ints = append(v.Bools, cell == true), append(v.Ints, 0)
	v.Days, v.Floats, v.Decimals = append(v.Days, 0), append(v.Floats, 0), append(v.Decimals, martsync.Int128{})
	switch cell := cell.(type) {
	case int:
		v.Ints[i], v.Days[i] = int64(cell), int32(cell)
	case float64:
		v.Floats[i] = cell
	case time.Time:
		v.Ints[i] = cell.UnixMicro()
	case string:
		if column.Type == martsync.Decimal {
			n, _ := new(big.Int).SetString(cell, 10)
			low := new(big.Int).And(n, new(big.Int).SetUint64(1<<64-1))
			v.Decimals[i] = martsync.Int128{Hi: new(big.Int).Rsh(n, 64).Int64(), Lo: low.Uint64()}
			break
		}
		v.Data = append(v.Data, cell...)
	}
	v.Offsets = append(v.Offsets, int32(len(v.Data)))
}

var people = martsync.Schema{
	Stream: "people", Key: []string{"id"}, Deletes: true,
	Columns: []martsync.Column{
		{Name: "id", Type: martsync.Int64}, {Name: "first_name", Type: martsync.String, Origin: "firstName"},
	},
}

func row(values ...any) simulate.Row {
	m := map[string]any{}
	for i := 0; i < len(values); i += 2 {
		m[values[i].(string)] = values[i+1]
	}
	return simulate.Row{Values: m}
}

func gone(r simulate.Row) simulate.Row {
	r.Gone = true
	return r
}

func TestCompare(t *testing.T) {
	ann, bob := row("id", int64(1), "firstName", "Ann"), row("id", int64(2), "firstName", "Bob")
	for _, tc := range []struct {
		name    string
		schema  martsync.Schema
		rows    [][]any
		deleted []bool
		truth   []simulate.Row
		want    Report
		ok      bool
	}{
		{
			"equal, in another order", people,
			[][]any{{2, "Bob"}, {1, "Ann"}},
			nil,
			[]simulate.Row{ann, bob},
			Report{Truth: 2, Rows: 2, Equal: 2},
			true,
		},
		{
			"missing", people,
			[][]any{{2, "Bob"}},
			nil,
			[]simulate.Row{ann, bob},
			Report{Truth: 2, Rows: 1, Equal: 1, Missing: 1, Examples: []Example{{Kind: "missing", Key: "1"}}},
			false,
		},
		{
			"extra", people,
			[][]any{{1, "Ann"}, {2, "Bob"}, {3, "Eve"}},
			nil,
			[]simulate.Row{ann, bob},
			Report{Truth: 2, Rows: 3, Equal: 2, Extra: 1, Examples: []Example{{Kind: "extra", Key: "3"}}},
			false,
		},
		{
			"different", people,
			[][]any{{1, "Anne"}},
			nil,
			[]simulate.Row{ann},
			Report{Truth: 1, Rows: 1, Different: 1, Examples: []Example{{Kind: "different", Key: "1", Column: "first_name", Got: "Anne", Want: "Ann"}}},
			false,
		},
		{
			"null for a value", people,
			[][]any{{1, nil}},
			nil,
			[]simulate.Row{ann},
			Report{Truth: 1, Rows: 1, Different: 1, Examples: []Example{{Kind: "different", Key: "1", Column: "first_name", Got: "null", Want: "Ann"}}},
			false,
		},
		{
			"value for nothing", people,
			[][]any{{1, ""}},
			nil,
			[]simulate.Row{row("id", int64(1))},
			Report{Truth: 1, Rows: 1, Different: 1, Examples: []Example{{Kind: "different", Key: "1", Column: "first_name", Got: "", Want: "null"}}},
			false,
		},
		{
			"doubled", people,
			[][]any{{1, "Ann"}, {1, "Ann"}},
			nil,
			[]simulate.Row{ann},
			Report{Truth: 1, Rows: 2, Equal: 1, Doubled: 1, Examples: []Example{{Kind: "doubled", Key: "1"}}},
			false,
		},
		{
			"gone and absent", people,
			[][]any{{1, "Ann"}},
			nil,
			[]simulate.Row{ann, gone(bob)},
			Report{Truth: 1, Rows: 1, Equal: 1},
			true,
		},
		{
			"gone and marked, with its last values", people,
			[][]any{{1, "Ann"}, {2, "Robert"}},
			[]bool{false, true},
			[]simulate.Row{ann, gone(bob)},
			Report{Truth: 1, Rows: 1, Deleted: 1, Equal: 1},
			true,
		},
		{
			"gone and not marked", people,
			[][]any{{2, "Bob"}},
			nil,
			[]simulate.Row{gone(bob)},
			Report{Rows: 1, Different: 1, Examples: []Example{{Kind: "different", Key: "2", Column: "_deleted", Got: "false", Want: "true"}}},
			false,
		},
		{
			"marked and not gone", people,
			[][]any{{2, "Bob"}},
			[]bool{true},
			[]simulate.Row{bob},
			Report{Truth: 1, Deleted: 1, Different: 1, Examples: []Example{{Kind: "different", Key: "2", Column: "_deleted", Got: "true", Want: "false"}}},
			false,
		},
		{
			"several right answers", people,
			[][]any{{1, "Ann"}, {2, nil}},
			nil,
			[]simulate.Row{row("id", int64(1), "firstName", simulate.OneOf{"Anne", "Ann"}), row("id", int64(2), "firstName", simulate.OneOf{"", nil})},
			Report{Truth: 2, Rows: 2, Equal: 2},
			true,
		},
		{
			"none of several", people,
			[][]any{{1, "Ann"}},
			nil,
			[]simulate.Row{row("id", int64(1), "firstName", simulate.OneOf{"A", "B"})},
			Report{Truth: 1, Rows: 1, Different: 1, Examples: []Example{{Kind: "different", Key: "1", Column: "first_name", Got: "Ann", Want: "A or B"}}},
			false,
		},
		{
			"a field without column", people,
			[][]any{{1, "Ann"}},
			nil,
			[]simulate.Row{row("id", int64(1), "firstName", "Ann", "age", int64(3))},
			Report{Truth: 1, Rows: 1, Equal: 1, Columns: []string{"age"}},
			false,
		},
		{
			"a table without key",
			martsync.Schema{Stream: "people", Columns: people.Columns},
			[][]any{{1, "Ann"}, {1, "Ann"}, {2, "Bob"}},
			nil,
			[]simulate.Row{ann, ann, row("id", int64(2), "firstName", simulate.OneOf{"Rob", "Bob"})},
			Report{Truth: 3, Rows: 3, Equal: 3},
			true,
		},
		{
			"a table without key, one too few and one too many",
			martsync.Schema{Stream: "people", Columns: people.Columns},
			[][]any{{1, "Ann"}, {3, "Eve"}},
			nil,
			[]simulate.Row{ann, ann},
			Report{Truth: 2, Rows: 2, Equal: 1, Missing: 1, Extra: 1, Examples: []Example{{Kind: "extra", Key: "id=3 first_name=Eve"}, {Kind: "missing", Key: "firstName=Ann id=1"}}},
			false,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := Compare(t.Context(), table{tc.schema, tc.rows, tc.deleted}, tc.schema, slices.Values(tc.truth))
			if err != nil {
				t.Fatal(err)
			}
			tc.want.Table = "people"
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("report (-want +got):\n%s", diff)
			}
			if got.OK() != tc.ok {
				t.Errorf("OK: got %v, want %v", got.OK(), tc.ok)
			}
		})
	}
}

func TestCompareRefuses(t *testing.T) {
	ann := row("id", int64(1), "firstName", "Ann")
	narrow := people
	narrow.Columns = people.Columns[:1]
	for _, tc := range []struct {
		name    string
		stored  martsync.Schema
		truth   []simulate.Row
		wantErr string
	}{
		{"a table that lacks a column", narrow, []simulate.Row{ann}, "compare table people: the table has no column first_name"},
		{"a truth that repeats a key", people, []simulate.Row{ann, ann}, "truth of people: key 1 occurs twice"},
		{"a truth without key", people, []simulate.Row{row("firstName", "Ann")}, "truth of people: key id is <nil>"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := Compare(t.Context(), table{schema: tc.stored}, people, slices.Values(tc.truth))
			if err == nil || err.Error() != tc.wantErr {
				t.Errorf("got %v, want %s", err, tc.wantErr)
			}
		})
	}
}

func TestCellIs(t *testing.T) {
	noon := time.Date(2024, 5, 1, 12, 0, 0, 123456789, time.UTC)
	number := martsync.Column{Type: martsync.Decimal, Precision: 38, Scale: 6}
	for _, tc := range []struct {
		name   string
		column martsync.Column
		cell   any
		want   any
		is     bool
	}{
		{"int", martsync.Column{Type: martsync.Int64}, 5, int64(5), true},
		{"int as float", martsync.Column{Type: martsync.Int64}, 5, 5.0, true},
		{"int as text", martsync.Column{Type: martsync.Int64}, 5, "5", true},
		{"int, not a fraction", martsync.Column{Type: martsync.Int64}, 5, 5.5, false},
		{"int is no bool", martsync.Column{Type: martsync.Int64}, 1, true, false},
		{"bool", martsync.Column{Type: martsync.Bool}, false, false, true},
		{"bool is no text", martsync.Column{Type: martsync.Bool}, true, "true", false},
		{"float", martsync.Column{Type: martsync.Float64}, 0.1, 0.1, true},
		{"float as text", martsync.Column{Type: martsync.Float64}, 0.1, "0.10", true},
		{"float for an int", martsync.Column{Type: martsync.Float64}, 3.0, int64(3), true},
		{"float, the next one", martsync.Column{Type: martsync.Float64}, 0.30000000000000004, 0.3, false},
		{"decimal", number, "1500000", "1.5", true},
		{"decimal for a float", number, "100000", 0.1, true},
		{"decimal, the last digit", number, "1500001", "1.5", false},
		{"decimal, negative", number, "-1500000", "-1.50", true},
		{"decimal of 38 digits", number, "99999999999999999999999999999999999999", "99999999999999999999999999999999.999999", true},
		{"text", martsync.Column{Type: martsync.String}, "0012", "0012", true},
		{"text is no number", martsync.Column{Type: martsync.String}, "12", int64(12), false},
		{"text of JSON", martsync.Column{Type: martsync.String}, `{"a":1}`, json.RawMessage(`{ "a": 1 }`), true},
		{"text null is not null", martsync.Column{Type: martsync.String}, "null", nil, false},
		{"date", martsync.Column{Type: martsync.Date}, 19844, "2024-05-01", true},
		{"date as time", martsync.Column{Type: martsync.Date}, 19844, noon.Truncate(24 * time.Hour), true},
		{"date with time", martsync.Column{Type: martsync.Date}, 19844, noon, false},
		{"timestamp, cut to microseconds", martsync.Column{Type: martsync.Timestamp}, noon, noon.Truncate(time.Microsecond), true},
		{"timestamp, a second later", martsync.Column{Type: martsync.Timestamp}, noon, noon.Add(time.Second), false},
		{"json, other order", martsync.Column{Type: martsync.JSON}, `{"b":[1,2],"a":1.0}`, json.RawMessage(`{"a":1,"b":[1, 2]}`), true},
		{"json, other list", martsync.Column{Type: martsync.JSON}, `[2,1]`, json.RawMessage(`[1,2]`), false},
		{"json, number and text", martsync.Column{Type: martsync.JSON}, `{"a":"1"}`, json.RawMessage(`{"a":1}`), false},
		{"json, digits beyond a float", martsync.Column{Type: martsync.JSON}, `12345678901234567891`, json.RawMessage(`12345678901234567892`), false},
		{"json, a member more", martsync.Column{Type: martsync.JSON}, `{"a":1,"b":null}`, json.RawMessage(`{"a":1}`), false},
		{"json null", martsync.Column{Type: martsync.JSON}, nil, json.RawMessage(`null`), true},
		{"json text", martsync.Column{Type: martsync.JSON}, `"x"`, "x", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.column.Name = "x"
			r := records(martsync.Schema{Columns: []martsync.Column{tc.column}}, [][]any{{tc.cell}}, nil, 0)
			if got := cellIs(&r.Columns[0], tc.column, 0, tc.want); got != tc.is {
				t.Errorf("cell %v is %v: got %v, want %v", tc.cell, tc.want, got, tc.is)
			}
		})
	}
}

func FuzzSameJSON(f *testing.F) {
	f.Add(`{"a":[1,2.50,"x",null]}`)
	f.Add(`1e400`)
	f.Add(`{"a":1}{}`)
	f.Fuzz(func(t *testing.T, s string) {
		if !sameJSON([]byte(s), []byte(s)) {
			t.Errorf("%q is not the same as itself", s)
		}
		v, err := decodeJSON([]byte(s))
		if err != nil {
			return
		}
		text, err := json.Marshal(v)
		if err == nil && !sameJSON([]byte(s), text) {
			t.Errorf("%q is not the same as %q", s, text)
		}
	})
}
