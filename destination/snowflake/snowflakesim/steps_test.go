//go:build cgo && !lite

package snowflakesim

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/snowflakedb/gosnowflake/v2"
)

// parquet writes the rows of a query of the engine's to a file.
func parquet(t *testing.T, s *Server, name, query string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if _, err := s.db.ExecContext(t.Context(), "COPY ("+query+") TO "+lit(file)+" (FORMAT parquet)"); err != nil {
		t.Fatal(err)
	}
	return file
}

const plainPut = " AUTO_COMPRESS=FALSE SOURCE_COMPRESSION=NONE OVERWRITE=TRUE"

// TestQueries has what the dialect answers, through the driver.
func TestQueries(t *testing.T) {
	s := start(t, Options{})
	c := connect(t, config(t, s))
	for _, tt := range []struct{ name, sql, want string }{
		{"constants", "SELECT 1, 'it''s', NULL, TRUE, 1.50, 'a\\tb', $$a'b$$", "1|it's|<nil>|true|1.50|a\tb|a'b"},
		{"session", "SELECT CURRENT_USER(), CURRENT_ROLE(), CURRENT_WAREHOUSE(), CURRENT_DATABASE(), CURRENT_SCHEMA()", "LOADER|LOADER_ROLE|LOAD_WH|MART|PUBLIC"},
		{"exact numbers", "SELECT -0.5::NUMBER(10,2), 99999999999999999999999999999999999999::NUMBER(38,0), 1/4", "-0.50|99999999999999999999999999999999999999|0.25"},
		{"times before 1970", "SELECT DATE '1969-12-31', '1969-12-31 23:59:59.5'::TIMESTAMP_NTZ, TIME '01:02:03.5'", "1969-12-31T00:00:00Z|1969-12-31T23:59:59.5Z|0001-01-01T01:02:03.5Z"},
		{"texts of values", "SELECT 1.0::FLOAT::VARCHAR, '2024-05-06 07:08:09.123456'::TIMESTAMP_NTZ::VARCHAR, 'abc'::VARCHAR(2)", "1|2024-05-06 07:08:09.123|ab"},
		{"paths", `SELECT V:a.b[1]::VARCHAR, V:"A"::NUMBER, V['a']['b'][0], V:nope FROM (SELECT PARSE_JSON('{"a":{"b":["x","y"]},"A":3}') AS V)`, `y|3|"x"|<nil>`},
		{"a text in a variant has no members", `SELECT TO_VARIANT('{"a":1}'):a, TYPEOF(TO_VARIANT('{"a":1}')), TYPEOF(PARSE_JSON('{}'))`, "<nil>|VARCHAR|OBJECT"},
		{"json", `SELECT TRY_PARSE_JSON('{'), PARSE_JSON(''), TO_JSON(PARSE_JSON('{"b": 1, "a": [1.50, null]}')), PARSE_JSON('null') IS NULL`, `<nil>|<nil>|{"a":[1.50,null],"b":1}|false`},
		{"flatten", `SELECT LISTAGG(f.INDEX || '=' || f.VALUE:x::VARCHAR, ',') FROM TABLE(FLATTEN(INPUT => PARSE_JSON('[{"x":"p"},{"x":"q"}]'))) f`, "0=p,1=q"},
		{"lateral flatten", `SELECT SUM(t.K * f.VALUE::NUMBER) FROM (SELECT 10 AS K, PARSE_JSON('[1,2]') AS V) t, LATERAL FLATTEN(INPUT => t.V) f`, "30"},
		{"outer flatten", `SELECT COUNT(*) FROM (SELECT PARSE_JSON('[]') AS V) t, LATERAL FLATTEN(INPUT => t.V, OUTER => TRUE) f`, "1"},
		{"qualify", "SELECT K, V FROM (VALUES (1, 1), (1, 2), (2, NULL)) AS x(K, V) QUALIFY ROW_NUMBER() OVER (PARTITION BY K ORDER BY V DESC NULLS LAST) = 1 ORDER BY K", "1|2;2|<nil>"},
		{"null is the greatest", "SELECT COLUMN1 FROM VALUES (1), (NULL), (2) ORDER BY 1 DESC", "<nil>;2;1"},
		{"aggregates", "SELECT COUNT(*), COUNT(DISTINCT V), SUM(V), LISTAGG(V, ',') WITHIN GROUP (ORDER BY V DESC), COUNT_IF(V = 2) FROM (VALUES (1), (2), (2)) AS x(V)", "3|2|5|2,2,1|2"},
		{"ctes hide tables", "WITH T AS (SELECT 5 AS A), U AS (SELECT A + 1 AS B FROM T) SELECT B FROM U", "6"},
		{"nulls in functions", "SELECT GREATEST(1, NULL), COALESCE(NULL, 2), 'a' || NULL, IFF(NULL, 1, 2), EQUAL_NULL(NULL, NULL)", "<nil>|2|<nil>|2|true"},
		{"times", "SELECT DATEADD(day, 1, '2024-01-31'::DATE), DATEDIFF('hour', '2024-01-01'::TIMESTAMP_NTZ, '2024-01-02'::TIMESTAMP_NTZ), TO_VARCHAR('2024-05-06 07:08:09'::TIMESTAMP_NTZ, 'YYYY-MM-DD\"T\"HH24:MI:SS.FF3\"Z\"')", "2024-02-01T00:00:00Z|24|2024-05-06T07:08:09.000Z"},
		{"the default zone is not UTC", "SELECT DATEDIFF('hour', '2024-01-01 00:00:00+00'::TIMESTAMP_LTZ::TIMESTAMP_NTZ, '2024-01-01'::TIMESTAMP_NTZ)", "8"},
		{"comments", "SELECT /* one */ 1 -- two\n + 1 // three\n", "2"},
		{"binary", "SELECT TO_BINARY('AB12') = TO_BINARY('ab12'), HEX_ENCODE(TO_BINARY('ab12')), TO_VARCHAR(TO_BINARY('ab12'), 'HEX')", "true|AB12|AB12"},
		{"generator", "SELECT COUNT(*) FROM TABLE(GENERATOR(ROWCOUNT => 7))", "7"},
		{"information schema", "SELECT COUNT(*) FROM INFORMATION_SCHEMA.TABLES", "0"},
		{"result of the statement before", "SELECT * FROM TABLE(RESULT_SCAN(LAST_QUERY_ID()))", "0"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var lines []string
			for _, row := range ask(t, c, tt.sql) {
				lines = append(lines, strings.Join(row, "|"))
			}
			if got := strings.Join(lines, ";"); got != tt.want {
				t.Errorf("%s:\ngot  %s\nwant %s", tt.sql, got, tt.want)
			}
		})
	}
}

