package pardot

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/httpx"
)

func TestX01TokenDiesMidRun(t *testing.T) {
	const text = "access_token is invalid, unknown, or malformed"
	for _, tc := range []struct {
		name    string
		request request
		path    string
		refusal fakeScript
	}{
		{"version 4 with status 200", getTags4, tag4Path, says(200, failed4(184, text))},
		{"version 4 with status 401", getTags4, tag4Path, says(401, failed4(184, text))},
		{"version 4, the code of old", getTags4, tag4Path, says(200, failed4(1, "Invalid API key or user key"))},
		{"version 5", getTags, tagsPath, says(401, failed5(184, text))},
		{"version 5 with access denied", getTags, tagsPath, says(401, failed5(49, "Access Denied"))},
		{"bare 401", getTags, tagsPath, says(401, "")},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var ended sync.Map
			v := newFakeVendor(t, nil)
			good := v.paths[tc.path]
			v.paths[tc.path] = func(_ int, w http.ResponseWriter, r *http.Request) {
				if _, bad := ended.Load(r.Header.Get("Authorization")); bad {
					tc.refusal(0, w, r)
					return
				}
				good(0, w, r)
			}
			// Two business units, one login.
			units := []*source{
				v.source(t, func(c *Config) { c.Limits.Concurrent = 5 }),
				v.source(t, func(c *Config) { c.Limits.Concurrent, c.BusinessUnit = 5, "0Uv000000000002CAA" }),
			}
			for _, s := range units {
				if _, err := s.client.do(t.Context(), tc.request); err != nil {
					t.Fatal(err)
				}
			}
			ended.Store("Bearer 00D!hush-access-1", true)
			var wg sync.WaitGroup
			for i := range 16 {
				wg.Go(func() {
					if _, err := units[i%2].client.do(context.Background(), tc.request); err != nil {
						t.Errorf("call with a token that has ended: %v", err)
					}
				})
			}
			wg.Wait()
			if got := v.count(tokenPath); got != 2 {
				t.Errorf("asked for a token %d times, want 2: one refresh for all workers of both business units", got)
			}
			if got := v.count(tc.path); got < 19 || got > 2+2*16 {
				t.Errorf("%d calls for 18 results, want each refused call replayed once", got)
			}
			seen := map[string]bool{}
			for _, r := range v.requests(tc.path) {
				seen[r.Header.Get("Pardot-Business-Unit-Id")] = true
			}
			if len(seen) != 2 || !seen[fakeUnit] || !seen["0Uv000000000002CAA"] {
				t.Errorf("business units in the headers: %v", seen)
			}
		})
	}
}

func TestX01FreshTokenIsRefusedToo(t *testing.T) {
	for _, tc := range []struct{ name, scope, hint string }{
		{"scope not told", "", "synced to this business unit"},
		{"scope is there", "api pardot_api refresh_token", "synced to this business unit"},
		{"scope is missing", "api refresh_token", "lacks the scope pardot_api"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			v := newFakeVendor(t, map[string]fakeScript{
				tagsPath:  says(401, failed5(184, "access_token is invalid, unknown, or malformed")),
				tokenPath: says(200, `{"access_token":"t1","scope":"`+tc.scope+`"}`, `{"access_token":"t2","scope":"`+tc.scope+`"}`),
			})
			s := v.source(t)
			_, err := s.client.do(t.Context(), getTags)
			if martsync.KindOf(err) != martsync.Auth || codeOf(err) != 184 {
				t.Errorf("got %v, want kind auth with code 184", err)
			}
			if hint := martsync.HintOf(err); !strings.Contains(hint, tc.hint) {
				t.Errorf("hint %q, want %q", hint, tc.hint)
			}
			if calls, tokens := v.count(tagsPath), v.count(tokenPath); calls != 2 || tokens != 2 {
				t.Errorf("%d calls and %d tokens, want 2 and 2: one refresh and one replay", calls, tokens)
			}
			// A business unit that refuses the login must not take the new token from others.
			if _, err := v.source(t, func(c *Config) { c.BusinessUnit = "0Uv000000000002CAA" }).client.do(t.Context(), getTags4); err != nil || v.count(tokenPath) != 2 {
				t.Errorf("another business unit: %v, %d tokens, want none more", err, v.count(tokenPath))
			}
			runtime.KeepAlive(s) // a process holds a login for as long as somebody uses it
		})
	}
}

