package config

import (
	"context"
	"path/filepath"
	"reflect"

	"github.com/invopop/jsonschema"

	"github.com/martsync/martsync/internal/blob"
)

// A location is where objects are kept. In the file it is also one text: an address or a folder.
type location struct {
	blob.Location `yaml:",inline"`
}

var locationType = reflect.TypeFor[location]()

// locationOf reads the short form.
func locationOf(text string) location {
	if blob.IsAddress(text) {
		return location{blob.Location{URL: text}}
	}
	return location{blob.Location{Path: text}}
}

// locationSchema is the schema of both forms.
func locationSchema() *jsonschema.Schema {
	return &jsonschema.Schema{OneOf: []*jsonschema.Schema{
		{Type: "string", Description: "An address such as s3://bucket/prefix or file:///folder; or the path of a folder."},
		reflectSchema(blob.Location{}),
	}}
}

// A Place is a bucket or a folder that the configuration names.
type Place struct {
	what   string // is kept there: "state"
	place  location
	lookup lookup
}

// String says where that is, for people.
func (p *Place) String() string {
	if p.place.URL != "" {
		return p.place.URL
	}
	return p.place.Path
}

// Location follows references to secrets and returns where objects are kept.
func (p *Place) Location(ctx context.Context) (blob.Location, error) {
	resolved, err := resolveSecrets(ctx, p.place, p.lookup)
	if err != nil {
		return blob.Location{}, secretError("open "+p.what, err)
	}
	return resolved.(location).Location, nil //nolint:forcetypeassert // it returns what it was given
}

// buildPlace checks a location that was read from the key of n. Without one there is no place.
func buildPlace(d *decoder, n *node, key, what string, place location, env lookup) *Place {
	m := n.member(key)
	if m == nil || m.kind == null {
		return nil
	}
	l := &place.Location
	switch {
	case l.URL == "" && l.Path == "":
		d.problems.at(m, "Write "+key+": s3://bucket/prefix, or "+key+": and a folder.", "%s names no place", key)
		return nil
	case l.URL != "" && l.Path != "":
		d.problems.at(m, "Remove one of them.", "%s has both url and path", key)
		return nil
	}
	if l.Path != "" && !filepath.IsAbs(l.Path) && !blob.IsAddress(l.Path) {
		l.Path = filepath.Join(env.dir, l.Path)
	}
	return &Place{what: what, place: place, lookup: env}
}

// defaultState is the folder for state that nobody has named.
const defaultState = ".martsync"

// buildState reads the key state. There is always a place for it.
func buildState(d *decoder, root *node, env lookup) *Place {
	var place location
	n := root.member("state")
	if n == nil || n.kind == null || n.kind == scalar && n.text == "" {
		place.Path = filepath.Join(env.dir, defaultState)
		return &Place{what: "state", place: place, lookup: env}
	}
	d.decode(n, reflect.ValueOf(&place).Elem(), "state")
	return buildPlace(d, root, "state", "state", place, env)
}
