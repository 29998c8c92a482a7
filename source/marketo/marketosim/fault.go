package marketosim

import (
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/martsync/martsync/simulate"
)

// Faults are what can go wrong on purpose. Those of rows damage files in ways that a tolerant
// reader can repair exactly, or add rows that are no records, so that the truth stays what it
// is. The added rows count in numberOfRecords, size and checksum.
var Faults = []simulate.FaultInfo{
	{Name: "code", Help: "an error envelope with HTTP 200 and any code of the vendor", Keys: map[string]string{"code": "606", "message": ""}},
	{Name: "status", Help: "an HTTP status with a page of HTML, as gateways send", Keys: map[string]string{"code": "502"}},
	{Name: "empty", Help: "HTTP 200 without a body", Keys: nil},
	{Name: "broken", Help: "a JSON reply that ends in the middle, correctly framed", Keys: nil},
	{Name: "cut", Help: "the connection breaks after so many bytes of a body; by default, or if the body is shorter, after half of it", Keys: map[string]string{"after": ""}},
	{Name: "hang", Help: "half a body, then nothing until the client gives up", Keys: nil},
	{Name: "slow", Help: "an answer that takes this long on the account's clock", Keys: map[string]string{"for": "30s"}},
	{Name: "expire", Help: "the access token ends before its time: 602, then 601", Keys: nil},
	{Name: "json", Help: "a JSON error with HTTP 200 in place of an export file", Keys: map[string]string{"code": "602", "message": ""}},
	{Name: "gone", Help: "an export that is Completed and whose file is 404 for good", Keys: nil},
	{Name: "noresult", Help: "a job status without result", Keys: nil},
	{Name: "nocreate", Help: "an export creation that answers Failed without exportId", Keys: nil},
	{Name: "fail", Help: "an export that fails while it is processed", Keys: map[string]string{"message": "Simulated processing failure"}},
	{Name: "stuck", Help: "an export that stays Queued this long", Keys: map[string]string{"for": "4h"}},
	{Name: "nul", Help: "NUL bytes in rows of an export file", Keys: map[string]string{"rows": "3"}},
	{Name: "quotes", Help: "quotes that are not doubled inside quoted cells, where that leaves one reading only", Keys: map[string]string{"rows": "3"}},
	{Name: "cr", Help: "carriage returns in unquoted cells", Keys: map[string]string{"rows": "3"}},
	{Name: "utf8", Help: "a byte that is not UTF-8 where the text has the replacement character", Keys: map[string]string{"rows": "3"}},
	{Name: "columns", Help: "added rows with a wrong number of cells", Keys: map[string]string{"rows": "3"}},
	{Name: "misfit", Help: "added rows with cells that do not fit their column", Keys: map[string]string{"rows": "3"}},
	{Name: "dup", Help: "rows that come twice", Keys: map[string]string{"rows": "3"}},
}

var (
	replyFaults    = []string{"code", "status", "empty", "broken", "cut", "hang"}
	identityFaults = []string{"status", "empty", "broken", "cut", "hang"}
	createFaults   = []string{"nocreate", "fail", "stuck", "nul", "quotes", "cr", "utf8", "columns", "misfit", "dup"}
)

// uncounted are the codes whose calls do not count against quota and rate.
// (Marketo REST API, Error Codes)
var uncounted = map[string]bool{"601": true, "602": true, "604": true, "605": true, "608": true, "611": true}

// messages are the texts of codes that faults may name. (Marketo REST API, Error Codes)
var messages = map[string]string{
	"500": "Internal Server Error", "502": "Bad Gateway", "600": "Empty access token", "601": "Access token invalid", "602": "Access token expired",
	"603": "Access denied", "604": "Request timed out", "605": "Request method 'GET' not supported", "606": "Max rate limit '100' exceeded with in '20' secs",
	"607": "Daily quota '50000' reached", "608": "API Temporarily Unavailable", "609": "Invalid JSON", "610": "Requested resource not found",
	"611": "System error", "612": "Invalid Content Type", "613": "Invalid Multipart Request", "614": "Invalid Subscription", "615": "Concurrent access limit '10' reached",
	"616": "Invalid subscription type", "701": "value cannot be blank", "702": "No data found for given search scenario", "703": "Feature not enabled for the subscription",
	"704": "Invalid date format", "709": "Business Rule Violation", "710": "Parent Folder Not Found", "711": "Incompatible Folder Type", "712": "Merge to person Account operation is invalid",
	"713": "Transient error", "714": "Unable to find the default record type", "718": "ExternalSalesPersonID not found", "719": "Lock wait timeout exception",
	"1003": "Invalid Data", "1004": "Lead not found", "1006": "Field not found", "1011": "Field not supported", "1013": "Object not found",
	"1018": "CRM enabled", "1026": "Custom object not enabled", "1029": "Too many jobs (10) in queue", "1035": "Unsupported filter type for target subscription: updatedAt",
}

