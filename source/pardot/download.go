package pardot

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/martsync/martsync"
)

// vendorFileHosts are the hosts that export files have been seen at. All of them serve the
// same API, so what is at one is fetched from the API host: the access token goes nowhere
// else. Account Engagement API, Export.
var vendorFileHosts = []string{"pi.pardot.com", "pi.demo.pardot.com", "www.pardot.com"}

// fileHosts says which hosts' files may be fetched, and for which the token is sent there.
func fileHosts(cfg Config) map[string]bool {
	hosts := make(map[string]bool)
	for _, h := range vendorFileHosts {
		hosts[h] = false
	}
	for _, h := range cfg.DownloadHosts {
		hosts[strings.ToLower(h)] = true
	}
	return hosts
}

// fileURL decides where a file that the vendor names is fetched.
func (c *client) fileURL(ref string) (*url.URL, error) {
	refuse := func(why string) (*url.URL, error) {
		return nil, &martsync.Error{
			Kind: martsync.Config, Err: errors.New(why),
			Hint: "The access token is sent to hosts of the vendor only; if this one is yours to trust, add it to download_hosts.",
		}
	}
	u, err := url.Parse(ref)
	switch {
	case err != nil || u.Host == "" && (u.Scheme != "" || !strings.HasPrefix(u.Path, "/")):
		return refuse("the address of the file is not a URL")
	case u.Host == "" || strings.EqualFold(u.Host, c.api.Host) && u.Scheme == c.api.Scheme:
		return c.api.ResolveReference(&url.URL{Path: u.Path, RawPath: u.RawPath, RawQuery: u.RawQuery}), nil
	case u.User != nil:
		return refuse("the address of the file holds a user name")
	}
	there, known := c.hosts[strings.ToLower(u.Hostname())]
	switch {
	case !known:
		return refuse(fmt.Sprintf("the file is at %s, which is not a host of the vendor", u.Hostname()))
	case !there:
		return c.api.ResolveReference(&url.URL{Path: c.api.Path + u.Path, RawQuery: u.RawQuery}), nil
	case u.Scheme != "https":
		return refuse(fmt.Sprintf("the file is at %s without TLS", u.Hostname()))
	}
	return u, nil
}

// download opens a file of an export job: ref is its address as the vendor gave it. Redirects
// are not followed. The body is the caller's to close; it also returns how many calls it took.
func (c *client) download(ctx context.Context, op, ref string) (*http.Response, int64, error) {
	u, err := c.fileURL(ref)
	if err != nil {
		return nil, 0, during(request{op: op}, err)
	}
	var file *http.Response
	r := request{op: op, from: u}
	calls, err := c.attempt(ctx, r, func(resp *http.Response) error {
		begin := bufio.NewReader(resp.Body)
		first, err := begin.Peek(16)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		// No header of a CSV file begins like JSON, XML or HTML; errors come with status 200.
		first = bytes.TrimLeft(bytes.TrimPrefix(first, []byte("\xef\xbb\xbf")), " \t\r\n")
		markup := len(first) > 0 && (first[0] == '{' || first[0] == '<')
		if resp.StatusCode != http.StatusOK || markup {
			body, err := io.ReadAll(io.LimitReader(begin, 1<<20))
			if err != nil {
				return err
			}
			if _, err := parse(r.version(), resp.StatusCode, body); err != nil {
				return err
			}
			return &apiError{Status: resp.StatusCode, Message: "the reply is not a file"}
		}
		resp.Body = &buffered{Reader: begin, Closer: resp.Body}
		file = resp
		return nil
	})
	if err != nil {
		return nil, calls, err
	}
	return file, calls, nil
}

// buffered is a body whose beginning has been looked at.
type buffered struct {
	*bufio.Reader
	io.Closer
}
