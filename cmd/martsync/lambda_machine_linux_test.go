package main

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/martsync/martsync/deploy/lambda/machinetest"
	"github.com/martsync/martsync/internal/connectors"
)

// TestLambdaMachines has the program invoked by the state machines of the CloudFormation template: the schedule delivers a time
// twice, an invocation's time is up, the sandbox is killed in the middle of a download; the machine waits, tries again and goes on. In the end the tables equal the
// account, by one run that has exported nothing twice.
func TestLambdaMachines(t *testing.T) {
	long(t)
	f := newLambdaFunction(t, builtLite(t), connectors.Simulators()[0]) // what the others need of the program TestLambda shows
	w := deployedMachines(t, f)
	due := w.Now.Truncate(time.Second).Format(time.RFC3339)
	for _, attempt := range []string{"attempt-1", "attempt-2"} {
		if _, failed := w.Start(dueMachine, attempt, map[string]any{"scheduled_at": due}); failed != nil {
			t.Fatalf("start the due machine: %+v", failed)
		}
	}
	if err := w.Run(); err != nil {
		t.Fatal(err)
	}
	all := w.Find(syncMachine)
	for _, e := range all {
		if last := e.Path[len(e.Path)-1]; e.Status != machinetest.Succeeded || last != "Done" {
			t.Fatalf("execution %s: %s in %s, %+v, %d pauses, %d waits, want one that succeeded", e.Name, e.Status, last, e.Failure, len(e.Pauses), len(e.Waits))
		}
	}
	if len(all) != 1 {
		t.Fatalf("%d executions of the sync, want 1", len(all))
	}
	e := all[0]
	t.Logf("%d invocations, %v; %d waits; before tries %v", f.service.invoked, f.kinds, len(e.Waits), e.Pauses)
	if len(e.Pauses) == 0 || slices.Max(e.Pauses) < 5*time.Minute || f.kinds["deadline"] == 0 || len(e.Waits) == 0 {
		t.Errorf("pauses before another try %v, %d waits, answers %v: want a try after the lease of the dead has run out, and a call after time was up", e.Pauses, len(e.Waits), f.kinds)
	}
	f.compare()
	f.jobs()
	if runs := f.runs(); len(runs) != 1 {
		t.Errorf("%d runs, want one however often the schedule delivers it", len(runs))
	}
}

const (
	lambdaARN   = "arn:aws:lambda:eu-central-1:123456789012:function:martsync"
	syncMachine = "arn:aws:states:eu-central-1:123456789012:stateMachine:martsync"
	dueMachine  = syncMachine + "-due"
)

// deployedMachines are the machines of the template with the function of a test.
func deployedMachines(t *testing.T, f *lambdaFunction) *machinetest.World {
	t.Helper()
	template := filepath.Join("..", "..", "deploy", "lambda", "template.yaml")
	w := &machinetest.World{Now: f.clock.Now(), Machines: map[string]*machinetest.Machine{}, AtMost: 30 * 24 * time.Hour}
	for arn, m := range map[string]struct {
		id            string
		substitutions map[string]string
	}{
		syncMachine: {"SyncMachine", map[string]string{"Partition": "aws", "FunctionArn": lambdaARN, "Sync": f.name}},
		dueMachine:  {"DueMachine", map[string]string{"Partition": "aws", "SyncMachineArn": syncMachine, "Sync": f.name}},
	} {
		var err error
		if w.Machines[arn], err = machinetest.Load(template, m.id, m.substitutions); err != nil {
			t.Fatal(err)
		}
	}
	w.Functions = map[string]machinetest.Function{lambdaARN: f.called}
	return w
}

// called is an invocation by a machine. The account's clock runs by itself and is behind that of the machines when they wait. How
// long the program computes is not scaled, so in the account's time it may look longer than an invocation can be.
func (f *lambdaFunction) called(now time.Time, payload json.RawMessage) (any, time.Duration, *machinetest.Failure) {
	f.t.Helper()
	if wait := now.Sub(f.clock.Now()); wait > 0 {
		f.sleep(wait)
	}
	left := 2 * time.Minute
	f.mu.Lock()
	f.pauses = nil
	if f.kinds["deadline"] == 0 && f.kinds["killed"] < 3 { // the vendor does not answer before most of the time is over
		left = (6 * time.Second) << (2 * f.kinds["killed"]) // on a busy machine, much more of it
		f.pauses = stall(left)
	} else if f.kinds["doomed"] == 0 {
		f.kinds["doomed"]++
		f.doom = func() { f.service.kill() }
	}
	f.mu.Unlock()
	began := f.clock.Now()
	r := f.service.invoke(payload, left)
	took := min(f.clock.Now().Sub(began), 14*time.Minute)
	switch {
	case f.service.invoked > maxInvocations:
		f.t.Fatalf("not done after %d invocations: %+v", maxInvocations, r)
	case r.killed:
		f.kinds["killed"]++
		return nil, took, &machinetest.Failure{Error: "Runtime.ExitError", Cause: "the sandbox was killed"}
	case r.failure != nil:
		return nil, took, &machinetest.Failure{Error: r.failure.Type, Cause: r.failure.Message}
	}
	f.kinds[r.answer.StoppedBecause]++
	return r.answer, took, nil
}
