package pqfile

import (
	"bytes"
	"encoding/binary"
	"math"

	"github.com/parquet-go/parquet-go/format"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/decimal"
)

// maxBound is how long a text may be that is kept as a smallest or largest value. The field
// for bounds that are cut short came late to the format, so longer ones are left out.
const maxBound = 256

// stats are the smallest and largest value of a chunk.
type stats struct {
	kind      kind
	float     bool
	any       bool
	intMin    int64 // words other than floats; bools
	intMax    int64
	floatMin  float64
	floatMax  float64
	wideMin   martsync.Int128
	wideMax   martsync.Int128
	textMin   []byte
	textMax   []byte
	minPrefix uint64 // first 8 bytes of the texts, to decide most comparisons
	maxPrefix uint64
}

func (s *stats) reset(c martsync.Column, k kind) {
	*s = stats{kind: k, float: c.Type == martsync.Float64, textMin: s.textMin[:0], textMax: s.textMax[:0]}
}

func (s *stats) addBools(values, nulls []bool) {
	for i, v := range values {
		if nulls == nil || !nulls[i] {
			s.addInt(int64(toBit(v)))
		}
	}
}

func (s *stats) addInt(n int64) {
	if !s.any {
		s.any, s.intMin, s.intMax = true, n, n
	}
	s.intMin, s.intMax = min(s.intMin, n), max(s.intMax, n)
}

func (s *stats) addWords(words []uint64) {
	if len(words) == 0 {
		return
	}
	if !s.float {
		s.addInt(int64(words[0]))
		lo, hi := s.intMin, s.intMax
		for _, w := range words {
			lo, hi = min(lo, int64(w)), max(hi, int64(w))
		}
		s.intMin, s.intMax = lo, hi
		return
	}
	for _, w := range words {
		f := math.Float64frombits(w)
		if f != f { // NaN has no place in an order
			continue
		}
		if !s.any {
			s.any, s.floatMin, s.floatMax = true, f, f
		}
		s.floatMin, s.floatMax = min(s.floatMin, f), max(s.floatMax, f)
	}
}

func (s *stats) addWide(d martsync.Int128) {
	if !s.any {
		s.any, s.wideMin, s.wideMax = true, d, d
		return
	}
	if decimal.Cmp(d, s.wideMin) < 0 {
		s.wideMin = d
	} else if decimal.Cmp(d, s.wideMax) > 0 {
		s.wideMax = d
	}
}

// prefix returns the first 8 bytes of a text as a number that orders as they do.
func prefix(text []byte) uint64 {
	if len(text) >= 8 {
		return binary.BigEndian.Uint64(text)
	}
	var p uint64
	for i, c := range text {
		p |= uint64(c) << (56 - 8*i)
	}
	return p
}

func (s *stats) addText(text []byte) {
	p := prefix(text)
	if !s.any || p < s.minPrefix || p == s.minPrefix && bytes.Compare(text, s.textMin) < 0 {
		s.textMin, s.minPrefix = append(s.textMin[:0], text...), p
	}
	if !s.any || p > s.maxPrefix || p == s.maxPrefix && bytes.Compare(text, s.textMax) > 0 {
		s.textMax, s.maxPrefix = append(s.textMax[:0], text...), p
	}
	s.any = true
}

func (s *stats) addEntries(d *dictionary) {
	for i := range d.words {
		s.addText(d.entry(uint32(i))[4:])
	}
}

// format returns the statistics as the format wants them.
func (s *stats) format(nulls int64) format.Statistics {
	f := format.Statistics{NullCount: nulls}
	if !s.any {
		return f
	}
	switch s.kind {
	case bitKind:
		f.MinValue, f.MaxValue = []byte{byte(s.intMin)}, []byte{byte(s.intMax)}
	case smallKind:
		f.MinValue = binary.LittleEndian.AppendUint32(nil, uint32(s.intMin))
		f.MaxValue = binary.LittleEndian.AppendUint32(nil, uint32(s.intMax))
	case wideKind:
		f.MinValue, f.MaxValue = appendWide(nil, s.wideMin), appendWide(nil, s.wideMax)
	case textKind:
		if len(s.textMin) <= maxBound && len(s.textMax) <= maxBound {
			f.MinValue, f.MaxValue = bytes.Clone(s.textMin), bytes.Clone(s.textMax)
		}
	default:
		lo, hi := uint64(s.intMin), uint64(s.intMax)
		if s.float {
			// Zero has two signs, which are equal: the bounds must include both.
			if s.floatMin == 0 {
				s.floatMin = math.Copysign(0, -1)
			}
			if s.floatMax == 0 {
				s.floatMax = 0
			}
			lo, hi = math.Float64bits(s.floatMin), math.Float64bits(s.floatMax)
		}
		f.MinValue = binary.LittleEndian.AppendUint64(nil, lo)
		f.MaxValue = binary.LittleEndian.AppendUint64(nil, hi)
	}
	return f
}

// appendWide appends a number as 16 bytes in big endian.
func appendWide(dst []byte, d martsync.Int128) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(dst, uint64(d.Hi)), d.Lo)
}
