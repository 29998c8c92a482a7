//go:build cgo && !lite

package duckdb

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/rows"
)

func named(name string) martsync.Schema {
	s := people
	s.Stream = name
	return s
}

func many(b *rows.Builder, from, n int, version int64) {
	for i := from; i < from+n; i++ {
		b.Append(int64(i), fmt.Sprintf("number %d with some text", i), version)
	}
}

// TestSideBySide loads several streams at once, in large and small batches, while others read.
func TestSideBySide(t *testing.T) {
	d := openNew(t)
	other := openAt(t, d.file.path, "other")
	var group sync.WaitGroup
	const streams, rounds = 4, 4
	for i := range streams {
		group.Go(func() {
			s, d := named(fmt.Sprintf("stream_%d", i)), []*destination{d, other}[i%2]
			for round := range rounds {
				w, err := d.Open(context.Background(), s)
				if err != nil {
					t.Errorf("open: %v", err)
					return
				}
				for j, size := range []int{10, 2500, 6000, 100} {
					b := rows.NewBuilder(s.Columns)
					many(b, j*1000, size, int64(round))
					b.AppendTombstone(int64(j), nil, int64(round))
					if err := w.Write(context.Background(), b.Records()); err != nil {
						t.Errorf("write: %v", err)
					}
					rows.Poison(b.Records())
					if j == 1 {
						if err := w.Stage(context.Background(), martsync.Commit{Sync: "test", At: noon, Next: "staged"}); err != nil {
							t.Errorf("stage: %v", err)
						}
					}
				}
				if err := w.Commit(context.Background(), martsync.Commit{Sync: "test", At: noon, Next: martsync.Cursor(fmt.Sprint(round)), Windows: []martsync.Window{{}}}); err != nil {
					t.Errorf("commit: %v", err)
				}
				if err := w.Close(); err != nil {
					t.Errorf("close: %v", err)
				}
				_, records, err := d.ReadTable(context.Background(), s.Stream)
				if err != nil {
					t.Errorf("read: %v", err)
					return
				}
				n := 0
				for r, err := range records {
					if err != nil {
						t.Errorf("read: %v", err)
						return
					}
					n += r.Len
				}
				if n != 7010 {
					t.Errorf("%s has %d rows, want 7010", s.Stream, n)
				}
			}
		})
	}
	group.Wait()
	if n := len(ledger(t, d)) + len(ledger(t, other)); n != streams*rounds {
		t.Errorf("%d ledger rows, want %d", n, streams*rounds)
	}
}

// TestOpenLoadBlocksNobody has a load under way for as long as another stream does everything.
func TestOpenLoadBlocksNobody(t *testing.T) {
	d := openNew(t)
	slow := openWriter(t, d, named("slow"))
	write(t, slow, people, func(b *rows.Builder) { many(b, 0, 9000, 1) })
	if slow.feeding == nil {
		t.Fatal("the load is not under way")
	}
	for round := range 3 {
		w := openWriter(t, d, named("fast"))
		write(t, w, people, func(b *rows.Builder) { many(b, 0, 5000, int64(round)) })
		commit(t, w, martsync.Commit{Next: martsync.Cursor(fmt.Sprint(round))})
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(contents(t, d, "fast")); n != 5000 {
		t.Errorf("%d rows, want 5000", n)
	}
	want(t, d, "slow")
	commit(t, slow, martsync.Commit{Next: "done"})
	if n := len(contents(t, d, "slow")); n != 9000 {
		t.Errorf("%d rows, want 9000", n)
	}
}

// TestTakeover has a writer go on with what another one, which is still there, has staged.
func TestTakeover(t *testing.T) {
	d := openNew(t)
	first := openWriter(t, d, people)
	write(t, first, people, func(b *rows.Builder) { b.Append(int64(1), "first", int64(1)) })
	if err := first.Stage(t.Context(), martsync.Commit{Sync: "test", At: noon, Next: "staged"}); err != nil {
		t.Fatal(err)
	}
	write(t, first, people, func(b *rows.Builder) { b.Append(int64(2), "not staged", int64(1)) })
	second := openWriter(t, d, people)
	if second.Staged() != "staged" {
		t.Fatalf("staged %q", second.Staged())
	}
	write(t, second, people, func(b *rows.Builder) { b.Append(int64(3), "second", int64(1)) })
	err := first.Commit(t.Context(), martsync.Commit{Sync: "test", At: noon, Next: "first"})
	wantKind(t, err, martsync.Conflict, "taken over")
	want(t, d, "people")
	commit(t, second, martsync.Commit{Next: "second"})
	want(t, d, "people", "1|first|1", "3|second|1")
}

// TestReadersStop has readers that leave early or whose context ends.
func TestReadersStop(t *testing.T) {
	d := openNew(t)
	w := openWriter(t, d, people)
	write(t, w, people, func(b *rows.Builder) { many(b, 0, 9999, 1) })
	commit(t, w, martsync.Commit{Next: "1", Windows: []martsync.Window{{Job: "a"}, {Job: "b"}}})
	_, records, err := d.ReadTable(t.Context(), "people")
	if err != nil {
		t.Fatal(err)
	}
	for range records {
		break
	}
	for range d.Ledger(t.Context(), "") {
		break
	}
	ctx, cancel := context.WithCancel(t.Context())
	_, records, err = d.ReadTable(ctx, "people")
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	for _, err = range records {
	}
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context canceled", err)
	}
	if err := w.Write(ctx, rows.NewBuilder(people.Columns).Records()); err != nil {
		t.Errorf("writing nothing: %v", err)
	}
}

