package pardot

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"iter"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/cached"
)

// A stream reads an object of the catalog: what changed in a range of time, or everything where
// the vendor cannot tell what changed.
type stream struct {
	src    *source
	obj    *object
	layout *layout
	plan   reading

	// join completes the rows of a page of version 5; nil: nothing is missing.
	join func(ctx context.Context, r *run, rows []json.RawMessage) ([]json.RawMessage, error)

	// described is a moment at which the account's fields were those of the layout, or will have
	// been asked for soon.
	described second
}

func newStream(s *source, o *object, l *layout) *stream {
	return &stream{
		src: s, obj: o, layout: l, plan: s.plan(o), join: joinFor(s, o, l),
		described: max(secondOf(s.now().Add(-cached.Keep)), 1), // descriptions may be that old
	}
}

// Schema describes the records.
func (s *stream) Schema() martsync.Schema { return s.layout.schema }

// Read reads what has changed since from, and looks for what is gone if that is due.
func (s *stream) Read(ctx context.Context, from martsync.Cursor, span martsync.Span) iter.Seq2[martsync.Batch, error] {
	return func(yield func(martsync.Batch, error) bool) {
		pos, err := parsePosition(s.obj.stream, from)
		if err == nil {
			r := &run{stream: s, ctx: ctx, span: span, pos: pos, yield: yield, lost: map[string]bool{}}
			err = r.read()
		}
		if err != nil && !errors.Is(err, errStop) {
			yield(martsync.Batch{}, err)
		}
	}
}

// settled is how far a window stays behind the present: the vendor may answer from what it
// knew a minute ago. Account Engagement API, Version 5 Overview: "cached for up to 60 seconds".
const settled = 2 * time.Minute

// founding is before the oldest record: the product began in 2007.
const founding second = 1167609600

// columnsHash stands for the columns of the layout in a cursor.
func (s *stream) columnsHash() string {
	h := sha256.New()
	for _, c := range s.layout.schema.Columns {
		h.Write([]byte(c.Name + "\n"))
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// since is the time that ranges of the version are over; "": there is no such filter.
func (s *stream) since(v version) string {
	switch {
	case v == v4 && s.obj.v4 != nil:
		return s.obj.v4.since
	case v == v5 && s.obj.v5 != nil:
		return s.obj.v5.since
	default:
		return ""
	}
}

// countable reports whether the table can be told which records exist.
func (s *stream) countable() bool {
	schema := &s.layout.schema
	if !schema.Deletes || s.obj.fact || len(schema.Key) != 1 {
		return false
	}
	i := schema.Index(schema.Key[0])
	return i >= 0 && schema.Columns[i].Type == martsync.Int64
}

// bin reports whether the version shows the recycle bin in a pass of its own.
func (s *stream) binPass(v version) bool { return v == v4 && s.obj.v4 != nil && s.obj.v4.bin }
