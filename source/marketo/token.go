package marketo

import (
	"context"
	"encoding/json"
	"html"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/httpx"
)

// Bounds on the life of an access token. Source: Marketo REST API, Authentication.
const (
	// tokenMargin is how long before its end a token is no longer used, so that a call
	// that starts now does not arrive too late.
	tokenMargin = 15 * time.Second

	// tokenLeast is how long any token is used before another one is asked for: the vendor
	// gives the same token again while it lives, so asking sooner would only spin.
	tokenLeast = 30 * time.Second

	// tokenAsks is how often a token that is about to end is asked for again.
	tokenAsks = 3
)

// tokens holds the access token of one API service. The vendor gives everyone who asks
// with the same client id the same token until it ends.
type tokens struct {
	http    *http.Client // without the limiter: these calls do not count
	url     *url.URL
	id      string
	secret  martsync.Secret
	partner string
	clock   martsync.Clock
	log     *slog.Logger

	turn  httpx.Turn  // whose it is may ask for a token
	trial httpx.Trial // of the last one that the vendor gave

	// The following belong to whoever is inside.
	token   martsync.Secret
	expires time.Time
	user    string // of the API user that owns the service
}

func newTokens(cfg Config, base *url.URL, h *http.Client, env martsync.Env) *tokens {
	t := &tokens{
		http: h, url: base.JoinPath("identity", "oauth", "token"),
		id: cfg.ClientID, secret: cfg.ClientSecret, partner: cfg.PartnerID,
		clock: env.Clock, log: env.Log, turn: httpx.NewTurn(),
	}
	return t
}

// get returns a token that has not ended. Of callers that come together, one asks for it.
func (t *tokens) get(ctx context.Context) (martsync.Secret, error) {
	if err := t.turn.Enter(ctx); err != nil {
		return "", err
	}
	defer t.turn.Leave()
	if t.token != "" && t.clock.Now().Before(t.expires) {
		return t.token, nil
	}
	if err := t.renew(ctx); err != nil {
		return "", err
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

// owner returns the name of the API user, or "" before the first token.
func (t *tokens) owner(ctx context.Context) string {
	if t.turn.Enter(ctx) != nil {
		return ""
	}
	defer t.turn.Leave()
	return t.user
}

// renew asks for a token. One that is about to end is waited out, since the vendor gives
// no other before; one that has ended by its own account but comes again is used, since it
// has been seen to work.
func (t *tokens) renew(ctx context.Context) error {
	for ask := 1; ; ask++ {
		g, err := t.ask(ctx)
		if err != nil {
			return err
		}
		life := time.Duration(g.ExpiresIn) * time.Second
		if life > tokenMargin || ask == tokenAsks {
			t.token, t.user = g.AccessToken, g.Scope
			t.trial.Given(g.AccessToken)
			t.expires = t.clock.Now().Add(max(life-tokenMargin, tokenLeast))
			return nil
		}
		if err := t.clock.Sleep(ctx, max(life, 0)+time.Second); err != nil {
			return err
		}
	}
}

// granted is the reply of the identity endpoint, good or bad: it has no envelope.
type granted struct {
	AccessToken      martsync.Secret `json:"access_token"`
	ExpiresIn        seconds         `json:"expires_in"`
	Scope            string          `json:"scope"`
	Error            string          `json:"error"`
	ErrorDescription string          `json:"error_description"`
}

// seconds accepts 3599, 3599.0 and "3599".
type seconds int64

// UnmarshalJSON takes what is no number for 0: how long a token lives is worth asking
// again for, but nothing to fail on.
func (s *seconds) UnmarshalJSON(data []byte) error {
	f, err := strconv.ParseFloat(bare(data), 64)
	if err == nil && f > 0 && f < 1e9 {
		*s = seconds(f)
	}
	return nil
}

const opToken = "get an access token"

// ask makes the call and tries again while the trouble may pass.
func (t *tokens) ask(ctx context.Context) (granted, error) {
	for try := 1; ; try++ {
		g, err := t.once(ctx)
		if err == nil || martsync.KindOf(err) != martsync.Transient || try >= triesFor(ctx) || ctx.Err() != nil {
			return g, err
		}
		t.log.DebugContext(ctx, "try again", "op", opToken, "try", try, "err", err)
		if err := t.clock.Sleep(ctx, httpx.Backoff(try)); err != nil {
			return g, err
		}
	}
}

func (t *tokens) once(ctx context.Context) (granted, error) {
	// The vendor takes the parameters in the query only, so this URL holds the secret:
	// nothing below may show it.
	q := url.Values{"grant_type": {"client_credentials"}, "client_id": {t.id}, "client_secret": {t.secret.Reveal()}}
	if t.partner != "" {
		q.Set("partner_id", t.partner)
	}
	u := *t.url
	u.RawQuery = q.Encode()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), nil)
	if err != nil {
		return granted{}, &martsync.Error{Kind: martsync.Internal, Op: opToken, Err: httpx.Scrub(err)}
	}
	r.Header.Set("User-Agent", userAgent)
	resp, err := t.http.Do(r)
	if err != nil {
		return granted{}, t.unreachable(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil {
		return granted{}, t.unreachable(err)
	}
	var g granted
	jsonErr := json.Unmarshal(body, &g)
	if resp.StatusCode == http.StatusOK && jsonErr == nil && g.AccessToken != "" {
		return g, nil
	}
	return granted{}, t.failure(resp.StatusCode, g, jsonErr == nil, body)
}

// unreachable is the error for a network that did not carry the call.
func (t *tokens) unreachable(err error) error {
	e := transportError(opToken, err)
	e.Op = opToken // the call that needed the token is named around it
	if httpx.UnknownHost(err) {
		e.Hint = "Check the network and the endpoint: its host name does not resolve."
	}
	return e
}

// failure tells what a reply without a token means.
func (t *tokens) failure(status int, g granted, isJSON bool, body []byte) error {
	text := g.Error
	if g.ErrorDescription != "" {
		text = strings.TrimPrefix(text+": "+g.ErrorDescription, ": ")
	}
	if text = t.redact(text); text == "" {
		text = httpx.Excerpt([]byte(t.redact(string(body))))
	}
	e := &martsync.Error{Op: opToken, Err: &apiError{Status: status, Message: text}}
	switch {
	case status == http.StatusTooManyRequests || status >= http.StatusInternalServerError:
		e.Kind, e.After = martsync.Transient, time.Minute
	case status == http.StatusNotFound || status >= 300 && status < 400:
		e.Kind, e.Hint = martsync.Config, "Check the endpoint: there is no identity service below it."
	case status == http.StatusOK && (!isJSON || g.Error == ""):
		e.Kind, e.After = martsync.Transient, time.Minute // cut, empty, or a proxy's page
	default:
		e.Kind, e.Hint = martsync.Auth, "Check client_id and client_secret (Admin > LaunchPoint > View Details) and that the service still exists."
	}
	return e
}

// redact removes what the vendor may have echoed of the credentials.
func (t *tokens) redact(text string) string {
	secret := t.secret.Reveal()
	for _, s := range []string{secret, url.QueryEscape(secret), url.PathEscape(secret), html.EscapeString(secret)} {
		text = strings.ReplaceAll(text, s, "[redacted]")
	}
	return text
}
