//go:build cgo && !lite

package main

import (
	"cmp"
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/connectors"
	"github.com/martsync/martsync/internal/crash"
)

// often says how often each fault strikes, of all vendors or of one: as often as a sync can bear
// that is to end on the same day. A fault that is not named strikes each time it can.
var often = map[string]string{
	"marketo/code": "code:code=606,every=7", "pardot/code": "code:code=66,every=7", "html": "html:every=7", "drop": "drop:every=5",
	"login": "login:nth=1", "noreply": "noreply:every=2", "pardot/nocreate": "nocreate:every=2", "status": "status:every=5", "empty": "empty:every=9", "broken": "broken:every=9",
	"cut": "cut:every=5", "hang": "hang:nth=40", "slow": "slow:every=9", "expire": "expire:every=40", "json": "json:every=3",
	"gone": "gone:nth=2", "noresult": "noresult:every=3", "nocreate": "nocreate:nth=2", "fail": "fail:nth=2", "stuck": "stuck:nth=2",
}

// raced are the faults that are tried under the race detector, which makes a sync five times as
// slow; nil: all. One that a call is made again after, and one that a job is made anew after.
var raced []string

// sampled are the faults that are always tried with the vendor that has most streams, and takes longest: one for each
// way in which a source goes on.
var sampled = []string{"cut", "gone", "misfit", "code", "noreply", "fail", "html", "dup"}

// TestEveryFaultEndsComplete is the demonstration with each fault that the simulators know: the
// tables equal the truth all the same.
func TestEveryFaultEndsComplete(t *testing.T) {
	for _, s := range connectors.Simulators() {
		for _, f := range s.Faults {
			t.Run(s.Name+"/"+f.Name, func(t *testing.T) {
				if raced != nil && !slices.Contains(raced, f.Name) {
					t.Skip("tried without the race detector")
				}
				if s.Name == "marketo" && !slices.Contains(sampled, f.Name) && !crash.Nightly() {
					t.Skip("tried each night; package marketo tries it with single streams")
				}
				t.Parallel()
				fault := cmp.Or(often[s.Name+"/"+f.Name], often[f.Name], f.Name+":times=0")
				path := filepath.Join(t.TempDir(), "demo.duckdb")
				var stdout, stderr strings.Builder
				none := func(string) string { return "" }
				code := run(t.Context(), []string{"demo", "--vendor", s.Name, "--rows", "60", "--path", path, "--json", "--fault", fault}, strings.NewReader(""), &stdout, &stderr, none)
				var result demoResult
				if err := json.Unmarshal([]byte(stdout.String()), &result); err != nil {
					t.Fatalf("exit code %d, %v\n%s", code, err, stderr.String())
				}
				spoils := f.Name == "columns" || f.Name == "misfit"
				if code == martsync.ExitData && spoils && onlyUnmarked(&result) {
					code, result.OK = martsync.ExitOK, true
				}
				if code != martsync.ExitOK {
					t.Fatalf("exit code %d, want 0\n%s\n%s", code, stderr.String(), stdout.String())
				}
				struck, quarantined := 0, int64(0)
				for _, v := range result.Vendors {
					struck += v.Faults[f.Name]
					for _, l := range v.Second.Ledger {
						quarantined += l.Quarantined
					}
				}
				if !result.OK || struck == 0 {
					t.Errorf("complete: %v after the fault struck %d times, want complete after at least 1", result.OK, struck)
				}
				if spoils != (quarantined > 0) {
					t.Errorf("%d rows in quarantine, want some: %v", quarantined, spoils)
				}
			})
		}
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
