package pardotsim

import (
	"slices"
	"strconv"
	"strings"
)

// The forms in which version 4 shows records. (Account Engagement API, Version 4, Using the API)
const (
	outputFull   = "full"
	outputSimple = "simple"
	outputMobile = "mobile"
	outputBulk   = "bulk"
)

// maxLimit4 is the most rows of a page.
const maxLimit4 = 200

// A refusal is an error reply.
type refusal struct {
	code    int
	message string
}

// A filter4 turns a parameter of a query into conditions.
type filter4 func(c *caller, value string, q *query) *refusal

// always are the parameters that every query takes and that select nothing.
var always = []string{"format", "output", "limit", "offset", "sort_by", "sort_order", "api_key", "user_key", "fields"}

// serveQuery answers a query of any object. (Account Engagement API, Version 4)
func serveQuery(s *Server, c *caller, o *object4) {
	q, bad := s.query4(c, o)
	if bad != nil {
		c.fail4(bad.code, bad.message)
		return
	}
	output := c.output()
	fields, bad := o.wanted(q.table, c.q.Get("fields"))
	if bad != nil {
		c.fail4(bad.code, bad.message)
		return
	}
	q.count = output != outputBulk
	found := s.find(*q)
	records := make(repeated, 0, len(found.rows))
	for _, r := range found.rows {
		records = append(records, o.record(c, r, output, fields, false))
	}
	if output != outputBulk {
		c.send4(element{"result", tree{{"total_results", int64(found.total)}, {o.key, records}}})
		return
	}
	// The result of a bulk query never tells a total, and may be null without rows.
	if len(records) == 0 && s.cfg.NullResult {
		c.send4(element{"result", nil})
		return
	}
	c.send4(element{"result", tree{{o.key, records}}})
}

// output is the form asked for.
func (c *caller) output() string {
	switch o := strings.ToLower(c.q.Get("output")); o {
	case outputSimple, outputMobile, outputBulk:
		return o
	default:
		return outputFull
	}
}

// query4 reads the parameters of a query.
func (s *Server) query4(c *caller, o *object4) (*query, *refusal) {
	st := s.state.Load()
	q := &query{table: st.byName[o.table], state: st, bin: binHidden, limit: maxLimit4}
	known, unknown := 0, 0
	for name, values := range c.q {
		value := values[len(values)-1]
		if slices.Contains(always, name) {
			continue
		}
		f := o.filters[name]
		if f == nil {
			unknown++
			continue
		}
		known++
		if bad := f(c, value, q); bad != nil {
			return nil, bad
		}
	}
	// An unknown parameter is ignored beside known ones, as far as anybody has seen.
	if unknown > 0 && (known == 0 || s.cfg.RefuseUnknown) {
		return nil, &refusal{5, "No valid search parameters were provided"}
	}
	for _, field := range []string{"createdAt", "updatedAt"} {
		if reversed(q, field) {
			return nil, &refusal{8, "The start date is later than the end date"}
		}
	}
	if o.implied != nil {
		o.implied(c, q)
	}
	if bad := s.page4(c, o, q); bad != nil {
		return nil, bad
	}
	return q, nil
}

// reversed reports whether a range of a time ends before it begins.
func reversed(q *query, field string) bool {
	var after, before stamp
	var a, b bool
	for _, w := range q.where {
		if t, ok := w.value.(stamp); ok && w.field == field {
			switch w.op {
			case greater:
				after, a = t, true
			case less:
				before, b = t, true
			default:
			}
		}
	}
	return a && b && after > before
}

// page4 reads limit, offset and order.
func (s *Server) page4(c *caller, o *object4, q *query) *refusal {
	if text := c.q.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		switch {
		case err != nil || n < 1:
			return &refusal{23, "Invalid limit"}
		case n > maxLimit4 && o.strict && s.cfg.RefuseLimit:
			return &refusal{23, "Invalid limit: it cannot be larger than 200"}
		}
		q.limit = min(n, maxLimit4)
	}
	if text := c.q.Get("offset"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			return &refusal{21, "Invalid offset"}
		}
		q.offset = n
	}
	direction := strings.ToLower(c.q.Get("sort_order"))
	if direction != "" && direction != "ascending" && direction != "descending" {
		return &refusal{20, "Invalid sort_order"}
	}
	by := c.q.Get("sort_by")
	if by == "" {
		by = o.standard()
	}
	names := strings.Split(by, ",")
	switch {
	case len(names) > 2:
		return &refusal{133, "Cannot sort by more than 2 fields"}
	case len(names) == 2 && names[0] != "id" && names[1] != "id":
		return &refusal{134, "One of two sort fields must be id"}
	}
	for _, name := range names {
		name = strings.TrimSpace(name)
		if !slices.Contains(o.sorts, name) {
			return &refusal{19, "Invalid sort_by"}
		}
		q.order = append(q.order, sorting{field: o.field(q.table, name), desc: direction == "descending" || direction == "" && o.descends(name)})
	}
	return nil
}

