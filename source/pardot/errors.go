package pardot

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/httpx"
)

// An apiError is an error in the vendor's words. It is found below the *martsync.Error that
// says what follows from it.
type apiError struct {
	Code    int    // the vendor's code, 184; 0 where the fault is in HTTP itself
	Message string // in the vendor's words
	Status  int    // of HTTP; version 4 sends most errors with 200
	Version version

	told bool // the vendor said it, not something in front of it
	vast bool // the reply was larger than we take
	torn bool // the reply ended before it said what is wrong
}

func (e *apiError) Error() string {
	var b strings.Builder
	switch {
	case e.Code != 0:
		b.WriteString("vendor error " + strconv.Itoa(e.Code))
	case e.Status != 0:
		b.WriteString("HTTP " + strconv.Itoa(e.Status))
	default:
		return e.Message
	}
	if e.Message != "" {
		b.WriteString(": " + e.Message)
	}
	return b.String()
}

// codeOf returns the vendor's code below err, 0 if there is none.
func codeOf(err error) int {
	if e, ok := errors.AsType[*apiError](err); ok {
		return e.Code
	}
	return 0
}

// tooSlow reports whether the vendor could not answer in time, or with so much: a smaller page
// or a shorter range may succeed.
func tooSlow(err error) bool {
	if e, ok := errors.AsType[*apiError](err); ok {
		return ruleFor(e).class == shrink
	}
	return errors.Is(err, httpx.ErrStalled)
}

// unreadable reports whether err says that a record is not there or cannot be read: its id is
// skipped and the others go on.
func unreadable(err error) bool {
	e, ok := errors.AsType[*apiError](err)
	return ok && ruleFor(e).class == skip
}

// The vendor's texts about fields are not documented as a format. The known one is "Invalid
// parameter: fields. It contains an invalid or unknown field: X."; the others are guesses at
// what codes 130, 180 and 224 come with, careful not to take a word of prose for a name.
var fieldTexts = []*regexp.Regexp{
	regexp.MustCompile(`(?i)\bfields?(?:\(s\))?[^:.]{0,60}: *["'\x60]?([a-z][a-z0-9_]*(?:\.[a-z][a-z0-9_]*)*)`),
	regexp.MustCompile(`(?i)\bfields?(?:\(s\))? +["'\x60]([a-z][a-z0-9_.]*[a-z0-9_])["'\x60]`),
	regexp.MustCompile(`^["'\x60]([A-Za-z][A-Za-z0-9_.]*[A-Za-z0-9_])["'\x60] is not a`),
}

// unknownField returns the field that the vendor refuses to tell, "" if err says no such thing.
func unknownField(err error) string {
	e, ok := errors.AsType[*apiError](err)
	if !ok {
		return ""
	}
	switch e.Code {
	case 51, 130, 180, 224:
	default:
		return ""
	}
	for _, text := range fieldTexts {
		if m := text.FindStringSubmatch(e.Message); m != nil {
			return m[1]
		}
	}
	return ""
}

// A class says what the client does about an error before anybody hears of it.
type class uint8

const (
	fatal    class = iota // nothing: say so
	again                 // wait a little longer each time, then say so
	login                 // take a new token once, then say so
	fewer                 // make fewer calls at the same time, then say so
	tomorrow              // make no call before the business unit's midnight
	swap                  // use the other of versions 4 and 3, once
	shrink                // say so: a smaller page or a shorter range may do
	restart               // say so: the sequence of pages has to start anew
	skip                  // say so: the record is not there, others are
)

// A rule gives errors of the vendor their meaning.
type rule struct {
	codes []int // the vendor's, or of HTTP in httpRules

	class class
	kind  martsync.Kind
	hint  string

	refused  bool // the vendor did nothing: even a creating call may be repeated
	optional bool // where nobody depends on the data, the account just does not have it
	once     bool // one repetition is enough
}

