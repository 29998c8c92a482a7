package destinationtest

import (
	"math"

	"github.com/martsync/martsync"
)

var deleteLaws = []law{
	{"a tombstone marks the row and keeps its values", func(b *bench) {
		b.load(keyed, "1", alive{int64(1), "Ann", v(1)}, alive{int64(2), "Bob", v(1)})
		b.load(keyed, "2", tombstone{int64(1), nil, v(2)})
		b.want(keyed, flagged{int64(1), "Ann", v(2)}, alive{int64(2), "Bob", v(1)})
	}},
	{"a tombstone beats older rows that come later", func(b *bench) {
		b.load(keyed, "1", alive{int64(1), "Ann", v(1)})
		b.load(keyed, "2", tombstone{int64(1), nil, v(5)})
		b.load(keyed, "3", alive{int64(1), "ghost", v(4)})
		b.want(keyed, flagged{int64(1), "Ann", v(5)})
	}},
	{"an older tombstone does not delete", func(b *bench) {
		b.load(keyed, "1", alive{int64(1), "Ann", v(5)})
		b.load(keyed, "2", tombstone{int64(1), nil, v(4)})
		b.want(keyed, alive{int64(1), "Ann", v(5)})
	}},
	{"a newer row brings a deleted one back", func(b *bench) {
		b.load(keyed, "1", tombstone{int64(1), nil, v(5)})
		b.load(keyed, "2", alive{int64(1), "Ann", v(6)})
		b.want(keyed, alive{int64(1), "Ann", v(6)})
	}},
	{"a tombstone of an unknown key stays", func(b *bench) {
		b.load(keyed, "1", tombstone{int64(1), nil, v(5)})
		b.load(keyed, "2", alive{int64(1), "ghost", v(4)})
		b.want(keyed, tombstone{int64(1), nil, v(5)})
	}},
	{"a row and its tombstone in one commit", func(b *bench) {
		b.load(keyed, "1",
			alive{int64(1), "Ann", v(1)}, tombstone{int64(1), nil, v(2)},
			tombstone{int64(2), nil, v(2)}, alive{int64(2), "Bob", v(3)},
			tombstone{int64(3), nil, v(2)}, alive{int64(3), "ghost", v(1)})
		b.want(keyed, flagged{int64(1), "Ann", v(2)}, alive{int64(2), "Bob", v(3)}, tombstone{int64(3), nil, v(2)})
	}},
	{"of a row and a tombstone of equal version the last wins", func(b *bench) {
		b.load(keyed, "1",
			alive{int64(1), "Ann", v(1)}, tombstone{int64(1), nil, v(1)},
			tombstone{int64(2), nil, v(1)}, alive{int64(2), "Bob", v(1)})
		b.want(keyed, flagged{int64(1), "Ann", v(1)}, alive{int64(2), "Bob", v(1)})
	}},
	{"tombstones without versions", func(b *bench) {
		b.load(versionless, "1", alive{"a", int64(1), "x"}, alive{"a", int64(2), "y"})
		b.load(versionless, "2", tombstone{"a", int64(1), nil}, tombstone{"b", int64(1), nil})
		b.want(versionless, flagged{"a", int64(1), "x"}, alive{"a", int64(2), "y"}, tombstone{"b", int64(1), nil})
		b.load(versionless, "3", alive{"a", int64(1), "z"})
		b.want(versionless, alive{"a", int64(1), "z"}, alive{"a", int64(2), "y"}, tombstone{"b", int64(1), nil})
	}},
	{"a record with the vendor's flag is stored as it is", func(b *bench) {
		b.load(keyed, "1", alive{int64(1), "Ann", v(1)}, flagged{int64(2), "Bob", v(1)})
		b.load(keyed, "2", flagged{int64(1), "Anna", v(2)}, alive{int64(2), "Bobby", v(2)})
		b.want(keyed, flagged{int64(1), "Anna", v(2)}, alive{int64(2), "Bobby", v(2)})
	}},
	{"a complete table marks what is absent", func(b *bench) {
		b.load(keyed, "1", alive{int64(1), "Ann", v(1)}, alive{int64(2), "Bob", v(1)}, alive{int64(3), "Cem", v(9)})
		b.loadScopes(keyed, "2", []martsync.Scope{{}}, alive{int64(1), "Ann", v(1)}, alive{int64(3), "old", v(2)}, alive{int64(4), "Dan", v(1)})
		b.want(keyed, alive{int64(1), "Ann", v(1)}, flagged{int64(2), "Bob", v(1)}, alive{int64(3), "Cem", v(9)}, alive{int64(4), "Dan", v(1)})
	}},
	{"an empty complete table marks all", func(b *bench) {
		b.load(keyed, "1", alive{int64(1), "Ann", v(1)})
		b.loadScopes(keyed, "2", []martsync.Scope{{}})
		b.want(keyed, flagged{int64(1), "Ann", v(1)})
	}},
	{"complete scopes mark what is absent in them", func(b *bench) {
		b.load(versionless, "1",
			alive{"it's", int64(1), "x"}, alive{"it's", int64(2), "x"}, alive{"b", int64(1), "x"}, alive{"c", int64(1), "x"}, alive{"c", int64(2), "x"})
		b.loadScopes(versionless, "2", []martsync.Scope{{Column: "list", Value: "it's"}, {Column: "list", Value: "b"}},
			alive{"it's", int64(2), "y"}, alive{"it's", int64(3), "y"})
		b.want(versionless,
			flagged{"it's", int64(1), "x"}, alive{"it's", int64(2), "y"}, alive{"it's", int64(3), "y"},
			flagged{"b", int64(1), "x"}, alive{"c", int64(1), "x"}, alive{"c", int64(2), "x"})
		b.loadScopes(versionless, "3", []martsync.Scope{{Column: "member", Value: "1"}}, alive{"it's", int64(1), "back"})
		b.want(versionless,
			alive{"it's", int64(1), "back"}, alive{"it's", int64(2), "y"}, alive{"it's", int64(3), "y"},
			flagged{"b", int64(1), "x"}, flagged{"c", int64(1), "x"}, alive{"c", int64(2), "x"})
	}},
	{"a complete range of versions marks what is absent in it", func(b *bench) {
		b.load(keyed, "1", alive{int64(1), "Ann", v(1)}, alive{int64(2), "Bob", v(2)}, alive{int64(3), "Cem", v(3)}, alive{int64(4), "Dan", v(4)},
			alive{int64(5), "Eve", v(2)}, alive{int64(6), "Fay", nil}, flagged{int64(7), "Gil", v(2)}, alive{int64(8), "Hal", v(2)}, alive{int64(9), "Ida", v(6)})
		b.loadScopes(keyed, "2", []martsync.Scope{versions(2, 4), versions(5, 6)},
			alive{int64(2), "Bob", v(2)}, alive{int64(8), "Hal moved", v(8)}, alive{int64(9), "older", v(5)}, alive{int64(10), "Jon", v(3)})
		b.want(keyed, alive{int64(1), "Ann", v(1)}, alive{int64(2), "Bob", v(2)}, flagged{int64(3), "Cem", v(3)}, alive{int64(4), "Dan", v(4)},
			flagged{int64(5), "Eve", v(2)}, alive{int64(6), "Fay", nil}, flagged{int64(7), "Gil", v(2)}, alive{int64(8), "Hal moved", v(8)},
			alive{int64(9), "Ida", v(6)}, alive{int64(10), "Jon", v(3)})
		b.loadScopes(keyed, "3", []martsync.Scope{versions(4, 5)})
		b.load(keyed, "4", alive{int64(3), "Cem", v(3)})
		b.want(keyed, alive{int64(1), "Ann", v(1)}, alive{int64(2), "Bob", v(2)}, alive{int64(3), "Cem", v(3)}, flagged{int64(4), "Dan", v(4)},
			flagged{int64(5), "Eve", v(2)}, alive{int64(6), "Fay", nil}, flagged{int64(7), "Gil", v(2)}, alive{int64(8), "Hal moved", v(8)},
			alive{int64(9), "Ida", v(6)}, alive{int64(10), "Jon", v(3)})
	}},
	{"a complete range of which a part was staged", func(b *bench) {
		b.load(keyed, "1", alive{int64(1), "Ann", v(1)}, alive{int64(2), "Bob", v(1)}, alive{int64(3), "Cem", v(1)}, alive{int64(4), "Dan", v(2)})
		w := b.open(keyed)
		b.write(w, keyed, alive{int64(1), "Ann", v(1)})
		b.stage(w, martsync.Commit{Next: "s1"})
		b.close(w)
		b.restart()
		w = b.open(keyed)
		b.write(w, keyed, alive{int64(2), "Bob", v(1)})
		b.commit(w, martsync.Commit{Next: "2", Complete: []martsync.Scope{versions(1, 2)}})
		b.close(w)
		b.want(keyed, alive{int64(1), "Ann", v(1)}, alive{int64(2), "Bob", v(1)}, flagged{int64(3), "Cem", v(1)}, alive{int64(4), "Dan", v(2)})
	}},
	{"a tombstone does not make a row present", func(b *bench) {
		b.load(keyed, "1", alive{int64(1), "Ann", v(1)}, alive{int64(2), "Bob", v(1)})
		b.loadScopes(keyed, "2", []martsync.Scope{{}}, alive{int64(1), "Ann", v(1)}, tombstone{int64(2), nil, v(0)})
		b.want(keyed, alive{int64(1), "Ann", v(1)}, flagged{int64(2), "Bob", v(1)})
	}},
	{"a census marks what it does not count and brings back what it does", func(b *bench) {
		b.load(keyed, "1", alive{int64(1), "Ann", v(1)}, alive{int64(2), "Bob", v(1)}, alive{int64(3), "Cem", v(1)},
			flagged{int64(4), "Dan", v(1)}, flagged{int64(5), "Eve", v(1)}, alive{int64(9), "Fay", v(1)})
		w := b.open(keyed)
		b.write(w, keyed, alive{int64(6), "Gil", v(1)}, alive{int64(7), "Hal", v(1)})
		b.commit(w, martsync.Commit{Next: "2", Censuses: []martsync.Census{{After: 1, UpTo: 3, Keys: []int64{3}}, {After: 3, UpTo: 8, Keys: []int64{4, 6, 8}}}})
		b.close(w)
		b.want(keyed, alive{int64(1), "Ann", v(1)}, flagged{int64(2), "Bob", v(1)}, alive{int64(3), "Cem", v(1)},
			alive{int64(4), "Dan", v(1)}, flagged{int64(5), "Eve", v(1)}, alive{int64(6), "Gil", v(1)}, flagged{int64(7), "Hal", v(1)}, alive{int64(9), "Fay", v(1)})
	}},
	{"a census of nobody marks its range, without any rows", func(b *bench) {
		b.load(keyed, "1", alive{int64(-5), "Ann", v(1)}, alive{int64(math.MaxInt64), "Bob", v(1)}, alive{int64(math.MinInt64), "Cem", v(1)})
		w := b.open(keyed)
		b.commit(w, martsync.Commit{Next: "2", Censuses: []martsync.Census{{After: math.MinInt64, UpTo: math.MaxInt64}}})
		b.close(w)
		b.want(keyed, flagged{int64(-5), "Ann", v(1)}, flagged{int64(math.MaxInt64), "Bob", v(1)}, alive{int64(math.MinInt64), "Cem", v(1)})
	}},
	{"what was marked absent comes back with an equal version", func(b *bench) {
		b.load(keyed, "1", alive{int64(1), "Ann", v(1)})
		b.loadScopes(keyed, "2", []martsync.Scope{{}})
		b.loadScopes(keyed, "3", []martsync.Scope{{}}, alive{int64(1), "Ann", v(1)})
		b.want(keyed, alive{int64(1), "Ann", v(1)})
	}},
}
