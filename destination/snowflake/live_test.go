//go:build live

package snowflake

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/destination/destinationtest"
	"github.com/martsync/martsync/internal/rows"
	"github.com/martsync/martsync/internal/sqlgen"
)

// These tests run on a real account:
//
//	SNOWFLAKE_ACCOUNT, SNOWFLAKE_WAREHOUSE, SNOWFLAKE_DATABASE    needed
//	SNOWFLAKE_USER, SNOWFLAKE_ROLE
//	SNOWFLAKE_PRIVATE_KEY_FILE, SNOWFLAKE_PRIVATE_KEY_PASSPHRASE  or
//	SNOWFLAKE_TOKEN                                               or
//	SNOWFLAKE_PASSWORD
//
// Each makes schemas whose names begin with MARTSYNC_TEST_ and drops them. The role needs CREATE SCHEMA on the
// database. An X-Small warehouse runs for some minutes.

// live is the configuration of the account that the environment names.
func live(t testing.TB) Config {
	t.Helper()
	c := Config{
		Account: os.Getenv("SNOWFLAKE_ACCOUNT"), User: os.Getenv("SNOWFLAKE_USER"), Role: os.Getenv("SNOWFLAKE_ROLE"),
		Warehouse: os.Getenv("SNOWFLAKE_WAREHOUSE"), Database: os.Getenv("SNOWFLAKE_DATABASE"),
		PrivateKeyFile: os.Getenv("SNOWFLAKE_PRIVATE_KEY_FILE"), Passphrase: martsync.Secret(os.Getenv("SNOWFLAKE_PRIVATE_KEY_PASSPHRASE")),
		Token: martsync.Secret(os.Getenv("SNOWFLAKE_TOKEN")), Password: martsync.Secret(os.Getenv("SNOWFLAKE_PASSWORD")),
	}
	if c.Account == "" || c.Warehouse == "" || c.Database == "" {
		t.Fatal("SNOWFLAKE_ACCOUNT, SNOWFLAKE_WAREHOUSE and SNOWFLAKE_DATABASE name no account")
	}
	return c
}

var liveCount atomic.Int64

// liveSchema names a schema that is dropped at the end.
func liveSchema(t testing.TB, c *Config) {
	t.Helper()
	c.Schema = fmt.Sprintf("MARTSYNC_TEST_%d_%d", martsync.SystemClock{}.Now().UnixMilli(), liveCount.Add(1))
	drop := *c
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute) // the test's own is over
		defer cancel()
		d := liveOpen(t, drop)
		defer d.Close() //nolint:errcheck // the account ends the session
		if _, err := d.show(ctx, "drop schema", "DROP SCHEMA IF EXISTS "+sqlgen.Name(d.database, d.schema)); err != nil {
			t.Errorf("drop %s: %v", drop.Schema, err)
		}
	})
}

