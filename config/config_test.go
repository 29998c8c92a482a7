package config

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/martsync/martsync"
)

type shopConfig struct {
	Endpoint string            `yaml:"endpoint" jsonschema:"required,description=Where the shop is."`
	ClientID string            `yaml:"client_id"`
	Secret   martsync.Secret   `yaml:"client_secret"`
	Window   time.Duration     `yaml:"window"`
	Calls    int               `yaml:"calls"`
	Ratio    float64           `yaml:"ratio"`
	Strict   bool              `yaml:"strict"`
	Fields   []string          `yaml:"fields"`
	Headers  map[string]string `yaml:"headers"`
	Limits   struct {
		Jobs  *int              `yaml:"jobs"`
		Token []martsync.Secret `yaml:"token"`
	} `yaml:"limits"`
}

type fileConfig struct {
	Path string `yaml:"path" martsync:"path"`
}

// connectors are two that give back what they were opened with.
func connectors(opened *[]any) Options {
	return Options{
		Sources: []martsync.SourceConnector{martsync.NewSource("shop", "A shop",
			func(_ context.Context, c shopConfig, _ martsync.Env) (martsync.Source, error) {
				*opened = append(*opened, c)
				return nil, nil
			})},
		Destinations: []martsync.DestinationConnector{martsync.NewDestination("file", "A file",
			func(_ context.Context, c fileConfig, namespace string, _ martsync.Env) (martsync.Destination, error) {
				*opened = append(*opened, c, namespace)
				return nil, nil
			})},
	}
}

const good = `version: 1
sources:
  web:
    type: shop
    endpoint: https://shop.example
    client_id: 0123          # a text, with its zero
    client_secret: ${SHOP_SECRET}
    window: 1d12h
    calls: ${CALLS}
    ratio: 0.5
    strict: true
    fields: [id, name]
    headers: {X-A: "1", X-B: "$${plain}"}
    limits:
      jobs: 3
      token: [env:TOKEN, "file:token.txt", literal:env:x]
destinations:
  mart:
    type: file
    path: mart.db
syncs:
  - name: all
    source: web
    destination: mart
    schema: shop
    start: 2024-03-10
    streams: "*"
    exclude: activity_*
    schedule: "0 9 * * WED"
    timezone: America/Los_Angeles
  - name: some
    source: web
    destination: mart
    streams: [a, b]
`

func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func environment(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return ""
	}
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	path := write(t, dir, FileName, good)
	write(t, dir, ".env", "SHOP_SECRET='s3cret'\nCALLS=7\nTOKEN=from-dotenv\n")
	write(t, dir, "token.txt", "from-file\n")
	var opened []any
	o := connectors(&opened)
	o.Getenv = environment("CALLS", "9")
	c, err := Load(path, o)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := c.State.String(), filepath.Join(dir, ".martsync"); got != want {
		t.Errorf("state folder: got %s, want %s", got, want)
	}
	first, err := c.FindSync("all")
	if err != nil {
		t.Fatal(err)
	}
	if want := time.Date(2024, 3, 10, 8, 0, 0, 0, time.UTC); !first.Start.Equal(want) {
		t.Errorf("start: got %s, want midnight in Los Angeles, %s", first.Start, want)
	}
	if first.Schedule.String() != "0 9 * * WED" || first.Location.String() != "America/Los_Angeles" || c.Syncs[1].Schedule != nil {
		t.Errorf("schedules %v in %v and %v: want one in Los Angeles and none", first.Schedule, first.Location, c.Syncs[1].Schedule)
	}
	if len(first.Streams) != 0 || !cmp.Equal(first.Exclude, []string{"activity_*"}) {
		t.Errorf("streams %v, exclude %v: want all but activity_*", first.Streams, first.Exclude)
	}
	if _, err := first.Source.Open(t.Context(), martsync.Env{}); err != nil {
		t.Fatal(err)
	}
	if _, err := first.Destination.Open(t.Context(), first.Schema, martsync.Env{}); err != nil {
		t.Fatal(err)
	}
	jobs := 3
	want := shopConfig{
		Endpoint: "https://shop.example", ClientID: "0123", Secret: "s3cret", Window: 36 * time.Hour,
		Calls: 9, Ratio: 0.5, Strict: true, Fields: []string{"id", "name"},
		Headers: map[string]string{"X-A": "1", "X-B": "${plain}"},
	}
	want.Limits.Jobs = &jobs
	want.Limits.Token = []martsync.Secret{"from-dotenv", "from-file", "env:x"}
	if diff := cmp.Diff([]any{want, fileConfig{Path: filepath.Join(dir, "mart.db")}, "shop"}, opened); diff != "" {
		t.Errorf("opened with (-want +got):\n%s", diff)
	}
	if got := first.Source.Options.(*shopConfig).Limits.Token[0]; got != "env:TOKEN" {
		t.Errorf("opening changed the options: the token is %q", got.Reveal())
	}
}

