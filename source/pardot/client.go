package pardot

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/httpx"
	"github.com/martsync/martsync/internal/setting"
)

const (
	userAgent = "martsync (+https://github.com/martsync/martsync)"

	// usualPatience is how long the vendor may keep silent unless the HTTP client has a timeout.
	// Its gateways answer 504 well before.
	usualPatience = 310 * time.Second

	// usualTries is how often a call that met passing trouble is made in all. Together with
	// backoff that is about a minute; what lasts longer is the pipeline's to wait for.
	usualTries = 7

	// crowdedTries is the same for calls that came beside too many others, with pauses of 1.5
	// seconds to a minute and a half.
	crowdedTries = 8

	// mostReply is the largest JSON reply that is taken. Pages of texts that are larger are
	// asked for again in smaller ones.
	mostReply = 64 << 20

	// mostURI is where a query of version 4 turns into a POST, below what servers and proxies
	// usually take. Version 4 recommends that for long lists of ids.
	mostURI = 7_500 // bytes

	// longestPause is the most that a reply may make a call wait inside the client.
	longestPause = time.Minute

	// longestBackoff bounds the pauses between calls that were refused for being too many.
	longestBackoff = 5 * time.Minute
)

// crowded is the wait after a refusal for too many calls in flight: 1.5, 3, 6 … seconds, give
// or take half, since those who were refused together are strangers to each other.
func crowded(try int) time.Duration {
	d := min(1500*time.Millisecond<<(try-1), longestBackoff)
	return d/2 + rand.N(d)
}

// mostRenewals bounds how often a call asks for another token: once, and again if the new one
// has worked meanwhile, so that it has ended rather than is of no use. Somebody who logs in with
// the same app can end it.
const mostRenewals = 3

// A client makes the calls of one source. Its methods may be called from several goroutines.
type client struct {
	api     *url.URL
	unit    string
	http    *http.Client
	tokens  *tokens
	limiter *httpx.Limiter
	meter   *meter
	clock   martsync.Clock
	log     *slog.Logger

	// hosts are those of the vendor's whose files are fetched from api instead, and others
	// whose files are fetched where they are: true.
	hosts map[string]bool

	legacy   atomic.Bool // version 3 takes the place of 4
	lastZone atomic.Pointer[string]
}

// shownParameters are the query parameters whose values a debug log may show. None of them
// holds a person's data or a secret.
var shownParameters = []string{
	"fields", "format", "limit", "deleted", "orderBy", "sort_by", "sort_order", "output", "type", "only_identified",
	"idGreaterThan", "id_greater_than",
	"createdAtAfterOrEqualTo", "createdAtBefore", "updatedAtAfterOrEqualTo", "updatedAtBefore", "sentAtAfterOrEqualTo", "sentAtBefore",
	"created_after", "created_before", "updated_after", "updated_before",
}

func newClient(cfg Config, env martsync.Env) (*client, error) {
	api, err := parseHost("api_host", cfg.APIHost)
	if err != nil {
		return nil, err
	}
	limits := httpx.Limits{Calls: 100, Concurrent: cfg.Limits.Concurrent} // within no time: no limit
	if n := cfg.Limits.CallsPerMinute; n > 0 {
		limits.Calls, limits.Per = n, time.Minute
	}
	limiter := httpx.NewLimiter(env.Clock, limits)
	transport := env.HTTP.Transport
	if transport == nil {
		transport = http.DefaultTransport
	}
	// A timeout of the HTTP client would end long downloads; it bounds each silence instead.
	patience := setting.Or(env.HTTP.Timeout, usualPatience)
	logged := httpx.Logged(httpx.Impatient(transport, patience), env.Log, env.Clock, shownParameters...)
	plain := *env.HTTP
	plain.Transport, plain.Timeout = logged, 0
	// A redirect would carry the access token to another host.
	plain.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	limited := plain
	limited.Transport = httpx.Limited(logged, limiter)
	t, err := newTokens(cfg, &plain, env)
	if err != nil {
		return nil, err
	}
	return &client{
		api: api, unit: cfg.BusinessUnit, http: &limited, tokens: t, limiter: limiter,
		meter: newMeter(cfg, env.Clock), clock: env.Clock, log: env.Log, hosts: fileHosts(cfg),
	}, nil
}

