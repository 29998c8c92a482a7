package alert

import (
	"context"
	"io"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/martsync/martsync"
)

// sample is a message with everything that a sender could stumble over.
var sample = Message{
	Event: Failure, Status: "problem", Sync: "märkte", Run: "r1", At: began, Since: began,
	Title: "märkte: stream leads failed\r\nBcc: everybody@example.com",
	Lines: []Line{{"What", "<b>5 & 6</b> ≠ " + strings.Repeat("long ", 50)}, {"Do", ".\n..dots"}, {"Look", "martsync logs märkte"}},
}

func send(t *testing.T, config any, m Message) error {
	t.Helper()
	clock := &handClock{now: began}
	for _, typ := range Types() {
		if c := typ.NewConfig(); cmp.Equal(typeName(c), typeName(config)) {
			s, err := typ.Open(t.Context(), config, martsync.Env{Clock: clock})
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			return s.Send(ctx, m)
		}
	}
	t.Fatalf("no type takes a %T", config)
	return nil
}

func typeName(v any) string {
	switch v.(type) {
	case *webhookConfig:
		return "webhook"
	case *snsConfig:
		return "sns"
	default:
		return "smtp"
	}
}

func TestMail(t *testing.T) {
	for name, change := range map[string]func(*mailServer){
		"STARTTLS":                func(*mailServer) {},
		"TLS from the beginning":  func(s *mailServer) { s.implicit = true },
		"LOGIN alone":             func(s *mailServer) { s.auth = "XOAUTH2 LOGIN" },
		"CRAM-MD5 alone":          func(s *mailServer) { s.auth = "CRAM-MD5" },
		"LOGIN, TLS from the beg": func(s *mailServer) { s.implicit, s.auth = true, "LOGIN" },
	} {
		t.Run(name, func(t *testing.T) {
			s := newMailServer(t, change)
			c := s.options()
			if err := send(t, &c, sample); err != nil {
				t.Fatal(err)
			}
			got := s.received()
			if len(got) != 1 {
				t.Fatalf("%d mails", len(got))
			}
			m := got[0]
			if !m.secure || m.user != mailUser || !strings.HasPrefix(m.from, "FROM:<martsync@example.com>") {
				t.Errorf("got %+v", m)
			}
			if diff := cmp.Diff([]string{"TO:<oncall@example.com>", "TO:<zoe@example.com>"}, m.to); diff != "" {
				t.Error(diff)
			}
			if strings.Contains(s.commands(), mailPassword) {
				t.Error("the password was sent in clear")
			}
			wantMail(t, m.text)
		})
	}
}

