package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/martsync/martsync/config"
	"github.com/martsync/martsync/internal/connectors"
	"github.com/martsync/martsync/internal/report"
	"github.com/martsync/martsync/schedule"
)

// commandLine finds calls of the program: in blocks of code, units and crontabs, and in lists of arguments.
var commandLine = regexp.MustCompile(`(?m)^(?:    .*?|ExecStart=.*?|.*?\$HOME/bin/)\bmartsync ([a-z].*)$`)

// TestPlacePages: every command on the pages about places is one, with flags that it has, and what they say about schedules and
// configurations is taken.
func TestPlacePages(t *testing.T) {
	for page, least := range map[string]int{"laptop": 8, "kubernetes": 0} {
		text, err := os.ReadFile(filepath.Join("..", "..", "docs", "places", page+".md"))
		if err != nil {
			t.Fatal(err)
		}
		calls := commandLine.FindAllStringSubmatch(string(text), -1)
		if len(calls) < least {
			t.Errorf("%s: found %d commands, want at least %d", page, len(calls), least)
		}
		for _, call := range calls {
			if err := checkCall(call[1]); err != nil {
				t.Errorf("%s: martsync %s: %v", page, call[1], err)
			}
		}
		for _, list := range regexp.MustCompile(`(?s)<array>(.*?)</array>`).FindAllStringSubmatch(string(text), -1) {
			var args []string
			for _, s := range regexp.MustCompile(`<string>(.*?)</string>`).FindAllStringSubmatch(list[1], -1) {
				args = append(args, s[1])
			}
			if err := checkCall(strings.Join(args[1:], " ")); err != nil {
				t.Errorf("%s: %q: %v", page, args, err)
			}
		}
		for _, cron := range regexp.MustCompile("(?s)```cron\n((?:\\S+ +){5})").FindAllStringSubmatch(string(text), -1) {
			if _, err := schedule.Parse(strings.TrimSpace(cron[1])); err != nil {
				t.Errorf("%s: %q: %v", page, cron[1], err)
			}
		}
		for _, syncs := range regexp.MustCompile("(?ms)^```yaml\n(syncs:.*?)^```").FindAllStringSubmatch(string(text), -1) {
			loadText(t, page, "version: 1\nsources:\n  marketo: {type: marketo, endpoint: 123-ABC-456, client_id: x, client_secret: y}\n"+
				"destinations:\n  mart: {type: files, path: mart}\n"+syncs[1])
		}
	}
	if checkCall("sync --no-such-flag") == nil || checkCall("snyc") == nil {
		t.Error("commands that do not exist are taken")
	}
}

// checkCall reports what is wrong with the words of a call, but for what only running it tells.
func checkCall(line string) error {
	line, _, _ = strings.Cut(line, " >>")
	line, _, _ = strings.Cut(line, " && ")
	line, _, _ = strings.Cut(line, " #")
	none := func(string) string { return "" }
	a := &app{out: report.NewOutput(io.Discard, none), err: report.NewOutput(io.Discard, none), getenv: none}
	c, args, err := a.rootCommand().Find(strings.Fields(line))
	if err != nil {
		return err
	}
	if !c.HasParent() {
		return errors.New("there is no such command")
	}
	return c.ParseFlags(args)
}

// chartArgs finds the arguments of a container in a rendering of the chart.
var chartArgs = regexp.MustCompile(`(?m)^ +args:\n((?: +- ".*"\n)+)`)

// TestChartConfigurations: the configurations and the arguments in the renderings of the Helm chart are taken.
func TestChartConfigurations(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("..", "..", "deploy", "k8s", "testdata", "golden", "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		calls := chartArgs.FindAllStringSubmatch(string(text), -1)
		if len(calls) < 2 {
			t.Errorf("%s: found the arguments of %d containers, want at least 2", path, len(calls))
		}
		for _, call := range calls {
			args := strings.NewReplacer(`- "`, "", `"`, "").Replace(call[1])
			if err := checkCall(args); err != nil {
				t.Errorf("%s: %s: %v", path, args, err)
			}
		}
		for d := yaml.NewDecoder(bytes.NewReader(text)); ; {
			var o struct {
				Kind string
				Data map[string]string
			}
			if err := d.Decode(&o); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("%s: %v", path, err)
			}
			if text, ok := o.Data["martsync.yaml"]; ok && o.Kind == "ConfigMap" {
				found++
				if strings.Contains(text, "type: duckdb") && !withDuckDB {
					continue
				}
				loadText(t, path, text)
			}
		}
	}
	if found < 4 {
		t.Errorf("found %d configurations, want at least 4", found)
	}
}

// loadText reads a configuration whose variables all have a value.
func loadText(t *testing.T, what, text string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "martsync.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	set := func(name string) string {
		if strings.HasPrefix(name, "MARTSYNC_") { // which would replace what is there
			return ""
		}
		return "https://example.com"
	}
	_, err := config.Load(path, config.Options{Sources: connectors.Sources(), Destinations: connectors.Destinations(), Getenv: set})
	if err != nil {
		t.Errorf("%s: %v\n%s", what, err, text)
	}
}
