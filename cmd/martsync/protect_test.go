package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"iter"
	"log/slog"
	"maps"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/config"
	"github.com/martsync/martsync/internal/connectors"
	"github.com/martsync/martsync/pipeline"
	"github.com/martsync/martsync/simulate"
	"github.com/martsync/martsync/state"
)

// TestColumnsAreProtected copies each simulated account, with rows that do not fit, while some columns are left out and
// some are hashed, changes such values and copies what has changed. No hidden value may be in any file: tables, the
// quarantine, the ledger, the state; nor in the log.
func TestColumnsAreProtected(t *testing.T) {
	for vendor, test := range map[string]struct {
		stream, hashed, dropped string // and the columns
		faults                  []string
		columns                 map[string]any
	}{
		"marketo": {"leads", "email", "phone", []string{"misfit"}, map[string]any{"hash": []string{"email"}, "exclude": []string{"leads.*phone", "leads.fax", "leads.*name"}}},
		"pardot":  {"prospects", "email", "phone", nil, map[string]any{"hash": []string{"email"}, "exclude": []string{"phone", "fax"}}},
	} {
		t.Run(vendor, func(t *testing.T) {
			if vendor != "pardot" {
				long(t)
			}
			t.Parallel()
			dir := t.TempDir()
			clock := simulate.NewClock(demoStart)
			simulator := connectors.Simulators()[slices.IndexFunc(connectors.Simulators(), func(s simulate.Simulator) bool { return s.Name == vendor })]
			account, err := simulator.New(simulate.Options{Seed: 3, Rows: 150, Clock: clock, Faults: test.faults})
			if err != nil {
				t.Fatal(err)
			}
			server := httptest.NewServer(account)
			t.Cleanup(server.Close)
			var log bytes.Buffer
			env := martsync.Env{
				Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})), HTTP: server.Client(), Clock: clock, TempDir: t.TempDir(),
			}
			c := protectedConfig(t, dir, vendor, account.SourceConfig(server.URL), test.columns)
			source, err := c.Sources[0].Open(t.Context(), env)
			if err != nil {
				t.Fatal(err)
			}
			store, err := state.OpenFolder(filepath.Join(dir, "state"))
			if err != nil {
				t.Fatal(err)
			}
			// Of the hidden values those that nothing else could hold by chance.
			hidden := map[string]bool{}
			for range 2 {
				for row := range account.Truth(test.stream) {
					for _, name := range []string{test.hashed, test.dropped} {
						if v, ok := row.Values[name].(string); ok && len(v) >= 8 && strings.Trim(v, "0") != "" {
							hidden[v] = true
						}
					}
				}
				for v := range toldOf(account, vendor) {
					hidden[v] = true
				}
				clock.Advance(30 * time.Minute)
				d, err := c.Destinations[0].Open(t.Context(), vendor, env)
				if err != nil {
					t.Fatal(err)
				}
				out, err := pipeline.Run(t.Context(), &pipeline.Sync{Name: "s", Source: source, Destination: d, State: store, Clock: clock, Log: env.Log})
				if err != nil || !out.Done || out.Stats.Rows() == 0 {
					t.Fatalf("done %v, %d rows, %v", out.Done, out.Stats.Rows(), err)
				}
				if err := d.Close(); err != nil {
					t.Fatal(err)
				}
				for range 10 {
					account.Change(150)
					clock.Advance(2 * time.Hour)
				}
			}
			if len(hidden) < 50 {
				t.Fatalf("only %d values are hidden: the test looks for nothing", len(hidden))
			}
			search(t, dir, log.Bytes(), slices.Collect(maps.Keys(hidden)))
		})
	}
}

// toldOf are texts in which an account of Marketo tells hidden values of people outside of their own records: names of
// those deleted and merged, and addresses that bounced.
func toldOf(account simulate.Instance, vendor string) iter.Seq[string] {
	return func(yield func(string) bool) {
		if vendor != "marketo" {
			return
		}
		first := map[string]bool{}
		for row := range account.Truth("leads") {
			if name, ok := row.Values["firstName"].(string); ok {
				first[name] = true
			}
		}
		for _, stream := range []string{"deleted_leads", "activities"} {
			for row := range account.Truth(stream) {
				text, _ := row.Values["primaryAttributeValue"].(string)
				switch row.Values["activityTypeId"] {
				case int64(8), int64(27):
					attributes, _ := row.Values["attributes"].(json.RawMessage)
					var told struct{ Email string }
					if text = ""; json.Unmarshal(attributes, &told) == nil {
						text = told.Email
					}
				case int64(32), int64(37):
					// A last name alone is also that of others.
					if name, _, more := strings.Cut(text, " "); !more || !first[name] {
						text = ""
					}
				default:
					text = ""
				}
				if text != "" && !yield(text) {
					return
				}
			}
		}
	}
}

// search looks for values in all files below dir and in the log.
func search(t *testing.T, dir string, log []byte, values []string) {
	t.Helper()
	size := 0
	look := func(where string, text []byte) {
		size += len(text)
		for _, v := range values {
			if i := bytes.Index(text, []byte(v)); i >= 0 {
				t.Errorf("%s holds %q: …%s…", where, v, text[max(0, i-200):min(len(text), i+len(v)+50)])
				return
			}
		}
	}
	look("the log", log)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Base(path) == config.FileName {
			return err
		}
		text, err := os.ReadFile(path)
		look(path, text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d values are in none of %d bytes", len(values), size)
}

// protectedConfig is a configuration of one account and plain text files.
func protectedConfig(t *testing.T, dir, vendor string, source, columns map[string]any) *config.Config {
	t.Helper()
	columns["hash_key"] = "literal:" + strings.Repeat("k", 32)
	source["type"], source["columns"] = vendor, columns
	text, err := yaml.Marshal(map[string]any{
		"version": config.Version, "sources": map[string]any{"account": source},
		"destinations": map[string]any{"lake": map[string]any{"type": "files", "path": "lake", "format": "csv", "compression": "none"}},
		"syncs":        []any{map[string]any{"name": "s", "source": "account", "destination": "lake"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, config.FileName)
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(path, config.Options{Sources: connectors.Sources(), Destinations: connectors.Destinations()})
	if err != nil {
		t.Fatal(fmt.Errorf("%w\n%s", err, text))
	}
	return c
}
