//go:build cgo && !lite

package snowflakesim

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"
)

// use reads USE ROLE, WAREHOUSE, DATABASE, SCHEMA.
func (p *parser) use() *result {
	p.wantWord("USE")
	c := p.c
	done := status("Statement executed successfully.")
	switch {
	case p.words("SECONDARY", "ROLES"):
		if !p.word("NONE") {
			p.wantWord("ALL")
		}
	case p.word("ROLE"):
		r := p.name()
		if !slices.Contains(c.srv.rolesOf(c.user), r) {
			panic(refuse("003013", "42501", "SQL access control error:\nRequested role '%s' is not assigned to the executing user. Specify another role to activate.", r))
		}
		c.role = r
	case p.word("WAREHOUSE"):
		n := p.name()
		if c.srv.houses[n] == nil || !c.may("USAGE", "WAREHOUSE", n) {
			panic(refuse("002043", "02000", "SQL compilation error:\nObject does not exist, or operation cannot be performed."))
		}
		c.warehouse = n
	case p.word("SCHEMA"):
		path := p.path()
		db, name := c.db, path[len(path)-1]
		if len(path) == 2 {
			db = path[0]
		}
		d := c.srv.cat.dbs[db]
		if d == nil || d.schemas[name] == nil || !c.may("USAGE", "DATABASE", db) || !c.may("USAGE", "SCHEMA", db+"."+name) {
			panic(refuse("002043", "02000", "SQL compilation error:\nObject does not exist, or operation cannot be performed."))
		}
		c.db, c.schema = db, name
	default:
		p.word("DATABASE")
		path := p.path()
		d := c.srv.cat.dbs[path[0]]
		if d == nil || !c.may("USAGE", "DATABASE", path[0]) {
			panic(refuse("002043", "02000", "SQL compilation error:\nObject does not exist, or operation cannot be performed."))
		}
		c.db, c.schema = path[0], ""
		if len(path) == 2 {
			c.schema = path[1]
		} else if d.schemas["PUBLIC"] != nil {
			c.schema = "PUBLIC"
		}
	}
	p.end()
	return done
}

// like matches a pattern of SHOW … LIKE, which ignores case.
func like(pattern, s string) bool {
	p, t := []rune(strings.ToUpper(pattern)), []rune(strings.ToUpper(s))
	var match func(i, j int) bool
	match = func(i, j int) bool {
		for ; i < len(p); i++ {
			switch {
			case p[i] == '%':
				for k := j; k <= len(t); k++ {
					if match(i+1, k) {
						return true
					}
				}
				return false
			case p[i] == '\\' && i+1 < len(p):
				i++
				fallthrough
			default:
				if j >= len(t) || p[i] != '_' && p[i] != t[j] || p[i] == '_' && i > 0 && p[i-1] == '\\' && t[j] != '_' {
					return false
				}
				j++
			}
		}
		return j == len(t)
	}
	return match(0, 0)
}

// A filter is what may follow SHOW things.
type filter struct {
	like, starts string
	limit        int
	db, schema   string // "" for all
	table        *table
}

func (p *parser) filter(kind string) filter {
	c := p.c
	f := filter{limit: 10_000, db: c.db, schema: c.schema}
	if p.word("LIKE") {
		f.like = p.str()
	}
	if p.word("IN") {
		switch {
		case p.word("ACCOUNT"):
			f.db, f.schema = "", ""
		case p.word("DATABASE"):
			f.schema = ""
			if p.isName() && !p.isWord("STARTS", "LIMIT") {
				f.db = p.name()
			}
			if c.srv.cat.dbs[f.db] == nil || !c.may("USAGE", "DATABASE", f.db) {
				panic(notFound("Database", f.db))
			}
		case p.word("TABLE", "VIEW"):
			path := p.path()
			f.table = c.table(path)
			if f.table == nil || !c.mayAny(f.table) {
				panic(notFound("Table", strings.Join(path, ".")))
			}
		default:
			p.word("SCHEMA")
			if kind == "COLUMNS" && p.toks[p.at-1].up != "SCHEMA" {
				path := p.path()
				f.table = c.table(path)
				if f.table == nil || !c.mayAny(f.table) {
					panic(notFound("Table", strings.Join(path, ".")))
				}
				break
			}
			if p.isName() && !p.isWord("STARTS", "LIMIT") {
				path := p.path()
				f.schema = path[len(path)-1]
				if len(path) == 2 {
					f.db = path[0]
				}
			}
			d := c.srv.cat.dbs[f.db]
			if d == nil || !c.may("USAGE", "DATABASE", f.db) || d.schemas[f.schema] == nil || !c.may("USAGE", "SCHEMA", f.db+"."+f.schema) {
				panic(notFound("Schema", f.db+"."+f.schema))
			}
		}
	}
	if p.words("STARTS", "WITH") {
		f.starts = p.str()
	}
	if p.word("LIMIT") {
		f.limit = p.number()
		if p.word("FROM") {
			p.str()
		}
	}
	return f
}

