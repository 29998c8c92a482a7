package daemon

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/schedule"
	"github.com/martsync/martsync/state"
)

func TestRunsAtItsTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hourly, half := &fake{name: "a", account: "x"}, &fake{name: "b", account: "y"}
		serveFor(t, 3*time.Hour+20*time.Minute, Options{State: state.NewMemory()}, hourly.job(t, "0 * * * *"), half.job(t, "30 1-2 * * *"))
		if diff := cmp.Diff([]string{"01:00:00", "02:00:00", "03:00:00"}, hourly.begins()); diff != "" {
			t.Errorf("hourly (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]string{"01:30:00", "02:30:00"}, half.begins()); diff != "" {
			t.Errorf("half past (-want +got):\n%s", diff)
		}
		if n := len(hourly.runIDs()); n != 3 {
			t.Errorf("%d runs, want 3, each with an id of its own", n)
		}
		if hourly.opened != 3 || hourly.closed != 3 {
			t.Errorf("opened %d times and closed %d, want 3 each", hourly.opened, hourly.closed)
		}
	})
}

// However many times have passed while there was no daemon, or while a run took long, they make one run.
func TestCatchesUpOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := state.NewMemory()
		f := &fake{name: "a", account: "x"}
		serveFor(t, 90*time.Minute, Options{State: store}, f.job(t, "0 * * * *"))
		time.Sleep(10 * time.Hour)
		serveFor(t, 40*time.Minute, Options{State: store}, f.job(t, "0 * * * *"))
		f.advance = func(_ context.Context, n int, _ <-chan struct{}) (Outcome, error) {
			if n == 3 {
				time.Sleep(150 * time.Minute)
			}
			return Outcome{Done: true}, nil
		}
		serveFor(t, 5*time.Hour, Options{State: store}, f.job(t, "0 * * * *"))
		want := []string{"01:00:00", "11:30:00", "12:00:00", "13:00:00", "15:30:00", "16:00:00", "17:00:00"}
		if diff := cmp.Diff(want, f.begins()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

// A run that waits goes on at its time under its id. It stays open over a short wait and not over a long one.
func TestWaitsAndGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{name: "a", account: "x"}
		f.advance = func(_ context.Context, n int, _ <-chan struct{}) (Outcome, error) {
			if n < 2 {
				return Outcome{WakeAt: time.Now().Add([]time.Duration{time.Minute, 20 * time.Minute}[n])}, nil
			}
			return Outcome{Done: true}, nil
		}
		serveFor(t, 90*time.Minute, Options{State: state.NewMemory()}, f.job(t, "0 * * * *"))
		if diff := cmp.Diff([]string{"01:00:00", "01:01:00", "01:21:00"}, f.begins()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if n := len(f.runIDs()); n != 1 || f.opened != 2 || f.closed != 2 {
			t.Errorf("%d runs, opened %d times, closed %d; want 1, 2, 2", n, f.opened, f.closed)
		}
	})
}

// Who stops a daemon in the middle, gently or not, finds the same run taken up by the next one at once.
func TestStoppedRunGoesOn(t *testing.T) {
	for name, hard := range map[string]bool{"gently": false, "at once": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := state.NewMemory()
				f := &fake{name: "a", account: "x"}
				f.advance = func(ctx context.Context, n int, stop <-chan struct{}) (Outcome, error) {
					if n > 0 {
						return Outcome{Done: true}, nil
					}
					select {
					case <-stop:
						time.Sleep(time.Second) // to the next cursor
						return Outcome{WakeAt: time.Now()}, nil
					case <-ctx.Done():
						return Outcome{}, fmt.Errorf("sync a: %w", ctx.Err())
					}
				}
				d, err := New([]Job{f.job(t, "0 * * * *")}, Options{State: store, Clock: martsync.SystemClock{}})
				if err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithCancel(t.Context())
				stop, ended := make(chan struct{}), make(chan error)
				go func() { ended <- d.Run(ctx, stop) }()
				time.Sleep(70 * time.Minute)
				if hard {
					cancel()
				} else {
					close(stop)
				}
				if err := <-ended; err != nil {
					t.Error(err)
				}
				cancel()
				if f.pieces[0].end.IsZero() {
					t.Error("the daemon has ended before its work")
				}
				if f.closed != 1 {
					t.Errorf("closed %d times, want once", f.closed)
				}
				serveFor(t, time.Minute, Options{State: store}, f.job(t, "0 * * * *"))
				if n := len(f.runIDs()); len(f.pieces) != 2 || n != 1 {
					t.Errorf("%d pieces of %d runs, want 2 of 1", len(f.pieces), n)
				}
			})
		})
	}
}

