package plan_test

import (
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/plan"
)

var at = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// reads is an estimate: calls and bytes.
func reads(stream string, calls, bytes int64) martsync.Estimate {
	e := martsync.Estimate{Stream: stream, Rows: -1, Bytes: bytes}
	if calls > 0 {
		e.Costs = append(e.Costs, martsync.Cost{Name: "calls", Unit: "calls", Amount: calls})
	}
	if bytes > 0 {
		e.Costs = append(e.Costs, martsync.Cost{Name: "bytes", Unit: "bytes", Amount: bytes})
	}
	return e
}

func limits(calls, bytes, today int64) []plan.Limit {
	return []plan.Limit{
		{Name: "calls", Unit: "calls", PerDay: calls, Today: -1},
		{Name: "bytes", Unit: "bytes", PerDay: bytes, Today: today},
	}
}

// TestDays compares with days that were counted by hand.
func TestDays(t *testing.T) {
	tests := []struct {
		name      string
		estimates []martsync.Estimate
		limits    []plan.Limit
		share     float64
		days      int
		each      []int
		decides   string
	}{
		{name: "nothing", share: 1},
		{name: "a stream that takes nothing", estimates: []martsync.Estimate{reads("a", 0, 0)}, share: 1, each: []int{0}},
		{
			name: "no limit at all", estimates: []martsync.Estimate{reads("a", 1e9, 1e15)}, share: 0.8,
			days: 1, each: []int{1},
		},
		{
			name: "exactly a day", estimates: []martsync.Estimate{reads("a", 10, 400)}, limits: limits(1000, 500, 0), share: 0.8,
			days: 1, each: []int{1}, decides: "bytes",
		},
		{
			name: "a byte more than a day", estimates: []martsync.Estimate{reads("a", 10, 401)}, limits: limits(1000, 500, 0), share: 0.8,
			days: 2, each: []int{2}, decides: "bytes",
		},
		{
			// 400 a day: day 1 has 400-150 = 250, then 400, 400: 1050 after three days, 1051 takes four.
			name: "what others have taken today", estimates: []martsync.Estimate{reads("a", 1, 1051)}, limits: limits(1000, 500, 150), share: 0.8,
			days: 4, each: []int{4}, decides: "bytes",
		},
		{
			name: "nothing is left of today", estimates: []martsync.Estimate{reads("a", 1, 1)}, limits: limits(1000, 500, 9999), share: 0.8,
			days: 2, each: []int{2}, decides: "bytes",
		},
		{
			// Day 1: a takes 300 of 400, b 100 of 500; day 2: b takes 400.
			name: "one after the other", estimates: []martsync.Estimate{reads("a", 1, 300), reads("b", 1, 500)}, limits: limits(1000, 400, 0), share: 1,
			days: 2, each: []int{1, 2}, decides: "bytes",
		},
		{
			// a needs bytes, b calls: they do not wait for each other.
			name: "different limits", estimates: []martsync.Estimate{reads("a", 0, 1200), reads("b", 300, 0)}, limits: limits(100, 400, 0), share: 1,
			days: 3, each: []int{3, 3}, decides: "bytes",
		},
		{
			// a: 100 calls and 1000 bytes. Of 50 calls and 200 bytes a day a fifth of it fits into a day, for the bytes.
			// The 20 calls a day leave 30 to b, which needs 90 of them: three days.
			name: "in proportion", estimates: []martsync.Estimate{reads("a", 100, 1000), reads("b", 90, 0)}, limits: limits(50, 200, 0), share: 1,
			days: 5, each: []int{5, 3}, decides: "bytes",
		},
		{
			name: "the source's own limit is less than the share", estimates: []martsync.Estimate{reads("a", 1, 1000)}, share: 0.8,
			limits: []plan.Limit{{Name: "bytes", Unit: "bytes", PerDay: 500, Own: 250, Today: 100}}, days: 4, each: []int{4}, decides: "bytes",
		},
		{
			// 400 a day, 300 of them taken today: 100 + 400 + 400 + 100.
			name: "the own limit is no more than what is left", estimates: []martsync.Estimate{reads("a", 1, 900)}, share: 1,
			limits: []plan.Limit{{Name: "bytes", Unit: "bytes", PerDay: 400, Own: 399, Today: 300}}, days: 4, each: []int{4}, decides: "bytes",
		},
		{
			// The account has 400 left today, the source's own 250 are taken: 0 + 250 + 250.
			name: "of the own limit nothing is left today", estimates: []martsync.Estimate{reads("a", 1, 500)}, share: 0.8,
			limits: []plan.Limit{{Name: "bytes", Unit: "bytes", PerDay: 500, Own: 250, Today: -1, Taken: 320}}, days: 3, each: []int{3}, decides: "bytes",
		},
		{
			name: "a limit of the source alone", estimates: []martsync.Estimate{reads("a", 25, 0)}, share: 0.5,
			limits: []plan.Limit{{Name: "calls", Unit: "calls", Own: 10, Today: -1}}, days: 3, each: []int{3}, decides: "calls",
		},
		{
			name: "a tiny share is slow, not never", estimates: []martsync.Estimate{reads("a", 3, 0)}, share: 0.001,
			limits: limits(10, 0, 0), days: 3, each: []int{3}, decides: "calls",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := plan.Make("sync", at, tt.estimates, tt.limits, tt.share)
			if err != nil {
				t.Fatal(err)
			}
			var each []int
			for _, s := range p.Streams {
				each = append(each, s.Day)
			}
			if p.Days != tt.days || !cmp.Equal(each, tt.each) || p.Decides != tt.decides {
				t.Errorf("got %d days, %v, decided by %q; want %d, %v, %q", p.Days, each, p.Decides, tt.days, tt.each, tt.decides)
			}
		})
	}
}

