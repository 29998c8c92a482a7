package pardot

import "net/url"

// activityObjects are what people did.
var activityObjects = []*object{
	{
		stream: "visitor_activities", noun: "visitor activity", prefer: v5, fact: true,
		v5: &collection{path: "visitor-activities", since: "updatedAt"},
		v4: &resource{path: "visitorActivity", key: "visitor_activity", since: "updated", params: bulkOutput()},
		export: &exportObject{
			v4: "visitorActivity", v5: "VisitorActivity", procedures: []procedure{byUpdate}, passes: []pass{{}}, auto: true,
		},
		fields: fieldsOf("visitorActivity",
			idField(), both(ints, "type"), both(texts, "typeName", "details"),
			both(ints, "prospectId", "visitorId", "visitId", "campaignId"),
			both(ints, "emailId", "emailTemplateId", "listEmailId", "customRedirectId", "fileId", "formId", "formHandlerId", "landingPageId"),
			both(ints, "multivariateTestVariationId", "opportunityId", "paidSearchAdId", "siteSearchQueryId", "visitorPageViewId"),
			changeTimes(),
		),
	},
	{
		stream: "visitors", noun: "visitor", prefer: v4,
		v5: &collection{path: "visitors", since: "updatedAt"},
		// Without the parameter only those that are known are listed.
		v4:     &resource{path: "visitor", key: "visitor", since: "updated", params: bulkOutput("only_identified", "false")},
		export: &exportObject{v4: "visitor", procedures: []procedure{byUpdate}, passes: []pass{{}}, auto: true},
		fields: fieldsOf("visitor",
			idField(), both(ints, "prospectId", "pageViewCount"), only5(bools, "isIdentified", "doNotSell"),
			both(texts, "hostname", "ipAddress"),
			// Flash and Java are told as yes and no, as numbers, or not at all.
			only4(texts, "browser", "browser_version", "operating_system", "operating_system_version", "language", "screen_height", "screen_width",
				"is_flash_enabled", "is_java_enabled"),
			only5(ints, "campaignId"), both(texts, utmParameters()...), changeTimes(),
		),
	},
	{
		stream: "visits", noun: "visit", prefer: v5, fact: true,
		v5: &collection{path: "visits", since: "updatedAt"},
		fields: fieldsOf("",
			idField(), only5(ints, "visitorId", "prospectId", "visitorPageViewCount"),
			only5(times, "firstVisitorPageViewAt", "lastVisitorPageViewAt"), only5(ints, "durationInSeconds"),
			only5(texts, utmParameters()...), only5(times, "createdAt", "updatedAt"),
		),
	},
	{
		stream: "visitor_page_views", noun: "page view", prefer: v5, fact: true,
		v5: &collection{path: "visitor-page-views", since: "createdAt"},
		fields: fieldsOf("",
			idField(), only5(texts, "url", "title"), only5(ints, "visitorId", "campaignId", "visitId", "durationInSeconds"),
			only5(texts, "salesforceId"), only5(times, "createdAt"),
		),
	},
	{
		// Version 5 has no clicks. Its activities of type Click come close, with ids of their own;
		// those that belong to no e-mail are clicks on other links.
		stream: "email_clicks", noun: "e-mail click", prefer: v4, fact: true,
		v5: &collection{
			path: "visitor-activities", since: "createdAt", params: url.Values{"type": {"1"}},
			need: []string{"emailId", "listEmailId", "emailTemplateId"},
		},
		v4: &resource{path: "emailClick", key: "emailClick", since: "created", params: bulkOutput()},
		fields: fieldsOf("emailClick",
			idField(), both(ints, "prospectId"), namedAs("url", both(texts, "details")), both(ints, "listEmailId"),
			only4(ints, "drip_program_action_id"), both(ints, "emailTemplateId"), only4(ints, "tracker_redirect_id"),
			only5(ints, "emailId"), both(times, "createdAt"),
		),
	},
	{
		stream: "lifecycle_histories", noun: "lifecycle history", prefer: v5, fact: true,
		v5:     &collection{path: "lifecycle-histories", since: "createdAt"},
		export: &exportObject{v5: "LifecycleHistory", procedures: []procedure{byCreation}, passes: []pass{{}}},
		fields: fieldsOf("",
			idField(), only5(ints, "prospectId", "previousStageId", "nextStageId", "secondsElapsed"), only5(times, "createdAt"),
		),
	},
}
