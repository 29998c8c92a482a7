package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/destination/files"
	"github.com/martsync/martsync/internal/connectors"
	"github.com/martsync/martsync/pipeline"
	"github.com/martsync/martsync/state"
)

// TestSyncIntoLatestFiles copies each simulated account, then what has changed a day later, compacts all tables as
// martsync compact does, and goes on from there. The tables equal the account each time. The manifests name files that
// hold each record once, and in the end there are no others.
func TestSyncIntoLatestFiles(t *testing.T) {
	long(t)
	for _, simulator := range connectors.Simulators() {
		t.Run(simulator.Name, func(t *testing.T) {
			t.Parallel()
			place := files.Config{Path: t.TempDir(), Mode: "latest"}
			folder := filepath.Join(place.Path, simulator.Name)
			account, clock, source, env := simulated(t, simulator)
			store := state.NewMemory()
			for round := range 3 {
				d, err := files.Open(t.Context(), place, simulator.Name, env)
				if err != nil {
					t.Fatal(err)
				}
				out, err := pipeline.Run(t.Context(), &pipeline.Sync{Name: "lake", Source: source, Destination: d, State: store, Clock: clock})
				if err != nil || !out.Done {
					t.Fatalf("sync %d: done %v, %v", round, out.Done, err)
				}
				compareTables(t, d, source, account)
				if round > 0 {
					compactAll(t, d)
					compareTables(t, d, source, account)
					readNewestByDuckDB(t, folder, d, source)
				}
				if err := d.Close(); err != nil {
					t.Fatal(err)
				}
				clock.Advance(21 * time.Hour)
				account.Change(30)
				clock.Advance(4 * time.Hour) // more than files are kept
			}
			wantNoOthers(t, folder, place, simulator.Name, env, source)
		})
	}
}

// compactAll compacts all tables, and wants that rows go.
func compactAll(t *testing.T, d martsync.Destination) {
	t.Helper()
	fewer := 0
	for c, err := range d.(martsync.Compacter).Compact(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		if c.Done && c.After.Rows < c.Before.Rows {
			fewer++
		}
		if c.After.Rows > c.Before.Rows {
			t.Errorf("%s: %d rows became %d", c.Stream, c.Before.Rows, c.After.Rows)
		}
	}
	if fewer == 0 {
		t.Error("no table has fewer rows than before")
	}
}

// wantNoOthers opens all tables once more, when what was replaced has been kept for long enough, and looks for files
// that no manifest from the start of a table on names.
func wantNoOthers(t *testing.T, folder string, place files.Config, name string, env martsync.Env, source martsync.Source) {
	t.Helper()
	d, err := files.Open(t.Context(), place, name, env)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	streams, err := source.Streams(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{}
	for _, s := range streams {
		w, err := d.Open(t.Context(), s.Schema())
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		names, _ := newestFiles(t, folder, s.Schema().Stream)
		for _, n := range names {
			want[n] = true
		}
	}
	got := map[string]bool{}
	err = filepath.WalkDir(folder, func(path string, e os.DirEntry, err error) error {
		if err == nil && filepath.Ext(path) == ".parquet" {
			got[path] = true
		}
		return err
	})
	if err != nil || !maps.Equal(got, want) {
		t.Errorf("files: got %q, want %q; %v", slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)), err)
	}
}

// newestFiles follows the manifests of a stream as its README says: from the start that the newest one tells.
func newestFiles(t *testing.T, folder, stream string) (names []string, compacted bool) {
	t.Helper()
	type manifest struct {
		Number, Start int64
		Compacted     bool
		Files         []struct{ Key string }
	}
	var all []manifest
	for n := 1; ; n++ {
		data, err := os.ReadFile(filepath.Join(folder, "_martsync", stream, fmt.Sprintf("manifest-%012d.json", n)))
		if os.IsNotExist(err) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if bytes.HasPrefix(data, []byte{0x1f, 0x8b}) {
			z, err := gzip.NewReader(bytes.NewReader(data))
			if err != nil {
				t.Fatal(err)
			}
			if data, err = io.ReadAll(z); err != nil {
				t.Fatal(err)
			}
		}
		var m manifest
		if err := json.Unmarshal(data, &m); err != nil {
			t.Fatal(err)
		}
		all = append(all, m)
	}
	if len(all) == 0 {
		return nil, false
	}
	start := all[len(all)-1].Start
	for _, m := range all {
		if m.Number < start {
			continue
		}
		compacted = compacted || m.Compacted
		for _, f := range m.Files {
			names = append(names, filepath.Join(folder, filepath.FromSlash(f.Key)))
		}
	}
	return names, compacted
}
