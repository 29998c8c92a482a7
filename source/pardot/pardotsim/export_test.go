package pardotsim

import (
	"encoding/csv"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/martsync/martsync/simulate"
)

const createPath = "/api/export/version/4/do/create?format=json"

// export creates an export of version 4 and returns its id.
func (d *desk) export(body string) int64 {
	d.t.Helper()
	a := d.post(createPath, body)
	if a.code() != 0 {
		d.t.Fatalf("create: %d %s", a.status, a.body)
	}
	return integer(d.t, a.object(d.t)["export"].(map[string]any)["id"])
}

func (d *desk) read(id int64) map[string]any {
	d.t.Helper()
	return d.v4("export/version/4/do/read/id/" + strconv.FormatInt(id, 10))["export"].(map[string]any)
}

// finished moves time until the export ends and returns it.
func (d *desk) finished(id int64) map[string]any {
	d.t.Helper()
	for range 600 {
		if x := d.read(id); x["state"] != stateWaiting && x["state"] != stateProcessing {
			return x
		}
		d.clock.Advance(time.Minute)
		d.token = d.login()
	}
	d.t.Fatal("the export does not end")
	return nil
}

// table downloads the files of an export: header, and rows by id.
func (d *desk) table(x map[string]any) (header []string, byID map[string][]string, order []string) {
	d.t.Helper()
	byID = make(map[string][]string)
	for _, ref := range listOf(x["resultRefs"]) {
		a := d.get(ref)
		if a.status != http.StatusOK || !strings.HasPrefix(a.header.Get("Content-Type"), "text/csv") || a.header.Get("Content-Length") != strconv.Itoa(len(a.body)) {
			d.t.Fatalf("download: status %d, %v", a.status, a.header)
		}
		records, err := csv.NewReader(strings.NewReader(a.body)).ReadAll()
		if err != nil {
			d.t.Fatal(err)
		}
		if len(records) < 2 {
			d.t.Error("a file has no rows")
		}
		header = records[0]
		for _, r := range records[1:] {
			id := r[slices.Index(header, "id")]
			if byID[id] != nil {
				d.t.Errorf("row %s comes twice", id)
			}
			byID[id] = r
			order = append(order, id)
		}
	}
	return header, byID, order
}

func body(object, procedure string, fields []string, arguments ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, `{"object":%q,`, object)
	if fields != nil {
		fmt.Fprintf(&b, `"fields":["%s"],`, strings.Join(fields, `","`))
	}
	fmt.Fprintf(&b, `"procedure":{"name":%q,"arguments":{`, procedure)
	for i := 0; i < len(arguments); i += 2 {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "%q:%q", arguments[i], arguments[i+1])
	}
	return b.String() + "}}}"
}

