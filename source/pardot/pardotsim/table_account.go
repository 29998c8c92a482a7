package pardotsim

import (
	"fmt"
	"slices"

	"github.com/martsync/martsync/simulate"
)

// accountTables are the account itself, its users and its custom fields. (Account Engagement API,
// Account, User, Custom Field)
func (w *world) accountTables(cfg Config) []*table {
	account := &table{
		name: "accounts", path: "account", n: 1, first: 1, edited: 100,
		columns: columns(
			identity(), text("company*", 0, words{"Kestrel Kites & Co"}), text("level*", 0, words{"Plus Edition"}), text("website*", 0, words{"https://kites.example"}),
			text("=vanity_domain", 0, words{"https://go.kites.example"}), link("pluginCampaignId*", 0, "campaigns"),
			text("=tracking_code_template", 0, words{"piAId = '1';\r\npiCId = '102';\r\n(function() { a && b(); })();"}),
			text("addressOne=address1", 0, words{"12 Harbour Rd"}), text("addressTwo=address2", 100, nil), text("city*", 0, words{"Boston"}), text("state*", 0, words{"MA"}),
			text("zip*", 0, words{"02134"}), text("territory*", 100, nil), text("country*", 0, words{"United States"}), text("phone*", 0, words{"0016175550100"}),
			text("fax*", 100, nil), link("adminId", 0, "users"),
			whole("maximumDailyApiCalls", 0, func(*record, uint64) any { return int64(max(cfg.DailyCalls, 0)) }),
			whole("apiCallsUsed", 0, func(*record, uint64) any { return int64(0) }), // see Server.account5
			created(), updated(), link("createdById", 0, "users"), link("updatedById", 0, "users"),
		),
	}
	users := &table{
		name: "users", path: "users", n: 14, first: 900, edited: 60, filters: []string{"createdAt", "updatedAt", "email"},
		columns: columns(
			identity(), made("email*", 0, func(r *record, _ uint64) any { return userName(r) }), made("username", 0, func(r *record, _ uint64) any { return userName(r) }),
			text("firstName*", 0, firstNames), text("lastName*", 0, lastNames), text("jobTitle*", 30, titles),
			text("role*", 0, words{"Administrator", "Marketing", "Sales", "Sales & Service"}), text("roleName", 0, words{"Administrator", "Custom \"Role\""}),
			made("salesforceId", 0, func(r *record, h uint64) any {
				switch {
				case r.i < int64(len(w.apiUsers)):
					return w.apiUsers[r.i].SalesforceID
				case simulate.OneIn(h, 4):
					return nil
				}
				return salesforceID("005", h)
			}),
			text("tagReplacementLanguage", 4, words{"pml", "hml", "undetermined"}),
			rigid(newColumn("isDeleted", kindBool, 0, func(r *record, _ uint64) any { return r.deleted })), audit4(),
		),
	}
	users.binned, users.live = 10, int64(len(w.apiUsers))
	fields := &table{
		name: "custom_fields", path: "custom-fields", n: int64(len(w.custom)), first: 7001, edited: 50, filters: byTimes,
		columns: columns(
			whole("id*", 0, func(r *record, _ uint64) any { return r.id }),
			made("name*", 0, func(r *record, _ uint64) any { return r.st.custom[r.i].Name }),
			made("fieldId*", 0, func(r *record, _ uint64) any { return r.st.custom[r.i].FieldID }),
			made("type*", 0, func(r *record, _ uint64) any { return r.st.custom[r.i].Type }),
			flag("isRequired*", 10),
			rigid(newColumn("isRecordMultipleResponses*", kindBool, 0, func(r *record, _ uint64) any { return r.st.custom[r.i].Values })),
			rigid(newColumn("isUseValues*", kindBool, 0, func(r *record, _ uint64) any {
				return slices.Contains([]string{"Dropdown", "Multi-Select", "Checkbox", "Radio Button"}, r.st.custom[r.i].Type)
			})),
			flag("isAnalyticsSynced", 30), made("salesforceId", 60, func(r *record, _ uint64) any { return "Custom_" + r.st.custom[r.i].FieldID + "__c" }), audit4(),
		),
	}
	account.shape(w, 1600)
	account.burst = block{n: 1, at: w.opened} // nothing in a business unit is older than itself
	return []*table{account, users.shape(w, 1500), fields.shape(w, 1300)}
}

func userName(r *record) string {
	w := r.st.w
	if r.i < int64(len(w.apiUsers)) {
		return w.apiUsers[r.i].Username
	}
	return fmt.Sprintf("%s%d@kestrel.example", asciiNames[int(r.i)%len(asciiNames)], r.i)
}
