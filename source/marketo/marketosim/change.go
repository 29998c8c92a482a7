package marketosim

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/martsync/martsync/simulate"
)

// A mutation is one change of the account in the making. Everything in it happens at one
// second, as a mass update does.
type mutation struct {
	s  *Server
	st *state
	at int64
	h  uint64
}

func (m *mutation) roll() uint64 {
	m.h = simulate.Next(m.h)
	return m.h
}

// Change makes about n records change at the clock's present.
func (s *Server) Change(n int) []string {
	if n <= 0 {
		return nil
	}
	var said []string
	s.change(func(m *mutation) {
		part := func(percent int) int {
			k := n * percent / 100
			if k == 0 && n >= 10 {
				k = 1
			}
			return k
		}
		rest := n
		for _, k := range []struct {
			percent int
			do      func(k int) string
		}{
			{20, m.createLeads},
			{12, m.updateCustom},
			{12, m.act},
			{10, m.arriveLate},
			{6, m.addToLists},
			{4, m.removeFromLists},
			{4, m.changeAssets},
			{4, m.changeStudio},
			{3, m.changeObjects},
			{5, m.deleteLeads},
			{4, m.mergeLeads},
		} {
			if c := min(part(k.percent), rest); c > 0 {
				rest -= c
				said = append(said, k.do(c))
			}
		}
		if rest > 0 {
			said = slices.Insert(said, 0, m.updateLeads(rest))
		}
		if n >= 20 {
			said = append(said, m.ghost())
		}
	})
	return slices.DeleteFunc(said, func(t string) bool { return t == "" })
}

// change makes a new state. Exports that have started keep the old one.
func (s *Server) change(f func(*mutation)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.jobs.Settle()
	s.turn++
	m := &mutation{s: s, st: s.state.Load().clone(), at: s.clock.Now().Unix(), h: simulate.Hash(s.cfg.Seed, saltChange, s.turn, 0)}
	f(m)
	s.state.Store(m.st)
}

// history is what happened in the weeks before the start, so that a first sync finds deleted
// and merged leads.
func (s *Server) history(st *state) {
	w := s.world
	m := &mutation{s: s, st: st, h: simulate.Hash(w.seed, saltChange, 0, 0)}
	deletes, merges := min(max(w.size.leads/60, 1), 300), min(max(w.size.leads/150, 1), 150)
	all := deletes + merges
	for i := range all {
		m.at = w.start - 20*daySecs + i*20*daySecs/all
		switch {
		case m.at < w.leadsFrom: // a young account
		case i*merges/all < (i+1)*merges/all:
			_ = m.mergeLeads(1)
		default:
			_ = m.deleteLeads(1)
		}
	}
}

// pick returns up to k different existing leads that were created by the time of the change.
func (m *mutation) pick(k int) []int64 {
	seen := make(map[int64]bool)
	var list []int64
	for tries := 0; len(list) < k && tries < 20*k+20; tries++ {
		i := int64(simulate.Pick(m.roll(), int(m.st.total)))
		if !seen[i] && m.st.exists(i) && m.st.created(i) <= m.at {
			seen[i] = true
			list = append(list, i)
		}
	}
	return list
}

func (m *mutation) name(i int64) string {
	var l lead
	m.st.lead(&l, i)
	who := strings.TrimSpace(l.value(m.s.world.field("firstName")).String() + " " + l.value(m.s.world.field("lastName")).String())
	if who == "" {
		who = "a lead without a name"
	}
	return fmt.Sprintf("%s, id %d", who, m.s.world.leadID(i))
}

// log adds an activity of now.
func (m *mutation) log(typ, i int64) *activity {
	a := &activity{date: m.at, lead: i, typ: m.s.types.byID[typ], h: m.roll()}
	if a.typ.campaign {
		a.campaign = m.s.world.campaignID(simulate.Pick(m.roll(), m.s.world.size.campaigns))
	}
	if a.typ.fill != nil {
		a.typ.fill(m.s.world, a, m.roll())
	}
	return m.st.add(a)
}

