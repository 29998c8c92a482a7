//go:build cgo && !lite

package snowflakesim

import (
	"fmt"
	"strings"
)

// An ex is an expression in the engine's dialect, with what little is known of its type without
// asking the engine.
type ex struct {
	sql     string
	variant bool // certainly a VARIANT
	str     bool // a literal: text
	num     bool // a literal: number
	column  string
	json    string // name of the function that made a semi-structured value, which VALUES refuses
}

func (p *parser) expr() ex { return p.or() }

func (p *parser) or() ex {
	l := p.and()
	for p.word("OR") {
		l = ex{sql: "(" + l.sql + " OR " + p.and().sql + ")"}
	}
	return l
}

func (p *parser) and() ex {
	l := p.not()
	for p.word("AND") {
		l = ex{sql: "(" + l.sql + " AND " + p.not().sql + ")"}
	}
	return l
}

func (p *parser) not() ex {
	if p.word("NOT") {
		return ex{sql: "(NOT " + p.not().sql + ")"}
	}
	return p.comparison()
}

// alike makes a VARIANT comparable to a literal: Snowflake casts the VARIANT to the other's type.
func alike(l, r ex) (string, string) {
	side := func(a, b ex) string {
		switch {
		case a.variant && !b.variant && b.num:
			return "sf_float(" + a.sql + ")"
		case a.variant && !b.variant:
			return "sf_text(" + a.sql + ")"
		}
		return a.sql
	}
	return side(l, r), side(r, l)
}

func (p *parser) comparison() ex {
	l := p.concat()
	for {
		switch {
		case p.isOp("="), p.isOp("<>"), p.isOp("!="), p.isOp("<"), p.isOp(">"), p.isOp("<="), p.isOp(">="):
			op := p.take().text
			a, b := alike(l, p.concat())
			l = ex{sql: "(" + a + " " + op + " " + b + ")"}
		case p.word("IS"):
			l = p.is(l)
		default:
			back := p.at
			not := ""
			if p.word("NOT") {
				not = "NOT "
			}
			switch {
			case p.word("BETWEEN"):
				lo := p.concat()
				p.wantWord("AND")
				hi := p.concat()
				x, a := alike(l, lo)
				_, b := alike(l, hi)
				l = ex{sql: "(" + x + " " + not + "BETWEEN " + a + " AND " + b + ")"}
			case p.word("IN"):
				l = p.in(l, not)
			case p.isWord("LIKE", "ILIKE"):
				l = p.like(l, not)
			case p.word("RLIKE", "REGEXP"):
				l = ex{sql: "(" + not + "regexp_full_match(sf_text(" + l.sql + "), " + p.concat().sql + "))"}
			default:
				p.at = back
				return l
			}
		}
	}
}

func (p *parser) is(l ex) ex {
	not := ""
	if p.word("NOT") {
		not = "NOT "
	}
	switch {
	case p.word("NULL"):
		return ex{sql: "(" + l.sql + " IS " + not + "NULL)"}
	case p.words("DISTINCT", "FROM"):
		a, b := alike(l, p.concat())
		return ex{sql: "(" + a + " IS " + not + "DISTINCT FROM " + b + ")"}
	case p.isWord("TRUE", "FALSE"):
		return ex{sql: "(" + l.sql + " IS " + not + p.take().up + ")"}
	}
	p.unexpected(p.peek())
	return ex{}
}

func (p *parser) in(l ex, not string) ex {
	p.want("(")
	defer p.want(")")
	if p.isWord("SELECT", "WITH") {
		return ex{sql: "(" + l.sql + " " + not + "IN (" + p.query() + "))"}
	}
	var list []string
	var x string
	for {
		r := p.expr()
		a, b := alike(l, r)
		x, list = a, append(list, b)
		if !p.op(",") {
			break
		}
	}
	return ex{sql: "(" + x + " " + not + "IN (" + strings.Join(list, ", ") + "))"}
}

func (p *parser) like(l ex, not string) ex {
	op := p.take().up
	one := func(r ex) string {
		esc := ""
		if p.word("ESCAPE") {
			esc = " ESCAPE " + p.primary().sql
		}
		return "(sf_text(" + l.sql + ") " + op + " " + r.sql + esc + ")"
	}
	if p.isWord("ANY", "ALL") {
		join := map[string]string{"ANY": " OR ", "ALL": " AND "}[p.take().up]
		p.want("(")
		var all []string
		for {
			all = append(all, one(p.concat()))
			if !p.op(",") {
				break
			}
		}
		p.want(")")
		return ex{sql: "(" + not + "(" + strings.Join(all, join) + "))"}
	}
	return ex{sql: "(" + not + one(p.concat()) + ")"}
}

