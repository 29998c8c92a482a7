//go:build cgo && !lite

package snowflakesim

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// engine runs a statement of the engine's that changes its catalog, outside all transactions.
func (s *Server) engine(q string) {
	var err error
	for range 50 {
		if _, err = s.db.ExecContext(context.Background(), q); !conflicts(err) && (err == nil || !strings.Contains(err.Error(), "altered")) {
			break
		}
	}
	if err != nil {
		panic(translate(err))
	}
	s.commits.Add(1)
}

// create reads CREATE [OR REPLACE] … It is called with Server.mu held.
func (p *parser) create(ctx context.Context) plan {
	p.wantWord("CREATE")
	replace := p.words("OR", "REPLACE")
	kind := "TABLE"
	for {
		switch {
		case p.word("TRANSIENT"):
			kind = "TRANSIENT"
			continue
		case p.word("LOCAL", "GLOBAL"):
			continue
		case p.word("TEMPORARY", "TEMP", "VOLATILE"):
			kind = "TEMPORARY"
			continue
		case p.word("SECURE"):
			continue
		}
		break
	}
	now := func(r *result) plan {
		return plan{free: true, run: func(context.Context) (*result, error) { return r, nil }}
	}
	switch {
	case p.word("TABLE"):
		return p.createTable(kind, replace)
	case p.word("VIEW"):
		return p.createView(ctx, replace)
	case p.word("STAGE"):
		return now(p.createStage(kind == "TEMPORARY", replace))
	case p.word("SCHEMA"):
		return now(p.createSchema(replace))
	case p.word("DATABASE"):
		return now(p.createDatabase(replace))
	case p.words("FILE", "FORMAT"):
		return now(p.createFormat(replace))
	case p.word("WAREHOUSE"):
		return now(p.createWarehouse(replace))
	case p.word("ROLE"):
		p.ifNotExists()
		p.c.srv.grants.role(p.name())
		p.end()
		return now(status("Role successfully created."))
	}
	p.unexpected(p.peek())
	return plan{}
}

// free refuses a name that is taken, unless it may be. done means that IF NOT EXISTS applies.
func free(there, replace, ifNot bool, name string) (done bool) {
	if there && ifNot && replace {
		panic(compilation("001003", "options IF NOT EXISTS and OR REPLACE are incompatible."))
	}
	if there && !replace && !ifNot {
		panic(exists(name))
	}
	return there && ifNot
}

func (p *parser) createTable(kind string, replace bool) plan {
	c := p.c
	s := c.srv
	ifNot := p.ifNotExists()
	path := p.path()
	sch, name := c.schemaOf(path)
	if kind != "TEMPORARY" {
		c.need("CREATE_TABLE", "SCHEMA", sch.db+"."+sch.name)
	}
	t := &table{db: sch.db, schema: sch.name, name: name, kind: kind, owner: c.role, created: s.cat.now(), altered: s.cat.now(), loaded: map[string]string{}}
	if kind == "TEMPORARY" {
		t.session = c.id
	}
	t.engine = s.engineName(sch.db, sch.name, name)
	var old *table
	if kind == "TEMPORARY" {
		old = c.temps[t.full()]
	} else {
		old = sch.tables[name]
	}
	exit := func(text string) plan {
		return plan{free: true, run: func(context.Context) (*result, error) { return status(text), nil }}
	}
	if free(old != nil, replace, ifNot, name) {
		return exit(name + " already exists, statement succeeded.")
	}
	var query string
	var fill string
	var from *table
	switch {
	case p.word("CLONE"):
		from = c.mustTable(p.path())
		if from.view != "" {
			panic(unsupported("CLONE of a view"))
		}
		if p.isWord("AT", "BEFORE") {
			panic(unsupported("time travel in the simulator"))
		}
		c.needTable(from, "SELECT", from.name)
		if from.kind == "TEMPORARY" && kind != "TEMPORARY" || from.kind == "TRANSIENT" && kind == "TABLE" {
			panic(compilation("002119", "%s cannot be cloned to a permanent object.", strings.ToLower(from.kind)))
		}
		t.cols, t.comment, t.cluster = slices.Clone(from.cols), from.comment, from.cluster
		fill = "SELECT * FROM " + from.duck()
	case p.word("LIKE"):
		from = c.mustTable(p.path())
		t.cols = slices.Clone(from.cols)
	default:
		var names []string
		if p.isOp("(") {
			if q := p.ahead(1); q.kind == tWord && q.up == "SELECT" {
				p.unexpected(q)
			}
			save := p.at
			if names = p.justNames(); names == nil {
				p.at = save
				t.cols = p.columnList()
			}
		}
		p.tableOptions(t)
		switch {
		case p.word("AS"):
			query = p.query()
		case names != nil:
			panic(syntaxAt(p.src, p.peek().pos, ")"))
		case t.cols == nil:
			p.unexpected(p.peek())
		}
		if query != "" {
			p.end()
			return plan{typeID: typeOther, run: func(ctx context.Context) (*result, error) {
				return c.createAs(ctx, t, sch, names, query)
			}}
		}
	}
	p.words("COPY", "GRANTS")
	p.tableOptions(t)
	p.end()
	if replace && old != nil && kind != "TEMPORARY" && !c.may("OWNERSHIP", "TABLE", old.full()) {
		panic(insufficient("table", name))
	}
	s.engine("CREATE TABLE " + t.duck() + " (" + t.definition() + ")")
	if fill != "" {
		s.engine("INSERT INTO " + t.duck() + " " + fill)
	}
	c.put(t, sch)
	return exit(fmt.Sprintf("Table %s successfully created.", name))
}

