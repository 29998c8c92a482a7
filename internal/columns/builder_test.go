package columns

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/martsync/martsync"
)

// all has a column of every type.
var all = []martsync.Column{
	{Name: "id", Type: martsync.Int64, Origin: "id"},
	{Name: "email", Type: martsync.String, Origin: "email"},
	{Name: "ok", Type: martsync.Bool, Origin: "OK"},
	{Name: "score", Type: martsync.Float64, Origin: "score"},
	{Name: "amount", Type: martsync.Decimal, Precision: 10, Scale: 2, Origin: "amount"},
	{Name: "born", Type: martsync.Date, Origin: "born"},
	{Name: "updated_at", Type: martsync.Timestamp, Origin: "updatedAt"},
	{Name: "attributes", Type: martsync.JSON, Origin: "attributes"},
	{Name: "blob", Type: martsync.Binary},
}

// rows returns what a builder holds as Go values.
func rows(columns []martsync.Column, r *martsync.Records) [][]any {
	out := make([][]any, r.Len)
	for i := range out {
		for c := range columns {
			out[i] = append(out[i], Value(columns[c], &r.Columns[c], i))
		}
	}
	return out
}

func cells(text ...string) [][]byte {
	out := make([][]byte, len(text))
	for i, s := range text {
		if s != "null" {
			out[i] = []byte(s)
		}
	}
	return out
}

// checkShape verifies what every consumer of records relies on.
func checkShape(t *testing.T, columns []martsync.Column, r *martsync.Records) {
	t.Helper()
	if len(r.Columns) != len(columns) {
		t.Fatalf("%d vectors, want %d", len(r.Columns), len(columns))
	}
	for i, c := range columns {
		v := &r.Columns[i]
		n := len(v.Bools) + len(v.Ints) + len(v.Days) + len(v.Floats) + len(v.Decimals) + max(0, len(v.Offsets)-1)
		if v.Type != c.Type || n != r.Len || v.Nulls != nil && len(v.Nulls) != r.Len {
			t.Errorf("column %s: type %v, %d values, %d nulls, want %v and %d", c.Name, v.Type, n, len(v.Nulls), c.Type, r.Len)
		}
		if variable(c.Type) {
			if v.Offsets[0] != 0 || int(v.Offsets[r.Len]) != len(v.Data) {
				t.Errorf("column %s: offsets from %d to %d for %d bytes", c.Name, v.Offsets[0], v.Offsets[r.Len], len(v.Data))
			}
		}
	}
	for name, flags := range map[string][]bool{"Tombstone": r.Tombstone, "Deleted": r.Deleted} {
		if flags != nil && len(flags) != r.Len {
			t.Errorf("%s has %d entries, want %d", name, len(flags), r.Len)
		}
	}
}

func TestAppendCells(t *testing.T) {
	b := NewBuilder(all)
	append1 := func(text ...string) {
		t.Helper()
		if err := b.AppendCells(cells(text...)); err != nil {
			t.Fatalf("AppendCells(%q): %v", text, err)
		}
	}
	append1("1", "a@example.com", "true", "1.5", "12.5", "2026-03-02", "2026-03-02T08:15:04Z", `{"a": 1}`, "\x00\xff")
	append1("null", "null", "null", "null", "null", "null", "null", "null", "null")
	append1("-3", "", "0", "-0", "-0.01", "1969-12-31", "1969-12-31", `"x"`, "")
	append1("", "x", "", "", "", "", "", "", "y")
	want := [][]any{
		{
			int64(1), "a@example.com", true, 1.5, "12.50", time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC),
			time.Date(2026, 3, 2, 8, 15, 4, 0, time.UTC), json.RawMessage(`{"a": 1}`), []byte("\x00\xff"),
		},
		{nil, nil, nil, nil, nil, nil, nil, nil, nil},
		{
			int64(-3), "", false, 0.0, "-0.01", time.Date(1969, 12, 31, 0, 0, 0, 0, time.UTC),
			time.Date(1969, 12, 31, 0, 0, 0, 0, time.UTC), json.RawMessage(`"x"`),
			[]byte{},
		},
		{nil, "x", nil, nil, nil, nil, nil, nil, []byte("y")},
	}
	r := b.Records()
	checkShape(t, all, r)
	if d := cmp.Diff(want, rows(all, r)); d != "" {
		t.Errorf("rows: -want +got\n%s", d)
	}
	if b.Len() != 4 || b.Full() {
		t.Errorf("Len %d, Full %v, want 4, false", b.Len(), b.Full())
	}

	b.Reset()
	append1("7", "b", "1", "1", "1", "2000-01-01", "2000-01-01", "1", "z")
	r = b.Records()
	checkShape(t, all, r)
	for i, c := range all {
		if r.Columns[i].Nulls != nil {
			t.Errorf("column %s has Nulls after Reset without a null", c.Name)
		}
	}
}

