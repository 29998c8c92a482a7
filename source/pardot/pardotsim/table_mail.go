package pardotsim

import (
	"slices"

	"github.com/martsync/martsync/simulate"
)

// listMailOf is the index of the list e-mail that the e-mail with this index belongs to; −1: it went
// to one prospect alone. One list e-mail has several e-mails.
func listMailOf(w *world, i int64) int64 {
	if i%4 == 0 {
		return -1
	}
	mails, lists := w.byName["emails"], w.byName["list_emails"]
	if i >= mails.n {
		return i % lists.n
	}
	return i * lists.n / mails.n
}

// sender are the columns of an option that is an object, of which only that of senders has a name.
// (Account Engagement API, Email, List Email)
func sender(name string, types words) []*column {
	is := func(r *record, want string) bool {
		return types[simulate.Pick(simulate.Next(r.h^uint64(len(name))), len(types))] == want
	}
	options := columns(
		made(name+".type", 0, func(r *record, _ uint64) any {
			return types[simulate.Pick(simulate.Next(r.h^uint64(len(name))), len(types))]
		}),
		made(name+".address", 0, func(r *record, _ uint64) any {
			if is(r, "general_address") {
				return "hello@kites.example"
			}
			return nil
		}),
		made(name+".name", 0, func(r *record, _ uint64) any {
			if is(r, "general_address") {
				return "Kestrel \"Kites\" & Co"
			}
			return nil
		}),
		whole(name+".userId", 0, func(r *record, h uint64) any {
			if !is(r, "general_user") {
				return nil
			}
			t := r.st.w.byName["users"]
			return t.id(t.older(h, r.created))
		}),
		whole(name+".prospectCustomFieldId", 0, func(r *record, _ uint64) any {
			if is(r, "prospect_custom_field") {
				return int64(7009)
			}
			return nil
		}),
		whole(name+".accountCustomFieldId", 0, func(r *record, _ uint64) any {
			if is(r, "account_custom_field") {
				return int64(8001)
			}
			return nil
		}),
	)
	return slices.DeleteFunc(options, func(c *column) bool { return c.name == "replyToOptions.name" })
}

var senderTypes = words{"general_address", "general_user", "assigned_user", "prospect_custom_field", "account_custom_field"}

