package marketo

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/martsync/martsync"
)

// positionVersion is the form of the cursors of all streams in this file's family. A stream
// refuses a cursor of another form rather than guess.
const positionVersion = 1

// A position is the cursor of a stream that is read in time ranges: leads, activities,
// deleted leads, merges. A run goes through the stream's parts in their order, each up to
// Until, and is over when all have got there; the next read then begins a new run. Until
// stands in the position so that a run that waits for export jobs does not chase the clock.
type position struct {
	V     int              `json:"v"`
	Until second           `json:"until"`
	Parts map[string]*part `json:"parts"`

	// Of streams that are read whole now and then.
	Read second `json:"read,omitempty"` // when the last reading began
	Full second `json:"full,omitempty"` // when the last one that tells what is gone began

	// Of leads, where exports cannot tell what has changed.
	Held  idSet  `json:"held,omitempty"` // ids to be read
	Sweep *sweep `json:"sweep,omitempty"`

	// Of what is found by key.
	Keys   keySet `json:"keys,omitempty"`   // of files that would be gone before the others come: the reading under way goes on after them
	Commas int    `json:"commas,omitempty"` // how many keys it has been said of that they cannot be asked for

	// Of a custom object.
	Begin second `json:"begin,omitempty"` // the earliest records that were wanted
	Sure  second `json:"sure,omitempty"`  // what existed at this moment is in the table as it was then or later; see customStream.read
	Stray second `json:"stray,omitempty"` // when a record of it was last put into quarantine, or may have been missed; 0: since the last whole listing, never

	// Of program members.
	Plan     *memberPlan `json:"plan,omitempty"`
	Programs idSet       `json:"programs,omitempty"` // that may have rows in the table
}

// A part is where one of the time ranges of a stream stands.
type part struct {
	At    second `json:"at"`              // everything before it has been delivered
	To    second `json:"to,omitempty"`    // of a part that is gathered or listed: where it ends
	Swept second `json:"swept,omitempty"` // see reread
	Way   way    `json:"way,omitempty"`   // how the run under way reads; "": not yet decided
	By    string `json:"by,omitempty"`    // leads: the filter that the run under way exports by
	Was   string `json:"was,omitempty"`   // leads: the filter of the run before
	Jobs  []*job `json:"jobs,omitempty"`  // windows under way, without gaps from At
	Feed  *feed  `json:"feed,omitempty"`  // the walk under way
	Twin  bool   `json:"twin,omitempty"`  // another stream has shared the jobs of this reading
	Waits int    `json:"waits,omitempty"` // for that one, in a row
	Fails int    `json:"fails,omitempty"` // failures since a window was last completed
	Shut  bool   `json:"shut,omitempty"`  // the vendor refuses windows that reach beyond the present
	Step  second `json:"step,omitempty"`  // longest window tried after larger ones failed; 0: no limit
	Pace  pace   `json:"pace,omitzero"`

	Late *lateness `json:"late,omitempty"` // of streams whose records appear late

	// Refused are fields that the vendor lists but does not export, found out by the run under way.
	Refused []string `json:"refused,omitempty"`
}

// filesWait is how long a file may wait for those of the windows after it. The vendor keeps files for seven days.
// Source: Marketo REST API, Bulk Extract, Limits.
const filesWait = 24 * time.Hour