func TestS16CreateValidates(t *testing.T) {
	users := DefaultUsers()
	users[0].Denied = []string{abilityLists}
	d := newDesk(t, Config{Wire: Wire{Users: users}})
	const updated = "filter_by_updated_at"
	many := make([]string, 151)
	for i := range many {
		many[i] = "id"
	}
	tests := []struct {
		name string
		body string
		code int
	}{
		{"as documented", body("visitorActivity", updated, []string{"id", "type"}, "updated_after", "2026-03-01 00:00:00", "updated_before", "2026-03-03 00:00:00"), 0},
		{"other case", body("visitoractivity", updated, nil, "updated_after", "yesterday"), 0},
		{"unknown object", body("opportunity", updated, nil, "updated_after", "yesterday"), 154},
		{"no object", `{"procedure":{"name":"filter_by_updated_at"}}`, 153},
		{"no procedure", `{"object":"prospect"}`, 153},
		{"unknown procedure", body("prospect", "filter_by_created_at", nil, "created_after", "yesterday"), 174},
		{"unknown argument", body("prospect", updated, nil, "updated_after", "yesterday", "type", "1"), 175},
		{"argument of the other procedure", body("visitorActivity", updated, nil, "created_after", "yesterday"), 175},
		{"missing argument", body("visitorActivity", updated, nil, "updated_before", "yesterday"), 176},
		{"invalid time", body("visitorActivity", updated, nil, "updated_after", "soon"), 177},
		{"invalid type", body("visitorActivity", updated, nil, "updated_after", "yesterday", "type", "click"), 177},
		{"deleted of prospects", body("prospect", updated, nil, "updated_after", "yesterday", "deleted", "true"), 177},
		{"all prospects", body("prospect", updated, nil, "updated_after", "yesterday", "deleted", "all"), 0},
		{"a year", body("visitor", updated, nil, "updated_after", "2025-03-01 00:00:00", "updated_before", "2026-03-01 00:00:00"), 0},
		{"more than a year", body("visitor", updated, nil, "updated_after", "2025-03-01 00:00:00", "updated_before", "2026-03-01 00:00:01"), 177},
		{"more than a year until now", body("visitor", updated, nil, "updated_after", "2025-03-01"), 177},
		{"reversed", body("visitor", updated, nil, "updated_after", "2026-03-02", "updated_before", "2026-03-01"), 177},
		{"unknown field", body("prospect", updated, []string{"id", "kite"}, "updated_after", "yesterday", "deleted", "all"), 180},
		{"grade of prospects", body("prospect", updated, []string{"id", "grade"}, "updated_after", "yesterday", "deleted", "all"), 180},
		{"custom field", body("prospect", updated, []string{"id", "budget"}, "updated_after", "yesterday", "deleted", "all"), 0},
		{"151 fields", body("prospect", updated, many, "updated_after", "yesterday", "deleted", "all"), 154},
		{"no JSON", `{`, 150},
		{"no body", ``, 151},
		{"a list without the ability", body("listMembership", updated, nil, "updated_after", "yesterday"), 46},
		{"accounts, one procedure", body("prospectAccount", "filter_by_prospect_updated_at", nil, "prospect_updated_after", "yesterday"), 0},
		{"accounts, the other", body("prospectAccount", updated, nil, "updated_after", "yesterday"), 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := d.post(createPath, tt.body)
			if a.code() != tt.code || tt.code != 0 && a.status != http.StatusBadRequest {
				t.Errorf("got %d %s, want code %d", a.status, a.body, tt.code)
			}
			if tt.code == 0 && a.object(t)["export"].(map[string]any)["state"] != stateWaiting && a.object(t)["export"].(map[string]any)["state"] != stateProcessing {
				t.Errorf("got %s, want an export that waits", a.body)
			}
		})
	}
	if a := d.get(createPath); a.code() != 60 {
		t.Errorf("GET: got %s, want code 60", a.body)
	}
	d.s.cfg.AccountBy = "filter_by_updated_at"
	if a := d.post(createPath, body("prospectAccount", "filter_by_prospect_updated_at", nil, "prospect_updated_after", "yesterday")); a.code() != 174 {
		t.Errorf("a procedure that this account lacks: got %s, want code 174", a.body)
	}
}

func TestS17StatesAndQueue(t *testing.T) {
	took := 10 * time.Minute
	d := newDesk(t, Config{ProcessTime: func(int64) time.Duration { return took }})
	if err := d.s.AddFault("stuck:nth=3,for=5h"); err != nil {
		t.Fatal(err)
	}
	if err := d.s.AddFault("fail:nth=2"); err != nil {
		t.Fatal(err)
	}
	var ids []int64
	for range 3 {
		ids = append(ids, d.export(body("visitor", "filter_by_updated_at", []string{"id"}, "updated_after", "2026-03-01")))
	}
	states := func() string {
		var list []string
		for _, id := range ids {
			list = append(list, fmt.Sprint(d.read(id)["state"]))
		}
		return strings.Join(list, " ")
	}
	for _, step := range []struct {
		advance time.Duration
		want    string
	}{
		{0, "Processing Waiting Waiting"},
		{9 * time.Minute, "Processing Waiting Waiting"},
		{time.Minute, "Complete Processing Waiting"},
		{10 * time.Minute, "Complete Failed Waiting"},
		{4 * time.Hour, "Complete Failed Waiting"},
		{45 * time.Minute, "Complete Failed Processing"},
		{10 * time.Minute, "Complete Failed Complete"},
	} {
		d.clock.Advance(step.advance)
		d.token = d.login()
		if got := states(); got != step.want {
			t.Errorf("%s later: got %s, want %s", step.advance, got, step.want)
		}
	}
	if err := d.s.AddFault("stuck:for=400h"); err != nil {
		t.Fatal(err)
	}
	late := d.export(body("visitor", "filter_by_updated_at", nil, "updated_after", "2026-03-01"))
	d.clock.Advance(7 * 24 * time.Hour)
	d.token = d.login()
	if got := d.read(late)["state"]; got != stateCanceled {
		t.Errorf("unprocessed for a week: got %v, want Canceled", got)
	}
	if err := d.s.FailExports(1); err != nil {
		t.Fatal(err)
	}
	if got := d.finished(d.export(body("visitor", "filter_by_updated_at", nil, "updated_after", "2026-03-01")))["state"]; got != stateFailed {
		t.Errorf("FailExports: got %v, want Failed", got)
	}
}

