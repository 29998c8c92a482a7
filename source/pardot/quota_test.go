package pardot

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/martsync/martsync"
)

func TestX14DailyLimitUntilTheAccountsMidnight(t *testing.T) {
	spent := func(status int) fakeScript { return says(status, failed4(122, "Daily API rate limit met")) }
	for _, tc := range []struct {
		name   string
		status int
		change func(*Config)
		paths  map[string]fakeScript
		now    string
		after  time.Duration
		hint   string
	}{
		{"account_timezone", 200, func(c *Config) { c.AccountTimezone, c.Timezone = "America/New_York", "Asia/Tokyo" }, nil, "2026-03-18 16:30:00", 11*time.Hour + 30*time.Minute, "midnight"},
		{"timezone", 429, func(c *Config) { c.Timezone = "Asia/Tokyo" }, nil, "2026-03-18 16:30:00", 22*time.Hour + 30*time.Minute, "midnight"},
		{"of the login", 400, nil, map[string]fakeScript{userinfoPath: says(200, `{"zoneinfo":"Europe/Berlin"}`)}, "2026-03-18 16:30:00", 6*time.Hour + 30*time.Minute, "midnight"},
		{"on a day of 23 hours", 200, func(c *Config) { c.AccountTimezone = "America/New_York" }, nil, "2026-03-08 05:30:00", 22*time.Hour + 30*time.Minute, "midnight"},
		{"on a day of 25 hours", 200, func(c *Config) { c.AccountTimezone = "America/New_York" }, nil, "2026-11-01 04:30:00", 24*time.Hour + 30*time.Minute, "midnight"},
		{"a moment after midnight, the vendor's clock is behind", 200, func(c *Config) { c.AccountTimezone = "America/New_York" }, nil, "2026-03-18 04:00:30", earlyDay - 30*time.Second, "midnight"},
		{"nobody knows", 200, nil, map[string]fakeScript{userinfoPath: says(403, "x")}, "2026-03-18 16:30:00", unknownWait, "account_timezone"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			v := newFakeVendor(t, tc.paths)
			v.clock.set(utc(t, tc.now))
			good := v.paths[tag4Path]
			v.paths[tag4Path] = inTurn(spent(tc.status), good)
			change := tc.change
			if change == nil {
				change = func(*Config) {}
			}
			s := v.source(t, change)
			_, err := s.client.do(t.Context(), getTags4)
			if martsync.KindOf(err) != martsync.Quota || codeOf(err) != 122 || martsync.AfterOf(err) != tc.after || !strings.Contains(martsync.HintOf(err), tc.hint) {
				t.Fatalf("got %v (%v) after %v (%s), want quota after %v", err, martsync.KindOf(err), martsync.AfterOf(err), martsync.HintOf(err), tc.after)
			}
			// Nobody asks again before, whichever the call.
			_ = v.clock.Sleep(t.Context(), tc.after-time.Second)
			for _, r := range []request{getTags, getTags4} {
				if _, err := s.client.do(t.Context(), r); martsync.KindOf(err) != martsync.Quota || codeOf(err) != 122 || martsync.AfterOf(err) != time.Second {
					t.Errorf("a second before: %v, after %v, want 122 after 1s", err, martsync.AfterOf(err))
				}
			}
			if got := v.count(tag4Path) + v.count(tagsPath); got != 1 {
				t.Errorf("%d calls, want 1", got)
			}
			_ = v.clock.Sleep(t.Context(), time.Second)
			if _, err := s.client.do(t.Context(), getTags4); err != nil {
				t.Errorf("the next day: %v", err)
			}
		})
	}
}

func TestX14MidnightOfAnotherZone(t *testing.T) {
	const hours = 3 // that the business unit's midnight comes after the user's
	v := newFakeVendor(t, nil)
	good := v.paths[tag4Path]
	reset := utc(t, "2026-03-19 04:00:00").Add(hours * time.Hour)
	v.paths[tag4Path] = func(_ int, w http.ResponseWriter, r *http.Request) {
		if v.clock.Now().Before(reset) {
			says(200, failed4(122, "Daily API rate limit met"))(0, w, r)
			return
		}
		good(0, w, r)
	}
	s := v.source(t, func(c *Config) { c.Timezone = "America/New_York" })
	for range 10 {
		_, err := s.client.do(t.Context(), getTags4)
		if err == nil {
			break
		}
		_ = v.clock.Sleep(t.Context(), martsync.AfterOf(err))
	}
	if late := v.clock.Now().Sub(reset); late < 0 || late > guessedWait {
		t.Errorf("reading goes on %v after the midnight of the business unit, want at most %v", late, guessedWait)
	}
	if got := v.count(tag4Path); got > hours+2 {
		t.Errorf("%d calls, want the first, one an hour from the user's midnight on, and the good one", got)
	}
}

