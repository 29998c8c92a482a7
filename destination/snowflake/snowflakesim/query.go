//go:build cgo && !lite

package snowflakesim

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// query reads SELECT, WITH or VALUES, with everything that may follow.
func (p *parser) query() string {
	var b strings.Builder
	keep := len(p.ctes)
	if p.word("WITH") {
		rec := p.word("RECURSIVE")
		b.WriteString("WITH ")
		if rec {
			b.WriteString("RECURSIVE ")
		}
		for i := 0; ; i++ {
			name := p.name()
			if i > 0 {
				b.WriteString(", ")
			}
			b.WriteString(ident(name))
			if p.isOp("(") {
				b.WriteString("(" + idents(p.names()) + ")")
			}
			if rec {
				p.ctes = append(p.ctes, name)
			}
			p.wantWord("AS")
			p.want("(")
			b.WriteString(" AS (" + p.query() + ")")
			p.want(")")
			if !rec {
				p.ctes = append(p.ctes, name)
			}
			if !p.op(",") {
				break
			}
		}
		b.WriteString(" ")
	}
	b.WriteString(p.operand())
	for {
		switch {
		case p.word("UNION"):
			b.WriteString(" UNION ")
			if p.word("ALL") {
				b.WriteString("ALL ")
			}
		case p.word("EXCEPT", "MINUS"):
			b.WriteString(" EXCEPT ")
		case p.word("INTERSECT"):
			b.WriteString(" INTERSECT ")
		default:
			b.WriteString(p.tail())
			p.ctes = p.ctes[:keep]
			return b.String()
		}
		b.WriteString(p.operand())
	}
}

func idents(names []string) string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = ident(n)
	}
	return strings.Join(out, ", ")
}

func (p *parser) operand() string {
	if p.op("(") {
		q := p.query()
		p.want(")")
		return "(" + q + ")"
	}
	if p.isWord("VALUES") {
		return "SELECT * FROM " + p.values("VALUES")
	}
	return p.sel()
}

func (p *parser) tail() string {
	var b strings.Builder
	if p.words("ORDER", "BY") {
		b.WriteString(" ORDER BY " + p.orderList())
	}
	if p.word("LIMIT") {
		if e := p.primary(); e.sql != "NULL" {
			b.WriteString(" LIMIT " + e.sql)
		}
		if p.word("OFFSET") {
			b.WriteString(" OFFSET " + p.primary().sql)
		}
	} else if p.word("FETCH") {
		if !p.word("FIRST") {
			p.word("NEXT")
		}
		fmt.Fprintf(&b, " LIMIT %d", p.number())
		if !p.word("ROWS") {
			p.word("ROW")
		}
		p.word("ONLY")
	}
	return b.String()
}

func (p *parser) sel() string {
	p.wantWord("SELECT")
	var b strings.Builder
	b.WriteString("SELECT ")
	if p.word("DISTINCT") {
		b.WriteString("DISTINCT ")
	} else {
		p.word("ALL")
	}
	top := ""
	if p.isWord("TOP") && p.ahead(1).kind == tNumber {
		p.at++
		top = fmt.Sprintf(" LIMIT %d", p.number())
	}
	b.WriteString(strings.Join(p.items(), ", "))
	if p.word("FROM") {
		b.WriteString(" FROM " + p.from())
	}
	if p.word("WHERE") {
		b.WriteString(" WHERE " + p.expr().sql)
	}
	if p.words("GROUP", "BY") {
		if p.word("ALL") {
			b.WriteString(" GROUP BY ALL")
		} else {
			b.WriteString(" GROUP BY " + p.list())
		}
	}
	if p.word("HAVING") {
		b.WriteString(" HAVING " + p.expr().sql)
	}
	if p.word("QUALIFY") {
		b.WriteString(" QUALIFY " + p.expr().sql)
	}
	b.WriteString(top)
	return b.String()
}

func (p *parser) items() []string {
	var out []string
	for {
		out = append(out, p.item())
		if !p.op(",") {
			return out
		}
	}
}