func TestX01CreatingCallIsReplayedAfterARefusalOnly(t *testing.T) {
	create := request{op: "create export", method: http.MethodPost, path: "/api/export/version/{v}/do/create", body: map[string]any{"object": "tag"}, noReplay: true}
	const path = "/api/export/version/4/do/create"
	fine := says(200, `{"@attributes":{"stat":"ok","version":1},"export":{"id":1}}`)
	for _, tc := range []struct {
		name  string
		first fakeScript
		calls int
		kind  martsync.Kind // of the error, if calls is 1
	}{
		{"token", says(200, failed4(184, "x")), 2, 0},
		{"concurrent calls", says(200, failed4(66, "x")), 2, 0},
		{"version", says(200, failed4(88, "x")), 2, 0},
		{"check of the token failed", says(500, failed4(183, "x")), 2, 0},
		{"server error", says(500, "oops"), 1, martsync.Transient},
		{"gateway timeout", says(504, "oops"), 1, martsync.Transient},
		{"maintenance page", says(200, "<html>back soon</html>"), 1, martsync.Transient},
		{"conflict", says(200, failed4(62, "x")), 1, martsync.Transient},
		{"dropped", func(int, http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, 1, martsync.Transient},
	} {
		t.Run(tc.name, func(t *testing.T) {
			v := newFakeVendor(t, map[string]fakeScript{
				path: inTurn(tc.first, fine), "/api/export/version/3/do/create": fine,
			})
			r, err := v.source(t).client.do(t.Context(), create)
			calls := v.count(path) + v.count("/api/export/version/3/do/create")
			if calls != tc.calls || (err != nil) != (tc.calls == 1) {
				t.Fatalf("%d calls, %v, want %d calls", calls, err, tc.calls)
			}
			if err != nil && martsync.KindOf(err) != tc.kind {
				t.Errorf("kind %v, want %v", martsync.KindOf(err), tc.kind)
			}
			if err == nil && r.calls != 2 {
				t.Errorf("the reply counts %d calls, want 2", r.calls)
			}
			if req := v.requests(path)[0]; req.Header.Get("Content-Type") != "application/json" || req.URL.RawQuery != "format=json" {
				t.Errorf("sent as %q with %q", req.Header.Get("Content-Type"), req.URL.RawQuery)
			}
		})
	}
}

func TestX14CrowdedAndFailingServersAreWaitedOut(t *testing.T) {
	for _, tc := range []struct {
		name   string
		reply  fakeScript
		tries  int
		first  time.Duration // the least and the most of the first pause
		most   time.Duration
		narrow bool
	}{
		{"66 with status 200", says(200, failed4(66, "You have exceeded your concurrent request limit.")), crowdedTries, 750 * time.Millisecond, 2250 * time.Millisecond, true},
		{"66 with status 429", says(429, failed5(66, "You have exceeded your concurrent request limit.")), crowdedTries, 750 * time.Millisecond, 2250 * time.Millisecond, true},
		{"429 without a code", says(429, "slow down"), crowdedTries, 750 * time.Millisecond, 2250 * time.Millisecond, true},
		{"500", says(500, "oops"), usualTries, 750 * time.Millisecond, 1250 * time.Millisecond, false},
		{"502", says(502, "<html>bad gateway</html>"), usualTries, 750 * time.Millisecond, 1250 * time.Millisecond, false},
		{"503", says(503, ""), usualTries, 750 * time.Millisecond, 1250 * time.Millisecond, false},
		{"500 with an unknown code", says(500, failed5(9999, "x")), usualTries, 750 * time.Millisecond, 1250 * time.Millisecond, false},
		{"HTML with status 200", says(200, "<html><body>maintenance</body></html>"), usualTries, 750 * time.Millisecond, 1250 * time.Millisecond, false},
		{"cut in the middle", says(200, `{"@attributes":{"stat":"ok"},"result":{"total`), usualTries, 750 * time.Millisecond, 1250 * time.Millisecond, false},
		{"empty", says(200, ""), usualTries, 750 * time.Millisecond, 1250 * time.Millisecond, false},
		{"183", says(500, failed5(183, "internal")), usualTries, 750 * time.Millisecond, 1250 * time.Millisecond, false},
		{"dropped", func(int, http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, usualTries, 750 * time.Millisecond, 1250 * time.Millisecond, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			v := newFakeVendor(t, map[string]fakeScript{tag4Path: tc.reply})
			s := v.source(t, func(c *Config) { c.Limits.Concurrent = 5 })
			_, err := s.client.do(t.Context(), getTags4)
			if martsync.KindOf(err) != martsync.Transient || martsync.AfterOf(err) <= 0 {
				t.Errorf("got %v (%v, after %v), want a transient error with a time", err, martsync.KindOf(err), martsync.AfterOf(err))
			}
			naps := v.clock.slept()
			if got := v.count(tag4Path); got != tc.tries || len(naps) != tc.tries-1 {
				t.Fatalf("%d calls and %d pauses, want %d calls", got, len(naps), tc.tries)
			}
			if naps[0] < tc.first || naps[0] > tc.most {
				t.Errorf("first pause %v, want %v to %v", naps[0], tc.first, tc.most)
			}
			if last := naps[len(naps)-1]; last < 8*naps[0]/2 || last > longestBackoff*3/2 {
				t.Errorf("pauses %v do not grow", naps)
			}
			if got := s.client.limiter.Now().Concurrent; (got < 5) != tc.narrow {
				t.Errorf("%d calls at the same time afterwards, narrower: want %v", got, tc.narrow)
			}
			// What succeeds in the end is a success.
			w := newFakeVendor(t, map[string]fakeScript{tag4Path: inTurn(tc.reply, tc.reply, says(200, fine4))})
			if r, err := w.source(t).client.do(t.Context(), getTags4); err != nil || r.calls != 3 {
				t.Errorf("third time lucky: %v, want 3 calls", err)
			}
		})
	}
}

func TestX14PausesDiffer(t *testing.T) {
	seen := map[time.Duration]bool{}
	for range 20 {
		seen[httpx.Backoff(3)], seen[crowded(3)] = true, true
		if d := crowded(20); d > longestBackoff*3/2 || d < longestBackoff/2 {
			t.Errorf("a late pause is %v", d)
		}
	}
	if len(seen) < 30 {
		t.Errorf("40 pauses have %d lengths: no jitter", len(seen))
	}
}

func TestX15WhatIsTooSlowIsSaidSoonForSmallerRequests(t *testing.T) {
	for _, tc := range []struct {
		name  string
		reply fakeScript
		calls int
	}{
		{"202", says(200, failed4(202, "minute limit")), 1},
		{"214", says(400, failed5(214, "timed out")), 1},
		{"63", says(200, failed4(63, "too many ids")), 1},
		{"504", says(504, "<html>gateway timeout</html>"), 2},
		{"504 with a code", says(504, failed5(214, "timed out")), 1},
		{"413", says(413, ""), 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			v := newFakeVendor(t, map[string]fakeScript{tag4Path: tc.reply})
			s, page := v.source(t), getTags4
			page.query = url.Values{"limit": {"200"}}
			_, err := s.client.do(t.Context(), page)
			if !tooSlow(err) || martsync.KindOf(err) != martsync.Transient {
				t.Errorf("got %v (%v), want a transient error that is too slow", err, martsync.KindOf(err))
			}
			if got := v.count(tag4Path); got != tc.calls {
				t.Errorf("%d calls, want %d", got, tc.calls)
			}
			// What is not a page cannot be made smaller, so it is tried again as it is.
			if _, err := s.client.do(t.Context(), getTags4); !tooSlow(err) {
				t.Errorf("got %v for one record, want that it is too slow", err)
			}
			if got := v.count(tag4Path) - tc.calls; got != usualTries {
				t.Errorf("%d calls for one record, want %d", got, usualTries)
			}
		})
	}
	if tooSlow(nil) || tooSlow(errors.New("x")) || tooSlow(&apiError{Code: 66}) || tooSlow(&apiError{Status: 502}) {
		t.Error("something else is too slow")
	}
}

