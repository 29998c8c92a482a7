package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/config"
	"github.com/martsync/martsync/internal/pattern"
	"github.com/martsync/martsync/internal/report"
	"github.com/martsync/martsync/pipeline"
	"github.com/martsync/martsync/raw"
	"github.com/martsync/martsync/state"
	"github.com/spf13/cobra"
)

// replayFlags are the flags of martsync replay.
type replayFlags struct {
	streams, exclude []string
	into, schema     string
	list, asJSON     bool
	parallel         int
	schemaGiven      bool
}

func (a *app) replayCommand() *cobra.Command {
	var f replayFlags
	c := &cobra.Command{
		Use:   "replay [SYNC]",
		Short: "Makes tables again from what the vendor sent, without a call",
		Long: `Makes the tables of a sync again from its raw zone (the key raw of the sync), without a call to the vendor: in the
sync's own destination, for example after it was lost, or in another one. Rows, deletions, ledger and positions end
as those of the sync, so that a sync can go on from there.

Tables that are empty are filled from the beginning; those that hold a part, because a replay was interrupted or because
the zone has grown since, get the rest. With --list nothing is written: it shows what the zone holds.`,
		Example: `  martsync replay marketing
  martsync replay marketing --into warehouse --schema rebuilt
  martsync replay marketing --list --stream leads`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			f.schemaGiven = cmd.Flags().Changed("schema")
			return a.replay(cmd.Context(), append(args, "")[0], f)
		},
	}
	fs := c.Flags()
	fs.StringVar(&f.into, "into", "", "`name` of the destination (default that of the sync)")
	fs.StringVar(&f.schema, "schema", "", "`namespace` of the tables (default that of the sync)")
	fs.StringSliceVar(&f.streams, "stream", nil, "only streams of this `name` or pattern (repeatable)")
	fs.StringSliceVar(&f.exclude, "exclude", nil, "no streams of this `name` or pattern (repeatable)")
	fs.BoolVar(&f.list, "list", false, "list the files and pages that the zone holds")
	fs.IntVar(&f.parallel, "parallel", 0, "`number` of streams at once (default 4)")
	fs.BoolVar(&f.asJSON, "json", false, "print the result as JSON")
	return c
}

// again is the command line of the same replay. Only that one goes on with tables that it has left half-way.
func (f *replayFlags) again(sync string) string {
	line := "martsync replay " + sync
	if f.into != "" {
		line += " --into " + f.into
	}
	if f.schemaGiven {
		line += fmt.Sprintf(" --schema %q", f.schema)
	}
	return line
}

// openZone opens the raw zone of a sync.
func (a *app) openZone(ctx context.Context, s config.Sync, account string, env martsync.Env) (*raw.Zone, error) {
	location, err := s.Raw.Location(ctx)
	if err != nil {
		return nil, err
	}
	return raw.Open(ctx, location, account, s.Name, env)
}

func (a *app) replay(ctx context.Context, name string, f replayFlags) error {
	a.lively = true
	c, err := a.loadConfig(ctx)
	if err != nil {
		return err
	}
	s, err := c.FindSync(name)
	if err != nil {
		return err
	}
	if s.Raw == nil {
		return &martsync.Error{
			Kind: martsync.Config, Op: "replay " + s.Name, Err: errors.New("the sync has no raw zone"),
			Hint: "Add raw: s3://bucket/prefix or a folder to it; what is read from then on is kept there.",
		}
	}
	own := true
	if f.into != "" {
		d, err := c.FindDestination(f.into)
		if err != nil {
			return err
		}
		own = d.Name == s.Destination.Name
		s.Destination = d
	}
	if f.schemaGiven {
		own = own && f.schema == s.Schema
		s.Schema = f.schema
	}
	env, err := a.connectorEnv()
	if err != nil {
		return err
	}
	if f.list {
		return a.listRaw(ctx, s, env, f)
	}
	store, err := a.openState(ctx, c)
	if err != nil {
		return err
	}
	ctx, stop, release := a.stoppable(ctx)
	defer release()
	p := plan{sync: s, streams: f.streams, exclude: f.exclude, parallel: f.parallel}
	r := syncResult{Sync: s.Name, again: f.again(s.Name)}
	began := a.clock.Now()
	err = a.runReplay(ctx, p, own, store, env, stop, &r)
	r.Took = a.clock.Now().Sub(began).Seconds()
	switch {
	case err != nil:
		r.Error, r.Hint, r.Exit = err.Error(), martsync.HintOf(err), codeOf(err)
	case !r.Done:
		r.Stopped, r.Exit = true, martsync.ExitWaiting
	}
	if f.asJSON {
		if e := a.writeJSON(r); e != nil {
			return e
		}
	} else {
		a.summary(&r)
	}
	if err != nil {
		a.showSync(&r, err)
	}
	if r.Exit != martsync.ExitOK {
		return exit(r.Exit)
	}
	return nil
}

