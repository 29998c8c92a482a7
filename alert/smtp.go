package alert

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/mail"
	"net/smtp"
	"net/textproto"
	"os"
	"strconv"
	"strings"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/httpx"
)

// smtpConfig are the options of type smtp.
type smtpConfig struct {
	Host     string          `yaml:"host" json:"host" jsonschema:"required,title=Server,description=The mail server.,example=smtp.example.com"`
	Port     int             `yaml:"port,omitempty" json:"port,omitempty" jsonschema:"title=Port,description=Its port. Without it: 587 with STARTTLS; 465 with TLS from the beginning; 25 without TLS."`
	TLS      string          `yaml:"tls,omitempty" json:"tls,omitempty" jsonschema:"title=TLS,description=How the connection is protected: starttls or implicit (from the beginning) or none. Never less than what is set.,enum=starttls,enum=implicit,enum=none,default=starttls"`
	CAFile   string          `yaml:"ca_file,omitempty" json:"ca_file,omitempty" martsync:"path" jsonschema:"title=Authority,description=PEM file with the authority that certified the server if the system does not know it."`
	User     string          `yaml:"user,omitempty" json:"user,omitempty" jsonschema:"title=User,description=Who signs in; without it nobody does."`
	Password martsync.Secret `yaml:"password,omitempty" json:"password,omitempty" jsonschema:"title=Password,description=Of the user. It is never sent without TLS.,example=env:SMTP_PASSWORD"`
	From     string          `yaml:"from" json:"from" jsonschema:"required,title=Sender,description=The address that messages come from.,example=martsync@example.com"`
	To       []string        `yaml:"to" json:"to" jsonschema:"required,title=Receivers,description=The addresses that messages go to."`
}

// A mailer sends mail through one server.
type mailer struct {
	smtpConfig
	address string
	tls     *tls.Config
	from    *mail.Address
	to      []*mail.Address
	clock   martsync.Clock
}

func openSMTP(_ context.Context, c smtpConfig, env martsync.Env) (Sender, error) {
	const op = "smtp"
	c.TLS = cmp.Or(c.TLS, "starttls")
	port, known := map[string]int{"starttls": 587, "implicit": 465, "none": 25}[c.TLS]
	switch {
	case c.Host == "" || strings.Contains(c.Host, "://"):
		return nil, configError(op, "set host to the name of the mail server", "host %q is no name of a server", c.Host)
	case !known:
		return nil, configError(op, "use starttls, implicit or none", "tls %q is not known", c.TLS)
	case c.TLS == "none" && c.User != "":
		return nil, configError(op, "use tls: starttls or implicit, or remove user and password", "a password is not sent without TLS")
	case (c.User == "") != (c.Password == ""):
		return nil, configError(op, "set both user and password, or neither", "only one of user and password is set")
	case len(c.To) == 0:
		return nil, configError(op, "set to to a list of addresses", "nobody gets the message")
	}
	m := &mailer{
		smtpConfig: c, address: net.JoinHostPort(c.Host, strconv.Itoa(cmp.Or(c.Port, port))), clock: env.Clock,
		tls: &tls.Config{ServerName: c.Host, MinVersion: tls.VersionTLS12},
	}
	var err error
	if m.from, err = mail.ParseAddress(c.From); err != nil {
		return nil, configError(op, "write it as name@example.com or Name <name@example.com>", "from %q is no address", c.From)
	}
	for _, to := range c.To {
		a, err := mail.ParseAddress(to)
		if err != nil {
			return nil, configError(op, "write it as name@example.com or Name <name@example.com>", "to: %q is no address", to)
		}
		m.to = append(m.to, a)
	}
	if c.CAFile != "" {
		pem, err := os.ReadFile(c.CAFile)
		if err != nil {
			return nil, configError(op, "name a file that can be read", "ca_file: %w", err)
		}
		m.tls.RootCAs = x509.NewCertPool()
		if !m.tls.RootCAs.AppendCertsFromPEM(pem) {
			return nil, configError(op, "name a PEM file with certificates", "ca_file %s has no certificate", c.CAFile)
		}
	}
	return m, nil
}

func (s *mailer) Send(ctx context.Context, m Message) error {
	text, err := s.compose(m)
	if err != nil {
		return err
	}
	return persist(ctx, s.clock, func() error { return s.deliver(ctx, text) })
}

// deliver hands one mail to the server, over a connection of its own.
func (s *mailer) deliver(ctx context.Context, text []byte) error {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", s.address)
	if err != nil {
		return s.failed("connect", err)
	}
	defer conn.Close() //nolint:errcheck // after Quit it is closed already
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return s.failed("connect", err)
		}
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() }) // whoever waits for the server is freed
	defer stop()
	if s.TLS == "implicit" {
		secure := tls.Client(conn, s.tls)
		if err := secure.HandshakeContext(ctx); err != nil {
			return s.failed("start TLS", err)
		}
		conn = secure
	}
	c, err := smtp.NewClient(conn, s.Host)
	if err != nil {
		return s.failed("greet", err)
	}
	if err := s.talk(c, text); err != nil {
		return err
	}
	_ = c.Quit() // the mail is accepted; a server that does not say goodbye has it still
	return nil
}

