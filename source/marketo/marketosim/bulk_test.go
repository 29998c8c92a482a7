package marketosim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/martsync/martsync/simulate"
)

func TestS11_BulkPaths(t *testing.T) {
	a := open(t, Config{})
	a.want(a.get("/rest/bulk/v1/leads/export.json"), "610")
	a.want(a.get("/bulk/v1/leads/export.json"), "")
	a.want(a.get("/rest/../bulk/v1/leads/export.json"), "")
	a.want(a.get("//rest//v1/leads/partitions.json"), "")
}

func TestS12_CreatedNeverRuns(t *testing.T) {
	a := open(t, Config{})
	id := a.create("leads", []string{"id"})
	a.forward(30 * time.Hour)
	j := a.status("leads", id)
	if j.Status != "Created" || j.QueuedAt != "" || j.StartedAt != "" {
		t.Errorf("a job that was never enqueued: got %+v", j)
	}
	if got := a.job(a.enqueue("leads", id)).Status; got != "Queued" {
		t.Errorf("enqueue later: got status %s", got)
	}
}

func TestS13_QueueAndSlots(t *testing.T) {
	a := open(t, Config{})
	var ids [12]string
	objects := [12]string{}
	for i := range ids {
		objects[i] = []string{"leads", "activities"}[i%2]
		fields := []string{"id"}
		if i%2 == 1 {
			fields = nil
		}
		ids[i] = a.create(objects[i], fields)
	}
	for i := range 10 {
		a.want(a.enqueue(objects[i], ids[i]), "")
	}
	if r := a.enqueue(objects[10], ids[10]); r.code() != "1029" || r.message() != "Too many jobs (10) in queue" {
		t.Fatalf("job 11: got %s, want 1029", r.raw)
	}
	if r := a.enqueue(objects[0], ids[0]); r.code() != "1029" || r.message() != "Job already queued" {
		t.Errorf("enqueue twice: got %s, want 1029", r.raw)
	}
	done := map[string]bool{}
	for range 60 {
		a.clock.Advance(time.Minute)
		processing := 0
		for i := range 10 {
			switch j := a.status(objects[i], ids[i]); j.Status {
			case "Processing":
				processing++
			case "Completed":
				done[ids[i]] = true
			}
		}
		if processing > 2 {
			t.Fatalf("%d jobs are processed at once", processing)
		}
		if len(done) == 10 {
			break
		}
		if len(done) > 0 { // a place is free
			if r := a.enqueue(objects[10], ids[10]); r.code() != "" && r.message() != "Job already queued" {
				t.Fatalf("a place is free: got %s", r.raw)
			}
		}
	}
	if len(done) != 10 {
		t.Errorf("%d of 10 jobs completed within an hour", len(done))
	}
}

func TestS14_ExportQuota(t *testing.T) {
	a := open(t, Config{ExportBytes: 1_000_000, Options: simulate.Options{Rows: 3000}})
	body := object{"filter": between31("createdAt", testStart.AddDate(0, 0, -15), testStart)}
	create := func() reply { return a.call("POST", "/bulk/v1/activities/export/create.json", body) }
	var ids []string
	for range 4 {
		ids = append(ids, a.job(create()).ExportID)
	}
	for _, id := range ids[:3] {
		a.want(a.enqueue("activities", id), "")
	}
	if j := a.finish("activities", ids[0]); j.Status != "Completed" || *j.FileSize < 1_000_000 {
		t.Fatalf("got %+v, want a file of more than a megabyte", j)
	}
	const text = "Export daily quota 1MB exceeded."
	if r := create(); r.code() != "1029" || r.message() != text {
		t.Errorf("create over quota: got %s", r.raw)
	}
	if r := a.enqueue("activities", ids[3]); r.code() != "1029" || r.message() != text {
		t.Errorf("enqueue over quota: got %s", r.raw)
	}
	for _, id := range ids[1:3] {
		if j := a.finish("activities", id); j.Status != "Completed" {
			t.Errorf("a job that was queued before: got %s, want Completed", j.Status)
		}
	}
	a.clock.Set(time.Date(2026, 3, 17, 4, 59, 59, 0, time.UTC)) // daylight saving time: UTC−5
	a.login(0)
	a.want(create(), "1029")
	a.clock.Advance(time.Second)
	a.want(create(), "")
	a.want(a.enqueue("activities", ids[3]), "")
}

