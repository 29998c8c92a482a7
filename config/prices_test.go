package config

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/plan"
)

func priceOf(t *testing.T, p plan.Prices, item string) plan.Price {
	t.Helper()
	for _, x := range p.Items {
		if x.Item == item {
			return x
		}
	}
	t.Fatalf("there is no %s", item)
	return plan.Price{}
}

func TestPrices(t *testing.T) {
	load := func(t *testing.T, prices string) (*Config, error) {
		t.Helper()
		o := connectors(new([]any))
		o.Getenv = environment("SHOP_SECRET", "x", "CALLS", "1")
		return Load(write(t, t.TempDir(), FileName, good+prices), o)
	}
	t.Run("none", func(t *testing.T) {
		c, err := load(t, "")
		if err != nil {
			t.Fatal(err)
		}
		if c.Prices.Source != "built in" || c.Prices.AsOf.IsZero() || c.Prices.Currency != "USD" {
			t.Errorf("got %+v, want the built in prices with their date", c.Prices)
		}
		for _, p := range c.Prices.Items {
			if p.Amount <= 0 || p.Per <= 0 || p.Unit == "" || p.Source == "" {
				t.Errorf("%+v is no price", p)
			}
		}
	})
	t.Run("one of them", func(t *testing.T) {
		c, err := load(t, "prices:\n  as_of: 2026-01-31\n  snowflake_credit: 3.7\n")
		if err != nil {
			t.Fatal(err)
		}
		if got := priceOf(t, c.Prices, Credits); got.Amount != 3.7 || got.Source != "the configuration" {
			t.Errorf("credit: got %+v", got)
		}
		if got, want := priceOf(t, c.Prices, Puts), priceOf(t, defaultPrices(), Puts); got != want {
			t.Errorf("puts: got %+v, want %+v", got, want)
		}
		if want := time.Date(2026, 1, 31, 0, 0, 0, 0, time.UTC); !c.Prices.AsOf.Equal(want) {
			t.Errorf("as of: got %v, want %v", c.Prices.AsOf, want)
		}
	})
	t.Run("another currency", func(t *testing.T) {
		c, err := load(t, "prices: {as_of: 2026-01-31, currency: EUR, lambda_gb_second: 1, lambda_million_requests: 2, "+
			"step_functions_thousand_transitions: 3, s3_thousand_puts: 4, s3_gb_month: 0, snowflake_credit: 6}\n")
		if err != nil {
			t.Fatal(err)
		}
		if got := priceOf(t, c.Prices, GBMonths); c.Prices.Currency != "EUR" || got.Amount != 0 {
			t.Errorf("got %s and %+v", c.Prices.Currency, got)
		}
	})
	for name, tt := range map[string]struct{ prices, message string }{
		"no date":                {"prices: {snowflake_credit: 3}", "prices need a date"},
		"no date at all":         {"prices: {as_of: yesterday}", "prices need a date"},
		"a negative price":       {"prices: {as_of: 2026-01-31, s3_gb_month: -1}", "s3_gb_month is not a price"},
		"no number":              {"prices: {as_of: 2026-01-31, s3_gb_month: nan}", "s3_gb_month is not a price"},
		"a text":                 {"prices: {as_of: 2026-01-31, s3_gb_month: cheap}", "s3_gb_month"},
		"a key nobody knows":     {"prices: {as_of: 2026-01-31, gold: 1}", `unknown key "gold"`},
		"two currencies at once": {"prices: {as_of: 2026-01-31, currency: EUR, snowflake_credit: 3}", "prices in EUR lack"},
		"a list":                 {"prices: [1]", "prices"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := load(t, tt.prices+"\n")
			var found Problems
			if !errors.As(err, &found) || martsync.KindOf(err) != martsync.Config || !strings.Contains(err.Error(), tt.message) {
				t.Errorf("got %v, want a problem with %q", err, tt.message)
			}
		})
	}
}

func TestPricesAreInTheSchema(t *testing.T) {
	o := connectors(new([]any))
	text, err := JSONSchema(o.Sources, o.Destinations)
	if err != nil {
		t.Fatal(err)
	}
	var schema struct {
		Properties struct {
			Prices struct {
				OneOf []struct {
					Properties map[string]any
					Required   []string
				}
			}
		}
	}
	if err := json.Unmarshal(text, &schema); err != nil {
		t.Fatal(err)
	}
	prices := schema.Properties.Prices.OneOf[0]
	for _, p := range defaultPrices().Items {
		if prices.Properties[p.Item] == nil {
			t.Errorf("the schema lacks %s", p.Item)
		}
	}
	if len(prices.Required) != 1 || prices.Required[0] != "as_of" {
		t.Errorf("required: got %v, want as_of", prices.Required)
	}
}
