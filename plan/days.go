package plan

import (
	"fmt"

	"github.com/martsync/martsync"
)

// A demand is what is left of a stream's costs, parallel to the totals of the plan.
type demand struct {
	left   []float64
	stream int // index in Plan.Streams
}

// simulate goes through the days. On each, the streams take in their order what they can of what is left of the
// limits, all of a stream's costs in the same proportion: half of its calls make half of its bytes. So each day either
// everything is read, or for each stream that is not, one of the limits it needs is used up. A stream that waits
// for one limit does not keep the others from using what is left of the rest.
//
// It tells how many days there are, and on which each stream is done; 0: it takes nothing.
func (p *Plan) simulate(costs func(martsync.Estimate) []martsync.Cost) (days int, each []int, err error) {
	each = make([]int, len(p.Streams))
	var open []*demand
	for i, s := range p.Streams {
		d := &demand{left: make([]float64, len(p.Totals)), stream: i}
		any := false
		for _, c := range costs(s.Estimate) {
			t := p.total(c.Name)
			d.left[t] += float64(c.Amount)
			any = any || c.Amount > 0
		}
		if any {
			open = append(open, d)
		}
	}
	rest := make([]float64, len(p.Totals))
	for day := 1; len(open) > 0; day++ {
		if day > MostDays {
			return 0, nil, refuse(errNever, "The estimate or a limit is wrong, or it is too much for this account.")
		}
		for t := range p.Totals {
			rest[t] = float64(p.Totals[t].PerDay)
			if day == 1 {
				rest[t] = float64(p.Totals[t].First)
			}
		}
		still := open[:0]
		for _, d := range open {
			if d.take(p.Totals, rest) {
				each[d.stream], days = day, day
				continue
			}
			still = append(still, d)
		}
		open = still
	}
	return days, each, nil
}

// take reads as much of a stream as the rest of the day allows, and reports whether that was all.
func (d *demand) take(totals []Total, rest []float64) bool {
	part := 1.0
	for t, want := range d.left {
		if totals[t].PerDay > 0 && want > rest[t] {
			part = min(part, rest[t]/want)
		}
	}
	for t, want := range d.left {
		got := want * part
		if part == 1 {
			got = want
		}
		d.left[t] = max(0, want-got)
		rest[t] = max(0, rest[t]-got)
	}
	if part == 1 {
		return true
	}
	// What remains of rounding is no reason for another day.
	for _, want := range d.left {
		if want > 1e-6 {
			return false
		}
	}
	return true
}

// total finds a total that add has made.
func (p *Plan) total(name string) int {
	for i, t := range p.Totals {
		if t.Name == name {
			return i
		}
	}
	panic(fmt.Sprintf("plan: %s was not added", name))
}
