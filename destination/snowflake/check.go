package snowflake

import (
	"context"
	"fmt"
	"strings"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/sqlgen"
)

var _ martsync.Checker = (*destination)(nil)

// Check signs in and compares what the role may do with what a sync does. It needs no warehouse, so it
// resumes none: it asks whether the role may use it.
func (d *destination) Check(ctx context.Context) []martsync.Finding {
	c := &checking{d: d}
	if !c.signIn(ctx) || !c.readGrants(ctx) {
		return c.findings
	}
	c.warehouse(ctx)
	if c.database(ctx) && c.schema(ctx) {
		c.stage(ctx)
		c.tables(ctx)
		c.adopted(ctx)
	}
	return c.findings
}

// checking is what one check has found so far.
type checking struct {
	d        *destination
	role     string // the session's, in the catalog's spelling
	grants   grants
	findings []martsync.Finding
}

func (c *checking) good(subject, format string, args ...any) {
	c.findings = append(c.findings, martsync.Finding{Subject: subject, OK: true, Detail: fmt.Sprintf(format, args...)})
}

func (c *checking) bad(subject string, err error) bool {
	c.findings = append(c.findings, martsync.Finding{Subject: subject, Detail: err.Error(), Hint: martsync.HintOf(err), Err: err})
	return false
}

// denied reports that the role lacks something; the hint is what an administrator runs.
func (c *checking) denied(subject, detail string, statements ...string) bool {
	return c.bad(subject, &martsync.Error{
		Kind: martsync.Auth, Op: "snowflake: check " + subject,
		Hint: strings.Join(statements, " "), Err: fmt.Errorf("%s", detail),
	})
}

// require reports whether the role holds the privileges on an object.
func (c *checking) require(subject, on, name string, privileges ...string) bool {
	missing := c.grants.lacks(on, name, privileges...)
	if len(missing) == 0 {
		return true
	}
	return c.denied(subject, fmt.Sprintf("role %s lacks %s on %s %s", c.role, strings.Join(missing, ", "), strings.ToLower(on), name),
		grantStatement(on, name, c.role, missing...))
}

func (c *checking) signIn(ctx context.Context) bool {
	const subject = "sign in"
	rows, err := c.d.show(ctx, subject, "SELECT CURRENT_USER() AS \"user\", CURRENT_ROLE() AS \"role\", CURRENT_VERSION() AS \"version\"")
	if err != nil {
		return c.bad(subject, err)
	}
	if len(rows) != 1 || rows[0]["role"] == "" {
		return c.denied(subject, "the user has no role", "Set role of the destination, or a default role: ALTER USER … SET DEFAULT_ROLE = …;")
	}
	c.role = rows[0]["role"]
	detail := fmt.Sprintf("%s as role %s, by %s; Snowflake %s", rows[0]["user"], c.role, c.d.config.describe(), rows[0]["version"])
	if way, err := c.d.config.signIn(); err == nil && way.name == password {
		detail += ". Passwords of services are no longer accepted by Snowflake: use a key pair or a token"
	}
	c.good(subject, "%s", detail)
	return true
}

// readGrants reads what the role holds, directly or through roles that were granted to it.
func (c *checking) readGrants(ctx context.Context) bool {
	type holder struct{ kind, name string }
	const subject = "grants"
	queue := []holder{{"ROLE", ident(c.role)}, {"ROLE", ident("PUBLIC")}} // every user has PUBLIC
	seen := map[holder]bool{}
	for len(queue) > 0 {
		h := queue[0]
		queue = queue[1:]
		if seen[h] {
			continue
		}
		seen[h] = true
		rows, err := c.d.show(ctx, "read grants of "+h.name, "SHOW GRANTS TO "+h.kind+" "+h.name)
		if err != nil {
			if len(seen) == 1 {
				return c.bad(subject, err)
			}
			continue // what an inherited role holds may be hidden; then it counts for nothing
		}
		for _, r := range rows {
			c.grants.add(r["privilege"], r["granted_on"], r["name"])
			if r["privilege"] != "USAGE" && r["privilege"] != "OWNERSHIP" {
				continue
			}
			switch r["granted_on"] {
			case "ROLE":
				if r["privilege"] == "USAGE" { // to own a role is not to have it
					queue = append(queue, holder{"ROLE", plain(r["name"])})
				}
			case "DATABASE_ROLE", "DATABASE ROLE":
				if r["privilege"] == "USAGE" {
					queue = append(queue, holder{"DATABASE ROLE", plain(r["name"])})
				}
			}
		}
	}
	return true
}

