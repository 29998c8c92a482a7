package pardot

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	"github.com/martsync/martsync"
)

// joinFor returns what completes the pages of an object with what no query of version 5 tells, or
// nil if nothing does.
func joinFor(s *source, o *object, l *layout) func(ctx context.Context, r *run, rows []json.RawMessage) ([]json.RawMessage, error) {
	if l == nil || s.plan(o).api != v5 {
		return nil
	}
	var missing []field
	for _, f := range l.fields {
		if f.joined && f.v5 != "" {
			missing = append(missing, f)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	switch o.stream {
	case prospectStream:
		j := &valueJoin{src: s, obj: o, fields: missing}
		return j.join
	case listEmailStream, emailStream:
		j := newDetailJoin(s, o, missing)
		return j.join
	default:
		return nil
	}
}

// Streams that have a join beside the prospects.
const (
	listEmailStream = "list_emails"
	emailStream     = "emails"
)

// A complement is what a join adds to one row: members of its JSON object.
type complement struct {
	key   string
	value json.RawMessage
}

// withMembers returns a copy of a JSON object with further members. They come last, so that they win over
// members of the same name.
func withMembers(object json.RawMessage, members []complement) json.RawMessage {
	body := bytes.TrimSpace(object)
	if len(members) == 0 || len(body) < 2 || body[0] != '{' || body[len(body)-1] != '}' {
		return object // not an object: the builder puts it into quarantine
	}
	body = bytes.TrimRight(body[:len(body)-1], " \t\r\n")
	size := len(body) + 1
	for _, m := range members {
		size += len(m.key) + len(m.value) + 8
	}
	out := append(make(json.RawMessage, 0, size), body...)
	for _, m := range members {
		if out[len(out)-1] != '{' {
			out = append(out, ',')
		}
		name, _ := json.Marshal(m.key) // text can be written
		out = append(out, name...)
		out = append(append(out, ':'), m.value...)
	}
	return append(out, '}')
}

// isRefused reports whether an error says that this user or this account does not have what was asked
// for, whichever record it is about. Account Engagement API, Error Codes.
func isRefused(err error) bool {
	switch codeOf(err) {
	case 2, 46, 192, 198: // unknown action, no permission, no such object, no such endpoint
		return true
	}
	return err != nil && martsync.KindOf(err) == martsync.Unavailable
}

// badReply is the error for a record that is not an object.
func badReply(op string, err error) error {
	return &martsync.Error{Kind: martsync.Data, Op: "pardot: " + op, Err: err}
}

// unreadableCursor is the error for a cursor that is not one of the stream's.
func unreadableCursor(stream string, err error) error {
	return &martsync.Error{
		Kind: martsync.Internal, Op: "pardot: read " + stream, Err: fmt.Errorf("the position is not one of this stream: %w", err),
		Hint: "Read the stream again from the beginning with --backfill.",
	}
}