func (f filter) ok(name string) bool {
	return (f.like == "" || like(f.like, name)) && strings.HasPrefix(name, f.starts)
}

func (c *session) mayAny(t *table) bool {
	if t.kind == "TEMPORARY" {
		return true
	}
	for pr := range privileges["TABLE"] {
		if c.may(pr, "TABLE", t.full()) {
			return true
		}
	}
	return false
}

// schemas are those the filter lets through, in order.
func (c *session) schemas(f filter) []*schema {
	var out []*schema
	for _, dn := range slices.Sorted(maps.Keys(c.srv.cat.dbs)) {
		d := c.srv.cat.dbs[dn]
		if f.db != "" && f.db != dn || !c.may("USAGE", "DATABASE", dn) {
			continue
		}
		for _, sn := range slices.Sorted(maps.Keys(d.schemas)) {
			if (f.schema == "" || f.schema == sn) && c.may("USAGE", "SCHEMA", dn+"."+sn) {
				out = append(out, d.schemas[sn])
			}
		}
	}
	return out
}

// visible are the tables and views of the filter, in order.
func (c *session) visible(f filter) []*table {
	if f.table != nil {
		return []*table{f.table}
	}
	var out []*table
	for _, sch := range c.schemas(f) {
		for _, n := range slices.Sorted(maps.Keys(sch.tables)) {
			if t := sch.tables[n]; c.mayAny(t) {
				out = append(out, t)
			}
		}
		for _, n := range slices.Sorted(maps.Keys(c.temps)) {
			if t := c.temps[n]; t.db == sch.db && t.schema == sch.name {
				out = append(out, t)
			}
		}
	}
	sort.SliceStable(out, func(i, j int) bool { return out[i].full() < out[j].full() })
	return out
}

