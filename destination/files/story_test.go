package files

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/blob"
	"github.com/martsync/martsync/internal/blob/blobtest"
	"github.com/martsync/martsync/internal/rows"
)

var (
	people = martsync.Schema{
		Stream: "people", Key: []string{"id"}, Version: "version", Deletes: true,
		Columns: []martsync.Column{
			{Name: "id", Type: martsync.Int64}, {Name: "name", Type: martsync.String}, {Name: "version", Type: martsync.Int64},
		},
	}
	noon = time.Date(2025, 3, 1, 12, 0, 0, 0, time.UTC)
)

// A chapter is what one writer does before it makes it durable.
type chapter struct {
	end string // "stage", "commit" or "discard"
	add func(b *rows.Builder)
}

// story is what happens to people. Its files have two rows.
var story = []chapter{
	{"stage", func(b *rows.Builder) {
		for i := range int64(5) {
			b.Append(i, fmt.Sprint("first ", i), int64(1))
		}
	}},
	{"commit", func(b *rows.Builder) {
		b.Append(int64(1), "twice in one load", int64(2))
		b.AppendTombstone(int64(2), nil, int64(3))
	}},
	{"stage", func(b *rows.Builder) { b.Append(int64(3), "staged", int64(2)) }},
	{"stage", func(b *rows.Builder) { b.Append(int64(4), "staged again", int64(2)) }},
	{"commit", func(b *rows.Builder) { b.AppendTombstone(int64(5), nil, int64(2)) }},
	{"stage", func(b *rows.Builder) { b.Append(int64(6), "wrong", int64(9)) }},
	{"discard", func(b *rows.Builder) { b.Append(int64(7), "wrong", int64(9)) }},
	{"stage", func(b *rows.Builder) { b.Append(int64(6), "right", int64(1)) }},
	{"commit", nil},
	{"commit", func(b *rows.Builder) { b.Append(int64(4000), "at last", nil) }},
}

// tell brings people from wherever they stand to the end of the story. A position is the number of
// chapters that are behind it.
func tell(ctx context.Context, d martsync.Destination) error {
	w, err := d.Open(ctx, people)
	if err != nil {
		return err
	}
	err = tellOn(ctx, w)
	return errors.Join(err, w.Close())
}

