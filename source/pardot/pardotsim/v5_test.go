package pardotsim

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/martsync/martsync/simulate"
)

func TestS11TotalCountsRowsUnderAllFilters(t *testing.T) {
	l := newLab(t, Config{})
	tags := l.table("tags")
	all := l.find(query{table: tags, count: true, limit: 3})
	middle := tags.id(tags.n / 2)
	after := l.find(query{table: tags, count: true, limit: 3, where: []condition{{"id", greater, middle}}})
	if all.total != int(tags.n) || after.total != int(tags.n-tags.n/2-1) || len(after.rows) != 3 || after.rows[0].id <= middle {
		t.Errorf("got totals %d and %d of %d, rows %d", all.total, after.total, tags.n, len(after.rows))
	}
	if got := l.find(query{table: tags, limit: 3}); got.total != -1 || !got.more {
		t.Errorf("without count: got total %d, more %t", got.total, got.more)
	}
}

func TestS13HiddenRowsOfTheRecycleBin(t *testing.T) {
	l := newLab(t, Config{})
	for _, name := range []string{"prospects", "list_memberships", "lists", "campaigns"} {
		table := l.table(name)
		counts := map[bin]int{}
		for _, b := range []bin{binHidden, binOnly, binShown} {
			for r := range l.each(query{table: table, bin: b}) {
				if b == binHidden && r.deleted || b == binOnly && !r.deleted || r.gone {
					t.Fatalf("%s: bin %d shows record %d", name, b, r.id)
				}
				counts[b]++
			}
		}
		if counts[binHidden]+counts[binOnly] != counts[binShown] || counts[binHidden] == 0 || (table.n > 100 && counts[binOnly] == 0) {
			t.Errorf("%s: got %v", name, counts)
		}
	}
}

func TestS14DataOfEmails(t *testing.T) {
	l := newLab(t, Config{})
	lost := 0
	for r := range l.each(query{table: l.table("visitor_activities"), where: []condition{{"emailId", notNull, nil}}}) {
		mail := l.get("emails", r.number("emailId"), binShown)
		switch {
		case mail == nil:
			lost++
		case r.get("listEmailId") != nil && r.get("listEmailId") != mail.get("listEmailId"):
			t.Fatalf("activity %d: list e-mail %v, but e-mail %d belongs to %v", r.id, r.get("listEmailId"), mail.id, mail.get("listEmailId"))
		}
	}
	if lost == 0 {
		t.Error("no activity is about an e-mail that can no longer be read")
	}
	several := map[int64]int{}
	for r := range l.each(query{table: l.table("emails")}) {
		if r.get("listEmailId") != nil == (r.get("prospectId") != nil) {
			t.Fatalf("e-mail %d: list e-mail %v, prospect %v", r.id, r.get("listEmailId"), r.get("prospectId"))
		}
		several[r.number("listEmailId")]++
	}
	delete(several, 0)
	if len(several) < 10 || slices.Max(slices.Collect(maps.Values(several))) < 2 {
		t.Errorf("e-mails of list e-mails: %v", several)
	}
}

