package marketo

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"slices"
)

// An idSet is ids in rising order. It is written as base64 of the differences between neighbours, two or
// three bytes an id, since it is part of a cursor.
type idSet []int64

func (s idSet) has(id int64) bool {
	_, found := slices.BinarySearch(s, id)
	return found
}

// without returns a copy without an id.
func (s idSet) without(id int64) idSet {
	i, found := slices.BinarySearch(s, id)
	if !found {
		return s
	}
	return slices.Delete(slices.Clone(s), i, i+1)
}

// MarshalText writes the set.
func (s idSet) MarshalText() ([]byte, error) {
	var b []byte
	last := int64(0)
	for _, id := range s {
		b = binary.AppendVarint(b, id-last)
		last = id
	}
	return []byte(base64.RawURLEncoding.EncodeToString(b)), nil
}

// UnmarshalText reads what MarshalText wrote.
func (s *idSet) UnmarshalText(text []byte) error {
	b, err := base64.RawURLEncoding.DecodeString(string(text))
	if err != nil {
		return err
	}
	*s = nil
	last := int64(0)
	for len(b) > 0 {
		d, n := binary.Varint(b)
		if n <= 0 || len(*s) > 0 && (d <= 0 || last+d < last) {
			return errors.New("not ids in rising order")
		}
		last += d
		*s, b = append(*s, last), b[n:]
	}
	return nil
}
