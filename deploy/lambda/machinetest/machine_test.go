package machinetest_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/deploy/lambda/machinetest"
)

const (
	template = "../template.yaml"
	function = "arn:aws:lambda:eu-central-1:123456789012:function:martsync"
	machine  = "arn:aws:states:eu-central-1:123456789012:stateMachine:martsync"
	due      = machine + "-due"

	// lease is how long the account of a killed sync stays locked: pipeline, docs/places/daemon.md.
	lease = 5 * time.Minute
)

var wednesday = time.Date(2026, 11, 25, 9, 0, 0, 0, time.UTC)

// newWorld is an account in which the template has been deployed, with another function.
func newWorld(t *testing.T, f machinetest.Function) *machinetest.World {
	t.Helper()
	load := func(id string, substitutions map[string]string) *machinetest.Machine {
		m, err := machinetest.Load(template, id, substitutions)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	return &machinetest.World{
		Now: wednesday,
		Machines: map[string]*machinetest.Machine{
			machine: load("SyncMachine", map[string]string{"Partition": "aws", "FunctionArn": function, "Sync": "marketing"}),
			due:     load("DueMachine", map[string]string{"Partition": "aws", "SyncMachineArn": machine, "Sync": "marketing"}),
		},
		Functions: map[string]machinetest.Function{function: f},
	}
}

// deliver is what the schedule does at a time.
func deliver(t *testing.T, w *machinetest.World, attempt string, at time.Time) *machinetest.Execution {
	t.Helper()
	e, failed := w.Start(due, attempt, map[string]any{"scheduled_at": at.Format(time.RFC3339)})
	if failed != nil {
		t.Fatalf("start the due machine: %+v", failed)
	}
	return e
}

// run lets the world go on until nothing runs, and returns the executions of the sync.
func run(t *testing.T, w *machinetest.World) []*machinetest.Execution {
	t.Helper()
	if err := w.Run(); err != nil {
		t.Fatal(err)
	}
	return w.Find(machine)
}

func one(t *testing.T, all []*machinetest.Execution) *machinetest.Execution {
	t.Helper()
	if len(all) != 1 {
		t.Fatalf("there are %d executions of the sync, want 1", len(all))
	}
	return all[0]
}

type answer struct {
	Done   bool   `json:"done"`
	WakeAt string `json:"wake_at,omitempty"`
}

// A call is one answer of a scripted function.
type call struct {
	took   time.Duration
	wait   time.Duration // after the call's end
	done   bool
	failed string // name of an error
}

// scripted answers with one call after the other, the last one for ever, and notes when it was called and with what.
type scripted struct {
	calls  []call
	times  []time.Time
	events []string
}

func (s *scripted) function(now time.Time, payload json.RawMessage) (any, time.Duration, *machinetest.Failure) {
	c := s.calls[min(len(s.times), len(s.calls)-1)]
	s.times, s.events = append(s.times, now), append(s.events, string(payload))
	switch {
	case c.failed != "":
		return nil, c.took, &machinetest.Failure{Error: c.failed, Cause: "why " + c.failed}
	case c.done:
		return answer{Done: true}, c.took, nil
	}
	return answer{WakeAt: now.Add(c.took + c.wait).Format(time.RFC3339)}, c.took, nil
}

func (s *scripted) after() []time.Duration {
	var all []time.Duration
	for _, t := range s.times {
		all = append(all, t.Sub(wednesday))
	}
	return all
}

func TestASyncIsCalledUntilItIsDone(t *testing.T) {
	const m = time.Minute
	tests := []struct {
		name  string
		calls []call
		want  []time.Duration // when the function was called
	}{
		{"done at once", []call{{took: m, done: true}}, []time.Duration{0}},
		{"waits for an export job", []call{{took: m, wait: 5 * m}, {took: m, wait: 10 * m}, {took: m, done: true}}, []time.Duration{0, 6 * m, 17 * m}},
		{"its time is over: on at once", []call{{took: 14 * m}, {took: 14 * m}, {took: 2 * m, done: true}}, []time.Duration{0, 14 * m, 28 * m}},
		{"the time to wake has passed", []call{{took: 2 * m, wait: -m}, {done: true}}, []time.Duration{0, 2 * m}},
		{"waits for tomorrow's quota", []call{{took: m, wait: 14 * time.Hour}, {done: true}}, []time.Duration{0, 14*time.Hour + m}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f := &scripted{calls: test.calls}
			w := newWorld(t, f.function)
			deliver(t, w, "first", wednesday)
			e := one(t, run(t, w))
			if e.Status != machinetest.Succeeded || !strings.HasSuffix(e.Trace(), " IsDone Done") {
				t.Errorf("the execution ended as %s %+v by way of %s", e.Status, e.Failure, e.Trace())
			}
			if diff := cmp.Diff(test.want, f.after()); diff != "" {
				t.Errorf("times of calls (-want +got):\n%s", diff)
			}
			for i, got := range f.events {
				if want := `{"due":"2026-11-25T09:00:00Z","sync":"marketing"}`; got != want {
					t.Errorf("event of call %d is %s, want %s", i, got, want)
				}
			}
		})
	}
}

