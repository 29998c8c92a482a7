package marketo

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/simulate"
	"github.com/martsync/martsync/source/marketo/marketosim"
)

var bulkNames = []string{"leads", "activities", "deleted_leads", "lead_merges"}

// byBulk makes activities come by export jobs whatever they would cost page by page.
func byBulk(c *Config) { c.Activities.Mode = "bulk" }

func byRest(c *Config) { c.Activities.Mode = "rest" }

func TestFirstSyncThenChanges(t *testing.T) {
	for _, mode := range []func(*Config){byBulk, byRest} {
		a := newAccount(t, marketosim.Config{})
		a.tweak = mode
		marts := map[string]*mart{}
		for _, name := range bulkNames {
			marts[name] = a.mart(name)
			a.sync(marts[name])
			a.check(marts[name])
		}
		for range 3 {
			for range 4 {
				a.sim.Change(15)
				a.clock.Advance(40 * time.Minute)
			}
			for _, name := range bulkNames {
				a.sync(marts[name])
				a.check(marts[name])
				marts[name].checkLedger(t)
			}
			a.clock.Advance(20 * time.Hour)
		}
	}
}

// A second sync at the same moment has nothing to do and makes no call.
func TestNothingNewCostsNothing(t *testing.T) {
	for _, name := range bulkNames {
		a := newAccount(t, marketosim.Config{Options: simulate.Options{Rows: 10}})
		m := a.mart(name)
		a.sync(m)
		windows := len(m.windows)
		s := a.open()
		st, err := a.stream(s, name)
		if err != nil {
			t.Fatal(err)
		}
		before := a.sim.Stats().Calls
		if before == 0 {
			t.Fatal("the simulator counts no calls")
		}
		// Waiting for jobs has moved the clock, so the first of these may read a few minutes more.
		for range 2 {
			before = a.sim.Stats().Calls
			for {
				err := m.attempt(context.Background(), st, martsync.Span{End: a.clock.Now().Add(-time.Hour)}, never)
				if err == nil {
					break
				}
				if !martsync.KindOf(err).Waits() {
					t.Fatal(err)
				}
				a.clock.Advance(martsync.AfterOf(err))
			}
		}
		if got := a.sim.Stats().Calls - before; got != 0 || len(m.windows) != windows {
			t.Errorf("%s: a sync with nothing new made %d calls and %d windows", name, got, len(m.windows)-windows)
		}
	}
}

// E8: whichever call dies, before it reaches the vendor or after, another process finishes with the
// same table, and the vendor has exported no more bytes than without the death. A job whose process died before it heard
// of it exists beside the others, and never runs.
func TestE8KilledAtEveryCall(t *testing.T) {
	for _, name := range []string{"leads", "activities", "lead_merges"} {
		t.Run(name, func(t *testing.T) {
			begin := func() (*account, *mart) {
				a := newAccount(t, marketosim.Config{Options: simulate.Options{Rows: 10}, PerLead: 4})
				a.tweak = byBulk
				m := a.mart(name)
				a.line.mend(0, false)
				return a, m
			}
			a, m := begin()
			a.sync(m)
			a.check(m)
			calls, stats := a.line.n, a.sim.Stats()
			if calls < 8 || stats.ExportJobs == 0 {
				t.Fatalf("a sync makes %d calls and %d jobs: too few to be a test", calls, stats.ExportJobs)
			}
			for _, after := range []bool{false, true} {
				for k := 1; k <= calls; k++ {
					a, m := begin()
					a.line.mend(k, after)
					err := a.try(m, a.open(), martsync.Span{}, a.line.dead)
					if !a.line.dead() {
						t.Fatalf("call %d was never made: %v", k, err)
					}
					died := a.line.paths[len(a.line.paths)-1]
					a.line.mend(0, false)
					a.sync(m)
					if d := a.differences(m); len(d) > 0 {
						t.Errorf("killed at call %d (%s, after %t): %s", k, died, after, strings.Join(d, "\n"))
					}
					m.checkLedger(t)
					got, most := a.sim.Stats(), stats.ExportJobs
					if after && strings.HasSuffix(died, "/create.json") {
						most++
					}
					if got.ExportJobs > most || got.ExportBytes > stats.ExportBytes {
						t.Errorf("killed at call %d (%s, after %t): %d jobs with %d bytes, want at most %d with %d",
							k, died, after, got.ExportJobs, got.ExportBytes, most, stats.ExportBytes)
					}
				}
			}
		})
	}
}

// E8 and I3: whatever step of the engine the process dies at, the result is the same.
func TestE8KilledAtEveryStep(t *testing.T) {
	for _, name := range bulkNames {
		for _, mode := range []string{"bulk", "rest"} {
			if mode == "rest" && (name == "leads" || name == "deleted_leads") {
				continue // they have one way only
			}
			t.Run(name+" "+mode, func(t *testing.T) {
				for k := 1; ; k++ {
					a := newAccount(t, marketosim.Config{Options: simulate.Options{Rows: 10}, PerLead: 4})
					a.tweak = func(c *Config) { c.Activities.Mode = mode }
					m := a.mart(name)
					steps := 0
					kill := func() bool { steps++; return steps == k }
					err := a.try(m, a.open(), martsync.Span{}, kill)
					if err == nil && steps < k {
						if k < 4 {
							t.Fatalf("only %d steps", k)
						}
						return
					}
					a.sync(m)
					if d := a.differences(m); len(d) > 0 {
						t.Fatalf("killed at step %d: %s", k, strings.Join(d, "\n"))
					}
					m.checkLedger(t)
				}
			})
		}
	}
}

