//go:build cgo && !lite

package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/audit"
	"github.com/martsync/martsync/config"
	"github.com/martsync/martsync/internal/connectors"
	"github.com/martsync/martsync/simulate"
)

// TestRepairMissingLeads copies the last days of an account: activities name leads that have not changed in them, and some that
// are no more. Each sync reads some of those that are missing, until none is; then nothing is asked for any more. Whatever the
// destination, and with columns that are hashed.
func TestRepairMissingLeads(t *testing.T) {
	const most = 70
	for name, to := range map[string]map[string]any{
		"snowflake": nil,
		"duckdb":    {"type": "duckdb", "path": "mart.duckdb"},
		"parquet":   {"type": "files", "path": "lake"},
		"csv":       {"type": "files", "path": "lake", "format": "csv"},
		"latest":    {"type": "files", "path": "lake", "mode": "latest"},
	} {
		t.Run(name, func(t *testing.T) {
			if name != "duckdb" && name != "parquet" {
				long(t)
			}
			t.Parallel()
			clock := simulate.NewClock(demoStart)
			simulator := connectors.Simulators()[0]
			if simulator.Name != "marketo" {
				t.Fatalf("the first simulator is %s", simulator.Name)
			}
			m := newSnowMart(t, simulator, clock, 300)
			if to != nil {
				m.settings = to
			}
			m.from["columns"] = map[string]any{"hash": []string{"email"}, "hash_key": "literal:" + strings.Repeat("k", 32)}
			m.sync["streams"] = []string{"leads", "activities"}
			m.sync["start"] = demoStart.AddDate(0, 0, -12).Format(time.DateOnly)
			clock.Advance(30 * time.Minute)
			m.must("sync", "--json")
			exists := map[int64]bool{}
			for row := range m.account.Truth("leads") {
				if id, ok := row.Values["id"].(int64); ok && !row.Gone {
					exists[id] = true
				}
			}
			before := repairTables(t, m)
			lacked, real := 0, 0
			for id := range before.named {
				if _, there := before.leads[id]; !there {
					if lacked++; exists[id] {
						real++
					}
				}
			}
			if real <= most || real == lacked {
				t.Fatalf("of %d leads that are missing %d exist: the test looks at nothing", lacked, real)
			}

			// A flag, then the configuration.
			repair := func(args ...string) (audit.Repair, int64) {
				t.Helper()
				calls := m.calls.Load()
				text := m.must(append([]string{"sync", "--json"}, args...)...)
				var out struct{ Syncs []syncResult }
				if err := json.Unmarshal([]byte(text), &out); err != nil {
					t.Fatal(err)
				}
				if len(out.Syncs) != 1 || len(out.Syncs[0].Repairs) != 1 {
					t.Fatalf("got no repair of one view: %s", text)
				}
				return out.Syncs[0].Repairs[0], m.calls.Load() - calls
			}
			m.sync["repair"], m.sync["repair_most"] = "missing-leads", most
			first, _ := repair()
			if first.Missing != lacked || first.Stored+first.Gone != most || first.Left != lacked-most {
				t.Errorf("first repair: %+v, want %d of %d ids", first, most, lacked)
			}
			delete(m.sync, "repair")
			delete(m.sync, "repair_most")
			second, spent := repair("--repair", "Missing_Leads")
			if second.Missing != lacked-most || second.Stored+second.Gone != second.Missing || second.Left != 0 {
				t.Errorf("second repair: %+v, want all of %d", second, lacked-most)
			}
			third, idle := repair("--repair", "missing-leads")
			if third.Missing != 0 || idle >= spent {
				t.Errorf("third repair: %+v for %d calls, want nothing, for less than %d", third, idle, spent)
			}
			after := repairTables(t, m)
			for id := range after.named {
				alive, there := after.leads[id]
				if !there || alive != exists[id] {
					t.Errorf("lead %d: in the table %t, alive %t; it exists: %t", id, there, alive, exists[id])
				}
			}
			if after.hashed == 0 || after.plain > 0 {
				t.Errorf("%d addresses are hashed, %d are not", after.hashed, after.plain)
			}
			if text := m.must("logs", m.name); !strings.Contains(text, "missing_leads: of 0 ids") {
				t.Errorf("the log of the run does not tell of the repair:\n%s", text)
			}
			if code, _, errs := m.command("sync", "--repair", "missing-laeds"); code != martsync.ExitConfig || !strings.Contains(errs, "missing-leads") {
				t.Errorf("a misspelt name: exit code %d, %s; want %d and the right one", code, errs, martsync.ExitConfig)
			}
		})
	}
}

// repaired is what the tables hold: leads by id, whether they are alive, and the leads that activities name.
type repaired struct {
	leads         map[int64]bool
	named         map[int64]bool
	hashed, plain int
}

func repairTables(t *testing.T, m *snowMart) repaired {
	t.Helper()
	out := repaired{leads: map[int64]bool{}, named: map[int64]bool{}}
	c, err := config.Load(filepath.Join(m.dir, config.FileName), config.Options{Sources: connectors.Sources(), Destinations: connectors.Destinations()})
	if err != nil {
		t.Fatal(err)
	}
	d, err := c.Destinations[0].Open(t.Context(), m.name, m.env())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}()
	for stream, column := range map[string]string{"leads": "id", "activities": "lead_id"} {
		s, records, err := d.(martsync.TableReader).ReadTable(t.Context(), stream)
		if err != nil {
			t.Fatal(err)
		}
		at, mail := s.Index(column), s.Index("email")
		for r, err := range records {
			if err != nil {
				t.Fatal(err)
			}
			for i := range r.Len {
				id := r.Columns[at].Ints[i]
				if stream != "leads" {
					out.named[id] = true
					continue
				}
				out.leads[id] = r.Deleted == nil || !r.Deleted[i]
				if v := &r.Columns[mail]; !v.Null(i) {
					if text := string(v.Bytes(i)); strings.Contains(text, "@") {
						out.plain++
					} else {
						out.hashed++
					}
				}
			}
		}
	}
	return out
}
