package sqlgen

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/martsync/martsync"
)

// A Dialect is what one warehouse says differently.
type Dialect struct {
	// Type names the type of a column.
	Type func(martsync.Column) string
	// Member is the text of a member of a JSON object, NULL if there is none.
	Member func(object, key string) string
	// Cast is a text as a value of the column's type, NULL if it is none. Timestamps become UTC.
	Cast func(text string, c martsync.Column) string
	// MemberJSON is a member of a JSON object as JSON.
	MemberJSON func(object, key string) string
	// Alter is the clause of ALTER TABLE that widens a column and keeps its values.
	Alter func(column, typ string) string
}

// DuckDB is the dialect of DuckDB.
var DuckDB = Dialect{
	Type: duckdbType,
	Member: func(object, key string) string {
		return "json_extract_string(" + object + ", " + Text(jsonPointer(key)) + ")"
	},
	Cast: func(text string, c martsync.Column) string {
		cast := "TRY_CAST(" + text + " AS " + duckdbType(c) + ")"
		if c.Type != martsync.Timestamp {
			return cast
		}
		// a cast to TIMESTAMP passes over an offset, and one to TIMESTAMPTZ takes text without
		// an offset for local time
		return "CASE WHEN regexp_matches(" + text + `, ':\d\d(\.\d+)?[+-]\d\d(:?\d\d)?$') THEN timezone('UTC', TRY_CAST(` + text +
			" AS TIMESTAMPTZ)) ELSE " + cast + " END"
	},
	MemberJSON: func(object, key string) string {
		return "json_extract(" + object + ", " + Text(jsonPointer(key)) + ")"
	},
	Alter: func(column, typ string) string {
		return "ALTER COLUMN " + Ident(column) + " SET DATA TYPE " + typ + " USING CAST(" + Ident(column) + " AS " + typ + ")"
	},
}

// jsonPointer is the RFC 6901 pointer to a member. Paths ($."a b") have no way to write a
// quotation mark or an asterisk, pointers can name every member.
func jsonPointer(key string) string {
	return "/" + strings.ReplaceAll(strings.ReplaceAll(key, "~", "~0"), "/", "~1")
}

func duckdbType(c martsync.Column) string {
	switch c.Type {
	case martsync.Bool:
		return "BOOLEAN"
	case martsync.Int64:
		return "BIGINT"
	case martsync.Float64:
		return "DOUBLE"
	case martsync.Decimal:
		return fmt.Sprintf("DECIMAL(%d,%d)", c.Precision, c.Scale)
	case martsync.Binary:
		return "BLOB"
	case martsync.Date:
		return "DATE"
	case martsync.Timestamp:
		return "TIMESTAMP" // without time zone, in UTC, like every timestamp of ours
	case martsync.JSON:
		return "JSON"
	default:
		return "VARCHAR"
	}
}

// DuckDBColumn is the column that a DuckDB type stands for. ok is false for types that we
// never make; exact is false where ours holds more, such as BIGINT for INTEGER.
func DuckDBColumn(name, typ string) (c martsync.Column, exact, ok bool) {
	c.Name = name
	if digits, found := strings.CutPrefix(typ, "DECIMAL("); found {
		p, s, _ := strings.Cut(strings.TrimSuffix(digits, ")"), ",")
		var errP, errS error
		c.Type = martsync.Decimal
		c.Precision, errP = strconv.Atoi(p)
		c.Scale, errS = strconv.Atoi(strings.TrimSpace(s))
		return c, true, errP == nil && errS == nil
	}
	exact = true
	switch typ {
	case "BOOLEAN":
		c.Type = martsync.Bool
	case "BIGINT":
		c.Type = martsync.Int64
	case "TINYINT", "SMALLINT", "INTEGER", "UTINYINT", "USMALLINT", "UINTEGER":
		c.Type, exact = martsync.Int64, false
	case "DOUBLE":
		c.Type = martsync.Float64
	case "FLOAT":
		c.Type, exact = martsync.Float64, false
	case "VARCHAR":
		c.Type = martsync.String
	case "BLOB":
		c.Type = martsync.Binary
	case "DATE":
		c.Type = martsync.Date
	case "TIMESTAMP":
		c.Type = martsync.Timestamp
	case "TIMESTAMP_S", "TIMESTAMP_MS":
		c.Type, exact = martsync.Timestamp, false
	case "JSON":
		c.Type = martsync.JSON
	default:
		return c, false, false
	}
	return c, exact, true
}
