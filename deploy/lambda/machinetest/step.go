package machinetest

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// step does what an execution does now. Tasks take two: the call, and what came of it when its time has passed.
func (w *World) step(e *Execution) error {
	if finish := e.finish; finish != nil {
		e.finish = nil
		return finish()
	}
	s := e.machine.States[e.state]
	sc := scope{input: e.input, context: map[string]any{
		"Execution":    map[string]any{"Id": e.Machine + "/" + e.Name, "Name": e.Name, "StartTime": e.Began.Format(time.RFC3339)},
		"StateMachine": map[string]any{"Id": e.Machine},
	}}
	switch s.Type {
	case "Pass":
		out, err := sc.fill(s.Parameters)
		if err != nil {
			return w.broken(e, err)
		}
		return e.leave(s.Next, out)
	case "Choice":
		next, err := sc.choose(s)
		if err != nil {
			return w.broken(e, err)
		}
		return e.leave(next, e.input)
	case "Wait":
		return w.wait(e, s, sc)
	case "Task":
		return w.task(e, s, sc)
	case "Succeed":
		w.succeed(e, e.input)
		return nil
	case "Fail":
		f, err := sc.failure(s)
		if err == nil {
			w.fail(e, f)
		}
		return err
	}
	return fmt.Errorf("type %q", s.Type)
}

// broken ends an execution whose definition does not fit its data, which nothing catches.
func (w *World) broken(e *Execution, err error) error {
	w.fail(e, Failure{"States.Runtime", err.Error()})
	return nil
}

func (w *World) wait(e *Execution, s *State, sc scope) error {
	v, err := sc.must(s.TimestampPath)
	text, _ := v.(string)
	until, parseErr := time.Parse(time.RFC3339, text)
	if err := errors.Join(err, parseErr); err != nil {
		return w.broken(e, err)
	}
	e.Waits = append(e.Waits, max(0, until.Sub(w.Now)))
	if until.After(w.Now) {
		e.at = until
	}
	e.finish = func() error { return e.leave(s.Next, e.input) }
	return nil
}

// task makes the call. A call is in the history as scheduled, started and how it ended.
func (w *World) task(e *Execution, s *State, sc scope) error {
	params, err := sc.fill(s.Parameters)
	if err != nil {
		return w.taskFailed(e, s, Failure{"States.ParameterPathFailure", err.Error()})
	}
	result, took, failed, err := w.call(s.Resource, params.(map[string]any))
	if err != nil {
		return err
	}
	if limit := time.Duration(s.TimeoutSeconds * float64(time.Second)); limit > 0 && took > limit {
		took, failed = limit, &Failure{"States.Timeout", ""}
	}
	e.Events += 3
	e.at = w.Now.Add(took)
	e.finish = func() error {
		if failed != nil {
			return w.taskFailed(e, s, *failed)
		}
		out, err := place(e.input, s.ResultPath, result)
		if err != nil {
			return err
		}
		return e.leave(s.Next, out)
	}
	return nil
}

// call is one call of an optimized integration.
func (w *World) call(resource string, params map[string]any) (result any, took time.Duration, failed *Failure, err error) {
	switch {
	case strings.HasSuffix(resource, ":states:::lambda:invoke"):
		arn, _ := params["FunctionName"].(string)
		f := w.Functions[arn]
		if f == nil || len(params) != 2 {
			return nil, 0, nil, fmt.Errorf("no function %q is called with %v", arn, params)
		}
		payload, err := json.Marshal(params["Payload"])
		if err != nil {
			return nil, 0, nil, err
		}
		answer, took, failed := f(w.Now, payload)
		v, err := jsonValue(answer)
		return map[string]any{"Payload": v, "StatusCode": 200.0}, took, failed, err
	case strings.HasSuffix(resource, ":states:::states:startExecution"):
		machine, _ := params["StateMachineArn"].(string)
		name, _ := params["Name"].(string)
		e, failed := w.Start(machine, name, params["Input"])
		if failed != nil {
			return nil, 0, &Failure{"StepFunctions." + failed.Error + "Exception", failed.Cause}, nil
		}
		return map[string]any{"ExecutionArn": machine + "/" + e.Name}, 0, nil, nil
	}
	return nil, 0, nil, fmt.Errorf("resource %q is not interpreted", resource)
}

