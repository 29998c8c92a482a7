package main

import (
	"context"
	"errors"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/audit"
	"github.com/martsync/martsync/pipeline"
)

// repairing has a sync repair what its configuration or a flag names, when its streams are done.
func (a *app) repairing(s *pipeline.Sync, p plan, env martsync.Env) {
	if len(p.repair) == 0 {
		return
	}
	s.After = func(ctx context.Context, keep func(context.Context) error) (entries []martsync.LogEntry, err error) {
		log := a.log().With("sync", s.Name)
		for r, err := range audit.Repairs(ctx, audit.RepairOptions{
			Options: audit.Options{Source: s.Source, Destination: s.Destination, Streams: s.Streams, Exclude: s.Exclude, TempDir: env.TempDir},
			Sync:    s.ID, At: a.clock.Now(), Views: p.repair, Most: p.sync.RepairMost, Keep: keep,
			Stopping: func() bool { return isClosed(s.Stop) || p.timeUp(a.clock.Now()) },
		}) {
			entry := martsync.LogEntry{
				Time: a.clock.Now(), Sync: s.ID, Stream: r.Stream, Operation: "repair", Success: err == nil, Message: r.String(), Rows: int64(r.Stored + r.Gone),
			}
			if err != nil {
				entry.Message, entry.Rows = err.Error(), 0
			}
			entries = append(entries, entry)
			switch {
			case err != nil && putOff(err):
				log.WarnContext(ctx, "repair is left to the next sync", "stream", r.Stream, "err", err)
				return entries, nil
			case err != nil:
				return entries, err
			}
			log.InfoContext(ctx, "repaired", "stream", r.Stream, "view", r.View, "missing", r.Missing, "stored", r.Stored, "deleted", r.Gone, "quarantined", r.Bad, "left", r.Left, "skipped", r.Skipped)
			if p.repaired != nil {
				p.repaired(r)
			}
		}
		return entries, nil
	}
}

// putOff reports whether a repair that failed is no reason for the sync to fail: its rows are there, and the next one repairs
// what this one could not.
func putOff(err error) bool {
	kind := martsync.KindOf(err)
	return kind.Waits() || kind == martsync.Conflict || errors.Is(err, martsync.ErrUnsupported)
}
