package marketo

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/martsync/martsync"
)

// stillClock stands still until somebody sleeps or moves it.
type stillClock struct {
	mu    sync.Mutex
	now   time.Time
	slept time.Duration
	naps  int
}

func newStillClock() *stillClock {
	return &stillClock{now: time.Date(2026, 3, 8, 12, 0, 0, 0, time.UTC)}
}

func (c *stillClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *stillClock) Sleep(ctx context.Context, d time.Duration) error {
	if d > 0 && ctx.Err() == nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.now, c.slept, c.naps = c.now.Add(d), c.slept+d, c.naps+1
	}
	return ctx.Err()
}

func (c *stillClock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// A fakeVendor answers each path from a script, for replies that the simulator never gives.
type fakeVendor struct {
	*httptest.Server
	clock *stillClock
	log   *lockedBuffer

	mu     sync.Mutex
	paths  map[string]script
	counts map[string]int
	seen   []*http.Request // their bodies have been read into forms
}

// A script writes the n-th reply (from 0) of a path.
type script func(n int, w http.ResponseWriter, r *http.Request)

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

const (
	identityPath = "/identity/oauth/token"
	usagePath    = "/rest/v1/stats/usage.json"
	fakeSecret   = "hush-hush/secret+1%"
)

// replies plays bodies one after the other, the last one for ever.
func replies(bodies ...string) script {
	return func(n int, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json;charset=UTF-8")
		_, _ = io.WriteString(w, bodies[min(n, len(bodies)-1)])
	}
}

// result is a successful envelope.
func result(items string) string {
	return `{"requestId":"1a#2b","success":true,"result":[` + items + `]}`
}

// faulty is an envelope with an error.
func faulty(code, message string) string {
	return fmt.Sprintf(`{"requestId":"f00#%s","success":false,"errors":[{"code":%q,"message":%q}]}`, code, code, message)
}

func newFakeVendor(t testing.TB, paths map[string]script) *fakeVendor {
	t.Helper()
	v := &fakeVendor{clock: newStillClock(), log: &lockedBuffer{}, paths: map[string]script{}, counts: map[string]int{}}
	v.paths[identityPath] = func(n int, w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintf(w, `{"access_token":"token-%d","token_type":"bearer","expires_in":3599,"scope":"api@example.org"}`, n+1)
	}
	v.paths[usagePath] = replies(result(`{"date":"2026-03-08","total":10,"users":[{"userId":"api@example.org","count":4}]}`))
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
		s = replies(faulty("610", "Requested resource not found"))
	}
	s(n, w, r)
}

func (v *fakeVendor) count(path string) int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.counts[path]
}

// env is an environment that logs everything to v.log.
func (v *fakeVendor) env(t testing.TB) martsync.Env {
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return martsync.Env{
		Log:  slog.New(slog.NewTextHandler(v.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		HTTP: &http.Client{Transport: transport}, Clock: v.clock, TempDir: t.TempDir(),
	}
}

func (v *fakeVendor) config() Config {
	return Config{Endpoint: v.URL + "/rest", ClientID: "client-1", ClientSecret: fakeSecret}
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