// mailTables are e-mails and their templates. (Account Engagement API, Email, List Email, Email
// Template; version 4, Emails)
func (w *world) mailTables() []*table {
	emails := &table{
		name: "emails", path: "emails", n: w.share(3, 4, 16, unlimited), first: 3001, step: 5, lost: 2,
		filters: []string{"sentAt", "prospectId", "listEmailId"},
		columns: columns(
			identity(), text("name*", 0, mailNames), text("subject*", 1, subjects), text("type", 2, words{"html", "text", "htmlAndText"}),
			moment("sentAt=created_at", 0, func(r *record, _ uint64) any { return stamp(r.created) }), text("clientType", 3, words{"Web", "API", "Outlook"}),
			flag("isOperational", 4), link("campaignId", 3, "campaigns"),
			whole("prospectId", 0, func(r *record, h uint64) any {
				if r.i%4 != 0 {
					return nil
				}
				t := r.st.w.byName["prospects"]
				return t.id(t.older(h, r.created))
			}),
			link("folderId", 2, "folders"), link("listId", 80, "lists"),
			whole("listEmailId", 0, func(r *record, _ uint64) any {
				if i := listMailOf(r.st.w, r.i); i >= 0 {
					return r.st.w.byName["list_emails"].id(i)
				}
				return nil
			}),
			link("emailTemplateId", 60, "email_templates"), link("trackerDomainId", 5, "tracker_domains"),
			sender("senderOptions", senderTypes), sender("replyToOptions", senderTypes),
			onlyByID(text("htmlMessage=message_html", 4, mailHTML), text("textMessage=message_text", 10, mailText)),
			crm("salesforceCmsId", 95, "20Y"), withoutV4(updated()), link("createdById", 6, "users"),
			rigid(newColumn("=isOneToOne", kindBool, 0, func(r *record, _ uint64) any { return r.i%4 == 0 })),
		),
	}
	lists := &table{
		name: "list_emails", path: "list-emails", n: w.share(1, 20, 12, 2000), first: 41, step: 2, edited: 60, binned: 4,
		filters: []string{"createdAt", "updatedAt", "sentAt"},
		columns: columns(
			identity(), text("name", 0, mailNames), text("subject", 1, subjects), flag("isPaused", 3),
			rigid(newColumn("isSent", kindBool, 0, func(r *record, _ uint64) any { return r.get("sentAt") != nil })),
			deleted("isDeleted"), flag("isOperational", 5),
			moment("sentAt", 8, func(r *record, h uint64) any { return stamp(min(r.created+int64(simulate.Pick(h, 7200)), r.updated)) }),
			link("campaignId", 2, "campaigns"), text("clientType", 2, words{"Web", "Builder"}), text("type", 2, words{"html", "text", "htmlAndText"}),
			sender("senderOptions", senderTypes), sender("replyToOptions", senderTypes),
			link("emailTemplateId", 40, "email_templates"), link("trackerDomainId", 5, "tracker_domains"), link("folderId", 2, "folders"), audit(),
			onlyByID(text("textMessage", 10, mailText), text("htmlMessage", 4, mailHTML)),
		),
	}
	templates := &table{
		name: "email_templates", path: "email-templates", n: w.share(1, 100, 9, 300), first: 501, edited: 60, binned: 3, filters: byTimes,
		columns: columns(
			identity(), numbered("name", mailNames), text("subject", 2, subjects), text("htmlMessage", 3, mailHTML), text("textMessage", 10, mailText),
			text("type", 1, words{"html", "text", "htmlAndText"}), text("tagReplacementLanguage", 3, words{"pml", "hml", "undetermined"}),
			flag("isAutoResponderEmail", 30), flag("isDripEmail", 40), flag("isListEmail", 60), flag("isOneToOneEmail", 30),
			link("campaignId", 3, "campaigns"), link("folderId", 2, "folders"), link("trackerDomainId", 5, "tracker_domains"), deleted("isDeleted"), audit(),
		),
	}
	return []*table{emails.shape(w, 430), lists.shape(w, 430), templates.shape(w, 1200)}
}

// A stat is one number of a list e-mail's statistics.
type stat struct {
	name  string // in version 5; version 4's is the same with underscores
	value any    // int64 or string
}

// listEmailStats are the statistics of a list e-mail. (Account Engagement API, version 4, Emails)
func (s *Server) listEmailStats(r *record) []stat {
	if r.get("sentAt") == nil {
		return statsOf(0, r.h)
	}
	return statsOf(int64(20+simulate.Pick(simulate.Next(r.h^0x57), 5000)), r.h)
}

func statsOf(sent int64, h uint64) []stat {
	part := func(of int64, percent int) int64 {
		h = simulate.Next(h)
		return of * int64(simulate.Pick(h, percent+1)) / 100
	}
	soft, hard := part(sent, 3), part(sent, 2)
	delivered := sent - soft - hard
	opens := part(delivered, 60)
	uniqueOpens := part(opens, 100)
	clicks := part(opens, 40)
	unique := part(clicks, 100)
	outs, spam := part(delivered, 1), part(delivered, 1)
	return []stat{
		{"sent", sent},
		{"delivered", delivered},
		{"totalClicks", clicks},
		{"uniqueClicks", unique},
		{"softBounced", soft},
		{"hardBounced", hard},
		{"optOuts", outs},
		{"spamComplaints", spam},
		{"opens", opens},
		{"uniqueOpens", uniqueOpens},
		{"deliveryRate", statLine(delivered, sent)},
		{"opensRate", statLine(opens, delivered)},
		{"clickThroughRate", statLine(clicks, delivered)},
		{"uniqueClickThroughRate", statLine(unique, delivered)},
		{"clickOpenRatio", statLine(unique, uniqueOpens)},
		{"optOutRate", statLine(outs, delivered)},
		{"spamComplaintRate", statLine(spam, delivered)},
	}
}