// atOnce counts how many pieces overlap.
func atOnce(pieces []piece) (most int) {
	for _, p := range pieces {
		n := 0
		for _, q := range pieces {
			if !q.begin.After(p.begin) && q.end.After(p.begin) {
				n++
			}
		}
		most = max(most, n)
	}
	return most
}

// Jobs of one account take turns, also where one must wait in between; others run side by side, up to the bound.
func TestAccountsTakeTurns(t *testing.T) {
	for _, test := range []struct {
		name               string
		accounts           []string
		atOnce, wantAtOnce int
	}{
		{"one account", []string{"x", "x", "x"}, 0, 1},
		{"two accounts", []string{"x", "y", "x", "y"}, 0, 2},
		{"more than places", []string{"a", "b", "c", "d", "e"}, 3, 3},
		{"the default", []string{"a", "b", "c", "d", "e", "f"}, 0, 4},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var fakes []*fake
				var jobs []Job
				for i, account := range test.accounts {
					f := &fake{name: fmt.Sprint("job", i), account: account}
					f.advance = func(_ context.Context, n int, _ <-chan struct{}) (Outcome, error) {
						time.Sleep(3 * time.Minute)
						return Outcome{Done: n%2 == 1, WakeAt: time.Now().Add(time.Minute)}, nil
					}
					fakes, jobs = append(fakes, f), append(jobs, f.job(t, "0 * * * *"))
				}
				serveFor(t, 175*time.Minute, Options{State: state.NewMemory(), AtOnce: test.atOnce}, jobs...)
				byAccount := map[string][]piece{}
				var all []piece
				for _, f := range fakes {
					if len(f.pieces) != 4 || len(f.runIDs()) != 2 {
						t.Errorf("%s: %d pieces of %d runs, want 4 of 2", f.name, len(f.pieces), len(f.runIDs()))
					}
					byAccount[f.account] = append(byAccount[f.account], f.pieces...)
					all = append(all, f.pieces...)
				}
				for account, pieces := range byAccount {
					if n := atOnce(pieces); n != 1 {
						t.Errorf("account %s: %d jobs at once, want 1", account, n)
					}
				}
				if n := atOnce(all); n != test.wantAtOnce {
					t.Errorf("%d jobs at once, want %d", n, test.wantAtOnce)
				}
			})
		})
	}
}

func TestAfterFailures(t *testing.T) {
	fail := func(kind martsync.Kind, after time.Duration) error {
		return &martsync.Error{Kind: kind, Op: "test", After: after, Hint: "do something", Err: errors.New("no")}
	}
	for _, test := range []struct {
		name string
		err  error
		done bool // the failed run is over
		open bool // it fails when it is opened
		want []string
		runs int
	}{
		{"somebody must act", fail(martsync.Auth, 0), false, false, []string{"01:00:00", "02:00:00", "03:00:00"}, 3},
		{"a bug", fail(martsync.Internal, 0), true, false, []string{"01:00:00", "02:00:00", "03:00:00"}, 3},
		{"time cures, it goes on", fail(martsync.Transient, 0), false, false, []string{"01:00:00", "01:05:00", "01:15:00", "01:35:00", "02:15:00", "03:15:00"}, 1},
		{"time cures, a new run", fail(martsync.Transient, 0), true, false, []string{"01:00:00", "01:05:00", "01:15:00", "01:35:00", "02:00:00", "03:00:00"}, 6},
		{"a quota that says when", fail(martsync.Quota, 40*time.Minute), false, false, []string{"01:00:00", "01:40:00", "02:20:00", "03:00:00"}, 1},
		{"somebody else committed", fail(martsync.Conflict, 0), true, false, []string{"01:00:00", "01:05:00", "01:15:00", "01:35:00", "02:00:00", "03:00:00"}, 6},
		{"it cannot be opened", fail(martsync.Config, 0), false, true, nil, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &fake{name: "a", account: "x"}
				f.advance = func(context.Context, int, <-chan struct{}) (Outcome, error) {
					return Outcome{Done: test.done}, test.err
				}
				if test.open {
					f.openErr = test.err
				}
				var log strings.Builder
				d, stop := start(t, Options{State: state.NewMemory(), Log: logTo(&log)}, f.job(t, "0 * * * *"))
				time.Sleep(200 * time.Minute)
				s := d.Status()[0]
				stop()
				if diff := cmp.Diff(test.want, f.begins()); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
				if n := len(f.runIDs()); n != test.runs {
					t.Errorf("%d runs, want %d", n, test.runs)
				}
				if s.Kind != martsync.KindOf(test.err).String() || s.Error != test.err.Error() || s.Hint != "do something" || s.Ended.IsZero() {
					t.Errorf("status %+v, want the error", s)
				}
				if !strings.Contains(log.String(), `level=ERROR msg="sync failed" sync=a`) {
					t.Errorf("log without the failure:\n%s", log.String())
				}
				if f.opened != f.closed {
					t.Errorf("opened %d times, closed %d", f.opened, f.closed)
				}
			})
		})
	}
}

