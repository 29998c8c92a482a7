package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/report"
	"github.com/martsync/martsync/state"
)

func (a *app) adoptCommand() *cobra.Command {
	var yes, asJSON bool
	c := &cobra.Command{
		Use:   "adopt [SYNC]",
		Short: "Begins tables with the rows of tables that another program made",
		Long: `Shows how the tables of a sync would begin with the rows of tables that another program has made: which
tables and columns the configuration (adopt: of the destination) maps to which, and the SQL that would run.
With --yes it is done. The other tables stay as they are.

A sync goes on from there with "start: table": where each table ends.`,
		Example: "  martsync adopt            # shows it\n  martsync adopt --yes      # does it",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, cancel := interruptible(cmd)
			defer cancel()
			return a.adopt(ctx, strings.Join(args, ""), yes, asJSON)
		},
	}
	c.Flags().BoolVar(&yes, "yes", false, "do it")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func (a *app) adopt(ctx context.Context, name string, yes, asJSON bool) (err error) {
	d, s, err := a.openDefiner(ctx, name)
	if err != nil {
		return err
	}
	defer closing(d.destination, &err)
	adopter, ok := d.destination.(martsync.Adopter)
	if !ok {
		return errNoAbility("adopt tables", s.Destination.Name, s.Destination.Connector.Title)
	}
	var lease *state.Lease
	if yes { // a sync would make the tables meanwhile, or write to them
		lease, err = a.hold(ctx, d.config, d.source.Account(), "adopt "+s.Name)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, lease.Release(context.WithoutCancel(ctx))) }()
	}
	streams, err := d.source.Streams(ctx)
	if err != nil {
		return err
	}
	var schemas []martsync.Schema
	for _, stream := range streams {
		schemas = append(schemas, stream.Schema())
	}
	plans, err := adopter.Adopt(ctx, schemas)
	if err != nil {
		return err
	}
	if len(plans) == 0 {
		return &martsync.Error{
			Kind: martsync.Config, Op: "adopt tables into " + s.Destination.Name, Err: errors.New("the configuration names none"),
			Hint: "Map them with adopt: of the destination.",
		}
	}
	problems := 0
	for i := range plans {
		problems += len(plans[i].Problems)
		if !asJSON {
			a.showAdoption(&plans[i])
		}
	}
	if asJSON {
		if err := a.writeJSON(map[string]any{"sync": s.Name, "tables": plans}); err != nil {
			return err
		}
	}
	switch {
	case problems > 0:
		a.say("%s in the way. Nothing was changed.", report.Plural(int64(problems), "problem is", "problems are"))
		return exit(martsync.Data.ExitCode())
	case !yes:
		a.say("Nothing was changed. martsync adopt %s --yes does it.", s.Name)
		return nil
	}
	for i := range plans {
		if err := lease.Keep(ctx); err != nil {
			return err
		}
		if err := d.definer.Exec(ctx, plans[i].Statements); err != nil {
			return fmt.Errorf("adopt %s: %w", plans[i].Table, err)
		}
		a.say("%s begins with the %s of %s.", plans[i].Stream, report.Plural(plans[i].Rows, "row", "rows"), plans[i].Table)
	}
	return nil
}

// showAdoption prints a plan.
func (a *app) showAdoption(p *martsync.Adoption) {
	width, _ := a.out.Size()
	from := "from the beginning"
	if !p.Newest.IsZero() {
		from = "from " + p.Newest.UTC().Format(time.RFC3339)
	}
	a.print("%s", a.out.Paint(report.Bold, fmt.Sprintf("%s ← %s: %s, then %s", p.Stream, p.Table, report.Plural(p.Rows, "row", "rows"), from)))
	var filled, empty, left []string
	for _, c := range p.Columns {
		switch {
		case c.Name == "":
			left = append(left, c.From)
		case c.From == "":
			empty = append(empty, c.Name)
		case strings.EqualFold(c.Name, c.From):
			filled = append(filled, c.Name)
		default:
			filled = append(filled, c.Name+" ← "+c.From)
		}
	}
	for _, part := range []struct {
		what  string
		names []string
	}{{"filled", filled}, {"empty", empty}, {"left behind", left}} {
		if len(part.names) > 0 {
			a.print("%s", report.Wrap(fmt.Sprintf("  %-12s %s", part.what, strings.Join(part.names, ", ")), width, 15))
		}
	}
	for _, problem := range p.Problems {
		a.print("%s", report.Wrap(fmt.Sprintf("  %s %s", a.out.Paint(report.Red, "✗"), problem), width, 4))
	}
	for _, sql := range p.Statements {
		a.print("\n%s;", strings.TrimRight(sql, "; \n"))
	}
	a.print("")
}
