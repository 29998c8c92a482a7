package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/config"
	"github.com/martsync/martsync/destination/files"
	"github.com/martsync/martsync/internal/connectors"
	"github.com/martsync/martsync/runlog"
	"github.com/martsync/martsync/simulate"
	"github.com/martsync/martsync/state"
)

// TestServe has one daemon copy all simulated accounts side by side. It is killed in the middle, stopped in the
// middle and started again, and everything still is one run of each sync. Then the accounts change while there
// is no daemon, and the next one catches up with one run. The tables must equal the accounts each time.
func TestServe(t *testing.T) {
	long(t)
	t.Parallel() // it waits for schedules
	s := newServed(t)
	s.configure(300 * 24 * time.Hour)
	s.start()
	s.awaitKnown() // from now on a time that comes is one that was missed, however late the next daemon is
	s.terminate()
	s.configure(2 * time.Hour)
	s.sleep(2*time.Hour + time.Minute)
	const interruptions = 5
	for i := range interruptions {
		s.limit(serveOpening)
		s.start()
		s.awaitLimit()
		if i%2 == 0 {
			s.kill()
		} else {
			s.terminate()
		}
	}
	s.open()
	s.start()
	s.awaitRuns(1)
	s.look(1)
	s.terminate()
	s.compare()
	for _, a := range s.accounts {
		if r := s.newest(a.name); r.Advances <= interruptions {
			t.Errorf("%s was taken up %d times, want more than %d: each time it was interrupted in the middle", a.name, r.Advances, interruptions)
		}
		t.Logf("%s: one run, taken up %d times, %d calls", a.name, s.newest(a.name).Advances, a.gate.calls())
		a.instance.Change(30)
	}

	s.configure(12 * time.Hour)
	s.sleep(25 * time.Hour) // what has no change dates is listed once a day
	s.start()
	s.awaitRuns(2)
	s.terminate()
	s.compare()
	for _, a := range s.accounts {
		if n := len(s.runs(a.name)); n != 2 {
			t.Errorf("%s: %d runs, want 2: one at its time, one that catches up", a.name, n)
		}
	}
}

// TestServeRefuses: mistakes that are known before anything is served.
func TestServeRefuses(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "martsync.yaml")
	text := "version: 1\nsources:\n  m: {type: marketo, endpoint: 'http://127.0.0.1:1', client_id: x, client_secret: y}\n" +
		"destinations:\n  lake: {type: files, path: lake}\nsyncs:\n  - {name: plain, source: m, destination: lake}\n"
	timed := "  - {name: timed, source: m, destination: lake, schedule: '0 9 * * WED'}\n"
	for _, test := range []struct {
		name, config string
		args         []string
		want         string
	}{
		{"no schedule at all", text, nil, "no sync has a schedule"},
		{"a sync without", text + timed, []string{"plain"}, "sync plain has no schedule"},
		{"no such sync", text + timed, []string{"timid"}, `no sync is named "timid"`},
		{"no such duration", text + timed, []string{"--jitter", "soon"}, "--jitter"},
		{"no places", text + timed, []string{"--at-once", "0"}, "--at-once is 0"},
		{"an address", text + timed, []string{"--listen", "127.0.0.1:nowhere"}, "--listen"},
	} {
		if err := os.WriteFile(path, []byte(test.config), 0o600); err != nil {
			t.Fatal(err)
		}
		var stdout, stderr strings.Builder
		none := func(string) string { return "" }
		code := run(t.Context(), append([]string{"serve", "-c", path}, test.args...), strings.NewReader(""), &stdout, &stderr, none)
		if code != martsync.ExitConfig || !strings.Contains(stderr.String(), test.want) {
			t.Errorf("%s: exit code %d and %q, want 2 and %q", test.name, code, stderr.String(), test.want)
		}
	}
}

// A served is the accounts and the daemon of a test.
type served struct {
	t        *testing.T
	dir      string
	clock    simulate.Time
	speed    string // of the clock
	accounts []*servedAccount
	store    state.Store

	process *exec.Cmd
	output  *lockedBuffer
	ended   chan error
}

type servedAccount struct {
	name     string
	options  map[string]any // of the source
	instance simulate.Instance
	source   martsync.Source
	gate     *gate
}

// serveOpening is more calls than a daemon makes of an account before it is at work on a run.
const serveOpening = 20

