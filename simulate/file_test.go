package simulate

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"testing"
)

// numbers generates lines of numbers in pieces of a size of its own.
func numbers(n int64, piece int) Generator {
	return func(from Mark, emit func(Mark, []byte) error) error {
		at := from
		var b []byte
		for i := from.Pos[0]; i < n; i++ {
			b = fmt.Appendf(b, "line %d\n", i)
			if len(b) >= piece {
				if err := emit(at, b); err != nil {
					return err
				}
				at, b = Mark{Pos: [3]int64{i + 1}, Rows: i + 1}, b[:0]
			}
		}
		if err := emit(at, b); err != nil {
			return err
		}
		return emit(Mark{Rows: n}, nil)
	}
}

func TestFile(t *testing.T) {
	var want bytes.Buffer
	for i := range 300_000 {
		fmt.Fprintf(&want, "line %d\n", i)
	}
	f, err := NewFile(numbers(300_000, 10_000))
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(want.Bytes())
	if f.Size != int64(want.Len()) || f.Rows != 300_000 || f.SHA256 != hex.EncodeToString(sum[:]) || len(f.marks) < 3 {
		t.Fatalf("got %d bytes, %d rows, %d marks", f.Size, f.Rows, len(f.marks))
	}
	for _, r := range []struct{ from, n int64 }{{0, f.Size}, {0, 1}, {f.Size - 1, 1}, {1 << 20, 100}, {1<<20 - 50, 2 << 20}, {2_345_678, 9}, {5, 0}} {
		var got bytes.Buffer
		if err := f.WriteRange(&got, r.from, r.n); err != nil {
			t.Errorf("range %v: %v", r, err)
		}
		if !bytes.Equal(got.Bytes(), want.Bytes()[r.from:r.from+r.n]) {
			t.Errorf("range %v: got %.30q…, want %.30q…", r, got.Bytes(), want.Bytes()[r.from:])
		}
	}
	if err := f.WriteRange(failing{}, 0, 10); !errors.Is(err, errWrite) {
		t.Errorf("a writer that fails: got %v", err)
	}
	if err := f.WriteRange(&bytes.Buffer{}, f.Size-1, 2); err == nil {
		t.Error("a range beyond the end: no error")
	}
	empty, err := NewFile(numbers(0, 10))
	if err != nil || empty.Size != 0 || empty.Rows != 0 {
		t.Errorf("no content: got %+v, %v", empty, err)
	}
	if _, err := NewFile(func(Mark, func(Mark, []byte) error) error { return errWrite }); !errors.Is(err, errWrite) {
		t.Errorf("a generator that fails: got %v", err)
	}
}

var errWrite = errors.New("no room")

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errWrite }

func TestHash(t *testing.T) {
	seen := map[uint64]bool{}
	var bits [64]int
	const n = 100_000
	for i := range uint64(n) {
		h := Hash(1, 2, i, 3)
		if seen[h] {
			t.Fatalf("Hash repeats at %d", i)
		}
		seen[h] = true
		for b := range bits {
			bits[b] += int(h >> b & 1)
		}
		if Hash(1, 2, i, 3) != h || Hash(2, 2, i, 3) == h || Hash(1, 3, i, 3) == h || Hash(1, 2, i, 4) == h {
			t.Fatalf("Hash does not depend on all of its arguments at %d", i)
		}
	}
	for b, k := range bits {
		if k < n*48/100 || k > n*52/100 {
			t.Errorf("bit %d is set in %d of %d", b, k, n)
		}
	}
	var counts [10]int
	ones := 0
	for i := range uint64(n) {
		h := Hash(9, 9, i, 0)
		counts[Pick(h, 10)]++
		if OneIn(h, 5) {
			ones++
		}
	}
	for d, k := range counts {
		if k < n*9/100 || k > n*11/100 {
			t.Errorf("Pick gives %d in %d of %d", d, k, n)
		}
	}
	if ones < n*19/100 || ones > n*21/100 {
		t.Errorf("OneIn 5: %d of %d", ones, n)
	}
	if a, b := Next(7), Next(8); a == 7 || a == b {
		t.Errorf("Next gives %d and %d", a, b)
	}
	if a, b := UUID(1), UUID(2); a == b || len(a) != 36 || a[14] != '4' {
		t.Errorf("UUIDs %s and %s", a, b)
	}
}
