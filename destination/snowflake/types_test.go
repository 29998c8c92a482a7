package snowflake

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/sqlgen"
)

// TestTypes writes each type of ours as Snowflake's and reads it back as DESCRIBE shows it.
func TestTypes(t *testing.T) {
	for _, tt := range []struct {
		column martsync.Column
		typ    string // in DDL
		shown  string // by DESCRIBE
	}{
		{martsync.Column{Type: martsync.Bool}, "BOOLEAN", "BOOLEAN"},
		{martsync.Column{Type: martsync.Int64}, "NUMBER(19,0)", "NUMBER(19,0)"},
		{martsync.Column{Type: martsync.Float64}, "FLOAT", "FLOAT"},
		{martsync.Column{Type: martsync.Decimal, Precision: 38}, "NUMBER(38,0)", "NUMBER(38,0)"},
		{martsync.Column{Type: martsync.Decimal, Precision: 4, Scale: 2}, "NUMBER(4,2)", "NUMBER(4,2)"},
		{martsync.Column{Type: martsync.Decimal, Precision: 19, Scale: 2}, "NUMBER(19,2)", "NUMBER(19,2)"},
		{martsync.Column{Type: martsync.String}, "VARCHAR", "VARCHAR(16777216)"},
		{martsync.Column{Type: martsync.Binary}, "BINARY", "BINARY(8388608)"},
		{martsync.Column{Type: martsync.Date}, "DATE", "DATE"},
		{martsync.Column{Type: martsync.Timestamp}, "TIMESTAMP_NTZ(6)", "TIMESTAMP_NTZ(6)"},
		{martsync.Column{Type: martsync.JSON}, "VARIANT", "VARIANT"},
	} {
		t.Run(tt.column.TypeName(), func(t *testing.T) {
			if got := sqlType(tt.column); got != tt.typ {
				t.Errorf("type: got %s, want %s", got, tt.typ)
			}
			got, exact, ok := columnOf("x", tt.shown)
			if !ok || !exact || !sqlgen.SameType(got, tt.column) {
				t.Errorf("%s read back: got %s, exact %v, known %v", tt.shown, got.TypeName(), exact, ok)
			}
		})
	}
	if got := sqlType(martsync.Column{Type: martsync.Decimal, Precision: 19}); got != "NUMBER(20,0)" {
		t.Errorf("a decimal of 19 digits: got %s, which is an integer's type", got)
	}
	for _, tt := range []struct {
		shown     string
		exact, ok bool
	}{
		{"VARCHAR(10)", false, true},
		{"BINARY(16)", false, true},
		{"TIMESTAMP_NTZ(3)", false, true},
		{"TIMESTAMP_NTZ(9)", true, true},
		{"TIMESTAMP_LTZ(9)", false, false},
		{"GEOGRAPHY", false, false},
		{"NUMBER", false, false},
		{"ARRAY", false, false},
	} {
		if _, exact, ok := columnOf("x", tt.shown); ok != tt.ok || exact != tt.exact && ok {
			t.Errorf("%s: got exact %v, known %v, want %v, %v", tt.shown, exact, ok, tt.exact, tt.ok)
		}
	}
}

// TestNames has how tables and columns are called.
func TestNames(t *testing.T) {
	first := martsync.Column{Name: "first_name", Origin: "firstName"}
	for _, tt := range []struct{ identifiers, table, column string }{
		{"upper", `"MART"."MARKETO"."LEADS"`, "FIRST_NAME"},
		{"quoted", `"MART"."MARKETO"."leads"`, "first_name"},
		{"preserve", `"MART"."MARKETO"."leads"`, "firstName"},
	} {
		d := offline(t, Config{Identifiers: tt.identifiers})
		if got := d.table("leads"); got != tt.table {
			t.Errorf("%s: table: got %s, want %s", tt.identifiers, got, tt.table)
		}
		if got := d.config.columnName(first); got != tt.column {
			t.Errorf("%s: column: got %s, want %s", tt.identifiers, got, tt.column)
		}
	}
	for name, want := range map[string]string{"marketo": "MARKETO", `"Mixed ""case"""`: `Mixed "case"`, "größe": "GRößE", `"`: `"`} {
		if got := object(name); got != want {
			t.Errorf("object %s: got %s, want %s", name, got, want)
		}
	}
	if got, want := text("it's a \\ and\n\r\x00"), `'it\'s a \\ and\n\r\0'`; got != want {
		t.Errorf("text: got %s, want %s", got, want)
	}
}

