package pardotsim

import (
	"fmt"

	"github.com/martsync/martsync/simulate"
)

func bitly() []*column {
	return columns(
		made("bitlyShortUrl", 70, func(_ *record, h uint64) any { return fmt.Sprintf("https://bit.example/%x", h>>40) }),
		flag("bitlyIsPersonalized", 10),
	)
}

func goLink(spec string, null int, folder string) *column {
	return made(spec, null, func(r *record, _ uint64) any {
		return fmt.Sprintf("https://go.kites.example/%s/1/%d?a=1&b=\"2\"", folder, r.id)
	})
}

// siteTables are forms, pages and files. (Account Engagement API, Form, Form Handler, Landing Page, Custom
// Redirect, File, Folder, Layout Template, Tracker Domain)
func (w *world) siteTables() []*table {
	forms := &table{
		name: "forms", path: "forms", n: w.share(1, 150, 14, 200), first: 31, edited: 60, binned: 4,
		columns: columns(
			identity(), numbered("name*", formNames), link("campaignId*", 2, "campaigns"), link("folderId", 3, "folders"), link("layoutTemplateId", 5, "layout_templates"),
			link("trackerDomainId", 5, "tracker_domains"), crm("salesforceId", 50, "a0F"), crm("salesforceCmsId", 95, "20Y"), deleted("isDeleted"),
			flag("isUseRedirectLocation", 20), goLink("redirectLocation", 80, "r"), flag("isAlwaysDisplay", 10), flag("isCookieless", 5), flag("isCaptchaEnabled", 30),
			flag("showNotProspect", 20),
			made("embedCode=embedCode", 2, func(r *record, _ uint64) any {
				return fmt.Sprintf("<iframe src=\"https://go.kites.example/l/1/%d\"></iframe>", r.id)
			}),
			goLink("url", 2, "l"), text("submitButtonText", 4, words{"Submit", "Los geht's!", "送信", ""}), text("beforeFormContent", 50, audiences),
			text("afterFormContent", 80, audiences), text("thankYouContent", 30, mailHTML), text("thankYouCode", 80, words{"<script>a && b()</script>"}),
			text("fontSize", 40, words{"12", "0.9em"}), text("fontFamily", 40, words{"Arial, \"Sans\"", "serif"}), text("fontColor", 40, words{"#000000", "#0ff"}),
			text("labelAlignment", 40, words{"left", "above"}), text("radioAlignment", 40, words{"left", "right"}), text("checkboxAlignment", 40, words{"left", "right"}),
			text("requiredCharacter", 40, words{"*", ""}), audit4(),
		),
	}
	fields := &table{
		name: "form_fields", path: "form-fields", n: w.share(1, 30, 60, 1000), first: 2001, edited: 30, filters: byTimes,
		columns: columns(
			identity(), link("formId", 0, "forms"), text("prospectApiFieldId", 5, words{"email", "firstName", "kite_colors__c"}), text("type", 2, words{"text", "radio", "checkbox"}),
			text("label", 2, formNames), flag("isRequired", 40), count("sortOrder", 2, 20), flag("hasValues", 30), flag("hasDependents", 10), flag("hasProgressives", 10), audit(),
		),
	}
	handlers := &table{
		name: "form_handlers", path: "form-handlers", n: w.share(1, 300, 9, 100), first: 51, binned: 5, filters: byCreated,
		columns: columns(
			identity(), numbered("name", formNames), link("campaignId", 2, "campaigns"), link("folderId", 3, "folders"), flag("isDataForwarded", 20),
			made("embedCode", 3, func(r *record, _ uint64) any {
				return fmt.Sprintf("<form action=\"https://go.kites.example/l/1/%d\" method=\"post\"></form>", r.id)
			}),
			crm("salesforceId", 50, "a0H"), deleted("isDeleted"), withoutV4(created()), link("createdById", 6, "users"),
		),
	}
	handlerFields := &table{
		name: "form_handler_fields", path: "form-handler-fields", n: w.share(1, 60, 40, 500), first: 4001, filters: byCreated,
		columns: columns(
			identity(), text("name", 1, formNames), link("formHandlerId", 0, "form_handlers"), text("prospectApiFieldId", 5, words{"email", "lastName"}),
			flag("isRequired", 40), withoutV4(created()), link("createdById", 6, "users"),
		),
	}
	landing := &table{
		name: "landing_pages", path: "landing-pages", n: w.share(1, 200, 11, 200), first: 201, edited: 50, binned: 5, filters: byTimes,
		columns: columns(
			identity(), numbered("name", pageTitles), goLink("url", 2, "l"), goLink("vanityUrl", 60, "v"), link("campaignId", 2, "campaigns"),
			link("folderId", 3, "folders"), link("formId", 40, "forms"), text("layoutType", 3, words{"Layout Template", "Legacy & custom"}), text("layoutCss", 70, words{"p > a { color: \"red\" }"}), text("layoutTableBorder", 80, words{"0", "1"}),
			flag("isUseRedirectLocation", 10), bitly(), crm("salesforceId", 50, "a0L"), crm("salesforceCmsId", 95, "20Y"), deleted("isDeleted"), audit(),
		),
	}
	redirects := &table{
		name: "custom_redirects", path: "custom-redirects", n: w.share(1, 150, 16, 300), first: 701, edited: 30, binned: 5,
		columns: columns(
			identity(), numbered("name", terms), goLink("url", 2, "e"), text("destinationUrl", 1, links), goLink("trackedUrl", 2, "t"), goLink("vanityUrl", 70, "v"),
			bitly(), link("campaignId", 2, "campaigns"), link("folderId", 3, "folders"), crm("salesforceId", 50, "a0R"), deleted("isDeleted"), audit(),
		),
	}
	documents := &table{
		name: "files", path: "files", n: w.share(1, 120, 21, 400), first: 9, edited: 20,
		columns: columns(
			identity(), text("name", 1, files), goLink("url", 1, "l"), goLink("vanityUrl", 70, "v"), whole("size", 2, func(_ *record, h uint64) any { return int64(h % 5_000_000_000) }),
			flag("isTracked", 40), bitly(), link("campaignId", 10, "campaigns"), link("folderId", 3, "folders"), crm("salesforceId", 60, "a0D"), audit(),
		),
	}
	folders := &table{
		name: "folders", path: "folders", n: w.share(1, 160, 18, 300), first: 81, edited: 20,
		columns: columns(
			identity(), numbered("name", folderNames), made("path", 0, func(r *record, _ uint64) any { return "Uncategorized/" + r.text("name") }),
			link("parentFolderId", 40, "folders"), flag("usePermissions", 10), audit(),
		),
	}
	contents := &table{
		name: "folder_contents", path: "folder-contents", n: w.share(1, 40, 50, 2000), first: 15_001, edited: 20, filters: []string{"updatedAt"},
		columns: columns(
			identity(), link("folderId", 1, "folders"), link("objectId", 0, "campaigns"), text("objectName", 1, campaignList),
			text("objectType", 0, words{"Campaign", "Email & Template", "List"}),
			made("objectRef", 3, func(r *record, _ uint64) any {
				return fmt.Sprintf("/api/v5/objects/campaigns/%d", r.number("objectId"))
			}),
			made("folderRef", 3, func(r *record, _ uint64) any { return fmt.Sprintf("/api/v5/objects/folders/%d", r.number("folderId")) }), audit(),
		),
	}
	layouts := &table{
		name: "layout_templates", path: "layout-templates", n: 7, first: 21, edited: 60, binned: 10,
		columns: columns(identity(), numbered("name", pageTitles), text("layoutContent", 2, mailHTML), text("siteSearchContent", 60, mailHTML), deleted("isDeleted"), audit()),
	}
	domains := &table{
		name: "tracker_domains", path: "tracker-domains", n: 3, first: 3, edited: 60,
		columns: columns(
			identity(), made("domain", 0, func(r *record, _ uint64) any { return fmt.Sprintf("go%d.kites.example", r.i) }),
			rigid(newColumn("isPrimary", kindBool, 0, func(r *record, _ uint64) any { return r.i == 0 })), deleted("isDeleted"), link("defaultCampaignId", 10, "campaigns"),
			text("httpsStatus", 2, words{"enabled", "disabled"}), text("sslStatus", 2, words{"enabled", "pending & waiting"}), text("sslStatusDetails", 50, remarks),
			link("sslRequestedById", 50, "users"), text("validationStatus", 2, words{"Validated", "Pending"}), before("validatedAt", 20, 90),
			text("vanityUrlStatus", 3, words{"all", "none"}),
			made("trackingCode", 4, func(_ *record, h uint64) any {
				return fmt.Sprintf("<script>\r\npiAId = '%d';\r\n</script>", simulate.Pick(h, 9999))
			}), audit(),
		),
	}
	return []*table{
		forms.shape(w, 1400), fields.shape(w, 1300), handlers.shape(w, 1300), handlerFields.shape(w, 1300), landing.shape(w, 1300), redirects.shape(w, 1300),
		documents.shape(w, 1300), folders.shape(w, 1400), contents.shape(w, 1300), layouts.shape(w, 1400), domains.shape(w, 1400),
	}
}
