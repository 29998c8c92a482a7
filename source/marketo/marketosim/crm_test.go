package marketosim

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/martsync/martsync/simulate"
)

// every reads everything that a filter leads to, page by page, as long as the reply says that there is more.
func (a *account) every(path, query string) (rows []map[string]json.RawMessage) {
	a.t.Helper()
	for token := ""; ; {
		r := a.get(path + "?" + query + "&batchSize=7&nextPageToken=" + url.QueryEscape(token))
		a.want(r, "")
		for i, raw := range r.Result {
			var m map[string]json.RawMessage
			if err := json.Unmarshal(raw, &m); err != nil {
				a.t.Fatal(err)
			}
			if string(m["seq"]) != strconv.Itoa(i) {
				a.t.Errorf("%s: seq %s at place %d", path, m["seq"], i)
			}
			rows = append(rows, m)
		}
		if r.More == nil || !*r.More {
			if r.Token != "" {
				a.t.Errorf("%s: a token although there is no more", path)
			}
			return rows
		}
		token = r.Token
	}
}

func without(seq iter.Seq[simulate.Row], keep func(simulate.Row) bool) iter.Seq[simulate.Row] {
	return func(yield func(simulate.Row) bool) {
		for r := range seq {
			if keep(r) && !yield(r) {
				return
			}
		}
	}
}

// S32: what reads by filter show is the truth, for whoever knows the keys.
func TestThingsAreServedAsTheTruthSays(t *testing.T) {
	a := open(t, Config{RateLimit: 100_000, DailyCalls: 1_000_000, Options: simulate.Options{Rows: 200, Seed: 5}})
	for round := range 3 {
		keys := map[string]map[string]bool{}
		note := func(name, v string) {
			if keys[name] == nil {
				keys[name] = map[string]bool{}
			}
			if v != "" {
				keys[name][v] = true
			}
		}
		var l lead
		st := a.sim.state.Load()
		for i := range st.total {
			if st.lead(&l, i) {
				note("leadId", l.value(st.field("id")).String())
				note("externalCompanyId", l.value(st.field("externalCompanyId")).String())
				note("externalSalesPersonId", l.value(st.field("externalSalesPersonId")).String())
			}
		}
		rows := map[string]map[string]map[string]string{}
		read := func(table, path, filter, key string) {
			rows[table] = map[string]map[string]string{}
			fields := ""
			for _, k := range crmObjects {
				if k.table == table {
					for _, f := range k.fields {
						fields += "," + f.name
					}
				}
			}
			for _, part := range slices.Collect(slices.Chunk(slices.Sorted(maps.Keys(keys[filter])), 300)) {
				for _, m := range a.every(path, "filterType="+filter+"&fields="+fields[1:]+"&filterValues="+url.QueryEscape(strings.Join(part, ","))) {
					row := map[string]string{}
					for name, v := range m {
						if name != "seq" {
							row[name] = plain(v)
						}
					}
					for f := range strings.SplitSeq(fields[1:], ",") {
						if _, ok := row[f]; !ok {
							row[f] = ""
						}
					}
					rows[table][row[key]] = row
					if table == "opportunity_roles" {
						note("externalOpportunityId", row["externalOpportunityId"])
					}
				}
			}
		}
		read("companies", "/rest/v1/companies.json", "externalCompanyId", "id")
		read("sales_persons", "/rest/v1/salespersons.json", "externalSalesPersonId", "id")
		read("opportunity_roles", "/rest/v1/opportunities/roles.json", "leadId", "marketoGUID")
		read("opportunities", "/rest/v1/opportunities.json", "externalOpportunityId", "marketoGUID")
		for table, key := range map[string]string{"companies": "id", "sales_persons": "id", "opportunity_roles": "marketoGUID", "opportunities": "marketoGUID"} {
			compare(t, table, rows[table], key, "", a.sim.Truth(table))
		}
		if t.Failed() {
			t.Fatalf("in round %d", round)
		}
		a.forward(time.Hour)
		a.sim.Change(400)
	}
}

