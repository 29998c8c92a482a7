package pipeline

import (
	"context"
	"errors"
	"fmt"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/runlog"
)

// Bounds of the quarantined rows in memory. Beyond the first they are committed or staged at
// the next cursor; beyond the second the stream stops.
const (
	softRaw = 8 << 20
	hardRaw = 64 << 20
)

// step takes one batch.
func (l *loader) step(ctx context.Context, b *martsync.Batch) error {
	if err := l.check(b); err != nil {
		return err
	}
	if l.commitFirst(b) {
		if err := l.commit(ctx); err != nil {
			return err
		}
	}
	if b.Discard {
		return l.discard(ctx, b)
	}
	if err := l.take(ctx, b); err != nil {
		return err
	}
	if b.Cursor == "" {
		l.resume = l.resume && !hasRows(b)
		l.verified = l.verified && !hasRows(b)
		if l.rows.raw+l.unit.raw > hardRaw {
			return &martsync.Error{
				Kind: martsync.Data, Op: "read", Err: errors.New("too many rows do not fit their columns"),
				Hint: "Look at the quarantine of this stream: its records do not look like its schema.",
			}
		}
		return nil
	}
	l.at = position{cursor: b.Cursor, rows: l.stagedRows, bad: l.stagedBad, written: l.written, quarantined: l.quarantined, digest: l.committed, account: l.account}
	l.resume, l.verified = true, !b.Unverified
	if l.verified {
		l.complete = l.listed
		if b.Complete != nil {
			l.unit.complete = append(l.unit.complete, *b.Complete)
			l.unit.scoped = true
		}
		if b.Census != nil {
			l.unit.count(*b.Census)
		}
		l.rows.add(&l.unit)
		l.safe = l.at
	}
	if err := l.remember(ctx, b); err != nil {
		return err
	}
	if l.stopping() {
		durable, err := l.makeDurable(ctx)
		if err != nil {
			return err
		}
		if durable {
			return errStopped
		}
	}
	return nil
}

func hasRows(b *martsync.Batch) bool {
	return b.Records != nil && b.Records.Len > 0 || len(b.Quarantined) > 0
}

// check refuses what no source may yield: bugs that would otherwise become wrong tables.
func (l *loader) check(b *martsync.Batch) error {
	fail := func(format string, args ...any) error {
		return &martsync.Error{Kind: martsync.Internal, Op: "read", Err: fmt.Errorf(format, args...)}
	}
	if r := b.Records; r != nil {
		if len(r.Columns) != len(l.schema.Columns) {
			return fail("a batch has %d columns, the schema %d", len(r.Columns), len(l.schema.Columns))
		}
		if r.Len < 0 || r.Len > martsync.MaxRows {
			return fail("a batch has %d rows, more than %d", r.Len, martsync.MaxRows)
		}
	}
	if b.Discard && (hasRows(b) || b.Window != nil || b.Complete != nil || b.Census != nil || b.Cursor == "") {
		return fail("a batch that discards has a cursor and nothing else")
	}
	if b.Window != nil && b.Unverified {
		return fail("a window is complete at a cursor that is not verified")
	}
	if b.Census != nil {
		if err := l.checkCensus(b); err != nil {
			return fail("%w", err)
		}
	}
	if b.Complete != nil {
		switch i := l.schema.Index(b.Complete.Column); {
		case b.Cursor == "" || b.Unverified:
			return fail("a scope is complete at a verified cursor only")
		case !l.schema.Deletes || l.schema.Snapshot:
			return fail("a scope is complete in a stream that tells no deletions this way")
		case b.Complete.IsRange():
			if err := l.checkRange(b.Complete); err != nil {
				return fail("%w", err)
			}
		case b.Complete.Column != "" && !l.schema.IsKey(b.Complete.Column):
			return fail("a scope is of column %q, which is not in the key", b.Complete.Column)
		case b.Complete.Column != "" && l.schema.Columns[i].Type != martsync.Int64 && l.schema.Columns[i].Type != martsync.String:
			return fail("a scope is of column %q, which is a %s", b.Complete.Column, l.schema.Columns[i].TypeName())
		}
		if l.rows.rows > 0 && !l.rows.disjoint(*b.Complete) && l.unit.rows > 0 {
			return errAgain // see commitFirst: by now it is too late
		}
	}
	return nil
}

func (l *loader) checkRange(s *martsync.Scope) error {
	i := l.schema.Index(s.Column)
	switch {
	case s.Column == "" || s.Column != l.schema.Version || l.schema.Columns[i].Type != martsync.Timestamp:
		return fmt.Errorf("a range is of column %q, which is not a version that is a time", s.Column)
	case s.Value != "" || !s.From.Before(s.To):
		return fmt.Errorf("a range is from %v to %v, of the value %q", s.From, s.To, s.Value)
	}
	return nil
}

