package pardotsim

import (
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/martsync/martsync/simulate"
)

// blockRows are the rows that a file shuffles among themselves: the vendor promises no order.
const blockRows = 256

// makeFiles divides the rows of an export into files and learns their sizes. What is exported is
// the account as it was when processing started, however long the files are read.
func (s *Server) makeFiles(x *export) (*simulate.File, error) {
	total := &simulate.File{}
	cuts := s.cuts(x)
	for i, from := range cuts {
		to := int64(math.MaxInt64)
		if i+1 < len(cuts) {
			to = cuts[i+1]
		}
		f, err := simulate.NewFile(func(mark simulate.Mark, emit func(simulate.Mark, []byte) error) error {
			return s.writeFile(x, from, to, mark, emit)
		})
		if err != nil {
			return nil, err
		}
		total.Size += f.Size
		total.Rows += f.Rows
		x.files = append(x.files, exportFile{id: firstFile + 40*(x.id-firstExport) + int64(i), file: f})
	}
	h := simulate.Hash(s.cfg.Seed, 0x666c, uint64(x.id), 0)
	for i := len(x.files) - 1; i > 0; i-- { // the order of references says nothing
		k := simulate.Pick(h, i+1)
		h = simulate.Next(h)
		x.files[i], x.files[k] = x.files[k], x.files[i]
	}
	return total, nil
}

// cuts are the ids after which the files begin; none if there are no rows.
func (s *Server) cuts(x *export) []int64 {
	var rows int64
	for range s.each(x.query) {
		rows++
	}
	if rows == 0 {
		return nil
	}
	n := (rows + int64(s.cfg.FileRows) - 1) / int64(s.cfg.FileRows)
	if rows >= 40 && !s.cfg.SplitLate {
		n = max(n, 1+int64(simulate.Pick(simulate.Hash(s.cfg.Seed, 0x6373, uint64(x.id), 0), 4)))
	}
	cuts := []int64{0}
	var i, size, last int64
	var b []byte
	for r := range s.each(x.query) {
		cut := i > 0 && i == rows*int64(len(cuts))/n
		if x.most > 0 {
			b = s.appendRow(b[:0], x, r)
			if size += int64(len(b)); size > x.most-8192 { // room for the header
				cut, size = true, int64(len(b))
			}
		}
		if cut {
			cuts = append(cuts, last)
		}
		last = r.id
		i++
	}
	return cuts
}

// writeFile generates the rows behind the id from, up to the id to.
func (s *Server) writeFile(x *export, from, to int64, mark simulate.Mark, emit func(simulate.Mark, []byte) error) error {
	q := x.query
	q.where = append(slices.Clip(q.where), condition{"id", greater, max(from, mark.Pos[0])})
	if to != math.MaxInt64 {
		q.where = append(q.where, condition{"id", atMost, to})
	}
	var out, buf []byte
	if mark.Rows == 0 {
		out = s.appendHeader(out, x)
	}
	ends := make([]int, 0, blockRows)
	next := mark
	flush := func() error {
		order := shuffled(simulate.Hash(s.cfg.Seed, 0x736f, uint64(x.id), uint64(next.Rows)), len(ends))
		for _, k := range order {
			start := 0
			if k > 0 {
				start = ends[k-1]
			}
			out = append(out, buf[start:ends[k]]...)
		}
		err := emit(mark, out)
		mark = next
		out, buf, ends = out[:0], buf[:0], ends[:0]
		return err
	}
	for r := range s.each(q) {
		buf = s.appendRow(buf, x, r)
		ends = append(ends, len(buf))
		next.Pos[0] = r.id
		next.Rows++
		if len(ends) == blockRows {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	if err := flush(); err != nil {
		return err
	}
	return emit(mark, nil)
}

// shuffled is an order of n things that depends on h.
func shuffled(h uint64, n int) []int {
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	for i := n - 1; i > 0; i-- {
		h = simulate.Next(h)
		k := simulate.Pick(h, i+1)
		order[i], order[k] = order[k], order[i]
	}
	return order
}

func (s *Server) appendHeader(b []byte, x *export) []byte {
	if x.bom {
		b = append(b, "\ufeff"...)
	}
	for i, f := range x.fields {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendCell(b, f.header)
	}
	return append(b, s.cfg.Newline...)
}

// appendRow writes a row. A null cannot be told from an empty text.
func (s *Server) appendRow(b []byte, x *export, r *record) []byte {
	for i, f := range x.fields {
		if i > 0 {
			b = append(b, ',')
		}
		switch v := f.value(r).(type) {
		case nil:
		case int64:
			b = strconv.AppendInt(b, v, 10)
		case float64:
			b = strconv.AppendFloat(b, v, 'f', -1, 64)
		case bool:
			switch {
			case !s.cfg.BitBools:
				b = strconv.AppendBool(b, v)
			case v:
				b = append(b, '1')
			default:
				b = append(b, '0')
			}
		case stamp:
			if x.iso {
				b = time.Unix(int64(v), 0).In(x.zone).AppendFormat(b, "2006-01-02T15:04:05-07:00")
			} else {
				b = naive(b, int64(v), x.zone)
			}
		case string:
			b = appendCell(b, v)
		case []string:
			b = appendCell(b, strings.Join(v, ";"))
		case json.RawMessage:
			b = appendCell(b, string(v))
		}
	}
	return append(b, s.cfg.Newline...)
}

// appendCell writes a text, in quotes where RFC 4180 needs them.
func appendCell(b []byte, text string) []byte {
	if !strings.ContainsAny(text, ",\"\r\n") && strings.TrimSpace(text) == text {
		return append(b, text...)
	}
	b = append(b, '"')
	for i := range len(text) {
		if text[i] == '"' {
			b = append(b, '"')
		}
		b = append(b, text[i])
	}
	return append(b, '"')
}
