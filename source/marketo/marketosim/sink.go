package marketosim

import (
	"github.com/martsync/martsync/simulate"
)

// A sink collects rows, damages some of them, and emits pieces.
type sink struct {
	x     *export
	emit  func(simulate.Mark, []byte) error
	pos   [3]int64
	rows  int64
	count [dirts]int64
	empty EmptyFile
	noEnd bool

	mark   simulate.Mark
	buf    []byte
	row    int // where the row begins in buf
	header bool
}

const pieceSize = 64 << 10

func newSink(s *Server, x *export, from simulate.Mark, emit func(simulate.Mark, []byte) error) *sink {
	k := &sink{x: x, emit: emit, pos: from.Pos, rows: from.Rows, mark: from, empty: s.cfg.Empty, noEnd: s.cfg.NoFinal, buf: make([]byte, 0, pieceSize+16<<10)}
	for i := range k.count {
		k.count[i] = from.Extra >> (8 * i) & 0xff
	}
	k.header = from.Rows == 0 // still to be written
	return k
}

// begin returns the buffer to which the row is appended.
func (k *sink) begin() []byte {
	if k.header {
		k.writeHeader()
	}
	if k.noEnd {
		k.buf = append(k.buf, k.x.style.newline...)
	}
	k.row = len(k.buf)
	return k.buf
}

func (k *sink) writeHeader() {
	k.header = false
	for i, h := range k.x.headers {
		if i > 0 {
			k.buf = append(k.buf, k.x.style.delimiter)
		}
		k.buf = appendCell(k.buf, h, k.x.style.delimiter, k.x.style.always)
	}
	if !k.noEnd {
		k.buf = append(k.buf, k.x.style.newline...)
	}
}

// end takes the buffer back with the row in it; next is the generator's position after it.
func (k *sink) end(b []byte, next [3]int64) error {
	k.buf = b
	k.rows++
	k.pos = next
	if k.x.trap.dirt != (dirt{}) {
		k.damage()
	}
	if !k.noEnd {
		k.buf = append(k.buf, k.x.style.newline...)
	}
	if len(k.buf) >= pieceSize {
		return k.flush()
	}
	return nil
}

func (k *sink) flush() error {
	if err := k.emit(k.mark, k.buf); err != nil {
		return err
	}
	k.buf = k.buf[:0]
	k.mark = simulate.Mark{Pos: k.pos, Rows: k.rows}
	for i, n := range k.count {
		k.mark.Extra |= n << (8 * i)
	}
	return nil
}

func (k *sink) close() error {
	if k.header && k.empty == EmptyHeader {
		k.writeHeader()
	}
	if err := k.flush(); err != nil {
		return err
	}
	return k.emit(k.mark, nil)
}
