package main

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/simulate"
)

// A ledger is a destination that keeps, of what it is given, only the accounts.
type ledger struct {
	clock *simulate.Clock

	mu      sync.Mutex
	cursors map[string]martsync.Cursor
	total   map[string]*account
	days    map[string]int64 // bytes by the day of their commit, in the vendor's time
}

// An account is what a stream has taken.
type account struct {
	rows, bytes, calls int64
	jobs               int
}

func newLedger(clock *simulate.Clock) *ledger {
	l := &ledger{clock: clock, cursors: map[string]martsync.Cursor{}}
	l.reset()
	return l
}

// reset begins new accounts. Tables and cursors stay.
func (l *ledger) reset() { l.total, l.days = map[string]*account{}, map[string]int64{} }

func (l *ledger) streams() []string { return slices.Sorted(maps.Keys(l.total)) }

// sum is the account of all streams.
func (l *ledger) sum() (all account) {
	for _, a := range l.total {
		all.rows += a.rows
		all.bytes += a.bytes
		all.calls += a.calls
		all.jobs += a.jobs
	}
	return all
}

func (l *ledger) largestDay() (bytes int64) {
	for _, n := range l.days {
		bytes = max(bytes, n)
	}
	return bytes
}

// quotaZone is where the vendor's day of export bytes ends at midnight.
var quotaZone = time.FixedZone("CST", -6*60*60)

// Open returns a writer that drops rows.
func (l *ledger) Open(_ context.Context, s martsync.Schema) (martsync.Writer, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.total[s.Stream] == nil {
		l.total[s.Stream] = &account{}
	}
	return &writer{l: l, stream: s.Stream, cursor: l.cursors[s.Stream]}, nil
}

// Close does nothing.
func (l *ledger) Close() error { return nil }

type writer struct {
	l      *ledger
	stream string
	cursor martsync.Cursor
	rows   int64
}

func (w *writer) Cursor() martsync.Cursor       { return w.cursor }
func (w *writer) Staged() martsync.Cursor       { return "" }
func (w *writer) Changes() []martsync.Change    { return nil }
func (w *writer) Discard(context.Context) error { w.rows = 0; return nil }
func (w *writer) Close() error                  { return nil }

func (w *writer) Write(_ context.Context, r *martsync.Records) error {
	w.rows += int64(r.Len)
	return nil
}

// Stage is not needed: nothing interrupts a measurement.
func (w *writer) Stage(context.Context, martsync.Commit) error { return martsync.ErrUnsupported }

func (w *writer) Commit(_ context.Context, c martsync.Commit) error {
	w.l.mu.Lock()
	defer w.l.mu.Unlock()
	a := w.l.total[w.stream]
	a.rows += w.rows
	for _, x := range c.Windows {
		a.calls += x.Calls
		if x.Job != "" {
			a.jobs++
			a.bytes += max(x.Bytes, 0)
			w.l.days[w.l.clock.Now().In(quotaZone).Format(time.DateOnly)] += max(x.Bytes, 0)
		}
	}
	w.cursor, w.rows = c.Next, 0
	w.l.cursors[w.stream] = c.Next
	return nil
}
