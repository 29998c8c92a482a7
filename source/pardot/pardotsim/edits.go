package pardotsim

import (
	"fmt"
	"time"
)

// What tests do to a business unit beside Change.

// AddProspects creates n prospects at a moment, all in the same second.
func (s *Server) AddProspects(n int, at time.Time) { s.addTo("prospects", n, at) }

// AddActivities creates n visitor activities at a moment, all in the same second.
func (s *Server) AddActivities(n int, at time.Time) { s.addTo("visitor_activities", n, at) }

// Add creates n records of a table at a moment, all in the same second. It returns their ids.
func (s *Server) Add(table string, n int, at time.Time) []int64 { return s.addTo(table, n, at) }

func (s *Server) addTo(table string, n int, at time.Time) (ids []int64) {
	s.change(func(m *mutation) {
		if t := m.table(table); t != nil {
			for range n {
				ids = append(ids, m.create(t, at.Unix()).id)
			}
		}
	})
	return ids
}

// Touch updates up to n records of a table at a moment, all in the same second. It returns their ids.
func (s *Server) Touch(table string, n int, at time.Time) []int64 {
	return s.eachPicked(table, n, binHidden, func(m *mutation, r *record) { m.touch(r, at.Unix()) })
}

// Remove moves up to n records of a table to the recycle bin. It returns their ids.
func (s *Server) Remove(table string, n int) []int64 {
	if t := s.table(table); t == nil || !t.bin {
		return nil
	}
	return s.eachPicked(table, n, binHidden, func(m *mutation, r *record) { m.discard(r, false) })
}

// Restore takes up to n records of a table out of the recycle bin. It returns their ids.
func (s *Server) Restore(table string, n int) []int64 {
	return s.eachPicked(table, n, binOnly, func(m *mutation, r *record) { m.discard(r, true) })
}

// Purge deletes up to n records of a table for good. It returns their ids.
func (s *Server) Purge(table string, n int) []int64 {
	return s.eachPicked(table, n, binShown, func(m *mutation, r *record) { m.purge(r) })
}

func (s *Server) eachPicked(table string, n int, b bin, f func(*mutation, *record)) (ids []int64) {
	s.change(func(m *mutation) {
		t := m.table(table)
		if t == nil {
			return
		}
		for _, r := range m.pick(t, n, b) {
			ids = append(ids, r.id)
			f(m, r)
		}
	})
	return ids
}

// AddCustomField adds a custom field of prospects, as an administrator does, and fills it in for some
// of them. Its type is one of the vendor's, such as "Text", "Number", "Date" or "Multi-Select"; values
// says that it records multiple responses.
func (s *Server) AddCustomField(name, kind string, values bool) error {
	if s.table("prospects").column(name+"__c") != nil {
		return fmt.Errorf("add custom field %q: it exists", name)
	}
	s.change(func(m *mutation) {
		t := m.table("custom_fields")
		f := &CustomField{FieldID: name, Name: name, Type: kind, Values: values}
		m.st.custom = append(m.st.custom, f)
		f.ID = m.create(t, m.at).id
		c := customColumn(f)
		c.fresh, c.make = c.make, func(*record, uint64) any { return nil }
		tables := append([]*table(nil), m.st.tables...)
		for i, t := range tables {
			if t.name == "prospects" {
				tables[i] = t.withColumn(c)
			}
		}
		m.st.setTables(tables)
		const filled = 20
		for _, r := range m.pick(m.table("prospects"), filled, binHidden) {
			e := m.edit(r)
			e.values[c.name], e.updated = c.fresh(r, m.roll()), max(e.updated, m.at)
		}
	})
	return nil
}
