//go:build cgo && !lite

package snowflakesim

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// A sqlError is a refusal with Snowflake's number, which clients branch on.
type sqlError struct{ Code, State, Msg string }

func (e *sqlError) Error() string { return e.Code + ": " + e.Msg }

func refuse(code, state, format string, args ...any) *sqlError {
	return &sqlError{code, state, fmt.Sprintf(format, args...)}
}

func compilation(code, format string, args ...any) *sqlError {
	return refuse(code, "42601", "SQL compilation error:\n"+format, args...)
}

// syntaxAt is error 1003, which names the place.
func syntaxAt(src string, at int, near string) *sqlError {
	line := 1 + strings.Count(src[:at], "\n")
	return refuse("001003", "42000", "SQL compilation error:\nsyntax error line %d at position %d unexpected '%s'.", line, at-(strings.LastIndexByte(src[:at], '\n')+1), near)
}

func notFound(kind, name string) *sqlError {
	return refuse("002003", "02000", "SQL compilation error:\n%s '%s' does not exist or not authorized.", kind, name)
}

func exists(name string) *sqlError {
	return refuse("002002", "42710", "SQL compilation error:\nObject '%s' already exists.", name)
}

func insufficient(kind, name string) *sqlError {
	return refuse("003001", "42501", "SQL access control error:\nInsufficient privileges to operate on %s '%s'.", kind, name)
}

func invalidIdentifier(name string) *sqlError {
	return refuse("000904", "42000", "SQL compilation error: error line 1 at position 0\ninvalid identifier '%s'", name)
}

func unsupported(what string) *sqlError {
	return refuse("000002", "0A000", "Unsupported feature '%s'.", what)
}

var (
	missingColumn = regexp.MustCompile(`(?is)(?:Referenced column|Table "[^"]*" does not have a column named|column) "([^"]+)"(?: not found| that| in FROM)?`)
	missingTable  = regexp.MustCompile(`Referenced table "([^"]+)" not found`)
	badText       = regexp.MustCompile(`(?s)Could not convert string ['"](.*?)['"] to (\w+)`)
	tagged        = regexp.MustCompile(`(?s)SIM(\d{6})\|(\w{5})\|(.*?)\x00`)
)

// translate gives an error of the engine the number that Snowflake would have given it.
func translate(err error) *sqlError {
	var own *sqlError
	if err == nil || errors.As(err, &own) {
		return own
	}
	msg := err.Error()
	if m := tagged.FindStringSubmatch(msg + "\x00"); m != nil {
		return refuse(m[1], m[2], "%s", strings.TrimSpace(m[3]))
	}
	has := func(s string) bool { return strings.Contains(msg, s) }
	switch {
	case has("Interrupt"), has("context canceled"), has("INTERRUPT"):
		return refuse("000604", "57014", "SQL execution canceled")
	case has("NOT NULL constraint"):
		return refuse("100072", "22000", "NULL result in a non-nullable column")
	case has("Conversion Error"):
		if m := badText.FindStringSubmatch(msg); m != nil {
			switch m[2] {
			case "TIMESTAMP":
				return refuse("100035", "22007", "Timestamp '%s' is not recognized", m[1])
			case "DATE":
				return refuse("100040", "22007", "Date '%s' is not recognized", m[1])
			case "BOOL", "BOOLEAN":
				return refuse("100037", "22018", "Boolean value '%s' is not recognized", m[1])
			default:
				return refuse("100038", "22018", "Numeric value '%s' is not recognized", m[1])
			}
		}
		if has("timestamp field") {
			return refuse("100035", "22007", "Timestamp is not recognized: %s", msg)
		}
		if has("date field") {
			return refuse("100040", "22007", "Date is not recognized: %s", msg)
		}
		if has("decimal") || has("DECIMAL") || has("out of range") || has("Casting value") {
			return refuse("100039", "22003", "Numeric value is out of range: %s", msg)
		}
		return refuse("100038", "22018", "Numeric value is not recognized: %s", msg)
	case has("Out of Range"):
		return refuse("100039", "22003", "Number out of representable range: %s", msg)
	case has("Malformed JSON"):
		return refuse("100069", "22P02", "Error parsing JSON: %s", msg)
	case has("Binder Error"):
		if m := missingTable.FindStringSubmatch(msg); m != nil {
			return invalidIdentifier(unmangle(m[1]))
		}
		if m := missingColumn.FindStringSubmatch(msg); m != nil {
			return invalidIdentifier(unmangle(m[1]))
		}
		if has("must appear in the GROUP BY") {
			return refuse("000979", "42601", "SQL compilation error:\n%s", msg)
		}
		if has("Ambiguous reference") {
			return refuse("000945", "42601", "SQL compilation error:\n%s", msg)
		}
		return refuse("001044", "42P13", "SQL compilation error: %s", msg)
	case has("more than one row returned by a subquery"), has("More than one row"):
		return refuse("090150", "22000", "Single-row subquery returns more than one row.")
	case has("Parser Error"):
		return refuse("001003", "42000", "SQL compilation error:\n%s", msg)
	}
	return refuse("300002", "XX000", "Internal error of the simulator: %s", msg)
}

// conflicts reports whether the engine gave up a statement because another transaction was faster:
// Snowflake would have waited, so the statement is tried again.
func conflicts(err error) bool {
	return err != nil && (strings.Contains(err.Error(), "Conflict on") || strings.Contains(err.Error(), "Transaction conflict") || strings.Contains(err.Error(), "write-write conflict"))
}