// talk says everything up to the end of the mail.
func (s *mailer) talk(c *smtp.Client, text []byte) error {
	host, err := os.Hostname()
	if err != nil || host == "" || strings.ContainsAny(host, " \r\n") {
		host = "localhost"
	}
	if err := c.Hello(host); err != nil {
		return s.failed("greet", err)
	}
	if s.TLS == "starttls" {
		if ok, _ := c.Extension("STARTTLS"); !ok {
			return configError("mail by "+s.address, "use tls: implicit and its port, or tls: none if the way to the server is safe", "the server does not offer STARTTLS")
		}
		if err := c.StartTLS(s.tls); err != nil {
			return s.failed("start TLS", err)
		}
	}
	if s.User != "" {
		if err := s.signIn(c); err != nil {
			return err
		}
	}
	if err := c.Mail(s.from.Address); err != nil {
		return s.failed("send from "+s.from.Address, err)
	}
	for _, to := range s.to {
		if err := c.Rcpt(to.Address); err != nil {
			return s.failed("send to "+to.Address, err)
		}
	}
	data, err := c.Data()
	if err != nil {
		return s.failed("send", err)
	}
	if _, err := data.Write(text); err != nil {
		return s.failed("send", err)
	}
	if err := data.Close(); err != nil {
		return s.failed("send", err)
	}
	return nil
}

// signIn proves who sends, in a way that the server offers.
func (s *mailer) signIn(c *smtp.Client) error {
	if _, secure := c.TLSConnectionState(); !secure { // it cannot come to that; a password is worth a second look
		return configError("mail by "+s.address, "use tls: starttls or implicit", "a password is not sent without TLS")
	}
	ok, offered := c.Extension("AUTH")
	ways := strings.Fields(strings.ToUpper(offered))
	has := func(way string) bool {
		for _, w := range ways {
			if w == way {
				return true
			}
		}
		return false
	}
	var auth smtp.Auth
	switch {
	case ok && has("PLAIN"):
		auth = smtp.PlainAuth("", s.User, s.Password.Reveal(), s.Host)
	case ok && has("LOGIN"):
		auth = &loginAuth{s.User, s.Password}
	case ok && has("CRAM-MD5"):
		auth = smtp.CRAMMD5Auth(s.User, s.Password.Reveal())
	default:
		return configError("mail by "+s.address, "use the port for submission (587 or 465), or remove user and password", "the server offers no way to sign in that is known: %q", offered)
	}
	if err := c.Auth(auth); err != nil {
		return s.failed("sign in as "+s.User, err)
	}
	return nil
}

// loginAuth is AUTH LOGIN, which some servers offer alone. It has no standard; the server asks for the user, then for
// the password. It is used over TLS only.
type loginAuth struct {
	user     string
	password martsync.Secret
}

func (a *loginAuth) Start(server *smtp.ServerInfo) (string, []byte, error) {
	if !server.TLS {
		return "", nil, errors.New("a password is not sent without TLS")
	}
	return "LOGIN", nil, nil
}

func (a *loginAuth) Next(question []byte, more bool) ([]byte, error) {
	if !more {
		return nil, nil
	}
	switch text := strings.ToLower(string(question)); {
	case strings.HasPrefix(text, "user"):
		return []byte(a.user), nil
	case strings.HasPrefix(text, "pass"):
		return []byte(a.password.Reveal()), nil
	default:
		return nil, errors.New("the server asks for something else than user and password")
	}
}

// failed says who must act. Source: RFC 5321, 4.2 and 4.3; RFC 4954, 6.
func (s *mailer) failed(what string, err error) error {
	out := &martsync.Error{Kind: martsync.Transient, Op: "mail by " + s.address, Err: fmt.Errorf("%s: %w", what, err)}
	said, answered := errors.AsType[*textproto.Error](err)
	_, untrusted := errors.AsType[*tls.CertificateVerificationError](err)
	_, plain := errors.AsType[tls.RecordHeaderError](err)
	switch {
	case untrusted:
		out.Kind, out.Hint = martsync.Config, "the certificate of the server is not trusted: check host, or set ca_file"
	case plain:
		out.Kind, out.Hint = martsync.Config, "the server does not begin with TLS: use tls: starttls, or another port"
	case !answered:
		out.Hint = "check host, port and the network"
		if httpx.UnknownHost(err) {
			out.Kind, out.Hint = martsync.Config, "check host: it does not resolve"
		}
	case said.Code == 530 || said.Code == 534 || said.Code == 535 || said.Code == 538:
		out.Kind, out.Hint = martsync.Auth, "check user and password, and whether the account may send by SMTP"
	case said.Code >= 500:
		out.Kind, out.Hint = martsync.Config, "check from and to: the server refuses the mail"
	}
	return out
}
