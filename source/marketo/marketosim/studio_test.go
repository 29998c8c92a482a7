package marketosim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/martsync/martsync/simulate"
)

// walk reads all pages of a listing.
func (a *account) walk(path string) []json.RawMessage {
	a.t.Helper()
	var list []json.RawMessage
	for offset := 0; ; offset += 200 {
		_, _, body := a.do("GET", fmt.Sprintf("%s?maxDepth=99&maxReturn=200&offset=%d", path, offset), nil, nil)
		var r reply
		if err := json.Unmarshal(body, &r); err != nil || !r.Success {
			a.t.Fatalf("%s: %.300s", path, body)
		}
		if len(r.Result) == 0 {
			return list
		}
		list = append(list, r.Result...)
	}
}

// wire is a record on the wire as texts, objects without spaces as they came.
func wire(t *testing.T, raw []byte) map[string]string {
	t.Helper()
	var values map[string]json.RawMessage
	if err := json.Unmarshal(raw, &values); err != nil {
		t.Fatal(err)
	}
	m := map[string]string{}
	for k, v := range values {
		var text string
		if bytes.Equal(v, []byte("null")) {
			text = jsonNull
		} else if json.Unmarshal(v, &text) != nil {
			text = string(v)
		}
		m[k] = text
	}
	return m
}

func TestStudioTruthIsWhatIsServed(t *testing.T) {
	a := open(t, Config{RateLimit: 1_000_000, DailyCalls: 1_000_000})
	check := func(t *testing.T, table, key string, rows map[string]map[string]string) {
		t.Helper()
		compare(t, table, rows, key, jsonNull, a.sim.Truth(table))
	}
	for round := range 8 {
		for table, path := range map[string]string{
			"smart_lists": "smartLists", "email_templates": "emailTemplates", "forms": "forms", "landing_pages": "landingPages",
			"snippets": "snippets", "files": "files", "channels": "channels", "segmentations": "segmentation",
		} {
			rows := map[string]map[string]string{}
			var list []json.RawMessage
			if path == "segmentation" {
				list = a.get("/rest/asset/v1/segmentation.json").Result
			} else {
				list = a.walk("/rest/asset/v1/" + path + ".json")
			}
			for _, raw := range list {
				m := wire(t, raw)
				rows[m["id"]] = m
			}
			check(t, table, "id", rows)
			if table != "segmentations" {
				continue
			}
			segments := map[string]map[string]string{}
			for id := range rows {
				for _, raw := range a.walk("/rest/asset/v1/segmentation/" + id + "/segments.json") {
					m := wire(t, raw)
					segments[m["id"]] = m
				}
			}
			check(t, "segments", "id", segments)
		}
		a.folderAndTokenTruth(t)
		tags := map[string]map[string]string{}
		for _, raw := range a.walk("/rest/asset/v1/tagTypes.json") {
			m := wire(t, raw)
			if _, told := m["allowableValues"]; told {
				t.Errorf("the listing tells values: %s", raw)
			}
			if r := a.get("/rest/asset/v1/tagType/byName.json?name=" + strings.ReplaceAll(m["tagType"], " ", "+")); len(r.Result) > 0 {
				m = wire(t, r.Result[0])
			} else if !strings.Contains(m["tagType"], ",") {
				t.Errorf("tag type %q is not found by name", m["tagType"])
			}
			tags[m["tagType"]] = m
		}
		check(t, "tags", "tagType", tags)
		a.forward(time.Hour)
		a.sim.Change(100 + 7*round)
	}
}

