package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/runlog"
)

// A lambdaEvent is what an invocation asks for. docs/places/lambda.md is its reference.
type lambdaEvent struct {
	Sync     string    `json:"sync"`
	Run      string    `json:"run"`
	Due      time.Time `json:"due"`
	Streams  []string  `json:"streams"`
	Exclude  []string  `json:"exclude"`
	Since    string    `json:"since"`
	Until    string    `json:"until"`
	Backfill bool      `json:"backfill"`
}

var runName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$`)

// parseEvent reads an event. It is strict: a key that was mistyped would be a sync of everything.
func parseEvent(data []byte) (e lambdaEvent, err error) {
	fail := func(err error) error {
		return &martsync.Error{
			Kind: martsync.Config, Op: "read the event", Err: err,
			Hint: `It is a JSON object with sync, run, due, streams, exclude, since, until and backfill, all of them optional, such as {"sync": "marketing", "due": "2026-11-25T17:00:00Z"}.`,
		}
	}
	if len(bytes.TrimSpace(data)) == 0 {
		return e, nil
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&e); err != nil {
		return e, fail(err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return e, fail(errors.New("something follows the object"))
	}
	if e.Run != "" && !runName.MatchString(e.Run) {
		return e, fail(fmt.Errorf("%q is no name of a run: up to 128 letters, digits and any of - _ . : make one", e.Run))
	}
	return e, nil
}

// A lambdaAnswer is what an invocation has come to.
type lambdaAnswer struct {
	Sync           string           `json:"sync"`
	Run            string           `json:"run"`
	Done           bool             `json:"done"`
	WakeAt         time.Time        `json:"wake_at,omitzero"`
	StoppedBecause string           `json:"stopped_because,omitempty"`
	Rows           int64            `json:"rows"`
	Bytes          int64            `json:"bytes"`
	Streams        []lambdaStream   `json:"streams"`
	Usage          []martsync.Usage `json:"usage,omitempty"`
}

// Why an invocation has stopped before all was done.
const (
	stoppedDeadline = "deadline" // its time was nearly up
	stoppedWaiting  = "waiting"  // all that is left must wait
	stoppedBusy     = "busy"     // another sync has the account
)

// A lambdaStream is what the run has done about a stream.
type lambdaStream struct {
	Stream      string       `json:"stream"`
	Phase       runlog.Phase `json:"phase"`
	Rows        int64        `json:"rows"`
	Bytes       int64        `json:"bytes"`
	Quarantined int64        `json:"quarantined,omitzero"`
	Windows     int64        `json:"windows,omitzero"`
	WakeAt      time.Time    `json:"wake_at,omitzero"`
	Error       string       `json:"error,omitempty"`
}

// maxErrorText bounds the text of a stream's error in an answer, in bytes: Step Functions takes 256 KiB in all.
const maxErrorText = 500

func (a *lambdaAnswer) add(streams []runlog.Stream) {
	a.Streams = make([]lambdaStream, len(streams))
	for i, s := range streams {
		text := s.Error
		if len(text) > maxErrorText {
			text = strings.ToValidUTF8(text[:maxErrorText], "") + "…"
		}
		a.Streams[i] = lambdaStream{
			Stream: s.Stream, Phase: s.Phase, Rows: s.Rows, Bytes: s.Bytes, Quarantined: s.Quarantined, Windows: s.Windows,
			WakeAt: wholeSecond(s.Wake), Error: text,
		}
		a.Rows += s.Rows
		a.Bytes += s.Bytes
	}
}

// wholeSecond rounds up: whoever wakes too early finds nothing to do.
func wholeSecond(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	whole := t.UTC().Truncate(time.Second)
	if whole.Before(t) {
		whole = whole.Add(time.Second)
	}
	return whole
}

// A lambdaFailure is the body of a failed invocation.
type lambdaFailure struct {
	Type       string   `json:"errorType"` // the kind; a state machine matches it
	Message    string   `json:"errorMessage"`
	ExitCode   int      `json:"exit_code"`
	Hint       string   `json:"hint,omitempty"`
	StackTrace []string `json:"stackTrace"`
}

func failureOf(err error) lambdaFailure {
	kind := martsync.KindOf(err)
	f := lambdaFailure{Type: kind.String(), Message: err.Error(), ExitCode: codeOf(err), Hint: martsync.HintOf(err), StackTrace: []string{}}
	if f.Hint != "" {
		f.Message = strings.TrimSuffix(f.Message, ".") + ". Next: " + sentence(f.Hint)
	}
	return f
}
