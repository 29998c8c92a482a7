// Package martsync is the vocabulary that sources, destinations and the engine share.
//
// Records flow one way, source → batches → destination, and imports flow the other way,
// towards this package, which imports nothing of ours. It leaves to others: when to read,
// commit, wait and stop (package pipeline), where progress is kept (package state), and
// everything that one vendor or one warehouse does differently (source/…, destination/…).
//
// The commit protocol, its five rules and the invariants they keep are argued in
// docs/design.md. Numbers such as (I3) in comments refer to the invariants there.
package martsync

import (
	"context"
	"iter"
	"time"
)

// A Cursor is a position in a stream: text (in practice JSON) that only the stream that
// wrote it may interpret. Everyone else stores it and compares it for equality.
// The empty cursor is the beginning.
type Cursor string

// A Source reads one account at one vendor. Its methods may be called from several
// goroutines; each Stream it hands out is read by one goroutine at a time.
type Source interface {
	// Account names the vendor account, for example "marketo:123-ABC-456". Accounts with
	// equal names share the vendor's limits, so only one sync at a time may use them.
	// It needs no I/O.
	Account() string

	// Streams lists what this account can read today, in a fixed order. It may call the
	// vendor, for example to learn which fields a record has.
	Streams(ctx context.Context) ([]Stream, error)
}

// A Stream reads one kind of record into one table.
//
// Stopping, failing and crashing are alike to a stream: reading again from a cursor that it
// yielded continues after that cursor, in this process or in another, and yields the same
// records up to changes at the vendor.
//
// A stream never sleeps. When it must wait for longer than the pacing of single calls, for
// example for an export job, it yields an *Error of kind Pending or Quota whose After says
// for how long, and returns.
type Stream interface {
	// Schema describes the records. It does not change during the life of the stream.
	Schema() Schema

	// Read yields batches after from. A non-nil error ends the sequence; the batch beside
	// it is empty. Each batch is borrowed: it is valid until the next one is asked for.
	//
	// Between two steps of the iteration the engine has stored the cursor of the batch, so
	// a stream that must not do something twice yields its intention first and acts when
	// it is called again.
	Read(ctx context.Context, from Cursor, span Span) iter.Seq2[Batch, error]
}

// A Span bounds what a read covers. The zero Span has no bounds.
type Span struct {
	Start time.Time // earliest record wanted; counts only when reading from the empty cursor
	End   time.Time // exclusive end; zero: everything there is by now
}

// A Batch is a run of records and the position after them.
type Batch struct {
	// Records are the rows. Nil: none; then a batch with a cursor asks the engine to
	// remember the cursor before it goes on.
	Records *Records

	// Quarantined are rows that could not become records. They are committed in the same
	// transaction as Records.
	Quarantined []Quarantined

	// Window is set on the batch that completes a window. It becomes a row of the ledger
	// in the commit that covers this batch.
	Window *Window

	// Complete, if set, says that the records yielded for this scope since the last
	// cursor are all there are: rows of the table in that scope that were not among them
	// no longer exist at the source. Only a batch with a cursor may carry it.
	Complete *Scope

	// Census, if set, says which records of a range of keys exist. Only a batch with a
	// verified cursor may carry it, and of a schema with deletes whose key is one Int64 column.
	Census *Census

	// Notes are worth a row in the log table, such as a column that disappeared.
	Notes []Note

	// Cursor is the position after this batch. Empty: reading cannot resume here.
	Cursor Cursor

	// Unverified says that Cursor may be resumed from but not committed: the source has
	// yet to check the bytes that these rows came from. Rows up to here may be staged
	// (Writer.Stage); they become visible with the next cursor that is not unverified.
	Unverified bool

	// Discard says that all rows since the last verified cursor turned out wrong, for
	// example because a file failed its checksum: the engine drops them, the staged ones
	// too (Writer.Discard), forgets their windows and notes, and remembers Cursor, from
	// where the stream will yield them anew. Such a batch has no records.
	Discard bool

	// Bytes is how many bytes of the vendor's payload this batch came from.
	Bytes int64

	// Raw is that payload. It is nil unless somebody keeps it: see Replayer.
	Raw []Raw
}

// A Scope is a part of a table: the rows whose Column equals Value or, if To is set, whose version
// is from From up to, but not including, To. The zero Scope is the whole table.
//
// Of a range of versions what counts is the version that a row has in the table. So a source that says
// that a range is complete has yielded every later version that its records had by then.
type Scope struct {
	Column string // a key column of type Int64 or String; of a range, the version, a Timestamp
	Value  string // its value in decimal or as it is; "" of a range

	From time.Time `json:",omitzero"`
	To   time.Time `json:",omitzero"`
}

// IsRange reports whether the scope is a range of versions.
func (s Scope) IsRange() bool { return !s.To.IsZero() }

// A Census tells which records exist at the source among those whose key is greater than After
// and at most UpTo: these and no others. Rows of the table in that range that are not among
// them are marked deleted; those that are among them no longer are. Rows that come before it
// count with it. It changes nothing else and adds no row: that a table lacks one of them is
// for an audit to find.
//
// Unlike a Scope it needs no records, so that deletions can be looked for page by page.
type Census struct {
	After, UpTo int64
	Keys        []int64 // ascending, each within the range
}

