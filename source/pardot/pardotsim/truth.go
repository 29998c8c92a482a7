package pardotsim

import (
	"iter"
	"slices"
	"strconv"

	"github.com/martsync/martsync/simulate"
)

// Which interface a table is read by.
const (
	by4    = "v4"
	by5    = "v5"
	byBoth = "both"   // exports of version 4 for the past, queries of version 5 since
	byFile = "export" // exports of version 4 alone
)

// readBy are the tables that are not read by version 5 alone.
var readBy = map[string]string{
	"visitors": by4, "prospect_accounts": by4, "email_clicks": by4, "opportunity_prospects": by4,
	"list_memberships": byBoth, "visitor_activities": byBoth,
}

// clickNames are the names that clicks have beside version 5's activities, which come closest.
var clickNames = map[string]string{"url": "details", "dripProgramActionId": "drip_program_action_id", "trackerRedirectId": "tracker_redirect_id"}

// Tables names the tables whose truth is known.
func (s *Server) Tables() []string {
	var names []string
	for _, t := range s.world.tables {
		names = append(names, t.name)
		if t.name == "opportunities" {
			names = append(names, "opportunity_prospects")
		}
	}
	return names
}

// Truth yields what a perfect copy of the table holds now, read by the interface that serves it best:
// version 5 for most, version 4 where that knows more or can tell what has changed.
func (s *Server) Truth(table string) iter.Seq[simulate.Row] {
	by := readBy[table]
	if by == "" {
		by = by5
	}
	return s.TruthBy(table, by)
}

// TruthBy yields what a perfect copy of the table holds that was read in one way alone: "v4" or "v5" by
// queries, "export" by exports of version 4. With "both", exports may have been read beside version 5.
// Version 4 cannot list e-mails: what it tells of those is told here of all of them.
func (s *Server) TruthBy(table, version string) iter.Seq[simulate.Row] {
	return func(yield func(simulate.Row) bool) {
		st := s.state.Load()
		if table == "opportunity_prospects" {
			s.pairs(st, yield)
			return
		}
		if table == "email_clicks" && version == by5 {
			s.clicks5(st, yield)
			return
		}
		t := st.byName[table]
		if t == nil || t.name != table {
			return
		}
		columns := s.columnsOf(t, version)
		var r record
		for i := range st.total(t) {
			st.fill(&r, t, i)
			if r.gone && r.edit == nil {
				continue // gone before anybody could have read it
			}
			if !yield(s.truthRow(&r, columns, version)) {
				return
			}
		}
	}
}

// columnsOf are the columns of a copy.
func (s *Server) columnsOf(t *table, version string) []*column {
	return slices.DeleteFunc(slices.Clone(t.columns), func(c *column) bool {
		switch {
		case s.masked(t, c.name), c.name == "apiCallsUsed": // which is other with each call
			return true
		case version == by4:
			return c.v4 == "" && c.name != "profileId" || t.name == "emails" && c.byID
		case version == byFile:
			return c.v4 == "" || c.noFile
		}
		return c.only4 || c.byID && c.custom == nil && t.name != "list_emails"
	})
}

func (s *Server) truthRow(r *record, columns []*column, version string) simulate.Row {
	row := simulate.Row{Gone: r.gone || r.deleted, Values: make(map[string]any, len(columns))}
	for _, c := range columns {
		name := c.name
		if other := clickNames[name]; other != "" && r.t.name == "email_clicks" {
			name = other
		}
		if version == by4 && c.name == "sentAt" {
			name = "created_at"
		}
		v := r.value(c)
		switch {
		case v == nil:
		case version == by4 && c.name == "objectType" && r.t.name == "tag_objects":
			v = simulate.OneOf{v, tagType4(v.(string))}
		case c.kind == kindTime && version != by5:
			v = s.naiveTruth(v.(stamp))
		case c.kind == kindBool && c.only4:
			v = simulate.OneOf{v, strconv.FormatBool(v.(bool)), map[bool]string{true: "1", false: "0"}[v.(bool)]}
		case c.v4 == "" && version == byBoth:
			v = simulate.OneOf{nil, truthOf(v)} // files do not tell it
		case v == "" && version != by5:
			v = simulate.OneOf{nil, ""} // version 4 writes nothing for both
		default:
			v = truthOf(v)
		}
		row.Values[name] = v
	}
	if r.t.name == "list_emails" {
		for _, line := range s.listEmailStats(r) {
			row.Values["stats."+line.name] = line.value
			if r.get("sentAt") == nil {
				row.Values["stats."+line.name] = simulate.OneOf{nil, line.value}
			}
		}
	}
	return row
}

// clicks5 are the activities that come closest to clicks in e-mails. (Account Engagement API, Visitor
// Activity)
func (s *Server) clicks5(st *state, yield func(simulate.Row) bool) {
	const click = int64(1)
	t := st.byName["visitor_activities"]
	for r := range s.each(query{table: t, state: st, where: []condition{{"type", equal, click}}}) {
		if r.get("emailId") == nil && r.get("listEmailId") == nil && r.get("emailTemplateId") == nil {
			continue // of a link elsewhere
		}
		row := simulate.Row{Values: make(map[string]any)}
		for _, name := range []string{"id", "prospectId", "details", "listEmailId", "emailTemplateId", "emailId", "createdAt"} {
			row.Values[name] = truthOf(r.get(name))
		}
		if !yield(row) {
			return
		}
	}
}

// naiveTruth is what a time can be taken for that is told without offset: in the hour that an autumn night
// has twice, the first of the two.
func (s *Server) naiveTruth(at stamp) any {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, zone := range s.zones {
		_, now := at.time().In(zone).Zone()
		for _, back := range []int64{hour, hour / 2} { // Lord Howe Island has half of one
			earlier := (at - stamp(back)).time()
			if _, before := earlier.In(zone).Zone(); before == now+int(back) {
				return simulate.OneOf{at.time(), earlier}
			}
		}
	}
	return at.time()
}

// pairs are the prospects of all opportunities, and those that were.
func (s *Server) pairs(st *state, yield func(simulate.Row) bool) {
	deals, prospects := st.byName["opportunities"], st.byName["prospects"]
	var r record
	for i := range st.total(deals) {
		st.fill(&r, deals, i)
		now, former := dealProspects(&r)
		ids := slices.Concat(now, former)
		for n, id := range ids {
			if slices.Contains(ids[:n], id) {
				continue
			}
			p := st.at(prospects, prospects.index(id))
			row := simulate.Row{
				Values: map[string]any{"opportunity_id": r.id, "prospect_id": id},
				Gone:   r.gone || n >= len(now) || p == nil || p.gone,
			}
			if p != nil && p.gone && p.edit == nil {
				continue // it was gone before anybody could have read it
			}
			if !yield(row) {
				return
			}
		}
	}
}
