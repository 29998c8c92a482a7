package raw

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/position"
)

// Source reads a zone instead of a vendor: its streams yield what was yielded when the zone was kept,
// in the order of the commits, made by the replayer from the bytes that were sent. It makes no call. Account is
// what its syncs are known by; it must not be the vendor's, since they need no limit of his.
//
// Its cursors count entries; the last one is the stream's own, from where a sync of the vendor goes on.
// So a table that is read from a zone can be taken over by a sync, and one that a zone has filled up to some
// commit goes on from there.
func Source(zone *Zone, replayer martsync.Replayer, account string) martsync.Source {
	return &source{zone: zone, replayer: replayer, account: account}
}

type source struct {
	zone     *Zone
	replayer martsync.Replayer
	account  string
}

func (s *source) Account() string { return s.account }

// Replays is the account whose records the zone holds.
func (s *source) Replays() string { return s.zone.account }

// Streams lists the streams that the zone has something of. It reads the zone's entries.
func (s *source) Streams(ctx context.Context) ([]martsync.Stream, error) {
	names, err := s.zone.Streams(ctx)
	if err != nil {
		return nil, err
	}
	var all []martsync.Stream
	for _, name := range names {
		h, err := s.zone.history(ctx, name)
		if err != nil {
			return nil, err
		}
		if len(h.links) > 0 || h.missing != nil {
			all = append(all, &stream{history: h, replayer: s.replayer, end: h.leg(0)})
		}
	}
	if len(all) == 0 {
		return nil, &martsync.Error{
			Kind: martsync.Config, Op: "raw: list streams", Err: fmt.Errorf("%s holds no commit", s.zone),
			Hint: "Add raw to the sync and run it; what was read before that is not in the zone.",
		}
	}
	return all, nil
}

// A stream is one leg of a history.
type stream struct {
	history  *history
	replayer martsync.Replayer
	first    int // link
	end      int // exclusive
}

func (s *stream) Schema() martsync.Schema {
	if len(s.history.links) == 0 {
		return s.history.tip
	}
	return s.history.schemas[s.history.links[s.first].schema]
}

// Next returns the leg that goes on after the cursor, which is where the table stands.
func (s *stream) Next(after martsync.Cursor) (next martsync.Stream, anew bool) {
	h := s.history
	at, err := h.locate(after)
	if err != nil || at.link >= len(h.links) {
		return nil, false
	}
	first := s.end
	for first < len(h.links) && h.leg(first) <= at.link {
		first = h.leg(first)
	}
	if first >= len(h.links) {
		return nil, false
	}
	n := &stream{history: h, replayer: s.replayer, first: first, end: h.leg(first)}
	return n, h.links[first].anew && at == place{link: first}
}

// A place is before a unit of a link.
type place struct {
	link, unit int
}

// cursor is where a table stands in the middle of a replay.
type cursor struct {
	Entry int64 `json:"replay"` // of a commit
	Units int   `json:"units"`  // of it that are done
}

const cursorStart = `{"replay":`

// halfReplayed reports whether a position of a table is one in the middle of a replay.
func halfReplayed(text martsync.Cursor) bool {
	at, _ := position.Decode(text)
	return strings.HasPrefix(string(at), cursorStart)
}

func (c cursor) encode() martsync.Cursor {
	data, err := json.Marshal(c)
	if err != nil {
		panic(err) // two numbers
	}
	return martsync.Cursor(data)
}

