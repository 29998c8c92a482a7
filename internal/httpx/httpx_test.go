package httpx

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
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

func TestImpatient(t *testing.T) {
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/silent":
			<-release
		case "/stops":
			_, _ = io.WriteString(w, "first")
			w.(http.Flusher).Flush()
			<-release
		default:
			_, _ = io.WriteString(w, "whole")
		}
	}))
	defer server.Close()
	defer close(release)
	base := &http.Transport{}
	defer base.CloseIdleConnections()
	read := func(path string, patience time.Duration) (string, error) {
		c := http.Client{Transport: Impatient(base, patience)}
		resp, err := c.Get(server.URL + path)
		if err != nil {
			return "", err
		}
		defer func() { _ = resp.Body.Close() }()
		b, err := io.ReadAll(resp.Body)
		return string(b), err
	}
	if got, err := read("/whole", time.Minute); got != "whole" || err != nil {
		t.Errorf("whole: %q, %v", got, err)
	}
	if _, err := read("/silent", 20*time.Millisecond); !errors.Is(err, ErrStalled) {
		t.Errorf("no header: %v, want ErrStalled", err)
	}
	if got, err := read("/stops", 50*time.Millisecond); got != "first" || !errors.Is(err, ErrStalled) {
		t.Errorf("body stops: %q, %v, want what came and ErrStalled", got, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r, _ := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+"/whole", nil)
	if _, err := Impatient(base, time.Minute).RoundTrip(r); !errors.Is(err, context.Canceled) {
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
