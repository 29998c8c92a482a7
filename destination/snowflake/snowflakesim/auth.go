//go:build cgo && !lite

package snowflakesim

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

type loginBody struct {
	Data struct {
		ClientAppID   string `json:"CLIENT_APP_ID"`
		AccountName   string `json:"ACCOUNT_NAME"`
		LoginName     string `json:"LOGIN_NAME"`
		Password      string `json:"PASSWORD"`
		Token         string `json:"TOKEN"`
		Authenticator string `json:"AUTHENTICATOR"`
		Provider      string `json:"PROVIDER"`
		Environment   struct {
			OAuthType string `json:"OAUTH_TYPE"`
		} `json:"CLIENT_ENVIRONMENT"`
		SessionParameters map[string]any `json:"SESSION_PARAMETERS"`
	} `json:"data"`
}

// same compares secrets; an empty one is never right.
func same(a, b string) bool {
	return a != "" && subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1
}

// login proves who the user is and makes a session.
func (s *Server) login(w http.ResponseWriter, r *http.Request, in io.Reader) {
	var body loginBody
	if err := json.NewDecoder(in).Decode(&body); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if f := s.faultAt(LoginFails, ""); f != nil {
		s.answer(w, failure(f.Code, "08001", f.Message, ""))
		return
	}
	d := body.Data
	s.mu.Lock()
	defer s.mu.Unlock()
	if !strings.EqualFold(d.AccountName, s.opt.Account) {
		s.answer(w, failure("390400", "08001", "The requested account "+d.AccountName+" does not exist.", ""))
		return
	}
	user, bad := s.prove(&body)
	if bad != nil {
		s.answer(w, failure(bad.Code, bad.State, bad.Msg, ""))
		return
	}
	c := s.newSession(strings.ToUpper(user.Name), d.ClientAppID)
	q := r.URL.Query()
	if bad := s.enter(c, user, q); bad != nil {
		delete(s.sessions, c.token)
		delete(s.byID, c.id)
		s.answer(w, failure(bad.Code, bad.State, bad.Msg, ""))
		return
	}
	for k, v := range d.SessionParameters {
		if text, ok := v.(string); ok && parameters[strings.ToUpper(k)] {
			c.params[strings.ToUpper(k)] = text
			if strings.EqualFold(k, "QUERY_TAG") {
				c.tag = text
			}
		}
	}
	s.answer(w, map[string]any{"success": true, "code": nil, "message": nil, "data": map[string]any{
		"token": c.token, "masterToken": c.master, "validityInSeconds": 3600, "masterValidityInSeconds": 14400, "sessionId": c.id,
		"displayUserName": c.user, "serverVersion": "10.0.0", "firstLogin": false, "healthCheckInterval": 45, "parameters": c.parameterList(),
		"sessionInfo": map[string]any{"databaseName": null(c.db), "schemaName": null(c.schema), "warehouseName": null(c.warehouse), "roleName": null(c.role)},
	}})
}

// enter sets the session's names. A database, schema or warehouse that is not there is no error of
// the login: the session then has none. A role is.
func (s *Server) enter(c *session, u *User, q url.Values) *sqlError {
	c.role = u.DefaultRole
	if r := name(q.Get("roleName")); r != "" {
		if !slices.Contains(s.rolesOf(c.user), r) {
			return refuse("390189", "08001", "Role '%s' specified in the connect string is not granted to this user. Contact your local system administrator, or attempt to login with another role, e.g. PUBLIC.", r)
		}
		c.role = r
	}
	if d := name(q.Get("databaseName")); s.cat.dbs[d] != nil && c.may("USAGE", "DATABASE", d) {
		c.db = d
		if sch := name(q.Get("schemaName")); s.cat.dbs[d].schemas[sch] != nil && c.may("USAGE", "SCHEMA", d+"."+sch) {
			c.schema = sch
		} else if q.Get("schemaName") == "" && s.cat.dbs[d].schemas["PUBLIC"] != nil {
			c.schema = "PUBLIC"
		}
	}
	if wh := name(q.Get("warehouse")); s.houses[wh] != nil && c.may("USAGE", "WAREHOUSE", wh) {
		c.warehouse = wh
	}
	return nil
}

// name folds a name from the connection's parameters, quoted or not.
func name(s string) string {
	if len(s) > 1 && s[0] == '"' && s[len(s)-1] == '"' {
		return strings.ReplaceAll(s[1:len(s)-1], `""`, `"`)
	}
	return strings.ToUpper(s)
}

