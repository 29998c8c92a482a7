package marketo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/simulate"
	"github.com/martsync/martsync/source/marketo/marketosim"
)

var _ martsync.EstimateLimiter = (*source)(nil)

// TestEstimateOfLargeAccounts: with the calls that planning takes by itself every stream of an account of this size is known
// within its error, and with more of them better. Most of the log of such an account is of its last weeks.
func TestEstimateOfLargeAccounts(t *testing.T) {
	few := map[string]float64{"leads": 1.25, "smart_campaigns": 1.5, "emails": 1.5}
	many := map[string]float64{"leads": 1.15}
	for _, rows := range []int{4_000, 20_000} {
		l := newLab(t, marketosim.Config{Options: simulate.Options{Rows: rows}})
		truth := map[string]int64{}
		for _, c := range []struct {
			name    string
			calls   int64
			most    int64
			factors map[string]float64
			factor  float64 // of other streams
			slack   float64
		}{
			{name: "as it is", most: estimateCalls, factors: few, factor: 2.2, slack: 200}, // merges may not be seen at all
			{name: "1000 calls", calls: 1_000, most: 1_000, factors: many, factor: 1.5, slack: 25},
		} {
			s := l.open(t)
			all := estimateAll(t, s, c.calls)
			if took := spends(s); took[callsName] > c.most || took[jobsName] != 0 {
				t.Errorf("%d leads, %s: planning took %v, want at most %d calls", rows, c.name, took, c.most)
			} else {
				t.Logf("%d leads, %s: planning took %v", rows, c.name, took)
			}
			for stream, e := range all {
				if e.Open || e.Rows < 0 || e.Bytes < 0 {
					t.Errorf("%d leads, %s: %s is not known: %+v", rows, c.name, stream, e)
				}
				switch stream {
				case "programs", "tokens", "api_usage", "api_errors": // read twice, very uneven, and what this source does itself
					continue
				case programStream:
					if rows > 4_000 { // takes long to count
						continue
					}
				}
				if _, counted := truth[stream]; !counted {
					n := int64(0)
					for row := range l.Truth(stream) {
						if !row.Gone {
							n++
						}
					}
					truth[stream] = n
				}
				factor := c.factors[stream]
				if factor == 0 {
					factor = c.factor
				}
				if !within(e.Rows, truth[stream], factor, c.slack) {
					t.Errorf("%d leads, %s: %s: estimated %d rows (%s), there are %d", rows, c.name, stream, e.Rows, e.Detail, truth[stream])
				}
			}
		}
	}
}

