package pardot

import (
	"bytes"
	"html"
	"strconv"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/flatjson"
)

// A flattener writes nested records as flat objects that have the members of some columns and
// no others. Its results are borrowed until the next one.
type flattener struct {
	columns map[string]target // by the name of the version
	buf     []byte
	text    []byte // a string without its quotes
}

// A target is the column that a member belongs to.
type target struct {
	key  []byte // the member's name with quotes and colon
	json bool
}

// deepest is how far records nest. The vendor stops at three.
const deepest = 8

func newFlattener(cols []martsync.Column) flattener {
	f := flattener{columns: make(map[string]target, len(cols))}
	for _, c := range cols {
		key := appendQuoted(nil, []byte(c.Origin))
		f.columns[c.Origin] = target{key: append(key, ':'), json: c.Type == martsync.JSON}
	}
	return f
}

// dotted flattens a record of version 5: "senderOptions.type" is the member type of the object
// senderOptions.
func (f *flattener) dotted(row []byte) ([]byte, error) {
	f.buf = append(f.buf[:0], '{')
	if err := f.walk5("", row, 0); err != nil {
		return nil, err
	}
	f.buf = append(f.buf, '}')
	return f.buf, nil
}

func (f *flattener) walk5(prefix string, object []byte, depth int) error {
	return flatjson.Members(object, func(key, value []byte) error {
		name := prefix + string(key)
		if to, ok := f.columns[name]; ok {
			f.member(to)
			f.buf = append(f.buf, value...)
		}
		if value[0] == '{' && depth < deepest {
			return f.walk5(name+".", value, depth+1)
		}
		return nil
	})
}

// nested flattens a record of version 4: "campaign_id" is the member id of the object
// campaign. Members without a value (null, empty text, an empty object or list) are left out:
// all of these are null there. A list of values, which comes as {"value": …} with a list of
// several or with the only one, becomes a list. If asked to, entities of HTML in text are
// decoded, once.
func (f *flattener) nested(row []byte, decode bool) ([]byte, error) {
	f.buf = append(f.buf[:0], '{')
	if err := f.walk4("", row, decode, 0); err != nil {
		return nil, err
	}
	f.buf = append(f.buf, '}')
	return f.buf, nil
}

func (f *flattener) walk4(prefix string, object []byte, decode bool, depth int) error {
	return flatjson.Members(object, func(key, value []byte) error {
		if isNothing(value) {
			return nil
		}
		name := prefix + string(key)
		to, wanted := f.columns[name]
		if value[0] == '{' {
			inner, single := onlyValue(value)
			switch {
			case single && isNothing(inner):
				return nil
			case single:
				value = inner
			case wanted && to.json: // it is wanted as it is
			case depth < deepest:
				return f.walk4(name+"_", value, decode, depth+1)
			}
			if wanted && single && to.json && inner[0] != '[' {
				wanted = false
				f.member(to)
				f.buf = append(f.buf, '[')
				f.value(inner, decode)
				f.buf = append(f.buf, ']')
			}
		} else if wanted && to.json && value[0] != '[' {
			wanted = false // the only value of a list, without its wrapping
			f.member(to)
			f.buf = append(f.buf, '[')
			f.value(value, decode)
			f.buf = append(f.buf, ']')
		}
		if wanted {
			f.member(to)
			f.value(value, decode)
		}
		return nil
	})
}

// member begins a member.
func (f *flattener) member(to target) {
	if len(f.buf) > 1 {
		f.buf = append(f.buf, ',')
	}
	f.buf = append(f.buf, to.key...)
}

// value appends a JSON value.
func (f *flattener) value(value []byte, decode bool) {
	if !decode || !bytes.ContainsRune(value, '&') && !bytes.Contains(value, []byte(`\u0026`)) {
		f.buf = append(f.buf, value...)
		return
	}
	for len(value) > 0 {
		start := bytes.IndexByte(value, '"')
		if start < 0 {
			f.buf = append(f.buf, value...)
			return
		}
		f.buf = append(f.buf, value[:start]...)
		end := start + 1
		for end < len(value) && value[end] != '"' {
			if value[end] == '\\' {
				end++
			}
			end++
		}
		end = min(end+1, len(value))
		f.text, _ = flatjson.AppendString(f.text[:0], value[start:end])
		f.buf = appendQuoted(f.buf, decodeEntities(f.text))
		value = value[end:]
	}
}

// isNothing reports whether a value of version 4 is null: which of the four forms it takes
// depends on the field and on the day.
func isNothing(value []byte) bool {
	switch value[0] {
	case 'n':
		return true
	case '"':
		return len(value) == 2
	case '{', '[':
		return len(bytes.TrimSpace(value[1:len(value)-1])) == 0
	}
	return false
}

// onlyValue returns the value of an object that has the one member "value": the vendor's list
// of values. Account Engagement API, Version 4, Prospects.
func onlyValue(object []byte) (value []byte, ok bool) {
	n := 0
	err := flatjson.Members(object, func(key, v []byte) error {
		n++
		if string(key) == "value" {
			value = v
		}
		return nil
	})
	return value, err == nil && n == 1 && value != nil
}

// longestEntity is how long an entity may be: the longest name there is, with & and ;.
const longestEntity = 33

// decodeEntities decodes the entities of HTML in text, once: what "&amp;lt;" stands for is
// "&lt;". Only entities that end in a semicolon count, since & stands for itself in addresses
// that nobody has encoded.
func decodeEntities(text []byte) []byte {
	at := bytes.IndexByte(text, '&')
	if at < 0 {
		return text
	}
	out := append(make([]byte, 0, len(text)), text[:at]...)
	for text = text[at:]; len(text) > 0; {
		if text[0] == '&' {
			if decoded, n := entity(text); n > 0 {
				out = append(out, decoded...)
				text = text[n:]
				continue
			}
		}
		out = append(out, text[0])
		text = text[1:]
	}
	return out
}

// entity returns what the entity at the start of text stands for, and its length; 0: it is none.
func entity(text []byte) (string, int) {
	n := bytes.IndexByte(text[:min(len(text), longestEntity)], ';') + 1
	if n < 3 {
		return "", 0
	}
	name := string(text[:n])
	for i, c := range []byte(name[1 : n-1]) {
		alphanumeric := '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
		if !alphanumeric && (i != 0 || c != '#') {
			return "", 0
		}
	}
	decoded := html.UnescapeString(name)
	// Package html also takes a known name at the start of an unknown one for an entity, as
	// browsers do: the rest stays, with the semicolon.
	if decoded == name || len(decoded) > 1 && decoded[len(decoded)-1] == ';' {
		return "", 0
	}
	return decoded, n
}

// appendQuoted appends text as a JSON string. The text is valid UTF-8.
func appendQuoted(dst, text []byte) []byte {
	dst = append(dst, '"')
	for _, c := range text {
		switch {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c < ' ':
			dst = append(dst, `\u00`...)
			dst = append(dst, strconv.FormatInt(int64(c>>4), 16)[0], "0123456789abcdef"[c&15])
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '"')
}
