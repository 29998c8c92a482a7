package pardotsim

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/martsync/martsync/simulate"
)

// An object4 is a kind of record as version 4 serves it. The names and values of its fields are
// those of the table's columns; here is how they are asked for and nested.
type object4 struct {
	path       string // in URLs: "visitorActivity"
	key        string // in replies: "visitor_activity"
	table      string
	operations map[string]func(*Server, *caller, *object4)
	filters    map[string]filter4
	implied    func(c *caller, q *query) // filters that hold without being asked for
	sorts      []string
	strict     bool     // a limit above 200 "cannot be larger" by its page; elsewhere it is 200
	restricts  bool     // takes the parameter fields
	applicable bool     // numbers without a value are absent rather than empty
	mobile     []string // fields of the mobile form
	invalid    int      // code of an id that is none
	extra      func(c *caller, r *record, output string, read bool) tree
}

// objects4 are the objects of version 4 by their names in paths.
var objects4 = makeObjects4()

func objectOf4(path string) *object4 { return objects4[path] }

// The filters that objects share: C, U and I of the documentation.
var (
	filterCreated = map[string]filter4{"created_after": byTime("createdAt", greater), "created_before": byTime("createdAt", less)}
	filterUpdated = map[string]filter4{"updated_after": byTime("updatedAt", greater), "updated_before": byTime("updatedAt", less)}
	filterAfterID = map[string]filter4{"id_greater_than": byNumber("id", greater, 17)}
	filterID      = map[string]filter4{"id_greater_than": byNumber("id", greater, 17), "id_less_than": byNumber("id", less, 17)}
)

func filters(parts ...map[string]filter4) map[string]filter4 {
	all := make(map[string]filter4)
	for _, p := range parts {
		maps.Copy(all, p)
	}
	return all
}

