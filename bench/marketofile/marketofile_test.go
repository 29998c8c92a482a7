package marketofile

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/csvfile"
)

func TestFilesAreReadable(t *testing.T) {
	tests := []struct {
		name    string
		make    func(b *bytes.Buffer, seed uint64) error
		columns []martsync.Column
		bytes   int // a row, about
	}{
		{"leads", func(b *bytes.Buffer, seed uint64) error { return Leads(b, seed, 2000) }, LeadColumns(), 800},
		{"activities", func(b *bytes.Buffer, seed uint64) error { return Activities(b, seed, 2000) }, ActivityColumns(), 500},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var a, b, c bytes.Buffer
			for _, err := range []error{tt.make(&a, 1), tt.make(&b, 1), tt.make(&c, 2)} {
				if err != nil {
					t.Fatal(err)
				}
			}
			if !bytes.Equal(a.Bytes(), b.Bytes()) || bytes.Equal(a.Bytes(), c.Bytes()) {
				t.Error("bytes must follow from the seed")
			}
			if n := a.Len() / 2000; n < tt.bytes*7/10 || n > tt.bytes*13/10 {
				t.Errorf("%d bytes a row, want about %d", n, tt.bytes)
			}
			rows := int64(0)
			for chunk, err := range csvfile.Read(context.Background(), &a, csvfile.Options{Columns: tt.columns, Null: "null"}) {
				if err != nil {
					t.Fatal(err)
				}
				for _, q := range chunk.Quarantined {
					t.Fatalf("line %d: %s %s: %s", q.Line, q.Column, q.Reason, q.Raw)
				}
				rows += chunk.Rows
			}
			if rows != 2000 {
				t.Errorf("%d rows, want 2000", rows)
			}
		})
	}
}

// TestSameForAnyWorkers reads a file of several blocks of their real size, clean and with
// stray and unclosed quotes, and compares all that is read down to the bytes.
func TestSameForAnyWorkers(t *testing.T) {
	var b bytes.Buffer
	if err := Leads(&b, 3, 15_000); err != nil {
		t.Fatal(err)
	}
	clean := b.Bytes()
	dirty := bytes.Clone(clean)
	for at := len(dirty) / 3; at < len(dirty); at += 1_700_000 {
		// A first name begins with a quote that nothing closes, or contains one.
		comma := at + bytes.IndexByte(dirty[at:], ',')
		dirty[comma+1+at%2] = '"'
	}
	for name, text := range map[string][]byte{"clean": clean, "dirty": dirty} {
		sum := func(workers int) (digest string, chunks int) {
			h := sha256.New()
			for chunk, err := range csvfile.Read(context.Background(), bytes.NewReader(text), csvfile.Options{Columns: LeadColumns(), Null: "null", Workers: workers}) {
				if err != nil {
					t.Fatal(err)
				}
				fmt.Fprintf(h, "%d %d %v\n", chunk.Offset, chunk.Rows, chunk.Quarantined)
				for _, v := range chunk.Records.Columns {
					for _, values := range []any{v.Nulls, v.Bools, v.Ints, v.Days, v.Floats, v.Offsets, v.Data} {
						if err := binary.Write(h, binary.LittleEndian, values); err != nil {
							t.Fatal(err)
						}
					}
				}
				chunks++
			}
			return fmt.Sprintf("%x", h.Sum(nil)), chunks
		}
		want, n := sum(1)
		if n < 3 {
			t.Errorf("%s: only %d chunks", name, n)
		}
		for _, workers := range []int{2, 5} {
			if got, _ := sum(workers); got != want {
				t.Errorf("%s: %d workers read something else", name, workers)
			}
		}
	}
}
