//go:build cgo && !lite

package duckdb

import (
	"fmt"
	"strings"
	"testing"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/rows"
)

// TestTextMustBeUTF8 relies on a check of DuckDB's own, in the statistics of segments: rows come
// from internal/columns, which lets nothing else pass, but a file with such text in it could not be
// read any more.
func TestTextMustBeUTF8(t *testing.T) {
	for _, text := range []string{"\xff", "short\xc3", strings.Repeat("long ", 10) + "\xe6\x9d", "\xed\xa0\x80"} {
		for _, count := range []int{1, 3000} {
			d := openNew(t)
			w := openWriter(t, d, people)
			b := rows.NewBuilder(people.Columns)
			for i := range count {
				b.Append(int64(i), "fine", int64(1))
			}
			b.Append(int64(-1), text, int64(1))
			err := w.Write(t.Context(), b.Records())
			if err == nil {
				err = w.Commit(t.Context(), martsync.Commit{Sync: "test", At: noon, Next: "1"})
			}
			t.Log(err)
			if err == nil {
				t.Errorf("%q after %d rows was committed", text, count)
			}
			_ = w.Close()
			w = openWriter(t, d, people)
			write(t, w, people, func(b *rows.Builder) { b.Append(int64(1), "fine", int64(1)) })
			commit(t, w, martsync.Commit{Next: "1"})
			want(t, d, "people", "1|fine|1")
		}
	}
}

// TestLongTextsAreReadInParts reads a table with much text in 2,048 rows: what is handed over is no larger than a batch may be,
// and all of it is there.
func TestLongTextsAreReadInParts(t *testing.T) {
	d := openNew(t)
	w := openWriter(t, d, people)
	const count = 2100
	name := func(i int) any {
		switch {
		case i == 1500:
			return strings.Repeat("x", martsync.MaxBytes+1) // more than fits into a batch
		case i%7 == 0:
			return nil
		}
		return fmt.Sprint(i, strings.Repeat(" long", 4000))
	}
	for i := 0; i < count; {
		write(t, w, people, func(b *rows.Builder) {
			for end := min(i+300, count); i < end; i++ {
				b.Append(int64(i), name(i), int64(i))
			}
		})
	}
	commit(t, w, martsync.Commit{Next: "1"})
	s, records, err := d.ReadTable(t.Context(), "people")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[any]bool{}
	for r, err := range records {
		if err != nil {
			t.Fatal(err)
		}
		if size := r.Size(); r.Len > 1 && size > martsync.MaxBytes+64*r.Len {
			t.Errorf("%d rows of %d bytes came at once, more than a batch may have", r.Len, size)
		}
		for _, cells := range rows.Of(s.Columns, r) {
			id, ok := cells[0].(int64)
			if !ok || cells[1] != name(int(id)) || cells[2] != id {
				t.Fatalf("row %v: version %v and %d bytes of text are not what was written", cells[0], cells[2], len(fmt.Sprint(cells[1])))
			}
			seen[id] = true
		}
	}
	if len(seen) != count {
		t.Errorf("%d rows were read, want %d", len(seen), count)
	}
}
