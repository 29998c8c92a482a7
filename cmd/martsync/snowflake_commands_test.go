//go:build cgo && !lite

package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/destination/files"
	"github.com/martsync/martsync/destination/snowflake/snowflakesim"
	"github.com/martsync/martsync/internal/sqlgen"
	"github.com/martsync/martsync/internal/truth"
	"github.com/martsync/martsync/simulate"
	"github.com/martsync/martsync/source/marketo/marketosim"
	"github.com/martsync/martsync/state"
)

// marketoMart is a Marketo that has been there for a while, not yet copied.
func marketoMart(t *testing.T, streams ...string) (*snowMart, *simulate.Clock) {
	t.Helper()
	clock := simulate.NewClock(demoStart)
	m := newSnowMart(t, marketosim.Simulator, clock, 60)
	m.sync["streams"] = streams
	clock.Advance(30 * time.Minute)
	return m, clock
}

// TestSnowflakeCommands runs the commands that look at tables after a sync.
func TestSnowflakeCommands(t *testing.T) {
	long(t)
	t.Parallel()
	m, clock := marketoMart(t, "leads", "activities")
	m.must("sync")
	for name, test := range map[string]func(*testing.T, *snowMart){"views": viewsInSnowflake, "streams": streamsInSnowflake, "start": startFromSnowflake} {
		t.Run(name, func(t *testing.T) {
			m.t = t
			test(t, m)
		})
	}
	m.t = t
	t.Run("backup", func(t *testing.T) {
		m.t = t
		backupInSnowflake(t, m, clock)
	})
}

// one is the only value of a query.
func (m *snowMart) one(query string) string {
	m.t.Helper()
	rows := m.see(query)
	if len(rows) != 1 || len(rows[0]) != 1 {
		m.t.Fatalf("%s: got %v, want one value", query, rows)
	}
	return fmt.Sprint(rows[0][0])
}

// values are those of the rows that the account shows.
func (m *snowMart) values(stream, field string) map[string]int {
	out := map[string]int{}
	for row := range m.account.Truth(stream) {
		if !row.Gone && row.Values[field] != nil {
			out[fmt.Sprint(row.Values[field])]++
		}
	}
	return out
}