func (p *parser) show() *result {
	p.wantWord("SHOW")
	p.word("TERSE")
	c := p.c
	var r *result
	switch {
	case p.word("TABLES"):
		p.word("HISTORY")
		r = p.showTables(p.filter("TABLES"))
	case p.word("VIEWS"):
		r = p.showViews(p.filter("VIEWS"))
	case p.word("OBJECTS"):
		f := p.filter("OBJECTS")
		var rows [][]any
		for _, t := range c.visible(f) {
			if f.ok(t.name) && len(rows) < f.limit {
				rows = append(rows, []any{t.created, t.name, t.db, t.schema, t.kind, t.comment, t.owner})
			}
		}
		r = texts([]string{"created_on", "name", "database_name", "schema_name", "kind", "comment", "owner"}, rows)
	case p.word("COLUMNS"):
		r = p.showColumns(p.filter("COLUMNS"))
	case p.word("STAGES"):
		r = p.showStages(p.filter("STAGES"))
	case p.word("SCHEMAS"):
		f := p.filter("SCHEMAS")
		f.schema = ""
		var rows [][]any
		for _, s := range c.schemas(f) {
			if f.ok(s.name) && len(rows) < f.limit {
				rows = append(rows, []any{s.created, s.name, "N", yn(s.db == c.db && s.name == c.schema), s.db, s.owner, "", "", "1"})
			}
		}
		r = texts([]string{"created_on", "name", "is_default", "is_current", "database_name", "owner", "comment", "options", "retention_time"}, rows)
	case p.word("DATABASES"):
		f := p.filter("DATABASES")
		var rows [][]any
		for _, n := range slices.Sorted(maps.Keys(c.srv.cat.dbs)) {
			if d := c.srv.cat.dbs[n]; f.ok(n) && c.may("USAGE", "DATABASE", n) {
				rows = append(rows, []any{d.created, n, "N", yn(n == c.db), "", d.owner, "", "", "1", "STANDARD"})
			}
		}
		r = texts([]string{"created_on", "name", "is_default", "is_current", "origin", "owner", "comment", "options", "retention_time", "kind"}, rows)
	case p.word("WAREHOUSES"):
		r = p.showWarehouses(p.filter("WAREHOUSES"))
	case p.words("FILE", "FORMATS"):
		f := p.filter("FORMATS")
		var rows [][]any
		for _, s := range c.schemas(f) {
			for _, n := range slices.Sorted(maps.Keys(s.formats)) {
				if f.ok(n) {
					rows = append(rows, []any{s.created, n, s.db, s.name, s.formats[n]["TYPE"], s.owner, ""})
				}
			}
		}
		r = texts([]string{"created_on", "name", "database_name", "schema_name", "type", "owner", "comment"}, rows)
	case p.word("ROLES"):
		f := p.filter("ROLES")
		var rows [][]any
		for _, n := range slices.Sorted(maps.Keys(c.srv.grants.roles)) {
			if f.ok(n) {
				rows = append(rows, []any{c.srv.cat.now(), n, "N", yn(n == c.role), "N", "", "", "", "", ""})
			}
		}
		r = texts([]string{"created_on", "name", "is_default", "is_current", "is_inherited", "assigned_to_users", "granted_to_roles", "granted_roles", "owner", "comment"}, rows)
	case p.word("GRANTS"):
		r = p.showGrants()
	case p.word("PARAMETERS"):
		f := p.filter("PARAMETERS")
		if p.words("FOR", "SESSION") || p.words("IN", "SESSION") {
			p.at += 0
		}
		var rows [][]any
		for _, n := range slices.Sorted(maps.Keys(parameters)) {
			if f.ok(n) {
				v := c.params[n]
				if n == "TIMEZONE" {
					v = c.zone()
				}
				rows = append(rows, []any{n, v, "", "", "", "STRING"})
			}
		}
		r = texts([]string{"key", "value", "default", "level", "description", "type"}, rows)
	case p.word("TRANSACTIONS"):
		var rows [][]any
		if c.txn != nil {
			rows = append(rows, []any{fmt.Sprint(c.txn.id), c.user, fmt.Sprint(c.id), "", c.srv.cat.now(), "running", "READ COMMITTED"})
		}
		r = texts([]string{"id", "user", "session", "name", "started_on", "state", "scope"}, rows)
	case p.words("PRIMARY", "KEYS"):
		f := p.filter("KEYS")
		var rows [][]any
		for _, t := range c.visible(f) {
			n := 0
			for _, cl := range t.cols {
				if cl.key {
					n++
					rows = append(rows, []any{t.created, t.db, t.schema, t.name, cl.name, n, "SYS_CONSTRAINT", "false", ""})
				}
			}
		}
		r = texts([]string{"created_on", "database_name", "schema_name", "table_name", "column_name", "key_sequence", "constraint_name", "rely", "comment"}, rows)
	default:
		p.unexpected(p.peek())
	}
	p.end()
	r.typeID = typeOther
	return r
}

func yn(b bool) string {
	if b {
		return "Y"
	}
	return "N"
}

func (p *parser) showTables(f filter) *result {
	var rows [][]any
	for _, t := range p.c.visible(f) {
		if t.view != "" || !f.ok(t.name) || len(rows) >= f.limit {
			continue
		}
		rows = append(rows, []any{t.created, t.name, t.db, t.schema, t.kind, t.comment, t.cluster, p.c.srv.rowCount(t), p.c.srv.rowCount(t) * 64, t.owner, "1", "OFF", "N", "N"})
	}
	return texts([]string{"created_on", "name", "database_name", "schema_name", "kind", "comment", "cluster_by", "rows", "bytes", "owner", "retention_time", "automatic_clustering", "is_external", "is_dynamic"}, rows)
}

// rowCount is what the catalog knows of a table: what is committed.
func (s *Server) rowCount(t *table) int64 {
	var n int64
	if err := s.db.QueryRow("SELECT count(*) FROM " + t.duck()).Scan(&n); err != nil { //nolint:noctx // the answer is in memory
		return 0
	}
	return n
}

func (p *parser) showViews(f filter) *result {
	var rows [][]any
	for _, t := range p.c.visible(f) {
		if t.view != "" && f.ok(t.name) && len(rows) < f.limit {
			rows = append(rows, []any{t.created, t.name, "", t.db, t.schema, t.owner, t.comment, t.ddl, "false", "false"})
		}
	}
	return texts([]string{"created_on", "name", "reserved", "database_name", "schema_name", "owner", "comment", "text", "is_secure", "is_materialized"}, rows)
}

// dataType is the JSON that SHOW COLUMNS has for a type.
func dataType(c column) string {
	m := map[string]any{"type": c.typ.kind, "nullable": !c.notNull}
	switch c.typ.kind {
	case "NUMBER":
		m["type"], m["precision"], m["scale"] = "FIXED", c.typ.p, c.typ.s
	case "FLOAT":
		m["type"] = "REAL"
	case "VARCHAR":
		m["type"], m["length"], m["byteLength"], m["fixed"] = "TEXT", c.typ.n, min(c.typ.n*4, max(defaultText, c.typ.n)), false
	case "BINARY":
		m["length"], m["byteLength"], m["fixed"] = c.typ.n, c.typ.n, true
	case "TIME", "TIMESTAMP_NTZ", "TIMESTAMP_LTZ", "TIMESTAMP_TZ":
		m["precision"], m["scale"] = 0, c.typ.s
	}
	b, _ := json.Marshal(m) // a map of plain values: cannot go wrong
	return string(b)
}