func TestS21FieldsAndFilters(t *testing.T) {
	l := newLab(t, Config{})
	l.fails(400, 13, "One or more required parameters are missing: fields", "prospects")
	l.fails(400, 51, "It contains an invalid or unknown field: kiteSize.", "prospects", "fields", "id,kiteSize")
	l.fails(400, 51, "unknown field: browser", "visitors", "fields", "id,browser")
	l.fails(400, 51, "unknown field: folder.kite", "campaigns", "fields", "folder.kite")
	l.fails(400, 51, "Parameter colour is invalid", "prospects", "fields", "id", "colour", "red")
	l.fails(400, 51, "Parameter updatedAtAfter is invalid", "forms", "fields", "id", "updatedAtAfter", iso(0))
	l.fails(400, 51, "Parameter createdAtGreaterThan is invalid", "tags", "fields", "id", "createdAtGreaterThan", iso(0))
	l.fails(400, 51, "Parameter idAfter is invalid", "tags", "fields", "id", "idAfter", "1")
	l.fails(400, 51, "Parameter idGreaterThan is invalid", "tags", "fields", "id", "idGreaterThan", "x")
	l.fails(400, 209, "3 distinct", "prospects", "fields", "id", "idGreaterThan", "1", "updatedAtAfter", iso(0), "createdAtAfter", iso(0), "userId", "7")
	l.fails(400, 52, "limit", "prospects", "fields", "id", "limit", "1001")
	l.fails(400, 23, "limit", "prospects", "fields", "id", "limit", "0")
	l.fails(400, 21, "offset", "prospects", "fields", "id", "offset", "2001")
	l.fails(400, 19, "orderBy", "prospects", "fields", "id", "orderBy", "city")
	l.fails(400, 27, "deleted", "prospects", "fields", "id", "deleted", "maybe")
	l.fails(400, 224, "htmlMessage", "list-emails", "fields", "id,htmlMessage")
	l.fails(400, 224, "kite_colors__c", "prospects", "fields", "id,kite_colors__c")
	l.fails(404, 198, "", "kites", "fields", "id")
	// Several bounds of one field are one filter.
	p := l.v5("prospects", "fields", "id", "idGreaterThan", "1", "idLessThan", "9999999", "updatedAtAfterOrEqualTo", iso(0), "updatedAtBefore", iso(1<<33), "createdAtAfter", iso(0))
	if p.status != http.StatusOK || len(p.Values) != 200 || p.Token == nil {
		t.Errorf("three fields in five filters: got status %d, %d values, code %d", p.status, len(p.Values), p.Code)
	}
	c := newLab(t, Config{ClampLimit: true, Options: simulate.Options{Rows: 1200}, MaskedFields: []string{"prospects.grade"}, NoFilters: true})
	if p := c.v5("prospects", "fields", "id", "limit", "5000"); p.status != http.StatusOK || len(p.Values) != 1000 {
		t.Errorf("a clamped limit: got status %d, %d values", p.status, len(p.Values))
	}
	c.fails(400, 51, "unknown field: grade", "prospects", "fields", "id,grade")
	c.fails(400, 51, "updatedAtAfter", "visitors", "fields", "id", "updatedAtAfter", iso(0))
}

func TestS22PageTokens(t *testing.T) {
	l := newLab(t, Config{})
	for _, order := range []string{"", "id DESC", "updatedAt ASC", "updatedAt DESC", "createdAt,id DESC", "lastActivityAt"} {
		pairs := []string{"fields", "id,updatedAt", "limit", "70", "deleted", "all", "createdAtAfter", iso(l.world.opened)}
		if order != "" {
			pairs = append(pairs, "orderBy", order)
		}
		p := l.v5("prospects", pairs...)
		seen := map[string]bool{}
		pages := 0
		for ; ; pages++ {
			if p.status != http.StatusOK {
				t.Fatalf("order %q: status %d, code %d: %s", order, p.status, p.Code, p.Message)
			}
			for _, v := range p.Values {
				id := v["id"].(json.Number).String()
				if seen[id] {
					t.Fatalf("order %q: %s comes twice", order, id)
				}
				seen[id] = true
			}
			if (p.Token == nil) != (p.URL == nil) {
				t.Fatalf("order %q: token %v, URL %v", order, p.Token, p.URL)
			}
			if p.Token == nil {
				break
			}
			p = l.v5("prospects", "fields", "id,updatedAt", "nextPageToken", *p.Token)
		}
		if want := l.find(query{table: l.table("prospects"), bin: binShown, count: true, limit: 1}).total; len(seen) != want || pages != want/70 {
			t.Errorf("order %q: got %d rows on %d pages, want %d", order, len(seen), pages+1, want)
		}
	}
	p := l.v5("prospects", "fields", "id", "limit", "10")
	token := *p.Token
	if w := l.call(*p.URL, nil); w.Code != http.StatusOK {
		t.Errorf("nextPageUrl %s: status %d", *p.URL, w.Code)
	}
	for _, extra := range [][]string{{"limit", "10"}, {"orderBy", "id"}, {"deleted", "all"}, {"idGreaterThan", "1"}} {
		l.fails(400, 51, "nextPageToken", "prospects", append([]string{"fields", "id", "nextPageToken", token}, extra...)...)
	}
	l.fails(400, 211, "", "prospects", "fields", "id", "nextPageToken", "bm9uZQ==")
	l.fails(400, 211, "", "prospects", "fields", "id", "nextPageToken", token[:8]+"A"+token[9:])
	l.fails(400, 211, "", "campaigns", "fields", "id", "nextPageToken", token)
	l.clock.Advance(4 * time.Hour)
	l.login()
	if p := l.v5("prospects", "fields", "id", "nextPageToken", token); p.status != http.StatusOK {
		t.Errorf("after exactly 4 hours: status %d, code %d", p.status, p.Code)
	}
	l.clock.Advance(time.Second)
	l.fails(400, 210, "expired", "prospects", "fields", "id", "nextPageToken", token)
}

