package destinationtest

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/destination/memory"
)

var mergeLaws = []law{
	{"the higher version wins", func(b *bench) {
		b.load(keyed, "1", alive{int64(1), "new", v(5)}, alive{int64(2), "old", v(5)})
		b.load(keyed, "2", alive{int64(1), "older", v(4)}, alive{int64(2), "newer", v(6)})
		b.want(keyed, alive{int64(1), "new", v(5)}, alive{int64(2), "newer", v(6)})
	}},
	{"of equal versions the one written last wins", func(b *bench) {
		b.load(keyed, "1", alive{int64(1), "first", v(5)})
		b.load(keyed, "2", alive{int64(1), "second", v(5)})
		b.want(keyed, alive{int64(1), "second", v(5)})
	}},
	{"versions within a commit", func(b *bench) {
		b.load(keyed, "1",
			alive{int64(1), "a", v(1)}, alive{int64(1), "b", v(3)}, alive{int64(1), "c", v(2)},
			alive{int64(2), "a", v(1)}, alive{int64(2), "b", v(1)})
		b.want(keyed, alive{int64(1), "b", v(3)}, alive{int64(2), "b", v(1)})
	}},
	{"versions across the batches of a commit", func(b *bench) {
		w := b.open(keyed)
		b.write(w, keyed, alive{int64(1), "a", v(2)}, alive{int64(2), "a", v(1)})
		b.write(w, keyed, alive{int64(2), "b", v(1)}, alive{int64(1), "b", v(1)})
		b.write(w, keyed, alive{int64(2), "c", v(1)})
		b.commit(w, martsync.Commit{Next: "1"})
		b.close(w)
		b.want(keyed, alive{int64(1), "a", v(2)}, alive{int64(2), "c", v(1)})
	}},
	{"versions before 1970 and in the same second", func(b *bench) {
		b.load(keyed, "1", alive{int64(1), "old", v(-100)}, alive{int64(2), "old", v(7)})
		b.load(keyed, "2", alive{int64(1), "new", v(-99)}, alive{int64(2), "new", v(7) + 1})
		b.want(keyed, alive{int64(1), "new", v(-99)}, alive{int64(2), "new", v(7) + 1})
	}},
	{"no version is the lowest version", func(b *bench) {
		b.load(keyed, "1", alive{int64(1), "null", nil}, alive{int64(2), "null", nil}, alive{int64(3), "5", v(5)})
		b.load(keyed, "2", alive{int64(1), "5", v(5)}, alive{int64(2), "null again", nil}, alive{int64(3), "null", nil})
		b.want(keyed, alive{int64(1), "5", v(5)}, alive{int64(2), "null again", nil}, alive{int64(3), "5", v(5)})
	}},
	{"without versions the one written last wins", func(b *bench) {
		b.load(versionless, "1", alive{"a", int64(1), "first"}, alive{"a", int64(1), "second"})
		b.want(versionless, alive{"a", int64(1), "second"})
		w := b.open(versionless)
		b.write(w, versionless, alive{"a", int64(1), "third"})
		b.write(w, versionless, alive{"a", int64(1), "fourth"})
		b.commit(w, martsync.Commit{Next: "2"})
		b.close(w)
		b.want(versionless, alive{"a", int64(1), "fourth"})
	}},
	{"what loses against the table leaves nothing to a sticky column", func(b *bench) {
		sticky := keyed
		sticky.Columns = slices.Clone(keyed.Columns)
		sticky.Columns[1].Sticky = true
		b.load(sticky, "1", alive{int64(1), nil, v(5)})
		b.load(sticky, "2", alive{int64(1), "stale", v(3)}, alive{int64(1), nil, v(5)})
		b.want(sticky, alive{int64(1), nil, v(5)})
	}},
	{"a null leaves a sticky column as it is", func(b *bench) {
		sticky := keyed
		sticky.Columns = slices.Clone(keyed.Columns)
		sticky.Columns[1].Sticky = true
		b.load(sticky, "1", alive{int64(1), "Ann", v(1)}, alive{int64(2), nil, v(1)}, alive{int64(3), "Cid", v(1)})
		b.load(sticky, "2", alive{int64(1), nil, v(2)}, alive{int64(2), "Bob", v(2)}, alive{int64(3), "Cyd", v(2)}, alive{int64(4), nil, v(2)})
		b.want(sticky, alive{int64(1), "Ann", v(2)}, alive{int64(2), "Bob", v(2)}, alive{int64(3), "Cyd", v(2)}, alive{int64(4), nil, v(2)})
	}},
	{"a row replaces all columns, with nulls too", func(b *bench) {
		b.load(keyed, "1", alive{int64(1), "Ann", v(1)})
		b.load(keyed, "2", alive{int64(1), nil, v(2)})
		b.want(keyed, alive{int64(1), nil, v(2)})
	}},
	{"keys of several columns are compared column by column", func(b *bench) {
		s := versionless
		s.Key = []string{"list", "note"}
		b.load(s, "1", alive{"a", int64(1), "bc"}, alive{"ab", int64(2), "c"}, alive{"", int64(3), "abc"}, alive{"A", int64(4), "bc"}, alive{"a ", int64(5), "bc"})
		b.load(s, "2", alive{"ab", int64(6), "c"})
		b.want(s, alive{"a", int64(1), "bc"}, alive{"ab", int64(6), "c"}, alive{"", int64(3), "abc"}, alive{"A", int64(4), "bc"}, alive{"a ", int64(5), "bc"})
	}},
	{"append-only tables keep every row", func(b *bench) {
		b.load(appendOnly, "1", alive{int64(1), "a"}, alive{int64(1), "a"})
		b.load(appendOnly, "2", alive{int64(1), "a"}, alive{nil, nil})
		b.want(appendOnly, alive{int64(1), "a"}, alive{int64(1), "a"}, alive{int64(1), "a"}, alive{nil, nil})
	}},
	{"a snapshot replaces its table", func(b *bench) {
		b.load(snapshot, "1", alive{int64(1), "a"}, alive{int64(2), "b"})
		b.load(snapshot, "2", alive{int64(2), "c"}, alive{int64(3), "d"})
		b.want(snapshot, alive{int64(2), "c"}, alive{int64(3), "d"})
		b.load(snapshot, "3")
		b.want(snapshot)
	}},
	{"a snapshot that is not committed changes nothing", func(b *bench) {
		b.load(snapshot, "1", alive{int64(1), "a"})
		w := b.open(snapshot)
		b.write(w, snapshot, alive{int64(2), "b"})
		b.close(w)
		b.want(snapshot, alive{int64(1), "a"})
	}},
	{"a snapshot has each key once", func(b *bench) {
		w := b.open(snapshot)
		b.write(w, snapshot, alive{int64(1), "a"}, alive{int64(2), "b"})
		b.write(w, snapshot, alive{int64(1), "c"})
		b.commit(w, martsync.Commit{Next: "1"})
		b.close(w)
		b.want(snapshot, alive{int64(1), "c"}, alive{int64(2), "b"})
	}},
	{"loads at random equal those of the reference", func(b *bench) {
		for seed := range uint64(12) {
			randomLoads(b, seed)
		}
	}},
}

