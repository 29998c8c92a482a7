package main

import (
	"fmt"
	"log/slog"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/config"
	"github.com/martsync/martsync/destination/memory"
	"github.com/martsync/martsync/internal/blob"
	"github.com/martsync/martsync/internal/blob/blobtest"
	"github.com/martsync/martsync/internal/blob/s3test"
	"github.com/martsync/martsync/internal/connectors"
	"github.com/martsync/martsync/internal/rows"
	"github.com/martsync/martsync/pipeline"
	"github.com/martsync/martsync/raw"
	"github.com/martsync/martsync/simulate"
	"github.com/martsync/martsync/state"
)

// TestReplay copies each simulated account, changes it and copies it again, with commits and stages that are small,
// and makes the tables again from what was kept: in memory and in DuckDB, from a folder and from a bucket.
// They are those of the account and those of the first destination, with deletions, ledger and positions, and the
// account was asked nothing. Then both go on: a sync takes up the tables that were replayed, a replay those that it made before.
func TestReplay(t *testing.T) {
	long(t)
	kinds := []string{"memory"}
	if withDuckDB {
		kinds = append(kinds, "duckdb")
	}
	for _, simulator := range connectors.Simulators() {
		for _, kind := range kinds {
			t.Run(simulator.Name+"/"+kind, func(t *testing.T) {
				byDay(t, !withDuckDB || (simulator.Name == "pardot") == (kind == "duckdb"))
				t.Parallel()
				location := blob.Location{Path: t.TempDir()}
				if kind == "memory" {
					location = blob.Location{URL: "s3://" + s3test.Bucket + "/raw", S3: blobtest.Options(blobtest.NewS3(t).URL)}
				}
				r := newReplayed(t, simulator, kind, location)
				r.sync("first")
				r.change()
				r.sync("first")
				r.compare("first")
				r.replay("second")
				r.same("first", "second")
				r.compare("second")

				if kind != "memory" {
					return
				}
				// The replay's tables get the rest of the zone, and a sync takes them over.
				r.change()
				r.sync("first")
				r.replay("second")
				r.same("first", "second")
				r.change()
				r.sync("second")
				// The position is that of the last rows that were kept. A listing that was under way there is brought to
				// its end first, and what has changed since is read after it.
				r.compare("second")
				r.replay("third")
				r.same("second", "third")
			})
		}
	}
}

type replayed struct {
	*testing.T
	clock   *simulate.Clock
	account simulate.Instance
	env     martsync.Env
	source  martsync.Source
	zone    *raw.Zone
	state   state.Store
	open    func(name string) martsync.Destination
	runs    int
}

func newReplayed(t *testing.T, simulator simulate.Simulator, kind string, location blob.Location) *replayed {
	t.Helper()
	r := &replayed{T: t, clock: simulate.NewClock(demoStart), state: state.NewMemory()}
	var err error
	if r.account, err = simulator.New(simulate.Options{Seed: 5, Rows: 60, Clock: r.clock}); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(r.account)
	t.Cleanup(server.Close)
	r.clock.Advance(30 * time.Minute)
	r.env = martsync.Env{Log: slog.New(slog.DiscardHandler), HTTP: server.Client(), Clock: r.clock, TempDir: t.TempDir()}
	options := r.account.SourceConfig(server.URL)
	if simulator.Name == "marketo" { // so that each sync sees which assets are gone
		options["assets"] = map[string]any{"full_listing_every": "1h"}
	}
	configured, err := config.NewSource(simulator.Name, sourceConnector(simulator.Name), options)
	if err != nil {
		t.Fatal(err)
	}
	if r.source, err = configured.Open(t.Context(), r.env); err != nil {
		t.Fatal(err)
	}
	if r.zone, err = raw.Open(t.Context(), location, r.source.Account(), "mart", r.env); err != nil {
		t.Fatal(err)
	}
	storages := map[string]*memory.Storage{}
	dir := t.TempDir()
	r.open = func(name string) martsync.Destination {
		if kind == "memory" {
			if storages[name] == nil {
				storages[name] = memory.NewStorage()
			}
			return memory.New(storages[name])
		}
		all := connectors.Destinations()
		i := slices.IndexFunc(all, func(c martsync.DestinationConnector) bool { return c.Name == kind })
		d, err := config.NewDestination(name, all[i], map[string]any{"path": filepath.Join(dir, name+".duckdb")})
		if err != nil {
			t.Fatal(err)
		}
		opened, err := d.Open(t.Context(), "mart", r.env)
		if err != nil {
			t.Fatal(err)
		}
		return opened
	}
	return r
}

