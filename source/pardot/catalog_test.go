package pardot

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/columns"
)

// fields5 are the fields that version 5 documents for each collection. A letter behind a name is its type,
// as the vendor's lists have it: s text, b yes or no, d time, f number with decimals, a array, none id or
// count. A question mark stands for collections whose types are not documented.
var fields5 = map[string]string{
	"account": `id, company s, level s, website s, pluginCampaignId, addressOne s, addressTwo s, city s, state s, zip s, territory s, country s,
		phone s, fax s, adminId, maximumDailyApiCalls, apiCallsUsed, createdAt d, updatedAt d, createdById, updatedById`,
	"campaigns": `id, name s, cost f, folderId, parentCampaignId, salesforceId s, isDeleted b, createdAt d, updatedAt d, createdById, updatedById`,
	"forms": `id, name s, campaignId, folderId, layoutTemplateId, trackerDomainId, salesforceId s, salesforceCmsId s, isDeleted b,
		isUseRedirectLocation b, redirectLocation s, isAlwaysDisplay b, isCookieless b, isCaptchaEnabled b, showNotProspect b, embedCode s, url s,
		submitButtonText s, beforeFormContent s, afterFormContent s, thankYouContent s, thankYouCode s, fontSize s, fontFamily s, fontColor s,
		labelAlignment s, radioAlignment s, checkboxAlignment s, requiredCharacter s, createdAt d, updatedAt d, createdById, updatedById`,
	"tags":             `id, name s, objectCount, createdAt d, updatedAt d, createdById, updatedById`,
	"tagged-objects":   `id, tagId, objectId, objectName s, objectType s, createdAt d, createdById`,
	"opportunities":    `id, name s, campaignId, salesforceId s, stage s, status s, type s, probability, value f, closedAt d, createdAt d, updatedAt d, createdById, updatedById`,
	"lists":            `id, name s, title s, description s, isPublic b, isDynamic b, isDeleted b, folderId, campaignId, createdAt d, updatedAt d, createdById, updatedById`,
	"list-memberships": `id, listId, prospectId, optedOut b, isDeleted b, createdAt d, updatedAt d, createdById, updatedById`,
	"emails": `id, name s, subject s, type s, sentAt d, clientType s, isOperational b, campaignId, prospectId, folderId, listId, listEmailId,
		emailTemplateId, trackerDomainId, senderOptions.type s, senderOptions.address s, senderOptions.name s, senderOptions.userId,
		senderOptions.prospectCustomFieldId, senderOptions.accountCustomFieldId, replyToOptions.type s, replyToOptions.address s, replyToOptions.name s,
		replyToOptions.userId, replyToOptions.prospectCustomFieldId, replyToOptions.accountCustomFieldId, htmlMessage s, textMessage s,
		salesforceCmsId s, createdById, updatedAt d`,
	"list-emails": `id, name s, subject s, isPaused b, isSent b, isDeleted b, isOperational b, sentAt d, campaignId, clientType s, type s,
		senderOptions.type s, senderOptions.address s, senderOptions.name s, senderOptions.userId, senderOptions.prospectCustomFieldId,
		senderOptions.accountCustomFieldId, replyToOptions.type s, replyToOptions.address s, replyToOptions.userId,
		replyToOptions.prospectCustomFieldId, replyToOptions.accountCustomFieldId, emailTemplateId, trackerDomainId, folderId,
		createdAt d, updatedAt d, createdById, updatedById, textMessage s, htmlMessage s,
		stats.sent, stats.delivered, stats.totalClicks, stats.uniqueClicks, stats.softBounced, stats.hardBounced, stats.optOuts,
		stats.spamComplaints, stats.opens, stats.uniqueOpens, stats.deliveryRate s, stats.opensRate s, stats.clickThroughRate s,
		stats.uniqueClickThroughRate s, stats.clickOpenRatio s, stats.optOutRate s, stats.spamComplaintRate s`,
	"prospect-accounts": `id, name s, salesforceId s, isDeleted b, annualRevenue s, billingAddressOne s, billingAddressTwo s, billingCity s,
		billingState s, billingZip s, billingCountry s, shippingAddressOne s, shippingAddressTwo s, shippingCity s, shippingState s,
		shippingZip s, shippingCountry s, description s, employees s, fax s, industry s, number s, ownership s, phone s, rating s, sic s,
		site s, tickerSymbol s, type s, website s, assignedToId, createdAt d, updatedAt d, createdById, updatedById`,
	"visitors": `id, prospectId, pageViewCount, isIdentified b, doNotSell b, hostname s, ipAddress s, campaignId, campaignParameter s,
		mediumParameter s, sourceParameter s, contentParameter s, termParameter s, createdAt d, updatedAt d`,
	"visitor-activities": `id, type, typeName s, details s, prospectId, visitorId, visitId, campaignId, emailId, emailTemplateId, listEmailId,
		customRedirectId, fileId, formId, formHandlerId, landingPageId, multivariateTestVariationId, opportunityId, paidSearchAdId,
		siteSearchQueryId, visitorPageViewId, createdAt d, updatedAt d`,
	"prospects": `id, email s, firstName s, lastName s, salutation s, company s, jobTitle s, department s, industry s, website s, password s,
		isDeleted b, addressOne s, addressTwo s, city s, state s, zip s, country s, territory s, phone s, fax s, employees s, annualRevenue s,
		yearsInBusiness s, source s, score, grade s, notes s, comments s, isDoNotCall b, isDoNotEmail b, optedOut b, doNotSell b, isReviewed b,
		isStarred b, isEmailHardBounced b, emailBouncedAt d, emailBouncedReason s, campaignId, prospectAccountId, profileId, lifecycleStageId,
		userId, assignedToId, lastActivityAt d, recentInteraction s, firstActivityAt d, firstAssignedAt d, convertedAt d,
		convertedFromObjectName s, convertedFromObjectType s, campaignParameter s, mediumParameter s, sourceParameter s, contentParameter s,
		termParameter s, firstReferrerQuery s, firstReferrerType s, firstReferrerUrl s, salesforceId s, salesforceContactId s,
		salesforceLeadId s, salesforceAccountId s, salesforceCampaignId s, salesforceOwnerId s, salesforceUrl s, salesforceLastSync d,
		createdAt d, updatedAt d, createdById, updatedById`,

	"visits": `id?, visitorId?, prospectId?, visitorPageViewCount?, firstVisitorPageViewAt?, lastVisitorPageViewAt?, durationInSeconds?,
		campaignParameter?, mediumParameter?, sourceParameter?, contentParameter?, termParameter?, createdAt?, updatedAt?`,
	"visitor-page-views": `id?, url?, title?, visitorId?, campaignId?, visitId?, durationInSeconds?, salesforceId?, createdAt?`,
	"users": `id?, email?, username?, firstName?, lastName?, jobTitle?, role?, roleName?, salesforceId?, tagReplacementLanguage?, isDeleted?,
		createdAt?, updatedAt?, createdById?, updatedById?`,
	"custom-fields": `id?, name?, fieldId?, type?, isRequired?, isRecordMultipleResponses?, isUseValues?, isAnalyticsSynced?, salesforceId?`,
	"custom-redirects": `id?, name?, url?, destinationUrl?, trackedUrl?, vanityUrl?, bitlyShortUrl?, bitlyIsPersonalized?, campaignId?,
		salesforceId?, isDeleted?, createdAt?, updatedAt?, createdById?, updatedById?`,
	"dynamic-contents": `id?, name?, embedCode?, embedUrl?, baseContent?, basedOn?, basedOnProspectApiFieldId?, tagReplacementLanguage?,
		trackerDomainId?, folderId?, isDeleted?, createdAt?, updatedAt?, createdById?, updatedById?`,
	"dynamic-content-variations": `id?, dynamicContentId?, comparison?, operator?, value1?, value2?, content?`,
	"email-templates": `id?, name?, subject?, htmlMessage?, textMessage?, type?, tagReplacementLanguage?, isAutoResponderEmail?, isDripEmail?,
		isListEmail?, isOneToOneEmail?, campaignId?, folderId?, trackerDomainId?, isDeleted?, createdAt?, updatedAt?, createdById?, updatedById?`,
	"engagement-studio-programs": `id?, name?, description?, status?, recipientListIds a, suppressionListIds a, scheduleCreatedById?, salesforceId?,
		isDeleted?, createdAt?, updatedAt?, createdById?, updatedById?`,
	"files": `id?, url?, vanityUrl?, size?, isTracked?, bitlyShortUrl?, bitlyIsPersonalized?, salesforceId?, createdAt?, updatedAt?,
		createdById?, updatedById?`,
	"folders":             `id?, name?, path?, parentFolderId?, usePermissions?, createdAt?, updatedAt?, createdById?, updatedById?`,
	"folder-contents":     `id?, folderId?, objectId?, objectName?, objectType?, objectRef?, folderRef?, createdAt?, updatedAt?, createdById?, updatedById?`,
	"form-fields":         `id?, sortOrder?, hasValues?, hasDependents?, hasProgressives?, createdAt?, updatedAt?, createdById?, updatedById?`,
	"form-handlers":       `id?, embedCode?, salesforceId?, isDeleted?, createdAt?, createdById?, updatedById?`,
	"form-handler-fields": `id?, createdAt?, createdById?`,
	"landing-pages": `id?, name?, url?, vanityUrl?, campaignId?, layoutType?, layoutCss?, layoutTableBorder?, isUseRedirectLocation?, bitlyShortUrl?,
		bitlyIsPersonalized?, salesforceId?, salesforceCmsId?, isDeleted?, createdAt?, updatedAt?, createdById?, updatedById?`,
	"layout-templates":    `id?, name?, layoutContent?, siteSearchContent?, isDeleted?, createdAt?, updatedAt?, createdById?, updatedById?`,
	"lifecycle-stages":    `id?, name?, position?, matchType?, isLocked?, isDeleted?, createdAt?, updatedAt?`,
	"lifecycle-histories": `id?, prospectId?, previousStageId?, nextStageId?, secondsElapsed?, createdAt?`,
	"tracker-domains": `id?, domain?, isPrimary?, isDeleted?, defaultCampaignId?, httpsStatus?, sslStatus?, sslStatusDetails?, sslRequestedById?,
		validationStatus?, validatedAt?, vanityUrlStatus?, trackingCode?, createdAt?, updatedAt?, createdById?, updatedById?`,
}

