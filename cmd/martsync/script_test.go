package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/crash"
	"github.com/martsync/martsync/simulate"
	"github.com/martsync/martsync/source/marketo/marketosim"
	"github.com/martsync/martsync/state"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"martsync": main})
}

// scriptSpeed is the speed of the clock in scripts, of the simulators and of the commands
// alike: export jobs and their waits take seconds instead of minutes.
const scriptSpeed = 120

// TestScripts runs the commands as people do. Besides the commands of testscript there are:
//
//	simulator [-rows N] [-deny PERMISSION] [-fault FAULT]…   starts a Marketo, writes martsync.yaml
//	simulator -hang N                                        one that answers N requests and then no more
//	simulator -hold N                                        one that answers N requests and leaves the others until it is released
//	simulator -exportbytes N                                 one whose export quota of a day is N bytes
//	exits CODE command…                                      runs the command, which must exit with CODE
//	calls N                                                  the simulator has counted N calls since it was last asked
//	harm FOLDER                                              turns one byte over in each file below FOLDER
//	holdlease                                                takes the lease of the simulator's account
//	awaithang                                                waits until it has left a request without an answer
//	awaitheld                                                waits until it leaves one that is answered when it is released
//	release                                                  has it answer again
//	await FILE [TEXT]                                        waits until FILE has something in it, or TEXT
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			clock, speed := paced(scriptSpeed)
			e.Setenv("MARTSYNC_SPEED", speed)
			e.Setenv("TMPDIR", e.Getenv("WORK"))
			e.Values[simKey{}] = &scriptSim{clock: clock}
			return nil
		},
		Condition: func(cond string) (bool, error) {
			if cond == "duckdb" {
				return withDuckDB, nil
			}
			return false, fmt.Errorf("unknown condition %s", cond)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"simulator": startSimulator, "exits": exits, "calls": countCalls,
			"holdlease": holdLease, "harm": harm, "awaitheld": awaitHeld, "release": release, "awaithang": awaitHang, "await": awaitFile,
		},
	})
}

// long skips a test where go test -short wants less: under the race detector, and in the build without DuckDB. What
// long tests do, the short ones and those of the packages do too, with fewer rows and fewer ways to fail.
func long(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("it is long")
	}
}

// byDay skips a part of a cross product that the nightly tests have whole (MARTSYNC_NIGHTLY=1), where the parts that are left
// meet each of its sides.
func byDay(t *testing.T, chosen bool) {
	t.Helper()
	if !chosen && !crash.Nightly() {
		t.Skip("it is tried each night")
	}
}

type simKey struct{}

// A scriptSim is the simulator of one script.
type scriptSim struct {
	clock  simulate.Time
	server *marketosim.Server
	url    string
	seen   int // calls at the last look

	hanging atomic.Int64 // requests that were not answered
	gate    *gate
}

func sim(ts *testscript.TestScript) *scriptSim {
	return ts.Value(simKey{}).(*scriptSim)
}

func startSimulator(ts *testscript.TestScript, neg bool, args []string) {
	fs := flag.NewFlagSet("simulator", flag.ContinueOnError)
	rows := fs.Int("rows", 60, "")
	deny := fs.String("deny", "", "")
	hang := fs.Int("hang", 0, "")
	hold := fs.Int64("hold", -1, "")
	exportBytes := fs.Int64("exportbytes", 0, "")
	var faults []string
	fs.Func("fault", "", func(f string) error { faults = append(faults, f); return nil })
	ts.Check(fs.Parse(args))
	users := marketosim.DefaultUsers()
	if *deny != "" {
		users[0].Denied = strings.Split(*deny, ",")
	}
	server, err := marketosim.New(marketosim.Config{
		Options: simulate.Options{Seed: 7, Rows: *rows, Clock: sim(ts).clock, Faults: faults}, Users: users,
		LeadSpan: 20 * 24 * time.Hour, ActivitySpan: 20 * 24 * time.Hour, ExportBytes: *exportBytes,
	})
	ts.Check(err)
	var requests atomic.Int64
	gate := newGate()
	if *hold >= 0 {
		gate.limit(*hold, 0)
	}
	s := httptest.NewServer(gate.before(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if *hang > 0 && requests.Add(1) > int64(*hang) {
			sim(ts).hanging.Add(1)
			io.Copy(io.Discard, r.Body) // until it is read nobody notices that the client is gone
			select {                    // not for ever: a script that fails interrupts once and waits
			case <-r.Context().Done():
			case <-time.After(patience):
			}
			return
		}
		server.ServeHTTP(w, r)
	})))
	ts.Defer(s.Close)
	ts.Defer(gate.open)
	sim(ts).server, sim(ts).url, sim(ts).gate = server, s.URL, gate
	text, err := simulatorConfig("marketo", server.SourceConfig(s.URL))
	ts.Check(err)
	start := "  start: " + sim(ts).clock.Now().AddDate(0, 0, -20).Format(time.DateOnly) + "\n"
	ts.Check(os.WriteFile(ts.MkAbs("martsync.yaml"), append(text, start...), 0o600))
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE command…")
	}
	code := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		e, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			ts.Fatalf("%s: %v", strings.Join(args[1:], " "), err)
		}
		code = e.ExitCode()
	}
	if strconv.Itoa(code) != args[0] {
		ts.Fatalf("%s: got exit code %d, want %s", strings.Join(args[1:], " "), code, args[0])
	}
}

