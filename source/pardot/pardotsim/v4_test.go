package pardotsim

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"html"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/martsync/martsync/simulate"
)

func TestS06VersionsOfAccounts(t *testing.T) {
	for _, single := range []bool{false, true} {
		d := newDesk(t, Config{SingleEmail: single})
		for version, want := range map[string]int{"3": 88, "4": 0, "2": 22, "x": 94} {
			if single {
				want = map[string]int{"3": 0, "4": 89, "2": 22, "x": 94}[version]
			}
			if a := d.get("/api/tag/version/" + version + "/do/query?format=json"); a.code() != want {
				t.Errorf("several prospects with one address: %t; version %s: got %.120s, want code %d", !single, version, a.body, want)
			}
		}
		if a := d.get("/api/v5/objects/tags?fields=id"); a.status != http.StatusOK {
			t.Errorf("version 5: got %d %s", a.status, a.body)
		}
	}
}

func TestS07OneRowIsAnObject(t *testing.T) {
	d := newDesk(t, Config{})
	id := d.s.table("tags").id(3)
	tests := []struct {
		name     string
		params   []string
		kind     string // of the records
		total    string
		noResult bool
	}{
		{"several", []string{"limit", "2"}, "[]interface {}", "set", false},
		{"one", []string{"id_greater_than", fmt.Sprint(id - 1), "id_less_than", fmt.Sprint(id + 1)}, "map[string]interface {}", "1", false},
		{"one by its limit", []string{"limit", "1"}, "map[string]interface {}", "set", false},
		{"none", []string{"id_less_than", "1"}, "<nil>", "0", false},
		{"several in bulk", []string{"limit", "2", "output", "bulk"}, "[]interface {}", "", false},
		{"one in bulk", []string{"limit", "1", "output", "bulk"}, "map[string]interface {}", "", false},
		{"none in bulk", []string{"id_less_than", "1", "output", "bulk"}, "<nil>", "", true},
	}
	for _, null := range []bool{false, true} {
		d.s.cfg.NullResult = null
		for _, tt := range tests {
			t.Run(fmt.Sprint(tt.name, null), func(t *testing.T) {
				reply := d.v4("tag/version/4/do/query", tt.params...)
				if tt.noResult && null {
					if v, there := reply["result"]; v != nil || !there {
						t.Errorf("got %v, want a result that is null", reply)
					}
					return
				}
				result := reply["result"].(map[string]any)
				if got := fmt.Sprintf("%T", result["tag"]); got != tt.kind {
					t.Errorf("records: got a %s, want a %s", got, tt.kind)
				}
				total, there := result["total_results"]
				if there != (tt.total != "") || tt.total != "" && tt.total != "set" && fmt.Sprint(total) != tt.total {
					t.Errorf("total_results: got %v, want %q", total, tt.total)
				}
				if _, there := result["tag"]; tt.kind == "<nil>" && there {
					t.Error("without records the key is there")
				}
			})
		}
	}
}

func TestS07NestedCollections(t *testing.T) {
	d := newDesk(t, Config{})
	kinds := make(map[string]int)
	for _, r := range rows(t, d.v4("opportunity/version/4/do/query", "sort_by", "id"), "opportunity") {
		switch p := r["prospects"].(type) {
		case map[string]any:
			kinds[fmt.Sprintf("%T", p["prospect"])]++
		default:
			kinds[fmt.Sprintf("%q", p)]++
		}
	}
	for _, kind := range []string{`""`, "map[string]interface {}", "[]interface {}"} {
		if kinds[kind] == 0 {
			t.Errorf("no opportunity has prospects as %s: %v", kind, kinds)
		}
	}
	values := make(map[string]int)
	for _, r := range rows(t, d.v4("prospect/version/4/do/query", "sort_by", "id", "output", "bulk"), "prospect") {
		switch v := r["kite_colors"].(type) {
		case map[string]any:
			values[fmt.Sprintf("value: %T", v["value"])]++
		default:
			values[fmt.Sprintf("%T", v)]++
		}
	}
	for _, kind := range []string{"<nil>", "string", "value: string", "value: []interface {}"} {
		if values[kind] == 0 {
			t.Errorf("no prospect has a multi-value field as %s: %v", kind, values)
		}
	}
}