// fields4 are the fields that version 4 documents for each resource, as flattened. What full output of a
// single record nests beyond them belongs to other tables.
var fields4 = map[string]string{
	"campaign":       `id, name s, cost f`,
	"form":           `id, name s, campaign_id, embedCode s, created_at d, updated_at d`,
	"tag":            `id, name s, created_at d, updated_at d`,
	"tagObject":      `id, tag_id, type s, object_id, created_at d`,
	"opportunity":    `id, campaign_id, name s, value f, probability, type s, stage s, status s, closed_at d, created_at d, updated_at d`,
	"emailClick":     `id, prospect_id, url s, list_email_id, drip_program_action_id, email_template_id, tracker_redirect_id, created_at d`,
	"list":           `id, name s, is_public b, is_dynamic b, title s, description s, is_crm_visible b, created_at d, updated_at d`,
	"listMembership": `id, list_id, prospect_id, opted_out b, created_at d, updated_at d`,
	"account": `id, company s, level s, website s, vanity_domain s, plugin_campaign_id, tracking_code_template s, address1 s, address2 s, city s,
		state s, territory s, zip s, country s, phone s, fax s, created_at d, updated_at d`,
	"email": `id, name s, isOneToOne b, subject s, message_text s, message_html s, created_at d`,
	"prospect": `id, salutation s, first_name s, last_name s, email s, password s, company s, website s, job_title s, department s, country s,
		address_one s, address_two s, city s, state s, territory s, zip s, phone s, fax s, source s, annual_revenue s, employees s, industry s,
		years_in_business s, comments s, notes s, score, grade s, campaign_id, prospect_account_id, profile_id, assigned_to_user_id,
		last_activity_visitor_activity_id, last_activity_at d, recent_interaction s, crm_lead_fid s, crm_contact_fid s, crm_owner_fid s,
		crm_account_fid s, crm_last_sync d, crm_url s, salesforce_fid s, is_do_not_email b, is_do_not_call b, opted_out b, is_reviewed b,
		is_starred b, is_archived b, created_at d, updated_at d`,
	"visitorActivity": `id, type, type_name s, details s, visitor_id, prospect_id, email_id, email_template_id, list_email_id, form_id,
		form_handler_id, site_search_query_id, landing_page_id, paid_search_ad_id, multivariate_test_variation_id, visitor_page_view_id,
		file_id, custom_redirect_id, visit_id, opportunity_id, campaign_id, created_at d, updated_at d`,
	"visitor": `id, prospect_id, page_view_count, ip_address s, hostname s, browser s, browser_version s, operating_system s,
		operating_system_version s, language s, screen_height s, screen_width s, is_flash_enabled s, is_java_enabled s,
		campaign_parameter s, medium_parameter s, source_parameter s, content_parameter s, term_parameter s, created_at d, updated_at d`,
	"prospectAccount": `id, name s, created_at d, updated_at d, assigned_to_user_id, annual_revenue s, billing_address_one s, industry s,
		phone s, website s, site s, sic s`,
}

