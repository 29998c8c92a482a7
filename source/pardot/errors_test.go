package pardot

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/quick"

	"github.com/martsync/martsync"
)

// vendorCodes is the vendor's list of codes, each with the class that this program is to give
// it: R wait and try again, A take a new token and replay once, D stop until the next day of
// the account, V use the other version, S ask for less, P begin the pages anew, K skip the
// record, F give up.
var vendorCodes = map[string][]int{
	"R": {62, 66, 183},
	"A": {1, 184},
	"D": {122},
	"V": {88, 89},
	"S": {63, 202, 214},
	"P": {210, 211},
	"K": {3, 4, 16, 24, 35, 38, 48, 55, 61, 92, 109, 132},
	"F": {
		2, 5, 7, 8, 10, 13, 15, 17, 19, 20, 21, 22, 23, 27, 36, 37, 46, 49, 50, 51, 52, 53, 59, 60, 71, 76, 94, 118, 126, 130, 131,
		133, 134, 135, 145, 146, 150, 151, 152, 153, 154, 166, 174, 175, 176, 177, 178, 180, 181, 182, 185, 192, 198, 199,
		201, 203, 204, 209, 224, 228, 231, 232, 10000,
	},
}

// classesOf are the classes of this program for each of those of the list.
var classesOf = map[string][]class{
	"R": {again, fewer}, "A": {login}, "D": {tomorrow}, "V": {swap}, "S": {shrink}, "P": {restart}, "K": {skip}, "F": {fatal},
}

func TestEveryCodeHasItsClass(t *testing.T) {
	n := 0
	for letter, codes := range vendorCodes {
		for _, code := range codes {
			n++
			// Version 4 sends errors with status 200, version 5 with others.
			for _, status := range []int{200, 400, 403, 404, 429, 500} {
				r := ruleFor(&apiError{Code: code, Status: status, Message: "x", told: true})
				fits := false
				for _, c := range classesOf[letter] {
					fits = fits || r.class == c
				}
				if !fits {
					t.Errorf("code %d with status %d has class %d, want %s", code, status, r.class, letter)
				}
			}
			if _, ok := codeRules[code]; !ok {
				t.Errorf("code %d is not in the table", code)
			}
		}
	}
	if len(codeRules) != n {
		t.Errorf("the table has %d codes, the vendor's list %d", len(codeRules), n)
	}
}

func TestEveryCodeHasItsKind(t *testing.T) {
	for _, tc := range []struct {
		kind  martsync.Kind
		codes []int
		hint  string
	}{
		{martsync.Auth, []int{1, 184}, "pardot_api"},
		{martsync.Auth, []int{15, 131, 49, 53, 76}, ""},
		{martsync.Config, []int{181, 182, 185}, "business_unit"},
		{martsync.Config, []int{201}, "api_host"},
		{martsync.Config, []int{203, 126, 199, 88, 89}, ""},
		{martsync.Quota, []int{122}, "midnight"},
		{martsync.Transient, []int{62, 63, 66, 178, 183, 202, 210, 211, 214}, ""},
		{martsync.Data, []int{46, 22, 192, 198, 51, 109, 16, 174, 180, 5, 10000, 12345}, ""},
	} {
		for _, code := range tc.codes {
			e := ruleFor(&apiError{Code: code, Status: 200}).verdict("query tags", false, &apiError{Code: code})
			if e.Kind != tc.kind || !strings.Contains(e.Hint, tc.hint) {
				t.Errorf("code %d is %v (%s), want %v and %q", code, e.Kind, e.Hint, tc.kind, tc.hint)
			}
			if e.Op != "pardot: query tags" || codeOf(e) != code || codeOf(fmt.Errorf("around: %w", e)) != code {
				t.Errorf("code %d: operation %q, code %d", code, e.Op, codeOf(e))
			}
		}
	}
	if codeOf(nil) != 0 || codeOf(errors.New("x")) != 0 {
		t.Error("other errors have codes")
	}
}

func TestHostHintNamesBothHosts(t *testing.T) {
	v := newFakeVendor(t, map[string]fakeScript{tagsPath: says(400, failed5(201, "business unit not found"))})
	_, err := v.source(t).client.do(t.Context(), getTags)
	hint := martsync.HintOf(err)
	if martsync.KindOf(err) != martsync.Config || !strings.Contains(hint, "pi.demo.pardot.com") || !strings.Contains(hint, "pi.pardot.com") {
		t.Errorf("got %v (%s)", err, hint)
	}
}

