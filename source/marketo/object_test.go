package marketo

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/maphash"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/destination/memory"
	"github.com/martsync/martsync/internal/columns"
	"github.com/martsync/martsync/internal/rows"
	"github.com/martsync/martsync/pipeline"
	"github.com/martsync/martsync/runlog"
	"github.com/martsync/martsync/simulate"
	"github.com/martsync/martsync/source/marketo/marketosim"
	"github.com/martsync/martsync/source/sourcetest"
)

// monthly is how large accounts are read: everything now and then, changes between.
func monthly(c *Config) {
	c.Members.FullListingEvery, c.Custom.FullListingEvery, c.Objects.Every = 0, 0, 0
}

var changing = []string{"program_members", "custom_device_owned"}

// Between full listings changes, new records and those who left a program arrive; what is gone with its lead
// waits for the next one.
func TestObjectsBetweenFullListings(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		rows int
		cfg  marketosim.Config
	}{
		{"few programs", 200, marketosim.Config{}},
		{"many programs", 640, marketosim.Config{}},
		{"E7: many programs without the filter updatedAt", 640, marketosim.Config{NoUpdatedAt: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.cfg.Rows = c.rows
			d := newDepot(t, c.cfg)
			d.sync(t, changing, monthly)
			d.equal(t, changing, monthly)
			for range 3 {
				d.Change(400)
				d.clock.Advance(time.Hour)
				before := len(d.windows(t, "program_members"))
				d.sync(t, changing, monthly)
				d.lenient = d.goneLeads()
				for name, r := range d.differs(t, changing, monthly) {
					if r.Missing+r.Different+r.Doubled > 0 {
						t.Errorf("%s: %s", name, r.String())
					}
				}
				d.lenient = nil
				for _, w := range d.windows(t, "program_members")[before:] {
					dated := strings.Contains(w.Filter, `"updatedAt":{"startAt"`)
					if w.Job != "" && !c.cfg.NoUpdatedAt && dated == w.From.IsZero() {
						t.Errorf("window %+v: its range is not that of its filter", w)
					}
					if dated == c.cfg.NoUpdatedAt && w.Job != "" && !w.From.IsZero() {
						t.Errorf("window %+v: want the filter updatedAt where there is one only", w)
					}
				}
			}
			d.lenient = d.goneLeads()
			r := d.differs(t, changing, monthly)["program_members"]
			d.lenient = nil
			if r.Deleted == 0 {
				t.Error("nobody left a program, so this proves nothing about it")
			}
			if told := strings.Contains(d.notes("program_members"), "are read whole"); told != c.cfg.NoUpdatedAt {
				t.Errorf("said that the filter is missing: %v, want %v", told, c.cfg.NoUpdatedAt)
			}
			d.clock.Advance(31 * 24 * time.Hour)
			d.sync(t, changing, monthly)
			d.equal(t, changing, monthly)
		})
	}
}

