//go:build cgo && !lite

package snowflake

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/destination/snowflake/snowflakesim"
	"github.com/martsync/martsync/internal/rows"
)

// admin runs statements as an administrator of the account.
func admin(t *testing.T, s *snowflakesim.Server, statements ...string) {
	t.Helper()
	if err := s.Admin(statements...); err != nil {
		t.Fatalf("as administrator: %v", err)
	}
}

// opened is a destination on an account of its own, closed at the end.
func opened(t *testing.T, s *snowflakesim.Server, change func(*Config)) *destination {
	t.Helper()
	c := connected(t, s)
	if change != nil {
		change(&c)
	}
	d := openOn(t, c)
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return d
}

// leadsSchema and activitySchema are two streams as a source has them.
var leadsSchema = martsync.Schema{
	Stream: "leads", Key: []string{"id"}, Version: "updated_at", Deletes: true,
	Columns: []martsync.Column{
		{Name: "id", Type: martsync.Int64, Origin: "id"},
		{Name: "first_name", Type: martsync.String, Origin: "firstName"},
		{Name: "score", Type: martsync.Float64, Origin: "score"},
		{Name: "updated_at", Type: martsync.Timestamp, Origin: "updatedAt"},
	},
}

var activitySchema = martsync.Schema{
	Stream: "activities", Key: []string{"marketo_guid"},
	Columns: []martsync.Column{
		{Name: "marketo_guid", Type: martsync.String, Origin: "marketoGUID"},
		{Name: "lead_id", Type: martsync.Int64, Origin: "leadId"},
		{Name: "activity_type_id", Type: martsync.Int64, Origin: "activityTypeId"},
		{Name: "attributes", Type: martsync.JSON, Origin: "attributes"},
	},
}

// fill loads rows into the table of a stream.
func fill(t *testing.T, d *destination, s martsync.Schema, sync string, all ...[]any) {
	t.Helper()
	w, err := d.Open(t.Context(), s)
	if err != nil {
		t.Fatalf("open %s: %v", s.Stream, err)
	}
	defer func() {
		if err := w.Close(); err != nil {
			t.Errorf("close %s: %v", s.Stream, err)
		}
	}()
	b := rows.NewBuilder(s.Columns)
	for _, r := range all {
		b.Append(r...)
	}
	if err := w.Write(t.Context(), b.Records()); err != nil {
		t.Fatalf("write %s: %v", s.Stream, err)
	}
	c := martsync.Commit{
		Sync: sync, At: statementTime, Next: martsync.Cursor(`"` + sync + `"`),
		Windows: []martsync.Window{{Job: "job of " + sync, Records: int64(len(all)), Bytes: -1, Written: int64(len(all))}},
		Log:     []martsync.LogEntry{{Time: statementTime, Sync: sync, Stream: s.Stream, Operation: "window", Success: true, Message: "it's done", Rows: int64(len(all))}},
	}
	if err := w.Commit(t.Context(), c); err != nil {
		t.Fatalf("commit %s: %v", s.Stream, err)
	}
}

func onDay(day int) rows.Micros {
	return rows.Time(time.Date(2024, 2, day, 3, 4, 5, 678_901_000, time.UTC))
}

// sees runs a query in the account itself.
func sees(t *testing.T, d *destination, query string) [][]string {
	t.Helper()
	var out [][]string
	err := d.with(t.Context(), "look", func(s *session) error {
		r, err := s.query(t.Context(), query)
		out = r.rows
		return err
	})
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return out
}

// onWarehouse is what ran on a warehouse since the statements were reset.
func onWarehouse(s *snowflakesim.Server) (out []string) {
	for _, st := range s.Statements() {
		if st.Warehouse != "" {
			out = append(out, st.SQL)
		}
	}
	return out
}

