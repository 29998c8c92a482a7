package sqlgen

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/martsync/martsync"
)

// TestWidenIsALattice: the order of changes does not matter, and a wide column stays as it is.
func TestWidenIsALattice(t *testing.T) {
	column := rapid.Custom(func(t *rapid.T) martsync.Column {
		c := martsync.Column{Name: "x", Type: martsync.Type(rapid.IntRange(1, 9).Draw(t, "type"))}
		if c.Type == martsync.Decimal {
			c.Precision = rapid.IntRange(1, 38).Draw(t, "precision")
			c.Scale = rapid.IntRange(0, c.Precision).Draw(t, "scale")
		}
		return c
	})
	rapid.Check(t, func(t *rapid.T) {
		a, b := column.Draw(t, "a"), column.Draw(t, "b")
		ab := Widen(a, b)
		if !SameType(ab, Widen(b, a)) {
			t.Errorf("%s depends on the order of %s and %s", ab.TypeName(), a.TypeName(), b.TypeName())
		}
		for _, c := range []martsync.Column{a, b, ab} {
			if !SameType(Widen(ab, c), ab) {
				t.Errorf("%s does not hold %s", ab.TypeName(), c.TypeName())
			}
		}
	})
}

// TestDuckDBColumn: every type that we make is recognised when it is read back.
func TestDuckDBColumn(t *testing.T) {
	for _, c := range people.Columns {
		got, exact, ok := DuckDBColumn(c.Name, DuckDB.Type(c))
		if !ok || !exact || !SameType(got, c) {
			t.Errorf("%s: got %s, exact %t, ok %t", DuckDB.Type(c), got.TypeName(), exact, ok)
		}
	}
	for typ, want := range map[string]string{
		"INTEGER": "int64 false true", "FLOAT": "float64 false true", "TIMESTAMP_S": "timestamp false true", "UUID": "Type(0) false false",
		"VARCHAR[]": "Type(0) false false", "TIMESTAMP WITH TIME ZONE": "Type(0) false false", "DECIMAL(x,1)": "decimal(0,1) true false",
	} {
		c, exact, ok := DuckDBColumn("x", typ)
		if got := fmt.Sprint(c.TypeName(), " ", exact, " ", ok); got != want {
			t.Errorf("%s: got %s, want %s", typ, got, want)
		}
	}
}

// TestViewsThatMakeNoSense are left out rather than made wrong.
func TestViewsThatMakeNoSense(t *testing.T) {
	tables := Layout{"leads": {"id", "email"}, "activities": {"guid", "lead_id"}}
	column := []martsync.ViewColumn{{Name: "x", Column: "lead_id"}}
	for name, v := range map[string]martsync.View{
		"no table":             {From: "programs", Columns: column},
		"no columns":           {From: "activities", Columns: []martsync.ViewColumn{{Name: "x", Column: "y"}}},
		"no joined table":      {From: "activities", Columns: column, Join: &martsync.Join{Stream: "programs", On: [][2]string{{"lead_id", "id"}}}},
		"no column to join on": {From: "activities", Columns: column, Join: &martsync.Join{Stream: "leads", On: [][2]string{{"lead_id", "nr"}}}},
		"join on nothing":      {From: "activities", Columns: column, Join: &martsync.Join{Stream: "leads"}},
		"no condition column":  {From: "activities", Columns: column, Where: []martsync.Condition{{Column: "nr", Op: "="}}},
		"unknown operator":     {From: "activities", Columns: column, Where: []martsync.Condition{{Column: "lead_id", Op: "like"}}},
		"column without join":  {From: "activities", Columns: []martsync.ViewColumn{{Name: "x", Column: "email", Joined: true}}},
	} {
		if s, ok := DuckDB.View("mart", v, tables); ok {
			t.Errorf("%s: got %s", name, s)
		}
	}
}
