package config

import (
	"slices"
	"strings"

	"github.com/martsync/martsync/internal/pattern"
)

// clash returns an earlier sync that reads another source into the tables of s; nil if there is none.
//
// A table has one position and one kind of key. Were two accounts to share it, each would go on from where the other one stands,
// and leave out without a word what came before; and their records, numbered alike, would replace each other.
func (c *Config) clash(s *Sync) *Sync {
	i := slices.IndexFunc(c.Syncs, func(o Sync) bool {
		return o.Source.Name != s.Source.Name && o.Destination.Name == s.Destination.Name && strings.EqualFold(o.Schema, s.Schema) && meet(&o, s)
	})
	if i < 0 {
		return nil
	}
	return &c.Syncs[i]
}

// meet reports whether two syncs may have a stream of one name, as far as can be told without asking the sources.
func meet(a, b *Sync) bool {
	for _, p := range everything(a.Streams) {
		for _, q := range everything(b.Streams) {
			switch plainP, plainQ := plain(p), plain(q); {
			case plainP && plainQ && p != q:
			case plainP && !pattern.Chooses(b.Streams, b.Exclude, p), plainQ && !pattern.Chooses(a.Streams, a.Exclude, q):
			case plainP && pattern.Any(a.Exclude, p), plainQ && pattern.Any(b.Exclude, q):
			case !strings.HasPrefix(start(p), start(q)) && !strings.HasPrefix(start(q), start(p)):
			default:
				return true
			}
		}
	}
	return false
}

// everything is the pattern that no patterns mean.
func everything(patterns []string) []string {
	if len(patterns) == 0 {
		return []string{"*"}
	}
	return patterns
}

const wild = `*?[\`

// plain reports whether a pattern is a name.
func plain(p string) bool { return !strings.ContainsAny(p, wild) }

// start is what all names that a pattern matches begin with.
func start(p string) string {
	if i := strings.IndexAny(p, wild); i >= 0 {
		return p[:i]
	}
	return p
}
