//go:build cgo && !lite

package duckdb

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/rows"
)

func TestMain(m *testing.M) {
	if child() {
		return
	}
	// the model test takes long; -rapid.checks on the command line comes later and wins
	if err := flag.Set("rapid.checks", "10"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m)
}

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// env is what connectors get of the world in tests.
func env(t testing.TB) martsync.Env {
	return martsync.Env{Log: slog.New(slog.DiscardHandler), HTTP: http.DefaultClient, Clock: martsync.SystemClock{}, TempDir: t.TempDir()}
}

// openAt opens a database file; the test closes it.
func openAt(t testing.TB, path, schema string) *destination {
	t.Helper()
	d, err := Open(t.Context(), Config{Path: path, Threads: 2}, schema, env(t))
	if err != nil {
		t.Fatalf("open %s: %v", path, err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d.(*destination)
}

func openNew(t testing.TB) *destination {
	return openAt(t, filepath.Join(t.TempDir(), "mart.duckdb"), "mart")
}

var people = martsync.Schema{
	Stream: "people",
	Columns: []martsync.Column{
		{Name: "id", Type: martsync.Int64},
		{Name: "name", Type: martsync.String},
		{Name: "version", Type: martsync.Int64},
	},
	Key: []string{"id"}, Version: "version", Deletes: true,
}

func openWriter(t testing.TB, d *destination, s martsync.Schema) *writer {
	t.Helper()
	w, err := d.Open(t.Context(), s)
	if err != nil {
		t.Fatalf("open writer: %v", err)
	}
	t.Cleanup(func() { _ = w.Close() })
	return w.(*writer)
}

// write hands rows over and then overwrites their memory, as sources do.
func write(t testing.TB, w martsync.Writer, s martsync.Schema, add func(b *rows.Builder)) {
	t.Helper()
	b := rows.NewBuilder(s.Columns)
	add(b)
	r := b.Records()
	if err := w.Write(context.Background(), r); err != nil {
		t.Fatalf("write: %v", err)
	}
	rows.Poison(r)
}

func commit(t testing.TB, w martsync.Writer, c martsync.Commit) {
	t.Helper()
	if c.At.IsZero() {
		c.At = noon
	}
	if c.Sync == "" {
		c.Sync = "test"
	}
	if err := w.Commit(context.Background(), c); err != nil {
		t.Fatalf("commit: %v", err)
	}
}

// contents is the rows of a table as sorted text; deleted ones end in " (deleted)".
func contents(t failer, d martsync.TableReader, stream string) []string {
	t.Helper()
	s, records, err := d.ReadTable(context.Background(), stream)
	if err != nil {
		t.Fatalf("read table: %v", err)
	}
	out := []string{}
	for r, err := range records {
		if err != nil {
			t.Fatalf("read table: %v", err)
		}
		for i, row := range rows.Of(s.Columns, r) {
			var cells []string
			for _, c := range row {
				if c == nil {
					cells = append(cells, "null")
				} else {
					cells = append(cells, rows.Text(c))
				}
			}
			line := strings.Join(cells, "|")
			if rows.Deleted(r, i) {
				line += " (deleted)"
			}
			out = append(out, line)
		}
	}
	slices.Sort(out)
	return out
}

// failer is a testing.TB or a rapid.T.
type failer interface {
	Helper()
	Fatalf(format string, args ...any)
}

func want(t testing.TB, d martsync.TableReader, stream string, lines ...string) {
	t.Helper()
	slices.Sort(lines)
	if lines == nil {
		lines = []string{}
	}
	if diff := cmp.Diff(lines, contents(t, d, stream)); diff != "" {
		t.Errorf("table %s (-want +got):\n%s", stream, diff)
	}
}

// query returns rows of text.
func query(t testing.TB, d *destination, sql string) []string {
	t.Helper()
	var out []string
	err := d.with(context.Background(), "query", func(c *conn) error {
		rows, err := c.strings(context.Background(), sql)
		for _, r := range rows {
			out = append(out, strings.Join(r, "|"))
		}
		return err
	})
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return out
}

func wantKind(t testing.TB, err error, kind martsync.Kind, text string) {
	t.Helper()
	if err == nil {
		t.Fatalf("got no error, want one of kind %s that says %q", kind, text)
	}
	if got := martsync.KindOf(err); got != kind || !strings.Contains(err.Error(), text) {
		t.Fatalf("got kind %s: %v\nwant kind %s that says %q", got, err, kind, text)
	}
}

func TestFirstAndSecondLoad(t *testing.T) {
	path := filepath.Join(t.TempDir(), "some", "folder", "mart.duckdb")
	d := openAt(t, path, "mart")
	w := openWriter(t, d, people)
	if w.Cursor() != "" || w.Staged() != "" || len(w.Changes()) != 0 {
		t.Errorf("a new table has cursor %q, staged %q, changes %v", w.Cursor(), w.Staged(), w.Changes())
	}
	write(t, w, people, func(b *rows.Builder) {
		for i := range 5000 { // enough for the statement that stays open
			b.Append(int64(i), fmt.Sprintf("name %d with more than twelve bytes", i), int64(1))
		}
		b.Append(int64(7), "later", int64(1))
	})
	write(t, w, people, func(b *rows.Builder) { b.Append(int64(8), "lower version", int64(0)) })
	want(t, d, "people")
	commit(t, w, martsync.Commit{Next: "one"})
	got := contents(t, d, "people")
	if len(got) != 5000 || !slices.Contains(got, "7|later|1") || !slices.Contains(got, "8|name 8 with more than twelve bytes|1") {
		t.Fatalf("got %d rows, %v", len(got), got[:3])
	}

	// the same writer goes on
	write(t, w, people, func(b *rows.Builder) {
		b.Append(int64(7), "newer", int64(2))
		b.Append(int64(9), "older", nil)
		b.Append(int64(9000), "new", nil)
	})
	commit(t, w, martsync.Commit{Next: "two", At: noon.Add(time.Hour)})
	got = contents(t, d, "people")
	if len(got) != 5001 || !slices.Contains(got, "7|newer|2") || !slices.Contains(got, "9000|new|null") || slices.Contains(got, "9|older|null") {
		t.Fatalf("got %d rows", len(got))
	}
	if got := query(t, d, `SELECT count(*) FROM `+d.table("people")+` WHERE _synced_at = TIMESTAMP '2026-03-01 13:00:00' AND NOT _deleted`); got[0] != "2" {
		t.Errorf("%s rows have the time of the second commit, want 2", got)
	}
	if got := query(t, d, "SELECT table_name FROM duckdb_tables() WHERE NOT internal AND (table_name LIKE '%rows%' OR table_name LIKE '%gone%')"); len(got) != 0 {
		t.Errorf("staging tables are left: %v", got)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}

	again := openAt(t, path, "mart")
	if w := openWriter(t, again, people); w.Cursor() != "two" {
		t.Errorf("cursor %q, want two", w.Cursor())
	}
	if n := len(contents(t, again, "people")); n != 5001 {
		t.Errorf("%d rows after opening again, want 5001", n)
	}
}
