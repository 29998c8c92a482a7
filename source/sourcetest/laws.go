package sourcetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/rows"
)

// listed: the list of streams has valid schemas and is the same each time.
func listed(t *testing.T, s Setup) {
	first := s.Open(t)
	if first.Account() == "" || first.Account() != s.Open(t).Account() {
		t.Errorf("account: got %q, want the same name each time", first.Account())
	}
	var lists [][]martsync.Schema
	for _, source := range []martsync.Source{first, first, s.Open(t)} {
		streams, err := source.Streams(t.Context())
		if err != nil {
			t.Fatalf("list streams: %v", err)
		}
		var schemas []martsync.Schema
		seen := map[string]bool{}
		for _, stream := range streams {
			schema := stream.Schema()
			if err := schema.Validate(); err != nil {
				t.Error(err)
			}
			if seen[schema.Stream] {
				t.Errorf("stream %s is listed twice", schema.Stream)
			}
			seen[schema.Stream] = true
			schemas = append(schemas, schema)
		}
		lists = append(lists, schemas)
	}
	for i, l := range lists[1:] {
		if diff := cmp.Diff(lists[0], l); diff != "" {
			t.Errorf("list %d (-first +this):\n%s", i+2, diff)
		}
	}
}

// wellFormed: each batch is what the vocabulary says, and each window adds up.
func wellFormed(t *testing.T, s Setup) {
	for _, stream := range s.streams(t) {
		schema := stream.Schema()
		steps, err := s.read(t, stream, "", false)
		if err != nil {
			t.Error(err)
			continue
		}
		for i, st := range steps {
			if err := checkBatch(&schema, &st.Batch); err != nil {
				t.Errorf("%s, batch %d (cursor %q): %v", schema.Stream, i, st.Cursor, err)
			}
		}
		if err := checkWindows(steps); err != nil {
			t.Errorf("%s: %v", schema.Stream, err)
		}
	}
}

func checkBatch(schema *martsync.Schema, b *martsync.Batch) error {
	if !utf8.ValidString(string(b.Cursor)) {
		return errors.New("the cursor is not UTF-8")
	}
	if r := b.Records; r != nil {
		if err := rows.Check(schema, r); err != nil {
			return err
		}
		if r.Size() > martsync.MaxBytes && r.Len > 1 {
			return fmt.Errorf("%d bytes in %d rows, want at most %d", r.Size(), r.Len, martsync.MaxBytes)
		}
	}
	for _, q := range b.Quarantined {
		if q.Reason == "" || q.Line < 1 || len(q.Raw) > martsync.MaxQuarantineRaw || !utf8.ValidString(q.Raw) {
			return fmt.Errorf("quarantined row %+v: want a reason, a line from 1 and at most %d bytes of UTF-8", q, martsync.MaxQuarantineRaw)
		}
	}
	if b.Discard && (b.Records != nil || b.Quarantined != nil || b.Window != nil || b.Complete != nil || b.Census != nil || b.Cursor == "") {
		return errors.New("a batch that discards has a cursor and nothing else")
	}
	if c := b.Complete; c != nil && (b.Cursor == "" || b.Unverified || !schema.Deletes || c.Column != "" && !schema.IsKey(c.Column) && (!c.IsRange() || c.Column != schema.Version)) {
		return fmt.Errorf("complete scope %+v: want a verified cursor, a schema with deletes and a key column, or the version of a range", *c)
	}
	if c := b.Census; c != nil {
		if b.Cursor == "" || b.Unverified || !schema.Deletes || len(schema.Key) != 1 {
			return fmt.Errorf("census from %d to %d: want a verified cursor, a schema with deletes and one key column", c.After, c.UpTo)
		}
		if !slices.IsSorted(c.Keys) || len(c.Keys) > 0 && (c.Keys[0] <= c.After || c.Keys[len(c.Keys)-1] > c.UpTo) {
			return fmt.Errorf("census from %d to %d has keys from %d to %d", c.After, c.UpTo, c.Keys[0], c.Keys[len(c.Keys)-1])
		}
	}
	if w := b.Window; w != nil {
		if b.Unverified {
			return errors.New("a window at an unverified cursor")
		}
		if w.From.After(w.To) {
			return fmt.Errorf("a window from %v to %v", w.From, w.To)
		}
	}
	return nil
}

