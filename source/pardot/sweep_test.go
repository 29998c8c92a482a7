package pardot

import (
	"fmt"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/martsync/martsync"
)

func TestX19Deletes(t *testing.T) {
	for _, v := range []struct {
		name    string
		change  func(*stream)
		queries int    // of version 5 for a sweep
		note    string // about it
	}{
		{"version 5", func(*stream) {}, 3, "in 3 calls"},
		{"version 4", byV4, 4, "in 5 calls"}, // it is made sure that version 5 shows what version 4 does
	} {
		t.Run(v.name, func(t *testing.T) {
			server := newKiteServer(t, manyKites(1, 2500, kiteTime.Add(-72*time.Hour))...)
			server.kites[5].binned = true
			m := newKiteMart()
			m.mustRead(t, server.stream(t, v.change))
			m.compare(t, server)

			// Deleted, with a new time.
			server.change(func(kites []kite) []kite {
				kites[100].binned, kites[100].updated = true, kiteTime.Add(30*time.Minute)
				kites[5].binned, kites[5].updated = false, kiteTime.Add(30*time.Minute)
				return kites
			})
			server.clock.Advance(time.Hour)
			m.mustRead(t, server.stream(t, v.change))
			m.compare(t, server)

			// Deleted without one, and for good: the sweep of the next day.
			server.change(func(kites []kite) []kite {
				kites[200].binned = true
				kites[100].binned = false
				kites = slices.DeleteFunc(kites, func(k kite) bool { return k.id%500 == 0 })
				return append(kites, manyKites(9000, 3, kiteTime.Add(2*time.Hour))...)
			})
			server.clock.Advance(2 * time.Hour)
			server.queries("")
			m.mustRead(t, server.stream(t, v.change))
			if n := len(sweepQueries(server)); n != 0 {
				t.Errorf("%d calls for a sweep, want none within 20 hours", n)
			}
			server.clock.Advance(20 * time.Hour)
			m.mustRead(t, server.stream(t, v.change))
			m.compare(t, server)
			if n := len(sweepQueries(server)); n != v.queries {
				t.Errorf("%d queries for a sweep of 2498 records, want %d", n, v.queries)
			}
			if !slices.ContainsFunc(m.notes, func(n martsync.Note) bool { return n.Operation == "sweep" && strings.Contains(n.Message, v.note) }) {
				t.Errorf("notes: got %v, want one about the sweep", m.notes)
			}
		})
	}
}

// sweepQueries are the queries for ids alone since the last call.
func sweepQueries(s *kiteServer) []url.Values {
	return slices.DeleteFunc(s.queries("/api/v5/objects/kites"), func(q url.Values) bool { return q.Get("fields") != "id" })
}

func TestSweepGoesOn(t *testing.T) {
	server := newKiteServer(t, manyKites(1, 4500, kiteTime.Add(-72*time.Hour))...)
	m := newKiteMart()
	m.mustRead(t, server.stream(t))
	server.change(func(kites []kite) []kite {
		return slices.DeleteFunc(kites, func(k kite) bool { return k.id%700 == 0 || k.id > 4400 })
	})
	server.clock.Advance(24 * time.Hour)
	reads := 0
	for ; reads < 20; reads++ {
		server.queries("")
		pages := 0
		err := m.read(t, server.stream(t), martsync.Span{}, func(b martsync.Batch) bool { // killed after each page
			if b.Census != nil {
				pages++
			}
			return pages == 1
		})
		if err != nil {
			t.Fatal(err)
		}
		if pages == 0 {
			break
		}
		server.clock.Advance(time.Hour) // the next read has a window before it goes on
	}
	if reads != 5 {
		t.Errorf("reads with a page of the sweep: got %d, want 5", reads)
	}
	m.compare(t, server)
}

