//go:build cgo && !lite

package snowflakesim

import (
	"strings"
	"testing"
)

// TestRefusals has what Snowflake refuses, by number.
func TestRefusals(t *testing.T) {
	s := start(t, Options{})
	c := connect(t, config(t, s))
	do(t, c, "CREATE TABLE T (ID NUMBER(18,0) NOT NULL, NAME VARCHAR(3), V VARIANT, B BINARY, AT TIMESTAMP_NTZ, N NUMBER(10,2))")
	do(t, c, "CREATE TRANSIENT TABLE TR (ID NUMBER)")
	do(t, c, "INSERT INTO T (ID) VALUES (1), (2)")
	do(t, c, "CREATE STAGE ST")
	do(t, c, "CREATE VIEW VW AS SELECT ID FROM T")
	file := parquet(t, s, "p.parquet", `SELECT 1 AS "ID", 'long' AS "NAME", 'text' AS "B"`)
	ask(t, c, "PUT 'file://"+file+"' @ST/"+plainPut)
	const parquetFormat = " FILE_FORMAT = (TYPE = PARQUET)"
	for _, tt := range []struct{ name, sql, code string }{
		{"an unknown statement", "VACUUM T", "001003"},
		{"a word too many", "SELECT 1 FROM T WHERE", "001003"},
		{"a string without end", "SELECT 'a", "001003"},
		{"a reserved word as a name", "CREATE TABLE X (ORDER NUMBER)", "001003"},
		{"a clause of another database", "INSERT INTO T (ID) VALUES (1) ON CONFLICT DO NOTHING", "001003"},
		{"no statement", "  -- nothing\n", "000900"},
		{"an unknown function", "SELECT STRFTIME(1)", "002140"},
		{"too few arguments", "SELECT NVL(1)", "000938"},
		{"too many arguments", "SELECT NVL(1, 2, 3)", "000939"},
		{"an unknown type", "CREATE TABLE X (A HUGEINT)", "002040"},
		{"a scale that is too large", "CREATE TABLE X (A NUMBER(38,38))", "001018"},
		{"an unknown table", "SELECT * FROM NOPE", "002003"},
		{"an unknown column", "SELECT NOPE FROM T", "000904"},
		{"an unknown column of an insert", "INSERT INTO T (NOPE) VALUES (1)", "000904"},
		{"case of a quoted name", `SELECT "id" FROM T`, "000904"},
		{"an unknown schema", "SELECT * FROM NOPE.T", "002003"},
		{"a table that is there", "CREATE TABLE T (A NUMBER)", "002002"},
		{"a column that is there", "ALTER TABLE T ADD COLUMN NAME VARCHAR", "001430"},
		{"a column twice", "CREATE TABLE X (A NUMBER, a NUMBER)", "002025"},
		{"a value too many", "INSERT INTO T (ID) VALUES (1, 2)", "002020"},
		{"PARSE_JSON in VALUES", "INSERT INTO T (ID, V) VALUES (1, PARSE_JSON('{}'))", "002014"},
		{"a text for a variant", "INSERT INTO T (ID, V) SELECT 1, 'a'", "002023"},
		{"a variant for a text", "INSERT INTO T (ID, NAME) SELECT 1, PARSE_JSON('1')", "002023"},
		{"a text for bytes", "INSERT INTO T (ID, B) SELECT 1, 'ab'", "002023"},
		{"a number for a time", "UPDATE T SET AT = 5", "002023"},
		{"a text that is too long", "INSERT INTO T (ID, NAME) VALUES (3, 'long')", "100078"},
		{"a text that is no number", "INSERT INTO T (ID) VALUES ('x')", "100038"},
		{"a number that is too large", "INSERT INTO T (ID, N) VALUES (1, 123456789012)", "100039"},
		{"a text that is no time", "SELECT 'soon'::TIMESTAMP_NTZ", "100035"},
		{"a null where none may be", "INSERT INTO T (NAME) VALUES ('a')", "100072"},
		{"what is not JSON", "SELECT PARSE_JSON('{')", "100069"},
		{"an object with a key twice", `SELECT PARSE_JSON('{"a":1,"a":2}')`, "100069"},
		{"a path into a text", "SELECT NAME:a FROM T", "001044"},
		{"division by zero", "SELECT 1/0", "100051"},
		{"ROW_NUMBER without order", "SELECT ROW_NUMBER() OVER (PARTITION BY ID) FROM T", "002303"},
		{"a merge that is not deterministic", "MERGE INTO T USING (SELECT 1 AS K UNION ALL SELECT 1) S ON T.ID = S.K WHEN MATCHED THEN UPDATE SET NAME = 'a'", "100090"},
		{"MERGE BY SOURCE", "MERGE INTO T USING (SELECT 1 AS K) S ON T.ID = S.K WHEN NOT MATCHED BY SOURCE THEN DELETE", "000002"},
		{"a narrower text", "ALTER TABLE T ALTER COLUMN NAME SET DATA TYPE VARCHAR(2)", "002108"},
		{"a number made a text", "ALTER TABLE T ALTER COLUMN ID SET DATA TYPE VARCHAR", "002108"},
		{"another scale", "ALTER TABLE T ALTER COLUMN N SET DATA TYPE NUMBER(12,3)", "002108"},
		{"a column that may not be null, in a table with rows", "ALTER TABLE T ADD COLUMN X NUMBER NOT NULL", "002083"},
		{"NOT NULL over nulls", "ALTER TABLE T ALTER COLUMN NAME SET NOT NULL", "002109"},
		{"a permanent clone of a transient table", "CREATE TABLE X CLONE TR", "002119"},
		{"a change of a view", "DELETE FROM VW", "002009"},
		{"OR REPLACE and IF NOT EXISTS", "CREATE OR REPLACE TABLE IF NOT EXISTS T (A NUMBER)", "001003"},
		{"an unknown parameter", "ALTER SESSION SET NOPE = 1", "002211"},
		{"a tag that is too long", "ALTER SESSION SET QUERY_TAG = '" + strings.Repeat("x", 2001) + "'", "001008"},
		{"a role not granted", "USE ROLE ACCOUNTADMIN", "003013"},
		{"an unknown warehouse", "USE WAREHOUSE NOPE", "002043"},
		{"an unknown stage", "LIST @NOPE", "002003"},
		{"an unknown option of PUT", "PUT 'file:///tmp/x' @ST COMPRESS = TRUE", "001420"},
		{"an unknown option of COPY", "COPY INTO TR FROM @ST" + parquetFormat + " MATCH_BY_COLUMN_NAME = CASE_INSENSITIVE PURGED = TRUE", "001420"},
		{"a wrong value of COPY", "COPY INTO TR FROM @ST" + parquetFormat + " MATCH_BY_COLUMN_NAME = BY_NAME", "001008"},
		{"Parquet into columns by position", "COPY INTO T FROM @ST" + parquetFormat, "000001"},
		{"the vectorized scanner goes on after errors", "COPY INTO TR FROM @ST FILE_FORMAT = (TYPE = PARQUET USE_VECTORIZED_SCANNER = TRUE) MATCH_BY_COLUMN_NAME = CASE_INSENSITIVE ON_ERROR = CONTINUE", "001024"},
		{"an option of Parquet for CSV", "COPY INTO TR FROM @ST FILE_FORMAT = (TYPE = CSV USE_LOGICAL_TYPE = TRUE)", "001420"},
		{"a file that is not there", "COPY INTO TR FROM @ST FILES = ('q.parquet')" + parquetFormat + " MATCH_BY_COLUMN_NAME = CASE_INSENSITIVE", "100183"},
		{"a cell that does not fit", "COPY INTO T FROM @ST" + parquetFormat + " MATCH_BY_COLUMN_NAME = CASE_INSENSITIVE", "100078"},
		{"1001 files", "COPY INTO TR FROM @ST FILES = ('a'" + strings.Repeat(", 'a'", 1000) + ")" + parquetFormat + " MATCH_BY_COLUMN_NAME = CASE_INSENSITIVE", "001024"},
		{"a privilege that does not exist", "GRANT INSERT ON SCHEMA PUBLIC TO ROLE LOADER_ROLE", "003008"},
		{"a placeholder without a value", "SELECT ?", "002049"},
	} {
		t.Run(tt.name, func(t *testing.T) { do(t, c, tt.sql, refused(tt.code)) })
	}
	if _, rows, err := s.Query("SELECT COUNT(*), COUNT(NAME) FROM T"); err != nil || rows[0][0] != "2" || rows[0][1] != "0" {
		t.Errorf("refused statements left something: %v, %v", rows, err)
	}
}

