package pardot

import (
	"errors"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/destination/memory"
	"github.com/martsync/martsync/pipeline"
	"github.com/martsync/martsync/simulate"
	"github.com/martsync/martsync/source/pardot/pardotsim"
	"github.com/martsync/martsync/state"
)

var (
	_ martsync.Estimator = (*source)(nil)
	_ martsync.Allower   = (*source)(nil)
)

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

// really syncs one stream into nothing.
func (l *lab) really(t testing.TB, stream string, start time.Time, change ...func(*Config)) (rows, bytes, calls int64) {
	t.Helper()
	s := l.open(t, change...)
	if _, err := s.Streams(t.Context()); err != nil { // what all streams share is not this one's
		t.Fatal(err)
	}
	before := s.client.spent()
	out, err := pipeline.Run(t.Context(), &pipeline.Sync{
		Name: "really", Source: s, Destination: memory.New(memory.NewStorage()), Streams: []string{stream}, State: state.NewMemory(),
		Clock: l.clock, Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Span: martsync.Span{Start: start},
	})
	if err != nil || !out.Done || len(out.Stats.Streams) != 1 {
		t.Fatalf("sync %s: %v, done %v", stream, err, out.Done)
	}
	return out.Stats.Streams[0].Rows, out.Stats.Streams[0].Bytes, s.client.spent() - before
}

// TestEstimateComesNearWhatIsSpent states the error of the method, see docs/plan.md.
func TestEstimateComesNearWhatIsSpent(t *testing.T) {
	l := newLab(t, pardotsim.Config{Options: simulate.Options{Rows: 2500}})
	old := func(c *Config) { c.Streams = map[string]StreamConfig{emailStream: {API: string(v4)}} }
	queries := func(c *Config) {
		c.Streams = map[string]StreamConfig{activityStream: {Read: string(byQuery)}, "list_memberships": {Read: string(byQuery), API: string(v4)}}
	}
	type test struct {
		name, stream string
		start        time.Time
		factor       float64
		change       func(*Config)
	}
	tests := []test{
		{name: "activities by queries", stream: activityStream, factor: 1.2, change: queries},
		{name: "memberships by version 4", stream: "list_memberships", factor: 1.2, change: queries},
		{name: "activities of a fortnight", stream: activityStream, factor: 1.2, start: labTime.Add(-14 * 24 * time.Hour)},
		{name: "prospects of a fortnight", stream: prospectStream, factor: 1.2, start: labTime.Add(-14 * 24 * time.Hour)},
		{name: "emails by version 4", stream: emailStream, factor: 2.5, change: old},
	}
	for _, o := range catalog {
		tests = append(tests, test{name: o.stream, stream: o.stream, factor: 1.25})
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var change []func(*Config)
			if tt.change != nil {
				change = append(change, tt.change)
			}
			s := l.open(t, change...)
			jobs := l.Stats().ExportJobs
			e, err := s.Estimate(t.Context(), tt.stream, "", martsync.Span{Start: tt.start}, false)
			if err != nil {
				t.Fatal(err)
			}
			if l.Stats().ExportJobs != jobs {
				t.Error("an export job was created without being asked for")
			}
			estimating := s.client.spent()
			if estimating > 60 {
				t.Errorf("estimating took %d calls", estimating)
			}
			rows, bytes, calls := l.really(t, tt.stream, tt.start, change...)
			jobs = l.Stats().ExportJobs - jobs
			t.Logf("estimate %d rows %d bytes %v (%s, %s); really %d rows %d bytes %d calls %d jobs; estimating took %d calls",
				e.Rows, e.Bytes, e.Costs, e.Basis, e.Detail, rows, bytes, calls, jobs, estimating)
			if !within(e.Rows, rows, tt.factor, 10) {
				t.Errorf("rows: estimated %d, really %d", e.Rows, rows)
			}
			if !within(e.Bytes, bytes, max(tt.factor, 1.5), 20_000) {
				t.Errorf("bytes: estimated %d, really %d", e.Bytes, bytes)
			}
			if got := amount(e, callsName); !within(got, calls, max(tt.factor, 1.5), 5) {
				t.Errorf("calls: estimated %d, really %d", got, calls)
			}
			if got := amount(e, jobsName); got != int64(jobs) {
				t.Errorf("jobs: estimated %d, really %d", got, jobs)
			}
		})
	}
}