// codeRules is the table of the vendor's codes, which versions 3, 4 and 5 share. A kind of Data
// lets other streams go on: most of what a query is refused for concerns one kind of record.
// Account Engagement API, Error Codes & Messages.
var codeRules = indexed([]rule{
	// Credentials, permissions and the business unit: nothing works until somebody acts.
	{codes: []int{1, 184}, class: login, kind: martsync.Auth, refused: true, hint: hintToken},
	{codes: []int{15, 131}, kind: martsync.Auth, hint: "The API user cannot log in; check the user in Salesforce."},
	{codes: []int{49}, kind: martsync.Auth, hint: "The API user may not use the API of this business unit; check the user's role in Account Engagement."},
	{codes: []int{53}, kind: martsync.Auth, hint: "This machine's address must be activated for the API user."},
	{codes: []int{76}, kind: martsync.Auth, hint: "The API is disabled for the API user or the business unit."},
	{codes: []int{181, 182}, kind: martsync.Config, hint: hintUnit},
	{codes: []int{185}, kind: martsync.Config, hint: hintUnit},
	{codes: []int{201}, kind: martsync.Config, hint: hintHost},
	{codes: []int{203}, kind: martsync.Config, hint: "The business unit has no administrator; assign one in Salesforce."},
	{codes: []int{126, 199}, kind: martsync.Config, hint: "Something between here and the vendor changes the Authorization header."},
	{codes: []int{46}, kind: martsync.Data, optional: true, hint: "Give the API user a role with the ability to view this kind of record, or leave the stream out."},

	// Limits.
	{codes: []int{66}, class: fewer, kind: martsync.Transient, refused: true, hint: "Other integrations keep the 5 concurrent calls busy; limits.concurrent makes this one use fewer."},
	{codes: []int{122}, class: tomorrow, kind: martsync.Quota, refused: true, hint: hintDaily},

	// Passing trouble.
	{codes: []int{62}, class: again, kind: martsync.Transient},
	{codes: []int{183}, class: again, kind: martsync.Transient, refused: true},
	{codes: []int{63, 202, 214}, class: shrink, kind: martsync.Transient, hint: "The vendor cannot answer so much at once."},
	{codes: []int{178}, kind: martsync.Transient, hint: "The export is not complete yet, or has expired."},
	{codes: []int{210, 211}, class: restart, kind: martsync.Transient},

	// The version.
	{codes: []int{88, 89}, class: swap, kind: martsync.Config, refused: true, hint: "The business unit refuses versions 3 and 4 alike; ask the vendor's support."},
	{codes: []int{22, 192, 198}, kind: martsync.Data, optional: true, hint: "The API does not have this kind of record for this business unit; leave the stream out."},

	// Records that are not there.
	{codes: []int{3, 4, 16, 24, 35, 38, 48, 55, 61, 92, 109, 132}, class: skip, kind: martsync.Data},

	// Requests that are refused as they are.
	{codes: []int{51, 130, 180, 224}, kind: martsync.Data, hint: hintRequest},
	{codes: []int{174, 175, 176, 177}, kind: martsync.Data, hint: hintRequest},
	{codes: []int{
		2, 5, 7, 8, 10, 13, 17, 19, 20, 21, 23, 27, 36, 50, 52, 60, 71, 94, 118, 133, 134, 135, 145, 146,
		150, 151, 152, 153, 154, 166, 209, 228, 231, 232, 10000,
	}, kind: martsync.Data, hint: hintRequest},

	// Of calls that write, which we do not make ourselves.
	{codes: []int{37, 59, 204}, kind: martsync.Data},
})

// httpRules is what a status means where the vendor said no code. RFC 9110.
var httpRules = indexed([]rule{
	{codes: []int{401}, class: login, kind: martsync.Auth, refused: true, hint: "Check the credentials, and that nothing between here and the vendor asks for others."},
	{codes: []int{403, 407}, kind: martsync.Auth, hint: "Something between here and the vendor refuses the call."},
	{codes: []int{404, 410}, kind: martsync.Config, hint: "Check api_host: the API is not there."},
	{codes: []int{301, 302, 303, 307, 308}, kind: martsync.Config, hint: "The API host redirects, which is not followed since the access token would go along; give the host it redirects to as api_host."},
	{codes: []int{408, 425}, class: again, kind: martsync.Transient},
	{codes: []int{429}, class: fewer, kind: martsync.Transient, refused: true},
	{codes: []int{413}, class: shrink, kind: martsync.Transient},
	{codes: []int{414, 431}, kind: martsync.Data, hint: "There are more fields than fit into the address of a call. Version 4 takes them: set streams.<name>.api to v4."},
	{codes: []int{504}, class: shrink, kind: martsync.Transient, once: true, hint: "The vendor cannot answer so much at once."},
})

