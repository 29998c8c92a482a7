package pardot

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/martsync/martsync"
)

func ok4body(members string) string {
	return `{"@attributes":{"stat":"ok","version":1}` + members + `}`
}

func TestX04PagesOfVersion4(t *testing.T) {
	many := func(n int) string {
		rows := make([]string, n)
		for i := range rows {
			rows[i] = fmt.Sprintf(`{"id":%d}`, i+1)
		}
		return "[" + strings.Join(rows, ",") + "]"
	}
	const one = `{"id":7,"name":"vip \/ \u0041"}`
	for _, tc := range []struct {
		name  string
		body  string
		rows  int
		total int64
		more  bool
	}{
		{"two rows", ok4body(`,"result":{"total_results":2,"tag":[{"id":1},{"id":2}]}`), 2, 2, false},
		{"one row is an object", ok4body(`,"result":{"total_results":1,"tag":` + one + `}`), 1, 1, false},
		{"one row in bulk", ok4body(`,"result":{"tag":` + one + `}`), 1, -1, false},
		{"one row in an array", ok4body(`,"result":{"tag":[` + one + `]}`), 1, -1, false},
		{"exactly a full page", ok4body(`,"result":{"total_results":200,"tag":` + many(200) + `}`), 200, 200, false},
		{"more than a page", ok4body(`,"result":{"total_results":201,"tag":` + many(200) + `}`), 200, 201, true},
		{"full page in bulk", ok4body(`,"result":{"tag":` + many(200) + `}`), 200, -1, false},
		{"no rows", ok4body(`,"result":{"total_results":0}`), 0, 0, false},
		{"no rows, total as text", ok4body(`,"result":{"total_results":"0"}`), 0, 0, false},
		{"no rows, result is null", ok4body(`,"result":null`), 0, -1, false},
		{"no rows, result is an array", ok4body(`,"result":[]`), 0, -1, false},
		{"no rows, result is text", ok4body(`,"result":""`), 0, -1, false},
		{"no rows, result is empty", ok4body(`,"result":{}`), 0, -1, false},
		{"no rows, no result", ok4body(``), 0, -1, false},
		{"no rows, no frame", `{"result":null}`, 0, -1, false},
		{"no rows, key is null", ok4body(`,"result":{"tag":null}`), 0, -1, false},
		{"no rows, key is an array", ok4body(`,"result":{"tag":[]}`), 0, -1, false},
		{"no rows, key is text", ok4body(`,"result":{"tag":""}`), 0, -1, false},
		{"key in another style", ok4body(`,"result":{"total_results":1,"Tag":` + one + `}`), 1, 1, false},
		{"spaces", "{ \"@attributes\" : {\"stat\":\"ok\"} ,\n \"result\" : { \"tag\" : [ {\"id\":1} ,\n {\"id\":2} ] } }", 2, -1, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			v := newFakeVendor(t, map[string]fakeScript{tag4Path: says(200, tc.body)})
			p, err := v.source(t).client.query4(t.Context(), "query tags", tagResource, url.Values{"limit": {"200"}})
			if err != nil {
				t.Fatal(err)
			}
			if len(p.rows) != tc.rows || p.total != tc.total || p.more != tc.more || p.calls != 1 || p.bytes != int64(len(tc.body)) {
				t.Errorf("%d rows of %d, more %v, %d calls, %d bytes, want %d of %d, %v, 1, %d",
					len(p.rows), p.total, p.more, p.calls, p.bytes, tc.rows, tc.total, tc.more, len(tc.body))
			}
			if tc.rows == 1 && strings.Contains(tc.body, one) && string(p.rows[0]) != one {
				t.Errorf("row %s, want it as it came: %s", p.rows[0], one)
			}
		})
	}
}

