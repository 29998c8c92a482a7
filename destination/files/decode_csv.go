package files

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/martsync/martsync"
)

func decodeCSV(ctx context.Context, src io.ReaderAt, size int64, f fileFormat, schema martsync.Schema) iter.Seq2[*martsync.Records, error] {
	return decodeText(ctx, src, size, f, schema, func(l *lines) rowReader {
		return &csvReader{lines: l, format: f, schema: schema}
	})
}

// A csvReader reads what a csvEncoder wrote. It is strict: anything else is damage.
type csvReader struct {
	lines  *lines
	format fileFormat
	schema martsync.Schema
	marks  marks
	fields []field
	places []int // of each field of the file: its column, or one of these
	row_   int64
}

// Places of fields that are no column of the schema.
const (
	unknownPlace = -1 - iota
	deletedPlace
	tombstonePlace
)

// A field of a record is borrowed from it.
type field struct {
	text   []byte
	quoted bool
}

func (r *csvReader) begin() error {
	var err error
	if r.marks, err = parseMarks(r.format.Deleted); err != nil {
		return err
	}
	if err = r.record(); err != nil {
		if errors.Is(err, io.EOF) {
			return errors.New("there is no header")
		}
		return fmt.Errorf("header: %w", err)
	}
	for _, f := range r.fields {
		place := unknownPlace
		switch name := string(f.text); {
		case r.schema.Index(name) >= 0:
			place = r.schema.Index(name)
		case r.format.Bare:
		case name == martsync.Deleted:
			place = deletedPlace
		case name == tombstoneName(&r.schema):
			place = tombstonePlace
		}
		r.places = append(r.places, place)
	}
	return nil
}

func (r *csvReader) row(b *batch) error {
	if err := r.record(); err != nil {
		return err
	}
	if len(r.fields) != len(r.places) {
		return fmt.Errorf("%d fields instead of %d", len(r.fields), len(r.places))
	}
	deleted, tombstone := r.marks.take(r.row_), false
	for i, f := range r.fields {
		switch place := r.places[i]; place {
		case unknownPlace:
		case deletedPlace:
			deleted = string(f.text) == "true"
		case tombstonePlace:
			tombstone = string(f.text) == "true"
		default:
			if len(f.text) == 0 && !f.quoted {
				continue
			}
			if b.has(place) {
				return fmt.Errorf("column %s occurs twice", r.schema.Columns[place].Name)
			}
			if err := b.append(place, f.text); err != nil {
				return err
			}
		}
	}
	b.end(deleted, tombstone)
	r.row_++
	return nil
}

var errQuote = errors.New("a quote stands where none belongs")

// record reads the fields of the next record. A record ends at the first line end outside of
// quotes, which is where their number is even: quotes within a field are doubled.
func (r *csvReader) record() error {
	text, err := r.lines.next(func(quotes int) bool { return quotes%2 == 0 })
	if err != nil {
		return err
	}
	if n := len(text) - 1; n >= 0 && text[n] == '\r' {
		text = text[:n]
	}
	r.fields = r.fields[:0]
	for {
		var f field
		var more bool
		if len(text) > 0 && text[0] == '"' {
			if f.text, text, err = unquote(text[1:]); err != nil {
				return err
			}
			f.quoted = true
			if more = len(text) > 0; more {
				if text[0] != ',' {
					return errQuote
				}
				text = text[1:]
			}
		} else {
			f.text, text, more = bytes.Cut(text, comma)
			if bytes.IndexByte(f.text, '"') >= 0 {
				return errQuote
			}
		}
		r.fields = append(r.fields, f)
		if !more {
			return nil
		}
	}
}

var comma = []byte{','}

// unquote returns a quoted field, whose first quote is gone, and what follows its last one. It
// works in place.
func unquote(text []byte) (inside, rest []byte, err error) {
	end := bytes.IndexByte(text, '"')
	if end >= 0 && (end+1 == len(text) || text[end+1] != '"') {
		return text[:end], text[end+1:], nil
	}
	w := 0
	for from := 0; ; {
		i := bytes.IndexByte(text[from:], '"')
		if i < 0 {
			return nil, nil, errQuote
		}
		w += copy(text[w:], text[from:from+i])
		from += i + 1
		if from == len(text) || text[from] != '"' {
			return text[:w], text[from:], nil
		}
		text[w] = '"'
		w++
		from++
	}
}
