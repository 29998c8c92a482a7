package alert

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/martsync/martsync"
)

const (
	// sendTime bounds what one rule's people are sent at once, with all tries. A sync that ends waits for it.
	sendTime = 45 * time.Second

	// sendAtOnce is to how many rules' people messages are on their way at once.
	sendAtOnce = 8

	// claimTime is how long others leave a message alone that somebody is sending.
	claimTime = 2 * time.Minute

	// forget is after how long a message is given up that could not be sent, or that nobody wants.
	forget = 7 * 24 * time.Hour
)

// A letter is a message that is to be sent.
type letter struct {
	key   string
	rule  *Rule
	entry entry
	what  status
	since int64 // what the rule's people knew of the entry's level
}

// deliver sends what is to be sent about a sync. It claims each message first, so that of two processes one sends it,
// and writes down afterwards what came of it: a message that is lost in between comes with the next reminder.
func (w *Watcher) deliver(ctx context.Context, sync string) {
	now := w.o.Clock.Now()
	var letters []letter
	err := w.update(ctx, sync, func(d *record) bool {
		letters = nil
		changed := false
		for _, k := range slices.Sorted(maps.Keys(d.Open)) {
			e := d.Open[k]
			waiting := false
			for i := range w.o.Rules {
				r := &w.o.Rules[i]
				if !r.about(sync) {
					continue
				}
				what, since, ready, open := w.due(r, e, now)
				waiting = waiting || open
				if !ready {
					continue
				}
				t := e.told(r.Name)
				t.Claimed = now
				letters = append(letters, letter{k, r, *e, what, since})
				changed = true
			}
			if !waiting && e.finished(now) {
				delete(d.Open, k)
				changed = true
			}
		}
		return changed
	})
	if err != nil {
		w.o.Log.WarnContext(ctx, "alerts cannot use the state", "sync", sync, "err", err)
		return
	}
	if len(letters) == 0 {
		return
	}
	out := make([]outgoing, len(letters))
	for i, l := range letters {
		out[i] = outgoing{l.rule, w.message(sync, &l.entry, l.what, now, l.since)}
	}
	sent := w.sendAll(ctx, out)
	for i, l := range letters {
		if sent[i] != nil {
			w.o.Log.WarnContext(ctx, "alert was not sent; it is tried again", "alert", l.rule.Name, "sync", sync,
				"event", l.entry.Event, "hint", martsync.HintOf(sent[i]), "err", sent[i])
		} else {
			w.o.Log.InfoContext(ctx, "alert sent", "alert", l.rule.Name, "sync", sync, "event", l.entry.Event, "status", string(l.what))
		}
	}
	err = w.update(ctx, sync, func(d *record) bool {
		for i, l := range letters {
			if e := d.Open[l.key]; e != nil && e.Since.Equal(l.entry.Since) {
				e.settle(l, sent[i], now)
				if e.finished(now) && !w.anyOpen(sync, e, now) {
					delete(d.Open, l.key)
				}
			}
		}
		return true
	})
	if err != nil {
		w.o.Log.WarnContext(ctx, "alerts cannot use the state", "sync", sync, "err", err)
	}
}

// anyOpen reports whether a rule still has something to be told of the entry.
func (w *Watcher) anyOpen(sync string, e *entry, now time.Time) bool {
	return slices.ContainsFunc(w.o.Rules, func(r Rule) bool {
		if !r.about(sync) {
			return false
		}
		_, _, _, open := w.due(&r, e, now)
		return open
	})
}

func (e *entry) told(rule string) *told {
	if e.Told == nil {
		e.Told = map[string]*told{}
	}
	if e.Told[rule] == nil {
		e.Told[rule] = &told{}
	}
	return e.Told[rule]
}

