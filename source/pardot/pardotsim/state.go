package pardotsim

import (
	"maps"
	"slices"

	"github.com/martsync/martsync/simulate"
)

// An edit is what a record has become since the start, or the whole of a record that was created
// since.
type edit struct {
	created, updated int64
	deleted, gone    bool
	values           map[string]any // by column name; a nil is a null
}

func (e *edit) clone() edit {
	c := *e
	if c.values = maps.Clone(e.values); c.values == nil {
		c.values = make(map[string]any)
	}
	return c
}

// An overlay is what differs from the start in one table.
type overlay struct {
	edits map[int64]*edit // of records of the start, by index
	extra []*edit         // records created since; the first has index table.n
}

// A state is everything that differs from the start. It never changes: a change makes another one,
// so that a running export keeps the business unit as it was when it began.
type state struct {
	w        *world
	since    int64 // when it became the present
	tables   []*table
	byName   map[string]*table // by name and by collection
	overlays map[string]*overlay
	custom   []*CustomField
}

func newState(w *world) *state {
	st := &state{w: w, overlays: make(map[string]*overlay), custom: w.custom}
	st.setTables(w.tables)
	for _, t := range w.tables {
		st.overlays[t.name] = &overlay{}
	}
	return st
}

func (st *state) setTables(list []*table) {
	st.tables, st.byName = list, make(map[string]*table, 2*len(list))
	for _, t := range list {
		st.byName[t.name] = t
		if t.path != "" {
			st.byName[t.path] = t
		}
	}
}

// clone copies what a change may write to; overlays are copied when they are first written to.
func (st *state) clone() *state {
	c := *st
	c.overlays = maps.Clone(st.overlays)
	c.custom = slices.Clone(st.custom)
	return &c
}

func (o *overlay) clone() *overlay {
	c := &overlay{edits: maps.Clone(o.edits), extra: slices.Clone(o.extra)}
	if c.edits == nil {
		c.edits = make(map[int64]*edit)
	}
	return c
}

// total is how many records the table has ever had.
func (st *state) total(t *table) int64 { return t.n + int64(len(st.overlays[t.name].extra)) }

// fill makes r the record with index i and reports whether there has ever been one.
func (st *state) fill(r *record, t *table, i int64) bool {
	return st.fillFrom(r, t, st.overlays[t.name], i)
}

func (st *state) fillFrom(r *record, t *table, o *overlay, i int64) bool {
	if i < 0 || i >= t.n+int64(len(o.extra)) {
		return false
	}
	r.t, r.st, r.i, r.id = t, st, i, t.id(i)
	r.h = simulate.Hash(t.seed, t.salt, uint64(i), 0)
	r.edit = nil
	if i >= t.n {
		r.edit = o.extra[i-t.n]
	} else if len(o.edits) > 0 {
		r.edit = o.edits[i]
	}
	if e := r.edit; e != nil {
		r.created, r.updated, r.deleted, r.gone = e.created, e.updated, e.deleted, e.gone
		return true
	}
	r.created = t.createdAt(i)
	r.updated = t.updatedAt(i, r.created, r.h)
	r.deleted = t.binned > 0 && i >= t.live && simulate.Pick(simulate.Next(r.h^0xb1), 100) < t.binned
	r.gone = t.lost > 0 && i >= t.live && simulate.Pick(simulate.Next(r.h^0x70), 100) < t.lost
	return true
}

// at returns the record with index i, or nil.
func (st *state) at(t *table, i int64) *record {
	var r record
	if !st.fill(&r, t, i) {
		return nil
	}
	return &r
}

// byID returns a record that any interface still shows, or nil.
func (st *state) byID(t *table, id int64) *record {
	i := t.index(id)
	if t.id(i) != id {
		return nil
	}
	if r := st.at(t, i); r != nil && !r.gone {
		return r
	}
	return nil
}
