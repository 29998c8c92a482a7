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

// event is an activity on the wire.
type event struct {
	ID             *int64
	MarketoGUID    string
	LeadID         int64
	ActivityDate   string
	ActivityTypeID int64
	CampaignID     *int64
	Primary        *int64  `json:"primaryAttributeValueId"`
	PrimaryValue   *string `json:"primaryAttributeValue"`
	Attributes     []struct {
		Name  string
		Value json.RawMessage
	}
	Fields []struct {
		ID                 int64
		Name               string
		NewValue, OldValue *string
	}
}

func (a *account) since(t time.Time) string {
	a.t.Helper()
	r := a.get("/rest/v1/activities/pagingtoken.json?sinceDatetime=" + url.QueryEscape(t.Format(time.RFC3339)))
	a.want(r, "")
	if r.Token == "" || strings.Contains(string(r.raw), `"result"`) {
		a.t.Fatalf("paging token: got %s, want a token and no result", r.raw)
	}
	return r.Token
}

// read pages to the end and returns what came and the last token.
func (a *account) read(path, token string) ([]event, string) {
	a.t.Helper()
	var list []event
	for {
		r := a.get(path + "&nextPageToken=" + url.QueryEscape(token))
		a.want(r, "")
		if r.Token == "" || r.More == nil {
			a.t.Fatalf("page without token or moreResult: %s", r.raw)
		}
		for _, p := range r.Result {
			var e event
			if err := json.Unmarshal(p, &e); err != nil {
				a.t.Fatalf("activity %s: %v", p, err)
			}
			list = append(list, e)
		}
		token = r.Token
		if !*r.More {
			return list, token
		}
	}
}

const all = "/rest/v1/activities.json?activityTypeIds="

func TestS27_ActivityPages(t *testing.T) {
	a := open(t, Config{RateLimit: 10_000})
	a.want(a.get(all+"1"), "1002")
	a.want(a.get(all+"1&nextPageToken=nonsense"), "1003")
	a.want(a.get("/rest/v1/activities/pagingtoken.json?sinceDatetime=yesterday"), "1003")
	token := a.since(testStart.AddDate(0, 0, -30))
	a.want(a.get("/rest/v1/activities.json?nextPageToken="+url.QueryEscape(token)), "1002")
	a.want(a.get(all+"1,2,3,6,7,8,9,10,11,12,13&nextPageToken="+url.QueryEscape(token)), "1003")
	a.want(a.get(all+"1,2&activityTypeIds=3,6,7,8,9,10,11,12&nextPageToken="+url.QueryEscape(token)), "")

	// A rare type: pages without result that are followed by more.
	short, empty, found := 0, 0, 0
	for next := token; ; {
		r := a.get(all + "100001&nextPageToken=" + url.QueryEscape(next))
		a.want(r, "")
		if r.Token == "" || r.More == nil {
			t.Fatalf("page without token or moreResult: %s", r.raw)
		}
		found += len(r.Result)
		if next = r.Token; !*r.More {
			break
		}
		if len(r.Result) < 300 {
			short++
		}
		if len(r.Result) == 0 {
			empty++
			if strings.Contains(string(r.raw), `"result"`) {
				t.Errorf("empty page: got %s, want no result at all", r.raw)
			}
		}
	}
	if short == 0 || found == 0 {
		t.Errorf("rare type: %d found, %d short pages with more behind", found, short)
	}
	// A type that does not occur has nothing but such pages.
	for next := token; ; {
		r := a.get(all + "999&nextPageToken=" + url.QueryEscape(next))
		if next = r.Token; !*r.More {
			break
		}
		empty++
	}
	if empty == 0 {
		t.Error("no empty page with moreResult came")
	}
	// A position token of one endpoint is none of another.
	_, last := a.read(all+"1", token)
	a.want(a.get("/rest/v1/activities/deletedleads.json?nextPageToken="+url.QueryEscape(last)), "1003")
	// The last token goes on with what happens next.
	a.clock.Advance(time.Minute)
	a.sim.change(func(m *mutation) { m.log(1, 0); m.log(6, 0); m.log(1, 0) })
	if got, _ := a.read(all+"1", last); len(got) != 2 {
		t.Errorf("after the last token: got %d activities, want 2", len(got))
	}
}

