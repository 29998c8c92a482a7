// Package runlog remembers what ran: one document a run in the state store, and one a sync
// that says how fresh each stream is. `martsync runs`, `status` and `logs` read it.
//
// It is bounded and it is not needed: the ledger and the log beside the tables are the
// record that counts, and package pipeline, which writes this one, loses at most the
// knowledge which streams of an interrupted run are already done.
package runlog

import (
	"slices"
	"time"

	"github.com/martsync/martsync"
)

// Keep is how many runs of one sync are kept; older ones are removed when a new one begins.
const Keep = 100

// A Run is one run of a sync: from its first Advance until nothing is left to do.
type Run struct {
	ID          string              `json:"id"`
	Sync        string              `json:"sync"`
	Account     string              `json:"account"` // of the source
	Backfill    bool                `json:"backfill,omitzero"`
	Start       time.Time           `json:"start"`
	End         time.Time           `json:"end,omitzero"` // of the last Advance, unless it is running
	Status      Status              `json:"status"`
	Wake        time.Time           `json:"wake,omitzero"` // when it can go on, if it is waiting
	Advances    int                 `json:"advances"`      // how many times it was taken up
	Attempts    int                 `json:"attempts,omitzero"`
	Streams     []Stream            `json:"streams,omitempty"`
	Usage       []martsync.Usage    `json:"usage,omitempty"` // of the vendor's limits; Spent is of the whole run
	Error       string              `json:"error,omitzero"`
	Kind        string              `json:"kind,omitzero"` // of Error
	Hint        string              `json:"hint,omitzero"` // for the operator
	Log         []martsync.LogEntry `json:"log,omitempty"` // of what failed, newest last, at most MaxLog
	DroppedLogs int                 `json:"dropped_logs,omitzero"`
}

// MaxLog bounds the log of one run. The oldest entries are dropped first.
const MaxLog = 200

// Status says where a run stands.
type Status string

// The statuses of a run. A process that was killed leaves its run Running.
const (
	Running Status = "running"
	Waiting Status = "waiting" // until Wake
	Stopped Status = "stopped" // asked to, or its time was up; it can go on at once
	Done    Status = "done"
	Failed  Status = "failed"
)

// Phase says what a stream is doing or how it ended.
type Phase string

// The phases of a stream within a run.
const (
	PhaseQueued  Phase = "queued"  // has not begun
	PhaseOpen    Phase = "open"    // opening the table
	PhaseRead    Phase = "read"    // reading and writing
	PhaseStage   Phase = "stage"   // putting by what cannot be committed yet
	PhaseCommit  Phase = "commit"  // committing
	PhaseWait    Phase = "wait"    // until Wake
	PhaseStopped Phase = "stopped" // the run's time was up; it goes on where it stopped
	PhaseDone    Phase = "done"    // everything there was has been committed
	PhaseSkipped Phase = "skipped" // this account does not have it
	PhaseFailed  Phase = "failed"  // see Error
)

// Over reports whether the stream has nothing left to do in this run.
func (p Phase) Over() bool { return p == PhaseDone || p == PhaseSkipped || p == PhaseFailed }

// A Stream is what a run did about one stream.
type Stream struct {
	Stream      string        `json:"stream"`
	Phase       Phase         `json:"phase"`
	Rows        int64         `json:"rows"`                 // committed
	Bytes       int64         `json:"bytes"`                // of the vendor's payload, read
	Quarantined int64         `json:"quarantined,omitzero"` // committed to the quarantine
	Windows     int64         `json:"windows,omitzero"`     // completed, the empty ones included
	Commits     int64         `json:"commits,omitzero"`
	Stages      int64         `json:"stages,omitzero"`
	Unchanged   bool          `json:"unchanged,omitzero"` // a snapshot that was as before and not committed
	Took        time.Duration `json:"took,omitzero"`      // at work, without waits
	LastCommit  time.Time     `json:"last_commit,omitzero"`
	Finished    time.Time     `json:"finished,omitzero"`
	Wake        time.Time     `json:"wake,omitzero"`     // when it can go on
	Attempts    int           `json:"attempts,omitzero"` // failures in a row that passing time may cure
	Changes     []string      `json:"changes,omitempty"` // what was done to make the table fit the schema, at most MaxChanges
	Error       string        `json:"error,omitzero"`
	Kind        string        `json:"kind,omitzero"`
	Hint        string        `json:"hint,omitzero"`
}

// MaxChanges bounds the changes of a table that a run remembers. The log beside the tables has all of them.
const MaxChanges = 50

// AddChange notes a change of the table that the run has not noted yet: a table is opened anew after each wait.
func (s *Stream) AddChange(what string) {
	if len(s.Changes) < MaxChanges && !slices.Contains(s.Changes, what) {
		s.Changes = append(s.Changes, what)
	}
}

// Find returns the entry of the named stream, or nil.
func (r *Run) Find(stream string) *Stream {
	for i := range r.Streams {
		if r.Streams[i].Stream == stream {
			return &r.Streams[i]
		}
	}
	return nil
}

// Rows returns the committed rows of all streams.
func (r *Run) Rows() (n int64) {
	for i := range r.Streams {
		n += r.Streams[i].Rows
	}
	return n
}

// AddLog appends an entry and drops the oldest beyond MaxLog.
func (r *Run) AddLog(e martsync.LogEntry) {
	r.Log = append(r.Log, e)
	if n := len(r.Log) - MaxLog; n > 0 {
		r.Log = r.Log[n:]
		r.DroppedLogs += n
	}
}

// Freshness is how up to date a stream's table is.
type Freshness struct {
	Stream      string    `json:"stream"`
	Phase       Phase     `json:"phase"`                 // at the end of the last run, or now
	Run         string    `json:"run"`                   // that told last
	LastSuccess time.Time `json:"last_success,omitzero"` // when it was last read to the end
	LastCommit  time.Time `json:"last_commit,omitzero"`  // when its table last changed
	Rows        int64     `json:"rows"`                  // committed by the last run
	TotalRows   int64     `json:"total_rows"`            // committed by all runs
	Wake        time.Time `json:"wake,omitzero"`         // when the run can go on, if it waits
	Error       string    `json:"error,omitzero"`        // of the last run
	Hint        string    `json:"hint,omitzero"`
}