func newServed(t *testing.T) *served {
	s := &served{t: t, dir: t.TempDir()}
	s.clock, s.speed = paced(killSpeed)
	for _, simulator := range connectors.Simulators() {
		instance, err := simulator.New(simulate.Options{Seed: 5, Rows: 60, Clock: s.clock})
		if err != nil {
			t.Fatal(err)
		}
		gate := newGate()
		server := httptest.NewServer(gate.before(instance))
		t.Cleanup(server.Close)
		configured, err := config.NewSource(simulator.Name, sourceConnector(simulator.Name), instance.SourceConfig(server.URL))
		if err != nil {
			t.Fatal(err)
		}
		source, err := configured.Open(t.Context(), s.env(server.Client()))
		if err != nil {
			t.Fatal(err)
		}
		options := instance.SourceConfig(server.URL)
		options["type"] = simulator.Name
		s.accounts = append(s.accounts, &servedAccount{simulator.Name, options, instance, source, gate})
	}
	store, err := state.OpenFolder(filepath.Join(s.dir, ".martsync"))
	if err != nil {
		t.Fatal(err)
	}
	s.store = store
	s.sleep(30 * time.Minute) // of what is newer, some may still be on its way
	t.Cleanup(func() {
		s.open()
		if s.process != nil {
			_ = s.process.Process.Signal(syscall.SIGQUIT) // which has it say where it stands
			<-s.ended
		}
		if t.Failed() && s.output != nil {
			lines := strings.SplitAfter(s.output.String(), "\n")
			t.Logf("the last daemon said at the end:\n%s", strings.Join(lines[max(0, len(lines)-200):], ""))
		}
	})
	return s
}

func (s *served) env(client *http.Client) martsync.Env {
	return martsync.Env{Log: slog.New(slog.DiscardHandler), HTTP: client, Clock: s.clock, TempDir: s.t.TempDir()}
}

func (s *served) sleep(d time.Duration) {
	s.t.Helper()
	if err := s.clock.Sleep(s.t.Context(), d); err != nil {
		s.t.Fatal(err)
	}
}

