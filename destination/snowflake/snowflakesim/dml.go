//go:build cgo && !lite

package snowflakesim

import (
	"context"
	"fmt"
	"strings"
)

// A plan is a statement that has been read and can be run, perhaps more than once.
type plan struct {
	run    func(ctx context.Context) (*result, error)
	locks  *table // who updates holds it
	free   bool   // needs no warehouse
	typeID int64
}

// Types of statements, by which the driver knows whether there is a count of rows to be read.
const (
	typeSelect      = 0x1000
	typeInsert      = 0x3100
	typeUpdate      = 0x3200
	typeDelete      = 0x3300
	typeMerge       = 0x3400
	typeInsertMulti = 0x3500
	typeCopy        = 0x3600
	typeOther       = 0x6000
	typeMulti       = 0xA000
)

func counts(typeID int64, names []string, n []int64) *result {
	r := &result{typeID: typeID, rows: [][]*string{nil}}
	for i, name := range names {
		v := fmt.Sprint(n[i])
		r.cols = append(r.cols, col{name: name, typ: dtype{kind: "NUMBER", p: 19}})
		r.rows[0] = append(r.rows[0], &v)
		r.changed += n[i]
	}
	return r
}

// assign is the expression that puts x, of the engine's type, into a column; what Snowflake does
// not convert by itself is refused.
// Source: Snowflake documentation, Data type conversion.
func assign(c column, duckType, x string) string {
	got := fromDuck(duckType)
	bad := false
	switch c.typ.kind {
	case "VARIANT", "OBJECT", "ARRAY":
		bad = got.kind != "VARIANT" && got.kind != "NULL"
	case "VARCHAR":
		bad = got.kind == "VARIANT" || got.kind == "BINARY"
	case "BINARY":
		bad = got.kind != "BINARY" && got.kind != "NULL"
	case "NUMBER", "FLOAT":
		bad = got.kind != "NUMBER" && got.kind != "FLOAT" && got.kind != "VARCHAR" && got.kind != "NULL"
	case "BOOLEAN":
		bad = got.kind != "BOOLEAN" && got.kind != "NUMBER" && got.kind != "VARCHAR" && got.kind != "NULL"
	case "DATE", "TIMESTAMP_NTZ", "TIMESTAMP_LTZ", "TIMESTAMP_TZ":
		bad = !strings.HasPrefix(got.kind, "TIMESTAMP") && got.kind != "DATE" && got.kind != "VARCHAR" && got.kind != "NULL"
	}
	if bad {
		panic(refuse("002023", "22000", "SQL compilation error:\nExpression type does not match column data type, expecting %s but got %s for column %s", c.typ, got, c.name))
	}
	switch {
	case got.kind == "NULL":
		return "CAST(" + x + " AS " + c.typ.duck() + ")"
	case c.typ.kind == "VARCHAR":
		x = "sf_text(" + x + ")"
		if c.typ.n < defaultText {
			x = fmt.Sprintf("sf_fit(%s, %d)", x, c.typ.n)
		}
		return x
	case got.kind == c.typ.kind && c.typ.kind != "NUMBER":
		return x
	}
	return c.typ.convert(x, false)
}

// targetColumns finds the named columns of a table, all of them if none are named.
func targetColumns(t *table, names []string) []column {
	if names == nil {
		return t.cols
	}
	var out []column
	seen := map[string]bool{}
	for _, n := range names {
		c := t.column(n)
		if c == nil {
			panic(invalidIdentifier(n))
		}
		if seen[n] {
			panic(compilation("002025", "duplicate column name '%s'", n))
		}
		seen[n] = true
		out = append(out, *c)
	}
	return out
}

func columnNames(cols []column) string {
	out := make([]string, len(cols))
	for i, c := range cols {
		out[i] = ident(c.name)
	}
	return strings.Join(out, ", ")
}

func (p *parser) target(privileges ...string) *table {
	path := p.path()
	t := p.c.table(path)
	if t == nil {
		panic(notFound("Table", strings.Join(path, ".")))
	}
	if t.view != "" {
		panic(compilation("002009", "Object '%s' is a view and cannot be changed", t.name))
	}
	for _, pr := range privileges {
		p.c.needTable(t, pr, strings.Join(path, "."))
	}
	return t
}

