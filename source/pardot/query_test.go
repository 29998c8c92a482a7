package pardot

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/martsync/martsync"
)

// manyKites are n kites that changed at a time, with ids from first on.
func manyKites(first int64, n int, updated time.Time) (kites []kite) {
	for i := range int64(n) {
		kites = append(kites, kite{id: first + i, name: fmt.Sprint("kite ", first+i), updated: updated})
	}
	return kites
}

func TestX04PageShapes(t *testing.T) {
	for _, v := range []struct {
		name   string
		change func(*stream)
		page   int
		prefix string
	}{
		{"version 5", func(*stream) {}, page5, "/api/v5/objects/kites"},
		{"version 4", func(s *stream) { byV4(s); s.obj.v4.bin = false }, page4, "/api/kite/"},
		{"version 4 with totals", func(s *stream) { byV4(s); s.obj.v4.bin, s.obj.v4.params = false, nil }, page4, "/api/kite/"},
	} {
		for _, rows := range []int{0, 1, 2, v.page - 1, v.page, v.page + 1, 2 * v.page, 2*v.page + 1} {
			t.Run(fmt.Sprintf("%s, %d rows", v.name, rows), func(t *testing.T) {
				server := newKiteServer(t, manyKites(1, rows, kiteTime.Add(-time.Hour))...)
				m := newKiteMart()
				m.mustRead(t, server.stream(t, v.change))
				m.compare(t, server)
				if len(m.windows) != 1 || m.windows[0].Parsed != int64(rows) {
					t.Errorf("windows: got %+v, want one of %d rows", m.windows, rows)
				}
				queries := len(server.queries(v.prefix))
				want := max(1, (rows+v.page-1)/v.page)
				if strings.HasPrefix(v.name, "version 4") && rows > 0 && rows%v.page == 0 {
					want++ // only an empty page says that a full one was the last
				}
				if queries != want {
					t.Errorf("queries: got %d, want %d", queries, want)
				}
			})
		}
	}
}

func TestX05MoreThanAPageInOneSecond(t *testing.T) {
	for _, v := range []struct {
		name   string
		change func(*stream)
		n      int
	}{{"version 5", func(*stream) {}, 3500}, {"version 4", byV4, 1500}} {
		t.Run(v.name, func(t *testing.T) {
			server := newKiteServer(t, manyKites(1<<31-700, v.n, kiteTime.Add(-48*time.Hour))...)
			m := newKiteMart()
			m.mustRead(t, server.stream(t, v.change))
			m.compare(t, server)

			// A rule touches all of them within the last second that the next window has.
			second := kiteTime.Add(time.Hour - settled - time.Second)
			server.change(func(kites []kite) []kite {
				for i := range kites {
					kites[i].updated, kites[i].name = second, "touched"
				}
				return kites
			})
			server.clock.Advance(time.Hour)
			m.mustRead(t, server.stream(t, v.change))
			m.compare(t, server)
			if w := m.windows[len(m.windows)-1]; w.Parsed != int64(v.n) {
				t.Errorf("last window: got %d rows, want %d", w.Parsed, v.n)
			}
		})
	}
}

func TestX06LateAndOutOfOrder(t *testing.T) {
	for _, v := range []struct {
		name   string
		change func(*stream)
	}{{"version 5", func(*stream) {}}, {"version 4", byV4}} {
		t.Run(v.name, func(t *testing.T) {
			server := newKiteServer(t)
			for i := range 450 { // times run against ids
				server.kites = append(server.kites, kite{id: int64(i + 1), name: "k", updated: kiteTime.Add(-time.Duration(i) * time.Hour)})
			}
			m := newKiteMart()
			m.mustRead(t, server.stream(t, v.change))
			server.clock.Advance(time.Hour)
			m.mustRead(t, server.stream(t, v.change))
			m.compare(t, server)

			// Rows appear with times that earlier windows have covered, ids and all.
			server.change(func(kites []kite) []kite {
				kites[7].name, kites[7].updated = "late change", kiteTime.Add(-20*time.Hour)
				return append(kites, kite{id: 9000, name: "late", updated: kiteTime.Add(-10 * time.Hour)})
			})
			server.clock.Advance(time.Hour)
			m.mustRead(t, server.stream(t, v.change))
			m.compare(t, server)
		})
	}
}

