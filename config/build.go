package config

import (
	"cmp"
	"path"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/blob"
	"github.com/martsync/martsync/schedule"
)

// syncOptions are the keys of one element of syncs, as they stand in the file.
type syncOptions struct {
	Name        string            `yaml:"name" jsonschema:"required,description=How commands call this sync."`
	Source      string            `yaml:"source" jsonschema:"required,description=The name of a source above."`
	Destination string            `yaml:"destination" jsonschema:"required,description=The name of a destination above."`
	Schema      string            `yaml:"schema" jsonschema:"description=Namespace of the tables in the destination; without it the destination's default."`
	Start       string            `yaml:"start" jsonschema:"description=The earliest records wanted when a stream is copied for the first time: a date (midnight in the time zone) or a time or the word table (see start_table). Without it: everything there is.,example=2020-01-01"`
	StartTable  startTableOptions `yaml:"start_table" jsonschema:"description=With start: table each stream begins where a table ends. That may be a table that another program has filled."`
	Streams     patterns          `yaml:"streams" jsonschema:"description=What to copy: * or a list of names or patterns. Without it: everything."`
	Exclude     patterns          `yaml:"exclude" jsonschema:"description=Names or patterns of streams to leave out."`
	Raw         location          `yaml:"raw" jsonschema:"description=Where what the vendor sends is kept as it came: s3://bucket/prefix or a folder; or a mapping with url or path and s3. martsync replay makes tables from it again.,example=s3://my-bucket/raw"`
	Repair      patterns          `yaml:"repair" jsonschema:"description=What to do after each sync: missing-leads reads by id the leads that activities name and the table lacks; those that the vendor does not know are marked deleted.,example=missing-leads"`
	RepairMost  int               `yaml:"repair_most" jsonschema:"description=Most ids that a repair reads after one sync; a call reads 300 of Marketo's. The next sync goes on with the others.,default=3000,minimum=1"`
	Schedule    string            `yaml:"schedule" jsonschema:"description=When to run: a cron expression of five fields.,example=0 9 * * WED"`
	LateAfter   time.Duration     `yaml:"late_after" jsonschema:"description=How long after its last success a sync is late. Without it: when a time of its schedule has passed by 6 hours (or by the time to the next one if that is shorter).,example=26h"`
	Timezone    string            `yaml:"timezone" jsonschema:"description=IANA time zone of schedule and start; UTC without it.,example=America/Los_Angeles"`
}

// startTableOptions say in which table a stream's start is looked up.
type startTableOptions struct {
	Destination string `yaml:"destination" jsonschema:"description=The name of the destination that has the tables; without it the sync's own."`
	Schema      string `yaml:"schema" jsonschema:"description=Namespace of the tables; without it the sync's."`
	Table       string `yaml:"table" jsonschema:"description=Name of the tables; {stream} stands for the name of the stream,default={stream},example=raw_{stream}"`
	Column      string `yaml:"column" jsonschema:"description=Column with the time that counts; without it updated_at or created_at."`
	Minus       string `yaml:"minus" jsonschema:"description=How long before the newest time to begin,default=1d,example=36h"`
}

// startTable is the word for a start that is looked up in a table.
const startTable = "table"