func TestS23SequenceEnds(t *testing.T) {
	l := newLab(t, Config{Sequence: 250})
	p := l.v5("prospects", "fields", "id", "limit", "100")
	rows := len(p.Values)
	for p.Token != nil {
		if w := p.header.Get("Pardot-Warning"); w != "" {
			t.Errorf("a warning before the end: %q", w)
		}
		p = l.v5("prospects", "fields", "id", "nextPageToken", *p.Token)
		rows += len(p.Values)
	}
	if w := p.header.Get("Pardot-Warning"); rows != 250 || !strings.HasPrefix(w, "203;") {
		t.Errorf("got %d rows, warning %q", rows, w)
	}
	last := p.Values[len(p.Values)-1]["id"].(json.Number).String()
	p = l.v5("prospects", "fields", "id", "limit", "1000", "idGreaterThan", last)
	if want := l.find(query{table: l.table("prospects"), count: true, limit: 1}).total - 250; len(p.Values) != want || p.header.Get("Pardot-Warning") != "" {
		t.Errorf("behind the end: got %d rows of %d, warning %q", len(p.Values), want, p.header.Get("Pardot-Warning"))
	}
}

func TestS24TimesHaveOffsets(t *testing.T) {
	l := newLab(t, Config{})
	for _, bad := range []string{"2025-01-01T00:00:00Z", "2025-01-01T00:00:00", "2025-01-01", "2025-01-01T00:00:00 00:00", "today", "2025-01-01T00:00:00+0000"} {
		l.fails(400, 7, "Invalid date time value", "campaigns", "fields", "id", "updatedAtAfter", bad)
	}
	if p := l.v5("campaigns", "fields", "id", "updatedAtAfter", "2020-01-01T00:00:00-05:00"); p.status != http.StatusOK {
		t.Errorf("a numeric offset: status %d, %s", p.status, p.Message)
	}
	zone, _ := time.LoadLocation("America/New_York")
	offsets := map[string]int{}
	fall := map[string]bool{}
	for _, v := range l.all("visitors", "1000", "fields", "id,createdAt,updatedAt") {
		at, err := time.Parse("2006-01-02T15:04:05-07:00", v["createdAt"].(string))
		if err != nil {
			t.Fatal(err)
		}
		if want := at.In(zone).Format("2006-01-02T15:04:05-07:00"); want != v["createdAt"] {
			t.Fatalf("got %s, want %s", v["createdAt"], want)
		}
		offsets[v["createdAt"].(string)[19:]]++
		if r := l.get("visitors", number(t, v["id"]), binShown); r.created != at.Unix() {
			t.Fatalf("visitor %d: got %s, created at %d", r.id, v["createdAt"], r.created)
		}
		if text := v["createdAt"].(string); strings.HasPrefix(text, "2025-11-02T01:") {
			fall[text[19:]] = true
		}
	}
	if offsets["-04:00"] == 0 || offsets["-05:00"] == 0 || len(offsets) != 2 || len(fall) != 2 {
		t.Errorf("got offsets %v, and in the hour that comes twice %v", offsets, fall)
	}
	// Bounds: After and Before are exclusive, the others are not.
	r := l.find(query{table: l.table("tags"), limit: 1}).rows[0]
	for suffix, want := range map[string]bool{"": true, "After": false, "AfterOrEqualTo": true, "Before": false, "BeforeOrEqualTo": true} {
		p := l.v5("tags", "fields", "id", "createdAt"+suffix, iso(r.created), "id", fmt.Sprint(r.id))
		if got := len(p.Values) == 1; got != want {
			t.Errorf("createdAt%s its own time: got %t", suffix, got)
		}
	}
}