func viewsInSnowflake(t *testing.T, m *snowMart) {
	ids, activities := m.values("leads", "id"), 0
	leads := strconv.Itoa(len(ids))
	for _, n := range m.values("activities", "marketoGUID") {
		activities += n
	}
	if out := m.must("views"); strings.Contains(out, "MARKETODATAMART") || !strings.Contains(out, "DATAMART") {
		t.Errorf("views: got %s", out)
	}
	if _, _, err := m.mart.Query(`SELECT COUNT(*) FROM MART.MARKETO.MARKETODATAMART`); err == nil {
		t.Error("there is a view that only legacy_views asks for")
	}
	m.settings["legacy_views"] = "marketo"
	defer delete(m.settings, "legacy_views")
	for range 2 { // harmless to repeat
		out := m.must("views")
		for _, want := range []string{"DATAMART", "MISSING_LEADS", "METADATA", "MARKETO_AWS_LOGS", "MARKETO_META_DATA_VIEW", "MARKETODATAMART"} {
			if !strings.Contains(strings.Join(strings.Fields(out), " ")+",", want) {
				t.Errorf("views does not tell of %s: %s", want, out)
			}
		}
	}
	log := m.one(`SELECT COUNT(*) FROM MART.MARKETO._MARTSYNC_LOG`)
	if log == "0" {
		t.Error("the log is empty")
	}
	for query, want := range map[string]string{
		`SELECT COUNT(*) FROM MART.MARKETO.DATAMART`:                                                           strconv.Itoa(activities),
		`SELECT COUNT(*) FROM MART.MARKETO.MARKETODATAMART`:                                                    strconv.Itoa(activities),
		`SELECT COUNT(*) FROM MART.MARKETO.MARKETODATAMART WHERE LEAD_ID_MA = ID_ML AND EMAIL_ML IS NOT NULL`:  m.one(`SELECT COUNT(*) FROM MART.MARKETO.ACTIVITIES AS a JOIN MART.MARKETO.LEADS AS l ON a.LEAD_ID = l.ID AND l.EMAIL IS NOT NULL`),
		`SELECT ROW_COUNT FROM MART.MARKETO.METADATA WHERE TABLE_NAME = 'LEADS'`:                               leads,
		`SELECT ROW_COUNT FROM MART.MARKETO.MARKETO_META_DATA_VIEW WHERE TABLE_NAME = 'ACTIVITIES'`:            strconv.Itoa(activities),
		`SELECT COUNT(*) FROM MART.MARKETO.MARKETO_META_DATA_VIEW WHERE NEWEST_TIMESTAMP IS NULL`:              "0",
		`SELECT COUNT(*) FROM MART.MARKETO.MARKETO_AWS_LOGS`:                                                   log,
		`SELECT COUNT(*) FROM MART.MARKETO.MARKETO_AWS_LOGS WHERE SUCCESS AND TIMESTAMP IS NOT NULL`:           log,
		`SELECT COUNT(DISTINCT TABLE_NAME) FROM MART.MARKETO.MARKETO_AWS_LOGS WHERE OPERATION_NAME = 'commit'`: "2",
	} {
		if got := m.one(query); got != want {
			t.Errorf("%s: got %s, want %s", query, got, want)
		}
	}
	m.missingLeads(ids)
	for view, want := range map[string][]string{
		"MARKETO_AWS_LOGS":       {"MESSAGE", "TABLE_NAME", "OPERATION_NAME", "SUCCESS", "TIMESTAMP"},
		"MARKETO_META_DATA_VIEW": {"TABLE_NAME", "ROW_COUNT", "NEWEST_TIMESTAMP"},
	} {
		if got, _, err := m.mart.Query("SELECT * FROM MART.MARKETO." + view); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: got columns %v and error %v, want %v", view, got, err, want)
		}
	}
	columns, _, err := m.mart.Query(`SELECT * FROM MART.MARKETO.MARKETODATAMART`)
	if err != nil || !slices.Contains(columns, "MARKETO_GUID_MA") || !slices.Contains(columns, "EMAIL_ML") {
		t.Errorf("MARKETODATAMART: got columns %v and error %v", columns, err)
	}
	for _, c := range columns {
		if !strings.HasSuffix(c, "_MA") && !strings.HasSuffix(c, "_ML") {
			t.Errorf("MARKETODATAMART has a column %s", c)
		}
	}
}

// missingLeads compares the view with the account. Of some activities it may tell the lead that they were of, or the
// one that it was merged into.
func (m *snowMart) missingLeads(ids map[string]int) {
	m.t.Helper()
	sure, possible := map[string]bool{}, map[string]bool{}
	for row := range m.account.Truth("activities") {
		if row.Gone {
			continue
		}
		given, several := row.Values["leadId"].(simulate.OneOf)
		if !several {
			given = simulate.OneOf{row.Values["leadId"]}
		}
		for _, id := range given {
			if id := fmt.Sprint(id); ids[id] == 0 {
				possible[id] = true
				sure[id] = sure[id] || !several
			}
		}
	}
	found := map[string]bool{}
	for _, row := range m.see(`SELECT LEAD_ID FROM MART.MARKETO.MISSING_LEADS`) {
		id := fmt.Sprint(row[0])
		if found[id] || !possible[id] {
			m.t.Errorf("missing leads: %s is twice there, or not missing", id)
		}
		found[id] = true
	}
	n := 0
	for id, is := range sure {
		if is {
			n++
		}
		if is && !found[id] {
			m.t.Errorf("missing leads: %s is not there", id)
		}
	}
	if n == 0 {
		m.t.Error("no activity names a lead that is gone: the test looks at nothing")
	}
}

