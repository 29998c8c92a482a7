package pqfile

import "encoding/binary"

const wideBytes = 16

// A value is one value of a column. Its kind says which of word and text is set; of a null
// neither is.
type value struct {
	null bool
	word uint64
	text []byte // also of wide numbers
}

// A plain reads values that are stored one after the other.
type plain struct {
	kind kind
	data []byte
	bit  int // of the first byte that comes next
}

// next sets v to the next value, which refers to the data. It reports false if there is none.
func (p *plain) next(v *value) bool {
	switch p.kind {
	case bitKind:
		if len(p.data) == 0 {
			return false
		}
		v.word = uint64(p.data[0] >> p.bit & 1)
		if p.bit++; p.bit == 8 {
			p.data, p.bit = p.data[1:], 0
		}
		return true
	case wordKind:
		if len(p.data) < 8 {
			return false
		}
		v.word = binary.LittleEndian.Uint64(p.data)
		p.data = p.data[8:]
		return true
	case smallKind:
		if len(p.data) < 4 {
			return false
		}
		v.word = uint64(binary.LittleEndian.Uint32(p.data))
		p.data = p.data[4:]
		return true
	case wideKind:
		if len(p.data) < wideBytes {
			return false
		}
		v.text, p.data = p.data[:wideBytes], p.data[wideBytes:]
		return true
	default:
		if len(p.data) < 4 {
			return false
		}
		n := uint64(binary.LittleEndian.Uint32(p.data))
		if n > uint64(len(p.data)-4) {
			return false
		}
		v.text, p.data = p.data[4:4+n], p.data[4+n:]
		return true
	}
}

// done reports whether all values were read.
func (p *plain) done() bool { return len(p.data) == 0 || p.bit > 0 && len(p.data) == 1 }

// entries are the values of a dictionary.
type entries struct {
	words  []uint64
	text   []byte
	starts []int // where texts begin; one more than there are
}

func (e *entries) reset() {
	if cap(e.text) > maxSpare {
		e.text = nil
	}
	e.words, e.text, e.starts = e.words[:0], e.text[:0], append(e.starts[:0], 0)
}

// add adds n values. The room for them grows with what is there, not with n.
func (e *entries) add(p plain, n int) bool {
	for range n {
		var v value
		if !p.next(&v) {
			return false
		}
		if p.kind == textKind || p.kind == wideKind {
			e.text = append(e.text, v.text...)
			e.starts = append(e.starts, len(e.text))
		} else {
			e.words = append(e.words, v.word)
		}
	}
	return p.done()
}

// get sets v to an entry. It reports false if there is no such entry.
func (e *entries) get(v *value, i uint32) bool {
	switch {
	case int64(i) < int64(len(e.words)):
		v.word = e.words[i]
	case int64(i) < int64(len(e.starts)-1):
		v.text = e.text[e.starts[i]:e.starts[i+1]]
	default:
		return false
	}
	return true
}
