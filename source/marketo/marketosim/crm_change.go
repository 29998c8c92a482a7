package marketosim

import (
	"fmt"
	"slices"
	"strings"

	"github.com/martsync/martsync/simulate"
)

// changeObjects changes program members, custom objects, companies and the like in turn.
func (m *mutation) changeObjects(k int) string {
	steps := []func() string{
		m.joinProgram, m.changeDevice, m.changeCompany, m.leaveProgram, m.addRole, m.buyDevice, m.changeOpportunity,
		m.changeStatus, m.dropRole, m.loseDevice, m.changeSalesPerson, m.changeNamed, m.dropCompany, m.dropNamed, m.addNamed,
	}
	var said []string
	for n := range k {
		if text := steps[(int(m.s.turn)*k+n)%len(steps)](); text != "" {
			said = append(said, text)
		}
	}
	if len(said) == 0 {
		return ""
	}
	more := ""
	if len(said) > 3 {
		more = fmt.Sprintf(", and %d more", len(said)-3)
		said = said[:3]
	}
	return "Objects: " + strings.Join(said, ", ") + more + "."
}

// progress logs that a lead's status in a program has changed.
// (Marketo REST API, Activities: Change Status in Progression)
func (m *mutation) progress(program *asset, i int64, from, to string) {
	a := m.log(typeProgression, i)
	a.primary(program.id, text(fmt.Sprint(program.rec.get("name"))))
	a.set = []setAttribute{{"New Status", text(to)}, {"Reason", text("Changed by the API")}}
	if from != "" {
		a.set = append(a.set, setAttribute{"Old Status", text(from)})
	}
}

// member finds somebody who is, or is not, in a program.
func (m *mutation) member(in bool) (program *asset, p participant, ok bool) {
	for range 400 {
		n := m.one(m.st.programs)
		list := m.pick(1)
		if n < 0 || len(list) == 0 {
			break
		}
		if m.st.participant(&p, m.st.programs[n], list[0]) == in {
			return m.st.programs[n], p, true
		}
	}
	return nil, p, false
}

func (m *mutation) joinProgram() string {
	program, p, ok := m.member(false)
	if !ok {
		return ""
	}
	m.st.joined[memberKey{program.id, p.lead}] = &memberEdit{joined: m.at, updated: m.at, status: memberStatuses[0]}
	m.progress(program, p.lead, "", memberStatuses[0])
	return fmt.Sprintf("%s joined program %q", m.name(p.lead), program.rec.get("name"))
}

func (m *mutation) changeStatus() string {
	program, p, ok := m.member(true)
	if !ok {
		return ""
	}
	old := p.status()
	now := memberStatuses[(slices.Index(memberStatuses, old)+1)%len(memberStatuses)]
	m.st.joined[memberKey{program.id, p.lead}] = &memberEdit{joined: p.joined, updated: m.at, status: now}
	m.progress(program, p.lead, old, now)
	return fmt.Sprintf("%s went from %q to %q in program %q", m.name(p.lead), old, now, program.rec.get("name"))
}

func (m *mutation) leaveProgram() string {
	program, p, ok := m.member(true)
	if !ok {
		return ""
	}
	old := p.status()
	m.st.joined[memberKey{program.id, p.lead}] = &memberEdit{joined: p.joined, updated: p.updated, status: old, gone: true}
	m.progress(program, p.lead, old, "Not in Program")
	return fmt.Sprintf("%s left program %q", m.name(p.lead), program.rec.get("name"))
}

// owner finds a lead that has, or has not, a device. A lead never gets a second one.
func (m *mutation) owner(has bool) (d device, i int64, ok bool) {
	for range 100 {
		list := m.pick(1)
		if len(list) == 0 {
			break
		}
		if m.st.device(&d, list[0]) == has && (has || !m.st.owned(&d, list[0])) {
			return d, list[0], true
		}
	}
	return d, 0, false
}

