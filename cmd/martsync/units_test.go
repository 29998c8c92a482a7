//go:build cgo && !lite

package main

import (
	"database/sql"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/config"
	"github.com/martsync/martsync/destination/duckdb"
	"github.com/martsync/martsync/simulate"
	"github.com/martsync/martsync/source/pardot"
	"github.com/martsync/martsync/source/pardot/pardotsim"
)

// unitsConfig is two business units with one login, each into a schema of its own, and a sync that
// begins where the tables of another one end.
const unitsConfig = `version: 1
sources:
  emea: &login
    type: pardot
    business_unit: %[1]s
    api_host: %[2]s
    login_url: %[2]s
    client_id: %[3]s
    client_secret: %[4]s
    refresh_token: %[5]s
    token_file: pardot.token
  americas:
    <<: *login
    business_unit: %[6]s
destinations:
  mart:
    type: duckdb
    path: mart.duckdb
syncs:
  - {name: emea, source: emea, destination: mart, schema: pardot_emea, streams: "*"}
  - {name: americas, source: americas, destination: mart, schema: pardot_americas, streams: "*"}
  - name: tail
    source: americas
    destination: mart
    schema: tail
    streams: [prospects, campaigns]
    start: table
    start_table: {schema: pardot_americas}
  - {name: empty, source: americas, destination: mart, schema: empty, streams: [prospects], start: table}
`

// TestTwoBusinessUnitsInOneConfiguration syncs all streams of both, whose app rotates its refresh
// tokens, with the commands that people use.
func TestTwoBusinessUnitsInOneConfiguration(t *testing.T) {
	long(t)
	t.Parallel()
	clock, pace := paced(3000)
	org := pardotsim.NewOrg(11, pardotsim.DefaultUsers()...)
	var units []*pardotsim.Server
	for i, id := range []string{pardotsim.DefaultBusinessUnit, "0Uv5A000000MothCAA"} {
		unit, err := pardotsim.New(pardotsim.Config{
			Options: simulate.Options{Rows: 60, Seed: uint64(i + 1), Clock: clock}, BusinessUnit: id, Rotate: true, Wire: pardotsim.Wire{Org: org},
		})
		if err != nil {
			t.Fatal(err)
		}
		units = append(units, unit)
	}
	server := httptest.NewServer(pardotsim.Sharing(units...))
	t.Cleanup(server.Close)
	login := units[0].SourceConfig(server.URL)
	dir := t.TempDir()
	text := fmt.Sprintf(unitsConfig, login["business_unit"], server.URL, login["client_id"], login["client_secret"], login["refresh_token"],
		units[1].SourceConfig(server.URL)["business_unit"])
	path := filepath.Join(dir, "martsync.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	command := func(args ...string) string {
		t.Helper()
		var stdout, stderr strings.Builder
		none := func(string) string { return "" }
		args = append(args, "-c", path, "--speed", pace)
		if code := run(t.Context(), args, strings.NewReader(""), &stdout, &stderr, none); code != martsync.ExitOK {
			t.Fatalf("martsync %v: exit code %d\n%s\n%s", args, code, stderr.String(), stdout.String())
		}
		return stdout.String()
	}
	if out := command("check"); strings.Contains(out, "✗") {
		t.Errorf("check:\n%s", out)
	}
	command("sync", "emea", "americas")

	env := martsync.Env{Log: slog.New(slog.DiscardHandler), Clock: clock, TempDir: t.TempDir(), HTTP: server.Client()}
	for i, schema := range []string{"pardot_emea", "pardot_americas"} {
		compareUnit(t, env, filepath.Join(dir, "mart.duckdb"), schema, units[i], server.URL)
	}

	command("sync", "tail", "empty")
	db, err := sql.Open("duckdb", filepath.Join(dir, "mart.duckdb"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for query, what := range map[string]string{
		"SELECT count(*) > 0 AND count(*) < (SELECT count(*) FROM pardot_americas.prospects) FROM tail.prospects":                "the tail has some of the prospects and not all",
		"SELECT min(updated_at) >= (SELECT max(updated_at) - INTERVAL 1 DAY FROM pardot_americas.prospects) FROM tail.prospects": "the tail begins a day before the end",
		"SELECT count(*) = (SELECT count(updated_at) FROM pardot_americas.prospects) FROM empty.prospects":                       "an empty table gets everything that has a time",
	} {
		var ok bool
		if err := db.QueryRowContext(t.Context(), query).Scan(&ok); err != nil || !ok {
			t.Errorf("%s: got %v, %v", what, ok, err)
		}
	}
	if info, err := os.Stat(filepath.Join(dir, "pardot.token")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file with the rotated token: %v, %v; want it for its owner alone", info, err)
	}
}

// compareUnit compares all tables of a schema with a business unit.
func compareUnit(t *testing.T, env martsync.Env, path, schema string, unit *pardotsim.Server, url string) {
	t.Helper()
	d, err := duckdb.Open(t.Context(), duckdb.Config{Path: path}, schema, env)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	options := unit.SourceConfig(url)
	options["token_file"] = filepath.Join(filepath.Dir(path), "pardot.token") // else the token would rotate without its keeper
	configured, err := config.NewSource("pardot", pardot.Connector, options)
	if err != nil {
		t.Fatal(err)
	}
	source, err := configured.Open(t.Context(), env)
	if err != nil {
		t.Fatal(err)
	}
	compareTables(t, d, source, unit)
}
