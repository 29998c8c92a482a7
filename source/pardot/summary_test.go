package pardot

import (
	"encoding/json"
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestSetsOfIDsSurviveACursor(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		id := rapid.OneOf(rapid.Int64Range(1, 50), rapid.Int64Range(1, math.MaxInt64))
		var s ids
		model := map[int64]bool{}
		found := pairs{}
		for range rapid.IntRange(0, 40).Draw(t, "n") {
			list, email := id.Draw(t, "list"), id.Draw(t, "email")
			s.add(list)
			model[list] = true
			found.add(list, email)
		}
		if !slices.IsSorted(s) || len(s) != len(model) {
			t.Fatalf("%v, want %d ids in rising order", s, len(model))
		}
		for i := range model {
			if !s.has(i) {
				t.Fatalf("%v lacks %d", s, i)
			}
		}
		in := emailPosition{Found: found, Done: s}
		text := in.cursor()
		got, err := parseEmailPosition(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if len(found) == 0 {
			in = emailPosition{}
		}
		if diff := cmp.Diff(in, got); diff != "" {
			t.Fatalf("%s (-want +got):\n%s", text, diff)
		}
	})
}

func TestPairsKeepTheSmallerEmail(t *testing.T) {
	p := pairs{}
	for _, x := range [][2]int64{{41, 3005}, {41, 3001}, {41, 3009}, {42, 7}, {0, 5}, {43, 0}} {
		p.add(x[0], x[1])
	}
	p.merge(pairs{42: 9, 44: 1})
	if diff := cmp.Diff(pairs{41: 3001, 42: 7, 44: 1}, p); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func FuzzEmailPosition(f *testing.F) {
	f.Add(`{"done":"AQE","found":"KdgX"}`)
	f.Add(`{"sends":{"at":1},"range":{"from":1,"to":2,"rows":3}}`)
	f.Add(`{"done":"_____________wE"}`)
	f.Fuzz(func(t *testing.T, text string) {
		var s ids
		if s.UnmarshalText([]byte(text)) == nil {
			again, _ := s.MarshalText()
			var back ids
			if err := back.UnmarshalText(again); err != nil || !slices.Equal(s, back) || !slices.IsSorted(s) {
				t.Errorf("%q: %v became %v, %v", text, s, back, err)
			}
		}
		var p emailPosition
		if json.Unmarshal([]byte(text), &p) != nil {
			return
		}
		for list, email := range p.Found {
			if list <= 0 || email <= 0 {
				t.Errorf("%q: list email %d with email %d", text, list, email)
			}
		}
	})
}