// standard is the order of a query that asks for none. It is not that of ids everywhere.
func (o *object4) standard() string {
	if o.strict && slices.Contains(o.sorts, "created_at") {
		return "created_at"
	}
	return "id"
}

// descends reports whether an order without direction is descending.
func (o *object4) descends(name string) bool {
	switch name {
	case "id", "name":
		return false
	case "updated_at":
		return o.path != "prospectAccount"
	}
	return true
}

// field is the column behind a name of version 4.
func (o *object4) field(t *table, name string) string {
	switch name {
	case "created_at":
		return "createdAt"
	case "updated_at":
		return "updatedAt"
	}
	if c := t.column4(name); c != nil {
		return c.name
	}
	return name
}

// The filters of version 4. Bounds are exclusive on both sides.

func byTime(field string, op operator) filter4 {
	return func(c *caller, value string, q *query) *refusal {
		t, ok := gnuDate(value, c.now, c.zone, c.s.cfg.LaterHour)
		if !ok {
			return &refusal{7, "Invalid timestamp"}
		}
		at := t.Unix()
		if op == less && t.Nanosecond() > 0 {
			at++
		}
		q.where = append(q.where, condition{field, op, stamp(at)})
		return nil
	}
}

func byNumber(field string, op operator, code int) filter4 {
	return func(_ *caller, value string, q *query) *refusal {
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil {
			return &refusal{code, messageOf(code)}
		}
		q.where = append(q.where, condition{field, op, n})
		return nil
	}
}

func byAmount(field string, op operator) filter4 {
	return func(_ *caller, value string, q *query) *refusal {
		n, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return &refusal{52, "Parameter out of range"}
		}
		q.where = append(q.where, condition{field, op, n})
		return nil
	}
}

func byText(field string) filter4 {
	return func(_ *caller, value string, q *query) *refusal {
		q.where = append(q.where, condition{field, equal, value})
		return nil
	}
}

// byNumbers takes a list of numbers with commas.
func byNumbers(field string, code int) filter4 {
	return func(_ *caller, value string, q *query) *refusal {
		var list []any
		for s := range strings.SplitSeq(value, ",") {
			n, err := strconv.ParseInt(strings.TrimSpace(s), 10, 64)
			if err != nil {
				return &refusal{code, messageOf(code)}
			}
			list = append(list, n)
		}
		q.where = append(q.where, condition{field, among, list})
		return nil
	}
}

// bySet selects records by whether they have a value.
func bySet(field string, code int) filter4 {
	return func(_ *caller, value string, q *query) *refusal {
		on, ok := boolean(value)
		if !ok {
			return &refusal{code, messageOf(code)}
		}
		op := isNull
		if on {
			op = notNull
		}
		q.where = append(q.where, condition{field: field, op: op})
		return nil
	}
}

// byPresence selects records with a value if the parameter is true, and all if it is false.
func byPresence(field string) filter4 {
	return func(_ *caller, value string, q *query) *refusal {
		on, ok := boolean(value)
		if !ok {
			return &refusal{50, "Invalid boolean"}
		}
		if on {
			q.where = append(q.where, condition{field: field, op: notNull})
		}
		return nil
	}
}

func byFlag(field string) filter4 {
	return func(_ *caller, value string, q *query) *refusal {
		on, ok := boolean(value)
		if !ok {
			return &refusal{50, "Invalid boolean"}
		}
		q.where = append(q.where, condition{field, equal, on})
		return nil
	}
}

// byBin selects the recycle bin.
func byBin(_ *caller, value string, q *query) *refusal {
	switch strings.ToLower(value) {
	case "true":
		q.bin = binOnly
	case "false":
		q.bin = binHidden
	default:
		return &refusal{27, "deleted must be true or false"}
	}
	return nil
}

func boolean(value string) (on, ok bool) {
	switch strings.ToLower(value) {
	case "true", "1":
		return true, true
	case "false", "0":
		return false, true
	}
	return false, false
}

func messageOf(code int) string {
	if m := messages[strconv.Itoa(code)]; m != "" {
		return m
	}
	return "Invalid parameter"
}