func TestS18References(t *testing.T) {
	d := newDesk(t, Config{Options: simulate.Options{Rows: 900}})
	all := body("visitorActivity", "filter_by_updated_at", []string{"id", "type"}, "updated_after", "2025-03-20")
	kinds := make(map[string]bool)
	var several map[string]any
	for range 6 {
		x := d.finished(d.export(all))
		kinds[fmt.Sprintf("%T", x["resultRefs"])] = true
		if list := listOf(x["resultRefs"]); len(list) > 2 && !slices.IsSorted(list) {
			several = x
		}
	}
	one := d.finished(d.export(body("visitor", "filter_by_updated_at", nil, "updated_after", "2026-03-12", "updated_before", "2026-03-13")))
	none := d.finished(d.export(body("visitor", "filter_by_updated_at", nil, "updated_after", "2026-03-16 10:29:00")))
	if _, ok := one["resultRefs"].(string); !ok {
		t.Errorf("one file: got %v, want a string", one["resultRefs"])
	}
	if v, there := none["resultRefs"]; there || none["state"] != stateComplete {
		t.Errorf("no rows: got %v in %v, want Complete without resultRefs", v, none["state"])
	}
	if several == nil {
		t.Fatalf("no export has more than two files in shuffled order: %v", kinds)
	}
	_, byID, order := d.table(several)
	var want []string
	t0 := d.s.table("visitor_activities")
	for i := range d.s.state.Load().total(t0) {
		after, _ := gnuDate("2025-03-20", d.clock.Now(), d.s.zone.Load(), false)
		if r := d.s.state.Load().at(t0, i); !r.gone && r.updated > after.Unix() {
			want = append(want, strconv.FormatInt(r.id, 10))
		}
	}
	got := slices.Clone(order)
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("ids in the files (-want +got):\n%s", diff)
	}
	if slices.IsSortedFunc(order, func(a, b string) int { return len(a) - len(b) + strings.Compare(a, b) }) || len(byID) == 0 {
		t.Error("the rows come in order")
	}
	ref := listOf(several["resultRefs"])[0]
	if a := d.get(ref, func(r *http.Request) { r.Header.Del("Authorization") }); a.code() != 49 {
		t.Errorf("download without authorization: got %s, want code 49", a.body)
	}
	if a := d.get(ref, func(r *http.Request) { r.Header.Del(unitHeader) }); a.code() != 181 {
		t.Errorf("download without business unit: got %s, want code 181", a.body)
	}
	for _, r := range rows(t, d.v4("export/version/4/do/query"), "export") {
		if _, there := r["resultRefs"]; there {
			t.Error("a list tells where files are")
		}
	}
	list := rows(t, d.v4("export/version/4/do/query", "status", "complete", "object", "visitor", "sort_by", "id", "sort_order", "ascending"), "export")
	if len(list) != 2 || integer(t, list[0]["id"]) >= integer(t, list[1]["id"]) {
		t.Errorf("complete exports of visitors: got %v, want two by id", list)
	}
}