func TestPrecedence(t *testing.T) {
	path := write(t, t.TempDir(), FileName, strings.NewReplacer("${SHOP_SECRET}", "from-file", "${CALLS}", "1").Replace(good))
	for _, tc := range []struct {
		name  string
		env   func(string) string
		set   []string
		calls int
		field string
	}{
		{"file", nil, nil, 1, "id name"},
		{"environment over file", environment("MARTSYNC_SOURCES_WEB_CALLS", "2", "MARTSYNC_SOURCES_WEB_FIELDS", "x, y"), nil, 2, "x y"},
		{"flag over environment", environment("MARTSYNC_SOURCES_WEB_CALLS", "2"), []string{"sources.web.calls=3"}, 3, "id name"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o := connectors(new([]any))
			o.Getenv, o.Set = tc.env, tc.set
			c, err := Load(path, o)
			if err != nil {
				t.Fatal(err)
			}
			got := c.Sources[0].Options.(*shopConfig)
			if got.Calls != tc.calls || strings.Join(got.Fields, " ") != tc.field {
				t.Errorf("got calls %d and fields %v, want %d and %s", got.Calls, got.Fields, tc.calls, tc.field)
			}
		})
	}
}

func TestSetNamesSyncs(t *testing.T) {
	path := write(t, t.TempDir(), FileName, strings.NewReplacer("${SHOP_SECRET}", "x", "${CALLS}", "1").Replace(good))
	o := connectors(new([]any))
	o.Set = []string{"syncs.some.start=2020-01-01"}
	c, err := Load(path, o)
	if err != nil {
		t.Fatal(err)
	}
	s, _ := c.FindSync("some")
	if got := s.Start.Format(time.DateOnly); got != "2020-01-01" {
		t.Errorf("start: got %s", got)
	}
}

// TestSetWhatTheFileLacks: options below others can be set though the file has nothing of them.
func TestSetWhatTheFileLacks(t *testing.T) {
	text := strings.NewReplacer("${SHOP_SECRET}", "x", "${CALLS}", "1").Replace(good)
	text, _, _ = strings.Cut(text, "    limits:")
	text += "destinations:\n  mart:\n    type: file\n"
	path := write(t, t.TempDir(), FileName, text)
	o := connectors(new([]any))
	o.Set = []string{"sources.web.limits.jobs=7"}
	c, err := Load(path, o)
	if err != nil {
		t.Fatal(err)
	}
	if jobs := c.Sources[0].Options.(*shopConfig).Limits.Jobs; jobs == nil || *jobs != 7 {
		t.Errorf("got %v jobs, want 7", jobs)
	}
	for set, want := range map[string]string{
		"sources.web.limts.jobs=7": `unknown key "limts" in source web`, "sources.wob.limits.jobs=7": "the configuration has no sources.wob",
		"sources.web.calls.jobs=7": "sources.web.calls.jobs cannot be set",
	} {
		o.Set = []string{set}
		if _, err := Load(path, o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("--set %s: got %v, want %q", set, err, want)
		}
	}
}

