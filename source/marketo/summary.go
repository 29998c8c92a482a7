package marketo

import (
	"cmp"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"slices"
)

// A summary tells whether a list has the members that it had when it was last read.
type summary struct {
	List int64
	Sum  uint64 // of its members, at most sumMask; 0: not known, so it never compares equal
}

// sumMask is the part of a sum that is kept: a list that changes unnoticed, one in 2^48
// changes, is a smaller danger than a cursor of a quarter more bytes is a nuisance.
const sumMask = 1<<48 - 1

// sumOf sums up different leads in rising order.
func sumOf(leads []int64) uint64 {
	h := uint64(len(leads))
	for _, l := range leads {
		h = mix(h ^ uint64(l)) //nolint:gosec // bits
	}
	return max(h&sumMask, 1)
}

// mix is the finalizer of SplitMix64: each bit of x changes half of the result's.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// summaries are those of lists in rising order of their ids. They are written as base64 of
// the differences between neighbours and the sums, about eight bytes a list, since they
// are part of a cursor.
type summaries []summary

func (s summaries) search(list int64) (i int, found bool) {
	return slices.BinarySearchFunc(s, list, func(x summary, list int64) int { return cmp.Compare(x.List, list) })
}

func (s summaries) find(list int64) (summary, bool) {
	i, found := s.search(list)
	if !found {
		return summary{}, false
	}
	return s[i], true
}

// with returns a copy with x, which it did not hold before.
func (s summaries) with(x summary) summaries {
	i, _ := s.search(x.List)
	return slices.Insert(slices.Clone(s), i, x)
}

// without returns a copy without a list.
func (s summaries) without(list int64) summaries {
	i, found := s.search(list)
	if !found {
		return s
	}
	return slices.Delete(slices.Clone(s), i, i+1)
}

const sumBytes = 6

// MarshalText writes the summaries.
func (s summaries) MarshalText() ([]byte, error) {
	var b []byte
	last := int64(0)
	for _, x := range s {
		b = binary.AppendVarint(b, x.List-last)
		for i := range sumBytes {
			b = append(b, byte(x.Sum>>(8*i)))
		}
		last = x.List
	}
	return []byte(base64.RawURLEncoding.EncodeToString(b)), nil
}

// UnmarshalText reads what MarshalText wrote.
func (s *summaries) UnmarshalText(text []byte) error {
	b, err := base64.RawURLEncoding.DecodeString(string(text))
	if err != nil {
		return err
	}
	*s = nil
	last := int64(0)
	for len(b) > 0 {
		d, n := binary.Varint(b)
		if n <= 0 || len(b) < n+sumBytes || len(*s) > 0 && (d <= 0 || last+d < last) {
			return errors.New("not summaries of lists in rising order")
		}
		x := summary{List: last + d}
		for i := range sumBytes {
			x.Sum |= uint64(b[n+i]) << (8 * i)
		}
		*s = append(*s, x)
		last, b = x.List, b[n+sumBytes:]
	}
	return nil
}
