package audit

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/destination/memory"
	"github.com/martsync/martsync/internal/rows"
	"github.com/martsync/martsync/pipeline"
	"github.com/martsync/martsync/simulate"
	"github.com/martsync/martsync/source/marketo"
	"github.com/martsync/martsync/source/marketo/marketosim"
	"github.com/martsync/martsync/source/pardot"
	"github.com/martsync/martsync/source/pardot/pardotsim"
	"github.com/martsync/martsync/state"
)

// A lab is a simulated account and its copy in memory.
type lab struct {
	account simulate.Instance
	clock   *simulate.Clock
	source  martsync.Source
	storage *memory.Storage
	env     martsync.Env
}

// newLab syncs an account once.
func newLab(t *testing.T, simulator simulate.Simulator, connector martsync.SourceConnector) *lab {
	t.Helper()
	clock := simulate.NewClock(time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC))
	account, err := simulator.New(simulate.Options{Seed: 5, Rows: 150, Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(account)
	t.Cleanup(server.Close)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	env := martsync.Env{Log: slog.New(slog.DiscardHandler), HTTP: &http.Client{Transport: transport}, Clock: clock, TempDir: t.TempDir()}
	text, err := yaml.Marshal(account.SourceConfig(server.URL))
	if err != nil {
		t.Fatal(err)
	}
	config := connector.NewConfig()
	if err := yaml.Unmarshal(text, config); err != nil {
		t.Fatal(err)
	}
	source, err := connector.Open(t.Context(), config, env)
	if err != nil {
		t.Fatal(err)
	}
	l := &lab{account: account, clock: clock, source: source, storage: memory.NewStorage(), env: env}
	l.sync(t)
	return l
}

func (l *lab) sync(t *testing.T) {
	t.Helper()
	out, err := pipeline.Run(t.Context(), &pipeline.Sync{
		Name: "audited", Source: l.source, Destination: memory.New(l.storage), State: state.NewMemory(), Clock: l.clock, Log: l.env.Log,
	})
	if err != nil || !out.Done {
		t.Fatalf("sync: done %v, %v", out.Done, err)
	}
}

// audit returns the checks by stream and name.
func (l *lab) audit(t *testing.T, d martsync.Destination, streams ...string) map[string]map[string]Check {
	t.Helper()
	found := map[string]map[string]Check{}
	for r, err := range Run(t.Context(), Options{Source: l.source, Destination: d, Streams: streams, Sample: 40, Seed: 1, TempDir: t.TempDir()}) {
		if err != nil {
			t.Fatalf("audit: %v", err)
		}
		found[r.Stream] = map[string]Check{}
		for _, c := range r.Checks {
			found[r.Stream][c.Name] = c
		}
	}
	return found
}

// A copy of an account that nobody has touched is right in every respect, for both vendors.
func TestAGoodCopy(t *testing.T) {
	for name, vendor := range map[string]struct {
		simulator simulate.Simulator
		connector martsync.SourceConnector
		compared  string // a stream whose records can be read by id
	}{
		"marketo": {marketosim.Simulator, marketo.Connector, "leads"},
		"pardot":  {pardotsim.Simulator, pardot.Connector, "prospects"},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t, vendor.simulator, vendor.connector)
			l.account.Change(40)
			l.clock.Advance(26 * time.Hour)
			l.sync(t)
			found := l.audit(t, memory.New(l.storage))
			if len(found) < 10 {
				t.Errorf("%d streams were audited, want all of them", len(found))
			}
			for stream, checks := range found {
				for _, c := range checks {
					if c.State == Wrong {
						t.Errorf("%s, %s: %s %v", stream, c.Name, c.Detail, c.Examples)
					}
				}
				if keys := checks["keys"]; keys.State != OK && keys.State != Skipped {
					t.Errorf("%s, keys: %+v, want ok", stream, keys)
				}
			}
			if c := found[vendor.compared]["vendor"]; c.State != OK || !strings.HasPrefix(c.Detail, "40 of 40 ") {
				t.Errorf("%s, vendor: %+v, want 40 of 40 equal", vendor.compared, c)
			}
		})
	}
}

// A tampered destination has rows changed by somebody else.
type tampered struct {
	*memory.Destination
	rows    func(s martsync.Schema, all []rows.Row) []rows.Row
	entries func([]martsync.LedgerEntry) []martsync.LedgerEntry
}

func (d *tampered) ReadTable(ctx context.Context, stream string) (martsync.Schema, iter.Seq2[*martsync.Records, error], error) {
	s, records, err := d.Destination.ReadTable(ctx, stream)
	if err != nil || d.rows == nil {
		return s, records, err
	}
	return s, func(yield func(*martsync.Records, error) bool) {
		var all []rows.Row
		for r, err := range records {
			if err != nil {
				yield(nil, err)
				return
			}
			for i, row := range rows.Of(s.Columns, r) {
				if r.Deleted == nil || !r.Deleted[i] {
					all = append(all, row)
				}
			}
		}
		b := rows.NewBuilder(s.Columns)
		for _, row := range d.rows(s, all) {
			b.Append(row...)
		}
		yield(b.Records(), nil)
	}, nil
}

