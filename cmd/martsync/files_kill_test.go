package main

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/config"
	"github.com/martsync/martsync/destination/files"
	"github.com/martsync/martsync/internal/blob"
	"github.com/martsync/martsync/internal/blob/blobtest"
	"github.com/martsync/martsync/internal/blob/s3test"
	"github.com/martsync/martsync/internal/connectors"
	"github.com/martsync/martsync/internal/crash"
	"github.com/martsync/martsync/simulate"
)

// killSpeed is that of the clock of the programs that are killed and of the simulators: what takes an
// export job minutes takes it milliseconds.
const killSpeed = 7200

// TestKilledSyncsIntoFiles runs the program, kills it in the middle, and runs it again until it comes to its end;
// then the account changes, and all of it once more. The tables must equal the account, and whoever lists
// the files must have seen none that went away again.
func TestKilledSyncsIntoFiles(t *testing.T) {
	long(t)
	for place, configure := range map[string]func(t *testing.T) files.Config{
		"folder": func(t *testing.T) files.Config { return files.Config{Path: t.TempDir()} },
		"versitygw": func(t *testing.T) files.Config {
			return bucketAt(s3test.NewVersityGW(t).URL)
		},
	} {
		for _, simulator := range connectors.Simulators() {
			t.Run(place+"/"+simulator.Name, func(t *testing.T) {
				byDay(t, simulator.Name == map[string]string{"folder": "marketo", "versitygw": "pardot"}[place])
				t.Parallel() // most of the time is spent waiting for leases of the dead
				killAndSync(t, simulator, configure(t))
			})
		}
	}
}