// put enters a new table, with Server.mu held.
func (c *session) put(t *table, sch *schema) {
	if t.kind == "TEMPORARY" {
		c.temps[t.full()] = t
		return
	}
	if old := sch.tables[t.name]; old != nil {
		sch.dropped[t.name] = append(sch.dropped[t.name], old)
		c.srv.grants.forget("TABLE", t.full())
	}
	sch.tables[t.name] = t
	c.own("TABLE", t.full())
}

func (c *session) createAs(ctx context.Context, t *table, sch *schema, names []string, query string) (_ *result, err error) {
	defer caught(&err)
	types, err := c.describe(ctx, query)
	if err != nil {
		return nil, err
	}
	if t.cols == nil {
		for i, ty := range types {
			cl := column{name: ty.name, typ: orText(ty.typ)}
			if names != nil && i < len(names) {
				cl.name = names[i]
			}
			t.cols = append(t.cols, cl)
		}
	}
	sel, err := c.assigned(ctx, t.cols, query)
	if err != nil {
		return nil, err
	}
	c.srv.engine("CREATE TABLE " + t.duck() + " (" + t.definition() + ")")
	if _, err := c.change(ctx, t, "INSERT INTO "+t.duck()+" "+sel); err != nil {
		return nil, err
	}
	c.srv.mu.Lock()
	defer c.srv.mu.Unlock()
	c.put(t, sch)
	return status(fmt.Sprintf("Table %s successfully created.", t.name)), nil
}

// justNames reads (a, b) of CREATE TABLE t (a, b) AS; nil if the list has types.
func (p *parser) justNames() (names []string) {
	p.want("(")
	for {
		if !p.isName() {
			return nil
		}
		names = append(names, p.name())
		if !p.op(",") {
			break
		}
	}
	if !p.op(")") {
		return nil
	}
	return names
}

func (t *table) definition() string {
	out := make([]string, len(t.cols))
	for i, c := range t.cols {
		out[i] = c.definition()
	}
	return strings.Join(out, ", ")
}

func (c column) definition() string {
	s := ident(c.name) + " " + c.typ.duck()
	if c.def != "" {
		s += " DEFAULT " + c.def
	}
	if c.notNull {
		s += " NOT NULL"
	}
	return s
}

