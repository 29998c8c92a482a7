package pardot

// contentObjects are forms, pages, files and where they are kept.
var contentObjects = []*object{
	{
		stream: "forms", noun: "form", prefer: v5,
		v5: &collection{path: "forms", bin: true},
		v4: &resource{path: "form", key: "form", since: "updated", params: bulkOutput()},
		fields: fieldsOf("form",
			idField(), both(texts, "name"), both(ints, "campaignId"), only5(ints, "folderId", "layoutTemplateId", "trackerDomainId"),
			only5(texts, "salesforceId", "salesforceCmsId"), only5(bools, "isDeleted", "isUseRedirectLocation"), only5(texts, "redirectLocation"),
			only5(bools, "isAlwaysDisplay", "isCookieless", "isCaptchaEnabled", "showNotProspect"), both(texts, "embedCode"),
			only5(texts, "url", "submitButtonText", "beforeFormContent", "afterFormContent", "thankYouContent", "thankYouCode",
				"fontSize", "fontFamily", "fontColor", "labelAlignment", "radioAlignment", "checkboxAlignment", "requiredCharacter"),
			changeTimes(), changers(),
		),
	},
	{
		stream: "form_fields", noun: "form field", prefer: v5,
		v5: &collection{path: "form-fields", since: "updatedAt"},
		fields: fieldsOf("",
			idField(), wished(only5(ints, "formId")),
			wished(only5(texts, "prospectApiFieldId", "type", "dataFormat", "label", "description", "errorMessage", "cssClasses")),
			wished(only5(bools, "isRequired", "isAlwaysDisplay", "isMaintainInitialValue", "isDoNotPrefill")),
			only5(ints, "sortOrder"), only5(bools, "hasValues", "hasDependents", "hasProgressives"), audited(),
		),
	},
	{
		// There is a filter by creation, but these change and are few: they are listed whole.
		stream: "form_handlers", noun: "form handler", prefer: v5,
		v5: &collection{path: "form-handlers", bin: true},
		fields: fieldsOf("",
			idField(), wished(only5(texts, "name")), wished(only5(ints, "campaignId", "folderId", "trackerDomainId")),
			wished(only5(bools, "isDataForwarded", "isCookieless")), only5(texts, "embedCode", "salesforceId"), only5(bools, "isDeleted"),
			only5(times, "createdAt"), wished(only5(times, "updatedAt")), changers(),
		),
	},
	{
		// As form handlers.
		stream: "form_handler_fields", noun: "form handler field", prefer: v5,
		v5: &collection{path: "form-handler-fields"},
		fields: fieldsOf("",
			idField(), wished(only5(texts, "name")), wished(only5(ints, "formHandlerId")),
			wished(only5(texts, "prospectApiFieldId", "fieldLabel", "dataFormat")), wished(only5(bools, "isRequired")),
			only5(times, "createdAt"), wished(only5(times, "updatedAt")), only5(ints, "createdById"), wished(only5(ints, "updatedById")),
		),
	},
	{
		stream: "landing_pages", noun: "landing page", prefer: v5, export: exported5("LandingPage"),
		v5: &collection{path: "landing-pages", since: "updatedAt", bin: true},
		fields: fieldsOf("",
			idField(), only5(texts, "name"), wished(only5(texts, "title", "description")), only5(texts, "url", "vanityUrl"), wished(only5(texts, "vanityUrlPath")),
			only5(ints, "campaignId"), wished(only5(ints, "folderId", "formId", "layoutTemplateId", "trackerDomainId")),
			only5(texts, "layoutType", "layoutCss", "layoutTableBorder"), wished(only5(bools, "isDoNotIndex")),
			only5(bools, "isUseRedirectLocation"), wished(only5(texts, "redirectLocation")), bitly(), only5(texts, "salesforceId", "salesforceCmsId"),
			wished(only5(times, "archiveDate")), only5(bools, "isDeleted"), audited(),
		),
	},
	{
		stream: "layout_templates", noun: "layout template", prefer: v5,
		v5: &collection{path: "layout-templates", bin: true},
		fields: fieldsOf("",
			idField(), only5(texts, "name", "layoutContent"), wished(only5(texts, "formContent")), only5(texts, "siteSearchContent"),
			wished(only5(bools, "isIncludeDefaultCss")), wished(only5(ints, "folderId")), only5(bools, "isDeleted"), audited(),
		),
	},
	{
		stream: "custom_redirects", noun: "custom redirect", prefer: v5,
		v5: &collection{path: "custom-redirects", bin: true},
		fields: fieldsOf("",
			idField(), only5(texts, "name", "url", "destinationUrl", "trackedUrl", "vanityUrl"), bitly(), only5(ints, "campaignId"),
			wished(only5(ints, "folderId", "trackerDomainId")), only5(texts, "salesforceId"), only5(bools, "isDeleted"), audited(),
		),
	},
	{
		stream: "files", noun: "file", prefer: v5,
		v5: &collection{path: "files"},
		fields: fieldsOf("",
			idField(), wished(only5(texts, "name")), only5(texts, "url", "vanityUrl"), wished(only5(texts, "vanityUrlPath")), only5(ints, "size"),
			only5(bools, "isTracked"), bitly(), wished(only5(ints, "campaignId", "folderId", "trackerDomainId")), only5(texts, "salesforceId"),
			wished(only5(texts, "salesforceCmsId")), audited(),
		),
	},
	{
		stream: "folders", noun: "folder", prefer: v5,
		v5: &collection{path: "folders"},
		fields: fieldsOf("",
			idField(), only5(texts, "name", "path"), only5(ints, "parentFolderId"), only5(bools, "usePermissions"), audited(),
		),
	},
	{
		stream: "folder_contents", noun: "folder content", prefer: v5,
		v5: &collection{path: "folder-contents", since: "updatedAt"},
		fields: fieldsOf("",
			idField(), only5(ints, "folderId", "objectId"), only5(texts, "objectName", "objectType", "objectRef", "folderRef"), audited(),
		),
	},
	{
		stream: "dynamic_contents", noun: "dynamic content", prefer: v5, export: exported5("DynamicContent"),
		v5: &collection{path: "dynamic-contents", since: "updatedAt", bin: true},
		fields: fieldsOf("",
			idField(), only5(texts, "name", "embedCode", "embedUrl", "baseContent", "basedOn", "basedOnProspectApiFieldId", "tagReplacementLanguage"),
			only5(ints, "trackerDomainId", "folderId"), only5(bools, "isDeleted"), audited(),
		),
	},
	{
		stream: "dynamic_content_variations", noun: "variation of dynamic content", prefer: v5,
		v5: &collection{path: "dynamic-content-variations"},
		fields: fieldsOf("",
			idField(), only5(ints, "dynamicContentId"), only5(texts, "comparison", "operator", "value1", "value2", "content"),
		),
	},
	{
		stream: "tracker_domains", noun: "tracker domain", prefer: v5,
		v5: &collection{path: "tracker-domains", bin: true},
		fields: fieldsOf("",
			idField(), only5(texts, "domain"), only5(bools, "isPrimary", "isDeleted"), only5(ints, "defaultCampaignId"),
			only5(texts, "httpsStatus", "sslStatus", "sslStatusDetails"), only5(ints, "sslRequestedById"), only5(texts, "validationStatus"),
			only5(times, "validatedAt"), only5(texts, "vanityUrlStatus", "trackingCode"), audited(),
		),
	},
}

// bitly is the short address that bitly.com makes.
func bitly() []field {
	return append(only5(bools, "bitlyIsPersonalized"), only5(texts, "bitlyShortUrl")...)
}
