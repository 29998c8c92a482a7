package pardotsim

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

var testKey = sync.OnceValue(func() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
})

func keyedUsers() []User {
	users := DefaultUsers()
	users[0].PublicKey = &testKey().PublicKey
	return users
}

// assertion signs claims.
func assertion(t *testing.T, alg string, claims map[string]any) string {
	t.Helper()
	enc := func(v any) string {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return base64.RawURLEncoding.EncodeToString(b)
	}
	text := enc(map[string]string{"alg": alg}) + "." + enc(claims)
	sum := sha256.Sum256([]byte(text))
	sig, err := rsa.SignPKCS1v15(rand.Reader, testKey(), crypto.SHA256, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(sig)
}

func TestS01TokenEndpoint(t *testing.T) {
	d := newDesk(t, Config{Wire: Wire{Users: keyedUsers()}})
	u := d.s.org.users[0]
	app := func(grant string, more ...string) url.Values {
		f := url.Values{"grant_type": {grant}, "client_id": {u.ClientID}, "client_secret": {u.Secret}}
		for i := 0; i < len(more); i += 2 {
			f.Set(more[i], more[i+1])
		}
		return f
	}
	good := map[string]any{"iss": u.ClientID, "sub": u.Username, "aud": "https://login.salesforce.com", "exp": d.clock.Now().Add(3 * time.Minute).Unix()}
	tests := []struct {
		name string
		form url.Values
		want string // error; "": a token
	}{
		{"refresh", app("refresh_token", "refresh_token", d.s.org.RefreshToken(u.Username)), ""},
		{"password", app("password", "username", u.Username, "password", u.Password+u.SecurityToken), ""},
		{"client credentials", app("client_credentials"), ""},
		{"jwt", url.Values{"grant_type": {jwtGrant}, "assertion": {assertion(t, "RS256", good)}}, ""},
		{"unknown client", app("refresh_token", "client_id", "nobody"), "invalid_client_id"},
		{"wrong secret", app("refresh_token", "client_secret", "no"), "invalid_client"},
		{"wrong refresh token", app("refresh_token", "refresh_token", "no"), "invalid_grant"},
		{"password without security token", app("password", "username", u.Username, "password", u.Password), "invalid_grant"},
		{"unknown grant", app("device"), "unsupported_grant_type"},
		{"no grant", app(""), "invalid_request"},
		{"unknown code", app("authorization_code", "code", "no"), "invalid_grant"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			status, reply := d.oauth(tt.form)
			if tt.want != "" {
				if status != http.StatusBadRequest || reply["error"] != tt.want || reply["error_description"] == "" {
					t.Errorf("got status %d, %v; want 400 with error %q and a description", status, reply, tt.want)
				}
				return
			}
			if status != http.StatusOK {
				t.Fatalf("got status %d, %v; want a token", status, reply)
			}
			if _, there := reply["expires_in"]; there {
				t.Error("the reply has expires_in, which Salesforce does not send")
			}
			if _, there := reply["refresh_token"]; there {
				t.Error("the reply has a refresh token without rotation")
			}
			text, _ := reply["issued_at"].(string)
			if ms, err := strconv.ParseInt(text, 10, 64); err != nil || ms != d.clock.Now().UnixMilli() {
				t.Errorf("issued_at: got %v, want the milliseconds %d as a string", reply["issued_at"], d.clock.Now().UnixMilli())
			}
			d.token, _ = reply["access_token"].(string)
			if a := d.get("/api/v5/objects/account?fields=id"); a.status != http.StatusOK {
				t.Errorf("the token does not work: status %d, %s", a.status, a.body)
			}
		})
	}
	for _, method := range []string{http.MethodGet, http.MethodPut} {
		a, err := d.request(method, "/services/oauth2/token?"+tests[0].form.Encode(), "")
		if err != nil || a.status != http.StatusBadRequest || !strings.Contains(a.body, "invalid_request") {
			t.Errorf("%s: got status %d, %s, %v; want 400 invalid_request", method, a.status, a.body, err)
		}
	}
	a := d.post("/services/oauth2/token", "", func(r *http.Request) {
		r.URL.RawQuery = url.Values{"grant_type": {"client_credentials"}}.Encode()
		r.SetBasicAuth(u.ClientID, u.Secret)
	})
	if a.status != http.StatusOK {
		t.Errorf("credentials in the header: got status %d, %s; want 200", a.status, a.body)
	}
}

