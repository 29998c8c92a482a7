package marketosim

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// provided answers 703 for what the subscription was not sold.
func (c *call) provided(name string) bool {
	if !slices.Contains(c.s.cfg.Lacks, name) {
		return true
	}
	c.fail("703", "The feature is not enabled for the subscription")
	return false
}

// crmRoutes are the paths of these objects. (Marketo REST API, Lead Database)
func (s *Server) crmRoutes() []route {
	var t []route
	for kind, k := range crmObjects {
		if k.name != "" {
			t = append(t, route{path: "/rest/v1/" + k.path + "/describe.json", permission: k.permission, do: func(c *call) { s.describeThings(c, kind) }})
		}
		t = append(t, route{path: "/rest/v1/" + k.path + ".json", permission: k.permission, do: func(c *call) { s.queryThings(c, kind) }})
	}
	return append(t, route{path: "/rest/v1/namedAccountList/{id}/namedAccounts.json", permission: "Read-Only Named Account", do: s.listedAccounts})
}

// ready refuses what a synced CRM is the master of, and what was not sold. Since May 2022 the
// others can be read there, roles cannot. (Marketo REST API, Opportunity Roles)
func (c *call) ready(kind int) bool {
	if kind == kindRole && c.s.cfg.CRM {
		c.fail("1018", "CRM Enabled: the object is managed by the native sync")
		return false
	}
	return c.provided(crmObjects[kind].path)
}

func (s *Server) describeThings(c *call, kind int) {
	if !c.ready(kind) {
		return
	}
	k := crmObjects[kind]
	var fields []record
	for _, f := range k.fields {
		r := record{{"name", f.name}, {"displayName", f.name}, {"dataType", f.dataType}}
		if f.length > 0 {
			r = append(r, member{"length", f.length})
		}
		fields = append(fields, append(r, member{"updateable", f.name != k.id && f.name != "createdAt" && f.name != "updatedAt"}, member{"crmManaged", s.cfg.CRM}))
	}
	by := [][]string{}
	if len(k.dedupe) > 1 {
		by = append(by, k.dedupe)
	}
	for _, f := range k.search {
		by = append(by, []string{f})
	}
	made := moment(s.world.leadsFrom)
	c.result([]record{{
		{"name", k.name},
		{"description", k.name + " Map"},
		{"createdAt", made},
		{"updatedAt", made},
		{"idField", k.id},
		{"dedupeFields", k.dedupe},
		{"searchableFields", rawJSON(marshal(by))},
		{"fields", fields},
	}})
}

func marshal(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic("marketosim: " + err.Error()) // lists of texts only
	}
	return string(b)
}

// queryThings answers reads by filter: there is neither "all" nor "updated since".
// (Marketo REST API, Lead Database, Query)
func (s *Server) queryThings(c *call, kind int) {
	if !c.ready(kind) {
		return
	}
	k := crmObjects[kind]
	by := c.q.Get("filterType")
	switch {
	case by == "":
		c.fail("1002", "Missing value for the required parameter 'filterType'")
		return
	case by == "idField":
		by = k.id
	case by == "dedupeFields" && len(k.dedupe) == 1:
		by = k.dedupe[0]
	case kind == kindNamedList || !slices.Contains(k.search, by):
		c.fail("1003", fmt.Sprintf("Invalid filterType: '%s'", by))
		return
	}
	wanted := map[string]bool{}
	for _, v := range c.q["filterValues"] {
		for one := range strings.SplitSeq(v, ",") {
			wanted[strings.ToLower(strings.TrimSpace(one))] = true
		}
	}
	if kind == kindNamedList { // a name may have a comma: one name a parameter
		for _, v := range c.q["filterValues"] {
			wanted[strings.ToLower(v)] = true
		}
	}
	switch {
	case len(wanted) == 0:
		c.fail("1002", "Missing value for the required parameter 'filterValues'")
		return
	case len(wanted) > 300:
		c.fail("1003", "Too many filterValues: at most 300")
		return
	}
	c.things(kind, func(t *thing) bool { return wanted[strings.ToLower(plainText(t.rec.get(by)))] })
}

// listedAccounts answers the accounts of a list. (Marketo REST API, Named Account Lists)
func (s *Server) listedAccounts(c *call) {
	if !c.ready(kindNamed) {
		return
	}
	for _, l := range c.st.crm[kindNamedList] {
		if l.rec.get("marketoGUID") == c.ids[0] {
			name, _ := l.rec.get("name").(string)
			c.things(kindNamed, func(t *thing) bool { return slices.Contains(t.lists, name) })
			return
		}
	}
	c.fail("1013", "Object not found")
}

// plainText is a value of a record as a filter has it.
func plainText(v any) string {
	switch v := v.(type) {
	case value:
		return v.String()
	case string:
		return v
	case int64:
		return strconv.FormatInt(v, 10)
	}
	return ""
}

// things answers one page of the things that are wanted.
func (c *call) things(kind int, want func(*thing) bool) {
	k := crmObjects[kind]
	names := k.defaults
	if q := c.q.Get("fields"); q != "" {
		names = strings.Split(q, ",")
	}
	for i, n := range names {
		names[i] = strings.TrimSpace(n)
		if !slices.ContainsFunc(k.fields, func(f crmField) bool { return f.name == names[i] }) {
			c.fail("1006", fmt.Sprintf("Field '%s' not found", n))
			return
		}
	}
	from, ok := c.position("t" + strconv.Itoa(kind))
	if !ok {
		return
	}
	var list []record
	n, more := int64(0), false
	for _, t := range c.st.crm[kind] {
		if !c.st.shows(kind, t) || !want(t) {
			continue
		}
		if n++; n <= from {
			continue
		}
		if len(list) == c.batchSize() {
			more = true
			break
		}
		r := record{{"seq", len(list)}}
		for _, m := range t.rec {
			if v, ok := m.v.(value); m.v == nil || ok && v.isNull() || names != nil && !slices.Contains(names, m.name) {
				continue
			}
			r = append(r, m)
		}
		list = append(list, r)
	}
	if more {
		c.result(list, member{"nextPageToken", opaque(fmt.Sprintf("t%d:%d", kind, from+int64(len(list))))}, member{"moreResult", true})
		return
	}
	if kind == kindRole || kind == kindSalesPerson || len(list) == 0 {
		c.result(list, member{"moreResult", false})
		return
	}
	c.result(list) // moreResult is missing: absent means false
}
