package pardotsim

import (
	"encoding/json"
	"net/http/httptest"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/martsync/martsync/simulate"
)

// fieldNames are the fields that version 5 tells in queries.
func fieldNames(t *table) string {
	var names []string
	for _, c := range t.columns {
		if !c.only4 && !c.byID {
			names = append(names, c.name)
		}
	}
	return strings.Join(names, ",")
}

// told is a value of the truth as version 5's JSON has it.
func told(v any, zone *time.Location) any {
	switch v := v.(type) {
	case time.Time:
		return v.In(zone).Format("2006-01-02T15:04:05-07:00")
	case int64, float64:
		b, _ := json.Marshal(v)
		return json.Number(b)
	case json.RawMessage:
		var out any
		d := json.NewDecoder(strings.NewReader(string(v)))
		d.UseNumber()
		_ = d.Decode(&out)
		return out
	default:
		return v
	}
}

// undotted joins the members of objects to one name.
func undotted(v map[string]any) map[string]any {
	for name, one := range v {
		if m, ok := one.(map[string]any); ok {
			delete(v, name)
			for n, x := range m {
				v[name+"."+n] = x
			}
		}
	}
	return v
}

// TestTruthIsWhatVersion5Tells reads every collection whole, before and after changes.
func TestTruthIsWhatVersion5Tells(t *testing.T) {
	l := newLab(t, Config{Options: simulate.Options{Rows: 150}})
	check := func() {
		t.Helper()
		l.login()
		for _, table := range l.present().tables {
			if table.path == "" || table.path == "account" {
				continue
			}
			got := map[json.Number]map[string]any{}
			fields := fieldNames(table)
			for _, v := range l.all(table.path, "1000", "fields", fields, "deleted", "all") {
				got[v["id"].(json.Number)] = undotted(v)
			}
			for row := range l.TruthBy(table.name, "v5") {
				id := told(row.Values["id"], nil).(json.Number)
				v := got[id]
				delete(got, id)
				if v == nil || row.Gone {
					if !row.Gone || v != nil && v["isDeleted"] != true {
						t.Fatalf("%s %s: gone is %t, the API says %v", table.name, id, row.Gone, v)
					}
					continue
				}
				want := map[string]any{}
				for name, x := range row.Values {
					if strings.Contains(","+fields+",", ","+name+",") {
						want[name] = told(x, l.zone.Load())
					}
				}
				if !reflect.DeepEqual(want, v) {
					t.Fatalf("%s %s: %s", table.name, id, cmp.Diff(want, v))
				}
			}
			if len(got) > 0 {
				t.Fatalf("%s: the API tells of %d rows more", table.name, len(got))
			}
		}
	}
	check()
	for range 3 {
		l.clock.Advance(24 * time.Hour)
		if said := l.Change(200); len(said) < 12 {
			t.Errorf("got %d sentences: %v", len(said), said)
		}
	}
	if err := l.AddCustomField("Wing_Span", "Number", false); err != nil {
		t.Fatal(err)
	}
	if err := l.AddCustomField("Materials", "Multi-Select", false); err != nil {
		t.Fatal(err)
	}
	if err := l.AddCustomField("Materials", "Text", false); err == nil {
		t.Error("a custom field that exists was added")
	}
	check()
}

// TestChangesAreNoticed: whatever Change does to live rows shows in the times by which they are read, or
// in the ids.
func TestChangesAreNoticed(t *testing.T) {
	l := newLab(t, Config{Options: simulate.Options{Rows: 150}})
	snapshot := func() map[string]map[int64]simulate.Row {
		all := map[string]map[int64]simulate.Row{}
		for _, name := range l.Tables() {
			if name == "opportunity_prospects" || name == "accounts" {
				continue
			}
			all[name] = map[int64]simulate.Row{}
			for row := range l.TruthBy(name, "v5") {
				all[name][row.Values["id"].(int64)] = row
			}
		}
		return all
	}
	whole := []string{"forms", "form_handlers", "files", "folders", "custom_redirects", "layout_templates", "tracker_domains", "form_handler_fields", "dynamic_content_variations"}
	before := snapshot()
	kinds := map[string]int{}
	for range 6 {
		l.clock.Advance(24 * time.Hour)
		now := l.clock.Now()
		l.Change(150)
		after := snapshot()
		for name, rows := range after {
			for id, row := range rows {
				old, was := before[name][id]
				switch {
				case was && row.Gone != old.Gone:
					kinds["gone or back"]++
				case was && reflect.DeepEqual(old.Values, row.Values):
					continue
				case was:
					kinds["updated"]++
				default:
					kinds["new"]++
				}
				since, _ := row.Values["updatedAt"].(time.Time)
				if since.IsZero() {
					since, _ = row.Values["createdAt"].(time.Time)
				}
				if at, ok := row.Values["sentAt"].(time.Time); ok && name == "emails" {
					since = at
				}
				if row.Gone || slices.Contains(whole, name) {
					continue
				}
				if now.Sub(since) > 23*time.Hour {
					t.Errorf("%s %d changed at %s, but tells %s", name, id, now, since)
				}
				if now.Sub(since) > 0 {
					kinds["late"]++
				}
			}
			for id := range before[name] {
				if _, still := rows[id]; !still {
					t.Errorf("%s %d has vanished from the truth", name, id)
				}
			}
		}
		before = after
	}
	for _, kind := range []string{"gone or back", "updated", "new", "late"} {
		if kinds[kind] < 20 {
			t.Errorf("%s: %d changes", kind, kinds[kind])
		}
	}
	if l.Change(0) != nil {
		t.Error("no change says something")
	}
}

