package pardotsim

import (
	"fmt"

	"github.com/martsync/martsync/simulate"
)

// A happening is what visitor activities are about. (Account Engagement API, Visitor Activity)
type happening struct {
	weight   int
	number   int64
	typeName string   // the kind of asset, not of what happened
	assets   []string // columns that are told
	prospect bool     // always a prospect's
	visitor  bool     // of a browser
	details  words
}

var happenings = []happening{
	{24, 6, "Email", []string{"emailId", "listEmailId", "campaignId"}, true, false, mailNames},
	{18, 11, "Email", []string{"emailId", "listEmailId", "campaignId"}, true, true, mailNames},
	{12, 1, "Email Tracker", []string{"emailId", "listEmailId", "campaignId"}, true, true, links},
	{4, 6, "Email", []string{"emailId", "emailTemplateId", "campaignId"}, true, false, mailNames},
	{2, 12, "Email", []string{"emailId", "listEmailId"}, true, true, mailNames},
	{2, 13, "Email", []string{"emailId", "listEmailId"}, true, false, bounceWhys},
	{1, 14, "Email", []string{"emailId", "listEmailId"}, true, false, nil},
	{1, 36, "Email", []string{"emailId", "listEmailId"}, true, false, bounceWhys},
	{10, 2, "Form", []string{"formId", "campaignId"}, false, true, formNames},
	{3, 3, "Form", []string{"formId"}, false, true, formNames},
	{4, 4, "Form", []string{"formId", "campaignId"}, true, true, formNames},
	{2, 4, "Form Handler", []string{"formHandlerId"}, true, true, formNames},
	{3, 2, "Landing Page", []string{"landingPageId", "multivariateTestVariationId"}, false, true, pageTitles},
	{3, 2, "File", []string{"fileId"}, false, true, files},
	{3, 21, "Custom Redirect", []string{"customRedirectId"}, false, true, links},
	{4, 20, "Visit", []string{"visitId", "visitorPageViewId"}, false, true, pages},
	{1, 7, "Site Search Query", []string{"siteSearchQueryId"}, false, true, searches},
	{1, 1, "Paid Search Ad", []string{"paidSearchAdId", "campaignId"}, false, true, terms},
	{1, 8, "Opportunity", []string{"opportunityId", "campaignId"}, true, false, dealNames},
	{1, 9, "Opportunity", []string{"opportunityId"}, true, false, dealNames},
	{1, 99, "Unknown & new", nil, false, true, remarks}, // of a number that nobody has documented
}

var happeningWeights = func() (sum int) {
	for _, h := range happenings {
		sum += h.weight
	}
	return sum
}()

// happened is what the activity is about.
func happened(r *record) *happening {
	n := simulate.Pick(simulate.Next(r.h^0xac), happeningWeights)
	for i := range happenings {
		if n -= happenings[i].weight; n < 0 {
			return &happenings[i]
		}
	}
	return &happenings[0]
}

func (h *happening) has(asset string) bool {
	for _, a := range h.assets {
		if a == asset {
			return true
		}
	}
	return false
}

// asset is a column that only activities about such an asset have.
func asset(name string, id func(r *record, h uint64) int64) *column {
	return whole(name+"*", 0, func(r *record, h uint64) any {
		if !happened(r).has(name) {
			return nil
		}
		return id(r, h)
	})
}

func assetOf(name, table string) *column {
	return asset(name, func(r *record, h uint64) int64 {
		t := r.st.w.byName[table]
		return t.id(t.older(h, r.created))
	})
}

func assetUpTo(name string, n int) *column {
	return asset(name, func(_ *record, h uint64) int64 { return 1 + int64(simulate.Pick(h, n)) })
}

// activityMail is the index of the e-mail that an activity is about.
func activityMail(r *record) int64 {
	mails := r.st.w.byName["emails"]
	i := mails.older(simulate.Next(r.h^0xe1), r.created)
	if happened(r).has("listEmailId") == (listMailOf(r.st.w, i) >= 0) {
		return i
	}
	if happened(r).has("listEmailId") {
		return i - i%4 + 1
	}
	return i - i%4
}

