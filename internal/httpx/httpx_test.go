package httpx

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestLimitedCountsACallUntilItsBodyIsRead(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }))
	defer server.Close()
	for _, tc := range []struct {
		name string
		use  func(io.ReadCloser)
	}{
		{"closed", func(b io.ReadCloser) { _ = b.Close() }},
		{"read to the end", func(b io.ReadCloser) { _, _ = io.ReadAll(b) }},
		{"read and closed", func(b io.ReadCloser) { _, _ = io.ReadAll(b); _ = b.Close(); _ = b.Close() }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l := NewLimiter(newClock(), Limits{Calls: 100, Per: time.Second, Concurrent: 1})
			base := &http.Transport{}
			defer base.CloseIdleConnections()
			c := http.Client{Transport: Limited(base, l)}
			resp, err := c.Get(server.URL)
			if err != nil {
				t.Fatal(err)
			}
			if l.inFlight != 1 {
				t.Errorf("with an open body %d calls are in flight, want 1", l.inFlight)
			}
			tc.use(resp.Body)
			if l.inFlight != 0 {
				t.Errorf("after the body %d calls are in flight, want 0", l.inFlight)
			}
			_ = resp.Body.Close()
		})
	}
}

func TestLimitedReleasesAfterAnError(t *testing.T) {
	l := NewLimiter(newClock(), Limits{Calls: 100, Per: time.Second, Concurrent: 1})
	boom := roundTripper(func(*http.Request) (*http.Response, error) { return nil, io.ErrUnexpectedEOF })
	r := httptest.NewRequest(http.MethodGet, "http://example.invalid/", nil)
	for range 3 {
		if _, err := Limited(boom, l).RoundTrip(r); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("got %v, want unexpected EOF", err)
		}
	}
	if l.inFlight != 0 {
		t.Errorf("%d calls are in flight after errors, want 0", l.inFlight)
	}
}

func TestLoggedShowsNoValueItWasNotTold(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))
	fails := false
	next := roundTripper(func(r *http.Request) (*http.Response, error) {
		if fails {
			return nil, &url.Error{Op: "Get", URL: r.URL.String(), Err: errors.New("refused")}
		}
		return &http.Response{StatusCode: http.StatusOK, ContentLength: 7, Body: http.NoBody}, nil
	})
	r := httptest.NewRequest(http.MethodGet, "https://host.example/a/b.json?client_secret=hush-1&offset=20&email=ann%40example.org&flag", nil)
	r.Header.Set("Authorization", "Bearer hush-2")
	for _, fails = range []bool{false, true} {
		resp, err := Logged(next, log, newClock(), "offset").RoundTrip(r)
		if (err != nil) != fails {
			t.Fatalf("error %v, want one: %v", err, fails)
		}
		if resp != nil {
			_ = resp.Body.Close()
		}
	}
	got := out.String()
	for _, secret := range []string{"hush-1", "hush-2", "ann"} {
		if strings.Contains(got, secret) {
			t.Errorf("the log shows %q:\n%s", secret, got)
		}
	}
	for _, want := range []string{"method=GET", "host.example/a/b.json?client_secret=…&offset=20&email=…&flag=…", "status=200", "bytes=7", "err=refused"} {
		if !strings.Contains(got, want) {
			t.Errorf("the log lacks %q:\n%s", want, got)
		}
	}
}

func TestScrub(t *testing.T) {
	inner := &url.Error{Op: "Get", URL: "https://host/?client_secret=hush", Err: context.DeadlineExceeded}
	err := Scrub(&url.Error{Op: "Post", URL: "https://host/?client_secret=hush", Err: inner})
	if strings.Contains(err.Error(), "hush") || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want deadline exceeded without a URL", err)
	}
	if Scrub(nil) != nil {
		t.Error("Scrub(nil) is not nil")
	}
}

// pipes connects a client and a server in memory, where the clock of a bubble sees that both wait.
type pipes chan net.Conn

func (p pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case p <- server:
		return client, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (p pipes) Accept() (net.Conn, error) {
	if c, ok := <-p; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}

func (p pipes) Close() error   { close(p); return nil }
func (p pipes) Addr() net.Addr { return &net.TCPAddr{} }

// Time stands still in the bubble while anybody works, so how fast the machine is does not matter.
func TestImpatient(t *testing.T) {
	const patience = time.Minute
	for _, tc := range []struct {
		path  string
		text  string
		stall bool
		took  time.Duration
	}{
		{"/whole", "whole", false, 0},
		{"/slow", "slow", false, 4 * (patience - time.Second)}, // never silent for as long as that
		{"/silent", "", true, patience},
		{"/stops", "first", true, patience},
	} {
		t.Run(tc.path, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				conns, ended := make(pipes), make(chan struct{})
				server := &http.Server{ReadHeaderTimeout: time.Hour, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					switch r.URL.Path {
					case "/silent":
						<-r.Context().Done()
					case "/stops":
						_, _ = io.WriteString(w, "first")
						_ = http.NewResponseController(w).Flush()
						<-r.Context().Done()
					case "/slow":
						for _, b := range []byte("slow") {
							time.Sleep(patience - time.Second)
							_, _ = w.Write([]byte{b})
							_ = http.NewResponseController(w).Flush()
						}
					default:
						_, _ = io.WriteString(w, "whole")
					}
				})}
				go func() { defer close(ended); _ = server.Serve(conns) }()
				defer func() { _ = server.Close(); <-ended }()
				base := &http.Transport{DialContext: conns.dial}
				defer base.CloseIdleConnections()

				began := time.Now()
				r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://host.example"+tc.path, nil)
				if err != nil {
					t.Fatal(err)
				}
				var text []byte
				resp, err := Impatient(base, patience).RoundTrip(r)
				if err == nil {
					text, err = io.ReadAll(resp.Body)
					_ = resp.Body.Close()
				}
				if string(text) != tc.text || (err != nil) != tc.stall || err != nil && !errors.Is(err, ErrStalled) {
					t.Errorf("got %q, %v; want %q, stalled %v", text, err, tc.text, tc.stall)
				}
				if took := time.Since(began); took != tc.took {
					t.Errorf("it took %v, want %v", took, tc.took)
				}
			})
		})
	}
}

func TestImpatientObeysItsCaller(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	obedient := roundTripper(func(r *http.Request) (*http.Response, error) { return nil, r.Context().Err() })
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, "http://host.example/", nil)
	if _, err := Impatient(obedient, time.Minute).RoundTrip(r); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled by the caller: %v, want context canceled", err)
	}
}

func TestUnknownHost(t *testing.T) {
	c := http.Client{Transport: &http.Transport{Proxy: nil}}
	_, err := c.Get("http://no-such-host.invalid/")
	if err == nil {
		t.Skip("this machine resolves every name")
	}
	if strings.Contains(err.Error(), "no such host") && !UnknownHost(err) {
		t.Errorf("UnknownHost(%v) = false", err)
	}
	if UnknownHost(io.EOF) {
		t.Error("UnknownHost(EOF) = true")
	}
}