func TestS01AuthorizationCodeWithPKCE(t *testing.T) {
	d := newDesk(t, Config{})
	u := d.s.org.users[0]
	const verifier = "a-verifier-that-is-long-enough-to-be-one-of-forty-three"
	sum := sha256.Sum256([]byte(verifier))
	authorize := func() string {
		q := url.Values{
			"response_type": {"code"}, "client_id": {u.ClientID}, "redirect_uri": {"http://127.0.0.1:7777/back"}, "state": {"s1"},
			"code_challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}, "code_challenge_method": {"S256"},
		}
		resp, err := (&http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}).Get(d.url + "/services/oauth2/authorize?" + q.Encode())
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		to, err := resp.Location()
		if err != nil || resp.StatusCode != http.StatusFound || to.Query().Get("state") != "s1" {
			t.Fatalf("authorize: status %d to %v, %v; want 302 with the state", resp.StatusCode, to, err)
		}
		return to.Query().Get("code")
	}
	form := func(code, verifier string) url.Values {
		return url.Values{
			"grant_type": {"authorization_code"}, "client_id": {u.ClientID}, "client_secret": {u.Secret}, "code": {code},
			"redirect_uri": {"http://127.0.0.1:7777/back"}, "code_verifier": {verifier},
		}
	}
	if status, reply := d.oauth(form(authorize(), "another")); status != http.StatusBadRequest || reply["error"] != "invalid_grant" {
		t.Errorf("wrong verifier: got %d %v, want invalid_grant", status, reply)
	}
	code := authorize()
	status, reply := d.oauth(form(code, verifier))
	refresh, _ := reply["refresh_token"].(string)
	if status != http.StatusOK || refresh == "" {
		t.Fatalf("got %d %v, want tokens, a refresh token among them", status, reply)
	}
	if status, reply := d.oauth(form(code, verifier)); status != http.StatusBadRequest {
		t.Errorf("second use of a code: got %d %v, want 400", status, reply)
	}
	if status, reply := d.oauth(url.Values{"grant_type": {"refresh_token"}, "client_id": {u.ClientID}, "client_secret": {u.Secret}, "refresh_token": {refresh}}); status != http.StatusOK {
		t.Errorf("the refresh token: got %d %v, want 200", status, reply)
	}
}

func TestS02ClientCredentialsOnTheGenericHost(t *testing.T) {
	d := newDesk(t, Config{Generic: true})
	u := d.s.org.users[0]
	status, reply := d.oauth(url.Values{"grant_type": {"client_credentials"}, "client_id": {u.ClientID}, "client_secret": {u.Secret}})
	if status != http.StatusBadRequest || reply["error"] != "invalid_grant" {
		t.Errorf("got %d %v, want 400 invalid_grant", status, reply)
	}
}

