package pardotsim

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/martsync/martsync/simulate"
)

// routes are one request of each kind.
func (d *desk) routes() map[string]func() (answer, error) {
	u := d.s.org.users[0]
	export := body("visitor", "filter_by_updated_at", nil, "updated_after", "2026-03-01")
	get := func(path string) func() (answer, error) {
		return func() (answer, error) { return d.request(http.MethodGet, path, "") }
	}
	x := d.finished(d.export(export))
	return map[string]func() (answer, error){
		"version 4 query": get("/api/tag/version/4/do/query?format=json"),
		"version 4 read":  get("/api/account/version/4/do/read?format=json"),
		"version 5 query": get("/api/v5/objects/tags?fields=id,name"),
		"version 5 read":  get("/api/v5/objects/account?fields=id,company"),
		"export create":   func() (answer, error) { return d.request(http.MethodPost, createPath, export) },
		"export read":     get("/api/export/version/4/do/read/id/9901?format=json"),
		"export list":     get("/api/export/version/4/do/query?format=json"),
		"download":        get(listOf(x["resultRefs"])[0]),
		"login": func() (answer, error) {
			form := url.Values{"grant_type": {"client_credentials"}, "client_id": {u.ClientID}, "client_secret": {u.Secret}}
			return d.request(http.MethodPost, "/services/oauth2/token", form.Encode(), func(r *http.Request) { r.Header.Set("Content-Type", "application/x-www-form-urlencoded") })
		},
	}
}

func TestS26FaultsOfEachRoute(t *testing.T) {
	d := newDesk(t, Config{Options: simulate.Options{Rows: 60}})
	code := func(want int) func(answer, error) bool {
		return func(a answer, err error) bool { return err == nil && a.code() == want }
	}
	status := func(want int) func(answer, error) bool {
		return func(a answer, err error) bool {
			return err == nil && a.status == want && strings.HasPrefix(a.body, "<html>") && a.header.Get("Content-Type") == "text/html; charset=utf-8"
		}
	}
	broken := func(_ answer, err error) bool { return isCut(err) }
	tests := []struct {
		fault string
		happy func(answer, error) bool // it happened as it should
		login bool                     // of Salesforce's login too
		api   bool
	}{
		{"code:code=66", code(66), false, true},
		{"code:code=122", code(122), false, true},
		{"code:code=183", code(183), false, true},
		{"code:code=184", code(184), false, true},
		{"code:code=202", code(202), false, true},
		{"code:code=214", code(214), false, true},
		{"status:status=429", status(429), true, true},
		{"status:status=500", status(500), true, true},
		{"status", status(502), true, true},
		{"status:status=504", status(504), true, true},
		{"html", status(200), true, true},
		{"empty", func(a answer, err error) bool { return err == nil && a.status == 200 && a.body == "" }, true, true},
		{"broken", func(a answer, err error) bool {
			return err == nil && a.body != "" && (!json.Valid([]byte(a.body)) || strings.HasPrefix(a.header.Get("Content-Type"), "text/csv"))
		}, true, true},
		{"cut", broken, true, true},
		{"cut:after=7", broken, true, true},
		{"drop", broken, true, true},
		{"expire", code(184), false, true},
		{"login", func(a answer, err error) bool {
			return err == nil && a.status == 400 && strings.Contains(a.body, "rate_limit_exceeded")
		}, true, false},
	}
	healthy := func(a answer, err error) bool { return err == nil && a.status == 200 && a.code() == 0 && a.body != "" }
	for route, ask := range d.routes() {
		for _, tt := range tests {
			if route == "login" && !tt.login || route != "login" && !tt.api {
				continue
			}
			t.Run(route+"/"+tt.fault, func(t *testing.T) {
				d.s.ClearFaults()
				if err := d.s.AddFault(tt.fault); err != nil {
					t.Fatal(err)
				}
				if a, err := ask(); !tt.happy(a, err) {
					t.Errorf("the fault did not happen: %d %.100q, %v", a.status, a.body, err)
				}
				d.s.ClearFaults()
				if strings.HasPrefix(tt.fault, "expire") {
					d.token = d.login()
				}
				if a, err := ask(); !healthy(a, err) {
					t.Errorf("it does not end: %d %.100q, %v", a.status, a.body, err)
				}
			})
		}
		t.Run(route+"/slow", func(t *testing.T) {
			if err := d.s.AddFault("slow:for=90s"); err != nil {
				t.Fatal(err)
			}
			before := d.clock.Now()
			if a, err := ask(); !healthy(a, err) || d.clock.Now().Sub(before) != 90*time.Second {
				t.Errorf("got %d %.100q, %v after %s; want a healthy answer after 90 s", a.status, a.body, err, d.clock.Now().Sub(before))
			}
			d.token = d.login()
		})
	}
}

