package pardotsim

import (
	"fmt"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/martsync/martsync/simulate"
)

// Wire are the switches of what stands between the network and the data that have nothing to do
// with the data. The zero value is the likelier answer wherever the documentation leaves a
// question open.
type Wire struct {
	Users []User // API users; nil: DefaultUsers, or those of Org
	Org   *Org   // the Salesforce org; nil: its own. Business units of one org accept the same tokens

	OtherUnits  []string // business units that exist and that the users are not synced to: code 184
	Host        string   // the API host of the business unit; requests to another one are code 201; "": any
	TokenSlides bool     // each use of an access token extends its life
	LoginZone   string   // zoneinfo of Salesforce's user; "": as in the business unit

	BareExport     bool   // replies about exports of version 4 come without envelope
	SplitLate      bool   // files of exports have FileRows rows; otherwise smaller exports have several files too
	AccountBy      string // the one procedure of prospectAccount exports; "": all that clients have used
	SnakeArguments bool   // exports of version 5 take created_after rather than createdAfter
	MaxFileBytes   int64  // most that maxFileSizeBytes may be; 0: 200,000,000
	LaterHour      bool   // a naive time of the hour that comes twice in autumn is the later one
}

// A wire is the state of what stands between the network and the data.
type wire struct {
	org     *Org
	faults  simulate.Faults
	gate    simulate.Gate
	calls   simulate.Daily
	count   counters
	jobs    simulate.Jobs
	exports exports

	// From where on the faults of queries that take too long may happen; 0: there are none.
	heaviest, widest atomic.Int64
}

// beginWire makes the wire of a server whose Config, clock, log and zones are set.
func (s *Server) beginWire() error {
	cfg := &s.cfg
	cfg.DailyCalls = max(cfg.DailyCalls, 0) // below 0: an edition without API, whose first call is one too many
	def(&cfg.MaxFileBytes, 200_000_000)
	switch {
	case cfg.Org != nil:
		cfg.Users = cfg.Org.users
	case cfg.Users == nil:
		cfg.Users = DefaultUsers()
	}
	if s.org = cfg.Org; s.org == nil {
		s.org = NewOrg(cfg.Seed, cfg.Users...)
	}
	for _, u := range cfg.Users {
		if u.Zone == "" {
			continue
		}
		if _, err := time.LoadLocation(u.Zone); err != nil {
			return fmt.Errorf("zone of user %s: %w", u.Username, err)
		}
	}
	s.calls.Zone = s.account
	s.gate.Limit = cfg.Concurrency
	s.faults.Seed = cfg.Seed
	for _, text := range cfg.Faults {
		if err := s.AddFault(text); err != nil {
			return err
		}
	}
	s.beginExports()
	return nil
}

// A caller is one request of an API user on its way through the account.
type caller struct {
	s       *Server
	w       http.ResponseWriter
	r       *http.Request
	now     time.Time
	path    string // clean
	user    *User
	zone    *time.Location // the user's, at this moment
	token   string
	v       int        // version of the API: 3, 4 or 5
	json    bool       // version 3 and 4: the reply is JSON, not XML
	q       url.Values // parameters, those of a form included
	body    []byte
	exports bool // version 4: a path of exports, whose errors have HTTP statuses
	fault   *simulate.Fault
}

// ServeHTTP answers as Salesforce's login and the account's API would at the clock's present.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := &caller{s: s, w: &countingWriter{ResponseWriter: w, c: &s.count}, r: r, now: s.clock.Now(), path: path.Clean("/" + r.URL.Path)}
	s.count.request(r.Method + " " + pathName(c.path))
	s.log.Debug("request", "method", r.Method, "path", c.path)
	switch {
	case strings.HasPrefix(c.path, "/services/oauth2/"), strings.HasPrefix(c.path, "/id/"):
		s.serveLogin(c)
	case strings.HasPrefix(c.path, "/api/login/"): // users of Pardot alone ended in 2021
		c.v, c.json = 4, r.URL.Query().Get("format") == "json"
		c.fail4(15, "Login failed")
	case strings.HasPrefix(c.path, "/api/"):
		s.serveAPI(c)
	default:
		c.html(http.StatusNotFound, "Not Found")
	}
}

// pathName is a path with its ids replaced.
func pathName(path string) string {
	parts := strings.Split(path, "/")
	for i, p := range parts {
		if _, err := strconv.ParseUint(p, 10, 64); err == nil && i > 0 && parts[i-1] != "version" {
			parts[i] = "{id}"
		}
	}
	if len(parts) > 3 && parts[1] == "id" {
		return "/id/{org}/{user}"
	}
	if name := strings.Join(parts, "/"); len(name) <= 100 {
		return name
	}
	return "other"
}