// set changes fields of a lead and logs it. touch says whether updatedAt moves, which it does
// for standard fields only. (Marketo REST API, Bulk Lead Extract: updatedAt filter)
func (m *mutation) set(i int64, names []string, touch bool) string {
	e := m.st.editOf(i)
	var l lead
	m.st.lead(&l, i)
	l.edits = e.values
	said := ""
	for _, n := range names {
		f := m.st.field(n)
		if f == nil {
			continue
		}
		old := l.value(f)
		now := old
		for range 8 {
			if now = f.make(&l, m.roll()); !now.same(old) && !now.isNull() {
				break
			}
		}
		if now.same(old) || now.isNull() {
			continue
		}
		e.values[n] = now
		typ := int64(typeChangeValue)
		if f.Type == "score" {
			typ = typeChangeScore
		}
		a := m.log(typ, i)
		a.primary(f.ID, text(f.Display))
		a.set = []setAttribute{{"New Value", text(now.String())}}
		if !old.isNull() {
			a.set = append(a.set, setAttribute{"Old Value", text(old.String())})
		}
		a.set = append(a.set, setAttribute{"Source", text("Web service API")}, setAttribute{"Reason", text("Changed by \"warehouse\" test, " + n)})
		said = fmt.Sprintf("%s from %q to %q", f.Display, old.String(), now.String())
	}
	if said == "" {
		return ""
	}
	e.changed = m.at
	if touch {
		e.updated = m.at
	}
	return said
}

var (
	standardChanges = []string{"title", "city", "company", "phone", "leadStatus", "leadScore", "department", "annualRevenue"}
	customChanges   = []string{"Notes__c", "Customer_Tier__c", "Health_Score__c", "Win_Probability__c", "Renewal_Date__c", "Contract_Value__c"}
)

func (m *mutation) fields(names []string) []string {
	a := simulate.Pick(m.roll(), len(names))
	return []string{names[a], names[(a+1+simulate.Pick(m.roll(), len(names)-1))%len(names)]}
}

func (m *mutation) updateLeads(k int) string {
	return m.updates(k, standardChanges, true, "%s updated, for example %s: %s.")
}

func (m *mutation) updateCustom(k int) string {
	return m.updates(k, customChanges, false, "%s had only custom fields updated, which does not move updatedAt, for example %s: %s.")
}

func (m *mutation) updates(k int, names []string, touch bool, sentence string) string {
	done, example, what := 0, int64(0), ""
	for _, i := range m.pick(k) {
		if said := m.set(i, m.fields(names), touch); said != "" {
			done, example, what = done+1, i, said
		}
	}
	if done == 0 {
		return ""
	}
	return fmt.Sprintf(sentence, plural(done, "lead was", "leads were", "lead", "leads", sentence), m.name(example), what)
}

// plural counts things; "had" sentences need no verb.
func plural(n int, oneWas, manyWere, one, many, sentence string) string {
	if strings.Contains(sentence, "%s had") {
		oneWas, manyWere = one, many
	}
	if n == 1 {
		return "1 " + oneWas
	}
	return strconv.Itoa(n) + " " + manyWere
}

func were(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + many
}

func (m *mutation) create() int64 {
	i := m.st.total
	m.st.total++
	m.st.leads[i] = &edit{created: m.at, updated: m.at, changed: m.at, winner: -1, values: map[string]value{}}
	m.log(typeNewLead, i)
	return i
}

func (m *mutation) createLeads(k int) string {
	var i int64
	for range k {
		i = m.create()
	}
	return fmt.Sprintf("%s created, for example %s.", were(k, "lead was", "leads were"), m.name(i))
}

// remove deletes a lead: it vanishes from reads and is listed for 14 days.
// (Marketo REST API, Activities, Get Deleted Leads)
func (m *mutation) remove(i int64) {
	e := m.st.editOf(i)
	e.deleted = m.at
	a := m.log(typeDeleteLead, i)
	a.primary(m.s.world.leadID(i), text(m.shortName(i)))
	a.set = []setAttribute{}
}

func (m *mutation) shortName(i int64) string {
	who, _, _ := strings.Cut(m.name(i), ", id")
	return who
}

func (m *mutation) deleteLeads(k int) string {
	list := m.pick(k)
	for _, i := range list {
		m.remove(i)
	}
	if len(list) == 0 {
		return ""
	}
	return fmt.Sprintf("%s deleted, for example %s.", were(len(list), "lead was", "leads were"), m.name(list[0]))
}

