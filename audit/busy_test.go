package audit

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"testing"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/destination/memory"
	"github.com/martsync/martsync/internal/rows"
	"github.com/martsync/martsync/source/marketo"
	"github.com/martsync/martsync/source/marketo/marketosim"
)

// A busy destination is written to whenever a table is about to be read.
type busy struct {
	*memory.Destination
	write func(stream string)
}

func (b *busy) ReadTable(ctx context.Context, stream string) (martsync.Schema, iter.Seq2[*martsync.Records, error], error) {
	b.write(stream)
	return b.Destination.ReadTable(ctx, stream)
}

// What a sync commits between the reading of the ledger and that of the table is no mistake. What nobody has accounted
// for is one, however often it is looked at.
func TestATableThatGrowsMeanwhile(t *testing.T) {
	l := newLab(t, marketosim.Simulator, marketo.Connector)
	streams, err := l.source.Streams(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	const stream = "activities"
	var schema martsync.Schema
	for _, s := range streams {
		if s.Schema().Stream == stream {
			schema = s.Schema()
		}
	}
	next := int64(0)
	grow := func(windows bool) {
		w, err := memory.New(l.storage).Open(t.Context(), schema)
		if err != nil {
			t.Fatal(err)
		}
		const many = 5000 // more than were written of keys that come twice
		b := rows.NewBuilder(schema.Columns)
		for range many {
			next++
			row := make(rows.Row, len(schema.Columns))
			for i, c := range schema.Columns {
				if schema.IsKey(c.Name) {
					row[i] = any(next)
					if c.Type == martsync.String {
						row[i] = fmt.Sprint("new-", next)
					}
				}
			}
			b.Append(row...)
		}
		c := martsync.Commit{Sync: "sync-2", At: l.clock.Now(), Next: w.Cursor()}
		if windows {
			c.Windows = []martsync.Window{{Filter: "{}", Records: -1, Bytes: -1, Parsed: many, Written: many}}
		}
		if err := errors.Join(w.Write(t.Context(), b.Records()), w.Commit(t.Context(), c), w.Close()); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name    string
		times   int
		windows bool
		wrong   bool
	}{
		{"once", 1, true, false},
		{"at each reading but the last", mostTries - 1, true, false},
		{"without a window", 1, false, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := &busy{Destination: memory.New(l.storage), write: func(string) {
				if c.times--; c.times >= 0 {
					grow(c.windows)
				}
			}}
			for r, err := range Run(t.Context(), Options{Source: l.source, Destination: d, Streams: []string{stream}, TempDir: t.TempDir()}) {
				if err != nil || r.Wrong() != c.wrong {
					t.Errorf("got %+v, %v, want wrong to be %v", r.Checks, err, c.wrong)
				}
			}
		})
	}
}

// A repair says again and again that the account is its own, and ends when it no longer is.
func TestRepairsKeepTheAccount(t *testing.T) {
	l := newLab(t, marketosim.Simulator, marketo.Connector)
	lose(t, l, "leads", 0, "activities", 999_999_999)
	kept := 0
	var lost error
	o := RepairOptions{
		Options: Options{Source: l.source, Destination: memory.New(l.storage), TempDir: t.TempDir()}, Sync: "repair-1", At: l.clock.Now(), Views: []string{"missing_leads"},
		Keep: func(context.Context) error {
			if kept++; kept == 2 {
				return lost
			}
			return nil
		},
	}
	lost = &martsync.Error{Kind: martsync.Busy, Op: "take the account"}
	for r, err := range Repairs(t.Context(), o) {
		if martsync.KindOf(err) != martsync.Busy {
			t.Errorf("got %+v, %v, want the error of kind busy", r, err)
		}
	}
	kept, lost = 0, nil
	for r, err := range Repairs(t.Context(), o) {
		if err != nil || r.Gone != r.Missing || r.Gone < 1 {
			t.Errorf("got %+v, %v, want all that is missing marked deleted: nothing was stored before", r, err)
		}
	}
	if kept < 2 {
		t.Errorf("kept the account %d times, want at least before the reading and before the commit", kept)
	}
}

// A repair that is to end stores what it has read; the next one does the rest.
func TestRepairsStop(t *testing.T) {
	l := newLab(t, marketosim.Simulator, marketo.Connector)
	lose(t, l, "leads", 0, "activities", 999_999_999)
	defer func(n int) { readAtOnce = n }(readAtOnce)
	readAtOnce = 1
	asked := 0
	most := 0
	o := RepairOptions{
		Options: Options{Source: l.source, Destination: memory.New(l.storage), TempDir: t.TempDir()}, Sync: "repair-1", At: l.clock.Now(), Views: []string{"missing_leads"},
		Stopping: func() bool { asked++; return asked > most },
	}
	repair := func(stopAfter int) (got []Repair) {
		asked, most = 0, stopAfter
		for r, err := range Repairs(t.Context(), o) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, r)
		}
		return got
	}
	if got := repair(0); got != nil {
		t.Errorf("stopped before it began: got %+v, want nothing", got)
	}
	if got := repair(1); len(got) != 1 || got[0].Gone != 0 || got[0].Left != got[0].Missing || got[0].Missing < 2 {
		t.Fatalf("stopped before it read: got %+v, want all left", got)
	}
	all := repair(2) // one id
	if len(all) != 1 || all[0].Gone != 1 || all[0].Left != all[0].Missing-1 {
		t.Fatalf("stopped after an id: got %+v, want one marked deleted", all)
	}
	if got := repair(1 << 30); len(got) != 1 || got[0].Missing != all[0].Missing-1 || got[0].Gone != got[0].Missing || got[0].Left != 0 {
		t.Errorf("the next one: got %+v, want the other %d", got, all[0].Missing-1)
	}
}
