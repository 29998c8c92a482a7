package pardotsim

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// serveV5 answers a call of version 5 about objects. (Account Engagement API, Version 5 Overview)
func (s *Server) serveV5(c *caller, collection string, rest []string) {
	st := s.cached()
	t := st.byName[collection]
	switch {
	case t == nil || t.path != collection || len(rest) > 2:
		c.fail5(198, "The requested endpoint could not be found.")
		return
	case c.r.Method != http.MethodGet:
		c.fail5(60, "Invalid HTTP request method.") // nothing here writes
		return
	case collection == "account":
		if len(rest) > 0 {
			c.fail5(198, "The requested endpoint could not be found.")
			return
		}
		s.account5(c, st, t)
		return
	case len(rest) == 0:
		s.query5(c, st, t)
		return
	}
	id, err := strconv.ParseInt(rest[0], 10, 64)
	switch {
	case err != nil:
		c.fail5(16, "Invalid ID.")
	case len(rest) == 2 && collection == "list-emails" && rest[1] == "stats":
		s.stats5(c, st, t, id)
	case len(rest) == 2:
		c.fail5(198, "The requested endpoint could not be found.")
	default:
		s.read5(c, st, t, id)
	}
}

// cached is the state that version 5 shows, which may be some seconds old.
func (s *Server) cached() *state {
	st := s.state.Load()
	lag := int64(s.cfg.CacheLag / time.Second)
	if lag == 0 || st.since+lag <= s.now() {
		return st
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, old := range slices.Backward(s.past) {
		st = old
		if old.since+lag <= s.now() {
			break
		}
	}
	return st
}

// masked reports whether this account does not know a field that others do.
func (s *Server) masked(t *table, field string) bool {
	return slices.Contains(s.cfg.MaskedFields, t.name+"."+field) || slices.Contains(s.cfg.MaskedFields, t.path+"."+field)
}

// fields5 reads the fields parameter; on an error it answers itself and returns nil.
func (s *Server) fields5(c *caller, st *state, t *table, byID bool) *shape {
	list := c.q.Get("fields")
	if list == "" {
		c.fail5(13, "One or more required parameters are missing: fields")
		return nil
	}
	out := &shape{}
	for field := range strings.SplitSeq(list, ",") {
		field = strings.TrimSpace(field)
		path, column := s.resolve(st, t, field, byID)
		switch {
		case column == nil:
			c.fail5(51, "Invalid parameter: fields. It contains an invalid or unknown field: "+field+".")
			return nil
		case column.byID && !byID:
			c.fail5(224, "One or more fields cannot be queried: "+field+".")
			return nil
		}
		out.add(strings.Split(field, "."), path, column)
	}
	return out
}

// relations are the fields behind which dots lead to other objects.
var relations = map[string]string{
	"campaign": "campaigns", "parentCampaign": "campaigns", "folder": "folders", "parentFolder": "folders", "prospect": "prospects", "visitor": "visitors", "visit": "visits",
	"list": "lists", "tag": "tags", "email": "emails", "listEmail": "list_emails", "emailTemplate": "email_templates", "form": "forms", "formHandler": "form_handlers",
	"landingPage": "landing_pages", "file": "files", "customRedirect": "custom_redirects", "opportunity": "opportunities", "prospectAccount": "prospect_accounts",
	"lifecycleStage": "lifecycle_stages", "layoutTemplate": "layout_templates", "trackerDomain": "tracker_domains", "dynamicContent": "dynamic_contents",
	"createdBy": "users", "updatedBy": "users", "assignedTo": "users", "user": "users",
}

// resolve finds the column that a field names, and the columns of ids that lead to its table: dots
// lead at most three objects deep.
func (s *Server) resolve(st *state, t *table, field string, byID bool) (path []*column, _ *column) {
	for range 4 {
		if c := t.byName[field]; c != nil && !c.only4 && !s.masked(t, field) {
			return path, c
		}
		name, rest, dotted := strings.Cut(field, ".")
		id := t.byName[name+"Id"]
		if !dotted || relations[name] == "" || id == nil || byID && len(path) > 2 {
			return nil, nil
		}
		path = append(path, id)
		t, field = st.byName[relations[name]], rest
	}
	return nil, nil
}

// A paging is what a query asks for and its page tokens hold.
type paging struct {
	Path    string              `json:"p"`
	Order   string              `json:"o,omitempty"`
	Deleted string              `json:"d,omitempty"`
	Limit   int                 `json:"l"`
	Offset  int                 `json:"f,omitempty"`
	Filters map[string][]string `json:"w,omitempty"`
	Keys    []any               `json:"k,omitempty"` // where the page before ended
	After   int64               `json:"a,omitempty"`
	Count   int                 `json:"c,omitempty"` // records so far
	Ends    int64               `json:"e,omitempty"`
	Seal    string              `json:"s,omitempty"`
}

const maxFilters = 3

// query5 answers a query of a collection.
func (s *Server) query5(c *caller, st *state, t *table) {
	fields := s.fields5(c, st, t, false)
	if fields == nil {
		return
	}
	p := paging{Path: t.path, Limit: 200}
	if token := c.q.Get("nextPageToken"); token != "" {
		if !s.resume5(c, t, token, &p) {
			return
		}
	} else if !s.parameters5(c, t, &p) {
		return
	}
	q := query{table: t, state: st, limit: p.Limit, offset: p.Offset}
	order, ok := s.order5(t, p.Order)
	if !ok {
		c.fail5(19, "Invalid orderBy: "+p.Order+".")
		return
	}
	q.order = order
	q.bin = map[string]bin{"": binHidden, "false": binHidden, "true": binOnly, "all": binShown}[p.Deleted]
	for _, name := range sortedKeys(p.Filters) {
		cond, code, why := s.filter5(t, name, p.Filters[name][0])
		if code != 0 {
			c.fail5(code, why)
			return
		}
		q.where = append(q.where, cond)
	}
	if p.Count > 0 {
		q.after, q.offset = p.place(t, order), 0
	}
	left := max(s.cfg.Sequence-p.Count, 0)
	cut := left <= q.limit
	q.limit = min(q.limit, max(left, 1))
	found := s.find(q)
	next := ""
	if found.more {
		if cut {
			c.w.Header().Set("Pardot-Warning", "203;Record count for nextPageToken sequence has been exceeded. No page token returned.")
		} else {
			last := found.rows[len(found.rows)-1]
			p.after(last, order)
			p.Count += len(found.rows)
			p.Ends = s.now() + int64(s.cfg.PageLife/time.Second)
			next = s.seal(&p)
		}
	}
	b := make([]byte, 0, 64+len(found.rows)*len(fields.members)*24)
	b = append(b, `{"nextPageToken":`...)
	if next == "" {
		b = append(b, `null,"nextPageUrl":null,"values":[`...)
	} else {
		b = appendText(b, next)
		b = append(b, `,"nextPageUrl":`...)
		values := url.Values{"fields": {c.q.Get("fields")}, "nextPageToken": {next}}
		b = appendText(b, c.baseURL()+"/api/v5/objects/"+t.path+"?"+values.Encode())
		b = append(b, `,"values":[`...)
	}
	for i, r := range found.rows {
		if i > 0 {
			b = append(b, ',')
		}
		b = fields.append(b, r, c.zone)
	}
	c.send5(append(b, "]}"...))
}

// parameters5 reads the parameters of a query without token into p; on an error it answers itself.
func (s *Server) parameters5(c *caller, t *table, p *paging) bool {
	p.Filters = make(map[string][]string)
	distinct := make(map[string]bool)
	for _, name := range sortedKeys(c.q) {
		value := c.q.Get(name)
		switch name {
		case "fields":
		case "limit":
			n, err := strconv.Atoi(value)
			switch {
			case err != nil || n < 1:
				return c.refuse(23, "Invalid limit: "+value+".")
			case n > 1000 && !s.cfg.ClampLimit:
				return c.refuse(52, "Parameter limit is out of range: it cannot be larger than 1000.")
			}
			p.Limit = min(n, 1000)
		case "offset":
			n, err := strconv.Atoi(value)
			if err != nil || n < 0 || n > 2000 {
				return c.refuse(21, "Invalid offset: "+value+".")
			}
			p.Offset = n
		case "orderBy":
			p.Order = value
		case "deleted":
			if value != "true" && value != "false" && value != "all" {
				return c.refuse(27, "Invalid deleted: it must be true, false or all.")
			}
			p.Deleted = value
		default:
			cond, code, why := s.filter5(t, name, value)
			if code != 0 {
				return c.refuse(code, why)
			}
			p.Filters[name] = []string{value}
			distinct[cond.field] = true
		}
	}
	if len(distinct) > maxFilters {
		return c.refuse(209, "No more than 3 distinct fields can be filtered by.")
	}
	return true
}

// operators are the endings of filters. (Account Engagement API, Version 5 Overview)
var operators = []struct {
	suffix string
	op     operator
	time   bool // of times rather than numbers
}{
	{"GreaterThanOrEqualTo", atLeast, false},
	{"GreaterThan", greater, false},
	{"LessThanOrEqualTo", atMost, false},
	{"LessThan", less, false},
	{"AfterOrEqualTo", atLeast, true},
	{"After", greater, true},
	{"BeforeOrEqualTo", atMost, true},
	{"Before", less, true},
	{"IsNull", isNull, true},
	{"IsNotNull", notNull, true},
}

// filter5 reads a filter; code is that of the error, if there is one.
func (s *Server) filter5(t *table, name, value string) (cond condition, code int, why string) {
	unknown := "Invalid parameter: Parameter " + name + " is invalid."
	cond.field = name
	isTime := false
	for _, o := range operators {
		if field, ok := strings.CutSuffix(name, o.suffix); ok && t.byName[field] != nil {
			cond.field, cond.op, isTime = field, o.op, o.time
			break
		}
	}
	column := t.byName[cond.field]
	if column == nil || column.only4 || cond.field != "id" && !slices.Contains(t.filters, cond.field) || s.masked(t, cond.field) {
		return cond, 51, unknown
	}
	if cond.op == isNull || cond.op == notNull {
		yes, err := strconv.ParseBool(value)
		if err != nil {
			return cond, 50, "Invalid boolean: " + name + "."
		}
		if !yes {
			cond.op = isNull + notNull - cond.op
		}
		return cond, 0, ""
	}
	if cond.op != equal && isTime != (column.kind == kindTime) {
		return cond, 51, unknown
	}
	switch column.kind {
	case kindInt:
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil {
			return cond, 51, unknown
		}
		cond.value = n
	case kindTime:
		at, err := time.Parse("2006-01-02T15:04:05-07:00", value)
		if err != nil || strings.HasSuffix(value, "Z") {
			return cond, 7, "Invalid date time value: " + name + "."
		}
		cond.value = stamp(at.Unix())
	case kindBool:
		yes, err := strconv.ParseBool(value)
		if err != nil {
			return cond, 50, "Invalid boolean: " + name + "."
		}
		cond.value = yes
	case kindText:
		cond.value = value
	case kindFloat, kindList, kindJSON:
		return cond, 51, unknown
	}
	return cond, 0, ""
}

// order5 reads an orderBy: "updatedAt ASC", or two such.
func (s *Server) order5(t *table, text string) ([]sorting, bool) {
	if text == "" {
		return []sorting{{field: "id"}}, true
	}
	var list []sorting
	for one := range strings.SplitSeq(text, ",") {
		parts := strings.Fields(one)
		if len(parts) == 0 || len(parts) > 2 || !slices.Contains(t.orders, parts[0]) || s.masked(t, parts[0]) {
			return nil, false
		}
		o := sorting{field: parts[0]}
		if len(parts) == 2 {
			switch strings.ToUpper(parts[1]) {
			case "ASC":
			case "DESC":
				o.desc = true
			default:
				return nil, false
			}
		}
		list = append(list, o)
	}
	return list, len(list) <= 2
}

// read5 answers a read by id.
func (s *Server) read5(c *caller, st *state, t *table, id int64) {
	fields := s.fields5(c, st, t, true)
	if fields == nil {
		return
	}
	deleted := "false"
	for name := range c.q {
		switch name {
		case "fields":
		case "deleted":
			deleted = c.q.Get(name)
		default:
			c.fail5(51, "Invalid parameter: Parameter "+name+" is invalid.")
			return
		}
	}
	r := st.byID(t, id)
	if r == nil || r.deleted && deleted == "false" || !r.deleted && deleted == "true" {
		c.fail5(109, "The requested record was not found.")
		return
	}
	changed := time.Unix(r.updated, 0).UTC()
	if since, err := http.ParseTime(c.r.Header.Get("If-Modified-Since")); err == nil && !changed.After(since) {
		c.w.WriteHeader(http.StatusNotModified)
		return
	}
	c.w.Header().Set("Last-Modified", changed.Format(http.TimeFormat))
	if r.deleted {
		c.w.Header().Set("Pardot-Warning", "201;Record In Recycle Bin")
	}
	c.send5(fields.append(nil, r, c.zone))
}

// account5 answers a read of the account, which has no id. Whether it comes inside values is not
// documented. (Account Engagement API, Account)
func (s *Server) account5(c *caller, st *state, t *table) {
	fields := s.fields5(c, st, t, true)
	if fields == nil {
		return
	}
	for name := range c.q {
		if name != "fields" {
			c.fail5(51, "Invalid parameter: Parameter "+name+" is invalid.")
			return
		}
	}
	r := st.at(t, 0)
	e := edit{created: r.created, updated: r.updated, values: map[string]any{}}
	if r.edit != nil {
		e = r.edit.clone()
	}
	e.values["apiCallsUsed"] = s.callsToday()
	r.edit = &e
	b := []byte(nil)
	if s.cfg.WrapAccount {
		b = append(b, `{"nextPageToken":null,"nextPageUrl":null,"values":[`...)
	}
	b = fields.append(b, r, c.zone)
	if s.cfg.WrapAccount {
		b = append(b, "]}"...)
	}
	c.send5(b)
}

// stats5 answers with the statistics of a list e-mail. (Account Engagement API, List Email)
func (s *Server) stats5(c *caller, st *state, t *table, id int64) {
	if !c.user.can(abilityReports) {
		c.fail5(46, "You do not have permission to perform this action.")
		return
	}
	r := st.byID(t, id)
	if r == nil || r.deleted {
		c.fail5(109, "The requested record was not found.")
		return
	}
	b := []byte(`{`)
	for i, line := range s.listEmailStats(r) {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendText(b, line.name)
		b = append(b, ':')
		b = appendValue(b, line.value, c.zone)
	}
	c.send5(append(b, '}'))
}

// abilityReports is what statistics need.
const abilityReports = "Marketing > Emails > View Report"

func sortedKeys[V any](m map[string]V) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
