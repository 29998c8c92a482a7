package marketo

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/setting"
	"github.com/martsync/martsync/simulate"
	"github.com/martsync/martsync/source/marketo/marketosim"
	"github.com/martsync/martsync/source/sourcetest"
)

// E7: without the filter by update every change that the log tells arrives with the next sync: new values of standard and
// custom fields, scores, merges, deletions. The log says once how, the ledger always.
func TestE7ChangesArriveWithoutUpdatedAt(t *testing.T) {
	a := newAccount(t, marketosim.Config{Options: simulate.Options{Rows: 400}, NoUpdatedAt: true})
	m := a.mart("leads")
	a.sync(m)
	a.check(m)
	for range 6 {
		a.clock.Advance(30 * time.Minute)
		a.sim.Change(150)
		a.clock.Advance(30 * time.Minute)
		before := a.line.count(leadsPath)
		a.sync(m)
		a.check(m)
		if read := a.line.count(leadsPath) - before; read == 0 || read > 6 {
			t.Errorf("%d calls read leads by id, want a few", read)
		}
	}
	if t.Failed() {
		return
	}
	if said := strings.Count(strings.Join(m.notes, "\n"), "found by the changes feed"); said != 1 {
		t.Errorf("it was said %d times how leads are read, want once: %q", said, m.notes)
	}
	filters := map[string]int{}
	for _, w := range m.windows {
		switch {
		case strings.Contains(w.Filter, `"createdAt"`):
			filters["createdAt"]++
		case strings.Contains(w.Filter, leadChangesPath):
			filters["changes"]++
		case strings.Contains(w.Filter, activitiesPath) && strings.Contains(w.Filter, "22"):
			filters["touched"]++
			if w.Parsed == 0 && filters["touched"] > 1 {
				t.Errorf("the window %s counts none of the leads that were read by id", w.Filter)
			}
		}
	}
	for _, f := range []string{"createdAt", "changes", "touched"} {
		if filters[f] < 7 {
			t.Errorf("the ledger has %d windows by %s, want one for each sync at least: %v", filters[f], f, filters)
		}
	}
}

// A subscription that has the filter reads nothing by id.
func TestWithUpdatedAtNothingIsReadByID(t *testing.T) {
	a := newAccount(t, marketosim.Config{Options: simulate.Options{Rows: 100}})
	m := a.mart("leads")
	for range 3 {
		a.sync(m)
		a.clock.Advance(20 * 24 * time.Hour / 2)
		a.sim.Change(30)
		a.clock.Advance(time.Hour)
	}
	if n := a.line.count(leadsPath) + a.line.count(leadChangesPath); n != 0 {
		t.Errorf("%d calls for changes, want none", n)
	}
	if strings.Contains(string(m.committed), "sweep") {
		t.Errorf("a sweep is under way: %s", m.committed)
	}
}

// E7: what no activity tells arrives with the sweep, within the time that is configured for it, for a bounded number of calls.
func TestE7SweepFindsWhatNothingTells(t *testing.T) {
	const sweep = 10 * 24 * time.Hour
	a := newAccount(t, marketosim.Config{Options: simulate.Options{Rows: 300}, LeadSpan: 300 * 24 * time.Hour, NoUpdatedAt: true})
	a.tweak = func(c *Config) { c.Leads.Sweep = setting.Duration(sweep) }
	m := a.mart("leads")
	a.sync(m)
	a.check(m)
	a.clock.Advance(time.Hour)
	if n := len(a.sim.ChangeQuietly(200)); n < 50 {
		t.Fatalf("only %d leads have changed", n)
	}
	a.clock.Advance(time.Hour)
	a.sync(m)
	first := len(a.allDifferences(m))
	if first == 0 {
		t.Fatal("the log tells the changes, so this proves nothing")
	}
	before, last := a.sim.Stats(), first
	const every = 12 * time.Hour
	days := 0.0
	for spent := time.Duration(0); spent <= sweep; spent += every {
		a.clock.Advance(every)
		days += every.Hours() / 24
		a.sync(m)
		now := len(a.allDifferences(m))
		if now > last {
			t.Errorf("%d differences after %d", now, last)
		}
		if spent == sweep/2 && (now == 0 || now > first*3/4) {
			t.Errorf("after half of the time %d of %d are left: the sweep goes in jumps", now, first)
		}
		last = now
	}
	a.check(m)
	st := a.sim.Stats()
	if slices := st.ExportJobs - before.ExportJobs; slices > 2*sweepSlices {
		t.Errorf("%d jobs, want at most one for each sync and slice", slices)
	}
	if calls := float64(st.Calls-before.Calls) / days; calls > 150 {
		t.Errorf("%.0f calls a day", calls)
	}
	if !strings.Contains(strings.Join(m.notes, "\n"), "have been exported again since") {
		t.Errorf("nothing says that the sweep is through: %q", m.notes)
	}
	m.checkSums(t)
}

