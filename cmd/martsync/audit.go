package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/spf13/cobra"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/audit"
	"github.com/martsync/martsync/config"
	"github.com/martsync/martsync/internal/report"
)

// auditFlags are the flags of martsync audit.
type auditFlags struct {
	streams, exclude []string
	sample           int
	seed             uint64
	asJSON           bool
	repair           bool
	most             int
}

func (a *app) auditCommand() *cobra.Command {
	var f auditFlags
	c := &cobra.Command{
		Use:   "audit [NAME…]",
		Short: "Proves that tables and vendor agree",
		Long: `Compares the tables of the syncs, of all or of those named, with their ledger and with the vendor.

For each stream it asks whether the numbers of every window agree, whether the windows leave any
time out, whether the table holds what they wrote and each key once, whether records chosen at
random are equal to what the vendor says of them now, and whether stored files are unharmed.
It changes nothing. What differs ends it with exit code 4.

With --repair it then reads by id the records that one table names and another one lacks, such as leads of
activities (the views missing_…), and stores them; those that the vendor does not know are marked deleted.

Reading records again costs API calls: one for 300 leads of Marketo, one a record elsewhere.`,
		Example: "  martsync audit\n  martsync audit marketing --stream leads --sample 300\n  martsync audit --sample 0          # no record is read from the vendor\n  martsync audit marketing --repair",
		Args:    cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, cancel := interruptible(cmd)
			defer cancel()
			return a.audit(ctx, args, f)
		},
	}
	fs := c.Flags()
	fs.StringSliceVar(&f.streams, "stream", nil, "only streams of this `name` or pattern (repeatable)")
	fs.StringSliceVar(&f.exclude, "exclude", nil, "no streams of this `name` or pattern (repeatable)")
	fs.IntVar(&f.sample, "sample", 20, "`number` of records of each table that are read from the vendor again")
	fs.Uint64Var(&f.seed, "seed", 0, "choose the same records as another audit with this `number` (default: others each time)")
	fs.BoolVar(&f.repair, "repair", false, "read by id what one table names and another one lacks")
	fs.IntVar(&f.most, "most", 3000, "most `ids` of a table that are repaired at once, each of which may cost a call; 0: all")
	fs.BoolVar(&f.asJSON, "json", false, "print JSON")
	return c
}

// An auditResult is what was found about one sync.
type auditResult struct {
	Sync    string         `json:"sync"`
	OK      bool           `json:"ok"`
	Seed    uint64         `json:"seed"`
	Empty   int            `json:"empty,omitempty"` // streams of which nothing has been committed yet
	Streams []audit.Result `json:"streams"`
	Repairs []audit.Repair `json:"repairs,omitempty"`
}

func (a *app) audit(ctx context.Context, names []string, f auditFlags) error {
	c, err := a.loadConfig(ctx)
	if err != nil {
		return err
	}
	syncs, err := namedSyncs(c, names)
	if err != nil {
		return err
	}
	if f.sample < 0 {
		return usageError(fmt.Errorf("--sample is %d", f.sample), "Use 0 or more.")
	}
	if f.seed == 0 {
		f.seed = uint64(rand.Uint32()%1e6) + 1 // short, to be typed again
	}
	env, err := a.connectorEnv()
	if err != nil {
		return err
	}
	var results []auditResult
	ok := true
	for _, s := range syncs {
		r, err := a.auditOne(ctx, c, s, f, env)
		if err != nil {
			return err
		}
		ok = ok && r.OK
		results = append(results, r)
	}
	if f.asJSON {
		if err := a.writeJSON(map[string]any{"syncs": results}); err != nil {
			return err
		}
	}
	if !ok {
		return exit(martsync.Data.ExitCode())
	}
	return nil
}

// namedSyncs returns the syncs of these names; none: all.
func namedSyncs(c *config.Config, names []string) ([]config.Sync, error) {
	if len(names) == 0 && len(c.Syncs) > 0 {
		return c.Syncs, nil
	}
	if len(names) == 0 {
		names = []string{""} // the error says what is missing
	}
	var syncs []config.Sync
	for _, name := range names {
		s, err := c.FindSync(name)
		if err != nil {
			return nil, err
		}
		syncs = append(syncs, s)
	}
	return syncs, nil
}

