package files

import (
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/columns"
	"github.com/martsync/martsync/internal/decimal"
)

// Values as text, for CSV and NDJSON: the canonical text of internal/columns, which reads back
// as the same value. It also has to do for what sources cannot deliver but records can hold:
// years beyond 9999 with all their digits, those before 0 with a sign, and doubles that are no
// number, which are written as Java, Python and most databases spell them.

const (
	notANumber  = "NaN"
	plusInfty   = "Infinity"
	minusInfty  = "-Infinity"
	dayMicros   = 86_400_000_000
	firstDay    = -106_751_992 // of the first microsecond; the last one is as far on the other side, less a day
	clockLength = len("T15:04:05Z")
)

// finite reports whether a double has digits.
func finite(f float64) bool { return !math.IsNaN(f) && !math.IsInf(f, 0) }

// appendCanonical appends row i of a column, which is not null.
func appendCanonical(dst []byte, c *martsync.Column, v *martsync.Vector, i int) []byte {
	switch {
	case v.Type != martsync.Float64 || finite(v.Floats[i]):
		return columns.AppendFormat(dst, *c, v, i)
	case math.IsNaN(v.Floats[i]):
		return append(dst, notANumber...)
	case v.Floats[i] > 0:
		return append(dst, plusInfty...)
	default:
		return append(dst, minusInfty...)
	}
}

// appendMoment appends a time as a value of type Timestamp.
func appendMoment(dst []byte, t time.Time) []byte {
	v := martsync.Vector{Type: martsync.Timestamp, Ints: []int64{t.UnixMicro()}}
	return columns.AppendFormat(dst, martsync.Column{Type: martsync.Timestamp}, &v, 0)
}

// A batch collects the rows of a text file. Its memory is reused.
type batch struct {
	columns    []martsync.Column
	vectors    []martsync.Vector
	nulls      [][]bool
	anyNull    []bool
	tombstone  []bool
	deleted    []bool
	tombstones bool // whether any row is one
	deletions  bool
	rows       int
	bytes      int
	r          martsync.Records
}

func newBatch(columns []martsync.Column) *batch {
	b := &batch{
		columns: columns,
		vectors: make([]martsync.Vector, len(columns)),
		nulls:   make([][]bool, len(columns)),
		anyNull: make([]bool, len(columns)),
	}
	b.reset()
	return b
}

func (b *batch) full() bool { return b.rows >= martsync.MaxRows || b.bytes >= martsync.MaxBytes }

func (b *batch) reset() {
	for i, c := range b.columns {
		v := &b.vectors[i]
		if cap(v.Data) > 2*martsync.MaxBytes { // a row of unusual size
			v.Data = nil
		}
		*v = martsync.Vector{
			Type: c.Type, Bools: v.Bools[:0], Ints: v.Ints[:0], Days: v.Days[:0], Floats: v.Floats[:0],
			Decimals: v.Decimals[:0], Offsets: v.Offsets[:0], Data: v.Data[:0],
		}
		if variable(c.Type) {
			v.Offsets = append(v.Offsets, 0)
		}
		b.nulls[i], b.anyNull[i] = b.nulls[i][:0], false
	}
	b.tombstone, b.deleted = b.tombstone[:0], b.deleted[:0]
	b.tombstones, b.deletions = false, false
	b.rows, b.bytes = 0, 0
}

func variable(t martsync.Type) bool {
	return t == martsync.String || t == martsync.Binary || t == martsync.JSON
}

// end completes a row. Columns that it did not set are null.
func (b *batch) end(deleted, tombstone bool) {
	b.rows++
	for i := range b.columns {
		if len(b.nulls[i]) < b.rows {
			b.null(i)
		}
	}
	deleted = deleted && !tombstone // files flag both, so that who knows no tombstones sees a deletion
	b.deleted, b.tombstone = append(b.deleted, deleted), append(b.tombstone, tombstone)
	b.deletions, b.tombstones = b.deletions || deleted, b.tombstones || tombstone
}

// has reports whether the row under way has a value for column i.
func (b *batch) has(i int) bool { return len(b.nulls[i]) > b.rows }

func (b *batch) records() *martsync.Records {
	b.r = martsync.Records{Len: b.rows, Columns: b.vectors}
	for i := range b.vectors {
		if b.anyNull[i] {
			b.vectors[i].Nulls = b.nulls[i]
		}
	}
	if b.tombstones {
		b.r.Tombstone = b.tombstone
	}
	if b.deletions {
		b.r.Deleted = b.deleted
	}
	return &b.r
}

