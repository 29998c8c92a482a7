package marketo

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/httpx"
)

// An apiError is an error in the vendor's words. It is found below the *martsync.Error that
// says what follows from it.
type apiError struct {
	Code      string // the vendor's code, "606"; "" where the fault is in HTTP itself
	Message   string
	RequestID string // what the vendor's support asks for; "" where there was no envelope
	Status    int    // of HTTP; most errors come with 200

	is error // errGone or errAlreadyQueued, for errors.Is
}

func (e *apiError) Error() string {
	var b strings.Builder
	if e.Code != "" {
		b.WriteString("vendor error " + e.Code)
	} else {
		b.WriteString("HTTP " + strconv.Itoa(e.Status))
	}
	if e.Message != "" {
		b.WriteString(": " + e.Message)
	}
	if e.RequestID != "" {
		b.WriteString(" (request " + e.RequestID + ")")
	}
	return b.String()
}

func (e *apiError) Is(target error) bool { return e.is != nil && target == e.is }

// errGone says that an export job or its file no longer exists.
var errGone = errors.New("the vendor no longer has it")

// errAlreadyQueued answers the second request to enqueue a job.
var errAlreadyQueued = errors.New("the job is queued already")

// isCode reports whether err is the vendor's error with this code.
func isCode(err error, code string) bool {
	e, ok := errors.AsType[*apiError](err)
	return ok && e.Code == code
}

// An action is what the client does about an error before anybody hears of it.
type action uint8

const (
	fail  action = iota // nothing: say so
	again               // wait a little longer each time, then say so
	login               // take a new token once, then say so
	slow                // make everybody wait for the rate window and go slower, then say so
	fewer               // make fewer calls at the same time, then say so
)

// untilReset stands for the time to the reset of the daily quotas.
const untilReset time.Duration = -1

// A rule gives errors of the vendor their meaning. The first one that fits counts.
type rule struct {
	codes []string // vendor codes, or "HTTP 503"
	text  string   // part of the message, in lower case; "": any
	path  string   // part of the path; "": any

	kind     martsync.Kind
	act      action
	tries    int           // calls in all before the error is returned; 0: as usual for act
	after    time.Duration // 0: unknown
	refused  bool          // the vendor did nothing: even a creating call may be repeated
	optional bool          // where nobody depends on the data, the account just does not have it
	is       error
	hint     string
}

