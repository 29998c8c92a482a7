package alert

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/runlog"
)

// A failure is told once, again after a day, and once that it is over.
func TestFailure(t *testing.T) {
	f := newFixture(t)
	f.ran(done("r0", stream("leads")), nil)
	f.want()
	f.ran(done("r1", failed("leads", martsync.Data, "look at the file"), stream("emails"), stream("programs")), broken(martsync.Data, "broken", ""))
	m := f.want("failure problem: marketing: stream leads failed")[0]
	has(t, m, "What: leads: the file is broken\n", "Since: Wed 11 Mar 2026 09:00 UTC\n", "Nothing is lost: the table of leads stays as it is",
		"Next: The schedule tries again at Wed 18 Mar 2026 09:00 UTC.", "Do: Look at the file.\n", "Look: martsync logs marketing --run r1\n")

	for i := range 5 {
		f.clock.move(time.Hour)
		f.ran(done(fmt.Sprint("again", i), failed("leads", martsync.Data, ""), stream("emails")), broken(martsync.Data, "broken", ""))
		f.watcher().Look(t.Context())
	}
	f.want()
	f.clock.move(19 * time.Hour)
	f.watcher().Look(t.Context()) // nothing runs, and yet it is time
	m = f.want("failure reminder: Reminder: marketing: stream leads failed")[0]
	has(t, m, "Since: Wed 11 Mar 2026 09:00 UTC (24h ago, 6 runs)")

	f.clock.move(time.Hour)
	f.ran(done("r2", stream("leads")), nil)
	m = f.want("recovery over: marketing works again")[0]
	has(t, m, "It is over since Thu 12 Mar 2026 10:00 UTC, after 25h.", "Was: leads: the file is broken", "Look: martsync status marketing")
	f.clock.move(48 * time.Hour)
	f.ran(done("r3", stream("leads")), nil)
	f.watcher().Look(t.Context())
	f.want()
}

// What the person on call reads of each kind of failure.
func TestFailureTexts(t *testing.T) {
	for _, tc := range []struct {
		name  string
		run   *runlog.Run
		err   error
		title string
		parts []string
	}{
		{
			"several streams", done("r", failed("leads", martsync.Data, "h"), failed("emails", martsync.Transient, ""), stream("programs")), broken(martsync.Data, "2 streams failed", "look"),
			"failure problem: marketing: 2 of 3 streams failed",
			[]string{"What: marketo: create export: 2 streams failed\n", "Streams: leads, emails\n", "the tables of these streams stay as they are", "Do: Look.\n"},
		},
		{
			"all streams", done("r", failed("leads", martsync.Internal, "")), broken(martsync.Internal, "panic: x", ""),
			"failure problem: marketing failed",
			[]string{"what was committed stays, and the next run goes on from there", "Do: This looks like a bug in martsync: run martsync sync marketing -vv and report what it prints.\n"},
		},
		{
			"a credential", done("r"), broken(martsync.Auth, "601: token is invalid", "Renew client_secret"),
			"credentials problem: marketing: a credential or permission was refused",
			[]string{"601: token is invalid", "Do: Renew client_secret.\n", "Look: martsync check\n"},
		},
		{
			"a run that could not begin", nil, broken(martsync.Config, "there is no such bucket", "create the bucket"),
			"failure problem: marketing failed",
			[]string{"Do: Create the bucket.\n", "Look: martsync check\n"},
		},
		{
			"time may cure it", done("r"), broken(martsync.Transient, "the vendor does not answer", ""),
			"failure problem: marketing failed",
			[]string{"Next: Time may cure this: martsync serve tries again within the hour, and the schedule does at Wed 18 Mar 2026 09:00 UTC.\n"},
		},
		{
			"a stream of a run that goes on", &runlog.Run{ID: "r", Sync: "marketing", Status: runlog.Waiting, Streams: []runlog.Stream{failed("leads", martsync.Data, ""), {Stream: "emails", Phase: runlog.PhaseWait}}}, nil,
			"failure problem: marketing: stream leads failed",
			[]string{"The other streams go on."},
		},
		{
			"a long text of several lines", done("r"), broken(martsync.Data, strings.Repeat("line\n", 500), ""),
			"failure problem: marketing failed",
			[]string{"line line", "…\nSince"},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := newFixture(t)
			f.ran(tc.run, tc.err)
			if got := f.want(tc.title); len(got) == 1 {
				has(t, got[0], tc.parts...)
			}
		})
	}
	for name, err := range map[string]error{
		"busy":        broken(martsync.Busy, "another sync holds the account", ""),
		"conflict":    broken(martsync.Conflict, "another sync committed first", ""),
		"interrupted": fmt.Errorf("sync: %w", context.Canceled),
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			f.ran(nil, err)
			f.want()
		})
	}
}

