//go:build cgo && !lite

package snowflake

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/destination/snowflake/snowflakesim"
	"github.com/martsync/martsync/internal/rows"
)

// small is a schema with versions and deletions.
var small = martsync.Schema{
	Stream: "leads", Key: []string{"id"}, Version: "updated_at", Deletes: true,
	Columns: []martsync.Column{{Name: "id", Type: martsync.Int64}, {Name: "name", Type: martsync.String}, {Name: "updated_at", Type: martsync.Timestamp}},
}

// lead is a row of small, for so many.
func leads(from, to int64, version int64) *martsync.Records {
	b := rows.NewBuilder(small.Columns)
	for i := from; i < to; i++ {
		b.Append(i, fmt.Sprintf("name %d of %d", i, version), rows.Micros(version*1e6))
	}
	return b.Records()
}

// aCommit is a commit with a window, a quarantined row and an entry of the log.
func aCommit(sync string, next martsync.Cursor) martsync.Commit {
	return martsync.Commit{
		Sync: sync, At: statementTime, Next: next,
		Windows:     []martsync.Window{{Job: sync, Records: -1, Bytes: -1}},
		Quarantined: []martsync.Quarantined{{Job: sync, Line: 1, Reason: "why", Raw: "raw"}},
		Log:         []martsync.LogEntry{{Time: statementTime, Sync: sync, Stream: small.Stream, Operation: "commit", Success: true}},
	}
}

func openWriter(t testing.TB, d *destination) martsync.Writer {
	t.Helper()
	w, err := d.Open(t.Context(), small)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	return w
}

