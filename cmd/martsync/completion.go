package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

func (a *app) completionCommand() *cobra.Command {
	shells := []string{"bash", "zsh", "fish", "powershell"}
	return &cobra.Command{
		Use:   "completion SHELL",
		Short: "Prints a script that completes commands in a shell",
		Long: `Prints a script that completes martsync's commands and flags.

  bash        source <(martsync completion bash)
  zsh         martsync completion zsh > "${fpath[1]}/_martsync"
  fish        martsync completion fish > ~/.config/fish/completions/martsync.fish
  powershell  martsync completion powershell | Out-String | Invoke-Expression`,
		ValidArgs: shells,
		Args:      cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs),
		RunE: func(cmd *cobra.Command, args []string) error {
			root := cmd.Root()
			switch args[0] {
			case "bash":
				return root.GenBashCompletionV2(a.out, true)
			case "zsh":
				return root.GenZshCompletion(a.out)
			case "fish":
				return root.GenFishCompletion(a.out, true)
			case "powershell":
				return root.GenPowerShellCompletionWithDesc(a.out)
			default:
				return fmt.Errorf("no completion for %s", args[0])
			}
		},
	}
}