func TestS08XMLIsTheDefault(t *testing.T) {
	d := newDesk(t, Config{})
	a := d.get("/api/tag/version/4/do/query?limit=3&sort_by=id")
	var rsp struct {
		Stat    string `xml:"stat,attr"`
		Version string `xml:"version,attr"`
		Total   int    `xml:"result>total_results"`
		Tags    []struct {
			ID   int64  `xml:"id"`
			Name string `xml:"name"`
		} `xml:"result>tag"`
	}
	if err := xml.Unmarshal([]byte(a.body), &rsp); err != nil || rsp.Stat != "ok" || rsp.Version != "1.0" || len(rsp.Tags) != 3 || rsp.Total < 3 {
		t.Fatalf("got %s, %v; want three tags in XML", a.body, err)
	}
	for i, r := range rows(t, d.v4("tag/version/4/do/query", "limit", "3", "sort_by", "id"), "tag") {
		if integer(t, r["id"]) != rsp.Tags[i].ID || r["name"] != rsp.Tags[i].Name {
			t.Errorf("tag %d: XML has %v, JSON %v", i, rsp.Tags[i], r)
		}
	}
	var describe struct {
		Fields []struct {
			ID     string `xml:"id,attr"`
			Custom bool   `xml:"custom,attr"`
		} `xml:"result>field"`
	}
	a = d.get("/api/prospectAccount/version/4/do/describe")
	if err := xml.Unmarshal([]byte(a.body), &describe); err != nil || len(describe.Fields) < 20 || describe.Fields[0].ID != "id" {
		t.Errorf("describe: got %.300s, %v; want fields with attributes", a.body, err)
	}
	if a := d.get("/api/tag/version/4/do/fly"); a.code() != 2 || !strings.Contains(a.body, `<rsp stat="fail"`) {
		t.Errorf("got %s, want code 2 in XML", a.body)
	}
	if a := d.get("/api/tag/version/4/do/fly?format=json"); a.status != 200 || a.object(t)["@attributes"].(map[string]any)["version"] != json.Number("1") {
		t.Errorf("got %d %s, want a failure in HTTP 200 whose version is 1", a.status, a.body)
	}
}

func TestS07EntitiesAndSlashes(t *testing.T) {
	d := newDesk(t, sized(2000))
	a := d.get("/api/prospectAccount/version/4/do/query?format=json&sort_by=id&output=bulk")
	if !strings.Contains(a.body, `\/`) || strings.Contains(strings.ReplaceAll(a.body, `\/`, ""), "/") {
		t.Error("slashes are not escaped")
	}
	if !strings.Contains(a.body, "&amp;") {
		t.Error("no text has entities")
	}
	escaped := 0
	for _, r := range rows(t, a.object(t), "prospectAccount") {
		want := d.s.get("prospect_accounts", integer(t, r["id"]), binShown).get("name")
		if html.UnescapeString(r["name"].(string)) != want {
			t.Errorf("name: got %q, which is not %q with entities", r["name"], want)
		}
		if r["name"] != want {
			escaped++
		}
	}
	if escaped == 0 {
		t.Error("no name has entities")
	}
	d.s.cfg.RawText = true
	for _, r := range rows(t, d.v4("prospectAccount/version/4/do/query", "sort_by", "id", "output", "bulk"), "prospectAccount") {
		if want := d.s.get("prospect_accounts", integer(t, r["id"]), binShown).get("name"); r["name"] != want {
			t.Errorf("raw name: got %q, want %q", r["name"], want)
		}
	}
}

