package plan_test

import (
	"math"
	"testing"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/plan"
)

func table() plan.Prices {
	return plan.Prices{
		AsOf: time.Date(2025, 11, 22, 0, 0, 0, 0, time.UTC), Currency: "EUR",
		Items: []plan.Price{{Item: "puts", Amount: 0.005, Per: 1000, Unit: "PUTs"}, {Item: "credit", Amount: 3, Per: 1, Unit: "credits"}},
	}
}

func TestBill(t *testing.T) {
	charges, err := table().Bill([]plan.Use{
		{Item: "puts", Amount: 4000}, {Item: "credit", Amount: 0.5}, {Item: "credit", Amount: 2, Monthly: true},
	})
	if err != nil {
		t.Fatal(err)
	}
	if once, monthly := plan.Sum(charges, false), plan.Sum(charges, true); math.Abs(once-1.52) > 1e-9 || monthly != 6 {
		t.Errorf("got %v once and %v a month, want 1.52 and 6", once, monthly)
	}
	if charges[0].Unit != "PUTs" {
		t.Errorf("unit: got %q, want that of the price", charges[0].Unit)
	}
}

func TestBillRefuses(t *testing.T) {
	tests := map[string]struct {
		spoil func(*plan.Prices)
		use   plan.Use
	}{
		"no price":            {func(*plan.Prices) {}, plan.Use{Item: "gold", Amount: 1}},
		"a negative amount":   {func(*plan.Prices) {}, plan.Use{Item: "puts", Amount: -1}},
		"no number":           {func(*plan.Prices) {}, plan.Use{Item: "puts", Amount: math.NaN()}},
		"endlessly much":      {func(*plan.Prices) {}, plan.Use{Item: "puts", Amount: math.Inf(1)}},
		"a negative price":    {func(p *plan.Prices) { p.Items[0].Amount = -1 }, plan.Use{Item: "puts", Amount: 1}},
		"a price for nothing": {func(p *plan.Prices) { p.Items[0].Per = 0 }, plan.Use{Item: "puts", Amount: 1}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			prices := table()
			tt.spoil(&prices)
			if charges, err := prices.Bill([]plan.Use{tt.use}); martsync.KindOf(err) != martsync.Config || err == nil {
				t.Errorf("got %v, %v, want an error of kind config", charges, err)
			}
		})
	}
}

func TestPricesGrowOld(t *testing.T) {
	p := table()
	if p.Old(time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)) {
		t.Error("prices of a year ago are old already")
	}
	if !p.Old(time.Date(2026, 11, 22, 0, 0, 1, 0, time.UTC)) {
		t.Error("prices of more than a year ago are not old")
	}
}
