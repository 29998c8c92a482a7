//go:build cgo && !lite

package snowflakesim

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

func (p *parser) alter(ctx context.Context) *result {
	p.wantWord("ALTER")
	switch {
	case p.word("SESSION"):
		return p.alterSession(ctx)
	case p.word("WAREHOUSE"):
		return p.alterWarehouse()
	case p.word("TABLE"):
		return p.alterTable()
	case p.word("VIEW"):
		maybe := p.ifExists()
		path := p.path()
		t := p.c.table(path)
		if t == nil && maybe {
			return status("Statement executed successfully.")
		}
		if t == nil || t.view == "" {
			panic(notFound("View", strings.Join(path, ".")))
		}
		p.c.need("OWNERSHIP", "TABLE", t.full())
		if p.words("RENAME", "TO") {
			return p.rename(t)
		}
		p.wantWord("SET", "COMMENT")
		p.want("=")
		t.comment = p.str()
		p.end()
		return status("Statement executed successfully.")
	}
	p.unexpected(p.peek())
	return nil
}

// Session parameters that may be set, of the many there are.
var parameters = set(`QUERY_TAG TIMEZONE AUTOCOMMIT ERROR_ON_NONDETERMINISTIC_MERGE STATEMENT_TIMEOUT_IN_SECONDS LOCK_TIMEOUT
TIMESTAMP_NTZ_OUTPUT_FORMAT TIMESTAMP_OUTPUT_FORMAT TIMESTAMP_TYPE_MAPPING DATE_OUTPUT_FORMAT BINARY_INPUT_FORMAT BINARY_OUTPUT_FORMAT
CLIENT_SESSION_KEEP_ALIVE MULTI_STATEMENT_COUNT USE_CACHED_RESULT WEEK_START JSON_INDENT ABORT_DETACHED_QUERY TRANSACTION_ABORT_ON_ERROR
CLIENT_TELEMETRY_ENABLED GO_QUERY_RESULT_FORMAT CLIENT_TIMESTAMP_TYPE_MAPPING QUOTED_IDENTIFIERS_IGNORE_CASE`)

func (p *parser) alterSession(ctx context.Context) *result {
	c := p.c
	unset := p.word("UNSET")
	if !unset {
		p.wantWord("SET")
	}
	for p.peek().kind == tWord {
		name := p.take().up
		value := ""
		if !unset {
			p.want("=")
			switch t := p.take(); t.kind {
			case tString, tNumber:
				value = t.text
			case tWord:
				value = t.up
			default:
				p.unexpected(t)
			}
		}
		c.setParameter(ctx, name, value)
		p.op(",")
	}
	p.end()
	return status("Statement executed successfully.")
}

func (c *session) setParameter(ctx context.Context, name, value string) {
	if !parameters[name] {
		panic(compilation("002211", "invalid parameter '%s'", name))
	}
	if name == "QUERY_TAG" {
		if len(value) > 2000 { // Source: Snowflake documentation, Parameters, QUERY_TAG
			panic(compilation("001008", "invalid value for parameter 'QUERY_TAG': longer than 2000 characters"))
		}
		c.tag = value
	}
	if name == "QUOTED_IDENTIFIERS_IGNORE_CASE" && strings.EqualFold(value, "TRUE") {
		panic(unsupported("QUOTED_IDENTIFIERS_IGNORE_CASE in the simulator"))
	}
	c.params[name] = value
	if name == "TIMEZONE" {
		if err := c.setZone(ctx); err != nil {
			panic(compilation("001008", "invalid value ['%s'] for parameter 'TIMEZONE'", value))
		}
	}
}

func (p *parser) alterWarehouse() *result {
	c := p.c
	p.ifExists()
	name := p.name()
	h := c.srv.houses[name]
	if h == nil {
		panic(notFound("Warehouse", name))
	}
	now := c.srv.opt.Clock.Now()
	h.settle(now)
	switch {
	case p.word("RESUME"):
		maybe := p.words("IF", "SUSPENDED")
		c.need("OPERATE", "WAREHOUSE", name)
		switch {
		case h.Quota:
			panic(refuse("090073", "22000", "Warehouse '%s' cannot be resumed because resource monitor 'LIMIT' has exceeded its quota.", name))
		case !h.Started:
			h.resume(now)
		case !maybe:
			panic(refuse("090063", "22000", "Invalid state. Warehouse '%s' cannot be resumed.", name))
		}
	case p.word("SUSPEND"):
		c.need("OPERATE", "WAREHOUSE", name)
		if !h.Started {
			panic(refuse("090064", "22000", "Invalid state. Warehouse '%s' cannot be suspended.", name))
		}
		h.suspend(now)
	default:
		p.wantWord("SET")
		c.need("MODIFY", "WAREHOUSE", name)
		p.warehouseOptions(h)
	}
	p.end()
	return status("Statement executed successfully.")
}

