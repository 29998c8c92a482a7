// Package duckdb is the destination that keeps its tables in one DuckDB file.
//
// Rows are staged in a table of the same file and become visible in one transaction with
// the cursor, the ledger, the log and the quarantine. A table that has nothing yet is not
// copied to: the staging table takes its name. How it is done, and what was measured, is in
// the README beside this file.
//
// The package needs cgo. Without it, or with the build tag lite, Connector is still there,
// and its Open says how to get the full build.
//
// It leaves to others: when to commit (package pipeline), what a record is (the source), and
// the text of SQL statements (internal/sqlgen).
package duckdb

import (
	"context"

	"github.com/martsync/martsync"
)

// Connector opens DuckDB files.
var Connector = martsync.NewDestination("duckdb", "DuckDB file", Open)

// Config is the configuration of a DuckDB destination.
type Config struct {
	Path          string `yaml:"path" json:"path" martsync:"path" jsonschema:"required,title=Path,description=The database file. It and its folders are created if they do not exist.,example=mart.duckdb"`
	MemoryLimit   string `yaml:"memory_limit,omitempty" json:"memory_limit,omitempty" jsonschema:"title=Memory limit,description=How much memory DuckDB may use; the process needs about 150 MB more. Empty means 192MB\\, and 0.6 MB for each column of the tables being loaded if that is more.,example=1GB"`
	Threads       int    `yaml:"threads,omitempty" json:"threads,omitempty" jsonschema:"title=Threads,description=How many threads DuckDB may use. Each needs memory of its own while it loads. 0 means two or one as the machine has.,minimum=0,maximum=256"`
	TempDirectory string `yaml:"temp_directory,omitempty" json:"temp_directory,omitempty" martsync:"path" jsonschema:"title=Temporary folder,description=Where DuckDB puts what does not fit into memory. Empty means beside the database file."`
}

// Open opens the file, or creates it, for the tables of one schema ("" means "main").
//
// One process at a time can have a file open. Within a process a file may be opened several
// times, for several schemas, as long as the settings are equal.
func Open(ctx context.Context, c Config, namespace string, env martsync.Env) (martsync.Destination, error) {
	return open(ctx, c, namespace, env)
}