func TestS15_CreateRules(t *testing.T) {
	a := open(t, Config{SmartLists: true})
	day := func(n int) time.Time { return testStart.AddDate(0, 0, n) }
	rng := func(from, to string) object { return object{"startAt": from, "endAt": to} }
	list := a.sim.state.Load().lists[0].id
	for _, c := range []struct {
		name   string
		object string
		body   object
		code   string
	}{
		{"31 days", "leads", object{"fields": []string{"id"}, "filter": between31("createdAt", day(-31), day(0))}, ""},
		{"31 days and a second", "leads", object{"fields": []string{"id"}, "filter": between31("createdAt", day(-31).Add(-time.Second), day(0))}, "1003"},
		{"end before start", "leads", object{"fields": []string{"id"}, "filter": between31("createdAt", day(0), day(-1))}, "1003"},
		{"no filter", "leads", object{"fields": []string{"id"}}, "1003"},
		{"two filters", "leads", object{"fields": []string{"id"}, "filter": object{"createdAt": rng("2026-03-01T00:00:00Z", "2026-03-02T00:00:00Z"), "staticListId": list}}, "1003"},
		{"list", "leads", object{"fields": []string{"id"}, "filter": object{"staticListId": list}}, ""},
		{"list by name", "leads", object{"fields": []string{"id"}, "filter": object{"staticListName": listName(1)}}, ""},
		{"unknown list", "leads", object{"fields": []string{"id"}, "filter": object{"staticListId": 1}}, "1003"},
		{"smart list", "leads", object{"fields": []string{"id"}, "filter": object{"smartListId": 9001}}, ""},
		{"unknown filter", "leads", object{"fields": []string{"id"}, "filter": object{"programId": 1}}, "1003"},
		{"no fields", "leads", object{"filter": between31("createdAt", day(-1), day(0))}, "1003"},
		{"unknown field", "leads", object{"fields": []string{"id", "shoeSize"}, "filter": between31("createdAt", day(-1), day(0))}, "1003"},
		{"field name in another case", "leads", object{"fields": []string{"ID"}, "filter": between31("createdAt", day(-1), day(0))}, "1003"},
		{"formula field", "leads", object{"fields": []string{"Full_Label__c"}, "filter": between31("createdAt", day(-1), day(0))}, "1003"},
		{"offset", "leads", object{"fields": []string{"id"}, "filter": object{"createdAt": rng("2026-03-01T00:00:00-08:00", "2026-03-02T00:00:00+0100")}}, ""},
		{"no zone", "leads", object{"fields": []string{"id"}, "filter": object{"createdAt": rng("2026-03-01T00:00:00", "2026-03-02T00:00:00")}}, ""},
		{"zero milliseconds", "leads", object{"fields": []string{"id"}, "filter": object{"createdAt": rng("2026-03-01T00:00:00.000Z", "2026-03-02T00:00:00Z")}}, ""},
		{"milliseconds", "leads", object{"fields": []string{"id"}, "filter": object{"createdAt": rng("2026-03-01T00:00:00.500Z", "2026-03-02T00:00:00Z")}}, "1003"},
		{"no date", "leads", object{"fields": []string{"id"}, "filter": object{"createdAt": rng("yesterday", "2026-03-02T00:00:00Z")}}, "1003"},
		{"header of another column", "leads", object{"fields": []string{"id"}, "columnHeaderNames": object{"email": "E"}, "filter": between31("createdAt", day(-1), day(0))}, "1003"},
		{"format", "leads", object{"fields": []string{"id"}, "format": "XML", "filter": between31("createdAt", day(-1), day(0))}, "1003"},
		{"activities without dates", "activities", object{"filter": object{"activityTypeIds": []int{1}}}, "1003"},
		{"activities", "activities", object{"filter": between31("createdAt", day(-31), day(0))}, ""},
		{"activities by updatedAt", "activities", object{"filter": between31("updatedAt", day(-1), day(0))}, "1003"},
		{"deletions", "activities", object{"filter": object{"createdAt": rng("2026-03-01T00:00:00Z", "2026-03-02T00:00:00Z"), "activityTypeIds": []int{12, 37}}}, "1003"},
		{"primary values without types", "activities", object{"filter": object{"createdAt": rng("2026-03-01T00:00:00Z", "2026-03-02T00:00:00Z"), "primaryAttributeValueIds": []int{1}}}, "1003"},
		{"members", "program/members", object{"fields": []string{"leadId"}, "filter": object{"programId": 2001}}, ""},
		{"members without program", "program/members", object{"fields": []string{"leadId"}, "filter": object{"isExhausted": true}}, "1003"},
		{"members of an unknown status", "program/members", object{"fields": []string{"leadId"}, "filter": object{"programId": 2001, "statusNames": []string{"Asleep"}}}, "1003"},
		{"unknown custom object", "customobjects/nothing_c", object{"fields": []string{"leadId"}, "filter": between31("updatedAt", day(-1), day(0))}, "1013"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if r := a.call("POST", "/bulk/v1/"+c.object+"/export/create.json", c.body); r.code() != c.code {
				t.Errorf("got %s, want code %q", r.raw, c.code)
			}
		})
	}
	t.Run("milliseconds forbidden", func(t *testing.T) {
		a := open(t, Config{ForbidMillis: true})
		a.want(a.call("POST", "/bulk/v1/leads/export/create.json", object{"fields": []string{"id"}, "filter": object{"createdAt": rng("2026-03-01T00:00:00.000Z", "2026-03-02T00:00:00Z")}}), "1003")
	})
}