// TestForeignTable leaves alone what martsync did not make.
func TestForeignTable(t *testing.T) {
	d := openNew(t)
	for _, s := range []string{"CREATE SCHEMA mart", `CREATE TABLE mart."People" (id BIGINT, note VARCHAR)`, `INSERT INTO mart."People" VALUES (1, 'mine')`, "CREATE VIEW mart.looks AS SELECT 1 AS id"} {
		if err := d.Exec(t.Context(), []string{s}); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"people", "looks"} {
		_, err := d.Open(t.Context(), named(name))
		wantKind(t, err, martsync.Config, "was not made by martsync")
		if martsync.HintOf(err) == "" {
			t.Error("no hint")
		}
	}
	want(t, d, "people", "1|mine")
	openWriter(t, d, named("others")) // and they do not keep others from working
}

// TestOwnTable opens a table that somebody made with our own statements, in another client.
func TestOwnTable(t *testing.T) {
	d := openNew(t)
	statements := d.TableStatements(people)
	if err := d.Exec(t.Context(), statements); err != nil {
		t.Fatal(err)
	}
	if err := d.Exec(t.Context(), statements); err != nil { // again
		t.Fatal(err)
	}
	w := openWriter(t, d, people)
	if len(w.Changes()) != 0 {
		t.Errorf("changes %v", w.Changes())
	}
	write(t, w, people, func(b *rows.Builder) { b.Append(int64(1), "a", nil) })
	commit(t, w, martsync.Commit{Next: "1"})
	want(t, d, "people", "1|a|null")
}

// TestDroppedTable loads a table from the beginning that somebody dropped.
func TestDroppedTable(t *testing.T) {
	d := openNew(t)
	w := openWriter(t, d, people)
	write(t, w, people, func(b *rows.Builder) { b.Append(int64(1), "a", nil) })
	commit(t, w, martsync.Commit{Next: "1"})
	if err := d.Exec(t.Context(), []string{"DROP TABLE mart.people"}); err != nil {
		t.Fatal(err)
	}
	if w := openWriter(t, d, people); w.Cursor() != "" {
		t.Errorf("cursor %q, want the beginning", w.Cursor())
	}
	wantKind(t, w.Commit(t.Context(), martsync.Commit{Sync: "test", At: noon, Next: "2"}), martsync.Conflict, "")
}

