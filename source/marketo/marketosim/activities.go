package marketosim

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/martsync/martsync/simulate"
)

// shown reports whether the activity can be seen at now: it has arrived and has not been purged.
func (s *Server) shown(a *activity, now int64) bool { return s.arrived(a, now) && !s.purged(a, now) }

func (s *Server) arrived(a *activity, now int64) bool {
	if a.visible != 0 {
		return a.visible <= now
	}
	late := int64(s.cfg.LateArrival.Seconds())
	if most, ok := s.cfg.LateTypes[a.typ.id]; ok && (s.cfg.LateFrom.IsZero() || a.date >= s.cfg.LateFrom.Unix()) {
		late = int64(simulate.Pick(simulate.Hash(s.cfg.Seed, saltLate, uint64(a.key), 0), int(most/time.Second)+1)) //nolint:gosec // positive
	}
	return a.date+late <= now
}

func (s *Server) purged(a *activity, now int64) bool {
	r := retention(a.typ.id)
	return r > 0 && now-a.date >= r && !s.cfg.KeepsAll
}

// pagingToken makes a token of a date. (Marketo REST API, Paging Tokens)
func (s *Server) pagingToken(c *call) {
	t, ok := parseTime(c.q.Get("sinceDatetime"))
	if !ok {
		c.fail("1003", "Invalid sinceDatetime")
		return
	}
	since := t.Unix()
	if s.cfg.SinceExclusive {
		since++
	}
	c.finish(c.open(), member{"nextPageToken", opaque(fmt.Sprintf("d:%d", since))})
}

// activities answers activities.json. (Marketo REST API, Activities, Query)
func (s *Server) activities(c *call) {
	types, ok := c.numbers("activityTypeIds", 10)
	if !ok {
		return
	}
	if len(types) == 0 {
		c.fail("1002", "Missing value for the required parameter 'activityTypeIds'")
		return
	}
	assets, ok := c.numbers("assetIds", 300)
	if !ok {
		return
	}
	if len(assets) > 0 && len(types) != 1 {
		c.fail("1003", "assetIds requires exactly one activity type")
		return
	}
	leads, list, ok := c.leadScope()
	if !ok {
		return
	}
	c.log("a", func(a *activity) bool {
		return types[a.typ.id] && (len(assets) == 0 || a.hasID && assets[a.id]) && c.inScope(a, leads, list)
	}, nil)
}

// leadScope reads leadIds and listId, of which the latter is refused for long lists.
// (Marketo REST API, Activities)
func (c *call) leadScope() (leads map[int64]bool, list int64, ok bool) {
	leads, ok = c.numbers("leadIds", 30)
	if !ok {
		return nil, 0, false
	}
	q := c.q.Get("listId")
	if q == "" {
		return leads, 0, true
	}
	list, err := strconv.ParseInt(q, 10, 64)
	l := find(c.st.lists, list)
	if err != nil || l == nil || l.gone {
		c.fail("1013", "Object not found")
		return nil, 0, false
	}
	n := 0
	for i := range c.st.total {
		if c.st.exists(i) && c.st.inList(list, i) {
			n++
		}
	}
	if n >= 10_000 {
		c.fail("1003", "Static list has too many records")
		return nil, 0, false
	}
	return leads, list, true
}

func (c *call) inScope(a *activity, leads map[int64]bool, list int64) bool {
	i := c.st.owner(a.lead)
	return (len(leads) == 0 || leads[c.s.world.leadID(i)]) && (list == 0 || c.st.exists(i) && c.st.inList(list, i))
}

// numbers reads a parameter that is a comma list, repeated, or both.
func (c *call) numbers(name string, most int) (map[int64]bool, bool) {
	set := make(map[int64]bool)
	for _, v := range c.q[name] {
		for text := range strings.SplitSeq(v, ",") {
			n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
			if err != nil {
				c.fail("1001", fmt.Sprintf("Invalid value '%s'. Required of type 'Integer'", text))
				return nil, false
			}
			set[n] = true
		}
	}
	if len(set) > most {
		c.fail("1003", fmt.Sprintf("Too many %s: at most %d", name, most))
		return nil, false
	}
	return set, true
}

// deletedLeads answers activities/deletedleads.json. (Marketo REST API, Activities)
func (s *Server) deletedLeads(c *call) {
	c.log("x", func(a *activity) bool { return a.typ.id == typeDeleteLead }, nil)
}

