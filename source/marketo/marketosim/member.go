package marketosim

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/martsync/martsync/simulate"
)

// A participant is a lead in a program while its values are being made.
type participant struct {
	program *asset
	index   int // of the program
	lead    int64
	id      int64 // of the lead
	h       uint64
	joined  int64
	updated int64
	now     string // status since a change; "": the one of the start
}

// A memberKey is a lead, by index, in a program, by id.
type memberKey struct{ program, lead int64 }

// A memberEdit is what happened to a membership since the start, or the whole story of a new one.
type memberEdit struct {
	joined, updated int64
	status          string // "": the one of the start
	gone            bool   // its status is "Not in Program"
}

// memberFields are the fields of program members. (Marketo REST API, Program Members, Describe)
var memberFields = []struct {
	name, dataType string
	length         int
	of             func(p *participant) value
}{
	{"acquiredBy", "boolean", 0, func(p *participant) value { return boolean(p.h%5 == 0) }},
	{"attendanceLikelihood", "integer", 0, func(*participant) value { return value{} }},
	{"createdAt", "datetime", 0, func(p *participant) value { return stamp(p.joined) }},
	{"isExhausted", "boolean", 0, func(p *participant) value { return boolean(p.h%50 == 0) }},
	{"leadId", "integer", 0, func(p *participant) value { return integer(p.id) }},
	{"membershipDate", "datetime", 0, func(p *participant) value { return stamp(p.joined) }},
	{"nurtureCadence", "string", 4, func(p *participant) value { return text([]string{"norm", "paus"}[p.h>>8&1]) }},
	{"program", "string", 255, func(p *participant) value { return text(fmt.Sprint(p.program.rec.get("name"))) }},
	{"programId", "integer", 0, func(p *participant) value { return integer(p.program.id) }},
	{"reachedSuccess", "boolean", 0, func(p *participant) value { return boolean(p.status() == "Attended") }},
	{"reachedSuccessDate", "datetime", 0, func(p *participant) value {
		if p.status() == "Attended" {
			return stamp(p.updated)
		}
		return value{}
	}},
	{"statusName", "string", 255, func(p *participant) value { return text(p.status()) }},
	{"statusReason", "string", 255, func(p *participant) value {
		if p.h%4 == 0 {
			return whys.at(p.h)
		}
		return value{}
	}},
	{"trackName", "string", 255, func(p *participant) value { return tiers.at(p.h << 7) }},
	{"updatedAt", "datetime", 0, func(p *participant) value { return stamp(p.updated) }},
	{"waitlistPriority", "integer", 0, func(*participant) value { return value{} }},
	{"registrationCode", "string", 100, func(p *participant) value { return text(fmt.Sprintf("%06d", p.h%1_000_000)) }},
	{"Seat_Wish__c", "string", 255, func(p *participant) value {
		if p.h%3 != 0 {
			return value{}
		}
		return notes.at(p.h << 9)
	}},
}

var memberStatuses = []string{"Registered", "Invited", "Attended", "No Show"}

func (p *participant) status() string {
	if p.now != "" {
		return p.now
	}
	return memberStatuses[p.h>>20%uint64(len(memberStatuses))]
}

func memberField(name string) func(*participant) value {
	for _, f := range memberFields {
		if f.name == name {
			return f.of
		}
	}
	return nil
}

// participant fills in a lead of a program and reports whether it is one.
func (s *state) participant(p *participant, program *asset, i int64) bool {
	return s.participated(p, program, i) && s.exists(i) && !s.left(program, i)
}

