package marketosim

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/martsync/martsync/simulate"
)

// counters are what Stats and the usage endpoints tell.
type counters struct {
	errors simulate.Daily // only for its days

	mu      sync.Mutex
	calls   int
	sent    int64
	ids     uint64 // requests answered
	byPath  map[string]int
	byUser  map[string]int
	refused map[string]int
	users   map[string]map[string]int // by day, then by e-mail
	codes   map[string]map[string]int // by day, then by code
}

func (c *counters) request(path string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	bump(&c.byPath, path)
}

// next numbers replies.
func (c *counters) next() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ids++
	return c.ids
}

func (c *counters) call(email string, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls++
	bump(&c.byUser, email)
	bumpDay(&c.users, c.errors.Day(now), email)
}

func (c *counters) refuse(code string, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	bump(&c.refused, code)
	bumpDay(&c.codes, c.errors.Day(now), code)
}

func (c *counters) bytes(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sent += int64(n)
}

func bump(m *map[string]int, key string) {
	if *m == nil {
		*m = make(map[string]int)
	}
	(*m)[key]++
}

func bumpDay(m *map[string]map[string]int, day, key string) {
	if *m == nil {
		*m = make(map[string]map[string]int)
	}
	if (*m)[day] == nil {
		(*m)[day] = make(map[string]int)
	}
	(*m)[day][key]++
}

func (c *counters) stats() simulate.Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	return simulate.Stats{
		Calls: c.calls, SentBytes: c.sent,
		ByPath: maps.Clone(c.byPath), ByUser: maps.Clone(c.byUser), Refused: maps.Clone(c.refused),
	}
}

// past makes what another tool did in the week before the start. Today's counts begin with nothing.
func (c *counters) past(seed uint64, now time.Time, email string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	today := c.errors.Day(now)
	for d := 1; d < 7; d++ {
		day := c.errors.Day(now.AddDate(0, 0, -d))
		h := simulate.Hash(seed, saltUsage, uint64(d), 0) //nolint:gosec // positive
		if day == today || d == 5 {
			continue // a day on which nobody called
		}
		c.users = with(c.users, day, email, 200+simulate.Pick(h, 900))
		c.codes = with(c.codes, day, "606", 1+simulate.Pick(simulate.Next(h), 20))
		if d%2 == 0 {
			c.codes[day]["1003"] = 1 + simulate.Pick(simulate.Next(simulate.Next(h)), 5)
		}
	}
}

func with(m map[string]map[string]int, day, of string, n int) map[string]map[string]int {
	if m == nil {
		m = make(map[string]map[string]int)
	}
	m[day] = map[string]int{of: n}
	return m
}

// usage makes the reply of a usage endpoint: one record for each of the last days.
// (Marketo REST API, Usage)
func (s *Server) usage(days int, errors bool) func(*call) {
	list := func(now time.Time) (list []record) {
		s.count.mu.Lock()
		defer s.count.mu.Unlock()
		for d := range days {
			day := s.count.errors.Day(now.AddDate(0, 0, -d))
			counts, of, name := s.count.users[day], "users", "userId"
			if errors {
				counts, of, name = s.count.codes[day], "errors", "errorCode"
			}
			total, each := 0, []record{}
			for _, k := range slices.Sorted(maps.Keys(counts)) {
				total += counts[k]
				each = append(each, record{{name, k}, {"count", counts[k]}})
			}
			if days > 1 {
				s.told.take(day, errors, total, counts)
			}
			list = append(list, record{{"date", day}, {"total", total}, {of, each}})
		}
		return list
	}
	return func(c *call) { c.result(list(c.now)) }
}
