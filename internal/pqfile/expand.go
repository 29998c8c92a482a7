package pqfile

import (
	"bytes"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go/format"
)

// An expander makes pages as large again as they were. Like a press it keeps nothing between
// pages but memory, so that all files that are read share a few.
type expander struct {
	source bytes.Reader
	zstd   *zstd.Decoder
	gzip   *gzip.Reader
}

var expanders = sync.Pool{New: func() any { return new(expander) }}

const (
	firstRoom = 1 << 20  // a page has less, unless its rows are unusual
	maxWindow = 32 << 20 // of zstd, which keeps that much to refer back to; a Writer's is 1 MiB
)

// expand returns the body of a page, which shall have size bytes, in the memory of room if
// that suffices. Without compression it is the body itself.
func expand(codec format.CompressionCodec, body, room []byte, size int) ([]byte, error) {
	if codec == format.Uncompressed {
		if len(body) != size {
			return nil, damaged("a page has %d bytes, not %d", len(body), size)
		}
		return body, nil
	}
	x := expanders.Get().(*expander)
	defer x.release()
	x.source.Reset(body)
	var from io.Reader
	var err error
	switch codec {
	case format.Zstd:
		from, err = x.openZstd()
	case format.Gzip:
		from, err = x.openGzip()
	default:
		return nil, damaged("compression %v is not supported", codec)
	}
	if err == nil {
		room, err = readExactly(from, room, size)
	}
	if err != nil {
		return nil, damaged("a page cannot be decompressed: %w", err)
	}
	return room, nil
}

func (x *expander) openZstd() (io.Reader, error) {
	if x.zstd == nil {
		d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, fmt.Errorf("zstd: %w", err)
		}
		x.zstd = d
	}
	return x.zstd, x.zstd.Reset(&x.source)
}

func (x *expander) openGzip() (io.Reader, error) {
	if x.gzip == nil {
		x.gzip = new(gzip.Reader)
	}
	return x.gzip, x.gzip.Reset(&x.source)
}

// release lets go of the page and keeps the memory.
func (x *expander) release() {
	x.source.Reset(nil)
	expanders.Put(x)
}

// readExactly reads all of r, which shall be size bytes. What a page says of its size is only
// believed as far as there are bytes.
func readExactly(r io.Reader, room []byte, size int) ([]byte, error) {
	room = room[:0]
	for len(room) < size {
		if len(room) == cap(room) {
			grown := make([]byte, len(room), min(size, max(firstRoom, 2*cap(room))))
			copy(grown, room)
			room = grown
		}
		from := len(room)
		room = room[:min(size, cap(room))]
		if n, err := io.ReadFull(r, room[from:]); err != nil {
			return nil, fmt.Errorf("%d bytes of %d: %w", from+n, size, err)
		}
	}
	var more [1]byte
	switch n, err := io.ReadFull(r, more[:]); {
	case n > 0:
		return nil, fmt.Errorf("more than %d bytes", size)
	case err != io.EOF:
		return nil, err
	}
	return room, nil
}