// A record that is updated while all are listed leaves the window that it was in. Wherever in the listing that happens, it
// still exists.
func TestNoRecordIsTakenForDeletedBecauseItWasUpdated(t *testing.T) {
	for _, c := range []struct {
		name string
		gone bool
	}{{"just so", false}, {"a file that has to be exported again", true}} {
		t.Run(c.name, func(t *testing.T) {
			one := []string{"custom_device_owned"}
			d := newDepot(t, marketosim.Config{})
			d.sync(t, one, monthly)
			d.equal(t, one, monthly)
			d.Change(200) // some are gone
			d.clock.Advance(31 * 24 * time.Hour)
			lost := false
			d.line.bend = func(r *http.Response) error {
				if c.gone && !lost && strings.HasSuffix(r.Request.URL.Path, "/file.json") {
					r.StatusCode, lost = http.StatusNotFound, true
				}
				return nil
			}
			d.line.block = func(r *http.Request) error {
				if strings.Contains(r.URL.Path, "/customobjects/") && strings.Contains(r.URL.Path, "/export/") {
					d.clock.Advance(2 * time.Second)
					d.Change(1500)
				}
				return nil
			}
			d.sync(t, one, monthly)
			d.line.block, d.line.bend = nil, nil
			if wrong, deleted := d.deletions(t, one[0], "marketoGUID"); len(wrong) > 0 || deleted == 0 {
				t.Errorf("marked deleted: %d, of which these exist: %v", deleted, wrong)
			}
			if notes := d.notes(one[0]); !strings.Contains(notes, "no longer exist") {
				t.Errorf("the log says %q, want that all have been read", notes)
			}
			if c.gone != lost {
				t.Error("no file was lost")
			}
			for _, w := range d.windows(t, one[0]) {
				if w.To.After(d.clock.Now()) {
					t.Errorf("the ledger says that %s to %s has been read", w.From, w.To)
				}
			}
			d.clock.Advance(time.Hour)
			d.sync(t, one, monthly)
			if r := d.differs(t, one, monthly)[one[0]]; r.Missing+r.Doubled > 0 {
				t.Errorf("at the next sync: %s", r.String())
			}
			d.clock.Advance(31 * 24 * time.Hour)
			d.sync(t, one, monthly)
			d.equal(t, one, monthly)
		})
	}
}

// deletions counts the rows of a table that are marked deleted, and lists the keys of those whose record exists.
func (d *depot) deletions(t testing.TB, table, key string) (wrong []any, deleted int) {
	t.Helper()
	alive := map[any]bool{}
	for row := range d.Truth(table) {
		alive[row.Values[key]] = !row.Gone
	}
	stored, batches, err := memory.New(d.storage).ReadTable(t.Context(), table)
	if err != nil {
		t.Fatal(err)
	}
	at := slices.IndexFunc(stored.Columns, func(c martsync.Column) bool { return c.Origin == key })
	for r, err := range batches {
		if err != nil {
			t.Fatal(err)
		}
		for i, cells := range rows.Of(stored.Columns, r) {
			if !rows.Deleted(r, i) {
				continue
			}
			deleted++
			if k := cells[at]; alive[k] {
				wrong = append(wrong, k)
			}
		}
	}
	return wrong, deleted
}

// A reading that was interrupted and is taken up much later brings what has changed since as well, in one sync.
func TestOldReadingOfProgramMembersIsFollowedByAnother(t *testing.T) {
	d := newDepot(t, marketosim.Config{})
	one := []string{"program_members"}
	ctx, stop := context.WithCancel(t.Context())
	d.line.block = func(r *http.Request) error {
		if strings.HasSuffix(r.URL.Path, "/status.json") {
			stop()
			return errKilled
		}
		return nil
	}
	_, err := pipeline.Run(ctx, &pipeline.Sync{
		Name: "depot", Source: d.open(t), Destination: memory.New(d.storage), Streams: one,
		State: d.state, Clock: d.clock, Log: slog.New(slog.DiscardHandler),
	})
	stop()
	d.line.block = nil
	if err == nil || d.Stats().ExportJobs == 0 {
		t.Fatalf("%v after %d jobs: it was not interrupted", err, d.Stats().ExportJobs)
	}
	d.clock.Advance(20 * time.Hour)
	d.Change(400)
	d.clock.Advance(4 * time.Hour)
	jobs := d.Stats().ExportJobs
	d.sync(t, one)
	d.equal(t, one)
	more := d.Stats().ExportJobs - jobs
	d.clock.Advance(time.Hour)
	again := d.Stats().ExportJobs
	d.sync(t, one)
	if last := d.Stats().ExportJobs - again; last > more {
		t.Errorf("%d jobs, and %d for the next sync", more, last)
	}
}

