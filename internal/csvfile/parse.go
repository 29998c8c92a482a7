package csvfile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/columns"
)

// Bounds of what one chunk may quarantine, lest a file of rubbish fill the memory.
const (
	maxQuarantined      = 1000
	maxQuarantinedBytes = 4 << 20
)

// A plan is what all parsers of a file share.
type plan struct {
	columns []martsync.Column
	index   []int // for each column its field, or -1
	same    bool  // the fields are the columns
	width   int   // fields of a record
	null    string
	limits  limits

	nullWord uint32 // null, if it has four bytes
}

// A parser makes chunks of one block.
type parser struct {
	*plan
	scanner
	piece *piece
	pos   int   // end of the last record
	state state // whole as long as there may be more records; else why there are not
	cells [][]byte
	trial *columns.Builder // for goodRow; usually never needed
}

// start makes p parse a block that begins with a record.
func (p *parser) start(block *piece, end bool) {
	p.piece, p.pos, p.state = block, 0, whole
	p.scanner.width, p.record = p.plan.width, p.limits.record
	p.reset(block.data, end)
	if p.cells == nil {
		p.cells = make([][]byte, len(p.columns))
		p.fits = p.goodRow
	}
}

// result is a chunk whose lines are counted from the beginning of its block.
type result struct {
	builder     *columns.Builder
	quarantined []martsync.Quarantined
	rows        int64
	end         int   // of the last record, in the block
	offset      int64 // the same in the file
	replaced    int64
}

// chunk fills b with the next records of the block. No rows means that there are no more,
// and p.state and p.pos say why.
func (p *parser) chunk(b *columns.Builder, trusted bool) result {
	b.Reset()
	b.Trust(trusted)
	res := result{builder: b, replaced: -b.Replaced()}
	bad, last := 0, 0 // bytes quarantined, end of the last record
	for p.state == whole && p.pos < len(p.text) && !b.Full() && len(res.quarantined) < maxQuarantined && bad < maxQuarantinedBytes {
		start := p.pos
		end, state := p.next(start)
		if state == short || state == long {
			p.state = state
			break
		}
		p.pos = end
		if p.blank() && state == whole {
			continue
		}
		res.rows++
		last = end
		column, reason := "", "a quote is not closed; reading resumes on the next line"
		if state == whole {
			column, reason = p.appendRow(b, p.fields, len(p.fields)+p.excess)
		}
		if reason != "" {
			q := martsync.Quarantined{Line: res.rows, Column: column, Reason: reason, Raw: p.raw(start, end)}
			res.quarantined = append(res.quarantined, q)
			bad += len(q.Raw)
		}
	}
	res.replaced += b.Replaced()
	res.end, res.offset = last, p.piece.offset(last)
	return res
}

// blank reports whether the last record is an empty line that cannot be a record.
func (s *scanner) blank() bool {
	return s.width > 1 && len(s.fields) == 1 && len(s.fields[0]) == 0 && !s.quoted
}

// goodRow reports whether a record would be appended.
func (p *parser) goodRow(fields [][]byte) bool {
	if p.trial == nil {
		p.trial = columns.NewBuilder(p.columns)
	}
	p.trial.Reset()
	_, reason := p.appendRow(p.trial, fields, len(fields))
	return reason == ""
}

// appendRow appends a record of n fields, as far as it has been scanned, or says which column
// it does not fit and why.
func (p *parser) appendRow(b *columns.Builder, fields [][]byte, n int) (column, reason string) {
	if n != p.plan.width {
		return "", fmt.Sprintf("%d fields, but the header has %d", n, p.plan.width)
	}
	cells := p.cells
	if p.same {
		cells = fields
		for i, cell := range cells {
			if p.isNull(cell) {
				cells[i] = nil
			}
		}
	} else {
		for c, f := range p.index {
			cells[c] = nil
			if f >= 0 {
				if cell := fields[f]; !p.isNull(cell) {
					cells[c] = cell
				}
			}
		}
	}
	if err := b.AppendCells(cells); err != nil {
		if misfit, ok := errors.AsType[*columns.CellError](err); ok {
			return misfit.Column, misfit.Reason
		}
		return "", err.Error()
	}
	return "", ""
}

// isNull is asked for every cell, so it avoids the general comparison of strings where the
// null is the usual word of four letters.
func (p *plan) isNull(cell []byte) bool {
	switch len(cell) {
	case 0:
		return true
	case 4:
		if p.nullWord != 0 {
			return binary.LittleEndian.Uint32(cell) == p.nullWord
		}
	}
	return len(cell) == len(p.null) && string(cell) == p.null
}

// raw returns the text of a record for the quarantine: valid UTF-8, its NUL bytes made visible,
// not too long.
func (p *parser) raw(start, end int) string {
	text := p.text[start:end]
	text = bytes.TrimSuffix(text, []byte("\n"))
	text = bytes.TrimSuffix(text, []byte("\r"))
	if len(text) > martsync.MaxQuarantineRaw {
		text = text[:martsync.MaxQuarantineRaw]
	}
	var b strings.Builder
	done := 0
	for k := p.piece.nulsFrom(start); k < len(p.piece.nuls) && b.Len() <= martsync.MaxQuarantineRaw; k++ {
		at := p.piece.nuls[k].at - start
		if at > len(text) {
			break
		}
		b.Write(text[done:at])
		done = at
		n := p.piece.nuls[k].sum - p.piece.sumBefore(k)
		b.WriteString(strings.Repeat("\u2400", min(n, martsync.MaxQuarantineRaw))) // SYMBOL FOR NULL
	}
	b.Write(text[done:])
	return shorten(strings.ToValidUTF8(b.String(), "\ufffd"))
}

// shorten cuts valid UTF-8 to what the quarantine keeps of a row.
func shorten(s string) string {
	if len(s) <= martsync.MaxQuarantineRaw {
		return s
	}
	n := martsync.MaxQuarantineRaw
	for !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
