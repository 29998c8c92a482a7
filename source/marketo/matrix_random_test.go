package marketo

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/martsync/martsync/destination/memory"
	"github.com/martsync/martsync/internal/crash"
	"github.com/martsync/martsync/internal/setting"
	"github.com/martsync/martsync/pipeline"
	"github.com/martsync/martsync/simulate"
	"github.com/martsync/martsync/source/marketo/marketosim"
)

// A bookkeeper writes down what is asked of the vendor's exports, and kills a process at a call.
type bookkeeper struct {
	mu    sync.Mutex
	what  map[string]string // by job: the object, what of it and which fields
	ran   map[string]bool   // jobs that were enqueued
	read  map[string]bool   // jobs whose file was asked for
	empty map[string]bool   // jobs without a record
	size  map[string]int64  // of completed jobs
	lost  []string          // jobs whose file was asked for and was not there

	calls  int
	at     int    // the call that the process dies at; 0: none
	after  bool   // the vendor has done what was asked by then
	kill   func() // ends the process
	killed string // the call that it died at
}

func newBookkeeper(l *line) *bookkeeper {
	k := &bookkeeper{what: map[string]string{}, ran: map[string]bool{}, read: map[string]bool{}, empty: map[string]bool{}, size: map[string]int64{}}
	l.block, l.bend = k.request, k.reply
	return k
}

func (k *bookkeeper) die(r *http.Request) error {
	if k.kill != nil {
		k.kill()
	}
	k.killed = r.Method + " " + r.URL.Path
	return errKilled
}

func (k *bookkeeper) request(r *http.Request) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.calls++
	if k.at != 0 && (k.calls > k.at || k.calls == k.at && !k.after) {
		return k.die(r)
	}
	return nil
}

func (k *bookkeeper) reply(resp *http.Response) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	r := resp.Request
	object, rest, bulk := strings.Cut(r.URL.Path, "/export/")
	if id, step, _ := strings.Cut(rest, "/"); bulk {
		if err := k.note(object, id, step, resp); err != nil {
			return err
		}
	}
	if k.at != 0 && k.calls >= k.at {
		_ = resp.Body.Close()
		return k.die(r)
	}
	return nil
}

// note writes down what a call about a job has come to.
func (k *bookkeeper) note(object, id, step string, resp *http.Response) error {
	if step == "file.json" {
		k.read[id] = k.read[id] || resp.StatusCode < 300
		if resp.StatusCode == http.StatusNotFound {
			k.lost = append(k.lost, id)
		}
		return nil
	}
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	_ = resp.Body.Close()
	resp.Body = io.NopCloser(bytes.NewReader(text))
	var env struct {
		Result []vendorJob `json:"result"`
	}
	if json.Unmarshal(text, &env) != nil || len(env.Result) != 1 {
		return nil //nolint:nilerr // a reply that a fault has broken tells of no job
	}
	v := env.Result[0]
	switch {
	case id == "create.json":
		var asked struct {
			Fields []string       `json:"fields"`
			Filter map[string]any `json:"filter"`
		}
		body, err := resp.Request.GetBody()
		if err != nil {
			return err
		}
		if err := json.NewDecoder(body).Decode(&asked); err != nil {
			return err
		}
		slices.Sort(asked.Fields)
		k.what[v.ExportID] = fmt.Sprint(object, asked.Filter, asked.Fields) // maps are printed in the order of their keys
	case step == "enqueue.json":
		k.ran[id] = true
	}
	if v.state() == completed && v.Records != nil && v.FileSize != nil {
		k.empty[id], k.size[id] = *v.Records == 0, *v.FileSize
	}
	return nil
}

// waste lists the jobs that the vendor ran in vain: nobody read their files, or the same had been exported before.
func (k *bookkeeper) waste() (list []string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	first := map[string]string{}
	for _, id := range slices.Sorted(maps.Keys(k.ran)) {
		what := k.what[id]
		if other, again := first[what]; again {
			list = append(list, fmt.Sprintf("%s exports the same as %s: %s", id, other, what))
		}
		first[what] = id
		if !k.read[id] && !k.empty[id] {
			list = append(list, fmt.Sprintf("the file of %s was never read: %s", id, what))
		}
	}
	return list
}

// sixHourly reads everything again after six hours: not in the next process, and in the next round of a test.
func sixHourly(c *Config) {
	six := setting.Duration(6 * time.Hour)
	c.Members.FullListingEvery, c.Custom.FullListingEvery, c.Objects.Every = six, six, six
	c.Assets.FullListingEvery, c.Tokens.Every = six, six
}

