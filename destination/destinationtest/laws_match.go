package destinationtest

import (
	"slices"

	"github.com/martsync/martsync"
)

var matchLaws = []law{
	{"what one table names and another one never had is found", func(b *bench) {
		m, ok := b.d.(martsync.Matcher)
		if !ok {
			b.Skip("the destination is not a martsync.Matcher")
		}
		match := martsync.Match{Stream: versionless.Stream, Column: "member", In: keyed.Stream, Key: "id"}
		want := func(what string, most int, all int64, want ...int64) {
			b.Helper()
			got, n, err := m.Missing(b.Context(), match, most)
			if err != nil || n != all || !slices.Equal(got, want) {
				b.Errorf("%s: got %v of %d and error %v, want %v of %d", what, got, n, err, want, all)
			}
		}
		refused := func(what string, m martsync.Matcher, match martsync.Match) {
			b.Helper()
			if _, _, err := m.Missing(b.Context(), match, 0); martsync.KindOf(err) != martsync.Config {
				b.Errorf("%s: got %v, want an error of kind config", what, err)
			}
		}
		refused("no tables", m, match)
		b.load(versionless, "1", alive{"a", int64(7), "x"}, alive{"b", int64(7), "x"}, alive{"a", int64(5), "x"}, alive{"a", int64(3), "x"}, alive{"a", int64(0), "x"}, alive{"a", int64(-2), "x"})
		refused("one table", m, match)
		b.load(keyed, "1", alive{int64(1), "Ann", v(1)})
		want("three of them", 0, 3, 3, 5, 7)
		want("the first two", 2, 3, 3, 5)
		b.load(keyed, "2", alive{int64(5), "Eve", v(1)}, tombstone{int64(3), nil, v(1)})
		want("one that is there and one that is known to be deleted", 5, 1, 7)
		b.load(keyed, "3", alive{int64(7), "Gil", v(1)})
		want("nothing is missing", 5, 0)
		b.load(versionless, "2", alive{"c", int64(9), "x"}, tombstone{"c", int64(9), nil})
		want("a deleted row names, too", 5, 1, 9)
		b.load(keyed, "4", flagged{int64(9), "Ida", v(1)})
		want("a deleted row is there", 5, 0)
		refused("text", m, martsync.Match{Stream: versionless.Stream, Column: "list", In: keyed.Stream, Key: "id"})
		refused("no such column", m, martsync.Match{Stream: versionless.Stream, Column: "member", In: keyed.Stream, Key: "nothing"})
	}},
}
