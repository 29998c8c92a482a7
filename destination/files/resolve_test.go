package files

import (
	"context"
	"fmt"
	"iter"
	"math/big"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/destination/memory"
	"github.com/martsync/martsync/internal/blob/blobtest"
	"github.com/martsync/martsync/internal/rows"
)

// tiny limits make tables of a few rows take the ways of large ones: blocks go to disk, and buckets
// are dealt again and again.
var tiny = replayLimits{Memory: 1200, Block: 100, Buckets: 2}

// TestResolverAgainstModel does random things to the destination in memory, hands the same commits to
// the resolver, and wants the same table after each.
func TestResolverAgainstModel(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(rt *rapid.T) {
		m := newReplayModel(rt, dir)
		rt.Repeat(map[string]func(*rapid.T){
			"write":   m.write,
			"commit":  m.commit,
			"stage":   m.stage,
			"discard": m.discard,
			"reopen":  m.reopen,
			"evolve":  m.evolve,
			"":        m.compare,
		})
	})
}

// TestReadAgainstModel does the same to a destination in a folder, and reads the table back from its files.
func TestReadAgainstModel(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(rt *rapid.T) {
		if rapid.IntRange(0, 9).Draw(rt, "one in ten, because folders are slow") != 0 {
			return
		}
		kind := rapid.SampledFrom([]Config{{}, {Preset: pardotPreset}, {Format: "csv", Compression: "gzip"}, {Format: "ndjson", Rotate: Rotate{Rows: 3}}}).Draw(rt, "configuration")
		d := destinationOn(t, blobtest.Folder(t), kind, coreEnv(t, nil))
		defer d.Close()
		m := newReplayModel(rt, dir)
		m.real = d
		m.reopen(rt)
		rt.Repeat(map[string]func(*rapid.T){
			"write":   m.write,
			"commit":  m.commit,
			"stage":   m.stage,
			"discard": m.discard,
			"reopen":  m.reopen,
			"evolve":  m.evolve,
			"":        m.compare,
		})
		if err := m.realWriter.Close(); err != nil {
			rt.Fatal(err)
		}
	})
}

// A replayModel keeps what a real destination would keep of commits, in memory.
type replayModel struct {
	t        *rapid.T
	dir      string
	schema   martsync.Schema // of the writer
	storage  *memory.Storage
	writer   martsync.Writer
	tables   []martsync.Schema
	steps    []replayStep
	staged   replayStep
	written  []replayFile // since the last stage
	isStaged bool
	value    int

	real       *destination // does the same, if there is one
	realWriter martsync.Writer
}

func newReplayModel(t *rapid.T, dir string) *replayModel {
	m := &replayModel{t: t, dir: dir, storage: memory.NewStorage()}
	m.schema = martsync.Schema{
		Stream: "things",
		Columns: []martsync.Column{
			{Name: "list", Type: rapid.SampledFrom([]martsync.Type{martsync.Int64, martsync.String}).Draw(t, "type of list")},
			{Name: "id", Type: rapid.SampledFrom([]martsync.Type{martsync.Int64, martsync.String}).Draw(t, "type of id")},
			{Name: "version", Type: rapid.SampledFrom([]martsync.Type{martsync.Timestamp, martsync.Int64, martsync.Date, martsync.Decimal, martsync.Float64, martsync.String}).Draw(t, "type of version"), Precision: 10, Scale: 2},
			{Name: "value", Type: martsync.Type(rapid.IntRange(int(martsync.Bool), int(martsync.JSON)).Draw(t, "type of value")), Precision: 12, Scale: 3},
			{Name: "more", Type: martsync.Int64},
		},
	}
	for i := 3; i < 5; i++ {
		m.schema.Columns[i].Sticky = rapid.Bool().Draw(t, "sticky")
	}
	switch rapid.IntRange(0, 6).Draw(t, "kind of stream") {
	case 0: // append only
	case 1:
		m.schema.Snapshot = true
	case 2:
		m.schema.Key, m.schema.Snapshot, m.schema.Version = []string{"list", "id"}, true, "version"
	case 3:
		m.schema.Key, m.schema.Deletes = []string{"list", "id"}, true
	case 4:
		m.schema.Key, m.schema.Deletes, m.schema.Version = []string{"id"}, true, "version"
	default:
		m.schema.Key, m.schema.Deletes, m.schema.Version = []string{"list", "id"}, true, "version"
	}
	m.open()
	return m
}

