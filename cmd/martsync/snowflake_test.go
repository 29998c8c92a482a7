//go:build cgo && !lite

package main

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/config"
	"github.com/martsync/martsync/destination/snowflake"
	"github.com/martsync/martsync/destination/snowflake/snowflakesim"
	"github.com/martsync/martsync/internal/connectors"
	"github.com/martsync/martsync/internal/crash"
	"github.com/martsync/martsync/internal/report"
	"github.com/martsync/martsync/simulate"
	"github.com/martsync/martsync/source/marketo/marketosim"
)

// TestSyncIntoSnowflake runs the commands: each simulated account is copied into a Snowflake account, then what has
// changed a day later, and all tables are compared with the account each time. A sync that finds nothing new
// wakes no warehouse.
func TestSyncIntoSnowflake(t *testing.T) {
	long(t)
	for _, simulator := range connectors.Simulators() {
		t.Run(simulator.Name, func(t *testing.T) {
			byDay(t, simulator.Name == "marketo") // TestKilledSyncsIntoSnowflake has the other one
			t.Parallel()
			clock := simulate.NewClock(demoStart)
			m := newSnowMart(t, simulator, clock, 60)
			if simulator.Name == "pardot" { // these it can only list whole, which costs a MERGE each time
				streams := map[string]any{}
				for _, name := range listedWhole {
					streams[name] = map[string]any{"every": "24h"}
				}
				m.from["streams"] = streams
			}
			if simulator.Name == "marketo" { // likewise
				m.from["program_members"] = map[string]any{"full_listing_every": "20h"}
				m.from["custom_objects"] = map[string]any{"full_listing_every": "20h"}
				objects := maps.Clone(m.account.SourceConfig("")["objects"].(map[string]any))
				objects["every"] = "20h"
				m.from["objects"] = objects
			}
			if simulator.Name == "marketo" && !crash.Nightly() {
				m.only(oneOfEachWay)
			}
			clock.Advance(30 * time.Minute) // of what is newer, some may still be on its way
			m.must("sync")
			m.compare()

			clock.Advance(20 * time.Hour)
			m.account.Change(30)
			clock.Advance(4 * time.Hour)
			m.must("sync")
			m.compare()

			clock.Advance(72 * time.Hour) // what may come late is read again until then
			m.must("sync")
			clock.Advance(30 * time.Minute)
			m.mart.ResetStatements()
			m.must("sync", "--exclude", "api_usage") // which a sync changes by asking for it
			for _, sql := range m.onWarehouse() {
				t.Errorf("nothing had changed, and the warehouse ran %.120q", sql)
			}
			if len(m.mart.Statements()) == 0 {
				t.Error("the account was not asked anything: the test looks at nothing")
			}
			m.compare()
		})
	}
}

// TestTwoSyncsIntoSnowflake runs two at once that do not know of each other: neither has the other's leases. Who comes
// second is told so and changes nothing; run again, both find all of it done.
func TestTwoSyncsIntoSnowflake(t *testing.T) {
	long(t)
	t.Parallel()
	clock := simulate.NewClock(demoStart)
	m := newSnowMart(t, marketosim.Simulator, clock, 30)
	if !crash.Nightly() {
		m.only(oneOfEachWay)
	}
	m.configure()
	clock.Advance(30 * time.Minute)
	var codes [2]int
	conflicts := 0
	for try := 0; conflicts == 0; try++ {
		if try == 5 {
			t.Fatalf("the two never met in %d tries: the test looks at nothing", try)
		}
		if try > 0 { // the machine has let one of them wait until the other one was done
			m.account.Change(30)
			clock.Advance(25 * time.Hour)
		}
		var said [2]string
		var both sync.WaitGroup
		for i := range codes {
			both.Go(func() {
				codes[i], _, said[i] = m.execute("sync", "--state", filepath.Join(m.dir, "state", strconv.Itoa(i)))
			})
		}
		both.Wait()
		for i, code := range codes {
			switch code {
			case martsync.ExitOK:
			case martsync.ExitConflict:
				conflicts++
			default:
				t.Fatalf("sync %d: exit code %d\n%s", i, code, said[i])
			}
		}
	}
	for i := range codes {
		m.must("sync", "--state", filepath.Join(m.dir, "state", strconv.Itoa(i)))
	}
	m.compare()
	m.noLedgerTwice()
	m.noLeftovers()
}