// An account that another process holds is asked for again soon, and that is no failure.
func TestBusyAccount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{name: "a", account: "x"}
		f.advance = func(_ context.Context, n int, _ <-chan struct{}) (Outcome, error) {
			if n < 3 {
				return Outcome{}, &martsync.Error{Kind: martsync.Busy, Op: "take x", After: []time.Duration{5 * time.Minute, 20 * time.Second, 0}[n]}
			}
			return Outcome{Done: true}, nil
		}
		store := state.NewMemory()
		d, stop := start(t, Options{State: store}, f.job(t, "0 * * * *"))
		time.Sleep(time.Hour + time.Second)
		begun, err := store.Get(t.Context(), recordKey("a"))
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(90 * time.Second)
		if now, err := store.Get(t.Context(), recordKey("a")); err != nil || now.Revision != begun.Revision {
			t.Errorf("the record was written (%v), want it left to whoever is at work", err)
		}
		time.Sleep(30 * time.Minute)
		s := d.Status()[0]
		stop()
		if diff := cmp.Diff([]string{"01:00:00", "01:01:00", "01:01:20", "01:02:20"}, f.begins()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if len(f.runIDs()) != 1 || s.Error != "" {
			t.Errorf("%d runs, error %q; want 1 and none", len(f.runIDs()), s.Error)
		}
	})
}

func TestPanicIsAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bad, good := &fake{name: "bad", account: "x"}, &fake{name: "good", account: "y"}
		bad.advance = func(context.Context, int, <-chan struct{}) (Outcome, error) { panic("oh") }
		d, stop := start(t, Options{State: state.NewMemory()}, bad.job(t, "0 * * * *"), good.job(t, "0 * * * *"))
		time.Sleep(150 * time.Minute)
		s := d.Status()
		stop()
		if s[0].Kind != "internal" || !strings.Contains(s[0].Error, "panic: oh") || s[1].Error != "" {
			t.Errorf("status %+v, want a panic of the first", s)
		}
		if len(bad.pieces) != 2 || len(good.pieces) != 2 {
			t.Errorf("%d and %d pieces, want 2 each", len(bad.pieces), len(good.pieces))
		}
	})
}