func (d *tampered) Ledger(ctx context.Context, stream string) iter.Seq2[martsync.LedgerEntry, error] {
	return func(yield func(martsync.LedgerEntry, error) bool) {
		var all []martsync.LedgerEntry
		for e, err := range d.Destination.Ledger(ctx, stream) {
			if err != nil {
				yield(e, err)
				return
			}
			all = append(all, e)
		}
		if d.entries != nil {
			all = d.entries(all)
		}
		for _, e := range all {
			if !yield(e, nil) {
				return
			}
		}
	}
}

// Each way in which a copy can be wrong is found by the check that is there for it.
func TestATamperedCopy(t *testing.T) {
	l := newLab(t, marketosim.Simulator, marketo.Connector)
	set := func(s martsync.Schema, row rows.Row, column string, cell any) { row[s.Index(column)] = cell }
	for _, test := range []struct {
		name, stream, check string
		rows                func(s martsync.Schema, all []rows.Row) []rows.Row
		entries             func([]martsync.LedgerEntry) []martsync.LedgerEntry
		want                string // in the detail or an example
	}{
		{
			name: "a row twice", stream: "activities", check: "keys", want: "1 row has a key that another row has",
			rows: func(_ martsync.Schema, all []rows.Row) []rows.Row { return append(all[1:], all[1]) },
		},
		{
			name: "a key lost", stream: "leads", check: "keys", want: "1 row has no key",
			rows: func(s martsync.Schema, all []rows.Row) []rows.Row {
				set(s, all[0], "id", nil)
				return all
			},
		},
		{
			name: "emptied", stream: "leads", check: "rows", want: "0 rows, but the windows wrote",
			rows: func(martsync.Schema, []rows.Row) []rows.Row { return nil },
		},
		{
			name: "rows of somebody else", stream: "emails", check: "rows", want: "more than the",
			rows: func(s martsync.Schema, all []rows.Row) []rows.Row {
				for i := range 500 {
					row := append(rows.Row(nil), all[0]...)
					set(s, row, "id", int64(1e9+i))
					all = append(all, row)
				}
				return all
			},
		},
		{
			name: "a value changed", stream: "leads", check: "vendor", want: `first_name is "Mallory"`,
			rows: func(s martsync.Schema, all []rows.Row) []rows.Row {
				for _, row := range all {
					set(s, row, "first_name", "Mallory")
				}
				return all
			},
		},
		{
			name: "a value lost", stream: "leads", check: "vendor", want: "first_name is null",
			rows: func(s martsync.Schema, all []rows.Row) []rows.Row {
				for _, row := range all {
					set(s, row, "first_name", nil)
				}
				return all
			},
		},
		{
			name: "a window lost", stream: "activities", check: "windows", want: "1 gap",
			entries: func(all []martsync.LedgerEntry) []martsync.LedgerEntry {
				from, half := all[0].Window.From, all[0].Window.To.Sub(all[0].Window.From)/3
				first, last := all[0], all[0]
				first.Window.To, last.Window.From = from.Add(half), from.Add(2*half)
				return append([]martsync.LedgerEntry{first, last}, all[1:]...)
			},
		},
		{
			name: "numbers changed", stream: "leads", check: "ledger", want: "rows parsed",
			entries: func(all []martsync.LedgerEntry) []martsync.LedgerEntry {
				all[0].Window.Parsed++
				return all
			},
		},
		{
			name: "a promise not kept", stream: "leads", check: "ledger", want: "promised 1000000000 records",
			entries: func(all []martsync.LedgerEntry) []martsync.LedgerEntry {
				all[0].Window.Records = 1e9
				return all
			},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			found := l.audit(t, &tampered{memory.New(l.storage), test.rows, test.entries}, test.stream)
			c := found[test.stream][test.check]
			text, err := json.Marshal(c)
			if err != nil {
				t.Fatal(err)
			}
			if c.State != Wrong || !strings.Contains(c.Detail+strings.Join(c.Examples, "; "), test.want) || c.Hint == "" {
				t.Errorf("%s, %s: %s, want it wrong with %q and a hint", test.stream, test.check, text, test.want)
			}
		})
	}
}

// A harmed destination cannot read what it knows of one stream.
type harmedLedger struct {
	*memory.Destination
	stream string
	err    error
}

func (d *harmedLedger) Ledger(ctx context.Context, stream string) iter.Seq2[martsync.LedgerEntry, error] {
	if stream != d.stream {
		return d.Destination.Ledger(ctx, stream)
	}
	return func(yield func(martsync.LedgerEntry, error) bool) { yield(martsync.LedgerEntry{}, d.err) }
}

