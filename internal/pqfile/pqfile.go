// Package pqfile writes batches of records as Parquet files, and reads them back.
//
// The pages are made here, straight from the columns of the records; the structures of the
// format and their wire encoding are those of parquet-go, which no other package of ours
// knows. Files use what every reader of the format understands: version 1 data pages,
// plain and dictionary encoding, zstd unless another compression is asked for. The same records give the same bytes, whatever the
// number of workers, so an upload can be repeated. Where files go and how large they become
// is left to the callers, as is what tombstones mean.
//
// A column of each type is stored as
//
//	Bool       BOOLEAN
//	Int64      INT64
//	Float64    DOUBLE
//	Decimal    INT64 up to 18 digits, else FIXED_LEN_BYTE_ARRAY(16), DECIMAL
//	String     BYTE_ARRAY, STRING
//	Binary     BYTE_ARRAY
//	Date       INT32, DATE
//	Timestamp  INT64, TIMESTAMP in microseconds, adjusted to UTC
//	JSON       BYTE_ARRAY, JSON
//
// and all of them are optional.
package pqfile

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/parquet-go/parquet-go/format"

	"github.com/martsync/martsync"
)

// Options say how to write a file. Only Columns are needed.
type Options struct {
	Columns []martsync.Column

	// Tombstone and Deleted, if set, name Bool columns after the others for these flags of
	// the records. Rows without a flag are false.
	Tombstone, Deleted string

	// OmitTombstone leaves the column Tombstone out of a file in which no row has the flag.
	OmitTombstone bool

	// Compression of the pages.
	Compression Compression

	// RowGroup is how many bytes of records make a row group, as Records.Size counts them.
	// 0 means 32 MiB.
	RowGroup int

	// Workers is how many goroutines encode the columns of a batch: 0 and 1 mean the
	// caller's own.
	Workers int

	// Metadata are pairs of a key and a value for the footer.
	Metadata [][2]string
}

// A Writer writes one file. It is for one goroutine. It holds the compressed pages of the row
// group under way and for each column a page that is not full yet, less than 64 MiB in all.
type Writer struct {
	w      io.Writer
	o      Options
	chunks []*chunk
	flags  []martsync.Vector // Tombstone and Deleted as columns

	optional  int // the column that the footer leaves out unless it is needed; -1: none
	tombstone bool

	offset int64 // bytes written
	rows   int64 // rows of the file
	group  int64 // rows of the row group
	size   int   // bytes of records in the row group
	groups []format.RowGroup
	err    error
}

// NewWriter begins a file. The writer does not close w.
func NewWriter(w io.Writer, o Options) (*Writer, error) {
	if o.RowGroup == 0 {
		o.RowGroup = 32 << 20
	}
	p := &Writer{w: w, o: o, optional: -1}
	if o.Tombstone != "" && o.OmitTombstone {
		p.optional = len(o.Columns)
	}
	columns := append([]martsync.Column{}, o.Columns...)
	for _, name := range []string{o.Tombstone, o.Deleted} {
		if name != "" {
			columns = append(columns, martsync.Column{Name: name, Type: martsync.Bool})
			p.flags = append(p.flags, martsync.Vector{Type: martsync.Bool})
		}
	}
	if len(columns) == 0 {
		return nil, errors.New("write parquet: there are no columns")
	}
	limit := pageLimit(len(columns))
	for _, c := range columns {
		if c.Type < martsync.Bool || c.Type > martsync.JSON {
			return nil, fmt.Errorf("write parquet: column %s has no type", c.Name)
		}
		p.chunks = append(p.chunks, newChunk(c, limit, o.Compression))
	}
	return p, p.write([]byte(magic))
}

// magic begins and ends a Parquet file.
const magic = "PAR1"

// pageLimit is how many bytes of a column make a page. Large pages compress better, but one
// of every column is in memory.
func pageLimit(columns int) int { return min(max((16<<20)/columns, 16<<10), 128<<10) }

