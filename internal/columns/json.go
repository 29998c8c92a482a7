package columns

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/flatjson"
)

// AppendJSON appends a row from one JSON object. Members belong to the column with that
// Origin, or with that Name where Origin is empty; others are ignored, and of two with the
// same name the last counts. A column without a member is null.
//
// Strings and numbers are read like text cells. Objects and arrays go to JSON columns
// without the space between tokens, to String columns as that text, and fit no other type.
// If something does not fit nothing is appended and the error is a *CellError.
func (b *Builder) AppendJSON(object []byte) error {
	clear(b.raw)
	b.next = 0
	// Cleaned as a whole, once: bytes that are not UTF-8 can only be valid inside strings.
	object = b.clean(object)
	if err := flatjson.Members(object, b.member); err != nil {
		reason := err.Error()
		if errors.Is(err, flatjson.ErrNotObject) {
			reason = "a JSON object is expected"
		}
		return &CellError{Reason: reason}
	}
	size := 0
	for i, value := range b.raw {
		if value == nil {
			b.appendNull(i)
			continue
		}
		n, reason := b.appendValue(i, value)
		if reason != "" {
			return b.finish(b.misfit(i, reason, value), 0)
		}
		size += n
	}
	return b.finish(nil, size)
}

// setMember notes where the value of a member is. Objects of one listing have their members
// in one order, so the next column is tried before the map.
func (b *Builder) setMember(key, value []byte) error {
	i := b.next
	if i >= len(b.columns) || b.columns[i].Origin != string(key) {
		var known bool
		if i, known = b.byName[string(key)]; !known {
			return nil
		}
	}
	b.next = i + 1
	if string(value) == "null" {
		value = nil
	}
	b.raw[i] = value
	return nil
}

// appendValue appends a JSON value other than null to column i.
func (b *Builder) appendValue(i int, value []byte) (size int, reason string) {
	v := &b.vectors[i]
	nested := value[0] == '{' || value[0] == '['
	if v.Type == martsync.JSON || nested && v.Type == martsync.String {
		var n int
		b.scratch, n = flatjson.ReplaceSurrogates(b.scratch[:0], value)
		if n > 0 {
			b.replaced += int64(n)
			value = b.scratch
		}
		if len(v.Data)+len(value) > math.MaxInt32 {
			return 0, "too long"
		}
		start := len(v.Data)
		v.Data = flatjson.AppendCompact(v.Data, value)
		v.Offsets = append(v.Offsets, int32(len(v.Data)))
		b.nulls[i] = append(b.nulls[i], false)
		return len(v.Data) - start, ""
	}
	if nested {
		return 0, "a single value is expected"
	}
	if value[0] == '"' {
		b.scratch, _ = flatjson.AppendString(b.scratch[:0], value)
		value = b.scratch
	}
	trusted := b.trusted
	b.trusted = true // AppendJSON has cleaned the object
	size, reason = b.appendText(i, value)
	b.trusted = trusted
	return size, reason
}

// AppendTombstone appends a row that only says that a record is gone. The map holds its key,
// and its version if the schema has one, by column name: int64 for Int64, string for
// String, time.Time for Timestamp. The other columns are null. If a value does not fit
// nothing is appended and the error is a *CellError.
func (b *Builder) AppendTombstone(key map[string]any) error {
	for name := range key {
		if _, known := b.byKey[name]; !known {
			return &CellError{Column: name, Reason: "there is no such column"}
		}
	}
	size := 0
	for i, c := range b.columns {
		value, given := key[c.Name]
		if !given || value == nil {
			b.appendNull(i)
			continue
		}
		v := &b.vectors[i]
		switch value := value.(type) {
		case int64:
			if c.Type == martsync.Int64 {
				v.Ints = append(v.Ints, value)
				b.nulls[i] = append(b.nulls[i], false)
				continue
			}
		case time.Time:
			if c.Type == martsync.Timestamp {
				v.Ints = append(v.Ints, value.UnixMicro())
				b.nulls[i] = append(b.nulls[i], false)
				continue
			}
		case string:
			if c.Type == martsync.String {
				n, reason := b.appendText(i, []byte(value))
				if reason == "" {
					size += n
					continue
				}
			}
		}
		return b.finish(&CellError{Column: c.Name, Reason: fmt.Sprintf("a %T does not fit %s", value, c.TypeName())}, 0)
	}
	b.tombstone = flag(b.tombstone, b.rows+1)
	b.tombstone[b.rows] = true
	return b.finish(nil, size)
}
