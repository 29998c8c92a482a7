package main

import (
	"log/slog"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/config"
	"github.com/martsync/martsync/destination/files"
	"github.com/martsync/martsync/internal/blob/blobtest"
	"github.com/martsync/martsync/internal/blob/s3test"
	"github.com/martsync/martsync/internal/connectors"
	"github.com/martsync/martsync/internal/truth"
	"github.com/martsync/martsync/pipeline"
	"github.com/martsync/martsync/simulate"
	"github.com/martsync/martsync/state"
)

// TestSyncIntoFiles copies each simulated account into a folder, in each format, and into buckets of two servers,
// then what has changed a day later, and compares all tables with the account each time.
func TestSyncIntoFiles(t *testing.T) {
	for _, simulator := range connectors.Simulators() {
		folder := func(format, compression string) func(t *testing.T) files.Config {
			return func(t *testing.T) files.Config {
				return files.Config{Path: t.TempDir(), Format: format, Compression: compression}
			}
		}
		for name, place := range map[string]func(t *testing.T) files.Config{
			"parquet": folder("parquet", ""), "csv": folder("csv", "zstd"), "ndjson": folder("ndjson", ""),
			"S3":        func(t *testing.T) files.Config { return bucketAt(blobtest.NewS3(t).URL) },
			"versitygw": func(t *testing.T) files.Config { return bucketAt(s3test.NewVersityGW(t).URL) },
		} {
			t.Run(simulator.Name+"/"+name, func(t *testing.T) {
				byDay(t, simulator.Name != map[string]string{"csv": "marketo", "ndjson": "pardot", "S3": "pardot", "versitygw": "marketo"}[name])
				if name != "parquet" {
					long(t)
				}
				t.Parallel()
				format := place(t)
				account, clock, source, env := simulated(t, simulator)
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
						if format.Format == "parquet" {
							readByPyArrow(t, filepath.Join(format.Path, simulator.Name), d)
						}
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

// simulated opens a simulated account on a clock that the test moves.
func simulated(t *testing.T, simulator simulate.Simulator) (simulate.Instance, *simulate.Clock, martsync.Source, martsync.Env) {
	t.Helper()
	clock := simulate.NewClock(demoStart)
	account, err := simulator.New(simulate.Options{Seed: 3, Rows: 100, Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(account)
	t.Cleanup(server.Close)
	clock.Advance(30 * time.Minute) // of what is newer, some may still be on its way
	env := martsync.Env{Log: slog.New(slog.DiscardHandler), HTTP: server.Client(), Clock: clock, TempDir: t.TempDir()}
	configured, err := config.NewSource(simulator.Name, sourceConnector(simulator.Name), account.SourceConfig(server.URL))
	if err != nil {
		t.Fatal(err)
	}
	source, err := configured.Open(t.Context(), env)
	if err != nil {
		t.Fatal(err)
	}
	return account, clock, source, env
}

// bucketAt is a place in the bucket of a server of package s3test.
func bucketAt(endpoint string) files.Config {
	return files.Config{URL: "s3://" + s3test.Bucket + "/lake", S3: blobtest.Options(endpoint)}
}

// sourceConnector is the connector of that name.
func sourceConnector(name string) martsync.SourceConnector {
	return connectors.Sources()[slices.IndexFunc(connectors.Sources(), func(c martsync.SourceConnector) bool { return c.Name == name })]
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
