package marketo

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func day(s string) second {
	t, ok := parseSecond(s)
	if !ok {
		panic("not a time: " + s)
	}
	return t
}

// cut cuts a range into windows as fill does.
func cut(from, until second, step time.Duration) []window {
	var ws []window
	for from < until {
		w := nextWindow(from, until, step)
		ws = append(ws, w)
		from = w.To
	}
	return ws
}

// acceptable is the vendor's rule: both ends inclusive, at most 31 days apart.
func acceptable(t interface{ Errorf(string, ...any) }, w window) {
	const form = "2006-01-02T15:04:05Z"
	r := w.wire()
	start, err1 := time.Parse(form, r.StartAt)
	end, err2 := time.Parse(form, r.EndAt)
	if err1 != nil || err2 != nil {
		t.Errorf("window %v on the wire: %+v: %v, %v", w, r, err1, err2)
	}
	if d := end.Sub(start); d < 0 || d >= 31*24*time.Hour {
		t.Errorf("window %v on the wire spans %v, want 0 to 31 days less a second", w, d)
	}
	if secondOf(start) != w.From || secondOf(end) != w.To-1 {
		t.Errorf("window %v on the wire is %+v", w, r)
	}
}

func TestE15WindowsTileWithoutGapOrOverlap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		from := second(rapid.Int64Range(0, 4_000_000_000).Draw(t, "from"))
		until := from + second(rapid.Int64Range(1, 400*86_400).Draw(t, "length"))
		step := time.Duration(rapid.Int64Range(-5, int64(40*24*time.Hour)).Draw(t, "step"))
		if until.sub(from)/max(step, time.Second) > 10_000 {
			step = until.sub(from) / 10_000
		}
		at := from
		for _, w := range cut(from, until, step) {
			if w.From != at || w.To <= w.From {
				t.Fatalf("window %v does not follow %v", w, at)
			}
			acceptable(t, w)
			for _, h := range w.halves() {
				acceptable(t, h)
				if h.From != at {
					t.Fatalf("half %v of %v does not follow %v", h, w, at)
				}
				at = h.To
			}
			if at != w.To {
				t.Fatalf("the halves of %v end at %v", w, at)
			}
		}
		if at != until {
			t.Fatalf("the windows end at %v, want %v", at, until)
		}
	})
}

func TestE15WindowsAtTheEdges(t *testing.T) {
	for _, c := range []struct {
		name, from, until string
		want              []dateRange
	}{
		{"one second", "2026-03-01T00:00:00Z", "2026-03-01T00:00:01Z", []dateRange{{"2026-03-01T00:00:00Z", "2026-03-01T00:00:00Z"}}},
		{"31 days", "2026-08-01", "2026-09-01", []dateRange{{"2026-08-01T00:00:00Z", "2026-08-31T23:59:59Z"}}},
		{"leap day", "2024-02-01", "2024-03-05", []dateRange{
			{"2024-02-01T00:00:00Z", "2024-03-02T23:59:59Z"}, {"2024-03-03T00:00:00Z", "2024-03-04T23:59:59Z"},
		}},
		{"spring in the US and in Europe", "2026-03-07", "2026-04-02", []dateRange{{"2026-03-07T00:00:00Z", "2026-04-01T23:59:59Z"}}},
		{"autumn", "2026-10-25", "2026-11-25", []dateRange{{"2026-10-25T00:00:00Z", "2026-11-24T23:59:59Z"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []dateRange
			for _, w := range cut(day(c.from), day(c.until), maxWindow) {
				got = append(got, w.wire())
			}
			if len(got) != len(c.want) {
				t.Fatalf("got %v, want %v", got, c.want)
			}
			for i := range got {
				if got[i] != c.want[i] {
					t.Errorf("window %d: got %v, want %v", i, got[i], c.want[i])
				}
			}
		})
	}
}

func TestHalvesOfASecond(t *testing.T) {
	w := window{From: 7, To: 8}
	if got := w.halves(); len(got) != 1 || got[0] != w {
		t.Errorf("got %v, want the window itself", got)
	}
}

// An activity that becomes visible less than the overlap after its date is read by the first
// full re-reading at the latest, and what is read does not grow with the number of runs.
func TestRereadCatchesLateActivities(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const overlap = 24 * time.Hour
		begin := day("2026-01-01")
		date := begin + second(rapid.Int64Range(0, 10*86_400).Draw(t, "date"))
		late := time.Duration(rapid.Int64Range(0, int64(overlap/time.Second)-1).Draw(t, "late")) * time.Second
		prev, swept := begin, begin
		visible, read := date.add(late), false
		var total, most time.Duration
		for prev < begin.add(20*24*time.Hour) {
			until := prev + second(rapid.Int64Range(60, 40*3600).Draw(t, "pause"))
			start, s := reread(prev, swept, until, overlap, true)
			if start > prev {
				t.Fatalf("a run to %v starts at %v, after the end %v of the last", until, start, prev)
			}
			if date >= start && date < until && visible <= until {
				read = true
			}
			total += until.sub(start)
			most += 2*until.sub(prev) + max(until.sub(prev), rereadLeast)
			prev, swept = until, s
		}
		if !read {
			t.Errorf("the activity of %v, visible at %v, was never read", date, visible)
		}
		if total > most+overlap {
			t.Errorf("%v were read for %v", total, prev.sub(begin))
		}
	})
}