// forget begins anew: what is exported from now on is compared with nothing before.
func (k *bookkeeper) forget() {
	k.mu.Lock()
	defer k.mu.Unlock()
	clear(k.ran)
}

// run is one process: it syncs until it is done or dies.
func (d *depot) run(ctx context.Context, t testing.TB, streams []string, parallel int) error {
	_, err := pipeline.Run(ctx, &pipeline.Sync{
		Name: "depot", Source: d.open(t, byBulk, sixHourly), Destination: memory.New(d.storage), Streams: streams, Parallel: parallel,
		State: d.state, Clock: d.clock, Log: slog.New(slog.NewTextHandler(d.log, nil)),
	})
	return err
}

// runKilled is a process that dies at a call. It reports whether it did; else it was done before.
func (d *depot) runKilled(t testing.TB, k *bookkeeper, streams []string, parallel, at int, after bool) (died bool, err error) {
	ctx, kill := context.WithCancel(t.Context())
	defer kill()
	k.mu.Lock()
	k.calls, k.at, k.after, k.kill, k.killed = 0, at, after, kill, ""
	k.mu.Unlock()
	err = d.run(ctx, t, streams, parallel)
	k.mu.Lock()
	k.at = 0
	died = k.killed != ""
	k.mu.Unlock()
	if died {
		d.clock.Advance(time.Hour) // the lease of the dead process ends
		return true, nil
	}
	return false, err
}

// exporting are the streams that export jobs have a part in.
func exporting() []string {
	return slices.DeleteFunc(slices.Clone(exported), func(n string) bool { return n == "named_accounts" })
}

// E8: killed at any call, before or after the vendor has done what it asks for, every stream that exports is complete
// in the end, and the vendor has run no job whose file was not needed.
func TestE8NoByteIsExportedTwice(t *testing.T) {
	t.Parallel()
	streams := exporting()
	begin := func(t *testing.T) (*depot, *bookkeeper) {
		d := newDepot(t, marketosim.Config{Options: simulate.Options{Rows: 40}, LeadSpan: 20 * 24 * time.Hour, ActivitySpan: 20 * 24 * time.Hour, PerLead: 3})
		if err := d.run(t.Context(), t, streams, 1); err != nil {
			t.Fatal(err)
		}
		d.Change(200)
		d.clock.Advance(8 * time.Hour)
		return d, newBookkeeper(d.line)
	}
	d, k := begin(t)
	if err := d.run(t.Context(), t, streams, 1); err != nil {
		t.Fatal(err)
	}
	d.equal(t, slices.DeleteFunc(slices.Clone(streams), func(n string) bool { return n == "lead_merges" }))
	calls := k.calls
	if w := k.waste(); len(w) > 0 || calls < 80 || len(k.ran) < 7 {
		t.Fatalf("undisturbed: %d calls, %d jobs, in vain: %q", calls, len(k.ran), w)
	}
	step := max(1, calls/10)
	if testing.Short() {
		step = calls / 6
	}
	if crash.Nightly() {
		step = 1
	}
	killed := 0
	for _, after := range []bool{false, true} {
		for at := 1; at < calls; at += step {
			d, k := begin(t)
			died, err := d.runKilled(t, k, streams, 1, at, after)
			if err != nil {
				t.Fatal(err)
			}
			if !died {
				break // the jobs take more or fewer looks from one account to the next
			}
			killed++
			where := k.killed
			if err := d.run(t.Context(), t, streams, 1); err != nil {
				t.Fatal(err)
			}
			d.equal(t, slices.DeleteFunc(slices.Clone(streams), func(n string) bool { return n == "lead_merges" && d.rows(n) == 0 }))
			if w := k.waste(); len(w) > 0 {
				t.Errorf("in vain: %q", w)
			}
			if t.Failed() {
				t.Fatalf("killed at call %d (%s, after %t)\n%s", at, where, after, d.log.tail())
			}
		}
	}
	if killed < 8 {
		t.Errorf("killed %d times only", killed)
	}
}

