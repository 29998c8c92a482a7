package pardot

import (
	"cmp"
	"context"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"html"
	"log/slog"
	"net/http"
	"net/url"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
	"weak"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/httpx"
)

// A session is what a login is worth at present. Sources of one process whose credentials are
// equal share it, such as two business units under one API user: the vendor makes refreshes
// of one app wait for each other, and may end one token with the next.
type session struct {
	turn httpx.Turn // whose it is may ask for a token

	// The following belong to whoever is inside.
	token    martsync.Secret // ""; the next caller asks for one
	scope    string          // of the token, if the vendor told
	identity string          // address of the user's identity, if the vendor told
	refresh  martsync.Secret // newest refresh token that the vendor gave; "": none
	unsaved  bool            // refresh is not in the token file

	trial httpx.Trial // of the last token that the vendor gave
}

// tokens gets access tokens for one source.
type tokens struct {
	*session

	http  *http.Client // without the limiter: logins are not calls of the API
	cfg   Config
	login *url.URL
	key   *rsa.PrivateKey // for jwt
	clock martsync.Clock
	log   *slog.Logger
}

func newTokens(cfg Config, h *http.Client, env martsync.Env) (*tokens, error) {
	login, err := parseHost("login_url", cfg.LoginURL)
	if err != nil {
		return nil, err
	}
	t := &tokens{session: sessionOf(cfg, env.Clock), http: h, cfg: cfg, login: login, clock: env.Clock, log: env.Log}
	if cfg.Grant == grantJWT {
		if t.key, err = parseKey(cfg.PrivateKey); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// sessions are those that somebody in this process still uses.
var sessions = struct {
	sync.Mutex
	byLogin map[sessionKey]weak.Pointer[session]
}{byLogin: make(map[sessionKey]weak.Pointer[session])}

// A sessionKey tells logins apart. Sources on different clocks are in different worlds.
type sessionKey struct {
	credentials [sha256.Size]byte
	clock       martsync.Clock
}

// sessionOf returns the session of a configuration's credentials.
func sessionOf(cfg Config, clock martsync.Clock) *session {
	fresh := &session{turn: httpx.NewTurn()}
	if !reflect.TypeOf(clock).Comparable() {
		return fresh
	}
	h := sha256.New()
	for _, s := range []string{
		cfg.LoginURL, cfg.Grant, cfg.ClientID, cfg.ClientSecret.Reveal(), cfg.RefreshToken.Reveal(), cfg.TokenFile,
		cfg.Username, cfg.Password.Reveal(), cfg.SecurityToken.Reveal(), cfg.PrivateKey.Reveal(), cfg.Audience,
	} {
		_, _ = h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(s))))
		_, _ = h.Write([]byte(s))
	}
	key := sessionKey{clock: clock}
	h.Sum(key.credentials[:0])

	sessions.Lock()
	defer sessions.Unlock()
	if s := sessions.byLogin[key].Value(); s != nil {
		return s
	}
	sessions.byLogin[key] = weak.Make(fresh)
	runtime.AddCleanup(fresh, forget, key)
	return fresh
}

// forget drops a session that nobody uses any more.
func forget(key sessionKey) {
	sessions.Lock()
	defer sessions.Unlock()
	if sessions.byLogin[key].Value() == nil { // else another one has taken its place
		delete(sessions.byLogin, key)
	}
}

// get returns the access token. Of callers that come together, one asks for it. The vendor
// does not tell how long a token lives: that it has ended shows in its refusal.
// Salesforce Help, OAuth Tokens and Scopes.
func (t *tokens) get(ctx context.Context) (martsync.Secret, error) {
	if err := t.turn.Enter(ctx); err != nil {
		return "", err
	}
	defer t.turn.Leave()
	if t.token == "" {
		if err := t.renew(ctx); err != nil {
			return "", err
		}
	}
	return t.token, nil
}

// refuse forgets a token that the vendor refused, unless somebody has replaced it already.
func (t *tokens) refuse(ctx context.Context, token martsync.Secret) error {
	if err := t.turn.Enter(ctx); err != nil {
		return err
	}
	defer t.turn.Leave()
	if t.token == token {
		t.token = ""
	}
	return nil
}

// ended reports whether a token that is refused was of use before: a call has succeeded with it, or
// somebody else has replaced it already.
func (s *session) ended(ctx context.Context, token martsync.Secret) bool {
	if s.trial.HasWorked(token) {
		return true
	}
	if s.turn.Enter(ctx) != nil {
		return false
	}
	defer s.turn.Leave()
	return s.token != token
}