func (m *replayModel) open() {
	w, err := memory.New(m.storage).Open(context.Background(), m.schema)
	if err != nil {
		m.t.Fatal(err)
	}
	m.writer = w
	if m.real != nil {
		if m.realWriter, err = m.real.Open(context.Background(), m.schema); err != nil {
			m.t.Fatal(err)
		}
	}
	s, _, err := memory.New(m.storage).ReadTable(context.Background(), m.schema.Stream)
	if err != nil {
		m.t.Fatal(err)
	}
	m.tables = append(m.tables, s)
}

// both does something to the writers.
func (m *replayModel) both(t *rapid.T, do func(martsync.Writer) error) {
	for _, w := range []martsync.Writer{m.writer, m.realWriter} {
		if w == nil {
			continue
		}
		if err := do(w); err != nil {
			t.Fatal(err)
		}
	}
}

// reopen replaces the writer, as after an error.
func (m *replayModel) reopen(t *rapid.T) {
	if err := m.writer.Close(); err != nil {
		t.Fatal(err)
	}
	if m.realWriter != nil {
		if err := m.realWriter.Close(); err != nil {
			t.Fatal(err)
		}
	}
	m.written = nil
	m.open()
}

// evolve opens the table with other columns.
func (m *replayModel) evolve(t *rapid.T) {
	s := m.schema
	s.Columns = slices.Clone(s.Columns)
	i := rapid.IntRange(0, len(s.Columns)-1).Draw(t, "column")
	c := &s.Columns[i]
	switch what := rapid.IntRange(0, 4).Draw(t, "what"); {
	case what == 0:
		s.Columns = append(s.Columns, martsync.Column{Name: fmt.Sprintf("new_%d", len(m.tables)), Type: martsync.Int64})
	case what == 1 && !s.IsKey(c.Name) && c.Name != s.Version && len(s.Columns) > 3:
		s.Columns = slices.Delete(s.Columns, i, i+1)
	case what == 2:
		j := rapid.IntRange(0, len(s.Columns)-1).Draw(t, "other column")
		s.Columns[i], s.Columns[j] = s.Columns[j], s.Columns[i]
	case what == 3 && s.IsKey(c.Name):
		// Texts of integers are the same before and after; see the test of keys of other types.
		c.Type = rapid.SampledFrom([]martsync.Type{martsync.Int64, martsync.String}).Draw(t, "type of key")
	case c.Name == s.Version && m.isStaged:
		return // memory compares versions of two types as texts; a test of its own says what we do
	case !s.IsKey(c.Name):
		c.Type, c.Precision, c.Scale = wider(t, *c, c.Name == s.Version)
	}
	m.schema = s
	m.reopen(t)
}

// wider draws the type that a column is written with from now on. That of a version never becomes
// narrower than the table's.
func wider(t *rapid.T, c martsync.Column, forever bool) (martsync.Type, int, int) {
	if !forever && rapid.Bool().Draw(t, "any type") {
		return martsync.Type(rapid.IntRange(int(martsync.Bool), int(martsync.JSON)).Draw(t, "new type")), rapid.IntRange(10, 14).Draw(t, "precision"), rapid.IntRange(0, 4).Draw(t, "scale")
	}
	switch c.Type {
	case martsync.Date:
		return martsync.Timestamp, 0, 0
	case martsync.Decimal:
		return martsync.Decimal, c.Precision + 2, c.Scale + 1
	default:
		return martsync.String, 0, 0
	}
}

