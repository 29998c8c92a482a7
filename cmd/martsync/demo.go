package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/config"
	"github.com/martsync/martsync/internal/connectors"
	"github.com/martsync/martsync/internal/truth"
	"github.com/martsync/martsync/pipeline"
	"github.com/martsync/martsync/runlog"
	"github.com/martsync/martsync/simulate"
	"github.com/martsync/martsync/state"
)

func (a *app) demoCommand() *cobra.Command {
	var path string
	var rows int
	var seed uint64
	var asJSON bool
	var faults, vendors []string
	c := &cobra.Command{
		Use:   "demo",
		Short: "Shows everything in a minute: no account, no key",
		Long: `Starts simulated vendors on this machine, copies all they hold into a DuckDB file, changes some of it,
copies what has changed, and compares every table with what the vendors hold, row by row.

The simulators keep the vendors' limits and make export jobs wait, but their clock skips the waits.
With --fault they also fail in the ways that martsync simulate lists; the copy is to be perfect all the same.
The exit code is 4 if any table is not a perfect copy.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := interruptible(cmd)
			defer cancel()
			d := &demo{a: a, path: path, rows: rows, seed: seed, faults: faults, vendors: vendors, quiet: asJSON}
			result, err := d.run(ctx)
			if err != nil {
				return err
			}
			if asJSON {
				err = a.writeJSON(result)
			} else {
				err = d.print(result)
			}
			if err == nil && !result.OK {
				return exit(martsync.ExitData)
			}
			return err
		},
	}
	c.Flags().StringVar(&path, "path", "martsync-demo.duckdb", "the DuckDB `file` to make; only a file that an earlier demo made is replaced")
	c.Flags().IntVar(&rows, "rows", 4000, "`number` of people in each simulated account")
	c.Flags().Uint64Var(&seed, "seed", 1, "`number` that the data follow from")
	c.Flags().StringArrayVar(&faults, "fault", nil, "a `fault` for the vendors to have (repeatable), as in cut:every=3")
	c.Flags().StringArrayVar(&vendors, "vendor", nil, "simulate this `vendor` only (repeatable; default all)")
	c.Flags().BoolVar(&asJSON, "json", false, "print the report as JSON")
	return c
}

// A demo is one run of martsync demo.
type demo struct {
	a       *app
	path    string
	rows    int
	seed    uint64
	faults  []string
	vendors []string // names of simulators; none: all
	quiet   bool
	clock   *simulate.Clock
}

// A demoResult is the report.
type demoResult struct {
	OK      bool          `json:"ok"` // every table is a perfect copy, twice
	Path    string        `json:"path"`
	Size    int64         `json:"size_bytes"` // of the file
	Took    float64       `json:"took_seconds"`
	Vendors []*demoVendor `json:"vendors"`
	Queries []demoQuery   `json:"queries"`
}

// A demoVendor is what was done with one simulated vendor.
type demoVendor struct {
	Name    string           `json:"name"`
	Title   string           `json:"title"`
	Schema  string           `json:"schema"`
	First   demoSync         `json:"first_sync"`
	Changes []string         `json:"changes"`
	Second  demoSync         `json:"second_sync"`
	Views   []string         `json:"views"`
	Usage   []martsync.Usage `json:"usage"`
	Faults  map[string]int   `json:"faults,omitempty"` // how often the vendor failed on purpose, by kind
}

// A demoSync is one sync and what its tables were worth afterwards.
type demoSync struct {
	Took     float64         `json:"took_seconds"`
	Skipped  float64         `json:"waited_seconds"` // on the simulated clock
	Calls    int             `json:"calls"`
	Jobs     int             `json:"export_jobs"`
	Exported int64           `json:"export_bytes"`
	Streams  []runlog.Stream `json:"streams"`
	Ledger   []ledgerSum     `json:"ledger"`
	Tables   []truth.Report  `json:"tables"`
}

// A ledgerSum is what the ledger says about one stream.
type ledgerSum struct {
	Stream      string `json:"stream"`
	Windows     int64  `json:"windows"`
	Parsed      int64  `json:"parsed"`
	Quarantined int64  `json:"quarantined"`
	Written     int64  `json:"written"`
	Counted     int64  `json:"counted"` // windows whose number of records the vendor told
	OK          bool   `json:"ok"`      // parsed = quarantined + written, and as the vendor promised
}

func (s *demoSync) ok() bool {
	for i := range s.Tables {
		if !s.Tables[i].OK() {
			return false
		}
	}
	return len(s.Tables) > 0 && !slices.ContainsFunc(s.Ledger, func(l ledgerSum) bool { return !l.OK })
}

// demoStart is when the simulated time begins: a working day.
var demoStart = time.Date(2026, time.March, 16, 9, 30, 0, 0, time.UTC)

func (d *demo) run(ctx context.Context) (*demoResult, error) {
	simulators, err := chosen(connectors.Simulators(), d.vendors)
	if err != nil {
		return nil, err
	}
	faults, err := sortFaults(simulators, d.faults)
	if err != nil {
		return nil, err
	}
	if err := replaceDemo(ctx, d.path); err != nil {
		return nil, err
	}
	began := martsync.SystemClock{}.Now()
	d.clock = simulate.NewClock(demoStart)
	d.a.clock = d.clock
	result := &demoResult{Path: d.path, OK: true}
	env, err := d.a.connectorEnv()
	if err != nil {
		return nil, err
	}
	env.Clock = d.clock
	env.HTTP.Timeout = shortSilence
	for _, s := range simulators {
		vendor, err := d.vendor(ctx, s, faults[s.Name], env)
		if err != nil {
			return nil, err
		}
		result.Vendors = append(result.Vendors, vendor)
		result.OK = result.OK && vendor.First.ok() && vendor.Second.ok()
	}
	for _, v := range result.Vendors {
		queries, err := runQueries(ctx, d.path, v.Schema, demoQueries[v.Name])
		if err != nil {
			return nil, err
		}
		result.Queries = append(result.Queries, queries...)
	}
	if info, err := os.Stat(d.path); err == nil {
		result.Size = info.Size()
	}
	result.Took = martsync.SystemClock{}.Now().Sub(began).Seconds()
	return result, nil
}

// chosen picks simulators by name.
func chosen(all []simulate.Simulator, names []string) ([]simulate.Simulator, error) {
	if len(names) == 0 {
		return all, nil
	}
	var some []simulate.Simulator
	for _, name := range names {
		i := slices.IndexFunc(all, func(s simulate.Simulator) bool { return s.Name == name })
		if i < 0 {
			return nil, usageError(fmt.Errorf("there is no simulator of %q", name), "See martsync simulate --help.")
		}
		some = append(some, all[i])
	}
	return some, nil
}

// sortFaults gives each simulator the faults that it knows. One that none knows is a mistake.
func sortFaults(simulators []simulate.Simulator, faults []string) (map[string][]string, error) {
	by := map[string][]string{}
	for _, fault := range faults {
		name, _, _ := strings.Cut(fault, ":")
		known := false
		for _, s := range simulators {
			if slices.ContainsFunc(s.Faults, func(f simulate.FaultInfo) bool { return f.Name == name }) {
				by[s.Name], known = append(by[s.Name], fault), true
			}
		}
		if !known {
			return nil, usageError(fmt.Errorf("fault %q is not known", name), "See martsync simulate --help.")
		}
	}
	return by, nil
}

// vendor plays the whole demonstration with one simulator.
func (d *demo) vendor(ctx context.Context, s simulate.Simulator, faults []string, env martsync.Env) (v *demoVendor, err error) {
	instance, err := s.New(simulate.Options{Seed: d.seed, Rows: d.rows, Clock: d.clock, Faults: faults})
	if err != nil {
		return nil, fmt.Errorf("start the simulator of %s: %w", s.Name, err)
	}
	base, stop, err := serve(ctx, instance)
	if err != nil {
		return nil, err
	}
	defer stop()
	source, destination, err := d.connect(s.Name, instance.SourceConfig(base))
	if err != nil {
		return nil, err
	}
	from, err := source.Open(ctx, env)
	if err != nil {
		return nil, err
	}
	v = &demoVendor{Name: s.Name, Title: s.Title, Schema: s.Name}
	to, err := destination.Open(ctx, v.Schema, env)
	if err != nil {
		return nil, err
	}
	defer closing(to, &err)
	definer, ok := to.(martsync.Definer)
	if !ok {
		return nil, errNoAbility("make the demonstration", destination.Name, destination.Connector.Title)
	}
	if err := definer.Exec(ctx, []string{demoMark}); err != nil {
		return nil, err
	}
	p := plan{sync: config.Sync{Name: "demo-" + s.Name, Source: source, Destination: destination, Schema: v.Schema}}
	t := &trip{d: d, plan: p, from: from, to: to, instance: instance, store: state.NewMemory()}

	// A source leaves the vendor's last minutes to the next sync, since records of the present
	// may still be on their way. Nothing happens in them here, so that the copy is complete.
	d.clock.Advance(30 * time.Minute)
	d.say("1  Copying everything from %s, simulated", s.Title)
	if v.First, err = t.sync(ctx); err != nil {
		return nil, err
	}
	d.say("2  Changing some of it, a day later")
	d.clock.Advance(20 * time.Hour)
	v.Changes = instance.Change(max(20, d.rows/50))
	d.clock.Advance(4 * time.Hour)
	d.say("3  Copying what has changed")
	if v.Second, err = t.sync(ctx); err != nil {
		return nil, err
	}
	statements, err := viewStatements(ctx, from, definer)
	if err != nil {
		return nil, err
	}
	if err := definer.Exec(ctx, statements); err != nil {
		return nil, err
	}
	v.Views = viewNames(statements)
	if m, ok := martsync.As[martsync.Meter](from); ok {
		v.Usage = m.Usage()
	}
	v.Faults = instance.Stats().Faults
	return v, nil
}

func (d *demo) say(format string, args ...any) {
	if !d.quiet {
		d.a.say(format, args...)
	}
}

// connect configures the source that reaches the simulator, and the DuckDB file.
func (d *demo) connect(name string, options map[string]any) (s config.Source, to config.Destination, err error) {
	for _, c := range connectors.Sources() {
		if c.Name == name {
			s, err = config.NewSource(name, c, options)
			if err != nil {
				return s, to, err
			}
		}
	}
	for _, c := range connectors.Destinations() {
		if c.Name == "duckdb" {
			to, err = config.NewDestination("mart", c, map[string]any{"path": d.path})
			if err != nil {
				return s, to, err
			}
		}
	}
	if s.Connector.Open == nil || to.Connector.Open == nil {
		return s, to, fmt.Errorf("connect simulator %s: there is no source of that name, or no destination duckdb", name)
	}
	return s, to, nil
}

// serve answers on a free port of this machine until stop is called.
func serve(ctx context.Context, h http.Handler) (base string, stop func(), err error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, fmt.Errorf("listen on this machine: %w", err)
	}
	server := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	done := make(chan struct{})
	go func() {
		defer close(done)
		server.Serve(listener) //nolint:errcheck // ends with ErrServerClosed; anything else shows at the client
	}()
	return "http://" + listener.Addr().String(), func() {
		server.Close() //nolint:errcheck // nobody is being served any more
		<-done
	}, nil
}

// A trip is the way from one simulator to the file.
type trip struct {
	d        *demo
	plan     plan
	from     martsync.Source
	to       martsync.Destination
	instance simulate.Instance
	store    state.Store
}

// sync syncs, and compares every table with the truth.
func (t *trip) sync(ctx context.Context) (demoSync, error) {
	before, real, virtual := t.instance.Stats(), martsync.SystemClock{}.Now(), t.d.clock.Now()
	out, err := t.pipeline(ctx)
	if err != nil {
		return demoSync{}, err
	}
	if !out.Done {
		return demoSync{}, &martsync.Error{Kind: martsync.Transient, Op: "sync " + t.plan.sync.Name, Err: errors.New("stopped before it was done")}
	}
	after := t.instance.Stats()
	s := demoSync{
		Took: martsync.SystemClock{}.Now().Sub(real).Seconds(), Skipped: t.d.clock.Now().Sub(virtual).Seconds(),
		Calls: after.Calls - before.Calls, Jobs: after.ExportJobs - before.ExportJobs, Exported: after.ExportBytes - before.ExportBytes,
		Streams: out.Stats.Streams,
	}
	if s.Ledger, err = ledgerOf(ctx, t.to); err != nil {
		return s, err
	}
	s.Tables, err = t.compare(ctx)
	return s, err
}

func (t *trip) pipeline(ctx context.Context) (pipeline.Outcome, error) {
	s := &pipeline.Sync{
		Name: t.plan.sync.Name, Source: t.from, Destination: t.to, State: t.store, Clock: t.d.clock,
		Log: t.d.a.log(),
	}
	if !t.d.quiet {
		view := t.d.a.watch(t.plan.sync, t.from)
		defer view.end()
		s.Observe = view.observe
	}
	return pipeline.Run(ctx, s)
}

// compare compares each table that the simulator knows the truth of. A stream that nobody
// knows the truth of, and a table that no stream fills, are differences too.
func (t *trip) compare(ctx context.Context) ([]truth.Report, error) {
	tables, ok := t.to.(martsync.TableReader)
	if !ok {
		return nil, errNoAbility("read the tables back", t.plan.sync.Destination.Name, t.plan.sync.Destination.Connector.Title)
	}
	streams, err := t.from.Streams(ctx)
	if err != nil {
		return nil, err
	}
	known := t.instance.Tables()
	var reports []truth.Report
	for _, stream := range streams {
		schema := stream.Schema()
		i := slices.Index(known, schema.Stream)
		if i < 0 {
			return nil, fmt.Errorf("compare: the simulator does not know the truth of %s", schema.Stream)
		}
		known = slices.Delete(slices.Clone(known), i, i+1)
		r, err := truth.Compare(ctx, tables, schema, t.instance.Truth(schema.Stream))
		if err != nil {
			return nil, err
		}
		reports = append(reports, r)
	}
	if len(known) > 0 {
		return nil, fmt.Errorf("compare: no stream reads %v", known)
	}
	return reports, nil
}

// ledgerOf sums the ledger up.
func ledgerOf(ctx context.Context, d martsync.Destination) ([]ledgerSum, error) {
	history, ok := d.(martsync.HistoryReader)
	if !ok {
		return nil, nil
	}
	var sums []ledgerSum
	for entry, err := range history.Ledger(ctx, "") {
		if err != nil {
			return nil, err
		}
		i := slices.IndexFunc(sums, func(s ledgerSum) bool { return s.Stream == entry.Stream })
		if i < 0 {
			i = len(sums)
			sums = append(sums, ledgerSum{Stream: entry.Stream, OK: true})
		}
		s, w := &sums[i], entry.Window
		s.Windows++
		s.Parsed += w.Parsed
		s.Quarantined += w.Quarantined
		s.Written += w.Written
		if w.Records >= 0 {
			s.Counted++
		}
		s.OK = s.OK && w.Parsed == w.Quarantined+w.Written && (w.Records < 0 || w.Records == w.Parsed)
	}
	return sums, nil
}