// locate finds where reading goes on after a cursor.
func (h *history) locate(after martsync.Cursor) (place, error) {
	if after == "" {
		return place{}, nil
	}
	unknown := func(what string) error {
		return &martsync.Error{
			Kind: martsync.Config, Op: "raw: read " + h.stream, Err: errors.New(what),
			Hint: "Replay into another schema, or drop the table and what the destination knows of it.",
		}
	}
	var c cursor
	if strings.HasPrefix(string(after), cursorStart) && json.Unmarshal([]byte(after), &c) == nil && c.Entry > 0 {
		i := slices.IndexFunc(h.links, func(l link) bool { return l.number == c.Entry })
		if i < 0 {
			return place{}, unknown(fmt.Sprintf("the table stands in entry %d of the zone, which led nowhere since", c.Entry))
		}
		if c.Units >= h.links[i].units {
			return place{link: i + 1}, nil
		}
		return place{link: i, unit: c.Units}, nil
	}
	for i, l := range slices.Backward(h.links) {
		if l.cursor != after {
			continue
		}
		if i == len(h.links)-1 && h.schemas[l.schema].Snapshot {
			return place{link: i}, nil // its cursor may be that of each one; the engine sees whether it is new
		}
		return place{link: i + 1}, nil
	}
	return place{}, unknown("the table has a position that the zone does not know")
}

// Read yields what the leg has after a cursor.
func (s *stream) Read(ctx context.Context, from martsync.Cursor, _ martsync.Span) iter.Seq2[martsync.Batch, error] {
	return func(yield func(martsync.Batch, error) bool) {
		at, err := s.history.locate(from)
		if err == nil && s.history.missing != nil {
			err = s.history.missing
		}
		if err != nil {
			yield(martsync.Batch{}, err)
			return
		}
		r := &reading{stream: s, bodies: &bodies{zone: s.history.zone, stream: s.history.stream}, yield: yield, more: true}
		for i := max(at.link, s.first); i < s.end && r.more && err == nil; i++ {
			start := 0
			if i == at.link {
				start = at.unit
			}
			err = r.link(ctx, i, start)
		}
		if closeErr := r.bodies.close(); err == nil {
			err = closeErr
		}
		if err != nil && r.more {
			yield(martsync.Batch{}, err)
		}
	}
}

// A reading is one Read.
type reading struct {
	*stream
	bodies *bodies
	yield  func(martsync.Batch, error) bool
	more   bool // the reader has not had enough
}

func (r *reading) send(b martsync.Batch) bool {
	r.more = r.more && r.yield(b, nil)
	return r.more
}

// link yields what a commit made visible, from one of its units on.
func (r *reading) link(ctx context.Context, index, start int) error {
	l := &r.history.links[index]
	var begun unit // the parts of a unit that ends in a later entry
	done := 0
	for _, n := range l.entries {
		e, err := r.history.zone.readEntry(ctx, r.history.stream, n)
		if err != nil {
			return err
		}
		for i := range e.Units {
			u := e.Units[i]
			if u.Continues {
				begun.add(&u)
				u = begun
			}
			begun = unit{}
			if done++; done <= start {
				continue
			}
			if err := r.unit(ctx, r.history.schemas[e.Schema], &u, r.after(index, done)); err != nil || !r.more {
				if err != nil {
					err = fmt.Errorf("entry %d, unit %d: %w", n, i+1, err)
				}
				return err
			}
		}
		if e.Open != nil {
			if !e.Open.Continues {
				begun = unit{}
			}
			begun.add(e.Open)
		}
	}
	// Where null means "as before", it matters which rows a commit had; and there may be commits without units.
	if done == 0 || r.sticky() {
		r.send(martsync.Batch{Cursor: r.after(index, done)})
	}
	return nil
}

// after is the cursor after so many units of a link.
func (r *reading) after(index, done int) martsync.Cursor {
	l := &r.history.links[index]
	if index == len(r.history.links)-1 && done >= l.units {
		return l.cursor
	}
	return cursor{Entry: l.number, Units: done}.encode()
}

func (r *reading) sticky() bool {
	schema := r.Schema()
	return slices.ContainsFunc(schema.Columns, func(c martsync.Column) bool { return c.Sticky })
}

