package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/config"
	"github.com/martsync/martsync/daemon"
	"github.com/martsync/martsync/internal/meter"
	"github.com/martsync/martsync/pipeline"
	"github.com/martsync/martsync/state"
)

// serveFlags are the flags of martsync serve.
type serveFlags struct {
	listen, jitter   string
	shard            string
	atOnce, parallel int
}

func (a *app) serveCommand() *cobra.Command {
	var f serveFlags
	c := &cobra.Command{
		Use:   "serve [NAME…]",
		Short: "Runs the syncs when their schedules say so, until it is stopped",
		Long: `Runs all syncs of the configuration that have a schedule, or those named, whenever it says so.

What is due follows from the state folder: after a time without martsync serve each sync runs once, and one
that was killed in the middle goes on. A sync that is new runs at the next time of its schedule. Syncs of one account
take turns; others run side by side.

The first SIGTERM or Ctrl-C stops at the next cursor and ends with code 0, the second exits at once. Neither
loses or doubles a row.

GET /healthz tells whether it lives, GET /metrics is for Prometheus.`,
		Example: `  martsync serve
  martsync serve --listen :8484 --at-once 8
  martsync serve marketing --listen ''`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error { return a.serve(cmd.Context(), args, f) },
	}
	fs := c.Flags()
	fs.StringVar(&f.listen, "listen", "127.0.0.1:8484", "`address` of /healthz and /metrics, which ask nobody who they are; empty: none")
	fs.StringVar(&f.jitter, "jitter", "1m", "longest `duration` by which a sync begins after its time, always the same for the same time")
	fs.IntVar(&f.atOnce, "at-once", 4, "`number` of syncs at work at once; each takes memory of its own")
	fs.IntVar(&f.parallel, "parallel", 0, "`number` of streams at once in each sync (default 4)")
	shardFlag(fs, &f.shard)
	return c
}

func (a *app) serve(ctx context.Context, names []string, f serveFlags) error {
	a.meter = meter.New() // before anything is called that it measures
	a.lively = true
	c, err := a.loadConfig(ctx)
	if err != nil {
		return err
	}
	jitter, err := config.ParseDuration(f.jitter)
	if err != nil {
		return usageError(fmt.Errorf("--jitter: %w", err), "")
	}
	if f.atOnce < 1 {
		return usageError(fmt.Errorf("--at-once is %d", f.atOnce), "Use 1 or more.")
	}
	syncs, err := scheduled(c, names)
	if err != nil {
		return err
	}
	env, err := a.connectorEnv()
	if err != nil {
		return err
	}
	if syncs, err = a.ownSyncs(ctx, c, syncs, f.shard, env); err != nil {
		return err
	}
	store, err := a.openState(ctx, c)
	if err != nil {
		a.alertNoState(ctx, syncs, env, err)
		return err
	}
	jobs := make([]daemon.Job, len(syncs))
	for i, s := range syncs {
		jobs[i] = daemon.Job{Name: s.Name, Schedule: s.Schedule, Zone: s.Location, Open: a.opener(s, syncFlags{parallel: f.parallel}, store, env)}
	}
	d, err := daemon.New(jobs, daemon.Options{State: store, Clock: a.clock, Log: a.log(), Meter: a.meter, AtOnce: f.atOnce, Jitter: jitter})
	if err != nil {
		return err
	}
	ctx, stop, release := a.stoppable(ctx)
	defer release()
	defer a.watchBeside(ctx, store, env)()
	for _, s := range syncs {
		a.say("%s is due next at %s.", s.Name, s.Schedule.Next(a.clock.Now(), s.Location).In(s.Location).Format("Mon Jan 2 15:04 MST"))
	}
	return a.listenAndRun(ctx, d, f.listen, stop)
}

// scheduled are the named syncs, or all that have a schedule.
func scheduled(c *config.Config, names []string) (syncs []config.Sync, err error) {
	if len(names) == 0 {
		for _, s := range c.Syncs {
			if s.Schedule != nil {
				syncs = append(syncs, s)
			}
		}
		return syncs, nil
	}
	named := map[string]bool{}
	for _, name := range names {
		s, err := c.FindSync(name)
		if err != nil {
			return nil, err
		}
		if s.Schedule == nil {
			return nil, &martsync.Error{
				Kind: martsync.Config, Op: "serve", Err: fmt.Errorf("sync %s has no schedule", s.Name),
				Hint: `Give it one, as in schedule: "0 9 * * WED".`,
			}
		}
		if !named[s.Name] {
			syncs = append(syncs, s)
		}
		named[s.Name] = true
	}
	return syncs, nil
}

// listenAndRun runs the daemon, and beside it the server of its handler if there is an address.
func (a *app) listenAndRun(ctx context.Context, d *daemon.Daemon, address string, stop <-chan struct{}) error {
	if address == "" {
		return d.Run(ctx, stop)
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return usageError(err, "Choose another address with --listen.")
	}
	a.say("Serving. http://%s/healthz, http://%[1]s/metrics", listener.Addr())
	handler := http.NewServeMux()
	handler.Handle("GET /healthz", d.Health())
	handler.Handle("GET /metrics", a.meter.Handler(a.clock, a.log()))
	server := &http.Server{
		Handler: handler, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second,
		WriteTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10,
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	served := make(chan error, 1)
	go func() {
		served <- server.Serve(listener)
		cancel() // a daemon that nobody can look at is better started anew
	}()
	err = d.Run(ctx, stop)
	server.Close() //nolint:errcheck // whoever is being served can ask again
	if e := <-served; !errors.Is(e, http.ErrServerClosed) {
		err = errors.Join(err, fmt.Errorf("serve %s: %w", address, e))
	}
	return err
}

// opener opens runs of a sync for the daemon.
func (a *app) opener(s config.Sync, f syncFlags, store state.Store, env martsync.Env) func(context.Context, string) (daemon.Run, error) {
	return func(ctx context.Context, run string) (daemon.Run, error) {
		p, err := a.plan(s, f)
		if err != nil {
			return nil, err
		}
		opened, closeAll, err := a.openSync(ctx, p, store, env)
		if err != nil {
			if !martsync.KindOf(err).Waits() && martsync.KindOf(err) != martsync.Busy {
				a.noteFailure(ctx, store, s.Name, run, err)
			}
			return nil, err
		}
		opened.ID = run
		return &servedRun{sync: opened, close: closeAll}, nil
	}
}

// A servedRun is an opened sync, as the daemon sees it.
type servedRun struct {
	sync  *pipeline.Sync
	close func() error
}

func (r *servedRun) Account() string { return r.sync.Source.Account() }

func (r *servedRun) Advance(ctx context.Context, stop <-chan struct{}) (daemon.Outcome, error) {
	r.sync.Stop = stop
	out, err := pipeline.Advance(ctx, r.sync)
	return daemon.Outcome{Done: out.Done, WakeAt: out.WakeAt}, err
}

func (r *servedRun) Close() error { return r.close() }
