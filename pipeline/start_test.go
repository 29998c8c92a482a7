package pipeline_test

import (
	"context"
	"iter"
	"testing"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/destination/memory"
	"github.com/martsync/martsync/internal/rows"
	"github.com/martsync/martsync/pipeline"
)

// spanStream notes the spans it is asked for, and yields one row.
type spanStream struct {
	schema martsync.Schema
	spans  []martsync.Span
}

func (s *spanStream) Schema() martsync.Schema { return s.schema }

func (s *spanStream) Read(_ context.Context, from martsync.Cursor, span martsync.Span) iter.Seq2[martsync.Batch, error] {
	s.spans = append(s.spans, span)
	return func(yield func(martsync.Batch, error) bool) {
		if from != "" {
			return
		}
		b := rows.NewBuilder(s.schema.Columns)
		b.Append(int64(1), rows.Micros(time.Date(2024, 5, 1, 12, 0, 0, 0, time.UTC).UnixMicro()))
		yield(martsync.Batch{Records: b.Records(), Cursor: "1"}, nil)
	}
}

func (s *spanStream) Account() string { return "span:test" }

func (s *spanStream) Streams(context.Context) ([]martsync.Stream, error) {
	return []martsync.Stream{s}, nil
}

func newSpanStream(change func(*martsync.Schema)) *spanStream {
	s := &spanStream{schema: martsync.Schema{
		Stream: "visits", Key: []string{"id"},
		Columns: []martsync.Column{{Name: "id", Type: martsync.Int64}, {Name: "updated_at", Type: martsync.Timestamp}},
	}}
	if change != nil {
		change(&s.schema)
	}
	return s
}

func TestStreamsBeginWhereATableEnds(t *testing.T) {
	noon := time.Date(2024, 5, 1, 12, 0, 0, 0, time.UTC)
	explicit := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		filled bool // the table has a row before
		from   pipeline.TableStart
		span   martsync.Span
		schema func(*martsync.Schema)
		want   time.Time
	}{
		"empty table":             {want: pipeline.EmptyStart},
		"newest minus a day":      {filled: true, from: pipeline.TableStart{Minus: 24 * time.Hour}, want: noon.AddDate(0, 0, -1)},
		"named table and column":  {filled: true, from: pipeline.TableStart{Table: "old_{stream}", Column: "updated_at"}, want: noon},
		"a later start wins":      {filled: true, span: martsync.Span{Start: explicit}, want: explicit},
		"read whole each time":    {filled: true, schema: func(s *martsync.Schema) { s.Snapshot = true }},
		"no time among the names": {filled: true, schema: func(s *martsync.Schema) { s.Columns[1].Name = "seen" }},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			tables := memory.New(memory.NewStorage())
			if c.filled {
				for _, table := range []string{"visits", "old_visits"} {
					old := newSpanStream(nil)
					old.schema.Stream = table
					f.sync.Source, f.sync.Destination, f.sync.Name = old, tables, table
					if _, err := pipeline.Run(t.Context(), &f.sync); err != nil {
						t.Fatal(err)
					}
				}
			}
			stream := newSpanStream(c.schema)
			c.from.Tables = tables
			f.sync.Source, f.sync.Destination, f.sync.Name = stream, memory.New(memory.NewStorage()), "span"
			f.sync.From, f.sync.Span = &c.from, c.span
			for range 2 {
				f.nextID()
				if _, err := pipeline.Run(t.Context(), &f.sync); err != nil {
					t.Fatal(err)
				}
			}
			if got := stream.spans[0].Start; !got.Equal(c.want) {
				t.Errorf("start %v, want %v", got, c.want)
			}
			if got := stream.spans[1].Start; !got.Equal(c.span.Start) {
				t.Errorf("start of the second sync %v, want %v: it has a position", got, c.span.Start)
			}
		})
	}
}

func TestStartOfAMissingColumn(t *testing.T) {
	f := newFixture(t)
	tables := memory.New(memory.NewStorage())
	stream := newSpanStream(nil)
	f.sync.Source, f.sync.Destination = stream, tables
	if _, err := pipeline.Run(t.Context(), &f.sync); err != nil {
		t.Fatal(err)
	}
	f.nextID()
	f.sync.Name, f.sync.Destination = "other", memory.New(memory.NewStorage())
	f.sync.From = &pipeline.TableStart{Tables: tables, Column: "nothing"}
	_, err := pipeline.Run(t.Context(), &f.sync)
	f.wantKind(err, martsync.Config)
}