// activityTables are what visitors and prospects did. (Account Engagement API, Visitor Activity, List
// Membership, Tagged Object; version 4, Email Clicks)
func (w *world) activityTables() []*table {
	activities := &table{
		name: "visitor_activities", path: "visitor-activities", n: w.rows * 12, first: 1<<31 - 20_001, step: 2, edited: 4,
		filters: []string{"createdAt", "updatedAt", "prospectId", "type"},
		columns: columns(
			identity(), whole("type*", 0, func(r *record, _ uint64) any { return happened(r).number }),
			made("typeName*", 0, func(r *record, _ uint64) any { return happened(r).typeName }),
			made("details*", 5, func(r *record, h uint64) any {
				if w := happened(r).details; w != nil {
					return w[simulate.Pick(h, len(w))]
				}
				return nil
			}),
			whole("prospectId*", 0, func(r *record, h uint64) any {
				if !happened(r).prospect && simulate.Pick(h, 3) > 0 {
					return nil
				}
				t := r.st.w.byName["prospects"]
				return t.id(t.older(simulate.Next(h), r.created))
			}),
			whole("visitorId*", 0, func(r *record, h uint64) any {
				if !happened(r).visitor {
					return nil
				}
				t := r.st.w.byName["visitors"]
				return t.id(t.older(h, r.created))
			}),
			assetOf("visitId", "visits"), assetOf("campaignId", "campaigns"),
			asset("emailId", func(r *record, _ uint64) int64 { return r.st.w.byName["emails"].id(activityMail(r)) }),
			assetOf("emailTemplateId", "email_templates"),
			asset("listEmailId", func(r *record, _ uint64) int64 {
				return r.st.w.byName["list_emails"].id(max(listMailOf(r.st.w, activityMail(r)), 0))
			}),
			assetOf("customRedirectId", "custom_redirects"), assetOf("fileId", "files"), assetOf("formId", "forms"), assetOf("formHandlerId", "form_handlers"),
			assetOf("landingPageId", "landing_pages"), assetUpTo("multivariateTestVariationId", 40), assetOf("opportunityId", "opportunities"),
			assetUpTo("paidSearchAdId", 900), assetUpTo("siteSearchQueryId", 5000), assetOf("visitorPageViewId", "visitor_page_views"),
			created(), updated(),
		),
	}
	views := &table{
		name: "visitor_page_views", path: "visitor-page-views", n: w.share(4, 1, 20, unlimited), first: 1<<32 + 17, filters: []string{"createdAt", "visitId"},
		columns: columns(
			identity(), text("url", 1, pages), text("title", 8, pageTitles), link("visitorId", 0, "visitors"), link("campaignId", 30, "campaigns"),
			link("visitId", 3, "visits"), count("durationInSeconds", 10, 600), crm("salesforceId", 95, "a0V"), withoutV4(created()),
		),
	}
	clicks := &table{
		name: "email_clicks", n: w.share(3, 2, 10, unlimited), first: 70_011,
		columns: columns(
			identity(), link("prospectId*", 1, "prospects"), text("=url", 0, links),
			clicked("listEmailId=list_email_id", 0, "list_emails"), clicked("dripProgramActionId=drip_program_action_id", 1, ""),
			clicked("emailTemplateId=email_template_id", 2, "email_templates"), clicked("trackerRedirectId=tracker_redirect_id", 3, "custom_redirects"), created(),
		),
	}
	memberships := &table{
		name: "list_memberships", path: "list-memberships", n: w.share(2, 1, 10, unlimited), first: 1<<31 - 200, edited: 15, binned: 8,
		filters: []string{"createdAt", "updatedAt", "listId", "prospectId"},
		columns: columns(
			identity(), link("listId*", 0, "lists"),
			whole("prospectId*", 0, func(r *record, _ uint64) any {
				t := r.st.w.byName["prospects"]
				return t.id(r.i * 7 / 2 % t.n)
			}),
			flag("optedOut*", 4), deleted("isDeleted"), audit4(),
		),
	}
	tagged := &table{
		name: "tag_objects", path: "tagged-objects", n: w.share(1, 2, 12, unlimited), first: 8801, filters: []string{"createdAt", "tagId", "objectType"},
		columns: columns(
			identity(), link("tagId*", 0, "tags"),
			whole("objectId*", 0, func(r *record, h uint64) any {
				t := r.st.w.byName[taggedKind(r).table]
				return t.id(t.older(h, r.created))
			}),
			made("objectName", 0, func(r *record, h uint64) any { return taggedKind(r).names[simulate.Pick(h, len(taggedKind(r).names))] }),
			made("objectType=type", 0, func(r *record, _ uint64) any { return taggedKind(r).kind }),
			created(), link("createdById", 6, "users"),
		),
	}
	return []*table{activities.shape(w, 430), views.shape(w, 430), clicks.shape(w, 430), memberships.shape(w, 800), tagged.shape(w, 900)}
}

