package pardotsim

import (
	"slices"
	"strconv"
	"strings"
)

// missing are the codes of records that are not there, where it is not 109.
var missing = map[string]int{"prospect": 92}

// serveRead answers a read by id, or by address for prospects.
func serveRead(s *Server, c *caller, o *object4) {
	st := s.state.Load()
	t := st.byName[o.table]
	if email := c.q.Get("email"); o.path == "prospect" && email != "" {
		s.readProspects(c, o, email)
		return
	}
	id, err := strconv.ParseInt(c.q.Get("id"), 10, 64)
	if err != nil {
		c.fail4(o.invalid, "Invalid ID")
		return
	}
	r := st.byID(t, id)
	switch {
	case r == nil && missing[o.path] != 0:
		c.fail4(missing[o.path], "Record not found")
		return
	case r == nil:
		c.fail4(109, "Record not found")
		return
	case r.deleted && o.path == "prospect":
		c.fail4(132, "The prospect is archived")
		return
	case r.deleted && !strings.EqualFold(c.q.Get("deleted"), "true"):
		c.fail4(109, "Record not found")
		return
	}
	s.show4(c, o, r)
}

func (s *Server) show4(c *caller, o *object4, r *record) {
	fields, bad := o.wanted(r.t, c.q.Get("fields"))
	if bad != nil {
		c.fail4(bad.code, bad.message)
		return
	}
	c.send4(element{o.key, o.record(c, r, c.output(), fields, true)})
}

// readProspects answers a read by address, which several prospects may have.
func (s *Server) readProspects(c *caller, o *object4, email string) {
	st := s.state.Load()
	found := s.find(query{table: st.byName[o.table], state: st, where: []condition{{"email", equal, email}}, limit: maxLimit4})
	if len(found.rows) == 0 {
		c.fail4(4, "Invalid prospect email address")
		return
	}
	list := make(repeated, 0, len(found.rows))
	for _, r := range found.rows {
		list = append(list, o.record(c, r, c.output(), nil, true))
	}
	c.send4(element{o.key, list})
}

// serveAccount answers a read of the account, which has no id.
func serveAccount(s *Server, c *caller, o *object4) {
	st := s.state.Load()
	r := st.at(st.byName["accounts"], 0)
	c.send4(element{o.key, o.record(c, r, outputFull, nil, true)})
}

// serveEmail answers a read of one e-mail. They cannot be listed. (Account Engagement API, Version
// 4, Emails)
func serveEmail(s *Server, c *caller, o *object4) {
	id, err := strconv.ParseInt(c.q.Get("id"), 10, 64)
	if err != nil {
		c.fail4(16, "Invalid ID")
		return
	}
	st := s.state.Load()
	r := st.byID(st.byName[o.table], id)
	if r == nil {
		c.fail4(109, "Record not found")
		return
	}
	t := o.record(c, r, outputFull, nil, true)
	if message, ok := boolean(c.q.Get("include_message")); message || !ok {
		t = append(t, element{"message", c.nothingOr(tree{}, []element{{"text", r.get("textMessage")}, {"html", r.get("htmlMessage")}})})
	}
	c.send4(element{o.key, t})
}

// nothingOr adds elements, those without value in one of the forms of nothing.
func (c *caller) nothingOr(t tree, list []element) tree {
	for _, e := range list {
		if e.value == nil {
			t = c.nothing(t, e.name)
		} else {
			t = append(t, e)
		}
	}
	return t
}

// serveEmailStats answers the statistics of a list e-mail.
func serveEmailStats(s *Server, c *caller, _ *object4) {
	id, err := strconv.ParseInt(c.q.Get("id"), 10, 64)
	if err != nil {
		c.fail4(16, "Invalid ID")
		return
	}
	st := s.state.Load()
	r := st.byID(st.byName["list_emails"], id)
	if r == nil || r.deleted {
		c.fail4(109, "Record not found")
		return
	}
	var t tree
	for _, x := range s.listEmailStats(r) {
		t = append(t, element{snake(x.name), x.value})
	}
	c.send4(element{"stats", t})
}

