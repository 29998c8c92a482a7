package csvfile

import (
	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/columns"
)

// A keeper hands out the file as it came. A chunk's bytes are mostly those of its block, and are lent
// from there; only what lies between chunks (the header, empty lines, the end of a block) and what was
// taken apart because of NUL bytes is copied. It keeps a block's worth at most.
type keeper struct {
	on      bool
	columns []martsync.Column
	most    int    // bytes to keep before they are handed out without records
	left    []byte // passed over and not handed out yet
	lent    bool   // left is with the caller
	tail    int    // NUL bytes at the end of the file
	offset  int64  // end of the last record
}

// raw returns what was not handed out of the file up to data[end] of the block.
func (rd *reader) raw(b *block, end int) ([]byte, error) {
	from := b.kept
	b.kept = end
	rd.reuse()
	if len(rd.left) == 0 && b.data.nulsOf(from, end) == 0 {
		return b.data.data[from:end:end], nil
	}
	err := rd.keep(&b.data, from, end)
	rd.lent = true
	return rd.left, err
}

// keep takes the file from data[from] on up to data[to], and the NUL bytes before each of these. To may
// be one more than there are bytes: then the NUL bytes at the end count.
func (rd *reader) keep(p *piece, from, to int) error {
	if !rd.on {
		return nil
	}
	rd.reuse()
	for k := p.nulsFrom(from); k < len(p.nuls) && p.nuls[k].at < to; k++ {
		at := p.nuls[k].at
		rd.left = append(rd.left, p.data[from:at]...)
		from = at
		if err := rd.keepNuls(p.nuls[k].sum - p.sumBefore(k)); err != nil {
			return err
		}
	}
	rd.left = append(rd.left, p.data[from:min(to, len(p.data))]...)
	return rd.bound()
}

func (rd *reader) keepNuls(n int) error {
	for n > 0 {
		some := min(n, rd.most)
		rd.left = append(rd.left, make([]byte, some)...)
		n -= some
		if err := rd.bound(); err != nil {
			return err
		}
	}
	return nil
}

// reuse forgets what was lent with the chunk before.
func (rd *reader) reuse() {
	if rd.lent {
		rd.left, rd.lent = rd.left[:0], false
	}
}

// bound hands out what is left if it has become much.
func (rd *reader) bound() error {
	if len(rd.left) < rd.most {
		return nil
	}
	return rd.yieldRaw()
}

// flush hands out what is left at the end of the file.
func (rd *reader) flush() error {
	if !rd.on {
		return nil
	}
	rd.reuse()
	if err := rd.keepNuls(rd.tail); err != nil {
		return err
	}
	if len(rd.left) == 0 {
		return nil
	}
	return rd.yieldRaw()
}

// yieldRaw hands out what is left in a chunk without records.
func (rd *reader) yieldRaw() error {
	none := columns.NewBuilder(rd.keeper.columns).Records()
	if !rd.yield(Chunk{Records: none, Offset: rd.offset, Header: rd.header, Raw: rd.left}, nil) {
		return errStopped
	}
	rd.left = rd.left[:0]
	return nil
}

// nulsOf counts the NUL bytes before data[from] to before data[to].
func (p *piece) nulsOf(from, to int) int {
	return p.sumBefore(p.nulsFrom(to)) - p.sumBefore(p.nulsFrom(from))
}
