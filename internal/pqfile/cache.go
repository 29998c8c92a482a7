package pqfile

import (
	"encoding/binary"
	"io"

	"github.com/parquet-go/parquet-go/format"
)

// A cache stands before a reader that is slow to answer and fetches large pieces: the end of
// the file with the footer, then one row group after the other.
type cache struct {
	r    io.ReaderAt
	size int64
	data []byte
	at   int64 // where data begins
}

const (
	tailBytes  = 64 << 10 // enough for the footers of most files
	maxFooter  = 64 << 20
	maxGroup   = 64 << 20 // a Writer's row groups are smaller, unless a single row is not
	footerTail = 8        // length and magic
)

// footer fetches the footer, which is valid until the next row group is loaded.
func (c *cache) footer() ([]byte, error) {
	if c.size < int64(len(magic)+footerTail) {
		return nil, damaged("it has only %d bytes", c.size)
	}
	if err := c.fetch(max(0, c.size-tailBytes), c.size); err != nil {
		return nil, err
	}
	end := c.data[len(c.data)-footerTail:]
	length := int64(binary.LittleEndian.Uint32(end))
	if string(end[4:]) != magic || length > min(maxFooter, c.size-int64(len(magic)+footerTail)) {
		return nil, damaged("its end is not that of a Parquet file")
	}
	from := c.size - footerTail - length
	if from < c.at {
		if err := c.fetch(from, c.size); err != nil {
			return nil, err
		}
	}
	return c.data[from-c.at:][:length], nil
}

// load fetches the row group, unless it is there already, as that of a small file is.
func (c *cache) load(g *format.RowGroup) error {
	from, to := c.size, int64(0)
	for i := range g.Columns {
		begin, end, err := c.extent(&g.Columns[i].MetaData)
		if err != nil {
			return err
		}
		from, to = min(from, begin), max(to, end)
	}
	if to-from > maxGroup || from >= to || c.has(from, to) {
		return nil
	}
	return c.fetch(from, to)
}

// extent says where the pages of a column are.
func (c *cache) extent(m *format.ColumnMetaData) (from, to int64, err error) {
	from = m.DataPageOffset
	if m.DictionaryPageOffset > 0 {
		from = min(from, m.DictionaryPageOffset)
	}
	if m.TotalCompressedSize < 0 || from < 0 || from > c.size || m.TotalCompressedSize > c.size-from {
		return 0, 0, damaged("a column lies outside of it")
	}
	return from, from + m.TotalCompressedSize, nil
}

func (c *cache) has(from, to int64) bool { return from >= c.at && to <= c.at+int64(len(c.data)) }

func (c *cache) fetch(from, to int64) error {
	n := int(to - from)
	if cap(c.data) < n {
		c.data = make([]byte, n)
	}
	c.data, c.at = c.data[:n], from
	if err := c.read(c.data, from); err != nil {
		c.data = c.data[:0]
		return err
	}
	return nil
}

// read fills b from the reader below. It says that the file is shorter than its size if the
// reader says nothing else.
func (c *cache) read(b []byte, from int64) error {
	n, err := c.r.ReadAt(b, from)
	switch {
	case n == len(b):
		return nil
	case err == nil || err == io.EOF:
		return damaged("it is shorter than it should be")
	default:
		return err
	}
}