func TestS09LimitOffsetAndSort(t *testing.T) {
	d := newDesk(t, sized(500))
	tests := []struct {
		path   string
		params []string
		refuse bool
		code   int
		rows   int
	}{
		{"prospect", nil, false, 0, 200},
		{"prospect", []string{"limit", "201"}, false, 0, 200},
		{"prospect", []string{"limit", "201"}, true, 23, 0},
		{"visitor", []string{"limit", "1000"}, true, 23, 0},
		{"listMembership", []string{"limit", "1000"}, true, 0, 200},
		{"prospect", []string{"limit", "3"}, true, 0, 3},
		{"prospect", []string{"limit", "0"}, false, 23, 0},
		{"prospect", []string{"limit", "many"}, false, 23, 0},
		{"prospect", []string{"offset", "x"}, false, 21, 0},
		{"prospect", []string{"sort_by", "email"}, false, 19, 0},
		{"prospect", []string{"sort_order", "up"}, false, 20, 0},
		{"prospect", []string{"sort_by", "id,created_at,updated_at"}, false, 133, 0},
		{"prospect", []string{"sort_by", "created_at,updated_at"}, false, 134, 0},
		{"prospect", []string{"sort_by", "created_at,id", "limit", "4"}, false, 0, 4},
		{"listMembership", []string{"sort_by", "updated_at"}, false, 19, 0},
		{"prospect", []string{"kite", "1"}, false, 5, 0},
		{"prospect", []string{"kite", "1", "id_greater_than", "0"}, false, 0, 200},
		{"prospect", []string{"id_greater_than", "x"}, false, 17, 0},
		{"prospect", []string{"deleted", "maybe"}, false, 27, 0},
		{"prospect", []string{"fields", "id,kite"}, false, 130, 0},
		{"visit", nil, false, 2, 0},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprint(tt.path, tt.params, tt.refuse), func(t *testing.T) {
			d.s.cfg.RefuseLimit = tt.refuse
			reply := d.v4(tt.path+"/version/4/do/query", tt.params...)
			if tt.code != 0 {
				if got := fmt.Sprint(reply["@attributes"].(map[string]any)["err_code"]); got != fmt.Sprint(tt.code) {
					t.Errorf("got %v, want code %d", reply, tt.code)
				}
				return
			}
			if got := len(rows(t, reply, objects4[tt.path].key)); got != tt.rows {
				t.Errorf("got %d rows, want %d", got, tt.rows)
			}
		})
	}
	ids := func(params ...string) (list []int64) {
		for _, r := range rows(t, d.v4("prospect/version/4/do/query", params...), "prospect") {
			list = append(list, integer(t, r["id"]))
		}
		return list
	}
	all := ids("sort_by", "id", "limit", "30")
	if diff := cmp.Diff(all[10:15], ids("sort_by", "id", "limit", "5", "offset", "10")); diff != "" {
		t.Errorf("offset (-want +got):\n%s", diff)
	}
	if !slices.IsSorted(all) {
		t.Error("ids are not ascending")
	}
	if down := ids("sort_by", "id", "sort_order", "descending", "limit", "5"); down[0] <= down[4] {
		t.Errorf("descending: got %v", down)
	}
	if plain := ids("limit", "50"); slices.IsSorted(plain) {
		t.Error("prospects come by id though no order was asked for: newest first is the vendor's")
	}
	if got := ids("id_greater_than", fmt.Sprint(all[4]), "sort_by", "id", "limit", "3"); !slices.Equal(got, all[5:8]) {
		t.Errorf("behind an id: got %v, want %v", got, all[5:8])
	}
}