func (l *loader) checkCensus(b *martsync.Batch) error {
	c := b.Census
	if b.Cursor == "" || b.Unverified {
		return errors.New("a census comes at a verified cursor only")
	}
	key := l.schema.Key
	if !l.schema.Deletes || l.schema.Snapshot || len(key) != 1 || l.schema.Columns[l.schema.Index(key[0])].Type != martsync.Int64 {
		return errors.New("a census is of a stream with deletions and one whole number as its key")
	}
	last := c.After
	for _, k := range c.Keys {
		if k <= last {
			return fmt.Errorf("a census from %d to %d has %d after %d", c.After, c.UpTo, k, last)
		}
		last = k
	}
	if last > c.UpTo || c.After >= c.UpTo {
		return fmt.Errorf("a census from %d to %d ends with %d", c.After, c.UpTo, last)
	}
	return nil
}

// commitFirst reports whether what is verified must be committed before the batch is taken,
// because the rows of the batch belong to a unit that does not mix with it:
//   - rows at an unverified cursor may be staged, and a stage is discarded as a whole;
//     windows held in the progress document would be lost if a crash separated the two,
//   - rows of a complete scope must be all of their scope in their commit (pending.disjoint);
//     rows without a cursor may turn out to be such rows.
//
// A snapshot is one unit.
func (l *loader) commitFirst(b *martsync.Batch) bool {
	if l.schema.Snapshot || !l.verified || b.Discard {
		return false
	}
	switch {
	case b.Cursor != "" && b.Unverified:
		return l.waits() || len(l.progress.Windows)+len(l.rows.windows) > 0
	case b.Complete != nil:
		return l.waits() && !l.rows.disjoint(*b.Complete)
	default:
		return b.Cursor == "" && hasRows(b) && l.schema.Deletes && l.waits() && !l.rows.scoped
	}
}

// take hands the rows to the writer and counts them.
func (l *loader) take(ctx context.Context, b *martsync.Batch) error {
	if !l.rows.waits() && !l.unit.waits() {
		l.unit.since = l.Clock.Now()
	}
	if l.digest != nil {
		l.digest.add(b)
	}
	l.listed = l.listed || b.Records != nil || b.Window != nil
	if err := l.addRaw(ctx, b); err != nil {
		return err
	}
	if r := b.Records; r != nil && r.Len > 0 {
		if err := l.writer.Write(ctx, r); err != nil {
			l.known = false
			return fmt.Errorf("write: %w", err)
		}
		size := int64(r.Size())
		l.unit.rows += int64(r.Len)
		l.unit.bytes += size
		l.stagedBytes += size
		l.written += int64(r.Len)
		l.task.read += int64(r.Len)
	}
	for _, q := range b.Quarantined {
		l.unit.raw += int64(len(q.Raw))
		l.unit.quarantined = append(l.unit.quarantined, q)
	}
	l.unit.bad += int64(len(b.Quarantined))
	l.quarantined += int64(len(b.Quarantined))
	l.unit.payload += b.Bytes
	for _, n := range b.Notes {
		l.unit.log = append(l.unit.log, l.entry(n.Operation, true, n.Message))
		if n.Operation == "schema" {
			l.update(l.task, func(st *runlog.Stream) { st.AddChange(n.Message) })
		}
	}
	if b.Window != nil {
		if err := l.closeWindow(*b.Window); err != nil {
			return err
		}
	}
	l.count(b)
	l.add(ctx, l.meter.payload, l.task, b.Bytes)
	if b.Window != nil {
		l.add(ctx, l.meter.windows, l.task, 1)
	}
	return nil
}

// closeWindow checks a window's numbers (I4, I5) before it can get into the ledger.
func (l *loader) closeWindow(w martsync.Window) error {
	w.Written = l.written
	fail := func(format string, args ...any) error {
		return &martsync.Error{Kind: martsync.Internal, Op: "close window " + w.Filter, Err: fmt.Errorf(format, args...)}
	}
	switch {
	case w.Quarantined != l.quarantined:
		return fail("the source counts %d quarantined rows and has handed over %d", w.Quarantined, l.quarantined)
	case w.Parsed != w.Quarantined+w.Written:
		return fail("of %d rows parsed %d were quarantined and %d written", w.Parsed, w.Quarantined, w.Written)
	case w.Records >= 0 && w.Records != w.Parsed:
		return fail("the vendor promised %d records and %d were parsed", w.Records, w.Parsed)
	}
	l.unit.windows = append(l.unit.windows, w)
	l.written, l.quarantined = 0, 0
	l.update(l.task, func(st *runlog.Stream) { st.Windows++ })
	return nil
}

// count tells the run and the observer what has been read.
func (l *loader) count(b *martsync.Batch) {
	event := Event{Phase: runlog.PhaseRead, Rows: l.task.read}
	l.update(l.task, func(st *runlog.Stream) {
		st.Phase = runlog.PhaseRead
		st.Bytes += b.Bytes
		event.Bytes = st.Bytes
	})
	if took := l.Clock.Now().Sub(l.began).Seconds(); took > 0 {
		event.Rate = float64(l.task.read) / took
	}
	l.observe(l.task, event)
}
