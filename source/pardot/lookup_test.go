package pardot

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/martsync/martsync"
)

func TestLookupByVersion5(t *testing.T) {
	d := newDesk(t, func(path string, q url.Values) answer {
		id, ok := strings.CutPrefix(path, "/api/v5/objects/campaigns/")
		if !ok || q.Get("fields") != "id,name,isDeleted" {
			return answer{}
		}
		switch id {
		case "7":
			return answer{body: `{"id":7,"name":"Spring \"Kite\" Fair","isDeleted":false}`}
		case "8":
			if q.Get("deleted") != "all" {
				return answer{}
			}
			return ok5(`{"id":8,"name":null,"isDeleted":true}`)
		case "9":
			return fail5(400, 109, "Record not found")
		}
		return answer{}
	})
	schema, seq, err := d.open(t).Lookup(t.Context(), "campaigns", []string{"9", " 8", "7", "7", "10"}, []string{"Name", "is_deleted"})
	if err != nil {
		t.Fatal(err)
	}
	if err := schema.Validate(); err != nil {
		t.Error(err)
	}
	var deleted []bool
	var rows [][]string
	for r, err := range seq {
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, rowTexts(schema, r)...)
		deleted = append(deleted, r.Deleted...)
	}
	if diff := cmp.Diff([][]string{{"7", `Spring "Kite" Fair`, "false"}, {"8", "null", "true"}}, rows); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]bool{false, true}, deleted); diff != "" {
		t.Errorf("in the recycle bin (-want +got):\n%s", diff)
	}
	if n := len(d.requests("/campaigns/")); n != 4 {
		t.Errorf("%d calls for 4 ids", n)
	}
}

// Of the hour that clocks show twice version 4 does not tell which one it means; of all others it does, and of
// streams that only version 5 reads nothing is in doubt.
func TestSameTime(t *testing.T) {
	s := newDesk(t, func(string, url.Values) answer { return answer{} }).open(t)
	s.cfg.Timezone = "America/New_York" // set back at 2029-11-04T06:00:00Z
	at := func(clock string) time.Time {
		parsed, err := time.Parse(time.RFC3339Nano, clock)
		if err != nil {
			t.Fatal(err)
		}
		return parsed
	}
	for _, tt := range []struct {
		name, stream, a, b string
		want               bool
	}{
		{"one time", "visitors", "2029-06-04T05:55:00Z", "2029-06-04T05:55:00Z", true},
		{"the hour that comes twice", "visitors", "2029-11-04T05:55:00Z", "2029-11-04T06:55:00Z", true},
		{"the other way round", "visitors", "2029-11-04T06:00:00Z", "2029-11-04T05:00:00Z", true},
		{"another minute of it", "visitors", "2029-11-04T05:55:00Z", "2029-11-04T06:54:00Z", false},
		{"the hour before", "visitors", "2029-11-04T04:55:00Z", "2029-11-04T05:55:00Z", false},
		{"the hour after", "visitors", "2029-11-04T06:55:00Z", "2029-11-04T07:55:00Z", false},
		{"spring", "visitors", "2029-03-11T06:30:00Z", "2029-03-11T07:30:00Z", false},
		{"by version 5 only", "landing_pages", "2029-11-04T05:55:00Z", "2029-11-04T06:55:00Z", false},
		{"no such stream", "kites", "2029-11-04T05:55:00Z", "2029-11-04T06:55:00Z", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := s.SameTime(t.Context(), tt.stream, at(tt.a), at(tt.b))
			if err != nil || got != tt.want {
				t.Errorf("got %v, %v, want %v", got, err, tt.want)
			}
		})
	}
}

func TestLookupOfManyRecords(t *testing.T) {
	d := newDesk(t, func(path string, _ url.Values) answer {
		id := path[strings.LastIndexByte(path, '/')+1:]
		return answer{body: `{"id":` + id + `,"name":"tag ` + id + `"}`}
	})
	var ids []string
	for i := 250; i > 0; i-- {
		ids = append(ids, strconv.Itoa(i))
	}
	schema, seq, err := d.open(t).Lookup(t.Context(), "tags", ids, []string{"name"})
	if err != nil {
		t.Fatal(err)
	}
	rows, err := lookedUp(schema, seq)
	if err != nil || len(rows) != 250 || !cmp.Equal(rows[249], []string{"250", "tag 250"}) {
		t.Errorf("%d rows, %v, want 250 in the order of their ids", len(rows), err)
	}
	// Leaving early makes no further call.
	before := len(d.requests("/tags/"))
	if schema, seq, err = d.open(t).Lookup(t.Context(), "tags", ids, nil); err != nil || schema.Stream != "tags" {
		t.Fatal(schema.Stream, err)
	}
	for range seq {
		break
	}
	if n := len(d.requests("/tags/")) - before; n > lookupBatch+1 {
		t.Errorf("%d calls after the reader has left the first batch of %d", n, lookupBatch)
	}
}

