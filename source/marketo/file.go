package marketo

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/martsync/martsync/internal/httpx"
)

// file opens a file of a bulk export at an offset and returns its bytes from there on and
// its whole size, or -1 if the vendor does not tell. A file that no longer exists, or does
// not yet, is errGone. Errors while reading are *martsync.Error of kind Transient: open the
// file again where reading stopped. The body is the caller's to close.
//
// Source: Marketo REST API, Bulk Extract, Retrieving Your Data.
func (c *client) file(ctx context.Context, path string, offset int64) (body io.ReadCloser, total int64, err error) {
	const op = "download export file"
	_, err = c.attempt(ctx, request{op: op, path: path, file: true, offset: offset}, func(resp *http.Response) (err error) {
		body, total, err = openFile(op, resp, offset)
		return err
	})
	if err != nil {
		return nil, -1, err
	}
	return body, total, nil
}

// mostFault is where the JSON of an error ends that comes in place of a file.
const mostFault = 64 << 10 // bytes

func openFile(op string, resp *http.Response, offset int64) (io.ReadCloser, int64, error) {
	b := &fileBody{op: op, r: bufio.NewReaderSize(resp.Body, mostFault), body: resp.Body}
	switch resp.StatusCode {
	case http.StatusOK, http.StatusPartialContent:
	case http.StatusRequestedRangeNotSatisfiable:
		// Asking for what follows the last byte is no error to us: there is nothing more.
		if _, size, ok := contentRange(resp.Header); ok && size >= 0 && offset >= size {
			_ = resp.Body.Close()
			return http.NoBody, size, nil
		}
		fallthrough
	default:
		text, err := io.ReadAll(io.LimitReader(b.r, mostFault))
		if err != nil {
			return nil, -1, err
		}
		_, err = parse(resp.StatusCode, text)
		return nil, -1, err
	}
	if err := b.fault(resp); err != nil {
		return nil, -1, err
	}
	if resp.StatusCode == http.StatusPartialContent {
		start, size, ok := contentRange(resp.Header)
		if !ok || start != offset {
			return nil, -1, &apiError{Status: resp.StatusCode, Message: fmt.Sprintf("asked for the file from byte %d on, got %q", offset, resp.Header.Get("Content-Range"))}
		}
		return b, size, nil
	}
	// Somebody in between does not know ranges and sent all of it.
	if n, err := io.CopyN(io.Discard, b.r, offset); err != nil {
		return nil, -1, fmt.Errorf("skip to byte %d of the file, which ended or broke after %d: %w", offset, n, err)
	}
	return b, resp.ContentLength, nil
}

// fileBody is a file from which an error in its place has been told apart.
type fileBody struct {
	op   string
	r    *bufio.Reader
	body io.Closer
}

// fault looks for an error of the vendor in place of the file: JSON with HTTP 200. No file
// begins with a brace, since its header names fields; a part of one may, in a JSON cell.
func (b *fileBody) fault(resp *http.Response) error {
	first, err := b.r.Peek(1)
	if errors.Is(err, io.EOF) {
		return nil // the file of an empty job may have no bytes
	}
	if err != nil {
		return err
	}
	whole := resp.StatusCode == http.StatusOK
	if first[0] != '{' || !whole && !httpx.IsJSON(resp.Header) {
		return nil
	}
	text, err := b.r.Peek(mostFault)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	_, err = parse(http.StatusOK, text)
	if err == nil && whole {
		err = &apiError{Status: resp.StatusCode, Message: "there is a JSON envelope in place of the file"}
	}
	if e, ok := err.(*apiError); ok && e.Code == "" && !whole { //nolint:errorlint // parse wraps nothing
		return nil
	}
	return err
}

func (b *fileBody) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = transportError(b.op, err)
	}
	return n, err
}

func (b *fileBody) Close() error { return b.body.Close() }

// contentRange reads "bytes 100-999/1000" and "bytes */1000"; size is -1 for "*".
func contentRange(h http.Header) (start, size int64, ok bool) {
	v, ok := strings.CutPrefix(h.Get("Content-Range"), "bytes ")
	if !ok {
		return 0, -1, false
	}
	part, whole, ok := strings.Cut(v, "/")
	if !ok {
		return 0, -1, false
	}
	size = -1
	if whole != "*" {
		n, err := strconv.ParseInt(whole, 10, 64)
		if err != nil || n < 0 {
			return 0, -1, false
		}
		size = n
	}
	if part == "*" {
		return 0, size, true
	}
	first, _, ok := strings.Cut(part, "-")
	start, err := strconv.ParseInt(first, 10, 64)
	return start, size, ok && err == nil && start >= 0
}