func makeObjects4() map[string]*object4 {
	type operations = map[string]func(*Server, *caller, *object4)
	both := operations{"query": serveQuery, "read": serveRead}
	list := []*object4{
		{
			path: "campaign", key: "campaign", table: "campaigns", operations: both, invalid: 38,
			filters: filters(filterCreated, filterUpdated, filterID, map[string]filter4{"name": byText("name")}),
			sorts:   []string{"created_at", "id", "name", "updated_at", "cost"}, mobile: []string{"id", "name"},
		},
		{
			path: "form", key: "form", table: "forms", operations: both, invalid: 16, mobile: []string{"id", "name"},
			filters: filters(filterCreated, filterUpdated, filterID), sorts: []string{"created_at", "id", "updated_at"},
		},
		{
			path: "tag", key: "tag", table: "tags", operations: both, invalid: 16, mobile: []string{"id", "name"},
			filters: filters(filterCreated, filterUpdated, filterID, map[string]filter4{"name": byText("name")}),
			sorts:   []string{"created_at", "id", "name", "updated_at"},
		},
		{
			path: "tagObject", key: "tagObject", table: "tag_objects", operations: both, invalid: 16, sorts: []string{"created_at", "id"},
			filters: filters(filterCreated, filterID, map[string]filter4{
				"tag_id": byNumber("tagId", equal, 16), "object_id": byNumber("objectId", equal, 16), "type": byTagType,
			}),
		},
		{
			path: "opportunity", key: "opportunity", table: "opportunities", operations: both, invalid: 35, strict: true,
			filters: filters(filterCreated, filterID, map[string]filter4{
				"probability_greater_than": byNumber("probability", greater, 52), "probability_less_than": byNumber("probability", less, 52),
				"value_greater_than": byAmount("value", greater), "value_less_than": byAmount("value", less),
				"prospect_id": byProspect, "prospect_email": byProspectEmail,
				"updated_after": openOpportunity, "updated_before": openOpportunity,
			}),
			sorts: []string{"created_at", "id", "probability", "value"}, mobile: []string{"id", "name", "value", "probability", "status"}, extra: opportunityExtra,
		},
		{
			path: "emailClick", key: "emailClick", table: "email_clicks", operations: operations{"query": serveQuery}, sorts: []string{"id", "created_at"}, applicable: true, strict: true,
			filters: filters(filterCreated, filterAfterID, map[string]filter4{
				"list_email_id": byNumbers("listEmailId", 16), "drip_program_action_id": byNumbers("dripProgramActionId", 16),
				"email_template_id": byNumbers("emailTemplateId", 16), "tracker_redirect_id": byNumbers("trackerRedirectId", 16),
			}),
		},
		{
			path: "list", key: "list", table: "lists", operations: both, invalid: 55, mobile: []string{"id", "name"},
			filters: filters(filterCreated, filterUpdated, filterID, map[string]filter4{"name": byText("name")}),
			sorts:   []string{"created_at", "id", "name", "updated_at"},
		},
		{
			path: "listMembership", key: "list_membership", table: "list_memberships", operations: both, invalid: 16, sorts: []string{"created_at", "id"},
			filters: filters(filterCreated, filterUpdated, filterID, map[string]filter4{"list_id": byNumber("listId", equal, 55), "deleted": byBin}),
		},
		{path: "account", key: "account", table: "accounts", operations: operations{"read": serveAccount}},
		{path: "email", key: "email", table: "emails", operations: operations{"read": serveEmail, "stats": serveEmailStats}, invalid: 16},
		{
			path: "prospect", key: "prospect", table: "prospects", operations: both, invalid: 3, strict: true, restricts: true,
			filters: filters(filterCreated, filterUpdated, filterID, map[string]filter4{
				"deleted": byBin, "assigned": bySet("assignedToId", 50), "assigned_to_user": byNumber("assignedToId", equal, 10),
				"last_activity_after": byTime("lastActivityAt", greater), "last_activity_before": byTime("lastActivityAt", less),
				"last_activity_never": byNever, "is_starred": byFlag("isStarred"), "list_id": byList,
				"score_equal_to": byNumber("score", equal, 52), "score_greater_than": byNumber("score", greater, 52), "score_less_than": byNumber("score", less, 52),
				"grade_equal_to": byText("grade"),
			}),
			sorts: []string{"created_at", "id", "last_activity_at", "updated_at"}, mobile: []string{"id", "first_name", "last_name", "email", "company"}, extra: prospectExtra,
		},
		{
			path: "prospectAccount", key: "prospectAccount", table: "prospect_accounts", restricts: true, invalid: 61,
			operations: operations{"query": serveQuery, "read": serveRead, "describe": serveDescribe},
			filters:    filters(filterCreated, filterUpdated, filterID, map[string]filter4{"name": byText("name")}),
			sorts:      []string{"created_at", "id", "name", "updated_at"}, mobile: []string{"id", "name"},
		},
		{
			path: "visitor", key: "visitor", table: "visitors", operations: both, strict: true, restricts: true, invalid: 24,
			filters: filters(filterCreated, filterUpdated, filterID, map[string]filter4{
				"only_identified": anyValue, "prospect_ids": byNumbers("prospectId", 3),
			}),
			implied: onlyIdentified, sorts: []string{"created_at", "id", "updated_at"}, mobile: []string{"id", "page_view_count", "ip_address"},
		},
		{
			path: "visitorActivity", key: "visitor_activity", table: "visitor_activities", operations: both, strict: true, applicable: true, invalid: 16,
			filters: filters(filterCreated, filterUpdated, filterID, map[string]filter4{
				"prospect_only": byPresence("prospectId"), "type": byNumbers("type", 52),
				"custom_url_only": byPresence("customRedirectId"), "email_only": byPresence("emailId"), "file_only": byPresence("fileId"), "form_only": byPresence("formId"),
				"form_handler_only": byPresence("formHandlerId"), "landing_page_only": byPresence("landingPageId"),
				"campaign_id": byNumbers("campaignId", 38), "custom_url_id": byNumbers("customRedirectId", 16), "email_id": byNumbers("emailId", 16),
				"file_id": byNumbers("fileId", 16), "form_id": byNumbers("formId", 16), "form_handler_id": byNumbers("formHandlerId", 16),
				"landing_page_id": byNumbers("landingPageId", 16), "prospect_id": byNumbers("prospectId", 3), "visitor_id": byNumbers("visitorId", 24),
			}),
			sorts: []string{"created_at", "id", "prospect_id", "visitor_id", "updated_at"}, mobile: []string{"id", "type", "type_name", "details", "created_at"},
		},
		{
			path: "user", key: "user", table: "users", operations: both, invalid: 10, extra: userExtra,
			filters: filters(filterCreated, filterID), sorts: []string{"created_at", "id"}, mobile: []string{"id", "email"},
		},
		{
			path: "customField", key: "customField", table: "custom_fields", operations: both, invalid: 16,
			filters: filters(filterCreated, filterUpdated, filterID), sorts: []string{"created_at", "id", "updated_at"}, mobile: []string{"id", "name"},
		},
	}
	byPath := make(map[string]*object4, len(list))
	for _, o := range list {
		byPath[o.path] = o
	}
	return byPath
}

