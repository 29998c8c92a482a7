package pardot

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/martsync/martsync"
)

func TestGrants(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	pkcs1 := string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}))
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8 := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	jwt := func(key string) func(*Config) {
		return func(c *Config) {
			c.RefreshToken, c.ClientSecret, c.Username, c.PrivateKey = "", "", "api@kestrel.example", martsync.Secret(key)
		}
	}
	for _, tc := range []struct {
		name   string
		change func(*Config)
		want   map[string]string
	}{
		{"refresh token", func(*Config) {}, map[string]string{"grant_type": "refresh_token", "client_id": "client-1", "client_secret": fakeSecret, "refresh_token": fakeRefresh}},
		{"refresh token without a secret", func(c *Config) { c.ClientSecret = "" }, map[string]string{"grant_type": "refresh_token", "client_id": "client-1", "refresh_token": fakeRefresh}},
		{"client credentials", func(c *Config) { c.RefreshToken = "" }, map[string]string{"grant_type": "client_credentials", "client_id": "client-1", "client_secret": fakeSecret}},
		{"password", func(c *Config) { c.RefreshToken, c.Username, c.Password = "", "u@x", "p&w" }, map[string]string{"grant_type": "password", "client_id": "client-1", "client_secret": fakeSecret, "username": "u@x", "password": "p&w"}},
		{"password and token", func(c *Config) { c.RefreshToken, c.Username, c.Password, c.SecurityToken = "", "u@x", "p&w", "TOK" }, map[string]string{"grant_type": "password", "client_id": "client-1", "client_secret": fakeSecret, "username": "u@x", "password": "p&wTOK"}},
		{"jwt", jwt(pkcs8), nil},
		{"jwt with a key of old", jwt(pkcs1), nil},
		{"jwt with a key in one line", jwt(strings.ReplaceAll(pkcs8, "\n", `\n`)), nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			v := newFakeVendor(t, nil)
			if _, err := v.source(t, tc.change).client.do(t.Context(), getTags); err != nil {
				t.Fatal(err)
			}
			r := v.requests(tokenPath)[0]
			if r.Method != http.MethodPost || r.Header.Get("Content-Type") != formType || r.URL.RawQuery != "" {
				t.Errorf("%s %s as %s", r.Method, r.URL, r.Header.Get("Content-Type"))
			}
			if tc.want == nil {
				verifyAssertion(t, v, r, &key.PublicKey)
				return
			}
			got := map[string]string{}
			for name := range r.PostForm {
				got[name] = r.PostForm.Get(name)
			}
			if fmt.Sprint(got) != fmt.Sprint(tc.want) {
				t.Errorf("form %v, want %v", got, tc.want)
			}
		})
	}
}

// verifyAssertion checks a JWT as the vendor does.
func verifyAssertion(t *testing.T, v *fakeVendor, r *http.Request, key *rsa.PublicKey) {
	t.Helper()
	if got := r.PostForm.Get("grant_type"); got != "urn:ietf:params:oauth:grant-type:jwt-bearer" || len(r.PostForm) != 2 {
		t.Errorf("grant %q with %d fields, want the assertion and nothing else", got, len(r.PostForm))
	}
	parts := strings.Split(r.PostForm.Get("assertion"), ".")
	if len(parts) != 3 {
		t.Fatalf("the assertion has %d parts", len(parts))
	}
	var texts [3][]byte
	for i, p := range parts {
		text, err := base64.RawURLEncoding.DecodeString(p)
		if err != nil {
			t.Fatalf("part %d: %v", i, err)
		}
		texts[i] = text
	}
	digest := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if err := rsa.VerifyPKCS1v15(key, crypto.SHA256, digest[:], texts[2]); err != nil {
		t.Errorf("signature: %v", err)
	}
	var header struct{ Alg string }
	var claims struct {
		Iss, Sub, Aud string
		Exp           int64
	}
	if err := errors.Join(json.Unmarshal(texts[0], &header), json.Unmarshal(texts[1], &claims)); err != nil {
		t.Fatal(err)
	}
	life := time.Unix(claims.Exp, 0).Sub(v.clock.Now())
	if header.Alg != "RS256" || claims.Iss != "client-1" || claims.Sub != "api@kestrel.example" || claims.Aud != v.URL || life < time.Minute || life > 5*time.Minute {
		t.Errorf("header %+v, claims %+v, life %v", header, claims, life)
	}
}

func TestJWTAsksWithAFreshAssertion(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
	v := newFakeVendor(t, map[string]fakeScript{tagsPath: endsAfterEachCall(says(200, fine5))})
	s := v.source(t, func(c *Config) {
		c.RefreshToken, c.Username, c.PrivateKey, c.Audience = "", "u", martsync.Secret(text), "https://site.example"
	})
	for range 2 {
		if _, err := s.client.do(t.Context(), getTags); err != nil {
			t.Fatal(err)
		}
		_ = v.clock.Sleep(t.Context(), time.Hour)
	}
	logins := v.requests(tokenPath)
	if len(logins) != 2 || logins[0].PostForm.Get("assertion") == logins[1].PostForm.Get("assertion") {
		t.Errorf("%d logins, want 2 with assertions of their own", len(logins))
	}
}

