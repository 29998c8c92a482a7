package pipeline_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/destination/destinationtest"
	"github.com/martsync/martsync/destination/memory"
	"github.com/martsync/martsync/internal/crash"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var crashOptions = crash.Options{Backfill: true}

// TestCrash kills a sync at every call, and at random, and compares the tables with the
// source. MARTSYNC_NIGHTLY=1 makes it long.
func TestCrash(t *testing.T) {
	crash.Test(t, crash.Scripted, func(testing.TB) destinationtest.Factory {
		s := memory.NewStorage()
		return destinationtest.Factory{
			Open: func(testing.TB) martsync.Destination { return memory.New(s) },
			Quarantine: func(_ testing.TB, _ martsync.Destination, stream string) []martsync.Quarantined {
				return s.Quarantined(stream)
			},
		}
	}, crashOptions)
}
