package marketosim

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/martsync/martsync/simulate"
)

const cheap = "/rest/v1/leads/partitions.json"

func TestS6_RateLimit(t *testing.T) {
	a := open(t, Config{})
	for range 50 {
		a.want(a.get(cheap), "")
	}
	a.clock.Advance(12 * time.Second)
	for range 50 {
		a.want(a.get(cheap), "")
	}
	if r := a.get(cheap); r.code() != "606" || r.message() != "Max rate limit '100' exceeded with in '20' secs" {
		t.Fatalf("call 101 in 20 s: got %s, want 606", r.raw)
	}
	a.clock.Advance(8 * time.Second) // the first fifty are 20 s old; the refused one counts
	for i := range 49 {
		if r := a.get(cheap); r.code() != "" {
			t.Fatalf("call %d of the next window: got %s", i+1, r.raw)
		}
	}
	a.want(a.get(cheap), "606")
}

func TestS6_RateLimitFixed(t *testing.T) {
	a := open(t, Config{FixedRate: true, RateLimit: 5})
	a.clock.Set(testStart.Add(19 * time.Second))
	for range 5 {
		a.want(a.get(cheap), "")
	}
	a.want(a.get(cheap), "606")
	a.clock.Advance(time.Second) // the next window of 20 s begins
	a.want(a.get(cheap), "")
}

func TestS7_Concurrency(t *testing.T) {
	a := open(t, Config{})
	// Ten requests whose bodies do not end stay in flight.
	var pipes []*io.PipeWriter
	done := make(chan string, 10)
	for range 10 {
		r, w := io.Pipe()
		pipes = append(pipes, w)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, a.url+"/bulk/v1/leads/export/create.json", r)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+a.token)
		req.Header.Set("Content-Type", "application/json")
		go func() {
			resp, err := a.http.Do(req)
			if err != nil {
				done <- err.Error()
				return
			}
			p, _ := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			done <- string(p)
		}()
		if _, err := w.Write([]byte(`{"fields":`)); err != nil {
			t.Fatal(err)
		}
	}
	for a.sim.Stats().Calls < 10 { // until all are inside
		if t.Context().Err() != nil {
			t.Fatal("the calls do not arrive")
		}
	}
	if r := a.get(cheap); r.code() != "615" || r.message() != "Concurrent access limit '10' reached" {
		t.Errorf("call 11: got %s, want 615", r.raw)
	}
	for _, w := range pipes {
		_, _ = w.Write([]byte(`[]}`))
		_ = w.Close()
	}
	for range pipes {
		if p := <-done; !strings.Contains(p, "1003") {
			t.Errorf("a call that was in flight: got %s, want an ordinary answer", p)
		}
	}
	a.want(a.get(cheap), "")
	if got := a.sim.MaxInFlight(); got != 10 {
		t.Errorf("calls in flight: got %d at most, want 10", got)
	}
}

func TestS8_DailyQuota(t *testing.T) {
	for _, c := range []struct {
		name  string
		start time.Time
		fixed bool
		reset time.Time // 00:00 Central
	}{
		{"winter", time.Date(2026, 1, 15, 20, 0, 0, 0, time.UTC), false, time.Date(2026, 1, 16, 6, 0, 0, 0, time.UTC)},
		{"summer", time.Date(2026, 7, 15, 20, 0, 0, 0, time.UTC), false, time.Date(2026, 7, 16, 5, 0, 0, 0, time.UTC)},
		{"summer, fixed zone", time.Date(2026, 7, 15, 20, 0, 0, 0, time.UTC), true, time.Date(2026, 7, 16, 6, 0, 0, 0, time.UTC)},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := open(t, Config{Options: simulate.Options{Clock: simulate.NewClock(c.start)}, DailyCalls: 20, FixedQuotaZone: c.fixed})
			for range 20 {
				a.want(a.get(cheap), "")
			}
			if r := a.get(cheap); r.code() != "607" || r.message() != "Daily quota '20' reached" {
				t.Fatalf("call 21: got %s, want 607", r.raw)
			}
			a.clock.Set(c.reset.Add(-time.Second))
			a.login(0)
			a.want(a.get(cheap), "607")
			a.clock.Set(c.reset)
			a.login(0)
			a.want(a.get(cheap), "")
		})
	}
}

func TestS9_Sizes(t *testing.T) {
	a := open(t, Config{})
	if status, _, p := a.do("GET", cheap+"?x="+strings.Repeat("y", 8200), nil, nil); status != http.StatusRequestURITooLong || !bytes.HasPrefix(p, []byte("<html>")) {
		t.Errorf("URI over 8 KB: got %d %.60s, want 414 and HTML", status, p)
	}
	js := http.Header{"Content-Type": {"application/json"}}
	if status, _, p := a.do("POST", "/bulk/v1/leads/export/create.json", js, bytes.Repeat([]byte(" "), 1<<20+1)); status != http.StatusRequestEntityTooLarge || !bytes.HasPrefix(p, []byte("<html>")) {
		t.Errorf("body over 1 MB: got %d %.60s, want 413 and HTML", status, p)
	}
}

