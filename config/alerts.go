package config

import (
	"context"
	"path"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/invopop/jsonschema"
)

// An AlertType is a way to tell people: one of the types that an alert can have.
type AlertType struct {
	Name, Title string
	NewConfig   func() any // a pointer to a zero configuration, as connectors have it
}

// An Alert is a configured alert that has not been opened.
type Alert struct {
	Name       string
	Type       string        // of Options.Alerts
	Options    any           // what NewConfig of the type returned, filled
	On         []string      // events; none: all
	Syncs      []string      // patterns; none: all
	Remind     time.Duration // zero: the default
	Quota      int           // percent; zero: the default
	Quarantine int64         // rows; zero: the default
	lookup     lookup
}

// Resolve follows references to secrets and returns the options.
func (a Alert) Resolve(ctx context.Context) (any, error) {
	options, err := resolveSecrets(ctx, a.Options, a.lookup)
	if err != nil {
		return nil, secretError("open alert "+a.Name, err)
	}
	return options, nil
}

// AlertEvents are what an alert can be told of.
var AlertEvents = []string{"failure", "credentials", "late", "quota", "schema", "quarantine", "recovery"}

// alertOptions are the keys that every alert has, whatever its type.
type alertOptions struct {
	Name       string        `yaml:"name" jsonschema:"required,description=What commands and logs call this alert."`
	On         patterns      `yaml:"on" jsonschema:"description=What to tell: failure and credentials and late and quota and schema and quarantine and recovery. Without it: everything."`
	Syncs      patterns      `yaml:"syncs" jsonschema:"description=Names or patterns of the syncs it is about. Without it: all."`
	Remind     time.Duration `yaml:"remind" jsonschema:"description=When it is told again if nothing has changed,default=1d"`
	Quota      int           `yaml:"quota" jsonschema:"description=Percent of a limit of the vendor from which on it is told,default=80"`
	Quarantine int64         `yaml:"quarantine" jsonschema:"description=How many rows must have been set aside to be told,default=1"`
}

// buildAlerts reads the list alerts. Its syncs are known by then.
func (c *Config) buildAlerts(d *decoder, root *node, types []AlertType, env lookup) {
	n := root.member("alerts")
	if n == nil || n.kind == null || !d.want(n, sequence, "alerts") {
		return
	}
	for _, item := range n.items {
		if !d.want(item, mapping, "an alert") {
			continue
		}
		if a, ok := c.buildAlert(d, item, types, env); ok {
			c.Alerts = append(c.Alerts, a)
		}
	}
}

func (c *Config) buildAlert(d *decoder, n *node, types []AlertType, env lookup) (Alert, bool) {
	p := d.problems
	before := len(p.found)
	at := func(key string) *node {
		if m := n.member(key); m != nil {
			return m
		}
		return n
	}
	what := "an alert"
	if m := n.member("name"); m != nil && m.text != "" {
		what = "alert " + m.text
	}
	// What all have, and what the type has.
	common, own := *n, *n
	common.entries, own.entries = nil, nil
	keys := optionNames(optionsOf(reflect.TypeFor[alertOptions]()))
	for _, e := range n.entries {
		switch {
		case slices.Contains(keys, e.key):
			common.entries = append(common.entries, e)
		case e.key != "type":
			own.entries = append(own.entries, e)
		}
	}
	var o alertOptions
	d.decode(&common, reflect.ValueOf(&o).Elem(), what)
	a := Alert{
		Name: o.Name, On: o.On, Syncs: o.Syncs, Remind: o.Remind, Quota: o.Quota, Quarantine: o.Quarantine, lookup: env,
	}
	switch {
	case o.Name == "":
		p.at(n, "", "an alert has no name")
	case !namePart.MatchString(o.Name):
		p.at(at("name"), nameRule, "%q cannot be a name", o.Name)
	case slices.ContainsFunc(c.Alerts, func(a Alert) bool { return a.Name == o.Name }):
		p.at(at("name"), "Give each alert a name of its own.", "a second alert named %q", o.Name)
	}
	for _, item := range scalars(n.member("on")) {
		if !slices.Contains(AlertEvents, item.text) {
			p.at(item, suggestion(item.text, AlertEvents), "there is no event %q", item.text)
		}
	}
	for _, item := range scalars(n.member("syncs")) {
		if _, err := path.Match(item.text, ""); err != nil || item.text == "" {
			p.at(item, `Use a sync's name or a pattern like "daily_*".`, "%q is not a pattern", item.text)
		} else if !slices.ContainsFunc(c.Syncs, func(s Sync) bool { ok, _ := path.Match(item.text, s.Name); return ok }) && len(p.found) == 0 {
			var names []string
			for _, s := range c.Syncs {
				names = append(names, s.Name)
			}
			p.at(item, suggestion(item.text, names), "%s names the sync %q, which is not among the syncs", what, item.text)
		}
	}
	for key, bad := range map[string]bool{"quota": o.Quota < 0 || o.Quota > 100, "quarantine": o.Quarantine < 0, "remind": o.Remind < 0} {
		if bad {
			p.at(at(key), map[string]string{"quota": "Use a number from 1 to 100."}[key], "%s of %s is out of range", key, what)
		}
	}

	var names []string
	for _, t := range types {
		names = append(names, t.Name)
	}
	typed := n.member("type")
	if typed == nil || typed.kind != scalar {
		p.at(n, "Add type: "+list(names)+".", "%s has no type", what)
		return a, false
	}
	i := slices.Index(names, typed.text)
	if i < 0 {
		p.at(typed, suggestion(typed.text, names), "there is no alert of type %q", typed.text)
		return a, false
	}
	a.Type, a.Options = types[i].Name, types[i].NewConfig()
	known := len(p.found)
	d.decode(&own, reflect.ValueOf(a.Options).Elem(), what)
	for _, problem := range p.found[known:] { // a mistyped key may be meant as one of those that all have
		if problem.unknown {
			e := own.entries[slices.IndexFunc(own.entries, func(e entry) bool { return strings.Contains(problem.Message, `"`+e.key+`"`) })]
			problem.Hint = suggestion(e.key, append(optionNames(optionsOf(reflect.TypeOf(a.Options).Elem())), keys...))
		}
	}
	absolutePaths(reflect.ValueOf(a.Options).Elem(), env.dir)
	return a, len(p.found) == before
}

// alertsSchema is the schema of the list alerts.
func alertsSchema(types []AlertType) *jsonschema.Schema {
	var shapes []*jsonschema.Schema
	for _, t := range types {
		s := connectorSchema(t.Name, t.Title, t.NewConfig())
		common := reflectSchema(alertOptions{})
		for pair := common.Properties.Oldest(); pair != nil; pair = pair.Next() {
			if pair.Key == "on" {
				events := make([]any, len(AlertEvents))
				for i, e := range AlertEvents {
					events[i] = e
				}
				for _, one := range pair.Value.OneOf {
					if one.Items != nil {
						one.Items.Enum = events
					}
				}
			}
			s.Properties.Set(pair.Key, pair.Value)
		}
		s.Required = append(s.Required, common.Required...)
		shapes = append(shapes, s)
	}
	return &jsonschema.Schema{
		Type: "array", Items: &jsonschema.Schema{OneOf: shapes},
		Description: "Who is told when a sync fails or is late or needs somebody.",
	}
}
