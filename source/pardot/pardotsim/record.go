package pardotsim

import (
	"encoding/json"
	"time"

	"github.com/martsync/martsync/simulate"
)

// A stamp is a moment in whole seconds since 1970.
type stamp int64

func (t stamp) time() time.Time { return time.Unix(int64(t), 0).UTC() }

// A kind is what sort of values a column has.
type kind int

// The kinds, with the type that record.get returns for them; nil is null for all.
const (
	kindInt   kind = iota // int64
	kindText              // string
	kindBool              // bool
	kindTime              // stamp
	kindFloat             // float64
	kindList              // []string: of a multi-value custom field
	kindJSON              // json.RawMessage: an array or object of version 5
)

// A maker makes a value of the start: of the record and of a number that is the column's own.
type maker func(r *record, h uint64) any

// A column is one field of a table, in both versions.
type column struct {
	name   string // version 5's name, or version 4's where version 5 lacks it
	v4     string // version 4's name of the flat value ("campaign_id"); "": version 4 lacks it
	only4  bool   // version 5 lacks it
	kind   kind
	byID   bool         // version 5 tells it in reads by id only
	noFile bool         // version 4 cannot export it
	custom *CustomField // nil: not a custom field
	null   int          // of 100 records have none
	salt   uint64
	make   maker
	fresh  maker // of the values that edits give; nil: make
	rigid  bool  // follows from other things
}

// A block is a run of records whose times are not spread like those of the others.
type block struct {
	first, n int64 // indexes [first, first+n)
	at       int64
}

func (b *block) has(i int64) bool { return i >= b.first && i < b.first+b.n }

// A table is a kind of record. It does not change, save that a new custom field makes another one.
type table struct {
	name    string // of its truth: "visitor_activities"
	path    string // collection of version 5: "visitor-activities"; "": version 5 lacks it
	bin     bool   // has a recycle bin
	columns []*column
	byName  map[string]*column

	n           int64 // records of the start
	first, step int64 // ids: first + step × index
	seed, salt  uint64
	from, span  int64 // the records of the start were created over this time
	edited      int   // of 100, were updated after their creation
	binned      int   // of 100, are in the recycle bin
	lost        int   // of 100, have been purged though others refer to them
	live        int64 // the first records are neither

	burst  block // created in one second
	fall   block // created in the hour that an autumn night has twice
	mass   block // last updated in one second
	autumn int64 // when that hour begins for the first time

	filters []string // fields beside id that version 5 filters by
	orders  []string // and orders by
}

// column returns a column by its name in version 5 or, where only version 4 has it, in version 4;
// nil if there is none.
func (t *table) column(name string) *column { return t.byName[name] }

// column4 returns a column by its flat name in version 4; nil if there is none.
func (t *table) column4(name string) *column {
	for _, c := range t.columns {
		if c.v4 == name {
			return c
		}
	}
	return nil
}

func (t *table) id(i int64) int64 { return t.first + t.step*i }

// index returns the place of the first record whose id is not below id.
func (t *table) index(id int64) int64 {
	return max(0, (id-t.first+t.step-1)/t.step)
}

// A record is one record as it is in a state.
type record struct {
	t       *table
	st      *state
	id      int64
	i       int64  // place in its table
	h       uint64 // what its values are made of
	created int64
	updated int64
	deleted bool // it is in the recycle bin
	gone    bool // purged: no interface shows it any more
	edit    *edit
}

// get returns the value of a field by its name in version 5 or, where only version 4 has it, in
// version 4. It is nil, int64, string, bool, stamp, float64, []string or json.RawMessage; nil for
// fields that do not exist.
func (r *record) get(field string) any {
	c := r.t.byName[field]
	if c == nil {
		return nil
	}
	return r.value(c)
}

// value returns the value of a column of the record's table.
func (r *record) value(c *column) any {
	if r.edit != nil {
		if v, ok := r.edit.values[c.name]; ok {
			return v
		}
	}
	h := simulate.Next(r.h ^ c.salt)
	if c.null > 0 && simulate.Pick(h, 100) < c.null {
		return nil
	}
	return c.make(r, simulate.Next(h))
}

// text returns a text field, "" for null.
func (r *record) text(field string) string {
	s, _ := r.get(field).(string)
	return s
}

// number returns an integer field, 0 for null.
func (r *record) number(field string) int64 {
	n, _ := r.get(field).(int64)
	return n
}

// truth is a value as simulate.Row holds it.
func truthOf(v any) any {
	switch v := v.(type) {
	case stamp:
		return v.time()
	case []string:
		text, _ := json.Marshal(v) // texts can be written
		return json.RawMessage(text)
	default:
		return v
	}
}