func TestMakeRefuses(t *testing.T) {
	good := []martsync.Estimate{reads("a", 1, 1)}
	tests := []struct {
		name      string
		estimates []martsync.Estimate
		limits    []plan.Limit
		share     float64
	}{
		{"no share", good, nil, 0},
		{"a negative share", good, nil, -0.1},
		{"more than everything", good, nil, 1.01},
		{"a share that is no number", good, nil, math.NaN()},
		{"a negative cost", []martsync.Estimate{{Stream: "a", Costs: []martsync.Cost{{Name: "calls", Amount: -1}}}}, nil, 1},
		{"a negative limit", good, limits(-5, 5, 0), 1},
		{"more than a hundred years", []martsync.Estimate{reads("a", 1e12, 0)}, limits(1, 1, 0), 1},
		{"more than there are numbers", []martsync.Estimate{reads("a", math.MaxInt64, 0), reads("b", math.MaxInt64, 0)}, limits(1000, 1, 0), 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := plan.Make("sync", at, tt.estimates, tt.limits, tt.share)
			if err == nil || martsync.KindOf(err) != martsync.Config {
				t.Errorf("got %+v, %v, want an error of kind config", p, err)
			}
		})
	}
}

// TestDaysAreWithinBounds draws plans: no limit can be kept in fewer days than it takes alone, and on each day but the last
// one of the limits is used up.
func TestDaysAreWithinBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		names := []string{"calls", "bytes", "jobs"}
		share := rapid.Float64Range(0.05, 1).Draw(t, "share")
		var ls []plan.Limit
		for _, n := range names {
			ls = append(ls, plan.Limit{
				Name: n, Unit: n, PerDay: rapid.Int64Range(500, 10_000).Draw(t, "limit"),
				Today: rapid.Int64Range(-1, 10_000).Draw(t, "today"), Own: rapid.SampledFrom([]int64{0, 0, 50, 700, 5_000}).Draw(t, "own"),
			})
		}
		var es []martsync.Estimate
		for range rapid.IntRange(1, 6).Draw(t, "streams") {
			e := martsync.Estimate{Stream: string(rune('a' + len(es)))}
			for _, n := range names {
				e.Costs = append(e.Costs, martsync.Cost{Name: n, Unit: n, Amount: rapid.Int64Range(0, 30_000).Draw(t, "amount")})
			}
			es = append(es, e)
		}
		p, err := plan.Make("s", at, es, ls, share)
		if err != nil {
			t.Fatal(err)
		}
		least, most := 0, 2.0 // the first day may have nothing, the last one needs not be full
		for _, x := range p.Totals {
			least = max(least, x.Days)
			most += float64(x.Amount) / float64(x.PerDay)
			if x.PerDay > max(1, int64(share*10_000)) || x.First > x.PerDay || x.First < 0 {
				t.Errorf("%s: %d a day and %d on the first, of a share of %v", x.Name, x.PerDay, x.First, share)
			}
		}
		// Rounding may leave a hair of a stream to the next day.
		if p.Days < least || float64(p.Days) > most+1 {
			t.Errorf("%d days; the limits alone take %d, and all of them one after the other %.1f", p.Days, least, most)
		}
		last := 0
		for _, s := range p.Streams {
			last = max(last, s.Day)
		}
		if last != p.Days {
			t.Errorf("the last stream is done on day %d, the plan on day %d", last, p.Days)
		}
		// More of everything is never slower for one stream alone.
		one := es[:1]
		slow, err := plan.Make("s", at, one, ls, share)
		if err != nil {
			t.Fatal(err)
		}
		fast, err := plan.Make("s", at, one, ls, 1)
		if err != nil || fast.Days > slow.Days {
			t.Errorf("all of the limits take %d days (%v), a part of them %d", fast.Days, err, slow.Days)
		}
	})
}

