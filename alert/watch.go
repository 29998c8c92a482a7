package alert

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/runlog"
	"github.com/martsync/martsync/state"
)

// Options are what a Watcher needs. State and Clock must be set.
type Options struct {
	Rules []Rule
	Syncs []Sync // all that may be late, whether this process runs them or not
	State state.Store
	Clock martsync.Clock
	Log   *slog.Logger // default: none
}

// A Watcher looks at runs and tells people. Its methods may be called from several goroutines; they return no errors,
// since nothing of this may fail a sync, but log them.
type Watcher struct {
	o     Options
	syncs map[string]Sync

	mu     sync.Mutex
	looked time.Time            // when all syncs were looked at
	blind  map[string]time.Time // failures told without a record, by sync
}

// lookEvery is how often Ran also looks at the syncs that do not run.
const lookEvery = 5 * time.Minute

// New makes a watcher. Without rules it does nothing.
func New(o Options) *Watcher {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	w := &Watcher{o: o, syncs: map[string]Sync{}, blind: map[string]time.Time{}}
	w.o.Rules, w.o.Syncs = nil, slices.Clone(o.Syncs)
	for i := range o.Rules {
		w.o.Rules = append(w.o.Rules, o.Rules[i].withDefaults())
	}
	for i, s := range w.o.Syncs {
		if s.Zone == nil {
			w.o.Syncs[i].Zone = time.UTC
		}
		w.syncs[s.Name] = w.o.Syncs[i]
	}
	return w
}

// A Report is how a run, or a piece of it, has ended.
type Report struct {
	Sync    string
	Run     *runlog.Run // nil: it could not even begin
	Err     error       // of the piece
	Partial bool        // it was about some of the sync's streams only
}

// Ran looks at a run that has come to its end, to a wait or to a stop. Now and then it looks at the other syncs too.
func (w *Watcher) Ran(ctx context.Context, r Report) {
	if len(w.o.Rules) == 0 {
		return
	}
	now := w.o.Clock.Now()
	if !errors.Is(r.Err, context.Canceled) { // an interrupted run has not failed, and goes on
		open := false
		if err := w.update(ctx, r.Sync, func(d *record) bool {
			changed := w.judge(d, r, now)
			open = len(d.Open) > 0
			return changed
		}); err != nil {
			w.o.Log.WarnContext(ctx, "alerts cannot use the state", "sync", r.Sync, "err", err)
			w.tellBlindly(ctx, r, now)
			return
		}
		if open {
			w.deliver(ctx, r.Sync)
		}
	}
	if w.time(now) {
		w.Look(ctx)
	}
}

// time reports whether it is time to look at all syncs.
func (w *Watcher) time(now time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if age := now.Sub(w.looked); age >= 0 && age < lookEvery && !w.looked.IsZero() {
		return false
	}
	w.looked = now
	return true
}

// Look looks which syncs are late, and sends what could not be sent before and what is to be repeated.
func (w *Watcher) Look(ctx context.Context) {
	if len(w.o.Rules) == 0 {
		return
	}
	for _, s := range w.o.Syncs {
		if ctx.Err() != nil {
			return
		}
		if !slices.ContainsFunc(w.o.Rules, func(r Rule) bool { return r.about(s.Name) }) {
			continue
		}
		open, err := w.lookAt(ctx, s)
		if err != nil {
			w.o.Log.WarnContext(ctx, "alerts cannot use the state", "sync", s.Name, "err", err)
			continue
		}
		if open {
			w.deliver(ctx, s.Name)
		}
	}
}

// A Result is what became of a test message.
type Result struct {
	Rule string
	Err  error
}

// Test sends a message to the people of each rule, whatever it is for.
func (w *Watcher) Test(ctx context.Context) []Result {
	now := w.o.Clock.Now()
	var all []outgoing
	for i := range w.o.Rules {
		r := &w.o.Rules[i]
		all = append(all, outgoing{r, testMessage(r, now)})
	}
	var out []Result
	for i, err := range w.sendAll(ctx, all) {
		out = append(out, Result{all[i].rule.Name, err})
	}
	return out
}

// tellBlindly tells of a failure though nobody knows who was told before: better twice than never. One process tells
// once a sync and reminder.
func (w *Watcher) tellBlindly(ctx context.Context, r Report, now time.Time) {
	d := record{Open: map[string]*entry{}, Seen: map[string]seen{}}
	w.judge(&d, r, now)
	var all []outgoing
	for _, e := range d.Open {
		if e.Event != Failure && e.Event != Credentials {
			continue
		}
		w.mu.Lock()
		again := !w.blind[r.Sync].IsZero() && now.Sub(w.blind[r.Sync]) < DefaultRemind
		if !again {
			w.blind[r.Sync] = now
		}
		w.mu.Unlock()
		for i := range w.o.Rules {
			rule := &w.o.Rules[i]
			if again || !rule.about(r.Sync) || !rule.wants(e.Event) {
				continue
			}
			all = append(all, outgoing{rule, w.message(r.Sync, e, problem, now, 0)})
		}
	}
	for i, err := range w.sendAll(ctx, all) {
		if err != nil {
			w.o.Log.WarnContext(ctx, "alert was not sent", "alert", all[i].rule.Name, "sync", r.Sync, "hint", martsync.HintOf(err), "err", err)
		}
	}
}