func TestS10BoundsAreExclusiveAndInTheUsersZone(t *testing.T) {
	d := newDesk(t, Config{})
	r := d.s.state.Load().at(d.s.table("forms"), 5)
	has := func(params ...string) bool {
		for _, f := range rows(t, d.v4("form/version/4/do/query", params...), "form") {
			if integer(t, f["id"]) == r.id {
				return true
			}
		}
		return false
	}
	zone := d.s.zone.Load()
	at := func(shift int64) string { return string(naive(nil, r.updated+shift, zone)) }
	tests := []struct {
		name  string
		param []string
		want  bool
	}{
		{"after its second", []string{"updated_after", at(0)}, false},
		{"after the second before", []string{"updated_after", at(-1)}, true},
		{"before its second", []string{"updated_before", at(0)}, false},
		{"before the next", []string{"updated_before", at(1)}, true},
		{"around it", []string{"updated_after", at(-1), "updated_before", at(1)}, true},
		{"with a T", []string{"updated_after", strings.Replace(at(-1), " ", "T", 1)}, true},
		{"in UTC", []string{"updated_after", time.Unix(r.updated-1, 0).UTC().Format(time.DateTime) + " UTC"}, true},
		{"in UTC, its second", []string{"updated_after", time.Unix(r.updated, 0).UTC().Format(time.DateTime) + " UTC"}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := has(tt.param...); got != tt.want {
				t.Errorf("%v: the row is there: %t, want %t", tt.param, got, tt.want)
			}
		})
	}
	for _, text := range []string{"nonsense", "2026-02-30"} {
		if reply := d.v4("form/version/4/do/query", "updated_after", text); fmt.Sprint(reply["@attributes"].(map[string]any)["err_code"]) != "7" {
			t.Errorf("%q: got %v, want code 7", text, reply)
		}
	}
	if reply := d.v4("form/version/4/do/query", "updated_after", at(5), "updated_before", at(0)); fmt.Sprint(reply["@attributes"].(map[string]any)["err_code"]) != "8" {
		t.Errorf("reversed: got %v, want code 8", reply)
	}
	show := func() any {
		return d.v4("form/version/4/do/read/id/" + strconv.FormatInt(r.id, 10))["form"].(map[string]any)["updated_at"]
	}
	if got := show(); got != at(0) {
		t.Errorf("shown: got %v, want %s", got, at(0))
	}
	if err := d.s.SetUserZone("Asia/Tokyo"); err != nil {
		t.Fatal(err)
	}
	zone = d.s.zone.Load()
	if got := show(); got != at(0) {
		t.Errorf("after the user moved: got %v, want %s", got, at(0))
	}
	if has("updated_after", at(0)) || !has("updated_after", at(-1)) {
		t.Error("bounds are not read in the new zone")
	}
}

func TestS12WhatObjectsLack(t *testing.T) {
	d := newDesk(t, Config{})
	now := "2026-03-01"
	code := func(path string, params ...string) string {
		reply := d.v4(path+"/version/4/do/query", params...)
		if c := reply["@attributes"].(map[string]any)["err_code"]; c != nil {
			return fmt.Sprint(c)
		}
		return ""
	}
	if got := code("opportunity", "updated_after", now); got != "5" {
		t.Errorf("opportunity with updated_after: got code %q, want 5", got)
	}
	d.s.cfg.OpenOpportunity = true
	if got := code("opportunity", "updated_after", "2036-03-01"); got != "" {
		t.Errorf("opportunity that ignores updated_after: got code %q", got)
	}
	if n := len(rows(t, d.v4("opportunity/version/4/do/query", "updated_after", "2036-03-01"), "opportunity")); n == 0 {
		t.Error("the ignored filter has hidden everything")
	}
	if got := code("emailClick", "id_less_than", "5"); got != "5" {
		t.Errorf("emailClick with id_less_than: got code %q, want 5", got)
	}
	if got := code("tagObject", "updated_after", now); got != "5" {
		t.Errorf("tagObject with updated_after: got code %q, want 5", got)
	}
	d.s.cfg.RefuseUnknown = true
	if got := code("tagObject", "updated_after", now, "id_greater_than", "0"); got != "5" {
		t.Errorf("a known and an unknown parameter, refused: got code %q, want 5", got)
	}
	campaigns := rows(t, d.v4("campaign/version/4/do/query", "updated_after", "2001-01-01"), "campaign")
	if len(campaigns) == 0 {
		t.Fatal("no campaigns though the filter is accepted")
	}
	if keys := slices.Sorted(maps.Keys(campaigns[0])); slices.Contains(keys, "created_at") || slices.Contains(keys, "updated_at") {
		t.Errorf("campaigns have times: %v", keys)
	}
	if got := code("email"); got != "2" {
		t.Errorf("email query: got code %q, want 2", got)
	}
	sum := 0
	for _, r := range rows(t, d.v4("emailClick/version/4/do/query"), "emailClick") {
		n := 0
		for _, k := range []string{"list_email_id", "drip_program_action_id", "email_template_id", "tracker_redirect_id"} {
			if _, there := r[k]; there {
				n++
			}
		}
		if n != 1 {
			t.Errorf("a click has %d of the four assets, want one and no other key: %v", n, r)
		}
		sum += n
	}
	if sum == 0 {
		t.Error("no clicks")
	}
}

