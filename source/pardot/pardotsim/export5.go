package pardotsim

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/martsync/martsync/simulate"
)

// Files of version 5. (Account Engagement API, Export v5)
const minFileBytes = 10_000_000

// exportables5 are the objects that version 5 exports. Whether arguments are written in one way or
// the other is not documented.
func (s *Server) exportables5() []exportable {
	const (
		byCreated = 1 << iota
		byUpdated
		withBin
		withType
	)
	name := func(camel string) string {
		if s.cfg.SnakeArguments {
			return snake(camel)
		}
		return camel
	}
	var list []exportable
	for _, o := range []struct {
		name, table, ability string
		takes                int
	}{
		{"Campaign", "campaigns", "", byCreated | byUpdated | withBin},
		{"DynamicContent", "dynamic_contents", "", byCreated | byUpdated | withBin},
		{"EmailTemplate", "email_templates", "", byCreated | byUpdated | withBin},
		{"LandingPage", "landing_pages", "", byCreated | byUpdated | withBin},
		{"LifecycleStage", "lifecycle_stages", "", byCreated | byUpdated | withBin},
		{"List", "lists", abilityLists, byCreated | byUpdated | withBin},
		{"ListEmail", "list_emails", "", byCreated | byUpdated | withBin},
		{"ListMembership", "list_memberships", abilityLists, byCreated | byUpdated | withBin},
		{"Opportunity", "opportunities", "", byCreated | byUpdated | withBin},
		{"Prospect", "prospects", "", byCreated | byUpdated | withBin},
		{"User", "users", "", byCreated | byUpdated | withBin},
		{"ProspectAccount", "prospect_accounts", "", byCreated | withBin},
		{"LifecycleHistory", "lifecycle_histories", "", byCreated},
		{"VisitorActivity", "visitor_activities", "", byCreated | byUpdated | withType},
	} {
		var more []string
		if o.takes&withBin != 0 {
			more = append(more, "deleted")
		}
		if o.takes&withType != 0 {
			more = append(more, "type", name("prospectOnly"))
		}
		e := exportable{name: o.name, table: o.table, ability: o.ability}
		e.procedures = append(e.procedures, procedure{"filter_by_created_at", "createdAt", name("createdAfter"), name("createdBefore"), more})
		if o.takes&byUpdated != 0 {
			e.procedures = append(e.procedures, procedure{"filter_by_updated_at", "updatedAt", name("updatedAfter"), name("updatedBefore"), more})
		}
		list = append(list, e)
	}
	return list
}

// plainName compares names of objects that are written in different ways: "List Email", "listEmail".
func plainName(name string) string {
	return strings.ToLower(strings.NewReplacer(" ", "", "-", "", "_", "").Replace(name))
}

// serveExports5 answers the paths of exports in version 5.
func (s *Server) serveExports5(c *caller, rest []string) {
	switch {
	case len(rest) == 0 && c.r.Method == http.MethodPost:
		r, bad := c.readCreate()
		if bad == nil {
			bad = s.newExport5(c, r)
		}
		if bad != nil {
			c.fail5(bad.code, bad.message)
		}
	case c.r.Method != http.MethodGet:
		c.fail5(60, "Invalid HTTP request method.")
	case len(rest) == 0:
		s.listExports5(c)
	case len(rest) == 1:
		names, ok := c.exportFields5()
		if !ok {
			return
		}
		if x, j, ok := s.lookup(c, rest[0]); ok {
			c.send5(s.export5(c, nil, x, j, names, true))
		}
	case len(rest) == 3 && rest[1] == "results":
		if x, j, ok := s.lookup(c, rest[0]); ok {
			s.download(c, x, j, func(n int, _ exportFile) bool { return strconv.Itoa(n+1) == rest[2] })
		}
	default:
		c.fail5(198, "The requested endpoint could not be found.")
	}
}

// moment5 reads a time of version 5: ISO 8601 with a numeric offset.
func moment5(text string) (time.Time, bool) {
	t, err := time.Parse("2006-01-02T15:04:05-07:00", text)
	return t.UTC(), err == nil && !strings.HasSuffix(text, "Z")
}

