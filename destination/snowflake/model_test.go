//go:build cgo && !lite

package snowflake

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/destination/memory"
	"github.com/martsync/martsync/destination/snowflake/snowflakesim"
	"github.com/martsync/martsync/internal/rows"
)

// TestAgainstModel loads the same random rows, tombstones, scopes and censuses into the account and into the
// destination in memory, which applies them one after the other, and wants equal tables, positions and ledgers.
func TestAgainstModel(t *testing.T) {
	t.Parallel()
	server := start(t, snowflakesim.Options{})
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		n++
		c := connected(t, server)
		c.Schema = fmt.Sprintf("model_%d", n)
		p := &twins{t: t, rt: rt, schema: randomSchema(rt), got: openOn(t, c), want: memory.New(memory.NewStorage())}
		defer func() {
			if err := p.got.Close(); err != nil {
				rt.Fatal(err)
			}
		}()
		for range rapid.IntRange(1, 4).Draw(rt, "commits") {
			p.load()
			p.compare()
			p.evolve()
		}
	})
}

// randomSchema has keys and versions, or not, and sticky columns, or not.
func randomSchema(t *rapid.T) martsync.Schema {
	s := martsync.Schema{
		Stream: "things",
		Columns: []martsync.Column{
			{Name: "id", Type: martsync.Int64},
			{Name: "list", Type: martsync.String},
			{Name: "version", Type: martsync.Timestamp},
			{Name: "value", Type: martsync.String},
			{Name: "more", Type: martsync.JSON},
		},
	}
	if rapid.Bool().Draw(t, "sticky") {
		s.Columns[3].Sticky, s.Columns[4].Sticky = true, true
	}
	switch rapid.IntRange(0, 6).Draw(t, "kind of stream") {
	case 0: // append only
	case 1:
		s.Key, s.Snapshot = []string{"id", "list"}, true
	case 2:
		s.Key, s.Snapshot, s.Deletes, s.Version = []string{"id"}, true, true, "version"
	case 3:
		s.Key, s.Deletes = []string{"id", "list"}, true
	case 4:
		s.Key, s.Deletes, s.Version = []string{"id", "list"}, true, "version"
	default:
		s.Key, s.Deletes, s.Version = []string{"id"}, true, "version"
	}
	return s
}

// twins are a destination on the account and what it should be like.
type twins struct {
	t         *testing.T
	rt        *rapid.T
	schema    martsync.Schema
	got, want martsync.Destination
	values    int
	commits   int
	counted   bool // a census was taken since the last commit
}

func (p *twins) load() {
	var writers []martsync.Writer
	open := func() {
		writers = nil
		for _, d := range []martsync.Destination{p.got, p.want} {
			w, err := d.Open(p.t.Context(), p.schema)
			if err != nil {
				p.rt.Fatal(err)
			}
			writers = append(writers, w)
		}
	}
	both := func(what string, f func(martsync.Writer) error) {
		for _, w := range writers {
			if err := f(w); err != nil {
				p.rt.Fatalf("%s: %T: %v", what, w, err)
			}
		}
	}
	open()
	for range rapid.IntRange(0, 3).Draw(p.rt, "parts") {
		r := p.rows()
		both("write", func(w martsync.Writer) error { return w.Write(p.t.Context(), r) })
		rows.Poison(r)
		switch rapid.IntRange(0, 7).Draw(p.rt, "then") {
		case 0:
			c := p.commit()
			both("stage", func(w martsync.Writer) error { return w.Stage(p.t.Context(), c) })
			if rapid.Bool().Draw(p.rt, "reopen") {
				both("close", martsync.Writer.Close)
				open()
			}
		case 1:
			both("discard", func(w martsync.Writer) error { return w.Discard(p.t.Context()) })
			p.counted = false
		}
	}
	c := p.commit()
	both("commit", func(w martsync.Writer) error { return w.Commit(p.t.Context(), c) })
	p.counted = false
	both("close", martsync.Writer.Close)
}

// evolve changes the schema now and then: a column comes and goes, and deletions are told or not.
func (p *twins) evolve() {
	switch rapid.IntRange(0, 5).Draw(p.rt, "change of the schema") {
	case 0:
		p.schema.Deletes = !p.schema.Deletes && len(p.schema.Key) > 0
	case 1:
		if n := len(p.schema.Columns) - 1; p.schema.Columns[n].Name == "more" {
			p.schema.Columns = slices.Clone(p.schema.Columns[:n])
		} else {
			p.schema.Columns = append(slices.Clone(p.schema.Columns), martsync.Column{Name: "more", Type: martsync.JSON})
		}
	}
}