func TestS11TotalUnderAllFilters(t *testing.T) {
	d := newDesk(t, Config{})
	total := func(params ...string) int64 {
		return integer(t, d.v4("visitorActivity/version/4/do/query", append(params, "sort_by", "id")...)["result"].(map[string]any)["total_results"])
	}
	all := total()
	first := rows(t, d.v4("visitorActivity/version/4/do/query", "sort_by", "id"), "visitor_activity")
	behind := total("id_greater_than", fmt.Sprint(first[len(first)-1]["id"]))
	if behind != all-200 {
		t.Errorf("behind the first page: got %d, want %d less 200", behind, all)
	}
	if clicks := total("type", "1"); clicks == 0 || clicks+total("type", "6,11") >= all {
		t.Errorf("clicks: got %d of %d", clicks, all)
	}
	if known := total("prospect_only", "true"); known == 0 || known >= all {
		t.Errorf("activities of prospects: got %d of %d", known, all)
	}
}

func TestS13HiddenRows(t *testing.T) {
	d := newDesk(t, sized(800))
	total := func(path string, params ...string) int64 {
		return integer(t, d.v4(path+"/version/4/do/query", append(params, "limit", "1")...)["result"].(map[string]any)["total_results"])
	}
	if some, all := total("visitor"), total("visitor", "only_identified", "false"); some == 0 || some >= all {
		t.Errorf("visitors: %d identified of %d, want fewer", some, all)
	}
	for _, path := range []string{"prospect", "listMembership"} {
		live, gone := total(path), total(path, "deleted", "true")
		if live == 0 || gone == 0 || live != total(path, "deleted", "false") {
			t.Errorf("%s: %d live, %d in the recycle bin, want both and live ones by default", path, live, gone)
		}
	}
	bin := rows(t, d.v4("prospect/version/4/do/query", "deleted", "true", "limit", "2"), "prospect")
	if bin[0]["is_archived"] != true {
		t.Errorf("a prospect of the recycle bin: is_archived is %v", bin[0]["is_archived"])
	}
	if reply := d.v4("prospect/version/4/do/read/id/" + fmt.Sprint(bin[0]["id"])); fmt.Sprint(reply["@attributes"].(map[string]any)["err_code"]) != "132" {
		t.Errorf("read of an archived prospect: got %v, want code 132", reply)
	}
}

