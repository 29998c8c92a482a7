package config

import (
	"fmt"
	"strings"
)

// parseDotenv reads lines of NAME=value. Values may be quoted: '…' takes every character as
// it is, "…" knows \n, \r, \t, \", \\ and \$; both may span lines. "#" begins a comment, in an
// unquoted value only after a space. "export " before a name is skipped.
func parseDotenv(data []byte) (map[string]string, error) {
	vars := map[string]string{}
	rest := strings.ReplaceAll(strings.TrimPrefix(string(data), "\uFEFF"), "\r\n", "\n")
	line := 1
	for rest != "" {
		current, after, _ := strings.Cut(rest, "\n")
		trimmed := strings.TrimSpace(current)
		if trimmed == "" || trimmed[0] == '#' {
			rest = after
			line++
			continue
		}
		name, value, found := strings.Cut(current, "=")
		name = strings.TrimSpace(name)
		if fields := strings.Fields(name); len(fields) == 2 && fields[0] == "export" {
			name = fields[1]
		}
		if !found || !isName(name) {
			// The line is not shown: it may hold half of a secret.
			return nil, fmt.Errorf("line %d is not of the form NAME=value", line)
		}
		value = strings.TrimLeft(value, " \t")
		if value == "" || value[0] != '"' && value[0] != '\'' {
			vars[name] = unquoted(value)
			rest = after
			line++
			continue
		}
		start := rest[len(current)-len(value):]
		text, used, err := quoted(start)
		if err != nil {
			return nil, fmt.Errorf("line %d: %s %w", line, name, err)
		}
		tail, next, _ := strings.Cut(start[used:], "\n")
		if t := strings.TrimSpace(tail); t != "" && t[0] != '#' {
			return nil, fmt.Errorf("line %d: %s has text after its closing quote", line, name)
		}
		vars[name] = text
		line += strings.Count(start[:used], "\n") + 1
		rest = next
	}
	return vars, nil
}

func unquoted(s string) string {
	for i := range len(s) {
		if s[i] == '#' && (i == 0 || s[i-1] == ' ' || s[i-1] == '\t') {
			s = s[:i]
			break
		}
	}
	return strings.TrimSpace(s)
}

// quoted reads the quoted text that s starts with and says how many bytes it took.
func quoted(s string) (text string, used int, err error) {
	quote := s[0]
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == quote:
			return b.String(), i + 1, nil
		case c == '\\' && quote == '"' && i+1 < len(s):
			i++
			switch s[i] {
			case 'n':
				b.WriteByte('\n')
			case 'r':
				b.WriteByte('\r')
			case 't':
				b.WriteByte('\t')
			case '"', '\\', '$':
				b.WriteByte(s[i])
			default:
				b.WriteByte('\\')
				b.WriteByte(s[i])
			}
		default:
			b.WriteByte(c)
		}
	}
	return "", 0, fmt.Errorf("has no closing %c", quote)
}

// QuoteEnv writes a value so that the file .env gives it back.
func QuoteEnv(value string) string {
	plain := value != ""
	for i := range len(value) {
		c := value[i]
		if (c|0x20 < 'a' || c|0x20 > 'z') && (c < '0' || c > '9') && !strings.ContainsRune("-_./:@+%,", rune(c)) {
			plain = false
			break
		}
	}
	if plain {
		return value
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, `$`, `\$`, "\n", `\n`, "\r", `\r`).Replace(value) + `"`
}
