package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/audit"
	"github.com/martsync/martsync/config"
	"github.com/martsync/martsync/internal/report"
	"github.com/martsync/martsync/pipeline"
	planning "github.com/martsync/martsync/plan"
	"github.com/martsync/martsync/runlog"
	"github.com/martsync/martsync/state"
)

// syncFlags are the flags of martsync sync.
type syncFlags struct {
	streams, exclude []string
	backfill, dryRun bool
	noWait, asJSON   bool
	since, until     string
	maxTime          string
	shard            string
	repair           []string
	parallel         int
	sameAccount      bool
}

func (a *app) syncCommand() *cobra.Command {
	var f syncFlags
	c := &cobra.Command{
		Use:   "sync [NAME…]",
		Short: "Copies what is new",
		Long: `Copies what is new since the last sync, in all syncs of the configuration or in those named.

A sync that must wait, for an export job or until a limit resets, does so and goes on. It can be
stopped at any time and goes on where it stopped: the first Ctrl-C commits what has arrived
complete, the second exits at once. Neither loses or doubles a row.`,
		Example: `  martsync sync
  martsync sync marketing --stream leads --stream 'activit*'
  martsync sync --since 7d --backfill
  martsync sync --repair missing-leads          # leads that activities name and the table lacks
  martsync sync --shard 1/3                     # on one of three machines
  martsync sync --no-wait || [ $? = 75 ]        # from cron: the next call goes on`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error { return a.sync(cmd.Context(), args, f) },
	}
	fs := c.Flags()
	fs.StringSliceVar(&f.streams, "stream", nil, "only streams of this `name` or pattern (repeatable)")
	fs.StringSliceVar(&f.exclude, "exclude", nil, "no streams of this `name` or pattern (repeatable)")
	fs.BoolVar(&f.backfill, "backfill", false, "read everything again from the beginning; goes on with the last sync if that was a backfill that was interrupted")
	fs.StringVar(&f.since, "since", "", "earliest `time` wanted when a stream begins: a date, a time, or 7d for so long ago")
	fs.StringVar(&f.until, "until", "", "read up to this `time` only")
	fs.BoolVar(&f.sameAccount, "same-account", false, "the tables' account is the source's, under a new name or address: go on with them, and tell them the new one")
	fs.BoolVar(&f.dryRun, "dry-run", false, "say what would be read and from where; create no export job, change nothing")
	fs.BoolVar(&f.noWait, "no-wait", false, "exit with code 75 where the sync would have to wait")
	fs.StringVar(&f.maxTime, "max-time", "", "stop at the next cursor after this `duration`")
	fs.IntVar(&f.parallel, "parallel", 0, "`number` of streams at once (default 4)")
	fs.BoolVar(&f.asJSON, "json", false, "print the result as JSON")
	fs.StringSliceVar(&f.repair, "repair", nil, "afterwards read by id what is missing under this `name`, such as missing-leads (repeatable)")
	shardFlag(fs, &f.shard)
	return c
}

// sync runs the named syncs one after the other. One that fails does not keep the others
// from running; the exit code is the worst.
func (a *app) sync(ctx context.Context, names []string, f syncFlags) error {
	a.lively = true
	c, err := a.loadConfig(ctx)
	if err != nil {
		return err
	}
	syncs, err := namedSyncs(c, names)
	if err != nil {
		return err
	}
	if f.sameAccount && len(syncs) != 1 {
		return usageError(fmt.Errorf("--same-account is about one sync, not %d", len(syncs)), "Name it.")
	}
	env, err := a.connectorEnv()
	if err != nil {
		return err
	}
	if syncs, err = a.ownSyncs(ctx, c, syncs, f.shard, env); err != nil {
		return err
	}
	plans := make([]plan, len(syncs))
	for i, s := range syncs {
		if plans[i], err = a.plan(s, f); err != nil {
			return err
		}
	}
	store, err := a.openState(ctx, c)
	if err != nil {
		if !f.dryRun {
			a.alertNoState(ctx, syncs, env, err)
		}
		return err
	}
	if f.dryRun {
		return a.dryRun(ctx, plans, store, env, f.asJSON)
	}
	ctx, stop, release := a.stoppable(ctx)
	defer release()

	stopped := func(p plan) bool { return isClosed(stop) || ctx.Err() != nil || p.timeUp(a.clock.Now()) }
	results, code := runInTurn(plans, stopped, func(p plan, stopped bool) syncResult {
		r, err := notBegun(p), error(nil)
		if !stopped {
			r, err = a.syncOne(ctx, p, store, env, stop, f.noWait)
			a.comparePlan(ctx, store, &r)
		}
		if !f.asJSON {
			a.summary(&r)
		}
		if err != nil {
			a.showSync(&r, err)
		}
		return r
	})
	if f.asJSON {
		if err := a.writeJSON(map[string]any{"syncs": results}); err != nil {
			return err
		}
	}
	if code != martsync.ExitOK {
		return exit(code)
	}
	return nil
}

