package pardot

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/rows"
)

func mustZone(t testing.TB, name string) *zone {
	t.Helper()
	loc, err := loadZone(name)
	if err != nil {
		t.Fatal(err)
	}
	return &zone{loc: loc}
}

// utc parses a naive time as UTC.
func utc(t testing.TB, text string) time.Time {
	t.Helper()
	at, err := time.Parse(naive, text)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func TestX07Instant(t *testing.T) {
	for _, tc := range []struct{ zone, name, wall, want string }{
		{"America/New_York", "winter", "2025-01-15 12:00:00", "2025-01-15 17:00:00"},
		{"America/New_York", "summer", "2025-07-15 12:00:00", "2025-07-15 16:00:00"},
		{"America/New_York", "last second before spring", "2025-03-09 01:59:59", "2025-03-09 06:59:59"},
		{"America/New_York", "in the hour that is skipped", "2025-03-09 02:30:00", "2025-03-09 07:30:00"},
		{"America/New_York", "first second of summer", "2025-03-09 03:00:00", "2025-03-09 07:00:00"},
		{"America/New_York", "last second before the hour that comes twice", "2025-11-02 00:59:59", "2025-11-02 04:59:59"},
		{"America/New_York", "first second of it", "2025-11-02 01:00:00", "2025-11-02 05:00:00"},
		{"America/New_York", "within it", "2025-11-02 01:30:00", "2025-11-02 05:30:00"},
		{"America/New_York", "last second of it", "2025-11-02 01:59:59", "2025-11-02 05:59:59"},
		{"America/New_York", "after it", "2025-11-02 02:00:00", "2025-11-02 07:00:00"},
		{"Europe/Berlin", "winter", "2025-12-31 23:59:59", "2025-12-31 22:59:59"},
		{"Europe/Berlin", "skipped", "2025-03-30 02:15:00", "2025-03-30 01:15:00"},
		{"Europe/Berlin", "twice", "2025-10-26 02:15:00", "2025-10-26 00:15:00"},
		{"Europe/Berlin", "after", "2025-10-26 03:00:00", "2025-10-26 02:00:00"},
		{"Australia/Sydney", "summer in January", "2025-01-15 12:00:00", "2025-01-15 01:00:00"},
		{"Australia/Sydney", "twice", "2025-04-06 02:30:00", "2025-04-05 15:30:00"},
		{"Australia/Sydney", "skipped", "2025-10-05 02:30:00", "2025-10-04 16:30:00"},
		{"Australia/Lord_Howe", "half an hour twice", "2025-04-06 01:45:00", "2025-04-05 14:45:00"},
		{"Australia/Lord_Howe", "half an hour skipped", "2025-10-05 02:15:00", "2025-10-04 15:45:00"},
		{"Asia/Kolkata", "no summer", "2025-07-15 12:00:00", "2025-07-15 06:30:00"},
		{"Asia/Tokyo", "no summer", "2025-07-15 12:00:00", "2025-07-15 03:00:00"},
		{"UTC", "none", "2025-07-15 12:00:00", "2025-07-15 12:00:00"},
		{"America/Sao_Paulo", "before it gave summers up", "2018-11-04 00:30:00", "2018-11-04 03:30:00"},
		{"America/Sao_Paulo", "after it did", "2024-12-01 12:00:00", "2024-12-01 15:00:00"},
		{"Africa/Cairo", "midnight is skipped", "2025-04-25 00:00:00", "2025-04-24 22:00:00"},
		{"America/New_York", "long ago", "1970-01-01 00:00:00", "1970-01-01 05:00:00"},
		{"America/New_York", "a far summer", "2099-07-01 00:00:00", "2099-07-01 04:00:00"},
	} {
		if got := mustZone(t, tc.zone).instant(utc(t, tc.wall)); got.Format(naive) != tc.want {
			t.Errorf("%s, %s: %s is %s, want %s", tc.zone, tc.name, tc.wall, got.Format(naive), tc.want)
		}
	}
}

func TestX07Bounds(t *testing.T) {
	for _, tc := range []struct{ zone, name, at, after, before string }{
		{"America/New_York", "winter", "2025-01-15 17:00:00", "2025-01-15 11:59:59", "2025-01-15 12:00:00"},
		{"America/New_York", "summer", "2025-07-15 16:00:00", "2025-07-15 11:59:59", "2025-07-15 12:00:00"},
		{"America/New_York", "first second of summer", "2025-03-09 07:00:00", "2025-03-09 01:59:59", "2025-03-09 03:00:00"},
		{"America/New_York", "second later", "2025-03-09 07:00:01", "2025-03-09 03:00:00", "2025-03-09 03:00:01"},
		{"America/New_York", "beginning of the first of the two hours", "2025-11-02 05:00:00", "2025-11-02 00:59:59", "2025-11-02 02:00:00"},
		{"America/New_York", "within the first", "2025-11-02 05:30:00", "2025-11-02 00:59:59", "2025-11-02 02:00:00"},
		{"America/New_York", "beginning of the second", "2025-11-02 06:00:00", "2025-11-02 00:59:59", "2025-11-02 02:00:00"},
		{"America/New_York", "within the second", "2025-11-02 06:30:00", "2025-11-02 00:59:59", "2025-11-02 02:00:00"},
		{"America/New_York", "end of the second", "2025-11-02 07:00:00", "2025-11-02 00:59:59", "2025-11-02 02:00:00"},
		{"America/New_York", "second later", "2025-11-02 07:00:01", "2025-11-02 02:00:00", "2025-11-02 02:00:01"},
		{"Australia/Lord_Howe", "within the second half hour", "2025-04-05 15:10:00", "2025-04-06 01:29:59", "2025-04-06 02:00:00"},
		{"Asia/Kolkata", "half an hour off", "2025-01-15 00:00:00", "2025-01-15 05:29:59", "2025-01-15 05:30:00"},
		{"UTC", "midnight", "2025-01-15 00:00:00", "2025-01-14 23:59:59", "2025-01-15 00:00:00"},
	} {
		z, at := mustZone(t, tc.zone), utc(t, tc.at)
		if after, before := z.after(at), z.before(at); after != tc.after || before != tc.before {
			t.Errorf("%s, %s: %s is after %q and before %q, want %q and %q", tc.zone, tc.name, tc.at, after, before, tc.after, tc.before)
		}
	}
	// Fractions of a second lose nothing.
	z, at := mustZone(t, "UTC"), utc(t, "2025-01-15 00:00:00").Add(time.Millisecond)
	if after, before := z.after(at), z.before(at); after != "2025-01-14 23:59:59" || before != "2025-01-15 00:00:01" {
		t.Errorf("fractions: after %q and before %q", after, before)
	}
}

var someZones = []string{
	"America/New_York", "America/Los_Angeles", "America/St_Johns", "America/Sao_Paulo", "America/Havana", "Europe/Berlin", "Europe/London",
	"Europe/Moscow", "Africa/Cairo", "Africa/Casablanca", "Asia/Kolkata", "Asia/Tehran", "Asia/Tokyo", "Asia/Beirut", "Australia/Sydney",
	"Australia/Lord_Howe", "Pacific/Auckland", "Pacific/Apia", "Pacific/Chatham", "UTC",
}

// TestX07NoInstantIsLost compares with the library's own tables, second by second around every
// change of the clocks.
func TestX07NoInstantIsLost(t *testing.T) {
	for _, name := range someZones {
		z := mustZone(t, name)
		rapid.Check(t, func(t *rapid.T) {
			// Near a change or anywhere.
			var at time.Time
			if shifts := z.table(); len(shifts) > 0 && rapid.Bool().Draw(t, "near a change") {
				s := shifts[rapid.IntRange(0, len(shifts)-1).Draw(t, "shift")]
				at = time.Unix(s.at+int64(rapid.IntRange(-3*3600, 3*3600).Draw(t, "seconds")), 0)
			} else {
				at = time.Unix(rapid.Int64Range(firstShift.Unix(), lastShift.Unix()-366*24*3600).Draw(t, "at"), 0)
			}
			wall := at.In(z.loc).Format(naive)
			parsed, _ := time.Parse(naive, wall)
			got := z.instant(parsed)
			// What clocks showed reads as the instant, or as the earlier one of two.
			if shown := got.In(z.loc).Format(naive); shown != wall || got.After(at) || at.Sub(got) > 24*time.Hour {
				t.Fatalf("%s: clocks at %s show %s, which reads as %s (%s)", name, at.UTC(), wall, got, shown)
			}
			// Whichever of two instants the vendor takes a bound for, it is outside the row's time.
			for _, which := range []func(time.Time) time.Time{z.instant, func(w time.Time) time.Time { return later(z, w) }} {
				after, _ := time.Parse(naive, z.after(at))
				before, _ := time.Parse(naive, z.before(at.Add(time.Second)))
				if a, b := which(after), which(before); !a.Before(at) || !b.After(at) {
					t.Fatalf("%s: a row of %s is not within (%s, %s)", name, at.UTC(), a, b)
				}
				if a, b := which(after), which(before); at.Sub(a) > 3*time.Hour && at.Sub(a) > 25*time.Hour || b.Sub(at) > 25*time.Hour {
					t.Fatalf("%s: bounds (%s, %s) are far from %s", name, a, b, at.UTC())
				}
			}
			// A vendor that compares what clocks show finds the row too.
			if a, b := z.after(at), z.before(at.Add(time.Second)); a >= wall || wall >= b {
				t.Fatalf("%s: clocks show %s, which is not within (%s, %s)", name, wall, a, b)
			}
		})
	}
}

// later is the last instant at which clocks show wall.
func later(z *zone, wall time.Time) time.Time {
	got := z.instant(wall)
	for _, s := range z.table() {
		if t := wall.Add(-time.Duration(s.after) * time.Second); t.After(got) && t.In(z.loc).Format(naive) == wall.Format(naive) {
			got = t
		}
	}
	return got
}

func TestX07Midnight(t *testing.T) {
	for _, tc := range []struct{ zone, now, want string }{
		{"America/New_York", "2025-01-15 12:00:00", "2025-01-16 05:00:00"},
		{"America/New_York", "2025-01-15 04:59:59", "2025-01-15 05:00:00"},
		{"America/New_York", "2025-01-15 05:00:00", "2025-01-16 05:00:00"},
		{"America/New_York", "2025-03-09 12:00:00", "2025-03-10 04:00:00"},
		{"Africa/Cairo", "2025-04-24 12:00:00", "2025-04-24 22:00:00"},   // the day begins at 1
		{"America/Havana", "2025-11-01 12:00:00", "2025-11-02 04:00:00"}, // midnight comes twice
		{"Asia/Tokyo", "2025-06-01 15:30:00", "2025-06-02 15:00:00"},
	} {
		if got := mustZone(t, tc.zone).midnight(utc(t, tc.now), 1); got.Format(naive) != tc.want {
			t.Errorf("%s at %s: %s, want %s", tc.zone, tc.now, got.Format(naive), tc.want)
		}
	}
}

func TestShift(t *testing.T) {
	z := mustZone(t, "America/New_York")
	columns := []martsync.Column{{Name: "id", Type: martsync.Int64}, {Name: "at", Type: martsync.Timestamp}, {Name: "day", Type: martsync.Date}, {Name: "then", Type: martsync.Timestamp}}
	b := rows.NewBuilder(columns)
	walls := []string{"2025-01-15 12:00:00", "2025-07-15 12:00:00", "2025-11-02 01:30:00", "", "2025-03-09 02:30:00", "1965-07-01 00:00:00", "2025-11-02 02:00:00"}
	for i, w := range walls {
		if w == "" {
			b.Append(int64(i), nil, nil, nil)
			continue
		}
		us := rows.Micros(utc(t, w).UnixMicro() + 7) // fractions stay
		b.Append(int64(i), us, rows.Date(100), us)
	}
	r := b.Records()
	z.shift(r, columns)
	for i, w := range walls {
		for _, column := range []int{1, 3} {
			v := &r.Columns[column]
			if w == "" {
				if !v.Null(i) || v.Ints[i] != 0 {
					t.Errorf("row %d: null became %d", i, v.Ints[i])
				}
				continue
			}
			if got, want := v.Ints[i], z.instant(utc(t, w)).UnixMicro()+7; got != want {
				t.Errorf("row %d, column %d: %s became %s, want %s", i, column, w, time.UnixMicro(got).UTC(), time.UnixMicro(want).UTC())
			}
		}
		if r.Columns[0].Ints[i] != int64(i) {
			t.Errorf("row %d: the id is shifted", i)
		}
	}
}

func BenchmarkShift(b *testing.B) {
	z := mustZone(b, "America/New_York")
	columns := []martsync.Column{{Name: "at", Type: martsync.Timestamp}}
	r := &martsync.Records{Len: 10_000, Columns: []martsync.Vector{{Type: martsync.Timestamp, Ints: make([]int64, 10_000)}}}
	at := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro()
	for b.Loop() {
		for i := range r.Columns[0].Ints {
			r.Columns[0].Ints[i] = at + int64(i)*micros*3600
		}
		z.shift(r, columns)
	}
}

// A user of the fake vendor's.
func zonePaths(zoneOfUser, zoneinfo string, offset string) map[string]fakeScript {
	userBody := fmt.Sprintf(`{"@attributes":{"stat":"ok"},"user":{"id":12,"timezone":%q}}`, zoneOfUser)
	return map[string]fakeScript{
		objects5 + "users": says(200, fmt.Sprintf(`{"values":[
			{"id":11,"salesforceId":"005000000000009AAA","createdAt":"2025-01-01T00:00:00%[1]s","updatedAt":"2025-01-05T00:00:00%[1]s"},
			{"id":12,"salesforceId":"005000000000001","createdAt":"2025-01-02T00:00:00%[1]s","updatedAt":null}]}`, offset)),
		"/api/user/version/4/do/read/id/12": says(200, userBody),
		objects5 + "account":                says(200, fmt.Sprintf(`{"id":1,"createdAt":"2025-01-01T00:00:00%s","updatedAt":"2025-01-01T00:00:00%[1]s"}`, offset)),
		userinfoPath:                        says(200, fmt.Sprintf(`{"user_id":"005000000000001AAA","zoneinfo":%q}`, zoneinfo)),
	}
}

func TestZoneIsFound(t *testing.T) {
	denied := says(403, failed5(46, "x"))
	for _, tc := range []struct {
		name   string
		paths  map[string]fakeScript
		change map[string]fakeScript
		want   string // "": an error
		api    int    // calls
	}{
		{"from version 4's user", zonePaths("America/New_York", "Asia/Tokyo", "-05:00"), nil, "America/New_York", 2},
		{"in words", zonePaths("(GMT-05:00) Eastern Standard Time (America/New_York)", "", "-05:00"), nil, "America/New_York", 2},
		{"from the identity, since the user tells none", zonePaths("", "America/New_York", "-05:00"), nil, "America/New_York", 2},
		{"from the identity, since the user's does not fit", zonePaths("Asia/Tokyo", "America/New_York", "-05:00"), nil, "America/New_York", 2},
		{"from the identity, users may not be seen", zonePaths("x", "America/New_York", "-05:00"), map[string]fakeScript{objects5 + "users": denied}, "America/New_York", 2},
		{"from the identity, nothing may be seen", zonePaths("x", "America/New_York", "-05:00"), map[string]fakeScript{objects5 + "users": denied, objects5 + "account": denied}, "America/New_York", 2},
		{"from the identity, version 4 has no users", zonePaths("x", "America/New_York", "-05:00"), map[string]fakeScript{"/api/user/version/4/do/read/id/12": says(200, failed4(22, "x"))}, "America/New_York", 2},
		{"neither fits", zonePaths("Asia/Tokyo", "Europe/Berlin", "-05:00"), nil, "", 2},
		{"nobody tells", zonePaths("", "", "-05:00"), nil, "", 2},
		{"nobody may tell", zonePaths("", "", "-05:00"), map[string]fakeScript{userinfoPath: says(403, "scope"), objects5 + "users": denied}, "", 2},
		{"no zone", zonePaths("Local", "Mars/Olympus", "-05:00"), nil, "", 2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for path, s := range tc.change {
				tc.paths[path] = s
			}
			v := newFakeVendor(t, tc.paths)
			s := v.source(t)
			for range 2 {
				z, err := s.zone(t.Context())
				if tc.want == "" {
					if martsync.KindOf(err) != martsync.Config || !strings.Contains(martsync.HintOf(err), "timezone") {
						t.Errorf("got %v, %v (%s), want the hint to set timezone", z, err, martsync.HintOf(err))
					}
					return
				}
				if err != nil || z.loc.String() != tc.want {
					t.Fatalf("got %v, %v, want %s", z, err, tc.want)
				}
			}
			if got := s.client.spent(); got != int64(tc.api) {
				t.Errorf("%d calls for two questions, want %d", got, tc.api)
			}
		})
	}
}

