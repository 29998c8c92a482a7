// Package pipeline runs a sync: it hands the batches of streams to the writers of tables and
// decides when to commit, stage, remember, wait, retry and stop. The rules and the
// invariants that it keeps are argued in docs/design.md.
//
// It leaves to others how records are read (sources), stored (destinations) and remembered
// (package state), and who calls it again after a wait: Run does so in this process, and any
// platform with a timer can call Advance.
package pipeline

import (
	"context"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel/metric"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/runlog"
	"github.com/martsync/martsync/state"
)

// A Sync is one run over some streams. The fields without a default must be set.
type Sync struct {
	ID   string // of the run; the same when it is taken up again. Set by Advance if empty
	Name string // of the sync: progress is kept under it, so it is stable from run to run

	Source      martsync.Source
	Destination martsync.Destination

	// SameAccount says that tables which tell another account than the source's hold records of it all the same, since it
	// has a new name or address. They are told the new one. Without it they are refused.
	SameAccount bool

	Streams []string // path.Match patterns of the streams wanted; none: all
	Exclude []string // path.Match patterns of streams not wanted

	Span     martsync.Span
	From     *TableStart // where streams without a position begin, unless Span starts later; nil: where Span does
	Backfill bool        // read again from the beginning: once a run

	Parallel int        // streams at once; default 4
	Limits   Thresholds // when to commit and stage

	// Raw, if set, keeps what the vendor sent for the rows, before they become visible. The
	// source must be a martsync.Replayer then.
	Raw RawZone

	State state.Store
	Clock martsync.Clock
	Log   *slog.Logger         // default: none
	Meter metric.MeterProvider // counts what happens; default: none

	Deadline time.Time       // stop at the next cursor after it; zero: none
	Patience time.Duration   // the longest wait that Run sits out; zero: any that ends before Deadline
	Stop     <-chan struct{} // closed: stop at the next cursor; nil: never

	// Observe, if set, is told what happens. It is called from one goroutine at a time and
	// must return soon.
	Observe func(Event)

	// After, if set, is called when all streams are done and none has failed. The account is still the run's; keep says so
	// again and is called now and then by whoever takes long. What it returns is added to the log of the run, which fails
	// if there is an error. It may be called again if the run was interrupted in it.
	After func(ctx context.Context, keep func(context.Context) error) ([]martsync.LogEntry, error)

	// Ended, if set, is told how each Advance has ended: with the run as it was saved, nil if it was not taken up, and
	// the error that Advance returns. The account is free again by then. Ctx is not done, even if the sync was
	// interrupted.
	Ended func(ctx context.Context, run *runlog.Run, err error)
}

// Thresholds say how much may wait for a commit. Whichever is reached first counts; zero
// fields mean the defaults.
type Thresholds struct {
	Rows   int64         // commit at the next verified cursor; default 500,000
	Bytes  int64         // likewise, of the records in memory; default 256 MiB
	Age    time.Duration // likewise, since the first row; default 5 min
	Staged int64         // bytes of records between stages of rows that cannot be committed yet; default 128 MiB
}

func (t Thresholds) withDefaults() Thresholds {
	if t.Rows <= 0 {
		t.Rows = 500_000
	}
	if t.Bytes <= 0 {
		t.Bytes = 256 << 20
	}
	if t.Age <= 0 {
		t.Age = 5 * time.Minute
	}
	if t.Staged <= 0 {
		t.Staged = 128 << 20
	}
	return t
}

// An Outcome says what is left to do after an Advance.
type Outcome struct {
	Done   bool      // nothing: every stream is done, skipped or failed
	WakeAt time.Time // if not Done: when calling again is useful
	Stats  Stats
}

// Stats is what the run has done so far, over all its Advances.
type Stats struct {
	Streams []runlog.Stream
}

// Rows returns the committed rows of all streams.
func (s Stats) Rows() (n int64) {
	for i := range s.Streams {
		n += s.Streams[i].Rows
	}
	return n
}

// An Event tells an observer about one stream.
type Event struct {
	Time   time.Time
	Stream string
	Phase  runlog.Phase
	Rows   int64     // read in this run so far
	Bytes  int64     // of the vendor's payload, likewise
	Rate   float64   // rows a second since the stream was taken up
	Wake   time.Time // if Phase is PhaseWait
	Err    error     // if Phase is PhaseFailed, PhaseSkipped or PhaseWait
}
