package pardot

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/martsync/martsync"
)

// A rotatingLogin gives a new refresh token with each access token and ends the old one.
type rotatingLogin struct {
	mu      sync.Mutex
	valid   string
	n       int
	refused int
}

func (l *rotatingLogin) serve(_ int, w http.ResponseWriter, r *http.Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if r.PostForm.Get("grant_type") != "refresh_token" || r.PostForm.Get("refresh_token") != l.valid {
		l.refused++
		says(400, `{"error":"invalid_grant","error_description":"expired access/refresh token"}`)(0, w, r)
		return
	}
	l.n++
	l.valid = fmt.Sprintf("hush-rotated-%d", l.n)
	says(200, fmt.Sprintf(`{"access_token":"access-%d","refresh_token":%q}`, l.n, l.valid))(0, w, r)
}

// endsAfterEachCall makes a path refuse each token after one use.
func endsAfterEachCall(good fakeScript) fakeScript {
	var used sync.Map
	return func(n int, w http.ResponseWriter, r *http.Request) {
		if _, bad := used.LoadOrStore(r.Header.Get("Authorization"), true); bad {
			says(401, failed5(184, "x"))(0, w, r)
			return
		}
		good(n, w, r)
	}
}

func TestX02RotatedTokenIsUsedNextTime(t *testing.T) {
	l := &rotatingLogin{valid: fakeRefresh}
	v := newFakeVendor(t, map[string]fakeScript{tokenPath: l.serve, tagsPath: endsAfterEachCall(says(200, fine5))})
	s := v.source(t)
	for range 4 {
		if _, err := s.client.do(t.Context(), getTags); err != nil {
			t.Fatal(err)
		}
	}
	if l.n != 4 || l.refused != 0 {
		t.Errorf("%d logins and %d refused, want 4 and none", l.n, l.refused)
	}
	if !strings.Contains(v.log.String(), "token_file") {
		t.Error("nothing says that the new token is lost with the process")
	}
	v.anotherProcess()
	_, err := v.source(t).client.do(t.Context(), getTags)
	if martsync.KindOf(err) != martsync.Auth || !strings.Contains(martsync.HintOf(err), "token_file") {
		t.Errorf("another process without token_file: %v (%s)", err, martsync.HintOf(err))
	}
}

func TestX02RotatedTokenIsKept(t *testing.T) {
	l := &rotatingLogin{valid: fakeRefresh}
	v := newFakeVendor(t, map[string]fakeScript{tokenPath: l.serve, tagsPath: endsAfterEachCall(says(200, fine5))})
	file := filepath.Join(t.TempDir(), "deeper", "pardot.token")
	for range 3 {
		v.anotherProcess()
		s := v.source(t, func(c *Config) { c.TokenFile = file })
		for range 2 {
			if _, err := s.client.do(t.Context(), getTags); err != nil {
				t.Fatal(err)
			}
		}
		text, err := os.ReadFile(file)
		if err != nil || strings.TrimSpace(string(text)) != l.valid {
			t.Errorf("the file holds %q, %v, want %q", text, err, l.valid)
		}
	}
	if l.refused != 0 {
		t.Errorf("%d refused logins, want none: the file wins over refresh_token", l.refused)
	}
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v, want 0600", info.Mode(), err)
	}
	if left, _ := os.ReadDir(filepath.Dir(file)); len(left) != 1 {
		t.Errorf("files beside the token: %v", left)
	}
}