// TestStreamFolders must not be the same for two streams, nor lie within each other.
func TestStreamFolders(t *testing.T) {
	got := map[string]string{}
	for _, s := range []string{"leads", "Leads", "le-ads", "le_ads", "le/ads", "größe", "a b", "..", "%", "-2d"} {
		f := streamFolder(s)
		for r := range f {
			if c := f[r]; c != '/' && c != '-' && c != '_' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
				t.Errorf("folder of %q: got %s", s, f)
			}
		}
		if other := got[f]; other != "" {
			t.Errorf("%q and %q have the folder %s", s, other, f)
		}
		got[f] = s
	}
}

// TestFit has what becomes of a table whose schema changes.
func TestFit(t *testing.T) {
	d := offline(t, Config{})
	column := func(name string, typ martsync.Type) martsync.Column { return martsync.Column{Name: name, Type: typ} }
	decimal := func(name string, p, s int) martsync.Column {
		return martsync.Column{Name: name, Type: martsync.Decimal, Precision: p, Scale: s}
	}
	for _, tt := range []struct {
		name       string
		have, want martsync.Column
		plan       string
	}{
		{"the same", column("x", martsync.Date), column("x", martsync.Date), ""},
		{"narrower", column("x", martsync.String), column("x", martsync.Date), ""},
		{"more digits", decimal("x", 10, 2), decimal("x", 12, 2), "widen X NUMBER(12,2)"},
		{"an integer becomes a decimal", column("x", martsync.Int64), decimal("x", 25, 0), "widen X NUMBER(25,0)"},
		{"more places", decimal("x", 10, 2), decimal("x", 10, 4), "retype X NUMBER(10,2) NUMBER(12,4)"},
		{"an integer with places", column("x", martsync.Int64), decimal("x", 10, 2), "retype X NUMBER(19,0) NUMBER(21,2)"},
		{"a date becomes a time", column("x", martsync.Date), column("x", martsync.Timestamp), "retype X DATE TIMESTAMP_NTZ(6)"},
		{"text", column("x", martsync.Int64), column("x", martsync.String), "retype X NUMBER(19,0) VARCHAR"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			have := offlineWriter(d, martsync.Schema{Stream: "things", Columns: []martsync.Column{tt.have}}).table
			now, plan, changes, err := d.fit(have, martsync.Schema{Stream: "things", Columns: []martsync.Column{tt.want}})
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			for _, c := range plan.widen {
				got += "widen " + c.Name + " " + c.typ
			}
			for _, r := range plan.retype {
				got += "retype " + r.from.Name + " " + r.from.typ + " " + r.to.typ
			}
			if diff := cmp.Diff(tt.plan, got); diff != "" {
				t.Errorf("plan (-want +got):\n%s", diff)
			}
			if (len(changes) == 1) != (tt.plan != "") {
				t.Errorf("changes: got %+v", changes)
			}
			again, plan, changes, err := d.fit(now, martsync.Schema{Stream: "things", Columns: []martsync.Column{tt.want}})
			if err != nil || len(changes) > 0 || len(plan.add)+len(plan.widen)+len(plan.retype) > 0 || len(again.columns) != len(now.columns) {
				t.Errorf("a table that fits: got changes %+v, error %v", changes, err)
			}
		})
	}
}
