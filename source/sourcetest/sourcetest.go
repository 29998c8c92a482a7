// Package sourcetest is the laws that every source obeys, as a test suite. A source's own
// tests call Run with its simulator behind it and add what is particular to it. The laws
// spell out what the comments of martsync.Stream and martsync.Batch and docs/design.md
// promise.
package sourcetest

import (
	"context"
	"testing"
	"time"

	"github.com/martsync/martsync"
)

// A Setup reaches one account whose records do not change while the suite reads them.
type Setup struct {
	// Open opens a source on the account, as another process would. Its Env is the caller's
	// but for the clock, which must be Clock.
	Open func(t testing.TB) martsync.Source

	// Clock is what the suite waits on for exports and quotas. It should be virtual.
	Clock martsync.Clock

	// Streams are the names of the streams to test. None: all.
	Streams []string

	// Span bounds the reads. The zero Span reads everything.
	Span martsync.Span

	// MaxCursors bounds at how many cursors of a stream reading is resumed; they are spread
	// evenly. 0: at all of them.
	MaxCursors int

	// Calls counts the calls that the account has had. The suite then sees to it that a Replayer
	// makes none. Nil: nobody counts.
	Calls func() int64

	// Sum is the SHA-256, in hex, of the export file that the account served, by the name of its body
	// (martsync.Raw). "": the body is no export file. If it is set, the suite wants to see one at least.
	// Nil: not known.
	Sum func(body string) string

	// Change makes the account's records change, and time pass until that shows. The suite then reads on
	// and replays that too, in reads without a Span. Nil: records stay as they are.
	Change func()

	keep  bool                                       // the source is told KeepRaw
	sleep func(context.Context, time.Duration) error // instead of Clock's
}

// Run tests the laws, each on a setup of its own.
func Run(t *testing.T, setup func(t testing.TB) Setup) {
	run(t, setup, append([]law{
		{"streams are listed alike", listed},
		{"batches are well-formed", wellFormed},
		{"reading resumes at every cursor", resumes},
		{"reading resumes at the end", resumesAtEnd},
		{"a batch may be destroyed when it is given back", borrowed},
		{"a read can be cancelled and left at every step", cancelled},
		{"streams are read side by side", sideBySide},
	}, replayLaws...))
}

// RunReplay tests only those laws that a martsync.Replayer obeys beside the others, for the many ways in
// which an account can be read.
func RunReplay(t *testing.T, setup func(t testing.TB) Setup) { run(t, setup, replayLaws) }

type law struct {
	name string
	test func(t *testing.T, s Setup)
}

var replayLaws = []law{
	{"what the vendor sent makes the same records again", replays},
	{"replaying ends with its bodies, its context and its reader", replayEnds},
}

func run(t *testing.T, setup func(t testing.TB) Setup, laws []law) {
	for _, l := range laws {
		t.Run(l.name, func(t *testing.T) { l.test(t, setup(t)) })
	}
}
