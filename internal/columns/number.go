package columns

import (
	"errors"
	"math"
	"strconv"
	"unsafe"

	"github.com/martsync/martsync/internal/decimal"
)

// parseInt reads an integer. Exports write some integers as "10.0", and JSON may write 1e3,
// so anything whose value is an integer of 64 bits is one.
func parseInt(text []byte) (n int64, reason string) {
	digits := text
	if text[0] == '-' {
		digits = text[1:]
	}
	if len(digits) == 0 || len(digits) > 18 { // 18 digits cannot overflow
		return parseIntSlowly(text)
	}
	for _, c := range digits {
		if c -= '0'; c > 9 {
			return parseIntSlowly(text)
		} else {
			n = n*10 + int64(c)
		}
	}
	if len(digits) < len(text) {
		n = -n
	}
	return n, ""
}

func parseIntSlowly(text []byte) (int64, string) {
	d, err := decimal.Parse(text, decimal.MaxPrecision, 0)
	switch {
	case errors.Is(err, decimal.ErrFraction):
		return 0, "integer expected, but it has a fraction"
	case errors.Is(err, decimal.ErrSyntax):
		return 0, "not an integer"
	case err != nil:
		return 0, "integer out of range"
	}
	n, ok := decimal.Int64(d)
	if !ok {
		return 0, "integer out of range"
	}
	return n, ""
}

// parseBool reads true, false, 1 and 0, in any case.
func parseBool(text []byte) (value, ok bool) {
	switch len(text) {
	case 1:
		return text[0] == '1', text[0] == '1' || text[0] == '0'
	case 4:
		return true, equalFold(text, "true")
	case 5:
		return false, equalFold(text, "false")
	}
	return false, false
}

// equalFold compares with lower-case ASCII of the same length. Clearing or setting the case
// bit of a byte that is no letter never makes it a letter.
func equalFold(text []byte, lower string) bool {
	for i := range lower {
		if text[i]|0x20 != lower[i] {
			return false
		}
	}
	return true
}

// parseFloat reads a finite decimal number to the nearest double. strconv would also take
// hexadecimal digits, underscores, infinities and NaN.
func parseFloat(text []byte) (f float64, reason string) {
	for _, c := range text {
		if (c < '0' || c > '9') && c != '.' && c != '-' && c != '+' && c != 'e' && c != 'E' {
			return 0, "not a number"
		}
	}
	f, err := strconv.ParseFloat(unsafe.String(unsafe.SliceData(text), len(text)), 64)
	switch {
	case errors.Is(err, strconv.ErrRange) && math.IsInf(f, 0):
		return 0, "number out of range"
	case err != nil && !errors.Is(err, strconv.ErrRange):
		return 0, "not a number"
	}
	return f, ""
}
