//go:build cgo && !lite

package snowflake

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/destination/snowflake/snowflakesim"
)

// former is a table as the former Marketo connector made it, with everything as text.
var former = []string{
	`CREATE SCHEMA IF NOT EXISTS "MART"."OLD"`,
	`CREATE TABLE "MART"."OLD"."MARKETO_LEADS" ("ID" VARCHAR, "FIRSTNAME" VARCHAR, "SCORE" VARCHAR, "UPDATEDAT" VARCHAR, "LOADED_BY" VARCHAR)`,
}

// TestAdopt shows a plan, carries it out, and lets a sync go on from there.
func TestAdopt(t *testing.T) {
	d := opened(t, start(t, snowflakesim.Options{}), func(c *Config) {
		c.Adopt = map[string]Adopted{"leads": {Table: "old.marketo_leads"}, "programs": {Table: "x"}}
	})
	if err := d.Exec(t.Context(), append(former[:2:2], `INSERT INTO "MART"."OLD"."MARKETO_LEADS" VALUES
('1', 'Ann', '0.1', '2024-02-01T03:04:05Z', 'a'), ('2', 'Bob', '', '2024-02-01T05:04:05+0200', 'a'), ('1', 'Anna', '0.2', '2024-02-02T03:04:05Z', 'b'), ('3', NULL, NULL, '', 'b')`)); err != nil {
		t.Fatal(err)
	}
	plans, err := d.Adopt(t.Context(), []martsync.Schema{leadsSchema, activitySchema})
	if err != nil || len(plans) != 2 {
		t.Fatalf("got %+v and error %v, want two plans", plans, err)
	}
	plan := plans[0]
	want := martsync.Adoption{
		Stream: "leads", Table: "MART.OLD.MARKETO_LEADS", Rows: 4, Newest: time.Date(2024, 2, 2, 3, 4, 5, 0, time.UTC),
		Columns: []martsync.AdoptedColumn{
			{Name: "id", From: "ID"}, {Name: "first_name", From: "FIRSTNAME"}, {Name: "score", From: "SCORE"}, {Name: "updated_at", From: "UPDATEDAT"}, {From: "LOADED_BY"},
		},
		Statements: plan.Statements,
	}
	if diff := cmp.Diff(want, plan); diff != "" {
		t.Errorf("the plan (-want +got):\n%s", diff)
	}
	golden(t, "adopt", plan.Statements)
	if len(plans[1].Problems) != 1 || plans[1].Stream != "programs" {
		t.Errorf("a stream that is not there: got %+v", plans[1])
	}
	if tables, err := d.Tables(t.Context()); err != nil || len(tables) != 0 {
		t.Fatalf("a plan has made %v, or error %v", tables, err)
	}
	if err := d.Exec(t.Context(), plan.Statements); err != nil {
		t.Fatal(err)
	}
	rowsOf := func() [][]string {
		return sees(t, d, `SELECT "ID", "FIRST_NAME", "SCORE", "UPDATED_AT", "_DELETED" FROM "LEADS" ORDER BY 1`)
	}
	if diff := cmp.Diff([][]string{
		{"1", "Anna", "0.2", "2024-02-02T03:04:05Z", "false"}, {"2", "Bob", "", "2024-02-01T03:04:05Z", "false"}, {"3", "", "", "", "false"},
	}, rowsOf()); diff != "" {
		t.Errorf("the table (-want +got):\n%s", diff)
	}
	if newest, err := d.NewestTime(t.Context(), "leads", "updated_at"); err != nil || !newest.Equal(plan.Newest) {
		t.Errorf("where reading begins: got %v and error %v, want %v", newest, err, plan.Newest)
	}
	fill(t, d, leadsSchema, "run-1", []any{int64(2), "Bobby", 1.5, onDay(3)}, []any{int64(4), "Dan", nil, onDay(3)})
	if got := rowsOf(); len(got) != 4 || got[0][1] != "Anna" || got[1][1] != "Bobby" || got[3][1] != "Dan" {
		t.Errorf("after a sync: got %v", got)
	}
	again, err := d.Adopt(t.Context(), []martsync.Schema{leadsSchema})
	if err != nil || len(again[0].Problems) == 0 || !strings.Contains(again[0].Problems[0], "4 rows already") || len(again[0].Statements) != 0 {
		t.Errorf("adopted twice: got %+v and error %v", again, err)
	}
}