func (p *parser) showColumns(f filter) *result {
	var rows [][]any
	for _, t := range p.c.visible(f) {
		for _, c := range t.cols {
			if !f.ok(c.name) || len(rows) >= f.limit {
				continue
			}
			null := "true"
			if c.notNull {
				null = "NOT_NULL"
			}
			rows = append(rows, []any{t.name, t.schema, c.name, dataType(c), null, c.defText, "COLUMN", "", c.comment, t.db, "", ""})
		}
	}
	return texts([]string{"table_name", "schema_name", "column_name", "data_type", "null?", "default", "kind", "expression", "comment", "database_name", "autoincrement", "schema_evolution_record"}, rows)
}

func (p *parser) showStages(f filter) *result {
	c := p.c
	var rows [][]any
	for _, s := range c.schemas(f) {
		for _, n := range slices.Sorted(maps.Keys(s.stages)) {
			st := s.stages[n]
			if !f.ok(n) || len(rows) >= f.limit || st.temporary != 0 && st.temporary != c.id {
				continue
			}
			if st.temporary == 0 && !c.may("USAGE", "STAGE", st.full()) && !c.may("READ", "STAGE", st.full()) && !c.may("WRITE", "STAGE", st.full()) {
				continue
			}
			kind, creds := "INTERNAL", "N"
			if st.url != "" {
				kind, creds = "EXTERNAL", "Y"
			}
			if st.temporary != 0 {
				kind += " TEMPORARY"
			}
			rows = append(rows, []any{st.created, n, st.db, st.schema, st.url, creds, yn(st.encrypted), st.owner, st.comment, "", kind, nil, "", nil, "N", "ROLE"})
		}
	}
	return texts([]string{"created_on", "name", "database_name", "schema_name", "url", "has_credentials", "has_encryption_key", "owner", "comment", "region", "type", "cloud", "notification_channel", "storage_integration", "directory_enabled", "owner_role_type"}, rows)
}

func (p *parser) showWarehouses(f filter) *result {
	c := p.c
	var rows [][]any
	for _, n := range slices.Sorted(maps.Keys(c.srv.houses)) {
		h := c.srv.houses[n]
		if !f.ok(n) || !c.may("USAGE", "WAREHOUSE", n) && !c.may("MONITOR", "WAREHOUSE", n) && !c.may("OPERATE", "WAREHOUSE", n) {
			continue
		}
		h.settle(c.srv.opt.Clock.Now())
		state := "SUSPENDED"
		if h.Started {
			state = "STARTED"
		}
		rows = append(rows, []any{n, state, "STANDARD", h.Size, h.running, 0, "N", yn(n == c.warehouse), int64(h.AutoSuspend.Seconds()), fmt.Sprint(!h.NoResume), c.srv.cat.now(), c.srv.cat.now(), c.srv.cat.now(), AdminRole, "", "null"})
	}
	return texts([]string{"name", "state", "type", "size", "running", "queued", "is_default", "is_current", "auto_suspend", "auto_resume", "created_on", "resumed_on", "updated_on", "owner", "comment", "resource_monitor"}, rows)
}