var letters = map[string]martsync.Type{
	"": martsync.Int64, "s": martsync.String, "b": martsync.Bool, "d": martsync.Timestamp, "f": martsync.Float64, "a": martsync.JSON, "?": 0,
}

// documented reads a list of fields: the type of each, 0 where it is not told.
func documented(t *testing.T, list string) map[string]martsync.Type {
	t.Helper()
	fields := map[string]martsync.Type{}
	for one := range strings.SplitSeq(list, ",") {
		name, letter, _ := strings.Cut(strings.TrimSpace(one), " ")
		if n, ok := strings.CutSuffix(name, "?"); ok {
			name, letter = n, "?"
		}
		typ, known := letters[letter]
		if !known || fields[name] != 0 {
			t.Fatalf("the list of the test has %q", one)
		}
		fields[name] = typ
	}
	return fields
}

func TestEveryDocumentedFieldHasOneColumn(t *testing.T) {
	named := func(o *object, v version, name string) (found []field) {
		for _, f := range o.fields {
			if v == v5 && f.v5 == name || v == v4 && f.v4 == name {
				found = append(found, f)
			}
		}
		return found
	}
	seen := map[version]map[string]bool{v4: {}, v5: {}}
	for _, o := range catalog {
		for v, list := range map[version]map[string]string{v4: fields4, v5: fields5} {
			if !o.has(v) || o == opportunityProspectObject {
				continue
			}
			path := o.path(v)
			if o.stream == "email_clicks" && v == v5 {
				continue // some of the fields of activities
			}
			text, ok := list[path]
			if !ok {
				t.Errorf("%s: the test does not know the fields of %s %s", o.stream, v, path)
				continue
			}
			seen[v][path] = true
			want := documented(t, text)
			for _, name := range slices.Sorted(maps.Keys(want)) {
				switch found := named(o, v, name); {
				case len(found) != 1:
					t.Errorf("%s: %d fields are the %s of %s, want 1", o.stream, len(found), name, v)
				case want[name] != 0 && found[0].typ != want[name]:
					t.Errorf("%s: %s of %s is %v, want %v", o.stream, name, v, found[0].typ, want[name])
				}
			}
		}
	}
	for v, list := range map[version]map[string]string{v4: fields4, v5: fields5} {
		for path := range list {
			if !seen[v][path] {
				t.Errorf("nothing in the catalog is the %s of %s", path, v)
			}
		}
	}
}

