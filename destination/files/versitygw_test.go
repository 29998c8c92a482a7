package files

import (
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/destination/destinationtest"
	"github.com/martsync/martsync/internal/blob"
	"github.com/martsync/martsync/internal/blob/blobtest"
	"github.com/martsync/martsync/internal/blob/s3test"
	"github.com/martsync/martsync/internal/crash"
)

// prefixes hands out a part of one bucket that is empty to each that asks.
func prefixes(server s3test.VersityGW) func(testing.TB) blob.Store {
	var n atomic.Int64
	return func(t testing.TB) blob.Store {
		t.Helper()
		return blobtest.VersityGW(t, server, "p"+strconv.FormatInt(n.Add(1), 10))
	}
}

// TestLawsOnVersityGW checks the laws of destinations on a real server that speaks S3.
func TestLawsOnVersityGW(t *testing.T) {
	open := prefixes(s3test.NewVersityGW(t))
	destinationtest.Run(t, func(t testing.TB) destinationtest.Factory { return factory(open(t), Config{}) })
}

// TestCrashOnVersityGW kills syncs into a real server.
func TestCrashOnVersityGW(t *testing.T) {
	open := prefixes(s3test.NewVersityGW(t))
	o := crash.Options{Backfill: true, Every: 97 * slowdown, Runs: 2}
	if crash.Nightly() {
		o.Every, o.Runs = 1, 200
	}
	crash.Test(t, crash.Scripted, func(t testing.TB) destinationtest.Factory {
		return factory(open(t), Config{Format: "ndjson"})
	}, o)
}

// A check of a real server finds nothing that is wrong.
func TestCheckOnVersityGW(t *testing.T) {
	server := s3test.NewVersityGW(t)
	d := destinationOn(t, blobtest.VersityGW(t, server, "check"), Config{}, coreEnv(t, nil))
	load(t, d, leads, martsync.Commit{Next: "1"}, nil)
	want := []string{"list files: true", "write files: true", "read files: true", "one writer at a time: true", "clock: true", "unfinished uploads: true", "delete files: true"}
	findings := d.Check(t.Context())
	if diff := cmp.Diff(want, findingsOf(findings)); diff != "" {
		t.Errorf("findings (-want +got):\n%s\n%+v", diff, findings)
	}
	if detail := findings[0].Detail; !strings.Contains(detail, "s3://mart/check, 1 table") {
		t.Errorf("detail of the place: got %q", detail)
	}
}
