package main

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/blob/blobtest"
	"github.com/martsync/martsync/internal/blob/s3test"
	"github.com/martsync/martsync/runlog"
	"github.com/martsync/martsync/state"
)

func TestParseEvent(t *testing.T) {
	due := time.Date(2026, 11, 25, 17, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		name, event string
		want        lambdaEvent
		wantErr     string // "": none
	}{
		{"nothing", "", lambdaEvent{}, ""},
		{"empty", " {}\n", lambdaEvent{}, ""},
		{"null", "null", lambdaEvent{}, ""},
		{"due", `{"sync": "marketing", "due": "2026-11-25T17:00:00Z"}`, lambdaEvent{Sync: "marketing", Due: due}, ""},
		{"run", `{"run": "2026-11-25T17:00:00Z"}`, lambdaEvent{Run: "2026-11-25T17:00:00Z"}, ""},
		{"by hand", `{"streams": ["a*"], "exclude": ["b"], "since": "2026-01-01", "until": "2026-02-01", "backfill": true}`, lambdaEvent{Streams: []string{"a*"}, Exclude: []string{"b"}, Since: "2026-01-01", Until: "2026-02-01", Backfill: true}, ""},
		{"mistyped key", `{"snyc": "marketing"}`, lambdaEvent{}, "snyc"},
		{"no object", `"marketing"`, lambdaEvent{}, "cannot unmarshal"},
		{"two", `{} {}`, lambdaEvent{}, "follows"},
		{"no time", `{"due": "tomorrow"}`, lambdaEvent{}, "tomorrow"},
		{"a path", `{"run": "../a"}`, lambdaEvent{}, "no name of a run"},
		{"long name", `{"run": "` + strings.Repeat("x", 129) + `"}`, lambdaEvent{}, "no name of a run"},
	} {
		got, err := parseEvent([]byte(test.event))
		if test.wantErr != "" {
			if err == nil || martsync.KindOf(err) != martsync.Config || martsync.HintOf(err) == "" || !strings.Contains(err.Error(), test.wantErr) {
				t.Errorf("%s: got %v, want an error of kind config with %q and a hint", test.name, err, test.wantErr)
			}
			continue
		}
		if diff := cmp.Diff(test.want, got); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got):\n%s", test.name, err, diff)
		}
	}
}

func TestRunOf(t *testing.T) {
	start := time.Date(2026, 11, 25, 17, 0, 0, 0, time.UTC)
	stream := func(p runlog.Phase) []runlog.Stream { return []runlog.Stream{{Stream: "leads", Phase: p}} }
	cut := runlog.Run{ID: "a", Status: runlog.Failed, Kind: "transient", Streams: stream(runlog.PhaseStopped)}
	gone := runlog.Run{ID: "a", Status: runlog.Failed, Kind: "transient", Streams: stream(runlog.PhaseFailed)}
	again := gone
	again.ID = "a.2"
	for _, test := range []struct {
		name  string
		have  []runlog.Run // the oldest first
		event lambdaEvent
		want  string
		begun bool
	}{
		{"named", nil, lambdaEvent{Run: "a"}, "a", false},
		{"named, begun", []runlog.Run{{ID: "a", Status: runlog.Waiting}, {ID: "b", Status: runlog.Waiting}}, lambdaEvent{Run: "a"}, "a", true},
		{"named, done", []runlog.Run{{ID: "a", Status: runlog.Done}}, lambdaEvent{Run: "a"}, "a", true},
		{"named and due", nil, lambdaEvent{Run: "a", Due: start}, "a", false},
		{"due", nil, lambdaEvent{Due: start.In(time.FixedZone("", 3600))}, "20261125-170000-due", false},
		{"neither, first", nil, lambdaEvent{}, "", false},
		{"neither, waiting", []runlog.Run{{ID: "a", Status: runlog.Done}, {ID: "b", Status: runlog.Waiting}}, lambdaEvent{}, "b", true},
		{"neither, killed", []runlog.Run{{ID: "a", Status: runlog.Running}}, lambdaEvent{}, "a", true},
		{"neither, done", []runlog.Run{{ID: "a", Status: runlog.Waiting}, {ID: "b", Status: runlog.Done}}, lambdaEvent{}, "", false},
		{"neither, failed", []runlog.Run{{ID: "a", Status: runlog.Failed, Kind: "auth"}}, lambdaEvent{}, "", false},
		{"failed for good", []runlog.Run{{ID: "a", Status: runlog.Failed, Kind: "data", Streams: stream(runlog.PhaseFailed)}}, lambdaEvent{Run: "a"}, "a", true},
		{"cut off", []runlog.Run{cut}, lambdaEvent{Run: "a"}, "a", true},
		{"given up", []runlog.Run{gone}, lambdaEvent{Run: "a"}, "a.2", false},
		{"given up twice", []runlog.Run{gone, again}, lambdaEvent{Run: "a"}, "a.3", false},
		{"given up listing", []runlog.Run{{ID: "a", Status: runlog.Failed, Kind: "transient", Attempts: 8, Streams: stream(runlog.PhaseQueued)}}, lambdaEvent{Run: "a"}, "a.2", false},
		{"overtaken", []runlog.Run{{ID: "a", Status: runlog.Failed, Kind: "conflict", Streams: stream(runlog.PhaseFailed)}}, lambdaEvent{Run: "a"}, "a.2", false},
	} {
		store := state.NewMemory()
		for i, r := range test.have {
			r.Sync, r.Start = "s", start.Add(time.Duration(i)*time.Hour)
			if err := runlog.Save(t.Context(), store, &r); err != nil {
				t.Fatal(err)
			}
		}
		got, before, err := new(app).runOf(t.Context(), store, "s", test.event)
		if err != nil || got != test.want || (before != nil) != test.begun || before != nil && before.ID != got {
			t.Errorf("%s: got %q, %v, %v, want %q, begun %v", test.name, got, before, err, test.want, test.begun)
		}
	}
}