func TestAnExecutionByHand(t *testing.T) {
	tests := []struct {
		name  string
		input map[string]any
		want  string
	}{
		{"needs no input", map[string]any{}, `{"run":"3f0c5a9e","sync":"marketing"}`},
		{"takes an event", map[string]any{"streams": []string{"leads"}, "backfill": true}, `{"backfill":true,"run":"3f0c5a9e","streams":["leads"],"sync":"marketing"}`},
		{"of another sync", map[string]any{"sync": "sales", "run": "again"}, `{"run":"again","sync":"sales"}`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f := &scripted{calls: []call{{wait: time.Minute}, {done: true}}}
			w := newWorld(t, f.function)
			e, failed := w.Start(machine, "3f0c5a9e", test.input)
			if failed != nil {
				t.Fatalf("start: %+v", failed)
			}
			run(t, w)
			if e.Status != machinetest.Succeeded {
				t.Errorf("it ended as %s %+v", e.Status, e.Failure)
			}
			if want := []string{test.want, test.want}; !slices.Equal(f.events, want) {
				t.Errorf("events are %q, want %q", f.events, want)
			}
		})
	}
}

func TestOneExecutionForEachTimeOfTheSchedule(t *testing.T) {
	f := &scripted{calls: []call{{took: time.Minute, done: true}}}
	w := newWorld(t, f.function)
	deliver(t, w, "attempt-1", wednesday)
	deliver(t, w, "attempt-2", wednesday) // delivered twice, while the first one runs
	run(t, w)
	w.Now = wednesday.Add(time.Hour)
	late := deliver(t, w, "attempt-3", wednesday) // and once more, when it has ended
	w.Now = wednesday.AddDate(0, 0, 7)
	deliver(t, w, "attempt-4", w.Now)

	var names []string
	for _, e := range run(t, w) {
		names = append(names, e.Name)
	}
	if want := []string{"2026-11-25T09-00-00Z", "2026-12-02T09-00-00Z"}; !slices.Equal(names, want) {
		t.Errorf("executions are %q, want %q", names, want)
	}
	if len(f.times) != 2 {
		t.Errorf("the function was called %d times, want 2", len(f.times))
	}
	for _, e := range w.Find(due) {
		if e.Status != machinetest.Succeeded {
			t.Errorf("delivery %s ended as %s %+v", e.Name, e.Status, e.Failure)
		}
	}
	if want := "Split Start HasBegun"; late.Trace() != want || len(late.Pauses) > 0 {
		t.Errorf("the late delivery went %s with pauses %v, want %s without", late.Trace(), late.Pauses, want)
	}
}

