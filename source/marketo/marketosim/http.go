package marketosim

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/martsync/martsync/simulate"
)

// Limits of requests. (Marketo REST API, Marketo Integration Best Practices)
const (
	maxURI  = 8 << 10
	maxBody = 1 << 20
)

// A call is one request on its way through the account.
type call struct {
	s     *Server
	w     http.ResponseWriter
	r     *http.Request
	now   time.Time
	st    *state
	user  *User
	token string
	route *route
	ids   []string // parts of the path where the route has {…}
	q     url.Values
	body  []byte
	bulk  bool
	fault *simulate.Fault // damages the reply

	anonymous bool // the reply has null for its request id
}

// ServeHTTP answers as the account would at the clock's present.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := &call{s: s, w: &countingWriter{ResponseWriter: w, c: &s.count}, r: r, now: s.clock.Now()}
	if len(r.RequestURI) > maxURI {
		s.count.refuse("http 414", c.now)
		c.html(http.StatusRequestURITooLong, "Request-URI Too Long")
		return
	}
	// Dot segments are resolved first: a public client asks for /rest/../bulk/v1. Double
	// slashes are tolerated. (Marketo REST API, REST API)
	clean := path.Clean("/" + r.URL.Path)
	c.bulk = strings.HasPrefix(clean, "/bulk/")
	if clean == "/identity/oauth/token" {
		s.count.request(r.Method + " " + clean)
		s.identity(c)
		return
	}
	c.route, c.ids = s.find(clean)
	name := clean
	if c.route != nil {
		name = c.route.path
	} else if len(name) > 80 {
		name = "other"
	}
	s.count.request(r.Method + " " + name)
	s.log.Debug("request", "method", r.Method, "path", clean)
	if !c.authenticate() {
		return
	}
	if !s.gate.Enter() {
		s.limit(c, "615", fmt.Sprintf("Concurrent access limit '%d' reached", s.cfg.Concurrency))
		return
	}
	defer s.gate.Leave()
	if !c.admit() {
		return
	}
	c.st = s.state.Load()
	c.route.do(c)
}

// authenticate finds the API user. (Marketo REST API, Authentication and Error Codes)
func (c *call) authenticate() bool {
	s := c.s
	header := c.r.Header.Get("Authorization")
	if scheme, token, ok := strings.Cut(header, " "); ok && strings.EqualFold(scheme, "bearer") {
		c.token = strings.TrimSpace(token)
	}
	if q := c.r.URL.Query().Get("access_token"); c.token == "" && q != "" && s.cfg.TokenInQuery {
		c.token = q
	}
	if c.token == "" {
		c.fail("603", "Access denied")
		return false
	}
	for range s.faults.All(c.r, s.tokens.Client(c.token), "expire") {
		s.tokens.End(c.token, c.now)
	}
	client, state := s.tokens.Check(c.token, c.now)
	switch state {
	case simulate.TokenValid:
		c.user = s.users[client]
		return true
	case simulate.TokenJustExpired:
		c.fail("602", "Access token expired")
	default:
		c.fail("601", "Access token invalid")
	}
	return false
}

// admit counts the call and refuses it if a limit or the request itself says so. Calls that are
// answered 601, 602, 604, 605, 608 or 611 do not count. (Marketo REST API, Error Codes)
func (c *call) admit() bool {
	s := c.s
	get := c.r.Method == http.MethodPost && strings.EqualFold(c.r.URL.Query().Get("_method"), "GET")
	method := c.r.Method
	if get {
		method = http.MethodGet
	}
	if c.route != nil && c.route.method != method {
		c.fail("605", fmt.Sprintf("Request method '%s' not supported", c.r.Method))
		return false
	}
	fault := s.faults.First(c.r, c.user.ClientID, replyFaults...)
	if fault != nil && fault.Name == "code" && uncounted[fault.Args["code"]] {
		c.fail(fault.Args["code"], faultMessage(fault))
		return false
	}
	s.count.call(c.user.Email, c.now)
	day := s.calls.Add(c.now, 1)
	if !s.rate.Take(c.now) {
		c.fail("606", fmt.Sprintf("Max rate limit '%d' exceeded with in '20' secs", s.cfg.RateLimit))
		return false
	}
	if day > int64(s.cfg.DailyCalls) {
		c.fail("607", fmt.Sprintf("Daily quota '%d' reached", s.cfg.DailyCalls))
		return false
	}
	if c.broken(fault) {
		return false
	}
	if c.route == nil {
		c.fail("610", "Requested resource not found")
		return false
	}
	for _, d := range c.user.Denied {
		if d == c.route.permission {
			c.fail("603", "Access denied")
			return false
		}
	}
	return c.read(get)
}

// limit refuses a call that counts.
func (s *Server) limit(c *call, code, message string) {
	s.count.call(c.user.Email, c.now)
	s.calls.Add(c.now, 1)
	s.rate.Take(c.now)
	c.fail(code, message)
}