// rows are up to a few, so that keys meet.
func (p *twins) rows() *martsync.Records {
	b := rows.NewBuilder(p.schema.Columns)
	for range rapid.IntRange(0, 8).Draw(p.rt, "rows") {
		p.values++
		id, list := int64(rapid.IntRange(1, 3).Draw(p.rt, "id")), "b"
		var version, value, more any = nil, fmt.Sprint("value ", p.values), rows.JSON(fmt.Sprintf(`{"n":%d}`, p.values))
		if rapid.Bool().Draw(p.rt, "list") {
			list = "it's a \\ list"
		}
		if v := rapid.IntRange(0, 4).Draw(p.rt, "version"); v > 0 {
			version = rows.Micros(v)
		}
		switch rapid.IntRange(0, 4).Draw(p.rt, "nulls") {
		case 0:
			value = nil
		case 1:
			more = nil
		case 2:
			more = rows.JSON("null")
		}
		kind := 0
		if p.schema.Deletes {
			kind = rapid.IntRange(0, 5).Draw(p.rt, "kind of row")
		}
		cells := []any{id, list, version, value, more}[:len(p.schema.Columns)]
		switch kind {
		case 1, 2:
			b.AppendTombstone(cells...)
		case 3:
			b.AppendDeleted(cells...)
		default:
			b.Append(cells...)
		}
	}
	return b.Records()
}

func (p *twins) commit() martsync.Commit {
	p.commits++
	c := martsync.Commit{Sync: "sync", At: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Next: martsync.Cursor(fmt.Sprint("cursor ", p.commits))}
	if rapid.Bool().Draw(p.rt, "window") {
		c.Windows = []martsync.Window{{Job: fmt.Sprint("job ", p.commits), Records: -1, Bytes: 3, Written: int64(p.commits)}}
	}
	if !p.schema.Deletes {
		return c
	}
	switch rapid.IntRange(0, 7).Draw(p.rt, "scope") {
	case 0:
		c.Complete = []martsync.Scope{{}}
	case 1:
		c.Complete = []martsync.Scope{{Column: "id", Value: "1"}, {Column: "id", Value: "2"}}
	case 2:
		if slices.Contains(p.schema.Key, "list") {
			c.Complete = []martsync.Scope{{Column: "list", Value: "it's a \\ list"}, {Column: "id", Value: "3"}}
		}
	case 5:
		if p.schema.Version != "" {
			from := rapid.Int64Range(0, 3).Draw(p.rt, "from")
			c.Complete = []martsync.Scope{{Column: p.schema.Version, From: time.UnixMicro(from), To: time.UnixMicro(from + 2)}}
			if slices.Contains(p.schema.Key, "id") && rapid.Bool().Draw(p.rt, "and a key") {
				c.Complete = append(c.Complete, martsync.Scope{Column: "id", Value: "2"})
			}
		}
	case 3, 4:
		if len(p.schema.Key) == 1 && !p.counted { // ranges must not overlap, also with those of a stage
			p.counted = true
			c.Censuses = []martsync.Census{{After: 0, UpTo: 2}, {After: 2, UpTo: 9, Keys: []int64{3, 5}}}
			if rapid.Bool().Draw(p.rt, "first exists") {
				c.Censuses[0].Keys = []int64{1}
			}
		}
	}
	return c
}

func (p *twins) compare() {
	if diff := cmp.Diff(p.contents(p.want), p.contents(p.got)); diff != "" {
		p.rt.Fatalf("table (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(p.ledger(p.want), p.ledger(p.got)); diff != "" {
		p.rt.Fatalf("ledger (-want +got):\n%s", diff)
	}
	for _, d := range []martsync.Destination{p.got, p.want} {
		at, err := d.(martsync.Positioner).Position(p.t.Context(), p.schema.Stream)
		if err != nil {
			p.rt.Fatal(err)
		}
		w, err := d.Open(p.t.Context(), p.schema)
		if err != nil {
			p.rt.Fatal(err)
		}
		if at != w.Cursor() {
			p.rt.Fatalf("%T: position %q, and its writer's %q", d, at, w.Cursor())
		}
		if want := martsync.Cursor(fmt.Sprint("cursor ", p.commits)); w.Cursor() != want || w.Staged() != "" {
			p.rt.Fatalf("%T: cursor %q and staged %q, want %q and none", d, w.Cursor(), w.Staged(), want)
		}
		if err := w.Close(); err != nil {
			p.rt.Fatal(err)
		}
	}
}

func (p *twins) contents(d martsync.Destination) []string {
	s, batches, err := d.(martsync.TableReader).ReadTable(p.t.Context(), p.schema.Stream)
	if err != nil {
		p.rt.Fatal(err)
	}
	out := []string{}
	for r, err := range batches {
		if err != nil {
			p.rt.Fatal(err)
		}
		for i, cells := range rows.Of(s.Columns, r) {
			out = append(out, fmt.Sprintf("%#v deleted=%v", cells, rows.Deleted(r, i)))
		}
	}
	slices.Sort(out)
	return out
}

func (p *twins) ledger(d martsync.Destination) (out []martsync.LedgerEntry) {
	for e, err := range d.(martsync.HistoryReader).Ledger(p.t.Context(), p.schema.Stream) {
		if err != nil {
			p.rt.Fatal(err)
		}
		out = append(out, e)
	}
	return out
}
