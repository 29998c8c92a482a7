package config

import (
	"encoding"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/martsync/martsync/internal/nearest"
)

// A patterns is a list of patterns, in the file also one pattern alone: "*".
type patterns []string

// A decoder fills Go values from nodes. Unlike a general decoder it knows the place of every
// value, names the nearest key for one nobody knows, and lets a text become a number only
// where the option is one.
type decoder struct {
	problems *problems
}

var (
	durationType = reflect.TypeFor[time.Duration]()
	patternsType = reflect.TypeFor[patterns]()
	unmarshaler  = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// decode fills v, which must be settable. what names the value in errors: "source marketo".
func (d *decoder) decode(n *node, v reflect.Value, what string) {
	if n.kind == null {
		return // the zero value, which means the default
	}
	t := v.Type()
	switch {
	case t.Kind() == reflect.Pointer:
		v.Set(reflect.New(t.Elem()))
		d.decode(n, v.Elem(), what)
	case reflect.PointerTo(t).Implements(unmarshaler):
		if d.want(n, scalar, what) {
			if err := v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(n.text)); err != nil { //nolint:forcetypeassert // checked
				d.problems.at(n, "", "%s: %v", what, err)
			}
		}
	case t == durationType:
		if d.want(n, scalar, what) {
			duration, err := ParseDuration(n.text)
			if err != nil {
				d.problems.at(n, "", "%s: %v", what, err)
			}
			v.SetInt(int64(duration))
		}
	case t == locationType && n.kind == scalar:
		v.Set(reflect.ValueOf(locationOf(n.text)))
	case t == patternsType && n.kind == scalar:
		v.Set(reflect.ValueOf(patterns(splitList(n.text))))
	default:
		d.decodeKind(n, v, what)
	}
}

func (d *decoder) decodeKind(n *node, v reflect.Value, what string) {
	switch v.Kind() {
	case reflect.String:
		if d.want(n, scalar, what) {
			v.SetString(n.text)
		}
	case reflect.Bool:
		if d.want(n, scalar, what) {
			b, err := strconv.ParseBool(n.text)
			d.check(n, err, what, "true or false")
			v.SetBool(b)
		}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		if d.want(n, scalar, what) {
			i, err := strconv.ParseInt(strings.ReplaceAll(n.text, "_", ""), 10, v.Type().Bits())
			d.check(n, err, what, "a whole number")
			v.SetInt(i)
		}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		if d.want(n, scalar, what) {
			i, err := strconv.ParseUint(strings.ReplaceAll(n.text, "_", ""), 10, v.Type().Bits())
			d.check(n, err, what, "a whole number, not negative")
			v.SetUint(i)
		}
	case reflect.Float32, reflect.Float64:
		if d.want(n, scalar, what) {
			f, err := strconv.ParseFloat(n.text, v.Type().Bits())
			d.check(n, err, what, "a number")
			v.SetFloat(f)
		}
	case reflect.Slice:
		if n.kind == scalar && n.origin != "" { // an environment variable has no other way to hold a list
			n = listOf(n)
		}
		if d.want(n, sequence, what) {
			v.Set(reflect.MakeSlice(v.Type(), len(n.items), len(n.items)))
			for i, item := range n.items {
				d.decode(item, v.Index(i), what)
			}
		}
	case reflect.Map:
		if d.want(n, mapping, what) {
			v.Set(reflect.MakeMap(v.Type()))
			for _, e := range n.entries {
				value := reflect.New(v.Type().Elem()).Elem()
				d.decode(e.value, value, what+"."+e.key)
				v.SetMapIndex(reflect.ValueOf(e.key).Convert(v.Type().Key()), value)
			}
		}
	case reflect.Struct:
		if d.want(n, mapping, what) {
			d.decodeStruct(n, v, what)
		}
	default:
		d.problems.at(n, "", "%s: an option cannot be a Go %s", what, v.Type())
	}
}

