package pardotsim

import (
	"fmt"
	"slices"
	"strings"

	"github.com/martsync/martsync/simulate"
)

// A mutation is one change of the business unit in the making. Everything in it happens at one second,
// as a mass update does.
type mutation struct {
	s     *Server
	st    *state
	at    int64
	h     uint64
	owned map[string]bool // overlays that are this state's alone
}

func (m *mutation) roll() uint64 {
	m.h = simulate.Next(m.h)
	return m.h
}

// change makes a new state. What has begun to read keeps the old one.
func (s *Server) change(f func(*mutation)) {
	s.settle() // what has been exported by now keeps its rows
	s.mu.Lock()
	defer s.mu.Unlock()
	s.turn++
	old := s.state.Load()
	m := &mutation{s: s, st: old.clone(), at: s.now(), h: simulate.Hash(s.cfg.Seed, 0x6368616e6765, s.turn, 0), owned: make(map[string]bool)}
	m.st.since = m.at
	f(m)
	if s.cfg.CacheLag > 0 {
		const kept = 64 // more than anybody changes within a lag
		s.past = append(s.past, old)
		s.past = s.past[max(0, len(s.past)-kept):]
	}
	s.state.Store(m.st)
}

func (m *mutation) table(name string) *table { return m.st.byName[name] }

// overlay returns the table's overlay, which may be written to.
func (m *mutation) overlay(t *table) *overlay {
	if !m.owned[t.name] {
		m.st.overlays[t.name] = m.st.overlays[t.name].clone()
		m.owned[t.name] = true
	}
	return m.st.overlays[t.name]
}

// edit returns an edit of the record that may be written to and is part of the state already.
func (m *mutation) edit(r *record) *edit {
	e := &edit{created: r.created, updated: r.updated, deleted: r.deleted, gone: r.gone}
	if r.edit != nil {
		*e = r.edit.clone()
	} else {
		e.values = make(map[string]any)
	}
	o := m.overlay(r.t)
	if r.i >= r.t.n {
		o.extra[r.i-r.t.n] = e
	} else {
		o.edits[r.i] = e
	}
	r.edit = e
	return e
}

// create adds a record with the next id.
func (m *mutation) create(t *table, at int64) *record {
	o := m.overlay(t)
	o.extra = append(o.extra, &edit{created: at, updated: at, values: make(map[string]any)})
	return m.st.at(t, t.n+int64(len(o.extra))-1)
}

// pick returns up to k different records that are where b says.
func (m *mutation) pick(t *table, k int, b bin) []*record {
	seen := make(map[int64]bool)
	var list []*record
	total := int(m.st.total(t))
	for tries := 0; len(list) < k && tries < 30*k+60; tries++ {
		i := int64(simulate.Pick(m.roll(), total))
		if seen[i] || i < t.live {
			continue
		}
		seen[i] = true
		r := m.st.at(t, i)
		if r.gone || b == binHidden && r.deleted || b == binOnly && !r.deleted {
			continue
		}
		list = append(list, r)
	}
	for i := t.live; len(list) < k && i < int64(total); i++ { // a small table, or nearly all are wanted
		if r := m.st.at(t, i); !seen[i] && !r.gone && (b != binHidden || !r.deleted) && (b != binOnly || r.deleted) {
			list = append(list, r)
		}
	}
	return list
}

// editable reports whether people change the column's values.
func (c *column) editable() bool {
	switch c.kind {
	case kindText, kindFloat, kindList:
		return !c.rigid && (c.null > 0 || c.custom != nil)
	case kindBool:
		return !c.rigid
	case kindInt, kindTime, kindJSON:
	}
	return c.name == "score" || c.name == "pageViewCount" || c.name == "probability"
}

// touch gives a record some other values and updates it.
func (m *mutation) touch(r *record, at int64) {
	e := m.edit(r)
	for range 3 {
		c := r.t.columns[simulate.Pick(m.roll(), len(r.t.columns))]
		if !c.editable() {
			continue
		}
		h := m.roll()
		if c.custom == nil && simulate.Pick(h, 100) < c.null/2 || c.custom != nil && h%4 == 0 {
			e.values[c.name] = nil
			continue
		}
		of := c.make
		if c.fresh != nil {
			of = c.fresh
		}
		e.values[c.name] = of(r, simulate.Next(h))
	}
	e.updated = max(e.updated, at)
}

// touchAll touches up to k records of a table.
func (m *mutation) touchAll(name string, k int) int {
	list := m.pick(m.table(name), k, binHidden)
	for _, r := range list {
		m.touch(r, m.at)
	}
	return len(list)
}

