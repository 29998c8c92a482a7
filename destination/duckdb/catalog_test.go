//go:build cgo && !lite && unix

package duckdb

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/rows"
	"github.com/martsync/martsync/internal/sqlgen"
)

func init() { children["stage"] = stageAndDie }

// stageAndDie stages a row of people and ends without closing anything.
func stageAndDie(args []string) int {
	d, err := openChild(args[0])
	if err != nil {
		panic(err)
	}
	w, err := d.Open(context.Background(), people)
	if err != nil {
		panic(err)
	}
	b := rows.NewBuilder(people.Columns)
	b.Append(int64(1), "staged elsewhere", int64(1))
	if err := w.Write(context.Background(), b.Records()); err != nil {
		panic(err)
	}
	if err := w.Stage(context.Background(), martsync.Commit{Sync: "test", At: noon, Next: "staged"}); err != nil {
		panic(err)
	}
	return 0
}

// TestDescribe: a look at one name tells what the listing by SQL tells of it.
func TestDescribe(t *testing.T) {
	d := openNew(t)
	types := []string{
		"BOOLEAN", "BIGINT", "DOUBLE", "DECIMAL(38,10)", "DECIMAL(1,0)", "VARCHAR", "BLOB", "DATE", "TIMESTAMP", "JSON",
		"TINYINT", "SMALLINT", "INTEGER", "UTINYINT", "USMALLINT", "UINTEGER", "FLOAT", "TIMESTAMP_S", "TIMESTAMP_MS",
		"UBIGINT", "HUGEINT", "TIME", "TIMESTAMPTZ", "TIMESTAMP_NS", "VARCHAR[]", "STRUCT(a JSON)", "UUID", "BIT", "mart.mood", "mart.count",
	}
	statements := []string{
		"CREATE SCHEMA mart", "CREATE TYPE mart.mood AS ENUM ('sad', 'ok')", "CREATE TYPE mart.count AS BIGINT",
		`CREATE TABLE mart."Several" ("Upper" BIGINT, "with ""quote" VARCHAR, "é" JSON NOT NULL DEFAULT '{}', lower VARCHAR COLLATE NOCASE, twice BIGINT GENERATED ALWAYS AS (2 * "Upper"))`,
		`CREATE TABLE mart."a ""b"".c" (id BIGINT)`, "CREATE VIEW mart.looks AS SELECT 1 AS id",
		"CREATE SCHEMA other", "CREATE TABLE other.elsewhere (id BIGINT)", "CREATE TABLE mart.altered (id BIGINT, gone DATE)",
	}
	names := []string{"several", "SEVERAL", `a "b".c`, "looks", "elsewhere", "other.elsewhere", "altered", "", "duckdb_tables", "several\x00", "a\x00b"}
	for i, typ := range types {
		name := fmt.Sprintf("type_%d", i)
		statements, names = append(statements, "CREATE TABLE mart."+name+" (x "+typ+")"), append(names, name)
	}
	if err := d.Exec(t.Context(), statements); err != nil {
		t.Fatal(err)
	}
	compare := func(c *conn) {
		t.Helper()
		listed, err := d.layouts(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			got, err := d.describe(t.Context(), c, name)
			if err != nil {
				t.Fatalf("%q: %v", name, err)
			}
			if diff := cmp.Diff(listed[fold(name)], got, cmp.AllowUnexported(layout{}, storedColumn{}), cmpopts.IgnoreFields(layout{}, "name")); diff != "" {
				t.Errorf("%q (-listed +got):\n%s", name, diff)
			}
		}
	}
	err := d.with(t.Context(), "test", func(c *conn) error {
		compare(c)
		for i, typ := range types[:19] { // for those that we make or widen it does not take the listing
			if l, ok := c.lookUp("mart", fmt.Sprintf("type_%d", i)); l == nil || !ok {
				t.Errorf("%s is not known", typ)
			}
		}
		if l, ok := c.lookUp("mart", "nowhere"); l != nil || !ok {
			t.Errorf("a name that is not there: got %v, known %t", l, ok)
		}
		err := c.tx(t.Context(), func() error { // what the transaction has done counts, and ends with it
			for _, s := range []string{"ALTER TABLE %s.mart.altered DROP COLUMN gone", "ALTER TABLE %s.mart.altered ALTER id SET DATA TYPE VARCHAR", "DROP TABLE %s.mart.type_0"} {
				if err := c.exec(t.Context(), fmt.Sprintf(s, catalog)); err != nil {
					return err
				}
			}
			compare(c)
			return errEnough
		})
		compare(c)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := d.describe(ctx, c, "several"); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want context canceled", err)
		}
		return err
	})
	if !errors.Is(err, errEnough) {
		t.Fatal(err)
	}
}

