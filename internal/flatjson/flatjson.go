// Package flatjson scans JSON in place: it checks that text is JSON, and slices an object
// into its members without building anything. The objects that matter are flat, such as the
// attributes of an activity, but nesting is understood.
//
// What it accepts is what encoding/json accepts. Text that is odd (deep nesting, escaped or
// invalid keys) goes to encoding/json itself, so that there is one authority on what is
// valid. Numbers stay text and strings stay escaped until somebody asks.
package flatjson

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math/bits"
	"unicode/utf16"
	"unicode/utf8"
)

// maxDepth is how far containers may nest before encoding/json takes over.
const maxDepth = 64

// ErrNotObject is the error for text that is JSON but not an object.
var ErrNotObject = errors.New("not a JSON object")

// Valid reports whether text is one JSON value, exactly as json.Valid does.
func Valid(text []byte) bool {
	i := skipSpace(text, 0)
	if end := skipValue(text, i, 0); end > 0 && skipSpace(text, end) == len(text) {
		return true
	}
	return json.Valid(text)
}

// Members calls f with each member of a JSON object, in the order of the text. The key is
// unescaped and the value as it stands in the text; both are borrowed from object where
// possible and must not be kept. A key that occurs twice is reported twice. An error of f
// ends the scan and is returned; malformed text is an error, though f may have been called
// for the members before the defect.
func Members(object []byte, f func(key, rawValue []byte) error) error {
	i := skipSpace(object, 0)
	if i == len(object) || object[i] != '{' {
		if json.Valid(object) {
			return ErrNotObject
		}
		return invalid(object)
	}
	if i = skipSpace(object, i+1); i < len(object) && object[i] == '}' {
		if skipSpace(object, i+1) != len(object) {
			return invalid(object)
		}
		return nil
	}
	for {
		if i == len(object) || object[i] != '"' {
			return invalid(object)
		}
		end, plain := skipString(object, i)
		if end < 0 {
			return invalid(object)
		}
		key := object[i+1 : end-1]
		if !plain {
			var ok bool
			if key, ok = AppendString(nil, object[i:end]); !ok {
				return invalid(object)
			}
		}
		if i = skipSpace(object, end); i == len(object) || object[i] != ':' {
			return invalid(object)
		}
		i = skipSpace(object, i+1)
		if end = skipValue(object, i, 1); end < 0 {
			// Too deep for the scanner, or wrong: the decoder knows where the value ends.
			var err error
			if end, err = decodeValue(object, i); err != nil {
				return err
			}
		}
		if err := f(key, object[i:end]); err != nil {
			return err
		}
		if i = skipSpace(object, end); i == len(object) {
			return invalid(object)
		}
		switch object[i] {
		case ',':
			i = skipSpace(object, i+1)
		case '}':
			if skipSpace(object, i+1) != len(object) {
				return invalid(object)
			}
			return nil
		default:
			return invalid(object)
		}
	}
}

// decodeValue returns the end of the value that starts at i, by encoding/json.
func decodeValue(text []byte, i int) (int, error) {
	d := json.NewDecoder(bytes.NewReader(text[i:]))
	var v json.RawMessage
	if err := d.Decode(&v); err != nil {
		return 0, invalid(text)
	}
	return i + int(d.InputOffset()), nil
}

// invalid describes what encoding/json finds wrong with text.
func invalid(text []byte) error {
	var v json.RawMessage
	if err := json.Unmarshal(text, &v); err != nil {
		return fmt.Errorf("not valid JSON: %w", err)
	}
	return errors.New("not valid JSON")
}

func skipSpace(text []byte, i int) int {
	for i < len(text) && (text[i] == ' ' || text[i] == '\n' || text[i] == '\t' || text[i] == '\r') {
		i++
	}
	return i
}

// skipValue returns the end of the value that starts at i, or -1 if it is not valid or
// nests too deeply.
func skipValue(text []byte, i, depth int) int {
	if i >= len(text) || depth > maxDepth {
		return -1
	}
	switch c := text[i]; c {
	case '"':
		end, _ := skipString(text, i)
		return end
	case 't':
		return skipWord(text, i, "true")
	case 'f':
		return skipWord(text, i, "false")
	case 'n':
		return skipWord(text, i, "null")
	case '{', '[':
		return skipContainer(text, i, depth)
	default:
		return skipNumber(text, i)
	}
}

func skipContainer(text []byte, i, depth int) int {
	object := text[i] == '{'
	closer := byte(']')
	if object {
		closer = '}'
	}
	if i = skipSpace(text, i+1); i < len(text) && text[i] == closer {
		return i + 1
	}
	for {
		if object {
			if i == len(text) || text[i] != '"' {
				return -1
			}
			if i, _ = skipString(text, i); i < 0 {
				return -1
			}
			if i = skipSpace(text, i); i == len(text) || text[i] != ':' {
				return -1
			}
			i = skipSpace(text, i+1)
		}
		if i = skipValue(text, i, depth+1); i < 0 {
			return -1
		}
		if i = skipSpace(text, i); i == len(text) {
			return -1
		}
		switch text[i] {
		case ',':
			i = skipSpace(text, i+1)
		case closer:
			return i + 1
		default:
			return -1
		}
	}
}

func skipWord(text []byte, i int, word string) int {
	if len(text)-i < len(word) || string(text[i:i+len(word)]) != word {
		return -1
	}
	return i + len(word)
}