func TestS27_SinceInclusive(t *testing.T) {
	for _, c := range []struct {
		name string
		cfg  Config
		want int
	}{{"inclusive", Config{}, 1}, {"exclusive", Config{SinceExclusive: true}, 0}} {
		t.Run(c.name, func(t *testing.T) {
			a := open(t, c.cfg)
			a.forward(time.Hour)
			a.sim.change(func(m *mutation) { m.log(1, 0) })
			token := a.since(a.clock.Now())
			a.clock.Advance(time.Minute)
			if got, _ := a.read(all+"1", token); len(got) != c.want {
				t.Errorf("activities of the token's own second: got %d, want %d", len(got), c.want)
			}
		})
	}
}

func TestS28_DeletedLeads(t *testing.T) {
	a := open(t, Config{RateLimit: 10_000})
	a.forward(time.Hour)
	since := a.clock.Now()
	var index, id int64
	list := a.sim.world.listID(0)
	a.sim.change(func(m *mutation) {
		for _, index = range m.pick(200) {
			if m.st.inList(list, index) {
				break
			}
		}
		id = m.s.world.leadID(index)
		m.remove(index)
	})
	a.clock.Advance(time.Minute)
	a.want(a.get(fmt.Sprintf("/rest/v1/lead/%d.json", id)), "1004")
	if r := a.get(fmt.Sprintf("/rest/v1/leads.json?filterType=id&filterValues=%d", id)); len(r.Result) != 0 {
		t.Errorf("by filter: got %s", r.raw)
	}
	created := time.Unix(a.sim.state.Load().created(index), 0).UTC()
	for _, f := range []object{between31("createdAt", created, created), between31("updatedAt", since, since)} {
		_, p := a.export("leads", object{"fields": []string{"id"}, "filter": f})
		if strings.Contains(string(p), fmt.Sprint(id)) {
			t.Errorf("export by %v has the deleted lead", f)
		}
	}
	r := a.get(fmt.Sprintf("/rest/v1/lists/%d/leads.json?fields=id", list))
	if len(r.Result) == 0 || strings.Contains(string(r.raw), fmt.Sprint(id)) {
		t.Errorf("list: got %.200s, want others but not %d", r.raw, id)
	}
	deleted := func() []event {
		got, _ := a.read("/rest/v1/activities/deletedleads.json?batchSize=300", a.since(since))
		return got
	}
	got := deleted()
	if len(got) != 1 || got[0].LeadID != id || got[0].ActivityTypeID != 37 || *got[0].Primary != id || len(got[0].Attributes) != 0 {
		t.Fatalf("deleted leads: got %+v, want lead %d", got, id)
	}
	_, p := a.export("activities", object{"filter": between31("createdAt", since, a.clock.Now())})
	if strings.Contains(string(p), ","+"37,") {
		t.Errorf("bulk activities have a deletion: %s", p)
	}
	a.clock.Set(since.Add(14*24*time.Hour - time.Second))
	a.login(0)
	if got := deleted(); len(got) != 1 {
		t.Errorf("just before 14 days: got %d deletions, want 1", len(got))
	}
	a.clock.Advance(time.Second)
	if got := deleted(); len(got) != 0 {
		t.Errorf("after 14 days: got %d deletions, want none", len(got))
	}
}

func TestS29_Merge(t *testing.T) {
	for _, c := range []struct {
		name string
		cfg  Config
		want int
	}{{"quiet", Config{RateLimit: 10_000}, 0}, {"with deletions", Config{RateLimit: 10_000, MergeDeletes: true}, 1}} {
		t.Run(c.name, func(t *testing.T) {
			a := open(t, c.cfg)
			a.forward(time.Hour)
			since := a.clock.Now()
			token := a.since(since)
			a.sim.change(func(m *mutation) { m.log(1, 1); m.log(1, 2) }) // leads 1 and 2 visit a page
			before := map[string]int64{}
			got, _ := a.read(all+"1", token)
			for _, e := range got {
				before[e.MarketoGUID] = e.LeadID
			}
			var e merge
			a.sim.change(func(m *mutation) {
				for len(m.st.merges) == 0 || len(e.losers) != 1 || e.losers[0] != 1 && e.losers[0] != 2 {
					m.mergeLeads(1)
					e = m.st.merges[len(m.st.merges)-1]
					if !m.st.exists(1) && !m.st.exists(2) && e.losers[0] > 2 {
						t.Fatal("leads 1 and 2 are gone") // the seed decides; another would do
					}
				}
			})
			a.clock.Advance(time.Minute)
			loser := a.sim.world.leadID(e.losers[0])
			winner := a.sim.world.leadID(a.sim.state.Load().owner(e.winner))
			a.want(a.get(fmt.Sprintf("/rest/v1/lead/%d.json", loser)), "1004")
			merges, _ := a.read(all+"32", token)
			found := false
			for _, m := range merges {
				for _, at := range m.Attributes {
					if at.Name == "Merge Ids" && string(at.Value) == fmt.Sprintf("[%d]", loser) {
						found = m.LeadID == winner
					}
				}
			}
			if !found {
				t.Errorf("no activity 32 of %d names loser %d: %+v", winner, loser, merges)
			}
			got, _ = a.read(all+"1", token)
			moved := false
			for _, v := range got {
				if before[v.MarketoGUID] == loser {
					moved = v.LeadID == winner
				}
			}
			if len(got) != 2 || !moved {
				t.Errorf("activities of the loser: got %+v, want them to be those of %d", got, winner)
			}
			deletions, _ := a.read("/rest/v1/activities/deletedleads.json?batchSize=300", token)
			n := 0
			for _, d := range deletions {
				if d.LeadID == loser && *d.Primary == loser {
					n++
				}
			}
			if n != c.want {
				t.Errorf("deletions logged for the loser: got %d, want %d", n, c.want)
			}
		})
	}
}

