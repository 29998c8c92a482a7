package pipeline

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/martsync/martsync"
)

// A RawZone opens the writer that keeps what the vendor sends for a stream, from a position on.
// Base is the position of the table, from the one where reading begins, and entry the number that
// RawWriter.Save returned for from; 0 if there is none or it is not known. Known says that the
// zone has all that was read between base and from; if not, the writer is nil. KeepIn makes one.
type RawZone func(ctx context.Context, schema martsync.Schema, base, from martsync.Cursor, entry int64) (w RawWriter, known bool, err error)

// A RawWriter keeps what the vendor sent. It belongs to the goroutine of its stream. Its calls come
// before the ones that they stand for, so that a table, a stage and a progress document never know
// of something that the zone does not have. The zone may be ahead of them: of its commits those count
// whose positions the table has been at.
//
// After an error nothing may be assumed about the writer: it is closed, and another one is opened.
type RawWriter interface {
	// Add takes what the vendor sent for a batch, and what the batch says about it. The batch is
	// borrowed, and does not discard.
	Add(ctx context.Context, b *martsync.Batch) error

	// Save makes durable what came up to the last cursor, of which c.Next is the position, before
	// rows are staged there or progress is saved. It returns the number of the entry that holds it.
	Save(ctx context.Context, c martsync.Commit) (entry int64, err error)

	// Commit does so before Writer.Commit: c is what the writer will be given. Its position is that of
	// no other commit; plain is the same position in a table that was made from the zone.
	Commit(ctx context.Context, c martsync.Commit, plain martsync.Cursor) error

	// Discard drops what came since the last verified cursor, what was saved of it too. With whole
	// it drops all that neither Save nor Commit has kept: a snapshot that is as it was.
	Discard(ctx context.Context, whole bool) error

	// Close drops what has not been kept.
	Close() error
}

// KeepIn makes a RawZone of a function whose writers are of a type of their own.
func KeepIn[W RawWriter](open func(ctx context.Context, schema martsync.Schema, base, from martsync.Cursor, entry int64) (W, bool, error)) RawZone {
	return func(ctx context.Context, schema martsync.Schema, base, from martsync.Cursor, entry int64) (RawWriter, bool, error) {
		w, known, err := open(ctx, schema, base, from, entry)
		if err != nil || !known {
			return nil, false, err
		}
		return w, true, nil
	}
}

// A Continued stream is read in parts that fill one table, one after the other, each with its own
// schema: what is kept of a vendor is read as it was then.
type Continued interface {
	martsync.Stream

	// Next returns the stream that goes on after the cursor at which this one ended; nil: that
	// was the last. Anew says that it does not take up the windows that are open there, as a
	// backfill does not.
	Next(after martsync.Cursor) (next martsync.Stream, anew bool)
}

// A Replaying source makes tables from what was kept of another one, by whose account the tables go.
type Replaying interface {
	martsync.Source
	Replays() (account string)
}

// replayCursor is how the cursors begin that package raw writes in the middle of a replay.
const replayCursor = `{"replay":`

// replayed refuses a table that a replay has left half-way: only the replay knows how to go on.
func (l *loader) replayed() error {
	if _, parts := l.task.stream.(Continued); parts || !strings.HasPrefix(string(l.at.cursor), replayCursor) {
		return nil
	}
	return &martsync.Error{
		Kind: martsync.Config, Op: "read", Err: errors.New("the table is in the middle of a replay"),
		Hint: "Run the same martsync replay again; it goes on where it was. Then sync.",
	}
}

// settles reports whether the table must be told the position although no rows came: the part that
// goes on from here finds it there, and so does who takes the table over.
func (l *loader) settles() bool {
	_, parts := l.task.stream.(Continued)
	return parts && !l.schema.Snapshot && l.verified && l.at.cursor != decodePosition(l.progress.Base).cursor
}

// keepRaw tells the source that what it reads is to be kept.
func (e *engine) keepRaw() error {
	if e.Raw == nil {
		return nil
	}
	r, ok := martsync.As[martsync.Replayer](e.Source)
	if !ok {
		return &martsync.Error{
			Kind: martsync.Config, Op: "sync " + e.Name, Err: fmt.Errorf("%s cannot keep what the vendor sends: %w", e.Source.Account(), martsync.ErrUnsupported),
			Hint: "Remove raw from this sync.",
		}
	}
	r.KeepRaw()
	return nil
}

