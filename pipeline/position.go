package pipeline

import (
	"github.com/martsync/martsync"
	text "github.com/martsync/martsync/internal/position"
)

// A position is where reading stands: the stream's cursor, and what the engine has counted
// that no window and no commit has closed yet. Windows can span commits, stages and
// processes, so the counts travel with the cursor, in the transaction that stores it;
// otherwise a window whose first half another process read could not be checked (I4).
type position struct {
	cursor      martsync.Cursor
	rows        int64 // staged since the last commit
	bad         int64 // put into quarantine by what was staged since then
	written     int64 // handed to the writer since the last window
	quarantined int64 // put into quarantine since the last window

	// digest is that of the snapshot that was committed last. It lies with the snapshot for
	// the same reason: whoever commits another one, even under an equal cursor, replaces it.
	digest string

	// mark tells this commit from all others that led to the same position, so that progress which was saved before it
	// no longer counts, and so that the raw zone, which is written before the table, knows which of them came about.
	// "": there is no zone, and the commit before led elsewhere.
	mark string

	// account is the one that was read. A cursor is of no other one: there it would pass over records, or find none (I12).
	// "": an older version wrote the position, or it is the beginning.
	account string
}

// encode returns the position as the text that destinations and the state store keep.
func (p position) encode() martsync.Cursor {
	return text.Encode(p.cursor, text.Told{
		Rows: p.rows, Bad: p.bad, Written: p.written, Quarantined: p.quarantined, Digest: p.digest, Mark: p.mark, Account: p.account,
	})
}

// decodePosition is the inverse of encode.
func decodePosition(encoded martsync.Cursor) position {
	cursor, t := text.Decode(encoded)
	return position{cursor, t.Rows, t.Bad, t.Written, t.Quarantined, t.Digest, t.Mark, t.Account}
}