func TestX02AnotherProcessRotatesTheToken(t *testing.T) {
	l := &rotatingLogin{valid: "of the other process"}
	file := filepath.Join(t.TempDir(), "token")
	if err := writeToken(file, "stale"); err != nil {
		t.Fatal(err)
	}
	v := newFakeVendor(t, nil)
	v.paths[tokenPath] = func(n int, w http.ResponseWriter, r *http.Request) {
		if n == 1 { // stale and refresh_token have been refused: the other one writes its token down
			defer func() { _ = writeToken(file, "of the other process") }()
		}
		l.serve(n, w, r)
	}
	s := v.source(t, func(c *Config) { c.TokenFile = file })
	if _, err := s.client.do(t.Context(), getTags); err != nil {
		t.Fatalf("the file was written a moment late: %v", err)
	}
	var tried []string
	for _, r := range v.requests(tokenPath) {
		tried = append(tried, r.PostForm.Get("refresh_token"))
	}
	if got, want := strings.Join(tried, ", "), "stale, "+fakeRefresh+", of the other process"; got != want {
		t.Errorf("tried %s, want %s", got, want)
	}
}

func TestX02OperatorGivesANewToken(t *testing.T) {
	l := &rotatingLogin{valid: fakeRefresh}
	file := filepath.Join(t.TempDir(), "token")
	if err := writeToken(file, "revoked"); err != nil {
		t.Fatal(err)
	}
	v := newFakeVendor(t, map[string]fakeScript{tokenPath: l.serve})
	if _, err := v.source(t, func(c *Config) { c.TokenFile = file }).client.do(t.Context(), getTags); err != nil {
		t.Fatalf("refresh_token is good and token_file is not: %v", err)
	}
	if kept, err := readToken(file); err != nil || kept.Reveal() != l.valid {
		t.Errorf("the file holds %q, %v, want %q", kept.Reveal(), err, l.valid)
	}
}

func TestX02FileThatCannotBeWritten(t *testing.T) {
	l := &rotatingLogin{valid: fakeRefresh}
	v := newFakeVendor(t, map[string]fakeScript{tokenPath: l.serve, tagsPath: endsAfterEachCall(says(200, fine5))})
	dir := t.TempDir()
	inTheWay := filepath.Join(dir, "file")
	if err := os.WriteFile(inTheWay, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s := v.source(t, func(c *Config) { c.TokenFile = filepath.Join(dir, "token") })
	s.client.tokens.cfg.TokenFile = filepath.Join(dir, "gone", "token")
	if err := os.WriteFile(filepath.Join(dir, "gone"), nil, 0o600); err != nil { // no folder can be made here
		t.Fatal(err)
	}
	_, err := s.client.do(t.Context(), getTags)
	if martsync.KindOf(err) != martsync.Config || !strings.Contains(err.Error(), "token_file") {
		t.Errorf("a file that cannot be read: %v, want kind config", err)
	}
	// It can be read, or is not there, and cannot be written: the run goes on with what it has.
	if err := os.Remove(filepath.Join(dir, "gone")); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "gone", "token"), 0o700); err != nil {
		t.Fatal(err)
	}
	s.client.tokens.cfg.TokenFile = filepath.Join(dir, "missing")
	if err := os.Mkdir(filepath.Join(dir, "missing"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := writeToken(filepath.Join(dir, "missing"), "x"); err == nil {
		t.Error("a folder was replaced by a file")
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".*")); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestX02UnsavedTokenIsNewerThanTheFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	if err := writeToken(file, "older"); err != nil {
		t.Fatal(err)
	}
	v := newFakeVendor(t, nil)
	tokens := v.source(t, func(c *Config) { c.TokenFile = file }).client.tokens
	tokens.refresh, tokens.unsaved = "newer", true
	if got, err := tokens.candidate(nil); err != nil || got != "newer" {
		t.Errorf("got %q, %v, want the one that could not be written", got.Reveal(), err)
	}
	// The next login writes it, although it does not rotate.
	if err := tokens.renew(t.Context()); err != nil {
		t.Fatal(err)
	}
	if kept, _ := readToken(file); kept != "newer" || tokens.unsaved {
		t.Errorf("the file holds %q, want newer", kept.Reveal())
	}
	if got, _ := tokens.candidate(nil); got != "newer" {
		t.Errorf("then %q", got.Reveal())
	}
}