// A failure of another kind is news: other people may have to act.
func TestAnotherKind(t *testing.T) {
	f := newFixture(t)
	f.ran(done("r1"), broken(martsync.Transient, "does not answer", ""))
	f.want("failure problem: marketing failed")
	f.clock.move(time.Hour)
	f.ran(done("r2"), broken(martsync.Auth, "expired", ""))
	m := f.want("credentials problem: marketing: a credential or permission was refused")[0]
	has(t, m, "Since: Wed 11 Mar 2026 09:00 UTC (1h ago, 2 runs)")
	f.ran(done("r3"), nil)
	f.want("recovery over: marketing works again")
}

// A run of some streams only says nothing about the others.
func TestPartialRun(t *testing.T) {
	f := newFixture(t)
	f.ran(done("r1"), broken(martsync.Data, "x", ""))
	f.want("failure problem: marketing failed")
	part := done("r2", stream("emails"))
	part.End = f.clock.Now()
	f.watcher().Ran(t.Context(), Report{Sync: "marketing", Run: part, Partial: true})
	f.want()
	f.ran(done("r3"), nil)
	f.want("recovery over: marketing works again")
}

// People get what they asked for, of the syncs they asked for.
func TestRules(t *testing.T) {
	f := newFixture(t, Rule{Name: "oncall"}, Rule{Name: "failures", On: []Event{Failure}}, Rule{Name: "late", On: []Event{Late, Recovery}},
		Rule{Name: "other", Syncs: []string{"by*"}}, Rule{Name: "half", Quota: 50, On: []Event{Quota}})
	f.ran(done("r1"), broken(martsync.Auth, "expired", ""))
	f.ran(done("r2"), nil)
	run := done("r3")
	run.Usage = []martsync.Usage{{Name: "API calls", Unit: "calls", Today: 30_000, Limit: 50_000}}
	f.ran(run, nil)
	f.want("credentials problem: marketing: a credential or permission was refused", "recovery over: marketing works again")
	f.wantOf("failures", "credentials problem: marketing: a credential or permission was refused")
	f.wantOf("late")
	f.wantOf("other")
	f.wantOf("half", "quota problem: marketing: API calls at 60 % of the day's limit")
}

func TestQuota(t *testing.T) {
	f := newFixture(t)
	spend := func(id string, today, spent int64) {
		t.Helper()
		run := done(id)
		run.Usage = []martsync.Usage{
			{Name: "API calls", Unit: "calls", Today: today, Spent: spent, Limit: 50_000},
			{Name: "export jobs", Unit: "jobs", Today: -1, Spent: 9}, // without a limit
		}
		f.ran(run, nil)
	}
	spend("r1", 39_999, 1)
	f.want()
	spend("r2", 40_000, 1)
	m := f.want("quota problem: marketing: API calls at 80 % of the day's limit")[0]
	has(t, m, "What: 40,000 calls of 50,000 calls are spent.", "waits until the vendor resets it and goes on by itself")
	spend("r3", 49_000, 1)
	f.want()
	f.clock.move(24 * time.Hour)
	spend("r4", 49_000, 1)
	f.want("quota reminder: Reminder: marketing: API calls at 98 % of the day's limit")
	spend("r5", 500, 1)
	f.want("recovery over: marketing: API calls are back at 1 % of the limit")
	// The vendor does not tell what all have spent: then what this run has counts, unless it is older than a day.
	spend("r6", -1, 45_000)
	f.want("quota problem: marketing: API calls at 90 % of the day's limit")
	f.watcher().Ran(t.Context(), Report{Sync: "marketing", Run: done("r7")}) // says nothing about limits
	f.want()
	old := done("r8")
	old.Start = f.clock.Now().Add(-25 * time.Hour)
	old.Usage = []martsync.Usage{{Name: "export bytes", Unit: "bytes", Today: -1, Spent: 900, Limit: 1000}}
	f.ran(old, nil)
	f.want()
}

