package pardotsim

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
)

// An Org is a Salesforce org: its users, their apps and tokens. Business units of one org share it.
type Org struct {
	users []User
	seed  uint64

	mu      sync.Mutex
	count   uint64
	access  map[string]*accessToken
	refresh map[string]*refreshToken
	codes   map[string]*authCode
}

type accessToken struct {
	user    *User
	refresh string // that it was made from; "": of another grant
	issued  time.Time
	ends    time.Time
}

type refreshToken struct {
	user *User
	over bool // revoked or replaced
}

// An authCode is what authorize gives to the browser.
type authCode struct {
	user      *User
	redirect  string
	challenge string
	offline   bool // a refresh token was asked for
	ends      time.Time
}

// NewOrg makes an org of these users, each of which has a refresh token already.
func NewOrg(seed uint64, users ...User) *Org {
	o := &Org{users: users, seed: seed, access: make(map[string]*accessToken), refresh: make(map[string]*refreshToken), codes: make(map[string]*authCode)}
	for i := range o.users {
		o.newRefresh(&o.users[i])
	}
	return o
}

// RefreshToken returns a refresh token of the user that works now, "" if there is none.
func (o *Org) RefreshToken(username string) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	var first string
	for text, t := range o.refresh {
		if t.user.Username == username && !t.over && (first == "" || text < first) {
			first = text
		}
	}
	return first
}

// RevokeRefreshTokens ends the refresh tokens of all users, as an administrator can.
func (o *Org) RevokeRefreshTokens() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, t := range o.refresh {
		t.over = true
	}
}

// newRefresh makes a refresh token. The caller holds the lock, or is the only one to know o.
func (o *Org) newRefresh(u *User) string {
	o.count++
	text := "5Aep861" + randomText(o.seed, 0x7266, o.count, 40)
	o.refresh[text] = &refreshToken{user: u}
	return text
}

func (o *Org) owner(token string) *User {
	o.mu.Lock()
	defer o.mu.Unlock()
	if t := o.access[token]; t != nil {
		return t.user
	}
	return nil
}

// valid reports whether an access token works, and extends its life if each use does.
func (o *Org) valid(token string, now time.Time, life time.Duration, slides bool) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	t := o.access[token]
	if t == nil || !now.Before(t.ends) {
		return false
	}
	if slides {
		t.ends = now.Add(life)
	}
	return true
}

// end makes an access token end now.
func (o *Org) end(token string, now time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if t := o.access[token]; t != nil && t.ends.After(now) {
		t.ends = now
	}
}

func (o *Org) expire(now time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, t := range o.access {
		if t.ends.After(now) {
			t.ends = now
		}
	}
}

// client finds the user whose app this is.
func (o *Org) client(id string) *User {
	for i := range o.users {
		if o.users[i].ClientID == id {
			return &o.users[i]
		}
	}
	return nil
}

// serveLogin answers the paths of Salesforce's login. (Salesforce Help, OAuth Endpoints)
func (s *Server) serveLogin(c *caller) {
	fault := s.faults.First(c.r, "", loginFaults...)
	if fault != nil && fault.Name == "login" {
		c.oauthError(fault.Args["error"], faultMessage(fault))
		return
	}
	if c.broken(fault) {
		return
	}
	switch c.path {
	case "/services/oauth2/token":
		s.serveToken(c)
	case "/services/oauth2/authorize":
		s.serveAuthorize(c)
	case "/services/oauth2/revoke":
		s.serveRevoke(c)
	case "/services/oauth2/introspect":
		s.serveIntrospect(c)
	case "/id/keys":
		c.object(http.StatusOK, map[string]any{"keys": []any{}}) // no identity tokens are issued, so none needs a key
	default: // userinfo, and the identity URL of token responses
		scheme, token, _ := strings.Cut(c.r.Header.Get("Authorization"), " ")
		u := s.org.owner(token)
		switch {
		case c.path != "/services/oauth2/userinfo" && !strings.HasPrefix(c.path, "/id/"+orgID+"/"):
			c.html(http.StatusNotFound, "Not Found")
		case !strings.EqualFold(scheme, "Bearer") || u == nil || !s.org.valid(token, c.now, s.cfg.TokenLife, s.cfg.TokenSlides),
			strings.HasPrefix(c.path, "/id/") && !strings.HasSuffix(c.path, "/"+u.SalesforceID):
			s.count.refuse("http 403")
			c.send(http.StatusForbidden, "text/html; charset=UTF-8", []byte("Bad_OAuth_Token"))
		default:
			s.identity(c, u)
		}
	}
}

// object answers with a JSON object.
func (c *caller) object(status int, v map[string]any) {
	b, _ := json.Marshal(v) // maps of plain values can be written
	c.w.Header().Set("Cache-Control", "no-cache, no-store")
	c.send(status, "application/json;charset=UTF-8", b)
}

