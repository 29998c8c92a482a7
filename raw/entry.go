package raw

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/blob"
	"github.com/martsync/martsync/internal/position"
)

// layout is the version of what entries look like.
const layout = 1

// mostJSON is the largest entry or schema worth reading. A commit of a million pages stays below it.
const mostJSON = 1 << 30

// headEvery is how often the number of the newest entry is noted, so that finding it needs no
// listing of all of them.
const headEvery = 16

// An entry says what was kept between two positions. Base, From and To are positions as tables and
// progress keep them; who reads a zone compares them and nothing else.
type entry struct {
	Version int       `json:"version"`
	Number  int64     `json:"number"`
	Account string    `json:"account"`
	Stream  string    `json:"stream"`
	Sync    string    `json:"sync"` // the run
	At      time.Time `json:"at"`

	Prev   int64           `json:"prev,omitzero"` // the entry that this one goes on from; 0: from Base or from the beginning
	Safe   int64           `json:"safe,omitzero"` // the last one back from here, or this one, at which no unit was open; 0: none
	Base   martsync.Cursor `json:"base"`          // of the table
	Anew   bool            `json:"anew,omitzero"` // reading began at the beginning again, not at Base: a backfill
	From   martsync.Cursor `json:"from"`          // where reading stood
	To     martsync.Cursor `json:"to"`
	Plain  martsync.Cursor `json:"plain,omitempty"` // of a commit: the same position in a table made from the zone
	Commit bool            `json:"commit,omitzero"` // the table was about to move to To

	Schema string          `json:"schema"` // its object
	Units  []unit          `json:"units,omitempty"`
	Open   *unit           `json:"open,omitempty"`   // what came of a unit that has not ended
	Within bool            `json:"within,omitzero"`  // a unit is open at To, here or in an earlier entry
	Cursor martsync.Cursor `json:"cursor"`           // of the stream, at To
	Last   *running        `json:"last,omitempty"`   // the body that the next piece may continue
	Before *running        `json:"before,omitempty"` // the same at Base
	Bytes  int64           `json:"bytes,omitzero"`   // of what was sent
}

// A unit is what came between two verified cursors.
type unit struct {
	Continues   bool             `json:"continues,omitzero"` // it began in earlier entries, as their Open
	Bodies      []part           `json:"bodies,omitempty"`
	Rows        int64            `json:"rows,omitzero"`
	Quarantined int64            `json:"quarantined,omitzero"`
	Windows     []mark           `json:"windows,omitempty"`
	Complete    *martsync.Scope  `json:"complete,omitempty"`
	Census      *martsync.Census `json:"census,omitempty"`
	Notes       []martsync.Note  `json:"notes,omitempty"`
	Cursor      martsync.Cursor  `json:"cursor,omitempty"` // after it
}

// A mark is a window that was complete after so many rows of its unit.
type mark struct {
	Rows        int64           `json:"rows"`
	Quarantined int64           `json:"quarantined"`
	Window      martsync.Window `json:"window"`
}

// A part is a run of a body's bytes in one object.
type part struct {
	Name   string `json:"name"` // martsync.Raw.Body
	How    string `json:"how,omitempty"`
	Object string `json:"object,omitempty"` // below the stream's folder; "": there are no bytes
	At     int64  `json:"at,omitzero"`      // where in the object
	Length int64  `json:"length"`           // there: bytes of zstd frames
	Offset int64  `json:"offset,omitzero"`  // where in the body
	Bytes  int64  `json:"bytes"`            // of the body
	Since  int64  `json:"since,omitzero"`   // where SHA256 begins: later than 0 only if the zone lacks what was before
	SHA256 string `json:"sha256"`           // of the body from Since to the end of this part, hexadecimal
}

// A running is a body that may go on: the state of its hash goes with it into other processes.
type running struct {
	Name  string `json:"name"`
	How   string `json:"how,omitempty"`
	Since int64  `json:"since,omitzero"`
	End   int64  `json:"end"`
	State []byte `json:"state"` // of the hash
}