// due says whether a rule's people are to be told of an entry now (ready), or at some time (open), and what. Since is
// the level that they know of.
func (w *Watcher) due(r *Rule, e *entry, now time.Time) (what status, since int64, ready, open bool) {
	var t told
	if known := e.Told[r.Name]; known != nil {
		t = *known
	}
	first := t.At.IsZero()
	again := !first && now.Sub(t.At) >= r.Remind
	switch {
	case !e.Over.IsZero():
		what, open = over, !first && !t.Over && r.wants(Recovery)
		ready = open
	case !r.wants(e.Event):
	case e.Event == Schema: // each change is news
		what, open = problem, e.Level > t.Level
		ready = open
	case e.Event == Quarantine: // growth is news once in a while
		what, open = problem, e.Level > t.Level && (!first || e.Level >= r.Quarantine)
		ready = open && (first || again)
	case e.Event == Quota && e.Level < r.Quota:
	case first:
		what, ready, open = problem, true, true
	default:
		what, ready, open = reminder, again, true
	}
	if now.Sub(e.Last) > forget && !t.Retry.IsZero() {
		return what, t.Level, false, false // its sender does not come back
	}
	claimed := !t.Claimed.IsZero() && now.Sub(t.Claimed).Abs() < claimTime
	return what, t.Level, ready && !claimed && !now.Before(t.Retry), open
}

// settle writes down what came of a message.
func (e *entry) settle(l letter, err error, now time.Time) {
	t := e.told(l.rule.Name)
	t.Claimed = time.Time{}
	if err != nil {
		t.Retry = now.Add(min(5*time.Minute<<min(t.Tries, 10), time.Hour))
		t.Tries++
		return
	}
	t.Tries, t.Retry = 0, time.Time{}
	t.At, t.Level = now, l.entry.Level
	t.Over = l.what == over
}

// finished reports whether an entry is only kept for those who have still to be told of it.
func (e *entry) finished(now time.Time) bool {
	switch e.Event {
	case Schema:
		return true
	case Quarantine:
		return now.Sub(e.Last) > forget // until then what comes is growth, not news
	default:
		return !e.Over.IsZero()
	}
}

// An outgoing is a message and whose people get it.
type outgoing struct {
	rule    *Rule
	message Message
}

// sendAll sends messages and returns when all of them are sent or given up. Those to different rules' people are sent side by
// side: who is slow to answer keeps nobody else waiting. Those to the same people are sent one after the other.
func (w *Watcher) sendAll(ctx context.Context, all []outgoing) []error {
	sent := make([]error, len(all))
	byRule := map[*Rule][]int{}
	for i, o := range all {
		byRule[o.rule] = append(byRule[o.rule], i)
	}
	var group sync.WaitGroup
	places := make(chan struct{}, sendAtOnce)
	for rule, messages := range byRule {
		group.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			ctx, cancel := context.WithTimeout(ctx, sendTime)
			defer cancel()
			for _, i := range messages {
				sent[i] = w.send(ctx, rule, all[i].message)
			}
		})
	}
	group.Wait()
	return sent
}

// send opens the rule's sender and sends a message. A panic of a sender's is an error as well.
func (w *Watcher) send(ctx context.Context, r *Rule, m Message) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &martsync.Error{Kind: martsync.Internal, Op: "alert " + r.Name, Err: fmt.Errorf("panic: %v", p)}
		}
	}()
	if err := ctx.Err(); err != nil { // what was sent before it has taken all the time
		return &martsync.Error{Kind: martsync.Transient, Op: "alert " + r.Name, Err: err}
	}
	sender, err := r.Open(ctx)
	if err != nil {
		return err
	}
	if err := sender.Send(ctx, m); err != nil {
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return &martsync.Error{
				Kind: martsync.Transient, Op: "alert " + r.Name, Err: fmt.Errorf("not sent within %v: %w", sendTime, err),
				Hint: martsync.HintOf(err),
			}
		}
		return fmt.Errorf("alert %s: %w", r.Name, err)
	}
	return nil
}