func liveOpen(t testing.TB, c Config) *destination {
	t.Helper()
	d, err := open(t.Context(), c, "", martsync.Env{
		Log: slog.New(slog.NewTextHandler(t.Output(), nil)), HTTP: http.DefaultClient, Clock: martsync.SystemClock{}, TempDir: t.TempDir(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestLiveLaws(t *testing.T) {
	base := live(t)
	destinationtest.Run(t, func(t testing.TB) destinationtest.Factory {
		c := base
		liveSchema(t, &c)
		return destinationtest.Factory{Open: func(t testing.TB) martsync.Destination { return liveOpen(t, c) }}
	})
}

// TestLiveSync is one whole sync: check, a first load, a change, views, a backup, what it cost; and an idle one, which
// must need no warehouse.
func TestLiveSync(t *testing.T) {
	c := live(t)
	liveSchema(t, &c)
	c.Backup, c.LegacyViews = "clone", "marketo"
	d := liveOpen(t, c)
	for _, f := range d.Check(t.Context()) {
		if !f.OK {
			t.Errorf("%s: %s (%s)", f.Subject, f.Detail, f.Hint)
		}
		t.Logf("%s: %s", f.Subject, f.Detail)
	}
	s := martsync.Schema{
		Stream: "leads", Key: []string{"id"}, Version: "updated_at", Deletes: true,
		Columns: []martsync.Column{
			{Name: "id", Type: martsync.Int64},
			{Name: "first_name", Type: martsync.String},
			{Name: "score", Type: martsync.Float64},
			{Name: "updated_at", Type: martsync.Timestamp},
			{Name: "more", Type: martsync.JSON},
		},
	}
	load := func(sync string, all ...[]any) {
		t.Helper()
		w, err := d.Open(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close() //nolint:errcheck // committed before, or the test has failed
		b := rows.NewBuilder(s.Columns)
		for _, r := range all {
			b.Append(r...)
		}
		if err := w.Write(t.Context(), b.Records()); err != nil {
			t.Fatal(err)
		}
		if err := w.Commit(t.Context(), martsync.Commit{Sync: sync, At: martsync.SystemClock{}.Now(), Next: martsync.Cursor(sync), Windows: []martsync.Window{{Job: sync}}}); err != nil {
			t.Fatal(err)
		}
	}
	at := func(day int) rows.Micros { return rows.Time(time.Date(2024, 2, day, 3, 4, 5, 678_901_000, time.UTC)) }
	load("run-1", []any{int64(1), "Ann", 0.1, at(1), rows.JSON(`{"a":{"b":"é"}}`)}, []any{int64(2), "Bob", nil, at(1), nil})
	if where, err := d.Backup(t.Context(), "leads", "run-2"); err != nil || where == "" {
		t.Errorf("backup: got %q and error %v", where, err)
	}
	load("run-2", []any{int64(2), "Bobby", 1.0 / 3, at(2), rows.JSON(`[1]`)})
	statements, err := d.ViewStatements(t.Context(), nil)
	if err == nil {
		err = d.Exec(t.Context(), statements)
	}
	if err != nil {
		t.Errorf("views: %v", err)
	}
	n := 0
	_, batches, err := d.ReadTable(t.Context(), "leads")
	if err != nil {
		t.Fatal(err)
	}
	for r, err := range batches {
		if err != nil {
			t.Fatal(err)
		}
		for i := range r.Len {
			n++
			if r.Columns[0].Ints[i] == 2 && (string(r.Columns[1].Bytes(i)) != "Bobby" || r.Columns[2].Floats[i] != 1.0/3 || r.Columns[3].Ints[i] != int64(at(2))) {
				t.Errorf("row 2: got %s, %v, %d", r.Columns[1].Bytes(i), r.Columns[2].Floats[i], r.Columns[3].Ints[i])
			}
		}
	}
	if n != 2 {
		t.Errorf("got %d rows, want 2", n)
	}
	if newest, err := d.NewestTime(t.Context(), "leads", "updated_at"); err != nil || newest.UnixMicro() != int64(at(2)) {
		t.Errorf("newest: got %v and error %v", newest, err)
	}
	if err := d.Measure(t.Context()); err != nil {
		t.Error(err)
	}
	for _, u := range d.Usage() {
		t.Logf("%s: %d %s", u.Name, u.Spent, u.Unit)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}

	idle := liveOpen(t, c)
	for stream, want := range map[string]martsync.Cursor{"leads": "run-2", "nothing": ""} {
		if at, err := idle.Position(t.Context(), stream); err != nil || at != want {
			t.Errorf("position of %s: got %q and error %v, want %q", stream, at, err, want)
		}
	}
	w, err := idle.Open(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	if w.Cursor() != "run-2" {
		t.Errorf("got cursor %q, want run-2", w.Cursor())
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	if n := idle.spent.data.Load(); n != 0 {
		t.Errorf("an idle sync has sent %d statements that need a warehouse", n)
	}
	if err := idle.Close(); err != nil {
		t.Error(err)
	}
}

// TestLiveAccepts has the account compile every golden statement that can be compiled alone: EXPLAIN refuses what is not
// Snowflake's SQL, and needs no warehouse.
func TestLiveAccepts(t *testing.T) {
	c := live(t)
	liveSchema(t, &c)
	d := liveOpen(t, c)
	defer d.Close() //nolint:errcheck // the account ends the session
	statements, files := goldenStatements(t)
	for i, s := range statements {
		if verb, _, _ := strings.Cut(s, " "); verb != "MERGE" && verb != "INSERT" && verb != "UPDATE" && verb != "SELECT" || strings.Contains(s, "?") {
			continue
		}
		_, err := d.show(t.Context(), "explain", "EXPLAIN "+s)
		if err != nil && !missing(err) { // its tables are not there: the syntax was fine
			t.Errorf("%s: %v\n%s", files[i], err, s)
		}
	}
}
