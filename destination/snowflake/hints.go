package snowflake

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/sqlgen"
)

// Beside the truth, a row of _MARTSYNC_CURSORS, each stream has documents on the stage that say the same,
// because they can be read without a warehouse. Files are in folders named for the number of commits
// that they build on:
//
//	leads/000000000012/settled-<id>.json       the position after commit 12
//	leads/000000000012/pending-<id>.json       somebody is about to make commit 13
//	leads/000000000012/stage-000001-<id>.json  rows put by with Stage (stage.go)
//	leads/000000000012/<id>/000001.parquet     rows on their way
//
// The id is a writer's. A pending document is there before COMMIT is sent, and a settled one of the next number after
// it was answered. So if the highest folder with a settled document has no pending one, nobody has
// committed since; else the truth is asked for. A document that is wrong nevertheless (somebody restored the
// table of cursors) costs a Conflict at the next commit and is removed then, and with it what builds on
// commits that are no more. Nothing is lost by it.
//
// Whatever is in a lower folder than the highest settled document is of no use to anybody.

// A hint is the contents of a settled document. The others are empty.
type hint struct {
	Stream  string          `json:"stream"`
	Commits int64           `json:"commits"`
	Cursor  martsync.Cursor `json:"cursor"`
	Sync    string          `json:"sync,omitempty"`
}

// A readHint is a settled document that was fetched. It stays as it is: its name has its writer's id, and a writer
// settles each number of commits once at most. So whoever still finds it on the stage need not fetch it again.
type readHint struct {
	key string
	hint
}

const (
	settledPrefix = "settled-"
	pendingPrefix = "pending-"
	stagePrefix   = "stage-"
)

// A shelf is what the stage holds of a stream.
type shelf struct {
	d      *destination
	stream string
	keys   []string // all, in order
}

// folder is that of a stream on the stage; it ends with a slash.
func streamFolder(stream string) string {
	var b strings.Builder
	for i := range len(stream) {
		c := stream[i]
		if c == '_' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "-%02x", c)
		}
	}
	return b.String() + "/"
}

// commitFolder is that of what builds on a commit.
func commitFolder(stream string, commits int64) string {
	return fmt.Sprintf("%s%012d/", streamFolder(stream), commits)
}

// readShelf lists what the stage holds of a stream.
func (s *session) readShelf(ctx context.Context, stream string) (*shelf, error) {
	keys, err := s.d.depot.list(ctx, s, streamFolder(stream))
	if err != nil {
		return nil, err
	}
	slices.Sort(keys)
	return &shelf{d: s.d, stream: stream, keys: keys}, nil
}

// split takes the number of commits and the rest from a key; ok is false for keys that are not ours.
func (h *shelf) split(key string) (commits int64, rest string, ok bool) {
	key, ok = strings.CutPrefix(key, streamFolder(h.stream))
	if !ok {
		return 0, "", false
	}
	number, rest, ok := strings.Cut(key, "/")
	if !ok {
		return 0, "", false
	}
	n, err := strconv.ParseInt(number, 10, 64)
	return n, rest, err == nil
}

// files returns the keys of one kind that build on a commit.
func (h *shelf) files(commits int64, prefix string) []string {
	var out []string
	for _, key := range h.keys {
		if n, rest, ok := h.split(key); ok && n == commits && strings.HasPrefix(rest, prefix) {
			out = append(out, key)
		}
	}
	return out
}

// folders returns the numbers of commits that there are folders of.
func (h *shelf) folders() []int64 {
	var out []int64
	for _, key := range h.keys {
		if n, _, ok := h.split(key); ok && !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	return out
}

// position is what the documents say; ok is false if they leave a doubt.
func (h *shelf) position(ctx context.Context, s *session) (cursor martsync.Cursor, commits int64, ok bool, err error) {
	settled, doubt := int64(-1), int64(-1)
	var key string
	for _, k := range h.keys {
		n, rest, ok := h.split(k)
		switch {
		case !ok:
		case strings.HasPrefix(rest, settledPrefix) && n >= settled:
			settled, key = n, k
		case strings.HasPrefix(rest, pendingPrefix):
			doubt = max(doubt, n)
		}
	}
	if settled < 0 || doubt >= settled {
		return "", 0, false, nil
	}
	if last := h.d.hints[h.stream]; last.key == key {
		return last.Cursor, settled, true, nil
	}
	data, found, err := h.d.depot.get(ctx, s, key)
	if err != nil || !found {
		return "", 0, false, err
	}
	var doc hint
	broken := json.Unmarshal(data, &doc) != nil || doc.Stream != h.stream || doc.Commits != settled
	if broken { // then the truth is asked for
		return "", 0, false, nil
	}
	if h.d.hints == nil {
		h.d.hints = map[string]readHint{}
	}
	h.d.hints[h.stream] = readHint{key, doc}
	return doc.Cursor, settled, true, nil
}

// truth reads the committed cursor and the number of commits, which fences writers: it moves also with a
// commit that leaves the cursor as it is. It needs a warehouse.
func (s *session) truth(ctx context.Context, stream string) (cursor martsync.Cursor, commits int64, known bool, err error) {
	d := s.d
	r, err := s.query(ctx, "SELECT "+d.name("cursor")+", "+d.name("commits")+" FROM "+d.table(sqlgen.Cursors)+" WHERE "+d.name("stream")+" = ?", stream)
	if err != nil || len(r.rows) == 0 {
		return "", 0, false, err
	}
	commits, err = strconv.ParseInt(r.rows[0][1], 10, 64)
	return martsync.Cursor(r.rows[0][0]), commits, true, err
}

// settle writes down what has been committed.
func (s *session) settle(ctx context.Context, h hint, id string) error {
	data, err := json.Marshal(h)
	if err != nil {
		return err
	}
	return s.d.putText(ctx, s, commitFolder(h.Stream, h.Commits), settledPrefix+id+".json", data)
}

// announce writes down that a commit is about to be made.
func (s *session) announce(ctx context.Context, stream string, commits int64, id string) error {
	return s.d.putText(ctx, s, commitFolder(stream, commits), pendingPrefix+id+".json", []byte("{}"))
}

// sweep removes what builds on earlier commits.
func (h *shelf) sweep(ctx context.Context, s *session, commits int64) error {
	for _, n := range h.folders() {
		if n >= commits {
			continue
		}
		if err := h.d.depot.remove(ctx, s, commitFolder(h.stream, n)); err != nil {
			return err
		}
	}
	return nil
}

// unwind removes what builds on later commits than there are. Somebody has set the stream back, and once it has as many commits again,
// staged rows from before would seem to build on one of them. The truth, commits, was asked for after the shelf was
// read, so nothing of a writer that has committed meanwhile is among it.
func (h *shelf) unwind(ctx context.Context, s *session, commits int64) error {
	for _, n := range h.folders() {
		if n <= commits {
			continue
		}
		if err := h.d.depot.remove(ctx, s, commitFolder(h.stream, n)); err != nil {
			return err
		}
	}
	return nil
}

// forget removes the documents that say which position is the last, so that the truth is asked for.
func (h *shelf) forget(ctx context.Context, s *session) error {
	for _, key := range h.keys {
		if _, rest, ok := h.split(key); ok && strings.HasPrefix(rest, settledPrefix) {
			if err := h.d.depot.remove(ctx, s, key); err != nil {
				return err
			}
		}
	}
	return nil
}
