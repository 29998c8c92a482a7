package files

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"math/bits"
	"os"
	"syscall"

	"github.com/klauspost/compress/s2"

	"github.com/martsync/martsync"
)

// tempFiles makes the temporary files of one resolver. Where the system lets it, a file has no name
// from its first moment on: then nothing is left of a process that dies, and nobody who tidies up
// takes away what is in use.
type tempFiles struct {
	dir  string
	open map[*os.File]bool // and whether it still has a name
}

func (t *tempFiles) create() (*os.File, error) {
	f, err := os.CreateTemp(t.dir, "martsync-read-*")
	if err != nil {
		return nil, tempError(err)
	}
	if t.open == nil {
		t.open = map[*os.File]bool{}
	}
	t.open[f] = os.Remove(f.Name()) != nil
	return f, nil
}

// remove gives the space of a file back.
func (t *tempFiles) remove(f *os.File) {
	named, open := t.open[f]
	if !open {
		return
	}
	delete(t.open, f)
	_ = f.Close() // what was in it is not needed anymore
	if named {
		_ = os.Remove(f.Name())
	}
}

func (t *tempFiles) close() {
	for f := range t.open {
		t.remove(f)
	}
}

// tempError is what went wrong with a temporary file. The system's own errors say which one and why.
func tempError(err error) error {
	e := &martsync.Error{Kind: martsync.Transient, Op: "files: read table: temporary file", Err: err}
	if errors.Is(err, syscall.ENOSPC) {
		e.Hint = "make room there, or point TMPDIR at another disk: reading a table takes as much space as its rows, compressed"
	}
	return e
}

// A rowHead is what a bucket keeps of a row beside its key and cells.
type rowHead struct {
	Step      int
	Version   int // the column of the table that orders versions; -1: none
	Tombstone bool
	Deleted   bool
	Whole     bool // no cell is absent
	Keyless   bool
}

const (
	tombstoneFlag = 1 << iota
	deletedFlag
	wholeFlag
	keylessFlag
)

func (h *rowHead) flags() (f byte) {
	for _, b := range []struct {
		set  bool
		flag byte
	}{{h.Tombstone, tombstoneFlag}, {h.Deleted, deletedFlag}, {h.Whole, wholeFlag}, {h.Keyless, keylessFlag}} {
		if b.set {
			f |= b.flag
		}
	}
	return f
}

func appendRecord(dst []byte, h rowHead, key, cells []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(h.Step))      //nolint:gosec // not negative
	dst = binary.AppendUvarint(dst, uint64(h.Version+1)) //nolint:gosec // not negative
	dst = append(dst, h.flags())
	dst = binary.AppendUvarint(dst, uint64(len(key)))
	dst = append(dst, key...)
	dst = binary.AppendUvarint(dst, uint64(len(cells)))
	return append(dst, cells...)
}

// errBroken says that a temporary file does not hold what was written to it.
var errBroken = errors.New("it was changed by somebody else, or the disk is broken")

// cutRecord takes the first record off a block. Key and cells are borrowed from it.
func cutRecord(b []byte) (h rowHead, key, cells, rest []byte, err error) {
	number := func() int {
		n, w := binary.Uvarint(b)
		if w <= 0 || n > 1<<32 {
			err, b = errBroken, nil
			return 0
		}
		b = b[w:]
		return int(n) //nolint:gosec // checked above
	}
	take := func(n int) []byte {
		if n > len(b) {
			err, b = errBroken, nil
			return nil
		}
		taken := b[:n]
		b = b[n:]
		return taken
	}
	h.Step, h.Version = number(), number()-1
	if f := take(1); err == nil {
		h.Tombstone, h.Deleted, h.Whole, h.Keyless = f[0]&tombstoneFlag != 0, f[0]&deletedFlag != 0, f[0]&wholeFlag != 0, f[0]&keylessFlag != 0
	}
	key = take(number())
	cells = take(number())
	return h, key, cells, b, err
}