// refusedHint makes the hint for a fresh token that was refused more precise if it can.
func (t *tokens) refusedHint(ctx context.Context, hint string) string {
	if t.turn.Enter(ctx) != nil {
		return hint
	}
	defer t.turn.Leave()
	if scopes := strings.Fields(t.scope); len(scopes) > 0 && !slices.Contains(scopes, "pardot_api") {
		return "The login lacks the scope pardot_api: add it to the app and log in anew. It has " + strings.Join(scopes, ", ") + "."
	}
	return hint
}

// who returns the address of the identity of the token's user, "" if it is not known.
func (t *tokens) who(ctx context.Context) (string, error) {
	if _, err := t.get(ctx); err != nil {
		return "", err
	}
	if err := t.turn.Enter(ctx); err != nil {
		return "", err
	}
	defer t.turn.Leave()
	return t.identity, nil
}

// renew asks for a token. A refresh token that was refused may have been replaced meanwhile,
// by another process that writes the same file or by the operator, so whatever else is known
// is tried before giving up.
func (t *tokens) renew(ctx context.Context) error {
	if t.cfg.Grant != grantRefreshToken {
		g, err := t.ask(ctx, "")
		if err == nil {
			t.adopt(ctx, g, "")
		}
		return err
	}
	var refused []martsync.Secret
	var refusal error
	for waited := false; ; {
		secret, err := t.candidate(refused)
		switch {
		case err != nil:
			return err
		case secret == "" && (waited || t.cfg.TokenFile == "" || refusal == nil):
			return cmp.Or(refusal, configError("there is no refresh token", "Give refresh_token, or write one into token_file."))
		case secret == "":
			// Whoever replaced the token may be about to write it down.
			waited = true
			if err := t.clock.Sleep(ctx, 2*time.Second); err != nil {
				return err
			}
			continue
		}
		g, err := t.ask(ctx, secret)
		if err == nil {
			t.adopt(ctx, g, secret)
			return nil
		}
		if !isInvalidGrant(err) {
			return err
		}
		refused = append(refused, secret)
		refusal = cmp.Or(refusal, err)
	}
}

// candidate returns the newest refresh token that has not been refused, "" if there is none.
func (t *tokens) candidate(refused []martsync.Secret) (martsync.Secret, error) {
	known := []martsync.Secret{t.refresh, t.cfg.RefreshToken}
	if t.cfg.TokenFile != "" {
		kept, err := readToken(t.cfg.TokenFile)
		if err != nil {
			return "", err
		}
		if t.unsaved { // what the vendor gave last is newer than what could be written
			known = append(known, kept)
		} else {
			known = append([]martsync.Secret{kept}, known...)
		}
	}
	for _, secret := range known {
		if secret != "" && !slices.Contains(refused, secret) {
			return secret, nil
		}
	}
	return "", nil
}

// adopt takes over what a login gave. A new refresh token has replaced the one that was used.
func (t *tokens) adopt(ctx context.Context, g granted, used martsync.Secret) {
	t.token, t.scope, t.identity = g.AccessToken, g.Scope, g.ID
	t.trial.Given(g.AccessToken)
	if t.cfg.Grant != grantRefreshToken {
		return
	}
	rotated := g.RefreshToken != "" && g.RefreshToken != used
	switch {
	case rotated:
		t.refresh, t.unsaved = g.RefreshToken, true
	case !t.unsaved:
		t.refresh = used
		return
	}
	if t.cfg.TokenFile == "" {
		t.unsaved = false
		t.log.WarnContext(ctx, "the app rotates refresh tokens and the new one is not kept: the next run cannot log in unless token_file is set")
		return
	}
	if err := writeToken(t.cfg.TokenFile, t.refresh); err != nil {
		// This run has its token. The file is tried again with the next login.
		t.log.ErrorContext(ctx, "the new refresh token could not be kept: the next run cannot log in unless token_file can be written", "err", err)
		return
	}
	t.unsaved = false
}

// redact removes what somebody may have echoed of the credentials.
func (t *tokens) redact(text string) string {
	password := t.cfg.Password.Reveal()
	secrets := []string{
		t.cfg.ClientSecret.Reveal(), t.cfg.RefreshToken.Reveal(), password + t.cfg.SecurityToken.Reveal(), password,
		t.cfg.SecurityToken.Reveal(), t.cfg.PrivateKey.Reveal(),
	}
	return redact(text, secrets...)
}

// redact removes secrets from a text, also in the forms in which texts quote them.
func redact(text string, secrets ...string) string {
	for _, s := range secrets {
		if s == "" {
			continue
		}
		quoted, _ := json.Marshal(s)
		for _, form := range []string{s, url.QueryEscape(s), url.PathEscape(s), html.EscapeString(s), strings.Trim(string(quoted), `"`)} {
			text = strings.ReplaceAll(text, form, "[redacted]")
		}
	}
	return text
}
