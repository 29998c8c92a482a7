package pardotsim

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/martsync/martsync/simulate"
)

func TestS15SixthCallAtOnce(t *testing.T) {
	for name, status := range map[string]int{"default": 0, "200": 200, "400": 400, "429": 429} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t, Config{LimitStatus: status})
			if err := d.s.AddFault("hang:times=5"); err != nil {
				t.Fatal(err)
			}
			for range 5 { // each hangs in the middle of its body until it is closed
				resp, err := client.Do(d.hanging(t))
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
			}
			a4, a5 := d.get("/api/tag/version/4/do/query?format=json"), d.get("/api/v5/objects/tags?fields=id")
			want4, want5 := status, status
			if status == 0 {
				want4, want5 = 200, 429
			}
			if a4.code() != 66 || a4.status != want4 {
				t.Errorf("version 4: got %d %.100s, want %d and code 66", a4.status, a4.body, want4)
			}
			if a5.code() != 66 || a5.status != want5 {
				t.Errorf("version 5: got %d %.100s, want %d and code 66", a5.status, a5.body, want5)
			}
		})
	}
}

func (d *desk) hanging(t *testing.T) *http.Request {
	r, err := http.NewRequest(http.MethodGet, d.url+"/api/v5/objects/prospects?fields=id,email,company", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+d.token)
	r.Header.Set(unitHeader, d.unit)
	return r
}

func TestS15DailyLimit(t *testing.T) {
	d := newDesk(t, Config{DailyCalls: 10, AccountZone: "America/Los_Angeles"}) // 07:30 there
	ask := func() int { return d.get("/api/v5/objects/tags?fields=id&limit=1").code() }
	for i := range 4 {
		if got := ask(); got != 0 {
			t.Fatalf("call %d: got code %d", i+1, got)
		}
		d.login() // does not count
	}
	export := d.post("/api/export/version/4/do/create?format=json", `{"object":"visitor","procedure":{"name":"filter_by_updated_at","arguments":{"updated_after":"2026-03-01"}}}`)
	if export.code() != 0 {
		t.Fatalf("export: %s", export.body)
	}
	d.clock.Advance(10 * time.Minute)
	state := d.v4("export/version/4/do/read/id/9901")["export"].(map[string]any)
	refs := listOf(state["resultRefs"])
	if len(refs) == 0 {
		t.Fatalf("the export has no files: %v", state)
	}
	d.get(refs[0])
	if got := d.s.Stats().Calls; got != 7 {
		t.Errorf("four queries, a create, a read and a download: got %d counted calls, want 7", got)
	}
	if a := d.get("/api/v5/objects/tags?fields=id", func(r *http.Request) { r.Header.Set("X-Return-Api-Usage", "1") }); a.header.Get("X-Api-Usage") != "8/10" {
		t.Errorf("usage: got %q, want 8/10", a.header.Get("X-Api-Usage"))
	}
	if got := integer(t, d.get("/api/v5/objects/account?fields=apiCallsUsed,maximumDailyApiCalls").object(t)["apiCallsUsed"]); got != 9 {
		t.Errorf("the account's apiCallsUsed: got %d, want 9", got)
	}
	if ask() != 0 {
		t.Error("the tenth call is refused")
	}
	for _, path := range []string{"/api/v5/objects/tags?fields=id", "/api/tag/version/4/do/query?format=json", refs[0]} {
		if a := d.get(path); a.code() != 122 {
			t.Errorf("%s after the last call: got %s, want code 122", path, a.body)
		}
	}
	d.clock.Set(time.Date(2026, 3, 17, 6, 59, 59, 0, time.UTC))
	d.token = d.login()
	if got := ask(); got != 122 {
		t.Errorf("a second before midnight in Los Angeles: got code %d, want 122", got)
	}
	d.clock.Advance(time.Second)
	if got := ask(); got != 0 {
		t.Errorf("at midnight in Los Angeles: got code %d, want none", got)
	}
}

func TestS15EditionWithoutAPI(t *testing.T) {
	d := newDesk(t, Config{DailyCalls: -1})
	if a := d.get("/api/v5/objects/tags?fields=id"); a.code() != 122 {
		t.Errorf("got %s, want code 122 from the first call", a.body)
	}
}

func TestStatsNamePaths(t *testing.T) {
	d := newDesk(t, Config{Options: simulate.Options{Rows: 20}})
	d.get("/api/v5/objects/tags/7?fields=id")
	d.get("/api/tag/version/4/do/read/id/7")
	got := d.s.Stats().ByPath
	for _, path := range []string{"GET /api/v5/objects/tags/{id}", "GET /api/tag/version/4/do/read/id/{id}", "POST /services/oauth2/token"} {
		if got[path] != 1 {
			t.Errorf("%s: got %d, want 1, in %v", path, got[path], got)
		}
	}
}

// listOf is a value that may be missing, a text or a list of texts.
func listOf(v any) []string {
	switch v := v.(type) {
	case string:
		return []string{v}
	case []any:
		list := make([]string, len(v))
		for i, e := range v {
			list[i] = fmt.Sprint(e)
		}
		return list
	}
	return nil
}
