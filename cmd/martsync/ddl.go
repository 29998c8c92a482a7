package main

import (
	"context"
	"strings"

	"github.com/martsync/martsync/internal/pattern"
	"github.com/spf13/cobra"
)

func (a *app) ddlCommand() *cobra.Command {
	var streams []string
	c := &cobra.Command{
		Use:   "ddl [SYNC]",
		Short: "Prints the SQL that creates the tables",
		Long: `Prints the SQL of the tables that a sync would create. Nothing is changed: a sync creates what it
needs by itself. This is for those who create tables by other means, or want to see them first.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, cancel := interruptible(cmd)
			defer cancel()
			return a.ddl(ctx, strings.Join(args, ""), streams)
		},
	}
	c.Flags().StringSliceVar(&streams, "stream", nil, "only streams of this `name` or pattern (repeatable)")
	return c
}

func (a *app) ddl(ctx context.Context, name string, patterns []string) (err error) {
	d, s, err := a.openDefiner(ctx, name)
	if err != nil {
		return err
	}
	defer closing(d.destination, &err)
	streams, err := d.source.Streams(ctx)
	if err != nil {
		return err
	}
	if len(patterns) == 0 {
		patterns = s.Streams
	}
	printed := map[string]bool{} // system tables come with every stream
	for _, stream := range streams {
		schema := stream.Schema()
		if !pattern.Chooses(patterns, s.Exclude, schema.Stream) {
			continue
		}
		for _, sql := range d.definer.TableStatements(schema) {
			sql = strings.TrimRight(sql, "; \n")
			if !printed[sql] {
				printed[sql] = true
				a.print("%s;\n", sql)
			}
		}
	}
	return nil
}
