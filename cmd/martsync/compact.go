package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/config"
	"github.com/martsync/martsync/internal/report"
	"github.com/martsync/martsync/state"
)

func (a *app) compactCommand() *cobra.Command {
	var streams []string
	var asJSON bool
	c := &cobra.Command{
		Use:   "compact [SYNC]",
		Short: "Writes tables anew without what newer rows have replaced",
		Long: `Writes the tables of a sync anew, each row once in its newest version, where the destination keeps all
versions until then. What readers see stays the same.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, cancel := interruptible(cmd)
			defer cancel()
			name := ""
			if len(args) > 0 {
				name = args[0]
			}
			return a.compact(ctx, name, streams, asJSON)
		},
	}
	c.Flags().StringSliceVar(&streams, "stream", nil, "only the table of this `name` (repeatable)")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func (a *app) compact(ctx context.Context, name string, streams []string, asJSON bool) (err error) {
	c, err := a.loadConfig(ctx)
	if err != nil {
		return err
	}
	s, err := c.FindSync(name)
	if err != nil {
		return err
	}
	env, err := a.connectorEnv()
	if err != nil {
		return err
	}
	destination, err := a.openDestination(ctx, s, env)
	if err != nil {
		return err
	}
	defer closing(destination, &err)
	compacter, ok := destination.(martsync.Compacter)
	if !ok {
		return errNoAbility("compact tables", s.Destination.Name, s.Destination.Connector.Title)
	}
	source, err := a.openSource(ctx, s.Source, env)
	if err != nil {
		return err
	}
	lease, err := a.hold(ctx, c, source.Account(), "compact "+s.Name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lease.Release(context.WithoutCancel(ctx))) }()
	if len(streams) == 0 {
		streams = []string{""} // all
	}
	slices.Sort(streams)
	var all []martsync.Compaction
	table := report.Table{Columns: []report.Column{
		{Name: "table"}, {Name: "rows", Right: true}, {Name: "files", Right: true}, {Name: "size", Right: true}, {Name: "", Flexible: true},
	}}
	for _, stream := range slices.Compact(streams) {
		for done, err := range compacter.Compact(ctx, stream) {
			if err != nil {
				return err
			}
			if err := lease.Keep(ctx); err != nil {
				return err
			}
			all = append(all, done)
			table.Add(done.Stream, change(done.Before.Rows, done.After.Rows, report.Count), change(int64(done.Before.Files), int64(done.After.Files), report.Count),
				change(done.Before.Bytes, done.After.Bytes, report.Bytes), done.Detail)
		}
	}
	if asJSON {
		return a.writeJSON(map[string]any{"sync": s.Name, "tables": all})
	}
	return table.WriteTo(a.out)
}

// holdTime is how long nobody else uses an account while a command writes to its tables. A sync that begins all the
// same, because it takes longer, is not harmed: of the two commits one gives way.
const holdTime = time.Hour

// hold keeps syncs of an account from reading what they could not commit while a command writes to its tables.
func (a *app) hold(ctx context.Context, c *config.Config, account, command string) (*state.Lease, error) {
	store, err := a.openState(ctx, c)
	if err != nil {
		return nil, err
	}
	return state.AcquireLease(ctx, store, a.clock, account, holder(command), holdTime)
}

// holder is the owner of a lease that a command holds.
func holder(command string) string { return fmt.Sprintf("martsync %s (%s)", command, state.Process()) }

// change shows a number and what became of it.
func change(before, after int64, show func(int64) string) string {
	if before == after {
		return show(after)
	}
	return fmt.Sprintf("%s → %s", show(before), show(after))
}