func TestX07AutumnHourAndChangedZone(t *testing.T) {
	// Clocks in New York show 01:00 to 02:00 twice: from 05:00 and from 06:00 UTC.
	newYork, err := time.LoadLocation("America/New_York")
	if err != nil {
		t.Fatal(err)
	}
	server := newKiteServer(t)
	server.loc = newYork
	night := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	server.clock.Set(night)
	m := newKiteMart()
	next := int64(1)
	var all []kite
	for step := range 48 { // every quarter of an hour, from midnight to noon
		at := night.Add(time.Duration(step) * 15 * time.Minute)
		k := kite{id: next, name: fmt.Sprint("at ", step), updated: at}
		all, next = append(all, k), next+1
		server.change(func(kites []kite) []kite { return append(kites, k) })
		if step == 30 { // the user moves
			tokyo, err := time.LoadLocation("Asia/Tokyo")
			if err != nil {
				t.Fatal(err)
			}
			server.mu.Lock()
			server.loc = tokyo
			server.mu.Unlock()
		}
		server.clock.Set(at.Add(10 * time.Minute))
		m.mustRead(t, server.stream(t, byV4))
		for _, k := range all {
			got, ok := m.table[k.id]
			if !ok {
				t.Fatalf("step %d: kite %d of %v is missing", step, k.id, k.updated)
			}
			updated, err := time.Parse("2006-01-02T15:04:05Z", strings.Replace(got.Updated, " ", "T", 1))
			if err != nil {
				updated, err = time.Parse(time.RFC3339, got.Updated)
			}
			if off := k.updated.Sub(updated); err != nil || off != 0 && off != time.Hour {
				t.Fatalf("step %d: kite %d changed at %v: got %q (%v)", step, k.id, k.updated, got.Updated, err)
			}
		}
	}
	if !slices.ContainsFunc(m.notes, func(n martsync.Note) bool {
		return n.Operation == "zone" && strings.Contains(n.Message, "Asia/Tokyo")
	}) {
		t.Errorf("notes: got %v, want one about the zone", m.notes)
	}
}

func TestX08OverlapIsReadAgain(t *testing.T) {
	server := newKiteServer(t, manyKites(1, 1200, kiteTime.Add(-3*time.Hour))...)
	m := newKiteMart()
	m.mustRead(t, server.stream(t))
	for range 3 {
		server.clock.Advance(time.Hour)
		m.mustRead(t, server.stream(t))
		m.compare(t, server)
		w := m.windows[len(m.windows)-1]
		if w.Parsed != 1200 || w.From.After(kiteTime.Add(-20*time.Hour)) {
			t.Errorf("window: got %+v, want all 1200 kites of the last day again", w)
		}
	}
	if got := len(m.table); got != 1200 {
		t.Errorf("table: got %d rows, want 1200", got)
	}
	// Nothing has happened: nothing is asked.
	server.queries("")
	before := m.batches
	m.mustRead(t, server.stream(t))
	if n := len(server.queries("/api/")); n != 0 || m.batches != before {
		t.Errorf("a read at the same time: %d calls and %d batches, want none", n, m.batches-before)
	}
}

func slow(v version) (int, string) {
	if v == v4 {
		return http.StatusOK, `{"@attributes":{"stat":"fail","version":1,"err_code":202},"err":"Query took too long"}`
	}
	return http.StatusGatewayTimeout, `<html>504</html>`
}

