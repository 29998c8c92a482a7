package pardotsim

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/martsync/martsync/simulate"
)

// Faults are what can go wrong on purpose. Each of them ends, and a reader that keeps to the
// documentation loses nothing by it. Those of replies can be put on any route with path=.
var Faults = []simulate.FaultInfo{
	{Name: "code", Help: "an error of the API with any code of the vendor, in the form of the request's version", Keys: map[string]string{"code": "66", "message": ""}},
	{Name: "status", Help: "an HTTP status with a page of HTML, as gateways send", Keys: map[string]string{"status": "502"}},
	{Name: "html", Help: "a maintenance page with HTTP 200 in place of the reply", Keys: nil},
	{Name: "empty", Help: "HTTP 200 without a body", Keys: nil},
	{Name: "broken", Help: "a reply that ends in the middle of a record, correctly framed", Keys: nil},
	{Name: "cut", Help: "the connection breaks after so many bytes of a body; by default, or if the body is shorter, after half of it", Keys: map[string]string{"after": ""}},
	{Name: "slow", Help: "half a body, and the rest after this long on the account's clock", Keys: map[string]string{"for": "30s"}},
	{Name: "hang", Help: "half a body, then nothing until the client gives up", Keys: nil},
	{Name: "drop", Help: "the connection breaks before anything is answered, and nothing has been done", Keys: nil},
	{Name: "login", Help: "an error of Salesforce's login in place of a token", Keys: map[string]string{"error": "rate_limit_exceeded", "message": ""}},
	{Name: "expire", Help: "the access token ends before its time: code 184", Keys: nil},
	{Name: "heavy", Help: "a query for more rows than this in one page takes too long: code 202, or another", Keys: map[string]string{"rows": "100", "code": "202", "message": ""}},
	{Name: "wide", Help: "a query over a longer range of time than this takes too long: code 202, or another", Keys: map[string]string{"for": "24h", "code": "202", "message": ""}},
	{Name: "nocreate", Help: "the creation of an export that breaks off before there is one", Keys: nil},
	{Name: "noreply", Help: "the creation of an export that breaks off when there is one already", Keys: nil},
	{Name: "fail", Help: "an export that fails, or ends as Canceled, instead of completing", Keys: map[string]string{"state": "Failed"}},
	{Name: "stuck", Help: "an export that stays Waiting this long", Keys: map[string]string{"for": "4h"}},
	{Name: "lost", Help: "a complete export that expires at its first download: code 178 from then on", Keys: nil},
}

// Fault groups, by where in a request they are asked for.
var (
	replyFaults    = []string{"code", "status", "html", "empty", "broken", "cut", "slow", "hang", "drop"}
	loginFaults    = []string{"login", "status", "html", "empty", "broken", "cut", "slow", "hang", "drop"}
	downloadFaults = []string{"lost"}
	createFaults   = []string{"nocreate", "noreply", "fail", "stuck"}
)

// messages are the texts of codes that faults may name. (Account Engagement API, Error Codes)
var messages = map[string]string{
	"1": "Invalid API key or user key", "15": "Login failed", "16": "Invalid ID", "46": "You do not have permission to perform this action", "49": "Access Denied",
	"51": "Invalid parameter", "52": "Parameter out of range", "62": "Conflicting update", "63": "Too many ids", "66": "You have exceeded your concurrent request limit. Please wait, before trying again",
	"76": "API access was disabled", "88": "Your account must use version 4 of the API.", "89": "Your account is unable to use version 4 of the API.", "109": "Record not found",
	"122": "Daily API rate limit met", "174": "Unknown procedure", "175": "Unknown procedure argument", "178": "The state of the export does not allow this",
	"183": "An internal error occurred while checking the access token", "184": "access_token is invalid, unknown, or malformed", "201": "The Business Unit ID was not found or is inactive.",
	"202": "You have exceeded the minute rate limit: the query took too long. Narrow it and try again.", "209": "Too many filter fields", "210": "Page token has expired.", "211": "Invalid page token.",
	"214": "The request timed out", "224": "One or more fields cannot be queried",
}

