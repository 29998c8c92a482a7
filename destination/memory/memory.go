// Package memory is a destination in the memory of the process: the smallest complete
// implementation of the writer protocol. Tests use it, and it shows in plain Go what every
// destination means by its own means.
//
// It leaves to others what makes a real destination large: bounded memory, the types of a
// database, durability.
package memory

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/rows"
)

// Storage is what outlives a destination, as a file outlives the process that writes it. It
// may be used by several destinations at once.
type Storage struct {
	mu     sync.Mutex
	tables map[string]*table
	fault  int // the step of a commit that fails next; negative: none
}

// NewStorage returns an empty storage.
func NewStorage() *Storage { return &Storage{tables: map[string]*table{}, fault: -1} }

// Fault makes step n (from 0) of the next commits fail, once. Negative: none does.
func (s *Storage) Fault(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = n
}

// Quarantined returns a copy of the quarantine of a stream.
func (s *Storage) Quarantined(stream string) []martsync.Quarantined {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.tables[stream]; t != nil {
		return slices.Clone(t.quarantined)
	}
	return nil
}

// Log returns a copy of the log entries of a stream.
func (s *Storage) Log(stream string) []martsync.LogEntry {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.tables[stream]; t != nil {
		return slices.Clone(t.log)
	}
	return nil
}

// Commits returns how many commits the table of a stream has seen.
func (s *Storage) Commits(stream string) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.tables[stream]; t != nil {
		return t.commits
	}
	return 0
}

// Destination is a martsync.Destination, martsync.TableReader and martsync.HistoryReader.
type Destination struct{ storage *Storage }

// New returns a destination over the storage.
func New(s *Storage) *Destination { return &Destination{storage: s} }

// Close does nothing: the storage stays.
func (d *Destination) Close() error { return nil }

// Open makes the table fit the schema.
func (d *Destination) Open(ctx context.Context, schema martsync.Schema) (martsync.Writer, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := schema.Validate(); err != nil {
		return nil, err
	}
	d.storage.mu.Lock()
	defer d.storage.mu.Unlock()
	t := d.storage.tables[schema.Stream]
	if t == nil {
		t = newTable()
		d.storage.tables[schema.Stream] = t
	}
	w := &writer{storage: d.storage, table: t, schema: schema, changes: t.fit(&schema)}
	if t.staged != nil && t.staged.base != t.commits {
		t.staged = nil
	}
	if t.staged != nil {
		w.staged = t.staged.commit.Next
		w.stage = t.staged.stage
	}
	w.cursor, w.base = t.cursor, t.commits
	return w, nil
}

// Position implements martsync.Positioner.
func (d *Destination) Position(_ context.Context, stream string) (martsync.Cursor, error) {
	d.storage.mu.Lock()
	defer d.storage.mu.Unlock()
	if t := d.storage.tables[stream]; t != nil {
		return t.cursor, nil
	}
	return "", nil
}

// NewestTime returns the greatest time in a column of a table.
func (d *Destination) NewestTime(_ context.Context, name, column string) (newest time.Time, err error) {
	d.storage.mu.Lock()
	defer d.storage.mu.Unlock()
	var t *table
	for stream, candidate := range d.storage.tables {
		if strings.EqualFold(stream, name) {
			t = candidate
		}
	}
	if t == nil {
		return time.Time{}, nil
	}
	i := slices.IndexFunc(t.schema.Columns, func(c martsync.Column) bool { return strings.EqualFold(c.Name, column) })
	if i < 0 {
		return time.Time{}, &martsync.Error{Kind: martsync.Config, Op: "newest time of table " + name, Err: fmt.Errorf("it has no column %s", column)}
	}
	for _, r := range t.order {
		if v, ok := r.cells[t.schema.Columns[i].Name].(rows.Micros); ok && (newest.IsZero() || int64(v) > newest.UnixMicro()) {
			newest = time.UnixMicro(int64(v)).UTC()
		}
	}
	return newest, nil
}

// ReadTable yields the rows of a stream's table.
func (d *Destination) ReadTable(ctx context.Context, stream string) (martsync.Schema, iter.Seq2[*martsync.Records, error], error) {
	d.storage.mu.Lock()
	defer d.storage.mu.Unlock()
	t := d.storage.tables[stream]
	if t == nil {
		return martsync.Schema{}, nil, &martsync.Error{Kind: martsync.Config, Op: "read table " + stream, Err: fmt.Errorf("there is no such table")}
	}
	schema := t.schema
	schema.Columns = slices.Clone(t.schema.Columns)
	contents := make([]*record, 0, len(t.order))
	for _, r := range t.order {
		contents = append(contents, r.clone())
	}
	return schema, func(yield func(*martsync.Records, error) bool) {
		b := rows.NewBuilder(schema.Columns)
		for i, r := range contents {
			cells := make([]any, len(schema.Columns))
			for j, c := range schema.Columns {
				cells[j] = r.cells[c.Name]
			}
			if r.deleted {
				b.AppendDeleted(cells...)
			} else {
				b.Append(cells...)
			}
			if b.Len() == martsync.MaxRows || b.Records().Size() > martsync.MaxBytes/2 || i == len(contents)-1 {
				if err := ctx.Err(); err != nil {
					yield(nil, err)
					return
				}
				if !yield(b.Records(), nil) {
					return
				}
				b.Reset()
			}
		}
	}, nil
}

// Ledger yields the ledger rows of a stream ("" for all), those of one stream oldest first.
func (d *Destination) Ledger(ctx context.Context, stream string) iter.Seq2[martsync.LedgerEntry, error] {
	d.storage.mu.Lock()
	var entries []martsync.LedgerEntry
	for name, t := range d.storage.tables {
		if stream == "" || stream == name {
			entries = append(entries, t.ledger...)
		}
	}
	d.storage.mu.Unlock()
	return func(yield func(martsync.LedgerEntry, error) bool) {
		for _, e := range entries {
			if err := ctx.Err(); err != nil {
				yield(martsync.LedgerEntry{}, err)
				return
			}
			if !yield(e, nil) {
				return
			}
		}
	}
}