// openRaw opens the writer of the raw zone. What was read beyond the table's position without the
// zone is forgotten and read again: otherwise rows would become visible that it knows nothing of.
func (l *loader) openRaw(ctx context.Context) error {
	if l.Raw == nil {
		return nil
	}
	p := &l.progress
	gap := p.Raw == 0 && len(p.Windows) > 0 // of windows that no entry tells
	if !gap {
		w, known, err := l.Raw(ctx, l.schema, p.Base, p.Cursor, p.Raw)
		if err != nil {
			return fmt.Errorf("open raw zone: %w", err)
		}
		if known {
			l.raw = w
			return l.begunAnew()
		}
	}
	l.Log.InfoContext(ctx, "the raw zone lacks what was read last; it is read again", "stream", l.schema.Stream)
	if p.Staged != "" {
		if err := l.writer.Discard(ctx); err != nil {
			return fmt.Errorf("discard staged rows: %w", err)
		}
	}
	p.Staged, p.Cursor, p.Unverified, p.Windows, p.Raw = "", p.Base, false, nil, 0
	if p.Backfill == l.ID && l.Backfill && (len(l.schema.Key) > 0 || l.schema.Snapshot) { // it may not have committed anything
		p.Cursor = ""
	}
	if err := l.saveProgress(ctx); err != nil {
		return err
	}
	w, known, err := l.Raw(ctx, l.schema, p.Base, p.Cursor, 0)
	if err != nil {
		return fmt.Errorf("open raw zone: %w", err)
	}
	if !known {
		return &martsync.Error{Kind: martsync.Internal, Op: "open raw zone", Err: errors.New("it does not know the beginning")}
	}
	l.raw = w
	return l.begunAnew()
}

// begunAnew refuses to fill a table that was lost with what the vendor still has, while the zone has all that
// it held: a replay makes that again, and could no longer do so afterwards. Who wants it asks for a backfill.
func (l *loader) begunAnew() error {
	w, tells := l.raw.(interface{ Lost() bool })
	if !tells || l.Backfill || !w.Lost() {
		return nil
	}
	return &martsync.Error{
		Kind: martsync.Data, Op: "open raw zone", Err: errors.New("the table is empty, but the zone holds what was in it"),
		Hint: "If it was lost, run martsync replay of this sync first: the vendor may have forgotten some of it. To begin anew all the same, run martsync sync with --backfill --stream " + l.schema.Stream + ".",
	}
}

// addRaw hands a batch to the raw zone.
func (l *loader) addRaw(ctx context.Context, b *martsync.Batch) error {
	if l.raw == nil {
		return nil
	}
	if err := l.raw.Add(ctx, b); err != nil {
		return fmt.Errorf("keep what was sent: %w", err)
	}
	return nil
}

// saveRaw makes the raw zone keep what came up to a position that is about to be saved or staged.
func (l *loader) saveRaw(ctx context.Context, next martsync.Cursor) error {
	if l.raw == nil {
		l.progress.Raw = 0
		return nil
	}
	n, err := l.raw.Save(ctx, martsync.Commit{Sync: l.ID, At: l.Clock.Now(), Next: next})
	if err != nil {
		return fmt.Errorf("keep what was sent: %w", err)
	}
	l.progress.Raw = n
	return nil
}

// discardRaw takes back what the raw zone has of rows that are discarded.
func (l *loader) discardRaw(ctx context.Context, whole bool) error {
	if l.raw == nil {
		return nil
	}
	if err := l.raw.Discard(ctx, whole); err != nil {
		return fmt.Errorf("discard what was sent: %w", err)
	}
	return nil
}

// commitRaw makes the raw zone keep what the commit is about to make visible.
func (l *loader) commitRaw(ctx context.Context, c martsync.Commit, plain martsync.Cursor) error {
	if l.raw == nil {
		return nil
	}
	if err := l.raw.Commit(ctx, c, plain); err != nil {
		return fmt.Errorf("keep what was sent: %w", err)
	}
	return nil
}

// follow turns the task to the stream that goes on where the last attempt ended, if one does.
func (t *task) follow() bool {
	c, ok := t.stream.(Continued)
	if !ok {
		return false
	}
	next, anew := c.Next(t.ended)
	if next == nil {
		return false
	}
	t.stream, t.schema, t.anew = next, next.Schema(), anew
	return true
}
