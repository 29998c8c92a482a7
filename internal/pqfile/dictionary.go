package pqfile

import (
	"encoding/binary"
	"hash/maphash"
)

// Bounds of a dictionary. A larger one costs more than it saves: its indices are wide, and
// looking them up misses the cache.
const (
	maxEntries   = 8192
	maxDictBytes = 256 << 10
	trial        = 1000 // values after which it is known whether they repeat
)

// A choice decides, for one column, where a dictionary is worth its while: where values
// repeat. It looks at nothing but values, so the same values give the same file.
type choice struct {
	kind  kind
	plain bool // dictionaries did not pay
	spare *dictionary
}

func (c *choice) init(k kind) {
	c.kind = k
	c.plain = k == bitKind || k == wideKind
}

// start returns the dictionary for a new chunk, or nil.
func (c *choice) start() *dictionary {
	if c.plain {
		return nil
	}
	if c.spare == nil {
		c.spare = newDictionary()
	}
	c.spare.reset()
	return c.spare
}

// keep reports whether to go on with a dictionary.
func (c *choice) keep(d *dictionary) bool {
	if d.judged || d.added < trial {
		return true
	}
	d.judged = true
	if d.len() <= d.added/2 {
		return true
	}
	c.plain, c.spare = true, nil
	return false
}

func (c *choice) overflow(d *dictionary) bool {
	return d != nil && (d.len() > maxEntries || len(d.text) > maxDictBytes)
}

// learn looks at the dictionary of a chunk that is done with it.
func (c *choice) learn(d *dictionary) {
	if c.overflow(d) && d.len() > d.added/4 {
		c.plain, c.spare = true, nil
	}
}

// A dictionary numbers the different values of a chunk in the order in which they come.
type dictionary struct {
	added  int // values, with repetitions
	judged bool

	words  []uint64 // entries of words; hashes of texts
	text   []byte   // texts as they will be stored: length and bytes
	starts []uint32 // where they are; one more than entries
	slots  []uint32 // open addressing: entry + 1, or 0
	shift  uint     // hash >> shift is the first slot to look at
}

// The seed is of no consequence for what is written: entries are numbered as they come.
var seed = maphash.MakeSeed()

func newDictionary() *dictionary {
	d := &dictionary{}
	d.reset()
	return d
}

func (d *dictionary) reset() {
	d.added, d.judged = 0, false
	d.words, d.text, d.starts = d.words[:0], d.text[:0], append(d.starts[:0], 0)
	if d.slots == nil {
		d.slots, d.shift = make([]uint32, 256), 64-8
	}
	clear(d.slots)
}

func (d *dictionary) len() int { return len(d.words) }

const mix = 0x9E3779B97F4A7C15 // spreads the bits of a word: 2^64 divided by the golden ratio

func (d *dictionary) addWords(indices []uint32, words []uint64) []uint32 {
	d.added += len(words)
	mask := uint64(len(d.slots) - 1)
next:
	for _, w := range words {
		s := w * mix >> d.shift
		for ; d.slots[s] != 0; s = (s + 1) & mask {
			if i := d.slots[s] - 1; d.words[i] == w {
				indices = append(indices, i)
				continue next
			}
		}
		indices = append(indices, uint32(len(d.words)))
		d.words = append(d.words, w)
		d.slots[s] = uint32(len(d.words))
		if len(d.words)*2 > len(d.slots) {
			d.grow()
			mask = uint64(len(d.slots) - 1)
		}
	}
	return indices
}

func (d *dictionary) addText(text []byte) uint32 {
	d.added++
	h := maphash.Bytes(seed, text)
	mask := uint64(len(d.slots) - 1)
	s := h * mix >> d.shift
	for ; d.slots[s] != 0; s = (s + 1) & mask {
		if i := d.slots[s] - 1; d.words[i] == h && string(d.entry(i)[4:]) == string(text) {
			return i
		}
	}
	i := uint32(len(d.words))
	d.words = append(d.words, h)
	d.text = binary.LittleEndian.AppendUint32(d.text, uint32(len(text)))
	d.text = append(d.text, text...)
	d.starts = append(d.starts, uint32(len(d.text)))
	d.slots[s] = i + 1
	if len(d.words)*2 > len(d.slots) {
		d.grow()
	}
	return i
}

// entry returns a text as it will be stored.
func (d *dictionary) entry(i uint32) []byte { return d.text[d.starts[i]:d.starts[i+1]] }

func (d *dictionary) grow() {
	d.slots = make([]uint32, 2*len(d.slots))
	d.shift--
	mask := uint64(len(d.slots) - 1)
	for i, w := range d.words {
		s := w * mix >> d.shift
		for d.slots[s] != 0 {
			s = (s + 1) & mask
		}
		d.slots[s] = uint32(i) + 1
	}
}

// appendTo appends the entries, plainly encoded.
func (d *dictionary) appendTo(dst []byte, k kind) []byte {
	switch k {
	case textKind:
		return append(dst, d.text...)
	case smallKind:
		for _, w := range d.words {
			dst = binary.LittleEndian.AppendUint32(dst, uint32(w))
		}
	default:
		for _, w := range d.words {
			dst = binary.LittleEndian.AppendUint64(dst, w)
		}
	}
	return dst
}