// I3: many processes that each die after a step or two give the table that one gives.
func TestI3EveryCursorResumes(t *testing.T) {
	for _, name := range bulkNames {
		a := newAccount(t, marketosim.Config{Options: simulate.Options{Rows: 40}})
		a.tweak = byBulk
		a.longest = 9 * 24 * time.Hour
		m := a.mart(name)
		span := martsync.Span{End: a.clock.Now().Add(-visibleAfter)}
		deaths := 0
		for {
			steps := 0
			err := a.try(m, a.open(), span, func() bool { steps++; return steps == deaths%3+2 })
			if err == nil {
				break
			}
			if deaths++; deaths > 500 {
				t.Fatalf("%s: no end after %d deaths: %v", name, deaths, err)
			}
		}
		if deaths < 1 {
			t.Errorf("%s: only %d deaths", name, deaths)
		}
		a.check(m)
		m.checkLedger(t)
	}
}

// E8, E10: a file of several batches whose download is taken up by other processes, at the byte
// where the last one stood, with rows staged in between.
func TestE10OtherProcessesResumeTheFile(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		noStage bool
		flip    bool // the first process receives a wrong byte
	}{{"staged", false, false}, {"not staged", true, false}, {"wrong byte", false, true}} {
		t.Run(c.name, func(t *testing.T) {
			a := newAccount(t, marketosim.Config{Options: simulate.Options{Rows: 1_100}, ActivitySpan: 20 * 24 * time.Hour, LeadSpan: 20 * 24 * time.Hour})
			a.tweak, a.every = byBulk, 1
			m := a.mart("activities")
			m.noStage = c.noStage
			span := martsync.Span{Start: a.clock.Now().Add(-25 * 24 * time.Hour), End: a.clock.Now().Add(-visibleAfter)}
			if c.flip {
				n := 0
				a.line.bend = func(r *http.Response) error {
					if n == 0 && strings.HasSuffix(r.Request.URL.Path, "/file.json") {
						n++
						r.Body = &flipped{ReadCloser: r.Body, at: 1_000_000}
					}
					return nil
				}
			}
			var ranges []string
			a.line.block = func(r *http.Request) error {
				if strings.HasSuffix(r.URL.Path, "/file.json") {
					ranges = append(ranges, r.Header.Get("Range"))
				}
				return nil
			}
			unverified, deaths := 0, 0
			for {
				before := m.resume
				err := a.try(m, a.open(), span, func() bool { return m.resume != before })
				if err == nil {
					break
				}
				if deaths++; deaths > 20 {
					t.Fatalf("no end after %d deaths: %v", deaths, err)
				}
				if m.resume != "" {
					unverified++
				}
			}
			a.check(m)
			m.checkLedger(t)
			resumed := 0
			for _, r := range ranges {
				if r != "" && r != "bytes=0-" {
					resumed++
				}
			}
			switch {
			case c.noStage && (unverified != 0 || len(ranges) != 1):
				t.Errorf("%d cursors were staged and the file was read %d times (%q)", unverified, len(ranges), ranges)
			case !c.noStage && (unverified < 1 || resumed < unverified):
				t.Errorf("%d cursors were staged, and %d downloads resumed (%q)", unverified, resumed, ranges)
			}
			if c.flip != (m.discards > 0) {
				t.Errorf("rows were taken back %d times", m.discards)
			}
			if st := a.sim.Stats(); st.ExportJobs != 1 || st.Faults["cut"] != 0 {
				t.Errorf("%d jobs, want 1", st.ExportJobs)
			}
		})
	}
}

// E2, E5: tokens that end, limits that are exceeded and a spent day cost time only.
func TestE5LimitsCostOnlyTime(t *testing.T) {
	for _, c := range []struct {
		name, fault string
		quota       bool
	}{
		{"token ends", "expire:every=6", false},
		{"rate limit", "code:code=606,every=5", false},
		{"concurrency limit", "code:code=615,every=4", false},
		{"gateway", "status:code=502,p=0.2", false},
		{"cut replies", "cut:p=0.1", false},
		{"daily calls spent at create", "code:code=607,path=create.json,nth=2", true},
		{"daily calls spent at status", "code:code=607,path=status.json,nth=2", true},
		{"daily calls spent at the file", "code:code=607,path=file.json,nth=1", true},
		{"daily calls spent while paging", "code:code=607,path=/rest/v1/activities,nth=3", true},
	} {
		for _, mode := range []string{"bulk", "rest"} {
			t.Run(c.name+" "+mode, func(t *testing.T) {
				a := newAccount(t, marketosim.Config{Options: simulate.Options{Rows: 40, Faults: []string{c.fault}}})
				a.tweak = func(c *Config) { c.Activities.Mode = mode }
				waited := 0
				for _, name := range []string{"leads", "activities"} {
					m := a.mart(name)
					a.sync(m)
					a.check(m)
					waited += m.waits[martsync.Quota]
				}
				fault, _, _ := strings.Cut(c.fault, ":")
				if a.sim.Stats().Faults[fault] == 0 {
					t.Error("the fault never happened")
				}
				if c.quota != (waited > 0) {
					t.Errorf("the streams waited %d times for a quota", waited)
				}
			})
		}
	}
}

