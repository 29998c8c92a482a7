package marketo

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/simulate"
	"github.com/martsync/martsync/source/marketo/marketosim"
)

// A tally survives being written, and takes few bytes.
func TestTallyText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c, want := counts{}, map[string]int64{}
		for range rapid.IntRange(1, 80).Draw(t, "counts") {
			typ := rapid.Int64Range(1, 5).Draw(t, "type")
			h := 490_000 + rapid.Int64Range(0, 50).Draw(t, "hour")
			n := rapid.Int64Range(1, 1_000_000).Draw(t, "n")
			c.add(typ, h, n)
			want[fmt.Sprint(typ, "/", h)] += n
		}
		text, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		var back counts
		if err := json.Unmarshal(text, &back); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		got := map[string]int64{}
		back.all(func(typ, h, n int64) { got[fmt.Sprint(typ, "/", h)] = n })
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("counts (-want +got):\n%s", diff)
		}
	})
}

func TestTallyRefusesNonsense(t *testing.T) {
	for _, text := range []string{`"%"`, `""`, `"AQ"`, `"//////////8B"`} {
		if err := json.Unmarshal([]byte(text), new(tally)); err == nil {
			t.Errorf("%s: got no error", text)
		}
	}
}

// E17: what appears late is told from what is new, by the hours that had been read before.
func TestE17LatenessIsMeasured(t *testing.T) {
	noon := day("2026-03-02T12:00:00Z")
	at := int64(noon) / hour
	for _, c := range []struct {
		name     string
		seen     map[int64]int64 // by the run before, which ended at noon and 20 minutes; hours before noon
		from     second          // where the run that ended two hours later began
		now      map[int64]int64
		want     int64 // hours
		overlap  time.Duration
		blur, of bool
	}{
		{"nothing late", map[int64]int64{3: 10, 2: 10}, noon.add(-6 * time.Hour), map[int64]int64{3: 10, 2: 10, -1: 7}, 0, lateLeast, false, false},
		{"two hours back", map[int64]int64{3: 10, 2: 10}, noon.add(-6 * time.Hour), map[int64]int64{3: 10, 2: 11}, 4, 8 * time.Hour, false, false},
		{"a day back", map[int64]int64{20: 10}, noon.add(-30 * time.Hour), map[int64]int64{20: 10, 21: 1}, 24, 48 * time.Hour, false, false},
		{"no more than may be", map[int64]int64{}, noon.add(-47 * time.Hour), map[int64]int64{40: 1}, 48, lateMost, false, false},
		{"the hour that had not ended", map[int64]int64{0: 1}, noon.add(-6 * time.Hour), map[int64]int64{0: 100}, 0, lateLeast, false, false},
		{"an hour that was read in part", map[int64]int64{6: 1}, noon.add(-6*time.Hour + time.Minute), map[int64]int64{6: 100}, 0, lateLeast, false, false},
		{"fewer than before", map[int64]int64{3: 10}, noon.add(-6 * time.Hour), map[int64]int64{3: 1}, 0, lateLeast, false, false},
		{"read twice", map[int64]int64{3: 10}, noon.add(-6 * time.Hour), map[int64]int64{3: 20}, 0, lateLeast, true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := newLateness(noon.add(-20 * 24 * time.Hour))
			l.Runs, l.Probed = lateRuns, noon
			l.Known, l.From, l.Seen, l.Now, l.Blur = noon.add(20*time.Minute), c.from, counts{}, counts{}, c.blur
			for back, n := range c.seen {
				l.Seen.add(6, at-back, n)
			}
			for back, n := range c.now {
				l.Now.add(6, at-back, n)
			}
			if got := l.settle(noon.add(2 * time.Hour)); got != c.want {
				t.Errorf("deeper than before by %d h, want %d", got, c.want)
			}
			if got, probe := l.overlap(noon.add(2*time.Hour), lateMost); got != c.overlap || probe {
				t.Errorf("the next run goes back %s (probe: %t), want %s", got, probe, c.overlap)
			}
		})
	}
}

// What has been found counts for a month or two, and a probe comes more seldom with time.
func TestE17LatenessIsForgotten(t *testing.T) {
	begin := day("2026-01-01")
	l := newLateness(begin)
	l.Runs = lateRuns
	l.Recent = map[int64]*histogram{6: {0, 0, 0, 0, 3}}
	probes := 0
	for n := second(1); n <= 70; n++ {
		now := begin.add(time.Duration(n) * 24 * time.Hour)
		l.From, l.Now = now.add(-40*time.Hour), counts{}
		l.settle(now)
		back, probe := l.overlap(now, lateMost)
		if probe {
			probes++
			l.Probed = now
		}
		want := 32 * time.Hour
		switch {
		case n < 7:
			want = defaultOverlap
		case probe:
			want = lateMost
		case n >= 60:
			want = lateLeast
		}
		if back != want {
			t.Fatalf("day %d: a run goes back %s, want %s", n, back, want)
		}
	}
	if probes < 4 || probes > 6 {
		t.Errorf("%d probes in 70 days, want about 5", probes)
	}
}

// season lets weeks go by, with a sync a day, and returns how much was read in the last of them for a second that passed.
func season(a *account, m *mart, days int) float64 {
	a.t.Helper()
	a.sync(m)
	before := 0
	for n := range days {
		for range 6 {
			for range 2 {
				a.sim.Change(9) // of so few none is made late by the simulator itself
			}
			a.clock.Advance(4*time.Hour + 7*time.Minute)
		}
		if n == days-14 {
			before = len(m.windows)
		}
		a.sync(m)
	}
	var read time.Duration
	for _, w := range m.windows[before:] {
		read += w.To.Sub(w.From)
	}
	return read.Hours() / (14 * 6 * (4*time.Hour + 7*time.Minute)).Hours()
}

