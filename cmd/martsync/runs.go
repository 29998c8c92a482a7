package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/alert"
	"github.com/martsync/martsync/config"
	"github.com/martsync/martsync/internal/pattern"
	"github.com/martsync/martsync/internal/report"
	"github.com/martsync/martsync/pipeline"
	"github.com/martsync/martsync/runlog"
	"github.com/martsync/martsync/state"
)

func (a *app) runsCommand() *cobra.Command {
	var limit int
	var asJSON bool
	c := &cobra.Command{
		Use:   "runs [SYNC]",
		Short: "Lists the last runs",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.runs(cmd.Context(), args, limit, asJSON)
		},
	}
	c.Flags().IntVarP(&limit, "limit", "n", 20, "`number` of runs; 0 for all that are kept")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// history opens the state store and finds the syncs that args name, or all.
func (a *app) history(ctx context.Context, args []string) (*config.Config, state.Store, string, error) {
	c, err := a.loadConfig(ctx)
	if err != nil {
		return nil, nil, "", err
	}
	store, err := a.openState(ctx, c)
	if err != nil {
		return nil, nil, "", err
	}
	name := ""
	if len(args) > 0 {
		s, err := c.FindSync(args[0])
		if err != nil {
			return nil, nil, "", err
		}
		name = s.Name
	}
	return c, store, name, nil
}

func (a *app) runs(ctx context.Context, args []string, limit int, asJSON bool) error {
	_, store, name, err := a.history(ctx, args)
	if err != nil {
		return err
	}
	runs, err := runlog.List(ctx, store, name, limit)
	if err != nil {
		return err
	}
	if err := a.layDead(ctx, store, runs); err != nil {
		return err
	}
	planned := a.plannedFor(ctx, store, runs)
	if asJSON {
		if runs == nil {
			runs = []runlog.Run{}
		}
		return a.writeJSON(map[string]any{"runs": runs, "planned": planned})
	}
	if len(runs) == 0 {
		a.say("There are no runs yet. martsync sync makes one.")
		return nil
	}
	t := report.Table{Columns: []report.Column{
		{Name: "run"},
		{Name: "sync"},
		{Name: "began"},
		{Name: "took", Right: true},
		{Name: "status"},
		{Name: "streams", Right: true},
		{Name: "rows", Right: true},
		{Name: "quarantined", Right: true},
		{Name: "calls", Right: true},
		{Name: "", Flexible: true},
	}}
	for _, r := range runs {
		note := r.Error
		if r.Status == runlog.Waiting {
			note = waits(r.Wake, a.clock.Now())
		}
		var quarantined, failed int64
		for _, s := range r.Streams {
			quarantined += s.Quarantined
			if s.Phase == runlog.PhaseFailed {
				failed++
			}
		}
		if note == "" && failed > 0 {
			note = report.Plural(failed, "stream failed", "streams failed")
		}
		t.Add(r.ID, r.Sync, report.Time(r.Start), report.Duration(took(&r, a.clock.Now())), a.status(r.Status),
			report.Count(int64(len(r.Streams))), report.Count(r.Rows()), report.Count(quarantined), calls(r.Usage), note)
	}
	if err := t.WriteTo(a.out); err != nil {
		return err
	}
	return a.showPlannedRuns(runs, planned)
}

// layDead shows runs that ended without a word as what they are: the state still calls them running.
func (a *app) layDead(ctx context.Context, store state.Store, runs []runlog.Run) error {
	for i := range runs {
		died, err := pipeline.Died(ctx, store, a.clock, &runs[i])
		if err != nil {
			return err
		}
		if died {
			runs[i] = *runs[i].Laid()
		}
	}
	return nil
}

func took(r *runlog.Run, now time.Time) time.Duration {
	if r.End.IsZero() || r.Status == runlog.Running {
		return now.Sub(r.Start)
	}
	return r.End.Sub(r.Start)
}

// calls is how many API calls were spent, if the source counts them.
func calls(usage []martsync.Usage) string {
	for _, u := range usage {
		if u.Unit == "calls" {
			return report.Count(u.Spent)
		}
	}
	return ""
}

func (a *app) status(s runlog.Status) string {
	switch s {
	case runlog.Done:
		return a.out.Paint(report.Green, string(s))
	case runlog.Failed:
		return a.out.Paint(report.Red, string(s))
	default:
		return a.out.Paint(report.Yellow, string(s))
	}
}