// mergeLeads merges leads: the losers vanish, the winner gets the activity, and the losers'
// activities become the winner's. (Marketo REST API, Leads, Merge Lead)
func (m *mutation) mergeLeads(k int) string {
	done, said := 0, ""
	for range k {
		list := m.pick(2 + int(m.roll()%4/3))
		if len(list) < 2 {
			break
		}
		winner, losers := list[0], list[1:]
		said = fmt.Sprintf("%s into %s", m.name(losers[0]), m.name(winner))
		e := merge{losers: losers, winner: winner, at: m.at, master: m.roll()%3 > 0, crm: m.roll()%4 == 0, source: []string{"leaddb", "Marketo \"UI\"", "API"}[m.roll()%3]}
		ids := "["
		for n, i := range losers {
			if n > 0 {
				ids += ","
			}
			ids += strconv.FormatInt(m.s.world.leadID(i), 10)
			l := m.st.editOf(i)
			l.deleted, l.winner = m.at, winner
			if m.s.cfg.MergeDeletes {
				a := m.log(typeDeleteLead, i)
				a.primary(m.s.world.leadID(i), text(m.shortName(i)))
				a.set = []setAttribute{}
			}
		}
		w := m.st.editOf(winner)
		w.changed, w.updated = max(w.changed, m.at), max(w.updated, m.at)
		a := m.log(typeMergeLeads, winner)
		a.primary(m.s.world.leadID(winner), text(m.shortName(winner)))
		a.set = []setAttribute{{"Merge Ids", raw(ids + "]")}, {"Master Updated", boolean(e.master)}, {"Merge Source", text(e.source)}, {"Merged in Sales", boolean(e.crm)}}
		e.key = a.key
		m.st.merges = append(m.st.merges, e)
		done++
	}
	if done == 0 {
		return ""
	}
	return fmt.Sprintf("%s, for example %s.", were(done, "pair or group of leads was merged", "pairs or groups of leads were merged"), said)
}

// ghost creates and deletes a lead at once: no read ever shows it.
func (m *mutation) ghost() string {
	i := m.create()
	m.remove(i)
	return fmt.Sprintf("1 lead was created and deleted at once: id %d.", m.s.world.leadID(i))
}

// act adds activities of now.
func (m *mutation) act(k int) string {
	list := m.pick(k)
	var a *activity
	for _, i := range list {
		a = m.log([]int64{typeVisitWebpage, typeSendEmail, 7, 10, 11, 2, 46, 104, 100001}[simulate.Pick(m.roll(), 9)], i)
	}
	if a == nil {
		return ""
	}
	return fmt.Sprintf("%s happened, for example %s of %s.", were(len(list), "activity", "activities"), a.typ.name, m.name(a.lead))
}

// arriveLate adds activities whose date is in the past and that could not be seen until now.
func (m *mutation) arriveLate(k int) string {
	var oldest *activity
	done := 0
	for _, i := range m.pick(k) {
		date := m.at - 10*minute - int64(simulate.Pick(m.roll(), int(6*hour)))
		if m.st.created(i) > date {
			continue
		}
		a := &activity{date: date, visible: m.at, lead: i, typ: m.s.types.byID[[]int64{1, 3, 10, 11}[simulate.Pick(m.roll(), 4)]], h: m.roll()}
		if a.typ.campaign {
			a.campaign = m.s.world.campaignID(simulate.Pick(m.roll(), m.s.world.size.campaigns))
		}
		a.typ.fill(m.s.world, a, m.roll())
		m.st.add(a)
		if done++; oldest == nil || a.date < oldest.date {
			oldest = a
		}
	}
	if done == 0 {
		return ""
	}
	return fmt.Sprintf("%s late, for example %s of %s, dated %d minutes ago.", were(done, "activity arrived", "activities arrived"), oldest.typ.name, m.name(oldest.lead), (m.at-oldest.date)/minute)
}

func (m *mutation) addToLists(k int) string      { return m.lists(k, true) }
func (m *mutation) removeFromLists(k int) string { return m.lists(k, false) }

func (m *mutation) lists(k int, add bool) string {
	done, said := 0, ""
	for tries := 0; done < k && tries < 20*k+20; tries++ {
		l := m.st.lists[simulate.Pick(m.roll(), len(m.st.lists))]
		picked := m.pick(1)
		if len(picked) == 0 || l.gone || m.st.inList(l.id, picked[0]) == add {
			continue
		}
		i := picked[0]
		m.st.members[membership{l.id, i}] = add
		typ := int64(typeAddToList)
		if !add {
			typ = typeRemoveList
		}
		a := m.log(typ, i)
		a.primary(l.id, text(fmt.Sprint(l.rec.get("name"))))
		done++
		said = fmt.Sprintf("%s, list %q", m.name(i), l.rec.get("name"))
	}
	switch {
	case done == 0:
		return ""
	case add:
		return fmt.Sprintf("%s added to static lists, for example %s.", were(done, "lead was", "leads were"), said)
	}
	return fmt.Sprintf("%s removed from static lists, for example %s.", were(done, "lead was", "leads were"), said)
}

