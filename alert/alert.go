// Package alert tells people when a sync needs them: that it failed and why, that it is late, that a limit is nearly
// spent, that tables changed or rows were set aside; and that it is over.
//
// A Watcher is told how runs end (package runlog) and looks at what has not run in time. What is going on it keeps in
// the state store, one document a sync, so that one event is one message, from however many processes look at it, and
// a message that could not be sent is sent later. Nothing of it can fail a sync.
//
// It leaves to others: what an error means and what to do about it (the Kind and Hint of martsync.Error), when runs
// are due (package schedule), and where senders are configured (package config).
package alert

import (
	"context"
	"slices"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/pattern"
	"github.com/martsync/martsync/schedule"
)

// An Event is a kind of thing that a message is about.
type Event string

// The events.
const (
	Failure     Event = "failure"     // a run, or a stream of it, failed
	Credentials Event = "credentials" // it failed since a credential was refused, or a right is missing
	Late        Event = "late"        // a sync has not run to its end in time
	Quota       Event = "quota"       // a limit of the vendor is nearly spent
	Schema      Event = "schema"      // tables have changed
	Quarantine  Event = "quarantine"  // rows were set aside
	Recovery    Event = "recovery"    // a failure, lateness or limit is over
)

// Events are all of them, as the configuration names them.
var Events = []Event{Failure, Credentials, Late, Quota, Schema, Quarantine, Recovery}

// A Rule says who is told of what.
type Rule struct {
	Name       string        // of the alert in the configuration, stable: what was told is kept under it
	On         []Event       // none: all. Who wants failures also gets those of credentials
	Syncs      []string      // patterns; none: all
	Remind     time.Duration // when a message is repeated while nothing has changed; default DefaultRemind
	Quota      int64         // percent of a limit from which on it is told; default DefaultQuota
	Quarantine int64         // rows set aside from which on it is told; default 1

	// Open makes the sender. It is called when there is something to send.
	Open func(ctx context.Context) (Sender, error)
}

// What rules say that say nothing.
const (
	DefaultRemind = 24 * time.Hour
	DefaultQuota  = 80
)

// A Sender sends a message to somebody. It is used from one goroutine and tries for as long as ctx allows.
type Sender interface {
	Send(ctx context.Context, m Message) error
}

// A Sync is what the Watcher has to know of one.
type Sync struct {
	Name     string
	Schedule *schedule.Schedule // nil: none
	Zone     *time.Location     // of the schedule, and of the times in messages

	// LateAfter is how long after its last success a sync is late. Zero: when its schedule says so.
	LateAfter time.Duration
}

func (r *Rule) withDefaults() Rule {
	out := *r
	if out.Remind <= 0 {
		out.Remind = DefaultRemind
	}
	if out.Quota <= 0 {
		out.Quota = DefaultQuota
	}
	out.Quarantine = max(out.Quarantine, 1)
	return out
}

// about reports whether the rule concerns a sync.
func (r *Rule) about(sync string) bool { return pattern.Chooses(r.Syncs, nil, sync) }

// wants reports whether the rule is for an event.
func (r *Rule) wants(e Event) bool {
	return len(r.On) == 0 || slices.Contains(r.On, e) || e == Credentials && slices.Contains(r.On, Failure)
}

// needsPerson reports whether a failed run is worth a message: those that nobody can do anything about, and that
// say nothing about the data, are not.
func needsPerson(k martsync.Kind) bool {
	switch k {
	case martsync.Busy, martsync.Conflict, martsync.Unavailable, martsync.Pending, martsync.Quota:
		return false
	default:
		return true
	}
}
