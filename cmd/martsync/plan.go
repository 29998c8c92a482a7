package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/config"
	"github.com/martsync/martsync/internal/pattern"
	planning "github.com/martsync/martsync/plan"
	"github.com/martsync/martsync/runlog"
	"github.com/martsync/martsync/state"
)

// planFlags are the flags of martsync plan.
type planFlags struct {
	streams, exclude []string
	start            string
	share            float64
	calls            int64 // that planning may take; 0: as the source sees fit
	sample, backfill bool
	asJSON           bool
}

func (a *app) planCommand() *cobra.Command {
	var f planFlags
	c := &cobra.Command{
		Use:   "plan [NAME…]",
		Short: "Says what a sync will take: calls, megabytes, days, money",
		Long: `Says what the next sync will take of the vendor's daily limits, how many days that is, what it costs in
money to run it, and what takes most. It reads a few pages, a hundred calls at most for Marketo and fewer where the
source may make few, and changes nothing at the vendor or the destination. What does not fit in is said to be
unknown. With --calls it takes up to so many: more of them tell more of a large account, and tell it more exactly.
With --sample it also exports a few short ranges where the vendor counts nothing, at most about a hundredth of a
day's exports, which takes some minutes.

What was planned is kept, unless flags say what to read: after the sync its summary and martsync runs show it
beside what was used. docs/plan.md has the method and its error.`,
		Example: `  martsync plan
  martsync plan marketing --start 2024-01-01 --share 0.5
  martsync plan --calls 500
  martsync plan --sample --json`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := interruptible(cmd)
			defer stop()
			if cmd.Flags().Changed("calls") && f.calls < 1 {
				return usageError(fmt.Errorf("--calls is %d", f.calls), "It is how many API calls planning may take: at least 1.")
			}
			return a.planSyncs(ctx, args, f)
		},
	}
	fs := c.Flags()
	fs.Float64Var(&f.share, "share", planning.DefaultShare, "`part` of the account's daily limits to plan with; the rest is left to others")
	fs.Int64Var(&f.calls, "calls", 0, "most API `calls` that planning a sync may take, if its source can be told; else it takes few, see docs/plan.md")
	fs.BoolVar(&f.sample, "sample", false, "also export a few short ranges where nothing else tells how much there is")
	fs.StringVar(&f.start, "start", "", "plan for reading from this `time` on: a date, a time, or 7d for so long ago")
	fs.BoolVar(&f.backfill, "backfill", false, "plan for reading everything again")
	fs.StringSliceVar(&f.streams, "stream", nil, "only streams of this `name` or pattern (repeatable)")
	fs.StringSliceVar(&f.exclude, "exclude", nil, "no streams of this `name` or pattern (repeatable)")
	fs.BoolVar(&f.asJSON, "json", false, "print JSON")
	return c
}

// whatIf reports whether the plan is for something else than the next sync as it is configured. To compare that one with it
// would mislead.
func (f *planFlags) whatIf() bool {
	return f.start != "" || f.backfill || len(f.streams) > 0 || len(f.exclude) > 0
}

// A planReport is the plan of one sync.
type planReport struct {
	*planning.Plan
	Skipped []string          `json:"skipped,omitempty"` // streams that this account does not have or cannot estimate
	Savings []planning.Saving `json:"savings"`
	Costs   []planning.Charge `json:"costs"`
	Prices  planning.Prices   `json:"prices"`
	Spent   []martsync.Usage  `json:"spent"` // by planning
	Regular *planning.Plan    `json:"regular,omitempty"`
	Every   time.Duration     `json:"every,omitzero"`        // between two regular syncs
	Stored  int64             `json:"stored_bytes,omitzero"` // that lie in buckets already

	whatIf  bool // see planFlags.whatIf
	limited bool // the source can be told how many calls planning may take
}

func (a *app) planSyncs(ctx context.Context, names []string, f planFlags) error {
	c, err := a.loadConfig(ctx)
	if err != nil {
		return err
	}
	syncs, err := namedSyncs(c, names)
	if err != nil {
		return err
	}
	if !(f.share > 0 && f.share <= 1) {
		return usageError(fmt.Errorf("--share is %v", f.share), "It is a part of the account's limits: more than 0, at most 1.")
	}
	env, err := a.connectorEnv()
	if err != nil {
		return err
	}
	store, err := a.openState(ctx, c)
	if err != nil {
		return err
	}
	reports := []*planReport{}
	for _, s := range syncs {
		p, err := a.plan(s, syncFlags{streams: f.streams, exclude: f.exclude, backfill: f.backfill || f.start != ""})
		if err != nil {
			return err
		}
		if f.start != "" {
			if p.span.Start, err = config.ParseTime(f.start, a.clock.Now(), s.Location); err != nil {
				return usageError(fmt.Errorf("--start: %w", err), "")
			}
			if p.span.Start.After(a.clock.Now()) {
				return usageError(errors.New("--start is in the future"), "")
			}
		}
		r, err := a.planOne(ctx, c, p, f, store, env)
		if err != nil {
			return fmt.Errorf("plan %s: %w", s.Name, err)
		}
		reports = append(reports, r)
		if f.asJSON {
			continue
		}
		if err := a.showPlan(r); err != nil {
			return err
		}
	}
	if f.asJSON {
		return a.writeJSON(map[string]any{"plans": reports})
	}
	return nil
}