func TestS16_MissingCapability(t *testing.T) {
	a := open(t, Config{NoUpdatedAt: true})
	for _, f := range []struct {
		name  string
		value any
	}{{"updatedAt", object{"startAt": "2026-03-01T00:00:00Z", "endAt": "2026-03-01T00:00:00Z"}}, {"smartListId", 9}, {"smartListName", "x"}} {
		r := a.call("POST", "/bulk/v1/leads/export/create.json", object{"fields": []string{"id"}, "filter": object{f.name: f.value}})
		if r.code() != "1035" || r.message() != "Unsupported filter type for target subscription: "+f.name {
			t.Errorf("filter %s: got %s, want 1035", f.name, r.raw)
		}
	}
	a.create("leads", []string{"id"})
}

func TestS17_InclusiveSeconds(t *testing.T) {
	a := open(t, Config{})
	a.forward(time.Hour)
	at := a.clock.Now()
	a.sim.change(func(m *mutation) { m.createLeads(3) })
	a.forward(time.Hour)
	count := func(from, to time.Time) int64 {
		j, _ := a.export("leads", object{"fields": []string{"id"}, "filter": between31("createdAt", from, to)})
		return *j.NumberOfRecords
	}
	for _, c := range []struct {
		name     string
		from, to time.Duration
		want     int64
	}{
		{"that second alone", 0, 0, 3},
		{"ends with it", -time.Minute, 0, 3},
		{"begins with it", 0, time.Minute, 3},
		{"ends before", -time.Minute, -time.Second, 0},
		{"begins after", time.Second, time.Minute, 0},
	} {
		if got := count(at.Add(c.from), at.Add(c.to)); got != c.want {
			t.Errorf("window that %s: got %d leads, want %d", c.name, got, c.want)
		}
	}
}

