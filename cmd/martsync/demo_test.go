//go:build cgo && !lite

package main

import (
	"database/sql"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/connectors"
	"github.com/martsync/martsync/internal/truth"
)

// TestDemo runs the whole demonstration, once, for its JSON, its report and its file.
func TestDemo(t *testing.T) {
	path := filepath.Join(t.TempDir(), "demo.duckdb")
	var stdout, stderr strings.Builder
	none := func(string) string { return "" }
	code := run(t.Context(), []string{"demo", "--rows", "150", "--path", path, "--json"}, strings.NewReader(""), &stdout, &stderr, none)
	if code != martsync.ExitOK || stderr.Len() > 0 {
		t.Errorf("exit code %d and on stderr %q, want 0 and nothing\n%s", code, stderr.String(), stdout.String())
	}
	var result demoResult
	if err := json.Unmarshal([]byte(stdout.String()), &result); err != nil {
		t.Fatal(err)
	}
	if !result.OK || len(result.Vendors) != len(connectors.Simulators()) || len(result.Queries) < 3 {
		t.Errorf("ok %v, %d vendors, %d queries; want true, %d, at least 3", result.OK, len(result.Vendors), len(result.Queries), len(connectors.Simulators()))
	}
	for _, v := range result.Vendors {
		if !v.First.ok() || !v.Second.ok() || len(v.Changes) == 0 || len(v.Views) == 0 {
			t.Errorf("%s: got %+v, want two perfect copies, changes and views", v.Name, v)
		}
		for i := range v.Second.Tables {
			if table := &v.Second.Tables[i]; table.Rows+table.Deleted == 0 {
				t.Errorf("%s: table %s is empty, so that its comparison proves nothing", v.Name, table.Table)
			}
		}
	}

	a, printed, _ := newApp()
	if err := (&demo{a: a}).print(&result); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"What was moved", "✓ 1st sync  ✓ 2nd sync", "in quarantine", "API calls of 50,000 a day", "Changes", "Query 3",
		"✓ Complete.", "martsync init",
	} {
		if !strings.Contains(printed.String(), want) {
			t.Errorf("the report lacks %q", want)
		}
	}
	if strings.Contains(printed.String(), "✗") || strings.Contains(printed.String(), "\x1b") {
		t.Error("the report of a perfect copy has crosses, or colours without a terminal")
	}

	// A table that is short shows, and so does its example.
	result.OK = false
	result.Vendors[0].First.Tables[0].Missing = 1
	result.Vendors[0].First.Tables[0].Examples = []truth.Example{{Kind: "missing", Key: "4711"}}
	printed.Reset()
	if err := (&demo{a: a}).print(&result); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"✗ 1st sync", "missing 4711", "✗ Not a perfect copy"} {
		if !strings.Contains(printed.String(), want) {
			t.Errorf("the report of an imperfect copy lacks %q", want)
		}
	}
	if err := replaceDemo(t.Context(), path); err != nil {
		t.Errorf("the next demo would not replace the file: %v", err)
	}
}

// TestReplaceDemo: a demo replaces the file of an earlier one and nothing else.
func TestReplaceDemo(t *testing.T) {
	for _, tc := range []struct {
		name, statement string
		replaced        bool
	}{
		{"a file that a demo made", demoMark, true},
		{"somebody's database", "CREATE TABLE customers (id INTEGER)", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "x.duckdb")
			db, err := sql.Open("duckdb", path)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := db.ExecContext(t.Context(), tc.statement); err != nil {
				t.Fatal(err)
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			err = replaceDemo(t.Context(), path)
			if _, stat := os.Stat(path); os.IsNotExist(stat) != tc.replaced {
				t.Errorf("the file is gone: %v, want %v", os.IsNotExist(stat), tc.replaced)
			}
			if tc.replaced && err != nil {
				t.Errorf("got %v, want no error", err)
			}
			if !tc.replaced && martsync.KindOf(err) != martsync.Config {
				t.Errorf("got %v, want an error of kind config", err)
			}
		})
	}
}

func TestDemoSyncOK(t *testing.T) {
	perfect, short := truth.Report{Table: "a", Truth: 1, Rows: 1, Equal: 1}, truth.Report{Table: "b", Truth: 1, Missing: 1}
	sound, unsound := ledgerSum{Stream: "a", OK: true}, ledgerSum{Stream: "b"}
	for _, tc := range []struct {
		name string
		s    demoSync
		want bool
	}{
		{"perfect", demoSync{Tables: []truth.Report{perfect}, Ledger: []ledgerSum{sound}}, true},
		{"one table is short", demoSync{Tables: []truth.Report{perfect, short}, Ledger: []ledgerSum{sound}}, false},
		{"the ledger does not add up", demoSync{Tables: []truth.Report{perfect}, Ledger: []ledgerSum{sound, unsound}}, false},
		{"nothing was compared", demoSync{Ledger: []ledgerSum{sound}}, false},
	} {
		if got := tc.s.ok(); got != tc.want {
			t.Errorf("%s: got %v, want %v", tc.name, got, tc.want)
		}
	}
}

// TestDemoQueries: queries are of simulators that there are.
func TestDemoQueries(t *testing.T) {
	known := map[string]bool{}
	for _, s := range connectors.Simulators() {
		known[s.Name] = true
	}
	for name, queries := range demoQueries {
		if !known[name] || len(queries) < 3 {
			t.Errorf("%s: a simulator of that name: %v; %d queries, want 3", name, known[name], len(queries))
		}
	}
}