func TestS26Hang(t *testing.T) {
	d := newDesk(t, Config{Options: simulate.Options{Rows: 60}})
	if err := d.s.AddFault("hang"); err != nil {
		t.Fatal(err)
	}
	r := d.hanging(t)
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got := make([]byte, resp.ContentLength)
	n := 0
	for n < int(resp.ContentLength)/2 {
		k, err := resp.Body.Read(got[n:])
		if err != nil {
			t.Fatal(err)
		}
		n += k
	}
	if n != int(resp.ContentLength)/2 {
		t.Errorf("got %d bytes of %d before the silence, want half of them", n, resp.ContentLength)
	}
}

func TestS26Heavy(t *testing.T) {
	d := newDesk(t, Config{Options: simulate.Options{Rows: 60}})
	if err := d.s.AddFault("heavy:rows=50,times=0"); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]int{
		"/api/prospect/version/4/do/query?format=json":          202,
		"/api/prospect/version/4/do/query?format=json&limit=51": 202,
		"/api/prospect/version/4/do/query?format=json&limit=50": 0,
		"/api/v5/objects/prospects?fields=id&limit=1000":        202,
		"/api/v5/objects/prospects?fields=id":                   202,
		"/api/v5/objects/prospects?fields=id&limit=50":          0,
	} {
		if a := d.get(path); a.code() != want {
			t.Errorf("%s: got %.100s, want code %d", path, a.body, want)
		}
	}
}

func TestS26Wide(t *testing.T) {
	d := newDesk(t, Config{Options: simulate.Options{Rows: 60}})
	if err := d.s.AddFault("wide:for=24h,code=214,times=0"); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]int{
		"/api/prospect/version/4/do/query?format=json":                                                                             0,
		"/api/prospect/version/4/do/query?format=json&updated_after=2026-03-01":                                                    214,
		"/api/prospect/version/4/do/query?format=json&updated_after=2026-03-01&updated_before=2026-03-02":                          0,
		"/api/v5/objects/prospects?fields=id&updatedAtAfterOrEqualTo=2026-03-01T00:00:00%2B00:00":                                  214,
		"/api/v5/objects/prospects?fields=id&updatedAtAfter=2026-03-01T00:00:00-05:00&updatedAtBefore=2026-03-02T05:00:01Z":        214,
		"/api/v5/objects/prospects?fields=id&updatedAtAfter=2026-03-01T00:00:00-05:00&updatedAtBefore=2026-03-01T05:01:00%2B00:00": 0,
		"/api/v5/objects/prospects?fields=id":                                                                                      0,
	} {
		if a := d.get(path); a.code() != want {
			t.Errorf("%s: got %.100s, want code %d", path, a.body, want)
		}
	}
	if got := d.s.Stats().Faults["wide"]; got != 3 {
		t.Errorf("the fault happened %d times, want 3: narrow queries are none of its", got)
	}
}