func skipNumber(text []byte, i int) int {
	if text[i] == '-' {
		i++
	}
	switch {
	case i == len(text):
		return -1
	case text[i] == '0':
		i++
	case '1' <= text[i] && text[i] <= '9':
		i = skipDigits(text, i)
	default:
		return -1
	}
	if i < len(text) && text[i] == '.' {
		start := i + 1
		if i = skipDigits(text, start); i == start {
			return -1
		}
	}
	if i < len(text) && (text[i] == 'e' || text[i] == 'E') {
		if i++; i < len(text) && (text[i] == '+' || text[i] == '-') {
			i++
		}
		start := i
		if i = skipDigits(text, start); i == start {
			return -1
		}
	}
	return i
}

func skipDigits(text []byte, i int) int {
	for i < len(text) && '0' <= text[i] && text[i] <= '9' {
		i++
	}
	return i
}

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// skipString returns the end of the string literal that starts at the quote at i, or -1 if
// it is not valid, and whether its content is the string itself: ASCII without escapes.
func skipString(text []byte, i int) (end int, plain bool) {
	plain = true
	i++
	for {
		// Eight bytes at a time: stop at a quote, a backslash, a control character or
		// anything that is not ASCII. A borrow can flag a byte too many above the first
		// true one, never below it.
		for i+8 <= len(text) {
			w := binary.LittleEndian.Uint64(text[i:])
			quote := w ^ '"'*ones
			slash := w ^ '\\'*ones
			stop := ((quote-ones)&^quote | (slash-ones)&^slash | (w-' '*ones)&^w | w) & highs
			if stop != 0 {
				i += bits.TrailingZeros64(stop) / 8
				break
			}
			i += 8
		}
		if i >= len(text) {
			return -1, false
		}
		switch c := text[i]; {
		case c == '"':
			return i + 1, plain
		case c == '\\':
			plain = false
			if i++; i == len(text) {
				return -1, false
			}
			switch text[i] {
			case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
				i++
			case 'u':
				if _, ok := hex4(text, i+1); !ok {
					return -1, false
				}
				i += 5
			default:
				return -1, false
			}
		case c < ' ':
			return -1, false
		case c >= utf8.RuneSelf:
			plain = false
			for i < len(text) && text[i] >= utf8.RuneSelf {
				i++
			}
		default:
			i++
		}
	}
}

func hex4(text []byte, i int) (rune, bool) {
	if len(text)-i < 4 {
		return 0, false
	}
	var r rune
	for _, c := range text[i : i+4] {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

// AppendString appends the text that a string literal stands for, quotes included in the
// literal. As in encoding/json, lone surrogates and invalid UTF-8 become U+FFFD. It reports
// false for a literal that is not valid.
func AppendString(dst, literal []byte) ([]byte, bool) {
	end, plain := 0, false
	if len(literal) > 0 && literal[0] == '"' {
		end, plain = skipString(literal, 0)
	}
	if end != len(literal) || end == 0 {
		return dst, false
	}
	s := literal[1 : len(literal)-1]
	if plain {
		return append(dst, s...), true
	}
	for len(s) > 0 {
		switch c := s[0]; {
		case c == '\\' && s[1] == 'u':
			r, _ := hex4(s, 2)
			s = s[6:]
			if utf16.IsSurrogate(r) {
				low := rune(-1)
				if len(s) >= 6 && s[0] == '\\' && s[1] == 'u' {
					low, _ = hex4(s, 2)
				}
				if r = utf16.DecodeRune(r, low); r != utf8.RuneError {
					s = s[6:]
				}
			}
			dst = utf8.AppendRune(dst, r)
		case c == '\\':
			dst = append(dst, unescape[s[1]])
			s = s[2:]
		case c < utf8.RuneSelf:
			dst = append(dst, c)
			s = s[1:]
		default:
			r, n := utf8.DecodeRune(s)
			dst = utf8.AppendRune(dst, r)
			s = s[n:]
		}
	}
	return dst, true
}

var unescape = [256]byte{'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

// AppendCompact appends valid JSON without the space between its tokens.
func AppendCompact(dst, text []byte) []byte {
	for i := 0; i < len(text); {
		switch c := text[i]; c {
		case ' ', '\n', '\t', '\r':
			i++
		case '"':
			end, _ := skipString(text, i)
			if end < 0 { // not valid: keep the rest as it is
				return append(dst, text[i:]...)
			}
			dst = append(dst, text[i:end]...)
			i = end
		default:
			dst = append(dst, c)
			i++
		}
	}
	return dst
}

// ReplaceSurrogates appends text, in which each escape of a lone half of a surrogate pair is
// replaced by \ufffd, and returns how many there were. encoding/json accepts such escapes,
// other readers refuse the text because of them. If there are none, it appends nothing.
func ReplaceSurrogates(dst, text []byte) ([]byte, int) {
	n, done := 0, 0
	for i := 0; ; {
		j := bytes.IndexByte(text[i:], '\\')
		if j < 0 || i+j+1 == len(text) {
			break
		}
		if i += j; text[i+1] != 'u' {
			i += 2
			continue
		}
		r, ok := hex4(text, i+2)
		if i += 2; !ok || !utf16.IsSurrogate(r) {
			continue
		}
		i += 4
		if i+1 < len(text) && text[i] == '\\' && text[i+1] == 'u' {
			if low, ok := hex4(text, i+2); ok && utf16.DecodeRune(r, low) != utf8.RuneError {
				i += 6
				continue
			}
		}
		n++
		dst = append(dst, text[done:i-6]...)
		dst = append(dst, `\ufffd`...)
		done = i
	}
	if n > 0 {
		dst = append(dst, text[done:]...)
	}
	return dst, n
}
