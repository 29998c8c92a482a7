// Package httpx holds what sources wrap around an HTTP transport: a limiter that keeps one
// account below its vendor's limits, a guard against peers that fall silent, a debug log that
// shows no secret; and what their clients share: pauses between tries, taking turns, the outside of
// replies and of bodies that people type.
//
// It leaves to the sources what a reply means: vendors report failures in bodies, so
// retries, tokens and quotas belong to the client that can read them.
package httpx

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
)

// Limited returns a transport that waits for l before each request and counts the request
// as in flight until its body has been read to the end or closed, since a vendor counts a
// running download too.
func Limited(next http.RoundTripper, l *Limiter) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		release, err := l.Acquire(r.Context())
		if err != nil {
			if r.Body != nil {
				_ = r.Body.Close() // a RoundTripper must close the body, also on errors
			}
			return nil, err
		}
		resp, err := next.RoundTrip(r)
		if err != nil {
			release()
			return nil, err
		}
		resp.Body = &releasing{ReadCloser: resp.Body, release: release}
		return resp, nil
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// releasing calls release once, at the first error (the end included) or at Close.
type releasing struct {
	io.ReadCloser
	once    sync.Once
	release func()
}

func (b *releasing) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		b.once.Do(b.release)
	}
	return n, err
}

func (b *releasing) Close() error {
	defer b.once.Do(b.release)
	return b.ReadCloser.Close()
}

// Scrub returns err without the URL that package net/http puts into its errors: a query may
// hold a secret. What went wrong stays, and so does the chain for errors.Is below it.
func Scrub(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		return Scrub(u.Err)
	}
	return err
}

// UnknownHost reports whether err says that a host name does not resolve.
func UnknownHost(err error) bool {
	d, ok := errors.AsType[*net.DNSError](err)
	return ok && d.IsNotFound
}
