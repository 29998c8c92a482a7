package marketosim

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/martsync/martsync/simulate"
)

// An export is what a bulk extract job was asked for, and the account it reads.
type export struct {
	object  string
	format  string
	columns []string // of the file, in order
	headers []string
	style   fileStyle
	trap    trap
	from    int64 // of the date range, both inclusive
	to      int64
	field   string // "createdAt" or "updatedAt"; "": no range
	list    int64  // static list or 0
	types   map[int64]bool
	ids     []int64  // primaryAttributeValueIds
	names   []string // primaryAttributeValues
	program []int64
	status  []string
	done    *bool

	st   *state
	asOf int64 // when processing started
}

// createRequest is the body of create. (Marketo REST API, Bulk Extract)
type createRequest struct {
	Fields  []string                   `json:"fields"`
	Format  string                     `json:"format"`
	Headers map[string]string          `json:"columnHeaderNames"`
	Filter  map[string]json.RawMessage `json:"filter"`
}

// A refusal is an error reply.
type refusal struct{ code, message string }

func refuse(code, format string, args ...any) *refusal {
	return &refusal{code, fmt.Sprintf(format, args...)}
}

var activityColumns = []string{"marketoGUID", "leadId", "activityDate", "activityTypeId", "campaignId", "primaryAttributeValueId", "primaryAttributeValue", "attributes"}

// newExport checks a create request. (Marketo REST API, Bulk Lead Extract, Bulk Activity Extract,
// Bulk Program Member Extract, Bulk Custom Object Extract)
func (s *Server) newExport(object string, st *state, body []byte) (*export, *refusal) {
	var r createRequest
	if err := json.Unmarshal(body, &r); err != nil {
		return nil, refuse("609", "Invalid JSON")
	}
	x := &export{object: object, format: r.Format, columns: r.Fields, style: fileStyle{delimiter: ',', always: s.cfg.QuoteAlways, newline: s.cfg.Newline}}
	switch strings.ToUpper(r.Format) {
	case "", "CSV":
		x.format = "CSV"
	case "TSV":
		x.format, x.style.delimiter = "TSV", '\t'
	case "SSV":
		x.format, x.style.delimiter = "SSV", ';'
	default:
		return nil, refuse("1003", "Invalid value specified for attribute 'format'")
	}
	var known func(string) bool
	switch object {
	case "leads":
		known = func(name string) bool { f := st.field(name); return f != nil && f.Exportable() }
	case "activities":
		if len(r.Fields) == 0 {
			x.columns = activityColumns
		}
		known = func(name string) bool { return name == "actionResult" || slices.Contains(activityColumns, name) }
	case "program/members":
		x.style.bits = s.cfg.BitBools
		known = func(name string) bool { return memberField(name) != nil }
	default:
		known = func(name string) bool { return objectField(name) != nil }
	}
	if len(x.columns) == 0 {
		return nil, refuse("1003", "Invalid fields: fields cannot be blank")
	}
	for _, f := range x.columns {
		if !known(f) {
			return nil, refuse("1003", "Invalid fields: %s", f)
		}
	}
	if bad := s.filter(x, st, r.Filter); bad != nil {
		return nil, bad
	}
	if object == "program/members" && r.Filter["programIds"] != nil && !slices.Contains(x.columns, "programId") {
		x.columns = slices.Insert(slices.Clone(x.columns), 0, "programId")
	}
	for name := range r.Headers {
		if !slices.Contains(x.columns, name) {
			return nil, refuse("1003", "Invalid columnHeaderNames: %s", name)
		}
	}
	x.headers = slices.Clone(x.columns)
	for i, c := range x.columns {
		if h := r.Headers[c]; h != "" {
			x.headers[i] = h
		}
	}
	return x, nil
}

var errFilter = &refusal{"1003", "Invalid value specified for attribute 'filter'"}

// exclusive are the filters of which leads and custom objects take exactly one.
var exclusive = []string{"createdAt", "updatedAt", "staticListId", "staticListName", "smartListId", "smartListName"}

