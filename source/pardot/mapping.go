package pardot

import (
	"strings"

	"github.com/martsync/martsync/internal/columns"
)

// renames are the fields that version 5 calls otherwise than by the name of version 4 in camel
// case. Most stand for a field of one resource, those of no resource for every one.
// Account Engagement API, Transitioning to Version 5.
var renames = []struct{ resource, v4, v5 string }{
	{"account", "address1", "addressOne"},
	{"account", "address2", "addressTwo"},
	{"email", "message_html", "htmlMessage"},
	{"email", "message_text", "textMessage"},
	{"emailClick", "url", "details"},
	{"prospect", "assigned_to_user_id", "assignedToId"},
	{"prospect", "crm_account_fid", "salesforceAccountId"},
	{"prospect", "crm_contact_fid", "salesforceContactId"},
	{"prospect", "crm_last_sync", "salesforceLastSync"},
	{"prospect", "crm_lead_fid", "salesforceLeadId"},
	{"prospect", "crm_owner_fid", "salesforceOwnerId"},
	{"prospect", "crm_url", "salesforceUrl"},
	{"prospect", "is_archived", "isDeleted"},
	{"prospect", "is_do_not_call", "isDoNotCall"},
	{"prospect", "is_do_not_email", "isDoNotEmail"},
	{"prospect", "salesforce_fid", "salesforceId"},
	{"prospectAccount", "assigned_to_user_id", "assignedToId"},
	{"tagObject", "type", "objectType"},
	{"", "embedCode", "embedCode"},
	{"", "isOneToOne", "isOneToOne"},
}

// name5 is what version 5 calls a field of version 4.
func name5(resource, v4 string) string {
	for _, r := range renames {
		if r.v4 == v4 && (r.resource == resource || r.resource == "") {
			return r.v5
		}
	}
	return camel(v4)
}

// name4 is what version 4 calls a field of version 5, flattened.
func name4(resource, v5 string) string {
	for _, r := range renames {
		if r.v5 == v5 && (r.resource == resource || r.resource == "") {
			return r.v4
		}
	}
	return columns.Snake(v5)
}

// camel writes snake_case in camelCase.
func camel(snake string) string {
	words := strings.Split(snake, "_")
	for i, w := range words[1:] {
		if w != "" {
			words[i+1] = strings.ToUpper(w[:1]) + w[1:]
		}
	}
	return strings.Join(words, "")
}

// customSuffix is what version 5 appends to the ids of custom fields.
const customSuffix = "__c"

// tagKind is what version 5 calls a kind of tagged record that version 4 writes for people:
// "Form Handler" is "form-handler". Kinds of version 5 stay as they are.
func tagKind(kind string) string {
	return strings.ReplaceAll(strings.ToLower(strings.TrimSpace(kind)), " ", "-")
}