// TestTouchedTable keeps what somebody has added to a table, so that it cannot be replaced.
func TestTouchedTable(t *testing.T) {
	snapshot := people
	snapshot.Snapshot = true
	for _, tt := range []struct{ name, statement, check string }{
		{"index", "CREATE INDEX by_name ON mart.people (name)", "SELECT count(*) FROM duckdb_indexes() WHERE index_name = 'by_name'"},
		{"comment", "COMMENT ON COLUMN mart.people.name IS 'who'", "SELECT count(*) FROM duckdb_columns() WHERE comment = 'who'"},
		{"default", "ALTER TABLE mart.people ALTER COLUMN name SET DEFAULT 'x'", "SELECT count(*) FROM duckdb_columns() WHERE column_default = '''x'''"},
		{"column", "ALTER TABLE mart.people ADD COLUMN extra INTEGER DEFAULT 5", "SELECT count(*) FROM duckdb_columns() WHERE column_name = 'extra'"},
		{"nothing", "SELECT 1", "SELECT 1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := openNew(t)
			openWriter(t, d, people).Close()
			if err := d.Exec(t.Context(), []string{tt.statement}); err != nil {
				t.Fatal(err)
			}
			for i := range 2 {
				w := openWriter(t, d, snapshot)
				write(t, w, people, func(b *rows.Builder) {
					b.Append(int64(i), "a", int64(1))
					b.Append(int64(i), "b", int64(1))
					b.AppendTombstone(int64(i), nil, int64(2))
				})
				commit(t, w, martsync.Commit{Next: "1"})
				_ = w.Close()
				var got []string
				for _, line := range contents(t, d, "people") {
					got = append(got, strings.ReplaceAll(strings.ReplaceAll(line, "|null", ""), "|5", ""))
				}
				if diff := cmp.Diff([]string{fmt.Sprintf("%d|b|2 (deleted)", i)}, got); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			}
			if got := query(t, d, tt.check); got[0] != "1" {
				t.Errorf("%s is gone", tt.name)
			}
		})
	}
}

// TestCase opens tables and columns that are spelled in another case.
func TestCase(t *testing.T) {
	d := openNew(t)
	upper := martsync.Schema{Stream: "things", Key: []string{"ID"}, Columns: []martsync.Column{{Name: "ID", Type: martsync.Int64}, {Name: "Name", Type: martsync.String}}}
	lower := martsync.Schema{Stream: "things", Key: []string{"id"}, Columns: []martsync.Column{{Name: "id", Type: martsync.Int64}, {Name: "name", Type: martsync.String}}}
	for i, s := range []martsync.Schema{upper, lower, upper} {
		w := openWriter(t, d, s)
		if len(w.Changes()) != 0 {
			t.Errorf("changes %v", w.Changes())
		}
		write(t, w, s, func(b *rows.Builder) { b.Append(int64(1), fmt.Sprint(i)) })
		commit(t, w, martsync.Commit{Next: "1"})
		want(t, d, "things", fmt.Sprintf("1|%d", i))
		_ = w.Close()
	}
	twice := lower
	twice.Columns = append(twice.Columns, martsync.Column{Name: "NAME", Type: martsync.String})
	_, err := d.Open(t.Context(), twice)
	wantKind(t, err, martsync.Internal, "occurs twice")
	_, err = d.Open(t.Context(), martsync.Schema{Stream: "Things", Columns: lower.Columns})
	wantKind(t, err, martsync.Config, "stream things")
}

// TestWiden has every pair of types meet in one column and keeps the values of both.
func TestWiden(t *testing.T) {
	dec := func(p, s int) martsync.Column {
		return martsync.Column{Name: "x", Type: martsync.Decimal, Precision: p, Scale: s}
	}
	col := func(t martsync.Type) martsync.Column { return martsync.Column{Name: "x", Type: t} }
	decimal := func(text string, scale int) rows.Decimal {
		d, err := rows.ParseDecimal(text, scale)
		if err != nil {
			panic(err)
		}
		return d
	}
	values := []struct {
		column martsync.Column
		cell   any
		text   string
	}{
		{col(martsync.Bool), true, "true"},
		{col(martsync.Int64), int64(math.MinInt64), "-9223372036854775808"},
		{col(martsync.Float64), 0.1, "0.1"},
		{dec(5, 2), decimal("-999.99", 2), "-999.99"},
		{dec(38, 0), decimal("99999999999999999999999999999999999999", 0), "99999999999999999999999999999999999999"},
		{col(martsync.String), "it's 12", "it's 12"},
		{col(martsync.Binary), rows.Bytes("ab"), "ab"},
		{col(martsync.Date), rows.Date(19_782), "2024-02-29"},
		{col(martsync.Timestamp), rows.Micros(19_782*86_400_000_000 + 1), "2024-02-29 00:00:00.000001"},
		{col(martsync.JSON), rows.JSON(`{"a": [1]}`), `{"a": [1]}`},
	}
	d := openNew(t)
	schema := func(c martsync.Column) martsync.Schema {
		return martsync.Schema{Stream: "things", Key: []string{"id"}, Columns: []martsync.Column{{Name: "id", Type: martsync.Int64}, c}}
	}
	for _, a := range values {
		for _, b := range values {
			t.Run(a.column.TypeName()+" and "+b.column.TypeName(), func(t *testing.T) {
				if err := d.Exec(t.Context(), []string{"CREATE SCHEMA IF NOT EXISTS mart", "DROP TABLE IF EXISTS mart.things"}); err != nil {
					t.Fatal(err)
				}
				for i, v := range []struct {
					column martsync.Column
					cell   any
				}{{a.column, a.cell}, {b.column, b.cell}, {a.column, a.cell}} {
					w := openWriter(t, d, schema(v.column))
					write(t, w, schema(v.column), func(b *rows.Builder) { b.Append(int64(i), v.cell) })
					commit(t, w, martsync.Commit{Next: "1"})
					_ = w.Close()
				}
				got := query(t, d, "SELECT CAST(x AS VARCHAR) FROM "+d.table("things")+" ORDER BY id")
				for i, text := range []string{a.text, b.text, a.text} {
					// widened decimals have more zeros, dates a time of day
					trimmed := got[i]
					if strings.Contains(trimmed, ".") && a.column.Type != martsync.Float64 && b.column.Type != martsync.Float64 {
						trimmed = strings.TrimRight(strings.TrimRight(trimmed, "0"), ".")
					}
					trimmed = strings.TrimSuffix(trimmed, " 00:00:00")
					if trimmed != text {
						t.Errorf("row %d is %q, want %q", i, got[i], text)
					}
				}
			})
		}
	}
}

