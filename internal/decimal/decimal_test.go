package decimal

import (
	"errors"
	"math/big"
	"regexp"
	"strings"
	"testing"

	"github.com/martsync/martsync"
)

func toBig(v martsync.Int128) *big.Int {
	b := big.NewInt(v.Hi)
	b.Lsh(b, 64)
	return b.Add(b, new(big.Int).SetUint64(v.Lo))
}

func TestParse(t *testing.T) {
	nines := strings.Repeat("9", 38)
	tests := []struct {
		text             string
		precision, scale int
		want             string
		err              error
	}{
		{"0", 1, 0, "0", nil},
		{"-0.00", 10, 2, "0.00", nil},
		{"12.5", 10, 2, "12.50", nil},
		{"-12.5", 10, 2, "-12.50", nil},
		{"+7", 10, 0, "7", nil},
		{".5", 3, 1, "0.5", nil},
		{"5.", 3, 1, "5.0", nil},
		{"1.500", 3, 1, "1.5", nil},
		{"1.501", 3, 1, "", ErrFraction},
		{"100", 2, 0, "", ErrRange},
		{"99", 2, 0, "99", nil},
		{"9.95", 2, 1, "", ErrFraction},
		{"10.0", 2, 1, "", ErrRange},
		{nines, 38, 0, nines, nil},
		{"-" + nines, 38, 0, "-" + nines, nil},
		{nines + "0", 38, 0, "", ErrRange},
		{nines + "9", 38, 0, "", ErrRange},
		{"0." + nines, 38, 38, "0." + nines, nil},
		{"1e3", 10, 2, "1000.00", nil},
		{"1.5E-1", 10, 2, "0.15", nil},
		{"1e-3", 10, 2, "", ErrFraction},
		{"100000e-5", 10, 0, "1", nil},
		{"1e999999999999", 38, 0, "", ErrRange},
		{"0e999999999999", 38, 0, "0", nil},
		{strings.Repeat("0", 60) + "1", 38, 0, "1", nil},
		{"0." + strings.Repeat("0", 60), 38, 4, "0.0000", nil},
		{"1" + strings.Repeat("0", 60) + "e-60", 38, 4, "1.0000", nil},
		{"", 5, 2, "", ErrSyntax},
		{"-", 5, 2, "", ErrSyntax},
		{".", 5, 2, "", ErrSyntax},
		{"1..2", 5, 2, "", ErrSyntax},
		{"1e", 5, 2, "", ErrSyntax},
		{"1e+", 5, 2, "", ErrSyntax},
		{" 1", 5, 2, "", ErrSyntax},
		{"1x", 5, 2, "", ErrSyntax},
		{nines + "99999x", 38, 0, "", ErrSyntax},
		{nines + "99999e5", 38, 0, "", ErrRange},
	}
	for _, tt := range tests {
		v, err := Parse([]byte(tt.text), tt.precision, tt.scale)
		if !errors.Is(err, tt.err) || (err != nil) != (tt.err != nil) {
			t.Errorf("Parse(%q, %d, %d): error %v, want %v", tt.text, tt.precision, tt.scale, err, tt.err)
			continue
		}
		if got := string(Append(nil, v, tt.scale)); err == nil && got != tt.want {
			t.Errorf("Parse(%q, %d, %d) = %s, want %s", tt.text, tt.precision, tt.scale, got, tt.want)
		}
	}
}

func TestAppendExtremes(t *testing.T) {
	tests := []struct {
		v     martsync.Int128
		scale int
		want  string
	}{
		{martsync.Int128{Hi: -1 << 63}, 0, "-170141183460469231731687303715884105728"},
		{martsync.Int128{Hi: 1<<63 - 1, Lo: 1<<64 - 1}, 38, "1.70141183460469231731687303715884105727"},
		{FromInt64(-1), 3, "-0.001"},
		{FromInt64(0), 3, "0.000"},
	}
	for _, tt := range tests {
		if got := string(Append(nil, tt.v, tt.scale)); got != tt.want {
			t.Errorf("Append(%v, %d) = %s, want %s", tt.v, tt.scale, got, tt.want)
		}
	}
}

func TestRescale(t *testing.T) {
	tests := []struct {
		v        int64
		from, to int
		want     string
		ok       bool
	}{
		{150, 2, 1, "15", true},
		{-150, 2, 1, "-15", true},
		{155, 2, 1, "", false},
		{1, 0, 38, "1" + strings.Repeat("0", 38), true},
		{2, 0, 38, "", false}, // beyond 2^127
	}
	for _, tt := range tests {
		v, ok := Rescale(FromInt64(tt.v), tt.from, tt.to)
		if ok != tt.ok || ok && toBig(v).String() != tt.want {
			t.Errorf("Rescale(%d, %d, %d) = %s, %v, want %s, %v", tt.v, tt.from, tt.to, toBig(v), ok, tt.want, tt.ok)
		}
	}
	if i, ok := Int64(FromInt64(-1 << 63)); !ok || i != -1<<63 {
		t.Errorf("Int64(FromInt64(min)) = %d, %v", i, ok)
	}
	if _, ok := Int64(martsync.Int128{Lo: 1 << 63}); ok {
		t.Error("Int64(2^63) fits, want not")
	}
}

var number = regexp.MustCompile(`^[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?$`)

// FuzzParse compares with math/big: what is accepted, and the value.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"0", "-1.50", "99999999999999999999999999999999999999", "1e-3", "1e38", "0.1e+2", "x", "00012.3400", "340282366920938463463374607431768211456"} {
		f.Add(s, uint8(37), uint8(5))
	}
	f.Fuzz(func(t *testing.T, text string, p, s uint8) {
		precision := int(p)%MaxPrecision + 1
		scale := int(s) % (precision + 1)
		v, err := Parse([]byte(text), precision, scale)
		if !number.MatchString(text) {
			if !errors.Is(err, ErrSyntax) {
				t.Fatalf("Parse(%q): error %v, want ErrSyntax", text, err)
			}
			return
		}
		if i := strings.IndexAny(text, "eE"); len(text) > 200 || i >= 0 && len(text)-i > 4 {
			return // big.Rat would take for ever
		}
		want, ok := new(big.Rat).SetString(text)
		if !ok {
			t.Fatalf("big.Rat refuses %q", text)
		}
		want.Mul(want, new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(scale)), nil)))
		limit := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(precision)), nil)
		fits := want.IsInt() && want.Num().CmpAbs(limit) < 0
		if fits != (err == nil) {
			t.Fatalf("Parse(%q, %d, %d): error %v, but %s fits: %v", text, precision, scale, err, want, fits)
		}
		if err != nil {
			return
		}
		if toBig(v).Cmp(want.Num()) != 0 {
			t.Fatalf("Parse(%q, %d, %d) = %s, want %s", text, precision, scale, toBig(v), want)
		}
		again, err := Parse(Append(nil, v, scale), precision, scale)
		if err != nil || again != v {
			t.Fatalf("Append gives %s, which reads as %v, %v", Append(nil, v, scale), again, err)
		}
	})
}
