package marketo

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
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/httpx"
	"github.com/martsync/martsync/internal/setting"
)

const (
	userAgent = "martsync (+https://github.com/martsync/martsync)"

	// usualPatience is how long the vendor may keep silent unless the HTTP client has a
	// timeout. Its own longest timeout is 300 s. Source: Marketo REST API, Performance.
	usualPatience = 310 * time.Second

	// usualTries is how often a call that met passing trouble is made in all. Together
	// with backoff that is about a minute; what lasts longer is the pipeline's to wait for.
	usualTries = 7

	// throttledTries is the same for calls that were refused for being too many.
	throttledTries = 10

	// most bytes of a JSON reply: a page of 300 leads with every field of a large account
	// is a few megabytes.
	maxReply = 64 << 20

	// maxURI is where a call turns into a POST. The vendor's limit is 8 KB, which proxies
	// may count with the host. Source: Marketo REST API, Performance.
	maxURI = 7_500 // bytes

	// longestPause is the most that a reply may make a call wait inside the client.
	longestPause = time.Minute
)

// A client makes the calls of one source. Its methods may be called from several goroutines.
type client struct {
	base    *url.URL
	http    *http.Client
	tokens  *tokens
	limiter *httpx.Limiter
	meter   *meter
	clock   martsync.Clock
	log     *slog.Logger
	keep    bool // replies keep their bytes

	customMu sync.Mutex
	custom   []*object // custom objects whose exports count
}

// shownParameters are the query parameters whose values a debug log may show. None of
// them holds a person's data or a secret.
var shownParameters = []string{
	"_method", "activityTypeIds", "batchSize", "earliestUpdatedAt", "latestUpdatedAt",
	"filterType", "maxReturn", "offset", "sinceDatetime", "status",
}

func newClient(cfg Config, base *url.URL, env martsync.Env) *client {
	limiter := httpx.NewLimiter(env.Clock, httpx.Limits{
		Calls: cfg.Limits.CallsPer20s, Per: vendorWindow, Concurrent: cfg.Limits.Concurrent,
	})
	transport := env.HTTP.Transport
	if transport == nil {
		transport = http.DefaultTransport
	}
	// A timeout of the HTTP client would end long downloads; it bounds each silence instead.
	patience := setting.Or(env.HTTP.Timeout, usualPatience)
	logged := httpx.Logged(httpx.Impatient(transport, patience), env.Log, env.Clock, shownParameters...)
	plain := *env.HTTP
	plain.Transport, plain.Timeout = logged, 0
	// A redirect would carry the secret in a Referer header, or the token to another host.
	plain.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	limited := plain
	limited.Transport = httpx.Limited(logged, limiter)
	return &client{
		base: base, http: &limited, tokens: newTokens(cfg, base, &plain, env), limiter: limiter,
		meter: newMeter(cfg.Limits, env.Clock), clock: env.Clock, log: env.Log,
	}
}

// A request is one call of the API.
type request struct {
	op     string     // what it is for, in an error: "list programs"
	method string     // GET if empty
	path   string     // below the base: "/rest/v1/leads.json"
	query  url.Values // sent as a form where the URI would get too long
	body   any        // sent as JSON if not nil

	raw         []byte // sent as it is, as contentType
	contentType string

	file   bool  // the reply is a file rather than an envelope
	offset int64 // of a file: where it starts

	// noReplay marks calls that create something: after a fault that leaves open whether
	// the vendor did it, they are not made again.
	noReplay bool

	// optional marks reads of what an account or a role may lack: then the error is of
	// kind Unavailable.
	optional bool

	// tries bounds how often the call is made in all; 0: as usual for what goes wrong.
	tries int

	// free marks calls that must be possible when the share of the day is spent.
	free bool
}

// An envelope is the frame of every JSON reply. Source: Marketo REST API, Error Codes.
type envelope struct {
	RequestID     string            `json:"requestId"`
	Success       bool              `json:"success"`
	Result        []json.RawMessage `json:"result"`
	NextPageToken string            `json:"nextPageToken"`
	MoreResult    bool              `json:"moreResult"`
	Errors        []fault           `json:"errors"`
	Warnings      []fault           `json:"warnings"`

	Bytes int64  `json:"-"` // size of the reply
	body  []byte // the reply itself, if replies keep their bytes
	Calls int64  `json:"-"` // calls it took, refused ones included
}

// noAssets reports whether a reply says that nothing was found, which comes as a success.
func (e *envelope) noAssets() bool {
	for _, w := range e.Warnings {
		if strings.Contains(strings.ToLower(w.Message), "no assets found") {
			return true
		}
	}
	return false
}

// A fault is an error or a warning. Codes come as strings and as numbers, warnings of the
// asset API as plain strings.
type fault struct {
	Code    string
	Message string
}

