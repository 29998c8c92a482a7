package marketosim

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/martsync/martsync/simulate"
)

func TestS32_LeadsByFilter(t *testing.T) {
	a := open(t, Config{Options: simulate.Options{Rows: 1500}})
	ids := func(n int) string {
		var list []string
		for i := range n {
			list = append(list, fmt.Sprint(a.sim.world.leadID(int64(i))))
		}
		return strings.Join(list, ",")
	}
	r := a.call("POST", "/rest/v1/leads.json?_method=GET&filterType=id&filterValues="+ids(300), nil)
	a.want(r, "")
	if len(r.Result) < 280 || len(r.Result) > 300 {
		t.Errorf("300 ids: got %d leads", len(r.Result))
	}
	a.want(a.get("/rest/v1/leads.json?filterType=id&filterValues="+ids(301)), "1003")
	if r := a.get("/rest/v1/leads.json?filterType=leadPartitionId&filterValues=1"); r.code() != "1003" || r.message() != "Too many results match the filter" {
		t.Errorf("more than 1,000 matches: got %.200s", r.raw)
	}
	if r := a.get("/rest/v1/leads.json?filterType=email&filterValues=nobody@nowhere.example"); !r.Success || !strings.Contains(string(r.raw), `"result":[]`) {
		t.Errorf("no match: got %s, want an empty result", r.raw)
	}
	a.want(a.get("/rest/v1/leads.json?filterType=shoeSize&filterValues=1"), "1006")
	a.want(a.get("/rest/v1/leads.json?filterType=title&filterValues=CEO"), "1011")
	a.want(a.get("/rest/v1/leads.json?filterValues=1"), "1002")
	a.want(a.get("/rest/v1/leads.json?filterType=id"), "1002")
	a.want(a.get("/rest/v1/leads.json?filterType=id&filterValues=1&fields=shoeSize"), "1006")

	// Pages, and null fields that are left out.
	var got, null int
	for token := ""; ; {
		r := a.get("/rest/v1/leads.json?filterType=leadPartitionId&filterValues=3&batchSize=50&fields=id,leadPartitionId,middleName&nextPageToken=" + token)
		a.want(r, "")
		for _, p := range r.Result {
			var m map[string]any
			_ = json.Unmarshal(p, &m)
			got++
			if v, ok := m["middleName"]; !ok {
				null++
			} else if v == nil {
				t.Errorf("null field in %s", p)
			}
			if m["leadPartitionId"] != 3.0 {
				t.Errorf("lead %s does not match", p)
			}
		}
		if token = r.Token; token == "" {
			break
		}
	}
	want := 0
	for r := range a.sim.Truth("leads") {
		if !r.Gone && r.Values["leadPartitionId"] == int64(3) {
			want++
		}
	}
	if got != want || null == 0 || null == got {
		t.Errorf("pages: got %d leads (%d without middleName), want %d", got, null, want)
	}
	if r := a.get("/rest/v1/leads.json?filterType=leadPartitionId&filterValues=3&batchSize=9999&fields=id"); len(r.Result) > 300 {
		t.Errorf("batchSize beyond 300: got %d leads", len(r.Result))
	}
}

func TestLeadByID(t *testing.T) {
	a := open(t, Config{})
	st := a.sim.state.Load()
	i := int64(5)
	for ; !st.exists(i); i++ {
	}
	r := a.get(fmt.Sprintf("/rest/v1/lead/%d.json?fields=id,createdAt", a.sim.world.leadID(i)))
	if a.want(r, ""); len(r.Result) != 1 || !strings.Contains(string(r.Result[0]), `"createdAt":"20`) {
		t.Errorf("got %s", r.raw)
	}
	a.want(a.get("/rest/v1/lead/17.json"), "1004")
	b := open(t, Config{MissingEmpty: true})
	if r := b.get("/rest/v1/lead/17.json"); !r.Success || len(r.Result) != 0 {
		t.Errorf("missing lead, by switch: got %s, want an empty result", r.raw)
	}
}

func TestDescribe(t *testing.T) {
	a := open(t, Config{})
	r := a.get("/rest/v1/leads/describe.json")
	a.want(r, "")
	types, rest, bare := map[string]bool{}, []string{}, 0
	for _, p := range r.Result {
		var f struct {
			ID                    int64
			DisplayName, DataType string
			REST                  *struct{ Name string }
		}
		if err := json.Unmarshal(p, &f); err != nil || f.ID == 0 || f.DisplayName == "" {
			t.Errorf("field %s: %v", p, err)
		}
		types[f.DataType] = true
		if f.REST == nil {
			bare++
		} else {
			rest = append(rest, f.REST.Name)
		}
	}
	for _, want := range []string{"string", "email", "phone", "url", "text", "textarea", "reference", "integer", "score", "percent", "float", "currency", "boolean", "date", "datetime", "formula", "lead_function"} {
		if !types[want] {
			t.Errorf("no field of type %s", want)
		}
	}
	if bare == 0 || len(rest) < 60 {
		t.Errorf("%d fields without REST name and %d with, want some and at least 60", bare, len(rest))
	}
	var d struct {
		Name             string
		SearchableFields [][]string
		Fields           []struct{ Name, DataType string }
	}
	r = a.get("/rest/v1/leads/describe2.json")
	if err := json.Unmarshal(r.Result[0], &d); err != nil || d.Name != "API Lead" || len(d.Fields) != len(rest) || len(d.SearchableFields) == 0 {
		t.Errorf("describe2: %v, %d fields, want %d", err, len(d.Fields), len(rest))
	}
	if r := a.get("/rest/v1/leads/schema/fields.json"); len(r.Result) != len(rest) || r.More == nil || *r.More {
		t.Errorf("schema: got %d fields", len(r.Result))
	}
}

