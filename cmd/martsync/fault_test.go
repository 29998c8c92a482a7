//go:build cgo && !lite

package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/connectors"
	"github.com/martsync/martsync/internal/crash"
)

// strikes says how often a fault strikes, of all vendors or of one: as often as a sync can bear that is to end on the same
// day, alone and among others: each after another prime, so that none hides behind another one. A fault that is not named
// strikes each time it can.
var strikes = map[string]struct{ alone, amongOthers string }{
	"marketo/code": {"code:code=606,every=7", "code:code=606,every=37"}, "pardot/code": {"code:code=66,every=7", "code:code=66,every=37"},
	"status": {"status:every=5", "status:every=29"}, "html": {"html:every=7", "html:every=41"}, "empty": {"empty:every=9", "empty:every=31"},
	"broken": {"broken:every=9", "broken:every=47"}, "cut": {"cut:every=5", "cut:every=43"}, "drop": {"drop:every=5", "drop:every=37"},
	"slow": {"slow:every=9", "slow:every=23"}, "hang": {"hang:nth=40", "hang:nth=40"}, "expire": {"expire:every=40", "expire:nth=53"},
	"login": {"login:nth=1", "login:nth=1"}, "json": {"json:every=3", "json:every=7"}, "gone": {"gone:nth=2", "gone:nth=2"},
	"noresult": {"noresult:every=3", "noresult:every=7"}, "nocreate": {"nocreate:nth=2", "nocreate:nth=2"}, "pardot/nocreate": {"nocreate:every=2", "nocreate:nth=2"},
	"noreply": {"noreply:every=2", "noreply:nth=3"}, "fail": {"fail:nth=2", "fail:nth=4"}, "stuck": {"stuck:nth=2", "stuck:nth=3"}, "lost": {"lost:times=0", "lost:nth=3"},
}

// hands is how many demonstrations share the faults of a vendor by day.
const hands = 2

// TestEveryFaultEndsComplete is the demonstration with the faults that the simulators know: the tables equal the truth all
// the same. By day each vendor's are dealt out to a few demonstrations; at night each has one of its own.
func TestEveryFaultEndsComplete(t *testing.T) {
	for _, s := range connectors.Simulators() {
		dealt := make([][]string, hands)
		for i, f := range s.Faults {
			if crash.Nightly() {
				t.Run(s.Name+"/"+f.Name, func(t *testing.T) { endsComplete(t, s.Name, f.Name) })
			}
			dealt[i%hands] = append(dealt[i%hands], f.Name)
		}
		for i, faults := range dealt {
			t.Run(fmt.Sprintf("%s/%d of %d", s.Name, i+1, hands), func(t *testing.T) {
				if i > 0 || s.Name == "marketo" {
					long(t) // TestDemo is the same without faults
				}
				endsComplete(t, s.Name, faults...)
			})
		}
	}
}

// endsComplete runs the demonstration of a vendor that has these faults.
func endsComplete(t *testing.T, vendor string, faults ...string) {
	t.Parallel()
	args := []string{"demo", "--vendor", vendor, "--rows", "60", "--path", filepath.Join(t.TempDir(), "demo.duckdb"), "--json"}
	for _, name := range faults {
		often, named := strikes[vendor+"/"+name]
		if !named {
			often = strikes[name]
		}
		rule := often.amongOthers
		if len(faults) == 1 {
			rule = often.alone
		}
		args = append(args, "--fault", cmp.Or(rule, name+":times=0"))
	}
	var stdout, stderr strings.Builder
	none := func(string) string { return "" }
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute) // who tries again for ever has lost
	defer cancel()
	code := run(ctx, args, strings.NewReader(""), &stdout, &stderr, none)
	var result demoResult
	if err := json.Unmarshal([]byte(stdout.String()), &result); err != nil {
		log := stderr.String()
		t.Fatalf("exit code %d, %v\n%s", code, err, log[max(0, len(log)-4000):])
	}
	spoils := slices.Contains(faults, "columns") || slices.Contains(faults, "misfit")
	if code == martsync.ExitData && spoils && onlyUnmarked(&result) {
		code, result.OK = martsync.ExitOK, true
	}
	if code != martsync.ExitOK {
		t.Fatalf("exit code %d, want 0\n%s\n%s", code, stderr.String(), stdout.String())
	}
	struck, quarantined := map[string]int{}, int64(0)
	for _, v := range result.Vendors {
		maps.Copy(struck, v.Faults)
		for _, l := range v.Second.Ledger {
			quarantined += l.Quarantined
		}
	}
	if !result.OK {
		t.Error("it is not complete")
	}
	for _, name := range faults {
		if struck[name] == 0 {
			t.Errorf("the fault %s never struck", name)
		}
	}
	t.Logf("the faults struck so often: %v", struck)
	if spoils != (quarantined > 0) {
		t.Errorf("%d rows in quarantine, want some: %v", quarantined, spoils)
	}
}

// onlyUnmarked reports whether all that the tables lack is the mark that a row was deleted. Where a listing has rows that could
// not be read nobody can say what it does not have, so nothing is marked.
func onlyUnmarked(result *demoResult) bool {
	for _, v := range result.Vendors {
		for _, r := range append(v.First.Tables, v.Second.Tables...) {
			if r.Missing+r.Extra+r.Doubled > 0 {
				return false
			}
			for _, e := range r.Examples {
				if e.Column != martsync.Deleted || e.Got != "false" {
					return false
				}
			}
		}
	}
	return true
}

func TestUnknownFaultOfTheDemo(t *testing.T) {
	var stdout, stderr strings.Builder
	none := func(string) string { return "" }
	path := filepath.Join(t.TempDir(), "demo.duckdb")
	code := run(t.Context(), []string{"demo", "--path", path, "--fault", "cute"}, strings.NewReader(""), &stdout, &stderr, none)
	if code != martsync.ExitConfig || !strings.Contains(stderr.String(), `fault "cute" is not known`) {
		t.Errorf("exit code %d and %q, want 2 and the name", code, stderr.String())
	}
}
