package marketo

import (
	"log/slog"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/destination/memory"
	"github.com/martsync/martsync/pipeline"
	"github.com/martsync/martsync/simulate"
	"github.com/martsync/martsync/source/marketo/marketosim"
	progress "github.com/martsync/martsync/state"
)

// estimateAll plans all streams of a source, as martsync plan does with so many calls: what there is, and then a regular sync.
func estimateAll(t *testing.T, s *source, calls int64) map[string]martsync.Estimate {
	t.Helper()
	streams, err := s.Streams(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	names := make([]string, 0, len(streams))
	for _, st := range streams {
		names = append(names, st.Schema().Stream)
	}
	if err := s.LimitEstimates(calls, names); err != nil {
		t.Fatal(err)
	}
	all := map[string]martsync.Estimate{}
	for _, start := range []time.Time{{}, s.now().Add(-48 * time.Hour)} {
		for _, st := range streams {
			name := st.Schema().Stream
			before := spends(s)[callsName]
			e, err := s.Estimate(t.Context(), name, "", martsync.Span{Start: start}, false)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if n := spends(s)[callsName] - before; n > 0 {
				t.Logf("%s took %d calls", name, n)
			}
			if start.IsZero() {
				all[name] = e
			}
		}
	}
	return all
}

// planned are changes to a configuration for estimates of all streams.
func planned(c *Config) {
	c.Objects.NamedAccountLists = []string{"Tier 1", "EMEA focus, 2026", "Partners"}
}

// TestEstimateOfEverything compares the plan of all streams with what reading each of them takes. The bounds are those of
// docs/plan.md.
func TestEstimateOfEverything(t *testing.T) {
	l := newLab(t, marketosim.Config{Options: simulate.Options{Rows: 2_000}, LeadSpan: 300 * 24 * time.Hour, ActivitySpan: 90 * 24 * time.Hour})
	s := l.open(t, planned)
	all := estimateAll(t, s, 0)
	if took := spends(s); took[callsName] > estimateCalls || took[jobsName] != 0 {
		t.Errorf("planning took %v, want at most %d calls and no job", took, estimateCalls)
	} else {
		t.Logf("planning took %v", took)
	}
	factors := map[string]float64{"activities": 2, "program_members": 2, "opportunities": 2, "opportunity_roles": 2, "companies": 2, "sales_persons": 2, "list_members": 2.5, "lead_merges": 3, "deleted_leads": 2.5}
	really := l.open(t, planned)
	names := make([]string, 0, len(all))
	for name := range all {
		names = append(names, name)
	}
	out, err := pipeline.Run(t.Context(), &pipeline.Sync{
		Name: "really", Source: really, Destination: memory.New(memory.NewStorage()), Streams: names, State: progress.NewMemory(),
		Clock: l.clock, Log: slog.New(slog.NewTextHandler(l.log, nil)),
	})
	if err != nil || !out.Done {
		t.Fatalf("sync: %v, done %v", err, out.Done)
	}
	spent := spends(really)
	var calls, bytes, jobs int64
	for _, st := range out.Stats.Streams {
		e, known := all[st.Stream]
		if !known {
			t.Errorf("%s was not estimated", st.Stream)
			continue
		}
		calls, bytes, jobs = calls+amount(e, callsName), bytes+amount(e, bytesName), jobs+amount(e, jobsName)
		factor := factors[st.Stream]
		if factor == 0 {
			factor = 1.5
		}
		t.Logf("%-18s %7d rows %9d bytes %v (%s, %s); really %d rows %d bytes", st.Stream, e.Rows, e.Bytes, e.Costs, e.Basis, e.Detail, st.Rows, st.Bytes)
		if e.Rows < 0 || e.Open {
			t.Errorf("%s is not known: %+v", st.Stream, e)
			continue
		}
		if st.Stream != "tokens" && !within(e.Rows, st.Rows, factor, 20) { // few folders have many, most none
			t.Errorf("%s: estimated %d rows, really %d", st.Stream, e.Rows, st.Rows)
		}
		if !within(e.Bytes, st.Bytes, factor, 20_000) {
			t.Errorf("%s: estimated %d bytes, really %d", st.Stream, e.Bytes, st.Bytes)
		}
	}
	t.Logf("estimated %d calls, %d export bytes, %d jobs; really %v", calls, bytes, jobs, spent)
	if !within(calls, spent[callsName], 1.5, 0) || !within(bytes, spent[bytesName], 1.5, 0) || !within(jobs, spent[jobsName], 1.3, 0) {
		t.Errorf("estimated %d calls, %d export bytes and %d jobs, really %v", calls, bytes, jobs, spent)
	}
}

// TestEstimateKeepsToItsCalls plans everything where few calls may be made. What does not fit in is not known, no error, and
// the day is left to the sync.
func TestEstimateKeepsToItsCalls(t *testing.T) {
	for _, c := range []struct {
		name           string
		daily          int
		rows           int
		most           int // calls in all
		open, openMost int // streams that are not known
	}{
		{name: "600 a day", daily: 600, rows: 300, most: 20, open: 25, openMost: 32},
		{name: "60 a day", daily: 60, rows: 300, most: 12, open: 30, openMost: 32},
		{name: "3000 a day", daily: 3_000, rows: 300, most: 60, openMost: 13},
		{name: "an account in between", daily: 45_000, rows: 8_000, most: estimateCalls, openMost: 0},
		{name: "a large account", daily: 45_000, rows: 20_000, most: estimateCalls, openMost: 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLab(t, marketosim.Config{
				Options: simulate.Options{Rows: c.rows}, LeadSpan: 60 * 24 * time.Hour, ActivitySpan: 20 * 24 * time.Hour,
			})
			s := l.open(t, planned, func(cfg *Config) { cfg.Limits.DailyCalls = c.daily })
			all := estimateAll(t, s, 0)
			open := 0
			for name, e := range all {
				if e.Open {
					open++
				}
				if e.Rows < 0 && (!e.Open || e.Basis != martsync.Assumed || len(e.Costs) == 0) {
					t.Errorf("%s: got %+v, want that it is not known and what it takes at least", name, e)
				}
			}
			took := spends(s)[callsName]
			t.Logf("took %d calls, %d of %d streams are not known", took, open, len(all))
			if took > int64(c.most) || open < c.open || open > c.openMost {
				t.Errorf("took %d calls and %d of %d streams are not known, want at most %d calls and %d to %d streams", took, open, len(all), c.most, c.open, c.openMost)
			}
		})
	}
}

// TestEstimateIsMadeOnce: what does not depend on the range is not asked for again.
func TestEstimateIsMadeOnce(t *testing.T) {
	l := newLab(t, marketosim.Config{Options: simulate.Options{Rows: 300}, LeadSpan: 60 * 24 * time.Hour, ActivitySpan: 20 * 24 * time.Hour})
	s := l.open(t, planned)
	rows := func(all map[string]martsync.Estimate) map[string]int64 { // the end of ranges moves on with the clock
		m := map[string]int64{}
		for name, e := range all {
			m[name] = e.Rows
		}
		return m
	}
	first := rows(estimateAll(t, s, 0))
	before := spends(s)[callsName]
	again := rows(estimateAll(t, s, 0))
	if took := spends(s)[callsName] - before; took != 0 {
		t.Errorf("the same estimates took %d calls more", took)
	}
	if diff := cmp.Diff(first, again); diff != "" {
		t.Errorf("(-first +again):\n%s", diff)
	}
}
