package files

import (
	"errors"
	"io"
	"runtime"
	"slices"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/pqfile"
)

// A parquetEncoder writes a Parquet file by way of internal/pqfile. It holds a row group,
// compressed, and for each column a page that is not full yet.
type parquetEncoder struct {
	file   *pqfile.Writer
	out    *counter
	format fileFormat
	mask   mask
	synced martsync.Vector
	done   bool
}

func newParquetEncoder(w io.Writer, f fileFormat, schema martsync.Schema, meta [][2]string) (encoder, error) {
	m, err := newMask(schema)
	if err != nil {
		return nil, err
	}
	o := pqfile.Options{
		Columns:  append(slices.Clip(schema.Columns), martsync.Column{Name: martsync.SyncedAt, Type: martsync.Timestamp}),
		Workers:  min(runtime.GOMAXPROCS(0), 4),
		Metadata: meta,
	}
	switch f.Compression {
	case gzipCompression:
		o.Compression = pqfile.Gzip
	case noCompression:
		o.Compression = pqfile.Uncompressed
	case zstdCompression:
	}
	if schema.Deletes {
		o.Deleted, o.Tombstone, o.OmitTombstone = martsync.Deleted, tombstoneName(&schema), true
	}
	out := &counter{w: w}
	file, err := pqfile.NewWriter(out, o)
	if err != nil {
		return nil, encodeError(schema.Stream, out, err)
	}
	return &parquetEncoder{file: file, out: out, format: f, mask: m, synced: martsync.Vector{Type: martsync.Timestamp}}, nil
}

func (e *parquetEncoder) Write(r *martsync.Records, at time.Time) error {
	masked := e.mask.apply(r)
	if len(r.Columns) > len(e.mask.schema.Columns) {
		return encodeError(e.mask.schema.Stream, e.out, e.file.Write(masked))
	}
	micros := at.UnixMicro()
	e.synced.Ints = e.synced.Ints[:0]
	for range r.Len {
		e.synced.Ints = append(e.synced.Ints, micros)
	}
	masked.Columns = append(masked.Columns, e.synced)
	err := e.file.Write(masked)
	e.mask.columns = masked.Columns
	return encodeError(e.mask.schema.Stream, e.out, err)
}

func (e *parquetEncoder) Close() error {
	if e.done {
		return errClosed
	}
	e.done = true
	return encodeError(e.mask.schema.Stream, e.out, e.file.Close())
}

func (e *parquetEncoder) Size() int64        { return e.file.Size() }
func (e *parquetEncoder) Rows() int64        { return e.file.Rows() }
func (e *parquetEncoder) Format() fileFormat { return e.format }

// encodeError passes on what the writer below says. Everything else is a bug.
func encodeError(stream string, out *counter, err error) error {
	if err == nil {
		return nil
	}
	if out.err != nil {
		return out.err
	}
	if _, ok := errors.AsType[*martsync.Error](err); ok {
		return err
	}
	return internalError("encode "+stream, err)
}

// A mask prepares records for a file: tombstones lose what is not stored of them, and are
// flagged as deleted too, so that whoever reads the file without knowing of tombstones takes
// them for deletions.
type mask struct {
	schema  martsync.Schema
	kept    []bool // by column: whether tombstones have it
	columns []martsync.Vector
	nulls   [][]bool
	deleted []bool
	r       martsync.Records
}

func newMask(schema martsync.Schema) (mask, error) {
	m := mask{schema: schema, kept: make([]bool, len(schema.Columns)), nulls: make([][]bool, len(schema.Columns))}
	for i, c := range schema.Columns {
		if c.Name == martsync.SyncedAt || c.Name == martsync.Deleted {
			return m, &martsync.Error{
				Kind: martsync.Data, Op: "files: encode " + schema.Stream,
				Err:  errors.New("a column is named " + c.Name + ", as one of ours"),
				Hint: "Rename the field at the source.",
			}
		}
		m.kept[i] = schema.IsKey(c.Name) || c.Name == schema.Version
	}
	return m, nil
}

// apply returns the records to be written. They are borrowed until the next call and share
// memory with r.
func (m *mask) apply(r *martsync.Records) *martsync.Records {
	m.r = *r
	m.columns = append(m.columns[:0], r.Columns...)
	m.r.Columns = m.columns
	if !slices.Contains(r.Tombstone, true) {
		m.r.Tombstone = nil
		return &m.r
	}
	m.deleted = append(m.deleted[:0], r.Tombstone...)
	for i, d := range r.Deleted {
		m.deleted[i] = m.deleted[i] || d
	}
	m.r.Deleted = m.deleted
	for i := range m.columns {
		if m.kept[i] {
			continue
		}
		m.nulls[i] = append(m.nulls[i][:0], r.Tombstone...)
		for k, null := range m.columns[i].Nulls {
			m.nulls[i][k] = m.nulls[i][k] || null
		}
		m.columns[i].Nulls = m.nulls[i]
	}
	return &m.r
}
