package marketo

import (
	"crypto/sha256"
	"encoding"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash"
)

// markEvery is the distance between two marks, in bytes. Resuming fetches at most this much
// twice, plus the part of a record.
const markEvery = 256 << 10

// A rolling hash is a SHA-256 that remembers its state at regular places. The file is hashed as
// it arrives while its records come out of the parser later, so the state that belongs to the
// end of a record is no longer there when that record has been delivered; the last mark
// before it is.
type rollingHash struct {
	sum   hash.Hash
	n     int64 // bytes hashed
	marks []mark
	since []byte // what was hashed after the first mark
}

// A mark is the state of the hash after some bytes.
type mark struct {
	at    int64
	state string // base64
}

func newRollingHash() *rollingHash {
	h := &rollingHash{sum: sha256.New()}
	h.set()
	return h
}

// resumeHash continues from a mark.
func resumeHash(at int64, state string) (*rollingHash, error) {
	sum, err := restoreHash(state)
	if err != nil {
		return nil, err
	}
	return &rollingHash{sum: sum, n: at, marks: []mark{{at: at, state: state}}}, nil
}

func restoreHash(state string) (hash.Hash, error) {
	data, err := base64.StdEncoding.DecodeString(state)
	if err != nil {
		return nil, fmt.Errorf("state of the checksum: %w", err)
	}
	sum := sha256.New()
	if err := sum.(encoding.BinaryUnmarshaler).UnmarshalBinary(data); err != nil {
		return nil, fmt.Errorf("state of the checksum: %w", err)
	}
	return sum, nil
}

func (h *rollingHash) set() {
	data, err := h.sum.(encoding.BinaryMarshaler).MarshalBinary()
	if err != nil {
		panic(err) // documented not to happen for SHA-256
	}
	h.marks = append(h.marks, mark{at: h.n, state: base64.StdEncoding.EncodeToString(data)})
}

// Write hashes p. It never fails.
func (h *rollingHash) Write(p []byte) (int, error) {
	total := len(p)
	h.since = append(h.since, p...)
	for len(p) > 0 {
		n := int(min(int64(len(p)), markEvery-h.n%markEvery))
		h.sum.Write(p[:n])
		h.n += int64(n)
		p = p[n:]
		if h.n%markEvery == 0 {
			h.set()
		}
	}
	return total, nil
}

// mark returns the last mark at or before offset. It forgets what comes before the mark, so asking often and in
// rising order keeps that small.
func (h *rollingHash) mark(offset int64) mark {
	last := 0
	for i, m := range h.marks {
		if m.at <= offset {
			last = i
		}
	}
	h.since = append(h.since[:0], h.since[h.marks[last].at-h.marks[0].at:]...)
	h.marks = append(h.marks[:0], h.marks[last:]...)
	return h.marks[0]
}

// tail is the checksum of the bytes from the mark that was asked for last to offset, hexadecimal.
func (h *rollingHash) tail(offset int64) string {
	sum := sha256.Sum256(h.since[:offset-h.marks[0].at])
	return hex.EncodeToString(sum[:])
}

// total returns how many bytes have been hashed and their checksum.
func (h *rollingHash) total() (int64, []byte) {
	return h.n, h.sum.Sum(nil)
}