// E6: a full queue costs waiting, not jobs.
func TestE6QueueFull(t *testing.T) {
	a := newAccount(t, marketosim.Config{Options: simulate.Options{Faults: []string{
		"code:code=1029,path=/bulk/v1/leads/export/*/enqueue.json,times=4,message=Too many jobs (10) in queue",
	}}})
	m := a.mart("leads")
	a.sync(m)
	a.check(m)
	st := a.sim.Stats()
	if windows := jobWindows(m); st.ExportJobs != windows {
		t.Errorf("%d jobs were created for %d windows", st.ExportJobs, windows)
	}
	if st.Faults["code"] != 4 || m.waits[martsync.Pending] < 4 {
		t.Errorf("the queue was full %d times and the stream waited %d times", st.Faults["code"], m.waits[martsync.Pending])
	}
}

func jobWindows(m *mart) (n int) {
	for _, w := range m.windows {
		if w.Job != "" {
			n++
		}
	}
	return n
}

// E8, E7: whichever call of a second sync dies, without the filter by update, another process reads the changes: it knows
// what the job was created with that it finds in the vendor's list.
func TestE8KilledWithoutUpdatedAt(t *testing.T) {
	begin := func() (*account, *mart) {
		a := newAccount(t, marketosim.Config{Options: simulate.Options{Rows: 20}, PerLead: 4, NoUpdatedAt: true})
		m := a.mart("leads")
		a.sync(m)
		a.clock.Advance(24 * time.Hour)
		a.sim.Change(30)
		a.clock.Advance(5 * 24 * time.Hour)
		a.line.mend(0, false)
		a.line.paths = nil
		return a, m
	}
	a, m := begin()
	a.sync(m)
	a.check(m)
	calls := slices.Clone(a.line.paths)
	creates := 0
	for k, call := range calls {
		if !strings.HasSuffix(call, "/create.json") && !strings.HasSuffix(call, "/enqueue.json") {
			continue
		}
		creates++
		for _, after := range []bool{false, true} {
			a, m := begin()
			a.line.mend(k+1, after)
			err := a.try(m, a.open(), martsync.Span{}, a.line.dead)
			if !a.line.dead() {
				t.Fatalf("call %d was never made: %v", k, err)
			}
			a.line.mend(0, false)
			a.sync(m)
			if d := a.differences(m); len(d) > 0 {
				t.Errorf("killed at call %d (%s, after %t): %s", k, call, after, strings.Join(d, "\n"))
			}
			for _, w := range m.windows {
				if strings.Contains(w.Filter, `"updatedAt"`) {
					t.Errorf("killed at call %d (%s, after %t): the ledger says %s", k, call, after, w.Filter)
				}
			}
		}
	}
	if creates < 3 {
		t.Fatalf("a sync creates %d jobs: too few to be a test", creates)
	}
}

// E6: a spent quota stops the stream until the reset, without losing what runs.
func TestE6QuotaSpent(t *testing.T) {
	a := newAccount(t, marketosim.Config{Options: simulate.Options{Rows: 100}, ExportBytes: 6_000})
	a.tweak = byBulk
	a.longest = 2 * 24 * time.Hour
	m := a.mart("activities")
	a.sync(m)
	a.check(m)
	if m.waits[martsync.Quota] == 0 {
		t.Fatal("the quota was never spent")
	}
	st := a.sim.Stats()
	if windows := jobWindows(m); st.ExportJobs != windows {
		t.Errorf("%d jobs were created for %d windows", st.ExportJobs, windows)
	}
	if refused := st.Refused["1029"]; refused > 3*m.waits[martsync.Quota] {
		t.Errorf("the vendor said %d times that the quota was spent, on %d days", refused, m.waits[martsync.Quota])
	}
}

// E7: without the filter by update new leads still come, and the log says what is missing.
func TestE7WithoutUpdatedAt(t *testing.T) {
	a := newAccount(t, marketosim.Config{NoUpdatedAt: true})
	if ok, err := a.open().probeUpdatedAt(t.Context()); err != nil || ok {
		t.Errorf("the probe says %t, %v", ok, err)
	}
	m := a.mart("leads")
	a.sync(m)
	a.check(m)
	if !strings.Contains(strings.Join(m.notes, "\n"), "cannot export leads by the date of their last change") {
		t.Errorf("no warning in %q", m.notes)
	}
	if !strings.Contains(m.windows[0].Filter, `"createdAt"`) {
		t.Errorf("the ledger says %s", m.windows[0].Filter)
	}
	st := a.sim.Stats()
	if st.Refused["1035"] != 2 { // the probe's and the run's
		t.Errorf("the filter was refused %d times, want once a run", st.Refused["1035"])
	}
}

