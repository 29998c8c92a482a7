package files

import (
	"context"
	"fmt"
	"io"
	"iter"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/flatjson"
)

func decodeNDJSON(ctx context.Context, src io.ReaderAt, size int64, f fileFormat, schema martsync.Schema) iter.Seq2[*martsync.Records, error] {
	return decodeText(ctx, src, size, f, schema, func(l *lines) rowReader {
		r := &ndjsonReader{lines: l, columns: schema.Columns, tombstoneName: tombstoneName(&schema), byName: make(map[string]int, len(schema.Columns))}
		for i, c := range schema.Columns {
			r.byName[c.Name] = i
		}
		return r
	})
}

// An ndjsonReader reads what an ndjsonEncoder wrote, in any order of the members.
type ndjsonReader struct {
	lines   *lines
	columns []martsync.Column
	byName  map[string]int

	tombstoneName string

	batch              *batch
	next               int // the column that the next member probably belongs to
	deleted, tombstone bool
	text               []byte
}

func (r *ndjsonReader) begin() error { return nil }

func (r *ndjsonReader) row(b *batch) error {
	line, err := r.lines.next(func(int) bool { return true })
	if err != nil {
		return err
	}
	r.batch, r.next, r.deleted, r.tombstone = b, 0, false, false
	if err := flatjson.Members(line, r.member); err != nil {
		return err
	}
	b.end(r.deleted, r.tombstone)
	return nil
}

// member takes a value. Columns come in their order, some of them left out.
func (r *ndjsonReader) member(key, value []byte) error {
	i := r.next
	if i >= len(r.columns) || r.columns[i].Name != string(key) {
		var known bool
		if i, known = r.byName[string(key)]; !known {
			switch string(key) {
			case martsync.Deleted:
				r.deleted = string(value) == "true"
			case r.tombstoneName:
				r.tombstone = string(value) == "true"
			}
			return nil
		}
	}
	r.next = i + 1
	if r.batch.has(i) {
		return fmt.Errorf("column %s occurs twice", r.columns[i].Name)
	}
	text := value
	switch {
	case r.columns[i].Type == martsync.JSON:
	case value[0] == '"':
		var ok bool
		if r.text, ok = flatjson.AppendString(r.text[:0], value); !ok {
			return fmt.Errorf("column %s is no string", r.columns[i].Name)
		}
		text = r.text
	case string(value) == "null":
		return nil
	case value[0] == '{' || value[0] == '[':
		return fmt.Errorf("column %s is not a single value", r.columns[i].Name)
	}
	return r.batch.append(i, text)
}
