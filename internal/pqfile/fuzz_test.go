package pqfile

import (
	"bytes"
	"errors"
	"testing"

	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"

	"github.com/martsync/martsync"
)

// FuzzRead damages files. Whatever comes of it, batches are whole, and errors say that it was
// the file.
func FuzzRead(f *testing.F) {
	for _, method := range []Compression{Zstd, Gzip, Uncompressed} {
		f.Add(write(f, Options{Columns: all, Compression: method}, extremes()))
		o := Options{Columns: all, Tombstone: "_tombstone", Deleted: "_deleted", Compression: method, RowGroup: 1}
		f.Add(write(f, o, random(3, 60), random(4, 20)))
		f.Add(write(f, o))
	}
	o := ReadOptions{Columns: all, Tombstone: "_tombstone", Deleted: "_deleted"}
	f.Fuzz(func(t *testing.T, file []byte) {
		rows := 0
		for r, err := range Read(t.Context(), bytes.NewReader(file), int64(len(file)), o) {
			if err != nil {
				if !errors.Is(err, ErrDamaged) || isPanic(err) {
					t.Fatal(err)
				}
				return
			}
			checkWhole(t, r)
			if rows += r.Len; rows > 50_000 { // a few bytes may stand for very many nulls
				return
			}
		}
	})
}

// checkWhole checks that every column of a batch has every row.
func checkWhole(t *testing.T, r *martsync.Records) {
	t.Helper()
	if r.Len <= 0 || r.Len > martsync.MaxRows {
		t.Fatalf("a batch of %d rows", r.Len)
	}
	for i := range r.Columns {
		v := &r.Columns[i]
		n := len(v.Bools) + len(v.Ints) + len(v.Days) + len(v.Floats) + len(v.Decimals)
		if len(v.Offsets) > 0 {
			n = len(v.Offsets) - 1
			if int(v.Offsets[n]) != len(v.Data) {
				t.Fatalf("column %d: texts end at %d of %d", i, v.Offsets[n], len(v.Data))
			}
		}
		if n != r.Len || v.Nulls != nil && len(v.Nulls) != n {
			t.Fatalf("column %d: %d values of %d rows", i, n, r.Len)
		}
	}
}

// FuzzPage damages what checksums protect: bodies of pages.
func FuzzPage(f *testing.F) {
	f.Add(byte(wordKind), false, []byte{}, int32(1), []byte{2, 0, 0, 0, 2, 1, 5, 0, 0, 0, 0, 0, 0, 0})
	f.Add(byte(textKind), false, []byte{}, int32(2), []byte{2, 0, 0, 0, 3, 3, 1, 0, 0, 0, 'x', 0, 0, 0, 0})
	f.Add(byte(bitKind), false, []byte{}, int32(9), []byte{2, 0, 0, 0, 18, 1, 0xff, 1})
	f.Add(byte(wideKind), false, []byte{}, int32(1), append([]byte{2, 0, 0, 0, 2, 1}, make([]byte, 16)...))
	f.Add(byte(smallKind), true, []byte{1, 0, 0, 0, 2, 0, 0, 0}, int32(8), []byte{2, 0, 0, 0, 16, 1, 1, 3, 0x5a})
	f.Add(byte(textKind), true, []byte{1, 0, 0, 0, 'x', 0, 0, 0, 0, 1, 0, 0, 0, 'y'}, int32(8), []byte{2, 0, 0, 0, 16, 1, 2, 3, 0x11, 0x22})
	f.Fuzz(func(t *testing.T, k byte, indexed bool, dict []byte, rows int32, body []byte) {
		c := &cursor{kind: kind(k % 5), left: 1 << 31}
		c.dict.reset()
		h := format.DataPageHeader{NumValues: rows, DefinitionLevelEncoding: format.RLE}
		if indexed {
			h.Encoding = format.RLEDictionary
			c.header.DictionaryPageHeader = thrift.New(format.DictionaryPageHeader{NumValues: int32(len(dict) / 4)})
			if err := c.readDictionary(dict); err != nil && !errors.Is(err, ErrDamaged) {
				t.Fatal(err)
			}
		}
		c.header.DataPageHeader = thrift.New(h)
		err := c.beginPage(body)
		for i := 0; err == nil && c.rows > 0 && i < 10_000; i++ {
			_, err = c.next()
		}
		if err != nil && !errors.Is(err, ErrDamaged) {
			t.Fatal(err)
		}
	})
}
