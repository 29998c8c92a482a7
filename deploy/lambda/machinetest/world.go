package machinetest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// What the specification and the quotas of Step Functions say of every standard execution.
const (
	maxEvents  = 25_000  // in the history of an execution; the next one fails it
	maxPayload = 262_144 // bytes of JSON that a state takes or gives
)

// A Failure is an error as Step Functions sees it: the name that Retry and Catch look at, and the text beside it.
type Failure struct {
	Error, Cause string
}

// A Function stands for a Lambda function. It is called when virtual time is now, and says how long it took. What it
// answers must marshal to JSON.
type Function func(now time.Time, payload json.RawMessage) (answer any, took time.Duration, failed *Failure)

// A World is an account in a region: machines, functions and executions, on a clock that jumps to whatever comes next.
// Use it from one goroutine. The zero value lacks a clock: set Now.
type World struct {
	Now       time.Time
	Machines  map[string]*Machine // by ARN
	Functions map[string]Function // by ARN
	Jitter    func() float64      // in [0, 1); nil: 1, the longest wait
	AtMost    time.Duration       // a run of the world ends with an error after so long; 0: a year, as an execution's own limit

	Executions []*Execution // in the order in which they were started
}

// Status is where an execution stands.
type Status string

// The states of an execution.
const (
	Running   Status = "RUNNING"
	Succeeded Status = "SUCCEEDED"
	Failed    Status = "FAILED"
)

// An Execution is one run of a machine.
type Execution struct {
	Machine, Name string
	Status        Status
	Failure       Failure
	Output        any
	Path          []string        // names of the states in the order in which they were entered
	Waits         []time.Duration // of Wait states
	Pauses        []time.Duration // before tasks were tried again
	Events        int             // in its history
	Began, Ended  time.Time

	machine  *Machine
	given    string // its input as text
	state    string
	input    any
	at       time.Time // when it goes on
	attempts []int     // of each retrier of the task that it is in
	finish   func() error
}

// forbidden in names of executions: the API refuses them.
var forbidden = regexp.MustCompile("[\\s<>{}\\[\\]?*\"#%\\\\^|~`$&,;:/\\x00-\\x1f\\x7f-\\x{9f}]")

// Start begins an execution as the API's StartExecution does: with a name that is in use it does nothing if the execution
// runs and has the same input, and fails otherwise.
func (w *World) Start(machine, name string, input any) (*Execution, *Failure) {
	m, ok := w.Machines[machine]
	if !ok {
		return nil, &Failure{"StateMachineDoesNotExist", machine}
	}
	text, err := json.Marshal(input)
	if err != nil {
		return nil, &Failure{"InvalidExecutionInput", err.Error()}
	}
	if name == "" || len(name) > 80 || forbidden.MatchString(name) {
		return nil, &Failure{"InvalidName", name}
	}
	for _, e := range w.Executions {
		if e.Machine == machine && e.Name == name {
			if e.Status == Running && e.given == string(text) {
				return e, nil
			}
			return nil, &Failure{"ExecutionAlreadyExists", name}
		}
	}
	e := &Execution{Machine: machine, Name: name, Status: Running, machine: m, given: string(text), Began: w.Now, at: w.Now, Events: 1}
	if e.input, err = jsonValue(input); err != nil {
		return nil, &Failure{"InvalidExecutionInput", err.Error()}
	}
	e.enter(m.StartAt)
	w.Executions = append(w.Executions, e)
	return e, nil
}

// Run lets executions go on, each when it is due, until all have ended. An error is one of the definition or of the test,
// not of an execution.
func (w *World) Run() error {
	return w.RunUntil(w.Now.Add(cmp.Or(w.AtMost, 365*24*time.Hour)), true)
}

// RunUntil is Run up to a time. With mustEnd an execution that has not ended then is an error.
func (w *World) RunUntil(end time.Time, mustEnd bool) error {
	for {
		var next *Execution
		for _, e := range w.Executions {
			if e.Status == Running && (next == nil || e.at.Before(next.at)) {
				next = e
			}
		}
		switch {
		case next == nil:
			return nil
		case next.at.After(end):
			w.Now = end
			if mustEnd {
				return fmt.Errorf("execution %s is in state %s at %s, after %d events", next.Name, next.state, end.Format(time.RFC3339), next.Events)
			}
			return nil
		}
		if next.at.After(w.Now) {
			w.Now = next.at
		}
		if err := w.step(next); err != nil {
			return fmt.Errorf("execution %s, state %s: %w", next.Name, next.state, err)
		}
		if next.Events > maxEvents {
			w.fail(next, Failure{"States.Runtime", "the history has more than 25,000 events"})
		}
	}
}

// Find returns the executions of a machine.
func (w *World) Find(machine string) []*Execution {
	return slices.DeleteFunc(slices.Clone(w.Executions), func(e *Execution) bool { return e.Machine != machine })
}

func (e *Execution) enter(state string) {
	e.state, e.attempts = state, make([]int, len(e.machine.States[state].Retry))
	e.Path = append(e.Path, state)
	e.Events++ // entered
}

// leave goes to the next state with its input.
func (e *Execution) leave(next string, output any) error {
	text, err := json.Marshal(output)
	if err != nil {
		return err
	}
	if len(text) > maxPayload {
		return fmt.Errorf("%d bytes are more than a state may give", len(text))
	}
	e.Events++ // exited
	e.input = output
	e.enter(next)
	return nil
}

func (w *World) succeed(e *Execution, output any) {
	e.Status, e.Output, e.Ended = Succeeded, output, w.Now
	e.Events += 2
}

func (w *World) fail(e *Execution, f Failure) {
	e.Status, e.Failure, e.Ended = Failed, f, w.Now
	e.Events++
}

// Trace is the path as text, with repetitions as they came.
func (e *Execution) Trace() string { return strings.Join(e.Path, " ") }

// jsonValue is v as decoding its JSON gives it.
func jsonValue(v any) (any, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	var out any
	return out, json.Unmarshal(text, &out)
}