func TestS14EmailsByID(t *testing.T) {
	d := newDesk(t, Config{})
	st := d.s.state.Load()
	var id, gone, sent int64
	for i := range st.total(st.byName["emails"]) {
		r := st.at(st.byName["emails"], i)
		switch {
		case r.gone:
			gone = r.id
		case r.get("htmlMessage") != nil && r.get("textMessage") != nil && r.get("listEmailId") != nil:
			id, sent = r.id, r.number("listEmailId")
		}
	}
	if id == 0 || gone == 0 {
		t.Fatalf("no e-mail to read (%d), or none that is gone (%d)", id, gone)
	}
	code := func(reply map[string]any) string {
		return fmt.Sprint(reply["@attributes"].(map[string]any)["err_code"])
	}
	mail := d.v4("email/version/4/do/read/id/" + fmt.Sprint(id))["email"].(map[string]any)
	message, _ := mail["message"].(map[string]any)
	if html.UnescapeString(message["html"].(string)) != d.s.get("emails", id, binShown).get("htmlMessage") || mail["isOneToOne"] != false {
		t.Errorf("got %v, want the message and isOneToOne", mail)
	}
	if mail := d.v4("email/version/4/do/read", "id", fmt.Sprint(id), "include_message", "false")["email"].(map[string]any); mail["message"] != nil {
		t.Errorf("without message: got %v", mail)
	}
	if reply := d.v4("email/version/4/do/read/id/" + fmt.Sprint(gone)); code(reply) != "109" {
		t.Errorf("deleted e-mail: got %v, want code 109", reply)
	}
	if reply := d.v4("email/version/4/do/read/id/x"); code(reply) != "16" {
		t.Errorf("no id: got %v, want code 16", reply)
	}
	stats := d.v4("email/version/4/do/stats/id/" + fmt.Sprint(sent))["stats"].(map[string]any)
	if rate, _ := stats["delivery_rate"].(string); integer(t, stats["sent"]) < integer(t, stats["delivered"]) || !strings.HasSuffix(rate, "%") {
		t.Errorf("statistics: got %v", stats)
	}
}

func TestOutputs(t *testing.T) {
	d := newDesk(t, sized(600))
	keys := func(path, output string, params ...string) map[string]bool {
		all := make(map[string]bool)
		for _, r := range rows(t, d.v4(path+"/version/4/do/query", append(params, "output", output, "sort_by", "id")...), objects4[path].key) {
			for k := range r {
				all[k] = true
			}
		}
		return all
	}
	for _, path := range []string{"form", "prospect", "visitorActivity", "opportunity"} {
		full, bulk := keys(path, "full"), keys(path, "bulk")
		if !full["campaign"] || full["campaign_id"] {
			t.Errorf("%s in full: campaign is not an object: %v", path, full)
		}
		if bulk["campaign"] || !bulk["campaign_id"] || bulk["prospects"] {
			t.Errorf("%s in bulk: campaign is not a number, or there are nested records: %v", path, bulk)
		}
	}
	if m := keys("prospect", "mobile"); m["created_at"] || !m["email"] {
		t.Errorf("mobile prospects: %v", m)
	}
	if m := keys("prospect", "bulk", "fields", "id,kite_colors"); !maps.Equal(m, map[string]bool{"id": true, "kite_colors": true}) {
		t.Errorf("two fields: got %v", m)
	}
	if m := keys("emailClick", "full"); !m["url"] || m["campaign"] {
		t.Errorf("clicks: %v", m)
	}
}

