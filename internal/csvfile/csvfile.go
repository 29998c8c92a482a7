// Package csvfile reads the CSV files of bulk exports into typed records, in parallel and
// with nothing lost: a row becomes a record exactly as it stands, or it goes to the quarantine
// with its line, the reason and its text. Where the bytes come from, their checksum and
// what becomes of records and quarantined rows is left to the callers.
//
// # What a file may look like
//
// Fields are separated by commas and records end with LF or CRLF; the last end may be
// missing. Fields may be quoted as RFC 4180 says, and then hold commas, quotes and any line
// end. Beyond that the reader takes what exports are known to contain (Marketo REST API,
// Bulk Extract):
//
//   - NUL bytes are dropped before anything else looks.
//   - A carriage return in an unquoted field is dropped; it never ends a record.
//   - A quote inside a quoted field that is not followed by a comma, LF, CRLF or the end of
//     the file is text. So is every quote in a field that does not begin with one.
//   - U+2028, U+2029 and U+0085 are text.
//   - A cell equal to Options.Null is null, and so is an empty one. Exports do not quote
//     their null, but they do not quote the word in a text field either, so the two cannot
//     be told apart.
//   - A byte order mark before the header, and empty lines where there is more than one
//     column, are passed over.
//   - Invalid UTF-8 is replaced by U+FFFD and counted.
//
// A record of the wrong width, or with a cell that does not fit its column, is quarantined.
// A quote that is never closed must not take other records with it: if what it swallows
// contains a complete record, or nothing closes it within 16 MiB or before the end of the
// file, then the record ends at the first line end after that quote, is quarantined, and
// reading resumes on the next line. All of this depends on the bytes from the start of
// the record on and on nothing else, so reading may stop after any record and resume there.
package csvfile

import (
	"context"
	"io"
	"iter"

	"github.com/martsync/martsync"
)

// Options say how to read a file.
type Options struct {
	// Columns of the records. Each is found in the header by its Origin, or by its Name
	// where that is empty; if no field is spelled so, without regard to case. A column that the
	// file does not have is null in every record.
	Columns []martsync.Column

	// Header is the fields of the file if the reader starts after its header, for example
	// because reading resumes. Nil: the first record is the header.
	Header []string

	// AllowExtra passes over fields that no column asks for. Without it they are an error.
	AllowExtra bool

	// Null is the text of a cell that is null: "null". Empty cells are always null.
	Null string

	// Workers is how many goroutines parse. With 0 or 1 the caller's own does. The result is
	// the same for any number; memory is about 16 MB a worker.
	Workers int

	// StartLine is how many records come before the first one of the reader.
	StartLine int64

	// Raw asks for the bytes of each chunk. Then there are also chunks without records, for what lies
	// outside of them, and a file without a header yields its bytes. Nothing is copied for it but that.
	Raw bool
}

// A Chunk is a run of records, good and bad, in the order of the file.
type Chunk struct {
	Records     *martsync.Records      // the good ones; never nil, but Len may be 0
	Quarantined []martsync.Quarantined // the bad ones; Job is left to the caller
	Rows        int64                  // how many there are of both kinds
	Offset      int64                  // bytes of the reader up to the end of the last one
	Header      []string               // fields of the file
	Replaced    int64                  // invalid pieces of UTF-8 replaced in this chunk

	// Raw, if it was asked for, is the bytes of the reader after those of the chunk before. If the
	// chunk has rows it ends at Offset. All of them together are what the reader gave, unless
	// that ended with an error. They may be overwritten.
	Raw []byte
}

// Read yields the records of r in chunks of at most a batch. Each chunk is borrowed: it is
// valid until the next one is asked for. An error ends the sequence: one of r itself after
// the records that are complete before it, an *Error of kind Data if the header is not what
// was asked for, or the one of ctx. A file without a header yields nothing.
//
// Bytes of r are consumed in order, from the goroutine that iterates and ahead of the chunks
// yielded. No goroutine of Read outlives the iteration.
func Read(ctx context.Context, r io.Reader, o Options) iter.Seq2[Chunk, error] {
	return read(ctx, r, o, limits{block: 1 << 20, record: 16 << 20})
}

// limits are constants to everyone but tests.
type limits struct {
	block  int // bytes that are parsed at a time
	record int // longest record, in bytes
}