// runInTurn runs one after the other. Those that come after a stop, or when the time is up, are results as well, and the
// exit code is the worst of all: a sync that ends well while it is stopped must not speak for those behind it.
func runInTurn(plans []plan, stopped func(plan) bool, one func(p plan, stopped bool) syncResult) (results []syncResult, code int) {
	code = martsync.ExitOK
	for _, p := range plans {
		r := one(p, stopped(p))
		results = append(results, r)
		code = worst(code, r.Exit)
	}
	return results, code
}

// A plan is a sync of the configuration with what the flags say about it.
type plan struct {
	sync             config.Sync
	streams, exclude []string
	span             martsync.Span
	backfill         bool
	parallel         int
	sameAccount      bool // the tables' account and the source's are one
	deadline         time.Time
	repair           []string // what is repaired afterwards; none: nothing
	repaired         func(audit.Repair)
}

// timeUp reports whether --max-time has passed.
func (p *plan) timeUp(now time.Time) bool { return !p.deadline.IsZero() && !now.Before(p.deadline) }

func (a *app) plan(s config.Sync, f syncFlags) (plan, error) {
	now := a.clock.Now()
	p := plan{
		repair: s.Repair, sync: s, streams: s.Streams, exclude: s.Exclude, backfill: f.backfill, parallel: f.parallel,
		sameAccount: f.sameAccount, span: martsync.Span{Start: s.Start},
	}
	if len(f.streams) > 0 {
		p.streams = f.streams
	}
	if len(f.repair) > 0 {
		p.repair = f.repair
	}
	p.exclude = append(append([]string{}, s.Exclude...), f.exclude...)
	for _, pattern := range append(append([]string{}, f.streams...), f.exclude...) {
		if _, err := path.Match(pattern, ""); err != nil {
			return p, usageError(fmt.Errorf("%q is not a pattern", pattern), "Patterns are names with *, ? and [a-z].")
		}
	}
	var err error
	if f.since != "" {
		if p.span.Start, err = config.ParseTime(f.since, now, s.Location); err != nil {
			return p, usageError(fmt.Errorf("--since: %w", err), "")
		}
	}
	if f.until != "" {
		if p.span.End, err = config.ParseTime(f.until, now, s.Location); err != nil {
			return p, usageError(fmt.Errorf("--until: %w", err), "")
		}
		if !p.span.End.After(p.span.Start) {
			return p, usageError(errors.New("--until is not after the start"), "")
		}
	}
	if f.maxTime != "" {
		d, err := config.ParseDuration(f.maxTime)
		if err != nil {
			return p, usageError(fmt.Errorf("--max-time: %w", err), "")
		}
		p.deadline = now.Add(d)
	}
	return p, nil
}

// A syncResult is how one sync ended.
type syncResult struct {
	Sync    string           `json:"sync"`
	Run     string           `json:"run,omitempty"`
	Done    bool             `json:"done"`
	Stopped bool             `json:"stopped,omitempty"` // by a signal or --max-time
	WakeAt  time.Time        `json:"wake_at,omitzero"`  // when going on is useful
	Took    float64          `json:"took_seconds"`
	Streams []runlog.Stream  `json:"streams"`
	Usage   []martsync.Usage `json:"usage,omitempty"`
	Repairs []audit.Repair   `json:"repairs,omitempty"`
	Exit    int              `json:"exit_code"`
	Error   string           `json:"error,omitempty"`
	Hint    string           `json:"hint,omitempty"`

	Planned *planning.Compared `json:"planned,omitempty"` // what martsync plan said, beside what was used

	again string // the command that goes on; "": martsync sync
}

// goesOn is the command that goes on where a sync or a replay ended.
func (r *syncResult) goesOn() string { return cmp.Or(r.again, "martsync sync "+r.Sync) }

// notBegun is the result of a sync that was still to come when all were stopped: it is not done,
// however the others ended.
func notBegun(p plan) syncResult {
	return syncResult{Sync: p.sync.Name, Stopped: true, Streams: []runlog.Stream{}, Exit: martsync.ExitWaiting}
}

