package pardotsim

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/martsync/martsync/simulate"
)

// client makes a connection for each request: on one that was used before, a request that breaks
// off would be sent again by net/http itself.
var client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

// A desk is a business unit over loopback and one user who reads it.
type desk struct {
	t     *testing.T
	s     *Server
	clock *simulate.Clock
	url   string
	token string
	unit  string // header; "-": none
}

func newDesk(t *testing.T, cfg Config) *desk {
	t.Helper()
	clock := simulate.NewClock(time.Date(2026, 3, 16, 14, 30, 0, 0, time.UTC))
	if cfg.Clock != nil {
		clock = cfg.Clock.(*simulate.Clock)
	}
	cfg.Clock = clock
	if cfg.Rows == 0 {
		cfg.Rows = 300
	}
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(s)
	t.Cleanup(srv.Close)
	d := &desk{t: t, s: s, clock: clock, url: srv.URL, unit: s.cfg.BusinessUnit}
	d.token = d.login()
	return d
}

// login refreshes and returns the access token.
func (d *desk) login() string {
	d.t.Helper()
	u := d.s.org.users[0]
	status, reply := d.oauth(url.Values{
		"grant_type": {"refresh_token"}, "client_id": {u.ClientID}, "client_secret": {u.Secret}, "refresh_token": {d.s.org.RefreshToken(u.Username)},
	})
	token, _ := reply["access_token"].(string)
	if status != http.StatusOK || token == "" {
		d.t.Fatalf("login: status %d, reply %v", status, reply)
	}
	return token
}

func (d *desk) oauth(form url.Values) (int, map[string]any) {
	d.t.Helper()
	resp, err := client.PostForm(d.url+"/services/oauth2/token", form)
	if err != nil {
		d.t.Fatal(err)
	}
	defer resp.Body.Close()
	var reply map[string]any
	if err := json.NewDecoder(resp.Body).Decode(&reply); err != nil {
		d.t.Fatal(err)
	}
	return resp.StatusCode, reply
}

// An answer is a reply as it came.
type answer struct {
	status int
	header http.Header
	body   string
}

// request sends a request with the user's headers. edit may change it.
func (d *desk) request(method, path, body string, edit ...func(*http.Request)) (answer, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute) // however slow the machine is
	defer cancel()
	if !strings.Contains(path, "://") {
		path = d.url + path
	}
	r, err := http.NewRequestWithContext(ctx, method, path, strings.NewReader(body))
	if err != nil {
		d.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+d.token)
	if d.unit != "-" {
		r.Header.Set(unitHeader, d.unit)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for _, e := range edit {
		e(r)
	}
	resp, err := client.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, string(b)}, err
}

func (d *desk) get(path string, edit ...func(*http.Request)) answer {
	d.t.Helper()
	a, err := d.request(http.MethodGet, path, "", edit...)
	if err != nil {
		d.t.Fatalf("GET %s: %v", path, err)
	}
	return a
}

func (d *desk) post(path, body string, edit ...func(*http.Request)) answer {
	d.t.Helper()
	a, err := d.request(http.MethodPost, path, body, edit...)
	if err != nil {
		d.t.Fatalf("POST %s: %v", path, err)
	}
	return a
}

// v4 asks version 4 and returns the object of its JSON, without the envelope's attributes.
func (d *desk) v4(path string, params ...string) map[string]any {
	d.t.Helper()
	q := url.Values{"format": {"json"}}
	for i := 0; i < len(params); i += 2 {
		q.Set(params[i], params[i+1])
	}
	return d.get("/api/" + path + "?" + q.Encode()).object(d.t)
}

func (a answer) object(t *testing.T) map[string]any {
	t.Helper()
	var v map[string]any
	dec := json.NewDecoder(strings.NewReader(a.body))
	dec.UseNumber()
	if err := dec.Decode(&v); err != nil {
		t.Fatalf("status %d, body %.200q: %v", a.status, a.body, err)
	}
	return v
}

// code is the vendor's code of a reply in any form; 0: it is no error.
func (a answer) code() int {
	var v struct {
		Code  int `json:"code"`
		Attrs struct {
			Code int `json:"err_code"`
		} `json:"@attributes"`
	}
	if json.Unmarshal([]byte(a.body), &v) == nil {
		return v.Code + v.Attrs.Code
	}
	var code int
	if _, after, ok := strings.Cut(a.body, `<err code="`); ok {
		for _, r := range after {
			if r < '0' || r > '9' {
				break
			}
			code = 10*code + int(r-'0')
		}
	}
	return code
}

// rows returns the records of a query's reply, whatever form their number gives them.
func rows(t *testing.T, reply map[string]any, key string) []map[string]any {
	t.Helper()
	result, ok := reply["result"].(map[string]any)
	if !ok {
		if reply["result"] == nil && reply["err"] == nil {
			return nil
		}
		t.Fatalf("no result: %v", reply)
	}
	switch v := result[key].(type) {
	case nil:
		return nil
	case map[string]any:
		return []map[string]any{v}
	case []any:
		list := make([]map[string]any, len(v))
		for i, e := range v {
			list[i] = e.(map[string]any)
		}
		return list
	}
	t.Fatalf("%s is a %T", key, result[key])
	return nil
}

func integer(t *testing.T, v any) int64 {
	t.Helper()
	n, ok := v.(json.Number)
	if !ok {
		t.Fatalf("%v is a %T, not a number", v, v)
	}
	i, err := n.Int64()
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func isCut(err error) bool { return err != nil && !errors.Is(err, context.DeadlineExceeded) }

func sized(rows int) Config { return Config{Options: simulate.Options{Rows: rows}} }