// TestProblems says for each mistake where it is, what it is and what to do.
func TestProblems(t *testing.T) {
	for _, tc := range []struct {
		name, old, replacement string
		line, column           int
		message, hint          string
	}{
		{"unknown key of a connector", "    window:", "    widnow:", 8, 5, `unknown key "widnow" in source web`, `Did you mean "window"?`},
		{"unknown top key", "syncs:", "sync:", 21, 1, `unknown key "sync" in the configuration`, `Did you mean "syncs"?`},
		{"unknown key of a sync", "    schedule:", "    shedule:", 29, 5, `unknown key "shedule" in sync all`, `Did you mean "schedule"?`},
		{"unknown nested key", "jobs: 3", "job: 3", 15, 7, `unknown key "job" in limits`, `Did you mean "jobs"?`},
		{"unknown type", "type: shop", "type: shoop", 4, 11, `there is no source of type "shoop"`, `Did you mean "shop"?`},
		{"no type", "    type: file\n", "", 18, 3, "destination mart has no type", "Add type: file."},
		{"unknown source", "source: web\n    destination: mart\n    schema", "source: wbe\n    destination: mart\n    schema", 23, 13, `sync all names the source "wbe", which is not among the sources`, `Did you mean "web"?`},
		{"unknown destination", "destination: mart\n    schema", "destination: marts\n    schema", 24, 18, `sync all names the destination "marts", which is not among the destinations`, `Did you mean "mart"?`},
		{"missing variable", "${CALLS}", "${NOWHERE}", 9, 12, "variable NOWHERE is not set", "Set it in the environment or in the file .env beside the configuration."},
		{"open variable", "${CALLS}", "${CALLS", 9, 12, `"${" without "}"; write "$${" for the characters themselves`, ""},
		{"not a number", "${CALLS}", "many", 9, 12, "calls must be a whole number", ""},
		{"not a duration", "1d12h", "soon", 8, 13, `window: "soon" is no duration; write it like 90s, 15m, 36h or 7d`, ""},
		{"a list for a text", "endpoint: https://shop.example", "endpoint: [a]", 5, 15, "endpoint is a list; it must be a single value", ""},
		{"no time zone", "America/Los_Angeles", "America/Los_Angels", 30, 15, `there is no time zone "America/Los_Angels"`, "Use a name like America/Los_Angeles or UTC."},
		{"no date", "start: 2024-03-10", "start: 2024-13-10", 26, 12, `start: "2024-13-10" is no time; write it like 2024-01-31 or 2024-01-31T08:00:00Z`, ""},
		{"start table without start", "    start: 2024-03-10", "    start: 2024-03-10\n    start_table: {minus: 2d}", 27, 18, "start_table has no meaning without start: table", "Write start: table as well, or leave start_table out."},
		{"start table nowhere", "    start: 2024-03-10", "    start: table\n    start_table: {destination: marts}", 27, 32, `sync all names the destination "marts", which is not among the destinations`, `Did you mean "mart"?`},
		{"start table too early", "    start: 2024-03-10", "    start: table\n    start_table: {minus: often}", 27, 26, `minus: "often" is no duration; write it like 90s, 15m, 36h or 7d`, ""},
		{"bad schedule", "0 9 * * WED", "0 25 * * WED", 29, 15, `schedule: "25" is no hour`, `Write five fields: minute hour day month weekday, like "0 9 * * WED".`},
		{"bad pattern", "activity_*", "'a[b'", 28, 14, `"a[b" is not a pattern`, `Use a stream's name or a pattern like "activity_*".`},
		{"same name twice", "name: some", "name: all", 31, 11, `a second sync named "all"`, "Give each sync a name of its own."},
		{"key twice", "    ratio: 0.5", "    ratio: 0.5\n    ratio: 0.6", 11, 5, `mapping key "ratio" already defined at [10:5]`, ""},
		{"other version", "version: 1", "version: 2", 1, 10, "this martsync reads version 1 of the configuration", "Write version: 1."},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if strings.Count(good, tc.old) == 0 {
				t.Fatalf("the test's text has no %q", tc.old)
			}
			path := write(t, t.TempDir(), FileName, strings.Replace(good, tc.old, tc.replacement, 1))
			o := connectors(new([]any))
			o.Getenv = environment("SHOP_SECRET", "x", "CALLS", "1")
			_, err := Load(path, o)
			var found Problems
			if !errors.As(err, &found) {
				t.Fatalf("got %v, want Problems", err)
			}
			if kind := martsync.KindOf(err); kind != martsync.Config {
				t.Errorf("kind: got %v, want config", kind)
			}
			p := found[0]
			if p.Line != tc.line || p.Column != tc.column || p.Message != tc.message || p.Hint != tc.hint {
				t.Errorf("got  %d:%d %q, hint %q\nwant %d:%d %q, hint %q", p.Line, p.Column, p.Message, p.Hint, tc.line, tc.column, tc.message, tc.hint)
			}
		})
	}
}

