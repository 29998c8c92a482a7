package pqfile

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"

	"github.com/martsync/martsync"
)

// readRows reads a file with Read. It also checks that flags and batches are as they should be.
func readRows(t *testing.T, file []byte, o ReadOptions) (rows []string) {
	t.Helper()
	for r, err := range Read(t.Context(), bytes.NewReader(file), int64(len(file)), o) {
		if err != nil {
			t.Fatal(err)
		}
		if r.Len == 0 || r.Len > martsync.MaxRows {
			t.Errorf("a batch of %d rows", r.Len)
		}
		rows = append(rows, formatted(r)...)
	}
	return rows
}

func TestReadReturnsWhatWasWritten(t *testing.T) {
	tests := map[string][]*martsync.Records{
		"nothing":  {},
		"extremes": {extremes()},
		"long":     {random(13, 9999), extremes(), random(14, 10_000)},
	}
	for seed := range uint64(8) {
		tests[fmt.Sprintf("random %d", seed)] = []*martsync.Records{random(seed, 700), random(seed+1, 2000), random(seed, 1)}
	}
	for name, batches := range tests {
		for _, method := range []Compression{Zstd, Gzip, Uncompressed} {
			t.Run(fmt.Sprint(name, " ", method.codec()), func(t *testing.T) {
				t.Parallel()
				file := write(t, Options{Columns: all, RowGroup: 1 << 20, Compression: method, Workers: 2}, batches...)
				want := formatted(batches...)
				if got := readRows(t, file, ReadOptions{Columns: all}); !slices.Equal(got, want) {
					t.Errorf("-want +got\n%.2000s", cmp.Diff(want, got))
				}
				f, got := readBack(t, file)
				if !slices.Equal(got, want) {
					t.Errorf("by parquet-go: -want +got\n%.2000s", cmp.Diff(want, got))
				}
				for _, g := range f.Metadata().RowGroups {
					if codec := g.Columns[0].MetaData.Codec; codec != method.codec() {
						t.Errorf("codec: got %v, want %v", codec, method.codec())
					}
				}
			})
		}
	}
}

func TestReadColumnsByName(t *testing.T) {
	file := write(t, Options{Columns: all}, random(4, 500))
	some := []martsync.Column{all[7], {Name: "later", Type: martsync.String}, all[0]}
	want := random(4, 500)
	for r, err := range Read(t.Context(), bytes.NewReader(file), int64(len(file)), ReadOptions{Columns: some}) {
		if err != nil {
			t.Fatal(err)
		}
		for i := range r.Len {
			if !r.Columns[1].Null(i) {
				t.Fatalf("row %d: a column that the file does not have is not null", i)
			}
			for _, pair := range [][2]int{{0, 7}, {2, 0}} {
				got, want := &r.Columns[pair[0]], &want.Columns[pair[1]]
				if got.Null(i) != want.Null(i) {
					t.Fatalf("row %d: null is %v", i, got.Null(i))
				}
			}
			if got, want := r.Columns[0].Days[i], want.Columns[7].Days[i]; got != want {
				t.Fatalf("row %d: got %d, want %d", i, got, want)
			}
		}
	}
	wrong := all[7]
	wrong.Type = martsync.Timestamp
	for _, err := range Read(t.Context(), bytes.NewReader(file), int64(len(file)), ReadOptions{Columns: []martsync.Column{wrong}}) {
		if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), wrong.Name) {
			t.Errorf("another type: got %v, want an error that names %s", err, wrong.Name)
		}
	}
}

func TestTombstonesOnlyWhereTheyAre(t *testing.T) {
	for name, at := range map[string]int{"none": -1, "in the first batch": 0, "in the last batch": 2} {
		t.Run(name, func(t *testing.T) {
			var batches []*martsync.Records
			var want []bool
			for i := range 3 {
				r := random(uint64(i), 2000)
				if i == at {
					r.Tombstone = make([]bool, r.Len)
					r.Tombstone[1999] = true
				}
				r.Deleted = make([]bool, r.Len)
				r.Deleted[5] = true
				batches = append(batches, r)
				want = append(want, append(make([]bool, 1999), i == at)...)
			}
			// A batch makes a row group, so that some are written before the tombstone comes.
			o := Options{Columns: all, Tombstone: "_tombstone", OmitTombstone: true, Deleted: "_deleted", RowGroup: 1}
			file := write(t, o, batches...)
			f, err := parquet.OpenFile(bytes.NewReader(file), int64(len(file)))
			if err != nil {
				t.Fatal(err)
			}
			_, has := f.Schema().Lookup("_tombstone")
			if has != (at >= 0) {
				t.Errorf("the file has the column: %v", has)
			}
			if got := len(f.RowGroups()); got != 3 {
				t.Fatalf("%d row groups, want 3", got)
			}
			var rows []string
			var got, deleted []bool
			for r, err := range Read(t.Context(), bytes.NewReader(file), int64(len(file)), ReadOptions{Columns: all, Tombstone: "_tombstone", Deleted: "_deleted"}) {
				if err != nil {
					t.Fatal(err)
				}
				rows = append(rows, formatted(r)...)
				if r.Tombstone == nil {
					r.Tombstone = make([]bool, r.Len)
				}
				got = append(got, r.Tombstone...)
				deleted = append(deleted, r.Deleted...)
			}
			if !slices.Equal(got, want) {
				t.Error("other rows are tombstones than were written")
			}
			for i, d := range deleted {
				if d != (i%2000 == 5) {
					t.Errorf("row %d: deleted is %v", i, d)
				}
			}
			if want := formatted(batches...); !slices.Equal(rows, want) {
				t.Errorf("-want +got\n%.2000s", cmp.Diff(want, rows))
			}
		})
	}
}

