package pardot

import (
	"bytes"
	"context"
	"encoding/json"
	"iter"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/destination/memory"
	"github.com/martsync/martsync/internal/truth"
	"github.com/martsync/martsync/pipeline"
	"github.com/martsync/martsync/simulate"
	"github.com/martsync/martsync/source/pardot/pardotsim"
	"github.com/martsync/martsync/state"
)

// labTime is when a laboratory opens: an hour at which nothing special happens to any clock.
var labTime = time.Date(2026, 3, 18, 16, 30, 0, 0, time.UTC)

// A lab is a simulated business unit, and the mart that its syncs fill.
type lab struct {
	*pardotsim.Server
	clock *simulate.Clock
	url   string
	log   *lockedBuffer

	// streams are the patterns of those that sync reads. None: all.
	streams []string

	// truth is what the tables must equal. Default: Server.Truth.
	truth func(table string) iter.Seq[simulate.Row]

	// What outlives a sync.
	storage *memory.Storage
	state   state.Store

	// patience, if set, is how long a source waits for bytes, in real time.
	patience time.Duration

	// proves makes syncs keep what the vendor sends and prove that replaying it makes the same rows.
	proves bool

	// transport, if set, makes what carries the requests of each source that is opened.
	transport func(http.RoundTripper) http.RoundTripper
}

// newLab starts a simulated business unit of cfg.Rows prospects (default 300), at labTime unless
// cfg brings a clock.
func newLab(t testing.TB, cfg pardotsim.Config) *lab {
	t.Helper()
	l := &lab{log: &lockedBuffer{}, storage: memory.NewStorage(), state: state.NewMemory()}
	if clock, ok := cfg.Clock.(*simulate.Clock); ok {
		l.clock = clock
	} else {
		l.clock = simulate.NewClock(labTime)
		cfg.Clock = l.clock
	}
	if cfg.Seed == 0 {
		cfg.Seed = 7
	}
	if cfg.Rows == 0 {
		cfg.Rows = 300
	}
	sim, err := pardotsim.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	l.Server, l.truth = sim, sim.Truth
	server := httptest.NewServer(sim)
	t.Cleanup(server.Close)
	l.url = server.URL
	return l
}

// config is the configuration that reaches the business unit.
func (l *lab) config(t testing.TB, change ...func(*Config)) Config {
	t.Helper()
	text, err := json.Marshal(l.SourceConfig(l.url))
	if err != nil {
		t.Fatal(err)
	}
	var cfg Config
	if err := json.Unmarshal(text, &cfg); err != nil {
		t.Fatal(err)
	}
	for _, f := range change {
		f(&cfg)
	}
	return cfg
}

// open opens a source, as another process would.
func (l *lab) open(t testing.TB, change ...func(*Config)) *source {
	t.Helper()
	connections := &http.Transport{}
	t.Cleanup(connections.CloseIdleConnections)
	var transport http.RoundTripper = connections
	if l.transport != nil {
		transport = l.transport(connections)
	}
	s, err := open(l.config(t, change...), martsync.Env{
		Log:  slog.New(slog.NewTextHandler(l.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		HTTP: &http.Client{Transport: transport, Timeout: l.patience}, Clock: l.clock, TempDir: t.TempDir(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// run syncs l.streams into the mart, waiting where it is told to.
func (l *lab) run(t testing.TB, s martsync.Source) (pipeline.Outcome, error) {
	t.Helper()
	return pipeline.Run(t.Context(), &pipeline.Sync{
		Name: "lab", Source: s, Destination: memory.New(l.storage), Streams: l.streams, Parallel: 2,
		State: l.state, Clock: l.clock, Log: slog.New(slog.NewTextHandler(l.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
}

// sync syncs l.streams with a source of its own and compares the tables with the truth. Each
// stream must end without an error and without a row in quarantine.
func (l *lab) sync(t testing.TB, change ...func(*Config)) pipeline.Stats {
	t.Helper()
	var known *tap
	if l.proves {
		known = newTap()
		l.transport = known.transport
	}
	s := l.open(t, change...)
	var from martsync.Source = s
	if l.proves {
		from = &provenSource{source: s, t: t, tap: known}
	}
	out, err := l.run(t, from)
	if err != nil {
		t.Fatalf("sync: %v", err)
	}
	if p, ok := from.(*provenSource); ok {
		if p.rows == 0 {
			t.Error("no row was replayed, so this proves nothing")
		}
	}
	for _, st := range out.Stats.Streams {
		if st.Error != "" {
			t.Errorf("%s ended as %s: %s", st.Stream, st.Phase, st.Error)
		}
		if st.Quarantined > 0 {
			t.Errorf("%s: %d rows in quarantine, the first: %+v", st.Stream, st.Quarantined, l.storage.Quarantined(st.Stream)[0])
		}
	}
	l.compare(t, s)
	return out.Stats
}

// compare compares the tables of l.streams with the truth.
func (l *lab) compare(t testing.TB, s martsync.Source) {
	t.Helper()
	for _, st := range l.chosen(t, s) {
		schema := st.Schema()
		if !slices.Contains(l.Tables(), schema.Stream) {
			t.Errorf("the simulator does not know the truth of %s", schema.Stream)
			continue
		}
		report, err := truth.Compare(context.Background(), memory.New(l.storage), schema, l.truth(schema.Stream))
		if err != nil {
			t.Errorf("compare %s: %v", schema.Stream, err)
			continue
		}
		if !report.OK() {
			t.Error(report.String())
		}
	}
}

// chosen lists the streams of s that l.streams names.
func (l *lab) chosen(t testing.TB, s martsync.Source) (chosen []martsync.Stream) {
	t.Helper()
	streams, err := s.Streams(t.Context())
	if err != nil {
		t.Fatalf("streams: %v", err)
	}
	for _, st := range streams {
		if len(l.streams) == 0 || slices.Contains(l.streams, st.Schema().Stream) {
			chosen = append(chosen, st)
		}
	}
	return chosen
}

// ledger returns the windows of a stream, oldest first.
func (l *lab) ledger(t testing.TB, stream string) (windows []martsync.Window) {
	t.Helper()
	for e, err := range memory.New(l.storage).Ledger(t.Context(), stream) {
		if err != nil {
			t.Fatal(err)
		}
		windows = append(windows, e.Window)
	}
	return windows
}

// A lockedBuffer is what a log is written into.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