func TestS02Assertions(t *testing.T) {
	d := newDesk(t, Config{Wire: Wire{Users: keyedUsers()}})
	u := d.s.org.users[0]
	now := d.clock.Now()
	tests := []struct {
		name   string
		alg    string
		change map[string]any
		break_ bool
		ok     bool
	}{
		{"as documented", "RS256", nil, false, true},
		{"sandbox audience", "RS256", map[string]any{"aud": "https://test.salesforce.com"}, false, true},
		{"expired within the skew", "RS256", map[string]any{"exp": now.Add(-179 * time.Second).Unix()}, false, true},
		{"expired", "RS256", map[string]any{"exp": now.Add(-181 * time.Second).Unix()}, false, false},
		{"no expiry", "RS256", map[string]any{"exp": nil}, false, false},
		{"other audience", "RS256", map[string]any{"aud": "https://pi.pardot.com"}, false, false},
		{"other user", "RS256", map[string]any{"sub": "somebody@else.example"}, false, false},
		{"other app", "RS256", map[string]any{"iss": "somebody"}, false, false},
		{"app without certificate", "RS256", map[string]any{"iss": d.s.org.users[1].ClientID, "sub": d.s.org.users[1].Username}, false, false},
		{"other algorithm", "none", nil, false, false},
		{"broken signature", "RS256", nil, true, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			claims := map[string]any{"iss": u.ClientID, "sub": u.Username, "aud": "https://login.salesforce.com", "exp": now.Add(3 * time.Minute).Unix()}
			for k, v := range tt.change {
				claims[k] = v
			}
			text := assertion(t, tt.alg, claims)
			if tt.break_ {
				head, sig, _ := strings.Cut(text[1:], ".")
				text = text[:1] + head + "." + strings.Replace(sig, sig[:4], "AAAA", 1)
			}
			status, reply := d.oauth(url.Values{"grant_type": {jwtGrant}, "assertion": {text}})
			if tt.ok != (status == http.StatusOK) || !tt.ok && reply["error"] != "invalid_grant" {
				t.Errorf("got %d %v; want success: %t, else invalid_grant", status, reply, tt.ok)
			}
		})
	}
}

func TestS03Rotation(t *testing.T) {
	d := newDesk(t, Config{Rotate: true})
	u := d.s.org.users[0]
	old := d.s.org.RefreshToken(u.Username) // login has used one already
	form := func(refresh string) url.Values {
		return url.Values{"grant_type": {"refresh_token"}, "client_id": {u.ClientID}, "client_secret": {u.Secret}, "refresh_token": {refresh}}
	}
	status, reply := d.oauth(form(old))
	next, _ := reply["refresh_token"].(string)
	if status != http.StatusOK || next == "" || next == old {
		t.Fatalf("got %d %v, want another refresh token than %q", status, reply, old)
	}
	if status, reply := d.oauth(form(old)); status != http.StatusBadRequest || reply["error"] != "invalid_grant" {
		t.Errorf("replaced token: got %d %v, want invalid_grant", status, reply)
	}
	if status, reply := d.oauth(form(next)); status != http.StatusOK {
		t.Errorf("new token: got %d %v, want 200", status, reply)
	}
	// A reply that gets lost must not strand its reader.
	if err := d.s.AddFault("cut:path=/token"); err != nil {
		t.Fatal(err)
	}
	now := d.s.org.RefreshToken(u.Username)
	if resp, err := client.PostForm(d.url+"/services/oauth2/token", form(now)); err == nil {
		resp.Body.Close()
	}
	if status, reply := d.oauth(form(now)); status != http.StatusOK {
		t.Errorf("after a lost reply: got %d %v, want 200", status, reply)
	}
}

