package files

import (
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// zstdWindow is how far back zstd looks for repetitions. It bounds the memory of both sides.
const zstdWindow = 1 << 20

// compressor returns a writer that compresses into w. Closing it does not close w. It
// compresses in the caller's goroutine, and the same bytes give the same bytes: no header
// tells a time or a name.
func compressor(w io.Writer, c compression) (io.WriteCloser, error) {
	switch c {
	case gzipCompression:
		return gzip.NewWriter(w), nil
	case zstdCompression:
		z, err := zstd.NewWriter(w, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(zstdWindow), zstd.WithEncoderCRC(true), zstd.WithZeroFrames(true))
		if err != nil {
			return nil, internalError("compress", err)
		}
		return z, nil
	case noCompression:
		return plain{w}, nil
	}
	return nil, internalError("compress", fmt.Errorf("compression %q", c))
}

type plain struct{ io.Writer }

func (plain) Close() error { return nil }

// decompressor returns a reader of what compressor compressed. It must be closed. A damaged
// or incomplete input is an error before io.EOF, for both formats carry checksums.
func decompressor(r io.Reader, c compression) (io.ReadCloser, error) {
	switch c {
	case gzipCompression:
		return gzip.NewReader(r) //nolint:wrapcheck // the caller says what is damaged
	case zstdCompression:
		z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(8*zstdWindow))
		if err != nil {
			return nil, err
		}
		return z.IOReadCloser(), nil
	case noCompression:
		return io.NopCloser(r), nil
	}
	return nil, fmt.Errorf("no compression is named %q", c)
}

// A sink is where a text encoder writes to: a buffer before a compressor before a counter.
type sink struct {
	buf      []byte
	compress io.WriteCloser
	written  counter
	rows     int64
	err      error
}

// A counter counts what passes.
type counter struct {
	w   io.Writer
	n   int64
	err error // the first one of w
}

func (c *counter) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.n += int64(n)
	if err != nil && c.err == nil {
		c.err = err
	}
	return n, err
}

func (s *sink) init(w io.Writer, c compression) (err error) {
	s.written.w = w
	s.compress, err = compressor(&s.written, c)
	return err
}

// flushAt is how much text is collected before it is compressed.
const flushAt = 128 << 10

// flush hands on the buffer if it is full enough.
func (s *sink) flush(atLeast int) error {
	if s.err != nil || len(s.buf) < atLeast {
		return s.err
	}
	_, s.err = s.compress.Write(s.buf)
	s.buf = s.buf[:0]
	if cap(s.buf) > 16*flushAt { // a row of unusual size
		s.buf = nil
	}
	return s.err
}

func (s *sink) close() error {
	if err := s.flush(0); err != nil {
		return err
	}
	if s.err = s.compress.Close(); s.err != nil {
		return s.err
	}
	s.err = errClosed
	return nil
}

// fail makes err the end of the file.
func (s *sink) fail(err error) error {
	if s.err == nil {
		s.err = err
	}
	return err
}

var errClosed = internalError("encode", fmt.Errorf("the file is closed"))

// Size is what was written and what still waits, which text usually shrinks to a quarter of.
func (s *sink) Size() int64 {
	waiting := int64(len(s.buf))
	if _, ok := s.compress.(plain); !ok {
		waiting /= 4
	}
	return s.written.n + waiting
}

// Rows is how many rows were written.
func (s *sink) Rows() int64 { return s.rows }