func TestSweepCostsAHundredth(t *testing.T) {
	server := newKiteServer(t)
	s := server.stream(t)
	r := &run{stream: s, ctx: t.Context()}
	limit := s.src.client.dailyLimit()
	now := secondOf(kiteTime)
	for _, tt := range []struct {
		name  string
		calls int64
		since time.Duration
		want  bool
	}{
		{"just swept", 1, time.Minute, false},
		{"small, 20 hours ago", 1, 20 * time.Hour, true},
		{"a hundredth of the day, 23 hours ago", limit / 100, 23 * time.Hour, false},
		{"a hundredth of the day, a day ago", limit / 100, 24 * time.Hour, true},
		{"three hundredths, two days ago", 3 * limit / 100, 48 * time.Hour, false},
		{"three hundredths, three days ago", 3 * limit / 100, 72 * time.Hour, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r.pos = position{SweptAt: now.add(-tt.since), SweepCalls: tt.calls}
			if got := r.sweepDue(now); got != tt.want {
				t.Errorf("due: got %v, want %v", got, tt.want)
			}
		})
	}
	r.pos = position{}
	if r.sweepDue(now) {
		t.Error("a stream that has not been read is swept")
	}
}

func TestSweepIsNotFor(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*stream)
	}{
		{"facts", func(s *stream) { s.obj.fact = true }},
		{"streams for which it is off", func(s *stream) { s.plan.sweep = -1 }},
		{"what version 5 does not list", func(s *stream) { byV4(s); s.obj.v5 = nil }},
		{"what is listed whole", func(s *stream) { s.obj.v5.since = "" }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server := newKiteServer(t, manyKites(1, 10, kiteTime.Add(-72*time.Hour))...)
			m := newKiteMart()
			for range 3 {
				if err := m.read(t, server.stream(t, tt.change), martsync.Span{}, nil); err != nil {
					t.Fatal(err)
				}
				server.clock.Advance(48 * time.Hour)
			}
			if q := sweepQueries(server); len(q) != 0 {
				t.Errorf("swept: %v", q)
			}
		})
	}
}

func TestSweepThatIsRefusedFailsNothing(t *testing.T) {
	server := newKiteServer(t, manyKites(1, 10, kiteTime.Add(-72*time.Hour))...)
	m := newKiteMart()
	m.mustRead(t, server.stream(t, byV4))
	server.clock.Advance(24 * time.Hour)
	server.between = func(path string, _ url.Values) (int, string) {
		if strings.HasPrefix(path, "/api/v5/objects/kites") {
			return http.StatusBadRequest, `{"code":51,"message":"Invalid parameter: Parameter orderBy is invalid."}`
		}
		return 0, ""
	}
	m.mustRead(t, server.stream(t, byV4))
	if !slices.ContainsFunc(m.notes, func(n martsync.Note) bool { return n.Operation == "sweep" }) {
		t.Errorf("notes: got %v, want one about the sweep", m.notes)
	}
	m.compare(t, server)
}

func TestSweepThatIsTooSlow(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*stream)
		tooFar func(path string, q url.Values) (version, bool)
	}{
		{"version 5", func(*stream) {}, func(_ string, q url.Values) (version, bool) {
			return v5, q.Get("fields") == "id" && len(q.Get("limit")) > 2
		}},
		{"version 5, of rows by version 4", byV4, func(_ string, q url.Values) (version, bool) {
			return v5, q.Get("fields") == "id" && len(q.Get("limit")) > 2
		}},
		{"version 4, whose newest are looked for", byV4, func(path string, q url.Values) (version, bool) {
			return v4, !strings.Contains(path, "/v5/") && q.Get("sort_order") == "descending" && len(q.Get("limit")) > 1
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server := newKiteServer(t, manyKites(1, 300, kiteTime.Add(-72*time.Hour))...)
			m := newKiteMart()
			m.mustRead(t, server.stream(t, tt.change))
			server.change(func(kites []kite) []kite { return slices.Delete(kites, 50, 60) })
			server.clock.Advance(48 * time.Hour)
			refused := 0
			server.between = func(path string, q url.Values) (int, string) {
				if v, ok := tt.tooFar(path, q); ok {
					refused++
					return slow(v)
				}
				return 0, ""
			}
			m.mustRead(t, server.stream(t, tt.change))
			m.compare(t, server)
			if refused == 0 {
				t.Error("nothing was too slow")
			}
		})
	}
}

