package config

import (
	"math"
	"reflect"
	"time"

	"github.com/martsync/martsync/plan"
)

// priceOptions are the keys of prices, as they stand in the file. What is left out is as in defaultPrices.
type priceOptions struct {
	AsOf     string `yaml:"as_of" jsonschema:"required,description=The day on which these prices were looked up.,example=2026-01-31"`
	Currency string `yaml:"currency" jsonschema:"description=Of the prices below,default=USD"`

	LambdaGBSecond *float64 `yaml:"lambda_gb_second" jsonschema:"minimum=0,description=AWS Lambda: a second with a gigabyte of memory"`
	LambdaMillion  *float64 `yaml:"lambda_million_requests" jsonschema:"minimum=0,description=AWS Lambda: a million invocations"`
	StepsThousand  *float64 `yaml:"step_functions_thousand_transitions" jsonschema:"minimum=0,description=AWS Step Functions: a thousand state transitions"`
	PutsThousand   *float64 `yaml:"s3_thousand_puts" jsonschema:"minimum=0,description=Amazon S3: a thousand PUT requests"`
	GBMonth        *float64 `yaml:"s3_gb_month" jsonschema:"minimum=0,description=Amazon S3: a gigabyte for a month"`
	Credit         *float64 `yaml:"snowflake_credit" jsonschema:"minimum=0,description=Snowflake: a credit, which the smallest warehouse takes in an hour"`
}

// Items of prices: the keys of the configuration.
const (
	LambdaGBSecond = "lambda_gb_second"
	LambdaRequests = "lambda_million_requests"
	Transitions    = "step_functions_thousand_transitions"
	Puts           = "s3_thousand_puts"
	GBMonths       = "s3_gb_month"
	Credits        = "snowflake_credit"
)

// defaultPrices are list prices without volume discounts or a free tier: us-east-1, arm64, S3 Standard; Snowflake
// Standard edition on demand in a region of the United States.
func defaultPrices() plan.Prices {
	const (
		lambda    = "aws.amazon.com/lambda/pricing"
		steps     = "aws.amazon.com/step-functions/pricing"
		s3        = "aws.amazon.com/s3/pricing"
		snowflake = "snowflake.com/pricing"
	)
	return plan.Prices{
		AsOf: time.Date(2025, time.June, 30, 0, 0, 0, 0, time.UTC), Currency: "USD", Source: "built in",
		Items: []plan.Price{
			{Item: LambdaGBSecond, Amount: 0.0000133334, Per: 1, Unit: "GB-seconds", Source: lambda},
			{Item: LambdaRequests, Amount: 0.20, Per: 1_000_000, Unit: "requests", Source: lambda},
			{Item: Transitions, Amount: 0.025, Per: 1_000, Unit: "transitions", Source: steps},
			{Item: Puts, Amount: 0.005, Per: 1_000, Unit: "PUTs", Source: s3},
			{Item: GBMonths, Amount: 0.023, Per: 1, Unit: "GB-months", Source: s3},
			{Item: Credits, Amount: 2.00, Per: 1, Unit: "credits", Source: snowflake},
		},
	}
}

// buildPrices reads the table of prices.
func buildPrices(d *decoder, root *node) plan.Prices {
	prices := defaultPrices()
	n := root.member("prices")
	if n == nil || n.kind == null {
		return prices
	}
	var o priceOptions
	d.decode(n, reflect.ValueOf(&o).Elem(), "prices")
	at := func(key string) *node {
		if m := n.member(key); m != nil {
			return m
		}
		return n
	}
	if n.kind != mapping {
		return prices
	}
	prices.Source = "the configuration"
	asOf, err := time.Parse(time.DateOnly, o.AsOf)
	if err != nil {
		d.problems.at(at("as_of"), "Write the day on which the prices were looked up, such as as_of: 2026-01-31.", "prices need a date")
	}
	prices.AsOf = asOf
	given := map[string]*float64{
		LambdaGBSecond: o.LambdaGBSecond, LambdaRequests: o.LambdaMillion, Transitions: o.StepsThousand,
		Puts: o.PutsThousand, GBMonths: o.GBMonth, Credits: o.Credit,
	}
	other := o.Currency != "" && o.Currency != prices.Currency
	if other {
		prices.Currency = o.Currency
	}
	for i := range prices.Items {
		p := &prices.Items[i]
		v := given[p.Item]
		switch {
		case v == nil && other:
			d.problems.at(n, "Those that are left out are in USD; give all of them, in one currency.", "prices in %s lack %s", o.Currency, p.Item)
		case v == nil:
		case math.IsNaN(*v) || math.IsInf(*v, 0) || *v < 0:
			d.problems.at(at(p.Item), "", "%s is not a price", p.Item)
		default:
			p.Amount, p.Source = *v, prices.Source
		}
	}
	return prices
}