// A Window is one unit of completeness: a time range, an export job, a listing. Its row in
// the ledger says what the vendor promised and what arrived.
type Window struct {
	From, To    time.Time // half-open range [From, To); zero for a listing that has none
	Job         string    // the vendor's export job; "" for paged reads
	Filter      string    // what was asked for, in the vendor's terms, as JSON
	Records     int64     // the vendor's record count; -1: not told
	Bytes       int64     // the vendor's size in bytes; -1: not told
	SHA256      string    // of the raw bytes as delivered, hex; "" if the vendor gives no checksum
	Parsed      int64     // rows seen in the payload, good or bad
	Quarantined int64     // of these, rows that were put into quarantine
	Written     int64     // rows handed to the destination; counted by the engine
	Calls       int64     // API calls spent on this window, as far as the source can tell them apart
}

// A Quarantined row could not become a record. Nothing of it is lost: Raw holds it.
type Quarantined struct {
	Job    string // where it came from: export job or request
	Line   int64  // 1-based position of the record in the payload; the header is not counted
	Column string // the offending column, if one can be named
	Reason string // for the operator: what is wrong with it
	Raw    string // the row as it arrived, made valid UTF-8, at most MaxQuarantineRaw bytes
}

// MaxQuarantineRaw bounds the raw text kept of one quarantined row, in bytes.
const MaxQuarantineRaw = 64 << 10

// A Note is an event worth keeping next to the data.
type Note struct {
	Operation string // one word or two: "schema", "window", "skip"
	Message   string
}

// A Destination keeps one table for each stream, in one namespace (a database schema, a key
// prefix). Its methods may be called from several goroutines.
type Destination interface {
	// Open makes the table fit the schema (creates it, adds columns, widens types; never
	// drops anything) and returns the writer that loads it. It drops rows staged by an
	// earlier writer unless they still build on the last commit.
	Open(ctx context.Context, s Schema) (Writer, error)

	// Close releases the destination. Writers must be closed before.
	Close() error
}

// A Writer loads one table from one goroutine. No row is visible before the commit that
// covers it, and Commit fails with an *Error of kind Conflict if another writer of the same
// stream has committed since Open.
type Writer interface {
	// Cursor is that of the last commit: where reading starts.
	Cursor() Cursor

	// Staged is the position after rows that an earlier writer put by with Stage and that
	// still build on Cursor. Empty: there are none. Reading resumes here rather than at Cursor.
	Staged() Cursor

	// Changes tells what Open had to change to make the table fit.
	Changes() []Change

	// Write takes the rows. It does not keep the slices of r.
	Write(ctx context.Context, r *Records) error

	// Stage makes everything since Open or the last Stage survive this writer without
	// making it visible. c.Next is where reading resumes. After it has returned, c's
	// windows, notes and quarantined rows belong to the destination, which adds them to the
	// next Commit. A destination that cannot stage returns ErrUnsupported and changes nothing.
	Stage(ctx context.Context, c Commit) error

	// Discard drops every row since the last commit, the staged ones included, together
	// with what came with them. The writer can be written to again.
	Discard(ctx context.Context) error

	// Commit makes the rows since the last commit, the staged ones included, and
	// everything in c visible in one transaction, or nothing. After an error nothing may be
	// assumed: close, open again, and Cursor says which way it went.
	Commit(ctx context.Context, c Commit) error

	// Close drops what is neither staged nor committed.
	Close() error
}

// A Commit is everything that one transaction makes durable beside the rows.
type Commit struct {
	Sync        string        // the run, for the ledger and the log
	At          time.Time     // becomes _synced_at of the rows
	Next        Cursor        // the new position
	Windows     []Window      // ledger rows of the windows this commit completes
	Complete    []Scope       // see Batch.Complete
	Censuses    []Census      // see Batch.Census; their ranges do not overlap
	Quarantined []Quarantined // rows that could not become records
	Log         []LogEntry    // what happened since the last commit
}

// A LogEntry is one row of the log table: one operation of one sync.
type LogEntry struct {
	Time      time.Time `json:"time"`
	Sync      string    `json:"sync"`
	Stream    string    `json:"stream"`
	Operation string    `json:"operation"`
	Success   bool      `json:"success"`
	Message   string    `json:"message"`
	Rows      int64     `json:"rows"`
	Bytes     int64     `json:"bytes"`
}

// A Change is something that Destination.Open did, or noticed, to make a table fit a schema.
type Change struct {
	Column string
	Action ChangeAction
	From   string // former type, in the destination's words; "" if there was none
	To     string // type now
}

// ChangeAction tells what happened to a column.
type ChangeAction string

// The actions of a Change.
const (
	ColumnAdded   ChangeAction = "added"   // the table has a new column
	ColumnWidened ChangeAction = "widened" // the column's type now holds more values
	ColumnMissing ChangeAction = "missing" // the schema lost the column; the table keeps it
)
