package config

import (
	"reflect"
	"slices"
	"strings"

	"github.com/martsync/martsync"
)

// override replaces values of the file by those of the environment, and these by those of
// flags. In the environment option KEY of source NAME is MARTSYNC_SOURCES_NAME_KEY, and
// likewise for destinations; the place for state is MARTSYNC_STATE. Lists are separated by commas.
func override(root *node, env lookup, o Options, p *problems) {
	fromEnv := func(n *node, key, variable string) {
		if value := env.get(variable); value != "" {
			n.set(key, &node{kind: scalar, text: value, origin: "environment variable " + variable})
		}
	}
	fromEnv(root, "state", "MARTSYNC_STATE")
	for section, newConfig := range map[string]func(string) func() any{
		"sources":      func(name string) func() any { return sourceConfig(o.Sources, name) },
		"destinations": func(name string) func() any { return destinationConfig(o.Destinations, name) },
	} {
		n := root.member(section)
		if n == nil {
			continue
		}
		for _, e := range n.entries {
			typed := e.value.member("type")
			if typed == nil {
				continue
			}
			if make := newConfig(typed.text); make != nil {
				for _, option := range optionsOf(reflect.TypeOf(make()).Elem()) {
					fromEnv(e.value, option.name, envName(section, e.key, option.name))
				}
			}
		}
	}
	for _, s := range o.Set {
		setValue(root, s, p)
	}
}

func sourceConfig(all []martsync.SourceConnector, name string) func() any {
	i := slices.IndexFunc(all, func(c martsync.SourceConnector) bool { return c.Name == name })
	if i < 0 {
		return nil
	}
	return all[i].NewConfig
}

func destinationConfig(all []martsync.DestinationConnector, name string) func() any {
	i := slices.IndexFunc(all, func(c martsync.DestinationConnector) bool { return c.Name == name })
	if i < 0 {
		return nil
	}
	return all[i].NewConfig
}

// setValue carries out one --set path=value.
func setValue(root *node, assignment string, p *problems) {
	fail := func(hint, message string) {
		p.add(&Problem{Source: "--set", Message: message, Hint: hint})
	}
	const example = "Write it like --set destinations.mart.path=/data/mart.duckdb."
	where, value, found := strings.Cut(assignment, "=")
	if !found {
		fail(example, "there is no = in it") // not shown: it may be a secret
		return
	}
	keys := strings.Split(where, ".")
	n := root
	for i, key := range keys[:len(keys)-1] {
		next := n.member(key)
		if n.kind == sequence {
			next = nil
			for _, item := range n.items {
				if name := item.member("name"); name != nil && name.text == key {
					next = item
				}
			}
		}
		if i >= 2 && n.kind == mapping && (next == nil || next.kind == null) { // below a source: its options are known, and checked
			next = &node{kind: mapping, origin: "--set " + where}
			n.set(key, next)
		}
		if next == nil {
			fail(example, "the configuration has no "+strings.Join(keys[:i+1], "."))
			return
		}
		n = next
	}
	if n.kind != mapping {
		fail(example, where+" cannot be set")
		return
	}
	n.set(keys[len(keys)-1], &node{kind: scalar, text: value, origin: "--set " + where})
}
