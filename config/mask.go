package config

import (
	"reflect"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// harmless are keys whose values may be shown in an error. Everything else may be a secret,
// also under a misspelt name.
var harmless = []string{
	"version", "state", "sources", "destinations", "syncs", "name", "type", "source", "destination", "schema",
	"start", "streams", "exclude", "schedule", "timezone", "path", "endpoint", "memory_limit", "threads",
}

var (
	keyWord  = regexp.MustCompile(`^[A-Za-z0-9_.-]+$`)
	variable = regexp.MustCompile(`^\$\{[A-Za-z_][A-Za-z0-9_]*\}$`) // a default may be a secret, a name is none
)

// hidden stands for what may be a secret.
const hidden = "…"

// A masker writes a line of the file again with everything hidden but keys that somebody knows and the values of harmless
// ones. It reads flow mappings, block ones and what continues a flow mapping; where it cannot tell what something is it
// hides it.
type masker struct {
	line    string
	words   map[string]bool // names of options: whether there are no options below them
	unknown bool            // no value is harmless; if there is a text shown, none of that key
	shown   string          // text that may be shown wherever it stands, if it is not ""
	spot    int             // byte of the line that is to be pointed at

	out   strings.Builder
	to    int      // where the spot is in out
	blind bool     // what is there is hidden
	open  []string // keys of the brackets that are open, innermost last
	kinds []byte   // the brackets themselves
	key   string   // whose value comes next
}

// mask fills in the text of a problem, which is its line without what may be a secret, and where to point in it.
func (p *Problem) mask(line string, words map[string]bool) {
	p.Text, p.spot = line, p.Column
	body := strings.TrimLeft(line, " \t-")
	if body == "" || strings.HasPrefix(body, "#") {
		return
	}
	lead := line[:len(line)-len(body)]
	at := len(firstRunes(line, p.Column-1)) - len(lead)
	for _, read := range []func(*masker) bool{(*masker).block, (*masker).flow} {
		m := masker{line: body, words: words, unknown: p.unknown, shown: p.shown, spot: at}
		if !read(&m) {
			continue
		}
		p.Text = lead + m.out.String()
		if at >= 0 {
			p.spot = utf8.RuneCountInString(p.Text[:len(lead)+m.to]) + 1
		}
		if m.blind {
			p.width = 1
		}
		return
	}
	key, _, found := strings.Cut(body, ":")
	if found = found && keyWord.MatchString(key); found {
		lead += key + ": "
	}
	p.Text = lead + hidden
	if !found || at > len(key) {
		p.spot, p.width = utf8.RuneCountInString(lead)+1, 1
	}
}

// block reads "key: value", where value is a scalar or begins with a bracket.
func (m *masker) block() bool {
	key, value, found := strings.Cut(m.line, ":")
	if !found || !keyWord.MatchString(key) || value != "" && value[0] != ' ' {
		return false
	}
	start := len(key) + 1 + len(value) - len(strings.TrimLeft(value, " "))
	m.emit(0, start, true)
	m.key = key
	value = m.line[start:]
	switch {
	case value == "":
		return true
	case value[0] == '{' || value[0] == '[':
		return m.tokens(start, false)
	case value[0] == '"' || value[0] == '\'':
		end := quotedEnd(m.line, start)
		if end < 0 {
			return false
		}
		m.value(start, end)
		return m.rest(end)
	case strings.ContainsAny(value[:1], "&*!|>%@`"), strings.ContainsAny(value, "\"'{}[]") && !variable.MatchString(strings.TrimSpace(value)),
		strings.Contains(value, ": "), strings.HasSuffix(value, ":"):
		return false // not as simple as it looks, or the middle of a flow mapping
	}
	end := len(m.line)
	if i := strings.Index(value, " #"); i >= 0 {
		end = start + i
	}
	end = start + len(strings.TrimRight(m.line[start:end], " \t"))
	m.value(start, end)
	return m.rest(end)
}

// flow reads a flow mapping or list, or what continues one.
func (m *masker) flow() bool {
	return strings.ContainsAny(m.line, "{}[]") && m.tokens(0, true)
}

// rest takes what comes after a value: nothing, or a comment, which is hidden.
func (m *masker) rest(from int) bool {
	tail := strings.TrimLeft(m.line[from:], " \t")
	start := len(m.line) - len(tail)
	if tail != "" && (tail[0] != '#' || start == from) {
		return false
	}
	m.emit(from, start, true)
	if tail != "" {
		m.emit(start, len(m.line), false)
	}
	m.end()
	return true
}

// tokens reads flow content from there to the end of the line. Inside says that the line may close brackets that it has
// not opened.
func (m *masker) tokens(at int, inside bool) bool {
	for at < len(m.line) {
		c := m.line[at]
		switch {
		case c == ' ' || c == '\t':
			m.emit(at, at+1, true)
		case c == '{' || c == '[':
			if c == '{' && (m.words[m.key] || m.strange()) {
				return false // it should be no mapping, so nobody knows what it holds
			}
			m.open, m.kinds = append(m.open, m.key), append(m.kinds, c)
			if c == '{' {
				m.key = ""
			}
			m.emit(at, at+1, true)
		case c == '}' || c == ']':
			n := len(m.open)
			if n == 0 && !inside || n > 0 && m.kinds[n-1] != c-2 {
				return false
			}
			m.key = ""
			if n > 0 {
				m.open, m.kinds = m.open[:n-1], m.kinds[:n-1]
			}
			m.emit(at, at+1, true)
			if n == 1 && !inside {
				return m.rest(at + 1)
			}
		case c == ',':
			if n := len(m.kinds); n == 0 || m.kinds[n-1] == '{' {
				m.key = ""
			} else {
				m.key = m.open[n-1]
			}
			m.emit(at, at+1, true)
		case c == '#' && at > 0 && (m.line[at-1] == ' ' || m.line[at-1] == '\t'):
			m.emit(at, len(m.line), false)
			at = len(m.line)
			continue
		case strings.IndexByte("&*!|>%@`?#", c) >= 0:
			return false
		default:
			end := m.token(at)
			if end < 0 {
				return false
			}
			at = end
			continue
		}
		at++
	}
	m.end()
	return true
}

// token takes a key with its colon or a value, and says where it ends; -1: it cannot be told.
func (m *masker) token(at int) int {
	start, end := at, at
	var text string
	if c := m.line[at]; c == '"' || c == '\'' {
		if end = quotedEnd(m.line, at); end < 0 {
			return -1
		}
		text = m.line[start+1 : end-1]
	} else {
		for ; end < len(m.line); end++ {
			c, rest := m.line[end], m.line[end+1:]
			if strings.HasPrefix(m.line[end:], "${") {
				skip := strings.IndexByte(rest, '}')
				if skip < 0 {
					return -1
				}
				end += skip + 1
				continue
			}
			if strings.IndexByte("{}[],\"'", c) >= 0 || c == ':' && (rest == "" || strings.IndexByte(" \t{}[],", rest[0]) >= 0) || c == '#' && m.line[end-1] == ' ' {
				break
			}
		}
		if end < len(m.line) && strings.IndexByte("{[\"'", m.line[end]) >= 0 {
			return -1
		}
		end = at + len(strings.TrimRight(m.line[at:end], " \t"))
		text = m.line[start:end]
	}
	colon := end + len(m.line[end:]) - len(strings.TrimLeft(m.line[end:], " \t"))
	if colon == len(m.line) || m.line[colon] != ':' {
		m.value(start, end)
		return end
	}
	m.key = text
	_, known := m.words[text]
	m.emit(start, end, known || text == m.shown || slices.Contains(harmless, text))
	m.emit(end, colon+1, true)
	return colon + 1
}

// value takes a value of the key.
func (m *masker) value(start, end int) {
	text := m.line[start:end]
	show := variable.MatchString(strings.Trim(text, `"'`)) || m.shown != "" && strings.Trim(text, `"'`) == m.shown ||
		!m.strange() && slices.Contains(harmless, m.key)
	m.emit(start, end, show)
	m.key = "" // what stands behind it belongs to nothing
}

// strange reports whether nobody can know what the key holds.
func (m *masker) strange() bool { return m.unknown && (m.shown == "" || m.shown == m.key) }

// emit writes a piece of the line, or what hides it.
func (m *masker) emit(start, end int, show bool) {
	if m.spot >= start && m.spot < end {
		m.to = m.out.Len()
		if m.blind = !show; show {
			m.to += m.spot - start
		}
	}
	if show {
		m.out.WriteString(m.line[start:end])
	} else {
		m.out.WriteString(hidden)
	}
}

// end points at the end of the line, if that is where the spot was.
func (m *masker) end() {
	if m.spot >= len(m.line) {
		m.to = m.out.Len()
	}
}

// quotedEnd finds the end of a quoted scalar; -1: it is not on this line.
func quotedEnd(line string, start int) int {
	q := line[start]
	for i := start + 1; i < len(line); i++ {
		switch {
		case q == '"' && line[i] == '\\':
			i++
		case line[i] == q && q == '\'' && strings.HasPrefix(line[i+1:], "'"):
			i++
		case line[i] == q:
			return i + 1
		}
	}
	return -1
}

// optionWords are the names of all options there are, and whether there are no options below them.
func (o *Options) optionWords() map[string]bool {
	words := map[string]bool{}
	var add func(reflect.Type) bool
	add = func(t reflect.Type) (struc bool) {
		for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
			t = t.Elem()
		}
		if t.Kind() != reflect.Struct || reflect.PointerTo(t).Implements(unmarshaler) {
			return false
		}
		for _, f := range optionsOf(t) {
			words[f.name] = !add(f.field.Type) || words[f.name]
		}
		return true
	}
	for _, c := range o.Sources {
		add(reflect.TypeOf(c.NewConfig()))
	}
	for _, c := range o.Destinations {
		add(reflect.TypeOf(c.NewConfig()))
	}
	for _, c := range o.Alerts {
		add(reflect.TypeOf(c.NewConfig()))
	}
	for _, v := range []any{syncOptions{}, columnOptions{}, alertOptions{}, priceOptions{}} {
		add(reflect.TypeOf(v))
	}
	return words
}