func TestMisfitsRollBack(t *testing.T) {
	good := cells("1", "a", "true", "1", "1", "2026-01-01", "2026-01-01", "1", "b")
	tests := []struct {
		column, text, reason string
	}{
		{"id", "12x", `not an integer: "12x"`},
		{"id", "10.5", `integer expected, but it has a fraction: "10.5"`},
		{"id", "9223372036854775808", `integer out of range: "9223372036854775808"`},
		{"id", strings.Repeat("9", 99), `integer out of range: "` + strings.Repeat("9", 60) + `"…`},
		{"ok", "yes", `not a boolean: "yes"`},
		{"score", "NaN", `not a number: "NaN"`},
		{"score", "inf", `not a number: "inf"`},
		{"score", "0x10", `not a number: "0x10"`},
		{"score", "1e999", `number out of range: "1e999"`},
		{"score", "1-2", `not a number: "1-2"`},
		{"amount", "1.234", `does not fit decimal(10,2): "1.234"`},
		{"amount", "123456789", `does not fit decimal(10,2): "123456789"`},
		{"amount", "1,5", `not a decimal number: "1,5"`},
		{"born", "2026-02-29", `not a date: "2026-02-29"`},
		{"born", "2026-02-01T00:00:00Z", `not a date: "2026-02-01T00:00:00Z"`},
		{"updated_at", "2026-02-01T24:00:00Z", `not a timestamp: "2026-02-01T24:00:00Z"`},
		{"attributes", "{", `not valid JSON: "{"`},
	}
	for _, tt := range tests {
		t.Run(tt.column+" "+tt.text, func(t *testing.T) {
			b := NewBuilder(all)
			if err := b.AppendCells(good); err != nil {
				t.Fatal(err)
			}
			before := rows(all, b.Records())
			bad := append([][]byte{}, good...)
			for i, c := range all {
				if c.Name == tt.column {
					bad[i] = []byte(tt.text)
				}
			}
			err := b.AppendCells(bad)
			var got *CellError
			if !errors.As(err, &got) {
				t.Fatalf("error %v, want a *CellError", err)
			}
			if d := cmp.Diff(&CellError{Column: tt.column, Reason: tt.reason}, got); d != "" {
				t.Errorf("-want +got\n%s", d)
			}
			checkShape(t, all, b.Records())
			if d := cmp.Diff(before, rows(all, b.Records())); d != "" {
				t.Errorf("the refused row left traces: -before +after\n%s", d)
			}
			if err := b.AppendCells(good); err != nil {
				t.Fatal(err)
			}
			if got := rows(all, b.Records()); !cmp.Equal(got[0], got[1]) {
				t.Errorf("the row after the refused one differs: %s", cmp.Diff(got[0], got[1]))
			}
		})
	}
	b := NewBuilder(all)
	if err := b.AppendCells(good[1:]); err == nil || b.Len() != 0 {
		t.Errorf("a row of the wrong width: error %v, %d rows", err, b.Len())
	}
}

func TestInvalidUTF8(t *testing.T) {
	columns := []martsync.Column{{Name: "s", Type: martsync.String}, {Name: "j", Type: martsync.JSON}}
	b := NewBuilder(columns)
	if err := b.AppendCells([][]byte{[]byte("a\xffb\xc3"), []byte("\"x\xfe\\ud83d\"")}); err != nil {
		t.Fatal(err)
	}
	if err := b.AppendJSON([]byte("{\"s\":\"\xffé\",\"j\":[\"\xfe\", \"\\ud83d\\ude00\\ude00\"]}")); err != nil {
		t.Fatal(err)
	}
	want := [][]any{
		{"a�b�", json.RawMessage(`"x�\ufffd"`)},
		{"�é", json.RawMessage(`["�","\ud83d\ude00\ufffd"]`)},
	}
	if d := cmp.Diff(want, rows(columns, b.Records())); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
	if got := b.Replaced(); got != 7 {
		t.Errorf("Replaced() = %d, want 7", got)
	}
}

