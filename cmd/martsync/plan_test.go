package main

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/config"
	"github.com/martsync/martsync/destination/files"
	"github.com/martsync/martsync/internal/blob/blobtest"
	"github.com/martsync/martsync/internal/connectors"
	"github.com/martsync/martsync/internal/report"
	"github.com/martsync/martsync/pipeline"
	planning "github.com/martsync/martsync/plan"
	"github.com/martsync/martsync/runlog"
	"github.com/martsync/martsync/schedule"
	"github.com/martsync/martsync/simulate"
	"github.com/martsync/martsync/state"
)

var updatePlan = flag.Bool("update-plan", false, "write the golden output of martsync plan anew")

// planAt is when the plans of tests are made.
var planAt = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

// samplePlan is a plan with everything that can be in one, of a sync into a bucket and a warehouse.
func samplePlan(t *testing.T) *planReport {
	t.Helper()
	cost := func(calls, bytes, jobs int64) (c []martsync.Cost) {
		c = append(c, martsync.Cost{Name: "API calls", Unit: "calls", Amount: calls})
		if bytes > 0 {
			c = append(c, martsync.Cost{Name: "export bytes", Unit: "bytes", Amount: bytes}, martsync.Cost{Name: "export jobs", Unit: "jobs", Amount: jobs})
		}
		return c
	}
	from, to := planAt.AddDate(-3, 0, 0), planAt
	estimates := []martsync.Estimate{
		{
			Stream: "people", From: from, To: to, Rows: 1_200_000, Bytes: 900_000_000, Basis: martsync.Sampled, Detail: "540 of 675 ids that were looked up exist",
			Costs: cost(400, 900_000_000, 50), Shares: []martsync.Share{{Name: "description", Bytes: 300_000_000}, {Name: "notes", Bytes: 90_000_000}},
		},
		{
			Stream: "events", From: from, To: to, Rows: 40_000_000, Bytes: 9_600_000_000, Basis: martsync.Sampled, Detail: "3,600 activities at 12 places of the log",
			Costs: cost(640, 9_600_000_000, 80), Shares: []martsync.Share{{Name: "Visit", Bytes: 4_800_000_000, Omit: `events.exclude: ["Visit"]`}},
		},
		{Stream: "lists", Rows: 80, Bytes: 18_888, Basis: martsync.Counted, Detail: "listed", Costs: cost(2, 0, 0)},
		{Stream: "novelties", Rows: -1, Bytes: -1, Basis: martsync.Assumed, Detail: "not looked at: planning has spent the calls that it may take", Costs: cost(10, 0, 0), Open: true},
	}
	limits := []planning.Limit{
		{Name: "API calls", Unit: "calls", PerDay: 50_000, Own: 45_000, Today: 1_500},
		{Name: "export bytes", Unit: "bytes", PerDay: 500_000_000, Own: 250_000_000, Today: -1},
		{Name: "export jobs", Unit: "jobs", Today: -1},
	}
	r := &planReport{Skipped: []string{"visits"}, Every: 7 * 24 * time.Hour, Spent: []martsync.Usage{{Name: "API calls", Unit: "calls", Spent: 120, Today: -1, Limit: 50_000}}}
	var err error
	if r.Plan, err = planning.Make("marketing", planAt, estimates, limits, 0.8); err != nil {
		t.Fatal(err)
	}
	for i := range estimates {
		estimates[i].Costs = slices.Clone(estimates[i].Costs)
		for j := range estimates[i].Costs {
			estimates[i].Costs[j].Amount = estimates[i].Costs[j].Amount/150 + 1
		}
		estimates[i].Bytes /= 150
	}
	if r.Regular, err = planning.Make("marketing", planAt, estimates, limits, 0.8); err != nil {
		t.Fatal(err)
	}
	if r.Savings, err = r.Plan.Savings(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), config.FileName)
	if err := os.WriteFile(path, []byte(`version: 1
state: s3://bucket/state
sources:
  people: {type: marketo, endpoint: 123-ABC-456, client_id: x, client_secret: env:SECRET}
destinations:
  lake: {type: files, url: "s3://bucket/mart"}
  house: {type: snowflake, account: a-b, user: u, private_key: env:KEY, database: D, warehouse: W, role: R}
syncs:
- {name: marketing, source: people, destination: lake, raw: "s3://bucket/raw"}
- {name: house, source: people, destination: house}
`), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(path, config.Options{Sources: connectors.Sources(), Destinations: connectors.Destinations()})
	if err != nil {
		t.Fatal(err)
	}
	r.Prices = c.Prices
	uses := planUses(c.Syncs[0], c, r)
	for _, u := range planUses(c.Syncs[1], c, r) {
		if u.Service == "Snowflake" { // both destinations in one table
			uses = append(uses, u)
		}
	}
	if r.Costs, err = c.Prices.Bill(uses); err != nil {
		t.Fatal(err)
	}
	return r
}

