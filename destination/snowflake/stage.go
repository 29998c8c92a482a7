package snowflake

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/martsync/martsync"
)

// A stageDoc is the contents of a document stage-<k>-<id>.json: everything that was put by since the last commit. It
// is complete, so whoever takes over needs the newest one alone. One that holds nothing is a discard.
//
// A stage has no conditional put. So a writer looks whether its own stage is still the newest, puts the next one, and
// looks again: of two that did so at once at most one finds itself alone, and the other one takes its
// document back. A document that its writer did not take back because it died is as good as the other: each holds
// all that its cursor says. What may become visible is decided by the commit (I2).
type stageDoc struct {
	Stream   string            `json:"stream"`
	Number   int               `json:"number"`
	Next     martsync.Cursor   `json:"next"`
	Sequence int64             `json:"sequence"` // of the next row
	Columns  []martsync.Column `json:"columns"`  // of the files
	Key      []string          `json:"key"`
	Version  string            `json:"version"`
	Files    []file            `json:"files"`
	Commit   martsync.Commit   `json:"commit"` // what comes along
}

// Stage puts the files under way on the stage and writes down that they are there.
func (w *writer) Stage(ctx context.Context, c martsync.Commit) error {
	op := "stage " + w.schema.Stream
	if err := w.usable(op); err != nil {
		return err
	}
	err := w.d.with(ctx, op, func(s *session) error {
		s.label(c.Sync, w.schema.Stream)
		if err := w.endPart(ctx, s); err != nil {
			return err
		}
		return w.putStage(ctx, s, w.document(c))
	})
	if err != nil {
		return w.fail(err)
	}
	return nil
}

// document is the next stage: what is held, and what came since.
func (w *writer) document(c martsync.Commit) *stageDoc {
	next := c.Next
	c.Next = ""
	doc := &stageDoc{
		Stream: w.schema.Stream, Next: next, Sequence: w.sequence, Columns: w.stagedColumns(), Key: w.schema.Key, Version: w.schema.Version,
		Files: slices.Clone(w.files), Commit: c,
	}
	if w.held != nil {
		doc.Files = slices.Concat(w.held.Files, w.files)
		doc.Commit = with(w.held.Commit, c)
	}
	return doc
}

// with adds what c brings to a commit that it continues.
func with(before, c martsync.Commit) martsync.Commit {
	c.Windows = slices.Concat(before.Windows, c.Windows)
	c.Complete = slices.Concat(before.Complete, c.Complete)
	c.Censuses = slices.Concat(before.Censuses, c.Censuses)
	c.Quarantined = slices.Concat(before.Quarantined, c.Quarantined)
	c.Log = slices.Concat(before.Log, c.Log)
	return c
}

// putStage puts the document if the stage that the writer knows is still the newest.
func (w *writer) putStage(ctx context.Context, s *session, doc *stageDoc) error {
	before, err := w.fence(ctx, s)
	if err != nil {
		return err
	}
	doc.Number = w.stage + 1
	data, err := json.Marshal(doc)
	if err != nil {
		return err
	}
	name := fmt.Sprintf("%s%06d-%s.json", stagePrefix, doc.Number, w.id)
	folder := commitFolder(w.schema.Stream, w.commits)
	if err := w.d.putText(ctx, s, folder, name, data); err != nil {
		return err
	}
	after, err := s.readShelf(ctx, w.schema.Stream)
	if err != nil {
		return err
	}
	for _, key := range after.files(w.commits, stagePrefix) {
		if key != folder+name && !slices.Contains(before, key) {
			if err := w.d.depot.remove(ctx, s, folder+name); err != nil {
				return err
			}
			return conflict(w.schema.Stream)
		}
	}
	for _, key := range before {
		if err := w.d.depot.remove(ctx, s, key); err != nil {
			return err
		}
	}
	w.stage, w.held, w.heldKey, w.files, w.staged = doc.Number, doc, folder+name, nil, doc.Next
	return nil
}

