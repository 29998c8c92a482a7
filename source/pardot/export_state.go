package pardot

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// An exportState is where the export of a range stands. It is part of a cursor. What is written here
// before each step decides what happens after a crash:
//
//	planned   Since is 0: nothing has been asked of the vendor
//	intended  Since is set, ID is not: at most one job is there that is ours and that nobody knows
//	created   ID is set: its state is asked for
//	complete  Complete is set: its files are read, those that are not in Done
type exportState struct {
	Version   version  `json:"v"`
	From      second   `json:"from"`
	To        second   `json:"to"`
	Pass      int      `json:"pass,omitzero"`      // the first one whose rows have not all been handed over
	Procedure int      `json:"procedure,omitzero"` // of those that the object has
	Refused   []string `json:"refused,omitempty"`  // fields that the vendor does not export
	Halved    bool     `json:"halved,omitzero"`    // the range ends earlier than it did
	Jobs      []int64  `json:"jobs,omitempty"`     // whose files have been read, for the ledger
	Tries     int      `json:"tries,omitzero"`     // jobs for the range that came to nothing
	Fails     int      `json:"fails,omitzero"`     // the same, since exports last worked

	// The job of the pass.
	Since    second   `json:"since,omitzero"` // when the intention was written down
	Sign     string   `json:"sign,omitzero"`  // of the header it asks for; "": it asks for all fields
	Zone     string   `json:"zone,omitzero"`  // in which it reads and writes times
	ID       int64    `json:"id,omitzero"`
	Taken    bool     `json:"taken,omitzero"`   // found in the vendor's list and taken for ours, which its header has yet to prove
	Others   []int64  `json:"others,omitempty"` // found there too
	Asked    second   `json:"asked,omitzero"`   // when its state was last asked for
	Complete bool     `json:"complete,omitzero"`
	Done     []string `json:"done,omitempty"` // its files that have been read
	Cuts     int      `json:"cuts,omitzero"`  // downloads of the next file that broke off
	Bad      int      `json:"bad,omitzero"`   // downloads of the next file that were not what was asked for
	Short    int64    `json:"short,omitzero"` // bytes of the next file when it last ended in the middle of a line
}

// check refuses what no reading leaves behind.
func (s *exportState) check() error {
	for _, m := range []second{s.From, s.To, s.Since, s.Asked} {
		if m < 0 || m > lastSecond {
			return fmt.Errorf("export: %d is not a moment", m)
		}
	}
	for _, id := range slices.Concat(s.Jobs, s.Others) {
		if id <= 0 {
			return errors.New("export: a job without an id")
		}
	}
	switch {
	case s.Version != "" && s.Version != v4 && s.Version != v5:
		return fmt.Errorf("export: version %q", s.Version)
	case s.From > s.To:
		return fmt.Errorf("export: a range from %d to %d", s.From, s.To)
	case min(s.Pass, s.Procedure, s.Tries, s.Fails, s.Cuts, s.Bad) < 0 || s.ID < 0 || s.Short < 0:
		return errors.New("export: a number below zero")
	case s.ID != 0 && s.Since == 0, s.ID == 0 && (s.Complete || s.Taken || len(s.Done) > 0):
		return errors.New("export: a step was left out")
	}
	return nil
}

// job is the id of the job, for logs and the quarantine.
func (s *exportState) job() string { return formatID(s.ID) }

// jobs are the ids of those whose files have been read, for the ledger.
func (s *exportState) jobs() string {
	ids := make([]string, len(s.Jobs))
	for i, id := range s.Jobs {
		ids[i] = formatID(id)
	}
	return strings.Join(ids, ",")
}

// due is when the state of the job is worth asking for.
func (s *exportState) due() second {
	if s.Asked == 0 {
		return 0
	}
	return s.Asked.add(min(max(s.Asked.sub(s.Since)/5, exportPollLeast), exportPollMost))
}

// forget makes the job of the pass one that has not been thought of.
func (s *exportState) forget() {
	*s = exportState{
		Version: s.Version, From: s.From, To: s.To, Pass: s.Pass, Procedure: s.Procedure, Refused: s.Refused,
		Halved: s.Halved, Jobs: s.Jobs, Tries: s.Tries, Fails: s.Fails,
	}
}
