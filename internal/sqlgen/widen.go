package sqlgen

import "github.com/martsync/martsync"

// Widen returns the narrowest column type that holds every value of both exactly:
//
//	int64 → decimal → string        bool, float64, binary, JSON → string
//	date → timestamp → string       decimal(p,s) → decimal with the digits of both, to 38
//
// Int64 and float64 have no common type but string: a double cannot hold every int64. The
// name and everything else is a's.
func Widen(a, b martsync.Column) martsync.Column {
	out := a
	text := func() martsync.Column {
		out.Type, out.Precision, out.Scale = martsync.String, 0, 0
		return out
	}
	if a.Type == b.Type && a.Type != martsync.Decimal {
		return a
	}
	switch {
	case isNumber(a.Type) && isNumber(b.Type):
		wholeA, scaleA := digits(a)
		wholeB, scaleB := digits(b)
		scale := max(scaleA, scaleB)
		precision := max(wholeA, wholeB) + scale
		if precision > 38 {
			return text()
		}
		out.Type, out.Precision, out.Scale = martsync.Decimal, precision, scale
		return out
	case isTime(a.Type) && isTime(b.Type):
		out.Type = martsync.Timestamp
		return out
	}
	return text()
}

func isNumber(t martsync.Type) bool { return t == martsync.Int64 || t == martsync.Decimal }
func isTime(t martsync.Type) bool   { return t == martsync.Date || t == martsync.Timestamp }

// digits of an int64 are the 19 of its extremes.
func digits(c martsync.Column) (whole, scale int) {
	if c.Type == martsync.Int64 {
		return 19, 0
	}
	return c.Precision - c.Scale, c.Scale
}

// SameType reports whether the columns hold the same values.
func SameType(a, b martsync.Column) bool {
	return a.Type == b.Type && (a.Type != martsync.Decimal || a.Precision == b.Precision && a.Scale == b.Scale)
}