// insert reads INSERT [OVERWRITE] INTO and INSERT ALL.
func (p *parser) insert() plan {
	p.wantWord("INSERT")
	over := p.word("OVERWRITE")
	if p.isWord("ALL", "FIRST") {
		return p.insertAll(over)
	}
	p.wantWord("INTO")
	privileges := []string{"INSERT"}
	if over {
		privileges = append(privileges, "DELETE")
	}
	t := p.target(privileges...)
	var names []string
	if q := p.ahead(1); p.isOp("(") && (q.kind != tWord || q.up != "SELECT" && q.up != "WITH") {
		names = p.names()
	}
	cols := targetColumns(t, names)
	src := ""
	if p.isWord("VALUES") {
		src = p.insertValues(cols)
	} else {
		src = p.query()
	}
	p.end()
	pl := plan{typeID: typeInsert}
	if over {
		pl.locks = t
	}
	c := p.c
	pl.run = func(ctx context.Context) (*result, error) {
		sel, err := c.assigned(ctx, cols, src)
		if err != nil {
			return nil, err
		}
		qs := []string{"INSERT INTO " + t.duck() + " (" + columnNames(cols) + ") " + sel}
		if over {
			qs = append([]string{"DELETE FROM " + t.duck()}, qs...)
			c.forgetLoads(t)
		}
		n, err := c.change(ctx, t, qs...)
		if err != nil {
			return nil, err
		}
		return counts(typeInsert, []string{"number of rows inserted"}, n[len(n)-1:]), nil
	}
	return pl
}

func (p *parser) insertValues(cols []column) string {
	p.wantWord("VALUES")
	var rows []string
	for {
		p.want("(")
		var row []string
		for i := 0; ; i++ {
			if p.word("DEFAULT") {
				def := "NULL"
				if i < len(cols) && cols[i].def != "" {
					def = cols[i].def
				}
				row = append(row, def)
			} else {
				row = append(row, p.value())
			}
			if !p.op(",") {
				break
			}
		}
		p.want(")")
		if len(row) != len(cols) {
			panic(refuse("002020", "21S01", "SQL compilation error:\nInsert value list does not match column list expecting %d but got %d", len(cols), len(row)))
		}
		rows = append(rows, "("+strings.Join(row, ", ")+")")
		if !p.op(",") {
			break
		}
	}
	return "SELECT * FROM (VALUES " + strings.Join(rows, ", ") + ")"
}

// assigned wraps a query so that its columns fit cols. It returns a query.
func (c *session) assigned(ctx context.Context, cols []column, src string) (out string, err error) {
	defer caught(&err)
	types, err := c.describe(ctx, src)
	if err != nil {
		return "", err
	}
	if len(types) != len(cols) {
		return "", refuse("002020", "21S01", "SQL compilation error:\nInsert value list does not match column list expecting %d but got %d", len(cols), len(types))
	}
	exprs, names := make([]string, len(cols)), make([]string, len(cols))
	for i, col := range cols {
		names[i] = fmt.Sprintf("c%d", i)
		exprs[i] = assign(col, types[i].duck, "s."+names[i])
	}
	return "SELECT " + strings.Join(exprs, ", ") + " FROM (" + src + ") AS s(" + strings.Join(names, ", ") + ")", nil
}