// folderAndTokenTruth walks folders and asks each for its tokens.
func (a *account) folderAndTokenTruth(t *testing.T) {
	t.Helper()
	folders, tokens := map[string]map[string]string{}, map[string]string{}
	for _, raw := range a.walk("/rest/asset/v1/folders.json") {
		var f struct {
			FolderID struct {
				ID   int64
				Type string
			} `json:"folderId"`
		}
		_ = json.Unmarshal(raw, &f)
		folders[f.FolderID.Type+" "+fmt.Sprint(f.FolderID.ID)] = wire(t, raw)
		r := a.get(fmt.Sprintf("/rest/asset/v1/folder/%d/tokens.json?folderType=%s", f.FolderID.ID, f.FolderID.Type))
		a.want(r, "")
		for _, raw := range r.Result {
			var in struct {
				Folder struct {
					Type  string
					Value int64
				}
				Tokens []struct{ Name, Type, Value string }
			}
			if err := json.Unmarshal(raw, &in); err != nil || in.Folder.Type != f.FolderID.Type || in.Folder.Value != f.FolderID.ID {
				t.Fatalf("tokens: %v, %s", err, raw)
			}
			for _, k := range in.Tokens {
				tokens[fmt.Sprintf("%s %d/%s/%s", in.Folder.Type, in.Folder.Value, k.Type, k.Name)] = k.Value
			}
		}
	}
	n := 0
	for r := range a.sim.Truth("folders") {
		got := folders[fmt.Sprint(r.Values["type"], " ", r.Values["id"])]
		if (got == nil) != r.Gone {
			t.Errorf("folder %v: gone %v, read %v", r.Values, r.Gone, got)
		}
		if !r.Gone {
			n++
		}
		for c, v := range got {
			if !fits(v, v == jsonNull, r.Values[c]) {
				t.Errorf("folder %v, %s: read %q", r.Values, c, v)
			}
		}
	}
	if n != len(folders) || n < 20 {
		t.Errorf("%d folders, the truth has %d", len(folders), n)
	}
	n = 0
	for r := range a.sim.Truth("tokens") {
		v, found := tokens[fmt.Sprint(r.Values["parent"], "/", r.Values["type"], "/", r.Values["name"])]
		if found == r.Gone || found && v != r.Values["value"] {
			t.Errorf("token %v: gone %v, read %q, %v", r.Values, r.Gone, v, found)
		}
		if !r.Gone {
			n++
		}
	}
	if n != len(tokens) || n < 10 {
		t.Errorf("%d tokens, the truth has %d", len(tokens), n)
	}
}

// Every kind of change of the studio happens, and none touches the state before it.
func TestStudioChanges(t *testing.T) {
	a := open(t, Config{})
	a.forward(time.Hour)
	gone := map[string]bool{}
	show := func() string {
		var b strings.Builder
		for _, table := range studioTables[:12] {
			for r := range a.sim.Truth(table) {
				fmt.Fprint(&b, table, r)
				gone[table] = gone[table] || r.Gone
			}
		}
		return b.String()
	}
	for range 40 {
		before, old := show(), a.sim.state.Load()
		a.sim.Change(60)
		if show() == before {
			t.Error("a change of 60 left the studio as it was")
		}
		now := a.sim.state.Load()
		a.sim.state.Store(old)
		if show() != before {
			t.Fatal("a change touched the state before it")
		}
		a.sim.state.Store(now)
		a.forward(time.Hour)
	}
	for _, table := range studioTables[:12] {
		if !gone[table] {
			t.Errorf("nothing of %s was ever deleted", table)
		}
	}
}

func TestS33_S34_StudioForms(t *testing.T) {
	a := open(t, Config{})
	for _, c := range []struct{ path, want string }{
		{"files.json?maxReturn=1", `{"requestId":null,"success":true,"errors":[],"warnings":[],"result":[{"id":33120,`},
		{"files.json?maxReturn=1", `"folder":{"type":"Image","id":436,"name":"Images"}`},
		{"forms.json?maxReturn=1", `"folder":{"type":"Program","value":2001,"folderName":`},
		{"smartLists.json?maxReturn=1", `"folder":{"id":390,"type":"Folder"}`},
		{"landingPages.json?maxReturn=1", `"URL":"https://pages.larkfield.example/`},
		{"snippets.json?offset=9999", `"warnings":["No assets found for the given search criteria."]}`},
		{"emailTemplates.json?maxReturn=1", `Z+0000"`},
		{"folder/390/tokens.json?folderType=Folder", `"result":[{"folder":{"type":"Folder","value":390},"tokens":[{"name":"Webinar Date","type":"date","value":"2026-03-05","computedUrl":`},
		{"folder/9/tokens.json?folderType=Folder", `"tokens":[]`},
		{"folder/12/tokens.json?folderType=Folder", `No assets found`},
		{"folder/2001/tokens.json?folderType=Program", `"folder":{"type":"Program","value":2001}`},
		{"folder/2001/tokens.json?folderType=Folder", `"code":"702"`},
		{"folder/2001.json?type=Program", `"folderType":"Marketing Program"`},
		{"segmentation/1/segments.json", `"code":"702"`},
		{"segmentation/1007/segments.json", `"segmentationId":1007`},
		{"forms.json?status=draft&maxReturn=3", `"description":"DRAFT"`},
		{"snippet/byName.json?name=x", `"success":true`}, // "byName" is no id, so nothing is found
		{"channel/9.json", `"code":"610"`},
		{"smartCampaign/3301/smartList.json", `"id":9001`},
	} {
		_, _, body := a.do("GET", "/rest/asset/v1/"+c.path, nil, nil)
		if !strings.Contains(string(body), c.want) {
			t.Errorf("%s: got %.400s, want %s in it", c.path, body, c.want)
		}
	}
	if n := len(a.get("/rest/asset/v1/smartLists.json").Result); n != 20 {
		t.Errorf("%d records by default, want 20", n)
	}
	// Only smart lists can be filtered by time.
	a.want(a.get("/rest/asset/v1/smartLists.json?earliestUpdatedAt=2036-01-01T00:00:00Z"), "1003")
	if a.want(a.get("/rest/asset/v1/forms.json?earliestUpdatedAt=2036-01-01T00:00:00Z"), ""); len(a.get("/rest/asset/v1/forms.json?earliestUpdatedAt=2036-01-01T00:00:00Z").Result) == 0 {
		t.Error("forms were filtered by time")
	}
}

