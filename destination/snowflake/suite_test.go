//go:build cgo && !lite

package snowflake

import (
	"database/sql"
	"flag"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/destination/destinationtest"
	"github.com/martsync/martsync/destination/snowflake/snowflakesim"
	"github.com/martsync/martsync/internal/crash"
	"github.com/martsync/martsync/internal/sqlgen"
)

func TestMain(m *testing.M) {
	// the model test takes long; -rapid.checks on the command line comes later and wins
	checks := "12"
	if slow {
		checks = "4"
	}
	if crash.Nightly() {
		checks = "1000"
	}
	if err := flag.Set("rapid.checks", checks); err != nil {
		panic(err)
	}
	// idle connections are those of the driver's own clients, which nobody can close
	// An upload of the driver's goes on trying for some seconds after its statement has been given up.
	const agent = "github.com/snowflakedb/gosnowflake/v2.(*snowflakeFileTransferAgent)."
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("net/http.(*persistConn).readLoop"), goleak.IgnoreAnyFunction("net/http.(*persistConn).writeLoop"),
		goleak.IgnoreAnyFunction(agent+"uploadFilesParallel"), goleak.IgnoreAnyFunction(agent+"uploadFilesParallel.func1"))
}

// start starts an account.
func start(t testing.TB, o snowflakesim.Options) *snowflakesim.Server {
	t.Helper()
	s, err := snowflakesim.Start(o)
	if err != nil {
		t.Fatalf("start the account: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close the account: %v", err)
		}
	})
	return s
}

// connected is the configuration of a destination on the account.
func connected(t testing.TB, s *snowflakesim.Server) Config {
	t.Helper()
	transport := s.Transport()
	t.Cleanup(transport.CloseIdleConnections)
	return Config{
		Account: s.Account(), Host: s.Host(), Port: s.Port(), Protocol: s.Protocol(), transporter: transport,
		User: snowflakesim.DefaultUser, Password: snowflakesim.DefaultPassword, Role: snowflakesim.DefaultRole,
		Warehouse: snowflakesim.DefaultWarehouse, Database: snowflakesim.DefaultDatabase, Schema: "marketo",
	}
}

// openOn opens a destination with a configuration.
func openOn(t testing.TB, c Config) *destination {
	t.Helper()
	d, err := open(t.Context(), c, "", testEnv(t))
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	return d
}

func testEnv(t testing.TB) martsync.Env {
	return martsync.Env{Log: slog.New(slog.DiscardHandler), HTTP: http.DefaultClient, Clock: martsync.SystemClock{}, TempDir: t.TempDir()}
}

func TestLaws(t *testing.T) {
	t.Parallel()
	destinationtest.Run(t, factory)
}

// factory reaches a new account.
func factory(t testing.TB) destinationtest.Factory {
	var last *destination
	c := connected(t, start(t, snowflakesim.Options{}))
	return destinationtest.Factory{
		Open: func(t testing.TB) martsync.Destination {
			last = openOn(t, c)
			return last
		},
		Quarantine: quarantine,
		Log:        logEntries,
		Fault:      func(n int) { last.before = destinationtest.FailStatement(n) },
	}
}

func quarantine(t testing.TB, d martsync.Destination, stream string) (out []martsync.Quarantined) {
	t.Helper()
	system(t, d, sqlgen.Quarantine, stream, []string{"job", "line", "column", "reason", "raw"}, func(cells []sql.NullString) {
		line, err := strconv.ParseInt(cells[1].String, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, martsync.Quarantined{Job: cells[0].String, Line: line, Column: cells[2].String, Reason: cells[3].String, Raw: cells[4].String})
	})
	return out
}

func logEntries(t testing.TB, d martsync.Destination, stream string) (out []martsync.LogEntry) {
	t.Helper()
	number := func(s string) int64 {
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	system(t, d, sqlgen.Log, stream, []string{"time", "sync", "stream", "operation", "success", "message", "rows", "bytes"}, func(cells []sql.NullString) {
		at, err := time.Parse(time.RFC3339Nano, cells[0].String)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, martsync.LogEntry{
			Time: at.UTC(), Sync: cells[1].String, Stream: cells[2].String, Operation: cells[3].String, Success: cells[4].String == "true",
			Message: cells[5].String, Rows: number(cells[6].String), Bytes: number(cells[7].String),
		})
	})
	return out
}

// system reads the rows of a system table that belong to a stream.
func system(t testing.TB, md martsync.Destination, table, stream string, columns []string, f func(cells []sql.NullString)) {
	t.Helper()
	d, ok := md.(*destination)
	if !ok {
		t.Fatalf("the destination is a %T", md)
	}
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = d.name(c)
	}
	query := "SELECT " + strings.Join(names, ", ") + " FROM " + d.table(table) + " WHERE " + d.name("stream") + " = ?"
	query += " ORDER BY " + d.name(ledgerCommit) + ", " + d.name(ledgerPlace)
	err := d.with(t.Context(), "read "+table, func(s *session) error {
		return s.each(t.Context(), query, []any{stream}, func(_ []string, cells []sql.NullString) error {
			f(cells)
			return nil
		})
	})
	if missing(err) {
		return
	}
	if err != nil {
		t.Fatalf("read %s: %v", table, err)
	}
}

// leftovers are the files in a folder and below.
func leftovers(t testing.TB, dir string) (files []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}