// unit yields the rows of a unit and what is known after them.
func (r *reading) unit(ctx context.Context, schema martsync.Schema, u *unit, after martsync.Cursor) error {
	p := &playing{reading: r, unit: u, marks: u.Windows, after: after, checked: true}
	for _, b := range u.Bodies {
		p.checked = p.checked && !isFile(b.Name) && b.Bytes <= mostPage && b.Offset == 0
	}
	for b, err := range r.replayer.Replay(ctx, schema, r.bodies.of(ctx, u.Bodies)) {
		if err != nil {
			return err
		}
		if err := p.batch(b); err != nil || !r.more {
			return err
		}
	}
	return p.finish()
}

// playing is a unit on its way.
type playing struct {
	*reading
	unit  *unit
	marks []mark // windows not yet complete
	after martsync.Cursor

	checked           bool // bytes are checked before rows are made of them
	rows, quarantined int64
	ended             bool // the cursor has been yielded
}

// differs is the error for a source that makes other rows than it made when the zone was kept.
func (p *playing) differs() error {
	return &martsync.Error{
		Kind: martsync.Internal, Op: "raw: replay " + p.history.stream,
		Err: fmt.Errorf("%d rows and %d for the quarantine have come of what made %d and %d", p.rows, p.quarantined, p.unit.Rows, p.unit.Quarantined),
	}
}

// batch yields the rows of a batch, divided where a window was complete.
func (p *playing) batch(b martsync.Batch) error {
	records, bad := b.Records, b.Quarantined
	n := 0
	if records != nil {
		n = records.Len
	}
	if n == 0 && len(bad) == 0 {
		return nil
	}
	if p.ended || p.rows+int64(n) > p.unit.Rows || p.quarantined+int64(len(bad)) > p.unit.Quarantined {
		p.rows += int64(n)
		p.quarantined += int64(len(bad))
		return p.differs()
	}
	for len(p.marks) > 0 && !p.last(0) {
		m := &p.marks[0]
		rows, quarantined := m.Rows-p.rows, m.Quarantined-p.quarantined
		if rows > int64(n) || quarantined > int64(len(bad)) {
			if rows < int64(n) || quarantined < int64(len(bad)) {
				return p.differs() // some of what comes after the window is here before all of it is
			}
			break
		}
		out := martsync.Batch{Records: cut(records, 0, int(rows)), Quarantined: bad[:quarantined], Window: &m.Window}
		if !p.send(out) {
			return nil
		}
		records, bad = cut(records, int(rows), n), bad[quarantined:]
		n -= int(rows)
		p.rows, p.quarantined, p.marks = m.Rows, m.Quarantined, p.marks[1:]
	}
	p.rows += int64(n)
	p.quarantined += int64(len(bad))
	out := martsync.Batch{Records: records, Quarantined: bad, Bytes: b.Bytes}
	if p.checked && p.rows == p.unit.Rows && p.quarantined == p.unit.Quarantined && len(p.marks) <= 1 {
		p.end(&out)
	}
	p.send(out)
	return nil
}

// last reports whether the window is the unit's last one and complete at its end.
func (p *playing) last(i int) bool {
	return i == len(p.marks)-1 && p.marks[i].Rows == p.unit.Rows && p.marks[i].Quarantined == p.unit.Quarantined
}

// end puts on the batch what is known after the unit.
func (p *playing) end(b *martsync.Batch) {
	if len(p.marks) > 0 {
		b.Window = &p.marks[0].Window
		p.marks = nil
	}
	b.Complete, b.Census, b.Notes, b.Cursor = p.unit.Complete, p.unit.Census, p.unit.Notes, p.after
	p.ended = true
}

// finish ends the unit after its last row.
func (p *playing) finish() error {
	if p.rows != p.unit.Rows || p.quarantined != p.unit.Quarantined {
		return p.differs()
	}
	for len(p.marks) > 1 {
		if !p.send(martsync.Batch{Window: &p.marks[0].Window}) {
			return nil
		}
		p.marks = p.marks[1:]
	}
	if !p.ended {
		var b martsync.Batch
		p.end(&b)
		p.send(b)
	}
	return nil
}
