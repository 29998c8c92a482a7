package main

import (
	"fmt"
	"sync"

	"github.com/spf13/cobra"

	"github.com/martsync/martsync/internal/nearest"
)

const rootHelp = `martsync moves marketing data into a data mart: complete, incremental and provable.

New here? "martsync demo" needs no account and no key.

Flags beat the environment, which beats the configuration file. Option KEY of source or destination NAME
is MARTSYNC_SOURCES_NAME_KEY or MARTSYNC_DESTINATIONS_NAME_KEY in the environment; a file .env beside the
configuration is read too.`

const exitCodes = `
Exit codes:
  0   everything was done
  1   an error of martsync's own: a bug
  2   the configuration or the command line is wrong
  3   a credential is wrong or a permission is missing
  4   records need a decision: a stream stopped, the others went on
  5   another sync committed first
  6   another sync is using the account right now
  75  run it again later: a limit is spent, the vendor prepares something, or it was stopped
`

// sortOnce makes the order of commands below the order of use. The switch is global to cobra,
// and tests run several commands at once.
var sortOnce = sync.OnceFunc(func() { cobra.EnableCommandSorting = false })

// rootCommand builds the tree of commands.
func (a *app) rootCommand() *cobra.Command {
	sortOnce()
	root := &cobra.Command{
		Use: "martsync", Short: "Moves marketing data into a data mart", Long: rootHelp,
		SilenceErrors: true, SilenceUsage: true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			var names []string
			for _, c := range cmd.Commands() {
				names = append(names, c.Name())
			}
			hint := "Run martsync --help for the list."
			if near := nearest.Of(args[0], names); near != "" {
				hint = fmt.Sprintf("Did you mean martsync %s?", near)
			}
			return usageError(fmt.Errorf("there is no command %q", args[0]), hint)
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	// Not by a template: with package text/template in the program the linker cannot tell which
	// methods nobody calls, and keeps them all, a third of the program.
	usage := root.UsageFunc()
	root.SetUsageFunc(func(cmd *cobra.Command) error {
		if err := usage(cmd); err != nil {
			return err
		}
		_, err := fmt.Fprint(cmd.OutOrStderr(), exitCodes)
		return err
	})
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usageError(err, "Run "+cmd.CommandPath()+" --help for the flags.")
	})
	a.global(root)
	for _, g := range []struct {
		id, title string
		commands  []*cobra.Command
	}{
		{"start", "Getting started:", []*cobra.Command{a.demoCommand(), a.initCommand(), a.checkCommand()}},
		{"move", "Moving data:", []*cobra.Command{a.streamsCommand(), a.planCommand(), a.syncCommand(), a.serveCommand(), a.lambdaCommand(), a.replayCommand(), a.viewsCommand(), a.ddlCommand(), a.adoptCommand(), a.compactCommand()}},
		{"look", "Looking:", []*cobra.Command{a.auditCommand(), a.runsCommand(), a.statusCommand(), a.logsCommand(), a.readCommand(), a.apiCommand()}},
		{"more", "More:", []*cobra.Command{a.simulateCommand(), a.schemaCommand(), a.completionCommand(), a.versionCommand()}},
	} {
		root.AddGroup(&cobra.Group{ID: g.id, Title: g.title})
		for _, c := range g.commands {
			c.GroupID = g.id
			c.Args = checkedArgs(c.Args)
			root.AddCommand(c)
		}
	}
	root.SetHelpCommandGroupID("more")
	return root
}

// checkedArgs makes a complaint about arguments a mistake on the command line.
func checkedArgs(check cobra.PositionalArgs) cobra.PositionalArgs {
	if check == nil {
		check = cobra.NoArgs
	}
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return usageError(err, "Usage: "+cmd.UseLine())
		}
		return nil
	}
}
