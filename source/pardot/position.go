package pardot

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/martsync/martsync"
)

// A second is a moment in seconds since the epoch: the resolution of the vendor's times, and
// their shortest exact form in a cursor. Zero is no moment.
type second int64

func secondOf(t time.Time) second {
	if t.IsZero() {
		return 0
	}
	return second(t.Unix())
}

func (s second) time() time.Time {
	if s == 0 {
		return time.Time{}
	}
	return time.Unix(int64(s), 0).UTC()
}

func (s second) add(d time.Duration) second { return s + second(d/time.Second) }

func (s second) sub(o second) time.Duration { return time.Duration(s-o) * time.Second }

// A position is the cursor of a stream, as JSON.
//
// Changes are read in series of windows: a series goes from a while before where the last one
// ended (the overlap) to a little before the present, mostly in one window. Next and Until are
// set while a series is under way.
type position struct {
	At    second `json:"at,omitzero"`    // series have covered everything before
	Next  second `json:"next,omitzero"`  // where the series' next window begins
	Until second `json:"until,omitzero"` // where the series ends
	Step  second `json:"step,omitzero"`  // the longest window that was not too much for the vendor; 0: any

	Window *window      `json:"window,omitzero"` // being read
	Export *exportState `json:"export,omitzero"` // the jobs that read it

	Listed second `json:"listed,omitzero"` // when the last reading of everything began

	Sweep      *sweepState `json:"sweep,omitzero"`       // under way
	SweptAt    second      `json:"swept,omitzero"`       // when the last complete one began
	SweepCalls int64       `json:"sweep_calls,omitzero"` // what it cost

	Described second `json:"described,omitzero"` // when the account was last asked for its fields
	Columns   string `json:"columns,omitzero"`   // hash of the columns they made
	Again     second `json:"again,omitzero"`     // columns have appeared since then: the next series begins there
	Zone      string `json:"zone,omitzero"`      // in which naive times were last read
}

// A window is the range of change times [From, To) that is being read, or everything there is.
type window struct {
	From  second  `json:"from,omitzero"`
	To    second  `json:"to,omitzero"`
	Whole bool    `json:"whole,omitzero"` // no bounds are sent: all records are listed
	API   version `json:"api,omitzero"`
	Way   way     `json:"way"`

	// What queries have reached.
	Pass  int   `json:"pass,omitzero"`  // 1: the recycle bin
	After int64 `json:"after,omitzero"` // the pass has read the records up to this id
	Limit int   `json:"limit,omitzero"` // of a page, if the vendor takes too long for full ones

	Job   string `json:"job,omitzero"` // the ids of the export jobs, for the ledger
	Rows  int64  `json:"rows,omitzero"`
	Bad   int64  `json:"bad,omitzero"` // of these, those in quarantine
	Calls int64  `json:"calls,omitzero"`
}

// A sweepState is how far a sweep has come.
type sweepState struct {
	Began second `json:"began"`
	After int64  `json:"after,omitzero"`
	Limit int    `json:"limit,omitzero"`
	Calls int64  `json:"calls,omitzero"`
}

// cursor writes the position.
func (p *position) cursor() martsync.Cursor {
	b, err := json.Marshal(p)
	if err != nil {
		panic("pardot: cursor: " + err.Error()) // plain data only
	}
	return martsync.Cursor(b)
}

// parsePosition reads the cursor of a stream.
func parsePosition(stream string, from martsync.Cursor) (position, error) {
	var p position
	if from == "" {
		return p, nil
	}
	d := json.NewDecoder(strings.NewReader(string(from)))
	d.DisallowUnknownFields()
	err := d.Decode(&p)
	if err == nil && d.More() {
		err = errors.New("there is more text behind it")
	}
	if err == nil {
		err = p.check()
	}
	if err != nil {
		return position{}, &martsync.Error{
			Kind: martsync.Internal, Op: "pardot: read " + stream, Err: fmt.Errorf("the position is not one of this stream: %w", err),
			Hint: "Read the stream again from the beginning with --backfill.",
		}
	}
	return p, nil
}

// check refuses what no reading leaves behind.
func (p *position) check() error {
	for _, s := range []second{p.At, p.Next, p.Until, p.Step, p.Listed, p.SweptAt, p.Described, p.Again} {
		if s < 0 || s > lastSecond {
			return fmt.Errorf("%d is not a moment", s)
		}
	}
	switch w := p.Window; {
	case p.Next > p.Until:
		return errors.New("its series ends before it begins")
	case p.SweepCalls < 0:
		return errors.New("a sweep of less than no calls")
	case w == nil:
		if p.Export != nil {
			return errors.New("an export without a window")
		}
	default:
		if err := w.check(); err != nil {
			return err
		}
	}
	if s := p.Sweep; s != nil && (s.Began <= 0 || s.Began > lastSecond || s.After < 0 || s.Calls < 0 || s.Limit < 0) {
		return errors.New("a sweep that cannot be")
	}
	return nil
}

// lastSecond is the end of the year 9999, up to where times can be written.
const lastSecond second = 253402300799

func (w *window) check() error {
	switch {
	case w.From < 0 || w.To < 0 || w.To > lastSecond || w.From > w.To:
		return fmt.Errorf("a window from %d to %d", w.From, w.To)
	case w.Way != byQuery && w.Way != byExport:
		return fmt.Errorf("a window read by %q", w.Way)
	case w.API != "" && w.API != v4 && w.API != v5:
		return fmt.Errorf("a window read by version %q", w.API)
	case w.Pass < 0 || w.Pass > 1 || w.After < 0 || w.Limit < 0:
		return errors.New("a page that cannot be")
	case w.Bad < 0 || w.Rows < w.Bad || w.Calls < 0:
		return fmt.Errorf("a window of %d rows, %d of them in quarantine", w.Rows, w.Bad)
	}
	return nil
}
