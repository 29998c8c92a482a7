//go:build cgo && !lite

package duckdb

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/martsync/martsync"
)

// dbError is an error as DuckDB put it: "IO Error: Could not set lock on file …".
type dbError struct{ msg string }

func (e *dbError) Error() string { return e.msg }

// fatal reports whether DuckDB refuses to do anything more with the open database.
func (e *dbError) fatal() bool {
	return strings.HasPrefix(e.msg, "FATAL Error") || strings.Contains(e.msg, "database has been invalidated")
}

var lockHolder = regexp.MustCompile(`Conflicting lock is held in (.+?) \(PID (\d+)\)`)

// kinds says who must act on what DuckDB says. The first row whose text occurs counts. DuckDB has
// no codes that tell a full disk from a bad file: both are "IO Error".
var kinds = []struct {
	text string
	kind martsync.Kind
	hint string
}{
	{"Could not set lock on file", martsync.Busy, "another process has the file open; close it, or wait until it is done"},
	{"No space left on device", martsync.Transient, "free some space on the disk of the database and run it again; nothing that was committed is lost"},
	{"File too large", martsync.Transient, "the operating system limits the size of files (ulimit -f) or the disk; raise the limit and run it again"},
	{"Disk quota exceeded", martsync.Transient, "free some space or raise the disk quota, then run it again"},
	{"max_temp_directory_size", martsync.Transient, "free some space for the temporary folder, or set temp_directory to another disk"},
	{"not a valid DuckDB database file", martsync.Config, "path names a file that is not a DuckDB database; choose another path or move that file away"},
	{"Trying to read a database file with version", martsync.Config, "the file was written by a newer DuckDB; use a newer martsync, or export it with the DuckDB that wrote it"},
	{"Corrupt database file", martsync.Config, "the file is damaged; restore it from a backup, or move it away to start over"},
	{"Is a directory", martsync.Config, "path names a folder; it must name a file"},
	{"Not a directory", martsync.Config, "a part of path that should be a folder is a file"},
	{"Permission denied", martsync.Config, "let this user read and write the file and its folder, or choose another path"},
	{"Read-only file system", martsync.Config, "the file lies on a read-only file system; choose another path"},
	{"read-only mode", martsync.Config, "the file can only be read; let this user write it, or choose another path"},
	{"Out of Memory Error", martsync.Config, "raise memory_limit of the destination, or lower threads; a table takes about 0.6 MB a column while it is loaded"},
	{"TransactionContext Error", martsync.Transient, ""},
	{"write-write conflict", martsync.Transient, ""},
	{"Conversion Error", martsync.Data, "a value does not fit its column; the text above names it"},
	{"Constraint Error", martsync.Data, "the table has a constraint that the rows violate; drop the constraint or change the rows"},
	{"Dependency Error", martsync.Config, "drop the index or view that depends on the column, then run it again"},
	{"IO Error", martsync.Transient, ""},
}

// wrap makes an *Error of what DuckDB said. Errors that are not DuckDB's stay as they are,
// with what was attempted in front.
func wrap(op string, err error) error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*martsync.Error](err); ok {
		if e.Op == "" {
			e.Op = op
		}
		return err
	}
	e, ok := errors.AsType[*dbError](err)
	if !ok {
		return fmt.Errorf("duckdb: %s: %w", op, err)
	}
	out := &martsync.Error{Kind: martsync.Internal, Op: "duckdb: " + op, Err: err}
	for _, k := range kinds {
		if strings.Contains(e.msg, k.text) {
			out.Kind, out.Hint = k.kind, k.hint
			break
		}
	}
	if m := lockHolder.FindStringSubmatch(e.msg); m != nil {
		out.Hint = fmt.Sprintf("%s (process %s) has the file open; close it, or wait until it is done", m[1], m[2])
	}
	if out.Kind == martsync.Internal && e.fatal() {
		out.Kind = martsync.Transient
	}
	return out
}

// configError is an error that the operator must act on.
func configError(op, hint, format string, args ...any) error {
	return &martsync.Error{Kind: martsync.Config, Op: "duckdb: " + op, Hint: hint, Err: fmt.Errorf(format, args...)}
}

// bug is an error of ours or of the source's.
func bug(op, format string, args ...any) error {
	return &martsync.Error{Kind: martsync.Internal, Op: "duckdb: " + op, Err: fmt.Errorf(format, args...)}
}