// The programs to export are those that the log names.
func TestOnlyChangedProgramsAreExported(t *testing.T) {
	d := newDepot(t, marketosim.Config{Options: simulate.Options{Rows: 1200}, PerLead: 1})
	one := []string{"program_members"}
	d.sync(t, one, monthly)
	jobs := d.Stats().ExportJobs
	if want := 6; jobs != want {
		t.Errorf("%d jobs for 60 programs at first, want %d", jobs, want)
	}
	d.clock.Advance(time.Hour)
	d.sync(t, one, monthly)
	calls := d.Stats().Calls
	d.clock.Advance(2 * time.Hour)
	d.sync(t, one, monthly)
	st := d.Stats()
	if more := st.ExportJobs - jobs; more > 2 {
		t.Errorf("%d jobs although hardly anything happened, want at most 2", more)
	}
	if more := st.Calls - calls; more > 30 {
		t.Errorf("%d calls although hardly anything happened, want at most 30", more)
	}
}

// goneLeads are the ids of leads that no longer exist.
func (d *depot) goneLeads() map[any]bool {
	gone := map[any]bool{}
	for row := range d.Truth("leads") {
		gone[row.Values["id"]] = row.Gone
	}
	return gone
}

func (d *depot) windows(t testing.TB, stream string) (windows []martsync.Window) {
	t.Helper()
	for e, err := range memory.New(d.storage).Ledger(t.Context(), stream) {
		if err != nil {
			t.Fatal(err)
		}
		windows = append(windows, e.Window)
	}
	return windows
}

func (d *depot) notes(stream string) string {
	var b strings.Builder
	for _, e := range d.storage.Log(stream) {
		b.WriteString(e.Message + "\n")
	}
	return b.String()
}

// A reading of what leads lead to is not due again before its time, and costs nothing then.
func TestObjectsAreReadNowAndThen(t *testing.T) {
	d := newDepot(t, marketosim.Config{})
	streams := []string{"companies", "opportunities", "opportunity_roles", "sales_persons", "named_accounts"}
	d.sync(t, streams, monthly)
	d.equal(t, streams, monthly)
	d.Change(400)
	before := d.Stats()
	d.clock.Advance(defaultObjects - time.Hour)
	d.sync(t, streams, monthly)
	after := d.Stats()
	if after.ExportJobs != before.ExportJobs || after.ByPath["GET /rest/v1/companies.json"] != before.ByPath["GET /rest/v1/companies.json"] {
		t.Errorf("they were read again before %s were over", defaultObjects)
	}
	d.clock.Advance(2 * time.Hour)
	d.sync(t, streams, monthly)
	d.equal(t, streams, monthly)
}