func harm(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: harm FOLDER")
	}
	ts.Check(filepath.WalkDir(ts.MkAbs(args[0]), func(name string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		data[len(data)/2] ^= 1
		return os.WriteFile(name, data, 0o600)
	}))
}

func countCalls(ts *testscript.TestScript, neg bool, args []string) {
	s := sim(ts)
	total := 0
	for _, n := range s.server.Stats().ByPath {
		total += n
	}
	if got := strconv.Itoa(total - s.seen); (got == args[0]) == neg {
		ts.Fatalf("got %s requests, want %s (negated: %v)", got, args[0], neg)
	}
	s.seen = total
}

func holdLease(ts *testscript.TestScript, _ bool, _ []string) {
	store, err := state.OpenFolder(ts.MkAbs(".martsync"))
	ts.Check(err)
	account := "marketo:" + strings.TrimPrefix(sim(ts).url, "http://")
	_, err = state.AcquireLease(context.Background(), store, sim(ts).clock, account, "another sync", 1000*time.Hour)
	ts.Check(err)
}

// patience bounds how long a script waits for something that happens in another process.
const patience = 2 * time.Minute

func eventually(ts *testscript.TestScript, what string, done func() bool) {
	clock := martsync.SystemClock{}
	for end := clock.Now().Add(patience); !done(); {
		if clock.Now().After(end) {
			ts.Fatalf("waited %s for %s", patience, what)
		}
		ts.Check(clock.Sleep(context.Background(), 10*time.Millisecond))
	}
}

func awaitHeld(ts *testscript.TestScript, _ bool, _ []string) {
	eventually(ts, "a request to be held", sim(ts).gate.isNear)
}

func release(ts *testscript.TestScript, _ bool, _ []string) { sim(ts).gate.open() }

func awaitHang(ts *testscript.TestScript, _ bool, _ []string) {
	eventually(ts, "a request to hang", func() bool { return sim(ts).hanging.Load() > 0 })
}

func awaitFile(ts *testscript.TestScript, _ bool, args []string) {
	eventually(ts, args[0], func() bool {
		data, err := os.ReadFile(ts.MkAbs(args[0]))
		return err == nil && len(data) > 0 && strings.Contains(string(data), strings.Join(args[1:], " "))
	})
}

