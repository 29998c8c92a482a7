package alert

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/md5" //nolint:gosec // CRAM-MD5 is made of it
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// A mailServer is an SMTP server as far as a client of ours can tell. Source: RFC 5321, RFC 3207, RFC 4954.
type mailServer struct {
	implicit bool              // TLS from the beginning
	starttls bool              // offered
	auth     string            // offered, over TLS only; "": none
	replies  map[string]string // instead of the usual ones, by the command's first word

	caFile string
	tls    *tls.Config
	port   int

	mu    sync.Mutex
	mails []received
	heard []string // commands
}

// A received mail.
type received struct {
	user, from string // user: signed in
	to         []string
	text       string
	secure     bool
}

const (
	mailUser     = "etl@example.com"
	mailPassword = "s3cr3t mail"
)

func newMailServer(t *testing.T, change func(*mailServer)) *mailServer {
	t.Helper()
	s := &mailServer{starttls: true, auth: "PLAIN LOGIN CRAM-MD5", replies: map[string]string{}}
	change(s)
	s.certify(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	s.port, _ = strconv.Atoi(port)
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { defer conn.Close(); s.serve(conn) })
		}
	})
	t.Cleanup(func() { listener.Close(); serving.Wait() })
	return s
}

// certify makes a certificate of 127.0.0.1 that certifies itself.
func (s *mailServer) certify(t *testing.T) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "127.0.0.1"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	s.caFile = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(s.caFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	s.tls = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MinVersion: tls.VersionTLS12}
}

// options are those of a client that fits.
func (s *mailServer) options() smtpConfig {
	c := smtpConfig{
		Host: "127.0.0.1", Port: s.port, CAFile: s.caFile, User: mailUser, Password: mailPassword,
		From: "martsync <martsync@example.com>", To: []string{"oncall@example.com", "Zoë <zoe@example.com>"},
	}
	if s.implicit {
		c.TLS = "implicit"
	}
	return c
}

func (s *mailServer) commands() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.heard, "\n")
}

func (s *mailServer) received() []received {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]received(nil), s.mails...)
}

func (s *mailServer) serve(conn net.Conn) {
	secure := false
	if s.implicit {
		conn, secure = tls.Server(conn, s.tls), true
	}
	in := bufio.NewReader(conn)
	say := func(lines ...string) { conn.Write([]byte(strings.Join(lines, "\r\n") + "\r\n")) }
	ask := func(question string) string {
		say("334 " + base64.StdEncoding.EncodeToString([]byte(question)))
		line, _ := in.ReadString('\n')
		text, _ := base64.StdEncoding.DecodeString(strings.TrimSpace(line))
		return string(text)
	}
	say("220 test ESMTP")
	var m received
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimRight(line, "\r\n")
		command, rest, _ := strings.Cut(line, " ")
		command = strings.ToUpper(command)
		s.mu.Lock()
		s.heard = append(s.heard, line)
		reply := s.replies[command]
		s.mu.Unlock()
		if reply != "" {
			say(reply)
			if strings.HasPrefix(reply, "421") {
				return
			}
			continue
		}
		switch command {
		case "EHLO":
			lines := []string{"250-test"}
			if s.starttls && !secure {
				lines = append(lines, "250-STARTTLS")
			}
			if s.auth != "" && secure {
				lines = append(lines, "250-AUTH "+s.auth)
			}
			say(append(lines, "250 8BITMIME")...)
		case "STARTTLS":
			say("220 go ahead")
			conn, secure = tls.Server(conn, s.tls), true
			in = bufio.NewReader(conn)
		case "AUTH":
			way, initial, _ := strings.Cut(rest, " ")
			ok := false
			switch {
			case !secure:
			case way == "PLAIN":
				text, _ := base64.StdEncoding.DecodeString(initial)
				ok = string(text) == "\x00"+mailUser+"\x00"+mailPassword
			case way == "LOGIN":
				user := ask("Username:")
				ok = ask("Password:") == mailPassword && user == mailUser
			case way == "CRAM-MD5":
				mac := hmac.New(md5.New, []byte(mailPassword))
				mac.Write([]byte("<1@test>"))
				ok = ask("<1@test>") == mailUser+" "+hex.EncodeToString(mac.Sum(nil))
			}
			if !ok {
				say("535 5.7.8 authentication credentials invalid")
				continue
			}
			m.user = mailUser
			say("235 welcome")
		case "MAIL":
			m.from, m.to = rest, nil
			say("250 ok")
		case "RCPT":
			m.to = append(m.to, rest)
			say("250 ok")
		case "DATA":
			say("354 go ahead")
			var text strings.Builder
			for {
				line, err := in.ReadString('\n')
				if err != nil {
					return
				}
				if line == ".\r\n" {
					break
				}
				text.WriteString(strings.TrimPrefix(line, "."))
			}
			m.text, m.secure = text.String(), secure
			s.mu.Lock()
			s.mails = append(s.mails, m)
			s.mu.Unlock()
			say("250 queued")
		case "QUIT":
			say("221 bye")
			return
		default:
			say("250 ok")
		}
	}
}