// planOne plans one sync and remembers the plan.
func (a *app) planOne(ctx context.Context, c *config.Config, p plan, f planFlags, store state.Store, env martsync.Env) (r *planReport, err error) {
	source, err := a.openSource(ctx, p.sync.Source, env)
	if err != nil {
		return nil, err
	}
	estimator, ok := martsync.As[martsync.Estimator](source)
	if !ok {
		return nil, errNoAbility("tell beforehand how much there is", p.sync.Source.Name, p.sync.Source.Connector.Title)
	}
	limiter, limited := martsync.As[martsync.EstimateLimiter](source)
	if f.calls != 0 && !limited {
		return nil, errNoAbility("plan with --calls", p.sync.Source.Name, p.sync.Source.Connector.Title)
	}
	if f.sample { // a sync must not take the jobs of samples for its own
		lease, err := a.hold(ctx, c, source.Account(), "plan --sample of "+p.sync.Name)
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, lease.Release(context.WithoutCancel(ctx))) }()
	}
	spans, err := a.planSpans(ctx, p, source, store, env)
	if err != nil {
		return nil, err
	}
	if limited {
		streams := make([]string, len(spans))
		for i, s := range spans {
			streams[i] = s.stream
		}
		if err := limiter.LimitEstimates(f.calls, streams); err != nil {
			return nil, err
		}
	}
	r = &planReport{Prices: c.Prices, whatIf: f.whatIf(), limited: limited}
	estimates, err := a.estimates(ctx, estimator, spans, f.sample, &r.Skipped)
	if err != nil {
		return nil, err
	}
	now := a.clock.Now().UTC()
	r.Every = regularly(p.sync, now)
	var regular []martsync.Estimate
	if slices.ContainsFunc(spans, func(s planSpan) bool { return s.anew }) {
		for i := range spans {
			spans[i].span.Start = now.Add(-r.Every - regularBack)
		}
		if regular, err = a.estimates(ctx, estimator, spans, false, nil); err != nil {
			return nil, err
		}
	}
	limits := limitsOf(source)
	if r.Plan, err = planning.Make(p.sync.Name, now, estimates, limits, f.share); err != nil {
		return nil, err
	}
	record := planning.Record{At: now, Next: r.Sums()}
	if regular == nil {
		sums := r.Sums() // it has read everything before: this one is a regular one
		record.Regular = &sums
	} else {
		for i := range limits {
			limits[i].Today, limits[i].Taken = -1, -1 // of a day to come
		}
		if r.Regular, err = planning.Make(p.sync.Name, now, regular, limits, f.share); err != nil {
			return nil, err
		}
		sums := r.Regular.Sums()
		record.Regular = &sums
	}
	if r.Savings, err = r.Plan.Savings(); err != nil {
		return nil, err
	}
	r.Stored = a.stored(ctx, p.sync, source.Account(), spans, env)
	if r.Costs, err = c.Prices.Bill(planUses(p.sync, c, r)); err != nil {
		return nil, err
	}
	if m, ok := martsync.As[martsync.Meter](source); ok {
		r.Spent = m.Usage()
	}
	if r.whatIf {
		return r, nil
	}
	if err := planning.Save(ctx, store, p.sync.Name, record); err != nil {
		return nil, err
	}
	return r, nil
}

// A planSpan is what a sync would read of a stream.
type planSpan struct {
	stream string
	span   martsync.Span
	anew   bool // nothing of it has been read yet
}

// coveredBack is how far before the end of what has been read most streams begin the next time, see docs/plan.md, and
// regularBack the same of a regular sync.
const (
	coveredBack = 24 * time.Hour
	regularBack = 24 * time.Hour
)

