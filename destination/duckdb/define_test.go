//go:build cgo && !lite

package duckdb

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/rows"
	"github.com/martsync/martsync/internal/sqlgen"
)

var activities = martsync.Schema{
	Stream: "activities", Key: []string{"guid"},
	Columns: []martsync.Column{
		{Name: "guid", Type: martsync.String},
		{Name: "lead_id", Type: martsync.Int64},
		{Name: "type_id", Type: martsync.Int64},
		{Name: "attributes", Type: martsync.JSON},
	},
}

var views = []martsync.View{
	{
		Name: "activity_click", From: "activities", Where: []martsync.Condition{{Column: "type_id", Op: "=", Value: 11}},
		Columns: []martsync.ViewColumn{
			{Name: "guid", Column: "guid"},
			{Name: "link", Column: "attributes", Key: "Link"},
			{Name: "link_id", Column: "attributes", Key: "Link ID", Type: martsync.Int64},
			{Name: "odd", Column: "attributes", Key: `a/b "c" it's ~*`},
			{Name: "seen_at", Column: "attributes", Key: "Seen At", Type: martsync.Timestamp},
			{Name: "more", Column: "attributes", Key: "More", Type: martsync.JSON},
		},
	},
	{
		Name: "datamart", From: "activities", Join: &martsync.Join{Stream: "people", On: [][2]string{{"lead_id", "id"}}},
		Columns: []martsync.ViewColumn{{Name: "guid_ma", Column: "guid"}, {Name: "name_ml", Column: "name", Joined: true}},
	},
	{
		Name: "missing_leads", From: "activities", Distinct: true, Where: []martsync.Condition{{Column: "lead_id", Op: "is not null"}},
		Join:    &martsync.Join{Stream: "people", Anti: true, On: [][2]string{{"lead_id", "id"}}},
		Columns: []martsync.ViewColumn{{Name: "lead_id", Column: "lead_id"}},
	},
	{
		Name: "people_current", From: "people", Follow: &martsync.Follow{Key: "id", Stream: "merges", Old: "loser", New: "winner"},
		Columns: []martsync.ViewColumn{{Name: "name", Column: "name"}, {Name: "gone", Column: "nothing"}},
	},
	{Name: "no_table", From: "programs", Columns: []martsync.ViewColumn{{Name: "id", Column: "id"}}},
}

func TestViews(t *testing.T) {
	d := openNew(t)
	for range 2 { // they can be made again
		statements, err := d.ViewStatements(t.Context(), views)
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Exec(t.Context(), statements); err != nil {
			t.Fatal(err)
		}
	}
	if got := query(t, d, "SELECT * FROM "+d.table("metadata")); len(got) != 0 {
		t.Errorf("metadata of no tables: %q", got)
	}

	w := openWriter(t, d, activities)
	write(t, w, activities, func(b *rows.Builder) {
		b.Append("a", int64(1), int64(11), rows.JSON(`{"Link":"https://x.example/?a=\"b\"","Link ID":"12","a/b \"c\" it's ~*":"found","Seen At":"2026-03-01T10:00:00+02:00","More":{"x":[1]}}`))
		b.Append("b", int64(7), int64(11), rows.JSON(`{"Link ID":"twelve"}`))
		b.Append("c", int64(7), int64(12), rows.JSON(`{}`))
		b.Append("d", nil, int64(12), nil)
	})
	commit(t, w, martsync.Commit{Next: "1"})
	w = openWriter(t, d, people)
	write(t, w, people, func(b *rows.Builder) { b.Append(int64(1), "Ann", nil) })
	commit(t, w, martsync.Commit{Next: "1", At: noon.Add(time.Minute)})
	merges := martsync.Schema{Stream: "merges", Key: []string{"loser"}, Columns: []martsync.Column{{Name: "loser", Type: martsync.Int64}, {Name: "winner", Type: martsync.Int64}}}
	w = openWriter(t, d, merges)
	write(t, w, merges, func(b *rows.Builder) {
		b.Append(int64(5), int64(4)) // merged on, and on
		b.Append(int64(4), int64(3))
		b.Append(int64(3), int64(1))
		b.Append(int64(6), int64(1))
		b.Append(int64(7), int64(9))   // into somebody who is not there
		b.Append(int64(20), int64(21)) // in a circle
		b.Append(int64(21), int64(20))
	})
	commit(t, w, martsync.Commit{Next: "1", At: noon.Add(2 * time.Minute)})

	statements, err := d.ViewStatements(t.Context(), views)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Exec(t.Context(), statements); err != nil {
		t.Fatal(err)
	}
	for view, want := range map[string][]string{
		"activity_click": {
			`a|https://x.example/?a="b"|12|found|2026-03-01 08:00:00|{"x":[1]}`,
			`b|||||`,
		},
		"datamart":       {"a|Ann", "b|", "c|", "d|"},
		"missing_leads":  {"7"},
		"people_current": {"1|1|Ann", "3|1|Ann", "4|1|Ann", "5|1|Ann", "6|1|Ann", "7|9|"},
		"metadata":       {"activities|4|2026-03-01 12:00:00", "merges|7|2026-03-01 12:02:00", "people|1|2026-03-01 12:01:00"},
	} {
		got := query(t, d, "SELECT COLUMNS(*)::VARCHAR FROM "+d.table(view)+" ORDER BY ALL")
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("view %s (-want +got):\n%s", view, diff)
		}
	}

	// views are no streams and stand in nobody's way
	if _, err := d.Open(t.Context(), named("datamart")); martsync.KindOf(err) != martsync.Config {
		t.Errorf("a view opens as a table: %v", err)
	}
	openWriter(t, d, named("missing_people"))
	if s, err := d.ViewStatements(t.Context(), []martsync.View{{Name: "people", From: "activities", Columns: views[0].Columns}}); err != nil || strings.Contains(strings.Join(s, ";"), `VIEW "mart"."people"`) {
		t.Errorf("a view would replace a table: %v, %v", s, err)
	}
}