// prove checks the credentials. Source of the numbers: the driver's errors and Snowflake's
// documentation of key pairs, tokens and OAuth.
func (s *Server) prove(body *loginBody) (*User, *sqlError) {
	d := body.Data
	wrong := refuse("390100", "08001", "Incorrect username or password was specified.")
	u := s.users[strings.ToUpper(d.LoginName)]
	way := strings.ToUpper(d.Authenticator)
	if way == "" && d.Environment.OAuthType != "" { // a driver that has got its token itself says so only there
		way = "OAUTH"
	}
	switch way {
	case "", "SNOWFLAKE":
		if u == nil || !same(u.Password, d.Password) {
			return nil, wrong
		}
	case "SNOWFLAKE_JWT":
		var bad *sqlError
		if u, bad = s.checkJWT(d.Token); bad != nil {
			return nil, bad
		}
	case "PROGRAMMATIC_ACCESS_TOKEN":
		if u == nil || !slices.ContainsFunc(u.PATs, func(t string) bool { return same(t, d.Token) }) {
			return nil, refuse("394400", "08001", "Programmatic access token is invalid.")
		}
	case "OAUTH", "OAUTH_CLIENT_CREDENTIALS", "OAUTH_AUTHORIZATION_CODE":
		owner := s.users[s.oauth[d.Token]]
		for _, x := range s.users {
			if slices.ContainsFunc(x.OAuthTokens, func(t string) bool { return same(t, d.Token) }) {
				owner = x
			}
		}
		if owner == nil {
			return nil, refuse("390303", "08001", "Invalid OAuth access token.")
		}
		if u != nil && u != owner {
			return nil, refuse("390309", "08001", "The user you were trying to authenticate as differs from the user tied to the access token.")
		}
		u = owner
	case "WORKLOAD_IDENTITY":
		u = nil
		for _, x := range s.users {
			if same(x.Identities[d.Provider], d.Token) {
				u = x
			}
		}
		if u == nil {
			return nil, refuse("390144", "08001", "No user of this account trusts the workload identity.")
		}
	default:
		return nil, refuse("390102", "08001", "Authenticator %s is not known.", d.Authenticator)
	}
	if u.Disabled {
		return nil, refuse("390101", "08001", "User access disabled. Contact your local system administrator.")
	}
	return u, nil
}

// checkJWT verifies a key pair's token: signature, issuer, subject, and times by the machine's
// clock, for it is the driver's machine that made it.
func (s *Server) checkJWT(token string) (*User, *sqlError) {
	invalid := func(reason string) (*User, *sqlError) {
		return nil, refuse("390144", "08001", "JWT token is invalid. [%s]", reason)
	}
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return invalid("not three parts")
	}
	raw := make([][]byte, 3)
	for i, p := range parts {
		var err error
		if raw[i], err = base64.RawURLEncoding.DecodeString(p); err != nil {
			return invalid("encoding")
		}
	}
	var head struct {
		Alg string `json:"alg"`
	}
	var claims struct {
		Iss, Sub string
		Iat, Exp float64
	}
	if json.Unmarshal(raw[0], &head) != nil || json.Unmarshal(raw[1], &claims) != nil || head.Alg != "RS256" {
		return invalid("header")
	}
	account, name, ok := strings.Cut(claims.Sub, ".")
	u := s.users[strings.ToUpper(name)]
	if !ok || u == nil || !strings.EqualFold(account, s.opt.Account) {
		return invalid("subject")
	}
	now := float64(machineClock{}.Now().Unix())
	if claims.Exp <= now || claims.Iat > now+60 || claims.Exp-claims.Iat > time.Hour.Seconds() {
		return invalid("expired, or valid for too long")
	}
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	for _, k := range u.PublicKeys {
		key, ok := k.(*rsa.PublicKey)
		if !ok {
			continue
		}
		der, err := x509.MarshalPKIXPublicKey(key)
		if err != nil {
			continue
		}
		fp := sha256.Sum256(der)
		want := strings.ToUpper(s.opt.Account) + "." + strings.ToUpper(u.Name) + ".SHA256:" + base64.StdEncoding.EncodeToString(fp[:])
		if claims.Iss == want && rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], raw[2]) == nil {
			return u, nil
		}
	}
	return invalid("no key of the user made it")
}

// oauthToken is the identity provider: client credentials for an access token.
func (s *Server) oauthToken(w http.ResponseWriter, r *http.Request, in io.Reader) {
	text, err := io.ReadAll(io.LimitReader(in, 1<<20))
	form, err2 := url.ParseQuery(string(text))
	if err != nil || err2 != nil {
		http.Error(w, "form", http.StatusBadRequest)
		return
	}
	id, secret, ok := r.BasicAuth()
	if ok {
		id, _ = url.QueryUnescape(id)
		secret, _ = url.QueryUnescape(secret)
	} else {
		id, secret = form.Get("client_id"), form.Get("client_secret")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, u := range s.users {
		if form.Get("grant_type") == "client_credentials" && same(u.Client.ID, id) && same(u.Client.Secret, secret) {
			t := newToken()
			s.oauth[t] = strings.ToUpper(u.Name)
			s.answer(w, map[string]any{"access_token": t, "token_type": "Bearer", "expires_in": 600, "scope": form.Get("scope")})
			return
		}
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusUnauthorized)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": "invalid_client"}) // the client may be gone
}

// SetUser adds a user or replaces one.
func (s *Server) SetUser(u User) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if u.Roles == nil {
		u.Roles = []string{DefaultRole}
	}
	if u.DefaultRole == "" {
		u.DefaultRole = u.Roles[0]
	}
	s.users[strings.ToUpper(u.Name)] = &u
}