func TestErrors(t *testing.T) {
	const m = time.Minute
	done := call{took: m, done: true}
	times := func(n int, name string) []call {
		return slices.Repeat([]call{{took: m, failed: name}}, n)
	}
	tests := []struct {
		name  string
		calls []call
		want  machinetest.Status
		end   string // the state it ends in
		count int    // calls
		least time.Duration
	}{
		{"Lambda is busy for a while", append(times(5, "Lambda.TooManyRequestsException"), done), machinetest.Succeeded, "Done", 6, 0},
		{"Lambda is out of order", times(50, "Lambda.ServiceException"), machinetest.Failed, "Failed", 9, 2 * m},
		{"a function that died", append(times(1, "Runtime.ExitError"), done), machinetest.Succeeded, "Done", 2, lease},
		{"a function out of memory", append(times(2, "Runtime.OutOfMemory"), done), machinetest.Succeeded, "Done", 3, 2 * lease},
		{"a function cut off at its deadline", append(times(1, "Sandbox.Timedout"), done), machinetest.Succeeded, "Done", 2, lease},
		{"a function that never answers", []call{{took: time.Hour, done: true}, done}, machinetest.Succeeded, "Done", 2, 16*m + lease},
		{"a function that dies again and again", times(50, "Runtime.ExitError"), machinetest.Failed, "Failed", 4, 3 * lease},
		{"another sync committed first", append(times(1, "conflict"), done), machinetest.Succeeded, "Done", 2, m},
		{"another sync always commits first", times(50, "conflict"), machinetest.Failed, "Failed", 2, m},
		{"a network that comes back", append(times(3, "transient"), done), machinetest.Succeeded, "Done", 4, 0},
		{"a wrong credential", times(50, "auth"), machinetest.Failed, "Failed", 1, 0},
		{"a mistake in the configuration", times(50, "config"), machinetest.Failed, "Failed", 1, 0},
		{"records that need a decision", times(50, "data"), machinetest.Failed, "Failed", 1, 0},
		{"a bug", times(50, "internal"), machinetest.Failed, "Failed", 1, 0},
		{"an error after hours of good calls", append(slices.Repeat([]call{{took: m, wait: m}}, 100), times(50, "auth")...), machinetest.Failed, "Failed", 101, 0},
		{"errors that come now and then are not added up", slices.Concat(
			times(3, "Runtime.ExitError"), []call{{took: m}}, times(3, "Runtime.ExitError"), []call{{took: m}}, times(3, "Runtime.ExitError"), []call{done},
		), machinetest.Succeeded, "Done", 12, 9 * lease},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f := &scripted{calls: test.calls}
			w := newWorld(t, f.function)
			deliver(t, w, "first", wednesday)
			e := one(t, run(t, w))
			if end := e.Path[len(e.Path)-1]; e.Status != test.want || end != test.end {
				t.Errorf("it ended as %s in %s (%+v), want %s in %s", e.Status, end, e.Failure, test.want, test.end)
			}
			if len(f.times) != test.count {
				t.Errorf("the function was called %d times, want %d", len(f.times), test.count)
			}
			if took := e.Ended.Sub(e.Began); took < test.least {
				t.Errorf("it took %s, want at least %s; pauses were %v", took, test.least, e.Pauses)
			}
			if last := test.calls[len(test.calls)-1].failed; test.want == machinetest.Failed && (e.Failure.Error != last || e.Failure.Cause != "why "+last) {
				t.Errorf("the failure is %+v, want that of the function, %s", e.Failure, last)
			}
		})
	}
}

// A sync's errors are told apart by their kind. Each must be either tried again or told to somebody.
func TestEveryKindOfErrorIsMet(t *testing.T) {
	for kind := martsync.Internal; kind <= martsync.Transient; kind++ {
		t.Run(kind.String(), func(t *testing.T) {
			f := &scripted{calls: []call{{failed: kind.String()}, {done: true}}}
			w := newWorld(t, f.function)
			deliver(t, w, "first", wednesday)
			e := one(t, run(t, w))
			again := kind.Waits() || kind == martsync.Busy || kind == martsync.Conflict
			if got := len(f.times) == 2 && e.Status == machinetest.Succeeded; got != again {
				t.Errorf("tried again: %t, want %t (%d calls, %s %+v)", got, again, len(f.times), e.Status, e.Failure)
			}
			if !again && (e.Status != machinetest.Failed || e.Failure.Error != kind.String()) {
				t.Errorf("it ended as %s %+v, want a failure %s", e.Status, e.Failure, kind)
			}
		})
	}
}

func TestAnAnswerThatSaysNothingFails(t *testing.T) {
	for name, answer := range map[string]any{
		"no time to wake": map[string]any{"done": false}, "not a time": map[string]any{"done": false, "wake_at": "soon"},
		"done is a word": map[string]any{"done": "true"}, "nothing": map[string]any{},
	} {
		t.Run(name, func(t *testing.T) {
			calls := 0
			w := newWorld(t, func(time.Time, json.RawMessage) (any, time.Duration, *machinetest.Failure) {
				calls++
				return answer, time.Second, nil
			})
			deliver(t, w, "first", wednesday)
			if e := one(t, run(t, w)); e.Status != machinetest.Failed || calls != 1 {
				t.Errorf("it ended as %s after %d calls, want a failure after 1", e.Status, calls)
			}
		})
	}
}

