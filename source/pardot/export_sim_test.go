package pardot

import (
	"context"
	"iter"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/martsync/martsync/destination/memory"
	"github.com/martsync/martsync/pipeline"
	"github.com/martsync/martsync/simulate"
	"github.com/martsync/martsync/source/pardot/pardotsim"
)

// exportedStreams are those that version 4 exports.
var exportedStreams = []string{"visitor_activities", "list_memberships", "visitors", "prospects", "prospect_accounts"}

// byJobs makes the streams be read by export jobs of a version.
func byJobs(api string, streams ...string) func(*Config) {
	return func(c *Config) {
		c.Exports.API = api
		c.Streams = map[string]StreamConfig{}
		for _, name := range streams {
			c.Streams[name] = StreamConfig{Read: "export"}
		}
	}
}

// jobs returns the export jobs that the ledger of a stream tells of.
func (l *lab) jobs(t testing.TB, stream string) (jobs []string) {
	t.Helper()
	for _, w := range l.ledger(t, stream) {
		if w.Job != "" {
			jobs = append(jobs, strings.Split(w.Job, ",")...)
		}
		if w.Parsed != w.Written+w.Quarantined {
			t.Errorf("%s: a window of %d rows, %d written and %d in quarantine", stream, w.Parsed, w.Written, w.Quarantined)
		}
	}
	return jobs
}

// A callCount counts calls by a part of their path.
type callCount struct {
	next http.RoundTripper
	mu   sync.Mutex
	n    map[string]int
}

func (c *callCount) RoundTrip(r *http.Request) (*http.Response, error) {
	c.mu.Lock()
	for _, part := range []string{"/do/create", "/do/read/", "/do/downloadResults/", "/export/version/4/do/query", "/api/v5/exports"} {
		if strings.Contains(r.URL.Path, part) {
			c.n[r.Method+" "+part]++
		}
	}
	c.mu.Unlock()
	return c.next.RoundTrip(r)
}

func (c *callCount) of(key string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n[key]
}

// counted makes the lab count calls.
func (l *lab) counted() *callCount {
	c := &callCount{n: map[string]int{}}
	l.transport = func(next http.RoundTripper) http.RoundTripper { c.next = next; return c }
	return c
}

func TestExportsOfVersion4AgainstTheSimulator(t *testing.T) {
	for _, test := range []struct {
		name string
		cfg  pardotsim.Config
	}{
		{"small files", pardotsim.Config{FileRows: 37}},
		{"line ends of the other kind, bits", pardotsim.Config{Newline: "\r\n", BitBools: true}},
		{"a zone far away", pardotsim.Config{UserZone: "America/St_Johns", AccountZone: "Asia/Kolkata"}},
		{"files at another host of the vendor", pardotsim.Config{RefsHost: "www.pardot.com"}},
		{"version 3", pardotsim.Config{SingleEmail: true}},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.cfg.Rows = 20
			l := newLab(t, test.cfg)
			l.streams = exportedStreams
			l.truth = func(table string) iter.Seq[simulate.Row] { return l.TruthBy(table, "export") }
			for range 2 {
				l.sync(t, byJobs("v4", exportedStreams...))
				if t.Failed() {
					return
				}
				l.changes(t, 60)
			}
			for _, name := range exportedStreams {
				if len(l.jobs(t, name)) == 0 {
					t.Errorf("%s was not exported", name)
				}
			}
		})
	}
}

func TestExportsOfVersion5AgainstTheSimulator(t *testing.T) {
	streams := []string{"visitor_activities", "list_memberships", "campaigns", "lifecycle_histories"}
	for _, test := range []struct {
		name string
		cfg  pardotsim.Config
	}{
		{"as documented", pardotsim.Config{FileRows: 37}},
		{"arguments in snake case", pardotsim.Config{Wire: pardotsim.Wire{SnakeArguments: true}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.cfg.Rows = 20
			l := newLab(t, test.cfg)
			l.streams = streams
			for range 2 {
				l.sync(t, byJobs("v5", streams...))
				if t.Failed() {
					return
				}
				l.changes(t, 60)
			}
			for _, name := range streams {
				if len(l.jobs(t, name)) == 0 {
					t.Errorf("%s was not exported", name)
				}
			}
		})
	}
}

// Many years are more than a job may cover, so there are several, and nothing is lost between
// them.
func TestX12BackfillOfYearsAgainstTheSimulator(t *testing.T) {
	l := newLab(t, pardotsim.Config{Options: simulate.Options{Rows: 30}})
	l.streams = []string{"visitor_activities", "list_memberships"}
	l.sync(t)
	for _, name := range l.streams {
		windows := 0
		for _, w := range l.ledger(t, name) {
			if w.Job == "" {
				continue
			}
			windows++
			if d := w.To.Sub(w.From); d > exportLongest {
				t.Errorf("%s: a window of %s", name, d)
			}
		}
		if windows < 2 {
			t.Errorf("%s: %d windows, want several", name, windows)
		}
	}
}

