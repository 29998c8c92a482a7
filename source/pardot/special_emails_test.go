package pardot

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/martsync/martsync"
)

// A sentMail is an activity that says an email was sent.
type sentMail struct {
	id, list, email int64
	at              time.Time
}

// mailDesk knows what was sent and tells emails by version 4. Those that unreadable names fail with
// that code, or with 404.
func mailDesk(t testing.TB, sent []sentMail, unreadable map[int64]int) *desk {
	return newDesk(t, func(path string, q url.Values) answer {
		switch id, single := strings.CutPrefix(path, "/api/email/version/4/do/read/id/"); {
		case single:
			n, _ := strconv.ParseInt(id, 10, 64)
			switch code := unreadable[n]; code {
			case 0:
			case 404:
				return answer{status: 404, body: `{"@attributes":{"stat":"fail","version":1,"err_code":109},"err":"Record not found"}`}
			default:
				return fail4(code, "Invalid ID")
			}
			message := `,"message":{"text":"Hi &amp; bye","html":"<p>Hi</p>"}`
			if q.Get("include_message") == "false" {
				message = ""
			}
			return ok4(fmt.Sprintf(`"email":{"id":%d,"name":"mail %d","isOneToOne":false,"subject":"Kites &amp; more"%s,"created_at":"2026-03-01 10:00:00"}`, n, n, message))
		case path == "/api/visitorActivity/version/4/do/query":
			return sentPage(sent, q)
		}
		return answer{}
	})
}

// sentPage answers a query for activities as version 4 does: bounds are exclusive.
func sentPage(sent []sentMail, q url.Values) answer {
	if q.Get("type") != "6" || q.Get("sort_by") != "id" {
		return fail4(19, "bad query "+q.Encode())
	}
	after, _ := strconv.ParseInt(q.Get("id_greater_than"), 10, 64)
	limit, _ := strconv.Atoi(q.Get("limit"))
	bound := func(key string) time.Time {
		at, _ := time.Parse(time.DateTime, q.Get(key))
		return at
	}
	from, to := bound("updated_after"), bound("updated_before")
	var rows []string
	for _, m := range sent {
		if m.id <= after || !from.IsZero() && !m.at.After(from) || !to.IsZero() && !m.at.Before(to) || len(rows) == limit {
			continue
		}
		list := ""
		if m.list > 0 {
			list = fmt.Sprintf(`"list_email_id":%d,`, m.list)
		}
		at := m.at.Format(time.DateTime)
		rows = append(rows, fmt.Sprintf(`{"id":%d,"type":6,"type_name":"Email",%s"email_id":%d,"prospect_id":5,"created_at":"%s","updated_at":"%s"}`, m.id, list, m.email, at, at))
	}
	switch len(rows) {
	case 0:
		return ok4(`"result":null`)
	case 1:
		return ok4(`"result":{"visitor_activity":` + rows[0] + `}`)
	default:
		return ok4(`"result":{"visitor_activity":[` + strings.Join(rows, ",") + `]}`)
	}
}

// mailV4 reads emails by version 4.
func mailV4(messages bool) func(*Config) {
	return func(c *Config) {
		c.Streams = map[string]StreamConfig{emailStream: {API: string(v4), Read: string(byQuery), Messages: &messages}}
	}
}

// mails are the ids and list emails of the rows of emails.
func mails(t testing.TB, schema martsync.Schema, rows [][]string) (pairs []string) {
	t.Helper()
	for _, row := range rows {
		pairs = append(pairs, cell(t, schema, row, "id")+" of "+cell(t, schema, row, "list_email_id"))
	}
	return pairs
}

var march = time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)

func TestEmailsOfVersion4(t *testing.T) {
	sent := []sentMail{
		{id: 1, list: 41, email: 3005, at: march},
		{id: 2, list: 41, email: 3001, at: march.Add(time.Second)}, // smaller, though later
		{id: 3, list: 42, email: 4000000007, at: march},
		{id: 4, email: 3002, at: march}, // to one person, not by a list
		{id: 5, list: 42, email: 4000000008, at: march},
	}
	d := mailDesk(t, sent, nil)
	st := newEmails4(d.open(t, mailV4(true)))
	schema := st.Schema()
	if err := schema.Validate(); err != nil {
		t.Fatal(err)
	}
	got, err := readAll(t, st, "")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"3001 of 41", "4000000007 of 42"}, mails(t, schema, got.rows)); diff != "" {
		t.Fatalf("emails (-want +got):\n%s", diff)
	}
	for column, want := range map[string]string{
		"name": "mail 3001", "subject": "Kites & more", "is_one_to_one": "false", "text_message": "Hi & bye", "html_message": "<p>Hi</p>",
		"created_at": "2026-03-01T10:00:00Z",
	} {
		if v := cell(t, schema, got.rows[0], column); v != want {
			t.Errorf("%s is %q, want %q", column, v, want)
		}
	}
	if w := got.windows; len(w) != 1 || w[0].Parsed != 2 || w[0].Calls < 3 {
		t.Errorf("windows %+v, want one of two emails and at least three calls", w)
	}

	// What comes later: another prospect of an email that is known, and a new email.
	if err := d.clock.Sleep(t.Context(), 48*time.Hour); err != nil {
		t.Fatal(err)
	}
	now := d.clock.Now()
	d.answer = mailDesk(t, append(sent,
		sentMail{id: 6, list: 41, email: 3000, at: now.Add(-30 * time.Hour)},
		sentMail{id: 7, list: 43, email: 5000, at: now.Add(-3 * time.Hour)},
	), nil).answer
	later, err := readAll(t, newEmails4(d.open(t, mailV4(true))), got.cursor)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"5000 of 43"}, mails(t, schema, later.rows)); diff != "" {
		t.Errorf("emails two days later (-want +got):\n%s", diff)
	}
}