// insertAll reads the multi-table insert: the rows of one query into several tables.
func (p *parser) insertAll(over bool) plan {
	first := p.take().up == "FIRST"
	type into struct {
		t     *table
		cols  []column
		exprs []string
		cond  string
	}
	var intos []into
	var seen []string // conditions so far, for FIRST and ELSE
	cond, conditional := "", false
	for {
		switch {
		case p.word("WHEN"):
			conditional = true
			own := p.expr().sql
			p.wantWord("THEN")
			cond = own
			if first && len(seen) > 0 {
				cond = "(" + own + ") AND NOT coalesce(" + strings.Join(seen, " OR ") + ", FALSE)"
			}
			seen = append(seen, own)
			continue
		case p.word("ELSE"):
			cond = "NOT coalesce(" + strings.Join(seen, " OR ") + ", FALSE)"
			continue
		}
		if !p.word("INTO") {
			break
		}
		if conditional && cond == "" {
			p.unexpected(p.peek())
		}
		in := into{t: p.target("INSERT"), cond: cond}
		var names []string
		if p.isOp("(") {
			names = p.names()
		}
		in.cols = targetColumns(in.t, names)
		if p.word("VALUES") {
			p.want("(")
			for {
				if p.word("DEFAULT") {
					in.exprs = append(in.exprs, "NULL")
				} else {
					in.exprs = append(in.exprs, p.value())
				}
				if !p.op(",") {
					break
				}
			}
			p.want(")")
			if len(in.exprs) != len(in.cols) {
				panic(refuse("002020", "21S01", "SQL compilation error:\nInsert value list does not match column list expecting %d but got %d", len(in.cols), len(in.exprs)))
			}
		}
		intos = append(intos, in)
	}
	if len(intos) == 0 {
		p.unexpected(p.peek())
	}
	src := p.query()
	p.end()
	c := p.c
	return plan{typeID: typeInsertMulti, run: func(ctx context.Context) (_ *result, err error) {
		defer caught(&err)
		name := duckIdent(fmt.Sprintf("multi#%d", c.srv.lastTemp.Add(1)))
		// Materialized once, so that a volatile query gives all tables the same rows.
		qs := []string{"CREATE TEMP TABLE " + name + " AS " + src}
		var counted []int
		var names []string
		// The types come from the query itself, since the temporary table does not exist yet; of all lists at once, since the
		// engine plans the query each time. Columns of the query itself come last.
		var lists []string
		for _, in := range intos {
			lists = append(lists, in.exprs...)
		}
		all, err := c.describe(ctx, "SELECT "+strings.Join(append(lists, "*"), ", ")+" FROM ("+src+")")
		if err != nil {
			return nil, err
		}
		whole := all[len(lists):]
		for _, in := range intos {
			exprs, types := "*", whole
			if in.exprs != nil {
				exprs = strings.Join(in.exprs, ", ")
				types, all = all[:len(in.exprs)], all[len(in.exprs):]
			}
			if len(types) != len(in.cols) {
				return nil, refuse("002020", "21S01", "SQL compilation error:\nInsert value list does not match column list expecting %d but got %d", len(in.cols), len(types))
			}
			vals := make([]string, len(in.cols))
			alias := make([]string, len(in.cols))
			for i, col := range in.cols {
				alias[i] = fmt.Sprintf("c%d", i)
				vals[i] = assign(col, types[i].duck, "s."+alias[i])
			}
			where := ""
			if in.cond != "" {
				where = " WHERE " + in.cond
			}
			if over {
				qs = append(qs, "DELETE FROM "+in.t.duck())
			}
			counted = append(counted, len(qs))
			names = append(names, "number of rows inserted into "+in.t.name)
			qs = append(qs, "INSERT INTO "+in.t.duck()+" ("+columnNames(in.cols)+") SELECT "+strings.Join(vals, ", ")+
				" FROM (SELECT "+exprs+" FROM "+name+where+") AS s("+strings.Join(alias, ", ")+")")
		}
		qs = append(qs, "DROP TABLE "+name)
		n, err := c.change(ctx, intos[0].t, qs...)
		if err != nil {
			return nil, err
		}
		for _, in := range intos {
			in.t.changed = true
		}
		out := make([]int64, len(counted))
		for i, at := range counted {
			out[i] = n[at]
		}
		return counts(typeInsertMulti, names, out), nil
	}}
}

// set reads SET a = …, b = … of a table.
func (p *parser) assignments(t *table, alias string) (cols []column, exprs []string) {
	for {
		name := p.name()
		if p.op(".") {
			if name != alias && name != t.name {
				panic(invalidIdentifier(name))
			}
			name = p.name()
		}
		c := t.column(name)
		if c == nil {
			panic(invalidIdentifier(name))
		}
		for _, seen := range cols {
			if seen.name == name {
				panic(compilation("002025", "duplicate column name '%s'", name))
			}
		}
		p.want("=")
		if p.word("DEFAULT") {
			exprs = append(exprs, "CAST("+orNull(c.def)+" AS "+c.typ.duck()+")")
		} else {
			exprs = append(exprs, p.expr().sql)
		}
		cols = append(cols, *c)
		if !p.op(",") {
			return cols, exprs
		}
	}
}

func orNull(s string) string {
	if s == "" {
		return "NULL"
	}
	return s
}

// aliasOf reads the alias of a table that is changed.
func (p *parser) aliasOf(t *table) string {
	if p.word("AS") {
		return p.name()
	}
	if p.isName() && !p.isWord("USING", "SET", "WHERE", "FROM") {
		return p.name()
	}
	return t.name
}

