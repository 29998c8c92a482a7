package snowflake

import (
	"strings"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/sqlgen"
)

// Names are always sent in quotes, in the case that they have in the catalog: then no word is
// reserved, and LEADS in quotes is the same table as leads without.

// ident quotes a name that is already in the catalog's spelling.
func ident(name string) string { return sqlgen.Ident(name) }

// text quotes a string literal. Unlike in standard SQL a backslash escapes.
func text(s string) string {
	return `'` + strings.NewReplacer(`\`, `\\`, `'`, `\'`, "\n", `\n`, "\r", `\r`, "\x00", `\0`).Replace(s) + `'`
}

// upper folds a name as Snowflake folds one without quotes: ASCII letters alone.
func upper(name string) string {
	return strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' {
			return r - 'a' + 'A'
		}
		return r
	}, name)
}

// lower is the reverse of upper.
func lower(name string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r - 'A' + 'a'
		}
		return r
	}, name)
}

// object spells the name of a database, schema, warehouse or role from the configuration: as it would be
// without quotes, or as it is between them.
func object(name string) string {
	if len(name) >= 2 && strings.HasPrefix(name, `"`) && strings.HasSuffix(name, `"`) {
		return strings.ReplaceAll(name[1:len(name)-1], `""`, `"`)
	}
	return upper(name)
}

// tableName is the catalog's name of a stream's table, or of a system table.
func (c *Config) tableName(stream string) string {
	if c.Identifiers == upperIdentifiers {
		return upper(stream)
	}
	return stream
}

// columnName is the catalog's name of a column.
func (c *Config) columnName(col martsync.Column) string {
	switch {
	case c.Identifiers == upperIdentifiers:
		return upper(col.Name)
	case c.Identifiers == preserveIdentifiers && col.Origin != "":
		return col.Origin
	}
	return col.Name
}

// qualified is the quoted name of something in the destination's schema; name is in the catalog's spelling.
func (d *destination) qualified(name string) string {
	return sqlgen.Name(d.database, d.schema, name)
}

// table is the qualified, quoted name of a stream's table or of a system table.
func (d *destination) table(stream string) string { return d.qualified(d.config.tableName(stream)) }