func TestProbeLeavesNothingRunning(t *testing.T) {
	a := newAccount(t, marketosim.Config{})
	s := a.open()
	if ok, err := s.probeUpdatedAt(t.Context()); err != nil || !ok {
		t.Fatalf("the probe says %t, %v", ok, err)
	}
	left, err := s.client.do(t.Context(), request{op: "list", method: http.MethodGet, path: leadObject.list(), query: url.Values{"status": {"Created"}}})
	if err != nil || len(left.Result) != 0 {
		t.Errorf("jobs left: %s, %v", left.Result, err)
	}
	if a.line.count("enqueue") != 0 {
		t.Error("the probe was enqueued")
	}
}

// E9, E4: jobs and files that come to nothing are made anew, and the rows arrive all the same.
func TestE9JobsThatComeToNothing(t *testing.T) {
	const status = "path=/bulk/v1/leads/export/*/status.json"
	for _, c := range []struct {
		name, fault, note string
		jobs              int // more than windows; -1: any number
	}{
		{"failed", "fail:path=/bulk/v1/leads/export/create.json", "it failed", 1},
		{"failed twice, so halved", "fail:path=/bulk/v1/leads/export/create.json,times=2", "it failed", -1},
		{"no job made", "nocreate:path=/bulk/v1/leads/export/create.json", "no usable job", -1},
		{"vanished", "code:code=1013," + status, "lost it", 1},
		{"file gone", "gone:path=/bulk/v1/leads/export/", "gone", 1},
		{"status without result", "noresult:" + status + ",times=3", "", 0},
		{"JSON in place of the file", "json:code=606,path=file.json,times=3", "", 0},
		{"an expired token in place of the file", "json:code=602,path=file.json", "", 0},
		{"overtaken in the queue", "stuck:for=4h,path=/bulk/v1/leads/export/create.json", "queued for 1h", 1},
		{"stuck in the queue", "stuck:for=400h,path=/bulk/v1/leads/export/create.json,nth=2", "queued for 12h", 1},
		{"HTML", "status:code=503,path=/bulk/,times=4", "", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := newAccount(t, marketosim.Config{Options: simulate.Options{Faults: []string{c.fault}}})
			m := a.mart("leads")
			a.sync(m)
			a.check(m)
			m.checkLedger(t)
			st := a.sim.Stats()
			name, _, _ := strings.Cut(c.fault, ":")
			if st.Faults[name] == 0 {
				t.Errorf("the fault never happened: %v", st.Faults)
			}
			if c.note != "" && !strings.Contains(strings.Join(m.notes, "\n"), c.note) {
				t.Errorf("no note about it in %q", m.notes)
			}
			if extra := st.ExportJobs - jobWindows(m); c.jobs >= 0 && extra != c.jobs {
				t.Errorf("%d jobs more than windows, want %d", extra, c.jobs)
			}
		})
	}
}

// E9: both spellings of a cancelled job.
func TestE9Cancelled(t *testing.T) {
	for _, word := range []string{"Cancelled", "Canceled"} {
		a := newAccount(t, marketosim.Config{CancelSpelled: word})
		m := a.mart("leads")
		cancelled := false
		a.line.bend = func(r *http.Response) error {
			if cancelled || !strings.HasSuffix(r.Request.URL.Path, "/enqueue.json") {
				return nil
			}
			cancelled = true
			req := r.Request.Clone(context.Background())
			req.URL.Path = strings.Replace(req.URL.Path, "enqueue", "cancel", 1)
			req.Body, req.ContentLength = http.NoBody, 0
			resp, err := a.line.next.RoundTrip(req)
			if err != nil {
				return err
			}
			return resp.Body.Close()
		}
		a.sync(m)
		a.check(m)
		if st := a.sim.Stats(); st.ExportJobs != jobWindows(m)+1 || !strings.Contains(strings.Join(m.notes, "\n"), "cancelled") {
			t.Errorf("%s: %d jobs for %d windows, notes %q", word, st.ExportJobs, jobWindows(m), m.notes)
		}
	}
}

// E9: a vendor that fails every job is not asked for ever.
func TestE9GivesUp(t *testing.T) {
	a := newAccount(t, marketosim.Config{Options: simulate.Options{Faults: []string{"fail:path=/bulk/v1/leads/export/create.json,every=1"}}})
	m := a.mart("leads")
	err := a.try(m, a.open(), martsync.Span{}, never)
	if martsync.KindOf(err) != martsync.Data || martsync.HintOf(err) == "" {
		t.Fatalf("got %v, want an error of kind data with a hint", err)
	}
	if jobs := a.sim.Stats().ExportJobs; jobs > failuresMost+queueShare {
		t.Errorf("%d jobs were created before giving up", jobs)
	}
	if !strings.Contains(strings.Join(m.notes, "\n"), "given up") {
		t.Errorf("no note about it in %q", m.notes)
	}
	a.sim.ClearFaults()
	a.sync(m) // the next sync starts afresh
	a.check(m)
	m.checkLedger(t)
}

