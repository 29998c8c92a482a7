package pardot

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/martsync/martsync"
)

func TestWithMembers(t *testing.T) {
	members := []complement{{"a", []byte(`[1]`)}, {`q"`, []byte(`"x"`)}}
	for _, tc := range [][2]string{
		{`{}`, `{"a":[1],"q\"":"x"}`},
		{`{ }`, `{"a":[1],"q\"":"x"}`},
		{` {"id":1, "a":null } `, `{"id":1, "a":null,"a":[1],"q\"":"x"}`},
		{`[]`, `[]`},
		{`x`, `x`},
	} {
		in := []byte(tc[0])
		if got := string(withMembers(in, members)); got != tc[1] {
			t.Errorf("%s became %s, want %s", tc[0], got, tc[1])
		}
		if string(in) != tc[0] {
			t.Errorf("%s itself was changed to %s", tc[0], in)
		}
	}
	if got := string(withMembers([]byte(`{"id":1}`), nil)); got != `{"id":1}` {
		t.Errorf("nothing to add made it %s", got)
	}
}

func TestMultipleValues(t *testing.T) {
	for _, tc := range []struct {
		raw      string
		entities bool
		want     string
	}{
		{`{"value":["red","teal"]}`, true, `["red","teal"]`},
		{`{"value":"red"}`, true, `["red"]`},
		{`"red"`, true, `["red"]`},
		{`["red",null,"","a, b"]`, false, `["red","a, b"]`},
		{`{"value":["R&amp;B","&amp;lt;"]}`, true, `["R&B","&lt;"]`},
		{`{"value":["R&amp;B"]}`, false, `["R&amp;B"]`},
		{`{"value":[1,2.50]}`, true, `["1","2.50"]`},
		{`true`, false, `["true"]`},
		{``, true, ``},
		{`null`, true, ``},
		{`""`, true, ``},
		{`{}`, true, ``},
		{`{"value":[]}`, true, ``},
		{`{"value":{"value":"red"}}`, true, `["red"]`},
		{`{"other":1}`, true, ``},
	} {
		if got := string(multipleValues([]byte(tc.raw), tc.entities)); got != tc.want {
			t.Errorf("%s (entities %v) is %s, want %s", tc.raw, tc.entities, got, tc.want)
		}
	}
}

func FuzzMultipleValues(f *testing.F) {
	f.Add(`{"value":["red","teal"]}`, true)
	f.Add(`[{"value":1},"\ud800",[]]`, false)
	f.Fuzz(func(t *testing.T, raw string, entities bool) {
		if !json.Valid([]byte(raw)) {
			return
		}
		got := multipleValues([]byte(raw), entities)
		var texts []string
		if got != nil && (json.Unmarshal(got, &texts) != nil || len(texts) == 0) {
			t.Errorf("%s is %s, want nothing or an array of texts", raw, got)
		}
	})
}

// A person is a prospect of a crowd.
type person4 struct {
	id      int64
	colors  string // as version 4 writes it; "": absent
	colors5 string // as version 5 writes it in a read by id; "": null
	updated time.Time
	binned  bool
	gone4   bool // version 4 does not list it
}

// crowdDesk has prospects with a multi-value field kite_colors.
func crowdDesk(t testing.TB, people []person4) *desk {
	return newDesk(t, func(path string, q url.Values) answer {
		switch path {
		case "/api/v5/objects/custom-fields":
			return ok5(`{"id":1,"name":"Kite colors","fieldId":"kite_colors","type":"Multi-Select","isRecordMultipleResponses":false}`)
		case "/api/prospectAccount/version/4/do/describe":
			return ok4(`"result":{"field":[]}`)
		case "/api/v5/objects/prospects":
			return crowdPage5(people, q)
		case "/api/prospect/version/4/do/query":
			return crowdPage4(people, q)
		}
		if id, ok := strings.CutPrefix(path, "/api/v5/objects/prospects/"); ok {
			for _, p := range people {
				if strconv.FormatInt(p.id, 10) == id && (!p.binned || q.Get("deleted") == "all") {
					return answer{body: fmt.Sprintf(`{"id":%d,"kite_colors__c":%s}`, p.id, or(p.colors5, "null"))}
				}
			}
		}
		return answer{}
	})
}