// planSpans are the streams that a sync would read, and from where. Where tables stand is taken from the ledger: opening
// them as a sync does could change them.
func (a *app) planSpans(ctx context.Context, p plan, source martsync.Source, store state.Store, env martsync.Env) ([]planSpan, error) {
	streams, err := source.Streams(ctx)
	if err != nil {
		return nil, fmt.Errorf("list streams: %w", err)
	}
	covered, read := map[string]time.Time{}, map[string]bool{}
	if !p.backfill {
		fresh, err := runlog.FreshnessOf(ctx, store, p.sync.Name)
		if err != nil {
			return nil, err
		}
		for _, f := range fresh {
			read[f.Stream] = !f.LastSuccess.IsZero()
		}
		if len(fresh) > 0 { // else nobody has written to the destination, and opening may create it
			if covered, err = a.covered(ctx, p.sync, env); err != nil {
				return nil, err
			}
		}
	}
	starts := a.planStarts(p, env)
	var spans []planSpan
	for _, s := range streams {
		schema := s.Schema()
		if !pattern.Chooses(p.streams, p.exclude, schema.Stream) {
			continue
		}
		x := planSpan{stream: schema.Stream, span: p.span, anew: !read[schema.Stream]}
		switch to := covered[schema.Stream]; {
		case !to.IsZero():
			x.anew, x.span.Start = false, to.Add(-coveredBack)
		case starts != nil && x.anew:
			start, err := starts(ctx, schema)
			if err != nil {
				return nil, err
			}
			if start.After(x.span.Start) {
				x.span.Start = start
			}
		}
		spans = append(spans, x)
	}
	if len(spans) == 0 {
		return nil, usageError(errors.New("no stream matches"), "martsync streams lists them.")
	}
	return spans, nil
}

// planStarts finds where tables of another program end, if that is where the sync's streams begin. Nil: it is not.
func (a *app) planStarts(p plan, env martsync.Env) func(context.Context, martsync.Schema) (time.Time, error) {
	if p.sync.StartTable == nil || p.backfill {
		return nil
	}
	return func(ctx context.Context, s martsync.Schema) (_ time.Time, err error) {
		destination, err := a.openDestination(ctx, p.sync, env)
		if err != nil {
			return time.Time{}, err
		}
		defer closing(destination, &err)
		from, release, err := a.tableStart(ctx, p.sync, destination, env)
		if err != nil {
			return time.Time{}, err
		}
		defer func() { err = errors.Join(err, release()) }()
		return from.Start(ctx, s)
	}
}

// estimates asks for each stream. Those that cannot be estimated are skipped.
func (a *app) estimates(ctx context.Context, source martsync.Estimator, spans []planSpan, sample bool, skipped *[]string) ([]martsync.Estimate, error) {
	var all []martsync.Estimate
	for _, x := range spans {
		began := a.clock.Now()
		e, err := source.Estimate(ctx, x.stream, "", x.span, sample)
		if errors.Is(err, martsync.ErrUnsupported) {
			a.log().InfoContext(ctx, "not estimated", "stream", x.stream, "err", err)
			if skipped != nil {
				*skipped = append(*skipped, x.stream)
			}
			continue
		}
		if err != nil {
			return nil, err
		}
		a.log().InfoContext(ctx, "estimated", "stream", x.stream, "rows", e.Rows, "bytes", e.Bytes, "took", a.clock.Now().Sub(began))
		all = append(all, e)
	}
	return all, nil
}

// limitsOf are the limits that the source knows, and what its configuration lets it take of them.
func limitsOf(source martsync.Source) []planning.Limit {
	m, ok := martsync.As[martsync.Meter](source)
	if !ok {
		return nil
	}
	var limits []planning.Limit
	for _, u := range m.Usage() {
		limits = append(limits, planning.Limit{Name: u.Name, Unit: u.Unit, PerDay: u.Limit, Today: u.Today, Taken: -1})
	}
	allower, ok := martsync.As[martsync.Allower](source)
	if !ok {
		return limits
	}
	for _, c := range allower.Allowances() {
		i := slices.IndexFunc(limits, func(l planning.Limit) bool { return l.Name == c.Name })
		if i >= 0 {
			limits[i].Own, limits[i].Taken = c.Amount, c.Taken
		}
	}
	return limits
}

// regularly is the time between two syncs: by their schedule, else a day. Of times that lie unevenly, as those of weekdays, it is
// the mean of four weeks, or of the first hundred times if they come more often.
func regularly(s config.Sync, now time.Time) time.Duration {
	const day, mostTimes = 24 * time.Hour, 100
	if s.Schedule == nil {
		return day
	}
	first := s.Schedule.Next(now, s.Location)
	last, times := first, 0
	for times < mostTimes && (times == 0 || last.Sub(first) < 28*day) {
		next := s.Schedule.Next(last, s.Location)
		if !next.After(last) {
			break
		}
		last, times = next, times+1
	}
	if times == 0 {
		return day
	}
	return last.Sub(first) / time.Duration(times)
}