// I5: a record count that the file does not bear out is never committed, however often it comes,
// and costs few exports.
func TestI5WrongRecordCount(t *testing.T) {
	a := newAccount(t, marketosim.Config{})
	a.line.bend = func(r *http.Response) error {
		return rewrite(r, "/status.json", func(text string) string { return strings.Replace(text, `"numberOfRecords":`, `"numberOfRecords":1`, 1) })
	}
	m := a.mart("leads")
	err := a.try(m, a.open(), martsync.Span{}, never)
	if martsync.KindOf(err) != martsync.Data || !strings.Contains(err.Error(), "records arrived, the vendor told") {
		t.Fatalf("got %v, want an error of kind data", err)
	}
	if len(m.rows) != 0 || len(m.staged) != 0 || m.discards == 0 {
		t.Errorf("%d rows were committed, %d staged, %d times taken back", len(m.rows), len(m.staged), m.discards)
	}
	if jobs := a.sim.Stats().ExportJobs; jobs > triesMost+queueShare {
		t.Errorf("%d jobs were created", jobs)
	}
	a.line.bend = nil
	a.sync(m)
	a.check(m)
	m.checkLedger(t)
}

// E10: broken connections and files that fail their checksum.
func TestE10BrokenDownloads(t *testing.T) {
	flip := func(a *account, times int) *int {
		n := 0
		a.line.bend = func(r *http.Response) error {
			if n < times && strings.HasSuffix(r.Request.URL.Path, "/file.json") {
				n++
				r.Body = &flipped{ReadCloser: r.Body, at: 6_000}
			}
			return nil
		}
		return &n
	}
	for _, c := range []struct {
		name     string
		fault    string
		flips    int
		jobs     int // more than windows
		discards bool
		note     string
	}{
		{"cut once", "cut:path=file.json", 0, 0, false, "broke off"},
		{"cut after 100 bytes, five times", "cut:path=file.json,after=100,times=5", 0, 0, false, "broke off"},
		{"cut before the first byte", "cut:path=file.json,after=0,times=3", 0, 0, false, ""},
		{"a wrong byte once", "", 1, 0, true, "downloaded again"},
		{"a wrong byte twice", "", 2, 1, true, "given up"},
	} {
		t.Run(c.name, func(t *testing.T) {
			config := marketosim.Config{Options: simulate.Options{Rows: 300}}
			if c.fault != "" {
				config.Faults = []string{c.fault}
			}
			a := newAccount(t, config)
			m := a.mart("leads")
			n := flip(a, c.flips)
			a.sync(m)
			a.check(m)
			if *n != c.flips {
				t.Fatalf("%d files were damaged, want %d", *n, c.flips)
			}
			if extra := a.sim.Stats().ExportJobs - jobWindows(m); extra != c.jobs {
				t.Errorf("%d jobs more than windows, want %d", extra, c.jobs)
			}
			if (m.discards > 0) != c.discards {
				t.Errorf("rows were taken back %d times", m.discards)
			}
			if !strings.Contains(strings.Join(m.notes, "\n"), c.note) {
				t.Errorf("no note about it in %q", m.notes)
			}
		})
	}
}

// flipped changes one byte of a file into another letter.
type flipped struct {
	io.ReadCloser
	at, seen int
}

func (f *flipped) Read(p []byte) (int, error) {
	n, err := f.ReadCloser.Read(p)
	for i := range n {
		// The first letter from there on, so that the records still parse.
		if f.seen+i >= f.at && p[i] >= 'a' && p[i] <= 'y' {
			p[i]++
			f.at = 1 << 62
		}
	}
	f.seen += n
	return n, err
}

// E11: what an empty job leaves behind differs, and is always no rows.
func TestE11EmptyJobs(t *testing.T) {
	for _, empty := range []marketosim.EmptyFile{marketosim.EmptyHeader, marketosim.EmptyBytes, marketosim.EmptyMissing} {
		for _, told := range []bool{true, false} {
			t.Run(fmt.Sprintf("form %d, told %t", empty, told), func(t *testing.T) {
				a := newAccount(t, marketosim.Config{Options: simulate.Options{Rows: 20}, LeadSpan: 10 * 24 * time.Hour, ActivitySpan: 10 * 24 * time.Hour, Empty: empty})
				if !told {
					a.line.bend = hideNumbers
				}
				m := a.mart("activities")
				a.tweak = byBulk
				// Three months before there was any lead, then everything.
				if err := a.try(m, a.open(), martsync.Span{Start: a.clock.Now().Add(-100 * 24 * time.Hour)}, never); err != nil {
					t.Fatal(err)
				}
				a.check(m)
				m.checkLedger(t)
				w := m.windows[0]
				if w.Parsed != 0 || told && w.Records != 0 || !told && w.Records != -1 {
					t.Errorf("the empty window in the ledger: %+v", w)
				}
			})
		}
	}
}