func TestS18OthersExports(t *testing.T) {
	users := DefaultUsers()
	users[1].Denied = []string{abilityExports}
	d := newDesk(t, Config{Wire: Wire{Users: users}})
	id := d.export(body("visitor", "filter_by_updated_at", nil, "updated_after", "yesterday"))
	u := users[1]
	_, reply := d.oauth(map[string][]string{"grant_type": {"client_credentials"}, "client_id": {u.ClientID}, "client_secret": {u.Secret}})
	d.token = reply["access_token"].(string)
	for _, path := range []string{"read/id/" + fmt.Sprint(id), "query"} {
		if a := d.get("/api/export/version/4/do/" + path + "?format=json"); a.code() != 46 {
			t.Errorf("%s: got %s, want code 46", path, a.body)
		}
	}
	if a := d.get("/api/export/version/4/do/read/id/5?format=json"); a.code() != 109 {
		t.Errorf("no export: got %s, want code 109", a.body)
	}
}

func TestS19ExportsExpire(t *testing.T) {
	d := newDesk(t, Config{})
	id := d.export(body("visitor", "filter_by_updated_at", nil, "updated_after", "2026-03-01"))
	if a := d.get(fmt.Sprintf("/api/export/version/4/do/downloadResults/id/%d/file/51?format=json", id)); a.code() != 178 {
		t.Errorf("download before completion: got %s, want code 178", a.body)
	}
	x := d.finished(id)
	ref := listOf(x["resultRefs"])[0]
	d.clock.Advance(6*24*time.Hour + 23*time.Hour + 50*time.Minute)
	d.token = d.login()
	if a := d.get(ref); a.status != http.StatusOK || d.read(id)["isExpired"] != false {
		t.Errorf("before seven days: got %d, %v", a.status, d.read(id))
	}
	d.clock.Advance(time.Hour)
	x = d.read(id)
	if _, there := x["resultRefs"]; there || x["isExpired"] != true || x["state"] != stateComplete {
		t.Errorf("after seven days: got %v, want an expired one without references", x)
	}
	if a := d.get(ref + "?format=json"); a.status != http.StatusBadRequest || a.code() != 178 {
		t.Errorf("download after seven days: got %d %s, want 400 and code 178", a.status, a.body)
	}
}