func TestStartTable(t *testing.T) {
	for name, tc := range map[string]struct {
		text string
		want StartTable // Destination left out
		dest string
	}{
		"alone":      {"start: table", StartTable{Schema: "shop", Minus: 24 * time.Hour}, "mart"},
		"everything": {"start: table\n    start_table: {destination: old, schema: raw, table: \"x_{stream}\", column: changed, minus: 36h}", StartTable{Schema: "raw", Table: "x_{stream}", Column: "changed", Minus: 36 * time.Hour}, "old"},
		"elsewhere":  {"start: table\n    start_table: {destination: old, minus: 0}", StartTable{}, "old"},
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.NewReplacer("start: 2024-03-10", tc.text, "destinations:\n", "destinations:\n  old:\n    type: file\n    path: old.db\n").Replace(good)
			path := write(t, t.TempDir(), FileName, text)
			o := connectors(new([]any))
			o.Getenv = environment("SHOP_SECRET", "x", "CALLS", "1", "TOKEN", "x")
			c, err := Load(path, o)
			if err != nil {
				t.Fatal(err)
			}
			s, err := c.FindSync("all")
			if err != nil {
				t.Fatal(err)
			}
			if s.StartTable == nil || !s.Start.IsZero() || s.StartTable.Destination.Name != tc.dest {
				t.Fatalf("got start %v and table %+v, want only a table of %s", s.Start, s.StartTable, tc.dest)
			}
			if d := cmp.Diff(tc.want, *s.StartTable, cmpopts.IgnoreFields(StartTable{}, "Destination")); d != "" {
				t.Errorf("start table (-want +got):\n%s", d)
			}
		})
	}
}

func TestProblemsAtOnce(t *testing.T) {
	text := strings.NewReplacer("window:", "widnow:", "type: file", "type: fiel").Replace(good)
	path := write(t, t.TempDir(), FileName, text)
	_, err := Load(path, connectors(new([]any)))
	var found Problems
	if !errors.As(err, &found) {
		t.Fatalf("got %v, want Problems", err)
	}
	var places []int
	for _, p := range found {
		places = append(places, p.Line)
	}
	if diff := cmp.Diff([]int{7, 8, 9, 19}, places); diff != "" {
		t.Errorf("lines with problems (-want +got):\n%s", diff)
	}
}

