// Package decimal reads and writes the exact decimals of package martsync: 128-bit integers
// scaled by a power of ten. It does no arithmetic beyond what moving values needs; anything
// that would round is refused.
package decimal

import (
	"errors"
	"math/bits"

	"github.com/martsync/martsync"
)

// MaxPrecision is the largest number of digits that a decimal column may have.
const MaxPrecision = 38

// What can be wrong with the text of a decimal.
var (
	ErrSyntax   = errors.New("not a decimal number")
	ErrFraction = errors.New("more digits after the point than the column holds")
	ErrRange    = errors.New("more digits than the column holds")
)

// powers[i] is 10^i, for i up to MaxPrecision.
var powers = func() (p [MaxPrecision + 1]martsync.Int128) {
	p[0].Lo = 1
	for i := 1; i < len(p); i++ {
		p[i], _ = push(p[i-1], 0)
	}
	return p
}()

// push returns 10·v + digit for a magnitude v, and whether it stays below 2^127.
func push(v martsync.Int128, digit uint64) (martsync.Int128, bool) {
	over, hi := bits.Mul64(uint64(v.Hi), 10)
	carry, lo := bits.Mul64(v.Lo, 10)
	lo, c := bits.Add64(lo, digit, 0)
	hi, c2 := bits.Add64(hi, carry, c)
	return martsync.Int128{Hi: int64(hi), Lo: lo}, over == 0 && c2 == 0 && hi>>63 == 0
}

// divMod10 divides a magnitude by 10.
func divMod10(v martsync.Int128) (martsync.Int128, uint64) {
	hi, r := bits.Div64(0, uint64(v.Hi), 10)
	lo, r := bits.Div64(r, v.Lo, 10)
	return martsync.Int128{Hi: int64(hi), Lo: lo}, r
}

// Neg returns -v.
func Neg(v martsync.Int128) martsync.Int128 {
	lo, borrow := bits.Sub64(0, v.Lo, 0)
	hi, _ := bits.Sub64(0, uint64(v.Hi), borrow)
	return martsync.Int128{Hi: int64(hi), Lo: lo}
}

// FromInt64 widens i.
func FromInt64(i int64) martsync.Int128 { return martsync.Int128{Hi: i >> 63, Lo: uint64(i)} }

// Int64 narrows v and reports whether it fits.
func Int64(v martsync.Int128) (int64, bool) { return int64(v.Lo), v.Hi == int64(v.Lo)>>63 }

// Cmp returns -1, 0 or +1 as a is less than, equal to or greater than b.
func Cmp(a, b martsync.Int128) int {
	switch {
	case a.Hi < b.Hi:
		return -1
	case a.Hi > b.Hi:
		return 1
	case a.Lo < b.Lo:
		return -1
	case a.Lo > b.Lo:
		return 1
	}
	return 0
}

// Fits reports whether v has at most precision digits, 1 to MaxPrecision.
func Fits(v martsync.Int128, precision int) bool {
	limit := powers[precision]
	return Cmp(v, limit) < 0 && Cmp(v, Neg(limit)) > 0
}

// Rescale changes the number of digits after the point from one scale to another. It
// reports false, and returns nothing of use, if that would lose digits or overflow.
func Rescale(v martsync.Int128, from, to int) (martsync.Int128, bool) {
	negative := v.Hi < 0
	if negative {
		v = Neg(v)
	}
	ok := v.Hi >= 0 // false only for -2^127, which no column can hold
	for ; ok && from < to; from++ {
		v, ok = push(v, 0)
	}
	for ; ok && from > to; from-- {
		var digit uint64
		v, digit = divMod10(v)
		ok = digit == 0
	}
	if negative {
		v = Neg(v)
	}
	return v, ok
}

// Parse reads a number such as "-12.50" or "3e-2" exactly as a value of decimal(precision,
// scale). Zeros that the column has no room for after the point are dropped; any other digit
// there is ErrFraction.
func Parse(text []byte, precision, scale int) (martsync.Int128, error) {
	var v martsync.Int128
	i, negative := 0, false
	if len(text) > 0 && (text[0] == '-' || text[0] == '+') {
		negative = text[0] == '-'
		i++
	}
	// The significant digits, their position relative to the point, and the trailing zeros
	// not yet multiplied in: 1e30 has one digit, not thirty-one, until the scale is known.
	digits, point, zeros, seenPoint := 0, 0, 0, false
	for ; i < len(text); i++ {
		c := text[i]
		if c == '.' && !seenPoint {
			seenPoint = true
			continue
		}
		if c < '0' || c > '9' {
			break
		}
		digits++
		if seenPoint {
			point++
		}
		if c == '0' {
			zeros++
			continue
		}
		var ok bool
		for ; zeros > 0 && v != (martsync.Int128{}); zeros-- {
			if v, ok = push(v, 0); !ok {
				return v, tooLong(text)
			}
		}
		zeros = 0
		if v, ok = push(v, uint64(c-'0')); !ok {
			return v, tooLong(text)
		}
	}
	if digits == 0 {
		return v, ErrSyntax
	}
	exponent, ok := parseExponent(text[i:])
	if !ok {
		return v, ErrSyntax
	}
	if v == (martsync.Int128{}) {
		return v, nil
	}
	shift := scale - point + zeros + exponent // v·10^shift is the result
	if shift < -MaxPrecision {
		return v, ErrFraction
	}
	if shift > MaxPrecision {
		return v, ErrRange
	}
	if v, ok = Rescale(v, 0, shift); !ok {
		if shift < 0 {
			return v, ErrFraction
		}
		return v, ErrRange
	}
	if !Fits(v, precision) {
		return v, ErrRange
	}
	if negative {
		v = Neg(v)
	}
	return v, nil
}

// tooLong tells a number of more than 38 significant digits from text that is no number.
func tooLong(text []byte) error {
	digits, point := 0, false
	for i, c := range text {
		switch {
		case i == 0 && (c == '-' || c == '+'):
		case c == '.' && !point:
			point = true
		case c >= '0' && c <= '9':
			digits++
		default:
			if _, ok := parseExponent(text[i:]); !ok || digits == 0 {
				return ErrSyntax
			}
			return ErrRange
		}
	}
	return ErrRange
}

// parseExponent reads "", "e5", "E-12". Exponents beyond ±9999 saturate there: they are out
// of range for every column.
func parseExponent(text []byte) (int, bool) {
	if len(text) == 0 {
		return 0, true
	}
	if text[0] != 'e' && text[0] != 'E' {
		return 0, false
	}
	text = text[1:]
	negative := false
	if len(text) > 0 && (text[0] == '-' || text[0] == '+') {
		negative = text[0] == '-'
		text = text[1:]
	}
	if len(text) == 0 {
		return 0, false
	}
	n := 0
	for _, c := range text {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = min(n*10+int(c-'0'), 9999)
	}
	if negative {
		n = -n
	}
	return n, true
}

// Append appends v as text with exactly scale digits after the point.
func Append(dst []byte, v martsync.Int128, scale int) []byte {
	var buf [48]byte // 39 digits, a sign, a point and leading zeros
	i, negative := len(buf), v.Hi < 0
	if negative {
		v = Neg(v) // -2^127 stays as it is, and its bits read as unsigned are its magnitude
	}
	for n := 0; n <= scale || v != (martsync.Int128{}); n++ {
		if n == scale && scale > 0 {
			i--
			buf[i] = '.'
		}
		var digit uint64
		v, digit = divMod10(v)
		i--
		buf[i] = byte('0' + digit)
	}
	if negative {
		i--
		buf[i] = '-'
	}
	return append(dst, buf[i:]...)
}