func TestS04TokensEnd(t *testing.T) {
	tests := []struct {
		name           string
		cfg            Config
		end            func(d *desk)
		status4, code5 int
	}{
		{"on demand", Config{}, func(d *desk) { d.s.ExpireTokens() }, 401, 401},
		{"with HTTP 200", Config{TokenStatus4: 200}, func(d *desk) { d.s.ExpireTokens() }, 200, 401},
		{"by time", Config{TokenLife: 15 * time.Minute}, func(d *desk) { d.clock.Advance(15 * time.Minute) }, 401, 401},
		{"revoked", Config{}, func(d *desk) {
			resp, err := client.PostForm(d.url+"/services/oauth2/revoke", url.Values{"token": {d.token}})
			if err != nil || resp.StatusCode != http.StatusOK || resp.ContentLength != 0 {
				d.t.Fatalf("revoke: %v, %v; want 200 and no body", resp, err)
			}
			resp.Body.Close()
		}, 401, 401},
		{"without the scope", Config{NoScope: true}, func(*desk) {}, 401, 401},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := newDesk(t, tt.cfg)
			tt.end(d)
			if a := d.get("/api/tag/version/4/do/query?format=json"); a.status != tt.status4 || a.code() != 184 {
				t.Errorf("version 4: got status %d, %s; want %d and code 184", a.status, a.body, tt.status4)
			}
			if a := d.get("/api/v5/objects/tags?fields=id"); a.status != tt.code5 || a.code() != 184 {
				t.Errorf("version 5: got status %d, %s; want %d and code 184", a.status, a.body, tt.code5)
			}
			if tt.cfg.NoScope {
				return
			}
			d.token = d.login()
			if a := d.get("/api/v5/objects/tags?fields=id"); a.status != http.StatusOK {
				t.Errorf("with a new token: got status %d, %s", a.status, a.body)
			}
		})
	}
}

func TestS04SlidingTokens(t *testing.T) {
	d := newDesk(t, Config{TokenLife: 15 * time.Minute, Wire: Wire{TokenSlides: true}})
	for i := range 4 {
		d.clock.Advance(10 * time.Minute)
		if a := d.get("/api/v5/objects/tags?fields=id"); a.status != http.StatusOK {
			t.Fatalf("use %d of a token in use: got status %d, %s", i+1, a.status, a.body)
		}
	}
	d.clock.Advance(16 * time.Minute)
	if a := d.get("/api/v5/objects/tags?fields=id"); a.code() != 184 {
		t.Errorf("after a pause: got %s, want code 184", a.body)
	}
}

func TestS05Headers(t *testing.T) {
	const other = "0Uv5e000000OthrCAA"
	d := newDesk(t, Config{Wire: Wire{OtherUnits: []string{other}}})
	unit := func(id string) func(*http.Request) {
		return func(r *http.Request) {
			r.Header.Del(unitHeader)
			if id != "" {
				r.Header.Set(unitHeader, id)
			}
		}
	}
	auth := func(v string) func(*http.Request) {
		return func(r *http.Request) {
			r.Header.Del("Authorization")
			if v != "" {
				r.Header.Set("Authorization", v)
			}
		}
	}
	tests := []struct {
		name    string
		edit    func(*http.Request)
		code    int
		status5 int
	}{
		{"as documented", unit(d.unit), 0, 200},
		{"15 characters", unit(d.unit[:15]), 0, 200},
		{"no unit", unit(""), 181, 400},
		{"no id", unit("12345"), 182, 400},
		{"unknown unit", unit("0Uv5e000000NobdyAA"), 201, 400},
		{"unit of others", unit(other), 184, 401},
		{"no authorization", auth(""), 49, 401},
		{"garbage token", auth("Bearer nothing"), 184, 401},
		{"other scheme", auth("Basic eDp5"), 126, 401},
		{"retired scheme", auth("Pardot api_key=1, user_key=2"), 199, 401},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if a := d.get("/api/v5/objects/tags?fields=id", tt.edit); a.code() != tt.code || a.status != tt.status5 {
				t.Errorf("version 5: got status %d, %s; want status %d, code %d", a.status, a.body, tt.status5, tt.code)
			}
			if a := d.get("/api/tag/version/4/do/query?format=json", tt.edit); a.code() != tt.code {
				t.Errorf("version 4: got status %d, %.100s; want code %d", a.status, a.body, tt.code)
			}
		})
	}
	t.Run("wrong host", func(t *testing.T) {
		d := newDesk(t, Config{Wire: Wire{Host: "pi.demo.pardot.com"}})
		if a := d.get("/api/v5/objects/tags?fields=id"); a.code() != 201 {
			t.Errorf("got %s, want code 201", a.body)
		}
		if a := d.get("/api/v5/objects/tags?fields=id", func(r *http.Request) { r.Host = "pi.demo.pardot.com" }); a.status != 200 {
			t.Errorf("right host: got status %d, %s", a.status, a.body)
		}
	})
	t.Run("user that is not synced", func(t *testing.T) {
		users := DefaultUsers()
		users[0].Unsynced = true
		d := newDesk(t, Config{Wire: Wire{Users: users}})
		if a := d.get("/api/v5/objects/tags?fields=id"); a.code() != 184 {
			t.Errorf("got %s, want code 184", a.body)
		}
	})
	t.Run("login of Pardot alone", func(t *testing.T) {
		if a := d.post("/api/login/version/3", ""); a.code() != 15 {
			t.Errorf("got %s, want code 15", a.body)
		}
	})
}