func TestNoRefreshTokenAnywhere(t *testing.T) {
	v := newFakeVendor(t, nil)
	s := v.source(t, func(c *Config) { c.RefreshToken, c.TokenFile = "", filepath.Join(t.TempDir(), "none") })
	if _, err := s.client.do(t.Context(), getTags); martsync.KindOf(err) != martsync.Config || v.count(tokenPath) != 0 {
		t.Errorf("got %v, want kind config before any login", err)
	}
}

func TestSessionsAreSharedByCredentialsAndForgotten(t *testing.T) {
	clock := newFakeClock()
	cfg := Config{LoginURL: "https://one.example", ClientID: "shared by credentials", RefreshToken: "r"}
	a, b := sessionOf(cfg, clock), sessionOf(cfg, clock)
	if a != b {
		t.Error("equal credentials have two sessions")
	}
	for name, change := range map[string]func(*Config){
		"login": func(c *Config) { c.LoginURL = "https://two.example" }, "client": func(c *Config) { c.ClientID = "x" },
		"refresh token": func(c *Config) { c.RefreshToken = "x" }, "file": func(c *Config) { c.TokenFile = "x" },
		"shifted": func(c *Config) { c.ClientID, c.ClientSecret = c.ClientID+"r", "" },
	} {
		other := cfg
		change(&other)
		if sessionOf(other, clock) == a {
			t.Errorf("another %s has the same session", name)
		}
	}
	if sessionOf(cfg, newFakeClock()) == a {
		t.Error("another clock has the same session")
	}
	runtime.KeepAlive(b)
	runtime.KeepAlive(a) // until here
	key := func() (n int) {
		sessions.Lock()
		defer sessions.Unlock()
		for k := range sessions.byLogin {
			if k.clock == martsync.Clock(clock) {
				n++
			}
		}
		return n
	}
	for range 10_000 { // cleanups run some time after a collection
		runtime.GC()
		if key() == 0 {
			return
		}
	}
	t.Errorf("%d sessions are kept that nobody uses", key())
}

// uncomparable is a clock that cannot be a key of a map.
type uncomparable struct {
	*fakeClock
	_ []int
}

func TestSessionOfAnUncomparableClock(t *testing.T) {
	clock := uncomparable{fakeClock: newFakeClock()}
	if a, b := sessionOf(Config{}, clock), sessionOf(Config{}, clock); a == b {
		t.Error("shared although nobody can tell the clocks apart")
	}
}