func (b *batch) null(i int) {
	b.nulls[i], b.anyNull[i] = append(b.nulls[i], true), true
	v := &b.vectors[i]
	switch v.Type {
	case martsync.Bool:
		v.Bools = append(v.Bools, false)
	case martsync.Int64, martsync.Timestamp:
		v.Ints = append(v.Ints, 0)
	case martsync.Date:
		v.Days = append(v.Days, 0)
	case martsync.Float64:
		v.Floats = append(v.Floats, 0)
	case martsync.Decimal:
		v.Decimals = append(v.Decimals, martsync.Int128{})
	default:
		v.Offsets = append(v.Offsets, int32(len(v.Data))) //nolint:gosec // append bounds it
	}
}

// append reads text that appendCanonical wrote into column i.
func (b *batch) append(i int, text []byte) error {
	v, c := &b.vectors[i], &b.columns[i]
	var err error
	switch v.Type {
	case martsync.Bool:
		yes := string(text) == "true"
		if !yes && string(text) != "false" {
			err = errors.New("neither true nor false")
		}
		v.Bools = append(v.Bools, yes)
	case martsync.Int64:
		var n int64
		n, err = strconv.ParseInt(string(text), 10, 64)
		v.Ints = append(v.Ints, n)
	case martsync.Float64:
		var f float64
		f, err = strconv.ParseFloat(string(text), 64)
		v.Floats = append(v.Floats, f)
	case martsync.Timestamp:
		var t int64
		t, err = parseMoment(text)
		v.Ints = append(v.Ints, t)
	case martsync.Date:
		var d int64
		d, err = parseDate(text)
		if err == nil && int64(int32(d)) != d { //nolint:gosec // that is the question
			err = errNoDate
		}
		v.Days = append(v.Days, int32(d)) //nolint:gosec // just checked
	case martsync.Decimal:
		var d martsync.Int128
		d, err = decimal.Parse(text, c.Precision, c.Scale)
		v.Decimals = append(v.Decimals, d)
	case martsync.Binary:
		v.Data, err = base64.StdEncoding.AppendDecode(v.Data, text)
		v.Offsets = append(v.Offsets, int32(len(v.Data))) //nolint:gosec // maxRecord and full bound it
	default:
		v.Data = append(v.Data, text...)
		v.Offsets = append(v.Offsets, int32(len(v.Data))) //nolint:gosec // maxRecord and full bound it
	}
	if err != nil {
		return fmt.Errorf("column %s is not of type %s: %w", c.Name, c.TypeName(), err)
	}
	b.nulls[i] = append(b.nulls[i], false)
	b.bytes += 16 + len(text)
	return nil
}

var (
	errNoDate   = errors.New("not a date")
	errNoMoment = errors.New("not a time in UTC")
)

// parseDate reads a date of any year as days since 1970-01-01.
func parseDate(text []byte) (int64, error) {
	n := len(text) - len("-01-02")
	if n < 1 || text[n] != '-' || text[n+3] != '-' {
		return 0, errNoDate
	}
	year, err := strconv.Atoi(string(text[:n]))
	month, day := digits(text[n+1:n+3]), digits(text[n+4:])
	if err != nil || month < 0 || day < 0 || year > 10_000_000 || year < -10_000_000 {
		return 0, errNoDate
	}
	t := time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC)
	if t.Day() != day || t.Month() != time.Month(month) {
		return 0, errNoDate
	}
	return t.Unix() / 86_400, nil // midnights divide without a rest
}

// parseMoment reads a time of any year as microseconds since 1970-01-01T00:00:00Z.
func parseMoment(text []byte) (int64, error) {
	if len(text) <= clockLength {
		return 0, errNoMoment
	}
	t := len(text) - 1
	for t > 0 && text[t] != 'T' {
		t--
	}
	day, err := parseDate(text[:t])
	if err != nil || day < firstDay || day > -firstDay || len(text)-t < clockLength || text[len(text)-1] != 'Z' || text[t+3] != ':' || text[t+6] != ':' {
		return 0, errNoMoment
	}
	hour, minute, second := digits(text[t+1:t+3]), digits(text[t+4:t+6]), digits(text[t+7:t+9])
	if hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 59 {
		return 0, errNoMoment
	}
	fraction := 0
	if rest := text[t+9 : len(text)-1]; len(rest) > 0 {
		if fraction = digits(rest[1:]); rest[0] != '.' || len(rest) < 2 || len(rest) > 7 || fraction < 0 {
			return 0, errNoMoment
		}
		for range 7 - len(rest) {
			fraction *= 10
		}
	}
	clock := int64(hour*3600+minute*60+second)*1_000_000 + int64(fraction)
	// The first day that there is begins before the first microsecond: both operations wrap.
	micros := day*dayMicros + clock
	if (micros < 0) != (day < 0) {
		return 0, errNoMoment
	}
	return micros, nil
}

// digits reads a number without a sign, or returns -1.
func digits(text []byte) int {
	n := 0
	for _, c := range text {
		if c < '0' || c > '9' {
			return -1
		}
		n = n*10 + int(c-'0')
	}
	if len(text) == 0 {
		return -1
	}
	return n
}