// Filters of single objects.

func anyValue(*caller, string, *query) *refusal { return nil }

// onlyIdentified hides visitors that nobody knows unless they are asked for. (Account Engagement
// API, Version 4, Visitors)
func onlyIdentified(c *caller, q *query) {
	if on, ok := boolean(c.q.Get("only_identified")); on || !ok {
		q.where = append(q.where, condition{field: "prospectId", op: notNull})
	}
}

// openOpportunity refuses or ignores the filter that opportunities lack.
func openOpportunity(c *caller, _ string, _ *query) *refusal {
	if c.s.cfg.OpenOpportunity {
		return nil
	}
	return &refusal{5, "updated_after and updated_before are no valid search parameters"}
}

func byNever(_ *caller, value string, q *query) *refusal {
	on, ok := boolean(value)
	if !ok {
		return &refusal{50, "Invalid boolean"}
	}
	if on {
		q.where = append(q.where, condition{field: "lastActivityAt", op: isNull})
	}
	return nil
}

// byList selects the prospects on a list.
func byList(c *caller, value string, q *query) *refusal {
	list, err := strconv.ParseInt(value, 10, 64)
	if err != nil {
		return &refusal{55, "Invalid list ID"}
	}
	members := query{table: q.state.byName["list_memberships"], state: q.state, where: []condition{{"listId", equal, list}}}
	on := make(map[int64]bool)
	for r := range c.s.each(members) {
		on[r.number("prospectId")] = true
	}
	q.keep = func(r *record) bool { return on[r.id] }
	return nil
}

// byTagType selects tagged objects by the name of their kind in version 4.
func byTagType(c *caller, value string, q *query) *refusal {
	if c.q.Get("object_id") != "" && value == "" {
		return &refusal{13, "type is required with object_id"}
	}
	q.keep = func(r *record) bool { return strings.EqualFold(tagType4(r.text("objectType")), value) }
	return nil
}

func byProspect(c *caller, value string, q *query) *refusal {
	id, err := strconv.ParseInt(value, 10, 64)
	if err != nil {
		return &refusal{3, "Invalid prospect ID"}
	}
	q.keep = func(r *record) bool { return slices.Contains(c.s.opportunityProspects(r), id) }
	return nil
}

func byProspectEmail(c *caller, value string, q *query) *refusal {
	prospects := q.state.byName["prospects"]
	q.keep = func(r *record) bool {
		return slices.ContainsFunc(c.s.opportunityProspects(r), func(id int64) bool {
			p := q.state.byID(prospects, id)
			return p != nil && strings.EqualFold(p.text("email"), value)
		})
	}
	return nil
}

// wanted is which fields of the records a query asks for; nil: all.
func (o *object4) wanted(t *table, text string) ([]string, *refusal) {
	if text == "" || !o.restricts {
		return nil, nil
	}
	var names []string
	for name := range strings.SplitSeq(text, ",") {
		name = strings.TrimSpace(name)
		if t.column4(name) == nil && !slices.Contains([]string{"campaign", "assigned_to", "profile"}, name) {
			return nil, &refusal{130, "One or more fields are invalid: " + name}
		}
		names = append(names, name)
	}
	return names, nil
}