func (m *replayModel) write(t *rapid.T) {
	b := rows.NewBuilder(m.schema.Columns)
	for range rapid.SampledFrom([]int{1, 2, 5, 30}).Draw(t, "rows") {
		m.value++
		kind := 0
		if m.schema.Deletes {
			kind = rapid.IntRange(0, 5).Draw(t, "kind of row")
		}
		cells := make([]any, len(m.schema.Columns))
		for i, c := range m.schema.Columns {
			n := m.value
			switch c.Name {
			case "list":
				n = rapid.IntRange(1, 3).Draw(t, "list")
			case "id":
				n = rapid.IntRange(1, 20).Draw(t, "id")
			case "version":
				n = rapid.IntRange(0, 12).Draw(t, "version") // also 9 and 10, which are otherwise as texts
			}
			switch {
			case c.Name == "version" && n == 0, !m.schema.IsKey(c.Name) && c.Name != "version" && rapid.IntRange(0, 2).Draw(t, "null") == 0:
			default:
				cells[i] = cellOf(c, n)
			}
		}
		switch {
		case kind == 3, kind > 0 && kind < 3 && m.real != nil && m.real.format.Bare: // bare files have no place for tombstones
			b.AppendDeleted(cells...)
		case kind == 1, kind == 2:
			b.AppendTombstone(cells...)
		default:
			b.Append(cells...)
		}
	}
	m.both(t, func(w martsync.Writer) error { return w.Write(context.Background(), b.Records()) })
	m.written = append(m.written, fileOf(m.schema, b.Records()))
}

// cellOf is the number n as a cell of the column.
func cellOf(c martsync.Column, n int) any {
	switch c.Type {
	case martsync.Bool:
		return n%2 == 0
	case martsync.Int64:
		return int64(n)
	case martsync.Float64:
		return float64(n) + 0.1
	case martsync.Decimal:
		return rows.DecimalOf(big.NewInt(int64(n)-5), c.Scale)
	case martsync.Binary:
		return rows.Bytes(fmt.Sprintf("\xff%d", n))
	case martsync.Date:
		return rows.Date(19_000 + n)
	case martsync.Timestamp:
		return rows.Micros(1_700_000_000_000_000 + int64(n))
	case martsync.JSON:
		return rows.JSON(fmt.Sprintf(`{"n":%d}`, n))
	default:
		if n%7 == 0 && c.Name == "value" {
			return ""
		}
		return fmt.Sprint(n)
	}
}

// fileOf is a file of these records, which it lends out and then spoils.
func fileOf(s martsync.Schema, all ...*martsync.Records) replayFile {
	return replayFile{Schema: s, Rows: func(context.Context) iter.Seq2[*martsync.Records, error] {
		return func(yield func(*martsync.Records, error) bool) {
			for _, rec := range all {
				b := rows.NewBuilder(s.Columns)
				for i, row := range rows.Of(s.Columns, rec) {
					switch {
					case rows.Tombstone(rec, i):
						for j, c := range s.Columns {
							if !s.IsKey(c.Name) && c.Name != s.Version {
								row[j] = nil
							}
						}
						b.AppendTombstone(row...)
					case rows.Deleted(rec, i):
						b.AppendDeleted(row...)
					default:
						b.Append(row...)
					}
				}
				if !yield(b.Records(), nil) {
					return
				}
				rows.Poison(b.Records())
			}
		}
	}}
}

func (m *replayModel) draw(t *rapid.T) martsync.Commit {
	c := martsync.Commit{Sync: "sync", At: time.Unix(1, 0), Next: "next"}
	if !m.schema.Deletes {
		return c
	}
	for range rapid.IntRange(0, 2).Draw(t, "scopes") {
		switch rapid.IntRange(0, 7).Draw(t, "scope") {
		case 0:
			c.Complete = append(c.Complete, martsync.Scope{})
		case 3:
			if i := m.schema.Index(m.schema.Version); i >= 0 && m.schema.Columns[i].Type == martsync.Timestamp {
				from := time.UnixMicro(1_700_000_000_000_000 + int64(rapid.IntRange(0, 40).Draw(t, "from")))
				c.Complete = append(c.Complete, martsync.Scope{Column: m.schema.Version, From: from, To: from.Add(10 * time.Microsecond)})
			}
		case 1:
			c.Complete = append(c.Complete, martsync.Scope{Column: "value", Value: fmt.Sprint(rapid.IntRange(0, 40).Draw(t, "value"))})
		case 2:
			c.Complete = append(c.Complete, martsync.Scope{Column: "id", Value: fmt.Sprint(rapid.IntRange(1, 20).Draw(t, "id"))})
		default:
			c.Complete = append(c.Complete, martsync.Scope{Column: "list", Value: fmt.Sprint(rapid.IntRange(1, 3).Draw(t, "list"))})
		}
	}
	if key := m.schema.Columns[m.schema.Index(m.schema.Key[0])]; key.Type == martsync.Int64 {
		after := int64(0)
		for range rapid.IntRange(0, 2).Draw(t, "censuses") {
			after += int64(rapid.IntRange(0, 5).Draw(t, "gap"))
			census := martsync.Census{After: after, UpTo: after + int64(rapid.IntRange(0, 12).Draw(t, "range"))}
			for k := census.After + 1; k <= census.UpTo; k++ {
				if rapid.Bool().Draw(t, "exists") {
					census.Keys = append(census.Keys, k)
				}
			}
			c.Censuses = append(c.Censuses, census)
			after = census.UpTo
		}
	}
	return c
}