func TestS18_UpdatedAtFilter(t *testing.T) {
	a := open(t, Config{})
	a.forward(time.Hour)
	at := a.clock.Now()
	var ids [2]int64
	a.sim.change(func(m *mutation) {
		list := m.pick(2)
		m.set(list[0], []string{"Notes__c"}, false)
		m.set(list[1], []string{"title"}, true)
		ids[0], ids[1] = m.s.world.leadID(list[0]), m.s.world.leadID(list[1])
	})
	a.clock.Advance(time.Minute)
	_, p := a.export("leads", object{"fields": []string{"id", "updatedAt"}, "filter": between31("updatedAt", at, at)})
	rows := lines(p)[1:]
	if len(rows) != 2 {
		t.Fatalf("changed at that second: got %q, want both leads", rows)
	}
	stamp := at.Format("2006-01-02T15:04:05Z")
	for i, id := range ids {
		k := slices.IndexFunc(rows, func(r string) bool { return strings.HasPrefix(r, fmt.Sprint(id)+",") })
		if k < 0 {
			t.Fatalf("lead %d is missing in %q", id, rows)
		}
		if moved := strings.HasSuffix(rows[k], stamp); moved != (i == 1) {
			t.Errorf("lead %d (custom field only: %v): row %s, updatedAt moved: %v", id, i == 0, rows[k], moved)
		}
	}
	// Changed again: the old window no longer returns it.
	a.forward(time.Hour)
	a.sim.change(func(m *mutation) { i, _ := m.s.world.leadIndex(ids[0]); m.set(i, []string{"Health_Score__c"}, false) })
	_, p = a.export("leads", object{"fields": []string{"id"}, "filter": between31("updatedAt", at, at)})
	if got := lines(p)[1:]; len(got) != 1 || got[0] != fmt.Sprint(ids[1]) {
		t.Errorf("the window after a later change: got %q, want only %d", got, ids[1])
	}
}

func TestS19_StatusEveryMinute(t *testing.T) {
	a := open(t, Config{ProcessTime: func(*simulate.Job) time.Duration { return 10 * time.Second }})
	id := a.create("leads", []string{"id"})
	a.want(a.enqueue("leads", id), "")
	for range 5 {
		a.clock.Advance(11 * time.Second)
		if j := a.status("leads", id); j.Status != "Queued" || j.StartedAt != "" {
			t.Fatalf("polled after %s: got %+v, want the status of the last refresh", a.clock.Now().Sub(testStart), j)
		}
	}
	a.clock.Advance(5 * time.Second)
	if j := a.status("leads", id); j.Status != "Completed" {
		t.Errorf("polled after a minute: got %+v, want Completed", j)
	}
}

func TestS20_JobObject(t *testing.T) {
	a := open(t, Config{ProcessTime: func(*simulate.Job) time.Duration { return 5 * time.Minute }, Slots: 1})
	first := a.create("leads", []string{"id"})
	a.want(a.enqueue("leads", first), "")
	id := a.create("leads", []string{"id", "email"})
	have := func(j job) string {
		var s []string
		for _, f := range []struct {
			name string
			ok   bool
		}{
			{"created", j.CreatedAt != ""},
			{"queued", j.QueuedAt != ""},
			{"started", j.StartedAt != ""},
			{"finished", j.FinishedAt != ""},
			{"count", j.NumberOfRecords != nil},
			{"size", j.FileSize != nil},
			{"sum", j.FileChecksum != ""},
			{"error", j.ErrorMsg != ""},
		} {
			if f.ok {
				s = append(s, f.name)
			}
		}
		return j.Status + " " + strings.Join(s, " ")
	}
	check := func(want string, j job) {
		t.Helper()
		if got := have(j); got != want || j.Format != "CSV" || len(j.ExportID) != 36 {
			t.Errorf("got %q (%+v), want %q", got, j, want)
		}
	}
	check("Created created", a.status("leads", id))
	check("Queued created queued", a.job(a.enqueue("leads", id)))
	a.clock.Advance(6 * time.Minute)
	check("Processing created queued started", a.status("leads", id))
	a.clock.Advance(5 * time.Minute)
	check("Completed created queued started finished count size sum", a.status("leads", id))

	if err := a.sim.AddFault("fail:message=Simulated, processing failure"); err != nil {
		t.Fatal(err)
	}
	id = a.create("leads", []string{"id"})
	a.want(a.enqueue("leads", id), "")
	j := a.finish("leads", id)
	check("Failed created queued started finished error", j)
	if j.ErrorMsg != "Simulated, processing failure" {
		t.Errorf("errorMsg: got %q", j.ErrorMsg)
	}
}