// oauthErrors are the texts of Salesforce's errors.
var oauthErrors = map[string]string{
	"invalid_client_id": "client identifier invalid", "invalid_client": "invalid client credentials", "invalid_grant": "authentication failure",
	"inactive_user": "user is inactive", "inactive_org": "organization is inactive", "unsupported_grant_type": "grant type not supported",
	"invalid_request": "must use HTTP POST", "rate_limit_exceeded": "login rate exceeded", "server_error": "internal server error",
}

// oauthError answers with an error of the login: HTTP 400.
func (c *caller) oauthError(code, text string) {
	if text == "" {
		text = oauthErrors[code]
	}
	c.s.count.refuse(code)
	c.object(http.StatusBadRequest, map[string]any{"error": code, "error_description": text})
}

// form reads the parameters of a POST, those of the URL included, as clients have sent them.
func (c *caller) form() (url.Values, bool) {
	if c.r.Method != http.MethodPost {
		c.oauthError("invalid_request", "")
		return nil, false
	}
	c.r.Body = http.MaxBytesReader(nil, c.r.Body, maxBody)
	if err := c.r.ParseForm(); err != nil {
		c.oauthError("invalid_request", "malformed form")
		return nil, false
	}
	return c.r.Form, true
}

// app finds the app of a request by its credentials, in the form or the header.
func (s *Server) app(c *caller, f url.Values) *User {
	id, secret := f.Get("client_id"), f.Get("client_secret")
	if user, password, ok := c.r.BasicAuth(); ok {
		id, secret = user, password
	}
	u := s.org.client(id)
	switch {
	case u == nil:
		c.oauthError("invalid_client_id", "")
		return nil
	case subtle.ConstantTimeCompare([]byte(u.Secret), []byte(secret)) != 1:
		c.oauthError("invalid_client", "")
		return nil
	}
	return u
}

// jwtGrant is the grant type of assertions.
const jwtGrant = "urn:ietf:params:oauth:grant-type:jwt-bearer"

// serveToken answers the five grants. (Salesforce Help, OAuth Authorization Flows)
func (s *Server) serveToken(c *caller) {
	f, ok := c.form()
	if !ok {
		return
	}
	grant := f.Get("grant_type")
	switch grant {
	case "":
		c.oauthError("invalid_request", "grant type must be provided")
		return
	case jwtGrant:
		if u, text := s.assertion(c, f.Get("assertion")); u == nil {
			c.oauthError("invalid_grant", text)
		} else {
			s.grant(c, u, "", "")
		}
		return
	case "refresh_token", "password", "client_credentials", "authorization_code":
	default:
		c.oauthError("unsupported_grant_type", "")
		return
	}
	u := s.app(c, f)
	if u == nil {
		return
	}
	switch grant {
	case "refresh_token":
		s.refreshGrant(c, u, f.Get("refresh_token"))
	case "password":
		if f.Get("username") != u.Username || f.Get("password") != u.Password+u.SecurityToken {
			c.oauthError("invalid_grant", "")
			return
		}
		s.grant(c, u, "", "")
	case "client_credentials":
		if s.cfg.Generic || c.r.Host == "login.salesforce.com" || c.r.Host == "test.salesforce.com" {
			c.oauthError("invalid_grant", "request not supported on this domain")
			return
		}
		s.grant(c, u, "", "")
	case "authorization_code":
		s.codeGrant(c, u, f)
	}
}

// refreshGrant answers a refresh, with another refresh token where tokens rotate.
func (s *Server) refreshGrant(c *caller, u *User, text string) {
	o := s.org
	o.mu.Lock()
	t := o.refresh[text]
	if t == nil || t.over || t.user != u {
		o.mu.Unlock()
		c.oauthError("invalid_grant", "expired access/refresh token")
		return
	}
	shown := ""
	// A reply that is going to be damaged replaces nothing: nobody could continue.
	if s.cfg.Rotate && c.fault == nil {
		t.over = true
		shown = o.newRefresh(u)
		text = shown
	}
	o.mu.Unlock()
	s.grant(c, u, text, shown)
}

// codeGrant answers with the tokens of an authorization.
func (s *Server) codeGrant(c *caller, u *User, f url.Values) {
	o := s.org
	o.mu.Lock()
	code := o.codes[f.Get("code")]
	delete(o.codes, f.Get("code")) // it works once
	text := ""
	verifier := sha256.Sum256([]byte(f.Get("code_verifier")))
	switch {
	case code == nil, code.user != u, !c.now.Before(code.ends):
		text = "expired authorization code"
	case code.redirect != f.Get("redirect_uri"):
		text = "redirect_uri must match configuration"
	case code.challenge != "" && code.challenge != base64.RawURLEncoding.EncodeToString(verifier[:]):
		text = "invalid code verifier"
	}
	refresh := ""
	if text == "" && code.offline {
		refresh = o.newRefresh(u)
	}
	o.mu.Unlock()
	if text != "" {
		c.oauthError("invalid_grant", text)
		return
	}
	s.grant(c, u, refresh, refresh)
}

