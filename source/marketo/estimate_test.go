package marketo

import (
	"errors"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/destination/memory"
	"github.com/martsync/martsync/pipeline"
	"github.com/martsync/martsync/simulate"
	"github.com/martsync/martsync/source/marketo/marketosim"
	progress "github.com/martsync/martsync/state"
)

var (
	_ martsync.Estimator = (*source)(nil)
	_ martsync.Allower   = (*source)(nil)
)

// spends is what a source has spent so far, by name.
func spends(s *source) map[string]int64 {
	m := map[string]int64{}
	for _, u := range s.Usage() {
		m[u.Name] = u.Spent
	}
	return m
}

// really syncs one stream into nothing and tells what that took.
func (l *lab) really(t testing.TB, stream string, start time.Time, change ...func(*Config)) (rows, bytes int64, spent map[string]int64) {
	t.Helper()
	s := l.open(t, change...)
	if _, err := s.Streams(t.Context()); err != nil { // what all streams share is not this one's
		t.Fatal(err)
	}
	before := spends(s)
	out, err := pipeline.Run(t.Context(), &pipeline.Sync{
		Name: "really", Source: s, Destination: memory.New(memory.NewStorage()), Streams: []string{stream}, State: progress.NewMemory(),
		Clock: l.clock, Log: slog.New(slog.NewTextHandler(l.log, nil)), Span: martsync.Span{Start: start},
	})
	if err != nil || !out.Done || len(out.Stats.Streams) != 1 {
		t.Fatalf("sync %s: %v, done %v", stream, err, out.Done)
	}
	spent = spends(s)
	maps.DeleteFunc(spent, func(k string, _ int64) bool { spent[k] -= before[k]; return false })
	return out.Stats.Streams[0].Rows, out.Stats.Streams[0].Bytes, spent
}

// within reports whether two amounts differ by no more than a factor, or by so little that it does not count.
func within(got, want int64, factor, slack float64) bool {
	g, w := float64(got), float64(want)
	return g <= w*factor+slack && w <= g*factor+slack
}

func amount(e martsync.Estimate, name string) int64 {
	for _, c := range e.Costs {
		if c.Name == name {
			return c.Amount
		}
	}
	return 0
}