// randomLoads loads the same rows, cut into commits and batches in the same way, into the
// destination and into memory, which applies them one after the other, and compares.
func randomLoads(b *bench, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 3)) //nolint:gosec // repeatable on purpose
	s := keyed
	if seed%3 == 2 {
		s.Version = ""
	}
	s.Stream = fmt.Sprintf("random_%d", seed)
	reference := &bench{TB: b, d: memory.New(memory.NewStorage())}
	both := []*bench{b, reference}
	for c := range 1 + r.IntN(4) {
		var batches [][]any
		for range r.IntN(4) {
			var batch []any
			for range 1 + r.IntN(6) {
				id, version := r.Int64N(6), v(r.Int64N(8))
				name := fmt.Sprint(r.IntN(1000))
				switch r.IntN(6) {
				case 0:
					batch = append(batch, tombstone{id, nil, version})
				case 1:
					batch = append(batch, flagged{id, name, version})
				default:
					batch = append(batch, alive{id, name, version})
				}
			}
			batches = append(batches, batch)
		}
		var complete []martsync.Scope
		switch r.IntN(5) {
		case 0:
			complete = []martsync.Scope{{}}
		case 2:
			if from := r.Int64N(8); s.Version != "" {
				complete = []martsync.Scope{versions(from, from+1+r.Int64N(4))}
			}
		case 1:
			complete = []martsync.Scope{{Column: "id", Value: "3"}, {Column: "id", Value: "4"}}
		}
		for _, d := range both {
			w := d.open(s)
			for _, batch := range batches {
				d.write(w, s, batch...)
			}
			d.commit(w, martsync.Commit{Next: martsync.Cursor(fmt.Sprint(c)), Complete: complete})
			d.close(w)
		}
	}
	var want []any
	_, all := reference.table(s.Stream)
	for _, row := range all {
		cells := []any{row["id"], row["name"], row["updated_at"]}
		if row[martsync.Deleted] == true {
			want = append(want, tombstone(cells)) // which values a deleted row keeps has its own laws
		} else {
			want = append(want, alive(cells))
		}
	}
	b.want(s, want...)
	if b.Failed() {
		b.Fatalf("seed %d", seed)
	}
}
