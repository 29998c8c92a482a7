package pipeline

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/runlog"
)

// A loader is one attempt at one stream: it opens the writer, reads from where the writer
// and the progress document say, and ends when the stream does, must wait, fails or is asked
// to stop. It keeps the five rules of docs/design.md; whatever goes wrong, the next attempt
// begins from what is durable, so there is one way to recover, and crashes use it too.
type loader struct {
	*engine
	task   *task
	schema martsync.Schema
	writer martsync.Writer
	raw    RawWriter // nil: nobody keeps what was sent

	progress progress // as it should be stored; Base and Staged are where the writer is
	revision string   // of the stored document; "": there is none
	stored   string   // its text, if known

	storedBase martsync.Cursor // that of the stored document, whether it counts or not

	at       position // of the last batch that had a cursor
	safe     position // of the last one whose cursor was verified
	verified bool     // at is verified and no rows came after it
	resume   bool     // no rows came after at
	rows     pending  // what came up to the last verified cursor
	unit     pending  // what came after it

	written, quarantined int64 // rows since the last window

	noStage     bool  // the destination cannot stage
	stagedRows  int64 // since the last commit
	stagedBad   int64 // of the rows staged since then, those in quarantine
	stagedBytes int64 // of records in memory since the last stage
	known       bool  // progress says where the writer is; false in doubt (rule 4)
	renamed     bool  // the table still tells another name of the account

	// Snapshots only.
	listed    bool    // this reading has said something about the records
	complete  bool    // and then came to a verified cursor
	digest    *digest // of the reading, unless an earlier attempt began it
	committed string  // the digest of what is committed; "": not known

	began time.Time
}

// attempt reads the stream once. A nil error means that it was read to its end.
func (e *engine) attempt(ctx context.Context, t *task) (err error) {
	if err := e.lease.Keep(ctx); err != nil {
		return err
	}
	e.phase(t, runlog.PhaseOpen)
	l := &loader{engine: e, task: t, schema: t.schema, began: e.Clock.Now()}
	l.writer, err = e.Destination.Open(ctx, t.schema)
	if err != nil {
		return l.failed(ctx, fmt.Errorf("open table: %w", err))
	}
	defer func() {
		if closeErr := l.writer.Close(); closeErr != nil {
			e.Log.WarnContext(ctx, "writer was not closed", "stream", t.schema.Stream, "err", closeErr)
		}
	}()
	defer l.closeRaw(ctx)
	if err := l.open(ctx); err != nil {
		return l.failed(ctx, err)
	}
	e.phase(t, runlog.PhaseRead)
	err = l.readAll(ctx)
	t.ended = l.at.cursor
	if err == nil || errors.Is(err, errStopped) || errors.Is(err, errAgain) || ctx.Err() != nil {
		return err
	}
	return l.failed(ctx, err)
}

// open finds out where to read from (rule 1).
func (l *loader) open(ctx context.Context) error {
	base, staged := l.writer.Cursor(), l.writer.Staged()
	saved, revision, err := l.loadProgress(ctx, l.schema.Stream)
	if err != nil {
		return err
	}
	l.revision, l.storedBase = revision, saved.Base
	l.progress = progress{Base: base, Staged: staged, Cursor: cmpCursor(staged, base), Backfill: saved.Backfill, Missing: saved.Missing}
	if revision != "" && saved.Base == base && saved.Staged == staged {
		l.progress = saved
	}
	if err := l.ofAccount(ctx); err != nil { // I12
		return err
	}
	if l.Backfill && saved.Backfill != l.ID {
		if err := l.startOver(ctx); err != nil {
			return err
		}
	}
	// Before the zone is told where the table stands: to it that is nowhere.
	l.at = decodePosition(l.progress.Cursor)
	if err := l.replayed(); err != nil {
		return err
	}
	if err := l.openRaw(ctx); err != nil {
		return err
	}
	l.known = true
	l.committed = decodePosition(base).digest
	l.at = decodePosition(l.progress.Cursor)
	l.at.account = l.account
	if l.task.anew {
		l.at.written, l.at.quarantined = 0, 0
	}
	if err := l.replayed(); err != nil {
		return err
	}
	l.written, l.quarantined, l.stagedRows, l.stagedBad = l.at.written, l.at.quarantined, l.at.rows, l.at.bad
	l.safe = l.at
	l.verified, l.resume = !l.progress.Unverified, true
	if l.progress.Staged != "" {
		// What is staged awaits its verification; taking it back leads to what is committed.
		l.safe = decodePosition(base)
		l.safe.account = l.account
		l.verified, l.listed = false, true
		l.unit = pending{rows: l.stagedRows, bad: l.stagedBad, since: l.Clock.Now()}
	} else if l.schema.Snapshot {
		l.digest = newDigest(&l.schema)
	}
	l.rows.log = append(l.rows.log, l.task.carry...)
	l.task.carry = nil
	l.noteChanges(ctx)
	return nil
}

func cmpCursor(a, b martsync.Cursor) martsync.Cursor {
	if a != "" {
		return a
	}
	return b
}

