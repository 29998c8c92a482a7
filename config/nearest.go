package config

import (
	"fmt"
	"strings"

	"github.com/martsync/martsync/internal/nearest"
)

// suggestion says which names there are, the nearest first.
func suggestion(word string, candidates []string) string {
	if near := nearest.Of(word, candidates); near != "" {
		return fmt.Sprintf("Did you mean %q?", near)
	}
	if len(candidates) == 0 {
		return ""
	}
	return "Use one of " + list(candidates) + "."
}

// list writes names as people do: a, b or c.
func list(names []string) string {
	switch n := len(names); n {
	case 0:
		return "none"
	case 1:
		return names[0]
	default:
		return strings.Join(names[:n-1], ", ") + " or " + names[n-1]
	}
}
