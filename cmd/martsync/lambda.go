package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/config"
	"github.com/martsync/martsync/pipeline"
	"github.com/martsync/martsync/runlog"
	"github.com/martsync/martsync/state"
)

const (
	// runtimeVariable is where Lambda says where its API is. AWS Lambda Developer Guide, Defined runtime environment variables.
	runtimeVariable = "AWS_LAMBDA_RUNTIME_API"

	// lambdaMargin is how long before the end of an invocation streams stop at the next cursor. It is time for the commit.
	lambdaMargin = time.Minute

	// lambdaPatience is the longest wait that an invocation sits out. That costs less than the transitions of a
	// state machine, and the source need not be listed again.
	lambdaPatience = time.Minute

	// memoryShare is how much of the function's memory the collector of garbage may fill before it works harder.
	memoryShare = 0.8
)

// insideLambda reports whether the program was started as a function.
func insideLambda(args []string, getenv func(string) string) bool {
	return len(args) == 0 && getenv(runtimeVariable) != ""
}

func (a *app) lambdaCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "lambda",
		Short: "Answers the invocations of a function of AWS Lambda",
		Long: `Answers the invocations of a function of AWS Lambda, one after the other. Without a command martsync does so by itself if
it was started by Lambda.

An invocation goes on with a run for as long as its time goes, and says when it should be invoked again. The event is
{"sync": "NAME", "due": "2026-11-25T17:00:00Z"}; docs/places/lambda.md has all of it.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := interruptible(cmd)
			defer cancel()
			address := a.getenv(runtimeVariable)
			if address == "" {
				return usageError(errors.New(runtimeVariable+" is not set"), "Lambda sets it. Elsewhere: martsync sync.")
			}
			if !cmd.Flags().Changed("config") && a.getenv("MARTSYNC_CONFIG") == "" {
				a.configPath = besideProgram(a.getenv)
			}
			return a.lambda(ctx, address)
		},
	}
}

// besideProgram is where a configuration is that was added to the zip.
func besideProgram(getenv func(string) string) string {
	folder := getenv("LAMBDA_TASK_ROOT")
	if program, err := os.Executable(); folder == "" && err == nil {
		folder = filepath.Dir(program)
	}
	return filepath.Join(folder, config.FileName)
}

// lambda answers invocations until ctx is done.
func (a *app) lambda(ctx context.Context, address string) error {
	a.limitMemory()
	a.tidyTemp(0) // no two processes share a sandbox: whoever has left a folder in it is dead
	api := newLambdaAPI(address)
	defer api.client.CloseIdleConnections()
	for {
		i, err := api.next(ctx)
		if ctx.Err() != nil {
			return nil // nobody is waiting for an answer
		}
		if err != nil {
			return err
		}
		out, bug, err := a.invoked(ctx, i)
		ctx := context.WithoutCancel(ctx) // what was done is told, also while the sandbox is being closed
		if err != nil {
			err = api.fail(ctx, i.id, failureOf(err))
		} else {
			err = api.answer(ctx, i.id, out)
		}
		if err != nil {
			return err
		}
		if bug {
			return exit(martsync.ExitInternal) // whatever state it has left: the next invocation begins in another process
		}
	}
}

// limitMemory has garbage collected in time: a function has what it was given and no more.
func (a *app) limitMemory() {
	mib, err := strconv.ParseInt(a.getenv("AWS_LAMBDA_FUNCTION_MEMORY_SIZE"), 10, 64)
	if err == nil && mib > 0 && a.getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(int64(float64(mib<<20) * memoryShare))
	}
}

// invoked answers one invocation, with a logger, connections and a temporary folder of its own. A panic is a bug and an error.
func (a *app) invoked(ctx context.Context, i invocation) (out lambdaAnswer, bug bool, err error) {
	one := &app{
		in: a.in, out: a.out, err: a.err, getenv: a.getenv, clock: a.clock, lines: a.lines,
		configPath: a.configPath, set: a.set, state: a.state, logFormat: a.logFormat, verbose: a.verbose, noInput: true, speed: a.speed,
		lively: true, request: i.id,
	}
	defer func() {
		if p := recover(); p != nil {
			bug = true
			err = &martsync.Error{Kind: martsync.Internal, Op: "answer the invocation", Err: fmt.Errorf("panic: %v", p)}
			one.log().ErrorContext(ctx, "panic", "err", fmt.Sprint(p), "stack", string(debug.Stack()))
		}
		for _, clean := range one.cleanups {
			if e := clean(); e != nil {
				one.log().WarnContext(ctx, "something was left behind", "err", e)
			}
		}
		if err != nil {
			one.log().ErrorContext(ctx, "invocation failed", "sync", out.Sync, "run", out.Run, "kind", martsync.KindOf(err).String(), "hint", martsync.HintOf(err), "err", err)
		}
	}()
	err = one.advance(ctx, i, &out)
	return out, false, err
}

// advance goes on with the run that the event names, as far as the time of the invocation goes.
func (a *app) advance(ctx context.Context, i invocation, out *lambdaAnswer) error {
	left := i.deadline.Sub(martsync.SystemClock{}.Now())
	margin := min(lambdaMargin, left/3)
	// Who is killed tells nobody what was done, and holds the lease for minutes.
	ctx, cancel := context.WithDeadline(ctx, i.deadline.Add(-margin/4))
	defer cancel()
	e, err := parseEvent(i.event)
	if err != nil {
		return err
	}
	c, err := a.loadConfig(ctx)
	if err != nil {
		return err
	}
	s, err := c.FindSync(e.Sync)
	if err != nil {
		return err
	}
	out.Sync = s.Name
	if err := a.lasting(ctx, c); err != nil {
		return err
	}
	store, err := a.openState(ctx, c)
	if err != nil {
		if env, e := a.connectorEnv(); e == nil {
			a.alertNoState(ctx, []config.Sync{s}, env, err)
		}
		return err
	}
	run, before, err := a.runOf(ctx, store, s.Name, e)
	if err != nil {
		return err
	}
	out.Run = run
	if before != nil && before.Status == runlog.Done {
		out.Done, out.Usage = true, before.Usage
		out.add(before.Streams)
		return nil
	}
	p, err := a.plan(s, syncFlags{streams: e.Streams, exclude: e.Exclude, since: e.Since, until: e.Until, backfill: e.Backfill})
	if err != nil {
		return err
	}
	p.deadline = a.clock.Now().Add(time.Duration(float64(left-margin) * a.speed))
	return a.advanceRun(ctx, p, store, out)
}

// advanceRun goes on with a run until it is done, must wait for long or its time is up.
func (a *app) advanceRun(ctx context.Context, p plan, store state.Store, out *lambdaAnswer) (err error) {
	env, err := a.connectorEnv()
	if err != nil {
		return err
	}
	s, closeAll, err := a.openSync(ctx, p, store, env)
	switch {
	case err != nil && cutOff(ctx):
		out.stop(stoppedDeadline, a.clock.Now())
		return nil
	case err != nil:
		if !martsync.KindOf(err).Waits() {
			a.noteFailure(ctx, store, p.sync.Name, out.Run, err)
		}
		return err
	}
	defer func() { err = errors.Join(err, closeAll()) }()
	s.ID, s.Patience = out.Run, lambdaPatience
	done, err := pipeline.Run(ctx, s)
	out.Done = done.Done
	out.add(done.Stats.Streams)
	out.Usage = usageOf(s)
	now := a.clock.Now()
	switch {
	case err == nil && done.Done:
		return nil
	case err == nil && done.WakeAt.After(now):
		out.stop(stoppedWaiting, done.WakeAt)
	case err == nil, cutOff(ctx):
		out.stop(stoppedDeadline, now)
	case martsync.KindOf(err) == martsync.Busy:
		wake := now.Add(cmp.Or(martsync.AfterOf(err), lambdaPatience))
		a.log().InfoContext(ctx, "sync waits for its account", "sync", p.sync.Name, "run", out.Run, "wake", wake, "err", err)
		out.stop(stoppedBusy, wake)
	default:
		return err
	}
	return nil
}

// stop says that all is not done, why, and when to go on.
func (a *lambdaAnswer) stop(because string, wake time.Time) {
	a.Done, a.StoppedBecause, a.WakeAt = false, because, wholeSecond(wake)
}

// cutOff reports whether the time of the invocation is up: what failed then did so because of that.
func cutOff(ctx context.Context) bool { return ctx.Err() != nil }

// lasting refuses a state that would be lost with the sandbox: every invocation would begin another export job.
func (a *app) lasting(ctx context.Context, c *config.Config) error {
	l, err := c.State.Location(ctx)
	if err != nil {
		return err
	}
	if l.URL != "" {
		return nil
	}
	below, err := filepath.Rel(os.TempDir(), l.Path)
	if outside := err != nil || below == ".." || strings.HasPrefix(below, ".."+string(filepath.Separator)); outside {
		return nil // or there is no way from one to the other
	}
	return &martsync.Error{
		Kind: martsync.Config, Op: "open the state at " + l.Path, Err: errors.New("a function loses what it keeps in " + os.TempDir()),
		Hint: "Set state: s3://bucket/prefix in the configuration, or MARTSYNC_STATE.",
	}
}

// runOf finds the run that an event means, and its record if it has begun.
func (a *app) runOf(ctx context.Context, store state.Store, sync string, e lambdaEvent) (id string, before *runlog.Run, err error) {
	base := e.Run
	switch {
	case base != "":
	case !e.Due.IsZero():
		base = e.Due.UTC().Format("20060102-150405") + "-due"
	default:
		newest, err := runlog.List(ctx, store, sync, 1)
		if err != nil || len(newest) == 0 || newest[0].Status == runlog.Done || newest[0].Status == runlog.Failed {
			return "", nil, err // a new one, which the pipeline names
		}
		return newest[0].ID, &newest[0], nil
	}
	id = base
	for n := 2; ; n++ {
		before, err := runlog.Load(ctx, store, sync, id)
		switch {
		case errors.Is(err, runlog.ErrNotFound), martsync.KindOf(err) == martsync.Data:
			return id, nil, nil
		case err != nil:
			return "", nil, err
		case !givenUp(before):
			return id, before, nil
		}
		id = fmt.Sprintf("%s.%d", base, n)
	}
}

// givenUp reports whether a run has failed in a way that time may cure, and would fail in the same way if it was taken up again:
// it remembers that it has tried often enough. Another one begins where it has ended.
func givenUp(r *runlog.Run) bool {
	kind := kindNamed(r.Kind)
	if r.Status != runlog.Failed || !kind.Waits() && kind != martsync.Conflict {
		return false
	}
	for _, s := range r.Streams {
		if !s.Phase.Over() {
			return r.Attempts > 0
		}
	}
	return true
}