// A job is a window on its way: planned, created, enqueued, completed. What is
// written here before each step decides what happens after a crash (I7):
//
//	planned    ID is "": no job that exists will ever run
//	created    ID is set, State is created: it may be enqueued by now; its status tells
//	enqueued   State is queued or processing: it is asked for its status
//	completed  State is completed: its file is read, from File on
type job struct {
	window
	Reach  second `json:"reach,omitempty"` // it exports what lies between To and this moment, too; 0: nothing more
	Since  second `json:"since,omitempty"` // when it was created
	Sign   string `json:"sign,omitempty"`  // signature of the header it was created with
	ID     string `json:"id,omitempty"`
	Shared bool   `json:"shared,omitempty"` // another stream created it; see sharedExports
	State  state  `json:"state,omitempty"`
	Asked  second `json:"asked,omitempty"` // when its state was last asked, or the queue was last full
	Made   second `json:"made,omitempty"`  // completed: when it was seen to be, so its file shows records as they were before
	Wait   int    `json:"wait,omitempty"`  // how often in a row the queue was full
	Tries  int    `json:"tries,omitempty"` // jobs for this window that came to nothing
	Again  int    `json:"again,omitempty"` // times its file was thrown away and downloaded again
	Left   bool   `json:"left,omitempty"`  // its keys cannot be put by; see putBy
	Blank  int    `json:"blank,omitempty"` // of Tries: jobs that completed without a count, a size and a file
	Calls  int64  `json:"calls,omitempty"` // API calls spent on it

	// What the vendor promises of the completed file; nil or "": not told.
	Rows *int64 `json:"rows,omitempty"`
	Size *int64 `json:"size,omitempty"`
	Sum  string `json:"sum,omitempty"` // hex

	File *filePosition `json:"file,omitempty"`
}

// A filePosition is how far the file of a job has been delivered. Everything up to here is
// unverified: only the end of the file has a checksum.
type filePosition struct {
	Offset int64  `json:"offset"`         // end of the last record delivered
	Hashed int64  `json:"hashed"`         // bytes that Hash covers; at most Offset
	Hash   string `json:"hash"`           // state of the SHA-256, base64
	Tail   string `json:"tail,omitempty"` // SHA-256 of the bytes from Hashed to Offset, from which rows were made; hexadecimal
	Rows   int64  `json:"n"`              // records up to Offset, good and bad
	Out    int64  `json:"out"`            // rows made of them
	Bad    int64  `json:"bad,omitempty"`
	Seen   counts `json:"seen,omitempty"` // see lateness
}

// A state of a job, in lower case and with one spelling.
type state string

const (
	created    state = "created"
	queued     state = "queued"
	processing state = "processing"
	completed  state = "completed"
	failed     state = "failed"
	cancelled  state = "cancelled"
)

// running reports whether the job takes a place in the vendor's queue.
func (j *job) running() bool { return j.State == queued || j.State == processing }

// reset makes j a planned window again.
func (j *job) reset() { *j = job{window: j.window, Tries: j.Tries, Blank: j.Blank, Calls: j.Calls} }

// blank counts a completed job without a file of which the vendor told neither count nor size, and reports whether it is
// not the first one for the window: then there is nothing to export.
func (j *job) blank() bool {
	if j.Rows != nil || j.Size != nil && *j.Size != 0 {
		return false
	}
	j.Blank++
	return j.Blank > 1
}

func (p *position) cursor() martsync.Cursor {
	data, err := json.Marshal(p)
	if err != nil {
		panic(err) // numbers and strings only
	}
	return martsync.Cursor(data)
}

// parsePosition reads a cursor. Cursors come back from places that people can edit, so
// everything that the code relies on is checked.
func parsePosition(stream string, c martsync.Cursor) (*position, error) {
	p := new(position)
	if err := p.parse(c); err != nil {
		return nil, &martsync.Error{
			Kind: martsync.Data, Op: "marketo: resume " + stream,
			Hint: "The stored cursor is not one of this version; a backfill of the stream starts over.",
			Err:  fmt.Errorf("cursor: %w", err),
		}
	}
	return p, nil
}

