package pipeline

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/runlog"
)

// remember decides what to do at a cursor: commit, stage, save progress or go on.
func (l *loader) remember(ctx context.Context, b *martsync.Batch) error {
	asked := !hasRows(b) && b.Census == nil // a batch without rows asks to be remembered (rule 3)
	waits := l.waits()
	switch {
	case waits && l.schema.Snapshot && l.verified: // committed at the end, as a whole
		return nil
	case waits && l.verified:
		if asked || l.task.eager || l.rows.rows >= l.Limits.Rows || l.rows.bytes >= l.Limits.Bytes ||
			l.rows.raw >= softRaw || l.rows.counted >= maxCounted || l.Clock.Now().Sub(l.rows.since) >= l.Limits.Age {
			return l.commit(ctx)
		}
		return nil
	case waits:
		if asked || l.stagedBytes >= l.Limits.Staged || l.unit.raw >= softRaw {
			_, err := l.stage(ctx)
			return err
		}
		return nil
	case asked:
		_, err := l.save(ctx)
		return err
	}
	return nil
}

// waits reports whether something waits for a commit, staged rows included.
func (l *loader) waits() bool {
	return l.rows.waits() || l.unit.waits() || l.progress.Staged != ""
}

// makeDurable commits, stages or saves what there is, if the last batch had a cursor that
// allows it, and reports whether reading can resume after it.
func (l *loader) makeDurable(ctx context.Context) (bool, error) {
	switch {
	case !l.resume:
		return false, nil
	case !l.waits():
		return l.save(ctx)
	case !l.verified:
		return l.stage(ctx)
	case l.schema.Snapshot:
		return false, nil
	default:
		return true, l.commit(ctx)
	}
}

// save stores progress that no rows wait for, with the windows and the log entries that the
// next commit will take along. It reports false for a position after a window that is not
// verified yet: resuming there would lose the window.
func (l *loader) save(ctx context.Context) (bool, error) {
	if !l.verified && len(l.unit.windows) > 0 {
		return false, nil
	}
	at := l.at.encode()
	moved := at != l.progress.Cursor
	if err := l.saveRaw(ctx, at); err != nil {
		return false, err
	}
	l.progress.Cursor, l.progress.Unverified = at, !l.verified
	l.progress.Windows = append(l.progress.Windows, l.rows.windows...)
	l.rows.windows = nil
	l.holdLog()
	if len(l.progress.Windows) > maxHeld && l.verified && !l.schema.Snapshot {
		return true, l.commit(ctx)
	}
	if l.revision == "" && l.idle() {
		return true, nil
	}
	if err := l.saveProgress(ctx); err != nil {
		return false, err
	}
	if moved {
		l.advanced()
	}
	return true, nil
}

// holdLog moves what there is to log into the progress, where the next commit finds it.
func (l *loader) holdLog() {
	l.progress.Log = append(append(l.progress.Log, l.rows.log...), l.unit.log...)
	l.rows.log, l.unit.log = nil, nil
}

// idle reports whether the progress says nothing that the destination does not.
func (l *loader) idle() bool {
	p := &l.progress
	return p.Cursor == cmpCursor(p.Staged, p.Base) && !p.Unverified && len(p.Windows) == 0 && len(p.Log) == 0 &&
		p.Backfill == "" && len(p.Missing) == 0
}

// commit makes everything up to the last verified cursor visible. No rows may have come
// after it.
func (l *loader) commit(ctx context.Context) error {
	if err := l.lease.Keep(ctx); err != nil {
		return err
	}
	l.phase(l.task, runlog.PhaseCommit)
	began := l.Clock.Now()
	at := l.at
	at.rows, at.bad, at.digest, at.mark = 0, 0, "", ""
	if l.digest != nil {
		at.digest = l.digest.String()
	}
	plain := at.encode()
	if l.raw != nil || plain == l.progress.Base || l.revision != "" && plain == l.storedBase {
		// Two commits at one position must not look alike: the saved progress would still count after this one, and
		// what it holds would be committed a second time.
		at.mark = strings.ToLower(rand.Text()[:10])
	}
	next := at.encode()
	windows := append(append([]martsync.Window(nil), l.progress.Windows...), l.rows.windows...)
	held := append(append([]martsync.LogEntry(nil), l.progress.Log...), l.rows.log...)
	entry := l.entry("commit", true, fmt.Sprintf("%d rows, %d windows, %d quarantined", l.rows.rows, len(windows), l.rows.bad))
	entry.Rows, entry.Bytes = l.rows.rows, l.rows.payload
	c := martsync.Commit{
		Sync: l.ID, At: began, Next: next, Windows: windows,
		Complete: l.rows.complete, Censuses: l.rows.censuses, Quarantined: l.rows.quarantined, Log: append(held, entry),
	}
	if err := l.commitRaw(ctx, c, plain); err != nil {
		return err
	}
	if err := l.writer.Commit(ctx, c); err != nil {
		l.known = false
		return fmt.Errorf("commit: %w", err)
	}
	rows, quarantined := l.rows.rows, l.rows.bad
	l.at, l.safe = at, at
	l.rows, l.stagedRows, l.stagedBad, l.stagedBytes = pending{}, 0, 0, 0
	l.progress = progress{Base: next, Cursor: next, Backfill: l.progress.Backfill, Missing: l.progress.Missing}
	l.committed, l.renamed = at.digest, false
	now := l.Clock.Now()
	l.update(l.task, func(st *runlog.Stream) {
		st.Rows += rows
		st.Quarantined += quarantined
		st.Commits++
		st.LastCommit = now
	})
	l.advanced()
	l.add(ctx, l.meter.rows, l.task, rows)
	l.add(ctx, l.meter.quarantined, l.task, quarantined)
	l.took(ctx, l.meter.commit, l.task, began)
	l.Log.InfoContext(ctx, "committed", "stream", l.schema.Stream, "rows", rows, "bytes", entry.Bytes, "took", now.Sub(began))
	if l.revision == "" && l.idle() {
		return nil
	}
	return l.saveProgress(ctx)
}