func streamsInSnowflake(t *testing.T, m *snowMart) {
	out := m.must("streams", "--destination")
	for _, want := range []string{`(?m)^ *leads .* in step *$`, `(?m)^ *activities .* in step *$`, `(?m)^ *programs .* not there yet *$`} {
		if !regexp.MustCompile(want).MatchString(out) {
			t.Errorf("nothing matches %s in\n%s", want, out)
		}
	}
	if out := m.must("streams", "leads", "--destination", "--json"); !strings.Contains(out, `"exists": true`) {
		t.Errorf("streams leads: got %s", out)
	}
}

// startFromSnowflake begins a sync into files where a table in Snowflake ends.
func startFromSnowflake(t *testing.T, m *snowMart) {
	before := maps.Clone(m.sync)
	defer func() { m.sync, m.others = before, map[string]any{} }()
	folder := t.TempDir()
	m.others = map[string]any{"lake": map[string]any{"type": "files", "path": folder}}
	m.sync = map[string]any{
		"destination": "lake", "name": "lake", "streams": []string{"activities"}, "start": "table",
		"start_table": map[string]any{"destination": "mart", "schema": m.name, "column": "activity_date"},
	}
	newest, err := time.Parse("2006-01-02T15:04:05", m.one(`SELECT TO_VARCHAR(MAX(ACTIVITY_DATE), 'YYYY-MM-DD"T"HH24:MI:SS') FROM MART.MARKETO.ACTIVITIES`))
	if err != nil {
		t.Fatal(err)
	}
	m.must("sync")
	d, err := files.Open(t.Context(), files.Config{Path: folder}, m.name, m.env())
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	n := 0
	for entry, err := range d.(martsync.HistoryReader).Ledger(t.Context(), "activities") {
		if err != nil {
			t.Fatal(err)
		}
		if n++; entry.Window.From.Before(newest.Add(-24 * time.Hour)) {
			t.Errorf("a window begins at %s, more than a day before the newest activity in Snowflake, %s", entry.Window.From, newest)
		}
	}
	if n == 0 {
		t.Error("nothing was read")
	}
}

// backupInSnowflake keeps a clone of a table before it is read again.
func backupInSnowflake(t *testing.T, m *snowMart, clock *simulate.Clock) {
	m.settings["backup"] = "clone"
	if err := m.mart.Admin(`UPDATE MART.MARKETO.LEADS SET EMAIL = 'as it was'`); err != nil {
		t.Fatal(err)
	}
	was := m.one(`SELECT COUNT(*) FROM MART.MARKETO.LEADS`)
	clock.Advance(24 * time.Hour)
	m.must("sync", "--stream", "leads", "--backfill")
	tables := m.see(`SELECT TABLE_NAME FROM MART.INFORMATION_SCHEMA.TABLES WHERE TABLE_SCHEMA = 'MARKETO' AND TABLE_NAME LIKE '%BACKUP%'`)
	if len(tables) != 1 {
		t.Fatalf("got the backups %v, want one", tables)
	}
	backup := sqlgen.Ident(fmt.Sprint(tables[0][0]))
	if !strings.Contains(backup, "_LEADS_") {
		t.Errorf("the backup is %s", backup)
	}
	if got := m.one(`SELECT COUNT(*) FROM MART.MARKETO.` + backup + ` WHERE EMAIL = 'as it was'`); got != was {
		t.Errorf("the backup has %s rows as they were, want %s", got, was)
	}
	if got := m.one(`SELECT COUNT(*) FROM MART.MARKETO._MARTSYNC_LOG WHERE OPERATION = 'backup'`); got != "1" {
		t.Errorf("got %s entries in the log, want 1", got)
	}
	m.compareOne("leads")
}

// compareOne compares one table with the account.
func (m *snowMart) compareOne(stream string) {
	m.t.Helper()
	d := m.open()
	defer d.Close()
	streams, err := m.source.Streams(m.t.Context())
	if err != nil {
		m.t.Fatal(err)
	}
	i := slices.IndexFunc(streams, func(s martsync.Stream) bool { return s.Schema().Stream == stream })
	r, err := truth.Compare(m.t.Context(), d.(martsync.TableReader), streams[i].Schema(), m.account.Truth(stream))
	if err != nil || !r.OK() || r.Rows == 0 {
		m.t.Errorf("%v, %v", &r, err)
	}
}

