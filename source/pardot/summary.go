package pardot

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"maps"
	"slices"
)

// ids is a set of ids. It is written as base64 of the differences between neighbours, a byte or two an
// id, since it is part of a cursor.
type ids []int64

func (s ids) has(id int64) bool {
	_, found := slices.BinarySearch(s, id)
	return found
}

func (s *ids) add(id int64) {
	if i, found := slices.BinarySearch(*s, id); !found {
		*s = slices.Insert(*s, i, id)
	}
}

// MarshalText writes the ids.
func (s ids) MarshalText() ([]byte, error) {
	var b []byte
	last := int64(0)
	for _, id := range s {
		b = binary.AppendUvarint(b, uint64(id-last)) //nolint:gosec // ids rise
		last = id
	}
	return encoded(b), nil
}

// UnmarshalText reads what MarshalText wrote.
func (s *ids) UnmarshalText(text []byte) error {
	r, err := decoded(text)
	if err != nil {
		return err
	}
	*s = nil
	last := int64(0)
	for len(r) > 0 {
		if last, err = r.next(last); err != nil {
			return err
		}
		*s = append(*s, last)
	}
	return nil
}

// pairs are the smallest emails that were found, by their list emails. They are written like ids, each
// with its email behind it.
type pairs map[int64]int64

// add keeps the smaller email of a list email.
func (p pairs) add(list, email int64) {
	if list <= 0 || email <= 0 {
		return
	}
	if old, ok := p[list]; !ok || email < old {
		p[list] = email
	}
}

// merge adds all of q.
func (p *pairs) merge(q pairs) {
	if *p == nil {
		*p = make(pairs, len(q))
	}
	for list, email := range q {
		p.add(list, email)
	}
}

// MarshalText writes the pairs.
func (p pairs) MarshalText() ([]byte, error) {
	var b []byte
	last := int64(0)
	for _, list := range slices.Sorted(maps.Keys(p)) {
		b = binary.AppendUvarint(b, uint64(list-last)) //nolint:gosec // ids rise
		b = binary.AppendUvarint(b, uint64(p[list]))   //nolint:gosec // ids are positive
		last = list
	}
	return encoded(b), nil
}

// UnmarshalText reads what MarshalText wrote.
func (p *pairs) UnmarshalText(text []byte) error {
	r, err := decoded(text)
	if err != nil {
		return err
	}
	*p = pairs{}
	last := int64(0)
	for len(r) > 0 {
		if last, err = r.next(last); err != nil {
			return err
		}
		email, err := r.next(0)
		if err != nil {
			return err
		}
		(*p)[last] = email
	}
	return nil
}

func encoded(b []byte) []byte { return []byte(base64.RawURLEncoding.EncodeToString(b)) }

// rest is what is left of a text to decode.
type rest []byte

func decoded(text []byte) (rest, error) {
	return base64.RawURLEncoding.DecodeString(string(text))
}

// next reads a positive number and adds it to last.
func (r *rest) next(last int64) (int64, error) {
	d, n := binary.Uvarint(*r)
	sum := last + int64(d) //nolint:gosec // an overflow is found below
	if n <= 0 || d == 0 || sum <= last {
		return 0, errors.New("not ids in rising order")
	}
	*r = (*r)[n:]
	return sum, nil
}
