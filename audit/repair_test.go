package audit

import (
	"context"
	"errors"
	"iter"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/destination/memory"
	"github.com/martsync/martsync/source/marketo"
	"github.com/martsync/martsync/source/marketo/marketosim"
)

// A misfitting source has records that do not fit their columns: a lookup of any of them fails.
type misfitting struct {
	martsync.Source
	bad []int64
}

func (m *misfitting) Unwrap(any) martsync.Source { return m.Source }

func (m *misfitting) Lookup(ctx context.Context, stream string, ids, fields []string) (martsync.Schema, iter.Seq2[*martsync.Records, error], error) {
	look, _ := martsync.As[martsync.Lookuper](m.Source)
	schema, records, err := look.Lookup(ctx, stream, ids, fields)
	return schema, func(yield func(*martsync.Records, error) bool) {
		for _, bad := range m.bad {
			if slices.Contains(ids, strconv.FormatInt(bad, 10)) {
				yield(nil, &martsync.Error{Kind: martsync.Data, Op: "look up", Err: errors.New("it is no date")})
				return
			}
		}
		for r, err := range records {
			if !yield(r, err) || err != nil {
				return
			}
		}
	}, err
}

// Records that do not fit are put into quarantine, and the others are stored all the same.
func TestRepairsPutMisfitsIntoQuarantine(t *testing.T) {
	l := newLab(t, marketosim.Simulator, marketo.Connector)
	const stranger = 999_999_999
	var lost int64
	for row := range l.account.Truth("leads") {
		if id, ok := row.Values["id"].(int64); ok && !row.Gone {
			lost = max(lost, id)
		}
	}
	lose(t, l, "leads", lost, "activities", stranger)
	source := &misfitting{Source: l.source, bad: []int64{lost}}
	o := RepairOptions{
		Options: Options{Source: source, Destination: memory.New(l.storage), TempDir: t.TempDir()}, Sync: "repair-1", At: l.clock.Now(), Views: []string{"Missing-Leads"},
	}
	var got []Repair
	for r, err := range Repairs(t.Context(), o) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, r)
	}
	if len(got) != 1 || got[0].Bad != 1 || got[0].Stored != 0 || got[0].Gone < 1 || got[0].Missing != 1+got[0].Gone {
		t.Fatalf("got %+v, want one in quarantine and at least one that is gone", got)
	}
	if text := got[0].String(); !strings.Contains(text, "1 in quarantine") {
		t.Errorf("it says %q", text)
	}
	var last martsync.Window
	for e, err := range memory.New(l.storage).Ledger(t.Context(), "leads") {
		if err != nil {
			t.Fatal(err)
		}
		last = e.Window
	}
	if last.Quarantined != 1 || last.Parsed != last.Written+1 {
		t.Errorf("the ledger has %+v", last)
	}

	// It is not marked deleted: it exists.
	source.bad, o.Sync = nil, "repair-2"
	for r, err := range Repairs(t.Context(), o) {
		if err != nil || r.Missing != 1 || r.Stored != 1 {
			t.Errorf("when it fits: %+v, %v, want it stored", r, err)
		}
	}
}

// What cannot be repaired is told before anything is asked.
func TestRepairsRefuseUnknownViews(t *testing.T) {
	l := newLab(t, marketosim.Simulator, marketo.Connector)
	for _, err := range Repairs(t.Context(), RepairOptions{
		Options: Options{Source: l.source, Destination: memory.New(l.storage)}, Views: []string{"missing-leads", "missing-laeds"},
	}) {
		if martsync.KindOf(err) != martsync.Config || !strings.Contains(martsync.HintOf(err), "missing-leads") {
			t.Errorf("got %v (%s), want an error of kind config that names missing-leads", err, martsync.HintOf(err))
		}
		return
	}
	t.Error("got nothing")
}
