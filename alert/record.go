package alert

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/martsync/martsync/state"
)

// A record is what is known of one sync. Losing it costs at most a message sent twice.
type record struct {
	Mark    string    `json:"mark"`             // new with each write: equal bytes may have equal tags in a bucket
	First   time.Time `json:"first"`            // when the sync was first looked at
	Success time.Time `json:"success,omitzero"` // the end of the last run that did everything

	// Run and Seen are how far the run was looked at that was looked at last, by stream.
	Run  string          `json:"run,omitzero"`
	Seen map[string]seen `json:"seen,omitempty"`

	// Other and OtherSeen are the same of the run that was looked at before that one.
	Other     string          `json:"other,omitzero"`
	OtherSeen map[string]seen `json:"other_seen,omitempty"`

	// Open is what is going on, or over but not told yet, by its key.
	Open map[string]*entry `json:"open,omitempty"`
}

// seen is how much of a stream's growing lists and counts has been looked at.
type seen struct {
	Changes     int   `json:"changes,omitzero"`
	Quarantined int64 `json:"quarantined,omitzero"`
}

// An entry is one thing that people are told of.
type entry struct {
	Event Event     `json:"event"`
	About string    `json:"about,omitzero"` // which limit
	Since time.Time `json:"since"`          // it began
	Last  time.Time `json:"last"`           // it was seen last
	Over  time.Time `json:"over,omitzero"`  // it ended; zero: it has not
	Times int       `json:"times"`          // how often it was seen
	Level int64     `json:"level,omitzero"` // percent of the limit; rows set aside; changes

	Run     string   `json:"run,omitzero"`
	Kind    string   `json:"kind,omitzero"` // of the error
	Error   string   `json:"error,omitzero"`
	Hint    string   `json:"hint,omitzero"`
	Streams []string `json:"streams,omitempty"` // that failed, or that rows were set aside of
	Of      int      `json:"of,omitzero"`       // how many streams the run has
	Detail  []string `json:"detail,omitempty"`  // changes; what keeps a late sync
	Spent   int64    `json:"spent,omitzero"`
	Limit   int64    `json:"limit,omitzero"`
	Unit    string   `json:"unit,omitzero"`
	Due     string   `json:"due,omitzero"` // when a late one was due, for people

	Told map[string]*told `json:"told,omitempty"` // by rule
}

// told is what a rule's people know of an entry.
type told struct {
	At      time.Time `json:"at,omitzero"`      // of the last message; zero: none was sent
	Level   int64     `json:"level,omitzero"`   // of the entry then
	Over    bool      `json:"over,omitzero"`    // they know that it is over
	Claimed time.Time `json:"claimed,omitzero"` // a process is sending since then
	Tries   int       `json:"tries,omitzero"`   // that failed in a row
	Retry   time.Time `json:"retry,omitzero"`   // not before
}

func key(sync string) string { return "alert/" + sync }

// mostTries is how often a document is written that others write too: each time that it fails somebody else has got on.
const mostTries = 50

// load reads the record of a sync. One that cannot be understood is begun anew.
func (w *Watcher) load(ctx context.Context, sync string) (record, string, error) {
	doc, err := w.o.State.Get(ctx, key(sync))
	if err != nil && !errors.Is(err, state.ErrNotFound) {
		return record{}, "", fmt.Errorf("read what alerts know of %s: %w", sync, err)
	}
	var r record
	if err != nil || json.Unmarshal(doc.Data, &r) != nil || r.First.IsZero() {
		r = record{}
	}
	if r.Open == nil {
		r.Open = map[string]*entry{}
	}
	if r.Seen == nil {
		r.Seen = map[string]seen{}
	}
	return r, doc.Revision, nil
}

// update changes the record of a sync, until nobody else writes it in between. Change is called for each try, on
// what is then stored; the record is written if it reports true.
func (w *Watcher) update(ctx context.Context, sync string, change func(*record) bool) error {
	for range mostTries {
		r, revision, err := w.load(ctx, sync)
		if err != nil {
			return err
		}
		if !change(&r) {
			return nil
		}
		r.Mark = rand.Text()
		data, err := json.Marshal(&r)
		if err != nil {
			return fmt.Errorf("remember what alerts know of %s: %w", sync, err)
		}
		_, err = w.o.State.Put(ctx, key(sync), data, revision)
		if err == nil || !errors.Is(err, state.ErrStale) {
			if err != nil {
				err = fmt.Errorf("remember what alerts know of %s: %w", sync, err)
			}
			return err
		}
	}
	return fmt.Errorf("remember what alerts know of %s: %w", sync, state.ErrStale)
}
