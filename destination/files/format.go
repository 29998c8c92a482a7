package files

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"

	"github.com/martsync/martsync"
)

// A formatKind says how the rows of a data file are written.
type formatKind string

// The kinds of files.
const (
	parquetFormat formatKind = "parquet"
	csvFormat     formatKind = "csv"
	ndjsonFormat  formatKind = "ndjson"
)

// A compression says how a data file is made smaller: CSV and NDJSON as a whole, Parquet
// page by page.
type compression string

// The compressions.
const (
	noCompression   compression = "none"
	gzipCompression compression = "gzip"
	zstdCompression compression = "zstd"
)

// A fileFormat is all that decode must know of a file beside its schema. A manifest keeps one
// for each file, the one that the encoder returns at its end.
type fileFormat struct {
	Kind        formatKind  `json:"kind"`
	Compression compression `json:"compression"`

	// Bare files have the columns of the schema and none of ours. Only CSV can be bare.
	Bare bool `json:"bare,omitempty"`

	// Deleted names the rows of a bare file that carry the flag Records.Deleted, as ranges of
	// positions from 0: "0,7-9". The encoder fills it in.
	Deleted string `json:"deleted,omitempty"`
}

// parseFormat makes a format of what a configuration says. Without a kind it is Parquet;
// without a compression it is zstd for Parquet and none for text.
func parseFormat(kind, method string) (fileFormat, error) {
	f := fileFormat{Kind: formatKind(kind), Compression: compression(method)}
	fail := func(what, got string, known ...string) (fileFormat, error) {
		return fileFormat{}, &martsync.Error{
			Kind: martsync.Config, Op: "files: read the configuration",
			Err: fmt.Errorf("no %s is named %q", what, got), Hint: suggest(got, known),
		}
	}
	switch f.Kind {
	case "":
		f.Kind = parquetFormat
	case parquetFormat, csvFormat, ndjsonFormat:
	default:
		return fail("format", kind, string(parquetFormat), string(csvFormat), string(ndjsonFormat))
	}
	switch f.Compression {
	case "":
		f.Compression = noCompression
		if f.Kind == parquetFormat {
			f.Compression = zstdCompression
		}
	case noCompression, gzipCompression, zstdCompression:
	default:
		return fail("compression", method, string(noCompression), string(gzipCompression), string(zstdCompression))
	}
	return f, nil
}

// extension is how names of such files end, without the first dot: "parquet", "csv.gz".
func (f fileFormat) extension() string {
	name := string(f.Kind)
	if f.Kind == parquetFormat {
		return name // its compression is inside
	}
	switch f.Compression {
	case gzipCompression:
		return name + ".gz"
	case zstdCompression:
		return name + ".zst"
	case noCompression:
	}
	return name
}

// contentType is the media type of such files. A compressed one is of the type of its
// compression: with Content-Encoding, clients would unpack it behind the reader's back, and
// its name would lie.
func (f fileFormat) contentType() string {
	if f.Kind != parquetFormat {
		switch f.Compression {
		case gzipCompression:
			return "application/gzip"
		case zstdCompression:
			return "application/zstd"
		case noCompression:
		}
	}
	switch f.Kind {
	case csvFormat:
		return "text/csv; charset=utf-8"
	case ndjsonFormat:
		return "application/x-ndjson"
	case parquetFormat:
	}
	return "application/vnd.apache.parquet"
}

// tombstoneColumn marks rows that only say that a record is gone. It is in no table: whoever
// resolves the files into a table applies it.
const tombstoneColumn = "_tombstone"

// tombstoneName is that column's name beside the columns of the schema, one of which may have
// taken it: then it has one more underscore.
func tombstoneName(s *martsync.Schema) string {
	name := tombstoneColumn
	for s.Index(name) >= 0 {
		name = "_" + name
	}
	return name
}

// An encoder writes one data file. It is for one goroutine. After an error the file is of no
// use.
type encoder interface {
	// Write adds the rows, which become the version of their records that was synced at that
	// time. Rows that bring along when they were synced, in one column more than the schema has, keep that; only
	// Parquet takes them. It keeps nothing of r. Columns of a tombstone other than key and version become null.
	Write(r *martsync.Records, at time.Time) error

	// Close writes what is left. It does not close the writer below.
	Close() error

	// Size is about how large the file would be if it were closed now, in bytes.
	Size() int64

	// Rows is how many rows were written.
	Rows() int64

	// Format says how to decode the file. It is final after Close.
	Format() fileFormat
}

// newEncoder begins a file of rows of the schema. Beside the columns of the schema it has
// _synced_at; _deleted where the schema Deletes; and _tombstone where there is a tombstone in
// it (CSV: where there could be one, because the header comes first). A bare file has none
// of the three. The same rows give the same bytes.
//
// meta are pairs of a key and a value for the file's own metadata, which only Parquet has.
func newEncoder(w io.Writer, f fileFormat, schema martsync.Schema, meta [][2]string) (encoder, error) {
	if f.Bare && f.Kind != csvFormat {
		return nil, internalError("encode "+schema.Stream, errors.New("only CSV files can do without system columns"))
	}
	f.Deleted = ""
	switch f.Kind {
	case parquetFormat:
		return newParquetEncoder(w, f, schema, meta)
	case csvFormat:
		return newCSVEncoder(w, f, schema)
	case ndjsonFormat:
		return newNDJSONEncoder(w, f, schema)
	}
	return nil, internalError("encode "+schema.Stream, fmt.Errorf("format %q", f.Kind))
}

// decode yields the rows of a file as they were written, in their order: the columns of the
// schema, exact, and the flags Deleted and Tombstone. _synced_at is left out.
//
// The schema is the one that the file was written with. Columns that the file does not have
// are null in every row, and what it has beyond the schema is passed over, so a later schema
// will do as long as no column has changed its type.
//
// Each batch is borrowed: valid until the next one is asked for. An error ends the sequence;
// of kind Data it says that the file is damaged.
func decode(ctx context.Context, src io.ReaderAt, size int64, f fileFormat, schema martsync.Schema) iter.Seq2[*martsync.Records, error] {
	switch f.Kind {
	case parquetFormat:
		return decodeParquet(ctx, src, size, schema)
	case csvFormat:
		return decodeCSV(ctx, src, size, f, schema)
	case ndjsonFormat:
		return decodeNDJSON(ctx, src, size, f, schema)
	}
	return func(yield func(*martsync.Records, error) bool) {
		yield(nil, damaged(schema.Stream, fmt.Errorf("no format is named %q", f.Kind)))
	}
}

func internalError(op string, err error) error {
	return &martsync.Error{Kind: martsync.Internal, Op: "files: " + op, Err: err}
}

// damaged says that a file is not what was written.
func damaged(stream string, err error) error {
	return &martsync.Error{
		Kind: martsync.Data, Op: "files: read a file of " + stream, Err: err,
		Hint: "Restore the file from a version or a copy: nothing but this program may write below the prefix.",
	}
}