func TestMissingPermission(t *testing.T) {
	denied := says(403, failed5(46, "You do not have permission"))
	v := newFakeVendor(t, map[string]fakeScript{tagsPath: denied, objects5 + "users": denied, objects5 + "emails/7": says(405, failed5(46, "x")), objects5 + "list-emails/7/stats": denied})
	c := v.source(t).client
	if _, err := c.query5(t.Context(), "query users", "users", nil); martsync.KindOf(err) != martsync.Unavailable || !strings.Contains(martsync.HintOf(err), "ability") {
		t.Errorf("users: %v (%v), want unavailable", err, martsync.KindOf(err))
	}
	if _, err := c.query5(t.Context(), "query tags", "tags", nil); martsync.KindOf(err) != martsync.Data {
		t.Errorf("tags: %v (%v), want data: nobody asks for an account without them", err, martsync.KindOf(err))
	}
	if _, err := c.read5(t.Context(), "read stats", "/api/v5/objects/list-emails/7/stats", nil); martsync.KindOf(err) != martsync.Unavailable {
		t.Errorf("stats: %v (%v), want unavailable", err, martsync.KindOf(err))
	}
	if _, err := c.read5(t.Context(), "read email", "emails/7", nil); martsync.KindOf(err) != martsync.Data || codeOf(err) != 46 {
		t.Errorf("email: %v", err)
	}
	if _, err := c.do(t.Context(), request{op: "x", path: tagsPath, optional: true}); martsync.KindOf(err) != martsync.Unavailable {
		t.Errorf("optional: %v (%v), want unavailable", err, martsync.KindOf(err))
	}
}

func TestX03SameErrorInBothVersions(t *testing.T) {
	for _, code := range []int{16, 46, 49, 51, 109, 181, 201, 10000, 31337} {
		text := "The words of the vendor & \"more\""
		v := newFakeVendor(t, map[string]fakeScript{
			tag4Path: says(200, failed4(code, text)), tagsPath: says(400, failed5(code, text)),
			"/api/tag/version/4/do/xml":    says(200, fmt.Sprintf(`<?xml version="1.0" encoding="UTF-8"?><rsp stat="fail" version="1.0"><err code="%d">The words of the vendor &amp; "more"</err></rsp>`, code)),
			"/api/tag/version/4/do/string": says(400, strings.Replace(failed4(code, text), fmt.Sprint(code), fmt.Sprintf("%q", fmt.Sprint(code)), 1)),
			objects5 + "ok":                says(200, failed5(code, text)),
		})
		c := v.source(t).client
		for name, r := range map[string]request{
			"version 4 with status 200": getTags4, "version 5 with status 400": getTags,
			"version 4 in XML":              {op: "query tags", path: "/api/tag/version/{v}/do/xml"},
			"version 4, the code in quotes": {op: "query tags", path: "/api/tag/version/{v}/do/string"},
			"version 5 with status 200":     {op: "query tags", path: objects5 + "ok"},
		} {
			_, err := c.do(t.Context(), r)
			e, ok := errors.AsType[*apiError](err)
			if !ok || e.Code != code || e.Message != text || codeOf(err) != code {
				t.Errorf("%s, code %d: %v", name, code, err)
				continue
			}
			if want := ruleFor(&apiError{Code: code, Status: 200}).kind; martsync.KindOf(err) != want {
				t.Errorf("%s, code %d: kind %v, want %v", name, code, martsync.KindOf(err), want)
			}
			if want := r.version(); e.Version != want {
				t.Errorf("%s: version %s, want %s", name, e.Version, want)
			}
			if want := fmt.Sprintf("pardot: query tags: vendor error %d: %s", code, text); err.Error() != want {
				t.Errorf("%s: %q, want %q", name, err, want)
			}
		}
	}
}

func TestSeveralErrorsAtOnce(t *testing.T) {
	_, err := parse(v4, 200, []byte(`<rsp stat="fail" version="1.0"><err code="10000" param="limit">Bad limit</err><err code="10000" param="sort_by">Bad sort</err></rsp>`))
	if codeOf(err) != 10000 || !strings.Contains(err.Error(), "limit: Bad limit; sort_by: Bad sort") {
		t.Errorf("got %v", err)
	}
	_, err = parse(v4, 200, []byte(`{"@attributes":{"stat":"fail","err_code":10000},"err":[{"@attributes":{"param":"limit"}}]}`))
	if codeOf(err) != 10000 || !strings.Contains(err.Error(), "limit") {
		t.Errorf("got %v", err)
	}
}