// S14 to S17: the files of program members and custom objects are the truth.
func TestMembersAndDevicesAreExportedAsTheTruthSays(t *testing.T) {
	a := open(t, Config{RateLimit: 100_000, Options: simulate.Options{Rows: 120, Seed: 5}, LeadSpan: 60 * 24 * time.Hour})
	for range 3 {
		var fields []string
		for _, f := range memberFields {
			fields = append(fields, f.name)
		}
		st := a.sim.state.Load()
		rows := map[string]map[string]string{}
		for _, p := range st.programs {
			if p.gone {
				continue
			}
			_, file := a.export("program/members", object{"fields": fields, "filter": object{"programIds": []int64{p.id}}})
			for k, r := range csvRows(t, file, "leadId") {
				r["key"] = r["programId"] + "/" + k
				rows[r["key"]] = r
			}
		}
		compare(t, "member", rows, "key", "null", keyed(a.sim.Truth("program_members"), "programId", "leadId"))
		var names []string
		for _, f := range objectFields {
			names = append(names, f.name)
		}
		devices := map[string]map[string]string{}
		for at := testStart.AddDate(0, 0, -93); at.Before(a.clock.Now()); at = at.AddDate(0, 0, 31) {
			_, file := a.export("customobjects/"+objectName, object{"fields": names, "filter": between31("updatedAt", at, at.AddDate(0, 0, 31).Add(-time.Second))})
			maps.Copy(devices, csvRows(t, file, "marketoGUID"))
		}
		compare(t, "device", devices, "marketoGUID", "null", a.sim.Truth("custom_device_owned"))
		a.forward(time.Hour)
		a.sim.Change(400)
	}
}

// keyed adds a key to each row of a truth.
func keyed(seq iter.Seq[simulate.Row], names ...string) iter.Seq[simulate.Row] {
	return func(yield func(simulate.Row) bool) {
		for r := range seq {
			var parts []string
			for _, n := range names {
				parts = append(parts, fmt.Sprint(r.Values[n]))
			}
			r.Values["key"] = strings.Join(parts, "/")
			if !yield(r) {
				return
			}
		}
	}
}

func csvRows(t *testing.T, file []byte, key string) map[string]map[string]string {
	t.Helper()
	const cr = "\ue000" // encoding/csv would drop a CR before a newline
	records, err := csv.NewReader(strings.NewReader(strings.ReplaceAll(string(file), "\r\n", cr+"\n"))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]map[string]string{}
	for _, r := range records[1:] {
		m := map[string]string{}
		for i, name := range records[0] {
			m[name] = strings.ReplaceAll(r[i], cr+"\n", "\r\n")
		}
		rows[m[key]] = m
	}
	return rows
}

