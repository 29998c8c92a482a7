package pardotsim

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/martsync/martsync/simulate"
)

// A lab is a business unit and a user who asks it.
type lab struct {
	*Server
	t     *testing.T
	clock *simulate.Clock
	token string
}

func newLab(t *testing.T, cfg Config) *lab {
	t.Helper()
	clock := simulate.NewClock(defaultStart)
	cfg.Clock = clock
	def(&cfg.Rows, 400)
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return &lab{Server: s, t: t, clock: clock}
}

func (l *lab) login() {
	l.t.Helper()
	c := l.SourceConfig("http://example.com")
	form := url.Values{"grant_type": {"refresh_token"}}
	for _, key := range []string{"client_id", "client_secret", "refresh_token"} {
		form.Set(key, c[key].(string))
	}
	r := httptest.NewRequest(http.MethodPost, "/services/oauth2/token", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	l.ServeHTTP(w, r)
	var reply struct {
		Token string `json:"access_token"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &reply); err != nil || reply.Token == "" {
		l.t.Fatalf("login: status %d, %v: %s", w.Code, err, w.Body)
	}
	l.token = reply.Token
}

// call sends a GET and returns the whole reply.
func (l *lab) call(target string, q url.Values) *httptest.ResponseRecorder {
	l.t.Helper()
	if l.token == "" {
		l.login()
	}
	if q != nil {
		target += "?" + q.Encode()
	}
	r := httptest.NewRequest(http.MethodGet, target, nil)
	r.Header.Set("Authorization", "Bearer "+l.token)
	r.Header.Set("Pardot-Business-Unit-Id", l.cfg.BusinessUnit)
	w := httptest.NewRecorder()
	l.ServeHTTP(w, r)
	return w
}

// A page5 is a reply of version 5.
type page5 struct {
	status  int
	header  http.Header
	Token   *string          `json:"nextPageToken"`
	URL     *string          `json:"nextPageUrl"`
	Values  []map[string]any `json:"values"`
	Code    int              `json:"code"`
	Message string           `json:"message"`
}

// v5 queries a collection; parameters come in pairs.
func (l *lab) v5(collection string, pairs ...string) page5 {
	l.t.Helper()
	w := l.call("/api/v5/objects/"+collection, pairsOf(pairs))
	p := page5{status: w.Code, header: w.Header()}
	d := json.NewDecoder(w.Body)
	d.UseNumber()
	if err := d.Decode(&p); err != nil {
		l.t.Fatalf("%s %v: status %d: %v", collection, pairs, w.Code, err)
	}
	return p
}

func pairsOf(pairs []string) url.Values {
	q := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		q.Add(pairs[i], pairs[i+1])
	}
	return q
}

// object5 reads one record, or an error.
func (l *lab) object5(path string, pairs ...string) (int, map[string]any, http.Header) {
	l.t.Helper()
	w := l.call("/api/v5/objects/"+path, pairsOf(pairs))
	var out map[string]any
	d := json.NewDecoder(w.Body)
	d.UseNumber()
	if err := d.Decode(&out); err != nil {
		l.t.Fatalf("%s %v: status %d: %v", path, pairs, w.Code, err)
	}
	return w.Code, out, w.Header()
}

// fails checks that a query is refused.
func (l *lab) fails(status, code int, message, collection string, pairs ...string) {
	l.t.Helper()
	p := l.v5(collection, pairs...)
	if p.status != status || p.Code != code || !strings.Contains(p.Message, message) {
		l.t.Errorf("%s %v: got status %d, code %d, %q; want %d, %d, %q", collection, pairs, p.status, p.Code, p.Message, status, code, message)
	}
}

// all lists a collection by ids, page by page.
func (l *lab) all(collection, limit string, pairs ...string) (rows []map[string]any) {
	l.t.Helper()
	after := "0"
	for range 10_000 {
		p := l.v5(collection, append([]string{"limit", limit, "idGreaterThan", after, "orderBy", "id ASC"}, pairs...)...)
		if p.status != http.StatusOK {
			l.t.Fatalf("%s: status %d, code %d: %s", collection, p.status, p.Code, p.Message)
		}
		rows = append(rows, p.Values...)
		if p.Token == nil {
			return rows
		}
		after = p.Values[len(p.Values)-1]["id"].(json.Number).String()
	}
	l.t.Fatal("there is no end")
	return nil
}

func number(t *testing.T, v any) int64 {
	t.Helper()
	n, err := v.(json.Number).Int64()
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func iso(at int64) string {
	return time.Unix(at, 0).UTC().Format("2006-01-02T15:04:05+00:00")
}
