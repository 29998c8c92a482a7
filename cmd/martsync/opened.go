package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/pipeline"
	"github.com/martsync/martsync/runlog"
	"github.com/martsync/martsync/state"
)

// openSync opens everything that a planned sync needs. CloseAll gives it back.
func (a *app) openSync(ctx context.Context, p plan, store state.Store, env martsync.Env) (s *pipeline.Sync, closeAll func() error, err error) {
	var opened []func() error
	closeOpened := func() error {
		var errs []error
		for _, c := range slices.Backward(opened) {
			errs = append(errs, c())
		}
		return errors.Join(errs...)
	}
	defer func() {
		if err != nil {
			a.alertUnopened(ctx, p, store, env, err)
			err = errors.Join(err, closeOpened())
		}
	}()
	source, err := a.openSource(ctx, p.sync.Source, env)
	if err != nil {
		return nil, nil, err
	}
	destination, err := a.openDestination(ctx, p.sync, env)
	if err != nil {
		return nil, nil, err
	}
	opened = append(opened, func() error {
		if err := destination.Close(); err != nil {
			return fmt.Errorf("close destination %s: %w", p.sync.Destination.Name, err)
		}
		return nil
	})
	from, release, err := a.tableStart(ctx, p.sync, destination, env)
	if err != nil {
		return nil, nil, err
	}
	opened = append(opened, release)
	s = &pipeline.Sync{
		Name: p.sync.Name, Source: source, SameAccount: p.sameAccount, Destination: destination, Streams: p.streams, Exclude: p.exclude,
		Span: p.span, From: from, Backfill: p.backfill, Parallel: p.parallel, State: store, Clock: a.clock,
		Log: a.log(), Deadline: p.deadline,
	}
	if a.meter != nil {
		s.Meter = a.meter
	}
	if p.sync.Raw != nil {
		zone, err := a.openZone(ctx, p.sync, source.Account(), env)
		if err != nil {
			return nil, nil, err
		}
		s.Raw = pipeline.KeepIn(zone.Open)
	}
	a.repairing(s, p, env)
	a.alerted(ctx, s, p, store, env)
	return s, closeOpened, nil
}

// noteFailure writes down a run that could not even be opened, so that martsync runs shows it.
func (a *app) noteFailure(ctx context.Context, store state.Store, sync, run string, cause error) {
	if _, err := runlog.Load(ctx, store, sync, run); !errors.Is(err, runlog.ErrNotFound) {
		return // it has a record, which tells more
	}
	now := a.clock.Now()
	err := runlog.Save(ctx, store, &runlog.Run{
		ID: run, Sync: sync, Start: now, End: now, Status: runlog.Failed, Advances: 1,
		Error: cause.Error(), Kind: martsync.KindOf(cause).String(), Hint: martsync.HintOf(cause),
	})
	if err != nil {
		a.log().WarnContext(ctx, "run was not saved", "sync", sync, "err", err)
	}
}
