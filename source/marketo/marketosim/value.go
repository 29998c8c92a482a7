package marketosim

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/martsync/martsync/simulate"
)

// kind tells how a value looks on the wire and in the truth.
type kind uint8

const (
	kindNull  kind = iota // the word null in files, left out of JSON
	kindEmpty             // an empty cell, which means the same; left out of JSON
	kindText
	kindInt
	kindPoint // an integer that files write with a decimal part: 10.0
	kindCents // a decimal with two digits after the point; n is hundredths
	kindFloat
	kindBool
	kindDate  // n is days since 1970-01-01
	kindStamp // n is seconds since 1970-01-01T00:00:00Z
	kindRaw   // s is JSON; only inside attributes
)

// A value is one cell, before it takes the form of a file, of JSON or of the truth.
type value struct {
	kind kind
	n    int64
	s    string
	p    *phrase // a text from a table, with its forms worked out
}

func text(s string) value         { return value{kind: kindText, s: s} }
func integer(n int64) value       { return value{kind: kindInt, n: n} }
func cents(n int64) value         { return value{kind: kindCents, n: n} }
func stamp(t int64) value         { return value{kind: kindStamp, n: t} }
func day(n int64) value           { return value{kind: kindDate, n: n} }
func float(f float64) value       { return value{kind: kindFloat, n: int64(math.Float64bits(f))} }
func raw(s string) value          { return value{kind: kindRaw, s: s} }
func (v value) isNull() bool      { return v.kind == kindNull || v.kind == kindEmpty }
func (v value) float() float64    { return math.Float64frombits(uint64(v.n)) }
func (v value) String() string    { return string(v.appendPlain(nil)) }
func (v value) same(o value) bool { return v.kind == o.kind && v.String() == o.String() }

func boolean(b bool) value {
	v := value{kind: kindBool}
	if b {
		v.n = 1
	}
	return v
}

// A phrase is a text of a table with the forms that are costly to make.
type phrase struct{ plain, csv, json string }

func newPhrase(s string) phrase {
	return phrase{plain: s, csv: string(appendCell(nil, s, ',', false)), json: string(appendJSONText(nil, s))}
}

// appendPlain appends the value as people read it, which is also what Change Data Value
// activities show.
func (v value) appendPlain(b []byte) []byte {
	switch v.kind {
	case kindText:
		if v.p != nil {
			return append(b, v.p.plain...)
		}
		return append(b, v.s...)
	case kindInt:
		return strconv.AppendInt(b, v.n, 10)
	case kindPoint:
		return append(strconv.AppendInt(b, v.n, 10), ".0"...)
	case kindCents:
		return appendCents(b, v.n)
	case kindFloat:
		return strconv.AppendFloat(b, v.float(), 'f', -1, 64)
	case kindBool:
		return strconv.AppendBool(b, v.n != 0)
	case kindDate:
		return appendDate(b, v.n)
	case kindStamp:
		return appendStamp(b, v.n)
	case kindRaw:
		return append(b, v.s...)
	case kindNull, kindEmpty:
	}
	return b
}

// A fileStyle is how cells are written. The defaults follow the samples: LF, quotes only
// where needed. (Marketo REST API, Bulk Extract and Bulk Custom Object Extract, sample files)
type fileStyle struct {
	delimiter byte
	always    bool   // quote every cell
	newline   string // ends a record
	bits      bool   // booleans as 0 and 1
}

// appendCell appends the value as a cell of a file.
func (v value) appendCell(b []byte, f *fileStyle) []byte {
	switch v.kind {
	case kindNull:
		return append(b, "null"...)
	case kindEmpty:
		return b
	case kindText:
		if v.p != nil {
			if f.delimiter == ',' && !f.always {
				return append(b, v.p.csv...)
			}
			return appendCell(b, v.p.plain, f.delimiter, f.always)
		}
		return appendCell(b, v.s, f.delimiter, f.always)
	case kindBool:
		if f.bits {
			return append(b, byte('0'+v.n))
		}
	default:
	}
	if f.always {
		b = append(b, '"')
		b = v.appendPlain(b)
		return append(b, '"')
	}
	return v.appendPlain(b)
}

