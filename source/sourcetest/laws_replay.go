package sourcetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/martsync/martsync"
)

// kept returns the setup with its source told to keep what the vendor sends. A source that cannot has no
// replay laws to obey.
func (s Setup) kept(t *testing.T) Setup {
	t.Helper()
	if _, ok := s.Open(t).(martsync.Replayer); !ok {
		t.Skip("the source does not replay")
	}
	s.keep = true
	return s
}

// replayer is a source as another process would open it, which knows nothing of what was read.
func (s Setup) replayer(t testing.TB) martsync.Replayer {
	t.Helper()
	return s.Open(t).(martsync.Replayer)
}

// replays: what a source keeps of what the vendor sent is complete and exact, makes the records of each
// unit again without a call, and does so wherever a read was interrupted. Keeping it changes nothing else.
func replays(t *testing.T, s Setup) {
	keeping := s.kept(t)
	checked, exports := 0, 0
	for _, stream := range s.streams(t) {
		schema := stream.Schema()
		plain, err := s.read(t, stream, "", false)
		if err != nil {
			t.Error(err)
			continue
		}
		if i := slices.IndexFunc(plain, func(st step) bool { return st.Raw != nil }); i >= 0 {
			t.Errorf("%s, batch %d: it has what the vendor sent, and nobody keeps that", schema.Stream, i)
		}
		whole, err := keeping.read(t, keeping.stream(t, schema.Stream), "", true)
		if err != nil {
			t.Error(err)
			continue
		}
		if diff := cmp.Diff(table(t, schema, plain), table(t, schema, whole)); diff != "" {
			t.Errorf("%s (-as usual +keeping what the vendor sends):\n%s", schema.Stream, diff)
		}
		n, sums, err := s.replayUnits(t, schema, whole, 0)
		checked, exports = checked+n, exports+sums
		if err != nil {
			t.Error(err)
			continue
		}
		for _, i := range s.cursors(whole) {
			rest, err := keeping.read(t, keeping.stream(t, schema.Stream), whole[i].Cursor, true)
			if err != nil {
				t.Error(err)
				continue
			}
			if _, _, err := s.replayUnits(t, schema, slices.Concat(whole[:i+1], rest), i+1); err != nil {
				t.Errorf("resumed at batch %d of %d, cursor %q, unverified %v: %v", i, len(whole), whole[i].Cursor, whole[i].Unverified, err)
			}
		}
		keeping.replayChanges(t, schema.Stream, whole)
	}
	if checked == 0 {
		t.Error("no row was replayed, so this proves nothing")
	}
	if s.Sum != nil && exports == 0 {
		t.Error("no export file was compared with what the account served")
	}
}

// changes is how often the account changes in the replay law.
const changes = 3

// replayChanges reads on from the end of the steps each time the account has changed.
func (s Setup) replayChanges(t *testing.T, stream string, steps []step) {
	t.Helper()
	if s.Change == nil || len(steps) == 0 {
		return
	}
	s.Span = martsync.Span{}
	from := steps[len(steps)-1].Cursor
	for i := range changes {
		s.Change()
		st := s.stream(t, stream)
		more, err := s.read(t, st, from, true)
		if err != nil {
			t.Error(err)
			return
		}
		if len(more) == 0 {
			continue // nothing is due
		}
		if _, _, err := s.replayUnits(t, st.Schema(), more, 0); err != nil {
			t.Errorf("after %d changes: %v", i+1, err)
		}
		from = more[len(more)-1].Cursor
	}
}

// replayUnits replays the units that end at step from or later. It returns the number of rows, good and
// bad, and that of the export files that the account knew.
func (s Setup) replayUnits(t *testing.T, schema martsync.Schema, steps []step, from int) (checked, exports int, err error) {
	t.Helper()
	units, err := unitsOf(&schema, steps)
	if err != nil {
		return 0, 0, fmt.Errorf("%s: %w", schema.Stream, err)
	}
	replayer, before := s.replayer(t), int64(0)
	if s.Calls != nil {
		before = s.Calls()
	}
	for i := range units {
		u := &units[i]
		if u.last < from {
			continue
		}
		var next *unit
		if i+1 < len(units) {
			next = &units[i+1]
		}
		known, err := u.checkSums(s.Sum, next)
		if err == nil {
			err = u.replay(t.Context(), replayer, schema)
		}
		if err != nil {
			return checked, exports, fmt.Errorf("%s, the unit that ends with batch %d (cursor %q): %w", schema.Stream, u.last, steps[u.last].Cursor, err)
		}
		exports += known
		checked += len(u.rows) + len(u.quarantined)
	}
	if s.Calls != nil && s.Calls() != before {
		return checked, exports, fmt.Errorf("%s: replaying made %d calls, want none", schema.Stream, s.Calls()-before)
	}
	return checked, exports, nil
}

var errNoBody = errors.New("the next body is not there")

// replayEnds: an error of the bodies is told and not taken for their end, and whoever stops or leaves
// leaves nothing behind.
func replayEnds(t *testing.T, s Setup) {
	keeping := s.kept(t)
	streams := keeping.streams(t)
	options := leakOptions()
	for _, stream := range streams {
		schema := stream.Schema()
		whole, err := keeping.read(t, stream, "", false)
		if err != nil {
			t.Error(err)
			continue
		}
		units, err := unitsOf(&schema, whole)
		if err != nil {
			t.Errorf("%s: %v", schema.Stream, err)
			continue
		}
		i := slices.IndexFunc(units, func(u unit) bool { return len(u.bodies) > 0 && len(u.rows) > 0 })
		if i < 0 {
			continue
		}
		if err := units[i].replayBroken(t.Context(), s.replayer(t), schema); err != nil {
			t.Errorf("%s, the unit that ends with batch %d: %v", schema.Stream, units[i].last, err)
		}
	}
	if err := leaked(options); err != nil {
		t.Error(err)
	}
}

// replayBroken replays the unit with everything going wrong that can.
func (u *unit) replayBroken(ctx context.Context, r martsync.Replayer, schema martsync.Schema) error {
	missing := func(yield func(martsync.RawBody, error) bool) {
		for b, err := range u.feed() {
			if !yield(b, err) {
				return
			}
		}
		yield(martsync.RawBody{}, errNoBody)
	}
	torn := func(yield func(martsync.RawBody, error) bool) {
		for b, err := range u.feed() {
			b.Data = iotest.TimeoutReader(iotest.OneByteReader(b.Data))
			if !yield(b, err) {
				return
			}
		}
	}
	for _, c := range []struct {
		name   string
		bodies func(func(martsync.RawBody, error) bool)
		want   error
	}{
		{"a body that is missing", missing, errNoBody},
		{"a body that is torn", torn, iotest.ErrTimeout},
	} {
		var last error
		for _, err := range r.Replay(ctx, schema, c.bodies) {
			last = err
		}
		if !errors.Is(last, c.want) {
			return fmt.Errorf("%s: want replaying to end with %w, got: %v", c.name, c.want, last) //nolint:errorlint // it may be nil
		}
	}
	done, cancel := context.WithCancel(ctx)
	cancel()
	var last error
	batches := 0
	for _, err := range r.Replay(done, schema, u.feed()) {
		if last = err; err == nil {
			batches++
		}
	}
	if last == nil || batches > maxLate {
		return fmt.Errorf("with a context that is done: %d batches, want at most %d; error %v, want one", batches, maxLate, last) //nolint:errorlint // it may be nil
	}
	for _, err := range r.Replay(ctx, schema, u.feed()) {
		if err != nil {
			return fmt.Errorf("left after the first batch: %w", err)
		}
		break
	}
	return nil
}
