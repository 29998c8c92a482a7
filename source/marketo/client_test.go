package marketo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/martsync/martsync"
)

const thing = "/rest/v1/thing.json"

func get() request { return request{op: "read thing", path: thing} }

func TestE2_TokenEndsMidRun(t *testing.T) {
	for _, code := range []string{"601", "602"} {
		t.Run(code, func(t *testing.T) {
			var ended sync.Map
			v := newFakeVendor(t, map[string]script{thing: func(_ int, w http.ResponseWriter, r *http.Request) {
				if _, bad := ended.Load(r.Header.Get("Authorization")); bad {
					replies(faulty(code, "Access token expired"))(0, w, r)
					return
				}
				replies(result(`{}`))(0, w, r)
			}})
			s := v.source(t)
			if _, err := s.client.do(t.Context(), get()); err != nil {
				t.Fatal(err)
			}
			ended.Store("Bearer token-1", true)
			var wg sync.WaitGroup
			for range 8 {
				wg.Go(func() {
					if _, err := s.client.do(context.Background(), get()); err != nil {
						t.Errorf("call with a token that has ended: %v", err)
					}
				})
			}
			wg.Wait()
			if got := v.count(identityPath); got != 2 {
				t.Errorf("asked for a token %d times, want 2: one refresh for all workers", got)
			}
			if got := v.count(thing); got < 10 || got > 17 {
				t.Errorf("%d calls for 9 results, want each refused call replayed once", got)
			}
		})
	}
}

func TestE2_SecondRefusalIsAnErrorOfCredentials(t *testing.T) {
	v := newFakeVendor(t, map[string]script{thing: replies(faulty("601", "Access token invalid"))})
	_, err := v.source(t).client.do(t.Context(), get())
	if martsync.KindOf(err) != martsync.Auth || !isCode(err, "601") {
		t.Errorf("got %v, want kind auth with code 601", err)
	}
	if got := v.count(thing); got != 2 {
		t.Errorf("%d calls, want 2: one replay", got)
	}
}

// A new token that has worked for others and is refused has ended, too: it is replaced again, some times.
func TestE2_TokenThatHasWorkedIsReplacedAgain(t *testing.T) {
	var s *source
	tokens := 0
	v := newFakeVendor(t, map[string]script{
		identityPath: func(n int, w http.ResponseWriter, r *http.Request) {
			tokens++
			replies(fmt.Sprintf(`{"access_token":"t%d","expires_in":3599,"scope":"u"}`, tokens))(n, w, r)
		},
		thing: func(n int, w http.ResponseWriter, r *http.Request) {
			_, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
			s.client.tokens.trial.Worked(martsync.Secret(token)) // of another call meanwhile
			replies(faulty("602", "Access token expired"))(n, w, r)
		},
	})
	s = v.source(t)
	if _, err := s.client.do(t.Context(), get()); martsync.KindOf(err) != martsync.Auth {
		t.Errorf("got %v, want kind auth in the end", err)
	}
	if got := v.count(thing); got != 1+mostRenewals || tokens != got {
		t.Errorf("%d calls with %d tokens, want %d each", got, tokens, 1+mostRenewals)
	}
}

func TestE3_TokenAboutToEndMakesNoBusyLoop(t *testing.T) {
	for _, life := range []string{"0", "1", "14", "15", "30", "-5", `"0"`, "null"} {
		t.Run(life, func(t *testing.T) {
			v := newFakeVendor(t, map[string]script{
				thing: replies(result(`{}`)),
				// Without any end to it: the vendor never gives a fresh one.
				identityPath: replies(`{"access_token":"t","expires_in":` + life + `,"scope":"u"}`),
			})
			s := v.source(t)
			start := v.clock.Now()
			for range 20 {
				if _, err := s.client.do(t.Context(), get()); err != nil {
					t.Fatal(err)
				}
			}
			asked, took := v.count(identityPath), v.clock.Now().Sub(start)
			if most := tokenAsks * (1 + int(took/tokenLeast)); asked > most {
				t.Errorf("asked %d times in %v, want at most %d", asked, took, most)
			}
		})
	}
}