// AddFault adds a fault rule, see simulate.ParseFault. It may be called at any time.
func (s *Server) AddFault(text string) error {
	f, err := simulate.ParseFault(text, Faults)
	if err != nil {
		return err
	}
	for key, value := range f.Args {
		switch key {
		case "code", "rows":
			_, err = f.Int(key)
		case "status":
			var n int64
			if n, err = f.Int(key); err == nil && (n < 400 || n > 599) {
				err = fmt.Errorf("fault %q: status=%d is not an HTTP status of an error", f.Name, n)
			}
		case "for":
			_, err = f.Duration(key)
		case "after":
			if value != "" {
				_, err = f.Int(key)
			}
		case "state":
			if value != stateFailed && value != stateCanceled {
				err = fmt.Errorf("fault %q: state=%s is neither %s nor %s", f.Name, value, stateFailed, stateCanceled)
			}
		default:
		}
		if err != nil {
			return err
		}
	}
	switch f.Name {
	case "heavy":
		n, _ := f.Int("rows") // has just been checked
		lower(&s.heaviest, n)
	case "wide":
		d, _ := f.Duration("for") // has just been checked
		lower(&s.widest, int64(d))
	}
	s.faults.Add(f)
	return nil
}

// ClearFaults removes all fault rules. Exports that were created under them keep their share.
func (s *Server) ClearFaults() {
	s.faults.Clear()
	s.heaviest.Store(0)
	s.widest.Store(0)
}

// FailExports makes the next n exports fail.
func (s *Server) FailExports(n int) error {
	return s.AddFault("fail:times=" + strconv.Itoa(n))
}

func faultMessage(f *simulate.Fault) string {
	if m := f.Args["message"]; m != "" {
		return m
	}
	if f.Name == "login" {
		return oauthErrors[f.Args["error"]]
	}
	if m := messages[f.Args["code"]]; m != "" {
		return m
	}
	return "Error " + f.Args["code"]
}

// broken plays the fault that takes the place of the reply, or keeps the one that damages it. It
// reports whether the request has been answered.
func (c *caller) broken(f *simulate.Fault) bool {
	if f == nil {
		return false
	}
	switch f.Name {
	case "code":
		n, _ := f.Int("code") // checked by AddFault
		c.fail(int(n), faultMessage(f))
	case "status":
		n, _ := f.Int("status") // checked by AddFault
		c.html(int(n), http.StatusText(int(n)))
	case "html":
		c.html(http.StatusOK, "Scheduled Maintenance")
	case "empty":
		c.w.Header().Set("Content-Length", "0")
		c.w.WriteHeader(http.StatusOK)
	case "drop":
		panic(http.ErrAbortHandler)
	default:
		c.fault = f
		return false
	}
	return true
}

// tooSlow plays the faults of queries that take too long: for more than so many rows a page, or
// over more than so much time. Those that ask for less do not count as theirs. It reports whether
// the request has been answered.
func (c *caller) tooSlow(limit int64) bool {
	s := c.s
	least := s.heaviest.Load()
	if least > 0 && limit > least {
		for _, f := range s.faults.All(c.r, c.user.ClientID, "heavy") {
			if rows, _ := f.Int("rows"); limit > rows { // checked by AddFault
				return c.failWith(f)
			}
		}
	}
	if shortest := time.Duration(s.widest.Load()); shortest > 0 && c.span() > shortest {
		for _, f := range s.faults.All(c.r, c.user.ClientID, "wide") {
			if d, _ := f.Duration("for"); c.span() > d { // checked by AddFault
				return c.failWith(f)
			}
		}
	}
	return false
}

// failWith answers with the code of a fault.
func (c *caller) failWith(f *simulate.Fault) bool {
	code, _ := f.Int("code") // checked by AddFault
	c.fail(int(code), faultMessage(f))
	return true
}