func TestS24_OtherUsersJobs(t *testing.T) {
	a := open(t, Config{})
	id := a.create("leads", []string{"id"})
	a.want(a.enqueue("leads", id), "")
	a.finish("leads", id)
	mine := a.token
	a.login(1)
	a.want(a.get("/bulk/v1/leads/export/"+id+"/status.json"), "1013")
	a.want(a.enqueue("leads", id), "1013")
	a.want(a.call("POST", "/bulk/v1/leads/export/"+id+"/cancel.json", nil), "1013")
	if status, _, _ := a.do("GET", "/bulk/v1/leads/export/"+id+"/file.json", nil, nil); status != 404 {
		t.Errorf("another user's file: got %d, want 404", status)
	}
	if r := a.get("/bulk/v1/leads/export.json"); len(r.Result) != 0 || bytes.Contains(r.raw, []byte("result")) {
		t.Errorf("another user's list: got %s, want no result", r.raw)
	}
	a.token = mine
	if r := a.get("/bulk/v1/leads/export.json"); len(r.Result) != 1 {
		t.Errorf("own list: got %s", r.raw)
	}
	a.want(a.get("/bulk/v1/activities/export/"+id+"/status.json"), "1013")
}

func TestS25_Cancel(t *testing.T) {
	for _, c := range []struct {
		name, spelled, want string
	}{{"default", "", "Cancelled"}, {"one l", "Canceled", "Canceled"}} {
		t.Run(c.name, func(t *testing.T) {
			a := open(t, Config{CancelSpelled: c.spelled, Slots: 1})
			cancel := func(id string) job {
				return a.job(a.call("POST", "/bulk/v1/leads/export/"+id+"/cancel.json", nil))
			}
			created, processing, queued, next := a.create("leads", []string{"id"}), a.create("leads", []string{"id"}), a.create("leads", []string{"id"}), a.create("leads", []string{"id"})
			for _, id := range []string{processing, queued, next} {
				a.want(a.enqueue("leads", id), "")
			}
			if j := cancel(created); j.Status != c.want || j.QueuedAt != "" {
				t.Errorf("cancel of a created job: got %+v", j)
			}
			if j := cancel(queued); j.Status != c.want || j.QueuedAt == "" {
				t.Errorf("cancel of a queued job: got %+v", j)
			}
			a.clock.Advance(10 * time.Second)
			at := a.clock.Now()
			if j := cancel(processing); j.Status != c.want {
				t.Errorf("cancel of a processing job: got %+v", j)
			}
			a.clock.Advance(time.Minute) // the slot was released at once
			if j := a.status("leads", next); j.StartedAt != at.Format("2006-01-02T15:04:05Z") {
				t.Errorf("the next job: got %+v, want it started at %s", j, at)
			}
			a.finish("leads", next)
			a.want(a.call("POST", "/bulk/v1/leads/export/"+next+"/cancel.json", nil), "1029")
			if r := a.get("/bulk/v1/leads/export.json?status=Cancelled"); len(r.Result) != 3 {
				t.Errorf("list of cancelled jobs: got %s", r.raw)
			}
		})
	}
}

