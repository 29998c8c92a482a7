package config

import (
	"path/filepath"
	"reflect"

	"github.com/invopop/jsonschema"

	"github.com/martsync/martsync"
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

// A Raw says where a sync keeps what the vendor sends.
type Raw struct {
	place  location
	lookup lookup
	sync   string
}

// String says where that is, for people.
func (r *Raw) String() string {
	if r.place.URL != "" {
		return r.place.URL
	}
	return r.place.Path
}

// Location follows references to secrets and returns where objects are kept.
func (r *Raw) Location() (blob.Location, error) {
	resolved, err := resolveSecrets(r.place, r.lookup)
	if err != nil {
		return blob.Location{}, &martsync.Error{Kind: martsync.Config, Op: "open raw of sync " + r.sync, Err: err, Hint: secretHint}
	}
	return resolved.(location).Location, nil //nolint:forcetypeassert // it returns what it was given
}

// buildRaw reads the key raw of a sync.
func buildRaw(d *decoder, n *node, o *syncOptions, env lookup) *Raw {
	m := n.member("raw")
	if m == nil || m.kind == null {
		return nil
	}
	l := &o.Raw.Location
	switch {
	case l.URL == "" && l.Path == "":
		d.problems.at(m, "Write raw: s3://bucket/prefix, or raw: and a folder.", "raw names no place")
		return nil
	case l.URL != "" && l.Path != "":
		d.problems.at(m, "Remove one of them.", "raw has both url and path")
		return nil
	}
	if l.Path != "" && !filepath.IsAbs(l.Path) && !blob.IsAddress(l.Path) {
		l.Path = filepath.Join(env.dir, l.Path)
	}
	return &Raw{place: o.Raw, lookup: env, sync: o.Name}
}