// TestTables goes through the life of a table.
func TestTables(t *testing.T) {
	s := start(t, Options{})
	c := connect(t, config(t, s))
	do(t, c, `CREATE TRANSIENT TABLE T (ID NUMBER(18,0) NOT NULL, NAME VARCHAR(5), AT TIMESTAMP_NTZ(6), V VARIANT, OK BOOLEAN DEFAULT TRUE, B BINARY, F FLOAT, D DATE) COMMENT = 'people'`)
	if n := do(t, c, `INSERT INTO T (ID, NAME, AT, V, B, F, D) SELECT 1, 'a', '2024-01-02 03:04:05.678901', PARSE_JSON('{"x":1}'), TO_BINARY('ab'), 0.1, '2024-01-02'`); n != 1 {
		t.Errorf("inserted: got %d, want 1", n)
	}
	at := time.Date(2024, 3, 4, 5, 6, 7, 890_123_000, time.UTC)
	if n := do(t, c, "INSERT INTO T (ID, NAME, AT, OK, B) VALUES (?, ?, ?, ?, ?)", 2, nil, gosnowflake.DataTypeTimestampNtz, at, false, gosnowflake.DataTypeBinary, []byte{0xcd}); n != 1 {
		t.Errorf("inserted by binds: got %d, want 1", n)
	}
	got := ask(t, c, "SELECT ID, NAME, AT, V:x::NUMBER, OK, HEX_ENCODE(B), F, D FROM T ORDER BY ID")
	want := [][]string{
		{"1", "a", "2024-01-02T03:04:05.678901Z", "1", "true", "AB", "0.1", "2024-01-02T00:00:00Z"},
		{"2", "<nil>", "2024-03-04T05:06:07.890123Z", "<nil>", "false", "CD", "<nil>", "<nil>"},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("rows (-want +got):\n%s", d)
	}

	do(t, c, "ALTER TABLE T ADD COLUMN IF NOT EXISTS NAME VARCHAR, N NUMBER(10,2)")
	do(t, c, "ALTER TABLE T ALTER COLUMN NAME SET DATA TYPE VARCHAR(50)")
	do(t, c, "ALTER TABLE T ALTER COLUMN ID DROP NOT NULL")
	do(t, c, "ALTER TABLE T RENAME COLUMN N TO M")
	var columns []string
	for _, row := range ask(t, c, "DESCRIBE TABLE T") {
		columns = append(columns, row[0]+" "+row[1]+" "+row[3])
	}
	if d := cmp.Diff([]string{
		"ID NUMBER(18,0) Y", "NAME VARCHAR(50) Y", "AT TIMESTAMP_NTZ(6) Y", "V VARIANT Y", "OK BOOLEAN Y", "B BINARY(8388608) Y", "F FLOAT Y", "D DATE Y", "M NUMBER(10,2) Y",
	}, columns); d != "" {
		t.Errorf("columns (-want +got):\n%s", d)
	}

	do(t, c, "CREATE TABLE COPIED CLONE NOTHING_OF_IT", refused("002003"))
	do(t, c, "CREATE TRANSIENT TABLE COPIED CLONE T")
	do(t, c, "DELETE FROM T WHERE ID = 1")
	if got := ask(t, c, "SELECT (SELECT COUNT(*) FROM T), (SELECT COUNT(*) FROM COPIED)"); got[0][0] != "1" || got[0][1] != "2" {
		t.Errorf("a clone is apart from its origin: got %v", got)
	}
	do(t, c, "ALTER TABLE T SWAP WITH COPIED")
	if got := ask(t, c, "SELECT COUNT(*) FROM T"); got[0][0] != "2" {
		t.Errorf("rows after a swap: got %v, want 2", got)
	}
	do(t, c, "DROP TABLE COPIED")
	do(t, c, "UNDROP TABLE COPIED")
	do(t, c, `CREATE VIEW "v" (K, "n") COMMENT = 'of T' AS SELECT ID, UPPER(NAME) FROM T WHERE ID IS NOT NULL`)
	if got := ask(t, c, `SELECT "n" FROM "v" WHERE K = 1`); got[0][0] != "A" {
		t.Errorf("a view: got %v", got)
	}
	do(t, c, `CREATE TABLE "t" AS SELECT 1 AS "id", 2 AS ID`) // apart from T, and so are its columns
	if got := ask(t, c, `SELECT "id", ID, "ID" FROM "t"`); got[0][0] != "1" || got[0][1] != "2" || got[0][2] != "2" {
		t.Errorf("case of names: got %v", got)
	}
	if got := len(ask(t, c, "SHOW TABLES LIKE 'T' IN SCHEMA PUBLIC")); got != 2 {
		t.Errorf("SHOW LIKE ignores case: got %d tables, want 2", got)
	}
	do(t, c, "INSERT OVERWRITE INTO T (ID) SELECT 9 UNION ALL SELECT 10")
	if got := ask(t, c, "SELECT MIN(ID), COUNT(*) FROM T"); got[0][0] != "9" || got[0][1] != "2" {
		t.Errorf("after INSERT OVERWRITE: got %v", got)
	}
	if n := do(t, c, "UPDATE T SET NAME = s.N FROM (SELECT 9 AS K, 'x' AS N) s WHERE T.ID = s.K"); n != 1 {
		t.Errorf("updated: got %d, want 1", n)
	}
	do(t, c, "CREATE TABLE L1 (A NUMBER)")
	do(t, c, "CREATE TABLE L2 (A NUMBER, B VARCHAR)")
	n := do(t, c, `INSERT ALL WHEN K = 'one' THEN INTO L1 (A) VALUES (A) WHEN K = 'two' THEN INTO L2 (A, B) VALUES (A, B)
		SELECT VALUE:k::VARCHAR AS K, VALUE:a::NUMBER AS A, VALUE:b::VARCHAR AS B FROM TABLE(FLATTEN(INPUT => PARSE_JSON(?)))`, `[{"k":"one","a":1},{"k":"two","a":2,"b":"z"},{"k":"two","a":3}]`)
	if n != 3 {
		t.Errorf("INSERT ALL: got %d rows, want 3", n)
	}
	if got := ask(t, c, "SELECT (SELECT SUM(A) FROM L1), (SELECT SUM(A) FROM L2)"); got[0][0] != "1" || got[0][1] != "5" {
		t.Errorf("INSERT ALL: got %v, want 1 and 5", got)
	}
	many, err := gosnowflake.Array([]int{4, 5, 6})
	if err != nil {
		t.Fatal(err)
	}
	if n := do(t, c, "INSERT INTO L1 VALUES (?)", many); n != 3 {
		t.Errorf("array bind: got %d rows, want 3", n)
	}
}

