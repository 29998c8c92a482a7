package marketo

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/setting"
)

// at noon UTC the next reset is 18 hours away, in winter and in summer.
var noon = time.Date(2026, 3, 8, 12, 0, 0, 0, time.UTC)

const toReset = 18 * time.Hour

// TestErrorTable has a row for each row of the vendor's page "Error Codes" and for each
// status of HTTP.
func TestErrorTable(t *testing.T) {
	const (
		lead   = "/rest/v1/leads.json"
		create = "/bulk/v1/leads/export/create.json"
		file   = "/bulk/v1/leads/export/1/file.json"
		status = "/bulk/v1/leads/export/1/status.json"
	)
	for _, tc := range []struct {
		code, message, path string
		status              int
		kind, optional      martsync.Kind // where the stream is optional, if that differs
		act                 action
		after               time.Duration
		is                  error
	}{
		// Response level.
		{code: "500", message: "Internal error", kind: martsync.Transient, act: again, after: time.Minute},
		{code: "502", message: "Bad gateway", kind: martsync.Transient, act: again, after: time.Minute},
		{code: "600", message: "Empty access token", kind: martsync.Internal},
		{code: "601", message: "Access token invalid", kind: martsync.Auth, act: login},
		{code: "601", message: "Unauthorized", kind: martsync.Auth, act: login},
		{code: "602", message: "Access token expired", kind: martsync.Auth, act: login},
		{code: "602", message: "Access Token Expired", kind: martsync.Auth, act: login},
		{code: "603", message: "Access denied", kind: martsync.Auth, optional: martsync.Unavailable},
		{code: "604", message: "Request timed out", kind: martsync.Transient, act: again, after: time.Minute},
		{code: "605", message: "Request method 'POST' not supported", kind: martsync.Internal},
		{code: "606", message: "Max rate limit '100' exceeded with in '20' secs", kind: martsync.Transient, act: slow, after: time.Minute},
		{code: "607", message: "Daily quota '50000' reached", kind: martsync.Quota, after: toReset},
		{code: "608", message: "API Temporarily Unavailable", kind: martsync.Transient, act: again, after: time.Minute},
		{code: "609", message: "Invalid JSON", kind: martsync.Internal},
		{code: "610", message: "Requested resource not found", kind: martsync.Unavailable},
		{code: "611", message: "System error", kind: martsync.Transient, act: again, after: time.Minute},
		{code: "612", message: "Invalid Content Type", kind: martsync.Internal},
		{code: "613", message: "Invalid multipart request", kind: martsync.Internal},
		{code: "614", message: "Invalid subscription", kind: martsync.Transient, after: 5 * time.Minute},
		{code: "615", message: "Concurrent access limit '10' reached", kind: martsync.Transient, act: fewer, after: time.Minute},
		{code: "616", message: "Invalid subscription type", kind: martsync.Unavailable},
		{code: "701", message: "name cannot be blank", kind: martsync.Internal},
		{code: "702", message: "No data found", kind: martsync.Data},
		{code: "703", message: "Feature not enabled", kind: martsync.Unavailable},
		{code: "704", message: "Invalid date format", kind: martsync.Internal},
		{code: "709", kind: martsync.Data},
		{code: "710", kind: martsync.Data},
		{code: "711", kind: martsync.Data},
		{code: "712", kind: martsync.Data},
		{code: "713", message: "Transient error", kind: martsync.Transient, act: again, after: time.Minute},
		{code: "714", kind: martsync.Data},
		{code: "718", message: "ExternalSalesPersonID not found", kind: martsync.Data},
		{code: "719", message: "Lock wait timeout", kind: martsync.Transient, act: again, after: time.Minute},

		// Record level and request validation.
		{code: "1001", message: "Invalid value 'x'. Required of type 'Integer'", kind: martsync.Internal},
		{code: "1002", message: "Missing value for the required parameter 'x'", kind: martsync.Internal},
		{code: "1003", message: "Invalid Data", kind: martsync.Data},
		{code: "1004", message: "Lead not found", kind: martsync.Data},
		{code: "1005", message: "Lead already exists", kind: martsync.Data},
		{code: "1006", message: "Field 'x' not found", kind: martsync.Data},
		{code: "1006", message: "Lookup field 'x' not found", kind: martsync.Data},
		{code: "1007", kind: martsync.Data},
		{code: "1008", message: "access denied to partition 'x'", kind: martsync.Auth},
		{code: "1009", kind: martsync.Data},
		{code: "1010", kind: martsync.Data},
		{code: "1011", message: "Field 'x' not supported", kind: martsync.Data},
		{code: "1012", kind: martsync.Data},
		{code: "1013", message: "Object not found", kind: martsync.Data},
		{code: "1013", message: "Object not found", path: status, kind: martsync.Transient, is: errGone},
		{code: "1014", kind: martsync.Data},
		{code: "1015", kind: martsync.Data},
		{code: "1016", message: "There are 10 imports currently being processed. Please try again later", kind: martsync.Pending, after: time.Minute},
		{code: "1017", kind: martsync.Data},
		{code: "1018", message: "CRM enabled", kind: martsync.Unavailable},
		{code: "1019", message: "Import in progress", kind: martsync.Pending, after: time.Minute},
		{code: "1020", message: "Too many clones", kind: martsync.Quota, after: toReset},
		{code: "1021", kind: martsync.Data},
		{code: "1022", kind: martsync.Data},
		{code: "1025", kind: martsync.Data},
		{code: "1026", message: "Custom object not enabled", kind: martsync.Unavailable},
		{code: "1027", kind: martsync.Data},
		{code: "1028", kind: martsync.Data},
		{code: "1036", kind: martsync.Data},
		{code: "1037", message: "Lead not in program", kind: martsync.Data},
		{code: "1042", kind: martsync.Data},
		{code: "1048", kind: martsync.Data},
		{code: "1049", kind: martsync.Data},
		{code: "1076", kind: martsync.Data},
		{code: "1077", message: "Value for field exceeds max length", kind: martsync.Data},
		{code: "1078", kind: martsync.Data},
		{code: "1079", kind: martsync.Data},
		{code: "1080", kind: martsync.Data},

		// Codes with several meanings.
		{code: "1029", message: "Too many jobs (10) in queue", path: create, kind: martsync.Pending, after: time.Minute},
		{code: "1029", message: "Too many jobs in queue", path: create, kind: martsync.Pending, after: time.Minute},
		{code: "1029", message: "Export daily quota 500MB exceeded.", path: create, kind: martsync.Quota, after: toReset},
		{code: "1029", message: "Export daily quota 10240MB exceeded", path: create, kind: martsync.Quota, after: toReset},
		{code: "1029", message: "Job already queued", path: create, kind: martsync.Pending, after: time.Minute, is: errAlreadyQueued},
		{code: "1029", message: "something about a completed job", path: create, kind: martsync.Pending, after: time.Minute},
		{code: "1035", message: "Unsupported filter type for target subscription: updatedAt", path: create, kind: martsync.Unavailable},
		{code: "1003", message: "Too many results match the filter", path: lead, kind: martsync.Internal},
		{code: "1003", message: "Invalid fields: foo", path: create, kind: martsync.Data},
		{code: "1003", message: "Total membership size: 100,001 exceeds the limit allowed 100,000 for the filter", kind: martsync.Unavailable},
		{code: "1003", message: "Matching membership size: 100,001 exceeds the limit allowed (100,000) for this api", kind: martsync.Unavailable},
		{code: "1003", message: "The static list has too many records", kind: martsync.Data},
		{code: "1234", message: "Invalid value specified for attribute 'filter'", path: create, kind: martsync.Data},

		// HTTP.
		{status: 200, kind: martsync.Transient, act: again, after: time.Minute},
		{status: 206, path: file, kind: martsync.Transient, act: again, after: time.Minute},
		{status: 301, kind: martsync.Config},
		{status: 308, kind: martsync.Config},
		{status: 400, kind: martsync.Internal},
		{status: 401, kind: martsync.Auth, act: login},
		{status: 403, kind: martsync.Auth},
		{status: 404, kind: martsync.Config},
		{status: 404, path: file, kind: martsync.Transient, is: errGone},
		{status: 413, kind: martsync.Internal},
		{status: 414, kind: martsync.Internal},
		{status: 416, path: file, kind: martsync.Transient, act: again, after: time.Minute},
		{status: 429, kind: martsync.Transient, act: slow, after: time.Minute},
		{status: 500, kind: martsync.Transient, act: again, after: time.Minute},
		{status: 502, kind: martsync.Transient, act: again, after: time.Minute},
		{status: 503, kind: martsync.Transient, act: again, after: time.Minute},
		{status: 504, kind: martsync.Transient, act: again, after: time.Minute},
		{status: 599, kind: martsync.Transient, act: again, after: time.Minute},
		{status: 418, kind: martsync.Data},
	} {
		name := strings.TrimSpace(tc.code + " " + tc.message)
		e := &apiError{Code: tc.code, Message: tc.message, RequestID: "a#1", Status: setting.Or(tc.status, 200)}
		if tc.code == "" {
			name = e.Error()
		}
		t.Run(name, func(t *testing.T) {
			path := setting.Or(tc.path, lead)
			r := ruleFor(e, path)
			v := r.verdict("read things", false, e, noon)
			if v.Kind != tc.kind || r.act != tc.act || v.After != tc.after {
				t.Errorf("got kind %v, action %d, after %v, want %v, %d, %v", v.Kind, r.act, v.After, tc.kind, tc.act, tc.after)
			}
			if want := setting.Or(tc.optional, tc.kind); r.verdict("read things", true, e, noon).Kind != want {
				t.Errorf("where it is optional: got kind %v, want %v", r.verdict("read things", true, e, noon).Kind, want)
			}
			if errors.Is(v, errGone) != (tc.is == errGone) || errors.Is(v, errAlreadyQueued) != (tc.is == errAlreadyQueued) { //nolint:errorlint // which of the two the row names
				t.Errorf("gone %v, already queued %v, want %v", errors.Is(v, errGone), errors.Is(v, errAlreadyQueued), tc.is)
			}
			if tc.code != "" && !isCode(v, tc.code) || isCode(v, "999") {
				t.Errorf("isCode does not tell %s", tc.code)
			}
			if text := v.Error(); !strings.HasPrefix(text, "marketo: read things: ") || !strings.Contains(text, tc.message) || !strings.Contains(text, "(request a#1)") {
				t.Errorf("the text %q lacks something", text)
			}
			needsHint := v.Kind != martsync.Transient && v.Kind != martsync.Pending && v.Kind != martsync.Data
			if needsHint && v.Hint == "" && tc.code != "1020" {
				t.Error("nobody is told what to do")
			}
		})
	}
}

// TestErrorTableHasNoDeadRule checks that every rule can be reached: an earlier one with a
// wider match would hide it.
func TestErrorTableHasNoDeadRule(t *testing.T) {
	for i, r := range rules {
		for _, code := range r.codes {
			e := &apiError{Message: r.text, Status: 200}
			if status, ok := strings.CutPrefix(code, "HTTP "); ok {
				for _, c := range status {
					e.Status = e.Status%100*10 + int(c-'0')
				}
			} else {
				e.Code = code
			}
			got := ruleFor(e, r.path)
			if got.kind != r.kind || got.act != r.act || got.hint != r.hint || got.is != r.is || got.after != r.after { //nolint:errorlint // the very value
				t.Errorf("rule %d (%s %q) is hidden by another one", i, code, r.text)
			}
		}
	}
}