func killAndSync(t *testing.T, simulator simulate.Simulator, place files.Config) {
	clock, speed := paced(killSpeed)
	account, err := simulator.New(simulate.Options{Seed: 5, Rows: 60, Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	k := &killer{t: t, dir: t.TempDir(), random: rand.New(rand.NewPCG(1, 2)), clock: clock, speed: speed, gate: newGate()}
	server := httptest.NewServer(k.gate.before(account))
	defer server.Close()
	k.configure(simulator.Name, account.SourceConfig(server.URL), place)
	if err := clock.Sleep(t.Context(), 30*time.Minute); err != nil { // of what is newer, some may still be on its way
		t.Fatal(err)
	}

	env := martsync.Env{Log: slog.New(slog.DiscardHandler), HTTP: server.Client(), Clock: clock, TempDir: t.TempDir()}
	configured, err := config.NewSource(simulator.Name, sourceConnector(simulator.Name), account.SourceConfig(server.URL))
	if err != nil {
		t.Fatal(err)
	}
	source, err := configured.Open(t.Context(), env)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for round := range 2 {
		k.untilDone()
		d, err := files.Open(t.Context(), place, simulator.Name, env)
		if err != nil {
			t.Fatal(err)
		}
		compareTables(t, d, source, account)
		if place.Path != "" {
			readByDuckDB(t, filepath.Join(place.Path, simulator.Name), files.Config{Format: "parquet"}, d)
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		now := listed(t, place, simulator.Name)
		for key := range seen {
			if !now[key] {
				t.Errorf("round %d: %s has gone", round, key)
			}
		}
		seen = now
		if round == 0 {
			account.Change(30)
			// What has no change dates is listed once a day.
			if err := clock.Sleep(t.Context(), 25*time.Hour); err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Logf("killed %d times, %d runs, %d calls", k.kills, k.runs, k.gate.calls())
	if k.kills < 10 {
		t.Errorf("killed %d times in %d runs, want at least 10", k.kills, k.runs)
	}
}

// A killer runs the program and kills it.
type killer struct {
	t      *testing.T
	dir    string
	random *rand.Rand
	clock  martsync.Clock
	speed  string // of the clock
	gate   *gate  // of the simulator

	runs, kills int
}

// configure writes the configuration of the program.
func (k *killer) configure(name string, source map[string]any, place files.Config) {
	k.t.Helper()
	source["type"] = name
	destination := map[string]any{"type": "files"}
	if place.Path != "" {
		destination["path"] = place.Path
	} else {
		destination["url"] = place.URL
		destination["s3"] = map[string]any{
			"endpoint": place.S3.Endpoint, "region": place.S3.Region,
			"access_key_id": place.S3.AccessKeyID, "secret_access_key": place.S3.SecretAccessKey.Reveal(),
		}
	}
	text, err := yaml.Marshal(map[string]any{
		"version": config.Version, "sources": map[string]any{name: source}, "destinations": map[string]any{"lake": destination},
		"syncs": []map[string]any{{"name": name, "source": name, "destination": "lake", "schema": name}},
	})
	if err != nil {
		k.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(k.dir, "martsync.yaml"), text, 0o600); err != nil {
		k.t.Fatal(err)
	}
}

// untilDone runs the program until it comes to its end by itself. It is killed at a random moment, somewhat later
// each time: it has to come further than it was.
func (k *killer) untilDone() {
	k.t.Helper()
	later := 16 // calls
	if crash.Nightly() {
		later = 4
	}
	before := k.kills
	for last := k.runs + mostKilledRuns; ; {
		after := int64(k.random.IntN(5 + later*(k.kills-before)))
		if k.run(after, time.Duration(k.random.IntN(40))*time.Millisecond) {
			return
		}
		if k.runs >= last {
			k.t.Fatal("it does not come to its end")
		}
	}
}

// mostKilledRuns is after how many runs a program that is killed later and later must have come to its end. Those that find the
// lease of the dead are among them.
const mostKilledRuns = 600

// killSlack is how many calls pass from the one that a program is to be killed at until it is. More of them are held, so that
// no program comes to its end because the machine lets the test wait.
const killSlack = 8

// run runs the program until the simulator was called that often and some time has passed. It reports whether the
// program has done what it was to do.
func (k *killer) run(calls int64, then time.Duration) (done bool) {
	k.t.Helper()
	program, err := exec.LookPath("martsync")
	if err != nil {
		k.t.Fatal(err)
	}
	ctx, ended := context.WithTimeout(k.t.Context(), 8*time.Minute)
	defer ended()
	var output bytes.Buffer
	cmd := exec.Command(program, "sync", "--no-input", "--log-format", "json")
	cmd.Dir = k.dir
	cmd.Env = append(os.Environ(), "MARTSYNC_SPEED="+k.speed)
	cmd.Stdout, cmd.Stderr = &output, &output
	near := k.gate.limit(calls, killSlack)
	defer k.gate.open()
	if err := cmd.Start(); err != nil {
		k.t.Fatal(err)
	}
	k.runs++
	result := make(chan error, 1)
	go func() { result <- cmd.Wait(); ended() }()
	select {
	case <-near:
		_ = martsync.SystemClock{}.Sleep(ctx, then)
	case <-ctx.Done(): // it has come to its end, or does nothing
	}
	_ = cmd.Process.Kill() // no signal that it could heed
	err = <-result
	if err == nil {
		return true
	}
	exit, ok := errors.AsType[*exec.ExitError](err)
	switch {
	case !ok:
		k.t.Fatal(err)
	case exit.ExitCode() == -1: // by the signal
		k.kills++
	case exit.ExitCode() == martsync.ExitBusy: // the lease of the dead has not run out
		if err := k.clock.Sleep(k.t.Context(), 10*time.Minute); err != nil {
			k.t.Fatal(err)
		}
	case exit.ExitCode() == martsync.ExitConflict: // what the dead had sent when they died was done only now
	default:
		k.t.Fatalf("exit code %d\n%s", exit.ExitCode(), &output)
	}
	return false
}

// listed are the files that somebody sees who knows nothing of manifests.
func listed(t *testing.T, place files.Config, namespace string) map[string]bool {
	t.Helper()
	store, err := blob.Location{URL: place.URL, Path: place.Path, S3: place.S3}.Open(t.Context(), namespace, s3test.Env(t))
	if err != nil {
		t.Fatal(err)
	}
	keys := map[string]bool{}
	for _, key := range blobtest.Keys(t, store, "", "") {
		if !strings.HasPrefix(key, "_") {
			keys[key] = true
		}
	}
	if len(keys) == 0 {
		t.Errorf("no files in %s", store)
	}
	return keys
}
