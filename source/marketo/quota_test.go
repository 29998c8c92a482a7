package marketo

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/martsync/martsync"
)

func TestE26_QuotaReset(t *testing.T) {
	for _, tc := range []struct{ name, now, want string }{
		{"winter, noon", "2026-01-10T12:00:00Z", "2026-01-11T06:00:00Z"},
		{"winter, a second before", "2026-01-10T05:59:59Z", "2026-01-10T06:00:00Z"},
		{"winter, at midnight", "2026-01-10T06:00:00Z", "2026-01-11T06:00:00Z"},
		{"summer, noon", "2026-07-10T12:00:00Z", "2026-07-11T06:00:00Z"},
		{"summer, between the two midnights", "2026-07-10T05:30:00Z", "2026-07-10T06:00:00Z"},
		{"summer, after both", "2026-07-10T06:00:01Z", "2026-07-11T06:00:00Z"},
		{"the day clocks go forward", "2026-03-08T07:30:00Z", "2026-03-09T06:00:00Z"},
		{"the day clocks go back", "2026-11-01T05:30:00Z", "2026-11-01T06:00:00Z"},
		{"end of the month", "2026-01-31T23:00:00Z", "2026-02-01T06:00:00Z"},
		{"end of the year", "2026-12-31T23:00:00Z", "2027-01-01T06:00:00Z"},
		{"leap day", "2028-02-29T05:00:00Z", "2028-02-29T06:00:00Z"},
	} {
		now, err := time.Parse(time.RFC3339, tc.now)
		if err != nil {
			t.Fatal(err)
		}
		if got := nextReset(now).Format(time.RFC3339); got != tc.want {
			t.Errorf("%s: reset after %s at %s, want %s", tc.name, tc.now, got, tc.want)
		}
	}
}

func TestQuotaResetIsALateMidnightSoon(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := time.Unix(rapid.Int64Range(0, 4e9).Draw(t, "now"), 0)
		reset := nextReset(now)
		if d := reset.Sub(now); d <= 0 || d > 25*time.Hour {
			t.Fatalf("reset %v after %v", d, now)
		}
		for _, zone := range []*time.Location{centralStandard, central} {
			midnight := reset.In(zone)
			y, m, d := midnight.Date()
			if since := midnight.Sub(time.Date(y, m, d, 0, 0, 0, 0, zone)); since > time.Hour {
				t.Fatalf("reset at %v, %v after midnight", midnight, since)
			}
		}
	})
}

func TestShareOfTheDay(t *testing.T) {
	usageOf := func(total, own int) script {
		return replies(result(fmt.Sprintf(`{"date":"2026-03-08","total":%d,"users":[{"userId":"other","count":%d},{"userId":"api@example.org","count":%d}]}`, total, total-own, own)))
	}
	for _, tc := range []struct {
		name  string
		usage script
		calls int // that succeed before the share is spent; -1: more than asked for
	}{
		{"nothing used", usageOf(0, 0), 100},
		{"partly used by us", usageOf(60, 60), 40},
		{"share used by us", usageOf(100, 100), 0},
		{"used by others", usageOf(750, 0), 50},
		{"reserve reached", usageOf(800, 0), 0},
		{"not told", replies(faulty("611", "System error")), 100},
		{"odd reply", replies(result(``)), 100},
	} {
		t.Run(tc.name, func(t *testing.T) {
			v := newFakeVendor(t, map[string]script{thing: replies(result(`{}`)), usagePath: tc.usage})
			s := v.source(t, func(c *Config) { c.Limits.DailyQuota, c.Limits.DailyCalls, c.Limits.DailyReserve = 1000, 100, 200 })
			good := 0
			var err error
			for err == nil && good < 200 {
				if _, err = s.client.do(t.Context(), get()); err == nil {
					good++
				}
			}
			own := v.count(usagePath) // these count too
			if good > tc.calls || good < tc.calls-own {
				t.Errorf("%d calls were made, want %d less the %d that asked for usage", good, tc.calls, own)
			}
			reset := time.Date(2026, 3, 9, 6, 0, 0, 0, time.UTC)
			if martsync.KindOf(err) != martsync.Quota || martsync.AfterOf(err) != reset.Sub(v.clock.Now()) || martsync.HintOf(err) == "" {
				t.Errorf("got %v after %v with hint %q, want quota until %v", err, martsync.AfterOf(err), martsync.HintOf(err), reset)
			}
			v.mu.Lock()
			v.paths[usagePath] = usageOf(0, 0)
			v.mu.Unlock()
			v.clock.advance(reset.Sub(v.clock.Now()))
			if _, err := s.client.do(t.Context(), get()); err != nil {
				t.Errorf("on the next day: %v", err)
			}
		})
	}
}

