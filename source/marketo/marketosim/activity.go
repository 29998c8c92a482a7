package marketosim

import (
	"slices"
	"strconv"

	"github.com/martsync/martsync/simulate"
)

// An activity is one row of the activity log.
type activity struct {
	key      int64 // unique; orders activities of the same second
	date     int64
	visible  int64 // when it can be seen; 0: at date and the account's delay
	lead     int64 // index at the time of the event; merges are followed when it is shown
	typ      *activityType
	campaign int64 // 0: none
	id       int64 // of the primary attribute
	hasID    bool
	pv       value // primary attribute
	h        uint64
	set      []setAttribute // instead of made-up attributes
}

type setAttribute struct {
	name string
	v    value
}

func (a *activity) primary(id int64, v value) { a.id, a.hasID, a.pv = id, true, v }

// baseActivity fills in an activity of the start.
func (w *world) baseActivity(a *activity, j int64, types *typeTable) {
	h := simulate.Hash(w.seed, saltActivity, uint64(j), 0)
	*a = activity{key: 4*j + 1, date: w.activityAt(j), h: h}
	h = simulate.Next(h)
	a.lead = int64(simulate.Pick(h, w.leadsBy(a.date)))
	h = simulate.Next(h)
	pick := h
	if b := j / blast; w.isBlast(b) {
		a.typ = types.byID[typeSendEmail]
		pick = simulate.Hash(w.seed, saltBlast, uint64(b), 1)
	} else {
		a.typ = types.share[simulate.Pick(h, len(types.share))]
		pick = simulate.Next(pick)
	}
	if a.typ.campaign {
		a.campaign = w.campaignID(simulate.Pick(pick, w.size.campaigns))
	}
	a.typ.fill(w, a, simulate.Next(pick))
}

// baseCreation fills in the New Lead activity of a lead of the start.
func (w *world) baseCreation(a *activity, i int64, types *typeTable) {
	*a = activity{key: 4*i + 2, date: w.leadCreated(i), lead: i, typ: types.byID[typeNewLead]}
	a.h = simulate.Hash(w.seed, saltActivity, uint64(i), 1)
	a.typ.fill(w, a, simulate.Next(a.h))
}

// guid appends the activity's key on the wire. It looks numeric on most accounts and is a
// text nevertheless: some have leading zeros. (Marketo REST API, Activities)
func (a *activity) guid(b []byte) []byte {
	if a.key%50 == 1 {
		b = append(b, "00"...)
	}
	return strconv.AppendInt(b, 810_000_000+a.key, 10)
}

// leadID is the lead the activity shows: after a merge the winner. A deletion keeps the lead it
// is about.
func (s *state) leadID(a *activity) int64 {
	if a.typ.id == typeDeleteLead {
		return s.w.leadID(a.lead)
	}
	return s.w.leadID(s.owner(a.lead))
}

// restID is the retired numeric id: missing for some, repeated across types, beyond 32 bits in
// all but the smallest accounts.
func (a *activity) restID() (int64, bool) {
	return 2_147_483_000 + a.key/8, a.key%10 != 7 && a.key%10 != 2
}

// result is the value of actionResult, which only bulk extracts know.
// (Marketo REST API, Bulk Activity Extract)
func (a *activity) result() value {
	switch {
	case !a.typ.campaign:
		return value{}
	case a.h%41 == 0:
		return text("skipped")
	case a.h%97 == 0:
		return text("failed")
	}
	return text("succeeded")
}

// each calls f with the name and value of every attribute that has a value.
func (a *activity) each(w *world, f func(name, key string, v value)) {
	if a.set != nil {
		for _, s := range a.set {
			f(s.name, "", s.v)
		}
		return
	}
	for i := range a.typ.attributes {
		at := &a.typ.attributes[i]
		if v := at.make(w, a, simulate.Hash(a.h, at.salt, 0, 0)); !v.isNull() {
			f(at.name, at.key, v)
		}
	}
}

// appendObject appends the attributes as files have them: one object.
func (a *activity) appendObject(b []byte, w *world) []byte {
	b = append(b, '{')
	n := len(b)
	a.each(w, func(name, key string, v value) {
		if len(b) > n {
			b = append(b, ',')
		}
		if key == "" {
			b = append(appendJSONText(b, name), ':')
		} else {
			b = append(b, key...)
		}
		b = v.appendJSON(b)
	})
	return append(b, '}')
}

// appendList appends the attributes as REST has them: a list of names and values.
func (a *activity) appendList(b []byte, w *world) []byte {
	b = append(b, '[')
	n := len(b)
	a.each(w, func(name, _ string, v value) {
		if len(b) > n {
			b = append(b, ',')
		}
		b = append(b, `{"name":`...)
		b = appendJSONText(b, name)
		b = append(b, `,"value":`...)
		b = v.appendJSON(b)
		b = append(b, '}')
	})
	return append(b, ']')
}

// A typeTable is the activity types and how often each occurs.
type typeTable struct {
	list  []*activityType
	byID  map[int64]*activityType
	share []*activityType // a thousand entries or so
}

func newTypeTable() *typeTable {
	t := &typeTable{list: newTypes(), byID: make(map[int64]*activityType)}
	for _, a := range t.list {
		t.byID[a.id] = a
		for range a.share {
			t.share = append(t.share, a)
		}
	}
	return t
}

// A walk goes through the activities of a state in the order of the log: by date, then by key.
// Three sorted sources are merged: the base activities, the creations of the base leads, and
// what happened since.
type walk struct {
	s     *state
	types *typeTable
	at    [3]int64 // position in each source
	date  [3]int64 // date of the activity there
}

const endless = int64(1) << 62

// newWalk starts at the first activity at or after date.
func newWalk(s *state, types *typeTable, date int64) *walk {
	c := &walk{s: s, types: types}
	c.at[0] = s.w.firstActivity(date)
	c.at[1] = s.w.firstCreated(date)
	i, _ := slices.BinarySearchFunc(s.acts, date, func(a *activity, d int64) int {
		if a.date < d {
			return -1
		}
		return 1
	})
	c.at[2] = int64(i)
	c.peek(0, 1, 2)
	return c
}

func (c *walk) peek(sources ...int) {
	for _, k := range sources {
		c.date[k] = endless
		switch i := c.at[k]; {
		case k == 0 && i < c.s.w.size.activities:
			c.date[k] = c.s.w.activityAt(i)
		case k == 1 && i < c.s.w.size.leads:
			c.date[k] = c.s.w.leadCreated(i)
		case k == 2 && i < int64(len(c.s.acts)):
			c.date[k] = c.s.acts[i].date
		}
	}
}

// next fills in the next activity and reports whether there is one before end.
func (c *walk) next(a *activity, end int64) bool {
	k := c.first()
	if c.date[k] >= end {
		return false
	}
	switch k {
	case 0:
		c.s.w.baseActivity(a, c.at[0], c.types)
	case 1:
		c.s.w.baseCreation(a, c.at[1], c.types)
	default:
		*a = *c.s.acts[c.at[2]]
	}
	c.at[k]++
	c.peek(k)
	return true
}

func (c *walk) first() int {
	k := 0
	for o := 1; o < 3; o++ {
		if c.date[o] < c.date[k] || c.date[o] == c.date[k] && c.date[o] < endless && c.key(o) < c.key(k) {
			k = o
		}
	}
	return k
}

func (c *walk) key(k int) int64 {
	switch k {
	case 0:
		return 4*c.at[0] + 1
	case 1:
		return 4*c.at[1] + 2
	}
	return c.s.acts[c.at[2]].key
}
