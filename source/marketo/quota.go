package marketo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"
	_ "time/tzdata" // machines without a time zone database must know US Central too

	"github.com/martsync/martsync"
)

// The quota day ends at midnight "CST", which one page of the vendor links to US Central
// time. Whether daylight saving counts is not said, so both midnights must have passed.
// Source: Marketo REST API, Marketo Integration Best Practices; Bulk Extract.
var (
	centralStandard = time.FixedZone("CST", -6*60*60)
	central         = mustLoad("America/Chicago")
)

// clockSkew is how far the vendor's clock and ours may differ.
const clockSkew = 5 * time.Minute

func mustLoad(name string) *time.Location {
	l, err := time.LoadLocation(name)
	if err != nil {
		panic("marketo: time zone database: " + err.Error()) // it is embedded
	}
	return l
}

// nextReset returns the first instant after now at which the quotas of a day are certainly
// those of the next one: the later of the two midnights that the vendor may mean.
func nextReset(now time.Time) time.Time {
	y, m, d := now.In(centralStandard).Date()
	for day := d; ; day++ {
		reset := time.Date(y, m, day, 0, 0, 0, 0, centralStandard)
		if c := time.Date(y, m, day, 0, 0, 0, 0, central); c.After(reset) {
			reset = c
		}
		if reset.After(now) {
			return reset.UTC()
		}
	}
}

// nextQuota returns when a limit that is spent at now is worth another try: at the next reset. Just after one the vendor
// may still count the day before, since its clock and ours differ, and whoever waited for the reset asks at once: then it is
// soon, not tomorrow.
func nextQuota(now time.Time) time.Time {
	if reset := nextReset(now.Add(-clockSkew)); !reset.After(now) {
		return reset.Add(clockSkew)
	}
	return nextReset(now)
}

// usageEvery is how many calls pass between two looks at the account's usage. Each look is
// a counted call itself.
const usageEvery = 250

// A meter counts what the source spends and keeps it within its share of the day.
type meter struct {
	limits Limits
	clock  martsync.Clock

	mu     sync.Mutex
	spent  int64     // calls since the source was opened
	reset  time.Time // until when the following counts hold: the end of the quota day, or of the minutes after its beginning
	today  int64     // this API user's calls of the day, as far as known
	total  int64     // the subscription's calls of the day by all its users; -1: not known
	since  int64     // calls since usage was last asked for; usageEvery: ask now
	asking bool
	closed *martsync.Error // what every call of the day gets: the quota is spent
	bytes  int64           // of finished export jobs, since the source was opened
	jobs   int64           // export jobs created since the source was opened

	// Export bytes of the quota day, see admitExport.
	asked    bool  // the vendor's list of jobs has been read
	listed   int64 // its sum
	finished int64 // of jobs that were seen to be finished since
}

func newMeter(limits Limits, clock martsync.Clock) *meter {
	return &meter{limits: limits, clock: clock, total: -1, since: usageEvery}
}

// begin counts a call that is about to be made, or says that the day's share is spent. If
// it is time to look at the account's usage it counts nothing: ask, learn, begin again.
func (m *meter) begin() (ask bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.clock.Now()
	m.turn(now)
	if m.closed != nil {
		closed := *m.closed
		closed.After = m.reset.Sub(now)
		return false, &closed
	}
	if m.since >= usageEvery && !m.asking {
		m.asking = true
		return true, nil
	}
	if err := m.share(now); err != nil {
		return false, err
	}
	m.count()
	return false, nil
}

// must counts a call that is made even when the share is spent.
func (m *meter) must() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.turn(m.clock.Now())
	m.count()
}

func (m *meter) count() {
	m.spent++
	m.today++
	m.since++
	if m.total >= 0 {
		m.total++
	}
}

// uncount takes back a call that the vendor does not count.
func (m *meter) uncount() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.spent--
	m.today = max(0, m.today-1)
	if m.total > 0 {
		m.total--
	}
}

