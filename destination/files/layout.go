package files

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/blob"
)

// defaultLayout keeps each stream together and lets readers skip days.
const defaultLayout = "{stream}/dt={date}/{stream}-{time}-{seq}.{format}"

// A layout makes the keys of data files of a template such as defaultLayout.
type layout struct{ segments [][]piece }

// A piece is literal text or a placeholder.
type piece struct {
	text        string
	placeholder string
}

// layoutValues are what placeholders stand for.
type layoutValues struct {
	Source       string     // {source}: where the rows come from, such as the namespace; "" becomes "default"
	Stream       string     // {stream}; {object} is one record of it as the vendor spells it: VisitorActivity
	Sync         string     // {sync}: the load that writes the file; "" becomes "none"
	Time         time.Time  // {date} 2006-01-02, {hour} 15, {time} 20060102T150405Z: when the file was begun, in UTC
	Seq          int64      // {seq}: the number of the file in its stream, never used again
	ActivityType string     // {activity_type}: from partitions
	Export       bool       // {way}: bulk or api
	Format       fileFormat // {format}: parquet, csv.gz
}

const activityPlaceholder = "activity_type"

var placeholders = map[string]func(v *layoutValues) string{
	"source":            func(v *layoutValues) string { return or(v.Source, "default") },
	"stream":            func(v *layoutValues) string { return v.Stream },
	"object":            func(v *layoutValues) string { return object(v.Stream) },
	"sync":              func(v *layoutValues) string { return or(v.Sync, "none") },
	"date":              func(v *layoutValues) string { return v.Time.UTC().Format(time.DateOnly) },
	"hour":              func(v *layoutValues) string { return v.Time.UTC().Format("15") },
	"time":              func(v *layoutValues) string { return v.Time.UTC().Format("20060102T150405Z") },
	"seq":               func(v *layoutValues) string { return fmt.Sprintf("%06d", v.Seq) },
	"way":               func(v *layoutValues) string { return way(v.Export) },
	"format":            func(v *layoutValues) string { return v.Format.extension() },
	activityPlaceholder: func(v *layoutValues) string { return v.ActivityType },
}

func or(text, fallback string) string {
	if text == "" {
		return fallback
	}
	return text
}

func way(export bool) string {
	if export {
		return "bulk"
	}
	return "api"
}

// parseLayout reads a template; "" is defaultLayout. Whatever it makes is a key that a store
// takes, that no two files of a destination share, and that is not one of our own objects.
func parseLayout(template string) (*layout, error) {
	template = or(template, defaultLayout)
	fail := func(hint, format string, args ...any) error {
		return &martsync.Error{
			Kind: martsync.Config, Op: fmt.Sprintf("files: read the layout %q", template),
			Err: fmt.Errorf(format, args...), Hint: hint,
		}
	}
	l := &layout{}
	used := map[string]bool{}
	for segment := range strings.SplitSeq(template, "/") {
		pieces, err := parsePieces(segment)
		if err != nil {
			return nil, fail(`Write placeholders as {stream}.`, "%w", err)
		}
		for _, p := range pieces {
			if p.placeholder == "" {
				if bad := strings.IndexFunc(p.text, forbidden); bad >= 0 {
					return nil, fail("Use letters, digits and - _ . = + @ only.", "%q is not allowed in a key", []rune(p.text[bad:])[0])
				}
				continue
			}
			if placeholders[p.placeholder] == nil {
				return nil, fail(suggest(p.placeholder, slices.Sorted(maps.Keys(placeholders))), "there is no placeholder {%s}", p.placeholder)
			}
			used[p.placeholder] = true
		}
		if len(pieces) == 0 || pieces[0].placeholder == "" && strings.HasPrefix(pieces[0].text, ".") {
			return nil, fail("Write a layout such as "+defaultLayout+".", "the part %q of the key is empty or begins with a dot", segment)
		}
		l.segments = append(l.segments, pieces)
	}
	switch first := l.segments[0][0]; {
	case strings.HasPrefix(first.text, strings.TrimSuffix(blob.SystemFolder, "/")):
		return nil, fail("Choose another name for the first part.", "%s belongs to the manifests", blob.SystemFolder)
	case !used["stream"] && !used["object"]:
		return nil, fail("Add {stream}.", "files of different streams would have the same key")
	case !used["seq"]:
		return nil, fail("Add {seq}.", "files of one stream would have the same key")
	case !strings.HasSuffix(template, ".{format}"):
		return nil, fail("End it with .{format}.", "nobody could tell the format of the files by their names")
	}
	return l, nil
}

// parsePieces divides a segment at its placeholders.
func parsePieces(segment string) (pieces []piece, err error) {
	for segment != "" {
		i := strings.IndexAny(segment, "{}")
		if i < 0 {
			return append(pieces, piece{text: segment}), nil
		}
		if segment[i] == '}' {
			return nil, errors.New("a } has no {")
		}
		if i > 0 {
			pieces = append(pieces, piece{text: segment[:i]})
		}
		name, rest, closed := strings.Cut(segment[i+1:], "}")
		if !closed {
			return nil, errors.New("a { has no }")
		}
		if name == "" {
			return nil, errors.New("{} has no name in it")
		}
		pieces = append(pieces, piece{placeholder: name})
		segment = rest
	}
	return pieces, nil
}

// forbidden reports whether a character is better not used in keys: some store, tool or shell
// gives it a meaning.
func forbidden(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("-_.=+@", r)
}

// uses reports whether the template has a placeholder.
func (l *layout) uses(placeholder string) bool {
	for _, s := range l.segments {
		if slices.ContainsFunc(s, func(p piece) bool { return p.placeholder == placeholder }) {
			return true
		}
	}
	return false
}

// key returns the key of a file below the destination's prefix. A folder that tells the type of
// activities is left out for streams that have none.
func (l *layout) key(v layoutValues) string {
	var segments []string
	for i, s := range l.segments {
		file := i == len(l.segments)-1
		var b strings.Builder
		skip := false
		for _, p := range s {
			value := p.text
			if p.placeholder != "" {
				value = placeholders[p.placeholder](&v)
				skip = skip || value == ""
				if value == "" && file {
					value = untyped
				}
				value = clean(value)
			}
			b.WriteString(value)
		}
		if file || !skip {
			segments = append(segments, b.String())
		}
	}
	return strings.Join(segments, "/")
}

// clean makes a value fit for a key. Values that differ stay different: of two streams whose keys
// met, one would replace the files of the other.
func clean(value string) string {
	if fit := strings.Trim(value, ".") != ""; fit && !strings.ContainsFunc(value, forbiddenInValue) {
		return value
	}
	var b strings.Builder
	onlyDots := strings.Trim(value, ".") == "" // no path may climb
	for i := range len(value) {
		if c := value[i]; forbiddenInValue(rune(c)) || onlyDots {
			fmt.Fprintf(&b, "@%02x", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

func forbiddenInValue(r rune) bool { return r == '@' || forbidden(r) }

// object returns one record's name of a stream, as Account Engagement spells its objects:
// VisitorActivity for visitor_activities.
func object(stream string) string {
	words := strings.Split(stream, "_")
	last := &words[len(words)-1]
	switch {
	case strings.HasSuffix(*last, "ies"):
		*last = strings.TrimSuffix(*last, "ies") + "y"
	case strings.HasSuffix(*last, "s") && !strings.HasSuffix(*last, "ss"):
		*last = strings.TrimSuffix(*last, "s")
	}
	for i, w := range words {
		if w != "" {
			words[i] = strings.ToUpper(w[:1]) + w[1:]
		}
	}
	return strings.Join(words, "")
}