func (a *account) allDifferences(m *mart) []string {
	diffs := a.differences(m)
	if n := len(diffs); n > 10 {
		more := 0
		_, _ = fmt.Sscanf(diffs[10], "and %d more", &more)
		return append(diffs[:10], make([]string, more)...)
	}
	return diffs
}

// checkSums checks that every window counts what it has brought.
func (m *mart) checkSums(t testing.TB) {
	t.Helper()
	for _, w := range m.windows {
		if w.Parsed < 0 || w.Records >= 0 && w.Records != w.Parsed {
			t.Errorf("the window %+v does not add up", w)
		}
	}
}

// E6: a day without export bytes stops the sweep and nothing else.
func TestE6SweepWaitsForBytesAndChangesDoNot(t *testing.T) {
	a := newAccount(t, marketosim.Config{Options: simulate.Options{Rows: 300}, NoUpdatedAt: true})
	a.tweak = func(c *Config) { c.Leads.Sweep = setting.Duration(24 * time.Hour) }
	m := a.mart("leads")
	a.sync(m)
	refuse := func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "leads/export/create.json") }
	sweeping := false
	a.line.bend = func(resp *http.Response) error {
		if !refuse(resp.Request) || !sweeping {
			return nil
		}
		_ = resp.Body.Close()
		resp.Body = io.NopCloser(strings.NewReader(`{"requestId":"1#1","success":false,"errors":[{"code":"1029","message":"Export daily quota 500MB exceeded."}]}`))
		return nil
	}
	a.clock.Advance(12 * time.Hour)
	a.sim.Change(60)
	a.clock.Advance(time.Hour)
	// The first job of the run is that of new leads; those after it are the sweep's.
	jobs := 0
	a.line.block = func(r *http.Request) error {
		if refuse(r) {
			jobs++
			sweeping = jobs > 2 // the first asks for the filter that the subscription lacks
		}
		return nil
	}
	a.sync(m)
	a.check(m)
	if jobs < 3 {
		t.Fatalf("%d jobs: the sweep has not tried, so this proves nothing", jobs)
	}
	if m.waits[martsync.Quota] > 0 {
		t.Error("the stream has waited for the sweep's quota")
	}
	a.line.block, a.line.bend = nil, nil
	a.clock.Advance(14 * time.Hour)
	before := len(m.windows)
	a.sync(m)
	swept := false
	for _, w := range m.windows[before:] {
		swept = swept || w.Job != "" && w.To.Before(a.clock.Now().Add(-24*time.Hour))
	}
	if !swept {
		t.Error("the sweep has not been taken up again")
	}
}

// E21: a lead that the log names and that the API no longer knows is marked deleted, although the log of deletions has
// forgotten it.
func TestE21LeadOfTheFeedThatIsGone(t *testing.T) {
	a := newAccount(t, marketosim.Config{Options: simulate.Options{Rows: 100}, NoUpdatedAt: true})
	m := a.mart("leads")
	a.sync(m)
	id := a.living(0)
	a.clock.Advance(time.Hour)
	if !a.sim.TouchLead(id, "title") || !a.sim.DeleteLead(id) {
		t.Fatal("the lead cannot be changed")
	}
	a.clock.Advance(15 * 24 * time.Hour)
	a.sync(m)
	if r := m.rows[fmt.Sprint(id)]; !r.deleted || r.values["email"] == nil && r.values["lastName"] == nil && r.values["city"] == nil {
		t.Errorf("lead %d is %+v, want it deleted with its last values", id, r)
	}
	a.check(m)
}

// living is the id of a lead that exists.
func (a *account) living(n int) int64 {
	for row := range a.sim.Truth("leads") {
		if row.Gone {
			continue
		}
		if n--; n < 0 {
			return row.Values["id"].(int64)
		}
	}
	a.t.Fatal("there are not so many leads")
	return 0
}

