package marketosim

import (
	"strings"

	"github.com/martsync/martsync/simulate"
)

// quietFields are fields whose changes no activity tells: some of the system's own, and custom ones that a list import
// or an administrator sets. (Marketo REST API, Activities: the feed of changes is of what flows and forms change)
var quietFields = []string{"leadPartitionId", "acquisitionProgramId", "urgency", "priority", "External_Id__c", "Last_Demo_At__c", "Satisfaction__c"}

// ChangeQuietly makes about n leads change in fields whose changes the activity log does not tell, all at once as a bulk
// import does, and returns the ids of those that did. The filter updatedAt sees them; updatedAt itself moves for fields
// that are not custom ones.
func (s *Server) ChangeQuietly(n int) []int64 {
	var changed []int64
	s.change(func(m *mutation) {
		name := quietFields[simulate.Pick(m.roll(), len(quietFields))]
		f := m.st.field(name)
		if f == nil {
			return
		}
		for _, i := range m.pick(n) {
			e := m.st.editOf(i)
			var l lead
			m.st.lead(&l, i)
			l.edits = e.values
			old := l.value(f)
			for range 8 {
				now := f.make(&l, m.roll())
				if now.same(old) || now.isNull() {
					continue
				}
				e.values[name], e.changed = now, m.at
				if !isCustom(name) {
					e.updated = m.at
				}
				changed = append(changed, s.world.leadID(i))
				break
			}
		}
	})
	return changed
}

// DeleteLead deletes a lead at the clock's present, and reports whether it existed.
func (s *Server) DeleteLead(id int64) (deleted bool) {
	i, real := s.world.leadIndex(id)
	s.change(func(m *mutation) {
		if deleted = real && i < m.st.total && m.st.exists(i); deleted {
			m.remove(i)
		}
	})
	return deleted
}

// TouchLead changes a field of a lead at the clock's present and logs it, and reports whether it could.
func (s *Server) TouchLead(id int64, field string) (touched bool) {
	i, real := s.world.leadIndex(id)
	s.change(func(m *mutation) {
		if real && i < m.st.total && m.st.exists(i) {
			touched = m.set(i, []string{field}, !isCustom(field)) != ""
		}
	})
	return touched
}

// isCustom reports whether a field is one that the customer has added: changing it does not move updatedAt.
// (Marketo REST API, Bulk Lead Extract)
func isCustom(field string) bool { return strings.HasSuffix(field, "__c") }

// ChangeDevices makes n records of the custom object change, appear or vanish at the clock's present. Most of them change, one
// after the other among few, so that the same ones change again and again.
func (s *Server) ChangeDevices(n int) {
	s.change(func(m *mutation) {
		steps := []func() string{m.changeDevice, m.changeDevice, m.buyDevice, m.changeDevice, m.loseDevice, m.changeDevice}
		for range n {
			steps[simulate.Pick(m.roll(), len(steps))]()
		}
	})
}
