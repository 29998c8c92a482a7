package destinationtest

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/rows"
)

// A bench is a storage under test, with one destination open on it.
type bench struct {
	testing.TB
	factory Factory
	d       martsync.Destination
	writers []martsync.Writer
}

func newBench(t testing.TB, f Factory) *bench {
	b := &bench{TB: t, factory: f, d: f.Open(t)}
	t.Cleanup(b.shut)
	return b
}

func (b *bench) shut() {
	for _, w := range b.writers {
		if err := w.Close(); err != nil {
			b.Errorf("close writer: %v", err)
		}
	}
	b.writers = nil
	if b.d != nil {
		if err := b.d.Close(); err != nil {
			b.Errorf("close destination: %v", err)
		}
	}
	b.d = nil
}

// restart closes everything and opens the storage again, as the next process does.
func (b *bench) restart() {
	b.Helper()
	b.shut()
	b.d = b.factory.Open(b)
}

func (b *bench) open(s martsync.Schema) martsync.Writer {
	b.Helper()
	w, err := b.d.Open(b.Context(), s)
	if err != nil {
		b.Fatalf("open %s: %v", s.Stream, err)
	}
	b.writers = append(b.writers, w)
	return w
}

func (b *bench) close(w martsync.Writer) {
	b.Helper()
	b.writers = slices.DeleteFunc(b.writers, func(o martsync.Writer) bool { return o == w })
	if err := w.Close(); err != nil {
		b.Fatalf("close writer: %v", err)
	}
}

// Ways to write a row.
type (
	tombstone []any // of the cells only key and version count
	flagged   []any // a whole record with the vendor's flag that it is deleted
	alive     []any
)

// write writes the rows as one batch and then destroys the batch, as its owner may.
func (b *bench) write(w martsync.Writer, s martsync.Schema, all ...any) {
	b.Helper()
	r := records(s, all...)
	if err := w.Write(b.Context(), r); err != nil {
		b.Fatalf("write %s: %v", s.Stream, err)
	}
	rows.Poison(r)
}

func records(s martsync.Schema, all ...any) *martsync.Records {
	builder := rows.NewBuilder(s.Columns)
	for _, r := range all {
		switch r := r.(type) {
		case tombstone:
			builder.AppendTombstone(r...)
		case flagged:
			builder.AppendDeleted(r...)
		case alive:
			builder.Append(r...)
		default:
			panic(fmt.Sprintf("a row is a %T", r))
		}
	}
	return builder.Records()
}

// at is the time of commits in these tests.
var at = time.Date(2025, 3, 1, 12, 30, 0, 123456000, time.UTC)

func (b *bench) commit(w martsync.Writer, c martsync.Commit) {
	b.Helper()
	if c.Sync == "" {
		c.Sync, c.At = "run-1", at
	}
	if err := w.Commit(b.Context(), c); err != nil {
		b.Fatalf("commit %q: %v", c.Next, err)
	}
}

// load opens a writer, writes the rows as one batch, commits and closes.
func (b *bench) load(s martsync.Schema, next martsync.Cursor, all ...any) {
	b.Helper()
	b.loadScopes(s, next, nil, all...)
}

func (b *bench) loadScopes(s martsync.Schema, next martsync.Cursor, complete []martsync.Scope, all ...any) {
	b.Helper()
	w := b.open(s)
	if len(all) > 0 {
		b.write(w, s, all...)
	}
	b.commit(w, martsync.Commit{Next: next, Complete: complete})
	b.close(w)
}

// cursor returns the committed and the staged position, by opening a writer.
func (b *bench) cursor(s martsync.Schema) (cursor, staged martsync.Cursor) {
	b.Helper()
	w := b.open(s)
	defer b.close(w)
	return w.Cursor(), w.Staged()
}

func (b *bench) wantCursor(s martsync.Schema, cursor, staged martsync.Cursor) {
	b.Helper()
	if c, st := b.cursor(s); c != cursor || st != staged {
		b.Errorf("cursor and staged position of %s: got %q and %q, want %q and %q", s.Stream, c, st, cursor, staged)
	}
}