// startOver makes the stream read from its beginning, durably and once a run, so that a
// later run continues the backfill rather than the position before it.
func (l *loader) startOver(ctx context.Context) error {
	l.progress.Backfill = l.ID
	if len(l.schema.Key) == 0 && !l.schema.Snapshot && l.progress.Base != "" {
		const message = "not read again from the beginning: its records have no key, so all of them would be there twice"
		l.Log.WarnContext(ctx, "backfill skipped", "stream", l.schema.Stream, "reason", message)
		l.rows.log = append(l.rows.log, l.entry("backfill", false, message))
		return nil
	}
	if b, ok := l.Destination.(martsync.Backuper); ok && l.progress.Base != "" {
		where, err := b.Backup(ctx, l.schema.Stream, l.ID)
		if err != nil {
			return fmt.Errorf("back up the table: %w", err)
		}
		if where != "" {
			l.Log.InfoContext(ctx, "table backed up", "stream", l.schema.Stream, "backup", where)
			l.rows.log = append(l.rows.log, l.entry("backup", true, "before a backfill: "+where))
		}
	}
	if l.progress.Staged != "" {
		if err := l.writer.Discard(ctx); err != nil {
			return fmt.Errorf("discard staged rows: %w", err)
		}
	}
	l.progress.Staged, l.progress.Cursor, l.progress.Unverified, l.progress.Raw = "", "", false, 0
	l.progress.Windows = nil // they will be read again, and enter the ledger once (I4)
	return l.saveProgress(ctx)
}

// closeRaw drops what the raw zone has not been told to keep.
func (l *loader) closeRaw(ctx context.Context) {
	if l.raw == nil {
		return
	}
	if err := l.raw.Close(); err != nil {
		l.Log.WarnContext(ctx, "raw zone was not closed", "stream", l.schema.Stream, "err", err)
	}
}

// noteChanges logs what opening the table changed. A column that has left the schema is
// noticed at each opening and worth one entry.
func (l *loader) noteChanges(ctx context.Context) {
	var missing []string
	for _, c := range l.writer.Changes() {
		var message string
		switch c.Action {
		case martsync.ColumnAdded:
			message = fmt.Sprintf("column %s added as %s", c.Column, c.To)
		case martsync.ColumnWidened:
			message = fmt.Sprintf("column %s widened from %s to %s", c.Column, c.From, c.To)
		case martsync.ColumnMissing:
			missing = append(missing, c.Column)
			if slices.Contains(l.progress.Missing, c.Column) {
				continue
			}
			message = fmt.Sprintf("column %s is no longer at the source; the table keeps it", c.Column)
		default:
			message = fmt.Sprintf("column %s: %s", c.Column, c.Action)
		}
		l.Log.InfoContext(ctx, "schema changed", "stream", l.schema.Stream, "change", message)
		l.rows.log = append(l.rows.log, l.entry("schema", true, message))
		l.update(l.task, func(st *runlog.Stream) { st.AddChange(message) })
	}
	l.progress.Missing = missing
}

// readAll hands the stream's batches on until it ends.
func (l *loader) readAll(ctx context.Context) error {
	span, err := l.span(ctx)
	if err != nil {
		return err
	}
	for b, err := range l.task.stream.Read(ctx, l.at.cursor, span) {
		if err != nil {
			return l.settle(ctx, err)
		}
		if err := l.step(ctx, &b); err != nil {
			return err
		}
		if err := l.lease.Keep(ctx); err != nil {
			return l.settle(ctx, err)
		}
		l.fill(ctx)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return l.end(ctx)
}

// settle makes durable what can be before a wait or the report of a failure (rule 2), and
// returns the error that counts.
func (l *loader) settle(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return err
	}
	if _, settleErr := l.makeDurable(ctx); settleErr != nil {
		l.Log.WarnContext(ctx, "stream ended early", "stream", l.schema.Stream, "err", err)
		return settleErr
	}
	return err
}

// failed records a failure in the log of the run and, with the next commit, in the log of
// the table. Waiting is no failure.
func (l *loader) failed(ctx context.Context, err error) error {
	kind := martsync.KindOf(err)
	if ctx.Err() != nil || kind == martsync.Pending || kind == martsync.Quota {
		return err
	}
	entry := l.entry("sync", false, err.Error())
	l.mu.Lock()
	l.run.AddLog(entry)
	l.mu.Unlock()
	if !l.known {
		l.task.carry = append(l.task.carry, entry)
		return err
	}
	l.progress.Log = append(l.progress.Log, l.rows.log...)
	l.progress.Log = append(l.progress.Log, entry)
	l.rows.log = nil
	if saveErr := l.saveProgress(ctx); saveErr != nil {
		l.Log.WarnContext(ctx, "failure was not saved for the log table", "stream", l.schema.Stream, "err", saveErr)
		l.task.carry = append(l.task.carry, entry)
	}
	return err
}

func (l *loader) entry(operation string, success bool, message string) martsync.LogEntry {
	return martsync.LogEntry{
		Time: l.Clock.Now(), Sync: l.ID, Stream: l.schema.Stream,
		Operation: operation, Success: success, Message: message,
	}
}

// advanced resets the count of failures: the stream got somewhere.
func (l *loader) advanced() {
	l.update(l.task, func(st *runlog.Stream) { st.Attempts = 0 })
}

// phase shows what the stream is doing.
func (e *engine) phase(t *task, p runlog.Phase) {
	var bytes int64
	e.update(t, func(st *runlog.Stream) { st.Phase, bytes = p, st.Bytes })
	e.observe(t, Event{Phase: p, Rows: t.read, Bytes: bytes})
}