// A history has at most 25,000 events, so a first copy of years of data goes on in new executions.
func TestALongFirstCopyGoesOnInNewExecutions(t *testing.T) {
	const calls = 4_321
	f := &scripted{calls: append(slices.Repeat([]call{{took: 5 * time.Second, wait: 55 * time.Second}}, calls-1), call{done: true})}
	w := newWorld(t, f.function)
	deliver(t, w, "first", wednesday)
	var names []string
	for _, e := range run(t, w) {
		names = append(names, e.Name)
		if e.Status != machinetest.Succeeded || e.Events > 12_500 {
			t.Errorf("execution %s ended as %s %+v with %d events, want at most half of what is allowed", e.Name, e.Status, e.Failure, e.Events)
		}
	}
	base := "2026-11-25T09-00-00Z"
	want := []string{base}
	for part := 2; part <= 5; part++ {
		base += fmt.Sprintf("-%d", part)
		want = append(want, base)
	}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("executions (-want +got):\n%s", diff)
	}
	if len(f.times) != calls {
		t.Errorf("the function was called %d times, want %d", len(f.times), calls)
	}
	for i, event := range f.events {
		if want := `{"due":"2026-11-25T09:00:00Z","sync":"marketing"}`; event != want {
			t.Fatalf("event of call %d is %s, want %s", i, event, want)
		}
	}
}

// An account is a function as martsync is one: it holds a lease while it works, tells others that it is busy, and a run
// that is done stays done.
type account struct {
	work  map[string]time.Duration // what is left to do of each run; absent: has not begun
	until time.Time                // the lease
	log   []string
	busy  int
}

func (a *account) function(now time.Time, payload json.RawMessage) (any, time.Duration, *machinetest.Failure) {
	var event struct{ Due, Run string }
	if err := json.Unmarshal(payload, &event); err != nil {
		return nil, 0, &machinetest.Failure{Error: "config", Cause: err.Error()}
	}
	if now.Before(a.until) {
		a.busy++
		return answer{WakeAt: now.Add(2 * time.Minute).Format(time.RFC3339)}, time.Second, nil
	}
	id := event.Due + event.Run
	if _, begun := a.work[id]; !begun {
		a.work[id] = 40 * time.Minute
	}
	took := min(14*time.Minute, a.work[id])
	a.work[id] -= took
	a.until = now.Add(took)
	a.log = append(a.log, fmt.Sprintf("%s %s", id, took))
	return answer{Done: a.work[id] == 0, WakeAt: now.Add(took).Format(time.RFC3339)}, took, nil
}

// A sync that somebody starts while the one of the schedule runs: the lease keeps them apart, and both come to an end.
func TestOverlappingExecutionsTakeTurns(t *testing.T) {
	a := &account{work: map[string]time.Duration{}}
	w := newWorld(t, a.function)
	deliver(t, w, "first", wednesday)
	if err := w.RunUntil(wednesday.Add(5*time.Minute), false); err != nil {
		t.Fatal(err)
	}
	if _, failed := w.Start(machine, "by-hand", map[string]any{}); failed != nil {
		t.Fatalf("start: %+v", failed)
	}
	for _, e := range run(t, w) {
		if e.Status != machinetest.Succeeded || e.Path[len(e.Path)-1] != "Done" {
			t.Errorf("%s ended as %s %+v by way of %s", e.Name, e.Status, e.Failure, e.Trace())
		}
	}
	if a.busy == 0 {
		t.Error("nobody was told that the account is busy: the executions did not overlap")
	}
	done := map[string]int{}
	for _, line := range a.log {
		done[strings.Fields(line)[0]]++
	}
	if want := map[string]int{"2026-11-25T09:00:00Z": 3, "by-hand": 3}; !cmp.Equal(done, want) {
		t.Errorf("parts of work by run are %v, want %v:\n%s", done, want, strings.Join(a.log, "\n"))
	}
}
