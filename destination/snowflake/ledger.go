package snowflake

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/sqlgen"
)

// The ledger, the log and the quarantine of a commit are written by one INSERT ALL, which takes its rows from a bound
// JSON document: an array of objects that name their table.

// recordBytes bounds one document, in bytes: Snowflake parses no larger one than 16 MB.
// https://docs.snowflake.com/en/sql-reference/functions/parse_json
const recordBytes = 8 << 20

// tableMember names the table of a row.
const tableMember = "_table"

// recordSQL is the statement that takes the document.
func (d *destination) recordSQL() string {
	var b strings.Builder
	b.WriteString("INSERT ALL")
	var members []string
	seen := map[string]bool{} // columns of one name have one type in all tables
	for _, t := range systemTables() {
		if t.Name == sqlgen.Cursors {
			continue
		}
		var names, values []string
		for _, c := range t.Columns {
			alias := ident("C_" + upper(c.Name))
			if !seen[c.Name] {
				seen[c.Name] = true
				members = append(members, "value:"+ident(c.Name)+"::"+sqlType(c)+" AS "+alias)
			}
			names, values = append(names, d.name(c.Name)), append(values, alias)
		}
		b.WriteString("\nWHEN C_TABLE = " + text(t.Name) + " THEN INTO " + d.table(t.Name) + " (" + strings.Join(names, ", ") + ") VALUES (" + strings.Join(values, ", ") + ")")
	}
	b.WriteString("\nSELECT value:" + ident(tableMember) + "::VARCHAR AS C_TABLE, " + strings.Join(members, ", ") +
		"\nFROM TABLE(FLATTEN(INPUT => PARSE_JSON(?)))")
	return b.String()
}

// records are the documents of a commit, each of a bounded size. commits is the number that the commit gets.
func records(stream string, commits int64, c martsync.Commit) ([]string, error) {
	var docs []string
	var b strings.Builder
	add := func(place int, row map[string]any) error {
		row[ledgerCommit], row[ledgerPlace] = commits, place
		for name, v := range row {
			if v == nil {
				delete(row, name)
			}
		}
		data, err := json.Marshal(row)
		if err != nil {
			return err
		}
		if b.Len() > 0 && b.Len()+len(data) > recordBytes {
			docs = append(docs, b.String()+"]")
			b.Reset()
		}
		if b.Len() == 0 {
			b.WriteByte('[')
		} else {
			b.WriteByte(',')
		}
		b.Write(data)
		return nil
	}
	at := timeText(c.At)
	for i, w := range c.Windows {
		if err := add(i, map[string]any{
			tableMember: sqlgen.Ledger, "stream": stream, "sync": c.Sync, "committed_at": at, "from": timeText(w.From), "to": timeText(w.To),
			"job": w.Job, "filter": w.Filter, "records": told(w.Records), "bytes": told(w.Bytes), "sha256": w.SHA256,
			"parsed": w.Parsed, "quarantined": w.Quarantined, "written": w.Written, "calls": w.Calls,
		}); err != nil {
			return nil, err
		}
	}
	for i, q := range c.Quarantined {
		if err := add(i, map[string]any{
			tableMember: sqlgen.Quarantine, "stream": stream, "sync": c.Sync, "committed_at": at,
			"job": q.Job, "line": q.Line, "column": q.Column, "reason": q.Reason, "raw": q.Raw,
		}); err != nil {
			return nil, err
		}
	}
	for i, l := range c.Log {
		if err := add(i, map[string]any{
			tableMember: sqlgen.Log, "stream": l.Stream, "sync": l.Sync, "committed_at": at, "time": timeText(l.Time),
			"operation": l.Operation, "success": l.Success, "message": l.Message, "rows": l.Rows, "bytes": l.Bytes,
		}); err != nil {
			return nil, err
		}
	}
	if b.Len() > 0 {
		docs = append(docs, b.String()+"]")
	}
	return docs, nil
}

// told is nil for the -1 of numbers that the vendor does not tell.
func told(n int64) any {
	if n < 0 {
		return nil
	}
	return n
}

// timeText is a time as TIMESTAMP_NTZ reads it; nil for none.
func timeText(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC().Format("2006-01-02 15:04:05.000000")
}