// TestPlanIsShown compares with what a newcomer sees, character by character.
func TestPlanIsShown(t *testing.T) {
	var out bytes.Buffer
	getenv := func(string) string { return "" }
	a := &app{out: report.NewOutput(&out, getenv), err: report.NewOutput(&out, getenv), getenv: getenv, clock: simulate.NewClock(planAt)}
	if err := a.showPlan(samplePlan(t)); err != nil {
		t.Fatal(err)
	}
	golden := filepath.Join("testdata", "plan.golden")
	if *updatePlan {
		if err := os.WriteFile(golden, out.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), out.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestPlanCostsByHand counts what one thing costs.
func TestPlanCostsByHand(t *testing.T) {
	r := samplePlan(t)
	got := map[string]float64{}
	for _, c := range r.Costs {
		if !c.Monthly {
			got[c.Item] = c.Amount
		} else if c.Item == config.GBMonths {
			got[c.Item] = c.Amount
		}
	}
	// 1,052 calls of half a second and 10,500,018,888 bytes at 10 MB/s are 1576.001889 seconds of a quarter of a gigabyte;
	// 2 invocations of 14 minutes, 3 for each of 130 jobs and one for each of 42 days: 434, each with 4 transitions.
	// PUTs: 6 for each invocation; 3 for each of 134 commits, and 2,625,004,722 stored bytes in files of 128 MiB; the raw zone
	// 134 and one for each 8 MiB. Both keep a quarter of the bytes.
	// The warehouse wakes for 17 groups of loads, a minute each, and loads 20 MB/s.
	want := map[string]float64{
		config.LambdaGBSecond: 394.000473, config.LambdaRequests: 434, config.Transitions: 1736,
		config.Puts:     434*6 + 134*3 + 10_500_018_888*0.25/(128<<20) + 134 + 10_500_018_888.0/(8<<20),
		config.GBMonths: 2 * 0.25 * 10.500018888,
		config.Credits:  (17*60 + 10_500_018_888.0/20_000_000) / 3600,
	}
	for item, w := range want {
		if g := got[item]; g < w-1e-5 || g > w+1e-5 {
			t.Errorf("%s: got %v, want %v", item, g, w)
		}
	}
	if len(got) != len(want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestPlanCountsWhatIsStored: what lies in a bucket already is paid for each month like what is to come.
func TestPlanCountsWhatIsStored(t *testing.T) {
	_, clock, source, env := simulated(t, connectors.Simulators()[0])
	lake := bucketAt(blobtest.NewS3(t).URL)
	connector := connectors.Destinations()[slices.IndexFunc(connectors.Destinations(), func(c martsync.DestinationConnector) bool { return c.Name == "files" })]
	s := config.Sync{Name: "lake", Schema: "mart", Destination: config.Destination{Name: "lake", Connector: connector, Options: &lake}}
	a, _, _ := newApp()
	spans := []planSpan{{stream: "programs"}, {stream: "emails"}}
	if got := a.stored(t.Context(), s, source.Account(), spans, env); got != 0 {
		t.Errorf("before anything is stored: got %d bytes", got)
	}
	d, err := files.Open(t.Context(), lake, "mart", env)
	if err != nil {
		t.Fatal(err)
	}
	out, err := pipeline.Run(t.Context(), &pipeline.Sync{
		Name: "lake", Source: source, Destination: d, State: state.NewMemory(), Clock: clock, Streams: []string{"programs", "emails", "tags"},
	})
	if err != nil || !out.Done {
		t.Fatalf("sync: done %v, %v", out.Done, err)
	}
	verifier, ok := d.(martsync.Verifier)
	if !ok {
		t.Fatalf("a %T tells nothing of its files", d)
	}
	var want int64
	for _, x := range spans {
		for v, err := range verifier.Verify(t.Context(), x.stream) {
			if err != nil || !v.OK {
				t.Fatalf("%+v, %v", v, err)
			}
			want += v.Bytes
		}
	}
	got := a.stored(t.Context(), s, source.Account(), spans, env)
	if got != want || want == 0 {
		t.Errorf("got %d bytes, want %d", got, want)
	}
	month := func(r *planReport) (gb float64) {
		for _, u := range planUses(s, &config.Config{}, r) {
			if u.Item == config.GBMonths {
				gb += u.Amount
			}
		}
		return gb
	}
	r := samplePlan(t)
	before := month(r)
	if r.Stored = 3e9; month(r) < before+3-1e-6 || month(r) > before+3+1e-6 {
		t.Errorf("with 3 GB that are stored: got %v GB a month, want 3 more than %v", month(r), before)
	}
	lake.URL = "s3://no-such-bucket/lake"
	if got := a.stored(t.Context(), s, source.Account(), spans, env); got != 0 {
		t.Errorf("of a bucket that does not exist: got %d bytes", got)
	}
}

func TestComparedText(t *testing.T) {
	sums := planning.Sums{Days: 2, Streams: []planning.StreamSum{{Stream: "leads", Rows: 1000, Bytes: -1, Costs: []martsync.Cost{
		{Name: "API calls", Unit: "calls", Amount: 200}, {Name: "export bytes", Unit: "bytes", Amount: 2_000_000}, {Name: "export jobs", Unit: "jobs", Amount: 4},
	}}}}
	r := runlog.Run{
		ID: "1", Start: planAt, End: planAt.Add(25 * time.Hour), Status: runlog.Waiting, Streams: []runlog.Stream{{Stream: "leads", Rows: 900, Bytes: 5}},
		Usage: []martsync.Usage{{Name: "API calls", Spent: 150}, {Name: "export bytes", Spent: 3_000_000}},
	}
	c := planning.Compare([]planning.Record{{At: planAt.Add(-time.Hour), Next: sums}}, []runlog.Run{r}, &r)
	want := "API calls 150 of 200 (75 %) · export bytes 3.0 MB of 2.0 MB (150 %) · export jobs ? of 4 · rows 900 of 1,000 (90 %) · read 0 B of 0 B · days 2 of 2 (100 %) · not done yet"
	if got := comparedText(c); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestRegularly(t *testing.T) {
	const hour = time.Hour
	for text, want := range map[string]time.Duration{
		"":             24 * hour,
		"0 9 * * WED":  7 * 24 * hour,
		"0 9 * * 1-5":  28 * 24 * hour / 20, // not that of a weekend, nor that of two days in a row
		"*/30 * * * *": hour / 2,
		"0 9 1 * *":    30 * 24 * hour,
	} {
		s := config.Sync{Location: time.UTC}
		if text != "" {
			var err error
			if s.Schedule, err = schedule.Parse(text); err != nil {
				t.Fatal(err)
			}
		}
		for _, at := range []time.Time{planAt, planAt.AddDate(0, 0, 3)} {
			if got := regularly(s, at); got != want {
				t.Errorf("%q on a %s: got %v, want %v", text, at.Weekday(), got, want)
			}
		}
	}
}