// rules is the table of the vendor's errors.
// Source: Marketo REST API, Error Codes; Bulk Extract; Marketo Integration Best Practices.
var rules = []rule{
	// Credentials and permissions.
	{codes: []string{"601", "602"}, kind: martsync.Auth, act: login, refused: true, hint: "A fresh access token was refused too; check that the API user is active."},
	{codes: []string{"600"}, kind: martsync.Internal, hint: hintBug}, // retired in 2022 for 603: the call had no token
	{codes: []string{"603"}, kind: martsync.Auth, optional: true, hint: "Give the API user's role the permission for this, and check that this machine's address is on the allowlist (Admin > Web Services)."},
	{codes: []string{"1008"}, kind: martsync.Auth, hint: "Give the API user access to the partition."},

	// Limits.
	{codes: []string{"606"}, kind: martsync.Transient, act: slow, after: time.Minute, refused: true, hint: "Other integrations use up the 100 calls per 20 seconds; limits.calls_per_20s makes this one use fewer."},
	{codes: []string{"615"}, kind: martsync.Transient, act: fewer, after: time.Minute, refused: true, hint: "Other integrations keep the 10 concurrent calls busy; limits.concurrent makes this one use fewer."},
	{codes: []string{"607"}, kind: martsync.Quota, after: untilReset, refused: true, hint: "The subscription's calls of today are spent; reading goes on after midnight US Central time."},
	{codes: []string{"1029"}, text: "quota", kind: martsync.Quota, after: untilReset, refused: true, hint: "The subscription's export megabytes of today are spent; exporting goes on after midnight US Central time."},
	{codes: []string{"1029"}, text: "too many jobs", kind: martsync.Pending, after: time.Minute, refused: true, hint: "Other integrations fill the queue of 10 export jobs; this one waits for its turn."},
	{codes: []string{"1029"}, text: "already queued", kind: martsync.Pending, after: time.Minute, is: errAlreadyQueued},
	{codes: []string{"1029"}, kind: martsync.Pending, after: time.Minute}, // the job is not in the state for this: its status tells
	{codes: []string{"1016", "1019"}, kind: martsync.Pending, after: time.Minute},
	{codes: []string{"1020"}, kind: martsync.Quota, after: untilReset},

	// Passing trouble.
	{codes: []string{"500"}, kind: martsync.Transient, act: again, tries: 3, after: time.Minute}, // malformed URLs too: not for ever
	{codes: []string{"608"}, kind: martsync.Transient, act: again, after: time.Minute, refused: true},
	{codes: []string{"502", "604", "611", "713", "719"}, kind: martsync.Transient, act: again, after: time.Minute},
	{codes: []string{"614"}, kind: martsync.Transient, after: 5 * time.Minute, hint: "Usually an outage of the subscription; if it stays, check the endpoint."},

	// What this account does not have.
	{codes: []string{"610", "616", "703", "1018", "1026"}, kind: martsync.Unavailable, hint: "The subscription does not have this feature, or the API does not offer it."},
	{codes: []string{"1035"}, kind: martsync.Unavailable, hint: "The subscription lacks this export filter."},

	// What is not there (any more).
	{codes: []string{"1013"}, path: "/bulk/", kind: martsync.Transient, is: errGone},
	{codes: []string{"702", "1004", "1013"}, kind: martsync.Data},

	// Requests that we should not have made so.
	{codes: []string{"605", "609", "612", "613", "701", "704", "1001", "1002"}, kind: martsync.Internal, hint: hintBug},
	{codes: []string{"1003"}, text: "invalid fields", kind: martsync.Data, hint: "A field cannot be exported; the fields are read anew at the next sync."},
	{codes: []string{"1003"}, text: "too many results", kind: martsync.Internal, hint: hintBug},
	{codes: []string{"1003"}, text: "membership size", kind: martsync.Unavailable, hint: "The program has more members than this API can list."},
	{codes: []string{"1003"}, kind: martsync.Data, hint: "The vendor does not accept the request; see docs/vendors/marketo.md."},
	{codes: []string{"1006", "1011"}, kind: martsync.Data, hint: "A field is gone or cannot be read; the fields are read anew at the next sync."},

	// Asset rules and the codes of calls that write, which we do not make ourselves.
	{codes: []string{
		"709", "710", "711", "712", "714", "718",
		"1005", "1007", "1009", "1010", "1012", "1014", "1015", "1017", "1021", "1022", "1025", "1027", "1028",
		"1036", "1037", "1042", "1048", "1049", "1076", "1077", "1078", "1079", "1080",
	}, kind: martsync.Data},

	// HTTP. Sources: Marketo REST API, Bulk Extract (404 of a file); RFC 9110.
	{codes: []string{"HTTP 404"}, path: "/file.json", kind: martsync.Transient, is: errGone},
	{codes: []string{"HTTP 401"}, kind: martsync.Auth, act: login, refused: true, hint: "Check the credentials and that nothing between here and the vendor asks for others."},
	{codes: []string{"HTTP 403", "HTTP 407"}, kind: martsync.Auth, hint: "Something between here and the vendor refuses the call."},
	{codes: []string{"HTTP 404", "HTTP 410"}, kind: martsync.Config, hint: "Check the endpoint."},
	{codes: []string{"HTTP 301", "HTTP 302", "HTTP 303", "HTTP 307", "HTTP 308"}, kind: martsync.Config, hint: "The endpoint redirects; give the one that Admin > Web Services shows."},
	{codes: []string{"HTTP 408", "HTTP 416", "HTTP 425"}, kind: martsync.Transient, act: again, after: time.Minute},
	{codes: []string{"HTTP 429"}, kind: martsync.Transient, act: slow, after: time.Minute, refused: true},
	{codes: []string{"HTTP 413", "HTTP 414", "HTTP 400", "HTTP 405", "HTTP 406", "HTTP 411", "HTTP 415"}, kind: martsync.Internal, hint: hintBug},
	{codes: []string{"HTTP 200", "HTTP 206"}, kind: martsync.Transient, act: again, after: time.Minute}, // no or a broken envelope
}

const hintBug = "Please report this with the request id."

// ruleFor finds the meaning of e at a path.
func ruleFor(e *apiError, path string) rule {
	code := e.Code
	if code == "" {
		code = "HTTP " + strconv.Itoa(e.Status)
	}
	message := strings.ToLower(e.Message)
	for _, r := range rules {
		if slices.Contains(r.codes, code) && strings.Contains(message, r.text) && strings.Contains(path, r.path) {
			return r
		}
	}
	if e.Code == "" && e.Status >= http.StatusInternalServerError {
		return rule{kind: martsync.Transient, act: again, after: time.Minute}
	}
	// An unknown code stops the stream that met it and lets the others go on.
	return rule{kind: martsync.Data, hint: "The vendor's page \"Error Codes\" may say more."}
}

// verdict makes the error that the caller of an operation gets.
func (r rule) verdict(op string, optional bool, e *apiError, now time.Time) *martsync.Error {
	e.is = r.is
	v := &martsync.Error{Kind: r.kind, Op: "marketo: " + op, After: r.after, Hint: r.hint, Err: e}
	if optional && r.optional {
		v.Kind = martsync.Unavailable
	}
	if r.after == untilReset {
		v.After = nextQuota(now).Sub(now)
	}
	return v
}

// transportError is what became of a call that got no reply, free of URLs.
func transportError(op string, err error) *martsync.Error {
	return &martsync.Error{
		Kind: martsync.Transient, Op: "marketo: " + op, After: time.Minute, Err: noReply(err),
		Hint: "Check that the endpoint is right and that this machine can reach it (network, DNS, firewall, proxy); if it can, try again later.",
	}
}

func noReply(err error) error { return fmt.Errorf("no complete reply: %w", httpx.Scrub(err)) }