// newExport5 checks a create, queues the export and answers.
func (s *Server) newExport5(c *caller, r *createRequest) *refusal {
	list := s.exportables5()
	i := slices.IndexFunc(list, func(o exportable) bool { return plainName(o.name) == plainName(r.Object) })
	if i < 0 {
		return &refusal{154, "A property is invalid: object " + r.Object + " cannot be exported."}
	}
	o := &list[i]
	if !c.allowed(o) {
		return nil
	}
	x := &export{version: 5, object: o.name, user: c.user, zone: c.zone, bom: r.IncludeByteOrderMark, iso: !r.LegacyDateFormat, most: s.cfg.MaxFileBytes}
	if n := r.MaxFileSizeBytes; n != nil {
		switch {
		case *n < minFileBytes:
			return &refusal{231, "The maximum file size must be at least 10000000 bytes."}
		case *n > s.cfg.MaxFileBytes:
			return &refusal{232, "The maximum file size is above that of the business unit."}
		}
		x.most = *n
	}
	st := s.state.Load()
	t := st.byName[o.table]
	x.query = query{table: t}
	if bad := o.narrow(c, &x.query, r, moment5); bad != nil {
		return bad
	}
	fields := r.Fields
	if len(fields) == 0 {
		for _, col := range t.columns {
			if !col.only4 && !col.byID && !strings.Contains(col.name, ".") && !s.masked(t, col.name) {
				fields = append(fields, col.name)
			}
		}
		fields = fields[:min(len(fields), maxExportFields)]
	}
	for _, name := range fields {
		path, col := s.resolve(st, t, name, false)
		top, _, _ := strings.Cut(name, ".")
		if col == nil || col.byID || top == "senderOptions" || top == "replyToOptions" {
			return &refusal{180, "One or more fields are invalid: " + name + "."}
		}
		x.fields = append(x.fields, exportField{name, func(r *record) any {
			for _, id := range path {
				if r = r.follow(id); r == nil {
					return nil
				}
			}
			return r.value(col)
		}})
	}
	j := s.add(c, x)
	c.w.Header().Set("Location", fmt.Sprintf("%s/api/v5/exports/%d", c.baseURL(), x.id))
	c.send(http.StatusCreated, "application/json; charset=utf-8", s.export5(c, nil, x, j, exportNames5, true))
	return nil
}

// exportNames5 are the fields of an export.
var exportNames5 = []string{"id", "status", "isExpired", "resultRefs", "createdAt", "updatedAt", "createdById", "updatedById"}

// exportFields5 reads the parameter fields.
func (c *caller) exportFields5() ([]string, bool) {
	text := c.q.Get("fields")
	if text == "" {
		return nil, c.refuse(13, "One or more required parameters are missing: fields")
	}
	var names []string
	for name := range strings.SplitSeq(text, ",") {
		name = strings.TrimSpace(name)
		if !slices.Contains(exportNames5, name) {
			return nil, c.refuse(51, "Invalid parameter: fields. It contains an invalid or unknown field: "+name+".")
		}
		names = append(names, name)
	}
	return names, true
}

// export5 writes an export as version 5 shows it.
func (s *Server) export5(c *caller, b []byte, x *export, j simulate.Job, names []string, refs bool) []byte {
	expired := s.expired(x, j)
	b = append(b, '{')
	for i, name := range names {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(appendText(b, name), ':')
		switch name {
		case "id":
			b = strconv.AppendInt(b, x.id, 10)
		case "status":
			b = appendText(b, exportState(j))
		case "isExpired":
			b = strconv.AppendBool(b, expired)
		case "resultRefs":
			if !refs || expired || j.Status != simulate.JobCompleted {
				b = append(b, "null"...)
				continue
			}
			list := make([]string, len(x.files))
			for n := range x.files {
				list[n] = fmt.Sprintf("%s/api/v5/exports/%d/results/%d", s.refsHost(c), x.id, n+1)
			}
			b = appendValue(b, list, c.zone)
		case "createdAt":
			b = appendValue(b, stamp(j.CreatedAt.Unix()), c.zone)
		case "updatedAt":
			b = appendValue(b, stamp(changed(j).Unix()), c.zone)
		default: // whose it is
			b = appendValue(b, s.userID(x.user), c.zone)
		}
	}
	return append(b, '}')
}