// read reads parameters and body.
func (c *call) read(get bool) bool {
	q, err := url.ParseQuery(c.r.URL.RawQuery)
	if err != nil {
		c.fail("500", "Malformed URL")
		return false
	}
	c.q = q
	if c.r.Method == http.MethodGet {
		return true
	}
	c.body, err = io.ReadAll(http.MaxBytesReader(nil, c.r.Body, maxBody))
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		c.s.count.refuse("http 413", c.now)
		c.html(http.StatusRequestEntityTooLarge, "Request Entity Too Large")
		return false
	}
	if err != nil {
		return false // the client is gone
	}
	kind, _, _ := mime.ParseMediaType(c.r.Header.Get("Content-Type"))
	switch {
	case get && kind == "application/json": // only lookups by compound keys
	case get:
		form, err := url.ParseQuery(string(c.body))
		if err != nil {
			c.fail("500", "Malformed form")
			return false
		}
		for k, v := range form {
			c.q[k] = append(c.q[k], v...)
		}
	case c.route.json && kind != "application/json":
		c.fail("612", "Invalid Content Type")
		return false
	}
	return true
}

// html answers as a gateway does, without envelope.
func (c *call) html(status int, title string) {
	c.w.Header().Set("Content-Type", "text/html")
	c.w.WriteHeader(status)
	_, _ = fmt.Fprintf(c.w, "<html><head><title>%d %s</title></head><body><h1>%s</h1></body></html>\n", status, title, title)
}

// plain answers in plain text, as file endpoints do for files that are not there.
func (c *call) plain(status int, text string) {
	c.w.Header().Set("Content-Type", "text/plain;charset=UTF-8")
	c.w.WriteHeader(status)
	_, _ = io.WriteString(c.w, text)
}

// fail answers with an error on the response level: HTTP 200 and success:false.
// (Marketo REST API, Error Codes)
func (c *call) fail(code, message string) {
	c.s.count.refuse(code, c.now)
	b := c.open()
	b = append(b, `"success":false,"errors":[{"code":`...)
	b = appendJSONText(b, code)
	b = append(b, `,"message":`...)
	b = appendJSONText(b, message)
	c.send(append(b, "}]}"...))
}

func (c *call) open() []byte {
	n := c.s.count.next()
	if c.anonymous {
		return append(make([]byte, 0, 4096), `{"requestId":null,`...)
	}
	b := append(make([]byte, 0, 4096), `{"requestId":"`...)
	b = strconv.AppendUint(b, n&0xffff|0x1000, 16)
	b = append(b, '#')
	b = strconv.AppendInt(b, c.now.UnixMilli(), 16)
	return append(b, `",`...)
}

// result answers with records in the lead database's envelope. members follow the result.
func (c *call) result(list []record, members ...member) {
	b := append(c.open(), `"result":`...)
	b = appendAny(b, list, false, true)
	c.finish(b, members...)
}

// finish ends an envelope that is complete up to its result.
func (c *call) finish(b []byte, members ...member) {
	if b[len(b)-1] != ',' {
		b = append(b, ',')
	}
	b = append(b, `"success":true`...)
	for _, m := range members {
		b = append(b, ',')
		b = append(appendJSONText(b, m.name), ':')
		b = appendAny(b, m.v, false, true)
	}
	c.send(append(b, '}'))
}

// send writes a JSON reply. Replies of 1024 bytes and more are compressed on request, except
// below /bulk. (Marketo REST API, Marketo Integration Best Practices)
func (c *call) send(b []byte) {
	h := c.w.Header()
	h.Set("Content-Type", "application/json;charset=UTF-8")
	b = c.damage(b)
	if !c.bulk && len(b) >= 1024 && acceptsGzip(c.r) {
		h.Set("Content-Encoding", "gzip")
		var buf bytes.Buffer
		z, _ := gzip.NewWriterLevel(&buf, gzip.BestSpeed) // a valid level
		_, _ = z.Write(b)
		_ = z.Close()
		b = buf.Bytes()
	}
	h.Set("Content-Length", strconv.Itoa(len(b)))
	_, _ = c.w.Write(b)
}

func acceptsGzip(r *http.Request) bool {
	for _, v := range r.Header.Values("Accept-Encoding") {
		for e := range strings.SplitSeq(v, ",") {
			name, params, _ := strings.Cut(strings.TrimSpace(e), ";")
			if strings.EqualFold(name, "gzip") && strings.ReplaceAll(params, " ", "") != "q=0" {
				return true
			}
		}
	}
	return false
}

// countingWriter counts the bytes of bodies.
type countingWriter struct {
	http.ResponseWriter
	c *counters
}

func (w *countingWriter) Write(p []byte) (int, error) {
	n, err := w.ResponseWriter.Write(p)
	w.c.bytes(n)
	return n, err
}

// Unwrap lets http.ResponseController reach the connection.
func (w *countingWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