// E28: what the role may not read, or the subscription does not have, is skipped with the reason, and
// everything else is read.
func TestE28WhatIsNotThereIsSkipped(t *testing.T) {
	names := slices.Concat(objectStreams, []string{"leads", "activities", "deleted_leads", "campaigns"})
	denied := func(permissions ...string) marketosim.Config {
		users := marketosim.DefaultUsers()
		users[0].Denied = permissions
		return marketosim.Config{Users: users}
	}
	for _, c := range []struct {
		name    string
		cfg     marketosim.Config
		change  func(*Config)
		skipped map[string]string // stream, and what its error says
		lacks   []string          // not even listed
	}{
		{name: "everything is there"},
		{name: "companies", cfg: denied("Read-Only Company"), skipped: map[string]string{"companies": "603"}},
		{name: "opportunities", cfg: denied("Read-Only Opportunity"), skipped: map[string]string{"opportunities": "603", "opportunity_roles": "603"}},
		{name: "sales persons", cfg: denied("Read-Only Sales Person"), skipped: map[string]string{"sales_persons": "603"}},
		{name: "named accounts", cfg: denied("Read-Only Named Account"), skipped: map[string]string{"named_accounts": "603"}},
		{name: "named account lists", cfg: denied("Read-Only Named Account List"), skipped: map[string]string{"named_accounts": "603"}},
		{name: "no list named", change: func(c *Config) { c.Objects.NamedAccountLists = nil }, skipped: map[string]string{"named_accounts": "lists neither"}},
		{name: "custom objects", cfg: denied("Read-Only Custom Object"), lacks: []string{"custom_device_owned"}},
		{name: "custom objects excluded", change: func(c *Config) { c.Custom.Exclude = []string{"deviceOwned_c"} }, lacks: []string{"custom_device_owned"}},
		{name: "custom objects not sold", cfg: marketosim.Config{Lacks: []string{"customobjects"}}, lacks: []string{"custom_device_owned"}},
		{name: "companies not sold", cfg: marketosim.Config{Lacks: []string{"companies"}}, skipped: map[string]string{"companies": "703"}},
		{name: "named accounts not sold", cfg: marketosim.Config{Lacks: []string{"namedaccounts"}}, skipped: map[string]string{"named_accounts": "703"}},
		{name: "a CRM", cfg: marketosim.Config{CRM: true}, skipped: map[string]string{"opportunity_roles": "1018", "opportunities": "opportunity roles"}},
		{name: "leads", cfg: denied("Read-Only Lead"), skipped: map[string]string{
			"leads": "603", "program_members": "603", "companies": "by way of leads", "sales_persons": "by way of leads",
			"opportunities": "by way of opportunity roles", "opportunity_roles": "by way of leads",
		}},
		{name: "activities", cfg: denied("Read-Only Activity"), skipped: map[string]string{"activities": "603", "deleted_leads": "603", "leads": "", "program_members": ""}},
		{name: "assets", cfg: denied("Read-Only Assets"), change: func(c *Config) { c.Start.Time = time.Date(2025, 12, 1, 0, 0, 0, 0, time.UTC) }, skipped: map[string]string{"program_members": "603"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.cfg.Rows, c.cfg.LeadSpan = 60, 25*24*time.Hour
			d := newDepot(t, c.cfg)
			change := func(cfg *Config) {
				if c.change != nil {
					c.change(cfg)
				}
			}
			want := slices.DeleteFunc(slices.Clone(names), func(n string) bool { return slices.Contains(c.lacks, n) })
			got := map[string]string{}
			out := d.sync(t, want, change)
			for _, st := range out.Stats.Streams {
				if st.Phase == runlog.PhaseSkipped {
					got[st.Stream] = st.Error
				} else if st.Phase != runlog.PhaseDone {
					t.Errorf("%s ended as %s: %s", st.Stream, st.Phase, st.Error)
				}
			}
			for stream, text := range c.skipped {
				if text == "" {
					delete(got, stream)
					continue
				}
				if !strings.Contains(got[stream], text) {
					t.Errorf("%s: got %q, want it skipped because of %q", stream, got[stream], text)
				}
				delete(got, stream)
			}
			if len(got) > 0 {
				t.Errorf("skipped too: %v", got)
			}
			streams, err := d.open(t, change).Streams(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, st := range streams {
				if slices.Contains(c.lacks, st.Schema().Stream) {
					t.Errorf("%s is listed", st.Schema().Stream)
				}
			}
			found := map[string]bool{}
			for _, f := range d.open(t, change).Check(t.Context()) {
				found[f.Subject] = f.OK
			}
			for stream, text := range c.skipped {
				if ok, told := found["stream "+stream]; text != "" && (ok || !told) {
					t.Errorf("check says of %s: told %v, ok %v; want it not to be", stream, told, ok)
				}
			}
		})
	}
}

// Opportunities and their roles are found by way of the same export of leads, which is made once, whichever is read first; each
// of them is read without the other one as well.
func TestTwinsShareTheirExports(t *testing.T) {
	twins := []string{"opportunities", "opportunity_roles"}
	sync := func(t *testing.T, d *depot, parallel int, streams ...string) {
		t.Helper()
		if _, err := pipeline.Run(t.Context(), &pipeline.Sync{
			Name: "depot", Source: d.open(t), Destination: memory.New(d.storage), Streams: streams, Parallel: parallel,
			State: d.state, Clock: d.clock, Log: slog.New(slog.NewTextHandler(d.log, nil)),
		}); err != nil {
			t.Fatal(err)
		}
	}
	for _, alone := range twins {
		d := newDepot(t, marketosim.Config{})
		sync(t, d, 1, alone)
		d.equal(t, []string{alone})
		want := d.Stats()
		for _, parallel := range []int{1, 2} {
			both := newDepot(t, marketosim.Config{})
			sync(t, both, parallel, twins...)
			both.equal(t, twins)
			if got := both.Stats(); got.ExportJobs != want.ExportJobs || got.ExportBytes != want.ExportBytes {
				t.Errorf("%d at once: %d jobs and %d bytes, want %d and %d as for %s alone", parallel, got.ExportJobs, got.ExportBytes, want.ExportJobs, want.ExportBytes, alone)
			}
		}
	}
}

// A stream that was interrupted while it shared a reading waits for the other one, but not for long: that one may no
// longer be wanted.
func TestTwinThatIsGoneIsNotWaitedForLong(t *testing.T) {
	d := newDepot(t, marketosim.Config{})
	one := []string{"opportunities"}
	both := append(slices.Clone(one), "opportunity_roles")
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var looks atomic.Int32 // by both streams
	d.line.block = func(r *http.Request) error {
		if strings.HasSuffix(r.URL.Path, "/status.json") && looks.Add(1) > 2 {
			stop()
			return errKilled
		}
		return nil
	}
	_, err := pipeline.Run(ctx, &pipeline.Sync{
		Name: "depot", Source: d.open(t), Destination: memory.New(d.storage), Streams: both,
		State: d.state, Clock: d.clock, Log: slog.New(slog.DiscardHandler),
	})
	d.line.block = nil
	if err == nil {
		t.Fatal("it was not interrupted")
	}
	d.clock.Advance(time.Hour)
	began := d.clock.Now()
	d.sync(t, one)
	d.equal(t, one)
	if took := d.clock.Now().Sub(began); took > time.Hour {
		t.Errorf("it took %s", took)
	}
}

// That some keys cannot be asked for is said once, and again when there are more; however many leads have them.
func TestKeysWithACommaAreToldOnce(t *testing.T) {
	s := newFakeVendor(t, nil).source(t)
	at := martsync.Cursor("")
	for i, c := range []struct {
		keys []string
		want string // in the note; "": there is none
	}{
		{[]string{"A,1", "A,1", "B"}, "1 keys of companies"},
		{[]string{"B", "A,1"}, ""},
		{[]string{"B"}, ""},
		{[]string{"A,1"}, ""},
		{[]string{"A,1", "C,2"}, "2 keys of companies"},
	} {
		schema := martsync.Schema{Stream: "companies", Columns: columnsOf([]field{{Name: "id", DataType: "integer"}}), Key: []string{"id"}, Snapshot: true}
		st := &keyedStream{rangeStream: &rangeStream{src: s, jobs: newDispatcher(), schema: schema}, of: companies, held: keysHeld}
		var notes []martsync.Note
		r := &run{rangeStream: st.rangeStream, yield: func(b martsync.Batch, _ error) bool {
			notes, at = append(notes, b.Notes...), b.Cursor
			return true
		}}
		if err := r.from(at); err != nil {
			t.Fatal(err)
		}
		a := &asker{stream: st, r: r, builder: columns.NewBuilder(schema.Columns), seed: maphash.MakeSeed()}
		a.reset()
		b := columns.NewBuilder([]martsync.Column{{Name: "key", Type: martsync.String}})
		for _, k := range c.keys {
			if err := b.AppendCells([][]byte{[]byte(k)}); err != nil {
				t.Fatal(err)
			}
		}
		if err := a.take(t.Context(), b.Records()); err != nil {
			t.Fatal(err)
		}
		if err := a.finish(); err != nil {
			t.Fatal(err)
		}
		if told := len(notes) > 0; told != (c.want != "") || told && !strings.Contains(notes[0].Message, c.want) {
			t.Errorf("reading %d, of %q: the log says %v, want %q", i, c.keys, notes, c.want)
		}
	}
}

// A machine that is not on the allowlist is refused everything: that is an error, not an account without
// streams.
func TestNotOnTheAllowlist(t *testing.T) {
	d := newDepot(t, marketosim.Config{Options: simulate.Options{Faults: []string{"code:code=603,every=1"}}})
	_, err := d.open(t).Streams(t.Context())
	if got := martsync.KindOf(err); err == nil || got != martsync.Auth {
		t.Errorf("got %v of kind %v, want a refusal", err, got)
	}
}

// E8: killed at any call, the streams lose and double nothing, and no byte is exported twice.
func TestE8ObjectsKilledAtManyCalls(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("long")
	}
	streams := []string{"program_members", "custom_device_owned", "companies", "opportunities", "opportunity_roles"}
	begin := func(t *testing.T) *depot {
		d := newDepot(t, marketosim.Config{Options: simulate.Options{Rows: 60}, LeadSpan: 25 * 24 * time.Hour})
		d.sync(t, streams)
		d.Change(300)
		d.clock.Advance(time.Hour)
		return d
	}
	whole := begin(t)
	already := whole.Stats()
	whole.sync(t, streams)
	calls, bytes := whole.Stats().Calls-already.Calls, whole.Stats().ExportBytes-already.ExportBytes
	if calls < 50 {
		t.Fatalf("only %d calls to be killed at", calls)
	}
	step, killed := max(1, calls/8), 0
	for at := 1; at < calls; at += step {
		d := begin(t)
		before := d.Stats().ExportBytes
		ctx, kill := context.WithCancel(t.Context())
		n := 0
		d.line.block = func(*http.Request) error {
			d.line.mu.Lock()
			defer d.line.mu.Unlock()
			if n++; n == at {
				kill()
				return errKilled
			}
			return nil
		}
		_, err := pipeline.Run(ctx, &pipeline.Sync{
			Name: "depot", Source: d.open(t), Destination: memory.New(d.storage), Streams: streams, Parallel: 1,
			State: d.state, Clock: d.clock, Log: slog.New(slog.DiscardHandler),
		})
		kill()
		d.line.block = nil
		if err == nil {
			break // one at a time needs fewer looks at jobs, so it was done before
		}
		killed++
		d.clock.Advance(time.Hour) // the lease of the dead process ends
		d.sync(t, streams)
		d.equal(t, streams)
		if got := d.Stats().ExportBytes - before; float64(got) > 1.001*float64(bytes)+4096 {
			t.Errorf("killed at call %d: %d bytes exported, want %d", at, got, bytes)
		}
		if t.Failed() {
			t.Fatalf("killed at call %d\n%s", at, d.log.tail())
		}
	}
	if killed < 4 {
		t.Errorf("killed %d times only", killed)
	}
}