func (p *parser) columnList() []column {
	p.want("(")
	var out []column
	for {
		if p.isWord("PRIMARY", "UNIQUE", "FOREIGN", "CONSTRAINT") {
			if p.word("CONSTRAINT") {
				p.name()
			}
			primary := p.words("PRIMARY", "KEY")
			if !primary {
				p.wantWord("UNIQUE")
			}
			for _, n := range p.names() {
				i := slices.IndexFunc(out, func(c column) bool { return c.name == n })
				if i < 0 {
					panic(invalidIdentifier(n))
				}
				out[i].notNull = out[i].notNull || primary
				out[i].key = out[i].key || primary
			}
			p.constraintOptions()
		} else {
			c := p.columnDef()
			if slices.ContainsFunc(out, func(o column) bool { return o.name == c.name }) {
				panic(compilation("002025", "duplicate column name '%s'", c.name))
			}
			out = append(out, c)
		}
		if !p.op(",") {
			break
		}
	}
	p.want(")")
	return out
}

func (p *parser) constraintOptions() {
	for p.isWord("ENFORCED", "RELY", "NORELY", "ENABLE", "DISABLE", "VALIDATE", "NOVALIDATE", "DEFERRABLE") || p.isWord("NOT") && p.ahead(1).up == "ENFORCED" {
		p.at++
	}
}

func (p *parser) columnDef() column {
	t := p.peek()
	c := column{name: p.name()}
	if t.kind == tWord && notColumns[t.up] {
		p.unexpected(t)
	}
	c.typ = p.typeName()
	for {
		switch {
		case p.words("NOT", "NULL"):
			c.notNull = true
		case p.word("NULL"):
		case p.words("PRIMARY", "KEY"):
			c.notNull, c.key = true, true
			p.constraintOptions()
		case p.word("UNIQUE"):
			p.constraintOptions()
		case p.word("DEFAULT"):
			from := p.at
			// The default has the type of its column.
			c.def = c.typ.convert(p.unary().sql, false)
			c.defText = p.text(from, p.at)
			if strings.Contains(c.def, "sf_parse_json") || c.typ.json() {
				panic(compilation("002263", "Invalid column default expression [%s]", c.defText))
			}
		case p.word("COLLATE"):
			p.str()
		case p.word("COMMENT"):
			c.comment = p.str()
		case p.isWord("AUTOINCREMENT", "IDENTITY"):
			panic(unsupported("AUTOINCREMENT in the simulator"))
		default:
			return c
		}
	}
}

func (p *parser) tableOptions(t *table) {
	for {
		switch {
		case p.words("CLUSTER", "BY"):
			from := p.at
			p.want("(")
			p.list()
			p.want(")")
			t.cluster = p.text(from, p.at)
		case p.isWord("DATA_RETENTION_TIME_IN_DAYS", "MAX_DATA_EXTENSION_TIME_IN_DAYS"):
			p.at++
			p.want("=")
			if n := p.number(); n > 1 && t.kind != "TABLE" {
				panic(compilation("001008", "invalid value [%d] for parameter 'DATA_RETENTION_TIME_IN_DAYS'", n))
			}
		case p.isWord("CHANGE_TRACKING", "ENABLE_SCHEMA_EVOLUTION"):
			p.at++
			p.want("=")
			if !p.word("TRUE") {
				p.wantWord("FALSE")
			}
		case p.word("COMMENT"):
			p.op("=")
			t.comment = p.str()
		case p.words("COPY", "GRANTS"):
		default:
			return
		}
	}
}

