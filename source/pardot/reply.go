package pardot

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/martsync/martsync/internal/httpx"
)

// An envelope is the frame of a JSON reply of either version.
// Account Engagement API, Version 4 Overview; Version 5 Overview.
type envelope struct {
	// Version 4.
	Attributes *struct {
		Stat string          `json:"stat"`
		Code json.RawMessage `json:"err_code"`
	} `json:"@attributes"`
	Err    json.RawMessage `json:"err"`
	Result json.RawMessage `json:"result"` // nil: absent

	// Version 5. A single record has no frame, but may have members of these names.
	Code    json.RawMessage   `json:"code"`
	Message json.RawMessage   `json:"message"`
	ID      json.RawMessage   `json:"id"`
	Values  []json.RawMessage `json:"values"`
	Next    json.RawMessage   `json:"nextPageToken"`
}

// parse reads the frame of a reply. Its errors are *apiError.
func parse(v version, status int, body []byte) (envelope, error) {
	var e envelope
	fail := func(format string, args ...any) (envelope, error) {
		return envelope{}, &apiError{Status: status, Message: fmt.Sprintf(format, args...)}
	}
	if len(body) > mostReply {
		return envelope{}, &apiError{Status: status, Message: fmt.Sprintf("the reply is larger than %d MiB", mostReply>>20), vast: true}
	}
	text := bytes.TrimSpace(bytes.TrimPrefix(body, []byte("\xef\xbb\xbf")))
	if len(text) > 0 && text[0] == '<' {
		if err := markupFault(status, text); err != nil {
			return e, err
		}
	}
	err := unmarshal(text, &e)
	object := err == nil && len(text) > 0 && text[0] == '{'
	if object {
		if f := e.fault(status); f != nil {
			return envelope{}, f
		}
	}
	switch {
	case status < 200 || status > 299:
		torn := !object && len(text) > 0 && text[0] == '{'
		return envelope{}, &apiError{Status: status, Message: httpx.Excerpt(text), told: object, torn: torn}
	case !object:
		// Proxies answer with pages of HTML; connections are cut within the JSON.
		return fail("the reply is not the vendor's: %s", httpx.Excerpt(text))
	case v == v4 && e.Attributes == nil && e.Result == nil && e.ID == nil && len(text) < len(`{"a":{}}`):
		// Nothing says that the call succeeded, and taking it for "no records" would delete
		// what is there.
		return fail("the reply tells neither success nor an error")
	}
	return e, nil
}

// unmarshal reads JSON. Members of unexpected types are left out, and control characters that
// stand in strings as they are, which JSON forbids, are taken.
func unmarshal(text []byte, v any) error {
	err := json.Unmarshal(text, v)
	if _, ok := errors.AsType[*json.SyntaxError](err); ok {
		if mended := mend(text); mended != nil {
			err = json.Unmarshal(mended, v)
		}
	}
	if _, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return nil
	}
	return err
}

// mend escapes control characters within the strings of a JSON text; nil: there are none.
func mend(text []byte) []byte {
	var out []byte
	inside, escaped := false, false
	for i, b := range text {
		if inside && b < ' ' {
			if out == nil {
				out = append(make([]byte, 0, len(text)+64), text[:i]...)
			}
			out = fmt.Appendf(out, `\u%04x`, b)
			continue
		}
		switch {
		case escaped:
			escaped = false
		case inside && b == '\\':
			escaped = true
		case b == '"':
			inside = !inside
		}
		if out != nil {
			out = append(out, b)
		}
	}
	return out
}

// fault returns the error in an envelope, nil if there is none. What a reply is follows from
// its body: version 4 sends errors with status 200, and which status version 5 sends with its
// limits is not documented.
func (e *envelope) fault(status int) error {
	if a := e.Attributes; a != nil {
		code := number(a.Code)
		if strings.EqualFold(a.Stat, "ok") || a.Stat == "" && code == 0 && status < 300 {
			return nil
		}
		return &apiError{Code: code, Message: bare(e.Err), Status: status, told: true}
	}
	code := number(e.Code)
	if code == 0 || e.ID != nil || e.Values != nil || status < 300 && e.Message == nil {
		return nil
	}
	return &apiError{Code: code, Message: bare(e.Message), Status: status, told: true}
}

// markupFault returns the error in a reply of version 4 in XML, its format unless something on
// the way lost the parameter. A page of HTML is none.
func markupFault(status int, text []byte) error {
	var rsp struct {
		XMLName xml.Name `xml:"rsp"`
		Stat    string   `xml:"stat,attr"`
		Errors  []struct {
			Code  string `xml:"code,attr"`
			Param string `xml:"param,attr"`
			Text  string `xml:",chardata"`
		} `xml:"err"`
	}
	known := xml.Unmarshal(text, &rsp) == nil && rsp.Stat != "ok" && len(rsp.Errors) > 0
	if !known {
		return nil
	}
	texts := make([]string, 0, len(rsp.Errors))
	for _, e := range rsp.Errors {
		t := strings.TrimSpace(e.Text)
		if e.Param != "" {
			t = e.Param + ": " + t
		}
		texts = append(texts, t)
	}
	code, _ := strconv.Atoi(rsp.Errors[0].Code)
	return &apiError{Code: code, Message: strings.Join(texts, "; "), Status: status, told: true}
}

// number is a JSON number, or one in quotes; 0 if it is none.
func number(raw json.RawMessage) int {
	n, err := strconv.Atoi(bare(raw))
	if err != nil {
		return 0
	}
	return n
}

// bare is a JSON value as text: a string without quotes, "" for null and nothing.
func bare(raw json.RawMessage) string {
	var s string
	if len(raw) == 0 || json.Unmarshal(raw, &s) == nil {
		return s
	}
	return string(raw)
}