func TestLookupOfEmailsTellsMessages(t *testing.T) {
	d := newDesk(t, func(path string, q url.Values) answer {
		if path != "/api/v5/objects/emails/3001" {
			return answer{}
		}
		for _, f := range []string{"htmlMessage", "textMessage", "senderOptions.type"} {
			if !strings.Contains(q.Get("fields"), f) {
				return fail5(400, 13, "missing "+f)
			}
		}
		return answer{body: `{"id":3001,"htmlMessage":"<p>Hi</p>","textMessage":"Hi","senderOptions":{"type":"general_user"}}`}
	})
	s := d.open(t)
	table, err := s.layout(t.Context(), objectOf(emailStream))
	if err != nil || table.schema.Index("html_message") >= 0 {
		t.Fatalf("%v: the table has messages, so this test shows nothing", err)
	}
	schema, seq, err := s.Lookup(t.Context(), "emails", []string{"3001"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := lookedUp(schema, seq)
	if err != nil || len(rows) != 1 {
		t.Fatalf("%d rows, %v, want one", len(rows), err)
	}
	for column, want := range map[string]string{"html_message": "<p>Hi</p>", "text_message": "Hi", "sender_options_type": "general_user"} {
		if v := cell(t, schema, rows[0], column); v != want {
			t.Errorf("%s is %q, want %q", column, v, want)
		}
	}
}

func TestLookupOfListEmailsTellsStatistics(t *testing.T) {
	d := pressDesk(t, nil, statsOf)
	s := d.open(t)
	schema, seq, err := s.Lookup(t.Context(), "list_emails", []string{"5"}, []string{"htmlMessage", "stats.sent", "stats_opens_rate"})
	if err != nil {
		t.Fatal(err)
	}
	rows, err := lookedUp(schema, seq)
	if err != nil || !cmp.Equal(rows, [][]string{{"5", "<p>5</p>", "5", "12.00%"}}) {
		t.Errorf("got %v, %v, want the message and two statistics", rows, err)
	}
	if r := d.requests("/list-emails/5?"); len(r) != 1 || strings.Contains(r[0], "stats.") {
		t.Errorf("requests %q, want one that asks for no statistics among the fields", r)
	}
	// Without them no further call is made.
	if schema, seq, err = s.Lookup(t.Context(), "list_emails", []string{"5"}, []string{"textMessage"}); err == nil {
		rows, err = lookedUp(schema, seq)
	}
	if err != nil || !cmp.Equal(rows, [][]string{{"5", "text 5"}}) || len(d.requests("/stats")) != 1 {
		t.Errorf("got %v, %v and %d calls for statistics in all, want one", rows, err, len(d.requests("/stats")))
	}
}

func TestLookupOfProspectsTellsMultipleValues(t *testing.T) {
	d := crowdDesk(t, []person4{{id: 501, colors5: `["red","teal"]`, binned: true}})
	if schema, _, err := d.open(t).Lookup(t.Context(), "prospects", []string{"501"}, []string{"kiteColors__c", "kite_colors"}); err == nil {
		t.Fatalf("a field kiteColors__c was found among %d columns", len(schema.Columns))
	}
	schema, seq, err := d.open(t).Lookup(t.Context(), "prospects", []string{"501"}, []string{"kite_colors"})
	if err != nil {
		t.Fatal(err)
	}
	rows, err := lookedUp(schema, seq)
	if err != nil || !cmp.Equal(rows, [][]string{{"501", `["red","teal"]`}}) {
		t.Errorf("got %v, %v, want the values", rows, err)
	}
}

func TestLookupOfClicksByVersion4(t *testing.T) {
	d := newDesk(t, func(path string, q url.Values) answer {
		if path != "/api/emailClick/version/4/do/query" {
			return answer{}
		}
		if q.Get("id_greater_than") == "70010" {
			return ok4(`"result":{"emailClick":{"id":70011,"prospect_id":501,"url":"https:\/\/kites.example\/?a=1&amp;b=2","created_at":"2025-11-02 01:30:00"}}`)
		}
		return ok4(`"result":{"emailClick":{"id":70011,"prospect_id":501}}`) // the next one there is
	})
	schema, seq, err := d.open(t).Lookup(t.Context(), "email_clicks", []string{"70011", "70005"}, []string{"url", "created_at"})
	if err != nil {
		t.Fatal(err)
	}
	rows, err := lookedUp(schema, seq)
	if err != nil || !cmp.Equal(rows, [][]string{{"70011", "https://kites.example/?a=1&b=2", "2025-11-02T01:30:00Z"}}) {
		t.Errorf("got %v, %v, want the click that exists", rows, err)
	}
}

func TestLookupOfTheAccount(t *testing.T) {
	d := newDesk(t, func(path string, _ url.Values) answer {
		if path == "/api/v5/objects/account" {
			return answer{body: `{"id":1,"company":"Kestrel"}`}
		}
		return answer{}
	})
	schema, seq, err := d.open(t).Lookup(t.Context(), "accounts", []string{"1", "2"}, []string{"company"})
	if err != nil {
		t.Fatal(err)
	}
	rows, err := lookedUp(schema, seq)
	if err != nil || !cmp.Equal(rows, [][]string{{"1", "Kestrel"}}) {
		t.Errorf("got %v, %v, want account 1 alone", rows, err)
	}
}

func TestLookupErrors(t *testing.T) {
	d := newDesk(t, func(path string, _ url.Values) answer {
		switch path {
		case "/api/v5/objects/campaigns/8":
			return answer{body: `{"id":8,"cost":"very much"}`}
		case "/api/v5/objects/campaigns/9":
			return fail5(403, 46, "User lacks permission")
		}
		return answer{}
	})
	s := d.open(t)
	for _, tc := range []struct {
		name, stream string
		ids, fields  []string
		kinds        string
		text         string
	}{
		{"an id that is none", "campaigns", []string{"12", "x"}, nil, "config", `"x" is not an id`},
		{"a negative id", "campaigns", []string{"-1"}, nil, "config", `"-1" is not an id`},
		{"an unknown field", "campaigns", []string{"12"}, []string{"title"}, "config", `no field "title"`},
		{"a misfit", "campaigns", []string{"8"}, nil, "data", "record 8: column cost"},
		{"no permission", "campaigns", []string{"9"}, nil, "auth unavailable data", "error 46"},
	} {
		schema, seq, err := s.Lookup(t.Context(), tc.stream, tc.ids, tc.fields)
		if err == nil {
			_, err = lookedUp(schema, seq)
		}
		if err == nil || !strings.Contains(tc.kinds, martsync.KindOf(err).String()) || !strings.Contains(err.Error(), tc.text) {
			t.Errorf("%s: %v (%v), want kind %s with %q", tc.name, err, martsync.KindOf(err), tc.kinds, tc.text)
		}
	}
	for _, stream := range []string{"opportunity_prospects", "no_such_stream"} {
		if _, _, err := s.Lookup(t.Context(), stream, []string{"1"}, nil); !errors.Is(err, martsync.ErrUnsupported) {
			t.Errorf("%s: %v, want ErrUnsupported", stream, err)
		}
	}
}

func TestLookupOfEachObject(t *testing.T) {
	d := newDesk(t, func(path string, q url.Values) answer {
		switch {
		case strings.HasSuffix(path, "/stats"):
			return statsOf(1)
		case path == "/api/emailClick/version/4/do/query":
			return ok4(`"result":{"emailClick":{"id":1}}`)
		case strings.HasPrefix(path, "/api/v5/objects/custom-fields") && q.Get("orderBy") != "":
			return ok5()
		case strings.HasSuffix(path, "/do/describe"):
			return ok4(`"result":{"field":[]}`)
		case strings.HasPrefix(path, "/api/v5/objects/"):
			return answer{body: `{"id":1}`}
		}
		return answer{}
	})
	s := d.open(t)
	for _, o := range catalog {
		if len(o.key) > 0 {
			continue
		}
		schema, seq, err := s.Lookup(t.Context(), o.stream, []string{"1"}, nil)
		if err != nil {
			t.Errorf("%s: %v", o.stream, err)
			continue
		}
		rows, err := lookedUp(schema, seq)
		if err != nil || len(rows) != 1 || cell(t, schema, rows[0], "id") != "1" {
			t.Errorf("%s: rows %v, %v, want record 1", o.stream, rows, fmt.Sprint(err))
		}
	}
}