func TestS9_MethodGET(t *testing.T) {
	a := open(t, Config{})
	token := a.get("/rest/v1/activities/pagingtoken.json?sinceDatetime=2026-03-15T00:00:00Z").Token
	program := strconv.FormatInt(a.sim.state.Load().programs[1].id, 10)
	for _, c := range []struct{ path, query string }{
		{"/rest/v1/leads/describe.json", ""},
		{"/rest/v1/leads.json", "filterType=id&filterValues=500004,500007&fields=id,email"},
		{"/rest/v1/activities.json", "activityTypeIds=1,6&nextPageToken=" + url.QueryEscape(token)},
		{"/rest/v1/activities/leadchanges.json", "fields=title&nextPageToken=" + url.QueryEscape(token)},
		{"/rest/asset/v1/programs.json", "offset=3&maxReturn=5"},
		{"/rest/v1/programs/" + program + "/members.json", "filterType=reachedSuccess&filterValues=true"},
		{"/rest/v1/customobjects/deviceOwned_c.json", "filterType=leadId&filterValues=500004,500007,500010"},
		{"/rest/v1/lists.json", "batchSize=2"},
		{"/bulk/v1/leads/export.json", "status=Created"},
	} {
		t.Run(c.path, func(t *testing.T) {
			_, _, want := a.do("GET", c.path+"?"+c.query, nil, nil)
			status, _, got := a.do("POST", c.path+"?_method=GET", http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}, []byte(c.query))
			if status != 200 || !bytes.Equal(withoutID(got), withoutID(want)) || !bytes.Contains(got, []byte(`"success":true`)) {
				t.Errorf("POST with _method=GET: got %d %.300s\nwant %.300s", status, got, want)
			}
		})
	}
}

// withoutID removes the requestId, which differs by call.
func withoutID(p []byte) []byte {
	_, after, _ := bytes.Cut(p, []byte(`",`))
	return after
}

func TestS35_Gzip(t *testing.T) {
	a := open(t, Config{})
	zip := http.Header{"Accept-Encoding": {"gzip"}}
	list := func(n int) string { return fmt.Sprintf("/rest/v1/lists.json?batchSize=%d", n) }
	for _, c := range []struct {
		name, path string
		header     http.Header
		want       bool
	}{
		{"large, asked for", "/rest/v1/leads/describe.json", zip, true},
		{"large, asked for in a list", "/rest/v1/leads/describe.json", http.Header{"Accept-Encoding": {"br;q=1, gzip;q=0.8"}}, true},
		{"large, refused", "/rest/v1/leads/describe.json", http.Header{"Accept-Encoding": {"gzip;q=0"}}, false},
		{"large, not asked for", "/rest/v1/leads/describe.json", http.Header{"Accept-Encoding": {"identity"}}, false},
		{"small", list(1), zip, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, h, p := a.do("GET", c.path, c.header, nil)
			if got := h.Get("Content-Encoding") == "gzip"; got != c.want {
				t.Fatalf("compressed: got %v, want %v (%d bytes)", got, c.want, len(p))
			}
			if c.want {
				z, err := gzip.NewReader(bytes.NewReader(p))
				if err != nil {
					t.Fatal(err)
				}
				if p, err = io.ReadAll(z); err != nil {
					t.Fatal(err)
				}
			}
			if !bytes.Contains(p, []byte(`"success":true`)) || (len(p) >= 1024) != strings.HasPrefix(c.name, "large") {
				t.Errorf("body of %d bytes: %.100s", len(p), p)
			}
		})
	}
	t.Run("bulk", func(t *testing.T) {
		for range 12 {
			a.create("leads", []string{"id"})
		}
		_, h, p := a.do("GET", "/bulk/v1/leads/export.json", zip, nil)
		if h.Get("Content-Encoding") != "" || len(p) < 1024 {
			t.Errorf("below /bulk: got encoding %q of %d bytes, want none of 1024 or more", h.Get("Content-Encoding"), len(p))
		}
	})
}

func TestS36_Usage(t *testing.T) {
	a := open(t, Config{RateLimit: 1000})
	for range 7 {
		a.want(a.get(cheap), "")
	}
	a.want(a.get("/rest/v1/nowhere.json"), "610")
	a.login(1)
	for range 3 {
		a.want(a.get(cheap), "")
	}
	r := a.get("/rest/v1/stats/usage.json")
	a.want(r, "")
	want := `{"date":"2026-03-16","total":12,"users":[{"userId":"crm.api@larkfield.example","count":4},{"userId":"warehouse.api@larkfield.example","count":8}]}`
	if len(r.Result) != 1 || string(r.Result[0]) != want {
		t.Errorf("usage: got %s\nwant %s", r.Result, want)
	}
	r = a.get("/rest/v1/stats/errors.json")
	if want := `{"date":"2026-03-16","total":1,"errors":[{"errorCode":"610","count":1}]}`; len(r.Result) != 1 || string(r.Result[0]) != want {
		t.Errorf("errors: got %s\nwant %s", r.Result, want)
	}
	a.clock.Advance(24 * time.Hour)
	a.login(0)
	r = a.get("/rest/v1/stats/usage/last7days.json")
	if len(r.Result) != 7 || !strings.Contains(string(r.Result[0]), `"date":"2026-03-17","total":1`) || !strings.Contains(string(r.Result[1]), `"date":"2026-03-16","total":13`) {
		t.Errorf("last 7 days: got %s", r.Result)
	}
	if got := len(a.get("/rest/v1/stats/errors/last7days.json").Result); got != 7 {
		t.Errorf("errors of 7 days: got %d days", got)
	}
	st := a.sim.Stats()
	if st.ByUser["crm.api@larkfield.example"] != 5 || st.ByPath["GET "+cheap] != 10 {
		t.Errorf("stats: got %+v", st)
	}
}
