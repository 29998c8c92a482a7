package pardot

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/pipeline"
	"github.com/martsync/martsync/simulate"
)

func TestReadGoesOnAtEveryCursor(t *testing.T) {
	for _, v := range []struct {
		name   string
		change func(*stream)
	}{
		{"version 5", func(*stream) {}},
		{"version 4", byV4},
		{"version 5, listed whole", func(s *stream) { s.obj.v5.since = "" }},
		{"version 4, listed whole", func(s *stream) { byV4(s); s.obj.v4.since = "" }},
	} {
		t.Run(v.name, func(t *testing.T) {
			server := newKiteServer(t, manyKites(1, 1250, kiteTime.Add(-72*time.Hour))...)
			for i := range 400 {
				server.kites[3*i].binned = true
			}
			server.kites[20].raw = `{"id":21,"updatedAt":"x","updated_at":"x"}`
			want := newKiteMart()
			want.mustRead(t, server.stream(t, v.change))
			for stopAt := range want.batches {
				m, n := newKiteMart(), 0
				if err := m.read(t, server.stream(t, v.change), martsync.Span{}, func(martsync.Batch) bool { n++; return n > stopAt }); err != nil {
					t.Fatal(err)
				}
				if len(m.windows) == 0 { // a listing that has ended would begin anew
					m.mustRead(t, server.stream(t, v.change))
				}
				if d := cmp.Diff(want.table, m.table); d != "" {
					t.Fatalf("left after batch %d of %d: -whole +resumed\n%s", stopAt+1, want.batches, d)
				}
				if d := cmp.Diff(want.windows, m.windows); d != "" {
					t.Errorf("left after batch %d: windows -whole +resumed\n%s", stopAt+1, d)
				}
			}
		})
	}
}

func TestReadEndsWithItsContext(t *testing.T) {
	server := newKiteServer(t, manyKites(1, 3000, kiteTime.Add(-72*time.Hour))...)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	batches, failed := 0, false
	for b, err := range server.stream(t).Read(ctx, "", martsync.Span{}) {
		if err != nil {
			failed = true
			if martsync.KindOf(err) != martsync.Transient || b.Cursor != "" {
				t.Errorf("got %v with %+v, want a transient error alone", err, b)
			}
			continue
		}
		batches++
		cancel()
	}
	if batches != 1 || !failed {
		t.Errorf("got %d batches and an error: %v; want 1 and one", batches, failed)
	}
}

func TestFirstReadIsUnboundedUnlessAsked(t *testing.T) {
	old := kiteTime.Add(-3000 * 24 * time.Hour)
	for _, tt := range []struct {
		name     string
		span     martsync.Span
		start    time.Time // of the configuration
		filtered bool
		rows     int
		from, to time.Time
	}{
		{name: "everything", rows: 4, to: kiteTime.Add(-settled)},
		{name: "start", start: kiteTime.Add(-10 * time.Hour), filtered: true, rows: 2, from: kiteTime.Add(-10 * time.Hour), to: kiteTime.Add(-settled)},
		{
			name: "the sync's start wins", span: martsync.Span{Start: kiteTime.Add(-time.Hour)}, start: kiteTime.Add(-10 * time.Hour),
			filtered: true, rows: 1, from: kiteTime.Add(-time.Hour), to: kiteTime.Add(-settled),
		},
		{name: "end", span: martsync.Span{End: kiteTime.Add(-5 * time.Hour)}, filtered: true, rows: 2, to: kiteTime.Add(-5 * time.Hour)},
		{
			name: "both", span: martsync.Span{Start: kiteTime.Add(-10 * time.Hour), End: kiteTime.Add(-5 * time.Hour)},
			filtered: true, rows: 1, from: kiteTime.Add(-10 * time.Hour), to: kiteTime.Add(-5 * time.Hour),
		},
	} {
		for name, change := range map[string]func(*stream){"version 5": func(*stream) {}, "version 4": byV4} {
			t.Run(tt.name+", "+name, func(t *testing.T) {
				server := newKiteServer(t,
					kite{id: 1, name: "no time"}, kite{id: 2, name: "old", updated: old},
					kite{id: 3, name: "edge", updated: kiteTime.Add(-10 * time.Hour)}, kite{id: 4, name: "new", updated: kiteTime.Add(-time.Hour)},
				)
				m := newKiteMart()
				s := server.stream(t, change, func(s *stream) { s.src.cfg.Start.Time = tt.start })
				if err := m.read(t, s, tt.span, nil); err != nil {
					t.Fatal(err)
				}
				// A range has no records without a time.
				if len(m.table) != tt.rows {
					t.Errorf("rows: got %v, want %d", m.table, tt.rows)
				}
				if w := m.windows[0]; !w.From.Equal(tt.from) || !w.To.Equal(tt.to) {
					t.Errorf("window: got %v to %v, want %v to %v", w.From, w.To, tt.from, tt.to)
				}
				for _, q := range server.queries("/api/") {
					if got := q.Has("updatedAtBefore") || q.Has("updated_before"); got != tt.filtered {
						t.Errorf("query %v: filtered %v, want %v", q, got, tt.filtered)
					}
				}
			})
		}
	}
}