// listedWhole are the streams of Account Engagement that have no change dates.
var listedWhole = []string{
	"forms", "form_handlers", "form_handler_fields", "custom_redirects", "files", "folders", "layout_templates", "tracker_domains", "dynamic_content_variations",
}

// oneOfEachWay are streams of Marketo for each way in which its source reads.
var oneOfEachWay = []string{
	"activities", "api_usage", "campaigns", "companies", "custom_device_owned", "deleted_leads", "emails", "lead_fields", "lead_merges", "leads",
	"list_members", "named_accounts", "opportunities", "program_members", "programs", "segments", "tokens",
}

// A partOf is a source of which some streams are looked at.
type partOf struct {
	martsync.Source
	names []string
}

// Streams are those that were named.
func (p partOf) Streams(ctx context.Context) ([]martsync.Stream, error) {
	streams, err := p.Source.Streams(ctx)
	return slices.DeleteFunc(streams, func(s martsync.Stream) bool { return !slices.Contains(p.names, s.Schema().Stream) }), err
}

// only makes the sync and the comparison be of some streams.
func (m *snowMart) only(streams []string) {
	m.sync["streams"] = streams
	m.source = partOf{m.source, streams}
}

// A snowMart is a simulated vendor and a Snowflake account, and a folder with a configuration that
// leads from one to the other.
type snowMart struct {
	t       *testing.T
	dir     string
	name    string // of the source, the sync and the schema
	clock   simulate.Time
	account simulate.Instance
	mart    *snowflakesim.Server
	source  martsync.Source // reads the account without the commands
	vendor  string          // URL
	calls   atomic.Int64    // of the vendor

	from     map[string]any // further settings of the source
	settings map[string]any // of the destination
	sync     map[string]any // further settings of the sync
	others   map[string]any // further destinations
}

func newSnowMart(t *testing.T, simulator simulate.Simulator, clock simulate.Time, rows int) *snowMart {
	t.Helper()
	m := &snowMart{t: t, dir: t.TempDir(), name: simulator.Name, clock: clock, from: map[string]any{}, sync: map[string]any{}, others: map[string]any{}}
	var err error
	if m.account, err = simulator.New(simulate.Options{Seed: 5, Rows: rows, Clock: m.clock}); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m.calls.Add(1)
		m.account.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	m.vendor = server.URL
	m.useMart(snowflakesim.Options{})

	connector := connectors.Sources()[slices.IndexFunc(connectors.Sources(), func(c martsync.SourceConnector) bool { return c.Name == m.name })]
	configured, err := config.NewSource(m.name, connector, m.account.SourceConfig(m.vendor))
	if err != nil {
		t.Fatal(err)
	}
	if m.source, err = configured.Open(t.Context(), m.env()); err != nil {
		t.Fatal(err)
	}
	return m
}

// useMart starts a Snowflake account and makes it the destination.
func (m *snowMart) useMart(o snowflakesim.Options) {
	m.t.Helper()
	mart, err := snowflakesim.Start(o)
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() {
		if err := mart.Close(); err != nil {
			m.t.Error(err)
		}
	})
	m.mart = mart
	ca := filepath.Join(m.dir, "ca.pem")
	if err := os.WriteFile(ca, mart.CA(), 0o600); err != nil {
		m.t.Fatal(err)
	}
	m.settings = map[string]any{
		"type": "snowflake", "account": mart.Account(), "host": mart.Host(), "port": mart.Port(), "protocol": mart.Protocol(), "ca_file": ca,
		"user": snowflakesim.DefaultUser, "password": snowflakesim.DefaultPassword, "role": snowflakesim.DefaultRole,
		"warehouse": snowflakesim.DefaultWarehouse, "database": snowflakesim.DefaultDatabase,
	}
}

