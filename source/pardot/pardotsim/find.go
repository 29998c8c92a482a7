package pardotsim

import (
	"cmp"
	"iter"
	"slices"
	"strings"
)

// A bin says which of a table's records a query is about.
type bin int

const (
	binHidden bin = iota // those outside of the recycle bin
	binOnly              // those in the recycle bin
	binShown             // both
)

// An operator compares a field with a value.
type operator int

const (
	equal operator = iota
	greater
	atLeast
	less
	atMost
	isNull
	notNull
	among // value is []any
)

// A condition is one filter of a query. Its value has the type that record.get returns for the
// field: int64 for numbers, stamp for times, string for texts (compared without regard to case).
type condition struct {
	field string // as for record.get
	op    operator
	value any
}

// A sorting is one field that a query is ordered by.
type sorting struct {
	field string
	desc  bool
}

// A query selects records of a table.
type query struct {
	table  *table
	state  *state // nil: the present
	where  []condition
	bin    bin
	order  []sorting // none: by id
	offset int
	limit  int  // 0: no limit
	count  bool // total is wanted, which costs a look at every record

	// keep is a further condition that no operator tells; nil: none. Its record is borrowed.
	keep func(r *record) bool

	// after continues behind a record in the order of the query; nil: from the beginning.
	after *place
}

// A place is where a page ended: the values it was ordered by.
type place struct {
	keys []any
	id   int64
}

// found is the answer to a query.
type found struct {
	rows  []*record
	total int  // of all records the conditions select, whatever offset, limit and after; −1: not counted
	more  bool // there are records behind the last one
}

// find answers a query.
func (s *Server) find(q query) found {
	out := found{total: -1}
	total := 0
	order := q.order
	if len(order) == 0 {
		order = []sorting{{field: "id"}}
	}
	if order[0].field == "id" {
		if q.after != nil {
			op := greater
			if order[0].desc {
				op = less
			}
			last := q.after.id
			behind := condition{"id", op, last}
			if !q.count {
				q.where = append(slices.Clip(q.where), behind)
			} else {
				next, all := q.keep, behind.match
				q.keep = func(r *record) bool {
					if next != nil && !next(r) {
						return false
					}
					if all(r) {
						return true
					}
					total++
					return false
				}
			}
		}
		skip := q.offset
		for r := range s.walk(q, order[0].desc) {
			total++
			switch {
			case skip > 0:
				skip--
			case q.limit == 0 || len(out.rows) < q.limit:
				c := *r
				out.rows = append(out.rows, &c)
			default:
				out.more = true
				if !q.count {
					return out
				}
			}
		}
		if q.count {
			out.total = total
		}
		return out
	}
	return s.sorted(q, order)
}

// sorted answers a query that is not ordered by id.
func (s *Server) sorted(q query, order []sorting) found {
	type keyed struct {
		keys []any
		i    int64
		id   int64
	}
	var list []keyed
	compareTo := func(a []any, aID int64, b []any, bID int64) int {
		for n, o := range order {
			d := cmp.Compare(aID, bID)
			if o.field != "id" {
				d = compare(a[n], b[n])
			}
			if o.desc {
				d = -d
			}
			if d != 0 {
				return d
			}
		}
		return cmp.Compare(aID, bID)
	}
	total := 0
	for r := range s.walk(q, false) {
		total++
		keys := make([]any, len(order))
		for n, o := range order {
			if o.field != "id" {
				keys[n] = r.get(o.field)
			}
		}
		if q.after != nil && compareTo(keys, r.id, q.after.keys, q.after.id) <= 0 {
			continue
		}
		list = append(list, keyed{keys, r.i, r.id})
	}
	slices.SortFunc(list, func(a, b keyed) int { return compareTo(a.keys, a.id, b.keys, b.id) })
	out := found{total: -1}
	if q.count {
		out.total = total
	}
	list = list[min(q.offset, len(list)):]
	if q.limit > 0 && len(list) > q.limit {
		out.more, list = true, list[:q.limit]
	}
	st := s.stateOf(q)
	for _, k := range list {
		out.rows = append(out.rows, st.at(q.table, k.i))
	}
	return out
}

func (s *Server) stateOf(q query) *state {
	if q.state != nil {
		return q.state
	}
	return s.state.Load()
}

// placeOf is where a page that ended with r has ended.
func placeOf(r *record, order []sorting) *place {
	p := &place{id: r.id}
	for _, o := range order {
		if o.field == "id" {
			p.keys = append(p.keys, nil)
		} else {
			p.keys = append(p.keys, r.get(o.field))
		}
	}
	return p
}

// each yields all records a query selects, in the order of their ids, whatever order, offset and limit it
// names. The record is borrowed until the next one.
func (s *Server) each(q query) iter.Seq[*record] { return s.walk(q, false) }