// grant answers with an access token. There is no expires_in: how long it lives, only its end
// tells. (Salesforce Help, OAuth 2.0 Refresh Token Flow)
func (s *Server) grant(c *caller, u *User, refresh, shown string) {
	o := s.org
	o.mu.Lock()
	o.count++
	text := orgID[:15] + "!" + randomText(o.seed, 0x6163, o.count, 80)
	o.access[text] = &accessToken{user: u, refresh: refresh, issued: c.now, ends: c.now.Add(s.cfg.TokenLife)}
	o.mu.Unlock()
	id := c.baseURL() + "/id/" + orgID + "/" + u.SalesforceID
	issued := strconv.FormatInt(c.now.UnixMilli(), 10)
	mac := hmac.New(sha256.New, []byte(u.Secret))
	mac.Write([]byte(id + issued))
	reply := map[string]any{
		"access_token": text, "token_type": "Bearer", "instance_url": "https://kestrel.my.salesforce.example", "id": id,
		"issued_at": issued, "signature": base64.StdEncoding.EncodeToString(mac.Sum(nil)), "scope": s.scope(),
	}
	if shown != "" {
		reply["refresh_token"] = shown
	}
	c.object(http.StatusOK, reply)
}

func (s *Server) scope() string {
	if s.cfg.NoScope {
		return "refresh_token id api"
	}
	return "pardot_api refresh_token id api"
}

// serveAuthorize answers what a browser asks for, with the user's consent taken for granted.
func (s *Server) serveAuthorize(c *caller) {
	q := c.r.URL.Query()
	u := s.org.client(q.Get("client_id"))
	back, err := url.Parse(q.Get("redirect_uri"))
	switch {
	case u == nil:
		c.oauthError("invalid_client_id", "")
		return
	case err != nil || !back.IsAbs():
		c.oauthError("redirect_uri_missing", "redirect_uri must be provided")
		return
	}
	answer := back.Query()
	if state := q.Get("state"); state != "" {
		answer.Set("state", state)
	}
	method := q.Get("code_challenge_method")
	switch {
	case q.Get("response_type") != "code":
		answer.Set("error", "unsupported_response_type")
	case q.Get("code_challenge") != "" && method != "" && method != "S256":
		answer.Set("error", "invalid_request")
	default:
		scope := q.Get("scope")
		o := s.org
		o.mu.Lock()
		o.count++
		text := "aPrx" + randomText(o.seed, 0x636f, o.count, 44)
		o.codes[text] = &authCode{
			user: u, redirect: q.Get("redirect_uri"), challenge: q.Get("code_challenge"), ends: c.now.Add(15 * time.Minute),
			offline: scope == "" || strings.Contains(scope, "refresh_token") || strings.Contains(scope, "offline_access"),
		}
		o.mu.Unlock()
		answer.Set("code", text)
	}
	back.RawQuery = answer.Encode()
	http.Redirect(c.w, c.r, back.String(), http.StatusFound)
}

// serveRevoke ends a token; a refresh token takes its access tokens along.
func (s *Server) serveRevoke(c *caller) {
	f, ok := c.form()
	if !ok {
		return
	}
	text := f.Get("token")
	o := s.org
	o.mu.Lock()
	access, refresh := o.access[text], o.refresh[text]
	if access != nil {
		access.ends = c.now
	}
	if refresh != nil {
		refresh.over = true
		for _, t := range o.access {
			if t.refresh == text {
				t.ends = c.now
			}
		}
	}
	o.mu.Unlock()
	if access == nil && refresh == nil {
		c.oauthError("invalid_token", "the token is not known")
		return
	}
	c.w.WriteHeader(http.StatusOK)
}

// serveIntrospect tells what a token is worth.
func (s *Server) serveIntrospect(c *caller) {
	f, ok := c.form()
	if !ok {
		return
	}
	u := s.app(c, f)
	if u == nil {
		return
	}
	o := s.org
	o.mu.Lock()
	defer o.mu.Unlock()
	reply := map[string]any{"active": false}
	if t := o.access[f.Get("token")]; t != nil && t.user == u && c.now.Before(t.ends) {
		reply = map[string]any{
			"active": true, "scope": s.scope(), "client_id": u.ClientID, "username": u.Username, "sub": c.baseURL() + "/id/" + orgID + "/" + u.SalesforceID,
			"token_type": "access_token", "exp": t.ends.Unix(), "iat": t.issued.Unix(), "nbf": t.issued.Unix(),
		}
	} else if t := o.refresh[f.Get("token")]; t != nil && t.user == u && !t.over {
		reply = map[string]any{"active": true, "scope": s.scope(), "client_id": u.ClientID, "username": u.Username, "token_type": "refresh_token"}
	}
	c.object(http.StatusOK, reply)
}
