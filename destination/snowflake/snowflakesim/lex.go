//go:build cgo && !lite

package snowflakesim

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

type tokenKind int

const (
	tEOF    tokenKind = iota
	tWord             // unquoted; text as written, up folded
	tQuoted           // "…", unescaped
	tString           // '…' or $$…$$, unescaped
	tNumber
	tOp
	tBind     // ? or :1
	tPosition // $1
	tStage    // @…, without the @
)

type token struct {
	kind     tokenKind
	text, up string
	pos, end int
}

// lex cuts a statement, or several, into tokens.
func lex(sql string) ([]token, error) {
	l := &lexer{src: sql}
	var out []token
	for {
		t, err := l.next()
		if err != nil {
			return nil, err
		}
		if out = append(out, t); t.kind == tEOF {
			return out, nil
		}
	}
}

type lexer struct {
	src string
	at  int
}

func (l *lexer) rest() string { return l.src[l.at:] }

// space skips white space and comments, of which Snowflake has three kinds.
func (l *lexer) space() error {
	for l.at < len(l.src) {
		rest := l.rest()
		switch {
		case strings.HasPrefix(rest, "--"), strings.HasPrefix(rest, "//"):
			if i := strings.IndexByte(rest, '\n'); i >= 0 {
				l.at += i + 1
			} else {
				l.at = len(l.src)
			}
		case strings.HasPrefix(rest, "/*"):
			i := strings.Index(rest, "*/")
			if i < 0 {
				return syntaxAt(l.src, l.at, "/*")
			}
			l.at += i + 2
		default:
			r, n := utf8.DecodeRuneInString(rest)
			if !unicode.IsSpace(r) {
				return nil
			}
			l.at += n
		}
	}
	return nil
}

func isWordStart(r rune) bool { return r == '_' || unicode.IsLetter(r) }
func isWord(r rune) bool      { return r == '_' || r == '$' || unicode.IsLetter(r) || unicode.IsDigit(r) }

func (l *lexer) while(f func(rune) bool) {
	for l.at < len(l.src) {
		r, n := utf8.DecodeRuneInString(l.rest())
		if !f(r) {
			return
		}
		l.at += n
	}
}

func (l *lexer) next() (token, error) {
	if err := l.space(); err != nil {
		return token{}, err
	}
	start := l.at
	done := func(k tokenKind, text string) (token, error) {
		return token{kind: k, text: text, up: strings.ToUpper(text), pos: start, end: l.at}, nil
	}
	if l.at >= len(l.src) {
		return done(tEOF, "")
	}
	r, n := utf8.DecodeRuneInString(l.rest())
	switch {
	case isWordStart(r):
		l.while(isWord)
		if strings.EqualFold(l.src[start:l.at], "file") && strings.HasPrefix(l.rest(), "://") {
			l.while(func(r rune) bool { return !unicode.IsSpace(r) })
			return done(tString, l.src[start:l.at])
		}
		return done(tWord, l.src[start:l.at])
	case unicode.IsDigit(r), r == '.' && len(l.rest()) > 1 && unicode.IsDigit(rune(l.src[l.at+1])):
		return l.number(start)
	case r == '\'':
		s, err := l.str()
		if err != nil {
			return token{}, err
		}
		return done(tString, s)
	case strings.HasPrefix(l.rest(), "$$"):
		i := strings.Index(l.src[l.at+2:], "$$")
		if i < 0 {
			return token{}, syntaxAt(l.src, start, "$$")
		}
		s := l.src[l.at+2 : l.at+2+i]
		l.at += i + 4
		return done(tString, s)
	case r == '"':
		s, err := l.quoted()
		if err != nil {
			return token{}, err
		}
		return done(tQuoted, s)
	case r == '@':
		l.at++
		quoted := false
		l.while(func(r rune) bool {
			if r == '"' {
				quoted = !quoted
			}
			return quoted || !unicode.IsSpace(r) && !strings.ContainsRune("(),;'", r)
		})
		return done(tStage, l.src[start+1:l.at])
	case r == '$':
		l.at++
		l.while(isWord)
		return done(tPosition, l.src[start+1:l.at])
	case r == '?':
		l.at++
		return done(tBind, "")
	case r == ':' && len(l.rest()) > 1 && unicode.IsDigit(rune(l.src[l.at+1])):
		l.at++
		l.while(unicode.IsDigit)
		return done(tBind, l.src[start+1:l.at])
	}
	for _, op := range []string{"::", "||", "<>", "!=", "<=", ">=", "=>", "->", "(", ")", ",", ";", ".", "=", "<", ">", "+", "-", "*", "/", "%", ":", "[", "]", "{", "}"} {
		if strings.HasPrefix(l.rest(), op) {
			l.at += len(op)
			return done(tOp, op)
		}
	}
	l.at += n
	return token{}, syntaxAt(l.src, start, string(r))
}