func (m *snowMart) env() martsync.Env {
	return martsync.Env{Log: slog.New(slog.DiscardHandler), HTTP: http.DefaultClient, Clock: m.clock, TempDir: m.t.TempDir()}
}

// configure writes the configuration.
func (m *snowMart) configure() {
	m.t.Helper()
	source := m.account.SourceConfig(m.vendor)
	source["type"] = m.name
	maps.Copy(source, m.from)
	sync := map[string]any{"name": m.name, "source": m.name, "destination": "mart", "schema": m.name}
	maps.Copy(sync, m.sync)
	destinations := map[string]any{"mart": m.settings}
	maps.Copy(destinations, m.others)
	text, err := yaml.Marshal(map[string]any{
		"version": config.Version, "sources": map[string]any{m.name: source}, "destinations": destinations, "syncs": []map[string]any{sync},
	})
	if err != nil {
		m.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(m.dir, config.FileName), text, 0o600); err != nil {
		m.t.Fatal(err)
	}
}

// command runs a command with the configuration and returns its exit code and what it printed.
func (m *snowMart) command(args ...string) (code int, stdout, stderr string) {
	m.t.Helper()
	m.configure()
	return m.execute(args...)
}

// execute runs a command with the configuration that there is.
func (m *snowMart) execute(args ...string) (code int, stdout, stderr string) {
	ctx, cancel := context.WithTimeout(m.t.Context(), 8*time.Minute)
	defer cancel()
	var out, errs bytes.Buffer
	none := func(string) string { return "" }
	a := &app{in: strings.NewReader(""), out: report.NewOutput(&out, none), err: report.NewOutput(&errs, none), getenv: none, clock: m.clock}
	a.lines = &logWriter{to: a.err}
	root := a.rootCommand()
	root.SetArgs(append(args, "--no-input", "--config", filepath.Join(m.dir, config.FileName)))
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	err := a.execute(ctx, root)
	for _, clean := range a.cleanups {
		err = errors.Join(err, clean())
	}
	return a.fail(err), out.String(), errs.String()
}

// must runs a command that has to succeed and returns what it printed.
func (m *snowMart) must(args ...string) string {
	m.t.Helper()
	code, stdout, stderr := m.command(args...)
	if code != martsync.ExitOK {
		m.t.Fatalf("martsync %s: exit code %d\n%s\n%s", strings.Join(args, " "), code, stdout, stderr)
	}
	return stdout
}

// open opens the destination without the commands.
func (m *snowMart) open() martsync.Destination {
	m.t.Helper()
	d, err := snowflake.Open(m.t.Context(), snowflake.Config{
		Account: m.mart.Account(), Host: m.mart.Host(), Port: m.mart.Port(), Protocol: m.mart.Protocol(), CAFile: filepath.Join(m.dir, "ca.pem"),
		User: snowflakesim.DefaultUser, Password: snowflakesim.DefaultPassword, Role: snowflakesim.DefaultRole,
		Warehouse: snowflakesim.DefaultWarehouse, Database: snowflakesim.DefaultDatabase,
	}, m.name, m.env())
	if err != nil {
		m.t.Fatal(err)
	}
	return d
}

// compare compares all tables with the account.
func (m *snowMart) compare() {
	m.t.Helper()
	d := m.open()
	compareTables(m.t, d, m.source, m.account)
	if err := d.Close(); err != nil {
		m.t.Error(err)
	}
}

// onWarehouse is what ran on a warehouse since the statements were reset.
func (m *snowMart) onWarehouse() (out []string) {
	for _, s := range m.mart.Statements() {
		if s.Warehouse != "" {
			out = append(out, s.SQL)
		}
	}
	return out
}

// see returns the rows of a query on the account's engine.
func (m *snowMart) see(query string) [][]any {
	m.t.Helper()
	_, rows, err := m.mart.Query(query)
	if err != nil {
		m.t.Fatalf("%s: %v", query, err)
	}
	return rows
}
