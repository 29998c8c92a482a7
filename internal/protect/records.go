package protect

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/flatjson"
)

// A filter makes the records that go on. Its buffers are used again: what it returns is valid until the next call.
type filter struct {
	*plan
	digest  func([]byte) string
	vectors []martsync.Vector
	out     martsync.Records
	object  []byte
}

func (p *Protection) filter(l *plan) *filter {
	return &filter{plan: l, digest: p.digest, vectors: make([]martsync.Vector, len(l.columns))}
}

// records returns what goes on of r, which keeps its memory.
func (f *filter) records(r *martsync.Records) (*martsync.Records, error) {
	if r == nil || f.all {
		return r, nil
	}
	f.out = martsync.Records{Len: r.Len, Columns: make([]martsync.Vector, len(f.columns)), Tombstone: r.Tombstone, Deleted: r.Deleted}
	for i := range f.columns {
		c := &f.columns[i]
		v := &r.Columns[c.from]
		switch c.fate {
		case keep:
			f.out.Columns[i] = *v
		case hide:
			f.out.Columns[i] = f.text(i, v, martsync.String, func(row int) ([]byte, error) {
				if c.was == martsync.Int64 {
					return []byte(f.digest(strconv.AppendInt(nil, v.Ints[row], 10))), nil
				}
				return []byte(f.digest(v.Bytes(row))), nil
			}, r)
		case blank:
			f.out.Columns[i] = f.blanked(i, v, c.where, r)
		case edit:
			var err error
			f.out.Columns[i] = f.text(i, v, martsync.JSON, func(row int) ([]byte, error) {
				text, e := f.edit(c, r, row, v.Bytes(row))
				if e != nil && err == nil {
					err = e
				}
				return text, e
			}, r)
			if err != nil {
				return nil, err
			}
		}
	}
	return &f.out, nil
}

// text fills the buffer of a column with what of says of each row that has a value.
func (f *filter) text(i int, v *martsync.Vector, t martsync.Type, of func(row int) ([]byte, error), r *martsync.Records) martsync.Vector {
	b := &f.vectors[i]
	b.Type, b.Nulls, b.Data, b.Offsets = t, v.Nulls, b.Data[:0], append(b.Offsets[:0], 0)
	for row := range r.Len {
		// Rows that only say that a record was deleted hold nothing in such columns.
		if !v.Null(row) && (r.Tombstone == nil || !r.Tombstone[row]) {
			if text, err := of(row); err == nil {
				b.Data = append(b.Data, text...)
			}
		}
		b.Offsets = append(b.Offsets, int32(len(b.Data))) //nolint:gosec // a batch is 8 MB, a hash at most 64 times a value
	}
	return *b
}

// blanked fills the buffer of a column with the values of those rows that none of the conditions is of, and null
// elsewhere.
func (f *filter) blanked(i int, v *martsync.Vector, where [][]condition, r *martsync.Records) martsync.Vector {
	b := &f.vectors[i]
	b.Type, b.Nulls, b.Data, b.Offsets = v.Type, b.Nulls[:0], b.Data[:0], append(b.Offsets[:0], 0)
	for row := range r.Len {
		null := v.Null(row) || slices.ContainsFunc(where, func(w []condition) bool { return f.holds(w, r, row) })
		if !null {
			b.Data = append(b.Data, v.Bytes(row)...)
		}
		b.Nulls, b.Offsets = append(b.Nulls, null), append(b.Offsets, int32(len(b.Data))) //nolint:gosec // no more than came
	}
	return *b
}

// edit returns an object without what must not go on. The text is borrowed.
func (f *filter) edit(c *column, r *martsync.Records, row int, object []byte) ([]byte, error) {
	changed, first := false, true
	f.object = append(f.object[:0], '{')
	err := flatjson.Members(object, func(key, value []byte) error {
		rule := f.rule(c, r, row, string(key))
		if rule != nil {
			changed = true
			if !rule.hide {
				return nil
			}
			value = f.hashed(value)
		}
		if !first {
			f.object = append(f.object, ',')
		}
		first = false
		name, err := text(key)
		if err != nil {
			return err
		}
		f.object = append(append(append(f.object, name...), ':'), value...)
		return nil
	})
	if err != nil {
		// It is no object, so nobody knows what is in it.
		return nil, &martsync.Error{
			Kind: martsync.Data, Op: "columns", Err: fmt.Errorf("%s.%s is no object, so its members cannot be left out or hashed", f.from.Stream, f.from.Columns[c.from].Name),
			Hint: "Leave the whole column out, or do without the rule.",
		}
	}
	if !changed {
		return object, nil
	}
	return append(f.object, '}'), nil
}

// rule returns the rule for a member of a row, or nil. One that leaves it out wins.
func (f *filter) rule(c *column, r *martsync.Records, row int, member string) (found *memberRule) {
	for i := range c.edits {
		e := &c.edits[i]
		if !matches(e.member, member) || !f.holds(e.where, r, row) {
			continue
		}
		if !e.hide {
			return e
		}
		found = e
	}
	return found
}

// holds reports whether one of the conditions does, or whether there are none.
func (f *filter) holds(where []condition, r *martsync.Records, row int) bool {
	for _, c := range where {
		v := &r.Columns[c.column]
		if v.Null(row) {
			continue
		}
		var text string
		switch v.Type {
		case martsync.Int64:
			text = strconv.FormatInt(v.Ints[row], 10)
		case martsync.String:
			text = strings.ToLower(string(v.Bytes(row)))
		default:
			continue
		}
		if c.values[text] {
			return true
		}
	}
	return len(where) == 0
}

// hashed is a JSON string instead of a value; null stays.
func (f *filter) hashed(value []byte) []byte {
	if string(value) == "null" {
		return value
	}
	plain := value
	if value[0] == '"' {
		if t, ok := flatjson.AppendString(nil, value); ok {
			plain = t
		}
	}
	return []byte(`"` + f.digest(plain) + `"`)
}

// text writes a JSON string without turning <, > and & into escapes.
func text(key []byte) ([]byte, error) {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(string(key)); err != nil {
		return nil, fmt.Errorf("write a member's name: %w", err)
	}
	return []byte(strings.TrimSuffix(b.String(), "\n")), nil
}

// quarantined returns rows for the quarantine without what must not be kept: a row as it arrived holds everything.
func (f *filter) quarantined(rows []martsync.Quarantined) []martsync.Quarantined {
	if f.all || len(rows) == 0 {
		return rows
	}
	out := make([]martsync.Quarantined, len(rows))
	for i, q := range rows {
		q.Raw = ""
		if q.Column == "" || f.guarded[q.Column] {
			q.Reason = "does not fit"
		}
		q.Reason += " (the row is not kept: columns of this stream are left out or hashed)"
		out[i] = q
	}
	return out
}
