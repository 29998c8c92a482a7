package martsync

import (
	"context"
	"io"
	"iter"
	"net/http"
	"time"
)

// The interfaces in this file are optional abilities of sources and destinations, found by
// type assertion as io.WriterTo is.

// A Checker is a Source or Destination that can test its configuration, credentials and
// permissions without changing anything.
type Checker interface {
	Check(ctx context.Context) []Finding
}

// A Finding is one line of `martsync check`.
type Finding struct {
	Subject string `json:"subject"` // what was tested: "credentials", "stream leads"
	OK      bool   `json:"ok"`
	Detail  string `json:"detail"`         // what was found
	Hint    string `json:"hint,omitempty"` // what to do if it is not OK
	Err     error  `json:"-"`              // the error behind it, whose Kind decides the exit code; may be nil
}

// A Lookuper is a Source that can read single records by id.
type Lookuper interface {
	// Lookup reads the records with these ids. Fields are column or vendor names; none
	// means all. Ids that do not exist are left out of the result. A stream that cannot
	// be looked up is ErrUnsupported.
	Lookup(ctx context.Context, stream string, ids, fields []string) (Schema, iter.Seq2[*Records, error], error)
}

// A TimeTeller is a Source some of whose ways of reading tell less of a time than others, as those do that write
// local times: in the hour that clocks show twice nobody can tell which of two is meant.
type TimeTeller interface {
	// SameTime reports whether two times of records of a stream, read in different ways, may be one time.
	SameTime(ctx context.Context, stream string, a, b time.Time) (bool, error)
}

// A Caller is a Source that can make an authenticated call under its limits.
type Caller interface {
	// Call sends a request to a path of the vendor's API. The caller closes the body.
	Call(ctx context.Context, method, path string, body io.Reader) (*http.Response, error)
}

// A Meter is a Source or a Destination that counts what it spends.
type Meter interface {
	Usage() []Usage
}

// A Measurer is a Meter that must ask somebody what it has spent. Usage tells what it found the last time.
type Measurer interface {
	Meter
	Measure(ctx context.Context) error
}

// Usage is the state of one limit, or of one thing that costs money, as far as this process knows.
type Usage struct {
	Name  string `json:"name"`           // "API calls", "export bytes", "export jobs", "data statements"
	Unit  string `json:"unit"`           // "calls", "bytes", "jobs", "statements", "seconds", "microcredits"
	Spent int64  `json:"spent"`          // since it was opened
	Today int64  `json:"today"`          // by everyone in the vendor's quota day, if the vendor told; else -1
	Limit int64  `json:"limit,omitzero"` // a day, of the whole account; 0: none known
}

// A Viewer is a Source that suggests views over its streams.
type Viewer interface {
	Views(ctx context.Context) ([]View, error)
}

// A View is a derived table that a source suggests in neutral terms and SQL destinations
// write in their own.
type View struct {
	Name        string
	Description string
	From        string       // a stream; its alias is "a"
	Join        *Join        // a second stream; its alias is "b"
	Where       []Condition  // all must hold
	Columns     []ViewColumn // what the view shows
	Distinct    bool
	Follow      *Follow // shows each record under its former ids, too; excludes Join, Where and Distinct
}

// A Follow makes a view of records that are merged into each other: it has a row for each id that there ever was, with
// what is known of the record that it has become in the end. It adds two columns at the beginning: the id, by the name
// that Key has, and canonical_id, that of the record.
type Follow struct {
	Key    string // column of From: its one key
	Stream string // that tells which record became which
	Old    string // its column with the id that is no more; its one key
	New    string // its column with the id of the record that took it in, and may itself have been merged since
}

// A Join adds a second stream to a view.
type Join struct {
	Stream string
	Anti   bool        // keep rows of From that have no partner; else keep all of them (a left join)
	On     [][2]string // pairs of columns: of From, of Stream
}

// A Condition compares a column of From with a value.
type Condition struct {
	Column string
	Op     string // "=", "is not null"
	Value  int64
}