func TestExcerpt(t *testing.T) {
	path := write(t, t.TempDir(), FileName, strings.Replace(good, "window:", "widnow:", 1))
	o := connectors(new([]any))
	o.Getenv = environment("SHOP_SECRET", "x", "CALLS", "1")
	_, err := Load(path, o)
	var found Problems
	if !errors.As(err, &found) {
		t.Fatalf("got %v, want Problems", err)
	}
	want := "    8 |     widnow: …\n      |     ^^^^^^"
	if got := found[0].Excerpt(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestSecretsStayHidden puts a secret in the middle of every mistake that can be made on its
// line and looks for it in the error.
func TestSecretsStayHidden(t *testing.T) {
	const secret = "hunter2hunter2"
	for name, line := range map[string]string{
		"misspelt key":   "    client_secert: " + secret,
		"in a number":    "    calls: " + secret,
		"in a bool":      "    strict: " + secret,
		"broken quote":   "    client_secret: \"" + secret,
		"broken quote 2": "    client_secret: '" + secret,
		"bad indent":     "    client_secret: x\n     " + secret + ": y\n  z",
		"twice":          "    client_secret: " + secret + "\n    client_secret: " + secret,
		"a list":         "    client_secret: [" + secret + "]",
		"a mapping":      "    client_secret: {" + secret + ": " + secret + "}",
		"open variable":  "    client_secret: ${" + secret,
		"no colon":       "    client_secret " + secret,
		"tab":            "\tclient_secret: " + secret,
		"tag":            "    client_secret: !!int " + secret,
		"alias":          "    client_secret: *" + secret[:3],
		"in a harmless":  "    endpont: " + secret,
		"flow":           "    limits: {jobs: x, tokn: " + secret + "}",
		"flow 2":         "  b: {type: nothing, client_secret: " + secret + "}",
		"flow 3":         "  b: {type: nothing, name, " + secret + "}",
	} {
		t.Run(name, func(t *testing.T) {
			text := "version: 1\nsources:\n  web:\n    type: shop\n" + line + "\n"
			path := write(t, t.TempDir(), FileName, text)
			_, err := Load(path, connectors(new([]any)))
			var found Problems
			if !errors.As(err, &found) {
				t.Fatalf("got %v, want Problems", err)
			}
			all := err.Error() + martsync.HintOf(err)
			for _, p := range found {
				all += p.Error() + p.Hint + p.Excerpt()
			}
			if strings.Contains(all, secret) {
				t.Errorf("the secret is shown:\n%s", all)
			}
		})
	}
}

func TestNoFile(t *testing.T) {
	_, err := Load(filepath.Join(t.TempDir(), FileName), Options{})
	if martsync.KindOf(err) != martsync.Config || martsync.HintOf(err) == "" {
		t.Errorf("got %v of kind %v with hint %q, want kind config and a hint", err, martsync.KindOf(err), martsync.HintOf(err))
	}
}

func TestReferences(t *testing.T) {
	for _, tc := range []struct{ name, secret, wantErr string }{
		{"variable", "env:NOT_THERE", "open source web: client_secret: variable NOT_THERE, which env:NOT_THERE names, is not set"},
		{"no file", "file:/nowhere/secret", "open source web: client_secret: follow file:/nowhere/secret: open /nowhere/secret: no such file or directory"},
		{"later", "aws-ssm:/martsync/secret", "open source web: client_secret: this program cannot follow aws-ssm: references"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			path := write(t, t.TempDir(), FileName, strings.NewReplacer("${SHOP_SECRET}", tc.secret, "${CALLS}", "1").Replace(good))
			c, err := Load(path, connectors(new([]any)))
			if err != nil {
				t.Fatalf("loading follows no references, but got %v", err)
			}
			_, err = c.Sources[0].Open(t.Context(), martsync.Env{})
			if err == nil || err.Error() != tc.wantErr || martsync.KindOf(err) != martsync.Config {
				t.Errorf("got %v (%v)\nwant %s (config)", err, martsync.KindOf(err), tc.wantErr)
			}
		})
	}
}

func TestAnchors(t *testing.T) {
	const text = `version: 1
sources:
  a: &shop {type: shop, endpoint: x, calls: 4}
  b:
    <<: *shop
    calls: 5
`
	path := write(t, t.TempDir(), FileName, text)
	c, err := Load(path, connectors(new([]any)))
	if err != nil {
		t.Fatal(err)
	}
	if b := c.Sources[1].Options.(*shopConfig); b.Endpoint != "x" || b.Calls != 5 {
		t.Errorf("got %+v, want endpoint x and calls 5", b)
	}
}

func TestFind(t *testing.T) {
	c := &Config{Sources: []Source{{Name: "marketo"}, {Name: "pardot"}}}
	for _, tc := range []struct{ name, ask, wantErr, hint string }{
		{"found", "pardot", "", ""},
		{"nearest", "marketto", `find source: no source is named "marketto"`, `Did you mean "marketo"?`},
		{"which", "", "find source: there are 2; which one is meant", "Name one of marketo or pardot."},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, err := c.FindSource(tc.ask)
			if tc.wantErr == "" {
				if err != nil || s.Name != tc.ask {
					t.Errorf("got %q, %v", s.Name, err)
				}
				return
			}
			if err == nil || err.Error() != tc.wantErr || martsync.HintOf(err) != tc.hint {
				t.Errorf("got %v, hint %q\nwant %s, hint %q", err, martsync.HintOf(err), tc.wantErr, tc.hint)
			}
		})
	}
}