// hideNumbers removes what a status tells about a file, as older accounts do.
func hideNumbers(r *http.Response) error {
	return rewrite(r, "/status.json", func(text string) string {
		for _, name := range []string{"numberOfRecords", "fileSize", "fileChecksum"} {
			text = strings.Replace(text, `"`+name+`"`, `"x`+name+`"`, 1)
		}
		return text
	})
}

// rewrite changes the body of a reply to paths with this end.
func rewrite(r *http.Response, path string, f func(string) string) error {
	if !strings.HasSuffix(r.Request.URL.Path, path) {
		return nil
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	_ = r.Body.Close()
	text := f(string(body))
	r.Body = io.NopCloser(strings.NewReader(text))
	r.ContentLength = int64(len(text))
	r.Header.Del("Content-Length")
	return nil
}

// E12: dirty files.
func TestE12DirtyFiles(t *testing.T) {
	for _, c := range []struct {
		name        string
		config      marketosim.Config
		fault       string
		quarantined int
	}{
		{"NUL bytes", marketosim.Config{}, "nul", 0},
		{"stray quotes", marketosim.Config{}, "quotes", 0},
		{"bare carriage returns", marketosim.Config{}, "cr", 0},
		{"invalid UTF-8", marketosim.Config{}, "utf8", 0},
		{"wrong column count", marketosim.Config{}, "columns", 3},
		{"values that do not fit", marketosim.Config{}, "misfit", 3},
		{"duplicates", marketosim.Config{}, "dup", 0},
		{"CRLF", marketosim.Config{Newline: "\r\n"}, "", 0},
		{"no final newline", marketosim.Config{NoFinal: true}, "", 0},
		{"everything quoted", marketosim.Config{QuoteAlways: true}, "", 0},
	} {
		for _, name := range []string{"leads", "activities"} {
			t.Run(name+" with "+c.name, func(t *testing.T) {
				config := c.config
				config.Rows = 80
				if c.fault != "" {
					config.Faults = []string{c.fault + ":path=/bulk/v1/" + name + "/export/create.json"}
				}
				a := newAccount(t, config)
				a.tweak = byBulk
				m := a.mart(name)
				a.sync(m)
				a.check(m)
				if len(m.quarantined) != c.quarantined {
					t.Errorf("%d rows in quarantine, want %d: %+v", len(m.quarantined), c.quarantined, m.quarantined)
				}
				var bad, parsed int64
				for _, w := range m.windows {
					bad, parsed = bad+w.Quarantined, parsed+w.Parsed
					if w.Job != "" && w.Records != w.Parsed {
						t.Errorf("the vendor told %d records, %d were parsed", w.Records, w.Parsed)
					}
					if w.Job != "" && w.Parsed > 0 && len(w.SHA256) != 64 {
						t.Errorf("no checksum in %+v", w)
					}
				}
				if bad != int64(c.quarantined) {
					t.Errorf("the ledger counts %d bad rows, want %d", bad, c.quarantined)
				}
				for _, q := range m.quarantined {
					if q.Job == "" || q.Reason == "" || q.Raw == "" || q.Line == 0 {
						t.Errorf("the quarantine lacks something: %+v", q)
					}
				}
				if c.fault != "" && a.sim.Stats().Faults[c.fault] == 0 {
					t.Error("the fault never happened")
				}
			})
		}
	}
}

// E15, E16: many small windows deliver each row once, in order, without a gap.
func TestE16RowsOfNeighbouringWindowsComeOnce(t *testing.T) {
	a := newAccount(t, marketosim.Config{Options: simulate.Options{Rows: 150}, ActivitySpan: 3 * 24 * time.Hour, LeadSpan: 3 * 24 * time.Hour})
	a.tweak = byBulk
	a.longest = 2 * time.Hour
	m := a.mart("activities")
	if err := a.try(m, a.open(), martsync.Span{Start: a.clock.Now().Add(-4 * 24 * time.Hour)}, never); err != nil {
		t.Fatal(err)
	}
	a.check(m)
	m.checkLedger(t)
	if n := jobWindows(m); n < 40 {
		t.Fatalf("only %d windows", n)
	}
	var parsed int64
	for _, w := range m.windows {
		parsed += w.Parsed
	}
	if parsed != int64(len(m.rows)) {
		t.Errorf("%d rows arrived for %d activities", parsed, len(m.rows))
	}
	if most := a.sim.Stats().Refused["1029"]; most != 0 {
		t.Errorf("the queue or the quota was exceeded %d times", most)
	}
}

// A change of a lead that shows in exports a little late arrives with the next sync.
func TestLateChangeOfALeadArrives(t *testing.T) {
	a := newAccount(t, marketosim.Config{})
	m := a.mart("leads")
	a.sync(m)
	a.clock.Advance(time.Hour)
	id := a.living(3)
	if !a.sim.TouchLead(id, "title") {
		t.Fatal("there is no such lead")
	}
	a.clock.Advance(visibleAfter + time.Minute)
	lacked := 0
	a.line.bend = func(resp *http.Response) error { // as if the change were not to be seen yet
		switch path := resp.Request.URL.Path; {
		case strings.HasSuffix(path, "/leads/export.json"), !strings.HasPrefix(path, "/bulk/v1/leads/"):
		case strings.HasSuffix(path, "/status.json"):
			return promiseNothing(resp)
		case strings.HasSuffix(path, "/file.json"):
			var left []string
			for line := range strings.Lines(a.peek(resp)) {
				if strings.HasPrefix(line, fmt.Sprintf("%d,", id)) {
					lacked++
					continue
				}
				left = append(left, line)
			}
			text := strings.Join(left, "")
			resp.Body, resp.ContentLength = io.NopCloser(strings.NewReader(text)), int64(len(text))
			resp.Header.Del("Content-Length")
		}
		return nil
	}
	a.sync(m)
	a.line.bend = nil
	if lacked == 0 || len(a.differences(m)) == 0 {
		t.Fatalf("the change was held back %d times and has arrived, so this proves nothing", lacked)
	}
	a.clock.Advance(visibleAfter)
	a.sync(m)
	a.check(m)
}

// A fastClock is ahead of another one.
type fastClock struct {
	martsync.Clock
	by time.Duration
}

func (c fastClock) Now() time.Time { return c.Clock.Now().Add(c.by) }

// E15: where this machine's clock is ahead, a window would end in the vendor's future, and what happens there until it has
// passed would never be exported.
func TestE15ClockThatIsAheadSkipsNothing(t *testing.T) {
	for _, by := range []time.Duration{visibleAfter - time.Minute, 3 * time.Hour, 14 * time.Hour} {
		a := newAccount(t, marketosim.Config{})
		m := a.mart("leads")
		s := a.open()
		s.env.Clock = fastClock{a.clock, by}
		for range 2 {
			if err := a.try(m, s, martsync.Span{}, never); err != nil {
				t.Fatalf("%v ahead: %v", by, err)
			}
			a.check(m)
			a.clock.Advance(10 * time.Minute)
			a.sim.Change(40)
			a.clock.Advance(10 * time.Minute)
		}
		a.sync(m) // somebody has set the clock
		a.check(m)
		m.checkLedger(t)
		if said := strings.Contains(strings.Join(m.notes, "\n"), "ahead of the vendor's"); said != (by > visibleAfter) {
			t.Errorf("%v ahead: the log says so: %v", by, said)
		}
		if t.Failed() {
			t.Fatalf("%v ahead", by)
		}
	}
}

// The vendor is asked for the state of a job at most once a minute.
func TestStatusOnceAMinute(t *testing.T) {
	a := newAccount(t, marketosim.Config{})
	asked := map[string]time.Time{}
	a.line.block = func(r *http.Request) error {
		if strings.HasSuffix(r.URL.Path, "/status.json") {
			if last, ok := asked[r.URL.Path]; ok && a.clock.Now().Sub(last) < time.Minute {
				t.Errorf("%s asked after %v", r.URL.Path, a.clock.Now().Sub(last))
			}
			asked[r.URL.Path] = a.clock.Now()
		}
		return nil
	}
	m := a.mart("leads")
	for range 200 { // a new process for each step
		steps := 0
		if err := a.try(m, a.open(), martsync.Span{}, func() bool { steps++; return steps > 2 }); err == nil {
			break
		}
		a.clock.Advance(7 * time.Second)
	}
	a.check(m)
	if len(asked) == 0 {
		t.Error("nothing was asked")
	}
}

// E17: activities that appear late.
func TestE17LateActivities(t *testing.T) {
	for _, mode := range []func(*Config){byBulk, byRest} {
		a := newAccount(t, marketosim.Config{LateArrival: 50 * time.Minute})
		a.tweak = mode
		m := a.mart("activities")
		a.sync(m)
		for range 5 {
			a.sim.Change(20)
			a.clock.Advance(20 * time.Minute)
			a.sync(m)
		}
		a.clock.Advance(time.Hour)
		a.sync(m)
		a.check(m)
	}
}

// E19: a rare type in a log that is handed out in small blocks.
func TestE19EmptyPages(t *testing.T) {
	a := newAccount(t, marketosim.Config{PageBlock: 7, Options: simulate.Options{Rows: 40}})
	a.tweak = byRest
	a.sim.Change(40)
	a.clock.Advance(time.Hour)
	for _, name := range []string{"lead_merges", "deleted_leads", "activities"} {
		m := a.mart(name)
		a.sync(m)
		a.check(m)
	}
	if n := a.line.count("/rest/v1/activities.json"); n < 50 {
		t.Errorf("only %d pages", n)
	}
}

// E20: a field that the vendor lists and does not export is left out and reported.
func TestE20RefusedField(t *testing.T) {
	const field = "leadScore"
	a := newAccount(t, marketosim.Config{})
	refused := 0
	a.line.block = nil
	a.line.bend = nil
	a.line.next = refuse{a.line.next, field, &refused}
	m := a.mart("leads")
	a.sync(m)
	if refused != 1 {
		t.Fatalf("the field was asked for %d times, want once", refused)
	}
	if !strings.Contains(strings.Join(m.notes, "\n"), "field "+field+" is not exported") {
		t.Errorf("no note about it in %q", m.notes)
	}
	for _, r := range m.rows {
		if r.values[field] != nil {
			t.Fatalf("the field has the value %v", r.values[field])
		}
		delete(r.values, field)
	}
	a.check(m)
}

// refuse answers creates that ask for a field as the vendor does.
type refuse struct {
	http.RoundTripper
	field string
	n     *int
}

func (f refuse) RoundTrip(r *http.Request) (*http.Response, error) {
	if strings.HasSuffix(r.URL.Path, "/create.json") {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		if strings.Contains(string(body), `"`+f.field+`"`) {
			*f.n++
			text := `{"requestId":"1#2","success":false,"errors":[{"code":"1003","message":"Invalid fields: ` + f.field + `"}]}`
			return &http.Response{
				Status: "200 OK", StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
				Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(text)), ContentLength: int64(len(text)), Request: r,
			}, nil
		}
		r = r.Clone(r.Context())
		r.Body = io.NopCloser(strings.NewReader(string(body)))
	}
	return f.RoundTripper.RoundTrip(r)
}