func TestUnknownStreamsAreNamed(t *testing.T) {
	p, err := plan.Make("s", at, []martsync.Estimate{
		{Stream: "known", Rows: 10, Bytes: 100}, {Stream: "rows only", Rows: 5, Bytes: -1}, {Stream: "unknown", Rows: -1, Bytes: -1},
	}, nil, 1)
	if err != nil || p.Rows != 15 || p.Bytes != 100 || !cmp.Equal(p.Unknown, []string{"unknown"}) {
		t.Errorf("got %d rows, %d bytes, unknown %v, %v", p.Rows, p.Bytes, p.Unknown, err)
	}
}

func TestSavings(t *testing.T) {
	big := reads("big", 10, 1000)
	big.Shares = []martsync.Share{
		{Name: "small", Bytes: 5, Omit: "no: [small]"}, {Name: "half", Bytes: 500, Omit: "no: [half]"}, {Name: "column", Bytes: 300},
	}
	p, err := plan.Make("s", at, []martsync.Estimate{reads("tiny", 1, 1), big, reads("other", 1, 200)}, limits(1000, 100, 0), 1)
	if err != nil {
		t.Fatal(err)
	}
	got, err := p.Savings()
	// 1201 bytes at 100 a day: 13 days; without big 201: 3; with half of it 701: 8; without other 1001: 11.
	want := []plan.Saving{
		{Stream: "big", Bytes: 1000, Part: 1000.0 / 1201, Omit: "exclude: [big]", Days: 3},
		{Stream: "big", Name: "half", Bytes: 500, Part: 500.0 / 1201, Omit: "no: [half]", Days: 8},
		{Stream: "big", Name: "column", Bytes: 300, Part: 300.0 / 1201, Days: 13},
		{Stream: "other", Bytes: 200, Part: 200.0 / 1201, Omit: "exclude: [other]", Days: 11},
	}
	near := cmp.Comparer(func(a, b float64) bool { return math.Abs(a-b) < 1e-9 })
	if diff := cmp.Diff(want, got, near); err != nil || diff != "" {
		t.Errorf("savings: %v (-want +got):\n%s", err, diff)
	}
}

// TestRange: what estimates may be wrong by is a range of days, and what nobody knows has no end.
func TestRange(t *testing.T) {
	wrong := reads("wrong", 10, 400)
	wrong.Most = []martsync.Cost{{Name: "calls", Unit: "calls", Amount: 10}, {Name: "bytes", Unit: "bytes", Amount: 900}}
	open := reads("open", 2, 0)
	open.Open = true
	never := reads("never", 1, 1)
	never.Most = []martsync.Cost{{Name: "calls", Unit: "calls", Amount: math.MaxInt64 / 2}}
	for _, tt := range []struct {
		name       string
		estimates  []martsync.Estimate
		days, most int
		bytes      int64 // at most
		open       []string
	}{
		{"sure", []martsync.Estimate{reads("sure", 10, 400)}, 1, 1, 400, nil},
		{"may be wrong", []martsync.Estimate{wrong}, 1, 3, 900, nil},
		{"one of two may be wrong", []martsync.Estimate{wrong, reads("sure", 10, 400)}, 2, 4, 1300, nil},
		{"nobody knows one", []martsync.Estimate{wrong, open}, 1, 0, -1, []string{"open"}},
		{"the most never ends", []martsync.Estimate{never}, 1, 0, 1, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, err := plan.Make("sync", at, tt.estimates, limits(1000, 400, 0), 1)
			if err != nil {
				t.Fatal(err)
			}
			var bytes int64
			for _, x := range p.Totals {
				if x.Name == "bytes" {
					bytes = x.Most
				}
			}
			if tt.name == "the most never ends" {
				bytes = 1 // it tells none
			}
			if p.Days != tt.days || p.Most != tt.most || bytes != tt.bytes || !cmp.Equal(p.Open, tt.open) {
				t.Errorf("got day %d to %d, %d bytes at most, open %v; want %d to %d, %d, %v", p.Days, p.Most, bytes, p.Open, tt.days, tt.most, tt.bytes, tt.open)
			}
		})
	}
}
