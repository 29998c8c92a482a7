package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/report"
	planning "github.com/martsync/martsync/plan"
)

// showPlan writes a plan for people.
func (a *app) showPlan(r *planReport) error {
	if err := a.showPlanned(r.Plan); err != nil {
		return err
	}
	if err := a.showLimits(r.Plan); err != nil {
		return err
	}
	if err := a.showSavings(r); err != nil {
		return err
	}
	if err := a.showRegular(r); err != nil {
		return err
	}
	if err := a.showCosts(r); err != nil {
		return err
	}
	if line := usageLine(r.Spent); line != "" {
		a.print("  %s", a.out.Paint(report.Dim, "planning took: "+line))
	}
	if len(r.Skipped) > 0 {
		a.say("%s: this account does not have %s, or nobody can say how much there is.", a.err.Paint(report.Yellow, "Note"), strings.Join(r.Skipped, ", "))
	}
	if len(r.Unknown) > 0 {
		more := ""
		if r.limited {
			more = " With more --calls planning looks at more."
		}
		a.say("%s: how much there is of %s is not known. The plan counts the calls that they take at least.%s", a.err.Paint(report.Yellow, "Note"), strings.Join(r.Unknown, ", "), more)
	}
	if r.whatIf {
		a.say("This plan is not kept: the flags say what it is about. martsync sync %s reads what the configuration says.", r.Sync)
		return nil
	}
	a.say("martsync sync %s begins. Its summary and martsync runs show what was planned beside what was used.", r.Sync)
	return nil
}

// showPlanned lists the streams.
func (a *app) showPlanned(p *planning.Plan) error {
	t := report.Table{Columns: []report.Column{
		{Name: p.Sync},
		{Name: "from"},
		{Name: "rows", Right: true},
		{Name: "size", Right: true},
		{Name: "calls", Right: true},
		{Name: "jobs", Right: true},
		{Name: "done", Right: true},
		{Name: "known by", Flexible: true},
	}}
	for _, s := range p.Streams {
		from := "the beginning"
		if !s.From.IsZero() {
			from = s.From.UTC().Format(time.DateOnly)
		}
		t.Add(s.Stream, from, unknownOr(s.Rows, report.Count), unknownOr(s.Bytes, report.Bytes), ofUnit(s.Costs, "calls"), ofUnit(s.Costs, "jobs"),
			dayText(s.Day), string(s.Basis)+": "+s.Detail)
	}
	t.Add("total", "", report.Count(p.Rows), report.Bytes(p.Bytes), totalOf(p, "calls"), totalOf(p, "jobs"), dayText(p.Days), "")
	return t.WriteTo(a.out)
}

func unknownOr(n int64, show func(int64) string) string {
	if n < 0 {
		return "?"
	}
	return show(n)
}

func ofUnit(costs []martsync.Cost, unit string) string {
	n := int64(0)
	for _, c := range costs {
		if c.Unit == unit {
			n += c.Amount
		}
	}
	return report.Count(n)
}

func totalOf(p *planning.Plan, unit string) string {
	n := int64(0)
	for _, t := range p.Totals {
		if t.Unit == unit {
			n += t.Amount
		}
	}
	return report.Count(n)
}

func dayText(day int) string {
	switch day {
	case 0:
		return ""
	case 1:
		return "today"
	default:
		return fmt.Sprintf("day %d", day)
	}
}

// showLimits says what the plan takes of each limit, and which of them decides.
func (a *app) showLimits(p *planning.Plan) error {
	t := report.Table{Columns: []report.Column{
		{Name: "limit"}, {Name: "needed", Right: true}, {Name: "a day", Right: true}, {Name: "today", Right: true}, {Name: "days", Right: true}, {Name: "", Flexible: true},
	}}
	for _, x := range p.Totals {
		perDay, first, days, note := "no limit", "", "", ""
		if x.PerDay > 0 {
			perDay, first, days = amountText(x.PerDay, x.Unit), amountText(x.First, x.Unit), report.Count(int64(x.Days))
			i := slices.IndexFunc(p.Limits, func(l planning.Limit) bool { return l.Name == x.Name })
			note = fmt.Sprintf("%.0f %% of the account's %s", 100*p.Share, amountText(p.Limits[i].PerDay, x.Unit))
			if x.Held {
				note = "what the source's limits allow it; the account has " + amountText(p.Limits[i].PerDay, x.Unit)
			}
		}
		t.Add(x.Name, neededText(x), perDay, first, days, note)
	}
	a.print("")
	if err := t.WriteTo(a.out); err != nil {
		return err
	}
	a.print("")
	for _, line := range conclusion(p) {
		a.print("%s", line)
	}
	return nil
}

// neededText is what is needed of a limit: a range where the estimates may be wrong.
func neededText(t planning.Total) string {
	switch least := amountText(t.Amount, t.Unit); {
	case t.Most < 0:
		return "at least " + least
	case t.Most > t.Amount && amountText(t.Most, t.Unit) != least:
		return least + " – " + amountText(t.Most, t.Unit)
	default:
		return least
	}
}

