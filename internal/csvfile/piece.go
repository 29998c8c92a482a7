package csvfile

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"sort"
)

// A piece is a part of the file without its NUL bytes, and where these were.
type piece struct {
	data []byte
	base int64 // offset in the file of the end of what came before
	nuls []nuls
}

// nuls are NUL bytes that stood before data[at]; sum counts them and those before them.
type nuls struct{ at, sum int }

// nulsFrom returns the index of the first NUL bytes that stood before data[i] or later.
func (p *piece) nulsFrom(i int) int {
	return sort.Search(len(p.nuls), func(k int) bool { return p.nuls[k].at >= i })
}

// sumBefore counts the NUL bytes before p.nuls[k].
func (p *piece) sumBefore(k int) int {
	if k == 0 {
		return 0
	}
	return p.nuls[k-1].sum
}

// offset returns the offset in the file of data[i], or of the NUL bytes before it.
func (p *piece) offset(i int) int64 {
	return p.base + int64(i+p.sumBefore(p.nulsFrom(i)))
}

// cut splits the piece at i and returns the second part, which shares its memory.
func (p *piece) cut(i int) piece {
	rest := piece{data: p.data[i:], base: p.offset(i)}
	k := p.nulsFrom(i)
	for _, z := range p.nuls[k:] {
		rest.nuls = append(rest.nuls, nuls{z.at - i, z.sum - p.sumBefore(k)})
	}
	p.data, p.nuls = p.data[:i], p.nuls[:k]
	return rest
}

// add appends a copy of what follows the piece in the file.
func (p *piece) add(next piece) {
	if len(p.data) == 0 && len(p.nuls) == 0 {
		p.base = next.base
	}
	for k, z := range next.nuls {
		p.addNuls(len(p.data)+z.at, z.sum-next.sumBefore(k))
	}
	p.data = append(p.data, next.data...)
}

func (p *piece) addNuls(at, n int) {
	k := len(p.nuls)
	if k > 0 && p.nuls[k-1].at == at {
		p.nuls[k-1].sum += n
		return
	}
	p.nuls = append(p.nuls, nuls{at, p.sumBefore(k) + n})
}

// squeeze takes the NUL bytes out of data[from:].
func (p *piece) squeeze(from int) {
	i := bytes.IndexByte(p.data[from:], 0)
	if i < 0 {
		return
	}
	kept := p.data[:from+i]
	for rest := p.data[from+i:]; len(rest) > 0; {
		if rest[0] == 0 {
			n := 1
			for n < len(rest) && rest[n] == 0 {
				n++
			}
			p.addNuls(len(kept), n)
			rest = rest[n:]
			continue
		}
		n := bytes.IndexByte(rest, 0)
		if n < 0 {
			n = len(rest)
		}
		kept = append(kept, rest[:n]...)
		rest = rest[n:]
	}
	p.data = kept
}

// A feed hands out the file piece by piece. Pieces can be given back.
type feed struct {
	r     io.Reader
	ahead piece // read or given back, and not handed out
	err   error // what ended r
}

// fill sets p to the next n bytes, or fewer at the end of what r gives, and reports whether
// there are more. To know that it reads ahead by a byte, so that it makes no difference
// whether r tells its end together with the last bytes or after them.
func (f *feed) fill(p *piece, n int) (more bool) {
	p.data, p.nuls, p.base = p.data[:0], p.nuls[:0], f.ahead.base
	if len(f.ahead.data) > n+1 {
		rest := f.ahead.cut(n + 1)
		p.add(f.ahead)
		f.ahead = piece{}
		f.ahead.add(rest)
	} else {
		p.add(f.ahead)
		f.ahead.data, f.ahead.nuls = f.ahead.data[:0], f.ahead.nuls[:0]
		if cap(f.ahead.data) > 1<<20 { // was given back
			f.ahead.data = nil
		}
	}
	p.data = slices.Grow(p.data, n+1-len(p.data))
	for idle := 0; len(p.data) <= n && f.err == nil; {
		from := len(p.data)
		var got int
		got, f.err = f.r.Read(p.data[from : n+1])
		p.data = p.data[:from+got]
		p.squeeze(from)
		if idle++; got > 0 {
			idle = 0
		} else if idle == 100 {
			f.err = io.ErrNoProgress
		}
	}
	if len(p.data) <= n {
		return false
	}
	f.unread(p.cut(n))
	return true
}

// unread gives back what follows everything handed out. It copies.
func (f *feed) unread(next piece) {
	if len(f.ahead.data) == 0 && len(f.ahead.nuls) == 0 {
		f.ahead.add(next)
		return
	}
	var all piece
	all.add(next)
	all.add(f.ahead)
	f.ahead = all
}

// ended reports whether the end of the file has been read, as opposed to an error.
func (f *feed) ended() bool { return errors.Is(f.err, io.EOF) }
