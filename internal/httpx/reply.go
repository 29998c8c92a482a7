package httpx

import (
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// RetryAfter is how long a reply asks to wait, at most a day. Even if a vendor does not document the
// header, what stands in front of it may send it.
func RetryAfter(resp *http.Response) time.Duration {
	if resp == nil {
		return 0
	}
	n, err := strconv.Atoi(resp.Header.Get("Retry-After"))
	if err != nil || n < 0 {
		return 0
	}
	return time.Duration(min(n, 24*60*60)) * time.Second
}

// IsJSON reports whether a reply says that it is JSON.
func IsJSON(h http.Header) bool {
	t, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	return err == nil && t == "application/json"
}

// Excerpt shows the beginning of a body that is not what it should be.
func Excerpt(body []byte) string {
	const most = 200
	s := strings.Join(strings.Fields(strings.ToValidUTF8(string(body[:min(len(body), 4*most)]), "\uFFFD")), " ")
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	if s == "" {
		return "the reply is empty"
	}
	return s
}
