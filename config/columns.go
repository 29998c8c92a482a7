package config

import (
	"context"
	"errors"
	"reflect"
	"slices"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/protect"
)

// columnOptions say what becomes of columns of a source, as they stand in the file.
type columnOptions struct {
	Include patterns        `yaml:"include" jsonschema:"description=Columns wanted\\, as stream.column: of the streams that these name no others are read but keys,example=leads.email"`
	Exclude patterns        `yaml:"exclude" jsonschema:"description=Columns left out: column (of any stream) or stream.column or stream.column.member (of a JSON object); * ? and [a-z] match,example=leads.phone"`
	Hash    patterns        `yaml:"hash" jsonschema:"description=Columns of which only a keyed hash (HMAC-SHA256 in hexadecimal) is written: the same value has the same hash in all streams,example=email"`
	HashKey martsync.Secret `yaml:"hash_key" jsonschema:"description=Key of the hashes: at least 16 bytes. Another key makes other hashes"`
}

// columnsKey is that of the columnOptions of a source.
const columnsKey = "columns"

// buildColumns reads the key columns of a source.
func buildColumns(d *decoder, n *node, what string) *columnOptions {
	m := n.member(columnsKey)
	if m == nil || m.kind == null || !d.want(m, mapping, columnsKey) {
		return nil
	}
	var o columnOptions
	d.decode(m, reflect.ValueOf(&o).Elem(), columnsKey+" of "+what)
	for _, key := range []string{"include", "exclude", "hash"} {
		for _, item := range scalars(m.member(key)) {
			rules := protect.Rules{Key: "long enough to be a key"}
			switch key {
			case "include":
				rules.Include = []string{item.text}
			case "exclude":
				rules.Exclude = []string{item.text}
			default:
				rules.Hash = []string{item.text}
			}
			if _, err := protect.New(rules); err != nil {
				d.problems.at(item, `Use "column", "stream.column" or "stream.column.member".`, "%s", errors.Unwrap(err))
			}
		}
	}
	if h := m.member("hash"); h != nil && len(o.Hash) > 0 && o.HashKey == "" {
		d.problems.at(h, "Make a key with: openssl rand -hex 32, and give it as hash_key: ${MARTSYNC_HASH_KEY}.", "hash needs a hash_key")
	}
	return &o
}

// without is the mapping without a member.
func (n *node) without(key string) *node {
	rest := *n
	rest.entries = slices.DeleteFunc(slices.Clone(n.entries), func(m entry) bool { return m.key == key })
	return &rest
}

// protects reports whether some values of the source do not go on as they are.
func (s *Source) protects() bool {
	return s.columns != nil && len(s.columns.Include)+len(s.columns.Exclude)+len(s.columns.Hash) > 0
}

// protect wraps an opened source by the rules for its columns.
func (s *Source) protect(ctx context.Context, source martsync.Source) (martsync.Source, error) {
	if !s.protects() {
		return source, nil
	}
	resolved, err := resolveSecrets(ctx, *s.columns, s.lookup)
	if err != nil {
		return nil, secretError("open source "+s.Name, err)
	}
	o := resolved.(columnOptions) //nolint:forcetypeassert // it returns what it was given
	p, err := protect.New(protect.Rules{Include: o.Include, Exclude: o.Exclude, Hash: o.Hash, Key: o.HashKey})
	if err != nil {
		return nil, err
	}
	return p.Source(source), nil
}
