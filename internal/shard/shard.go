// Package shard splits a list of names among a number of processes that do not talk to each other.
//
// Each process computes the whole split by itself and comes to the same one, so every name is at exactly one. What the
// names mean (here: accounts at vendors, since what shares an account shares its limits) is left to the caller, and
// so is keeping two processes apart that were given different lists for a moment (the lease in package state).
package shard

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A Shard is one of Count parts: Index counts from 1. The zero value stands for the whole.
type Shard struct{ Index, Count int }

// maxCount bounds the parts. It is more than anybody needs, and far less than what makes Split slow.
const maxCount = 1000

// Parse reads "2/5", the second of five. "" is the whole.
func Parse(text string) (Shard, error) {
	if text == "" {
		return Shard{}, nil
	}
	index, count, found := strings.Cut(text, "/")
	i, err := strconv.ParseUint(index, 10, 31)
	n, err2 := strconv.ParseUint(count, 10, 31)
	switch {
	case !found || err != nil || err2 != nil:
		return Shard{}, fmt.Errorf("%q is no shard: write 1/3, 2/3 and 3/3 for the parts of three", text)
	case n < 1 || n > maxCount:
		return Shard{}, fmt.Errorf("%q: there can be 1 to %d shards", text, maxCount)
	case i < 1 || i > n:
		return Shard{}, fmt.Errorf("%q: shards count from 1 to %d", text, n)
	}
	return Shard{int(i), int(n)}, nil
}

// Whole reports whether there is nothing to split.
func (s Shard) Whole() bool { return s.Count <= 1 }

// String is the text that Parse reads.
func (s Shard) String() string {
	if s.Count == 0 {
		return ""
	}
	return fmt.Sprintf("%d/%d", s.Index, s.Count)
}

// Split gives each name the index, from 1 to count, of the shard it belongs to. It depends on nothing but the set of
// names: neither on their order nor on how often one is there.
//
// It is rendezvous hashing with room for as many names in each shard as in any other, give or take one: a name
// goes where its hash with the shard's number is highest of those that have room left. Without that bound
// ten names in three shards are often seven, three and none. Its price is that one more name moves a few others, where
// without it it would move none.
func Split(names []string, count int) map[string]int {
	type ranked struct {
		name string
		rank [sha256.Size]byte
	}
	all := make([]ranked, len(names))
	for i, name := range names {
		all[i] = ranked{name, sha256.Sum256([]byte(name))}
	}
	// Who chooses first must not depend on who else is there.
	slices.SortFunc(all, func(a, b ranked) int {
		return cmp.Or(bytes.Compare(a.rank[:], b.rank[:]), strings.Compare(a.name, b.name))
	})
	all = slices.CompactFunc(all, func(a, b ranked) bool { return a.name == b.name })

	each, larger := len(all)/count, len(all)%count // that many shards hold one name more than the others
	held := make([]int, count)
	split := make(map[string]int, len(all))
	for _, r := range all {
		best, highest := -1, uint64(0)
		for i, n := range held {
			if n > each || n == each && larger == 0 {
				continue
			}
			if s := score(r.rank, i); best < 0 || s > highest {
				best, highest = i, s
			}
		}
		if held[best] == each {
			larger--
		}
		held[best]++
		split[r.name] = best + 1
	}
	return split
}

// score is how much a name, given by its hash, wants to be in a shard.
func score(name [sha256.Size]byte, index int) uint64 {
	h := sha256.Sum256(binary.BigEndian.AppendUint64(name[:], uint64(index))) //nolint:gosec // an index is not negative
	return binary.BigEndian.Uint64(h[:])
}