func TestX21FieldsAppearInMidRun(t *testing.T) {
	server := newKiteServer(t, manyKites(1, 50, kiteTime.Add(-300*time.Hour))...)
	plain := func(s *stream) {
		s.obj.fields = slices.Delete(slices.Clone(s.obj.fields), 1, 2) // the account has no names yet
		s.plan.overlap = time.Hour
	}
	short := func(s *stream) { s.plan.overlap = time.Hour }
	m := newKiteMart()
	old := server.stream(t, plain)
	var cursor martsync.Cursor
	follow := func(s *stream) (records int) {
		t.Helper()
		for b, err := range s.Read(t.Context(), cursor, martsync.Span{}) {
			if err != nil {
				t.Fatal(err)
			}
			if b.Cursor != "" {
				cursor = b.Cursor
			}
			if b.Records != nil {
				records += b.Records.Len
			}
		}
		return records
	}
	if n := follow(old); n != 50 {
		t.Fatalf("first read: %d rows, want 50", n)
	}
	// A process that runs for days does not know of the names that somebody adds meanwhile.
	server.clock.Advance(30 * time.Hour)
	server.change(func(kites []kite) []kite {
		for i := range 10 {
			kites[i].name, kites[i].updated = fmt.Sprint("named ", i), kiteTime.Add(2*time.Hour)
		}
		return kites
	})
	if n := follow(old); n != 10 {
		t.Fatalf("second read: %d rows, want 10", n)
	}
	server.clock.Advance(24 * time.Hour)
	// The next one does, and goes back to when it was certain that there were none.
	m.cursors = []martsync.Cursor{cursor}
	m.mustRead(t, server.stream(t, short))
	for id := int64(1); id <= 10; id++ {
		if got, want := m.table[id].Name, fmt.Sprint("named ", id-1); got != want {
			t.Errorf("kite %d: got %q, want %q", id, got, want)
		}
	}
	if w := m.windows[0]; w.From.After(kiteTime) || w.From.Before(kiteTime.Add(-4*time.Hour)) {
		t.Errorf("window: got %v to %v, want one from about %v", w.From, w.To, kiteTime)
	}
	// It is not done twice.
	server.clock.Advance(time.Hour)
	m.mustRead(t, server.stream(t, short))
	if w := m.windows[1]; w.From.Before(kiteTime.Add(50 * time.Hour)) {
		t.Errorf("window: got %v to %v, want one of the last hours", w.From, w.To)
	}
}

func TestX21WithinAWindow(t *testing.T) {
	server := newKiteServer(t, manyKites(1, 3000, kiteTime.Add(-300*time.Hour))...)
	plain := func(s *stream) { s.obj.fields = slices.Delete(slices.Clone(s.obj.fields), 1, 2) }
	var cursor martsync.Cursor
	for b, err := range server.stream(t, plain).Read(t.Context(), "", martsync.Span{}) {
		if err != nil {
			t.Fatal(err)
		}
		cursor = b.Cursor
		break // the first thousand, without names
	}
	server.clock.Advance(time.Hour)
	server.change(func(kites []kite) []kite {
		kites[5].updated = kiteTime.Add(10 * time.Minute) // a name is given to one that was read
		return kites
	})
	m := newKiteMart()
	m.cursors = []martsync.Cursor{cursor}
	m.written = 1000
	m.mustRead(t, server.stream(t))
	if got := m.table[6].Name; got != "kite 6" {
		t.Errorf("kite 6: got %q, want its name", got)
	}
	if len(m.windows) != 2 {
		t.Errorf("windows: got %d, want the one under way and another", len(m.windows))
	}
}