// E21: a tombstone is not overwritten by what a file says that was made before the deletion and is delivered after it.
func TestE21LateDeleteAndAStaleFile(t *testing.T) {
	for _, c := range []struct {
		name   string
		config marketosim.Config
	}{
		{"by update", marketosim.Config{}},
		{"by creation", marketosim.Config{NoUpdatedAt: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.config.Rows = 60
			a := newAccount(t, c.config)
			m := a.mart("leads")
			id := a.living(3)
			s, err := a.stream(a.open(), "leads")
			if err != nil {
				t.Fatal(err)
			}
			// The jobs are created and run; nobody comes to fetch their files for a week.
			for a.line.count("enqueue") == 0 {
				if err := m.attempt(t.Context(), s, martsync.Span{}, never); !martsync.KindOf(err).Waits() {
					t.Fatalf("the first attempt ends with %v", err)
				}
			}
			a.clock.Advance(2 * time.Hour)
			if !a.sim.DeleteLead(id) {
				t.Fatal("there is no such lead")
			}
			a.clock.Advance(7*24*time.Hour - 150*time.Minute)
			var order []string
			a.line.bend = func(resp *http.Response) error {
				switch body := a.peek(resp); {
				case strings.HasSuffix(resp.Request.URL.Path, "deletedleads.json") && strings.Contains(body, fmt.Sprint(id)):
					order = append(order, "tombstone")
				case strings.HasSuffix(resp.Request.URL.Path, "file.json") && strings.Contains(body, fmt.Sprint(id)):
					order = append(order, "file")
				}
				return nil
			}
			a.sync(m)
			first, last := slices.Index(order, "tombstone"), slices.Index(order, "file")
			if first < 0 || last < first {
				t.Fatalf("the vendor's replies came in the order %v, so this proves nothing", order)
			}
			if r := m.rows[fmt.Sprint(id)]; !r.deleted {
				t.Errorf("lead %d is alive again", id)
			}
			a.check(m)
		})
	}
}

// peek reads a reply and puts it back.
func (a *account) peek(resp *http.Response) string {
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		a.t.Error(err)
	}
	_ = resp.Body.Close()
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return string(body)
}

// E21: a tombstone is not overwritten by a read by id that shows the lead as it was before it was deleted, as a server
// behind the others would.
func TestE21LateDeleteAndAStaleReadByID(t *testing.T) {
	a := newAccount(t, marketosim.Config{Options: simulate.Options{Rows: 60}, NoUpdatedAt: true})
	m := a.mart("leads")
	a.sync(m)
	id := a.living(5)
	a.clock.Advance(time.Hour)
	if !a.sim.TouchLead(id, "title") {
		t.Fatal("there is no such lead")
	}
	var stale []byte
	a.line.bend = func(resp *http.Response) error {
		if body := a.peek(resp); resp.Request.URL.Path == leadsPath && strings.Contains(body, fmt.Sprintf(`"id":%d,`, id)) {
			stale = []byte(body)
		}
		return nil
	}
	a.clock.Advance(10 * time.Minute)
	a.sync(m)
	a.check(m)
	if stale == nil {
		t.Fatal("the lead was not read by id, so this proves nothing")
	}
	a.sim.DeleteLead(id)
	served := 0
	a.line.bend = func(resp *http.Response) error {
		if resp.Request.URL.Path == leadsPath {
			_ = resp.Body.Close()
			resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(stale)), int64(len(stale))
			resp.Header.Del("Content-Length")
			served++
		}
		return nil
	}
	for range 3 { // the first brings the tombstone; each of them reads the last hour of the feed again
		a.clock.Advance(10 * time.Minute)
		a.sync(m)
		if r := m.rows[fmt.Sprint(id)]; !r.deleted {
			t.Fatalf("lead %d is alive again", id)
		}
	}
	if served < 3 {
		t.Fatalf("the stale reply was served %d times, want it at each sync", served)
	}
}