func TestPrivateKeysThatCannotBeUsed(t *testing.T) {
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(ec)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"no PEM":    "hush-private",
		"public":    "-----BEGIN PUBLIC KEY-----\naHVzaC1wcml2YXRl\n-----END PUBLIC KEY-----\n",
		"encrypted": "-----BEGIN ENCRYPTED PRIVATE KEY-----\naHVzaC1wcml2YXRl\n-----END ENCRYPTED PRIVATE KEY-----\n",
		"elliptic":  string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
	} {
		v := newFakeVendor(t, nil)
		cfg := v.config()
		cfg.RefreshToken, cfg.Grant, cfg.Username, cfg.PrivateKey = "", grantJWT, "u", martsync.Secret(text)
		_, err := open(cfg, v.env(t))
		if martsync.KindOf(err) != martsync.Config || martsync.HintOf(err) == "" || strings.Contains(err.Error(), "hush") || strings.Contains(err.Error(), "aHVz") {
			t.Errorf("%s: %v (%s)", name, err, martsync.HintOf(err))
		}
	}
}

// A hostRewriter sends what is meant for a host of the vendor to a test server.
type hostRewriter struct {
	next http.RoundTripper
	to   string
}

func (h hostRewriter) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.URL.Scheme, r.URL.Host = "http", h.to
	return h.next.RoundTrip(r)
}

func TestLoginFailures(t *testing.T) {
	refusal := func(code, text string) fakeScript {
		return says(400, fmt.Sprintf(`{"error":%q,"error_description":%q}`, code, text))
	}
	client := func(c *Config) { c.RefreshToken = "" }
	password := func(c *Config) { c.RefreshToken, c.Username, c.Password = "", "u", "p" }
	for _, tc := range []struct {
		name   string
		change func(*Config)
		reply  fakeScript
		kind   martsync.Kind
		hint   string
		asks   int
	}{
		{"unknown client", nil, refusal("invalid_client_id", "client identifier invalid"), martsync.Auth, "client_id", 1},
		{"bad secret", nil, refusal("invalid_client", "invalid client credentials"), martsync.Auth, "client_secret", 1},
		{"bad secret of old", nil, refusal("invalid_client_credentials", "x"), martsync.Auth, "client_secret", 1},
		{"bad secret with 401", nil, says(401, `{"error":"invalid_client"}`), martsync.Auth, "client_secret", 1},
		{"revoked refresh token", nil, refusal("invalid_grant", "expired access/refresh token"), martsync.Auth, "no longer valid", 1},
		{"grant is not enabled", nil, refusal("unsupported_grant_type", "x"), martsync.Auth, "refresh token flow", 1},
		{"bad password", password, refusal("invalid_grant", "authentication failure"), martsync.Auth, "security_token", 1},
		{"no run-as user", client, refusal("invalid_grant", "no client credentials user enabled"), martsync.Auth, "run-as user", 1},
		{"inactive user", nil, refusal("inactive_user", "x"), martsync.Auth, "inactive", 1},
		{"inactive org", nil, refusal("inactive_org", "x"), martsync.Auth, "inactive", 1},
		{"too many logins", nil, refusal("rate_limit_exceeded", "x"), martsync.Transient, "too many logins", 1},
		{"maintenance", nil, says(503, "<html>maintenance</html>"), martsync.Transient, "", usualTries},
		{"maintenance with status 200", nil, says(200, "<html>maintenance</html>"), martsync.Transient, "", usualTries},
		{"no token in it", nil, says(200, `{}`), martsync.Transient, "", usualTries},
		{"not there", nil, says(404, "<html>"), martsync.Config, "login_url", 1},
		{"elsewhere", nil, func(_ int, w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/x", http.StatusFound) }, martsync.Config, "login_url", 1},
		{"a proxy's", nil, says(403, "<html>no"), martsync.Auth, "Something between", 1},
		{"dropped", nil, func(int, http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, martsync.Transient, "login_url", usualTries},
	} {
		t.Run(tc.name, func(t *testing.T) {
			v := newFakeVendor(t, map[string]fakeScript{tokenPath: tc.reply})
			change := tc.change
			if change == nil {
				change = func(*Config) {}
			}
			_, err := v.source(t, change).client.do(t.Context(), getTags)
			if martsync.KindOf(err) != tc.kind || !strings.Contains(martsync.HintOf(err), tc.hint) {
				t.Errorf("got %v (%v, %s), want %v and %q", err, martsync.KindOf(err), martsync.HintOf(err), tc.kind, tc.hint)
			}
			if err != nil && !strings.HasPrefix(err.Error(), "pardot: query tags: get an access token: ") {
				t.Errorf("error %q does not name the operation", err)
			}
			if got := v.count(tokenPath); got != tc.asks || v.count(tagsPath) != 0 {
				t.Errorf("asked %d times, want %d, and %d calls without a token", got, tc.asks, v.count(tagsPath))
			}
		})
	}
}

func TestClientCredentialsOnTheGenericLoginHost(t *testing.T) {
	for _, host := range []string{loginHost, sandboxHost} {
		v := newFakeVendor(t, map[string]fakeScript{tokenPath: says(400, `{"error":"invalid_grant","error_description":"request not supported on this domain"}`)})
		env := v.env(t)
		env.HTTP.Transport = hostRewriter{env.HTTP.Transport, strings.TrimPrefix(v.URL, "http://")}
		cfg := v.config()
		cfg.LoginURL, cfg.RefreshToken = host, ""
		s, err := open(cfg, env)
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.client.do(t.Context(), getTags)
		if martsync.KindOf(err) != martsync.Auth || !strings.Contains(martsync.HintOf(err), "My Domain address only") {
			t.Errorf("%s: %v (%s), want the hint about My Domain", host, err, martsync.HintOf(err))
		}
	}
}