func TestX15PagesAreHalved(t *testing.T) {
	for _, v := range []struct {
		name   string
		change func(*stream)
		api    version
		limits string // what is asked for before the first page arrives
	}{
		{"version 5", func(*stream) {}, v5, "1000 500 250 125 62 31"},
		{"version 4", byV4, v4, "200 100 50 25"},
	} {
		t.Run(v.name, func(t *testing.T) {
			server := newKiteServer(t, manyKites(1, 900, kiteTime.Add(-3*time.Hour))...)
			server.between = func(path string, q url.Values) (int, string) {
				limit, _ := strconv.Atoi(q.Get("limit"))
				after, _ := strconv.Atoi(q.Get("idGreaterThan") + q.Get("id_greater_than"))
				if after < 300 && limit > 40 {
					return slow(v.api)
				}
				return 0, ""
			}
			m := newKiteMart()
			m.mustRead(t, server.stream(t, v.change))
			m.compare(t, server)
			var limits []string
			for _, q := range server.queries("/api/") {
				if l := q.Get("limit"); l != "" && (len(limits) == 0 || limits[len(limits)-1] != l) {
					limits = append(limits, l)
				}
			}
			if got := strings.Join(limits, " "); !strings.HasPrefix(got, v.limits+" ") || len(limits) < 6 {
				t.Errorf("limits: got %s, want %s and larger ones again later", got, v.limits)
			}
		})
	}
}

func TestX15WindowsAreHalved(t *testing.T) {
	server := newKiteServer(t)
	for i := range 500 {
		server.kites = append(server.kites, kite{id: int64(i + 1), name: "k", updated: kiteTime.Add(-time.Duration(i+1) * 12 * time.Hour)})
	}
	const most = 100 * 24 * time.Hour
	server.between = func(path string, q url.Values) (int, string) {
		from, err := time.Parse(time.RFC3339, q.Get("updatedAtAfterOrEqualTo"))
		if err != nil {
			from = founding.time() // where the vendor has records
		}
		to, err := time.Parse(time.RFC3339, q.Get("updatedAtBefore"))
		if strings.HasSuffix(path, "/kites") && (err != nil || to.Sub(from) > most && to.After(kiteTime.Add(-300*24*time.Hour))) {
			return http.StatusOK, `{"code":214,"message":"Request timed out"}`
		}
		return 0, ""
	}
	m := newKiteMart()
	if err := m.read(t, server.stream(t), martsync.Span{}, nil); err != nil {
		t.Fatal(err)
	}
	m.compare(t, server)
	for i, w := range m.windows[1:] {
		if !w.From.Equal(m.windows[i].To) {
			t.Errorf("window %d begins at %v, the one before ends at %v", i+1, w.From, m.windows[i].To)
		}
	}
	if last := m.windows[len(m.windows)-1]; len(m.windows) < 4 || !last.To.Equal(kiteTime.Add(-settled)) {
		t.Errorf("windows: got %d up to %v, want several up to %v", len(m.windows), last.To, kiteTime.Add(-settled))
	}
	// The next read asks for a day again, which is no trouble.
	server.clock.Advance(time.Hour)
	m.mustRead(t, server.stream(t))
	m.compare(t, server)
}

func TestX15FloorIsReported(t *testing.T) {
	server := newKiteServer(t, manyKites(1, 30, kiteTime.Add(-3*time.Hour))...)
	m := newKiteMart()
	m.mustRead(t, server.stream(t))
	server.clock.Advance(time.Hour)
	server.between = func(path string, _ url.Values) (int, string) { return slow(v5) }
	server.queries("")
	err := m.read(t, server.stream(t), martsync.Span{}, nil)
	if martsync.KindOf(err) != martsync.Transient || martsync.HintOf(err) == "" || !strings.Contains(err.Error(), "query kites") {
		t.Fatalf("error: got %v (%v), want a transient one with a hint", err, martsync.KindOf(err))
	}
	queries := server.queries("/api/v5/objects/kites")
	last := queries[len(queries)-1]
	from, _ := time.Parse(time.RFC3339, last.Get("updatedAtAfterOrEqualTo"))
	to, _ := time.Parse(time.RFC3339, last.Get("updatedAtBefore"))
	if last.Get("limit") != "10" || to.Sub(from) > leastWindow || to.Sub(from) <= 0 {
		t.Errorf("last query: got %v, want ten of a minute at most", last)
	}
	// When the vendor has recovered, nothing is missing.
	server.between = nil
	server.change(func(kites []kite) []kite {
		return append(kites, manyKites(100, 5, kiteTime.Add(30*time.Minute))...)
	})
	m.mustRead(t, server.stream(t))
	m.compare(t, server)
}