// Every field that the documentation lists for an object is shown by some record.
func TestFieldsOfVersion4(t *testing.T) {
	d := newDesk(t, Config{Options: simulate.Options{Rows: 800}, EmptyAs: EmptyNull})
	audit := " created_at updated_at"
	want := map[string]string{
		"campaign": "id name cost", "form": "id name campaign_id embedCode" + audit, "tag": "id name" + audit, "tagObject": "id tag_id type object_id created_at",
		"opportunity": "id campaign_id name value probability type stage status closed_at" + audit,
		"emailClick":  "id prospect_id url list_email_id drip_program_action_id email_template_id tracker_redirect_id created_at",
		"list":        "id name is_public is_dynamic title description is_crm_visible" + audit, "listMembership": "id list_id prospect_id opted_out" + audit,
		"prospect": "id salutation first_name last_name email password company website job_title department country address_one address_two city state territory zip phone fax " +
			"source annual_revenue employees industry years_in_business comments notes score grade campaign_id prospect_account_id last_activity_at recent_interaction " +
			"crm_lead_fid crm_contact_fid crm_owner_fid crm_account_fid crm_last_sync crm_url salesforce_fid is_do_not_email is_do_not_call opted_out is_reviewed is_starred is_archived " +
			"kite_colors budget" + audit,
		"prospectAccount": "id name annual_revenue billing_address_one industry phone website site sic tier" + audit,
		"visitor": "id prospect_id page_view_count ip_address hostname browser browser_version operating_system operating_system_version language screen_height screen_width " +
			"is_flash_enabled is_java_enabled campaign_parameter medium_parameter source_parameter content_parameter term_parameter" + audit,
		"visitorActivity": "id type type_name details visitor_id prospect_id email_id email_template_id list_email_id form_id form_handler_id site_search_query_id landing_page_id " +
			"paid_search_ad_id multivariate_test_variation_id visitor_page_view_id file_id custom_redirect_id visit_id opportunity_id campaign_id" + audit,
		"user": "id email first_name last_name job_title role timezone" + audit, "customField": "id name field_id type is_record_multiple_responses",
	}
	for path, list := range want {
		seen := make(map[string]bool)
		after := "0"
		for range 12 {
			params := []string{"output", "bulk", "sort_by", "id", "id_greater_than", after}
			if path == "visitor" {
				params = append(params, "only_identified", "false")
			}
			page := rows(t, d.v4(path+"/version/4/do/query", params...), objects4[path].key)
			for _, r := range page {
				for k := range r {
					seen[k] = true
				}
				after = fmt.Sprint(r["id"])
			}
			if len(page) < maxLimit4 {
				break
			}
		}
		for f := range strings.FieldsSeq(list) {
			if !seen[f] {
				t.Errorf("%s: no record has %s", path, f)
			}
		}
	}
	account := d.v4("account/version/4/do/read")["account"].(map[string]any)
	for f := range strings.FieldsSeq("id company level website vanity_domain plugin_campaign_id tracking_code_template address1 address2 city state territory zip country phone fax created_at updated_at") {
		if _, there := account[f]; !there {
			t.Errorf("account: %s is missing", f)
		}
	}
	fields := rows(t, d.v4("prospectAccount/version/4/do/describe"), "field")
	custom := 0
	for _, f := range fields {
		if f["@attributes"].(map[string]any)["custom"] == "true" {
			custom++
		}
	}
	if custom == 0 || custom == len(fields) {
		t.Errorf("describe: %d of %d fields are custom", custom, len(fields))
	}
}

func TestForms(t *testing.T) {
	d := newDesk(t, Config{})
	form := func(r *http.Request) {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	a := d.post("/api/prospect/version/4/do/query", "format=json&limit=3&sort_by=id", form)
	if n := len(rows(t, a.object(t), "prospect")); n != 3 {
		t.Errorf("a form: got %d rows, want 3", n)
	}
	r, err := d.request(http.MethodDelete, "/api/prospect/version/4/do/query?format=json", "")
	if err != nil || r.code() != 60 {
		t.Errorf("DELETE: got %s, %v; want code 60", r.body, err)
	}
	email := d.s.state.Load().at(d.s.table("prospects"), 1).text("email")
	if reply := d.v4("prospect/version/4/do/read", "email", email); reply["prospect"] == nil {
		t.Errorf("read by address: got %v", reply)
	}
	if reply := d.v4("prospect/version/4/do/read/email/nobody@nowhere.example"); reply["prospect"] != nil {
		t.Errorf("read by an unknown address: got %v", reply)
	}
	id := d.s.state.Load().at(d.s.table("users"), 0).id
	if u := d.v4("user/version/4/do/read/id/" + fmt.Sprint(id))["user"].(map[string]any); u["timezone"] != "America/New_York" {
		t.Errorf("the user's zone: got %v", u)
	}
}

func FuzzParse4(f *testing.F) {
	f.Add("prospect/version/4/do/query")
	f.Add("export/version/4/do/downloadResults/id/9901/file/51")
	f.Add("///")
	f.Fuzz(func(t *testing.T, path string) {
		p, ok := parse4(strings.Split(path, "/"))
		if ok && (p.object != "" || p.version != "") && !strings.HasPrefix(path, p.object+"/version/"+p.version) {
			t.Errorf("%q was read as %+v", path, p)
		}
	})
}
