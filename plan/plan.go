// Package plan tells what a sync will take before it runs, and afterwards how far off that was.
//
// It turns what a source estimates for each stream (martsync.Estimate), the limits of the account and a share of them
// into calls, bytes, jobs and days, by going through the days one by one; and quantities of other things that are
// paid for into money, by a table of prices. How much there is to read is the source's to say, where the prices come
// from the configuration's, and what the reader sees the command's. The method and its error stand in docs/plan.md.
package plan

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/martsync/martsync"
)

// DefaultShare is the part of an account's limits that a plan takes unless somebody says otherwise.
const DefaultShare = 0.8

// A Limit is what may be had of something in a day.
type Limit struct {
	Name   string `json:"name"` // as in martsync.Cost
	Unit   string `json:"unit"`
	PerDay int64  `json:"per_day"` // of the whole account; 0: there is no limit
	Own    int64  `json:"own"`     // of it, what the source may take by its configuration; 0: all
	Today  int64  `json:"today"`   // of PerDay, what everybody has taken today; -1: not known
	Taken  int64  `json:"taken"`   // of Own, what has been taken today; -1: not known
}

// A Plan is what reading some streams takes.
type Plan struct {
	Sync    string    `json:"sync"`
	At      time.Time `json:"at"`    // when it was made
	Share   float64   `json:"share"` // of the limits
	Limits  []Limit   `json:"limits"`
	Streams []Stream  `json:"streams"`
	Totals  []Total   `json:"totals"`            // largest part of its limit first
	Rows    int64     `json:"rows"`              // of streams that could tell
	Bytes   int64     `json:"bytes"`             // of streams that could tell
	Days    int       `json:"days"`              // quota days until everything has been read; today is the first
	Most    int       `json:"most_days"`         // the same if everything takes the most; 0: more than can be told
	Decides string    `json:"decides,omitempty"` // the limit of which it takes most; "": none
	Unknown []string  `json:"unknown,omitempty"` // streams that could tell neither rows nor bytes
	Open    []string  `json:"open,omitempty"`    // streams that may take more than they could tell, those among them
}

// A Stream is the estimate of a stream, and the day on which it is done.
type Stream struct {
	martsync.Estimate
	Day int `json:"day"` // quota days until it is read; 0: it takes nothing of any limit
}

// A Total is what all streams together take of a limit.
type Total struct {
	Name   string `json:"name"`
	Unit   string `json:"unit"`
	Amount int64  `json:"amount"`
	Most   int64  `json:"most"`    // what it may be, as far as estimates can be wrong; -1: nobody knows
	PerDay int64  `json:"per_day"` // what the plan takes on each day; 0: there is no limit
	First  int64  `json:"first"`   // what it can take on the first day; counts only where PerDay is set
	Days   int    `json:"days"`    // it would take if nothing else counted; 0: there is no limit
	Held   bool   `json:"held"`    // by the source's own configuration rather than by the share
}

// MostDays is where a simulation stops: what takes longer is refused.
const MostDays = 100 * 366

// Make simulates reading the estimates, in their order, day by day, with share of the limits. A limit that is missing
// counts as none. It refuses shares outside (0, 1], negative amounts, and what would take longer than MostDays.
func Make(sync string, at time.Time, estimates []martsync.Estimate, limits []Limit, share float64) (*Plan, error) {
	if !(share > 0 && share <= 1) {
		return nil, refuse(fmt.Errorf("the share is %v", share), "It is a part of the account's limits: more than 0, at most 1.")
	}
	p := &Plan{Sync: sync, At: at, Share: share, Limits: slices.Clone(limits)}
	for _, e := range estimates {
		p.Streams = append(p.Streams, Stream{Estimate: e})
		p.Rows += max(e.Rows, 0)
		p.Bytes += max(e.Bytes, 0)
		if e.Rows < 0 && e.Bytes < 0 {
			p.Unknown = append(p.Unknown, e.Stream)
		}
		if e.Open {
			p.Open = append(p.Open, e.Stream)
		}
		for _, c := range e.Costs {
			if err := p.add(e.Stream, c, false); err != nil {
				return nil, err
			}
		}
		for _, c := range most(e) {
			if err := p.add(e.Stream, c, true); err != nil {
				return nil, err
			}
		}
	}
	for i := range p.Totals {
		if err := p.Totals[i].fill(limits, share); err != nil {
			return nil, err
		}
	}
	if err := p.finish(); err != nil {
		return nil, err
	}
	slices.SortStableFunc(p.Totals, func(a, b Total) int { return cmp.Compare(b.part(), a.part()) })
	if len(p.Totals) > 0 && p.Totals[0].part() > 0 {
		p.Decides = p.Totals[0].Name
	}
	return p, nil
}