func lateOf(t *testing.T, m *mart) *lateness {
	t.Helper()
	p, err := parsePosition("activities", m.committed)
	if err != nil {
		t.Fatal(err)
	}
	if m.saved != "" {
		if p, err = parsePosition("activities", m.saved); err != nil {
			t.Fatal(err)
		}
	}
	return p.Parts["activities"].Late
}

// E17: types are late by very different times, and nothing is lost; by export job and page by page.
func TestE17LateTypesLoseNothing(t *testing.T) {
	for name, mode := range map[string]func(*Config){"bulk": byBulk, "rest": byRest} {
		t.Run(name, func(t *testing.T) {
			a := newAccount(t, marketosim.Config{
				LateTypes: marketosim.LateTypes{12: 3 * time.Hour, 13: 20 * time.Hour, 1: 40 * time.Minute},
				Options:   simulate.Options{Rows: 30}, PerLead: 4,
			})
			a.tweak = mode
			m := a.mart("activities")
			season(a, m, 15)
			a.clock.Advance(24 * time.Hour)
			a.sync(m)
			a.check(m)
			l := lateOf(t, m)
			back, _ := l.overlap(secondOf(a.clock.Now()), 0)
			if back < 24*time.Hour || !strings.Contains(l.String(), "type 13 up to") {
				t.Errorf("runs go back %s for %s, want a day at least, for type 13", back, l)
			}
		})
	}
}

// E17: an account in which nothing is late is not read twice over; the configuration may say otherwise.
func TestE17QuietAccountReadsLittleAgain(t *testing.T) {
	quiet := func(t *testing.T, more func(*Config)) float64 {
		a := newAccount(t, marketosim.Config{Options: simulate.Options{Rows: 30}, PerLead: 4})
		a.tweak = func(c *Config) {
			byBulk(c)
			more(c)
		}
		m := a.mart("activities")
		share := season(a, m, 22)
		a.check(m)
		return share
	}
	if got := quiet(t, func(*Config) {}); got > 1.45 {
		t.Errorf("read %.2f seconds for each that passed, want 1.17 and a probe a week", got)
	}
	if got := quiet(t, func(c *Config) { c.Activities.Overlap = 1 << 46 /* 19 h 32 min */ }); got < 1.7 || got > 1.9 {
		t.Errorf("with an overlap of the configuration: read %.2f seconds for each that passed, want 1.8", got)
	}
}

// E17: types become late after weeks in which none was. A probe finds out, and what was passed over is read again.
func TestE17LatenessThatBegins(t *testing.T) {
	begin := time.Date(2026, 3, 16, 9, 30, 0, 0, time.UTC)
	a := newAccount(t, marketosim.Config{
		LateTypes: marketosim.LateTypes{13: 30 * time.Hour, 12: 30 * time.Hour}, LateFrom: begin.Add(16 * 24 * time.Hour),
		Options: simulate.Options{Rows: 30}, PerLead: 4,
	})
	a.tweak = byBulk
	m := a.mart("activities")
	season(a, m, 32)
	a.clock.Advance(48 * time.Hour)
	a.sync(m)
	a.check(m)
	if notes := strings.Join(m.notes, "\n"); !strings.Contains(notes, "is read again") || strings.Count(notes, "lateness:") > 8 {
		t.Errorf("notes about lateness, want a few, and one of what is read again:\n%s", notes)
	}
}

// E17: the counts that lateness is measured by are right whatever dies meanwhile.
func TestE17CountsSurviveKills(t *testing.T) {
	for name, mode := range map[string]func(*Config){"bulk": byBulk, "rest": byRest} {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(3) {
				r := rand.New(rand.NewPCG(seed, 17)) //nolint:gosec // cases, not secrets
				a := newAccount(t, marketosim.Config{
					LateTypes: marketosim.LateTypes{13: 9 * time.Hour}, Options: simulate.Options{Rows: 40, Seed: seed}, ActivitySpan: 3 * 24 * time.Hour,
				})
				a.tweak, a.every = mode, 900
				m := a.mart("activities")
				every := 2 + r.IntN(8)
				for range 1 + r.IntN(3) {
					calls := 0
					kill := func() bool { calls++; return calls%every == 0 && calls < 40*every }
					for tries := 0; ; tries++ {
						err := a.try(m, a.open(), martsync.Span{}, kill)
						if err == nil {
							break
						}
						if tries > 400 {
							t.Fatalf("no end: %v", err)
						}
					}
					a.sim.Change(9)
					a.clock.Advance(7 * time.Hour)
				}
				l := lateOf(t, m)
				from, _ := l.whole()
				want, got := map[string]int64{}, map[string]int64{}
				for _, row := range m.rows {
					h := row.values["activityDate"].(time.Time).Unix() / hour
					if h >= from && h >= horizon(secondOf(a.clock.Now().Add(-7*time.Hour-visibleAfter))) {
						want[fmt.Sprint(row.values["activityTypeId"], "/", h)]++
					}
				}
				l.Now.all(func(typ, h, n int64) {
					if h >= from {
						got[fmt.Sprint(typ, "/", h)] = n
					}
				})
				if diff := cmp.Diff(want, got); diff != "" {
					t.Fatalf("seed %d: counts (-want +got):\n%s", seed, diff)
				}
			}
		})
	}
}
