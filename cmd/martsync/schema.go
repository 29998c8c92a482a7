package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/martsync/martsync/config"
	"github.com/martsync/martsync/internal/connectors"
)

func (a *app) schemaCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Prints the JSON Schema of the configuration",
		Long: `Prints the JSON Schema of martsync.yaml, with the options of every connector.

Editors that know YAML check and complete the file with it:

  martsync schema > martsync.schema.json
  # yaml-language-server: $schema=martsync.schema.json     (first line of martsync.yaml)`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			text, err := config.JSONSchema(connectors.Sources(), connectors.Destinations(), alertTypes()...)
			if err != nil {
				return err
			}
			if _, err := a.out.Write(text); err != nil {
				return fmt.Errorf("write the schema: %w", err)
			}
			return nil
		},
	}
}
