package pardotsim

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/martsync/martsync/simulate"
)

// seal makes a page token: opaque, and of no use when altered. (Account Engagement API, Version 5
// Overview)
func (s *Server) seal(p *paging) string {
	p.Seal = ""
	text, _ := json.Marshal(p) // texts and numbers can be written
	p.Seal = s.sum(text)
	text, _ = json.Marshal(p)
	return base64.StdEncoding.EncodeToString(text)
}

func (s *Server) sum(text []byte) string {
	h := s.cfg.Seed ^ 0x70617264
	for _, b := range text {
		h = simulate.Next(h ^ uint64(b))
	}
	return strconv.FormatUint(h, 36)
}

// resume5 reads a page token into p; on an error it answers itself.
func (s *Server) resume5(c *caller, t *table, token string, p *paging) bool {
	for name := range c.q {
		if name != "fields" && name != "nextPageToken" {
			return c.refuse(51, "Invalid parameter: Parameter "+name+" cannot be combined with nextPageToken.")
		}
	}
	const invalid = "Page token is invalid."
	text, err := base64.StdEncoding.DecodeString(token)
	if err != nil {
		return c.refuse(211, invalid)
	}
	var sealed paging
	if err := json.Unmarshal(text, &sealed); err != nil || sealed.Path != t.path || sealed.Count <= 0 || sealed.Limit <= 0 {
		return c.refuse(211, invalid)
	}
	seal := sealed.Seal
	sealed.Seal = ""
	if text, err := json.Marshal(sealed); err != nil || seal != s.sum(text) {
		return c.refuse(211, invalid)
	}
	if s.now() > sealed.Ends {
		return c.refuse(210, "Page token has expired.")
	}
	*p = sealed
	return true
}

// after notes in p that its page ended with r.
func (p *paging) after(r *record, order []sorting) {
	at := placeOf(r, order)
	p.After, p.Keys = at.id, make([]any, len(at.keys))
	for i, k := range at.keys {
		switch k := k.(type) {
		case stamp:
			p.Keys[i] = strconv.FormatInt(int64(k), 10)
		case int64:
			p.Keys[i] = strconv.FormatInt(k, 10)
		default:
			p.Keys[i] = k
		}
	}
}

// place is where the page ended that p was made behind.
func (p *paging) place(t *table, order []sorting) *place {
	at := &place{id: p.After, keys: slices.Clone(p.Keys)}
	for i, o := range order {
		if i >= len(at.keys) {
			break
		}
		text, isText := at.keys[i].(string)
		if n, err := strconv.ParseInt(text, 10, 64); isText && err == nil {
			switch t.byName[o.field].kind {
			case kindTime:
				at.keys[i] = stamp(n)
			case kindInt:
				at.keys[i] = n
			case kindText, kindBool, kindFloat, kindList, kindJSON:
			}
		}
	}
	return at
}

// A shape is what an object of a reply looks like.
type shape struct {
	members []*member
}

// A member is one member of an object: a value, or an object again.
type member struct {
	key    []byte // `"name":`
	name   string
	path   []*column // ids that lead from the record to the one that has the value
	column *column
	object *shape
}

// add adds a field whose name has these parts.
func (o *shape) add(parts []string, path []*column, c *column) {
	i := slices.IndexFunc(o.members, func(m *member) bool { return m.name == parts[0] })
	if i < 0 {
		i = len(o.members)
		o.members = append(o.members, &member{name: parts[0], key: append(appendText(nil, parts[0]), ':')})
	}
	m := o.members[i]
	if len(parts) == 1 {
		m.path, m.column = path, c
		return
	}
	if m.object == nil {
		m.object = &shape{}
	}
	m.object.add(parts[1:], path, c)
}

// append writes an object.
func (o *shape) append(b []byte, r *record, zone *time.Location) []byte {
	b = append(b, '{')
	for i, m := range o.members {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, m.key...)
		if m.object != nil {
			b = m.object.append(b, r, zone)
			continue
		}
		at := r
		for _, id := range m.path {
			at = at.follow(id)
			if at == nil {
				break
			}
		}
		if at == nil {
			b = append(b, "null"...)
			continue
		}
		b = appendValue(b, at.value(m.column), zone)
	}
	return append(b, '}')
}

// follow returns the record that an id column leads to, or nil.
func (r *record) follow(c *column) *record {
	id, ok := r.value(c).(int64)
	if !ok {
		return nil
	}
	name := c.name[:len(c.name)-len("Id")]
	return r.st.byID(r.st.byName[relations[name]], id)
}

// appendValue writes a value as version 5 does: times with the offset of the zone.
func appendValue(b []byte, v any, zone *time.Location) []byte {
	switch v := v.(type) {
	case nil:
		return append(b, "null"...)
	case int64:
		return strconv.AppendInt(b, v, 10)
	case bool:
		return strconv.AppendBool(b, v)
	case string:
		return appendText(b, v)
	case stamp:
		b = append(b, '"')
		b = time.Unix(int64(v), 0).In(zone).AppendFormat(b, "2006-01-02T15:04:05-07:00")
		return append(b, '"')
	case float64:
		return strconv.AppendFloat(b, v, 'f', -1, 64)
	case json.RawMessage:
		return append(b, v...)
	case []string:
		b = append(b, '[')
		for i, one := range v {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendText(b, one)
		}
		return append(b, ']')
	default:
		panic(fmt.Sprintf("pardotsim: a value of type %T", v))
	}
}

const hexDigits = "0123456789abcdef"

// appendText writes a JSON string.
func appendText(b []byte, s string) []byte {
	b = append(b, '"')
	start := 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' && c < utf8.RuneSelf || c >= utf8.RuneSelf {
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
		start = i + 1
	}
	return append(append(b, s[start:]...), '"')
}
