package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/report"
)

// newApp is an app that writes to the returned builders.
func newApp() (a *app, stdout, stderr *strings.Builder) {
	stdout, stderr = &strings.Builder{}, &strings.Builder{}
	none := func(string) string { return "" }
	a = &app{out: report.NewOutput(stdout, none), err: report.NewOutput(stderr, none), getenv: none, clock: martsync.SystemClock{}}
	a.lines = &logWriter{to: a.err}
	return a, stdout, stderr
}

func TestFail(t *testing.T) {
	vendor := errors.New("code 601: access token invalid (request abc#123)")
	for _, tc := range []struct {
		name string
		err  error
		code int
		want string
	}{
		{"nothing", nil, 0, ""},
		{"shown already", fmt.Errorf("x: %w", exit(4)), 4, ""},
		{
			"what, why and what to do",
			fmt.Errorf("sync m: %w", &martsync.Error{Kind: martsync.Auth, Op: "marketo: list leads", Hint: "renew the secret", Err: vendor}),
			3, "Error: sync m: marketo: list leads\n  why:  code 601: access token invalid (request abc#123)\n  next: Renew the secret.\n",
		},
		{
			"when to try again", &martsync.Error{Kind: martsync.Quota, Op: "export", After: 90 * time.Minute, Err: vendor},
			75, "Error: export\n  why:  code 601: access token invalid (request abc#123)\n  next: Try again in 1h 30m.\n",
		},
		{
			"nobody's fault", &martsync.Error{Kind: martsync.Transient, Op: "export", Err: vendor},
			75, "Error: export\n  why:  code 601: access token invalid (request abc#123)\n  next: Run the command again; it goes on where it stopped.\n",
		},
		{
			"a bug", vendor, 1,
			"Error: code 601: access token invalid (request abc#123)\n  next: This looks like a bug in martsync. Run it again with -vv and report what it prints.\n",
		},
		{"several lines in one", &martsync.Error{Kind: martsync.Busy, Op: "x", Err: errors.Join(errors.New("a"), errors.New("b"))}, 6, "Error: x\n  why:  a; b\n"},
		{"what is not there was not delivered", &martsync.Error{Kind: martsync.Unavailable, Op: "x", Err: vendor}, 2, "Error: x\n  why:  code 601: access token invalid (request abc#123)\n"},
		{"interrupted", fmt.Errorf("list: %w", context.Canceled), 75, "Interrupted.\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a, _, stderr := newApp()
			if got := a.fail(tc.err); got != tc.code {
				t.Errorf("exit code: got %d, want %d", got, tc.code)
			}
			if diff := cmp.Diff(tc.want, stderr.String()); diff != "" {
				t.Errorf("printed (-want +got):\n%s", diff)
			}
		})
	}
}

func TestPanicIsNoStack(t *testing.T) {
	a, _, stderr := newApp()
	root := a.rootCommand()
	root.SetArgs([]string{"boom"})
	root.AddCommand(&cobra.Command{Use: "boom", Run: func(*cobra.Command, []string) { panic("boom") }})
	if code := a.fail(a.execute(t.Context(), root)); code != martsync.ExitInternal {
		t.Errorf("exit code: got %d, want %d", code, martsync.ExitInternal)
	}
	if got := stderr.String(); !strings.Contains(got, "panic: boom") || strings.Contains(got, "goroutine") {
		t.Errorf("got %q, want the panic and no stack", got)
	}
}

func TestWorst(t *testing.T) {
	for _, tc := range []struct{ a, b, want int }{
		{0, 0, 0}, {0, 75, 75}, {75, 6, 6}, {6, 5, 5}, {5, 4, 4}, {4, 3, 3}, {3, 2, 2}, {2, 1, 1}, {1, 75, 1}, {130, 0, 130}, {130, 3, 130},
	} {
		if got := worst(tc.a, tc.b); got != tc.want {
			t.Errorf("worst(%d, %d): got %d, want %d", tc.a, tc.b, got, tc.want)
		}
		if got := worst(tc.b, tc.a); got != tc.want {
			t.Errorf("worst(%d, %d): got %d, want %d", tc.b, tc.a, got, tc.want)
		}
	}
}

func TestSentence(t *testing.T) {
	for in, want := range map[string]string{
		"close it": "Close it.", "martsync sync goes on": "martsync sync goes on.", "path names a folder": "Path names a folder.",
		"limits.daily_calls decides": "limits.daily_calls decides.", "Which one?": "Which one?", "Done.": "Done.", "été": "Été.",
	} {
		if got := sentence(in); got != want {
			t.Errorf("sentence(%q): got %q, want %q", in, got, want)
		}
	}
}

func TestFromChecker(t *testing.T) {
	findings := checkerOf{
		{Subject: "a", OK: true},
		{Subject: "b"},
		{Subject: "c", Err: &martsync.Error{Kind: martsync.Transient}},
		{Subject: "d", Err: &martsync.Error{Kind: martsync.Unavailable}},
	}
	var codes []int
	for _, f := range fromChecker(t.Context(), "x", findings, martsync.ExitAuth) {
		codes = append(codes, f.Exit)
	}
	if diff := cmp.Diff([]int{0, martsync.ExitAuth, martsync.ExitWaiting, 0}, codes); diff != "" {
		t.Errorf("exit codes (-want +got):\n%s", diff)
	}
}

type checkerOf []martsync.Finding

func (c checkerOf) Check(context.Context) []martsync.Finding { return c }

func TestViewNames(t *testing.T) {
	got := viewNames([]string{
		`CREATE OR REPLACE VIEW "marketo"."datamart" AS SELECT 1`, "create view metadata as select 1", "CREATE TABLE t (x INT)",
		`CREATE VIEW IF NOT EXISTS main."odd name" AS SELECT 1`,
	})
	if diff := cmp.Diff([]string{"datamart", "metadata", "odd name"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestOnThisMachine(t *testing.T) {
	for account, want := range map[string]bool{
		"marketo:127.0.0.1:8080": true, "marketo:localhost:80": true, "marketo:[::1]:80": true, "marketo:127.0.0.1:80/x": true,
		"marketo:123-ABC-456": false, "marketo:127.0.0.1.example.com": false, "marketo": false, "marketo:10.0.0.1:80": false, "": false,
	} {
		if got := onThisMachine(account); got != want {
			t.Errorf("onThisMachine(%q): got %v, want %v", account, got, want)
		}
	}
}

func TestStoppableLeaksNothing(t *testing.T) {
	a, _, _ := newApp()
	ctx, stop, release := a.stoppable(t.Context())
	if isClosed(stop) {
		t.Error("it stops without a signal")
	}
	release()
	if ctx.Err() == nil {
		t.Error("the context outlives the sync")
	}
	if isClosed(stop) {
		t.Error("the end of the sync looks like a signal")
	}
}
