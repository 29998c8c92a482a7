package config

import (
	"errors"
	"fmt"
	"strings"
)

// lookup finds variables: in the environment, then in the file .env.
type lookup struct {
	getenv func(string) string
	file   map[string]string
	dir    string // relative paths start here

	secrets map[string]SecretStore
}

func (l lookup) get(name string) string {
	if v := l.getenv(name); v != "" {
		return v
	}
	return l.file[name]
}

// errNoVariable is what a reference to a variable comes to that is not set.
var errNoVariable = errors.New("is not set")

// expand replaces ${NAME} and ${NAME:-default} in s. "$${" stands for "${" itself.
func expand(s string, get func(string) string) (string, error) {
	var b strings.Builder
	for {
		i := strings.Index(s, "${")
		if i < 0 {
			b.WriteString(s)
			return b.String(), nil
		}
		if i > 0 && s[i-1] == '$' {
			b.WriteString(s[:i-1])
			b.WriteString("${")
			s = s[i+2:]
			continue
		}
		b.WriteString(s[:i])
		body, rest, found := strings.Cut(s[i+2:], "}")
		if !found {
			return "", errors.New(`"${" without "}"; write "$${" for the characters themselves`)
		}
		name, fallback, hasFallback := strings.Cut(body, ":-")
		if !isName(name) {
			return "", errors.New(`what stands in "${…}" is not the name of a variable; write "$${" for the characters themselves`)
		}
		value := get(name)
		if value == "" {
			if !hasFallback {
				return "", fmt.Errorf("variable %s %w", name, errNoVariable)
			}
			value = fallback
		}
		b.WriteString(value)
		s = rest
	}
}

// isName reports whether s can name an environment variable.
func isName(s string) bool {
	for i := range len(s) {
		c := s[i]
		if c != '_' && (c|0x20 < 'a' || c|0x20 > 'z') && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != ""
}

// expandTree expands every value under n, once each, although anchors share nodes.
func expandTree(n *node, env lookup, p *problems) {
	done := map[*node]bool{}
	var walk func(n *node)
	walk = func(n *node) {
		if done[n] {
			return
		}
		done[n] = true
		if n.kind == scalar {
			text, err := expand(n.text, env.get)
			if err != nil {
				hint := ""
				if errors.Is(err, errNoVariable) {
					hint = "Set it in the environment or in the file .env beside the configuration."
				}
				p.at(n, hint, "%v", err)
				n.kind = null // reported here, so nobody else needs to complain
				return
			}
			n.text = text
		}
		for _, e := range n.entries {
			walk(e.value)
		}
		for _, item := range n.items {
			walk(item)
		}
	}
	walk(n)
}