func TestEditsOfTests(t *testing.T) {
	l := newLab(t, Config{QuietBin: true})
	count := func(b bin) int {
		return l.find(query{table: l.table("prospects"), bin: b, count: true, limit: 1}).total
	}
	live, binned := count(binHidden), count(binOnly)
	removed := l.Remove("prospects", 10)
	if len(removed) != 10 || count(binHidden) != live-10 || count(binOnly) != binned+10 {
		t.Errorf("removed %v: %d live, %d deleted", removed, count(binHidden), count(binOnly))
	}
	if r := l.get("prospects", removed[0], binOnly); r == nil || r.updated > l.world.end {
		t.Errorf("a quiet bin changed the time: %v", r)
	}
	if back := l.Restore("prospects", 3); len(back) != 3 || count(binHidden) != live-7 {
		t.Errorf("restored %v: %d live", back, count(binHidden))
	}
	purged := l.Purge("prospects", 5)
	if len(purged) != 5 || l.get("prospects", purged[0], binShown) != nil || count(binShown) != live+binned-5 {
		t.Errorf("purged %v: %d left", purged, count(binShown))
	}
	at := l.clock.Now().Add(-time.Minute)
	l.AddProspects(1201, at)
	if n := l.find(query{table: l.table("prospects"), where: []condition{{"createdAt", equal, stamp(at.Unix())}}, count: true, limit: 1}).total; n != 1201 {
		t.Errorf("added 1201 prospects in one second, found %d", n)
	}
	touched := l.Touch("lists", 3, at)
	if len(touched) != 3 || l.get("lists", touched[0], binShown).updated != at.Unix() {
		t.Errorf("touched %v", touched)
	}
	for _, ids := range [][]int64{l.Remove("tags", 1), l.Remove("kites", 1), l.Purge("kites", 1), l.Add("kites", 1, at)} {
		if ids != nil {
			t.Errorf("a table without bin, or none at all: got %v", ids)
		}
	}
	gone := 0
	for row := range l.Truth("prospects") {
		if slices.Contains(purged, row.Values["id"].(int64)) {
			if gone++; !row.Gone {
				t.Errorf("purged prospect %v is not gone", row.Values["id"])
			}
		}
	}
	if gone != 5 {
		t.Errorf("the truth tells of %d purged prospects", gone)
	}
}

// TestTruthOfNaiveTimes: what is told without offset may be taken for the hour before.
func TestTruthOfNaiveTimes(t *testing.T) {
	l := newLab(t, Config{})
	first := time.Date(2025, 11, 2, 5, 30, 0, 0, time.UTC) // 01:30 in New York, for the first time
	for _, c := range []struct {
		at   time.Time
		want any
	}{
		{first, first},
		{first.Add(time.Hour), simulate.OneOf{first.Add(time.Hour), first}},
		{first.Add(2 * time.Hour), first.Add(2 * time.Hour)},
	} {
		if got := l.naiveTruth(stamp(c.at.Unix())); cmp.Diff(c.want, got) != "" {
			t.Errorf("%s: got %v, want %v", c.at, got, c.want)
		}
	}
	for name, version := range map[string]string{"visitors": "v4", "visitor_activities": "both", "visits": "v5"} {
		several := 0
		for row := range l.Truth(name) {
			if _, ok := row.Values["createdAt"].(simulate.OneOf); ok {
				several++
			}
		}
		if (several > 0) != (version != "v5") {
			t.Errorf("%s: %d times are uncertain", name, several)
		}
	}
}

