package config

import (
	"reflect"
	"slices"
	"strings"

	"github.com/martsync/martsync"
)

// An Option describes one option of a connector, for those who ask people about it.
type Option struct {
	Name        string // its key in the file
	Title       string // for people; the name if the connector gives none
	Description string
	Example     string
	Required    bool
	Offered     bool // worth asking for, though it may stay empty: the field's tag is martsync:"ask"
	Secret      bool
}

// OptionsOf lists the single-valued options at the top of a connector's configuration, which
// is what NewConfig returned. They are described by the fields' jsonschema tags.
func OptionsOf(newConfig func() any) []Option {
	var out []Option
	for _, o := range optionsOf(reflect.TypeOf(newConfig()).Elem()) {
		switch o.field.Type.Kind() {
		case reflect.String, reflect.Bool, reflect.Int, reflect.Int64, reflect.Float64:
		default:
			if !reflect.PointerTo(o.field.Type).Implements(unmarshaler) {
				continue
			}
		}
		d := Option{Name: o.name, Title: o.name, Offered: hasWord(o.field.Tag, "ask"), Secret: o.field.Type == reflect.TypeFor[martsync.Secret]()}
		for _, part := range splitTag(o.field.Tag.Get("jsonschema")) {
			key, value, _ := strings.Cut(part, "=")
			switch key {
			case "required":
				d.Required = true
			case "title":
				d.Title = value
			case "description":
				d.Description = value
			case "example":
				d.Example = value
			}
		}
		out = append(out, d)
	}
	return out
}

// hasWord reports whether a field's tag martsync:"…" has a word among those between its commas.
func hasWord(tag reflect.StructTag, word string) bool {
	return slices.Contains(strings.Split(tag.Get("martsync"), ","), word)
}

// splitTag splits at commas that no backslash stands before, as package jsonschema does.
func splitTag(tag string) []string {
	const comma = "\x00"
	parts := strings.Split(strings.ReplaceAll(tag, `\,`, comma), ",")
	for i := range parts {
		parts[i] = strings.ReplaceAll(parts[i], comma, ",")
	}
	return parts
}

// NewSource configures a source from values instead of a file, such as those a simulator
// gives for itself.
func NewSource(name string, c martsync.SourceConnector, values map[string]any) (Source, error) {
	options, err := fill(name, c.NewConfig(), values)
	if err != nil {
		return Source{}, err
	}
	return Source{Name: name, Connector: c, Options: options, lookup: lookup{getenv: func(string) string { return "" }}}, nil
}

// NewDestination configures a destination from values instead of a file.
func NewDestination(name string, c martsync.DestinationConnector, values map[string]any) (Destination, error) {
	options, err := fill(name, c.NewConfig(), values)
	if err != nil {
		return Destination{}, err
	}
	return Destination{Name: name, Connector: c, Options: options, lookup: lookup{getenv: func(string) string { return "" }}}, nil
}

func fill(name string, options any, values map[string]any) (any, error) {
	n, err := treeOf(values, "option of "+name)
	if err != nil {
		return nil, &martsync.Error{Kind: martsync.Config, Op: "configure " + name, Err: err}
	}
	n.entries = slices.DeleteFunc(n.entries, func(e entry) bool { return e.key == "type" })
	p := &problems{file: name}
	(&decoder{problems: p}).decode(n, reflect.ValueOf(options).Elem(), name)
	return options, p.err()
}