// Two daemons of one state do each run once. The lease keeps them off each other, as that of the pipeline does.
func TestTwoDaemons(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := state.NewMemory()
		done := map[string]int{}
		one, two := &fake{name: "a", account: "x"}, &fake{name: "a", account: "x"}
		for _, f := range []*fake{one, two} {
			f.advance = func(ctx context.Context, n int, _ <-chan struct{}) (Outcome, error) {
				lease, err := state.AcquireLease(ctx, store, martsync.SystemClock{}, f.account, fmt.Sprintf("%p", f), 5*time.Minute)
				if err != nil {
					return Outcome{}, err
				}
				defer lease.Release(ctx)
				time.Sleep(90 * time.Second)
				f.mu.Lock()
				run := f.pieces[n].run
				f.mu.Unlock()
				done[run]++
				return Outcome{Done: true}, nil
			}
		}
		_, stopOne := start(t, Options{State: store}, one.job(t, "0 * * * *"))
		_, stopTwo := start(t, Options{State: store}, two.job(t, "0 * * * *"))
		time.Sleep(5*time.Hour + 30*time.Minute)
		stopOne()
		stopTwo()
		if len(done) != 5 {
			t.Errorf("runs that were done: %v, want 5", done)
		}
		for run, n := range done {
			if n != 1 {
				t.Errorf("run %s was done %d times, want once", run, n)
			}
		}
	})
}

// change changes a job's record as another daemon would.
func change(t *testing.T, store state.Store, name string, how func(*record)) {
	t.Helper()
	d := &Daemon{options: Options{State: store, Clock: martsync.SystemClock{}}}
	r, err := d.load(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	how(&r)
	if _, err := d.save(t.Context(), name, r); err != nil {
		t.Fatal(err)
	}
}

// A record that was touched while a run was at work takes up what the run has come to all the same.
func TestRecordTouchedMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := state.NewMemory()
		f := &fake{name: "a", account: "x"}
		f.advance = func(context.Context, int, <-chan struct{}) (Outcome, error) {
			change(t, store, "a", func(r *record) { r.Wake = time.Now().Add(time.Minute) })
			return Outcome{Done: true}, nil
		}
		serveFor(t, 150*time.Minute, Options{State: store}, f.job(t, "0 * * * *"))
		if diff := cmp.Diff([]string{"01:00:00", "02:00:00"}, f.begins()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

// A run that another daemon has brought to its end while it was open here is over; the next one is opened anew.
func TestRunEndedElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := state.NewMemory()
		f := &fake{name: "a", account: "x"}
		f.advance = func(_ context.Context, n int, _ <-chan struct{}) (Outcome, error) {
			return Outcome{Done: n > 0, WakeAt: time.Now().Add(time.Minute)}, nil
		}
		_, stop := start(t, Options{State: store}, f.job(t, "0 * * * *"))
		time.Sleep(time.Hour + 30*time.Second)
		change(t, store, "a", func(r *record) { r.Run, r.Wake = "", time.Time{} })
		time.Sleep(time.Hour)
		stop()
		if diff := cmp.Diff([]string{"01:00:00", "02:00:00"}, f.begins()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if n := len(f.runIDs()); n != 2 || f.opened != 2 || f.closed != 2 {
			t.Errorf("%d runs, opened %d times, closed %d; want 2 each", n, f.opened, f.closed)
		}
	})
}

// A job that is always due does not keep another one from its turn.
func TestWhoWaitedLongestGoesFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		greedy, other := &fake{name: "greedy", account: "x"}, &fake{name: "other", account: "x"}
		greedy.advance = func(context.Context, int, <-chan struct{}) (Outcome, error) {
			time.Sleep(100 * time.Second)
			return Outcome{Done: true}, nil
		}
		serveFor(t, 70*time.Minute, Options{State: state.NewMemory()}, greedy.job(t, "* * * * *"), other.job(t, "0 * * * *"))
		if got := other.begins(); len(got) != 1 || got[0] > "01:04" {
			t.Errorf("the other one ran at %v, want once, soon after 01:00", got)
		}
	})
}

// Without its state a daemon begins nothing, says that it is unwell, and goes on when the state is back.
func TestStateThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &brokenStore{Store: state.NewMemory()}
		f := &fake{name: "a", account: "x"}
		d, stop := start(t, Options{State: store}, f.job(t, "0 * * * *"))
		time.Sleep(30 * time.Minute)
		store.set(errors.New("no such bucket"))
		time.Sleep(45 * time.Minute)
		if code, body := get(t, d, "/healthz"); code != 503 || !strings.Contains(body, "state cannot be used") {
			t.Errorf("health: %d %s, want 503", code, body)
		}
		store.set(nil)
		time.Sleep(5 * time.Minute)
		if code, body := get(t, d, "/healthz"); code != 200 {
			t.Errorf("health: %d %s, want 200", code, body)
		}
		stop()
		if got := f.begins(); len(got) != 1 || got[0] < "01:15" || got[0] > "01:16" {
			t.Errorf("ran at %v, want once as soon as the state was back", got)
		}
	})
}

