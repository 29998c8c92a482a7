package snowflake

import (
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/sqlgen"
)

// statementTime is the time of the commits whose statements are kept.
var statementTime = time.Date(2026, 2, 3, 4, 5, 6, 789_000_000, time.UTC)

// people is a schema with everything that changes a statement.
var people = martsync.Schema{
	Stream: "people",
	Columns: []martsync.Column{
		{Name: "id", Type: martsync.Int64},
		{Name: "first_name", Type: martsync.String, Origin: "firstName"},
		{Name: "active", Type: martsync.Bool},
		{Name: "score", Type: martsync.Float64},
		{Name: "worth", Type: martsync.Decimal, Precision: 20, Scale: 6},
		{Name: "born", Type: martsync.Date},
		{Name: "updated_at", Type: martsync.Timestamp, Origin: "updatedAt"},
		{Name: "more", Type: martsync.JSON},
		{Name: "photo", Type: martsync.Binary},
	},
	Key: []string{"id"}, Version: "updated_at", Deletes: true,
}

// sticky is s with one more column, which is sticky.
func sticky(s martsync.Schema) martsync.Schema {
	s.Columns = append(append([]martsync.Column(nil), s.Columns...), martsync.Column{Name: "result", Type: martsync.String, Sticky: true})
	return s
}

func versionless(s martsync.Schema) martsync.Schema {
	s.Version = ""
	return s
}

func snapshotOf(s martsync.Schema) martsync.Schema {
	s.Snapshot = true
	return s
}

var eventsSchema = martsync.Schema{
	Stream: "events",
	Columns: []martsync.Column{
		{Name: "guid", Type: martsync.String}, {Name: "at", Type: martsync.Timestamp}, {Name: "attributes", Type: martsync.JSON},
	},
}

var membersSchema = martsync.Schema{
	Stream: "list_members", Key: []string{"list", "member"}, Deletes: true,
	Columns: []martsync.Column{{Name: "list", Type: martsync.String}, {Name: "member", Type: martsync.Int64}, {Name: "note", Type: martsync.String}},
}

// offline is a destination that is never connected.
func offline(t testing.TB, c Config) *destination {
	t.Helper()
	c.Account, c.Warehouse, c.Database, c.Schema = "myorg-myaccount", "loading", "mart", "marketo"
	c.User, c.Token = "martsync", "token"
	d, err := open(t.Context(), c, "", martsync.Env{Log: slog.New(slog.DiscardHandler), HTTP: http.DefaultClient, Clock: martsync.SystemClock{}, TempDir: t.TempDir()})
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	return d
}

// offlineWriter is a writer whose table is as Open would have made it.
func offlineWriter(d *destination, s martsync.Schema) *writer {
	w := &writer{d: d, schema: s, id: "0123456789ab", commits: 12, cursor: "c12"}
	w.table = &layout{name: d.config.tableName(s.Stream)}
	for _, c := range sqlgen.TableColumns(s) {
		stored := storedColumn{Column: c, typ: sqlType(c), known: true, exact: true}
		stored.Name = d.config.columnName(c)
		w.table.columns = append(w.table.columns, stored)
	}
	return w
}