// What the vendor withholds from a user is not gone.
func TestWithheldRecordsAreNotGone(t *testing.T) {
	server := newKiteServer(t, manyKites(1, 30, kiteTime.Add(-72*time.Hour))...)
	s := server.stream(t)
	r := &run{stream: s, ctx: t.Context(), pos: position{Window: &window{Whole: true, Way: byQuery, API: v5}}}
	var got []martsync.Batch
	r.yield = func(b martsync.Batch, _ error) bool { got = append(got, b); return true }
	if err := r.take(r.pos.Window, &page{warning: "202;Record(s) have been redacted", total: -1}); err != nil {
		t.Fatal(err)
	}
	if len(got) != 1 || got[0].Census != nil || len(got[0].Notes) != 1 {
		t.Errorf("got %+v, want a batch without a census and with a note", got)
	}
}

func TestCensus(t *testing.T) {
	for _, tt := range []struct {
		after, upTo int64
		ids, want   []int64
	}{
		{0, math.MaxInt64, nil, nil},
		{0, 9, []int64{1, 5, 9}, []int64{1, 5, 9}},
		{3, 8, []int64{9, 3, 5, 4, 5, 8}, []int64{4, 5, 8}},
	} {
		got := censusOf(tt.after, tt.upTo, slices.Clone(tt.ids))
		if got.After != tt.after || got.UpTo != tt.upTo || !slices.Equal(got.Keys, tt.want) {
			t.Errorf("ids %v after %d up to %d: got %+v, want %v", tt.ids, tt.after, tt.upTo, *got, tt.want)
		}
	}
}

func TestPagesOfWithheldRecordsEndNothing(t *testing.T) {
	for name, change := range map[string]func(*stream){
		"a range":         func(*stream) {},
		"a whole listing": func(s *stream) { s.obj.v5.since = "" },
	} {
		t.Run(name, func(t *testing.T) {
			server := newKiteServer(t, manyKites(1, 5500, kiteTime.Add(-time.Hour))...)
			m := newKiteMart()
			m.mustRead(t, server.stream(t, change))
			// Somebody takes the right to see most of them from the API user: whole pages come empty.
			server.withholds = true
			server.change(func(kites []kite) []kite {
				for i := range kites {
					kites[i].hidden, kites[i].name, kites[i].updated = i >= 400 && i < 4700, "new", kiteTime.Add(time.Hour)
				}
				return kites
			})
			server.clock.Advance(30 * time.Hour) // a sweep is due, too
			server.queries("")
			m.mustRead(t, server.stream(t, change))
			if n := len(server.queries("/api/v5/objects/kites")); n < 6 || n > 20 {
				t.Errorf("%d queries, want about one for a thousand of each listing", n)
			}
			server.change(func(kites []kite) []kite {
				for i := range kites {
					if kites[i].hidden { // what is known of them is as it was
						kites[i].name, kites[i].updated = fmt.Sprint("kite ", kites[i].id), kiteTime.Add(-time.Hour)
					}
				}
				return kites
			})
			m.compare(t, server)
		})
	}
}

func TestSweepByAVersionThatShowsLess(t *testing.T) {
	for _, tt := range []struct {
		name   string
		hidden func(id int64) bool
		sweeps bool
	}{
		{"all are shown", func(int64) bool { return false }, true},
		{"version 5 hides most", func(id int64) bool { return id%10 != 0 }, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server := newKiteServer(t, manyKites(1, 450, kiteTime.Add(-time.Hour))...)
			m := newKiteMart()
			m.mustRead(t, server.stream(t, byV4))
			gone := int64(7)
			server.change(func(kites []kite) []kite {
				kites = slices.DeleteFunc(kites, func(k kite) bool { return k.id == gone })
				for i := range kites {
					kites[i].only4 = tt.hidden(kites[i].id)
				}
				return kites
			})
			server.clock.Advance(30 * time.Hour)
			m.mustRead(t, server.stream(t, byV4))
			if !tt.sweeps {
				row := m.table[gone]
				row.Gone = true // it cannot be known
				m.table[gone] = row
			}
			m.compare(t, server)
			note := slices.ContainsFunc(m.notes, func(n martsync.Note) bool {
				return n.Operation == "sweep" && strings.Contains(n.Message, "cannot be looked for")
			})
			if note == tt.sweeps {
				t.Errorf("notes %v: want one that says why, if there is no sweep: %v", m.notes, !tt.sweeps)
			}
		})
	}
}