func refuse(err error, hint string) error {
	return &martsync.Error{Kind: martsync.Config, Op: "plan", Hint: hint, Err: err}
}

// most are the costs of a stream at most.
func most(e martsync.Estimate) []martsync.Cost {
	if e.Most == nil {
		return e.Costs
	}
	return e.Most
}

// finish goes through the days: with what is likely, and with the most. What nobody knows may take any limit.
func (p *Plan) finish() error {
	days, each, err := p.simulate(func(e martsync.Estimate) []martsync.Cost { return e.Costs })
	if err != nil {
		return err
	}
	p.Days = days
	for i := range p.Streams {
		p.Streams[i].Day = each[i]
	}
	if len(p.Open) > 0 {
		for i := range p.Totals {
			p.Totals[i].Most = -1
		}
		return nil
	}
	p.Most, _, err = p.simulate(most)
	if errors.Is(err, errNever) {
		return nil // the likely way ends; this one does not
	}
	p.Most = max(p.Most, p.Days)
	return err
}

// add counts a cost.
func (p *Plan) add(stream string, c martsync.Cost, most bool) error {
	if c.Amount < 0 {
		return refuse(fmt.Errorf("%s takes %d %s", stream, c.Amount, c.Unit), "")
	}
	i := slices.IndexFunc(p.Totals, func(t Total) bool { return t.Name == c.Name })
	if i < 0 {
		p.Totals = append(p.Totals, Total{Name: c.Name, Unit: c.Unit})
		i = len(p.Totals) - 1
	}
	sum := &p.Totals[i].Amount
	if most {
		sum = &p.Totals[i].Most
	}
	if *sum > math.MaxInt64-c.Amount {
		return refuse(fmt.Errorf("%s: %w", c.Name, errNever), "")
	}
	*sum += c.Amount
	return nil
}

var errNever = errors.New("it would take more than a hundred years")

// fill finds out how much of a limit there is.
func (t *Total) fill(limits []Limit, share float64) error {
	i := slices.IndexFunc(limits, func(l Limit) bool { return l.Name == t.Name })
	if i < 0 {
		return nil
	}
	l := limits[i]
	if l.PerDay < 0 || l.Own < 0 {
		return refuse(fmt.Errorf("the limit of %s is negative", l.Name), "")
	}
	switch {
	case l.PerDay > 0:
		// At least one, so that a tiny limit is a long time rather than never.
		t.PerDay = max(1, int64(share*float64(l.PerDay)+1e-9))
		t.First = t.PerDay - max(l.Today, 0)
	case l.Own > 0:
		t.PerDay, t.First = l.Own, l.Own
	default:
		return nil
	}
	if l.Own > 0 && l.Own < t.PerDay {
		t.PerDay, t.Held = l.Own, true
	}
	if l.Own > 0 {
		t.First = min(t.First, l.Own-max(l.Taken, 0))
	}
	t.First = max(0, min(t.First, t.PerDay))
	t.Days = daysFor(t.Amount, t.First, t.PerDay)
	return nil
}

// part is how much of a day's limit it takes; 0: there is no limit.
func (t Total) part() float64 {
	if t.PerDay <= 0 {
		return 0
	}
	return float64(t.Amount) / float64(t.PerDay)
}

// daysFor is how many days an amount takes if the first day has first and each later one perDay.
func daysFor(amount, first, perDay int64) int {
	switch {
	case amount <= 0:
		return 0
	case amount <= first:
		return 1
	}
	rest := amount - first
	return int(min(1+(rest-1)/perDay+1, math.MaxInt32))
}