func (p *parser) item() string {
	prefix := ""
	if p.isName() && p.ahead(1).text == "." && p.ahead(2).text == "*" {
		prefix = ident(p.name()) + "."
		p.at++
	}
	if p.op("*") {
		out := prefix + "*"
		if p.word("EXCLUDE") {
			if p.isOp("(") {
				out += " EXCLUDE (" + idents(p.names()) + ")"
			} else {
				out += " EXCLUDE (" + ident(p.name()) + ")"
			}
		}
		return out
	}
	from := p.at
	e := p.expr()
	text := p.text(from, p.at)
	if p.word("AS") {
		return e.sql + " AS " + ident(p.name())
	}
	if p.isName() && !p.isWord("LIMIT", "FETCH", "QUALIFY", "WINDOW", "EXCEPT", "OFFSET") {
		return e.sql + " AS " + ident(p.name())
	}
	if e.column != "" {
		return e.sql + " AS " + ident(e.column)
	}
	return e.sql + " AS " + ident(strings.ToUpper(text))
}

func (p *parser) from() string {
	var b strings.Builder
	b.WriteString(p.source())
	for {
		switch {
		case p.op(","):
			b.WriteString(", " + p.source())
		case p.words("CROSS", "JOIN"):
			b.WriteString(" CROSS JOIN " + p.source())
		case p.isWord("JOIN", "INNER", "LEFT", "RIGHT", "FULL", "NATURAL"):
			kind := ""
			for !p.isWord("JOIN") {
				if !p.isWord("INNER", "LEFT", "RIGHT", "FULL", "NATURAL", "OUTER") {
					p.unexpected(p.peek())
				}
				kind += " " + p.take().up
			}
			p.at++
			lateral := p.isWord("LATERAL")
			b.WriteString(kind + " JOIN " + p.source())
			switch {
			case p.word("ON"):
				b.WriteString(" ON " + p.expr().sql)
			case p.word("USING"):
				b.WriteString(" USING (" + idents(p.names()) + ")")
			case !strings.Contains(kind, "NATURAL"):
				if !lateral && kind != "" && kind != " INNER" {
					p.unexpected(p.peek())
				}
				b.WriteString(" ON TRUE")
			}
		default:
			return b.String()
		}
	}
}

// alias reads [AS] name [(columns)]; without one, def is used.
func (p *parser) alias(def string) string {
	name := def
	t := p.ahead(0)
	switch {
	case p.word("AS"):
		name = p.name()
	case p.isName() && !notTables[t.up] && !p.isWord("LIMIT", "FETCH", "OFFSET", "EXCEPT", "WINDOW", "AT", "BEFORE"):
		name = p.name()
	case t.kind == tQuoted:
		name = p.name()
	}
	if name == "" {
		return ""
	}
	if name != def && t.kind == tWord && notTables[strings.ToUpper(name)] {
		p.unexpected(t)
	}
	if p.isOp("(") {
		return " AS " + ident(name) + "(" + idents(p.names()) + ")"
	}
	return " AS " + ident(name)
}

// source reads one thing in FROM.
func (p *parser) source() string {
	lateral := ""
	if p.word("LATERAL") {
		lateral = "LATERAL "
		if p.isWord("FLATTEN") {
			return p.flatten()
		}
	}
	switch {
	case p.op("("):
		if p.isWord("SELECT", "WITH") || p.isOp("(") {
			q := p.query()
			p.want(")")
			return lateral + "(" + q + ")" + p.alias("")
		}
		if p.isWord("VALUES") {
			// The alias may name the columns.
			v := p.values("V")
			p.want(")")
			return "(SELECT * FROM " + v + ")" + p.alias("")
		}
		f := p.from()
		p.want(")")
		return "(" + f + ")"
	case p.isWord("VALUES"):
		return p.values("VALUES")
	case p.isWord("TABLE") && p.ahead(1).text == "(":
		p.at += 2
		out := p.tableFunction()
		return out
	case p.peek().kind == tStage:
		return p.stageSource()
	}
	return p.named()
}