func (p *parser) concat() ex {
	l := p.sum()
	for p.op("||") {
		l = ex{sql: "(sf_text(" + l.sql + ") || sf_text(" + p.sum().sql + "))"}
	}
	return l
}

func (p *parser) sum() ex {
	l := p.product()
	for p.isOp("+") || p.isOp("-") {
		op := p.take().text
		r := p.product()
		l = ex{sql: "(" + number(l) + " " + op + " " + number(r) + ")"}
	}
	return l
}

func (p *parser) product() ex {
	l := p.unary()
	for p.isOp("*") || p.isOp("/") || p.isOp("%") {
		op := p.take().text
		r := p.unary()
		a, b := number(l), number(r)
		if op == "/" {
			// The engine makes NULL of what Snowflake refuses.
			b = fmt.Sprintf("(CASE WHEN %[1]s = 0 THEN error('SIM100051|22012|Division by zero') ELSE %[1]s END)", b)
		}
		l = ex{sql: "(" + a + " " + op + " " + b + ")"}
	}
	return l
}

func number(e ex) string {
	if e.variant {
		return "sf_float(" + e.sql + ")"
	}
	return e.sql
}

func (p *parser) unary() ex {
	if p.op("-") {
		e := p.unary()
		return ex{sql: "(-" + e.sql + ")", num: e.num}
	}
	if p.op("+") {
		return p.unary()
	}
	return p.postfix(p.primary())
}

// postfix reads casts and paths: a:b.c[0]::VARCHAR.
func (p *parser) postfix(e ex) ex {
	for {
		switch {
		case p.op("::"):
			t := p.typeName()
			e = ex{sql: t.convert(e.sql, false), variant: t.json(), json: e.json}
		case p.isOp(":") || p.isOp("["):
			e = ex{sql: "sf_get(" + e.sql + ", " + p.steps() + ")", variant: true}
		default:
			return e
		}
	}
}

// steps reads :a.b[0]['c'] into a path of the engine's.
func (p *parser) steps() string {
	out := "'$'"
	add := func(s string) { out += " || " + s }
	key := func(k string) string { return lit(`."` + strings.ReplaceAll(k, `"`, `\"`) + `"`) }
	for first := true; ; first = false {
		switch {
		case first && p.op(":"), !first && p.op("."):
			t := p.take()
			if t.kind != tWord && t.kind != tQuoted {
				p.unexpected(t)
			}
			add(key(t.text))
		case p.op("["):
			switch t := p.peek(); t.kind {
			case tString:
				p.at++
				add(key(t.text))
			case tNumber:
				add(lit(fmt.Sprintf("[%d]", p.number())))
			default:
				add("'[' || CAST(" + p.expr().sql + " AS VARCHAR) || ']'")
			}
			p.want("]")
		default:
			return out
		}
	}
}

func (p *parser) primary() ex {
	t := p.peek()
	switch t.kind {
	case tNumber:
		p.at++
		return ex{sql: t.text, num: true}
	case tString:
		p.at++
		return ex{sql: lit(t.text), str: true}
	case tBind:
		p.at++
		b := p.bind(t)
		return ex{sql: b.sql(), str: b.typ == "TEXT" && b.val != nil}
	case tPosition:
		p.at++
		return ex{sql: `"$` + t.text + `"`, column: "$" + t.text}
	case tOp:
		switch t.text {
		case "(":
			return p.parenthesis()
		case "[":
			return p.arrayLiteral()
		case "{":
			return p.objectLiteral()
		}
	case tQuoted:
		return p.column()
	case tWord:
		return p.wordly(t)
	default:
	}
	p.unexpected(t)
	return ex{}
}

func (p *parser) parenthesis() ex {
	p.want("(")
	if p.isWord("SELECT", "WITH") {
		q := p.query()
		p.want(")")
		return ex{sql: "(" + q + ")"}
	}
	e := p.expr()
	if p.isOp(",") {
		list := []string{e.sql}
		for p.op(",") {
			list = append(list, p.expr().sql)
		}
		p.want(")")
		return ex{sql: "(" + strings.Join(list, ", ") + ")"}
	}
	p.want(")")
	e.sql = "(" + e.sql + ")"
	e.column = ""
	return e
}

