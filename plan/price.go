package plan

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// Prices are a table of prices.
type Prices struct {
	AsOf     time.Time `json:"as_of"`    // the day on which they were looked up
	Currency string    `json:"currency"` // "USD"
	Source   string    `json:"source"`   // where they were looked up: the configuration, or a list
	Items    []Price   `json:"items"`
}

// A Price is what something costs.
type Price struct {
	Item   string  `json:"item"`   // as in Use
	Amount float64 `json:"amount"` // of money, for Per units
	Per    float64 `json:"per"`    // how many units: 1,000 requests
	Unit   string  `json:"unit"`   // of Use.Amount: "requests"
	Source string  `json:"source,omitempty"`
}

// A Use is how much of something is needed.
type Use struct {
	Service string  `json:"service"` // for the reader: which service it belongs to
	Item    string  `json:"item"`
	Amount  float64 `json:"amount"` // in units of the price
	Monthly bool    `json:"monthly,omitzero"`
}

// A Charge is the price of a Use.
type Charge struct {
	Use
	Unit  string  `json:"unit"`
	Money float64 `json:"money"`
}

// pricesOld is from when on prices are worth a look.
const pricesOld = 365 * 24 * time.Hour

// Old reports whether the prices were looked up more than a year before now.
func (p Prices) Old(now time.Time) bool { return now.Sub(p.AsOf) > pricesOld }

// Bill prices what is needed. It refuses what has no price, and amounts that are no amounts.
func (p Prices) Bill(uses []Use) ([]Charge, error) {
	charges := make([]Charge, 0, len(uses))
	for _, u := range uses {
		i := slices.IndexFunc(p.Items, func(x Price) bool { return x.Item == u.Item })
		if i < 0 {
			return nil, refuse(fmt.Errorf("%s has no price", u.Item), "")
		}
		x := p.Items[i]
		if !(x.Per > 0) || !(x.Amount >= 0) || math.IsInf(x.Amount, 0) || !(u.Amount >= 0) || math.IsInf(u.Amount, 0) {
			return nil, refuse(fmt.Errorf("%s: %v units at %v for %v", u.Item, u.Amount, x.Amount, x.Per), "")
		}
		charges = append(charges, Charge{Use: u, Unit: x.Unit, Money: u.Amount * x.Amount / x.Per})
	}
	return charges, nil
}

// Sum adds up the charges that come once, or those that come each month.
func Sum(charges []Charge, monthly bool) (money float64) {
	for _, c := range charges {
		if c.Monthly == monthly {
			money += c.Money
		}
	}
	return money
}