// A request is one call of the API.
type request struct {
	op     string     // what it is for, in an error: "query campaigns"
	method string     // GET if empty
	path   string     // "/api/v5/objects/tags", "/api/campaign/version/{v}/do/query": the client puts 4 or 3 for {v}
	query  url.Values // sent as a form where the URI would get too long
	body   any        // sent as JSON if not nil

	// optional marks reads of what an account or a user may lack: then the error is of kind
	// Unavailable.
	optional bool

	// noReplay marks calls that create something: after a fault that leaves open whether the
	// vendor did it, they are not made again.
	noReplay bool

	// free marks calls that must be possible when the share of the day is spent.
	free bool

	raw         []byte // sent as it is, as contentType
	contentType string
	from        *url.URL // asked instead of the API host; path and query are not used
}

// version tells which API the request is for.
func (r request) version() version {
	path := r.path
	if r.from != nil {
		path = r.from.Path
	}
	if strings.Contains(path, "/version/") {
		return v4
	}
	return v5
}

// A reply is what the vendor answered to a request that succeeded.
type reply struct {
	body   []byte
	header http.Header
	calls  int64 // it took, refused ones included
	bytes  int64 // of the body

	envelope envelope
}

// do makes a call and returns the vendor's reply. It takes care of the token, the pace, and
// of trouble that passes within a minute. Its errors are *martsync.Error, with an *apiError
// below where the vendor said something.
func (c *client) do(ctx context.Context, r request) (*reply, error) {
	var done *reply
	calls, err := c.attempt(ctx, r, func(resp *http.Response) error {
		body, err := io.ReadAll(io.LimitReader(resp.Body, mostReply+1))
		if err != nil {
			return err
		}
		e, err := parse(r.version(), resp.StatusCode, body)
		if err != nil {
			return err
		}
		done = &reply{body: body, header: resp.Header, bytes: int64(len(body)), envelope: e}
		return resp.Body.Close()
	})
	if err != nil {
		return nil, err
	}
	done.calls = calls
	return done, nil
}

// attempt sends a call until read accepts the reply or the tables of errors say to stop, and
// returns how many calls it took. Read may consume the reply; its body is closed here unless
// read accepted it.
func (c *client) attempt(ctx context.Context, r request, read func(*http.Response) error) (calls int64, err error) {
	var swapped bool
	renewed := 0
	for try := 1; ; try++ {
		token, err := c.tokens.get(ctx)
		if err != nil {
			return calls, during(r, err)
		}
		if err := c.admit(ctx, r); err != nil {
			return calls, during(r, err)
		}
		calls++
		legacy := c.legacy.Load()
		resp, err := c.send(ctx, r, token, legacy)
		if err == nil {
			c.meter.told(resp.Header)
			if err = read(resp); err == nil {
				c.tokens.trial.Worked(token)
				return calls, nil
			}
			_ = resp.Body.Close()
		}
		if ctx.Err() != nil {
			return calls, during(r, ctx.Err())
		}
		if e, ok := errors.AsType[*apiError](err); ok {
			e.Version, e.Message = r.version(), redact(c.tokens.redact(e.Message), token.Reveal()) // somebody may echo a header
			if e.told && ruleFor(e).class != login {
				c.tokens.trial.Worked(token) // what the vendor minds is something else
			}
		}
		j := c.judge(ctx, r, try, resp, err)
		switch j.class {
		case login:
			if renewed > 0 && (renewed == mostRenewals || !c.tokens.ended(ctx, token)) {
				// A token that was new a moment ago serves others who share it.
				j.err.Hint, j.replay = c.tokens.refusedHint(ctx, j.err.Hint), false
				break
			}
			renewed++
			// Somebody else may have renewed the token meanwhile: then that one is used.
			if err := c.tokens.refuse(ctx, token); err != nil {
				return calls, during(r, err)
			}
		case swap:
			j.replay, swapped = !swapped && strings.Contains(r.path, versionPlace), true
			if j.replay && c.legacy.CompareAndSwap(legacy, !legacy) {
				c.log.InfoContext(ctx, "the other version is used from now on", "op", r.op, "err", j.err.Err)
			}
		case tomorrow:
			c.meter.close(j.err, c.untilMidnight(ctx, j.err))
		case fatal, again, fewer, shrink, restart, skip:
		}
		if !j.replay {
			return calls, j.err
		}
		// A caller that succeeds in the end never hears of this, so it is logged.
		c.log.DebugContext(ctx, "try again", "op", r.op, "try", try, "wait", j.wait, "err", j.err.Err)
		if err := c.clock.Sleep(ctx, j.wait); err != nil {
			return calls, during(r, err)
		}
	}
}

// hastyTries is how often a call is made in all while somebody waits for the answer.
const hastyTries = 2

type hastyKey struct{}

// hasty returns a context whose calls give up on trouble sooner: a check of a wrong address
// is to say so within seconds, where a sync would rather wait for a network to come back.
func hasty(ctx context.Context) context.Context { return context.WithValue(ctx, hastyKey{}, true) }