func (r *replayed) with(name string, do func(d martsync.Destination)) {
	r.Helper()
	d := r.open(name)
	do(d)
	if err := d.Close(); err != nil {
		r.Fatal(err)
	}
}

func (r *replayed) change() {
	r.clock.Advance(20 * time.Hour)
	r.account.Change(60)
	r.clock.Advance(4 * time.Hour)
}

func (r *replayed) run(name string, s *pipeline.Sync) {
	r.Helper()
	r.runs++
	s.ID, s.State, s.Clock = fmt.Sprintf("run-%d", r.runs), r.state, r.clock
	r.with(name, func(d martsync.Destination) {
		s.Destination = d
		out, err := pipeline.Run(r.Context(), s)
		if err != nil || !out.Done {
			r.Fatalf("run %d into %s: done %v, %v", r.runs, name, out.Done, err)
		}
	})
}

func (r *replayed) sync(name string) {
	r.Helper()
	r.run(name, &pipeline.Sync{
		Name: "mart", Source: r.source, Raw: pipeline.KeepIn(r.zone.Open),
		Limits: pipeline.Thresholds{Rows: 500, Staged: 64 << 10},
	})
}

func (r *replayed) replay(name string) {
	r.Helper()
	before := r.account.Stats().Calls
	r.run(name, &pipeline.Sync{Name: "replay-" + name, Source: raw.Source(r.zone, r.source.(martsync.Replayer), "replay:"+name)})
	if got := r.account.Stats().Calls; got != before {
		r.Errorf("replaying made %d calls, want none", got-before)
	}
}

func (r *replayed) compare(name string) {
	r.Helper()
	r.with(name, func(d martsync.Destination) { compareTables(r.T, d, r.source, r.account) })
}

// same compares the tables of two destinations.
func (r *replayed) same(first, second string) {
	r.Helper()
	streams, err := r.source.Streams(r.Context())
	if err != nil {
		r.Fatal(err)
	}
	tables := map[string][][]string{}
	for _, name := range []string{first, second} {
		r.with(name, func(d martsync.Destination) {
			for _, s := range streams {
				tables[name] = append(tables[name], describeTable(r.T, d, s.Schema()))
			}
		})
	}
	for i, s := range streams {
		if diff := cmp.Diff(tables[first][i], tables[second][i]); diff != "" {
			r.Errorf("%s (-%s +%s):\n%s", s.Schema().Stream, first, second, diff)
		}
	}
}

// describeTable writes down a table: its rows, deleted ones too, its ledger and its position.
func describeTable(t *testing.T, d martsync.Destination, schema martsync.Schema) (out []string) {
	t.Helper()
	stored, batches, err := d.(martsync.TableReader).ReadTable(t.Context(), schema.Stream)
	if err == nil {
		for records, err := range batches {
			if err != nil {
				t.Fatal(err)
			}
			for i, row := range rows.Of(stored.Columns, records) {
				cells := []string{fmt.Sprint("deleted=", rows.Deleted(records, i))}
				for k, c := range stored.Columns {
					if c.Name != martsync.SyncedAt {
						cells = append(cells, fmt.Sprintf("%s=%v", c.Name, row[k]))
					}
				}
				slices.Sort(cells)
				out = append(out, strings.Join(cells, " "))
			}
		}
	}
	slices.Sort(out)
	for e, err := range d.(martsync.HistoryReader).Ledger(t.Context(), schema.Stream) {
		if err != nil {
			t.Fatal(err)
		}
		w := e.Window
		w.From, w.To = w.From.UTC(), w.To.UTC()
		out = append(out, fmt.Sprintf("ledger: %+v", w))
	}
	w, err := d.Open(t.Context(), schema)
	if err != nil {
		t.Fatal(err)
	}
	_, position, _ := strings.Cut("\n"+string(w.Cursor()), "\n")
	if i := strings.LastIndexByte(position, '\n'); i >= 0 { // what the engine counts goes before it
		position = position[i+1:]
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return append(out, "position: "+position)
}