// A reply that lacks most of the leads is no proof that they are gone: an API user may not see them all.
func TestReadByIDThatShowsNothingDeletesNothing(t *testing.T) {
	a := newAccount(t, marketosim.Config{Options: simulate.Options{Rows: 300}, NoUpdatedAt: true})
	m := a.mart("leads")
	a.sync(m)
	a.clock.Advance(time.Hour)
	a.sim.Change(200)
	a.line.bend = func(resp *http.Response) error {
		if resp.Request.URL.Path == leadsPath {
			_ = resp.Body.Close()
			resp.Body = io.NopCloser(strings.NewReader(`{"requestId":"1#1","success":true,"result":[]}`))
		}
		return nil
	}
	a.clock.Advance(time.Hour)
	a.sync(m)
	for _, d := range a.differences(m) {
		if strings.Contains(d, "marked deleted") && !strings.Contains(d, "not marked") {
			t.Error(d)
		}
	}
	if !strings.Contains(strings.Join(m.notes, "\n"), "cannot be read by id") {
		t.Errorf("nothing is said about it: %q", m.notes)
	}
}

// Likewise of a few, among others that can be read: those that are gone are in the log of deletions.
func TestReadByIDThatLacksALeadDeletesOnlyWhatTheLogNames(t *testing.T) {
	a := newAccount(t, marketosim.Config{Options: simulate.Options{Rows: 60}, NoUpdatedAt: true})
	m := a.mart("leads")
	a.sync(m)
	hidden, gone, seen := a.living(2), a.living(5), a.living(9)
	a.clock.Advance(time.Hour)
	if !a.sim.TouchLead(hidden, "title") || !a.sim.TouchLead(gone, "title") || !a.sim.TouchLead(seen, "title") || !a.sim.DeleteLead(gone) {
		t.Fatal("there are no such leads")
	}
	hid := 0
	a.line.bend = func(resp *http.Response) error {
		if resp.Request.URL.Path != leadsPath {
			return nil
		}
		var m map[string]any
		if err := json.Unmarshal([]byte(a.peek(resp)), &m); err != nil {
			return err
		}
		leads := m["result"].([]any)
		m["result"] = slices.DeleteFunc(leads, func(l any) bool { return l.(map[string]any)["id"] == float64(hidden) })
		hid += len(leads) - len(m["result"].([]any))
		text, err := json.Marshal(m)
		resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(text)), int64(len(text))
		resp.Header.Del("Content-Length")
		return err
	}
	a.clock.Advance(time.Hour)
	a.sync(m)
	if hid == 0 {
		t.Fatal("the lead was not read by id, so this proves nothing")
	}
	for id, want := range map[int64]bool{hidden: false, gone: true, seen: false} {
		if r := m.rows[fmt.Sprint(id)]; r.deleted != want {
			t.Errorf("lead %d is marked deleted: %v, want %v", id, r.deleted, want)
		}
	}
}

// E20: a field that is removed while a walk is under way is left out of the feed and of reads by id.
func TestE20FieldGoneFromFeedAndReads(t *testing.T) {
	a := newAccount(t, marketosim.Config{Options: simulate.Options{Rows: 150}, NoUpdatedAt: true})
	m := a.mart("leads")
	a.sync(m)
	s := a.open()
	if _, err := a.stream(s, "leads"); err != nil { // it knows the fields now
		t.Fatal(err)
	}
	a.clock.Advance(20 * time.Minute)
	a.sim.Change(60)
	if err := a.sim.RemoveField("title"); err != nil {
		t.Fatal(err)
	}
	a.clock.Advance(10 * time.Minute)
	if err := a.try(m, s, martsync.Span{}, never); err != nil {
		t.Fatalf("sync: %v", err)
	}
	a.check(m)
	if n := a.sim.Stats().Refused["1006"]; n == 0 || n > 3 {
		t.Errorf("the vendor has refused the field %d times, want once a walk and once for reads", n)
	}
}

// E8: whenever a sync dies, the next ones bring the truth, each row counted once in the ledger.
func TestE8ChangesKilledAtManyCalls(t *testing.T) {
	for _, after := range []bool{false, true} {
		for kill := 1; ; kill += 4 {
			a := newAccount(t, marketosim.Config{Options: simulate.Options{Rows: 80}, PageBlock: 40, NoUpdatedAt: true})
			a.tweak = func(c *Config) { c.Leads.Sweep = setting.Duration(24 * time.Hour) }
			m := a.mart("leads")
			a.sync(m)
			a.clock.Advance(8 * time.Hour)
			a.sim.Change(40)
			a.clock.Advance(time.Hour)
			a.line.mend(kill, after)
			err := a.try(m, a.open(), martsync.Span{}, never)
			died := a.line.dead()
			if err != nil && !died {
				t.Fatal(err)
			}
			a.line.mend(0, false)
			a.sync(m)
			a.check(m)
			m.checkSums(t)
			if t.Failed() {
				t.Fatalf("killed at call %d, reply lost: %v", kill, after)
			}
			if !died {
				if kill < 20 {
					t.Fatalf("a sync takes %d calls, so this proves little", kill)
				}
				break
			}
		}
	}
}