func TestEmailsOfVersion4WithoutMessages(t *testing.T) {
	d := mailDesk(t, []sentMail{{id: 1, list: 41, email: 3001, at: march}}, nil)
	st := newEmails4(d.open(t, mailV4(false)))
	schema := st.Schema()
	if schema.Index("html_message") >= 0 {
		t.Error("there is a column for messages, which are not read")
	}
	got, err := readAll(t, st, "")
	if err != nil || len(got.rows) != 1 {
		t.Fatalf("%d rows, %v, want one", len(got.rows), err)
	}
	if r := d.requests("/do/read/"); len(r) != 1 || !strings.Contains(r[0], "include_message=false") {
		t.Errorf("requests %q, want one that leaves messages out", r)
	}
}

func TestX20UnreadableEmailsAreSkippedAndListed(t *testing.T) {
	var sent []sentMail
	for i := range int64(130) {
		sent = append(sent, sentMail{id: i + 1, list: 100 + i, email: 7000 + i, at: march})
	}
	d := mailDesk(t, sent, map[int64]int{7000: 16, 7003: 109, 7077: 404})
	st := newEmails4(d.open(t, mailV4(false)))
	got, err := readAll(t, st, "")
	if err != nil {
		t.Fatalf("the read failed: %v", err)
	}
	if len(got.rows) != 127 {
		t.Errorf("%d emails, want the 127 that can be read", len(got.rows))
	}
	skips := strings.Join(got.notes, "\n")
	for _, want := range []string{"7000 (list email 100): vendor error 16", "7003 (list email 103): vendor error 109", "7077 (list email 177): ", "2 emails cannot be read"} {
		if !strings.Contains(skips, want) {
			t.Errorf("notes\n%s\nlack %q", skips, want)
		}
	}
	// They are not asked for again.
	before := len(d.requests("/do/read/"))
	if err := d.clock.Sleep(t.Context(), 24*time.Hour); err != nil {
		t.Fatal(err)
	}
	d.answer = mailDesk(t, append(sent, sentMail{id: 200, list: 100, email: 7000, at: d.clock.Now().Add(-time.Hour)}), nil).answer
	again, err := readAll(t, st, got.cursor)
	if err != nil || len(again.rows) != 0 || len(d.requests("/do/read/")) != before {
		t.Errorf("a day later %d rows, %v, and %d reads, want none", len(again.rows), err, len(d.requests("/do/read/"))-before)
	}
}

func TestEmailsOfVersion4GoOnAtEachCursor(t *testing.T) {
	var sent []sentMail
	for i := range int64(4500) { // more than one page, and more pages than go without a cursor
		sent = append(sent, sentMail{id: i + 1, list: 100 + i%130, email: 90000 - i, at: march.Add(time.Duration(i) * time.Second)})
	}
	d := mailDesk(t, sent, map[int64]int{85501: 109})
	s := d.open(t, mailV4(true))
	schema := newEmails4(s).Schema()
	whole, err := readAll(t, newEmails4(s), "")
	if err != nil {
		t.Fatal(err)
	}
	want := mails(t, schema, whole.rows)
	if len(want) != 129 {
		t.Fatalf("%d emails, want 129", len(want))
	}
	var have []string
	cursors := 0
	for b, err := range newEmails4(s).Read(t.Context(), "", martsync.Span{}) {
		if err != nil {
			t.Fatal(err)
		}
		have = append(have, mails(t, schema, rowTexts(schema, b.Records))...)
		if b.Cursor == "" {
			continue
		}
		cursors++
		rest, err := readAll(t, newEmails4(d.open(t, mailV4(true))), b.Cursor)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, append(slices.Clone(have), mails(t, schema, rest.rows)...)); diff != "" {
			t.Errorf("resumed from a cursor of %d bytes (-uninterrupted +resumed):\n%s", len(b.Cursor), diff)
		}
	}
	if cursors < 4 {
		t.Errorf("%d cursors, want some among the activities and some among the emails", cursors)
	}
}

func TestEmailsThatWereDoubtfulAreForgotten(t *testing.T) {
	s := mailDesk(t, nil, nil).open(t, mailV4(false))
	st, ok := newEmails4(s).(*emails4Stream)
	if !ok {
		t.Fatal("not a stream of emails by version 4")
	}
	var sent []martsync.Batch
	p := &emailPass{emails4Stream: st, yield: func(b martsync.Batch, _ error) bool { sent = append(sent, b); return true }}
	p.at = emailPosition{Found: pairs{41: 3005}, Maybe: pairs{41: 30, 42: 7}}
	if err := p.take(t.Context(), martsync.Batch{Discard: true, Cursor: `{"at":5}`}); err != nil {
		t.Fatal(err)
	}
	if len(sent) != 1 || !sent[0].Discard || sent[0].Records != nil {
		t.Fatalf("yielded %+v, want one batch that discards", sent)
	}
	at, err := parseEmailPosition(sent[0].Cursor)
	if diff := cmp.Diff(emailPosition{Sends: []byte(`{"at":5}`), Found: pairs{41: 3005}}, at); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}