func TestX23NoSecretInErrorsAndLogs(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	private := string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}))
	const password, security = "hush-pass word+1%", "hushSecurityToken"
	credentials := map[string]func(*Config){
		"refresh": func(*Config) {},
		"client":  func(c *Config) { c.RefreshToken = "" },
		"password": func(c *Config) {
			c.RefreshToken, c.Username, c.Password, c.SecurityToken = "", "u", password, security
		},
		"jwt": func(c *Config) { c.RefreshToken, c.Username, c.PrivateKey = "", "u", martsync.Secret(private) },
	}
	// Everything that was sent comes back, as it was and decoded.
	echo := func(status int, format string) fakeScript {
		return func(_ int, w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(status)
			var all []string
			for name, values := range r.PostForm {
				all = append(all, name+"="+strings.Join(values, ","))
			}
			text, _ := json.Marshal(strings.Join(all, " ") + " " + r.PostForm.Encode() + " " + r.Header.Get("Authorization"))
			_, _ = io.WriteString(w, fmt.Sprintf(format, text))
		}
	}
	for grant, change := range credentials {
		for name, paths := range map[string]map[string]fakeScript{
			"login refused":   {tokenPath: echo(400, `{"error":"invalid_grant","error_description":%s}`)},
			"login in HTML":   {tokenPath: echo(503, `<html>%s</html>`)},
			"login strange":   {tokenPath: echo(400, `{"error":"odd","error_description":%s}`)},
			"call refused":    {tagsPath: echo(401, `{"code":184,"message":%s}`)},
			"call in HTML":    {tagsPath: echo(500, `<html>%s</html>`)},
			"version 4":       {tag4Path: echo(200, `{"@attributes":{"stat":"fail","err_code":49},"err":%s}`)},
			"works":           {},
			"identity fails":  {userinfoPath: echo(403, `%s`)},
			"no one is there": {tagsPath: func(int, http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }},
		} {
			t.Run(grant+"/"+name, func(t *testing.T) {
				v := newFakeVendor(t, paths)
				s := v.source(t, change)
				var texts []string
				for _, r := range []request{getTags, getTags4} {
					_, err := s.client.do(t.Context(), r)
					for ; err != nil; err = errors.Unwrap(err) {
						texts = append(texts, err.Error(), fmt.Sprintf("%#v", err), martsync.HintOf(err))
					}
				}
				if _, err := s.client.tokens.userinfo(t.Context()); err != nil {
					texts = append(texts, err.Error())
				}
				texts = append(texts, v.log.String(), fmt.Sprintf("%+v %#v", s.cfg, s.cfg))
				all := strings.Join(texts, "\n")
				secrets := []string{"hush", "00D!", "eyJhbGciOiJSUzI1NiI", "BEGIN RSA", private[40:80]}
				for _, r := range v.requests(tokenPath) {
					for _, field := range []string{"client_secret", "refresh_token", "password", "assertion"} {
						if value := r.PostForm.Get(field); value != "" {
							secrets = append(secrets, value)
						}
					}
				}
				for _, secret := range secrets {
					if i := strings.Index(all, secret); i >= 0 {
						t.Errorf("%q is shown: …%s…", secret, all[max(0, i-80):min(len(all), i+80)])
					}
				}
				if v.log.String() == "" {
					t.Error("nothing was logged: the test proves nothing")
				}
			})
		}
	}
}

func TestUserinfoIsAskedOfTrustedHostsOnly(t *testing.T) {
	v := newFakeVendor(t, nil)
	tokens := v.source(t).client.tokens
	for address, want := range map[string]bool{
		v.URL + "/id/1/2":                              true,
		"https://login.salesforce.com/id/1/2":          true,
		"https://kestrel.my.salesforce.com/id/1/2":     true,
		"http://login.salesforce.com/id/1/2":           false,
		"https://salesforce.com.evil.example/id/1/2":   false,
		"https://evilsalesforce.com/id/1/2":            false,
		"https://login.salesforce.com@evil.example/id": false,
		"/id/1/2": false, "": false, "%": false,
	} {
		if got := tokens.trusts(address); got != want {
			t.Errorf("trusts(%q) = %v", address, got)
		}
	}
}

func TestUserinfoFallsBackToTheIdentityURL(t *testing.T) {
	v := newFakeVendor(t, map[string]fakeScript{
		userinfoPath: says(403, `{"error":"scope"}`),
		"/id/00D000000000001AAA/005000000000001AAA": says(200, `{"user_id":"005000000000001AAA","timezone":"Europe/Berlin","urls":{"x":"y"}}`),
	})
	who, err := v.source(t).client.tokens.userinfo(t.Context())
	if err != nil || who.Timezone != "Europe/Berlin" || who.UserID != "005000000000001AAA" {
		t.Errorf("got %+v, %v", who, err)
	}
	// An ended token is renewed once.
	v = newFakeVendor(t, map[string]fakeScript{userinfoPath: inTurn(says(401, "Bad_OAuth_Token"), says(200, `{"zoneinfo":"Asia/Tokyo"}`))})
	who, err = v.source(t).client.tokens.userinfo(t.Context())
	if err != nil || who.ZoneInfo != "Asia/Tokyo" || v.count(tokenPath) != 2 {
		t.Errorf("got %+v, %v after %d logins", who, err, v.count(tokenPath))
	}
}