// What is harmed so that it cannot be read is a finding like any other; what could not be reached ends the audit.
func TestAHarmedStreamDoesNotHideTheOthers(t *testing.T) {
	l := newLab(t, marketosim.Simulator, marketo.Connector)
	harm := &martsync.Error{Kind: martsync.Data, Op: "read manifest 1", Err: errors.New("it is missing"), Hint: "Restore it."}
	found := l.audit(t, &harmedLedger{memory.New(l.storage), "leads", harm})
	c := found["leads"]["ledger"]
	if c.State != Wrong || !strings.Contains(c.Detail, "it is missing") || c.Hint != "Restore it." {
		t.Errorf("leads: %+v, want the ledger wrong, with reason and hint", c)
	}
	if c := found["emails"]["keys"]; c.State != OK {
		t.Errorf("emails, after leads: %+v, want ok", c)
	}
	unreachable := &martsync.Error{Kind: martsync.Transient, Op: "read manifest 1", Err: errors.New("no answer")}
	o := Options{Source: l.source, Destination: &harmedLedger{memory.New(l.storage), "leads", unreachable}, TempDir: t.TempDir()}
	var last error
	for _, err := range Run(t.Context(), o) {
		last = err
	}
	if martsync.KindOf(last) != martsync.Transient {
		t.Errorf("got %v, want the error that nothing answered", last)
	}
}

// What has changed at the vendor since the sync is told apart, and equal after the next one.
func TestTheVendorGoesOn(t *testing.T) {
	l := newLab(t, marketosim.Simulator, marketo.Connector)
	l.clock.Advance(time.Hour)
	l.account.Change(200)
	c := l.audit(t, memory.New(l.storage), "leads")["leads"]["vendor"]
	if !strings.Contains(c.Detail, "changed since") || !strings.Contains(c.Detail, "no longer exist") {
		t.Errorf("vendor: %+v, want records that have changed since and some that are gone", c)
	}
	l.clock.Advance(26 * time.Hour)
	l.sync(t)
	if c := l.audit(t, memory.New(l.storage), "leads")["leads"]["vendor"]; c.State != OK {
		t.Errorf("vendor after a sync: %+v, want all equal", c)
	}
}

// Repeated hashes are counted in memory and in files alike.
func TestSpool(t *testing.T) {
	for name, n := range map[string]int{"memory": 1000, "files": inMemory + 1000} {
		t.Run(name, func(t *testing.T) {
			s := newSpool(t.TempDir())
			random := rand.New(rand.NewPCG(1, uint64(n)))
			want := int64(0)
			for i := range n {
				h := random.Uint64()
				if err := s.add(h); err != nil {
					t.Fatal(err)
				}
				if i%97 == 0 {
					want++
					if err := s.add(h); err != nil {
						t.Fatal(err)
					}
				}
			}
			got, err := s.doubled()
			if err != nil {
				t.Fatal(err)
			}
			if err := s.close(); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("repeated hashes (-want +got):\n%s", diff)
			}
		})
	}
}

