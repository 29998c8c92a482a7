package sqlgen

import "github.com/martsync/martsync"

// Names of the system tables that lie beside the tables of streams.
const (
	Cursors    = "_martsync_cursors"    // one row a stream: the committed position, and how many commits there were
	Ledger     = "_martsync_ledger"     // one row a window: what was promised and what arrived
	Log        = "_martsync_log"        // one row an operation
	Quarantine = "_martsync_quarantine" // rows that could not become records
)

// Prefix is that of every name that destinations keep for themselves.
const Prefix = "_martsync_"

// A Table is the shape of a system table.
type Table struct {
	Name    string
	Columns []martsync.Column
}

// SystemTables are the tables that every SQL destination keeps. Their columns are the fields of
// martsync.Window, martsync.LogEntry and martsync.Quarantined, after the stream, the sync and
// the time of the commit. A number or a time that nobody told is NULL.
func SystemTables() []Table {
	text := func(name string) martsync.Column { return martsync.Column{Name: name, Type: martsync.String} }
	integer := func(name string) martsync.Column { return martsync.Column{Name: name, Type: martsync.Int64} }
	moment := func(name string) martsync.Column { return martsync.Column{Name: name, Type: martsync.Timestamp} }
	head := func(more ...martsync.Column) []martsync.Column {
		return append([]martsync.Column{text("stream"), text("sync"), moment("committed_at")}, more...)
	}
	return []Table{
		{Cursors, head(text("cursor"), integer("commits"))},
		{Ledger, head(
			moment("from"), moment("to"), text("job"), text("filter"), integer("records"), integer("bytes"), text("sha256"),
			integer("parsed"), integer("quarantined"), integer("written"), integer("calls"),
		)},
		{Log, head(
			moment("time"), text("operation"), martsync.Column{Name: "success", Type: martsync.Bool}, text("message"),
			integer("rows"), integer("bytes"),
		)},
		{Quarantine, head(text("job"), integer("line"), text("column"), text("reason"), text("raw"))},
	}
}

// RegisterStream is the statement that notes, unless it is noted already, that the table of a
// stream is ours and still empty. cursors is the quoted name of the table of cursors.
func RegisterStream(cursors, stream string) string {
	return "INSERT INTO " + cursors + " (" + Idents("", []string{"stream", "cursor", "commits"}) + ") SELECT " + Text(stream) + ", '', 0" +
		" WHERE NOT EXISTS (SELECT 1 FROM " + cursors + " WHERE " + Ident("stream") + " = " + Text(stream) + ")"
}