func tellOn(ctx context.Context, w martsync.Writer) error {
	at := 0
	for _, c := range []martsync.Cursor{w.Cursor(), w.Staged()} {
		if c != "" {
			var err error
			if at, err = strconv.Atoi(string(c)); err != nil {
				return err
			}
		}
	}
	for ; at < len(story); at++ {
		if story[at].add != nil {
			b := rows.NewBuilder(people.Columns)
			story[at].add(b)
			if err := w.Write(ctx, b.Records()); err != nil {
				return err
			}
			rows.Poison(b.Records())
		}
		c := martsync.Commit{
			Sync: "test", At: noon, Next: martsync.Cursor(strconv.Itoa(at + 1)), Windows: []martsync.Window{{Job: strconv.Itoa(at)}},
			Quarantined: []martsync.Quarantined{{Line: int64(at)}},
		}
		var err error
		switch story[at].end {
		case "stage":
			err = w.Stage(ctx, c)
		case "commit":
			err = w.Commit(ctx, c)
		default:
			err = w.Discard(ctx)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// ended are the chapters whose windows are in the ledger once the story is told.
var ended = []string{"0", "1", "2", "3", "4", "7", "8", "9"}

// tableOf reads a table as texts, in order.
func tableOf(t testing.TB, d *destination, stream string) []string {
	t.Helper()
	schema, batches, err := d.ReadTable(t.Context(), stream)
	if err != nil {
		t.Fatal(err)
	}
	all := []string{}
	for r, err := range batches {
		if err != nil {
			t.Fatal(err)
		}
		for i, row := range rows.Of(schema.Columns, r) {
			text := ""
			for j, c := range schema.Columns {
				if c.Name != martsync.SyncedAt && c.Name != martsync.Deleted {
					text += fmt.Sprint(c.Name, "=", row[j], " ")
				}
			}
			all = append(all, fmt.Sprint(text, rows.Deleted(r, i)))
		}
	}
	slices.Sort(all)
	return all
}

// states are the tables after each commit of the story, by cursor.
func states(t testing.TB) map[martsync.Cursor][]string {
	t.Helper()
	states := map[martsync.Cursor][]string{"": {}}
	d := destinationOn(t, blobtest.Folder(t), Config{Format: "ndjson"}, coreEnv(t, nil))
	for n, c := range story {
		if c.end != "commit" {
			continue
		}
		whole := story
		story = story[:n+1]
		err := tell(t.Context(), d)
		story = whole
		if err != nil {
			t.Fatal(err)
		}
		states[martsync.Cursor(strconv.Itoa(n+1))] = tableOf(t, d, "people")
	}
	return states
}

// A watcher is somebody who lists the store all the time, as a loader of files does: what it
// has seen must not disappear or change.
type watcher struct{ seen map[string]time.Time }

func (w *watcher) look(t testing.TB, s blob.Store) {
	t.Helper()
	now := visible(t, s)
	for key, modified := range w.seen {
		if at, ok := now[key]; !ok || !at.Equal(modified) {
			t.Errorf("file %s of %v: got %v (there: %v)", key, modified, at, ok)
		}
	}
	w.seen = now
}

// TestEveryStoreCall lets each call to the store go wrong in turn, lets another process look, which wants a
// state that the story has, and then has it told to its end.
func TestEveryStoreCall(t *testing.T) {
	want := states(t)
	last := want[martsync.Cursor(strconv.Itoa(len(story)))]
	c := Config{Format: "ndjson", Rotate: Rotate{Rows: 2}}
	for name, open := range blobtest.Stores {
		for mode := range callModes {
			t.Run(name+"/"+mode.String(), func(t *testing.T) {
				stride := slower(1)
				if name == "S3" {
					stride = slower(4)
				}
				for at := int(mode) % stride; ; at += stride {
					s := open(t)
					p := &process{at: at, mode: mode}
					h := &blobtest.Hooked{Store: s, Call: p.call}
					err := tell(t.Context(), destinationOn(t, h, c, coreEnv(t, nil)))
					if p.calls <= at {
						t.Logf("%d calls", p.calls)
						if err != nil {
							t.Errorf("without a fault: %v", err)
						}
						return
					}
					var watch watcher
					watch.look(t, s)
					d := destinationOn(t, s, c, coreEnv(t, nil))
					w, err := d.Open(t.Context(), people)
					if err != nil {
						t.Fatalf("call %d, then open: %v", at, err)
					}
					watch.look(t, s)
					if diff := cmp.Diff(want[w.Cursor()], tableOf(t, d, "people")); diff != "" {
						t.Fatalf("call %d, cursor %q (-want +got):\n%s", at, w.Cursor(), diff)
					}
					if err := errors.Join(tellOn(t.Context(), w), w.Close()); err != nil {
						t.Fatalf("call %d, then: %v", at, err)
					}
					watch.look(t, s)
					wantEnd(t, d, s, last, fmt.Sprint("call ", at))
					if t.Failed() {
						return
					}
				}
			})
		}
	}
}

// wantEnd checks what there is when the story has been told.
func wantEnd(t *testing.T, d *destination, s blob.Store, last []string, when string) {
	t.Helper()
	if diff := cmp.Diff(last, tableOf(t, d, "people")); diff != "" {
		t.Errorf("%s: table (-want +got):\n%s", when, diff)
	}
	var windows []string
	for e, err := range d.Ledger(t.Context(), "people") {
		if err != nil {
			t.Fatal(err)
		}
		windows = append(windows, e.Window.Job)
	}
	if diff := cmp.Diff(ended, windows); diff != "" {
		t.Errorf("%s: ledger (-want +got):\n%s", when, diff)
	}
	files := promised(t, d, "people")
	if diff := cmp.Diff(slices.Sorted(maps.Keys(files)), slices.Sorted(maps.Keys(visible(t, s)))); diff != "" {
		t.Errorf("%s: visible files (-promised +visible):\n%s", when, diff)
	}
}

// TestEveryOverlap lets another sync tell the story to its end before each call to the store in turn.
// Of the first one nothing may remain but what it committed before.
func TestEveryOverlap(t *testing.T) {
	want := states(t)
	last := want[martsync.Cursor(strconv.Itoa(len(story)))]
	c := Config{Format: "ndjson", Rotate: Rotate{Rows: 2}}
	for at := 0; ; at += slower(1) {
		s := blobtest.Folder(t)
		if err := blob.Probe(t.Context(), s); err != nil { // not a call of either
			t.Fatal(err)
		}
		d := destinationOn(t, s, c, coreEnv(t, nil))
		p := &process{at: at}
		p.meanwhile = func() {
			if err := tell(t.Context(), d); err != nil {
				t.Errorf("call %d: the other sync: %v", at, err)
			}
		}
		h := &blobtest.Hooked{Store: s, Call: p.call}
		err := tell(t.Context(), destinationOn(t, h, c, coreEnv(t, nil)))
		if p.calls <= at {
			return
		}
		if err != nil && martsync.KindOf(err) != martsync.Conflict {
			t.Errorf("call %d: the sync that was overtaken: %v", at, err)
		}
		if err := tell(t.Context(), d); err != nil {
			t.Errorf("call %d: a third sync: %v", at, err)
		}
		wantEnd(t, d, s, last, fmt.Sprint("call ", at))
		if t.Failed() {
			return
		}
	}
}