// mustDo fails the test on an error.
func mustDo(t testing.TB, what string, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

// loadOnce makes one whole load.
func loadOnce(t testing.TB, d *destination, sync string, r *martsync.Records) {
	t.Helper()
	w := openWriter(t, d)
	mustDo(t, "write", w.Write(t.Context(), r))
	mustDo(t, "commit", w.Commit(t.Context(), aCommit(sync, martsync.Cursor(sync))))
	mustDo(t, "close the writer", w.Close())
}

// sent are the statements that needed the warehouse, or all, by their first words.
func sent(server *snowflakesim.Server, data bool) (out []string) {
	for _, s := range server.Statements() {
		if !data || s.Warehouse != "" {
			words := strings.Fields(s.SQL)
			out = append(out, strings.Join(words[:min(2, len(words))], " "))
		}
	}
	return out
}

// TestDataStatements has four statements that need a warehouse for a table that changed, and none for one
// that did not; and it asks the account which these are, rather than our own list.
func TestDataStatements(t *testing.T) {
	server := start(t, snowflakesim.Options{})
	c := connected(t, server)
	d := openOn(t, c)
	defer func() { mustDo(t, "close", d.Close()) }()
	loadOnce(t, d, "first", leads(0, 10, 1))

	for range 2 { // the second time with tombstones and deletions
		server.ResetStatements()
		before := d.spent.data.Load()
		loadOnce(t, d, "next", leads(5, 15, 2))
		want := []string{"COPY INTO", "MERGE INTO", "MERGE INTO", "INSERT ALL"}
		if diff := cmp.Diff(want, sent(server, true)); diff != "" {
			t.Errorf("statements of a load that need a warehouse (-want +got):\n%s", diff)
		}
		if got := d.spent.data.Load() - before; got != int64(len(want)) {
			t.Errorf("our own count: got %d, want %d", got, len(want))
		}
	}
	for _, s := range server.Statements() {
		if s.Warehouse != "" && s.Tag != "martsync sync=next stream=leads" {
			t.Errorf("query tag of %.40s: got %q", s.SQL, s.Tag)
		}
	}

	server.ResetStatements()
	w := openWriter(t, d)
	if w.Cursor() != "next" {
		t.Errorf("cursor: got %q", w.Cursor())
	}
	mustDo(t, "close the writer", w.Close())
	if got := sent(server, true); len(got) > 0 {
		t.Errorf("statements of an idle sync that need a warehouse: got %q", got)
	}
}

// TestIdleSyncResumesNothing opens tables as a sync in another process does that finds nothing new.
func TestIdleSyncResumesNothing(t *testing.T) {
	server := start(t, snowflakesim.Options{})
	c := connected(t, server)
	first := openOn(t, c)
	loadOnce(t, first, "first", leads(0, 10, 1))
	mustDo(t, "close", first.Close())
	server.Suspend(snowflakesim.DefaultWarehouse, false)
	before := server.Meter(snowflakesim.DefaultWarehouse)
	server.ResetStatements()

	second := openOn(t, c)
	at, err := second.Position(t.Context(), small.Stream)
	mustDo(t, "position", err)
	w := openWriter(t, second)
	if at != "first" || w.Cursor() != "first" || w.Staged() != "" || len(w.Changes()) > 0 {
		t.Errorf("position: got %q, then %q and %q, changes %v", at, w.Cursor(), w.Staged(), w.Changes())
	}
	mustDo(t, "close the writer", w.Close())
	mustDo(t, "close", second.Close())
	after := server.Meter(snowflakesim.DefaultWarehouse)
	if after.Resumes != before.Resumes || after.Started {
		t.Errorf("the warehouse was resumed %d times by %q", after.Resumes-before.Resumes, sent(server, true))
	}
	if got := len(server.Statements()); got > 8 {
		t.Errorf("an idle sync sends %d statements: %q", got, sent(server, false))
	}
}

// TestNothingIsSentBeforeItIsNeeded opens a destination without an account.
func TestNothingIsSentBeforeItIsNeeded(t *testing.T) {
	c := Config{Account: "a", User: "u", Password: "p", Warehouse: "w", Database: "d", Host: "127.0.0.1", Port: 1, Protocol: "http"}
	d := openOn(t, c)
	mustDo(t, "close", d.Close())
	if _, err := d.Open(t.Context(), small); martsync.KindOf(err) != martsync.Internal {
		t.Errorf("open a table of a closed destination: got %v", err)
	}
}

// TestStageIsTidy has nothing but the position on the stage after a commit, and nothing in the temporary folder, also if an
// earlier run died with files on the stage.
func TestStageIsTidy(t *testing.T) {
	server := start(t, snowflakesim.Options{})
	c := connected(t, server)
	c.part = 1
	dead := openOn(t, c)
	w := openWriter(t, dead)
	mustDo(t, "write", w.Write(t.Context(), leads(0, 10, 1)))
	mustDo(t, "stage", w.Stage(t.Context(), martsync.Commit{Next: "staged"}))
	mustDo(t, "write", w.Write(t.Context(), leads(10, 20, 1)))
	other := openOn(t, c)
	defer func() { mustDo(t, "close", other.Close()) }()
	ow := openWriter(t, other)
	if ow.Staged() != "staged" {
		t.Errorf("staged position: got %q", ow.Staged())
	}
	mustDo(t, "commit", ow.Commit(t.Context(), aCommit("other", "c1")))
	mustDo(t, "close the writer", ow.Close())
	mustDo(t, "close the writer", w.Close())
	mustDo(t, "close", dead.Close())

	loadOnce(t, other, "second", leads(0, 3, 2))
	var got []string
	for _, f := range server.Files(stageOf(other)) {
		folder, name, _ := strings.Cut(strings.TrimPrefix(f.Name, "leads/"), "/")
		kind, _, _ := strings.Cut(name, "-")
		got = append(got, folder+" "+kind)
	}
	slices.Sort(got)
	if diff := cmp.Diff([]string{"000000000002 settled"}, got); diff != "" {
		t.Errorf("files on the stage (-want +got):\n%s", diff)
	}
	for _, d := range []*destination{dead, other} {
		if left := leftovers(t, d.env.TempDir); len(left) > 0 {
			t.Errorf("left in the temporary folder: %v", left)
		}
	}
}

// stageOf is the internal stage as the account lists it.
func stageOf(d *destination) string {
	return d.database + "." + d.schema + "." + d.config.tableName(stageName)
}
