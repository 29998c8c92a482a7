package rows

import (
	"math/big"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/martsync/martsync"
)

var columns = []martsync.Column{
	{Name: "a", Type: martsync.Bool},
	{Name: "b", Type: martsync.Int64},
	{Name: "c", Type: martsync.Float64},
	{Name: "d", Type: martsync.Decimal, Precision: 10, Scale: 2},
	{Name: "e", Type: martsync.String},
	{Name: "f", Type: martsync.Binary},
	{Name: "g", Type: martsync.Date},
	{Name: "h", Type: martsync.Timestamp},
	{Name: "i", Type: martsync.JSON},
}

var schema = martsync.Schema{Stream: "s", Columns: columns, Key: []string{"b"}, Version: "h", Deletes: true}

func mustDecimal(t *testing.T, text string, scale int) Decimal {
	t.Helper()
	d, err := ParseDecimal(text, scale)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestRowsSurviveRecords(t *testing.T) {
	b := NewBuilder(columns)
	want := []Row{
		{true, int64(-1), 0.5, mustDecimal(t, "-1.5", 2), "text", Bytes("\x00"), Date(-1), Micros(7), JSON("{}")},
		{nil, int64(2), nil, nil, nil, nil, nil, nil, nil},
		{false, int64(3), 0.0, mustDecimal(t, "0", 2), "", Bytes(""), Date(0), Micros(0), JSON("null")},
	}
	b.Append(want[0]...)
	b.AppendTombstone(want[1]...)
	b.AppendDeleted(want[2]...)
	r := b.Records()
	if err := Check(&schema, r); err != nil {
		t.Fatal(err)
	}
	var got []Row
	for i, row := range Of(columns, r) {
		got = append(got, row)
		if Tombstone(r, i) != (i == 1) || Deleted(r, i) != (i == 2) {
			t.Errorf("row %d: tombstone %v, deleted %v", i, Tombstone(r, i), Deleted(r, i))
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
	Poison(r)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rows share the records' memory (-want +got):\n%s", diff)
	}
}

func TestDecimals(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := new(big.Int).SetUint64(rapid.Uint64().Draw(t, "low"))
		n.Add(n, new(big.Int).Lsh(big.NewInt(rapid.Int64Range(-1<<62, 1<<62).Draw(t, "high")), 64))
		d := DecimalOf(n, rapid.IntRange(0, 38).Draw(t, "scale"))
		if d.Big().Cmp(n) != 0 {
			t.Errorf("big: got %v, want %v", d.Big(), n)
		}
		if got, err := ParseDecimal(d.String(), d.Scale); err != nil || got != d {
			t.Errorf("parse %s: got %v, %v", d, got, err)
		}
	})
	for text, want := range map[string]string{"0": "0.00", "-0.05": "-0.05", "12.3": "12.30", "-1": "-1.00"} {
		if got := mustDecimal(t, text, 2).String(); got != want {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
	for _, text := range []string{"", "x", "1.234", "1.2.3", "340282366920938463463374607431768211456"} {
		if d, err := ParseDecimal(text, 2); err == nil {
			t.Errorf("parse %q: got %v, want an error", text, d)
		}
	}
}

func TestCheck(t *testing.T) {
	row := func() *martsync.Records {
		b := NewBuilder(columns)
		b.Append(true, int64(1), 0.5, mustDecimal(t, "1", 2), "x", Bytes("x"), Date(1), Micros(1), JSON("1"))
		return b.Records()
	}
	plain := schema
	plain.Deletes = false
	tests := map[string]struct {
		schema *martsync.Schema
		change func(*martsync.Records)
		ok     bool
	}{
		"as it should be":  {&schema, func(*martsync.Records) {}, true},
		"too many rows":    {&schema, func(r *martsync.Records) { r.Len = martsync.MaxRows + 1 }, false},
		"a column missing": {&schema, func(r *martsync.Records) { r.Columns = r.Columns[1:] }, false},
		"another type":     {&schema, func(r *martsync.Records) { r.Columns[0].Type = martsync.Date }, false},
		"too few entries":  {&schema, func(r *martsync.Records) { r.Columns[1].Ints = nil }, false},
		"too few nulls":    {&schema, func(r *martsync.Records) { r.Columns[1].Nulls = []bool{} }, false},
		"no offsets":       {&schema, func(r *martsync.Records) { r.Columns[4].Offsets = nil }, false},
		"null key":         {&schema, func(r *martsync.Records) { r.Columns[1].Nulls = []bool{true} }, false},
		"null elsewhere":   {&schema, func(r *martsync.Records) { r.Columns[0].Nulls = []bool{true} }, true},
		"not UTF-8":        {&schema, func(r *martsync.Records) { r.Columns[4].Data = []byte{0xff} }, false},
		"not JSON":         {&schema, func(r *martsync.Records) { r.Columns[8].Data = []byte("x") }, false},
		"tombstones":       {&schema, func(r *martsync.Records) { r.Tombstone = []bool{true} }, true},
		"too many flags":   {&schema, func(r *martsync.Records) { r.Tombstone = []bool{true, true} }, false},
		"no deletes":       {&plain, func(r *martsync.Records) { r.Deleted = []bool{false} }, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := row()
			tt.change(r)
			if err := Check(tt.schema, r); (err == nil) != tt.ok {
				t.Errorf("got %v, want success %v", err, tt.ok)
			}
		})
	}
}

func TestText(t *testing.T) {
	for want, cell := range map[string]any{
		"": nil, "true": true, "-7": int64(-7), "0.1": 0.1, "1.50": mustDecimal(t, "1.5", 2), "text": "text", "b": Bytes("b"),
		"2024-02-29": Date(19_782), "1970-01-01T00:00:00.000001Z": Micros(1), `{"a":1}`: JSON(`{"a":1}`),
	} {
		if got := Text(cell); got != want {
			t.Errorf("text of %T: got %q, want %q", cell, got, want)
		}
	}
}
