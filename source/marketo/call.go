package marketo

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/httpx"
	"github.com/martsync/martsync/internal/setting"
)

// mostBody is the vendor's limit for the body of a bulk import, the largest there is.
// Source: Marketo REST API, Performance.
const mostBody = 10 << 20 // bytes

// Call sends a request below the endpoint, with the token and under the limits of the
// source, and returns the reply as it came, the vendor's errors included: only trouble that
// passes is waited out. Path may have a query. The caller closes the body.
func (s *source) Call(ctx context.Context, method, path string, body io.Reader) (*http.Response, error) {
	r, err := callRequest(method, path, body)
	if err != nil {
		return nil, err
	}
	var reply *http.Response
	_, err = s.client.attempt(ctx, r, func(resp *http.Response) error {
		if !httpx.IsJSON(resp.Header) {
			if resp.StatusCode >= http.StatusInternalServerError {
				return &apiError{Status: resp.StatusCode}
			}
			reply = resp
			return nil
		}
		data, err := io.ReadAll(io.LimitReader(resp.Body, maxReply))
		if err != nil {
			return err
		}
		if _, err := parse(resp.StatusCode, data); err != nil {
			e, ok := err.(*apiError) //nolint:errorlint // parse wraps nothing
			if ok && ruleFor(e, r.path).act != fail && e.Code != "" {
				return err
			}
		}
		_ = resp.Body.Close()
		resp.Body = io.NopCloser(bytes.NewReader(data))
		reply = resp
		return nil
	})
	return reply, err
}

// callRequest makes a request of what somebody typed.
func callRequest(method, path string, body io.Reader) (request, error) {
	u, err := url.Parse(path)
	if err != nil || u.IsAbs() || u.Host != "" || !strings.HasPrefix(u.Path, "/") {
		return request{}, &martsync.Error{
			Kind: martsync.Config, Op: "marketo: call", Err: fmt.Errorf("%q is not a path", path),
			Hint: "Give a path below the endpoint such as /rest/v1/stats/usage.json.",
		}
	}
	r := request{
		op: "call " + u.Path, method: strings.ToUpper(setting.Or(method, http.MethodGet)), path: u.Path, query: u.Query(),
		file: strings.HasSuffix(u.Path, "/file.json"),
		free: strings.HasPrefix(u.Path, "/rest/v1/stats/"), // how much is left may always be asked
	}
	r.noReplay = r.method != http.MethodGet && r.query.Get("_method") != http.MethodGet
	if body == nil {
		return r, nil
	}
	if r.raw, r.contentType, err = httpx.ReadBody(body, mostBody); err != nil {
		return request{}, &martsync.Error{Kind: martsync.Config, Op: "marketo: " + r.op, Err: err}
	}
	return r, nil
}