func TestS26_Retention(t *testing.T) {
	a := open(t, Config{})
	id := a.create("leads", []string{"id"})
	a.want(a.enqueue("leads", id), "")
	a.finish("leads", id)
	file := func() int {
		s, _, _ := a.do("GET", "/bulk/v1/leads/export/"+id+"/file.json", nil, nil)
		return s
	}
	listed := func() int { return len(a.get("/bulk/v1/leads/export.json?status=Completed,Failed").Result) }
	a.forward(6 * 24 * time.Hour)
	if f, l := file(), listed(); f != 200 || l != 1 {
		t.Errorf("after 6 days: file %d, listed %d, want 200 and 1", f, l)
	}
	a.forward(25 * time.Hour)
	if f, l := file(), listed(); f != 404 || l != 0 {
		t.Errorf("after 7 days: file %d, listed %d, want 404 and 0", f, l)
	}
	if j := a.status("leads", id); j.Status != "Completed" || j.FileSize == nil {
		t.Errorf("status after 7 days: got %+v, want Completed", j)
	}
	a.forward(22 * 24 * time.Hour)
	a.status("leads", id)
	a.forward(2 * 24 * time.Hour)
	a.want(a.get("/bulk/v1/leads/export/"+id+"/status.json"), "1013")
}

func TestJobList(t *testing.T) {
	a := open(t, Config{RateLimit: 1000})
	var ids []string
	for range 7 {
		ids = append(ids, a.create("leads", []string{"id"}))
	}
	a.want(a.enqueue("leads", ids[2]), "")
	if r := a.get("/bulk/v1/leads/export.json?status=Created&status=Queued"); len(r.Result) != 7 {
		t.Errorf("status repeated: got %d jobs, want 7", len(r.Result))
	}
	if r := a.get("/bulk/v1/leads/export.json?status=Queued,Processing"); len(r.Result) != 1 {
		t.Errorf("status list: got %d jobs, want 1", len(r.Result))
	}
	var got []string
	for token, pages := "", 0; ; pages++ {
		r := a.get("/bulk/v1/leads/export.json?batchSize=3&nextPageToken=" + token)
		a.want(r, "")
		for _, p := range r.Result {
			var j job
			_ = json.Unmarshal(p, &j)
			got = append(got, j.ExportID)
		}
		if token = r.Token; token == "" {
			if pages != 2 {
				t.Errorf("got %d pages, want 3", pages+1)
			}
			break
		}
	}
	if !slices.Equal(got, ids) {
		t.Errorf("jobs by pages: got %v, want %v", got, ids)
	}
}

func TestMemberAndObjectExports(t *testing.T) {
	a := open(t, Config{BitBools: true})
	j, p := a.export("program/members", object{"fields": []string{"leadId", "statusName", "reachedSuccess", "membershipDate"}, "filter": object{"programIds": []int{2001, 2003}, "statusNames": []string{"Attended", "Registered"}}})
	rows := lines(p)
	if rows[0] != "programId,leadId,statusName,reachedSuccess,membershipDate" || *j.NumberOfRecords < 10 || int64(len(rows)-1) != *j.NumberOfRecords {
		t.Errorf("members: %d rows, job %+v, header %s", len(rows)-1, j, rows[0])
	}
	for _, r := range rows[1:] {
		c := strings.Split(r, ",")
		if (c[2] == "Attended") != (c[3] == "1") || c[2] != "Attended" && c[2] != "Registered" {
			t.Errorf("member row %s", r)
		}
	}
	j, p = a.export("customobjects/deviceOwned_c", object{"fields": []string{"leadId", "serialNumber", "purchasedOn"}, "filter": between31("updatedAt", testStart.AddDate(0, 0, -31), testStart)})
	if rows := lines(p); int64(len(rows)-1) != *j.NumberOfRecords || len(rows) < 2 {
		t.Errorf("custom objects: %d rows, job %+v", len(rows)-1, j)
	}
}
