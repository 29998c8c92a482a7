package raw_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"sync"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/rows"
)

// A vendor gives the scripted streams of package crash bytes that their rows come from. Events and files
// are export files, whose pieces have the offsets that they have in the file whoever reads
// on; people is one file that is committed in pieces; the others are pages.
type vendor struct {
	mu     sync.Mutex
	places map[string]filePlace // by stream and cursor
}

type filePlace struct {
	body   string
	offset int64
}

func newVendor() *vendor { return &vendor{places: map[string]filePlace{}} }

// open returns a source that can keep what it reads.
func (v *vendor) open(s martsync.Source) *keeping { return &keeping{Source: s, vendor: v} }

type keeping struct {
	martsync.Source
	vendor *vendor
	keep   bool
}

func (k *keeping) KeepRaw() { k.keep = true }

func (k *keeping) Streams(ctx context.Context) ([]martsync.Stream, error) {
	all, err := k.Source.Streams(ctx)
	for i := range all {
		all[i] = keepingStream{all[i], k}
	}
	return all, err
}

type keepingStream struct {
	martsync.Stream
	source *keeping
}

func (s keepingStream) Read(ctx context.Context, from martsync.Cursor, span martsync.Span) iter.Seq2[martsync.Batch, error] {
	schema := s.Schema()
	v := s.source.vendor
	isFile := slices.Contains([]string{"events", "files", "people"}, schema.Stream)
	place := func(c martsync.Cursor) filePlace {
		v.mu.Lock()
		defer v.mu.Unlock()
		if p, ok := v.places[schema.Stream+string(c)]; ok {
			return p
		}
		return filePlace{body: fmt.Sprintf("%s after %s.csv", schema.Stream, c)}
	}
	return func(yield func(martsync.Batch, error) bool) {
		at := place(from)
		pages := 0
		for b, err := range s.Stream.Read(ctx, from, span) {
			if err != nil || !s.source.keep {
				if !yield(b, err) {
					return
				}
				continue
			}
			data := encode(&schema, &b)
			switch {
			case b.Discard:
				at = filePlace{body: fmt.Sprintf("%s after %s.csv", schema.Stream, b.Cursor)}
			case isFile:
				half := len(data) / 2 // a batch may come of several pieces
				b.Raw = []martsync.Raw{{Body: at.body, Offset: at.offset, Data: data[:half], How: schema.Stream}}
				if len(data) > 0 {
					b.Raw = append(b.Raw, martsync.Raw{Body: at.body, Offset: at.offset + int64(half), Data: data[half:]})
				}
				at.offset += int64(len(data))
			default:
				pages++
				b.Raw = []martsync.Raw{{Body: fmt.Sprintf("page-%d.json", pages), Data: data, How: schema.Stream}}
			}
			switch {
			case b.Cursor == "":
			case b.Unverified || schema.Stream == "people":
				v.mu.Lock()
				v.places[schema.Stream+string(b.Cursor)] = at
				v.mu.Unlock()
			default:
				at = filePlace{body: fmt.Sprintf("%s after %s.csv", schema.Stream, b.Cursor)}
			}
			more := yield(b, nil)
			clear(data) // lent
			if !more {
				return
			}
		}
	}
}

type line struct {
	Cells       []any                 `json:"cells,omitempty"`
	Tombstone   bool                  `json:"tombstone,omitempty"`
	Deleted     bool                  `json:"deleted,omitempty"`
	Quarantined *martsync.Quarantined `json:"quarantined,omitempty"`
}

func encode(schema *martsync.Schema, b *martsync.Batch) (data []byte) {
	add := func(l line) {
		text, err := json.Marshal(l)
		if err != nil {
			panic(err)
		}
		data = append(append(data, text...), '\n')
	}
	if b.Records != nil {
		for i, row := range rows.Of(schema.Columns, b.Records) {
			add(line{
				Cells: row, Tombstone: b.Records.Tombstone != nil && b.Records.Tombstone[i],
				Deleted: b.Records.Deleted != nil && b.Records.Deleted[i],
			})
		}
	}
	for i := range b.Quarantined {
		add(line{Quarantined: &b.Quarantined[i]})
	}
	return data
}

// Replay makes batches of another size than the stream did.
func (k *keeping) Replay(ctx context.Context, schema martsync.Schema, bodies iter.Seq2[martsync.RawBody, error]) iter.Seq2[martsync.Batch, error] {
	return func(yield func(martsync.Batch, error) bool) {
		builder := rows.NewBuilder(schema.Columns)
		var bad []martsync.Quarantined
		flush := func() bool {
			if builder.Len() == 0 && len(bad) == 0 {
				return true
			}
			r := builder.Records()
			more := yield(martsync.Batch{Records: r, Quarantined: bad}, nil)
			rows.Poison(r)
			builder.Reset()
			bad = nil
			return more
		}
		for body, err := range bodies {
			if err == nil && body.How != schema.Stream {
				err = fmt.Errorf("body %s came with %q, not with what was needed to read it", body.Name, body.How)
			}
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				yield(martsync.Batch{}, err)
				return
			}
			in := bufio.NewReader(body.Data)
			for {
				text, err := in.ReadBytes('\n')
				if errors.Is(err, io.EOF) && len(text) == 0 {
					break
				}
				var l line
				if err == nil {
					err = json.Unmarshal(text, &l)
				}
				if err != nil {
					yield(martsync.Batch{}, err)
					return
				}
				switch cells := decode(schema.Columns, l.Cells); {
				case l.Quarantined != nil:
					bad = append(bad, *l.Quarantined)
				case l.Tombstone:
					builder.AppendTombstone(cells...)
				case l.Deleted:
					builder.AppendDeleted(cells...)
				default:
					builder.Append(cells...)
				}
				if builder.Len() == 5 && !flush() {
					return
				}
			}
		}
		flush()
	}
}

func decode(columns []martsync.Column, cells []any) []any {
	for i, c := range cells {
		switch v := c.(type) {
		case float64:
			if columns[i].Type == martsync.Timestamp {
				cells[i] = rows.Micros(int64(v))
			} else {
				cells[i] = int64(v)
			}
		case string:
			if columns[i].Type == martsync.JSON {
				cells[i] = rows.JSON(v)
			}
		}
	}
	return cells
}