// span is the range of time that a query is over; 0 if it has no lower bound.
func (c *caller) span() time.Duration {
	read := moment5
	names := [][]string{
		{"createdAtAfter", "createdAtAfterOrEqualTo", "updatedAtAfter", "updatedAtAfterOrEqualTo", "sentAtAfter", "sentAtAfterOrEqualTo"},
		{"createdAtBefore", "createdAtBeforeOrEqualTo", "updatedAtBefore", "updatedAtBeforeOrEqualTo", "sentAtBefore", "sentAtBeforeOrEqualTo"},
	}
	if c.v < 5 {
		read = func(text string) (time.Time, bool) { return gnuDate(text, c.now, c.zone, c.s.cfg.LaterHour) }
		names = [][]string{{"created_after", "updated_after"}, {"created_before", "updated_before"}}
	}
	bound := func(names []string) (time.Time, bool) {
		for _, name := range names {
			if t, ok := read(c.q.Get(name)); ok {
				return t, true
			}
		}
		return c.now, false
	}
	from, ok := bound(names[0])
	to, _ := bound(names[1])
	if !ok {
		return 0
	}
	return to.Sub(from)
}

// lower lowers a threshold to n; 0 is none.
func lower(threshold *atomic.Int64, n int64) {
	if old := threshold.Load(); old == 0 || n < old {
		threshold.Store(max(n, 1))
	}
}

// queryLimit is how many rows a query asks for at most.
func (c *caller) queryLimit(most int64) int64 {
	if n, err := strconv.ParseInt(c.q.Get("limit"), 10, 64); err == nil {
		return min(n, most)
	}
	return min(200, most)
}

// write sends a body of a known length and plays the fault that damages it.
func (c *caller) write(status int, b []byte) {
	f := c.fault
	h := c.w.Header()
	if f != nil && f.Name == "broken" {
		b = b[:len(b)/2]
	}
	h.Set("Content-Length", strconv.Itoa(len(b)))
	c.w.WriteHeader(status)
	if f == nil || f.Name == "broken" {
		_, _ = c.w.Write(b)
		return
	}
	w := &faultWriter{c: c, fault: f, left: cutAt(f, int64(len(b)))}
	_, _ = w.Write(b)
}

// cutAt returns after how many of n bytes a body is disturbed.
func cutAt(f *simulate.Fault, n int64) int64 {
	if at, err := f.Int("after"); err == nil && at < n {
		return at
	}
	return n / 2
}

// A faultWriter writes a body and, after so many bytes, lets happen what its fault says.
type faultWriter struct {
	c     *caller
	fault *simulate.Fault
	left  int64
}

func (w *faultWriter) Write(p []byte) (int, error) {
	if w.fault == nil || int64(len(p)) < w.left {
		n, err := w.c.w.Write(p)
		w.left -= int64(n)
		return n, err
	}
	n, err := w.c.w.Write(p[:w.left])
	if err != nil {
		return n, err
	}
	_ = http.NewResponseController(w.c.w).Flush()
	f := w.fault
	w.fault = nil
	switch f.Name {
	case "slow":
		d, _ := f.Duration("for") // checked by AddFault
		if w.c.s.clock.Sleep(w.c.r.Context(), d) != nil {
			panic(http.ErrAbortHandler)
		}
	case "hang":
		<-w.c.r.Context().Done()
		panic(http.ErrAbortHandler)
	default: // cut
		panic(http.ErrAbortHandler)
	}
	m, err := w.c.w.Write(p[n:])
	return n + m, err
}

// A trap is what the faults that were in force at its creation do to an export.
type trap struct {
	hold time.Duration
	ends string // state in which it ends instead of completing
}

func newTrap(faults []*simulate.Fault) (t trap) {
	for _, f := range faults {
		switch f.Name {
		case "fail":
			t.ends = f.Args["state"]
		case "stuck":
			t.hold, _ = f.Duration("for") // checked by AddFault
		}
	}
	return t
}

// happens reports whether a fault of this name is among those that happened.
func happens(faults []*simulate.Fault, name string) bool {
	return slices.ContainsFunc(faults, func(f *simulate.Fault) bool { return f.Name == name })
}