// E7, E8: whatever happens to leads, whenever syncs run or die, the table comes to equal the truth: at once in what the log
// tells, within the time of a sweep in everything.
func TestE7ChangesConvergeRandomly(t *testing.T) {
	t.Parallel()
	seed, most := uint64(0), uint64(20) // a hundred take too long for every day
	if f := flag.Lookup("rapid.checks"); f.Value.String() != f.DefValue {
		most = math.MaxUint64
	}
	rapid.Check(t, func(rt *rapid.T) {
		if seed++; seed > most {
			return
		}
		a := newAccount(t, marketosim.Config{
			Options: simulate.Options{Rows: rapid.IntRange(30, 100).Draw(rt, "leads"), Seed: seed}, NoUpdatedAt: true,
			MergeDeletes: rapid.Bool().Draw(rt, "merges delete"), PageBlock: rapid.SampledFrom([]int{20, 300, 1000}).Draw(rt, "block"),
		})
		const sweep = 24 * time.Hour
		a.tweak = func(c *Config) { c.Leads.Sweep = setting.Duration(sweep) }
		a.held = rapid.SampledFrom([]int{0, 1, 25}).Draw(rt, "held")
		m := a.mart("leads")
		quiet := false
		for range rapid.IntRange(2, 7).Draw(rt, "steps") {
			switch rapid.IntRange(0, 5).Draw(rt, "what") {
			case 0, 1:
				a.sim.Change(rapid.IntRange(1, 80).Draw(rt, "changes"))
			case 2:
				quiet = len(a.sim.ChangeQuietly(rapid.IntRange(1, 60).Draw(rt, "quiet changes"))) > 0 || quiet
			case 3:
				a.clock.Advance(time.Duration(rapid.IntRange(1, 5*24*60).Draw(rt, "minutes")) * time.Minute)
			case 4:
				a.sync(m)
			default:
				a.line.mend(rapid.IntRange(1, 60).Draw(rt, "dies at"), rapid.Bool().Draw(rt, "reply lost"))
				if err := a.try(m, a.open(), martsync.Span{}, never); err != nil && !a.line.dead() {
					rt.Fatal(err)
				}
				a.line.mend(0, false)
			}
			a.clock.Advance(10 * time.Minute)
		}
		a.clock.Advance(time.Hour)
		a.sync(m) // a run that died goes on up to where it was to end
		a.clock.Advance(time.Hour)
		a.sync(m)
		if !quiet {
			if diffs := a.differences(m); len(diffs) > 0 {
				rt.Fatalf("without a sweep: %s", strings.Join(diffs, "\n"))
			}
		}
		for spent := time.Duration(0); spent <= 2*sweep; spent += 9 * time.Hour { // a round may have gone by what changed just now
			a.clock.Advance(9 * time.Hour)
			a.sync(m)
		}
		if diffs := a.differences(m); len(diffs) > 0 {
			rt.Fatal(strings.Join(diffs, "\n"))
		}
		if refused := a.sim.Stats().Refused; len(refused) > 1 || refused["1035"] == 0 {
			rt.Fatalf("the vendor refused calls: %v", refused)
		}
	})
}

// What was read by id is kept and replayed, tombstones of leads that were gone included.
func TestReplayOfChanges(t *testing.T) {
	sourcetest.RunReplay(t, func(t testing.TB) sourcetest.Setup {
		a := newAccount(t, marketosim.Config{Options: simulate.Options{Rows: 60}, PageBlock: 30, NoUpdatedAt: true})
		files := newServed(a.line)
		return sourcetest.Setup{
			Open:  func(testing.TB) martsync.Source { return onlyBulk{source: a.open(), longest: 15 * 24 * time.Hour} },
			Clock: a.clock, Streams: []string{"leads"}, MaxCursors: 6,
			Calls: a.calls, Sum: files.sum,
			Change: func() {
				id := a.living(2)
				a.sim.TouchLead(id, "title")
				a.sim.DeleteLead(id)
				a.sim.Change(40)
				a.sim.ChangeQuietly(20)
				a.clock.Advance(25 * time.Hour)
			},
		}
	})
}