// participated does the same for everybody who ever was one.
func (s *state) participated(p *participant, program *asset, i int64) bool {
	w := s.w
	p.program, p.lead, p.id, p.now = program, i, w.leadID(i), ""
	p.index = int(program.id-w.programID(0)) / 2
	p.h = simulate.Hash(w.seed, saltMember, uint64(p.index), uint64(i))
	if i < w.size.leads && p.index < w.size.programs && simulate.OneIn(p.h, 4+p.index%9*4) {
		created := w.leadCreated(i)
		p.joined = created + int64(simulate.Pick(p.h, int(w.start-created)))
		p.updated = p.joined + int64(simulate.Pick(simulate.Next(p.h), int(w.start-p.joined)))
	} else if s.joined[memberKey{program.id, i}] == nil {
		return false
	}
	if e := s.joined[memberKey{program.id, i}]; e != nil {
		p.joined, p.updated, p.now = e.joined, e.updated, e.status
	}
	return true
}

// left reports whether a lead was taken out of the program.
func (s *state) left(program *asset, i int64) bool {
	e := s.joined[memberKey{program.id, i}]
	return e != nil && e.gone
}

func (s *Server) memberFilter(x *export, st *state, name string, p json.RawMessage) *refusal {
	var err error
	switch name {
	case "programId":
		var id int64
		err = json.Unmarshal(p, &id)
		x.program = []int64{id}
	case "programIds":
		err = json.Unmarshal(p, &x.program)
		if len(x.program) > 10 {
			return errFilter
		}
	case "statusNames":
		if err = json.Unmarshal(p, &x.status); err == nil {
			for _, n := range x.status {
				if !slices.Contains(memberStatuses, n) {
					return refuse("1003", "Invalid Data")
				}
			}
		}
	case "isExhausted":
		x.done = new(bool)
		err = json.Unmarshal(p, x.done)
	case "nurtureCadence":
		var cadence string
		err = json.Unmarshal(p, &cadence)
		if !slices.Contains([]string{"pause", "paused", "norm", "normal"}, cadence) {
			return errFilter
		}
	default:
		return errFilter
	}
	if err != nil {
		return errFilter
	}
	for _, id := range x.program {
		if a := find(st.programs, id); a == nil || a.gone {
			return refuse("1013", "Object not found")
		}
	}
	return nil
}

func (s *Server) memberRows(x *export, k *sink) error {
	fields := make([]func(*participant) value, len(x.columns))
	for i, c := range x.columns {
		fields[i] = memberField(c)
	}
	var p participant
	for n := k.pos[0]; n < int64(len(x.program)); n++ {
		program := find(x.st.programs, x.program[n])
		if program == nil || program.gone {
			continue // deleted between create and start
		}
		from := int64(0)
		if n == k.pos[0] {
			from = k.pos[1]
		}
		for i := from; i < x.st.total; i++ {
			if !x.st.participant(&p, program, i) || x.status != nil && !slices.Contains(x.status, p.status()) ||
				x.field != "" && (p.updated < x.from || p.updated > x.to) || x.done != nil && *x.done != (p.h%50 == 0) {
				continue
			}
			b := k.begin()
			for c, f := range fields {
				if c > 0 {
					b = append(b, x.style.delimiter)
				}
				b = f(&p).appendCell(b, &x.style)
			}
			if err := k.end(b, [3]int64{n, i + 1}); err != nil {
				return err
			}
		}
	}
	return k.close()
}

func (s *Server) describeMembers(c *call) {
	var fields []record
	for _, f := range memberFields {
		r := record{{"name", f.name}, {"displayName", f.name}, {"dataType", f.dataType}}
		if f.length > 0 {
			r = append(r, member{"length", f.length})
		}
		fields = append(fields, append(r, member{"updateable", false}, member{"crmManaged", false}))
	}
	c.result([]record{{
		{"name", "API Program Membership"},
		{"dedupeFields", []string{"leadId", "programId"}},
		{"searchableFields", [][]string{{"leadId"}, {"reachedSuccess"}, {"statusName"}}},
		{"fields", fields},
	}})
}

// program finds the program of the path or answers 1013.
func (c *call) program() (*asset, bool) {
	id, err := strconv.ParseInt(c.ids[0], 10, 64)
	if p := find(c.st.programs, id); err == nil && p != nil && !p.gone {
		return p, true
	}
	c.fail("1013", "Object not found")
	return nil, false
}

