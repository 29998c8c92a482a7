package pardot

// adminObjects are the business unit itself, its users and what they have set up.
var adminObjects = []*object{
	{
		stream: "accounts", noun: "account", prefer: v5, single: true,
		v5: &collection{path: "account"},
		v4: &resource{path: "account", key: "account"},
		fields: fieldsOf("account",
			idField(), both(texts, "company", "level", "website"), only4(texts, "vanity_domain"), both(ints, "pluginCampaignId"),
			only4(texts, "tracking_code_template"),
			both(texts, "addressOne", "addressTwo", "city", "state", "zip", "territory", "country", "phone", "fax"),
			only5(ints, "adminId", "maximumDailyApiCalls", "apiCallsUsed"), changeTimes(), changers(),
		),
	},
	{
		stream: "users", noun: "user", prefer: v5, export: exported5("User"),
		v5: &collection{path: "users", since: "updatedAt", bin: true},
		fields: fieldsOf("",
			idField(), only5(texts, "email", "username", "firstName", "lastName", "jobTitle", "role", "roleName", "salesforceId", "tagReplacementLanguage"),
			only5(bools, "isDeleted"), audited(),
		),
	},
	{
		stream: "custom_fields", noun: "custom field", prefer: v5,
		v5: &collection{path: "custom-fields", since: "updatedAt"},
		fields: fieldsOf("",
			idField(), only5(texts, "name", "fieldId", "type"), only5(bools, "isRequired", "isRecordMultipleResponses", "isUseValues", "isAnalyticsSynced"),
			only5(texts, "salesforceId"), wished(audited()),
		),
	},
}