func TestFieldsComeAndGo(t *testing.T) {
	a := open(t, Config{})
	export := func(field string) reply {
		return a.call("POST", "/bulk/v1/leads/export/create.json", object{"fields": []string{"id", field}, "filter": between31("createdAt", testStart.AddDate(0, 0, -9), testStart)})
	}
	a.want(export("Shoe_Size__c"), "1003")
	if err := a.sim.AddField("Shoe_Size__c", "Shoe Size", "float"); err != nil {
		t.Fatal(err)
	}
	a.want(export("Shoe_Size__c"), "")
	if err := a.sim.RetypeField("Shoe_Size__c", "string"); err != nil {
		t.Fatal(err)
	}
	if r := a.get("/rest/v1/leads/describe2.json"); !strings.Contains(string(r.raw), `"name":"Shoe_Size__c","displayName":"Shoe Size","dataType":"string"`) {
		t.Error("describe2 does not show the new type")
	}
	if err := a.sim.RemoveField("Shoe_Size__c"); err != nil {
		t.Fatal(err)
	}
	a.want(export("Shoe_Size__c"), "1003")
	for _, err := range []error{a.sim.AddField("title", "x", "string"), a.sim.AddField("x", "x", "blob"), a.sim.RemoveField("x"), a.sim.RetypeField("x", "string"), a.sim.RetypeField("title", "blob")} {
		if err == nil {
			t.Error("an impossible change of fields was accepted")
		}
	}
}

func TestStaticLists(t *testing.T) {
	a := open(t, Config{Options: simulate.Options{Rows: 2500}, RateLimit: 10_000})
	r := a.get("/rest/v1/lists.json")
	a.want(r, "")
	if len(r.Result) != 50 {
		t.Errorf("got %d lists, want 50", len(r.Result))
	}
	a.sim.Change(200)
	truth := map[int64][]int64{}
	for row := range a.sim.Truth("list_members") {
		if !row.Gone {
			id := row.Values["list_id"].(int64)
			truth[id] = append(truth[id], row.Values["lead_id"].(int64))
		}
	}
	for _, l := range a.sim.state.Load().lists {
		var got []int64
		for token := ""; ; {
			r := a.get(fmt.Sprintf("/rest/v1/lists/%d/leads.json?fields=id&nextPageToken=%s", l.id, token))
			a.want(r, "")
			for _, p := range r.Result {
				var m struct{ ID int64 }
				_ = json.Unmarshal(p, &m)
				got = append(got, m.ID)
			}
			if token = r.Token; token == "" {
				break
			}
		}
		slices.Sort(got)
		if !slices.Equal(got, truth[l.id]) {
			t.Errorf("list %d: got %d members, truth has %d", l.id, len(got), len(truth[l.id]))
		}
	}
	member := truth[7001][0]
	if r := a.get(fmt.Sprintf("/rest/v1/leads/%d/listMembership.json", member)); !strings.Contains(string(r.raw), `"listId":7001,`) {
		t.Errorf("membership of %d: got %s", member, r.raw)
	}
	r = a.get(fmt.Sprintf("/rest/v1/lists/7001/leads/ismember.json?id=%d&id=17", member))
	if want := fmt.Sprintf(`[{"id":%d,"status":"memberof"},{"id":17,"status":"skipped"`, member); !strings.Contains(string(r.raw), want) {
		t.Errorf("ismember: got %s", r.raw)
	}
	a.want(a.get("/rest/v1/lists/1.json"), "1013")
	a.want(a.get("/rest/v1/lists/1/leads.json"), "1013")
}

func TestPrograms(t *testing.T) {
	a := open(t, Config{})
	r := a.get("/rest/v1/leads/programs/2001.json?fields=id&batchSize=5")
	if a.want(r, ""); len(r.Result) != 5 || r.Token == "" || !strings.Contains(string(r.Result[0]), `"membership":{"id":`) {
		t.Fatalf("leads by program: got %s", r.raw)
	}
	var m struct{ ID int64 }
	_ = json.Unmarshal(r.Result[0], &m)
	if r := a.get(fmt.Sprintf("/rest/v1/leads/%d/programMembership.json", m.ID)); !strings.Contains(string(r.raw), `{"id":2001,`) {
		t.Errorf("programs of %d: got %s", m.ID, r.raw)
	}
	seen := 0
	for token := ""; ; {
		r := a.get("/rest/v1/programs/2001/members.json?filterType=reachedSuccess&filterValues=true,false&batchSize=20&nextPageToken=" + token)
		a.want(r, "")
		seen += len(r.Result)
		if token = r.Token; token == "" {
			break
		}
	}
	j, _ := a.export("program/members", object{"fields": []string{"leadId"}, "filter": object{"programId": 2001}})
	if int64(seen) != *j.NumberOfRecords || seen < 20 {
		t.Errorf("members: %d by REST, %d in bulk", seen, *j.NumberOfRecords)
	}
	a.want(a.get("/rest/v1/programs/2001/members.json?filterType=updatedAt&startAt=2026-03-01T00:00:00Z&endAt=2026-03-09T00:00:00Z"), "1003")
	a.want(a.get("/rest/v1/programs/2001/members.json?filterType=updatedAt&startAt=2026-03-01T00:00:00Z&endAt=2026-03-08T00:00:00Z"), "")
	a.want(a.get("/rest/v1/programs/members/describe.json"), "")
	a.want(a.get("/rest/v1/customobjects.json"), "")
	a.want(a.get("/rest/v1/customobjects/deviceOwned_c/describe.json"), "")
	a.want(a.get("/rest/v1/customobjects/other_c.json?filterType=idField&filterValues=1"), "1013")
}