// UnmarshalJSON accepts the forms that a fault is known to come in.
func (f *fault) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '"' {
		return json.Unmarshal(data, &f.Message)
	}
	var o struct {
		Code    json.RawMessage `json:"code"`
		Message json.RawMessage `json:"message"`
	}
	f.Message = string(data) // a form that nobody has seen yet is still a fault
	if json.Unmarshal(data, &o) == nil {
		f.Code, f.Message = bare(o.Code), bare(o.Message)
	}
	return nil
}

// bare is a JSON scalar as text: without quotes, "" for null.
func bare(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	return string(raw)
}

// do makes a call and returns the vendor's reply. It takes care of the token, the pace, and
// of trouble that passes within a minute. Its errors are *martsync.Error, with an *apiError
// below where the vendor said something.
func (c *client) do(ctx context.Context, r request) (*envelope, error) {
	if r.creates() {
		if err := c.admitExport(ctx); err != nil {
			return nil, err
		}
	}
	var env *envelope
	calls, err := c.attempt(ctx, r, func(resp *http.Response) error {
		body, err := io.ReadAll(io.LimitReader(resp.Body, maxReply+1))
		if err != nil {
			return err
		}
		if env, err = parse(resp.StatusCode, body); err != nil {
			return err
		}
		if c.keep {
			env.body = body
		}
		return resp.Body.Close()
	})
	if err != nil {
		return nil, err
	}
	env.Calls = calls
	for _, w := range env.Warnings {
		if !env.noAssets() {
			c.log.DebugContext(ctx, "warning from the vendor", "op", r.op, "request", env.RequestID, "code", w.Code, "message", w.Message)
		}
	}
	return env, nil
}

// parse reads an envelope. Its errors are *apiError.
func parse(status int, body []byte) (*envelope, error) {
	env := &envelope{Bytes: int64(len(body))}
	if int64(len(body)) > maxReply {
		return nil, &apiError{Status: status, Message: "the reply is larger than " + strconv.Itoa(maxReply>>20) + " MiB"}
	}
	jsonErr := json.Unmarshal(body, env)
	if jsonErr == nil {
		if e := env.fault(status); e != nil {
			return nil, e
		}
	}
	switch {
	case status < 200 || status > 299:
		return nil, &apiError{Status: status, Message: httpx.Excerpt(body)}
	case jsonErr != nil:
		// Proxies answer with pages of HTML; connections are cut within the JSON.
		return nil, &apiError{Status: status, Message: "the reply is not a JSON envelope: " + httpx.Excerpt(body)}
	case !env.Success:
		// An empty body counts as {}: nothing says that the call succeeded, and taking it
		// for "no records" would delete what is there.
		return nil, &apiError{Status: status, RequestID: env.RequestID, Message: "the reply tells neither success nor an error"}
	}
	return env, nil
}

// fault returns the error in an envelope, or nil. The asset API sends an empty list of
// errors with each success.
func (e *envelope) fault(status int) error {
	if len(e.Errors) == 0 {
		return nil
	}
	texts := make([]string, 0, len(e.Errors))
	for i, f := range e.Errors {
		if i > 0 && f.Code != "" {
			f.Message = f.Code + " " + f.Message
		}
		texts = append(texts, f.Message)
	}
	return &apiError{Code: e.Errors[0].Code, Message: strings.Join(texts, "; "), RequestID: e.RequestID, Status: status}
}

// mostRenewals bounds how often a call asks for another token: once, and again if the new one has worked meanwhile, so
// that it has ended rather than is of no use.
const mostRenewals = 3

