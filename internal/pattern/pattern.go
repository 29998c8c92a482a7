// Package pattern chooses names by patterns with *, ? and [a-z], as the configuration and flags write them.
// Whoever reads them there says what is wrong with one; here, one that is no pattern matches nothing.
package pattern

import (
	"path"
	"slices"
)

// Any reports whether the name matches one of the patterns.
func Any(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		ok, err := path.Match(p, name)
		return err == nil && ok
	})
}

// Chooses reports whether the name is wanted, by a pattern or because there is none, and not excluded.
func Chooses(wanted, exclude []string, name string) bool {
	return (len(wanted) == 0 || Any(wanted, name)) && !Any(exclude, name)
}
