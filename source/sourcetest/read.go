package sourcetest

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/destination/memory"
	"github.com/martsync/martsync/internal/rows"
)

// A step is a batch that was read, copied.
type step struct {
	martsync.Batch

	schema martsync.Schema
}

// maxTries bounds how often a read may be interrupted by errors that pass without getting
// anywhere in between.
const maxTries = 50

// streams opens the source anew and returns the streams under test.
func (s Setup) streams(t testing.TB) []martsync.Stream {
	t.Helper()
	source := s.Open(t)
	if s.keep {
		source.(martsync.Replayer).KeepRaw()
	}
	all, err := source.Streams(t.Context())
	if err != nil {
		t.Fatalf("list streams: %v", err)
	}
	var wanted []martsync.Stream
	for _, stream := range all {
		if len(s.Streams) == 0 || slices.Contains(s.Streams, stream.Schema().Stream) {
			wanted = append(wanted, stream)
		}
	}
	if len(wanted) == 0 || len(s.Streams) > len(wanted) {
		t.Fatalf("streams under test: got %d, want %v", len(wanted), s.Streams)
	}
	return wanted
}

// stream opens the source anew, as another process would, and returns the named stream.
func (s Setup) stream(t testing.TB, name string) martsync.Stream {
	t.Helper()
	for _, stream := range s.streams(t) {
		if stream.Schema().Stream == name {
			return stream
		}
	}
	t.Fatalf("stream %s is not listed any more", name)
	return nil
}

// read reads from the cursor to the end, through waits and errors that pass, as the engine
// does: after an error it goes on from the last cursor and forgets what came after it.
func (s Setup) read(t testing.TB, stream martsync.Stream, from martsync.Cursor, poison bool) ([]step, error) {
	t.Helper()
	name := stream.Schema().Stream
	var steps []step
	tries := 0
	for {
		before := len(steps)
		err := s.readOnce(t.Context(), stream, from, poison, &steps)
		if err == nil {
			return steps, nil
		}
		if !martsync.KindOf(err).Waits() {
			return nil, fmt.Errorf("read %s from %q: %w", name, from, err)
		}
		last := len(steps) - 1
		for last >= before && steps[last].Cursor == "" {
			last--
		}
		steps = steps[:last+1]
		if tries++; last >= before && steps[last].Cursor != from {
			tries, from = 0, steps[last].Cursor
		}
		if tries >= maxTries {
			return nil, fmt.Errorf("read %s from %q: no progress in %d tries: %w", name, from, tries, err)
		}
		sleep := s.Clock.Sleep
		if s.sleep != nil {
			sleep = s.sleep
		}
		if err := sleep(t.Context(), max(martsync.AfterOf(err), time.Second)); err != nil {
			return nil, err
		}
	}
}

func (s Setup) readOnce(ctx context.Context, stream martsync.Stream, from martsync.Cursor, poison bool, steps *[]step) error {
	schema := stream.Schema()
	for b, err := range stream.Read(ctx, from, s.Span) {
		if err != nil {
			return err
		}
		*steps = append(*steps, step{clone(&schema, b), schema})
		if poison {
			rows.Poison(b.Records)
			for _, r := range b.Raw {
				for i := range r.Data {
					r.Data[i] = 0xFF
				}
			}
		}
	}
	return nil
}

// clone copies a batch out of the memory that it was lent in.
func clone(s *martsync.Schema, b martsync.Batch) martsync.Batch {
	if b.Records != nil {
		builder := rows.NewBuilder(s.Columns)
		for i, cells := range rows.Of(s.Columns, b.Records) {
			switch {
			case rows.Tombstone(b.Records, i):
				builder.AppendTombstone(cells...)
			case rows.Deleted(b.Records, i):
				builder.AppendDeleted(cells...)
			default:
				builder.Append(cells...)
			}
		}
		b.Records = builder.Records()
	}
	b.Quarantined = slices.Clone(b.Quarantined)
	b.Raw = slices.Clone(b.Raw)
	for i := range b.Raw {
		b.Raw[i].Data = slices.Clone(b.Raw[i].Data)
	}
	if b.Census != nil {
		c := *b.Census
		c.Keys = slices.Clone(c.Keys)
		b.Census = &c
	}
	return b
}

// table returns the table that the steps make, one text a row, sorted; rows in quarantine
// count as rows.
func table(t testing.TB, schema martsync.Schema, steps []step) []string {
	t.Helper()
	storage := memory.NewStorage()
	d := memory.New(storage)
	w, err := d.Open(t.Context(), schema)
	if err != nil {
		t.Fatal(err)
	}
	var unit []martsync.Quarantined
	var complete []martsync.Scope
	var censuses []martsync.Census
	var quarantined []string
	for i, st := range steps {
		if st.Discard {
			unit = nil
			if err := w.Discard(t.Context()); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if st.Records != nil {
			if err := w.Write(t.Context(), st.Records); err != nil {
				t.Fatalf("step %d of %s: %v", i, schema.Stream, err)
			}
		}
		unit = append(unit, st.Quarantined...)
		if st.Complete != nil {
			complete = append(complete, *st.Complete)
		}
		if st.Census != nil {
			censuses = append(censuses, *st.Census)
		}
		last := i == len(steps)-1
		if schema.Snapshot && !last || st.Cursor == "" || st.Unverified {
			continue
		}
		for _, q := range unit {
			quarantined = append(quarantined, fmt.Sprintf("quarantined: %s: %s", q.Column, q.Raw))
		}
		unit = nil
		if err := w.Commit(t.Context(), martsync.Commit{Next: st.Cursor, Complete: complete, Censuses: censuses}); err != nil {
			t.Fatal(err)
		}
		complete, censuses = nil, nil
	}
	if len(schema.Key) > 0 { // a row in quarantine may be read twice, as a record may
		slices.Sort(quarantined)
		quarantined = slices.Compact(quarantined)
	}
	texts := quarantined
	stored, batches, err := d.ReadTable(t.Context(), schema.Stream)
	if err != nil {
		t.Fatal(err)
	}
	for r, err := range batches {
		if err != nil {
			t.Fatal(err)
		}
		for i, cells := range rows.Of(stored.Columns, r) {
			texts = append(texts, fmt.Sprintf("%q deleted: %v", cells, rows.Deleted(r, i)))
		}
	}
	slices.Sort(texts)
	return texts
}