// E9, E10, E12: files that break off, vanish or are dirty, and jobs that fail, cost only time. Streams that are read at once share
// the count of a fault, so that each one of several may be the same stream's: where a stream gives up for a sync after some that
// came to nothing, a sync meets one fewer.
func TestE9ObjectsWithFaults(t *testing.T) {
	t.Parallel()
	for _, fault := range []string{
		fmt.Sprintf("fail:path=/bulk/v1/,every=5,times=%d", failuresMost-1), fmt.Sprintf("nocreate:path=/bulk/v1/,every=6,times=%d", triesMost-1),
		fmt.Sprintf("gone:path=/bulk/v1/,every=9,times=%d", triesMost-1), "cut:path=file.json,every=3",
		"json:code=606,path=file.json,every=4", "nul:path=/bulk/v1/,every=2", "noresult:path=status.json,every=3",
		"code:code=606,every=9", "code:code=1029,path=enqueue.json,every=4", "expire:every=17", "status:code=502,every=11", "dup:path=/bulk/v1/,every=2",
	} {
		t.Run(fault, func(t *testing.T) {
			d := newDepot(t, marketosim.Config{Options: simulate.Options{Rows: 60}, LeadSpan: 40 * 24 * time.Hour})
			for round := range 3 {
				if round > 0 {
					d.Change(200)
					d.clock.Advance(time.Hour)
				}
				d.ClearFaults()
				if err := d.AddFault(fault); err != nil {
					t.Fatal(err)
				}
				out := d.sync(t, objectStreams)
				for _, st := range out.Stats.Streams {
					if st.Error != "" {
						t.Errorf("%s ended as %s: %s", st.Stream, st.Phase, st.Error)
					}
				}
			}
			if len(d.Stats().Faults) == 0 {
				t.Error("the fault never happened")
			}
			d.equal(t, objectStreams)
		})
	}
}