func (d *decoder) decodeStruct(n *node, v reflect.Value, what string) {
	fields := optionsOf(v.Type())
	for _, e := range n.entries {
		i := indexOption(fields, e.key)
		if i < 0 {
			d.unknownKey(e, what, optionNames(fields))
			continue
		}
		d.decode(e.value, v.FieldByIndex(fields[i].index), e.key)
		d.checkWord(e, &fields[i], v.FieldByIndex(fields[i].index))
	}
}

// checkWord complains about a text that is none of the words that its option takes: those that its jsonschema tag lists,
// in which case does not count. Only what is like one of them is shown: anything else may be a secret.
func (d *decoder) checkWord(e entry, o *option, v reflect.Value) {
	if e.value.kind != scalar || e.value.text == "" || o.field.Type.Kind() != reflect.String {
		return
	}
	var words []string
	for _, part := range splitTag(o.field.Tag.Get("jsonschema")) {
		if word, found := strings.CutPrefix(part, "enum="); found && word != "" {
			words = append(words, word)
		}
	}
	if i := slices.IndexFunc(words, func(w string) bool { return strings.EqualFold(w, e.value.text) }); i >= 0 {
		v.SetString(words[i])
		return
	}
	if len(words) == 0 {
		return
	}
	p := &Problem{
		Line: e.value.line, Column: e.value.column, Source: e.value.origin, width: e.value.width,
		Message: e.key + " must be " + list(words), Hint: suggestion(e.value.text, words),
	}
	if nearest.Of(e.value.text, words) != "" {
		p.shown = e.value.text
	}
	d.problems.add(p)
}

func (d *decoder) unknownKey(e entry, what string, known []string) {
	d.problems.add(&Problem{
		Line: e.place.line, Column: e.place.column, width: e.place.width, Source: e.place.origin, unknown: true, shown: e.key,
		Message: fmt.Sprintf("unknown key %q in %s", e.key, what), Hint: suggestion(e.key, known),
	})
}

// want reports whether n is of the wanted kind and complains if it is not.
func (d *decoder) want(n *node, want kind, what string) bool {
	if n.kind != want {
		d.problems.at(n, "", "%s is %v; it must be %v", what, n.kind, want)
	}
	return n.kind == want
}

// check complains about a scalar that is not what it must be. It does not repeat the value:
// a secret may stand where a number belongs.
func (d *decoder) check(n *node, err error, what, want string) {
	if err != nil {
		d.problems.at(n, "", "%s must be %s", what, want)
	}
}

func splitList(s string) []string {
	items := strings.Split(s, ",")
	for i := range items {
		items[i] = strings.TrimSpace(items[i])
	}
	return items
}

func listOf(n *node) *node {
	out := *n
	out.kind = sequence
	for _, text := range splitList(n.text) {
		item := *n
		item.text = text
		out.items = append(out.items, &item)
	}
	return &out
}

// An option is a field of a connector's configuration.
type option struct {
	name  string
	index []int
	field reflect.StructField
}

// optionsOf lists the options of a struct type, those of inlined structs too.
func optionsOf(t reflect.Type) []option {
	var out []option
	for i := range t.NumField() {
		f := t.Field(i)
		tag := f.Tag.Get("yaml")
		switch {
		case !f.IsExported() && !f.Anonymous || tag == "-":
		case f.Type.Kind() == reflect.Struct && strings.Contains(tag, ",inline"):
			for _, o := range optionsOf(f.Type) {
				o.index = append([]int{i}, o.index...)
				out = append(out, o)
			}
		default:
			out = append(out, option{name: optionName(f), index: []int{i}, field: f})
		}
	}
	return out
}

func optionName(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
	if name == "" {
		return strings.ToLower(f.Name)
	}
	return name
}

func optionNames(options []option) []string {
	out := make([]string, len(options))
	for i, o := range options {
		out[i] = o.name
	}
	return out
}

func indexOption(options []option, name string) int {
	for i, o := range options {
		if o.name == name {
			return i
		}
	}
	return -1
}
