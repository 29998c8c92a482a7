package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/config"
	"github.com/martsync/martsync/internal/report"
)

func (a *app) viewsCommand() *cobra.Command {
	var show bool
	c := &cobra.Command{
		Use:   "views [SYNC]",
		Short: "Creates views over the tables",
		Long: `Creates, or brings up to date, the views that the source suggests: such as one for each type of
activity, one that joins activities with their leads, and "metadata" with each table's rows and newest record.

Views of tables that do not exist yet are left out: run it again after the first sync.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, cancel := interruptible(cmd)
			defer cancel()
			return a.views(ctx, strings.Join(args, ""), show)
		},
	}
	c.Flags().BoolVar(&show, "print", false, "print the SQL and change nothing")
	return c
}

func (a *app) views(ctx context.Context, name string, show bool) (err error) {
	d, s, err := a.openDefiner(ctx, name)
	if err != nil {
		return err
	}
	defer closing(d.destination, &err)
	statements, err := viewStatements(ctx, d.source, d.definer)
	if err != nil {
		return err
	}
	if show {
		for _, sql := range statements {
			a.print("%s;\n", strings.TrimRight(sql, "; \n"))
		}
		return nil
	}
	if err := d.definer.Exec(ctx, statements); err != nil {
		return err
	}
	names := viewNames(statements)
	width, _ := a.out.Size()
	a.print("%s", report.Wrap(fmt.Sprintf("%s in %s: %s", report.Plural(int64(len(names)), "view", "views"), s.Destination.Name, strings.Join(names, ", ")), width, 2))
	return nil
}

// viewStatements is the SQL of the views that the source suggests and of those that every
// destination has.
func viewStatements(ctx context.Context, source martsync.Source, definer martsync.Definer) ([]string, error) {
	var views []martsync.View
	if viewer, ok := martsync.As[martsync.Viewer](source); ok {
		var err error
		if views, err = viewer.Views(ctx); err != nil {
			return nil, err
		}
	}
	return definer.ViewStatements(ctx, views)
}

// A defined is an opened sync whose destination speaks SQL.
type defined struct {
	config      *config.Config
	source      martsync.Source
	destination martsync.Destination
	definer     martsync.Definer
}

func (a *app) openDefiner(ctx context.Context, name string) (defined, config.Sync, error) {
	c, err := a.loadConfig(ctx)
	if err != nil {
		return defined{}, config.Sync{}, err
	}
	s, err := c.FindSync(name)
	if err != nil {
		return defined{}, s, err
	}
	env, err := a.connectorEnv()
	if err != nil {
		return defined{}, s, err
	}
	source, err := a.openSource(ctx, s.Source, env)
	if err != nil {
		return defined{}, s, err
	}
	destination, err := a.openDestination(ctx, s, env)
	if err != nil {
		return defined{}, s, err
	}
	definer, ok := destination.(martsync.Definer)
	if !ok {
		err = errNoAbility("define tables", s.Destination.Name, s.Destination.Connector.Title)
		closing(destination, &err)
		return defined{}, s, err
	}
	return defined{c, source, destination, definer}, s, nil
}
