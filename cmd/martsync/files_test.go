package main

import (
	"log/slog"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/config"
	"github.com/martsync/martsync/destination/files"
	"github.com/martsync/martsync/internal/connectors"
	"github.com/martsync/martsync/internal/truth"
	"github.com/martsync/martsync/pipeline"
	"github.com/martsync/martsync/simulate"
	"github.com/martsync/martsync/state"
)

// TestSyncIntoFiles copies each simulated account into a folder, in each format, and into a bucket,
// then what has changed a day later, and compares all tables with the account each time.
func TestSyncIntoFiles(t *testing.T) {
	for _, simulator := range connectors.Simulators() {
		for _, format := range []files.Config{{Format: "parquet"}, {Format: "csv", Compression: "zstd"}, {Format: "ndjson"}, {URL: "s3://lake/mart"}} {
			t.Run(simulator.Name+"/"+format.URL+format.Format, func(t *testing.T) {
				clock := simulate.NewClock(demoStart)
				account, err := simulator.New(simulate.Options{Seed: 3, Rows: 100, Clock: clock})
				if err != nil {
					t.Fatal(err)
				}
				server := httptest.NewServer(account)
				defer server.Close()
				clock.Advance(30 * time.Minute) // of what is newer, some may still be on its way
				env := martsync.Env{Log: slog.New(slog.DiscardHandler), HTTP: server.Client(), Clock: clock, TempDir: t.TempDir()}
				connector := connectors.Sources()[slices.IndexFunc(connectors.Sources(), func(c martsync.SourceConnector) bool { return c.Name == simulator.Name })]
				configured, err := config.NewSource(simulator.Name, connector, account.SourceConfig(server.URL))
				if err != nil {
					t.Fatal(err)
				}
				source, err := configured.Open(t.Context(), env)
				if err != nil {
					t.Fatal(err)
				}
				if format.URL == "" {
					format.Path = t.TempDir()
				} else {
					format.S3 = newBucket(t, "lake")
				}
				store := state.NewMemory()
				for round := range 2 {
					d, err := files.Open(t.Context(), format, simulator.Name, env)
					if err != nil {
						t.Fatal(err)
					}
					out, err := pipeline.Run(t.Context(), &pipeline.Sync{Name: "lake", Source: source, Destination: d, State: store, Clock: clock})
					if err != nil || !out.Done {
						t.Fatalf("sync %d: done %v, %v", round, out.Done, err)
					}
					compareTables(t, d, source, account)
					if format.Path != "" {
						readByDuckDB(t, filepath.Join(format.Path, simulator.Name), format, d)
					}
					if err := d.Close(); err != nil {
						t.Fatal(err)
					}
					clock.Advance(20 * time.Hour)
					account.Change(30)
					clock.Advance(4 * time.Hour)
				}
			})
		}
	}
}

// newBucket starts an S3 in this process that has one bucket.
func newBucket(t *testing.T, name string) files.S3Options {
	t.Helper()
	backend := s3mem.New()
	if err := backend.CreateBucket(name); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(gofakes3.New(backend, gofakes3.WithLogger(gofakes3.DiscardLog())).Server())
	t.Cleanup(server.Close)
	return files.S3Options{Endpoint: server.URL, Region: "eu-central-1", AccessKeyID: "key", SecretAccessKey: "secret"}
}

// compareTables compares the tables of all streams with the account.
func compareTables(t *testing.T, d martsync.Destination, source martsync.Source, account simulate.Instance) {
	t.Helper()
	tables, ok := d.(martsync.TableReader)
	if !ok {
		t.Fatalf("a %T cannot be read back", d)
	}
	streams, err := source.Streams(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	filled := 0
	for _, s := range streams {
		r, err := truth.Compare(t.Context(), tables, s.Schema(), account.Truth(s.Schema().Stream))
		if err != nil || !r.OK() {
			t.Errorf("%v, %v", &r, err)
		}
		if r.Rows > 0 {
			filled++
		}
	}
	if filled < len(streams)-1 { // a small account may have deleted nobody yet
		t.Errorf("only %d of %d tables have rows", filled, len(streams))
	}
}
