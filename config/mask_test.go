package config

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/martsync/martsync"
)

type mixerOptions struct {
	Path     string            `yaml:"path" martsync:"path"`
	Format   string            `yaml:"format" jsonschema:"title=Format,description=How it is written: parquet\\, csv.,enum=,enum=parquet,enum=csv,enum=ndjson"`
	Password martsync.Secret   `yaml:"password"`
	Headers  map[string]string `yaml:"headers"`
	Rotate   struct {
		Rows int `yaml:"rows"`
	} `yaml:"rotate"`
}

// mixer are options with a destination that has a bit of everything.
func mixer() Options {
	o := connectors(new([]any))
	o.Destinations = append(o.Destinations, martsync.DestinationConnector{Name: "mixer", NewConfig: func() any { return new(mixerOptions) }})
	return o
}

// problemsOf loads a file whose destinations are these lines.
func problemsOf(t interface{ Fatalf(string, ...any) }, lines string, o Options) Problems {
	text := "version: 1\ndestinations:\n" + lines + "\n"
	_, err := parse(FileName, []byte(text), lookup{getenv: o.environment(), dir: "."}, o)
	var found Problems
	if err != nil && !errors.As(err, &found) {
		t.Fatalf("got %v, want Problems", err)
	}
	return found
}

func TestExcerptOfFlowMappings(t *testing.T) {
	for name, tc := range map[string]struct{ lines, want string }{
		"misspelt key": {
			`  mart: {type: mixer, path: out, password: hunter2, fromat: csv}`,
			"    3 |   mart: {type: mixer, path: out, password: …, fromat: …}\n      |                                               ^^^^^^",
		},
		"value": {
			`  mart: { type: mixer, password: "hun, ter: 2", rotate: {rows: x}, path: 'a''b' } # hunter2`,
			"    3 |   mart: { type: mixer, password: …, rotate: {rows: …}, path: 'a''b' } …\n      |                                                    ^",
		},
		"word": {
			`  mart: {type: mixer, format: parqet, password: "${PASSWORD}"}`,
			"    3 |   mart: {type: mixer, format: parqet, password: \"${PASSWORD}\"}\n      |                               ^^^^^^",
		},
		"not a word": {
			`  mart: {type: mixer, format: hunter2hunter2}`,
			"    3 |   mart: {type: mixer, format: …}\n      |                               ^",
		},
		"word of a block": {
			"  mart:\n    type: mixer\n    format: parqet",
			"    5 |     format: parqet\n      |             ^^^^^^",
		},
		"goes on": {
			"  mart: {type: mixer, password: x,\n    path: out, password2: hunter2, format: parqet}",
			"    4 |     path: out, password2: …, format: …}\n      |                ^^^^^^^^^",
		},
		"a scalar with members": {
			`  mart: {type: mixer, password: {name: hunter2}}`,
			"    3 |   mart: …\n      |         ^",
		},
		"a map of anything": {
			`  mart: {type: mixer, format: parqet, headers: {name: hunter2}}`,
			"    3 |   mart: …\n      |         ^",
		},
		"after a mapping": {
			`  mart: {type: mixer, rotate: {rows: 5}, paht: x, path: y}`,
			"    3 |   mart: {type: mixer, rotate: {rows: …}, paht: …, path: y}\n      |                                          ^^^^",
		},
	} {
		t.Run(name, func(t *testing.T) {
			o := mixer()
			o.Getenv = environment("PASSWORD", "x")
			found := problemsOf(t, tc.lines, o)
			if len(found) == 0 {
				t.Fatal("got no problem")
			}
			if diff := cmp.Diff(tc.want, found[0].Excerpt()); diff != "" {
				t.Errorf("%v (-want +got):\n%s", found[0], diff)
			}
		})
	}
}