func TestFull(t *testing.T) {
	columns := []martsync.Column{{Name: "s", Type: martsync.String}}
	b := NewBuilder(columns)
	for i := range martsync.MaxRows {
		if b.Full() {
			t.Fatalf("full after %d rows", i)
		}
		if err := b.AppendCells(cells("x")); err != nil {
			t.Fatal(err)
		}
	}
	if !b.Full() {
		t.Errorf("not full after %d rows", b.Len())
	}
	b.Reset()
	big := cells(strings.Repeat("x", 1<<20))
	for !b.Full() {
		if err := b.AppendCells(big); err != nil {
			t.Fatal(err)
		}
	}
	if size := b.Records().Size(); size < martsync.MaxBytes || size > martsync.MaxBytes+1<<20 {
		t.Errorf("full at %d bytes, want about %d", size, martsync.MaxBytes)
	}
	// A giant is not kept for ever.
	b.Reset()
	if err := b.AppendCells(cells(strings.Repeat("x", 3*martsync.MaxBytes))); err != nil {
		t.Fatal(err)
	}
	b.Reset()
	if n := cap(b.vectors[0].Data); n > 2*martsync.MaxBytes {
		t.Errorf("%d bytes kept after Reset", n)
	}
}

func TestDoesNotAllocate(t *testing.T) {
	b := NewBuilder(all)
	row := cells("1", "a@example.com", "true", "1.5", "12.5", "2026-03-02", "2026-03-02T08:15:04+01:00", `{"a":"1"}`, "x")
	object := []byte(`{"id":1,"email":"a@ex\u0061mple.com","OK":true,"score":1.5,"amount":"12.5","born":"2026-03-02","updatedAt":"2026-03-02T08:15:04Z","attributes":{"a": "1"},"other":[1]}`)
	fill := func() {
		b.Reset()
		for range 100 {
			if err := errors.Join(b.AppendCells(row), b.AppendJSON(object)); err != nil {
				t.Fatal(err)
			}
		}
		b.Records()
	}
	fill()
	if got := testing.AllocsPerRun(20, fill); got != 0 {
		t.Errorf("%v allocations for 200 rows, want none", got)
	}
}

func TestTombstones(t *testing.T) {
	b := NewBuilder(all)
	at := time.Date(2026, 1, 1, 0, 0, 0, 5000, time.UTC)
	if err := b.AppendCells(cells("1", "a", "null", "null", "null", "null", "null", "null", "null")); err != nil {
		t.Fatal(err)
	}
	if r := b.Records(); r.Tombstone != nil || r.Deleted != nil {
		t.Errorf("flags without a flagged row: %v, %v", r.Tombstone, r.Deleted)
	}
	b.MarkDeleted()
	if err := b.AppendTombstone(map[string]any{"id": int64(2), "email": "k", "updated_at": at}); err != nil {
		t.Fatal(err)
	}
	if err := b.AppendCells(cells("3", "null", "null", "null", "null", "null", "null", "null", "null")); err != nil {
		t.Fatal(err)
	}
	for _, key := range []map[string]any{{"id": "2"}, {"nope": int64(1)}, {"id": 2}, {"born": at}} {
		if err := b.AppendTombstone(key); err == nil {
			t.Errorf("AppendTombstone(%v): no error", key)
		}
	}
	r := b.Records()
	checkShape(t, all, r)
	want := [][]any{
		{int64(1), "a", nil, nil, nil, nil, nil, nil, nil},
		{int64(2), "k", nil, nil, nil, nil, at, nil, nil},
		{int64(3), nil, nil, nil, nil, nil, nil, nil, nil},
	}
	if d := cmp.Diff(want, rows(all, r)); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
	if d := cmp.Diff([]bool{false, true, false}, r.Tombstone); d != "" {
		t.Errorf("Tombstone: %s", d)
	}
	if d := cmp.Diff([]bool{true, false, false}, r.Deleted); d != "" {
		t.Errorf("Deleted: %s", d)
	}
	b.Reset()
	if err := b.AppendCells(cells("1", "a", "null", "null", "null", "null", "null", "null", "null")); err != nil {
		t.Fatal(err)
	}
	if r := b.Records(); r.Tombstone != nil || r.Deleted != nil {
		t.Errorf("flags survive Reset: %v, %v", r.Tombstone, r.Deleted)
	}
}

func ExampleBuilder() {
	columns := []martsync.Column{
		{Name: "id", Type: martsync.Int64, Origin: "id"},
		{Name: "cost", Type: martsync.Decimal, Precision: 12, Scale: 2, Origin: "cost"},
	}
	b := NewBuilder(columns)
	for _, object := range []string{`{"id":1,"cost":9.5}`, `{"id":2,"cost":9.999}`} {
		if err := b.AppendJSON([]byte(object)); err != nil {
			fmt.Println("refused:", err)
		}
	}
	r := b.Records()
	fmt.Println(r.Len, Format(columns[1], &r.Columns[1], 0))
	// Output:
	// refused: column cost: does not fit decimal(12,2): "9.999"
	// 1 9.50
}
