//go:build cgo && !lite

package duckdb

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/destination/memory"
	"github.com/martsync/martsync/internal/rows"
)

// TestAgainstModel does the same random things to a DuckDB file and to the destination in
// memory, and wants the same tables, positions and ledgers.
func TestAgainstModel(t *testing.T) {
	dir, n := t.TempDir(), 0
	rapid.Check(t, func(rt *rapid.T) {
		n++
		m := &model{t: rt, path: filepath.Join(dir, fmt.Sprintf("%d.duckdb", n)), env: env(t)}
		m.schema = martsync.Schema{
			Stream: "things",
			Columns: []martsync.Column{
				{Name: "list", Type: martsync.Int64},
				{Name: "id", Type: martsync.String},
				{Name: "version", Type: martsync.Timestamp},
				{Name: "value", Type: martsync.String},
			},
		}
		if rapid.Bool().Draw(rt, "sticky") {
			m.schema.Columns[3].Sticky = true
			m.schema.Columns = append(m.schema.Columns, martsync.Column{Name: "more", Type: martsync.Int64, Sticky: true})
		}
		switch rapid.IntRange(0, 4).Draw(rt, "kind of stream") {
		case 0: // append only
		case 1:
			m.schema.Key, m.schema.Snapshot = []string{"list", "id"}, rapid.Bool().Draw(rt, "snapshot")
		case 2:
			m.schema.Key, m.schema.Deletes = []string{"list", "id"}, true
		default:
			m.schema.Key, m.schema.Deletes, m.schema.Version = []string{"list", "id"}, true, "version"
		}
		m.storage = memory.NewStorage()
		m.openDestinations()
		defer m.close()
		rt.Repeat(map[string]func(*rapid.T){
			"write":   m.write,
			"stage":   m.stage,
			"discard": m.discard,
			"commit":  m.commit,
			"reopen":  m.reopen,
			"restart": m.restart,
			"evolve":  m.evolve,
			"":        m.compare,
		})
	})
}

// pair is what is tested and what it should be like.
type pair[T any] struct{ got, want T }

type model struct {
	t       *rapid.T
	path    string
	env     martsync.Env
	schema  martsync.Schema
	storage *memory.Storage
	dest    pair[martsync.Destination]
	writer  pair[martsync.Writer]
	steps   int
	value   int
}

func (m *model) openDestinations() {
	d, err := Open(context.Background(), Config{Path: m.path, Threads: 2}, "", m.env)
	if err != nil {
		m.t.Fatal(err)
	}
	m.dest = pair[martsync.Destination]{d, memory.New(m.storage)}
	m.openWriters()
}

func (m *model) openWriters() {
	for _, o := range []struct {
		d martsync.Destination
		w *martsync.Writer
	}{{m.dest.got, &m.writer.got}, {m.dest.want, &m.writer.want}} {
		w, err := o.d.Open(context.Background(), m.schema)
		if err != nil {
			m.t.Fatal(err)
		}
		*o.w = w
	}
}

func (m *model) close() {
	for _, err := range []error{m.writer.got.Close(), m.dest.got.Close(), m.writer.want.Close()} {
		if err != nil {
			m.t.Fatal(err)
		}
	}
}

func (m *model) both(what string, f func(martsync.Writer) error) {
	for _, w := range []martsync.Writer{m.writer.got, m.writer.want} {
		if err := f(w); err != nil {
			m.t.Fatalf("%s: %T: %v", what, w, err)
		}
	}
}

func (m *model) write(t *rapid.T) {
	b := rows.NewBuilder(m.schema.Columns)
	count := rapid.SampledFrom([]int{1, 3, 10, 2100}).Draw(t, "rows")
	for i := range count {
		m.value++
		if i >= 10 { // more than are worth drawing
			b.Append(m.cells(int64(9), fmt.Sprint(i), rows.Micros(m.value%3), fmt.Sprint("value ", m.value), int64(m.value))...)
			continue
		}
		var version any
		if v := rapid.IntRange(0, 5).Draw(t, "version"); v > 0 {
			version = rows.Micros(v)
		}
		var value, more any = fmt.Sprint("value ", m.value), int64(m.value)
		if rapid.Bool().Draw(t, "no value") {
			value = nil
		}
		if rapid.Bool().Draw(t, "no more") {
			more = nil
		}
		cells := m.cells(int64(rapid.IntRange(1, 2).Draw(t, "list")), fmt.Sprint("a key of some length ", rapid.IntRange(1, 3).Draw(t, "id")), version, value, more)
		kind := 0
		if m.schema.Deletes {
			kind = rapid.IntRange(0, 5).Draw(t, "kind of row")
		}
		switch kind {
		case 1, 2:
			cells[3] = nil
			b.AppendTombstone(cells...)
		case 3:
			b.AppendDeleted(cells...)
		default:
			b.Append(cells...)
		}
	}
	m.both("write", func(w martsync.Writer) error { return w.Write(context.Background(), b.Records()) })
	rows.Poison(b.Records())
}