// The vendor's clock is behind ours: whoever comes back at the reset is told of the day before. That is no reason to wait
// for another day.
func TestE5VendorsMidnightIsALittleLater(t *testing.T) {
	reset := time.Date(2026, 3, 9, 6, 0, 0, 0, time.UTC)
	usage := func(total int) string {
		return result(fmt.Sprintf(`{"date":"2026-03-08","total":%d,"users":[]}`, total))
	}
	for _, tc := range []struct{ name, path, spent, fresh string }{
		{"the calls of all", usagePath, usage(900), usage(0)},
		{"607", thing, faulty("607", "Daily quota '1000' reached"), result(`{}`)},
		{"1029", thing, faulty("1029", "Export daily quota 500MB exceeded."), result(`{}`)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			v := newFakeVendor(t, map[string]script{thing: replies(result(`{}`)), usagePath: replies(usage(0))})
			v.paths[tc.path] = func(_ int, w http.ResponseWriter, r *http.Request) {
				body := tc.fresh
				if v.clock.Now().Before(reset.Add(30 * time.Second)) {
					body = tc.spent
				}
				replies(body)(0, w, r)
			}
			s := v.source(t, func(c *Config) { c.Limits.DailyQuota, c.Limits.DailyReserve = 1000, 200 })
			waits := 0
			for ; waits < 3; waits++ {
				_, err := s.client.do(t.Context(), get())
				if err == nil {
					break
				}
				if martsync.KindOf(err) != martsync.Quota {
					t.Fatal(err)
				}
				v.clock.advance(martsync.AfterOf(err))
			}
			if late := v.clock.Now().Sub(reset); waits != 2 || late > clockSkew {
				t.Errorf("after %d waits the call is made %v after the reset, want 2 and at most %v", waits, late, clockSkew)
			}
		})
	}
}

func TestUsageIsAskedForNowAndThen(t *testing.T) {
	v := newFakeVendor(t, map[string]script{thing: replies(result(`{}`))})
	s := v.source(t)
	for range 3 * usageEvery {
		if _, err := s.client.do(t.Context(), get()); err != nil {
			t.Fatal(err)
		}
	}
	if got := v.count(usagePath); got != 3 {
		t.Errorf("asked %d times in %d calls, want 3", got, 3*usageEvery)
	}
}

func TestUsageCountsWhatTheVendorCounts(t *testing.T) {
	v := newFakeVendor(t, map[string]script{thing: func(n int, w http.ResponseWriter, r *http.Request) {
		replies([]string{faulty("604", "x"), faulty("606", "x"), faulty("602", "x"), result(`{}`)}[n])(0, w, r)
	}})
	s := v.source(t)
	if _, err := s.client.do(t.Context(), get()); err != nil {
		t.Fatal(err)
	}
	s.client.meter.exported(2, 12345)
	got := s.Usage()
	// Of the four calls and the one for usage, those answered 604 and 602 do not count.
	want := []martsync.Usage{
		{Name: "API calls", Unit: "calls", Spent: 3, Today: 12, Limit: 50_000},
		{Name: "export bytes", Unit: "bytes", Spent: 12345, Today: -1, Limit: 500_000_000},
		{Name: "export jobs", Unit: "jobs", Spent: 2, Today: -1},
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("usage %+v, want %+v", got[i], want[i])
		}
	}
}

func TestShareOfTheDaysExports(t *testing.T) {
	const mb = 1_000_000
	job := func(finished string, size int) string {
		return fmt.Sprintf(`{"exportId":"x","status":"Completed","createdAt":"2026-03-08T01:00:00Z","finishedAt":%q,"fileSize":%d}`, finished, size)
	}
	for _, tc := range []struct {
		name     string
		leads    string // the vendor's list of lead exports
		finished int64  // bytes of jobs that this process has seen finish
		ok       bool
	}{
		{"none", result(""), 0, true},
		{"missing result", `{"success":true,"requestId":"x"}`, 0, true},
		{"below the share", result(job("2026-03-08T07:00:00Z", 99*mb)), 0, true},
		{"at the share", result(job("2026-03-08T07:00:00Z", 99*mb) + "," + job("2026-03-08T06:00:00Z", mb)), 0, false},
		{"yesterday's", result(job("2026-03-08T05:59:59Z", 300*mb)), 0, true},
		{"not finished", result(`{"exportId":"x","status":"Processing","fileSize":500000000}`), 0, true},
		{"counted twice", result(job("2026-03-08T07:00:00Z", 60*mb)), 60 * mb, true},
		{"the list is out of order", faulty("611", "System error"), 0, true},
		{"the list is out of order and much has finished", faulty("611", "System error"), 200 * mb, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			v := newFakeVendor(t, map[string]script{
				leadObject.list():              replies(tc.leads),
				activityObject.list():          replies(result("")),
				leadObject.path("create.json"): replies(result(`{"exportId":"y","status":"Created"}`)),
			})
			s := v.source(t, func(c *Config) { c.Limits.ExportMegabytes = 100 })
			create := func() error {
				_, err := s.client.do(t.Context(), request{op: "create lead export", method: http.MethodPost, path: leadObject.path("create.json"), body: 1, noReplay: true})
				return err
			}
			s.client.meter.exported(1, tc.finished)
			err := create()
			if (err == nil) != tc.ok || err != nil && (martsync.KindOf(err) != martsync.Quota || martsync.AfterOf(err) <= 0 || martsync.HintOf(err) == "") {
				t.Fatalf("got %v after %v, want it to be admitted: %v", err, martsync.AfterOf(err), tc.ok)
			}
			if err != nil {
				v.clock.advance(martsync.AfterOf(err))
				if err := create(); err != nil {
					t.Errorf("on the next day: %v", err)
				}
			}
		})
	}
}