// TestEstimateComesNearWhatIsSpent states the error of the method, see docs/plan.md.
func TestEstimateComesNearWhatIsSpent(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 16, 9, 30, 0, 0, time.UTC)
	cfg := marketosim.Config{
		Options: simulate.Options{Rows: 3_000}, LeadSpan: 300 * 24 * time.Hour, ActivitySpan: 120 * 24 * time.Hour,
	}
	tests := []struct {
		stream string
		start  time.Time
		basis  martsync.Basis
		factor float64 // of rows and bytes
		change func(*Config)
		sample bool
		slack  float64 // rows; 0: 20
	}{
		{stream: "leads", factor: 1.25, basis: martsync.Sampled},
		{stream: "leads", start: now.Add(-30 * 24 * time.Hour), factor: 1.5, basis: martsync.Sampled},
		{stream: "leads", factor: 1.15, basis: martsync.Sampled, sample: true},
		{stream: "activities", factor: 1.5, basis: martsync.Sampled},
		{stream: "activities", factor: 1.5, basis: martsync.Sampled, sample: true},
		{stream: "activities", factor: 1.5, basis: martsync.Sampled, start: now.Add(-10 * 24 * time.Hour)},
		{stream: "activities", factor: 1.5, basis: martsync.Sampled, start: now.Add(-5 * 24 * time.Hour), change: func(c *Config) { c.Activities.Mode = "rest" }},
		{stream: "deleted_leads", factor: 1.5},
		{stream: "lead_merges", factor: 2, slack: 50}, // so rare that they may not be seen at all
		{stream: "programs", factor: 1.3, basis: martsync.Counted},
		{stream: "smart_campaigns", factor: 1.3, basis: martsync.Counted},
		{stream: "emails", factor: 1.3, basis: martsync.Counted},
		{stream: "static_lists", factor: 1.3, basis: martsync.Counted},
		{stream: "campaigns", factor: 1.3, basis: martsync.Sampled},
		{stream: "list_members", factor: 1.7},
	}
	for _, tt := range tests {
		name := tt.stream
		if !tt.start.IsZero() {
			name += " since " + tt.start.Format(time.DateOnly)
		}
		if tt.sample {
			name += " by sample"
		}
		t.Run(name, func(t *testing.T) {
			l := newLab(t, cfg)
			var change []func(*Config)
			if tt.change != nil {
				change = append(change, tt.change)
			}
			s := l.open(t, change...)
			e, err := s.Estimate(t.Context(), tt.stream, "", martsync.Span{Start: tt.start}, tt.sample)
			if err != nil {
				t.Fatal(err)
			}
			estimating := spends(s)
			if jobs := l.Stats().ExportJobs; !tt.sample && jobs != 0 {
				t.Errorf("%d export jobs were created without being asked for", jobs)
			}
			most := int64(estimateCalls)
			if tt.sample {
				most = sampleCalls
			}
			if estimating[callsName] > most || estimating[bytesName] > vendorExportMB*1_000_000/100 {
				t.Errorf("estimating took %v", estimating)
			}
			rows, bytes, spent := l.really(t, tt.stream, tt.start, change...)
			t.Logf("estimate %d rows %d bytes %v (%s, %s); really %d rows %d bytes %v; estimating took %v",
				e.Rows, e.Bytes, e.Costs, e.Basis, e.Detail, rows, bytes, spent, estimating)
			if tt.basis != "" && e.Basis != tt.basis {
				t.Errorf("basis: got %s, want %s", e.Basis, tt.basis)
			}
			if !within(e.Rows, rows, tt.factor, max(tt.slack, 20)) {
				t.Errorf("rows: estimated %d, really %d", e.Rows, rows)
			}
			if !within(e.Bytes, bytes, tt.factor, 20_000) {
				t.Errorf("bytes: estimated %d, really %d", e.Bytes, bytes)
			}
			for _, c := range []struct {
				name  string
				slack float64
			}{{callsName, 12}, {bytesName, 20_000}, {jobsName, 1}} {
				if got := amount(e, c.name); !within(got, spent[c.name], max(tt.factor, 1.5), c.slack) {
					t.Errorf("%s: estimated %d, really %d", c.name, got, spent[c.name])
				}
			}
		})
	}
}

// Long lists are not read to their end.
func TestEstimateOfLongLists(t *testing.T) {
	l := newLab(t, marketosim.Config{Options: simulate.Options{Rows: 9_000}, LeadSpan: 60 * 24 * time.Hour, ActivitySpan: 10 * 24 * time.Hour, PerLead: 1})
	s := l.open(t)
	e, err := s.Estimate(t.Context(), "list_members", "", martsync.Span{}, false)
	if err != nil {
		t.Fatal(err)
	}
	estimating := spends(s)
	rows, _, spent := l.really(t, "list_members", time.Time{})
	t.Logf("estimate %d rows %v (%s, %s); really %d rows %v; estimating took %v", e.Rows, e.Costs, e.Basis, e.Detail, rows, spent, estimating)
	if !within(e.Rows, rows, 1.6, 0) || !within(amount(e, callsName), spent[callsName], 1.6, 12) {
		t.Errorf("estimated %d rows and %d calls, really %d and %d", e.Rows, amount(e, callsName), rows, spent[callsName])
	}
	if estimating[callsName] > 60 {
		t.Errorf("estimating took %d calls", estimating[callsName])
	}
}

func TestWholeOfAPeek(t *testing.T) {
	for _, c := range []struct {
		name   string
		ids    []int64
		newest int64
		want   float64
	}{
		{"a quarter of the ids", []int64{1, 13, 25}, 100, 4},
		{"the newest lead is on it", []int64{1, 50, 100}, 100, 1},
		{"a newer one than was known", []int64{1, 50, 200}, 100, 1},
		{"in no order", []int64{3, 1, 2}, 100, moreUnknown},
		{"nobody knows the newest", []int64{1, 13, 25}, 0, moreUnknown},
		{"a single id", []int64{7}, 100, moreUnknown},
	} {
		if got := (&peek{ids: c.ids}).whole(c.newest); got != c.want {
			t.Errorf("%s: got %g, want %g", c.name, got, c.want)
		}
	}
}

