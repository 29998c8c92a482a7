package marketosim

import (
	"strconv"

	"github.com/martsync/martsync/simulate"
)

// An activityType is one type of activity as /rest/v1/activities/types.json lists it. Ids,
// names and attribute names follow the vendor; which attribute is the primary one is documented
// for few of them. (Marketo REST API, Activities)
type activityType struct {
	id          int64
	name        string
	description string
	api         string // custom types only
	primary     string // name of the primary attribute; "": none
	primaryType string
	share       int // of a thousand base activities
	campaign    bool
	fill        func(w *world, a *activity, h uint64) // sets the primary attribute
	attributes  []attribute
}

type attribute struct {
	name, dataType string
	make           func(w *world, a *activity, h uint64) value
	key            string // `"Name":`
	salt           uint64
}

func attr(name, dataType string, of func(w *world, a *activity, h uint64) value) attribute {
	return attribute{name: name, dataType: dataType, make: of, key: string(appendJSONText(nil, name)) + ":", salt: salt(name)}
}

func words(t table) func(*world, *activity, uint64) value {
	return func(_ *world, _ *activity, h uint64) value { return t.at(h) }
}

// maybe leaves the attribute out for one activity in n.
func maybe(n int, of func(*world, *activity, uint64) value) func(*world, *activity, uint64) value {
	return func(w *world, a *activity, h uint64) value {
		if simulate.OneIn(h, n) {
			return value{}
		}
		return of(w, a, h)
	}
}

func between(low, high int) func(*world, *activity, uint64) value {
	return func(_ *world, _ *activity, h uint64) value {
		return integer(int64(low + simulate.Pick(h, high-low+1)))
	}
}

func yes(_ *world, _ *activity, h uint64) value { return boolean(h&1 == 0) }

func address(_ *world, _ *activity, h uint64) value { return ip(h) }

// The attributes that several types share.
var (
	runID      = attr("Campaign Run ID", "integer", func(_ *world, a *activity, _ uint64) value { return integer(a.campaign*10 + a.date/daySecs%10) })
	choice     = attr("Choice Number", "integer", between(0, 3))
	step       = attr("Step ID", "integer", func(_ *world, a *activity, h uint64) value { return integer(a.campaign*7 + int64(h%5)) })
	deviceAttr = attr("Device", "string", words(devices))
	mobile     = attr("Is Mobile Device", "boolean", yes)
	platform   = attr("Platform", "string", words(platforms))
	userAgent  = attr("User Agent", "string", words(agents))
	clientIP   = attr("Client IP Address", "string", address)
	query      = attr("Query Parameters", "string", maybe(2, func(_ *world, _ *activity, h uint64) value {
		return text("utm_campaign=q" + strconv.FormatUint(h%4, 10) + "&x=\"1\"")
	}))
	referrer   = attr("Referrer URL", "string", maybe(3, words(links)))
	webpage    = attr("Webpage ID", "integer", between(4001, 4100))
	whySource  = attr("Source", "string", words(flows))
	reasonAttr = attr("Reason", "string", maybe(3, words(whys)))
	category   = attr("Category", "string", digitsOf(1))
	details    = attr("Details", "string", maybe(4, words(bounces)))
	mailbox    = attr("Email", "string", func(w *world, a *activity, _ uint64) value {
		return text("bounced." + strconv.FormatInt(w.leadID(a.lead), 10) + "@brindle.example")
	})
)

func ofEmail(w *world, a *activity, h uint64) {
	i := simulate.Pick(h, w.size.emails)
	a.primary(w.emailID(i), text(emailName(i)))
}

func ofProgram(w *world, a *activity, h uint64) {
	i := simulate.Pick(h, w.size.programs)
	a.primary(w.programID(i), text(programName(i)))
}

func ofPage(_ *world, a *activity, h uint64) { a.primary(4001+int64(h%100), pages.at(h)) }

func ofForm(_ *world, a *activity, h uint64) { a.primary(1101+int64(h%4), forms.at(h)) }

func ofLink(_ *world, a *activity, h uint64) { a.primary(60_001+int64(h%200), links.at(h)) }

