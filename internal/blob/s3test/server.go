// Package s3test has servers that speak S3 for tests: one in this process, which can be made to fail at any
// call, and real ones where the machine has versitygw.
//
// Importing it takes the AWS_… variables out of the environment: tests must not depend on what is
// configured on the machine they run on.
package s3test

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/pem"
	"fmt"
	"hash/crc32"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"github.com/martsync/martsync"
)

// A Hook sees each request before the server. It returns true if it has answered.
type Hook func(w http.ResponseWriter, r *http.Request, next http.Handler) bool

// A Server speaks S3 in this process: gofakes3 and what it lacks. It takes any secret of Key, ignores
// If-Match and knows neither rights nor regions: errors are said by hooks. Checksums are checked.
// A real server is VersityGW's.
type Server struct {
	URL  string
	http *httptest.Server
	next http.Handler

	mu    sync.Mutex
	calls []string // "PUT /bucket/key?uploads"
	hook  Hook
}

// What a client must know.
const (
	Bucket = "mart" // empty in the beginning
	Region = "eu-central-1"
	Key    = "AKIDEXAMPLE"
	Secret = "secret"
)

// addresses are those that servers of this process have had. One that comes again would be taken for the
// server that had it before, of which more may be known by then (blob.Probe).
var addresses sync.Map

// New starts a server that ends with the test.
func New(tb testing.TB) *Server {
	tb.Helper()
	backend := s3mem.New()
	if err := backend.CreateBucket(Bucket); err != nil {
		tb.Fatal(err)
	}
	s := &Server{next: gofakes3.New(backend, gofakes3.WithLogger(gofakes3.DiscardLog())).Server()}
	for {
		s.http = httptest.NewUnstartedServer(s)
		s.http.Config.ErrorLog = log.New(io.Discard, "", 0) // replies are lost on purpose
		s.http.Start()
		tb.Cleanup(s.http.Close)
		if _, had := addresses.LoadOrStore(s.http.URL, true); !had {
			s.URL = s.http.URL
			return s
		}
	}
}

// Address is where the server listens: "127.0.0.1:1234".
func (s *Server) Address() string { return s.http.Listener.Addr().String() }

// Tests must not depend on what is configured on the machine they run on.
func init() {
	for _, v := range os.Environ() {
		if name, _, _ := strings.Cut(v, "="); strings.HasPrefix(name, "AWS_") {
			_ = os.Unsetenv(name)
		}
	}
	for _, name := range []string{"AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"} {
		_ = os.Setenv(name, os.DevNull)
	}
	_ = os.Setenv("AWS_EC2_METADATA_DISABLED", "true")
}

// Env is an environment with connections of its own, which end with the test.
func Env(tb testing.TB) martsync.Env {
	transport := &http.Transport{}
	tb.Cleanup(transport.CloseIdleConnections)
	return martsync.Env{
		Log: slog.New(slog.DiscardHandler), HTTP: &http.Client{Transport: transport, Timeout: time.Minute},
		Clock: martsync.SystemClock{}, TempDir: tb.TempDir(),
	}
}

func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	call := r.Method + " " + r.URL.Path
	if r.URL.RawQuery != "" {
		call += "?" + r.URL.RawQuery
	}
	s.calls = append(s.calls, call)
	hook := s.hook
	s.mu.Unlock()
	if !strings.Contains(r.Header.Get("Authorization"), "Credential="+Key+"/") {
		Say(w, http.StatusForbidden, "AccessDenied", "the request is not signed")
		return
	}
	next := http.HandlerFunc(s.checked)
	if hook != nil && hook(w, r, next) {
		return
	}
	next(w, r)
}

// checked compares the checksum of what is put, as S3 does.
func (s *Server) checked(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPut {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			Say(w, http.StatusBadRequest, "IncompleteBody", err.Error())
			return
		}
		sum := base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, crc32.Checksum(body, crc32.MakeTable(crc32.Castagnoli))))
		if want := r.Header.Get("X-Amz-Checksum-Crc32c"); want != sum {
			Say(w, http.StatusBadRequest, "BadDigest", fmt.Sprintf("the checksum is %q, not %q", want, sum))
			return
		}
		if r.URL.Query().Has("partNumber") {
			w.Header().Set("X-Amz-Checksum-Crc32c", sum)
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	s.next.ServeHTTP(w, r)
}

// During installs a hook; nil: none.
func (s *Server) During(hook Hook) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hook = hook
}

// Called counts the calls that begin so since the last time it was asked about anything.
func (s *Server) Called(prefix string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, c := range s.calls {
		if strings.HasPrefix(c, prefix) {
			n++
		}
	}
	s.calls = nil
	return n
}

// Say answers with an error as S3 does.
func Say(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "application/xml")
	w.Header().Set("X-Amz-Request-Id", "4442587FB7D0A2F9")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, `<?xml version="1.0" encoding="UTF-8"?><Error><Code>%s</Code><Message>%s</Message><RequestId>4442587FB7D0A2F9</RequestId></Error>`, code, message)
}

// LoseReply does what was asked and hangs up.
func LoseReply(w http.ResponseWriter, r *http.Request, next http.Handler) bool {
	next.ServeHTTP(httptest.NewRecorder(), r)
	panic(http.ErrAbortHandler)
}

// Once makes a hook that acts on the first call that matches.
func Once(method, query string, act Hook) Hook {
	var mu sync.Mutex
	done := false
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) bool {
		mu.Lock()
		hit := !done && r.Method == method && strings.Contains(r.URL.RawQuery, query)
		done = done || hit
		mu.Unlock()
		return hit && act(w, r, next)
	}
}

// PEM is a certificate as programs take it (AWS_CA_BUNDLE).
func PEM(c *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
}