func TestJSONSchema(t *testing.T) {
	o := connectors(new([]any))
	text, err := JSONSchema(o.Sources, o.Destinations)
	if err != nil {
		t.Fatal(err)
	}
	var schema struct {
		Properties map[string]struct {
			AdditionalProperties struct {
				OneOf []struct {
					Properties map[string]struct {
						Const, Type any
						AnyOf       []struct{ Type string }
					}
					Required             []string
					AdditionalProperties bool
				}
			}
			Items struct {
				Properties map[string]any
				Required   []string
			}
		}
	}
	if err := json.Unmarshal(text, &schema); err != nil {
		t.Fatal(err)
	}
	shop := schema.Properties["sources"].AdditionalProperties.OneOf[0]
	if got := shop.Properties["type"].Const; got != "shop" {
		t.Errorf("type: got %v, want the constant shop", got)
	}
	if diff := cmp.Diff([]string{"type", "endpoint"}, shop.Required); diff != "" {
		t.Errorf("required (-want +got):\n%s", diff)
	}
	for _, name := range optionNames(optionsOf(o.configType())) {
		if _, ok := shop.Properties[name]; !ok {
			t.Errorf("the schema lacks option %s", name)
		}
	}
	if shop.AdditionalProperties {
		t.Error("the schema allows unknown options")
	}
	if got := shop.Properties["calls"].AnyOf; len(got) != 2 {
		t.Errorf("calls: got %v, want an integer or a variable", got)
	}
	if got := shop.Properties["client_secret"].Type; got != "string" {
		t.Errorf("client_secret: got type %v, want string", got)
	}
	if diff := cmp.Diff([]string{"name", "source", "destination"}, schema.Properties["syncs"].Items.Required); diff != "" {
		t.Errorf("required of a sync (-want +got):\n%s", diff)
	}
}

func TestOptionsOf(t *testing.T) {
	got := OptionsOf(connectors(new([]any)).Sources[0].NewConfig)
	var names []string
	for _, o := range got {
		names = append(names, o.Name)
	}
	if diff := cmp.Diff([]string{"endpoint", "client_id", "client_secret", "window", "calls", "ratio", "strict"}, names); diff != "" {
		t.Errorf("options (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(Option{Name: "endpoint", Title: "endpoint", Description: "Where the shop is.", Required: true}, got[0]); diff != "" {
		t.Errorf("endpoint (-want +got):\n%s", diff)
	}
	if !got[2].Secret || got[1].Secret {
		t.Errorf("secret options: got client_id %v and client_secret %v", got[1].Secret, got[2].Secret)
	}
}