// TestAdoptProblems: what cannot be taken over exactly is said, and nothing is planned.
func TestAdoptProblems(t *testing.T) {
	for _, tt := range []struct {
		name  string
		table string // columns
		rows  string
		from  Adopted
		want  string
	}{
		{"no table", "", "", Adopted{Table: "old.nothing"}, "does not exist"},
		{"no key", `"NR" NUMBER(19,0)`, "", Adopted{}, "no column for the key id"},
		{"a key that is null", `"ID" NUMBER(19,0)`, "(1), (NULL)", Adopted{}, "1 rows have no ID"},
		{"text that is no number", `"ID" VARCHAR`, "('1'), ('x'), ('y')", Adopted{}, "2 values of ID do not read as int64"},
		{"a number with a fraction", `"ID" VARCHAR`, "('1'), ('1.5')", Adopted{}, "1 values of ID do not read as int64"},
		{"a decimal with a fraction", `"ID" NUMBER(10,2)`, "(1), (1.5)", Adopted{}, "1 values of ID do not read as int64"},
		{"text that is no time", `"ID" NUMBER(19,0), "UPDATED_AT" VARCHAR`, "(1, 'yesterday')", Adopted{}, "1 values of UPDATED_AT do not read as timestamp"},
		{"a time that is a number", `"ID" NUMBER(19,0), "UPDATED_AT" NUMBER(19,0)`, "", Adopted{}, "cannot become updated_at"},
		{"a column that is not there", `"ID" NUMBER(19,0)`, "", Adopted{Columns: map[string]string{"score": "POINTS"}}, "POINTS, which the table lacks"},
		{"a column that the stream lacks", `"ID" NUMBER(19,0)`, "", Adopted{Columns: map[string]string{"points": "ID"}}, "points, which the stream lacks"},
		{"a newest that is not there", `"ID" NUMBER(19,0)`, "", Adopted{Newest: "LAST"}, "LAST, which the table lacks"},
		{"a newest that is no time", `"ID" NUMBER(19,0)`, "", Adopted{Newest: "ID"}, "holds no times"},
		{"its own table", "", "", Adopted{Table: "marketo.leads"}, "rename it first"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.from.Table == "" {
				tt.from.Table = "old.t"
			}
			d := opened(t, start(t, snowflakesim.Options{}), func(c *Config) { c.Adopt = map[string]Adopted{"leads": tt.from} })
			statements := []string{`CREATE SCHEMA "MART"."OLD"`}
			if tt.table != "" {
				statements = append(statements, `CREATE TABLE "MART"."OLD"."T" (`+tt.table+`)`)
			}
			if tt.rows != "" {
				statements = append(statements, `INSERT INTO "MART"."OLD"."T" VALUES `+tt.rows)
			}
			if tt.name == "its own table" {
				statements = append(statements, d.createSchema(), `CREATE TABLE "MART"."MARKETO"."LEADS" ("ID" NUMBER(19,0))`)
			}
			if err := d.Exec(t.Context(), statements); err != nil {
				t.Fatal(err)
			}
			plans, err := d.Adopt(t.Context(), []martsync.Schema{leadsSchema})
			if err != nil || len(plans) != 1 {
				t.Fatalf("got %+v and error %v", plans, err)
			}
			if p := plans[0]; len(p.Problems) != 1 || !strings.Contains(p.Problems[0], tt.want) || len(p.Statements) != 0 {
				t.Errorf("got problems %q and %d statements, want %q and none", p.Problems, len(p.Statements), tt.want)
			}
		})
	}
}