func (p *parser) arrayLiteral() ex {
	p.want("[")
	var list []string
	for !p.isOp("]") {
		list = append(list, "sf_variant("+p.expr().sql+")")
		if !p.op(",") {
			break
		}
	}
	p.want("]")
	return ex{sql: "json_array(" + strings.Join(list, ", ") + ")", variant: true, json: "ARRAY_CONSTRUCT"}
}

func (p *parser) objectLiteral() ex {
	p.want("{")
	var list []string
	for !p.isOp("}") {
		k := p.str()
		p.want(":")
		list = append(list, lit(k), "sf_variant("+p.expr().sql+")")
		if !p.op(",") {
			break
		}
	}
	p.want("}")
	return ex{sql: "sf_object(json_object(" + strings.Join(list, ", ") + "))", variant: true, json: "OBJECT_CONSTRUCT"}
}

// wordly reads what begins with an unquoted word: a constant, a call, a column.
func (p *parser) wordly(t token) ex {
	next := p.ahead(1)
	call := next.kind == tOp && next.text == "("
	switch t.up {
	case "NULL", "TRUE", "FALSE":
		p.at++
		return ex{sql: t.up}
	case "CASE":
		return p.caseWhen()
	case "CAST", "TRY_CAST":
		if call {
			p.at += 2
			e := p.expr()
			p.wantWord("AS")
			ty := p.typeName()
			p.want(")")
			return ex{sql: ty.convert(e.sql, t.up == "TRY_CAST"), variant: ty.json(), json: e.json}
		}
	case "EXISTS":
		p.at++
		p.want("(")
		q := p.query()
		p.want(")")
		return ex{sql: "EXISTS (" + q + ")"}
	case "INTERVAL":
		if next.kind == tString {
			p.at += 2
			return ex{sql: "INTERVAL " + lit(next.text)}
		}
	case "DATE", "TIME", "TIMESTAMP":
		if next.kind == tString {
			p.at += 2
			return ex{sql: dtype{kind: map[string]string{"DATE": "DATE", "TIME": "TIME", "TIMESTAMP": "TIMESTAMP_NTZ"}[t.up]}.convert(lit(next.text), false)}
		}
	case "CURRENT_DATE", "CURRENT_TIME", "CURRENT_TIMESTAMP", "CURRENT_USER", "LOCALTIMESTAMP", "LOCALTIME":
		if !call {
			p.at++
			return p.call(t, nil)
		}
	}
	if call && (!reserved[t.up] || t.up == "LEFT" || t.up == "RIGHT") {
		return p.function()
	}
	if notValues[t.up] {
		p.unexpected(t)
	}
	return p.column()
}

// column reads a, t.a, or seq.NEXTVAL, which is not simulated.
func (p *parser) column() ex {
	start := p.at
	parts := []string{p.name()}
	for p.isOp(".") && p.ahead(1).text != "*" {
		p.at++
		parts = append(parts, p.name())
	}
	if p.isOp("(") && len(parts) > 1 { // a function of a schema
		panic(refuse("002140", "42601", "SQL compilation error:\nUnknown user-defined function %s.", p.text(start, p.at)))
	}
	if len(parts) > 2 { // db.schema.table.column: the table is enough
		parts = parts[len(parts)-2:]
	}
	quoted := make([]string, len(parts))
	for i, s := range parts {
		quoted[i] = ident(s)
	}
	return ex{sql: strings.Join(quoted, "."), column: parts[len(parts)-1]}
}

func (p *parser) caseWhen() ex {
	p.wantWord("CASE")
	var b strings.Builder
	b.WriteString("(CASE")
	var subject ex
	simple := !p.isWord("WHEN")
	if simple {
		subject = p.expr()
	}
	variant := false
	for p.word("WHEN") {
		cond := p.expr()
		if simple {
			l, r := alike(subject, cond)
			cond.sql = "(" + l + " = " + r + ")"
		}
		p.wantWord("THEN")
		then := p.expr()
		variant = variant || then.variant
		b.WriteString(" WHEN " + cond.sql + " THEN " + then.sql)
	}
	if p.word("ELSE") {
		e := p.expr()
		variant = variant || e.variant
		b.WriteString(" ELSE " + e.sql)
	}
	p.wantWord("END")
	b.WriteString(" END)")
	return ex{sql: b.String(), variant: variant}
}