// E12: a line that cannot be read is in quarantine; that it might be a record which exists keeps others from
// being marked deleted.
func TestE12ObjectsWithLinesThatCannotBeRead(t *testing.T) {
	for _, fault := range []string{"columns:path=/bulk/v1/,every=1", "misfit:path=/bulk/v1/,every=1"} {
		t.Run(fault, func(t *testing.T) {
			d := newDepot(t, marketosim.Config{Options: simulate.Options{Rows: 100}, LeadSpan: 40 * 24 * time.Hour})
			d.sync(t, objectStreams)
			d.equal(t, objectStreams)
			d.clock.Advance(time.Hour)
			if err := d.AddFault(fault); err != nil {
				t.Fatal(err)
			}
			d.Change(300)
			d.clock.Advance(time.Hour)
			quarantined := map[string]int64{}
			for _, st := range d.sync(t, objectStreams).Stats.Streams {
				if st.Error != "" {
					t.Errorf("%s ended as %s: %s", st.Stream, st.Phase, st.Error)
				}
				quarantined[st.Stream] = st.Quarantined
			}
			if quarantined["program_members"] == 0 || quarantined["custom_device_owned"] == 0 {
				t.Errorf("in quarantine: %v, so this proves nothing", quarantined)
			}
			if n := d.rows("custom_device_owned"); n == 0 || !strings.Contains(d.notes("custom_device_owned"), "not all are marked") {
				t.Errorf("%d rows, and the log says %q", n, d.notes("custom_device_owned"))
			}
			for name, r := range d.differs(t, objectStreams) {
				if r.Missing+r.Extra+r.Doubled > 0 {
					t.Errorf("%s: %s", name, r.String())
				}
			}
		})
	}
}

