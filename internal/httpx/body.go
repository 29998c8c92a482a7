package httpx

import (
	"bytes"
	"fmt"
	"io"
)

// Content types of request bodies.
const (
	typeJSON = "application/json"
	typeForm = "application/x-www-form-urlencoded"
)

// ReadBody reads the body of a call that somebody typed, at most so many bytes, and tells its
// content type: JSON by its looks, else a form. A body of blanks is none.
func ReadBody(body io.Reader, most int64) (raw []byte, contentType string, err error) {
	if raw, err = io.ReadAll(io.LimitReader(body, most+1)); err != nil {
		return nil, "", fmt.Errorf("read the body: %w", err)
	}
	if int64(len(raw)) > most {
		return nil, "", fmt.Errorf("the body is larger than %d bytes", most)
	}
	switch trimmed := bytes.TrimSpace(raw); {
	case len(trimmed) == 0:
		return nil, "", nil
	case trimmed[0] == '{' || trimmed[0] == '[':
		return raw, typeJSON, nil
	default:
		return raw, typeForm, nil
	}
}