func (s *Server) filter(x *export, st *state, filter map[string]json.RawMessage) *refusal {
	ones := 0
	for name, p := range filter {
		var bad *refusal
		switch {
		case slices.Contains(exclusive, name) && x.object != "activities":
			ones++
			bad = s.exclusiveFilter(x, st, name, p)
		case x.object == "activities":
			bad = s.activityFilter(x, name, p)
		case x.object == "program/members":
			bad = s.memberFilter(x, st, name, p)
		default:
			bad = errFilter
		}
		if bad != nil {
			return bad
		}
	}
	switch x.object {
	case "activities":
		switch {
		case x.field == "":
			return refuse("1003", "Invalid filter: createdAt is required")
		case (x.ids != nil || x.names != nil) && len(x.types) == 0, x.ids != nil && x.names != nil:
			return errFilter
		}
	case "program/members":
		if (filter["programId"] == nil) == (filter["programIds"] == nil) {
			return refuse("1003", "Invalid filter: one of programId and programIds is required")
		}
	default:
		if ones != 1 {
			return refuse("1003", "Invalid filter: exactly one filter is required, there are %d", ones)
		}
	}
	return nil
}

func (s *Server) exclusiveFilter(x *export, st *state, name string, p json.RawMessage) *refusal {
	switch name {
	case "createdAt":
		if x.object != "leads" {
			return errFilter
		}
		return s.dateRange(x, name, p)
	case "updatedAt":
		if s.cfg.NoUpdatedAt && (x.object == "leads" || x.object == "program/members") {
			return refuse("1035", "Unsupported filter type for target subscription: %s", name)
		}
		return s.dateRange(x, name, p)
	case "staticListId":
		if json.Unmarshal(p, &x.list) != nil || find(st.lists, x.list) == nil || find(st.lists, x.list).gone {
			return refuse("1003", "Invalid staticListId")
		}
	case "staticListName":
		var want string
		_ = json.Unmarshal(p, &want) // anything else finds nothing
		for _, l := range st.lists {
			if !l.gone && l.rec.get("name") == want {
				x.list = l.id
			}
		}
		if x.list == 0 {
			return refuse("1003", "Invalid staticListName")
		}
	default:
		if !s.cfg.SmartLists {
			return refuse("1035", "Unsupported filter type for target subscription: %s", name)
		}
		x.list = -1 // every lead: the rules of smart lists are not simulated
	}
	return nil
}

func (s *Server) activityFilter(x *export, name string, p json.RawMessage) *refusal {
	switch name {
	case "createdAt":
		return s.dateRange(x, name, p)
	case "activityTypeIds":
		var ids []int64
		if json.Unmarshal(p, &ids) != nil {
			return errFilter
		}
		x.types = make(map[int64]bool, len(ids))
		for _, id := range ids {
			if id == typeDeleteLead {
				return refuse("1003", "Invalid activityTypeIds: %d is not supported", id)
			}
			x.types[id] = true
		}
	case "primaryAttributeValueIds":
		if json.Unmarshal(p, &x.ids) != nil || len(x.ids) > 50 {
			return errFilter
		}
	case "primaryAttributeValues":
		if json.Unmarshal(p, &x.names) != nil || len(x.names) > 50 {
			return errFilter
		}
	default:
		return errFilter
	}
	return nil
}

// dateRange reads {"startAt":…,"endAt":…}: both inclusive, seconds, at most 31 days.
// (Marketo REST API, Bulk Extract)
func (s *Server) dateRange(x *export, field string, p json.RawMessage) *refusal {
	var r struct{ StartAt, EndAt string }
	if json.Unmarshal(p, &r) != nil || r.StartAt == "" || r.EndAt == "" {
		return errFilter
	}
	var bad *refusal
	if x.from, bad = s.moment(r.StartAt); bad != nil {
		return bad
	}
	if x.to, bad = s.moment(r.EndAt); bad != nil {
		return bad
	}
	switch {
	case x.to < x.from:
		return refuse("1003", "Invalid date range: endAt is before startAt")
	case x.to-x.from > 31*daySecs:
		return refuse("1003", "Invalid date range: %s cannot span more than 31 days", field)
	}
	x.field = field
	return nil
}

func (s *Server) moment(text string) (int64, *refusal) {
	t, ok := parseTime(text)
	if !ok || t.Nanosecond() != 0 || s.cfg.ForbidMillis && strings.Contains(text, ".") {
		return 0, refuse("1003", "Invalid date: %s", text)
	}
	return t.Unix(), nil
}

// parseTime reads ISO 8601; without a zone it is GMT.
func parseTime(text string) (time.Time, bool) {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05-0700", "2006-01-02T15:04:05", time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC(), true
		}
	}
	return time.Time{}, false
}

func (st *state) field(name string) *Field {
	for _, f := range st.fields {
		if f.Name == name && !f.NoREST {
			return f
		}
	}
	return nil
}