func (m *mutation) changeDevice() string {
	d, i, ok := m.owner(true)
	if !ok {
		return ""
	}
	m.st.devices[i] = &deviceEdit{created: d.created, updated: m.at, price: int64(simulate.Pick(m.roll(), 1_000_000))}
	return "the device of " + m.name(i) + " got another price"
}

func (m *mutation) buyDevice() string {
	_, i, ok := m.owner(false)
	if !ok {
		return ""
	}
	m.st.devices[i] = &deviceEdit{created: m.at, updated: m.at, price: int64(simulate.Pick(m.roll(), 1_000_000))}
	return m.name(i) + " bought a device"
}

func (m *mutation) loseDevice() string {
	d, i, ok := m.owner(true)
	if !ok {
		return ""
	}
	m.st.devices[i] = &deviceEdit{created: d.created, updated: d.updated, price: d.price, gone: true}
	return "the device of " + m.name(i) + " was deleted"
}

// thing picks one that reads show.
func (m *mutation) thing(kind int) int {
	list := m.st.crm[kind]
	for range 50 {
		if len(list) == 0 {
			break
		}
		if i := simulate.Pick(m.roll(), len(list)); m.st.shows(kind, list[i]) {
			return i
		}
	}
	return -1
}

// edit changes one field of a thing.
func (m *mutation) edit(kind int, field string, v any) string {
	i := m.thing(kind)
	if i < 0 {
		return ""
	}
	t := *m.st.crm[kind][i]
	t.rec = t.rec.with(field, v).with("updatedAt", moment(m.at))
	m.st.crm[kind][i] = &t
	k := crmObjects[kind]
	return fmt.Sprintf("%s %q was updated", strings.ToLower(k.name), plainText(t.rec.get(k.dedupe[0])))
}

func (m *mutation) changeCompany() string {
	return m.edit(kindCompany, "billingCity", cities.at(m.roll()))
}

func (m *mutation) changeOpportunity() string {
	return m.edit(kindOpportunity, "amount", cents(int64(simulate.Pick(m.roll(), 5_000_000))).String())
}

func (m *mutation) changeSalesPerson() string {
	return m.edit(kindSalesPerson, "title", titles.at(m.roll()))
}

func (m *mutation) changeNamed() string {
	return m.edit(kindNamed, "industry", industries.at(m.roll()))
}

// take deletes a thing.
func (m *mutation) take(kind int) string {
	i := m.thing(kind)
	if i < 0 {
		return ""
	}
	t := *m.st.crm[kind][i]
	t.gone = true
	m.st.crm[kind][i] = &t
	k := crmObjects[kind]
	return fmt.Sprintf("%s %q was deleted", strings.ToLower(k.name), plainText(t.rec.get(k.dedupe[0])))
}

func (m *mutation) dropCompany() string { return m.take(kindCompany) }
func (m *mutation) dropNamed() string   { return m.take(kindNamed) }
func (m *mutation) dropRole() string    { return m.take(kindRole) }

func (m *mutation) addNamed() string {
	i := len(m.st.crm[kindNamed])
	t := m.s.world.newNamed(i, m.at, m.at)
	m.st.crm[kindNamed] = append(m.st.crm[kindNamed], t)
	return fmt.Sprintf("named account %q was created", plainText(t.rec.get("name")))
}

// addRole makes an opportunity with one role.
func (m *mutation) addRole() string {
	list := m.pick(1)
	if len(list) == 0 {
		return ""
	}
	w, i := m.s.world, len(m.st.crm[kindOpportunity])
	t := w.newOpportunity(i, m.at, m.at)
	m.st.crm[kindOpportunity] = append(m.st.crm[kindOpportunity], t)
	m.st.crm[kindRole] = append(m.st.crm[kindRole], w.newRole(i, 0, list[0], m.at, m.at))
	return fmt.Sprintf("%s got opportunity %q", m.name(list[0]), plainText(t.rec.get("externalOpportunityId")))
}