func (p *parser) update() plan {
	p.wantWord("UPDATE")
	t := p.target("UPDATE")
	alias := p.aliasOf(t)
	p.wantWord("SET")
	cols, exprs := p.assignments(t, alias)
	from, where := "", ""
	if p.word("FROM") {
		from = p.from()
	}
	if p.word("WHERE") {
		where = " WHERE " + p.expr().sql
	}
	p.end()
	c := p.c
	return plan{typeID: typeUpdate, locks: t, run: func(ctx context.Context) (_ *result, err error) {
		defer caught(&err)
		target := t.duck() + " AS " + ident(alias)
		probe := "SELECT " + strings.Join(exprs, ", ") + " FROM " + target
		if from != "" {
			probe += ", " + from
		}
		sets, err := c.sets(ctx, cols, exprs, probe+where)
		if err != nil {
			return nil, err
		}
		q := "UPDATE " + target + " SET " + sets
		if from != "" {
			q += " FROM " + from
		}
		n, err := c.change(ctx, t, q+where)
		if err != nil {
			return nil, err
		}
		return counts(typeUpdate, []string{"number of rows updated", "number of multi-joined rows updated"}, []int64{n[0], 0}), nil
	}}
}

// sets writes the assignments, having asked the engine for the types of the expressions.
func (c *session) sets(ctx context.Context, cols []column, exprs []string, probe string) (string, error) {
	types, err := c.describe(ctx, probe)
	if err != nil {
		return "", err
	}
	out := make([]string, len(cols))
	for i, col := range cols {
		out[i] = ident(col.name) + " = " + assign(col, types[i].duck, exprs[i])
	}
	return strings.Join(out, ", "), nil
}

func (p *parser) deleteFrom() plan {
	p.wantWord("DELETE", "FROM")
	t := p.target("DELETE")
	alias := p.aliasOf(t)
	q := "DELETE FROM " + t.duck() + " AS " + ident(alias)
	if p.word("USING") {
		q += " USING " + p.from()
	}
	if p.word("WHERE") {
		q += " WHERE " + p.expr().sql
	}
	p.end()
	c := p.c
	return plan{typeID: typeDelete, locks: t, run: func(ctx context.Context) (*result, error) {
		n, err := c.change(ctx, t, q)
		if err != nil {
			return nil, err
		}
		return counts(typeDelete, []string{"number of rows deleted"}, n), nil
	}}
}

// A clause is one WHEN of a MERGE.
type clause struct {
	matched bool
	cond    string
	remove  bool
	cols    []column
	exprs   []string
}

func (p *parser) merge() plan {
	p.wantWord("MERGE", "INTO")
	t := p.target()
	alias := p.aliasOf(t)
	p.wantWord("USING")
	src := p.source()
	p.wantWord("ON")
	on := p.expr().sql
	var clauses []clause
	for p.word("WHEN") {
		clauses = append(clauses, p.when(t, alias))
	}
	if len(clauses) == 0 {
		p.unexpected(p.peek())
	}
	p.end()
	c := p.c
	return plan{typeID: typeMerge, locks: t, run: func(ctx context.Context) (_ *result, err error) {
		defer caught(&err)
		q, check, err := c.mergeText(ctx, t, alias, src, on, clauses)
		if err != nil {
			return nil, err
		}
		if check != "" {
			twice, err := c.any(ctx, check)
			if err != nil {
				return nil, err
			}
			if twice != "" {
				return nil, refuse("100090", "42P18", "Duplicate row detected during DML action\nRow Values: [%s]", twice)
			}
		}
		n, err := c.change(ctx, t, q)
		if err != nil {
			return nil, err
		}
		var names []string
		var out []int64
		has := func(f func(clause) bool) bool {
			for _, cl := range clauses {
				if f(cl) {
					return true
				}
			}
			return false
		}
		if has(func(c clause) bool { return !c.matched }) {
			names, out = append(names, "number of rows inserted"), append(out, n[0])
		}
		if has(func(c clause) bool { return c.matched && !c.remove }) {
			names, out = append(names, "number of rows updated"), append(out, n[1])
		}
		if has(func(c clause) bool { return c.remove }) {
			names, out = append(names, "number of rows deleted"), append(out, n[2])
		}
		return counts(typeMerge, names, out), nil
	}}
}

