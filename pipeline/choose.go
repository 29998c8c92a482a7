package pipeline

import (
	"context"
	"fmt"
	"path"
	"strings"

	"github.com/martsync/martsync"
)

// listStreams asks the source for its streams and keeps the wanted ones.
func (e *engine) listStreams(ctx context.Context) ([]martsync.Stream, error) {
	streams, err := e.Source.Streams(ctx)
	if err != nil {
		return nil, fmt.Errorf("list streams: %w", err)
	}
	return choose(streams, e.Streams, e.Exclude)
}

// choose keeps the streams whose name matches one of want, or all if there are none, and
// none of exclude. A name or pattern that is wanted and matches nothing is a mistake of the
// operator's; one that excludes nothing is not.
func choose(streams []martsync.Stream, want, exclude []string) ([]martsync.Stream, error) {
	var names []string
	seen := map[string]bool{}
	used := map[string]bool{}
	var chosen []martsync.Stream
	for _, s := range streams {
		schema := s.Schema()
		if err := schema.Validate(); err != nil {
			return nil, err
		}
		if seen[schema.Stream] {
			return nil, &martsync.Error{Kind: martsync.Internal, Op: "list streams", Err: fmt.Errorf("the source lists %s twice", schema.Stream)}
		}
		seen[schema.Stream] = true
		names = append(names, schema.Stream)

		in, err := match(want, schema.Stream, used)
		if err != nil {
			return nil, err
		}
		out, err := match(exclude, schema.Stream, map[string]bool{})
		if err != nil {
			return nil, err
		}
		if (in || len(want) == 0) && !out {
			chosen = append(chosen, s)
		}
	}
	for _, p := range want {
		if !used[p] {
			return nil, &martsync.Error{
				Kind: martsync.Config, Op: "choose streams", Err: fmt.Errorf("no stream matches %q", p),
				Hint: "This account has " + strings.Join(names, ", ") + ".",
			}
		}
	}
	return chosen, nil
}

// match reports whether the name matches one of the patterns and marks all that it matches.
func match(patterns []string, name string, used map[string]bool) (matched bool, err error) {
	for _, p := range patterns {
		ok, err := path.Match(p, name)
		if err != nil {
			return false, &martsync.Error{
				Kind: martsync.Config, Op: "choose streams", Err: fmt.Errorf("pattern %q: %w", p, err),
				Hint: "Patterns are names with *, ? and [a-z].",
			}
		}
		if ok {
			used[p], matched = true, true
		}
	}
	return matched, nil
}
