package marketosim

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/martsync/martsync/simulate"
)

type tokenReply struct {
	Token   string `json:"access_token"`
	Type    string `json:"token_type"`
	Expires int64  `json:"expires_in"`
	Scope   string `json:"scope"`
	Error   string `json:"error"`
	Text    string `json:"error_description"`
	Success *bool  `json:"success"`
}

func (a *account) ask(method, client, secret string) (int, tokenReply) {
	a.t.Helper()
	status, _, p := a.do(method, "/identity/oauth/token?grant_type=client_credentials&client_id="+url.QueryEscape(client)+"&client_secret="+url.QueryEscape(secret), nil, nil)
	var r tokenReply
	if err := json.Unmarshal(p, &r); err != nil {
		a.t.Fatalf("token reply %q: %v", p, err)
	}
	return status, r
}

func TestS1_SameTokenWhileItLives(t *testing.T) {
	a := open(t, Config{})
	u := a.sim.cfg.Users[0]
	a.clock.Advance(10 * time.Second)
	status, first := a.ask("GET", u.ClientID, u.Secret)
	if status != 200 || first.Token != a.token || first.Type != "bearer" || first.Scope != u.Email || first.Expires != 3590 {
		t.Errorf("after 10 s: got status %d and %+v, want the same token with 3590 s left", status, first)
	}
	a.clock.Advance(time.Minute)
	if _, second := a.ask("POST", u.ClientID, u.Secret); second.Token != first.Token || second.Expires != 3530 {
		t.Errorf("after 70 s: got %+v, want the same token with 3530 s left", second)
	}
	other := a.sim.cfg.Users[1]
	if _, r := a.ask("GET", other.ClientID, other.Secret); r.Token == first.Token || r.Expires != 3600 {
		t.Errorf("another client: got %+v, want its own fresh token", r)
	}
	a.clock.Advance(time.Hour)
	if _, fresh := a.ask("GET", u.ClientID, u.Secret); fresh.Token == first.Token || fresh.Expires != 3600 {
		t.Errorf("after its end: got %+v, want a fresh token", fresh)
	}
}

func TestS2_WrongSecret(t *testing.T) {
	a := open(t, Config{})
	for _, c := range []struct{ name, client, secret, want string }{
		{"wrong secret", a.sim.cfg.Users[0].ClientID, "nonsense", "invalid_client"},
		{"unknown client", "nobody", "nonsense", "unauthorized"},
	} {
		t.Run(c.name, func(t *testing.T) {
			status, r := a.ask("GET", c.client, c.secret)
			if status != http.StatusUnauthorized || r.Error != c.want || r.Text == "" || r.Success != nil {
				t.Errorf("got status %d and %+v, want 401 and an OAuth error %q without envelope", status, r, c.want)
			}
		})
	}
}

func TestS3_TokenStates(t *testing.T) {
	a := open(t, Config{})
	const path = "/rest/v1/leads/partitions.json"
	a.want(a.get(path), "")
	live := a.token
	a.clock.Advance(time.Hour)
	if r := a.get(path); r.code() != "602" || r.message() != "Access token expired" {
		t.Errorf("first use after the end: got %s, want 602", r.raw)
	}
	for range 2 {
		if r := a.get(path); r.code() != "601" || r.message() != "Access token invalid" {
			t.Errorf("later use: got %s, want 601", r.raw)
		}
	}
	a.token = "6d9c0f3a-never-issued:sim"
	a.want(a.get(path), "601")
	a.token = ""
	if r := a.get(path); r.code() != "603" || r.message() != "Access denied" {
		t.Errorf("no header: got %s, want 603", r.raw)
	}
	a.login(0)
	if a.token == live {
		t.Error("a token came back to life")
	}
	a.want(a.get(path), "")
}

func TestS4_TokenInQuery(t *testing.T) {
	for _, c := range []struct {
		name   string
		accept bool
		code   string
	}{{"refused", false, "603"}, {"accepted", true, ""}} {
		t.Run(c.name, func(t *testing.T) {
			a := open(t, Config{TokenInQuery: c.accept})
			path := "/rest/v1/leads/partitions.json?access_token=" + url.QueryEscape(a.token)
			a.token = ""
			a.want(a.get(path), c.code)
		})
	}
}

func TestS5_UncountedCalls(t *testing.T) {
	a := open(t, Config{Options: simulate.Options{Faults: []string{"code:code=604,path=partitions", "code:code=608,path=partitions", "code:code=611,path=partitions"}}})
	for range 5 {
		a.login(0)
	}
	const path = "/rest/v1/leads/partitions.json"
	for _, code := range []string{"604", "608", "611"} {
		a.want(a.get(path), code)
	}
	a.want(a.call("POST", path, object{}), "605")
	token := a.token
	a.token = "unknown"
	a.want(a.get(path), "601")
	a.token = token
	a.clock.Advance(time.Hour)
	a.want(a.get(path), "602")
	if got := a.sim.Stats().Calls; got != 0 {
		t.Errorf("calls that do not count: got %d counted", got)
	}
	a.login(0)
	a.want(a.get(path), "")
	a.want(a.get("/rest/v1/nowhere.json"), "610")
	if got := a.sim.Stats().Calls; got != 2 {
		t.Errorf("calls that count: got %d, want 2", got)
	}
}

func TestS10_Refusals(t *testing.T) {
	users := DefaultUsers()
	users[1].Denied = []string{"Read-Only Activity"}
	a := open(t, Config{Users: users})
	for _, p := range []string{"/rest/v1/nowhere.json", "/rest/v1/leads/describe", "/rest/asset/v1/programme.json", "/", "/bulk/v1/leads/export/create"} {
		if r := a.get(p); r.code() != "610" || r.message() != "Requested resource not found" {
			t.Errorf("path %s: got %s, want 610", p, r.raw)
		}
	}
	if r := a.call("POST", "/rest/v1/activities.json", object{}); r.code() != "605" || r.message() != "Request method 'POST' not supported" {
		t.Errorf("wrong method: got %s, want 605", r.raw)
	}
	a.want(a.get("/bulk/v1/leads/export/create.json"), "605")
	js := http.Header{"Content-Type": {"application/json"}}
	if _, _, p := a.do("POST", "/bulk/v1/leads/export/create.json", js, []byte(`{"fields":["id"`)); !strings.Contains(string(p), `"609"`) {
		t.Errorf("malformed JSON: got %s, want 609", p)
	}
	if _, _, p := a.do("POST", "/bulk/v1/leads/export/create.json", http.Header{"Content-Type": {"text/plain"}}, []byte(`{}`)); !strings.Contains(string(p), `"612"`) {
		t.Errorf("content type: got %s, want 612", p)
	}
	a.login(1)
	a.want(a.get("/rest/v1/activities/types.json"), "603")
	a.want(a.call("POST", "/bulk/v1/activities/export/create.json", object{}), "603")
	a.want(a.get("/rest/v1/leads/describe.json"), "")
}