// A run begins at its time or later, always before the next one, and at the same time whoever asks.
func TestJitter(t *testing.T) {
	different := map[time.Duration]bool{}
	rapid.Check(t, func(t *rapid.T) {
		expression := rapid.SampledFrom([]string{"* * * * *", "*/5 * * * *", "0 * * * *", "0 9 * * WED"}).Draw(t, "schedule")
		s, err := schedule.Parse(expression)
		if err != nil {
			t.Fatal(err)
		}
		j := &Job{Name: rapid.StringMatching(`[a-z]{1,8}`).Draw(t, "name"), Schedule: s, Zone: time.UTC}
		jitter := time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "jitter"))
		since := time.Unix(rapid.Int64Range(1.7e9, 2e9).Draw(t, "since"), 0)
		due := s.Next(since, time.UTC)
		r := record{Since: since}
		got := r.next(j, jitter)
		if got.Before(due) || got.Sub(due) > jitter || !got.Before(s.Next(due, time.UTC)) {
			t.Errorf("%s, due %s, jitter %s: begins at %s", expression, due, jitter, got)
		}
		if again := r.next(j, jitter); !again.Equal(got) {
			t.Errorf("begins at %s, then at %s", got, again)
		}
		different[got.Sub(due)] = true
	})
	if len(different) < 5 { // of twenty or more
		t.Errorf("%d different delays, want many", len(different))
	}
}

func TestNewRefuses(t *testing.T) {
	good := (&fake{name: "a"}).job(t, "0 * * * *")
	with := func(change func(*Job)) []Job {
		j := good
		change(&j)
		return []Job{good, j}
	}
	o := Options{State: state.NewMemory(), Clock: martsync.SystemClock{}}
	for _, test := range []struct {
		name    string
		jobs    []Job
		options Options
		kind    martsync.Kind
		want    string
	}{
		{"no jobs", nil, o, martsync.Config, "no sync has a schedule"},
		{"no state", []Job{good}, Options{Clock: o.Clock}, martsync.Internal, "must be set"},
		{"a name twice", []Job{good, good}, o, martsync.Internal, "a name of its own"},
		{"a slash", with(func(j *Job) { j.Name = "a/b" }), o, martsync.Internal, "without slashes"},
		{"no zone", with(func(j *Job) { j.Name, j.Zone = "b", nil }), o, martsync.Internal, "job b"},
	} {
		_, err := New(test.jobs, test.options)
		if err == nil || martsync.KindOf(err) != test.kind || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want an error of kind %s with %q", test.name, err, test.kind, test.want)
		}
	}
}

func TestRunTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, stop := start(t, Options{State: state.NewMemory()}, (&fake{name: "a"}).job(t, "0 9 * * *"), (&fake{name: "b"}).job(t, "0 * * * *"))
		time.Sleep(5 * time.Minute)
		if s := d.Status(); s[0].Sync != "a" || s[1].Sync != "b" {
			t.Errorf("status %+v, want the order of the jobs", s)
		}
		if err := d.Run(t.Context(), nil); err == nil {
			t.Error("a daemon runs twice at once")
		}
		stop()
		if slices.ContainsFunc(d.Status(), func(s JobStatus) bool { return s.Next.IsZero() }) {
			t.Errorf("status %+v, want when it runs next", d.Status())
		}
	})
}

// A clock that was years ahead when a run began must not keep the job from running until then.
func TestAClockThatWasAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := state.NewMemory()
		f := &fake{name: "a", account: "x"}
		d, err := New([]Job{f.job(t, "0 * * * *")}, Options{State: store, Clock: martsync.SystemClock{}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := d.save(t.Context(), "a", record{Since: time.Now().AddDate(2, 0, 0)}); err != nil {
			t.Fatal(err)
		}
		serveFor(t, 150*time.Minute, Options{State: store}, f.job(t, "0 * * * *"))
		if diff := cmp.Diff([]string{"01:00:00", "02:00:00"}, f.begins()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}