func TestS20Files(t *testing.T) {
	d := newDesk(t, Config{Options: simulate.Options{Rows: 900}})
	id := d.export(body("prospect", "filter_by_updated_at", nil, "updated_after", "2025-03-20", "deleted", "all"))
	// The user moves after the creation: the file keeps the zone of its creation.
	if err := d.s.SetUserZone("Asia/Tokyo"); err != nil {
		t.Fatal(err)
	}
	zone, err := time.LoadLocation("America/New_York")
	if err != nil {
		t.Fatal(err)
	}
	x := d.finished(id)
	raw := d.get(listOf(x["resultRefs"])[0]).body
	if strings.HasPrefix(raw, "\ufeff") || !strings.HasPrefix(raw, "id,") {
		t.Errorf("the file begins with %.20q, want a header without byte order mark", raw)
	}
	header, byID, _ := d.table(x)
	if slices.Contains(header, "grade") || slices.Contains(header, "notes") || !slices.Contains(header, "budget") {
		t.Errorf("header: %v", header)
	}
	var nulls, breaks, quotes, archived int
	for id, row := range byID {
		n, err := strconv.ParseInt(id, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		r := d.s.get("prospects", n, binShown)
		for i, name := range header {
			col := d.s.table("prospects").column4(name)
			switch v := r.value(col).(type) {
			case nil:
				nulls++
				if row[i] != "" {
					t.Errorf("%s of %s: got %q for a null", name, id, row[i])
				}
			case string:
				breaks += strings.Count(v, "\n")
				quotes += strings.Count(v, `"`)
				if want := strings.ReplaceAll(v, "\r\n", "\n"); strings.ReplaceAll(row[i], "\r\n", "\n") != want {
					t.Errorf("%s of %s: got %q, want %q", name, id, row[i], v)
				}
			case stamp:
				if want := v.time().In(zone).Format(time.DateTime); row[i] != want {
					t.Errorf("%s of %s: got %s, want %s", name, id, row[i], want)
				}
			case bool:
				if row[i] != strconv.FormatBool(v) {
					t.Errorf("%s of %s: got %s, want %t", name, id, row[i], v)
				}
			}
		}
		if r.deleted {
			archived++
		}
	}
	if nulls == 0 || breaks == 0 || quotes == 0 || archived == 0 {
		t.Errorf("nulls %d, line breaks %d, quotes %d, archived %d: the file should have all of them", nulls, breaks, quotes, archived)
	}
}

// An export holds the account as it was when processing started, whatever happens while it is
// processed and read.
func TestS20Snapshot(t *testing.T) {
	d := newDesk(t, Config{Options: simulate.Options{Rows: 600}, ProcessTime: func(int64) time.Duration { return 10 * time.Minute }})
	arguments := []string{"updated_after", "2025-03-20", "updated_before", "2026-03-20", "deleted", "all"}
	fields := []string{"id", "email", "score", "updated_at"}
	first := d.export(body("prospect", "filter_by_updated_at", fields, arguments...))
	second := d.export(body("prospect", "filter_by_updated_at", fields, arguments...))
	d.clock.Advance(5 * time.Minute)
	d.s.Change(200) // the first is being processed, the second waits
	a := d.finished(first)
	_, before, _ := d.table(a)
	d.s.Change(200)
	_, again, _ := d.table(a)
	if diff := cmp.Diff(before, again); diff != "" {
		t.Errorf("the files have changed while they were read (-first +second):\n%.2000s", diff)
	}
	_, after, _ := d.table(d.finished(second))
	for id, row := range before {
		if r := after[id]; r != nil && r[3] != row[3] {
			return // the second one shows the change
		}
	}
	t.Error("the export that started after the change does not show it")
}

func TestExportsOfVersion5(t *testing.T) {
	d := newDesk(t, Config{Options: simulate.Options{Rows: 900}})
	const path = "/api/v5/exports"
	create := func(object, procedure, more string, arguments ...string) answer {
		b := body(object, procedure, []string{"id", "email", "campaign.name", "updatedAt"}, arguments...)
		return d.post(path, strings.TrimSuffix(b, "}")+more+"}")
	}
	good := []string{"updatedAfter", "2025-04-01T00:00:00-04:00", "deleted", "all"}
	const updated = "filter_by_updated_at"
	for _, tt := range []struct {
		name string
		a    answer
		code int
	}{
		{"unknown object", create("Form", updated, "", good...), 154},
		{"unknown procedure", create("Prospect", "filter_by_sent_at", "", good...), 174},
		{"arguments of version 4", create("Prospect", updated, "", "updated_after", "2025-04-01T00:00:00-04:00"), 175},
		{"time in Z", create("Prospect", updated, "", "updatedAfter", "2025-04-01T00:00:00Z"), 177},
		{"more than a year", create("Prospect", updated, "", "updatedAfter", "2024-04-01T00:00:00+00:00"), 177},
		{"small files", create("Prospect", updated, `,"maxFileSizeBytes":9999999`, good...), 231},
		{"large files", create("Prospect", updated, `,"maxFileSizeBytes":200000001`, good...), 232},
		{"no fields in a read", d.get(path + "/9901"), 13},
		{"unknown field in a read", d.get(path + "/9901?fields=kite"), 51},
		{"no export", d.get(path + "/9999?fields=id"), 109},
	} {
		if tt.a.code() != tt.code {
			t.Errorf("%s: got %d %s, want code %d", tt.name, tt.a.status, tt.a.body, tt.code)
		}
	}
	a := create("prospect", updated, `,"includeByteOrderMark":true`, good...)
	if a.status != http.StatusCreated || a.header.Get("Location") == "" {
		t.Fatalf("create: got %d %s", a.status, a.body)
	}
	id := integer(t, a.object(t)["id"])
	if a := d.get(fmt.Sprintf("/api/export/version/4/do/read/id/%d?format=json", id)); a.code() != 228 {
		t.Errorf("the other version: got %s, want code 228", a.body)
	}
	d.clock.Advance(10 * time.Minute)
	x := d.get(fmt.Sprintf("%s/%d?fields=id,status,isExpired,resultRefs,createdAt", path, id)).object(t)
	refs := listOf(x["resultRefs"])
	if x["status"] != stateComplete || len(refs) == 0 || !strings.HasSuffix(fmt.Sprint(x["createdAt"]), "-04:00") {
		t.Fatalf("got %v, want a complete export with references and offsets", x)
	}
	n := 0
	for _, ref := range refs {
		file := d.get(ref)
		text, ok := strings.CutPrefix(file.body, "\ufeff")
		records, err := csv.NewReader(strings.NewReader(text)).ReadAll()
		if !ok || err != nil || records[0][2] != "campaign.name" {
			t.Fatalf("file: %t, %v, %.80q; want a byte order mark and the fields asked for", ok, err, file.body)
		}
		for _, row := range records[1:] {
			id, err := strconv.ParseInt(row[0], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			r := d.s.get("prospects", id, binShown)
			at, err := time.Parse(time.RFC3339, row[3])
			if err != nil || at.Unix() != r.updated {
				t.Errorf("updatedAt of %d: got %s, want %s", id, row[3], stamp(r.updated).time())
			}
			if c := d.s.get("campaigns", r.number("campaignId"), binShown); c != nil && c.text("name") != row[2] {
				t.Errorf("campaign of %d: got %q, want %q", id, row[2], c.text("name"))
			}
			n++
		}
	}
	if n == 0 {
		t.Error("no rows")
	}
	create("Prospect", updated, "", good...)
	page := d.get(path + "?fields=id,status,resultRefs&limit=1").object(t)
	values := page["values"].([]any)
	if len(values) != 1 || values[0].(map[string]any)["resultRefs"] != nil || page["nextPageToken"] == nil {
		t.Fatalf("list: got %v", page)
	}
	next := d.get(fmt.Sprint(page["nextPageUrl"])).object(t)
	if values := next["values"].([]any); len(values) != 1 || values[0].(map[string]any)["status"] == stateComplete || next["nextPageToken"] != nil {
		t.Errorf("second page: got %v", next)
	}
}

func TestFilesOfVersion5AreSmallEnough(t *testing.T) {
	d := newDesk(t, Config{Options: simulate.Options{Rows: 3000}})
	st := d.s.state.Load()
	x := &export{version: 5, id: firstExport, zone: time.UTC, most: 60_000, query: query{table: st.byName["visitor_activities"], state: st}}
	for _, c := range x.query.table.columns[:6] {
		x.fields = append(x.fields, exportField{c.name, func(r *record) any { return r.value(c) }})
	}
	total, err := d.s.makeFiles(x)
	if err != nil {
		t.Fatal(err)
	}
	var want int64
	for range d.s.each(x.query) {
		want++
	}
	for _, f := range x.files {
		if f.file.Size > x.most || f.file.Rows == 0 {
			t.Errorf("a file of %d bytes and %d rows, want at most %d bytes", f.file.Size, f.file.Rows, x.most)
		}
	}
	if total.Rows != want || len(x.files) < 10 {
		t.Errorf("%d rows in %d files, want %d rows", total.Rows, len(x.files), want)
	}
}

// Any part of a file can be made again from any mark.
func TestFilesAreRepeatable(t *testing.T) {
	d := newDesk(t, Config{Options: simulate.Options{Rows: 1000}})
	x := d.finished(d.export(body("visitorActivity", "filter_by_updated_at", nil, "updated_after", "2025-03-20")))
	for _, f := range d.s.exports.list[0].files {
		var whole, parts strings.Builder
		if err := f.file.WriteRange(&whole, 0, f.file.Size); err != nil {
			t.Fatal(err)
		}
		for at := int64(0); at < f.file.Size; at += 700_001 {
			if err := f.file.WriteRange(&parts, at, min(700_001, f.file.Size-at)); err != nil {
				t.Fatal(err)
			}
		}
		if whole.String() != parts.String() {
			t.Errorf("file %d of %d bytes differs when it is made in parts", f.id, f.file.Size)
		}
	}
	if len(listOf(x["resultRefs"])) == 0 {
		t.Error("no files")
	}
}