// A new token that others have used already, and that is refused, has ended too: somebody logs in with the
// same app. One that nobody could use is not asked for again.
func TestX01ATokenThatHasWorkedIsReplacedAgain(t *testing.T) {
	for _, tc := range []struct {
		name   string
		worked bool // it has
		older  bool // the one before has, later
		calls  int
	}{{"it has worked", true, false, 3}, {"it never worked", false, false, 2}, {"an older one has worked since", true, true, 3}, {"only an older one has worked", false, true, 2}} {
		t.Run(tc.name, func(t *testing.T) {
			var s *source
			var first martsync.Secret
			v := newFakeVendor(t, map[string]fakeScript{tag4Path: func(n int, w http.ResponseWriter, r *http.Request) {
				if n < 2 {
					_, text, _ := strings.Cut(r.Header.Get("Authorization"), " ")
					token := martsync.Secret(text)
					if first == "" {
						first = token
					}
					if tc.worked {
						s.client.tokens.trial.Worked(token) // of another call meanwhile
					}
					if tc.older {
						s.client.tokens.trial.Worked(first)
					}
					says(401, failed5(184, "access_token is invalid"))(n, w, r)
					return
				}
				says(200, `{"@attributes":{"stat":"ok","version":1},"result":{"total_results":0}}`)(n, w, r)
			}})
			s = v.source(t)
			_, err := s.client.do(t.Context(), getTags4)
			if got := v.count(tag4Path); got != tc.calls || (err == nil) != tc.worked {
				t.Errorf("%d calls and %v, want %d", got, err, tc.calls)
			}
		})
	}
}