// Jobs that no cursor knows are left as they are: one that another program of the same API user has created, and one of ours whose
// process died before it heard of it. Neither ever runs.
func TestUnknownJobsAreLeftAlone(t *testing.T) {
	a := newAccount(t, marketosim.Config{})
	m := a.mart("leads")
	s := a.open()
	now := secondOf(a.clock.Now())
	foreign, err := s.createJob(t.Context(), leadObject, []string{"id"}, leadObject.filter(window{From: now - 86_400, To: now - 80_000}, exportOptions{by: byUpdate}))
	if err != nil {
		t.Fatal(err)
	}
	a.line.mend(0, false)
	a.line.bend = func(r *http.Response) error {
		if strings.HasSuffix(r.Request.URL.Path, "/create.json") {
			return errCut
		}
		return nil
	}
	st, err := a.stream(a.open(), "leads")
	if err != nil {
		t.Fatal(err)
	}
	if err := m.attempt(t.Context(), st, martsync.Span{}, never); martsync.KindOf(err) != martsync.Transient {
		t.Fatalf("got %v", err)
	}
	a.line.bend = nil
	jobs := a.sim.Stats().ExportJobs
	a.sync(m)
	a.check(m)
	m.checkLedger(t)
	if more := a.sim.Stats().ExportJobs - jobs; jobs != 2 || more != jobWindows(m) {
		t.Errorf("%d jobs, and %d more for %d windows; want 2, and one for each window", jobs, more, jobWindows(m))
	}
	left, err := s.client.do(t.Context(), request{op: "list", method: http.MethodGet, path: leadObject.list(), query: url.Values{"status": {"Created"}}})
	if err != nil || len(left.Result) != 2 || !strings.Contains(fmt.Sprintf("%s", left.Result), foreign.ExportID) {
		t.Errorf("jobs left in state Created: %s, %v; want the foreign one and ours", left.Result, err)
	}
}