func (p *parser) createView(ctx context.Context, replace bool) plan {
	c := p.c
	ifNot := p.ifNotExists()
	sch, name := c.schemaOf(p.path())
	c.need("CREATE_VIEW", "SCHEMA", sch.db+"."+sch.name)
	v := &table{db: sch.db, schema: sch.name, name: name, kind: "VIEW", owner: c.role, created: c.srv.cat.now(), altered: c.srv.cat.now()}
	exit := func(text string) plan {
		return plan{free: true, run: func(context.Context) (*result, error) { return status(text), nil }}
	}
	old := sch.tables[name]
	if free(old != nil, replace, ifNot, name) {
		return exit(name + " already exists, statement succeeded.")
	}
	if old != nil && old.view == "" {
		panic(exists(name))
	}
	comments := map[string]string{}
	if p.op("(") {
		for {
			n := p.name()
			v.viewCols = append(v.viewCols, n)
			if p.word("COMMENT") {
				comments[n] = p.str()
			}
			if !p.op(",") {
				break
			}
		}
		p.want(")")
	}
	p.words("COPY", "GRANTS")
	if p.word("COMMENT") {
		p.want("=")
		v.comment = p.str()
	}
	p.words("COPY", "GRANTS")
	p.wantWord("AS")
	from := p.at
	q := p.query()
	v.view = p.text(from, p.at)
	v.ddl = p.src
	p.end()
	types, err := c.describe(ctx, q)
	if err != nil {
		panic(translate(err))
	}
	if v.viewCols != nil && len(v.viewCols) != len(types) {
		panic(compilation("002026", "Invalid number of columns in view declaration: %d, the query has %d", len(v.viewCols), len(types)))
	}
	seen := map[string]bool{}
	for i, ty := range types {
		n := ty.name
		if v.viewCols != nil {
			n = v.viewCols[i]
		}
		if seen[n] {
			panic(compilation("002025", "duplicate column name '%s'", n))
		}
		seen[n] = true
		v.cols = append(v.cols, column{name: n, typ: orText(ty.typ), comment: comments[n]})
	}
	sch.tables[name] = v
	c.own("TABLE", v.full())
	return exit(fmt.Sprintf("View %s successfully created.", name))
}

func (p *parser) createSchema(replace bool) *result {
	c := p.c
	ifNot := p.ifNotExists()
	path := p.path()
	db := c.db
	if len(path) == 2 {
		db = path[0]
	}
	p.words("WITH", "MANAGED", "ACCESS")
	dummy := &table{kind: "TABLE"}
	p.tableOptions(dummy)
	p.end()
	d := c.srv.cat.dbs[db]
	if d == nil || !c.may("USAGE", "DATABASE", db) {
		panic(notFound("Database", db))
	}
	name := path[len(path)-1]
	if free(d.schemas[name] != nil, replace, ifNot, name) {
		return status(name + " already exists, statement succeeded.")
	}
	c.need("CREATE_SCHEMA", "DATABASE", db)
	c.srv.addSchema(d, name, c.role)
	c.db, c.schema = db, name // as in Snowflake, the new one is in use
	return status(fmt.Sprintf("Schema %s successfully created.", name))
}

func (p *parser) createDatabase(replace bool) *result {
	c := p.c
	ifNot := p.ifNotExists()
	name := p.name()
	p.tableOptions(&table{kind: "TABLE"})
	p.end()
	if free(c.srv.cat.dbs[name] != nil, replace, ifNot, name) {
		return status(name + " already exists, statement succeeded.")
	}
	c.need("CREATE_DATABASE", "ACCOUNT", strings.ToUpper(c.srv.opt.Account))
	d := &database{name: name, owner: c.role, created: c.srv.cat.now(), schemas: map[string]*schema{}}
	c.srv.cat.dbs[name] = d
	c.own("DATABASE", name)
	c.srv.addSchema(d, "PUBLIC", c.role)
	c.db, c.schema = name, "PUBLIC"
	return status(fmt.Sprintf("Database %s successfully created.", name))
}

func (p *parser) createWarehouse(replace bool) *result {
	c := p.c
	ifNot := p.ifNotExists()
	w := Warehouse{Name: p.name()}
	h := newHouse(w)
	p.word("WITH")
	p.warehouseOptions(h)
	p.end()
	if free(c.srv.houses[w.Name] != nil, replace, ifNot, w.Name) {
		return status(w.Name + " already exists, statement succeeded.")
	}
	c.need("CREATE_WAREHOUSE", "ACCOUNT", strings.ToUpper(c.srv.opt.Account))
	c.srv.houses[w.Name] = h
	c.own("WAREHOUSE", w.Name)
	c.warehouse = w.Name
	return status(fmt.Sprintf("Warehouse %s successfully created.", w.Name))
}

