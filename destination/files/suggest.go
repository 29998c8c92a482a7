package files

import (
	"slices"
	"strings"

	"github.com/martsync/martsync/internal/nearest"
)

// suggest says which names there are, or the one that was probably meant.
func suggest(got string, known []string) string {
	best := nearest.Of(got, known)
	if i := slices.IndexFunc(known, func(k string) bool { return got != "" && strings.HasPrefix(k, strings.ToLower(got)) }); i >= 0 {
		best = known[i] // somebody left off in the middle
	}
	if best != "" {
		return `Did you mean "` + best + `"?`
	}
	return "Use one of " + strings.Join(known, ", ") + "."
}