func TestS30_LateArrival(t *testing.T) {
	a := open(t, Config{LateArrival: 30 * time.Minute})
	a.forward(time.Hour)
	at := a.clock.Now()
	a.sim.change(func(m *mutation) { m.log(1, 0) })
	token := a.since(at)
	count := func() (rest int, bulk int64) {
		got, _ := a.read(all+"1", token)
		j, _ := a.export("activities", object{"filter": between31("createdAt", at, at)})
		truth := 0
		for r := range a.sim.Truth("activities") {
			if r.Values["activityDate"] == at {
				truth++
			}
		}
		if int64(truth) != *j.NumberOfRecords {
			t.Errorf("truth has %d, the export %d", truth, *j.NumberOfRecords)
		}
		return len(got), *j.NumberOfRecords
	}
	a.clock.Set(at.Add(20 * time.Minute))
	if rest, bulk := count(); rest != 0 || bulk != 0 {
		t.Errorf("after 20 minutes: got %d by REST and %d in bulk, want none", rest, bulk)
	}
	a.clock.Set(at.Add(30 * time.Minute))
	if rest, bulk := count(); rest != 1 || bulk != 1 {
		t.Errorf("after 30 minutes: got %d by REST and %d in bulk, want 1", rest, bulk)
	}
	// Those that Change makes late are seen at once, with a date that has passed.
	b := open(t, Config{})
	b.forward(24 * time.Hour)
	b.sim.change(func(m *mutation) { m.log(12, 0) })
	_, last := b.read(all+"1,3,10,11", b.since(b.clock.Now().Add(-7*time.Hour)))
	b.sim.change(func(m *mutation) { m.arriveLate(5) })
	if got, _ := b.read(all+"1,3,10,11", last); len(got) != 0 {
		t.Errorf("a token past their date: got %d, want none", len(got))
	}
	if got, _ := b.read(all+"1,3,10,11", b.since(b.clock.Now().Add(-7*time.Hour))); len(got) != 5 {
		t.Errorf("an overlap: got %d, want 5", len(got))
	}
}

func TestS31_Retention(t *testing.T) {
	a := open(t, Config{RateLimit: 10_000, Options: simulate.Options{Rows: 60}})
	from := testStart.AddDate(0, 0, -75)
	read := func(types string) (n int, oldest string) {
		got, _ := a.read(all+types, a.since(from))
		for _, e := range got {
			if oldest == "" || e.ActivityDate < oldest {
				oldest = e.ActivityDate
			}
		}
		return len(got), oldest
	}
	visits, _ := read("1")
	created, _ := read("12")
	opens, _ := read("10")
	a.forward(40 * 24 * time.Hour)
	now, oldest := read("1")
	limit := a.clock.Now().Add(-90 * 24 * time.Hour).Format("2006-01-02T15:04:05Z")
	if now == 0 || now >= visits || oldest <= limit {
		t.Errorf("visits (90 days): %d of %d left, the oldest of %s, want none up to %s", now, visits, oldest, limit)
	}
	if n, _ := read("12"); n != created {
		t.Errorf("new leads (unlimited): %d of %d left", n, created)
	}
	if n, _ := read("10"); n != opens {
		t.Errorf("opens (25 months): %d of %d left", n, opens)
	}
	j, p := a.export("activities", object{"filter": object{"createdAt": object{"startAt": from.Format(time.RFC3339), "endAt": from.AddDate(0, 0, 20).Format(time.RFC3339)}, "activityTypeIds": []int{1}}})
	if j.Status != "Completed" || *j.NumberOfRecords != 0 {
		t.Errorf("export of a purged period: got %+v and %s, want success and no rows", j, p)
	}
	a.forward(25 * 31 * 24 * time.Hour)
	if n, _ := read("10"); n != 0 {
		t.Errorf("opens after 25 months: %d left", n)
	}
	if n, _ := read("12"); n != created {
		t.Errorf("new leads after 25 months: %d of %d left", n, created)
	}
}