// AddFault adds a fault rule, see simulate.ParseFault. It may be called at any time.
func (s *Server) AddFault(text string) error {
	f, err := simulate.ParseFault(text, Faults)
	if err != nil {
		return err
	}
	for key := range f.Args {
		switch key {
		case "rows":
			_, err = f.Int(key)
		case "for":
			_, err = f.Duration(key)
		case "after":
			if f.Args[key] != "" {
				_, err = f.Int(key)
			}
		case "code":
			var n int64
			if n, err = f.Int(key); err == nil && f.Name == "status" && (n < 400 || n > 599) {
				err = fmt.Errorf("fault %q: code=%d is not an HTTP status of an error", f.Name, n)
			}
		default:
		}
		if err != nil {
			return err
		}
	}
	s.faults.Add(f)
	return nil
}

// ClearFaults removes all fault rules. Jobs that were created under them keep their share.
func (s *Server) ClearFaults() { s.faults.Clear() }

func faultMessage(f *simulate.Fault) string {
	if m := f.Args["message"]; m != "" {
		return m
	}
	if m := messages[f.Args["code"]]; m != "" {
		return m
	}
	return "Error " + f.Args["code"]
}

// broken plays the fault that takes the place of the reply, or keeps the one that damages it. It
// reports whether the request has been answered.
func (c *call) broken(f *simulate.Fault) bool {
	for _, slow := range c.s.faults.All(c.r, c.client(), "slow") {
		d, _ := slow.Duration("for") // checked by AddFault
		if c.s.clock.Sleep(c.r.Context(), d) != nil {
			return true
		}
		c.now = c.s.clock.Now()
	}
	if f == nil {
		return false
	}
	switch f.Name {
	case "status":
		n, _ := f.Int("code") // checked by AddFault
		c.s.count.refuse("http "+f.Args["code"], c.now)
		c.html(int(n), http.StatusText(int(n)))
	case "empty":
		c.w.Header().Set("Content-Type", "application/json;charset=UTF-8")
		c.w.WriteHeader(http.StatusOK)
	case "code":
		c.fail(f.Args["code"], faultMessage(f))
	default:
		c.fault = f
		return false
	}
	return true
}

// client is the client id of the request, as far as it is known.
func (c *call) client() string {
	if c.user != nil {
		return c.user.ClientID
	}
	return c.r.URL.Query().Get("client_id")
}

// damage plays the faults of a JSON reply. It returns what to send instead.
func (c *call) damage(b []byte) []byte {
	switch f := c.fault; {
	case f == nil:
	case f.Name == "broken":
		return b[:len(b)/2]
	default: // cut and hang
		c.w.Header().Set("Content-Length", strconv.Itoa(len(b)))
		_, _ = c.w.Write(b[:cutAt(f, int64(len(b)))])
		c.breakOff(f)
	}
	return b
}

// cutAt returns after how many of n bytes a body ends too early.
func cutAt(f *simulate.Fault, n int64) int64 {
	if at, err := f.Int("after"); err == nil && at < n {
		return at
	}
	return n / 2
}

// breakOff ends the connection after what was written, at once or when the client gives up.
func (c *call) breakOff(f *simulate.Fault) {
	_ = http.NewResponseController(c.w).Flush()
	if f.Name == "hang" {
		<-c.r.Context().Done()
	}
	panic(http.ErrAbortHandler)
}

// A trap is what the faults that were in force at its creation do to an export job.
type trap struct {
	hold   time.Duration
	doomed string
	dirt   dirt
}

func newTrap(faults []*simulate.Fault) (t trap) {
	for _, f := range faults {
		rows, _ := f.Int("rows") // checked by AddFault
		switch f.Name {
		case "fail":
			t.doomed = f.Args["message"]
		case "stuck":
			t.hold, _ = f.Duration("for")
		case "nul":
			t.dirt[dirtNUL] = rows
		case "quotes":
			t.dirt[dirtQuotes] = rows
		case "cr":
			t.dirt[dirtCR] = rows
		case "utf8":
			t.dirt[dirtUTF8] = rows
		case "columns":
			t.dirt[dirtColumns] = rows
		case "misfit":
			t.dirt[dirtMisfit] = rows
		case "dup":
			t.dirt[dirtDuplicate] = rows
		}
	}
	return t
}