func (c *checking) warehouse(ctx context.Context) {
	name := object(c.d.config.Warehouse)
	subject := "warehouse " + name
	rows, err := c.d.show(ctx, subject, "SHOW WAREHOUSES LIKE "+text(likely(name)))
	if err != nil {
		c.bad(subject, err)
		return
	}
	w := named(rows, name)
	if w == nil {
		c.denied(subject, fmt.Sprintf("it does not exist, or role %s may not see it", c.role), grantStatement("WAREHOUSE", ident(name), c.role, "USAGE"))
		return
	}
	need := []string{"USAGE"}
	if w["auto_resume"] == "false" {
		need = append(need, "OPERATE") // somebody must resume it
	}
	if !c.require(subject, "WAREHOUSE", ident(name), need...) {
		return
	}
	if w["auto_resume"] == "false" {
		c.bad(subject, &martsync.Error{
			Kind: martsync.Config, Op: "snowflake: check " + subject, Hint: "ALTER WAREHOUSE " + ident(name) + " SET AUTO_RESUME = TRUE;",
			Err: fmt.Errorf("it is not resumed by a statement that needs it (AUTO_RESUME is off); it is %s now", strings.ToLower(w["state"])),
		})
		return
	}
	detail := fmt.Sprintf("%s, %s now", w["size"], strings.ToLower(w["state"]))
	switch s := w["auto_suspend"]; s {
	case "", "0", "null":
		detail += "; it is never suspended by itself: ALTER WAREHOUSE " + ident(name) + " SET AUTO_SUSPEND = 60 saves credits"
	default:
		detail += "; suspended after " + s + " idle seconds"
	}
	c.good(subject, "%s", detail)
}

func (c *checking) database(ctx context.Context) bool {
	name := c.d.database
	subject := "database " + name
	rows, err := c.d.show(ctx, subject, "SHOW DATABASES LIKE "+text(likely(name)))
	if err != nil {
		return c.bad(subject, err)
	}
	if named(rows, name) == nil {
		return c.denied(subject, fmt.Sprintf("it does not exist, or role %s may not see it", c.role),
			"CREATE DATABASE IF NOT EXISTS "+ident(name)+";", grantStatement("DATABASE", ident(name), c.role, "USAGE"))
	}
	if !c.require(subject, "DATABASE", ident(name), "USAGE") {
		return false
	}
	c.good(subject, "role %s may use it", c.role)
	return true
}

// schemaPrivileges are what a sync does in the schema, and `martsync views`.
var schemaPrivileges = []string{"USAGE", "CREATE TABLE", "CREATE VIEW"}

func (c *checking) schema(ctx context.Context) bool {
	name := sqlgen.Name(c.d.database, c.d.schema)
	subject := "schema " + c.d.schema
	rows, err := c.d.show(ctx, subject, "SHOW SCHEMAS LIKE "+text(likely(c.d.schema))+" IN DATABASE "+ident(c.d.database))
	if err != nil {
		return c.bad(subject, err)
	}
	if named(rows, c.d.schema) == nil {
		if missing := c.grants.lacks("DATABASE", ident(c.d.database), "CREATE SCHEMA"); len(missing) > 0 {
			return c.denied(subject, fmt.Sprintf("it does not exist, or role %s may not see it", c.role),
				"CREATE SCHEMA IF NOT EXISTS "+name+";", grantStatement("SCHEMA", name, c.role, c.privileges()...))
		}
		// one that others made looks the same to a role that has nothing on it; creating it tells
		c.good(subject, "it does not exist yet, as far as role %s can see, and will be created", c.role)
		return false // there is nothing in it to look at
	}
	if !c.require(subject, "SCHEMA", name, c.privileges()...) {
		return false
	}
	c.good(subject, "role %s may use it and create tables, views and a stage", c.role)
	return true
}

