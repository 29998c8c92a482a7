//go:build cgo && !lite

package snowflakesim

import (
	"strconv"
	"strings"
)

// A parser reads one statement and writes the engine's dialect as it goes. What it does not know
// it refuses: it panics with a *sqlError, which caught turns into an error.
type parser struct {
	src   string
	toks  []token
	at    int
	c     *session // who asks: current names, privileges, binds
	binds []bind
	bound int      // binds used up, in order
	ctes  []string // names that hide tables
	depth int      // views within views
	uses  []*table // what is read, for privileges
}

func caught(err *error) {
	switch r := recover().(type) {
	case nil:
	case *sqlError:
		*err = r
	default:
		panic(r)
	}
}

func (p *parser) peek() token { return p.toks[p.at] }

func (p *parser) ahead(n int) token { return p.toks[min(p.at+n, len(p.toks)-1)] }

func (p *parser) take() token {
	t := p.toks[p.at]
	if t.kind != tEOF {
		p.at++
	}
	return t
}

func (p *parser) unexpected(t token) {
	near := t.text
	if t.kind == tEOF {
		near = "<EOF>"
	}
	panic(syntaxAt(p.src, t.pos, near))
}

// word takes the next token if it is one of these unquoted words.
func (p *parser) word(ups ...string) bool {
	if p.isWord(ups...) {
		p.at++
		return true
	}
	return false
}

func (p *parser) isWord(ups ...string) bool {
	t := p.peek()
	if t.kind != tWord {
		return false
	}
	for _, up := range ups {
		if t.up == up {
			return true
		}
	}
	return false
}

// words takes a run of words, or nothing.
func (p *parser) words(ups ...string) bool {
	for i, up := range ups {
		if t := p.ahead(i); t.kind != tWord || t.up != up {
			return false
		}
	}
	p.at += len(ups)
	return true
}

func (p *parser) wantWord(ups ...string) {
	for _, up := range ups {
		if !p.word(up) {
			p.unexpected(p.peek())
		}
	}
}

func (p *parser) isOp(op string) bool { t := p.peek(); return t.kind == tOp && t.text == op }

func (p *parser) op(op string) bool {
	if p.isOp(op) {
		p.at++
		return true
	}
	return false
}

func (p *parser) want(op string) {
	if !p.op(op) {
		p.unexpected(p.peek())
	}
}

func (p *parser) end() {
	if t := p.peek(); t.kind != tEOF {
		p.unexpected(t)
	}
}

func (p *parser) number() int {
	t := p.take()
	n, err := strconv.Atoi(t.text)
	if t.kind != tNumber || err != nil {
		p.unexpected(t)
	}
	return n
}

func (p *parser) str() string {
	t := p.take()
	if t.kind != tString {
		p.unexpected(t)
	}
	return t.text
}

// text is the source between two tokens.
func (p *parser) text(from, to int) string {
	if to <= from {
		return ""
	}
	return p.src[p.toks[from].pos:p.toks[to-1].end]
}

// reserved words cannot be names unless quoted.
// Source: Snowflake SQL reference, Reserved & limited keywords.
var reserved = set(`ALL ALTER AND ANY AS BETWEEN BY CHECK COLUMN CONNECT CONSTRAINT CREATE CURRENT DELETE DISTINCT DROP ELSE
EXISTS FOLLOWING FOR FROM GRANT GROUP HAVING ILIKE IN INCREMENT INSERT INTERSECT INTO IS LIKE MINUS NOT NULL OF ON OR ORDER
QUALIFY REGEXP REVOKE RLIKE ROW ROWS SAMPLE SELECT SET SOME START TABLE TABLESAMPLE THEN TO TRIGGER UNION UNIQUE UPDATE VALUES
WHENEVER WHERE WITH`)

// These cannot be names of columns, nor be referred to as such, nor name a table in FROM.
var (
	notColumns = set(`CURRENT_DATE CURRENT_TIME CURRENT_TIMESTAMP CURRENT_USER LOCALTIME LOCALTIMESTAMP`)
	notValues  = set(`CASE CAST FALSE TRUE TRY_CAST WHEN`)
	notTables  = set(`CROSS FULL INNER JOIN LATERAL LEFT NATURAL RIGHT USING`)
)

func set(words string) map[string]bool {
	out := map[string]bool{}
	for _, w := range strings.Fields(words) {
		out[w] = true
	}
	return out
}

// name reads an identifier, folded to upper case unless quoted.
func (p *parser) name() string {
	t := p.take()
	switch t.kind {
	case tQuoted:
		return t.text
	case tWord:
		if !reserved[t.up] {
			return t.up
		}
	default:
	}
	p.unexpected(t)
	return ""
}

func (p *parser) isName() bool {
	t := p.peek()
	return t.kind == tQuoted || t.kind == tWord && !reserved[t.up]
}

// path reads a.b.c. IDENTIFIER('a.b') names the same; so does a bind in it.
func (p *parser) path() []string {
	if p.isWord("IDENTIFIER") && p.ahead(1).text == "(" {
		p.at += 2
		var text string
		switch t := p.take(); t.kind {
		case tString:
			text = t.text
		case tBind:
			text = p.bind(t).text()
		default:
			p.unexpected(t)
		}
		p.want(")")
		toks, err := lex(text)
		if err != nil {
			panic(translate(err))
		}
		q := &parser{src: text, toks: toks, c: p.c}
		out := q.path()
		q.end()
		return out
	}
	out := []string{p.name()}
	for p.isOp(".") {
		p.at++
		if p.isOp(".") { // db..table
			p.at++
			out = append(out, "PUBLIC")
		}
		out = append(out, p.name())
	}
	return out
}

func (p *parser) names() []string {
	p.want("(")
	var out []string
	for {
		out = append(out, p.name())
		if !p.op(",") {
			break
		}
	}
	p.want(")")
	return out
}

func (p *parser) ifNotExists() bool { return p.words("IF", "NOT", "EXISTS") }
func (p *parser) ifExists() bool    { return p.words("IF", "EXISTS") }
