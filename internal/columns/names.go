package columns

import (
	"strconv"
	"strings"

	"github.com/martsync/martsync"
)

// A SnakeNamer makes column names out of the vendor's names of fields: firstName becomes
// first_name, SICCode sic_code, mktoIsPartner__c mkto_is_partner__c. Names are unique
// without regard to case; where two fields would get the same, the later one gets _2, the
// next _3, so the order in which it is asked is part of the result.
type SnakeNamer struct{ taken map[string]bool }

// NewSnakeNamer returns a namer that has given out no name yet. The names of the system
// columns are never given out.
func NewSnakeNamer() *SnakeNamer {
	return &SnakeNamer{taken: map[string]bool{martsync.SyncedAt: true, martsync.Deleted: true}}
}

// Names names all fields of a record, in the vendor's order.
func Names(origins []string) []string {
	n := NewSnakeNamer()
	names := make([]string, len(origins))
	for i, origin := range origins {
		names[i] = n.Name(origin)
	}
	return names
}

// Name returns the name for the next field.
func (n *SnakeNamer) Name(origin string) string {
	base := Snake(origin)
	name := base
	for i := 2; n.taken[name]; i++ {
		name = base + "_" + strconv.Itoa(i)
	}
	n.taken[name] = true
	return name
}

// Snake writes one name in snake_case. It splits before an upper-case letter that follows a
// lower-case letter or a digit, and before the last capital of a run that is followed by a
// lower-case letter. What is neither an ASCII letter nor a digit becomes an underscore,
// and a name that would begin with a digit begins with one.
func Snake(origin string) string {
	var b strings.Builder
	runes := []rune(origin)
	at := func(i int) rune {
		if i < 0 || i >= len(runes) {
			return 0
		}
		return runes[i]
	}
	for i, r := range runes {
		switch {
		case isUpper(r):
			if before := at(i - 1); isLower(before) || isDigit(before) || isUpper(before) && isLower(at(i+1)) {
				b.WriteByte('_')
			}
			b.WriteRune(r + 'a' - 'A')
		case isLower(r), isDigit(r):
			if i == 0 && isDigit(r) {
				b.WriteByte('_')
			}
			b.WriteRune(r)
		default:
			b.WriteByte('_')
		}
	}
	if b.Len() == 0 {
		return "_"
	}
	return b.String()
}

func isUpper(r rune) bool { return 'A' <= r && r <= 'Z' }
func isLower(r rune) bool { return 'a' <= r && r <= 'z' }
func isDigit(r rune) bool { return '0' <= r && r <= '9' }
