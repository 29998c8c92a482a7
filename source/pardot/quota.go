package pardot

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/martsync/martsync"
)

const (
	// leastDaily is the daily limit of the smallest edition that has the API.
	// Account Engagement API, Rate Limits.
	leastDaily = 25_000

	// usageEvery is how many calls pass before usage is asked for, if no reply told it along
	// the way: those of version 4 never do. Each look is a counted call itself.
	usageEvery = 100

	// unknownWait is how long a spent limit is waited for where the midnight is not known.
	unknownWait = 2 * time.Hour

	// guessedWait is how long is waited anew when the limit is still spent after a midnight that
	// may not be that of the business unit: nobody tells its zone.
	guessedWait = time.Hour

	// earlyDay is how long after midnight a refusal may still mean the day before: clocks differ.
	earlyDay = 10 * time.Minute
)

// A meter counts what the source spends and keeps it within its share of the day.
type meter struct {
	limits Limits
	clock  martsync.Clock

	mu     sync.Mutex
	zone   *zone     // of the business unit; nil: not known yet
	sure   bool      // the configuration says so; else it is taken to be the API user's
	spent  int64     // calls since the source was opened
	reset  time.Time // end of the day that the following counts belong to
	today  int64     // calls of this source of the day
	total  int64     // calls of the day by everyone; -1: not known
	limit  int64     // calls a day that the business unit has; 0: not known
	since  int64     // calls since usage was last told
	asking bool
	closed *martsync.Error // what every call of the day gets: the limit is spent
	until  time.Time       // the end of that
}

func newMeter(cfg Config, clock martsync.Clock) *meter {
	m := &meter{limits: cfg.Limits, clock: clock, total: -1, sure: cfg.AccountTimezone != ""}
	name := cfg.AccountTimezone
	if name == "" {
		name = cfg.Timezone
	}
	if loc, err := loadZone(name); err == nil {
		m.zone = &zone{loc: loc}
	}
	return m
}