// checkWindows counts rows the way the engine does: all rows since the last window belong to
// the next one (I4, I5).
func checkWindows(steps []step) error {
	type counts struct{ written, quarantined int64 }
	var now, safe counts // since the last window; safe: as of the last verified cursor
	open := false        // rows or windows came after the last verified cursor
	for i, st := range steps {
		if st.Discard {
			now, open = safe, false
			continue
		}
		if st.Records != nil {
			now.written += int64(st.Records.Len)
			open = open || st.Records.Len > 0
		}
		now.quarantined += int64(len(st.Quarantined))
		open = open || len(st.Quarantined) > 0
		if w := st.Window; w != nil {
			if w.Quarantined != now.quarantined || w.Parsed != now.quarantined+now.written || w.Records >= 0 && w.Records != w.Parsed {
				return fmt.Errorf("batch %d (cursor %q): window %+v after %d rows and %d quarantined ones", i, st.Cursor, *w, now.written, now.quarantined)
			}
			now, open = counts{}, true
		}
		if st.Cursor != "" && !st.Unverified {
			safe, open = now, false
		}
	}
	if open {
		return errors.New("the end comes after rows or a window without a verified cursor")
	}
	return nil
}

// resumes: at each cursor, another process reads what remains (I3).
func resumes(t *testing.T, s Setup) {
	for _, stream := range s.streams(t) {
		schema := stream.Schema()
		whole, err := s.read(t, stream, "", false)
		if err != nil {
			t.Error(err)
			continue
		}
		want := table(t, schema, whole)
		for _, i := range s.cursors(whole) {
			rest, err := s.read(t, s.stream(t, schema.Stream), whole[i].Cursor, false)
			if err != nil {
				t.Error(err)
				continue
			}
			both := slices.Concat(whole[:i+1], rest)
			if err := checkWindows(both); err != nil && !schema.Snapshot {
				t.Errorf("%s resumed at batch %d of %d: %v", schema.Stream, i, len(whole), err)
			}
			got := table(t, schema, both)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s resumed at batch %d of %d, cursor %q, unverified %v (-uninterrupted +resumed):\n%s",
					schema.Stream, i, len(whole), whole[i].Cursor, whole[i].Unverified, diff)
			}
		}
	}
}

// shortCursors is how many positions of a stream go test -short resumes at.
const shortCursors = 2

// cursors are the positions in steps where to resume.
func (s Setup) cursors(steps []step) []int {
	var all []int
	for i, st := range steps {
		if st.Cursor != "" {
			all = append(all, i)
		}
	}
	most := s.MaxCursors
	if testing.Short() && (most <= 0 || most > shortCursors) {
		most = shortCursors
	}
	if most <= 0 || len(all) <= most {
		return all
	}
	some := make([]int, most)
	for i := range some {
		some[i] = all[i*len(all)/most]
	}
	return some
}

// resumesAtEnd: another read finds nothing that changes the table.
func resumesAtEnd(t *testing.T, s Setup) {
	for _, stream := range s.streams(t) {
		schema := stream.Schema()
		whole, err := s.read(t, stream, "", false)
		if err != nil {
			t.Error(err)
			continue
		}
		if len(whole) == 0 {
			continue
		}
		again, err := s.read(t, s.stream(t, schema.Stream), whole[len(whole)-1].Cursor, false)
		if err != nil {
			t.Error(err)
			continue
		}
		if schema.Snapshot {
			if len(again) == 0 { // nothing is due
				continue
			}
			if whole, err = s.read(t, s.stream(t, schema.Stream), "", false); err != nil {
				t.Error(err)
				continue
			}
			if diff := cmp.Diff(table(t, schema, whole), table(t, schema, again)); diff != "" {
				t.Errorf("%s read twice (-first +second):\n%s", schema.Stream, diff)
			}
			continue
		}
		if diff := cmp.Diff(table(t, schema, whole), table(t, schema, slices.Concat(whole, again))); diff != "" {
			t.Errorf("%s read again from its end (-once +again):\n%s", schema.Stream, diff)
		}
	}
}

