package pqfile

import (
	"bytes"
	"fmt"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go/format"
)

// A Compression makes the pages of a file smaller.
type Compression uint8

// The compressions.
const (
	Zstd Compression = iota
	Gzip
	Uncompressed
)

func (c Compression) codec() format.CompressionCodec {
	switch c {
	case Gzip:
		return format.Gzip
	case Uncompressed:
		return format.Uncompressed
	default:
		return format.Zstd
	}
}

// A press compresses pages. Each worker has its own while it works. Between pages a press
// keeps nothing but memory, so that all files under way share a few.
type press struct {
	zstd       *zstd.Encoder
	gzip       *gzip.Writer
	raw, small []byte
}

var presses = sync.Pool{New: func() any { return new(press) }}

// maxSpare is how large a page may have been whose memory is kept for others, in bytes.
const maxSpare = 4 << 20

func (p *press) release() {
	if cap(p.raw) > maxSpare || cap(p.small) > maxSpare {
		p.raw, p.small = nil, nil
	}
	presses.Put(p)
}

// squeeze returns p.raw compressed, which is valid until the next call.
func (p *press) squeeze(c Compression) ([]byte, error) {
	switch c {
	case Uncompressed:
		return p.raw, nil
	case Gzip:
		b := bytes.NewBuffer(p.small[:0])
		if p.gzip == nil {
			p.gzip = gzip.NewWriter(b)
		} else {
			p.gzip.Reset(b)
		}
		if _, err := p.gzip.Write(p.raw); err != nil {
			return nil, fmt.Errorf("compress: %w", err)
		}
		if err := p.gzip.Close(); err != nil {
			return nil, fmt.Errorf("compress: %w", err)
		}
		p.small = b.Bytes()
	default:
		if p.zstd == nil {
			e, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(false), zstd.WithWindowSize(1<<20), zstd.WithLowerEncoderMem(true))
			if err != nil {
				return nil, fmt.Errorf("compress: %w", err)
			}
			p.zstd = e
		}
		p.small = p.zstd.EncodeAll(p.raw, p.small[:0])
	}
	return p.small, nil
}