// triesFor is how often a call is made in all when it meets passing trouble.
func triesFor(ctx context.Context, usual int) int {
	if ctx.Value(hastyKey{}) != nil {
		return min(usual, hastyTries)
	}
	return usual
}

// A judgement says what an unsuccessful try means to the caller, and whether and when the call
// is worth repeating.
type judgement struct {
	err    *martsync.Error
	class  class
	replay bool
	wait   time.Duration
}

func (c *client) judge(ctx context.Context, r request, try int, resp *http.Response, err error) judgement {
	e, ok := errors.AsType[*apiError](err)
	if !ok {
		// The connection failed, and whether the vendor did what was asked is open.
		tries := triesFor(ctx, usualTries)
		if errors.Is(err, httpx.ErrStalled) {
			tries = hastyTries // each took minutes, and a smaller page may do
		}
		return judgement{transportError(r.op, err), again, !r.noReplay && try < tries, httpx.Backoff(try)}
	}
	rule := ruleFor(e)
	j := judgement{err: rule.verdict(r.op, r.optional, e), class: rule.class, wait: httpx.RetryAfter(resp)}
	if j.wait > longestPause {
		j.err.After = max(j.err.After, j.wait)
		return j
	}
	tries := 1
	switch rule.class {
	case login:
		tries, j.wait = try+1, 0 // attempt counts these
	case again:
		tries, j.wait = triesFor(ctx, usualTries), max(j.wait, httpx.Backoff(try))
	case fewer:
		c.limiter.Narrow()
		tries, j.wait = triesFor(ctx, crowdedTries), max(j.wait, crowded(try))
	case shrink:
		switch {
		case !r.query.Has("limit"): // it asks for one thing, which cannot be made less
			tries, j.wait = triesFor(ctx, usualTries), max(j.wait, httpx.Backoff(try))
		case rule.once:
			tries, j.wait = hastyTries, max(j.wait, httpx.Backoff(try))
		}
	case fatal, tomorrow, swap, restart, skip:
		j.wait = 0
	}
	j.replay = try < tries && (rule.refused || !r.noReplay)
	return j
}

// during says in the course of which operation err happened.
func during(r request, err error) error {
	n := &martsync.Error{Kind: martsync.KindOf(err), Op: "pardot: " + r.op, After: martsync.AfterOf(err), Err: err}
	if e, ok := err.(*martsync.Error); ok && e.Op == "" { //nolint:errorlint // only if err is nothing else
		n.Hint, n.Err = e.Hint, e.Err
	}
	return n
}

// versionPlace is where the client puts 4 or 3.
const versionPlace = "{v}"

// send makes one call. The reply's body is the caller's to close.
func (c *client) send(ctx context.Context, r request, token martsync.Secret, legacy bool) (*http.Response, error) {
	method, body, contentType := setting.Or(r.method, http.MethodGet), r.raw, r.contentType
	u := r.from
	if u == nil {
		number := "4"
		if legacy {
			number = "3"
		}
		u = c.api.JoinPath(strings.Replace(r.path, versionPlace, number, 1))
		query, format := r.query.Encode(), ""
		if r.version() == v4 && !r.query.Has("format") {
			format = "format=json"
		}
		u.RawQuery = strings.Trim(format+"&"+query, "&")
		if method == http.MethodGet && r.version() == v4 && len(u.String()) > mostURI {
			method, body, contentType, u.RawQuery = http.MethodPost, []byte(query), formType, format
		}
	}
	if r.body != nil {
		data, err := json.Marshal(r.body)
		if err != nil {
			return nil, &apiError{Code: 150, Message: err.Error()} // as the vendor would answer
		}
		body, contentType = data, "application/json"
	}
	var reader io.Reader
	if body != nil {
		reader = bytes.NewReader(body)
	}
	hr, err := http.NewRequestWithContext(ctx, method, u.String(), reader)
	if err != nil {
		return nil, err
	}
	h := hr.Header
	h.Set("Authorization", "Bearer "+token.Reveal())
	h.Set("Pardot-Business-Unit-Id", c.unit)
	h.Set("User-Agent", userAgent)
	h.Set("Accept", "application/json")
	if contentType != "" {
		h.Set("Content-Type", contentType)
	}
	switch {
	case r.from != nil:
		// The length is that of the bytes as delivered, so nothing may unpack them.
		h.Set("Accept", "*/*")
		h.Set("Accept-Encoding", "identity")
	case r.version() == v5:
		h.Set("X-Return-Api-Usage", "1")
	}
	return c.http.Do(hr)
}

const formType = "application/x-www-form-urlencoded"
