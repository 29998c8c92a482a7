package pardotsim

import (
	"fmt"

	"github.com/martsync/martsync/simulate"
)

// campaignTables are campaigns, lists, tags, opportunities and what automates them. (Account Engagement
// API, Campaign, List, Tag, Opportunity, Engagement Studio Program, Dynamic Content)
func (w *world) campaignTables() []*table {
	campaigns := &table{
		name: "campaigns", path: "campaigns", n: w.share(1, 50, 14, 400), first: 101, edited: 60, binned: 3, filters: []string{"createdAt", "updatedAt", "name"},
		columns: columns(
			identity(), numbered("name*", campaignList),
			decimal("cost*", 30, func(_ *record, h uint64) any { return float64(simulate.Pick(h, 2_000_000)) / 100 }),
			link("folderId", 3, "folders"), link("parentCampaignId", 80, "campaigns"), crm("salesforceId", 40, "701"), deleted("isDeleted"), audit(),
		),
	}
	opportunities := &table{
		name: "opportunities", path: "opportunities", n: w.share(1, 6, 16, unlimited), first: 61, step: 2, edited: 70, filters: byTimes,
		columns: columns(
			identity(), text("name*", 0, dealNames), link("campaignId*", 4, "campaigns"), crm("salesforceId", 20, "006"), text("stage*", 2, stages),
			text("status*", 1, statuses), text("type*", 20, dealTypes), count("probability*", 3, 101),
			decimal("value*", 3, func(_ *record, h uint64) any { return float64(simulate.Pick(h, 50_000_000)) / 100 }),
			before("closedAt*", 50, 60), audit4(),
		),
	}
	lists := &table{
		name: "lists", path: "lists", n: w.share(1, 80, 12, 300), first: 12, step: 2, edited: 70, binned: 4, filters: []string{"createdAt", "updatedAt", "name"},
		columns: columns(
			identity(), numbered("name*", listNames), text("title*", 20, listNames), text("description*", 40, append(words{""}, remarks...)),
			flag("isPublic*", 30), flag("isDynamic*", 30), deleted("isDeleted"), link("folderId", 3, "folders"), link("campaignId", 30, "campaigns"), audit4(),
			newColumn("=is_crm_visible", kindBool, 0, func(_ *record, h uint64) any { return h%3 == 0 }),
		),
	}
	tags := &table{
		name: "tags", path: "tags", n: w.share(1, 60, 18, 500), first: 7, edited: 40, filters: []string{"createdAt", "updatedAt", "name"},
		columns: columns(identity(), numbered("name*", tagNames), count("objectCount", 0, 900), audit4()),
	}
	programs := &table{
		name: "engagement_studio_programs", path: "engagement-studio-programs", n: w.share(1, 400, 7, 60), first: 301, edited: 80, binned: 5, filters: byTimes,
		columns: columns(
			identity(), numbered("name", programNames), text("description", 30, remarks), text("status", 2, words{"draft", "running", "paused", "starting", "scheduled"}),
			raw("recipientListIds", 10, func(r *record, h uint64) any { return someLists(r, h, 1+simulate.Pick(h, 3)) }),
			raw("suppressionListIds", 20, func(r *record, h uint64) any { return someLists(r, h, simulate.Pick(h, 3)) }),
			link("scheduleCreatedById", 30, "users"), crm("salesforceId", 60, "a0E"), deleted("isDeleted"), audit(),
		),
	}
	dynamic := &table{
		name: "dynamic_contents", path: "dynamic-contents", n: w.share(1, 500, 8, 50), first: 601, edited: 50, binned: 3, filters: byTimes,
		columns: columns(
			identity(), numbered("name", programNames),
			made("embedCode", 3, func(r *record, _ uint64) any {
				return fmt.Sprintf("<script type=\"text/javascript\" src=\"https://go.kites.example/dcjs/1/%d/dc.js\"></script>", r.id)
			}),
			made("embedUrl", 3, func(r *record, _ uint64) any { return fmt.Sprintf("https://go.kites.example/dcjs/1/%d/dc.js", r.id) }),
			text("baseContent", 3, audiences), text("basedOn", 2, words{"Prospect Default Field", "Prospect Custom Field", "Grade & score"}),
			text("basedOnProspectApiFieldId", 10, words{"industry", "kite_colors__c", "grade"}), text("tagReplacementLanguage", 3, words{"pml", "hml"}),
			link("trackerDomainId", 5, "tracker_domains"), link("folderId", 3, "folders"), deleted("isDeleted"), audit(),
		),
	}
	variations := &table{
		name: "dynamic_content_variations", path: "dynamic-content-variations", n: w.share(1, 200, 20, 150), first: 651,
		columns: columns(
			identity(), link("dynamicContentId", 0, "dynamic_contents"), text("comparison", 3, words{"is", "is not", "contains"}),
			text("operator", 3, words{"is", "between", "<"}), text("value1", 3, industries), text("value2", 80, industries), text("content", 2, audiences),
		),
	}
	return []*table{
		campaigns.shape(w, 1400), opportunities.shape(w, 700), lists.shape(w, 1400), tags.shape(w, 1400), programs.shape(w, 900), dynamic.shape(w, 900), variations.shape(w, 900),
	}
}

func someLists(r *record, h uint64, n int) any {
	t := r.st.w.byName["lists"]
	var ids []int64
	for k := range n {
		ids = append(ids, t.id((t.older(h, r.created)+int64(k))%t.n))
	}
	return idList(ids...)
}