// asked returns the statements that f makes DuckDB run: the first word of each, and its table.
func asked(d *destination, f func()) (out []string) {
	schema := sqlgen.Name(catalog, d.schema) + "."
	d.file.before = func(statement string) error {
		verb, _, _ := strings.Cut(statement, " ")
		if _, table, ok := strings.Cut(statement, schema); ok {
			verb += " " + strings.Fields(table)[0]
		}
		out = append(out, verb)
		return nil
	}
	f()
	d.file.before = nil
	return out
}

// TestFewQuestions: opening a table that is as it was takes one statement, and a commit no more than it must. A file of many
// tables would make each question about all of them cost more.
func TestFewQuestions(t *testing.T) {
	d := openNew(t)
	w := openWriter(t, d, people)
	write(t, w, people, func(b *rows.Builder) { b.Append(int64(1), "a", int64(1)) })
	commit(t, w, martsync.Commit{Next: "1"})
	write(t, w, people, func(b *rows.Builder) { b.Append(int64(1), "not committed", int64(1)) })
	_ = w.Close()
	got := asked(d, func() { w = openWriter(t, d, people) })
	if diff := cmp.Diff([]string{`SELECT "_martsync_cursors"`}, got); diff != "" {
		t.Errorf("opening (-want +got):\n%s", diff)
	}
	got = asked(d, func() { commit(t, w, martsync.Commit{Next: "2"}) })
	if diff := cmp.Diff([]string{"BEGIN", `SELECT "_martsync_cursors"`, `UPDATE "_martsync_cursors"`, "COMMIT"}, got); diff != "" {
		t.Errorf("a commit without rows (-want +got):\n%s", diff)
	}
	got = asked(d, func() {
		write(t, w, people, func(b *rows.Builder) { b.Append(int64(2), "b", int64(1)) })
		commit(t, w, martsync.Commit{Next: "3"})
	})
	if diff := cmp.Diff([]string{
		"BEGIN", `CREATE "_martsync_rows_people_1"`, `INSERT "_martsync_rows_people_1"`, "COMMIT",
		"BEGIN", `SELECT "_martsync_cursors"`, `SELECT "_martsync_rows_people_1"`, `SELECT "people"`, `MERGE "people"`,
		`DROP "_martsync_rows_people_1"`, `UPDATE "_martsync_cursors"`, "COMMIT",
	}, got); diff != "" {
		t.Errorf("a row and its commit (-want +got):\n%s", diff)
	}
	got = asked(d, func() { _ = w.Close() })
	if len(got) > 0 {
		t.Errorf("closing: %v", got)
	}
	got = asked(d, func() {
		if p, err := d.Position(t.Context(), "people"); err != nil || p != "3" {
			t.Errorf("position %q, error %v", p, err)
		}
	})
	if diff := cmp.Diff([]string{`SELECT "_martsync_cursors"`}, got); diff != "" {
		t.Errorf("asking for the position (-want +got):\n%s", diff)
	}
}