// passing are faults of the vendor that cost time and nothing else, each with the numbers that are drawn for it.
var passing = []string{
	"fail:path=/bulk/v1/,every=%d", "nocreate:path=/bulk/v1/,every=%d", "gone:path=/bulk/v1/,every=%d", "cut:path=file.json,every=%d",
	"json:code=606,path=file.json,every=%d", "nul:path=/bulk/v1/,every=%d", "noresult:path=status.json,every=%d", "code:code=606,every=%d",
	"code:code=615,every=%d", "status:code=503,path=/rest/asset/,every=%d", "code:code=502,path=/rest/,every=%d", "code:code=1029,path=enqueue.json,every=%d,message=Too many jobs (10) in queue", "expire:every=%d",
	"status:code=502,every=%d", "dup:path=/bulk/v1/,every=%d", "code:code=611,every=%d", "cut:path=/rest/v1/,every=%d",
}

// E8, E9, E10: whatever mixture of faults and deaths comes, the tables equal the truth; and where no fault of the
// vendor is among it, every byte that was exported was needed.
func TestE8AnyMixtureOfFaultsAndDeaths(t *testing.T) {
	budget := 4 * time.Second
	if testing.Short() {
		budget = 3 * time.Second
	}
	if crash.Nightly() {
		budget = time.Hour
	}
	began, runs, deaths, faulty := time.Now(), 0, 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		enough := runs > 3 && deaths > 0 && faulty > 0 && faulty < runs // however slow the machine is
		if enough && time.Since(began) > budget {
			return
		}
		runs++
		streams := append(exporting(), "deleted_leads", "programs", "emails", "forms", "folders", "segments", "tokens", "campaigns", "list_members")
		cfg := marketosim.Config{
			Options:  simulate.Options{Rows: rapid.IntRange(15, 45).Draw(rt, "leads"), Seed: rapid.Uint64Range(1, 1<<20).Draw(rt, "seed")},
			LeadSpan: time.Duration(rapid.IntRange(5, 70).Draw(rt, "days")) * 24 * time.Hour, PerLead: 3,
		}
		cfg.ActivitySpan = cfg.LeadSpan // the account is no older than its leads
		d := newDepot(t, cfg)
		k := newBookkeeper(d.line)
		parallel := rapid.IntRange(1, 3).Draw(rt, "parallel")
		var faults []string
		for _, fault := range rapid.SliceOfNDistinct(rapid.SampledFrom(passing), 0, 2, rapid.ID[string]).Draw(rt, "faults") {
			// Seldom enough for whatever is tried again to succeed in the end.
			least := 5
			if strings.HasPrefix(fault, "expire") { // a token that is refused twice in a row ends a sync (E2), so it must live for some calls
				least = 20
			}
			faults = append(faults, fmt.Sprintf(fault, rapid.IntRange(least, 40).Draw(rt, "every")))
		}
		for _, f := range faults {
			if err := d.AddFault(f); err != nil {
				rt.Fatal(err)
			}
		}
		if len(faults) > 0 {
			faulty++
		}
		for round := range rapid.IntRange(1, 2).Draw(rt, "rounds") {
			for range rapid.IntRange(0, 3).Draw(rt, "deaths") {
				at, after := rapid.IntRange(1, 160).Draw(rt, "call"), rapid.Bool().Draw(rt, "after")
				died, err := d.runKilled(t, k, streams, parallel, at, after)
				if err != nil {
					rt.Fatal(err)
				}
				if !died {
					break
				}
				deaths++
			}
			for try := 0; ; try++ { // what gives up after many failures goes on in the next sync
				d.clock.Advance(time.Minute)
				err, wrong := d.run(t.Context(), t, streams, parallel), ""
				if err == nil { // else a stream may have given up before its table was made
					reports := d.differs(t, streams)
					for _, name := range streams {
						if r := reports[name]; !r.OK() {
							wrong += r.String() + "\n"
						}
					}
					if wrong == "" {
						break
					}
				}
				if len(faults) == 0 || try == 4 {
					rt.Fatalf("round %d: %v\n%s\n%s", round, err, wrong, d.log.tail())
				}
			}
			if w := k.waste(); len(faults) == 0 && len(w) > 0 {
				rt.Fatalf("round %d: in vain: %q\n%s", round, w, d.log.tail())
			}
			k.forget()
			d.Change(rapid.IntRange(0, 120).Draw(rt, "changes"))
			d.clock.Advance(time.Duration(rapid.IntRange(8, 72).Draw(rt, "hours")) * time.Hour)
		}
	})
	if deaths == 0 || faulty == 0 || faulty == runs {
		t.Errorf("%d runs with %d deaths, %d with faults: too few to prove much", runs, deaths, faulty)
	}
}
