package files

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"time"
	"unicode/utf8"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/flatjson"
)

// An ndjsonEncoder writes one JSON object a line, with the columns in the order of the schema.
//
//   - A null is a member that is not there. "null" is the JSON value of that name in a JSON
//     column, which is not the same.
//   - Decimals are strings: too many readers take every number for a double. Integers are
//     numbers with all their digits, for readers that count do keep 64 bits.
//   - Doubles are numbers, except "NaN", "Infinity" and "-Infinity", which JSON lacks.
//   - Binary is a string of base64, times are strings in RFC 3339 and UTC, dates likewise.
//   - A JSON value stands in the object as it is, letter by letter, with the exception of line
//     ends between its tokens, which become spaces, and white space around it.
//   - _deleted is there in every row of a schema that Deletes, _tombstone only where it is true.
type ndjsonEncoder struct {
	sink
	format fileFormat
	mask   mask
	names  [][]byte // `"name":` of each column
}

func newNDJSONEncoder(w io.Writer, f fileFormat, schema martsync.Schema) (encoder, error) {
	m, err := newMask(schema)
	if err != nil {
		return nil, err
	}
	e := &ndjsonEncoder{format: f, mask: m}
	for _, c := range schema.Columns {
		if !utf8.ValidString(c.Name) {
			return nil, internalError("encode "+schema.Stream, fmt.Errorf("column name %q is not UTF-8", c.Name))
		}
		e.names = append(e.names, append(appendJSONString(nil, []byte(c.Name)), ':'))
	}
	if err := e.init(w, f.Compression); err != nil {
		return nil, err
	}
	return e, nil
}

func (e *ndjsonEncoder) Write(r *martsync.Records, at time.Time) error {
	if e.err != nil {
		return e.err
	}
	m := e.mask.apply(r)
	tail := append([]byte(nil), `"`+martsync.SyncedAt+`":"`...)
	tail = append(appendMoment(tail, at), '"')
	for i := range r.Len {
		start := len(e.buf)
		e.buf = append(e.buf, '{')
		for k := range m.Columns {
			if m.Columns[k].Null(i) {
				continue
			}
			e.buf = append(e.buf, e.names[k]...)
			if err := e.cell(&e.mask.schema.Columns[k], &m.Columns[k], i); err != nil {
				return e.fail(internalError("encode "+e.mask.schema.Stream, fmt.Errorf("column %s: %w", e.mask.schema.Columns[k].Name, err)))
			}
			e.buf = append(e.buf, ',')
		}
		e.buf = append(e.buf, tail...)
		if e.mask.schema.Deletes {
			e.buf = append(e.buf, `,"`+martsync.Deleted+`":`...)
			if m.Deleted != nil && m.Deleted[i] {
				e.buf = append(e.buf, "true"...)
			} else {
				e.buf = append(e.buf, "false"...)
			}
			if m.Tombstone != nil && m.Tombstone[i] {
				e.buf = append(e.buf, `,"`+tombstoneName(&e.mask.schema)+`":true`...)
			}
		}
		e.buf = append(e.buf, "}\n"...)
		if len(e.buf)-start > maxRecord {
			return e.fail(tooLarge(e.mask.schema.Stream))
		}
		e.rows++
		if err := e.flush(flushAt); err != nil {
			return err
		}
	}
	return nil
}

var (
	errNotUTF8 = errors.New("text is not UTF-8")
	errNotJSON = errors.New("text is not JSON")
)

// cell appends a value that is not null.
func (e *ndjsonEncoder) cell(c *martsync.Column, v *martsync.Vector, i int) error {
	switch c.Type {
	case martsync.String:
		text := v.Bytes(i)
		if !utf8.Valid(text) {
			return errNotUTF8
		}
		e.buf = appendJSONString(e.buf, text)
		return nil
	case martsync.JSON:
		text := v.Bytes(i)
		if !flatjson.Valid(text) || !utf8.Valid(text) {
			return errNotJSON
		}
		start := len(e.buf)
		e.buf = append(e.buf, text...)
		// Inside a string they would be escaped, so these stand between tokens.
		for k, c := range e.buf[start:] {
			if c == '\n' || c == '\r' {
				e.buf[start+k] = ' '
			}
		}
		return nil
	case martsync.Bool, martsync.Int64:
		e.buf = appendCanonical(e.buf, c, v, i)
		return nil
	case martsync.Float64:
		if finite(v.Floats[i]) {
			e.buf = appendCanonical(e.buf, c, v, i)
			return nil
		}
	default: // text without a character that JSON escapes
	}
	e.buf = append(e.buf, '"')
	e.buf = appendCanonical(e.buf, c, v, i)
	e.buf = append(e.buf, '"')
	return nil
}

// appendJSONString appends valid UTF-8 as a JSON string. Only what must be escaped is.
func appendJSONString(dst, text []byte) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	from := 0
	for i, c := range text {
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		dst = append(dst, text[from:i]...)
		from = i + 1
		if k := bytes.IndexByte([]byte("\"\\\n\r\t"), c); k >= 0 {
			dst = append(dst, '\\', `"\nrt`[k])
		} else {
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
	}
	return append(append(dst, text[from:]...), '"')
}

func (e *ndjsonEncoder) Close() error       { return e.close() }
func (e *ndjsonEncoder) Format() fileFormat { return e.format }
