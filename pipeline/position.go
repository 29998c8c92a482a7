package pipeline

import (
	"encoding/json"
	"strings"

	"github.com/martsync/martsync"
)

// A position is where reading stands: the stream's cursor, and what the engine has counted
// that no window and no commit has closed yet. Windows can span commits, stages and
// processes, so the counts travel with the cursor, in the transaction that stores it;
// otherwise a window whose first half another process read could not be checked (I4).
type position struct {
	cursor      martsync.Cursor
	rows        int64 // staged since the last commit
	written     int64 // handed to the writer since the last window
	quarantined int64 // put into quarantine since the last window

	// digest is that of the snapshot that was committed last. It lies with the snapshot for
	// the same reason: whoever commits another one, even under an equal cursor, replaces it.
	digest string

	// mark tells this commit from all others that led to the same position, so that progress which was saved before it
	// no longer counts, and so that the raw zone, which is written before the table, knows which of them came about.
	// "": there is no zone, and the commit before led elsewhere.
	mark string
}

// A position with nothing but a cursor is the cursor as the stream wrote it. The rest goes
// before it as header, a JSON object and a line feed.
const header = "martsync:"

type counts struct {
	Rows        int64  `json:"rows,omitzero"`
	Written     int64  `json:"written,omitzero"`
	Quarantined int64  `json:"quarantined,omitzero"`
	Digest      string `json:"digest,omitzero"`
	Mark        string `json:"raw,omitzero"` // only zones needed it at first
}

// encode returns the position as the text that destinations and the state store keep.
func (p position) encode() martsync.Cursor {
	rest := counts{p.rows, p.written, p.quarantined, p.digest, p.mark}
	if rest == (counts{}) && !strings.HasPrefix(string(p.cursor), header) {
		return p.cursor
	}
	c, err := json.Marshal(rest)
	if err != nil {
		panic(err) // integers and a string
	}
	return header + martsync.Cursor(c) + "\n" + p.cursor
}

// decodePosition is the inverse of encode. Text without a readable header is all cursor.
func decodePosition(text martsync.Cursor) position {
	rest, ok := strings.CutPrefix(string(text), header)
	line, cursor, found := strings.Cut(rest, "\n")
	var c counts
	if !ok || !found || json.Unmarshal([]byte(line), &c) != nil {
		return position{cursor: text}
	}
	return position{martsync.Cursor(cursor), c.Rows, c.Written, c.Quarantined, c.Digest, c.Mark}
}