func TestLawsWithoutUpdatedAt(t *testing.T) {
	sourcetest.Run(t, func(t testing.TB) sourcetest.Setup {
		a := newAccount(t, marketosim.Config{Options: simulate.Options{Rows: 60}, NoUpdatedAt: true})
		return sourcetest.Setup{
			Open:  func(testing.TB) martsync.Source { return onlyBulk{source: a.open(), longest: 15 * 24 * time.Hour} },
			Clock: a.clock, Streams: []string{"leads"},
			Calls: a.calls,
		}
	})
}

func TestSweepSlices(t *testing.T) {
	const day = 86_400
	s := &sweep{From: 0, To: 1000 * day, Began: 2000 * day}
	every := 10 * 24 * time.Hour
	for _, c := range []struct {
		name    string
		at, now second
		last    second
		bytes   float64
		want    second
	}{
		{"at once nothing", 0, 2000 * day, 0, 0, 0},
		{"less than a slice is left", 0, 2000*day + day/20, 0, 0, 0},
		{"a tenth of the time, a tenth of the leads", 0, 2001 * day, 0, 0, 100 * day},
		{"goes on from where it is", 50 * day, 2001 * day, 0, 0, 100 * day},
		{"is ahead", 150 * day, 2001 * day, 0, 0, 150 * day},
		{"the last day", 100 * day, 2010 * day, 0, 0, 1000 * day},
		{"late", 990 * day, 2100 * day, 0, 0, 1000 * day},
		{"the end however little is left", 1000*day - 5, 2010 * day, 0, 0, 1000 * day},
		{"bounded by bytes", 0, 2005 * day, 2004 * day, 1_000_000, 25 * day},
		{"bounded by bytes since the last slice", 0, 2005 * day, 2005*day - day/2, 1_000_000, 25 * day / 2},
		{"a long break counts as a day", 0, 2009 * day, 0, 1_000_000, 25 * day},
	} {
		s := *s
		s.Last = c.last
		if got := s.slice(c.at, c.now, every, c.bytes, 100_000_000); got != c.want {
			t.Errorf("%s: got %d, want %d", c.name, got, c.want)
		}
	}
}

// Cursors that people may have edited are refused rather than believed.
func TestCursorOfASweep(t *testing.T) {
	for _, text := range []string{
		`{"v":1,"until":1,"parts":{},"sweep":{"from":5,"to":4,"began":1}}`,
		`{"v":1,"until":1,"parts":{},"sweep":{"from":1,"to":4,"began":-1}}`,
		`{"v":1,"until":1,"parts":{},"sweep":{"from":1,"to":4,"began":1,"end":9}}`,
		`{"v":1,"until":1,"parts":{},"held":"!"}`,
	} {
		if _, err := parsePosition("leads", martsync.Cursor(text)); err == nil {
			t.Errorf("%s is taken for a position", text)
		}
	}
	want := `{"v":1,"until":7,"parts":{},"held":"BAI","sweep":{"from":1,"to":4,"began":2,"end":3}}`
	p, err := parsePosition("leads", martsync.Cursor(want))
	if err != nil || string(p.cursor()) != want || !slices.Equal(p.Held, idSet{2, 3}) {
		t.Errorf("%s comes back as %+v, %v", want, p, err)
	}
}