// TestGrants withdraws one privilege at a time.
func TestGrants(t *testing.T) {
	s := start(t, Options{})
	if err := s.Admin(
		"CREATE ROLE READER", "GRANT ROLE READER TO USER LOADER", "CREATE TABLE T (ID NUMBER)", "CREATE STAGE ST",
		"GRANT USAGE ON DATABASE MART TO ROLE READER", "GRANT USAGE ON SCHEMA MART.PUBLIC TO ROLE READER", "GRANT SELECT ON TABLE T TO ROLE READER",
		"GRANT USAGE ON WAREHOUSE LOAD_WH TO ROLE READER",
	); err != nil {
		t.Fatal(err)
	}
	cfg := config(t, s)
	cfg.Role = "READER"
	c := connect(t, cfg)
	ask(t, c, "SELECT * FROM T")
	for _, tt := range []struct{ sql, code, grant string }{
		{"INSERT INTO T VALUES (1)", "003001", "GRANT INSERT ON TABLE T TO ROLE READER"},
		{"UPDATE T SET ID = 2", "003001", "GRANT UPDATE ON TABLE T TO ROLE READER"},
		{"DELETE FROM T", "003001", "GRANT DELETE ON TABLE T TO ROLE READER"},
		{"TRUNCATE TABLE T", "003001", "GRANT TRUNCATE ON TABLE T TO ROLE READER"},
		{"CREATE TABLE T2 (A NUMBER)", "003001", "GRANT CREATE TABLE ON SCHEMA PUBLIC TO ROLE READER"},
		{"CREATE STAGE ST2", "003001", "GRANT CREATE STAGE ON SCHEMA PUBLIC TO ROLE READER"},
		{"LIST @ST", "002003", "GRANT READ ON STAGE ST TO ROLE READER"},
		{"REMOVE @ST", "003001", "GRANT WRITE ON STAGE ST TO ROLE READER"},
		{"CREATE SCHEMA S2", "003001", "GRANT CREATE SCHEMA ON DATABASE MART TO ROLE READER"},
	} {
		do(t, c, tt.sql, refused(tt.code))
		if err := s.Admin(tt.grant); err != nil {
			t.Fatal(err)
		}
		do(t, c, tt.sql)
	}
	do(t, c, "USE SCHEMA MART.PUBLIC")
	granted := map[string]bool{}
	for _, row := range ask(t, c, "SHOW GRANTS TO ROLE READER") {
		granted[row[1]+" "+row[2]+" "+row[3]] = true
	}
	for _, want := range []string{"CREATE TABLE SCHEMA MART.PUBLIC", "TRUNCATE TABLE MART.PUBLIC.T", "WRITE STAGE MART.PUBLIC.ST", "OWNERSHIP TABLE MART.PUBLIC.T2"} {
		if !granted[want] {
			t.Errorf("SHOW GRANTS lacks %q: %v", want, granted)
		}
	}
	for _, q := range []string{"CREATE TABLE HANDED (A NUMBER)", "GRANT OWNERSHIP ON TABLE HANDED TO ROLE READER COPY CURRENT GRANTS"} {
		if err := s.Admin(q); err != nil {
			t.Fatal(err)
		}
	}
	owners := map[string]string{}
	for _, row := range ask(t, c, "SHOW TABLES LIKE 'HANDED' IN SCHEMA MART.PUBLIC") {
		owners[row[1]] = row[9]
	}
	if owners["HANDED"] != "READER" {
		t.Errorf("owner after GRANT OWNERSHIP: got %v", owners)
	}
	for _, tt := range []struct{ revoke, sql, code string }{
		{"REVOKE SELECT ON TABLE T FROM ROLE READER", "SELECT * FROM T", "003001"},
		{"REVOKE USAGE ON WAREHOUSE LOAD_WH FROM ROLE READER", "SELECT * FROM T2", "000606"},
		{"REVOKE USAGE ON SCHEMA PUBLIC FROM ROLE READER", "SELECT * FROM T2", "002003"},
	} {
		if err := s.Admin(tt.revoke); err != nil {
			t.Fatal(err)
		}
		do(t, c, tt.sql, refused(tt.code))
	}
}