// A run that takes longer than the vendor keeps deletions reads them in between.
func TestDeletionsAreReadDuringALongRun(t *testing.T) {
	a := newAccount(t, marketosim.Config{Options: simulate.Options{Rows: 100}, ExportBytes: 1_500, LeadSpan: 24 * 24 * time.Hour})
	a.longest = 6 * time.Hour
	m := a.mart("leads")
	begin := a.clock.Now()
	st, err := a.stream(a.open(), "leads")
	if err != nil {
		t.Fatal(err)
	}
	changed := time.Duration(0)
	for i := 0; ; i++ {
		err := m.attempt(context.Background(), st, martsync.Span{End: begin}, never)
		if err == nil {
			break
		}
		if !martsync.KindOf(err).Waits() || i > 3_000 {
			t.Fatal(err)
		}
		a.clock.Advance(max(martsync.AfterOf(err), time.Second))
		if took := a.clock.Now().Sub(begin); took-changed > 24*time.Hour {
			a.sim.Change(6)
			changed = took
		}
	}
	if took := a.clock.Now().Sub(begin); took < 16*24*time.Hour {
		t.Fatalf("the run took only %v", took)
	}
	a.clock.Advance(time.Hour)
	a.longest = 0
	a.sync(m)
	a.check(m)
	if strings.Contains(strings.Join(m.notes, "\n"), "can no longer be read") {
		t.Errorf("deletions were missed: %q", m.notes)
	}
}

// A stream that was not read for longer than the vendor keeps deletions says so.
func TestDeletionGapIsNoted(t *testing.T) {
	a := newAccount(t, marketosim.Config{Options: simulate.Options{Rows: 20}})
	m := a.mart("deleted_leads")
	a.sync(m)
	a.clock.Advance(20 * 24 * time.Hour)
	a.sync(m)
	if !strings.Contains(strings.Join(m.notes, "\n"), "can no longer be read") {
		t.Errorf("no note about the gap in %q", m.notes)
	}
}
