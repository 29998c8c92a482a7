package main

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/config"
	"github.com/martsync/martsync/destination/files"
	"github.com/martsync/martsync/internal/blob"
	"github.com/martsync/martsync/internal/blob/blobtest"
	"github.com/martsync/martsync/internal/blob/s3test"
	"github.com/martsync/martsync/internal/connectors"
	"github.com/martsync/martsync/runlog"
	"github.com/martsync/martsync/simulate"
	"github.com/martsync/martsync/state"
)

// TestLambda runs the program as Lambda does. Configuration, state and tables are in a bucket. Of each simulated account it
// makes one run: it is stopped by the end of its time again and again, killed in the middle of a download, left to hang
// by the vendor, and invoked again when it says so, until all is done. The tables must equal the account, and no export job
// may have been made twice. Then the account changes, and another run catches up.
func TestLambda(t *testing.T) {
	long(t)
	program := builtLite(t)
	for _, simulator := range connectors.Simulators() {
		t.Run(simulator.Name, func(t *testing.T) {
			byDay(t, simulator.Name == "pardot") // TestLambdaMachines has the other one
			t.Parallel()
			f := newLambdaFunction(t, program, simulator)
			f.run("first", 6)
			f.compare()
			f.jobs()
			t.Logf("%d calls, %d invocations, %d sandboxes; at most %s in its folder for small files, %s of memory", f.calls, f.service.invoked, f.service.starts,
				size(f.service.mostTemp.Load()), size(f.peak()))

			calls := f.calls
			if r := f.service.invoke(f.event("first"), time.Minute); r.answer == nil || !r.answer.Done || r.answer.Rows == 0 || f.calls != calls {
				t.Errorf("invoked again when all was done: %+v after %d calls, want the same answer without a call", r, f.calls-calls)
			}
			f.account.Change(30)
			f.sleep(25 * time.Hour) // what has no change dates is listed once a day
			f.run("second", 0)
			f.compare()
			f.jobs()
			if runs := f.runs(); len(runs) != 2 {
				t.Errorf("%d runs, want 2 however often they were taken up", len(runs))
			}
			if most := f.service.mostTemp.Load(); most > f.largest/4 {
				t.Errorf("%s were in its folder for small files at once, and the largest download had %s: want a small part of it", size(most), size(f.largest))
			}
			if peak := f.peak(); peak > lambdaMemory<<20 {
				t.Errorf("it has had %s of memory", size(peak))
			}
		})
	}
}

func size(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }

// A lambdaFunction is the function of a test, the account that it copies, and the state machine that invokes it.
type lambdaFunction struct {
	t       *testing.T
	name    string
	clock   simulate.Time
	speed   string // of the clock
	account simulate.Instance
	source  martsync.Source
	bucket  blob.S3Options
	service *lambdaService
	store   state.Store

	mu      sync.Mutex
	calls   int               // of the account
	waiting map[string]string // export jobs by their ids that were made and have to be enqueued: what was asked for
	running []string          // export jobs that run or ran: what was asked for
	largest int64             // download, in bytes
	pauses  []vendorPause     // that are to come; none: it answers all calls
	doom    func()            // kill the sandbox in the middle of the next download
	doomed  bool              // that has been done
	kinds   map[string]int    // of how invocations have ended
}

// A vendorPause is that of a vendor that answers so many calls, and then none before a time.
type vendorPause struct {
	after int
	until time.Time
}

// stall has the vendor pause when an invocation that begins now is almost over, so that its time is up soon after that; and
// once more, until it has ended, when it has made ten calls in what is left: it does not come to its end on any machine.
func stall(left time.Duration) []vendorPause {
	now := martsync.SystemClock{}.Now()
	return []vendorPause{{12, now.Add(left * 3 / 4)}, {10, now.Add(left + servePatience)}}
}

// silence has the vendor pause for longer than an invocation that begins now can wait.
func silence(left time.Duration) []vendorPause {
	return []vendorPause{{12, martsync.SystemClock{}.Now().Add(left + servePatience)}}
}