func TestConfigurationChangesInMidWindow(t *testing.T) {
	listed := func(s *stream) { s.obj.v5.since, s.obj.v4.since = "", "" }
	for _, tt := range []struct {
		name          string
		before, after func(*stream)
	}{
		{"version 4 to 5", byV4, func(*stream) {}},
		{"version 5 to 4", func(*stream) {}, byV4},
		{"ranges to listings", func(*stream) {}, listed},
		{"listings to ranges", listed, func(*stream) {}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server := newKiteServer(t, manyKites(1, 1500, kiteTime.Add(-300*time.Hour))...)
			for i := range 300 {
				server.kites[5*i].binned = true
			}
			for _, stopAt := range []int{1, 2, 5, 8} {
				m, n := newKiteMart(), 0
				if err := m.read(t, server.stream(t, tt.before), martsync.Span{}, func(martsync.Batch) bool { n++; return n == stopAt }); err != nil {
					t.Fatal(err)
				}
				m.mustRead(t, server.stream(t, tt.after))
				m.compare(t, server)
			}
		})
	}
}

func TestListingsKeepTheirDistance(t *testing.T) {
	server := newKiteServer(t, manyKites(1, 1500, kiteTime.Add(-300*time.Hour))...)
	daily := func(s *stream) { s.obj.v5.since, s.plan.every = "", 24*time.Hour }
	m := newKiteMart()
	m.mustRead(t, server.stream(t, daily))
	m.compare(t, server)
	server.change(func(kites []kite) []kite { return slices.Delete(kites, 700, 1300) })
	server.clock.Advance(23 * time.Hour)
	server.queries("")
	m.mustRead(t, server.stream(t, daily))
	if n := len(server.queries("/api/")); n != 0 {
		t.Errorf("%d calls after 23 hours, want none", n)
	}
	server.clock.Advance(time.Hour)
	m.mustRead(t, server.stream(t, daily))
	m.compare(t, server)
	if w := m.windows[1]; !w.From.IsZero() || !w.To.IsZero() || w.Parsed != 900 || w.Calls != 1 {
		t.Errorf("window: got %+v, want a listing of 900 rows by one call", w)
	}
}