// TestChangedBetween: what somebody does to a table between two openings of it is seen, in this process and from another one.
func TestChangedBetween(t *testing.T) {
	for name, tt := range map[string]struct {
		statements []string
		cursor     martsync.Cursor
		changes    []martsync.Change
		err        string
	}{
		"nothing": {cursor: "1"},
		"column dropped": {
			statements: []string{"ALTER TABLE mart.people DROP COLUMN name"},
			cursor:     "1", changes: []martsync.Change{{Column: "name", Action: martsync.ColumnAdded, To: "VARCHAR"}},
		},
		"column of another type": {
			statements: []string{"ALTER TABLE mart.people ALTER version SET DATA TYPE INTEGER"},
			cursor:     "1", changes: []martsync.Change{{Column: "version", Action: martsync.ColumnWidened, From: "INTEGER", To: "BIGINT"}},
		},
		"table dropped": {statements: []string{"DROP TABLE mart.people"}, cursor: ""},
		"table replaced": {
			statements: []string{"DROP TABLE mart.people", "CREATE TABLE mart.people (id BIGINT, name VARCHAR, _synced_at TIMESTAMP, _deleted BOOLEAN)"},
			cursor:     "1", changes: []martsync.Change{{Column: "version", Action: martsync.ColumnAdded, To: "BIGINT"}},
		},
		"a view in its place": {
			statements: []string{"DROP TABLE mart.people", "CREATE VIEW mart.people AS SELECT 1 AS id"}, err: "was not made by martsync",
		},
		"schema dropped":            {statements: []string{"DROP SCHEMA mart CASCADE"}, cursor: ""},
		"position taken away":       {statements: []string{"DELETE FROM mart._martsync_cursors"}, err: "was not made by martsync"},
		"ledger without its column": {statements: []string{"ALTER TABLE mart._martsync_ledger DROP COLUMN calls"}, cursor: "1"},
	} {
		for _, again := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, opened again %t", name, again), func(t *testing.T) {
				path := filepath.Join(t.TempDir(), "mart.duckdb")
				d := openAt(t, path, "mart")
				w := openWriter(t, d, people)
				commit(t, w, martsync.Commit{Next: "1"})
				_ = w.Close()
				if again {
					_ = d.Close()
					d = openAt(t, path, "mart")
				}
				if err := d.Exec(t.Context(), tt.statements); err != nil {
					t.Fatal(err)
				}
				if again {
					_ = d.Close()
					d = openAt(t, path, "mart")
				}
				if p, err := d.Position(t.Context(), "people"); err != nil || p != tt.cursor {
					t.Errorf("position %q, error %v, want %q", p, err, tt.cursor)
				}
				got, err := d.Open(t.Context(), people)
				if tt.err != "" {
					wantKind(t, err, martsync.Config, tt.err)
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				w = got.(*writer)
				defer w.Close()
				if w.Cursor() != tt.cursor {
					t.Errorf("cursor %q, want %q", w.Cursor(), tt.cursor)
				}
				if diff := cmp.Diff(tt.changes, w.Changes()); diff != "" {
					t.Errorf("changes (-want +got):\n%s", diff)
				}
				write(t, w, people, func(b *rows.Builder) { b.Append(int64(1), "a", int64(1)) })
				commit(t, w, martsync.Commit{Next: "2", Windows: []martsync.Window{{Job: "a"}}})
				if got := query(t, d, "SELECT concat_ws('|', id, name, version) FROM "+d.table("people")); !slices.Equal(got, []string{"1|a|1"}) {
					t.Errorf("rows %q", got)
				}
			})
		}
	}
}