// leadChanges answers activities/leadchanges.json: changes of the given fields and new leads.
func (s *Server) leadChanges(c *call) {
	q := c.q.Get("fields")
	if q == "" {
		c.fail("1002", "Missing value for the required parameter 'fields'")
		return
	}
	byID := make(map[int64]*Field)
	for name := range strings.SplitSeq(q, ",") {
		f := c.st.field(strings.TrimSpace(name))
		if f == nil {
			c.fail("1006", fmt.Sprintf("Field '%s' not found", name))
			return
		}
		byID[f.ID] = f
	}
	leads, list, ok := c.leadScope()
	if !ok {
		return
	}
	c.log("c", func(a *activity) bool {
		return (a.typ.id == typeNewLead || a.typ.id == typeChangeValue && byID[a.id] != nil) && c.inScope(a, leads, list)
	}, func(b []byte, a *activity) []byte {
		if a.typ.id == typeNewLead {
			return append(b, `,"fields":[]`...)
		}
		old, now := value{}, value{}
		a.each(s.world, func(name, _ string, v value) {
			switch name {
			case "New Value":
				now = v
			case "Old Value":
				old = v
			}
		})
		r := record{{"id", a.id}, {"name", byID[a.id].Name}, {"newValue", now}}
		if !old.isNull() {
			r = append(r, member{"oldValue", old})
		}
		b = append(b, `,"fields":[`...)
		return append(r.append(b, false, true), ']')
	})
}

// log answers one page of the activity log. It looks at a fixed number of records and keeps
// those that match, so a page may be short or have no result while more follow; there always is
// a token. (Marketo REST API, Paging Tokens and Activities)
func (c *call) log(kind string, match func(*activity) bool, extra func([]byte, *activity) []byte) {
	s := c.s
	text, ok := transparent(c.q.Get("nextPageToken"))
	if c.q.Get("nextPageToken") == "" {
		c.fail("1002", "Missing value for the required parameter 'nextPageToken'")
		return
	}
	var date, key int64
	if ok {
		if n, err := fmt.Sscanf(text, "d:%d", &date); n != 1 || err != nil {
			n, err = fmt.Sscanf(text, kind+":%d:%d", &date, &key)
			ok = n == 2 && err == nil
		}
	}
	if !ok {
		c.fail("1003", "Invalid nextPageToken")
		return
	}
	w := newWalk(c.st, s.types, date)
	now := c.now.Unix()
	b := append(c.open(), `"result":[`...)
	empty := len(b)
	found, size := 0, c.batchSize()
	more := false
	var a activity
	for looked := 0; w.next(&a, now+1); {
		if a.date == date && a.key <= key || !s.shown(&a, now) {
			continue
		}
		if looked == s.cfg.PageBlock || found == size {
			more = true
			break
		}
		looked++
		date, key = a.date, a.key
		if !match(&a) {
			continue
		}
		if found > 0 {
			b = append(b, ',')
		}
		found++
		b = c.appendActivity(b, &a, extra)
	}
	if found == 0 {
		b = b[:empty-len(`"result":[`)]
	} else {
		b = append(b, ']')
	}
	c.finish(b, member{"nextPageToken", opaque(fmt.Sprintf("%s:%d:%d", kind, date, key))}, member{"moreResult", more})
}

func (c *call) appendActivity(b []byte, a *activity, extra func([]byte, *activity) []byte) []byte {
	b = append(b, '{')
	if id, ok := a.restID(); ok {
		b = append(b, `"id":`...)
		b = append(strconv.AppendInt(b, id, 10), ',')
	}
	b = append(b, `"marketoGUID":"`...)
	b = append(a.guid(b), `","leadId":`...)
	b = strconv.AppendInt(b, c.st.leadID(a), 10)
	b = append(b, `,"activityDate":"`...)
	b = append(appendStamp(b, a.date), `","activityTypeId":`...)
	b = strconv.AppendInt(b, a.typ.id, 10)
	if a.campaign != 0 {
		b = append(b, `,"campaignId":`...)
		b = strconv.AppendInt(b, a.campaign, 10)
	}
	if extra != nil {
		b = extra(b, a)
	}
	if extra == nil && a.hasID {
		b = append(b, `,"primaryAttributeValueId":`...)
		b = strconv.AppendInt(b, a.id, 10)
	}
	if extra == nil && !a.pv.isNull() {
		b = append(b, `,"primaryAttributeValue":`...)
		b = a.pv.appendJSON(b)
	}
	b = append(b, `,"attributes":`...)
	return append(a.appendList(b, c.s.world), '}')
}

// activityTypes lists all types, custom ones included. (Marketo REST API, Activities, Describe)
func (s *Server) activityTypes(c *call) {
	var list []record
	for _, t := range s.types.list {
		list = append(list, t.describe())
	}
	c.result(list)
}

func (t *activityType) describe() record {
	r := record{{"id", t.id}, {"name", t.name}, {"description", t.description}}
	if t.api != "" {
		r = append(r, member{"apiName", t.api})
	}
	if t.primary != "" {
		r = append(r, member{"primaryAttribute", record{{"name", t.primary}, {"dataType", t.primaryType}}})
	}
	attributes := make([]record, 0, len(t.attributes))
	for i := range t.attributes {
		attributes = append(attributes, record{{"name", t.attributes[i].name}, {"dataType", t.attributes[i].dataType}})
	}
	return append(r, member{"attributes", attributes})
}

func (s *Server) externalTypes(c *call) {
	var list []record
	for _, t := range s.types.list {
		if t.api != "" {
			made := moment(s.world.leadsFrom)
			list = append(list, append(t.describe(), member{"triggerName", t.name}, member{"filterName", t.name}, member{"createdAt", made}, member{"updatedAt", made}, member{"status", "approved"}))
		}
	}
	c.result(list)
}
