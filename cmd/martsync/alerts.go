package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/alert"
	"github.com/martsync/martsync/config"
	"github.com/martsync/martsync/pipeline"
	"github.com/martsync/martsync/runlog"
	"github.com/martsync/martsync/state"
)

// alertTypes are the types of alerts, as the configuration wants them.
func alertTypes() (types []config.AlertType) {
	for _, t := range alert.Types() {
		types = append(types, config.AlertType{Name: t.Name, Title: t.Title, NewConfig: t.NewConfig})
	}
	return types
}

// An alerting is the alerts of a configuration, and who watches for them. All runs of a process share one.
type alerting struct {
	config *config.Config

	mu      sync.Mutex
	watcher *alert.Watcher
}

// watch returns the watcher. The store and the environment of the first call count.
func (l *alerting) watch(store state.Store, env martsync.Env) *alert.Watcher {
	if l == nil {
		return alert.New(alert.Options{}) // runs that no configuration tells of
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.watcher == nil {
		o := alert.Options{State: store, Clock: env.Clock, Log: env.Log}
		for _, s := range l.config.Syncs {
			o.Syncs = append(o.Syncs, alertSync(s))
		}
		for _, c := range l.config.Alerts {
			o.Rules = append(o.Rules, alertRule(c, env))
		}
		l.watcher = alert.New(o)
	}
	return l.watcher
}

func alertSync(s config.Sync) alert.Sync {
	return alert.Sync{Name: s.Name, Schedule: s.Schedule, Zone: s.Location, LateAfter: s.LateAfter}
}

// alertRule makes the rule of a configured alert. Its secrets are followed when there is something to send.
func alertRule(c config.Alert, env martsync.Env) alert.Rule {
	r := alert.Rule{
		Name: c.Name, Syncs: c.Syncs, Remind: c.Remind, Quota: int64(c.Quota), Quarantine: c.Quarantine,
		Open: func(ctx context.Context) (alert.Sender, error) { return openSender(ctx, c, env) },
	}
	for _, e := range c.On {
		r.On = append(r.On, alert.Event(e))
	}
	return r
}

func openSender(ctx context.Context, c config.Alert, env martsync.Env) (alert.Sender, error) {
	types := alert.Types()
	i := slices.IndexFunc(types, func(t alert.Type) bool { return t.Name == c.Type })
	if i < 0 {
		return nil, &martsync.Error{Kind: martsync.Internal, Op: "open alert " + c.Name, Err: fmt.Errorf("no type %q", c.Type)}
	}
	options, err := c.Resolve(ctx)
	if err != nil {
		return nil, err
	}
	return types[i].Open(ctx, options, env)
}

// alerted has the watcher told of everything that becomes of a sync that was opened. Ctx is that of the sync.
func (a *app) alerted(ctx context.Context, s *pipeline.Sync, p plan, store state.Store, env martsync.Env) {
	w := a.alerts.watch(store, env)
	partial := !slices.Equal(p.streams, p.sync.Streams) || !slices.Equal(p.exclude, p.sync.Exclude) || !p.span.End.IsZero()
	s.Ended = func(ended context.Context, run *runlog.Run, err error) {
		if err != nil && ctx.Err() != nil {
			return // it was interrupted or its time was up, which is no failure: it goes on
		}
		// Who has a deadline is killed soon after it; the next one sends what was not sent.
		if deadline, ok := ctx.Deadline(); ok {
			var cancel context.CancelFunc
			ended, cancel = context.WithDeadline(ended, deadline)
			defer cancel()
		}
		w.Ran(ended, alert.Report{Sync: p.sync.Name, Run: run, Err: err, Partial: partial})
	}
}

// alertUnopened tells the watcher of a sync that could not be opened.
func (a *app) alertUnopened(ctx context.Context, p plan, store state.Store, env martsync.Env, err error) {
	if ctx.Err() == nil {
		a.alerts.watch(store, env).Ran(ctx, alert.Report{Sync: p.sync.Name, Err: err})
	}
}

// alertNoState tells of syncs that cannot begin since the state cannot be opened. Nobody can know what was told before.
func (a *app) alertNoState(ctx context.Context, syncs []config.Sync, env martsync.Env, err error) {
	if ctx.Err() != nil {
		return
	}
	w := a.alerts.watch(noState{err}, env)
	for _, s := range syncs {
		w.Ran(ctx, alert.Report{Sync: s.Name, Err: err})
	}
}

// A noState is a store that could not be opened.
type noState struct{ err error }

func (n noState) Get(context.Context, string) (state.Document, error) { return state.Document{}, n.err }

func (n noState) Put(context.Context, string, []byte, string) (string, error) { return "", n.err }

func (n noState) List(context.Context, string) ([]string, error) { return nil, n.err }

// watchBeside looks every few minutes at what has not run, until release is called.
func (a *app) watchBeside(ctx context.Context, store state.Store, env martsync.Env) (release func()) {
	if a.alerts == nil || len(a.alerts.config.Alerts) == 0 {
		return func() {}
	}
	w := a.alerts.watch(store, env)
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			w.Look(ctx)
			if a.clock.Sleep(ctx, lookEvery) != nil {
				return
			}
		}
	}()
	return func() {
		cancel()
		<-ended
	}
}

const lookEvery = 5 * time.Minute

// checkAlerts opens every alert, and with send sends a test to each.
func (a *app) checkAlerts(ctx context.Context, c *config.Config, send bool, env martsync.Env) (out []checked) {
	for _, configured := range c.Alerts {
		of := "alert " + configured.Name
		what := cmp.Or(joined(configured.On), "everything") + " of " + cmp.Or(joined(configured.Syncs), "all syncs")
		if _, err := openSender(ctx, configured, env); err != nil {
			out = append(out, finding(of, configured.Type, err))
			continue
		}
		detail := "tells " + what + "; martsync check --alert sends a test"
		if send {
			one := alert.New(alert.Options{Rules: []alert.Rule{alertRule(configured, env)}, Clock: a.clock, Log: env.Log})
			if err := one.Test(ctx)[0].Err; err != nil {
				out = append(out, finding(of, configured.Type, err))
				continue
			}
			detail = "a test was sent; tells " + what
		}
		out = append(out, checked{of, martsync.Finding{Subject: configured.Type, OK: true, Detail: detail}, martsync.ExitOK})
	}
	if send && len(c.Alerts) == 0 {
		out = append(out, finding("alerts", "configuration", &martsync.Error{
			Kind: martsync.Config, Err: fmt.Errorf("there are no alerts"), Hint: "Add alerts: to the configuration; docs/alerts.md has examples.",
		}))
	}
	return out
}

func joined(names []string) string { return strings.Join(names, ", ") }

// lateNote says that a sync is late; "": it is not.
func (a *app) lateNote(ctx context.Context, store state.Store, s config.Sync) (*alert.Lateness, string, error) {
	l, err := alert.LateNow(ctx, store, alertSync(s), a.clock.Now())
	if err != nil || l == nil {
		return nil, "", err
	}
	return l, fmt.Sprintf("%s is late: it had to be complete by %s.", s.Name, l.Due.In(s.Location).Format("Mon Jan 2 15:04 MST")), nil
}
