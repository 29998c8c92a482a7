package raw

import (
	"context"
	"fmt"
	"slices"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/position"
)

// Which entries count. Each commit entry says from which position of the table (base) to which
// (to) it led. Whether the table followed is not written down, since the zone is written before it;
// but the next entry, whoever writes it, says where the table was then. So the table is where the
// newest entry says: at its To if it is a commit (it may be that the table has not followed; what was sent
// is there all the same), else at its Base. From there the chain goes back: a commit's
// predecessor is the earlier commit whose To is its Base, or, where a table that was made from the zone was
// taken over, the latest whose Plain is. Between two commits hang the entries that were saved on
// the way, linked by number (prev).

// A link is a commit of the chain.
type link struct {
	number  int64           // of the commit's entry
	entries []int64         // with those saved before it, ascending; the last is number
	units   int             // that end in them
	schema  string          // its object
	anew    bool            // a backfill begins here
	cursor  martsync.Cursor // of the stream, after it
}

// A history is the chain of one stream, oldest commit first.
type history struct {
	zone    *Zone
	stream  string
	links   []link
	schemas map[string]martsync.Schema
	missing error           // what came before the first link is not in the zone
	tip     martsync.Schema // of the newest entry, if there is no link
	hole    int64           // the first entry that is not there though later ones are; 0: none
}

// A ref is what the chain needs of an entry.
type ref struct {
	prev   int64
	base   martsync.Cursor
	to     martsync.Cursor
	commit bool
	anew   bool
	units  int
	schema string
	cursor martsync.Cursor
}

// history reads a stream's entries and finds those that count.
func (z *Zone) history(ctx context.Context, stream string) (h *history, err error) {
	h = &history{zone: z, stream: stream, schemas: map[string]martsync.Schema{}}
	refs := map[int64]*ref{}
	commits := map[martsync.Cursor][]int64{} // by To and Plain without the account, ascending
	names := map[string]string{}             // so that equal texts share their memory
	var newest, last int64
	for n, err := range z.numbers(ctx, stream, "") {
		if err != nil {
			return nil, err
		}
		if n != last+1 && h.hole == 0 {
			h.hole = last + 1
		}
		last = n
		e, err := z.readEntry(ctx, stream, n)
		if err != nil {
			return nil, err
		}
		if _, ok := names[e.Schema]; !ok {
			names[e.Schema] = e.Schema
		}
		refs[n] = &ref{
			prev: e.Prev, base: e.Base, to: e.To, commit: e.Commit, anew: e.Anew, units: len(e.Units),
			schema: names[e.Schema], cursor: e.Cursor,
		}
		if e.Commit {
			to, plain := position.Bare(e.To), position.Bare(e.Plain)
			commits[to] = append(commits[to], n)
			if plain != to {
				commits[plain] = append(commits[plain], n)
			}
		}
		// That a table is empty, or in the middle of being made from the zone, says nothing about what the zone holds:
		// that of a new beginning counts from its first commit on.
		if e.Commit || e.Base != "" && !halfReplayed(e.Base) {
			newest = n
		}
	}
	before := func(to martsync.Cursor, n int64) int64 { // the latest commit before entry n that led there
		all := commits[position.Bare(to)]
		i, _ := slices.BinarySearch(all, n)
		if i == 0 {
			return 0
		}
		return all[i-1]
	}
	at := newest
	if r := refs[newest]; r != nil && !r.commit {
		if at = before(r.base, newest); at == 0 {
			h.missing = h.gap(newest)
			h.tip, err = z.readSchema(ctx, stream, r.schema)
			return h, err
		}
	}
	for at > 0 {
		l, base, err := linkOf(refs, at)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", stream, err)
		}
		h.links = append(h.links, l)
		if base == "" {
			break
		}
		first := l.entries[0]
		if at = before(base, l.number); at > 0 || l.anew {
			continue
		}
		// What came before the first link is not there. A backfill has read it again.
		begun := len(h.links) - 1
		for begun >= 0 && !h.links[begun].anew {
			begun--
		}
		if begun < 0 {
			h.missing = h.gap(first)
		} else {
			h.links = h.links[:begun+1]
		}
	}
	slices.Reverse(h.links)
	for _, l := range h.links {
		if _, ok := h.schemas[l.schema]; ok {
			continue
		}
		s, err := z.readSchema(ctx, stream, l.schema)
		if err != nil {
			return nil, err
		}
		h.schemas[l.schema] = s
	}
	return h, nil
}

// linkOf collects a commit and what was saved before it. It returns the table's position before.
func linkOf(refs map[int64]*ref, number int64) (link, martsync.Cursor, error) {
	c := refs[number]
	l := link{number: number, schema: c.schema, cursor: c.cursor, anew: c.anew}
	for n := number; n > 0; {
		r := refs[n]
		if r == nil || n != number && (r.commit || r.base != c.base) {
			return l, "", damaged("read", "entry %d, from which entry %d goes on, is missing or another one", n, number)
		}
		l.entries = append(l.entries, n)
		l.units += r.units
		if r.prev >= n {
			return l, "", damaged("read", "entry %d goes on from entry %d", n, r.prev)
		}
		n = r.prev
	}
	slices.Reverse(l.entries)
	return l, c.base, nil
}

// gap is the error for a chain that does not begin at the beginning.
func (h *history) gap(number int64) error {
	if h.hole > 0 && h.hole < number {
		return fmt.Errorf("%s: %w", h.stream, damaged("read", "entry %d is missing, though later ones are there", h.hole))
	}
	return &martsync.Error{
		Kind: martsync.Data, Op: "raw: read " + h.stream,
		Err:  fmt.Errorf("entry %d goes on from a position of the table that nothing in the zone led to", number),
		Hint: "The table was begun before the zone was kept, or written without it. Run martsync sync --backfill --stream " + h.stream + " once, so that the zone holds it from the beginning.",
	}
}

// A leg is a run of links that one stream of the engine reads: those of one schema, and of a snapshot
// one alone, since a reading of it ends with its commit.
func (h *history) leg(first int) (end int) {
	for end = min(first+1, len(h.links)); end < len(h.links); end++ {
		l := &h.links[end]
		if l.anew || l.schema != h.links[first].schema || h.schemas[l.schema].Snapshot {
			break
		}
	}
	return end
}
