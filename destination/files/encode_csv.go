package files

import (
	"bytes"
	"fmt"
	"io"
	"time"

	"github.com/martsync/martsync"
)

// A csvEncoder writes CSV as RFC 4180 describes it: a header, commas, CRLF after each record,
// and quotes around a field where it needs them. Beyond that:
//
//   - A null is an empty field, and empty text is one in quotes: "".
//   - A field that begins or ends with a space or tab is quoted, because there are readers
//     that trim others.
//   - Binary is base64, JSON its text as it is; times are RFC 3339 in UTC, all other values
//     the canonical text of their type.
type csvEncoder struct {
	sink
	format fileFormat
	mask   mask
	marks  marks
}

func newCSVEncoder(w io.Writer, f fileFormat, schema martsync.Schema) (encoder, error) {
	m, err := newMask(schema)
	if err != nil {
		return nil, err
	}
	e := &csvEncoder{format: f, mask: m}
	if err := e.init(w, f.Compression); err != nil {
		return nil, err
	}
	for i, name := range csvHeader(f, schema) {
		e.separate(i)
		e.buf = appendField(e.buf, []byte(name))
	}
	e.buf = append(e.buf, "\r\n"...)
	return e, nil
}

// csvHeader returns the names of a file's columns.
func csvHeader(f fileFormat, schema martsync.Schema) (names []string) {
	for _, c := range schema.Columns {
		names = append(names, c.Name)
	}
	if f.Bare {
		return names
	}
	names = append(names, martsync.SyncedAt)
	if schema.Deletes {
		names = append(names, martsync.Deleted, tombstoneName(&schema))
	}
	return names
}

func (e *csvEncoder) separate(column int) {
	if column > 0 {
		e.buf = append(e.buf, ',')
	}
}

func (e *csvEncoder) Write(r *martsync.Records, at time.Time) error {
	if e.err != nil {
		return e.err
	}
	m := e.mask.apply(r)
	if e.format.Bare && m.Tombstone != nil {
		return e.fail(&martsync.Error{
			Kind: martsync.Config, Op: "files: encode " + e.mask.schema.Stream,
			Err:  fmt.Errorf("the preset %s has no place for records of which only their deletion is known", pardotPreset),
			Hint: "Write this stream without a preset.",
		})
	}
	tail := appendMoment([]byte{','}, at)
	for i := range r.Len {
		start := len(e.buf)
		for k := range m.Columns {
			e.separate(k)
			e.cell(&e.mask.schema.Columns[k], &m.Columns[k], i)
		}
		deleted := m.Deleted != nil && m.Deleted[i]
		if e.format.Bare {
			if deleted {
				e.marks.add(e.rows)
			}
		} else {
			e.buf = append(e.buf, tail...)
			if e.mask.schema.Deletes {
				e.buf = appendFlag(e.buf, deleted)
				e.buf = appendFlag(e.buf, m.Tombstone != nil && m.Tombstone[i])
			}
		}
		e.buf = append(e.buf, "\r\n"...)
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

func tooLarge(stream string) error {
	return &martsync.Error{
		Kind: martsync.Data, Op: "files: encode " + stream,
		Err: fmt.Errorf("a row has more than %d MiB of text", maxRecord>>20), Hint: "Use the format parquet for this stream, or exclude the large field.",
	}
}

func appendFlag(dst []byte, v bool) []byte {
	if v {
		return append(dst, ",true"...)
	}
	return append(dst, ",false"...)
}

func (e *csvEncoder) cell(c *martsync.Column, v *martsync.Vector, i int) {
	switch {
	case v.Null(i):
	case c.Type == martsync.String || c.Type == martsync.JSON:
		e.buf = appendField(e.buf, v.Bytes(i))
	case c.Type == martsync.Binary && v.Offsets[i] == v.Offsets[i+1]:
		e.buf = append(e.buf, `""`...)
	default: // nothing else is ever empty or in need of quotes
		e.buf = appendCanonical(e.buf, c, v, i)
	}
}

// appendField appends text as a field that is not null.
func appendField(dst, text []byte) []byte {
	if !needsQuotes(text) {
		return append(dst, text...)
	}
	dst = append(dst, '"')
	for {
		i := bytes.IndexByte(text, '"')
		if i < 0 {
			dst = append(dst, text...)
			return append(dst, '"')
		}
		dst = append(dst, text[:i+1]...)
		dst = append(dst, '"')
		text = text[i+1:]
	}
}

func needsQuotes(text []byte) bool {
	if len(text) == 0 || string(text) == `\.` { // PostgreSQL takes the latter for the end of the file
		return true
	}
	for _, c := range text {
		switch c {
		case ',', '"', '\r', '\n':
			return true
		}
	}
	first, last := text[0], text[len(text)-1]
	return first == ' ' || first == '\t' || last == ' ' || last == '\t'
}

func (e *csvEncoder) Close() error { return e.close() }

func (e *csvEncoder) Format() fileFormat {
	f := e.format
	f.Deleted = e.marks.String()
	return f
}