// userID is the id of an API user in the business unit, nil if it is none there.
func (s *Server) userID(u *User) any {
	st := s.state.Load()
	for r := range s.each(query{table: st.byName["users"], state: st}) {
		if r.get("salesforceId") == u.SalesforceID {
			return r.id
		}
	}
	return nil
}

// listExports5 answers a query of exports, by id.
func (s *Server) listExports5(c *caller) {
	if !c.user.can(abilityExports) {
		c.fail5(46, "You do not have permission to perform this action.")
		return
	}
	names, ok := c.exportFields5()
	if !ok {
		return
	}
	type bound struct {
		updated bool
		holds   func(t, bound time.Time) bool
	}
	atLeast := func(t, b time.Time) bool { return !t.Before(b) }
	atMost := func(t, b time.Time) bool { return !t.After(b) }
	bounds := map[string]bound{
		"createdAtAfter": {false, time.Time.After}, "createdAtAfterOrEqualTo": {false, atLeast}, "createdAtBefore": {false, time.Time.Before}, "createdAtBeforeOrEqualTo": {false, atMost},
		"updatedAtAfter": {true, time.Time.After}, "updatedAtAfterOrEqualTo": {true, atLeast}, "updatedAtBefore": {true, time.Time.Before}, "updatedAtBeforeOrEqualTo": {true, atMost},
	}
	after := int64(0)
	if token := c.q.Get("nextPageToken"); token != "" { // holds what was asked for, and the last id
		text, err := base64.StdEncoding.DecodeString(token)
		q, err2 := url.ParseQuery(string(text))
		if after, _ = strconv.ParseInt(q.Get("after"), 10, 64); err != nil || err2 != nil || after == 0 {
			c.fail5(211, "Page token is invalid.")
			return
		}
		q.Del("after")
		c.q = q
	}
	var conditions []func(*export, simulate.Job) bool
	for name := range c.q {
		value := c.q.Get(name)
		b, timed := bounds[name]
		switch {
		case timed:
			at, ok := moment5(value)
			if !ok {
				c.fail5(7, "Invalid date time value: "+name+".")
				return
			}
			conditions = append(conditions, func(_ *export, j simulate.Job) bool {
				if b.updated {
					return b.holds(changed(j).Truncate(time.Second), at)
				}
				return b.holds(j.CreatedAt.Truncate(time.Second), at)
			})
		case name == "status":
			conditions = append(conditions, func(_ *export, j simulate.Job) bool { return strings.EqualFold(exportState(j), value) })
		case name == "fields", name == "limit", name == "orderBy":
		default:
			c.fail5(51, "Invalid parameter: Parameter "+name+" is invalid.")
			return
		}
	}
	descending := strings.HasSuffix(strings.ToUpper(cmp.Or(c.q.Get("orderBy"), "id ASC")), "DESC")
	limit := max(c.queryLimit(1000), 1)
	list, jobs := s.allExports(true)
	order := make([]int, len(list))
	for i := range order {
		order[i] = i
		if descending {
			order[i] = len(list) - 1 - i
		}
	}
	b := []byte(`"values":[`)
	var n, last int64
	next := ""
	for _, i := range order {
		x, j := list[i], jobs[i]
		if after > 0 && (!descending && x.id <= after || descending && x.id >= after) ||
			slices.ContainsFunc(conditions, func(holds func(*export, simulate.Job) bool) bool { return !holds(x, j) }) {
			continue
		}
		if n == limit {
			c.q.Set("after", strconv.FormatInt(last, 10))
			next = base64.StdEncoding.EncodeToString([]byte(c.q.Encode()))
			break
		}
		if n++; n > 1 {
			b = append(b, ',')
		}
		b = s.export5(c, b, x, j, names, false)
		last = x.id
	}
	head := []byte(`{"nextPageToken":null,"nextPageUrl":null,`)
	if next != "" {
		head = append(appendText([]byte(`{"nextPageToken":`), next), `,"nextPageUrl":`...)
		head = append(appendText(head, c.baseURL()+c.path+"?"+url.Values{"fields": {c.q.Get("fields")}, "nextPageToken": {next}}.Encode()), ',')
	}
	c.send5(append(append(head, b...), "]}"...))
}
