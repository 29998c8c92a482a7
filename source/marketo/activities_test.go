package marketo

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/martsync/martsync"
)

func TestFlatAttributes(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"list", `[{"name":"New Value","value":"35"},{"name":"Step ID","value":7},{"name":"Is Mobile Device","value":false}]`, `{"New Value":"35","Step ID":7,"Is Mobile Device":false}`},
		{"array and object", `[{"name":"Merge Ids","value":[500177]},{"name":"x","value":{"a":1}}]`, `{"Merge Ids":[500177],"x":{"a":1}}`},
		{"without value", `[{"name":"a","value":null},{"name":"b"},{"name":"","value":1}]`, `{}`},
		{"escapes", `[{"name":"a \"b\" <c> é","value":"1 \"2\" <3>"}]`, `{"a \"b\" <c> é":"1 \"2\" <3>"}`},
		{"twice", `[{"name":"a","value":1},{"name":"a","value":2}]`, `{"a":1}`},
		{"an object already", `{"a":1}`, `{"a":1}`},
		{"empty", `[]`, `{}`},
		{"null", `null`, ``},
		{"absent", ``, ``},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := flatAttributes(json.RawMessage(c.in))
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
	if got, err := flatAttributes(json.RawMessage(`"text"`)); err == nil {
		t.Errorf("text is taken for attributes: %s", got)
	}
}

func FuzzMergeOf(f *testing.F) {
	f.Add(`{"Merge Ids":[500177],"Master Updated":true,"Merge Source":"leaddb","Merged in Sales":false}`)
	f.Add(`[{"name":"Merge Ids","value":"[1, 2]"}]`)
	f.Add(`[{"name":"Merge Ids","value":"1,2"}]`)
	f.Fuzz(func(t *testing.T, text string) {
		if !json.Valid([]byte(text)) {
			return // the reader of files and the decoder of pages let nothing else through
		}
		m, err := mergeOf(json.RawMessage(text))
		if err != nil {
			return
		}
		for _, l := range m.losers {
			if _, err := wholeNumber(l); err != nil {
				t.Errorf("%q from %s is no id", l, text)
			}
		}
	})
}

func TestMergeOf(t *testing.T) {
	for _, c := range []struct {
		name, in string
		losers   []string
		source   string
	}{
		{"bulk", `{"Merge Ids":[500177,500178],"Master Updated":true,"Merge Source":"leaddb","Merged in Sales":false}`, []string{"500177", "500178"}, "leaddb"},
		{"rest", `[{"name":"Merge Ids","value":[3000000000]},{"name":"Merge Source","value":"API \"x\""}]`, []string{"3000000000"}, `API "x"`},
		{"ids as text", `[{"name":"Merge Ids","value":"[1, 2]"}]`, []string{"1", "2"}, ""},
		{"ids as texts", `{"Merge Ids":["1","2"]}`, []string{"1", "2"}, ""},
		{"one id", `{"Merge Ids":7}`, []string{"7"}, ""},
		{"a list in words", `{"Merge Ids":"1,2"}`, []string{"1", "2"}, ""},
		{"none", `{"Merge Ids":[]}`, nil, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, err := mergeOf(json.RawMessage(c.in))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, l := range m.losers {
				got = append(got, string(l))
			}
			if !slices.Equal(got, c.losers) || string(m.source) != c.source {
				t.Errorf("got %v from %q, want %v from %q", got, m.source, c.losers, c.source)
			}
		})
	}
	for _, in := range []string{`{}`, `null`, `[]`, `{"Merge Ids":"x"}`, `{"Merge Ids":[1.5]}`, `{"Merge Ids":{}}`, `7`} {
		if m, err := mergeOf(json.RawMessage(in)); err == nil {
			t.Errorf("%s gives the losers %q, want an error", in, m.losers)
		}
	}
}

func TestActivityCells(t *testing.T) {
	var a activity
	const text = `{"id":3000000001,"marketoGUID":"810000202","leadId":"500101","activityDate":"2026-03-04T19:40:51Z","activityTypeId":13,"campaignId":null,"primaryAttributeValue":"","primaryAttributeValueId":641}`
	if err := json.Unmarshal([]byte(text), &a); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, raw := range []json.RawMessage{a.GUID, a.ID, a.LeadID, a.Date, a.CampaignID, a.PrimaryValue, a.PrimaryValueID, a.ActionResult} {
		c := a.cell(raw)
		if c == nil {
			got = append(got, "nil")
			continue
		}
		got = append(got, string(c))
	}
	want := []string{"810000202", "3000000001", "500101", "2026-03-04T19:40:51Z", "nil", "nil", "641", "nil"}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("cells (-want +got):\n%s", d)
	}
	if c := a.cell(json.RawMessage(`"null"`)); string(c) != "null" {
		t.Errorf("the text null became %q", c)
	}
}

func TestWantedTypesRefusesTypos(t *testing.T) {
	s := &source{env: martsync.Env{Clock: martsync.SystemClock{}}, cfg: Config{Activities: Activities{Exclude: []string{"13", "visit webpage"}}}}
	types := []activityType{{ID: 1, Name: "Visit Webpage"}, {ID: 2, Name: "Fill Out Form"}, {ID: 13, Name: "Change Data Value"}, {ID: 37, Name: "Delete Lead"}}
	if _, err := s.types.Get(s.now(), func() ([]activityType, error) { return types, nil }); err != nil {
		t.Fatal(err)
	}
	got, err := s.wantedTypes(t.Context())
	if err != nil || !slices.Equal(got, []int{2}) {
		t.Errorf("got %v, %v, want only 2", got, err)
	}
	s.cfg.Activities.Exclude = []string{"Visit Webpge"}
	if _, err := s.wantedTypes(t.Context()); martsync.KindOf(err) != martsync.Config || !strings.Contains(err.Error(), "Visit Webpge") {
		t.Errorf("a name that no type has: got %v", err)
	}
	s.cfg.Activities.Exclude = []string{"1", "2", "13"}
	if _, err := s.wantedTypes(t.Context()); martsync.KindOf(err) != martsync.Config {
		t.Errorf("nothing left: got %v", err)
	}
}