func TestParse(t *testing.T) {
	for _, tc := range []struct {
		name    string
		version version
		status  int
		body    string
		code    int
		ok      bool
	}{
		{"version 4", v4, 200, fine4, 0, true},
		{"version 4, a byte order mark", v4, 200, "\xef\xbb\xbf" + fine4, 0, true},
		{"version 4 without attributes", v4, 200, `{"result":null}`, 0, true},
		{"version 4, a bare record", v4, 200, `{"id":8001,"state":"Complete"}`, 0, true},
		{"version 4, attributes without stat", v4, 200, `{"@attributes":{"version":1},"result":{}}`, 0, true},
		{"version 4, unknown stat", v4, 200, `{"@attributes":{"stat":"odd"},"err":"hm"}`, 0, false},
		{"version 4, no code", v4, 200, `{"@attributes":{"stat":"fail"},"err":"hm"}`, 0, false},
		{"version 4, no stat but a code", v4, 200, `{"@attributes":{"err_code":49},"err":"hm"}`, 49, false},
		{"version 4, error of a gateway that knows version 5", v4, 401, failed5(184, "x"), 184, false},
		{"version 4, nothing", v4, 200, `{}`, 0, false},
		{"version 4, ok in XML", v4, 200, `<rsp stat="ok"><result/></rsp>`, 0, false},
		{"version 5", v5, 200, fine5, 0, true},
		{"version 5, a record with a member code", v5, 200, `{"id":7,"code":51,"message":"text of a record"}`, 0, true},
		{"version 5, a record with values", v5, 200, `{"id":7,"values":[{"id":1}]}`, 0, true},
		{"version 5, values of another type", v5, 200, `{"id":7,"values":{"x":1}}`, 0, true},
		{"version 5, code without message", v5, 400, `{"code":51}`, 51, false},
		{"version 5, not found without a code", v5, 404, `{"error":"x"}`, 0, false},
		{"an array", v5, 200, `[]`, 0, false},
		{"text", v5, 200, `"x"`, 0, false},
		{"number", v5, 200, `5`, 0, false},
		{"null", v5, 200, `null`, 0, false},
		{"nothing at all", v5, 200, ``, 0, false},
		{"HTML", v5, 200, `<!DOCTYPE html><html>`, 0, false},
		{"cut", v5, 200, `{"values":[{"id":1},`, 0, false},
		{"status 500 with a good body", v5, 500, fine5, 0, false},
	} {
		_, err := parse(tc.version, tc.status, []byte(tc.body))
		if (err == nil) != tc.ok || codeOf(err) != tc.code {
			t.Errorf("%s: %v, want success: %v and code %d", tc.name, err, tc.ok, tc.code)
		}
		if e, ok := errors.AsType[*apiError](err); err != nil && (!ok || e.Status != tc.status) {
			t.Errorf("%s: %v is no apiError of status %d", tc.name, err, tc.status)
		}
	}
	_, err := parse(v5, 200, make([]byte, mostReply+1))
	if !tooSlow(err) {
		t.Errorf("a vast reply: %v, want one that is asked for in smaller pieces", err)
	}
}

func TestUnreadable(t *testing.T) {
	for _, tc := range []struct {
		e    apiError
		want bool
	}{
		{apiError{Code: 16, Status: 200}, true},
		{apiError{Code: 109, Status: 200}, true},
		{apiError{Code: 109, Status: 404}, true},
		{apiError{Code: 132, Status: 400}, true},
		{apiError{Code: 4711, Status: 404}, true},
		{apiError{Status: 404, told: true}, true},
		{apiError{Status: 404}, false}, // a proxy's: the API is not there
		{apiError{Code: 198, Status: 404}, false},
		{apiError{Code: 46, Status: 403}, false},
		{apiError{Code: 122, Status: 404}, false},
		{apiError{Status: 500}, false},
	} {
		if got := unreadable(&martsync.Error{Err: &tc.e}); got != tc.want {
			t.Errorf("%+v: %v", tc.e, got)
		}
	}
	if unreadable(nil) || unreadable(errors.New("x")) {
		t.Error("other errors are unreadable records")
	}
}