func TestExecIsOneTransaction(t *testing.T) {
	d := openNew(t)
	err := d.Exec(t.Context(), []string{"CREATE TABLE main.a (x INT)", "CREATE TABLE main.b (x NO_SUCH_TYPE)"})
	wantKind(t, err, martsync.Internal, "NO_SUCH_TYPE")
	if got := query(t, d, "SELECT table_name FROM duckdb_tables() WHERE NOT internal"); len(got) != 0 {
		t.Errorf("left behind: %v", got)
	}
}

func TestNoTableToRead(t *testing.T) {
	d := openNew(t)
	_, _, err := d.ReadTable(t.Context(), "people")
	wantKind(t, err, martsync.Config, "no such table")
	if got := ledger(t, d); len(got) != 0 {
		t.Errorf("ledger of a new file: %v", got)
	}
}

// TestNames has streams, columns and schemas of any name.
func TestNames(t *testing.T) {
	dir, n := t.TempDir(), 0
	name := rapid.StringN(1, 12, -1).Filter(func(s string) bool { return !strings.ContainsRune(s, 0) && !strings.HasPrefix(fold(s), sqlgen.Prefix) })
	rapid.Check(t, func(rt *rapid.T) {
		n++
		schema := name.Filter(func(s string) bool { return s != "" && !strings.EqualFold(s, "memory") }).Draw(rt, "schema")
		s := martsync.Schema{Stream: name.Draw(rt, "stream"), Deletes: true}
		seen := map[string]bool{}
		for _, c := range rapid.SliceOfN(name, 2, 6).Draw(rt, "columns") {
			if !seen[fold(c)] && fold(c) != martsync.SyncedAt && fold(c) != martsync.Deleted {
				seen[fold(c)] = true
				s.Columns = append(s.Columns, martsync.Column{Name: c, Type: martsync.String})
			}
		}
		if len(s.Columns) == 0 {
			return
		}
		s.Key = []string{s.Columns[0].Name}
		d, err := Open(t.Context(), Config{Path: filepath.Join(dir, fmt.Sprintf("%d.duckdb", n))}, schema, env(t))
		if err != nil {
			if martsync.KindOf(err) == martsync.Config {
				return // a reserved name
			}
			rt.Fatal(err)
		}
		defer d.Close()
		for round := range 2 {
			w, err := d.Open(t.Context(), s)
			if err != nil {
				rt.Fatal(err)
			}
			b := rows.NewBuilder(s.Columns)
			row := make([]any, len(s.Columns))
			for i := range row {
				row[i] = fmt.Sprint("value ", i)
			}
			b.Append(row...)
			if err := w.Write(t.Context(), b.Records()); err != nil {
				rt.Fatal(err)
			}
			if err := w.Commit(t.Context(), martsync.Commit{Sync: "test", At: noon, Next: martsync.Cursor(fmt.Sprint(round))}); err != nil {
				rt.Fatal(err)
			}
			if err := w.Close(); err != nil {
				rt.Fatal(err)
			}
		}
		if got := contents(rt, d.(martsync.TableReader), s.Stream); len(got) != 1 || !strings.HasPrefix(got[0], "value 0") {
			rt.Fatalf("got %q", got)
		}
		back, _, err := d.(martsync.TableReader).ReadTable(t.Context(), s.Stream)
		if err != nil {
			rt.Fatal(err)
		}
		if diff := cmp.Diff(s.Columns, back.Columns); diff != "" {
			rt.Fatalf("columns (-want +got):\n%s", diff)
		}
		statements, err := d.(martsync.Definer).ViewStatements(t.Context(), nil)
		if err == nil {
			err = d.(martsync.Definer).Exec(t.Context(), statements)
		}
		if err != nil && !strings.EqualFold(s.Stream, "metadata") {
			rt.Fatal(err)
		}
	})
}
