package marketosim

import (
	"encoding/json"
	"iter"
	"slices"
	"time"

	"github.com/martsync/martsync/simulate"
)

// Tables names the tables whose truth is known.
func (s *Server) Tables() []string {
	return append([]string{"leads", "activities", "deleted_leads", "lead_merges", "programs", "campaigns", "smart_campaigns", "emails", "static_lists", "list_members"}, slices.Concat(studioTables, crmTables)...)
}

// Truth yields what a perfect copy of the table holds now.
func (s *Server) Truth(table string) iter.Seq[simulate.Row] {
	return func(yield func(simulate.Row) bool) {
		st, now := s.state.Load(), s.clock.Now().Unix()
		switch table {
		case "leads":
			s.leadTruth(st, yield)
		case "activities":
			s.activityTruth(st, now, yield)
		case "deleted_leads":
			s.deletedTruth(st, now, yield)
		case "lead_merges":
			s.mergeTruth(st, yield)
		case "programs":
			assetTruth(st.programs, programColumns, nil, yield)
		case "emails":
			assetTruth(st.emails, nil, nil, yield)
		case "smart_campaigns":
			assetTruth(st.campaigns, campaignColumns, nil, yield)
		case "campaigns":
			assetTruth(st.campaigns, legacyColumns, st.legacy, yield)
		case "static_lists":
			assetTruth(st.lists, listColumns, nil, yield)
		case "list_members":
			memberTruth(st, yield)
		case "program_members", "custom_device_owned", "companies", "opportunities", "opportunity_roles", "sales_persons", "named_accounts":
			s.crmTruth(st, table, yield)
		default:
			s.studioTruth(st, table, yield)
		}
	}
}

// Members that some records lack; a copy has null there.
var (
	programColumns  = []string{"headStart", "sfdcId", "sfdcName", "startDate", "endDate", "tags", "costs"}
	campaignColumns = []string{"qualificationRuleInterval", "qualificationRuleUnit", "maxMembers", "parentProgramId"}
	legacyColumns   = []string{"description", "programId", "programName"}
	listColumns     = []string{"description", "workspace"}
)

func (s *Server) leadTruth(st *state, yield func(simulate.Row) bool) {
	var l lead
	for i := range st.total {
		row := simulate.Row{Gone: !st.lead(&l, i), Values: make(map[string]any, len(st.fields))}
		for _, f := range st.fields {
			if f.Exportable() {
				row.Values[f.Name] = l.value(f).truth()
			}
		}
		if !yield(row) {
			return
		}
	}
}

func seconds(t int64) time.Time { return time.Unix(t, 0).UTC() }

// activityTruth: rows that have been purged may be missing from a copy that was begun late, and
// deletions are not part of bulk extracts, so both count as gone.
func (s *Server) activityTruth(st *state, now int64, yield func(simulate.Row) bool) {
	w := newWalk(st, s.types, 0)
	var a activity
	for w.next(&a, now+1) {
		if !s.arrived(&a, now) {
			continue
		}
		v := s.activityValues(st, &a)
		if id, ok := a.restID(); ok {
			v["id"] = simulate.OneOf{nil, id} // only REST knows it
		}
		v["actionResult"] = nil
		if r := a.result(); !r.isNull() {
			v["actionResult"] = simulate.OneOf{nil, r.String()} // only bulk extracts know it
		}
		if !yield(simulate.Row{Values: v, Gone: a.typ.id == typeDeleteLead || s.purged(&a, now)}) {
			return
		}
	}
}

// activityValues are the values that both interfaces tell.
func (s *Server) activityValues(st *state, a *activity) map[string]any {
	v := map[string]any{
		"marketoGUID": string(a.guid(nil)), "id": nil, "activityDate": seconds(a.date), "activityTypeId": a.typ.id,
		"campaignId": nil, "primaryAttributeValueId": nil, "primaryAttributeValue": a.pv.truth(),
		"attributes": json.RawMessage(a.appendObject(nil, s.world)), "leadId": s.idOrWinners(st, a.lead),
	}
	if a.typ.id == typeDeleteLead {
		v["leadId"] = st.leadID(a)
	}
	if a.campaign != 0 {
		v["campaignId"] = a.campaign
	}
	if a.hasID {
		v["primaryAttributeValueId"] = a.id
	}
	return v
}

// idOrWinners is the id of a lead or, after merges, also those of its winners: a copy has the
// one that was right when it read the row.
func (s *Server) idOrWinners(st *state, i int64) any {
	ids := simulate.OneOf{s.world.leadID(i)}
	for {
		e := st.leads[i]
		if e == nil || e.deleted == 0 || e.winner < 0 {
			break
		}
		i = e.winner
		ids = append(ids, s.world.leadID(i))
	}
	if len(ids) == 1 {
		return ids[0]
	}
	return ids
}

func (s *Server) deletedTruth(st *state, now int64, yield func(simulate.Row) bool) {
	for _, a := range st.acts {
		if a.typ.id != typeDeleteLead || !s.arrived(a, now) {
			continue
		}
		v := s.activityValues(st, a)
		delete(v, "campaignId")
		if id, ok := a.restID(); ok {
			v["id"] = id
		}
		if !yield(simulate.Row{Values: v, Gone: s.purged(a, now)}) {
			return
		}
	}
}

func (s *Server) mergeTruth(st *state, yield func(simulate.Row) bool) {
	for _, m := range st.merges {
		a := activity{key: m.key}
		for _, i := range m.losers {
			row := simulate.Row{Values: map[string]any{
				"loser_id": s.world.leadID(i), "winner_id": s.idOrWinners(st, m.winner), "merged_at": seconds(m.at),
				"marketo_guid": string(a.guid(nil)), "merge_source": m.source, "master_updated": m.master, "merged_in_sales": m.crm,
			}}
			if !yield(row) {
				return
			}
		}
	}
}

func assetTruth(list []*asset, columns []string, of func(*asset) record, yield func(simulate.Row) bool) {
	for _, a := range list {
		if a.tested {
			continue
		}
		r := a.rec
		if of != nil {
			r = of(a)
		}
		row := simulate.Row{Values: r.truth(), Gone: a.gone}
		for _, c := range columns {
			if _, ok := row.Values[c]; !ok {
				row.Values[c] = nil
			}
		}
		if !yield(row) {
			return
		}
	}
}

func memberTruth(st *state, yield func(simulate.Row) bool) {
	for n, l := range st.lists {
		for i := range st.total {
			in, changed := st.members[membership{l.id, i}]
			if !changed {
				in = st.w.inList(n, i)
			}
			if !in && !changed {
				continue
			}
			row := simulate.Row{
				Values: map[string]any{"list_id": l.id, "lead_id": st.w.leadID(i)},
				Gone:   !in || l.gone || !st.exists(i),
			}
			if !yield(row) {
				return
			}
		}
	}
}