// TestSignIn signs in to an account that verifies what it is given, in every way that it can verify.
func TestSignIn(t *testing.T) {
	key := testKey()
	server := start(t, snowflakesim.Options{Users: []snowflakesim.User{{
		Name: "LOADER", Password: "pw", PublicKeys: []any{&key.PublicKey}, PATs: []string{"pat-1"}, Client: snowflakesim.OAuthClient{ID: "client", Secret: "hush"},
		Identities: map[string]string{"OIDC": jwtOf("one")},
	}}})
	encrypted := openssl(t, pkcs8Of(t, key), "pkcs8", "-topk8", "-v2", "des3", "-passout", "pass:open")
	file := filepath.Join(t.TempDir(), "token")
	for _, tt := range []struct {
		name string
		set  func(*Config)
		kind martsync.Kind // of the error; Internal: it works
	}{
		{"a key", func(c *Config) { c.PrivateKey = martsync.Secret(pkcs8Of(t, key)) }, 0},
		{"an encrypted key", func(c *Config) { c.PrivateKey, c.Passphrase = martsync.Secret(encrypted), "open" }, 0},
		{"a token", func(c *Config) { c.Token = "pat-1" }, 0},
		{"a token in a file", func(c *Config) { c.TokenFile = write(t, file, "pat-1") }, 0},
		{"a password", func(c *Config) { c.Password = "pw" }, 0},
		{"an OAuth client", func(c *Config) {
			c.OAuth = OAuth{TokenURL: server.URL() + "/oauth/token-request", ClientID: "client", ClientSecret: "hush"}
		}, 0},
		{"a workload", func(c *Config) { c.Workload.Provider, c.Token = "OIDC", martsync.Secret(jwtOf("one")) }, 0},

		{"another key", func(c *Config) { c.PrivateKey = martsync.Secret(pkcs8Of(t, otherKey())) }, martsync.Auth},
		{"another user's key", func(c *Config) { c.User, c.PrivateKey = "SOMEBODY", martsync.Secret(pkcs8Of(t, key)) }, martsync.Auth},
		{"a wrong token", func(c *Config) { c.Token = "pat-2" }, martsync.Auth},
		{"a wrong password", func(c *Config) { c.Password = "pw2" }, martsync.Auth},
		{"another workload", func(c *Config) { c.Workload.Provider, c.Token = "OIDC", martsync.Secret(jwtOf("two")) }, martsync.Auth},
		{"a role that was not granted", func(c *Config) { c.Password, c.Role = "pw", "ACCOUNTADMIN" }, martsync.Auth},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := connected(t, server)
			c.Password = ""
			tt.set(&c)
			d := openOn(t, c)
			defer d.Close()
			got, err := d.show(t.Context(), "test", `SELECT CURRENT_USER() AS "user", CURRENT_ROLE() AS "role"`)
			if tt.kind != martsync.Internal {
				if martsync.KindOf(err) != tt.kind || martsync.HintOf(err) == "" {
					t.Errorf("got %v with hint %q, want an error of kind %s with a hint", err, martsync.HintOf(err), tt.kind)
				}
				return
			}
			if err != nil || len(got) != 1 || got[0]["user"] != "LOADER" || got[0]["role"] != snowflakesim.DefaultRole {
				t.Errorf("got %v and error %v, want user LOADER with %s", got, err, snowflakesim.DefaultRole)
			}
		})
	}
}

// jwtOf is a token as an identity provider gives out: the driver looks at its claims, the account at all of it.
func jwtOf(subject string) string {
	part := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	return part(`{"alg":"RS256"}`) + "." + part(`{"iss":"https://token.example.com","sub":"`+subject+`"}`) + "." + part("signature")
}