// values reads VALUES (…), (…), whose columns are COLUMN1 and so on.
func (p *parser) values(def string) string {
	p.wantWord("VALUES")
	var rows []string
	n := 0
	for {
		p.want("(")
		row := []string{p.value()}
		for p.op(",") {
			row = append(row, p.value())
		}
		p.want(")")
		if n == 0 {
			n = len(row)
		}
		if len(row) != n {
			panic(refuse("001039", "22000", "SQL compilation error:\nVALUES lists must have the same number of elements"))
		}
		rows = append(rows, "("+strings.Join(row, ", ")+")")
		if !p.op(",") {
			break
		}
	}
	cols := make([]string, n)
	for i := range cols {
		cols[i] = fmt.Sprintf("COLUMN%d", i+1)
	}
	inner := "(SELECT * FROM (VALUES " + strings.Join(rows, ", ") + ") AS v(" + idents(cols) + "))"
	if def == "V" {
		return inner + " AS v"
	}
	return inner + p.alias("VALUES")
}

// value reads one expression of a VALUES clause, which may not make semi-structured values.
func (p *parser) value() string {
	from := p.at
	e := p.expr()
	if e.json != "" || strings.HasPrefix(e.sql, "(SELECT") {
		panic(refuse("002014", "22000", "SQL compilation error:\nInvalid expression [%s] in VALUES clause", p.text(from, p.at)))
	}
	return e.sql
}

// named reads the name of a table or view.
func (p *parser) named() string {
	path := p.path()
	if len(path) == 1 && slices.Contains(p.ctes, path[0]) {
		return ident(path[0]) + p.alias(path[0])
	}
	last := path[len(path)-1]
	if len(path) >= 2 && path[len(path)-2] == "INFORMATION_SCHEMA" || len(path) == 3 && path[0] == "SNOWFLAKE" {
		return p.virtual(path) + p.alias(last)
	}
	if p.isWord("AT", "BEFORE") && p.ahead(1).text == "(" {
		panic(unsupported("time travel in the simulator"))
	}
	t := p.c.table(path)
	if t == nil {
		panic(notFound("Object", strings.Join(path, ".")))
	}
	p.c.needTable(t, "SELECT", strings.Join(path, "."))
	p.uses = append(p.uses, t)
	return p.relation(t) + p.alias(t.name)
}

// relation is what the engine reads for a table or, with its text expanded, a view.
func (p *parser) relation(t *table) string {
	if t.view == "" {
		return t.duck()
	}
	if p.depth > 16 {
		panic(compilation("002054", "View '%s' refers to itself", t.name))
	}
	toks, err := lex(t.view)
	if err != nil {
		panic(translate(err))
	}
	// A view sees what its owner sees, from the schema it is in.
	as := *p.c
	as.db, as.schema, as.role = t.db, t.schema, AdminRole
	q := &parser{src: t.view, toks: toks, c: &as, depth: p.depth + 1}
	body := q.query()
	q.end()
	if len(t.viewCols) == 0 {
		return "(" + body + ")"
	}
	return "(SELECT * FROM (" + body + ") AS v(" + idents(t.viewCols) + "))"
}

// named arguments: INPUT => …, OUTER => TRUE
func (p *parser) namedArgs() map[string]ex {
	out := map[string]ex{}
	p.want("(")
	for i := 0; !p.isOp(")"); i++ {
		key := fmt.Sprint(i)
		if p.ahead(1).text == "=>" {
			key = p.take().up
			p.at++
		}
		out[key] = p.expr()
		if !p.op(",") {
			break
		}
	}
	p.want(")")
	return out
}