// attempt sends a call until read accepts the reply or the table of errors says to stop,
// and returns how many calls it took. Read may consume the reply; its body is closed here
// unless read accepted it.
func (c *client) attempt(ctx context.Context, r request, read func(*http.Response) error) (calls int64, err error) {
	renewed := 0
	for try := 1; ; try++ {
		token, err := c.tokens.get(ctx)
		if err != nil {
			return calls, named(r, err)
		}
		if err := c.admit(ctx, r); err != nil {
			return calls, named(r, err)
		}
		calls++
		resp, err := c.send(ctx, r, token)
		if err == nil {
			if err = read(resp); err == nil {
				c.tokens.trial.Worked(token)
				return calls, nil
			}
			_ = resp.Body.Close()
		}
		if ctx.Err() != nil {
			return calls, named(r, ctx.Err())
		}
		if e, ok := errors.AsType[*apiError](err); ok {
			e.Message = strings.ReplaceAll(e.Message, token.Reveal(), "[redacted]") // somebody may echo the header
		}
		j := c.judge(r, try, triesFor(ctx), resp, err)
		if j.act == login {
			// Somebody else may have renewed the token meanwhile: then that one is used.
			j.replay = j.replay && (renewed == 0 || renewed < mostRenewals && c.tokens.trial.HasWorked(token))
			renewed++
			if err := c.tokens.refuse(ctx, token); err != nil {
				return calls, named(r, err)
			}
		}
		if !j.replay {
			return calls, j.err
		}
		// A caller that succeeds in the end never hears of this, so it is logged.
		c.log.DebugContext(ctx, "try again", "op", r.op, "try", try, "wait", j.wait, "err", j.err.Err)
		if err := c.clock.Sleep(ctx, j.wait); err != nil {
			return calls, named(r, err)
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
func triesFor(ctx context.Context) int {
	if ctx.Value(hastyKey{}) != nil {
		return hastyTries
	}
	return usualTries
}

// A judgement says what an unsuccessful try means to the caller, and whether and when the
// call is worth repeating.
type judgement struct {
	err    *martsync.Error
	act    action
	replay bool
	wait   time.Duration
}

func (c *client) judge(r request, try, usual int, resp *http.Response, err error) judgement {
	e, ok := errors.AsType[*apiError](err)
	if !ok {
		// The connection failed, and whether the vendor did what was asked is open.
		return judgement{transportError(r.op, err), again, !r.noReplay && try < setting.Or(r.tries, usual), httpx.Backoff(try)}
	}
	rule := ruleFor(e, r.path)
	j := judgement{err: rule.verdict(r.op, r.optional, e, c.clock.Now()), act: rule.act, wait: httpx.RetryAfter(resp)}
	if uncounted(e.Code) {
		c.meter.uncount()
	}
	if e.Code == "607" {
		c.meter.close(j.err)
	}
	if j.wait > longestPause {
		j.err.After = j.wait
		return j
	}
	tries := 0
	switch rule.act {
	case login:
		tries = try + 1 // attempt counts these
	case again:
		tries, j.wait = min(setting.Or(rule.tries, usualTries), usual), max(j.wait, httpx.Backoff(try))
	case slow:
		c.limiter.Slow(max(j.wait, vendorWindow)) // which makes everybody wait
		tries, j.wait = throttledTries, 0
	case fewer:
		c.limiter.Narrow()
		tries, j.wait = throttledTries, max(j.wait, time.Second+rand.N(4*time.Second))
	case fail:
	}
	if r.tries > 0 {
		tries = min(tries, r.tries)
	}
	j.replay = try < tries && (rule.refused || !r.noReplay)
	return j
}

// uncounted tells which refused calls the vendor does not count.
// Source: Marketo REST API, Error Codes.
func uncounted(code string) bool {
	switch code {
	case "601", "602", "604", "605", "608", "611":
		return true
	}
	return false
}

// named says in the course of which operation err happened.
func named(r request, err error) error {
	n := &martsync.Error{Kind: martsync.KindOf(err), Op: "marketo: " + r.op, After: martsync.AfterOf(err), Err: err}
	if e, ok := err.(*martsync.Error); ok && e.Op == "" { //nolint:errorlint // only if err is nothing else
		n.Hint, n.Err = e.Hint, e.Err
	}
	return n
}

// admit counts the call and, now and then, asks the vendor how much of the day is left.
func (c *client) admit(ctx context.Context, r request) error {
	if err := takeCall(ctx); err != nil {
		return err
	}
	if r.free {
		c.meter.must()
		return nil
	}
	for {
		ask, err := c.meter.begin()
		if err != nil || !ask {
			return err
		}
		u, err := c.usage(ctx)
		if err != nil {
			c.log.DebugContext(ctx, "usage is not known", "err", err)
		}
		c.meter.learn(u.Total, u.by(c.tokens.owner(ctx)), err == nil)
	}
}

// send makes one call. The reply's body is the caller's to close.
func (c *client) send(ctx context.Context, r request, token martsync.Secret) (*http.Response, error) {
	method, body, contentType, query := setting.Or(r.method, http.MethodGet), r.raw, r.contentType, r.query.Encode()
	u := c.base.JoinPath(r.path)
	switch {
	case r.body != nil:
		data, err := json.Marshal(r.body)
		if err != nil {
			return nil, &apiError{Code: "609", Message: err.Error()} // as the vendor would answer
		}
		body, contentType = data, "application/json"
	case method == http.MethodGet && len(u.String())+len("?")+len(query) > maxURI:
		method, body, contentType, query = http.MethodPost, []byte(query), "application/x-www-form-urlencoded", "_method=GET"
	}
	u.RawQuery = query
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
	h.Set("User-Agent", userAgent)
	h.Set("Accept", "application/json")
	if contentType != "" {
		h.Set("Content-Type", contentType)
	}
	if r.file {
		// The checksum is that of the bytes as delivered, so nothing may unpack them.
		h.Set("Accept", "*/*")
		h.Set("Accept-Encoding", "identity")
	}
	if r.offset > 0 {
		h.Set("Range", "bytes="+strconv.FormatInt(r.offset, 10)+"-")
	}
	return c.http.Do(hr)
}