func TestS25RecycleBin(t *testing.T) {
	l := newLab(t, Config{})
	gone := l.find(query{table: l.table("prospects"), bin: binOnly, limit: 1}).rows[0]
	path := fmt.Sprintf("prospects/%d", gone.id)
	hidden, only, shown := l.all("prospects", "1000", "fields", "id,isDeleted"), l.all("prospects", "1000", "fields", "id,isDeleted", "deleted", "true"), l.all("prospects", "1000", "fields", "id,isDeleted", "deleted", "all")
	if len(hidden)+len(only) != len(shown) || len(only) == 0 {
		t.Errorf("got %d live, %d deleted, %d in all", len(hidden), len(only), len(shown))
	}
	for _, v := range only {
		if v["isDeleted"] != true {
			t.Fatalf("in the bin: %v", v)
		}
	}
	if status, v, _ := l.object5(path, "fields", "id"); status != http.StatusNotFound {
		t.Errorf("a read of a binned row: status %d, %v", status, v)
	}
	status, v, header := l.object5(path, "fields", "id,isDeleted,kite_colors__c", "deleted", "all")
	if status != http.StatusOK || v["isDeleted"] != true || !strings.HasPrefix(header.Get("Pardot-Warning"), "201;") {
		t.Errorf("a read with deleted=all: status %d, %v, %q", status, v, header.Get("Pardot-Warning"))
	}
	l.Purge("prospects", 400)
	if status, _, _ := l.object5(path, "fields", "id", "deleted", "all"); status != http.StatusNotFound {
		t.Errorf("a read of a purged row: status %d", status)
	}
}

func TestRelatedFields(t *testing.T) {
	l := newLab(t, Config{})
	r := l.find(query{table: l.table("opportunities"), where: []condition{{"campaignId", notNull, nil}}, limit: 1}).rows[0]
	campaign := l.get("campaigns", r.number("campaignId"), binShown)
	p := l.v5("opportunities", "fields", "id,campaign.name,campaign.folder.name,campaignId", "id", fmt.Sprint(r.id))
	want := map[string]any{
		"id": json.Number(fmt.Sprint(r.id)), "campaignId": json.Number(fmt.Sprint(campaign.id)),
		"campaign": map[string]any{"name": campaign.get("name"), "folder": map[string]any{"name": nil}},
	}
	if folder := l.get("folders", campaign.number("folderId"), binShown); folder != nil {
		want["campaign"].(map[string]any)["folder"] = map[string]any{"name": folder.get("name")}
	}
	if len(p.Values) != 1 || cmp.Diff(want, p.Values[0]) != "" {
		t.Errorf("got %v (%s), want %v", p.Values, p.Message, want)
	}
	p = l.v5("emails", "fields", "id,senderOptions.type,senderOptions.address", "limit", "50")
	types := map[any]bool{}
	for _, v := range p.Values {
		types[v["senderOptions"].(map[string]any)["type"]] = true
	}
	if len(types) < 3 {
		t.Errorf("sender options: %v", types)
	}
}

func TestAccount(t *testing.T) {
	l := newLab(t, Config{DailyCalls: 50_000})
	_, v, _ := l.object5("account", "fields", "id,company,zip,maximumDailyApiCalls,apiCallsUsed,createdAt")
	if v["zip"] != "02134" || v["maximumDailyApiCalls"] != json.Number("50000") || v["apiCallsUsed"] != json.Number("1") {
		t.Errorf("got %v", v)
	}
	if p := newLab(t, Config{WrapAccount: true}).v5("account", "fields", "id"); len(p.Values) != 1 {
		t.Errorf("inside values: got %v", p)
	}
}