func (p *parser) warehouseOptions(h *house) {
	for p.peek().kind == tWord {
		name := p.take().up
		p.want("=")
		t := p.take()
		switch name {
		case "WAREHOUSE_SIZE":
			h.Size = t.text
			if h.rate() == 0 {
				panic(compilation("001008", "invalid value [%s] for parameter 'WAREHOUSE_SIZE'", t.text))
			}
		case "AUTO_SUSPEND":
			var n int
			_, _ = fmt.Sscan(t.text, &n)
			h.AutoSuspend = time.Duration(n) * time.Second
		case "AUTO_RESUME":
			h.NoResume = t.up != "TRUE"
		case "INITIALLY_SUSPENDED":
			h.Started = t.up != "TRUE"
		case "COMMENT", "WAREHOUSE_TYPE", "STATEMENT_TIMEOUT_IN_SECONDS":
		default:
			panic(compilation("001420", "invalid property '%s' for 'WAREHOUSE'", name))
		}
	}
}

func (p *parser) alterTable() *result {
	c := p.c
	s := c.srv
	maybe := p.ifExists()
	path := p.path()
	t := c.table(path)
	done := status("Statement executed successfully.")
	if t == nil {
		if maybe {
			return done
		}
		panic(notFound("Table", strings.Join(path, ".")))
	}
	if t.view != "" {
		panic(compilation("002009", "Object '%s' is not a table", t.name))
	}
	if t.kind != "TEMPORARY" && !c.may("OWNERSHIP", "TABLE", t.full()) {
		c.needTable(t, "OWNERSHIP", t.name)
	}
	t.altered = s.cat.now()
	switch {
	case p.word("ADD"):
		p.word("COLUMN")
		p.addColumns(t)
	case p.word("DROP"):
		p.word("COLUMN")
		p.dropColumns(t)
	case p.words("RENAME", "COLUMN"):
		cl := p.existing(t)
		p.wantWord("TO")
		to := p.name()
		p.end()
		if t.column(to) != nil {
			panic(compilation("002028", "duplicate column name '%s'", to))
		}
		s.engine("ALTER TABLE " + t.duck() + " RENAME COLUMN " + ident(cl.name) + " TO " + ident(to))
		cl.name = to
	case p.words("RENAME", "TO"):
		return p.rename(t)
	case p.words("SWAP", "WITH"):
		other := c.mustTable(p.path())
		p.end()
		c.need("OWNERSHIP", "TABLE", other.full())
		a, b := *t, *other
		t.engine, t.cols, t.loaded, t.kind = b.engine, b.cols, b.loaded, b.kind
		other.engine, other.cols, other.loaded, other.kind = a.engine, a.cols, a.loaded, a.kind
		s.commits.Add(1)
	case p.isWord("ALTER", "MODIFY"):
		p.at++
		paren := p.op("(")
		for {
			p.word("COLUMN")
			p.alterColumn(t)
			if !p.op(",") {
				break
			}
		}
		if paren {
			p.want(")")
		}
	case p.words("CLUSTER", "BY"):
		p.at -= 2
		p.tableOptions(t)
	case p.word("SET"):
		p.tableOptions(t)
	default:
		p.unexpected(p.peek())
	}
	p.end()
	return done
}

func (p *parser) existing(t *table) *column {
	n := p.name()
	c := t.column(n)
	if c == nil {
		panic(invalidIdentifier(n))
	}
	return c
}

func (p *parser) rename(t *table) *result {
	sch, name := p.c.schemaOf(p.path())
	p.end()
	if sch.tables[name] != nil {
		panic(exists(name))
	}
	delete(p.c.srv.cat.dbs[t.db].schemas[t.schema].tables, t.name)
	p.c.srv.grants.forget("TABLE", t.full())
	t.db, t.schema, t.name = sch.db, sch.name, name
	sch.tables[name] = t
	p.c.own("TABLE", t.full())
	return status("Statement executed successfully.")
}