// leads reports whether the entry is a commit that leads to a position of a table. One that was written before positions
// told their account leads to the table that is made of it today.
func (e *entry) leads(to martsync.Cursor) bool {
	return e.Commit && (e.To == to || position.Bare(e.Plain) == position.Bare(to))
}

// empty reports whether the unit says nothing but a cursor.
func (u *unit) empty() bool {
	return !u.Continues && len(u.Bodies) == 0 && u.Rows == 0 && u.Quarantined == 0 && len(u.Windows) == 0 &&
		u.Complete == nil && u.Census == nil && len(u.Notes) == 0
}

// add appends what came after u.
func (u *unit) add(v *unit) {
	for _, p := range v.Bodies {
		if n := len(u.Bodies); n == 0 || !u.Bodies[n-1].extend(p) {
			u.Bodies = append(u.Bodies, p)
		}
	}
	for _, m := range v.Windows {
		m.Rows, m.Quarantined = m.Rows+u.Rows, m.Quarantined+u.Quarantined
		u.Windows = append(u.Windows, m)
	}
	u.Rows += v.Rows
	u.Quarantined += v.Quarantined
	u.Notes = append(u.Notes, v.Notes...)
	if v.Complete != nil {
		u.Complete = v.Complete
	}
	if v.Census != nil {
		u.Census = v.Census
	}
	u.Cursor = v.Cursor
}

// extend takes q in, if it follows p in its body and in its object.
func (p *part) extend(q part) bool {
	if !p.continuedBy(q) || p.Object != q.Object || q.At != p.At+p.Length || p.Since != q.Since {
		return false
	}
	p.Length += q.Length
	p.Bytes += q.Bytes
	p.SHA256 = q.SHA256
	return true
}

// continuedBy reports whether q is the next part of the same body.
func (p *part) continuedBy(q part) bool {
	return q.Offset > 0 && q.Name == p.Name && q.Offset == p.Offset+p.Bytes
}

// readEntry reads an entry.
func (z *Zone) readEntry(ctx context.Context, stream string, number int64) (*entry, error) {
	key := z.entryKey(stream, number)
	data, err := z.store.Get(ctx, key, mostJSON)
	if errors.Is(err, blob.ErrNotFound) {
		return nil, damaged("read entry", "%s is missing", key)
	}
	if err != nil {
		return nil, fmt.Errorf("read entry of the raw zone: %w", err)
	}
	e := new(entry)
	if err := json.Unmarshal(data, e); err != nil {
		return nil, damaged("read entry", "%s: %w", key, err)
	}
	switch {
	case e.Version > layout:
		return nil, &martsync.Error{
			Kind: martsync.Config, Op: "raw: read entry", Err: fmt.Errorf("%s has version %d", key, e.Version),
			Hint: "A newer martsync wrote it. Use that one.",
		}
	case e.Number != number || e.Stream != stream:
		return nil, damaged("read entry", "%s says that it is entry %d of %s", key, e.Number, e.Stream)
	case e.Account != z.account:
		return nil, &martsync.Error{
			Kind: martsync.Config, Op: "raw: read entry", Err: fmt.Errorf("%s is of the account %s, and this is %s", key, e.Account, z.account),
			Hint: "Name another place for one of the two.",
		}
	}
	return e, nil
}

