package pardotsim

import (
	"html"
	"strconv"
	"unicode/utf8"
)

// A reply of version 4 is a tree that is written as XML or, by rules of its own, as JSON. Its nodes
// are nil, bool, int64, float64, string, []any and:
type (
	// element is a named child.
	element struct {
		name  string
		value any
	}

	// tree is a node with children, in order.
	tree []element

	// repeated is a child that may come any number of times. As JSON it is missing if there is none,
	// the child itself if there is one, and an array only if there are several.
	repeated []any

	// markup is a string that is written without entities, since it is an address and no text.
	markup string
)

// attributes is the first child of a tree that has attributes in XML.
const attributes = "@attributes"

// The forms of nothing beside nil.
var (
	noText any = markup("")
	noTree any = tree{}
)

// A writer4 writes replies of version 4.
type writer4 struct {
	b     []byte
	plain bool // text is written without entities
}

// json writes a node as JSON. Slashes and everything beyond ASCII are escaped, as the vendor's
// encoder does.
func (w *writer4) json(v any) {
	switch v := v.(type) {
	case nil:
		w.b = append(w.b, "null"...)
	case bool:
		w.b = strconv.AppendBool(w.b, v)
	case int64:
		w.b = strconv.AppendInt(w.b, v, 10)
	case float64:
		w.b = strconv.AppendFloat(w.b, v, 'f', -1, 64)
	case string:
		w.b = appendText4(w.b, w.text(v))
	case markup:
		w.b = appendText4(w.b, string(v))
	case []any:
		w.b = append(w.b, '[')
		for i, e := range v {
			if i > 0 {
				w.b = append(w.b, ',')
			}
			w.json(e)
		}
		w.b = append(w.b, ']')
	case repeated:
		if len(v) == 1 {
			w.json(v[0])
			return
		}
		w.json([]any(v))
	case tree:
		w.b = append(w.b, '{')
		first := true
		for _, e := range v {
			if r, ok := e.value.(repeated); ok && len(r) == 0 {
				continue
			}
			if !first {
				w.b = append(w.b, ',')
			}
			first = false
			w.b = appendText4(w.b, e.name)
			w.b = append(w.b, ':')
			w.json(e.value)
		}
		w.b = append(w.b, '}')
	}
}

// xml writes a node as an element of this name.
func (w *writer4) xml(name string, v any) {
	switch v := v.(type) {
	case repeated:
		for _, e := range v {
			w.xml(name, e)
		}
		return
	case []any:
		for _, e := range v {
			w.xml(name, e)
		}
		return
	case nil:
		w.b = append(append(append(w.b, '<'), name...), "/>"...)
		return
	default:
	}
	w.b = append(append(w.b, '<'), name...)
	if children, ok := v.(tree); ok && len(children) > 0 && children[0].name == attributes {
		for _, a := range children[0].value.(tree) {
			w.b = append(append(append(w.b, ' '), a.name...), `="`...)
			w.children(a.value)
			w.b = append(w.b, '"')
		}
		v = children[1:]
	}
	w.b = append(w.b, '>')
	w.children(v)
	w.b = append(append(append(w.b, "</"...), name...), '>')
}

// children writes what is inside an element, or an attribute.
func (w *writer4) children(v any) {
	switch v := v.(type) {
	case bool:
		w.b = strconv.AppendBool(w.b, v)
	case int64:
		w.b = strconv.AppendInt(w.b, v, 10)
	case float64:
		w.b = strconv.AppendFloat(w.b, v, 'f', -1, 64)
	case string: // control characters stay, though XML has no room for them
		w.b = append(w.b, html.EscapeString(w.text(v))...)
	case markup:
		w.b = append(w.b, html.EscapeString(string(v))...)
	case tree:
		for _, e := range v {
			w.xml(e.name, e.value)
		}
	}
}

// text is a text as the vendor sends it: with entities for the characters that HTML needs.
func (w *writer4) text(s string) string {
	if w.plain {
		return s
	}
	return html.EscapeString(s)
}

const hexDigits4 = "0123456789abcdef"

// appendText4 writes a JSON string of version 4.
func appendText4(b []byte, s string) []byte {
	b = append(b, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\' || r == '/':
			b = append(b, '\\', byte(r))
		case r == '\n':
			b = append(b, '\\', 'n')
		case r == '\r':
			b = append(b, '\\', 'r')
		case r == '\t':
			b = append(b, '\\', 't')
		case r >= ' ' && r < utf8.RuneSelf:
			b = append(b, byte(r))
		case r >= 0x10000:
			r -= 0x10000
			b = appendUnit(appendUnit(b, 0xd800+r>>10), 0xdc00+r&0x3ff)
		default:
			b = appendUnit(b, r)
		}
	}
	return append(b, '"')
}

// appendUnit writes one unit of UTF-16.
func appendUnit(b []byte, r rune) []byte {
	return append(b, '\\', 'u', hexDigits4[r>>12&15], hexDigits4[r>>8&15], hexDigits4[r>>4&15], hexDigits4[r&15])
}
