// Package destinationtest is the laws that every destination obeys, as a test suite. A
// destination's own tests call Run and add what is particular to it. The laws spell out what
// the comments of martsync.Destination and martsync.Writer and docs/design.md promise.
package destinationtest

import (
	"testing"

	"github.com/martsync/martsync"
)

// A Factory reaches one storage that was empty when the factory was made.
type Factory struct {
	// Open opens the storage. Called again after the destination of an earlier call was
	// closed, it must find what that one left, as another process would. The suite closes
	// what it opens.
	Open func(t testing.TB) martsync.Destination

	// Quarantine reads the quarantined rows of a stream, in order. Nil: not tested.
	Quarantine func(t testing.TB, d martsync.Destination, stream string) []martsync.Quarantined

	// Log reads the log entries of a stream, in order. Nil: not tested.
	Log func(t testing.TB, d martsync.Destination, stream string) []martsync.LogEntry

	// Fault, if set, makes step n (from 0) that the destination takes within the next call
	// of Commit fail, once. Negative: none does. The suite then commits with each step
	// failing in turn and wants all or nothing.
	Fault func(n int)
}

// Run tests the laws. The destination must be a martsync.TableReader and a
// martsync.HistoryReader. Laws of staging are skipped where Stage returns ErrUnsupported.
func Run(t *testing.T, factory func(t testing.TB) Factory) {
	for _, group := range [][]law{commitLaws, mergeLaws, deleteLaws, schemaLaws, typeLaws, stageLaws, sizeLaws, matchLaws} {
		for _, l := range group {
			t.Run(l.name, func(t *testing.T) { l.test(newBench(t, factory(t))) })
		}
	}
}

// A law is one promise and its test.
type law struct {
	name string
	test func(b *bench)
}
