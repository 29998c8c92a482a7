package pardot

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/martsync/martsync"
)

func TestCall(t *testing.T) {
	echo := func(_ int, w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"id":1,"echo":"`+r.Method+" "+r.URL.RawQuery+" "+r.Header.Get("Content-Type")+`"}`)
	}
	v := newFakeVendor(t, map[string]fakeScript{
		objects5 + "campaigns": inTurn(says(401, failed5(184, "x")), says(200, failed5(66, "x")), says(503, ""), echo),
		tag4Path:               inTurn(says(200, failed4(89, "x"))),
		tag3Path:               echo,
		objects5 + "wrong":     says(400, failed5(51, "Invalid parameter")),
		"/api/x/version/4/do":  says(200, failed4(49, "Access Denied")),
		objects5 + "odd":       says(200, `[1,2]`),
		filePath:               func(_ int, w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "id\n1\n") },
		objects5 + "gone":      says(204, ""),
	})
	s := v.source(t)
	var _ martsync.Caller = s
	for _, tc := range []struct {
		method, path, body string
		status             int
		want               string
	}{
		{"get", objects5 + "campaigns?fields=id&limit=1", "", 200, `{"id":1,"echo":"GET fields=id&limit=1 "}`},
		{"", "/api/tag/version/{v}/do/query?limit=1", "", 200, `{"id":1,"echo":"GET format=json&limit=1 "}`},
		{"POST", objects5 + "campaigns", `{"a":1}`, 200, `{"id":1,"echo":"POST  application/json"}`},
		{"PATCH", objects5 + "campaigns", `a=1`, 200, `{"id":1,"echo":"PATCH  application/x-www-form-urlencoded"}`},
		{"GET", objects5 + "wrong", "", 400, failed5(51, "Invalid parameter")}, // the vendor's own words
		{"GET", "/api/x/version/4/do", "", 200, failed4(49, "Access Denied")},
		{"GET", objects5 + "odd", "", 200, `[1,2]`},
		{"GET", filePath, "", 200, "id\n1\n"},
		{"DELETE", objects5 + "gone", "", 204, ""},
		{"GET", "/nothing", "", 404, failed5(198, "Endpoint not found")},
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
	for _, path := range []string{"https://elsewhere.example/api/v5/objects/tags", "//elsewhere.example/x", "api/v5", "", "%"} {
		if resp, err := s.Call(t.Context(), "GET", path, nil); martsync.KindOf(err) != martsync.Config || err == nil {
			if resp != nil {
				_ = resp.Body.Close()
			}
			t.Errorf("%q: %v, want kind config", path, err)
		}
	}
	if _, err := s.Call(t.Context(), "POST", objects5+"campaigns", strings.NewReader(strings.Repeat("x", mostBody+1))); martsync.KindOf(err) != martsync.Config {
		t.Errorf("a vast body: %v", err)
	}
}

func TestCallThatWritesIsNotMadeTwice(t *testing.T) {
	v := newFakeVendor(t, map[string]fakeScript{objects5 + "campaigns": says(503, "")})
	if _, err := v.source(t).Call(t.Context(), "POST", objects5+"campaigns", strings.NewReader("{}")); martsync.KindOf(err) != martsync.Transient || v.count(objects5+"campaigns") != 1 {
		t.Errorf("%v after %d calls", err, v.count(objects5+"campaigns"))
	}
}