// clicked is one of the four things of which exactly one was clicked.
func clicked(spec string, which uint64, table string) *column {
	return whole(spec, 0, func(r *record, h uint64) any {
		switch {
		case simulate.Next(r.h^0xc1)%4 != which:
			return nil
		case table == "":
			return 1 + int64(simulate.Pick(h, 300))
		}
		t := r.st.w.byName[table]
		return t.id(t.older(h, r.created))
	})
}

// A taggable is a kind of record that has tags.
type taggable struct {
	kind, kind4 string // in version 5 and 4
	table       string
	names       words
}

var taggables = []taggable{
	{"prospect", "Prospect", "prospects", lastNames},
	{"prospect", "Prospect", "prospects", firstNames},
	{"prospect", "Prospect", "prospects", companies},
	{"form-handler", "Form Handler", "form_handlers", formNames},
	{"email", "Email", "emails", mailNames},
	{"list", "List", "lists", listNames},
	{"landing-page", "Landing Page", "landing_pages", pageTitles},
	{"campaign", "Campaign", "campaigns", campaignList},
	{"email-template", "Email Template", "email_templates", mailNames},
	{"file", "File", "files", files},
	{"form", "Form", "forms", formNames},
	{"user", "User", "users", lastNames},
	{"custom-redirect", "Custom URL", "custom_redirects", terms},
	{"layout-template", "Layout Template", "layout_templates", pageTitles},
	{"dynamic-content", "Dynamic Content", "dynamic_contents", audiences},
}

func taggedKind(r *record) *taggable {
	return &taggables[simulate.Pick(simulate.Next(r.h^0x7a), len(taggables))]
}

// tagType4 is version 4's word for a kind of tagged object.
func tagType4(kind string) string {
	for _, t := range taggables {
		if t.kind == kind {
			return t.kind4
		}
	}
	return kind
}

// dealProspects are the prospects of an opportunity. (Account Engagement API, version 4, Opportunities)
func dealProspects(r *record) (now, former []int64) {
	if r.edit != nil {
		if v, ok := r.edit.values[dealNow].([]int64); ok {
			former, _ = r.edit.values[dealFormer].([]int64)
			return v, former
		}
	}
	if r.i >= r.t.n {
		return nil, nil
	}
	h := simulate.Next(r.h ^ 0xd3)
	t := r.st.w.byName["prospects"]
	first := t.older(simulate.Next(h), r.created)
	for k := range int64(simulate.Pick(h, 4)) {
		now = append(now, t.id((first+k*k)%t.n))
	}
	if len(now) > 1 && now[0] == now[len(now)-1] {
		now = now[:1] // an account of few prospects
	}
	return now, nil
}

const (
	dealNow    = "~prospects"
	dealFormer = "~former prospects"
)

// opportunityProspects are the ids of the prospects that an opportunity shows.
func (s *Server) opportunityProspects(r *record) []int64 {
	now, _ := dealProspects(r)
	var ids []int64
	prospects := r.st.byName["prospects"]
	for _, id := range now {
		if p := r.st.byID(prospects, id); p != nil {
			ids = append(ids, id)
		}
	}
	return ids
}

func statLine(part, of int64) string {
	if of == 0 {
		return "0.00%"
	}
	return fmt.Sprintf("%.2f%%", 100*float64(part)/float64(of))
}
