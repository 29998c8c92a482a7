package pardotsim

import (
	"fmt"

	"github.com/martsync/martsync/simulate"
)

const unlimited = 1 << 40

// peopleTables are prospects and what they belong to. (Account Engagement API, Prospect, Prospect
// Account, Visitor, Visit)
func (w *world) peopleTables() []*table {
	prospects := &table{
		name: "prospects", path: "prospects", n: w.rows, first: 500_001, step: 3, edited: 70, binned: 3, lost: 1,
		filters: []string{"createdAt", "updatedAt", "lastActivityAt", "userId", "assignedToId", "email"},
		columns: columns(
			identity(), made("email*", 2, prospectEmail), text("firstName*", 6, firstNames), text("lastName*", 4, lastNames),
			text("salutation*", 60, salutations), text("company*", 10, companies), text("jobTitle*", 30, titles), text("department*", 50, departments),
			text("industry*", 50, industries), made("website*", 60, site), text("password*", 97, words{"********"}), deleted("isDeleted=is_archived"),
			text("addressOne*", 40, streets), text("addressTwo*", 90, streets), text("city*", 30, cities), text("state*", 40, regions), text("zip*", 20, zips),
			text("country*", 15, countries), text("territory*", 70, territories), text("phone*", 40, phones), text("fax*", 90, phones),
			text("employees*", 60, headcounts), text("annualRevenue*", 60, revenues), text("yearsInBusiness*", 80, years), text("source*", 10, sources),
			count("score*", 0, 400), noFile(text("grade*", 40, grades)), noFile(text("notes*", 85, remarks)), text("comments*", 75, remarks),
			flag("isDoNotCall*", 6), flag("isDoNotEmail*", 8), flag("optedOut*", 5), flag("doNotSell", 3), flag("isReviewed*", 60), flag("isStarred*", 2),
			flag("isEmailHardBounced", 2), before("emailBouncedAt", 97, 300), text("emailBouncedReason", 97, bounceWhys),
			link("campaignId*", 1, "campaigns"), link("prospectAccountId*", 35, "prospect_accounts"), count("profileId", 10, 4),
			link("lifecycleStageId", 20, "lifecycle_stages"), link("userId", 60, "users"), noFile(link("assignedToId=assigned_to_user_id", 55, "users")),
			before("lastActivityAt*", 25, 30), text("recentInteraction*", 25, interactions), before("firstActivityAt", 25, 500), before("firstAssignedAt", 55, 400),
			before("convertedAt", 60, 400), text("convertedFromObjectName", 60, formNames),
			text("convertedFromObjectType", 60, words{"Form", "FormHandler", "LandingPage", "MultivariateTestVariation", "Video"}),
			utm("", 80), text("firstReferrerQuery", 85, searches), text("firstReferrerType", 70, words{"Google", "Bing", "Natural Search", "Paid & Social"}),
			text("firstReferrerUrl", 70, links),
			crm("salesforceId=salesforce_fid", 40, "00Q"), crm("salesforceContactId=crm_contact_fid", 60, "003"), crm("salesforceLeadId=crm_lead_fid", 60, "00Q"),
			crm("salesforceAccountId=crm_account_fid", 65, "001"), crm("salesforceCampaignId", 80, "701"), crm("salesforceOwnerId=crm_owner_fid", 45, "005"),
			made("salesforceUrl=crm_url", 40, func(_ *record, h uint64) any {
				return "https://kestrel.my.salesforce.example/" + salesforceID("00Q", h)
			}),
			before("salesforceLastSync=crm_last_sync", 40, 20),
			audit4(), customColumns(w.custom),
		),
	}
	accounts := &table{
		name: "prospect_accounts", path: "prospect-accounts", n: w.share(1, 8, 6, unlimited), first: 3, step: 2, edited: 50, binned: 1,
		orders: []string{"salesforceId"},
		columns: columns(
			identity(), text("name*", 0, companies), crm("salesforceId", 40, "001"), deleted("isDeleted"), text("annualRevenue*", 50, revenues),
			text("billingAddressOne*", 40, streets), text("billingAddressTwo*", 85, streets), text("billingCity*", 40, cities), text("billingState*", 50, regions),
			text("billingZip*", 40, zips), text("billingCountry*", 40, countries), text("shippingAddressOne*", 70, streets), text("shippingAddressTwo*", 95, streets),
			text("shippingCity*", 70, cities), text("shippingState*", 75, regions), text("shippingZip*", 70, zips), text("shippingCountry*", 70, countries),
			text("description*", 60, remarks), text("employees*", 50, headcounts), text("fax*", 80, phones), text("industry*", 40, industries),
			text("number*", 50, words{"000123", "A-7", "42"}), text("ownership*", 70, words{"Private", "Public", "Other & unknown"}), text("phone*", 40, phones),
			text("rating*", 70, words{"Hot", "Warm", "Cold"}), text("sic*", 80, words{"0139", "3944"}), text("site*", 80, cities), text("tickerSymbol*", 90, words{"KITE", "null"}),
			text("type*", 60, words{"Customer", "Partner, silver", "Prospect"}), made("website*", 40, site), noFile(link("assignedToId=assigned_to_user_id", 50, "users")),
			audit4(), customColumns(accountFields()),
		),
	}
	visitors := &table{
		name: "visitors", path: "visitors", n: w.share(5, 2, 20, unlimited), first: 1<<31 - 9000, step: 3, edited: 40,
		filters: []string{"createdAt", "updatedAt", "isIdentified"},
		columns: columns(
			identity(), link("prospectId*", 65, "prospects"),
			whole("pageViewCount*", 0, func(_ *record, h uint64) any { return 1 + int64(simulate.Pick(h, 40)) }),
			rigid(newColumn("isIdentified", kindBool, 0, func(r *record, _ uint64) any { return r.get("prospectId") != nil })), flag("doNotSell", 2),
			text("hostname*", 50, hosts), made("ipAddress*", 1, address), link("campaignId", 20, "campaigns"), utm("*", 80),
			text("=browser", 10, browsers), text("=browser_version", 12, versions), text("=operating_system", 10, systems), text("=operating_system_version", 20, versions),
			text("=language", 15, languages), text("=screen_height", 20, words{"1080", "0900"}), text("=screen_width", 20, words{"1920", "0390"}),
			newColumn("=is_flash_enabled", kindBool, 60, func(_ *record, h uint64) any { return h%9 == 0 }),
			newColumn("=is_java_enabled", kindBool, 60, func(_ *record, h uint64) any { return h%5 == 0 }),
			created(), updated(),
		),
	}
	visits := &table{
		name: "visits", path: "visits", n: w.share(2, 1, 20, unlimited), first: 1<<32 - 5000, edited: 10, filters: []string{"createdAt", "updatedAt", "visitorId", "prospectId"},
		columns: columns(
			identity(), link("visitorId", 0, "visitors"), link("prospectId", 60, "prospects"),
			whole("visitorPageViewCount", 0, func(_ *record, h uint64) any { return 1 + int64(simulate.Pick(h, 9)) }),
			moment("firstVisitorPageViewAt", 3, func(r *record, _ uint64) any { return stamp(r.created) }),
			moment("lastVisitorPageViewAt", 3, func(r *record, h uint64) any { return stamp(r.created + int64(simulate.Pick(h, 1200))) }),
			count("durationInSeconds", 3, 1200), utm("", 80), withoutV4(created()), withoutV4(updated()),
		),
	}
	stages := &table{
		name: "lifecycle_stages", path: "lifecycle-stages", n: 5, first: 11, edited: 60, filters: byTimes,
		columns: columns(
			identity(), numbered("name", stageNames), whole("position", 0, func(r *record, _ uint64) any { return r.i + 1 }),
			text("matchType", 10, words{"all", "any"}), flag("isLocked", 30), deleted("isDeleted"), withoutV4(created()), withoutV4(updated()),
		),
	}
	histories := &table{
		name: "lifecycle_histories", path: "lifecycle-histories", n: w.share(3, 2, 10, unlimited), first: 90_001, filters: byCreated,
		columns: columns(
			identity(), link("prospectId", 0, "prospects"), link("previousStageId", 40, "lifecycle_stages"), link("nextStageId", 2, "lifecycle_stages"),
			whole("secondsElapsed", 40, func(_ *record, h uint64) any { return int64(h % 5_000_000_000) }), withoutV4(created()),
		),
	}
	return []*table{
		prospects.shape(w, 3*365), accounts.shape(w, 3*365), visitors.shape(w, 430), visits.shape(w, 430), stages.shape(w, 1400), histories.shape(w, 700),
	}
}

func noFile(c *column) *column {
	c.noFile = true
	return c
}

// numbered is a text that no other record of a small table has.
func numbered(spec string, w words) *column {
	return made(spec, 0, func(r *record, _ uint64) any {
		name := w[int(r.i)%len(w)]
		if n := r.i / int64(len(w)); n > 0 {
			return fmt.Sprintf("%s %d", name, n+1)
		}
		return name
	})
}

// prospectEmail: several prospects may have the same address.
func prospectEmail(r *record, h uint64) any {
	i := r.i
	if i > 0 && simulate.OneIn(h, 25) {
		i--
	}
	h = simulate.Hash(r.t.seed, r.t.salt, uint64(i), 2)
	return fmt.Sprintf("%s.%d@%s", asciiNames[simulate.Pick(h, len(asciiNames))], i, domains[simulate.Pick(simulate.Next(h), len(domains))])
}

func site(_ *record, h uint64) any {
	return "https://www." + domains[simulate.Pick(h, len(domains))] + "/?a=1&b=2"
}

func address(_ *record, h uint64) any {
	if h%20 == 0 {
		return fmt.Sprintf("2001:db8::%x", h>>48)
	}
	return fmt.Sprintf("203.0.%d.%d", h>>8%256, h>>16%256)
}