// Faults in the life of a job cost time and calls, never rows, and no job that nobody needs.
func TestX11FaultsOfExportsAgainstTheSimulator(t *testing.T) {
	for _, fault := range []string{
		"fail:times=1", "fail:times=5", "fail:state=Canceled,times=2", "stuck:for=9h,times=1", "lost:times=1", "lost:times=4",
		"nocreate:times=2", "noreply:times=2",
		"cut:path=*downloadResults*,times=3", "cut:path=*downloadResults*,after=700,times=5", "broken:path=*downloadResults*,times=2",
		"html:path=*downloadResults*,times=2", "status:path=*downloadResults*,status=503,times=3", "code:path=*downloadResults*,code=66,times=3",
		"drop:path=*/export/*,every=3", "code:path=*/do/create,code=174,times=1", "code:path=*/do/create,code=175,times=0",
		"code:path=*/do/create,code=46,times=0",
	} {
		t.Run(fault, func(t *testing.T) {
			l := newLab(t, pardotsim.Config{Options: simulate.Options{Rows: 12}, FileRows: 60})
			l.streams = []string{"visitor_activities", "list_memberships"}
			l.truth = func(table string) iter.Seq[simulate.Row] { return l.TruthBy(table, "export") }
			if err := l.AddFault(fault); err != nil {
				t.Fatal(err)
			}
			l.sync(t, byJobs("v4", l.streams...))
			if len(l.Stats().Faults) == 0 {
				t.Error("the fault never happened")
			}
			for _, name := range l.streams {
				l.jobs(t, name)
			}
		})
	}
}

// The reply to a create is lost: the job is found and taken over, not made twice.
func TestX10NoSecondJobAgainstTheSimulator(t *testing.T) {
	l := newLab(t, pardotsim.Config{Options: simulate.Options{Rows: 30}})
	l.streams = []string{"visitor_activities"}
	c := l.counted()
	if err := l.AddFault("noreply:times=1"); err != nil {
		t.Fatal(err)
	}
	s := l.open(t, byJobs("v4", l.streams...), func(c *Config) { c.Start.Time = l.clock.Now().Add(-200 * 24 * time.Hour) })
	if out, err := l.run(t, s); err != nil || !out.Done || out.Stats.Streams[0].Error != "" {
		t.Fatalf("sync: %+v, %v", out, err)
	}
	if jobs := l.jobs(t, "visitor_activities"); len(jobs) != 1 {
		t.Errorf("the ledger tells of the jobs %q, want one", jobs)
	}
	if n := c.of("POST /do/create"); n != 1 {
		t.Errorf("%d jobs were asked for, want 1", n)
	}
	if n := c.of("GET /export/version/4/do/query"); n == 0 {
		t.Error("the vendor's list was not looked at")
	}
}

// The API user moves to another zone while a job is under way: its files keep the old one.
func TestX07TheZoneChangesWhileAJobWaits(t *testing.T) {
	l := newLab(t, pardotsim.Config{Options: simulate.Options{Rows: 30}})
	l.streams = []string{"visitor_activities"}
	if err := l.AddFault("stuck:for=9h,times=1"); err != nil {
		t.Fatal(err)
	}
	moved := false
	l.transport = func(next http.RoundTripper) http.RoundTripper {
		return roundTrip(func(r *http.Request) (*http.Response, error) {
			if strings.Contains(r.URL.Path, "/export/version/4/do/read/") && !moved {
				moved = true
				if err := l.SetUserZone("Asia/Tokyo"); err != nil {
					t.Error(err)
				}
			}
			return next.RoundTrip(r)
		})
	}
	l.sync(t, byJobs("v4", l.streams...))
	if !moved {
		t.Error("no job was looked at")
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// A download holds a place among the account's calls for as long as it is open. With one place, nothing else may be
// asked in the meantime, such as a zone that has become old: it would never be answered.
func TestDownloadsAskNothingElse(t *testing.T) {
	l := newLab(t, pardotsim.Config{Options: simulate.Options{Rows: 30}})
	l.streams = []string{"visitor_activities"}
	var s *source
	downloads := 0
	l.transport = func(next http.RoundTripper) http.RoundTripper {
		return roundTrip(func(r *http.Request) (*http.Response, error) {
			resp, err := next.RoundTrip(r)
			if strings.Contains(r.URL.Path, "/export/") && strings.Contains(r.URL.Path, "download") {
				downloads++
				s.zones.Drop()
			}
			return resp, err
		})
	}
	s = l.open(t, byJobs("v4", l.streams...), func(c *Config) { c.Limits.Concurrent = 1 })
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute) // however slow the machine is
	defer cancel()
	out, err := pipeline.Run(ctx, &pipeline.Sync{Name: "lab", Source: s, Destination: memory.New(l.storage), Streams: l.streams, State: l.state, Clock: l.clock})
	if err != nil || !out.Done || downloads == 0 {
		t.Fatalf("done %v after %d downloads, %v", out.Done, downloads, err)
	}
	l.compare(t, s)
}

func TestKindsOfExportedActivities(t *testing.T) {
	wanted := []string{"2", "6", "13"}
	only := func(c *Config) {
		c.Streams = map[string]StreamConfig{activityStream: {Read: "export", Types: wanted}}
	}
	l := newLab(t, pardotsim.Config{FileRows: 37})
	l.streams, l.proves = []string{activityStream}, true
	l.truth = func(table string) iter.Seq[simulate.Row] {
		return func(yield func(simulate.Row) bool) {
			for row := range l.TruthBy(table, "export") {
				if kind, _ := row.Values["type"].(int64); slices.Contains(wanted, strconv.FormatInt(kind, 10)) && !yield(row) {
					return
				}
			}
		}
	}
	stats := l.sync(t, only)
	if len(l.jobs(t, activityStream)) == 0 {
		t.Error("no job was made")
	}
	all := 0
	for range l.TruthBy(activityStream, "export") {
		all++
	}
	if n := stats.Streams[0].Rows; n == 0 || n >= int64(all) {
		t.Errorf("%d rows of %d, want some", n, all)
	}
}
