package pqfile

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/decimal"
)

// generate makes a batch. Each column has its own habits: which rows are null, and which
// values it likes.
func generate(r *rand.Rand, rows int) *martsync.Records {
	rec := &martsync.Records{Len: rows}
	for _, c := range all {
		v := martsync.Vector{Type: c.Type}
		nulls, habit := r.IntN(5), r.IntN(5)
		if nulls > 0 {
			v.Nulls = make([]bool, rows)
		}
		if kindOf(c) == textKind {
			v.Offsets = []int32{0}
		}
		for k := range rows {
			null := false
			switch nulls {
			case 1:
				null = true
			case 2:
				null = r.IntN(3) == 0
			case 3:
				null = r.IntN(500) == 0
			case 4: // in runs
				null = k/100%2 == 0
			}
			if nulls > 0 {
				v.Nulls[k] = null
			}
			appendValue(&v, c, r, habit, null)
		}
		rec.Columns = append(rec.Columns, v)
	}
	for _, flag := range []*[]bool{&rec.Tombstone, &rec.Deleted} {
		if r.IntN(2) == 0 {
			*flag = make([]bool, rows)
			for k := range *flag {
				(*flag)[k] = r.IntN(50) == 0
			}
		}
	}
	return rec
}

// appendValue appends a value that a column of a habit may have: always the same, one of few,
// any, the smallest and the largest ones, or a long one now and then.
func appendValue(v *martsync.Vector, c martsync.Column, r *rand.Rand, habit int, null bool) {
	n := []int64{7, r.Int64N(100), r.Int64() - r.Int64(), math.MaxInt64, r.Int64N(5000)}[habit]
	if habit == 3 && r.IntN(2) == 0 {
		n = math.MinInt64
	}
	if null {
		n = 0
	}
	switch c.Type {
	case martsync.Bool:
		v.Bools = append(v.Bools, !null && n%3 != 0)
	case martsync.Int64, martsync.Timestamp:
		v.Ints = append(v.Ints, n)
	case martsync.Date:
		v.Days = append(v.Days, int32(n>>16^n))
	case martsync.Float64:
		f := float64(n) / 8
		if habit == 3 && !null {
			odd := []float64{math.Inf(1), math.Inf(-1), math.NaN(), math.Copysign(0, -1), math.SmallestNonzeroFloat64, math.MaxFloat64}
			f = odd[r.IntN(len(odd))]
		}
		v.Floats = append(v.Floats, f)
	case martsync.Decimal:
		limit, err := decimal.Parse([]byte(strings.Repeat("9", c.Precision)), c.Precision, 0)
		if err != nil {
			panic(err)
		}
		d := decimal.FromInt64(n % 1_000_000_000)
		if habit == 3 && !null {
			d = limit
			if n < 0 {
				d = decimal.Neg(limit)
			}
		}
		v.Decimals = append(v.Decimals, d)
	default:
		switch {
		case null, habit == 3 && n < 0:
		case habit == 4 && r.IntN(300) == 0:
			v.Data = append(v.Data, bytes.Repeat([]byte{byte(n), 0, 0xff}, r.IntN(100_000))...)
		default:
			v.Data = fmt.Appendf(v.Data, "%d", n)
		}
		v.Offsets = append(v.Offsets, int32(len(v.Data)))
	}
}

// same compares a value to the bit, so that signs of zero count.
func same(a *martsync.Vector, i int, b *martsync.Vector, k int) bool {
	if a.Null(i) || b.Null(k) {
		return a.Null(i) == b.Null(k)
	}
	switch a.Type {
	case martsync.Bool:
		return a.Bools[i] == b.Bools[k]
	case martsync.Int64, martsync.Timestamp:
		return a.Ints[i] == b.Ints[k]
	case martsync.Date:
		return a.Days[i] == b.Days[k]
	case martsync.Float64:
		return math.Float64bits(a.Floats[i]) == math.Float64bits(b.Floats[k])
	case martsync.Decimal:
		return a.Decimals[i] == b.Decimals[k]
	default:
		return bytes.Equal(a.Bytes(i), b.Bytes(k))
	}
}