func (a *app) statusCommand() *cobra.Command {
	var asJSON bool
	var maxAge string
	c := &cobra.Command{
		Use:   "status [SYNC]",
		Short: "Says how fresh each stream is",
		Long: `Says when each stream was last read to its end, what it has, and what keeps it from going on.

With --max-age the exit code is 75 if a stream was not read to its end within that time: for monitoring.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.freshness(cmd.Context(), args, maxAge, asJSON)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.Flags().StringVar(&maxAge, "max-age", "", "`duration`, such as 26h, after which a stream is stale")
	return c
}

func (a *app) freshness(ctx context.Context, args []string, maxAge string, asJSON bool) error {
	c, store, name, err := a.history(ctx, args)
	if err != nil {
		return err
	}
	limit := time.Duration(0)
	if maxAge != "" {
		if limit, err = config.ParseDuration(maxAge); err != nil {
			return usageError(fmt.Errorf("--max-age: %w", err), "")
		}
	}
	type syncStatus struct {
		Sync    string          `json:"sync"`
		Stale   bool            `json:"stale"`
		Late    *alert.Lateness `json:"late,omitempty"`
		Run     *lastRun        `json:"run,omitempty"`
		note    string
		Streams []runlog.Freshness `json:"streams"`
	}
	now := a.clock.Now()
	all := []syncStatus{}
	stale := false
	for _, s := range c.Syncs {
		if name != "" && s.Name != name {
			continue
		}
		fresh, err := runlog.FreshnessOf(ctx, store, s.Name)
		if err != nil {
			return err
		}
		fresh = configured(s, fresh)
		status := syncStatus{Sync: s.Name, Streams: fresh, Stale: limit > 0 && len(fresh) == 0}
		if status.Run, err = a.lastRun(ctx, store, s.Name, fresh); err != nil {
			return err
		}
		if fresh == nil {
			status.Streams = []runlog.Freshness{}
		}
		for _, f := range fresh {
			status.Stale = status.Stale || limit > 0 && f.Phase != runlog.PhaseSkipped && now.Sub(f.LastSuccess) > limit
		}
		if status.Late, status.note, err = a.lateNote(ctx, store, s); err != nil {
			return err
		}
		stale = stale || status.Stale
		all = append(all, status)
	}
	if asJSON {
		if err := a.writeJSON(map[string]any{"syncs": all}); err != nil {
			return err
		}
	} else {
		for _, s := range all {
			if err := a.listFreshness(s.Sync, s.Run, s.Streams, limit); err != nil {
				return err
			}
			if s.note != "" {
				a.say("%s", a.err.Paint(report.Red, s.note))
			}
		}
	}
	if len(c.Alerts) > 0 { // whoever looks at a late sync may be the first that runs since
		env, err := a.connectorEnv()
		if err != nil {
			return err
		}
		a.alerts.watch(store, env).Look(ctx)
	}
	if stale {
		return exit(martsync.ExitWaiting)
	}
	return nil
}

// configured keeps the streams that the sync still has: one that was taken out of it is not stale, however old it gets.
func configured(s config.Sync, fresh []runlog.Freshness) []runlog.Freshness {
	return slices.DeleteFunc(fresh, func(f runlog.Freshness) bool { return !pattern.Chooses(s.Streams, s.Exclude, f.Stream) })
}

// A lastRun is the newest run of a sync.
type lastRun struct {
	ID     string        `json:"id"`
	Began  time.Time     `json:"began"`
	Status runlog.Status `json:"status"`
	Died   time.Time     `json:"died,omitzero"` // the last sign of a run that ended without a word
	Rows   int64         `json:"rows"`          // committed
	Error  string        `json:"error,omitzero"`
}

// lastRun finds the newest run of a sync, nil if there is none. If it died the phases of fresh are made what they are.
func (a *app) lastRun(ctx context.Context, store state.Store, sync string, fresh []runlog.Freshness) (*lastRun, error) {
	runs, err := runlog.List(ctx, store, sync, 1)
	if err != nil || len(runs) == 0 {
		return nil, err
	}
	r := &runs[0]
	last := &lastRun{ID: r.ID, Began: r.Start, Status: r.Status, Rows: r.Rows(), Error: r.Error}
	died, err := pipeline.Died(ctx, store, a.clock, r)
	if err != nil || !died {
		return last, err
	}
	r = r.Laid()
	last.Status, last.Died, last.Error = r.Status, r.End, r.Error
	for i := range fresh {
		if st := r.Find(fresh[i].Stream); st != nil && fresh[i].Run == r.ID {
			fresh[i].Phase, fresh[i].Wake, fresh[i].Error, fresh[i].Hint = st.Phase, st.Wake, st.Error, st.Hint
		}
	}
	return last, nil
}

// listRun says of the newest run what the table of streams does not, if there is one.
func (a *app) listRun(sync string, r *lastRun, table bool) {
	switch {
	case r == nil:
		a.say("%s has not run yet. martsync sync %s runs it.", sync, sync)
	case !r.Died.IsZero():
		a.say("%s: run %s began %s and ended without a word; the last sign of it is of %s.", sync, r.ID, report.Time(r.Began), report.Time(r.Died))
		a.say("It had committed %s. martsync sync %s goes on from there.", report.Plural(r.Rows, "row", "rows"), sync)
	case r.Status == runlog.Running:
		a.say("%s: run %s is at work since %s.", sync, r.ID, report.Time(r.Began))
	case r.Status == runlog.Failed && r.Error != "":
		a.say("%s: run %s of %s failed: %s", sync, r.ID, report.Time(r.Began), r.Error)
	case !table:
		a.say("%s: run %s began %s; no stream has begun yet.", sync, r.ID, report.Time(r.Began))
	}
}

func (a *app) listFreshness(sync string, run *lastRun, fresh []runlog.Freshness, limit time.Duration) error {
	if len(fresh) == 0 {
		a.listRun(sync, run, false)
		return nil
	}
	now := a.clock.Now()
	t := report.Table{Columns: []report.Column{
		{Name: sync}, {Name: ""}, {Name: "complete as of"}, {Name: ""}, {Name: "last change"}, {Name: "rows written", Right: true}, {Name: "", Flexible: true},
	}}
	for _, f := range fresh {
		note := f.Error
		if f.Phase == runlog.PhaseWait {
			note = waits(f.Wake, now)
		}
		ago := report.Ago(f.LastSuccess, now)
		if limit > 0 && now.Sub(f.LastSuccess) > limit {
			ago = a.out.Paint(report.Red, ago)
		}
		t.Add(f.Stream, phase(a.out, f.Phase), report.Time(f.LastSuccess), ago, report.Time(f.LastCommit), report.Count(f.TotalRows), note)
	}
	if err := t.WriteTo(a.out); err != nil {
		return err
	}
	a.listRun(sync, run, true)
	return nil
}

func (a *app) logsCommand() *cobra.Command {
	var id string
	var asJSON bool
	c := &cobra.Command{
		Use:   "logs [SYNC]",
		Short: "Shows what happened in a run",
		Long: `Shows, stream by stream, what the last run did and what went wrong. The whole history, one row an
operation, is in the table _martsync_log at the destination.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.logs(cmd.Context(), args, id, asJSON)
		},
	}
	c.Flags().StringVar(&id, "run", "", "`id` of the run (default the last one; martsync runs lists them)")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func (a *app) logs(ctx context.Context, args []string, id string, asJSON bool) error {
	_, store, name, err := a.history(ctx, args)
	if err != nil {
		return err
	}
	limit := 1
	if id != "" {
		limit = 0
	}
	runs, err := runlog.List(ctx, store, name, limit)
	if err != nil {
		return err
	}
	var run *runlog.Run
	for i := range runs {
		if id == "" || runs[i].ID == id {
			run = &runs[i]
			break
		}
	}
	if run != nil {
		one := []runlog.Run{*run}
		if err := a.layDead(ctx, store, one); err != nil {
			return err
		}
		run = &one[0]
	}
	if run == nil {
		if id == "" {
			a.say("There are no runs yet. martsync sync makes one.")
			return nil
		}
		return usageError(fmt.Errorf("there is no run %q", id), "martsync runs lists them.")
	}
	if asJSON {
		return a.writeJSON(run)
	}
	a.print("run %s of %s on %s: %s", a.out.Paint(report.Bold, run.ID), run.Sync, run.Account, a.status(run.Status))
	a.print("  began %s, took %s", report.Time(run.Start), report.Duration(took(run, a.clock.Now())))
	if line := usageLine(run.Usage); line != "" {
		a.print("  spent %s", line)
	}
	if run.Error != "" {
		a.print("  %s %s", a.out.Paint(report.Red, "error:"), run.Error)
		if run.Hint != "" {
			a.print("  next:  %s", run.Hint)
		}
	}
	r := syncResult{Sync: "stream", Done: true, Streams: run.Streams, Took: took(run, a.clock.Now()).Seconds()}
	a.summary(&r)
	if len(run.Log) > 0 {
		a.print("")
		t := report.Table{Columns: []report.Column{{Name: "time"}, {Name: "stream"}, {Name: "operation"}, {Name: ""}, {Name: "message", Flexible: true}}}
		for _, e := range run.Log {
			t.Add(report.Time(e.Time), e.Stream, e.Operation, a.out.Mark(e.Success), e.Message)
		}
		return t.WriteTo(a.out)
	}
	return nil
}