// cells are as many as the schema has columns.
func (m *model) cells(cells ...any) []any { return cells[:len(m.schema.Columns)] }

func (m *model) draw(t *rapid.T) martsync.Commit {
	m.steps++
	c := martsync.Commit{Sync: "sync", At: noon, Next: martsync.Cursor(fmt.Sprint("cursor ", m.steps))}
	if rapid.Bool().Draw(t, "window") {
		c.Windows = []martsync.Window{{Job: fmt.Sprint("job ", m.steps), Records: -1, Bytes: 3, From: noon, Written: int64(m.steps)}}
	}
	if m.schema.Deletes {
		switch rapid.IntRange(0, 6).Draw(t, "scope") {
		case 0:
			c.Complete = []martsync.Scope{{}}
		case 1:
			c.Complete = []martsync.Scope{{Column: "list", Value: "1"}}
		case 3:
			if m.schema.Version != "" {
				from := rapid.Int64Range(0, 4).Draw(t, "from")
				c.Complete = []martsync.Scope{{Column: m.schema.Version, From: time.UnixMicro(from), To: time.UnixMicro(from + 2)}}
			}
		case 2:
			c.Complete = []martsync.Scope{{Column: "id", Value: "a key of some length 2"}, {Column: "list", Value: "2"}}
		}
	}
	return c
}

func (m *model) stage(t *rapid.T) {
	c := m.draw(t)
	m.both("stage", func(w martsync.Writer) error { return w.Stage(context.Background(), c) })
}

func (m *model) commit(t *rapid.T) {
	c := m.draw(t)
	m.both("commit", func(w martsync.Writer) error { return w.Commit(context.Background(), c) })
}

func (m *model) discard(*rapid.T) {
	m.both("discard", func(w martsync.Writer) error { return w.Discard(context.Background()) })
}

// reopen replaces the writers, as after an error.
func (m *model) reopen(*rapid.T) {
	m.both("close", martsync.Writer.Close)
	m.openWriters()
}

// evolve changes the schema: columns come and go, become sticky, and deletions are told or not. What is staged is given up
// before, since destinations differ in what they can keep of it.
func (m *model) evolve(t *rapid.T) {
	m.both("discard", func(w martsync.Writer) error { return w.Discard(context.Background()) })
	m.both("close", martsync.Writer.Close)
	m.schema.Columns = slices.Clone(m.schema.Columns)
	switch kind := rapid.IntRange(0, 2).Draw(t, "change of the schema"); {
	case kind == 0 && len(m.schema.Columns) == 4:
		m.schema.Columns = append(m.schema.Columns, martsync.Column{Name: "more", Type: martsync.Int64, Sticky: rapid.Bool().Draw(t, "sticky")})
	case kind == 0:
		m.schema.Columns = m.schema.Columns[:4]
	case kind == 1:
		m.schema.Columns[3].Sticky = !m.schema.Columns[3].Sticky
	case len(m.schema.Key) > 0:
		m.schema.Deletes = !m.schema.Deletes
	}
	m.openWriters()
}

// restart closes and opens everything, as another process would.
func (m *model) restart(*rapid.T) {
	m.close()
	m.openDestinations()
}

func (m *model) compare(*rapid.T) {
	if m.writer.got.Cursor() != m.writer.want.Cursor() || m.writer.got.Staged() != m.writer.want.Staged() {
		m.t.Fatalf("cursor %q, staged %q, want %q and %q", m.writer.got.Cursor(), m.writer.got.Staged(), m.writer.want.Cursor(), m.writer.want.Staged())
	}
	got := contents(m.t, m.dest.got.(martsync.TableReader), m.schema.Stream)
	want := contents(m.t, m.dest.want.(martsync.TableReader), m.schema.Stream)
	if diff := cmp.Diff(want, got); diff != "" {
		m.t.Fatalf("table (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(ledger(m.t, m.dest.want), ledger(m.t, m.dest.got)); diff != "" {
		m.t.Fatalf("ledger (-want +got):\n%s", diff)
	}
}

func ledger(t interface{ Fatal(...any) }, d martsync.Destination) []martsync.LedgerEntry {
	var out []martsync.LedgerEntry
	for e, err := range d.(martsync.HistoryReader).Ledger(context.Background(), "") {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, e)
	}
	return out
}
