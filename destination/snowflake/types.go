package snowflake

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/martsync/martsync"
)

// intDigits are those of a NUMBER that holds every int64. It tells int64 from decimals when a table is
// read back: a decimal of 19 digits and no fraction becomes a NUMBER of 20.
const intDigits = 19

// maxScale is that of a NUMBER: one less than its digits.
const maxScale = 37

// declaration is the type of a column in DDL. A decimal with too many places for a NUMBER is text, and a
// comment says what it is.
func declaration(c martsync.Column) string {
	if c.Type == martsync.Decimal && c.Scale > maxScale {
		return sqlType(c) + " COMMENT " + text(c.TypeName())
	}
	return sqlType(c)
}

// declared is the type of a column in the words of DESCRIBE, or what its comment says instead.
func declared(typ, comment string) string {
	var precision, scale int
	if n, err := fmt.Sscanf(comment, "decimal(%d,%d)", &precision, &scale); n == 2 && err == nil && scale > maxScale && strings.HasPrefix(typ, "VARCHAR") {
		return upper(comment)
	}
	return typ
}

// sqlType names the type of a column.
// Limits: https://docs.snowflake.com/en/sql-reference/data-types-text and data-types-numeric.
func sqlType(c martsync.Column) string {
	switch c.Type {
	case martsync.Bool:
		return "BOOLEAN"
	case martsync.Int64:
		return fmt.Sprintf("NUMBER(%d,0)", intDigits)
	case martsync.Float64:
		return "FLOAT"
	case martsync.Decimal:
		if c.Scale > maxScale {
			return "VARCHAR" // see declaration
		}
		precision := c.Precision
		if precision == intDigits && c.Scale == 0 {
			precision++
		}
		return fmt.Sprintf("NUMBER(%d,%d)", precision, c.Scale)
	case martsync.Binary:
		return "BINARY"
	case martsync.Date:
		return "DATE"
	case martsync.Timestamp:
		return "TIMESTAMP_NTZ(6)" // in UTC, like every timestamp of ours
	case martsync.JSON:
		return "VARIANT"
	default:
		return "VARCHAR"
	}
}

// columnOf is the column that a type in the words of DESCRIBE stands for. ok is false for types that we
// never make; exact is false where ours holds more, such as VARCHAR for VARCHAR(10).
func columnOf(name, typ string) (c martsync.Column, exact, ok bool) {
	c.Name = name
	base, arguments, _ := strings.Cut(strings.TrimSuffix(upper(strings.TrimSpace(typ)), ")"), "(")
	first, second, _ := strings.Cut(arguments, ",")
	n, errN := strconv.Atoi(strings.TrimSpace(first))
	scale, errScale := strconv.Atoi(strings.TrimSpace(second))
	exact = true
	switch base {
	case "BOOLEAN":
		c.Type = martsync.Bool
	case "NUMBER", "DECIMAL", "NUMERIC":
		if errN != nil || errScale != nil {
			return c, false, false
		}
		c.Type, c.Precision, c.Scale = martsync.Decimal, n, scale
		if n == intDigits && scale == 0 {
			c.Type, c.Precision = martsync.Int64, 0
		}
	case "FLOAT", "DOUBLE", "REAL":
		c.Type = martsync.Float64
	case "VARCHAR", "TEXT", "STRING":
		c.Type = martsync.String
		exact = arguments == "" || n >= 16_777_216
	case "BINARY", "VARBINARY":
		c.Type = martsync.Binary
		exact = arguments == "" || n >= 8_388_608
	case "DATE":
		c.Type = martsync.Date
	case "TIMESTAMP_NTZ", "DATETIME":
		c.Type = martsync.Timestamp
		exact = arguments == "" || n >= 6
	case "VARIANT":
		c.Type = martsync.JSON
	default:
		return c, false, false
	}
	return c, exact, true
}