// S10, S15, S16, S32: what these endpoints refuse.
func TestThingsRefuse(t *testing.T) {
	many := strings.TrimSuffix(strings.Repeat("1,", 301), ",")
	values := make([]string, 301)
	for i := range values {
		values[i] = strconv.Itoa(i)
	}
	distinct := strings.Join(values, ",")
	users := DefaultUsers()
	users[1].Denied = []string{"Read-Only Company", "Read-Only Opportunity", "Read-Only Sales Person", "Read-Only Named Account", "Read-Only Named Account List", "Read-Only Custom Object"}
	a := open(t, Config{Users: users, NoUpdatedAt: true, Lacks: []string{"salespersons"}})
	for _, c := range []struct{ path, code string }{
		{"/rest/v1/companies.json", "1002"},
		{"/rest/v1/companies.json?filterType=id", "1002"},
		{"/rest/v1/companies.json?filterType=industry&filterValues=Optics", "1003"},
		{"/rest/v1/companies.json?filterType=id&filterValues=" + distinct, "1003"},
		{"/rest/v1/companies.json?filterType=id&filterValues=" + many, ""},
		{"/rest/v1/companies.json?filterType=idField&filterValues=61", ""},
		{"/rest/v1/companies.json?filterType=dedupeFields&filterValues=LARK-001", ""},
		{"/rest/v1/companies.json?filterType=id&filterValues=61&fields=nonsense", "1006"},
		{"/rest/v1/companies.json?filterType=id&filterValues=61&nextPageToken=MFRGG===", "1003"},
		{"/rest/v1/opportunities/roles.json?filterType=dedupeFields&filterValues=1", "1003"},
		{"/rest/v1/salespersons.json?filterType=id&filterValues=11", "703"},
		{"/rest/v1/salespersons/describe.json", "703"},
		{"/rest/v1/namedAccountLists.json?filterType=marketoGUID&filterValues=1", "1003"},
		{"/rest/v1/namedAccountList/nonsense/namedAccounts.json", "1013"},
		{"/rest/v1/customobjects/deviceNote_c/describe.json", ""},
		{"/rest/v1/customobjects/nonsense_c/describe.json", "1013"},
	} {
		if r := a.get(c.path); r.code() != c.code {
			t.Errorf("%.80s: code %q, want %q: %.200s", c.path, r.code(), c.code, r.raw)
		}
	}
	body := object{"fields": []string{"leadId"}, "filter": object{"programIds": []int{2001}, "updatedAt": object{"startAt": "2026-03-01T00:00:00Z", "endAt": "2026-03-02T00:00:00Z"}}}
	if r := a.call("POST", "/bulk/v1/program/members/export/create.json", body); r.code() != "1035" || !strings.Contains(r.message(), "updatedAt") {
		t.Errorf("members by updatedAt: %.200s", r.raw)
	}
	many11 := object{"fields": []string{"leadId"}, "filter": object{"programIds": []int{2001, 2003, 2005, 2007, 2009, 2011, 2013, 2015, 2017, 2019, 2021}}}
	if r := a.call("POST", "/bulk/v1/program/members/export/create.json", many11); r.code() != "1003" {
		t.Errorf("eleven programs: %.200s", r.raw)
	}
	if r := a.call("POST", "/bulk/v1/customobjects/"+noteName+"/export/create.json", object{"fields": []string{"noteNumber"}, "filter": object{}}); r.code() == "" {
		t.Errorf("an object that is not linked to leads: %.200s", r.raw)
	}
	a.login(1)
	for _, path := range []string{
		"/rest/v1/companies.json", "/rest/v1/companies/describe.json", "/rest/v1/opportunities.json", "/rest/v1/opportunities/roles.json", "/rest/v1/salespersons.json",
		"/rest/v1/namedaccounts.json", "/rest/v1/namedAccountLists.json", "/rest/v1/namedAccountList/1/namedAccounts.json", "/rest/v1/customobjects.json", "/bulk/v1/customobjects/deviceOwned_c/export.json",
	} {
		if r := a.get(path); r.code() != "603" {
			t.Errorf("%s without the permission: %.200s", path, r.raw)
		}
	}
	crm := open(t, Config{CRM: true})
	if r := crm.get("/rest/v1/opportunities/roles.json?filterType=leadId&filterValues=1"); r.code() != "1018" {
		t.Errorf("roles beside a CRM: %.200s", r.raw)
	}
	crm.want(crm.get("/rest/v1/opportunities.json?filterType=idField&filterValues=1"), "")
}

// Named accounts are found by the lists they are on.
func TestNamedAccountLists(t *testing.T) {
	a := open(t, Config{RateLimit: 100_000})
	seen := map[string]bool{}
	for _, name := range namedLists {
		lists := a.every("/rest/v1/namedAccountLists.json", "filterType=dedupeFields&filterValues="+url.QueryEscape(name))
		if len(lists) != 1 {
			t.Fatalf("%d lists are named %q", len(lists), name)
		}
		for _, m := range a.every("/rest/v1/namedAccountList/"+plain(lists[0]["marketoGUID"])+"/namedAccounts.json", "") {
			seen[plain(m["marketoGUID"])] = true
		}
	}
	n := 0
	for r := range without(a.sim.Truth("named_accounts"), func(r simulate.Row) bool { return !r.Gone }) {
		if n++; !seen[fmt.Sprint(r.Values["marketoGUID"])] {
			t.Errorf("account %v is on no list", r.Values["name"])
		}
	}
	if n != len(seen) || n == 0 || n == len(a.sim.state.Load().crm[kindNamed]) {
		t.Errorf("%d accounts on lists, the truth has %d of %d", len(seen), n, len(a.sim.state.Load().crm[kindNamed]))
	}
}

// plain is a JSON scalar as text.
func plain(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	return string(raw)
}