// A deal deals rows into buckets.
type deal struct {
	temp    *tempFiles
	limits  replayLimits
	depth   int // how often these rows were dealt before
	shift   int // of the hash, to the bits of this deal
	buckets []bucket
}

// seed makes the hashes of this process its own, so that nobody can choose keys that meet.
var seed = maphash.MakeSeed()

func newDeal(temp *tempFiles, limits replayLimits, depth int) *deal {
	n := 1 << bits.Len(uint(max(limits.Buckets, 2)-1)) // a power of two
	d := &deal{temp: temp, limits: limits, depth: depth, shift: depth * bits.TrailingZeros(uint(n)), buckets: make([]bucket, n)}
	for i := range d.buckets {
		d.buckets[i].deal = d
	}
	return d
}

func (d *deal) add(h rowHead, key, cells []byte) error {
	b := &d.buckets[maphash.Bytes(seed, key)>>d.shift&uint64(len(d.buckets)-1)]
	b.rows++
	b.block = appendRecord(b.block, h, key, cells)
	if len(b.block) >= d.limits.Block {
		return b.flush()
	}
	return nil
}

func (d *deal) close() {
	for i := range d.buckets {
		d.buckets[i].close()
	}
}

// A bucket is the rows of some keys, in the order in which they came: blocks in a file, each with its
// length before it and compressed, and a last block that is still in memory. A small table never
// touches the disk.
type bucket struct {
	deal  *deal
	file  *os.File // nil: no block was written
	size  int64    // of the file
	block []byte
	rows  int64
}

// flush writes the block.
func (b *bucket) flush() error {
	if b.file == nil {
		f, err := b.deal.temp.create()
		if err != nil {
			return err
		}
		b.file = f
	}
	n, err := b.file.Write(sealed(b.block))
	b.size += int64(n)
	if err != nil {
		return tempError(err)
	}
	if b.block = b.block[:0]; cap(b.block) > 4*b.deal.limits.Block {
		b.block = nil // a huge row blew it up
	}
	return nil
}

// sealed is a block as it is in a file.
func sealed(block []byte) []byte {
	packed := s2.Encode(nil, block)
	return append(binary.AppendUvarint(make([]byte, 0, len(packed)+binary.MaxVarintLen64), uint64(len(packed))), packed...)
}

// each calls f for every row, in order. What it is given is borrowed.
func (b *bucket) each(ctx context.Context, f func(h rowHead, key, cells []byte) error) error {
	rows := func(block []byte) error {
		for len(block) > 0 {
			h, key, cells, rest, err := cutRecord(block)
			if err != nil {
				return tempError(err)
			}
			if err := f(h, key, cells); err != nil {
				return err
			}
			block = rest
		}
		return ctx.Err()
	}
	if b.file != nil {
		r := bufio.NewReaderSize(io.NewSectionReader(b.file, 0, b.size), 64<<10)
		var packed, block []byte
		for {
			n, err := binary.ReadUvarint(r)
			if errors.Is(err, io.EOF) {
				break
			}
			if err == nil && n > uint64(b.size) { //nolint:gosec // not negative
				err = errBroken
			}
			if err != nil {
				return tempError(fmt.Errorf("read it back: %w", err))
			}
			packed = resize(packed, int(n)) //nolint:gosec // checked above
			if _, err = io.ReadFull(r, packed); err == nil {
				block, err = s2.Decode(block[:cap(block)], packed)
			}
			if err != nil {
				return tempError(fmt.Errorf("read it back: %w", err))
			}
			if err := rows(block); err != nil {
				return err
			}
		}
	}
	return rows(b.block)
}

func resize(b []byte, n int) []byte {
	if cap(b) < n {
		return make([]byte, n)
	}
	return b[:n]
}

func (b *bucket) close() {
	if b.file != nil {
		b.deal.temp.remove(b.file)
	}
	b.file, b.block, b.size, b.rows = nil, nil, 0, 0
}