func TestConditionalRead(t *testing.T) {
	l := newLab(t, Config{})
	r := l.find(query{table: l.table("campaigns"), limit: 1}).rows[0]
	path := fmt.Sprintf("campaigns/%d", r.id)
	_, v, header := l.object5(path, "fields", "id,name")
	if v["name"] != r.get("name") || header.Get("Last-Modified") == "" {
		t.Errorf("got %v, last modified %q", v, header.Get("Last-Modified"))
	}
	for since, want := range map[string]int{header.Get("Last-Modified"): http.StatusNotModified, stamp(r.updated - 1).time().Format(http.TimeFormat): http.StatusOK} {
		ask := httptest.NewRequest(http.MethodGet, "/api/v5/objects/"+path+"?fields=id", nil)
		ask.Header.Set("Authorization", "Bearer "+l.token)
		ask.Header.Set("Pardot-Business-Unit-Id", l.cfg.BusinessUnit)
		ask.Header.Set("If-Modified-Since", since)
		w := httptest.NewRecorder()
		if l.ServeHTTP(w, ask); w.Code != want {
			t.Errorf("if modified since %s: status %d, want %d", since, w.Code, want)
		}
	}
	if status, _, _ := l.object5("campaigns/1", "fields", "id"); status != http.StatusNotFound {
		t.Errorf("no such campaign: status %d", status)
	}
	if status, _, _ := l.object5("campaigns/x", "fields", "id"); status != http.StatusNotFound && status != http.StatusBadRequest {
		t.Errorf("no id: status %d", status)
	}
	if status, v, _ := l.object5(path, "fields", "id", "limit", "3"); status != http.StatusBadRequest || v["code"] != json.Number("51") {
		t.Errorf("a query's parameter: status %d, %v", status, v)
	}
}

func TestListEmailStats(t *testing.T) {
	l := newLab(t, Config{})
	r := l.find(query{table: l.table("list_emails"), where: []condition{{"sentAt", notNull, nil}}, limit: 1}).rows[0]
	_, v, _ := l.object5(fmt.Sprintf("list-emails/%d/stats", r.id))
	if number(t, v["sent"]) < 20 || !strings.HasSuffix(v["deliveryRate"].(string), "%") || len(v) != 17 {
		t.Errorf("got %v", v)
	}
	if status, _, _ := l.object5("list-emails/1/stats"); status != http.StatusNotFound {
		t.Errorf("no such list e-mail: status %d", status)
	}
}

func TestCacheLag(t *testing.T) {
	l := newLab(t, Config{CacheLag: time.Minute})
	before := len(l.all("prospects", "1000", "fields", "id"))
	l.clock.Advance(time.Hour)
	l.AddProspects(5, l.clock.Now())
	for _, step := range []struct {
		wait time.Duration
		want int
	}{{0, before}, {59 * time.Second, before}, {time.Second, before + 5}} {
		l.clock.Advance(step.wait)
		if got := len(l.all("prospects", "1000", "fields", "id")); got != step.want {
			t.Errorf("another %s later: got %d rows, want %d", step.wait, got, step.want)
		}
	}
}

// FuzzPageToken: no token but one of the server's own is accepted.
func FuzzPageToken(f *testing.F) {
	s, err := New(Config{Options: simulate.Options{Rows: 50}})
	if err != nil {
		f.Fatal(err)
	}
	good := s.seal(&paging{Path: "tags", Limit: 10, After: 9, Count: 3, Ends: s.now() + 60})
	for _, seed := range []string{"", good, "e30=", good[1:], good + "="} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, token string) {
		l := &lab{Server: s, t: t}
		p := l.v5("tags", "fields", "id", "nextPageToken", token)
		if ok := p.status == http.StatusOK; ok != (token == good) {
			t.Errorf("token %q: status %d", token, p.status)
		}
	})
}

// FuzzQuery: whatever is asked for, the answer is a page or an error with a code.
func FuzzQuery(f *testing.F) {
	s, err := New(Config{Options: simulate.Options{Rows: 50}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add("fields", "id,campaign.name", "orderBy", "updatedAt DESC,id")
	f.Add("updatedAtAfterOrEqualTo", "2025-01-01T00:00:00+00:00", "fields", "id,senderOptions.type")
	f.Add("idLessThan", "7", "deleted", "all")
	f.Add("createdByIdIsNull", "true", "limit", "3")
	f.Fuzz(func(t *testing.T, a, b, c, d string) {
		l := &lab{Server: s, t: t}
		for _, collection := range []string{"campaigns", "emails"} {
			p := l.v5(collection, "fields", "id", a, b, c, d)
			if ok := p.status == http.StatusOK; ok == (p.Code != 0) || ok != (p.Values != nil) {
				t.Errorf("%s: status %d, code %d, %d values", collection, p.status, p.Code, len(p.Values))
			}
		}
	})
}