func (l *lexer) number(start int) (token, error) {
	l.while(unicode.IsDigit)
	if strings.HasPrefix(l.rest(), ".") {
		l.at++
		l.while(unicode.IsDigit)
	}
	if r := strings.ToLower(l.rest()); strings.HasPrefix(r, "e") {
		back := l.at
		l.at++
		if r = l.rest(); r != "" && (r[0] == '+' || r[0] == '-') {
			l.at++
		}
		digits := l.at
		if l.while(unicode.IsDigit); l.at == digits {
			l.at = back
		}
	}
	text := l.src[start:l.at]
	return token{kind: tNumber, text: text, up: text, pos: start, end: l.at}, nil
}

// str reads a string with Snowflake's escapes: a doubled quote and the backslash.
func (l *lexer) str() (string, error) {
	start := l.at
	var b strings.Builder
	for l.at++; l.at < len(l.src); l.at++ {
		c := l.src[l.at]
		switch {
		case c == '\'' && strings.HasPrefix(l.src[l.at+1:], "'"):
			l.at++
			b.WriteByte('\'')
		case c == '\'':
			l.at++
			return b.String(), nil
		case c == '\\' && l.at+1 < len(l.src):
			l.at++
			switch e := l.src[l.at]; e {
			case 'n':
				b.WriteByte('\n')
			case 't':
				b.WriteByte('\t')
			case 'r':
				b.WriteByte('\r')
			case 'b':
				b.WriteByte('\b')
			case 'f':
				b.WriteByte('\f')
			case '0':
				b.WriteByte(0)
			case 'u', 'x':
				n := map[byte]int{'u': 4, 'x': 2}[e]
				v, ok := hexRune(l.src[l.at+1:], n)
				if !ok {
					return "", syntaxAt(l.src, l.at, "\\"+string(e))
				}
				b.WriteRune(v)
				l.at += n
			default: // \\ \' \" and any other character stand for themselves
				b.WriteByte(e)
			}
		default:
			b.WriteByte(c)
		}
	}
	return "", syntaxAt(l.src, start, "'")
}

func hexRune(s string, n int) (rune, bool) {
	if len(s) < n {
		return 0, false
	}
	var v rune
	for _, c := range []byte(s[:n]) {
		i := strings.IndexByte("0123456789abcdef", c|0x20)
		if i < 0 {
			return 0, false
		}
		v = v<<4 | rune(i)
	}
	return v, true
}

func (l *lexer) quoted() (string, error) {
	start := l.at
	var b strings.Builder
	for l.at++; l.at < len(l.src); l.at++ {
		c := l.src[l.at]
		if c == '"' {
			if !strings.HasPrefix(l.src[l.at+1:], `"`) {
				l.at++
				if b.Len() == 0 {
					return "", syntaxAt(l.src, start, `""`)
				}
				return b.String(), nil
			}
			l.at++
		}
		b.WriteByte(c)
	}
	return "", syntaxAt(l.src, start, `"`)
}

// split cuts tokens into statements at semicolons. Each ends with an end-of-file token.
func split(toks []token) [][]token {
	var out [][]token
	var cur []token
	flush := func(at int) {
		if len(cur) > 0 {
			out = append(out, append(cur, token{kind: tEOF, pos: at, end: at}))
		}
		cur = nil
	}
	for _, t := range toks {
		if t.kind == tEOF || t.kind == tOp && t.text == ";" {
			flush(t.pos)
			continue
		}
		cur = append(cur, t)
	}
	return out
}

// mangle turns a name of Snowflake's, whose case counts, into one of the engine's, whose case does
// not: each small letter is preceded by a tilde. unmangle is its inverse.
func mangle(name string) string {
	var b strings.Builder
	for _, r := range name {
		if r == '~' || unicode.IsLower(r) {
			b.WriteByte('~')
		}
		b.WriteRune(r)
	}
	return b.String()
}

func unmangle(name string) string {
	var b strings.Builder
	tilde := false
	for _, r := range name {
		if r == '~' && !tilde {
			tilde = true
			continue
		}
		tilde = false
		b.WriteRune(r)
	}
	return b.String()
}

// ident quotes a name of Snowflake's for the engine.
func ident(name string) string { return duckIdent(mangle(name)) }

func duckIdent(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

func lit(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