func TestE3_TokenAboutToEndIsWaitedOut(t *testing.T) {
	v := newFakeVendor(t, map[string]script{
		thing:        replies(result(`{}`)),
		identityPath: replies(`{"access_token":"old","expires_in":9,"scope":"u"}`, `{"access_token":"new","expires_in":3599,"scope":"u"}`),
	})
	if _, err := v.source(t).client.do(t.Context(), get()); err != nil {
		t.Fatal(err)
	}
	if v.clock.slept != 10*time.Second || v.count(identityPath) != 2 {
		t.Errorf("slept %v and asked %d times, want 10 s and 2", v.clock.slept, v.count(identityPath))
	}
	for _, r := range v.seen {
		if r.URL.Path == thing && r.Header.Get("Authorization") != "Bearer new" {
			t.Errorf("called with %q, want the new token", r.Header.Get("Authorization"))
		}
	}
}

func TestTokenIsRenewedBeforeItEnds(t *testing.T) {
	v := newFakeVendor(t, map[string]script{thing: replies(result(`{}`))})
	s := v.source(t)
	for _, step := range []struct {
		advance time.Duration
		asked   int
	}{{0, 1}, {3580 * time.Second, 1}, {5 * time.Second, 2}, {time.Hour, 3}} {
		v.clock.advance(step.advance)
		if _, err := s.client.do(t.Context(), get()); err != nil {
			t.Fatal(err)
		}
		if got := v.count(identityPath); got != step.asked {
			t.Errorf("%v later: asked %d times, want %d", step.advance, got, step.asked)
		}
	}
}

func TestE4_ErrorsInsideHTTP200(t *testing.T) {
	for _, tc := range []struct {
		name, body, code, message, request string
		kind                               martsync.Kind
	}{
		{"code as text", faulty("603", "Access denied"), "603", "Access denied", "f00#603", martsync.Auth},
		{"code as number", `{"requestId":"x#1","success":false,"errors":[{"code":603,"message":"Access denied"}]}`, "603", "Access denied", "x#1", martsync.Auth},
		{"several", `{"requestId":"x#1","success":false,"errors":[{"code":"1003","message":"a"},{"code":"1006","message":"b"}]}`, "1003", "a; 1006 b", "x#1", martsync.Data},
		{"request id is null", `{"requestId":null,"success":false,"errors":[{"code":"603","message":"Access denied"}]}`, "603", "Access denied", "", martsync.Auth},
		{"error with success", `{"requestId":"x","success":true,"errors":[{"code":"603","message":"no"}],"result":[]}`, "603", "no", "x", martsync.Auth},
		{"error as text", `{"requestId":"x","success":false,"errors":["something"]}`, "", "something", "x", martsync.Transient},
		{"no reason", `{"requestId":"x","success":false}`, "", "the reply tells neither success nor an error", "x", martsync.Transient},
		{"empty body", ``, "", "the reply is not a JSON envelope: the reply is empty", "", martsync.Transient},
		{"empty object", `{}`, "", "the reply tells neither success nor an error", "", martsync.Transient},
		{"cut JSON", `{"requestId":"x","success":true,"resu`, "", `the reply is not a JSON envelope: {"requestId":"x","success":true,"resu`, "", martsync.Transient},
		{"HTML", "<html>\n<b>Gateway</b></html>", "", "the reply is not a JSON envelope: <html> <b>Gateway</b></html>", "", martsync.Transient},
	} {
		t.Run(tc.name, func(t *testing.T) {
			v := newFakeVendor(t, map[string]script{thing: replies(tc.body), "/bulk/v1/x/file.json": replies(tc.body)})
			s := v.source(t)
			_, err := s.client.do(t.Context(), get())
			e, ok := errors.AsType[*apiError](err)
			if !ok {
				t.Fatalf("got %v, want an error of the vendor", err)
			}
			if martsync.KindOf(err) != tc.kind || e.Code != tc.code || e.Message != tc.message || e.RequestID != tc.request || e.Status != 200 {
				t.Errorf("got %v, %+v", martsync.KindOf(err), *e)
			}
			if tc.body == "" || tc.body[0] != '{' || tc.name == "empty object" {
				return // an empty file and text are for the reader of the file
			}
			if body, _, err := s.client.file(t.Context(), "/bulk/v1/x/file.json", 0); err == nil {
				_ = body.Close()
				t.Errorf("in place of a file: no error")
			} else if martsync.KindOf(err) != tc.kind || isCode(err, tc.code) != (tc.code != "") && tc.code != "" {
				t.Errorf("in place of a file: %v, want kind %v and code %q", err, tc.kind, tc.code)
			}
		})
	}
}

