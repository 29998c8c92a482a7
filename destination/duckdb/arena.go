//go:build cgo && !lite

package duckdb

import (
	"sync"
	"unsafe"

	"github.com/martsync/martsync"
)

// arenas keeps the buffers that rows were copied to, for the next rows.
type arenas struct {
	mu   sync.Mutex
	free [][]byte
	kept int
}

// get returns a buffer of at least n bytes.
func (a *arenas) get(n int) []byte {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i, b := range a.free {
		if cap(b) >= n {
			a.free[i] = a.free[len(a.free)-1]
			a.free = a.free[:len(a.free)-1]
			a.kept -= cap(b)
			return b[:cap(b)]
		}
	}
	const step = 1 << 20
	if n > step {
		n = (n + step - 1) / step * step // so that batches of similar size fit each other's buffers
	}
	return make([]byte, n)
}

func (a *arenas) put(b []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for len(a.free) > 0 && a.kept+cap(b) > inFlight {
		a.kept -= cap(a.free[0])
		a.free = a.free[1:]
	}
	a.free = append(a.free, b)
	a.kept += cap(b)
}

// pad follows the data of strings, so that 16 bytes can be read from the start of each.
const pad = 16

// size is what copyTo needs for n rows of the vectors.
func size(vectors []martsync.Vector, n int) int {
	total := 0
	for i := range vectors {
		v := &vectors[i]
		if v.Nulls != nil {
			total += align(n)
		}
		switch v.Type {
		case martsync.Bool:
			total += align(n)
		case martsync.Int64, martsync.Timestamp, martsync.Float64:
			total += align(8 * n)
		case martsync.Date:
			total += align(4 * n)
		case martsync.Decimal:
			total += align(16 * n)
		default:
			total += align(4*(n+1)) + align(int(v.Offsets[n]-v.Offsets[0])+pad)
		}
	}
	return total
}

func align(n int) int { return (n + 15) &^ 15 }

// copyTo copies n rows of the vectors into the buffer, which has size(vectors, n) bytes, and
// returns vectors that lie in it.
func copyTo(buf []byte, vectors []martsync.Vector, n int) []martsync.Vector {
	out := make([]martsync.Vector, len(vectors))
	for i := range vectors {
		v, w := &vectors[i], &out[i]
		w.Type = v.Type
		if v.Nulls != nil {
			w.Nulls = carve(&buf, v.Nulls[:n])
		}
		switch v.Type {
		case martsync.Bool:
			w.Bools = carve(&buf, v.Bools[:n])
		case martsync.Int64, martsync.Timestamp:
			w.Ints = carve(&buf, v.Ints[:n])
		case martsync.Float64:
			w.Floats = carve(&buf, v.Floats[:n])
		case martsync.Date:
			w.Days = carve(&buf, v.Days[:n])
		case martsync.Decimal:
			w.Decimals = carve(&buf, v.Decimals[:n])
		default:
			w.Offsets = carve(&buf, v.Offsets[:n+1])
			start, end := v.Offsets[0], v.Offsets[n]
			m := copy(buf, v.Data[start:end])
			w.Data = buf[:m+pad]
			buf = buf[align(m+pad):]
			if start != 0 {
				for j := range w.Offsets {
					w.Offsets[j] -= start
				}
			}
		}
	}
	return out
}

// carve copies the values to the front of the buffer, whose alignment copyTo keeps at 16.
func carve[T any](buf *[]byte, values []T) []T {
	var zero T
	bytes := len(values) * int(unsafe.Sizeof(zero))
	if bytes == 0 {
		return nil
	}
	out := unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(*buf))), len(values))
	copy(out, values)
	*buf = (*buf)[align(bytes):]
	return out
}