// What changes and the sweep take is part of an estimate.
func TestEstimateOfChanges(t *testing.T) {
	a := newAccount(t, marketosim.Config{Options: simulate.Options{Rows: 300}, NoUpdatedAt: true})
	a.tweak = func(c *Config) { c.Leads.Sweep = setting.Duration(48 * time.Hour) }
	m := a.mart("leads")
	a.sync(m)
	for range 2 {
		a.clock.Advance(6 * time.Hour)
		a.sim.Change(200)
		a.clock.Advance(6 * time.Hour)
		a.sync(m)
	}
	a.clock.Advance(6 * time.Hour)
	a.sim.Change(200)
	a.clock.Advance(6 * time.Hour)
	s := a.open()
	e, err := s.Estimate(t.Context(), "leads", m.committed, martsync.Span{}, false)
	if err != nil {
		t.Fatal(err)
	}
	before := a.sim.Stats()
	a.sync(m)
	after := a.sim.Stats()
	spent := map[string]float64{
		"API calls": float64(after.Calls - before.Calls), "export jobs": float64(after.ExportJobs - before.ExportJobs),
		"export bytes": float64(after.ExportBytes - before.ExportBytes),
	}
	for _, c := range e.Costs {
		if got, want := float64(c.Amount), spent[c.Name]; got < want/2-8 || got > want*2+8 {
			t.Errorf("%s: estimated %.0f, spent %.0f", c.Name, got, want)
		}
	}
	if len(e.Costs) == 0 || spent["export jobs"] < 2 {
		t.Errorf("costs %v, spent %v: the sweep had no turn, so this proves nothing", e.Costs, spent)
	}
}

// However many leads change at once, few ids wait in the cursor; each lead is read once, or little more often.
func TestManyChangesAtOnce(t *testing.T) {
	a := newAccount(t, marketosim.Config{Options: simulate.Options{Rows: 2000}, NoUpdatedAt: true})
	a.held = 300
	m := a.mart("leads")
	a.sync(m)
	a.clock.Advance(time.Hour)
	a.sim.Change(3000)
	a.clock.Advance(time.Hour)
	s, err := a.stream(a.open(), "leads")
	if err != nil {
		t.Fatal(err)
	}
	longest, before := 0, a.line.count(leadsPath)
	for again := true; again; again = err != nil && martsync.KindOf(err).Waits() {
		err = m.attempt(t.Context(), s, martsync.Span{}, func() bool {
			longest = max(longest, len(m.committed), len(m.saved))
			return false
		})
		a.clock.Advance(max(martsync.AfterOf(err), time.Second))
	}
	if err != nil {
		t.Fatal(err)
	}
	a.check(m)
	if read := a.line.count(leadsPath) - before; read < 4 || read > 15 {
		t.Errorf("%d calls read leads by id, want about one for 300", read)
	}
	if longest > 6_000 {
		t.Errorf("a cursor has %d bytes", longest)
	}
}

// E24: the feed of changes is asked for with a form where the fields do not fit into a URI.
func TestE24ManyFieldsOfTheFeed(t *testing.T) {
	a := newAccount(t, marketosim.Config{Options: simulate.Options{Rows: 40}, NoUpdatedAt: true})
	for n := range 300 {
		if err := a.sim.AddField(fmt.Sprintf("A_rather_long_name_of_field_%03d__c", n), fmt.Sprintf("Field %d", n), "string"); err != nil {
			t.Fatal(err)
		}
	}
	m := a.mart("leads")
	a.sync(m)
	a.clock.Advance(time.Hour)
	a.sim.Change(30)
	a.clock.Advance(time.Hour)
	a.sync(m)
	a.check(m)
	if a.line.count("POST "+leadChangesPath) == 0 || a.line.count("GET "+leadChangesPath) > 0 {
		t.Error("the fields were sent in the URI")
	}
	if refused := a.sim.Stats().Refused; len(refused) > 1 || refused["1035"] == 0 {
		t.Errorf("the vendor refused calls: %v", refused)
	}
}

// A position that was written before there were ways to find changes goes on: what changed after it arrives at once.
func TestPositionWithoutPartsForChanges(t *testing.T) {
	a := newAccount(t, marketosim.Config{Options: simulate.Options{Rows: 150}, NoUpdatedAt: true})
	m := a.mart("leads")
	a.sync(m)
	p, err := parsePosition("leads", m.committed)
	if err != nil {
		t.Fatal(err)
	}
	p.Sweep, p.Held = nil, nil
	for _, name := range []string{"changes", "touched", "sweep"} {
		delete(p.Parts, name)
	}
	m.committed, m.saved = p.cursor(), ""
	a.clock.Advance(90 * time.Minute)
	a.sim.Change(60)
	a.clock.Advance(90 * time.Minute)
	a.sync(m)
	a.check(m)
	if p, err = parsePosition("leads", m.committed); err != nil || p.Sweep == nil || p.Parts["changes"] == nil {
		t.Errorf("the position is %s, %v: want a sweep and a walk through changes", m.committed, err)
	}
}