func TestLeadChanges(t *testing.T) {
	a := open(t, Config{})
	a.forward(time.Hour)
	token := a.since(a.clock.Now())
	var id int64
	a.sim.change(func(m *mutation) {
		i := m.pick(1)[0]
		id = m.s.world.leadID(i)
		m.set(i, []string{"title", "city"}, true)
		m.createLeads(1)
	})
	got, _ := a.read("/rest/v1/activities/leadchanges.json?fields=title,company", token)
	if len(got) != 2 {
		t.Fatalf("changes: got %+v, want the title's and the new lead", got)
	}
	for _, e := range got {
		switch e.ActivityTypeID {
		case 12:
		case 13:
			if e.LeadID != id || len(e.Fields) != 1 || e.Fields[0].Name != "title" || e.Fields[0].NewValue == nil {
				t.Errorf("change: got %+v", e)
			}
		default:
			t.Errorf("type %d among lead changes", e.ActivityTypeID)
		}
	}
	a.want(a.get("/rest/v1/activities/leadchanges.json?fields=shoeSize&nextPageToken="+url.QueryEscape(token)), "1006")
}

func TestActivityTypes(t *testing.T) {
	a := open(t, Config{})
	r := a.get("/rest/v1/activities/types.json")
	a.want(r, "")
	custom := 0
	for _, p := range r.Result {
		var v struct {
			ID            int64
			Name, APIName string
			Primary       *struct{ Name, DataType string } `json:"primaryAttribute"`
			Attributes    []struct{ Name, DataType string }
		}
		if err := json.Unmarshal(p, &v); err != nil || v.Name == "" || v.Attributes == nil {
			t.Errorf("type %s: %v", p, err)
		}
		if v.APIName != "" {
			custom++
		}
	}
	if len(r.Result) < 25 || custom != 2 {
		t.Errorf("got %d types, %d custom", len(r.Result), custom)
	}
	if r := a.get("/rest/v1/activities/external/types.json"); len(r.Result) != 2 {
		t.Errorf("custom types: got %s", r.raw)
	}
}

// S30: how late activities are depends on their type, and each is late by a time of its own.
func TestS30_LatenessByType(t *testing.T) {
	a := open(t, Config{TokenLife: 24 * time.Hour, LateTypes: LateTypes{1: 10 * time.Hour, 10: time.Hour}, LateFrom: defaultStart.Add(30 * time.Minute)})
	a.forward(time.Hour)
	at := a.clock.Now()
	a.sim.change(func(m *mutation) {
		for i := range int64(40) {
			m.log(1, i)
			m.log(10, i)
			m.log(11, i)
		}
	})
	seen := func(typ string) int {
		got, _ := a.read(all+typ, a.since(at))
		return len(got)
	}
	if seen("11") != 40 {
		t.Errorf("of a type that is not late: got %d, want 40", seen("11"))
	}
	a.clock.Set(at.Add(time.Hour))
	if ones, tens := seen("1"), seen("10"); ones == 0 || ones == 40 || tens != 40 {
		t.Errorf("after an hour: got %d of those that take ten and %d of those that take one, want some and 40", ones, tens)
	}
	if j, _ := a.export("activities", object{"filter": object{"createdAt": between31("createdAt", at, at)["createdAt"], "activityTypeIds": []int{1}}}); int(*j.NumberOfRecords) != seen("1") {
		t.Errorf("the export has %d, REST %d", *j.NumberOfRecords, seen("1"))
	}
	a.clock.Set(at.Add(10 * time.Hour))
	if got := seen("1"); got != 40 {
		t.Errorf("after ten hours: got %d, want 40", got)
	}
}
