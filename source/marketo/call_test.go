package marketo

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/martsync/martsync"
)

func TestCall(t *testing.T) {
	v := newFakeVendor(t, map[string]script{
		thing: func(n int, w http.ResponseWriter, r *http.Request) {
			if n%3 < 2 { // refusals that pass
				replies(faulty([]string{"602", "606"}[n%3], "come again"))(n, w, r)
				return
			}
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, r.Method+" "+r.URL.RawQuery+" "+r.Header.Get("Content-Type")+" "+r.Header.Get("Authorization"))
		},
		"/wrong.json": replies(faulty("1003", "Invalid Data")),
		filePath:      served([]byte("id\n1\n")),
		"/page.html": func(_ int, w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusNotFound)
			_, _ = io.WriteString(w, "<p>not here")
		},
	})
	s := v.source(t)
	for _, tc := range []struct {
		method, path, body string
		status             int
		want               string
	}{
		{"get", thing + "?b=2&a=%20x", "", 200, "GET a=+x&b=2  Bearer token-2"},
		{"", thing, "", 200, "GET   Bearer token-3"},
		{"POST", thing + "?_method=GET", `{"a":1}`, 200, "POST _method=GET application/json Bearer token-4"},
		{"POST", thing, "a=1&b=2", 200, "POST  application/x-www-form-urlencoded Bearer token-5"},
		{"GET", "/wrong.json", "", 200, faulty("1003", "Invalid Data")}, // the vendor's own words
		{"GET", "/nothing.json", "", 200, faulty("610", "Requested resource not found")},
		{"GET", filePath, "", 200, "id\n1\n"},
		{"GET", "/page.html", "", 404, "<p>not here"},
	} {
		var body io.Reader
		if tc.body != "" {
			body = strings.NewReader(tc.body)
		}
		resp, err := s.Call(t.Context(), tc.method, tc.path, body)
		if err != nil {
			t.Errorf("%s %s: %v", tc.method, tc.path, err)
			continue
		}
		got, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil || resp.StatusCode != tc.status || string(got) != tc.want {
			t.Errorf("%s %s: %d %q, %v, want %d %q", tc.method, tc.path, resp.StatusCode, got, err, tc.status, tc.want)
		}
	}
	for _, path := range []string{"https://elsewhere.example/rest/v1/leads.json", "//elsewhere.example/x", "rest/v1/leads.json", "", "%"} {
		if resp, err := s.Call(t.Context(), "GET", path, nil); martsync.KindOf(err) != martsync.Config || err == nil {
			if resp != nil {
				_ = resp.Body.Close()
			}
			t.Errorf("path %q: %v, want an error of the configuration: the token goes to the vendor only", path, err)
		}
	}
}

func TestCallDoesNotRepeatWhatMayHaveHappened(t *testing.T) {
	v := newFakeVendor(t, map[string]script{thing: func(int, http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }})
	resp, err := v.source(t).Call(t.Context(), "POST", thing, strings.NewReader("{}"))
	if err == nil {
		_ = resp.Body.Close()
	}
	if martsync.KindOf(err) != martsync.Transient || v.count(thing) != 1 {
		t.Errorf("got %v after %d calls, want a transient error after one", err, v.count(thing))
	}
}
