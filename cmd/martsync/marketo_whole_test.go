//go:build cgo && !lite

package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/config"
	"github.com/martsync/martsync/destination/duckdb"
	"github.com/martsync/martsync/destination/files"
	"github.com/martsync/martsync/internal/connectors"
	"github.com/martsync/martsync/pipeline"
	"github.com/martsync/martsync/simulate"
	"github.com/martsync/martsync/state"
)

// everythingOfMarketo are all streams of an account that has everything, as promised.
var everythingOfMarketo = []string{
	"activities", "activity_types", "api_errors", "api_usage", "campaigns", "channels", "companies", "custom_device_owned", "deleted_leads",
	"email_templates", "emails", "files", "folders", "forms", "landing_pages", "lead_fields", "lead_merges", "leads", "list_members", "named_accounts",
	"opportunities", "opportunity_roles", "program_members", "programs", "sales_persons", "segmentations", "segments", "smart_campaigns", "smart_lists",
	"snippets", "static_lists", "tags", "tokens",
}

// serveAccount puts an account of a simulator, or the one given, at an address.
func serveAccount(t *testing.T, simulator simulate.Simulator, given ...simulate.Instance) (simulate.Instance, string) {
	t.Helper()
	if len(given) == 0 {
		account, err := simulator.New(simulate.Options{Seed: 3, Rows: 100})
		if err != nil {
			t.Fatal(err)
		}
		given = append(given, account)
	}
	server := httptest.NewServer(given[0])
	t.Cleanup(server.Close)
	return given[0], server.URL
}

// The command lists every stream with its columns and their types: those of the truth, by name, and nothing is left out.
func TestStreamsListsEverythingOfMarketo(t *testing.T) {
	simulator := connectors.Simulators()[slices.IndexFunc(connectors.Simulators(), func(s simulate.Simulator) bool { return s.Name == "marketo" })]
	account, url := serveAccount(t, simulator)
	place := account.SourceConfig(url)
	place["type"] = "marketo"
	text, err := yaml.Marshal(map[string]any{"version": 1, "sources": map[string]any{"marketo": place}})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "martsync.yaml")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	var stdout, stderr strings.Builder
	if code := run(t.Context(), []string{"streams", "-c", path, "--json"}, strings.NewReader(""), &stdout, &stderr, func(string) string { return "" }); code != martsync.ExitOK {
		t.Fatalf("exit code %d: %s", code, stderr.String())
	}
	var told struct {
		Streams []struct {
			Stream  string   `json:"stream"`
			Key     []string `json:"key"`
			Columns []struct {
				Name, Type, Origin string
			} `json:"columns"`
		} `json:"streams"`
	}
	if err := json.Unmarshal([]byte(stdout.String()), &told); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, s := range told.Streams {
		names = append(names, s.Stream)
		known := map[string]bool{}
		for _, c := range s.Columns {
			if c.Name == "" || c.Type == "" {
				t.Errorf("%s: column %+v has no name or no type", s.Stream, c)
			}
			known[c.Name], known[c.Origin] = true, true
		}
		if len(s.Key) == 0 {
			t.Errorf("%s has no key", s.Stream)
		}
		for row := range account.Truth(s.Stream) {
			for name := range row.Values {
				if !known[name] {
					t.Errorf("%s: the account has %s, and no column is listed for it", s.Stream, name)
					known[name] = true
				}
			}
		}
	}
	slices.Sort(names)
	if !slices.Equal(names, everythingOfMarketo) {
		t.Errorf("listed are %v, want %v", names, everythingOfMarketo)
	}
}

// A mortal transport ends the process at a call.
type mortal struct {
	next http.RoundTripper
	left atomic.Int64 // calls until then; negative: never
	kill atomic.Pointer[context.CancelFunc]
}

var errDead = errors.New("the process has ended")

func (m *mortal) RoundTrip(r *http.Request) (*http.Response, error) {
	if kill := m.kill.Load(); kill != nil && m.left.Add(-1) <= 0 {
		(*kill)()
		return nil, errDead
	}
	return m.next.RoundTrip(r)
}

// A sync of all streams of Marketo, by processes that end in the midst of it, is equal to the account in every table of
// a database and of a folder of files, at first and when much has changed.
func TestEverythingOfMarketoEqualsTheAccount(t *testing.T) {
	for name, open := range map[string]func(t *testing.T, place string, env martsync.Env) (martsync.Destination, error){
		"DuckDB": func(t *testing.T, place string, env martsync.Env) (martsync.Destination, error) {
			return duckdb.Open(t.Context(), duckdb.Config{Path: filepath.Join(place, "mart.duckdb")}, "marketo", env)
		},
		"files": func(t *testing.T, place string, env martsync.Env) (martsync.Destination, error) {
			return files.Open(t.Context(), files.Config{Path: place, Format: "parquet"}, "marketo", env)
		},
	} {
		t.Run(name, func(t *testing.T) {
			if name != "DuckDB" {
				long(t)
			}
			t.Parallel()
			simulator := connectors.Simulators()[slices.IndexFunc(connectors.Simulators(), func(s simulate.Simulator) bool { return s.Name == "marketo" })]
			account, clock, _, env := simulated(t, simulator)
			_, url := serveAccount(t, simulator, account)
			line := &mortal{next: env.HTTP.Transport}
			env.HTTP = &http.Client{Transport: line}
			process := func() martsync.Source {
				configured, err := config.NewSource("marketo", sourceConnector("marketo"), account.SourceConfig(url))
				if err != nil {
					t.Fatal(err)
				}
				source, err := configured.Open(t.Context(), env)
				if err != nil {
					t.Fatal(err)
				}
				return source
			}
			place, store, deaths := t.TempDir(), state.NewMemory(), 0
			for round := range 2 {
				for _, calls := range []int64{90, -1} {
					ctx, kill := context.WithCancel(t.Context())
					line.kill.Store(nil)
					if calls > 0 {
						line.left.Store(calls)
						line.kill.Store(&kill)
					}
					d, err := open(t, place, env)
					if err != nil {
						t.Fatal(err)
					}
					source := process()
					out, err := pipeline.Run(ctx, &pipeline.Sync{
						Name: "whole", Source: source, Destination: d, State: store, Clock: clock, Log: slog.New(slog.DiscardHandler),
					})
					if ctx.Err() != nil {
						deaths++
					} else if err != nil || !out.Done {
						t.Fatalf("round %d: done %v, %v", round, out.Done, err)
					}
					line.kill.Store(nil)
					if calls < 0 {
						compareTables(t, d, source, account)
						var synced []string
						for _, st := range out.Stats.Streams {
							synced = append(synced, st.Stream)
						}
						if slices.Sort(synced); !slices.Equal(synced, everythingOfMarketo) {
							t.Errorf("round %d synced %v, want everything", round, synced)
						}
					}
					if err := d.Close(); err != nil {
						t.Fatal(err)
					}
					kill()
					clock.Advance(time.Hour) // the lease of a dead process ends
				}
				account.Change(120)
				clock.Advance(8 * 24 * time.Hour) // what is listed whole once a week is due
			}
			if deaths < 2 {
				t.Errorf("%d deaths, want some in each round", deaths)
			}
		})
	}
}
