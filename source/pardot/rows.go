package pardot

import (
	"encoding/json"
	"errors"
	"strings"
	"unicode/utf8"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/columns"
)

// A rowBuilder turns records of one version into the rows of a batch. What does not fit goes
// into quarantine. It is for one goroutine.
type rowBuilder struct {
	columns  []martsync.Column // Origin is the version's name
	b        *columns.Builder
	entities bool // text of version 4 is HTML: decode it
	flat     flattener
	dots     bool // some names of version 5 lead into objects

	job         string // where rows come from
	line        int64  // position of the last one there
	quarantined []martsync.Quarantined
	zone        *zone // of the naive times in b; nil: they have offsets
	fixed       int   // what a row takes at most, beside its text
	size        int   // upper bound of what the batch takes
	lent        bool  // the rows are a batch's: the next row begins another
}

// newRowBuilder returns a builder of rows with these columns, whose Origin is the name that
// the records use. An Origin with a dot leads into an object.
func newRowBuilder(cols []martsync.Column, decodeEntities bool) *rowBuilder {
	b := &rowBuilder{
		columns: cols, b: columns.NewBuilder(cols), entities: decodeEntities, flat: newFlattener(cols),
		fixed: 17 * len(cols), // the widest value, a decimal, and its null flag
	}
	for _, c := range cols {
		b.dots = b.dots || strings.Contains(c.Origin, ".")
	}
	return b
}

// from says where the next rows come from: the job or request, and the position of the last
// row before them.
func (b *rowBuilder) from(job string, line int64) { b.job, b.line = job, line }

// append5 appends a record of version 5. It reports false if it went into quarantine.
func (b *rowBuilder) append5(row json.RawMessage) bool {
	if !b.dots {
		return b.append(row, row)
	}
	flat, err := b.flat.dotted(row)
	if err != nil {
		flat = row // the builder finds the same fault
	}
	return b.append(flat, row)
}

// append4 appends a record of version 4, whose naive times are in z. It reports false if it
// went into quarantine.
func (b *rowBuilder) append4(row json.RawMessage, z *zone) bool {
	flat, err := b.flat.nested(row, b.entities)
	if err != nil {
		flat = row
	}
	b.renew()
	b.zone = z
	return b.append(flat, row)
}

// append appends an object whose members are the columns; raw is how it arrived.
func (b *rowBuilder) append(object []byte, raw json.RawMessage) bool {
	b.renew()
	err := b.b.AppendJSON(object)
	if err == nil {
		b.line++
		b.size += b.fixed + len(object)
		return true
	}
	var cell *columns.CellError
	if !errors.As(err, &cell) {
		cell = &columns.CellError{Reason: err.Error()}
	}
	b.refuse(raw, cell.Column, cell.Reason)
	return false
}

// refuse puts a record into quarantine.
func (b *rowBuilder) refuse(raw json.RawMessage, column, reason string) {
	b.renew()
	b.line++
	text := rawText(raw)
	b.size += len(text)
	b.quarantined = append(b.quarantined, martsync.Quarantined{Job: b.job, Line: b.line, Column: column, Reason: reason, Raw: text})
}

// markDeleted flags the last row as one that is in the recycle bin.
func (b *rowBuilder) markDeleted() { b.b.MarkDeleted() }

// full reports whether the batch must be sent before the row is appended: no batch of more
// than one row is larger than martsync.MaxBytes.
func (b *rowBuilder) full(next json.RawMessage) bool {
	if b.lent || b.b.Len()+len(b.quarantined) == 0 {
		return false
	}
	return b.b.Len() >= martsync.MaxRows || b.size+b.fixed+len(next) > martsync.MaxBytes
}

// batch returns the rows appended since the last batch and those put into quarantine. They
// are borrowed until the next append.
func (b *rowBuilder) batch() martsync.Batch {
	b.renew()
	b.lent = true
	var batch martsync.Batch
	if b.b.Len() > 0 {
		batch.Records = b.b.Records()
		if b.zone != nil {
			b.zone.shift(batch.Records, b.columns)
		}
	}
	if len(b.quarantined) > 0 {
		batch.Quarantined = b.quarantined
	}
	return batch
}

// renew begins another batch if the rows have been lent.
func (b *rowBuilder) renew() {
	if !b.lent {
		return
	}
	b.b.Reset()
	b.quarantined, b.zone, b.size, b.lent = nil, nil, 0, false
}

// rawText is a record for the quarantine: valid UTF-8, cut to what is kept of one row.
func rawText(raw []byte) string {
	text := strings.ToValidUTF8(string(raw), "\uFFFD")
	if len(text) <= martsync.MaxQuarantineRaw {
		return text
	}
	end := martsync.MaxQuarantineRaw
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end]
}
