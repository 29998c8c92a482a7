package config

import (
	"slices"
	"strings"
	"testing"
)

func TestRepair(t *testing.T) {
	read := func(sync string) (*Config, error) {
		var opened []any
		return parse("martsync.yaml", []byte(`version: 1
sources: {web: {type: shop, client_secret: x}}
destinations: {mart: {type: file, path: mart.db}}
syncs:
  - {name: daily, source: web, destination: mart`+sync+"}\n"), lookup{getenv: func(string) string { return "" }, dir: "/etc/martsync"}, connectors(&opened))
	}
	for _, c := range []struct {
		name, sync string
		repair     []string
		most       int
	}{
		{"nothing", "", nil, DefaultRepairMost},
		{"a list", ", repair: [missing-leads, missing_prospects]", []string{"missing-leads", "missing_prospects"}, DefaultRepairMost},
		{"one", ", repair: missing-leads, repair_most: 600", []string{"missing-leads"}, 600},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := read(c.sync)
			if err != nil {
				t.Fatal(err)
			}
			if s := got.Syncs[0]; !slices.Equal(s.Repair, c.repair) || s.RepairMost != c.most {
				t.Errorf("got %q, most %d, want %q, %d", s.Repair, s.RepairMost, c.repair, c.most)
			}
		})
	}
	for sync, want := range map[string]string{
		", repair: [\"a b\"]":                      "nothing that can be repaired",
		", repair_most: 5":                         "no meaning without repair",
		", repair: missing-leads, repair_most: -1": "repair_most is -1",
	} {
		if _, err := read(sync); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want an error about %q", sync, err, want)
		}
	}
}