// Fields that no list documents can only be wishes: an account that lacks one must not call it a drift.
func TestUndocumentedFieldsAreWishes(t *testing.T) {
	for _, o := range catalog {
		if !o.has(v5) || o.stream == "email_clicks" {
			continue
		}
		known := documented(t, fields5[o.v5.path])
		for _, f := range o.fields {
			if _, ok := known[f.v5]; f.v5 != "" && !ok && !f.wish {
				t.Errorf("%s: %s is not documented and no wish", o.stream, f.v5)
			}
		}
	}
}

func TestCatalogIsSound(t *testing.T) {
	streams := map[string]bool{}
	for _, o := range catalog {
		t.Run(o.stream, func(t *testing.T) {
			if streams[o.stream] || o.stream == "" || o.noun == "" || o.stream != columns.Snake(o.stream) {
				t.Errorf("stream %q, noun %q", o.stream, o.noun)
			}
			streams[o.stream] = true
			if objectOf(o.stream) != o {
				t.Error("objectOf finds another one")
			}
			if !o.has(o.prefer) {
				t.Errorf("%s is preferred, which does not have it", o.prefer)
			}
			if o == opportunityProspectObject {
				return // its columns are ours
			}
			for _, v := range []version{v4, v5} {
				names := map[string]bool{}
				for _, f := range o.fields {
					name := f.v5
					if v == v4 {
						name = f.v4
					}
					if name != "" && names[name] {
						t.Errorf("%s: two fields %s", v, name)
					}
					names[name] = true
					if name != "" && !o.has(v) {
						t.Errorf("%s does not have the object but its field %s", v, name)
					}
				}
				if o.has(v) && !names["id"] {
					t.Errorf("%s: no id", v)
				}
			}
			bin := slices.ContainsFunc(o.fields, func(f field) bool { return f.v5 == "isDeleted" })
			if o.v5 != nil && o.v5.bin != bin {
				t.Errorf("bin %t, field isDeleted %t", o.v5.bin, bin)
			}
			if c := o.v5; c != nil && c.since != "" && !slices.ContainsFunc(o.fields, func(f field) bool { return f.v5 == c.since && f.typ == martsync.Timestamp }) {
				t.Errorf("ranges are over %s, which is no time of it", c.since)
			}
			for _, f := range o.fields {
				if f.v5 == "" && f.v4 == "" || f.typ == 0 || f.v4 == inBoth {
					t.Errorf("field %+v", f)
				}
				if f.joined && f.v5 == "" {
					t.Errorf("%s: version 5 is what joins complete", f.v4)
				}
			}
			if e := o.export; e != nil {
				if len(e.procedures) == 0 || len(e.passes) == 0 || e.v4 == "" && e.v5 == "" || e.v4 != "" && o.v4 == nil || e.v5 != "" && o.v5 == nil {
					t.Errorf("export %+v", *e)
				}
				for _, p := range e.procedures {
					if !strings.HasPrefix(p.name, "filter_by_") || !strings.HasSuffix(p.after, "_after") || !strings.HasSuffix(p.before, "_before") {
						t.Errorf("procedure %+v", p)
					}
				}
			}
		})
	}
	for _, name := range []string{
		"list_memberships", "prospects", "prospect_accounts", "visitors", "visitor_activities", "campaigns", "forms", "tags", "tag_objects",
		"opportunities", "opportunity_prospects", "email_clicks", "lists", "accounts", "emails", "users", "custom_fields", "list_emails",
		"email_templates", "landing_pages", "custom_redirects", "visits", "visitor_page_views", "lifecycle_stages", "lifecycle_histories",
		"engagement_studio_programs", "form_handlers", "files", "folders", "tracker_domains", "dynamic_contents", "layout_templates",
	} {
		if !streams[name] {
			t.Errorf("there is no stream %s", name)
		}
	}
	if got := streamNames(); len(got) != len(catalog) || got[0] != catalog[0].stream {
		t.Errorf("names: %v", got)
	}
	if objectOf("no such stream") != nil {
		t.Error("an unknown stream has an object")
	}
}

