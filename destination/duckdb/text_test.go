//go:build cgo && !lite

package duckdb

import (
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
