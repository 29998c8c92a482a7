package marketosim

import "github.com/martsync/martsync/simulate"

// crmTables are the tables whose truth crmTruth and its neighbours know.
var crmTables = []string{"program_members", "custom_device_owned", "companies", "opportunities", "opportunity_roles", "sales_persons", "named_accounts"}

// crmTruth yields the things that a reader can find: companies and sales persons that a lead
// names, roles of leads, opportunities that have a role, named accounts on a list.
func (s *Server) crmTruth(st *state, table string, yield func(simulate.Row) bool) {
	switch table {
	case "program_members":
		st.participantTruth(yield)
		return
	case "custom_device_owned":
		st.deviceTruth(yield)
		return
	}
	for kind, k := range crmObjects {
		if k.table != table {
			continue
		}
		named := st.named(kind)
		for _, t := range st.crm[kind] {
			key := plainText(t.rec.get(k.dedupe[0]))
			if named != nil && !named[key] || kind == kindNamed && len(t.lists) == 0 {
				continue
			}
			if !yield(simulate.Row{Values: t.rec.truth(), Gone: !st.shows(kind, t)}) {
				return
			}
		}
	}
}

// named returns the keys that lead to things of a kind; nil: every one can be found.
func (s *state) named(kind int) map[string]bool {
	keys := map[string]bool{}
	switch kind {
	case kindCompany:
		s.valuesOf("externalCompanyId", keys)
	case kindSalesPerson:
		s.valuesOf("externalSalesPersonId", keys)
	case kindOpportunity:
		for _, t := range s.crm[kindRole] {
			if s.shows(kindRole, t) {
				keys[plainText(t.rec.get("externalOpportunityId"))] = true
			}
		}
	default:
		return nil
	}
	return keys
}

// valuesOf gathers the values that existing leads have in a field.
func (s *state) valuesOf(field string, keys map[string]bool) {
	f := s.field(field)
	if f == nil {
		return
	}
	var l lead
	for i := range s.total {
		if s.lead(&l, i) {
			keys[l.value(f).String()] = true
		}
	}
}

func (s *state) participantTruth(yield func(simulate.Row) bool) {
	var p participant
	for _, program := range s.programs {
		for i := range s.total {
			if !s.participated(&p, program, i) {
				continue
			}
			row := simulate.Row{Values: make(map[string]any, len(memberFields)), Gone: program.gone || !s.exists(i) || s.left(program, i)}
			for _, f := range memberFields {
				row.Values[f.name] = f.of(&p).truth()
			}
			if !yield(row) {
				return
			}
		}
	}
}

func (s *state) deviceTruth(yield func(simulate.Row) bool) {
	var d device
	for i := range s.total {
		if !s.owned(&d, i) {
			continue
		}
		e := s.devices[i]
		row := simulate.Row{Values: make(map[string]any, len(objectFields)), Gone: !s.exists(i) || e != nil && e.gone}
		for _, f := range objectFields {
			row.Values[f.name] = f.of(&d).truth()
		}
		if !yield(row) {
			return
		}
	}
}
