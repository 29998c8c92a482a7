package pardot

// marketingObjects are campaigns, tags, e-mails and programs.
var marketingObjects = []*object{
	{
		stream: "campaigns", noun: "campaign", prefer: v5, export: exported5("Campaign"),
		v5: &collection{path: "campaigns", since: "updatedAt", bin: true},
		// Version 4 takes a filter by change, but shows no times to check it by.
		v4: &resource{path: "campaign", key: "campaign", params: bulkOutput()},
		fields: fieldsOf("campaign",
			idField(), both(texts, "name"), both(floats, "cost"), only5(ints, "folderId", "parentCampaignId"), only5(texts, "salesforceId"),
			only5(bools, "isDeleted"), audited(),
		),
	},
	{
		stream: "tags", noun: "tag", prefer: v5,
		v5:     &collection{path: "tags", since: "updatedAt"},
		v4:     &resource{path: "tag", key: "tag", since: "updated", params: bulkOutput()},
		fields: fieldsOf("tag", idField(), both(texts, "name"), only5(ints, "objectCount"), changeTimes(), changers()),
	},
	{
		// Never changed: a tag that is taken off deletes the record.
		stream: "tag_objects", noun: "tagged object", prefer: v5,
		v5: &collection{path: "tagged-objects", since: "createdAt"},
		v4: &resource{path: "tagObject", key: "tagObject", since: "created", params: bulkOutput()},
		fields: fieldsOf("tagObject",
			idField(), both(ints, "tagId", "objectId"), only5(texts, "objectName"), both(texts, "objectType"),
			both(times, "createdAt"), only5(ints, "createdById"),
		),
	},
	{
		// Version 4 cannot list e-mails; see newEmails4.
		stream: "emails", noun: "e-mail", prefer: v5,
		v5: &collection{path: "emails", since: "sentAt"},
		v4: &resource{path: "email", key: "email"},
		fields: fieldsOf("email",
			idField(), both(texts, "name", "subject"), only5(texts, "type"), only5(times, "sentAt"), only5(texts, "clientType"), only5(bools, "isOperational"),
			only4(bools, "isOneToOne"),
			only5(ints, "campaignId", "prospectId", "folderId", "listId", "listEmailId", "emailTemplateId", "trackerDomainId"),
			mailOptions(), joinedLater(both(texts, "htmlMessage", "textMessage")), only5(texts, "salesforceCmsId"),
			only4(times, "created_at"), wished(only5(times, "updatedAt")), only5(ints, "createdById"),
		),
	},
	{
		stream: "list_emails", noun: "list e-mail", prefer: v5, export: exported5("ListEmail"),
		v5: &collection{path: "list-emails", since: "updatedAt", bin: true},
		fields: fieldsOf("",
			idField(), only5(texts, "name", "subject"), only5(bools, "isPaused", "isSent", "isDeleted"), wished(only5(bools, "isOperational")),
			only5(times, "sentAt"), only5(ints, "campaignId"), only5(texts, "clientType", "type"),
			only5(ints, "emailTemplateId", "trackerDomainId", "folderId"), mailOptions(),
			joinedLater(only5(texts, "htmlMessage", "textMessage")), audited(),
			joinedLater(only5(ints, "stats.sent", "stats.delivered", "stats.totalClicks", "stats.uniqueClicks", "stats.softBounced", "stats.hardBounced",
				"stats.optOuts", "stats.spamComplaints", "stats.opens", "stats.uniqueOpens")),
			// Told for people, with a percent sign.
			joinedLater(only5(texts, "stats.deliveryRate", "stats.opensRate", "stats.clickThroughRate", "stats.uniqueClickThroughRate",
				"stats.clickOpenRatio", "stats.optOutRate", "stats.spamComplaintRate")),
		),
	},
	{
		stream: "email_templates", noun: "e-mail template", prefer: v5, export: exported5("EmailTemplate"),
		v5: &collection{path: "email-templates", since: "updatedAt", bin: true},
		fields: fieldsOf("",
			idField(), only5(texts, "name", "subject"), wished(only5(texts, "htmlMessage", "textMessage")), only5(texts, "type", "tagReplacementLanguage"),
			only5(bools, "isAutoResponderEmail", "isDripEmail", "isListEmail", "isOneToOneEmail"),
			only5(ints, "campaignId", "folderId", "trackerDomainId"), only5(bools, "isDeleted"), audited(),
		),
	},
	{
		stream: "engagement_studio_programs", noun: "engagement program", prefer: v5,
		v5: &collection{path: "engagement-studio-programs", since: "updatedAt", bin: true},
		fields: fieldsOf("",
			idField(), only5(texts, "name", "description", "status"), wished(only5(ints, "folderId")), only5(jsons, "recipientListIds", "suppressionListIds"),
			only5(ints, "scheduleCreatedById"), only5(texts, "salesforceId"), only5(bools, "isDeleted"), audited(),
		),
	},
	{
		stream: "lifecycle_stages", noun: "lifecycle stage", prefer: v5, export: exported5("LifecycleStage"),
		v5: &collection{path: "lifecycle-stages", since: "updatedAt", bin: true},
		fields: fieldsOf("",
			idField(), only5(texts, "name"), only5(ints, "position"), only5(texts, "matchType"), only5(bools, "isLocked", "isDeleted"),
			only5(times, "createdAt", "updatedAt"),
		),
	},
}