// ofField is for changes of a field: the id is the one of describe, the name its display name.
func ofField(names ...string) func(w *world, a *activity, h uint64) {
	return func(w *world, a *activity, h uint64) {
		f := w.field(names[simulate.Pick(h, len(names))])
		a.primary(f.ID, text(f.Display))
	}
}

func named(base int64, t table) func(w *world, a *activity, h uint64) {
	return func(_ *world, a *activity, h uint64) {
		v := t.at(h)
		a.primary(base+int64(len(v.p.plain)), v)
	}
}

func ofLead(w *world, a *activity, h uint64) {
	a.primary(w.leadID(a.lead), value{})
	if h&1 == 0 {
		a.pv = lastNames.at(h)
	}
}

func newTypes() []*activityType {
	str, num, yn := "string", "integer", "boolean"
	return []*activityType{
		{id: 1, name: "Visit Webpage", description: "User visits a web page", primary: "Webpage ID", primaryType: num, share: 200, fill: ofPage, attributes: []attribute{
			clientIP, query, referrer, attr("Search Engine", str, maybe(2, func(*world, *activity, uint64) value { return text("Google") })), attr("Search Query", str, maybe(2, words(notes))), userAgent, attr("Webpage URL", str, words(pages)),
		}},
		{id: 2, name: "Fill Out Form", description: "User fills out and submits form on web page", primary: "Webform ID", primaryType: num, share: 35, fill: ofForm, attributes: []attribute{clientIP, attr("Form Fields", "text", words(formData)), query, referrer, userAgent, webpage}},
		{id: 3, name: "Click Link", description: "User clicks link on a web page", primary: "Link ID", primaryType: num, share: 60, fill: ofLink, attributes: []attribute{clientIP, query, referrer, userAgent, webpage}},
		{id: 6, name: "Send Email", description: "Send Marketo Email to a person", primary: "Mailing ID", primaryType: num, share: 120, campaign: true, fill: ofEmail, attributes: []attribute{runID, choice, step}},
		{id: 7, name: "Email Delivered", description: "Marketo Email is delivered to a person", primary: "Mailing ID", primaryType: num, share: 120, campaign: true, fill: ofEmail, attributes: []attribute{runID, choice, step}},
		{id: 8, name: "Email Bounced", description: "Marketo Email is bounced for a person", primary: "Mailing ID", primaryType: num, share: 12, campaign: true, fill: ofEmail, attributes: []attribute{category, runID, choice, details, mailbox, step, attr("Subcategory", str, digitsOf(4))}},
		{id: 9, name: "Unsubscribe Email", description: "Person unsubscribes from Marketo Emails", primary: "Mailing ID", primaryType: num, share: 5, campaign: true, fill: ofEmail, attributes: []attribute{runID, clientIP, attr("Form Fields", "text", words(formData)), query, referrer, userAgent, attr("Webform ID", num, between(1101, 1104)), webpage}},
		{id: 10, name: "Open Email", description: "User opens Marketo Email", primary: "Mailing ID", primaryType: num, share: 90, campaign: true, fill: ofEmail, attributes: []attribute{runID, choice, deviceAttr, mobile, platform, step, userAgent}},
		{id: 11, name: "Click Email", description: "User clicks on a link in a Marketo Email", primary: "Mailing ID", primaryType: num, share: 40, campaign: true, fill: ofEmail, attributes: []attribute{runID, choice, deviceAttr, mobile, attr("Link", str, words(links)), platform, step, userAgent}},
		{id: 12, name: "New Lead", description: "New person/record is added to Marketo database", primary: "Lead ID", primaryType: num, fill: ofLead, attributes: []attribute{
			attr("Source Type", str, words(flows)), attr("Created Date", "date", func(_ *world, a *activity, _ uint64) value { return day(a.date / daySecs) }), attr("Form Name", str, maybe(2, words(forms))), attr("List Name", str, maybe(3, words(regions))),
		}},
		{id: 13, name: "Change Data Value", description: "Changed attribute value for a person/record", primary: "Attribute Name", primaryType: str, share: 90, campaign: true, fill: ofField("title", "city", "company", "phone", "Notes__c", "Customer_Tier__c"), attributes: []attribute{
			attr("New Value", str, maybe(8, words(titles))), attr("Old Value", str, maybe(4, words(titles))), reasonAttr, whySource, attr("API Method Name", str, maybe(2, func(*world, *activity, uint64) value { return text("syncLead") })), attr("Modifying User", str, maybe(2, words(lastNames))), attr("Request Id", str, maybe(2, digitsOf(8))),
		}},
		{id: 22, name: "Change Score", description: "Modify the value of a score field", primary: "Attribute Name", primaryType: str, share: 60, campaign: true, fill: ofField("leadScore", "Health_Score__c"), attributes: []attribute{
			attr("Change Value", str, func(_ *world, _ *activity, h uint64) value { return text("+" + strconv.FormatUint(h%20, 10)) }), attr("New Value", num, between(0, 200)), attr("Old Value", num, between(0, 180)), reasonAttr, attr("Score Name", str, maybe(2, words(moments))), attr("Urgency", "float", maybe(2, func(_ *world, _ *activity, h uint64) value { return float(float64(h%500) / 100) })),
		}},
		{id: 24, name: "Add to List", description: "Add a person/record to a list", primary: "List ID", primaryType: num, attributes: []attribute{whySource}},
		{id: 25, name: "Remove from List", description: "Remove this person/record from a list", primary: "List ID", primaryType: num, attributes: []attribute{whySource}},
		{id: 27, name: "Email Bounced Soft", description: "Campaign Email is bounced soft for a person", primary: "Mailing ID", primaryType: num, share: 10, campaign: true, fill: ofEmail, attributes: []attribute{category, runID, choice, details, mailbox, step, attr("Subcategory", str, digitsOf(4))}},
		{id: 32, name: "Merge Leads", description: "Merge two or more people/records", primary: "Lead ID", primaryType: num, attributes: []attribute{attr("Merge Ids", "array", nothing), attr("Master Updated", yn, yes), attr("Merge Source", str, words(flows)), attr("Merged in Sales", yn, yes)}},
		{id: 34, name: "Add to Opportunity", description: "Add a person/record to an opportunity", primary: "Oppty ID", primaryType: num, share: 5, fill: named(900, companies), attributes: []attribute{attr("Role", str, words(titles)), attr("Is Primary", yn, yes)}},
		{id: 37, name: "Delete Lead", description: "Delete a person from the Marketo database", attributes: nil},
		{id: 38, name: "Send Alert", description: "Send alert email about a person", primary: "Mailing ID", primaryType: num, share: 10, campaign: true, fill: ofEmail, attributes: []attribute{attr("Send To List", str, words(departments)), step}},
		{id: 46, name: "Interesting Moment", description: "Recorded an interesting moment", primary: "Milestone", primaryType: str, share: 35, campaign: true, fill: named(5000, moments), attributes: []attribute{attr("Description", str, words(moments)), attr("Date", "datetime", func(_ *world, a *activity, _ uint64) value { return stamp(a.date - 30) }), whySource}},
		{id: 47, name: "Request Campaign", description: "Campaign Requested via Marketo or Sales", primary: "Campaign ID", primaryType: num, share: 12, campaign: true, fill: func(w *world, a *activity, h uint64) {
			i := simulate.Pick(h, w.size.campaigns)
			a.primary(w.campaignID(i), text(campaignName(i)))
		}, attributes: []attribute{whySource}},
		{id: 100, name: "Change Lead Partition", description: "Change the partition of a lead", primary: "New Partition ID", primaryType: num, share: 4, fill: func(_ *world, a *activity, _ uint64) { a.primary(3, text("Europe")) }, attributes: []attribute{attr("Old Partition ID", num, func(*world, *activity, uint64) value { return integer(1) }), reasonAttr}},
		{id: 101, name: "Change Revenue Stage", description: "Change the revenue stage of a person", primary: "Model ID", primaryType: num, share: 8, fill: named(70, tiers), attributes: []attribute{attr("New Stage", str, words(statuses)), attr("Old Stage", str, maybe(3, words(statuses))), reasonAttr}},
		{id: 104, name: "Change Status in Progression", description: "Change program status", primary: "Program ID", primaryType: num, share: 30, campaign: true, fill: ofProgram, attributes: []attribute{
			attr("Acquired By", yn, yes), attr("New Status", str, words(statuses)), attr("New Status ID", num, between(20, 40)), attr("Old Status", str, maybe(2, words(statuses))), attr("Old Status ID", num, between(1, 20)), attr("Program Member ID", num, func(w *world, a *activity, _ uint64) value { return integer(1<<33 + w.leadID(a.lead)) }), reasonAttr, attr("Success", yn, yes),
		}},
		{id: 108, name: "Change Segment", description: "Change segment within a segmentation", primary: "Segmentation ID", primaryType: num, share: 10, fill: named(1000, regions), attributes: []attribute{attr("New Segment ID", num, between(1, 9)), attr("Segment Name", str, words(regions))}},
		{id: 110, name: "Call Webhook", description: "Call a webhook", primary: "Webhook", primaryType: num, share: 12, campaign: true, fill: named(30, departments), attributes: []attribute{attr("Error Type", num, maybe(2, between(0, 4))), attr("Response", "text", func(_ *world, _ *activity, h uint64) value {
			return text("{\"ok\": true,\r\n \"n\": " + strconv.FormatUint(h%100, 10) + "}")
		})}},
		{id: 113, name: "Add to Nurture", description: "Add to nurture program", primary: "Program ID", primaryType: num, share: 10, campaign: true, fill: ofProgram, attributes: []attribute{attr("Track ID", num, between(1, 12)), attr("Track Name", str, words(tiers))}},
		{id: 114, name: "Change Nurture Track", description: "Change nurture track", primary: "Program ID", primaryType: num, share: 5, campaign: true, fill: ofProgram, attributes: []attribute{attr("New Track ID", num, between(1, 12)), attr("New Track Name", str, words(tiers)), attr("Previous Track ID", num, between(1, 12))}},
		{id: 115, name: "Change Nurture Cadence", description: "Change nurture cadence", primary: "Program ID", primaryType: num, share: 4, campaign: true, fill: ofProgram, attributes: []attribute{attr("New Nurture Cadence", str, func(*world, *activity, uint64) value { return text("pause") })}},
		{id: 123, name: "Change Program Member Data", description: "Change program member custom field", primary: "Attribute Name", primaryType: str, share: 5, campaign: true, fill: named(300, titles), attributes: []attribute{attr("New Value", str, words(titles)), attr("Old Value", str, maybe(2, words(titles))), attr("Program ID", num, between(2001, 2050))}},
		{id: 100001, name: "Attend Clinic", api: "attendClinic", primary: "Clinic Name", primaryType: str, share: 8, fill: named(0, cities), attributes: []attribute{attr("Seats", num, between(1, 9)), attr("Paid (€)", "float", func(_ *world, _ *activity, h uint64) value { return float(float64(h%10000) / 100) }), attr("Comment", "text", maybe(2, words(notes)))}},
		{id: 100002, name: "Lens Returned", api: "lensReturned", primary: "Serial Number", primaryType: str, share: 5, fill: func(_ *world, a *activity, h uint64) {
			a.pv, a.hasID = text("00"+strconv.FormatUint(h%1_000_000, 10)), false
		}, attributes: []attribute{attr("Within Warranty", yn, yes)}},
	}
}

func nothing(*world, *activity, uint64) value { return value{} }

func digitsOf(n int) func(*world, *activity, uint64) value {
	d := digits("", n)
	return func(_ *world, _ *activity, h uint64) value { return d(nil, h) }
}

// The types that the simulator itself refers to.
const (
	typeNewLead      = 12
	typeChangeValue  = 13
	typeChangeScore  = 22
	typeAddToList    = 24
	typeRemoveList   = 25
	typeMergeLeads   = 32
	typeDeleteLead   = 37
	typeSendEmail    = 6
	typeVisitWebpage = 1
	typeProgression  = 104
)

// retention returns how long activities of a type are kept, in seconds; 0: for ever. The
// vendor names the types in words; the ids are by name. (Marketo Nation, Activity Retention
// Policy; Marketo REST API, Activities, Get Deleted Leads)
func retention(typ int64) int64 {
	switch typ {
	case typeDeleteLead:
		return 14 * daySecs
	case 1, 3, 6, 7, 13, 19, 22, 24, 28, 36, 47, 300:
		return 90 * daySecs
	case typeNewLead:
		return 0
	}
	return 25 * 2629746 // months of a 365.2425 day year
}
