package destinationtest

import (
	"fmt"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/rows"
)

const jsonCell = rows.JSON(`{"a":[1,"ü"]}`)

var sizeLaws = []law{
	{"loads of 10,001 rows", func(b *bench) {
		for _, s := range []martsync.Schema{keyed, {Stream: "plain", Columns: keyed.Columns}} {
			for round := range int64(2) {
				w := b.open(s)
				for _, part := range [][2]int64{{0, martsync.MaxRows}, {martsync.MaxRows, martsync.MaxRows + 1}} {
					builder := rows.NewBuilder(s.Columns)
					for i := part[0]; i < part[1]; i++ {
						builder.Append(i, fmt.Sprintf("name %d of %d", i, round), v(round))
					}
					r := builder.Records()
					if err := w.Write(b.Context(), r); err != nil {
						b.Fatalf("write: %v", err)
					}
					rows.Poison(r)
				}
				b.commit(w, martsync.Commit{Next: martsync.Cursor(fmt.Sprint(round))})
				b.close(w)
			}
			_, all := b.table(s.Stream)
			want := 10_001
			if len(s.Key) == 0 {
				want *= 2
			}
			if len(all) != want {
				b.Fatalf("rows of %s: got %d, want %d", s.Stream, len(all), want)
			}
			seen := map[any]bool{}
			for _, row := range all {
				id, ok := row["id"].(int64)
				if !ok || id < 0 || id > martsync.MaxRows {
					b.Fatalf("id: got %v", row["id"])
				}
				version, ok := row["updated_at"].(rows.Micros)
				if name := fmt.Sprintf("name %d of %d", id, version/1e6); !ok || row["name"] != name {
					b.Fatalf("row %d: got name %v, want %q", id, row["name"], name)
				}
				key := fmt.Sprint(id, row["updated_at"])
				if seen[key] {
					b.Fatalf("row %s is there twice", key)
				}
				seen[key] = true
			}
			if len(s.Key) > 0 && !seen[fmt.Sprint(int64(0), v(1))] {
				b.Error("the second load did not replace the first")
			}
		}
	}},
	{"many small commits", func(b *bench) {
		w := b.open(keyed)
		for i := range int64(50) {
			b.write(w, keyed, alive{i % 7, fmt.Sprint(i), v(i)})
			b.commit(w, martsync.Commit{Next: martsync.Cursor(fmt.Sprint(i))})
		}
		b.close(w)
		var want []any
		for i := int64(43); i < 50; i++ {
			want = append(want, alive{i % 7, fmt.Sprint(i), v(i)})
		}
		b.want(keyed, want...)
	}},
}