// TestForeignTypes widens types that we do not make, and refuses those that it cannot.
func TestForeignTypes(t *testing.T) {
	d := openNew(t)
	openWriter(t, d, people).Close()
	if err := d.Exec(t.Context(), []string{"ALTER TABLE mart.people ALTER version SET DATA TYPE INTEGER", "ALTER TABLE mart.people ADD COLUMN tags VARCHAR[]"}); err != nil {
		t.Fatal(err)
	}
	w := openWriter(t, d, people)
	if diff := cmp.Diff([]martsync.Change{
		{Column: "version", Action: martsync.ColumnWidened, From: "INTEGER", To: "BIGINT"},
		{Column: "tags", Action: martsync.ColumnMissing, From: "VARCHAR[]", To: "VARCHAR[]"},
	}, w.Changes()); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
	write(t, w, people, func(b *rows.Builder) { b.Append(int64(1), "a", int64(math.MaxInt64)) })
	commit(t, w, martsync.Commit{Next: "1"})
	want(t, d, "people", "1|a|9223372036854775807|null")
	_ = w.Close()
	tagged := people
	tagged.Columns = append(append([]martsync.Column(nil), people.Columns...), martsync.Column{Name: "tags", Type: martsync.JSON})
	_, err := d.Open(t.Context(), tagged)
	wantKind(t, err, martsync.Config, "VARCHAR[]")
}

// TestNewestTimeOfForeignTables: a table that another program made keeps its times in its own way.
func TestNewestTimeOfForeignTables(t *testing.T) {
	d := openNew(t)
	openWriter(t, d, people).Close()
	want := time.Date(2024, 5, 1, 12, 30, 0, 0, time.UTC)
	for name, column := range map[string]string{
		"timestamp": "TIMESTAMP '2024-05-01 12:30:00'", "zoned": "TIMESTAMPTZ '2024-05-01 08:30:00-04'", "seconds": "TIMESTAMP_S '2024-05-01 12:30:00'",
		"text": "'2024-05-01 12:30:00'", "iso text": "'2024-05-01T12:30:00Z'",
	} {
		table := "old " + name
		if err := d.Exec(t.Context(), []string{
			`CREATE TABLE mart."` + table + `" AS SELECT ` + column + ` AS "Updated At" UNION ALL SELECT NULL`,
		}); err != nil {
			t.Fatal(err)
		}
		if got, err := d.NewestTime(t.Context(), table, "updated at"); err != nil || !got.Equal(want) {
			t.Errorf("%s: got %v and error %v, want %v", name, got, err, want)
		}
	}
	if err := d.Exec(t.Context(), []string{`CREATE TABLE mart.words AS SELECT 'yesterday' AS updated_at`}); err != nil {
		t.Fatal(err)
	}
	if got, err := d.NewestTime(t.Context(), "words", "updated_at"); err != nil || !got.IsZero() {
		t.Errorf("text that is no time: got %v and error %v, want none", got, err)
	}
}