// TestCheckPrintsGrants: what check prints, run by an administrator, is what a sync needs.
func TestCheckPrintsGrants(t *testing.T) {
	long(t)
	m, _ := marketoMart(t, "programs")
	admin := func(statements ...string) {
		t.Helper()
		if err := m.mart.Admin(statements...); err != nil {
			t.Fatal(err)
		}
	}
	admin(`CREATE ROLE "PLAIN"`, `GRANT ROLE "PLAIN" TO USER "`+snowflakesim.DefaultUser+`"`, `CREATE SCHEMA "MART"."MARKETO"`)
	m.settings["role"] = "PLAIN"
	var seen []string
	for range 8 {
		code, stdout, _ := m.command("check")
		found := regexp.MustCompile(`(?:GRANT|CREATE) [^;]*;`).FindAllString(strings.Join(strings.Fields(stdout), " "), -1)
		if code == martsync.ExitOK {
			break
		}
		if code != martsync.ExitAuth || len(found) == 0 {
			t.Fatalf("check: exit code %d, want %d and statements\n%s", code, martsync.ExitAuth, stdout)
		}
		for _, statement := range found {
			admin(strings.TrimSuffix(statement, ";"))
		}
		seen = append(seen, found...)
	}
	for _, want := range []string{"ON WAREHOUSE", "ON DATABASE", "ON SCHEMA"} {
		if !strings.Contains(strings.Join(seen, " "), want) {
			t.Errorf("no grant %s was printed: %q", want, seen)
		}
	}
	var report struct {
		OK bool `json:"ok"`
	}
	if err := json.Unmarshal([]byte(m.must("check", "--json")), &report); err != nil || !report.OK {
		t.Errorf("after the grants: got %+v and error %v", report, err)
	}
	m.must("sync")
	if got := m.one(`SELECT COUNT(*) FROM MART.MARKETO.PROGRAMS`); got == "0" {
		t.Error("the sync has loaded nothing")
	}
}