// A ViewColumn is one column of a view.
type ViewColumn struct {
	Name   string
	Joined bool   // from Join.Stream rather than From
	Column string // the column of that stream
	Key    string // if set, Column holds a JSON object and this is the member wanted
	Type   Type   // of the member; String if zero
}

// A TableReader is a Destination whose tables can be read back.
type TableReader interface {
	// ReadTable yields the rows of a stream's table, in no particular order, with the
	// columns of the stored table; Records.Deleted is set where the table has _deleted.
	ReadTable(ctx context.Context, stream string) (Schema, iter.Seq2[*Records, error], error)
}

// A Definer is a Destination whose tables and views are made by SQL.
type Definer interface {
	// TableStatements returns the SQL that would create the table of s and the system tables.
	TableStatements(s Schema) []string
	// ViewStatements returns the SQL that creates the views, those that make sense for the
	// tables that exist, and the generic view "metadata".
	ViewStatements(ctx context.Context, views []View) ([]string, error)
	// Exec runs the statements in one transaction.
	Exec(ctx context.Context, statements []string) error
}

// A HistoryReader is a Destination that keeps the ledger and the log where they can be read.
type HistoryReader interface {
	// Ledger yields the ledger rows of a stream ("" for all), oldest first.
	Ledger(ctx context.Context, stream string) iter.Seq2[LedgerEntry, error]
}

// A LedgerEntry is a row of the ledger: a window of a stream, committed by a sync.
type LedgerEntry struct {
	Stream string
	Sync   string
	Window Window
}

// A TimeReader is a Destination that can tell how new its tables are, whoever made them.
type TimeReader interface {
	// NewestTime returns the greatest value of a column of type timestamp or date, or of text
	// that reads as one, in UTC. The names are matched without regard to case. The zero time
	// means that the table does not exist or holds no such value; a table without the column
	// is an *Error of kind Config.
	NewestTime(ctx context.Context, table, column string) (time.Time, error)
}

// A TableLister is a Destination that can say which tables it has, whoever made them.
type TableLister interface {
	Tables(ctx context.Context) ([]Table, error)
}

// A Table is a table of a destination, in the destination's words.
type Table struct {
	Name    string        `json:"name"`
	Rows    int64         `json:"rows"` // -1: not known
	Columns []TableColumn `json:"columns"`
}

// A TableColumn is a column of a Table.
type TableColumn struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

// A Positioner is a Destination that can tell where a table stands without opening it, which may change it.
type Positioner interface {
	// Position is the cursor of a stream's last commit; "": there is none, or no table. It changes nothing.
	Position(ctx context.Context, stream string) (Cursor, error)
}

// A Backuper is a Destination that can keep a table as it is before it is read again from the beginning.
type Backuper interface {
	// Backup keeps a copy of a stream's table, once for each sync, and says where; "": nothing was
	// to be done, because backups are not configured or there is no table yet.
	Backup(ctx context.Context, stream, sync string) (string, error)
}

// An Adopter is a Destination that can take over tables that another program made. What to take is
// part of its configuration.
type Adopter interface {
	// Adopt tells how the tables of these streams would begin with the rows of those tables. It
	// changes nothing: Definer.Exec runs the statements of a plan that has no problems.
	Adopt(ctx context.Context, schemas []Schema) ([]Adoption, error)
}

// An Adoption is a plan for one table.
type Adoption struct {
	Stream     string          `json:"stream"`
	Table      string          `json:"table"`  // that is taken over; it is left as it is
	Rows       int64           `json:"rows"`   // in it
	Newest     time.Time       `json:"newest"` // where reading would begin; zero: at the beginning
	Columns    []AdoptedColumn `json:"columns"`
	Statements []string        `json:"statements"`
	Problems   []string        `json:"problems,omitempty"` // why it cannot be done as it is
}

