package httpx

import (
	"log/slog"
	"net/http"
	"net/url"
	"strings"

	"github.com/martsync/martsync"
)

// Logged returns a transport that writes each call to log at debug level: method, host and
// path, query parameters, status and the time to the reply's header. Values of the query
// parameters named in show appear, all others are redacted: a list of what is safe cannot
// forget a secret. Bodies and headers are never logged.
func Logged(next http.RoundTripper, log *slog.Logger, clock martsync.Clock, show ...string) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		ctx := r.Context()
		if !log.Enabled(ctx, slog.LevelDebug) {
			return next.RoundTrip(r)
		}
		start := clock.Now()
		resp, err := next.RoundTrip(r)
		attrs := []slog.Attr{
			slog.String("method", r.Method), slog.String("url", Describe(r.URL, show...)),
			slog.Duration("took", clock.Now().Sub(start)),
		}
		if err != nil {
			attrs = append(attrs, slog.Any("err", Scrub(err)))
		} else {
			attrs = append(attrs, slog.Int("status", resp.StatusCode))
			if resp.ContentLength >= 0 {
				attrs = append(attrs, slog.Int64("bytes", resp.ContentLength))
			}
		}
		log.LogAttrs(ctx, slog.LevelDebug, "call", attrs...)
		return resp, err
	})
}

// Describe writes a URL for people. Of its query it shows the names of all parameters and
// the values of those named in show.
func Describe(u *url.URL, show ...string) string {
	var b strings.Builder
	b.WriteString(u.Host)
	b.WriteString(u.EscapedPath())
	sep := byte('?')
	for pair := range strings.SplitSeq(u.RawQuery, "&") {
		if pair == "" {
			continue
		}
		name, _, _ := strings.Cut(pair, "=")
		b.WriteByte(sep)
		sep = '&'
		if shown(name, show) {
			b.WriteString(pair)
		} else {
			b.WriteString(name + "=…")
		}
	}
	return b.String()
}

func shown(name string, show []string) bool {
	for _, s := range show {
		if s == name {
			return true
		}
	}
	return false
}