func (p *parser) drop() *result {
	p.wantWord("DROP")
	c := p.c
	kind := p.take().up
	if kind == "FILE" {
		p.wantWord("FORMAT")
	}
	maybe := p.ifExists()
	start := p.at
	path := p.path()
	name := path[len(path)-1]
	p.word("CASCADE", "RESTRICT")
	p.end()
	full := p.text(start, p.at)
	gone := func(what string) *result {
		if maybe {
			return status(fmt.Sprintf("Drop statement executed successfully (%s already dropped).", name))
		}
		panic(notFound(what, strings.ToUpper(full)))
	}
	done := status(name + " successfully dropped.")
	switch kind {
	case "TABLE", "VIEW":
		t := c.table(path)
		if t == nil || (t.view != "") != (kind == "VIEW") {
			return gone(map[string]string{"TABLE": "Table", "VIEW": "View"}[kind])
		}
		if t.kind == "TEMPORARY" {
			delete(c.temps, t.full())
			c.srv.engine("DROP TABLE " + t.duck())
			return done
		}
		if !c.may("OWNERSHIP", "TABLE", t.full()) {
			panic(insufficient("table", t.name))
		}
		sch := c.srv.cat.dbs[t.db].schemas[t.schema]
		delete(sch.tables, t.name)
		if t.view == "" {
			sch.dropped[t.name] = append(sch.dropped[t.name], t)
		}
		c.srv.grants.forget("TABLE", t.full())
		return done
	case "STAGE":
		sch, _ := c.schemaOf(path)
		st := sch.stages[name]
		if st == nil {
			return gone("Stage")
		}
		c.need("OWNERSHIP", "STAGE", st.full())
		delete(sch.stages, name)
		if st.url == "" {
			c.srv.store.removePrefix(st.prefix())
		}
		c.srv.grants.forget("STAGE", st.full())
		return done
	case "FILE":
		sch, _ := c.schemaOf(path)
		if sch.formats[name] == nil {
			return gone("File format")
		}
		delete(sch.formats, name)
		return done
	case "SCHEMA":
		db := c.db
		if len(path) == 2 {
			db = path[0]
		}
		d := c.srv.cat.dbs[db]
		if d == nil || d.schemas[name] == nil {
			return gone("Schema")
		}
		c.need("OWNERSHIP", "SCHEMA", db+"."+name)
		delete(d.schemas, name)
		if c.db == db && c.schema == name {
			c.schema = ""
		}
		return done
	case "DATABASE":
		if c.srv.cat.dbs[name] == nil {
			return gone("Database")
		}
		c.need("OWNERSHIP", "DATABASE", name)
		delete(c.srv.cat.dbs, name)
		if c.db == name {
			c.db, c.schema = "", ""
		}
		return done
	case "WAREHOUSE":
		if c.srv.houses[name] == nil {
			return gone("Warehouse")
		}
		c.need("OWNERSHIP", "WAREHOUSE", name)
		delete(c.srv.houses, name)
		return done
	}
	panic(unsupported("DROP " + kind))
}

func (p *parser) undrop() *result {
	p.wantWord("UNDROP", "TABLE")
	sch, name := p.c.schemaOf(p.path())
	p.end()
	list := sch.dropped[name]
	if len(list) == 0 {
		panic(notFound("Table", name))
	}
	if sch.tables[name] != nil {
		panic(exists(name))
	}
	sch.tables[name] = list[len(list)-1]
	sch.dropped[name] = list[:len(list)-1]
	p.c.own("TABLE", sch.tables[name].full())
	return status("Table " + name + " successfully restored.")
}

func (p *parser) commentOn() *result {
	p.wantWord("COMMENT")
	maybe := p.ifExists()
	p.wantWord("ON")
	var set func(string)
	switch {
	case p.word("TABLE", "VIEW"):
		path := p.path()
		t := p.c.table(path)
		if t == nil {
			if maybe {
				p.at = len(p.toks) - 1
				return status("Statement executed successfully.")
			}
			panic(notFound("Table", strings.Join(path, ".")))
		}
		set = func(s string) { t.comment = s }
	case p.word("COLUMN"):
		path := p.path()
		t := p.c.mustTable(path[:len(path)-1])
		cl := t.column(path[len(path)-1])
		if cl == nil {
			panic(invalidIdentifier(path[len(path)-1]))
		}
		set = func(s string) { cl.comment = s }
	default:
		p.unexpected(p.peek())
	}
	p.wantWord("IS")
	set(p.str())
	p.end()
	return status("Statement executed successfully.")
}
