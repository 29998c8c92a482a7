package marketo

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/columns"
	"github.com/martsync/martsync/internal/csvfile"
	"github.com/martsync/martsync/simulate"
	"github.com/martsync/martsync/source/marketo/marketosim"
)

// The same account, with every form of line ends that files have been seen with.
func TestE13_LineEnds(t *testing.T) {
	for name, config := range map[string]marketosim.Config{
		"LF": {}, "CRLF": {Newline: "\r\n"}, "no final newline": {NoFinal: true}, "CRLF without the last": {Newline: "\r\n", NoFinal: true},
	} {
		t.Run(name, func(t *testing.T) {
			config.Rows = 60
			a := newAccount(t, config)
			a.tweak = byBulk
			for _, stream := range []string{"leads", "activities"} {
				m := a.mart(stream)
				a.sync(m)
				a.check(m)
				if len(m.rows) < 50 || len(m.quarantined) > 0 {
					t.Errorf("%s: %d rows and %d in quarantine, want all and none", stream, len(m.rows), len(m.quarantined))
				}
			}
		})
	}
}

// Cells of files, typed by the vendor's names of data types.
func TestE14_CellsAreTyped(t *testing.T) {
	for _, tt := range []struct {
		dataType, cell string
		want           any // nil: null; an error: quarantine
	}{
		{"integer", "12", int64(12)},
		{"integer", "10.0", int64(10)},
		{"integer", "-3", int64(-3)},
		{"integer", "10.5", errMisfit},
		{"integer", "9223372036854775808", errMisfit},
		{"integer", "null", nil},
		{"score", "35.00", int64(35)},
		{"percent", "12.5", "12.500000"},
		{"currency", "18400.50", "18400.500000"},
		{"currency", "0.1234567", errMisfit},
		{"float", "1e3", 1000.0},
		{"boolean", "true", true},
		{"boolean", "FALSE", false},
		{"boolean", "1", true},
		{"boolean", "0", false},
		{"boolean", "yes", errMisfit},
		{"boolean", "", nil},
		{"date", "2024-02-29", time.Date(2024, 2, 29, 0, 0, 0, 0, time.UTC)},
		{"date", "2023-02-29", errMisfit},
		{"datetime", "2026-03-02T00:15:04-08:00", time.Date(2026, 3, 2, 8, 15, 4, 0, time.UTC)},
		{"string", "null", nil},
		{"string", "nullable", "nullable"},
		{"string", "007", "007"},
		{"email", `"a""b"`, `a"b`},
		{"reference", "885", "885"},
	} {
		t.Run(tt.dataType+" "+tt.cell, func(t *testing.T) {
			cols := []martsync.Column{column("key", "integer"), column("field", tt.dataType)}
			file := "key,field\n1," + tt.cell + "\n"
			var got any = "nothing"
			for chunk, err := range csvfile.Read(t.Context(), bytes.NewBufferString(file), csvfile.Options{Columns: cols, Null: "null"}) {
				switch {
				case err != nil:
					t.Fatal(err)
				case len(chunk.Quarantined) == 1:
					got = errMisfit
				case chunk.Records.Len == 1:
					got = columns.Value(cols[1], &chunk.Records.Columns[1], 0)
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// errMisfit stands for a row in quarantine.
const errMisfit = "quarantine"

// Numeric ids of activities are missing, repeated and beyond 32 bits; the key is the GUID.
func TestE18_ActivityIDs(t *testing.T) {
	a := newAccount(t, marketosim.Config{Options: simulate.Options{Rows: 400}, ActivitySpan: 24 * time.Hour, LeadSpan: 24 * time.Hour})
	a.tweak = byRest
	m := a.mart("activities")
	a.sync(m)
	a.check(m)
	missing, large, seen := 0, 0, map[any]int{}
	for _, row := range m.rows {
		switch id := row.values["id"].(type) {
		case nil:
			missing++
		case int64:
			seen[id]++
			if id > 1<<31 {
				large++
			}
		}
	}
	if missing == 0 || large == 0 || len(seen)+missing == len(m.rows) {
		t.Errorf("%d activities without id, %d with a large one, %d different ones of %d: the account proves nothing", missing, large, len(seen), len(m.rows))
	}
}

// Leads that were deleted, merged, or made and deleted between two syncs.
func TestE21_DeletedAndMergedLeads(t *testing.T) {
	a := newAccount(t, marketosim.Config{})
	leads, merges := a.mart("leads"), a.mart("lead_merges")
	a.sync(leads)
	a.sync(merges)
	alive := map[string]bool{}
	for k, r := range leads.rows {
		alive[k] = !r.deleted
	}
	known := len(merges.rows)
	for range 4 {
		a.sim.Change(40)
		a.clock.Advance(30 * time.Minute)
	}
	a.sync(leads)
	a.sync(merges)
	a.check(leads)
	a.check(merges)
	gone := 0
	for k, r := range leads.rows {
		if alive[k] && r.deleted {
			gone++
			if r.values["createdAt"] == nil {
				t.Errorf("deleted lead %s lost its last values", k)
			}
		}
	}
	losers := 0
	for _, r := range merges.rows {
		if l, ok := leads.rows[leads.key(martRow{values: map[string]any{"id": r.values["loser_id"]}})]; ok && l.deleted {
			losers++
		}
		if fmt.Sprint(r.values["winner_id"]) == fmt.Sprint(r.values["loser_id"]) {
			t.Errorf("lead %v was merged into itself", r.values["loser_id"])
		}
	}
	if gone == 0 || losers == 0 || len(merges.rows) <= known {
		t.Errorf("%d leads vanished, %d of them losers of %d new merges: the changes prove nothing", gone, losers, len(merges.rows)-known)
	}
}
