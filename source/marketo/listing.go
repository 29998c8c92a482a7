package marketo

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/url"
	"strconv"
	"time"

	"github.com/martsync/martsync"
	"github.com/martsync/martsync/internal/setting"
)

// A listing is a kind of record that can only be read whole: the vendor offers no filter by time.
type listing struct {
	stream     string
	path       string // of the listing, or of its parents
	one        string // of a record by id; "": there is no such read
	columns    []martsync.Column
	key        []string // nil: id
	permission string   // "": readAssets

	of    shape                                                                   // nil: a record is a row
	pages func(ctx context.Context, s *source, l *listing) iter.Seq2[page, error] // nil: offsetPages

	keeps bool // the vendor forgets records that a table should keep
	cheap bool // it is read at each sync, whatever assets.every says
}

// A listingStream reads a listing.
//
// A listing that is as it was when it was last read goes no further, so that a sync without changes
// writes nothing; that takes one walk. Otherwise a listing of several pages is walked again until a
// walk shows nothing new, as in assetStream, and what is not in it is gone.
type listingStream struct {
	source  *source
	listing *listing
	schema  martsync.Schema
}

func newListingStream(s *source, l *listing) *listingStream {
	filled := *l
	if filled.key == nil {
		filled.key = []string{"id"}
	}
	if filled.of == nil {
		filled.of = itself
	}
	if filled.pages == nil {
		filled.pages = offsetPages
	}
	filled.permission = setting.Or(filled.permission, readAssets)
	return &listingStream{source: s, listing: &filled, schema: martsync.Schema{
		Stream: l.stream, Columns: l.columns, Key: filled.key, Deletes: !l.keeps,
	}}
}

func (s *listingStream) Schema() martsync.Schema { return s.schema }

// A listingPosition is the cursor of a listing.
type listingPosition struct {
	Read int64  `json:"read"`          // when the last read began, in seconds since 1970
	Sum  string `json:"sum,omitempty"` // of the rows then; "": not known
}

func (p listingPosition) cursor() martsync.Cursor { return martsync.Cursor(filterJSON(p)) }

// mostHeldPages is how many bytes of pages are held to see whether a listing is as it was.
const mostHeldPages = 4 << 20

// Read reads the whole listing, wherever it is asked to begin.
func (s *listingStream) Read(ctx context.Context, from martsync.Cursor, _ martsync.Span) iter.Seq2[martsync.Batch, error] {
	return func(yield func(martsync.Batch, error) bool) {
		var before listingPosition
		if from != "" {
			if err := json.Unmarshal([]byte(from), &before); err != nil {
				yield(martsync.Batch{}, badCursor(s.schema.Stream, err))
				return
			}
		}
		now := s.source.now()
		every := time.Duration(s.source.cfg.Assets.Every)
		if !s.listing.cheap && before.Read != 0 && now.Sub(time.Unix(before.Read, 0)) < every {
			return
		}
		w := listingWalk{stream: s, rows: newShapedReader(&s.schema, s.listing.of), holding: true, yield: yield}
		stable := false
		for walk := 1; walk <= mostWalks && !stable; walk++ {
			news, filled, ok := w.walk(ctx)
			if !ok {
				return
			}
			if w.holding && !w.bad && before.Sum != "" && w.rows.sum() == before.Sum {
				w.alike(listingPosition{Read: now.Unix(), Sum: before.Sum})
				return
			}
			if !w.release(ctx) {
				return
			}
			// A single page is one moment's truth. Of several, the last walk must be sure.
			stable = filled <= 1 || walk > 1 && news == 0
		}
		w.end(listingPosition{Read: now.Unix()}, stable)
	}
}

// A listingWalk is one read of a listing.
type listingWalk struct {
	stream  *listingStream
	rows    *shapedReader
	yield   func(martsync.Batch, error) bool
	holding bool // pages are held, since all may be as it was
	held    []taken
	size    int64
	bad     bool // a row did not fit
}

func (w *listingWalk) send(b martsync.Batch) bool { return w.yield(b, nil) }

// walk goes through the listing once.
func (w *listingWalk) walk(ctx context.Context) (news, filled int, ok bool) {
	for p, err := range w.stream.listing.pages(ctx, w.stream.source, w.stream.listing) {
		if err != nil {
			w.yield(martsync.Batch{}, err)
			return 0, 0, false
		}
		t := w.rows.take(p)
		w.bad = w.bad || t.bad()
		news += t.news
		if len(p.env.Result) > 0 && !p.bare {
			filled++
		}
		if !w.holding {
			if !w.rows.emit(&t, w.send) {
				return 0, 0, false
			}
			continue
		}
		w.held = append(w.held, t)
		if w.size += p.env.Bytes; w.size > mostHeldPages && !w.release(ctx) {
			return 0, 0, false
		}
	}
	return news, filled, true
}