func TestOwnShareOfTheDay(t *testing.T) {
	v := newFakeVendor(t, nil)
	s := v.source(t, func(c *Config) { c.Limits.DailyCalls, c.AccountTimezone = 5, "America/New_York" })
	for i := range 5 {
		if _, err := s.client.do(t.Context(), getTags); err != nil {
			t.Fatalf("call %d: %v", i, err)
		}
	}
	_, err := s.client.do(t.Context(), getTags)
	if martsync.KindOf(err) != martsync.Quota || martsync.AfterOf(err) != 11*time.Hour+30*time.Minute || !strings.Contains(err.Error(), "limits.daily_calls") {
		t.Errorf("got %v after %v", err, martsync.AfterOf(err))
	}
	if _, err := s.client.do(t.Context(), request{op: "read usage", path: tagsPath, free: true}); err != nil {
		t.Errorf("a call that is free: %v", err)
	}
	_ = v.clock.Sleep(t.Context(), 12*time.Hour)
	if _, err := s.client.do(t.Context(), getTags); err != nil {
		t.Errorf("the next day: %v", err)
	}
	if got := s.client.spent(); got != 7 {
		t.Errorf("spent %d, want 7", got)
	}
	if got := s.client.dailyLimit(); got != 5 {
		t.Errorf("daily limit %d, want 5", got)
	}
}

func TestReserveForOthers(t *testing.T) {
	told := func(used string) fakeScript {
		return func(_ int, w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Api-Usage", used)
			says(200, fine5)(0, w, r)
		}
	}
	for _, tc := range []struct {
		name    string
		reserve int
		used    string
		calls   int // that are made before the source stops; 0: it does not
	}{
		{"a fifth is left to others", 0, "799/1000", 2},
		{"a fifth is left, long used up", 0, "950/1000", 1},
		{"plenty", 0, "10/1000", 0},
		{"own reserve", 100, "890/1000", 0},
		{"own reserve used up", 100, "900/1000", 1},
		{"nothing told", 0, "", 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			v := newFakeVendor(t, map[string]fakeScript{tagsPath: inTurn(told(tc.used), says(200, fine5))})
			s := v.source(t, func(c *Config) { c.Limits.DailyReserve, c.AccountTimezone = tc.reserve, "UTC" })
			for i := range 5 {
				_, err := s.client.do(t.Context(), getTags)
				if stops := tc.calls > 0 && i >= tc.calls; stops != (err != nil) || stops && (martsync.KindOf(err) != martsync.Quota || !strings.Contains(err.Error(), "daily_reserve")) {
					t.Errorf("call %d: %v", i, err)
				}
			}
		})
	}
}

func TestUsageIsAskedNowAndThen(t *testing.T) {
	v := newFakeVendor(t, map[string]fakeScript{objects5 + "account": says(200, `{"id":1,"apiCallsUsed":1234,"maximumDailyApiCalls":50000}`)})
	s := v.source(t)
	for range 2*usageEvery + 10 {
		if _, err := s.client.do(t.Context(), getTags4); err != nil {
			t.Fatal(err)
		}
	}
	if got := v.count(objects5 + "account"); got != 2 {
		t.Errorf("asked %d times in %d calls of version 4, want 2", got, 2*usageEvery+10)
	}
	want := martsync.Usage{Name: "API calls", Unit: "calls", Spent: 2*usageEvery + 12, Today: 1234 + 10, Limit: 50_000}
	if got := s.Usage(); len(got) != 1 || got[0] != want {
		t.Errorf("usage %+v, want %+v", got, want)
	}
	if got := s.client.dailyLimit(); got != 50_000 {
		t.Errorf("daily limit %d", got)
	}
	// A user who may not see the account is not asked at each call.
	v = newFakeVendor(t, map[string]fakeScript{objects5 + "account": says(403, failed5(46, "x"))})
	s = v.source(t)
	for range usageEvery + 10 {
		if _, err := s.client.do(t.Context(), getTags4); err != nil {
			t.Fatal(err)
		}
	}
	if got := v.count(objects5 + "account"); got != 1 || s.client.dailyLimit() != leastDaily {
		t.Errorf("asked %d times, daily limit %d", got, s.client.dailyLimit())
	}
}

func TestUsageMakesNoCall(t *testing.T) {
	v := newFakeVendor(t, nil)
	s := v.source(t)
	if got := s.Usage(); len(got) != 1 || got[0] != (martsync.Usage{Name: "API calls", Unit: "calls", Today: -1}) || v.count(tokenPath) != 0 {
		t.Errorf("usage %+v after %d logins", got, v.count(tokenPath))
	}
	var _ martsync.Meter = s
}

func TestParseUsage(t *testing.T) {
	for text, want := range map[string][2]int64{
		"1234/50000": {1234, 50000}, "1,234/50,000": {1234, 50000}, "calls=12; max=100": {12, 100}, "12,100": {12, 100}, "0/25000": {0, 25000},
		"daily-api-usage 5 of 25000": {5, 25000},
	} {
		if used, limit, ok := parseUsage(text); !ok || used != want[0] || limit != want[1] {
			t.Errorf("%q: %d of %d, %v", text, used, limit, ok)
		}
	}
	for _, text := range []string{"", "x", "12", "1/2/3", "99999999999999999999/1"} {
		if used, limit, ok := parseUsage(text); ok {
			t.Errorf("%q: %d of %d", text, used, limit)
		}
	}
}

func FuzzParseUsage(f *testing.F) {
	f.Add("1,234/50,000")
	f.Fuzz(func(t *testing.T, text string) {
		if used, limit, ok := parseUsage(text); ok && (used < 0 || limit < 0) {
			t.Errorf("%q: %d of %d", text, used, limit)
		}
	})
}