// E11: files of empty jobs in every form.
func TestE11ObjectsWithEmptyFiles(t *testing.T) {
	for _, empty := range []marketosim.EmptyFile{marketosim.EmptyHeader, marketosim.EmptyBytes, marketosim.EmptyMissing} {
		d := newDepot(t, marketosim.Config{Options: simulate.Options{Rows: 30}, Empty: empty, BitBools: true, NoFinal: true, Newline: "\r\n"})
		d.sync(t, objectStreams)
		d.Change(100)
		d.clock.Advance(time.Hour)
		d.sync(t, objectStreams)
		for name, r := range d.differs(t, objectStreams) {
			if !r.OK() {
				t.Errorf("form %d, %s: %s", empty, name, r.String())
			}
		}
	}
}

// What was kept makes the same rows again, those of changes between full listings included.
func TestReplayOfObjects(t *testing.T) {
	sourcetest.RunReplay(t, func(t testing.TB) sourcetest.Setup {
		d := newDepot(t, marketosim.Config{Options: simulate.Options{Rows: 640}, LeadSpan: 20 * 24 * time.Hour})
		return sourcetest.Setup{
			Open: func(t testing.TB) martsync.Source { return d.open(t, monthly) }, Clock: d.clock, Streams: objectStreams,
			Calls:  func() int64 { return int64(d.Stats().Calls) },
			Change: func() { d.Change(300); d.clock.Advance(26 * time.Hour) },
		}
	})
}