func TestX04RepliesThatAreNoPages(t *testing.T) {
	for _, tc := range []struct{ name, body string }{
		{"empty object", `{}`},
		{"rows are announced and missing", ok4body(`,"result":{"total_results":3}`)},
		{"rows are numbers", ok4body(`,"result":{"tag":[1,2]}`)},
		{"one row is text", ok4body(`,"result":{"tag":"x"}`)},
		{"result is a number", ok4body(`,"result":5`)},
		{"rows under several other keys", ok4body(`,"result":{"a":[{"id":1}],"b":[{"id":1}]}`)},
		{"another frame", `{"items":[{"id":1}]}`},
		{"HTML", `<html>`},
		{"cut", `{"@attributes":{"stat":"ok"},"result":{"tag":[{"id":1}`},
	} {
		v := newFakeVendor(t, map[string]fakeScript{tag4Path: says(200, tc.body), tagsPath: says(200, tc.body)})
		c := v.source(t).client
		if p, err := c.query4(t.Context(), "query tags", tagResource, nil); martsync.KindOf(err) != martsync.Transient {
			t.Errorf("version 4, %s: %+v, %v, want a transient error", tc.name, p, err)
		}
		if p, err := c.query5(t.Context(), "query tags", "tags", nil); martsync.KindOf(err) != martsync.Transient {
			t.Errorf("version 5, %s: %+v, %v, want a transient error", tc.name, p, err)
		}
	}
}

func TestX04PagesOfVersion5(t *testing.T) {
	for _, tc := range []struct {
		name     string
		body     string
		warnings []string
		rows     int
		more     bool
		warning  string
	}{
		{"with a token", `{"nextPageToken":"U0lN","nextPageUrl":"x","values":[{"id":1},{"id":2}]}`, nil, 2, true, ""},
		{"last page", `{"nextPageToken":null,"nextPageUrl":null,"values":[{"id":1}]}`, nil, 1, false, ""},
		{"no rows", fine5, nil, 0, false, ""},
		{"values are null", `{"values":null}`, nil, 0, false, ""},
		{"no token at all", `{"values":[{"id":1}]}`, nil, 1, false, ""},
		{"an empty token", `{"nextPageToken":"","values":[{"id":1}]}`, nil, 1, false, ""},
		{"sequence cut at 100,000", `{"nextPageToken":null,"values":[{"id":1}]}`, []string{"203;Record count for nextPageToken sequence has been exceeded. No page token returned."}, 1, true, ""},
		{"values withheld", `{"nextPageToken":null,"values":[{"id":1}]}`, []string{"202;Record(s) have been redacted"}, 1, false, "202;Record(s) have been redacted"},
		{"two warnings", `{"nextPageToken":null,"values":[{"id":1}]}`, []string{"203;x", "202;y"}, 1, true, "202;y"},
		{"two warnings the other way round", `{"nextPageToken":null,"values":[{"id":1}]}`, []string{"202;y", "201;Record In Recycle Bin"}, 1, false, "202;y"},
		{"two warnings in a line", `{"nextPageToken":null,"values":[{"id":1}]}`, []string{"201;x, 202;y, 203;z"}, 1, true, "201;x, 202;y, 203;z"},
		{"a warning about the bin", `{"nextPageToken":null,"values":[{"id":1}]}`, []string{"201;Record In Recycle Bin"}, 1, false, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			v := newFakeVendor(t, map[string]fakeScript{tagsPath: func(_ int, w http.ResponseWriter, r *http.Request) {
				for _, x := range tc.warnings {
					w.Header().Add("Pardot-Warning", x)
				}
				says(200, tc.body)(0, w, r)
			}})
			p, err := v.source(t).client.query5(t.Context(), "query tags", "tags", url.Values{"fields": {"id"}})
			if err != nil {
				t.Fatal(err)
			}
			if len(p.rows) != tc.rows || p.total != -1 || p.more != tc.more || p.warning != tc.warning || p.calls != 1 {
				t.Errorf("got %d rows, total %d, more %v, warning %q, want %d, -1, %v, %q", len(p.rows), p.total, p.more, p.warning, tc.rows, tc.more, tc.warning)
			}
		})
	}
}