// What the log has forgotten is noted where it was needed, and only there.
func TestForgottenChangesAreNoted(t *testing.T) {
	for _, without := range []bool{true, false} {
		a := newAccount(t, marketosim.Config{Options: simulate.Options{Rows: 60}, NoUpdatedAt: without})
		m := a.mart("leads")
		a.sync(m)
		a.clock.Advance(100 * 24 * time.Hour)
		a.sync(m)
		noted := strings.Contains(strings.Join(m.notes, "\n"), "the vendor keeps changes for 90 days")
		if noted != without {
			t.Errorf("without the filter %v: noted %v in %q", without, noted, m.notes)
		}
	}
}

// An account that gets the filter uses it with the next run, says so, and leaves the sweep; one that loses it reads changes from
// where it was.
func TestFilterComesAndGoes(t *testing.T) {
	a := newAccount(t, marketosim.Config{Options: simulate.Options{Rows: 150}})
	lost := true
	a.line.bend = func(resp *http.Response) error {
		if !lost || !strings.HasSuffix(resp.Request.URL.Path, "/leads/export/create.json") || resp.Request.GetBody == nil {
			return nil
		}
		body, err := resp.Request.GetBody()
		if err != nil {
			return err
		}
		text, err := io.ReadAll(body)
		if err == nil && strings.Contains(string(text), `"filter":{"updatedAt"`) {
			_ = resp.Body.Close()
			resp.Body = io.NopCloser(strings.NewReader(`{"requestId":"1#1","success":false,"errors":[{"code":"1035","message":"Unsupported filter type for target subscription: updatedAt"}]}`))
		}
		return err
	}
	m := a.mart("leads")
	for step, state := range []bool{true, false, true, false} {
		lost = state
		a.sync(m)
		a.check(m)
		if has := strings.Contains(string(m.committed), `"sweep":{"from"`); has != lost {
			t.Errorf("step %d, without the filter %v: the position is %s", step, lost, m.committed)
		}
		a.clock.Advance(time.Hour)
		a.sim.Change(60)
		a.clock.Advance(time.Hour)
	}
	for _, part := range []string{"found by the changes feed", "now exported by the date of their last change"} {
		if n := strings.Count(strings.Join(m.notes, "\n"), part); n != 2 {
			t.Errorf("%q was said %d times, want twice: %q", part, n, m.notes)
		}
	}
}

// The engine counts the rows that were read by id as it counts those of files.
func TestE7ChangesThroughTheEngine(t *testing.T) {
	d := newDepot(t, marketosim.Config{Options: simulate.Options{Rows: 250}, NoUpdatedAt: true})
	sweeping := func(c *Config) { c.Leads.Sweep = setting.Duration(24 * time.Hour) }
	for round := range 5 {
		out := d.sync(t, []string{"leads"}, sweeping)
		for _, st := range out.Stats.Streams {
			if st.Error != "" || st.Quarantined > 0 {
				t.Errorf("round %d, %s ended as %s: %s; %d in quarantine", round, st.Stream, st.Phase, st.Error, st.Quarantined)
			}
		}
		d.equal(t, []string{"leads"}, sweeping)
		if t.Failed() {
			t.Fatalf("after round %d\n%s", round, d.log.tail())
		}
		d.clock.Advance(5 * time.Hour)
		d.Change(120)
		d.clock.Advance(time.Hour)
	}
	if !strings.Contains(d.log.String(), "how leads are read") || !strings.Contains(d.log.String(), "filter=createdAt") {
		t.Error("the log does not say in which way leads are read")
	}
}

// A token belongs to the fields that it was asked with; the walk begins anew with others, and only then.
func TestFeedTokenBelongsToItsFields(t *testing.T) {
	f := &feed{}
	f.ask([]string{"title", "city"}, &part{})
	f.Token = "a token"
	f.ask([]string{"title", "city"}, &part{})
	if f.Token == "" {
		t.Error("the same fields make the walk begin anew")
	}
	f.ask([]string{"title", "city"}, &part{Refused: []string{"city"}})
	if f.Token != "" || !slices.Equal(f.fields, []string{"title"}) {
		t.Errorf("without a field that was refused the token is %q, for %v", f.Token, f.fields)
	}
}
