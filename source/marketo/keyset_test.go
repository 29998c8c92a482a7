package marketo

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestKeySetRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		keys := rapid.SliceOf(rapid.OneOf(rapid.StringN(0, 12, 40), rapid.StringMatching("[0-9]{1,3}"))).Draw(t, "keys")
		first, ok := keySet(nil).with(keys[:len(keys)/2])
		s, fits := first.with(keys[len(keys)/2:])
		if !ok || !fits {
			t.Fatal("a few keys do not fit")
		}
		want := slices.Compact(slices.Sorted(slices.Values(keys)))
		text, err := s.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		var got keySet
		if err := got.UnmarshalText(text); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q became %q, %v", want, got, err)
		}
	})
}

func TestKeySetIsBounded(t *testing.T) {
	numbers := make([]string, 200_000)
	for i := range numbers {
		numbers[i] = fmt.Sprint(1_000_000 + 3*i)
	}
	if s, ok := keySet(nil).with(numbers); !ok {
		text, err := s.MarshalText()
		t.Errorf("%d numbers take %d bytes, %v", len(numbers), len(text), err)
	}
	random := make([]string, 200_000)
	for i := range random {
		random[i] = fmt.Sprintf("%x", sha256.Sum256(fmt.Append(nil, i)))
	}
	if _, ok := keySet(nil).with(random); ok {
		t.Error("200,000 keys that have nothing in common fit into a cursor")
	}
	for _, text := range []string{"?", "AAAA", "Cg"} {
		if err := new(keySet).UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}

// Numbers in a row are a short text, so the text does not bound the memory.
func TestKeySetIsBoundedInMemory(t *testing.T) {
	many := make([]string, keySetKeys+1)
	for i := range many {
		many[i] = fmt.Sprint(10_000_000 + i)
	}
	if _, ok := keySet(nil).with(many); ok {
		t.Errorf("%d keys fit into a set", len(many))
	}
	half, ok := keySet(nil).with(many[:keySetKeys/2])
	if !ok {
		t.Fatalf("%d keys do not fit into a set", keySetKeys/2)
	}
	if _, ok := half.with(many[keySetKeys/2:]); ok {
		t.Errorf("%d keys fit into a set, one half after the other", len(many))
	}
	long := make([]string, 300_000)
	for i := range long {
		long[i] = fmt.Sprintf("%07d%0250d", i, 0)
	}
	s, ok := keySet(nil).with(long)
	if text, err := s.MarshalText(); ok && (err != nil || new(keySet).UnmarshalText(text) != nil) {
		t.Error("a set can be written and not be read")
	} else if ok {
		t.Error("75 MB fit into a set")
	}
}
