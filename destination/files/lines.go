package files

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/martsync/martsync"
)

// maxRecord bounds the text of one row, in bytes: whatever a damaged file contains, reading it
// takes no more memory than this.
const maxRecord = 256 << 20

// readAhead is how much of a text file is fetched at a time. Stores answer slowly and send fast.
const readAhead = 4 << 20

// lines reads records, each of one or more lines.
type lines struct {
	r      *bufio.Reader
	record []byte
	n      int64 // records so far
}

// next reads up to the line end for which complete says that the record is whole, given the
// number of quotes in it. The record is borrowed and comes without its line end. At the end
// of the file it is io.EOF; a last record without a line end is an error, because every one
// was written with it.
func (l *lines) next(complete func(quotes int) bool) ([]byte, error) {
	if cap(l.record) > 4*readAhead {
		l.record = nil
	}
	l.record = l.record[:0]
	quotes := 0
	for {
		line, err := l.r.ReadSlice('\n')
		quotes += bytes.Count(line, quote)
		if err == nil && len(l.record) == 0 && complete(quotes) {
			l.n++
			return line[:len(line)-1], nil // most of them
		}
		if len(l.record)+len(line) > maxRecord {
			return nil, fmt.Errorf("record %d is longer than %d bytes", l.n+1, maxRecord)
		}
		l.record = append(l.record, line...)
		switch {
		case err == nil:
			if complete(quotes) {
				l.n++
				return l.record[:len(l.record)-1], nil
			}
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF):
			if len(l.record) == 0 {
				return nil, io.EOF
			}
			return nil, fmt.Errorf("record %d: %w", l.n+1, io.ErrUnexpectedEOF)
		default:
			return nil, err
		}
	}
}

var quote = []byte{'"'}

// A watchedReader remembers the error of the store, which is no fault of the file.
type watchedReader struct {
	r   io.Reader
	err error
}

func (w *watchedReader) Read(b []byte) (int, error) {
	n, err := w.r.Read(b)
	if err != nil && !errors.Is(err, io.EOF) {
		w.err = err
	}
	return n, err
}

// A rowReader reads the rows of one text file into a batch.
type rowReader interface {
	begin() error       // reads what comes before the rows
	row(b *batch) error // adds a row; io.EOF at the end
}

// decodeText yields the rows of a text file.
func decodeText(ctx context.Context, src io.ReaderAt, size int64, f fileFormat, schema martsync.Schema, open func(*lines) rowReader) iter.Seq2[*martsync.Records, error] {
	return func(yield func(*martsync.Records, error) bool) {
		source := &watchedReader{r: io.NewSectionReader(src, 0, size)}
		fail := func(l *lines, err error) {
			switch {
			case source.err != nil:
				yield(nil, source.err)
			case l != nil:
				yield(nil, damaged(schema.Stream, fmt.Errorf("record %d: %w", l.n, err)))
			default:
				yield(nil, damaged(schema.Stream, err))
			}
		}
		if size == 0 && f.Compression != noCompression {
			fail(nil, errors.New("it is empty"))
			return
		}
		// The buffer stands before the decompressor, which asks for little at a time.
		unpacked, err := decompressor(bufio.NewReaderSize(source, int(min(readAhead, max(size, 16)))), f.Compression)
		if err != nil {
			fail(nil, err)
			return
		}
		defer unpacked.Close() //nolint:errcheck // memory only
		l := &lines{r: bufio.NewReaderSize(unpacked, 256<<10)}
		r := open(l)
		if err := r.begin(); err != nil {
			fail(nil, err)
			return
		}
		b := newBatch(schema.Columns)
		for more := true; more; {
			if err := ctx.Err(); err != nil {
				yield(nil, err)
				return
			}
			b.reset()
			for !b.full() {
				if err := r.row(b); errors.Is(err, io.EOF) {
					more = false
					break
				} else if err != nil {
					fail(l, err)
					return
				}
			}
			if b.rows > 0 && !yield(b.records(), nil) {
				return
			}
		}
	}
}