// flatten makes rows of an array or an object.
func (p *parser) flatten() string {
	p.wantWord("FLATTEN")
	args := p.namedArgs()
	in, ok := args["INPUT"]
	if !ok {
		in, ok = args["0"]
	}
	if !ok {
		panic(compilation("001015", "Required argument missing: INPUT"))
	}
	for k := range args {
		if !slices.Contains([]string{"INPUT", "0", "OUTER", "PATH", "MODE"}, k) {
			panic(unsupported("FLATTEN(" + k + " => …)"))
		}
	}
	x := "sf_flat(" + in.sql + ")"
	if path, ok := args["PATH"]; ok && path.sql != "''" {
		x = "sf_flat(sf_get(" + in.sql + ", '$.' || " + path.sql + "))"
	}
	where := ""
	if mode, ok := args["MODE"]; ok && mode.sql != "'BOTH'" {
		where = " WHERE json_type(x.j) = " + mode.sql
	}
	body := "SELECT CAST(1 AS DECIMAL(38,0)) AS SEQ, CASE WHEN json_type(x.j) = 'OBJECT' THEN e.key END AS KEY, " +
		"CASE WHEN json_type(x.j) = 'ARRAY' THEN '[' || e.key || ']' ELSE e.key END AS PATH, " +
		"CASE WHEN json_type(x.j) = 'ARRAY' THEN TRY_CAST(e.key AS DECIMAL(38,0)) END AS \"INDEX\", e.value AS \"VALUE\", x.j AS THIS " +
		"FROM (SELECT " + x + " AS j) x, LATERAL json_each(x.j) e" + where + " ORDER BY e.rowid"
	if out, ok := args["OUTER"]; ok && out.sql == "TRUE" {
		body = "SELECT f.* FROM (SELECT 1) o LEFT JOIN (" + body + ") f ON TRUE"
	}
	return "LATERAL (" + body + ")" + p.alias("F")
}

func (p *parser) tableFunction() string {
	if p.isWord("FLATTEN") {
		// Its alias stands outside the parenthesis of TABLE.
		from := p.at
		depth := 0
		for {
			t := p.take()
			if t.kind == tEOF {
				p.unexpected(t)
			}
			if t.kind == tOp && t.text == "(" {
				depth++
			}
			if t.kind == tOp && t.text == ")" {
				if depth--; depth == 0 {
					break
				}
			}
		}
		end := p.at
		p.want(")")
		after := p.at
		q := *p
		q.toks = append(append([]token(nil), p.toks[from:end]...), token{kind: tEOF})
		q.at = 0
		out := q.flatten()
		p.bound, p.uses = q.bound, q.uses
		out = strings.TrimSuffix(out, ` AS "F"`)
		p.at = after
		return out + p.alias("F")
	}
	path := []string{p.name()}
	for p.op(".") {
		path = append(path, p.name())
	}
	args := p.namedArgs()
	p.want(")")
	switch name := path[len(path)-1]; name {
	case "GENERATOR":
		n, ok := args["ROWCOUNT"]
		if !ok {
			panic(compilation("001015", "GENERATOR needs ROWCOUNT in the simulator"))
		}
		return "(SELECT 1 FROM range(" + n.sql + "))" + p.alias("G")
	case "RESULT_SCAN":
		r := p.c.srv.result(strings.Trim(args["0"].sql, "'"))
		if r == nil {
			panic(refuse("000709", "02000", "Statement %s not found", args["0"].sql))
		}
		return inline(r.cols, r.rows) + p.alias("RESULT_SCAN")
	default:
		return p.c.srv.functionTable(p.c, name, args) + p.alias(name)
	}
}

// inline is a table of texts as the engine may read it: of a list of expressions as long as that it would make a plan for each.
func inline(cols []col, rows [][]*string) string {
	list := make([]map[string]string, len(rows)) // what is NULL has no member
	for r, row := range rows {
		list[r] = make(map[string]string, len(row))
		for i, v := range row {
			if v != nil {
				list[r][fmt.Sprintf("c%d", i)] = *v
			}
		}
	}
	text, err := json.Marshal(list)
	if err != nil {
		panic(err) // texts are JSON
	}
	var exprs, members []string
	for i, c := range cols {
		exprs = append(exprs, fmt.Sprintf("CAST(v.c%d AS %s) AS %s", i, orText(c.typ).duck(), ident(c.name)))
		members = append(members, fmt.Sprintf(`"c%d":"VARCHAR"`, i))
	}
	return "(SELECT " + strings.Join(exprs, ", ") + " FROM (SELECT unnest(from_json(" + lit(string(text)) + ", '[{" + strings.Join(members, ",") + "}]')) AS v))"
}

func orText(t dtype) dtype {
	if t.kind == "" || t.kind == "NULL" {
		return dtype{kind: "VARCHAR", n: defaultText}
	}
	return t
}