// stage makes rows durable that cannot be committed yet. It reports false where that is
// impossible; then they are read again if this process ends before the next commit.
func (l *loader) stage(ctx context.Context) (bool, error) {
	if l.noStage || l.rows.waits() { // rows from before the unit are not to be discarded with it
		return false, nil
	}
	l.phase(l.task, runlog.PhaseStage)
	at := l.at
	at.rows, at.bad = l.unit.rows, l.unit.bad
	next := at.encode()
	entry := l.progress.Raw
	if err := l.saveRaw(ctx, next); err != nil {
		return false, err
	}
	began := l.Clock.Now()
	err := l.writer.Stage(ctx, martsync.Commit{
		Sync: l.ID, At: began, Next: next,
		Windows: l.unit.windows, Quarantined: l.unit.quarantined, Log: l.unit.log,
	})
	if errors.Is(err, martsync.ErrUnsupported) {
		l.noStage, l.progress.Raw = true, entry
		return false, nil
	}
	if err != nil {
		l.known = false
		return false, fmt.Errorf("stage: %w", err)
	}
	l.at, l.stagedRows, l.stagedBad, l.stagedBytes = at, at.rows, at.bad, 0
	l.unit = pending{rows: l.unit.rows, bad: l.unit.bad, bytes: l.unit.bytes, payload: l.unit.payload, since: l.unit.since}
	l.progress.Staged, l.progress.Cursor, l.progress.Unverified = next, next, false
	l.update(l.task, func(st *runlog.Stream) { st.Stages++ })
	l.took(ctx, l.meter.stage, l.task, began)
	l.advanced()
	l.progress.Log = append(l.progress.Log, l.rows.log...)
	l.rows.log = nil
	// Progress says what the writer says, unless it holds something besides the position.
	if l.revision == "" && l.idle() {
		return true, nil
	}
	return true, l.saveProgress(ctx)
}

// discard takes back everything after the last verified cursor.
func (l *loader) discard(ctx context.Context, b *martsync.Batch) error {
	if l.rows.waits() {
		if l.schema.Snapshot {
			return &martsync.Error{Kind: martsync.Internal, Op: "read", Err: errors.New("a snapshot has a verified cursor before its end")}
		}
		// The writer can only drop everything since the last commit, which includes rows
		// that are right. They are read again, and committed before it comes to this.
		return errAgain
	}
	if err := l.writer.Discard(ctx); err != nil {
		l.known = false
		return fmt.Errorf("discard: %w", err)
	}
	if err := l.discardRaw(ctx, false); err != nil {
		l.known = false
		return err
	}
	l.Log.WarnContext(ctx, "rows discarded; they will be read again", "stream", l.schema.Stream, "rows", l.unit.rows)
	l.unit, l.stagedRows, l.stagedBad, l.stagedBytes = pending{}, 0, 0, 0
	l.written, l.quarantined = l.safe.written, l.safe.quarantined
	l.at = position{cursor: b.Cursor, written: l.written, quarantined: l.quarantined, digest: l.committed, account: l.account}
	l.verified, l.resume = !b.Unverified, true
	l.listed, l.complete = false, false
	if l.schema.Snapshot {
		l.digest = newDigest(&l.schema)
	}
	for _, n := range b.Notes {
		l.rows.log = append(l.rows.log, l.entry(n.Operation, false, n.Message))
	}
	l.progress.Staged = ""
	l.count(b)
	if _, err := l.save(ctx); err != nil {
		l.known = false // the progress may still name the position of rows that are gone
		return err
	}
	if l.stopping() {
		return errStopped
	}
	return nil
}

// end closes a stream that has been read to its end (rule 2).
func (l *loader) end(ctx context.Context) error {
	if l.unit.waits() || l.progress.Staged != "" && !l.verified || len(l.unit.windows) > 0 {
		return &martsync.Error{Kind: martsync.Internal, Op: "read", Err: errors.New("the stream ended after rows or a window without a verified cursor")}
	}
	l.rows.log = append(l.rows.log, l.unit.log...)
	l.unit.log = nil
	switch {
	case l.schema.Snapshot && l.complete:
		return l.endSnapshot(ctx)
	case l.waits(), l.settles(), l.retells():
		return l.commit(ctx)
	default:
		_, err := l.save(ctx)
		return err
	}
}

// endSnapshot commits the snapshot, unless it is the one that the table has.
func (l *loader) endSnapshot(ctx context.Context) error {
	if l.digest == nil || l.digest.String() != l.committed || l.renamed {
		return l.commit(ctx)
	}
	if l.rows.rows > 0 || l.progress.Staged != "" {
		if err := l.writer.Discard(ctx); err != nil {
			l.known = false
			return fmt.Errorf("discard an unchanged snapshot: %w", err)
		}
	}
	if err := l.discardRaw(ctx, true); err != nil {
		l.known = false
		return err
	}
	// The ledger is about what tables hold, and the table holds the earlier reading.
	l.rows, l.stagedRows, l.stagedBad, l.stagedBytes = pending{log: l.rows.log}, 0, 0, 0
	l.at.rows, l.at.bad, l.progress.Staged = 0, 0, ""
	l.update(l.task, func(st *runlog.Stream) { st.Unchanged = true })
	if _, err := l.save(ctx); err != nil {
		l.known = false // see discard
		return err
	}
	return nil
}
