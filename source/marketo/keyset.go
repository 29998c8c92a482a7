package marketo

import (
	"bytes"
	"compress/flate"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

const (
	// keySetMost is how long the text of a set may be, in bytes: it is part of a cursor.
	keySetMost = 4 << 20

	// keySetWhole bounds what such a text may unfold to, in bytes.
	keySetWhole = 64 << 20

	// keySetKeys bounds the memory that a set takes: numbers in a row make a short text however many they are.
	keySetKeys = 1 << 20
)

// A keySet is keys in rising order. It is written as base64 of what they do not share with their neighbours, compressed: keys
// that are numbered take a byte or two each.
type keySet []string

// with returns the set with more keys; false if it would be too large.
func (s keySet) with(keys []string) (keySet, bool) {
	all := slices.Concat(s, keys)
	slices.Sort(all)
	all = slices.Compact(all)
	whole := 0
	for _, key := range all {
		whole += len(key) + 2*binary.MaxVarintLen32
	}
	if len(all) > keySetKeys || whole > keySetWhole {
		return nil, false
	}
	text, err := all.MarshalText()
	return all, err == nil && len(text) <= keySetMost
}

// MarshalText writes the set.
func (s keySet) MarshalText() ([]byte, error) {
	var packed bytes.Buffer
	w, err := flate.NewWriter(&packed, flate.DefaultCompression)
	if err != nil {
		return nil, err
	}
	last, b := "", []byte(nil)
	for _, key := range s {
		shared := 0
		for shared < min(len(last), len(key)) && last[shared] == key[shared] {
			shared++
		}
		b = binary.AppendUvarint(binary.AppendUvarint(b[:0], uint64(shared)), uint64(len(key)-shared))
		if _, err := w.Write(append(b, key[shared:]...)); err != nil {
			return nil, err
		}
		last = key
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return []byte(base64.RawURLEncoding.EncodeToString(packed.Bytes())), nil
}

// UnmarshalText reads what MarshalText wrote.
func (s *keySet) UnmarshalText(text []byte) error {
	packed, err := base64.RawURLEncoding.DecodeString(string(text))
	if err != nil {
		return err
	}
	b, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(packed)), keySetWhole+1))
	if err != nil {
		return fmt.Errorf("keys: %w", err)
	}
	if len(b) > keySetWhole {
		return errors.New("too many keys")
	}
	*s = nil
	last := ""
	for len(b) > 0 {
		shared, n := binary.Uvarint(b)
		if n <= 0 {
			return errNoKeys
		}
		own, m := binary.Uvarint(b[n:])
		if m <= 0 || shared > uint64(len(last)) || own > uint64(len(b)-n-m) {
			return errNoKeys
		}
		var key strings.Builder
		key.WriteString(last[:shared])
		key.Write(b[n+m : n+m+int(own)]) //nolint:gosec // bounded by the length of b
		if key.String() <= last && len(*s) > 0 {
			return errNoKeys
		}
		last = key.String()
		*s, b = append(*s, last), b[n+m+int(own):] //nolint:gosec // likewise
	}
	return nil
}

var errNoKeys = errors.New("not keys in rising order")