// borrowed: a stream does not count on what it has lent.
func borrowed(t *testing.T, s Setup) {
	for _, stream := range s.streams(t) {
		schema := stream.Schema()
		want, err := s.read(t, stream, "", false)
		if err != nil {
			t.Error(err)
			continue
		}
		got, err := s.read(t, s.stream(t, schema.Stream), "", true)
		if err != nil {
			t.Error(err)
			continue
		}
		if diff := cmp.Diff(table(t, schema, want), table(t, schema, got)); diff != "" {
			t.Errorf("%s with its batches destroyed (-whole +destroyed):\n%s", schema.Stream, diff)
		}
	}
}

// maxLate is how many batches a stream may still yield after its context was cancelled: the
// one that it was about to, and one from a buffer.
const maxLate = 2

// cancelled: after its context is done, or after the reader has left, a stream ends soon and
// leaves no goroutine.
func cancelled(t *testing.T, s Setup) {
	streams := s.streams(t)
	options := leakOptions()
	for _, stream := range streams {
		name := stream.Schema().Stream
		whole, err := s.read(t, stream, "", false)
		if err != nil {
			t.Error(err)
			continue
		}
		from := martsync.Cursor("")
		for i := 0; i <= len(whole); i += max(1, len(whole)/20) {
			s.cancelAt(t, stream, from, name)
			if i < len(whole) && whole[i].Cursor != "" {
				from = whole[i].Cursor
			}
		}
	}
	if err := leaked(options); err != nil {
		t.Error(err)
	}
}

// leakOptions let pass what runs already.
func leakOptions() []goleak.Option {
	options := []goleak.Option{goleak.IgnoreCurrent()}
	for _, f := range []string{ // idle connections of the client and the simulator's server belong to the caller
		"net/http.(*persistConn).readLoop", "net/http.(*persistConn).writeLoop", "net/http.(*conn).serve",
		"net/http.(*connReader).backgroundRead", "net/http.(*Server).Serve",
	} {
		options = append(options, goleak.IgnoreAnyFunction(f))
	}
	return options
}

// leaked reports goroutines that do not end. One that is about to end is given time, which it needs on a busy machine.
func leaked(options []goleak.Option) (err error) {
	for range 60 { // goleak waits for about half a second each time
		if err = goleak.Find(options...); err == nil {
			return nil
		}
	}
	return err
}

// cancelAt reads from the cursor with a context that is cancelled before the first batch, and
// after it, and leaves after it.
func (s Setup) cancelAt(t *testing.T, stream martsync.Stream, from martsync.Cursor, name string) {
	t.Helper()
	for _, after := range []int{0, 1} {
		ctx, cancel := context.WithCancel(t.Context())
		if after == 0 {
			cancel()
		}
		batches, late := 0, 0
		for _, err := range stream.Read(ctx, from, s.Span) {
			if err != nil {
				continue // a stream that goes on after its error counts on
			}
			if batches++; batches == after {
				cancel()
			} else if late++; late > maxLate {
				t.Errorf("%s from %q: %d batches after its context was cancelled, want at most %d", name, from, late, maxLate)
				break
			}
		}
		cancel()
	}
	for _, err := range stream.Read(t.Context(), from, s.Span) {
		_ = err
		break
	}
}

// sideBySide: the streams of one source can be read at once, and each yields the same.
func sideBySide(t *testing.T, s Setup) {
	streams := s.streams(t)
	got := make([][]step, len(streams))
	errs := make([]error, len(streams))
	var group sync.WaitGroup
	together, crowd := s, newCrowd(s.Clock, len(streams))
	together.sleep = crowd.sleep
	for i, stream := range streams {
		group.Go(func() {
			defer crowd.done(t.Context())
			got[i], errs[i] = together.read(t, stream, "", false)
		})
	}
	group.Wait()
	for i, stream := range streams {
		schema := stream.Schema()
		if errs[i] != nil {
			t.Error(errs[i])
			continue
		}
		want, err := s.read(t, s.stream(t, schema.Stream), "", false)
		if err != nil {
			t.Error(err)
			continue
		}
		if diff := cmp.Diff(table(t, schema, want), table(t, schema, got[i])); diff != "" {
			t.Errorf("%s (-alone +side by side):\n%s", schema.Stream, diff)
		}
	}
}