// table reads the rows of a table: columns to cells, "_deleted" included.
func (b *bench) table(stream string) (martsync.Schema, []map[string]any) {
	b.Helper()
	r, ok := b.d.(martsync.TableReader)
	if !ok {
		b.Fatal("the destination is not a martsync.TableReader")
	}
	schema, batches, err := r.ReadTable(b.Context(), stream)
	if err != nil {
		b.Fatalf("read table %s: %v", stream, err)
	}
	var all []map[string]any
	for records, err := range batches {
		if err != nil {
			b.Fatalf("read table %s: %v", stream, err)
		}
		for i, cells := range rows.Of(schema.Columns, records) {
			row := map[string]any{}
			for j, c := range schema.Columns {
				if c.Name != martsync.SyncedAt && c.Name != martsync.Deleted {
					row[c.Name] = normal(cells[j])
				}
			}
			if rows.Deleted(records, i) {
				row[martsync.Deleted] = true
			}
			all = append(all, row)
		}
	}
	return schema, all
}

// normal makes equal JSON values equal texts: a database may keep the value only.
func normal(cell any) any {
	text, ok := cell.(rows.JSON)
	if !ok {
		return cell
	}
	d := json.NewDecoder(strings.NewReader(string(text)))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return text
	}
	compact, err := json.Marshal(v)
	if err != nil {
		return text
	}
	return rows.JSON(compact)
}

// want compares a table with rows of the schema: alive ones, or tombstones and flagged ones
// for rows that are deleted. Of a tombstone's cells only the key counts.
func (b *bench) want(s martsync.Schema, want ...any) {
	b.Helper()
	_, got := b.table(s.Stream)
	var wanted []map[string]any
	keysOnly := map[string]bool{}
	for _, r := range want {
		row := map[string]any{}
		var cells []any
		switch r := r.(type) {
		case alive:
			cells = r
		case flagged:
			cells, row[martsync.Deleted] = r, true
		case tombstone:
			cells, row[martsync.Deleted] = r, true
		}
		for i, c := range s.Columns {
			if _, gone := r.(tombstone); !gone || s.IsKey(c.Name) {
				row[c.Name] = normal(cells[i])
			}
		}
		if _, gone := r.(tombstone); gone {
			keysOnly[fmt.Sprint(row)] = true
		}
		wanted = append(wanted, row)
	}
	for i, row := range got {
		cut := maps.Clone(row)
		maps.DeleteFunc(cut, func(name string, _ any) bool { return !s.IsKey(name) && name != martsync.Deleted })
		if keysOnly[fmt.Sprint(cut)] {
			got[i] = cut
			continue
		}
		maps.DeleteFunc(row, func(name string, _ any) bool { return s.Index(name) < 0 && name != martsync.Deleted })
	}
	sortRows(got)
	sortRows(wanted)
	if diff := cmp.Diff(wanted, got); diff != "" {
		b.Errorf("table %s (-want +got):\n%s", s.Stream, diff)
	}
}

func sortRows(all []map[string]any) {
	slices.SortFunc(all, func(a, b map[string]any) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
}

func (b *bench) ledger(stream string) []martsync.LedgerEntry {
	b.Helper()
	r, ok := b.d.(martsync.HistoryReader)
	if !ok {
		b.Fatal("the destination is not a martsync.HistoryReader")
	}
	var entries []martsync.LedgerEntry
	for e, err := range r.Ledger(b.Context(), stream) {
		if err != nil {
			b.Fatalf("read ledger: %v", err)
		}
		entries = append(entries, e)
	}
	return entries
}

// Schemas that many laws use.
var (
	keyed = martsync.Schema{
		Stream: "people", Key: []string{"id"}, Version: "updated_at", Deletes: true,
		Columns: []martsync.Column{
			{Name: "id", Type: martsync.Int64}, {Name: "name", Type: martsync.String}, {Name: "updated_at", Type: martsync.Timestamp},
		},
	}
	versionless = martsync.Schema{
		Stream: "members", Key: []string{"list", "member"}, Deletes: true,
		Columns: []martsync.Column{
			{Name: "list", Type: martsync.String}, {Name: "member", Type: martsync.Int64}, {Name: "note", Type: martsync.String},
		},
	}
	appendOnly = martsync.Schema{
		Stream:  "events",
		Columns: []martsync.Column{{Name: "id", Type: martsync.Int64}, {Name: "what", Type: martsync.String}},
	}
	snapshot = martsync.Schema{
		Stream: "campaigns", Key: []string{"id"}, Snapshot: true,
		Columns: []martsync.Column{{Name: "id", Type: martsync.Int64}, {Name: "name", Type: martsync.String}},
	}
)

// v is a version: so many seconds after the epoch.
func v(seconds int64) rows.Micros { return rows.Micros(seconds * 1e6) }

// versions is the scope of the rows of keyed from one version up to, but not including, another.
func versions(from, to int64) martsync.Scope {
	return martsync.Scope{Column: keyed.Version, From: time.Unix(from, 0), To: time.Unix(to, 0)}
}