// A cursor comes back as it was; one that says what cannot be is refused.
func TestObjectCursors(t *testing.T) {
	p := position{V: positionVersion, Programs: idSet{3, 9, 1 << 40}, Plan: &memberPlan{To: 9, From: 5, Touched: idSet{3}, Made: true, Whole: idSet{1}, Dated: idSet{2, 3}}}
	back, err := parsePosition("program_members", p.cursor())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(p.Programs, back.Programs) + cmp.Diff(p.Plan, back.Plan); diff != "" {
		t.Error(diff)
	}
	for _, text := range []string{
		`{"v":1,"plan":{"to":-1}}`, `{"v":1,"plan":{"to":1,"from":2}}`, `{"v":1,"programs":"!"}`, `{"v":1,"programs":"AgI"}x`, `{"v":1,"read":-1}`,
		`{"v":1,"parts":{"keys":{"at":0,"to":-5}}}`, `{"v":1,"programs":"AgA"}`,
	} {
		if _, err := parsePosition("program_members", martsync.Cursor(text)); martsync.KindOf(err) != martsync.Data {
			t.Errorf("%s: got %v, want it refused", text, err)
		}
	}
	d := newDepot(t, marketosim.Config{Options: simulate.Options{Rows: 30}})
	for _, name := range objectStreams {
		streams, err := d.open(t).Streams(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(streams, func(s martsync.Stream) bool { return s.Schema().Stream == name })
		for _, err := range streams[i].Read(t.Context(), martsync.Cursor(fmt.Sprintf(`{"v":%d,"oops":1}`, positionVersion)), martsync.Span{}) {
			if martsync.KindOf(err) != martsync.Data {
				t.Errorf("%s: a cursor of another kind gives %v, want an error of kind data", name, err)
			}
		}
	}
}

// Which program an activity is about, in the forms that it comes in.
func TestProgressOf(t *testing.T) {
	for _, c := range []struct {
		name, activity string
		program        int64
		status         string
		bad            bool
	}{
		{"a change of status", `{"activityTypeId":104,"primaryAttributeValueId":2044,"attributes":[{"name":"New Status","value":"Not in Program"}]}`, 2044, "Not in Program", false},
		{"numbers as text, attributes as an object", `{"activityTypeId":"104","primaryAttributeValueId":"2044","attributes":{"New Status":"Attended"}}`, 2044, "Attended", false},
		{"member data names the program in an attribute", `{"activityTypeId":123,"primaryAttributeValueId":7,"attributes":[{"name":"Program ID","value":2044}]}`, 2044, "", false},
		{"member data without a program", `{"activityTypeId":123,"primaryAttributeValueId":7}`, 0, "", false},
		{"no program", `{"activityTypeId":113}`, 0, "", false},
		{"an id that is none", `{"activityTypeId":113,"primaryAttributeValueId":"x"}`, 0, "", false},
		{"attributes that are neither", `{"activityTypeId":104,"primaryAttributeValueId":1,"attributes":3}`, 0, "", true},
		{"no type", `{"primaryAttributeValueId":1}`, 0, "", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := new(activity)
			if err := json.Unmarshal([]byte(c.activity), a); err != nil {
				t.Fatal(err)
			}
			program, status, err := progressOf(a)
			if program != c.program || status != c.status || (err != nil) != c.bad {
				t.Errorf("got %d, %q, %v; want %d, %q, bad %v", program, status, err, c.program, c.status, c.bad)
			}
		})
	}
}

func TestIDSet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		set := idSet(rapid.SliceOfNDistinct(rapid.Int64Range(-1<<40, 1<<40), 0, 50, rapid.ID[int64]).Draw(t, "ids"))
		slices.Sort(set)
		text, err := set.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		var back idSet
		if err := back.UnmarshalText(text); err != nil || !slices.Equal(back, set) {
			t.Fatalf("got %v and %v, want %v", back, err, set)
		}
		if len(set) > 0 {
			one := set[len(set)/2]
			if less := set.without(one); less.has(one) || !set.has(one) || len(less) != len(set)-1 {
				t.Fatalf("%v without %d is %v", set, one, less)
			}
		}
	})
}