// An AdoptedColumn says where the values of a column come from.
type AdoptedColumn struct {
	Name string `json:"name"`           // of the stream; "": From is left behind
	From string `json:"from,omitempty"` // of the table; "": there is none, the values are null
}

// A Verifier is a Destination that knows of each of its files what was written, and can compare: an
// integrity walk, which reads everything again.
type Verifier interface {
	// Verify reads the files of a stream's table ("" for all) and yields what it finds of each, also of those
	// that are as they should be. It changes nothing. An error ends the walk: it could not be done.
	Verify(ctx context.Context, stream string) iter.Seq2[Verified, error]
}

// A Verified is what an integrity walk found of one file, or of the records of a stream's commits.
type Verified struct {
	Stream string `json:"stream"`
	Name   string `json:"name"`             // of the file or object, below the place of the destination
	Rows   int64  `json:"rows"`             // that were written to it
	Bytes  int64  `json:"bytes"`            // that were written
	SHA256 string `json:"sha256,omitempty"` // of what was written, hexadecimal
	OK     bool   `json:"ok"`
	Detail string `json:"detail,omitempty"` // what is wrong with it
}

// A Compacter is a Destination that can write tables anew without the versions of rows that newer ones
// have replaced. What readers see of a table stays the same.
type Compacter interface {
	// Compact compacts a stream's table ("" for all) and yields what became of each, also of those that
	// were left as they are. An error ends it.
	Compact(ctx context.Context, stream string) iter.Seq2[Compaction, error]
}

// A Compaction is what became of one table.
type Compaction struct {
	Stream string `json:"stream"`
	Done   bool   `json:"done"`
	Before Extent `json:"before"`
	After  Extent `json:"after"`            // as Before if it was not done
	Detail string `json:"detail,omitempty"` // why it was not done
}

// An Extent is how much a table takes.
type Extent struct {
	Files int   `json:"files"`
	Rows  int64 `json:"rows"` // versions of rows
	Bytes int64 `json:"bytes"`
}

// A Sizer is a Destination that knows how much it stores of a table without reading it.
type Sizer interface {
	// TableSize tells what lies there of a stream's table, replaced versions included that stay. It changes nothing.
	// Of a table that does not exist it is zero.
	TableSize(ctx context.Context, stream string) (Extent, error)
}

// A Pruner is a Source that can leave columns out of what it asks the vendor for, so that they cost nothing.
type Pruner interface {
	// Prune is called before Streams. Columns for which unwanted reports true are not asked for where the vendor
	// lets one choose, and are not in the schemas then. Whoever calls drops the others.
	Prune(unwanted func(stream string, c Column) bool)
}

// An Echoer is a Source whose streams show values of each other's columns, as a log of changes does. Whoever hides a
// column must hide its echoes, too.
type Echoer interface {
	// Echoes lists where values of those columns of a stream for which wanted reports true show in other streams,
	// or in others of its columns. Columns that Prune has taken out of the schema count.
	Echoes(ctx context.Context, stream string, wanted func(Column) bool) ([]Echo, error)
}

// An Echo is a place where values of a column show: a text of another stream, or members of a JSON column, in those
// rows that one of Where matches.
type Echo struct {
	Of      Column      // whose values show
	Stream  string      // where
	Column  string      // of type JSON: an object; without Members of type String
	Members []string    // of the object; names are compared as they are. None: the whole text, which others may have a part in
	Where   []EchoMatch // any of them; none: all rows
}

// An EchoMatch compares a column with text, as a destination would show its value; case does not count.
type EchoMatch struct{ Column, Value string }

// As finds an ability of a source or destination, also behind what wraps a source. A wrapper that changes an ability
// has it itself; all others are those of the source that Unwrap returns for them.
func As[T any](v any) (T, bool) {
	for v != nil {
		if found, ok := v.(T); ok {
			return found, true
		}
		w, ok := v.(interface{ Unwrap(ability any) Source })
		if !ok {
			break
		}
		v = w.Unwrap((*T)(nil))
	}
	var none T
	return none, false
}
