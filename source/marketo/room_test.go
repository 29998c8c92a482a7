package marketo

import (
	"context"
	"math"
	"testing"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/simulate"
	"github.com/martsync/martsync/source/marketo/marketosim"
)

// bulkByName are the streams of a source that read by export jobs.
func bulkByName(t *testing.T, s *source) map[string]martsync.Stream {
	t.Helper()
	streams, err := s.bulkStreams(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	by := map[string]martsync.Stream{}
	for _, st := range streams {
		by[st.Schema().Stream] = st
	}
	return by
}

// S14: the vendor lets what is queued run although the day's bytes are spent. The share is kept all the same, by all
// streams together, and used up.
func TestExportsKeepToTheirShareOfTheDay(t *testing.T) {
	const share, day = 1_000_000, 24 * time.Hour
	a := newAccount(t, marketosim.Config{
		Options: simulate.Options{Rows: 500}, PerLead: 30, LeadSpan: 300 * day, ActivitySpan: 300 * day, KeepsAll: true,
		ProcessTime: func(*simulate.Job) time.Duration { return 5 * time.Minute },
	})
	a.tweak = func(c *Config) {
		byBulk(c)
		c.Limits.ExportMegabytes = 1
	}
	leads, activities := a.mart("leads"), a.mart("activities")
	s := a.open()
	by := bulkByName(t, s)
	before, days, end := int64(0), []int64{}, martsync.Span{End: a.clock.Now()}
	for round, open := 0, 2; open > 0; round++ {
		if round > 10_000 {
			t.Fatal("it never ends")
		}
		var wait time.Duration
		open = 0
		quota := 0
		for _, m := range []*mart{leads, activities} {
			err := m.attempt(t.Context(), by[m.schema.Stream], end, never)
			if err == nil {
				continue
			}
			if !martsync.KindOf(err).Waits() {
				t.Fatal(err)
			}
			if open++; martsync.KindOf(err) == martsync.Quota {
				quota++
			}
			if after := martsync.AfterOf(err); wait == 0 || after < wait {
				wait = after
			}
		}
		if open > 0 && quota == open {
			now := a.sim.Stats().ExportBytes
			days, before = append(days, now-before), now
		}
		a.clock.Advance(wait)
	}
	a.check(leads)
	a.check(activities)
	if len(days) < 3 {
		t.Fatalf("the share was spent on %d days: too few to be a test", len(days))
	}
	for i, n := range days {
		// The first day has jobs of which nothing was known; no estimate is exact.
		most := int64(1.15 * share)
		if i == 0 {
			most = 2 * share
		}
		if n > most {
			t.Errorf("day %d: %d bytes were exported, the share is %d (%v)", i, n, share, days)
		}
		if n < 85*share/100 {
			t.Errorf("day %d: only %d bytes of %d were used (%v)", i, n, share, days)
		}
	}
}

func TestWhatIsLeftIsBooked(t *testing.T) {
	for _, c := range []struct {
		name        string
		others      float64
		left, want  float64
		got         float64
		under       bool
		bookedAfter float64
	}{
		{"nothing under way", 0, 1000, 400, 400, false, 400},
		{"others under way", 500, 1000, 400, 400, true, 400},
		{"less left than wanted", 800, 1000, 400, 200, true, 200},
		{"not worth a job", 995, 1000, 400, 0, true, 0},
		{"little wanted", 995, 1000, 4, 4, true, 4},
		{"spent", 0, 0, 400, 0, false, 0},
		{"overspent", 0, -50, 4, 0, false, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDispatcher()
			d.expected["other"] = c.others
			got, under := d.book("mine", c.left, c.want, 10)
			if got != c.got || under != c.under {
				t.Errorf("got %v, under way %t; want %v, %t", got, under, c.got, c.under)
			}
			if d.expected["mine"] != c.bookedAfter {
				t.Errorf("booked %v, want %v", d.expected["mine"], c.bookedAfter)
			}
			d.update("mine", &position{Parts: map[string]*part{}})
			if d.expected["mine"] != 0 {
				t.Errorf("%v is still booked without a job", d.expected["mine"])
			}
		})
	}
}