// pause is how long the vendor does not answer a call that comes now. The caller holds the lock.
func (f *lambdaFunction) pause() time.Duration {
	now := martsync.SystemClock{}.Now()
	for len(f.pauses) > 0 && f.pauses[0].after <= 0 && !f.pauses[0].until.After(now) {
		f.pauses = f.pauses[1:]
	}
	if len(f.pauses) == 0 {
		return 0
	}
	if p := &f.pauses[0]; p.after <= 0 {
		return p.until.Sub(now)
	}
	f.pauses[0].after--
	return 0
}

func newLambdaFunction(t *testing.T, program string, simulator simulate.Simulator) *lambdaFunction {
	t.Helper()
	f := &lambdaFunction{t: t, name: simulator.Name, waiting: map[string]string{}, kinds: map[string]int{}}
	f.clock, f.speed = paced(killSpeed)
	var err error
	if f.account, err = simulator.New(simulate.Options{Seed: 5, Rows: 600, Clock: f.clock}); err != nil {
		t.Fatal(err)
	}
	vendor := httptest.NewServer(http.HandlerFunc(f.vendor))
	t.Cleanup(vendor.Close)
	configured, err := config.NewSource(f.name, sourceConnector(f.name), f.account.SourceConfig(vendor.URL))
	if err != nil {
		t.Fatal(err)
	}
	env := martsync.Env{Log: slog.New(slog.DiscardHandler), HTTP: vendor.Client(), Clock: f.clock, TempDir: t.TempDir()}
	if f.source, err = configured.Open(t.Context(), env); err != nil {
		t.Fatal(err)
	}
	s3 := blobtest.NewS3(t)
	f.bucket = s3.Options()
	f.store = state.NewBlob(s3.Store("state"))

	options := f.account.SourceConfig(vendor.URL)
	options["type"] = f.name
	text, err := yaml.Marshal(map[string]any{
		"version": config.Version, "state": "s3://" + s3test.Bucket + "/state", "sources": map[string]any{f.name: options},
		"destinations": map[string]any{"lake": map[string]any{"type": "files", "url": "s3://" + s3test.Bucket + "/lake"}},
		"syncs":        []map[string]any{{"name": f.name, "source": f.name, "destination": "lake", "schema": f.name}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s3.Store("").Put(t.Context(), "martsync.yaml", text, false); err != nil {
		t.Fatal(err)
	}
	memory, err := newMemoryGroup(t, lambdaMemory)
	if err != nil {
		t.Logf("memory is not bounded: %v", err)
	}
	f.service = newLambdaService(t, program, memory, "MARTSYNC_SPEED="+f.speed, "MARTSYNC_CONFIG=s3://"+s3test.Bucket+"/martsync.yaml",
		"AWS_REGION="+s3test.Region, "AWS_ACCESS_KEY_ID="+s3test.Key, "AWS_SECRET_ACCESS_KEY="+s3test.Secret, "AWS_ENDPOINT_URL_S3="+s3.URL)
	f.sleep(30 * time.Minute) // of what is newer, some may still be on its way
	return f
}

var (
	createsJob   = regexp.MustCompile(`/export/create\.json$|/do/create$|/exports$`)
	enqueuesJob  = regexp.MustCompile(`/export/([^/]+)/enqueue\.json$`)
	jobToEnqueue = regexp.MustCompile(`"exportId":"([^"]+)"`) // where making a job does not run it
	downloads    = regexp.MustCompile(`/export/[^/]+/file\.json$|/downloadResults/|/results/`)
)

// vendor is the account with what happens to its answers.
func (f *lambdaFunction) vendor(w http.ResponseWriter, r *http.Request) {
	asked, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(asked))
	f.mu.Lock()
	f.calls++
	f.mu.Unlock()
	for {
		f.mu.Lock()
		hang := f.pause()
		f.mu.Unlock()
		if hang <= 0 {
			break
		}
		if (martsync.SystemClock{}).Sleep(r.Context(), hang) != nil {
			return // it has never heard of it
		}
	}
	answer := httptest.NewRecorder()
	f.account.ServeHTTP(answer, r)
	body := answer.Body.Bytes()
	var doom func()
	f.mu.Lock()
	succeeded := r.Method == http.MethodPost && answer.Code < 300 && !bytes.Contains(body, []byte(`"success":false`))
	switch {
	case succeeded && createsJob.MatchString(r.URL.Path):
		job := r.URL.Path + " " + string(asked)
		if id := jobToEnqueue.FindSubmatch(body); id != nil {
			f.waiting[string(id[1])] = job
		} else {
			f.running = append(f.running, job)
		}
	case succeeded && enqueuesJob.MatchString(r.URL.Path):
		id := enqueuesJob.FindStringSubmatch(r.URL.Path)[1]
		if job, ok := f.waiting[id]; ok { // it may be asked twice
			f.running = append(f.running, job)
			delete(f.waiting, id)
		}
	case r.Method == http.MethodGet && downloads.MatchString(r.URL.Path):
		f.largest = max(f.largest, int64(len(body)))
		if len(body) > enough {
			doom, f.doom, f.doomed = f.doom, nil, f.doomed || f.doom != nil
		}
	}
	f.mu.Unlock()
	maps.Copy(w.Header(), answer.Header())
	if doom == nil {
		w.WriteHeader(answer.Code)
		_, _ = w.Write(body)
		return
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(answer.Code)
	_, _ = w.Write(body[:len(body)*2/3])
	_ = http.NewResponseController(w).Flush()
	doom()
	panic(http.ErrAbortHandler)
}

// enough is how large a download is that is worth breaking off, in bytes.
const enough = 50 << 10

func (f *lambdaFunction) sleep(d time.Duration) {
	f.t.Helper()
	if err := f.clock.Sleep(f.t.Context(), d); err != nil {
		f.t.Fatal(err)
	}
}

func (f *lambdaFunction) event(run string) any { return map[string]any{"sync": f.name, "run": run} }

// maxInvocations is how often the function is invoked in a test at most.
const maxInvocations = 300

// run is the state machine: it invokes the function until the run is done. So many times its time is up; besides, once the
// sandbox is killed in the middle of a download, and once the vendor does not answer before time is up. On a busy machine it
// may be killed more often, since it has not answered in time, or its time is up before it has read its configuration. That is
// not counted, and it gets more time.
func (f *lambdaFunction) run(name string, stops int) {
	f.t.Helper()
	f.kinds = map[string]int{}
	died := false // in the invocation before
	for {
		left := 2 * time.Minute
		slow := time.Duration(f.kinds["killed"]+f.kinds["cut off"]) * 300 * time.Millisecond
		f.mu.Lock()
		f.pauses = nil
		switch stopped := f.kinds["deadline"]; {
		case stopped < stops:
			left = 1500*time.Millisecond + slow + time.Duration(stopped)*100*time.Millisecond
			f.pauses = stall(left)
			if stopped == stops/2 && !f.doomed {
				f.doom = func() { f.service.kill() }
			}
		case stopped == stops && stops > 0:
			left = 6*time.Second + 4*slow
			f.pauses = silence(left)
		}
		f.mu.Unlock()
		r := f.service.invoke(f.event(name), left)
		if f.service.invoked > maxInvocations {
			f.t.Fatalf("%s: not done after %d invocations: %v, %+v", name, maxInvocations, f.kinds, r)
		}
		late := died // what the dead had sent when it died may be done only now
		died = r.killed
		switch {
		case r.killed:
			f.kinds["killed"]++
			continue
		case r.failure != nil && r.failure.Type == martsync.Conflict.String() && late: // the machine tries again
			f.kinds["conflict"]++
			continue
		case r.failure != nil && r.failure.Type == martsync.Transient.String() && left < time.Minute: // the machine tries again, too
			f.kinds["cut off"]++
			continue
		case r.failure != nil:
			f.t.Fatalf("%+v", r.failure)
		case r.answer.Run != name || r.answer.Sync != f.name || r.answer.Done != r.answer.WakeAt.IsZero() || r.answer.Done != (r.answer.StoppedBecause == ""):
			f.t.Fatalf("answer %+v", r.answer)
		case r.answer.Done:
			f.t.Logf("%s: %v; %d rows of %d streams", name, f.kinds, r.answer.Rows, len(r.answer.Streams))
			if stops > 0 && (f.kinds["deadline"] <= stops || f.kinds["killed"] == 0 || !f.doomed) {
				f.t.Errorf("%v: want it stopped %d times by its deadline, and killed in the middle of a download: %v", f.kinds, stops+1, f.doomed)
			}
			return
		}
		f.kinds[r.answer.StoppedBecause]++
		f.sleep(r.answer.WakeAt.Sub(f.clock.Now()))
	}
}

func (f *lambdaFunction) destination() martsync.Destination {
	f.t.Helper()
	env := martsync.Env{Log: slog.New(slog.DiscardHandler), HTTP: http.DefaultClient, Clock: f.clock, TempDir: f.t.TempDir()}
	place := files.Config{}
	place.URL, place.S3 = "s3://"+s3test.Bucket+"/lake", f.bucket
	d, err := files.Open(f.t.Context(), place, f.name, env)
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { _ = d.Close() })
	return d
}

func (f *lambdaFunction) compare() {
	f.t.Helper()
	compareTables(f.t, f.destination(), f.source, f.account)
}

// wholeListing are the exports of one field of all leads, by which what has no listing of its own is found.
var wholeListing = regexp.MustCompile(`"fields":\["[a-zA-Z]+"\]`)

// jobs looks whether the same was exported twice, and whether each job that has delivered something was asked for. A job whose
// maker died before it wrote down its id is made again, and never runs.
func (f *lambdaFunction) jobs() {
	f.t.Helper()
	jobs := map[string]bool{}
	for e, err := range f.destination().(martsync.HistoryReader).Ledger(f.t.Context(), "") {
		if err != nil {
			f.t.Fatal(err)
		}
		if e.Window.Job != "" {
			jobs[e.Window.Job] = true
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	asked := map[string]int{}
	for _, job := range f.running {
		if wholeListing.MatchString(job) {
			continue // each run reads them anew, and two streams the same
		}
		asked[job]++
		if asked[job] == 2 {
			f.t.Errorf("the same was exported twice: %s", job)
		}
	}
	if len(jobs) == 0 || len(jobs) > len(asked) {
		f.t.Errorf("%d export jobs ran, and the ledger has %d", len(asked), len(jobs))
	}
}

func (f *lambdaFunction) runs() []runlog.Run {
	f.t.Helper()
	runs, err := runlog.List(f.t.Context(), f.store, f.name, 0)
	if err != nil {
		f.t.Fatal(err)
	}
	return runs
}

func (f *lambdaFunction) peak() int64 {
	if f.service.memory == nil {
		return 0
	}
	return f.service.memory.peak()
}

// BenchmarkLambdaStart measures how long it takes from the start of a sandbox's process until it asks for an invocation.
func BenchmarkLambdaStart(b *testing.B) {
	program := builtLite(b)
	asked := make(chan struct{}, 1)
	api := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		<-r.Context().Done()
	}))
	defer api.Close()
	for b.Loop() {
		cmd := exec.Command(program)
		cmd.Env = []string{runtimeVariable + "=" + strings.TrimPrefix(api.URL, "http://"), "AWS_LAMBDA_FUNCTION_MEMORY_SIZE=256", "TMPDIR=" + b.TempDir()}
		if err := cmd.Start(); err != nil {
			b.Fatal(err)
		}
		<-asked
		b.StopTimer()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		b.StartTimer()
	}
}