func (p *position) parse(c martsync.Cursor) error {
	d := json.NewDecoder(strings.NewReader(string(c)))
	d.DisallowUnknownFields()
	if err := d.Decode(p); err != nil {
		return err
	}
	if d.More() {
		return errors.New("trailing data")
	}
	if p.V != positionVersion {
		return fmt.Errorf("its form is %d, not %d", p.V, positionVersion)
	}
	if !p.Until.sane() || !p.Read.sane() || !p.Full.sane() || !p.Begin.sane() || !p.Sure.sane() || !p.Stray.sane() {
		return fmt.Errorf("until %d, read %d, full %d, begin %d, sure %d or stray %d is no time", p.Until, p.Read, p.Full, p.Begin, p.Sure, p.Stray)
	}
	if err := p.Plan.check(); err != nil {
		return fmt.Errorf("plan: %w", err)
	}
	if err := p.Sweep.check(); err != nil {
		return fmt.Errorf("sweep: %w", err)
	}
	for name, q := range p.Parts {
		if q == nil {
			return fmt.Errorf("%s is null", name)
		}
		if err := q.check(); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// sane keeps arithmetic with times from a cursor far from overflow: 1970 to 2200.
func (s second) sane() bool { return s >= 0 && s < 7_258_118_400 }

func (p *part) check() error {
	if !p.At.sane() || !p.To.sane() || !p.Swept.sane() || p.Waits < 0 || p.Fails < 0 || !p.Step.sane() || p.Pace.Rows < 0 || p.Pace.Bytes < 0 || p.Pace.Calls < 0 {
		return errors.New("a number is out of range")
	}
	if p.Way != "" && p.Way != byJob && p.Way != byPage {
		return fmt.Errorf("unknown way %q", p.Way)
	}
	if p.By != "" && p.By != byUpdate && p.By != byCreation {
		return fmt.Errorf("unknown filter %q", p.By)
	}
	end := p.At
	for i, j := range p.Jobs {
		if j == nil {
			return errors.New("a job is null")
		}
		if j.From != end || j.To <= j.From || !j.To.sane() || j.length() > maxWindow {
			return fmt.Errorf("window %d does not follow", i)
		}
		end = j.To
		if err := j.check(); err != nil {
			return fmt.Errorf("window %d: %w", i, err)
		}
		if j.File != nil && i > 0 {
			return errors.New("two files at once")
		}
	}
	if err := p.Late.check(); err != nil {
		return err
	}
	if p.Feed != nil {
		return p.Feed.check()
	}
	return nil
}

func (j *job) check() error {
	if !j.Reach.sane() || !j.Since.sane() || !j.Asked.sane() || !j.Made.sane() || j.Wait < 0 || j.Tries < 0 || j.Blank < 0 || j.Again < 0 || j.Calls < 0 {
		return errors.New("a number is out of range")
	}
	switch j.State {
	case "":
		if j.ID != "" {
			return errors.New("a job without a state")
		}
	case created, queued, processing, completed:
		if !validID(j.ID) || j.Since == 0 {
			return errors.New("a state without a job")
		}
	default:
		return fmt.Errorf("unknown state %q", j.State)
	}
	f := j.File
	if f == nil {
		return nil
	}
	if j.State != completed || f.Hashed < 0 || f.Offset < f.Hashed || f.Rows < 0 || f.Out < 0 || f.Bad < 0 {
		return errors.New("the place in the file is out of range")
	}
	if _, err := restoreHash(f.Hash); err != nil {
		return err
	}
	return f.Seen.check()
}

// validID reports whether id can stand in a path. The vendor's are UUIDs.
func validID(id string) bool {
	return id != "" && len(id) <= 128 && strings.IndexFunc(id, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && r != '-' && r != '_'
	}) < 0
}

// sign is the signature of a header.
func sign(header []string) string {
	sum := sha256.Sum256([]byte(strings.Join(header, "\n")))
	return hex.EncodeToString(sum[:8])
}

// sameFields reports whether two headers name the same fields in any order.
func sameFields(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

// parseSum takes the hex digits out of "sha256:<64 hex>"; "" if the vendor told nothing that
// can be checked. Marketo REST API, Bulk Extract, fileChecksum.
func parseSum(s string) string {
	digits, ok := strings.CutPrefix(strings.ToLower(strings.TrimSpace(s)), "sha256:")
	if sum, err := hex.DecodeString(digits); !ok || err != nil || len(sum) != sha256.Size {
		return ""
	}
	return digits
}
