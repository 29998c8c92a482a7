package machinetest

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// A scope is what the text of a state may refer to: the state's input as $, the context object as $$.
type scope struct {
	input, context any
}

var step = regexp.MustCompile(`^(?:\.([A-Za-z_][A-Za-z0-9_]*)|\[(\d+)\])`)

// lookup finds what a path such as $.a.b[0] leads to. Not being there is no error: found is false.
func (s scope) lookup(path string) (value any, found bool, err error) {
	var rest string
	switch {
	case strings.HasPrefix(path, "$$"):
		value, rest = s.context, path[2:]
	case strings.HasPrefix(path, "$"):
		value, rest = s.input, path[1:]
	default:
		return nil, false, fmt.Errorf("path %q does not begin with $", path)
	}
	for rest != "" {
		m := step.FindStringSubmatch(rest)
		if m == nil {
			return nil, false, fmt.Errorf("path %q: %q is not interpreted", path, rest)
		}
		rest = rest[len(m[0]):]
		if m[2] != "" {
			list, _ := value.([]any)
			i, err := strconv.Atoi(m[2])
			if err != nil || i >= len(list) {
				return nil, false, err
			}
			value = list[i]
			continue
		}
		object, _ := value.(map[string]any)
		if value, found = object[m[1]]; !found {
			return nil, false, nil
		}
	}
	return value, true, nil
}

// must is lookup of what has to be there.
func (s scope) must(path string) (any, error) {
	v, found, err := s.lookup(path)
	if err == nil && !found {
		err = fmt.Errorf("path %s leads to nothing", path)
	}
	return v, err
}

// fill makes the value of a payload template: a member whose name ends in .$ is a path or an intrinsic function.
func (s scope) fill(template any) (any, error) {
	switch t := template.(type) {
	case map[string]any:
		out := make(map[string]any, len(t))
		for _, key := range slices.Sorted(maps.Keys(t)) {
			name, computed := strings.CutSuffix(key, ".$")
			var err error
			if computed {
				text, _ := t[key].(string)
				out[name], err = s.compute(text)
			} else {
				out[name], err = s.fill(t[key])
			}
			if err != nil {
				return nil, err
			}
		}
		return out, nil
	case []any:
		out := make([]any, len(t))
		for i := range t {
			var err error
			if out[i], err = s.fill(t[i]); err != nil {
				return nil, err
			}
		}
		return out, nil
	}
	return template, nil
}

var call = regexp.MustCompile(`^(States\.[A-Za-z]+)\((.*)\)$`)

// compute is the value of a path or of a call of an intrinsic function.
func (s scope) compute(text string) (any, error) {
	m := call.FindStringSubmatch(text)
	if m == nil {
		return s.must(text)
	}
	var args []any
	for _, arg := range splitArguments(m[2]) {
		v, err := s.argument(arg)
		if err != nil {
			return nil, err
		}
		args = append(args, v)
	}
	v, ok := intrinsic(m[1], args)
	if !ok {
		return nil, fmt.Errorf("%s does not take %v, or is not interpreted", m[1], args)
	}
	return v, nil
}

func (s scope) argument(text string) (any, error) {
	if quoted, ok := strings.CutPrefix(text, "'"); ok {
		return strings.TrimSuffix(quoted, "'"), nil
	}
	if text == "true" || text == "false" {
		return text == "true", nil
	}
	if n, err := strconv.ParseFloat(text, 64); err == nil {
		return n, nil
	}
	return s.must(text)
}

// splitArguments cuts at commas outside of quotes.
func splitArguments(text string) []string {
	var all []string
	quoted, from := false, 0
	for i, c := range text {
		switch {
		case c == '\'':
			quoted = !quoted
		case c == ',' && !quoted:
			all, from = append(all, strings.TrimSpace(text[from:i])), i+1
		}
	}
	return append(all, strings.TrimSpace(text[from:]))
}

// intrinsic calls one of the functions of the language that the template uses.
func intrinsic(name string, args []any) (any, bool) {
	switch name {
	case "States.MathAdd":
		if len(args) != 2 {
			return nil, false
		}
		a, isA := args[0].(float64)
		b, isB := args[1].(float64)
		return a + b, isA && isB
	case "States.StringSplit":
		if len(args) != 2 {
			return nil, false
		}
		text, isText := args[0].(string)
		at, isAt := args[1].(string)
		var parts []any
		for _, p := range strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(at, r) }) {
			parts = append(parts, p)
		}
		return parts, isText && isAt
	case "States.JsonMerge":
		if len(args) != 3 || args[2] != false {
			return nil, false // deep merges do not exist in the language either
		}
		a, isA := args[0].(map[string]any)
		b, isB := args[1].(map[string]any)
		out := maps.Clone(a)
		maps.Copy(out, b) // of two that have a name in common the second one counts
		return out, isA && isB && out != nil
	case "States.Format":
		format, ok := "", len(args) > 0
		if ok {
			format, ok = args[0].(string)
		}
		if !ok || strings.Count(format, "{}") != len(args)-1 {
			return nil, false
		}
		for _, a := range args[1:] {
			format = strings.Replace(format, "{}", fmt.Sprint(a), 1)
		}
		return format, true
	}
	return nil, false
}

// place puts a task's result where ResultPath says: "" and "$" replace the input, $.name is a member of it.
func place(input any, path string, result any) (any, error) {
	if path == "" || path == "$" {
		return result, nil
	}
	name, ok := strings.CutPrefix(path, "$.")
	if !ok || strings.ContainsAny(name, ".[") {
		return nil, fmt.Errorf("ResultPath %q is not interpreted", path)
	}
	object, _ := input.(map[string]any)
	out := maps.Clone(object)
	if out == nil {
		out = map[string]any{}
	}
	out[name] = result
	return out, nil
}