// appendJSON appends the value as JSON.
func (v value) appendJSON(b []byte) []byte {
	switch v.kind {
	case kindNull, kindEmpty:
		return append(b, "null"...)
	case kindText:
		if v.p != nil {
			return append(b, v.p.json...)
		}
		return appendJSONText(b, v.s)
	case kindPoint:
		return strconv.AppendInt(b, v.n, 10)
	case kindDate, kindStamp:
		b = append(b, '"')
		b = v.appendPlain(b)
		return append(b, '"')
	default:
		return v.appendPlain(b)
	}
}

// truth returns the value as simulate.Row wants it.
func (v value) truth() any {
	switch v.kind {
	case kindNull:
		return nil
	case kindEmpty:
		return simulate.OneOf{nil, ""}
	case kindText:
		return v.String()
	case kindInt, kindPoint:
		return v.n
	case kindCents:
		return v.String()
	case kindFloat:
		return v.float()
	case kindBool:
		return v.n != 0
	case kindDate:
		return time.Unix(v.n*86400, 0).UTC()
	case kindStamp:
		return time.Unix(v.n, 0).UTC()
	case kindRaw:
		return json.RawMessage(v.s)
	}
	return nil
}

// appendCell appends a text as a cell of a file, quoted as RFC 4180 says.
func appendCell(b []byte, s string, delimiter byte, always bool) []byte {
	if !always {
		quote := s == ""
		for i := 0; i < len(s); i++ {
			if c := s[i]; c == '"' || c == '\n' || c == '\r' || c == delimiter {
				quote = true
				break
			}
		}
		if !quote {
			return append(b, s...)
		}
	}
	b = append(b, '"')
	for {
		i := strings.IndexByte(s, '"')
		if i < 0 {
			break
		}
		b = append(b, s[:i+1]...)
		b = append(b, '"')
		s = s[i+1:]
	}
	b = append(b, s...)
	return append(b, '"')
}

// appendDoubled appends p with every quote doubled, between quotes.
func appendDoubled(b, p []byte) []byte {
	b = append(b, '"')
	start := 0
	for i, c := range p {
		if c == '"' {
			b = append(b, p[start:i+1]...)
			start = i
		}
	}
	b = append(b, p[start:]...)
	return append(b, '"')
}

const hexDigits = "0123456789abcdef"

// appendJSONText appends s as a JSON string. Slashes and other scripts stay as they are.
func appendJSONText(b []byte, s string) []byte {
	b = append(b, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' && c < utf8.RuneSelf {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			_, n := utf8.DecodeRuneInString(s[i:])
			i += n
			continue
		}
		b = append(b, s[start:i]...)
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\n':
			b = append(b, '\\', 'n')
		case '\r':
			b = append(b, '\\', 'r')
		case '\t':
			b = append(b, '\\', 't')
		default:
			b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
		i++
		start = i
	}
	b = append(b, s[start:]...)
	return append(b, '"')
}

func appendCents(b []byte, n int64) []byte {
	if n < 0 {
		b = append(b, '-')
		n = -n
	}
	b = strconv.AppendInt(b, n/100, 10)
	return append(b, '.', byte('0'+n/10%10), byte('0'+n%10))
}

func appendDate(b []byte, days int64) []byte {
	// Howard Hinnant's civil-from-days, for days of any era; much cheaper than time.Format.
	z := days + 719468
	era := z / 146097
	if z < 0 {
		era = (z - 146096) / 146097
	}
	doe := z - era*146097
	yoe := (doe - doe/1460 + doe/36524 - doe/146096) / 365
	doy := doe - (365*yoe + yoe/4 - yoe/100)
	mp := (5*doy + 2) / 153
	d := doy - (153*mp+2)/5 + 1
	m := mp + 3
	if m > 12 {
		m -= 12
	}
	y := yoe + era*400
	if m <= 2 {
		y++
	}
	b = append(b, digit(y/1000), digit(y/100), digit(y/10), digit(y), '-', digit(m/10), digit(m), '-')
	return append(b, digit(d/10), digit(d))
}

func digit(n int64) byte { return byte('0' + n%10) }

// appendStamp appends a moment as lead-database JSON and bulk files show it.
// (Marketo REST API, Field Types and sample replies of Bulk Lead Extract)
func appendStamp(b []byte, t int64) []byte {
	days, sec := t/86400, t%86400
	if sec < 0 {
		days, sec = days-1, sec+86400
	}
	b = appendDate(b, days)
	h, m, s := sec/3600, sec/60%60, sec%60
	return append(b, 'T', digit(h/10), digit(h), ':', digit(m/10), digit(m), ':', digit(s/10), digit(s), 'Z')
}
