package pardot

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/httpx"
	"github.com/martsync/martsync/internal/setting"
)

// mostBody bounds the body of a call, in bytes: nothing that the API takes is larger but files
// to import.
const mostBody = 10 << 20

// Call sends a request below the API host, with the token and under the limits of the source,
// and returns the reply as it came, the vendor's errors included: only trouble that passes is
// waited out. Path may have a query, and {v} where the version, 4 or 3, belongs. The caller
// closes the body.
func (s *source) Call(ctx context.Context, method, path string, body io.Reader) (*http.Response, error) {
	r, err := callRequest(method, path, body)
	if err != nil {
		return nil, err
	}
	var reply *http.Response
	_, err = s.client.attempt(ctx, r, func(resp *http.Response) error {
		if t := resp.Header.Get("Content-Type"); !httpx.IsJSON(resp.Header) && !strings.Contains(t, "xml") && resp.StatusCode < http.StatusBadRequest {
			reply = resp
			return nil
		}
		data, err := io.ReadAll(io.LimitReader(resp.Body, mostReply))
		if err != nil {
			return err
		}
		if _, err := parse(r.version(), resp.StatusCode, data); err != nil {
			if e, ok := errors.AsType[*apiError](err); ok && passes(e) {
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

// passes reports whether the client has an answer to an error other than to say so. A reply
// that is merely not in the usual form is somebody's to look at.
func passes(e *apiError) bool {
	switch ruleFor(e).class {
	case login, fewer, tomorrow, swap:
		return true
	case again:
		return e.Code != 0 || e.Status >= http.StatusInternalServerError
	case fatal, shrink, restart, skip:
	}
	return false
}

// callRequest makes a request of what somebody typed.
func callRequest(method, path string, body io.Reader) (request, error) {
	u, err := url.Parse(path)
	if err != nil || u.IsAbs() || u.Host != "" || !strings.HasPrefix(u.Path, "/") {
		return request{}, &martsync.Error{
			Kind: martsync.Config, Op: "pardot: call", Err: fmt.Errorf("%q is not a path", path),
			Hint: "Give a path below the API host such as /api/v5/objects/account?fields=id.",
		}
	}
	r := request{
		op: "call " + u.Path, method: strings.ToUpper(setting.Or(method, http.MethodGet)), path: u.EscapedPath(), query: u.Query(),
		free: u.Path == objects5+"account", // how much is left may always be asked
	}
	r.path = strings.Replace(r.path, url.PathEscape(versionPlace), versionPlace, 1)
	r.noReplay = r.method != http.MethodGet
	if body == nil {
		return r, nil
	}
	if r.raw, r.contentType, err = httpx.ReadBody(body, mostBody); err != nil {
		return request{}, &martsync.Error{Kind: martsync.Config, Op: "pardot: " + r.op, Err: err}
	}
	return r, nil
}