// TestLimitEstimates refuses what cannot be kept to, and keeps to the rest.
func TestLimitEstimates(t *testing.T) {
	limits := func(c *Config) { c.Limits = Limits{DailyQuota: 10_000, DailyCalls: 300, DailyReserve: 1_000} }
	for _, c := range []struct {
		name  string
		calls int64
		want  string // of the error; "": none
	}{
		{"fewer than none", -1, "-1 calls"},
		{"as many as the listing takes", 11, "listing the streams has taken 11"},
		{"all that are left of the day", 300, ""},
		{"one more", 301, "301 calls are more than the 300 that are left"},
		{"one for the estimates", 12, ""},
		{"some", 50, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newLab(t, marketosim.Config{Options: simulate.Options{Rows: 2_000}}).open(t, limits)
			streams, err := s.Streams(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, st := range streams {
				names = append(names, st.Schema().Stream)
			}
			err = s.LimitEstimates(c.calls, names)
			if c.want != "" {
				if err == nil || martsync.KindOf(err) != martsync.Config || !strings.Contains(err.Error(), c.want) {
					t.Fatalf("got %v, want an error of the configuration that says %q", err, c.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range names {
				for _, sample := range []bool{false, true} { // nor does a sample take more
					if name != "activities" && sample {
						continue
					}
					if _, err := s.Estimate(t.Context(), name, "", martsync.Span{}, sample); err != nil {
						t.Fatalf("%s: %v", name, err)
					}
				}
			}
			if took := spends(s)[callsName]; took > c.calls {
				t.Errorf("planning took %d calls, want at most %d", took, c.calls)
			}
		})
	}
}

// TestCallsAreKeptForThoseThatAreAskedFor: a stream that is asked for alone gets what others would.
func TestCallsAreKeptForThoseThatAreAskedFor(t *testing.T) {
	l := newLab(t, marketosim.Config{Options: simulate.Options{Rows: 4_000}})
	places := func(streams ...string) int64 {
		s := l.open(t)
		if _, err := s.Streams(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := s.LimitEstimates(0, streams); err != nil {
			t.Fatal(err)
		}
		before := spends(s)[callsName]
		if _, err := s.Estimate(t.Context(), "activities", "", martsync.Span{}, false); err != nil {
			t.Fatal(err)
		}
		return spends(s)[callsName] - before
	}
	alone, among := places("activities"), places("activities", leadStream, programStream, "smart_campaigns", "emails", "tokens", "folders", "list_members", "files")
	if alone <= among || alone < 40 {
		t.Errorf("alone it took %d calls, among others %d", alone, among)
	}
}

// TestEstimateWhereAPlaceIsInAMailing: a page of a mailing covers seconds, and must not stand for weeks.
func TestEstimateWhereAPlaceIsInAMailing(t *testing.T) {
	const day = 24 * time.Hour
	for _, c := range []struct {
		name         string
		rows         int
		leads, since time.Duration
		calls        int64
		factor       float64
	}{
		{"recent", 1_000, 200 * day, 180 * day, 0, 1.5},
		{"long ago, beside nothing", 4_000, 730 * day, 200 * day, 130, 2.3},
	} {
		l := newLab(t, marketosim.Config{Options: simulate.Options{Rows: c.rows}, LeadSpan: c.leads, ActivitySpan: c.since, KeepsAll: true})
		all := estimateAll(t, l.open(t), c.calls)
		n := int64(0)
		for range l.Truth("activities") {
			n++
		}
		if e := all["activities"]; !within(e.Rows, n, c.factor, 0) {
			t.Errorf("%s: estimated %d rows (%s), there are %d", c.name, e.Rows, e.Detail, n)
		}
	}
}

// TestWorstBurst: a place is in a burst if most places of its time are much less dense; what counts most comes first.
func TestWorstBurst(t *testing.T) {
	const day = second(24 * 60 * 60)
	const kept = 1_000 * day
	// at makes a place in a part of ten days that shows 300 activities in so many seconds.
	at := func(from, seconds second) *look {
		w := window{From: from, To: from + 10*day}
		return &look{part: w, w: w, more: true, pages: 1, found: 300, latest: from + seconds}
	}
	for _, c := range []struct {
		name  string
		looks []*look
		want  int // of the places; -1: none
	}{
		{"all alike", []*look{at(kept, 900), at(kept+10*day, 1_000), at(kept+20*day, 1_100)}, -1},
		{"a mailing", []*look{at(kept, 900), at(kept+10*day, 2), at(kept+20*day, 1_100)}, 1},
		{"two, the denser one first", []*look{at(kept, 900), at(kept+10*day, 100), at(kept+20*day, 2), at(kept+30*day, 1_000)}, 2},
		{"long ago as dense as now, beside what was forgotten", []*look{at(day, 500_000), at(11*day, 500_000), at(21*day, 900), at(kept, 900)}, -1},
		{"a mailing long ago", []*look{at(day, 500_000), at(11*day, 2), at(kept, 900)}, 1},
		{"the only place long ago", []*look{at(day, 2), at(kept, 900)}, 0},
		{"now denser than long ago", []*look{at(day, 500_000), at(kept, 900), at(kept+10*day, 900)}, -1},
	} {
		got := worstBurst(c.looks, usualRates(c.looks, kept), kept)
		if i := slices.Index(c.looks, got); i != c.want {
			t.Errorf("%s: got place %d, want %d", c.name, i, c.want)
		}
	}
	done := at(kept+10*day, 2)
	done.pages = burstPages
	looks := []*look{at(kept, 900), done, at(kept+20*day, 1_100)}
	if got := worstBurst(looks, usualRates(looks, kept), kept); got != nil {
		t.Errorf("a place that was read on from long enough: got it again")
	}
}

// TestLeadsLeaveCallsForExports: the lookup of leads does not take those that tell what today's exports have taken.
func TestLeadsLeaveCallsForExports(t *testing.T) {
	s := newLab(t, marketosim.Config{Options: simulate.Options{Rows: 3_000}}).open(t)
	now := secondOf(s.now())
	w := window{From: now.add(-731 * 24 * time.Hour), To: now}
	if _, _, err := s.leadIDs(t.Context(), w, false); err != nil { // the log is known
		t.Fatal(err)
	}
	if _, err := s.describe(t.Context()); err != nil {
		t.Fatal(err)
	}
	a := new(allowance)
	a.left.Store(8)
	l, err := s.sampleLeads(a.allowed(t.Context()), w, false)
	if err != nil || l.found == 0 || a.spare() < 2 {
		t.Errorf("got %+v, %v, and %d calls are left, want leads and 2 calls", l, err, a.spare())
	}
}

// TestLeadsLookedUpInPart: pages that could be read stand for the others.
func TestLeadsLookedUpInPart(t *testing.T) {
	s := newLab(t, marketosim.Config{Options: simulate.Options{Rows: 3_000}}).open(t)
	now := secondOf(s.now())
	least, greatest, err := s.leadIDs(t.Context(), window{From: now.add(-731 * 24 * time.Hour), To: now}, false)
	if err != nil || greatest == 0 {
		t.Fatalf("leads %d to %d, %v", least, greatest, err)
	}
	for calls := range int64(5) {
		a := new(allowance)
		a.left.Store(calls)
		l := &leadSample{all: true}
		err := s.lookUpSpread(a.allowed(t.Context()), l, []string{"id"}, least, greatest, 4*leadPage)
		if calls == 0 {
			if !spentUp(err) {
				t.Errorf("without a call: got %v, want that they are spent", err)
			}
			continue
		}
		if err != nil || l.asked != int(calls)*leadPage || l.found != len(l.leads) || !within(whole(l.total()), 3_000, 1.25, 0) {
			t.Errorf("%d calls: %d of %d ids exist, which makes %.0f leads, %v; want about 3000", calls, l.found, l.asked, l.total(), err)
		}
	}
}

// TestSampleGivesUpItsJob: where calls run out while a job is waited for it is cancelled, and none is made that nobody could cancel.
func TestSampleGivesUpItsJob(t *testing.T) {
	slow := func(*simulate.Job) time.Duration { return 5 * time.Hour }
	for _, c := range []struct {
		name  string
		calls int64
		jobs  int64
	}{{"too few", sampleCallsLeast - 1, 0}, {"enough to wait a while", sampleCallsLeast + 2, 1}} {
		l := newLab(t, marketosim.Config{Options: simulate.Options{Rows: 100}, ProcessTime: slow})
		s := l.open(t)
		st := newActivities(s, newDispatcher())
		if _, err := s.activityTypes(t.Context()); err != nil {
			t.Fatal(err)
		}
		a := new(allowance)
		a.left.Store(c.calls)
		began := l.clock.Now()
		w := window{From: secondOf(began.Add(-48 * time.Hour)), To: secondOf(began.Add(-24 * time.Hour))}
		err := s.exportOne(a.allowed(t.Context()), st.parts[0], w, &fileSample{columns: map[string]float64{}})
		if !errors.Is(err, errAllowance) || spends(s)[jobsName] != c.jobs || l.clock.Now().Sub(began) > sampleWait/2 {
			t.Errorf("%s: got %v after %s and %d jobs, want soon that the calls are spent, and %d jobs", c.name, err, l.clock.Now().Sub(began), spends(s)[jobsName], c.jobs)
		}
		r := request{op: "list jobs", path: "/bulk/v1/activities/export.json"}
		states := 0
		for env, err := range s.client.tokenPages(t.Context(), r) {
			if err != nil {
				t.Fatal(err)
			}
			for _, raw := range env.Result {
				var v vendorJob
				if err := json.Unmarshal(raw, &v); err != nil || v.state() != cancelled {
					t.Errorf("%s: left behind %s, %v", c.name, raw, err)
				}
				states++
			}
		}
		if states != int(c.jobs) {
			t.Errorf("%s: the vendor lists %d jobs, want %d", c.name, states, c.jobs)
		}
	}
}

// TestSizeOfAListing: as many jumps as may be made tell how long it is, about or to the record.
func TestSizeOfAListing(t *testing.T) {
	const pages, last = 20, 70
	server := newLab(t, marketosim.Config{Options: simulate.Options{Rows: 50}})
	for _, c := range []struct {
		name        string
		calls       int64
		closely     bool
		least, most int
		rows        int64
		open        bool
		basis       martsync.Basis
	}{
		{"two jumps", 3, false, 9, 0, 9 * assetPage, true, martsync.Counted},
		{"one that finds nothing", 4, false, 9, 32, 17 * assetPage, false, martsync.Sampled},
		{"another one", 5, false, 17, 32, 23 * assetPage, false, martsync.Sampled},
		{"enough", 50, false, 17, 20, 18 * assetPage, false, martsync.Sampled},
		{"to the end", 50, true, pages, pages, (pages-1)*assetPage + last, false, martsync.Counted},
	} {
		s := server.open(t)
		s.estimates.sizes = map[string]*size{}
		if c.closely {
			s.estimates.most = 2 * estimateCalls
		}
		a := new(allowance)
		a.left.Store(c.calls)
		z, err := s.sizeOf(a.allowed(t.Context()), "things", false, func(ctx context.Context, i int) (*envelope, error) {
			if err := takeCall(ctx); err != nil {
				return nil, err
			}
			n := assetPage
			switch {
			case i >= pages:
				n = 0
			case i == pages-1:
				n = last
			}
			e := &envelope{Success: true, Bytes: int64(n)}
			for j := range n {
				e.Result = append(e.Result, fmt.Appendf(nil, `{"id":%d}`, i*assetPage+j+1))
			}
			return e, nil
		})
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if z.least != c.least || z.most != c.most || z.rows != c.rows || z.bytes != c.rows || z.open != c.open || z.basis() != c.basis {
			t.Errorf("%s: got %d to %d pages, %d rows of %d bytes, open %v, %s, want %+v", c.name, z.least, z.most, z.rows, z.bytes, z.open, z.basis(), c)
		}
	}
}

// TestStrata: they make up the range, the latest first, and at least half of them lie in what the vendor has all of.
func TestStrata(t *testing.T) {
	s := newLab(t, marketosim.Config{Options: simulate.Options{Rows: 50}}).open(t)
	now := secondOf(s.now())
	const day = 24 * time.Hour
	for _, c := range []struct {
		name   string
		w      window
		n      int
		recent int
	}{
		{"two years", window{now.add(-730 * day), now}, 3, 2},
		{"two years, many places", window{now.add(-730 * day), now}, 40, 20},
		{"a hundred days", window{now.add(-100 * day), now}, 10, 9},
		{"one place", window{now.add(-730 * day), now}, 1, 0},
		{"two days", window{now.add(-2 * day), now}, 4, 4},
		{"long ago", window{now.add(-730 * day), now.add(-365 * day)}, 5, 0},
	} {
		parts := s.strata(c.w, c.n)
		recent, end := 0, c.w.To
		for _, p := range parts {
			if p.To != end || p.From >= p.To {
				t.Errorf("%s: got %v, want parts without gaps", c.name, parts)
			}
			end = p.From
			if p.From >= now.add(-changesKept) {
				recent++
			}
		}
		if end != c.w.From || len(parts) != c.n || recent != c.recent {
			t.Errorf("%s: got %d parts down to %v, %d of them recent, want %d, %v and %d", c.name, len(parts), end, recent, c.n, c.w.From, c.recent)
		}
	}
}