func (p *parser) addColumns(t *table) {
	s := p.c.srv
	var add []column
	for {
		maybe := p.ifNotExists()
		c := p.columnDef()
		if t.column(c.name) != nil || slices.ContainsFunc(add, func(a column) bool { return a.name == c.name }) {
			if !maybe {
				panic(refuse("001430", "42601", "SQL compilation error:\ncolumn '%s' already exists", c.name))
			}
		} else {
			add = append(add, c)
		}
		if !p.op(",") {
			break
		}
		p.word("COLUMN")
	}
	p.end()
	for _, c := range add {
		if c.notNull && c.def == "" {
			var n int
			if err := s.db.QueryRowContext(context.Background(), "SELECT count(*) FROM "+t.duck()).Scan(&n); err != nil || n > 0 {
				panic(refuse("002083", "22000", "SQL compilation error:\nNon-nullable column '%s' cannot be added to non-empty table '%s' unless it has a non-null default value.", c.name, t.name))
			}
		}
		def := c
		def.notNull = false
		s.engine("ALTER TABLE " + t.duck() + " ADD COLUMN " + def.definition())
		if c.notNull {
			s.engine("ALTER TABLE " + t.duck() + " ALTER COLUMN " + ident(c.name) + " SET NOT NULL")
		}
		t.cols = append(t.cols, c)
	}
}

func (p *parser) dropColumns(t *table) {
	for {
		maybe := p.ifExists()
		n := p.name()
		switch i := slices.IndexFunc(t.cols, func(c column) bool { return c.name == n }); {
		case i < 0 && !maybe:
			panic(invalidIdentifier(n))
		case i >= 0:
			if len(t.cols) == 1 {
				panic(compilation("002032", "cannot drop the last column of table '%s'", t.name))
			}
			p.c.srv.engine("ALTER TABLE " + t.duck() + " DROP COLUMN " + ident(n))
			t.cols = slices.Delete(t.cols, i, i+1)
		}
		if !p.op(",") {
			return
		}
	}
}

// alterColumn changes one column, only as Snowflake allows.
// Source: Snowflake documentation, ALTER TABLE … ALTER COLUMN.
func (p *parser) alterColumn(t *table) {
	s := p.c.srv
	c := p.existing(t)
	alter := "ALTER TABLE " + t.duck() + " ALTER COLUMN " + ident(c.name)
	switch {
	case p.words("DROP", "NOT", "NULL"):
		if c.notNull {
			s.engine(alter + " DROP NOT NULL")
		}
		c.notNull = false
	case p.words("SET", "NOT", "NULL"):
		var n int
		if err := s.db.QueryRowContext(context.Background(), "SELECT count(*) FROM "+t.duck()+" WHERE "+ident(c.name)+" IS NULL").Scan(&n); err != nil || n > 0 {
			panic(refuse("002109", "22000", "SQL compilation error:\ncolumn [%s] contains null values. Not null constraint cannot be added.", c.name))
		}
		s.engine(alter + " SET NOT NULL")
		c.notNull = true
	case p.words("DROP", "DEFAULT"):
		if c.def != "" {
			s.engine(alter + " DROP DEFAULT")
		}
		c.def, c.defText = "", ""
	case p.words("SET", "DEFAULT"):
		panic(unsupported("SET DEFAULT, but for a sequence"))
	case p.word("COMMENT"):
		c.comment = p.str()
	default:
		if p.word("SET") {
			p.wantWord("DATA")
		}
		p.wantWord("TYPE")
		to := p.typeName()
		from := c.typ
		ok := from == to
		why := ""
		switch {
		case from.kind != to.kind:
		case from.kind == "VARCHAR":
			ok, why = to.n >= from.n, " because reducing the byte-length of a varchar is not supported."
		case from.kind == "NUMBER":
			ok = to.s == from.s && to.p >= from.p
			if to.s != from.s {
				why = " because changing the scale is not supported."
			} else {
				why = " because reducing the precision may lose digits."
			}
		case from.kind == "BINARY":
			ok = to.n >= from.n
		}
		if !ok {
			panic(refuse("002108", "22000", "SQL compilation error: cannot change column %s from type %s to %s%s", c.name, from, to, why))
		}
		if from.duck() != to.duck() {
			s.engine(alter + " SET DATA TYPE " + to.duck())
		}
		c.typ = to
	}
}