func TestTruthOfColumns(t *testing.T) {
	l := newLab(t, Config{MaskedFields: []string{"lists.title"}})
	for _, c := range []struct {
		table, version string
		has, lacks     []string
	}{
		{"visitors", "", []string{"browser", "ipAddress", "prospectId"}, []string{"isIdentified", "doNotSell"}},
		{"visitors", "v5", []string{"isIdentified", "campaignId"}, []string{"browser"}},
		{"prospects", "", []string{"grade", "notes", "kite_colors__c", "Events__c", "doNotSell"}, []string{"last_activity"}},
		{"prospect_accounts", "", []string{"tier__c", "billingZip"}, []string{"salesforceId", "isDeleted"}},
		{"list_memberships", "", []string{"createdById", "isDeleted"}, nil},
		{"list_emails", "", []string{"htmlMessage", "stats.sent", "senderOptions.type"}, nil},
		{"emails", "", []string{"sentAt", "listEmailId"}, []string{"htmlMessage", "isOneToOne"}},
		{"email_clicks", "", []string{"details", "tracker_redirect_id"}, []string{"url"}},
		{"lists", "", []string{"name"}, []string{"title", "is_crm_visible"}},
		{"opportunity_prospects", "", []string{"opportunity_id", "prospect_id"}, nil},
	} {
		rows := l.Truth(c.table)
		if c.version != "" {
			rows = l.TruthBy(c.table, c.version)
		}
		for row := range rows {
			for _, name := range c.has {
				if _, ok := row.Values[name]; !ok {
					t.Errorf("%s lacks %s", c.table, name)
				}
			}
			for _, name := range c.lacks {
				if _, ok := row.Values[name]; ok {
					t.Errorf("%s has %s", c.table, name)
				}
			}
			break
		}
	}
	for range l.Truth("kites") {
		t.Error("a table that does not exist has rows")
	}
}

// TestPairs: links of opportunities that are no more stay known as gone.
func TestPairs(t *testing.T) {
	l := newLab(t, Config{})
	count := func() (live, gone int) {
		seen := map[[2]any]bool{}
		for row := range l.Truth("opportunity_prospects") {
			key := [2]any{row.Values["opportunity_id"], row.Values["prospect_id"]}
			if seen[key] {
				t.Fatalf("%v comes twice", key)
			}
			if seen[key] = true; row.Gone {
				gone++
			} else {
				live++
			}
		}
		return live, gone
	}
	live, gone := count()
	if live < 30 || gone != 0 {
		t.Errorf("at the start: %d live, %d gone", live, gone)
	}
	for range 5 {
		l.Change(200)
	}
	if _, gone := count(); gone < 5 {
		t.Errorf("after changes: %d gone", gone)
	}
}

// TestLargeAccount: a page costs what it shows, not what the account has.
func TestLargeAccount(t *testing.T) {
	l := newLab(t, Config{Options: simulate.Options{Rows: 200_000}})
	activities := l.table("visitor_activities")
	middle := activities.id(activities.n / 2)
	p := l.v5("visitor-activities", "fields", fieldNames(activities), "limit", "1000", "idGreaterThan", strconv.FormatInt(middle, 10))
	if len(p.Values) != 1000 || p.Token == nil {
		t.Errorf("got %d rows", len(p.Values))
	}
	to := l.world.end
	p = l.v5("visitor-activities", "fields", "id", "limit", "1000", "createdAtAfterOrEqualTo", iso(to-day), "createdAtBefore", iso(to))
	if len(p.Values) != 1000 {
		t.Errorf("the last day: got %d rows", len(p.Values))
	}
}

func BenchmarkSync(b *testing.B) {
	s, err := New(Config{})
	if err != nil {
		b.Fatal(err)
	}
	l := &lab{Server: s, t: &testing.T{}}
	l.login()
	size := 0
	for b.Loop() {
		size = 0
		for _, t := range s.present().tables {
			if t.path == "" || t.path == "account" {
				continue
			}
			q := url.Values{"fields": {fieldNames(t)}, "limit": {"1000"}}
			for q != nil {
				w := l.call("/api/v5/objects/"+t.path, q)
				size += w.Body.Len()
				q = next(w)
				if q != nil {
					q.Set("fields", fieldNames(t))
				}
			}
		}
	}
	b.ReportMetric(float64(size), "bytes")
}

func next(w *httptest.ResponseRecorder) url.Values {
	head, _, _ := strings.Cut(w.Body.String()[:min(w.Body.Len(), 2000)], `,"nextPageUrl"`)
	_, token, ok := strings.Cut(head, `{"nextPageToken":"`)
	if !ok {
		return nil
	}
	return url.Values{"nextPageToken": {strings.TrimSuffix(token, `"`)}}
}