var (
	topKeys  = []string{"version", "state", "sources", "destinations", "syncs", "alerts", "prices"}
	namePart = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]*$`)
)

// DefaultRepairMost is how many ids a repair after a sync reads at most unless the file says otherwise: ten calls of Marketo.
const DefaultRepairMost = 3000

// nameRule is what namePart says, for people.
const nameRule = "Use letters, digits, - and _, beginning with a letter or digit."

// build makes the configuration of its tree and reports what is wrong to p.
func build(root *node, file string, env lookup, o Options, p *problems) *Config {
	d := &decoder{problems: p}
	c := &Config{Path: file}
	if !d.want(root, mapping, "the configuration") {
		return c
	}
	for _, e := range root.entries {
		if !slices.Contains(topKeys, e.key) {
			d.unknownKey(e, "the configuration", topKeys)
		}
	}
	override(root, env, o, p)

	var version int
	if n := root.member("version"); n != nil {
		d.decode(n, reflect.ValueOf(&version).Elem(), "version")
		if version != Version && n.kind == scalar {
			p.at(n, "Write version: 1.", "this martsync reads version %d of the configuration", Version)
		}
	} else {
		p.add(&Problem{Message: "version is missing", Hint: "Begin the file with version: 1."})
	}
	c.State = buildState(d, root, env)
	c.Prices = buildPrices(d, root)

	for _, e := range members(d, root, "sources") {
		var columns *columnOptions
		if e.value.kind == mapping {
			columns = buildColumns(d, e.value, "source "+e.key)
			e.value = e.value.without(columnsKey)
		}
		connector, options, ok := connectorOf(d, e, "source", o.Sources, func(s martsync.SourceConnector) (string, func() any) { return s.Name, s.NewConfig }, env)
		if ok {
			c.Sources = append(c.Sources, Source{Name: e.key, Connector: connector, Options: options, columns: columns, lookup: env})
		}
	}
	for _, e := range members(d, root, "destinations") {
		connector, options, ok := connectorOf(d, e, "destination", o.Destinations, func(s martsync.DestinationConnector) (string, func() any) { return s.Name, s.NewConfig }, env)
		if ok {
			c.Destinations = append(c.Destinations, Destination{Name: e.key, Connector: connector, Options: options, lookup: env})
		}
	}
	if n := root.member("syncs"); n != nil && n.kind != null && d.want(n, sequence, "syncs") {
		for _, item := range n.items {
			if s, ok := c.buildSync(d, root, item, env); ok {
				c.Syncs = append(c.Syncs, s)
			}
		}
	}
	c.buildAlerts(d, root, o.Alerts, env)
	return c
}

// members lists the named connectors of a section.
func members(d *decoder, root *node, section string) []entry {
	n := root.member(section)
	if n == nil || n.kind == null || !d.want(n, mapping, section) {
		return nil
	}
	for _, e := range n.entries {
		if !namePart.MatchString(e.key) {
			d.problems.at(e.place, nameRule, "%q cannot be a name", e.key)
		}
	}
	return n.entries
}

// connectorOf finds the connector an entry's type names and fills its options.
func connectorOf[C any](d *decoder, e entry, what string, all []C, of func(C) (string, func() any), env lookup) (connector C, options any, ok bool) {
	if !d.want(e.value, mapping, what+" "+e.key) {
		return connector, nil, false
	}
	var types []string
	for _, c := range all {
		name, _ := of(c)
		types = append(types, name)
	}
	typed := e.value.member("type")
	if typed == nil || typed.kind != scalar {
		d.problems.at(e.place, "Add type: "+list(types)+".", "%s %s has no type", what, e.key)
		return connector, nil, false
	}
	i := slices.Index(types, typed.text)
	if i < 0 {
		d.problems.at(typed, suggestion(typed.text, types), "there is no %s of type %q", what, typed.text)
		return connector, nil, false
	}
	rest := e.value.without("type")
	_, newConfig := of(all[i])
	options = newConfig()
	d.decode(rest, reflect.ValueOf(options).Elem(), what+" "+e.key)
	absolutePaths(reflect.ValueOf(options).Elem(), env.dir)
	return all[i], options, true
}

// absolutePaths makes relative paths start at the folder of the configuration, so that a
// sync does not depend on where it is started. Options that are paths carry the tag
// `martsync:"path"`.
func absolutePaths(v reflect.Value, dir string) {
	if v.Kind() != reflect.Struct {
		return
	}
	for _, o := range optionsOf(v.Type()) {
		f := v.FieldByIndex(o.index)
		if hasWord(o.field.Tag, "path") && f.Kind() == reflect.String && f.String() != "" && !filepath.IsAbs(f.String()) && !blob.IsAddress(f.String()) {
			f.SetString(filepath.Join(dir, f.String()))
		}
	}
}

func (c *Config) buildSync(d *decoder, root, n *node, env lookup) (Sync, bool) {
	p := d.problems
	var o syncOptions
	if !d.want(n, mapping, "a sync") {
		return Sync{}, false
	}
	at := func(key string) *node {
		if m := n.member(key); m != nil {
			return m
		}
		return n
	}
	what := "a sync"
	if m := n.member("name"); m != nil && m.text != "" {
		what = "sync " + m.text
	}
	before := len(p.found)
	d.decode(n, reflect.ValueOf(&o).Elem(), what)
	s := Sync{Name: o.Name, Schema: o.Schema, Location: time.UTC, Streams: o.Streams, Exclude: o.Exclude, LateAfter: o.LateAfter}

	switch {
	case o.Name == "":
		p.at(n, "", "a sync has no name")
	case !namePart.MatchString(o.Name):
		p.at(at("name"), nameRule, "%q cannot be a name", o.Name)
	case slices.ContainsFunc(c.Syncs, func(s Sync) bool { return s.Name == o.Name }):
		p.at(at("name"), "Give each sync a name of its own.", "a second sync named %q", o.Name)
	}
	s.Source = reference(d, c.Sources, root, "source", what, o.Source, at("source"), func(s Source) string { return s.Name })
	s.Destination = reference(d, c.Destinations, root, "destination", what, o.Destination, at("destination"), func(s Destination) string { return s.Name })
	if o.Timezone != "" {
		loc, err := time.LoadLocation(o.Timezone)
		if err != nil || o.Timezone == "Local" {
			p.at(at("timezone"), "Use a name like America/Los_Angeles or UTC.", "there is no time zone %q", o.Timezone)
		} else {
			s.Location = loc
		}
	}
	s.StartTable = c.buildStartTable(d, root, n, &o, &s, what)
	s.Raw = buildPlace(d, n, "raw", "raw of sync "+o.Name, o.Raw, env)
	if s.Raw != nil && s.Source.protects() {
		p.at(at("raw"), "Remove raw, or the rules for columns of the source.",
			"raw would keep what the vendor sends, with the values that columns of source %s leaves out or hashes", s.Source.Name)
	}
	if o.Start != "" && s.StartTable == nil {
		var err error
		if s.Start, err = ParseTime(o.Start, time.Time{}, s.Location); err != nil {
			p.at(at("start"), "", "start: %v", err)
		}
	}
	if o.Schedule != "" {
		var err error
		if s.Schedule, err = schedule.Parse(o.Schedule); err != nil {
			p.at(at("schedule"), `Write five fields: minute hour day month weekday, like "0 9 * * WED".`, "schedule: %v", err)
		}
	}
	s.Repair, s.RepairMost = o.Repair, cmp.Or(o.RepairMost, DefaultRepairMost)
	if o.RepairMost < 0 {
		p.at(at("repair_most"), "", "repair_most is %d", o.RepairMost)
	}
	if o.RepairMost > 0 && len(o.Repair) == 0 {
		p.at(at("repair_most"), "Write repair: [missing-leads] as well, or leave repair_most out.", "repair_most has no meaning without repair")
	}
	for _, item := range scalars(n.member("repair")) {
		if !namePart.MatchString(item.text) {
			p.at(item, "Write the name of what is missing, like missing-leads.", "%q is nothing that can be repaired", item.text)
		}
	}
	for _, key := range []string{"streams", "exclude"} {
		for _, item := range scalars(n.member(key)) {
			if _, err := path.Match(item.text, ""); err != nil || item.text == "" {
				p.at(item, `Use a stream's name or a pattern like "activity_*".`, "%q is not a pattern", item.text)
			}
		}
	}
	s.Streams = slices.DeleteFunc(s.Streams, func(pattern string) bool { return pattern == "*" && len(s.Streams) == 1 })
	if len(p.found) == before { // else it may be about what was not understood
		if o := c.clash(&s); o != nil {
			p.at(at("schema"), "Give each of the two a schema of its own, or streams that the other one lacks.",
				"%s of source %s would write into the tables of sync %s, which reads source %s", what, s.Source.Name, o.Name, o.Source.Name)
		}
	}
	return s, len(p.found) == before
}