func TestReread(t *testing.T) {
	const overlap = 24 * time.Hour
	monday := day("2026-03-02")
	for _, c := range []struct {
		name        string
		prev, swept second
		until       second
		overlap     time.Duration
		dear        bool
		start, now  second
	}{
		{"hourly, while it is cheap", monday, monday, monday.add(time.Hour), overlap, false, monday.add(-24 * time.Hour), monday.add(time.Hour)},
		{"no overlap", monday, monday, monday.add(time.Hour), 0, true, monday, monday},
		{"nothing new", monday, monday, monday, overlap, true, monday, monday},
		{"nightly", monday, monday, monday.add(24 * time.Hour), overlap, true, monday.add(-24 * time.Hour), monday.add(24 * time.Hour)},
		{"after a week", monday, monday, monday.add(7 * 24 * time.Hour), overlap, true, monday.add(-24 * time.Hour), monday.add(7 * 24 * time.Hour)},
		{"hourly", monday, monday, monday.add(time.Hour), overlap, true, monday.add(-time.Hour), monday},
		{"every minute", monday, monday, monday.add(time.Minute), overlap, true, monday.add(-time.Hour), monday},
		{"six hours later", monday, monday, monday.add(6 * time.Hour), overlap, true, monday.add(-6 * time.Hour), monday},
		{"hourly, a day after the last full one", monday.add(23 * time.Hour), monday, monday.add(24 * time.Hour), overlap, true, monday.add(-24 * time.Hour), monday.add(24 * time.Hour)},
		{"swept unknown", monday, 0, monday.add(time.Hour), overlap, true, monday.add(-time.Hour), monday},
	} {
		t.Run(c.name, func(t *testing.T) {
			start, now := reread(c.prev, c.swept, c.until, c.overlap, c.dear)
			if start != c.start || now != c.now {
				t.Errorf("got %v and %v, want %v and %v", start, now, c.start, c.now)
			}
		})
	}
}

func TestE25DateForms(t *testing.T) {
	want := day("2026-03-02T08:15:04Z")
	for _, s := range []string{
		"2026-03-02T08:15:04Z", "2026-03-02T08:15:04Z+0000", "2026-03-02T08:15:04+0000",
		"2026-03-02T00:15:04-08:00", "2026-03-02 08:15:04", "2026-03-02T08:15:04.000Z",
	} {
		if got, ok := parseSecond(s); !ok || got != want {
			t.Errorf("parseSecond(%q) = %v, %t, want %v", s, got, ok, want)
		}
	}
	if got, ok := parseSecond("2026-03-02"); !ok || got != day("2026-03-02T00:00:00Z") {
		t.Errorf("a date alone: got %v, %t", got, ok)
	}
	for _, s := range []string{"", "null", "yesterday", "1969-12-31T23:59:59Z"} {
		if got, ok := parseSecond(s); ok {
			t.Errorf("parseSecond(%q) = %v, want none", s, got)
		}
	}
}
