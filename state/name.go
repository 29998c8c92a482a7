package state

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/martsync/martsync"
)

// suffix tells a document's file from a folder: the key "a" is the file a.json, and the key
// "a/b" a file in the folder a. No encoded segment contains a dot.
const suffix = ".json"

// maxSegment is how long an encoded segment may be, in bytes: file systems allow 255 for a
// name, and the suffixes of the file and of its temporary copy come on top.
const maxSegment = 240

// reserved are names that Windows gives to devices, in any folder and with any extension.
var reserved = []string{
	"con", "prn", "aux", "nul", "com0", "com1", "com2", "com3", "com4", "com5", "com6", "com7", "com8", "com9",
	"lpt0", "lpt1", "lpt2", "lpt3", "lpt4", "lpt5", "lpt6", "lpt7", "lpt8", "lpt9",
}

// check refuses what every store must refuse, whatever it keeps documents in.
func check(ctx context.Context, op, key string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if !utf8.ValidString(key) {
		return &martsync.Error{Kind: martsync.Internal, Op: "state: " + op, Err: fmt.Errorf("key %q is not UTF-8", key)}
	}
	for s := range strings.SplitSeq(key, "/") {
		var err error
		switch {
		case s == "":
			err = fmt.Errorf("key %q has an empty segment", key)
		case len(encode(s)) > maxSegment:
			err = fmt.Errorf("key %q is too long", key)
		default:
			continue
		}
		return &martsync.Error{Kind: martsync.Internal, Op: "state: " + op, Err: err}
	}
	return nil
}

// encode turns a segment of a key into a name that is safe and distinct on every file system,
// those that ignore case included: an upper-case letter becomes "!" and the lower-case one,
// and every byte that is not a lower-case letter, a digit, "-" or "_" becomes %xx.
func encode(segment string) string {
	var b strings.Builder
	first := slices.Contains(reserved, segment)
	for i := range len(segment) {
		switch c := segment[i]; {
		case first && i == 0:
			fmt.Fprintf(&b, "%%%02x", c)
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '-', c == '_':
			b.WriteByte(c)
		case c >= 'A' && c <= 'Z':
			b.WriteByte('!')
			b.WriteByte(c - 'A' + 'a')
		default:
			fmt.Fprintf(&b, "%%%02x", c)
		}
	}
	return b.String()
}

var errName = errors.New("not a document's name")

// decode is the inverse of encode. Names that encode does not produce are errors.
func decode(name string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(name); i++ {
		switch c := name[i]; {
		case c == '!' && i+1 < len(name):
			i++
			b.WriteByte(name[i] - 'a' + 'A')
		case c == '%' && i+2 < len(name):
			v, err := strconv.ParseUint(name[i+1:i+3], 16, 8)
			if err != nil {
				return "", errName
			}
			b.WriteByte(byte(v))
			i += 2
		default:
			b.WriteByte(c)
		}
	}
	if encode(b.String()) != name || name == "" {
		return "", errName
	}
	return b.String(), nil
}