// changeAssets updates, creates and deletes assets in turn.
func (m *mutation) changeAssets(k int) string {
	w := m.s.world
	var said []string
	for n := range k {
		step := int(m.s.turn) + n - 1
		switch step % 8 {
		case 0:
			said = append(said, m.rename("program", m.st.programs))
		case 1:
			said = append(said, m.rename("email", m.st.emails))
		case 2:
			said = append(said, m.rename("smart campaign", m.st.campaigns))
		case 3:
			said = append(said, m.drop("email", m.st.emails))
		case 4:
			a := w.newEmail(len(m.st.emails), m.at, m.at)
			m.st.emails = append(m.st.emails, a)
			said = append(said, fmt.Sprintf("email %q was created", a.rec.get("name")))
		case 5:
			said = append(said, m.rename("static list", m.st.lists))
		case 6:
			said = append(said, m.drop("smart campaign", m.st.campaigns))
		default:
			a := w.newProgram(len(m.st.programs), m.at, m.at)
			m.st.programs = append(m.st.programs, a)
			said = append(said, fmt.Sprintf("program %q was created", a.rec.get("name")))
		}
	}
	said = slices.DeleteFunc(said, func(t string) bool { return t == "" })
	if len(said) == 0 {
		return ""
	}
	more := ""
	if len(said) > 3 {
		more = fmt.Sprintf(", and %d more", len(said)-3)
		said = said[:3]
	}
	return "Assets: " + strings.Join(said, ", ") + more + "."
}

// one picks an asset that exists and can be read.
func (m *mutation) one(list []*asset) int {
	for range 50 {
		if i := simulate.Pick(m.roll(), len(list)); !list[i].gone && !list[i].tested {
			return i
		}
	}
	return -1
}

func (m *mutation) rename(what string, list []*asset) string {
	i := m.one(list)
	if i < 0 {
		return ""
	}
	old := list[i].rec.get("name")
	a := *list[i]
	name := fmt.Sprintf("%s (rev. %d)", strings.Split(fmt.Sprint(old), " (rev.")[0], m.s.turn)
	a.rec = a.rec.with("name", name).with("updatedAt", moment(m.at))
	a.updated, a.draft = m.at, nil
	list[i] = &a
	return fmt.Sprintf("%s %q was renamed to %q", what, old, name)
}

func (m *mutation) drop(what string, list []*asset) string {
	i := m.one(list)
	if i < 0 {
		return ""
	}
	a := *list[i]
	a.gone = true
	list[i] = &a
	return fmt.Sprintf("%s %q was deleted", what, a.rec.get("name"))
}

// AddField adds a lead field, as an administrator does, filled for two leads in three. Its id is
// higher than all others.
func (s *Server) AddField(name, display, dataType string) error {
	of, err := makeFor(dataType)
	if err != nil {
		return fmt.Errorf("add field %q: %w", name, err)
	}
	if s.state.Load().field(name) != nil {
		return fmt.Errorf("add field %q: it exists", name)
	}
	s.change(func(m *mutation) {
		last := int64(0)
		for _, f := range m.st.fields {
			last = max(last, f.ID)
		}
		m.st.fields = append(m.st.fields, &Field{ID: last + 3, Name: name, Display: display, Type: dataType, make: of, salt: salt(name)})
	})
	return nil
}

// RemoveField removes a lead field: describe no longer lists it and create refuses it.
func (s *Server) RemoveField(name string) error {
	if s.state.Load().field(name) == nil {
		return fmt.Errorf("remove field %q: it does not exist", name)
	}
	s.change(func(m *mutation) {
		m.st.lostFields = append(m.st.lostFields, m.st.field(name))
		m.st.fields = slices.DeleteFunc(m.st.fields, func(f *Field) bool { return f.Name == name })
	})
	return nil
}

// RetypeField changes a field's data type and with it the values of all leads.
func (s *Server) RetypeField(name, dataType string) error {
	of, err := makeFor(dataType)
	if err != nil {
		return fmt.Errorf("retype field %q: %w", name, err)
	}
	if s.state.Load().field(name) == nil {
		return fmt.Errorf("retype field %q: it does not exist", name)
	}
	s.change(func(m *mutation) {
		for i, f := range m.st.fields {
			if f.Name == name {
				c := *f
				c.Type, c.make = dataType, of
				m.st.fields[i] = &c
			}
		}
	})
	return nil
}