func (a *app) auditOne(ctx context.Context, c *config.Config, s config.Sync, f auditFlags, env martsync.Env) (r auditResult, err error) {
	r = auditResult{Sync: s.Name, OK: true, Seed: f.seed}
	source, err := a.openSource(ctx, s.Source, env)
	if err != nil {
		return r, err
	}
	destination, err := a.openDestination(ctx, s, env)
	if err != nil {
		return r, err
	}
	defer closing(destination, &err)
	o := audit.Options{
		Source: source, Destination: destination, Streams: s.Streams, Exclude: append(append([]string{}, s.Exclude...), f.exclude...),
		Sample: f.sample, Seed: f.seed, TempDir: env.TempDir,
	}
	if len(f.streams) > 0 {
		o.Streams = f.streams
	}
	if !f.asJSON {
		a.print("%s", a.out.Paint(report.Bold, s.Name+": "+s.Source.Name+" → "+s.Destination.Name))
	}
	for result, err := range audit.Run(ctx, o) {
		if err != nil {
			return r, err
		}
		r.Streams = append(r.Streams, result)
		r.OK = r.OK && !result.Wrong()
		if result.Empty() {
			r.Empty++
		}
		if !f.asJSON {
			a.showAudit(&result)
		}
	}
	if f.repair {
		if r.Repairs, err = a.repairOne(ctx, c, s, o, f, source); err != nil {
			return r, err
		}
	}
	if f.asJSON {
		return r, nil
	}
	a.showVerdict(&r, f)
	return r, nil
}

// showVerdict prints what the findings come to.
func (a *app) showVerdict(r *auditResult, f auditFlags) {
	with := "the ledger and the vendor"
	if f.sample == 0 { // it was not asked
		with = "the ledger"
	}
	agree := len(r.Streams) - r.Empty
	switch {
	case !r.OK:
		a.print("%s --seed %d chooses the same records again.", a.out.Paint(report.Red, "✗ Not all tables agree."), f.seed)
	case agree > 0:
		a.print("%s", a.out.Paint(report.Green, fmt.Sprintf("✓ %s with %s.", report.Plural(int64(agree), "table agrees", "tables agree"), with)))
	}
	if r.Empty > 0 {
		a.print("%s", a.out.Paint(report.Yellow, fmt.Sprintf("• Of %s nothing is committed yet. martsync sync %s goes on.",
			report.Plural(int64(r.Empty), "stream", "streams"), r.Sync)))
	}
}

// repairOne repairs the tables of a sync, while no sync may use the account.
func (a *app) repairOne(ctx context.Context, c *config.Config, s config.Sync, o audit.Options, f auditFlags, source martsync.Source) (all []audit.Repair, err error) {
	lease, err := a.hold(ctx, c, source.Account(), "audit --repair of "+s.Name)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, lease.Release(context.WithoutCancel(ctx))) }()
	options := audit.RepairOptions{
		Options: o, Sync: "repair-" + a.clock.Now().UTC().Format("20060102-150405"), At: a.clock.Now(), Most: f.most, Keep: lease.Keep,
	}
	for r, err := range audit.Repairs(ctx, options) {
		if err != nil {
			return all, err
		}
		all = append(all, r)
		if !f.asJSON {
			a.showRepair(&r)
		}
	}
	return all, nil
}

// showRepair prints what became of what was missing.
func (a *app) showRepair(r *audit.Repair) {
	text := fmt.Sprintf("nothing is missing in %s", r.Stream)
	switch {
	case r.Skipped != "":
		text = "left alone: " + r.Skipped
	case r.Missing > 0:
		text = fmt.Sprintf("of %s missing in %s, %s stored and %d marked deleted", report.Plural(int64(r.Missing), "record", "records"), r.Stream, report.Count(int64(r.Stored)), r.Gone)
		if r.Bad > 0 {
			text += fmt.Sprintf(", %s in quarantine", report.Count(int64(r.Bad)))
		}
		if r.Left > 0 {
			text += fmt.Sprintf("; %s left for the next time", report.Count(int64(r.Left)))
		}
	}
	a.print("  %s  %s", a.out.Paint(report.Bold, r.View), text)
}

// marks are what stands before a check. Those that could not be made are left out.
var marks = map[audit.State]struct {
	sign  string
	style report.Style
}{audit.OK: {"✓", report.Green}, audit.Wrong: {"✗", report.Red}, audit.Note: {"•", report.Yellow}}

// showAudit prints what was found about a stream.
func (a *app) showAudit(r *audit.Result) {
	width, _ := a.out.Size()
	a.print("  %s", a.out.Paint(report.Bold, r.Stream))
	for _, c := range r.Checks {
		mark, shown := marks[c.State]
		if !shown {
			continue
		}
		text := report.Wrap(fmt.Sprintf("    %s %-8s %s", mark.sign, c.Name, c.Detail), width, 15)
		a.print("%s", strings.Replace(text, mark.sign, a.out.Paint(mark.style, mark.sign), 1))
		if c.State == audit.Wrong {
			for _, e := range c.Examples {
				a.print("%s", report.Wrap("               "+e, width, 17))
			}
		}
		if c.Hint != "" && c.State != audit.OK {
			a.print("%s", report.Wrap("               next: "+c.Hint, width, 21))
		}
	}
}