// configure writes the configuration: every sync once a year, the first time in a while. A year of this clock is
// longer than the slowest machine needs, so that no time comes that the test has not meant.
func (s *served) configure(in time.Duration) {
	s.t.Helper()
	at := s.clock.Now().Add(in)
	sources := map[string]any{}
	var syncs []map[string]any
	for _, a := range s.accounts {
		sources[a.name] = a.options
		syncs = append(syncs, map[string]any{
			"name": a.name, "source": a.name, "destination": "lake", "schema": a.name,
			"schedule": fmt.Sprintf("%d %d %d %d *", at.Minute(), at.Hour(), at.Day(), at.Month()), "timezone": "UTC",
		})
	}
	text, err := yaml.Marshal(map[string]any{
		"version": config.Version, "sources": sources, "syncs": syncs,
		"destinations": map[string]any{"lake": map[string]any{"type": "files", "path": "lake"}},
	})
	if err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(s.dir, "martsync.yaml"), text, 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// start starts the program.
func (s *served) start() {
	s.t.Helper()
	program, err := exec.LookPath("martsync")
	if err != nil {
		s.t.Fatal(err)
	}
	s.output = &lockedBuffer{}
	s.process = exec.Command(program, "serve", "--listen", "127.0.0.1:0", "--no-input", "--log-format", "json")
	s.process.Dir = s.dir
	s.process.Env = append(os.Environ(), "MARTSYNC_SPEED="+s.speed)
	s.process.Stdout, s.process.Stderr = s.output, s.output
	if err := s.process.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.ended = make(chan error, 1)
	go func(p *exec.Cmd, ended chan<- error) { ended <- p.Wait() }(s.process, s.ended)
}

// kill ends the program by a signal that it cannot heed.
func (s *served) kill() {
	s.t.Helper()
	_ = s.process.Process.Kill()
	if err := <-s.ended; err == nil {
		s.t.Errorf("the daemon had ended by itself:\n%s", s.output)
	}
	s.process = nil
}

// terminate asks the program to end, which is no failure. What it waits for is answered when it knows.
func (s *served) terminate() {
	s.t.Helper()
	if err := s.process.Process.Signal(syscall.SIGTERM); err != nil {
		s.t.Fatal(err)
	}
	s.await("the daemon to say that it stops", func() bool { return strings.Contains(s.output.String(), saysItStops) })
	s.open()
	select {
	case err := <-s.ended:
		if err != nil {
			s.t.Errorf("stopped daemon: %v, want exit code 0\n%s", err, s.output)
		}
	case <-time.After(servePatience):
		s.t.Fatal("the daemon does not stop")
	}
	s.process = nil
}

// servePatience bounds what takes seconds on a machine that has nothing else to do, and minutes on one whose disk is
// busy: every commit waits for it.
const servePatience = 8 * time.Minute

// await waits until something is so.
func (s *served) await(what string, so func() bool) {
	s.t.Helper()
	clock := martsync.SystemClock{}
	for end := clock.Now().Add(servePatience); !so(); _ = clock.Sleep(context.Background(), 5*time.Millisecond) {
		select {
		case err := <-s.ended:
			s.ended <- err
			if so() {
				return
			}
			s.t.Fatalf("the daemon has ended before %s: %v", what, err)
		default:
		}
		if clock.Now().After(end) {
			s.t.Fatalf("waited %s for %s", servePatience, what)
		}
	}
}

// limit lets so many calls of each account pass from now on.
func (s *served) limit(calls int64) {
	for _, a := range s.accounts {
		a.gate.limit(calls, 0)
	}
}

func (s *served) open() {
	for _, a := range s.accounts {
		a.gate.open()
	}
}

// awaitLimit waits until each account was called as often as it answers.
func (s *served) awaitLimit() {
	s.t.Helper()
	s.await("the calls of each account that are let through", func() bool {
		return !slices.ContainsFunc(s.accounts, func(a *servedAccount) bool { return !a.gate.isNear() })
	})
}

// awaitKnown waits until the state knows since when each sync is served.
func (s *served) awaitKnown() {
	s.t.Helper()
	s.await("what the daemon remembers of each sync", func() bool {
		keys, err := s.store.List(s.t.Context(), "serve/")
		if err != nil {
			s.t.Fatal(err)
		}
		return len(keys) == len(s.accounts)
	})
}

// awaitRuns waits until every sync has so many runs, and the newest is done.
func (s *served) awaitRuns(n int) {
	s.t.Helper()
	s.await(fmt.Sprintf("%d runs of each sync", n), func() bool {
		return !slices.ContainsFunc(s.accounts, func(a *servedAccount) bool {
			runs := s.runs(a.name)
			return len(runs) < n || runs[0].Status != runlog.Done
		})
	})
}

// runs are the runs of a sync, the newest first.
func (s *served) runs(name string) []runlog.Run {
	s.t.Helper()
	runs, err := runlog.List(s.t.Context(), s.store, name, 0)
	if err != nil {
		s.t.Fatal(err)
	}
	return runs
}

func (s *served) newest(name string) runlog.Run {
	s.t.Helper()
	runs := s.runs(name)
	if len(runs) == 0 {
		s.t.Fatalf("%s has no runs", name)
	}
	return runs[0]
}

// compare compares all tables with the accounts.
func (s *served) compare() {
	s.t.Helper()
	for _, a := range s.accounts {
		d, err := files.Open(s.t.Context(), files.Config{Path: filepath.Join(s.dir, "lake")}, a.name, s.env(http.DefaultClient))
		if err != nil {
			s.t.Fatal(err)
		}
		compareTables(s.t, d, a.source, a.instance)
		if err := d.Close(); err != nil {
			s.t.Fatal(err)
		}
	}
}

var servedAt = regexp.MustCompile(`http://127\.0\.0\.1:\d+/`)

// look asks the running daemon how it is; each sync has had so many runs.
func (s *served) look(runs int) {
	s.t.Helper()
	base := servedAt.FindString(s.output.String())
	get := func(path string) string {
		answer, err := http.Get(base + path)
		if err != nil {
			s.t.Fatal(err)
		}
		defer answer.Body.Close()
		body, err := io.ReadAll(answer.Body)
		if err != nil || answer.StatusCode != http.StatusOK {
			s.t.Errorf("%s: %d, %v\n%s", path, answer.StatusCode, err, body)
		}
		return string(body)
	}
	if health := get("healthz"); !strings.Contains(health, `"status":"ok"`) {
		s.t.Errorf("health: %s", health)
	}
	metrics := get("metrics")
	documented(s.t, metrics)
	for _, a := range s.accounts {
		want := fmt.Sprintf(`martsync_run_status{status="done",sync="%s"} 1`, a.name)
		if !strings.Contains(metrics, want) {
			s.t.Errorf("metrics lack %s\n%s", want, metrics)
		}
		if n := len(s.runs(a.name)); n != runs {
			s.t.Errorf("%s: %d runs, want %d however often it was interrupted", a.name, n, runs)
		}
	}
}

// documented compares the names of the metrics with those that docs/metrics.md lists.
func documented(t *testing.T, metrics string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "metrics.md"))
	if err != nil {
		t.Fatal(err)
	}
	names := func(pattern, text string) (all []string) {
		for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1) {
			all = append(all, m[1])
		}
		slices.Sort(all)
		return all
	}
	listed, told := names("(?m)^\\| `([a-z_]+)` \\|", string(text)), names(`(?m)^# TYPE ([a-z_]+) `, metrics)
	if diff := cmp.Diff(listed, told); diff != "" {
		t.Errorf("names (-docs/metrics.md +told)\n%s", diff)
	}
}

// A lockedBuffer is what a process says while it is read.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