func TestZoneOfTheConfigurationIsTaken(t *testing.T) {
	v := newFakeVendor(t, zonePaths("America/New_York", "", "-05:00"))
	s := v.source(t, func(c *Config) { c.Timezone = "Asia/Tokyo" })
	z, err := s.zone(t.Context())
	if err != nil || z.loc.String() != "Asia/Tokyo" || v.count(tokenPath) != 0 {
		t.Errorf("got %v, %v after %d logins, want no call", z, err, v.count(tokenPath))
	}
}

func TestZoneIsNotGuessedWhenCallsFail(t *testing.T) {
	for name, change := range map[string]map[string]fakeScript{
		"daily limit": {objects5 + "users": says(200, failed5(122, "x"))},
		"server":      {objects5 + "users": says(503, "")},
		"login":       {tokenPath: says(400, `{"error":"invalid_grant"}`)},
		"user":        {"/api/user/version/4/do/read/id/12": says(503, "")},
	} {
		paths := zonePaths("America/New_York", "America/New_York", "-05:00")
		for path, s := range change {
			paths[path] = s
		}
		v := newFakeVendor(t, paths)
		if z, err := v.source(t).zone(hasty(t.Context())); err == nil || martsync.KindOf(err) == martsync.Config {
			t.Errorf("%s: %v, %v, want the error of the call", name, z, err)
		}
	}
}

