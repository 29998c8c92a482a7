package marketosim

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/martsync/martsync/simulate"
)

func TestS33_AssetPages(t *testing.T) {
	a := open(t, Config{Options: simulate.Options{Rows: 1200}})
	const path = "/rest/asset/v1/smartCampaigns.json"
	count := func(query string, want int) {
		t.Helper()
		r := a.get(path + query)
		a.want(r, "")
		if len(r.Result) != want || r.Errors == nil || r.Warnings == nil {
			t.Errorf("page %q: got %d assets, want %d with errors and warnings present", query, len(r.Result), want)
		}
	}
	count("", 20)
	count("?maxReturn=200", 200)
	count("?maxReturn=500", 200)
	count("?maxReturn=200&offset=200", 100)
	count("?maxReturn=7&offset=298", 2)
	r := a.get(path + "?maxReturn=200&offset=300")
	if strings.Contains(string(r.raw), `"result"`) || !r.Success || len(r.Warnings) != 1 || r.Warnings[0] != "No assets found for the given search criteria." {
		t.Errorf("past the end: got %s", r.raw)
	}
	seen := map[string]bool{}
	for offset := 0; offset < 300; offset += 50 {
		for _, p := range a.get(fmt.Sprintf("%s?maxReturn=50&offset=%d", path, offset)).Result {
			var v struct{ ID json.Number }
			_ = json.Unmarshal(p, &v)
			seen[v.ID.String()] = true
		}
	}
	if len(seen) != 300 {
		t.Errorf("walk by 50: got %d different assets, want 300", len(seen))
	}
}

func TestS34_Forms(t *testing.T) {
	a := open(t, Config{})
	first := func(path string) string {
		r := a.get(path)
		a.want(r, "")
		if len(r.Result) == 0 {
			t.Fatalf("%s: nothing", path)
		}
		return string(r.Result[0])
	}
	for _, c := range []struct{ path, folder string }{
		{"/rest/asset/v1/programs.json?maxReturn=1", `"folder":{"type":"Folder","value":390,"folderName":`},
		{"/rest/asset/v1/emails.json?maxReturn=1", `"folder":{"type":"Program","value":2001,"folderName":`},
		{"/rest/asset/v1/smartCampaigns.json?maxReturn=1", `"folder":{"id":2001,"type":"Program"}`},
		{"/rest/asset/v1/staticLists.json?maxReturn=1", `"folder":{"id":2001,"type":"Program"}`},
		{"/rest/asset/v1/folders.json?maxReturn=1", `"folderId":{"id":9,"type":"Folder"}`},
	} {
		p := first(c.path)
		if !strings.Contains(p, c.folder) {
			t.Errorf("%s: got %s, want %s", c.path, p, c.folder)
		}
		var v struct{ CreatedAt, UpdatedAt string }
		_ = json.Unmarshal([]byte(p), &v)
		for _, at := range []string{v.CreatedAt, v.UpdatedAt} {
			if _, err := time.Parse("2006-01-02T15:04:05Z+0000", at); err != nil {
				t.Errorf("%s: time %q does not end in Z+0000", c.path, at)
			}
		}
	}
	for _, path := range []string{"/rest/v1/lists.json?batchSize=1", "/rest/v1/campaigns.json?batchSize=1"} {
		var v struct{ CreatedAt, UpdatedAt string }
		_ = json.Unmarshal([]byte(first(path)), &v)
		for _, at := range []string{v.CreatedAt, v.UpdatedAt} {
			if _, err := time.Parse("2006-01-02T15:04:05Z", at); err != nil {
				t.Errorf("%s: time %q does not end in Z", path, at)
			}
		}
	}
}