// TestAdoptFromTheFormerConnector goes on with a table as the former Marketo connector left it: the vendor's names in
// capitals, all values text.
func TestAdoptFromTheFormerConnector(t *testing.T) {
	long(t)
	t.Parallel()
	m, clock := marketoMart(t, "leads")
	renamed := m.formerLeads()
	m.account.Change(30) // what has happened since it last ran
	clock.Advance(30 * time.Minute)
	m.settings["adopt"] = map[string]any{"leads": map[string]any{"table": "OLD.MARKETO_LEADS", "columns": renamed}}
	m.sync["start"] = "table"

	out := m.must("adopt")
	for _, want := range []string{"leads ← MART.OLD.MARKETO_LEADS", "FIRSTNAME", "UPDATEDAT", "LOADED_BY"} {
		if !strings.Contains(out, want) {
			t.Errorf("the plan does not say %q:\n%s", want, out)
		}
	}
	if rows := m.see(`SELECT TABLE_NAME FROM MART.INFORMATION_SCHEMA.TABLES WHERE TABLE_SCHEMA = 'MARKETO'`); len(rows) != 0 {
		t.Errorf("showing the plan has made %v", rows)
	}
	theirs := m.one(`SELECT COUNT(*) FROM MART.OLD.MARKETO_LEADS`)
	store, err := state.OpenFolder(filepath.Join(m.dir, ".martsync"))
	if err != nil {
		t.Fatal(err)
	}
	lease, err := state.AcquireLease(t.Context(), store, clock, m.source.Account(), "a sync", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if code, _, said := m.command("adopt", "--yes"); code != martsync.ExitBusy || !strings.Contains(said, "a sync") {
		t.Errorf("adopted while a sync runs: exit code %d, want %d\n%s", code, martsync.ExitBusy, said)
	}
	if err := lease.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	m.must("adopt", "--yes")
	if got := m.one(`SELECT COUNT(*) FROM MART.MARKETO.LEADS`); got != theirs || got == "0" {
		t.Errorf("got %s rows, want the %s of the former table", got, theirs)
	}
	code, out, _ := m.command("adopt", "--yes")
	if code != martsync.ExitData {
		t.Errorf("adopted twice: exit code %d, want %d\n%s", code, martsync.ExitData, out)
	}
	newest, err := time.Parse("2006-01-02T15:04:05Z", m.one(`SELECT MAX(UPDATEDAT) FROM MART.OLD.MARKETO_LEADS`))
	if err != nil {
		t.Fatal(err)
	}
	m.must("sync")
	m.compareOne("leads")
	if got := m.one(`SELECT COUNT(*) FROM MART.OLD.MARKETO_LEADS`); got != theirs {
		t.Errorf("the former table has %s rows now, had %s", got, theirs)
	}
	d := m.open()
	defer d.Close()
	for entry, err := range d.(martsync.HistoryReader).Ledger(t.Context(), "leads") {
		if err != nil {
			t.Fatal(err)
		}
		if w := entry.Window; w.Filter != "" && strings.Contains(w.Filter, "updatedAt") && w.From.Before(newest.Add(-24*time.Hour)) {
			t.Errorf("a window begins at %s, more than a day before the newest lead of the former table, %s", w.From, newest)
		}
	}
}

// formerLeads makes the table of the former connector from what the account has. Of fields whose names differ by case
// alone the later ones have a column of another name there; it returns those by the names of ours.
func (m *snowMart) formerLeads() (renamed map[string]string) {
	m.t.Helper()
	streams, err := m.source.Streams(m.t.Context())
	if err != nil {
		m.t.Fatal(err)
	}
	schema := streams[slices.IndexFunc(streams, func(s martsync.Stream) bool { return s.Schema().Stream == "leads" })].Schema()
	var names []string
	for row := range m.account.Truth("leads") {
		names = slices.Sorted(maps.Keys(row.Values))
		break
	}
	var columns []string
	taken := map[string]bool{}
	renamed = map[string]string{}
	for _, name := range names {
		column := strings.ToUpper(name)
		if taken[column] {
			column += "_OTHER"
			ours := schema.Columns[slices.IndexFunc(schema.Columns, func(c martsync.Column) bool { return c.Origin == name })]
			renamed[ours.Name] = column
		}
		taken[column] = true
		columns = append(columns, sqlgen.Ident(column)+" VARCHAR")
	}
	var tuples []string
	for row := range m.account.Truth("leads") {
		if row.Gone {
			continue
		}
		var cells []string
		for _, name := range names {
			cells = append(cells, formerCell(row.Values[name]))
		}
		tuples = append(tuples, "("+strings.Join(append(cells, "'run 7'"), ", ")+")")
	}
	err = m.mart.Admin(`CREATE SCHEMA "MART"."OLD"`,
		`CREATE TABLE "MART"."OLD"."MARKETO_LEADS" (`+strings.Join(append(columns, `"LOADED_BY" VARCHAR`), ", ")+")",
		`INSERT INTO "MART"."OLD"."MARKETO_LEADS" VALUES `+strings.Join(tuples, ", "),
		`GRANT USAGE ON SCHEMA "MART"."OLD" TO ROLE "`+snowflakesim.DefaultRole+`"`,
		`GRANT SELECT ON TABLE "MART"."OLD"."MARKETO_LEADS" TO ROLE "`+snowflakesim.DefaultRole+`"`)
	if err != nil {
		m.t.Fatal(err)
	}
	return renamed
}

// formerCell is a value as the former connector wrote it: text.
func formerCell(v any) string {
	switch v := v.(type) {
	case nil:
		return "NULL"
	case time.Time:
		if v.Equal(v.Truncate(24*time.Hour)) && v.Hour() == 0 {
			return sqlgen.Text(v.Format(time.DateOnly))
		}
		return sqlgen.Text(v.Format("2006-01-02T15:04:05Z"))
	case simulate.OneOf:
		return formerCell(v[0])
	case json.RawMessage:
		return sqlgen.Text(string(v))
	default:
		return sqlgen.Text(fmt.Sprint(v))
	}
}