// refused makes do expect an error of this number.
type refused string

// TestStage goes through PUT, LIST, GET, COPY and REMOVE, with files plain and encrypted at the client.
func TestStage(t *testing.T) {
	for _, encrypt := range []bool{false, true} {
		t.Run(map[bool]string{false: "plain", true: "encrypted"}[encrypt], func(t *testing.T) {
			s := start(t, Options{Encrypt: encrypt})
			c := connect(t, config(t, s))
			do(t, c, "ALTER SESSION SET TIMEZONE = 'UTC', QUERY_TAG = 'sync-1'")
			do(t, c, `CREATE STAGE IF NOT EXISTS "_St"`)
			do(t, c, "CREATE TEMPORARY TABLE STG (ID NUMBER(38,0), NAME VARCHAR, AT TIMESTAMP_NTZ, J VARIANT, B BINARY)")
			file := parquet(t, s, "p-1.parquet", `SELECT 7::BIGINT AS "ID", 'x' AS "name", TIMESTAMP '2024-05-06 07:08:09.123456' AS "At", '{"a":1}' AS "J", '\xAB'::BLOB AS "B", 1 AS "other"`)
			for range 2 { // a repeat overwrites itself
				got := ask(t, c, "PUT 'file://"+file+`' '@"_St"/people/0/'`+plainPut)
				if len(got) != 1 || got[0][6] != "UPLOADED" || got[0][3] == "0" {
					t.Fatalf("PUT: got %v", got)
				}
			}
			list := ask(t, c, `LIST '@"_St"/people/'`)
			if len(list) != 1 || list[0][0] != "_st/people/0/p-1.parquet" {
				t.Fatalf("LIST: got %v", list)
			}
			to := t.TempDir()
			if got := ask(t, c, `GET '@"_St"/people/0/p-1.parquet' 'file://`+to+"'"); got[0][2] != "DOWNLOADED" {
				t.Fatalf("GET: got %v", got)
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := os.ReadFile(filepath.Join(to, "p-1.parquet")); err != nil || string(got) != string(want) {
				t.Errorf("GET gave other bytes: %v", err)
			}
			const format = " FILE_FORMAT = (TYPE = PARQUET USE_LOGICAL_TYPE = TRUE USE_VECTORIZED_SCANNER = TRUE BINARY_AS_TEXT = FALSE) MATCH_BY_COLUMN_NAME = CASE_INSENSITIVE ON_ERROR = ABORT_STATEMENT"
			copied := ask(t, c, `COPY INTO STG FROM '@"_St"/people/0/' FILES = ('p-1.parquet')`+format)
			if copied[0][1] != "LOADED" || copied[0][3] != "1" {
				t.Fatalf("COPY: got %v", copied)
			}
			got := ask(t, c, "SELECT ID, NAME, AT, J:a, J::VARCHAR, HEX_ENCODE(B) FROM STG")
			if d := cmp.Diff([][]string{{"7", "x", "2024-05-06T07:08:09.123456Z", "<nil>", `{"a":1}`, "AB"}}, got); d != "" {
				t.Errorf("loaded (-want +got):\n%s", d)
			}
			if got := ask(t, c, `COPY INTO STG FROM '@"_St"/people/0/'`+format); got[0][0] != "Copy executed with 0 files processed." {
				t.Errorf("COPY remembers what it has loaded: got %v", got)
			}
			do(t, c, "TRUNCATE TABLE STG") // and forgets it with the rows
			ask(t, c, `COPY INTO STG FROM '@"_St"/people/0/' FILE_FORMAT = (TYPE = PARQUET BINARY_AS_TEXT = FALSE) MATCH_BY_COLUMN_NAME = CASE_INSENSITIVE`)
			if got := ask(t, c, "SELECT YEAR(AT) FROM STG"); got[0][0] == "2024" {
				t.Errorf("without USE_LOGICAL_TYPE times are right: got %v", got)
			}
			if got := ask(t, c, `REMOVE '@"_St"/people/'`); len(got) != 1 || len(s.Files("MART.PUBLIC._St")) != 0 {
				t.Errorf("REMOVE: got %v", got)
			}
			statements := s.Statements()
			if last := statements[len(statements)-1]; last.Tag != "sync-1" || last.Warehouse != "" {
				t.Errorf("REMOVE: got tag %q and warehouse %q, want sync-1 and none", last.Tag, last.Warehouse)
			}
		})
	}
}

// TestCopyRollsBack checks that what a transaction has loaded goes with it, and that it stays after the
// files have gone.
func TestCopyRollsBack(t *testing.T) {
	s := start(t, Options{})
	c, other := connect(t, config(t, s)), connect(t, config(t, s))
	do(t, c, "CREATE STAGE ST")
	do(t, c, "CREATE TABLE T (ID NUMBER)")
	do(t, c, "CREATE TABLE ELSEWHERE (ID NUMBER)")
	file := parquet(t, s, "a.parquet", `SELECT 1 AS "ID"`)
	ask(t, c, "PUT 'file://"+file+"' @ST/"+plainPut)
	copyIt := "COPY INTO T FROM @ST FILE_FORMAT = (TYPE = PARQUET) MATCH_BY_COLUMN_NAME = CASE_INSENSITIVE FORCE = TRUE"
	for _, tt := range []struct{ end, want string }{{"ROLLBACK", "0"}, {"COMMIT", "1"}} {
		do(t, c, "BEGIN")
		ask(t, c, copyIt)
		do(t, other, "INSERT INTO ELSEWHERE VALUES (1)") // the next statement sees it, so the transaction is replayed
		if tt.end == "COMMIT" {
			ask(t, other, "REMOVE @ST")
		}
		if got := ask(t, c, "SELECT (SELECT COUNT(*) FROM T), (SELECT COUNT(*) FROM ELSEWHERE) > 0"); got[0][0] != "1" || got[0][1] != "true" {
			t.Errorf("within the transaction: got %v, want 1 and true", got)
		}
		if got := ask(t, other, "SELECT COUNT(*) FROM T"); got[0][0] != "0" {
			t.Errorf("others see %s rows before the end", got[0][0])
		}
		do(t, c, tt.end)
		if got := ask(t, other, "SELECT COUNT(*) FROM T"); got[0][0] != tt.want {
			t.Errorf("after %s: got %s rows, want %s", tt.end, got[0][0], tt.want)
		}
	}
}

// TestSeveralStatements sends them in one request.
func TestSeveralStatements(t *testing.T) {
	s := start(t, Options{})
	c := connect(t, config(t, s))
	ctx := gosnowflake.WithMultiStatement(context.Background(), 3)
	r, err := c.ExecContext(ctx, "CREATE TABLE T (A NUMBER); INSERT INTO T VALUES (1), (2); UPDATE T SET A = A + 1")
	if err != nil {
		t.Fatal(err)
	}
	if n, _ := r.RowsAffected(); n != 4 {
		t.Errorf("rows of three statements: got %d, want 4", n)
	}
	do(t, c, "SELECT 1; SELECT 2", refused("000008"))
}