func TestE4_TransientFaultsPass(t *testing.T) {
	hijack := func(w http.ResponseWriter, body string) {
		w.Header().Set("Content-Length", "1000")
		_, _ = io.WriteString(w, body)
		panic(http.ErrAbortHandler)
	}
	status := func(code int) script {
		return func(_ int, w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(code)
			_, _ = io.WriteString(w, "<html>trouble</html>")
		}
	}
	for name, bad := range map[string]script{
		"empty body":     replies(""),
		"empty object":   replies("{}"),
		"HTML":           replies("<html>"),
		"cut connection": func(_ int, w http.ResponseWriter, _ *http.Request) { hijack(w, `{"success":true,`) },
		"no connection":  func(_ int, w http.ResponseWriter, _ *http.Request) { hijack(w, "") },
		"500":            status(500), "502": status(502), "503": status(503), "504": status(504), "429": status(429), "408": status(408),
		"code 500": replies(faulty("500", "Internal")), "code 502": replies(faulty("502", "Bad Gateway")),
		"604": replies(faulty("604", "Request timed out")), "608": replies(faulty("608", "API Temporarily Unavailable")),
		"611": replies(faulty("611", "System error")), "713": replies(faulty("713", "Transient error")), "719": replies(faulty("719", "Lock wait timeout")),
		"606": replies(faulty("606", "Max rate limit '100' exceeded with in '20' secs")), "615": replies(faulty("615", "Concurrent access limit '10' reached")),
	} {
		t.Run(name, func(t *testing.T) {
			v := newFakeVendor(t, map[string]script{thing: func(n int, w http.ResponseWriter, r *http.Request) {
				if n < 2 {
					bad(n, w, r)
					return
				}
				replies(result(`{"a":1}`))(0, w, r)
			}})
			env, err := v.source(t).client.do(t.Context(), get())
			// Package net/http repeats a GET by itself when a kept connection turns out closed.
			if err != nil || len(env.Result) != 1 || v.count(thing) != 3 || env.Calls < 2 || env.Calls > 3 {
				t.Fatalf("got %+v, %v, want the record of the third call", env, err)
			}
			if v.clock.slept == 0 {
				t.Error("did not wait between the calls")
			}
		})
	}
}

func TestCheckOfAServerThatIsNotThereEndsSoon(t *testing.T) {
	v := newFakeVendor(t, nil)
	s := v.source(t)
	v.Close()
	findings := s.Check(t.Context())
	if last := findings[len(findings)-1]; last.OK || last.Subject != "credentials" || last.Hint == "" {
		t.Errorf("got %+v, want a finding about the credentials with a hint", last)
	}
	if v.clock.naps >= hastyTries || v.clock.slept > 5*time.Second {
		t.Errorf("waited %d times, %v in all, want fewer than %d", v.clock.naps, v.clock.slept, hastyTries)
	}
}

func TestTransientFaultsThatStayAreReturned(t *testing.T) {
	v := newFakeVendor(t, map[string]script{thing: replies(faulty("611", "System error"))})
	_, err := v.source(t).client.do(t.Context(), get())
	if martsync.KindOf(err) != martsync.Transient || martsync.AfterOf(err) != time.Minute {
		t.Errorf("got %v after %v, want transient after 1m", err, martsync.AfterOf(err))
	}
	if got := v.count(thing); got != usualTries {
		t.Errorf("%d calls, want %d", got, usualTries)
	}
	if v.clock.slept > 2*time.Minute {
		t.Errorf("slept %v inside one call, want that left to the pipeline", v.clock.slept)
	}
}

func TestE5_ThrottlingSlowsEverybodyDown(t *testing.T) {
	v := newFakeVendor(t, map[string]script{thing: func(n int, w http.ResponseWriter, r *http.Request) {
		if n%10 == 3 {
			replies(faulty([]string{"606", "615"}[n/10%2], "limit"))(0, w, r)
			return
		}
		replies(result(`{}`))(0, w, r)
	}})
	s := v.source(t)
	for range 50 {
		if _, err := s.client.do(t.Context(), get()); err != nil {
			t.Fatal(err)
		}
	}
	if now := s.client.limiter.Now(); now.Calls >= 50 || now.Concurrent >= 5 {
		t.Errorf("after refusals: %d calls in 20 s, %d in flight, want fewer than 50 and 5", now.Calls, now.Concurrent)
	}
	if v.clock.slept < 40*time.Second {
		t.Errorf("slept %v, want at least 20 s after each 606", v.clock.slept)
	}
}

