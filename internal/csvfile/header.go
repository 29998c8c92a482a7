package csvfile

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/martsync/martsync"
)

func dataError(format string, args ...any) error {
	return &martsync.Error{Kind: martsync.Data, Op: "read the header of an export file", Err: fmt.Errorf(format, args...)}
}

// readHeader reads the first record that is not an empty line as the header of the file. There
// is none if the file is empty.
func (rd *reader) readHeader(l limits) ([]string, error) {
	f := &rd.feed
	var p piece
	s := scanner{record: l.record}
	n := l.block
	for first := true; ; first = false {
		more := f.fill(&p, n)
		s.reset(p.data, !more && f.ended())
		pos := 0
		if first && bytes.HasPrefix(p.data, []byte("\xef\xbb\xbf")) { // byte order mark
			pos = 3
		}
		for pos < len(p.data) {
			end, st := s.next(pos)
			if st == short {
				break
			}
			if st != whole {
				return nil, dataError("the file does not begin with a header but with %q", p.data[:min(len(p.data), 100)])
			}
			if len(s.fields) == 1 && len(s.fields[0]) == 0 {
				pos = end
				continue
			}
			header := make([]string, len(s.fields))
			for i, field := range s.fields {
				header[i] = string(field)
			}
			f.unread(p.cut(end))
			return header, rd.keep(&p, 0, end)
		}
		switch {
		case !more && f.ended():
			return nil, rd.keep(&p, 0, len(p.data)+1)
		case !more:
			return nil, f.err
		case pos == 0:
			n *= 2
		}
		f.unread(p.cut(pos))
		if err := rd.keep(&p, 0, pos); err != nil {
			return nil, err
		}
	}
}

// newPlan finds the columns in the header.
func newPlan(header []string, o Options, l limits) (*plan, error) {
	exact := make(map[string]int, len(header))
	folded := make(map[string]int, len(header))
	for i, name := range header {
		if _, twice := exact[name]; twice {
			return nil, dataError("field %q occurs twice", name)
		}
		exact[name] = i
		folded[strings.ToLower(name)] = i
	}
	p := &plan{columns: o.Columns, index: make([]int, len(o.Columns)), width: len(header), null: o.Null, limits: l}
	if len(o.Null) == 4 {
		p.nullWord = binary.LittleEndian.Uint32([]byte(o.Null))
	}
	used := make([]bool, len(header))
	p.same = len(o.Columns) == len(header)
	for c, column := range o.Columns {
		name := column.Origin
		if name == "" {
			name = column.Name
		}
		i, ok := exact[name]
		if !ok {
			i, ok = folded[strings.ToLower(name)]
		}
		if !ok {
			i = -1
		} else {
			used[i] = true
		}
		p.index[c] = i
		p.same = p.same && i == c
	}
	if o.AllowExtra {
		return p, nil
	}
	var extra []string
	for i, name := range header {
		if !used[i] {
			extra = append(extra, fmt.Sprintf("%.100q", name))
		}
	}
	if len(extra) > 0 {
		return nil, dataError("%d fields that nobody asked for, such as %s", len(extra), extra[0])
	}
	return p, nil
}
