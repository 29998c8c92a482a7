package pardot

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/martsync/martsync"
)

const account5 = `{"id":1,"company":"Kestrel & Co","level":"Plus","zip":"02134","pluginCampaignId":102,"addressOne":"12 Harbour Rd",` +
	`"maximumDailyApiCalls":50000,"apiCallsUsed":%,"createdAt":"2020-01-01T00:00:00-05:00","updatedAt":"2025-06-01T00:00:00-04:00"}`

const account4 = `"account":{"id":1,"company":"Kestrel &amp; Co","level":"Plus Edition","vanity_domain":"https:\/\/go.kites.example",` +
	`"tracking_code_template":"piAId = &#39;1&#39;;\r\n(function() { a &amp;&amp; b(); })();\r","zip":90210,"country":"","fax":{},"address1":"12 Harbour Rd",` +
	`"created_at":"2020-01-01 05:00:00","updated_at":"2025-06-01 04:00:00"}`

func TestAccountByBothVersions(t *testing.T) {
	calls := 0
	d := newDesk(t, func(path string, _ url.Values) answer {
		calls++
		bare := strings.Replace(account5, "%", "7", 1)
		switch {
		case path == "/api/v5/objects/account" && calls%2 == 0:
			return answer{body: bare}
		case path == "/api/v5/objects/account":
			return ok5(bare)
		case path == "/api/account/version/4/do/read":
			return ok4(account4)
		}
		return answer{}
	})
	five := map[string]string{
		"id": "1", "company": "Kestrel & Co", "level": "Plus", "zip": "02134", "address_one": "12 Harbour Rd", "plugin_campaign_id": "102",
		"maximum_daily_api_calls": "50000", "created_at": "2020-01-01T05:00:00Z", "updated_at": "2025-06-01T04:00:00Z", "phone": "null",
	}
	four := map[string]string{
		"id": "1", "company": "Kestrel & Co", "zip": "90210", "address_one": "12 Harbour Rd", "vanity_domain": "https://go.kites.example",
		"tracking_code_template": "piAId = '1';\r\n(function() { a && b(); })();\r", "country": "null", "fax": "null",
		"created_at": "2020-01-01T05:00:00Z", "updated_at": "2025-06-01T04:00:00Z",
	}
	for _, tc := range []struct {
		name string
		api  version
		want map[string]string
	}{
		{"version 5 in values", v5, five},
		{"version 5 bare", v5, five},
		{"version 4", v4, four},
	} {
		st := newAccounts(d.open(t, func(c *Config) { c.Streams = map[string]StreamConfig{"accounts": {API: string(tc.api)}} }))
		schema := st.Schema()
		if err := schema.Validate(); err != nil {
			t.Fatal(err)
		}
		got, err := readAll(t, st, "")
		if err != nil || len(got.rows) != 1 {
			t.Fatalf("%s: %d rows, %v, want one", tc.name, len(got.rows), err)
		}
		for column, want := range tc.want {
			if v := cell(t, schema, got.rows[0], column); v != want {
				t.Errorf("%s: %s is %q, want %q", tc.name, column, v, want)
			}
		}
		if schema.Index("api_calls_used") >= 0 {
			t.Errorf("%s: there is a column for the calls of today, which no two readings agree on", tc.name)
		}
		if w := got.windows; len(w) != 1 || w[0].Parsed != 1 || w[0].Calls < 1 || got.cursor == "" {
			t.Errorf("%s: windows %+v and cursor %q, want one row in one window", tc.name, w, got.cursor)
		}
	}
}

func TestAccountWhereVersion5RefusesIt(t *testing.T) {
	d := newDesk(t, func(path string, _ url.Values) answer {
		if path == "/api/account/version/4/do/read" {
			return ok4(account4)
		}
		return fail5(404, 198, "Endpoint not found")
	})
	st := newAccounts(d.open(t))
	schema := st.Schema()
	got, err := readAll(t, st, "")
	if err != nil || len(got.rows) != 1 {
		t.Fatalf("%d rows, %v, want one by version 4", len(got.rows), err)
	}
	if v := cell(t, schema, got.rows[0], "company"); v != "Kestrel & Co" {
		t.Errorf("company is %q, want it by version 4", v)
	}
	if !slices.ContainsFunc(got.notes, func(n string) bool { return strings.Contains(n, "version 4") }) {
		t.Errorf("notes %q, want one about the version", got.notes)
	}
}

func TestX17AccountWithoutAField(t *testing.T) {
	d := newDesk(t, func(path string, q url.Values) answer {
		if path != "/api/v5/objects/account" {
			return answer{}
		}
		if slices.Contains(strings.Split(q.Get("fields"), ","), "territory") {
			return fail5(400, 51, "Invalid parameter: fields. It contains an invalid or unknown field: territory.")
		}
		return answer{body: strings.Replace(account5, "%", "7", 1)}
	})
	got, err := readAll(t, newAccounts(d.open(t)), "")
	if err != nil || len(got.rows) != 1 {
		t.Fatalf("%d rows, %v, want one", len(got.rows), err)
	}
	if len(got.notes) != 1 || !strings.HasPrefix(got.notes[0], "schema: ") || !strings.Contains(got.notes[0], "territory") {
		t.Errorf("notes %q, want one about the schema that names territory", got.notes)
	}
}

func TestAccountThatIsNoRecord(t *testing.T) {
	d := newDesk(t, func(string, url.Values) answer { return answer{body: `{"id":"one","company":"x"}`} })
	got, err := readAll(t, newAccounts(d.open(t)), "")
	if err != nil {
		t.Fatal(err)
	}
	want := []martsync.Window{{Filter: `{"read":"account"}`, Records: -1, Bytes: -1, Parsed: 1, Quarantined: 1, Calls: got.windows[0].Calls}}
	if diff := cmp.Diff(want, got.windows); diff != "" || len(got.rows) != 0 {
		t.Errorf("%d rows and windows (-want +got):\n%s", len(got.rows), diff)
	}
}