// serveDescribe tells the fields of prospect accounts. (Account Engagement API, Version 4, Prospect
// Accounts)
func serveDescribe(s *Server, c *caller, o *object4) {
	var list repeated
	for _, col := range s.state.Load().byName[o.table].columns {
		if col.v4 == "" {
			continue
		}
		typ := map[kind]string{kindInt: "number", kindTime: "date", kindList: "multiselect", kindBool: "checkbox"}[col.kind]
		if typ == "" {
			typ = "text"
		}
		label := strings.ReplaceAll(col.v4, "_", " ")
		custom := "false"
		if f := col.custom; f != nil {
			label, custom, typ = f.Name, "true", strings.ToLower(f.Type)
		}
		list = append(list, tree{{attributes, tree{
			{"id", markup(col.v4)},
			{"label", label},
			{"required", markup(strconv.FormatBool(col.v4 == "name"))},
			{"custom", markup(custom)},
			{"type", markup(typ)},
			{"has_options", markup(strconv.FormatBool(typ == "dropdown"))},
		}}})
	}
	c.send4(element{"result", tree{{"field", list}}})
}

// opportunityExtra are the prospects of an opportunity: whoever asks for scalars does not see them.
func opportunityExtra(c *caller, r *record, output string, read bool) tree {
	if output != outputFull {
		return nil
	}
	st := r.st
	var list repeated
	for _, id := range c.s.opportunityProspects(r) {
		p := st.byID(st.byName["prospects"], id)
		if p == nil {
			continue
		}
		list = append(list, c.nothingOr(tree{{"id", id}}, []element{
			{"first_name", p.get("firstName")}, {"last_name", p.get("lastName")}, {"email", p.get("email")}, {"company", p.get("company")},
		}))
	}
	var t tree
	if len(list) == 0 {
		t = append(t, element{"prospects", noText}) // an empty element
	} else {
		t = append(t, element{"prospects", tree{{"prospect", list}}})
	}
	if read {
		t = append(t, element{"opportunity_activities", noText})
	}
	return t
}

// prospectExtra are what only full records of prospects have.
func prospectExtra(c *caller, r *record, output string, read bool) tree {
	if output != outputFull || c.q.Has("fields") {
		return nil
	}
	var t tree
	if id, ok := r.get("profileId").(int64); ok {
		t = append(t, element{"profile", tree{{"id", id}, {"name", "Profile " + strconv.FormatInt(id, 10)}}})
	}
	if !read {
		return t
	}
	st := r.st
	var lists repeated
	members := query{table: st.byName["list_memberships"], state: st, where: []condition{{"prospectId", equal, r.id}}}
	for _, m := range c.s.find(members).rows {
		sub := tree{{"id", m.id}, {"did_opt_out", m.get("optedOut")}}
		if l := st.byID(st.byName["lists"], m.number("listId")); l != nil {
			sub = append(sub, element{"list", tree{{"id", l.id}, {"name", l.get("name")}}})
		}
		lists = append(lists, sub)
	}
	if len(lists) > 0 {
		t = append(t, element{"lists", tree{{"list_subscription", lists}}})
	}
	return t
}

// userExtra is the time zone of a user, which only version 4 tells. (Account Engagement API,
// Version 4, Users)
func userExtra(c *caller, r *record, output string, _ bool) tree {
	if output == outputMobile {
		return nil
	}
	zone := c.s.zone.Load().String()
	i := slices.IndexFunc(c.s.org.users, func(u User) bool { return u.SalesforceID == r.get("salesforceId") })
	if i >= 0 {
		zone = c.s.zoneOf(&c.s.org.users[i]).String()
	}
	return tree{{"timezone", zone}}
}
