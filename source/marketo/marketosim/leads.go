package marketosim

import (
	"encoding/base32"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// pageSize is the most records of a lead-database page; more is cut down to it.
// (Marketo REST API, Lead Database)
const pageSize = 300

func (c *call) batchSize() int {
	n, err := strconv.Atoi(c.q.Get("batchSize"))
	if err != nil || n < 1 || n > pageSize {
		return pageSize
	}
	return n
}

// opaque makes a token of the form the vendor's have: base32 with padding.
func opaque(text string) string { return base32.StdEncoding.EncodeToString([]byte(text)) }

func transparent(token string) (string, bool) {
	p, err := base32.StdEncoding.DecodeString(token)
	return string(p), err == nil && token != ""
}

// position reads the number in a page token of this kind; no token is 0.
func (c *call) position(kind string) (int64, bool) {
	token := c.q.Get("nextPageToken")
	if token == "" {
		return 0, true
	}
	text, ok := transparent(token)
	rest, mine := strings.CutPrefix(text, kind+":")
	n, err := strconv.ParseInt(rest, 10, 64)
	if !ok || !mine || err != nil {
		c.fail("1003", "Invalid nextPageToken")
		return 0, false
	}
	return n, true
}

// pageByToken answers one page of a list that fits into memory.
func (c *call) pageByToken(list []record) {
	from, ok := c.position("l")
	if !ok {
		return
	}
	n := int64(c.batchSize())
	from = min(from, int64(len(list)))
	page := list[from:min(from+n, int64(len(list)))]
	if from+n < int64(len(list)) {
		c.result(page, member{"nextPageToken", opaque(fmt.Sprintf("l:%d", from+n))})
		return
	}
	if len(page) == 0 && c.bulk { // an empty list of jobs has no result
		c.finish(c.open())
		return
	}
	c.result(page)
}

// describe lists the fields with their ids. (Marketo REST API, Leads, Describe)
func (s *Server) describe(c *call) {
	list := make([]record, 0, len(c.st.fields))
	for _, f := range c.st.fields {
		r := record{{"id", f.ID}, {"displayName", f.Display}, {"dataType", f.Type}}
		if f.Length > 0 {
			r = append(r, member{"length", f.Length})
		}
		if !f.NoREST {
			r = append(r, member{"rest", record{{"name", f.Name}, {"readOnly", f.ReadOnly}}})
		}
		if f.SOAP != "" {
			r = append(r, member{"soap", record{{"name", f.SOAP}, {"readOnly", f.ReadOnly}}})
		}
		list = append(list, r)
	}
	c.result(list)
}

// searchable are the fields that leads.json filters by. (Marketo REST API, Leads)
var searchable = []string{"id", "email", "leadPartitionId", "sfdcLeadId", "sfdcLeadOwnerId", "Account_Number__c", "External_Id__c", "Customer_Tier__c"}

func (s *Server) describe2(c *call) {
	var by [][]string
	for _, f := range searchable {
		if c.st.field(f) != nil {
			by = append(by, []string{f})
		}
	}
	var fields []record
	for _, f := range c.st.fields {
		if f.NoREST {
			continue
		}
		r := record{{"name", f.Name}, {"displayName", f.Display}, {"dataType", f.Type}}
		if f.Length > 0 {
			r = append(r, member{"length", f.Length})
		}
		fields = append(fields, append(r, member{"updateable", !f.ReadOnly}, member{"crmManaged", strings.HasPrefix(f.Name, "sfdc")}))
	}
	c.result([]record{{{"name", "API Lead"}, {"searchableFields", by}, {"fields", fields}}})
}

func (s *Server) schemaFields(c *call) {
	var list []record
	for _, f := range c.st.fields {
		if f.NoREST {
			continue
		}
		custom := strings.HasSuffix(f.Name, "__c")
		r := record{{"displayName", f.Display}, {"name", f.Name}, {"description", nil}, {"dataType", f.Type}}
		if f.Length > 0 {
			r = append(r, member{"length", f.Length})
		}
		list = append(list, append(r, member{"isHidden", false}, member{"isHtmlEncodingInEmail", true}, member{"isSensitive", false}, member{"isCustom", custom}, member{"isApiCreated", false}))
	}
	c.result(list, member{"moreResult", false})
}

func (s *Server) partitions(c *call) {
	c.result([]record{{{"id", 1}, {"name", "Default"}, {"description", "Initial partition"}}, {{"id", 3}, {"name", "Europe"}}})
}

// leadFields reads the fields parameter.
func (c *call) leadFields() ([]*Field, bool) {
	names := []string{"id", "email", "firstName", "lastName", "createdAt", "updatedAt"}
	if q := c.q.Get("fields"); q != "" {
		names = strings.Split(q, ",")
	}
	fields := make([]*Field, 0, len(names))
	for _, n := range names {
		f := c.st.field(strings.TrimSpace(n))
		if f == nil {
			c.fail("1006", fmt.Sprintf("Field '%s' not found", n))
			return nil, false
		}
		fields = append(fields, f)
	}
	return fields, true
}

// appendLead appends a lead as JSON without its null fields.
func appendLead(b []byte, l *lead, fields []*Field) []byte {
	b = append(b, '{')
	n := len(b)
	for _, f := range fields {
		v := l.value(f)
		if v.isNull() {
			continue
		}
		if len(b) > n {
			b = append(b, ',')
		}
		b = append(appendJSONText(b, f.Name), ':')
		b = v.appendJSON(b)
	}
	return b
}

func (s *Server) leadByID(c *call) {
	fields, ok := c.leadFields()
	if !ok {
		return
	}
	id, err := strconv.ParseInt(c.ids[0], 10, 64)
	i, real := s.world.leadIndex(id)
	var l lead
	if err != nil || !real || i >= c.st.total || !c.st.lead(&l, i) {
		if s.cfg.MissingEmpty {
			c.result([]record{})
			return
		}
		c.fail("1004", fmt.Sprintf("Lead '%s' not found", c.ids[0]))
		return
	}
	b := append(c.open(), `"result":[`...)
	c.finish(append(appendLead(b, &l, fields), "}]"...))
}

// leadsByFilter answers leads.json: at most 300 values and 1,000 matches.
// (Marketo REST API, Leads, Get Leads by Filter Type)
func (s *Server) leadsByFilter(c *call) {
	kind := c.q.Get("filterType")
	if kind == "" {
		c.fail("1002", "Missing value for the required parameter 'filterType'")
		return
	}
	by := c.st.field(kind)
	switch {
	case by == nil:
		c.fail("1006", fmt.Sprintf("Lookup field '%s' not found", kind))
		return
	case !slices.Contains(searchable, kind):
		c.fail("1011", fmt.Sprintf("Field '%s' not supported", kind))
		return
	}
	var values []string
	for _, v := range c.q["filterValues"] {
		values = append(values, strings.Split(v, ",")...)
	}
	switch {
	case len(values) == 0:
		c.fail("1002", "Missing value for the required parameter 'filterValues'")
		return
	case len(values) > 300:
		c.fail("1003", "Too many filterValues: at most 300")
		return
	}
	fields, ok := c.leadFields()
	if !ok {
		return
	}
	from, ok := c.position("f")
	if !ok {
		return
	}
	matches := s.matching(c.st, by, values)
	if len(matches) > 1000 {
		c.fail("1003", "Too many results match the filter")
		return
	}
	b := append(c.open(), `"result":[`...)
	n := int64(c.batchSize())
	from = min(from, int64(len(matches)))
	to := min(from+n, int64(len(matches)))
	var l lead
	for k, i := range matches[from:to] {
		if k > 0 {
			b = append(b, ',')
		}
		c.st.lead(&l, i)
		b = append(appendLead(b, &l, fields), '}')
	}
	b = append(b, ']')
	if to < int64(len(matches)) {
		c.finish(b, member{"nextPageToken", opaque(fmt.Sprintf("f:%d", to))})
		return
	}
	c.finish(b)
}

// matching returns the indexes of existing leads whose field has one of the values.
func (s *Server) matching(st *state, by *Field, values []string) []int64 {
	var l lead
	var found []int64
	if by.Name == "id" {
		for _, v := range values {
			id, err := strconv.ParseInt(strings.TrimSpace(v), 10, 64)
			if i, ok := s.world.leadIndex(id); err == nil && ok && i < st.total && st.exists(i) {
				found = append(found, i)
			}
		}
		slices.Sort(found)
		return slices.Compact(found)
	}
	want := make(map[string]bool, len(values))
	for _, v := range values {
		want[strings.ToLower(strings.TrimSpace(v))] = true
	}
	for i := range st.total {
		if st.lead(&l, i) && want[strings.ToLower(l.value(by).String())] {
			found = append(found, i)
		}
	}
	return found
}

// list finds a static list or answers 1013.
func (c *call) list() (*asset, bool) {
	id, err := strconv.ParseInt(c.ids[0], 10, 64)
	if l := find(c.st.lists, id); err == nil && l != nil && !l.gone {
		return l, true
	}
	c.fail("1013", "Object not found")
	return nil, false
}

// lists shows static lists as the lead database does. (Marketo REST API, Static Lists)
func (s *Server) lists(c *call) {
	var list []record
	for _, l := range c.st.lists {
		if !l.gone && c.wants("id", l.id) && c.wants("name", l.rec.get("name")) {
			list = append(list, c.st.leadList(l))
		}
	}
	c.pageByToken(list)
}

// wants reports whether the parameter, a comma list, is absent or holds v.
func (c *call) wants(name string, v any) bool {
	q := c.q.Get(name)
	return q == "" || slices.Contains(strings.Split(q, ","), fmt.Sprint(v))
}

func (s *state) leadList(l *asset) record {
	r := record{{"id", l.id}, {"name", l.rec.get("name")}}
	if d, ok := l.rec.get("description").(string); ok {
		r = append(r, member{"description", d})
	}
	if f, ok := l.rec.get("folder").(record); ok {
		if id, ok := f.get("id").(int64); ok {
			if p := find(s.programs, id); p != nil && !p.gone {
				r = append(r, member{"programName", p.rec.get("name")})
			}
		}
	}
	return append(r, member{"workspaceName", "Default"}, member{"createdAt", l.rec.get("createdAt")}, member{"updatedAt", l.rec.get("updatedAt")})
}

func (s *Server) listByID(c *call) {
	if l, ok := c.list(); ok {
		c.result([]record{c.st.leadList(l)})
	}
}

// listLeads pages through the members of a list. (Marketo REST API, List Membership)
func (s *Server) listLeads(c *call) {
	if l, ok := c.list(); ok {
		c.leadPage("m"+strconv.FormatInt(l.id, 10), func(i int64) bool { return c.st.inList(l.id, i) }, nil)
	}
}

// leadPage answers one page of the leads that satisfy in. extra may append members.
func (c *call) leadPage(kind string, in func(i int64) bool, extra func(b []byte, l *lead) []byte) {
	fields, ok := c.leadFields()
	if !ok {
		return
	}
	from, ok := c.position(kind)
	if !ok {
		return
	}
	b := append(c.open(), `"result":[`...)
	n := c.batchSize()
	var l lead
	for i := from; i < c.st.total; i++ {
		if !c.st.exists(i) || !in(i) {
			continue
		}
		if n == 0 {
			c.finish(append(b, ']'), member{"nextPageToken", opaque(fmt.Sprintf("%s:%d", kind, i))})
			return
		}
		if n--; b[len(b)-1] == '}' {
			b = append(b, ',')
		}
		c.st.lead(&l, i)
		b = appendLead(b, &l, fields)
		if extra != nil {
			b = extra(b, &l)
		}
		b = append(b, '}')
	}
	c.finish(append(b, ']'))
}

// lead finds a lead of the path or answers 1004.
func (c *call) lead() (int64, bool) {
	id, err := strconv.ParseInt(c.ids[0], 10, 64)
	i, real := c.s.world.leadIndex(id)
	if err != nil || !real || i >= c.st.total || !c.st.exists(i) {
		c.fail("1004", "Lead not found")
		return 0, false
	}
	return i, true
}

func (s *Server) listMembership(c *call) {
	i, ok := c.lead()
	if !ok {
		return
	}
	var list []record
	for _, l := range c.st.lists {
		if !l.gone && c.st.inList(l.id, i) {
			at := c.st.created(i)
			list = append(list, record{{"listId", l.id}, {"createdAt", moment(at)}, {"updatedAt", moment(at)}})
		}
	}
	c.result(list, member{"moreResult", false})
}

func (s *Server) isMember(c *call) {
	l, ok := c.list()
	if !ok {
		return
	}
	var list []record
	for _, v := range c.q["id"] {
		for text := range strings.SplitSeq(v, ",") {
			id, err := strconv.ParseInt(text, 10, 64)
			i, real := s.world.leadIndex(id)
			switch {
			case err != nil || !real || i >= c.st.total || !c.st.exists(i):
				list = append(list, record{{"id", id}, {"status", "skipped"}, {"reasons", []record{{{"code", "1004"}, {"message", "Lead not found"}}}}})
			case c.st.inList(l.id, i):
				list = append(list, record{{"id", id}, {"status", "memberof"}})
			default:
				list = append(list, record{{"id", id}, {"status", "notmemberof"}})
			}
		}
	}
	c.result(list)
}

// legacyCampaigns lists campaigns of the lead database. (Marketo REST API, Smart Campaigns)
func (s *Server) legacyCampaigns(c *call) {
	var list []record
	for _, a := range c.st.campaigns {
		if a.gone || !c.wants("id", a.id) || !c.wants("name", a.rec.get("name")) {
			continue
		}
		if v := c.q.Get("isTriggerable"); v == "true" || v == "1" {
			if a.rec.get("type") != "trigger" {
				continue
			}
		}
		list = append(list, c.st.legacy(a))
	}
	c.pageByToken(list)
}

func (s *Server) legacyCampaign(c *call) {
	id, err := strconv.ParseInt(c.ids[0], 10, 64)
	a := find(c.st.campaigns, id)
	if err != nil || a == nil || a.gone {
		c.fail("1013", "Object not found")
		return
	}
	c.result([]record{c.st.legacy(a)})
}