func TestE5_SpentQuotaStopsEverything(t *testing.T) {
	v := newFakeVendor(t, map[string]script{thing: replies(faulty("607", "Daily quota '50000' reached"))})
	s := v.source(t)
	reset := time.Date(2026, 3, 9, 6, 0, 0, 0, time.UTC)
	for i := range 3 {
		_, err := s.client.do(t.Context(), get())
		if martsync.KindOf(err) != martsync.Quota || martsync.AfterOf(err) != reset.Sub(v.clock.Now()) || !isCode(err, "607") {
			t.Fatalf("call %d: %v after %v, want quota until %v", i, err, martsync.AfterOf(err), reset)
		}
		v.clock.advance(time.Hour)
	}
	if got := v.count(thing); got != 1 {
		t.Errorf("%d calls, want 1: the others are refused without one", got)
	}
	v.mu.Lock()
	v.paths[thing] = replies(result(`{}`))
	v.mu.Unlock()
	v.clock.advance(reset.Sub(v.clock.Now()))
	if _, err := s.client.do(t.Context(), get()); err != nil {
		t.Errorf("after the reset: %v", err)
	}
}

func TestCreatingCallsAreNotRepeatedBlindly(t *testing.T) {
	for _, tc := range []struct {
		name  string
		first script
		calls int
		kind  martsync.Kind // of the error, if calls is 1
	}{
		{"cut connection", func(_ int, w http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) }, 1, martsync.Transient},
		{"HTTP 502", func(_ int, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }, 1, martsync.Transient},
		{"604", replies(faulty("604", "Request timed out")), 1, martsync.Transient},
		{"611", replies(faulty("611", "System error")), 1, martsync.Transient},
		{"broken JSON", replies(`{"success":tr`), 1, martsync.Transient},
		{"606", replies(faulty("606", "Max rate limit")), 2, 0},
		{"615", replies(faulty("615", "Concurrent access limit")), 2, 0},
		{"608", replies(faulty("608", "API Temporarily Unavailable")), 2, 0},
		{"602", replies(faulty("602", "Access token expired")), 2, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			v := newFakeVendor(t, map[string]script{thing: func(n int, w http.ResponseWriter, r *http.Request) {
				if n == 0 {
					tc.first(n, w, r)
					return
				}
				replies(result(`{}`))(0, w, r)
			}})
			_, err := v.source(t).client.do(t.Context(), request{op: "create thing", method: http.MethodPost, path: thing, body: map[string]int{"a": 1}, noReplay: true})
			if got := v.count(thing); got != tc.calls {
				t.Errorf("%d calls, want %d", got, tc.calls)
			}
			if (err != nil) != (tc.calls == 1) || err != nil && martsync.KindOf(err) != tc.kind {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestRetryAfterIsObeyed(t *testing.T) {
	for _, tc := range []struct {
		header string
		calls  int
		slept  time.Duration // at least
		after  time.Duration
	}{{"7", 2, 7 * time.Second, 0}, {"45", 2, 45 * time.Second, 0}, {"3600", 1, 0, time.Hour}, {"soon", 2, time.Second / 2, 0}} {
		t.Run(tc.header, func(t *testing.T) {
			v := newFakeVendor(t, map[string]script{thing: func(n int, w http.ResponseWriter, r *http.Request) {
				if n == 0 {
					w.Header().Set("Retry-After", tc.header)
					w.WriteHeader(http.StatusServiceUnavailable)
					return
				}
				replies(result(`{}`))(0, w, r)
			}})
			_, err := v.source(t).client.do(t.Context(), get())
			if v.count(thing) != tc.calls || v.clock.slept < tc.slept || martsync.AfterOf(err) != tc.after {
				t.Errorf("%d calls, slept %v, after %v, %v", v.count(thing), v.clock.slept, martsync.AfterOf(err), err)
			}
		})
	}
}

func TestE24_LongQueriesBecomeForms(t *testing.T) {
	v := newFakeVendor(t, map[string]script{thing: replies(result(`{}`))})
	s := v.source(t)
	for _, size := range []int{10, 7_000, 7_400, 7_600, 8_100, 30_000, 900_000} {
		want := strings.Repeat("x", size)
		if _, err := s.client.do(t.Context(), request{op: "read", path: thing, query: url.Values{"fields": {want}, "b": {"+ &="}}}); err != nil {
			t.Fatal(err)
		}
		r := v.seen[len(v.seen)-1]
		if n := len(r.Host) + len(r.URL.RequestURI()); n > 8_000 {
			t.Errorf("%d bytes of fields: a URI of %d bytes", size, n)
		}
		if got := r.Form.Get("fields"); got != want || r.Form.Get("b") != "+ &=" {
			t.Errorf("%d bytes of fields: %d arrive, b is %q", size, len(got), r.Form.Get("b"))
		}
		if r.Method == http.MethodPost && (r.URL.RawQuery != "_method=GET" || r.Header.Get("Content-Type") != "application/x-www-form-urlencoded") {
			t.Errorf("%d bytes of fields: POST ?%s as %s", size, r.URL.RawQuery, r.Header.Get("Content-Type"))
		}
		if (r.Method == http.MethodPost) != (size > 7_400) {
			t.Errorf("%d bytes of fields: method %s", size, r.Method)
		}
	}
}

func TestE27_DefaultsKeepToAShareOfTheLimits(t *testing.T) {
	var mu sync.Mutex
	var flying, most int
	var starts []time.Time
	var v *fakeVendor
	// The first calls are not answered before as many as may have come; then one too many has this long to show.
	held := make(chan struct{})
	release := sync.OnceFunc(func() { close(held) })
	v = newFakeVendor(t, map[string]script{thing: func(_ int, w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		flying++
		most = max(most, flying)
		starts = append(starts, v.clock.Now())
		full := flying == 5
		mu.Unlock()
		if full {
			time.AfterFunc(200*time.Millisecond, release)
		}
		select {
		case <-held:
		case <-time.After(5 * time.Minute): // fewer than five ever come
			release()
		}
		replies(result(`{}`))(0, w, r)
		mu.Lock()
		flying--
		mu.Unlock()
	}})
	s := v.source(t)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			for range 10 {
				if _, err := s.client.do(context.Background(), get()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if most != 5 {
		t.Errorf("%d calls in flight at most, want 5", most)
	}
	slices.SortFunc(starts, time.Time.Compare)
	// Others may move the clock between the start of a call and its arrival, so of those in
	// flight any may seem late; the limiter's own tests are exact.
	for i := 55; i < len(starts); i++ {
		if d := starts[i].Sub(starts[i-55]); d < 20*time.Second {
			t.Errorf("56 calls arrived within %v, want at most 50 to start in 20 s", d)
			break
		}
	}
	if len(starts) != 200 {
		t.Errorf("%d calls, want 200", len(starts))
	}
}

func TestE29_SecretsStayHidden(t *testing.T) {
	echo := func(status int) script {
		return func(_ int, w http.ResponseWriter, r *http.Request) { // the worst peer repeats what it was told
			w.WriteHeader(status)
			_, _ = fmt.Fprintf(w, `{"error":"invalid_client","error_description":"Bad client credentials %s at %s"}`, r.FormValue("client_secret"), r.URL.String())
		}
	}
	for _, tc := range []struct {
		name    string
		token   script
		thing   script
		timeout time.Duration
		close   bool
		kind    martsync.Kind
		text    string
	}{
		{name: "wrong secret", token: echo(401), kind: martsync.Auth, text: "invalid_client: Bad client credentials"},
		{name: "error with 200", token: echo(200), kind: martsync.Auth, text: "invalid_client"},
		{name: "gateway", token: echo(502), kind: martsync.Transient, text: "HTTP 502"},
		{name: "redirect", token: func(_ int, w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/elsewhere?"+r.URL.RawQuery, http.StatusTemporaryRedirect)
		}, kind: martsync.Config, text: "HTTP 307"},
		{name: "HTML", token: func(_ int, w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "<p>"+r.URL.RawQuery) }, kind: martsync.Transient, text: "HTTP 200"},
		{name: "cut", token: func(int, http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, kind: martsync.Transient, text: "no complete reply"},
		{name: "timeout", token: func(_ int, _ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, timeout: 10 * time.Millisecond, kind: martsync.Transient, text: "stalled"},
		{name: "nobody there", close: true, kind: martsync.Transient, text: "no complete reply"},
		{name: "refused later", thing: replies(faulty("601", "Access token invalid")), kind: martsync.Auth, text: "601"},
		{name: "call echoed", thing: func(_ int, w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(w, "who is "+r.Header.Get("Authorization")+"?")
		}, kind: martsync.Auth, text: "who is Bearer [redacted]?"},
		{name: "call cut", thing: func(int, http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, kind: martsync.Transient, text: "no complete reply"},
		{name: "call times out", thing: func(_ int, _ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, timeout: 10 * time.Millisecond, kind: martsync.Transient, text: "stalled"},
		{name: "all is well", thing: replies(result(`{}`))},
	} {
		t.Run(tc.name, func(t *testing.T) {
			paths := map[string]script{thing: tc.thing}
			if tc.thing == nil {
				paths[thing] = replies(result(`{}`))
			}
			if tc.token != nil {
				paths[identityPath] = tc.token
			}
			v := newFakeVendor(t, paths)
			env := v.env(t)
			env.HTTP.Timeout = tc.timeout
			s, err := open(v.config(), env)
			if err != nil {
				t.Fatal(err)
			}
			if tc.close {
				v.Close()
			}
			_, err = s.client.do(t.Context(), get())
			if tc.text != "" {
				if err == nil || martsync.KindOf(err) != tc.kind || !strings.Contains(err.Error(), tc.text) {
					t.Errorf("got %v (%v), want kind %v with %q", err, martsync.KindOf(err), tc.kind, tc.text)
				}
			} else if err != nil {
				t.Errorf("got %v", err)
			}
			shown := v.log.String() + fmt.Sprintf("%v %+v %#v", err, err, err) + martsync.HintOf(err)
			for e := err; e != nil; e = errors.Unwrap(e) {
				shown += fmt.Sprintf("\n%v %+v", e, e)
			}
			if !strings.Contains(shown, identityPath) {
				t.Errorf("the log lacks the call for a token, so it proves nothing:\n%s", shown)
			}
			for _, secret := range []string{fakeSecret, url.QueryEscape(fakeSecret), url.PathEscape(fakeSecret), "hush-hush", "token-1", "token-2"} {
				if strings.Contains(shown, secret) {
					t.Errorf("%q is shown:\n%s", secret, shown)
				}
			}
		})
	}
}

func TestE30_RequestIDsAreShown(t *testing.T) {
	v := newFakeVendor(t, map[string]script{thing: replies(faulty("611", "System error"), faulty("1003", "Invalid Data"))})
	_, err := v.source(t).client.do(t.Context(), get())
	if err == nil || !strings.Contains(err.Error(), "(request f00#1003)") {
		t.Errorf("got %v, want the request id", err)
	}
	if log := v.log.String(); !strings.Contains(log, "f00#611") {
		t.Errorf("the log lacks the id of the call that was repeated:\n%s", log)
	}
}

func TestCancelledCallsReturnAtOnce(t *testing.T) {
	arrived := make(chan struct{})
	v := newFakeVendor(t, map[string]script{thing: func(_ int, _ http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-r.Context().Done()
	}})
	s := v.source(t)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-arrived; cancel() }()
	_, err := s.client.do(ctx, get())
	if !errors.Is(err, context.Canceled) || martsync.KindOf(err) != martsync.Transient {
		t.Errorf("got %v, want context canceled", err)
	}
}

func FuzzParseEnvelope(f *testing.F) {
	f.Add(200, []byte(result(`{"id":1}`)))
	f.Add(200, []byte(faulty("606", "x")))
	f.Add(200, []byte(`{"success":true,"warnings":["No assets found for the given search criteria."]}`))
	f.Add(503, []byte("<html>"))
	f.Add(200, []byte(`{"success":true,"result":null,"errors":[],"warnings":[{"code":5,"message":null},7]}`))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		env, err := parse(status, body)
		if err == nil && (!env.Success || status < 200 || status > 299) {
			t.Errorf("%d %q is taken for a success", status, body)
		}
		if e, ok := errors.AsType[*apiError](err); err != nil && (!ok || ruleFor(e, thing).kind.String() == "") {
			t.Errorf("%d %q gives %v", status, body, err)
		}
	})
}