// prepare keeps the account as it is when a job starts.
func (s *Server) prepare(j *simulate.Job) {
	x := j.Spec.(*export)
	x.st = s.state.Load()
	x.asOf = j.StartedAt.Unix()
}

// makeFile learns size and hash of a job's file.
func (s *Server) makeFile(j *simulate.Job) (*simulate.File, error) {
	x := j.Spec.(*export)
	return simulate.NewFile(s.generator(x))
}

func (s *Server) generator(x *export) simulate.Generator {
	switch x.object {
	case "leads":
		return func(from simulate.Mark, emit func(simulate.Mark, []byte) error) error {
			return s.leadRows(x, newSink(s, x, from, emit))
		}
	case "activities":
		return func(from simulate.Mark, emit func(simulate.Mark, []byte) error) error {
			return s.activityRows(x, newSink(s, x, from, emit))
		}
	case "program/members":
		return func(from simulate.Mark, emit func(simulate.Mark, []byte) error) error {
			return s.memberRows(x, newSink(s, x, from, emit))
		}
	}
	return func(from simulate.Mark, emit func(simulate.Mark, []byte) error) error {
		return s.objectRows(x, newSink(s, x, from, emit))
	}
}

// leadRows writes leads in the order of their ids.
func (s *Server) leadRows(x *export, k *sink) error {
	fields := make([]*Field, len(x.columns))
	for i, c := range x.columns {
		fields[i] = x.st.field(c)
	}
	low, high := int64(0), x.st.total
	if x.field == "createdAt" {
		low = search(high, func(i int64) bool { return x.st.created(i) >= x.from })
		high = search(high, func(i int64) bool { return x.st.created(i) > x.to })
	}
	var l lead
	for i := max(low, k.pos[0]); i < high; i++ {
		if !x.st.lead(&l, i) {
			continue
		}
		// The filter looks at the latest change of any field, which is not always the
		// updatedAt that the file shows. (Marketo REST API, Bulk Lead Extract)
		if x.field == "updatedAt" && (l.changed < x.from || l.changed > x.to) || x.list > 0 && !x.st.inList(x.list, i) {
			continue
		}
		b := k.begin()
		for c, f := range fields {
			if c > 0 {
				b = append(b, x.style.delimiter)
			}
			b = l.value(f).appendCell(b, &x.style)
		}
		if err := k.end(b, [3]int64{i + 1}); err != nil {
			return err
		}
	}
	return k.close()
}

// activityRows writes activities in the order of the log.
func (s *Server) activityRows(x *export, k *sink) error {
	c := newWalk(x.st, s.types, x.from)
	if k.pos != [3]int64{} {
		c.at = k.pos
		c.peek(0, 1, 2)
	}
	columns := make([]int, len(x.columns))
	for i, name := range x.columns {
		columns[i] = slices.Index(activityColumns, name)
	}
	var a activity
	var object, cell []byte
	for c.next(&a, x.to+1) {
		if !s.shown(&a, x.asOf) || a.typ.id == typeDeleteLead || x.types != nil && !x.types[a.typ.id] || !x.primary(&a) {
			continue
		}
		b := k.begin()
		for i, column := range columns {
			if i > 0 {
				b = append(b, x.style.delimiter)
			}
			v := value{}
			switch column {
			case 0:
				cell = a.guid(cell[:0])
				if !x.style.always {
					b = append(b, cell...)
					continue
				}
				v = text(string(cell))
			case 1:
				v = integer(x.st.leadID(&a))
			case 2:
				v = stamp(a.date)
			case 3:
				v = integer(a.typ.id)
			case 4:
				if a.campaign != 0 {
					v = integer(a.campaign)
				}
			case 5:
				if a.hasID {
					v = integer(a.id)
				}
			case 6:
				v = a.pv
			case 7:
				object = a.appendObject(object[:0], s.world)
				if len(object) == 2 && !x.style.always {
					b = append(b, object...)
				} else {
					b = appendDoubled(b, object)
				}
				continue
			default:
				v = a.result()
			}
			b = v.appendCell(b, &x.style)
		}
		if err := k.end(b, c.at); err != nil {
			return err
		}
	}
	return k.close()
}

func (x *export) primary(a *activity) bool {
	switch {
	case x.ids != nil:
		return a.hasID && slices.Contains(x.ids, a.id)
	case x.names != nil:
		pv := a.pv.String()
		return slices.ContainsFunc(x.names, func(n string) bool { return n == pv || strings.HasSuffix(n, "."+pv) })
	}
	return true
}
