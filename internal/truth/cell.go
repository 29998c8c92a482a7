package truth

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/simulate"
)

// cellIs reports whether row i of v holds what the truth says.
func cellIs(v *martsync.Vector, column martsync.Column, i int, want any) bool {
	if several, ok := want.(simulate.OneOf); ok {
		return slices.ContainsFunc(several, func(w any) bool { return cellIs(v, column, i, w) })
	}
	if want == nil {
		return v.Null(i) || column.Type == martsync.JSON && bytes.Equal(v.Bytes(i), []byte("null"))
	}
	if v.Null(i) {
		raw, ok := want.(json.RawMessage)
		return ok && string(bytes.TrimSpace(raw)) == "null"
	}
	switch column.Type {
	case martsync.Bool:
		w, ok := want.(bool)
		return ok && v.Bools[i] == w
	case martsync.Int64, martsync.Decimal, martsync.Float64:
		return numberIs(v, column, i, want)
	case martsync.String:
		if w, ok := want.(json.RawMessage); ok {
			return sameJSON(v.Bytes(i), w)
		}
		w, ok := want.(string)
		return ok && string(v.Bytes(i)) == w
	case martsync.Binary:
		w, ok := want.(string)
		return ok && string(v.Bytes(i)) == w
	case martsync.Date:
		if w, ok := want.(time.Time); ok {
			return time.Unix(int64(v.Days[i])*86400, 0).UTC().Equal(w)
		}
		w, ok := want.(string)
		return ok && time.Unix(int64(v.Days[i])*86400, 0).UTC().Format(time.DateOnly) == w
	case martsync.Timestamp:
		// Columns hold microseconds; what the vendor knows beyond that is cut off.
		w, ok := want.(time.Time)
		return ok && v.Ints[i] == w.UnixMicro()
	case martsync.JSON:
		switch w := want.(type) {
		case json.RawMessage:
			return sameJSON(v.Bytes(i), w)
		case string:
			text, err := json.Marshal(w)
			return err == nil && sameJSON(v.Bytes(i), text)
		}
		text, err := json.Marshal(want)
		return err == nil && sameJSON(v.Bytes(i), text)
	default:
		return false
	}
}

// numberIs compares exactly, whatever form the two numbers have. Only a float in both places
// is compared as the float it is.
func numberIs(v *martsync.Vector, column martsync.Column, i int, want any) bool {
	var w *big.Rat
	switch x := want.(type) {
	case int64:
		w = new(big.Rat).SetInt64(x)
	case int:
		w = new(big.Rat).SetInt64(int64(x))
	case float64:
		if column.Type == martsync.Float64 {
			return v.Floats[i] == x || math.IsNaN(x) && math.IsNaN(v.Floats[i])
		}
		// The float stands for the shortest decimal that gives it back, as JSON writes it.
		w, _ = new(big.Rat).SetString(strconv.FormatFloat(x, 'g', -1, 64))
	case string:
		w, _ = new(big.Rat).SetString(x)
		if column.Type == martsync.Float64 && w != nil {
			f, err := strconv.ParseFloat(x, 64)
			return err == nil && v.Floats[i] == f
		}
	case json.Number:
		w, _ = new(big.Rat).SetString(x.String())
	}
	if w == nil {
		return false
	}
	switch column.Type {
	case martsync.Int64:
		return new(big.Rat).SetInt64(v.Ints[i]).Cmp(w) == 0
	case martsync.Decimal:
		return decimalRat(v.Decimals[i], column.Scale).Cmp(w) == 0
	default:
		f := new(big.Rat).SetFloat64(v.Floats[i])
		return f != nil && f.Cmp(w) == 0
	}
}

func decimalRat(d martsync.Int128, scale int) *big.Rat {
	n := new(big.Int).Lsh(big.NewInt(d.Hi), 64)
	n.Add(n, new(big.Int).SetUint64(d.Lo))
	return new(big.Rat).SetFrac(n, new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(scale)), nil))
}

// sameJSON reports whether a and b are the same JSON value: members in any order, numbers by
// value. Text that is not JSON is only the same as itself.
func sameJSON(a, b []byte) bool {
	if bytes.Equal(a, b) {
		return true
	}
	x, errX := decodeJSON(a)
	y, errY := decodeJSON(b)
	return errX == nil && errY == nil && sameValue(x, y)
}

func decodeJSON(text []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	if d.More() {
		return nil, fmt.Errorf("more than one value")
	}
	return v, nil
}

func sameValue(a, b any) bool {
	switch a := a.(type) {
	case map[string]any:
		b, ok := b.(map[string]any)
		return ok && maps.EqualFunc(a, b, sameValue)
	case []any:
		b, ok := b.([]any)
		return ok && slices.EqualFunc(a, b, sameValue)
	case json.Number:
		b, ok := b.(json.Number)
		if !ok {
			return false
		}
		if a == b {
			return true
		}
		if len(a)+len(b) > 100 || strings.ContainsAny(string(a+b), "eE") {
			x, errX := a.Float64()
			y, errY := b.Float64()
			return errX == nil && errY == nil && x == y
		}
		x, okX := new(big.Rat).SetString(a.String())
		y, okY := new(big.Rat).SetString(b.String())
		return okX && okY && x.Cmp(y) == 0
	default:
		return a == b
	}
}

// cellText writes row i of v as text: as part of a key and for people.
func cellText(v *martsync.Vector, column martsync.Column, i int) string {
	if v.Null(i) {
		return "null"
	}
	switch column.Type {
	case martsync.Bool:
		return strconv.FormatBool(v.Bools[i])
	case martsync.Int64:
		return strconv.FormatInt(v.Ints[i], 10)
	case martsync.Float64:
		return strconv.FormatFloat(v.Floats[i], 'g', -1, 64)
	case martsync.Decimal:
		return decimalRat(v.Decimals[i], column.Scale).FloatString(column.Scale)
	case martsync.Date:
		return time.Unix(int64(v.Days[i])*86400, 0).UTC().Format(time.DateOnly)
	case martsync.Timestamp:
		return time.UnixMicro(v.Ints[i]).UTC().Format(time.RFC3339Nano)
	default:
		return string(v.Bytes(i))
	}
}

// show writes a value of the truth as cellText would.
func show(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case string:
		return v
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64)
	case time.Time:
		return v.UTC().Truncate(time.Microsecond).Format(time.RFC3339Nano)
	case json.RawMessage:
		return string(v)
	case simulate.OneOf:
		var out []string
		for _, one := range v {
			out = append(out, show(one))
		}
		return strings.Join(out, " or ")
	default:
		return fmt.Sprint(v)
	}
}

func showRow(values map[string]any) string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(values)) {
		out = append(out, name+"="+clip(show(values[name])))
	}
	return strings.Join(out, " ")
}

// clip shortens a value for an example.
func clip(s string) string {
	const limit = 120
	if len(s) <= limit {
		return s
	}
	cut := limit
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}
