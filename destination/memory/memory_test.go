package memory_test

import (
	"testing"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/destination/destinationtest"
	"github.com/martsync/martsync/destination/memory"
)

func TestLaws(t *testing.T) {
	destinationtest.Run(t, func(testing.TB) destinationtest.Factory {
		s := memory.NewStorage()
		return destinationtest.Factory{
			Open: func(testing.TB) martsync.Destination { return memory.New(s) },
			Quarantine: func(_ testing.TB, _ martsync.Destination, stream string) []martsync.Quarantined {
				return s.Quarantined(stream)
			},
			Log: func(_ testing.TB, _ martsync.Destination, stream string) []martsync.LogEntry {
				return s.Log(stream)
			},
			Fault: s.Fault,
		}
	})
}
