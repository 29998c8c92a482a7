package shard

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestParse(t *testing.T) {
	for _, test := range []struct {
		text string
		want Shard
		fail string // part of the error
	}{
		{text: ""},
		{text: "1/1", want: Shard{1, 1}},
		{text: "2/5", want: Shard{2, 5}},
		{text: "1000/1000", want: Shard{1000, 1000}},
		{text: "0/3", fail: "count from 1 to 3"},
		{text: "4/3", fail: "count from 1 to 3"},
		{text: "1/0", fail: "1 to 1000 shards"},
		{text: "1/1001", fail: "1 to 1000 shards"},
		{text: "3", fail: "write 1/3"},
		{text: "1/3/4", fail: "write 1/3"},
		{text: "-1/3", fail: "write 1/3"},
		{text: "one/three", fail: "write 1/3"},
		{text: "99999999999999999999/3", fail: "write 1/3"},
	} {
		got, err := Parse(test.text)
		switch {
		case test.fail != "":
			if err == nil || !strings.Contains(err.Error(), test.fail) {
				t.Errorf("%q: got %v, %v; want an error with %q", test.text, got, err, test.fail)
			}
		case err != nil || got != test.want:
			t.Errorf("%q: got %v, %v; want %v", test.text, got, err, test.want)
		case got.String() != test.text:
			t.Errorf("%q: is written %q", test.text, got.String())
		case got.Whole() != (got.Count < 2):
			t.Errorf("%q: whole: %v", test.text, got.Whole())
		}
	}
}

// TestSplitLaws: each name is in one shard, shards are equally large, and nothing but the set of names counts.
func TestSplitLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.SliceOfN(rapid.StringMatching(`[a-z]{1,3}:[0-9]{1,2}`), 0, 60).Draw(t, "names")
		count := rapid.IntRange(1, 20).Draw(t, "count")
		split := Split(names, count)

		distinct := map[string]bool{}
		for _, name := range names {
			distinct[name] = true
		}
		if len(split) != len(distinct) {
			t.Errorf("%d names are in shards, want %d", len(split), len(distinct))
		}
		held := make([]int, count)
		for name, index := range split {
			if !distinct[name] || index < 1 || index > count {
				t.Fatalf("%q is in shard %d of %d", name, index, count)
			}
			held[index-1]++
		}
		if slices.Max(held)-slices.Min(held) > 1 {
			t.Errorf("shards hold %v names, want as many each", held)
		}

		again := rapid.Permutation(append(slices.Clone(names), names...)).Draw(t, "in another order, and twice")
		if diff := cmp.Diff(split, Split(again, count)); diff != "" {
			t.Errorf("the order counts: %s", diff)
		}
	})
}

// TestSplitMovesFew: one more name, or one less, moves a few others, and one more shard little more than it takes.
func TestSplitMovesFew(t *testing.T) {
	const rounds = 50
	for _, count := range []int{2, 3, 5, 10} {
		for _, size := range []int{4, 10, 30, 100, 300} {
			var byName, byShard int
			for round := range rounds {
				names := make([]string, size)
				for i := range names {
					names[i] = fmt.Sprintf("marketo:%03d-ABC-%03d", round, i)
				}
				split := Split(names, count)
				byName += moved(split, Split(append(names, "pardot:0Uv000000000001"), count))
				byShard += moved(split, Split(names, count+1))
			}
			if got, most := float64(byName)/rounds, float64(count)/2; got > most {
				t.Errorf("%d names in %d shards: one more moves %.2f others on average, want at most %.1f", size, count, got, most)
			}
			// The new shard takes size/(count+1); without hashing almost all would move.
			if got, most := float64(byShard)/rounds, 2*float64(size)/float64(count+1)+1; got > most {
				t.Errorf("%d names in %d shards: one more shard moves %.1f on average, want at most %.1f", size, count, got, most)
			}
		}
	}
}

// moved counts the names that are elsewhere after.
func moved(before, after map[string]int) (n int) {
	for name := range before {
		if before[name] != after[name] {
			n++
		}
	}
	return n
}

// TestSplitStays pins the split itself: processes of different versions must come to the same one.
func TestSplitStays(t *testing.T) {
	names := []string{"marketo:123-ABC-456", "marketo:456-DEF-789", "pardot:0Uv000000000001", "pardot:0Uv000000000002", "pardot:0Uv000000000003"}
	got := Split(names, 3)
	want := map[string]int{
		"marketo:123-ABC-456": 1, "marketo:456-DEF-789": 3,
		"pardot:0Uv000000000001": 3, "pardot:0Uv000000000002": 2, "pardot:0Uv000000000003": 1,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if whole := slices.Sorted(maps.Values(Split(names, 1))); whole[0] != 1 || whole[len(whole)-1] != 1 {
		t.Errorf("one shard holds everything: got %v", whole)
	}
}
