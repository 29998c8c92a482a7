package martsync

import "context"

// A Matcher is a Destination that can compare two of its tables itself, so that nobody has to read them.
type Matcher interface {
	// Missing returns the first values, ascending and at most this many (0: any number), that the match lacks, and
	// how many there are. A table or column that does not exist, or holds no whole numbers, is an *Error of kind Config.
	Missing(ctx context.Context, m Match, most int) (values []int64, all int64, err error)
}

// A Match lacks the whole numbers above zero that are in a column of one table and in no row of another one, the rows that
// are marked deleted included.
type Match struct {
	Stream, Column string // what names them
	In, Key        string // the table that should have them, and its column
}
