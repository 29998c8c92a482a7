//go:build cgo && !lite

package snowflake

import (
	"slices"
	"strings"
	"testing"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/destination/snowflake/snowflakesim"
)

// wrong returns the findings that are not OK.
func wrong(all []martsync.Finding) (out []martsync.Finding) {
	for _, f := range all {
		if !f.OK {
			out = append(out, f)
		}
	}
	return out
}

// TestCheck: everything that a role lacks is found, and the printed statements, run by an administrator, cure it.
func TestCheck(t *testing.T) {
	t.Parallel()
	const role = snowflakesim.DefaultRole
	plain := []string{ // a role that owns nothing
		`CREATE ROLE "PLAIN"`, `GRANT ROLE "PLAIN" TO USER "LOADER"`, `GRANT USAGE ON DATABASE "MART" TO ROLE "PLAIN"`,
		`GRANT USAGE ON WAREHOUSE "LOAD_WH" TO ROLE "PLAIN"`, `CREATE SCHEMA "MART"."MARKETO"`,
	}
	asPlain := func(c *Config) { c.Role = "plain" }
	for _, tt := range []struct {
		name    string
		before  []string // by an administrator
		synced  bool     // a sync ran before that
		change  func(*Config)
		subject string // of the finding that is not OK; "": all is well
		kind    martsync.Kind
		hint    []string // in it
		cures   bool     // the hint is statements that make it well
	}{
		{name: "a new schema"},
		{name: "after a sync", synced: true},
		{
			name: "no warehouse", change: func(c *Config) { c.Warehouse = "other_wh" },
			subject: "warehouse OTHER_WH", kind: martsync.Auth, hint: []string{`GRANT USAGE ON WAREHOUSE "OTHER_WH" TO ROLE "` + role + `";`},
		},
		{
			name: "a warehouse that others use", before: []string{`CREATE WAREHOUSE "OTHER_WH"`}, change: func(c *Config) { c.Warehouse = "other_wh" },
			subject: "warehouse OTHER_WH", kind: martsync.Auth, hint: []string{`GRANT USAGE ON WAREHOUSE "OTHER_WH" TO ROLE "` + role + `";`}, cures: true,
		},
		{
			name: "no database", change: func(c *Config) { c.Database = "nothing" },
			subject: "database NOTHING", kind: martsync.Auth, hint: []string{`CREATE DATABASE IF NOT EXISTS "NOTHING";`, `GRANT USAGE ON DATABASE "NOTHING" TO ROLE "` + role + `";`},
		},
		{
			name: "a schema that others made", before: plain, change: asPlain,
			subject: "schema MARKETO", kind: martsync.Auth,
			hint: []string{`GRANT USAGE, CREATE TABLE, CREATE VIEW, CREATE STAGE ON SCHEMA "MART"."MARKETO" TO ROLE "PLAIN";`}, cures: true,
		},
		{
			name:    "half the privileges",
			before:  append(plain[:len(plain):len(plain)], `GRANT USAGE, CREATE TABLE ON SCHEMA "MART"."MARKETO" TO ROLE "PLAIN"`),
			change:  asPlain,
			subject: "schema MARKETO", kind: martsync.Auth, hint: []string{`GRANT CREATE VIEW, CREATE STAGE ON SCHEMA "MART"."MARKETO"`}, cures: true,
		},
		{
			name: "a role that was granted", change: asPlain, before: append(plain[:len(plain):len(plain)],
				`CREATE ROLE "INNER_ROLE"`, `GRANT ROLE "INNER_ROLE" TO ROLE "PLAIN"`,
				`GRANT USAGE, CREATE TABLE, CREATE VIEW, CREATE STAGE ON SCHEMA "MART"."MARKETO" TO ROLE "INNER_ROLE"`),
		},
		{
			name: "a table that became another's", synced: true,
			before:  []string{`CREATE ROLE "OWNER_ROLE"`, `GRANT OWNERSHIP ON TABLE "MART"."MARKETO"."LEADS" TO ROLE "OWNER_ROLE"`, `GRANT SELECT ON TABLE "MART"."MARKETO"."LEADS" TO ROLE "` + role + `"`},
			subject: "table LEADS", kind: martsync.Auth, hint: []string{`GRANT OWNERSHIP ON TABLE "MART"."MARKETO"."LEADS" TO ROLE "` + role + `" COPY CURRENT GRANTS;`}, cures: true,
		},
		{
			name: "a table to adopt that nobody may read", synced: true,
			before:  []string{`CREATE SCHEMA "MART"."OLD"`, `CREATE TABLE "MART"."OLD"."LEADS" ("ID" NUMBER(19,0))`, `GRANT USAGE ON SCHEMA "MART"."OLD" TO ROLE "` + role + `"`},
			change:  func(c *Config) { c.Adopt = map[string]Adopted{"leads": {Table: "old.leads"}} },
			subject: "adopted table LEADS", kind: martsync.Auth, hint: []string{`GRANT SELECT ON TABLE "MART"."OLD"."LEADS" TO ROLE "` + role + `";`}, cures: true,
		},
		{
			name: "a wrong password", change: func(c *Config) { c.Password = "no" },
			subject: "sign in", kind: martsync.Auth,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server := start(t, snowflakesim.Options{})
			if tt.synced {
				fill(t, opened(t, server, nil), leadsSchema, "run-1", []any{int64(1), "Ann", 0.1, onDay(1)})
			}
			admin(t, server, tt.before...)
			d := opened(t, server, tt.change)
			server.ResetStatements()
			all := d.Check(t.Context())
			if used := onWarehouse(server); len(used) != 0 {
				t.Errorf("the check has used a warehouse: %q", used)
			}
			bad := wrong(all)
			if tt.subject == "" {
				if len(bad) != 0 {
					t.Errorf("got %+v, want all well", bad)
				}
				subjects := make([]string, len(all))
				for i, f := range all {
					subjects[i] = f.Subject
				}
				for _, want := range []string{"sign in", "warehouse LOAD_WH", "database MART", "schema MARKETO"} {
					if !slices.Contains(subjects, want) {
						t.Errorf("nothing is said of %s: %v", want, subjects)
					}
				}
				return
			}
			if len(bad) != 1 || bad[0].Subject != tt.subject || martsync.KindOf(bad[0].Err) != tt.kind || bad[0].Hint == "" {
				t.Fatalf("got %+v, want one thing wrong: %s, of kind %s; all: %+v", bad, tt.subject, tt.kind, all)
			}
			for _, want := range tt.hint {
				if !strings.Contains(bad[0].Hint, want) {
					t.Errorf("got the hint %s, want %s in it", bad[0].Hint, want)
				}
			}
			if !tt.cures {
				return
			}
			for statement := range strings.SplitSeq(strings.TrimSuffix(bad[0].Hint, ";"), "; ") {
				admin(t, server, statement)
			}
			d = opened(t, server, tt.change) // another process
			if bad := wrong(d.Check(t.Context())); len(bad) != 0 {
				t.Errorf("after %s: got %+v, want all well", tt.hint, bad)
			}
			fill(t, d, leadsSchema, "run-2", []any{int64(2), "Bob", 0.1, onDay(1)})
		})
	}
}

// TestCheckSuspended: a warehouse that no statement resumes is found before a sync fails on it.
func TestCheckSuspended(t *testing.T) {
	server := start(t, snowflakesim.Options{Warehouses: []snowflakesim.Warehouse{{Name: snowflakesim.DefaultWarehouse, NoResume: true}}})
	admin(t, server, `GRANT OPERATE ON WAREHOUSE "`+snowflakesim.DefaultWarehouse+`" TO ROLE "`+snowflakesim.DefaultRole+`"`)
	bad := wrong(opened(t, server, nil).Check(t.Context()))
	if len(bad) != 1 || martsync.KindOf(bad[0].Err) != martsync.Config || !strings.Contains(bad[0].Hint, "SET AUTO_RESUME = TRUE") {
		t.Errorf("got %+v, want a warehouse that does not resume", bad)
	}
}