func (p *parser) when(t *table, alias string) clause {
	cl := clause{matched: true}
	if p.word("NOT") {
		cl.matched = false
	}
	p.wantWord("MATCHED")
	if p.words("BY", "SOURCE") {
		panic(unsupported("WHEN NOT MATCHED BY SOURCE"))
	}
	if p.word("AND") {
		cl.cond = p.expr().sql
	}
	p.wantWord("THEN")
	need := func(pr string) { p.c.needTable(t, pr, t.name) }
	switch {
	case cl.matched && p.word("UPDATE"):
		need("UPDATE")
		p.wantWord("SET")
		cl.cols, cl.exprs = p.assignments(t, alias)
	case cl.matched && p.word("DELETE"):
		need("DELETE")
		cl.remove = true
	case !cl.matched && p.word("INSERT"):
		need("INSERT")
		var names []string
		if p.isOp("(") {
			names = p.names()
		}
		cl.cols = targetColumns(t, names)
		p.wantWord("VALUES")
		p.want("(")
		for {
			cl.exprs = append(cl.exprs, p.expr().sql)
			if !p.op(",") {
				break
			}
		}
		p.want(")")
		if len(cl.cols) != len(cl.exprs) {
			panic(refuse("002020", "21S01", "SQL compilation error:\nInsert value list does not match column list expecting %d but got %d", len(cl.cols), len(cl.exprs)))
		}
	default:
		p.unexpected(p.peek())
	}
	return cl
}

// mergeText writes the engine's MERGE, and the query that finds a row that two others would change.
// The engine lets the last one win; Snowflake refuses (ERROR_ON_NONDETERMINISTIC_MERGE).
func (c *session) mergeText(ctx context.Context, t *table, alias, src, on string, clauses []clause) (q, check string, err error) {
	target := t.duck() + " AS " + ident(alias)
	var b strings.Builder
	b.WriteString("MERGE INTO " + target + " USING " + src + " ON " + on)
	var changes []string
	for _, cl := range clauses {
		cond := ""
		if cl.cond != "" {
			cond = " AND " + cl.cond
		}
		if cl.matched {
			b.WriteString(" WHEN MATCHED" + cond + " THEN ")
			changes = append(changes, "("+orTrue(cl.cond)+")")
		} else {
			b.WriteString(" WHEN NOT MATCHED" + cond + " THEN ")
		}
		if cl.remove {
			b.WriteString("DELETE")
			continue
		}
		probe := "SELECT " + strings.Join(cl.exprs, ", ") + " FROM "
		if cl.matched {
			probe += target + " JOIN " + src + " ON " + on
		} else {
			probe += src
		}
		types, err := c.describe(ctx, probe)
		if err != nil {
			return "", "", err
		}
		vals := make([]string, len(cl.cols))
		for i, col := range cl.cols {
			vals[i] = assign(col, types[i].duck, cl.exprs[i])
			if cl.matched {
				vals[i] = ident(col.name) + " = " + vals[i]
			}
		}
		if cl.matched {
			b.WriteString("UPDATE SET " + strings.Join(vals, ", "))
		} else {
			b.WriteString("INSERT (" + columnNames(cl.cols) + ") VALUES (" + strings.Join(vals, ", ") + ")")
		}
	}
	b.WriteString(" RETURNING merge_action")
	if changes != nil {
		check = "SELECT CAST(any_value(" + ident(alias) + ") AS VARCHAR) FROM " + target + " JOIN " + src + " ON " + on +
			" WHERE " + strings.Join(changes, " OR ") + " GROUP BY " + ident(alias) + ".rowid HAVING count(*) > 1 LIMIT 1"
	}
	return b.String(), check, nil
}

func orTrue(s string) string {
	if s == "" {
		return "TRUE"
	}
	return s
}

func (p *parser) truncate() plan {
	p.wantWord("TRUNCATE")
	p.word("TABLE")
	missing := p.ifExists()
	path := p.path()
	p.end()
	t := p.c.table(path)
	if t == nil {
		if missing {
			return plan{free: true, run: func(context.Context) (*result, error) { return status("Statement executed successfully."), nil }}
		}
		panic(notFound("Table", strings.Join(path, ".")))
	}
	p.c.needTable(t, "TRUNCATE", strings.Join(path, "."))
	c := p.c
	return plan{typeID: typeOther, locks: t, free: true, run: func(ctx context.Context) (*result, error) {
		if _, err := c.change(ctx, t, "DELETE FROM "+t.duck()); err != nil {
			return nil, err
		}
		c.forgetLoads(t)
		return status("Statement executed successfully."), nil
	}}
}

func (c *session) forgetLoads(t *table) {
	c.srv.mu.Lock()
	defer c.srv.mu.Unlock()
	t.loaded = map[string]string{}
}
