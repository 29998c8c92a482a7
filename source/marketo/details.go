package marketo

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/martsync/martsync"
)

// Some columns of programs, their tags and costs, are in no listing: only a read by id tells them, a call
// for each program. So after the listing every program that is new or was updated since the last time is
// read by id. What is left when a sync has spent its share is read by the next one, in the order of ids.

// A detailPosition is the part of the cursor about reads by id. Times are seconds since 1970.
type detailPosition struct {
	Read  int64 `json:"read,omitempty"`  // records updated before this have been read by id
	Until int64 `json:"until,omitempty"` // where the time range under way ends; 0: none is under way
	Done  int64 `json:"done,omitempty"`  // in it, the last id that was read
	Lacks bool  `json:"lacks,omitempty"` // it has been said that they cannot be read
}

// detailed reports whether reads by id tell more of these assets than their listing.
func (a *asset) detailed() bool {
	return slices.ContainsFunc(a.columns, func(c martsync.Column) bool { return c.Sticky })
}

// detailsEach is how many reads by id come between two cursors.
const detailsEach = 50

// details reads by id what was updated before p.Since and has not been read so yet: what was seen just
// now, if that is all of it.
func (a *assetStream) details(ctx context.Context, p assetPosition, seen map[int64]uint64, yield func(martsync.Batch, error) bool) {
	left := a.source.cfg.Assets.ProgramReads
	for d := &p.Details; d.Until != 0 || d.Read < p.Since; {
		if d.Until == 0 {
			d.Until, d.Done = p.Since, 0
		}
		r := detailRead{stream: a, pages: newPageReader(a.schema.Columns), yield: yield}
		ids := sortedKeys(seen)
		if seen == nil {
			var err error
			if ids, err = r.list(ctx, *d); err != nil {
				yield(martsync.Batch{}, err)
				return
			}
		}
		seen = nil
		for i, id := range ids {
			if left == 0 {
				r.notes = []martsync.Note{{Operation: "skip", Message: fmt.Sprintf("tags and costs of %d %s are left to the next sync", len(ids)-i, a.schema.Stream)}}
				r.flush(p)
				return
			}
			left--
			err := r.one(ctx, id)
			if martsync.KindOf(err) == martsync.Unavailable {
				// The listing is worth having without what only these reads tell.
				if !d.Lacks {
					r.notes = []martsync.Note{{Operation: "skip", Message: fmt.Sprintf("tags and costs of %s cannot be read: %s", a.schema.Stream, cause(err))}}
				}
				d.Lacks = true
				r.flush(p)
				return
			}
			if err != nil {
				yield(martsync.Batch{}, err)
				return
			}
			d.Done = id
			if (i+1)%detailsEach == 0 && !r.flush(p) {
				return
			}
		}
		*d = detailPosition{Read: d.Until}
		if !r.flush(p) {
			return
		}
	}
}

// A detailRead reads the assets of one time range by id.
type detailRead struct {
	stream *assetStream
	pages  *pageReader
	yield  func(martsync.Batch, error) bool

	// Since the last cursor.
	raw         []martsync.Raw
	bad         []martsync.Quarantined
	notes       []martsync.Note
	first, last int64
	bytes       int64
}

// list returns the ids of the time range after d.Done, in rising order.
func (r *detailRead) list(ctx context.Context, d detailPosition) ([]int64, error) {
	a := r.stream
	var bounds url.Values
	if d.Read != 0 {
		start, end := time.Unix(d.Read, 0).Add(-assetOverlap), time.Unix(d.Until, 0)
		bounds = url.Values{"earliestUpdatedAt": {wireTime(start)}, "latestUpdatedAt": {wireTime(end)}}
	}
	seen := map[int64]bool{}
	stable := false
	for walk := 1; walk <= mostWalks && !stable; walk++ {
		before, filled := len(seen), 0
		for offset := 0; ; offset += assetPage {
			env, err := a.page(ctx, offset, bounds)
			if err != nil {
				return nil, err
			}
			if raw := keptPage(a.asset.path, env, how{Kind: listPage}); raw != nil {
				r.raw = append(r.raw, *raw)
			}
			r.pages.calls += env.Calls
			if len(env.Result) == 0 {
				break
			}
			filled++
			for _, raw := range env.Result {
				if id, err := recordID(raw); err == nil { // else the listing has it in quarantine
					seen[id] = true
				}
			}
		}
		stable = filled <= 1 || walk > 1 && len(seen) == before
	}
	ids := sortedKeys(seen)
	i, found := slices.BinarySearch(ids, d.Done)
	if found {
		i++
	}
	return ids[i:], nil
}

// one reads an asset by id.
func (r *detailRead) one(ctx context.Context, id int64) error {
	a := r.stream
	path := fmt.Sprintf(a.asset.one, id)
	env, err := a.source.client.do(ctx, request{op: "read " + words(a.schema.Stream) + " by id", path: path, optional: true})
	if vanished(err) {
		return nil // deleted since it was listed
	}
	if err != nil {
		return err
	}
	if raw := keptPage(path, env, how{Kind: listingPage, One: true}); raw != nil {
		r.raw = append(r.raw, *raw)
	}
	complete(env, a.schema.Columns)
	r.bad = append(r.bad, r.pages.again(env, 0, nil)...)
	r.pages.calls += env.Calls
	r.bytes += env.Bytes
	if r.last = id; r.first == 0 {
		r.first = id
	}
	return nil
}

// flush yields what has been read, with the position after it.
func (r *detailRead) flush(p assetPosition) bool {
	b := r.pages.flush()
	b.Cursor, b.Quarantined, b.Raw, b.Bytes, b.Notes = p.cursor(), r.bad, r.raw, r.bytes, r.notes
	if rows := int64(r.pages.builder.Len()); rows > 0 || len(r.bad) > 0 {
		r.pages.parsed, r.pages.quarantined = rows+int64(len(r.bad)), int64(len(r.bad))
		b.Window = r.pages.window(martsync.Window{Filter: filterJSON(map[string]any{"path": r.stream.asset.one, "from": r.first, "to": r.last})})
	}
	r.raw, r.bad, r.notes, r.first, r.bytes = nil, nil, nil, 0, 0
	ok := r.yield(b, nil)
	r.pages.builder.Reset()
	return ok
}

// complete makes records of a read by id say of every sticky column what it is: that none is told there
// means that there is none, where a listing says nothing.
func complete(env *envelope, cols []martsync.Column) {
	for i, raw := range env.Result {
		var members map[string]json.RawMessage
		if json.Unmarshal(raw, &members) != nil {
			continue // the row itself will say so
		}
		for _, c := range cols {
			if v := members[c.Origin]; c.Sticky && c.Type == martsync.JSON && (v == nil || string(v) == "null") {
				if whole, err := with(raw, c.Origin, "[]"); err == nil {
					raw = whole
				}
			}
		}
		env.Result[i] = raw
	}
}