func (c *checking) privileges() []string {
	if c.d.config.Stage.Name != "" {
		return schemaPrivileges
	}
	return append(schemaPrivileges[:len(schemaPrivileges):len(schemaPrivileges)], "CREATE STAGE")
}

func (c *checking) stage(ctx context.Context) {
	parts, need := []string{c.d.database, c.d.schema, c.d.config.tableName(stageName)}, []string{"READ", "WRITE"}
	external := c.d.config.Stage.Name != ""
	if external {
		parts, need = c.d.objectPath(c.d.config.Stage.Name), []string{"USAGE"}
	}
	name := sqlgen.Name(parts...)
	subject := "stage " + parts[2]
	rows, err := c.d.show(ctx, subject, "SHOW STAGES LIKE "+text(likely(parts[2]))+" IN SCHEMA "+sqlgen.Name(parts[0], parts[1]))
	if err != nil {
		c.bad(subject, err)
		return
	}
	switch s := named(rows, parts[2]); {
	case s == nil && external:
		c.denied(subject, fmt.Sprintf("it does not exist, or role %s may not see it", c.role), grantStatement("STAGE", name, c.role, need...))
	case s == nil:
		c.good(subject, "it does not exist yet and will be created")
	case c.require(subject, "STAGE", name, need...):
		c.good(subject, "role %s may use it", c.role)
	}
}

// tables looks at the tables that martsync made: all have a column _synced_at. Adding columns to a
// table takes ownership.
func (c *checking) tables(ctx context.Context) {
	const subject = "tables"
	in := " IN SCHEMA " + sqlgen.Name(c.d.database, c.d.schema)
	marks, err := c.d.show(ctx, "list tables", "SHOW COLUMNS LIKE "+text(likely(c.d.synced()))+in)
	if err != nil {
		c.bad(subject, err)
		return
	}
	ours := map[string]bool{}
	for _, r := range marks {
		if r["column_name"] == c.d.synced() {
			ours[r["table_name"]] = true
		}
	}
	for _, t := range sqlgen.SystemTables() {
		ours[c.d.config.tableName(t.Name)] = true
	}
	tables, err := c.d.show(ctx, "list tables", "SHOW TABLES"+in)
	if err != nil {
		c.bad(subject, err)
		return
	}
	n, all := 0, true
	for _, r := range tables {
		if !ours[r["name"]] {
			continue
		}
		n++
		name := sqlgen.Name(c.d.database, c.d.schema, r["name"])
		if len(c.grants.lacks("TABLE", name, "OWNERSHIP")) > 0 {
			all = c.denied("table "+r["name"], fmt.Sprintf("it does not belong to role %s, and only the owner may add columns", c.role),
				grantStatement("TABLE", name, c.role, "OWNERSHIP"))
		}
	}
	switch {
	case n == 0:
		c.good(subject, "none of ours yet")
	case all:
		c.good(subject, "%d, all of them role %s may change", n, c.role)
	}
}

// adopted looks at the tables that are to be taken over.
func (c *checking) adopted(ctx context.Context) {
	for _, stream := range sorted(c.d.config.Adopt) {
		parts := c.d.objectPath(c.d.config.Adopt[stream].Table)
		name := sqlgen.Name(parts...)
		subject := "adopted table " + parts[2]
		table, err := c.d.describe(ctx, parts)
		switch {
		case err != nil:
			c.bad(subject, err)
		case table == nil:
			c.denied(subject, fmt.Sprintf("it does not exist, or role %s may not see it", c.role), grantStatement("TABLE", name, c.role, "SELECT"))
		case c.require(subject, "TABLE", name, "SELECT"):
			c.good(subject, "%d columns, for stream %s", len(table), stream)
		}
	}
}

// likely is a pattern of SHOW … LIKE that finds the name. The wildcards _ and % in it are left, so what is
// found must be compared.
func likely(name string) string { return strings.ReplaceAll(name, `\`, `\\`) }

// named returns the row with this very name.
func named(rows []map[string]string, name string) map[string]string {
	for _, r := range rows {
		if r["name"] == name {
			return r
		}
	}
	return nil
}