// filters5 is over which times version 5 takes ranges of a collection. Without one, or if what changes
// does not move it, everything is listed.
func TestRangesAreOverTimesThatTheVendorFilters(t *testing.T) {
	want := map[string]string{
		"campaigns": "updatedAt", "tags": "updatedAt", "opportunities": "updatedAt", "lists": "updatedAt", "list-memberships": "updatedAt",
		"list-emails": "updatedAt", "prospects": "updatedAt", "visitors": "updatedAt", "visitor-activities": "updatedAt", "visits": "updatedAt",
		"users": "updatedAt", "custom-fields": "updatedAt", "landing-pages": "updatedAt", "dynamic-contents": "updatedAt",
		"email-templates": "updatedAt", "lifecycle-stages": "updatedAt", "form-fields": "updatedAt", "folder-contents": "updatedAt",
		"engagement-studio-programs": "updatedAt", "tagged-objects": "createdAt", "visitor-page-views": "createdAt",
		"lifecycle-histories": "createdAt", "emails": "sentAt",
	}
	for _, o := range catalog {
		if o.v5 == nil || o.stream == "email_clicks" {
			continue
		}
		if o.v5.since != want[o.v5.path] {
			t.Errorf("%s: over %q, want %q", o.stream, o.v5.since, want[o.v5.path])
		}
		// A range over creation shows a change only of what never changes.
		if o.v5.since == "createdAt" && slices.ContainsFunc(o.fields, func(f field) bool { return f.v5 == "updatedAt" }) {
			t.Errorf("%s changes, and is read by creation", o.stream)
		}
	}
	want4 := map[string]string{
		"form": "updated", "tag": "updated", "tagObject": "created", "emailClick": "created", "list": "updated", "listMembership": "updated",
		"prospect": "updated", "prospectAccount": "updated", "visitor": "updated", "visitorActivity": "updated",
	}
	for _, o := range catalog {
		if o.v4 != nil && o.v4.since != want4[o.v4.path] {
			t.Errorf("%s: version 4 over %q, want %q", o.stream, o.v4.since, want4[o.v4.path])
		}
	}
	if got := objectOf("visitors").v4.params.Get("only_identified"); got != "false" {
		t.Errorf("only_identified=%q leaves anonymous visitors out", got)
	}
}

// Clicks are also told of links that are in no e-mail.
func TestClicksOfVersion5AreThoseInEmails(t *testing.T) {
	clicks, activities := objectOf("email_clicks"), objectOf("visitor_activities")
	tests := []struct {
		name string
		o    *object
		v    version
		row  string
		want bool
	}{
		{"of an e-mail", clicks, v5, `{"id":1,"emailId":7,"listEmailId":null,"emailTemplateId":null}`, true},
		{"of a list e-mail", clicks, v5, `{"id":1,"emailId":null,"listEmailId":7}`, true},
		{"of a template", clicks, v5, `{"emailTemplateId":7}`, true},
		{"of another link", clicks, v5, `{"id":1,"emailId":null,"listEmailId":null,"emailTemplateId":null,"customRedirectId":7}`, false},
		{"broken", clicks, v5, `{"id":`, true},
		{"of version 4", clicks, v4, `{"id":1,"url":"https://kites.example"}`, true},
		{"any activity", activities, v5, `{"id":1}`, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.o.owns(tt.v, []byte(tt.row)); got != tt.want {
				t.Errorf("owns %s: got %t, want %t", tt.row, got, tt.want)
			}
		})
	}
}
