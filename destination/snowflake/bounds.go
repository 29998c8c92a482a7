package snowflake

import (
	"fmt"
	"strconv"
	"time"

	"github.com/martsync/martsync"
)

// A bound is the range of a column's values in a file, for the condition that lets Snowflake skip the parts of a
// table that a load does not touch. Ints are for integers, times and dates, Text for text. A column of
// another type, or with text too long to be worth it, has none.
type bound struct {
	Known    bool   `json:"known,omitempty"`
	Min, Max int64  `json:",omitempty"`
	From, To string `json:",omitempty"`
}

// maxBoundText is the longest text that is written into a condition, in bytes.
const maxBoundText = 256

// measure extends the ranges of the key's columns by rows. The vectors are those of the file.
func (p *part) measure(s martsync.Schema, vectors []martsync.Vector, n int) {
	first := p.Bounds == nil
	if first {
		p.Bounds = make([]bound, len(s.Key))
	}
	for k, name := range s.Key {
		v, b := &vectors[s.Index(name)], &p.Bounds[k]
		var next bound
		switch v.Type {
		case martsync.Int64, martsync.Timestamp:
			next = intBound(v, n, func(i int) int64 { return v.Ints[i] })
		case martsync.Date:
			next = intBound(v, n, func(i int) int64 { return int64(v.Days[i]) })
		case martsync.String:
			next = textBound(v, n)
		default: // no bound: not worth it, or not ordered as in the table
		}
		for i := range n {
			p.NullKeys = p.NullKeys || v.Null(i)
		}
		if first {
			*b = next
		} else {
			*b = b.join(next)
		}
	}
}

func intBound(v *martsync.Vector, n int, at func(int) int64) bound {
	var b bound
	for i := range n {
		if !v.Null(i) {
			x := at(i)
			b = b.merge(bound{Known: true, Min: x, Max: x})
		}
	}
	return b
}

func textBound(v *martsync.Vector, n int) bound {
	var from, to []byte
	for i := range n {
		if v.Null(i) {
			continue
		}
		x := v.Bytes(i)
		if len(x) > maxBoundText {
			return bound{}
		}
		if from == nil || string(x) < string(from) {
			from = x
		}
		if to == nil || string(x) > string(to) {
			to = x
		}
	}
	return bound{Known: from != nil, From: string(from), To: string(to)}
}

// merge is the range of both; an unknown one adds nothing.
func (b bound) merge(c bound) bound {
	switch {
	case !c.Known:
		return b
	case !b.Known:
		return c
	}
	return bound{Known: true, Min: min(b.Min, c.Min), Max: max(b.Max, c.Max), From: min(b.From, c.From), To: max(b.To, c.To)}
}

// join is the range of both, unknown if one is.
func (b bound) join(c bound) bound {
	if !b.Known || !c.Known {
		return bound{}
	}
	return b.merge(c)
}

// literals are the ends of the range as SQL; ok is false if there is none.
func (b bound) literals(c martsync.Column) (from, to string, ok bool) {
	if !b.Known {
		return "", "", false
	}
	switch c.Type {
	case martsync.Int64:
		return strconv.FormatInt(b.Min, 10), strconv.FormatInt(b.Max, 10), true
	case martsync.Date:
		day := func(n int64) string { return text(time.Unix(n*86400, 0).UTC().Format(time.DateOnly)) + "::DATE" }
		return day(b.Min), day(b.Max), true
	case martsync.Timestamp:
		return moment(time.UnixMicro(b.Min)), moment(time.UnixMicro(b.Max)), true
	case martsync.String:
		return text(b.From), text(b.To), true
	default:
		return "", "", false
	}
}

// moment is a time as SQL.
func moment(t time.Time) string {
	return fmt.Sprintf("'%s'::TIMESTAMP_NTZ(6)", t.UTC().Format("2006-01-02 15:04:05.000000"))
}
