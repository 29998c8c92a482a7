package main

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/config"
	"github.com/martsync/martsync/internal/awscall/awstest"
	"github.com/martsync/martsync/internal/report"
	"github.com/martsync/martsync/pipeline"
	"github.com/martsync/martsync/runlog"
	"github.com/martsync/martsync/simulate"
	"github.com/martsync/martsync/source/marketo/marketosim"
	"github.com/martsync/martsync/state"
)

// An inbox is a webhook that keeps the titles of what it gets.
type inbox struct {
	mu     sync.Mutex
	titles []string
	texts  []string
	status int
}

func (b *inbox) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var m struct{ Title, Text string }
	err := json.NewDecoder(r.Body).Decode(&m)
	b.mu.Lock()
	defer b.mu.Unlock()
	if err != nil || b.status != 0 {
		w.WriteHeader(max(b.status, http.StatusBadRequest))
		return
	}
	b.titles, b.texts = append(b.titles, m.Title), append(b.texts, m.Text)
}

// take returns the titles since the last time.
func (b *inbox) take() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	titles := b.titles
	b.titles = nil
	return titles
}

// TestAlerts runs the commands as people do: a secret of the source and the address of the webhook are in AWS, the secret
// is wrong, and is put right.
func TestAlerts(t *testing.T) {
	aws := awstest.New(t)
	box := &inbox{}
	hook := httptest.NewServer(box)
	defer hook.Close()
	clock, speed := paced(scriptSpeed)
	simulator, err := marketosim.New(marketosim.Config{
		Options:  simulate.Options{Seed: 7, Rows: 20, Clock: clock},
		LeadSpan: 20 * 24 * time.Hour, ActivitySpan: 20 * 24 * time.Hour,
	})
	if err != nil {
		t.Fatal(err)
	}
	vendor := httptest.NewServer(simulator)
	defer vendor.Close()

	dir := t.TempDir()
	source := simulator.SourceConfig(vendor.URL)
	secret, _ := source["client_secret"].(string)
	if secret == "" {
		t.Fatalf("the simulator's options have no secret: %v", source)
	}
	source["type"], source["client_secret"] = "marketo", "aws-ssm:/marketo/secret"
	aws.Parameters[awstest.Region+"//marketo/secret"] = "s3cr3t-wrong"
	aws.Secrets[awstest.Region+"/hooks"] = `{"oncall":"` + hook.URL + `/s3cr3t-path"}`
	topic := "arn:aws:sns:us-west-2:123456789012:martsync"
	aws.Topics = []string{topic}
	text, err := yaml.Marshal(map[string]any{
		"version": 1, "sources": map[string]any{"marketo": source},
		"destinations": map[string]any{"lake": map[string]any{"type": "files", "path": "lake"}},
		"syncs": []map[string]any{{
			"name": "marketing", "source": "marketo", "destination": "lake", "streams": []string{"programs", "emails"}, "late_after": "100d",
		}},
		"alerts": []map[string]any{
			{"name": "oncall", "type": "webhook", "url": "aws-secretsmanager:hooks#oncall", "format": "json"},
			{"name": "lateness", "type": "sns", "topic": topic, "on": []string{"late"}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(dir, "martsync.yaml")
	if err := os.WriteFile(config, text, 0o600); err != nil {
		t.Fatal(err)
	}
	var shown strings.Builder
	command := func(want int, args ...string) string {
		t.Helper()
		var stdout, stderr strings.Builder
		getenv := func(name string) string {
			return map[string]string{"MARTSYNC_SPEED": speed}[name]
		}
		code := run(t.Context(), append([]string{"-c", config}, args...), strings.NewReader(""), &stdout, &stderr, getenv)
		out := stdout.String() + stderr.String()
		shown.WriteString(out)
		if code != want {
			t.Errorf("martsync %s: exit code %d, want %d:\n%s", strings.Join(args, " "), code, want, out)
		}
		return out
	}
	got := func(want ...string) {
		t.Helper()
		if titles := box.take(); !slices.Equal(titles, want) {
			t.Errorf("got %q, want %q", titles, want)
		}
	}

	// Everybody gets a test.
	if out := command(martsync.ExitAuth, "check", "--alert"); strings.Count(out, "a test was sent") != 2 {
		t.Errorf("check says:\n%s", out)
	}
	got("martsync: a test of alert oncall")
	if n := len(aws.Published()); n != 1 {
		t.Errorf("%d messages published, want the test", n)
	}
	box.status = http.StatusForbidden
	if out := command(martsync.ExitAuth, "check", "--alert"); !strings.Contains(out, "status 403") || !strings.Contains(out, "Check url and headers") {
		t.Errorf("check says:\n%s", out)
	}
	box.status = 0

	// A wrong secret is told once.
	command(martsync.ExitAuth, "sync")
	command(martsync.ExitAuth, "sync")
	got("marketing: a credential or permission was refused")
	if last := box.texts[len(box.texts)-1]; !strings.Contains(last, "Nothing is lost") || !strings.Contains(last, "Look: martsync check") {
		t.Errorf("the message is:\n%s", last)
	}

	// It is put right where it is: no file was changed.
	aws.Parameters[awstest.Region+"//marketo/secret"] = secret
	command(martsync.ExitOK, "sync")
	got("marketing works again")
	command(martsync.ExitOK, "sync")
	got()

	// A secret store that is not reached is a failure like any other.
	aws.Refuse(func(call string) (int, string, string) {
		if strings.HasPrefix(call, "GetParameter") {
			return 400, "AccessDeniedException", "not authorized to perform: ssm:GetParameter"
		}
		return 0, "", ""
	})
	if out := command(martsync.ExitAuth, "sync"); !strings.Contains(out, "Allow ssm:GetParameter") {
		t.Errorf("sync says:\n%s", out)
	}
	got("marketing: a credential or permission was refused")
	aws.Refuse(nil)
	command(martsync.ExitOK, "sync")
	got("marketing works again")

	// A sync that has not run in time: whoever looks sees it, and people are told.
	if out := command(martsync.ExitOK, "status"); strings.Contains(out, "late") {
		t.Errorf("status says:\n%s", out)
	}
	if out := command(martsync.ExitOK, "status", "--set", "syncs.marketing.late_after=1ms"); !strings.Contains(out, "marketing is late: it had to be complete by") {
		t.Errorf("status says:\n%s", out)
	}
	got("marketing is late")
	if n := aws.Published(); len(n) != 3 || n[2].Get("Subject") != "marketing is late" {
		t.Errorf("published %v", n)
	}
	command(martsync.ExitOK, "sync")
	got("marketing is no longer late")
	if out := shown.String(); strings.Contains(out, "s3cr3t") || strings.Contains(out, secret) {
		t.Errorf("a secret was shown:\n%s", out)
	}
}

// TestWatchBeside: a daemon looks at what does not run, again and again, until it ends.
func TestWatchBeside(t *testing.T) {
	box := &inbox{}
	hook := httptest.NewServer(box)
	defer hook.Close()
	path := filepath.Join(t.TempDir(), "martsync.yaml")
	text := "version: 1\nsources:\n  m: {type: marketo, endpoint: 'http://127.0.0.1:1', client_id: x, client_secret: y}\n" +
		"destinations:\n  lake: {type: files, path: lake}\nsyncs:\n  - {name: plain, source: m, destination: lake, late_after: 1ms}\n" +
		"alerts:\n  - {name: oncall, type: webhook, format: json, url: '" + hook.URL + "'}\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	none := func(string) string { return "" }
	a := &app{configPath: path, getenv: none, clock: simulate.Scaled(10_000), out: report.NewOutput(io.Discard, none), err: report.NewOutput(io.Discard, none)}
	a.lines = &logWriter{to: a.err}
	defer func() {
		for _, clean := range a.cleanups {
			if err := clean(); err != nil {
				t.Error(err)
			}
		}
	}()
	if _, err := a.loadConfig(t.Context()); err != nil {
		t.Fatal(err)
	}
	env, err := a.connectorEnv()
	if err != nil {
		t.Fatal(err)
	}
	release := a.watchBeside(t.Context(), state.NewMemory(), env)
	var clock martsync.SystemClock
	for end := clock.Now().Add(patience); ; {
		if titles := box.take(); len(titles) > 0 {
			if titles[0] != "plain is late" {
				t.Errorf("got %q", titles)
			}
			break
		}
		if clock.Now().After(end) {
			t.Fatal("nobody was told")
		}
		if err := clock.Sleep(t.Context(), 10*time.Millisecond); err != nil {
			t.Fatal(err)
		}
	}
	release() // returns when it no longer looks
}

// TestInterruptedIsNoFailure: a sync whose time is up goes on later. Nobody is told, and nothing is sent past the deadline of who
// will be killed.
func TestInterruptedIsNoFailure(t *testing.T) {
	box := &inbox{}
	hook := httptest.NewServer(box)
	defer hook.Close()
	a := &app{clock: martsync.SystemClock{}}
	a.alerts = &alerting{config: &config.Config{
		Syncs:  []config.Sync{{Name: "plain", Location: time.UTC}},
		Alerts: []config.Alert{webhookAlert(t, hook.URL)},
	}}
	env := martsync.Env{Log: slog.New(slog.DiscardHandler), HTTP: hook.Client(), Clock: a.clock}
	failed := &martsync.Error{Kind: martsync.Transient, Op: "download", Err: context.DeadlineExceeded}
	ended := func(ctx context.Context) []string {
		var s pipeline.Sync
		a.alerted(ctx, &s, plan{sync: a.alerts.config.Syncs[0]}, state.NewMemory(), env)
		s.Ended(context.WithoutCancel(ctx), &runlog.Run{ID: "1", Sync: "plain", Status: runlog.Failed}, failed)
		return box.take()
	}
	over, cancel := context.WithDeadline(t.Context(), a.clock.Now())
	defer cancel()
	if titles := ended(over); len(titles) > 0 {
		t.Errorf("its time was up: got %q, want nothing", titles)
	}
	if titles := ended(t.Context()); len(titles) != 1 || titles[0] != "plain failed" {
		t.Errorf("it failed: got %q", titles)
	}
}

// TestNoStateIsToldOf: who runs a sync from a timer learns that its disk is gone.
func TestNoStateIsToldOf(t *testing.T) {
	box := &inbox{}
	hook := httptest.NewServer(box)
	defer hook.Close()
	dir := t.TempDir()
	text := "version: 1\nsources:\n  m: {type: marketo, endpoint: 'http://127.0.0.1:1', client_id: x, client_secret: y}\n" +
		"destinations:\n  lake: {type: files, path: lake}\nsyncs:\n  - {name: plain, source: m, destination: lake, schedule: '0 9 * * *'}\n" +
		"alerts:\n  - {name: oncall, type: webhook, format: json, url: '" + hook.URL + "'}\n"
	for name, text := range map[string]string{"martsync.yaml": text, "file": "no folder"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, command := range []string{"sync", "serve"} {
		args := []string{command, "-c", filepath.Join(dir, "martsync.yaml"), "--state", filepath.Join(dir, "file", "state"), "--no-input"}
		code := run(t.Context(), args, strings.NewReader(""), io.Discard, io.Discard, func(string) string { return "" })
		if titles := box.take(); code == 0 || len(titles) != 1 || titles[0] != "plain failed" {
			t.Errorf("%s: code %d, told %q", command, code, titles)
		}
	}
}

// webhookAlert is a configured alert, as the configuration makes it.
func webhookAlert(t *testing.T, address string) config.Alert {
	t.Helper()
	types := alertTypes()
	i := slices.IndexFunc(types, func(c config.AlertType) bool { return c.Name == "webhook" })
	options := types[i].NewConfig()
	if err := json.Unmarshal([]byte(`{"format":"json","url":"`+address+`"}`), options); err != nil {
		t.Fatal(err)
	}
	return config.Alert{Name: "oncall", Type: "webhook", Options: options}
}