// buildStartTable reads start_table, which goes with start: table alone.
func (c *Config) buildStartTable(d *decoder, root, n *node, o *syncOptions, s *Sync, what string) *StartTable {
	p, t := d.problems, n.member("start_table")
	if o.Start != startTable {
		if t != nil {
			p.at(t, "Write start: table as well, or leave start_table out.", "start_table has no meaning without start: table")
		}
		return nil
	}
	at := func(key string) *node {
		if t != nil {
			if m := t.member(key); m != nil {
				return m
			}
		}
		return n
	}
	options := o.StartTable
	start := &StartTable{Destination: s.Destination, Schema: options.Schema, Table: options.Table, Column: options.Column, Minus: 24 * time.Hour}
	if options.Destination != "" {
		start.Destination = reference(d, c.Destinations, root, "destination", what, options.Destination, at("destination"), func(s Destination) string { return s.Name })
	}
	if start.Schema == "" && start.Destination.Name == s.Destination.Name {
		start.Schema = s.Schema
	}
	if options.Minus != "" {
		var err error
		if start.Minus, err = ParseDuration(options.Minus); err != nil {
			p.at(at("minus"), "", "minus: %v", err)
		}
	}
	return start
}

func scalars(n *node) []*node {
	if n == nil {
		return nil
	}
	if n.kind == scalar {
		return listOf(n).items
	}
	return n.items
}

// reference finds the source or destination that a sync names.
func reference[T any](d *decoder, all []T, root *node, what, sync, name string, at *node, nameOf func(T) string) T {
	var zero T
	for _, v := range all {
		if nameOf(v) == name {
			return v
		}
	}
	// The section's names, not those of all: one that has a mistake of its own is there.
	var names []string
	if section := root.member(what + "s"); section != nil {
		for _, e := range section.entries {
			names = append(names, e.key)
		}
	}
	switch {
	case name == "" && at.kind != mapping:
		// An empty value, or a variable that is not set, which has been reported.
		if at.kind == scalar {
			d.problems.at(at, "", "%s of %s is empty", what, sync)
		}
	case name == "":
		d.problems.at(at, "Name one of "+list(names)+".", "%s has no %s", sync, what)
	case !slices.Contains(names, name):
		d.problems.at(at, suggestion(name, names), "%s names the %s %q, which is not among the %ss", sync, what, name, what)
	}
	return zero
}

// envName is the name of the environment variable that overrides an option.
func envName(parts ...string) string {
	return "MARTSYNC_" + strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' {
			return r - 'a' + 'A'
		}
		if r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, strings.Join(parts, "_"))
}