func TestWhatJobsAreExpectedToBring(t *testing.T) {
	const day = second(24 * 60 * 60)
	size := func(n int64) *int64 { return &n }
	for _, c := range []struct {
		name             string
		part             part
		perDay, expected float64
	}{
		{"nothing known", part{Jobs: []*job{{window: window{From: 0, To: 2 * day}, State: queued}}}, 0, 0},
		{
			"what earlier windows had",
			part{Pace: pace{Bytes: 100}, Jobs: []*job{{window: window{From: 0, To: 2 * day}, State: queued}, {window: window{From: 2 * day, To: 3 * day}}}},
			100, 300,
		},
		{
			"a completed job knows better",
			part{Pace: pace{Bytes: 100}, Jobs: []*job{
				{window: window{From: 0, To: 8 * day}, State: completed, Size: size(4000)},
				{window: window{From: 8 * day, To: 9 * day}, State: processing},
			}},
			500, 500,
		},
		{
			"one of two days knows a little",
			part{Pace: pace{Bytes: 100}, Jobs: []*job{
				{window: window{From: 0, To: 2 * day}, State: completed, Size: size(900)},
				{window: window{From: 2 * day, To: 4 * day}, State: processing},
			}},
			200, 400,
		},
		{
			"a quiet night is not the end of the world",
			part{Pace: pace{Bytes: 140}, Jobs: []*job{
				{window: window{From: 0, To: day / 2}, State: completed, Size: size(0)},
				{window: window{From: day / 2, To: day}, State: processing},
			}},
			130, 65,
		},
		{
			"a window into the future",
			part{Pace: pace{Bytes: 100}, Jobs: []*job{{window: window{From: 10 * day, To: 20 * day}, Since: 12 * day, State: queued}}},
			100, 200,
		},
		{
			"another stream's job",
			part{Pace: pace{Bytes: 100}, Jobs: []*job{{window: window{From: 0, To: day}, Since: 12 * day, State: queued, Shared: true}}},
			100, 0,
		},
		{
			"a completed job without a size does not",
			part{Pace: pace{Bytes: 100}, Jobs: []*job{
				{window: window{From: 0, To: 2 * day}, State: completed},
				{window: window{From: 2 * day, To: 3 * day}, State: processing},
			}},
			100, 100,
		},
		{
			"empty so far",
			part{Jobs: []*job{{window: window{From: 0, To: day}, State: completed, Size: size(0)}, {window: window{From: day, To: 2 * day}, State: queued}}},
			leastPace, leastPace,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := c.part.bytesADay(); math.Abs(got-c.perDay) > 0.01 {
				t.Errorf("a day has %v bytes, want %v", got, c.perDay)
			}
			if got := c.part.expected(); math.Abs(got-c.expected) > 0.02 {
				t.Errorf("%v bytes are expected, want %v", got, c.expected)
			}
		})
	}
}

// A part of which nothing is known runs one job first, and others only when that one is stuck.
func TestTheFirstJobTellsWhatToExpect(t *testing.T) {
	a := newAccount(t, marketosim.Config{LeadSpan: 200 * 24 * time.Hour})
	st, err := a.stream(a.open(), "leads")
	if err != nil {
		t.Fatal(err)
	}
	r := &run{rangeStream: st.(*rangeStream), pos: &position{Until: a.now()}}
	j := &job{window: window{From: a.now() - 100*86_400, To: a.now() - 90*86_400}, State: queued, Since: a.now(), ID: "x"}
	p := &part{At: j.From, Jobs: []*job{j}}
	next := func() time.Duration {
		t.Helper()
		length, parked, err := r.next(context.Background(), p)
		if err != nil || parked != nil {
			t.Fatal(err, parked)
		}
		return length
	}
	if got := next(); got != 0 {
		t.Errorf("beside the first job another one is started for %v", got)
	}
	a.clock.Advance(tellingMost)
	if got := next(); got != maxWindow {
		t.Errorf("beside a job that is stuck: %v, want %v", got, maxWindow)
	}
	size := int64(10_000_000)
	j.State, j.Size = completed, &size // a megabyte a day: a window of all the rest
	if got, want := next(), 90*24*time.Hour; got != min(want, maxWindow) {
		t.Errorf("once it has told: %v, want %v", got, min(want, maxWindow))
	}
	size = 1_000_000_000 // a hundred megabytes a day, of a share of 250: a day
	if got, want := next(), 24*time.Hour; got != want {
		t.Errorf("in a large account: %v, want %v", got, want)
	}
}

// Where the vendor refuses the first job of all for the day, the first one of the next day still tells how much to expect
// of the others: it has not been under way since yesterday.
func TestFirstJobAfterASpentDayIsWaitedFor(t *testing.T) {
	a := newAccount(t, marketosim.Config{
		Options:  simulate.Options{Faults: []string{"code:code=1029,path=/bulk/v1/leads/export/create.json,times=1,message=Export daily quota 500MB exceeded."}},
		LeadSpan: 300 * 24 * time.Hour,
	})
	m := a.mart("leads")
	s, err := a.stream(a.open(), "leads")
	if err != nil {
		t.Fatal(err)
	}
	for a.line.count("/enqueue.json") == 0 {
		err := m.attempt(t.Context(), s, martsync.Span{}, never)
		if !martsync.KindOf(err).Waits() {
			t.Fatalf("the attempt ends with %v", err)
		}
		if a.line.count("/enqueue.json") == 0 {
			a.clock.Advance(max(martsync.AfterOf(err), time.Second))
		}
	}
	if a.sim.Stats().Faults["code"] == 0 {
		t.Fatal("no job was refused, so this proves nothing")
	}
	if n := a.line.count("/enqueue.json"); n != 1 {
		t.Errorf("%d jobs are under way of which nothing is known, want 1", n)
	}
	a.sync(m)
	a.check(m)
}

func (a *account) now() second { return secondOf(a.clock.Now()) }
