package alert

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/httpx"
)

// webhookConfig are the options of type webhook.
type webhookConfig struct {
	URL     martsync.Secret            `yaml:"url" json:"url" jsonschema:"required,title=Address,description=Where messages are posted. It is a secret: whoever has it can post.,example=env:SLACK_WEBHOOK"`
	Format  string                     `yaml:"format,omitempty" json:"format,omitempty" jsonschema:"title=Format,description=Shape of the body: that of Slack (which Mattermost and Rocket.Chat and many others take too) or plain JSON.,enum=slack,enum=json,default=slack"`
	Headers map[string]martsync.Secret `yaml:"headers,omitempty" json:"headers,omitempty" jsonschema:"title=Headers,description=Further headers such as Authorization."`
}

// A webhook posts messages.
type webhook struct {
	url     string
	host    string // for errors: the rest of the address is a secret
	slack   bool
	headers map[string]martsync.Secret
	client  *http.Client
	clock   martsync.Clock
}

func openWebhook(_ context.Context, c webhookConfig, env martsync.Env) (Sender, error) {
	const op = "webhook"
	u, err := url.Parse(strings.TrimSpace(c.URL.Reveal()))
	switch {
	case c.URL == "":
		return nil, configError(op, "set url to the address that messages are posted to", "url is not set")
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http": // err would show the address
		return nil, configError(op, "write it as https://host/path", "url is no address")
	}
	format := cmp.Or(c.Format, "slack")
	if format != "slack" && format != "json" {
		return nil, configError(op, "use slack or json", "format %q is not known", c.Format)
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	if env.HTTP != nil {
		client.Transport = env.HTTP.Transport
	}
	return &webhook{url: u.String(), host: u.Host, slack: format == "slack", headers: c.Headers, client: client, clock: env.Clock}, nil
}

func (w *webhook) Send(ctx context.Context, m Message) error {
	var body bytes.Buffer
	e := json.NewEncoder(&body)
	e.SetEscapeHTML(false)
	var v any = struct {
		Message
		Text string `json:"text"`
	}{m, m.Text()}
	if w.slack {
		v = slackMessage(m)
	}
	if err := e.Encode(v); err != nil {
		return fmt.Errorf("write the message: %w", err)
	}
	return persist(ctx, w.clock, func() error { return w.post(ctx, body.Bytes()) })
}

// slackMessage is the shape of Slack's incoming webhooks. Source: Slack API, Sending messages using incoming webhooks;
// Formatting text for app surfaces, Escaping text.
func slackMessage(m Message) any {
	escape := strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace
	var b strings.Builder
	for _, l := range m.Lines {
		text := escape(l.Text)
		if l.Label == "Look" {
			text = "`" + text + "`"
		}
		fmt.Fprintf(&b, "*%s:* %s\n", escape(l.Label), text)
	}
	color := "good"
	if m.Bad() {
		color = "danger"
		if m.Event == Quota || m.Event == Schema || m.Event == Quarantine {
			color = "warning"
		}
	}
	return map[string]any{
		"text": "*" + escape(m.Title) + "*",
		"attachments": []map[string]any{{
			"color": color, "fallback": m.Text(), "text": strings.TrimSuffix(b.String(), "\n"), "mrkdwn_in": []string{"text"},
		}},
	}
}

func (w *webhook) post(ctx context.Context, body []byte) error {
	op := "post to " + w.host
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url, bytes.NewReader(body))
	if err != nil {
		return &martsync.Error{Kind: martsync.Config, Op: op, Err: httpx.Scrub(err)}
	}
	r.Header.Set("Content-Type", "application/json; charset=utf-8")
	r.Header.Set("User-Agent", "martsync")
	for name, value := range w.headers {
		r.Header.Set(name, value.Reveal())
	}
	resp, err := w.client.Do(r)
	if err != nil {
		out := &martsync.Error{Kind: martsync.Transient, Op: op, Err: httpx.Scrub(err), Hint: "check the network, and what proxies and firewalls let through"}
		if httpx.UnknownHost(err) {
			out.Hint = "check url: its host name does not resolve"
		}
		return out
	}
	defer resp.Body.Close() //nolint:errcheck // it was read
	said, err := io.ReadAll(io.LimitReader(resp.Body, 200))
	if err != nil {
		said = nil // the status tells enough
	}
	if resp.StatusCode >= 200 && resp.StatusCode < 300 {
		return nil
	}
	out := &martsync.Error{Kind: martsync.Config, Op: op, Err: fmt.Errorf("status %s", resp.Status), Hint: "check url and format"}
	if text := short(strings.ToValidUTF8(string(said), "")); text != "" && !strings.Contains(text, "<") {
		out.Err = fmt.Errorf("status %s: %s", resp.Status, text)
	}
	switch code := resp.StatusCode; {
	case code == http.StatusTooManyRequests, code == http.StatusRequestTimeout, code >= 500:
		out.Kind, out.Hint = martsync.Transient, ""
	case code == http.StatusUnauthorized, code == http.StatusForbidden:
		out.Kind, out.Hint = martsync.Auth, "check url and headers: whoever posts there is refused"
	case code == http.StatusNotFound, code == http.StatusGone:
		out.Hint = "check url: the webhook does not exist, or no longer"
	case code >= 300 && code < 400:
		out.Hint = "set url to where it redirects to"
	}
	return out
}
