package audit

import (
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"iter"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/report"
	"github.com/martsync/martsync/internal/rows"
)

// A scan is one reading of a table.
type scan struct {
	schema martsync.Schema // the stream's
	stored martsync.Schema // the table's
	sample *sample

	rows, deleted int64
	keyAt         []int // columns of the key in stored
	nulls         int64 // rows with a null in their key
	doubled       int64 // rows whose key another row has
}

// read reads the table once, and its keys a second time from a temporary file.
func (t *scan) read(records iter.Seq2[*martsync.Records, error], dir string) (err error) {
	for _, k := range t.schema.Key {
		i := t.stored.Index(k)
		if i < 0 {
			return &martsync.Error{Kind: martsync.Data, Op: "audit", Err: fmt.Errorf("the table lacks the column %s, which is part of the key", k), Hint: "Somebody has changed the table: run martsync sync --backfill into a new one."}
		}
		t.keyAt = append(t.keyAt, i)
	}
	spool := newSpool(dir)
	defer func() {
		if e := spool.close(); err == nil {
			err = e
		}
	}()
	seed := maphash.MakeSeed()
	for r, err := range records {
		if err != nil {
			return err
		}
		for i := range r.Len {
			gone := r.Deleted != nil && r.Deleted[i]
			if gone {
				t.deleted++
			} else {
				t.rows++
			}
			if len(t.keyAt) == 0 {
				continue
			}
			hash, whole := t.hash(seed, r, i)
			if !whole {
				t.nulls++
				continue
			}
			if err := spool.add(hash); err != nil {
				return err
			}
			if !gone {
				t.sample.offer(t.stored.Columns, r, i)
			}
		}
	}
	t.doubled, err = spool.doubled()
	return err
}

// hash is that of a row's key; false if a part of it is null.
func (t *scan) hash(seed maphash.Seed, r *martsync.Records, row int) (uint64, bool) {
	var h maphash.Hash
	h.SetSeed(seed)
	var length [8]byte
	for _, at := range t.keyAt {
		cell := rows.Cell(t.stored.Columns[at], &r.Columns[at], row)
		if cell == nil {
			return 0, false
		}
		text := rows.Text(cell)
		binary.LittleEndian.PutUint64(length[:], uint64(len(text)))
		_, _ = h.Write(length[:]) // never fails, like the next
		_, _ = h.WriteString(text)
	}
	return h.Sum64(), true
}

// keys says whether each key is there once.
func (t *scan) keys() Check {
	c := Check{Name: "keys", State: OK}
	switch {
	case len(t.keyAt) == 0:
		c.State, c.Detail = Skipped, "the records have no key"
	case t.rows+t.deleted == 0:
		c.State, c.Detail = Skipped, "there are no rows"
	case t.nulls > 0:
		c.State, c.Detail = Wrong, fmt.Sprintf("%s no key", report.Plural(t.nulls, "row has", "rows have"))
	case t.doubled > 0:
		c.State, c.Detail = Wrong, fmt.Sprintf("%s a key that another row has", report.Plural(t.doubled, "row has", "rows have"))
	default:
		c.Detail = "each is there once"
	}
	if c.State == Wrong {
		c.Hint = "Something else has written to this table. Rename it and run martsync sync --backfill."
	}
	return c
}