func TestS05UnitsOfOneOrg(t *testing.T) {
	a := newDesk(t, Config{})
	b := newDesk(t, Config{BusinessUnit: "0Uv5A000000SecndAA", Wire: Wire{Org: a.s.Org()}})
	b.token = a.token
	if r := b.get("/api/v5/objects/tags?fields=id"); r.status != http.StatusOK {
		t.Errorf("token of the org at its second unit: got status %d, %s", r.status, r.body)
	}
	h := Sharing(a.s, b.s)
	for unit, want := range map[string]*Server{a.unit: a.s, b.unit: b.s} {
		before := want.Stats().Calls
		r, err := http.NewRequest(http.MethodGet, "/api/v5/objects/tags?fields=id", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+a.token)
		r.Header.Set(unitHeader, unit)
		w := &recorder{header: http.Header{}}
		h.ServeHTTP(w, r)
		if w.status != http.StatusOK || want.Stats().Calls != before+1 {
			t.Errorf("unit %s: got status %d and %d calls, want 200 and %d", unit, w.status, want.Stats().Calls, before+1)
		}
	}
}

type recorder struct {
	header http.Header
	status int
}

func (r *recorder) Header() http.Header         { return r.header }
func (r *recorder) WriteHeader(status int)      { r.status = status }
func (r *recorder) Write(p []byte) (int, error) { return len(p), nil }

func TestUserinfoAndIdentity(t *testing.T) {
	d := newDesk(t, Config{UserZone: "Europe/Paris"})
	_, reply := d.oauth(url.Values{
		"grant_type": {"client_credentials"}, "client_id": {d.s.org.users[0].ClientID}, "client_secret": {d.s.org.users[0].Secret},
	})
	id, _ := reply["id"].(string)
	for _, path := range []string{"/services/oauth2/userinfo", strings.TrimPrefix(id, d.url)} {
		info := d.get(path).object(t)
		if info["zoneinfo"] != "Europe/Paris" || info["user_id"] != d.s.org.users[0].SalesforceID {
			t.Errorf("%s: got %v, want the user and Europe/Paris", path, info)
		}
	}
	if err := d.s.SetUserZone("Asia/Tokyo"); err != nil {
		t.Fatal(err)
	}
	if info := d.get("/services/oauth2/userinfo").object(t); info["zoneinfo"] != "Asia/Tokyo" {
		t.Errorf("after the change: got %v, want Asia/Tokyo", info["zoneinfo"])
	}
	d.token = "nothing"
	if a := d.get("/services/oauth2/userinfo"); a.status != http.StatusForbidden {
		t.Errorf("bad token: got status %d, want 403", a.status)
	}
	u := d.s.org.users[0]
	resp, err := client.PostForm(d.url+"/services/oauth2/introspect", url.Values{"token": {reply["access_token"].(string)}, "client_id": {u.ClientID}, "client_secret": {u.Secret}})
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var state struct {
		Active bool
		Exp    int64
	}
	if err := json.NewDecoder(resp.Body).Decode(&state); err != nil || !state.Active || state.Exp != d.clock.Now().Add(2*time.Hour).Unix() {
		t.Errorf("introspect: got %+v, %v; want an active token of two hours", state, err)
	}
}
