package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/config"
	"github.com/martsync/martsync/internal/report"
)

// writeShardConfig writes a configuration of many accounts, two of which several syncs share, one by two sources.
// Nothing answers there, and no secret can be had.
func writeShardConfig(t *testing.T) (path string) {
	t.Helper()
	var b strings.Builder
	b.WriteString("version: 1\nsources:\n")
	source := func(name, endpoint string) {
		fmt.Fprintf(&b, "  %s: {type: marketo, endpoint: '%s', client_id: x, client_secret: 'env:NOT_SET'}\n", name, endpoint)
	}
	for i := range 7 {
		source(fmt.Sprintf("m%d", i), fmt.Sprintf("10%d-ABC-456", i))
	}
	source("again", "103-ABC-456")
	source("wrong", "this is no endpoint")
	b.WriteString("destinations:\n  lake: {type: files, path: lake}\nsyncs:\n")
	for i, name := range []string{"m0", "m1", "m2", "m3", "m4", "m5", "m6", "m1", "again", "wrong"} {
		fmt.Fprintf(&b, "  - {name: s%d, source: %s, destination: lake, schema: s%d}\n", i, name, i)
	}
	path = filepath.Join(t.TempDir(), "martsync.yaml")
	if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// shardApp is an app that has read the configuration.
func shardApp(t *testing.T, path string) (*app, *config.Config, martsync.Env) {
	t.Helper()
	var stderr strings.Builder
	none := func(string) string { return "" }
	a := &app{
		out: report.NewOutput(&stderr, none), err: report.NewOutput(&stderr, none), getenv: none,
		clock: martsync.SystemClock{}, configPath: path, logFormat: "text", speed: 1,
	}
	a.lines = &logWriter{to: a.err}
	c, err := a.loadConfig(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	env, err := a.connectorEnv()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, clean := range a.cleanups {
			if err := clean(); err != nil {
				t.Error(err)
			}
		}
	})
	return a, c, env
}

// TestOwnSyncs: every sync is in exactly one shard, syncs of one account are in the same, also if few are asked for.
func TestOwnSyncs(t *testing.T) {
	a, c, env := shardApp(t, writeShardConfig(t))
	own := func(syncs []config.Sync, shard string) (names []string) {
		t.Helper()
		got, err := a.ownSyncs(t.Context(), c, syncs, shard, env)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range got {
			names = append(names, s.Name)
		}
		return names
	}
	var all []string
	for _, s := range c.Syncs {
		all = append(all, s.Name)
	}
	if diff := cmp.Diff(all, own(c.Syncs, "")); diff != "" {
		t.Errorf("without shards: %s", diff)
	}
	for n := 1; n <= 10; n++ {
		at := map[string]int{}
		var together []string
		accounts := make([]int, n)
		for i := range n {
			shard := fmt.Sprintf("%d/%d", i+1, n)
			part := own(c.Syncs, shard)
			for _, name := range part {
				at[name] = i
				if name != "s7" && name != "s8" { // accounts that are counted already
					accounts[i]++
				}
			}
			together = append(together, part...)
			if diff := cmp.Diff(slices.Contains(part, "s3"), len(own(c.Syncs[3:4], shard)) == 1); diff != "" {
				t.Errorf("shard %s asked for one sync: %s", shard, diff)
			}
		}
		slices.Sort(together)
		if diff := cmp.Diff(slices.Sorted(slices.Values(all)), together); diff != "" {
			t.Errorf("%d shards: %s", n, diff)
		}
		if at["s1"] != at["s7"] || at["s3"] != at["s8"] {
			t.Errorf("%d shards: an account is in two of them: %v", n, at)
		}
		if slices.Max(accounts)-slices.Min(accounts) > 1 {
			t.Errorf("%d shards hold %v accounts, want as many each", n, accounts)
		}
	}
}

// TestShardCommands: the flag is that of both commands, and what is wrong with it is said before anything is opened.
func TestShardCommands(t *testing.T) {
	path := writeShardConfig(t)
	none := func(string) string { return "" }
	for _, test := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{"no shard", []string{"sync", "--shard", "0/3"}, martsync.ExitConfig, "shards count from 1 to 3"},
		{"no shard of a daemon", []string{"serve", "--shard", "x"}, martsync.ExitConfig, "write 1/3"},
		{"an empty shard has done all it had to", emptyShard(t, path), martsync.ExitOK, "has none of 10 syncs"},
	} {
		var stdout, stderr strings.Builder
		code := run(t.Context(), append(test.args, "-c", path), strings.NewReader(""), &stdout, &stderr, none)
		if code != test.code || !strings.Contains(stderr.String(), test.want) {
			t.Errorf("%s: exit code %d and %q, want %d and %q", test.name, code, stderr.String(), test.code, test.want)
		}
	}
}

// emptyShard is a call for a shard without an account: there are more shards than accounts.
func emptyShard(t *testing.T, path string) []string {
	t.Helper()
	a, c, env := shardApp(t, path)
	for i := range 20 {
		shard := fmt.Sprintf("%d/20", i+1)
		own, err := a.ownSyncs(t.Context(), c, c.Syncs, shard, env)
		if err != nil {
			t.Fatal(err)
		}
		if len(own) == 0 {
			return []string{"sync", "--shard", shard}
		}
	}
	t.Fatal("20 shards hold 10 syncs and none of them is empty")
	return nil
}
