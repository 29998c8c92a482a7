package pardot

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/httpx"
)

const opToken = "get an access token"

// granted is the reply of the token endpoint, good or bad.
// Salesforce Help, OAuth 2.0 Refresh Token Flow; OAuth Error Codes.
type granted struct {
	AccessToken      martsync.Secret `json:"access_token"`
	RefreshToken     martsync.Secret `json:"refresh_token"`
	ID               string          `json:"id"`
	Scope            string          `json:"scope"`
	Error            string          `json:"error"`
	ErrorDescription string          `json:"error_description"`
}

// A loginError is a refusal of the token endpoint.
type loginError struct {
	Status  int
	Code    string // "invalid_grant"
	Message string
}

func (e *loginError) Error() string {
	return (&apiError{Status: e.Status, Message: strings.Trim(e.Code+": "+e.Message, ": ")}).Error()
}

func isInvalidGrant(err error) bool {
	e, ok := errors.AsType[*loginError](err)
	return ok && e.Code == "invalid_grant"
}

// ask makes the call and tries again while the trouble may pass. Refresh is the refresh token,
// for that grant.
func (t *tokens) ask(ctx context.Context, refresh martsync.Secret) (granted, error) {
	for try := 1; ; try++ {
		g, err := t.once(ctx, refresh)
		if err == nil || martsync.KindOf(err) != martsync.Transient || martsync.AfterOf(err) > longestPause ||
			try >= triesFor(ctx, usualTries) || ctx.Err() != nil {
			return g, err
		}
		t.log.DebugContext(ctx, "try again", "op", opToken, "try", try, "err", err)
		if err := t.clock.Sleep(ctx, httpx.Backoff(try)); err != nil {
			return g, err
		}
	}
}

func (t *tokens) once(ctx context.Context, refresh martsync.Secret) (granted, error) {
	form, err := t.form(refresh)
	if err != nil {
		return granted{}, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, t.login.JoinPath("services/oauth2/token").String(), strings.NewReader(form.Encode()))
	if err != nil {
		return granted{}, &martsync.Error{Kind: martsync.Internal, Op: opToken, Err: httpx.Scrub(err)}
	}
	r.Header.Set("Content-Type", formType)
	r.Header.Set("Accept", "application/json")
	r.Header.Set("User-Agent", userAgent)
	resp, err := t.http.Do(r)
	if err != nil {
		return granted{}, t.unreachable(ctx, err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil {
		return granted{}, t.unreachable(ctx, err)
	}
	var g granted
	jsonErr := json.Unmarshal(body, &g)
	if resp.StatusCode == http.StatusOK && jsonErr == nil && g.AccessToken != "" {
		return g, nil
	}
	e := &loginError{Status: resp.StatusCode, Code: g.Error, Message: g.ErrorDescription}
	if jsonErr != nil || g.Error == "" {
		e.Code, e.Message = "", t.excerpt(body, refresh.Reveal(), form.Get("assertion"))
	}
	e.Code, e.Message = t.redact(e.Code), t.redact(redact(e.Message, refresh.Reveal(), form.Get("assertion")))
	return granted{}, t.failure(e)
}

// excerpt shows people a reply that cannot be read. One that was cut may hold a token all the same.
func (t *tokens) excerpt(body []byte, secrets ...string) string {
	if bytes.Contains(body, []byte("_token")) {
		return "the reply holds a token and is not complete"
	}
	return httpx.Excerpt([]byte(t.redact(redact(string(body), secrets...))))
}

// form is what the grant sends.
func (t *tokens) form(refresh martsync.Secret) (url.Values, error) {
	f := url.Values{}
	if t.cfg.Grant == grantJWT {
		assertion, err := t.assertion(t.clock.Now())
		if err != nil {
			return nil, err
		}
		f.Set("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer")
		f.Set("assertion", assertion)
		return f, nil
	}
	f.Set("grant_type", t.cfg.Grant)
	f.Set("client_id", t.cfg.ClientID)
	if t.cfg.ClientSecret != "" { // an app need not have one for refresh tokens
		f.Set("client_secret", t.cfg.ClientSecret.Reveal())
	}
	switch t.cfg.Grant {
	case grantRefreshToken:
		f.Set("refresh_token", refresh.Reveal())
	case grantPassword:
		f.Set("username", t.cfg.Username)
		f.Set("password", t.cfg.Password.Reveal()+t.cfg.SecurityToken.Reveal())
	}
	return f, nil
}

// assertionLife is how long an assertion can be used. The vendor takes few minutes only, and
// tolerates a clock that is off by as much. Salesforce Help, OAuth 2.0 JWT Bearer Flow.
const assertionLife = 3 * time.Minute

// assertion signs who wants to log in.
func (t *tokens) assertion(now time.Time) (string, error) {
	claims, err := json.Marshal(map[string]any{
		"iss": t.cfg.ClientID, "sub": t.cfg.Username, "aud": t.cfg.Audience, "exp": now.Add(assertionLife).Unix(),
	})
	if err != nil {
		return "", &martsync.Error{Kind: martsync.Internal, Op: opToken, Err: err}
	}
	encode := base64.RawURLEncoding.EncodeToString
	text := encode([]byte(`{"alg":"RS256","typ":"JWT"}`)) + "." + encode(claims)
	digest := sha256.Sum256([]byte(text))
	signature, err := rsa.SignPKCS1v15(rand.Reader, t.key, crypto.SHA256, digest[:])
	if err != nil {
		return "", configError("private_key cannot sign: "+err.Error(), "It must be an RSA key of 2048 bits or more.")
	}
	return text + "." + encode(signature), nil
}

// parseKey reads an RSA private key. Its errors show nothing of it.
func parseKey(secret martsync.Secret) (*rsa.PrivateKey, error) {
	const hint = "Give the private key of the certificate that the app has, in PEM: -----BEGIN PRIVATE KEY-----."
	text := secret.Reveal()
	if !strings.Contains(text, "\n") { // environment variables often hold it in one line
		text = strings.ReplaceAll(text, `\n`, "\n")
	}
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil, configError("private_key is not PEM", hint)
	}
	if block.Type == "ENCRYPTED PRIVATE KEY" || block.Headers["Proc-Type"] != "" {
		return nil, configError("private_key is encrypted", "Decrypt it first, for example with openssl pkey.")
	}
	if key, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return key, nil
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, configError("private_key holds no private key", hint)
	}
	private, ok := key.(*rsa.PrivateKey)
	if !ok {
		return nil, configError("private_key is not an RSA key", "The vendor takes RS256 only.")
	}
	return private, nil
}