// putEntry gives e the next free number from e.Number on and puts it.
func (z *Zone) putEntry(ctx context.Context, e *entry) error {
	e.Version, e.Account = layout, z.account
	for {
		data, err := json.MarshalIndent(e, "", " ")
		if err != nil {
			return &martsync.Error{Kind: martsync.Internal, Op: "raw: write entry", Err: err}
		}
		err = z.store.Put(ctx, z.entryKey(e.Stream, e.Number), append(data, '\n'), true)
		if errors.Is(err, blob.ErrExists) { // another writer has it; the chain tells whose counts
			if e.Safe == e.Number && e.Safe != 0 {
				e.Safe++
			}
			e.Number++
			continue
		}
		if err != nil {
			return fmt.Errorf("write entry of the raw zone: %w", err)
		}
		break
	}
	if e.Number%headEvery == 0 {
		if err := z.store.Put(ctx, z.headKey(e.Stream), fmt.Appendf(nil, "{\"number\": %d}\n", e.Number), false); err != nil {
			z.log.DebugContext(ctx, "raw zone: the newest entry's number was not noted; finding it takes longer", "stream", e.Stream, "err", err)
		}
	}
	return nil
}

func (z *Zone) headKey(stream string) string { return z.folder(stream) + "head.json" }

// newest returns the number of the newest entry; 0: there is none.
func (z *Zone) newest(ctx context.Context, stream string) (int64, error) {
	var head struct {
		Number int64 `json:"number"`
	}
	data, err := z.store.Get(ctx, z.headKey(stream), 1<<10)
	if err == nil {
		err = json.Unmarshal(data, &head)
	}
	if err != nil && martsync.KindOf(err).Waits() {
		return 0, fmt.Errorf("read the raw zone: %w", err)
	}
	if err != nil {
		head.Number = 0 // only a hint
	}
	after := ""
	if head.Number > 0 {
		after = z.entryKey(stream, head.Number)
	}
	last := head.Number
	for n, err := range z.numbers(ctx, stream, after) {
		if err != nil {
			return 0, err
		}
		last = max(last, n)
	}
	return last, nil
}

// numbers yields the numbers of a stream's entries whose key is greater than after, ascending.
func (z *Zone) numbers(ctx context.Context, stream, after string) func(yield func(int64, error) bool) {
	return func(yield func(int64, error) bool) {
		prefix := z.entryPrefix(stream)
		for o, err := range z.store.List(ctx, prefix, after) {
			if err != nil {
				yield(0, fmt.Errorf("list the raw zone: %w", err))
				return
			}
			digits, ok := strings.CutSuffix(strings.TrimPrefix(o.Key, prefix), ".json")
			n, err := strconv.ParseInt(digits, 10, 64)
			if !ok || err != nil || n < 1 || n == math.MaxInt64 {
				continue // not ours
			}
			if !yield(n, nil) {
				return
			}
		}
	}
}

// putSchema makes sure that the schema is there and returns the name of its object.
func (z *Zone) putSchema(ctx context.Context, s martsync.Schema) (string, error) {
	data, err := json.MarshalIndent(s, "", " ")
	if err != nil {
		return "", &martsync.Error{Kind: martsync.Internal, Op: "raw: write schema", Err: err}
	}
	sum := sha256.Sum256(data)
	name := "schema-" + hex.EncodeToString(sum[:8]) + ".json"
	key := z.folder(s.Stream) + name
	z.mu.Lock()
	known := z.schemas[key]
	z.mu.Unlock()
	if known {
		return name, nil
	}
	if err := z.store.Put(ctx, key, append(data, '\n'), true); err != nil && !errors.Is(err, blob.ErrExists) {
		return "", fmt.Errorf("write schema to the raw zone: %w", err)
	}
	z.mu.Lock()
	z.schemas[key] = true
	z.mu.Unlock()
	return name, nil
}

func (z *Zone) readSchema(ctx context.Context, stream, name string) (martsync.Schema, error) {
	var s martsync.Schema
	key := z.folder(stream) + name
	data, err := z.store.Get(ctx, key, mostJSON)
	if errors.Is(err, blob.ErrNotFound) {
		return s, damaged("read schema", "%s is missing", key)
	}
	if err != nil {
		return s, fmt.Errorf("read schema of the raw zone: %w", err)
	}
	if err := json.Unmarshal(data, &s); err != nil {
		return s, damaged("read schema", "%s: %w", key, err)
	}
	return s, s.Validate()
}
