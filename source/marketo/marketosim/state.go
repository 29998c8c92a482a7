package marketosim

import (
	"cmp"
	"maps"
	"slices"
)

// An edit is what happened to one lead since the start, or the whole story of a lead that was
// created since.
type edit struct {
	created, updated, changed int64
	deleted                   int64 // when; 0: it exists
	winner                    int64 // index of the lead it was merged into, if deleted; else -1
	values                    map[string]value
}

// A membership is a lead on a static list.
type membership struct{ list, lead int64 }

// A merge is one Merge Leads event.
type merge struct {
	losers []int64 // indexes
	winner int64
	at     int64
	key    int64 // of its activity
	source string
	master bool
	crm    bool
}

// A state is everything that differs from the start. It never changes: a change makes another
// one, so that a running export keeps the account as it was when it began.
type state struct {
	w       *world
	fields  []*Field
	leads   map[int64]*edit // by index
	total   int64           // leads ever
	acts    []*activity     // ordered by date and key
	nextKey int64
	members map[membership]bool // true: added since the start; false: removed
	merges  []merge
	joined  map[memberKey]*memberEdit // of program members
	devices map[int64]*deviceEdit     // of custom objects, by the index of the lead
	crm     [crmKinds][]*thing        // companies, opportunities and the like, in the order they were made

	programs, emails, campaigns, lists []*asset // ordered by id
	folders                            []*folder
	studio
}

func (s *state) clone() *state {
	c := *s
	c.fields = slices.Clone(s.fields)
	c.leads = maps.Clone(s.leads)
	c.acts = slices.Clone(s.acts)
	c.members = maps.Clone(s.members)
	c.merges = slices.Clone(s.merges)
	c.joined = maps.Clone(s.joined)
	c.devices = maps.Clone(s.devices)
	for k := range c.crm {
		c.crm[k] = slices.Clone(s.crm[k])
	}
	c.programs = slices.Clone(s.programs)
	c.emails = slices.Clone(s.emails)
	c.campaigns = slices.Clone(s.campaigns)
	c.lists = slices.Clone(s.lists)
	c.folders = slices.Clone(s.folders)
	c.studio = s.studio.clone()
	return &c
}

// lead fills in the lead with this index and reports whether it exists.
func (s *state) lead(l *lead, i int64) bool {
	s.w.base(l, i)
	e := s.leads[i]
	if e == nil {
		return i >= 0 && i < s.w.size.leads
	}
	l.created, l.updated, l.changed, l.edits = e.created, e.updated, e.changed, e.values
	return e.deleted == 0
}

// exists reports whether the lead with this index exists.
func (s *state) exists(i int64) bool {
	if e := s.leads[i]; e != nil {
		return e.deleted == 0
	}
	return i >= 0 && i < s.w.size.leads
}

// created returns when the lead with this index was created, whether or not it still exists.
func (s *state) created(i int64) int64 {
	if i < s.w.size.leads {
		return s.w.leadCreated(i)
	}
	return s.leads[i].created
}

// owner follows merges: the activities of a loser belong to the winner.
// (Marketo REST API, Leads, Merge Lead)
func (s *state) owner(i int64) int64 {
	for {
		e := s.leads[i]
		if e == nil || e.deleted == 0 || e.winner < 0 {
			return i
		}
		i = e.winner
	}
}

// inList reports whether an existing lead is on the list.
func (s *state) inList(list, i int64) bool {
	if in, ok := s.members[membership{list, i}]; ok {
		return in
	}
	return s.w.inList(int(list-s.w.listID(0)), i)
}

// editOf returns a copy of the lead's edit that may be changed, already part of s. Only a state
// that nobody else has seen may be changed.
func (s *state) editOf(i int64) *edit {
	e := &edit{winner: -1, values: map[string]value{}}
	if old := s.leads[i]; old != nil {
		*e = *old
		e.values = maps.Clone(old.values)
		if e.values == nil {
			e.values = map[string]value{}
		}
	} else {
		var l lead
		s.w.base(&l, i)
		e.created, e.updated, e.changed = l.created, l.updated, l.changed
	}
	s.leads[i] = e
	return e
}

// add adds an activity to a state that nobody else has seen.
func (s *state) add(a *activity) *activity {
	a.key = 4*s.nextKey + 3
	s.nextKey++
	i, _ := slices.BinarySearchFunc(s.acts, a, compareActivities)
	s.acts = slices.Insert(s.acts, i, a)
	return a
}

func compareActivities(a, b *activity) int {
	return cmp.Or(cmp.Compare(a.date, b.date), cmp.Compare(a.key, b.key))
}