// release lets go of the pages that are held.
func (w *listingWalk) release(ctx context.Context) bool {
	w.holding = false
	for i := range w.held {
		if err := ctx.Err(); err != nil {
			w.yield(martsync.Batch{}, err)
			return false
		}
		if !w.rows.emit(&w.held[i], w.send) {
			return false
		}
	}
	w.held = nil
	return true
}

// alike ends a read that found everything as it was.
func (w *listingWalk) alike(next listingPosition) {
	b := martsync.Batch{Cursor: next.cursor()}
	for i := range w.held {
		w.held[i].pass()
		b.Raw = append(b.Raw, w.held[i].kept()...)
		b.Bytes += w.held[i].env.Bytes
	}
	w.send(b)
}

// end ends a read with what is known at its end.
func (w *listingWalk) end(next listingPosition, stable bool) {
	name, last := w.stream.schema.Stream, w.rows.rest()
	switch {
	case !stable:
		last.Notes = []martsync.Note{{Operation: "skip", Message: fmt.Sprintf("the listing of %s kept changing while it was read %d times; deletions are looked for at the next sync", name, mostWalks)}}
	case w.rows.quarantined > 0:
		// A quarantined record exists, but no row says so: it must not count as deleted.
		last.Notes = []martsync.Note{{Operation: "skip", Message: fmt.Sprintf("%d records of %s are in quarantine; deletions are looked for when every record fits", w.rows.quarantined, name)}}
	default:
		next.Sum = w.rows.sum()
		if !w.stream.listing.keeps {
			last.Complete = &martsync.Scope{}
		}
	}
	last.Cursor = next.cursor()
	last.Window = w.rows.window(martsync.Window{Filter: filterJSON(map[string]any{"path": w.stream.listing.path})})
	w.send(last)
	w.rows.clear()
}

// offsetPages walks a listing of the asset API that pages by position, to its first empty page. An
// endpoint that does not page at all answers the second question like the first.
func offsetPages(ctx context.Context, s *source, l *listing) iter.Seq2[page, error] {
	return s.offsetPages(ctx, "list "+words(l.stream), l.path, nil)
}

func (s *source) offsetPages(ctx context.Context, op, path string, q url.Values) iter.Seq2[page, error] {
	return func(yield func(page, error) bool) {
		var last *envelope
		for offset := 0; ; offset += assetPage {
			query := url.Values{"offset": {strconv.Itoa(offset)}, "maxReturn": {strconv.Itoa(assetPage)}}
			for k, v := range q {
				query[k] = v
			}
			env, err := s.client.do(ctx, request{op: op, path: path, query: query, optional: true})
			if nothing(err) {
				env, err = &envelope{Success: true, Calls: 1}, nil
			}
			if err != nil {
				yield(page{}, err)
				return
			}
			p := page{path: path, line: int64(offset), env: env}
			p.bare = last != nil && sameResult(last, env)
			if !yield(p, nil) || len(env.Result) == 0 || p.bare {
				return
			}
			last = env
		}
	}
}

// sameResult reports whether two pages hold the same records.
func sameResult(a, b *envelope) bool {
	if len(a.Result) != len(b.Result) {
		return false
	}
	for i := range a.Result {
		if string(a.Result[i]) != string(b.Result[i]) {
			return false
		}
	}
	return true
}

// onePage makes the one call that a listing without pages takes.
func onePage(ctx context.Context, s *source, l *listing) iter.Seq2[page, error] {
	return func(yield func(page, error) bool) {
		p, err := s.reply(ctx, "list "+words(l.stream), l.path, nil)
		yield(p, err)
	}
}

// reply makes a call for records; that there are none is no error.
func (s *source) reply(ctx context.Context, op, path string, q url.Values) (page, error) {
	env, err := s.client.do(ctx, request{op: op, path: path, query: q, optional: true})
	if nothing(err) {
		env, err = &envelope{Success: true, Calls: 1}, nil
	}
	return page{path: path, env: env}, err
}

// vanished reports whether err says that a record named by id or name does not exist.
func vanished(err error) bool { return nothing(err) || isCode(err, "1013") || isCode(err, "710") }