// TestStatements keeps every kind of statement that a load sends. That they are Snowflake's SQL is tested beside.
func TestStatements(t *testing.T) {
	d := offline(t, Config{})
	two := []file{
		{Key: "0123456789ab/000001.parquet", Rows: 10, stats: stats{Records: 10, Bounds: []bound{{Known: true, Min: 7, Max: 900}}}},
		{Key: "0123456789ab/000002.parquet", Rows: 5, stats: stats{Records: 5, Bounds: []bound{{Known: true, Min: 901, Max: 2000}}}},
	}
	gone := []file{{Key: "0123456789ab/000001.parquet", Rows: 10, stats: stats{Records: 8, Gone: 2, Bounds: []bound{{Known: true, Min: 7, Max: 900}}}}}
	keyless := []file{{Key: "0123456789ab/000001.parquet", Rows: 10, stats: stats{Records: 10}}}
	pairs := []file{{Key: "0123456789ab/000001.parquet", Rows: 10, stats: stats{Records: 10, Bounds: []bound{{Known: true, From: "a'b", To: `z\`}, {Known: true, Min: 1, Max: 2}}}}}
	load := func(d *destination, s martsync.Schema, files []file, c martsync.Commit) string {
		c.At = statementTime
		l, err := offlineWriter(d, s).load(files, c)
		if err != nil {
			t.Fatal(err)
		}
		return l.statement()
	}
	whole := martsync.Commit{Complete: []martsync.Scope{{}}}
	lists := martsync.Commit{Complete: []martsync.Scope{{Column: "list", Value: "it's"}, {Column: "list", Value: "b"}, {Column: "member", Value: "7"}}}
	month := martsync.Commit{Complete: []martsync.Scope{{Column: people.Version, From: statementTime.AddDate(0, -1, 0), To: statementTime}}}
	census := martsync.Commit{Censuses: []martsync.Census{{After: 0, UpTo: 500, Keys: []int64{1}}, {After: 500, UpTo: 3000}, {After: 5000, UpTo: 6000}}}
	w := offlineWriter(d, people)
	var system []string
	for _, table := range systemTables() {
		system = append(system, d.createTable(table.Name, table.Columns, systemComment))
	}
	quoted, preserve := offline(t, Config{Identifiers: "quoted", Transient: true}), offline(t, Config{Identifiers: "preserve"})
	for name, got := range map[string]string{
		"create_schema":         d.createSchema(),
		"create_stage":          d.createStage(),
		"create_system":         strings.Join(system, separator),
		"create":                d.createStream(people),
		"create_quoted":         quoted.createStream(people),
		"create_preserve":       preserve.createStream(people),
		"staging":               w.createStaging(w.stagingName()),
		"copy":                  w.copySQL(w.stagingName(), two),
		"merge":                 load(d, people, two, martsync.Commit{}),
		"merge_quoted":          load(quoted, people, two, martsync.Commit{}),
		"merge_preserve":        load(preserve, people, two, martsync.Commit{}),
		"merge_without_version": load(d, membersSchema, pairs, martsync.Commit{}),
		"merge_null_keys":       load(d, people, []file{{Key: "a/000001.parquet", stats: stats{Records: 1, NullKeys: true}}}, martsync.Commit{}),
		"merge_tombstones":      load(d, people, gone, martsync.Commit{}),
		"merge_sticky":          load(d, sticky(people), two, martsync.Commit{}),
		"merge_sticky_plain":    load(d, sticky(versionless(people)), gone, martsync.Commit{}),
		"merge_scope":           load(d, people, two, whole),
		"merge_scopes":          load(d, membersSchema, pairs, lists),
		"merge_range":           load(d, people, two, month),
		"merge_census":          load(d, people, gone, census),
		"mark_scopes":           load(d, membersSchema, nil, lists),
		"mark_range":            load(d, people, nil, month),
		"mark_census":           load(d, people, nil, census),
		"append":                load(d, eventsSchema, keyless, martsync.Commit{}),
		"snapshot":              load(d, snapshotOf(people), two, martsync.Commit{}),
		"snapshot_tombstones":   load(d, snapshotOf(people), gone, martsync.Commit{}),
		"snapshot_append":       load(d, snapshotOf(eventsSchema), keyless, martsync.Commit{}),
		"snapshot_empty":        load(d, snapshotOf(people), nil, martsync.Commit{}),
		"cursor":                d.moveCursor(),
		"cursor_restart":        d.restart(),
		"cursor_bump":           d.bump(),
		"record":                d.recordSQL(),
	} {
		t.Run(name, func(t *testing.T) { golden(t, "load_"+name, []string{got}) })
	}
}
