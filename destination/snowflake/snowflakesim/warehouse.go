//go:build cgo && !lite

package snowflakesim

import (
	"math"
	"strings"
	"time"
)

// A house is a warehouse and its meter. It is guarded by Server.mu.
type house struct {
	Warehouse
	resumes int
	since   time.Time // of the last resume, while it runs
	used    time.Time // end of the last statement
	running int
	billed  float64 // seconds of runs that are over
	spans   []span
}

type span struct{ from, to time.Time }

func newHouse(w Warehouse) *house {
	if w.Size == "" {
		w.Size = "X-Small"
	}
	if w.AutoSuspend == 0 {
		w.AutoSuspend = time.Minute
	}
	return &house{Warehouse: w}
}

// creditsPerHour by size. Source: Snowflake documentation, Overview of warehouses.
var creditsPerHour = map[string]float64{"XSMALL": 1, "SMALL": 2, "MEDIUM": 4, "LARGE": 8, "XLARGE": 16, "XXLARGE": 32, "2XLARGE": 32}

func (h *house) rate() float64 {
	return creditsPerHour[strings.ToUpper(strings.NewReplacer("-", "", "_", "").Replace(h.Size))]
}

// minimum is what each resume costs at least.
const minimum = 60 // seconds

func (h *house) settle(now time.Time) {
	if h.Started && h.running == 0 && h.AutoSuspend > 0 && now.Sub(h.used) >= h.AutoSuspend {
		h.suspend(h.used.Add(h.AutoSuspend))
	}
}

func (h *house) suspend(at time.Time) {
	if !h.Started {
		return
	}
	h.Started = false
	h.billed += math.Max(minimum, at.Sub(h.since).Seconds())
	h.spans = append(h.spans, span{h.since, at})
}

func (h *house) resume(now time.Time) {
	h.Started, h.since, h.used = true, now, now
	h.resumes++
}

// A Meter is what a warehouse has cost.
type Meter struct {
	Resumes int
	Started bool
	Seconds float64 // billed: at least 60 a resume
	Credits float64
}

// Meter tells what a warehouse has cost so far.
func (s *Server) Meter(warehouse string) Meter {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.houses[warehouse]
	if h == nil {
		return Meter{}
	}
	now := s.opt.Clock.Now()
	h.settle(now)
	m := Meter{Resumes: h.resumes, Started: h.Started, Seconds: h.billed}
	if h.Started {
		m.Seconds += math.Max(minimum, now.Sub(h.since).Seconds())
	}
	m.Credits = m.Seconds / 3600 * h.rate()
	return m
}

// Suspend suspends a warehouse now. noResume also keeps it from resuming by itself.
func (s *Server) Suspend(warehouse string, noResume bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if h := s.houses[warehouse]; h != nil {
		h.suspend(s.opt.Clock.Now())
		h.NoResume = noResume
	}
}

// SetQuota says whether the resource monitor of a warehouse has spent its quota.
func (s *Server) SetQuota(warehouse string, spent bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if h := s.houses[warehouse]; h != nil {
		h.Quota = spent
		if spent {
			h.suspend(s.opt.Clock.Now())
		}
	}
}

// DropWarehouse removes a warehouse.
func (s *Server) DropWarehouse(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.houses, name)
}

// useWarehouse makes the session's warehouse run. The function it returns ends the use.
func (s *Server) useWarehouse(c *session) (func(), error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.houses[c.warehouse]
	if h == nil || !c.may("USAGE", "WAREHOUSE", c.warehouse) {
		return nil, refuse("000606", "57P03", "No active warehouse selected in the current session.  Select an active warehouse with the 'use warehouse' command.")
	}
	now := s.opt.Clock.Now()
	h.settle(now)
	if !h.Started {
		switch {
		case h.Quota:
			return nil, refuse("090073", "22000", "Warehouse '%s' cannot be resumed because resource monitor 'LIMIT' has exceeded its quota.", h.Name)
		case h.NoResume:
			return nil, refuse("000606", "57P03", "No active warehouse selected in the current session.  Select an active warehouse with the 'use warehouse' command.")
		}
		h.resume(now)
	}
	h.running++
	c.ran = h.Name
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		h.running--
		h.used = s.opt.Clock.Now()
		if s.opt.StatementTime > 0 {
			h.used = now.Add(s.opt.StatementTime)
		}
	}, nil
}
