package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/config"
	"github.com/martsync/martsync/internal/blob"
	"github.com/martsync/martsync/internal/report"
)

func (a *app) checkCommand() *cobra.Command {
	var asJSON, send bool
	c := &cobra.Command{
		Use:   "check",
		Short: "Tests the configuration, credentials, permissions and destinations",
		Long: `Tests everything a sync needs, without changing anything, and says what to do about what is wrong.

The exit code is that of the worst finding: see martsync --help.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := interruptible(cmd)
			defer cancel()
			return a.check(ctx, asJSON, send)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.Flags().BoolVar(&send, "alert", false, "send a test to everybody who gets alerts")
	return c
}

// A checked is a finding with what it is about.
type checked struct {
	Of string `json:"of"` // "configuration", "source marketo"
	martsync.Finding
	Exit int `json:"exit_code"`
}

func (a *app) check(ctx context.Context, asJSON, send bool) error {
	c, err := a.loadConfig(ctx)
	if err != nil {
		return err
	}
	findings := []checked{{"configuration", martsync.Finding{
		Subject: c.Path, OK: true,
		Detail: fmt.Sprintf("%s, %s, %s", report.Plural(int64(len(c.Sources)), "source", "sources"),
			report.Plural(int64(len(c.Destinations)), "destination", "destinations"), report.Plural(int64(len(c.Syncs)), "sync", "syncs")),
	}, martsync.ExitOK}}
	for _, s := range c.Syncs {
		if s.Location.String() != "UTC" {
			findings = append(findings, checked{"configuration", martsync.Finding{
				Subject: "time zone of " + s.Name, OK: true,
				Detail: s.Location.String() + ", now " + a.clock.Now().In(s.Location).Format("Mon 15:04 MST"),
			}, martsync.ExitOK})
		}
	}
	findings = append(findings, a.checkState(ctx, c))
	env, err := a.connectorEnv()
	if err != nil {
		return err
	}
	for _, s := range c.Sources {
		findings = append(findings, a.checkSource(ctx, s, env)...)
	}
	for _, d := range c.Destinations {
		findings = append(findings, a.checkDestination(ctx, c, d, env)...)
	}
	for _, s := range c.Syncs {
		if s.Raw != nil {
			findings = append(findings, a.checkRaw(ctx, s, env))
		}
	}
	findings = append(findings, a.checkAlerts(ctx, c, send, env)...)
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("check: %w", err)
	}
	code := martsync.ExitOK
	for _, f := range findings {
		code = worst(code, f.Exit)
	}
	if asJSON {
		if err := a.writeJSON(map[string]any{"ok": code == martsync.ExitOK, "findings": findings}); err != nil {
			return err
		}
	} else {
		a.showFindings(findings)
	}
	if code != martsync.ExitOK {
		return exit(code)
	}
	return nil
}

func (a *app) showFindings(findings []checked) {
	of, width := "", 28
	for _, f := range findings {
		width = max(width, min(len(f.Subject), 40))
	}
	for _, f := range findings {
		if f.Of != of {
			of = f.Of
			a.print("%s", a.out.Paint(report.Bold, of))
		}
		a.print("  %s %-*s %s", a.out.Mark(f.OK), width, f.Subject, f.Detail)
		if !f.OK && f.Hint != "" {
			a.print("    %s %s", a.out.Paint(report.Dim, "next:"), sentence(f.Hint))
		}
	}
}

// finding makes a finding of an error.
func finding(of, subject string, err error) checked {
	return checked{of, martsync.Finding{Subject: subject, Detail: err.Error(), Hint: martsync.HintOf(err), Err: err}, martsync.KindOf(err).ExitCode()}
}

// checkState writes and deletes a document: whether it may be read tells nothing of that.
func (a *app) checkState(ctx context.Context, c *config.Config) checked {
	err := func() error {
		store, err := a.openState(ctx, c)
		if err != nil {
			return err
		}
		key := "check/" + rand.Text()
		revision, err := store.Put(ctx, key, []byte("martsync check\n"), "")
		if err != nil {
			return err
		}
		if _, err := store.List(ctx, "check/"); err != nil {
			return err
		}
		_, err = store.Put(ctx, key, nil, revision)
		return err
	}()
	if err != nil {
		return finding("configuration", "state", err)
	}
	return checked{"configuration", martsync.Finding{Subject: "state", OK: true, Detail: c.State.String()}, martsync.ExitOK}
}

func (a *app) checkSource(ctx context.Context, s config.Source, env martsync.Env) []checked {
	of := fmt.Sprintf("source %s (%s)", s.Name, s.Connector.Title)
	source, err := a.openSource(ctx, s, env)
	if err != nil {
		return []checked{finding(of, "configuration", err)}
	}
	out := fromChecker(ctx, of, source, martsync.ExitAuth)
	if m, ok := martsync.As[martsync.Meter](source); ok {
		for _, u := range m.Usage() {
			out = append(out, checked{of, martsync.Finding{Subject: u.Name, OK: true, Detail: usageText(u)}, martsync.ExitOK})
		}
	}
	return out
}

func (a *app) checkDestination(ctx context.Context, c *config.Config, d config.Destination, env martsync.Env) (out []checked) {
	of := fmt.Sprintf("destination %s (%s)", d.Name, d.Connector.Title)
	schemas := map[string]bool{}
	for _, s := range c.Syncs {
		if s.Destination.Name == d.Name {
			schemas[s.Schema] = true
		}
	}
	if len(schemas) == 0 {
		schemas[""] = true
	}
	for schema := range schemas {
		destination, err := d.Open(ctx, schema, env)
		if err != nil {
			out = append(out, finding(of, "open", err))
			continue
		}
		out = append(out, fromChecker(ctx, of, destination, martsync.ExitConfig)...)
		if err := destination.Close(); err != nil {
			out = append(out, finding(of, "close", err))
		}
	}
	return out
}

// checkRaw tries whether what the vendor sends can be kept and read again.
func (a *app) checkRaw(ctx context.Context, s config.Sync, env martsync.Env) checked {
	of := "raw zone of sync " + s.Name
	location, err := s.Raw.Location(ctx)
	if err != nil {
		return finding(of, "open", err)
	}
	store, err := location.Open(ctx, "", env)
	if err == nil {
		err = blob.ProbeAnew(ctx, store) // it puts, reads, replaces and deletes
	}
	if err != nil {
		return finding(of, "keep objects", err)
	}
	for _, err := range store.List(ctx, "", "") { // what is kept is found by listing
		if err != nil {
			return finding(of, "list objects", err)
		}
		break
	}
	return checked{of, martsync.Finding{Subject: "keep objects", OK: true, Detail: store.String()}, martsync.ExitOK}
}

// fromChecker asks what can check itself. A finding that is not OK
// counts as its error does, or as code if it has none.
func fromChecker(ctx context.Context, of string, v any, code int) []checked {
	c, ok := martsync.As[martsync.Checker](v)
	if !ok {
		return []checked{{of, martsync.Finding{Subject: "open", OK: true, Detail: "nothing else to test"}, martsync.ExitOK}}
	}
	var out []checked
	for _, f := range c.Check(ctx) {
		exit := martsync.ExitOK
		if !f.OK {
			exit = code
			if f.Err != nil {
				exit = martsync.KindOf(f.Err).ExitCode()
			}
		}
		out = append(out, checked{of, f, exit})
	}
	return out
}

// errNoAbility is what a command says that a connector cannot serve.
func errNoAbility(what, name, title string) error {
	return &martsync.Error{
		Kind: martsync.Config, Op: what, Err: fmt.Errorf("%s (%s): %w", name, title, martsync.ErrUnsupported),
	}
}

// closing closes a destination at the end of a command.
func closing(d martsync.Destination, err *error) {
	if e := d.Close(); e != nil {
		*err = errors.Join(*err, fmt.Errorf("close the destination: %w", e))
	}
}