// syncOne runs one sync until it is done, stopped or, with noWait, must wait.
func (a *app) syncOne(ctx context.Context, p plan, store state.Store, env martsync.Env, stop <-chan struct{}, noWait bool) (syncResult, error) {
	r := syncResult{Sync: p.sync.Name}
	if p.backfill {
		r.again = r.goesOn() + " --backfill"
	}
	began := a.clock.Now()
	err := a.runSync(ctx, p, store, env, stop, noWait, &r)
	r.Took = a.clock.Now().Sub(began).Seconds()
	r.Streams = append([]runlog.Stream{}, r.Streams...) // a list in JSON too, if it did not come to any
	switch {
	case err != nil:
		r.Error, r.Hint, r.Exit = err.Error(), martsync.HintOf(err), codeOf(err)
	case !r.Done:
		r.Stopped = isClosed(stop) || p.timeUp(a.clock.Now())
		r.Exit = martsync.ExitWaiting
	}
	return r, err
}

func (a *app) runSync(ctx context.Context, p plan, store state.Store, env martsync.Env, stop <-chan struct{}, noWait bool, r *syncResult) (err error) {
	p.repaired = func(done audit.Repair) { r.Repairs = append(r.Repairs, done) }
	s, closeAll, err := a.openSync(ctx, p, store, env)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeAll()) }()
	view := a.watch(p.sync, s.Source)
	defer view.end()
	s.Stop, s.Observe = stop, view.observe
	if p.backfill {
		if s.ID, err = unfinishedBackfill(ctx, store, p.sync.Name); err != nil {
			return err
		}
		if s.ID != "" {
			a.say("Going on with the backfill that run %s has begun.", s.ID)
		}
	}
	run := pipeline.Run
	if noWait {
		run = pipeline.Advance
	}
	out, err := run(ctx, s)
	r.Run, r.Done, r.WakeAt, r.Streams = s.ID, out.Done, out.WakeAt, out.Stats.Streams
	r.Usage = usageOf(s)
	return err
}

// unfinishedBackfill is the run that the last sync was, if that was a backfill which was interrupted, else "". It has to be
// that run which goes on: another one would begin again with what is done, and one that is no backfill leaves out the
// streams that were still to come. Once something else has run, a backfill is a new one.
func unfinishedBackfill(ctx context.Context, store state.Store, sync string) (string, error) {
	last, err := runlog.List(ctx, store, sync, 1)
	if err != nil || len(last) == 0 || !last[0].Backfill || last[0].Status == runlog.Done || last[0].Status == runlog.Failed {
		return "", err
	}
	return last[0].ID, nil
}

// usageOf is what source and destination of a sync say that they have spent.
func usageOf(s *pipeline.Sync) (all []martsync.Usage) {
	for _, v := range []any{s.Source, s.Destination} {
		if m, ok := martsync.As[martsync.Meter](v); ok {
			all = append(all, m.Usage()...)
		}
	}
	return all
}

// showSync shows why a sync failed: for each stream if that is what failed.
func (a *app) showSync(r *syncResult, err error) {
	var failed []runlog.Stream
	for _, s := range r.Streams {
		if s.Phase == runlog.PhaseFailed {
			failed = append(failed, s)
		}
	}
	if len(failed) < 2 {
		a.show("", err)
		return
	}
	for _, s := range failed {
		a.show(r.Sync, &martsync.Error{Kind: kindNamed(s.Kind), Op: s.Stream, Hint: s.Hint, Err: errors.New(s.Error)})
	}
}

// kindNamed is the inverse of Kind.String.
func kindNamed(name string) martsync.Kind {
	for k := martsync.Internal; k <= martsync.Transient; k++ {
		if k.String() == name {
			return k
		}
	}
	return martsync.Internal
}

// stoppable turns signals into what they mean for a sync: the first closes stop, so that it
// stops at the next cursor and commits; the second exits at once, which loses nothing either.
func (a *app) stoppable(ctx context.Context) (_ context.Context, stop <-chan struct{}, release func()) {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	ctx, cancel := context.WithCancel(ctx)
	temp := a.temp
	closed, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		select {
		case <-ctx.Done():
			return
		case <-signals:
			fmt.Fprintln(a.lines, "Stopping at the next cursor; what has arrived complete is committed. Once more to exit at once.")
			close(closed)
		}
		select {
		case <-ctx.Done():
		case <-signals:
			if temp != nil {
				_ = temp.Remove() // it may hold records
			}
			os.Exit(exitSignal)
		}
	}()
	return ctx, closed, func() {
		signal.Stop(signals)
		cancel()
		<-done
	}
}