func TestAssetFilters(t *testing.T) {
	a := open(t, Config{})
	a.forward(time.Hour)
	at := a.clock.Now()
	var renamed int64
	a.sim.change(func(m *mutation) { m.rename("program", m.st.programs) })
	for _, p := range a.sim.state.Load().programs {
		if p.updated == at.Unix() {
			renamed = p.id
		}
	}
	a.clock.Advance(time.Minute)
	q := func(from, to time.Time) string {
		return "?earliestUpdatedAt=" + url.QueryEscape(from.Format(time.RFC3339)) + "&latestUpdatedAt=" + url.QueryEscape(to.Format(time.RFC3339))
	}
	for _, c := range []struct {
		name     string
		from, to time.Time
		want     int
		code     string
	}{
		{"to its second", at.Add(-time.Minute), at, 1, ""},
		{"from its second", at, at.Add(time.Minute), 1, ""},
		{"before", at.Add(-time.Minute), at.Add(-time.Second), 0, ""},
		{"after", at.Add(time.Second), at.Add(time.Minute), 0, ""},
		{"empty", at, at, 0, "1003"},
		{"future", at.Add(time.Hour), at.Add(2 * time.Hour), 0, "1003"},
	} {
		r := a.get("/rest/asset/v1/programs.json" + q(c.from, c.to))
		if r.code() != c.code || len(r.Result) != c.want {
			t.Errorf("range %s: got %s, want %d programs and code %q", c.name, r.raw, c.want, c.code)
		}
	}
	if r := open(t, Config{LooseRanges: true}).get("/rest/asset/v1/programs.json" + q(at, at)); !r.Success {
		t.Errorf("empty range, by switch: got %s", r.raw)
	}
	r := a.get(fmt.Sprintf("/rest/asset/v1/program/%d.json", renamed))
	if len(r.Result) != 1 || !strings.Contains(string(r.Result[0]), "(rev. 1)") || !strings.Contains(string(r.Result[0]), `"tags":[`) {
		t.Errorf("by id: got %s, want the new name and tags", r.raw)
	}
	if r := a.get("/rest/asset/v1/programs.json?maxReturn=200"); strings.Contains(string(r.raw), `"tags"`) {
		t.Error("browse shows tags")
	}
	if r := a.get("/rest/asset/v1/program/byName.json?name=" + url.QueryEscape(programName(3))); len(r.Result) != 1 || strings.Contains(string(r.raw), `"tags"`) {
		t.Errorf("by name: got %s", r.raw)
	}
	if r := a.get("/rest/asset/v1/programs.json?filterType=workspace&filterValues=Europe"); len(r.Result) == 0 || strings.Contains(string(r.raw), `"workspace":"Default"`) {
		t.Errorf("by workspace: got %s", r.raw)
	}
	if r := a.get("/rest/asset/v1/staticLists.json?folder=" + url.QueryEscape(`{"id":2003,"type":"Program"}`)); len(r.Result) != 1 {
		t.Errorf("by folder: got %s", r.raw)
	}
}

func TestEmailVersions(t *testing.T) {
	a := open(t, Config{})
	id := a.sim.world.emailID(4) // approved, with a draft
	get := func(query string) string {
		return string(a.get(fmt.Sprintf("/rest/asset/v1/email/%d.json%s", id, query)).raw)
	}
	if p := get(""); !strings.Contains(p, `"status":"approved"`) {
		t.Errorf("without status: got %s, want the approved version", p)
	}
	if p := get("?status=draft"); !strings.Contains(p, `"status":"draft"`) || !strings.Contains(p, "DRAFT") {
		t.Errorf("draft: got %s", p)
	}
	for _, p := range []string{fmt.Sprintf("/rest/asset/v1/email/%d.json", a.sim.world.emailID(39)), "/rest/asset/v1/email/1.json"} {
		if r := a.get(p); !r.Success || len(r.Warnings) != 1 {
			t.Errorf("%s (A/B test or unknown): got %s, want the warning", p, r.raw)
		}
	}
}

func TestFolders(t *testing.T) {
	a := open(t, Config{})
	r := a.get("/rest/asset/v1/folders.json?maxDepth=1")
	var oldest time.Time
	for _, p := range r.Result {
		var v struct{ CreatedAt string }
		_ = json.Unmarshal(p, &v)
		at, err := time.Parse("2006-01-02T15:04:05Z+0000", v.CreatedAt)
		if err != nil {
			t.Fatal(err)
		}
		if oldest.IsZero() || at.Before(oldest) {
			oldest = at
		}
	}
	for row := range a.sim.Truth("leads") {
		if at := row.Values["createdAt"].(time.Time); at.Before(oldest) {
			t.Errorf("a lead of %s is older than the oldest top folder of %s", at, oldest)
		}
	}
	top := len(r.Result)
	if deep := len(a.get("/rest/asset/v1/folders.json?maxDepth=9&maxReturn=200").Result); top != 2 || deep <= top {
		t.Errorf("got %d folders at the top and %d in all", top, deep)
	}
	if r := a.get("/rest/asset/v1/folders.json?maxDepth=1&root=" + url.QueryEscape(`{"id":12,"type":"Folder"}`)); len(r.Result) != 1+len(folderNames) {
		t.Errorf("below the workspace: got %s", r.raw)
	}
	if r := a.get("/rest/asset/v1/folder/390.json?type=Folder"); len(r.Result) != 1 {
		t.Errorf("by id: got %s", r.raw)
	}
	for _, p := range []string{"/rest/asset/v1/channels.json", "/rest/asset/v1/tagTypes.json"} {
		if r := a.get(p); len(r.Result) == 0 {
			t.Errorf("%s: got %s", p, r.raw)
		}
	}
}
