//go:build cgo && !lite

package snowflakesim

import (
	"slices"
	"sort"
	"strings"
)

// grants hold what roles may do. They are guarded by Server.mu.
type grants struct {
	roles  map[string]*role
	future map[string]map[string]bool // "TABLE|DB.SCHEMA" → role|privilege
}

type role struct {
	name   string
	member []string // roles granted to it
	has    map[grant]bool
}

type grant struct{ privilege, kind, name string }

func newGrants() *grants {
	g := &grants{roles: map[string]*role{}, future: map[string]map[string]bool{}}
	for _, r := range []string{AdminRole, "SYSADMIN", "SECURITYADMIN", "USERADMIN", "PUBLIC"} {
		g.role(r)
	}
	return g
}

func (g *grants) role(name string) *role {
	r := g.roles[name]
	if r == nil {
		r = &role{name: name, has: map[grant]bool{}}
		g.roles[name] = r
	}
	return r
}

func (g *grants) add(roleName, privilege, kind, name string) {
	g.role(roleName).has[grant{privilege, kind, name}] = true
}

// all returns the role and those it has been granted, PUBLIC among them.
func (g *grants) all(name string) []string {
	out := []string{name}
	for i := 0; i < len(out); i++ {
		if r := g.roles[out[i]]; r != nil {
			for _, m := range r.member {
				if !slices.Contains(out, m) {
					out = append(out, m)
				}
			}
		}
	}
	if !slices.Contains(out, "PUBLIC") {
		out = append(out, "PUBLIC")
	}
	return out
}

// may reports whether the session's role has a privilege, by a grant or by owning the thing.
func (c *session) may(privilege, kind, name string) bool {
	if c.quiet || c.role == AdminRole {
		return true
	}
	g := c.srv.grants
	for _, r := range g.all(c.role) {
		role := g.roles[r]
		if role == nil {
			continue
		}
		if role.has[grant{privilege, kind, name}] || role.has[grant{"OWNERSHIP", kind, name}] || role.has[grant{"ALL", kind, name}] {
			return true
		}
		// To use a database or a schema any privilege on it is enough to be told it exists.
		if privilege == "USAGE" && (kind == "DATABASE" || kind == "SCHEMA") && role.has[grant{"OWNERSHIP", kind, name}] {
			return true
		}
	}
	return false
}

func (c *session) need(privilege, kind, name string) {
	if !c.may(privilege, kind, name) {
		panic(insufficient(strings.ToLower(kind), name))
	}
}

// own makes the session's role the owner of something new, and applies future grants.
func (c *session) own(kind, name string) {
	role := c.role
	if role == "" {
		role = AdminRole
	}
	c.srv.grants.add(role, "OWNERSHIP", kind, name)
	for where, list := range c.srv.grants.future {
		k, in, _ := strings.Cut(where, "|")
		if k == kind && strings.HasPrefix(name, in+".") {
			for rp := range list {
				r, p, _ := strings.Cut(rp, "|")
				c.srv.grants.add(r, p, kind, name)
			}
		}
	}
}

// forget removes all grants on something that is gone.
func (g *grants) forget(kind, name string) {
	for _, r := range g.roles {
		for k := range r.has {
			if k.kind == kind && k.name == name {
				delete(r.has, k)
			}
		}
	}
}

func (s *Server) rolesOf(user string) []string {
	u := s.users[user]
	if u == nil {
		return nil
	}
	var out []string
	for _, r := range u.Roles {
		for _, x := range s.grants.all(r) {
			if !slices.Contains(out, x) {
				out = append(out, x)
			}
		}
	}
	return out
}

// Privileges there are, by kind. Source: Snowflake documentation, Access control privileges.
var privileges = map[string]map[string]bool{
	"TABLE":       set("SELECT INSERT UPDATE DELETE TRUNCATE REFERENCES OWNERSHIP ALL EVOLVE"),
	"STAGE":       set("USAGE READ WRITE OWNERSHIP ALL"),
	"SCHEMA":      set("USAGE MODIFY MONITOR OWNERSHIP ALL CREATE_TABLE CREATE_VIEW CREATE_STAGE CREATE_FILE_FORMAT CREATE_SEQUENCE CREATE_FUNCTION"),
	"DATABASE":    set("USAGE MODIFY MONITOR OWNERSHIP ALL CREATE_SCHEMA IMPORTED_PRIVILEGES"),
	"WAREHOUSE":   set("USAGE OPERATE MODIFY MONITOR OWNERSHIP ALL"),
	"ACCOUNT":     set("CREATE_DATABASE CREATE_WAREHOUSE CREATE_ROLE MONITOR_USAGE EXECUTE_TASK"),
	"FILE FORMAT": set("USAGE OWNERSHIP ALL"),
}

// kindOf reads TABLE, VIEW, FILE FORMAT and so on; views share the names of tables.
func (p *parser) kindOf() string {
	t := p.take()
	switch t.up {
	case "TABLE", "VIEW", "TABLES", "VIEWS":
		return "TABLE"
	case "STAGE", "STAGES":
		return "STAGE"
	case "SCHEMA", "SCHEMAS":
		return "SCHEMA"
	case "DATABASE", "DATABASES":
		return "DATABASE"
	case "WAREHOUSE":
		return "WAREHOUSE"
	case "ACCOUNT":
		return "ACCOUNT"
	case "FILE":
		if !p.word("FORMAT") {
			p.wantWord("FORMATS")
		}
		return "FILE FORMAT"
	}
	p.unexpected(t)
	return ""
}

