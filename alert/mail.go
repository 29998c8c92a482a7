package alert

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"mime"
	"mime/quotedprintable"
	"strings"
	"time"
)

// compose writes the mail. Source: RFC 5322; RFC 3834 for Auto-Submitted, which keeps people's absence notes away.
func (s *mailer) compose(m Message) ([]byte, error) {
	var b bytes.Buffer
	to := make([]string, len(s.to))
	for i, a := range s.to {
		to[i] = a.String()
	}
	_, domain, _ := strings.Cut(s.from.Address, "@")
	for _, h := range [...][2]string{
		{"From", s.from.String()},
		{"To", strings.Join(to, ",\r\n ")},
		{"Subject", mime.QEncoding.Encode("utf-8", strings.Join(strings.Fields("[martsync] "+m.Title), " "))},
		{"Date", m.At.UTC().Format(time.RFC1123Z)},
		{"Message-ID", "<" + strings.ToLower(rand.Text()) + "@" + domain + ">"},
		{"Auto-Submitted", "auto-generated"},
		{"MIME-Version", "1.0"},
		{"Content-Type", "text/plain; charset=utf-8"},
		{"Content-Transfer-Encoding", "quoted-printable"},
	} {
		b.WriteString(h[0] + ": " + h[1] + "\r\n")
	}
	b.WriteString("\r\n")
	q := quotedprintable.NewWriter(&b)
	if _, err := q.Write([]byte(m.Title + "\n\n" + m.Text())); err != nil {
		return nil, fmt.Errorf("write the mail: %w", err)
	}
	if err := q.Close(); err != nil {
		return nil, fmt.Errorf("write the mail: %w", err)
	}
	return b.Bytes(), nil
}
