package files

import (
	"bytes"
	"context"
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

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"github.com/martsync/martsync"
)

// A fakeS3 is a server that speaks S3, in this process: gofakes3 and what it lacks. It takes any
// secret, ignores checksums and If-Match, and knows neither rights nor regions. The first two are checked
// here; errors are said by hook. A real server is in TestVersityGW.
type fakeS3 struct {
	tb     testing.TB
	server *httptest.Server
	next   http.Handler

	mu    sync.Mutex
	calls []string                                                             // "PUT /bucket/key?uploads"
	hook  func(w http.ResponseWriter, r *http.Request, next http.Handler) bool // true: it has answered
}

const (
	fakeBucket = "mart"
	fakeKey    = "AKIDEXAMPLE"
)

// newFakeS3 starts a server with an empty bucket that ends with the test.
func newFakeS3(tb testing.TB) *fakeS3 {
	tb.Helper()
	backend := s3mem.New()
	if err := backend.CreateBucket(fakeBucket); err != nil {
		tb.Fatal(err)
	}
	f := &fakeS3{tb: tb, next: gofakes3.New(backend, gofakes3.WithLogger(gofakes3.DiscardLog())).Server()}
	f.server = httptest.NewUnstartedServer(f)
	f.server.Config.ErrorLog = log.New(io.Discard, "", 0) // replies are lost on purpose
	f.server.Start()
	tb.Cleanup(f.server.Close)
	probed.Range(func(id, _ any) bool { // an earlier server may have had the same port
		if strings.HasPrefix(id.(string), f.server.URL+" ") {
			probed.Delete(id)
		}
		return true
	})
	return f
}

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

// options reach the server.
func (f *fakeS3) options() S3Options {
	return S3Options{Endpoint: f.server.URL, Region: "eu-central-1", AccessKeyID: fakeKey, SecretAccessKey: "secret"}
}

// store opens a prefix of the bucket, without waits between attempts and with small parts.
func (f *fakeS3) store(prefix string) *s3Store {
	f.tb.Helper()
	return openFake(f.tb, prefix, f.options(), testEnv(f.tb))
}

func openFake(tb testing.TB, prefix string, o S3Options, env martsync.Env) *s3Store {
	tb.Helper()
	s, err := openS3Backoff(tb.Context(), fakeBucket, prefix, o, env, noBackoff)
	if err != nil {
		tb.Fatal(err)
	}
	store := s.(*s3Store)
	store.partSize = 1 << 10 // real servers want 5 MiB; this one takes any
	return store
}

var noBackoff = retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return 0, nil })

func testEnv(tb testing.TB) martsync.Env {
	transport := &http.Transport{}
	tb.Cleanup(transport.CloseIdleConnections)
	return martsync.Env{
		Log: slog.New(slog.DiscardHandler), HTTP: &http.Client{Transport: transport, Timeout: time.Minute},
		Clock: martsync.SystemClock{}, TempDir: tb.TempDir(),
	}
}

func (f *fakeS3) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	call := r.Method + " " + r.URL.Path
	if r.URL.RawQuery != "" {
		call += "?" + r.URL.RawQuery
	}
	f.calls = append(f.calls, call)
	hook := f.hook
	f.mu.Unlock()
	if !strings.Contains(r.Header.Get("Authorization"), "Credential="+fakeKey+"/") {
		sayS3(w, http.StatusForbidden, "AccessDenied", "the request is not signed")
		return
	}
	next := http.HandlerFunc(f.checked)
	if hook != nil && hook(w, r, next) {
		return
	}
	next(w, r)
}

// checked compares the checksum of what is put, as S3 does.
func (f *fakeS3) checked(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPut {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			sayS3(w, http.StatusBadRequest, "IncompleteBody", err.Error())
			return
		}
		sum := base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, crc32.Checksum(body, crc32.MakeTable(crc32.Castagnoli))))
		if want := r.Header.Get("X-Amz-Checksum-Crc32c"); want != sum {
			sayS3(w, http.StatusBadRequest, "BadDigest", fmt.Sprintf("the checksum is %q, not %q", want, sum))
			return
		}
		if r.URL.Query().Has("partNumber") {
			w.Header().Set("X-Amz-Checksum-Crc32c", sum)
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	f.next.ServeHTTP(w, r)
}

// during installs a hook.
func (f *fakeS3) during(hook func(w http.ResponseWriter, r *http.Request, next http.Handler) bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.hook = hook
}

// called counts the calls that begin so since the last time it was asked about anything.
func (f *fakeS3) called(prefix string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, c := range f.calls {
		if strings.HasPrefix(c, prefix) {
			n++
		}
	}
	f.calls = nil
	return n
}

// sayS3 answers with an error as S3 does.
func sayS3(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "application/xml")
	w.Header().Set("X-Amz-Request-Id", "4442587FB7D0A2F9")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, `<?xml version="1.0" encoding="UTF-8"?><Error><Code>%s</Code><Message>%s</Message><RequestId>4442587FB7D0A2F9</RequestId></Error>`, code, message)
}

// loseReply does what was asked and hangs up.
func loseReply(w http.ResponseWriter, r *http.Request, next http.Handler) bool {
	next.ServeHTTP(httptest.NewRecorder(), r)
	panic(http.ErrAbortHandler)
}

// once makes a hook that acts on the first call that matches.
func once(method, query string, act func(w http.ResponseWriter, r *http.Request, next http.Handler) bool) func(w http.ResponseWriter, r *http.Request, next http.Handler) bool {
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

// uploadFile writes a file and closes it, invisible.
func uploadFile(tb testing.TB, s store, key string, pieces ...[]byte) receipt {
	tb.Helper()
	u, err := s.Create(tb.Context(), key, "text/csv")
	if err != nil {
		tb.Fatal(err)
	}
	for _, p := range pieces {
		if n, err := u.Write(p); err != nil || n != len(p) {
			tb.Fatalf("Write of %d bytes = %d, %v", len(p), n, err)
		}
	}
	r, err := u.Close(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

// keysOf lists a store.
func keysOf(tb testing.TB, s store, prefix, after string) []string {
	tb.Helper()
	var keys []string
	for e, err := range s.List(context.WithoutCancel(tb.Context()), prefix, after) {
		if err != nil {
			tb.Fatal(err)
		}
		keys = append(keys, e.Key)
	}
	return keys
}

func pemOf(c *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
}