func (p *parser) grantOrRevoke() *result {
	give := p.take().up == "GRANT"
	c := p.c
	g := c.srv.grants
	prep := "TO"
	if !give {
		prep = "FROM"
		p.words("GRANT", "OPTION", "FOR")
	}
	if p.word("ROLE") {
		r := p.name()
		p.wantWord(prep)
		if g.roles[r] == nil {
			panic(notFound("Role", r))
		}
		switch {
		case p.word("ROLE"):
			to := g.role(p.name())
			to.member = slices.DeleteFunc(to.member, func(x string) bool { return x == r })
			if give {
				to.member = append(to.member, r)
			}
		default:
			p.wantWord("USER")
			u := c.srv.users[p.name()]
			if u == nil {
				panic(notFound("User", "?"))
			}
			u.Roles = slices.DeleteFunc(slices.Clone(u.Roles), func(x string) bool { return x == r })
			if give {
				u.Roles = append(u.Roles, r)
			}
		}
		p.end()
		return status("Statement executed successfully.")
	}
	var privs []string
	for {
		from := p.at
		for !p.isWord("ON") && !p.isOp(",") && p.peek().kind != tEOF {
			p.at++
		}
		text := strings.ToUpper(strings.Join(strings.Fields(p.text(from, p.at)), "_"))
		if text == "ALL_PRIVILEGES" {
			text = "ALL"
		}
		privs = append(privs, text)
		if !p.op(",") {
			break
		}
	}
	p.wantWord("ON")
	future, every := p.word("FUTURE"), false
	if !future {
		every = p.word("ALL")
	}
	kind := p.kindOf()
	var names []string
	in := ""
	switch {
	case kind == "ACCOUNT":
		names = []string{strings.ToUpper(c.srv.opt.Account)}
	case future || every:
		p.wantWord("IN")
		if p.word("DATABASE") {
			in = p.name()
		} else {
			p.wantWord("SCHEMA")
			s, name := c.schemaOfSchema(p.path())
			in = s + "." + name
		}
		if every {
			names = c.srv.namesIn(kind, in)
		}
	default:
		names = []string{c.objectName(kind, p.path())}
	}
	p.wantWord(prep)
	p.word("ROLE")
	r := p.name()
	if g.roles[r] == nil {
		panic(notFound("Role", r))
	}
	p.words("WITH", "GRANT", "OPTION")
	if p.isWord("REVOKE", "COPY") {
		p.at++
		p.wantWord("CURRENT", "GRANTS")
	}
	p.word("CASCADE", "RESTRICT")
	p.end()
	for _, pr := range privs {
		if !privileges[kind][pr] {
			panic(compilation("003008", "Privilege '%s' is invalid for object type %s", strings.ReplaceAll(pr, "_", " "), kind))
		}
		if future {
			key := kind + "|" + in
			if g.future[key] == nil {
				g.future[key] = map[string]bool{}
			}
			if give {
				g.future[key][r+"|"+pr] = true
			} else {
				delete(g.future[key], r+"|"+pr)
			}
		}
		for _, n := range names {
			switch {
			case give && pr == "OWNERSHIP":
				for _, o := range g.roles {
					delete(o.has, grant{"OWNERSHIP", kind, n})
				}
				g.add(r, pr, kind, n)
				p.c.hand(kind, n, r)
			case give:
				g.add(r, pr, kind, n)
			default:
				delete(g.role(r).has, grant{pr, kind, n})
			}
		}
	}
	return status("Statement executed successfully.")
}

// objectName is the full name of something that must exist.
func (c *session) objectName(kind string, path []string) string {
	switch kind {
	case "DATABASE", "WAREHOUSE":
		name := path[0]
		if kind == "DATABASE" && c.srv.cat.dbs[name] == nil || kind == "WAREHOUSE" && c.srv.houses[name] == nil {
			panic(notFound(strings.ToUpper(kind[:1])+strings.ToLower(kind[1:]), name))
		}
		return name
	case "SCHEMA":
		d, s := c.schemaOfSchema(path)
		return d + "." + s
	case "STAGE":
		return c.stage(path).full()
	case "FILE FORMAT":
		s, name := c.schemaOf(path)
		if s.formats[name] == nil {
			panic(notFound("File format", name))
		}
		return s.db + "." + s.name + "." + name
	}
	return c.mustTable(path).full()
}

// hand writes down who owns an object now, for those who list it.
func (c *session) hand(kind, full, role string) {
	for _, d := range c.srv.cat.dbs {
		if kind == "DATABASE" && d.name == full {
			d.owner = role
		}
		for _, s := range d.schemas {
			if kind == "SCHEMA" && s.db+"."+s.name == full {
				s.owner = role
			}
			for _, t := range s.tables {
				if (kind == "TABLE" || kind == "VIEW") && t.full() == full {
					t.owner = role
				}
			}
			for _, st := range s.stages {
				if kind == "STAGE" && st.full() == full {
					st.owner = role
				}
			}
		}
	}
}

func (c *session) schemaOfSchema(path []string) (db, name string) {
	db, name = c.db, path[len(path)-1]
	if len(path) == 2 {
		db = path[0]
	}
	d := c.srv.cat.dbs[db]
	if d == nil || d.schemas[name] == nil {
		panic(notFound("Schema", strings.Join(path, ".")))
	}
	return db, name
}

func (s *Server) namesIn(kind, in string) []string {
	var out []string
	for _, d := range s.cat.dbs {
		for _, sch := range d.schemas {
			if in != d.name && in != d.name+"."+sch.name {
				continue
			}
			switch kind {
			case "SCHEMA":
				out = append(out, d.name+"."+sch.name)
			case "TABLE":
				for _, t := range sch.tables {
					out = append(out, t.full())
				}
			case "STAGE":
				for _, t := range sch.stages {
					out = append(out, t.full())
				}
			}
		}
	}
	sort.Strings(out)
	return out
}