// runReplay replays until the tables are as the zone has them, or it is stopped.
func (a *app) runReplay(ctx context.Context, p plan, own bool, store state.Store, env martsync.Env, stop <-chan struct{}, r *syncResult) (err error) {
	vendor, err := a.openSource(ctx, p.sync.Source, env)
	if err != nil {
		return err
	}
	replayer, ok := martsync.As[martsync.Replayer](vendor)
	if !ok {
		return errNoAbility("make records again from what was kept", p.sync.Source.Name, p.sync.Source.Connector.Title)
	}
	zone, err := a.openZone(ctx, p.sync, vendor.Account(), env)
	if err != nil {
		return err
	}
	destination, err := a.openDestination(ctx, p.sync, env)
	if err != nil {
		return err
	}
	defer func() {
		if e := destination.Close(); e != nil {
			err = errors.Join(err, fmt.Errorf("close destination %s: %w", p.sync.Destination.Name, e))
		}
	}()
	// Nothing of the vendor's is used, so nobody needs to wait for whom; but two must not write to
	// one place, of which a sync may be one.
	name := replayName(p.sync)
	account := name
	if own {
		account = vendor.Account()
	}
	source := raw.Source(zone, replayer, account)
	view := a.watch(p.sync, source)
	defer view.end()
	s := &pipeline.Sync{
		Name: name, Source: source, Destination: destination, Streams: p.streams, Exclude: p.exclude, Parallel: p.parallel,
		State: store, Clock: a.clock, Log: a.log(), Stop: stop, Observe: view.observe,
	}
	out, err := pipeline.Run(ctx, s)
	r.Run, r.Done, r.WakeAt, r.Streams = s.ID, out.Done, out.WakeAt, out.Stats.Streams
	return err
}

// replayName is the name that progress of a replay is kept under. No sync has it, and no replay of another one or into
// another place: names of the configuration have no dots, and that of the namespace, which may have any, comes last.
func replayName(s config.Sync) string {
	return "replay." + s.Name + "." + s.Destination.Name + "." + url.PathEscape(s.Schema)
}

// listRaw shows what the zone of a sync holds.
func (a *app) listRaw(ctx context.Context, s config.Sync, env martsync.Env, f replayFlags) error {
	source, err := a.openSource(ctx, s.Source, env)
	if err != nil {
		return err
	}
	zone, err := a.openZone(ctx, s, source.Account(), env)
	if err != nil {
		return err
	}
	streams, err := zone.Streams(ctx)
	if err != nil {
		return err
	}
	t := report.Table{Columns: []report.Column{
		{Name: "stream"}, {Name: "kept"}, {Name: "job"}, {Name: "window"}, {Name: "bytes", Right: true}, {Name: "SHA-256"}, {Name: "object", Flexible: true},
	}}
	all := []raw.Kept{}
	var bytes, length int64
	for _, stream := range streams {
		if !pattern.Chooses(f.streams, f.exclude, stream) {
			continue
		}
		for k, err := range zone.List(ctx, stream) {
			if err != nil {
				return err
			}
			bytes += k.Bytes
			length += k.Length
			if f.asJSON {
				all = append(all, k)
				continue
			}
			t.Add(k.Stream, report.Time(k.At), k.Job, span(k.From, k.To), report.Bytes(k.Bytes), k.SHA256, k.Object)
		}
	}
	if f.asJSON {
		return a.writeJSON(map[string]any{"kept": all})
	}
	if bytes == 0 {
		a.say("%s holds nothing of this sync yet.", zone)
		return nil
	}
	if err := t.WriteTo(a.out); err != nil {
		return err
	}
	a.say("%s as they were sent, %s in %s.", report.Bytes(bytes), report.Bytes(length), zone)
	return nil
}

// span writes a window's time range.
func span(from, to time.Time) string {
	if from.IsZero() && to.IsZero() {
		return ""
	}
	return from.UTC().Format("2006-01-02 15:04") + " – " + to.UTC().Format("2006-01-02 15:04")
}
