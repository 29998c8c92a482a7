package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/config"
	"github.com/martsync/martsync/internal/pattern"
	"github.com/martsync/martsync/internal/report"
	"github.com/martsync/martsync/runlog"
	"github.com/martsync/martsync/state"
)

// A planned stream is what a sync would do about one stream.
type planned struct {
	Sync    string    `json:"sync"`
	Stream  string    `json:"stream"`
	Columns int       `json:"columns"`
	How     string    `json:"how"`
	From    time.Time `json:"from,omitzero"` // records changed since; zero: from the beginning
	Until   time.Time `json:"until,omitzero"`
	Last    time.Time `json:"last_success,omitzero"`
	Rows    int64     `json:"rows_so_far"`
}

// dryRun says what syncs would read. It lists the vendor's streams, which may take a few
// calls, and reads the ledgers. A destination that no sync has written to is not opened, since
// opening may create it.
func (a *app) dryRun(ctx context.Context, plans []plan, store state.Store, env martsync.Env, asJSON bool) error {
	all := []planned{}
	for _, p := range plans {
		streams, err := a.dryRunOne(ctx, p, store, env)
		if err != nil {
			return err
		}
		all = append(all, streams...)
	}
	if asJSON {
		return a.writeJSON(map[string]any{"streams": all})
	}
	t := report.Table{Columns: []report.Column{
		{Name: "sync"}, {Name: "stream"}, {Name: "columns", Right: true}, {Name: "how"}, {Name: "from"}, {Name: "until"}, {Name: "rows so far", Right: true},
	}}
	for _, s := range all {
		from, until := "the beginning", "now"
		if !s.From.IsZero() {
			from = report.Time(s.From)
		}
		if !s.Until.IsZero() {
			until = report.Time(s.Until)
		}
		t.Add(s.Sync, s.Stream, report.Count(int64(s.Columns)), s.How, from, until, report.Count(s.Rows))
	}
	return t.WriteTo(a.out)
}

func (a *app) dryRunOne(ctx context.Context, p plan, store state.Store, env martsync.Env) ([]planned, error) {
	source, err := a.openSource(ctx, p.sync.Source, env)
	if err != nil {
		return nil, err
	}
	streams, err := source.Streams(ctx)
	if err != nil {
		return nil, err
	}
	fresh, err := runlog.FreshnessOf(ctx, store, p.sync.Name)
	if err != nil {
		return nil, err
	}
	covered := map[string]time.Time{}
	if len(fresh) > 0 {
		if covered, err = a.covered(ctx, p.sync, env); err != nil {
			return nil, err
		}
	}
	out := []planned{}
	for _, s := range streams {
		schema := s.Schema()
		if !pattern.Chooses(p.streams, p.exclude, schema.Stream) {
			continue
		}
		line := planned{Sync: p.sync.Name, Stream: schema.Stream, Columns: len(schema.Columns), Until: p.span.End, From: p.span.Start}
		if i := slices.IndexFunc(fresh, func(f runlog.Freshness) bool { return f.Stream == schema.Stream }); i >= 0 {
			line.Last, line.Rows = fresh[i].LastSuccess, fresh[i].TotalRows
		}
		to := covered[schema.Stream]
		switch {
		case schema.Snapshot:
			line.How, line.From = "read whole", time.Time{}
		case p.backfill || to.IsZero():
			line.How = "from the beginning"
		default:
			line.How, line.From = "what is new", to
		}
		out = append(out, line)
	}
	return out, nil
}

// covered tells up to when the ledger says that each stream has been read.
func (a *app) covered(ctx context.Context, s config.Sync, env martsync.Env) (covered map[string]time.Time, err error) {
	destination, err := a.openDestination(ctx, s, env)
	if err != nil {
		return nil, err
	}
	defer func() {
		if e := destination.Close(); e != nil {
			err = errors.Join(err, fmt.Errorf("close destination %s: %w", s.Destination.Name, e))
		}
	}()
	covered = map[string]time.Time{}
	history, ok := destination.(martsync.HistoryReader)
	if !ok {
		return covered, nil
	}
	for entry, err := range history.Ledger(ctx, "") {
		if err != nil {
			return nil, err
		}
		if entry.Window.To.After(covered[entry.Stream]) {
			covered[entry.Stream] = entry.Window.To
		}
	}
	return covered, nil
}