func TestRecords(t *testing.T) {
	v := newFakeVendor(t, map[string]fakeScript{
		"/api/email/version/4/do/read/id/1": says(200, ok4body(`,"email":{"id":1}`)),
		"/api/email/version/4/do/read/id/2": says(200, `{"id":2}`),
		"/api/email/version/4/do/read/id/3": says(200, ok4body(`,"email":[{"id":3}]`)),
		"/api/email/version/4/do/read/id/4": says(200, failed4(109, "Record not found")),
		"/api/email/version/4/do/read/id/5": says(200, ok4body(`,"email":""`)),
		objects5 + "emails/1":               says(200, `{"id":1,"values":[{"id":9}]}`),
		objects5 + "emails/2":               says(200, `{"values":[{"id":2}]}`),
		objects5 + "emails/3":               says(200, `{"values":[]}`),
		objects5 + "emails/4":               says(404, failed5(109, "Record not found")),
		objects5 + "emails/5":               says(404, `{"message":"gone"}`),
		objects5 + "emails/6":               says(200, `{"sent":5}`),
	})
	c := v.source(t).client
	for _, path := range []string{"email/do/read/id/1", "/api/email/version/{v}/do/read/id/1"} {
		if raw, err := c.read4(t.Context(), "read email", path, "email", url.Values{"include_message": {"false"}}); err != nil || string(raw) != `{"id":1}` {
			t.Errorf("%s: %s, %v", path, raw, err)
		}
	}
	for id, want := range map[int]string{2: `{"id":2}`, 3: `{"id":3}`} {
		if raw, err := c.read4(t.Context(), "read email", fmt.Sprintf("email/do/read/id/%d", id), "email", nil); err != nil || string(raw) != want {
			t.Errorf("version 4, %d: %s, %v", id, raw, err)
		}
	}
	if _, err := c.read4(t.Context(), "read email", "email/do/read/id/4", "email", nil); !unreadable(err) {
		t.Errorf("deleted: %v", err)
	}
	if _, err := c.read4(t.Context(), "read email", "email/do/read/id/5", "email", nil); martsync.KindOf(err) != martsync.Transient {
		t.Errorf("no record: %v", err)
	}
	for id, want := range map[int]string{1: `{"id":1,"values":[{"id":9}]}`, 2: `{"id":2}`, 6: `{"sent":5}`} {
		if raw, err := c.read5(t.Context(), "read email", fmt.Sprintf("emails/%d", id), nil); err != nil || string(raw) != want {
			t.Errorf("version 5, %d: %s, %v", id, raw, err)
		}
	}
	for id := 3; id <= 5; id++ {
		if _, err := c.read5(t.Context(), "read email", fmt.Sprintf("/api/v5/objects/emails/%d", id), nil); !unreadable(err) || martsync.KindOf(err) != martsync.Data {
			t.Errorf("version 5, %d: %v, want an unreadable record", id, err)
		}
	}
}

func TestEmptyPageWithMoreBehindIt(t *testing.T) {
	empty := func(token, warning string) fakeScript {
		return func(_ int, w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Pardot-Warning", warning)
			says(200, `{"nextPageToken":`+token+`,"values":[]}`)(0, w, r)
		}
	}
	for _, tc := range []struct {
		name  string
		reply fakeScript
		fails bool
		calls int
	}{
		{"rows come later", inTurn(empty(`"a"`, "202;x"), empty(`"b"`, ""), says(200, `{"nextPageToken":"c","values":[{"id":7}]}`)), false, 3},
		{"the end comes later", inTurn(empty(`"a"`, "202;x"), says(200, fine5)), false, 2},
		{"the sequence ends", inTurn(empty(`"a"`, "202;x"), empty(`null`, "203;x")), true, 2},
		{"nothing ends", empty(`"a"`, "202;x"), true, 101},
	} {
		t.Run(tc.name, func(t *testing.T) {
			v := newFakeVendor(t, map[string]fakeScript{tagsPath: tc.reply, objects5 + "account": says(200, `{"apiCallsUsed":1,"maximumDailyApiCalls":25000}`)})
			p, err := v.source(t).client.query5(t.Context(), "query tags", "tags", url.Values{"fields": {"id"}, "limit": {"1000"}, "orderBy": {"id"}})
			if n := v.count(tagsPath); n != tc.calls {
				t.Errorf("%d calls, want %d", n, tc.calls)
			}
			for i, r := range v.requests(tagsPath) {
				if i > 0 && (len(r.Form) != 2 || r.Form.Get("fields") != "id" || r.Form.Get("nextPageToken") == "") {
					t.Errorf("call %d: %v, want the fields and the token alone", i, r.Form)
				}
			}
			switch {
			case tc.fails:
				if martsync.KindOf(err) != martsync.Data || martsync.HintOf(err) == "" {
					t.Errorf("got %v (%v), want an error about data with a hint: what is behind the page would be missing", err, martsync.KindOf(err))
				}
			case err != nil:
				t.Error(err)
			case p.warning != "202;x" || p.calls != int64(tc.calls):
				t.Errorf("warning %q after %d calls, want that of the first page after %d", p.warning, p.calls, tc.calls)
			}
		})
	}
}
