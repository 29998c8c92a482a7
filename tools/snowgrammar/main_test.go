package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestStatements(t *testing.T) {
	for _, tt := range []struct {
		name, statement string
		wrong           bool
	}{
		{"a table", `CREATE TABLE IF NOT EXISTS "A"."B"."C" ("ID" NUMBER(19,0), "X" VARIANT) COMMENT = 'martsync''s'`, false},
		{"a merge", `MERGE INTO "A" AS T USING (SELECT "ID" FROM "S" QUALIFY ROW_NUMBER() OVER (PARTITION BY "ID" ORDER BY "V" DESC NULLS LAST, "N" DESC) = 1) AS S ON T."ID" = S."ID"
WHEN MATCHED AND (T."V" IS NULL OR S."V" >= T."V") THEN UPDATE SET "V" = S."V" WHEN NOT MATCHED THEN INSERT ("ID") VALUES (S."ID")`, false},
		{"a bind", `UPDATE "C" SET "N" = ? WHERE "N" = ?`, false},
		{"a location in quotes", `LIST '@"A"."B"."C"/x y/'`, false},
		{"a file in quotes", `PUT 'file:///a b' '@"S"/x/' AUTO_COMPRESS = FALSE`, false},
		{"a transient clone", `CREATE TRANSIENT TABLE IF NOT EXISTS "A"."B"."C" CLONE "A"."B"."D"`, false},
		{"a bind inside text stays", `SELECT 'really?' FROM "T"`, false},

		{"no statement", `SELEC 1`, true},
		{"half a merge", `MERGE INTO A USING B ON A.X = B.X`, true},
		{"a merge that inserts twice", `MERGE INTO A USING B ON A.X = B.X WHEN NOT MATCHED THEN INSERT (X) VALUES (1) INSERT (X) VALUES (2)`, true},
		{"a word too many", `CREATE TABLE T (X NUMBER NUMBER)`, true},
		{"an open string", `SELECT 'x`, true},
		{"an open bracket", `SELECT (1 FROM T`, true},
		{"another dialect", "SELECT `x` FROM T", true},
		{"nulls where they mean nothing", `SELECT 1 FROM T WHERE NULLS LAST`, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := check(tt.statement); (got != "") != tt.wrong {
				t.Errorf("%s: got %q, want it wrong: %t", tt.statement, got, tt.wrong)
			}
		})
	}
}

func TestRun(t *testing.T) {
	var out bytes.Buffer
	if err := run(strings.NewReader(`["COMMIT", "COMIT"]`), &out); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); !strings.HasPrefix(got, `["","1:0 `) {
		t.Errorf("got %s, want no error and one at 1:0", got)
	}
	if err := run(strings.NewReader(`COMMIT`), &out); err == nil {
		t.Error("input that is no JSON: got no error")
	}
}