// fence makes sure that nobody has staged, discarded or settled since, and returns the keys of the stages there are.
func (w *writer) fence(ctx context.Context, s *session) ([]string, error) {
	h, err := s.readShelf(ctx, w.schema.Stream)
	if err != nil {
		return nil, err
	}
	for _, n := range h.folders() {
		if n > w.commits && len(h.files(n, settledPrefix)) > 0 {
			return nil, conflict(w.schema.Stream)
		}
	}
	keys := h.files(w.commits, stagePrefix)
	if newest(keys) != w.heldKey {
		return nil, conflict(w.schema.Stream)
	}
	return keys, nil
}

// newest is the stage that counts among several; "" if there is none. Their names are of equal length.
func newest(keys []string) string {
	if len(keys) == 0 {
		return ""
	}
	return slices.Max(keys)
}

// resume takes over what an earlier writer staged and still builds on the last commit. Rows whose columns have
// changed in type since are dropped, with their position: they are read again.
func (w *writer) resume(ctx context.Context, s *session, h *shelf) error {
	keys := h.files(w.commits, stagePrefix)
	key := newest(keys)
	if key == "" {
		return nil
	}
	data, found, err := w.d.depot.get(ctx, s, key)
	if err != nil {
		return err
	}
	doc := &stageDoc{}
	if !found || json.Unmarshal(data, doc) != nil || doc.Stream != w.schema.Stream {
		return &martsync.Error{Kind: martsync.Transient, Err: errorf("the staged rows of %s are being changed by another sync", key)}
	}
	_, name, _ := strings.Cut(key, stagePrefix)
	number, _, _ := strings.Cut(name, "-")
	if w.stage, err = strconv.Atoi(number); err != nil {
		return err
	}
	w.heldKey = key
	if len(doc.Files) > 0 && !w.takes(doc) || !w.complete(h, doc) {
		w.held = &stageDoc{Files: doc.Files}
		return w.putStage(ctx, s, w.nothing())
	}
	w.held, w.staged, w.sequence = doc, doc.Next, doc.Sequence
	return nil
}

// complete reports whether all files of a stage are there.
func (w *writer) complete(h *shelf, doc *stageDoc) bool {
	for _, f := range doc.Files {
		if !slices.Contains(h.keys, commitFolder(w.schema.Stream, w.commits)+f.Key) {
			return false
		}
	}
	return true
}

// takes reports whether staged files fit what the schema and the table are now.
func (w *writer) takes(doc *stageDoc) bool {
	if !slices.Equal(doc.Key, w.schema.Key) || doc.Version != w.schema.Version {
		return false
	}
	now := w.stagedColumns()
	for _, c := range doc.Columns {
		if !slices.Contains(now, c) {
			return false
		}
	}
	return true
}

// nothing is a stage that holds nothing.
func (w *writer) nothing() *stageDoc {
	return &stageDoc{Stream: w.schema.Stream, Key: w.schema.Key, Version: w.schema.Version}
}

// Discard drops every row since the last commit. Staged files stay until the next commit: a writer that has not
// noticed may be about to commit them, and may do so.
func (w *writer) Discard(ctx context.Context) error {
	op := "discard " + w.schema.Stream
	if w.closed {
		return bug(op, "the writer is closed")
	}
	w.dropPart()
	w.files = nil
	if w.stage > 0 && w.held != nil && !w.held.empty() {
		err := w.d.with(ctx, op, func(s *session) error {
			s.label("", w.schema.Stream)
			return w.putStage(ctx, s, w.nothing())
		})
		if err != nil {
			return w.fail(err)
		}
	}
	w.staged, w.failed = "", nil
	if w.held != nil {
		w.held = w.nothing()
	}
	w.sequence = 0
	return nil
}

// empty reports whether a stage holds nothing.
func (d *stageDoc) empty() bool {
	c := &d.Commit
	return d.Next == "" && len(d.Files)+len(c.Windows)+len(c.Complete)+len(c.Censuses)+len(c.Quarantined)+len(c.Log) == 0
}