// showGrants reads SHOW GRANTS [TO ROLE r | TO USER u | ON kind name | OF ROLE r] and SHOW FUTURE GRANTS' little brother without them.
func (p *parser) showGrants() *result {
	c := p.c
	g := c.srv.grants
	names := []string{"created_on", "privilege", "granted_on", "name", "granted_to", "grantee_name", "grant_option", "granted_by"}
	var rows [][]any
	line := func(role string, x grant) {
		name := x.name
		if x.kind == "TABLE" {
			if t := c.srv.tableNamed(name); t != nil && t.view != "" {
				x.kind = "VIEW"
			}
		}
		rows = append(rows, []any{c.srv.cat.now(), strings.ReplaceAll(x.privilege, "_", " "), strings.ReplaceAll(x.kind, " ", "_"), shown(name), "ROLE", role, "false", AdminRole})
	}
	ofRole := func(role string) {
		r := g.roles[role]
		if r == nil {
			panic(notFound("Role", role))
		}
		for _, m := range r.member {
			rows = append(rows, []any{c.srv.cat.now(), "USAGE", "ROLE", m, "ROLE", role, "false", AdminRole})
		}
		list := slices.Collect(maps.Keys(r.has))
		sort.Slice(list, func(i, j int) bool {
			return list[i].kind+list[i].name+list[i].privilege < list[j].kind+list[j].name+list[j].privilege
		})
		for _, x := range list {
			if x.privilege == "ALL" { // ALL PRIVILEGES is shown one by one
				for _, pr := range slices.Sorted(maps.Keys(privileges[x.kind])) {
					if pr != "ALL" && pr != "OWNERSHIP" {
						line(role, grant{pr, x.kind, x.name})
					}
				}
				continue
			}
			line(role, x)
		}
	}
	switch {
	case p.words("TO", "ROLE"):
		ofRole(p.name())
	case p.words("TO", "USER"):
		u := p.name()
		if u != c.user && c.role != AdminRole {
			panic(insufficient("user", u))
		}
		user := c.srv.users[u]
		if user == nil {
			panic(notFound("User", u))
		}
		for _, r := range user.Roles {
			rows = append(rows, []any{c.srv.cat.now(), r, "USER", u, AdminRole})
		}
		return texts([]string{"created_on", "role", "granted_to", "grantee_name", "granted_by"}, rows)
	case p.word("ON"):
		kind := p.kindOf()
		name := strings.ToUpper(c.srv.opt.Account)
		if kind != "ACCOUNT" {
			name = c.objectName(kind, p.path())
		}
		for _, r := range slices.Sorted(maps.Keys(g.roles)) {
			for x := range g.roles[r].has {
				if x.kind == kind && x.name == name {
					line(r, x)
				}
			}
		}
		sort.Slice(rows, func(i, j int) bool { return fmt.Sprint(rows[i][5], rows[i][1]) < fmt.Sprint(rows[j][5], rows[j][1]) })
	default:
		for _, r := range c.srv.users[c.user].Roles {
			rows = append(rows, []any{c.srv.cat.now(), r, "USER", c.user, AdminRole})
		}
		return texts([]string{"created_on", "role", "granted_to", "grantee_name", "granted_by"}, rows)
	}
	return texts(names, rows)
}

// shown is a full name as SHOW GRANTS spells it: parts that need it are quoted.
func shown(full string) string {
	parts := strings.Split(full, ".")
	for i, s := range parts {
		if s != strings.ToUpper(s) || strings.ContainsAny(s, " -/") {
			parts[i] = `"` + s + `"`
		}
	}
	return strings.Join(parts, ".")
}

func (s *Server) tableNamed(full string) *table {
	parts := strings.SplitN(full, ".", 3)
	if len(parts) != 3 || s.cat.dbs[parts[0]] == nil || s.cat.dbs[parts[0]].schemas[parts[1]] == nil {
		return nil
	}
	return s.cat.dbs[parts[0]].schemas[parts[1]].tables[parts[2]]
}

func (p *parser) describeObject() *result {
	p.at++
	c := p.c
	switch {
	case p.word("STAGE"):
		st := c.stage(p.path())
		p.end()
		return texts([]string{"parent_property", "property", "property_type", "property_value", "property_default"}, [][]any{
			{"STAGE_LOCATION", "URL", "String", st.url, ""},
			{"STAGE_FILE_FORMAT", "TYPE", "String", st.options["TYPE"], "CSV"},
		})
	case p.word("WAREHOUSE"):
		n := p.name()
		if c.srv.houses[n] == nil {
			panic(notFound("Warehouse", n))
		}
		return texts([]string{"created_on", "name", "kind"}, [][]any{{c.srv.cat.now(), n, "WAREHOUSE"}})
	case p.word("TABLE"), p.word("VIEW"):
	}
	path := p.path()
	if p.word("TYPE") {
		p.want("=")
		p.name()
	}
	p.end()
	t := c.table(path)
	if t == nil || !c.mayAny(t) {
		panic(notFound("Table", strings.Join(path, ".")))
	}
	var rows [][]any
	for _, cl := range t.cols {
		var def, comment any
		if cl.defText != "" {
			def = cl.defText
		}
		if cl.comment != "" {
			comment = cl.comment
		}
		rows = append(rows, []any{cl.name, cl.typ.String(), "COLUMN", map[bool]string{true: "N", false: "Y"}[cl.notNull], def, yn(cl.key), "N", nil, nil, comment, nil, nil})
	}
	return texts([]string{"name", "type", "kind", "null?", "default", "primary key", "unique key", "check", "expression", "comment", "policy name", "privacy domain"}, rows)
}
