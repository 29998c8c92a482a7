package sqlgen

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/martsync/martsync"
)

var update = flag.Bool("update", false, "write the golden files anew")

// people is a schema with everything that changes a statement.
var people = martsync.Schema{
	Stream: "people",
	Columns: []martsync.Column{
		{Name: "id", Type: martsync.Int64},
		{Name: `the "name"`, Type: martsync.String},
		{Name: "active", Type: martsync.Bool},
		{Name: "score", Type: martsync.Float64},
		{Name: "worth", Type: martsync.Decimal, Precision: 20, Scale: 6},
		{Name: "born", Type: martsync.Date},
		{Name: "updated_at", Type: martsync.Timestamp},
		{Name: "more", Type: martsync.JSON},
		{Name: "photo", Type: martsync.Binary},
		{Name: "result", Type: martsync.String, Sticky: true},
	},
	Key: []string{"id"}, Version: "updated_at", Deletes: true,
}

func TestStatements(t *testing.T) {
	var names []string
	for _, c := range people.Columns {
		names = append(names, c.Name)
	}
	tables := Layout{"people": names, "events": {"guid", "person_id", "type_id", "attributes"}}
	view := func(v martsync.View) string {
		text, ok := DuckDB.View("mart", v, tables)
		if !ok {
			text = "-- no such view"
		}
		return text
	}
	var system []string
	for _, table := range SystemTables() {
		system = append(system, DuckDB.CreateTable(Name("mart", table.Name), table.Columns))
	}
	for name, got := range map[string]string{
		"create":  DuckDB.CreateTable(Name("mart", "people"), TableColumns(people)),
		"system":  strings.Join(system, ";\n"),
		"add":     DuckDB.AddColumn(Name("mart", "people"), people.Columns[4]),
		"widen":   DuckDB.WidenColumn(Name("mart", "people"), people.Columns[1]),
		"absent":  MarkAbsent(Name("mart", "people"), Name("stage"), people.Key, `t."id" IN (1)`, "now()"),
		"nobody":  MarkAbsent(Name("mart", "people"), "", people.Key, "", "now()"),
		"columns": Idents("s.", names),
		"merge": Merge{
			Target: Name("mart", "people"), Source: Name("mart", "stage"), Key: people.Key, Version: people.Version, Columns: names,
			Sticky: []string{"result"}, Set: []Assign{{martsync.SyncedAt, "now()"}}, Insert: []Assign{{martsync.Deleted, "false"}},
		}.SQL(),
		"merge_without_version": Merge{
			Target: Name("people"), Source: "(SELECT 1)", Key: []string{"a", "b"}, Columns: []string{"a", "b", "c", "d"}, Update: []string{"d"},
		}.SQL(),
		"view_typed": view(martsync.View{
			Name: "event_click", From: "events", Where: []martsync.Condition{{Column: "type_id", Op: "=", Value: 11}},
			Columns: []martsync.ViewColumn{
				{Name: "guid", Column: "guid"},
				{Name: "link", Column: "attributes", Key: `a "b"/~c's`},
				{Name: "count", Column: "attributes", Key: "Count", Type: martsync.Int64},
				{Name: "list", Column: "attributes", Key: "Ids", Type: martsync.JSON},
				{Name: "price", Column: "attributes", Key: "Price", Type: martsync.Decimal},
				{Name: "gone", Column: "no such column"},
			},
		}),
		"view_join": view(martsync.View{
			Name: "both", From: "events", Join: &martsync.Join{Stream: "people", On: [][2]string{{"person_id", "id"}}},
			Columns: []martsync.ViewColumn{{Name: "guid_ma", Column: "guid"}, {Name: "id_ml", Column: "id", Joined: true}},
		}),
		"view_anti": view(martsync.View{
			Name: "missing", From: "events", Distinct: true, Join: &martsync.Join{Stream: "people", Anti: true, On: [][2]string{{"person_id", "id"}}},
			Where: []martsync.Condition{{Column: "person_id", Op: "is not null"}}, Columns: []martsync.ViewColumn{{Name: "id", Column: "person_id"}},
		}),
		"view_of_nothing": view(martsync.View{Name: "x", From: "nothing", Columns: []martsync.ViewColumn{{Name: "a", Column: "a"}}}),
		"metadata":        DuckDB.Metadata("mart", []string{"people", "events"}),
		"metadata_empty":  DuckDB.Metadata("mart", nil),
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join("testdata", name+".sql")
			if *update {
				if err := os.MkdirAll("testdata", 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(got+"\n"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got+"\n"); diff != "" {
				t.Errorf("%s (-want +got; go test -update writes it anew):\n%s", path, diff)
			}
		})
	}
}

func TestWiden(t *testing.T) {
	col := func(typ martsync.Type, digits ...int) martsync.Column {
		c := martsync.Column{Type: typ}
		if len(digits) == 2 {
			c.Precision, c.Scale = digits[0], digits[1]
		}
		return c
	}
	for _, tt := range []struct {
		name       string
		a, b, want martsync.Column
	}{
		{"the same", col(martsync.Int64), col(martsync.Int64), col(martsync.Int64)},
		{"an integer among decimals", col(martsync.Int64), col(martsync.Decimal, 20, 6), col(martsync.Decimal, 25, 6)},
		{"decimals", col(martsync.Decimal, 10, 2), col(martsync.Decimal, 8, 6), col(martsync.Decimal, 14, 6)},
		{"decimals that no decimal holds", col(martsync.Decimal, 38, 0), col(martsync.Decimal, 38, 10), col(martsync.String)},
		{"a date among times", col(martsync.Date), col(martsync.Timestamp), col(martsync.Timestamp)},
		{"a double and an integer", col(martsync.Float64), col(martsync.Int64), col(martsync.String)},
		{"a bool and a number", col(martsync.Bool), col(martsync.Int64), col(martsync.String)},
	} {
		for _, pair := range [][2]martsync.Column{{tt.a, tt.b}, {tt.b, tt.a}} {
			if got := Widen(pair[0], pair[1]); !SameType(got, tt.want) {
				t.Errorf("%s: %s and %s: got %s, want %s", tt.name, pair[0].TypeName(), pair[1].TypeName(), got.TypeName(), tt.want.TypeName())
			}
		}
	}
}

// FuzzQuotes reads quoted text back as a database does.
func FuzzQuotes(f *testing.F) {
	for _, s := range []string{"", "a", `"`, `'`, `a"b'c""`, "a\nb", "日本", `\'`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for quote, text := range map[string]string{`"`: Ident(s), `'`: Text(s)} {
			inner := strings.TrimSuffix(strings.TrimPrefix(text, quote), quote)
			if len(inner) != len(text)-2 || strings.Contains(strings.ReplaceAll(inner, quote+quote, ""), quote) {
				t.Errorf("%q is not one quoted token: %s", s, text)
			}
			if back := strings.ReplaceAll(inner, quote+quote, quote); back != s {
				t.Errorf("%q became %q", s, back)
			}
		}
	})
}