func TestS26FaultsOfExports(t *testing.T) {
	create := body("visitor", "filter_by_updated_at", []string{"id"}, "updated_after", "2026-03-01")
	known := func(d *desk) int { return len(rows(d.t, d.v4("export/version/4/do/query"), "export")) }
	for fault, want := range map[string]int{"nocreate": 0, "noreply": 1} {
		t.Run(fault, func(t *testing.T) {
			d := newDesk(t, Config{})
			if err := d.s.AddFault(fault); err != nil {
				t.Fatal(err)
			}
			if _, err := d.request(http.MethodPost, createPath, create); !isCut(err) {
				t.Errorf("create: got %v, want a broken connection", err)
			}
			if got := known(d); got != want {
				t.Errorf("got %d exports, want %d", got, want)
			}
			if d.finished(d.export(create))["state"] != stateComplete {
				t.Error("the next one does not complete")
			}
		})
	}
	t.Run("fail as Canceled", func(t *testing.T) {
		d := newDesk(t, Config{})
		if err := d.s.AddFault("fail:state=Canceled"); err != nil {
			t.Fatal(err)
		}
		if x := d.finished(d.export(create)); x["state"] != stateCanceled {
			t.Errorf("got %v, want Canceled", x)
		}
	})
	t.Run("lost", func(t *testing.T) {
		d := newDesk(t, Config{})
		if err := d.s.AddFault("lost"); err != nil {
			t.Fatal(err)
		}
		id := d.export(create)
		ref := listOf(d.finished(id)["resultRefs"])[0]
		for range 2 {
			if a := d.get(ref); a.code() != 178 {
				t.Errorf("got %d %.100s, want code 178 from then on", a.status, a.body)
			}
		}
		if x := d.read(id); x["isExpired"] != true || x["resultRefs"] != nil {
			t.Errorf("got %v, want an expired export", x)
		}
		if a := d.get(listOf(d.finished(d.export(create))["resultRefs"])[0]); a.status != http.StatusOK {
			t.Errorf("the next one: got %d %s", a.status, a.body)
		}
	})
}

func TestFaultsAreChecked(t *testing.T) {
	d := newDesk(t, Config{Options: simulate.Options{Rows: 20}})
	for _, bad := range []string{"kite", "status:status=200", "status:status=x", "slow:for=long", "fail:state=Gone", "cut:after=x", "heavy:rows=few", "code:code=x"} {
		if err := d.s.AddFault(bad); err == nil {
			t.Errorf("%s: got no error", bad)
		}
	}
	if _, err := New(Config{Options: simulate.Options{Faults: []string{"kite"}}}); err == nil {
		t.Error("New takes an unknown fault")
	}
	var names []string
	for _, f := range Faults {
		if f.Help == "" || strings.HasSuffix(f.Help, ".") {
			t.Errorf("%s: help is %q", f.Name, f.Help)
		}
		names = append(names, f.Name)
	}
	for _, group := range [][]string{replyFaults, loginFaults, downloadFaults, createFaults} {
		for _, name := range group {
			if !slices.Contains(names, name) {
				t.Errorf("fault %s is not listed", name)
			}
		}
	}
	if got := fmt.Sprint(d.s.SourceConfig("http://x")["refresh_token"]); got == "" || d.s.SourceConfig("http://x")["business_unit"] != DefaultBusinessUnit {
		t.Errorf("source configuration: %v", d.s.SourceConfig("http://x"))
	}
}

// TestHalfAFileEndsWithinARecord: what ended between two would be a whole file to anybody.
func TestHalfAFileEndsWithinARecord(t *testing.T) {
	for content, want := range map[string]int64{"": 0, "\n": 0, "a\n": 1, "a\nb\n": 1, "a\nbc\n": 1, "abc\ndef\n": 3, "abc\ndefg\n": 3, "ab\ncdef\n": 4} {
		file, err := simulate.NewFile(func(at simulate.Mark, emit func(simulate.Mark, []byte) error) error { return emit(at, []byte(content)) })
		if err != nil {
			t.Fatal(err)
		}
		if got := (exportFile{file: file}).half(); got != want {
			t.Errorf("%q: got %d bytes, want %d", content, got, want)
		}
	}
}