// conclusion says when everything has been read, and how sure that is.
func conclusion(p *planning.Plan) (lines []string) {
	what := "Everything"
	if len(p.Open) > 0 {
		what = "What could be estimated"
	}
	switch {
	case len(p.Totals) == 0 && len(p.Open) == 0:
		return []string{"Nothing is to be read."}
	case p.Days <= 1:
		lines = []string{what + " can be read today, as far as the limits go."}
	default:
		lines = []string{fmt.Sprintf("%s has been read on day %d, counting today as the first. What decides is the limit of %s.", what, p.Days, p.Decides)}
	}
	switch {
	case len(p.Open) > 0:
		lines = append(lines, fmt.Sprintf("It may take longer: nobody knows how much there is of %s.", someOf(p.Open)))
	case p.Most > p.Days:
		lines = append(lines, fmt.Sprintf("It may be day %d: the estimates may be too low.", p.Most))
	case p.Most == 0 && p.Days > 0:
		lines = append(lines, "It may take far longer: the estimates may be too low.")
	}
	return lines
}

// someOf names streams, the first of them only if they are many.
func someOf(streams []string) string {
	const most = 8
	if len(streams) <= most {
		return strings.Join(streams, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(streams[:most], ", "), len(streams)-most)
}

func amountText(n int64, unit string) string {
	if unit == "bytes" {
		return report.Bytes(n)
	}
	return report.Count(n)
}

// showSavings says what takes most, and what leaves it out.
func (a *app) showSavings(r *planReport) error {
	if len(r.Savings) == 0 {
		return nil
	}
	t := report.Table{Columns: []report.Column{
		{Name: "what takes most"}, {Name: ""}, {Name: "size", Right: true}, {Name: "of " + cmp.Or(r.Decides, "all"), Right: true}, {Name: "days without", Right: true}, {Name: "left out by", Flexible: true},
	}}
	for _, s := range r.Savings {
		stream, days := s.Stream, ""
		if s.Name != "" {
			stream = ""
		}
		if s.Omit != "" {
			days = report.Count(int64(s.Days))
		}
		part := ""
		if s.Part >= 0 {
			part = fmt.Sprintf("%.0f %%", 100*s.Part)
		}
		t.Add(stream, s.Name, unknownOr(s.Bytes, report.Bytes), part, days, s.Omit)
	}
	a.print("")
	return t.WriteTo(a.out)
}

// showRegular says what a sync takes once everything has been read.
func (a *app) showRegular(r *planReport) error {
	if r.Regular == nil {
		return nil
	}
	var parts []string
	for _, t := range r.Regular.Totals {
		part := t.Name + " " + amountText(t.Amount, t.Unit)
		if t.PerDay > 0 {
			part += fmt.Sprintf(" (%.1f %% of a day's)", 100*float64(t.Amount)/float64(t.PerDay))
		}
		parts = append(parts, part)
	}
	a.print("")
	a.print("After that a sync every %s takes at most about: %s", report.Duration(r.Every), strings.Join(parts, " · "))
	return nil
}

// showCosts says what running it costs.
func (a *app) showCosts(r *planReport) error {
	t := report.Table{Columns: []report.Column{
		{Name: "money"}, {Name: "what"}, {Name: "now", Right: true}, {Name: r.Prices.Currency, Right: true}, {Name: "a month", Right: true}, {Name: r.Prices.Currency, Right: true}, {Name: "price", Flexible: true},
	}}
	for _, p := range r.Prices.Items {
		var row [2]*planning.Charge
		for i := range r.Costs {
			c := &r.Costs[i]
			if c.Item != p.Item {
				continue
			}
			if c.Monthly {
				row[1] = c
			} else {
				row[0] = c
			}
		}
		if row[0] == nil && row[1] == nil {
			continue
		}
		service := ""
		var cells []string
		for _, c := range row {
			if c == nil {
				cells = append(cells, "", "")
				continue
			}
			service = c.Service
			cells = append(cells, quantityText(c.Amount), moneyText(c.Money))
		}
		price := fmt.Sprintf("%s for %s", priceText(p.Amount), report.Count(int64(p.Per)))
		t.Add(append([]string{service, p.Unit}, append(cells, price)...)...)
	}
	t.Add("total", "", "", moneyText(planning.Sum(r.Costs, false)), "", moneyText(planning.Sum(r.Costs, true)), "")
	a.print("")
	if err := t.WriteTo(a.out); err != nil {
		return err
	}
	a.print("  %s", a.out.Paint(report.Dim, fmt.Sprintf("prices: %s, as of %s; Lambda and Step Functions only if it runs there",
		r.Prices.Source, r.Prices.AsOf.Format(time.DateOnly))))
	if r.Prices.Old(a.clock.Now()) {
		a.say("%s: the prices are of %s, more than a year ago. Put today's under prices: in the configuration.",
			a.err.Paint(report.Yellow, "Note"), r.Prices.AsOf.Format(time.DateOnly))
	}
	return nil
}

func quantityText(x float64) string {
	if x >= 100 {
		return report.Count(int64(x + 0.5))
	}
	return fmt.Sprintf("%.2f", x)
}

func moneyText(x float64) string {
	if x > 0 && x < 0.005 {
		return "<0.01"
	}
	return fmt.Sprintf("%.2f", x)
}

// priceText writes a price with all its digits.
func priceText(x float64) string {
	return strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%.10f", x), "0"), ".")
}
