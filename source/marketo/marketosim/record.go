package marketosim

import (
	"encoding/json"
	"strconv"
	"time"
)

// A record is a JSON object whose members keep their order. Values are nil, string, int,
// int64, bool, moment, rawJSON, optional, record, or slices of records, strings or ids.
type record []member

type member struct {
	name string
	v    any
}

type (
	moment  int64  // seconds; its form on the wire depends on the interface
	rawJSON string // a JSON value as it is
)

// A hidden value is part of the asset, but only some of its reads show it.
type hidden struct{ v any }

func (r record) get(name string) any {
	for _, m := range r {
		if m.name == name {
			return m.v
		}
	}
	return nil
}

// with returns a copy in which the member has another value.
func (r record) with(name string, v any) record {
	c := append(record(nil), r...)
	for i := range c {
		if c[i].name == name {
			c[i].v = v
			return c
		}
	}
	return append(c, member{name, v})
}

// append appends the record as JSON; assets says which form moments take: lead-database times
// end in Z, those of assets in Z+0000. (Marketo REST API, sample replies of Programs and Leads)
func (r record) append(b []byte, assets, everything bool) []byte {
	b = append(b, '{')
	first := true
	for _, m := range r {
		v := m.v
		if h, ok := v.(hidden); ok {
			if !everything {
				continue
			}
			v = h.v
		}
		if !first {
			b = append(b, ',')
		}
		first = false
		b = append(appendJSONText(b, m.name), ':')
		b = appendAny(b, v, assets, everything)
	}
	return append(b, '}')
}

func appendAny(b []byte, v any, assets, everything bool) []byte {
	switch v := v.(type) {
	case nil:
		return append(b, "null"...)
	case string:
		return appendJSONText(b, v)
	case int:
		return strconv.AppendInt(b, int64(v), 10)
	case int64:
		return strconv.AppendInt(b, v, 10)
	case bool:
		return strconv.AppendBool(b, v)
	case moment:
		b = append(b, '"')
		b = appendStamp(b, int64(v))
		if assets {
			b = append(b, "+0000"...)
		}
		return append(b, '"')
	case rawJSON:
		return append(b, v...)
	case record:
		return v.append(b, assets, everything)
	case []record:
		b = append(b, '[')
		for i, r := range v {
			if i > 0 {
				b = append(b, ',')
			}
			b = r.append(b, assets, everything)
		}
		return append(b, ']')
	case []string:
		b = append(b, '[')
		for i, s := range v {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendJSONText(b, s)
		}
		return append(b, ']')
	case value:
		return v.appendJSON(b)
	}
	p, err := json.Marshal(v)
	if err != nil {
		panic("marketosim: " + err.Error()) // a value of this package that is not JSON: a bug
	}
	return append(b, p...)
}

// truth returns the record's values as simulate.Row wants them.
func (r record) truth() map[string]any {
	m := make(map[string]any, len(r))
	for _, e := range r {
		m[e.name] = truthOf(e.v)
	}
	return m
}

func truthOf(v any) any {
	switch v := v.(type) {
	case moment:
		return time.Unix(int64(v), 0).UTC()
	case int:
		return int64(v)
	case record, []record, []string:
		return json.RawMessage(appendAny(nil, v, true, true))
	case rawJSON:
		return json.RawMessage(v)
	case value:
		return v.truth()
	case hidden:
		if v.v == nil {
			return json.RawMessage("[]") // a copy says that there is nothing
		}
		return truthOf(v.v)
	}
	return v
}