// turn starts to count anew when a quota day has ended, and when what the vendor tells is certainly of the new one.
func (m *meter) turn(now time.Time) {
	if now.Before(m.reset) {
		return
	}
	m.reset = nextQuota(now)
	m.today, m.total, m.closed = 0, -1, nil
	m.asked, m.listed, m.finished = false, 0, 0
	m.since = usageEvery
}

// share tells whether this source has had its part of the day's calls.
func (m *meter) share(now time.Time) error {
	var what string
	switch {
	case m.today >= int64(m.limits.DailyCalls):
		what = fmt.Sprintf("this API user has made %d of its %d calls of today (limits.daily_calls)", m.today, m.limits.DailyCalls)
	case m.total >= 0 && int64(m.limits.DailyQuota)-m.total <= int64(m.limits.DailyReserve):
		what = fmt.Sprintf("all integrations together have made %d of the subscription's %d calls of today, and %d are reserved for others (limits.daily_reserve)", m.total, m.limits.DailyQuota, m.limits.DailyReserve)
	default:
		return nil
	}
	return &martsync.Error{
		Kind: martsync.Quota, After: m.reset.Sub(now),
		Hint: "Reading goes on after midnight US Central time, or at once with higher limits.", Err: errors.New(what),
	}
}

// left is how many calls share still allows today, as far as known.
func (m *meter) left() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.turn(m.clock.Now())
	left := int64(m.limits.DailyCalls) - m.today
	if m.total >= 0 {
		left = min(left, int64(m.limits.DailyQuota-m.limits.DailyReserve)-m.total)
	}
	return max(left, 0)
}

// close makes every further call of this quota day fail at once as err did.
func (m *meter) close(err *martsync.Error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.turn(m.clock.Now())
	m.closed = &martsync.Error{Kind: err.Kind, Hint: err.Hint, Err: err.Err}
}

// learn takes over what the vendor says about today: the calls of all and of this API user.
func (m *meter) learn(total, own int64, known bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asking, m.since = false, 0
	if !known {
		return // the own count has to do until the next look
	}
	m.total = total
	// Calls under way may be missing from the vendor's figure: the higher one is safe.
	m.today = max(m.today, own)
}

// Usage tells what this source has spent. It makes no call.
func (s *source) Usage() []martsync.Usage {
	m := s.client.meter
	m.mu.Lock()
	defer m.mu.Unlock()
	m.turn(m.clock.Now())
	return []martsync.Usage{
		{Name: "API calls", Unit: "calls", Spent: m.spent, Today: m.total, Limit: int64(m.limits.DailyQuota)},
		{Name: "export bytes", Unit: "bytes", Spent: m.bytes, Today: -1, Limit: int64(m.limits.ExportQuotaMegabytes) * 1_000_000},
		{Name: "export jobs", Unit: "jobs", Spent: m.jobs, Today: -1},
	}
}

// usage is one day of stats/usage.json.
type usage struct {
	Date  string `json:"date"`
	Total int64  `json:"total"`
	Users []struct {
		UserID string `json:"userId"`
		Count  int64  `json:"count"`
	} `json:"users"`
}

// by returns the calls of one API user.
func (u usage) by(user string) int64 {
	for _, x := range u.Users {
		if x.UserID == user {
			return x.Count
		}
	}
	return 0
}

// usage asks the vendor what the subscription has used today.
// Source: Marketo REST API, Usage.
func (c *client) usage(ctx context.Context) (usage, error) {
	env, err := c.do(ctx, request{op: "read usage", path: "/rest/v1/stats/usage.json", free: true, tries: 2})
	if err != nil {
		return usage{}, err
	}
	var u usage
	if len(env.Result) == 0 {
		return u, &martsync.Error{Kind: martsync.Transient, Op: "marketo: read usage", Err: errors.New("the reply has no result")}
	}
	// The reply may hold more than today; the last item is the latest day.
	if err := json.Unmarshal(env.Result[len(env.Result)-1], &u); err != nil {
		return u, &martsync.Error{Kind: martsync.Data, Op: "marketo: read usage", Err: err}
	}
	return u, nil
}