func TestX17UnknownFieldIsDropped(t *testing.T) {
	server := newKiteServer(t, manyKites(1, 30, kiteTime.Add(-3*time.Hour))...)
	delete(server.fields, "name")
	m := newKiteMart()
	m.mustRead(t, server.stream(t))
	for id, row := range m.table {
		if row.Name != "null" || row.Updated == "null" {
			t.Errorf("kite %d: got %+v, want all but the name", id, row)
		}
	}
	if len(m.table) != 30 {
		t.Errorf("table: got %d rows, want 30", len(m.table))
	}
	want := martsync.Note{Operation: "schema", Message: "kite is not told any more: the vendor refuses the field name"}
	if !slices.Contains(m.notes, want) {
		t.Errorf("notes: got %v, want %v", m.notes, want)
	}
	if n := len(server.queries("/api/v5/objects/kites")); n != 2 {
		t.Errorf("queries: got %d, want the refused one and another", n)
	}

	wished := newKiteMart()
	wished.mustRead(t, server.stream(t, func(s *stream) { s.obj.fields[1].wish = true }))
	if len(wished.table) != 30 || len(wished.notes) != 0 {
		t.Errorf("a field that accounts may lack: got %d rows and notes %v, want 30 and none", len(wished.table), wished.notes)
	}

	// Without an id nothing can be read.
	delete(server.fields, "id")
	err := newKiteMart().read(t, server.stream(t), martsync.Span{}, nil)
	if codeOf(err) != 51 {
		t.Errorf("no id: got %v, want the vendor's refusal", err)
	}
}

func TestX17FilterThatIsNone(t *testing.T) {
	server := newKiteServer(t, manyKites(1, 1500, kiteTime.Add(-40*24*time.Hour))...)
	server.between = func(_ string, q url.Values) (int, string) {
		if q.Has("updatedAtBefore") {
			return http.StatusBadRequest, `{"code":51,"message":"Invalid parameter: Parameter updatedAtBefore is invalid."}`
		}
		return 0, ""
	}
	m := newKiteMart()
	m.mustRead(t, server.stream(t))
	server.clock.Advance(time.Hour)
	server.change(func(kites []kite) []kite {
		kites[3].name = "changed"
		return slices.Delete(kites, 10, 12)
	})
	m.mustRead(t, server.stream(t))
	m.compare(t, server)
	if !slices.ContainsFunc(m.notes, func(n martsync.Note) bool { return n.Operation == "window" }) {
		t.Errorf("notes: got %v, want one about the filter", m.notes)
	}
	if last := m.windows[len(m.windows)-1]; last.Parsed != 1498 {
		t.Errorf("last window: got %d rows, want all 1498", last.Parsed)
	}
}

func TestX18CutAndTokensDoNotMatter(t *testing.T) {
	server := newKiteServer(t, manyKites(1, 4300, kiteTime.Add(-3*time.Hour))...)
	server.chain = 1000 // every page is the last of its sequence
	m := newKiteMart()
	m.mustRead(t, server.stream(t))
	m.compare(t, server)

	server.chain = 0 // every page has a token, which has expired
	m = newKiteMart()
	m.mustRead(t, server.stream(t))
	m.compare(t, server)
	for _, q := range server.queries("/api/v5/") {
		if q.Has("nextPageToken") || q.Has("offset") {
			t.Errorf("query %v: want neither token nor offset", q)
		}
	}
}

