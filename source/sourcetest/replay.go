package sourcetest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"iter"
	"testing/iotest"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/rows"
)

// A unit is everything between two verified cursors: what was sent, and what was made of it.
type unit struct {
	last   int // step that ends it
	bodies []body
	made
	windows []martsync.Window
}

// A body is a page or an export file, or the part of it that belongs to a unit.
type body struct {
	name, how string
	offset    int64
	data      []byte
	sum       hash.Hash // of everything from the body's beginning to the end of data
}

func (b *body) end() int64 { return b.offset + int64(len(b.data)) }

// made is what came of a unit, as text that can be compared.
type made struct {
	rows        []string
	quarantined []martsync.Quarantined
}

func (m *made) add(schema *martsync.Schema, b *martsync.Batch) {
	if b.Records != nil {
		for i, cells := range rows.Of(schema.Columns, b.Records) {
			m.rows = append(m.rows, fmt.Sprintf("%#v tombstone: %v, deleted: %v", cells, rows.Tombstone(b.Records, i), rows.Deleted(b.Records, i)))
		}
	}
	m.quarantined = append(m.quarantined, b.Quarantined...)
}

// unitsOf divides what was read into units, as whoever keeps it does. What follows the last
// verified cursor is no unit; it would be read again.
func unitsOf(schema *martsync.Schema, steps []step) ([]unit, error) {
	var units []unit
	var now unit
	var before body // what the last piece belonged to, if it may go on in this unit
	safe := before  // as of the last verified cursor
	for i, st := range steps {
		if st.Discard {
			if len(st.Raw) > 0 {
				return nil, fmt.Errorf("batch %d discards and has a body: it belongs to nothing", i)
			}
			now, before = unit{}, safe
			continue
		}
		for _, r := range st.Raw {
			if err := now.piece(&before, r); err != nil {
				return nil, fmt.Errorf("batch %d (cursor %q): %w", i, st.Cursor, err)
			}
		}
		now.add(schema, &st.Batch)
		if st.Window != nil {
			now.windows = append(now.windows, *st.Window)
		}
		if st.Cursor != "" && !st.Unverified {
			now.last = i
			units = append(units, now)
			now, safe = unit{}, before
			safe.sum = cloneHash(before.sum)
		}
	}
	return units, nil
}

// piece adds a piece to the body that it continues, or begins one with it.
func (u *unit) piece(before *body, r martsync.Raw) error {
	if r.Body == "" || !utf8.ValidString(r.Body) {
		return fmt.Errorf("a body is named %q", r.Body)
	}
	if r.Offset == 0 {
		if r.How != "" && !json.Valid([]byte(r.How)) {
			return fmt.Errorf("body %s: how to read it is %q, want JSON", r.Body, r.How)
		}
		*before = body{name: r.Body, how: r.How, sum: sha256.New()}
		u.bodies = append(u.bodies, *before)
	}
	if before.name != r.Body || before.end() != r.Offset {
		return fmt.Errorf("a piece of body %s at %d follows body %s, of which %d bytes have come", r.Body, r.Offset, before.name, before.end())
	}
	if r.Offset > 0 && len(u.bodies) == 0 { // goes on from an earlier unit
		u.bodies = append(u.bodies, body{name: before.name, how: before.how, offset: r.Offset, sum: cloneHash(before.sum)})
	}
	b := &u.bodies[len(u.bodies)-1]
	b.data = append(b.data, r.Data...)
	b.sum.Write(r.Data)
	*before = *b
	return nil
}

// cloneHash copies the state of a hash, since a unit that is discarded must not count in the next.
func cloneHash(h hash.Hash) hash.Hash {
	if h == nil {
		return nil
	}
	c, err := h.(hash.Cloner).Clone()
	if err != nil {
		panic(err) // documented for SHA-256
	}
	return c
}

func (b *body) sha256() string { return hex.EncodeToString(b.sum.Sum(nil)) }

// errStale is what a body gives after the next one was asked for.
var errStale = errors.New("the body was read after the next one had been asked for")

// feed yields the bodies of the unit, in reads of all sizes. Each is good until the next one is asked for.
func (u *unit) feed() iter.Seq2[martsync.RawBody, error] {
	return func(yield func(martsync.RawBody, error) bool) {
		for i := range u.bodies {
			b := &u.bodies[i]
			r := &shortLived{Reader: iotest.HalfReader(bytes.NewReader(b.data))}
			ok := yield(martsync.RawBody{Name: b.name, How: b.how, Offset: b.offset, Data: r}, nil)
			if r.Reader = iotest.ErrReader(errStale); !ok {
				return
			}
		}
	}
}

type shortLived struct{ io.Reader }

// replay reads the unit again and returns what is wrong with what came of it.
func (u *unit) replay(ctx context.Context, r martsync.Replayer, schema martsync.Schema) error {
	var got made
	for b, err := range r.Replay(ctx, schema, u.feed()) {
		if err != nil {
			return err
		}
		if err := checkBatch(&schema, &b); err != nil {
			return err
		}
		if b.Cursor != "" || b.Window != nil || b.Complete != nil || b.Census != nil || b.Notes != nil || b.Unverified || b.Discard || b.Raw != nil {
			return fmt.Errorf("a batch has more than records: %+v", b)
		}
		got.add(&schema, &b)
		rows.Poison(b.Records)
	}
	if diff := cmp.Diff(u.rows, got.rows); diff != "" {
		return fmt.Errorf("rows (-read +replayed):\n%s", diff)
	}
	if diff := cmp.Diff(u.quarantined, got.quarantined); diff != "" {
		return fmt.Errorf("quarantine (-read +replayed):\n%s", diff)
	}
	return nil
}

// checkSums compares the bodies with the checksums that the ledger and the account tell. It returns how
// many bodies the account knew. Rest says that the body goes on in the next unit.
func (u *unit) checkSums(sum func(string) string, next *unit) (known int, err error) {
	whole := map[string]int64{} // checksums of the bodies that end here, and their sizes
	for i := range u.bodies {
		b := &u.bodies[i]
		if i == len(u.bodies)-1 && next != nil && len(next.bodies) > 0 && next.bodies[0].offset > 0 {
			break
		}
		whole[b.sha256()] = b.end()
		if sum == nil {
			continue
		}
		if want := sum(b.name); want != "" {
			known++
			if got := b.sha256(); got != want {
				return known, fmt.Errorf("body %s: SHA-256 of its %d bytes is %s, the account served %s", b.name, b.end(), got, want)
			}
		}
	}
	for _, w := range u.windows {
		if w.SHA256 == "" {
			continue
		}
		if n, ok := whole[w.SHA256]; !ok || w.Bytes >= 0 && n != w.Bytes {
			return known, fmt.Errorf("no body has the %d bytes with SHA-256 %s that the window of job %s tells of", w.Bytes, w.SHA256, w.Job)
		}
	}
	return known, nil
}