func TestLambdaAnswers(t *testing.T) {
	wake := time.Date(2026, 11, 25, 17, 0, 0, 1, time.FixedZone("", 3600))
	var a lambdaAnswer
	a.add([]runlog.Stream{{Stream: "leads", Rows: 2, Bytes: 3, Wake: wake, Error: strings.Repeat("ü", maxErrorText)}, {Stream: "emails", Rows: 5, Bytes: 7}})
	a.stop(stoppedWaiting, wake)
	want := time.Date(2026, 11, 25, 16, 0, 1, 0, time.UTC)
	if a.Rows != 7 || a.Bytes != 10 || !a.WakeAt.Equal(want) || !a.Streams[0].WakeAt.Equal(want) || len(a.Streams[0].Error) > maxErrorText+3 || a.Done {
		t.Errorf("got %+v", a)
	}
	f := failureOf(&martsync.Error{Kind: martsync.Auth, Op: "get a token", Err: errors.New("no"), Hint: "check client_id"})
	if diff := cmp.Diff(lambdaFailure{Type: "auth", Message: "get a token: no. Next: Check client_id.", ExitCode: 3, Hint: "check client_id", StackTrace: []string{}}, f); diff != "" {
		t.Errorf("failure (-want +got):\n%s", diff)
	}
}