// Each change of a table is told once, however often the run is looked at.
func TestSchemaChanges(t *testing.T) {
	f := newFixture(t)
	run := done("r1", stream("leads"), stream("emails"))
	run.Status = runlog.Waiting
	run.Streams[0].Changes = []string{"column score added as int64"}
	f.ran(run, nil)
	m := f.want("schema problem: marketing: 1 change of the tables")[0]
	has(t, m, "leads: column score added as int64\n", "Nothing is lost", "--backfill --stream NAME")
	f.ran(run, nil)
	f.want()
	run.Streams[1].Changes = []string{"column a widened from int64 to float64", "column b is no longer at the source; the table keeps it"}
	run.Status = runlog.Done
	f.ran(run, nil)
	m = f.want("schema problem: marketing: 2 changes of the tables")[0]
	has(t, m, "emails: column a widened", "emails: column b is no longer")
	if strings.Contains(text(m), "score") {
		t.Errorf("an old change is told again:\n%s", text(m))
	}
	f.ran(run, nil)
	next := done("r2", stream("leads"))
	next.Streams[0].Changes = []string{"column score added as int64"}
	f.ran(next, nil)
	f.want("schema problem: marketing: 1 change of the tables")
}

// A run that waits and one that somebody has begun beside it take turns: what was told of the first is not news again.
func TestRunsThatTakeTurns(t *testing.T) {
	f := newFixture(t)
	waits := done("r1", stream("leads"))
	waits.Status = runlog.Waiting
	waits.Streams[0].Changes, waits.Streams[0].Quarantined = []string{"column score added as int64"}, 2
	f.ran(waits, nil)
	f.want("quarantine problem: marketing: 2 rows were set aside", "schema problem: marketing: 1 change of the tables")
	f.ran(done("r2", stream("emails")), nil)
	f.ran(waits, nil)
	f.clock.move(25 * time.Hour)
	f.ran(waits, nil)
	f.want()
}

// Rows set aside are told when there are enough of them, and then once a day what has come to them.
func TestQuarantine(t *testing.T) {
	f := newFixture(t, Rule{Name: "oncall"}, Rule{Name: "many", Quarantine: 10})
	aside := func(id string, n int64) {
		t.Helper()
		run := done(id, stream("leads"))
		run.Streams[0].Quarantined = n
		f.ran(run, nil)
	}
	aside("r1", 0)
	f.want()
	aside("r2", 3)
	m := f.want("quarantine problem: marketing: 3 rows were set aside")[0]
	has(t, m, "_martsync_quarantine", "Streams: leads\n", "the tables lack these rows", "Look: martsync logs marketing --run r2")
	f.wantOf("many")
	aside("r2", 5) // the run goes on
	aside("r3", 6)
	f.want()
	f.wantOf("many", "quarantine problem: marketing: 11 rows were set aside")
	f.clock.move(24 * time.Hour)
	aside("r4", 1)
	m = f.want("quarantine problem: marketing: 9 rows were set aside")[0]
	has(t, m, "In all: 12 rows since Wed 11 Mar 2026 09:00 UTC")
	aside("r5", 0)
	f.clock.move(24 * time.Hour)
	f.watcher().Look(t.Context()) // nothing has come to them
	f.wantOf("oncall")
}

// A sender that is broken fails nothing and is tried again, less and less often; nobody else waits for it.
func TestBrokenSender(t *testing.T) {
	f := newFixture(t, Rule{Name: "oncall"}, Rule{Name: "mail"})
	f.people["mail"].fails = broken(martsync.Transient, "no answer", "look at the network")
	f.ran(done("r1"), broken(martsync.Data, "x", ""))
	f.want("failure problem: marketing failed")
	if !strings.Contains(f.log.String(), "alert was not sent") || !strings.Contains(f.log.String(), "no answer") {
		t.Errorf("the log does not tell:\n%s", f.log.String())
	}
	for range 12 {
		f.clock.move(time.Minute)
		f.watcher().Look(t.Context())
	}
	if n := f.people["mail"].opens.Load(); n != 2 {
		t.Errorf("tried %d times in 12 minutes, want 2", n)
	}
	f.people["mail"].fails = nil
	f.clock.move(time.Hour)
	f.watcher().Look(t.Context())
	f.wantOf("mail", "failure problem: marketing failed")
	f.people["mail"].fails = errors.New("down again")
	f.ran(done("r2"), nil)
	f.want("recovery over: marketing works again")
	f.people["mail"].fails = nil
	f.clock.move(time.Hour)
	f.watcher().Look(t.Context())
	f.wantOf("mail", "recovery over: marketing works again")
	f.clock.move(48 * time.Hour)
	f.watcher().Look(t.Context())
	f.want()
}