// Cells are the same if they say the same, whatever the width of their columns.
func TestSame(t *testing.T) {
	column := func(t martsync.Type, scale int) martsync.Column {
		return martsync.Column{Type: t, Precision: 38, Scale: scale}
	}
	decimal := func(text string, scale int) rows.Decimal {
		d, err := rows.ParseDecimal(text, scale)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	for _, test := range []struct {
		name   string
		a      martsync.Column
		ours   any
		b      martsync.Column
		theirs any
		want   bool
	}{
		{"both null", column(martsync.String, 0), nil, column(martsync.Int64, 0), nil, true},
		{"one null", column(martsync.String, 0), "", column(martsync.String, 0), nil, false},
		{"JSON in another order", column(martsync.JSON, 0), rows.JSON(`{"a":1,"b":[2]}`), column(martsync.JSON, 0), rows.JSON(`{"b": [2], "a": 1}`), true},
		{"other JSON", column(martsync.JSON, 0), rows.JSON(`{"a":1}`), column(martsync.JSON, 0), rows.JSON(`{"a":2}`), false},
		{"a wider decimal", column(martsync.Decimal, 4), decimal("1.2500", 4), column(martsync.Decimal, 2), decimal("1.25", 2), true},
		{"another decimal", column(martsync.Decimal, 4), decimal("1.2501", 4), column(martsync.Decimal, 2), decimal("1.25", 2), false},
		{"a whole number in a decimal", column(martsync.Decimal, 2), decimal("10.00", 2), column(martsync.Int64, 0), int64(10), true},
		{"text that a number became", column(martsync.String, 0), "10", column(martsync.Int64, 0), int64(10), true},
		{"text with zeros", column(martsync.String, 0), "1.0", column(martsync.String, 0), "1.00", false},
	} {
		if got := same(test.a, test.ours, test.b, test.theirs); got != test.want {
			t.Errorf("%s: same = %v, want %v", test.name, got, test.want)
		}
	}
}

// What activities name and the table of leads lacks is read by id; what the vendor does not know is marked deleted.
// A second repair finds nothing to do, and a sync goes on from where it was.
func TestRepairs(t *testing.T) {
	l := newLab(t, marketosim.Simulator, marketo.Connector)
	repair := func() Repair {
		t.Helper()
		for r, err := range Repairs(t.Context(), RepairOptions{
			Options: Options{Source: l.source, Destination: memory.New(l.storage), TempDir: t.TempDir()}, Sync: "repair-1", At: l.clock.Now(),
		}) {
			if err != nil {
				t.Fatal(err)
			}
			if r.View == "missing_leads" {
				return r
			}
		}
		t.Fatal("nothing was repaired")
		return Repair{}
	}
	leads := func() (alive, deleted map[int64]bool) {
		alive, deleted = map[int64]bool{}, map[int64]bool{}
		s, records, err := memory.New(l.storage).ReadTable(t.Context(), "leads")
		if err != nil {
			t.Fatal(err)
		}
		for r, err := range records {
			if err != nil {
				t.Fatal(err)
			}
			for i := range r.Len {
				id := r.Columns[s.Index("id")].Ints[i]
				if r.Deleted != nil && r.Deleted[i] {
					deleted[id] = true
				} else {
					alive[id] = true
				}
			}
		}
		return alive, deleted
	}
	alive, deleted := leads()
	var lost int64 // a lead that an activity names
	for id := range alive {
		lost = max(lost, id)
	}
	lose(t, l, "leads", lost, "activities", 999_999_999)
	r := repair()
	if r.Stored != 1 || r.Gone < 1 || r.Missing != r.Stored+r.Gone {
		t.Errorf("repair: %+v, want one record stored and at least one id that is gone", r)
	}
	again, gone := leads()
	if !again[lost] || len(again) != len(alive) || !gone[999_999_999] || len(gone) != len(deleted)+r.Gone {
		t.Errorf("leads: %d alive, %d deleted, want %d and %d, with %d again", len(again), len(gone), len(alive), len(deleted)+r.Gone, lost)
	}
	if r := repair(); r.Missing != 0 {
		t.Errorf("second repair: %+v, want nothing missing", r)
	}
	l.account.Change(20)
	l.clock.Advance(26 * time.Hour)
	l.sync(t)
	if c := l.audit(t, memory.New(l.storage), "leads")["leads"]["vendor"]; c.State == Wrong {
		t.Errorf("vendor after a repair and a sync: %+v", c)
	}
}

// lose writes the table of leads anew without one of them, and an activity that names a lead nobody knows.
func lose(t *testing.T, l *lab, stream string, lost int64, facts string, stranger int64) {
	t.Helper()
	streams, err := l.source.Streams(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	fresh := memory.NewStorage()
	for _, s := range streams {
		schema := s.Schema()
		old, err := memory.New(l.storage).Open(t.Context(), schema)
		if err != nil {
			t.Fatal(err)
		}
		w, err := memory.New(fresh).Open(t.Context(), schema)
		if err != nil {
			t.Fatal(err)
		}
		stored, records, err := memory.New(l.storage).ReadTable(t.Context(), schema.Stream)
		if err != nil {
			t.Fatal(err)
		}
		b := rows.NewBuilder(schema.Columns)
		for r, err := range records {
			if err != nil {
				t.Fatal(err)
			}
			for i, row := range rows.Of(stored.Columns, r) {
				named := schema.Index("lead_id")
				switch {
				case schema.Stream == stream && row[schema.Index("id")] == any(lost):
					continue
				case r.Deleted != nil && r.Deleted[i]:
					b.AppendDeleted(row...)
					continue
				}
				b.Append(row...)
				if schema.Stream == facts && b.Len() == 1 {
					for _, id := range []int64{lost, stranger} { // two more activities
						copied := append(rows.Row(nil), row...)
						copied[schema.Index("marketo_guid")], copied[named] = "extra-"+rows.Text(id), id
						b.Append(copied...)
					}
				}
				if b.Len() > 9000 {
					if err := w.Write(t.Context(), b.Records()); err != nil {
						t.Fatal(err)
					}
					b.Reset()
				}
			}
		}
		if err := w.Write(t.Context(), b.Records()); err != nil {
			t.Fatal(err)
		}
		if err := w.Commit(t.Context(), martsync.Commit{Sync: "copy", At: l.clock.Now(), Next: old.Cursor()}); err != nil {
			t.Fatal(err)
		}
	}
	l.storage = fresh
}