// discard moves a record to the recycle bin or, with back, out of it.
func (m *mutation) discard(r *record, back bool) {
	e := m.edit(r)
	e.deleted = !back
	if !m.s.cfg.QuietBin {
		e.updated = max(e.updated, m.at)
	}
}

// purge deletes a record for good.
func (m *mutation) purge(r *record) { m.edit(r).gone = true }

func (r *record) name() string {
	for _, field := range []string{"email", "name", "url", "domain"} {
		if text := r.text(field); text != "" {
			return fmt.Sprintf("%q (%d)", text, r.id)
		}
	}
	return fmt.Sprintf("number %d", r.id)
}

// Change makes about n records change at the clock's present, in ways that a daily sync notices.
func (s *Server) Change(n int) []string {
	if n <= 0 {
		return nil
	}
	var said []string
	s.change(func(m *mutation) {
		rest := n
		for _, k := range []struct {
			percent int
			do      func(k int) string
		}{
			{8, m.newProspects},
			{18, m.newActivities},
			{8, m.lateActivities},
			{6, m.joinLists},
			{5, m.leaveLists},
			{4, m.binProspects},
			{2, m.purgeSome},
			{2, m.restoreProspects},
			{4, m.deals},
			{3, m.tagging},
			{3, m.sends},
			{3, m.clicks},
			{4, m.visiting},
			{3, func(k int) string { return m.updates("visitors", "visitor", k) }},
			{3, func(k int) string { return m.updates("prospect_accounts", "prospect account", k) }},
			{5, m.assets},
		} {
			c := n * k.percent / 100
			if c == 0 && n >= 20 {
				c = 1
			}
			if c = min(c, rest); c > 0 {
				rest -= c
				said = append(said, k.do(c))
			}
		}
		if rest > 0 {
			said = slices.Insert(said, 0, m.updates("prospects", "prospect", rest))
		}
	})
	return slices.DeleteFunc(said, func(t string) bool { return t == "" })
}

// were counts things in a sentence: "3 prospects were".
func were(n int, noun string) string {
	if n == 1 {
		return "1 " + noun + " was"
	}
	if stem, ok := strings.CutSuffix(noun, "y"); ok {
		return fmt.Sprintf("%d %sies were", n, stem)
	}
	return fmt.Sprintf("%d %ss were", n, noun)
}

func (m *mutation) updates(table, noun string, k int) string {
	if n := m.touchAll(table, k); n > 0 {
		return were(n, noun) + " updated."
	}
	return ""
}

func (m *mutation) newProspects(k int) string {
	var r *record
	for range k {
		r = m.create(m.table("prospects"), m.at)
	}
	return fmt.Sprintf("%s created, for example %s.", were(k, "prospect"), r.name())
}

func (m *mutation) newActivities(k int) string {
	for range k {
		_ = m.create(m.table("visitor_activities"), m.at)
	}
	return were(k, "activity") + " recorded."
}

// lateActivities appear with times of the past hours, as those of other systems do.
func (m *mutation) lateActivities(k int) string {
	oldest := m.at
	for range k {
		at := m.at - 10*minute - int64(simulate.Pick(m.roll(), int(18*hour)))
		_ = m.create(m.table("visitor_activities"), at)
		oldest = min(oldest, at)
	}
	return fmt.Sprintf("%s recorded late, the oldest %d minutes after it happened.", were(k, "activity"), (m.at-oldest)/minute)
}

func (m *mutation) joinLists(k int) string {
	for range k {
		_ = m.create(m.table("list_memberships"), m.at)
	}
	return were(k, "prospect") + " added to lists."
}

func (m *mutation) leaveLists(k int) string {
	list := m.pick(m.table("list_memberships"), k, binHidden)
	for _, r := range list {
		m.discard(r, false)
	}
	return were(len(list), "prospect") + " removed from lists."
}

func (m *mutation) binProspects(k int) string {
	list := m.pick(m.table("prospects"), k, binHidden)
	if len(list) == 0 {
		return ""
	}
	for _, r := range list {
		m.discard(r, false)
	}
	return fmt.Sprintf("%s moved to the recycle bin, for example %s.", were(len(list), "prospect"), list[0].name())
}

func (m *mutation) restoreProspects(k int) string {
	list := m.pick(m.table("prospects"), k, binOnly)
	if len(list) == 0 {
		return ""
	}
	for _, r := range list {
		m.discard(r, true)
	}
	return fmt.Sprintf("%s restored from the recycle bin, for example %s.", were(len(list), "prospect"), list[0].name())
}