// unreachable is the error for a network that did not carry the call.
func (t *tokens) unreachable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	e := transportError(opToken, err)
	e.Op = opToken // the call that needed the token is named around it
	e.Hint = "Check that login_url is right and that this machine can reach it; if it can, try again later."
	if httpx.UnknownHost(err) {
		e.Hint = "Check the network and login_url: its host name does not resolve."
	}
	return e
}

// failure tells what a refusal means. Texts are not documented, so only the code decides.
// Salesforce Help, OAuth Error Codes.
func (t *tokens) failure(e *loginError) error {
	f := &martsync.Error{Op: opToken, Kind: martsync.Auth, Err: e}
	switch e.Code {
	case "":
		switch {
		case e.Status == http.StatusNotFound || e.Status == http.StatusGone || e.Status >= 300 && e.Status < 400:
			f.Kind, f.Hint = martsync.Config, "Check login_url: there is no token endpoint below it."
		case e.Status >= 400 && e.Status < 500 && e.Status != http.StatusTooManyRequests && e.Status != http.StatusRequestTimeout:
			f.Hint = "Something between here and the vendor refuses the call."
		default: // maintenance, or a reply that was cut
			f.Kind, f.After = martsync.Transient, time.Minute
		}
	case "rate_limit_exceeded":
		f.Kind, f.After, f.Hint = martsync.Transient, 15*time.Minute, "There are too many logins with these credentials."
	case "server_error", "temporarily_unavailable":
		f.Kind, f.After = martsync.Transient, time.Minute
	case "invalid_client_id", "invalid_client", "invalid_client_credentials":
		f.Hint = "Check client_id and client_secret, and that the app still exists."
	case "inactive_user", "inactive_org":
		f.Hint = "The user or the org is inactive or locked; see Setup > Users in Salesforce."
	default:
		f.Hint = t.grantHint(e)
	}
	return f
}

// grantHint tells what usually is wrong when a grant is refused.
func (t *tokens) grantHint(e *loginError) string {
	switch t.cfg.Grant {
	case grantClientCredentials:
		if host := t.login.Hostname(); "https://"+host == loginHost || "https://"+host == sandboxHost {
			return "client_credentials works at the My Domain address only: set login_url to https://<your domain>.my.salesforce.com."
		}
		return "Enable the client credentials flow of the app and give it a run-as user; login_url must be the My Domain address."
	case grantJWT:
		return "Check that username is pre-authorised for the app (policy \"Admin approved users are pre-authorized\"), that the app has the certificate of private_key, that audience fits the org (" + sandboxHost + " for sandboxes), and this machine's clock."
	case grantPassword:
		return "Check username, password and security_token; newer orgs block this grant unless it is allowed (Setup > OAuth and OpenID Connect Settings)."
	}
	if e.Code == "invalid_grant" {
		return "The refresh token is no longer valid: log in anew and give the new one. If the app rotates refresh tokens, set token_file."
	}
	return "Check that the app allows the refresh token flow."
}