func TestUnknownField(t *testing.T) {
	for _, tc := range []struct {
		code    int
		message string
		want    string
	}{
		{51, "Invalid parameter: fields. It contains an invalid or unknown field: kiteSize.", "kiteSize"},
		{51, "Invalid parameter: fields. It contains an invalid or unknown field: kiteSize__c.", "kiteSize__c"},
		{51, "Invalid parameter: fields. It contains an invalid or unknown field: senderOptions.type.", "senderOptions.type"},
		{51, "Invalid parameter: fields. It contains an invalid or unknown field: a, b.", "a"},
		{51, "Invalid parameter: fields. It contains an invalid or unknown field: 'x1'", "x1"},
		{224, "The following fields are not queryable: htmlMessage", "htmlMessage"},
		{180, "Field is not valid: notes", "notes"},
		{180, `Field "notes" is not valid for this create`, "notes"},
		{130, "One or more fields are invalid: grade, notes", "grade"},
		{130, "'grade' is not a valid field", "grade"},
		{51, "Invalid parameter: Parameter updatedAtBefore is invalid.", ""},
		{51, "Invalid parameter: orderBy.", ""},
		{224, "Fields are not queryable", ""},
		{13, "One or more required parameters are missing: fields", ""},
		{0, "It contains an invalid or unknown field: x", ""},
	} {
		if got := unknownField(&apiError{Code: tc.code, Message: tc.message}); got != tc.want {
			t.Errorf("%d %q: %q, want %q", tc.code, tc.message, got, tc.want)
		}
	}
	if unknownField(nil) != "" || unknownField(errors.New("field: x")) != "" {
		t.Error("other errors name fields")
	}
}

func TestMendedJSON(t *testing.T) {
	if mend([]byte(`{"a":"b\n"}`)) != nil {
		t.Error("good JSON is mended")
	}
	for text, want := range map[string]string{
		"{\"a\":\"x\ny\x00\\\"\tz\"}": "x\ny\x00\"\tz",
		"{\n\t\"a\" : \"\x01\"\n}":    "\x01",
	} {
		var v struct{ A string }
		if err := unmarshal([]byte(text), &v); err != nil || v.A != want {
			t.Errorf("%q: %q, %v, want %q", text, v.A, err, want)
		}
	}
	// Whatever stands in a string survives, however it is escaped.
	if err := quick.Check(func(s string) bool {
		good, _ := json.Marshal(map[string]string{"a": s})
		raw := strings.NewReplacer(`\n`, "\n", `\t`, "\t", `\u0000`, "\x00", `\u0001`, "\x01")
		var v, w struct{ A string }
		return unmarshal(good, &v) == nil && (strings.Contains(s, `\`) || unmarshal([]byte(raw.Replace(string(good))), &w) == nil && v.A == w.A)
	}, nil); err != nil {
		t.Error(err)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		fine4, fine5, failed4(184, "x"), failed5(51, "x"), `<rsp stat="fail"><err code="1">x</err></rsp>`, "{}", "", "[", "{\"a\":\"\n\"}",
		`{"@attributes":null,"result":[]}`, `{"code":"51","message":{}}`,
	} {
		f.Add(s, 200, true)
		f.Add(s, 404, false)
	}
	f.Fuzz(func(t *testing.T, body string, status int, old bool) {
		v := v5
		if old {
			v = v4
		}
		e, err := parse(v, status, []byte(body))
		if err == nil {
			if status < 200 || status > 299 {
				t.Fatalf("status %d is a success", status)
			}
			if e.Attributes != nil && e.Attributes.Stat != "" && !strings.EqualFold(e.Attributes.Stat, "ok") {
				t.Fatalf("stat %q is a success", e.Attributes.Stat)
			}
			return
		}
		a, ok := errors.AsType[*apiError](err)
		if !ok {
			t.Fatalf("%v is no apiError", err)
		}
		r := ruleFor(a)
		if v := r.verdict("op", true, a); v.Error() == "" || v.Kind == martsync.Internal {
			t.Fatalf("%q: %v", v, v.Kind)
		}
	})
}

func FuzzUnknownField(f *testing.F) {
	f.Add(51, "Invalid parameter: fields. It contains an invalid or unknown field: kiteSize.")
	f.Add(180, `Field "notes" is not valid`)
	f.Fuzz(func(t *testing.T, code int, message string) {
		name := unknownField(&apiError{Code: code, Message: message})
		if !strings.Contains(message, name) || strings.ContainsAny(name, " ,:'\"") || strings.HasSuffix(name, ".") {
			t.Errorf("%q in %q", name, message)
		}
	})
}
