package pqfile

import (
	"encoding/binary"
	"math/bits"
)

// A bitmap is a run of bits, the first in the lowest place.
type bitmap struct {
	bytes []byte
	n     int
	zeros int
}

func (b *bitmap) reset() { b.bytes, b.n, b.zeros = b.bytes[:0], 0, 0 }

func (b *bitmap) append(bit byte) {
	if b.n%8 == 0 {
		b.bytes = append(b.bytes, 0)
	}
	b.bytes[b.n/8] |= bit << (b.n % 8)
	b.n++
	b.zeros += int(1 - bit)
}

func toBit(b bool) byte {
	if b {
		return 1
	}
	return 0
}

// appendNot appends n bits, the opposite of values, or ones if values is nil. It returns how
// many of them are zeros.
func (b *bitmap) appendNot(values []bool, n int) (zeros int) {
	before := b.zeros
	for i := 0; i < n; {
		if b.n%8 != 0 || n-i < 8 {
			bit := byte(1)
			if values != nil {
				bit = 1 - toBit(values[i])
			}
			b.append(bit)
			i++
			continue
		}
		all := byte(0xff)
		if values != nil {
			for k, v := range values[i : i+8] {
				all ^= toBit(v) << k
			}
		}
		b.bytes = append(b.bytes, all)
		b.n += 8
		b.zeros += 8 - bits.OnesCount8(all)
		i += 8
	}
	return b.zeros - before
}

// appendValid appends the values that are not null.
func (b *bitmap) appendValid(values, nulls []bool) {
	for i, v := range values {
		if nulls == nil || !nulls[i] {
			b.append(toBit(v))
		}
	}
}

func (b *bitmap) appendTo(dst []byte) []byte { return append(dst, b.bytes...) }

// appendLevels appends the bits as definition levels, in the hybrid of run lengths and
// packed groups of eight that the format uses for small numbers.
func (b *bitmap) appendLevels(dst []byte) []byte {
	if b.zeros == 0 || b.zeros == b.n {
		dst = binary.AppendUvarint(dst, uint64(b.n)<<1)
		return append(dst, toBit(b.zeros == 0))
	}
	dst = binary.AppendUvarint(dst, uint64(len(b.bytes))<<1|1)
	return append(dst, b.bytes...)
}

// appendIndices appends indices of a dictionary of n entries, in the same hybrid, after the
// number of bits that each of them takes.
func appendIndices(dst []byte, indices []uint32, n int) []byte {
	width := bits.Len(uint(max(n, 1) - 1))
	dst = append(dst, byte(width))
	if len(indices) == 0 {
		return dst
	}
	if width == 0 { // all of them are 0, which takes no bytes
		return binary.AppendUvarint(dst, uint64(len(indices))<<1)
	}
	groups := (len(indices) + 7) / 8
	dst = binary.AppendUvarint(dst, uint64(groups)<<1|1)
	var acc uint64
	have := 0
	for _, i := range indices {
		acc |= uint64(i) << have
		for have += width; have >= 32; have -= 32 {
			dst = binary.LittleEndian.AppendUint32(dst, uint32(acc))
			acc >>= 32
		}
	}
	missing := groups*8*width - (len(indices)*width - have) // bits not written yet, padding included
	for ; missing > 0; missing -= 8 {
		dst = append(dst, byte(acc))
		acc >>= 8
	}
	return dst
}
