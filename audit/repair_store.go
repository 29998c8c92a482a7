package audit

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/rows"
)

// readAtOnce is how many ids are asked for in one call of Lookup, so that what was read so far is written between two of
// them, and a record that does not fit is soon found. It is no less than what any vendor answers at once.
var readAtOnce = 3000 // tests make it smaller

// A storing reads records by id and writes them to the table that lacks them.
type storing struct {
	*repairing
	w     martsync.Writer
	b     *rows.Builder
	found map[int64]bool
	bad   []martsync.Quarantined
	known map[int64]bool // ids of bad
}

func newStoring(r *repairing, w martsync.Writer) *storing {
	return &storing{repairing: r, w: w, b: rows.NewBuilder(r.schema.Columns), found: map[int64]bool{}, known: map[int64]bool{}}
}

// read reads the ids by and by and returns how many it came to.
func (s *storing) read(ctx context.Context, ids []int64) (n int, err error) {
	for n < len(ids) && !s.o.stopping() {
		next := min(len(ids), n+readAtOnce)
		if err := s.some(ctx, ids[n:next]); err != nil {
			return n, err
		}
		n = next
	}
	return n, s.flush(ctx)
}

// keep says again that the account is the caller's.
func (s *storing) keep(ctx context.Context) error {
	if s.o.Keep == nil {
		return nil
	}
	return s.o.Keep(ctx)
}

// some reads some ids. A record that does not fit its columns ends a lookup, so the ids are parted until it is alone; it is put
// into quarantine, and the others are stored.
func (s *storing) some(ctx context.Context, ids []int64) error {
	err := s.lookup(ctx, ids)
	switch {
	case err == nil, martsync.KindOf(err) != martsync.Data:
		return err
	case len(ids) == 1:
		s.bad = append(s.bad, martsync.Quarantined{
			Job: "repair", Line: int64(len(s.bad)) + 1, Column: s.schema.Key[0], Reason: err.Error(), Raw: strconv.FormatInt(ids[0], 10),
		})
		s.known[ids[0]] = true
		return nil
	}
	if err := s.some(ctx, ids[:len(ids)/2]); err != nil {
		return err
	}
	return s.some(ctx, ids[len(ids)/2:])
}

// lookup reads ids and writes those of their records that have not been written.
func (s *storing) lookup(ctx context.Context, ids []int64) error {
	var texts []string
	for _, id := range ids {
		if !s.found[id] {
			texts = append(texts, strconv.FormatInt(id, 10))
		}
	}
	if len(texts) == 0 {
		return nil
	}
	if err := s.keep(ctx); err != nil {
		return err
	}
	theirs, records, err := s.look.Lookup(ctx, s.schema.Stream, texts, nil)
	if err != nil {
		return err
	}
	key := theirs.Index(s.schema.Key[0])
	if key < 0 {
		return &martsync.Error{Kind: martsync.Internal, Op: "repair " + s.schema.Stream, Err: errors.New("records that are read by id come without their key")}
	}
	from := make([]int, len(s.schema.Columns)) // where each of our columns is among theirs; -1: nowhere
	for i, c := range s.schema.Columns {
		j := theirs.Index(c.Name)
		if j >= 0 && (theirs.Columns[j].Type != c.Type || theirs.Columns[j].Scale != c.Scale) {
			j = -1
		}
		from[i] = j
	}
	for batch, err := range records {
		if err != nil {
			return err
		}
		for _, row := range rows.Of(theirs.Columns, batch) {
			id, ok := row[key].(int64)
			if !ok || s.found[id] {
				continue
			}
			s.found[id] = true
			cells := make(rows.Row, len(from))
			for i, j := range from {
				if j >= 0 {
					cells[i] = row[j]
				}
			}
			s.b.Append(cells...)
		}
		if err := errors.Join(s.flush(ctx), s.keep(ctx)); err != nil {
			return err
		}
	}
	return nil
}

func (s *storing) flush(ctx context.Context) error {
	if s.b.Len() == 0 {
		return nil
	}
	err := s.w.Write(ctx, s.b.Records())
	s.b.Reset()
	return err
}

// commit marks deleted what the vendor does not know, so that nobody asks for it again, and makes everything visible. The
// position stays as it is.
func (s *storing) commit(ctx context.Context, ids []int64) error {
	s.out.Stored, s.out.Bad = len(s.found), len(s.bad)
	if s.schema.Deletes {
		at := s.schema.Index(s.schema.Key[0])
		for _, id := range ids {
			if s.found[id] || s.known[id] {
				continue
			}
			cells := make(rows.Row, len(s.schema.Columns))
			cells[at] = id
			s.b.AppendTombstone(cells...)
			if s.out.Gone++; s.b.Len() == martsync.MaxRows {
				if err := s.flush(ctx); err != nil {
					return err
				}
			}
		}
		if err := s.flush(ctx); err != nil {
			return err
		}
	}
	if err := s.keep(ctx); err != nil {
		return err
	}
	written, bad := int64(s.out.Stored+s.out.Gone), int64(s.out.Bad)
	return s.w.Commit(ctx, martsync.Commit{
		Sync: s.o.Sync, At: s.o.At, Next: s.w.Cursor(), Quarantined: s.bad,
		Windows: []martsync.Window{{ // the ledger accounts for every row
			Filter: fmt.Sprintf(`{"repair":%q}`, s.view.Name), Records: -1, Bytes: -1, Parsed: written + bad, Quarantined: bad, Written: written,
		}},
		Log: []martsync.LogEntry{{
			Time: s.o.At, Sync: s.o.Sync, Stream: s.schema.Stream, Operation: "repair", Success: true, Rows: written, Message: s.out.String(),
		}},
	})
}

// String says what became of what was missing.
func (r *Repair) String() string {
	if r.Skipped != "" {
		return r.View + ": left alone: " + r.Skipped
	}
	text := fmt.Sprintf("%s: of %d ids, %d records stored and %d marked deleted that the vendor does not know", r.View, r.Missing, r.Stored, r.Gone)
	if r.Bad > 0 {
		text += fmt.Sprintf(", %d in quarantine", r.Bad)
	}
	if r.Left > 0 {
		text += fmt.Sprintf(", %d left for the next time", r.Left)
	}
	return text
}
