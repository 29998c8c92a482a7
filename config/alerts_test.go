package config

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/martsync/martsync"
)

type bellConfig struct {
	URL   martsync.Secret            `yaml:"url" jsonschema:"required"`
	Heads map[string]martsync.Secret `yaml:"heads"`
	File  string                     `yaml:"file" martsync:"path"`
	To    []string                   `yaml:"to"`
}

func bells() []AlertType {
	return []AlertType{{Name: "bell", Title: "A bell", NewConfig: func() any { return new(bellConfig) }}}
}

const alertsHead = `version: 1
sources: {web: {type: shop, client_secret: x}}
destinations: {mart: {type: file, path: mart.db}}
syncs:
  - {name: daily, source: web, destination: mart, schedule: "0 9 * * *", late_after: 26h}
  - {name: weekly, source: web, destination: mart}
alerts:
`

func parseAlerts(t *testing.T, text string, secrets map[string]SecretStore) (*Config, error) {
	t.Helper()
	var opened []any
	o := connectors(&opened)
	o.Alerts = bells()
	return parse("martsync.yaml", []byte(alertsHead+text), lookup{getenv: func(name string) string {
		return map[string]string{"BELL": "https://bell.example/secret"}[name]
	}, dir: "/etc/martsync", secrets: secrets}, o)
}

func TestAlerts(t *testing.T) {
	asked := 0
	c, err := parseAlerts(t, `
  - name: oncall
    type: bell
    url: env:BELL
    heads: {Authorization: "aws-ssm:/bell"}
    file: ca.pem
    to: [a, b]
    on: [failure, late]
    syncs: dai*
    remind: 12h
    quota: 90
    quarantine: 100
  - {name: all, type: bell, url: "literal:x"}
`, map[string]SecretStore{"aws-ssm": func(context.Context, string) (martsync.Secret, error) {
		asked++
		return "the token", nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	want := []Alert{
		{
			Name: "oncall", Type: "bell", On: []string{"failure", "late"}, Syncs: []string{"dai*"}, Remind: 12 * time.Hour, Quota: 90, Quarantine: 100,
			Options: &bellConfig{URL: "env:BELL", Heads: map[string]martsync.Secret{"Authorization": "aws-ssm:/bell"}, File: "/etc/martsync/ca.pem", To: []string{"a", "b"}},
		},
		{Name: "all", Type: "bell", Options: &bellConfig{URL: "literal:x"}},
	}
	if diff := cmp.Diff(want, c.Alerts, cmpopts.IgnoreUnexported(Alert{}), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("alerts (-want +got):\n%s", diff)
	}
	if c.Syncs[0].LateAfter != 26*time.Hour || c.Syncs[1].LateAfter != 0 {
		t.Errorf("late after %v and %v", c.Syncs[0].LateAfter, c.Syncs[1].LateAfter)
	}
	if asked != 0 {
		t.Error("a secret was asked for before it was needed")
	}
	resolved, err := c.Alerts[0].Resolve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if b := resolved.(*bellConfig); b.URL.Reveal() != "https://bell.example/secret" || b.Heads["Authorization"].Reveal() != "the token" {
		t.Errorf("resolved %q and %q", b.URL.Reveal(), b.Heads["Authorization"].Reveal())
	}
}

func TestAlertProblems(t *testing.T) {
	for _, tc := range []struct{ name, text, want, hint string }{
		{"no name", "  - {type: bell, url: x}", "an alert has no name", ""},
		{"a name that is none", "  - {name: 'a b', type: bell, url: x}", `"a b" cannot be a name`, "Use letters"},
		{"twice", "  - {name: a, type: bell, url: x}\n  - {name: a, type: bell, url: x}", `a second alert named "a"`, ""},
		{"no type", "  - {name: a, url: x}", "alert a has no type", "bell"},
		{"unknown type", "  - {name: a, type: bel, url: x}", `there is no alert of type "bel"`, "bell"},
		{"unknown event", "  - {name: a, type: bell, url: x, on: [failures]}", `there is no event "failures"`, "failure"},
		{"unknown sync", "  - {name: a, type: bell, url: x, syncs: [dayly]}", `names the sync "dayly"`, "daily"},
		{"a pattern that matches none", "  - {name: a, type: bell, url: x, syncs: 'm*'}", `names the sync "m*"`, ""},
		{"no pattern", "  - {name: a, type: bell, url: x, syncs: ['[']}", "is not a pattern", ""},
		{"unknown key", "  - {name: a, type: bell, url: x, remindd: 1d}", `unknown key "remindd"`, "remind"},
		{"unknown key of the type", "  - {name: a, type: bell, urll: x}", `unknown key "urll"`, "url"},
		{"percent", "  - {name: a, type: bell, url: x, quota: 101}", "quota of alert a is out of range", "1 to 100"},
		{"rows", "  - {name: a, type: bell, url: x, quarantine: -1}", "quarantine of alert a is out of range", ""},
		{"no list", "  oncall: {type: bell, url: x}", "alerts is a mapping; it must be a list", ""},
		{"no mapping", "  - oncall", "an alert is a single value; it must be a mapping", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := parseAlerts(t, tc.text+"\n", nil)
			var found Problems
			if !errors.As(err, &found) || len(found) != 1 || !strings.Contains(found[0].Message, tc.want) || !strings.Contains(found[0].Hint, tc.hint) {
				for _, p := range found {
					t.Logf("%s (%s)", p.Message, p.Hint)
				}
				t.Errorf("got %v, want one problem %q with hint %q", err, tc.want, tc.hint)
			}
		})
	}
}

func TestAlertsSchema(t *testing.T) {
	var opened []any
	o := connectors(&opened)
	text, err := JSONSchema(o.Sources, o.Destinations, bells()...)
	if err != nil {
		t.Fatal(err)
	}
	var schema struct {
		Properties struct {
			Alerts struct {
				Items struct {
					OneOf []struct {
						Properties map[string]json.RawMessage
						Required   []string
					}
				}
			}
		}
	}
	if err := json.Unmarshal(text, &schema); err != nil {
		t.Fatal(err)
	}
	shapes := schema.Properties.Alerts.Items.OneOf
	if len(shapes) != 1 {
		t.Fatalf("%d shapes, want 1:\n%s", len(shapes), text)
	}
	if diff := cmp.Diff([]string{"type", "url", "name"}, shapes[0].Required); diff != "" {
		t.Errorf("required (-want +got):\n%s", diff)
	}
	for key, want := range map[string]string{"type": `"const": "bell"`, "on": `"quarantine"`, "remind": "36h", "quota": `"integer"`, "url": `"string"`, "syncs": `"array"`} {
		if !strings.Contains(string(shapes[0].Properties[key]), want) {
			t.Errorf("%s is %s, want %s in it", key, shapes[0].Properties[key], want)
		}
	}
}