// A refusal that breaks off in the middle of its JSON does not say what was wrong: perhaps nothing is.
func TestTornRefusalsAreAskedForAgain(t *testing.T) {
	for _, status := range []int{400, 404, 409} {
		v := newFakeVendor(t, map[string]fakeScript{tag4Path: says(status, `{"code":51,"message":"Invalid para`)})
		_, err := v.source(t).client.do(t.Context(), getTags4)
		if got := v.count(tag4Path); got != usualTries || martsync.KindOf(err) != martsync.Transient {
			t.Errorf("status %d: %d calls and %v, want %d calls and a transient error", status, got, err, usualTries)
		}
	}
}

func TestX16VersionIsSwitchedOnce(t *testing.T) {
	for _, tc := range []struct {
		name   string
		status int
	}{{"status 200", 200}, {"status 400", 400}} {
		t.Run(tc.name, func(t *testing.T) {
			v := newFakeVendor(t, map[string]fakeScript{
				tag4Path: says(tc.status, failed4(89, "Your account is unable to use version 4 of the API.")),
				tag3Path: says(200, fine4),
			})
			s := v.source(t)
			var wg sync.WaitGroup
			for range 4 {
				wg.Go(func() {
					if _, err := s.client.do(context.Background(), getTags4); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			before := v.count(tag4Path)
			for range 5 {
				if _, err := s.client.do(t.Context(), getTags4); err != nil {
					t.Error(err)
				}
			}
			if got := v.count(tag4Path); got != before || before > 4 {
				t.Errorf("%d calls of version 4 and %d after it was refused, want it remembered", before, got-before)
			}
			if got := v.count(tag3Path); got != 9 {
				t.Errorf("%d calls of version 3, want 9", got)
			}
			if strings.Count(v.log.String(), "the other version is used") != 1 {
				t.Error("the switch is not logged once")
			}
		})
	}
}

func TestX16AdministratorTurnsTheFeatureOnMidRun(t *testing.T) {
	v := newFakeVendor(t, map[string]fakeScript{
		tag4Path: inTurn(says(200, failed4(89, "not 4")), says(200, fine4)),
		tag3Path: inTurn(says(200, fine4), says(200, failed4(88, "must use 4"))),
	})
	s := v.source(t)
	for range 3 {
		if _, err := s.client.do(t.Context(), getTags4); err != nil {
			t.Fatal(err)
		}
	}
	if a, b := v.count(tag4Path), v.count(tag3Path); a != 3 || b != 2 {
		t.Errorf("%d calls of version 4 and %d of 3, want 3 and 2", a, b)
	}
}

func TestX16BothVersionsRefused(t *testing.T) {
	v := newFakeVendor(t, map[string]fakeScript{
		tag4Path: says(200, failed4(89, "not 4")), tag3Path: says(200, failed4(88, "not 3")),
	})
	_, err := v.source(t).client.do(t.Context(), getTags4)
	if martsync.KindOf(err) != martsync.Config || codeOf(err) != 88 {
		t.Errorf("got %v, want kind config", err)
	}
	if got := v.count(tag4Path) + v.count(tag3Path); got != 2 {
		t.Errorf("%d calls, want 2: one switch", got)
	}
}

func TestRequestsAreSentAsTheVendorWantsThem(t *testing.T) {
	v := newFakeVendor(t, nil)
	s := v.source(t)
	q := url.Values{"updatedAtAfterOrEqualTo": {"2026-01-01T00:00:00+00:00"}, "fields": {"id,name"}}
	if _, err := s.client.query5(t.Context(), "query tags", "tags", q); err != nil {
		t.Fatal(err)
	}
	r := v.requests(tagsPath)[0]
	for name, want := range map[string]string{
		"Authorization": "Bearer 00D!hush-access-1", "Pardot-Business-Unit-Id": fakeUnit, "X-Return-Api-Usage": "1",
		"Accept": "application/json", "User-Agent": userAgent,
	} {
		if got := r.Header.Get(name); got != want {
			t.Errorf("version 5 header %s: %q, want %q", name, got, want)
		}
	}
	if r.Method != http.MethodGet || !strings.Contains(r.URL.RawQuery, "2026-01-01T00%3A00%3A00%2B00%3A00") {
		t.Errorf("%s %s: the offset's plus is not encoded", r.Method, r.URL.RawQuery)
	}
	if _, err := s.client.query4(t.Context(), "query tags", tagResource, url.Values{"limit": {"200"}}); err != nil {
		t.Fatal(err)
	}
	if r := v.requests(tag4Path)[0]; r.URL.RawQuery != "format=json&limit=200" || r.Method != http.MethodGet || r.Header.Get("X-Return-Api-Usage") != "" {
		t.Errorf("version 4: %s %s", r.Method, r.URL.RawQuery)
	}
	// Long lists of ids do not fit into an address.
	ids := strings.Repeat("123456789,", 1000)
	if _, err := s.client.query4(t.Context(), "query tags", tagResource, url.Values{"ids": {ids}}); err != nil {
		t.Fatal(err)
	}
	if r := v.requests(tag4Path)[1]; r.Method != http.MethodPost || r.URL.RawQuery != "format=json" || r.PostForm.Get("ids") != ids {
		t.Errorf("long query: %s %s", r.Method, r.URL.RawQuery)
	}
}

func TestDoEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	v := newFakeVendor(t, map[string]fakeScript{tagsPath: func(_ int, w http.ResponseWriter, r *http.Request) {
		cancel()
		says(500, "oops")(0, w, r)
	}})
	_, err := v.source(t).client.do(ctx, getTags)
	if !errors.Is(err, context.Canceled) || v.count(tagsPath) != 1 {
		t.Errorf("got %v after %d calls, want canceled after 1", err, v.count(tagsPath))
	}
}

func TestHastyCallsGiveUpSoon(t *testing.T) {
	v := newFakeVendor(t, map[string]fakeScript{tagsPath: says(503, ""), tag4Path: says(200, failed4(66, "x"))})
	s := v.source(t)
	for path, r := range map[string]request{tagsPath: getTags, tag4Path: getTags4} {
		if _, err := s.client.do(hasty(t.Context()), r); err == nil || v.count(path) != hastyTries {
			t.Errorf("%s: %v after %d calls, want an error after %d", path, err, v.count(path), hastyTries)
		}
	}
}

func TestRetryAfterIsObeyed(t *testing.T) {
	for _, tc := range []struct {
		seconds string
		calls   int
		after   time.Duration
	}{{"7", 2, 0}, {"3600", 1, time.Hour}} {
		v := newFakeVendor(t, map[string]fakeScript{tagsPath: inTurn(func(_ int, w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Retry-After", tc.seconds)
			says(503, "")(0, w, r)
		}, says(200, fine5))})
		_, err := v.source(t).client.do(t.Context(), getTags)
		if v.count(tagsPath) != tc.calls || martsync.AfterOf(err) != tc.after {
			t.Errorf("Retry-After %s: %d calls, %v, after %v, want %d and %v", tc.seconds, v.count(tagsPath), err, martsync.AfterOf(err), tc.calls, tc.after)
		}
		if tc.calls == 2 && v.clock.slept()[0] < 7*time.Second {
			t.Errorf("paused %v, want 7 s", v.clock.slept())
		}
	}
}

func TestCallsPerMinute(t *testing.T) {
	v := newFakeVendor(t, nil)
	s := v.source(t, func(c *Config) { c.Limits.CallsPerMinute = 10 })
	start := v.clock.Now()
	for range 35 {
		if _, err := s.client.do(t.Context(), getTags); err != nil {
			t.Fatal(err)
		}
	}
	if took := v.clock.Now().Sub(start); took < 3*time.Minute || took > 4*time.Minute {
		t.Errorf("35 calls at 10 a minute took %v", took)
	}
}

func TestConcurrentCallsAreBounded(t *testing.T) {
	var mu sync.Mutex
	var flying, most int
	v := newFakeVendor(t, map[string]fakeScript{tagsPath: func(_ int, w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		flying++
		most = max(most, flying)
		mu.Unlock()
		says(200, fine5)(0, w, r)
		mu.Lock()
		flying--
		mu.Unlock()
	}})
	s := v.source(t)
	var wg sync.WaitGroup
	for range 40 {
		wg.Go(func() { _, _ = s.client.do(context.Background(), getTags) })
	}
	wg.Wait()
	if most > politeConcurrent || v.count(tagsPath) != 40 {
		t.Errorf("%d calls at the same time, %d in all, want at most %d and 40", most, v.count(tagsPath), politeConcurrent)
	}
}

func TestRedirectsAreRefused(t *testing.T) {
	var leaked sync.Map
	other := newFakeVendor(t, map[string]fakeScript{"/away": func(_ int, w http.ResponseWriter, r *http.Request) {
		leaked.Store(r.Header.Get("Authorization"), true)
		_, _ = io.WriteString(w, fine5)
	}})
	v := newFakeVendor(t, map[string]fakeScript{tagsPath: func(_ int, w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other.URL+"/away", http.StatusFound)
	}})
	_, err := v.source(t).client.do(t.Context(), getTags)
	if martsync.KindOf(err) != martsync.Config || other.count("/away") != 0 {
		t.Errorf("got %v, and the other host was asked %d times, want kind config and 0", err, other.count("/away"))
	}
}

func TestUnreachableHost(t *testing.T) {
	v := newFakeVendor(t, nil)
	gone := newFakeVendor(t, nil)
	gone.Close()
	_, err := v.source(t, func(c *Config) { c.APIHost = gone.URL }).client.do(hasty(t.Context()), getTags)
	if martsync.KindOf(err) != martsync.Transient || !strings.Contains(martsync.HintOf(err), "api_host") {
		t.Errorf("API host: %v (%s)", err, martsync.HintOf(err))
	}
	v.anotherProcess()
	_, err = v.source(t, func(c *Config) { c.LoginURL = gone.URL }).client.do(hasty(t.Context()), getTags)
	if martsync.KindOf(err) != martsync.Transient || !strings.Contains(martsync.HintOf(err), "login_url") {
		t.Errorf("login host: %v (%s)", err, martsync.HintOf(err))
	}
}
