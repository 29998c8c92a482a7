package config

import (
	"strings"
	"testing"
)

// Two sources in one table would hide each other's records; two syncs of one source may share a schema.
func TestTablesOfTwoSources(t *testing.T) {
	for _, c := range []struct {
		name, first, second string
		clash               bool
	}{
		{"everything of both", "source: web", "source: app", true},
		{"schemas that are named alike", "source: web, schema: a", "source: app, schema: A", true},
		{"schemas of their own", "source: web, schema: a", "source: app, schema: b", false},
		{"one without a schema", "source: web", "source: app, schema: b", false},
		{"another destination", "source: web", "source: app, destination: lake", false},
		{"one source", "source: web", "source: web", false},
		{"streams of their own", "source: web, streams: [leads, lists]", "source: app, streams: [prospects]", false},
		{"a stream of both", "source: web, streams: [leads, lists]", "source: app, streams: [lists]", true},
		{"a pattern", "source: web, streams: list*", "source: app, streams: [prospects, lists]", true},
		{"a pattern for others", "source: web, streams: list*", "source: app, streams: [prospects]", false},
		{"patterns that may meet", "source: web, streams: list*", "source: app, streams: '*s'", true},
		{"patterns that begin alike", "source: web, streams: list*", "source: app, streams: 'lists_*'", true},
		{"patterns that cannot meet", "source: web, streams: list*", "source: app, streams: 'visit*'", false},
		{"everything but that", "source: web, exclude: lists", "source: app, streams: [lists]", false},
		{"that is not wanted after all", "source: web, streams: [lists]", "source: app, streams: [lists, visits], exclude: li*", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, order := range [][2]string{{c.first, c.second}, {c.second, c.first}} {
				text := "version: 1\nsources: {web: {type: shop, client_secret: x}, app: {type: shop, client_secret: x}}\n" +
					"destinations: {mart: {type: file, path: mart.db}, lake: {type: file, path: lake.db}}\nsyncs:\n"
				for i, s := range order {
					if !strings.Contains(s, "destination:") {
						s += ", destination: mart"
					}
					text += "  - {name: " + []string{"one", "two"}[i] + ", " + s + "}\n"
				}
				var opened []any
				_, err := parse("martsync.yaml", []byte(text), lookup{getenv: func(string) string { return "" }, dir: "/etc/martsync"}, connectors(&opened))
				switch {
				case !c.clash && err != nil:
					t.Errorf("%s: got %v, want none", order, err)
				case c.clash && (err == nil || !strings.Contains(err.Error(), "sync two of source") || !strings.Contains(err.Error(), "into the tables of sync one")):
					t.Errorf("%s: got %v, want that they share tables", order, err)
				}
			}
		})
	}
}