func or(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

func crowdPage5(people []person4, q url.Values) answer {
	if strings.Contains(q.Get("fields"), "kite_colors__c") {
		return fail5(400, 224, "These fields are not queryable: kite_colors__c")
	}
	after, _ := strconv.ParseInt(q.Get("idGreaterThan"), 10, 64)
	limit, _ := strconv.Atoi(q.Get("limit"))
	from, _ := time.Parse("2006-01-02T15:04:05-07:00", q.Get("updatedAtAfterOrEqualTo"))
	to, _ := time.Parse("2006-01-02T15:04:05-07:00", q.Get("updatedAtBefore"))
	var rows []string
	more := false
	for _, p := range people {
		if p.id <= after || !from.IsZero() && p.updated.Before(from) || !to.IsZero() && !p.updated.Before(to) {
			continue
		}
		if more = len(rows) == limit; more {
			break
		}
		at := p.updated.Format("2006-01-02T15:04:05+00:00")
		rows = append(rows, fmt.Sprintf(`{"id":%d,"email":"p%d@x.example","isDeleted":%v,"createdAt":"%s","updatedAt":"%s"}`, p.id, p.id, p.binned, at, at))
	}
	a := ok5(rows...)
	if more {
		a.body = strings.Replace(a.body, `"nextPageToken":null`, `"nextPageToken":"x"`, 1)
	}
	return a
}

func crowdPage4(people []person4, q url.Values) answer {
	if q.Get("sort_by") != "id" || q.Get("fields") != "id,kite_colors" {
		return fail4(19, "bad query "+q.Encode())
	}
	after, _ := strconv.ParseInt(q.Get("id_greater_than"), 10, 64)
	before, _ := strconv.ParseInt(q.Get("id_less_than"), 10, 64)
	limit, _ := strconv.Atoi(q.Get("limit"))
	from, _ := time.Parse(time.DateTime, q.Get("updated_after"))
	to, err := time.Parse(time.DateTime, q.Get("updated_before"))
	var rows []string
	for _, p := range people {
		if err == nil && !p.updated.Before(to) || p.gone4 || p.id <= after || p.id >= before || len(rows) == limit || p.binned != (q.Get("deleted") == "true") || !from.IsZero() && !p.updated.After(from) {
			continue
		}
		colors := ""
		if p.colors != "" {
			colors = `,"kite_colors":` + p.colors
		}
		rows = append(rows, fmt.Sprintf(`{"id":%d%s}`, p.id, colors))
	}
	switch len(rows) {
	case 0:
		return ok4(`"result":null`)
	case 1:
		return ok4(`"result":{"prospect":` + rows[0] + `}`)
	}
	return ok4(`"result":{"prospect":[` + strings.Join(rows, ",") + `]}`)
}

// prospects makes the stream of prospects.
func prospectsOf(t testing.TB, s *source) martsync.Stream {
	t.Helper()
	st, err := s.newStream(t.Context(), objectOf(prospectStream))
	if err != nil {
		t.Fatal(err)
	}
	return st
}

func colorsOf(t testing.TB, st martsync.Stream, o outcome) map[string]string {
	t.Helper()
	colors := map[string]string{}
	for _, row := range o.rows {
		colors[cell(t, st.Schema(), row, "id")] = cell(t, st.Schema(), row, "kite_colors__c")
	}
	return colors
}

func TestX21MultipleValuesAreJoinedFromVersion4(t *testing.T) {
	var people []person4
	want := map[string]string{}
	for i := range int64(1450) { // two pages of version 5, eight of version 4
		p := person4{id: 10 + 3*i, updated: march.Add(time.Duration(i) * time.Second), binned: i%10 == 7}
		id := strconv.FormatInt(p.id, 10)
		switch i % 4 {
		case 0:
			p.colors, want[id] = `{"value":["red","R&amp;B"]}`, `["red","R&B"]`
		case 1:
			p.colors, want[id] = `{"value":"teal"}`, `["teal"]`
		case 2:
			p.colors, want[id] = `"grey"`, `["grey"]`
		default:
			want[id] = "null"
		}
		people = append(people, p)
	}
	d := crowdDesk(t, people)
	st := prospectsOf(t, d.open(t))
	if i := st.Schema().Columns[indexOf(t, st.Schema(), "kite_colors__c")]; i.Type != martsync.JSON || i.Sticky {
		t.Errorf("column %+v, want JSON whose null counts: a field can be emptied", i)
	}
	got, err := readAll(t, st, "")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, colorsOf(t, st, got)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if n := len(d.requests("/api/v5/objects/prospects/")); n != 0 {
		t.Errorf("%d reads by id, want none: version 4 lists all of them", n)
	}
	for _, r := range d.requests("/api/prospect/version/4/") {
		if strings.Contains(r, "updated_") {
			t.Errorf("%s has bounds where the window has none", r)
		}
	}
	calls := int64(0)
	for _, w := range got.windows {
		calls += w.Calls
	}
	if made := int64(len(d.requests("/objects/prospects?")) + len(d.requests("/api/prospect/version/4/"))); calls < made {
		t.Errorf("the windows count %d calls, %d were made", calls, made)
	}
}

func indexOf(t testing.TB, schema martsync.Schema, name string) int {
	t.Helper()
	i := schema.Index(name)
	if i < 0 {
		t.Fatalf("%s has no column %s", schema.Stream, name)
	}
	return i
}

func TestMultipleValuesOfWhoMovedMeanwhile(t *testing.T) {
	people := []person4{
		{id: 1, colors: `"red"`, updated: march},
		{id: 2, colors5: `["teal"]`, updated: march, gone4: true},             // moved between two calls
		{id: 3, colors5: `"grey"`, updated: march, gone4: true, binned: true}, // in the bin, where only version 5 finds it
		{id: 4, colors: `"blue"`, updated: march, binned: true},
		{id: 5, updated: march},
	}
	d := crowdDesk(t, people)
	st := prospectsOf(t, d.open(t))
	got, err := readAll(t, st, "")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"1": `["red"]`, "2": `["teal"]`, "3": `["grey"]`, "4": `["blue"]`, "5": "null"}
	if diff := cmp.Diff(want, colorsOf(t, st, got)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestMultipleValuesOfAFewAreReadByID(t *testing.T) {
	people := []person4{{id: 1, colors5: `["red"]`, updated: march}, {id: 2, updated: march, colors5: `"teal"`}}
	d := crowdDesk(t, people)
	st := prospectsOf(t, d.open(t))
	got, err := readAll(t, st, "")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"1": `["red"]`, "2": `["teal"]`}, colorsOf(t, st, got)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if n := len(d.requests("/api/prospect/version/4/")); n != 0 {
		t.Errorf("%d queries of version 4 for two prospects, want none", n)
	}
}

func TestMultipleValuesOfAWindow(t *testing.T) {
	var people []person4
	for i := range int64(400) {
		people = append(people, person4{id: i + 1, colors: `"red"`, updated: march})
	}
	d := crowdDesk(t, people)
	st := prospectsOf(t, d.open(t))
	first, err := readAll(t, st, "")
	if err != nil {
		t.Fatal(err)
	}
	if err := d.clock.Sleep(t.Context(), 24*time.Hour); err != nil {
		t.Fatal(err)
	}
	moved := d.clock.Now().Add(-time.Hour)
	want := map[string]string{}
	for i := range people {
		if i%40 == 0 {
			people[i].updated, people[i].colors = moved, `{"value":["green","teal"]}`
			want[strconv.FormatInt(people[i].id, 10)] = `["green","teal"]`
		}
	}
	before := len(d.requests("/api/prospect/version/4/"))
	got, err := readAll(t, st, first.cursor)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, colorsOf(t, st, got)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	// The bound keeps away who has not changed; there is none above, where one may change meanwhile.
	asked := d.requests("/api/prospect/version/4/")[before:]
	if len(asked) != 1 || !strings.Contains(asked[0], "updated_after=") || strings.Contains(asked[0], "updated_before=") {
		t.Errorf("version 4 was asked %q, want one query after the window's beginning", asked)
	}
}

func TestMultipleValuesOfShortOldWindows(t *testing.T) {
	// The vendor manages windows of about a year only. A few of each lie among many that changed later.
	var people []person4
	want := map[string]string{}
	for i := range int64(6000) {
		p := person4{id: i + 1, colors: `"red"`, updated: march}
		if i%100 == 0 {
			p.updated = time.Date(2012+int(i/100)%6, 7, 1, 0, 0, 0, 0, time.UTC)
		}
		people = append(people, p)
		want[strconv.FormatInt(p.id, 10)] = `["red"]`
	}
	d := crowdDesk(t, people)
	inner := d.answer
	d.answer = func(path string, q url.Values) answer {
		from, err1 := time.Parse("2006-01-02T15:04:05-07:00", q.Get("updatedAtAfterOrEqualTo"))
		to, err2 := time.Parse("2006-01-02T15:04:05-07:00", q.Get("updatedAtBefore"))
		if path == "/api/v5/objects/prospects" && (err2 != nil || err1 == nil && to.Sub(from) > 400*24*time.Hour && from.Before(march.AddDate(-1, 0, 0)) || err1 != nil && to.Year() > 2009) {
			return fail5(400, 202, "You have exceeded your minute rate limit")
		}
		return inner(path, q)
	}
	st := prospectsOf(t, d.open(t))
	got, err := readAll(t, st, "")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, colorsOf(t, st, got)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if n := len(d.requests("/api/prospect/version/4/")); n > 60 {
		t.Errorf("version 4 was asked %d times for the values of 6000 prospects, want about 30", n)
	}
}

func TestX17MultipleValuesWithoutAField(t *testing.T) {
	people := []person4{{id: 1, updated: march}, {id: 2, updated: march}, {id: 3, updated: march}, {id: 4, updated: march}}
	d := crowdDesk(t, people)
	inner := d.answer
	d.answer = func(path string, q url.Values) answer {
		if path == "/api/prospect/version/4/do/query" && strings.Contains(q.Get("fields"), "kite_colors") {
			return fail4(130, "One or more fields are invalid: kite_colors")
		}
		return inner(path, q)
	}
	st := prospectsOf(t, d.open(t))
	got, err := readAll(t, st, "")
	if err != nil || len(got.rows) != 4 {
		t.Fatalf("%d rows, %v, want 4", len(got.rows), err)
	}
	if !slices.ContainsFunc(got.notes, func(n string) bool { return strings.HasPrefix(n, "schema: ") && strings.Contains(n, "kite_colors") }) {
		t.Errorf("notes %q, want one about the schema that names kite_colors", got.notes)
	}
}

// A newsletter is a list email of a press.
type newsletter struct {
	id   int64
	sent time.Time // zero: it is not
}

// pressDesk has list emails, their messages and what became of them.
func pressDesk(t testing.TB, letters []newsletter, stats func(id int64) answer) *desk {
	return newDesk(t, func(path string, q url.Values) answer {
		if path == "/api/v5/objects/list-emails" {
			return pressPage(letters, q)
		}
		if id, ok := strings.CutPrefix(path, "/api/email/version/4/do/stats/id/"); ok && stats == nil {
			return ok4(fmt.Sprintf(`"stats":{"sent":%s,"unique_opens":4,"opens_rate":"12.00%%"}`, id))
		}
		id, ok := strings.CutPrefix(path, "/api/v5/objects/list-emails/")
		if !ok {
			return answer{}
		}
		if id, ok := strings.CutSuffix(id, "/stats"); ok {
			if stats == nil {
				return fail5(404, 198, "Endpoint not found")
			}
			n, _ := strconv.ParseInt(id, 10, 64)
			return stats(n)
		}
		return answer{body: `{"id":` + id + `,"htmlMessage":"<p>` + id + `</p>","textMessage":"text ` + id + `"}`}
	})
}

func pressPage(letters []newsletter, q url.Values) answer {
	after, _ := strconv.ParseInt(q.Get("idGreaterThan"), 10, 64)
	sent, _ := time.Parse("2006-01-02T15:04:05-07:00", q.Get("sentAtAfterOrEqualTo"))
	changed, _ := time.Parse("2006-01-02T15:04:05-07:00", q.Get("updatedAtAfterOrEqualTo"))
	var rows []string
	for _, l := range letters {
		if l.id <= after || !sent.IsZero() && l.sent.Before(sent) || changed.After(march) {
			continue
		}
		at := "null"
		if !l.sent.IsZero() {
			at = l.sent.Format(`"2006-01-02T15:04:05-07:00"`)
		}
		rows = append(rows, fmt.Sprintf(`{"id":%d,"name":"letter","isSent":%v,"isDeleted":false,"sentAt":%s,"updatedAt":"2026-03-01T10:00:00+00:00"}`, l.id, !l.sent.IsZero(), at))
	}
	if limit, err := strconv.Atoi(q.Get("limit")); err == nil && len(rows) > limit {
		return answer{body: `{"nextPageToken":"x","nextPageUrl":null,"values":[` + strings.Join(rows[:limit], ",") + `]}`}
	}
	return ok5(rows...)
}

func statsOf(id int64) answer {
	return answer{body: fmt.Sprintf(`{"sent":%d,"delivered":9,"uniqueOpens":4,"opensRate":"12.00%%","unheardOf":1}`, id)}
}

func listEmails(s *source) martsync.Stream {
	o := objectOf(listEmailStream)
	return newListEmails(s, o, makeLayout(o, s.plan(o), nil))
}

func TestListEmailsWithMessagesAndStatistics(t *testing.T) {
	letters := []newsletter{{1, march.AddDate(-2, 0, 0)}, {2, time.Time{}}, {3, march}}
	for _, tc := range []struct {
		name  string
		stats func(int64) answer
	}{{"version 5", statsOf}, {"version 4, where 5 does not know the path", nil}} {
		d := pressDesk(t, letters, tc.stats)
		st := listEmails(d.open(t))
		schema := st.Schema()
		got, err := readAll(t, st, "")
		if err != nil || len(got.rows) != 3 {
			t.Fatalf("%s: %d rows, %v, want 3", tc.name, len(got.rows), err)
		}
		for i, want := range []map[string]string{
			{"id": "1", "html_message": "<p>1</p>", "text_message": "text 1", "stats_sent": "1", "stats_unique_opens": "4", "stats_opens_rate": "12.00%", "stats_total_clicks": "null"},
			{"id": "2", "html_message": "<p>2</p>", "stats_sent": "null", "stats_opens_rate": "null"},
			{"id": "3", "text_message": "text 3", "stats_sent": "3"},
		} {
			for column, v := range want {
				if g := cell(t, schema, got.rows[i], column); g != v {
					t.Errorf("%s, row %d: %s is %q, want %q", tc.name, i, column, g, v)
				}
			}
		}
		for _, name := range []string{"stats_sent", "html_message"} {
			if !schema.Columns[indexOf(t, schema, name)].Sticky {
				t.Errorf("%s is not sticky: a row that is read without would erase it", name)
			}
		}
	}
}

func TestStatisticsAreReadAgainWhileTheyMove(t *testing.T) {
	letters := []newsletter{{1, march.AddDate(-2, 0, 0)}, {2, time.Time{}}}
	for i := range int64(120) {
		letters = append(letters, newsletter{3 + i, deskTime.AddDate(0, 0, -3)})
	}
	opens := int64(0)
	d := pressDesk(t, letters, func(id int64) answer { return statsOf(id + 1000*opens) })
	s := d.open(t)
	schema := listEmails(s).Schema()
	first, err := readAll(t, listEmails(s), "")
	if err != nil {
		t.Fatal(err)
	}
	soon, err := readAll(t, listEmails(s), first.cursor)
	if err != nil || len(soon.rows) != 0 {
		t.Errorf("%d rows, %v, when read again at once, want none", len(soon.rows), err)
	}
	if err := d.clock.Sleep(t.Context(), 49*time.Hour); err != nil {
		t.Fatal(err)
	}
	opens = 1
	whole, err := readAll(t, listEmails(s), first.cursor)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, row := range whole.rows {
		got = append(got, cell(t, schema, row, "id")+" "+cell(t, schema, row, "stats_sent")+" "+cell(t, schema, row, "html_message"))
	}
	var want []string
	for _, l := range letters[2:] {
		want = append(want, fmt.Sprintf("%d %d null", l.id, l.id+1000))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("two days later (-want +got):\n%s", diff)
	}
	// At each cursor another process goes on.
	have := 0
	for b, err := range listEmails(s).Read(t.Context(), first.cursor, martsync.Span{}) {
		if err != nil {
			t.Fatal(err)
		}
		if b.Records != nil {
			have += b.Records.Len
		}
		if b.Cursor == "" {
			continue
		}
		rest, err := readAll(t, listEmails(d.open(t)), b.Cursor)
		if err != nil || have+len(rest.rows) != len(whole.rows) {
			t.Errorf("from %s: %d rows after %d, %v, want %d in all", b.Cursor, len(rest.rows), have, err, len(whole.rows))
		}
	}
	if have != len(letters)-2 {
		t.Errorf("%d rows, want %d", have, len(letters)-2)
	}
}

func TestStatisticsThatCannotBeRead(t *testing.T) {
	var letters []newsletter
	for i := range int64(40) {
		letters = append(letters, newsletter{1 + i, march})
	}
	for _, tc := range []struct {
		name  string
		stats func(id int64) answer
		most  int // calls for statistics
		note  string
		rows  int // with statistics
	}{
		{"no permission", func(int64) answer { return fail5(403, 46, "User lacks permission") }, 2, "cannot be read", 0},
		{"one is missing", func(id int64) answer {
			if id == 7 {
				return answer{}
			}
			return statsOf(id)
		}, 40, "statistics of list email 7 cannot be read", 39},
		{"all are missing", func(int64) answer { return answer{} }, 2 * statsMisses, "10 list emails in a row", 0},
	} {
		d := pressDesk(t, letters, tc.stats)
		st := listEmails(d.open(t))
		got, err := readAll(t, st, "")
		if err != nil || len(got.rows) != len(letters) {
			t.Errorf("%s: %d rows, %v, want %d", tc.name, len(got.rows), err, len(letters))
			continue
		}
		rows := 0
		for _, row := range got.rows {
			if cell(t, st.Schema(), row, "stats_sent") != "null" {
				rows++
			}
		}
		calls := len(d.requests("/stats"))
		if rows != tc.rows || calls > tc.most {
			t.Errorf("%s: %d rows with statistics after %d calls, want %d after at most %d", tc.name, rows, calls, tc.rows, tc.most)
		}
		if !slices.ContainsFunc(got.notes, func(n string) bool { return strings.HasPrefix(n, "skip: ") && strings.Contains(n, tc.note) }) {
			t.Errorf("%s: notes %q, want one with %q", tc.name, got.notes, tc.note)
		}
	}
}

func TestStatisticsInTheWayOfAnOutage(t *testing.T) {
	d := pressDesk(t, []newsletter{{1, march}}, func(int64) answer { return fail5(429, 122, "Daily API rate limit met") })
	_, err := readAll(t, listEmails(d.open(t)), "")
	if martsync.KindOf(err) != martsync.Quota {
		t.Errorf("%v (%v), want the quota's error: statistics are not to be missing because a day's calls are spent", err, martsync.KindOf(err))
	}
}

func TestListEmailsWithoutStatistics(t *testing.T) {
	no := false
	d := pressDesk(t, []newsletter{{1, march}}, statsOf)
	s := d.open(t, func(c *Config) { c.Streams = map[string]StreamConfig{listEmailStream: {Stats: &no, Messages: &no}} })
	st := listEmails(s)
	schema := st.Schema()
	got, err := readAll(t, st, "")
	if err != nil || len(got.rows) != 1 || schema.Index("stats_sent") >= 0 || schema.Index("html_message") >= 0 {
		t.Errorf("%d rows, %v, columns %v, want one row without messages and statistics", len(got.rows), err, schema.Columns)
	}
	if n := len(d.requests("/list-emails/")); n != 0 {
		t.Errorf("%d reads by id, want none", n)
	}
	// One with statistics goes on from there and reads them, and back again.
	if err := d.clock.Sleep(t.Context(), 49*time.Hour); err != nil {
		t.Fatal(err)
	}
	more, err := readAll(t, listEmails(d.open(t)), got.cursor)
	if err != nil || len(d.requests("/stats")) == 0 {
		t.Errorf("with statistics from there: %d rows, %v, and no call for them", len(more.rows), err)
	}
	if _, err := readAll(t, st, more.cursor); err != nil {
		t.Errorf("without them again: %v", err)
	}
	// The cursor of the ordinary stream, which knows nothing of statistics, is understood as well.
	o := objectOf(listEmailStream)
	plain, err := readAll(t, newStream(s, o, makeLayout(o, s.plan(o), nil)), "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := readAll(t, st, plain.cursor); err != nil {
		t.Errorf("from the cursor of the ordinary stream: %v", err)
	}
	if _, err := readAll(t, st, `{"list":7,"pass":{"began":0}}`); err == nil {
		t.Error("a cursor that cannot be was taken")
	}
}

func TestEmailsWithMessages(t *testing.T) {
	yes := true
	d := newDesk(t, func(path string, q url.Values) answer {
		switch {
		case path == "/api/v5/objects/emails":
			return ok5(`{"id":3001,"name":"Sale mail","listEmailId":41,"sentAt":"2025-10-31T09:00:00-04:00"}`, `{"id":3002,"sentAt":"2025-10-31T09:00:00-04:00"}`)
		case path == "/api/v5/objects/emails/3001" && !strings.Contains(q.Get("fields"), "textMessage"):
			return answer{body: `{"id":3001,"htmlMessage":"<p>Hi</p>"}`}
		case path == "/api/v5/objects/emails/3001":
			return fail5(400, 51, "Invalid parameter: fields. It contains an invalid or unknown field: textMessage.")
		}
		return answer{}
	})
	s := d.open(t, func(c *Config) { c.Streams = map[string]StreamConfig{emailStream: {Messages: &yes}} })
	o := objectOf(emailStream)
	st := newStream(s, o, makeLayout(o, s.plan(o), nil))
	got, err := readAll(t, st, "")
	if err != nil || len(got.rows) != 2 {
		t.Fatalf("%d rows, %v, want 2", len(got.rows), err)
	}
	if h := cell(t, st.Schema(), got.rows[0], "html_message"); h != "<p>Hi</p>" {
		t.Errorf("the message is %q, want what a read by id tells", h)
	}
	text := strings.Join(got.notes, "\n")
	for _, want := range []string{"schema: ", "textMessage", "3002 cannot be read"} {
		if !strings.Contains(text, want) {
			t.Errorf("notes\n%s\nlack %q", text, want)
		}
	}
}

func TestJoinsOfOtherObjects(t *testing.T) {
	s := newDesk(t, func(string, url.Values) answer { return answer{} }).open(t)
	for _, o := range catalog {
		if o.stream == listEmailStream || o.stream == emailStream || o.stream == prospectStream {
			continue
		}
		if joinFor(s, o, makeLayout(o, s.plan(o), nil)) != nil {
			t.Errorf("%s has a join", o.stream)
		}
	}
	o := objectOf(prospectStream)
	if joinFor(s, o, makeLayout(o, s.plan(o), nil)) != nil {
		t.Error("prospects without multi-value fields have a join")
	}

	if got := joinFor(s, o, nil); got != nil {
		t.Error("an object without a layout has a join")
	}
}

func TestInterruptedStatisticsDoNotDelayChanges(t *testing.T) {
	var letters []newsletter
	for i := range int64(120) {
		letters = append(letters, newsletter{1 + i, deskTime.AddDate(0, 0, -3)})
	}
	d := newDesk(t, nil)
	press := func() { d.answer = pressDesk(t, letters, statsOf).answer }
	press()
	first, err := readAll(t, listEmails(d.open(t)), "")
	if err != nil {
		t.Fatal(err)
	}
	d.clock.Advance(49 * time.Hour)
	var cursor martsync.Cursor
	for b, err := range listEmails(d.open(t)).Read(t.Context(), first.cursor, martsync.Span{}) {
		if err != nil {
			t.Fatal(err)
		}
		if cursor = b.Cursor; strings.Contains(string(cursor), `"pass"`) {
			break
		}
	}
	// The next day somebody sends another one.
	d.clock.Advance(24 * time.Hour)
	letters = append(letters, newsletter{500, d.clock.Now().Add(-time.Hour)})
	inner := pressDesk(t, letters, statsOf).answer
	d.answer = func(path string, q url.Values) answer {
		if path == "/api/v5/objects/list-emails" && !q.Has("sentAtAfterOrEqualTo") {
			return pressPage(letters[120:], url.Values{"idGreaterThan": q["idGreaterThan"]})
		}
		return inner(path, q)
	}
	st := listEmails(d.open(t))
	got, err := readAll(t, st, cursor)
	if err != nil {
		t.Fatal(err)
	}
	if last := got.rows[len(got.rows)-1]; cell(t, st.Schema(), last, "id") != "500" || cell(t, st.Schema(), last, "html_message") == "null" {
		t.Errorf("the last row is %v, want the new list e-mail with its message", last)
	}
	if strings.Contains(string(got.cursor), `"pass"`) {
		t.Errorf("cursor %s, want none within a pass", got.cursor)
	}
}

func TestStatisticsOfAListingThatDoesNotMoveOn(t *testing.T) {
	letters := []newsletter{{1, deskTime.AddDate(0, 0, -3)}}
	d := pressDesk(t, letters, statsOf)
	first, err := readAll(t, listEmails(d.open(t)), "")
	if err != nil {
		t.Fatal(err)
	}
	inner := d.answer
	d.answer = func(path string, q url.Values) answer {
		if a := inner(path, url.Values{}); path == "/api/v5/objects/list-emails" && q.Has("sentAtAfterOrEqualTo") {
			return answer{body: strings.Replace(a.body, `"nextPageToken":null`, `"nextPageToken":"x"`, 1)}
		}
		return inner(path, q)
	}
	d.clock.Advance(49 * time.Hour)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute) // however slow the machine is
	defer cancel()
	for _, err = range listEmails(d.open(t)).Read(ctx, first.cursor, martsync.Span{}) {
	}
	if martsync.KindOf(err) != martsync.Data {
		t.Errorf("got %v (%v), want an error: the page would come for ever", err, martsync.KindOf(err))
	}
}