func TestRecordsChangeWhilePagesAreRead(t *testing.T) {
	server := newKiteServer(t, manyKites(1, 3000, kiteTime.Add(-3*time.Hour))...)
	m := newKiteMart()
	m.mustRead(t, server.stream(t))
	server.clock.Advance(time.Hour)
	page := 0
	server.between = func(path string, q url.Values) (int, string) {
		server.change(func(kites []kite) []kite {
			page++
			for i := range 200 { // some that have been read, some that have not
				k := &kites[(i*17+page*991)%len(kites)]
				k.updated, k.name = server.clock.Now(), fmt.Sprint("page ", page)
			}
			return append(kites, kite{id: int64(5000 + page), name: "new", updated: server.clock.Now()})
		})
		return 0, ""
	}
	m.mustRead(t, server.stream(t))
	server.between = nil
	server.clock.Advance(time.Hour)
	m.mustRead(t, server.stream(t))
	m.compare(t, server)
}

func TestVendorThatDoesNotSort(t *testing.T) {
	for _, tt := range []struct {
		name, body string
	}{
		{"descending", `{"nextPageToken":"x","values":[{"id":5},{"id":4}]}`},
		{"the same page again", `{"nextPageToken":"x","values":[{"id":1},{"id":1}]}`},
		{"no ids", `{"nextPageToken":"x","values":[{"name":"a"}]}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server := newKiteServer(t)
			server.between = func(path string, _ url.Values) (int, string) { return http.StatusOK, tt.body }
			err := newKiteMart().read(t, server.stream(t), martsync.Span{}, nil)
			if martsync.KindOf(err) != martsync.Data || martsync.HintOf(err) == "" {
				t.Errorf("got %v (%v), want an error of kind data with a hint", err, martsync.KindOf(err))
			}
		})
	}
	// At the end nothing depends on the order.
	server := newKiteServer(t)
	server.between = func(path string, _ url.Values) (int, string) {
		return http.StatusOK, `{"nextPageToken":null,"values":[{"id":5},{"id":4},{"name":"nobody"}]}`
	}
	m := newKiteMart()
	m.mustRead(t, server.stream(t))
	if len(m.table) != 2 || len(m.bad) != 1 || m.bad[0].Column != "id" || m.bad[0].Line != 3 || m.bad[0].Raw != `{"name":"nobody"}` {
		t.Errorf("got %d rows and quarantine %+v, want 2 and the one without an id", len(m.table), m.bad)
	}
}

func TestRowsInQuarantineCount(t *testing.T) {
	server := newKiteServer(t, manyKites(1, 1500, kiteTime.Add(-3*time.Hour))...)
	server.kites[10].raw = `{"id":11,"name":"x","updatedAt":"yesterday"}`
	server.kites[1200].raw = `{"id":1201,"name":{"a":1},"updatedAt":7,"isDeleted":"perhaps"}`
	m := newKiteMart()
	m.mustRead(t, server.stream(t))
	if len(m.table) != 1498 || len(m.bad) != 2 {
		t.Fatalf("got %d rows and %d in quarantine, want 1498 and 2", len(m.table), len(m.bad))
	}
	if b := m.bad[0]; b.Column != "updatedAt" && b.Column != "updated_at" || b.Line != 11 || b.Job != "/kites" {
		t.Errorf("got %+v, want the 11th row of /kites and its column", b)
	}
	if m.bad[1].Line != 1201 {
		t.Errorf("got line %d, want 1201", m.bad[1].Line)
	}
	if w := m.windows[0]; w.Parsed != 1500 || w.Quarantined != 2 {
		t.Errorf("window: got %+v, want 1500 rows and 2 in quarantine", w)
	}
}

func TestX17RecycleBinThatIsNotTold(t *testing.T) {
	server := newKiteServer(t, manyKites(1, 1500, kiteTime.Add(-time.Hour))...)
	server.fields["isDeleted"] = false
	m := newKiteMart()
	m.mustRead(t, server.stream(t))
	m.compare(t, server)
	if !slices.ContainsFunc(m.notes, func(n martsync.Note) bool { return n.Operation == "schema" && strings.Contains(n.Message, "isDeleted") }) {
		t.Errorf("notes %v, want one about isDeleted", m.notes)
	}
	// What goes into the bin is found by the sweep.
	server.change(func(kites []kite) []kite { kites[3].binned = true; return kites })
	server.clock.Advance(30 * time.Hour)
	m.mustRead(t, server.stream(t))
	m.compare(t, server)
}
