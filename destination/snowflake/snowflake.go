// Package snowflake is the destination that keeps its tables in a Snowflake account.
//
// # How rows get in
//
// Rows become Parquet files in the temporary folder, which PUT copies to a stage under names made
// from the stream, the sync and a sequence number. A commit copies them into a staging table
// and merges that into the table, in one transaction with the cursor, the ledger, the log and the
// quarantine: four statements. DDL commits what is open, so all of it comes before.
//
// # What costs money
//
// A warehouse runs for COPY, MERGE, INSERT, UPDATE and SELECT; PUT, GET, LIST, REMOVE, SHOW, DESCRIBE and
// DDL need none. So that a sync that finds nothing new needs none either, the position of each
// stream is written beside the files on the stage (hints.go): Open and Position read it there. The truth stays
// in the table _MARTSYNC_CURSORS, which the commit compares with what the writer believes (I2).
//
// The package leaves to others: when to commit (package pipeline), what a record is (the source),
// and the encoding of Parquet (internal/pqfile). It is pure Go: the lite build has it too.
package snowflake

import (
	"context"

	"github.com/martsync/martsync"
)

// Connector opens Snowflake accounts.
var Connector = martsync.NewDestination("snowflake", "Snowflake", Open)

// Open opens the destination for the tables of one schema ("" means the configured one, or PUBLIC).
// It connects only when something is asked for.
func Open(ctx context.Context, c Config, namespace string, env martsync.Env) (martsync.Destination, error) {
	d, err := open(ctx, c, namespace, env)
	if err != nil {
		return nil, err
	}
	return d, nil
}