// nested are the numbers that become objects where records come in full: the object's key and
// the table it is in.
var nested = map[string]struct{ key, table string }{
	"campaign_id":         {"campaign", "campaigns"},
	"assigned_to_user_id": {"assigned_to", "users"},
}

// record writes a record. read says that it is asked for by its id.
func (o *object4) record(c *caller, r *record, output string, fields []string, read bool) tree {
	t := make(tree, 0, len(r.t.columns))
	for _, col := range r.t.columns {
		if col.v4 == "" || o.path == "email" && col.byID && col.custom == nil || output == outputMobile && o.mobile != nil && !slices.Contains(o.mobile, col.v4) {
			continue
		}
		n, nests := nested[col.v4]
		if nests = nests && output == outputFull && (o.path != "visitorActivity" || n.key == "campaign"); fields != nil && !slices.Contains(fields, col.v4) && (n.key == "" || !slices.Contains(fields, n.key)) {
			continue
		}
		v := r.value(col)
		if kind, ok := v.(string); ok && col.name == "objectType" {
			v = tagType4(kind)
		}
		switch {
		case v == nil && col.custom != nil, v == nil && o.applicable && col.kind == kindInt, v == nil && col.v4 == "closed_at":
			continue // absent
		case nests:
			v = c.nest(r, n.key, n.table, v)
			if v != nil {
				t = append(t, element{n.key, v})
				continue
			}
			t = c.nothing(t, n.key)
			continue
		}
		t = c.field(t, col, v)
	}
	if o.extra != nil {
		t = append(t, o.extra(c, r, output, read)...)
	}
	return t
}

// nest is the record that a number points to.
func (c *caller) nest(r *record, key, name string, v any) any {
	id, ok := v.(int64)
	if !ok {
		return nil
	}
	to := r.st.byID(r.st.byName[name], id)
	if key == "campaign" {
		if to == nil {
			return tree{{"id", id}}
		}
		return tree{{"id", id}, {"name", to.get("name")}, {"cost", to.get("cost")}}
	}
	if to == nil {
		return tree{{"user", tree{{"id", id}}}}
	}
	return tree{{"user", tree{
		{"id", id}, {"email", to.get("email")}, {"first_name", to.get("firstName")}, {"last_name", to.get("lastName")}, {"job_title", to.get("jobTitle")}, {"role", to.get("role")},
	}}}
}

// field adds a field with its value.
func (c *caller) field(t tree, col *column, v any) tree {
	switch v := v.(type) {
	case nil:
		return c.nothing(t, col.v4)
	case stamp:
		return append(t, element{col.v4, markup(naive(nil, int64(v), c.zone))})
	case bool:
		if c.s.cfg.BitBools && col.v4 == "opted_out" {
			n := int64(0)
			if v {
				n = 1
			}
			return append(t, element{col.v4, n})
		}
		return append(t, element{col.v4, v})
	case []string:
		list := make(repeated, len(v))
		for i, s := range v {
			list[i] = s
		}
		if len(v) == 1 && len(v[0])%2 == 0 { // one value has been seen without the list around it
			return append(t, element{col.v4, v[0]})
		}
		return append(t, element{col.v4, tree{{"value", list}}})
	default:
		return append(t, element{col.v4, v})
	}
}

// nothing adds a field without value in one of the forms that clients have met.
func (c *caller) nothing(t tree, name string) tree {
	how := c.s.cfg.EmptyAs
	if how == EmptyMixed {
		h := uint64(0)
		for i := range len(name) {
			h = simulate.Next(h ^ uint64(name[i]))
		}
		how = Empty(1 + simulate.Pick(h, 4))
	}
	switch how {
	case EmptyAbsent:
		return t
	case EmptyText:
		return append(t, element{name, noText})
	case EmptyObject:
		return append(t, element{name, noTree})
	default:
		return append(t, element{name, nil})
	}
}
