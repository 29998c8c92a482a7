// Package protect keeps values from leaving a source as they are: columns that are left out, and columns of which only
// a keyed hash goes on. It wraps a source, so that nothing behind it (tables, files, logs, quarantine, standard output)
// ever holds such a value.
//
// It leaves to others: what the rules are (package config), which columns need not even be asked for
// (martsync.Pruner), and where else their values show (martsync.Echoer). It hides what it is told to hide: text that
// people typed into another field is not found.
package protect

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/martsync/martsync"
)

// minKey is the least length of the key of the hashes. Short ones are guessed: whoever knows one address and its hash
// can try them.
const minKey = 16

// Rules say what becomes of columns. The patterns are "column" for a column of any stream, "stream.column", or
// "stream.column.member" for a member of a JSON object; each part may have *, ? and [a-z]. A column goes by its own
// name or by the vendor's; case does not count.
type Rules struct {
	Include []string        // of the streams that these name, only these columns, keys and versions
	Exclude []string        // left out
	Hash    []string        // a hash instead of the value
	Key     martsync.Secret // of the hashes; at least 16 bytes
}

// Empty reports whether there is nothing to do.
func (r Rules) Empty() bool { return len(r.Include)+len(r.Exclude)+len(r.Hash) == 0 }

// A pattern is a rule in its parts.
type pattern struct {
	text                   string
	stream, column, member string // lower case but for member; "" of stream: any; "" of member: the column
}

// A Protection is checked rules.
type Protection struct {
	include, exclude, hash []pattern
	key                    []byte
}

// New checks the rules. Errors are of kind Config.
func New(r Rules) (*Protection, error) {
	p := &Protection{key: []byte(r.Key.Reveal())}
	fail := func(format string, args ...any) error {
		return &martsync.Error{Kind: martsync.Config, Op: "columns", Err: fmt.Errorf(format, args...)}
	}
	for _, list := range []struct {
		name string
		from []string
		to   *[]pattern
	}{{"include", r.Include, &p.include}, {"exclude", r.Exclude, &p.exclude}, {"hash", r.Hash, &p.hash}} {
		for _, text := range list.from {
			t, err := parse(text)
			if err == nil && list.name == "include" && (t.stream == "" || t.member != "") {
				err = errors.New("name a stream and a column, as in leads.email")
			}
			if err != nil {
				return nil, fail("%s: %q: %w", list.name, text, err)
			}
			*list.to = append(*list.to, t)
		}
	}
	if len(r.Hash) > 0 && len(p.key) < minKey {
		return nil, &martsync.Error{
			Kind: martsync.Config, Op: "columns", Err: fmt.Errorf("hash_key has %d bytes, want at least %d", len(p.key), minKey),
			Hint: "Make one with: openssl rand -hex 32. Keep it: another key makes other hashes.",
		}
	}
	return p, nil
}

func parse(text string) (pattern, error) {
	t := pattern{text: text}
	switch parts := strings.SplitN(text, ".", 3); len(parts) {
	case 1:
		t.column = strings.ToLower(parts[0])
	case 2:
		t.stream, t.column = strings.ToLower(parts[0]), strings.ToLower(parts[1])
	default:
		t.stream, t.column, t.member = strings.ToLower(parts[0]), strings.ToLower(parts[1]), parts[2]
		if t.member == "" {
			return t, errors.New("the member has no name")
		}
	}
	if t.column == "" || t.stream == "" && strings.Contains(text, ".") {
		return t, errors.New("a part is empty")
	}
	for _, part := range []string{t.stream, t.column, t.member} {
		if _, err := path.Match(part, ""); err != nil {
			return t, errors.New("patterns are names with *, ? and [a-z]")
		}
	}
	return t, nil
}

func matches(pattern, name string) bool {
	ok, _ := path.Match(pattern, name) // New has checked it
	return ok
}

// of reports whether the pattern is about the stream.
func (t pattern) of(stream string) bool { return t.stream == "" || matches(t.stream, stream) }

// is reports whether the pattern names the column.
func (t pattern) is(stream string, c *martsync.Column) bool {
	return t.of(stream) && (matches(t.column, strings.ToLower(c.Name)) || c.Origin != "" && matches(t.column, strings.ToLower(c.Origin)))
}

// anyIs reports whether one of the patterns names the whole column.
func anyIs(patterns []pattern, stream string, c *martsync.Column) bool {
	return slices.ContainsFunc(patterns, func(t pattern) bool { return t.member == "" && t.is(stream, c) })
}

// drops reports whether a column is left out, were it no key.
func (p *Protection) drops(stream string, c *martsync.Column) bool {
	if anyIs(p.exclude, stream, c) {
		return true
	}
	named := slices.ContainsFunc(p.include, func(t pattern) bool { return matches(t.stream, stream) })
	return named && !anyIs(p.include, stream, c) && !anyIs(p.hash, stream, c)
}

// hashes reports whether of a column only a hash goes on.
func (p *Protection) hashes(stream string, c *martsync.Column) bool { return anyIs(p.hash, stream, c) }

// digest is what stands for a value: HMAC-SHA256 in hexadecimal, the same in all streams.
func (p *Protection) digest(value []byte) string {
	h := hmac.New(sha256.New, p.key)
	_, _ = h.Write(value) // a hash takes everything
	return hex.EncodeToString(h.Sum(nil))
}