// counted counts the calls of a reader.
type counted struct {
	io.ReaderAt
	calls int
}

func (c *counted) ReadAt(b []byte, off int64) (int, error) {
	c.calls++
	return c.ReaderAt.ReadAt(b, off)
}

func TestReadAsksOnceForARowGroup(t *testing.T) {
	var batches []*martsync.Records
	for i := range uint64(6) {
		batches = append(batches, random(11+i, 10_000))
	}
	file := write(t, Options{Columns: all, RowGroup: 1}, batches...)
	c := &counted{ReaderAt: bytes.NewReader(file)}
	rows := 0
	for r, err := range Read(t.Context(), c, int64(len(file)), ReadOptions{Columns: all}) {
		if err != nil {
			t.Fatal(err)
		}
		rows += r.Len
	}
	if rows != 60_000 || c.calls > 7 {
		t.Errorf("%d rows by %d calls, want 60000 by at most 7: the footer and six row groups", rows, c.calls)
	}
}

// A few bytes of a dictionary can stand for rows that do not fit into memory together.
func TestReadBoundsBatches(t *testing.T) {
	const rows, size = 3000, 64 << 10
	text := bytes.Repeat([]byte("x"), size)
	column := []martsync.Column{{Name: "text", Type: martsync.String}}
	var file bytes.Buffer
	w, err := NewWriter(&file, Options{Columns: column})
	if err != nil {
		t.Fatal(err)
	}
	v := martsync.Vector{Type: martsync.String, Offsets: []int32{0}}
	for range 100 {
		v.Data = append(v.Data, text...)
		v.Offsets = append(v.Offsets, int32(len(v.Data)))
	}
	for range rows / 100 {
		if err := w.Write(&martsync.Records{Len: 100, Columns: []martsync.Vector{v}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	got := 0
	for r, err := range Read(t.Context(), bytes.NewReader(file.Bytes()), int64(file.Len()), ReadOptions{Columns: column}) {
		if err != nil {
			t.Fatal(err)
		}
		if r.Size() > martsync.MaxBytes+2*size {
			t.Fatalf("a batch of %d bytes", r.Size())
		}
		for i := range r.Len {
			if !bytes.Equal(r.Columns[0].Bytes(i), text) {
				t.Fatalf("row %d differs", got+i)
			}
		}
		got += r.Len
	}
	if got != rows {
		t.Errorf("%d rows, want %d", got, rows)
	}
}

type broken struct{ err error }

func (b broken) ReadAt([]byte, int64) (int, error) { return 0, b.err }

func TestReadErrors(t *testing.T) {
	file := write(t, Options{Columns: all, RowGroup: 1 << 18}, random(3, 3000), random(4, 3000))
	read := func(ctx context.Context, r io.ReaderAt, size int) (rows int, err error) {
		for r, err := range Read(ctx, r, int64(size), ReadOptions{Columns: all}) {
			if err != nil {
				return rows, err
			}
			rows += r.Len
		}
		return rows, nil
	}
	down := errors.New("the store is down")
	if _, err := read(t.Context(), broken{down}, len(file)); !errors.Is(err, down) || errors.Is(err, ErrDamaged) {
		t.Errorf("an error of the reader: got %v, want %v", err, down)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := read(ctx, bytes.NewReader(file), len(file)); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled context: got %v", err)
	}
	for _, n := range []int{0, 3, 4, 11, 12, len(file) / 2, len(file) - 1} {
		if _, err := read(t.Context(), bytes.NewReader(file[:n]), n); !errors.Is(err, ErrDamaged) {
			t.Errorf("%d of %d bytes: got %v, want %v", n, len(file), err, ErrDamaged)
		}
	}
	if _, err := read(t.Context(), bytes.NewReader(file[:len(file)-100]), len(file)); !errors.Is(err, ErrDamaged) {
		t.Errorf("a reader that is shorter than its size: got %v, want %v", err, ErrDamaged)
	}
}

// Whatever happens to a byte of a file: it is an error, or makes no difference. Pages have
// checksums; the footer has none, so there the rows may differ, but nothing else may happen.
func TestReadDamagedBytes(t *testing.T) {
	file := write(t, Options{Columns: all, RowGroup: 1 << 17}, random(3, 1000), random(4, 1000))
	want := formatted(random(3, 1000), random(4, 1000))
	footer := len(file) - 8 - int(uint32(file[len(file)-8])|uint32(file[len(file)-7])<<8|uint32(file[len(file)-6])<<16)
	r := rand.New(rand.NewPCG(1, 2))
	refused := 0
	for range 600 {
		at := r.IntN(len(file))
		bad := slices.Clone(file)
		bad[at] ^= byte(1 + r.IntN(255))
		var rows []string
		var err error
		for batch, e := range Read(t.Context(), bytes.NewReader(bad), int64(len(bad)), ReadOptions{Columns: all}) {
			if err = e; err != nil {
				break
			}
			rows = append(rows, formatted(batch)...)
		}
		if err != nil {
			if !errors.Is(err, ErrDamaged) {
				t.Errorf("byte %d: %v", at, err)
			}
			refused++
			continue
		}
		if at < footer && !slices.Equal(rows, want) {
			t.Errorf("byte %d of %d (the footer begins at %d): other rows and no error", at, len(file), footer)
		}
	}
	if refused < 300 {
		t.Errorf("%d of 600 damages were found", refused)
	}
}
