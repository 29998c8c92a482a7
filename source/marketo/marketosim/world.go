package marketosim

import (
	"sort"

	"github.com/martsync/martsync/simulate"
)

// Salts of simulate.Hash, one for each kind of thing that is made of the seed.
const (
	saltLead = iota + 1
	saltLeadTime
	saltBurst
	saltActivity
	saltActivityTime
	saltBlast
	saltList
	saltAsset
	saltMember
	saltObject
	saltChange
	saltJob
	saltUsage
	saltCRM
	saltLate
)

const (
	second  = int64(1)
	minute  = 60 * second
	hour    = 60 * minute
	daySecs = 24 * hour

	leadBurst = 64  // leads of a block that may have been created in the same second, as an import does
	blast     = 512 // activities of a block that may share their second, as an e-mail to many does

	firstLead = 500_001
)

// size says how many of everything the account has at the start.
type size struct {
	leads, activities                  int64
	programs, emails, campaigns, lists int
}

// A world is the account as it was at the start: a pure function of the seed. Nothing of it is
// stored, so it costs nothing to have a hundred million activities. What happened since is in
// a state.
type world struct {
	seed                   uint64
	size                   size
	start                  int64 // the clock at the start, in seconds
	leadsFrom, leadSpan    int64 // leads were created evenly over this time before the start
	activityFrom, activity int64 // likewise for activities
	fields                 []*Field
}

// leadID and leadIndex convert between ids and positions. Every third id is used, as ids of an
// account that has lost many leads are.
func (w *world) leadID(index int64) int64 { return firstLead + 3*index }

func (w *world) leadIndex(id int64) (int64, bool) {
	i := id - firstLead
	return i / 3, i >= 0 && i%3 == 0
}

// leadCreated returns when the lead with this index was created. It never decreases.
func (w *world) leadCreated(i int64) int64 {
	if b := i / leadBurst; simulate.OneIn(simulate.Hash(w.seed, saltBurst, uint64(b), 0), 16) {
		return w.leadsFrom + b*leadBurst*w.leadSpan/w.size.leads
	}
	frac := simulate.Hash(w.seed, saltLeadTime, uint64(i), 0) >> 54
	return w.leadsFrom + (i*1024+int64(frac))*(w.leadSpan/1024)/w.size.leads
}

// leadsBy returns how many leads, at least one, had certainly been created by t.
func (w *world) leadsBy(t int64) int {
	return int(min(max(1, (t-w.leadsFrom)*w.size.leads/w.leadSpan-1), w.size.leads))
}

// base fills in a lead of the start.
func (w *world) base(l *lead, i int64) {
	l.w, l.index, l.edits = w, i, nil
	l.h = simulate.Hash(w.seed, saltLead, uint64(i), 0)
	if i >= w.size.leads {
		return // its times are in the state
	}
	l.created = w.leadCreated(i)
	l.updated, l.changed = l.created, l.created
	h := simulate.Next(l.h)
	if h%10 < 3 {
		return // never touched again
	}
	h = simulate.Next(h)
	l.changed += int64(simulate.Pick(h, int(w.start-l.created)))
	l.updated = l.changed
	if h = simulate.Next(h); h%6 == 0 { // the last change was to a custom field, which updatedAt does not show
		l.updated = l.created + int64(simulate.Pick(simulate.Next(h), int(l.changed-l.created)+1))
	}
}

// activityAt returns when the base activity with this index happened. It never decreases.
func (w *world) activityAt(j int64) int64 {
	if b := j / blast; w.isBlast(b) {
		return w.activityFrom + b*blast*w.activity/w.size.activities
	}
	frac := simulate.Hash(w.seed, saltActivityTime, uint64(j), 0) >> 54
	return w.activityFrom + (j*1024+int64(frac))*(w.activity/1024)/w.size.activities
}

func (w *world) isBlast(block int64) bool {
	return simulate.OneIn(simulate.Hash(w.seed, saltBlast, uint64(block), 0), 12)
}

// firstActivity returns the index of the first base activity at or after t.
func (w *world) firstActivity(t int64) int64 {
	return search(w.size.activities, func(j int64) bool { return w.activityAt(j) >= t })
}

// firstCreated returns the index of the first base lead created at or after t.
func (w *world) firstCreated(t int64) int64 {
	return search(w.size.leads, func(i int64) bool { return w.leadCreated(i) >= t })
}

func search(n int64, f func(int64) bool) int64 {
	return int64(sort.Search(int(n), func(i int) bool { return f(int64(i)) }))
}

// inList reports whether a base lead was on a base list.
func (w *world) inList(list int, i int64) bool {
	if i >= w.size.leads || list >= w.size.lists {
		return false
	}
	return simulate.OneIn(simulate.Hash(w.seed, saltList, uint64(list), uint64(i)), 3+list%11*3)
}

// Ids of assets. Those of different kinds overlap, as they do at the vendor.
func (w *world) programID(i int) int64  { return 2001 + 2*int64(i) }
func (w *world) emailID(i int) int64    { return 8001 + int64(i) }
func (w *world) campaignID(i int) int64 { return 3301 + 2*int64(i) }
func (w *world) listID(i int) int64     { return 7001 + int64(i) }

// field returns a field of the start by its REST name, which must exist.
func (w *world) field(name string) *Field {
	for _, f := range w.fields {
		if f.Name == name {
			return f
		}
	}
	panic("marketosim: no field " + name)
}