func TestS10_StudioNeedsReadOnlyAssets(t *testing.T) {
	users := DefaultUsers()
	users[0].Denied = []string{"Read-Only Assets"}
	a := open(t, Config{Users: users})
	for _, r := range a.sim.studioRoutes("Read-Only Assets") {
		a.want(a.get(strings.ReplaceAll(r.path, "{id}", "12")), "603")
	}
}

func TestQuietTokens(t *testing.T) {
	for _, quiet := range []bool{false, true} {
		a := open(t, Config{QuietTokens: quiet, Options: simulate.Options{Rows: 100}})
		a.forward(time.Hour)
		a.sim.change(func(m *mutation) {
			for range 20 {
				m.editToken()
			}
		})
		moved := 0
		for r := range a.sim.Truth("folders") {
			if at, ok := r.Values["updatedAt"].(time.Time); ok && at.Equal(a.clock.Now()) {
				moved++
			}
		}
		if moved > 0 == quiet {
			t.Errorf("quiet %v: the update of %d places moved", quiet, moved)
		}
	}
}

// What the usage endpoints told last is the truth of a copy.
func TestS36_UsageTruthIsWhatWasToldLast(t *testing.T) {
	a := open(t, Config{RateLimit: 3})
	all := map[string]map[string]string{"usage": {}, "errors": {}} // told so far
	read := func(what string) (n int) {
		t.Helper()
		r := a.get("/rest/v1/stats/" + what + "/last7days.json")
		a.want(r, "")
		table, list, of := "api_usage", "users", "userId"
		if what == "errors" {
			table, list, of = "api_errors", "errors", "errorCode"
		}
		told := all[what]
		for _, raw := range r.Result {
			var day map[string]json.RawMessage
			_ = json.Unmarshal(raw, &day)
			var each []map[string]any
			_ = json.Unmarshal(day[list], &each)
			for _, e := range each {
				told[fmt.Sprintf("%s %s", bytes.Trim(day["date"], `"`), e[of])] = fmt.Sprintf("%s %v", day["total"], e["count"])
			}
		}
		for row := range a.sim.Truth(table) {
			k := fmt.Sprintf("%s %s", row.Values["date"], row.Values[of])
			if got := fmt.Sprintf("%d %d", row.Values["total"], row.Values["count"]); told[k] != got {
				t.Errorf("%s %s: told %q, the truth is %q", table, k, told[k], got)
			}
			n++
		}
		if n != len(told) {
			t.Errorf("%s: told of %d, the truth has %d", table, len(told), n)
		}
		return n
	}
	if n := read("usage"); n != 6 { // another tool's of five days and ours of today
		t.Errorf("%d rows, want 6", n)
	}
	a.forward(24 * time.Hour)
	if n := read("usage"); n != 7 {
		t.Errorf("a day later %d rows, want 7", n)
	}
	for range 4 {
		_ = a.get("/rest/v1/lists.json")
	}
	a.forward(time.Minute)
	if n := read("errors"); n != 7 { // of four of its days six, and ours
		t.Errorf("%d rows of errors, want 7", n)
	}
	a.forward(9 * 24 * time.Hour)
	before := len(a.sim.count.users)
	if r := a.get("/rest/v1/stats/usage/last7days.json"); len(r.Result) != 7 || before < 7 {
		t.Errorf("%d days, want the last seven of %d", len(r.Result), before)
	}
}
