package pqfile

import (
	"math/bits"
	"sync"
)

// pieceBytes is how large the pieces are that pages are kept in, the first of a column aside.
const pieceBytes = 32 << 10

// smallest is how large the first piece of a column is at least, in bytes.
const smallest = 512

// spare are pieces that nobody uses, for all files under way.
var spare = sync.Pool{New: func() any { return new([pieceBytes]byte) }}

// pieces hold the bytes of a column until its row group is written. One slice that grows would at times be there
// twice, and leave several times its size as garbage.
type pieces struct {
	list [][]byte // all but the last are full
	size int
}

// append appends what is a page in two parts.
func (p *pieces) append(header, body []byte) {
	need := len(header) + len(body)
	if p.size == 0 && need <= pieceBytes/2 { // most columns of a small file need no more
		p.list = append(p.list, make([]byte, 0, max(smallest, 1<<bits.Len(uint(need-1)))))
	}
	p.size += need
	for _, b := range [][]byte{header, body} {
		for len(b) > 0 {
			n := len(p.list)
			if n == 0 || len(p.list[n-1]) == cap(p.list[n-1]) {
				p.list = append(p.list, spare.Get().(*[pieceBytes]byte)[:0])
				n++
			}
			last := p.list[n-1]
			some := min(len(b), cap(last)-len(last))
			p.list[n-1] = append(last, b[:some]...)
			b = b[some:]
		}
	}
}

// reset gives the pieces to other columns.
func (p *pieces) reset() {
	for i, b := range p.list {
		if cap(b) == pieceBytes {
			spare.Put((*[pieceBytes]byte)(b[:pieceBytes]))
		}
		p.list[i] = nil
	}
	p.list, p.size = p.list[:0], 0
}