// serveAPI answers a call of the account's own API.
func (s *Server) serveAPI(c *caller) {
	parts := strings.Split(strings.TrimPrefix(c.path, "/api/"), "/")
	c.v, c.json = 5, true
	if parts[0] != "v5" {
		c.v = 4
		if !c.open4() {
			return
		}
	} else if q, err := url.ParseQuery(c.r.URL.RawQuery); err == nil {
		c.q = q
	} else {
		c.fail5(51, "Invalid parameter: the query cannot be read.")
		return
	}
	if !c.authenticate() {
		return
	}
	if !s.gate.Enter() {
		s.countCall(c)
		c.fail(66, "You have exceeded your concurrent request limit. Please wait, before trying again")
		return
	}
	defer s.gate.Leave()
	fault := s.faults.First(c.r, c.user.ClientID, replyFaults...)
	if day := s.countCall(c); day > int64(s.cfg.DailyCalls) {
		c.fail(122, "Daily API rate limit met")
		return
	}
	if c.broken(fault) {
		return
	}
	if c.v < 5 {
		s.serve4(c, parts)
		return
	}
	c.usage5()
	if !c.readBody() {
		return
	}
	switch {
	case len(parts) > 1 && parts[1] == "exports":
		s.serveExports5(c, parts[2:])
	case len(parts) > 2 && parts[1] == "objects" && parts[2] == "exports": // where some clients look for them
		s.serveExports5(c, parts[3:])
	case len(parts) > 2 && parts[1] == "objects":
		query := len(parts) == 3 && parts[2] != "account" // a read of one record has no page
		if !query || !c.tooSlow(c.queryLimit(1000)) {
			s.serveV5(c, parts[2], parts[3:])
		}
	default:
		c.fail5(198, "The requested endpoint could not be found.")
	}
}

// maxBody is more than any reader sends.
const maxBody = 1 << 20

// fail answers with an error in the way of the request's version.
func (c *caller) fail(code int, message string) {
	if c.v == 5 {
		c.fail5(code, message)
		return
	}
	c.fail4(code, message)
}

// status5 are the HTTP statuses of version 5's errors that are not 400.
var status5 = map[int]int{
	49: http.StatusUnauthorized, 126: http.StatusUnauthorized, 184: http.StatusUnauthorized, 199: http.StatusUnauthorized,
	46: http.StatusForbidden, 76: http.StatusForbidden, 183: http.StatusInternalServerError,
	3: http.StatusNotFound, 16: http.StatusNotFound, 92: http.StatusNotFound, 109: http.StatusNotFound, 192: http.StatusNotFound, 198: http.StatusNotFound,
	60: http.StatusMethodNotAllowed, 108: http.StatusMethodNotAllowed, 66: http.StatusTooManyRequests, 122: http.StatusTooManyRequests,
}

// fail5 answers with an error of version 5. (Account Engagement API, Error Codes)
func (c *caller) fail5(code int, message string) {
	status := http.StatusBadRequest
	if n := status5[code]; n != 0 {
		status = n
	}
	if (code == 66 || code == 122) && c.s.cfg.LimitStatus != 0 {
		status = c.s.cfg.LimitStatus
	}
	c.s.count.refuse(strconv.Itoa(code))
	b := append([]byte(`{"code":`), strconv.Itoa(code)...)
	b = append(b, `,"message":`...)
	b = appendText(b, message)
	c.send(status, "application/json; charset=utf-8", append(b, '}'))
}

// send5 answers with JSON of version 5.
func (c *caller) send5(b []byte) {
	c.send(http.StatusOK, "application/json; charset=utf-8", b)
}

// send answers with a body.
func (c *caller) send(status int, kind string, b []byte) {
	c.w.Header().Set("Content-Type", kind)
	c.write(status, b)
}

// html answers as a gateway does, without envelope.
func (c *caller) html(status int, title string) {
	if status >= http.StatusBadRequest {
		c.s.count.refuse("http " + strconv.Itoa(status))
	}
	c.w.Header().Set("Content-Type", "text/html; charset=utf-8")
	c.w.WriteHeader(status)
	_, _ = fmt.Fprintf(c.w, "<html><head><title>%d %s</title></head><body><h1>%s</h1></body></html>\n", status, title, title)
}

// usage5 tells the day's calls where the request asks for them. The delimiter is not documented.
func (c *caller) usage5() {
	if v := c.r.Header.Get("X-Return-Api-Usage"); v == "1" || strings.EqualFold(v, "true") {
		c.w.Header().Set("X-Api-Usage", fmt.Sprintf("%d/%d", c.s.calls.Sum(c.now), c.s.cfg.DailyCalls))
	}
}

// baseURL is the address under which the request reached the account.
func (c *caller) baseURL() string {
	if c.r.TLS != nil {
		return "https://" + c.r.Host
	}
	return "http://" + c.r.Host
}

// Sharing answers for several business units at one address, as the vendor's host does: by the
// header that names the unit. What names none of them goes to the first.
func Sharing(units ...*Server) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked := r.Header.Get(unitHeader)
		for _, s := range units {
			if asked != "" && sameUnit(asked, s.cfg.BusinessUnit) {
				s.ServeHTTP(w, r)
				return
			}
		}
		units[0].ServeHTTP(w, r)
	})
}

// SourceConfig is the configuration of a source that reads this account.
func (s *Server) SourceConfig(baseURL string) map[string]any {
	u := s.org.users[0]
	return map[string]any{
		"business_unit": s.cfg.BusinessUnit, "api_host": baseURL, "login_url": baseURL, "grant": "refresh_token",
		"client_id": u.ClientID, "client_secret": u.Secret, "refresh_token": s.org.RefreshToken(u.Username),
	}
}

// Org returns the Salesforce org of the account.
func (s *Server) Org() *Org { return s.org }

// MaxInFlight returns the highest number of calls that were in flight at once.
func (s *Server) MaxInFlight() int { return s.gate.Most() }