func write(t *testing.T, path, content string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

var mergeSchema = martsync.Schema{Stream: "lead_merges", Key: []string{"loser_id"}, Columns: []martsync.Column{{Name: "loser_id", Type: martsync.Int64}, {Name: "winner_id", Type: martsync.Int64}}}

// TestViewsInTheAccount makes the views, looks through them, and makes them again.
func TestViewsInTheAccount(t *testing.T) {
	t.Parallel()
	for _, identifiers := range []string{upperIdentifiers, quotedIdentifiers, preserveIdentifiers} {
		t.Run(identifiers, func(t *testing.T) {
			d := opened(t, start(t, snowflakesim.Options{}), func(c *Config) { c.Identifiers, c.LegacyViews = identifiers, "marketo" })
			if statements, err := d.ViewStatements(t.Context(), someViews); err != nil || len(statements) != 3 { // the schema and two that list tables
				t.Errorf("before the first sync: got %q and error %v", statements, err)
			}
			fill(t, d, leadsSchema, "run-1", []any{int64(1), "Ann", 0.1, onDay(1)}, []any{int64(2), "Bob", nil, onDay(2)})
			fill(t, d, activitySchema, "run-1",
				[]any{"g1", int64(1), int64(2), rows.JSON(`{"Webform ID": 7, "Score": 0.5, "Opened": true, "Day": "2024-02-29", "Moment": "2024-02-29T10:00:00+0200", "Form Fields": {"a": 1}, "the client's \\ \"IP\"": "10.0.0.1"}`)},
				[]any{"g2", int64(9), int64(2), rows.JSON(`{"Moment": "2024-02-29T10:00:00Z", "Webform ID": "none"}`)},
				[]any{"g3", int64(2), int64(3), nil})
			fill(t, d, mergeSchema, "run-1", []any{int64(9), int64(8)}, []any{int64(8), int64(1)})
			for range 2 {
				statements, err := d.ViewStatements(t.Context(), someViews)
				if err != nil {
					t.Fatal(err)
				}
				if err := d.Exec(t.Context(), statements); err != nil {
					t.Fatal(err)
				}
			}
			name := func(n string) string { return ident(d.config.tableName(n)) }
			for _, tt := range []struct {
				query string
				want  [][]string
			}{
				{"SELECT " + name("marketo_guid_ma") + ", " + name("first_name_ml") + " FROM " + name("datamart") + " ORDER BY 1", [][]string{{"g1", "Ann"}, {"g2", ""}, {"g3", "Bob"}}},
				{`SELECT "MARKETO_GUID_MA", "FIRST_NAME_ML" FROM "MARKETODATAMART" ORDER BY 1`, [][]string{{"g1", "Ann"}, {"g2", ""}, {"g3", "Bob"}}},
				{"SELECT " + name("lead_id") + " FROM " + name("missing_leads"), [][]string{{"9"}}},
				{"SELECT " + name("id") + ", " + name("canonical_id") + ", " + name("first_name") + " FROM " + name("leads_current") + " ORDER BY 1", [][]string{
					{"1", "1", "Ann"}, {"2", "2", "Bob"}, {"8", "1", "Ann"}, {"9", "1", "Ann"},
				}},
				{"SELECT " + name("webform_id") + ", " + name("score") + ", " + name("opened") + ", " + name("moment") + ", " + name("client") + " FROM " + name("activity_fill_out_form") + " ORDER BY " + name("marketo_guid"), [][]string{
					{"7", "0.5", "true", "2024-02-29T08:00:00Z", "10.0.0.1"}, {"", "", "", "2024-02-29T10:00:00Z", ""},
				}},
				{"SELECT " + name("table_name") + ", " + name("row_count") + ", " + name("newest") + " FROM " + name("metadata") + " ORDER BY LOWER(" + name("table_name") + ")", [][]string{
					{d.config.tableName("activities"), "3", "2026-02-03T04:05:06.789Z"}, {d.config.tableName("lead_merges"), "2", "2026-02-03T04:05:06.789Z"}, {d.config.tableName("leads"), "2", "2026-02-03T04:05:06.789Z"},
				}},
				{`SELECT "ROW_COUNT" FROM "MARKETO_META_DATA_VIEW" ORDER BY 1`, [][]string{{"2"}, {"2"}, {"3"}}},
				{`SELECT "MESSAGE", "TABLE_NAME", "OPERATION_NAME", "SUCCESS", "TIMESTAMP" FROM "MARKETO_AWS_LOGS" ORDER BY 2`, [][]string{
					{"it's done", "activities", "window", "true", "2026-02-03T04:05:06.789Z"}, {"it's done", "lead_merges", "window", "true", "2026-02-03T04:05:06.789Z"}, {"it's done", "leads", "window", "true", "2026-02-03T04:05:06.789Z"},
				}},
			} {
				if diff := cmp.Diff(tt.want, sees(t, d, tt.query)); diff != "" {
					t.Errorf("%s (-want +got):\n%s", tt.query, diff)
				}
			}
		})
	}
}

// TestDefinedTables: the printed statements make tables that a sync takes for its own.
func TestDefinedTables(t *testing.T) {
	d := opened(t, start(t, snowflakesim.Options{}), nil)
	for range 2 { // harmless to repeat
		if err := d.Exec(t.Context(), d.TableStatements(leadsSchema)); err != nil {
			t.Fatal(err)
		}
	}
	fill(t, d, leadsSchema, "run-1", []any{int64(1), "Ann", 0.1, onDay(1)})
	if got := sees(t, d, `SELECT "FIRST_NAME" FROM "LEADS"`); !cmp.Equal(got, [][]string{{"Ann"}}) {
		t.Errorf("got %v, want Ann", got)
	}
}

func TestExecIsOneTransaction(t *testing.T) {
	d := opened(t, start(t, snowflakesim.Options{}), nil)
	if err := d.Exec(t.Context(), []string{d.createSchema(), `CREATE TABLE "T" ("X" NUMBER(19,0))`}); err != nil {
		t.Fatal(err)
	}
	if err := d.Exec(t.Context(), []string{`INSERT INTO "T" VALUES (1)`, `INSERT INTO "T" VALUES ('x')`}); err == nil {
		t.Error("a number of text: got no error")
	}
	if err := d.Exec(t.Context(), []string{`INSERT INTO "T" VALUES (1)`, `CREATE TABLE "U" ("X" NUMBER(19,0))`}); martsync.KindOf(err) != martsync.Internal {
		t.Errorf("a definition after rows: got %v, want an error of kind internal", err)
	}
	if got := sees(t, d, `SELECT COUNT(*) FROM "T"`); got[0][0] != "0" {
		t.Errorf("got %s rows of statements that failed, want none", got[0][0])
	}
}

// TestBackup clones a table once for each sync.
func TestBackup(t *testing.T) {
	for _, transient := range []bool{false, true} {
		t.Run(fmt.Sprintf("transient=%t", transient), func(t *testing.T) {
			server := start(t, snowflakesim.Options{})
			off := opened(t, server, nil)
			d := opened(t, server, func(c *Config) { c.Backup, c.Transient = "clone", transient })
			if at, err := d.Backup(t.Context(), "leads", "run-1"); at != "" || err != nil {
				t.Errorf("no table: got %q and error %v", at, err)
			}
			fill(t, d, leadsSchema, "run-1", []any{int64(1), "Ann", 0.1, onDay(1)})
			if at, err := off.Backup(t.Context(), "leads", "run-1"); at != "" || err != nil {
				t.Errorf("not configured: got %q and error %v", at, err)
			}
			server.ResetStatements()
			at, err := d.Backup(t.Context(), "leads", "Run/2026-02-03")
			if want := `"MART"."MARKETO"."_MARTSYNC_BACKUP_LEADS_RUN_2026_02_03"`; at != want || err != nil {
				t.Fatalf("got %s and error %v, want %s", at, err, want)
			}
			if got := onWarehouse(server); len(got) != 0 {
				t.Errorf("a clone has used the warehouse: %q", got)
			}
			fill(t, d, leadsSchema, "run-2", []any{int64(1), "Anna", 0.1, onDay(2)}, []any{int64(2), "Bob", 0.1, onDay(2)})
			if again, err := d.Backup(t.Context(), "leads", "Run/2026-02-03"); again != at || err != nil {
				t.Errorf("again: got %q and error %v", again, err)
			}
			if got := sees(t, d, `SELECT "FIRST_NAME" FROM `+at); !cmp.Equal(got, [][]string{{"Ann"}}) {
				t.Errorf("the backup of the sync: got %v, want what was there before it", got)
			}
			tables, err := d.Tables(t.Context())
			if err != nil || len(tables) != 1 {
				t.Errorf("tables: got %v and error %v, want leads alone", tables, err)
			}
		})
	}
	long := backupName(strings.Repeat("a", 300), strings.Repeat("b", 300)+"-end")
	if len(long) != maxName || !strings.HasSuffix(long, "b_end") || !strings.HasPrefix(long, backupPrefix+"aaa") {
		t.Errorf("got a name of %d characters: %s", len(long), long)
	}
}

// TestTables lists what is there, whoever made it.
func TestTables(t *testing.T) {
	server := start(t, snowflakesim.Options{})
	d := opened(t, server, nil)
	if got, err := d.Tables(t.Context()); len(got) != 0 || err != nil {
		t.Errorf("no schema: got %v and error %v", got, err)
	}
	fill(t, d, leadsSchema, "run-1", []any{int64(1), "Ann", 0.1, onDay(1)})
	if err := d.Exec(t.Context(), []string{`CREATE TABLE "OTHER" ("a" VARCHAR(10), "B" NUMBER(10,2), "C" TIMESTAMP_LTZ(9))`}); err != nil {
		t.Fatal(err)
	}
	server.ResetStatements()
	got, err := d.Tables(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if used := onWarehouse(server); len(used) != 0 {
		t.Errorf("listing tables has used the warehouse: %q", used)
	}
	want := []martsync.Table{
		{Name: "LEADS", Rows: 1, Columns: []martsync.TableColumn{
			{Name: "ID", Type: "NUMBER(19,0)"},
			{Name: "FIRST_NAME", Type: "VARCHAR(16777216)"},
			{Name: "SCORE", Type: "FLOAT"},
			{Name: "UPDATED_AT", Type: "TIMESTAMP_NTZ(6)"},
			{Name: "_SYNCED_AT", Type: "TIMESTAMP_NTZ(6)"},
			{Name: "_DELETED", Type: "BOOLEAN"},
		}},
		{Name: "OTHER", Columns: []martsync.TableColumn{{Name: "a", Type: "VARCHAR(10)"}, {Name: "B", Type: "NUMBER(10,2)"}, {Name: "C", Type: "TIMESTAMP_LTZ(9)"}}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestNewestTime looks at tables that others made.
func TestNewestTime(t *testing.T) {
	d := opened(t, start(t, snowflakesim.Options{}), nil)
	if err := d.Exec(t.Context(), []string{
		d.createSchema(), `CREATE SCHEMA IF NOT EXISTS "MART"."Old Mart"`,
		`CREATE TABLE "MART"."Old Mart"."Leads" ("UPDATEDAT" VARCHAR, "Day" DATE, "ZONED" TIMESTAMP_TZ(9), "N" NUMBER(10,0), "createdAt" TIMESTAMP_NTZ(9))`,
		`INSERT INTO "MART"."Old Mart"."Leads" VALUES
('2024-02-01T10:00:00+0200', '2024-02-03'::DATE, '2024-02-01 10:00:00+02:00'::TIMESTAMP_TZ, 7, '2024-02-01 10:00:00.123456'::TIMESTAMP_NTZ),
('never', NULL, NULL, 8, NULL), ('2024-02-01T09:00:00Z', '2024-02-01'::DATE, '2024-02-01 09:30:00+00:00'::TIMESTAMP_TZ, 9, NULL)`,
	}); err != nil {
		t.Fatal(err)
	}
	for column, want := range map[string]string{
		"UPDATEDAT": "2024-02-01T09:00:00Z", "updated_at": "2024-02-01T09:00:00Z", "day": "2024-02-03T00:00:00Z", "zoned": "2024-02-01T09:30:00Z",
		"created_at": "2024-02-01T10:00:00.123456Z", "n": "0001-01-01T00:00:00Z",
	} {
		got, err := d.NewestTime(t.Context(), `"Old Mart"."Leads"`, column)
		if err != nil || got.Format(time.RFC3339Nano) != want {
			t.Errorf("%s: got %s and error %v, want %s", column, got.Format(time.RFC3339Nano), err, want)
		}
	}
	if _, err := d.NewestTime(t.Context(), `"Old Mart"."Leads"`, "nothing"); martsync.KindOf(err) != martsync.Config {
		t.Errorf("no such column: got %v, want an error of kind config", err)
	}
	if got, err := d.NewestTime(t.Context(), "nowhere.nothing", "x"); !got.IsZero() || err != nil {
		t.Errorf("no such schema: got %v and error %v", got, err)
	}
}

// TestUsage counts what a load has spent, and asks the account for the rest.
func TestUsage(t *testing.T) {
	server := start(t, snowflakesim.Options{StatementTime: 2 * time.Second})
	d := opened(t, server, nil)
	d.measureWait = time.Hour
	spent := func(name string) int64 {
		for _, u := range d.Usage() {
			if u.Name == name {
				return u.Spent
			}
		}
		return -1
	}
	measure := func() {
		t.Helper()
		if err := d.Measure(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	measure() // there is nothing to ask about
	if got := server.Statements(); spent("data statements") != 0 || len(got) != 0 {
		t.Errorf("before anything: got %d data statements, %v", spent("data statements"), got)
	}
	fill(t, d, leadsSchema, "run-1", []any{int64(1), "Ann", 0.1, onDay(1)}, []any{int64(2), "Bob", 0.1, onDay(1)})
	if got := spent("loaded rows"); got != 2 {
		t.Errorf("got %d loaded rows, want 2", got)
	}
	if got := spent("staged bytes"); got <= 0 {
		t.Errorf("got %d staged bytes", got)
	}
	if got := spent("warehouse time"); got != -1 {
		t.Errorf("nobody has asked yet: got %d", got)
	}
	measure()
	seconds, credits := spent("warehouse time"), spent("credits")
	if seconds < 8 { // four statements of two seconds
		t.Errorf("got %d seconds on the warehouse, want 8 at least", seconds)
	}
	if least := seconds * 1e6 / 3600 / 2; credits < least || credits > 10*least {
		t.Errorf("got %d microcredits for %d seconds of an X-Small", credits, seconds)
	}
	server.ResetStatements()
	measure() // nothing was done since
	if got := server.Statements(); len(got) != 0 {
		t.Errorf("asked again: %v", got)
	}
}
