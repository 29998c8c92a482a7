package pqfile

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go/format"

	"github.com/martsync/martsync"
)

// TestDictionaries checks where dictionaries are used; that the values are right in all of
// these cases is for TestRoundTrip.
func TestDictionaries(t *testing.T) {
	ints := func(f func(i int) int64) *martsync.Vector {
		v := &martsync.Vector{Type: martsync.Int64}
		for i := range martsync.MaxRows {
			v.Ints = append(v.Ints, f(i))
		}
		return v
	}
	sparse := func(v *martsync.Vector) *martsync.Vector {
		v.Nulls = make([]bool, len(v.Ints))
		for i := range v.Nulls {
			v.Nulls[i] = i%500 != 0
		}
		return v
	}
	tests := []struct {
		name    string
		batches []*martsync.Vector
		want    string
	}{
		{"few values", []*martsync.Vector{ints(func(i int) int64 { return int64(i % 7) })}, "dictionary"},
		{"one value", []*martsync.Vector{ints(func(int) int64 { return 5 })}, "dictionary"},
		{"all different", []*martsync.Vector{ints(func(i int) int64 { return int64(i) })}, "plain"},
		{"no values", []*martsync.Vector{{Type: martsync.Int64, Ints: make([]int64, 3), Nulls: []bool{true, true, true}}}, "plain"},
		{"few, then all different", []*martsync.Vector{ints(func(i int) int64 { return int64(i % 7) }), ints(func(i int) int64 { return int64(i) }), ints(func(i int) int64 { return int64(-i) })}, "dictionary plain"},
		{"different, but rare", []*martsync.Vector{
			sparse(ints(func(i int) int64 { return int64(i) })), sparse(ints(func(i int) int64 { return int64(i) })),
			sparse(ints(func(i int) int64 { return int64(i) })), ints(func(i int) int64 { return int64(i) }),
		}, "dictionary plain"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			columns := all[:1]
			var batches []*martsync.Records
			for _, v := range tt.batches {
				batches = append(batches, &martsync.Records{Len: len(v.Ints), Columns: []martsync.Vector{*v}})
			}
			f, rows := readBack(t, write(t, Options{Columns: columns}, batches...))
			var want []string
			for _, row := range formatted(batches...) {
				want = append(want, row+strings.Repeat("|", len(all)-1))
			}
			if !slices.Equal(want, rows) {
				t.Errorf("-want +got\n%.1000s", cmp.Diff(want, rows))
			}
			var got []string
			for _, s := range f.Metadata().RowGroups[0].Columns[0].MetaData.EncodingStats {
				if s.PageType == format.DictionaryPage {
					got = append(got, "dictionary")
				} else if s.Encoding == format.Plain {
					got = append(got, "plain")
				}
			}
			if d := cmp.Diff(tt.want, strings.Join(got, " ")); d != "" {
				t.Errorf("pages: -want +got\n%s", d)
			}
		})
	}
}

// TestLearning checks that a column whose values do not repeat costs a dictionary only once.
func TestLearning(t *testing.T) {
	var batches []*martsync.Records
	for k := range 6 {
		v := martsync.Vector{Type: martsync.Int64}
		for i := range martsync.MaxRows {
			v.Ints = append(v.Ints, int64(i+k*martsync.MaxRows))
		}
		batches = append(batches, &martsync.Records{Len: len(v.Ints), Columns: []martsync.Vector{v}})
	}
	f, _ := readBack(t, write(t, Options{Columns: all[:1], RowGroup: 1}, batches...))
	for i, g := range f.Metadata().RowGroups {
		if g.Columns[0].MetaData.DictionaryPageOffset != 0 {
			t.Errorf("row group %d has a dictionary", i)
		}
	}
}