// TestEstimateOfIDsThatAreJumpedThrough is about objects that nobody counts.
func TestEstimateOfIDsThatAreJumpedThrough(t *testing.T) {
	l := newLab(t, pardotsim.Config{Options: simulate.Options{Rows: 6000}})
	s := l.open(t)
	for _, stream := range []string{"visits", "visitor_page_views"} {
		e, err := s.Estimate(t.Context(), stream, "", martsync.Span{}, false)
		if err != nil {
			t.Fatal(err)
		}
		rows, _, _ := l.really(t, stream, time.Time{})
		t.Logf("%s: estimated %d (%s), really %d", stream, e.Rows, e.Detail, rows)
		if !within(e.Rows, rows, 1.5, 0) {
			t.Errorf("%s: estimated %d (%s), really %d", stream, e.Rows, e.Detail, rows)
		}
	}
}

func TestEstimateAfterASync(t *testing.T) {
	l := newLab(t, pardotsim.Config{})
	s := l.open(t)
	streams, err := s.Streams(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, st := range streams {
		name := st.Schema().Stream
		if name != activityStream && name != "tags" && name != listEmailStream {
			continue
		}
		out, err := readAll(t, st, "")
		for err != nil && martsync.KindOf(err).Waits() {
			if e := l.clock.Sleep(t.Context(), martsync.AfterOf(err)); e != nil {
				t.Fatal(e)
			}
			out, err = readAll(t, st, out.cursor)
		}
		if err != nil {
			t.Fatal(err)
		}
		e, err := s.Estimate(t.Context(), name, out.cursor, martsync.Span{}, false)
		if err != nil || amount(e, callsName) > 1 || amount(e, jobsName) != 0 || e.Rows > 50 {
			t.Errorf("%s, at once: got %+v, %v, want next to nothing", name, e, err)
		}
		if err := l.clock.Sleep(t.Context(), 3*24*time.Hour); err != nil {
			t.Fatal(err)
		}
		e, err = s.Estimate(t.Context(), name, out.cursor, martsync.Span{}, false)
		if err != nil || amount(e, callsName) == 0 {
			t.Errorf("%s, three days later: got %+v, %v, want some calls", name, e, err)
		}
	}
}

func TestEstimateRefuses(t *testing.T) {
	s := newLab(t, pardotsim.Config{}).open(t)
	if _, err := s.Estimate(t.Context(), "nothing", "", martsync.Span{}, false); !errors.Is(err, martsync.ErrUnsupported) {
		t.Errorf("a stream that is not there: got %v, want %v", err, martsync.ErrUnsupported)
	}
	for _, stream := range []string{"tags", listEmailStream, "opportunity_prospects"} {
		if _, err := s.Estimate(t.Context(), stream, "no cursor", martsync.Span{}, false); err == nil || !strings.Contains(err.Error(), "position") {
			t.Errorf("%s: a cursor that is none: got %v", stream, err)
		}
	}
}

func TestAllowances(t *testing.T) {
	l := newLab(t, pardotsim.Config{})
	if got := l.open(t).Allowances(); got != nil {
		t.Errorf("before anything is known: got %v, want nothing", got)
	}
	s := l.open(t, func(c *Config) { c.Limits.DailyCalls = 90_000 })
	if _, err := s.Estimate(t.Context(), "tags", "", martsync.Span{}, false); err != nil { // tells the limit along the way
		t.Fatal(err)
	}
	if got := s.Allowances(); len(got) != 1 || got[0].Amount != 80_000 {
		t.Errorf("got %v, want what the reserve of a fifth leaves of 100,000", got)
	}
}
