// Package position writes and reads the texts that destinations keep as positions of tables: a stream's cursor, and
// before it, in a line of its own, what the engine has to remember with it.
//
// It leaves to package pipeline when a position is written and what its counts mean. Others need to know of positions
// only whose records a table holds, and whether two of them are one.
package position

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/martsync/martsync"
)

// A Told is what stands in a position beside the cursor.
type Told struct {
	Rows        int64  `json:"rows,omitzero"`
	Bad         int64  `json:"bad,omitzero"`
	Written     int64  `json:"written,omitzero"`
	Quarantined int64  `json:"quarantined,omitzero"`
	Digest      string `json:"digest,omitzero"`
	Mark        string `json:"raw,omitzero"` // only raw zones needed it at first
	Account     string `json:"account,omitzero"`
}

// header begins the line, a JSON object and a line feed, unless there is nothing but a cursor.
const header = "martsync:"

// Encode returns the position as text. Where nothing has been read there is nothing of an account: the beginning is "".
func Encode(cursor martsync.Cursor, t Told) martsync.Cursor {
	if cursor == "" && t == (Told{Account: t.Account}) || t == (Told{}) && !strings.HasPrefix(string(cursor), header) {
		return cursor
	}
	line, err := json.Marshal(t)
	if err != nil {
		panic(err) // integers and strings
	}
	return header + martsync.Cursor(line) + "\n" + cursor
}

// Decode is the inverse of Encode. Text without a readable header is all cursor.
func Decode(text martsync.Cursor) (martsync.Cursor, Told) {
	rest, ok := strings.CutPrefix(string(text), header)
	line, cursor, found := strings.Cut(rest, "\n")
	var t Told
	if !ok || !found || json.Unmarshal([]byte(line), &t) != nil {
		return text, Told{}
	}
	return martsync.Cursor(cursor), t
}

// Bare is the position without its account. Positions that were written down before they had one compare with it.
func Bare(text martsync.Cursor) martsync.Cursor {
	cursor, t := Decode(text)
	if t.Account == "" {
		return text
	}
	t.Account = ""
	return Encode(cursor, t)
}

// Check refuses to go on with the table of a stream whose position is one in another account than ours: what its cursor
// says of that one would pass over records of this one. A position that tells no account is an older one, or the beginning.
func Check(text martsync.Cursor, stream, ours string) error {
	_, t := Decode(text)
	if t.Account == "" || t.Account == ours {
		return nil
	}
	return Refuse([]string{stream}, t.Account, ours)
}

// Refuse is the error for tables that hold records of another account.
func Refuse(streams []string, theirs, ours string) error {
	const named = 3
	tables := "table " + streams[0] + " holds"
	switch n := len(streams); {
	case n > named:
		tables = fmt.Sprintf("tables %s and %d more hold", strings.Join(streams[:named], ", "), n-named)
	case n > 1:
		tables = fmt.Sprintf("tables %s and %s hold", strings.Join(streams[:n-1], ", "), streams[n-1])
	}
	return &martsync.Error{
		Kind: martsync.Config, Op: "compare accounts",
		Err: fmt.Errorf("%s records of account %s, and the source reads account %s", tables, theirs, ours),
		Hint: "Give each account a schema of its own (schema: of the sync), or correct the source. If it is one account under a new name or address, " +
			"say so once with martsync sync NAME --same-account.",
	}
}
