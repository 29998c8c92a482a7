package main

import (
	"encoding/json"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/destination/files"
	"github.com/martsync/martsync/internal/report"
	"github.com/martsync/martsync/raw"
	"github.com/martsync/martsync/runlog"
	"github.com/martsync/martsync/simulate"
	"github.com/martsync/martsync/source/marketo/marketosim"
)

// TestReplayCommand loses a mart and makes it again with the commands that people use: in its own place and in another
// one, from where a sync goes on; and it finds what was kept.
func TestReplayCommand(t *testing.T) {
	clock, pace := paced(3000)
	account, err := marketosim.New(marketosim.Config{Options: simulate.Options{Rows: 60, Seed: 2, Clock: clock}})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(account)
	t.Cleanup(server.Close)
	dir := t.TempDir()
	source := account.SourceConfig(server.URL)
	source["type"] = "marketo"
	text, err := yaml.Marshal(map[string]any{
		"version": 1,
		"sources": map[string]any{"marketo": source},
		"destinations": map[string]any{
			"mart": map[string]any{"type": "files", "path": "mart"}, "spare": map[string]any{"type": "files", "path": "spare"},
		},
		"syncs": []any{
			map[string]any{"name": "all", "source": "marketo", "destination": "mart", "raw": "sent", "streams": []string{"leads", "programs", "activities"}},
			map[string]any{"name": "bare", "source": "marketo", "destination": "spare"},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "martsync.yaml")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	command := func(want int, args ...string) (string, string) {
		t.Helper()
		var stdout, stderr strings.Builder
		if code := runReplayable(t, append(args, "-c", path, "--speed", pace), &stdout, &stderr); code != want {
			t.Fatalf("martsync %v: exit code %d, want %d\n%s\n%s", args, code, want, stderr.String(), stdout.String())
		}
		return stdout.String(), stderr.String()
	}
	tables := func(folder string) (all map[string][]string) {
		t.Helper()
		env := martsync.Env{Log: slog.New(slog.DiscardHandler), Clock: clock, TempDir: t.TempDir(), HTTP: server.Client()}
		d, err := files.Open(t.Context(), files.Config{Path: filepath.Join(dir, folder)}, "", env)
		if err != nil {
			t.Fatal(err)
		}
		all = map[string][]string{}
		for _, stream := range []string{"leads", "programs", "activities"} {
			schema, _, err := d.(martsync.TableReader).ReadTable(t.Context(), stream)
			if err != nil {
				t.Fatal(err)
			}
			schema.Columns = slices.DeleteFunc(schema.Columns, func(c martsync.Column) bool { return c.Name == martsync.SyncedAt || c.Name == martsync.Deleted })
			all[stream] = describeTable(t, d, schema)
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		return all
	}

	command(martsync.ExitOK, "sync", "all")
	want := tables("mart")
	calls := account.Stats().Calls
	command(martsync.ExitOK, "replay", "all", "--into", "spare")
	if diff := cmp.Diff(want, tables("spare")); diff != "" {
		t.Errorf("in another place (-synced +replayed):\n%s", diff)
	}
	if err := os.RemoveAll(filepath.Join(dir, "mart")); err != nil {
		t.Fatal(err)
	}
	out, _ := command(martsync.ExitOK, "replay", "all", "--json")
	var result syncResult
	if err := json.Unmarshal([]byte(out), &result); err != nil || !result.Done || len(result.Streams) != 3 {
		t.Errorf("result: %+v, %v", result, err)
	}
	if diff := cmp.Diff(want, tables("mart")); diff != "" {
		t.Errorf("in its own place (-synced +replayed):\n%s", diff)
	}

	out, _ = command(martsync.ExitOK, "replay", "all", "--list", "--json", "--stream", "activities")
	var list struct{ Kept []raw.Kept }
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		t.Fatal(err)
	}
	found := false
	for _, k := range list.Kept {
		_, err := os.Stat(filepath.Join(dir, "sent", k.Object))
		found = found || k.Job != "" && k.Bytes > 0 && err == nil && strings.HasSuffix(k.Object, ".csv.zst")
		if k.Stream != "activities" {
			t.Errorf("listed %+v", k)
		}
	}
	if !found {
		t.Errorf("no export file is listed: %+v", list.Kept)
	}
	if out, _ := command(martsync.ExitOK, "replay", "all", "--list"); !strings.Contains(out, list.Kept[0].SHA256) {
		t.Errorf("the list for people lacks %s:\n%s", list.Kept[0].SHA256, out)
	}
	if got := account.Stats().Calls; got != calls {
		t.Errorf("replaying and listing made %d calls, want none", got-calls)
	}
	if _, says := command(martsync.ExitConfig, "replay", "bare"); !strings.Contains(says, "raw: s3://") {
		t.Errorf("a sync without a zone is told: %s", says)
	}
	account.Change(20)
	command(martsync.ExitOK, "sync", "all")
}

// TestStoppedReplaySaysHowToGoOn: a sync could not.
func TestStoppedReplaySaysHowToGoOn(t *testing.T) {
	for _, tc := range []struct {
		name  string
		flags replayFlags
		want  string
	}{
		{"own place", replayFlags{}, "martsync replay all"},
		{"elsewhere", replayFlags{into: "spare", schema: "rebuilt", schemaGiven: true}, `martsync replay all --into spare --schema "rebuilt"`},
		{"no schema", replayFlags{schemaGiven: true}, `martsync replay all --schema ""`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var stdout, stderr strings.Builder
			none := func(string) string { return "" }
			a := &app{out: report.NewOutput(&stdout, none), err: report.NewOutput(&stderr, none)}
			r := syncResult{Sync: "all", Stopped: true, Streams: []runlog.Stream{{Stream: "leads"}}, again: tc.flags.again("all")}
			a.summary(&r)
			if want := "Stopped. " + tc.want + " goes on from here."; !strings.Contains(stderr.String(), want) {
				t.Errorf("got %q, want %q", stderr.String(), want)
			}
		})
	}
}

// runReplayable runs a command.
func runReplayable(t *testing.T, args []string, stdout, stderr *strings.Builder) int {
	t.Helper()
	none := func(string) string { return "" }
	a := &app{in: strings.NewReader(""), out: report.NewOutput(stdout, none), err: report.NewOutput(stderr, none), getenv: none, clock: martsync.SystemClock{}}
	a.lines = &logWriter{to: a.err}
	root := a.rootCommand()
	if c, _, err := root.Find([]string{"replay"}); err != nil || c == root {
		root.AddCommand(a.replayCommand())
	}
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := a.execute(t.Context(), root)
	for _, clean := range a.cleanups {
		if e := clean(); e != nil {
			t.Error(e)
		}
	}
	return a.fail(err)
}