// purgeSome deletes for good: no interface tells that, only that the ids are missing.
func (m *mutation) purgeSome(k int) string {
	n := 0
	for i := range k {
		name, b := "prospects", binShown
		switch i % 4 {
		case 1:
			name = "list_memberships"
		case 3:
			name, b = "prospects", binOnly
		}
		for _, r := range m.pick(m.table(name), 1, b) {
			m.purge(r)
			n++
		}
	}
	return were(n, "prospect or list membership") + " deleted for good."
}

// deals updates, creates and deletes opportunities, and links prospects to them.
func (m *mutation) deals(k int) string {
	t := m.table("opportunities")
	for i := range k {
		switch i % 4 {
		case 1:
			m.link(m.create(t, m.at))
		case 3:
			for _, r := range m.pick(t, 1, binShown) {
				m.purge(r)
			}
		default:
			for _, r := range m.pick(t, 1, binShown) {
				m.touch(r, m.at)
				m.link(r)
			}
		}
	}
	return were(k, "opportunity") + " won, lost, linked or deleted."
}

// link gives an opportunity other prospects.
func (m *mutation) link(r *record) {
	now, former := dealProspects(r)
	e := m.edit(r)
	var next []int64
	for _, p := range m.pick(m.table("prospects"), 1+int(m.roll()%2), binHidden) {
		next = append(next, p.id)
	}
	if len(now) > 0 && !slices.Contains(next, now[0]) {
		next = append(next, now[0])
	}
	for _, id := range now {
		if !slices.Contains(former, id) {
			former = append(slices.Clip(former), id)
		}
	}
	e.values[dealNow], e.values[dealFormer] = next, former
	e.updated = max(e.updated, m.at)
}

// tagging tags records and takes tags off: that deletes the link without a trace.
func (m *mutation) tagging(k int) string {
	t, tags := m.table("tag_objects"), m.table("tags")
	for i := range k {
		var r *record
		by := int64(1)
		if i%2 == 0 {
			list := m.pick(t, 1, binShown)
			if len(list) == 0 {
				continue
			}
			r, by = list[0], -1
			m.purge(r)
		} else {
			r = m.create(t, m.at)
		}
		if tag := m.st.byID(tags, r.number("tagId")); tag != nil {
			count := max(tag.number("objectCount")+by, 0)
			e := m.edit(tag)
			e.values["objectCount"], e.updated = count, max(e.updated, m.at)
		}
	}
	return were(k, "tag") + " put on or taken off."
}

func (m *mutation) sends(k int) string {
	for i := range k {
		if i%3 == 0 {
			_ = m.create(m.table("list_emails"), m.at)
		}
		_ = m.create(m.table("emails"), m.at)
	}
	return were(k, "e-mail") + " sent."
}

func (m *mutation) clicks(k int) string {
	for range k {
		_ = m.create(m.table("email_clicks"), m.at)
	}
	return were(k, "link") + " clicked in e-mails."
}

func (m *mutation) visiting(k int) string {
	for i := range k {
		_ = m.create(m.table([]string{"visitor_page_views", "visits", "visitors", "lifecycle_histories"}[i%4]), m.at)
	}
	return were(k, "visit, page view, visitor or stage") + " new."
}

// assets changes what marketers work with, in turn.
func (m *mutation) assets(k int) string {
	var said []string
	for i := range k {
		switch (int(m.s.turn) + i) % 10 {
		case 0:
			said = append(said, m.updates("campaigns", "campaign", 1))
		case 1:
			said = append(said, m.updates("lists", "list", 1))
		case 2:
			said = append(said, m.updates("forms", "form", 1))
		case 3:
			said = append(said, m.updates("list_emails", "list e-mail", 1))
		case 4:
			r := m.create(m.table("campaigns"), m.at)
			said = append(said, "Campaign "+r.name()+" was created.")
		case 5:
			said = append(said, m.bin("lists", "List"))
		case 6:
			said = append(said, m.updates("users", "user", 1))
		case 7:
			said = append(said, m.updates("email_templates", "e-mail template", 1))
		case 8:
			said = append(said, m.bin("forms", "Form"))
		default:
			said = append(said, m.updates("landing_pages", "landing page", 1))
		}
	}
	return strings.Join(slices.DeleteFunc(said, func(t string) bool { return t == "" }), " ")
}

func (m *mutation) bin(table, noun string) string {
	for _, r := range m.pick(m.table(table), 1, binHidden) {
		m.discard(r, false)
		return noun + " " + r.name() + " was deleted."
	}
	return ""
}