// TestStagedElsewhere: what another process stages while the file is closed is gone on with, though the destination stays open.
func TestStagedElsewhere(t *testing.T) {
	d := openNew(t)
	openWriter(t, d, people).Close()
	c, err := d.file.connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	d.file.markBroken() // so that the file is closed and opened again
	c.close()
	if out, err := process(t, "stage", d.file.path).Output(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	w := openWriter(t, d, people)
	if w.Staged() != "staged" {
		t.Fatalf("staged %q", w.Staged())
	}
	commit(t, w, martsync.Commit{Next: "1"})
	want(t, d, "people", "1|staged elsewhere|1")
}

// TestLeftOver: staging tables that could not be dropped are dropped when the stream is opened next, and nobody writes into them.
func TestLeftOver(t *testing.T) {
	d := openNew(t)
	w := openWriter(t, d, people)
	write(t, w, people, func(b *rows.Builder) { b.Append(int64(1), "lost", int64(1)) })
	d.file.before = func(s string) error {
		if strings.HasPrefix(s, "MERGE") || strings.HasPrefix(s, "INSERT INTO "+d.table(sqlgen.Log)) || strings.HasPrefix(s, "UPDATE") || strings.HasPrefix(s, "DROP") {
			return &dbError{"IO Error: the disk is on fire"}
		}
		return nil
	}
	if err := w.Commit(t.Context(), martsync.Commit{Sync: "test", At: noon, Next: "1"}); err == nil {
		t.Fatal("no error")
	}
	if err := w.Close(); err == nil {
		t.Fatal("closing: no error")
	}
	d.file.before = nil
	staging := "SELECT table_name FROM duckdb_tables() WHERE starts_with(table_name, '_martsync_rows')"
	if got := query(t, d, staging); len(got) != 1 {
		t.Fatalf("tables %q, want one that was left", got)
	}
	w = openWriter(t, d, people)
	if got := query(t, d, staging); len(got) > 0 {
		t.Errorf("tables %q", got)
	}
	write(t, w, people, func(b *rows.Builder) { b.Append(int64(2), "kept", int64(1)) })
	commit(t, w, martsync.Commit{Next: "1"})
	want(t, d, "people", "2|kept|1")
	if got := slices.Collect(maps.Keys(d.file.loads.writers)); len(got) > 0 {
		t.Errorf("loads %v, want none", got)
	}
}

// TestSpelling: a table keeps the spelling of its name when it is replaced.
func TestSpelling(t *testing.T) {
	snapshot := people
	snapshot.Snapshot = true
	d := openNew(t)
	openWriter(t, d, snapshot).Close()
	if err := d.Exec(t.Context(), []string{`ALTER TABLE mart.people RENAME TO "x"`, `ALTER TABLE mart.x RENAME TO "People"`}); err != nil {
		t.Fatal(err)
	}
	w := openWriter(t, d, snapshot)
	write(t, w, snapshot, func(b *rows.Builder) { b.Append(int64(1), "a", int64(1)) })
	commit(t, w, martsync.Commit{Next: "1"})
	want(t, d, "people", "1|a|1")
	if got := query(t, d, "SELECT table_name FROM duckdb_tables() WHERE lower(table_name) = 'people'"); !slices.Equal(got, []string{"People"}) {
		t.Errorf("the table is called %q", got)
	}
}

// TestStagedMeanwhile: a writer does not go on with what another one has staged once that one has staged more, whose windows
// it would commit without their rows.
func TestStagedMeanwhile(t *testing.T) {
	d := openNew(t)
	stage := func(w *writer, next martsync.Cursor, add func(b *rows.Builder)) {
		t.Helper()
		write(t, w, people, add)
		c := martsync.Commit{Sync: "test", At: noon, Next: next, Windows: []martsync.Window{{Job: string(next), Parsed: 1, Written: 1}}}
		if err := w.Stage(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	first := openWriter(t, d, people)
	stage(first, "a", func(b *rows.Builder) { b.Append(int64(1), "a", int64(1)) })
	second := openWriter(t, d, people)
	stage(first, "b", func(b *rows.Builder) { b.AppendTombstone(int64(2), nil, int64(1)) })
	wantKind(t, second.Commit(t.Context(), martsync.Commit{Sync: "test", At: noon, Next: "1"}), martsync.Conflict, "staged more")
	want(t, d, "people")
	commit(t, first, martsync.Commit{Next: "2"})
	want(t, d, "people", "1|a|1", "2|null|1 (deleted)")
	if n := len(ledger(t, d)); n != 2 {
		t.Errorf("%d ledger rows, want 2", n)
	}
}