// walk yields the records that the conditions of a query select, by id. The record is borrowed.
func (s *Server) walk(q query, desc bool) iter.Seq[*record] {
	return func(yield func(*record) bool) {
		st, t := s.stateOf(q), q.table
		o := st.overlays[t.name]
		all := t.n + int64(len(o.extra))
		first, last, base := int64(0), all, t.n
		from := int64(0) // of the records of the start; those created since may be dated back
		var rest []condition
		for _, c := range q.where {
			n, isInt := c.value.(int64)
			at, isTime := c.value.(stamp)
			switch {
			case c.field == "id" && isInt && c.op == equal:
				first = max(first, t.index(n))
				last = min(last, t.index(n+1))
			case c.field == "id" && isInt && c.op == greater:
				first = max(first, t.index(n+1))
			case c.field == "id" && isInt && c.op == atLeast:
				first = max(first, t.index(n))
			case c.field == "id" && isInt && c.op == less:
				last = min(last, t.index(n))
			case c.field == "id" && isInt && c.op == atMost:
				last = min(last, t.index(n+1))
			case c.field == "createdAt" && isTime && (c.op == greater || c.op == atLeast):
				from = max(from, t.firstCreated(int64(at)))
				rest = append(rest, c)
			case c.field == "createdAt" && isTime && (c.op == less || c.op == atMost):
				base = min(base, t.firstCreated(int64(at)+1))
				rest = append(rest, c)
			default:
				rest = append(rest, c)
			}
		}
		var r record
		look := func(i int64) bool { // reports whether to go on
			if !st.fillFrom(&r, t, o, i) || r.gone || q.bin == binHidden && r.deleted || q.bin == binOnly && !r.deleted {
				return true
			}
			for n := range rest {
				if !rest[n].match(&r) {
					return true
				}
			}
			if q.keep != nil && !q.keep(&r) {
				return true
			}
			return yield(&r)
		}
		first = max(first, 0)
		if desc {
			for i := last - 1; i >= first; i-- {
				if i < t.n && i >= base {
					i = base
					continue
				}
				if i < from || !look(i) {
					return
				}
			}
			return
		}
		for i := max(first, min(from, t.n)); i < last; i++ {
			if i < t.n && i >= base {
				i = t.n - 1
				continue
			}
			if !look(i) {
				return
			}
		}
	}
}

// match reports whether a record satisfies the condition. Times and ids, by which most queries go,
// are compared without a detour.
func (c *condition) match(r *record) bool {
	var n, m int64
	switch v := c.value.(type) {
	case stamp:
		switch c.field {
		case "updatedAt":
			n, m = r.updated, int64(v)
		case "createdAt":
			n, m = r.created, int64(v)
		default:
			return c.matchValue(r.get(c.field))
		}
	case int64:
		if c.field != "id" {
			return c.matchValue(r.get(c.field))
		}
		n, m = r.id, v
	default:
		return c.matchValue(r.get(c.field))
	}
	return c.holds(cmp.Compare(n, m))
}

func (c *condition) matchValue(v any) bool {
	switch c.op {
	case isNull:
		return v == nil
	case notNull:
		return v != nil
	case among:
		list, _ := c.value.([]any)
		return v != nil && slices.ContainsFunc(list, func(w any) bool { return compare(v, w) == 0 })
	default:
		return v != nil && c.holds(compare(v, c.value))
	}
}

// holds reports whether the operator is satisfied by a comparison of field and value.
func (c *condition) holds(d int) bool {
	switch c.op {
	case equal:
		return d == 0
	case greater:
		return d > 0
	case atLeast:
		return d >= 0
	case less:
		return d < 0
	case atMost:
		return d <= 0
	case isNull, notNull, among:
	}
	return false
}

// compare orders two values of one field; null is before everything.
func compare(a, b any) int {
	switch a := a.(type) {
	case int64:
		if b, ok := b.(int64); ok {
			return cmp.Compare(a, b)
		}
	case stamp:
		if b, ok := b.(stamp); ok {
			return cmp.Compare(a, b)
		}
	case float64:
		if b, ok := b.(float64); ok {
			return cmp.Compare(a, b)
		}
	case string:
		if b, ok := b.(string); ok {
			return strings.Compare(strings.ToLower(a), strings.ToLower(b))
		}
	case bool:
		if b, ok := b.(bool); ok {
			switch {
			case a == b:
				return 0
			case a:
				return 1
			}
			return -1
		}
	}
	switch {
	case a == nil && b == nil:
		return 0
	case a == nil:
		return -1
	}
	return 1
}

// table returns a table by its name ("visitor_activities") or by its collection in version 5
// ("visitor-activities"); nil if there is none.
func (s *Server) table(name string) *table { return s.state.Load().byName[name] }

// get returns a record by its id; nil if there is none that the bin admits.
func (s *Server) get(table string, id int64, b bin) *record {
	st := s.state.Load()
	t := st.byName[table]
	if t == nil {
		return nil
	}
	r := st.byID(t, id)
	if r == nil || b == binHidden && r.deleted || b == binOnly && !r.deleted {
		return nil
	}
	return r
}