// place is a row of a batch.
type place struct {
	records *martsync.Records
	row     int
}

func TestEverythingIsReadBack(t *testing.T) {
	sizes := []int{0, 1, 7, 8, 9, 64, 1000, 3001, martsync.MaxRows}
	for seed := range uint64(48) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(seed, 5))
			var batches []*martsync.Records
			var want []place
			for range r.IntN(6) {
				b := generate(r, sizes[r.IntN(len(sizes))])
				batches = append(batches, b)
				for k := range b.Len {
					want = append(want, place{b, k})
				}
			}
			file := write(t, Options{
				Columns: all, Tombstone: "_tombstone", Deleted: "_deleted", OmitTombstone: seed%2 == 0,
				RowGroup: []int{0, 1, 1 << 20}[r.IntN(3)], Compression: Compression(seed % 3), Workers: 1 + r.IntN(2),
			}, batches...)
			flag := func(set []bool, i int) bool { return set != nil && set[i] }
			o := ReadOptions{Columns: all, Tombstone: "_tombstone", Deleted: "_deleted"}
			at := 0
			for got, err := range Read(t.Context(), bytes.NewReader(file), int64(len(file)), o) {
				if err != nil {
					t.Fatal(err)
				}
				for i := range got.Len {
					if at == len(want) {
						t.Fatalf("more than %d rows", at)
					}
					w := want[at]
					for c := range all {
						if !same(&w.records.Columns[c], w.row, &got.Columns[c], i) {
							t.Fatalf("row %d: column %s differs", at, all[c].Name)
						}
					}
					if flag(w.records.Tombstone, w.row) != flag(got.Tombstone, i) || flag(w.records.Deleted, w.row) != flag(got.Deleted, i) {
						t.Fatalf("row %d: flags differ", at)
					}
					at++
				}
			}
			if at != len(want) {
				t.Errorf("%d rows, want %d", at, len(want))
			}
		})
	}
}

// A row group that is too large for the cache is read page by page.
func TestReadLargeRowGroups(t *testing.T) {
	columns := []martsync.Column{{Name: "n", Type: martsync.Int64}, {Name: "text", Type: martsync.String}}
	var texts [][]byte
	var batches []*martsync.Records
	r := rand.NewChaCha8([32]byte{1})
	for i := range int64(9) {
		text := make([]byte, 4<<20)
		_, _ = r.Read(text)
		texts = append(texts, text, text[:10], slices.Concat(text, text[:i]))
		v := martsync.Vector{Type: martsync.String, Offsets: []int32{0}}
		for _, text := range texts[3*i:] {
			v.Data = append(v.Data, text...)
			v.Offsets = append(v.Offsets, int32(len(v.Data)))
		}
		batches = append(batches, &martsync.Records{Len: 3, Columns: []martsync.Vector{{Type: martsync.Int64, Ints: []int64{3 * i, 3*i + 1, 3*i + 2}}, v}})
	}
	for _, method := range []Compression{Zstd, Uncompressed} {
		file := write(t, Options{Columns: columns, RowGroup: 1 << 30, Compression: method}, batches...)
		if len(file) < maxGroup {
			t.Fatalf("the row group has only %d bytes", len(file))
		}
		at := 0
		for r, err := range Read(t.Context(), bytes.NewReader(file), int64(len(file)), ReadOptions{Columns: columns}) {
			if err != nil {
				t.Fatal(err)
			}
			for i := range r.Len {
				if r.Columns[0].Ints[i] != int64(at) || !bytes.Equal(r.Columns[1].Bytes(i), texts[at]) {
					t.Fatalf("row %d differs", at)
				}
				at++
			}
		}
		if at != len(texts) {
			t.Errorf("%d rows, want %d", at, len(texts))
		}
	}
}