// A sender that breaks in the worst way fails nothing either.
func TestPanickingSender(t *testing.T) {
	f := newFixture(t)
	f.rules[0].Open = func(context.Context) (Sender, error) { panic("a bug") }
	f.ran(done("r1"), broken(martsync.Data, "x", ""))
	if !strings.Contains(f.log.String(), "panic: a bug") {
		t.Errorf("the log does not tell:\n%s", f.log.String())
	}
	if err := f.watcher().Test(t.Context())[0].Err; martsync.KindOf(err) != martsync.Internal {
		t.Errorf("got %v, want an internal error", err)
	}
}

// Without the state nobody knows what was told; a failure is told all the same, once a process.
func TestBrokenState(t *testing.T) {
	f := newFixture(t)
	f.store.fails = errors.New("no bucket")
	w := f.watcher()
	for range 3 {
		w.Ran(t.Context(), Report{Sync: "marketing", Err: broken(martsync.Config, "no bucket", "")})
	}
	f.want("failure problem: marketing failed")
	w.Ran(t.Context(), Report{Sync: "marketing", Run: done("r1")})
	f.want()
}

// Of many processes that see the same, one tells.
func TestManyProcesses(t *testing.T) {
	f := newFixture(t)
	var group sync.WaitGroup
	for range 8 {
		w := f.watcher()
		w.o.Log = discard
		group.Go(func() {
			w.Ran(t.Context(), Report{Sync: "marketing", Run: done("r1"), Err: broken(martsync.Data, "x", "")})
			w.Look(t.Context())
		})
	}
	group.Wait()
	f.want("failure problem: marketing failed")
}

// A process that died while it was sending is followed by one that sends.
func TestKilledWhileSending(t *testing.T) {
	f := newFixture(t)
	w := f.watcher()
	ctx := t.Context()
	if err := w.update(ctx, "marketing", func(d *record) bool {
		d.First = f.clock.Now()
		d.fail(entry{Event: Failure, Kind: "data", Since: f.clock.Now(), Last: f.clock.Now(), Times: 1, Told: map[string]*told{"oncall": {Claimed: f.clock.Now()}}})
		return true
	}); err != nil {
		t.Fatal(err)
	}
	w.Look(ctx)
	f.want()
	f.clock.move(claimTime)
	w.Look(ctx)
	f.want("failure problem: marketing failed")
}

// A run that waits a thousand times does not write a thousand records, and one without rules none at all.
func TestWritesLittle(t *testing.T) {
	f := newFixture(t)
	f.ran(done("r0"), nil)
	run := &runlog.Run{ID: "r1", Sync: "marketing", Status: runlog.Waiting, Streams: []runlog.Stream{{Stream: "leads", Phase: runlog.PhaseWait}}}
	w := f.watcher()
	w.looked = f.clock.Now()
	before := f.store.puts.Load()
	for range 100 {
		w.Ran(t.Context(), Report{Sync: "marketing", Run: run})
	}
	if n := f.store.puts.Load() - before; n != 0 {
		t.Errorf("%d writes", n)
	}
	f.rules = nil
	w = f.watcher()
	f.store.fails = errors.New("must not be asked")
	w.Ran(t.Context(), Report{Sync: "marketing", Err: errors.New("x")})
	w.Look(t.Context())
	if f.log.Len() != 0 {
		t.Errorf("logged %s", f.log.String())
	}
}

