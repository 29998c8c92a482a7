package snowflake

import (
	"slices"
	"strings"

	"github.com/martsync/martsync/internal/sqlgen"
)

// Privileges: https://docs.snowflake.com/en/user-guide/security-access-control-privileges.

// A grant is a privilege on an object, in the words of SHOW GRANTS.
type grant struct {
	privilege string // "USAGE", "CREATE TABLE"
	on        string // "DATABASE", "SCHEMA", "WAREHOUSE", "TABLE", "STAGE", "ROLE"
	name      string // qualified name, quoted only where it must be
}

// grants are those of a role and of every role that it has been given.
type grants struct{ held map[grant]bool }

func (g *grants) add(privilege, on, name string) {
	if g.held == nil {
		g.held = map[grant]bool{}
	}
	g.held[grant{strings.ToUpper(privilege), strings.ToUpper(on), plain(name)}] = true
}

// lacks returns which of the privileges are not held on the object. An owner lacks none, except that
// a role may be the owner of a schema and not see the database: each object counts for itself.
func (g *grants) lacks(on, name string, privileges ...string) []string {
	has := func(privilege string) bool { return g.held[grant{privilege, on, plain(name)}] }
	if has("OWNERSHIP") || has("ALL") || has("ALL PRIVILEGES") {
		return nil
	}
	var missing []string
	for _, p := range privileges {
		if !has(p) {
			missing = append(missing, p)
		}
	}
	return missing
}

// plain is a qualified name in one spelling. Snowflake shows names quoted where they need quotes, but
// not in all places alike.
func plain(name string) string {
	parts := split(name)
	for i, p := range parts {
		parts[i] = sqlgen.Ident(p)
	}
	return strings.Join(parts, ".")
}

// split takes a qualified name apart, into the catalog's spelling: what is in quotes is taken as it is.
// Unlike in a query letters without quotes are not folded, since SHOW prints them as they are.
func split(name string) []string {
	var parts []string
	var b strings.Builder
	quoted := false
	for i := 0; i < len(name); i++ {
		switch c := name[i]; {
		case c == '"' && quoted && i+1 < len(name) && name[i+1] == '"':
			b.WriteByte('"')
			i++
		case c == '"':
			quoted = !quoted
		case c == '.' && !quoted:
			parts = append(parts, b.String())
			b.Reset()
		default:
			b.WriteByte(c)
		}
	}
	return append(parts, b.String())
}

// grantStatement is the statement that an administrator runs to give the privileges.
func grantStatement(on, name, role string, privileges ...string) string {
	s := "GRANT " + strings.Join(privileges, ", ") + " ON " + on + " " + name + " TO ROLE " + ident(role)
	if slices.Contains(privileges, "OWNERSHIP") {
		s += " COPY CURRENT GRANTS"
	}
	return s + ";"
}