// take adds what a commit brings to what is staged.
func (m *replayModel) take(c martsync.Commit) {
	m.staged.Files = append(m.staged.Files, m.written...)
	m.staged.Complete = append(m.staged.Complete, c.Complete...)
	m.staged.Censuses = append(m.staged.Censuses, c.Censuses...)
	m.written = nil
}

func (m *replayModel) stage(t *rapid.T) {
	if m.isStaged {
		return // ranges of censuses in one commit do not overlap
	}
	c := m.draw(t)
	m.both(t, func(w martsync.Writer) error { return w.Stage(context.Background(), c) })
	m.take(c)
	m.isStaged = true
}

func (m *replayModel) discard(t *rapid.T) {
	m.both(t, func(w martsync.Writer) error { return w.Discard(context.Background()) })
	m.staged, m.written, m.isStaged = replayStep{}, nil, false
}

func (m *replayModel) commit(t *rapid.T) {
	c := m.draw(t)
	if m.isStaged {
		c.Censuses = nil
	}
	m.both(t, func(w martsync.Writer) error { return w.Commit(context.Background(), c) })
	m.take(c)
	m.staged.Table, m.staged.Replace = len(m.tables)-1, m.schema.Snapshot
	m.steps = append(m.steps, m.staged)
	m.staged, m.isStaged = replayStep{}, false
}

func (m *replayModel) compare(t *rapid.T) {
	s, records, err := memory.New(m.storage).ReadTable(context.Background(), m.schema.Stream)
	if err != nil {
		t.Fatal(err)
	}
	want := linesOf(t, s, records)
	if m.real != nil {
		stored, records, err := m.real.ReadTable(context.Background(), m.schema.Stream)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(s, stored); diff != "" {
			t.Fatalf("schema (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(want, linesOf(t, s, records)); diff != "" {
			t.Fatalf("table as stored (-want +got):\n%s", diff)
		}
		return
	}
	got := linesOf(t, s, resolve(context.Background(), m.dir, tiny, m.tables, sequence(m.steps)))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("table (-want +got):\n%s", diff)
	}
}

func sequence(steps []replayStep) iter.Seq2[replayStep, error] {
	return func(yield func(replayStep, error) bool) {
		for _, s := range steps {
			if !yield(s, nil) {
				return
			}
		}
	}
}

// linesOf writes rows as texts, in the order of these. Records are spoiled after they were read.
func linesOf(t interface{ Fatal(...any) }, s martsync.Schema, records iter.Seq2[*martsync.Records, error]) []string {
	lines := []string{}
	for rec, err := range records {
		if err != nil {
			t.Fatal(err)
		}
		if rec.Tombstone != nil {
			t.Fatal("the table has tombstones")
		}
		check := s
		check.Deletes = true
		if err := rows.Check(&check, rec); err != nil {
			t.Fatal(err)
		}
		for i, row := range rows.Of(s.Columns, rec) {
			var b strings.Builder
			for j, cell := range row {
				fmt.Fprintf(&b, "%s: %T %v, ", s.Columns[j].Name, cell, cell)
			}
			fmt.Fprintf(&b, "deleted: %v", rows.Deleted(rec, i))
			lines = append(lines, b.String())
		}
	}
	sort.Strings(lines)
	return lines
}