func TestEstimateRefuses(t *testing.T) {
	s := newLab(t, marketosim.Config{Options: simulate.Options{Rows: 50}}).open(t)
	if _, err := s.Estimate(t.Context(), "nothing", "", martsync.Span{}, false); !errors.Is(err, martsync.ErrUnsupported) {
		t.Errorf("a stream that is not there: got %v, want %v", err, martsync.ErrUnsupported)
	}
	for _, stream := range []string{"leads", "activities", "programs", "list_members"} {
		if _, err := s.Estimate(t.Context(), stream, "no cursor", martsync.Span{}, false); err == nil {
			t.Errorf("%s: a cursor that is none was accepted", stream)
		}
	}
}

// TestEstimateByExportAlone is about streams that only exports tell anything of.
func TestEstimateByExportAlone(t *testing.T) {
	l := newLab(t, marketosim.Config{Options: simulate.Options{Rows: 2_000}, LeadSpan: 60 * 24 * time.Hour, ActivitySpan: 60 * 24 * time.Hour})
	s := l.open(t)
	st := newActivities(s, newDispatcher())
	spec := *st.parts[0]
	spec.pages = nil
	w := window{From: secondOf(l.clock.Now().Add(-50 * 24 * time.Hour)), To: secondOf(l.clock.Now().Add(-time.Hour))}
	x, err := s.extent(t.Context(), st, &spec, &part{Way: byJob}, w, false)
	if err != nil || x.basis != martsync.Assumed || x.rows >= 0 || spends(s)[jobsName] != 0 {
		t.Errorf("without a sample: got %+v, %v, want nothing known and no job", x, err)
	}
	if x, err = s.extent(t.Context(), st, &spec, &part{Way: byJob}, w, true); err != nil {
		t.Fatal(err)
	}
	rows, _, _ := l.really(t, "activities", w.From.time())
	if x.basis != martsync.Sampled || !within(whole(x.rows), rows, 3, 0) || len(x.shares) == 0 || spends(s)[jobsName] != sampleWindows {
		t.Errorf("got %+v, %v spent, want about %d rows by %d jobs", x, spends(s), rows, sampleWindows)
	}
}

// TestEstimateWhereExportsFail still knows what the log shows.
func TestEstimateWhereExportsFail(t *testing.T) {
	l := newLab(t, marketosim.Config{
		Options: simulate.Options{Rows: 500, Faults: []string{"fail"}}, LeadSpan: 60 * 24 * time.Hour, ActivitySpan: 60 * 24 * time.Hour,
	})
	s := l.open(t)
	e, err := s.Estimate(t.Context(), "activities", "", martsync.Span{}, true)
	if err != nil || e.Rows <= 0 || !strings.Contains(e.Detail, "in vain") {
		t.Errorf("got %+v, %v, want an estimate that says the export came to nothing", e, err)
	}
}

func TestAllowances(t *testing.T) {
	s := newLab(t, marketosim.Config{Options: simulate.Options{Rows: 50}}).open(t, func(c *Config) {
		c.Limits = Limits{DailyQuota: 10_000, DailyCalls: 9_500, DailyReserve: 1_000, ExportMegabytes: 7}
	})
	want := []martsync.Allowance{
		{Cost: martsync.Cost{Name: callsName, Unit: "calls", Amount: 9_000}},
		{Cost: martsync.Cost{Name: bytesName, Unit: "bytes", Amount: 7_000_000}, Taken: -1},
	}
	if got := s.Allowances(); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if _, err := s.Estimate(t.Context(), "leads", "", martsync.Span{}, false); err != nil {
		t.Fatal(err)
	}
	if got := s.Allowances()[1]; got.Taken != 0 {
		t.Errorf("after the estimate of a stream that is exported: got %v, want that nothing has been exported today", got)
	}
}

func TestLastPage(t *testing.T) {
	for n := 1; n < 300; n++ {
		calls := 0
		has := func(page int) (bool, error) { calls++; return page < n, nil }
		least, most, err := lastPage(true, has)
		if err != nil || least != n || most != n || calls > 15 {
			t.Errorf("a listing of %d pages: got %d to %d, %v, after %d calls", n, least, most, err, calls)
		}
		calls = 0
		least, most, err = lastPage(false, has)
		if err != nil || least > n || most < n || float64(most-least) > nearEnough*float64(least) || calls > 9 {
			t.Errorf("about a listing of %d pages: got %d to %d, %v, after %d calls", n, least, most, err, calls)
		}
	}
}
