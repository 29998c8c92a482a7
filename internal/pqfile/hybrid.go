package pqfile

import "encoding/binary"

// A hybrid reads small numbers: definition levels and indices of dictionaries. They come as
// runs of one number, and as groups of eight that take only as many bits as they need.
type hybrid struct {
	data  []byte
	width int    // bits of a number
	run   uint64 // numbers left of the run under way

	repeated bool
	number   uint32 // that is repeated

	packed []byte // else: what is left of the groups
	acc    uint64 // bits taken from there
	have   int
}

// maxRun is how many numbers a run may claim to have: no page has more.
const maxRun = 1 << 31

// next returns the next number. It reports false if there is none, or nothing that makes
// sense.
func (h *hybrid) next() (uint32, bool) {
	for h.run == 0 {
		if !h.begin() {
			return 0, false
		}
	}
	h.run--
	if h.repeated {
		return h.number, true
	}
	for h.have < h.width {
		h.acc |= uint64(h.packed[0]) << h.have // there are enough: begin has looked
		h.packed = h.packed[1:]
		h.have += 8
	}
	n := uint32(h.acc & (1<<h.width - 1))
	h.acc >>= h.width
	h.have -= h.width
	return n, true
}

// begin turns to the next run.
func (h *hybrid) begin() bool {
	head, n := binary.Uvarint(h.data)
	if n <= 0 || head>>1 > maxRun {
		return false
	}
	h.data = h.data[n:]
	h.repeated = head&1 == 0
	size := uint64(h.width+7) / 8
	if !h.repeated {
		size = head >> 1 * uint64(h.width)
	}
	if size > uint64(len(h.data)) {
		return false
	}
	body := h.data[:size]
	h.data = h.data[size:]
	if !h.repeated {
		h.run, h.packed, h.acc, h.have = head>>1*8, body, 0, 0
		return true
	}
	var number uint64
	for i, c := range body {
		number |= uint64(c) << (8 * i)
	}
	h.run, h.number = head>>1, uint32(number)
	return number>>h.width == 0
}