// programMembers answers programs/{id}/members.json. (Marketo REST API, Program Members)
func (s *Server) programMembers(c *call) {
	program, ok := c.program()
	if !ok {
		return
	}
	kind := c.q.Get("filterType")
	field := memberField(kind)
	if field == nil {
		c.fail("1003", "Invalid filterType: "+kind)
		return
	}
	from, to := int64(0), endless
	if kind == "updatedAt" {
		a, okA := parseTime(c.q.Get("startAt"))
		b, okB := parseTime(c.q.Get("endAt"))
		if !okA || !okB || b.Sub(a).Hours() > 7*24 {
			c.fail("1003", "Invalid date range: at most 7 days")
			return
		}
		from, to = a.Unix(), b.Unix()
	} else if c.q.Get("filterValues") == "" {
		c.fail("1002", "Missing value for the required parameter 'filterValues'")
		return
	}
	names := []string{"acquiredBy", "leadId", "membershipDate", "programId", "reachedSuccess"}
	if q := c.q.Get("fields"); q != "" {
		names = strings.Split(q, ",")
	}
	for _, n := range names {
		if memberField(n) == nil {
			c.fail("1006", fmt.Sprintf("Field '%s' not found", n))
			return
		}
	}
	start, ok := c.position("p")
	if !ok {
		return
	}
	var list []record
	var p participant
	next := int64(-1)
	for i := start; i < c.st.total; i++ {
		if !c.st.participant(&p, program, i) || p.updated < from || p.updated > to || kind != "updatedAt" && !c.wants("filterValues", field(&p)) {
			continue
		}
		if len(list) == c.batchSize() {
			next = i
			break
		}
		r := record{{"seq", len(list)}}
		for _, n := range names {
			if v := memberField(n)(&p); !v.isNull() {
				r = append(r, member{n, v})
			}
		}
		list = append(list, r)
	}
	if next >= 0 {
		c.result(list, member{"nextPageToken", opaque(fmt.Sprintf("p:%d", next))}, member{"moreResult", true})
		return
	}
	c.result(list, member{"moreResult", false})
}

// leadsByProgram pages through the leads of a program, each with its membership.
// (Marketo REST API, Leads, Get Leads by Program Id)
func (s *Server) leadsByProgram(c *call) {
	program, ok := c.program()
	if !ok {
		return
	}
	var p participant
	c.leadPage("g"+strconv.FormatInt(program.id, 10), func(i int64) bool { return c.st.participant(&p, program, i) }, func(b []byte, _ *lead) []byte {
		return record{{"membership", record{
			{"id", int64(p.h >> 34)},
			{"progressionStatus", p.status()},
			{"acquiredBy", p.h%5 == 0},
			{"reachedSuccess", p.status() == "Attended"},
			{"membershipDate", moment(p.joined)},
			{"updatedAt", moment(p.updated)},
		}}}.appendMembers(b)
	})
}

// appendMembers appends the members to an object that is open and not empty.
func (r record) appendMembers(b []byte) []byte {
	for _, m := range r {
		b = append(appendJSONText(append(b, ','), m.name), ':')
		b = appendAny(b, m.v, false, true)
	}
	return b
}

func (s *Server) programMembership(c *call) {
	i, ok := c.lead()
	if !ok {
		return
	}
	var list []record
	var p participant
	for _, program := range c.st.programs {
		if !program.gone && c.st.participant(&p, program, i) {
			list = append(list, record{
				{"id", program.id},
				{"progressionStatus", p.status()},
				{"isExhausted", p.h%50 == 0},
				{"acquiredBy", p.h%5 == 0},
				{"reachedSuccess", p.status() == "Attended"},
				{"membershipDate", moment(p.joined)},
				{"updatedAt", moment(p.updated)},
			})
		}
	}
	c.result(list, member{"moreResult", false})
}
