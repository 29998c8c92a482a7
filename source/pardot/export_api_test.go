package pardot

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/columns"
)

func TestParseExport(t *testing.T) {
	tests := []struct {
		name, text string
		want       exportJob
		ok         bool
	}{
		{"version 4", `{"id":9901,"state":"Waiting","isExpired":false,"createdAt":"2025-11-03 02:00:00"}`, exportJob{id: 9901, state: "waiting", created: "2025-11-03 02:00:00"}, true},
		{"one file", `{"id":9901,"state":"Complete","resultRefs":"https:\/\/pi.pardot.com\/a"}`, exportJob{id: 9901, state: "complete", refs: []string{"https://pi.pardot.com/a"}}, true},
		{"several files", `{"id":9901,"state":"Complete","resultRefs":["b","a","b",""]}`, exportJob{id: 9901, state: "complete", refs: []string{"a", "b"}}, true},
		{"version 5", `{"id":9950,"status":"Complete","isExpired":true,"resultRefs":null}`, exportJob{id: 9950, state: "complete", expired: true}, true},
		{"id as a text", `{"id":"9950","status":"Cancelled","isExpired":"true"}`, exportJob{id: 9950, state: "canceled", expired: true}, true},
		{"no id", `{"state":"Waiting"}`, exportJob{}, false},
		{"a list", `[]`, exportJob{}, false},
		{"files as a number", `{"id":1,"resultRefs":7}`, exportJob{}, false},
		{"files as numbers", `{"id":1,"resultRefs":[7]}`, exportJob{}, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := parseExport(json.RawMessage(test.text))
			if (err == nil) != test.ok {
				t.Fatalf("error %v, want none: %t", err, test.ok)
			}
			if err != nil {
				return
			}
			if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(exportJob{})); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func FuzzParseExport(f *testing.F) {
	for _, s := range []string{
		`{"id":9901,"state":"Complete","isExpired":false,"resultRefs":["b","a"]}`, `{"id":"1","resultRefs":"x"}`, `{"id":1,"resultRefs":{}}`, `null`, `{"id":-1}`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		j, err := parseExport(json.RawMessage(text))
		if err != nil {
			return
		}
		if j.id <= 0 || j.state != strings.ToLower(j.state) {
			t.Errorf("%q is %+v", text, j)
		}
		if !slices.IsSorted(j.refs) || slices.Contains(j.refs, "") {
			t.Errorf("%q has the files %q", text, j.refs)
		}
	})
}

func FuzzExportState(f *testing.F) {
	f.Add(`{"v":"v4","from":1700000000,"to":1700003600,"since":1700003700,"id":9901,"complete":true,"done":["0011"]}`)
	f.Add(`{"v":"v5","from":1,"to":0}`)
	f.Add(`{"id":3}`)
	f.Fuzz(func(t *testing.T, text string) {
		var s exportState
		if json.Unmarshal([]byte(text), &s) != nil || s.check() != nil {
			return
		}
		if s.due() < 0 || s.ID < 0 || s.ID > 0 && s.Since == 0 {
			t.Errorf("%q is accepted", text)
		}
		again, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		var back exportState
		if err := json.Unmarshal(again, &back); err != nil || back.check() != nil {
			t.Errorf("%s: %v, %v", again, err, back.check())
		}
		s.forget()
		if s.check() != nil || s.ID != 0 || s.Since != 0 {
			t.Errorf("%+v after it was forgotten", s)
		}
	})
}

func TestTheOrderOfFieldsIsASignature(t *testing.T) {
	fields := []string{"id", "list_id", "prospect_id", "opted_out", "created_at", "updated_at"}
	base := exportState{From: 1_700_000_000, To: 1_700_086_400, Since: 1_700_090_000}
	first := base.order("list_memberships", fields)
	if got := slices.Sorted(slices.Values(first)); !slices.Equal(got, slices.Sorted(slices.Values(fields))) {
		t.Fatalf("order %q of %q", first, fields)
	}
	if again := base.order("list_memberships", fields); !slices.Equal(first, again) {
		t.Errorf("another order for the same job: %q, %q", first, again)
	}
	signs := map[string]bool{sign(first): true}
	for i := range 40 {
		other := base
		other.Since += second(i + 1)
		signs[sign(other.order("list_memberships", fields))] = true
	}
	if len(signs) < 35 {
		t.Errorf("%d signatures for 41 jobs", len(signs))
	}
	if sign([]string{" ID", "Name "}) != sign([]string{"id", "name"}) {
		t.Error("spaces and case change the signature")
	}
}

func TestMentioned(t *testing.T) {
	names := []string{"id", "name", "kite_size", "kite", "senderOptions.type"}
	for message, want := range map[string]string{
		"Invalid field: kite_size":                     "kite_size",
		"field 'kite' cannot be exported.":             "kite",
		"unknown fields: foo, kite.":                   "kite",
		"It contains an invalid id":                    "",
		"collection senderOptions.type is not allowed": "senderOptions.type",
		"kite_sizes": "",
	} {
		if got := mentioned(message, names); got != want {
			t.Errorf("mentioned(%q) is %q, want %q", message, got, want)
		}
	}
}

func TestGone(t *testing.T) {
	for _, test := range []struct {
		err  apiError
		want bool
	}{
		{apiError{Code: 109, Status: 200}, true},
		{apiError{Code: 178, Status: 400}, true},
		{apiError{Code: 16, Status: 200}, true},
		{apiError{Status: http.StatusNotFound}, true},
		{apiError{Code: 66, Status: 200}, false},
		{apiError{Code: 46, Status: 403}, false},
	} {
		err := &martsync.Error{Kind: martsync.Data, Err: &test.err}
		if got := gone(err); got != test.want {
			t.Errorf("gone(%+v) is %t, want %t", test.err, got, test.want)
		}
	}
	if gone(nil) || gone(errors.New("connection reset")) {
		t.Error("nothing is gone by another error")
	}
}

func TestWhenAJobIsDue(t *testing.T) {
	s := exportState{Since: 1_700_000_000}
	if s.due() != 0 {
		t.Error("a job that was just found is looked at at once")
	}
	for _, test := range []struct{ age, wait time.Duration }{
		{0, time.Minute}, {4 * time.Minute, time.Minute}, {20 * time.Minute, 4 * time.Minute}, {5 * time.Hour, 10 * time.Minute},
	} {
		s.Asked = s.Since.add(test.age)
		if got := s.due().sub(s.Asked); got != test.wait {
			t.Errorf("after %s the next look is due in %s, want %s", test.age, got, test.wait)
		}
	}
}

func TestMomentsOfANaiveTime(t *testing.T) {
	loc, err := time.LoadLocation(exportZone)
	if err != nil {
		t.Fatal(err)
	}
	z := &zone{loc: loc}
	for _, test := range []struct {
		text string
		want []string
	}{
		{"2025-06-01 12:00:00", []string{"2025-06-01T16:00:00Z"}},
		{"2025-11-02 01:30:00", []string{"2025-11-02T05:30:00Z", "2025-11-02T06:30:00Z"}},
		{"2025-11-02T01:30:00-05:00", []string{"2025-11-02T06:30:00Z"}},
		{"yesterday", nil},
		{"", nil},
	} {
		var got []string
		for _, at := range z.moments(test.text) {
			got = append(got, at.Format(time.RFC3339))
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%q is %q, want %q", test.text, got, test.want)
		}
	}
}

func TestListsInFiles(t *testing.T) {
	cols := []martsync.Column{
		{Name: "id", Type: martsync.Int64, Origin: "id"}, {Name: "colors", Type: martsync.JSON, Origin: "colors"}, {Name: "text", Type: martsync.String, Origin: "text"},
	}
	l := newLists(cols)
	for range 2 { // its memory is used again
		b := columns.NewBuilder(l.text)
		cells := []string{"red", "red;teal", `"neon", bright;r&d <b>`, "", `["a","b;c"]`, ";", "[x"}
		for i, c := range cells {
			row := [][]byte{[]byte("1"), []byte(c), []byte("a;b")}
			if c == "" {
				row[1] = nil
			}
			if err := b.AppendCells(row); err != nil {
				t.Fatalf("row %d: %v", i, err)
			}
		}
		r := l.convert(b.Records())
		var got []string
		for i := range r.Len {
			got = append(got, columns.Format(cols[1], &r.Columns[1], i))
			if text := columns.Format(cols[2], &r.Columns[2], i); text != "a;b" {
				t.Errorf("text became %q", text)
			}
		}
		want := []string{`["red"]`, `["red","teal"]`, `["\"neon\", bright","r&d <b>"]`, "", `["a","b;c"]`, `["",""]`, `["[x"]`}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	}
}
