package marketo

import (
	"context"

	"github.com/martsync/martsync"
)

// Calls are kept for streams that have not been looked at yet, by what each needs to be known well enough in an account of some
// ten thousand leads. Those that come first, which decide how long a sync takes, get what is left beyond.

// A finding is something that several estimates are made of. It is looked for once.
type finding int

const (
	findLog      finding = iota // places of the log of activities
	findLeads                   // leads looked up by id
	findExported                // what today's exports have taken
	findPrograms                // how many programs there are, and some of them
	findFolders                 // the same of folders
	findings
)

// findCalls is about how many calls it takes to find one.
func (s *source) findCalls(f finding) int64 {
	switch f {
	case findLog:
		return 15 // a token and a page for each ten types, at logPlacesLeast places
	case findLeads: // once the log is known: two or more for the newest ones, those before the log, and two pages
		return 4 + 3*int64(s.effort())
	case findExported:
		return 4
	default:
		return 5
	}
}

// A need is what the estimate of a stream takes: calls of its own, and findings.
type need struct {
	calls int64
	finds []finding
}

// lookPrograms and lookTokens are how many calls are to be left to program members and to tokens when their programs have been found.
const lookPrograms, lookTokens = 4, 2

// streamNeeds are those that differ from a single call. Custom objects have names of their own, see needOf.
var streamNeeds = map[string]need{
	leadStream:              {0, []finding{findLog, findLeads, findExported}},
	"activities":            {0, []finding{findLog, findExported}},
	"lead_merges":           {0, []finding{findLog, findExported}},
	"deleted_leads":         {2, nil},
	programStream:           {lookPrograms, []finding{findPrograms, findExported}},
	companies.stream:        {1, []finding{findLog, findLeads}},
	opportunities.stream:    {3, []finding{findLog, findLeads}},
	opportunityRoles.stream: {0, []finding{findLog, findLeads}}, // found with opportunities
	salesPersons.stream:     {1, []finding{findLog, findLeads}},
	namedAccounts.stream:    {2, nil},
	"programs":              {0, []finding{findPrograms}},
	"smart_campaigns":       {5, nil},
	"emails":                {5, nil},
	"smart_lists":           {3, nil},
	"list_members":          {4, nil},
	"tokens":                {lookTokens, []finding{findPrograms, findFolders}},
	"forms":                 {2, nil},
	"landing_pages":         {2, nil},
	"files":                 {3, nil},
	"folders":               {0, []finding{findFolders}},
	"segments":              {2, nil},
	"lead_fields":           {0, nil}, // these two are known from the listing of streams
	"activity_types":        {0, nil},
}

// needOf tells what a stream needs.
func needOf(stream martsync.Stream) need {
	if n, known := streamNeeds[stream.Schema().Stream]; known {
		return n
	}
	if _, ok := stream.(*customStream); ok {
		return need{1, []finding{findLog, findLeads, findExported}}
	}
	return need{1, nil}
}

// found reports whether something has been looked for.
func (s *source) found(f finding) bool {
	p := &s.estimates
	switch f {
	case findLog:
		s.logs.mu.Lock()
		defer s.logs.mu.Unlock()
		return len(s.logs.known) > 0
	case findLeads:
		return p.leads != nil
	case findExported:
		_, known := s.client.meter.exportedToday()
		return known
	case findFolders:
		return p.sizes["folders"] != nil
	case findPrograms:
		return p.sizes[assets[0].stream] != nil
	default:
		return true
	}
}

// keepFor keeps calls for what the same estimate looks for afterwards, up to half of those that it may take.
func (s *source) keepFor(ctx context.Context, finds ...finding) (release func()) {
	a, ok := ctx.Value(allowanceKey{}).(*allowance)
	if !ok {
		return func() {}
	}
	calls := int64(0)
	for _, f := range finds {
		if !s.found(f) {
			calls += s.findCalls(f)
		}
	}
	return keep(ctx, min(calls, max(a.spare(), 0)/2))
}

// needs is how many calls it takes to estimate a stream, and to estimate the others that have not been looked at, but for what this
// one finds for them. Where nobody has said which are going to be estimated it is a call for each.
func (s *source) needs(stream martsync.Stream) (own, others int64) {
	p := &s.estimates
	if p.wanted == nil {
		return p.most, int64(len(p.streams) - len(p.looked))
	}
	var finds [findings]bool
	for _, st := range p.streams {
		if name := st.Schema().Stream; p.looked[name] || !p.wanted[name] {
			continue
		}
		n := needOf(st)
		others += n.calls
		for _, f := range n.finds {
			finds[f] = true
		}
	}
	this := needOf(stream)
	own = this.calls
	for _, f := range this.finds {
		if finds[f] = false; !s.found(f) {
			own += s.findCalls(f)
		}
	}
	for f, wanted := range finds {
		if wanted && !s.found(finding(f)) {
			others += s.findCalls(finding(f))
		}
	}
	return own, others
}
