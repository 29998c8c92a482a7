package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/pflag"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/config"
	"github.com/martsync/martsync/internal/report"
	"github.com/martsync/martsync/internal/shard"
)

// shardHelp tells what --shard does; two commands have it.
const shardHelp = "only `part` i/n of the configuration, as in 1/3: each account belongs to one of n, so n processes do all of it"

func shardFlag(fs *pflag.FlagSet, text *string) { fs.StringVar(text, "shard", "", shardHelp) }

// ownSyncs keeps the syncs whose accounts belong to the part of the configuration that --shard names. The split is
// that of all its syncs, not of those asked for: an account is in the same part for every command.
func (a *app) ownSyncs(ctx context.Context, c *config.Config, syncs []config.Sync, text string, env martsync.Env) ([]config.Sync, error) {
	part, err := shard.Parse(text)
	if err != nil {
		return nil, usageError(fmt.Errorf("--shard: %w", err), "")
	}
	if part.Whole() {
		return syncs, nil
	}
	accounts := map[string]string{} // by source
	var names []string
	for _, s := range c.Syncs {
		if _, known := accounts[s.Source.Name]; !known {
			accounts[s.Source.Name] = accountOf(ctx, s.Source, env)
		}
		names = append(names, accounts[s.Source.Name])
	}
	split := shard.Split(names, part.Count)
	own := slices.DeleteFunc(slices.Clone(syncs), func(s config.Sync) bool {
		return split[accounts[s.Source.Name]] != part.Index
	})
	a.log().InfoContext(ctx, "shard", "shard", part.String(), "syncs", len(own), "of", len(syncs))
	if len(own) == 0 {
		a.say("Shard %s has none of %s: there are fewer accounts than shards, or it has others.",
			part, report.Plural(int64(len(syncs)), "sync", "syncs"))
	}
	return own, nil
}

// accountOf is the account that a source reads. It asks for no secret if it can do without: one that is missing is of
// no concern to the shards that have other accounts. A source that cannot be opened stands for itself, so that
// exactly one shard meets the error.
func accountOf(ctx context.Context, s config.Source, env martsync.Env) string {
	source, err := s.Connector.Open(ctx, s.Options, env)
	if err != nil {
		source, err = s.Open(ctx, env)
	}
	if err != nil {
		return "source " + s.Name
	}
	return source.Account()
}