// What cannot be understood is begun anew.
func TestDamagedRecord(t *testing.T) {
	f := newFixture(t)
	for _, text := range []string{"not JSON", "{}", `{"first":"2026-01-01T00:00:00Z","open":null}`} {
		d, err := f.store.Store.Get(t.Context(), key("marketing"))
		if err != nil {
			d.Revision = ""
		}
		if _, err := f.store.Store.Put(t.Context(), key("marketing"), []byte(text), d.Revision); err != nil {
			t.Fatal(err)
		}
		f.ran(done("r1"), broken(martsync.Data, "x", ""))
		f.want("failure problem: marketing failed")
	}
}

func TestTest(t *testing.T) {
	f := newFixture(t, Rule{Name: "oncall", On: []Event{Failure, Late}, Syncs: []string{"m*"}}, Rule{Name: "mail"})
	f.people["mail"].fails = broken(martsync.Auth, "535", "check password")
	got := f.watcher().Test(t.Context())
	if len(got) != 2 || got[0].Err != nil || martsync.KindOf(got[1].Err) != martsync.Auth || martsync.HintOf(got[1].Err) != "check password" {
		t.Errorf("got %+v", got)
	}
	m := f.want(" test: martsync: a test of alert oncall")[0]
	has(t, m, "Told of: failure, late; of m*")
	if f.store.puts.Load() != 0 {
		t.Error("a test was remembered")
	}
}

// Titles are cut between characters.
func TestMessageCuts(t *testing.T) {
	if diff := cmp.Diff("Größe…", cut("Größe ist alles", 10)); diff != "" {
		t.Error(diff)
	}
	if got := cut("kurz", 10); got != "kurz" {
		t.Errorf("got %q", got)
	}
}

// Who is slow to answer keeps nobody else waiting: here the first one does not answer before the second one has its
// message, whether there is a record of who was told or not.
func TestSlowReceiver(t *testing.T) {
	for name, tell := range map[string]func(*fixture){
		"a failure": func(f *fixture) {
			f.ran(done("r", failed("leads", martsync.Data, "")), broken(martsync.Data, "broken", ""))
		},
		"without state": func(f *fixture) { f.store.fails = errors.New("no"); f.ran(nil, broken(martsync.Data, "broken", "")) },
		"a test":        func(f *fixture) { f.watcher().Test(t.Context()) },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, Rule{Name: "a slow one"}, Rule{Name: "oncall"})
			arrived := make(chan struct{})
			f.rules[0].Open = func(context.Context) (Sender, error) {
				return senderFunc(func(ctx context.Context, m Message) error {
					select {
					case <-arrived:
						return f.people["a slow one"].Send(ctx, m)
					case <-time.After(10 * time.Second):
						return errors.New("nobody else was sent anything meanwhile")
					}
				}), nil
			}
			f.rules[1].Open = func(context.Context) (Sender, error) {
				return senderFunc(func(ctx context.Context, m Message) error {
					defer close(arrived)
					return f.people["oncall"].Send(ctx, m)
				}), nil
			}
			tell(f)
			for name, p := range f.people {
				if len(p.got) != 1 {
					t.Errorf("%s got %d messages, want 1; log:\n%s", name, len(p.got), f.log.String())
				}
			}
		})
	}
}

// All that the same people are sent at once comes in order, and shares the time there is for it.
func TestOneReceiverOfManyMessages(t *testing.T) {
	f := newFixture(t, Rule{Name: "oncall"})
	var deadlines []time.Time
	var titles []string
	f.rules[0].Open = func(context.Context) (Sender, error) {
		return senderFunc(func(ctx context.Context, m Message) error {
			deadline, _ := ctx.Deadline()
			deadlines, titles = append(deadlines, deadline), append(titles, string(m.Event)) // a race, were it not one after the other
			return nil
		}), nil
	}
	r := done("r", failed("leads", martsync.Data, ""))
	r.Streams[0].Quarantined = 3
	f.ran(r, broken(martsync.Auth, "broken", ""))
	if diff := cmp.Diff([]string{"credentials", "quarantine"}, titles); diff != "" {
		t.Errorf("messages (-want +got):\n%s\nlog:\n%s", diff, f.log.String())
	}
	if len(deadlines) == 2 && (deadlines[0].IsZero() || !deadlines[0].Equal(deadlines[1])) {
		t.Errorf("deadlines are %v, want one for both", deadlines)
	}
}

// A senderFunc is a sender of one function.
type senderFunc func(context.Context, Message) error

func (f senderFunc) Send(ctx context.Context, m Message) error { return f(ctx, m) }
