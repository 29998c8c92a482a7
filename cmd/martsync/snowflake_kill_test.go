//go:build cgo && !lite

package main

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/destination/snowflake/snowflakesim"
	"github.com/martsync/martsync/internal/connectors"
	"github.com/martsync/martsync/internal/crash"
)

// snowKillSpeed is that of the clock of the programs that are killed and of the simulators: what takes an
// export job minutes takes it milliseconds.
const snowKillSpeed = 3600

// TestKilledSyncsIntoSnowflake runs the program, kills it in the middle, and runs it again until it comes to its end;
// then the account changes, and all of it once more. The tables must equal the account, no window may be in
// the ledger twice, and nothing of the dead may be left on the stage.
func TestKilledSyncsIntoSnowflake(t *testing.T) {
	long(t)
	for _, simulator := range connectors.Simulators() {
		t.Run(simulator.Name, func(t *testing.T) {
			byDay(t, simulator.Name == "pardot")
			t.Parallel() // much of the time is spent waiting for leases of the dead
			clock, speed := paced(snowKillSpeed)
			m := newSnowMart(t, simulator, clock, 30)
			k := &snowKiller{m: m, random: rand.New(rand.NewPCG(1, 2)), speed: speed, statements: newGate()}
			m.useMart(snowflakesim.Options{OnStatement: func(string) {
				if dead := k.dead.Load(); dead != nil && !k.statements.pass(*dead) {
					panic(http.ErrAbortHandler) // the account has never heard of it
				}
			}})
			m.configure()
			pass(t, clock, 30*time.Minute) // of what is newer, some may still be on its way
			for round := range 2 {
				k.untilDone()
				m.compare()
				m.noLedgerTwice()
				m.noLeftovers()
				if round == 0 {
					m.account.Change(30)
					pass(t, clock, 25*time.Hour) // what has no change dates is listed once a day
				}
			}
			t.Logf("killed %d times, %d runs, by %v, %d statements", k.kills, k.runs, k.at, k.statements.calls())
			if k.kills < 8 {
				t.Errorf("killed %d times in %d runs, want at least 8", k.kills, k.runs)
			}
		})
	}
}

// pass lets time pass.
func pass(t *testing.T, clock martsync.Clock, d time.Duration) {
	t.Helper()
	if err := clock.Sleep(t.Context(), d); err != nil {
		t.Fatal(err)
	}
}

// noLedgerTwice looks for windows that were committed more than once, or whose counts do not add up (I4).
func (m *snowMart) noLedgerTwice() {
	m.t.Helper()
	d := m.open()
	defer d.Close()
	type key struct {
		stream string
		window martsync.Window
	}
	seen := map[key]string{}
	for entry, err := range d.(martsync.HistoryReader).Ledger(m.t.Context(), "") {
		if err != nil {
			m.t.Fatal(err)
		}
		w := entry.Window
		if w.Written+w.Quarantined != w.Parsed {
			m.t.Errorf("%s, %s: of %d rows %d were written and %d quarantined", entry.Stream, w.Job, w.Parsed, w.Written, w.Quarantined)
		}
		if before, ok := seen[key{entry.Stream, w}]; ok && w.Job != "" {
			m.t.Errorf("%s: window %s is in the ledger twice, by %s and %s", entry.Stream, w.Job, before, entry.Sync)
		}
		seen[key{entry.Stream, w}] = entry.Sync
	}
	if len(seen) == 0 {
		m.t.Error("the ledger is empty")
	}
}

// noLeftovers looks for files of rows on the stage, and for staging tables.
func (m *snowMart) noLeftovers() {
	m.t.Helper()
	schema := snowflakesim.DefaultDatabase + "." + strings.ToUpper(m.name)
	files := m.mart.Files(schema + "._MARTSYNC_STAGE")
	for _, f := range files {
		if strings.HasSuffix(f.Name, ".parquet") {
			m.t.Errorf("left on the stage: %s", f.Name)
		}
	}
	if len(files) == 0 {
		m.t.Error("the stage is empty: the test looks at nothing")
	}
	for _, row := range m.see("SELECT TABLE_NAME FROM MART.INFORMATION_SCHEMA.TABLES WHERE TABLE_SCHEMA = '" + strings.ToUpper(m.name) + "'") {
		if name, _ := row[0].(string); strings.Contains(name, "_STG_") {
			m.t.Errorf("left in the schema: %s", name)
		}
	}
}

// A snowKiller runs the program and kills it.
type snowKiller struct {
	m      *snowMart
	random *rand.Rand
	speed  string // of the clock

	statements *gate                           // of the Snowflake account
	dead       atomic.Pointer[<-chan struct{}] // closed: the program that runs, or ran last, has ended

	runs, kills int
	at          map[string]int // how often each verb was the last that the account saw
}

// untilDone runs the program until it comes to its end by itself. It is killed at a random moment, somewhat later
// each time: it has to come further than it was.
func (k *snowKiller) untilDone() {
	k.m.t.Helper()
	later := 50 // statements
	if crash.Nightly() {
		later = 10
	}
	before := k.kills
	for last := k.runs + mostKilledRuns; ; {
		after := int64(k.random.IntN(20 + later*(k.kills-before)))
		if k.run(after, time.Duration(k.random.IntN(30))*time.Millisecond) {
			return
		}
		if k.runs >= last {
			k.m.t.Fatal("it does not come to its end")
		}
	}
}

// run runs the program until the Snowflake account has seen that many statements and some time has passed. It
// reports whether the program has done what it was to do.
func (k *snowKiller) run(statements int64, then time.Duration) (done bool) {
	t := k.m.t
	t.Helper()
	program, err := exec.LookPath("martsync")
	if err != nil {
		t.Fatal(err)
	}
	ctx, ended := context.WithTimeout(t.Context(), 8*time.Minute)
	defer ended()
	var output bytes.Buffer
	cmd := exec.Command(program, "sync", "--no-input", "--log-format", "json")
	cmd.Dir = k.m.dir
	cmd.Env = append(os.Environ(), "MARTSYNC_SPEED="+k.speed)
	cmd.Stdout, cmd.Stderr = &output, &output
	near := k.statements.limit(statements, killSlack)
	defer func() {
		k.dead.Store(nil)
		k.statements.open()
	}()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	k.runs++
	result, dead := make(chan error, 1), ctx.Done()
	k.dead.Store(&dead)
	go func() { result <- cmd.Wait(); ended() }()
	select {
	case <-near:
		_ = martsync.SystemClock{}.Sleep(ctx, then)
	case <-ctx.Done(): // it has come to its end, or does nothing
	}
	_ = cmd.Process.Kill() // no signal that it could heed
	err = <-result
	if err == nil {
		return true
	}
	exit, ok := errors.AsType[*exec.ExitError](err)
	switch {
	case !ok:
		t.Fatal(err)
	case exit.ExitCode() == -1: // by the signal
		k.kills++
		k.note()
	case exit.ExitCode() == martsync.ExitBusy: // the lease of the dead has not run out
		pass(t, k.m.clock, 10*time.Minute)
	case exit.ExitCode() == martsync.ExitConflict: // what the dead had sent when they died was done only now
	default:
		t.Fatalf("exit code %d\n%s", exit.ExitCode(), &output)
	}
	return false
}

// note remembers what the account saw last.
func (k *snowKiller) note() {
	all := k.m.mart.Statements()
	if len(all) == 0 {
		return
	}
	if k.at == nil {
		k.at = map[string]int{}
	}
	verb, _, _ := strings.Cut(all[len(all)-1].SQL, " ")
	k.at[verb]++
}