// begin counts a call that is about to be made, or says that the day's share is spent. If it
// is time to look at usage it counts nothing: ask, learn, begin again.
func (m *meter) begin() (ask bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.clock.Now()
	m.turn(now)
	if m.closed != nil {
		closed := *m.closed
		closed.After = m.until.Sub(now)
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

// turn starts a new day when the old one has ended.
func (m *meter) turn(now time.Time) {
	if m.closed != nil && !now.Before(m.until) {
		m.closed = nil
	}
	if now.Before(m.reset) {
		return
	}
	m.reset = m.midnight(now)
	m.today, m.total, m.since = 0, -1, 0
}

// midnight is the next one of the business unit; of UTC while its zone is not known.
func (m *meter) midnight(now time.Time) time.Time {
	z := m.zone
	if z == nil {
		z = &zone{loc: time.UTC}
	}
	return z.midnight(now, 1)
}

// share tells whether this source has had its part of the day's calls.
func (m *meter) share(now time.Time) error {
	reserve := int64(m.limits.DailyReserve)
	if reserve == 0 {
		reserve = m.limit / 5
	}
	var what string
	switch {
	case m.limits.DailyCalls > 0 && m.today >= int64(m.limits.DailyCalls):
		what = fmt.Sprintf("this source has made %d of its %d calls of today (limits.daily_calls)", m.today, m.limits.DailyCalls)
	case m.limit > 0 && m.total >= 0 && m.limit-m.total <= reserve:
		what = fmt.Sprintf("all integrations together have made %d of the business unit's %d calls of today, and %d are reserved for others (limits.daily_reserve)", m.total, m.limit, reserve)
	default:
		return nil
	}
	return &martsync.Error{
		Kind: martsync.Quota, After: m.reset.Sub(now),
		Hint: "Reading goes on after midnight of the business unit, or at once with higher limits.", Err: errors.New(what),
	}
}

// close makes every further call fail at once as err did, for a while.
func (m *meter) close(err *martsync.Error, wait time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.clock.Now()
	m.turn(now)
	err.After = wait
	m.closed, m.until = &martsync.Error{Kind: err.Kind, Hint: err.Hint, Err: err.Err}, now.Add(wait)
}

// learnZone tells the meter when days begin, unless the configuration did.
func (m *meter) learnZone(z *zone) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.zone == nil {
		m.zone = z
		m.reset = time.Time{}
		total, today, since := m.total, m.today, m.since
		m.turn(m.clock.Now())
		m.total, m.today, m.since = total, today, since // the day goes on, its end is another
	}
}

// told takes over what a reply of version 5 says about the day. How the header is written is
// not documented: two numbers, the calls made and the calls there are, are taken.
func (m *meter) told(h http.Header) {
	used, limit, ok := parseUsage(h.Get("X-Api-Usage"))
	if ok {
		m.learn(used, limit)
	}
}

var digits = regexp.MustCompile(`[0-9]+`)

func parseUsage(text string) (used, limit int64, ok bool) {
	if strings.Contains(text, "/") {
		text = strings.ReplaceAll(text, ",", "")
	}
	numbers := digits.FindAllString(text, 3)
	if len(numbers) != 2 {
		return 0, 0, false
	}
	used, err1 := strconv.ParseInt(numbers[0], 10, 64)
	limit, err2 := strconv.ParseInt(numbers[1], 10, 64)
	return used, limit, err1 == nil && err2 == nil
}

// learn takes over the calls of the day by all, and the limit; -1 and 0: not told.
func (m *meter) learn(used, limit int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.turn(m.clock.Now())
	m.asking, m.since = false, 0
	if limit > 0 {
		m.limit = limit
	}
	if used >= 0 {
		// Calls under way may be missing from the vendor's figure: the higher one is safe.
		m.total = max(used, m.today)
	}
}

// admit counts the call and, now and then, asks the vendor how much of the day is left.
func (c *client) admit(ctx context.Context, r request) error {
	if r.free {
		c.meter.must()
		return nil
	}
	for {
		ask, err := c.meter.begin()
		if err != nil || !ask {
			return err
		}
		used, limit, err := c.usage(ctx)
		if err != nil {
			c.log.DebugContext(ctx, "usage is not known", "err", err)
			used, limit = -1, 0
		}
		c.meter.learn(used, limit)
	}
}

// usage asks the vendor how many calls were made today. Account Engagement API, Account.
func (c *client) usage(ctx context.Context) (used, limit int64, err error) {
	const op = "read usage"
	r, err := c.do(hasty(ctx), request{
		op: op, path: objects5 + "account", query: url.Values{"fields": {"apiCallsUsed,maximumDailyApiCalls"}}, free: true, optional: true,
	})
	if err != nil {
		return 0, 0, err
	}
	raw := r.body
	if len(r.envelope.Values) > 0 {
		raw = r.envelope.Values[0]
	}
	var a struct {
		Used  *int64 `json:"apiCallsUsed"`
		Limit int64  `json:"maximumDailyApiCalls"`
	}
	if err := json.Unmarshal(raw, &a); err != nil || a.Used == nil {
		return 0, 0, strange(op, r, "the reply does not tell the usage")
	}
	return *a.Used, a.Limit, nil
}

// untilMidnight is how long the vendor will refuse calls that are too many for the day. Where
// the zone is not known yet the login host is asked, which is not a call of the API.
func (c *client) untilMidnight(ctx context.Context, err *martsync.Error) time.Duration {
	c.meter.mu.Lock()
	z, sure, until := c.meter.zone, c.meter.sure, c.meter.until
	c.meter.mu.Unlock()
	if z == nil {
		if who, err := c.tokens.userinfo(hasty(ctx)); err == nil {
			if z = zoneNamed(who.ZoneInfo, who.Timezone); z != nil {
				c.meter.learnZone(z)
			}
		}
	}
	now := c.clock.Now()
	if z == nil {
		err.Hint += " Set account_timezone so that it is known when that is."
		return unknownWait
	}
	if since := now.Sub(until); !sure && !until.IsZero() && since >= 0 && since < guessedWait {
		err.Hint += " If that is not the API user's midnight, set account_timezone."
		return guessedWait
	}
	if since := now.Sub(z.midnight(now, 0)); since < earlyDay {
		return earlyDay - since
	}
	return z.midnight(now, 1).Sub(now)
}

// spent is how many calls were made since the source was opened.
func (c *client) spent() int64 {
	c.meter.mu.Lock()
	defer c.meter.mu.Unlock()
	return c.meter.spent
}

// dailyLimit is how many calls a day this source may make, as far as known: the least
// edition's if the vendor has not told.
func (c *client) dailyLimit() int64 {
	c.meter.mu.Lock()
	defer c.meter.mu.Unlock()
	limit := int64(leastDaily)
	if c.meter.limit > 0 {
		limit = c.meter.limit
	}
	if own := int64(c.meter.limits.DailyCalls); own > 0 {
		limit = min(limit, own)
	}
	return limit
}

// Usage tells what this source has spent. It makes no call.
func (s *source) Usage() []martsync.Usage {
	m := s.client.meter
	m.mu.Lock()
	defer m.mu.Unlock()
	m.turn(m.clock.Now())
	return []martsync.Usage{{Name: "API calls", Unit: "calls", Spent: m.spent, Today: m.total, Limit: m.limit}}
}