func TestLedgerTellsWhatWasAskedFor(t *testing.T) {
	server := newKiteServer(t, manyKites(1, 10, kiteTime.Add(-3*time.Hour))...)
	for name, tt := range map[string]struct {
		change func(*stream)
		want   string
	}{
		"version 5": {func(*stream) {}, `{"deleted":"all","query":"kites","updatedAtAfterOrEqualTo":"2026-03-17T16:28:00+00:00","updatedAtBefore":"2026-03-18T17:28:00+00:00","version":"v5"}`},
		"version 4": {byV4, `{"deleted":"false, true","output":"bulk","query":"kite","updated_after":"2026-03-17 16:27:59","updated_before":"2026-03-18 17:28:00","version":"v4"}`},
	} {
		t.Run(name, func(t *testing.T) {
			server.clock = simulate.NewClock(kiteTime)
			m := newKiteMart()
			m.mustRead(t, server.stream(t, tt.change))
			server.clock.Advance(time.Hour)
			m.mustRead(t, server.stream(t, tt.change))
			if got := m.windows[1].Filter; got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func TestOnlyTheKindsWanted(t *testing.T) {
	server := newKiteServer(t)
	for i, kind := range []string{"form", "form-handler", "list"} {
		server.kites = append(server.kites, kite{id: int64(i + 1), raw: fmt.Sprintf(`{"id":%d,"objectType":%q,"updatedAt":"2026-03-01T00:00:00+00:00"}`, i+1, kind)})
	}
	m := newKiteMart()
	m.mustRead(t, server.stream(t, func(s *stream) { s.plan.types = []string{"form-handler", "list"} }))
	if _, form := m.table[1]; form || len(m.table) != 2 || m.windows[0].Parsed != 2 {
		t.Errorf("got %v, want the kinds that are wanted", m.table)
	}
}

func TestLongReadsDoNotChaseThePresent(t *testing.T) {
	for _, tt := range []struct {
		name string
		wait time.Duration // in the middle of a series, which another process then goes on with
		want int           // windows in all
	}{
		{"calls take their time", 0, 1},
		{"an hour of waiting", time.Hour, 1},
		{"a day of waiting", 24 * time.Hour, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server := newKiteServer(t, manyKites(1, 3500, kiteTime.Add(-72*time.Hour))...)
			server.between = func(string, url.Values) (int, string) {
				server.clock.Advance(3 * time.Minute)
				return 0, ""
			}
			m := newKiteMart()
			if tt.wait > 0 {
				if err := m.read(t, server.stream(t), martsync.Span{}, func(martsync.Batch) bool { return true }); err != nil {
					t.Fatal(err)
				}
				server.clock.Advance(tt.wait)
			}
			m.mustRead(t, server.stream(t))
			m.compare(t, server)
			if len(m.windows) != tt.want {
				t.Errorf("windows: got %d, want %d", len(m.windows), tt.want)
			}
		})
	}
}

func TestExportsThatAreRefusedBecomeQueries(t *testing.T) {
	for name, start := range map[string]time.Time{
		"everything": {}, "from a start": kiteTime.Add(-500 * 24 * time.Hour), "from before the account": time.Date(2010, 1, 1, 0, 0, 0, 0, time.UTC),
		"from an empty table": pipeline.EmptyStart,
	} {
		t.Run(name, func(t *testing.T) {
			server := newKiteServer(t, manyKites(1, 1200, kiteTime.Add(-400*24*time.Hour))...)
			server.kites = append(server.kites, manyKites(5000, 3, kiteTime.Add(-time.Hour))...)
			server.kites = append(server.kites, kite{id: 9000, name: "older than the account", updated: kiteTime.Add(-5000 * 24 * time.Hour)})
			server.between = func(path string, _ url.Values) (int, string) {
				if strings.HasPrefix(path, "/api/export/") {
					return http.StatusOK, `{"@attributes":{"stat":"fail","version":1,"err_code":46},"err":"User lacks the ability"}`
				}
				return 0, ""
			}
			m := newKiteMart()
			m.mustRead(t, server.stream(t, func(s *stream) {
				s.plan.read, s.plan.exports, s.src.cfg.Start.Time = byAuto, v4, start
				s.obj.export = &exportObject{v4: "kite", procedures: []procedure{byUpdate}, auto: true}
			}))
			want := 2 // one of them before the account was created
			switch {
			case start.Year() < 2007:
				start = time.Time{}
			case start.Year() > 2023:
				want = 1
			}
			server.kites = slices.DeleteFunc(server.kites, func(k kite) bool { return k.updated.Before(start) })
			m.compare(t, server)
			if len(m.windows) != want || !m.windows[0].From.Equal(start) || !slices.ContainsFunc(m.notes, func(n martsync.Note) bool { return n.Operation == "export" }) {
				t.Errorf("windows %+v and notes %v: want %d windows from %v and a note", m.windows, m.notes, want, start)
			}
		})
	}
}

func TestAccountThatMayNotBeSeenCanBeExported(t *testing.T) {
	server := newKiteServer(t, manyKites(1, 1200, kiteTime.Add(-400*24*time.Hour))...)
	server.between = func(path string, _ url.Values) (int, string) {
		switch {
		case path == "/api/v5/objects/account":
			return http.StatusForbidden, `{"code":46,"message":"User lacks the ability"}`
		case strings.HasPrefix(path, "/api/export/"):
			return http.StatusOK, `{"@attributes":{"stat":"fail","version":1,"err_code":46},"err":"User lacks the ability"}`
		}
		return 0, ""
	}
	m := newKiteMart()
	m.mustRead(t, server.stream(t, func(s *stream) {
		s.plan.read, s.plan.exports = byAuto, v4
		s.obj.export = &exportObject{v4: "kite", procedures: []procedure{byUpdate}, auto: true}
	}))
	m.compare(t, server)
}

func TestPositionOfAStartBeforeEverythingIsUnderstood(t *testing.T) {
	server := newKiteServer(t, manyKites(1, 2500, kiteTime.Add(-400*24*time.Hour))...)
	m := newKiteMart()
	span := martsync.Span{Start: pipeline.EmptyStart}
	if err := m.read(t, server.stream(t), span, func(martsync.Batch) bool { return true }); err != nil {
		t.Fatal(err)
	}
	if err := m.read(t, server.stream(t), span, nil); err != nil {
		t.Fatalf("from %s: %v", m.last(), err)
	}
	m.compare(t, server)
}