// Write adds the records to the file. It keeps nothing of r. After an error the file is of
// no use.
func (p *Writer) Write(r *martsync.Records) error {
	if p.err != nil {
		return p.err
	}
	if len(r.Columns) != len(p.o.Columns) {
		p.err = fmt.Errorf("write parquet: %d columns in the records, %d in the file", len(r.Columns), len(p.o.Columns))
		return p.err
	}
	flags := p.flags
	for _, f := range []struct {
		name string
		set  []bool
	}{{p.o.Tombstone, r.Tombstone}, {p.o.Deleted, r.Deleted}} {
		if f.name == "" {
			continue
		}
		if f.set == nil {
			f.set = make([]bool, r.Len)
		}
		if f.name == p.o.Tombstone && slices.Contains(f.set, true) {
			p.tombstone = true
		}
		flags[0].Bools = f.set
		flags = flags[1:]
	}
	p.each(func(c *chunk, i int, press *press) {
		if i < len(r.Columns) {
			c.append(&r.Columns[i], r.Len, press)
		} else {
			c.append(&p.flags[i-len(r.Columns)], r.Len, press)
		}
	})
	p.group += int64(r.Len)
	if p.size += r.Size(); p.size >= p.o.RowGroup {
		return p.flush()
	}
	return p.err
}

// each calls f for every column, from as many goroutines as there are workers. They share
// nothing but their next column, and what they do to one does not depend on who does it.
func (p *Writer) each(f func(c *chunk, i int, press *press)) {
	var next atomic.Int32
	work := func() {
		press := presses.Get().(*press)
		defer press.release()
		for i := int(next.Add(1)) - 1; i < len(p.chunks); i = int(next.Add(1)) - 1 {
			f(p.chunks[i], i, press)
		}
	}
	var others sync.WaitGroup
	for range min(p.o.Workers, len(p.chunks)) - 1 {
		others.Go(work)
	}
	work()
	others.Wait()
	for _, c := range p.chunks {
		if c.err != nil && p.err == nil {
			p.err = fmt.Errorf("write parquet: column %s: %w", c.column.Name, c.err)
		}
	}
}

// flush ends the row group.
func (p *Writer) flush() error {
	if p.group == 0 || p.err != nil {
		return p.err
	}
	p.each(func(c *chunk, _ int, press *press) { c.finish(press) })
	group := format.RowGroup{NumRows: p.group, Ordinal: int16(len(p.groups)), FileOffset: p.offset}
	for _, c := range p.chunks {
		meta := c.metadata(p.offset)
		group.Columns = append(group.Columns, format.ColumnChunk{MetaData: meta})
		group.TotalByteSize += meta.TotalUncompressedSize
		group.TotalCompressedSize += meta.TotalCompressedSize
		for _, pages := range []*pieces{&c.dictPage, &c.pages} {
			for _, b := range pages.list {
				if err := p.write(b); err != nil {
					return err
				}
			}
		}
		c.reset()
	}
	p.groups = append(p.groups, group)
	p.rows += p.group
	p.group, p.size = 0, 0
	return p.err
}

// Size estimates how large the file will be if it is closed now, in bytes.
func (p *Writer) Size() int64 {
	n := p.offset
	for _, c := range p.chunks {
		n += int64(c.pages.size) + int64(len(c.plain)+len(c.indices))/4
	}
	return n
}

// Rows is how many rows were written.
func (p *Writer) Rows() int64 { return p.rows + p.group }

// Close writes what is left and the footer.
func (p *Writer) Close() error {
	if err := p.flush(); err != nil {
		return err
	}
	footer, err := p.footer()
	if err != nil {
		p.err = err
		return err
	}
	if err := p.write(footer); err != nil {
		return err
	}
	p.err = errors.New("write parquet: the file is closed")
	return nil
}

func (p *Writer) write(b []byte) error {
	n, err := p.w.Write(b)
	p.offset += int64(n)
	if err != nil {
		p.err = fmt.Errorf("write parquet: %w", err)
	}
	return p.err
}