// wantMail reads the mail as a mail program does.
func wantMail(t *testing.T, text string) {
	t.Helper()
	for line := range strings.SplitSeq(text, "\r\n") {
		if len(line) > 998 || strings.ContainsAny(line, "\r\n") || strings.ContainsFunc(line, func(r rune) bool { return r > '~' }) {
			t.Errorf("line %q may not be sent", line)
		}
	}
	m, err := mail.ReadMessage(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
	if err != nil || subject != "[martsync] märkte: stream leads failed Bcc: everybody@example.com" {
		t.Errorf("subject %q, %v", subject, err)
	}
	if m.Header.Get("Bcc") != "" {
		t.Error("a title became a header")
	}
	to, err := m.Header.AddressList("To")
	if err != nil || len(to) != 2 || to[1].Name != "Zoë" {
		t.Errorf("to %v, %v", to, err)
	}
	if date, err := m.Header.Date(); err != nil || !date.Equal(began) {
		t.Errorf("date %v, %v", date, err)
	}
	if m.Header.Get("Auto-Submitted") != "auto-generated" || !strings.HasSuffix(m.Header.Get("Message-Id"), "@example.com>") {
		t.Errorf("headers %v", m.Header)
	}
	body, err := io.ReadAll(quotedprintable.NewReader(m.Body))
	if err != nil {
		t.Fatal(err)
	}
	got := strings.ReplaceAll(string(body), "\r\n", "\n")
	if want := strings.ReplaceAll(sample.Title, "\r\n", "\n") + "\n\n" + sample.Text(); strings.TrimRight(got, "\n") != strings.TrimRight(want, "\n") {
		t.Errorf("body (-want +got):\n%s", cmp.Diff(want, got))
	}
}

// Without TLS there is no signing in, and no password on the wire whatever the server does.
func TestMailInClear(t *testing.T) {
	s := newMailServer(t, func(s *mailServer) { s.starttls = false })
	c := s.options()
	c.TLS = "none"
	err := send(t, &c, sample)
	if martsync.KindOf(err) != martsync.Config || !strings.Contains(err.Error(), "not sent without TLS") {
		t.Errorf("got %v", err)
	}
	if heard := s.commands(); heard != "" {
		t.Errorf("the server was asked:\n%s", heard)
	}
	c.TLS = "starttls"
	err = send(t, &c, sample) // somebody on the way may have taken the offer out
	if martsync.KindOf(err) != martsync.Config || !strings.Contains(err.Error(), "does not offer STARTTLS") {
		t.Errorf("got %v", err)
	}
	if heard := s.commands(); strings.Contains(heard, "AUTH") || strings.Contains(heard, "MAIL") {
		t.Errorf("the server heard:\n%s", heard)
	}
	c.TLS, c.User, c.Password = "none", "", ""
	if err := send(t, &c, sample); err != nil {
		t.Error(err)
	}
	if got := s.received(); len(got) != 1 || got[0].secure {
		t.Errorf("got %+v", got)
	}
}

func TestMailErrors(t *testing.T) {
	for _, tc := range []struct {
		name   string
		server func(*mailServer)
		change func(*smtpConfig)
		kind   martsync.Kind
		err    string
		hint   string
		tries  int // of connections; 0: not looked at
	}{
		{"another password", nil, func(c *smtpConfig) { c.Password = "other" }, martsync.Auth, "sign in as " + mailUser, "check user and password", 1},
		{"no way to sign in", func(s *mailServer) { s.auth = "XOAUTH2" }, nil, martsync.Config, "XOAUTH2", "587 or 465", 1},
		{"a sender that is refused", func(s *mailServer) { s.replies["MAIL"] = "550 not from you" }, nil, martsync.Config, `send from martsync@example.com: 550 "not from you"`, "check from", 1},
		{"a receiver that does not exist", func(s *mailServer) { s.replies["RCPT"] = "550 no such user" }, nil, martsync.Config, "send to oncall@example.com", "check from and to", 1},
		{"signing in is demanded", func(s *mailServer) { s.replies["MAIL"] = "530 authenticate first" }, nil, martsync.Auth, "530", "user and password", 1},
		{"try later", func(s *mailServer) { s.replies["DATA"] = "451 greylisted" }, nil, martsync.Transient, "451", "", tries},
		{"closing", func(s *mailServer) { s.replies["EHLO"] = "421 going down" }, nil, martsync.Transient, "", "", tries},
		{"an unknown authority", nil, func(c *smtpConfig) { c.CAFile = "" }, martsync.Config, "start TLS", "ca_file", 1},
		{"another name", nil, func(c *smtpConfig) { c.Host = "localhost" }, martsync.Config, "start TLS", "check host", 1},
		{"TLS where there is none", nil, func(c *smtpConfig) { c.TLS = "implicit" }, martsync.Config, "start TLS", "use tls: starttls", 0},
		{"nobody listens", nil, func(c *smtpConfig) { c.Port = 1 }, martsync.Transient, "connect", "check host, port", 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newMailServer(t, func(s *mailServer) {
				if tc.server != nil {
					tc.server(s)
				}
			})
			c := s.options()
			if tc.change != nil {
				tc.change(&c)
			}
			err := send(t, &c, sample)
			if err == nil || martsync.KindOf(err) != tc.kind || !strings.Contains(err.Error(), tc.err) || !strings.Contains(martsync.HintOf(err), tc.hint) {
				t.Errorf("got %v %v, hint %q; want %v %q %q", martsync.KindOf(err), err, martsync.HintOf(err), tc.kind, tc.err, tc.hint)
			}
			if err != nil && strings.Contains(err.Error(), "s3cr3t") {
				t.Errorf("the error shows the password: %v", err)
			}
			if tc.tries > 0 {
				if n := strings.Count("\n"+s.commands(), "\nEHLO"); tc.server != nil && n < tc.tries {
					t.Errorf("%d greetings, want at least %d", n, tc.tries)
				}
			}
			if len(s.received()) > 0 {
				t.Error("a mail was sent")
			}
		})
	}
}

// A server that says nothing is given up.
func TestSilentMailServer(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	s := newMailServer(t, func(*mailServer) {})
	c := s.options()
	c.Port = listener.Addr().(*net.TCPAddr).Port
	m, err := openSMTP(t.Context(), c, martsync.Env{Clock: &handClock{}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := m.Send(ctx, sample); martsync.KindOf(err) != martsync.Transient {
		t.Errorf("got %v", err)
	}
}

func TestMailOptions(t *testing.T) {
	good := smtpConfig{Host: "smtp.example.com", From: "a@example.com", To: []string{"b@example.com"}}
	for name, tc := range map[string]struct {
		change  func(*smtpConfig)
		want    string
		address string
	}{
		"good":             {func(*smtpConfig) {}, "", "smtp.example.com:587"},
		"implicit":         {func(c *smtpConfig) { c.TLS = "implicit" }, "", "smtp.example.com:465"},
		"none":             {func(c *smtpConfig) { c.TLS = "none" }, "", "smtp.example.com:25"},
		"a port":           {func(c *smtpConfig) { c.Port = 2525 }, "", "smtp.example.com:2525"},
		"no host":          {func(c *smtpConfig) { c.Host = "" }, "host", ""},
		"an address":       {func(c *smtpConfig) { c.Host = "smtp://x" }, "host", ""},
		"unknown tls":      {func(c *smtpConfig) { c.TLS = "ssl" }, `tls "ssl"`, ""},
		"half a login":     {func(c *smtpConfig) { c.User = "x" }, "only one of", ""},
		"nobody":           {func(c *smtpConfig) { c.To = nil }, "nobody", ""},
		"a bad receiver":   {func(c *smtpConfig) { c.To = []string{"b"} }, `to: "b"`, ""},
		"a line in a name": {func(c *smtpConfig) { c.From = "a@example.com\r\nBcc: x@example.com" }, "from", ""},
		"no authority":     {func(c *smtpConfig) { c.CAFile = "/does/not/exist" }, "ca_file", ""},
	} {
		c := good
		tc.change(&c)
		s, err := openSMTP(t.Context(), c, martsync.Env{})
		switch {
		case tc.want == "" && (err != nil || s.(*mailer).address != tc.address):
			t.Errorf("%s: got %+v, %v", name, s, err)
		case tc.want != "" && (martsync.KindOf(err) != martsync.Config || err == nil || !strings.Contains(err.Error(), tc.want) || martsync.HintOf(err) == ""):
			t.Errorf("%s: got %v, want %q and a hint", name, err, tc.want)
		}
	}
}