func TestWords(t *testing.T) {
	for _, tc := range []struct{ text, got, want, hint string }{
		{"parqet", "", "format must be parquet, csv or ndjson", `Did you mean "parquet"?`},
		{"swordfish", "", "format must be parquet, csv or ndjson", "Use one of parquet, csv or ndjson."},
		{"CSV", "csv", "", ""},
		{"ndjson", "ndjson", "", ""},
		{`""`, "", "", ""},
	} {
		text := "version: 1\ndestinations:\n  mart:\n    type: mixer\n    format: " + tc.text + "\n"
		c, err := parse(FileName, []byte(text), lookup{getenv: environment(), dir: "."}, mixer())
		if tc.want == "" {
			if err != nil || c.Destinations[0].Options.(*mixerOptions).Format != tc.got {
				t.Errorf("%s: got %+v, %v, want %q", tc.text, c, err, tc.got)
			}
			continue
		}
		if err == nil || martsync.KindOf(err) != martsync.Config || !strings.Contains(err.Error(), tc.want) || martsync.HintOf(err) != tc.hint {
			t.Errorf("%s: got %v with hint %q, want %q with %q", tc.text, err, martsync.HintOf(err), tc.want, tc.hint)
		}
	}
	// The environment says such words too.
	o := mixer()
	o.Getenv = environment("MARTSYNC_DESTINATIONS_MART_FORMAT", "cvs")
	found := problemsOf(t, "  mart: {type: mixer}", o)
	if len(found) != 1 || found[0].Source != "environment variable MARTSYNC_DESTINATIONS_MART_FORMAT" || found[0].Hint != `Did you mean "csv"?` {
		t.Errorf("from the environment: got %v, want one problem", found)
	}
}

// TestNoSecretInExcerpts writes mappings in many ways, with a mistake somewhere, and looks for the secrets.
func TestNoSecretInExcerpts(t *testing.T) {
	const secret = "hunter2hunter2"
	o := mixer()
	rapid.Check(t, func(t *rapid.T) {
		quote := func(s string) string {
			return fmt.Sprintf(rapid.SampledFrom([]string{"%s", "%s ", `"%s"`, "'%s'", `"a\"%s"`, "'a''%s'", "[%s]", "[a, %s, b]"}).Draw(t, "quote"), s)
		}
		entries := []string{
			"password: " + quote(secret), `"password": ` + quote(secret), "headers: {name: " + quote(secret) + "}", "headers: {type: x, path: " + quote(secret) + "}",
			"path: " + quote("out"), "format: " + quote("parqet"), "format: " + quote(secret), "pasword: " + quote(secret), "rotate: {rows: " + quote("x") + "}",
			"rotate: {rows: " + quote(secret) + "}", "path: out # " + secret,
		}
		chosen := rapid.SliceOfN(rapid.SampledFrom(entries), 1, 5).Draw(t, "entries")
		between := rapid.SampledFrom([]string{", ", ",", ",\n    ", " ,\n      "}).Draw(t, "between")
		lines := "  mart: {type: mixer" + between + strings.Join(chosen, between) + "}"
		if rapid.Bool().Draw(t, "block") {
			lines = "  mart:\n    type: mixer\n    " + strings.Join(chosen, "\n    ")
		}
		for _, p := range problemsOf(t, lines, o) {
			if text := p.Error() + p.Hint + p.Excerpt(); strings.Contains(text, secret) {
				t.Fatalf("of\n%s\nthe secret is shown:\n%s", lines, text)
			}
		}
	})
}

// TestOptionWords is about which options hold others: what stands below those that hold none is hidden.
func TestOptionWords(t *testing.T) {
	o := mixer()
	words := o.optionWords()
	for name, closed := range map[string]bool{"password": true, "headers": true, "rotate": false, "rows": true, "path": true, "streams": true} {
		if got, known := words[name]; !known || got != closed {
			t.Errorf("%s: got %v, known %v, want %v", name, got, known, closed)
		}
	}
	if !slices.Contains(optionNames(optionsOf(reflect.TypeFor[mixerOptions]())), "rotate") {
		t.Error("the options of the test have changed")
	}
}