// TestSecretsStayHidden runs every command with a known secret, mostly into failures, and
// looks for the secret in all that it prints and writes.
func TestSecretsStayHidden(t *testing.T) {
	const secret = "xK4-very-secret-b1Gq"
	clock, speed := paced(scriptSpeed)
	server, err := marketosim.New(marketosim.Config{
		Options:  simulate.Options{Seed: 7, Rows: 30, Clock: clock},
		Users:    []marketosim.User{{ClientID: "the-client", Secret: secret, Email: "etl@example.com"}},
		LeadSpan: 20 * 24 * time.Hour, ActivitySpan: 20 * 24 * time.Hour,
	})
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(server)
	defer s.Close()
	text := func(endpoint, secret, extra string) string {
		return "version: 1\nsources:\n  marketo:\n    type: marketo\n    endpoint: " + endpoint + "\n    client_id: the-client\n" +
			"    client_secret: " + secret + "\n" + extra + "destinations:\n  mart: {type: duckdb, path: mart.duckdb}\n" +
			"syncs:\n  - {name: m, source: marketo, destination: mart, start: 2026-01-01}\n"
	}
	for _, tc := range []struct {
		name, config string
		args         []string
		code         int
	}{
		{"check", text(s.URL, secret, ""), []string{"check"}, -1},
		{"check, wrong secret", text(s.URL, "not-"+secret, ""), []string{"check"}, -1},
		{"check, no network", text("http://127.0.0.1:1", secret, ""), []string{"check", "--json"}, -1},
		{"streams", text(s.URL, secret, ""), []string{"streams", "-vv", "--log-format", "json"}, martsync.ExitOK},
		{"streams, text log", text(s.URL, secret, ""), []string{"streams", "-vv", "--log-format", "text"}, martsync.ExitOK},
		{"streams, wrong secret", text(s.URL, "not-"+secret, ""), []string{"streams", "-vv"}, martsync.ExitAuth},
		{"streams, no network", text("http://127.0.0.1:1", secret, ""), []string{"streams", "-vv"}, martsync.ExitWaiting},
		{"streams, secret as endpoint", text(secret, secret, ""), []string{"streams", "-vv"}, -1},
		{"sync, wrong secret", text(s.URL, "not-"+secret, ""), []string{"sync", "-vv"}, -1},
		{"sync, no network", text("http://127.0.0.1:1", secret, ""), []string{"sync", "--no-wait", "--json", "-vv"}, -1},
		{"sync, dry run", text(s.URL, secret, ""), []string{"sync", "--dry-run", "-vv"}, -1},
		{"sync", text(s.URL, secret, ""), []string{"sync", "--stream", "programs", "--no-wait", "-vv"}, -1},
		{"runs", text(s.URL, secret, ""), []string{"runs", "--json"}, martsync.ExitOK},
		{"status", text(s.URL, secret, ""), []string{"status", "--json"}, martsync.ExitOK},
		{"logs", text(s.URL, secret, ""), []string{"logs", "--json"}, martsync.ExitOK},
		{"read", text(s.URL, secret, ""), []string{"read", "marketo", "leads", "--id", "1", "-vv"}, martsync.ExitOK},
		{"read, unknown stream", text(s.URL, secret, ""), []string{"read", "marketo", "nothing", "--id", "1", "-vv"}, -1},
		{"api", text(s.URL, secret, ""), []string{"api", "marketo", "GET", "/rest/v1/stats/usage.json", "-i", "-vv"}, martsync.ExitOK},
		{"api, wrong path", text(s.URL, secret, ""), []string{"api", "marketo", "GET", "/nowhere", "-i", "-vv"}, -1},
		{"views", text(s.URL, "not-"+secret, ""), []string{"views", "-vv"}, -1},
		{"ddl", text(s.URL, "not-"+secret, ""), []string{"ddl", "-vv"}, -1},
		{"misspelt key", text(s.URL, "x", "    client_secert: "+secret+"\n"), []string{"check"}, martsync.ExitConfig},
		{"broken quote", text(s.URL, "\""+secret, ""), []string{"check"}, martsync.ExitConfig},
		{"secret for a number", text(s.URL, "x", "    limits: {daily_calls: "+secret+"}\n"), []string{"check"}, martsync.ExitConfig},
		{"set", text(s.URL, "x", ""), []string{"check", "--set", "sources.marketo.client_secert=" + secret}, martsync.ExitConfig},
		{"set, no assignment", text(s.URL, "x", ""), []string{"check", "--set", secret}, martsync.ExitConfig},
		{"init, it is there", text(s.URL, "x", ""), []string{"init", "--no-input", "--endpoint", s.URL, "--client-id", "x", "--client-secret", secret}, martsync.ExitConfig},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "martsync.yaml")
			if err := os.WriteFile(path, []byte(strings.ReplaceAll(tc.config, "mart.duckdb", strconv.Quote(filepath.Join(dir, "mart.duckdb")))), 0o600); err != nil {
				t.Fatal(err)
			}
			var stdout, stderr strings.Builder
			env := func(name string) string {
				return map[string]string{"MARTSYNC_SPEED": speed}[name]
			}
			code := run(t.Context(), append(tc.args, "--config", path), strings.NewReader(""), &stdout, &stderr, env)
			if tc.code >= 0 && code != tc.code {
				t.Errorf("exit code: got %d, want %d\n%s", code, tc.code, stderr.String())
			}
			for name, text := range map[string]string{"stdout": stdout.String(), "stderr": stderr.String()} {
				if i := strings.Index(text, secret); i >= 0 {
					t.Errorf("the secret is in %s: …%s…", name, text[max(0, i-200):min(len(text), i+60)])
				}
			}
			if stdout.Len()+stderr.Len() == 0 && tc.name != "runs" {
				t.Error("nothing was printed: the test looks at nothing")
			}
			searchFiles(t, dir, path, secret)
		})
	}
}

// searchFiles looks for the secret in every file below dir but the configuration.
func searchFiles(t *testing.T, dir, except, secret string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || path == except {
			return err
		}
		data, err := os.ReadFile(path)
		if err == nil && strings.Contains(string(data), secret) {
			t.Errorf("the secret is in file %s", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
