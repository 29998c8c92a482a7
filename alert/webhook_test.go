package alert

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/awscall/awstest"
)

const secretPath = "/services/T0/B0/s3cr3t"

func TestWebhook(t *testing.T) {
	var body []byte
	var header http.Header
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ = io.ReadAll(r.Body)
		header = r.Header
		if r.Method != http.MethodPost || r.URL.Path != secretPath {
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	defer server.Close()
	url := martsync.Secret(server.URL + secretPath)

	if err := send(t, &webhookConfig{URL: url}, sample); err != nil {
		t.Fatal(err)
	}
	var slack struct {
		Text        string
		Attachments []struct{ Color, Text, Fallback string }
	}
	if err := json.Unmarshal(body, &slack); err != nil || len(slack.Attachments) != 1 {
		t.Fatalf("%v: %s", err, body)
	}
	if slack.Text != "*"+sample.Title+"*" || slack.Attachments[0].Color != "danger" ||
		!strings.HasPrefix(slack.Attachments[0].Text, "*What:* &lt;b&gt;5 &amp; 6&lt;/b&gt; ≠ long") ||
		!strings.HasSuffix(slack.Attachments[0].Text, "*Look:* `martsync logs märkte`") {
		t.Errorf("got %+v", slack)
	}
	if header.Get("Content-Type") != "application/json; charset=utf-8" {
		t.Errorf("headers %v", header)
	}
	for m, color := range map[*Message]string{{Event: Quota, Status: "problem"}: "warning", {Event: Recovery, Status: "over"}: "good", {Status: "test"}: "good"} {
		if err := send(t, &webhookConfig{URL: url, Format: "slack"}, *m); err != nil || !strings.Contains(string(body), `"color":"`+color+`"`) {
			t.Errorf("%v: got %s, %v, want color %s", m, body, err, color)
		}
	}

	c := &webhookConfig{URL: url, Format: "json", Headers: map[string]martsync.Secret{"Authorization": "Bearer s3cr3t"}}
	if err := send(t, c, sample); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Message
		Text string
	}
	if err := json.Unmarshal(body, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(sample, got.Message); diff != "" || got.Text != sample.Text() {
		t.Errorf("message (-want +got):\n%s", diff)
	}
	if header.Get("Authorization") != "Bearer s3cr3t" {
		t.Errorf("headers %v", header)
	}
}

func TestWebhookErrors(t *testing.T) {
	var status, calls atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		if s := int(status.Load()); s/100 == 3 {
			http.Redirect(w, r, "/elsewhere", s)
		} else {
			http.Error(w, "no_service", s)
		}
	}))
	defer server.Close()
	for _, tc := range []struct {
		name   string
		url    string
		format string
		status int
		kind   martsync.Kind
		hint   string
		calls  int64
	}{
		{"gone", server.URL + secretPath, "", 404, martsync.Config, "does not exist", 1},
		{"refused", server.URL + secretPath, "", 403, martsync.Auth, "check url and headers", 1},
		{"not understood", server.URL + secretPath, "", 400, martsync.Config, "check url and format", 1},
		{"redirected", server.URL + secretPath, "", 302, martsync.Config, "redirects", 1},
		{"out of order", server.URL + secretPath, "", 503, martsync.Transient, "", tries},
		{"too many", server.URL + secretPath, "", 429, martsync.Transient, "", tries},
		{"nobody listens", "http://127.0.0.1:1" + secretPath, "", 0, martsync.Transient, "network", 0},
		{"no address", "hooks.example.com" + secretPath, "", 0, martsync.Config, "https://host/path", 0},
		{"not set", "", "", 0, martsync.Config, "set url", 0},
		{"odd address", "http://%zz" + secretPath, "", 0, martsync.Config, "https://host/path", 0},
		{"unknown format", server.URL, "teams", 0, martsync.Config, "slack or json", 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			status.Store(int64(tc.status))
			calls.Store(0)
			err := send(t, &webhookConfig{URL: martsync.Secret(tc.url), Format: tc.format}, sample)
			if err == nil || martsync.KindOf(err) != tc.kind || !strings.Contains(martsync.HintOf(err), tc.hint) {
				t.Errorf("got %v %v, hint %q", martsync.KindOf(err), err, martsync.HintOf(err))
			}
			if err != nil && strings.Contains(err.Error()+martsync.HintOf(err), "s3cr3t") {
				t.Errorf("the error shows the address: %v", err)
			}
			if calls.Load() != tc.calls {
				t.Errorf("%d calls, want %d", calls.Load(), tc.calls)
			}
		})
	}
}

func TestSNS(t *testing.T) {
	s := awstest.New(t)
	topic := "arn:aws:sns:us-west-2:123456789012:martsync"
	s.Topics = []string{topic, topic + ".fifo"}
	if err := send(t, &snsConfig{Topic: topic}, sample); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"Publish us-west-2/" + topic}, s.Calls()); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
	form := s.Published()[0]
	if form.Get("Subject") != "m?rkte: stream leads failed??Bcc: everybody@example.com" || form.Get("Message") != sample.Title+"\n\n"+sample.Text() {
		t.Errorf("got %v", form)
	}
	if form.Get("MessageAttributes.entry.1.Name") != "event" || form.Get("MessageAttributes.entry.1.Value.StringValue") != "failure" ||
		form.Get("MessageAttributes.entry.3.Value.StringValue") != "märkte" || form.Get("MessageAttributes.entry.3.Value.DataType") != "String" {
		t.Errorf("attributes %v", form)
	}
	long := sample
	long.Title = cut(strings.Repeat("ä", 200), maxTitle)
	if err := send(t, &snsConfig{Topic: topic + ".fifo"}, long); err != nil {
		t.Fatal(err)
	}
	if err := send(t, &snsConfig{Topic: topic + ".fifo"}, sample); err != nil {
		t.Fatal(err)
	}
	a, b := s.Published()[1], s.Published()[2]
	if a.Get("MessageGroupId") != "märkte" || a.Get("MessageDeduplicationId") == b.Get("MessageDeduplicationId") {
		t.Errorf("got %v and %v", a, b)
	}

	for _, tc := range []struct {
		name, topic   string
		status        int
		code, message string
		kind          martsync.Kind
		hint          string
	}{
		{"no such topic", topic + "2", 0, "", "", martsync.Config, "create the topic"},
		{"no right", topic, 403, "AuthorizationError", "not authorized to perform: SNS:Publish", martsync.Auth, "allow sns:Publish on " + topic},
		{"no right to the key", topic, 400, "KMSAccessDenied", "", martsync.Auth, "kms:GenerateDataKey"},
		{"out of order", topic, 500, "InternalError", "", martsync.Transient, ""},
		{"no ARN", "martsync", 0, "", "", martsync.Config, "arn:aws:sns"},
		{"of another service", "arn:aws:sqs:us-west-2:123456789012:martsync", 0, "", "", martsync.Config, "arn:aws:sns"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s.Refuse(func(string) (int, string, string) { return tc.status, tc.code, tc.message })
			err := send(t, &snsConfig{Topic: tc.topic}, sample)
			if err == nil || martsync.KindOf(err) != tc.kind || !strings.Contains(martsync.HintOf(err), tc.hint) {
				t.Errorf("got %v %v, hint %q", martsync.KindOf(err), err, martsync.HintOf(err))
			}
		})
	}
}