// exitSignal is the exit code after a second signal, as shells have it for SIGINT.
const exitSignal = 130

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// summary prints what a sync did.
func (a *app) summary(r *syncResult) {
	if len(r.Streams) > 0 && !a.streamTable(r) {
		return
	}
	switch {
	case r.Stopped && len(r.Streams) == 0:
		a.say("Stopped. %s is still to come.", r.goesOn())
	case r.Stopped:
		a.say("Stopped. %s goes on from here.", r.goesOn())
	case !r.Done && r.Error == "" && !r.WakeAt.IsZero():
		a.say("Not done: %s. %s goes on from here.", waits(r.WakeAt, a.clock.Now()), r.goesOn())
	}
}

// streamTable prints what became of the streams. It reports false if there is nobody to read it.
func (a *app) streamTable(r *syncResult) bool {
	t := report.Table{Columns: []report.Column{
		{Name: r.Sync},
		{Name: ""},
		{Name: "rows", Right: true},
		{Name: "quarantined", Right: true},
		{Name: "windows", Right: true},
		{Name: "read", Right: true},
		{Name: "took", Right: true},
		{Name: "", Flexible: true},
	}}
	var sum runlog.Stream
	for _, s := range r.Streams {
		note := ""
		switch {
		case s.Phase == runlog.PhaseWait:
			note = waits(s.Wake, a.clock.Now())
		case s.Error != "":
			note = s.Error
		case s.Unchanged && s.Rows == 0:
			note = "as before"
		}
		t.Add(s.Stream, phase(a.out, s.Phase), report.Count(s.Rows), report.Count(s.Quarantined), report.Count(s.Windows),
			report.Bytes(s.Bytes), report.Duration(s.Took), note)
		sum.Rows += s.Rows
		sum.Quarantined += s.Quarantined
		sum.Windows += s.Windows
		sum.Bytes += s.Bytes
	}
	if len(r.Streams) > 1 {
		t.Add("total", "", report.Count(sum.Rows), report.Count(sum.Quarantined), report.Count(sum.Windows), report.Bytes(sum.Bytes),
			report.Duration(time.Duration(r.Took*float64(time.Second))), "")
	}
	if err := t.WriteTo(a.out); err != nil {
		return false
	}
	for i := range r.Repairs {
		a.showRepair(&r.Repairs[i])
	}
	if line := usageLine(r.Usage); line != "" {
		a.print("  %s", a.out.Paint(report.Dim, "spent: "+line))
	}
	if line := r.plannedLine(); line != "" {
		a.print("  %s", a.out.Paint(report.Dim, line))
	}
	if sum.Quarantined > 0 {
		a.say("%s: %s set aside in the table _martsync_quarantine, each with the reason.",
			a.err.Paint(report.Yellow, "Note"), report.Plural(sum.Quarantined, "row was", "rows were"))
	}
	return true
}

// tableStart opens the tables that streams begin at, if they do: usually those of the sync's own
// destination. Release gives them back.
func (a *app) tableStart(ctx context.Context, s config.Sync, own martsync.Destination, env martsync.Env) (start *pipeline.TableStart, release func() error, err error) {
	release = func() error { return nil }
	c := s.StartTable
	if c == nil {
		return nil, release, nil
	}
	from := own
	if c.Destination.Name != s.Destination.Name || c.Schema != s.Schema {
		if from, err = c.Destination.Open(ctx, c.Schema, env); err != nil {
			return nil, release, fmt.Errorf("open start_table: %w", err)
		}
		release = from.Close
	}
	tables, ok := from.(martsync.TimeReader)
	if !ok {
		return nil, release, errors.Join(errNoAbility("tell the newest time of a table", c.Destination.Name, c.Destination.Connector.Title), release())
	}
	return &pipeline.TableStart{Tables: tables, Table: c.Table, Column: c.Column, Minus: c.Minus}, release, nil
}

// waits says until when something waits, or since when it needs no longer.
func waits(wake, now time.Time) string {
	if wake.After(now) {
		return "waits " + waitingFor(wake, now)
	}
	return "can go on now"
}

// waitingFor writes until when, and how long that is.
func waitingFor(wake, now time.Time) string {
	local := wake.Local()
	layout := "15:04:05 MST"
	if !sameDay(local, now.Local()) {
		layout = "Mon Jan 2 15:04 MST"
	}
	return fmt.Sprintf("until %s (%s)", local.Format(layout), report.Ago(wake, now))
}

func sameDay(a, b time.Time) bool {
	return a.YearDay() == b.YearDay() && a.Year() == b.Year()
}
