package pardot

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/martsync/martsync"
)

// A fakeClock stands still until somebody sleeps or moves it, and remembers the naps.
type fakeClock struct {
	mu   sync.Mutex
	now  time.Time
	naps []time.Duration
}

func newFakeClock() *fakeClock {
	return &fakeClock{now: time.Date(2026, 3, 18, 16, 30, 0, 0, time.UTC)}
}

func (c *fakeClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *fakeClock) Sleep(ctx context.Context, d time.Duration) error {
	if d > 0 && ctx.Err() == nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.now, c.naps = c.now.Add(d), append(c.naps, d)
	}
	return ctx.Err()
}

func (c *fakeClock) set(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = t
}

func (c *fakeClock) slept() []time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]time.Duration(nil), c.naps...)
}

// A fakeScript writes the n-th reply (from 0) of a path.
type fakeScript func(n int, w http.ResponseWriter, r *http.Request)

// A fakeVendor answers each path from a script, for replies that no simulator gives.
type fakeVendor struct {
	*httptest.Server
	clock *fakeClock
	log   *lockedBuffer

	mu     sync.Mutex
	paths  map[string]fakeScript
	counts map[string]int
	seen   []*http.Request // their forms have been read
}

const (
	tokenPath    = "/services/oauth2/token"
	userinfoPath = "/services/oauth2/userinfo"
	tagsPath     = objects5 + "tags"
	tag4Path     = "/api/tag/version/4/do/query"
	tag3Path     = "/api/tag/version/3/do/query"

	fakeUnit    = "0Uv000000000001CAA"
	fakeSecret  = "hush-client/secret+1%"
	fakeRefresh = "hush-refresh&token=="
)

var (
	tagResource = &resource{path: "tag", key: "tag", since: "updated"}
	getTags     = request{op: "query tags", path: tagsPath}
	getTags4    = request{op: "query tags", path: "/api/tag/version/{v}/do/query"}
)

// says plays bodies of a status one after the other, the last one for ever.
func says(status int, bodies ...string) fakeScript {
	return func(n int, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, bodies[min(n, len(bodies)-1)])
	}
}

// inTurn plays scripts one after the other, the last one for ever.
func inTurn(scripts ...fakeScript) fakeScript {
	return func(n int, w http.ResponseWriter, r *http.Request) { scripts[min(n, len(scripts)-1)](0, w, r) }
}

// failed4 is an error of version 4, failed5 one of version 5.
func failed4(code int, text string) string {
	return fmt.Sprintf(`{"@attributes":{"stat":"fail","version":1,"err_code":%d},"err":%q}`, code, text)
}

func failed5(code int, text string) string {
	return fmt.Sprintf(`{"code":%d,"message":%q}`, code, text)
}

const (
	fine4 = `{"@attributes":{"stat":"ok","version":1},"result":{"total_results":0}}`
	fine5 = `{"nextPageToken":null,"nextPageUrl":null,"values":[]}`
)

func newFakeVendor(t testing.TB, paths map[string]fakeScript) *fakeVendor {
	t.Helper()
	v := &fakeVendor{clock: newFakeClock(), log: &lockedBuffer{}, paths: map[string]fakeScript{}, counts: map[string]int{}}
	v.paths[tokenPath] = func(n int, w http.ResponseWriter, r *http.Request) {
		says(200, fmt.Sprintf(`{"access_token":"00D!hush-access-%d","token_type":"Bearer","issued_at":"1767225600000",
			"instance_url":"https://kestrel.my.salesforce.example","id":"%s/id/00D000000000001AAA/005000000000001AAA"}`, n+1, v.URL))(0, w, r)
	}
	v.paths[tagsPath] = says(200, fine5)
	v.paths[tag4Path] = says(200, fine4)
	for p, s := range paths {
		v.paths[p] = s
	}
	v.Server = httptest.NewServer(http.HandlerFunc(v.serve))
	t.Cleanup(v.Close)
	return v
}

func (v *fakeVendor) serve(w http.ResponseWriter, r *http.Request) {
	_ = r.ParseForm()
	v.mu.Lock()
	n := v.counts[r.URL.Path]
	v.counts[r.URL.Path]++
	v.seen = append(v.seen, r)
	s := v.paths[r.URL.Path]
	v.mu.Unlock()
	if s == nil {
		s = says(404, failed5(198, "Endpoint not found"))
	}
	s(n, w, r)
}

func (v *fakeVendor) count(path string) int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.counts[path]
}

// requests returns those of a path.
func (v *fakeVendor) requests(path string) (found []*http.Request) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, r := range v.seen {
		if r.URL.Path == path {
			found = append(found, r)
		}
	}
	return found
}

// env is an environment that logs everything to v.log.
func (v *fakeVendor) env(t testing.TB) martsync.Env {
	// Package net/http repeats calls by itself if a connection that was used before breaks.
	transport := &http.Transport{DisableKeepAlives: true}
	t.Cleanup(transport.CloseIdleConnections)
	return martsync.Env{
		Log:  slog.New(slog.NewTextHandler(v.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		HTTP: &http.Client{Transport: transport}, Clock: v.clock, TempDir: t.TempDir(),
	}
}

func (v *fakeVendor) config() Config {
	return Config{
		BusinessUnit: fakeUnit, APIHost: v.URL, LoginURL: v.URL,
		ClientID: "client-1", ClientSecret: fakeSecret, RefreshToken: fakeRefresh,
	}
}

func (v *fakeVendor) source(t testing.TB, change ...func(*Config)) *source {
	t.Helper()
	cfg := v.config()
	for _, f := range change {
		f(&cfg)
	}
	s, err := open(cfg, v.env(t))
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	return s
}

// anotherProcess gives the vendor another clock, so that no session is shared with before.
func (v *fakeVendor) anotherProcess() {
	clock := newFakeClock()
	clock.set(v.clock.Now().Add(time.Duration(rand.IntN(1000)) * time.Millisecond))
	v.clock = clock
}