// Each way to fail is a failed invocation, and the next one is answered.
func TestLambdaFailures(t *testing.T) {
	const named = "sources:\n  m: {type: marketo, endpoint: 'http://127.0.0.1:1', client_id: x, client_secret: y}\n" +
		"destinations:\n  lake: {type: files, path: lake}\nsyncs:\n  - {name: s, source: m, destination: lake}\n"
	t.Setenv("TMPDIR", t.TempDir())
	dir := t.TempDir()
	left := deadFolder(t)
	configured := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, test := range []struct {
		name, config, event, kind, want string
	}{
		{"event", configured("a.yaml", "version: 1\n"+named), `{"snyc": "s"}`, "config", "read the event"},
		{"no configuration", filepath.Join(dir, "none.yaml"), `{}`, "config", "there is no such file"},
		{"another sync", configured("b.yaml", "version: 1\n"+named), `{"sync": "other"}`, "config", "no sync is named"},
		{"state that is lost", configured("c.yaml", "version: 1\nstate: "+filepath.Join(os.TempDir(), "state")+"\n"+named), `{}`, "config", "loses what it keeps"},
		{"no time", configured("d.yaml", "version: 1\n"+named), `{"run": "a", "since": "soon"}`, "config", "--since"},
	} {
		t.Run(test.name, func(t *testing.T) {
			asked := 0
			var failed, kind string
			ended := make(chan struct{})
			api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if strings.HasSuffix(r.URL.Path, "/next") {
					if asked++; asked == 2 {
						close(ended)
						http.Error(w, "closing", http.StatusInternalServerError)
						return
					}
					w.Header().Set("Lambda-Runtime-Aws-Request-Id", "one")
					w.Header().Set("Lambda-Runtime-Deadline-Ms", "4102444800000")
					_, _ = w.Write([]byte(test.event))
					return
				}
				body, err := io.ReadAll(r.Body)
				if err != nil {
					t.Error(err)
				}
				failed, kind = string(body), r.Header.Get("Lambda-Runtime-Function-Error-Type")
				if r.URL.Path != "/2018-06-01/runtime/invocation/one/error" {
					t.Errorf("it called %s", r.URL.Path)
				}
				w.WriteHeader(http.StatusAccepted)
			}))
			defer api.Close()
			env := map[string]string{runtimeVariable: strings.TrimPrefix(api.URL, "http://"), "MARTSYNC_CONFIG": test.config}
			var stdout, stderr strings.Builder
			code := run(t.Context(), nil, strings.NewReader(""), &stdout, &stderr, func(name string) string { return env[name] })
			<-ended
			if kind != test.kind || !strings.Contains(failed, test.want) || !strings.Contains(failed, `"errorType":"`+test.kind+`"`) {
				t.Errorf("got %q, %s, want kind %q with %q", kind, failed, test.kind, test.want)
			}
			if !strings.Contains(stderr.String(), `"request":"one"`) || stdout.String() != "" || code == 0 {
				t.Errorf("exit code %d, log %s, output %q: want a line that names the request, and an end when there is no API any more", code, stderr.String(), stdout.String())
			}
		})
	}
	if _, err := os.Stat(left); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("what a killed process has left is still there: %v", err)
	}
}

func TestConfigurationInABucket(t *testing.T) {
	server := blobtest.NewS3(t)
	text := "version: 1\nsources:\n  m: {type: marketo, endpoint: 'http://127.0.0.1:1', client_id: x, client_secret: y}\n" +
		"destinations:\n  lake: {type: files, path: lake}\nsyncs:\n  - {name: s, source: m, destination: lake}\n"
	if err := server.Store("").Put(t.Context(), "etc/martsync.yaml", []byte(text), false); err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{
		"AWS_REGION": s3test.Region, "AWS_ACCESS_KEY_ID": s3test.Key, "AWS_SECRET_ACCESS_KEY": s3test.Secret, "AWS_ENDPOINT_URL_S3": server.URL,
	} {
		t.Setenv(name, value)
	}
	for _, test := range []struct {
		name, place string
		code        int
		want        string
	}{
		{"there", "s3://mart/etc/martsync.yaml", martsync.ExitOK, `"runs"`},
		{"not there", "s3://mart/martsync.yaml", martsync.ExitConfig, "there is no such object"},
		{"a bucket", "s3://mart", martsync.ExitConfig, "no address of an object"},
		{"a folder", "s3://mart/etc/", martsync.ExitConfig, "no address of an object"},
		{"mistyped", "s3:/mart/martsync.yaml", martsync.ExitConfig, "no address of an object"},
		{"another protocol", "https://example.com/martsync.yaml", martsync.ExitConfig, "no address of an object"},
	} {
		var stdout, stderr strings.Builder
		code := run(t.Context(), []string{"runs", "--json", "-c", test.place, "--state", t.TempDir()}, strings.NewReader(""), &stdout, &stderr, func(string) string { return "" })
		if code != test.code || !strings.Contains(stdout.String()+stderr.String(), test.want) {
			t.Errorf("%s: exit code %d and %q %q, want %d and %q", test.name, code, stdout.String(), stderr.String(), test.code, test.want)
		}
	}
}