const (
	hintToken   = "A fresh access token was refused too: the app needs the scope pardot_api, and the login's user must be synced to this business unit (Account Engagement Settings > User Management)."
	hintUnit    = "Check business_unit: it is the id that begins with 0Uv in Setup > Business Unit Setup."
	hintHost    = "Check business_unit, and api_host: sandboxes and developer orgs are on demo (pi.demo.pardot.com), all others on production (pi.pardot.com)."
	hintDaily   = "The business unit's API calls of today are spent; reading goes on after its midnight. Editions without API access say this at the first call."
	hintRequest = "The vendor does not accept this request; please report it with the message."
)

// indexed makes a table of rules by code.
func indexed(rules []rule) map[int]rule {
	m := make(map[int]rule, 128)
	for _, r := range rules {
		for _, code := range r.codes {
			if _, twice := m[code]; twice {
				panic(fmt.Sprintf("pardot: two rules for code %d", code))
			}
			m[code] = r
		}
	}
	return m
}

// ruleFor finds the meaning of e.
func ruleFor(e *apiError) rule {
	if e.vast {
		return rule{class: shrink, kind: martsync.Transient, hint: "The vendor's replies are too large."}
	}
	if e.Code != 0 {
		r, ok := codeRules[e.Code]
		switch {
		case e.Status == http.StatusUnauthorized && (!ok || e.Code == 49):
			return httpRules[http.StatusUnauthorized]
		case ok:
			return r
		case e.Status == http.StatusNotFound:
			return rule{class: skip, kind: martsync.Data}
		case e.Status >= http.StatusInternalServerError:
			return rule{class: again, kind: martsync.Transient}
		}
		// An unknown code stops the stream that met it and lets the others go on.
		return rule{kind: martsync.Data, hint: `The vendor's page "Error Codes & Messages" may say more.`}
	}
	if e.Status == http.StatusNotFound && e.told {
		return rule{class: skip, kind: martsync.Data}
	}
	if e.torn && e.Status >= 400 && e.Status < 500 && e.Status != http.StatusUnauthorized && e.Status != http.StatusTooManyRequests {
		return rule{class: again, kind: martsync.Transient, refused: true}
	}
	if r, ok := httpRules[e.Status]; ok {
		return r
	}
	switch {
	case e.Status >= http.StatusInternalServerError, e.Status < http.StatusMultipleChoices:
		return rule{class: again, kind: martsync.Transient} // the second: no reply in the vendor's form
	case e.Status < http.StatusBadRequest:
		return httpRules[http.StatusFound]
	}
	return rule{kind: martsync.Data, hint: hintRequest}
}

// verdict makes the error that the caller of an operation gets.
func (r rule) verdict(op string, optional bool, e *apiError) *martsync.Error {
	v := &martsync.Error{Kind: r.kind, Op: "pardot: " + op, Hint: r.hint, Err: e}
	if optional && r.optional {
		v.Kind = martsync.Unavailable
	}
	if v.Kind == martsync.Transient {
		v.After = time.Minute
		if r.class == fewer {
			v.After = 5 * time.Minute
		}
	}
	return v
}

// transportError is what became of a call that got no reply, free of URLs.
func transportError(op string, err error) *martsync.Error {
	return &martsync.Error{
		Kind: martsync.Transient, Op: "pardot: " + op, After: time.Minute, Err: fmt.Errorf("no complete reply: %w", httpx.Scrub(err)),
		Hint: "Check that api_host is right and that this machine can reach it (network, DNS, firewall, proxy); if it can, try again later.",
	}
}