// taskFailed tries again, catches, or fails the execution, in this order.
func (w *World) taskFailed(e *Execution, s *State, f Failure) error {
	for i, r := range s.Retry {
		if !f.is(r.ErrorEquals) {
			continue
		}
		if e.attempts[i] < valueOr(r.MaxAttempts, 3) {
			pause := r.pause(e.attempts[i], w.Jitter)
			e.attempts[i]++
			e.Pauses = append(e.Pauses, pause)
			e.at = w.Now.Add(pause)
			return nil // the state begins anew
		}
		break // only the first that matches counts
	}
	for _, c := range s.Catch {
		if f.is(c.ErrorEquals) {
			out, err := place(e.input, c.ResultPath, map[string]any{"Error": f.Error, "Cause": f.Cause})
			if err != nil {
				return err
			}
			return e.leave(c.Next, out)
		}
	}
	w.fail(e, f)
	return nil
}

// is reports whether one of the names of a retrier or catcher stands for the failure.
func (f Failure) is(names []string) bool {
	return slices.ContainsFunc(names, func(name string) bool {
		switch name {
		case "States.ALL":
			return f.Error != "States.Runtime" && f.Error != "States.DataLimitExceeded"
		case "States.TaskFailed":
			return f.Error != "States.Timeout"
		}
		return name == f.Error
	})
}

// pause is how long the retrier waits after so many attempts.
func (r Retrier) pause(attempts int, jitter func() float64) time.Duration {
	seconds := valueOr(r.IntervalSeconds, 1) * math.Pow(valueOr(r.BackoffRate, 2), float64(attempts))
	if r.MaxDelaySeconds > 0 {
		seconds = min(seconds, r.MaxDelaySeconds)
	}
	if r.JitterStrategy == "FULL" && jitter != nil {
		seconds *= jitter()
	}
	return time.Duration(seconds * float64(time.Second))
}

func (sc scope) choose(s *State) (string, error) {
	for _, c := range s.Choices {
		yes, err := sc.test(c)
		if err != nil {
			return "", err
		}
		if yes {
			return c.Next, nil
		}
	}
	if s.Default == "" {
		return "", errors.New("no choice applies (States.NoChoiceMatched)")
	}
	return s.Default, nil
}

// test is whether a rule applies. Comparing what is not there fails an execution, except with IsPresent.
func (sc scope) test(c Choice) (bool, error) {
	if len(c.And) > 0 {
		for _, part := range c.And {
			if yes, err := sc.test(part); !yes || err != nil {
				return false, err
			}
		}
		return true, nil
	}
	v, found, err := sc.lookup(c.Variable)
	if err != nil {
		return false, err
	}
	if c.IsPresent != nil {
		return found == *c.IsPresent, nil
	}
	if !found {
		return false, fmt.Errorf("the choice looks at %s, which leads to nothing", c.Variable)
	}
	switch {
	case c.IsTimestamp != nil:
		text, _ := v.(string)
		_, err := time.Parse(time.RFC3339, text)
		return (err == nil) == *c.IsTimestamp, nil
	case c.BooleanEquals != nil:
		b, ok := v.(bool)
		return ok && b == *c.BooleanEquals, nil
	case c.NumericGreaterThanEquals != nil:
		n, ok := v.(float64)
		return ok && n >= *c.NumericGreaterThanEquals, nil
	}
	return false, errors.New("a choice compares in a way that is not interpreted")
}

func (sc scope) failure(s *State) (Failure, error) {
	f := Failure{s.Error, s.Cause}
	for path, to := range map[string]*string{s.ErrorPath: &f.Error, s.CausePath: &f.Cause} {
		if path == "" {
			continue
		}
		v, err := sc.must(path)
		if err != nil {
			return f, err
		}
		*to, _ = v.(string)
	}
	return f, nil
}

func valueOr[T any](p *T, otherwise T) T {
	if p == nil {
		return otherwise
	}
	return *p
}