func TestZoneChanges(t *testing.T) {
	paths := zonePaths("", "", "-05:00")
	name := "America/New_York"
	paths["/api/user/version/4/do/read/id/12"] = func(_ int, w http.ResponseWriter, r *http.Request) {
		says(200, fmt.Sprintf(`{"@attributes":{"stat":"ok"},"user":{"id":12,"timezone":%q}}`, name))(0, w, r)
	}
	v := newFakeVendor(t, paths)
	s := v.source(t)
	ask := func() string {
		z, err := s.zone(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return z.loc.String()
	}
	if got := ask(); got != "America/New_York" {
		t.Fatalf("at first %s", got)
	}
	name = "America/Bogota"
	if got := ask(); got != "America/New_York" {
		t.Errorf("within the hour %s", got)
	}
	_ = v.clock.Sleep(t.Context(), time.Hour)
	if got := ask(); got != "America/Bogota" {
		t.Errorf("after an hour %s", got)
	}
	if log := v.log.String(); strings.Count(log, "has changed") != 1 || !strings.Contains(log, "America/Bogota") {
		t.Error("the change is not logged once")
	}
}

func TestZoneOfAUserOnALaterPage(t *testing.T) {
	paths := zonePaths("Asia/Tokyo", "", "+09:00")
	second := paths[objects5+"users"]
	paths[objects5+"users"] = func(_ int, w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("idGreaterThan") == "" {
			says(200, `{"nextPageToken":"x","values":[{"id":3,"salesforceId":null},{"id":"odd"}]}`)(0, w, r)
			return
		}
		second(0, w, r)
	}
	v := newFakeVendor(t, paths)
	if z, err := v.source(t).zone(t.Context()); err != nil || z.loc.String() != "Asia/Tokyo" {
		t.Errorf("got %v, %v", z, err)
	}
}

func FuzzZoneNamed(f *testing.F) {
	for _, s := range append(someZones, "(GMT-05:00) Eastern Standard Time (America/New_York)", "Local", "", "../../etc/passwd", "/") {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if z := zoneNamed(name); z != nil && z.loc == time.Local {
			t.Errorf("%q is this machine's zone", name)
		}
	})
}
