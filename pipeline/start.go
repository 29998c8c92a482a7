package pipeline

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/martsync/martsync"
)

// A TableStart lets streams without a position begin where a table ends: for example the table
// that another program has filled until today, in this destination or in another one.
type TableStart struct {
	Tables martsync.TimeReader
	Table  string        // name of the tables; {stream} stands for that of the stream; "": {stream}
	Column string        // the time that counts; "": the schema's version, or updated_at or created_at
	Minus  time.Duration // how much before the newest time to begin
}

// EmptyStart is where a stream begins whose table is empty: before everything that can be there.
var EmptyStart = time.Date(1900, time.January, 1, 0, 0, 0, 0, time.UTC)

// Start returns where the stream begins. The zero time means at the beginning: the stream has
// no such column, or is read whole each time.
func (t *TableStart) Start(ctx context.Context, s martsync.Schema) (time.Time, error) {
	column := t.column(s)
	if s.Snapshot || column == "" {
		return time.Time{}, nil
	}
	table := strings.ReplaceAll(t.Table, "{stream}", s.Stream)
	if table == "" {
		table = s.Stream
	}
	newest, err := t.Tables.NewestTime(ctx, table, column)
	if err != nil {
		return time.Time{}, fmt.Errorf("start of %s: %w", s.Stream, err)
	}
	if newest.IsZero() {
		return EmptyStart, nil
	}
	return newest.Add(-t.Minus), nil
}

// column is the one that tells the age of the stream's records.
func (t *TableStart) column(s martsync.Schema) string {
	if t.Column != "" {
		return t.Column
	}
	for _, name := range []string{s.Version, "updated_at", "created_at"} {
		if slices.ContainsFunc(s.Columns, func(c martsync.Column) bool { return c.Name == name && c.Type == martsync.Timestamp }) {
			return name
		}
	}
	return ""
}

// span is what a reading from the loader's position covers.
func (l *loader) span(ctx context.Context) (martsync.Span, error) {
	s := l.Span
	if l.From == nil || l.at.cursor != "" || l.progress.Backfill == l.ID {
		return s, nil
	}
	start, err := l.From.Start(ctx, l.schema)
	if err != nil {
		return s, err
	}
	if start.After(s.Start) {
		s.Start = start
		l.Log.InfoContext(ctx, "starts at a table's end", "stream", l.schema.Stream, "start", start)
	}
	return s, nil
}
